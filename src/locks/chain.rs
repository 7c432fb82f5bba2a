//! The chain behind a task that the kernel's own watchdog complained about: what it waits for, who
//! has that, what they wait for in turn, up to where nothing more is known.

use super::complaints::Complaints;
use super::{Confidence, Lock, LockGraph, Mode, StateValue, Waiter};
use crate::dump::VirtAddr;
use std::collections::HashSet;

/// Longer chains than this are no sentence any more.
const MAX_STEPS: usize = 6;

/// The chain in one sentence, where it has two locks at least: a shorter one is told by its cause.
/// `cpu_of` gives the CPU that a task is on.
pub(super) fn told(
    graph: &LockGraph,
    complaints: &Complaints,
    cpu_of: impl Fn(VirtAddr) -> Option<u32>,
) -> Option<String> {
    let waiters =
        || graph.locks.iter().flat_map(|lock| lock.waiters.iter().map(move |w| (lock, w)));
    let first =
        complaints.tasks().find_map(|pid| waiters().find(|(_, waiter)| waiter.task.pid == pid))?;
    let mut sentence = format!("{}[{}]", first.1.task.comm, first.1.task.pid);
    let mut met = HashSet::new();
    let mut next = Some(first);
    let mut steps = 0;
    while let Some((lock, waiter)) = next.filter(|(lock, _)| met.insert(lock.at)) {
        if steps >= MAX_STEPS {
            break;
        }
        steps += 1;
        sentence += &format!(" {} {}{}", verb(waiter), lock.name, place(lock, waiter));
        let holder = lock.holders.iter().find(|holder| holder.confidence != Confidence::Possible);
        let Some(holder) = holder else {
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
        let likely = if holder.confidence == Confidence::Likely { ", likely" } else { "" };
        let cpu = cpu_of(holder.task.at).map_or_else(String::new, |cpu| format!(" on CPU {cpu}"));
        let (comm, pid) = (&holder.task.comm, holder.task.pid);
        sentence += &format!(", held{mode}{likely} by {comm}[{pid}]{cpu}");
        next = waiters().find(|(_, waiter)| waiter.task.at == holder.task.at);
        if next.is_some() {
            sentence += ", which";
        }
    }
    (steps > 1).then(|| format!("{sentence}."))
}

fn verb(waiter: &Waiter) -> &'static str {
    match (waiter.spinning, waiter.mode) {
        (true, _) => "spins for",
        (false, Mode::Write) => "waits to write for",
        (false, Mode::Read) => "waits to read for",
        (false, Mode::Excl | Mode::None) => "waits for",
    }
}

/// Its place in the queue: of a ticket lock among the tickets, the first of which is the holder's.
fn place(lock: &Lock, waiter: &Waiter) -> String {
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
}
