//! The file that dwz moved to what several files' debug information have in common.
//!
//! Such a file names it: `.gnu_debugaltlink` has its path, often relative to where the file itself
//! lies (`../../.dwz/kernel-…`), and its build id; DWARF 5's `.debug_sup` has its path and a checksum,
//! which stands in the `.debug_sup` of the other, too. Distributions keep them in
//! `/usr/lib/debug/.dwz`.

use super::dwarf::{DwarfError, Supplement};
use super::elf::{ElfError, ElfFile};
use super::find::{Places, by_build_id};
use crate::dump::scrub;
use std::ffi::CStr;
use std::fmt;
use std::path::{Path, PathBuf};

/// Which file it is.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Link {
    path: PathBuf,
    /// Build id or checksum, in hex.
    id: String,
}

/// Why a candidate is not the one.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
enum NotIt {
    #[error("{0}")]
    Elf(String),
    #[error("its build id is {0}")]
    Other(String),
    #[error(transparent)]
    Dwarf(#[from] DwarfError),
}

/// There is no such file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct MissingSupplement {
    link: Link,
    refused: Vec<(PathBuf, NotIt)>,
}

impl fmt::Display for MissingSupplement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = |path: &Path| scrub(path.as_os_str().as_encoded_bytes());
        let (path, id) = (text(&self.link.path), &self.link.id);
        write!(f, "its supplementary file {path} (build id {id}) was not found")?;
        for (path, why) in &self.refused {
            write!(f, ", {}: {why}", text(path))?;
        }
        f.write_str("; types, functions and names that dwz moved there are unknown")
    }
}

impl std::error::Error for MissingSupplement {}

impl Places {
    /// The supplementary file of the file at `path`; `None` where it needs none.
    ///
    /// # Errors
    /// [`MissingSupplement`] with the files that were refused.
    pub fn supplement(
        &self,
        file: &ElfFile,
        path: &Path,
    ) -> Result<Option<Supplement>, MissingSupplement> {
        let Some(link) = Link::of(file) else { return Ok(None) };
        let mut refused: Vec<(PathBuf, NotIt)> = Vec::new();
        for candidate in self.supplements(&link, path) {
            if !candidate.is_file() || refused.iter().any(|(path, _)| *path == candidate) {
                continue;
            }
            match link.open(&candidate) {
                Ok(supplement) => return Ok(Some(supplement)),
                Err(why) => refused.push((candidate, why)),
            }
        }
        Err(MissingSupplement { link, refused })
    }

    /// Every path where it may be, best first.
    fn supplements(&self, link: &Link, of: &Path) -> Vec<PathBuf> {
        let mut found = Vec::new();
        let name = link.path.file_name().map(PathBuf::from).unwrap_or_default();
        // A file that is found by its build id is mostly a link to where the path begins.
        let real = of.canonicalize().ok();
        for folder in [real.as_deref(), Some(of)].into_iter().flatten().filter_map(Path::parent) {
            if link.path.is_relative() {
                found.push(folder.join(&link.path));
            }
            found.extend([folder.join(&name), folder.join(".dwz").join(&name)]);
        }
        let absolute = link.path.strip_prefix("/").ok();
        let debug = |dir: &Path| {
            let mut found = vec![dir.join(".dwz").join(&name)];
            found.extend((link.id.len() > 2).then(|| by_build_id(dir, &link.id)));
            found
        };
        for dir in &self.debug_dirs {
            found.extend(absolute.map(|path| dir.join(path)));
            found.extend(debug(dir));
            found.extend(debug(&dir.join("usr/lib/debug")));
            found.push(dir.join(&name));
        }
        found.extend(absolute.map(|path| self.root.join(path)));
        found.extend(debug(&self.root.join("usr/lib/debug")));
        found.extend(self.debuginfod_caches.iter().map(|c| c.join(&link.id).join("debuginfo")));
        found
    }
}

impl Link {
    fn of(file: &ElfFile) -> Option<Link> {
        if let Some(section) = file.section(".gnu_debugaltlink") {
            let path = CStr::from_bytes_until_nul(section.bytes).ok()?.to_bytes();
            let id = section.bytes.get(path.len() + 1..)?;
            return Some(Link { path: path_of(path), id: hex(id) });
        }
        let (supplementary, path, checksum) = debug_sup(file.section(".debug_sup")?.bytes)?;
        (!supplementary).then(|| Link { path: path_of(path), id: hex(checksum) })
    }

    fn open(&self, path: &Path) -> Result<Supplement, NotIt> {
        let damaged = |error: ElfError| NotIt::Elf(error.to_string());
        let file = ElfFile::open_supplement(path).map_err(damaged)?;
        let sum = file.section(".debug_sup").and_then(|section| debug_sup(section.bytes));
        let sum = sum.map(|(_, _, checksum)| hex(checksum));
        let ids: Vec<String> = file.build_id().into_iter().chain(sum).collect();
        if !ids.contains(&self.id) {
            return Err(NotIt::Other(ids.first().cloned().unwrap_or_else(|| "missing".to_owned())));
        }
        Ok(Supplement::new(&file, path)?)
    }
}

/// `.debug_sup`: whether it is that of the supplementary file, its path, the checksum.
fn debug_sup(bytes: &[u8]) -> Option<(bool, &[u8], &[u8])> {
    let (&[_, _, supplementary], rest) = bytes.split_first_chunk::<3>()?;
    let path = CStr::from_bytes_until_nul(rest).ok()?.to_bytes();
    let mut rest = gimli::EndianSlice::new(rest.get(path.len() + 1..)?, gimli::LittleEndian);
    let len = gimli::leb128::read::unsigned(&mut rest).ok()?;
    let checksum = rest.slice().get(..usize::try_from(len).ok()?)?;
    Some((supplementary != 0, path, checksum))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn path_of(bytes: &[u8]) -> PathBuf {
    use std::os::unix::ffi::OsStrExt;
    PathBuf::from(std::ffi::OsStr::from_bytes(bytes))
}
