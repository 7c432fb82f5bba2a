//! The kernel's ELF file, vmlinux: symbols, BTF and other sections of it; and a module's file.
//!
//! The file is mapped and only its headers are read at first; its 600 MB are mostly DWARF. What it
//! says about addresses is about the place that the kernel was linked for; where KASLR moved it to
//! is for the caller to say.

mod symbols;

use super::relocate;
use crate::dump::{Bytes, VirtAddr, scrub};
use goblin::container::{Container, Ctx, Endian};
use goblin::elf::header::{EM_X86_64, ET_DYN, ET_EXEC, ET_REL};
use goblin::elf::section_header::{
    SHF_COMPRESSED, SHN_LORESERVE, SHN_UNDEF, SHT_NOBITS, SHT_NOTE, SHT_RELA, SectionHeader,
};
use goblin::elf::sym::Sym;
use goblin::elf::{Elf, Symtab};
use std::ffi::CStr;
use std::fs::File;
use std::io;
use std::ops::{Deref, Range};
use std::path::Path;
use std::sync::Arc;

/// `NT_GNU_BUILD_ID`
const BUILD_ID: u32 = 3;
/// The kernel's half of the address space.
const KERNEL_HALF: u64 = 1 << 63;

/// Why a file is no kernel that can be used.
#[derive(Debug, thiserror::Error)]
pub enum ElfError {
    /// It cannot be read at all.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// It is not an ELF file; a compressed kernel image (vmlinuz) is none.
    #[error("not an ELF file (vmlinux, not vmlinuz, is wanted)")]
    NotElf,
    /// It has to be unpacked first.
    #[error("it is packed: unpack it first ({0})")]
    Packed(&'static str),
    /// It is an ELF file of something else.
    #[error("{0}")]
    Foreign(&'static str),
    /// It contradicts itself or is cut off.
    #[error("damaged ELF file: {0}")]
    Damaged(&'static str),
    /// It was stripped.
    #[error("it has no symbol table")]
    Stripped,
}

/// The kernel's file, a module's, or one with debug information of either.
pub struct ElfFile {
    bytes: Arc<Bytes>,
    sections: Vec<SectionHeader>,
    /// The section that holds the names of the sections.
    names: usize,
    /// It was not linked: a module's.
    relocatable: bool,
}

/// A section that is in the file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Section<'f> {
    /// Where it was linked to; null for one that is not loaded.
    pub at: VirtAddr,
    /// Its contents.
    pub bytes: &'f [u8],
}

/// A section's bytes as they are in the file, kept as long as they are needed.
pub(super) struct Stored {
    file: Arc<Bytes>,
    range: Range<usize>,
    /// `SHF_COMPRESSED`: it begins with an `Elf64_Chdr`.
    pub(super) compressed: bool,
}

impl Deref for Stored {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.file.get(self.range.clone()).unwrap_or_default()
    }
}

impl ElfFile {
    /// Opens the file and reads its headers.
    ///
    /// # Errors
    /// [`ElfError`] when it is not an x86-64 kernel.
    pub fn open(path: &Path) -> Result<ElfFile, ElfError> {
        ElfFile::new(map(path)?)
    }

    /// Opens a module's file, which may be compressed.
    ///
    /// # Errors
    /// [`ElfError`] when it is no x86-64 module.
    pub fn open_module(path: &Path) -> Result<ElfFile, ElfError> {
        let file = ElfFile::parse(relocate::unpack(map(path)?)?)?;
        if !file.relocatable {
            return Err(ElfError::Foreign("an ELF file that is no module"));
        }
        Ok(file)
    }

    /// Opens what dwz moved out of other files, whatever kind of file it calls itself.
    ///
    /// # Errors
    /// [`ElfError`] when it is no x86-64 ELF file.
    pub(super) fn open_supplement(path: &Path) -> Result<ElfFile, ElfError> {
        Ok(ElfFile { relocatable: false, ..ElfFile::parse(map(path)?)? })
    }

    /// Reads the headers of a file that is in memory.
    ///
    /// # Errors
    /// As [`ElfFile::open`].
    pub fn from_vec(bytes: Vec<u8>) -> Result<ElfFile, ElfError> {
        ElfFile::new(Bytes::Owned(bytes))
    }

