//! DWARF, versions 2 to 5: what the compiler wrote down about types, functions, variables and lines.
//!
//! A [`Dwarf`] is that of one ELF file: the kernel's, or a module's. Nothing of its hundreds of
//! megabytes is read when it is opened; the headers of its units are, when first something is
//! asked, and each question then reads the units that it is about. All addresses that are asked
//! for and answered are those of the running kernel: `shift` is what KASLR moved it by.
//!
//! gimli parses; it wants a `gimli::Dwarf` that borrows its sections, which [`Dwarf::gimli`] makes
//! anew (a few dozen slices) whenever one is needed.

#[cfg(test)]
mod compiled;
mod die;
#[cfg(all(test, target_arch = "x86_64"))]
mod dwz_tests;
mod frame;
mod functions;
mod index;
mod lines;
mod locals;
mod location;
mod positions;
mod ranges;
mod sections;
#[cfg(test)]
mod testing;
mod types;
mod units;

pub use frame::Caller;
pub use locals::{Local, LocalPlace};
pub use location::{Activation, DwarfOf, FrameRegisters};
pub use positions::Position;

use super::elf::ElfFile;
use crate::dump::VirtAddr;
use gimli::{EndianSlice, LittleEndian, SectionId};
use sections::Contents;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, OnceLock, PoisonError};
use units::{Numbering, Start};

/// Bytes of a section, as gimli reads them.
type Reader<'d> = EndianSlice<'d, LittleEndian>;

/// Damaged units and tables that are told; a file that is all damage has thousands.
const MAX_NOTES: usize = 16;

/// Why debug information cannot be used.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum DwarfError {
    /// The file was stripped of it.
    #[error("it has no debug information (.debug_info)")]
    None,
    /// A section cannot be unpacked.
    #[error("its section {section} is damaged: {why}")]
    Section {
        /// The section's name.
        section: String,
        /// What is wrong with it.
        why: String,
    },
    /// What is written there contradicts itself.
    #[error("damaged debug information: {0}")]
    Damaged(String),
}

impl From<gimli::Error> for DwarfError {
    fn from(error: gimli::Error) -> DwarfError {
        DwarfError::Damaged(error.to_string())
    }
}

/// The debug information of one ELF file.
pub struct Dwarf {
    sections: gimli::DwarfSections<Contents>,
    /// What is added to addresses in the file to get those of the running kernel.
    shift: u64,
    supplement: Option<Supplement>,
    numbering: Numbering,
    units: OnceLock<Vec<Start>>,
    unit_ranges: ranges::UnitRanges,
    places: positions::Places,
    own: die::OwnOfUnits,
    signatures: die::Signatures,
    index: index::Index,
    definitions: types::Definitions,
    /// The number of its types' source.
    source: u16,
    frames: frame::Frames,
    notes: Mutex<Vec<String>>,
}

/// What dwz found in the debug information of several files and moved out of them: the file that
/// their `.gnu_debugaltlink` or `.debug_sup` names.
pub struct Supplement {
    path: PathBuf,
    sections: gimli::DwarfSections<Contents>,
}

impl Supplement {
    /// That of a file, whose path is told in notes.
    ///
    /// # Errors
    /// [`DwarfError`] when there is no debug information in it, or a section cannot be unpacked.
    pub fn new(file: &ElfFile, path: &Path) -> Result<Supplement, DwarfError> {
        Ok(Supplement { path: path.to_owned(), sections: sections_of(file)? })
    }
}

impl fmt::Debug for Supplement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Supplement({})", self.path.display())
    }
}

fn sections_of(file: &ElfFile) -> Result<gimli::DwarfSections<Contents>, DwarfError> {
    gimli::DwarfSections::load(|id: SectionId| {
        let contents = sections::load(file, id.name())?;
        if id == SectionId::DebugInfo && contents.is_empty() {
            return Err(DwarfError::None);
        }
        Ok(contents)
    })
}

impl fmt::Debug for Dwarf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Dwarf(shift {:#x})", self.shift)
    }
}

impl Dwarf {
    /// The debug information of a file that runs `shift` bytes above where it was linked to. `source`
    /// is the number that it will have in its [`super::Types`].
    ///
    /// # Errors
    /// [`DwarfError`] when it has none, or a section of it cannot be unpacked.
    pub fn new(file: &ElfFile, shift: u64, source: u16) -> Result<Dwarf, DwarfError> {
        let sections = sections_of(file)?;
        let frames = frame::Frames::load(file)?;
        let mut dwarf = Dwarf {
            sections,
            supplement: None,
            numbering: Numbering::default(),
            shift,
            units: OnceLock::new(),
            unit_ranges: Default::default(),
            places: Default::default(),
            frames,
            own: OnceLock::new(),
            signatures: OnceLock::new(),
            index: index::Index::default(),
            definitions: types::Definitions::default(),
            source,
            notes: Mutex::default(),
        };
        dwarf.numbering = Numbering::of(&dwarf.gimli());
        Ok(dwarf)
    }

    /// Says what is missing: notes are all that comes of it.
    #[must_use]
    pub fn lacking(self, what: String) -> Dwarf {
        self.note(what);
        self
    }

    /// With what dwz moved to another file.
    #[must_use]
    pub fn with_supplement(mut self, supplement: Supplement) -> Dwarf {
        self.supplement = Some(supplement);
        self.numbering = Numbering::of(&self.gimli());
        self
    }

    /// All of it, as gimli reads it.
    fn gimli(&self) -> gimli::Dwarf<Reader<'_>> {
        let shared = self.supplement.as_ref().map(|supplement| &supplement.sections);
        let reader = |contents| EndianSlice::new(contents, LittleEndian);
        self.sections.borrow_with_sup(shared, |contents: &Contents| reader(contents))
    }

    /// Notes what is damaged.
    fn note(&self, note: String) {
        let mut notes = self.notes.lock().unwrap_or_else(PoisonError::into_inner);
        if notes.len() < MAX_NOTES && !notes.contains(&note) {
            notes.push(note);
        }
    }

    /// What was found to be damaged so far, each a sentence.
    #[must_use]
    pub fn notes(&self) -> Vec<String> {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What it is, in a few words: `DWARF 5, 2312 units`.
    ///
    /// # Errors
    /// [`DwarfError`] when not even its first unit can be read.
    pub fn summary(&self) -> Result<String, DwarfError> {
        let first = *self.units().first().ok_or(DwarfError::None)?;
        let version = self.unit(&self.gimli(), first)?.header.version();
        let shared = self.units().partition_point(|unit| !self.is_shared(*unit));
        let own = format!("DWARF {version}, {shared} units");
        Ok(match &self.supplement {
            Some(supplement) => {
                let more = self.units().len().saturating_sub(shared);
                let path = crate::dump::scrub(supplement.path.as_os_str().as_encoded_bytes());
                format!("{own}, and {more} in {path}")
            }
            None => own,
        })
    }

    /// From an address of the running kernel to that in the file.
    #[must_use]
    pub fn linked(&self, at: VirtAddr) -> u64 {
        at.0.wrapping_sub(self.shift)
    }
}

#[cfg(all(test, target_arch = "x86_64"))]
mod tests;
