//! The verdict: one paragraph that a person can paste into a ticket.
//!
//! It begins with the cause: deadlocks first, since they never end, then the root blockers and the
//! locks whose holder is not known, most blocked tasks first; how many tasks that makes in all; what
//! the log says. What stands behind each is in the graph.

use super::chain::{self, nobody_brings_about};
use super::complaints::Complaints;
use super::{Confidence, Cycle, Holder, Lock, LockGraph, Mode, Root, TaskRef, Waiter};
use crate::dump::VirtAddr;
use foldhash::{HashMap, HashSet};

/// At most this many deadlocks, and this many other causes, are spelled out.
const SPELLED_OUT: usize = 3;
/// Of a longer deadlock the middle is only counted.
const STEPS: usize = 12;

/// The whole graph in a few sentences. `asleep` is the number of tasks in uninterruptible sleep;
/// `waits_in` gives the functions in which the first in line waits for a lock.
pub(super) fn of(
    graph: &LockGraph,
    asleep: usize,
    complaints: &Complaints,
    waits_in: &dyn Fn(&Lock) -> Option<String>,
) -> String {
    let tasks = || graph.locks.iter().flat_map(|lock| &lock.waiters).map(|waiter| &waiter.task);
    let roots = graph.roots.iter().map(|root| &root.task);
    let others = graph.others.iter().map(|other| &other.task);
    let known: Vec<&TaskRef> = tasks().chain(roots).chain(others).collect();
    let label = |pid| known.iter().find(|task| task.pid == pid).map(|task| named(task));
    let said = complaints.in_words(label);
    let found = causes(graph, asleep, waits_in);
    if said.is_empty() { found } else { format!("{found} {said}") }
}

/// One reason why tasks are blocked.
struct Cause {
    /// How many tasks it stops.
    blocks: usize,
    sentence: String,
    /// Whether it is known who has to go on, so that those behind it merely queue.
    known: bool,
}

fn causes(graph: &LockGraph, asleep: usize, waits_in: &dyn Fn(&Lock) -> Option<String>) -> String {
    let blocked: HashSet<_> =
        busy(graph).flat_map(|lock| &lock.waiters).map(|waiter| waiter.task.at).collect();
    if blocked.is_empty() {
        return match asleep {
            0 => "No task waits for a lock, and none is in uninterruptible sleep.".to_owned(),
            n => format!(
                "No task waits for a lock that is known here; {} in uninterruptible sleep.",
                count(n, "task is", "tasks are")
            ),
        };
    }
    let view = View::of(graph, waits_in);
    let mut sentences = Vec::new();
    let mut deadlocks: Vec<_> = graph.cycles.iter().map(|cycle| deadlock(&view, cycle)).collect();
    deadlocks.sort_by_key(|cause| std::cmp::Reverse(cause.blocks));
    sentences.extend(spelled(&deadlocks, "deadlock", "deadlocks"));
    let causes = others(&view);
    // Where a chain ends at what is not known, it may be closed there.
    let known = causes.iter().all(|cause| cause.known);
    let lead = match causes.first() {
        Some(_) if !deadlocks.is_empty() => "Besides: ".to_owned(),
        first => {
            let convoy = first.is_some_and(|first| first.known && first.blocks > 1);
            let found = if known { "" } else { " found" };
            let but = if convoy { " but a convoy" } else { "" };
            format!("No deadlock{found}{but}: ")
        }
    };
    let mut told = spelled(&causes, "cause", "causes");
    if let Some(first) = told.first_mut() {
        first.insert_str(0, &lead);
    }
    sentences.extend(told);
    let locks = busy(graph).count();
    let mut all = Vec::new();
    if locks > 1 {
        let waits = count(blocked.len(), "task waits", "tasks wait");
        all.push(format!("{waits} for {locks} locks"));
    }
    if asleep > 0 {
        all.push(format!("{} in uninterruptible sleep", count(asleep, "task is", "tasks are")));
    }
    if !all.is_empty() {
        sentences.push(format!("In all {}.", all.join("; ")));
    }
    sentences.join(" ")
}

