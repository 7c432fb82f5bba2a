//! The state of a lock as a sentence: who has it, who queues for it, what its flags say.

use crate::locks::{Confidence, Lock, Mode, StateValue, Waiter};
use std::fmt::Write;

/// Flags that the words of a lock's state tell already.
const TOLD: &[&str] =
    &["writer", "waiters", "waiting", "locked", "reader_owned", "pickup", "writeback"];

/// Holders named before the rest are counted.
const NAMED: usize = 3;

/// `held by 1 reader (java[140]); 3 waiting: 1 writer, 2 readers, first a writer; handoff set`.
#[must_use]
pub fn lock_state(lock: &Lock) -> String {
    // The words end with the number of those who wait, which is told in more detail here.
    let told = lock.words.rsplit_once(", ").filter(|(_, last)| {
        last.split_once(' ').is_some_and(|(count, what)| {
            count.parse::<usize>().is_ok() && matches!(what, "waiting" | "spinning")
        })
    });
    let mut words = match told {
        Some((held, _)) => held.to_owned(),
        None if lock.words == waiting(&lock.waiters) => String::new(),
        None => lock.words.clone(),
    };
    let sure = lock.holders.iter().filter(|holder| holder.confidence != Confidence::Possible);
    let names: Vec<String> = sure
        .map(|holder| {
            let likely = if holder.confidence == Confidence::Likely { ", likely" } else { "" };
            holder.task.label() + likely
        })
        .collect();
    if let [first, ..] = names.as_slice() {
        let more = names.len().saturating_sub(NAMED);
        let shown = if names.len() == 1 { first.clone() } else { shortened(&names, more) };
        words = if words.is_empty() {
            format!("held by {shown}")
        } else {
            format!("{words} ({shown})")
        };
    }
    let mut parts: Vec<String> = Vec::new();
    parts.extend((!words.is_empty()).then_some(words));
    parts.push(match lock.waiters.len() {
        0 => "nobody waits".to_owned(),
        _ => queue(&lock.waiters),
    });
    for (field, value) in &lock.state {
        match value {
            StateValue::Flag(true) if !TOLD.contains(field) => parts.push(format!("{field} set")),
            StateValue::Number(cpu) if *field == "tail_cpu" => {
                parts.push(format!("the last in its queue is on CPU {cpu}"));
            }
            _ => {}
        }
    }
    if lock.orphaned {
        parts.push("the task that held it has exited".to_owned());
    }
    if lock.blocks > lock.waiters.len() {
        parts.push(format!("{} blocked in all", lock.blocks));
    }
    parts.join("; ")
}

fn shortened(names: &[String], more: usize) -> String {
    let shown = names.iter().take(NAMED).cloned().collect::<Vec<_>>().join("; ");
    if more > 0 { format!("{shown}; {more} more") } else { shown }
}

fn waiting(waiters: &[Waiter]) -> String {
    format!("{} waiting", waiters.len())
}

/// `3 waiting: 1 writer, 2 readers, first a writer`.
fn queue(waiters: &[Waiter]) -> String {
    let spinning = waiters.iter().filter(|waiter| waiter.spinning).count();
    let mut text = match spinning {
        0 => waiting(waiters),
        all if all == waiters.len() => format!("{all} spinning"),
        some => format!("{}, {some} of them spinning", waiting(waiters)),
    };
    let modes = modes(waiters.iter().map(|waiter| waiter.mode));
    if let Some(modes) = modes {
        _ = write!(text, ": {modes}");
        let first = waiters.iter().find(|waiter| waiter.position == Some(1));
        match first.map(|first| first.mode) {
            Some(Mode::Read) if waiters.len() > 1 => text.push_str(", first a reader"),
            Some(Mode::Write) if waiters.len() > 1 => text.push_str(", first a writer"),
            _ => {}
        }
    }
    text
}

/// `1 writer, 2 readers`; `None` where the lock knows no such difference.
fn modes(modes: impl Iterator<Item = Mode>) -> Option<String> {
    let (mut readers, mut writers) = (0_usize, 0_usize);
    for mode in modes {
        readers += usize::from(mode == Mode::Read);
        writers += usize::from(mode == Mode::Write);
    }
    let count = |n: usize, one: &str| match n {
        0 => None,
        1 => Some(format!("1 {one}")),
        n => Some(format!("{n} {one}s")),
    };
    let words: Vec<String> =
        [count(writers, "writer"), count(readers, "reader")].into_iter().flatten().collect();
    (!words.is_empty()).then(|| words.join(", "))
}

