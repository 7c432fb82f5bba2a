//! Maple trees (`include/linux/maple_tree.h`, 6.1): ranges of indices, a process's VMAs above all.
//!
//! A pointer to a node carries its type in bits 3 to 6; nodes are aligned to 256 bytes. Slot `i` of
//! a node covers the indices after `pivot[i - 1]` up to and with `pivot[i]`; the last slot has no
//! pivot and ends where the node ends.

use super::{Seen, WalkError, Walked, at};
use crate::debuginfo::{TypeError, Types};
use crate::dump::VirtAddr;
use crate::kernel::fields::{Field, StructBytes};
use crate::memory::VirtualMemory;

/// `enum maple_type`.
const LEAF_64: u64 = 1;
const RANGE_64: u64 = 2;
const ARANGE_64: u64 = 3;
/// Levels that a tree of 2^64 indices cannot exceed.
const MAX_DEPTH: u32 = 32;

/// What is stored for a range of indices.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct MapleRange {
    /// Its first index.
    pub first: u64,
    /// Its last index, included.
    pub last: u64,
    /// What is stored: a pointer.
    pub entry: u64,
}

/// One of the two layouts of nodes.
struct Layout {
    pivots: Field,
    slots: Field,
    count: u64,
}

impl Layout {
    fn of(types: &Types, name: &str) -> Result<Layout, TypeError> {
        let node = types.structure(name)?;
        let slots = node.member("slot")?;
        Ok(Layout {
            pivots: Field::at(node.offset_of("pivot")?, 8),
            slots: Field::at(slots.offset(), 8),
            count: (slots.ty.size().unwrap_or(0) / 8).clamp(1, 64),
        })
    }
}

/// A child still to look at.
struct Child {
    entry: u64,
    first: u64,
    last: u64,
    leaf: bool,
    depth: u32,
}

/// Everything stored in the `struct maple_tree` at `tree`, by index; at most `limit` ranges. A
/// subtree that cannot be read is left out and named.
#[must_use]
pub fn maple_tree(
    memory: &dyn VirtualMemory,
    types: &Types,
    tree: VirtAddr,
    limit: usize,
) -> Walked<MapleRange> {
    walk(memory, types, tree, limit).unwrap_or_else(|error| Walked::cut(Vec::new(), error))
}

fn walk(
    memory: &dyn VirtualMemory,
    types: &Types,
    tree: VirtAddr,
    limit: usize,
) -> Result<Walked<MapleRange>, WalkError> {
    let root = Field::of(types.structure("maple_tree")?, "ma_root")?;
    let range = Layout::of(types, "maple_range_64")?;
    let arange = Layout::of(types, "maple_arange_64")?;
    let mut found = Vec::new();
    let mut cut = None;
    let mut seen = Seen::new(limit);
    let top = root.read(memory, tree).map_err(at(tree))?;
    let is_node = top & 3 == 2 && top > 4096;
    let last = if is_node { u64::MAX } else { 0 };
    let mut todo = vec![Child { entry: top, first: 0, last, leaf: !is_node, depth: 0 }];
    while let Some(child) = todo.pop() {
        let Child { entry, first, last, leaf, depth } = child;
        if leaf {
            // Entries with the bits 10 are the tree's own marks.
            if entry != 0 && entry & 3 != 2 {
                if found.len() >= limit {
                    return Ok(Walked::cut(
                        found,
                        WalkError::TooLong { limit, node: VirtAddr(entry) },
                    ));
                }
                found.push(MapleRange { first, last, entry });
            }
            continue;
        }
        let node = VirtAddr(entry & !0xff);
        let kind = (entry >> 3) & 0xf;
        let layout = match kind {
            LEAF_64 | RANGE_64 => Ok(&range),
            ARANGE_64 => Ok(&arange),
            _ => Err(WalkError::Damaged { node, what: "no known type of maple node" }),
        };
        let children = layout.and_then(|layout| {
            if depth > MAX_DEPTH {
                return Err(WalkError::Damaged { node, what: "too deep for a maple tree" });
            }
            seen.meet(node)?;
            children(memory, layout, node, (first, last), kind == LEAF_64, depth + 1)
        });
        match children {
            Ok(children) => todo.extend(children.into_iter().rev()),
            Err(error) => cut = cut.or(Some(error)),
        }
    }
    Ok(Walked { found, cut })
}

