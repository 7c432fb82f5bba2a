//! Where a session's names and types come from: the dump itself, or the kernel's ELF file.

use super::module::{self, Module};
use super::{Kernel, Known, Options, Unknown};
use crate::debuginfo::{
    Btf, ElfError, KallsymsAddresses, SymbolTable, Symbols, Types, Vmlinux, kallsyms,
};
use crate::dump::VmcoreInfo;
use crate::memory::VirtualMemory;
use std::sync::Arc;

/// A module's BTF is a part of the size of the kernel's.
const MAX_MODULE_BTF: u64 = 16 << 20;

/// Names and types, and what could not be had.
#[derive(Default)]
pub(super) struct Sources {
    pub(super) symbols: Symbols,
    pub(super) types: Types,
    pub(super) modules: Vec<Module>,
    pub(super) vmlinux: Option<Vmlinux>,
    pub(super) notes: Vec<String>,
}

impl Sources {
    /// Finds them. What cannot be had leaves a note.
    pub(super) fn find(
        memory: &dyn VirtualMemory,
        info: &VmcoreInfo,
        options: &Options,
    ) -> Sources {
        let mut found = Sources::default();
        match vmlinux(info, options) {
            Some(Ok(file)) => found.vmlinux = Some(file),
            Some(Err(unknown)) => found.notes.push(unknown.to_string()),
            None => {}
        }
        match kernel_symbols(memory, info, found.vmlinux.as_ref()) {
            Ok(table) => found.symbols = Symbols::new(table, Vec::new()),
            Err(unknown) => found.notes.push(format!("no symbols: {unknown}")),
        }
        let kernel = Kernel { memory, types: &found.types, symbols: &found.symbols };
        let btf = kernel_types(kernel, found.vmlinux.as_ref());
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
        let mut tables = Vec::new();
        let mut types = Vec::new();
        for module in &modules {
            match module.symbols(kernel) {
                Ok(symbols) => tables.extend(symbols),
                Err(unknown) => {
                    notes.push(format!("no symbols of module {}: {unknown}", module.name))
                }
            }
            let source = self
                .types
                .next_source()
                .saturating_add(u16::try_from(types.len()).unwrap_or(u16::MAX));
            match btf.and_then(|btf| module_types(kernel, module, btf, source)) {
                Some(Ok(btf)) => types.push(btf),
                Some(Err(unknown)) => {
                    notes.push(format!("no types of module {}: {unknown}", module.name));
                }
                None => {}
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

/// From kallsyms in the dump, or else from the kernel's ELF file.
fn kernel_symbols(
    memory: &dyn VirtualMemory,
    info: &VmcoreInfo,
    vmlinux: Option<&Vmlinux>,
) -> Known<SymbolTable> {
    let read = || kallsyms::read(memory, &KallsymsAddresses::locate(|name| info.symbol(name))?);
    let error = match (read(), vmlinux) {
        (Ok(table), _) => return Ok(table),
        (Err(error), None) => error,
        (Err(_), Some(vmlinux)) => return moved_symbols(vmlinux, info),
    };
    let release = info.release().unwrap_or("of this dump");
    Err(Unknown::because(format!("{error}. The vmlinux of {release} has them (option --vmlinux)")))
}

/// The symbols of the file, moved by as much as KASLR moved the kernel.
fn moved_symbols(vmlinux: &Vmlinux, info: &VmcoreInfo) -> Known<SymbolTable> {
    let unknown = |error: ElfError| Unknown::because(error.to_string());
    if let Some(shift) = info.kernel_offset() {
        return vmlinux.symbols(shift).map_err(unknown);
    }
    let table = vmlinux.symbols(0).map_err(unknown)?;
    let linked = table.find_all("_stext").next().map(|symbol| symbol.at);
    match (linked, info.symbol("_stext")) {
        (Some(linked), Some(at)) if linked != at => {
            vmlinux.symbols(at.0.wrapping_sub(linked.0)).map_err(unknown)
        }
        _ => Ok(table),
    }
}

/// From the dump's memory, or else from the kernel's ELF file.
fn kernel_types(kernel: Kernel<'_>, vmlinux: Option<&Vmlinux>) -> Known<Arc<Btf>> {
    let read = || -> Known<Btf> {
        let (start, stop) = (kernel.symbol("__start_BTF")?, kernel.symbol("__stop_BTF")?);
        Btf::read(kernel.memory, start, stop, 0)
            .map_err(|error| Unknown::because(error.to_string()))
    };
    let from_file = |unknown: Unknown| {
        let section = vmlinux.and_then(|vmlinux| vmlinux.section(".BTF")).ok_or(unknown)?;
        Btf::new(section.bytes.to_vec(), 0).map_err(|error| Unknown::because(error.to_string()))
    };
    read().or_else(from_file).map(Arc::new)
}

/// The kernel's ELF file, if it was named and is of the kernel in the dump.
fn vmlinux(info: &VmcoreInfo, options: &Options) -> Option<Known<Vmlinux>> {
    let path = options.vmlinux.as_ref().filter(|_| !options.no_debuginfo)?;
    let not_it = |why: &dyn std::fmt::Display| {
        let path = crate::dump::scrub(path.as_os_str().as_encoded_bytes());
        Unknown::because(format!("{path} is not used: {why}"))
    };
    let file = match Vmlinux::open(path) {
        Ok(file) => file,
        Err(error) => return Some(Err(not_it(&error))),
    };
    let ours = file
        .build_id()
        .zip(info.build_id().map(str::to_owned))
        .or_else(|| file.release().zip(info.release().map(str::to_owned)));
    Some(match ours {
        Some((file, dump)) if file != dump => {
            Err(not_it(&format!("it is of the kernel {file}, the dump of {dump}")))
        }
        _ => Ok(file),
    })
}

/// `None` when the module has no types of its own.
fn module_types(
    kernel: Kernel<'_>,
    module: &Module,
    base: &Arc<Btf>,
    source: u16,
) -> Option<Known<Btf>> {
    let at = module.btf.clone()?;
    let len = at.end.offset_from(at.start).filter(|len| *len <= MAX_MODULE_BTF);
    let read = || {
        let len = len.and_then(|len| usize::try_from(len).ok());
        let len = len.ok_or_else(|| Unknown::because("its size is impossible"))?;
        let bytes = kernel.memory.read_vec(at.start, len)?;
        Btf::split(base, bytes, source).map_err(|error| Unknown::because(error.to_string()))
    };
    Some(read())
}
