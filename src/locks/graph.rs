//! Who waits for whom: cycles, root blockers, and how many tasks each lock holds up.
//!
//! The graph runs from a waiting task over the lock to its holders. A task waits for one lock at a
//! time (what an interrupt of it spins for meanwhile is not its own wait), so nearly everything is a
//! tree; only shared locks (readers) fan out. Only claims that are
//! certain or likely become edges: what is merely possible must not invent a deadlock.

use super::{Confidence, Cycle, Lock, LockGraph, TaskRef, Waiter};
use crate::dump::VirtAddr;
use foldhash::{HashMap, HashSet};

/// At most this many cycles are listed of one knot of locks; the rest are the same knot again.
const CYCLES_OF_ONE_KNOT: usize = 16;
/// From at most this many of a knot's tasks a cycle is looked for: each look may pass all of them.
const STARTS_IN_ONE_KNOT: usize = 256;

/// What each task waits for, lock and waiter by their numbers, of those waiters that count. What the
/// task itself wants comes before what an interrupt of it spins for.
pub(super) fn waits(
    locks: &[Lock],
    counts: impl Fn(&Waiter) -> bool,
) -> HashMap<VirtAddr, (usize, usize)> {
    let mut waits = HashMap::default();
    for interrupts in [false, true] {
        for (number, lock) in locks.iter().enumerate() {
            let waiters = lock.waiters.iter().enumerate();
            for (place, waiter) in waiters.filter(|(_, it)| it.in_interrupt == interrupts) {
                if counts(waiter) {
                    waits.entry(waiter.task.at).or_insert((number, place));
                }
            }
        }
    }
    waits
}

impl LockGraph {
    /// What each task waits for, by the address of its `task_struct`: the positions of the lock in
    /// [`LockGraph::locks`] and of the claim among its waiters. What the task itself wants comes
    /// before what an interrupt of it spins for.
    #[must_use]
    pub fn waits(&self) -> HashMap<VirtAddr, (usize, usize)> {
        waits(&self.locks, |_| true)
    }
}

/// The edges of the graph, by index of the lock.
pub(super) struct Edges {
    /// The lock that a task waits for.
    pub(super) waits: HashMap<VirtAddr, usize>,
    /// The locks that a task holds, certainly or likely.
    pub(super) holds: HashMap<VirtAddr, Vec<usize>>,
}

impl Edges {
    pub(super) fn of(locks: &[Lock]) -> Edges {
        let mut edges = Edges { waits: HashMap::default(), holds: HashMap::default() };
        let sure = waits(locks, |waiter| waiter.confidence != Confidence::Possible);
        edges.waits.extend(sure.into_iter().map(|(task, (lock, _))| (task, lock)));
        for (index, lock) in locks.iter().enumerate() {
            for holder in &lock.holders {
                if holder.confidence != Confidence::Possible {
                    edges.holds.entry(holder.task.at).or_default().push(index);
                }
            }
        }
        edges
    }

    /// Those who wait for the lock of this number, but for an interrupt of a task that itself waits for
    /// another one: each task waits once.
    fn waiters<'a>(&'a self, number: usize, lock: &'a Lock) -> impl Iterator<Item = &'a Waiter> {
        let elsewhere = move |at| self.waits.get(at).is_some_and(|at| *at != number);
        lock.waiters.iter().filter(move |it| !(it.in_interrupt && elsewhere(&it.task.at)))
    }

    /// The locks that these waiters hold: what is held up behind it.
    fn behind<'a>(&'a self, number: usize, lock: &'a Lock) -> impl Iterator<Item = usize> + 'a {
        let waiters = self.waiters(number, lock);
        waiters.filter_map(|waiter| self.holds.get(&waiter.task.at)).flatten().copied()
    }
}

