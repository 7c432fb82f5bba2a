//! One symbol table, whether from kallsyms or an ELF file.
//!
//! [`Symbols`] is the kernel's [`SymbolTable`] and one for each module. A table keeps its symbols
//! sorted by address and all names in one buffer: a kernel has 150,000 of them, and opening a dump
//! must not cost that many allocations. Sizes are mostly unknown (kallsyms has none), so a symbol
//! reaches to the next one.

use super::names::NameIndex;
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

/// A symbol as the table keeps it: 16 bytes, its name elsewhere.
#[derive(Clone, Copy)]
pub(super) struct Entry {
    pub(super) at: u64,
    pub(super) name_start: u32,
    pub(super) name_len: u16,
    /// ASCII.
    pub(super) letter: u8,
}

impl Entry {
    /// Its name in the text that all names of the table are in.
    pub(super) fn name(self, names: &str) -> &str {
        let start = usize::try_from(self.name_start).unwrap_or(usize::MAX);
        names.get(start..start.saturating_add(usize::from(self.name_len))).unwrap_or("")
    }
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
    /// Positions in `entries` by name; made when a name is first looked up.
    by_name: OnceLock<NameIndex>,
}

impl SymbolTable {
    /// An empty table, for the kernel (`None`) or the module of that name.
    #[must_use]
    pub fn new(module: Option<&str>) -> SymbolTable {
        SymbolTable { module: module.map(Box::from), ..SymbolTable::default() }
    }

    /// A table of symbols whose names are already in one text; [`SymbolTable::finish`] comes next.
    pub(super) fn from_entries(
        module: Option<&str>,
        names: String,
        entries: Vec<Entry>,
    ) -> SymbolTable {
        SymbolTable { names, entries, ..SymbolTable::new(module) }
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
        if !self.entries.is_sorted_by_key(|entry| entry.at) {
            self.entries.sort_by_key(|entry| entry.at);
        }
        // Of several names of one address the best known comes first.
        let mut entries = std::mem::take(&mut self.entries);
        for aliases in entries.chunk_by_mut(|a, b| a.at == b.at).filter(|run| run.len() > 1) {
            aliases.sort_by_key(|entry| rank(self.name(entry), entry.letter));
        }
        self.entries = entries;
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
        entry.name(&self.names)
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
    /// order is given. Absolute symbols (`A`: on x86 before 6.15, offsets of per-CPU variables)
    /// are numbers rather than places and cover nothing.
    #[must_use]
    pub fn resolve(&self, at: VirtAddr) -> Option<SymbolRef<'_>> {
        if at.0 >= self.end {
            return None;
        }
        let after = self.entries.partition_point(|entry| entry.at <= at.0);
        let start = self.entries.get(after.checked_sub(1)?)?.at;
        let symbol =
            self.iter_at(VirtAddr(start)).find(|symbol| !matches!(symbol.letter, 'A' | 'a'))?;
        Some(SymbolRef { symbol, offset: at.0 - start })
    }

    /// Where the symbol at `at` ends: the next higher address that has a symbol.
    #[must_use]
    pub fn end_of(&self, at: VirtAddr) -> Option<VirtAddr> {
        let after = self.entries.partition_point(|entry| entry.at <= at.0);
        Some(VirtAddr(self.entries.get(after).map_or(self.end, |next| next.at)))
    }

    /// All symbols of that name (static functions may share one), by address.
    pub fn find_all<'s>(&'s self, name: &str) -> impl Iterator<Item = Symbol<'s>> {
        let index = self.by_name.get_or_init(|| {
            NameIndex::new(self.entries.iter().map(|entry| Some(self.name(entry).as_bytes())))
        });
        index
            .candidates(name.as_bytes())
            .filter_map(|position| self.entries.get(position))
            .filter(move |entry| self.name(entry) == name)
            .map(|entry| self.symbol(entry))
    }

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

/// Which of several names at one address to show: variables before the keys that lockdep and once
/// macros leave beside them (empty, so they share an address), global names before local ones, and
/// of a system call's entries that of the native ABI, as crash does.
fn rank(name: &str, letter: u8) -> (bool, bool) {
    let marker = ["__ia32_", "__key.", "__already_done.", "__func__.", "__warned."]
        .iter()
        .any(|start| name.starts_with(start));
    (marker, letter.is_ascii_lowercase())
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

    /// Adds the table of a module, or of one region of a module's memory.
    pub fn add(&mut self, table: SymbolTable) {
        self.modules.push(table);
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

    /// Where the symbol that covers an address starts and ends.
    #[must_use]
    pub fn bounds(&self, at: VirtAddr) -> Option<(VirtAddr, VirtAddr)> {
        self.tables().find_map(|table| {
            let found = table.resolve(at)?;
            Some((found.symbol.at, table.end_of(at)?))
        })
    }

    /// The first symbol of that name, the kernel's before the modules'.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<Symbol<'_>> {
        self.tables().find_map(|table| table.find_all(name).next())
    }

    /// The address of the first symbol of that name.
    #[must_use]
    pub fn address(&self, name: &str) -> Option<VirtAddr> {
        self.tables().find_map(|table| table.find_all(name).next().map(|symbol| symbol.at))
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
    fn a_number_is_not_an_address_of_an_absolute_symbol() {
        let mut table = SymbolTable::new(None);
        table.push("current_task", VirtAddr(0x40), 'A');
        table.push("_text", VirtAddr(0x1000), 'T');
        let table = table.finish(VirtAddr(0x2000));
        assert_eq!(table.resolve(VirtAddr(0x48)), None);
        assert_eq!(table.find_all("current_task").next().unwrap().at, VirtAddr(0x40));
    }

    #[test]
    fn the_best_known_of_several_names_is_shown() {
        let mut table = SymbolTable::new(None);
        for (name, letter) in
            [("__do_sys_pause", 't'), ("__ia32_sys_pause", 'T'), ("__x64_sys_pause", 'T')]
        {
            table.push(name, VirtAddr(0x1000), letter);
        }
        let table = table.finish(VirtAddr(0x2000));
        assert_eq!(table.resolve(VirtAddr(0x1004)).unwrap().symbol.name, "__x64_sys_pause");
        let mut table = SymbolTable::new(Some("holdup"));
        table.push("__key.17", VirtAddr(0x1000), 'b');
        table.push("hu_mm_spin", VirtAddr(0x1000), 'b');
        let table = table.finish(VirtAddr(0x2000));
        assert_eq!(table.resolve(VirtAddr(0x1000)).unwrap().symbol.name, "hu_mm_spin");
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
