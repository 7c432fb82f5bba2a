//! The verdict: one paragraph that a person can paste into a ticket.
//!
//! It names causes, most blocked tasks first: deadlocks, root blockers, and locks whose holder is
//! not known. What stands behind each is in the graph.

use super::complaints::Complaints;
use super::{Confidence, Cycle, Lock, LockGraph, Mode, Root, TaskRef};
use std::collections::HashSet;

/// At most this many causes are spelled out.
const SPELLED_OUT: usize = 4;

/// The whole graph in a few sentences. `asleep` is the number of tasks in uninterruptible sleep.
pub(super) fn of(graph: &LockGraph, asleep: usize, complaints: &Complaints) -> String {
    let said = complaints.in_words();
    let found = causes(graph, asleep);
    if said.is_empty() { found } else { format!("{found} {said}") }
}

fn causes(graph: &LockGraph, asleep: usize) -> String {
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
    let deadlocks = match graph.cycles.len() {
        0 => String::new(),
        n => format!("{}: ", count(n, "deadlock", "deadlocks")),
    };
    let mut sentences = vec![format!(
        "{deadlocks}{} for {}; {} in uninterruptible sleep.",
        count(blocked.len(), "task waits", "tasks wait"),
        count(busy(graph).count(), "lock", "locks"),
        count(asleep, "task is", "tasks are"),
    )];
    if graph.cycles.is_empty() && !graph.roots.is_empty() {
        sentences.push(
            "No deadlock among the known holders: those who wait queue behind tasks that run, or \
             that wait for something else."
                .to_owned(),
        );
    }
    let mut causes: Vec<(usize, String)> = Vec::new();
    causes.extend(graph.cycles.iter().map(|cycle| deadlock(graph, cycle)));
    let ends = common_ends(graph);
    let behind: HashSet<_> = ends.iter().flat_map(|(_, roots)| roots).map(|r| r.task.at).collect();
    let roots = graph.roots.iter().filter(|root| !behind.contains(&root.task.at));
    causes.extend(roots.map(|root| (root.blocks, blocker(graph, root))));
    causes.extend(ends.iter().map(|(lock, roots)| (lock.blocks, common_end(lock, roots))));
    causes.extend(unheld(graph).map(|lock| (lock.blocks, nobody(lock))));
    causes.sort_by_key(|(blocks, _)| std::cmp::Reverse(*blocks));
    let more = causes.len().saturating_sub(SPELLED_OUT);
    sentences.extend(causes.into_iter().take(SPELLED_OUT).map(|(_, sentence)| sentence));
    if more > 0 {
        sentences.push(format!("{} more in the lock graph.", count(more, "cause", "causes")));
    }
    sentences.join(" ")
}

/// The locks that somebody waits for, but futexes that may be idle.
fn busy(graph: &LockGraph) -> impl Iterator<Item = &Lock> {
    graph.locks.iter().filter(|lock| !lock.waiters.is_empty() && !lock.is_idle())
}

fn count(n: usize, one: &str, many: &str) -> String {
    format!("{n} {}", if n == 1 { one } else { many })
}

fn lock_at(graph: &LockGraph, at: crate::dump::VirtAddr) -> Option<&Lock> {
    graph.locks.iter().find(|lock| lock.at == at)
}

/// A deadlock, and how many tasks it stops: those in it and those behind.
fn deadlock(graph: &LockGraph, cycle: &Cycle) -> (usize, String) {
    let blocks = cycle
        .locks
        .iter()
        .filter_map(|at| lock_at(graph, *at))
        .map(|lock| lock.blocks)
        .max()
        .unwrap_or(0);
    let behind = blocks.saturating_sub(cycle.tasks.len());
    let behind = match behind {
        0 => String::new(),
        n => format!(", with {} behind it", count(n, "task", "tasks")),
    };
    let names: Vec<&str> = cycle
        .locks
        .iter()
        .map(|at| lock_at(graph, *at).map_or("a lock", |lock| lock.name.as_str()))
        .collect();
    let sentence = match (cycle.tasks.as_slice(), names.as_slice()) {
        ([task], [name]) if in_interrupt(graph, task) => format!(
            "Deadlock{behind}: an interrupt on the CPU of {}[{}] spins for {name}, which the task \
             itself holds and cannot release before the interrupt ends.",
            task.comm, task.pid
        ),
        ([task], [name]) => format!(
            "Deadlock{behind}: {}[{}] waits for {name}, which it holds itself.",
            task.comm, task.pid
        ),
        (tasks, names) => {
            let steps: Vec<String> = tasks
                .iter()
                .zip(names)
                .zip(tasks.iter().cycle().skip(1))
                .map(|((_, name), holder)| {
                    format!("waits for {name} held by {}[{}]", holder.comm, holder.pid)
                })
                .collect();
            let first =
                tasks.first().map_or(String::new(), |task| format!("{}[{}]", task.comm, task.pid));
            format!(
                "Deadlock of {}{behind}: {first} {}.",
                count(tasks.len(), "task", "tasks"),
                steps.join(", which ")
            )
        }
    };
    (blocks, sentence)
}

