//! Made-up memory for tests: bytes at addresses, faults everywhere else.

use super::VirtualMemory;
use crate::dump::{Fault, Level, PhysAddr, PhysicalMemory, VirtAddr, Why};
use std::collections::BTreeMap;

/// Bytes where a test put them; as virtual memory the rest is not mapped, as physical memory it is
/// not RAM.
#[derive(Clone, Default, Debug)]
pub(crate) struct FlatMemory {
    bytes: BTreeMap<u64, u8>,
}

impl FlatMemory {
    pub(crate) fn new() -> FlatMemory {
        FlatMemory::default()
    }

    /// Puts bytes at an address, over what was there.
    pub(crate) fn put(&mut self, at: u64, bytes: &[u8]) -> &mut FlatMemory {
        self.bytes.extend((at..).zip(bytes.iter().copied()));
        self
    }

    /// Puts a little-endian number at an address.
    pub(crate) fn put_u64(&mut self, at: u64, value: u64) -> &mut FlatMemory {
        self.put(at, &value.to_le_bytes())
    }

    /// Takes a range away, so that reading it faults.
    pub(crate) fn remove(&mut self, at: u64, len: u64) -> &mut FlatMemory {
        self.bytes.retain(|&byte, _| byte < at || byte - at >= len);
        self
    }

    /// The first address of the read that has no byte, if there is one.
    fn fill(&self, at: u64, buf: &mut [u8]) -> Result<(), u64> {
        for (at, byte) in (at..).zip(buf) {
            *byte = *self.bytes.get(&at).ok_or(at)?;
        }
        Ok(())
    }
}

impl VirtualMemory for FlatMemory {
    fn read(&self, at: VirtAddr, buf: &mut [u8]) -> Result<(), Fault> {
        self.fill(at.0, buf)
            .map_err(|at| Fault::virt(VirtAddr(at), Why::NotPresent { level: Level::Pte }))
    }
}

impl PhysicalMemory for FlatMemory {
    fn read(&self, at: PhysAddr, buf: &mut [u8]) -> Result<(), Fault> {
        self.fill(at.0, buf).map_err(|at| Fault::phys(PhysAddr(at), Why::NotRam))
    }
}
