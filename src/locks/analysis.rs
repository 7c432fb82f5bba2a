//! From tasks and stacks to the [`LockGraph`].

use super::complaints::Complaints;
use super::decode::{self, Decoded, Recorded};
use super::evidence::Held;
use super::graph::{self, Edges};
use super::layout::Queue;
use super::name::Names;
use super::scene::Scene;
use super::stack::Code;
use super::undecided::Cpus;
use super::waiting::{self, Found, Untied};
use super::{
    Blocked, Confidence, Holder, Lock, LockGraph, LockKind, Mode, Root, TaskRef, Waiter, Why,
    chain, doing, elimination, evidence, pi, statics, undecided, verdict, wanted,
};
use crate::dump::VirtAddr;
use crate::kernel::{Progress, Session, Task};
use foldhash::{HashMap, HashSet};
use rayon::prelude::*;
use std::collections::BTreeMap;

/// So many tasks are named in a note.
const NAMED: usize = 3;

/// Finds every lock that somebody waits for, who holds it, and what follows.
#[must_use]
pub fn analyse(session: &Session) -> LockGraph {
    analyse_watched(session, &Progress::default()).unwrap_or_default()
}

/// The same for those who want to see how far it is, and to stop it: then `None`.
#[must_use]
pub fn analyse_watched(session: &Session, progress: &Progress) -> Option<LockGraph> {
    let code = Code::new(session);
    let scene = Scene::new(session, &code, progress);
    if progress.stopped() {
        return None;
    }
    let mut graph = LockGraph::default();
    let mut queues = Vec::new();
    let realtime = pi::inside(session.types(), LockKind::Mutex).is_some();
    for probed in Queue::probe_all(session.types()) {
        match probed {
            Ok(queue) => queues.push(queue),
            // On PREEMPT_RT these are built on rt_mutexes, which are looked for elsewhere.
            Err((LockKind::Mutex | LockKind::Rwsem, _)) if realtime => {}
            Err((kind, error)) => {
                graph.notes.push(format!("{}: waiters are not decoded: {error}", kind.name()));
            }
        }
    }
    let waits = waiting::find(&scene, &code, &queues);
    if progress.stopped() {
        return None;
    }
    graph.notes.extend(waits.notes);
    let names = Names::new(session, scene.tasks);
    let known: HashSet<_> = waits.found.iter().map(|found| found.at).collect();
    let mut locks: Vec<Lock> =
        waits.found.into_par_iter().map(|found| lock(&scene, &names, found)).collect();
    locks.extend(without_waiters(&scene, &names, &queues, &known));
    let cpus = add_evidence(&scene, &code, &mut locks);
    if progress.stopped() {
        return None;
    }
    let edges = Edges::of(&locks);
    graph::count_blocked(&mut locks, &edges);
    locks.sort_by_key(|lock| (lock.is_idle(), std::cmp::Reverse(lock.blocks), lock.at));
    graph.locks = locks;
    let edges = Edges::of(&graph.locks);
    let undecided: Vec<_> = graph
        .locks
        .iter()
        .map(|lock| undecided::of(&scene, &graph.locks, &edges, lock, cpus.get(&lock.at)))
        .collect();
    for (lock, undecided) in graph.locks.iter_mut().zip(undecided) {
        lock.undecided = undecided;
    }
    graph.cycles = graph::cycles(&graph.locks, &edges);
    let messages = session.log().records.iter().map(|record| &*record.text);
    let complaints = Complaints::of(messages);
    graph.roots = graph::roots(&graph, &edges)
        .into_iter()
        .map(|(task, blocks)| {
            let doing = doing::describe(&scene, &graph.locks, &edges, task.at, &complaints);
            let log = doing::messages(&scene, task.at, &complaints);
            Root { task, blocks, doing, log }
        })
        .collect();
    graph.others = others(&scene, &graph.locks, &waits.untied);
    note_untied(&scene, &waits.untied, &mut graph);
    note_unheld(session, &mut graph);
    let asleep = scene.tasks.iter().filter(|task| scene.uninterruptible(task)).count();
    let waits_in = |lock: &Lock| doing::waits_in(&scene, lock.waiters.first()?.task.at);
    graph.verdict = verdict::of(&graph, asleep, &complaints, &waits_in);
    let cpu_of = |at| scene.task_at(at).filter(|task| task.active)?.cpu.clone().ok();
    if let Some(told) = chain::told(&graph, &complaints, cpu_of) {
        graph.verdict = format!("{told} {}", graph.verdict);
    }
    if let Some(missing) = session.tasks().notes.first() {
        graph.verdict = format!(
            "The list of tasks is doubtful ({missing}). Of the {} found: {}",
            scene.tasks.len(),
            graph.verdict
        );
    }
    if let Some(what) = session.synthetic() {
        graph.verdict = format!("{} (This dump is synthetic: {what}.)", graph.verdict);
    }
    (!progress.stopped()).then_some(graph)
}

