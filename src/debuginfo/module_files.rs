//! Where the debug information of modules is looked for.
//!
//! Distributions keep it in `/usr/lib/debug/lib/modules/REL/kernel/…/NAME.ko[.debug]`, or by build id;
//! a module that was built by hand has it in its own file, which may be packed (`.ko.xz`, `.ko.zst`,
//! `.ko.gz`). Where below `kernel/` a module is, its name does not say: the directories of the release
//! are read once. The kernel makes no difference between `-` and `_` in names.

use super::elf::ElfFile;
use super::find::{Found, Identity, Places, Refused, by_build_id, is_plain};
use crate::dump::VirtAddr;
use foldhash::HashMap;
use std::path::{Path, PathBuf};

/// Files below one directory of modules: a kernel has some 5,000.
const MAX_FILES: usize = 100_000;
/// Directories below each other: the deepest modules are in the sixth.
const MAX_DEPTH: u32 = 10;

/// Which module is wanted.
#[derive(Clone, Copy, Debug)]
pub struct ModuleIdentity<'m> {
    /// Its name.
    pub name: &'m str,
    /// Its build id, in hex, where the dump tells it.
    pub build_id: Option<&'m str>,
    /// Where its sections were loaded.
    pub sections: &'m [(String, VirtAddr)],
}

/// The files of modules of one release, by the modules' names, best first.
#[derive(Debug)]
pub struct ModuleFiles(HashMap<String, Vec<PathBuf>>);

impl ModuleFiles {
    /// Reads the directories; `named` are files that the user named.
    #[must_use]
    pub fn list(places: &Places, of: &Identity, named: &[PathBuf]) -> ModuleFiles {
        let mut files = ModuleFiles(HashMap::default());
        named.iter().for_each(|path| files.add(path.clone()));
        let release = of.release.as_deref().filter(|release| is_plain(release));
        let below = |root: &Path| {
            let parts = ["usr/lib/debug/lib/modules", "usr/lib/debug/usr/lib/modules"];
            let parts = parts.iter().chain(&["lib/modules", "usr/lib/modules"]);
            release
                .into_iter()
                .flat_map(move |release| {
                    parts.clone().map(|part| root.join(part).join(release)).collect::<Vec<_>>()
                })
                .collect::<Vec<_>>()
        };
        for dir in &places.debug_dirs {
            files.read(dir, 0);
            below(dir).iter().for_each(|dir| files.read(dir, MAX_DEPTH));
        }
        below(&places.root).iter().for_each(|dir| files.read(dir, MAX_DEPTH));
        files
    }

    /// Notes the modules' files in a directory and the directories below it.
    fn read(&mut self, dir: &Path, depth: u32) {
        let mut left = MAX_FILES;
        let mut dirs = vec![(dir.to_owned(), depth)];
        while let Some((dir, depth)) = dirs.pop() {
            let Ok(entries) = std::fs::read_dir(&dir) else { continue };
            let mut entries: Vec<_> = entries.flatten().take(left).collect();
            left -= entries.len();
            entries.sort_unstable_by_key(std::fs::DirEntry::file_name);
            for entry in entries {
                match entry.file_type() {
                    // No links: they lead round in circles, or to another kernel's sources.
                    Ok(kind) if kind.is_dir() && depth > 0 => {
                        dirs.push((entry.path(), depth - 1));
                    }
                    Ok(kind) if !kind.is_dir() => self.add(entry.path()),
                    _ => {}
                }
            }
        }
    }

    fn add(&mut self, path: PathBuf) {
        if let Some(name) = module_of_file(&path) {
            self.0.entry(name).or_default().push(path);
        }
    }
}

/// The module that a file is of, by its name, with `_` for every `-`.
#[must_use]
pub fn module_of_file(path: &Path) -> Option<String> {
    let name = path.file_name()?.to_string_lossy();
    Some(name.rsplit_once(".ko")?.0.replace('-', "_"))
}

