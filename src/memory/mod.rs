//! Virtual addresses: page tables, KASLR, the direct map, per-task address spaces.
//!
//! Everything above this floor reads through [`VirtualMemory`], be it the kernel's own address
//! space ([`KernelSpace`]), a process's ([`UserSpace`]), or a few bytes made up by a test. Nothing is
//! assumed about where the kernel put its direct map, its image or its vmalloc area: the page tables
//! say it.

#[cfg(test)]
mod flat;
mod kernel_space;
mod paging;
mod translations;
mod user_space;

#[cfg(test)]
pub(crate) use flat::FlatMemory;
pub use kernel_space::{KernelSpace, PageTableClues, SpaceError};
pub use paging::{Step, Walk};
pub use user_space::UserSpace;

use crate::dump::{Fault, VirtAddr};

/// One address space that can be read.
pub trait VirtualMemory: Send + Sync {
    /// Fills `buf` from `at` on. A read may cross pages.
    ///
    /// # Errors
    /// A [`Fault`] that names the first byte which is not there and why; `buf` is then undefined.
    fn read(&self, at: VirtAddr, buf: &mut [u8]) -> Result<(), Fault>;
}

/// Little-endian numbers and text out of any [`VirtualMemory`], also behind `dyn`.
impl dyn VirtualMemory + '_ {
    /// The byte at `at`.
    ///
    /// # Errors
    /// As [`VirtualMemory::read`].
    pub fn read_u8(&self, at: VirtAddr) -> Result<u8, Fault> {
        let mut bytes = [0; 1];
        self.read(at, &mut bytes)?;
        Ok(u8::from_le_bytes(bytes))
    }

    /// The 16-bit number at `at`.
    ///
    /// # Errors
    /// As [`VirtualMemory::read`].
    pub fn read_u16(&self, at: VirtAddr) -> Result<u16, Fault> {
        let mut bytes = [0; 2];
        self.read(at, &mut bytes)?;
        Ok(u16::from_le_bytes(bytes))
    }

    /// The 32-bit number at `at`.
    ///
    /// # Errors
    /// As [`VirtualMemory::read`].
    pub fn read_u32(&self, at: VirtAddr) -> Result<u32, Fault> {
        let mut bytes = [0; 4];
        self.read(at, &mut bytes)?;
        Ok(u32::from_le_bytes(bytes))
    }

    /// The 64-bit number at `at`.
    ///
    /// # Errors
    /// As [`VirtualMemory::read`].
    pub fn read_u64(&self, at: VirtAddr) -> Result<u64, Fault> {
        let mut bytes = [0; 8];
        self.read(at, &mut bytes)?;
        Ok(u64::from_le_bytes(bytes))
    }

    /// The pointer at `at`.
    ///
    /// # Errors
    /// As [`VirtualMemory::read`].
    pub fn read_ptr(&self, at: VirtAddr) -> Result<VirtAddr, Fault> {
        self.read_u64(at).map(VirtAddr)
    }

    /// `len` bytes at `at`. `len` must come from this program or have been checked: it sizes the
    /// allocation.
    ///
    /// # Errors
    /// As [`VirtualMemory::read`].
    pub fn read_vec(&self, at: VirtAddr, len: usize) -> Result<Vec<u8>, Fault> {
        let mut bytes = vec![0; len];
        self.read(at, &mut bytes)?;
        Ok(bytes)
    }

    /// The bytes from `at` to the first NUL, at most `max` of them.
    ///
    /// # Errors
    /// As [`VirtualMemory::read`], when a byte before the NUL is not there.
    pub fn read_cstr(&self, at: VirtAddr, max: usize) -> Result<Vec<u8>, Fault> {
        let mut text = Vec::new();
        let mut at = at;
        while text.len() < max {
            // Up to the end of a page at a time: what follows the string may not be mapped.
            let room = usize::try_from(crate::dump::PAGE_SIZE - at.in_page()).unwrap_or(1);
            let take = room.min(max - text.len()).min(64);
            let chunk = self.read_vec(at, take)?;
            if let Some(end) = chunk.iter().position(|&byte| byte == 0) {
                text.extend(chunk.iter().take(end));
                return Ok(text);
            }
            text.extend(chunk);
            at = at.plus(u64::try_from(take).unwrap_or(u64::MAX));
        }
        Ok(text)
    }
}