pub(super) fn task_ref(task: &Task) -> TaskRef {
    TaskRef { pid: task.pid, at: task.at, comm: task.comm.clone() }
}

fn lock(scene: &Scene<'_>, names: &Names<'_>, found: Found) -> Lock {
    let spinning = found.queue.iter().any(|queued| queued.spinning);
    let decoded = decode::decode(scene.session, found.kind, found.at, spinning);
    let Decoded { state, words, holders, readers, doubts: more } =
        decoded.unwrap_or_else(|error| Decoded {
            words: "state unknown".to_owned(),
            doubts: vec![error.to_string()],
            ..Decoded::default()
        });
    let mut doubts = found.doubts.clone();
    doubts.extend(more);
    let mut orphaned = false;
    let holders: Vec<Holder> = holders
        .into_iter()
        .chain(found.recorded.iter().cloned())
        .filter_map(|recorded| {
            let gone = exited(scene, &found, &recorded);
            if let Some(gone) = gone {
                orphaned |= recorded.confidence == Confidence::Certain;
                doubts.push(gone);
                return None;
            }
            let task = task_ref(scene.task_at(recorded.task)?);
            let Recorded { mode, confidence, why, .. } = recorded;
            Some(if boosts(scene, &found) {
                let why = why.then(
                    "RCU made it the owner, to lend it the priority of those who wait for the end of \
                     what it reads",
                );
                Holder { task, mode, confidence: Confidence::Likely, why }
            } else {
                Holder { task, mode, confidence, why }
            })
        })
        .collect();
    let name = names.of(&found);
    let place = names.place(&found, &name);
    let waiters: Vec<Waiter> = found
        .queue
        .into_iter()
        .filter_map(|queued| {
            let task = scene.tasks.get(queued.task)?;
            Some(Waiter {
                task: task_ref(task),
                mode: queued.mode,
                position: queued.position,
                spinning: queued.spinning,
                in_interrupt: queued.in_interrupt,
                since: task.since_ran.as_ref().ok().copied().filter(|_| !queued.spinning),
                confidence: queued.confidence,
                why: queued.why,
            })
        })
        .collect();
    let waiting = in_words(&waiters);
    Lock {
        at: found.at,
        kind: found.kind,
        ty: found.kind.ty(),
        symbol: names.symbol(found.at),
        place,
        name,
        state: found.state.into_iter().chain(state).collect(),
        words: if words.is_empty() { waiting } else { format!("{words}, {waiting}") },
        holders,
        waiters,
        readers,
        orphaned,
        undecided: None,
        doubts,
        blocks: 0,
    }
}

/// How many wait and how: `2 spinning, 3 waiting`.
fn in_words(waiters: &[Waiter]) -> String {
    let spinning = waiters.iter().filter(|waiter| waiter.spinning).count();
    match (spinning, waiters.len() - spinning) {
        (0, asleep) => format!("{asleep} waiting"),
        (spinning, 0) => format!("{spinning} spinning"),
        (spinning, asleep) => format!("{spinning} spinning, {asleep} waiting"),
    }
}

/// Whether it is a lock that nobody took: RCU makes a slow reader its owner and waits for it, so that
/// the reader inherits a priority (`rcu_boost`).
fn boosts(scene: &Scene<'_>, found: &Found) -> bool {
    let mut waiting = found.queue.iter().map(|queued| scene.functions(queued.task));
    found.kind == LockKind::RtMutex && waiting.any(is_boosting)
}

fn is_boosting(functions: &[&str]) -> bool {
    functions.iter().any(|name| name.starts_with("rcu_boost"))
}

/// Why a recorded holder is not there any more, if it is not.
fn exited(scene: &Scene<'_>, found: &Found, recorded: &Recorded) -> Option<String> {
    let record = recorded.why.to_string().replace("this task", "a task");
    let Some(task) = scene.task_at(recorded.task) else {
        return Some(format!(
            "{record}, but no task lives at {}: the holder has exited",
            recorded.task
        ));
    };
    if recorded.confidence != Confidence::Certain {
        return None;
    }
    let first = found.queue.iter().find(|queued| queued.position == Some(1) && !queued.spinning)?;
    let waited = scene.tasks.get(first.task)?.since_ran.as_ref().ok()?;
    let late = scene.clock.started_after(*task.started.as_ref().ok()?, *waited)?;
    Some(format!(
        "{record}; there lives {} now, which was started {:.1} s after the first in line had begun \
         to wait: the holder has exited and its task_struct was used again",
        task.label(),
        late.as_secs_f64()
    ))
}

