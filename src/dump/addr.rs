//! Addresses that cannot be mixed up: [`PhysAddr`] is a place in the machine's memory,
//! [`VirtAddr`] one in some address space.
//!
//! Arithmetic never wraps. [`VirtAddr::plus`] saturates: a pointer out of a hostile dump may be
//! anything, and an address at the very top is never mapped, so the read that follows faults.

use std::fmt;

/// Bytes in a page, on x86-64 the unit of dumps and of page tables.
pub const PAGE_SIZE: u64 = 4096;

macro_rules! address {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
        pub struct $name(pub u64);

        impl $name {
            /// `self + bytes`, or the highest address when that does not fit.
            #[must_use]
            pub const fn plus(self, bytes: u64) -> Self {
                Self(self.0.saturating_add(bytes))
            }

            /// `self - bytes`, or zero when that does not fit.
            #[must_use]
            pub const fn minus(self, bytes: u64) -> Self {
                Self(self.0.saturating_sub(bytes))
            }

            /// `self + bytes` unless it overflows.
            #[must_use]
            pub const fn checked_add(self, bytes: u64) -> Option<Self> {
                match self.0.checked_add(bytes) {
                    Some(at) => Some(Self(at)),
                    None => None,
                }
            }

            /// `self - bytes` unless it is below zero.
            #[must_use]
            pub const fn checked_sub(self, bytes: u64) -> Option<Self> {
                match self.0.checked_sub(bytes) {
                    Some(at) => Some(Self(at)),
                    None => None,
                }
            }

            /// Bytes from `base` to `self`, if `self` is not below it.
            #[must_use]
            pub const fn offset_from(self, base: Self) -> Option<u64> {
                self.0.checked_sub(base.0)
            }

            /// The number of the page that holds the address (its PFN, for a physical one).
            #[must_use]
            pub const fn page(self) -> u64 {
                self.0 / PAGE_SIZE
            }

            /// Bytes from the start of its page.
            #[must_use]
            pub const fn in_page(self) -> u64 {
                self.0 % PAGE_SIZE
            }

            /// Whether it is the null pointer.
            #[must_use]
            pub const fn is_null(self) -> bool {
                self.0 == 0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:#x}", self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({:#x})"), self.0)
            }
        }

        impl fmt::LowerHex for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::LowerHex::fmt(&self.0, f)
            }
        }
    };
}

address!(
    /// A byte in the machine's physical memory.
    PhysAddr
);
address!(
    /// A byte in an address space, the kernel's or a process's.
    VirtAddr
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arithmetic_stays_inside_the_address_space() {
        assert_eq!(VirtAddr(u64::MAX - 1).plus(8), VirtAddr(u64::MAX));
        assert_eq!(VirtAddr(3).minus(8), VirtAddr(0));
        assert_eq!(VirtAddr(u64::MAX).checked_add(1), None);
        assert_eq!(VirtAddr(0x1008).offset_from(VirtAddr(0x1000)), Some(8));
        assert_eq!(VirtAddr(0x1000).offset_from(VirtAddr(0x1008)), None);
    }

    #[test]
    fn an_address_prints_as_c_would_write_it() {
        assert_eq!(PhysAddr(0x1234).to_string(), "0x1234");
        assert_eq!(format!("{:x}", VirtAddr(0xffff_8880_0000_0000)), "ffff888000000000");
    }
}
