//! Page tables of x86-64, of four or five levels.
//!
//! Each table is a page of 512 entries of eight bytes; nine bits of the address choose one. An entry
//! names the next table or, at the levels of 1 GiB and 2 MiB with the bit `_PAGE_PSE`, the memory
//! itself. Formats: Intel SDM volume 3, chapter "Paging"; the software bits are the kernel's,
//! arch/x86/include/asm/pgtable_types.h.

use super::translations::Translations;
use crate::dump::{At, Fault, Level, PAGE_SIZE, PhysAddr, PhysicalMemory, VirtAddr, Why};
use std::sync::Arc;

const PRESENT: u64 = 1 << 0;
/// In a pud or pmd: maps memory, is no table.
const PSE: u64 = 1 << 7;
/// In an entry without [`PRESENT`]: there is a page, access to it traps (NUMA balancing, mprotect).
const PROTNONE: u64 = 1 << 8;
/// Bits 12 to 51: the physical address.
const ADDRESS: u64 = 0x000f_ffff_ffff_f000;
/// The highest of them. Set in an entry that is not present, it tells that the kernel stored the
/// address inverted, against L1TF (arch/x86/include/asm/pgtable-invert.h, since 4.19).
const ADDRESS_TOP: u64 = 1 << 51;

/// One entry that a walk went through.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Step {
    /// Of which table.
    pub level: Level,
    /// Where the entry lies.
    pub at: PhysAddr,
    /// The entry.
    pub entry: u64,
}

/// A walk through the page tables, entry by entry.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Walk {
    /// The entries, from the top.
    pub steps: Vec<Step>,
    /// Where the address leads, or why nowhere.
    pub end: Result<PhysAddr, Fault>,
}

/// A stretch of memory that one entry maps.
#[derive(Clone, Copy)]
struct Leaf {
    /// Where the address that was looked for lies.
    at: PhysAddr,
    /// Bytes from there to the end of the stretch.
    left: u64,
}

/// Page tables with the memory that they lie in and map.
pub(super) struct PageTables {
    memory: Arc<dyn PhysicalMemory>,
    root: PhysAddr,
    five_levels: bool,
    /// The bit of AMD's memory encryption, if it is on: no part of an address.
    sme_mask: u64,
    cache: Translations,
}

/// What the cache tells apart in the low bits of its keys: a page's own translation, …
const PAGE_KEY: u64 = 1;
/// … the memory that a 2 MiB (or larger) entry maps, …
const HUGE_KEY: u64 = 2;
/// … or where the table of ptes for 2 MiB lies.
const TABLE_KEY: u64 = 3;
/// Makes values of the cache differ from zero.
const CACHED: u64 = 1;

const PMD_SIZE: u64 = 1 << 21;

impl PageTables {
    pub(super) fn new(
        memory: Arc<dyn PhysicalMemory>,
        root: PhysAddr,
        five_levels: bool,
        sme_mask: u64,
    ) -> PageTables {
        let root = PhysAddr(root.0 & ADDRESS & !sme_mask);
        PageTables { memory, root, five_levels, sme_mask, cache: Translations::new() }
    }

    /// Other tables in the same memory.
    pub(super) fn with_root(&self, root: PhysAddr) -> PageTables {
        PageTables::new(Arc::clone(&self.memory), root, self.five_levels, self.sme_mask)
    }

    pub(super) const fn root(&self) -> PhysAddr {
        self.root
    }

    pub(super) const fn five_levels(&self) -> bool {
        self.five_levels
    }

    pub(super) fn translate(&self, at: VirtAddr) -> Result<PhysAddr, Fault> {
        self.leaf(at).map(|leaf| leaf.at)
    }

    pub(super) fn walk(&self, at: VirtAddr) -> Walk {
        let mut steps = Vec::new();
        let end = self.descend(at, &mut |step| steps.push(step)).map(|leaf| leaf.at);
        Walk { steps, end }
    }