/// Locks that are held and that nobody waits for: static ones, and parts of what is well known.
fn without_waiters(
    scene: &Scene<'_>,
    names: &Names<'_>,
    queues: &[Queue],
    known: &HashSet<VirtAddr>,
) -> Vec<Lock> {
    let parts = names
        .busy()
        .iter()
        .filter(|(_, at)| !known.contains(at))
        .map(|(kind, at)| lock(scene, names, Found::new(*kind, *at)))
        .filter(|lock| lock.readers != Some(0));
    statics::held(scene, queues)
        .into_iter()
        .filter(|(_, at)| !known.contains(at))
        .map(|(kind, at)| lock(scene, names, Found::new(kind, at)))
        .chain(parts)
        .collect()
}

/// Adds the holders that only their stacks show, where a lock does not record its own.
fn add_evidence<'s>(
    scene: &Scene<'s>,
    code: &Code<'s>,
    locks: &mut [Lock],
) -> HashMap<VirtAddr, Cpus> {
    if !locks.iter().any(wants_evidence) {
        return HashMap::default();
    }
    let mut by_lock: HashMap<_, Vec<&Held>> = locks
        .iter()
        .filter(|lock| wants_evidence(lock))
        .map(|lock| ((Some(lock.at), lock.kind), Vec::new()))
        .collect();
    let held = scene.held(code);
    for held in held {
        if let Some(of_lock) = by_lock.get_mut(&(held.at, held.kind)) {
            of_lock.push(held);
        }
    }
    for lock in locks.iter_mut().filter(|lock| wants_evidence(lock)) {
        let held = by_lock.get(&(Some(lock.at), lock.kind)).into_iter().flatten();
        let shown = held.filter_map(|held| {
            let task = task_ref(scene.tasks.get(held.task)?);
            let Held { mode, sure, interrupted, .. } = **held;
            Some(Shown { task, mode, sure, interrupted, why: evidence::why(scene, held) })
        });
        let shown: Vec<Shown> = shown.collect();
        doubt_own_waiters(lock, &shown);
        add_holders(lock, shown);
        hold_against_count(lock);
    }
    let mut spinning: HashMap<VirtAddr, u32> = HashMap::default();
    for waiter in locks.iter().flat_map(|lock| &lock.waiters).filter(|waiter| waiter.spinning) {
        *spinning.entry(waiter.task.at).or_default() += 1;
    }
    locks
        .iter_mut()
        .filter_map(|lock| Some((lock.at, elimination::add(scene, lock, &spinning, held)?)))
        .collect()
}

/// A task whose code shows that it took a lock.
struct Shown {
    task: TaskRef,
    mode: Mode,
    sure: bool,
    interrupted: bool,
    why: Why,
}

/// Adds to a lock the tasks whose code shows that they took it.
fn add_holders(lock: &mut Lock, shown: Vec<Shown>) {
    let recorded: HashSet<_> = lock.holders.iter().map(|holder| holder.task.at).collect();
    let waiting: HashSet<_> = lock.waiters.iter().map(|waiter| waiter.task.at).collect();
    for Shown { task, mode, sure, interrupted, why } in shown {
        let both = recorded.contains(&task.at);
        // Having asked for a lock on some path is what everybody who waits for it has done, unless it
        // is an interrupt that waits.
        if !sure && !both && !interrupted && waiting.contains(&task.at) {
            continue;
        }
        // Where the lock's own record names it too, two independent traces tell one fact.
        let confidence = if sure || both { Confidence::Likely } else { Confidence::Possible };
        match lock.holders.iter_mut().find(|holder| holder.task == task) {
            Some(known) => {
                known.confidence = known.confidence.min(confidence);
                let recorded = std::mem::take(&mut known.why);
                known.why = why.join(recorded);
            }
            None => lock.holders.push(Holder { task, mode, confidence, why }),
        }
    }
    lock.holders.sort_by_key(|holder| (holder.confidence, holder.task.pid));
}