/// Sets [`Lock::blocks`] of every lock: its waiters, those who wait for locks that they hold, and
/// so on; each task once.
pub(super) fn count_blocked(locks: &mut [Lock], edges: &Edges) {
    let behind: Vec<Vec<usize>> = locks
        .iter()
        .enumerate()
        .map(|(number, lock)| {
            let mut behind: Vec<usize> = edges.behind(number, lock).collect();
            behind.sort_unstable();
            behind.dedup();
            behind
        })
        .collect();
    // A task waits for one lock only, so the tasks behind a set of locks are the sum of their waiters.
    let waiting = locks.iter().enumerate();
    let waiting: Vec<usize> =
        waiting.map(|(number, lock)| edges.waiters(number, lock).count()).collect();
    for (lock, blocks) in locks.iter_mut().zip(sums_behind(&behind, &waiting)) {
        lock.blocks = blocks;
    }
}

/// Of each node the sum of the `own` of all that can be reached from it, itself included.
///
/// Nearly always a node is behind one other at most, so that these are trees, and rings with trees
/// behind them: one pass adds them up. Only in front of a node that is behind several (a lock that
/// several readers hold) does each need a walk of its own.
#[allow(clippy::indexing_slicing, reason = "every node is a position in `behind`")]
fn sums_behind(behind: &[Vec<usize>], own: &[usize]) -> Vec<usize> {
    let nodes = behind.len();
    let mut before: Vec<Vec<usize>> = vec![Vec::new(); nodes];
    for (node, next) in behind.iter().enumerate() {
        next.iter().for_each(|next| before[*next].push(node));
    }
    let shared = before.iter().filter(|before| before.len() > 1);
    let tangled = reachable(shared.flatten().copied().collect(), &before);
    let mut sums = own.to_vec();
    // Those with nothing behind them first; what is left over in the end is rings.
    let mut missing: Vec<usize> = behind.iter().map(Vec::len).collect();
    let mut ready: Vec<usize> = (0..nodes).filter(|node| missing[*node] == 0).collect();
    while let Some(node) = ready.pop() {
        let Some(&front) = before[node].first() else { continue };
        sums[front] += sums[node];
        missing[front] -= 1;
        if missing[front] == 0 {
            ready.push(front);
        }
    }
    for node in 0..nodes {
        if tangled[node] {
            let reached = reachable(vec![node], behind);
            sums[node] = (0..nodes).filter(|node| reached[*node]).map(|node| own[node]).sum();
        } else if missing[node] > 0 {
            let on = |at: &usize| before[*at].first().copied().filter(|before| *before != node);
            let ring: Vec<usize> = std::iter::successors(Some(node), on).collect();
            let sum = ring.iter().map(|node| sums[*node]).sum();
            for node in ring {
                (sums[node], missing[node]) = (sum, 0);
            }
        }
    }
    sums
}

/// Which nodes can be reached from those of `todo`, these included.
#[allow(clippy::indexing_slicing, reason = "every node is a position in `next`")]
fn reachable(mut todo: Vec<usize>, next: &[Vec<usize>]) -> Vec<bool> {
    let mut reached = vec![false; next.len()];
    while let Some(at) = todo.pop() {
        if !std::mem::replace(&mut reached[at], true) {
            todo.extend(&next[at]);
        }
    }
    reached
}

/// How many tasks wait for one that holds these locks, directly or not.
fn blocked_by(held: &[usize], locks: &[Lock], edges: &Edges) -> usize {
    let mut seen = HashSet::default();
    let mut todo = held.to_vec();
    let mut blocked = 0;
    while let Some(at) = todo.pop() {
        let Some(lock) = locks.get(at).filter(|_| seen.insert(at)) else { continue };
        // A task waits for one lock only.
        blocked += edges.waiters(at, lock).count();
        todo.extend(edges.behind(at, lock));
    }
    blocked
}

