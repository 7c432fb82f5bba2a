//! The pages that were decompressed last, shared by all threads.
//!
//! A set-associative cache, as processors have them: a page's number chooses one small set, each
//! set has its own lock, so threads rarely meet, and the size is bounded by construction.

use std::sync::{Mutex, PoisonError};

/// Bytes of pages kept at most.
const CAPACITY: usize = 64 << 20;
/// Pages in a set.
const WAYS: usize = 8;

pub(super) struct PageCache {
    sets: Box<[Mutex<Set>]>,
}

#[derive(Default)]
struct Set {
    pages: [Option<(u64, Box<[u8]>)>; WAYS],
    /// Which page goes next, in turn.
    oldest: usize,
}

impl PageCache {
    /// A cache for pages of `page_size` bytes.
    pub(super) fn new(page_size: usize) -> PageCache {
        let sets = (CAPACITY / page_size.max(1) / WAYS).max(1);
        PageCache { sets: (0..sets).map(|_| Mutex::default()).collect() }
    }

    fn set(&self, number: u64) -> Option<&Mutex<Set>> {
        // Neighbours go to neighbouring sets; the upper bits keep pages that lie a power of two
        // apart out of each other's way.
        let mixed = number ^ (number >> 11) ^ (number >> 22);
        self.sets.get(usize::try_from(mixed % self.sets.len() as u64).unwrap_or(0))
    }

    /// Hands the page to `with` if it is cached.
    pub(super) fn hit<R>(&self, number: u64, with: impl FnOnce(&[u8]) -> R) -> Option<R> {
        let set = self.set(number)?.lock().unwrap_or_else(PoisonError::into_inner);
        let (_, page) = set.pages.iter().flatten().find(|(held, _)| *held == number)?;
        Some(with(page))
    }

    /// Keeps a page, and gives back one that is not kept, for the next to be unpacked into.
    pub(super) fn keep(&self, number: u64, page: Box<[u8]>) -> Option<Box<[u8]>> {
        let mut set = self.set(number)?.lock().unwrap_or_else(PoisonError::into_inner);
        if set.pages.iter().flatten().any(|(held, _)| *held == number) {
            return Some(page);
        }
        let place = set.oldest;
        set.oldest = (place + 1) % WAYS;
        let older = set.pages.get_mut(place)?.replace((number, page));
        older.map(|(_, page)| page)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kept_page_is_found_and_others_are_not() {
        let cache = PageCache::new(4096);
        assert_eq!(cache.keep(7, vec![1, 2, 3].into()), None);
        assert_eq!(cache.hit(7, <[u8]>::to_vec), Some(vec![1, 2, 3]));
        assert_eq!(cache.hit(8, <[u8]>::to_vec), None);
    }

    #[test]
    fn what_is_not_kept_is_given_back() {
        let cache = PageCache::new(CAPACITY);
        assert_eq!(cache.keep(1, vec![1].into()), None);
        assert_eq!(cache.keep(1, vec![7].into()), Some(vec![7].into()));
        let given: Vec<_> = (2..=10).filter_map(|page| cache.keep(page, vec![0].into())).collect();
        assert_eq!(given, [vec![1].into(), vec![0].into()] as [Box<[u8]>; 2]);
    }

    #[test]
    fn the_cache_never_holds_more_than_its_capacity() {
        let cache = PageCache::new(1 << 20);
        for number in 0..1000 {
            drop(cache.keep(number, vec![0; 8].into()));
        }
        let held = (0..1000).filter(|&number| cache.hit(number, |_| ()).is_some()).count();
        assert!((1..=64).contains(&held), "{held}");
    }
}