    fn new(bytes: Bytes) -> Result<ElfFile, ElfError> {
        let file = ElfFile::parse(bytes)?;
        if file.relocatable {
            return Err(ElfError::Foreign("an ELF file that is no program (a module or a core?)"));
        }
        Ok(file)
    }

    fn parse(bytes: Bytes) -> Result<ElfFile, ElfError> {
        if !bytes.starts_with(b"\x7fELF") {
            return Err(match bytes.get(..4) {
                Some([0x1f, 0x8b, ..]) => ElfError::Packed("gzip -d"),
                Some([0x28, 0xb5, 0x2f, 0xfd]) => ElfError::Packed("zstd -d"),
                Some([0xfd, b'7', b'z', b'X']) => ElfError::Packed("xz -d"),
                _ => ElfError::NotElf,
            });
        }
        let header = Elf::parse_header(&bytes).map_err(|_| ElfError::Damaged("its header"))?;
        let little = header.endianness().is_ok_and(|endian| endian.is_little());
        let wide = header.container().is_ok_and(|container| container.is_big());
        if header.e_machine != EM_X86_64 || !little || !wide {
            return Err(ElfError::Foreign("an ELF file of another machine than x86-64"));
        }
        if ![ET_EXEC, ET_DYN, ET_REL].contains(&header.e_type) {
            return Err(ElfError::Foreign("an ELF file that is no program (a module or a core?)"));
        }
        const SECTIONS: ElfError = ElfError::Damaged("its section headers");
        let offset = usize::try_from(header.e_shoff).map_err(|_| SECTIONS)?;
        let sections = SectionHeader::parse(&bytes, offset, usize::from(header.e_shnum), context());
        let sections = sections.map_err(|_| SECTIONS)?;
        Ok(ElfFile {
            bytes: Arc::new(bytes),
            sections,
            names: usize::from(header.e_shstrndx),
            relocatable: header.e_type == ET_REL,
        })
    }

    /// Says where the kernel loaded a module's sections.
    pub fn place(&mut self, loaded: &[(String, VirtAddr)]) {
        for (name, at) in loaded {
            let number = self.number(name);
            if let Some(section) = number.and_then(|number| self.sections.get_mut(number)) {
                section.sh_addr = at.0;
            }
        }
    }

    /// Whether a section of that name is there, of whatever size.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.header(name).is_some_and(|section| section.sh_type != SHT_NOBITS)
    }

    /// Whether it has DWARF.
    #[must_use]
    pub fn has_debug_info(&self) -> bool {
        self.has(".debug_info") || self.has(".zdebug_info")
    }

    /// Fills what a module's file leaves open in a section; see [`relocate`].
    pub(super) fn relocate(&self, name: &str, contents: &mut [u8]) {
        let Some(number) = self.number(name) else { return };
        let at = self.sections.get(number).map_or(0, |section| section.sh_addr);
        let filling = |section: &&SectionHeader| {
            section.sh_type == SHT_RELA && usize::try_from(section.sh_info) == Ok(number)
        };
        for relocations in self.sections.iter().filter(filling) {
            let Some(bytes) = self.contents(relocations) else { continue };
            let Some(table) = usize::try_from(relocations.sh_link)
                .ok()
                .and_then(|number| self.contents(self.sections.get(number)?))
            else {
                continue;
            };
            let count = table.len() / Sym::size(Container::Big);
            let Ok(symbols) = Symtab::parse(table, 0, count, context()) else { continue };
            relocate::apply(contents, at, bytes, |symbol| {
                let symbol = symbols.get(symbol)?;
                let section = u32::try_from(symbol.st_shndx).ok()?;
                let base = match section {
                    SHN_UNDEF => return None,
                    SHN_LORESERVE.. => 0,
                    _ => self.sections.get(symbol.st_shndx)?.sh_addr,
                };
                Some(base.wrapping_add(symbol.st_value))
            });
        }
    }

    /// Whether [`ElfFile::relocate`] would change that section.
    pub(super) fn has_holes(&self, name: &str) -> bool {
        self.relocatable && self.number(&format!(".rela{name}")).is_some()
    }

