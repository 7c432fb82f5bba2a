//! Where the holder of a lock can be that nothing names, and what would decide it.
//!
//! There are five places, likeliest first: it runs on another CPU; it could run and is not on a CPU;
//! it is in uninterruptible sleep; it sleeps otherwise; it has exited. What speaks for each is in the
//! evidence of the candidates; what strikes the others out is said beside it. Nothing here makes a
//! claim: candidates are holders that are merely [`Confidence::Possible`].

use super::graph::Edges;
use super::scene::Scene;
use super::{Confidence, Lock, LockKind, TaskRef, doing};
use crate::dump::VirtAddr;
use crate::kernel::{State, Task};
use crate::unwind::End;
use std::collections::HashSet;

/// What is known about the holder of a lock that is not known.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Undecided {
    /// Where it can be, likeliest first.
    pub cases: Vec<Case>,
    /// Each of what would decide it.
    pub wanted: Vec<String>,
}

/// A place where the holder can be.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Case {
    /// `running on another CPU`
    pub place: &'static str,
    /// The candidates there.
    pub tasks: Vec<TaskRef>,
    /// What speaks for or against it.
    pub says: String,
}

impl Undecided {
    /// What would decide it, in one sentence without its full stop.
    #[must_use]
    pub fn wanted_in_words(&self) -> String {
        self.wanted.join("; or ")
    }
}

const RUNNING: &str = "running on another CPU";
const RUNNABLE: &str = "runnable but not on a CPU";
const BLOCKED: &str = "in uninterruptible sleep";
const SLEEPING: &str = "asleep otherwise";
const EXITED: &str = "exited";
/// The three in between, of a lock whose holder cannot be switched off.
const OFF_CPU: &str = "runnable, blocked or asleep";

/// What elimination found out about the CPUs.
pub(super) struct Cpus {
    /// Why the others do not hold it: `not CPU 0, 1 (is idle)`.
    pub(super) struck: String,
    /// Whether this kernel counts how often preemption is disabled.
    pub(super) counts: bool,
}

/// Sorts what is known about a lock without a known holder; `None` where there is nothing to decide.
pub(super) fn of(
    scene: &Scene<'_>,
    locks: &[Lock],
    edges: &Edges,
    lock: &Lock,
    cpus: Option<&Cpus>,
) -> Option<Undecided> {
    let sure = lock.holders.iter().any(|holder| holder.confidence != Confidence::Possible);
    let decided = sure || lock.orphaned || lock.readers == Some(0) || lock.waiters.is_empty();
    if decided || lock.kind.is_condition() || lock.kind == LockKind::Futex {
        return None;
    }
    let candidates =
        |place| candidates(scene, lock, place, |at| doing::alone(scene, locks, edges, at));
    Some(match cpus {
        Some(cpus) => Undecided {
            cases: of_spinning(scene, candidates(RUNNING), cpus),
            wanted: wanted_of_spinning(scene, lock),
        },
        None => {
            Undecided { cases: of_sleeping(scene, lock, candidates), wanted: wanted(scene, lock) }
        }
    })
}

/// Where a task is.
fn place_of(task: &Task) -> &'static str {
    match task.state {
        _ if task.active => RUNNING,
        Ok(State::Running) => RUNNABLE,
        Ok(State::Uninterruptible) => BLOCKED,
        _ => SLEEPING,
    }
}

/// The candidates at a place, with what they do.
fn candidates(
    scene: &Scene<'_>,
    lock: &Lock,
    place: &'static str,
    doing: impl Fn(VirtAddr) -> String,
) -> Case {
    let mut tasks = Vec::new();
    let mut says = Vec::new();
    for holder in &lock.holders {
        let Some(task) = scene.task_at(holder.task.at) else { continue };
        if place_of(task) == place {
            tasks.push(holder.task.clone());
            says.push(format!("{}, which {}", task.label(), doing(task.at)));
        }
    }
    Case { place, tasks, says: says.join("; ") }
}

