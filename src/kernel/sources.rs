//! Where a session's names and types come from: the dump itself, or the kernel's ELF file.

use super::module::{self, Module};
use super::{Kernel, Known, Options, Unknown};
use crate::debuginfo::{
    Btf, Found, Identity, KallsymsAddresses, Places, SymbolTable, Symbols, Types, Vmlinux, kallsyms,
};
use crate::dump::{VirtAddr, VmcoreInfo};
use crate::memory::VirtualMemory;
use std::ops::Range;
use std::sync::Arc;

/// Bytes of all modules' BTF; each has a part of the kernel's 5 MB.
const MAX_MODULE_BTF: u64 = 256 << 20;
/// Symbols of all modules together: several times those of all the drivers there are.
const MAX_MODULE_SYMBOLS: usize = 4 << 20;

/// Names and types, and what could not be had.
#[derive(Default)]
pub(super) struct Sources {
    pub(super) symbols: Symbols,
    pub(super) types: Types,
    pub(super) modules: Vec<Module>,
    pub(super) notes: Vec<String>,
}

impl Sources {
    /// Finds them; `vmlinux` looks for the kernel's ELF file and is only asked when the dump lacks
    /// something. What cannot be had leaves a note.
    pub(super) fn find<'f>(
        memory: &dyn VirtualMemory,
        info: &VmcoreInfo,
        vmlinux: impl Fn() -> Known<&'f Found>,
    ) -> Sources {
        let mut found = Sources::default();
        match kernel_symbols(memory, info, &vmlinux) {
            Ok(table) => found.symbols = Symbols::new(table, Vec::new()),
            Err(unknown) => {
                // Types and modules are found by their symbols.
                found.notes.push(format!("no symbols, and so no types: {unknown}"));
                return found;
            }
        }
        let kernel = Kernel { memory, types: &found.types, symbols: &found.symbols };
        let btf = kernel_types(kernel, &vmlinux);
        match &btf {
            Ok(btf) => found.types.add(Box::new(Arc::clone(btf))),
            Err(unknown) => found.notes.push(format!("no types: {unknown}")),
        }
        found.add_modules(memory, btf.ok().as_ref());
        found
    }

    fn add_modules(&mut self, memory: &dyn VirtualMemory, btf: Option<&Arc<Btf>>) {
        let kernel = Kernel { memory, types: &self.types, symbols: &self.symbols };
        let (modules, mut notes) = module::read(kernel);
        let mut tables: Vec<SymbolTable> = Vec::new();
        let mut types = Vec::new();
        let (mut symbols_left, mut btf_left) = (MAX_MODULE_SYMBOLS, MAX_MODULE_BTF);
        for module in &modules {
            match module.symbols(kernel, symbols_left) {
                Ok(symbols) => {
                    let count = symbols.iter().map(SymbolTable::len).sum();
                    symbols_left = symbols_left.saturating_sub(count);
                    tables.extend(symbols);
                }
                Err(unknown) => {
                    notes.push(format!("no symbols of module {}: {unknown}", module.name));
                }
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
                Ok(btf) => types.push(btf),
                Err(unknown) => {
                    notes.push(format!("no types of module {}: {unknown}", module.name));
                }
            }
        }
        for table in tables {
            self.symbols.add(table);
        }
        for btf in types {
            self.types.add(Box::new(btf));
        }
        self.modules = modules;
        self.notes.extend(notes);
    }
}

/// Looks for the kernel's ELF file, unless that is not wanted.
pub(super) fn find_vmlinux(of: &Identity, options: &Options) -> Known<Found> {
    if options.no_debuginfo {
        return Err(Unknown::because("debug information outside of the dump is not wanted"));
    }
    let places = Places {
        vmlinux: options.vmlinux.clone(),
        debug_dirs: options.debug_dirs.clone(),
        ..Places::of_this_machine()
    };
    places.find(of).map_err(|missing| Unknown::because(missing.to_string().replace("\n", "; ")))
}

fn unknown(error: impl std::fmt::Display) -> Unknown {
    Unknown::because(error.to_string())
}

/// From kallsyms in the dump, where VMCOREINFO has it (6.0) or wherever it is, or else from the
/// kernel's ELF file.
fn kernel_symbols<'f>(
    memory: &dyn VirtualMemory,
    info: &VmcoreInfo,
    vmlinux: &impl Fn() -> Known<&'f Found>,
) -> Known<SymbolTable> {
    let address = |name: &str| info.symbol(name);
    let read = || kallsyms::read(memory, &KallsymsAddresses::locate(address)?);
    let search = |_| kallsyms::search(memory, address);
    read().or_else(search).or_else(|error| match vmlinux() {
        Ok(found) => moved_symbols(&found.vmlinux, info),
        Err(missing) => Err(Unknown::because(format!("{error}; {missing}"))),
    })
}

/// The symbols of the file, moved by as much as KASLR moved the kernel.
fn moved_symbols(vmlinux: &Vmlinux, info: &VmcoreInfo) -> Known<SymbolTable> {
    vmlinux.symbols(shift(vmlinux, info)).map_err(unknown)
}

/// How far above where the file was linked to the kernel runs.
pub(super) fn shift(vmlinux: &Vmlinux, info: &VmcoreInfo) -> u64 {
    let by_stext = || {
        let linked = vmlinux.symbols(0).ok()?.find_all("_stext").next()?.at;
        Some(info.symbol("_stext")?.0.wrapping_sub(linked.0))
    };
    info.kernel_offset().or_else(by_stext).unwrap_or(0)
}

/// From the dump's memory, or else from the kernel's ELF file.
fn kernel_types<'f>(
    kernel: Kernel<'_>,
    vmlinux: &impl Fn() -> Known<&'f Found>,
) -> Known<Arc<Btf>> {
    let read = || -> Known<Btf> {
        let (start, stop) = (kernel.symbol("__start_BTF")?, kernel.symbol("__stop_BTF")?);
        Btf::read(kernel.memory, start, stop, 0).map_err(unknown)
    };
    let from_file = |error: Unknown| {
        let found = vmlinux().map_err(|missing| Unknown::because(format!("{error}; {missing}")))?;
        let section = found.vmlinux.section(".BTF").ok_or(error)?;
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