impl Places {
    /// The file with the debug information of a module, its sections placed; or the files that are
    /// there and cannot be taken.
    ///
    /// # Errors
    /// Each file that was refused, and why.
    pub fn find_module(
        &self,
        files: &ModuleFiles,
        wanted: ModuleIdentity<'_>,
    ) -> Result<Found, Vec<(PathBuf, Refused)>> {
        let id = wanted.build_id.filter(|id| id.len() > 2 && is_plain(id));
        let mut candidates = Vec::new();
        if let Some(id) = id {
            for dir in &self.debug_dirs {
                candidates.push(by_build_id(dir, id));
                candidates.push(by_build_id(&dir.join("usr/lib/debug"), id));
            }
            candidates.push(by_build_id(&self.root.join("usr/lib/debug"), id));
            candidates.extend(self.debuginfod_caches.iter().map(|c| c.join(id).join("debuginfo")));
        }
        let named = files.0.get(&wanted.name.replace('-', "_"));
        candidates.extend(named.into_iter().flatten().cloned());
        let mut refused = Vec::new();
        for path in candidates {
            if !path.is_file() {
                continue;
            }
            match self.open_module(&path, wanted) {
                Ok(mut found) => {
                    found.file.place(wanted.sections);
                    return Ok(found);
                }
                Err(why) => refused.push((path, why)),
            }
        }
        Err(refused)
    }

    /// A module's file, or the one that its debug information was split off to.
    fn open_module(&self, path: &Path, wanted: ModuleIdentity<'_>) -> Result<Found, Refused> {
        let found = self.check_module(path, wanted)?;
        if found.file.has_debug_info() {
            return Ok(found);
        }
        let split = self.split_off(&found.file, path).into_iter();
        let mut split = split.filter_map(|path| self.check_module(&path, wanted).ok());
        split.find(|split| split.file.has_debug_info()).ok_or(Refused::Stripped)
    }

    fn check_module(&self, path: &Path, wanted: ModuleIdentity<'_>) -> Result<Found, Refused> {
        let file = ElfFile::open_module(path)?;
        let warning = match (file.build_id(), wanted.build_id) {
            (Some(its), Some(dump)) if !its.eq_ignore_ascii_case(dump) => {
                let other = Refused::OtherModule { its, dump: dump.to_owned() };
                if !self.force {
                    return Err(other);
                }
                Some(other)
            }
            _ => None,
        };
        Ok(Found { path: path.to_owned(), file, warning })
    }
}

#[cfg(all(test, target_arch = "x86_64"))]
mod tests {
    use super::*;
    use crate::debuginfo::{Dwarf, Types};
    use std::fs;
    use std::process::Command;

    /// A root directory with a module of the release 6.1.0-test in some place, compiled.
    struct Root(PathBuf);

    impl Root {
        fn new(name: &str, place: &str, flags: &[&str]) -> Root {
            let root = std::env::temp_dir();
            let root = root.join(format!("hangscope-{}-modules-{name}", std::process::id()));
            let file = root.join(place);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(
                root.join("m.c"),
                "struct mine { int a, b; } mine; int f(void) { return 1; }",
            )
            .unwrap();
            let mut cc = Command::new("cc");
            cc.current_dir(&root).args(["-r", "-nostdlib", "-fno-pic", "-mcmodel=kernel"]);
            cc.args(["-Wl,--build-id=0xabcdef01", "m.c", "-o"]).arg(&file).args(flags);
            assert!(cc.status().unwrap().success());
            Root(root)
        }

        fn find(&self, build_id: Option<&str>) -> Result<Found, Vec<(PathBuf, Refused)>> {
            let places = Places { root: self.0.clone(), ..Places::default() };
            let of = Identity { release: Some("6.1.0-test".to_owned()), ..Identity::default() };
            let files = ModuleFiles::list(&places, &of, &[]);
            let sections = [(".text".to_owned(), VirtAddr(0xffff_ffff_c000_0000))];
            let wanted = ModuleIdentity { name: "snd_mine", build_id, sections: &sections };
            places.find_module(&files, wanted)
        }
    }

    impl Drop for Root {
        fn drop(&mut self) {
            _ = fs::remove_dir_all(&self.0);
        }
    }

    const PLACE: &str = "usr/lib/debug/lib/modules/6.1.0-test/kernel/sound/snd-mine.ko";

    #[test]
    fn a_module_is_found_by_its_name_and_checked_by_its_build_id() {
        let root = Root::new("name", PLACE, &["-g"]);
        assert_eq!(root.find(Some("ABCDEF01")).ok().unwrap().path, root.0.join(PLACE));
        assert!(root.find(None).is_ok());
        let refused = root.find(Some("12345678")).err().unwrap();
        assert_eq!(
            refused[0].1.to_string(),
            "it is another build of the module: its build id is abcdef01, the dump's is 12345678"
        );
    }

