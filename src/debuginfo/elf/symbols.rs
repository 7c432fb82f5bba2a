//! The symbol table of an ELF file, with the symbols that kallsyms would have.

use super::{ElfError, ElfFile, KERNEL_HALF, context};
use crate::debuginfo::symbols::SymbolTable;
use crate::dump::{VirtAddr, scrub};
use goblin::container::Container;
use goblin::elf::Symtab;
use goblin::elf::section_header::{
    SHF_ALLOC, SHF_EXECINSTR, SHF_WRITE, SHN_LORESERVE, SHN_UNDEF, SHT_NOBITS, SHT_SYMTAB,
};
use goblin::elf::sym::{STB_GLOBAL, STB_LOCAL, STB_WEAK, STT_FILE, STT_OBJECT, STT_SECTION, Sym};
use std::ops::Range;

impl ElfFile {
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
    pub(super) fn each_symbol(&self) -> Option<impl Iterator<Item = (&[u8], Sym)>> {
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
