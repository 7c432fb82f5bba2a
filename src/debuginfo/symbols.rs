//! One symbol table, whether from kallsyms or an ELF file.
//!
//! [`Symbols`] is the kernel's [`SymbolTable`] and one for each module. A table keeps its symbols
//! sorted by address and all names in one buffer: a kernel has 150,000 of them, and opening a dump
//! must not cost that many allocations. Sizes are mostly unknown (kallsyms has none), so a symbol
//! reaches to the next one.

use crate::dump::VirtAddr;
use std::fmt;
use std::sync::OnceLock;

/// One name of one address.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Symbol<'s> {
    /// Scrubbed of control characters.
    pub name: &'s str,
    /// Where it lies.
    pub at: VirtAddr,
    /// `nm`'s letter: `T`/`t` text, `D`/`d` data, `B`/`b` bss, `R`/`r` read-only …
    pub letter: char,
    /// The module that it is of; `None` for the kernel itself.
    pub module: Option<&'s str>,
}

impl Symbol<'_> {
    /// Whether it names code.
    #[must_use]
    pub const fn is_text(&self) -> bool {
        matches!(self.letter, 'T' | 't' | 'W' | 'w')
    }
}

/// A symbol and a distance from it: `schedule+0x2a`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SymbolRef<'s> {
    /// The symbol.
    pub symbol: Symbol<'s>,
    /// Bytes past its start.
    pub offset: u64,
}

impl fmt::Display for SymbolRef<'_> {
    /// As crash writes it: `name` or `name+DECIMAL`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.offset {
            0 => f.write_str(self.symbol.name),
            offset => write!(f, "{}+{offset}", self.symbol.name),
        }
    }
}

#[derive(Clone, Copy)]
struct Entry {
    at: u64,
    name_start: u32,
    name_len: u16,
    letter: u8,
}

/// The symbols of one object file: the kernel or a module.
#[derive(Default)]
pub struct SymbolTable {
    module: Option<Box<str>>,
    names: String,
    /// Sorted by address.
    entries: Vec<Entry>,
    /// Addresses from here on belong to no symbol of this table.
    end: u64,
    /// Indices into `entries`, sorted by name; made when a name is first looked up.
    by_name: OnceLock<Vec<u32>>,
}

impl SymbolTable {
    /// An empty table, for the kernel (`None`) or the module of that name.
    #[must_use]
    pub fn new(module: Option<&str>) -> SymbolTable {
        SymbolTable { module: module.map(Box::from), ..SymbolTable::default() }
    }

    /// Adds a symbol. `name` must have been scrubbed. Names over 64 KiB and symbols beyond 2^32
    /// bytes of names are dropped: no kernel has them.
    pub fn push(&mut self, name: &str, at: VirtAddr, letter: char) {
        let (Ok(name_start), Ok(name_len), Ok(letter)) =
            (u32::try_from(self.names.len()), u16::try_from(name.len()), u8::try_from(letter))
        else {
            return;
        };
        self.names.push_str(name);
        self.entries.push(Entry { at: at.0, name_start, name_len, letter });
    }

    /// Sorts what was added and sets where the last symbol ends.
    #[must_use]
    pub fn finish(mut self, end: VirtAddr) -> SymbolTable {
        // Stable: of several names of one address, the order of the source decides.
        if !self.entries.is_sorted_by_key(|entry| entry.at) {
            self.entries.sort_by_key(|entry| entry.at);
        }
        self.end = end.0;
        self
    }

    /// How many symbols it has.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether it has none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The module that it is of; `None` for the kernel.
    #[must_use]
    pub fn module(&self) -> Option<&str> {
        self.module.as_deref()
    }

