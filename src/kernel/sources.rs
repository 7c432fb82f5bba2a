//! Where a session's names and types come from: the dump itself, or the kernel's ELF file.

use super::debug_files::{DebugFiles, DwarfTypes, KERNEL_DWARF, Of};
use super::module::{self, Module};
use super::{Kernel, Known, Unknown};
use crate::debuginfo::{
    Btf, Found, KallsymsAddresses, SymbolTable, Symbols, Types, build_id, kallsyms,
};
use crate::dump::{VirtAddr, VmcoreInfo};
use crate::memory::VirtualMemory;
use std::ops::Range;
use std::sync::Arc;

/// Bytes of all modules' BTF; each has a part of the kernel's 5 MB.
const MAX_MODULE_BTF: u64 = 256 << 20;
/// Symbols of all modules together: several times those of all the drivers there are.
const MAX_MODULE_SYMBOLS: usize = 4 << 20;
/// Bytes of the kernel's notes: it has a handful.
const MAX_NOTES: u64 = 1 << 20;

/// Names and types, and what could not be had.
#[derive(Default)]
pub(super) struct Sources {
    pub(super) symbols: Symbols,
    pub(super) types: Types,
    pub(super) modules: Vec<Module>,
    /// Whether the kernel's types are those of its BTF.
    pub(super) has_btf: bool,
    pub(super) notes: Vec<String>,
}

impl Sources {
    /// Finds them. The kernel's ELF file is only looked for when the dump lacks something. What cannot
    /// be had leaves a note.
    pub(super) fn find(
        memory: &dyn VirtualMemory,
        info: &VmcoreInfo,
        files: &Arc<DebugFiles>,
        no_btf: bool,
    ) -> Sources {
        let mut found = Sources::default();
        match kernel_symbols(memory, info, files) {
            Ok(table) => found.symbols = Symbols::new(table, Vec::new()),
            Err(unknown) => {
                // Types and modules are found by their symbols.
                found.notes.push(format!("no symbols, and so no types: {unknown}"));
                return found;
            }
        }
        let kernel = Kernel { memory, types: &found.types, symbols: &found.symbols };
        files.note_build_id(|| noted_build_id(kernel));
        let btf = if no_btf {
            Err(Unknown::because("BTF is not wanted"))
        } else {
            kernel_btf(kernel, files)
        };
        if let Err(no_btf) = &btf
            && let Err(no_dwarf) = files.dwarf()
        {
            let why = if no_dwarf == *no_btf { String::new() } else { format!("{no_btf}; ") };
            found.notes.push(format!("no types: {why}{no_dwarf}"));
        }
        let btf = btf.ok();
        found.has_btf = btf.is_some();
        found.types.add(Box::new(btf.clone()));
        let (files, of) = (Arc::clone(files), Of::Kernel);
        let dwarf = DwarfTypes { files: Arc::clone(&files), of, besides_btf: btf.is_some() };
        debug_assert_eq!(found.types.next_source(), KERNEL_DWARF);
        found.types.add(Box::new(dwarf));
        found.add_modules(memory, btf.as_ref(), &files);
        found
    }

