//! Who holds a spinlock, when no stack shows it: the CPUs that cannot are struck out.
//!
//! Whoever holds a spinlock runs: taking one disables preemption, so the holder is the current
//! task of some CPU (or an interrupt on it). A CPU that is in user mode, or whose count of disabled
//! preemptions is used up by being idle, by the lock that it spins for itself and by other locks that
//! its code shows it to hold (those of an interrupt's handler, say), holds none.
//! Whether this kernel counts preemptions at all is seen from those who spin: each of them must
//! have counted at least its own lock. One CPU left: likely the holder, where preemptions are counted
//! or it spins for another lock. Several: each possible, but likely the one whose code may have taken
//! this very lock, if its count bears that out.
//! Not so on PREEMPT_RT, where `spinlock_t` sleeps and records its owner.

use super::evidence::Held;
use super::scene::Scene;
use super::undecided::Cpus;
use super::{Confidence, Holder, Lock, LockKind, Mode, Spot, Why, api, doing};
use crate::dump::VirtAddr;
use crate::kernel::Task;
use crate::unwind::{FrameKind, Register, Trace};
use foldhash::{HashMap, HashSet};
use std::collections::BTreeMap;

/// `PREEMPT_MASK`: how many times preemption is disabled; above it are interrupts.
const PREEMPT_MASK: u32 = 0xff;

/// Adds the holders of a spinlock or rwlock that elimination leaves, and says of the other CPUs why
/// they do not hold it; `None` for a lock that this is nothing for.
pub(super) fn add(
    scene: &Scene<'_>,
    lock: &mut Lock,
    spinning: &HashMap<VirtAddr, u32>,
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
    let in_interrupt = lock.waiters.iter().filter(|waiter| waiter.in_interrupt);
    let in_interrupt: HashSet<VirtAddr> = in_interrupt.map(|waiter| waiter.task.at).collect();
    let mut left = Vec::new();
    for (index, task) in scene.tasks.iter().enumerate().filter(|(_, task)| task.active) {
        let Ok(cpu) = task.cpu else { continue };
        let seen = Seen {
            waits: waiters.contains(&task.at),
            spins: spinning.get(&task.at).copied().unwrap_or(0),
            interrupted: in_interrupt.contains(&task.at),
            idle: task.pid == 0,
            user: scene.traces.get(index).is_some_and(|trace| in_user_mode(scene, trace)),
            watchdog: panicked_over_a_hung_task(scene.functions(index)),
            count: preempt_count(scene, index),
            others: other_locks(held, index, lock.kind, lock.at),
            took: held.iter().any(|held| {
                let before = held.interrupted || !waiters.contains(&task.at);
                (held.task, held.at) == (index, Some(lock.at)) && before
            }),
            some: held.iter().any(|held| {
                held.task == index
                    && held.kind == lock.kind
                    && held.at.is_none_or(|at| at == lock.at)
            }),
        };
        left.push((task, cpu, seen));
    }
    let counts = counts(waiters.iter().map(|at| preempt_count(scene, scene.index_of(*at)?)));
    let mut struck = strike(&mut left, |seen| seen.strikes(counts));
    // Spinning for a lock that one holds oneself takes an interrupt, or code that shows it; without
    // either, whoever else is left is meant.
    if left.iter().any(|(_, _, seen)| !seen.waits) {
        struck.extend(strike(&mut left, |seen| {
            let itself = seen.waits && !seen.interrupted;
            itself.then(|| "spins for it, in no interrupt".to_owned())
        }));
    }
    let mode = mode(lock.kind, lock.readers);
    let all: Vec<Seen> = left.iter().map(|(_, _, seen)| *seen).collect();
    let alone = left.len() == 1;
    let struck = struck_out(&struck);
    for (which, (task, cpu, seen)) in left.into_iter().enumerate() {
        let why = match (seen.spare(), preempt_count_at(scene, task)) {
            (Some(spare), Some(at)) if counts => {
                let count = format!(
                    "it runs on CPU {cpu} and has preemption disabled {spare} time(s) more than its \
                     waiting and the locks in its code explain"
                );
                Why::new(count).at(Spot::Word(at))
            }
            _ if seen.spins > 0 && !seen.waits => {
                Why::new(format!("it runs on CPU {cpu} and spins for another lock"))
            }
            _ => Why::new(format!("it runs on CPU {cpu} and is in the kernel")),
        };
        let known = lock.holders.iter_mut().find(|holder| holder.task.at == task.at);
        let why = match known {
            Some(known) if seen.took => std::mem::take(&mut known.why).join(why),
            _ => why,
        };
        // Whoever waits has the address for that.
        let register = in_register(scene, task.at, lock.at);
        let why = match register.filter(|_| !seen.waits || seen.interrupted) {
            Some((register, number)) => why
                .then(format!(
                    "{} of its frame #{number} holds the lock's address",
                    register.name()
                ))
                .at(Spot::Register { task: task.at, number, name: register.name() }),
            None => why,
        };
        let confidence = confidence(&all, which, counts);
        lock.holders.retain(|holder| holder.task.at != task.at);
        lock.holders.push(Holder {
            task: super::analysis::task_ref(task),
            mode,
            confidence,
            // Of several candidates the others are struck out by what is said of the lock.
            why: if alone && confidence == Confidence::Likely {
                why.then(struck.clone())
            } else {
                why
            },
        });
    }
    Some(Cpus { struck, counts })
}

