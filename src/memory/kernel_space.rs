//! The kernel's address space: finding its page tables, and making sure that it is them.
//!
//! The kernel maps its image at `__START_KERNEL_map`, wherever in memory the boot loader (or KASLR)
//! has put it: `phys = virt - __START_KERNEL_map + phys_base`. So the address of the top table,
//! which VMCOREINFO gives, and `phys_base` lead to it without any table. Then an address known to be
//! in the image must lead to the same place through the tables and by the formula; a stale or
//! damaged VMCOREINFO is noticed here, not by nonsense later.
//!
//! QEMU's own dumps have no VMCOREINFO when the guest did not hand it over, but they have each CPU's
//! `CR3`, which leads to a table with the same kernel half.

use super::paging::PageTables;
use super::{VirtualMemory, Walk};
use crate::dump::{Fault, PhysAddr, PhysicalMemory, VirtAddr};
use std::sync::Arc;

/// Where the kernel's image is mapped: `__START_KERNEL_map`, arch/x86/include/asm/page_64_types.h.
const START_KERNEL_MAP: VirtAddr = VirtAddr(0xffff_ffff_8000_0000);

/// What a dump says about where the kernel's page tables are.
#[derive(Clone, Default, Debug)]
pub struct PageTableClues {
    /// `SYMBOL(swapper_pg_dir)` of VMCOREINFO, or `SYMBOL(init_top_pgt)`.
    pub swapper_pg_dir: Option<VirtAddr>,
    /// `NUMBER(phys_base)`, or the dump's own header. May be negative.
    pub phys_base: Option<i64>,
    /// `NUMBER(pgtable_l5_enabled)`, or bit 12 of CR4.
    pub five_levels: bool,
    /// `NUMBER(sme_mask)`; 0 without memory encryption.
    pub sme_mask: u64,
    /// Addresses in the kernel's image: `SYMBOL(_stext)`, `SYMBOL(init_uts_ns)`.
    pub in_image: Vec<VirtAddr>,
    /// `CR3` of the CPUs, where the dump has it.
    pub cr3: Vec<u64>,
}

/// Why the kernel's address space cannot be read.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum SpaceError {
    /// The dump says nothing about its page tables.
    #[error(
        "the dump does not say where the kernel's page tables are: VMCOREINFO has no \
         SYMBOL(swapper_pg_dir), and there is no CR3 of a CPU"
    )]
    NoClue,
    /// `swapper_pg_dir` is not in the kernel's image.
    #[error("SYMBOL(swapper_pg_dir)={0:x} of VMCOREINFO is not an address of the kernel's image")]
    NotInImage(VirtAddr),
    /// Where the tables should be are others, or none.
    #[error("no page tables of the kernel at {root}, where {clue} leads: {reason}")]
    NotPageTables {
        /// What led there.
        clue: &'static str,
        /// Where they should be.
        root: PhysAddr,
        /// What is wrong with them.
        reason: String,
    },
}

/// The kernel's address space.
pub struct KernelSpace {
    tables: PageTables,
}

impl KernelSpace {
    /// Finds the page tables and checks them.
    ///
    /// # Errors
    /// [`SpaceError`], naming what is missing or what contradicts.
    pub fn new(
        memory: &Arc<dyn PhysicalMemory>,
        clues: &PageTableClues,
    ) -> Result<KernelSpace, SpaceError> {
        let mut failed = None;
        for (clue, root, phys_base) in candidates(clues)? {
            let tables =
                PageTables::new(Arc::clone(memory), root, clues.five_levels, clues.sme_mask);
            match check(&tables, clues, phys_base) {
                Ok(()) => return Ok(KernelSpace { tables }),
                Err(reason) => {
                    let error = SpaceError::NotPageTables { clue, root, reason };
                    failed = failed.or(Some(error));
                }
            }
        }
        Err(failed.unwrap_or(SpaceError::NoClue))
    }

    pub(super) const fn tables(&self) -> &PageTables {
        &self.tables
    }

    /// The physical address behind a virtual one.
    ///
    /// # Errors
    /// A fault that names the level at which the page tables end.
    pub fn translate(&self, at: VirtAddr) -> Result<PhysAddr, Fault> {
        self.tables.translate(at)
    }

    /// The page table entries on the way to an address.
    #[must_use]
    pub fn walk(&self, at: VirtAddr) -> Walk {
        self.tables.walk(at)
    }

    /// Where the top table lies.
    #[must_use]
    pub const fn root(&self) -> PhysAddr {
        self.tables.root()
    }

    /// Whether the page tables have five levels.
    #[must_use]
    pub const fn five_levels(&self) -> bool {
        self.tables.five_levels()
    }
}

