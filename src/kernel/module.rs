//! Modules: the list `modules` of `struct module` (include/linux/module.h).
//!
//! The memory of a module has been laid out in three ways: `module_core` and `core_size` (to 4.4),
//! `core_layout` (4.5), and `mem[]`, a region for each kind of memory (6.4). Its symbols are an ELF
//! symbol table, `kallsyms` (4.5; before that members of the module itself), of which only those in
//! its memory that stays are kept here.

use super::fields::{Field, StructBytes, span_of};
use super::image::Kernel;
use super::walk;
use super::{Known, Unknown};
use crate::debuginfo::{SymbolTable, Type};
use crate::dump::{VirtAddr, scrub};
use std::ops::Range;

/// More modules than any machine has loaded.
const MAX_MODULES: usize = 16 * 1024;
/// `MODULE_NAME_LEN`
const MAX_NAME: u64 = 64;
/// Symbols of one module: the largest have some 50,000.
const MAX_SYMBOLS: usize = 1 << 20;
/// Bytes of a module's names.
const MAX_NAMES: u64 = 64 << 20;
/// `KSYM_NAME_LEN`
const MAX_SYMBOL: usize = 512;
/// Of `enum mod_mem_type` the first four stay: text, data, read-only data, read-only after init.
const CORE_REGIONS: u64 = 4;
/// `sizeof(Elf64_Sym)`
const ELF_SYM: usize = 24;

/// One loaded module.
#[derive(Clone, Debug)]
pub struct Module {
    /// Its `struct module`.
    pub at: VirtAddr,
    /// Its name, scrubbed.
    pub name: Box<str>,
    /// Where it is loaded; the start of its code where its memory is in several regions.
    pub base: Known<VirtAddr>,
    /// How much memory it takes up, without what it freed after its init function.
    pub size: Known<u64>,
    /// Its memory, region by region.
    pub regions: Vec<Range<VirtAddr>>,
    /// Its code.
    pub text: Known<Range<VirtAddr>>,
    /// `taints`: bits of `TAINT_…`, as in the kernel's own.
    pub taints: Known<u64>,
    /// Its ORC tables: `orc_unwind_ip`, `orc_unwind`, `num_orcs` of `struct mod_arch_specific`.
    pub orc: Known<(VirtAddr, VirtAddr, u64)>,
    /// Its BTF, which goes on where the kernel's ends.
    pub btf: Option<Range<VirtAddr>>,
}

/// Where things are in `struct module`.
struct ModuleFields {
    list: Field,
    name: Field,
    layout: Layout,
    taints: Known<Field>,
    orc: Known<[Field; 3]>,
    btf: Option<[Field; 2]>,
}

/// How this kernel keeps a module's memory.
enum Layout {
    /// `mem[]`: base and size of each region.
    Regions(Vec<[Field; 2]>),
    /// One region: base, size and the size of the code at its start.
    One([Field; 3]),
}

/// The modules, in the order of the list: the last one loaded comes first.
pub(super) fn read(kernel: Kernel<'_>) -> (Vec<Module>, Vec<String>) {
    let mut notes = Vec::new();
    let prepared =
        kernel.symbol("modules").and_then(|head| Ok((head, ModuleFields::probe(kernel)?)));
    let (head, fields) = match prepared {
        Ok(prepared) => prepared,
        Err(unknown) => return (Vec::new(), vec![format!("modules cannot be read: {unknown}")]),
    };
    let walked = walk::list(kernel.memory, head, MAX_MODULES);
    notes.extend(walked.cut.map(|cut| format!("the list of modules is damaged: {cut}")));
    let mut modules = Vec::new();
    for node in walked.found {
        match fields.read(kernel, node.minus(fields.list.offset)) {
            Ok(module) => modules.push(module),
            Err(unknown) => notes.push(format!("a module cannot be read: {unknown}")),
        }
    }
    (modules, notes)
}

