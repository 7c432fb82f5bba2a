//! The lock graph by task: what each waits for, and what each holds.

use crate::dump::VirtAddr;
use crate::locks::{Confidence, Holder, LockGraph};
use foldhash::{HashMap, HashSet};

/// Positions in the lists of a graph, by the `task_struct` of a task.
#[derive(Default)]
pub(crate) struct Ties {
    /// What each task waits for: lock and waiter.
    pub(crate) waits: HashMap<VirtAddr, (usize, usize)>,
    /// What each task holds, certainly or likely: lock and holder.
    holds: HashMap<VirtAddr, Vec<(usize, usize)>>,
    /// What each task may hold.
    may_hold: HashMap<VirtAddr, Vec<(usize, usize)>>,
}

impl Ties {
    pub(crate) fn of(graph: &LockGraph) -> Ties {
        let mut ties = Ties { waits: graph.waits(), ..Ties::default() };
        for (lock, entry) in graph.locks.iter().enumerate() {
            for (holder, claim) in entry.holders.iter().enumerate() {
                let of = if holds_it(claim) { &mut ties.holds } else { &mut ties.may_hold };
                of.entry(claim.task.at).or_default().push((lock, holder));
            }
        }
        ties
    }

    /// What a task holds: lock and holder.
    pub(crate) fn held(&self, task: VirtAddr) -> &[(usize, usize)] {
        self.holds.get(&task).map_or(&[], Vec::as_slice)
    }

    /// What a task may hold: lock and holder.
    pub(crate) fn perhaps_held(&self, task: VirtAddr) -> &[(usize, usize)] {
        self.may_hold.get(&task).map_or(&[], Vec::as_slice)
    }

    /// How many tasks wait for what a task holds, and how many in all: those, and those who wait
    /// for what they hold.
    pub(crate) fn blocked_by(&self, graph: &LockGraph, task: VirtAddr) -> (usize, usize) {
        let mut blocked = HashSet::default();
        let mut direct = None;
        let mut todo = vec![task];
        let mut locks = HashSet::default();
        while let Some(holder) = todo.pop() {
            for &(lock, _) in self.held(holder) {
                if locks.insert(lock)
                    && let Some(lock) = graph.locks.get(lock)
                {
                    let waiters = lock.waiters.iter().map(|waiter| waiter.task.at);
                    todo.extend(waiters.filter(|at| *at != task && blocked.insert(*at)));
                }
            }
            direct.get_or_insert(blocked.len());
        }
        (direct.unwrap_or(0), blocked.len())
    }
}

/// Whether a claim is sure enough to hang waiters on.
pub(crate) fn holds_it(holder: &Holder) -> bool {
    holder.confidence != Confidence::Possible
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tui::fixture;

    #[test]
    fn each_task_is_counted_once_and_never_behind_itself() {
        let graph = fixture::locks();
        let ties = Ties::of(&graph);
        assert_eq!(ties.blocked_by(&graph, fixture::address(142)), (6, 6));
        assert_eq!(ties.blocked_by(&graph, fixture::address(124)), (1, 1));
        // In a deadlock: the other one, and the bystander behind it.
        assert_eq!(ties.blocked_by(&graph, fixture::address(111)), (2, 2));
        assert_eq!(ties.blocked_by(&graph, fixture::address(112)), (1, 2));
        assert_eq!(ties.blocked_by(&graph, fixture::address(160)), (0, 0), "it only may hold one");
        assert_eq!(ties.perhaps_held(fixture::address(160)).len(), 1);
    }
}
