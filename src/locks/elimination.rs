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
use super::undecided::Cpus;
use super::{Confidence, Holder, Lock, LockKind, Mode, Spot, Why, api, doing};
use crate::dump::VirtAddr;
use crate::kernel::Task;
use crate::unwind::{FrameKind, Register, Trace};
use std::collections::{BTreeMap, HashSet};

/// `PREEMPT_MASK`: how many times preemption is disabled; above it are interrupts.
const PREEMPT_MASK: u32 = 0xff;

/// Adds the holders of a spinlock or rwlock that elimination leaves, and says of the other CPUs why
/// they do not hold it; `None` for a lock that this is nothing for.
pub(super) fn add(
    scene: &Scene<'_>,
    lock: &mut Lock,
    spinning: &HashSet<VirtAddr>,
    held: &[Held],
) -> Option<Cpus> {
    if !matches!(lock.kind, LockKind::Spinlock | LockKind::Rwlock)
        || lock.waiters.is_empty()
        || lock.readers == Some(0)
        || lock.holders.iter().any(|holder| holder.confidence != Confidence::Possible)
    {
        return None;
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
        // One whose address is lost may be this very lock.
        let another = |held: &Held| held.at.map_or(held.kind != lock.kind, |at| at != lock.at);
        let others = held.iter().filter(|held| {
            held.task == index
                && held.sure
                && another(held)
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
        } else if panicked_over_a_hung_task(&scene.functions(index)) {
            struck.push((cpu, "panicked over a hung task, in code that takes none".to_owned()));
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
    let struck = struck_out(&struck);
    for (task, cpu, spare) in left {
        let why = match (spare, preempt_count_at(scene, task)) {
            (Some(spare), Some(at)) if counts => {
                let count = format!(
                    "it runs on CPU {cpu} and has preemption disabled {spare} time(s) more than its \
                     waiting and the locks in its code explain"
                );
                Why::new(count).at(Spot::Word(at))
            }
            _ => Why::new(format!("it runs on CPU {cpu} and is in the kernel")),
        };
        let why = match in_register(scene, task.at, lock.at) {
            Some((register, number)) => why
                .then(format!(
                    "{} of its frame #{number} holds the lock's address",
                    register.name()
                ))
                .at(Spot::Frame { task: task.at, number }),
            None => why,
        };
        lock.holders.retain(|holder| holder.task.at != task.at);
        lock.holders.push(Holder {
            task: super::analysis::task_ref(task),
            mode,
            confidence,
            // Of several candidates the others are struck out by what is said of the lock.
            why: if confidence == Confidence::Likely { why.then(struck.clone()) } else { why },
        });
    }
    Some(Cpus { struck, counts })
}

/// Whether it is the watchdog of hung tasks (kernel/hung_task.c) as it stops the machine: it takes
/// no spinlock with which it could come there.
fn panicked_over_a_hung_task(functions: &[&str]) -> bool {
    let names = functions.iter().map(|name| api::base_name(name));
    let mut callers = names.skip_while(|name| *name != "panic" && *name != "vpanic").peekable();
    callers.peek().is_some()
        && callers.any(|name| {
            matches!(
                name,
                "watchdog"
                    | "check_hung_task"
                    | "check_hung_uninterruptible_tasks"
                    | "hung_task_panic"
            )
        })
}

/// The register of a running task's own code that holds this address, and the frame that it is in.
fn in_register(scene: &Scene<'_>, task: VirtAddr, lock: VirtAddr) -> Option<(Register, usize)> {
    let index = scene.index_of(task)?;
    let number = doing::interrupted_at(scene, index);
    let frame = scene.traces.get(index)?.frames.get(number)?;
    let (register, _) = frame.registers.iter().find(|(_, value)| *value == lock.0)?;
    Some((register, number))
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

    #[test]
    fn the_watchdog_of_hung_tasks_that_stopped_the_machine_is_no_candidate() {
        let seed = ["crash_kexec", "panic", "watchdog", "kthread", "child_rip"];
        assert!(panicked_over_a_hung_task(&seed));
        assert!(!panicked_over_a_hung_task(&["shrink_page_list", "kswapd", "kthread"]));
        // A soft lockup's panic stands on the code that is stuck, which may hold anything.
        assert!(!panicked_over_a_hung_task(&["panic", "watchdog_timer_fn", "take", "kthread"]));
    }
}
