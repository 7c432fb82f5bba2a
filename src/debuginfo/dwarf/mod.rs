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

pub use frame::Caller;
pub use locals::{Local, LocalPlace};
pub use location::{Activation, DwarfOf, FrameRegisters};
pub use positions::Position;

use super::elf::Vmlinux;
use crate::dump::VirtAddr;
use gimli::{DebugInfoOffset, EndianSlice, LittleEndian, SectionId, Unit};
use sections::Contents;
use std::fmt;
use std::sync::OnceLock;

/// Bytes of a section, as gimli reads them.
type Reader<'d> = EndianSlice<'d, LittleEndian>;

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
    units: OnceLock<Vec<DebugInfoOffset>>,
    unit_ranges: ranges::UnitRanges,
    places: positions::Places,
    own: die::OwnOfUnits,
    signatures: die::Signatures,
    index: index::Index,
    definitions: types::Definitions,
    /// The number of its types' source.
    source: u16,
    frames: frame::Frames,
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
    pub fn new(file: &Vmlinux, shift: u64, source: u16) -> Result<Dwarf, DwarfError> {
        let sections = gimli::DwarfSections::load(|id: SectionId| {
            let contents = sections::load(file, id.name())?;
            if id == SectionId::DebugInfo && contents.is_empty() {
                return Err(DwarfError::None);
            }
            Ok(contents)
        })?;
        let frames = frame::Frames::load(file)?;
        Ok(Dwarf {
            sections,
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
        })
    }

    /// All of it, as gimli reads it.
    fn gimli(&self) -> gimli::Dwarf<Reader<'_>> {
        self.sections.borrow(|contents| EndianSlice::new(contents, LittleEndian))
    }

    /// Where each unit begins, in the order of the file. A damaged header ends the list: where the
    /// next one begins is not known.
    fn units(&self) -> &[DebugInfoOffset] {
        self.units.get_or_init(|| {
            let dwarf = self.gimli();
            let mut headers = dwarf.units();
            let mut units = Vec::new();
            while let Ok(Some(header)) = headers.next() {
                units.extend(header.debug_info_offset());
            }
            units
        })
    }

    /// The unit that begins there, with its abbreviations.
    fn unit<'d>(
        dwarf: &gimli::Dwarf<Reader<'d>>,
        at: DebugInfoOffset,
    ) -> Result<Unit<Reader<'d>>, DwarfError> {
        let header = dwarf.debug_info.header_from_offset(at)?;
        Ok(dwarf.unit(header)?)
    }

    /// What it is, in a few words: `DWARF 5, 2312 units`.
    ///
    /// # Errors
    /// [`DwarfError`] when not even its first unit can be read.
    pub fn summary(&self) -> Result<String, DwarfError> {
        let first = *self.units().first().ok_or(DwarfError::None)?;
        let version = Dwarf::unit(&self.gimli(), first)?.header.version();
        Ok(format!("DWARF {version}, {} units", self.units().len()))
    }

    /// From an address of the running kernel to that in the file.
    #[must_use]
    pub fn linked(&self, at: VirtAddr) -> u64 {
        at.0.wrapping_sub(self.shift)
    }
}

#[cfg(all(test, target_arch = "x86_64"))]
mod tests;
