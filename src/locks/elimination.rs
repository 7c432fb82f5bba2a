//! Who holds a spinlock, when no stack shows it: the CPUs that cannot are struck out.
//!
//! Whoever holds a spinlock runs: taking one disables preemption, so the holder is the current
//! task of some CPU (or an interrupt on it). A CPU that is in user mode, or whose count of disabled
//! preemptions is used up by being idle, by the lock that it spins for itself and by other locks that
//! its code shows it to hold (those of an interrupt's handler, say), holds none.
//! Whether this kernel counts preemptions at all is seen from those who spin: each of them must
//! have counted at least its own lock. One CPU left: likely the holder. Several: each possible.
//! Not so on PREEMPT_RT, where `spinlock_t` sleeps and records its owner.

use super::evidence::Held;
use super::scene::Scene;
use super::{Confidence, Holder, Lock, LockKind, Mode, Spot, Why};
use crate::dump::VirtAddr;
use crate::kernel::Task;
use crate::unwind::{FrameKind, Trace};
use std::collections::{BTreeMap, HashSet};

/// `PREEMPT_MASK`: how many times preemption is disabled; above it are interrupts.
const PREEMPT_MASK: u32 = 0xff;

/// Adds the holders of a spinlock or rwlock that elimination leaves.
pub(super) fn add(scene: &Scene<'_>, lock: &mut Lock, spinning: &HashSet<VirtAddr>, held: &[Held]) {
    if !matches!(lock.kind, LockKind::Spinlock | LockKind::Rwlock)
        || lock.waiters.is_empty()
        || lock.readers == Some(0)
        || lock.holders.iter().any(|holder| holder.confidence != Confidence::Possible)
    {
        return;
    }
    let waiters: HashSet<VirtAddr> = lock.waiters.iter().map(|waiter| waiter.task.at).collect();
    let counted = |at: &VirtAddr| {
        let index = scene.index_of(*at)?;
        preempt_count(scene, index)
    };
    let counts = waiters.iter().all(|at| counted(at).is_some_and(|count| count & PREEMPT_MASK > 0));
    let mut left = Vec::new();
    let mut struck = Vec::new();
    for (index, task) in scene.tasks.iter().enumerate().filter(|(_, task)| task.active) {
        let Ok(cpu) = task.cpu else { continue };
        let user = scene.traces.get(index).is_some_and(|trace| in_user_mode(scene, trace));
        let others = held.iter().filter(|held| {
            held.task == index
                && held.sure
                && held.at != Some(lock.at)
                && matches!(held.kind, LockKind::Spinlock | LockKind::Rwlock)
        });
        let others = u32::try_from(others.count()).unwrap_or(PREEMPT_MASK);
        let mine = u32::from(task.pid == 0) + u32::from(spinning.contains(&task.at)) + others;
        let spare =
            preempt_count(scene, index).map(|count| (count & PREEMPT_MASK).saturating_sub(mine));
        if waiters.contains(&task.at) && spare.is_none_or(|spare| spare == 0 || !counts) {
            let more = if others > 0 { " and holds another, which its code shows" } else { "" };
            struck.push((cpu, format!("spins for it{more}")));
        } else if user {
            struck.push((cpu, "is in user mode".to_owned()));
        } else if counts && spare == Some(0) {
            let by = match others {
                0 => "has preemption disabled for no other lock",
                _ => "has preemption disabled for other locks, which its code shows",
            };
            struck.push((cpu, by.to_owned()));
        } else if !counts && task.pid == 0 {
            struck.push((cpu, "is idle".to_owned()));
        } else {
            left.push((task, cpu, spare));
        }
    }
    // Spinning for a lock that one holds oneself takes an interrupt, or code that shows it; without
    // either, whoever else is left is meant.
    let others = left.iter().any(|(task, _, _)| !waiters.contains(&task.at));
    left.retain(|(task, cpu, _)| {
        let itself = waiters.contains(&task.at) && !interrupted(scene, task.at);
        if others && itself {
            struck.push((*cpu, "spins for it, in no interrupt".to_owned()));
        }
        !(others && itself)
    });
    let mode = if lock.kind == LockKind::Spinlock {
        Mode::Excl
    } else if lock.readers.is_some_and(|readers| readers > 0) {
        Mode::Read
    } else {
        Mode::Write
    };
    let confidence =
        if left.len() == 1 && counts { Confidence::Likely } else { Confidence::Possible };
    for (task, cpu, spare) in left {
        let count = match spare {
            Some(spare) if counts => format!(
                "has preemption disabled {spare} time(s) more than its waiting and the locks in its code explain"
            ),
            _ => "is in the kernel".to_owned(),
        };
        lock.holders.retain(|holder| holder.task.at != task.at);
        let runs = Why::new(format!("it runs on CPU {cpu} and {count}"));
        lock.holders.push(Holder {
            task: super::analysis::task_ref(task),
            mode,
            confidence,
            why: match preempt_count_at(scene, task) {
                Some(at) if counts => runs.at(Spot::Word(at)),
                _ => runs,
            }
            .then(struck_out(&struck)),
        });
    }
}

