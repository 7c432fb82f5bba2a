//! What a task is doing, in words: for root blockers and for tasks whose wait is not decoded.

use super::complaints::{Complaints, Whom};
use super::graph::Edges;
use super::scene::Scene;
use super::{Lock, api, asleep, chain};
use crate::dump::VirtAddr;
use crate::kernel::{State, Task};
use crate::unwind::FrameKind;

/// Functions that every sleep passes through; what called them tells more.
const SCHEDULER: [&str; 14] = [
    "__schedule",
    "schedule",
    "__schedule_loop",
    "__schedule_loop.constprop.0",
    "schedule_timeout",
    "schedule_timeout_uninterruptible",
    "schedule_timeout_interruptible",
    "schedule_timeout_killable",
    "schedule_timeout_idle",
    "schedule_preempt_disabled",
    "schedule_hrtimeout_range",
    "schedule_hrtimeout_range_clock",
    "io_schedule",
    "io_schedule_timeout",
];

/// What the names of functions begin with that wait for whatever their caller asked for.
const WAITING: [&str; 13] = [
    "wait_for_completion",
    "wait_for_common",
    "__wait_for_common",
    "do_wait_for_common",
    "wait_on_bit",
    "__wait_on_bit",
    "out_of_line_wait_on_bit",
    "bit_wait",
    "wait_woken",
    "do_wait_intr",
    "rcuwait_wait",
    "wait_on_page_bit",
    "folio_wait_bit",
];

/// What the task at `at` is doing: running where, waiting for what, sleeping in what.
pub(super) fn describe(
    scene: &Scene<'_>,
    locks: &[Lock],
    edges: &Edges,
    at: VirtAddr,
    complaints: &Complaints,
) -> String {
    let mut doing = alone(scene, locks, edges, at);
    let Some(task) = scene.task_at(at) else { return doing };
    let said: Vec<&str> = whom(task).iter().flat_map(|whom| complaints.about(whom)).collect();
    if !said.is_empty() {
        doing.push_str(&format!(" (log: {})", said.join(", ")));
    }
    doing
}

/// Under which names the log speaks of a task: its own, and that of the CPU that it runs on.
fn whom(task: &Task) -> Vec<Whom> {
    let cpu = task.cpu.as_ref().ok().filter(|_| task.active).map(|cpu| Whom::Cpu(*cpu));
    [Whom::Task(task.pid)].into_iter().chain(cpu).collect()
}

/// The messages of the log about a task.
pub(super) fn messages(scene: &Scene<'_>, at: VirtAddr, complaints: &Complaints) -> Vec<usize> {
    let whom = scene.task_at(at).map(whom).unwrap_or_default();
    whom.iter().flat_map(|whom| complaints.messages(whom)).collect()
}

/// The same without what the log says.
pub(super) fn alone(scene: &Scene<'_>, locks: &[Lock], edges: &Edges, at: VirtAddr) -> String {
    let Some(index) = scene.index_of(at) else { return "not a live task".to_owned() };
    if let Some(lock) = edges.waits.get(&at).and_then(|&lock| locks.get(lock)) {
        let waiter = lock.waiters.iter().find(|waiter| waiter.task.at == at);
        let verb = waiter.map_or("waits for", chain::verb);
        let more = match waiter {
            _ if lock.kind.is_condition() => {
                let functions = waits_in(scene, at).map(|names| format!(" in {names}"));
                let brought = chain::nobody_brings_about(lock.kind);
                format!("{}, {brought}", functions.unwrap_or_default())
            }
            Some(waiter) => chain::place(lock, waiter),
            None => String::new(),
        };
        return format!("{verb} {}{more}", lock.name);
    }
    let Some(task) = scene.tasks.get(index) else { return String::new() };
    if task.active {
        let cpu = task.cpu.as_ref().map_or_else(|_| "a CPU".to_owned(), |cpu| format!("CPU {cpu}"));
        let functions = scene.functions(index);
        // What it was doing is what was interrupted; the interrupt is mentioned.
        let interrupted = interrupted_at(scene, index);
        let own = functions.get(interrupted..).unwrap_or_default();
        let during = if interrupted > 0 { ", interrupted" } else { "" };
        return format!("runs on {cpu} in {}{during}", calls(own, 3));
    }
    match task.state {
        Ok(State::Running) => "is runnable, and not on any CPU".to_owned(),
        _ => sleeping_in(scene, index),
    }
}

/// The frame at which a running task's own code was interrupted; 0 when it was not.
pub(super) fn interrupted_at(scene: &Scene<'_>, index: usize) -> usize {
    let frames = scene.traces.get(index).map(|trace| trace.frames.as_slice()).unwrap_or_default();
    frames
        .iter()
        .rposition(|frame| {
            matches!(frame.kind, FrameKind::Irq | FrameKind::Nmi | FrameKind::Exception)
        })
        .unwrap_or(0)
}

/// In which functions a task waits for a condition: those that called the kernel's own to wait.
pub(super) fn waits_in(scene: &Scene<'_>, at: VirtAddr) -> Option<String> {
    callers(scene.functions(scene.index_of(at)?))
}

/// The functions above those that only wait.
fn callers(functions: &[&str]) -> Option<String> {
    let waits = |name: &&str| {
        SCHEDULER.contains(name)
            || WAITING.iter().any(|prefix| api::base_name(name).starts_with(prefix))
    };
    let own: Vec<&str> = functions.iter().copied().skip_while(waits).collect();
    (!own.is_empty()).then(|| calls(&own, 3))
}

