//! Opening: which format it is, and what its headers and notes say.

use super::PhysicalMemory;
use super::cpu::{CpuNote, cpus};
use super::error::{OpenError, WhyNot};
use super::image::Image;
use super::info::DumpInfo;
use super::kdump::{self, Kdump};
use super::mapping::Bytes;
use super::notes;
use super::pages::Pages;
use super::text::scrub;
use super::vmcoreinfo::VmcoreInfo;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// An opened dump. Cheap to clone, shared by threads.
#[derive(Clone)]
pub struct Dump {
    file: Arc<DumpFile>,
    memory: Arc<dyn PhysicalMemory>,
}

/// What opening found.
struct DumpFile {
    pages: Arc<Pages>,
    vmcoreinfo: VmcoreInfo,
    cpus: Vec<CpuNote>,
}

impl Dump {
    /// Opens a dump: one file, or all the parts of a split dump.
    ///
    /// # Errors
    /// When a file cannot be read or is no dump that this program knows; the error names the file
    /// and what it seems to be. A dump that is cut off opens with what there is.
    pub fn open(paths: &[PathBuf]) -> Result<Dump, OpenError> {
        let mut parts = Vec::new();
        for path in paths {
            let opened = map(path).and_then(|bytes| open_image(Image::new(bytes)));
            parts.push(opened.map_err(|why| OpenError { path: path.clone(), why })?);
        }
        let whole = Dump::from_parts(parts);
        whole.map_err(|why| OpenError { path: paths.first().cloned().unwrap_or_default(), why })
    }

    /// Opens a dump that is part of the program; `name` stands for it in errors.
    ///
    /// # Errors
    /// As [`Dump::open`].
    pub fn from_static(bytes: &'static [u8], name: &str) -> Result<Dump, OpenError> {
        open_image(Image::new(Bytes::Static(bytes)))
            .and_then(|part| Dump::from_parts(vec![part]))
            .map_err(|why| OpenError { path: name.into(), why })
    }

    /// Opens what a test built.
    #[cfg(test)]
    pub(super) fn from_bytes(parts: Vec<Bytes>) -> Result<Dump, WhyNot> {
        let parts = parts.into_iter().map(|bytes| open_image(Image::new(bytes)));
        Dump::from_parts(parts.collect::<Result<_, _>>()?)
    }

    fn from_parts(mut parts: Vec<Kdump>) -> Result<Dump, WhyNot> {
        parts.sort_by_key(|part| part.header.part);
        let Some(first) = parts.first() else {
            return Err(WhyNot::NotOneDump("no file was given"));
        };
        let header = first.header.clone();
        if parts.len() > 1 {
            if parts.iter().any(|part| part.header.part.is_none()) {
                return Err(WhyNot::NotOneDump("only the parts of one split dump open together"));
            }
            let same = |part: &Kdump| {
                part.header.block_size == header.block_size
                    && part.header.max_mapnr == header.max_mapnr
                    && part.header.utsname == header.utsname
            };
            if !parts.iter().all(same) {
                return Err(WhyNot::NotOneDump("these are parts of different dumps"));
            }
        }
        let vmcoreinfo = first.vmcoreinfo.as_deref().or_else(|| notes::vmcoreinfo(&first.notes));
        let vmcoreinfo = VmcoreInfo::parse(vmcoreinfo.unwrap_or_default());
        let cpus = cpus(&first.notes);
        let pages = Arc::new(Pages::new(parts, header.block_size));
        let memory = Arc::clone(&pages);
        Ok(Dump { file: Arc::new(DumpFile { pages, vmcoreinfo, cpus }), memory })
    }

    /// The machine's memory.
    #[must_use]
    pub fn memory(&self) -> Arc<dyn PhysicalMemory> {
        Arc::clone(&self.memory)
    }

    /// What the kernel tells about itself.
    #[must_use]
    pub fn vmcoreinfo(&self) -> &VmcoreInfo {
        &self.file.vmcoreinfo
    }

    /// What the file is and what it holds. Looks at a sample of the pages; keep the answer.
    #[must_use]
    pub fn info(&self) -> DumpInfo {
        DumpInfo::of_kdump(&self.file.pages.parts)
    }

    /// The saved registers of each CPU, in the order of the notes. An offline CPU, or one that did
    /// not answer the crashing one, has none.
    #[must_use]
    pub fn cpus(&self) -> &[CpuNote] {
        &self.file.cpus
    }
}

fn map(path: &Path) -> Result<Bytes, WhyNot> {
    let file = File::open(path)?;
    let metadata = file.metadata()?;
    if metadata.is_dir() {
        return Err(WhyNot::Directory);
    }
    if !metadata.is_file() {
        return Err(WhyNot::NotAFile);
    }
    if std::fs::canonicalize(path).is_ok_and(|path| path == Path::new("/proc/kcore")) {
        return Err(WhyNot::Mistaken("the memory of the running system, not a crash dump"));
    }
    if metadata.len() == 0 {
        return Err(WhyNot::Empty);
    }
    Ok(Bytes::map(&file)?)
}

fn open_image(image: Image) -> Result<Kdump, WhyNot> {
    let start = image.header::<16>(0);
    if start.starts_with(kdump::SIGNATURE) || start.starts_with(kdump::OLD_SIGNATURE) {
        return Kdump::open(Arc::new(image));
    }
    Err(WhyNot::NotADump(format!("{:?}", scrub(&start))))
}