fn of_spinning(scene: &Scene<'_>, mut running: Case, cpus: &Cpus) -> Vec<Case> {
    if running.tasks.is_empty() {
        running.says = "nobody that can".to_owned();
    }
    if !cpus.struck.is_empty() {
        running.says = format!("{}; {}", running.says, cpus.struck);
    }
    let off = scene.tasks.iter().filter(|task| !task.active).count();
    let off_cpu = format!(
        "unlikely: whoever holds a spinlock is not switched off, and no stack of the {off} tasks \
         off the CPUs shows that it took this one"
    );
    let exit = || {
        let mut records = scene.session.log().records.iter();
        records.find(|record| record.text.contains("exited with preempt_count"))
    };
    let exited = match exit() {
        Some(record) => format!("perhaps, for the log says: {}", record.text.trim()),
        None if cpus.counts => {
            "unlikely: the log has no word of a task that exited with preempt_count".to_owned()
        }
        None => "not excluded: this kernel does not notice a task that exits with one".to_owned(),
    };
    let none = Vec::new;
    vec![
        running,
        Case { place: OFF_CPU, tasks: none(), says: off_cpu },
        Case { place: EXITED, tasks: none(), says: exited },
    ]
}

fn of_sleeping(
    scene: &Scene<'_>,
    lock: &Lock,
    candidates: impl Fn(&'static str) -> Case,
) -> Vec<Case> {
    let mut cases: Vec<Case> = [RUNNING, RUNNABLE, BLOCKED, SLEEPING]
        .into_iter()
        .map(candidates)
        .filter(|case| !case.tasks.is_empty())
        .collect();
    let others = scene.tasks.len() - lock.holders.len().min(scene.tasks.len());
    let (place, says) = match lock.kind {
        LockKind::Folio => (
            "no task",
            "not excluded: what is being read or written is unlocked by the end of its I/O"
                .to_owned(),
        ),
        _ => (
            EXITED,
            format!(
                "not excluded, nor a task that took it in a function that has returned: no live frame \
                 of the other {others} tasks took it"
            ),
        ),
    };
    cases.push(Case { place, tasks: Vec::new(), says });
    cases
}

fn wanted_of_spinning(scene: &Scene<'_>, lock: &Lock) -> Vec<String> {
    let mut wanted = Vec::new();
    let waiting: HashSet<_> = lock.waiters.iter().map(|waiter| waiter.task.at).collect();
    for (index, task) in scene.tasks.iter().enumerate() {
        let Ok(number) = task.cpu else { continue };
        if !task.active || waiting.contains(&task.at) {
            continue;
        }
        let cpu = scene.session.cpus().iter().find(|cpu| cpu.number == number);
        if cpu.is_some_and(|cpu| cpu.registers.is_err()) {
            wanted.push(format!("the registers of CPU {number}, which are not in the dump"));
        } else if let Some(End::Cut(why)) = scene.traces.get(index).map(|trace| &trace.end) {
            wanted.push(format!("the rest of the stack on CPU {number} ({why})"));
        }
    }
    wanted.push("a kernel with CONFIG_DEBUG_SPINLOCK, which records the owner".to_owned());
    wanted
}

fn wanted(scene: &Scene<'_>, lock: &Lock) -> Vec<String> {
    let mut wanted = Vec::new();
    let mut cut =
        scene.traces.iter().zip(scene.tasks).filter_map(|(trace, task)| match &trace.end {
            End::Cut(why) if !task.active => Some((task, why)),
            _ => None,
        });
    if let Some((task, why)) = cut.next() {
        let more = match cut.count() {
            0 => String::new(),
            n => format!(" and of {n} more tasks"),
        };
        wanted.push(format!("the rest of the stack of {} ({why}){more}", task.label()));
    }
    let last_holder = lock.state.iter().any(|(name, _)| *name == "last_holder");
    if lock.kind == LockKind::Semaphore && !last_holder {
        let option = "CONFIG_DETECT_HUNG_TASK_BLOCKER (since 6.16)";
        wanted.push(format!("a kernel with {option}, which records who took it last"));
    }
    // Neither folios nor semaphores are known to lockdep.
    if !matches!(lock.kind, LockKind::Folio | LockKind::Semaphore) {
        wanted.push("a kernel with CONFIG_LOCKDEP, which records what each task holds".to_owned());
    }
    wanted
}
