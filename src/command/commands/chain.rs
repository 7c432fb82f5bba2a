//! Linked lists, followed one pointer at a time and checked on the way.
//!
//! A `list_head` is known by its links: the `prev` of a node's `next` is the node. Where that does
//! not hold, where a node is met twice or is not there, the list is not what it was taken for, and
//! it is said which node shows it.

use crate::dump::VirtAddr;
use crate::memory::VirtualMemory;
use foldhash::HashSet;

/// Longer lists are cut off.
pub(super) const MOST: usize = 1_000_000;

/// How the nodes are linked.
#[derive(Clone, Copy, Debug)]
pub(super) struct Links {
    /// Bytes from a node to the pointer to the next one.
    pub(super) next: u64,
    /// Whether they are `list_head`s, to be followed by `prev`.
    pub(super) backwards: bool,
    /// Whether they are `list_head`s, whose links can be checked.
    pub(super) double: bool,
}

/// The nodes of a list.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Chain {
    /// In order, without the one that it started from.
    pub(super) nodes: Vec<VirtAddr>,
    /// What is wrong with it.
    pub(super) doubts: Vec<String>,
}

/// Follows a list from `start` until it comes back there, ends in NULL, points to itself, or comes
/// to `end`.
pub(super) fn chain(
    memory: &dyn VirtualMemory,
    start: VirtAddr,
    links: Links,
    end: Option<VirtAddr>,
    most: usize,
) -> Chain {
    let mut chain = Chain::default();
    let mut seen = HashSet::default();
    let mut at = start;
    let step = if links.backwards { 8 } else { 0 };
    loop {
        let next = match memory.read_ptr(at.plus(links.next + step)) {
            Ok(next) => next,
            Err(fault) => {
                let what = if at == start { "the start" } else { "a node" };
                chain.doubts.push(format!("{what}, {at}, cannot be read: {fault}"));
                return chain;
            }
        };
        if links.double && !next.is_null() {
            chain.check_back(memory, at, next, links);
        }
        if next.is_null() {
            if links.double {
                chain.doubts.push(format!("{at} points to NULL, which no list_head does"));
            }
            return chain;
        }
        if next == start || next == at || Some(next) == end {
            return chain;
        }
        // A list may also go round without its start, as one that is entered from outside does.
        if !seen.insert(next) {
            if chain.nodes.first() != Some(&next) || links.double {
                chain.doubts.push(format!(
                    "{next} is met a second time, after {at}: the list does not lead back to {start}"
                ));
            }
            return chain;
        }
        if chain.nodes.len() == most {
            chain.doubts.push(format!("more than {most} nodes, stopped before {next}"));
            return chain;
        }
        chain.nodes.push(next);
        at = next;
    }
}

impl Chain {
    /// Whether the next node points back. Only the first that does not is told.
    fn check_back(
        &mut self,
        memory: &dyn VirtualMemory,
        at: VirtAddr,
        next: VirtAddr,
        links: Links,
    ) {
        let back = if links.backwards { 0 } else { 8 };
        let Ok(back) = memory.read_ptr(next.plus(links.next + back)) else { return };
        if back != at && !self.doubts.iter().any(|doubt| doubt.contains("points back")) {
            self.doubts.push(format!("{next} comes after {at} and points back to {back}"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::FlatMemory;

    const DOUBLE: Links = Links { next: 0, backwards: false, double: true };

    /// `list_head`s at these addresses, each with its next and prev.
    fn lists(heads: &[(u64, u64, u64)]) -> FlatMemory {
        let mut memory = FlatMemory::new();
        for &(at, next, prev) in heads {
            memory.put_u64(at, next).put_u64(at + 8, prev);
        }
        memory
    }

    fn follow(memory: &FlatMemory, links: Links, end: Option<u64>) -> (Vec<u64>, Vec<String>) {
        let chain = chain(memory, VirtAddr(0x1000), links, end.map(VirtAddr), 100);
        (chain.nodes.into_iter().map(|node| node.0).collect(), chain.doubts)
    }

    #[test]
    fn a_list_is_followed_both_ways() {
        let memory =
            lists(&[(0x1000, 0x1010, 0x1020), (0x1010, 0x1020, 0x1000), (0x1020, 0x1000, 0x1010)]);
        assert_eq!(follow(&memory, DOUBLE, None), (vec![0x1010, 0x1020], Vec::new()));
        let back = Links { backwards: true, ..DOUBLE };
        assert_eq!(follow(&memory, back, None), (vec![0x1020, 0x1010], Vec::new()));
        assert_eq!(follow(&memory, DOUBLE, Some(0x1020)).0, [0x1010]);
        let empty = lists(&[(0x1000, 0x1000, 0x1000)]);
        assert_eq!(follow(&empty, DOUBLE, None), (Vec::new(), Vec::new()));
    }

    #[test]
    fn what_does_not_lead_back_is_said() {
        // 0x1000 leads into the ring of 0x1010 and 0x1020 and is no part of it.
        let memory =
            lists(&[(0x1000, 0x1010, 0), (0x1010, 0x1020, 0x1020), (0x1020, 0x1010, 0x1010)]);
        let (nodes, doubts) = follow(&memory, DOUBLE, None);
        assert_eq!(nodes, [0x1010, 0x1020]);
        assert_eq!(
            doubts,
            [
                "0x1010 comes after 0x1000 and points back to 0x1020",
                "0x1010 is met a second time, after 0x1020: the list does not lead back to 0x1000"
            ]
        );
        let (_, doubts) = follow(&lists(&[(0x1000, 0x1010, 0), (0x1010, 0, 0x1000)]), DOUBLE, None);
        assert_eq!(doubts, ["0x1010 points to NULL, which no list_head does"]);
        let (_, doubts) = follow(&lists(&[(0x1000, 0x5000, 0)]), DOUBLE, None);
        assert!(doubts[0].starts_with("a node, 0x5000, cannot be read"), "{doubts:?}");
    }

    #[test]
    fn a_chain_ends_in_null_or_in_itself() {
        let single = Links { next: 8, backwards: false, double: false };
        let memory = lists(&[(0x1000, 0, 0x1010), (0x1010, 0, 0x1020), (0x1020, 0, 0)]);
        assert_eq!(follow(&memory, single, None), (vec![0x1010, 0x1020], Vec::new()));
        let memory = lists(&[(0x1000, 0, 0x1010), (0x1010, 0, 0x1010)]);
        assert_eq!(follow(&memory, single, None), (vec![0x1010], Vec::new()));
        let memory = lists(&[
            (0x1000, 0, 0x1010),
            (0x1010, 0, 0x1020),
            (0x1020, 0, 0x1030),
            (0x1030, 0, 0x1020),
        ]);
        assert!(follow(&memory, single, None).1[0].contains("met a second time"));
    }

    #[test]
    fn a_list_without_end_is_cut() {
        let memory =
            lists(&[(0x1000, 0x1010, 0x1020), (0x1010, 0x1020, 0x1000), (0x1020, 0x1000, 0x1010)]);
        let chain = chain(&memory, VirtAddr(0x1000), DOUBLE, None, 1);
        assert_eq!(chain.doubts, ["more than 1 nodes, stopped before 0x1020"]);
    }
}
