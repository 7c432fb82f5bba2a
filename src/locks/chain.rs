//! The chain behind a task that the kernel's own watchdog complained about: what it waits for, who
//! has that, what they wait for in turn, up to where nothing more is known.

use super::complaints::Complaints;
use super::{Confidence, Lock, LockGraph, LockKind, Mode, StateValue, Waiter};
use crate::dump::VirtAddr;
use foldhash::HashMap;

/// Longer chains than this are no sentence any more.
const MAX_STEPS: usize = 6;

/// The chain in one sentence, where it has two locks at least: a shorter one is told by its cause,
/// and a deadlock comes before everything
/// else. Of several the longest. `cpu_of` gives the CPU that a
/// task is on.
pub(super) fn told(
    graph: &LockGraph,
    complaints: &Complaints,
    cpu_of: impl Fn(VirtAddr) -> Option<u32>,
) -> Option<String> {
    if !graph.cycles.is_empty() {
        return None;
    }
    let mut best: Option<(usize, String)> = None;
    let claim = |(task, (lock, waiter))| {
        let lock: &Lock = graph.locks.get(lock)?;
        Some((task, (lock, lock.waiters.get(waiter)?)))
    };
    let waits: HashMap<VirtAddr, (&Lock, &Waiter)> =
        graph.waits().into_iter().filter_map(claim).collect();
    let mut hung: Vec<&Waiter> = waits.values().map(|(_, waiter)| *waiter).collect();
    let complained: Vec<u32> = complaints.tasks().collect();
    hung.retain(|waiter| complained.contains(&waiter.task.pid));
    hung.sort_by_key(|waiter| (waiter.task.pid, waiter.task.at));
    for waiter in hung {
        let Some((steps, sentence)) = from(&waits, waiter.task.at, &cpu_of) else { continue };
        if steps > 1 && best.as_ref().is_none_or(|(most, _)| steps > *most) {
            best = Some((steps, sentence));
        }
    }
    best.map(|(_, sentence)| sentence)
}

/// The chain from a task on, and how many locks are in it.
fn from(
    waits: &HashMap<VirtAddr, (&Lock, &Waiter)>,
    task: VirtAddr,
    cpu_of: impl Fn(VirtAddr) -> Option<u32>,
) -> Option<(usize, String)> {
    let mut next = waits.get(&task).copied();
    let (_, first) = next?;
    let mut sentence = format!("{}[{}]", first.task.comm, first.task.pid);
    let mut met = Vec::new();
    while let Some((lock, waiter)) = next {
        if met.contains(&lock.at) || met.len() >= MAX_STEPS {
            return None;
        }
        met.push(lock.at);
        sentence += &format!(" {} {}{}", verb(waiter), lock.name, place(lock, waiter));
        let holder = lock.holders.iter().find(|holder| holder.confidence != Confidence::Possible);
        let Some(holder) = holder else {
            if lock.kind.is_condition() {
                sentence += &format!(", {}", nobody_brings_about(lock.kind));
                break;
            }
            sentence += ", whose holder is not known";
            let names = lock.holders.iter().map(|it| format!("{}[{}]", it.task.comm, it.task.pid));
            let names = names.collect::<Vec<_>>().join(", ");
            if !names.is_empty() {
                sentence += &format!(" for sure: possibly {names}");
            }
            break;
        };
        let mode = match holder.mode {
            Mode::Read => " for reading",
            Mode::Write => " for writing",
            Mode::Excl | Mode::None => "",
        };
        let likely = if holder.confidence == Confidence::Likely { "likely " } else { "" };
        let cpu = cpu_of(holder.task.at).map_or_else(String::new, |cpu| format!(" on CPU {cpu}"));
        let (comm, pid) = (&holder.task.comm, holder.task.pid);
        sentence += &format!(", {likely}held{mode} by {comm}[{pid}]{cpu}");
        next = waits.get(&holder.task.at).copied();
        if next.is_some() {
            sentence += ", which";
        }
    }
    Some((met.len(), format!("{sentence}.")))
}

/// What a condition lacks that tasks wait for.
pub(super) fn nobody_brings_about(kind: LockKind) -> &'static str {
    match kind {
        LockKind::Completion => "which nobody has completed",
        _ => "which nobody has woken up",
    }
}

/// What a task does about a lock that it has not.
pub(super) fn verb(waiter: &Waiter) -> &'static str {
    match (waiter.spinning, waiter.mode) {
        (true, _) => "spins for",
        (false, Mode::Write) => "waits to write for",
        (false, Mode::Read) => "waits to read for",
        (false, Mode::Excl | Mode::None) => "waits for",
    }
}