/// The first few of these causes, and how many more there are.
fn spelled(causes: &[Cause], one: &str, many: &str) -> Vec<String> {
    let mut told: Vec<String> =
        causes.iter().take(SPELLED_OUT).map(|cause| cause.sentence.clone()).collect();
    if causes.len() > SPELLED_OUT {
        let more = count(causes.len() - SPELLED_OUT, one, many);
        told.push(format!("{more} more in the lock graph."));
    }
    told
}

/// Everything but deadlocks, most blocked tasks first.
fn others(view: &View<'_>) -> Vec<Cause> {
    let graph = view.graph;
    let ends = common_ends(graph);
    let behind: HashSet<_> = ends.iter().flat_map(|(_, roots)| roots).map(|r| r.task.at).collect();
    let mut causes: Vec<Cause> = Vec::new();
    // Those who hold it together are one cause.
    let mut together: HashMap<VirtAddr, Vec<(&Root, &Holder)>> = HashMap::default();
    for root in &graph.roots {
        if let Some((lock, holder)) = view.holds(root) {
            together.entry(lock.at).or_default().push((root, holder));
        }
    }
    for root in graph.roots.iter().filter(|root| !behind.contains(&root.task.at)) {
        let Some((lock, _)) = view.holds(root) else {
            let sentence = format!("{} {}.", named(&root.task), root.doing);
            let known = !view.waiting.contains(&root.task.at);
            causes.push(Cause { blocks: root.blocks, sentence, known });
            continue;
        };
        if let Some(roots) = together.remove(&lock.at) {
            causes.push(blocker(view, lock, &roots));
        }
    }
    let unknown = |lock: &Lock, sentence| Cause { blocks: lock.blocks, sentence, known: false };
    causes.extend(ends.iter().map(|(lock, roots)| unknown(lock, common_end(view, lock, roots))));
    causes.extend(unheld(graph).map(|lock| unknown(lock, format!("{}.", nobody(view, lock)))));
    causes.sort_by_key(|cause| std::cmp::Reverse(cause.blocks));
    causes
}

/// A graph by its addresses.
struct View<'g> {
    graph: &'g LockGraph,
    locks: HashMap<VirtAddr, &'g Lock>,
    /// Of each task the locks that it holds, certainly or likely, and somebody waits for.
    held: HashMap<VirtAddr, Vec<(&'g Lock, &'g Holder)>>,
    /// The tasks that wait for something.
    waiting: HashSet<VirtAddr>,
    /// In which functions the first in line waits for a lock.
    waits_in: &'g dyn Fn(&Lock) -> Option<String>,
}

impl<'g> View<'g> {
    fn of(graph: &'g LockGraph, waits_in: &'g dyn Fn(&Lock) -> Option<String>) -> View<'g> {
        let locks = graph.locks.iter().map(|lock| (lock.at, lock)).collect();
        let mut held: HashMap<VirtAddr, Vec<(&Lock, &Holder)>> = HashMap::default();
        for lock in graph.locks.iter().filter(|lock| !lock.waiters.is_empty()) {
            for holder in &lock.holders {
                if holder.confidence != Confidence::Possible {
                    held.entry(holder.task.at).or_default().push((lock, holder));
                }
            }
        }
        let waiting = graph.locks.iter().flat_map(|lock| &lock.waiters);
        let waiting = waiting.map(|waiter| waiter.task.at).collect();
        View { graph, locks, held, waiting, waits_in }
    }

    /// The locks that a task holds and somebody waits for.
    fn held_by(
        &self,
        task: VirtAddr,
    ) -> impl Iterator<Item = (&'g Lock, &'g Holder)> + use<'g, '_> {
        self.held.get(&task).into_iter().flatten().copied()
    }

    /// The lock that a root blocker holds up most tasks with.
    fn holds(&self, root: &Root) -> Option<(&'g Lock, &'g Holder)> {
        self.held_by(root.task.at).max_by_key(|(lock, _)| lock.blocks)
    }
}

fn named(task: &TaskRef) -> String {
    format!("{}[{}]", task.comm, task.pid)
}

/// The locks that somebody waits for, but futexes that may be idle.
fn busy(graph: &LockGraph) -> impl Iterator<Item = &Lock> {
    graph.locks.iter().filter(|lock| !lock.waiters.is_empty() && !lock.is_idle())
}