impl ModuleFields {
    fn probe(kernel: Kernel<'_>) -> Known<ModuleFields> {
        let ty = kernel.structure("module")?;
        let both = |a, b| Some([Field::of(ty, a).ok()?, Field::of(ty, b).ok()?]);
        Ok(ModuleFields {
            list: Field::of(ty, "list")?,
            name: {
                let name = ty.member("name")?;
                Field::at(name.offset(), name.ty.size().unwrap_or(MAX_NAME).clamp(1, MAX_NAME))
            },
            layout: layout(ty)?,
            taints: Field::of(ty, "taints").map_err(Unknown::from),
            orc: ["arch.orc_unwind_ip", "arch.orc_unwind", "arch.num_orcs"]
                .map(|path| Field::of(ty, path).map_err(Unknown::from))
                .into_iter()
                .collect::<Known<Vec<Field>>>()
                .and_then(|fields| {
                    fields.try_into().map_err(|_| Unknown::because("no ORC tables in its types"))
                }),
            btf: both("btf_data", "btf_data_size"),
        })
    }

    fn read(&self, kernel: Kernel<'_>, at: VirtAddr) -> Known<Module> {
        let mut wanted = vec![self.name];
        match &self.layout {
            Layout::Regions(regions) => wanted.extend(regions.iter().flatten()),
            Layout::One(fields) => wanted.extend(fields),
        }
        wanted.extend(self.taints.iter());
        wanted.extend(self.orc.iter().flatten());
        wanted.extend(self.btf.iter().flatten());
        let bytes = StructBytes::read(kernel.memory, at, span_of(wanted))?;
        let name = bytes.bytes(self.name.offset, self.name.size).unwrap_or_default();
        let name = name.split(|byte| *byte == 0).next().unwrap_or_default();
        let region = |[base, size]: [Field; 2]| {
            let base = bytes.ptr(base);
            base..base.plus(bytes.get(size))
        };
        let (regions, text) = match &self.layout {
            Layout::Regions(fields) => {
                let regions: Vec<_> = fields.iter().map(|fields| region(*fields)).collect();
                let text = regions.first().cloned();
                (regions, text)
            }
            Layout::One([base, size, text]) => {
                (vec![region([*base, *size])], Some(region([*base, *text])))
            }
        };
        let none = || Unknown::because("it has no memory");
        let size_of = |region: &Range<VirtAddr>| region.end.0.saturating_sub(region.start.0);
        Ok(Module {
            at,
            name: scrub(name).into(),
            base: text.as_ref().map(|text| text.start).ok_or_else(none),
            size: Ok(regions.iter().map(size_of).fold(0, u64::saturating_add)),
            regions: regions.into_iter().filter(|region| !region.is_empty()).collect(),
            text: text.ok_or_else(none),
            taints: self.taints.clone().map(|field| bytes.get(field)),
            orc: self
                .orc
                .clone()
                .map(|[ip, entries, count]| (bytes.ptr(ip), bytes.ptr(entries), bytes.get(count))),
            btf: self.btf.map(region).filter(|btf| !btf.is_empty() && !btf.start.is_null()),
        })
    }
}

fn layout(ty: Type<'_>) -> Known<Layout> {
    if let Ok(regions) = ty.member("mem")
        && let Some(region) = regions.ty.target()
    {
        let size = region.size().unwrap_or(0);
        let count = regions.ty.size().unwrap_or(0).checked_div(size).unwrap_or(0);
        let (base, bytes) = (Field::of(region, "base")?, Field::of(region, "size")?);
        let shifted =
            |field: Field, by| Field::at(regions.offset() + by + field.offset, field.size);
        return Ok(Layout::Regions(
            (0..count.min(CORE_REGIONS))
                .map(|i| [shifted(base, i * size), shifted(bytes, i * size)])
                .collect(),
        ));
    }
    let first = |new, old| Field::first_of(ty, &[new, old]);
    Ok(Layout::One([
        first("core_layout.base", "module_core")?,
        first("core_layout.size", "core_size")?,
        first("core_layout.text_size", "core_text_size")?,
    ]))
}

impl Module {
    /// Whether an address is in its memory.
    #[must_use]
    pub fn contains(&self, at: VirtAddr) -> bool {
        self.regions.iter().any(|region| region.contains(&at))
    }

