//! Which pages an analysis reads: what a trimmed dump must keep.

use super::PhysicalMemory;
use super::addr::{PAGE_SIZE, PhysAddr};
use super::fault::{At, Fault};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

/// Pages in one piece of a set.
const PIECE: u64 = 4096;
/// Words of 64 pages in one piece.
const WORDS: usize = 64;

/// A set of pages, by their numbers (PFN).
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct PageSet {
    pieces: BTreeMap<u64, [u64; WORDS]>,
}

/// The piece, the word in it and the bit in that.
fn place(pfn: u64) -> (u64, usize, u64) {
    let word = usize::try_from(pfn / 64 % WORDS as u64).unwrap_or(0);
    (pfn / PIECE, word, 1 << (pfn % 64))
}

impl PageSet {
    /// Adds a page.
    pub fn insert(&mut self, pfn: u64) {
        let (piece, word, bit) = place(pfn);
        if let Some(word) = self.pieces.entry(piece).or_insert([0; WORDS]).get_mut(word) {
            *word |= bit;
        }
    }

    /// Whether it holds a page.
    #[must_use]
    pub fn contains(&self, pfn: u64) -> bool {
        let (piece, word, bit) = place(pfn);
        self.pieces
            .get(&piece)
            .and_then(|words| words.get(word))
            .is_some_and(|word| word & bit != 0)
    }

    /// How many pages it holds.
    #[must_use]
    pub fn len(&self) -> u64 {
        let words = self.pieces.values().flatten();
        words.map(|word| u64::from(word.count_ones())).sum()
    }

    /// Whether it holds none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Its pages, ascending.
    pub fn iter(&self) -> impl Iterator<Item = u64> {
        self.pieces.iter().flat_map(|(piece, words)| {
            let first = piece * PIECE;
            (first..).step_by(64).zip(words).flat_map(|(first, word)| {
                (0..64).filter(move |bit| word >> bit & 1 == 1).map(move |bit| first + bit)
            })
        })
    }

    /// Its bits as a dump's bitmap has them, from page `first` (a multiple of 4,096) on.
    pub(super) fn bitmap(&self, first: u64) -> [u8; 512] {
        let mut bitmap = [0; 512];
        let words = self.pieces.get(&(first / PIECE)).into_iter().flatten();
        for (bytes, word) in bitmap.chunks_exact_mut(8).zip(words) {
            bytes.copy_from_slice(&word.to_le_bytes());
        }
        bitmap
    }
}

impl FromIterator<u64> for PageSet {
    fn from_iter<I: IntoIterator<Item = u64>>(pages: I) -> PageSet {
        let mut set = PageSet::default();
        pages.into_iter().for_each(|pfn| set.insert(pfn));
        set
    }
}

/// Memory that notes which of its pages are read. Shared by threads.
pub struct Recorder {
    memory: Arc<dyn PhysicalMemory>,
    read: RwLock<BTreeMap<u64, [AtomicU64; WORDS]>>,
}

impl Recorder {
    /// Records what is read from `memory` through it.
    #[must_use]
    pub fn new(memory: Arc<dyn PhysicalMemory>) -> Recorder {
        Recorder { memory, read: RwLock::default() }
    }

    /// The pages that were read so far, wholly or in part, as far as they are there.
    #[must_use]
    pub fn pages(&self) -> PageSet {
        let read = self.read.read().unwrap_or_else(PoisonError::into_inner);
        let load = |words: &[AtomicU64; WORDS]| {
            std::array::from_fn(|n| words.get(n).map_or(0, |word| word.load(Ordering::Relaxed)))
        };
        PageSet { pieces: read.iter().map(|(&piece, words)| (piece, load(words))).collect() }
    }

    fn record(&self, pfn: u64) {
        let (piece, word, bit) = place(pfn);
        let note = |words: Option<&[AtomicU64; WORDS]>| {
            let word = words.and_then(|words| words.get(word));
            word.map(|word| word.fetch_or(bit, Ordering::Relaxed)).is_some()
        };
        if note(self.read.read().unwrap_or_else(PoisonError::into_inner).get(&piece)) {
            return;
        }
        let mut read = self.read.write().unwrap_or_else(PoisonError::into_inner);
        let words = read.entry(piece).or_insert_with(|| std::array::from_fn(|_| AtomicU64::new(0)));
        note(Some(words));
    }
}

impl PhysicalMemory for Recorder {
    fn read(&self, at: PhysAddr, buf: &mut [u8]) -> Result<(), Fault> {
        let read = self.memory.read(at, buf);
        // Pages before the one that faulted count: without them the fault would come earlier.
        let end = match read {
            Ok(()) => at.plus(buf.len() as u64),
            Err(Fault { at: At::Phys(missing), .. }) => missing,
            Err(_) => at,
        };
        if end > at {
            (at.page()..=(end.0 - 1) / PAGE_SIZE).for_each(|pfn| self.record(pfn));
        }
        read
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dump::Why;

    /// 16 pages, of which page 5 is missing.
    struct Sixteen;

    impl PhysicalMemory for Sixteen {
        fn read(&self, at: PhysAddr, buf: &mut [u8]) -> Result<(), Fault> {
            let missing = 5 * PAGE_SIZE;
            if at.0 < missing + PAGE_SIZE && at.0 + buf.len() as u64 > missing {
                return Err(Fault::phys(PhysAddr(missing.max(at.0)), Why::Excluded));
            }
            Ok(())
        }
    }

    #[test]
    fn a_set_holds_what_was_put_in_ascending() {
        let pages = [0, 63, 64, 4095, 4096, 1 << 40];
        let set: PageSet = pages.into_iter().rev().collect();
        assert_eq!(set.iter().collect::<Vec<_>>(), pages);
        assert_eq!(set.len(), 6);
        assert!(set.contains(4096) && !set.contains(4097));
        assert_eq!(set.bitmap(4096)[0], 1);
    }

    #[test]
    fn pages_read_are_recorded_up_to_the_one_that_is_missing() {
        let recorder = Recorder::new(Arc::new(Sixteen));
        recorder.read(PhysAddr(0x1ff8), &mut [0; 16]).unwrap();
        recorder.read(PhysAddr(4 * PAGE_SIZE), &mut vec![0; 2 * 4096]).unwrap_err();
        recorder.read(PhysAddr(5 * PAGE_SIZE + 8), &mut [0; 8]).unwrap_err();
        recorder.read(PhysAddr(7 * PAGE_SIZE), &mut []).unwrap();
        assert_eq!(recorder.pages().iter().collect::<Vec<_>>(), [1, 2, 4]);
    }
}