    fn add_modules(
        &mut self,
        memory: &dyn VirtualMemory,
        btf: Option<&Arc<Btf>>,
        files: &Arc<DebugFiles>,
    ) {
        let kernel = Kernel { memory, types: &self.types, symbols: &self.symbols };
        let (modules, mut notes) = module::read(kernel);
        let mut tables: Vec<SymbolTable> = Vec::new();
        let mut types = Vec::new();
        let mut with_btf = vec![false; modules.len()];
        let (mut symbols_left, mut btf_left) = (MAX_MODULE_SYMBOLS, MAX_MODULE_BTF);
        let mut without_symbols = Vec::new();
        for (number, (module, with_btf)) in modules.iter().zip(&mut with_btf).enumerate() {
            match module.symbols(kernel, symbols_left) {
                Ok(symbols) => {
                    let count = symbols.iter().map(SymbolTable::len).sum();
                    symbols_left = symbols_left.saturating_sub(count);
                    tables.extend(symbols);
                }
                Err(unknown) => without_symbols.push((number, module, unknown)),
            }
            let (Some(base), Some(at)) = (btf, &module.btf) else { continue };
            let len = at.end.offset_from(at.start).unwrap_or(0);
            if len > btf_left {
                notes.push(format!("no types of module {}: too much BTF", module.name));
                continue;
            }
            btf_left -= len;
            let taken = u16::try_from(types.len()).unwrap_or(u16::MAX);
            match module_types(kernel, at, base, self.types.next_source().saturating_add(taken)) {
                Ok(btf) => {
                    *with_btf = true;
                    types.push(btf);
                }
                Err(unknown) => {
                    notes.push(format!("no types of module {}: {unknown}", module.name));
                }
            }
        }
        for btf in types {
            self.types.add(Box::new(btf));
        }
        files.set_modules(&modules, btf, self.types.next_source());
        for (number, module, not_in_dump) in without_symbols {
            let file = files.module_file(number);
            let symbols = |found: &Found| found.file.module_symbols(&module.name, &module.regions);
            match file.and_then(|found| symbols(found).map_err(unknown)) {
                Ok(symbols) => tables.extend(symbols),
                Err(missing) => {
                    let name = &module.name;
                    notes.push(format!("no symbols of module {name}: {not_in_dump}; {missing}"));
                }
            }
        }
        for table in tables {
            self.symbols.add(table);
        }
        for (number, besides_btf) in with_btf.into_iter().enumerate() {
            let of = Of::Module(number);
            let types = DwarfTypes { files: Arc::clone(files), of, besides_btf };
            self.types.add_file(Box::new(types));
        }
        self.modules = modules;
        self.notes.extend(notes);
    }
}

fn unknown(error: impl std::fmt::Display) -> Unknown {
    Unknown::because(error.to_string())
}

/// From kallsyms in the dump, where VMCOREINFO has it (6.0) or wherever it is, or else from the
/// kernel's ELF file, moved by as much as KASLR moved the kernel.
fn kernel_symbols(
    memory: &dyn VirtualMemory,
    info: &VmcoreInfo,
    files: &DebugFiles,
) -> Known<SymbolTable> {
    let address = |name: &str| info.symbol(name);
    let read = || kallsyms::read(memory, &KallsymsAddresses::locate(address)?);
    let search = |_| kallsyms::search(memory, address);
    read().or_else(search).or_else(|error| match files.vmlinux() {
        Ok(found) => found.file.symbols(files.shift(&found.file)).map_err(unknown),
        Err(missing) => Err(Unknown::because(format!("{error}; {missing}"))),
    })
}

/// The build id among the notes that the linker put between `__start_notes` and `__stop_notes`
/// (include/asm-generic/vmlinux.lds.h).
fn noted_build_id(kernel: Kernel<'_>) -> Option<String> {
    let (start, stop) = (kernel.symbol("__start_notes").ok()?, kernel.symbol("__stop_notes").ok()?);
    let len = stop.offset_from(start).filter(|len| *len <= MAX_NOTES)?;
    let notes = kernel.memory.read_vec(start, usize::try_from(len).ok()?).ok()?;
    build_id(&notes)
}

/// From the dump's memory, or else from the kernel's ELF file.
fn kernel_btf(kernel: Kernel<'_>, files: &DebugFiles) -> Known<Arc<Btf>> {
    let read = || -> Known<Btf> {
        let (start, stop) = (kernel.symbol("__start_BTF")?, kernel.symbol("__stop_BTF")?);
        Btf::read(kernel.memory, start, stop, 0).map_err(unknown)
    };
    let from_file = |error: Unknown| {
        let found =
            files.vmlinux().map_err(|missing| Unknown::because(format!("{error}; {missing}")))?;
        let section = found.file.section(".BTF").ok_or(error)?;
        Btf::new(section.bytes.to_vec(), 0).map_err(unknown)
    };
    read().or_else(from_file).map(Arc::new)
}

fn module_types(
    kernel: Kernel<'_>,
    at: &Range<VirtAddr>,
    base: &Arc<Btf>,
    source: u16,
) -> Known<Btf> {
    let len = at.end.offset_from(at.start).and_then(|len| usize::try_from(len).ok());
    let bytes = kernel.memory.read_vec(at.start, len.unwrap_or(0))?;
    Btf::split(base, bytes, source).map_err(unknown)
}