/// The deadlocks. Every cycle of the graph passes through a strongly connected component of
/// tasks; each component's cycles are listed, shortest first, at most a few of one component.
pub(super) fn cycles(locks: &[Lock], edges: &Edges) -> Vec<Cycle> {
    let tasks: HashMap<VirtAddr, &TaskRef> = locks
        .iter()
        .flat_map(|lock| &lock.waiters)
        .map(|waiter| (waiter.task.at, &waiter.task))
        .collect();
    // A task's one lock leads to its holders; only those who wait themselves can be in a cycle.
    let next = |task: &VirtAddr| -> Vec<VirtAddr> {
        let Some(lock) = edges.waits.get(task).and_then(|&lock| locks.get(lock)) else {
            return Vec::new();
        };
        lock.holders
            .iter()
            .filter(|holder| holder.confidence != Confidence::Possible)
            .map(|holder| holder.task.at)
            .filter(|holder| edges.waits.contains_key(holder))
            .collect()
    };
    let holds = |task: &&VirtAddr| edges.holds.contains_key(*task);
    let mut starts: Vec<VirtAddr> = tasks.keys().filter(holds).copied().collect();
    starts.sort_by_key(|task| tasks.get(task).map_or(0, |task| task.pid));
    let mut found = Vec::new();
    let mut known = HashSet::default();
    for component in components(&starts, &next) {
        let members: HashSet<VirtAddr> = component.iter().copied().collect();
        // Where everybody waits for one other there is one cycle, whoever it is told from.
        let is_ring = component
            .iter()
            .all(|task| next(task).iter().filter(|holder| members.contains(holder)).count() == 1);
        let starts = if is_ring { 1 } else { STARTS_IN_ONE_KNOT };
        let mut of_this = 0;
        for &start in component.iter().take(starts) {
            if of_this >= CYCLES_OF_ONE_KNOT {
                break;
            }
            let Some(path) = shortest_cycle(start, &members, &next) else { continue };
            let mut key = path.clone();
            key.sort_unstable();
            if known.insert(key) {
                of_this += 1;
                found.push(cycle(&path, &tasks, edges, locks));
            }
        }
    }
    found.sort_by_key(|cycle| (cycle.tasks.len(), cycle.tasks.first().map(|task| task.pid)));
    found
}

fn cycle(
    path: &[VirtAddr],
    tasks: &HashMap<VirtAddr, &TaskRef>,
    edges: &Edges,
    locks: &[Lock],
) -> Cycle {
    let lowest = path
        .iter()
        .enumerate()
        .min_by_key(|(_, task)| tasks.get(task).map_or(0, |task| task.pid))
        .map_or(0, |(at, _)| at);
    let turned: Vec<VirtAddr> =
        path.iter().cycle().skip(lowest).take(path.len()).copied().collect();
    Cycle {
        tasks: turned
            .iter()
            .filter_map(|task| tasks.get(task))
            .map(|task| (*task).clone())
            .collect(),
        locks: turned
            .iter()
            .filter_map(|task| edges.waits.get(task).and_then(|&lock| locks.get(lock)))
            .map(|lock| lock.at)
            .collect(),
    }
}

/// The shortest way from `start` back to itself inside its component.
fn shortest_cycle(
    start: VirtAddr,
    members: &HashSet<VirtAddr>,
    next: &impl Fn(&VirtAddr) -> Vec<VirtAddr>,
) -> Option<Vec<VirtAddr>> {
    let mut from: HashMap<VirtAddr, VirtAddr> = HashMap::default();
    let mut todo = std::collections::VecDeque::from([start]);
    while let Some(at) = todo.pop_front() {
        for to in next(&at) {
            if to == start {
                let mut path = vec![at];
                let mut at = at;
                while at != start {
                    at = *from.get(&at)?;
                    path.push(at);
                }
                path.reverse();
                return Some(path);
            }
            if members.contains(&to) && !from.contains_key(&to) {
                from.insert(to, at);
                todo.push_back(to);
            }
        }
    }
    None
}