    /// Its symbols, at most `most`, a table for each of its regions, since other modules may lie
    /// between them.
    ///
    /// # Errors
    /// [`Unknown`] when its symbol table is not described or not in the dump.
    pub(super) fn symbols(&self, kernel: Kernel<'_>, most: usize) -> Known<Vec<SymbolTable>> {
        let table = ElfSymbols::read(kernel, self.at, most)?;
        let mut tables: Vec<SymbolTable> =
            self.regions.iter().map(|_| SymbolTable::new(Some(&self.name))).collect();
        for (name, at, letter) in table.iter() {
            let region = self.regions.iter().position(|region| region.contains(&at));
            if let Some(table) = region.and_then(|region| tables.get_mut(region)) {
                table.push(&name, at, letter);
            }
        }
        let ends = self.regions.iter().map(|region| region.end);
        Ok(tables.into_iter().zip(ends).map(|(table, end)| table.finish(end)).collect())
    }
}

/// An ELF symbol table with its names, as `struct mod_kallsyms` points to it.
struct ElfSymbols {
    symbols: Vec<u8>,
    names: Vec<u8>,
    /// `nm`'s letters (5.2; before that they stand in `st_info`, later `st_size`).
    letters: Vec<u8>,
}

impl ElfSymbols {
    fn read(kernel: Kernel<'_>, module: VirtAddr, most: usize) -> Known<ElfSymbols> {
        let (holder, at) = match kernel.field("module", "kallsyms") {
            Ok(pointer) => {
                let at = VirtAddr(pointer.read(kernel.memory, module)?);
                (kernel.structure("mod_kallsyms")?, at)
            }
            Err(_) => (kernel.structure("module")?, module),
        };
        if at.is_null() {
            return Err(Unknown::because("it has no symbol table"));
        }
        let get = |path| -> Known<u64> { Ok(Field::of(holder, path)?.read(kernel.memory, at)?) };
        let count = usize::try_from(get("num_symtab")?).unwrap_or(usize::MAX);
        if count > most.min(MAX_SYMBOLS) {
            return Err(Unknown::because("the number of its symbols is impossible"));
        }
        let symbols = kernel.memory.read_vec(VirtAddr(get("symtab")?), count * ELF_SYM)?;
        let letters =
            get("typetab").ok().and_then(|at| kernel.memory.read_vec(VirtAddr(at), count).ok());
        let names = VirtAddr(get("strtab")?);
        // How long the names are is written nowhere: the last one ends them.
        let last = symbols.chunks(ELF_SYM).map(|symbol| u64::from(word(symbol))).max().unwrap_or(0);
        if last > MAX_NAMES {
            return Err(Unknown::because("its symbols' names are too long"));
        }
        let tail = kernel.memory.read_cstr(names.plus(last), MAX_SYMBOL)?;
        let mut text = kernel.memory.read_vec(names, usize::try_from(last).unwrap_or(0))?;
        text.extend(tail);
        Ok(ElfSymbols { symbols, names: text, letters: letters.unwrap_or_default() })
    }

    fn iter(&self) -> impl Iterator<Item = (String, VirtAddr, char)> {
        self.symbols.chunks_exact(ELF_SYM).enumerate().filter_map(|(i, symbol)| {
            let name = self.names.get(usize::try_from(word(symbol)).ok()?..)?;
            let name = name.split(|byte| *byte == 0).next().unwrap_or_default();
            // Names of mapping symbols and of nothing.
            if name.is_empty() || name.starts_with(b"$") {
                return None;
            }
            let info = symbol.get(4).copied().unwrap_or(0);
            let section = symbol.get(6..8)?;
            if section == [0, 0] {
                return None;
            }
            let value = symbol.get(8..16)?.first_chunk().map(|bytes| u64::from_le_bytes(*bytes))?;
            let letter = self.letters.get(i).copied().filter(u8::is_ascii_alphabetic);
            // Before 5.2 the kernel writes the letter over `st_info`.
            let letter = letter.or(Some(info).filter(u8::is_ascii_alphabetic)).unwrap_or(b'?');
            let name = name.get(..name.len().min(MAX_SYMBOL))?;
            Some((scrub(name), VirtAddr(value), char::from(letter)))
        })
    }
}