    pub(super) fn read(&self, at: VirtAddr, buf: &mut [u8]) -> Result<(), Fault> {
        let mut at = at;
        let mut rest = buf;
        while !rest.is_empty() {
            let leaf = self.leaf(at)?;
            let take = usize::try_from(leaf.left).unwrap_or(usize::MAX).min(rest.len());
            let Some((now, later)) = rest.split_at_mut_checked(take) else { break };
            self.memory.read(leaf.at, now).map_err(|fault| match fault.at {
                At::Phys(missing) => {
                    let past = missing.offset_from(leaf.at).unwrap_or(0);
                    Fault::virt(at.plus(past), fault.why)
                }
                At::Virt(_) => fault,
            })?;
            let took = u64::try_from(take).unwrap_or(u64::MAX);
            rest = later;
            if !rest.is_empty() {
                let past_the_end = Fault::virt(VirtAddr(u64::MAX), Why::NotCanonical);
                at = at.checked_add(took).ok_or(past_the_end)?;
            }
        }
        Ok(())
    }

    /// As [`PageTables::descend`], through the cache.
    fn leaf(&self, at: VirtAddr) -> Result<Leaf, Fault> {
        let page = at.0 & !(PAGE_SIZE - 1);
        if let Some(cached) = self.cache.get(page | PAGE_KEY) {
            return Ok(Leaf {
                at: PhysAddr((cached & ADDRESS) | at.in_page()),
                left: PAGE_SIZE - at.in_page(),
            });
        }
        let huge = at.0 & !(PMD_SIZE - 1);
        if let Some(cached) = self.cache.get(huge | HUGE_KEY) {
            let inside = at.0 - huge;
            return Ok(Leaf { at: PhysAddr((cached & ADDRESS) | inside), left: PMD_SIZE - inside });
        }
        let leaf = match self.cache.get(huge | TABLE_KEY) {
            Some(table) => {
                let step = self.entry(at, PhysAddr(table & ADDRESS), Level::Pte)?;
                self.memory_of(at, step)?
            }
            None => self.descend(at, &mut |step| {
                if step.level == Level::Pte {
                    let table = step.at.0 & !(PAGE_SIZE - 1);
                    self.cache.put(huge | TABLE_KEY, table | CACHED);
                }
            })?,
        };
        let page_left = PAGE_SIZE - at.in_page();
        if leaf.left == page_left {
            self.cache.put(page | PAGE_KEY, (leaf.at.0 - at.in_page()) | CACHED);
        } else if let Some(start) = leaf.at.0.checked_sub(at.0 - huge) {
            self.cache.put(huge | HUGE_KEY, start | CACHED);
        }
        Ok(leaf)
    }

    /// Walks from the root to the memory behind an address and shows every entry on the way.
    fn descend(&self, at: VirtAddr, seen: &mut dyn FnMut(Step)) -> Result<Leaf, Fault> {
        if !is_canonical(at, self.five_levels) {
            return Err(Fault::virt(at, Why::NotCanonical));
        }
        let levels: &[Level] = if self.five_levels {
            &[Level::Pgd, Level::P4d, Level::Pud, Level::Pmd]
        } else {
            &[Level::Pgd, Level::Pud, Level::Pmd]
        };
        let mut table = self.root;
        for &level in levels {
            let step = self.entry(at, table, level)?;
            seen(step);
            let is_memory = matches!(level, Level::Pud | Level::Pmd) && step.entry & PSE != 0;
            if is_memory || step.entry & PRESENT == 0 {
                return self.memory_of(at, step);
            }
            table = PhysAddr(step.entry & ADDRESS & !self.sme_mask);
        }
        let step = self.entry(at, table, Level::Pte)?;
        seen(step);
        self.memory_of(at, step)
    }

    /// The entry for an address in a table of this level.
    fn entry(&self, at: VirtAddr, table: PhysAddr, level: Level) -> Result<Step, Fault> {
        let shift = match level {
            Level::Pgd if self.five_levels => 48,
            Level::Pgd | Level::P4d => 39,
            Level::Pud => 30,
            Level::Pmd => 21,
            Level::Pte => 12,
        };
        let slot = PhysAddr(table.0 | (((at.0 >> shift) & 511) * 8));
        let mut bytes = [0; 8];
        // The reason is the table's: it is excluded, or lost, or beyond the end.
        self.memory.read(slot, &mut bytes).map_err(|fault| Fault::virt(at, fault.why))?;
        Ok(Step { level, at: slot, entry: u64::from_le_bytes(bytes) })
    }