/// The strongly connected components that have a cycle (Tarjan, without recursion: chains of
/// waiters can be as long as there are tasks).
fn components(
    starts: &[VirtAddr],
    next: &impl Fn(&VirtAddr) -> Vec<VirtAddr>,
) -> Vec<Vec<VirtAddr>> {
    struct Visit {
        index: usize,
        low: usize,
        on_stack: bool,
    }
    let mut visits: HashMap<VirtAddr, Visit> = HashMap::default();
    let mut stack: Vec<VirtAddr> = Vec::new();
    let mut found = Vec::new();
    for &start in starts {
        if visits.contains_key(&start) {
            continue;
        }
        let mut path: Vec<(VirtAddr, Vec<VirtAddr>)> = Vec::new();
        let mut enter = Some(start);
        loop {
            if let Some(task) = enter.take() {
                let index = visits.len();
                visits.insert(task, Visit { index, low: index, on_stack: true });
                stack.push(task);
                path.push((task, next(&task)));
            }
            let Some((task, todo)) = path.last_mut() else { break };
            let task = *task;
            if let Some(to) = todo.pop() {
                match visits.get(&to).map(|visit| (visit.on_stack, visit.index)) {
                    None => enter = Some(to),
                    Some((true, index)) => lower(&mut visits, task, index),
                    Some((false, _)) => {}
                }
                continue;
            }
            path.pop();
            let Some((index, low)) = visits.get(&task).map(|visit| (visit.index, visit.low)) else {
                continue;
            };
            if let Some((parent, _)) = path.last() {
                lower(&mut visits, *parent, low);
            }
            if index == low {
                let mut component = Vec::new();
                while let Some(member) = stack.pop() {
                    if let Some(visit) = visits.get_mut(&member) {
                        visit.on_stack = false;
                    }
                    component.push(member);
                    if member == task {
                        break;
                    }
                }
                if component.len() > 1 || next(&task).contains(&task) {
                    component.reverse();
                    found.push(component);
                }
            }
        }
    }
    return found;

    fn lower(visits: &mut HashMap<VirtAddr, Visit>, task: VirtAddr, low: usize) {
        if let Some(visit) = visits.get_mut(&task) {
            visit.low = visit.low.min(low);
        }
    }
}