/// Its place in the queue: of a ticket lock among the tickets, the first of which is the holder's.
pub(super) fn place(lock: &Lock, waiter: &Waiter) -> String {
    let Some(position) = waiter.position else { return String::new() };
    let tickets = lock.state.iter().find_map(|(name, value)| match value {
        StateValue::Number(out) if *name == "tickets_out" => Some(*out),
        _ => None,
    });
    match tickets {
        Some(out) => {
            let (ours, all) = (i64::from(position).saturating_add(1), in_words(out));
            format!(", {} of {all} tickets", ordinal(ours))
        }
        None if lock.waiters.len() == 1 => String::new(),
        None => format!(", {} of {} in line", ordinal(position.into()), lock.waiters.len()),
    }
}

const NUMBERS: [(&str, &str); 10] = [
    ("one", "first"),
    ("two", "second"),
    ("three", "third"),
    ("four", "fourth"),
    ("five", "fifth"),
    ("six", "sixth"),
    ("seven", "seventh"),
    ("eight", "eighth"),
    ("nine", "ninth"),
    ("ten", "tenth"),
];

fn named(n: i64) -> Option<&'static (&'static str, &'static str)> {
    NUMBERS.get(usize::try_from(n.checked_sub(1)?).ok()?)
}

fn in_words(n: i64) -> String {
    named(n).map_or_else(|| n.to_string(), |(number, _)| (*number).to_owned())
}

fn ordinal(n: i64) -> String {
    named(n).map_or_else(|| format!("number {n}"), |(_, place)| (*place).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_numbers_are_words() {
        assert_eq!((ordinal(3), in_words(8)), ("third".to_owned(), "eight".to_owned()));
        assert_eq!((ordinal(11), in_words(11)), ("number 11".to_owned(), "11".to_owned()));
        assert_eq!(ordinal(0), "number 0");
    }

    use crate::locks::Cycle;
    use crate::locks::verdict::tests::lock;

    /// The chain behind task 3, which the log says hung; task 1 is on CPU 5.
    fn of(locks: Vec<Lock>, cycles: Vec<Cycle>) -> Option<String> {
        let hung = ["INFO: task t:3 blocked for more than 120 seconds."];
        let graph = LockGraph { locks, cycles, ..LockGraph::default() };
        told(&graph, &Complaints::of(hung.into_iter()), |at| (at.0 == 1).then_some(5))
    }

    fn two() -> Vec<Lock> {
        vec![lock("a", LockKind::Mutex, &[1], &[2]), lock("b", LockKind::Mutex, &[2], &[3])]
    }

    #[test]
    fn the_chain_behind_a_hung_task_is_told_to_its_end() {
        let told = of(two(), Vec::new());
        assert_eq!(
            told.unwrap(),
            "t[3] waits for b, held by t[2], which waits for a, held by t[1] on CPU 5."
        );
        let mut locks = two();
        locks[0].kind = LockKind::Completion;
        locks[0].holders.clear();
        locks[1].waiters[0].mode = Mode::Write;
        assert_eq!(
            of(locks, Vec::new()).unwrap(),
            "t[3] waits to write for b, held by t[2], which waits for a, which nobody has completed."
        );
        let mut locks = two();
        locks[0].holders[0].confidence = Confidence::Possible;
        assert!(
            of(locks, Vec::new())
                .unwrap()
                .ends_with("which waits for a, whose holder is not known for sure: possibly t[1].")
        );
    }

    #[test]
    fn one_lock_is_no_chain_and_neither_is_a_ring_or_one_beside_a_deadlock() {
        assert_eq!(of(vec![lock("a", LockKind::Mutex, &[1], &[3])], Vec::new()), None);
        assert_eq!(of(two(), vec![Cycle { tasks: Vec::new(), locks: Vec::new() }]), None);
        let mut ring = two();
        ring.push(lock("c", LockKind::Mutex, &[3], &[1]));
        assert_eq!(of(ring, Vec::new()), None);
    }

    #[test]
    fn of_tickets_the_first_is_the_holders() {
        let mut tickets = lock("s", LockKind::Spinlock, &[], &[3, 4]);
        tickets.waiters[0].position = Some(2);
        assert_eq!(place(&tickets, &tickets.waiters[0]), ", second of 2 in line");
        tickets.state = vec![("tickets_out", StateValue::Number(8))];
        assert_eq!(place(&tickets, &tickets.waiters[0]), ", third of eight tickets");
    }

    #[test]
    fn a_chain_of_seven_locks_is_no_sentence_any_more() {
        let chain = |locks: u32| {
            let name = |n: u32| format!("m{n}");
            let one = |n: u32| lock(&name(n), LockKind::Mutex, &[3 + n + 1], &[3 + n]);
            of((0..locks).map(one).collect(), Vec::new())
        };
        assert!(chain(6).unwrap().ends_with("m5, held by t[9]."));
        assert_eq!(chain(7), None);
    }
}