fn count(n: usize, one: &str, many: &str) -> String {
    format!("{n} {}", if n == 1 { one } else { many })
}

/// A deadlock, and how many tasks it stops: those in it and those behind.
fn deadlock(view: &View<'_>, cycle: &Cycle) -> Cause {
    let locks: Vec<Option<&Lock>> =
        cycle.locks.iter().map(|at| view.locks.get(at).copied()).collect();
    let blocks = locks.iter().flatten().map(|lock| lock.blocks).max().unwrap_or(0);
    let them = if cycle.tasks.len() == 1 { "it" } else { "them" };
    let behind = match blocks.saturating_sub(cycle.tasks.len()) {
        0 => String::new(),
        n => format!("; behind {them} {}", count(n, "more task waits", "more tasks wait")),
    };
    let in_interrupt = || {
        let lock = locks.first().copied().flatten();
        let waiter = lock.zip(cycle.tasks.first()).and_then(|(lock, task)| waiter_of(lock, task));
        waiter.is_some_and(|waiter| waiter.in_interrupt)
    };
    let steps: Vec<(&TaskRef, &str, &str)> = cycle
        .tasks
        .iter()
        .zip(&locks)
        .map(|(task, lock)| {
            let waiter = lock.and_then(|lock| waiter_of(lock, task));
            let name = lock.map_or("a lock", |lock| lock.name.as_str());
            (task, waiter.map_or("waits for", chain::verb), name)
        })
        .collect();
    let sentence = match steps.as_slice() {
        [(task, _, name)] if in_interrupt() => format!(
            "Deadlock: an interrupt on the CPU of {} spins for {name}, which the task itself holds \
             and cannot release before the interrupt ends{behind}.",
            named(task)
        ),
        [(task, verb, name)] => {
            format!("Deadlock: {} {verb} {name}, which it holds itself{behind}.", named(task))
        }
        steps => {
            let first = steps.first().map_or(String::new(), |(task, ..)| named(task));
            let mut steps: Vec<String> = steps
                .iter()
                .zip(steps.iter().cycle().skip(1))
                .map(|((_, verb, name), (holder, ..))| {
                    format!("{verb} {name}, held by {}", named(holder))
                })
                .collect();
            if let (true, Some(last)) = (steps.len() > STEPS, steps.last().cloned()) {
                let more = steps.split_off(STEPS - 1).len() - 1;
                steps.push(format!("waits behind {more} more, the last of whom {last}"));
            }
            let tasks = cycle.tasks.len();
            format!("Deadlock of {tasks} tasks: {first} {}{behind}.", steps.join(", which "))
        }
    };
    Cause { blocks, sentence, known: true }
}

fn waiter_of<'a>(lock: &'a Lock, task: &TaskRef) -> Option<&'a Waiter> {
    lock.waiters.iter().find(|waiter| waiter.task.at == task.at)
}

fn held(holder: &Holder) -> String {
    let mode = match holder.mode {
        Mode::Read => " for reading",
        Mode::Write => " for writing",
        Mode::Excl | Mode::None => "",
    };
    let likely = if holder.confidence == Confidence::Likely { "likely " } else { "" };
    format!("{likely}held{mode} by")
}

/// A lock that root blockers hold: who waits for it, what they do, and who of those who wait for it
/// holds up the most in turn.
fn blocker(view: &View<'_>, lock: &Lock, roots: &[(&Root, &Holder)]) -> Cause {
    let blocks = roots.iter().map(|(root, _)| root.blocks).max().unwrap_or(lock.blocks);
    let mut held = roots.first().map_or(String::new(), |(_, holder)| held(holder));
    let mut who: Vec<String> = roots
        .iter()
        .take(SPELLED_OUT)
        .map(|(root, _)| format!("{}, which {}", named(&root.task), root.doing))
        .collect();
    if roots.len() > SPELLED_OUT {
        who.push(format!("{} more", roots.len() - SPELLED_OUT));
    }
    held = format!("{held} {}", who.join(", and by "));
    let mut sentence = match busiest(view, lock) {
        None => format!("{} {}, {held}", want(lock), lock.name),
        Some((waiter, next)) => format!(
            "{} behind {}, {held}: {} {} it and holds {}, for which {}",
            count(lock.blocks, "task waits", "tasks wait"),
            lock.name,
            named(&waiter.task),
            chain::verb(waiter),
            next.name,
            count(next.waiters.len(), "waits", "wait"),
        ),
    };
    if let [(root, _)] = roots {
        let also = view.held_by(root.task.at).filter(|(other, _)| other.at != lock.at);
        let also: Vec<String> = also
            .map(|(other, _)| {
                let waits = count(other.waiters.len(), "waits", "wait");
                format!("{}, for which {waits}", other.name)
            })
            .collect();
        if !also.is_empty() {
            sentence += &format!("; it also holds {}", listed(&also));
        }
    }
    sentence.push('.');
    let known = !roots.iter().any(|(root, _)| view.waiting.contains(&root.task.at));
    Cause { blocks, sentence, known }
}