/// `37 more readers like these`: what stands for so many of those who wait or hold alike.
#[must_use]
pub fn more_like_these(modes: impl Iterator<Item = Mode> + Clone) -> String {
    let count = modes.clone().count();
    let words = self::modes(modes).unwrap_or_else(|| format!("{count} waiting"));
    match words.split_once(' ') {
        Some((count, kind)) if !kind.contains(' ') => format!("{count} more {kind} like these"),
        _ => format!("{count} more like these: {words}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dump::VirtAddr;
    use crate::locks::{Holder, LockKind, TaskRef, Why};

    fn task(pid: u32) -> TaskRef {
        TaskRef { pid, at: VirtAddr(u64::from(pid)), comm: "java".into() }
    }

    fn waiter(mode: Mode, position: u32, spinning: bool) -> Waiter {
        Waiter {
            task: task(position),
            mode,
            position: Some(position),
            spinning,
            in_interrupt: false,
            since: None,
            confidence: Confidence::Certain,
            why: Why::default(),
        }
    }

    fn lock(kind: LockKind, words: &str, waiters: Vec<Waiter>) -> Lock {
        Lock {
            at: VirtAddr(0x1000),
            kind,
            ty: kind.ty(),
            symbol: None,
            name: "it".to_owned(),
            state: Vec::new(),
            words: words.to_owned(),
            holders: Vec::new(),
            blocks: waiters.len(),
            waiters,
            readers: None,
            orphaned: false,
            place: None,
            undecided: None,
            doubts: Vec::new(),
        }
    }

    #[test]
    fn a_rwsem_tells_its_readers_its_queue_and_its_handoff() {
        let queue = vec![waiter(Mode::Write, 1, false), waiter(Mode::Read, 2, false)];
        let mut lock = lock(LockKind::Rwsem, "held by 1 reader, 2 waiting", queue);
        lock.state = vec![
            ("waiters", StateValue::Flag(true)),
            ("handoff", StateValue::Flag(true)),
            ("writer", StateValue::Flag(false)),
        ];
        lock.holders = vec![Holder {
            task: task(140),
            mode: Mode::Read,
            confidence: Confidence::Likely,
            why: Why::default(),
        }];
        lock.blocks = 5;
        assert_eq!(
            lock_state(&lock),
            "held by 1 reader (java[140], likely); 2 waiting: 1 writer, 1 reader, first a writer; \
             handoff set; 5 blocked in all"
        );
    }

    #[test]
    fn a_spinlock_tells_who_spins_and_the_end_of_its_queue() {
        let queue = vec![waiter(Mode::Excl, 1, true), waiter(Mode::Excl, 2, true)];
        let mut lock = lock(LockKind::Spinlock, "locked, 2 spinning", queue);
        lock.state = vec![("pending", StateValue::Flag(true)), ("tail_cpu", StateValue::Number(3))];
        assert_eq!(
            lock_state(&lock),
            "locked; 2 spinning; pending set; the last in its queue is on CPU 3"
        );
    }

    #[test]
    fn those_who_are_alike_are_told_in_one_line() {
        let words = |modes: &[Mode]| more_like_these(modes.iter().copied());
        assert_eq!(words(&[Mode::Read; 37]), "37 more readers like these");
        assert_eq!(words(&[Mode::Write]), "1 more writer like these");
        assert_eq!(
            words(&[Mode::Write, Mode::Read, Mode::Read]),
            "3 more like these: 1 writer, 2 readers"
        );
        assert_eq!(words(&[Mode::Excl, Mode::Excl]), "2 more waiting like these");
    }

    #[test]
    fn a_lock_without_words_of_its_own_tells_its_queue() {
        let futex = lock(LockKind::Futex, "1 waiting", vec![waiter(Mode::Excl, 1, false)]);
        assert_eq!(lock_state(&futex), "1 waiting");
        let mut gone = lock(LockKind::Mutex, "owned, 0 waiting", Vec::new());
        gone.orphaned = true;
        assert_eq!(lock_state(&gone), "owned; nobody waits; the task that held it has exited");
    }
}
