//! Where a session's names and types come from: the dump itself, or the kernel's ELF file.

use super::module::{self, Module};
use super::{Kernel, Known, Options, Unknown};
use crate::debuginfo::{Btf, KallsymsAddresses, SymbolTable, Symbols, Types, kallsyms};
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
        match kernel_symbols(memory, info, options) {
            Ok(table) => found.symbols = Symbols::new(table, Vec::new()),
            Err(unknown) => found.notes.push(format!("no symbols: {unknown}")),
        }
        let kernel = Kernel { memory, types: &found.types, symbols: &found.symbols };
        let btf = kernel_types(kernel);
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

fn kernel_symbols(
    memory: &dyn VirtualMemory,
    info: &VmcoreInfo,
    _options: &Options,
) -> Known<SymbolTable> {
    let read = || kallsyms::read(memory, &KallsymsAddresses::locate(|name| info.symbol(name))?);
    read().map_err(|error| Unknown::because(error.to_string()))
}

fn kernel_types(kernel: Kernel<'_>) -> Known<Arc<Btf>> {
    let (start, stop) = (kernel.symbol("__start_BTF")?, kernel.symbol("__stop_BTF")?);
    let btf = Btf::read(kernel.memory, start, stop, 0);
    Ok(Arc::new(btf.map_err(|error| Unknown::because(error.to_string()))?))
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