/// The first few of these names, and how many more there are.
fn listed(names: &[String]) -> String {
    let mut few: Vec<String> = names.iter().take(SPELLED_OUT).cloned().collect();
    if names.len() > SPELLED_OUT {
        few.push(format!("{} more", names.len() - SPELLED_OUT));
    }
    few.join("; and ")
}

/// Of those who wait for a lock the one that holds up the most, and by which lock.
fn busiest<'a>(view: &View<'a>, lock: &'a Lock) -> Option<(&'a Waiter, &'a Lock)> {
    let held = lock
        .waiters
        .iter()
        .flat_map(|waiter| view.held_by(waiter.task.at).map(move |(next, _)| (waiter, next)));
    held.max_by_key(|(waiter, next)| (next.blocks, std::cmp::Reverse(waiter.task.pid)))
}

/// Whether it is known of nobody that he holds the lock.
fn has_no_known_holder(lock: &Lock) -> bool {
    !lock.holders.iter().any(|holder| holder.confidence != Confidence::Possible)
}

/// Locks without a known holder that several root blockers wait for, with these: one cause and
/// not as many as there are root blockers.
fn common_ends(graph: &LockGraph) -> Vec<(&Lock, Vec<&Root>)> {
    let unheld = graph.locks.iter().filter(|lock| !lock.is_idle() && has_no_known_holder(lock));
    let places: HashMap<_, usize> = graph.roots.iter().map(|root| root.task.at).zip(0..).collect();
    let ends = unheld.map(|lock| {
        let mut waiting: Vec<usize> =
            lock.waiters.iter().filter_map(|w| places.get(&w.task.at).copied()).collect();
        waiting.sort_unstable();
        waiting.dedup();
        (lock, waiting.into_iter().filter_map(|root| graph.roots.get(root)).collect::<Vec<_>>())
    });
    ends.filter(|(_, roots)| roots.len() > 1).collect()
}

fn common_end(view: &View<'_>, lock: &Lock, roots: &[&Root]) -> String {
    // Those who hold one lock together hold up the same tasks.
    let mut groups: Vec<(Option<VirtAddr>, usize, Vec<String>)> = Vec::new();
    for root in roots {
        let held = view.holds(root).map(|(lock, _)| lock.at);
        let name = named(&root.task);
        match groups.iter_mut().find(|(with, ..)| held.is_some() && *with == held) {
            Some((.., names)) => names.push(name),
            None => groups.push((held, root.blocks, vec![name])),
        }
    }
    let told = groups.iter().take(SPELLED_OUT).map(|(_, blocks, names)| {
        let more = names.len().saturating_sub(SPELLED_OUT);
        let mut names: Vec<String> = names.iter().take(SPELLED_OUT).cloned().collect();
        if more > 0 {
            names.push(format!("{more} more"));
        }
        format!("{blocks} behind {}", names.join(" and "))
    });
    let mut told: Vec<String> = told.collect();
    if groups.len() > SPELLED_OUT {
        told.push("the rest behind others".to_owned());
    }
    format!("{}: {}.", nobody(view, lock), told.join(", "))
}

/// Locks without a known holder whose waiters hold up nobody else: where those chains end is not
/// said by any root blocker.
fn unheld(graph: &LockGraph) -> impl Iterator<Item = &Lock> {
    let roots: HashSet<_> = graph.roots.iter().map(|root| root.task.at).collect();
    graph.locks.iter().filter(move |lock| {
        !lock.waiters.is_empty()
            && !lock.is_idle()
            && has_no_known_holder(lock)
            && !lock.waiters.iter().any(|waiter| roots.contains(&waiter.task.at))
    })
}