/// A task that the lock names while it waits for it, and whose code did not take it, may just live
/// where its owner lived: a `task_struct` goes to the next task that is started once its task has
/// ended, and the clocks tell nothing if that one was the first to wait.
fn doubt_own_waiters(lock: &mut Lock, shown: &[Shown]) {
    let waiting: HashSet<_> = lock.waiters.iter().map(|waiter| waiter.task.at).collect();
    for holder in &mut lock.holders {
        let at = holder.task.at;
        let took_it = || shown.iter().any(|shown| shown.task.at == at);
        if holder.confidence == Confidence::Certain && waiting.contains(&at) && !took_it() {
            holder.confidence = Confidence::Possible;
            holder.why = std::mem::take(&mut holder.why).then(
                "but it waits for it, and no call that it is in took it: it took it in a call that \
                 has returned, or a task that has exited did, whose task_struct it was given",
            );
        }
    }
}

/// Holds the readers that were found against how many the lock counts.
fn hold_against_count(lock: &mut Lock) {
    let shown =
        lock.holders.iter().filter(|holder| holder.confidence != Confidence::Possible).count();
    let Some(readers) = lock.readers else { return };
    let shown = u64::try_from(shown).unwrap_or(u64::MAX);
    if shown > readers {
        lock.doubts.push(format!("{shown} tasks look like its readers, and it counts {readers}"));
    } else if shown == readers {
        // All are found: who else once was a reader is none now.
        lock.holders.retain(|holder| holder.confidence != Confidence::Possible);
    } else if shown > 0 {
        lock.doubts.push(format!("it counts {readers} readers, of whom {shown} could be found"));
    }
}

/// Whether a lock can be held and does not say for sure by whom.
fn wants_evidence(lock: &Lock) -> bool {
    !lock.kind.is_condition()
        && lock.readers != Some(0)
        && !lock.orphaned
        // Whoever has a page locked does not hold its other bits.
        && (lock.kind != LockKind::Folio || lock.waiters.iter().any(|it| it.mode == Mode::Excl))
        && !lock.holders.iter().any(|holder| {
            let waits = || lock.waiters.iter().any(|waiter| waiter.task.at == holder.task.at);
            holder.confidence == Confidence::Certain && !waits()
        })
}

/// Tasks in uninterruptible sleep that wait for no lock of the graph.
fn others(scene: &Scene<'_>, locks: &[Lock], untied: &[Untied]) -> Vec<Blocked> {
    let tied: HashSet<_> =
        locks.iter().flat_map(|lock| &lock.waiters).map(|waiter| waiter.task.at).collect();
    let whys: HashMap<usize, &String> =
        untied.iter().map(|untied| (untied.task, &untied.why)).collect();
    let mut others = Vec::new();
    for (index, task) in scene.tasks.iter().enumerate() {
        if tied.contains(&task.at) {
            continue;
        }
        let why = whys.get(&index).map(|why| (*why).clone());
        if why.is_none() && (!scene.uninterruptible(task) || task.active) {
            continue;
        }
        others.push(Blocked {
            task: task_ref(task),
            on: why.unwrap_or_else(|| doing::sleeping_in(scene, index)),
            since: task.since_ran.as_ref().ok().copied(),
        });
    }
    others.sort_by_key(|blocked| (std::cmp::Reverse(blocked.since), blocked.task.pid));
    others
}

/// Says of which tasks the lock is not known that they wait for, and what may tell.
fn note_untied(scene: &Scene<'_>, untied: &[Untied], graph: &mut LockGraph) {
    let mut by_files: BTreeMap<Vec<String>, Vec<String>> = BTreeMap::new();
    for untied in untied {
        let Some(task) = scene.tasks.get(untied.task) else { continue };
        by_files.entry(wanted::of_stack(scene, untied.task)).or_default().push(task.label());
    }
    for (files, tasks) in by_files {
        let more = tasks.len().saturating_sub(NAMED);
        let more = if more > 0 { format!(", {more} more") } else { String::new() };
        let tasks: Vec<String> = tasks.into_iter().take(NAMED).collect();
        let wanted = match files.as_slice() {
            [] => "nothing else in a dump would tell".to_owned(),
            files => format!("to decide it: {}", files.join(", or ")),
        };
        graph.notes.push(format!(
            "which lock it is that is waited for by {}{more} is not known; {wanted}",
            tasks.join(", ")
        ));
    }
}