impl VirtualMemory for KernelSpace {
    fn read(&self, at: VirtAddr, buf: &mut [u8]) -> Result<(), Fault> {
        self.tables.read(at, buf)
    }
}

/// The physical address of an address in the image.
fn linear(at: VirtAddr, phys_base: i64) -> Option<PhysAddr> {
    at.offset_from(START_KERNEL_MAP)?.checked_add_signed(phys_base).map(PhysAddr)
}

type Candidate = (&'static str, PhysAddr, Option<i64>);

/// Where the top table may be, the best clue first.
fn candidates(clues: &PageTableClues) -> Result<Vec<Candidate>, SpaceError> {
    let mut found = Vec::new();
    if let Some(table) = clues.swapper_pg_dir {
        if let Some(base) = clues.phys_base {
            let root = linear(table, base).ok_or(SpaceError::NotInImage(table))?;
            found.push(("SYMBOL(swapper_pg_dir) with phys_base", root, Some(base)));
        }
        // Kernels that are not relocated have none to tell; the check tells whether this is one.
        let root = linear(table, 0).ok_or(SpaceError::NotInImage(table))?;
        found.push(("SYMBOL(swapper_pg_dir) with phys_base 0", root, Some(0)));
    }
    for &cr3 in &clues.cr3 {
        // The low bits are the address space's number (PCID). With page table isolation a CPU in
        // user mode uses the upper of two tables side by side, which maps hardly any of the kernel.
        let root = cr3 & !0xfff;
        for root in [root & !0x1000, root] {
            found.push(("CR3", PhysAddr(root), None));
        }
    }
    Ok(found)
}

/// Whether these tables are the kernel's.
fn check(
    tables: &PageTables,
    clues: &PageTableClues,
    phys_base: Option<i64>,
) -> Result<(), String> {
    let known = clues.swapper_pg_dir.iter().chain(&clues.in_image);
    let mut known = known.filter(|at| **at >= START_KERNEL_MAP).peekable();
    if known.peek().is_none() {
        // Only CR3 is left: its table must at least map an image.
        return first_mapped(tables).map(|_| ());
    }
    for &at in known {
        let walked = tables.translate(at).map_err(|fault| fault.to_string())?;
        if let Some(wanted) = phys_base.and_then(|base| linear(at, base))
            && wanted != walked
        {
            return Err(format!(
                "they map {at} to {walked}, the kernel's image has it at {wanted}"
            ));
        }
    }
    Ok(())
}

/// The first 2 MiB of the image's 1 GiB that are mapped.
fn first_mapped(tables: &PageTables) -> Result<VirtAddr, String> {
    let mut at = START_KERNEL_MAP;
    let mut missing = None;
    for _ in 0..512 {
        match tables.translate(at) {
            Ok(_) => return Ok(at),
            Err(fault) => missing = missing.or(Some(fault)),
        }
        at = at.plus(1 << 21);
    }
    Err(missing.map_or_else(String::new, |fault| fault.to_string()))
}

#[cfg(test)]
mod tests {
    use super::super::{FlatMemory, UserSpace};
    use super::*;
    use crate::dump::{Level, Why};

    const STEXT: VirtAddr = VirtAddr(0xffff_ffff_a100_0000);
    const TOP: VirtAddr = VirtAddr(0xffff_ffff_a120_0000);
    /// The image of 0xffffffffa1000000 lies at 16 MiB.
    const BASE: i64 = 0x100_0000 - 0x2100_0000;

    /// An image of 4 MiB from [`STEXT`] on, and `direct` mapping the first GiB.
    fn memory(direct: u64) -> FlatMemory {
        let mut memory = FlatMemory::new();
        for table in [0x120_0000, 0x2000, 0x3000, 0x5000] {
            memory.put(table, &[0; 4096]);
        }
        memory.put_u64(0x120_0000 + 511 * 8, 0x2063);
        memory.put_u64(0x2000 + 510 * 8, 0x3063);
        let first = (STEXT.0 >> 21) & 511;
        memory.put_u64(0x3000 + first * 8, 0x100_00e3);
        memory.put_u64(0x3000 + (first + 1) * 8, 0x120_00e3);
        memory.put_u64(0x120_0000 + ((direct >> 39) & 511) * 8, 0x5063);
        memory.put_u64(0x5000 + ((direct >> 30) & 511) * 8, 0xe3);
        memory
    }

    fn clues() -> PageTableClues {
        PageTableClues {
            swapper_pg_dir: Some(TOP),
            phys_base: Some(BASE),
            in_image: vec![STEXT],
            ..PageTableClues::default()
        }
    }

    fn open(memory: FlatMemory, clues: &PageTableClues) -> Result<KernelSpace, SpaceError> {
        let memory: Arc<dyn PhysicalMemory> = Arc::new(memory);
        KernelSpace::new(&memory, clues)
    }

    const DIRECT: u64 = 0xffff_9a40_0000_0000;

    #[test]
    fn vmcoreinfo_leads_to_the_tables_and_they_to_a_randomized_direct_map() {
        let space = open(memory(DIRECT), &clues()).unwrap();
        assert_eq!(space.root(), PhysAddr(0x120_0000));
        assert_eq!(space.translate(STEXT), Ok(PhysAddr(0x100_0000)));
        assert_eq!(space.translate(VirtAddr(DIRECT + 0x1234)), Ok(PhysAddr(0x1234)));
    }

    #[test]
    fn a_wrong_phys_base_is_told_and_not_believed() {
        let wrong = PageTableClues { phys_base: Some(BASE + 0x20_0000), ..clues() };
        let error = open(memory(DIRECT), &wrong).map(|_| ()).unwrap_err().to_string();
        assert!(error.contains("0x1400000"), "{error}");
        assert!(error.contains("SYMBOL(swapper_pg_dir)"), "{error}");
    }

    #[test]
    fn tables_that_map_the_image_elsewhere_are_refused() {
        let mut memory = memory(DIRECT);
        memory.put_u64(0x3000 + ((STEXT.0 >> 21) & 511) * 8, 0x1e0_00e3);
        let error = open(memory, &clues()).map(|_| ()).unwrap_err().to_string();
        assert!(error.contains("they map 0xffffffffa1000000 to 0x1e00000"), "{error}");
    }

    #[test]
    fn without_phys_base_a_kernel_that_was_not_relocated_is_read() {
        let mut memory = memory(DIRECT);
        // The same tables, of an image that lies where it was linked to.
        memory.put(0x2120_0000, &[0; 4096]);
        memory.put_u64(0x2120_0000 + 511 * 8, 0x2063);
        let first = (STEXT.0 >> 21) & 511;
        memory.put_u64(0x3000 + first * 8, 0x2100_00e3);
        memory.put_u64(0x3000 + (first + 1) * 8, 0x2120_00e3);
        let clues = PageTableClues { phys_base: None, ..clues() };
        assert_eq!(open(memory, &clues).unwrap().root(), PhysAddr(0x2120_0000));
    }

    #[test]
    fn the_table_of_a_cpu_serves_when_there_is_no_vmcoreinfo() {
        // In user mode, with page table isolation: the upper table, and a PCID in the low bits.
        let clues = PageTableClues { cr3: vec![0x120_1806], ..PageTableClues::default() };
        assert_eq!(open(memory(DIRECT), &clues).unwrap().root(), PhysAddr(0x120_0000));
        let nothing = PageTableClues { cr3: vec![0x7000], ..PageTableClues::default() };
        assert!(open(memory(DIRECT), &nothing).is_err());
    }

    #[test]
    fn what_is_missing_is_named() {
        let error = open(FlatMemory::new(), &PageTableClues::default()).map(|_| ()).unwrap_err();
        assert_eq!(error, SpaceError::NoClue);
        let low = PageTableClues { swapper_pg_dir: Some(VirtAddr(0x1000)), ..clues() };
        let error = open(FlatMemory::new(), &low).map(|_| ()).unwrap_err();
        assert_eq!(error, SpaceError::NotInImage(VirtAddr(0x1000)));
    }

    #[test]
    fn a_process_sees_its_own_pages_and_the_kernel() {
        let mut memory = memory(DIRECT);
        // Its top table at 0x6000: the kernel's half copied, one user page at 0x400000.
        memory.put(0x6000, &[0; 4096]);
        memory.put_u64(0x6000 + 511 * 8, 0x2063);
        for (table, index, next) in [(0x6000, 0, 0x7067), (0x7000, 0, 0x8067), (0x8000, 2, 0x9067)]
        {
            memory.put_u64(table + index * 8, next);
        }
        memory.put(0x9000, &[0; 4096]).put_u64(0x9000, 0xa067);
        memory.put(0xa000, b"user");
        let kernel = open(memory, &clues()).unwrap();
        let user = UserSpace::new(&kernel, VirtAddr(DIRECT + 0x6000)).unwrap();
        let mut buf = [0; 4];
        user.read(VirtAddr(0x40_0000), &mut buf).unwrap();
        assert_eq!(&buf, b"user");
        assert_eq!(user.translate(STEXT), kernel.translate(STEXT));
        assert_eq!(
            user.translate(VirtAddr(0x40_1000)).unwrap_err().why,
            Why::NotPresent { level: Level::Pte }
        );
    }
}