/// Where a task sleeps: the functions above the scheduler's own.
pub(super) fn sleeping_in(scene: &Scene<'_>, index: usize) -> String {
    let functions = scene.functions(index);
    let asleep: Vec<&str> =
        functions.iter().copied().skip_while(|name| SCHEDULER.contains(name)).collect();
    let state = scene.tasks.get(index).and_then(|task| task.state.as_ref().ok());
    let state = match state {
        Some(State::Interruptible) => "sleeps interruptibly",
        Some(State::Uninterruptible) => "sleeps uninterruptibly",
        Some(State::Stopped | State::Traced) => "is stopped",
        Some(State::Zombie | State::Dead) => "has exited",
        _ => "sleeps",
    };
    if asleep.is_empty() {
        return format!("{state}; its stack could not be unwound");
    }
    // Everybody who waits for a device says so to the accounting of I/O.
    let io = functions.iter().any(|name| name.starts_with("io_schedule"));
    let state = if io { format!("{state} on I/O") } else { state.to_owned() };
    let mut told = format!("{state} in {}", calls(&asleep, 3));
    if let Some(what) = io.then(|| asleep::io(scene, index)).flatten() {
        told.push_str(&format!(", with {what} in its frames"));
    }
    if let Some(until) = asleep::until(scene, index) {
        told.push_str(&format!(", {until}"));
    }
    told
}

/// `a ← b ← c`: the innermost functions, names only.
fn calls(functions: &[&str], most: usize) -> String {
    let named: Vec<&str> =
        functions.iter().copied().filter(|name| !name.is_empty()).take(most).collect();
    if named.is_empty() { "unknown code".to_owned() } else { named.join(" ← ") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::locks::testing::Stage;

    /// What a task in these functions does, on CPU 1 or off the CPUs.
    fn doing(functions: &[&str], runs: bool, state: State) -> String {
        let mut stage = Stage::new();
        let index = if runs {
            stage.run("chain-7", 1, functions)
        } else {
            stage.enter("chain-7", functions)
        };
        stage.tasks[index].state = Ok(state);
        let at = stage.tasks[index].at;
        alone(&stage.scene(), &[], &Edges::of(&[]), at)
    }

    #[test]
    fn a_running_task_is_where_it_was_interrupted() {
        let says = doing(&["vfs_read", "ksys_read"], true, State::Running);
        assert_eq!(says, "runs on CPU 1 in vfs_read ← ksys_read");
        let interrupted = ["_raw_spin_lock", "update_process_times", "<IRQ> vfs_read", "ksys_read"];
        let says = doing(&interrupted, true, State::Running);
        assert_eq!(says, "runs on CPU 1 in vfs_read ← ksys_read, interrupted");
    }

    #[test]
    fn a_task_off_the_cpus_is_told_by_its_state_and_who_called_the_scheduler() {
        let says = |functions: &[&str], state| doing(functions, false, state);
        let sleeps = ["__schedule", "schedule", "msleep", "vfs_read"];
        for (state, words) in [
            (State::Interruptible, "sleeps interruptibly in msleep ← vfs_read"),
            (State::Uninterruptible, "sleeps uninterruptibly in msleep ← vfs_read"),
            (State::Stopped, "is stopped in msleep ← vfs_read"),
            (State::Traced, "is stopped in msleep ← vfs_read"),
            (State::Zombie, "has exited in msleep ← vfs_read"),
            (State::Dead, "has exited in msleep ← vfs_read"),
            (State::Idle, "sleeps in msleep ← vfs_read"),
            (State::Running, "is runnable, and not on any CPU"),
        ] {
            assert_eq!(says(&sleeps, state), words);
        }
        let waits = ["__schedule", "schedule", "io_schedule", "bit_wait_io", "__wait_on_bit"];
        let io = "sleeps uninterruptibly on I/O in bit_wait_io ← __wait_on_bit";
        assert_eq!(says(&waits, State::Uninterruptible), io);
        let lost = "sleeps uninterruptibly; its stack could not be unwound";
        assert_eq!(says(&[], State::Uninterruptible), lost);
        assert_eq!(says(&["__schedule", "schedule"], State::Uninterruptible), lost);
    }

    #[test]
    fn what_the_log_says_of_a_cpu_is_said_of_the_task_that_is_on_it() {
        let log = ["watchdog: BUG: soft lockup - CPU#1 stuck for 26s! [chain-7:124]"];
        let complaints = Complaints::of(log.into_iter());
        let says = |runs: bool| {
            let mut stage = Stage::new();
            let index = stage.run("chain-7", 1, &["vfs_read", "ksys_read"]);
            stage.tasks[index].active = runs;
            let (scene, at) = (stage.scene(), stage.tasks[index].at);
            let words = describe(&scene, &[], &Edges::of(&[]), at, &complaints);
            assert_eq!(messages(&scene, at, &complaints), if runs { vec![0] } else { vec![] });
            words
        };
        let said = " (log: soft lockup, stuck for 26 s)";
        assert!(says(true).ends_with(said), "{}", says(true));
        // It was on that CPU before others.
        assert_eq!(says(false), "is runnable, and not on any CPU");
    }

    #[test]
    fn whoever_waits_for_a_condition_is_told_with_where_it_waits_and_that_nobody_came() {
        use crate::locks::{LockKind, verdict::tests::lock};
        let mut stage = Stage::new();
        let waits = ["__schedule", "schedule", "wait_for_completion", "vfs_read", "ksys_read"];
        let index = stage.enter("chain-7", &waits);
        let at = stage.tasks[index].at;
        let says = |kind| {
            let mut lock = lock("it", kind, &[], &[1]);
            lock.waiters[0].task.at = at;
            let locks = [lock];
            alone(&stage.scene(), &locks, &Edges::of(&locks), at)
        };
        assert_eq!(
            says(LockKind::Completion),
            "waits for it in vfs_read ← ksys_read, which nobody has completed"
        );
        assert_eq!(says(LockKind::Mutex), "waits for it");
    }
}
