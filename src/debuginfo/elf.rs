//! The kernel's ELF file, vmlinux: symbols, BTF and other sections of it; and a module's file.
//!
//! The file is mapped and only its headers are read at first; its 600 MB are mostly DWARF. What it
//! says about addresses is about the place that the kernel was linked for; where KASLR moved it to
//! is for the caller to say.

use super::relocate;
use super::symbols::SymbolTable;
use crate::dump::{Bytes, VirtAddr, scrub};
use goblin::container::{Container, Ctx, Endian};
use goblin::elf::header::{EM_X86_64, ET_DYN, ET_EXEC, ET_REL};
use goblin::elf::section_header::{
    SHF_ALLOC, SHF_COMPRESSED, SHF_EXECINSTR, SHF_WRITE, SHN_LORESERVE, SHN_UNDEF, SHT_NOBITS,
    SHT_NOTE, SHT_RELA, SHT_SYMTAB, SectionHeader,
};
use goblin::elf::sym::{STB_GLOBAL, STB_LOCAL, STB_WEAK, STT_FILE, STT_OBJECT, STT_SECTION, Sym};
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

    /// The symbols that kallsyms would have too, those of the kernel's half of the address space
    /// `shift` bytes further up: what KASLR added. Offsets of per-CPU variables stay, as absolute
    /// ones (`A`).
    ///
    /// # Errors
    /// [`ElfError::Stripped`].
    pub fn symbols(&self, shift: u64) -> Result<SymbolTable, ElfError> {
        let mut found = Vec::new();
        for (name, symbol) in self.each_symbol().ok_or(ElfError::Stripped)? {
            let Some(letter) = self.letter(&symbol) else { continue };
            let (at, letter) = if symbol.st_value & KERNEL_HALF != 0 {
                (symbol.st_value.wrapping_add(shift), letter)
            } else {
                (symbol.st_value, 'A')
            };
            found.push((at, rank(name, letter), name, letter));
        }
        found.sort_unstable();
        let mut table = SymbolTable::new(None);
        for &(at, _, name, letter) in &found {
            table.push(&scrub(name), VirtAddr(at), letter);
        }
        let end = found.last().map_or(0, |last| last.0);
        Ok(table.finish(VirtAddr(end).plus(1)))
    }

    /// The symbols of a module's file, placed where its sections were loaded: a table for each
    /// region of its memory, since other modules may lie between them.
    ///
    /// # Errors
    /// [`ElfError::Stripped`].
    pub fn module_symbols(
        &self,
        module: &str,
        regions: &[Range<VirtAddr>],
    ) -> Result<Vec<SymbolTable>, ElfError> {
        let mut found = Vec::new();
        for (name, symbol) in self.each_symbol().ok_or(ElfError::Stripped)? {
            if let Some(letter) = self.letter(&symbol)
                && let Some(section) = self.sections.get(symbol.st_shndx)
            {
                let at = VirtAddr(section.sh_addr.wrapping_add(symbol.st_value));
                found.push((at, rank(name, letter), name, letter));
            }
        }
        found.sort_unstable();
        let table = |region: &Range<VirtAddr>| {
            let mut table = SymbolTable::new(Some(module));
            for (at, _, name, letter) in found.iter().filter(|(at, ..)| region.contains(at)) {
                table.push(&scrub(name), *at, *letter);
            }
            table.finish(region.end)
        };
        Ok(regions.iter().map(table).collect())
    }

    /// The symbols that are of the kernel, with their names.
    fn each_symbol(&self) -> Option<impl Iterator<Item = (&[u8], Sym)>> {
        let table = self.sections.iter().find(|section| section.sh_type == SHT_SYMTAB)?;
        let names = self.sections.get(usize::try_from(table.sh_link).ok()?)?;
        let bytes = self.contents(table)?;
        let count = bytes.len() / Sym::size(Container::Big);
        let symbols = Symtab::parse(bytes, 0, count, context()).ok()?;
        Some(symbols.iter().filter_map(move |symbol| {
            let kind = symbol.st_type();
            if symbol.st_shndx == usize::try_from(SHN_UNDEF).ok()?
                || kind == STT_SECTION
                || kind == STT_FILE
            {
                return None;
            }
            let name = self.text(names, symbol.st_name)?;
            (!name.is_empty() && !is_left_out(name)).then_some((name, symbol))
        }))
    }

    /// `nm`'s letter; `None` for what is not part of the loaded kernel.
    fn letter(&self, symbol: &Sym) -> Option<char> {
        let bind = symbol.st_bind();
        if bind == STB_WEAK {
            return Some(if symbol.st_type() == STT_OBJECT { 'V' } else { 'W' });
        }
        let letter = match u32::try_from(symbol.st_shndx).ok()? {
            // Among them the constants of assembler files, which are no addresses.
            SHN_LORESERVE.. => return None,
            index => {
                let section = self.sections.get(usize::try_from(index).ok()?)?;
                let flag = |flag: u32| section.sh_flags & u64::from(flag) != 0;
                match () {
                    () if !flag(SHF_ALLOC) => return None,
                    () if flag(SHF_EXECINSTR) => 'T',
                    () if section.sh_type == SHT_NOBITS => 'B',
                    () if flag(SHF_WRITE) => 'D',
                    () => 'R',
                }
            }
        };
        let local = bind == STB_LOCAL || bind != STB_GLOBAL;
        Some(if local { letter.to_ascii_lowercase() } else { letter })
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

/// Of several names of one address the kernel prefers those that are not weak, that the linker
/// script did not make, and that begin with fewer underscores (`compare_symbols()` in
/// `scripts/kallsyms.c`): the lowest rank.
fn rank(name: &[u8], letter: char) -> u32 {
    let of_script = name.strip_prefix(b"__").is_some_and(|rest| {
        [b"start_".as_slice(), b"stop_", b"end_"].iter().any(|start| rest.starts_with(start))
            || rest.ends_with(b"_start")
            || rest.ends_with(b"_end")
    });
    let weak = matches!(letter, 'W' | 'w');
    let underscores = name.iter().take(255).take_while(|&&byte| byte == b'_').count();
    u32::from(weak) << 9 | u32::from(of_script) << 8 | u32::try_from(underscores).unwrap_or(0)
}

/// Whether kallsyms leaves a symbol out (`scripts/mksysmap`): labels of the compiler, and what
/// `EXPORT_SYMBOL` makes beside the symbol that it exports.
fn is_left_out(name: &[u8]) -> bool {
    [b".L".as_slice(), b"__crc_", b"__kstrtab"].iter().any(|start| name.starts_with(start))
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
pub(super) mod tests {
    use super::*;
    use goblin::elf::section_header::{SHT_PROGBITS, SHT_STRTAB};

    const TEXT: u64 = 0xffff_ffff_8100_0000;
    const RODATA: u64 = 0xffff_ffff_8200_0000;

    /// Name, type, flags, address, link and contents.
    pub(in crate::debuginfo) type Part<'p> = (&'p str, u32, u32, u64, u32, &'p [u8]);

    /// An ELF file of sections.
    pub(in crate::debuginfo) fn file(sections: &[Part]) -> Vec<u8> {
        let mut names = vec![0];
        let mut headers = vec![0; 64];
        let mut contents = vec![0; 64];
        for (name, kind, flags, at, link, bytes) in sections {
            let name_at = u32::try_from(names.len()).unwrap();
            names.extend(name.bytes().chain([0]));
            headers.extend(name_at.to_le_bytes());
            headers.extend(kind.to_le_bytes());
            headers.extend(u64::from(*flags).to_le_bytes());
            headers.extend(at.to_le_bytes());
            headers.extend(u64::try_from(contents.len()).unwrap().to_le_bytes());
            headers.extend(u64::try_from(bytes.len()).unwrap().to_le_bytes());
            headers.extend(link.to_le_bytes());
            headers.extend([0; 20]);
            contents.extend(*bytes);
        }
        let name_table = contents.len();
        contents.extend(&names);
        headers.extend([0, 0, 0, 0, 3, 0, 0, 0]);
        headers.extend([0; 16]);
        headers.extend(u64::try_from(name_table).unwrap().to_le_bytes());
        headers.extend(u64::try_from(names.len()).unwrap().to_le_bytes());
        headers.extend([0; 24]);
        let table_at = u64::try_from(contents.len()).unwrap();
        let count = u16::try_from(sections.len() + 2).unwrap();
        contents.extend(&headers);
        let mut start = b"\x7fELF\x02\x01\x01".to_vec();
        start.resize(16, 0);
        start.extend([2, 0, 62, 0, 1, 0, 0, 0]);
        start.extend([0; 16]);
        start.extend(table_at.to_le_bytes());
        start.extend([0, 0, 0, 0, 64, 0, 56, 0, 0, 0, 64, 0]);
        start.extend(count.to_le_bytes());
        start.extend((count - 1).to_le_bytes());
        contents[..64].copy_from_slice(&start);
        contents
    }

    /// `Elf64_Sym`s after the empty one, and the names: name, `st_info`, section, value.
    fn symbols(symbols: &[(&str, u8, u16, u64)]) -> (Vec<u8>, Vec<u8>) {
        let (mut table, mut names) = (vec![0; 24], vec![0]);
        for (name, info, section, value) in symbols {
            table.extend(u32::try_from(names.len()).unwrap().to_le_bytes());
            table.extend([*info, 0]);
            table.extend(section.to_le_bytes());
            table.extend(value.to_le_bytes());
            table.extend([0; 8]);
            names.extend(name.bytes().chain([0]));
        }
        (table, names)
    }

    /// A kernel of release 6.1.0-test with the build id abcdef.
    pub(in crate::debuginfo) fn vmlinux() -> Vec<u8> {
        let (table, names) = symbols(&[
            ("helper", 0x02, 1, TEXT),
            ("__alias", 0x12, 1, TEXT + 0x10),
            ("schedule", 0x12, 1, TEXT + 0x10),
            ("__weak", 0x22, 1, TEXT + 0x10),
            ("linux_banner", 0x11, 2, RODATA + 8),
            ("current_task", 0x11, 3, 0x40),
            ("__crc_x", 0x10, 0xfff1, 0x1234_5678),
            ("undefined", 0x10, 0, 0),
            ("debug", 0x00, 4, 0),
            (".L12", 0x00, 1, TEXT + 4),
            ("_end", 0x10, 2, RODATA + 0x100),
        ]);
        let mut note = Vec::new();
        for (kind, contents) in [(1_u32, [9_u8, 9, 9]), (3, [0xab, 0xcd, 0xef])] {
            note.extend([4, 0, 0, 0, 3, 0, 0, 0]);
            note.extend(kind.to_le_bytes());
            note.extend(b"GNU\0");
            note.extend(contents);
            note.push(0);
        }
        file(&[
            (".text", SHT_PROGBITS, SHF_ALLOC | SHF_EXECINSTR, TEXT, 0, &[0xc3; 0x20]),
            (
                ".rodata",
                SHT_PROGBITS,
                SHF_ALLOC,
                RODATA,
                0,
                b"........Linux version 6.1.0-test (me@here) #1\0",
            ),
            (".data..percpu", SHT_PROGBITS, SHF_ALLOC | SHF_WRITE, 0, 0, &[0; 8]),
            (".debug_info", SHT_PROGBITS, SHF_COMPRESSED, 0, 0, &[0; 8]),
            (".notes", SHT_NOTE, SHF_ALLOC, RODATA + 0x1000, 0, &note),
            (".symtab", SHT_SYMTAB, 0, 0, 7, &table),
            (".strtab", SHT_STRTAB, 0, 0, 0, &names),
        ])
    }

    pub(in crate::debuginfo) fn open(bytes: Vec<u8>) -> Result<ElfFile, ElfError> {
        ElfFile::new(Bytes::Owned(bytes))
    }

    #[test]
    fn symbols_move_with_the_kernel_and_percpu_offsets_do_not() {
        let vmlinux = open(vmlinux()).unwrap();
        let table = vmlinux.symbols(0x100_0000).unwrap();
        let found: Vec<(&str, char, u64)> =
            table.iter().map(|s| (s.name, s.letter, s.at.0)).collect();
        assert_eq!(
            found,
            [
                ("current_task", 'A', 0x40),
                ("helper", 't', TEXT + 0x100_0000),
                ("schedule", 'T', TEXT + 0x100_0010),
                ("__alias", 'T', TEXT + 0x100_0010),
                ("__weak", 'W', TEXT + 0x100_0010),
                ("linux_banner", 'R', RODATA + 0x100_0008),
                ("_end", 'R', RODATA + 0x100_0100),
            ]
        );
        let resolved = table.resolve(VirtAddr(TEXT + 0x100_0018)).unwrap();
        assert_eq!((resolved.symbol.name, resolved.offset), ("schedule", 8));
    }

    #[test]
    fn the_file_says_which_kernel_it_is() {
        let vmlinux = open(vmlinux()).unwrap();
        assert_eq!(vmlinux.build_id().as_deref(), Some("abcdef"));
        assert_eq!(vmlinux.release().as_deref(), Some("6.1.0-test"));
    }

    #[test]
    fn only_sections_that_are_in_the_file_are_given() {
        let vmlinux = open(vmlinux()).unwrap();
        let text = vmlinux.section(".text").unwrap();
        assert_eq!((text.at, text.bytes.len()), (VirtAddr(TEXT), 0x20));
        assert_eq!(vmlinux.section(".debug_info"), None);
        assert_eq!(vmlinux.section(".BTF"), None);
    }

    #[test]
    fn other_files_are_told_apart() {
        let error = |bytes| open(bytes).err().unwrap().to_string();
        assert_eq!(
            error(b"MZ vmlinuz".to_vec()),
            "not an ELF file (vmlinux, not vmlinuz, is wanted)"
        );
        assert_eq!(error(b"\x1f\x8b\x08\0".to_vec()), "it is packed: unpack it first (gzip -d)");
        let mut other = vmlinux();
        other[18] = 183;
        assert_eq!(error(other), "an ELF file of another machine than x86-64");
        let stripped = open(file(&[])).unwrap();
        assert!(matches!(stripped.symbols(0), Err(ElfError::Stripped)));
    }

    #[test]
    fn damage_never_panics() {
        let good = vmlinux();
        let use_all = |bytes: Vec<u8>| {
            let Ok(vmlinux) = open(bytes) else { return };
            _ = (vmlinux.build_id(), vmlinux.release(), vmlinux.section(".text").is_some());
            _ = vmlinux.symbols(0x1000).is_ok();
        };
        for cut in 0..good.len() {
            use_all(good[..cut].to_vec());
        }
        for place in 0..good.len() {
            for flip in [0x01, 0x80, 0xff] {
                let mut bad = good.clone();
                bad[place] ^= flip;
                use_all(bad);
            }
        }
    }
}