    /// All symbols, by address.
    pub fn iter(&self) -> impl Iterator<Item = Symbol<'_>> {
        self.entries.iter().map(|entry| self.symbol(entry))
    }

    fn name(&self, entry: &Entry) -> &str {
        let start = usize::try_from(entry.name_start).unwrap_or(usize::MAX);
        self.names.get(start..start.saturating_add(usize::from(entry.name_len))).unwrap_or("")
    }

    fn symbol(&self, entry: &Entry) -> Symbol<'_> {
        Symbol {
            name: self.name(entry),
            at: VirtAddr(entry.at),
            letter: char::from(entry.letter),
            module: self.module(),
        }
    }

    /// The symbol that covers an address. Of several at one address the first in the source's
    /// order is given.
    #[must_use]
    pub fn resolve(&self, at: VirtAddr) -> Option<SymbolRef<'_>> {
        if at.0 >= self.end {
            return None;
        }
        let after = self.entries.partition_point(|entry| entry.at <= at.0);
        let start = self.entries.get(after.checked_sub(1)?)?.at;
        let first = self.entries.partition_point(|entry| entry.at < start);
        let symbol = self.symbol(self.entries.get(first)?);
        Some(SymbolRef { symbol, offset: at.0 - start })
    }

    /// Where the symbol at `at` ends: the next higher address that has a symbol.
    #[must_use]
    pub fn end_of(&self, at: VirtAddr) -> Option<VirtAddr> {
        let after = self.entries.partition_point(|entry| entry.at <= at.0);
        Some(VirtAddr(self.entries.get(after).map_or(self.end, |next| next.at)))
    }

    /// All symbols of that name (static functions may share one), by address.
    pub fn find_all<'s>(&'s self, name: &'s str) -> impl Iterator<Item = Symbol<'s>> + 's {
        let order = self.by_name.get_or_init(|| {
            let mut order: Vec<u32> = (0..u32::try_from(self.entries.len()).unwrap_or(0)).collect();
            let name_of = |&index: &u32| {
                self.entries
                    .get(usize::try_from(index).unwrap_or(usize::MAX))
                    .map_or("", |entry| self.name(entry))
            };
            order.sort_by(|a, b| name_of(a).cmp(name_of(b)).then(a.cmp(b)));
            order
        });
        let entry =
            move |index: &u32| self.entries.get(usize::try_from(*index).unwrap_or(usize::MAX));
        let start = order
            .partition_point(|index| entry(index).is_some_and(|entry| self.name(entry) < name));
        order
            .get(start..)
            .unwrap_or_default()
            .iter()
            .map_while(entry)
            .take_while(move |entry| self.name(entry) == name)
            .map(|entry| self.symbol(entry))
    }
}

/// Every symbol of a session: the kernel's and its modules'.
#[derive(Default)]
pub struct Symbols {
    kernel: SymbolTable,
    modules: Vec<SymbolTable>,
}

impl fmt::Debug for Symbols {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Symbols({} kernel, {} modules)", self.kernel.len(), self.modules.len())
    }
}

impl Symbols {
    /// The kernel's table and those of its modules.
    #[must_use]
    pub fn new(kernel: SymbolTable, modules: Vec<SymbolTable>) -> Symbols {
        Symbols { kernel, modules }
    }

    /// The tables, the kernel's first.
    pub fn tables(&self) -> impl Iterator<Item = &SymbolTable> {
        std::iter::once(&self.kernel).chain(&self.modules)
    }

    /// The symbol that covers an address.
    #[must_use]
    pub fn resolve(&self, at: VirtAddr) -> Option<SymbolRef<'_>> {
        self.tables().find_map(|table| table.resolve(at))
    }

    /// The first symbol of that name, the kernel's before the modules'.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<Symbol<'_>> {
        // The symbol borrows from the table alone, so it is looked up again by address order.
        self.tables().find_map(|table| {
            let at = table.find_all(name).next()?.at;
            table.iter_at(at).find(|symbol| symbol.name == name)
        })
    }

    /// The address of the first symbol of that name.
    #[must_use]
    pub fn address(&self, name: &str) -> Option<VirtAddr> {
        self.tables().find_map(|table| table.find_all(name).next().map(|symbol| symbol.at))
    }
}

impl SymbolTable {
    /// The symbols that start exactly at `at`.
    pub fn iter_at(&self, at: VirtAddr) -> impl Iterator<Item = Symbol<'_>> {
        let first = self.entries.partition_point(|entry| entry.at < at.0);
        self.entries
            .get(first..)
            .unwrap_or_default()
            .iter()
            .take_while(move |entry| entry.at == at.0)
            .map(|entry| self.symbol(entry))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> SymbolTable {
        let mut table = SymbolTable::new(None);
        table.push("schedule", VirtAddr(0x2000), 'T');
        table.push("_stext", VirtAddr(0x1000), 'T');
        table.push("helper", VirtAddr(0x1000), 't');
        table.push("helper", VirtAddr(0x3000), 't');
        table.finish(VirtAddr(0x4000))
    }

    #[test]
    fn an_address_belongs_to_the_symbol_before_it() {
        let table = table();
        let found = table.resolve(VirtAddr(0x2010)).unwrap();
        assert_eq!((found.symbol.name, found.offset), ("schedule", 0x10));
        assert_eq!(table.resolve(VirtAddr(0x1000)).unwrap().symbol.name, "_stext");
        assert_eq!(table.resolve(VirtAddr(0xfff)), None);
        assert_eq!(table.resolve(VirtAddr(0x4000)), None);
        assert_eq!(table.end_of(VirtAddr(0x2010)), Some(VirtAddr(0x3000)));
    }

    #[test]
    fn a_name_may_stand_for_several_addresses() {
        let table = table();
        let found: Vec<u64> = table.find_all("helper").map(|symbol| symbol.at.0).collect();
        assert_eq!(found, [0x1000, 0x3000]);
        assert_eq!(table.find_all("nothing").count(), 0);
        let symbols = Symbols::new(table, Vec::new());
        assert_eq!(symbols.find("helper").map(|symbol| symbol.at), Some(VirtAddr(0x1000)));
        assert_eq!(symbols.address("schedule"), Some(VirtAddr(0x2000)));
    }
}
