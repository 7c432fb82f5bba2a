//! Why a read failed: which address, and what is the matter with it.
//!
//! A dump lacks memory for reasons that mean different things to its reader: makedumpfile left a
//! page out on purpose, the file was cut off, there never was RAM, or no page table maps the
//! address. They are never folded into one, and never into zeroes, but for one format that cannot
//! tell (see [`DumpInfo::zero_filled`](super::DumpInfo::zero_filled)).

use super::addr::{PhysAddr, VirtAddr};
use std::fmt;

/// The address that could not be read.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum At {
    /// In the machine's memory.
    Phys(PhysAddr),
    /// In an address space.
    Virt(VirtAddr),
}

impl fmt::Display for At {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            At::Phys(at) => write!(f, "physical {at}"),
            At::Virt(at) => write!(f, "{at}"),
        }
    }
}

/// The level of the page tables at which a translation ended, named as the kernel names them.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Level {
    /// `pgd_t`, level 5 or, without 5-level paging, level 4.
    Pgd,
    /// `p4d_t`, only with 5-level paging.
    P4d,
    /// `pud_t`: 1 GiB an entry.
    Pud,
    /// `pmd_t`: 2 MiB an entry.
    Pmd,
    /// `pte_t`: one page.
    Pte,
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Level::Pgd => "pgd",
            Level::P4d => "p4d",
            Level::Pud => "pud",
            Level::Pmd => "pmd",
            Level::Pte => "pte",
        })
    }
}

/// What is the matter with an address.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Why {
    /// The page tables hold no present entry for it at this level.
    NotPresent {
        /// Where the walk ended.
        level: Level,
    },
    /// It has no canonical form: bits 47 (or 56) to 63 differ.
    NotCanonical,
    /// makedumpfile left the page out (free, cache, user or zero page, as its dump level says).
    Excluded,
    /// The page was in the dump; the file ends before it or says that it could not be written.
    Lost,
    /// The machine has no RAM there.
    NotRam,
    /// Beyond the highest page that the dump describes.
    Beyond,
    /// The page is in the dump and its data is damaged; the text names what is wrong.
    Corrupt(&'static str),
}

/// A read that failed: the address and the reason.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, thiserror::Error)]
#[error("{at}: {why}")]
pub struct Fault {
    /// The first byte that could not be read.
    pub at: At,
    /// The reason.
    pub why: Why,
}

impl Fault {
    /// A fault at a physical address.
    #[must_use]
    pub const fn phys(at: PhysAddr, why: Why) -> Fault {
        Fault { at: At::Phys(at), why }
    }

    /// A fault at a virtual address.
    #[must_use]
    pub const fn virt(at: VirtAddr, why: Why) -> Fault {
        Fault { at: At::Virt(at), why }
    }
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Why::NotPresent { level } => write!(f, "not mapped (no {level} entry)"),
            Why::NotCanonical => f.write_str("not a canonical address"),
            Why::Excluded => f.write_str("page excluded from the dump by makedumpfile"),
            Why::Lost => f.write_str("page lost: the dump file is cut off or incomplete"),
            Why::NotRam => f.write_str("no RAM at this address"),
            Why::Beyond => f.write_str("beyond the end of the dumped memory"),
            Why::Corrupt(what) => write!(f, "page damaged: {what}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_tells_address_and_reason() {
        let fault = Fault::virt(VirtAddr(0x1000), Why::NotPresent { level: Level::Pmd });
        assert_eq!(fault.to_string(), "0x1000: not mapped (no pmd entry)");
        let fault = Fault::phys(PhysAddr(0x2000), Why::Excluded);
        assert_eq!(
            fault.to_string(),
            "physical 0x2000: page excluded from the dump by makedumpfile"
        );
    }
}