/// Whether what waits is not the task itself but an interrupt on its CPU.
fn in_interrupt(graph: &LockGraph, task: &TaskRef) -> bool {
    let waiters = graph.locks.iter().flat_map(|lock| &lock.waiters);
    waiters.into_iter().any(|waiter| waiter.task.at == task.at && waiter.in_interrupt)
}

/// A root blocker, by the lock that it holds up most with.
fn blocker(graph: &LockGraph, root: &Root) -> String {
    let held = graph
        .locks
        .iter()
        .filter_map(|lock| {
            let holder = lock.holders.iter().find(|holder| holder.task.at == root.task.at)?;
            (holder.confidence != Confidence::Possible).then_some((lock, holder))
        })
        .max_by_key(|(lock, _)| lock.blocks);
    let Some((lock, holder)) = held else {
        return format!("{}[{}] {}.", root.task.comm, root.task.pid, root.doing);
    };
    let mode = match holder.mode {
        Mode::Read => " for reading",
        Mode::Write => " for writing",
        Mode::Excl | Mode::None => "",
    };
    let likely = if holder.confidence == Confidence::Likely { ", likely" } else { "" };
    format!(
        "{} for {} held{mode}{likely} by {}[{}], which {}.",
        count(root.blocks, "task waits", "tasks wait"),
        lock.name,
        root.task.comm,
        root.task.pid,
        root.doing
    )
}

/// Whether it is known of nobody that he holds the lock.
fn has_no_known_holder(lock: &Lock) -> bool {
    !lock.holders.iter().any(|holder| holder.confidence != Confidence::Possible)
}

/// Locks without a known holder that several root blockers wait for, with these: one cause and
/// not as many as there are root blockers.
fn common_ends(graph: &LockGraph) -> Vec<(&Lock, Vec<&Root>)> {
    let unheld = graph.locks.iter().filter(|lock| !lock.is_idle() && has_no_known_holder(lock));
    let ends = unheld.map(|lock| {
        let waits = |root: &&Root| lock.waiters.iter().any(|w| w.task.at == root.task.at);
        (lock, graph.roots.iter().filter(waits).collect::<Vec<_>>())
    });
    ends.filter(|(_, roots)| roots.len() > 1).collect()
}

fn common_end(lock: &Lock, roots: &[&Root]) -> String {
    let named = roots.iter().take(SPELLED_OUT).map(|root| {
        let tasks = count(root.blocks, "task", "tasks");
        format!("{}[{}] holds up {tasks}", root.task.comm, root.task.pid)
    });
    let mut named: Vec<String> = named.collect();
    let more = roots.len().saturating_sub(SPELLED_OUT);
    if more > 0 {
        named.push(format!("{more} more"));
    }
    format!("{} Among those: {}.", nobody(lock), named.join(", "))
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

fn nobody(lock: &Lock) -> String {
    let waits = count(lock.blocks, "task waits", "tasks wait");
    if lock.kind.is_condition() {
        return format!("{waits} for {}, {}.", lock.name, lock.words);
    }
    if lock.orphaned {
        return format!(
            "{waits} for {}, which a task took that has exited without releasing it.",
            lock.name
        );
    }
    let maybe: Vec<String> = lock
        .holders
        .iter()
        .map(|holder| format!("{}[{}]", holder.task.comm, holder.task.pid))
        .collect();
    match maybe.as_slice() {
        [] => format!("{waits} for {}, whose holder is not known.", lock.name),
        maybe => format!(
            "{waits} for {}, whose holder is not known for sure: possibly {}.",
            lock.name,
            maybe.join(", ")
        ),
    }
}
