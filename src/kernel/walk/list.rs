//! Linked lists: `list_head` (circular), `hlist_head` and `llist_head` (ended by NULL).
//!
//! All have their `next` pointer first (`include/linux/types.h`, `include/linux/llist.h`).

use super::{Seen, WalkError, Walked, at};
use crate::dump::VirtAddr;
use crate::memory::VirtualMemory;

/// The nodes of the circular list at `head`, without the head; at most `limit`.
#[must_use]
pub fn list(memory: &dyn VirtualMemory, head: VirtAddr, limit: usize) -> Walked {
    match memory.read_ptr(head) {
        Ok(first) => chain(memory, first, limit, |node| node == head),
        Err(fault) => Walked::cut(Vec::new(), WalkError::Fault { node: head, fault }),
    }
}

/// The nodes of the `hlist_head` at `head`; at most `limit`. Ends at NULL, or at an odd value
/// (`hlist_nulls`).
#[must_use]
pub fn hlist(memory: &dyn VirtualMemory, head: VirtAddr, limit: usize) -> Walked {
    match memory.read_ptr(head) {
        Ok(first) => chain(memory, first, limit, |node| node.is_null() || node.0 & 1 == 1),
        Err(fault) => Walked::cut(Vec::new(), WalkError::Fault { node: head, fault }),
    }
}

/// The nodes of a singly linked list from `first` on, which may be NULL; at most `limit`.
#[must_use]
pub fn llist(memory: &dyn VirtualMemory, first: VirtAddr, limit: usize) -> Walked {
    chain(memory, first, limit, |node| node.is_null())
}

fn chain(
    memory: &dyn VirtualMemory,
    first: VirtAddr,
    limit: usize,
    is_end: impl Fn(VirtAddr) -> bool,
) -> Walked {
    let mut seen = Seen::new(limit);
    let mut found = Vec::new();
    let mut node = first;
    while !is_end(node) {
        if node.is_null() {
            return Walked::cut(
                found,
                WalkError::Damaged { node, what: "NULL in a circular list" },
            );
        }
        let next = seen.meet(node).and_then(|()| memory.read_ptr(node).map_err(at(node)));
        match next {
            Ok(next) => {
                found.push(node);
                node = next;
            }
            Err(error) => return Walked::cut(found, error),
        }
    }
    Walked { found, cut: None }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::testing::Image;

    fn ring(nodes: &[u64]) -> Image {
        let mut image = Image::default();
        for (node, next) in nodes.iter().zip(nodes.iter().skip(1)) {
            image.put_u64(*node, *next);
        }
        image
    }

    #[test]
    fn a_list_ends_at_its_head() {
        let image = ring(&[0x10, 0x20, 0x30, 0x10]);
        let walked = list(&image, VirtAddr(0x10), 100);
        assert_eq!(walked.found, [VirtAddr(0x20), VirtAddr(0x30)]);
        assert_eq!(walked.cut, None);
    }

    #[test]
    fn a_list_that_misses_its_head_is_cut_at_the_node_met_twice() {
        let image = ring(&[0x10, 0x20, 0x30, 0x40, 0x20]);
        let walked = list(&image, VirtAddr(0x10), 100);
        assert_eq!(walked.found.len(), 3);
        assert_eq!(walked.cut, Some(WalkError::Loop(VirtAddr(0x20))));
    }

    #[test]
    fn a_list_longer_than_allowed_is_cut() {
        let image = ring(&[0x10, 0x20, 0x30, 0x40, 0x10]);
        let walked = list(&image, VirtAddr(0x10), 2);
        assert_eq!(walked.found, [VirtAddr(0x20), VirtAddr(0x30)]);
        assert_eq!(walked.cut.unwrap().to_string(), "more than 2 nodes, stopped at 0x40");
    }

    #[test]
    fn a_dangling_pointer_is_named() {
        let image = ring(&[0x10, 0x20, 0x30]);
        let walked = list(&image, VirtAddr(0x10), 100);
        assert_eq!(walked.found, [VirtAddr(0x20)]);
        assert_eq!(walked.cut.unwrap().to_string(), "node 0x30: 0x30: not mapped (no pte entry)");
    }

    #[test]
    fn a_null_in_a_circular_list_is_damage_and_the_end_of_the_others() {
        let image = ring(&[0x10, 0x20, 0x30, 0]);
        let cut = list(&image, VirtAddr(0x10), 100).cut.unwrap();
        assert_eq!(cut.to_string(), "node 0x0: NULL in a circular list");
        let walked = hlist(&image, VirtAddr(0x10), 100);
        assert_eq!((walked.found.len(), walked.cut), (2, None));
        let walked = llist(&image, VirtAddr(0x20), 100);
        assert_eq!((walked.found.len(), walked.cut), (2, None));
    }
}
