//! The address space of one process: the page tables that its `mm->pgd` points to. Pages that are
//! swapped out, or that makedumpfile left out, fault like any other that is not there.

use super::paging::PageTables;
use super::{KernelSpace, VirtualMemory, Walk};
use crate::dump::{Fault, PhysAddr, VirtAddr};

/// The address space of a process, the kernel's half included.
///
/// With page table isolation a process has two top tables, side by side; `mm->pgd` is the kernel's,
/// which maps user memory too.
pub struct UserSpace {
    tables: PageTables,
}

impl UserSpace {
    /// The space whose top table `mm->pgd` points to.
    ///
    /// # Errors
    /// The fault of `pgd` when it is not mapped.
    pub fn new(kernel: &KernelSpace, pgd: VirtAddr) -> Result<UserSpace, Fault> {
        let root = kernel.translate(pgd)?;
        Ok(UserSpace { tables: kernel.tables().with_root(root) })
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
}

impl VirtualMemory for UserSpace {
    fn read(&self, at: VirtAddr, buf: &mut [u8]) -> Result<(), Fault> {
        self.tables.read(at, buf)
    }
}