    /// A section by its name. `None` also when its contents are not in the file, as in those that
    /// hold debug information alone, or are compressed.
    #[must_use]
    pub fn section(&self, name: &str) -> Option<Section<'_>> {
        let found = self.header(name)?;
        let bytes = self.contents(found)?;
        Some(Section { at: VirtAddr(found.sh_addr), bytes })
    }

    /// A section by its name, as it is stored: compressed perhaps.
    pub(super) fn stored(&self, name: &str) -> Option<Stored> {
        let section = self.header(name)?;
        let range = self.range(section)?;
        self.bytes.get(range.clone())?;
        let compressed = section.sh_flags & u64::from(SHF_COMPRESSED) != 0;
        Some(Stored { file: Arc::clone(&self.bytes), range, compressed })
    }

    fn header(&self, name: &str) -> Option<&SectionHeader> {
        self.sections.get(self.number(name)?)
    }

    fn number(&self, name: &str) -> Option<usize> {
        let names = self.sections.get(self.names)?;
        self.sections.iter().position(|section| {
            self.text(names, section.sh_name).is_some_and(|its| its == name.as_bytes())
        })
    }

    /// The build id in hex.
    #[must_use]
    pub fn build_id(&self) -> Option<String> {
        let notes = self.sections.iter().filter(|section| section.sh_type == SHT_NOTE);
        let mut notes = notes.filter_map(|section| self.contents(section));
        notes.find_map(build_id)
    }

    /// The release, as in the kernel's banner: `6.1.0-50-cloud-amd64`.
    #[must_use]
    pub fn release(&self) -> Option<String> {
        let banner = self.each_symbol()?.find(|(name, ..)| *name == b"linux_banner")?.1;
        let at = banner.st_value;
        let section = self.sections.get(banner.st_shndx)?;
        let bytes = self.contents(section)?;
        let text = bytes.get(usize::try_from(at.checked_sub(section.sh_addr)?).ok()?..)?;
        let rest = text.strip_prefix(b"Linux version ")?;
        let end = rest.iter().take(256).position(|&byte| byte == b' ')?;
        rest.get(..end).map(scrub)
    }

    /// A section's bytes, unless they are not in the file or compressed.
    fn contents(&self, section: &SectionHeader) -> Option<&[u8]> {
        if section.sh_flags & u64::from(SHF_COMPRESSED) != 0 {
            return None;
        }
        self.bytes.get(self.range(section)?)
    }

    /// Where in the file a section is, unless it has no contents there.
    fn range(&self, section: &SectionHeader) -> Option<Range<usize>> {
        if section.sh_type == SHT_NOBITS {
            return None;
        }
        let start = usize::try_from(section.sh_offset).ok()?;
        Some(start..start.checked_add(usize::try_from(section.sh_size).ok()?)?)
    }

    fn text(&self, strings: &SectionHeader, offset: usize) -> Option<&[u8]> {
        let rest = self.contents(strings)?.get(offset..)?;
        CStr::from_bytes_until_nul(rest).ok().map(CStr::to_bytes)
    }
}

/// Maps a file. Nothing else is opened: a pipe would wait for its writer.
fn map(path: &Path) -> Result<Bytes, ElfError> {
    if !std::fs::metadata(path)?.is_file() {
        return Err(ElfError::NotElf);
    }
    Ok(Bytes::map(&File::open(path)?)?)
}

fn context() -> Ctx {
    Ctx::new(Container::Big, Endian::Little)
}

/// The build id among ELF notes, in hex.
#[must_use]
pub fn build_id(notes: &[u8]) -> Option<String> {
    let mut rest = notes;
    while let Some((header, after)) = rest.split_at_checked(12) {
        let fields: &[[u8; 4]] = header.as_chunks().0;
        let mut fields = fields.iter().map(|&four| u32::from_le_bytes(four));
        let (name_len, len, kind) = (fields.next()?, fields.next()?, fields.next()?);
        let name_len = usize::try_from(name_len).ok()?;
        let len = usize::try_from(len).ok()?;
        // Names and contents are padded to four bytes.
        let (name, after) = after.split_at_checked(name_len.checked_next_multiple_of(4)?)?;
        let id = after.get(..len)?;
        if kind == BUILD_ID && name.starts_with(b"GNU\0") && !id.is_empty() {
            return Some(id.iter().map(|byte| format!("{byte:02x}")).collect());
        }
        rest = after.get(len.checked_next_multiple_of(4)?..)?;
    }
    None
}

#[cfg(test)]
pub(super) mod tests;
