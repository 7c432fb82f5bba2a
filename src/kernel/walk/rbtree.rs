//! Red-black trees (`include/linux/rbtree_types.h`): `rb_node` is the parent and colour, then the
//! right child, then the left one; `rb_root` points to the top node.

use super::{Seen, Walked, at};
use crate::dump::{Fault, VirtAddr};
use crate::memory::VirtualMemory;

const RIGHT: u64 = 8;
const LEFT: u64 = 16;

/// The nodes of the tree whose `rb_root` (or `rb_root_cached`) is at `root`, in order; at most
/// `limit`. A subtree that cannot be read is left out and named.
#[must_use]
pub fn rbtree(memory: &dyn VirtualMemory, root: VirtAddr, limit: usize) -> Walked {
    let mut found = Vec::new();
    let mut cut = None;
    let mut seen = Seen::new(limit);
    // Nodes whose left side has been taken, with their right child.
    let mut path: Vec<(VirtAddr, VirtAddr)> = Vec::new();
    let mut node = match memory.read_ptr(root) {
        Ok(top) => top,
        Err(fault) => {
            cut = Some(at(root)(fault));
            VirtAddr(0)
        }
    };
    loop {
        while !node.is_null() {
            let children = seen.meet(node).and_then(|()| children(memory, node).map_err(at(node)));
            match children {
                Ok((left, right)) => {
                    path.push((node, right));
                    node = left;
                }
                Err(error) => {
                    cut = cut.or(Some(error));
                    node = VirtAddr(0);
                }
            }
        }
        let Some((next, right)) = path.pop() else { break };
        found.push(next);
        node = right;
    }
    Walked { found, cut }
}

fn children(memory: &dyn VirtualMemory, node: VirtAddr) -> Result<(VirtAddr, VirtAddr), Fault> {
    Ok((memory.read_ptr(node.plus(LEFT))?, memory.read_ptr(node.plus(RIGHT))?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::testing::Image;
    use crate::kernel::walk::WalkError;

    fn tree(root: u64, nodes: &[(u64, u64, u64)]) -> Image {
        let mut image = Image::default();
        image.put_u64(0x8, root);
        for (node, left, right) in nodes {
            image.put_u64(node + LEFT, *left);
            image.put_u64(node + RIGHT, *right);
        }
        image
    }

    #[test]
    fn nodes_come_in_order() {
        let image = tree(
            0x400,
            &[
                (0x400, 0x200, 0x500),
                (0x200, 0x100, 0x300),
                (0x100, 0, 0),
                (0x300, 0, 0),
                (0x500, 0, 0),
            ],
        );
        let walked = rbtree(&image, VirtAddr(8), 100);
        assert_eq!(walked.found, [0x100, 0x200, 0x300, 0x400, 0x500].map(VirtAddr));
        assert_eq!(walked.cut, None);
    }

    #[test]
    fn a_child_that_is_its_own_ancestor_is_left_out_and_named() {
        let image = tree(0x400, &[(0x400, 0x200, 0x500), (0x200, 0, 0x400), (0x500, 0, 0)]);
        let walked = rbtree(&image, VirtAddr(8), 100);
        assert_eq!(walked.found, [0x200, 0x400, 0x500].map(VirtAddr));
        assert_eq!(walked.cut, Some(WalkError::Loop(VirtAddr(0x400))));
    }

    #[test]
    fn a_dangling_child_costs_only_its_subtree() {
        let image = tree(0x400, &[(0x400, 0x200, 0x500), (0x500, 0, 0)]);
        let walked = rbtree(&image, VirtAddr(8), 100);
        assert_eq!(walked.found, [0x400, 0x500].map(VirtAddr));
        assert!(matches!(walked.cut, Some(WalkError::Fault { node: VirtAddr(0x200), .. })));
    }
}