/// Says of which locks the holder is not known, and what would tell.
fn note_unheld(session: &Session, graph: &mut LockGraph) {
    let mut notes = Vec::new();
    for lock in &graph.locks {
        let Some(undecided) = &lock.undecided else { continue };
        let keeps = match lock.kind {
            LockKind::Semaphore => "a semaphore does not record who took its permits",
            LockKind::PercpuRwsem if lock.readers.is_none() => {
                "it records its writer only while that waits for readers to leave"
            }
            LockKind::Rwsem | LockKind::PercpuRwsem => "it does not record its readers",
            LockKind::Rwlock | LockKind::Spinlock => "it records no owner",
            LockKind::Folio => "a folio's lock bit records no owner",
            _ => "its owner field names no live task",
        };
        let at = lock.at.to_string();
        let place = if lock.name.contains(&at) { String::new() } else { format!(" {at}") };
        let wanted = match undecided.wanted_in_words() {
            wanted if wanted.is_empty() => "nothing in a dump would tell".to_owned(),
            wanted => format!("to decide it: {wanted}"),
        };
        let unknown = match lock.holders.is_empty() {
            true => "holder unknown",
            false => "holder not known for sure",
        };
        notes.push(format!("{}{place}: {unknown}: {keeps}; {wanted}", lock.name));
    }
    // Whoever knows the word of a futex has it in the lock's state.
    let is_read = |lock: &&Lock| lock.state.iter().any(|(name, _)| *name == "word");
    let idle = graph.locks.iter().filter(|lock| lock.is_idle());
    let (read, unread): (Vec<&Lock>, Vec<&Lock>) = idle.partition(is_read);
    let futexes = |locks: &[&Lock]| match locks {
        [lock] => lock.name.clone(),
        locks => format!("{} futexes", locks.len()),
    };
    if !unread.is_empty() {
        let shared = unread.iter().any(|lock| lock.name.contains("shared"));
        let wanted = wanted::user_pages(session.dump().info().dump_level, shared);
        notes.push(format!(
            "{}: holder unknown: only user space knows its owner; to decide it: {wanted}",
            futexes(&unread)
        ));
    }
    if !read.is_empty() {
        notes.push(format!(
            "{}: holder unknown, if there is one: the word in user memory names no thread; nothing \
             else in a dump would tell",
            futexes(&read)
        ));
    }
    graph.notes.extend(notes);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::locks::Why;

    fn task(pid: u32) -> TaskRef {
        TaskRef { pid, at: VirtAddr(u64::from(pid)), comm: "t".into() }
    }

    fn holder(pid: u32, confidence: Confidence) -> Holder {
        Holder { task: task(pid), mode: Mode::Read, confidence, why: Why::new("its record") }
    }

    fn waiter(pid: u32, mode: Mode, spinning: bool) -> Waiter {
        Waiter {
            task: task(pid),
            mode,
            position: None,
            spinning,
            in_interrupt: false,
            since: None,
            confidence: Confidence::Certain,
            why: Why::default(),
        }
    }

    /// A rwsem that counts these readers, with these holders and task 9 waiting to write.
    fn rwsem(readers: u64, holders: &[(u32, Confidence)]) -> Lock {
        let holders = holders.iter().map(|(pid, confidence)| holder(*pid, *confidence));
        Lock {
            at: VirtAddr(0x1000),
            kind: LockKind::Rwsem,
            ty: LockKind::Rwsem.ty(),
            symbol: None,
            name: "rw".to_owned(),
            state: Vec::new(),
            words: String::new(),
            holders: holders.collect(),
            waiters: vec![waiter(9, Mode::Write, false)],
            readers: Some(readers),
            orphaned: false,
            place: None,
            undecided: None,
            doubts: Vec::new(),
            blocks: 1,
        }
    }

    /// The holders of a lock once these tasks' code has shown that they took it, surely or not.
    fn after(lock: &mut Lock, found: &[(u32, bool)]) -> Vec<(u32, Confidence)> {
        let why = Why::new("its code");
        let shown = |&(pid, sure): &(u32, bool)| Shown {
            task: task(pid),
            mode: Mode::Read,
            sure,
            interrupted: false,
            why: why.clone(),
        };
        let shown: Vec<Shown> = found.iter().map(shown).collect();
        doubt_own_waiters(lock, &shown);
        add_holders(lock, shown);
        lock.holders.iter().map(|holder| (holder.task.pid, holder.confidence)).collect()
    }

    use Confidence::{Certain, Likely, Possible};

    #[test]
    fn code_that_took_a_lock_on_every_path_makes_a_holder_likely_and_on_some_possible() {
        let found = after(&mut rwsem(3, &[]), &[(3, false), (5, true), (4, true)]);
        assert_eq!(found, [(4, Likely), (5, Likely), (3, Possible)]);
    }

    #[test]
    fn a_holder_that_the_lock_names_and_whose_code_shows_it_is_likely_and_told_by_both() {
        let mut lock = rwsem(2, &[(3, Possible), (4, Possible)]);
        assert_eq!(after(&mut lock, &[(4, false)]), [(4, Likely), (3, Possible)]);
        assert_eq!(lock.holders[0].why.to_string(), "its code; its record");
    }

    #[test]
    fn a_task_that_waits_for_a_lock_holds_it_only_if_its_code_took_it_on_every_path() {
        assert_eq!(after(&mut rwsem(1, &[]), &[(9, false)]), []);
        assert_eq!(after(&mut rwsem(1, &[]), &[(9, true)]), [(9, Likely)]);
    }

    #[test]
    fn a_task_that_a_lock_names_while_it_waits_for_it_is_believed_if_its_code_took_it() {
        let waiting_itself = || rwsem(1, &[(9, Certain)]);
        assert!(wants_evidence(&waiting_itself()));
        assert_eq!(after(&mut waiting_itself(), &[(9, true)]), [(9, Certain)]);
        assert_eq!(after(&mut waiting_itself(), &[(9, false)]), [(9, Certain)]);
        let mut lock = waiting_itself();
        assert_eq!(after(&mut lock, &[]), [(9, Possible)]);
        assert!(lock.holders[0].why.to_string().contains("a task that has exited did"));
        // Who is named and does not wait is not doubted.
        assert_eq!(after(&mut rwsem(1, &[(3, Certain)]), &[]), [(3, Certain)]);
    }

    #[test]
    fn once_as_many_readers_are_found_as_are_counted_the_last_on_record_is_none() {
        let mut lock = rwsem(1, &[(3, Likely), (4, Possible)]);
        hold_against_count(&mut lock);
        assert_eq!((lock.holders.len(), &lock.doubts[..]), (1, &[][..]));
    }

    #[test]
    fn readers_that_are_missing_or_too_many_are_said() {
        let doubt = |readers, holders: &[(u32, Confidence)]| {
            let mut lock = rwsem(readers, holders);
            hold_against_count(&mut lock);
            assert_eq!(lock.holders.len(), holders.len());
            lock.doubts.pop()
        };
        let missing = doubt(3, &[(3, Likely), (4, Possible)]);
        assert_eq!(missing.unwrap(), "it counts 3 readers, of whom 1 could be found");
        let many = doubt(1, &[(3, Likely), (4, Likely)]);
        assert_eq!(many.unwrap(), "2 tasks look like its readers, and it counts 1");
        assert_eq!(doubt(2, &[(4, Possible)]), None);
    }

    #[test]
    fn stacks_are_asked_only_for_locks_that_may_be_held_and_do_not_say_by_whom() {
        assert!(wants_evidence(&rwsem(1, &[(3, Likely)])));
        assert!(!wants_evidence(&rwsem(1, &[(3, Certain)])));
        assert!(!wants_evidence(&rwsem(0, &[])));
        assert!(!wants_evidence(&Lock { orphaned: true, ..rwsem(1, &[]) }));
        assert!(!wants_evidence(&Lock { kind: LockKind::Completion, ..rwsem(1, &[]) }));
        // Whoever waits for the end of a page's I/O waits for no holder.
        let page = |mode| Lock {
            kind: LockKind::Folio,
            waiters: vec![waiter(9, mode, false)],
            ..rwsem(1, &[])
        };
        assert!(wants_evidence(&page(Mode::Excl)));
        assert!(!wants_evidence(&page(Mode::None)));
    }

    #[test]
    fn those_who_spin_and_those_who_sleep_are_counted_apart() {
        let asleep = || waiter(1, Mode::Excl, false);
        let spins = || waiter(2, Mode::Excl, true);
        assert_eq!(in_words(&[asleep(), asleep()]), "2 waiting");
        assert_eq!(in_words(&[spins()]), "1 spinning");
        assert_eq!(in_words(&[asleep(), spins(), asleep()]), "1 spinning, 2 waiting");
    }

    #[test]
    fn an_rt_mutex_that_the_booster_of_rcu_waits_for_was_lent_and_not_taken() {
        assert!(is_boosting(&["schedule", "__rt_mutex_slowlock", "rt_mutex_lock", "rcu_boost"]));
        assert!(is_boosting(&["rt_mutex_lock", "rcu_boost_kthread", "kthread"]));
        assert!(!is_boosting(&["rt_mutex_lock", "driver_thread", "kthread"]));
    }

    use crate::locks::testing::Stage;
    use crate::locks::waiting::Queued;

    /// A lock at an address without memory, whose record names a task, and for which these wait.
    fn recorded(
        kind: LockKind,
        task: VirtAddr,
        confidence: Confidence,
        queue: Vec<Queued>,
    ) -> (Found, Recorded) {
        let why = Why::new("its word is this task");
        let recorded = Recorded { task, mode: Mode::Excl, confidence, why };
        let mut found = Found::new(kind, VirtAddr(0x7000));
        (found.queue, found.recorded) = (queue, vec![recorded.clone()]);
        (found, recorded)
    }

    fn queued(task: usize, position: Option<u32>, spinning: bool) -> Queued {
        let (mode, confidence, why) = (Mode::Excl, Certain, Why::default());
        Queued { task, mode, position, spinning, in_interrupt: false, confidence, why }
    }

    /// What becomes of a lock with such a record.
    fn made(stage: &Stage, found: Found) -> Lock {
        let scene = stage.scene();
        super::lock(&scene, &Names::new(&stage.session, scene.tasks), found)
    }

    #[test]
    fn a_lock_is_orphaned_if_its_certain_owner_is_not_there_any_more() {
        let orphaned = |confidence| {
            let (found, _) = recorded(LockKind::Futex, VirtAddr(0x1000), confidence, Vec::new());
            let lock = made(&Stage::new(), found);
            assert_eq!((lock.holders.len(), lock.doubts.len()), (0, 1));
            assert!(lock.doubts[0].contains("no task lives at 0x1000"), "{:?}", lock.doubts);
            lock.orphaned
        };
        assert_eq!([Certain, Likely, Possible].map(orphaned), [true, false, false]);
    }

    #[test]
    fn an_owner_that_rcu_made_one_is_likely() {
        let mut stage = Stage::new();
        let owner = stage.enter("chain-6", &["schedule", "vfs_read"]);
        let owner = stage.tasks[owner].at;
        let waits = stage.enter("chain-7", &["schedule", "rt_mutex_lock", "rcu_boost_kthread"]);
        let of = |kind| {
            let queue = vec![queued(waits, Some(1), false)];
            let (found, _) = recorded(kind, owner, Certain, queue);
            let holder = made(&stage, found).holders.remove(0);
            (holder.confidence, holder.why.to_string().contains("RCU made it the owner"))
        };
        assert_eq!(of(LockKind::RtMutex), (Likely, true));
        assert_eq!(of(LockKind::Futex), (Certain, false));
    }

    #[test]
    fn only_who_sleeps_has_slept_for_some_time() {
        let mut stage = Stage::new();
        let waits = stage.enter("chain-7", &["native_queued_spin_lock_slowpath", "vfs_read"]);
        let since = |spinning| {
            let queue = vec![queued(waits, None, spinning)];
            let (found, _) = recorded(LockKind::Futex, VirtAddr(0x1000), Certain, queue);
            made(&stage, found).waiters.remove(0).since.is_some()
        };
        assert_eq!((since(true), since(false)), (false, true));
    }

    #[test]
    fn when_the_first_in_line_began_to_wait_is_known_only_if_it_sleeps() {
        let mut stage = Stage::new();
        let owner = stage.enter("chain-6", &["schedule", "vfs_read"]);
        let first = stage.enter("chain-7", &["schedule", "mutex_lock"]);
        let seconds = std::time::Duration::from_secs;
        let uptime = stage.session.system().uptime.clone().unwrap();
        stage.tasks[owner].started = Ok(uptime - seconds(5));
        stage.tasks[owner].since_ran = Ok(seconds(1));
        stage.tasks[first].started = Ok(seconds(0));
        stage.tasks[first].since_ran = Ok(seconds(10));
        let owner = stage.tasks[owner].at;
        let gone = |position, spinning, confidence| {
            let queue = vec![queued(first, position, spinning)];
            let (found, recorded) = recorded(LockKind::Futex, owner, confidence, queue);
            exited(&stage.scene(), &found, &recorded)
        };
        let says = gone(Some(1), false, Certain).unwrap();
        assert!(
            says.contains("chain-6[123] now, which was started") && says.contains("used again"),
            "{says}"
        );
        assert_eq!(gone(Some(1), true, Certain), None);
        assert_eq!(gone(Some(2), false, Certain), None);
        assert_eq!(gone(Some(1), false, Likely), None);
    }

    #[test]
    fn blocked_on_something_else_is_who_sleeps_uninterruptibly_or_was_not_tied_to_its_lock() {
        let mut stage = Stage::new();
        let functions = ["schedule", "msleep", "vfs_read"];
        stage.enter("chain-7", &functions);
        let asleep = stage.enter("chain-6", &functions);
        stage.tasks[asleep].state = Ok(crate::kernel::State::Interruptible);
        let runs = stage.run("mm-holder", 2, &functions);
        stage.tasks[runs].state = Ok(crate::kernel::State::Uninterruptible);
        let others = |locks: &[Lock], untied: &[Untied]| {
            let others = others(&stage.scene(), locks, untied).into_iter();
            let mut others: Vec<_> = others.map(|it| (it.task.comm.to_string(), it.on)).collect();
            others.sort();
            others
        };
        let sleeps =
            ("chain-7".to_owned(), "sleeps uninterruptibly in msleep ← vfs_read".to_owned());
        assert_eq!(others(&[], &[]), std::slice::from_ref(&sleeps));
        let untied = [Untied { task: asleep, why: "no waiter".to_owned() }];
        assert_eq!(others(&[], &untied), [("chain-6".to_owned(), "no waiter".to_owned()), sleeps]);
        let mut lock = rwsem(1, &[]);
        lock.waiters[0].task = task_ref(&stage.tasks[0]);
        assert_eq!(others(&[lock], &[]), []);
    }

    #[test]
    fn a_lock_whose_record_leads_nowhere_is_listed_and_says_so() {
        let mut stage = Stage::new();
        let waits = stage.enter("chain-7", &["schedule", "mutex_lock"]);
        for kind in [LockKind::Mutex, LockKind::Rwsem, LockKind::Semaphore, LockKind::RtMutex] {
            let at = VirtAddr(0xdead_0000_0000_0100);
            let found = Found { queue: vec![queued(waits, None, false)], ..Found::new(kind, at) };
            let lock = made(&stage, found);
            assert_eq!((lock.words.as_str(), lock.waiters.len()), ("state unknown, 1 waiting", 1));
            assert!(lock.doubts[0].contains("not a canonical address"), "{:?}", lock.doubts);
        }
    }

    use crate::locks::testing::{demo, task as task_of};

    /// The deadlocks where tasks sleep for rt_mutexes: who waits for which, which who has.
    fn deadlocks(chain: &[(&str, &str, &str)]) -> Vec<Vec<String>> {
        let demo = demo();
        let offset = |ty, path| demo.types().structure(ty).unwrap().offset_of(path).unwrap();
        let waiter = |comm| task_of(&demo, comm).stack.plus(0x100);
        let mut stage = Stage::with(|memory| {
            for (comm, symbol, owner) in chain {
                let lock = demo.symbols().address(symbol).unwrap().0;
                let member = |path| waiter(comm).0 + offset("rt_mutex_waiter", path);
                memory.put64(member("task"), task_of(&demo, comm).at.0);
                memory.put64(member("lock"), lock);
                for side in ["rb_right", "rb_left"] {
                    memory.put64(member("tree") + offset("rb_node", side), 0);
                }
                memory.put64(lock + offset("rt_mutex_base", "waiters"), member("tree"));
                memory
                    .put64(lock + offset("rt_mutex_base", "owner"), task_of(&demo, owner).at.0 | 1);
            }
        });
        for (comm, ..) in chain {
            let functions = ["schedule", "rt_mutex_slowlock_block", "rt_mutex_lock"];
            let index = stage.enter(comm, &functions);
            stage.tasks[index].pi_blocked_on = Ok(waiter(comm));
        }
        for (_, _, owner) in chain {
            if chain.iter().all(|(comm, ..)| comm != owner) {
                stage.enter(owner, &["schedule", "vfs_read"]);
            }
        }
        let (scene, mut waits) = (stage.scene(), waiting::Waits::default());
        pi::find(&scene, &Code::new(&stage.session), &mut waits);
        let names = Names::new(&stage.session, &stage.tasks);
        let locks: Vec<Lock> =
            waits.found.into_iter().map(|found| lock(&scene, &names, found)).collect();
        assert_eq!(locks.len(), chain.len());
        assert!(locks.iter().all(|lock| lock.doubts.is_empty()), "{locks:?}");
        let cycles = graph::cycles(&locks, &Edges::of(&locks));
        let names = |cycle: super::super::Cycle| {
            cycle.tasks.iter().map(|task| task.comm.to_string()).collect()
        };
        cycles.into_iter().map(names).collect()
    }

    #[test]
    fn a_chain_of_rt_mutexes_that_leads_back_is_a_deadlock_and_one_that_ends_is_none() {
        let [a, b] = ["hu_abba_a", "hu_abba_b"];
        let ring = deadlocks(&[("chain-6", a, "chain-7"), ("chain-7", b, "chain-6")]);
        assert_eq!(ring, [["chain-6", "chain-7"]]);
        assert_eq!(deadlocks(&[("chain-7", a, "chain-7")]), [["chain-7"]]);
        // chain-6 waits for one whose chain loops, and is no part of that.
        let behind = deadlocks(&[("chain-7", a, "chain-7"), ("chain-6", b, "chain-7")]);
        assert_eq!(behind, [["chain-7"]]);
        assert!(deadlocks(&[("chain-7", a, "chain-6")]).is_empty());
    }
}