/// Why the other CPUs do not hold it, those of one reason together: `not CPU 0, 1 (is idle), …`.
fn struck_out(struck: &[(u32, String)]) -> String {
    let mut by_reason: BTreeMap<&str, Vec<u32>> = BTreeMap::new();
    for (cpu, reason) in struck {
        by_reason.entry(reason).or_default().push(*cpu);
    }
    let groups = by_reason.into_iter().map(|(reason, mut cpus)| {
        cpus.sort_unstable();
        let cpus: Vec<String> = cpus.iter().map(u32::to_string).collect();
        format!("not CPU {} ({reason})", cpus.join(", "))
    });
    groups.collect::<Vec<_>>().join(", ")
}

/// Whether a CPU was in user mode: its registers say so, or it was stopped there by an NMI, whose
/// handler is all that it runs in the kernel.
fn in_user_mode(scene: &Scene<'_>, trace: &Trace) -> bool {
    match trace.frames.as_slice() {
        [only] => only.kind == FrameKind::User,
        [.., entry, last] => {
            let name = scene.session.symbolize(entry.lookup_pc()).map_or("", |at| at.symbol.name);
            last.kind == FrameKind::User && name.contains("nmi")
        }
        [] => false,
    }
}

/// Whether a running task was interrupted, so that what spins may be its interrupt.
fn interrupted(scene: &Scene<'_>, at: VirtAddr) -> bool {
    let trace = scene.index_of(at).and_then(|index| scene.traces.get(index));
    trace.is_some_and(|trace| {
        let kinds = trace.frames.iter().skip(1).map(|frame| frame.kind);
        kinds.into_iter().any(|kind| matches!(kind, FrameKind::Irq | FrameKind::Nmi))
    })
}

/// The preemption count of a running task's CPU: per-CPU since 3.13 (in `pcpu_hot` from 6.2 to
/// 6.14).
fn preempt_count(scene: &Scene<'_>, index: usize) -> Option<u32> {
    let at = preempt_count_at(scene, scene.tasks.get(index)?)?;
    scene.session.memory().read_u32(at).ok()
}

fn preempt_count_at(scene: &Scene<'_>, task: &Task) -> Option<VirtAddr> {
    let session = scene.session;
    let number = task.cpu.as_ref().ok().copied()?;
    let cpu = session.cpus().iter().find(|cpu| cpu.number == number)?;
    let symbols = session.symbols();
    Some(match symbols.address("pcpu_hot") {
        Some(hot) => {
            let member =
                session.types().structure("pcpu_hot").ok()?.offset_of("preempt_count").ok()?;
            cpu.per_cpu(hot).plus(member)
        }
        None => cpu.per_cpu(symbols.address("__preempt_count")?),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpus_that_are_struck_out_for_one_reason_are_named_together() {
        let struck = [(9, "spins for it"), (2, "is idle"), (0, "is idle")];
        let struck = struck.map(|(cpu, reason)| (cpu, reason.to_owned()));
        assert_eq!(struck_out(&struck), "not CPU 0, 2 (is idle), not CPU 9 (spins for it)");
    }
}
