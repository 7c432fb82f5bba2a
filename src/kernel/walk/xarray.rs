//! XArrays, and the radix trees before them (`include/linux/xarray.h`, 4.20; before that
//! `include/linux/radix-tree.h`): tries of 6 (or 4) index bits a level. IDRs are made of them.
//!
//! An entry's two low bits tell what it is: 00 a pointer, x1 a small number, 10 the kernel's own:
//! a node, or a mark without meaning here when it is no address. In a radix tree the mark of
//! a node is 01.

use super::{Seen, WalkError, Walked, at};
use crate::debuginfo::Types;
use crate::dump::VirtAddr;
use crate::kernel::fields::{Field, StructBytes};
use crate::memory::VirtualMemory;

/// Largest internal entry that is no node.
const LAST_MARK: u64 = 4096;

/// What is stored at one index.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct XArrayEntry {
    /// The index.
    pub index: u64,
    /// The stored pointer, or a small number shifted up by one with bit 0 set.
    pub entry: u64,
}

/// How the nodes of this kernel look.
struct Nodes {
    shift: Field,
    slots: Field,
    count: u64,
    /// The two low bits that mark a node.
    mark: u64,
}

impl Nodes {
    fn of(types: &Types) -> Result<(Field, Nodes), WalkError> {
        let (root, node, head, mark) = match types.structure("xa_node") {
            Ok(node) => (types.structure("xarray")?, node, "xa_head", 2),
            Err(missing) => {
                let node = types.structure("radix_tree_node").map_err(|_| missing)?;
                (types.structure("radix_tree_root")?, node, "rnode", 1)
            }
        };
        let slots = node.member("slots")?;
        let count = slots.ty.size().unwrap_or(0) / 8;
        let nodes = Nodes {
            shift: Field::of(node, "shift")?,
            slots: Field::at(slots.offset(), 8),
            count: count.clamp(1, 64),
            mark,
        };
        Ok((Field::of(root, head)?, nodes))
    }

    fn is_node(&self, entry: u64) -> bool {
        entry & 3 == self.mark && entry > LAST_MARK
    }
}

/// Everything stored in the `struct xarray` (`radix_tree_root`) at `root`, by index; at most
/// `limit` entries. A subtree that cannot be read is left out and named.
#[must_use]
pub fn xarray(
    memory: &dyn VirtualMemory,
    types: &Types,
    root: VirtAddr,
    limit: usize,
) -> Walked<XArrayEntry> {
    let mut found = Vec::new();
    let (head, nodes) = match Nodes::of(types) {
        Ok(layout) => layout,
        Err(error) => return Walked::cut(found, error),
    };
    let mut cut = None;
    let top = match head.read(memory, root) {
        Ok(top) => top,
        Err(fault) => return Walked::cut(found, WalkError::Fault { node: root, fault }),
    };
    let mut seen = Seen::new(limit);
    // Entries still to look at, the lowest index last.
    let mut todo = vec![(0, top, 64)];
    while let Some((index, entry, above)) = todo.pop() {
        if nodes.is_node(entry) {
            let node = VirtAddr(entry & !3);
            match seen.meet(node).and_then(|()| nodes.children(memory, node, index, above)) {
                Ok(children) => todo.extend(children.into_iter().rev()),
                Err(error) => cut = cut.or(Some(error)),
            }
        } else if entry != 0 && entry & 3 != 2 {
            if found.len() >= limit {
                return Walked::cut(found, WalkError::TooLong { limit, node: VirtAddr(entry) });
            }
            found.push(XArrayEntry { index, entry });
        }
    }
    Walked { found, cut }
}

impl Nodes {
    /// The filled slots of a node, as (index, entry, shift of this node).
    fn children(
        &self,
        memory: &dyn VirtualMemory,
        node: VirtAddr,
        index: u64,
        above: u32,
    ) -> Result<Vec<(u64, u64, u32)>, WalkError> {
        let bytes = StructBytes::read(memory, node, 0..self.slots.offset + 8 * self.count)
            .map_err(at(node))?;
        let shift = u32::try_from(bytes.get(self.shift) & 0xff).unwrap_or(64);
        // Each level has a smaller shift than the one above it, so no walk is deeper than 64.
        if shift >= above {
            return Err(WalkError::Damaged { node, what: "its shift does not fit its level" });
        }
        let slot = |i: u64| bytes.get(Field::at(self.slots.offset + 8 * i, 8));
        Ok((0..self.count)
            .map(|i| (index.wrapping_add(i.wrapping_shl(shift)), slot(i), shift))
            .filter(|(_, entry, _)| *entry != 0)
            .collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::testing::{Image, TypeTable};

    fn types() -> Types {
        TypeTable::new()
            .with("xarray", 16, &[("xa_lock", 0, 4), ("xa_head", 8, 8)])
            .with("xa_node", 576, &[("shift", 0, 1), ("slots", 40, 512)])
            .types()
    }

    fn node(image: &mut Image, at: u64, shift: u8, slots: &[(u64, u64)]) {
        image.put(at, &[0; 576]);
        image.put(at, &[shift]);
        for (slot, entry) in slots {
            image.put_u64(at + 40 + 8 * slot, *entry);
        }
    }

    fn entries(walked: &Walked<XArrayEntry>) -> Vec<(u64, u64)> {
        walked.found.iter().map(|found| (found.index, found.entry)).collect()
    }

    #[test]
    fn entries_come_by_index_and_marks_are_passed_over() {
        let mut image = Image::default();
        image.put_u64(0x108, 0x2002);
        node(&mut image, 0x2000, 6, &[(0, 0x3002), (2, 0x4002)]);
        node(&mut image, 0x3000, 0, &[(1, 0x8000), (5, 0x402), (63, 0x9001)]);
        node(&mut image, 0x4000, 0, &[(0, 0xa000)]);
        let walked = xarray(&image, &types(), VirtAddr(0x100), 1000);
        assert_eq!(entries(&walked), [(1, 0x8000), (63, 0x9001), (128, 0xa000)]);
        assert_eq!(walked.cut, None);
    }

    #[test]
    fn a_single_entry_needs_no_node() {
        let mut image = Image::default();
        image.put_u64(0x108, 0x8000);
        let walked = xarray(&image, &types(), VirtAddr(0x100), 1000);
        assert_eq!(entries(&walked), [(0, 0x8000)]);
    }

    #[test]
    fn a_node_among_its_own_children_is_named() {
        let mut image = Image::default();
        image.put_u64(0x108, 0x2002);
        node(&mut image, 0x2000, 6, &[(0, 0x2002), (1, 0x3002)]);
        node(&mut image, 0x3000, 0, &[(0, 0x8000)]);
        let walked = xarray(&image, &types(), VirtAddr(0x100), 1000);
        assert_eq!(entries(&walked), [(64, 0x8000)]);
        assert_eq!(walked.cut, Some(WalkError::Loop(VirtAddr(0x2000))));
    }

    #[test]
    fn a_missing_node_costs_only_its_subtree() {
        let mut image = Image::default();
        image.put_u64(0x108, 0x2002);
        node(&mut image, 0x2000, 6, &[(0, 0x7002), (1, 0x3002)]);
        node(&mut image, 0x3000, 0, &[(0, 0x8000)]);
        let walked = xarray(&image, &types(), VirtAddr(0x100), 1000);
        assert_eq!(entries(&walked), [(64, 0x8000)]);
        assert!(matches!(walked.cut, Some(WalkError::Fault { node: VirtAddr(0x7000), .. })));
    }
}