/// How sure it is that one of those who are left is the holder. Two traces of different kinds tell
/// it: nobody else is left, its code may have taken this very lock, preemption is disabled once more
/// than anything explains.
fn confidence(left: &[Seen], which: usize, counts: bool) -> Confidence {
    let counted = |seen: &Seen| counts && seen.spare().is_some_and(|spare| spare > 0);
    let shown = |seen: &Seen| seen.took && counted(seen);
    let likely = match left {
        // One that spins gives nothing back; what merely runs may have nothing.
        [only] => counts || only.took || (only.spins > 0 && !only.waits),
        _ => {
            left.get(which).is_some_and(shown)
                && left.iter().filter(|seen| shown(seen)).count() == 1
        }
    };
    if likely { Confidence::Likely } else { Confidence::Possible }
}

/// What is seen of the current task of a CPU.
#[derive(Clone, Copy, Default)]
struct Seen {
    /// Whether it waits for the lock in question.
    waits: bool,
    /// For how many locks it spins: itself, and in interrupts.
    spins: u32,
    /// Whether it is an interrupt that spins, and not what that interrupted.
    interrupted: bool,
    idle: bool,
    /// Whether it is in user mode.
    user: bool,
    /// Whether it is the watchdog of hung tasks as it stops the machine.
    watchdog: bool,
    /// Its preemption count, where that can be read.
    count: Option<u32>,
    /// How many other spinlocks its code shows it to hold.
    others: u32,
    /// Whether its code may have taken the lock in question, before it was interrupted if it waits.
    took: bool,
    /// Whether its code shows it to hold this lock or, perhaps, one whose address is lost.
    some: bool,
}

impl Seen {
    /// How many times it has preemption disabled for no reason that is known.
    fn spare(&self) -> Option<u32> {
        let mine = u32::from(self.idle) + self.spins + self.others;
        self.count.map(|count| (count & PREEMPT_MASK).saturating_sub(mine))
    }

    /// Why it does not hold the lock, if something excludes it; `counts` says whether this kernel
    /// counts preemptions.
    fn strikes(&self, counts: bool) -> Option<String> {
        let others = self.others > 0;
        let spare = self.spare().filter(|_| counts);
        if self.waits && spare.map_or(!self.took, |spare| spare == 0) {
            let more = if others { " and holds another, which its code shows" } else { "" };
            return Some(format!("spins for it{more}"));
        }
        let why = if self.user {
            "is in user mode"
        } else if counts && self.spare() == Some(0) {
            match others {
                false => "has preemption disabled for no other lock",
                true => "has preemption disabled for other locks, which its code shows",
            }
        } else if !counts && self.idle && !self.some {
            "is idle"
        } else if self.watchdog {
            "panicked over a hung task, in code that takes none"
        } else {
            return None;
        };
        Some(why.to_owned())
    }
}

/// Whether this kernel counts preemptions: each of those who spin must have counted its own lock.
fn counts(mut of_waiters: impl Iterator<Item = Option<u32>>) -> bool {
    of_waiters.all(|count| count.is_some_and(|count| count & PREEMPT_MASK > 0))
}