    #[test]
    fn a_stripped_module_is_told() {
        let root = Root::new("stripped", PLACE, &["-g0"]);
        let refused = root.find(None).err().unwrap();
        assert!(matches!(refused[0].1, Refused::Stripped), "{refused:?}");
    }

    /// The types and the symbols of a module's file.
    fn answers(found: &Found) -> (Option<u64>, String) {
        let dwarf = Dwarf::new(&found.file, 0, 0).unwrap();
        let mut types = Types::new();
        types.add(Box::new(dwarf));
        let start = VirtAddr(0xffff_ffff_c000_0000);
        let regions = [start..start.plus(0x1000)];
        let tables = found.file.module_symbols("snd_mine", &regions).unwrap();
        let first = tables[0].iter().map(|symbol| format!("{:x} {}", symbol.at.0, symbol.name));
        (types.structure("mine").unwrap().size(), first.collect::<Vec<_>>().join(", "))
    }

    #[test]
    fn a_packed_module_is_unpacked() {
        let place = "lib/modules/6.1.0-test/extra/snd_mine.ko";
        for packing in ["xz", "zst", "gz"] {
            let root = Root::new(&format!("packed-{packing}"), place, &["-g"]);
            let plain = root.0.join(place);
            let bytes = fs::read(&plain).unwrap();
            let mut packed = Vec::new();
            match packing {
                "xz" => lzma_rs::xz_compress(&mut bytes.as_slice(), &mut packed).unwrap(),
                "zst" => packed = zstd::encode_all(bytes.as_slice(), 3).unwrap(),
                _ => {
                    let mut encoder =
                        flate2::write::GzEncoder::new(&mut packed, flate2::Compression::default());
                    std::io::Write::write_all(&mut encoder, &bytes).unwrap();
                    encoder.finish().unwrap();
                }
            }
            let path = plain.with_extension(format!("ko.{packing}"));
            fs::write(&path, &packed).unwrap();
            fs::remove_file(plain).unwrap();
            let found = root.find(None).ok().unwrap();
            assert_eq!(answers(&found), (Some(8), "ffffffffc0000000 f".to_owned()), "{packing}");
            fs::write(&path, &packed[..packed.len() / 2]).unwrap();
            let refused = root.find(None).err().unwrap();
            let why = "damaged ELF file: it cannot be unpacked";
            assert_eq!(refused[0].1.to_string(), why, "{packing}");
        }
    }

    #[test]
    fn debug_information_that_was_split_off_is_found_by_its_link() {
        let place = "lib/modules/6.1.0-test/extra/snd_mine.ko";
        for (number, split) in [
            "lib/modules/6.1.0-test/extra/own-name",
            "lib/modules/6.1.0-test/extra/.debug/own-name",
            "usr/lib/debug/lib/modules/6.1.0-test/extra/own-name",
        ]
        .iter()
        .enumerate()
        {
            let root = Root::new(&format!("split-{number}"), place, &["-g"]);
            let split = root.0.join(split);
            fs::create_dir_all(split.parent().unwrap()).unwrap();
            let objcopy = |arguments: &[&std::ffi::OsStr]| {
                assert!(Command::new("objcopy").args(arguments).status().unwrap().success());
            };
            let module = root.0.join(place);
            objcopy(&["--only-keep-debug".as_ref(), module.as_ref(), split.as_ref()]);
            objcopy(&["--strip-debug".as_ref(), module.as_ref()]);
            let mut link = std::ffi::OsString::from("--add-gnu-debuglink=");
            link.push(&split);
            objcopy(&[&link, module.as_ref()]);
            let found = root.find(Some("abcdef01")).ok().unwrap();
            assert_eq!(found.path, split);
            assert_eq!(answers(&found), (Some(8), "ffffffffc0000000 f".to_owned()));
            // Another build's is none.
            assert!(root.find(Some("abcdef02")).is_err());
        }
    }

    #[test]
    fn build_ids_find_modules_too() {
        let place = "usr/lib/debug/.build-id/ab/cdef01.debug";
        let root = Root::new("id", place, &["-g"]);
        assert_eq!(root.find(Some("abcdef01")).ok().unwrap().path, root.0.join(place));
        assert!(root.find(None).err().unwrap().is_empty());
    }
}