/// The holders that wait for no lock with a known holder: where each chain of waiting ends.
pub(super) fn roots(graph: &LockGraph, edges: &Edges) -> Vec<(TaskRef, usize)> {
    let mut roots: HashMap<VirtAddr, TaskRef> = HashMap::default();
    for holder in graph.locks.iter().flat_map(|lock| &lock.holders) {
        let goes_on =
            edges.waits.get(&holder.task.at).and_then(|&lock| graph.locks.get(lock)).is_some_and(
                |lock| lock.holders.iter().any(|next| next.confidence != Confidence::Possible),
            );
        if !goes_on {
            roots.insert(holder.task.at, holder.task.clone());
        }
    }
    // The readers of one lock hold up the same tasks.
    let mut known: HashMap<&[usize], usize> = HashMap::default();
    let mut roots: Vec<(TaskRef, usize)> = roots
        .into_values()
        .map(|task| {
            let held = edges.holds.get(&task.at).map(Vec::as_slice).unwrap_or_default();
            let blocks =
                *known.entry(held).or_insert_with(|| blocked_by(held, &graph.locks, edges));
            (task, blocks)
        })
        .filter(|(_, blocks)| *blocks > 0)
        .collect();
    roots.sort_by_key(|(task, blocks)| (std::cmp::Reverse(*blocks), task.pid));
    roots
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::locks::{Holder, LockKind, Mode, Waiter, Why};

    fn task(pid: u32) -> TaskRef {
        TaskRef { pid, at: VirtAddr(u64::from(pid) * 0x1000), comm: format!("t{pid}").into() }
    }

    /// A lock at `at`, held by some with a confidence, waited for by others.
    fn lock(at: u64, holders: &[(u32, Confidence)], waiters: &[u32]) -> Lock {
        Lock {
            at: VirtAddr(at),
            kind: LockKind::Mutex,
            ty: "struct mutex",
            symbol: None,
            name: format!("mutex {at:#x}"),
            state: Vec::new(),
            words: String::new(),
            holders: holders
                .iter()
                .map(|&(pid, confidence)| Holder {
                    task: task(pid),
                    mode: Mode::Excl,
                    confidence,
                    why: Why::default(),
                })
                .collect(),
            waiters: waiters
                .iter()
                .map(|&pid| Waiter {
                    task: task(pid),
                    mode: Mode::Excl,
                    position: None,
                    spinning: false,
                    in_interrupt: false,
                    since: None,
                    confidence: Confidence::Certain,
                    why: Why::default(),
                })
                .collect(),
            readers: None,
            orphaned: false,
            place: None,
            undecided: None,
            doubts: Vec::new(),
            blocks: 0,
        }
    }

    use Confidence::{Certain, Likely, Possible};

    #[test]
    fn what_is_blocked_is_counted_once_whatever_the_shape() {
        // A tree and, behind a ring of two, another; each with its waiters.
        let trees = [vec![1, 2], vec![], vec![3], vec![], vec![5], vec![4, 6], vec![]];
        assert_eq!(sums_behind(&trees, &[1, 2, 4, 8, 16, 32, 64]), [15, 2, 12, 8, 112, 112, 64]);
        // A lock that two readers hold, who wait for different locks, one of which is in a ring.
        let shared = [vec![2, 3], vec![2], vec![4], vec![0], vec![]];
        assert_eq!(sums_behind(&shared, &[1, 2, 4, 8, 16]), [29, 22, 20, 29, 16]);
        assert_eq!(sums_behind(&[vec![0]], &[3]), [3]);
    }

    fn graph(mut locks: Vec<Lock>) -> (LockGraph, Edges) {
        let edges = Edges::of(&locks);
        count_blocked(&mut locks, &edges);
        let cycles = cycles(&locks, &edges);
        (LockGraph { locks, cycles, ..LockGraph::default() }, edges)
    }

    fn cycle_pids(graph: &LockGraph) -> Vec<Vec<u32>> {
        graph.cycles.iter().map(|c| c.tasks.iter().map(|task| task.pid).collect()).collect()
    }

    #[test]
    fn abba_is_one_cycle_and_its_bystander_is_not_in_it() {
        let (graph, edges) =
            graph(vec![lock(0xa, &[(1, Certain)], &[2, 3]), lock(0xb, &[(2, Certain)], &[1])]);
        assert_eq!(cycle_pids(&graph), [[1, 2]]);
        assert_eq!(graph.cycles[0].locks, [VirtAddr(0xb), VirtAddr(0xa)]);
        assert_eq!(graph.locks[0].blocks, 3);
        assert_eq!(roots(&graph, &edges), []);
    }

    #[test]
    fn a_chain_has_no_cycle_and_one_root() {
        let (graph, edges) = graph(vec![
            lock(0xa, &[(1, Certain)], &[2]),
            lock(0xb, &[(2, Certain)], &[3, 4]),
            lock(0xc, &[(4, Likely)], &[5]),
        ]);
        assert_eq!(cycle_pids(&graph), Vec::<Vec<u32>>::new());
        assert_eq!(roots(&graph, &edges), [(task(1), 4)]);
        let blocks: Vec<usize> = graph.locks.iter().map(|lock| lock.blocks).collect();
        assert_eq!(blocks, [4, 3, 1]);
    }

    #[test]
    fn what_is_only_possible_makes_no_deadlock() {
        let (graph, edges) =
            graph(vec![lock(0xa, &[(1, Possible)], &[2]), lock(0xb, &[(2, Certain)], &[1])]);
        assert_eq!(cycle_pids(&graph), Vec::<Vec<u32>>::new());
        assert_eq!(roots(&graph, &edges), [(task(2), 1)]);
    }

    #[test]
    fn a_task_that_waits_for_what_it_holds_is_a_cycle_of_one() {
        let (graph, _) = graph(vec![lock(0xa, &[(1, Certain)], &[1, 2])]);
        assert_eq!(cycle_pids(&graph), [[1]]);
    }

    #[test]
    fn a_task_waits_for_what_it_wants_itself_and_not_for_what_an_interrupt_of_it_spins_for() {
        for order in [[0, 1], [1, 0]] {
            let mut interrupts = lock(0xa, &[(2, Likely)], &[1, 3]);
            interrupts.waiters[0].in_interrupt = true;
            let own = lock(0xb, &[(4, Likely)], &[1]);
            let locks = order.map(|n| [interrupts.clone(), own.clone()][n].clone());
            let (graph, edges) = graph(locks.to_vec());
            assert_eq!(edges.waits[&task(1).at], order[1]);
            assert_eq!(graph.waits()[&task(1).at], (order[1], 0));
            let blocks = order.map(|n| graph.locks[n].blocks);
            assert_eq!(blocks, [1, 1], "each task is counted once");
        }
    }

    #[test]
    fn two_readers_can_close_two_cycles() {
        let (graph, _) = graph(vec![
            lock(0xa, &[(1, Likely), (2, Likely)], &[3]),
            lock(0xb, &[(3, Certain)], &[1, 2]),
        ]);
        assert_eq!(cycle_pids(&graph), [[1, 3], [2, 3]]);
    }

    #[test]
    fn a_long_chain_needs_no_deep_stack() {
        let locks =
            (1..20_000).map(|n| lock(u64::from(n), &[(n, Certain)], &[n + 1])).collect::<Vec<_>>();
        let edges = Edges::of(&locks);
        assert_eq!(cycles(&locks, &edges), []);
    }

    #[test]
    fn a_ring_of_very_many_is_one_cycle_and_counted_in_one_pass() {
        let all = 20_000;
        let next = |n: u32| if n == all { 1 } else { n + 1 };
        let locks = (1..=all).map(|n| lock(u64::from(n), &[(n, Certain)], &[next(n)])).collect();
        let (graph, edges) = graph(locks);
        assert_eq!(
            graph.cycles.iter().map(|cycle| cycle.tasks.len()).collect::<Vec<_>>(),
            [20_000]
        );
        assert!(graph.locks.iter().all(|lock| lock.blocks == 20_000));
        assert_eq!(roots(&graph, &edges), []);
    }

    #[test]
    fn the_readers_of_one_lock_each_hold_up_all_its_waiters() {
        let readers: Vec<(u32, Confidence)> = (1..=300).map(|pid| (pid, Likely)).collect();
        let waiters: Vec<u32> = (1000..1100).collect();
        let (graph, edges) = graph(vec![lock(0xa, &readers, &waiters)]);
        let roots = roots(&graph, &edges);
        assert_eq!(roots.len(), 300);
        assert!(roots.iter().all(|(_, blocks)| *blocks == 100));
    }

    #[test]
    fn whoever_is_only_possibly_a_holder_or_a_waiter_is_no_root_blocker_and_waits_for_nothing() {
        let (graph, edges) = graph(vec![lock(1, &[(1, Confidence::Possible)], &[2])]);
        assert_eq!(roots(&graph, &edges), []);
        let mut locks = vec![lock(1, &[(1, Confidence::Certain)], &[2])];
        locks.push(lock(2, &[(2, Confidence::Certain)], &[1]));
        locks[1].waiters[0].confidence = Confidence::Possible;
        let edges = Edges::of(&locks);
        assert!(cycles(&locks, &edges).is_empty());
        assert!(!edges.waits.contains_key(&VirtAddr(1)));
    }

    #[test]
    fn those_in_a_deadlock_and_those_whom_nobody_waits_for_are_no_root_blockers() {
        use Confidence::Certain;
        let (deadlock, edges) =
            graph(vec![lock(1, &[(1, Certain)], &[2]), lock(2, &[(2, Certain)], &[1])]);
        assert_eq!(roots(&deadlock, &edges), []);
        let (idle, edges) = graph(vec![lock(1, &[(1, Certain)], &[])]);
        assert_eq!(roots(&idle, &edges), []);
    }
}
