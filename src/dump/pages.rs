//! The memory in one or several kdump-compressed files, behind the page cache.

use super::PhysicalMemory;
use super::addr::PhysAddr;
use super::cache::PageCache;
use super::error::WhyNot;
use super::fault::{Fault, Why};
use super::kdump::Kdump;
use super::packed::{Compression, unpack};
use std::cell::Cell;

thread_local! {
    /// Room for a page that the cache has done with.
    static SPARE: Cell<Option<Box<[u8]>>> = const { Cell::new(None) };
}

/// The parts of a dump; there is one unless it is split.
pub(super) struct Pages {
    first: Kdump,
    /// The others, by the number of their first page.
    others: Vec<Kdump>,
    block_size: u64,
    cache: PageCache,
}

impl Pages {
    /// The files as one dump.
    pub(super) fn join(mut parts: Vec<Kdump>) -> Result<Pages, WhyNot> {
        parts.sort_by_key(|part| part.header.part);
        let mut parts = parts.into_iter();
        let first = parts.next().ok_or(WhyNot::NotOneDump("no file was given"))?;
        let others: Vec<Kdump> = parts.collect();
        for other in &others {
            if first.header.part.is_none() || other.header.part.is_none() {
                return Err(WhyNot::NotOneDump("only the parts of one split dump open together"));
            }
            if !first.header.is_of_one_dump_with(&other.header) {
                return Err(WhyNot::NotOneDump("these are parts of different dumps"));
            }
        }
        let block_size = first.header.block_size;
        let cache = PageCache::new(usize::try_from(block_size).unwrap_or(usize::MAX));
        Ok(Pages { first, others, block_size, cache })
    }

    /// The file with the lowest pages.
    pub(super) fn first(&self) -> &Kdump {
        &self.first
    }

    /// All files.
    pub(super) fn parts(&self) -> impl Iterator<Item = &Kdump> {
        std::iter::once(&self.first).chain(&self.others)
    }

    /// The file that holds a page, or would.
    fn part(&self, pfn: u64) -> &Kdump {
        let starts_below = |part: &Kdump| part.header.part.is_some_and(|(start, _)| start <= pfn);
        let after = self.others.partition_point(starts_below);
        after.checked_sub(1).and_then(|last| self.others.get(last)).unwrap_or(&self.first)
    }

    /// Copies out of one page, from its byte `skip` on.
    fn copy(&self, pfn: u64, skip: u64, to: &mut [u8]) -> Result<(), Why> {
        let skip = usize::try_from(skip).unwrap_or(usize::MAX);
        if let Some(copied) = self.cache.hit(pfn, |page| copy_from(page, skip, to)) {
            return copied;
        }
        let stored = self.part(pfn).find(pfn)?;
        if stored.compression == Compression::Raw {
            return copy_from(&stored.data, skip, to);
        }
        let len = usize::try_from(self.block_size).unwrap_or(0);
        let mut page = SPARE
            .take()
            .filter(|spare| spare.len() == len)
            .unwrap_or_else(|| vec![0; len].into_boxed_slice());
        // Fills all of the page, or fails.
        unpack(stored.compression, &stored.data, &mut page)?;
        copy_from(&page, skip, to)?;
        SPARE.set(self.cache.keep(pfn, page));
        Ok(())
    }
}

fn copy_from(page: &[u8], skip: usize, to: &mut [u8]) -> Result<(), Why> {
    let from = page.get(skip..).and_then(|rest| rest.get(..to.len()));
    to.copy_from_slice(from.ok_or(Why::Corrupt("its data is not one page long"))?);
    Ok(())
}

impl PhysicalMemory for Pages {
    fn read(&self, at: PhysAddr, buf: &mut [u8]) -> Result<(), Fault> {
        let mut at = at.0;
        let mut rest = buf;
        while !rest.is_empty() {
            let skip = at % self.block_size;
            let room = usize::try_from(self.block_size - skip).unwrap_or(usize::MAX);
            let (now, later) = rest.split_at_mut(room.min(rest.len()));
            self.copy(at / self.block_size, skip, now)
                .map_err(|why| Fault::phys(PhysAddr(at), why))?;
            // Saturates only past the last page that an address can name, which no dump has.
            at = at.saturating_add(now.len() as u64);
            rest = later;
        }
        Ok(())
    }
}