    /// The memory that an entry maps.
    fn memory_of(&self, at: VirtAddr, step: Step) -> Result<Leaf, Fault> {
        let Step { level, entry, .. } = step;
        let mut base = entry;
        if entry & PRESENT == 0 {
            if entry & PROTNONE == 0 || matches!(level, Level::Pgd | Level::P4d) {
                return Err(Fault::virt(at, Why::NotPresent { level }));
            }
            if entry & ADDRESS_TOP != 0 {
                base = !entry;
            }
        }
        let size = match level {
            Level::Pud => 1 << 30,
            Level::Pmd => PMD_SIZE,
            _ => PAGE_SIZE,
        };
        // Masking to the size also drops the PAT bit, which stands at bit 12 of large entries.
        let start = base & ADDRESS & !self.sme_mask & !(size - 1);
        let inside = at.0 & (size - 1);
        Ok(Leaf { at: PhysAddr(start | inside), left: size - inside })
    }
}

/// Whether the unused high bits all equal the highest used one.
const fn is_canonical(at: VirtAddr, five_levels: bool) -> bool {
    let high = if five_levels { at.0 >> 56 } else { at.0 >> 47 };
    let all = if five_levels { 0xff } else { 0x1_ffff };
    high == 0 || high == all
}

#[cfg(test)]
mod tests {
    use super::super::FlatMemory;
    use super::*;

    const DIRECT: u64 = 0xffff_8880_0000_0000;

    /// Puts a table entry for an address.
    fn entry(memory: &mut FlatMemory, table: u64, at: u64, shift: u32, value: u64) {
        memory.put_u64(table + ((at >> shift) & 511) * 8, value);
    }

    fn empty_table(memory: &mut FlatMemory, table: u64) {
        memory.put(table, &[0; 4096]);
    }

    /// pgd at 0x1000, pud 0x2000, pmd 0x3000, pte 0x4000; one page at 0x9000 and 2 MiB at 0x60_0000
    /// after it, 1 GiB behind.
    fn four_levels() -> FlatMemory {
        let mut memory = FlatMemory::new();
        for table in [0x1000, 0x2000, 0x3000, 0x4000] {
            empty_table(&mut memory, table);
        }
        entry(&mut memory, 0x1000, DIRECT, 39, 0x2063);
        entry(&mut memory, 0x2000, DIRECT, 30, 0x3063);
        entry(&mut memory, 0x2000, DIRECT + (1 << 30), 30, 0x8000_0000_4000_10e3);
        entry(&mut memory, 0x3000, DIRECT, 21, 0x4063);
        entry(&mut memory, 0x3000, DIRECT + PMD_SIZE, 21, 0x8000_0000_0060_10e3);
        entry(&mut memory, 0x4000, DIRECT + 0x5000, 12, 0x8000_0000_0000_9063);
        memory
    }

    fn tables(memory: FlatMemory) -> PageTables {
        PageTables::new(Arc::new(memory), PhysAddr(0x1000), false, 0)
    }

    #[test]
    fn pages_of_every_size_are_found() {
        let tables = tables(four_levels());
        for _cold_then_cached in 0..2 {
            let phys = |at| tables.translate(VirtAddr(at)).unwrap().0;
            assert_eq!(phys(DIRECT + 0x5678), 0x9678);
            assert_eq!(phys(DIRECT + PMD_SIZE + 0x1_2345), 0x61_2345);
            assert_eq!(phys(DIRECT + (1 << 30) + 0x1234_5678), 0x4000_0000 + 0x1234_5678);
        }
    }

    #[test]
    fn a_fault_names_the_level_at_which_the_walk_ended() {
        let tables = tables(four_levels());
        let why = |at| tables.translate(VirtAddr(at)).unwrap_err().why;
        for _cold_then_cached in 0..2 {
            assert_eq!(why(0), Why::NotPresent { level: Level::Pgd });
            assert_eq!(why(DIRECT + (5 << 30)), Why::NotPresent { level: Level::Pud });
            assert_eq!(why(DIRECT + 5 * PMD_SIZE), Why::NotPresent { level: Level::Pmd });
            assert_eq!(why(DIRECT + 0x8000), Why::NotPresent { level: Level::Pte });
            assert_eq!(why(0x1234_0000_0000_0000), Why::NotCanonical);
        }
    }

