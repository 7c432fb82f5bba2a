//! Walks over the kernel's containers: lists, red-black trees, xarrays and radix trees, maple trees.
//!
//! Dump memory may be damaged or caught in the middle of an update, so every walk is bounded,
//! visits no node twice, and gives what it found together with the reason why it found no more.

mod list;
mod maple;
mod rbtree;
mod xarray;

pub use list::{hlist, list, llist};
pub use maple::{MapleRange, maple_tree};
pub use rbtree::rbtree;
pub use xarray::{XArrayEntry, xarray};

use crate::dump::{Fault, VirtAddr};

/// Why a walk stopped before its end.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum WalkError {
    /// A node is not there.
    #[error("node {node}: {fault}")]
    Fault {
        /// The node.
        node: VirtAddr,
        /// Why it could not be read.
        fault: Fault,
    },
    /// A node was met again.
    #[error("node {0} is met a second time")]
    Loop(VirtAddr),
    /// There are more nodes than were allowed for.
    #[error("more than {limit} nodes, stopped at {node}")]
    TooLong {
        /// The bound.
        limit: usize,
        /// The first node beyond it.
        node: VirtAddr,
    },
    /// A node is not what it should be.
    #[error("node {node}: {what}")]
    Damaged {
        /// The node.
        node: VirtAddr,
        /// What is wrong with it.
        what: &'static str,
    },
    /// The kernel's types do not describe the container.
    #[error(transparent)]
    Type(#[from] crate::debuginfo::TypeError),
}

/// What a walk found, and why it found no more if it did not come to its end.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Walked<T = VirtAddr> {
    /// In the order of the container.
    pub found: Vec<T>,
    /// `None` when the walk came to its proper end.
    pub cut: Option<WalkError>,
}

impl<T> Walked<T> {
    fn cut(found: Vec<T>, error: WalkError) -> Walked<T> {
        Walked { found, cut: Some(error) }
    }
}

/// The nodes that a walk has met.
struct Seen {
    nodes: foldhash::HashSet<VirtAddr>,
    limit: usize,
}

impl Seen {
    fn new(limit: usize) -> Seen {
        Seen { nodes: foldhash::HashSet::default(), limit }
    }

    /// Notes a node, unless it was met before or is one too many.
    fn meet(&mut self, node: VirtAddr) -> Result<(), WalkError> {
        if self.nodes.contains(&node) {
            return Err(WalkError::Loop(node));
        }
        if self.nodes.len() >= self.limit {
            return Err(WalkError::TooLong { limit: self.limit, node });
        }
        self.nodes.insert(node);
        Ok(())
    }
}

/// A fault that says which node it befell.
fn at(node: VirtAddr) -> impl Fn(Fault) -> WalkError {
    move |fault| WalkError::Fault { node, fault }
}