/// `st_name`
fn word(symbol: &[u8]) -> u32 {
    symbol.first_chunk().map_or(0, |bytes| u32::from_le_bytes(*bytes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::debuginfo::{Symbols, Types};
    use crate::kernel::testing::{Image, TypeTable};

    const MODULE: u64 = 0x1000;
    const TEXT: u64 = 0x10_0000;
    const DATA: u64 = 0x30_0000;

    fn types() -> Types {
        TypeTable::new()
            .with(
                "mod_kallsyms",
                32,
                &[("symtab", 0, 8), ("num_symtab", 8, 4), ("strtab", 16, 8), ("typetab", 24, 8)],
            )
            .with("module_layout", 16, &[("base", 0, 8), ("size", 8, 4), ("text_size", 12, 4)])
            .with(
                "module",
                128,
                &[
                    ("list", 8, 16),
                    ("name", 24, 56),
                    ("core_layout: module_layout", 80, 0),
                    ("kallsyms", 96, 8),
                    ("taints", 104, 8),
                ],
            )
            .types()
    }

    /// One module on the list; its symbols are one in its text, an undefined one, one elsewhere.
    fn image() -> (Image, Symbols) {
        let mut image = Image::default();
        image.put_u64(0x100, MODULE + 8);
        image.put(MODULE, &[0; 128]);
        image.put_u64(MODULE + 8, 0x100);
        image.put(MODULE + 24, b"hold\x1bup\0");
        image.put_u64(MODULE + 80, TEXT);
        image.put_u64(MODULE + 88, 0x2000 | 0x1000 << 32);
        image.put_u64(MODULE + 96, 0x2000);
        image.put_u64(MODULE + 104, 1 << 12);
        for (at, value) in [(0, 0x3000), (8, 3), (16, 0x4000), (24, 0x5000)] {
            image.put_u64(0x2000 + at, value);
        }
        image.put(0x3000, &[0; 3 * ELF_SYM]);
        for (i, (name, section, value)) in
            [(1u32, 1, TEXT + 16), (6, 0, 0), (11, 1, DATA)].into_iter().enumerate()
        {
            let at = 0x3000 + u64::try_from(i * ELF_SYM).unwrap();
            image.put(at, &name.to_le_bytes());
            image.put(at + 6, &[section, 0]);
            image.put_u64(at + 8, value);
        }
        image.put(0x4000, b"\0work\0none\0data\0");
        image.put(0x4010, &[0; 64]);
        image.put(0x5000, b"tUd");
        let mut table = SymbolTable::new(None);
        table.push("modules", VirtAddr(0x100), 'd');
        (image, Symbols::new(table.finish(VirtAddr(0x200)), Vec::new()))
    }

    #[test]
    fn a_module_has_its_place_and_the_symbols_inside_of_it() {
        let (image, symbols) = image();
        let kernel = Kernel { memory: &image, types: &types(), symbols: &symbols };
        let (modules, notes) = read(kernel);
        let [module] = modules.as_slice() else { panic!("{modules:?} {notes:?}") };
        assert_eq!(&*module.name, "hold\\x1bup");
        assert_eq!((module.base.clone(), module.size.clone()), (Ok(VirtAddr(TEXT)), Ok(0x2000)));
        assert_eq!(module.text, Ok(VirtAddr(TEXT)..VirtAddr(TEXT + 0x1000)));
        assert_eq!(module.taints, Ok(1 << 12));
        assert!(module.orc.is_err(), "the types have no ORC tables");
        assert!(module.contains(VirtAddr(TEXT + 0x1fff)) && !module.contains(VirtAddr(DATA)));
        let tables = module.symbols(kernel, 100).unwrap();
        let found: Vec<_> = tables.iter().flat_map(SymbolTable::iter).collect();
        let [work] = found.as_slice() else { panic!("{found:?}") };
        assert_eq!((work.name, work.at, work.letter), ("work", VirtAddr(TEXT + 16), 't'));
        assert_eq!(work.module, Some("hold\\x1bup"));
    }

    #[test]
    fn a_number_of_symbols_beyond_reason_is_refused() {
        let (mut image, symbols) = image();
        image.put(0x2008, &u32::MAX.to_le_bytes());
        let kernel = Kernel { memory: &image, types: &types(), symbols: &symbols };
        let error = read(kernel).0[0].symbols(kernel, usize::MAX).map(|_| ()).unwrap_err();
        assert_eq!(error.to_string(), "the number of its symbols is impossible");
    }

    #[test]
    fn a_layout_that_is_not_known_is_told() {
        let types = TypeTable::new().with("module", 128, &[("list", 8, 16)]).types();
        let error = layout(types.structure("module").unwrap()).map(|_| ()).unwrap_err();
        assert_eq!(error.to_string(), "struct module has no member core_layout.base");
    }
}
