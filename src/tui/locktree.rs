//! The lock graph as lines of a tree: who stands at the root, and who queues behind.
//!
//! What hangs together is drawn together, whatever holds up the most tasks first. A deadlock is a
//! closed spine: each of its tasks, the lock that it waits for, and back to the first one; whoever
//! else queues hangs off the locks of the spine. A root blocker is the root of a tree: task, the
//! locks it holds, their waiters, what those hold in turn. A lock that nobody holds (a completion)
//! is its own root. Futexes that nobody is known to hold come last:
//! tasks wait for work on them all day. Waiters that hold up nobody are folded after the
//! first few.

use super::ties::{Ties, holds_it};
use crate::dump::VirtAddr;
use crate::locks::{Lock, LockGraph, Waiter};
use foldhash::{HashMap, HashSet};
use std::cmp::Reverse;
use std::collections::BTreeSet;

/// Waiters that hold up nobody are shown up to this number; more are folded.
const SHOWN: usize = 4;
/// Levels of the tree that are drawn. A wait chain as long as this is cut, and says so.
const DEEPEST: usize = 60;

/// One line.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct LockRow {
    /// For each level from the left: what is drawn there.
    pub(crate) trail: Vec<Trail>,
    /// The line that this one hangs on.
    pub(crate) parent: Option<usize>,
    pub(crate) node: LockNode,
}

/// A piece of the drawn tree.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Trail {
    /// A line that passes by.
    Pass,
    /// Nothing.
    Gap,
    /// A branch to a child that has younger siblings.
    Child,
    /// A branch to the last child.
    Last,
    /// The top of a deadlock's spine.
    SpineTop,
    /// The spine passes.
    Spine,
    /// The spine closes.
    SpineEnd,
}

/// What a line shows. Numbers are positions in the graph's lists.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum LockNode {
    /// A deadlock begins.
    Cycle(usize),
    /// A task in a deadlock.
    Member { cycle: usize, at: usize },
    /// What that task waits for.
    Edge { cycle: usize, at: usize, lock: usize },
    /// The deadlock closes.
    Close(usize),
    /// A root blocker.
    Root(usize),
    /// A lock that the task above holds, and which of its holders that is.
    Held { lock: usize, holder: usize },
    /// A lock that no known task holds.
    Orphan(usize),
    /// A task that may hold the lock above.
    Candidate { lock: usize, holder: usize },
    /// A waiter; `again` when what it holds up is shown elsewhere.
    Waiter { lock: usize, waiter: usize, again: bool },
    /// More waiters of that lock, as positions in its list.
    Fold { lock: usize, hidden: Vec<usize> },
    /// The wait chain goes on.
    Deeper,
    /// The tasks that wait for something that is not understood follow.
    OthersHeading,
    /// One of them.
    Other(usize),
    /// Futexes follow on which tasks may well sleep all day.
    IdleHeading,
    /// What could not be decided follows.
    NotesHeading,
    /// A sentence of it.
    Note(usize),
}

impl LockNode {
    /// The task that the line is about.
    pub(crate) fn task(&self, graph: &LockGraph) -> Option<VirtAddr> {
        match self {
            LockNode::Member { cycle, at } => Some(graph.cycles.get(*cycle)?.tasks.get(*at)?.at),
            LockNode::Close(cycle) => Some(graph.cycles.get(*cycle)?.tasks.first()?.at),
            LockNode::Root(root) => Some(graph.roots.get(*root)?.task.at),
            LockNode::Waiter { lock, waiter, .. } => {
                Some(graph.locks.get(*lock)?.waiters.get(*waiter)?.task.at)
            }
            LockNode::Candidate { lock, holder } => {
                Some(graph.locks.get(*lock)?.holders.get(*holder)?.task.at)
            }
            LockNode::Other(other) => Some(graph.others.get(*other)?.task.at),
            _ => None,
        }
    }

    /// The lock that the line is about.
    pub(crate) fn lock(&self) -> Option<usize> {
        match self {
            LockNode::Edge { lock, .. }
            | LockNode::Held { lock, .. }
            | LockNode::Orphan(lock)
            | LockNode::Fold { lock, .. } => Some(*lock),
            _ => None,
        }
    }
}

/// Deadlocks, root blockers and locks without a holder, by the number of tasks that they hold up.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Component {
    /// Its first line.
    pub(crate) row: usize,
    /// How many tasks wait in it.
    pub(crate) blocked: usize,
}

