//! Opening: which format it is, and what its headers and notes say.

use super::PhysicalMemory;
use super::cpu::{CpuNote, cpus};
use super::elf::ElfDump;
use super::error::{OpenError, WhyNot};
use super::image::Image;
use super::info::DumpInfo;
use super::kdump::Kdump;
use super::mapping::Bytes;
use super::notes;
use super::pages::Pages;
use super::recognise::{Format, recognise};
use super::record::Recorder;
use super::vmcoreinfo::VmcoreInfo;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// An opened dump. Cheap to clone, shared by threads.
///
/// The file must not be cut off while it is open: it is mapped, and reading where it no longer is
/// ends the program.
#[derive(Clone)]
pub struct Dump {
    file: Arc<DumpFile>,
    memory: Arc<dyn PhysicalMemory>,
}

/// What opening found.
struct DumpFile {
    source: Source,
    notes: Vec<u8>,
    vmcoreinfo: VmcoreInfo,
    cpus: Vec<CpuNote>,
}

/// The memory in the file, by format.
#[derive(Clone)]
pub(super) enum Source {
    Kdump(Arc<Pages>),
    Elf(Arc<ElfDump>),
}

/// One of the files that make up a dump.
enum Part {
    Kdump(Box<Kdump>),
    Elf(ElfDump),
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
            let part = map(path).and_then(Part::open);
            parts.push(part.map_err(|why| OpenError { path: path.clone(), why })?);
        }
        let path = || paths.first().cloned().unwrap_or_default();
        Dump::assemble(parts).map_err(|why| OpenError { path: path(), why })
    }

    /// Opens a dump that is part of the program; `name` stands for it in errors.
    ///
    /// # Errors
    /// As [`Dump::open`].
    pub fn from_static(bytes: &'static [u8], name: &str) -> Result<Dump, OpenError> {
        Dump::from_part(Bytes::Static(bytes), name)
    }

    /// Opens a dump that is in memory; `name` stands for it in errors.
    ///
    /// # Errors
    /// As [`Dump::open`].
    pub fn from_vec(bytes: Vec<u8>, name: &str) -> Result<Dump, OpenError> {
        Dump::from_part(Bytes::Owned(bytes), name)
    }

    fn from_part(bytes: Bytes, name: &str) -> Result<Dump, OpenError> {
        Part::open(bytes)
            .and_then(|part| Dump::assemble(vec![part]))
            .map_err(|why| OpenError { path: name.into(), why })
    }

    /// Opens what a test built.
    #[cfg(test)]
    pub(super) fn from_bytes(parts: Vec<Vec<u8>>) -> Result<Dump, WhyNot> {
        let parts = parts.into_iter().map(|bytes| Part::open(Bytes::Owned(bytes)));
        Dump::assemble(parts.collect::<Result<_, _>>()?)
    }

    fn assemble(parts: Vec<Part>) -> Result<Dump, WhyNot> {
        let mut kdumps = Vec::new();
        let mut elves = Vec::new();
        for part in parts {
            match part {
                Part::Kdump(kdump) => kdumps.push(*kdump),
                Part::Elf(elf) => elves.push(elf),
            }
        }
        match (elves.pop(), kdumps.is_empty()) {
            (Some(elf), true) if elves.is_empty() => {
                let notes = elf.notes.clone();
                Ok(Dump::new(Source::Elf(Arc::new(elf)), notes, None))
            }
            (None, false) => {
                let pages = Pages::join(kdumps)?;
                let notes = pages.first().notes.clone();
                let vmcoreinfo = pages.first().vmcoreinfo.clone();
                Ok(Dump::new(Source::Kdump(Arc::new(pages)), notes, vmcoreinfo))
            }
            (None, true) => Err(WhyNot::NotOneDump("no file was given")),
            (Some(_), _) => {
                Err(WhyNot::NotOneDump("only the parts of one split dump open together"))
            }
        }
    }

    fn new(source: Source, notes: Vec<u8>, vmcoreinfo: Option<Vec<u8>>) -> Dump {
        let vmcoreinfo = match &vmcoreinfo {
            Some(text) => VmcoreInfo::parse(text),
            None => VmcoreInfo::parse(notes::vmcoreinfo(&notes).map_or(b"", |note| note.data)),
        };
        let memory: Arc<dyn PhysicalMemory> = match &source {
            Source::Kdump(pages) => Arc::clone(pages) as _,
            Source::Elf(elf) => Arc::clone(elf) as _,
        };
        let cpus = cpus(&notes);
        Dump { file: Arc::new(DumpFile { source, notes, vmcoreinfo, cpus }), memory }
    }

    /// The machine's memory.
    #[must_use]
    pub fn memory(&self) -> Arc<dyn PhysicalMemory> {
        Arc::clone(&self.memory)
    }

    /// The same dump, and the pages that are read from it from now on; for [`super::trim`].
    #[must_use]
    pub fn recording(&self) -> (Dump, Arc<Recorder>) {
        let recorder = Arc::new(Recorder::new(self.memory()));
        let memory = Arc::clone(&recorder);
        (Dump { file: Arc::clone(&self.file), memory }, recorder)
    }

    /// What the kernel tells about itself.
    #[must_use]
    pub fn vmcoreinfo(&self) -> &VmcoreInfo {
        &self.file.vmcoreinfo
    }

    /// The saved registers of each CPU, in the order of the notes. An offline CPU, or one that did
    /// not answer the crashing one, has none.
    #[must_use]
    pub fn cpus(&self) -> &[CpuNote] {
        &self.file.cpus
    }

    /// What the file is and what it holds. Counts pages and looks at a sample of them: a matter of
    /// milliseconds, but keep the answer.
    #[must_use]
    pub fn info(&self) -> DumpInfo {
        DumpInfo::of(&self.file.source)
    }

    pub(super) fn source(&self) -> &Source {
        &self.file.source
    }

    /// The ELF notes, as they stand in the file.
    pub(super) fn notes(&self) -> &[u8] {
        &self.file.notes
    }
}

impl Part {
    fn open(bytes: Bytes) -> Result<Part, WhyNot> {
        let image = Image::new(bytes);
        match recognise(&image)? {
            Format::Kdump => Kdump::open(Arc::new(image)).map(|kdump| Part::Kdump(Box::new(kdump))),
            Format::Elf => ElfDump::open(image).map(Part::Elf),
        }
    }
}

fn map(path: &Path) -> Result<Bytes, WhyNot> {
    // First, since opening a pipe waits for its writer.
    let metadata = std::fs::metadata(path)?;
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
    Ok(Bytes::map(&File::open(path)?)?)
}
