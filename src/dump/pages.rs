//! The memory in one or several kdump-compressed files, behind the page cache.

use super::PhysicalMemory;
use super::addr::PhysAddr;
use super::cache::PageCache;
use super::fault::{Fault, Why};
use super::kdump::Kdump;
use super::packed::{Compression, unpack};

/// The parts of a dump; there is one unless it is split.
pub(super) struct Pages {
    /// By the number of their first page.
    pub(super) parts: Vec<Kdump>,
    pub(super) block_size: u64,
    cache: PageCache,
}

impl Pages {
    /// `parts` must be sorted and of one page size.
    pub(super) fn new(parts: Vec<Kdump>, block_size: u64) -> Pages {
        let cache = PageCache::new(usize::try_from(block_size).unwrap_or(usize::MAX));
        Pages { parts, block_size, cache }
    }

    /// The file that holds a page, or would.
    fn part(&self, pfn: u64) -> Result<&Kdump, Why> {
        let after = self
            .parts
            .partition_point(|part| part.header.part.is_none_or(|(first, _)| first <= pfn));
        self.parts.get(after.saturating_sub(1)).ok_or(Why::Beyond)
    }

    /// Copies out of one page, from its byte `skip` on.
    fn copy(&self, pfn: u64, skip: usize, to: &mut [u8]) -> Result<(), Why> {
        let cached = self.cache.hit(pfn, |page| copy_from(page, skip, to));
        if let Some(copied) = cached {
            return copied;
        }
        let stored = self.part(pfn)?.find(pfn)?;
        if stored.compression == Compression::Raw {
            return copy_from(&stored.data, skip, to);
        }
        let mut page = vec![0; usize::try_from(self.block_size).unwrap_or(0)].into_boxed_slice();
        unpack(stored.compression, &stored.data, &mut page)?;
        copy_from(&page, skip, to)?;
        self.cache.keep(pfn, page);
        Ok(())
    }
}

fn copy_from(page: &[u8], skip: usize, to: &mut [u8]) -> Result<(), Why> {
    let from = page.get(skip..).and_then(|rest| rest.get(..to.len()));
    to.copy_from_slice(from.ok_or(Why::Corrupt("it is too short"))?);
    Ok(())
}

impl PhysicalMemory for Pages {
    fn read(&self, at: PhysAddr, buf: &mut [u8]) -> Result<(), Fault> {
        let mut at = at;
        let mut rest = buf;
        while !rest.is_empty() {
            let skip = at.0 % self.block_size;
            let room = usize::try_from(self.block_size - skip).unwrap_or(usize::MAX);
            let (now, later) = rest.split_at_mut(room.min(rest.len()));
            self.copy(at.0 / self.block_size, usize::try_from(skip).unwrap_or(0), now)
                .map_err(|why| Fault::phys(at, why))?;
            let next = at.checked_add(now.len() as u64);
            rest = later;
            match next {
                Some(next) => at = next,
                None if rest.is_empty() => {}
                None => return Err(Fault::phys(at, Why::Beyond)),
            }
        }
        Ok(())
    }
}