/// The components of the drawn tree, in its order.
pub(crate) fn components(graph: &LockGraph, rows: &[LockRow]) -> Vec<Component> {
    let heads = rows.iter().enumerate().filter(|(_, row)| row.parent.is_none());
    heads
        .map(|(row, head)| Component { row, blocked: blocked(graph, &head.node) })
        .filter(|component| component.blocked > 0)
        .collect()
}

/// How many tasks wait in the component that begins with a line.
pub(crate) fn blocked(graph: &LockGraph, head: &LockNode) -> usize {
    match head {
        LockNode::Cycle(cycle) => {
            let Some(cycle) = graph.cycles.get(*cycle) else { return 0 };
            // Behind each lock of a deadlock is all that is behind any of them.
            let first = cycle.locks.first();
            let lock = graph.locks.iter().find(|lock| Some(&lock.at) == first);
            lock.map_or(0, |lock| lock.blocks).max(cycle.tasks.len())
        }
        LockNode::Root(root) => graph.roots.get(*root).map_or(0, |root| root.blocks),
        LockNode::Orphan(lock) => {
            graph.locks.get(*lock).filter(|lock| !lock.is_idle()).map_or(0, |lock| lock.blocks)
        }
        _ => 0,
    }
}

/// The lines of a graph, of which `ties` are the ties.
pub(crate) fn rows(graph: &LockGraph, ties: &Ties, unfolded: &BTreeSet<VirtAddr>) -> Vec<LockRow> {
    let mut tree = Tree::new(graph, ties, unfolded);
    let cycles = (0..graph.cycles.len()).map(LockNode::Cycle);
    let roots = graph.roots.iter().enumerate().map(|(number, root)| {
        // A root that itself waits for something nobody holds stands under that.
        match tree.ties.waits.get(&root.task.at).copied() {
            Some((lock, _)) if tree.has_no_holder(lock) => LockNode::Orphan(lock),
            _ => LockNode::Root(number),
        }
    });
    let unheld = (0..graph.locks.len()).filter(|lock| tree.has_no_holder(*lock));
    let mut heads: Vec<LockNode> =
        cycles.chain(roots).chain(unheld.map(LockNode::Orphan)).collect();
    heads.retain(|head| blocked(graph, head) > 0);
    heads.sort_by_cached_key(|head| Reverse(blocked(graph, head)));
    // Nobody of a deadlock is drawn as an ordinary waiter before it.
    let members = graph.cycles.iter().flat_map(|cycle| &cycle.tasks).map(|task| task.at);
    tree.tasks_done.extend(members);
    for head in heads {
        match head {
            LockNode::Cycle(number) => tree.cycle(number),
            LockNode::Root(number) => tree.root(number),
            LockNode::Orphan(lock) => tree.orphan(lock),
            _ => {}
        }
    }
    let (idle, others): (Vec<usize>, Vec<usize>) =
        (0..graph.locks.len()).partition(|lock| graph.locks.get(*lock).is_some_and(Lock::is_idle));
    others.into_iter().for_each(|lock| tree.orphan(lock));
    tree.list(LockNode::OthersHeading, graph.others.len(), LockNode::Other);
    tree.list(LockNode::NotesHeading, graph.notes.len(), LockNode::Note);
    if !idle.is_empty() {
        tree.push(Vec::new(), None, LockNode::IdleHeading);
        idle.into_iter().for_each(|lock| tree.orphan(lock));
    }
    tree.rows
}

struct Tree<'g> {
    graph: &'g LockGraph,
    unfolded: &'g BTreeSet<VirtAddr>,
    ties: &'g Ties,
    /// Tasks and locks that have their line.
    tasks_done: HashSet<VirtAddr>,
    locks_done: HashSet<usize>,
    rows: Vec<LockRow>,
}