/// How many tasks wait for a lock itself: `2 tasks wait for`, `1 task spins for`.
fn want(lock: &Lock) -> String {
    let spins = lock.waiters.iter().all(|waiter| waiter.spinning);
    let (one, many) = match spins {
        true => ("task spins", "tasks spin"),
        false => ("task waits", "tasks wait"),
    };
    format!("{} for", count(lock.waiters.len(), one, many))
}

/// A lock that nobody is known to hold: why it does not go on, and who else waits behind those who
/// wait for it.
fn nobody(view: &View<'_>, lock: &Lock) -> String {
    let behind = match lock.blocks.saturating_sub(lock.waiters.len()) {
        0 => String::new(),
        n => format!("; behind those {}", count(n, "more task waits", "more tasks wait")),
    };
    let place = lock.place.as_ref().map_or_else(String::new, |place| format!(" ({place})"));
    // What is waited for is best told by who waits.
    let functions = lock.kind.is_condition().then(|| (view.waits_in)(lock)).flatten();
    let functions = functions.map_or_else(String::new, |names| format!(" in {names}"));
    format!("{} {}{place}{functions}, {}{behind}", want(lock), lock.name, not_held(lock))
}

fn not_held(lock: &Lock) -> String {
    if lock.kind.is_condition() {
        return nobody_brings_about(lock.kind).to_owned();
    }
    if lock.readers == Some(0) {
        return "which is free: the next in line has yet to take it".to_owned();
    }
    if lock.orphaned {
        return "which a task took that has exited without releasing it: nobody will".to_owned();
    }
    let mut maybe: Vec<String> =
        lock.holders.iter().take(STEPS).map(|holder| named(&holder.task)).collect();
    if lock.holders.len() > STEPS {
        maybe.push(format!("{} more", lock.holders.len() - STEPS));
    }
    match maybe.as_slice() {
        [] => "whose holder is not known".to_owned(),
        maybe => format!("whose holder is not known for sure: possibly {}", maybe.join(", ")),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::locks::{LockKind, Why};

    fn task(pid: u32) -> TaskRef {
        TaskRef { pid, at: VirtAddr(u64::from(pid)), comm: "t".into() }
    }

    /// A lock of which these tasks are holders for reading, and these wait.
    pub(in crate::locks) fn lock(
        name: &str,
        kind: LockKind,
        holders: &[u32],
        waiters: &[u32],
    ) -> Lock {
        let holder = |pid: &u32| Holder {
            task: task(*pid),
            mode: if kind == LockKind::Rwsem { Mode::Read } else { Mode::Excl },
            confidence: Confidence::Certain,
            why: Why::default(),
        };
        let waiter = |pid: &u32| Waiter {
            task: task(*pid),
            mode: Mode::Excl,
            position: None,
            spinning: kind == LockKind::Spinlock,
            in_interrupt: false,
            since: None,
            confidence: Confidence::Certain,
            why: Why::default(),
        };
        Lock {
            at: VirtAddr(name.bytes().fold(0, |sum, byte| sum * 256 + u64::from(byte))),
            kind,
            ty: kind.ty(),
            symbol: None,
            name: name.to_owned(),
            state: Vec::new(),
            words: String::new(),
            holders: holders.iter().map(holder).collect(),
            waiters: waiters.iter().map(waiter).collect(),
            readers: None,
            orphaned: false,
            place: None,
            undecided: None,
            doubts: Vec::new(),
            blocks: waiters.len(),
        }
    }

    fn told(mut locks: Vec<Lock>, doing: &str, asleep: usize) -> String {
        use super::super::graph::{Edges, count_blocked, cycles, roots};
        let edges = Edges::of(&locks);
        count_blocked(&mut locks, &edges);
        let cycles = cycles(&locks, &edges);
        let mut graph = LockGraph { locks, cycles, ..LockGraph::default() };
        let root = |(task, blocks)| Root { task, blocks, doing: doing.to_owned(), log: Vec::new() };
        graph.roots = roots(&graph, &edges).into_iter().map(root).collect();
        of(&graph, asleep, &Complaints::default(), &|_| None)
    }

    use LockKind::{Completion, Mutex, Rwsem, Spinlock};

    #[test]
    fn the_first_sentence_says_the_cause_and_a_convoy_is_no_deadlock() {
        assert_eq!(
            told(vec![lock("m", Mutex, &[1], &[2, 3])], "sleeps in msleep", 2),
            "No deadlock but a convoy: 2 tasks wait for m, held by t[1], which sleeps in msleep. In \
             all 2 tasks are in uninterruptible sleep."
        );
        assert_eq!(
            told(vec![lock("s", Spinlock, &[1], &[2])], "runs on CPU 1", 0),
            "No deadlock: 1 task spins for s, held by t[1], which runs on CPU 1."
        );
    }

    #[test]
    fn of_a_very_long_deadlock_only_the_ends_are_told() {
        let name = |n: u32| format!("m{n:02}");
        let next = |n: u32| if n == 30 { 1 } else { n + 1 };
        let locks = (1..=30).map(|n| lock(&name(n), Mutex, &[next(n)], &[n])).collect();
        let told = told(locks, "", 0);
        assert!(
            told.ends_with(
                "waits for m11, held by t[12], which waits behind 18 more, the last of whom waits \
                 for m30, held by t[1]. In all 30 tasks wait for 30 locks."
            ),
            "{told}"
        );
    }

    #[test]
    fn deadlocks_come_before_longer_queues() {
        let locks = vec![
            lock("q", Mutex, &[9], &[10, 11, 12, 13]),
            lock("a", Mutex, &[1], &[2, 3]),
            lock("b", Spinlock, &[2], &[1]),
            lock("self", Mutex, &[20], &[20, 21]),
        ];
        assert_eq!(
            told(locks, "sleeps", 5),
            "Deadlock of 2 tasks: t[1] spins for b, held by t[2], which waits for a, held by t[1]; \
             behind them 1 more task waits. Deadlock: t[20] waits for self, which it holds itself; \
             behind it 1 more task waits. Besides: 4 tasks wait for q, held by \
             t[9], which sleeps. In all 9 tasks wait for 4 locks; 5 tasks are in uninterruptible \
             sleep."
        );
    }

    #[test]
    fn readers_of_one_lock_are_one_cause_and_who_hands_the_wait_on_is_named() {
        assert_eq!(
            told(vec![lock("rw", Rwsem, &[1, 2], &[3, 4])], "sleeps", 0),
            "No deadlock but a convoy: 2 tasks wait for rw, held for reading by t[1], which sleeps, \
             and by t[2], which sleeps."
        );
        let locks = vec![lock("s", Spinlock, &[1], &[2]), lock("mm", Rwsem, &[2], &[3, 4])];
        assert_eq!(
            told(locks, "runs", 0),
            "No deadlock but a convoy: 3 tasks wait behind s, held by t[1], which runs: t[2] spins \
             for it and holds mm, for which 2 wait. In all 3 tasks wait for 2 locks."
        );
    }

    #[test]
    fn what_nobody_holds_says_why_it_does_not_go_on() {
        assert_eq!(
            told(vec![lock("never", Completion, &[], &[2])], "", 0),
            "No deadlock found: 1 task waits for never, which nobody has completed."
        );
        let mut orphan = lock("m", Mutex, &[], &[2]);
        orphan.orphaned = true;
        assert_eq!(
            told(vec![orphan], "", 0),
            "No deadlock found: 1 task waits for m, which a task took that has exited without releasing \
             it: nobody will."
        );
        let mut free = lock("s", Spinlock, &[], &[2]);
        free.readers = Some(0);
        assert_eq!(
            told(vec![free], "", 0),
            "No deadlock found: 1 task spins for s, which is free: the next in line has yet to take it."
        );
    }

    #[test]
    fn an_interrupt_that_spins_for_its_own_tasks_lock_is_told_as_such() {
        let mut own = lock("s", Spinlock, &[1], &[1]);
        own.waiters[0].in_interrupt = true;
        assert_eq!(
            told(vec![own], "", 0),
            "Deadlock: an interrupt on the CPU of t[1] spins for s, which the task itself holds and \
             cannot release before the interrupt ends."
        );
    }

    #[test]
    fn how_a_lock_is_held_how_sure_that_is_and_what_else_its_holder_holds_is_said() {
        let mut rw = lock("rw", Rwsem, &[1], &[2]);
        rw.holders[0].mode = Mode::Write;
        rw.holders[0].confidence = Confidence::Likely;
        assert_eq!(
            told(vec![rw], "sleeps", 0),
            "No deadlock: 1 task waits for rw, likely held for writing by t[1], which sleeps."
        );
        let locks = vec![lock("a", Mutex, &[1], &[2, 3]), lock("b", Mutex, &[1], &[4])];
        let told = told(locks, "sleeps", 0);
        assert!(
            told.contains("held by t[1], which sleeps; it also holds b, for which 1 waits. In all"),
            "{told}"
        );
    }

    #[test]
    fn a_holder_that_is_not_known_for_sure_is_no_convoy() {
        assert_eq!(
            told(vec![lock("m", Mutex, &[], &[2, 3])], "", 0),
            "No deadlock found: 2 tasks wait for m, whose holder is not known."
        );
        let mut maybe = lock("m", Rwsem, &[1, 4], &[2, 3]);
        maybe.holders.iter_mut().for_each(|it| it.confidence = Confidence::Possible);
        assert_eq!(
            told(vec![maybe], "", 0),
            "No deadlock found: 2 tasks wait for m, whose holder is not known for sure: possibly t[1], t[4]."
        );
    }

    #[test]
    fn what_several_root_blockers_wait_for_is_one_cause() {
        let locks = vec![
            lock("never", Completion, &[], &[1, 2]),
            lock("a", Mutex, &[1], &[3, 4]),
            lock("b", Mutex, &[2], &[5]),
        ];
        assert_eq!(
            told(locks, "waits", 0),
            "No deadlock found: 2 tasks wait for never, which nobody has completed; behind those 3 \
             more tasks wait: 2 behind t[1], 1 behind t[2]. In all 5 tasks wait for 3 locks."
        );
        // Who holds one lock together is told together.
        let locks =
            vec![lock("s", Spinlock, &[], &[1, 2, 6]), lock("mm", Rwsem, &[1, 2], &[3, 4, 5])];
        assert_eq!(
            told(locks, "spins", 0),
            "No deadlock found: 3 tasks spin for s, whose holder is not known; behind those 3 more \
             tasks wait: 3 behind t[1] and t[2]. In all 6 tasks wait for 2 locks."
        );
    }

    #[test]
    fn who_waits_for_a_condition_is_told_by_where_it_waits_and_apart_from_who_waits_behind() {
        let mut locks = vec![lock("never", Completion, &[], &[1]), lock("a", Mutex, &[1], &[3])];
        locks[0].place = Some("in an object of kmalloc-64".to_owned());
        // Where one of those behind it holds nothing of its own, there is no root blocker.
        locks[1].holders[0].confidence = Confidence::Possible;
        locks[0].blocks = 2;
        let graph = LockGraph { locks, ..LockGraph::default() };
        let told = of(&graph, 0, &Complaints::default(), &|_| Some("f ← g".to_owned()));
        assert!(
            told.starts_with(
                "No deadlock found: 1 task waits for never (in an object of kmalloc-64) in f ← g, \
                 which nobody has completed; behind those 1 more task waits."
            ),
            "{told}"
        );
    }

    #[test]
    fn a_futex_that_nobody_is_known_to_own_is_no_cause() {
        let idle = lock("futex", LockKind::Futex, &[], &[2, 3]);
        assert_eq!(
            told(vec![idle], "", 0),
            "No task waits for a lock, and none is in uninterruptible sleep."
        );
    }

    #[test]
    fn of_very_many_who_may_hold_it_a_dozen_is_named() {
        let all: Vec<u32> = (1..=15).collect();
        let mut maybe = lock("m", Rwsem, &all, &[20]);
        maybe.holders.iter_mut().for_each(|it| it.confidence = Confidence::Possible);
        let told = told(vec![maybe], "", 0);
        assert!(told.ends_with("possibly t[1], t[2], t[3], t[4], t[5], t[6], t[7], t[8], t[9], t[10], t[11], t[12], 3 more."), "{told}");
    }
}
