//! Where the holder of a lock can be that nothing names, and what would decide it.
//!
//! There are five places, likeliest first: it runs on another CPU; it could run and is not on a CPU;
//! it is in uninterruptible sleep; it sleeps otherwise; it has exited. What speaks for each is in the
//! evidence of the candidates; what strikes the others out is said beside it. Nothing here makes a
//! claim: candidates are holders that are merely [`Confidence::Possible`].

use super::graph::Edges;
use super::scene::Scene;
use super::{Confidence, Lock, LockKind, TaskRef, doing, wanted};
use crate::dump::VirtAddr;
use crate::kernel::{State, Task};
use crate::unwind::End;
use foldhash::HashSet;

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
    /// The message in the log that speaks for it, by its number among the records.
    pub log: Option<usize>,
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
/// Where whoever holds a spinlock can only be by a mistake.
const OFF_CPU: [&str; 3] = [RUNNABLE, BLOCKED, SLEEPING];

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
            cases: of_spinning(scene, candidates, cpus),
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
    Case { place, tasks, says: says.join("; "), log: None }
}

/// What the kernel says of a task that is switched off while it holds a spinlock.
const ATOMIC: &str = "BUG: scheduling while atomic";
/// What it says of one that exits with one.
const EXITED_WITH: &str = "exited with preempt_count";

fn of_spinning(
    scene: &Scene<'_>,
    candidates: impl Fn(&'static str) -> Case,
    cpus: &Cpus,
) -> Vec<Case> {
    let mut running = candidates(RUNNING);
    if running.tasks.is_empty() {
        running.says = "nobody that can".to_owned();
    }
    if !cpus.struck.is_empty() {
        running.says = format!("{}; {}", running.says, cpus.struck);
    }
    let said = |what: &str| {
        let mut records = scene.session.log().records.iter().enumerate();
        let (number, record) = records.find(|(_, it)| it.text.contains(what))?;
        Some((number, record.text.trim()))
    };
    let mut cases = vec![running];
    for place in OFF_CPU {
        let found = candidates(place);
        let there = scene.tasks.iter().filter(|task| place_of(task) == place).count();
        let atomic = said(ATOMIC).filter(|_| place != RUNNABLE);
        let says = off_cpu(place, &found, there, atomic.map(|(_, text)| text), cpus.counts);
        cases.push(Case { says, log: atomic.map(|(number, _)| number), ..found });
    }
    let exited = said(EXITED_WITH);
    let says = match exited {
        Some((_, record)) => format!("perhaps, for the log says: {record}"),
        None if cpus.counts => {
            "unlikely: the log has no word of a task that exited with preempt_count".to_owned()
        }
        None => "not excluded: this kernel does not notice a task that exits with one".to_owned(),
    };
    let log = exited.map(|(number, _)| number);
    cases.push(Case { place: EXITED, tasks: Vec::new(), says, log });
    cases
}

/// What speaks for and against the holder of a spinlock being off the CPUs, where `there` tasks are.
fn off_cpu(place: &str, found: &Case, there: usize, atomic: Option<&str>, counts: bool) -> String {
    let who = match (found.says.as_str(), there) {
        (_, 0) => return "no: no task is there".to_owned(),
        ("", 1) => "the stack of the 1 task there does not show that it took it".to_owned(),
        ("", there) => format!("no stack of the {there} tasks there shows that it took it"),
        (says, _) => says.to_owned(),
    };
    match atomic {
        Some(record) => format!("{who}; not excluded, for the log says: {record}"),
        None if place == RUNNABLE => {
            format!("unlikely: {who}, and whoever holds a spinlock is not switched off")
        }
        None if counts => format!(
            "unlikely: {who}, and the log has no word of a task that slept with a spinlock ({ATOMIC})"
        ),
        None => format!("unlikely, though this kernel does not notice it: {who}"),
    }
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
    cases.push(Case { place, tasks: Vec::new(), says, log: None });
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
        let registers = cpu.is_none_or(|cpu| cpu.registers.is_ok());
        let cut = cut(scene, index).map(|(_, why)| why);
        wanted.extend(missing_of(number, registers, cut));
        wanted.extend(cut.filter(|_| registers).and_then(|_| unwinding(scene, index)));
    }
    wanted.push("a kernel with CONFIG_DEBUG_SPINLOCK, which records the owner".to_owned());
    wanted
}

/// What the dump lacks of a CPU, whose registers it has or not, and whose stack is cut for this reason.
fn missing_of(number: u32, registers: bool, cut: Option<&str>) -> Option<String> {
    match cut {
        _ if !registers => {
            Some(format!("the registers of CPU {number}, which are not in the dump"))
        }
        Some(why) => Some(format!("the rest of the stack on CPU {number} ({why})")),
        None => None,
    }
}

