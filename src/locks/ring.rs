//! A ring of `list_head`s, walked with suspicion.
//!
//! Every step checks that the next node points back; a ring is closed when it returns to where the
//! walk began, and everything else is damage that gets named. After damage ahead the walk goes
//! backwards from the start, so that what lies on this side of it is still seen.

use crate::dump::VirtAddr;
use crate::memory::VirtualMemory;
use foldhash::HashSet;

/// The nodes of a ring, in order of `next`.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Ring {
    /// From the node that the walk began at, or, when the ring is damaged, from the first node
    /// that could be reached backwards.
    pub(super) nodes: Vec<VirtAddr>,
    /// What is wrong with it; `None` when it is closed.
    pub(super) damage: Option<String>,
}

impl Ring {
    /// The ring that `start` is a node of; at most `limit` nodes.
    pub(super) fn walk(memory: &dyn VirtualMemory, start: VirtAddr, limit: usize) -> Ring {
        // No node can be met twice on the way ahead: it would have to point back to both before it.
        let mut nodes = vec![start];
        let damage = follow(memory, start, limit, Direction::Next, |_| true, &mut nodes);
        let Some(damage) = damage else { return Ring { nodes, damage: None } };
        let mut seen: HashSet<VirtAddr> = nodes.iter().copied().collect();
        let mut before = Vec::new();
        follow(memory, start, limit, Direction::Prev, |node| seen.insert(node), &mut before);
        before.reverse();
        before.extend(nodes);
        Ring { nodes: before, damage: Some(damage) }
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Direction {
    Next,
    Prev,
}

/// Collects nodes from `start` on until the ring closes (`None`) or breaks (why).
fn follow(
    memory: &dyn VirtualMemory,
    start: VirtAddr,
    limit: usize,
    direction: Direction,
    mut is_new: impl FnMut(VirtAddr) -> bool,
    nodes: &mut Vec<VirtAddr>,
) -> Option<String> {
    let links = |node: VirtAddr| -> Result<(VirtAddr, VirtAddr), String> {
        let mut bytes = [0; 16];
        memory
            .read(node, &mut bytes)
            .map_err(|fault| format!("the list breaks off at node {node}: {}", fault.why))?;
        let [a, b] = [0, 8].map(|at| {
            let word = bytes.get(at..at + 8).and_then(|word| word.try_into().ok());
            VirtAddr(u64::from_le_bytes(word.unwrap_or_default()))
        });
        Ok(if direction == Direction::Next { (a, b) } else { (b, a) })
    };
    let name = if direction == Direction::Next { "next" } else { "prev" };
    let mut at = start;
    let mut onward = match links(at) {
        Ok((onward, _)) => onward,
        Err(damage) => return Some(damage),
    };
    while nodes.len() < limit {
        if onward == start && direction == Direction::Next {
            return match links(start) {
                Ok((_, back)) if back == at => None,
                Ok((_, back)) => {
                    Some(format!("node {at} leads back to {start}, whose prev is {back}"))
                }
                Err(damage) => Some(damage),
            };
        }
        let (further, back) = match links(onward) {
            Ok(both) => both,
            Err(_) => {
                return Some(format!("{name} of node {at} is {onward}, which cannot be read"));
            }
        };
        if back != at {
            return Some(format!("{name} of node {at} is {onward}, which does not point back"));
        }
        if !is_new(onward) {
            return Some(format!("the list loops at node {onward}"));
        }
        nodes.push(onward);
        (at, onward) = (onward, further);
    }
    Some(format!("the list has more than {limit} nodes"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dump::{Fault, Why};
    use foldhash::HashMap;

    /// Nodes by address, with their `next` and `prev`.
    struct Nodes(HashMap<u64, (u64, u64)>);

    impl VirtualMemory for Nodes {
        fn read(&self, at: VirtAddr, buf: &mut [u8]) -> Result<(), Fault> {
            let (next, prev) = self.0.get(&at.0).ok_or(Fault::virt(at, Why::Excluded))?;
            buf[..8].copy_from_slice(&next.to_le_bytes());
            buf[8..16].copy_from_slice(&prev.to_le_bytes());
            Ok(())
        }
    }

    fn ring_of(nodes: &[u64]) -> Nodes {
        let n = nodes.len();
        let links = (0..n).map(|i| (nodes[i], (nodes[(i + 1) % n], nodes[(i + n - 1) % n])));
        Nodes(links.collect())
    }

    fn walk(nodes: &Nodes, start: u64, limit: usize) -> (Vec<u64>, Option<String>) {
        let ring = Ring::walk(nodes, VirtAddr(start), limit);
        (ring.nodes.into_iter().map(|node| node.0).collect(), ring.damage)
    }

    #[test]
    fn a_whole_ring_is_seen_once_from_any_node() {
        let nodes = ring_of(&[0x10, 0x30, 0x20]);
        assert_eq!(walk(&nodes, 0x30, 10), (vec![0x30, 0x20, 0x10], None));
        assert_eq!(walk(&ring_of(&[0x10]), 0x10, 10), (vec![0x10], None));
    }

    #[test]
    fn a_wild_pointer_is_named_and_the_other_side_still_seen() {
        let mut nodes = ring_of(&[0x10, 0x20, 0x30, 0x40]);
        nodes.0.insert(0x20, (0xdead, 0x10));
        let (seen, damage) = walk(&nodes, 0x10, 10);
        assert_eq!(seen, [0x30, 0x40, 0x10, 0x20]);
        assert_eq!(damage.unwrap(), "next of node 0x20 is 0xdead, which cannot be read");
    }

    #[test]
    fn a_loop_past_the_start_ends() {
        let mut nodes = ring_of(&[0x10, 0x20, 0x30]);
        nodes.0.insert(0x30, (0x20, 0x20));
        let (seen, damage) = walk(&nodes, 0x10, 10);
        assert_eq!(seen, [0x10, 0x20, 0x30]);
        assert_eq!(damage.unwrap(), "next of node 0x30 is 0x20, which does not point back");
    }

    #[test]
    fn a_ring_longer_than_the_limit_is_damage() {
        let (seen, damage) = walk(&ring_of(&[0x10, 0x20, 0x30, 0x40]), 0x10, 2);
        assert!(seen.len() <= 4, "two nodes each way: {seen:?}");
        assert_eq!(damage.unwrap(), "the list has more than 2 nodes");
    }

    #[test]
    fn a_ring_that_closes_behind_another_node_is_damaged() {
        let mut nodes = ring_of(&[0x10, 0x20, 0x30]);
        nodes.0.insert(0x10, (0x20, 0x20));
        let (_, damage) = walk(&nodes, 0x10, 10);
        assert_eq!(damage.unwrap(), "node 0x30 leads back to 0x10, whose prev is 0x20");
    }

    #[test]
    fn no_more_nodes_than_the_limit_are_seen_either_way() {
        let all: Vec<u64> = (1..=10).map(|n| n * 0x10).collect();
        assert_eq!(walk(&ring_of(&all), 0x50, 2).0, [0x30, 0x40, 0x50, 0x60]);
    }
}
