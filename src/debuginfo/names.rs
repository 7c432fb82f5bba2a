//! From a name to what it names, for tables of 100,000 names.
//!
//! A chained hash table that holds no names, only positions in someone else's list: it is made in
//! a few milliseconds and two allocations. Whatever the names are, making it takes linear time.

/// No position.
const NONE: u32 = u32::MAX;

/// Positions by the hash of their name.
#[derive(Default)]
pub(super) struct NameIndex {
    /// The first position of each hash, a power of two of them.
    heads: Vec<u32>,
    /// For each position the next one of its hash.
    next: Vec<u32>,
}

impl NameIndex {
    /// An index of `names`, the first of which is at position 0; `None` is not found by any name.
    pub(super) fn new<'n>(
        names: impl DoubleEndedIterator<Item = Option<&'n [u8]>> + ExactSizeIterator,
    ) -> NameIndex {
        let count = names.len();
        let mut index = NameIndex {
            heads: vec![NONE; count.max(1).next_power_of_two()],
            next: vec![NONE; count],
        };
        // From the last to the first: a chain then begins with its first name.
        for (position, name) in names.enumerate().rev() {
            let Some(name) = name else { continue };
            let head = index.head(name);
            if let (Some(head), Some(next), Ok(position)) =
                (index.heads.get_mut(head), index.next.get_mut(position), u32::try_from(position))
            {
                *next = std::mem::replace(head, position);
            }
        }
        index
    }

    /// The positions, in order, that may have that name: the caller compares.
    pub(super) fn candidates(&self, name: &[u8]) -> impl Iterator<Item = usize> {
        let position = |at: Option<&u32>| {
            at.filter(|&&at| at != NONE).and_then(|&at| usize::try_from(at).ok())
        };
        std::iter::successors(position(self.heads.get(self.head(name))), move |&at| {
            position(self.next.get(at))
        })
    }

    fn head(&self, name: &[u8]) -> usize {
        // Multiply and rotate, eight bytes at a time (as rustc's own tables do): quick on names
        // that share their beginnings.
        const FACTOR: u64 = 0x517c_c1b7_2722_0a95;
        let mix = |hash: u64, word: u64| (hash.rotate_left(5) ^ word).wrapping_mul(FACTOR);
        let (words, rest) = name.as_chunks::<8>();
        let hash = words.iter().fold(0, |hash, &word| mix(hash, u64::from_le_bytes(word)));
        let tail = rest.iter().fold(1, |tail, &byte| tail << 8 | u64::from(byte));
        let hash = mix(hash, tail);
        usize::try_from(hash >> 32).unwrap_or(0) & (self.heads.len() - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_position_of_a_name_is_found_in_order() {
        let names: Vec<String> = (0..1000).map(|n| format!("name_{}", n % 500)).collect();
        let index = NameIndex::new(names.iter().map(|name| Some(name.as_bytes())));
        for wanted in 0..500 {
            let name = format!("name_{wanted}");
            let found: Vec<usize> =
                index.candidates(name.as_bytes()).filter(|&at| names[at] == name).collect();
            assert_eq!(found, [wanted, wanted + 500]);
        }
        assert_eq!(index.candidates(b"other").filter(|&at| names[at] == "other").count(), 0);
    }

    #[test]
    fn what_has_no_name_is_not_found() {
        let index = NameIndex::new([None, Some(b"a".as_slice())].into_iter());
        assert_eq!(index.candidates(b"a").collect::<Vec<_>>(), [1]);
        let empty = NameIndex::new(std::iter::empty());
        assert_eq!(empty.candidates(b"").count(), 0);
    }
}
