//! A small cache of translations that threads share without a lock.
//!
//! Direct mapped, two words a slot. A slot is written word by word, so a reader may see halves of
//! two writers' slots; the first word is therefore the key mixed with the second, and halves that do
//! not belong together match no key. What is lost by that is one walk through the page tables.

use std::sync::atomic::{AtomicU64, Ordering};

/// Slots, a power of two: 128 KiB of them serve the stacks and slabs of some thousand tasks.
const SLOTS: usize = 8192;

/// From a key to a value, either of which is never zero.
pub(super) struct Translations {
    slots: Box<[[AtomicU64; 2]]>,
}

impl Translations {
    pub(super) fn new() -> Translations {
        Translations { slots: (0..SLOTS).map(|_| <[AtomicU64; 2]>::default()).collect() }
    }

    fn slot(&self, key: u64) -> Option<&[AtomicU64; 2]> {
        let index = usize::try_from(mix(key) >> 32).unwrap_or(0) % SLOTS;
        self.slots.get(index)
    }

    /// The value of a key, unless another key has taken its slot.
    pub(super) fn get(&self, key: u64) -> Option<u64> {
        let [tag, value] = self.slot(key)?;
        let value = value.load(Ordering::Relaxed);
        (value != 0 && tag.load(Ordering::Relaxed) == key ^ mix(value)).then_some(value)
    }

    /// Remembers the value of a key.
    pub(super) fn put(&self, key: u64, value: u64) {
        if let Some([slot_tag, slot_value]) = self.slot(key) {
            slot_tag.store(key ^ mix(value), Ordering::Relaxed);
            slot_value.store(value, Ordering::Relaxed);
        }
    }
}

/// The finalizer of SplitMix64: every bit of the input moves every bit of the output.
const fn mix(value: u64) -> u64 {
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_put_is_found_and_nothing_else() {
        let cache = Translations::new();
        assert_eq!(cache.get(0), None);
        assert_eq!(cache.get(7), None);
        cache.put(7, 0x1000);
        cache.put(8, 0x2000);
        assert_eq!((cache.get(7), cache.get(8), cache.get(9)), (Some(0x1000), Some(0x2000), None));
        cache.put(7, 0x3000);
        assert_eq!(cache.get(7), Some(0x3000));
    }

    #[test]
    fn halves_of_two_entries_match_no_key() {
        let cache = Translations::new();
        // The direct map: key and value differ by the same bits everywhere, the case in which a tag
        // without mixing would vouch for torn slots.
        cache.put(0x10_0001, 0x1);
        let value = &cache.slot(0x10_0001).unwrap()[1];
        value.store(0x2, Ordering::Relaxed);
        for key in [0x10_0001, 0x10_0002, 0x1, 0x2] {
            assert_eq!(cache.get(key), None);
        }
    }

    #[test]
    fn a_full_cache_forgets_and_never_lies() {
        let cache = Translations::new();
        for key in 1..100_000 {
            cache.put(key, key << 12);
        }
        let found = (1..100_000).filter(|&key| cache.get(key) == Some(key << 12)).count();
        let missing = (1..100_000).filter(|&key| cache.get(key).is_none()).count();
        assert_eq!(found + missing, 99_999);
        assert!(found > SLOTS / 2);
    }
}