fn wanted(scene: &Scene<'_>, lock: &Lock) -> Vec<String> {
    let mut wanted = Vec::new();
    if let Some((index, more)) = scene.cut()
        && let Some((_, why)) = cut(scene, index)
    {
        let more = match more {
            0 => String::new(),
            n => format!(" and of {n} more tasks"),
        };
        let task = scene.tasks.get(index).map(Task::label).unwrap_or_default();
        wanted.push(format!("the rest of the stack of {task} ({why}){more}"));
        wanted.extend(unwinding(scene, index));
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

/// Why the backtrace of a task ends early, if it does.
fn cut<'s>(scene: &'s Scene<'_>, index: usize) -> Option<(usize, &'s str)> {
    match &scene.traces.get(index)?.end {
        End::Cut(why) => Some((index, why)),
        _ => None,
    }
}

/// The file that tells how to go on from the last frame of a backtrace, where it is not at hand.
fn unwinding(scene: &Scene<'_>, index: usize) -> Option<String> {
    let at = scene.traces.get(index)?.frames.last()?.lookup_pc();
    wanted::debug_file(scene.session, at)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(place: &'static str, says: &str, there: usize, atomic: Option<&str>) -> String {
        let found = Case { place, tasks: Vec::new(), says: says.to_owned(), log: None };
        off_cpu(place, &found, there, atomic, true)
    }

    #[test]
    fn a_spinlocks_holder_is_off_the_cpus_only_by_a_mistake_that_the_log_tells() {
        assert_eq!(told(BLOCKED, "", 0, None), "no: no task is there");
        assert_eq!(
            told(RUNNABLE, "", 3, None),
            "unlikely: no stack of the 3 tasks there shows that it took it, and whoever holds a \
             spinlock is not switched off"
        );
        let slept = told(BLOCKED, "", 1, None);
        assert!(slept.starts_with("unlikely: the stack of the 1 task there does not"), "{slept}");
        assert!(slept.contains("the log has no word of a task that slept"), "{slept}");
        let atomic = Some("BUG: scheduling while atomic: a/7");
        assert_eq!(
            told(SLEEPING, "a[7], which sleeps", 9, atomic),
            "a[7], which sleeps; not excluded, for the log says: BUG: scheduling while atomic: a/7"
        );
    }

    #[test]
    fn a_kernel_that_does_not_count_preemptions_has_not_noticed_who_slept_with_a_spinlock() {
        let found = Case { place: BLOCKED, tasks: Vec::new(), says: String::new(), log: None };
        let told = off_cpu(BLOCKED, &found, 2, None, false);
        assert!(told.starts_with("unlikely, though this kernel does not notice it: "), "{told}");
    }

    use crate::locks::StateValue;
    use crate::locks::testing::Stage;
    use crate::locks::verdict::tests::lock;
    use LockKind::{Completion, Folio, Futex, Mutex, Rwsem, Semaphore, Spinlock};

    #[test]
    fn a_candidate_is_where_its_state_says_unless_it_is_on_a_cpu() {
        let mut stage = Stage::new();
        stage.enter("chain-7", &[]);
        let place = |stage: &mut Stage, state| {
            stage.tasks[0].state = Ok(state);
            place_of(&stage.tasks[0])
        };
        assert_eq!(place(&mut stage, State::Running), RUNNABLE);
        assert_eq!(place(&mut stage, State::Uninterruptible), BLOCKED);
        assert_eq!(place(&mut stage, State::Interruptible), SLEEPING);
        assert_eq!(place(&mut stage, State::Stopped), SLEEPING);
        stage.tasks[0].active = true;
        assert_eq!(place(&mut stage, State::Uninterruptible), RUNNING);
    }

    /// What is not decided about a lock that the first task of the stage possibly holds.
    fn undecided(stage: &Stage, lock: &Lock, cpus: Option<&Cpus>) -> Option<Undecided> {
        let mut lock = lock.clone();
        if let Some(holder) = lock.holders.first_mut() {
            holder.confidence = Confidence::Possible;
            holder.task = crate::locks::analysis::task_ref(&stage.tasks[0]);
        }
        of(&stage.scene(), &[], &Edges::of(&[]), &lock, cpus)
    }

    #[test]
    fn of_a_lock_that_sleeps_the_candidates_are_sorted_by_where_they_are() {
        let mut stage = Stage::new();
        stage.enter("chain-7", &["schedule", "msleep"]);
        stage.enter("chain-6", &["schedule", "msleep"]);
        let found = undecided(&stage, &lock("rw", Rwsem, &[1], &[2]), None).unwrap();
        let cases: Vec<_> = found.cases.iter().map(|case| (case.place, case.tasks.len())).collect();
        assert_eq!(cases, [(BLOCKED, 1), (EXITED, 0)]);
        assert_eq!(found.cases[0].says, "chain-7[124], which sleeps uninterruptibly in msleep");
        assert!(found.cases[1].says.ends_with("no live frame of the other 1 tasks took it"));
        let found = undecided(&stage, &lock("p", Folio, &[], &[2]), None).unwrap();
        assert_eq!(found.cases[0].place, "no task");
    }

    #[test]
    fn of_a_spinlock_what_strikes_the_cpus_out_is_said_and_whether_an_exit_would_be_noticed() {
        let mut stage = Stage::new();
        stage.run("chain-7", 1, &["vfs_read"]);
        stage.enter("chain-6", &["schedule", "msleep"]);
        let says = |holders: &[u32], struck: &str, counts| {
            let cpus = Cpus { struck: struck.to_owned(), counts };
            let found = undecided(&stage, &lock("s", Spinlock, holders, &[2]), Some(&cpus));
            found.unwrap().cases.into_iter().map(|case| case.says).collect::<Vec<_>>()
        };
        let cases = says(&[1], "not CPU 0 (is idle)", true);
        assert_eq!(cases[0], "chain-7[124], which runs on CPU 1 in vfs_read; not CPU 0 (is idle)");
        assert_eq!(cases[1], "no: no task is there");
        assert!(cases[2].starts_with("unlikely: the stack of the 1 task there"), "{}", cases[2]);
        assert!(cases[4].starts_with("unlikely: the log has no word"), "{}", cases[4]);
        let cases = says(&[], "", false);
        assert_eq!(cases[0], "nobody that can");
        assert!(cases[4].starts_with("not excluded"), "{}", cases[4]);
    }

    #[test]
    fn what_nobody_can_hold_or_somebody_does_for_sure_is_not_undecided() {
        let mut stage = Stage::new();
        stage.enter("chain-7", &[]);
        for kind in [Completion, Futex, LockKind::Waitqueue, LockKind::Bit] {
            assert_eq!(undecided(&stage, &lock("l", kind, &[], &[2]), None), None);
        }
        assert_eq!(undecided(&stage, &lock("l", Mutex, &[], &[]), None), None);
        let free = Lock { readers: Some(0), ..lock("l", Rwsem, &[], &[2]) };
        assert_eq!(undecided(&stage, &free, None), None);
        let orphaned = Lock { orphaned: true, ..lock("l", Rwsem, &[], &[2]) };
        assert_eq!(undecided(&stage, &orphaned, None), None);
        let held = lock("l", Rwsem, &[1], &[2]);
        assert_eq!(of(&stage.scene(), &[], &Edges::of(&[]), &held, None), None);
    }

    #[test]
    fn what_is_missing_of_a_cpu_that_waits_itself_would_decide_nothing() {
        let mut stage = Stage::new();
        let index = stage.run("chain-7", 1, &["vfs_read"]);
        stage.traces[index].end = crate::unwind::End::Cut("no table".to_owned());
        let mut spinlock = lock("l", Spinlock, &[], &[2]);
        let all = wanted_of_spinning(&stage.scene(), &spinlock);
        assert!(all.iter().any(|it| it.contains("CPU 1") && it.contains("no table")), "{all:?}");
        spinlock.waiters[0].task = crate::locks::analysis::task_ref(&stage.tasks[index]);
        let others = wanted_of_spinning(&stage.scene(), &spinlock);
        assert_eq!(others, ["a kernel with CONFIG_DEBUG_SPINLOCK, which records the owner"]);
    }

    #[test]
    fn what_would_decide_it_depends_on_the_kind_of_lock() {
        let mut stage = Stage::new();
        stage.enter("chain-7", &[]);
        let wanted = |lock: &Lock| wanted(&stage.scene(), lock).join("; ");
        assert!(wanted(&lock("l", Mutex, &[], &[2])).contains("CONFIG_LOCKDEP"));
        assert_eq!(wanted(&lock("l", Folio, &[], &[2])), "");
        let mut semaphore = lock("l", Semaphore, &[], &[2]);
        let blocker = wanted(&semaphore);
        assert!(blocker.starts_with("a kernel with CONFIG_DETECT_HUNG_TASK_BLOCKER"), "{blocker}");
        semaphore.state.push(("last_holder", StateValue::Bits(0)));
        assert_eq!(wanted(&semaphore), "");
    }

    #[test]
    fn stacks_that_are_cut_short_would_decide_it_too() {
        let mut stage = Stage::new();
        for comm in ["chain-7", "chain-6", "chain-5"] {
            stage.enter(comm, &["schedule"]);
        }
        let runs = stage.run("mm-holder", 2, &["vfs_read"]);
        for index in [0, 1, runs] {
            stage.traces[index].end = End::Cut("its page is not in the dump".to_owned());
        }
        let wanted = wanted(&stage.scene(), &lock("l", Folio, &[], &[2]));
        assert_eq!(
            wanted[0],
            "the rest of the stack of chain-7[124] (its page is not in the dump) and of 1 more tasks"
        );
        let of_cpus = wanted_of_spinning(&stage.scene(), &lock("s", Spinlock, &[], &[2]));
        assert_eq!(of_cpus[0], "the rest of the stack on CPU 2 (its page is not in the dump)");
        assert!(of_cpus.last().unwrap().contains("CONFIG_DEBUG_SPINLOCK"));
        assert_eq!(missing_of(3, true, None), None);
        assert_eq!(
            missing_of(3, false, Some("so")).unwrap(),
            "the registers of CPU 3, which are not in the dump"
        );
    }
}