    #[test]
    fn a_table_that_is_not_in_the_dump_is_the_reason() {
        let mut memory = four_levels();
        memory.remove(0x3000, 0x1000);
        let fault = tables(memory).translate(VirtAddr(DIRECT)).unwrap_err();
        assert_eq!(fault, Fault::virt(VirtAddr(DIRECT), Why::NotRam));
    }

    #[test]
    fn five_levels_have_one_table_more() {
        let mut memory = four_levels();
        empty_table(&mut memory, 0x7000);
        let high = 0xff11_0000_0000_0000 | (DIRECT & 0xffff_ffff_ffff);
        entry(&mut memory, 0x7000, high, 48, 0x1063);
        let tables = PageTables::new(Arc::new(memory), PhysAddr(0x7000), true, 0);
        assert_eq!(tables.translate(VirtAddr(high + 0x5678)), Ok(PhysAddr(0x9678)));
        let why = |at| tables.translate(VirtAddr(at)).unwrap_err().why;
        assert_eq!(why(0xff12_0000_0000_0000), Why::NotPresent { level: Level::Pgd });
        let beside = high ^ (1 << 39);
        assert_eq!(why(beside), Why::NotPresent { level: Level::P4d });
        assert_eq!(why(0xfe11_0000_0000_0000), Why::NotCanonical);
    }

    #[test]
    fn the_encryption_bit_is_no_part_of_an_address() {
        let sme = 1 << 47;
        let mut memory = four_levels();
        for (table, shift, value) in [(0x1000, 39, 0x2063), (0x2000, 30, 0x3063)] {
            entry(&mut memory, table, DIRECT, shift, value | sme);
        }
        entry(&mut memory, 0x3000, DIRECT + PMD_SIZE, 21, 0x60_00e3 | sme);
        let tables = PageTables::new(Arc::new(memory), PhysAddr(0x1000 | sme), false, sme);
        let at = VirtAddr(DIRECT + PMD_SIZE + 5);
        assert_eq!(tables.translate(at), Ok(PhysAddr(0x60_0005)));
    }

    #[test]
    fn a_page_whose_access_traps_is_there_also_when_stored_inverted() {
        let mut memory = four_levels();
        entry(&mut memory, 0x4000, DIRECT, 12, 0x9000 | PROTNONE);
        entry(&mut memory, 0x4000, DIRECT + 0x1000, 12, (!0x9000 & ADDRESS) | PROTNONE);
        // A swap entry has neither bit.
        entry(&mut memory, 0x4000, DIRECT + 0x2000, 12, 0x9000);
        let tables = tables(memory);
        assert_eq!(tables.translate(VirtAddr(DIRECT + 1)), Ok(PhysAddr(0x9001)));
        assert_eq!(tables.translate(VirtAddr(DIRECT + 0x1001)), Ok(PhysAddr(0x9001)));
        let swapped = tables.translate(VirtAddr(DIRECT + 0x2000)).unwrap_err();
        assert_eq!(swapped.why, Why::NotPresent { level: Level::Pte });
    }

    #[test]
    fn a_read_crosses_pages_that_lie_apart_and_names_the_byte_that_is_missing() {
        let mut memory = four_levels();
        entry(&mut memory, 0x4000, DIRECT + 0x6000, 12, 0x8063);
        memory.put(0x9ffe, b"ab").put(0x8000, b"cd");
        let tables = tables(memory);
        let mut buf = [0; 4];
        tables.read(VirtAddr(DIRECT + 0x5ffe), &mut buf).unwrap();
        assert_eq!(&buf, b"abcd");
        let mut buf = [0; 5];
        let fault = tables.read(VirtAddr(DIRECT + 0x5ffe), &mut buf).unwrap_err();
        assert_eq!(fault, Fault::virt(VirtAddr(DIRECT + 0x6002), Why::NotRam));
    }

    #[test]
    fn a_walk_lists_the_entry_of_each_level() {
        let walk = tables(four_levels()).walk(VirtAddr(DIRECT + 0x5000));
        let seen: Vec<_> = walk.steps.iter().map(|step| (step.level, step.entry)).collect();
        assert_eq!(
            seen,
            [
                (Level::Pgd, 0x2063),
                (Level::Pud, 0x3063),
                (Level::Pmd, 0x4063),
                (Level::Pte, 0x8000_0000_0000_9063),
            ]
        );
        assert_eq!(walk.end, Ok(PhysAddr(0x9000)));
    }
}