impl<'g> Tree<'g> {
    fn new(graph: &'g LockGraph, ties: &'g Ties, unfolded: &'g BTreeSet<VirtAddr>) -> Tree<'g> {
        Tree {
            graph,
            unfolded,
            ties,
            tasks_done: HashSet::default(),
            locks_done: HashSet::default(),
            rows: Vec::new(),
        }
    }

    fn push(&mut self, trail: Vec<Trail>, parent: Option<usize>, node: LockNode) -> usize {
        self.rows.push(LockRow { trail, parent, node });
        self.rows.len() - 1
    }

    fn has_no_holder(&self, lock: usize) -> bool {
        self.graph.locks.get(lock).is_some_and(|lock| !lock.holders.iter().any(holds_it))
    }

    fn cycle(&mut self, number: usize) {
        let Some(cycle) = self.graph.cycles.get(number) else { return };
        let heading = self.push(Vec::new(), None, LockNode::Cycle(number));
        let members: HashSet<VirtAddr> = cycle.tasks.iter().map(|task| task.at).collect();
        let locks = self.graph.locks.iter().map(|lock| lock.at).zip(0..);
        let locks: HashMap<VirtAddr, usize> = locks.collect();
        for at in 0..cycle.tasks.len() {
            let spine = if at == 0 { Trail::SpineTop } else { Trail::Spine };
            let node = LockNode::Member { cycle: number, at };
            let member = self.push(vec![spine], Some(heading), node);
            let lock = cycle.locks.get(at).and_then(|lock| locks.get(lock).copied());
            let Some(lock) = lock else { continue };
            let node = LockNode::Edge { cycle: number, at, lock };
            let edge = self.push(vec![Trail::Spine, Trail::Gap], Some(member), node);
            if self.locks_done.insert(lock) {
                self.waiters(lock, &[Trail::Spine, Trail::Gap], edge, &members);
            }
        }
        let close = self.push(vec![Trail::SpineEnd], Some(heading), LockNode::Close(number));
        // What the members hold besides the locks of the cycle.
        for task in &cycle.tasks {
            self.held(task.at, &[Trail::Gap], close);
        }
    }

    fn root(&mut self, number: usize) {
        let Some(root) = self.graph.roots.get(number) else { return };
        if self.tasks_done.insert(root.task.at) {
            let row = self.push(Vec::new(), None, LockNode::Root(number));
            self.held(root.task.at, &[Trail::Gap], row);
        }
    }

    fn orphan(&mut self, lock: usize) {
        if self.locks_done.insert(lock) {
            let row = self.push(Vec::new(), None, LockNode::Orphan(lock));
            let holders = self.graph.locks.get(lock).map_or(&[][..], |lock| &lock.holders);
            for (holder, _) in holders.iter().enumerate().filter(|(_, claim)| !holds_it(claim)) {
                let node = LockNode::Candidate { lock, holder };
                self.push(vec![Trail::Child], Some(row), node);
            }
            self.waiters(lock, &[], row, &HashSet::default());
        }
    }

    /// The locks that a task holds and that are not shown yet, under its line and not further in:
    /// a chain of waits goes far enough to the right as it is.
    fn held(&mut self, task: VirtAddr, trail: &[Trail], parent: usize) {
        let held: Vec<(usize, usize)> = self.ties.held(task).to_vec();
        let held: Vec<(usize, usize)> =
            held.into_iter().filter(|(lock, _)| self.locks_done.insert(*lock)).collect();
        for (lock, holder) in held {
            let node = LockNode::Held { lock, holder };
            let row = self.push(trail.to_vec(), Some(parent), node);
            self.waiters(lock, trail, row, &HashSet::default());
        }
    }

    /// The waiters of a lock under its line, without those in `except`.
    fn waiters(&mut self, lock: usize, trail: &[Trail], parent: usize, except: &HashSet<VirtAddr>) {
        let Some(entry) = self.graph.locks.get(lock) else { return };
        let idle = |waiter: &Waiter| self.ties.held(waiter.task.at).is_empty();
        let waiters: Vec<(usize, VirtAddr, bool)> = entry
            .waiters
            .iter()
            .enumerate()
            .filter(|(_, waiter)| !except.contains(&waiter.task.at))
            .map(|(number, waiter)| (number, waiter.task.at, idle(waiter)))
            .collect();
        if trail.len() >= DEEPEST {
            if !waiters.is_empty() {
                self.push([trail, &[Trail::Last]].concat(), Some(parent), LockNode::Deeper);
            }
            return;
        }
        let idlers = waiters.iter().filter(|(_, _, idle)| *idle).count();
        let fold = idlers > SHOWN && !self.unfolded.contains(&entry.at);
        let keep = if fold { SHOWN - 1 } else { usize::MAX };
        let mut kept = 0;
        let (mut shown, mut hidden) = (Vec::new(), Vec::new());
        for (number, task, idle) in waiters {
            kept += usize::from(idle);
            if !idle || kept <= keep {
                shown.push((number, task));
            } else {
                hidden.push(number);
            }
        }
        for (position, &(waiter, task)) in shown.iter().enumerate() {
            let (branch, below) = branch(position + 1 == shown.len() && hidden.is_empty());
            let again = !self.tasks_done.insert(task);
            let node = LockNode::Waiter { lock, waiter, again };
            let row = self.push([trail, &[branch]].concat(), Some(parent), node);
            if !again {
                self.held(task, &[trail, &[below]].concat(), row);
            }
        }
        if !hidden.is_empty() {
            let node = LockNode::Fold { lock, hidden };
            self.push([trail, &[Trail::Last]].concat(), Some(parent), node);
        }
    }

    fn list(&mut self, heading: LockNode, len: usize, node: fn(usize) -> LockNode) {
        if len > 0 {
            let heading = self.push(Vec::new(), None, heading);
            for number in 0..len {
                let (branch, _) = branch(number + 1 == len);
                self.push(vec![branch], Some(heading), node(number));
            }
        }
    }
}

/// The branch to a child, and what is drawn under it.
const fn branch(last: bool) -> (Trail, Trail) {
    if last { (Trail::Last, Trail::Gap) } else { (Trail::Child, Trail::Pass) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tui::fixture;

    /// Two spaces a level, then the node.
    fn drawn(unfolded: &BTreeSet<VirtAddr>) -> String {
        let graph = fixture::locks();
        let name = |lock: &usize| graph.locks[*lock].name.clone();
        let line = |row: LockRow| {
            let text = match &row.node {
                LockNode::Cycle(n) => format!("cycle of {}", graph.cycles[*n].tasks.len()),
                LockNode::Member { cycle, at } => {
                    format!("member {}", graph.cycles[*cycle].tasks[*at].pid)
                }
                LockNode::Edge { lock, .. } => format!("waits {}", name(lock)),
                LockNode::Close(_) => "close".to_owned(),
                LockNode::Root(root) => format!("root {}", graph.roots[*root].task.pid),
                LockNode::Held { lock, .. } => format!("holds {}", name(lock)),
                LockNode::Orphan(lock) => format!("orphan {}", name(lock)),
                LockNode::Waiter { lock, waiter, .. } => {
                    format!("waiter {}", graph.locks[*lock].waiters[*waiter].task.pid)
                }
                LockNode::Candidate { lock, holder } => {
                    format!("maybe {}", graph.locks[*lock].holders[*holder].task.pid)
                }
                LockNode::Fold { hidden, .. } => format!("+{}", hidden.len()),
                other => format!("{other:?}"),
            };
            format!("{}{text}\n", "  ".repeat(row.trail.len()))
        };
        rows(&graph, &Ties::of(&graph), unfolded).into_iter().map(line).collect()
    }

    #[test]
    fn a_deadlock_closes_and_each_root_carries_its_queue() {
        let expected = "\
root 142
  holds mmap_lock of java[140]
    waiter 143
    waiter 144
    waiter 145
    +3
cycle of 2
  member 111
    waits hu_abba_b
  member 112
    waits hu_abba_a
      waiter 113
  close
orphan hu_never
  waiter 124
  holds hu_chain+224
    waiter 123
orphan hu_sem
  maybe 160
  waiter 9
OthersHeading
  Other(0)
NotesHeading
  Note(0)
";
        assert_eq!(drawn(&BTreeSet::new()), expected);
    }

    #[test]
    fn components_stand_in_the_order_of_the_tasks_that_they_hold_up() {
        let mut graph = fixture::locks();
        let heads = |graph: &LockGraph| {
            let rows = rows(graph, &Ties::of(graph), &BTreeSet::new());
            let components = components(graph, &rows).into_iter();
            components.map(|c| (c.blocked, rows[c.row].node.clone())).collect::<Vec<_>>()
        };
        let root = (6, LockNode::Root(0));
        let cycle = (2, LockNode::Cycle(0));
        let others = [(1, LockNode::Orphan(4)), (1, LockNode::Orphan(3))];
        assert_eq!(heads(&graph), [vec![root.clone(), cycle.clone()], others.to_vec()].concat());
        graph.locks[2].blocks = 9;
        assert_eq!(heads(&graph)[..2], [(9, cycle.1), root]);
    }

    #[test]
    fn an_unfolded_lock_shows_every_waiter() {
        let graph = fixture::locks();
        let mmap = graph.locks.iter().find(|lock| lock.name.starts_with("mmap")).unwrap();
        let text = drawn(&BTreeSet::from([mmap.at]));
        assert!(text.contains("waiter 150") && !text.contains("  +3"), "{text}");
    }

    #[test]
    fn a_graph_that_lies_about_its_cycles_still_ends() {
        let mut graph = fixture::locks();
        // Every task holds every lock and waits for it.
        let lock = graph.locks[0].clone();
        for _ in 0..50 {
            let mut copy = lock.clone();
            copy.at = VirtAddr(copy.at.0 + u64::try_from(graph.locks.len()).unwrap());
            graph.locks.push(copy);
        }
        graph.cycles.clear();
        let rows = rows(&graph, &Ties::of(&graph), &BTreeSet::new());
        assert!(rows.len() < 1000, "{}", rows.len());
    }
}