fn children(
    memory: &dyn VirtualMemory,
    layout: &Layout,
    node: VirtAddr,
    (first, last): (u64, u64),
    leaf: bool,
    depth: u32,
) -> Result<Vec<Child>, WalkError> {
    let end = layout.slots.offset.max(layout.pivots.offset) + 8 * layout.count;
    let bytes = StructBytes::read(memory, node, 0..end).map_err(at(node))?;
    let mut children = Vec::new();
    let mut from = first;
    for i in 0..layout.count {
        let pivot = match bytes.get(Field::at(layout.pivots.offset + 8 * i, 8)) {
            // The last slot has no pivot, and unused pivots are 0.
            _ if i + 1 == layout.count => last,
            0 if i > 0 => last,
            pivot => pivot.min(last),
        };
        if pivot < from {
            return Err(WalkError::Damaged { node, what: "its pivots do not rise" });
        }
        let entry = bytes.get(Field::at(layout.slots.offset + 8 * i, 8));
        if entry != 0 {
            children.push(Child { entry, first: from, last: pivot, leaf, depth });
        }
        if pivot >= last {
            break;
        }
        from = pivot + 1;
    }
    Ok(children)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::testing::{Image, TypeTable};

    fn types() -> Types {
        TypeTable::new()
            .with("maple_tree", 16, &[("ma_root", 8, 8)])
            .with("maple_range_64", 256, &[("pivot", 8, 120), ("slot", 128, 128)])
            .with("maple_arange_64", 256, &[("pivot", 8, 72), ("slot", 80, 80)])
            .types()
    }

    fn put(image: &mut Image, at: u64, pivots: &[u64], slot: u64, slots: &[u64]) {
        image.put(at, &[0; 256]);
        for (offset, pivot) in (8..).step_by(8).zip(pivots) {
            image.put_u64(at + offset, *pivot);
        }
        for (offset, entry) in (slot..).step_by(8).zip(slots) {
            image.put_u64(at + offset, *entry);
        }
    }

    fn two_levels() -> Image {
        let mut image = Image::default();
        image.put_u64(0x18, 0x1000 | ARANGE_64 << 3 | 2);
        put(&mut image, 0x1000, &[0x4fff], 80, &[0x2000 | LEAF_64 << 3, 0x3000 | LEAF_64 << 3]);
        put(&mut image, 0x2000, &[0xfff, 0x1fff], 128, &[0, 0xaa0, 0]);
        put(&mut image, 0x3000, &[0x5fff], 128, &[0xbb0, 0xcc0]);
        image
    }

    #[test]
    fn ranges_come_in_order_with_their_ends() {
        let walked = maple_tree(&two_levels(), &types(), VirtAddr(0x10), 100);
        let range = |first, last, entry| MapleRange { first, last, entry };
        assert_eq!(
            walked.found,
            [
                range(0x1000, 0x1fff, 0xaa0),
                range(0x5000, 0x5fff, 0xbb0),
                range(0x6000, u64::MAX, 0xcc0),
            ]
        );
        assert_eq!(walked.cut, None);
    }

    #[test]
    fn a_node_below_itself_is_named() {
        let mut image = two_levels();
        image.put_u64(0x1000 + 80, 0x1000 | ARANGE_64 << 3);
        let walked = maple_tree(&image, &types(), VirtAddr(0x10), 100);
        assert_eq!(walked.found.len(), 2);
        assert_eq!(walked.cut, Some(WalkError::Loop(VirtAddr(0x1000))));
    }

    #[test]
    fn pivots_that_fall_are_damage() {
        let mut image = two_levels();
        image.put_u64(0x2000 + 16, 0x800);
        let walked = maple_tree(&image, &types(), VirtAddr(0x10), 100);
        assert_eq!(walked.found.len(), 2);
        assert_eq!(walked.cut.unwrap().to_string(), "node 0x2000: its pivots do not rise");
    }
}