/// How many spinlocks and rwlocks the code of a task shows it to hold on every path, but this one.
fn other_locks(held: &[Held], task: usize, kind: LockKind, at: VirtAddr) -> u32 {
    // One whose address is lost may be this very lock.
    let another = |held: &Held| held.at.map_or(held.kind != kind, |other| other != at);
    let others = held.iter().filter(|held| {
        held.task == task
            && held.sure
            && another(held)
            && matches!(held.kind, LockKind::Spinlock | LockKind::Rwlock)
    });
    u32::try_from(others.count()).unwrap_or(PREEMPT_MASK)
}

/// Takes out whoever is excluded; of each the CPU and why.
fn strike<T>(
    left: &mut Vec<(T, u32, Seen)>,
    excludes: impl Fn(&Seen) -> Option<String>,
) -> Vec<(u32, String)> {
    let mut struck = Vec::new();
    left.retain(|(_, cpu, seen)| {
        let why = excludes(seen);
        struck.extend(why.clone().map(|why| (*cpu, why)));
        why.is_none()
    });
    struck
}

/// How a lock of this kind, with that many readers, is held.
fn mode(kind: LockKind, readers: Option<u64>) -> Mode {
    match (kind, readers) {
        (LockKind::Spinlock, _) => Mode::Excl,
        (_, Some(1..)) => Mode::Read,
        _ => Mode::Write,
    }
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
    use crate::locks::evidence::How;

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

    /// It waits for the lock in question, spins for it and has counted it.
    const WAITS: Seen = Seen {
        waits: true,
        spins: 1,
        interrupted: false,
        idle: false,
        user: false,
        watchdog: false,
        count: Some(1),
        others: 0,
        took: false,
        some: false,
    };

    fn runs(count: u32) -> Seen {
        Seen { count: Some(count), ..Seen::default() }
    }

    #[test]
    fn whoever_has_preemption_disabled_for_nothing_known_may_hold_the_lock() {
        assert_eq!(runs(1).strikes(true), None);
        let none = Some("has preemption disabled for no other lock".to_owned());
        assert_eq!(runs(0).strikes(true), none);
        // Interrupts are counted above the preemptions.
        assert_eq!(runs(0x10000).strikes(true), none);
        // Being idle, spinning for another lock and holding others use the count up.
        assert_eq!(Seen { idle: true, ..runs(1) }.strikes(true), none);
        assert_eq!(Seen { idle: true, ..runs(2) }.strikes(true), None);
        assert_eq!(Seen { spins: 1, ..runs(1) }.strikes(true), none);
        assert_eq!(Seen { spins: 1, ..runs(2) }.strikes(true), None);
        // So it does in an interrupt on top of that.
        assert_eq!(Seen { spins: 2, ..runs(2) }.strikes(true), none);
        let others = Some("has preemption disabled for other locks, which its code shows");
        assert_eq!(Seen { others: 2, ..runs(2) }.strikes(true).as_deref(), others);
        assert_eq!(Seen { others: 2, ..runs(3) }.strikes(true), None);
        assert_eq!(Seen { count: None, ..runs(0) }.strikes(true), None);
    }

    #[test]
    fn a_kernel_that_does_not_count_preemptions_strikes_out_nobody_by_them() {
        assert_eq!(runs(0).strikes(false), None);
        assert_eq!(Seen { idle: true, ..runs(0) }.strikes(false).as_deref(), Some("is idle"));
        // Its interrupt may hold it.
        assert_eq!(Seen { idle: true, some: true, ..runs(0) }.strikes(false), None);
        assert_eq!(Seen { user: true, ..runs(0) }.strikes(false), Some("is in user mode".into()));
        assert_eq!(Seen { user: true, ..runs(1) }.strikes(true), Some("is in user mode".into()));
        let watchdog = Seen { watchdog: true, ..runs(1) }.strikes(true);
        assert_eq!(watchdog.unwrap(), "panicked over a hung task, in code that takes none");
        assert!(counts([Some(1), Some(0x10002)].into_iter()));
        assert!(!counts([Some(1), Some(0)].into_iter()));
        assert!(!counts([Some(1), Some(0x10000)].into_iter()));
        assert!(!counts([Some(1), None].into_iter()));
    }

    #[test]
    fn whoever_spins_for_a_lock_holds_it_only_if_it_has_counted_more_than_that() {
        let spins = Some("spins for it".to_owned());
        assert_eq!(WAITS.strikes(true), spins);
        assert_eq!(Seen { count: Some(2), ..WAITS }.strikes(true), None);
        assert_eq!(Seen { count: Some(2), ..WAITS }.strikes(false), spins);
        assert_eq!(Seen { count: None, ..WAITS }.strikes(true), spins);
        // What its interrupted code may have taken, its interrupt may spin for, unless it is counted.
        assert_eq!(Seen { took: true, ..WAITS }.strikes(false), None);
        assert_eq!(Seen { took: true, ..WAITS }.strikes(true), spins);
        let another = Seen { count: Some(2), others: 1, ..WAITS }.strikes(true);
        assert_eq!(another.unwrap(), "spins for it and holds another, which its code shows");
    }

    #[test]
    fn of_several_that_are_left_the_one_whose_code_may_have_taken_the_lock_is_likely() {
        use Confidence::{Likely, Possible};
        let of = |left: &[Seen], counts| -> Vec<_> {
            (0..left.len()).map(|which| confidence(left, which, counts)).collect()
        };
        let took = |count| Seen { took: true, ..runs(count) };
        assert_eq!(of(&[runs(1)], true), [Likely]);
        assert_eq!(of(&[runs(1)], false), [Possible]);
        assert_eq!(of(&[took(0)], false), [Likely]);
        // It spins for another lock, or for this one.
        assert_eq!(of(&[Seen { spins: 1, ..runs(0) }], false), [Likely]);
        assert_eq!(of(&[Seen { spins: 1, waits: true, ..runs(0) }], false), [Possible]);
        assert_eq!(of(&[runs(1), runs(1)], true), [Possible, Possible]);
        assert_eq!(of(&[runs(1), took(1)], true), [Possible, Likely]);
        // Its count does not bear it out, or another's code may have taken it too.
        assert_eq!(of(&[runs(1), Seen { count: None, ..took(1) }], true), [Possible, Possible]);
        assert_eq!(of(&[runs(1), took(1)], false), [Possible, Possible]);
        assert_eq!(of(&[took(1), took(1)], true), [Possible, Possible]);
    }

    #[test]
    fn a_lock_whose_address_is_lost_strikes_its_cpu_out_only_where_it_is_of_another_kind() {
        let at = VirtAddr(0x1000);
        let held = |task, kind, at: Option<u64>, sure| Held {
            task,
            kind,
            mode: Mode::Excl,
            at: at.map(VirtAddr),
            sure,
            interrupted: false,
            how: How::default(),
        };
        let others = |held: Held| other_locks(&[held], 3, LockKind::Spinlock, at);
        use LockKind::{Mutex, Rwlock, Spinlock};
        assert_eq!(others(held(3, Spinlock, None, true)), 0);
        assert_eq!(others(held(3, Rwlock, None, true)), 1);
        assert_eq!(others(held(3, Spinlock, Some(0x2000), true)), 1);
        assert_eq!(others(held(3, Spinlock, Some(0x1000), true)), 0);
        assert_eq!(others(held(3, Spinlock, Some(0x2000), false)), 0);
        assert_eq!(others(held(4, Spinlock, Some(0x2000), true)), 0);
        assert_eq!(others(held(3, Mutex, Some(0x2000), true)), 0);
    }

    #[test]
    fn what_elimination_leaves_holds_a_rwlock_for_reading_if_that_counts_readers() {
        assert_eq!(mode(LockKind::Spinlock, None), Mode::Excl);
        assert_eq!(mode(LockKind::Rwlock, Some(2)), Mode::Read);
        assert_eq!(mode(LockKind::Rwlock, None), Mode::Write);
    }

    #[test]
    fn the_cpus_struck_out_are_those_that_are_not_left() {
        let mut left = vec![("a", 0, runs(0)), ("b", 1, runs(1)), ("c", 2, WAITS)];
        let struck = strike(&mut left, |seen| seen.strikes(true));
        assert_eq!(left.iter().map(|(name, ..)| *name).collect::<Vec<_>>(), ["b"]);
        assert_eq!(
            struck_out(&struck),
            "not CPU 0 (has preemption disabled for no other lock), not CPU 2 (spins for it)"
        );
    }

    use crate::locks::testing::{Stage, demo};
    use crate::locks::verdict::tests::lock;

    const SPINS: [&str; 2] = ["native_queued_spin_lock_slowpath", "_raw_spin_lock"];

    /// CPU 0 is idle, CPU 1 in the kernel, CPU 2 spins, with these preemption counts; and the lock that it
    /// spins for.
    fn machine(counts: [u32; 3], spins: &[&str]) -> (Stage, Lock) {
        let mut stage = Stage::with(|memory| {
            let demo = demo();
            let symbol = demo.symbols().address("__preempt_count").unwrap();
            for (cpu, count) in demo.cpus().iter().zip(counts) {
                memory.put(cpu.per_cpu(symbol).0, &count.to_le_bytes());
            }
        });
        stage.run("swapper/0", 0, &["mwait_idle", "do_idle"]);
        stage.run("mm-spinner", 1, &["vfs_read", "ksys_read"]);
        let spinner = stage.run("mm-holder", 2, spins);
        let mut lock = lock("s", LockKind::Spinlock, &[], &[1]);
        lock.waiters[0].task = crate::locks::analysis::task_ref(&stage.tasks[spinner]);
        (stage, lock)
    }

    /// Who is left as a holder, and how sure that is; then what is said of the CPUs.
    fn left(stage: &Stage, lock: &mut Lock) -> (Vec<(String, Confidence)>, Option<String>) {
        let spinning = lock.waiters.iter().map(|waiter| (waiter.task.at, 1)).collect();
        let cpus = add(&stage.scene(), lock, &spinning, &[]);
        let holders = lock.holders.iter().map(|it| (it.task.comm.to_string(), it.confidence));
        (holders.collect(), cpus.map(|cpus| cpus.struck))
    }

    #[test]
    fn the_only_cpu_that_has_counted_a_lock_too_many_is_the_likely_holder() {
        let (stage, mut lock) = machine([1, 1, 1], &SPINS);
        let (holders, struck) = left(&stage, &mut lock);
        assert_eq!(holders, [("mm-spinner".to_owned(), Confidence::Likely)]);
        let why = "it runs on CPU 1 and has preemption disabled 1 time(s) more than its waiting and the \
                   locks in its code explain; not CPU 0 (has preemption disabled for no other lock), not \
                   CPU 2 (spins for it)";
        assert_eq!(lock.holders[0].why.to_string(), why);
        assert!(why.ends_with(&struck.unwrap()));
    }

    #[test]
    fn without_counts_or_with_several_left_each_is_merely_possible() {
        let possible = |comm: &str| (comm.to_owned(), Confidence::Possible);
        let (stage, mut lock) = machine([0, 0, 0], &SPINS);
        assert_eq!(left(&stage, &mut lock).0, [possible("mm-spinner")]);
        assert_eq!(lock.holders[0].why.to_string(), "it runs on CPU 1 and is in the kernel");
        let (stage, mut lock) = machine([2, 1, 1], &SPINS);
        let all = [possible("swapper/0"), possible("mm-spinner")];
        assert_eq!(left(&stage, &mut lock).0, all);
        assert!(!lock.holders[0].why.to_string().contains("not CPU 2"));
    }

    #[test]
    fn without_counts_the_only_one_left_is_likely_if_it_spins_for_another_lock() {
        let (stage, mut lock) = machine([0, 0, 0], &SPINS);
        let spinning = stage.tasks.iter().skip(1).map(|task| (task.at, 1)).collect();
        add(&stage.scene(), &mut lock, &spinning, &[]);
        let says = "it runs on CPU 1 and spins for another lock; not CPU 0 (is idle), not CPU 2 (spins for it)";
        assert_eq!(lock.holders[0].why.to_string(), says);
        assert_eq!(lock.holders[0].confidence, Confidence::Likely);
    }

    #[test]
    fn whoever_spins_is_left_only_in_an_interrupt_or_if_nobody_else_is() {
        let (stage, mut lock) = machine([1, 1, 2], &SPINS);
        let (holders, struck) = left(&stage, &mut lock);
        assert_eq!(holders, [("mm-spinner".to_owned(), Confidence::Likely)]);
        assert!(struck.unwrap().contains("not CPU 2 (spins for it, in no interrupt)"));
        let (stage, mut lock) = machine([1, 0, 2], &SPINS);
        assert_eq!(left(&stage, &mut lock).0, [("mm-holder".to_owned(), Confidence::Likely)]);
        let (stage, mut lock) = machine([1, 1, 2], &SPINS);
        lock.waiters[0].in_interrupt = true;
        assert_eq!(left(&stage, &mut lock).0.len(), 2);
    }

    /// That the code of a task of [`machine`] may have taken the lock.
    fn took(task: usize, lock: &Lock, interrupted: bool) -> Held {
        Held {
            task,
            kind: LockKind::Spinlock,
            mode: Mode::Excl,
            at: Some(lock.at),
            sure: false,
            interrupted,
            how: How::default(),
        }
    }

    #[test]
    fn whoever_waits_may_have_taken_the_lock_only_before_it_was_interrupted() {
        let holders = |interrupted| -> Vec<String> {
            let (stage, mut lock) = machine([0, 0, 0], &SPINS);
            lock.waiters[0].in_interrupt = true;
            let spinning = lock.waiters.iter().map(|waiter| (waiter.task.at, 1)).collect();
            let held = [took(2, &lock, interrupted)];
            add(&stage.scene(), &mut lock, &spinning, &held);
            lock.holders.iter().map(|holder| holder.task.comm.to_string()).collect()
        };
        assert_eq!(holders(false), ["mm-spinner"]);
        assert_eq!(holders(true), ["mm-spinner", "mm-holder"]);
    }

    #[test]
    fn a_register_with_the_address_is_a_trace_but_for_whoever_waits_with_it() {
        let says = |counts, task: usize, in_interrupt| {
            let (mut stage, mut lock) = machine(counts, &SPINS);
            lock.waiters[0].in_interrupt = in_interrupt;
            stage.traces[task].frames[0].registers.set(Register::Rbx, Some(lock.at.0));
            left(&stage, &mut lock);
            lock.holders[0].why.to_string().contains("RBX of its frame #0 holds the lock's address")
        };
        assert!(says([1, 1, 1], 1, false));
        assert!(!says([1, 0, 2], 2, false));
        assert!(says([1, 0, 2], 2, true));
    }

    #[test]
    fn what_its_code_tells_of_a_candidate_is_kept_if_it_may_have_taken_the_lock() {
        let says = |held: &dyn Fn(&Lock) -> Vec<Held>| {
            let (stage, mut lock) = machine([1, 1, 1], &SPINS);
            lock.holders.push(Holder {
                task: crate::locks::analysis::task_ref(&stage.tasks[1]),
                mode: Mode::Excl,
                confidence: Confidence::Possible,
                why: Why::new("its code asked for it"),
            });
            let spinning = lock.waiters.iter().map(|waiter| (waiter.task.at, 1)).collect();
            let held = held(&lock);
            add(&stage.scene(), &mut lock, &spinning, &held);
            lock.holders.iter().map(|holder| holder.why.to_string()).collect::<Vec<_>>()
        };
        let with = says(&|lock| vec![took(1, lock, false)]);
        assert!(with.len() == 1 && with[0].starts_with("its code asked for it"), "{with:?}");
        assert!(with[0].contains("preemption disabled 1 time(s) more"), "{with:?}");
        let without = says(&|_| Vec::new());
        assert!(without.len() == 1 && without[0].starts_with("it runs on CPU 1"), "{without:?}");
    }

    #[test]
    fn a_free_lock_and_one_whose_holder_is_known_are_left_alone() {
        let (stage, mut lock) = machine([1, 1, 1], &SPINS);
        lock.readers = Some(0);
        assert_eq!(left(&stage, &mut lock), (Vec::new(), None));
        let (stage, mut lock) = machine([1, 1, 1], &SPINS);
        lock.kind = LockKind::Mutex;
        assert_eq!(left(&stage, &mut lock), (Vec::new(), None));
        let (stage, mut lock) = machine([1, 1, 1], &SPINS);
        lock.waiters.clear();
        assert_eq!(left(&stage, &mut lock), (Vec::new(), None));
    }

    #[test]
    fn a_cpu_is_in_user_mode_if_it_was_there_when_the_machine_was_stopped() {
        let user = |functions: &[&str]| {
            let mut stage = Stage::new();
            let index = stage.run("chain-7", 1, functions);
            in_user_mode(&stage.scene(), &stage.traces[index])
        };
        assert!(user(&["<USER>"]));
        assert!(user(&["crash_nmi_callback", "asm_exc_nmi", "<USER>"]));
        assert!(!user(&["vfs_read", "entry_SYSCALL_64_after_hwframe", "<USER>"]));
        assert!(!user(&["mwait_idle"]));
        assert!(!user(&[]));
    }
}
