//! Optimistic spinners: tasks that wait for a mutex or a rwsem on their CPU, in no list of waiters.
//!
//! While the owner of such a lock runs, those who want it spin rather than sleep. One at a time spins
//! on the owner; the others queue for that in the lock's `osq`: its `tail` is the number of the last
//! CPU plus one (until 3.15 a pointer to its node), and the per-CPU `osq_node`s point to each other.
//! They are put in order from the tail backwards; the `prev` of the first is a leftover, which the
//! node that it leads to does not confirm. Who is the first in the list of waiters spins without
//! queueing. Where no frame tells which lock a task spins for, a word of its live frames or registers
//! is believed to be the lock if that lock's queue has this task's CPU in it.
//! Sources: `kernel/locking/{osq_lock,mutex,rwsem}.c`, `include/linux/osq_lock.h`.

use super::scene::Scene;
use super::stack::Code;
use super::waiting::{Found, Queued, Waits};
use super::{Confidence, LockKind, Mode, Spot, Why, api, asked};
use crate::debuginfo::{Kind, TypeError, Types};
use crate::dump::{Fault, VirtAddr};
use crate::memory::VirtualMemory;
use foldhash::HashMap;
use std::collections::BTreeSet;

/// Where a lock keeps the end of its queue, in bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Tail {
    /// An `atomic_t`: the number of the last CPU, plus one.
    Cpu(u64),
    /// A pointer to the last node.
    Node(u64),
}

/// The layout of locks and nodes, and the nodes of all CPUs.
struct Osq {
    mutex: Option<Tail>,
    rwsem: Option<Tail>,
    /// In a node.
    next: u64,
    prev: u64,
    /// Of each CPU its number and its node.
    nodes: Vec<(u32, VirtAddr)>,
}

/// Where a lock of this type keeps the end of its queue; `None` where it has none.
fn tail(types: &Types, lock: &str) -> Option<Tail> {
    let member = types.structure(lock).ok()?.member("osq").ok()?;
    match member.ty.resolved().kind() {
        Kind::Pointer { .. } => Some(Tail::Node(member.offset())),
        _ => Some(Tail::Cpu(member.offset() + member.ty.offset_of("tail").ok()?)),
    }
}

impl Osq {
    fn probe(types: &Types, nodes: Vec<(u32, VirtAddr)>) -> Result<Osq, TypeError> {
        let node = types
            .structure("optimistic_spin_node")
            .or_else(|_| types.structure("optimistic_spin_queue"))?;
        Ok(Osq {
            mutex: tail(types, "mutex"),
            rwsem: tail(types, "rw_semaphore"),
            next: node.offset_of("next")?,
            prev: node.offset_of("prev")?,
            nodes,
        })
    }

    fn node_of(&self, cpu: u32) -> Option<VirtAddr> {
        self.nodes.iter().find(|(number, _)| *number == cpu).map(|(_, node)| *node)
    }

    fn cpu_of(&self, node: VirtAddr) -> Option<u32> {
        self.nodes.iter().find(|(_, at)| *at == node).map(|(number, _)| *number)
    }

    /// The CPUs in the queue of the lock at `at`, the one that spins on the owner first; empty where
    /// nobody queues. `None` where its last word is no CPU's: this is no such lock, or a damaged one.
    fn line(
        &self,
        memory: &dyn VirtualMemory,
        kind: LockKind,
        at: VirtAddr,
    ) -> Result<Option<Vec<u32>>, Fault> {
        let tail = if kind == LockKind::Mutex { self.mutex } else { self.rwsem };
        let last = match tail {
            None => return Ok(Some(Vec::new())),
            Some(Tail::Cpu(offset)) => match memory.read_u32(at.plus(offset))?.checked_sub(1) {
                None => return Ok(Some(Vec::new())),
                Some(cpu) => self.node_of(cpu),
            },
            Some(Tail::Node(offset)) => match memory.read_ptr(at.plus(offset))? {
                node if node.is_null() => return Ok(Some(Vec::new())),
                node => Some(node),
            },
        };
        let Some((mut node, mut cpu)) = last.and_then(|node| Some((node, self.cpu_of(node)?)))
        else {
            return Ok(None);
        };
        let mut line = Vec::new();
        loop {
            line.push(cpu);
            let Ok(before) = memory.read_ptr(node.plus(self.prev)) else { break };
            let confirmed =
                || memory.read_ptr(before.plus(self.next)).is_ok_and(|next| next == node);
            match self.cpu_of(before).filter(|other| !line.contains(other) && confirmed()) {
                Some(other) => (node, cpu) = (before, other),
                None => break,
            }
        }
        line.reverse();
        Ok(Some(line))
    }
}

/// A task on a CPU inside a function that waits for a lock of this kind.
struct Spinner {
    task: usize,
    cpu: u32,
    kind: LockKind,
    mode: Mode,
    /// The outermost of the functions of the lock, as an index of its frames.
    outermost: usize,
    function: String,
}

/// Finds the tasks that spin for a mutex or rwsem.
pub(super) fn find(scene: &Scene<'_>, code: &Code<'_>, waits: &mut Waits) {
    let session = scene.session;
    let nodes = session.symbols().address("osq_node");
    let nodes = nodes.map_or_else(Vec::new, |symbol| {
        session.cpus().iter().map(|cpu| (cpu.number, cpu.per_cpu(symbol))).collect()
    });
    // A kernel without such queues still has those who spin on the owner.
    let none = Osq { mutex: None, rwsem: None, next: 0, prev: 0, nodes: Vec::new() };
    let osq = Osq::probe(session.types(), nodes).unwrap_or(none);
    let tied = waits.tied();
    let spinners: Vec<Spinner> =
        (0..scene.tasks.len()).filter_map(|task| spinner(scene, task)).collect();
    let mut queues: HashMap<(LockKind, VirtAddr), Vec<Queued>> = HashMap::default();
    for spinner in &spinners {
        if tied.contains(&spinner.task) {
            mark_first_in_line(waits, spinner);
            continue;
        }
        match lock_of(scene, code, &osq, spinner) {
            Some((at, confidence, why)) => {
                let queued = queued(spinner.task, spinner.mode, confidence, why);
                queues.entry((spinner.kind, at)).or_default().push(queued);
            }
            None => waits.untied.push(super::waiting::Untied {
                task: spinner.task,
                why: format!(
                    "it spins in {}, and neither its registers nor its stack tell for which {}",
                    spinner.function,
                    spinner.kind.name()
                ),
            }),
        }
    }
    // A lock that has both those who sleep and those who spin is one.
    let keys: BTreeSet<_> = waits
        .found
        .iter()
        .map(|found| (found.kind, found.at))
        .filter(|(kind, _)| matches!(kind, LockKind::Mutex | LockKind::Rwsem))
        .chain(queues.keys().copied())
        .collect();
    for (kind, at) in keys {
        let line = osq.line(session.memory(), kind, at).ok();
        let place = waits.found.iter().position(|found| (found.kind, found.at) == (kind, at));
        let known = place.and_then(|place| waits.found.get_mut(place));
        let wild = line == Some(None) && !osq.nodes.is_empty();
        let mut line = line.flatten().unwrap_or_default();
        // No idle task takes a lock that sleeps.
        let is_idle = |cpu: &u32| running(scene, *cpu).is_some_and(|task| is_idle(scene, task));
        let idle: Vec<u32> = line.extract_if(.., |cpu| is_idle(cpu)).collect();
        if let Some(found) = known {
            let says = wild.then(|| "the end of its osq is the osq_node of no CPU".to_owned());
            found.doubts.extend(says);
            let says = idle.iter().map(|cpu| format!("CPU {cpu} stands in its osq, and is idle"));
            found.doubts.extend(says);
        }
        let mut queue = queues.remove(&(kind, at)).unwrap_or_default();
        let known: Vec<usize> = queue.iter().map(|queued| queued.task).collect();
        // Those in the lock's queue whose own frames do not say so.
        queue.extend(line.iter().filter_map(|&cpu| {
            let task = running(scene, cpu)?;
            let known = known.contains(&task) || tied.contains(&task);
            let mode = if kind == LockKind::Mutex { Mode::Excl } else { Mode::Write };
            (!known).then(|| queued(task, mode, Confidence::Certain, Why::default()))
        }));
        if queue.is_empty() {
            continue;
        }
        for queued in &mut queue {
            let cpu = scene.tasks.get(queued.task).and_then(|task| task.cpu.as_ref().ok());
            let place = cpu.and_then(|cpu| line.iter().position(|other| other == cpu));
            let (Some(place), Some(cpu)) = (place, cpu) else { continue };
            let why = std::mem::take(&mut queued.why).then(in_words(place, line.len(), *cpu));
            queued.why = match osq.node_of(*cpu) {
                Some(at) => why.at(Spot::Object { ty: "optimistic_spin_node", at }),
                None => why,
            };
            queued.position = u32::try_from(place + 1).ok();
            queued.confidence = Confidence::Certain;
        }
        queue.sort_by_key(|queued| (queued.position.is_none(), queued.position));
        match place.and_then(|place| waits.found.get_mut(place)) {
            // Whoever spins takes it before those who have to be woken first.
            Some(found) => drop(found.queue.splice(0..0, queue)),
            None => waits.found.push(Found { queue, ..Found::new(kind, at) }),
        }
    }
}

/// What a place in the queue means.
fn in_words(place: usize, of: usize, cpu: u32) -> String {
    let place = place + 1;
    format!("the lock's osq leads to the osq_node of CPU {cpu}: number {place} of {of} who spin")
}

fn queued(task: usize, mode: Mode, confidence: Confidence, why: Why) -> Queued {
    Queued { task, mode, position: None, spinning: true, in_interrupt: false, confidence, why }
}

/// The task that runs on a CPU.
fn running(scene: &Scene<'_>, cpu: u32) -> Option<usize> {
    let mut tasks = scene.tasks.iter().enumerate();
    tasks.find(|(_, task)| task.active && task.cpu == Ok(cpu)).map(|(index, _)| index)
}

fn is_idle(scene: &Scene<'_>, task: usize) -> bool {
    scene.tasks.get(task).is_some_and(|task| task.pid == 0)
}

/// Whether the task is on its CPU in a function that takes a mutex or a rwsem.
fn spinner(scene: &Scene<'_>, index: usize) -> Option<Spinner> {
    let task = scene.tasks.get(index).filter(|task| task.active)?;
    let cpu = task.cpu.as_ref().ok().copied()?;
    let functions = scene.functions(index);
    let (kind, mode, outermost) = spins_for(functions)?;
    let function = (*functions.iter().find(|name| is_of(name, kind))?).to_owned();
    Some(Spinner { task: index, cpu, kind, mode, outermost, function })
}

/// What a running task with these functions, innermost first, spins for, and the outermost function
/// of the lock.
fn spins_for(functions: &[&str]) -> Option<(LockKind, Mode, usize)> {
    let kinds = [LockKind::Mutex, LockKind::Rwsem];
    let innermost =
        functions.iter().position(|name| kinds.iter().any(|kind| is_of(name, *kind)))?;
    let found = functions.get(innermost)?;
    let kind = kinds.into_iter().find(|kind| is_of(found, *kind))?;
    // One that is being switched off sleeps, or soon will.
    let inner = functions.get(..innermost)?;
    if inner.iter().any(|name| matches!(api::base_name(name), "schedule" | "__schedule")) {
        return None;
    }
    let names = || functions.iter().skip(innermost).take_while(|name| is_of(name, kind));
    let reads = names().any(|name| name.contains("down_read"));
    let mode = match kind {
        LockKind::Mutex => Mode::Excl,
        _ if reads => Mode::Read,
        _ => Mode::Write,
    };
    Some((kind, mode, innermost + names().count() - 1))
}

/// Whether a function that a running task is in waits for a lock of this kind, its first argument.
fn is_of(function: &str, kind: LockKind) -> bool {
    let name = api::base_name(function);
    let spins = match kind {
        LockKind::Mutex => matches!(name, "mutex_spin_on_owner" | "mutex_optimistic_spin"),
        _ => matches!(name, "rwsem_spin_on_owner" | "rwsem_optimistic_spin"),
    };
    spins || api::waits_for(name) == Some(kind)
}

/// The first in a lock's list of waiters spins too, where it is on its CPU.
fn mark_first_in_line(waits: &mut Waits, spinner: &Spinner) {
    let queues = waits.found.iter_mut().filter(|found| found.kind == spinner.kind);
    for queued in queues.flat_map(|found| &mut found.queue) {
        if queued.task == spinner.task {
            queued.spinning = true;
            let why = std::mem::take(&mut queued.why);
            queued.why = why.then("it runs, and spins on the lock's owner");
        }
    }
}

/// The lock that a task spins for, how sure that is and why.
fn lock_of(
    scene: &Scene<'_>,
    code: &Code<'_>,
    osq: &Osq,
    spinner: &Spinner,
) -> Option<(VirtAddr, Confidence, Why)> {
    let memory = scene.session.memory();
    let kind = spinner.kind;
    let asked = asked::argument(scene, code, spinner.task, |name| is_of(name, kind));
    if let Some(asked) = asked {
        let confidence = asked.confidence();
        return Some((VirtAddr(asked.value), confidence, asked.why.and("and spins")));
    }
    let frames = &scene.traces.get(spinner.task)?.frames;
    let from = frames.first()?.sp;
    let to = frames.get(spinner.outermost + 1).map_or(from, |frame| frame.sp);
    let frames = frames.get(..=spinner.outermost)?;
    let registers = frames.iter().flat_map(|frame| frame.registers.iter()).map(|(_, value)| value);
    let words = scene.words(from, to).unwrap_or_default();
    let queues = |at: VirtAddr| {
        let line = osq.line(memory, kind, at).ok().flatten();
        line.is_some_and(|line| line.contains(&spinner.cpu))
    };
    registers
        .chain(words.into_iter().map(|(_, word)| word))
        .map(VirtAddr)
        .find(|at| at.0 % 8 == 0 && at.0 >> 47 != 0 && queues(*at))
        .map(|at| {
            let why = Why::new(format!("it spins, with {at} in its live frames"));
            (at, Confidence::Certain, why)
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::testing::{Image, TypeTable};

    const LOCK: u64 = 0xffff_8880_0100_0000;
    const NODES: u64 = 0xffff_8880_3e00_0000;

    fn node(cpu: u32) -> u64 {
        NODES + 0x1000 * u64::from(cpu)
    }

    /// `struct mutex` since 4.10, with its nodes of four CPUs.
    fn osq() -> Osq {
        let types = TypeTable::new()
            .with("optimistic_spin_queue", 4, &[("tail", 0, 4)])
            .with("optimistic_spin_node", 24, &[("next", 0, 8), ("prev", 8, 8), ("cpu", 20, 4)])
            .with("mutex", 32, &[("owner", 0, 8), ("osq: optimistic_spin_queue", 12, 0)])
            .with("rw_semaphore", 40, &[("count", 0, 8), ("osq: optimistic_spin_queue", 16, 0)])
            .types();
        Osq::probe(&types, (0..4).map(|cpu| (cpu, VirtAddr(node(cpu)))).collect()).unwrap()
    }

    /// The nodes of these CPUs in this order, each pointing to both neighbours.
    fn queue_of(cpus: &[u32]) -> Image {
        let mut memory = Image::default();
        for cpu in 0..4 {
            memory.put_u64(node(cpu), 0);
            memory.put_u64(node(cpu) + 8, 0);
        }
        for pair in cpus.windows(2) {
            memory.put_u64(node(pair[0]), node(pair[1]));
            memory.put_u64(node(pair[1]) + 8, node(pair[0]));
        }
        memory.put_u64(LOCK + 8, 0);
        memory.put_u64(LOCK + 16, 0);
        memory
    }

    fn tail(memory: &mut Image, offset: u64, cpu: u32) {
        memory.put(LOCK + offset, &(cpu + 1).to_le_bytes());
    }

    fn line(osq: &Osq, memory: &Image, kind: LockKind) -> Option<Vec<u32>> {
        osq.line(memory, kind, VirtAddr(LOCK)).unwrap()
    }

    #[test]
    fn those_who_spin_are_in_the_order_that_the_nodes_tell_from_the_tail_on() {
        let mut memory = queue_of(&[2, 0, 3]);
        tail(&mut memory, 12, 3);
        assert_eq!(line(&osq(), &memory, LockKind::Mutex), Some(vec![2, 0, 3]));
        tail(&mut memory, 16, 0);
        assert_eq!(line(&osq(), &memory, LockKind::Rwsem), Some(vec![2, 0]));
    }

    #[test]
    fn a_leftover_in_the_first_node_is_not_followed() {
        let mut memory = queue_of(&[2, 0]);
        memory.put_u64(node(2) + 8, node(1));
        tail(&mut memory, 12, 0);
        assert_eq!(line(&osq(), &memory, LockKind::Mutex), Some(vec![2, 0]));
    }

    #[test]
    fn a_free_queue_is_empty_and_a_wild_tail_or_a_loop_ends() {
        let mut memory = queue_of(&[1, 2, 1]);
        assert_eq!(line(&osq(), &memory, LockKind::Mutex), Some(Vec::new()));
        tail(&mut memory, 12, 700);
        assert_eq!(line(&osq(), &memory, LockKind::Mutex), None);
        tail(&mut memory, 12, 1);
        assert_eq!(line(&osq(), &memory, LockKind::Mutex), Some(vec![2, 1]));
    }

    #[test]
    fn a_running_task_in_a_lock_function_spins_unless_it_is_being_switched_off() {
        let spins = ["mutex_spin_on_owner", "__mutex_lock.constprop.0", "f"];
        assert_eq!(spins_for(&spins), Some((LockKind::Mutex, Mode::Excl, 1)));
        let queues = ["nmi_handle", "osq_lock", "rwsem_down_write_slowpath", "down_write", "f"];
        assert_eq!(spins_for(&queues), Some((LockKind::Rwsem, Mode::Write, 3)));
        let reads = ["rwsem_optimistic_spin", "rwsem_down_read_slowpath", "f"];
        assert_eq!(spins_for(&reads), Some((LockKind::Rwsem, Mode::Read, 1)));
        assert_eq!(spins_for(&["__schedule", "schedule", "__mutex_lock", "f"]), None);
        assert_eq!(spins_for(&["queued_spin_lock_slowpath", "f"]), None);
    }

    use crate::locks::testing::{Stage, demo, task};

    /// The address of a static lock of the demo, and where one of its members lies.
    fn lock_and(symbol: &str, ty: &str, member: &str) -> (u64, u64) {
        let demo = demo();
        let at = demo.symbols().address(symbol).unwrap().0;
        (at, at + demo.types().structure(ty).unwrap().offset_of(member).unwrap())
    }

    /// A task on CPU 2 that spins for the mutex `hu_abba_a`, and the queue of that once CPUs 2 and 1 are in
    /// its osq or only CPU 1.
    fn found(in_line: bool) -> Vec<(bool, Option<u32>, Confidence)> {
        let (lock, tail) = lock_and("hu_abba_a", "mutex", "osq.tail");
        let mut stage = Stage::with(|memory| {
            let demo = demo();
            let nodes = demo.symbols().address("osq_node").unwrap();
            let node = |cpu: u32| {
                let mut cpus = demo.cpus().iter();
                cpus.find(|it| it.number == cpu).unwrap().per_cpu(nodes).0
            };
            let (first, second) = (node(2), node(1));
            memory.put64(first, second);
            memory.put64(first + 8, 0);
            memory.put64(second, 0);
            memory.put64(second + 8, if in_line { first } else { 0 });
            memory.put(tail, &2_u32.to_le_bytes());
        });
        let spins = stage.run(
            "mm-holder",
            2,
            &["<IRQ> mutex_spin_on_owner", "__mutex_lock.constprop.0", "f"],
        );
        stage.give(spins, 0, lock);
        stage.run("mm-spinner", 1, &["osq_lock", "__mutex_lock.constprop.0", "f"]);
        let sleeps = stage.enter("abba-bystander", &["schedule", "__mutex_lock.constprop.0"]);
        let mut waits = Waits::default();
        let sleeper = Queued {
            spinning: false,
            in_interrupt: false,
            ..queued(sleeps, Mode::Excl, Confidence::Certain, Why::default())
        };
        let mutex = Found::new(LockKind::Mutex, VirtAddr(lock));
        waits.found.push(Found { queue: vec![sleeper], ..mutex });
        let scene = stage.scene();
        find(&scene, &Code::new(&stage.session), &mut waits);
        assert_eq!(waits.found.len(), 1);
        let queue = waits.found[0].queue.iter();
        queue.map(|it| (it.spinning, it.position, it.confidence)).collect()
    }

    #[test]
    fn those_who_spin_stand_before_those_who_sleep_and_are_certain_in_the_locks_own_queue() {
        use Confidence::{Certain, Likely};
        let [first, second] = [1, 2].map(|place| (true, Some(place), Certain));
        assert_eq!(found(true), [first, second, (false, None, Certain)]);
        // What its registers say is only likely.
        assert_eq!(found(false), [first, (true, None, Likely), (false, None, Certain)]);
    }

    #[test]
    fn the_first_of_a_locks_list_spins_if_it_is_on_its_cpu() {
        let (lock, _) = lock_and("hu_abba_a", "mutex", "owner");
        let mut stage = Stage::new();
        let first = stage.run("abba-2", 1, &["mutex_spin_on_owner", "__mutex_lock.constprop.0"]);
        let mut waits = Waits::default();
        let listed = Queued {
            spinning: false,
            in_interrupt: false,
            position: Some(1),
            ..queued(first, Mode::Excl, Confidence::Certain, Why::new("listed"))
        };
        let mutex = Found::new(LockKind::Mutex, VirtAddr(lock));
        waits.found.push(Found { queue: vec![listed], ..mutex });
        find(&stage.scene(), &Code::new(&stage.session), &mut waits);
        let [queued] = &waits.found[0].queue[..] else { panic!("{waits:?}", waits = waits.found) };
        assert_eq!((queued.spinning, queued.position), (true, Some(1)));
        assert_eq!(queued.why.to_string(), "listed; it runs, and spins on the lock's owner");
        assert_eq!(task(&stage.session, "abba-2").at, stage.tasks[first].at);
    }

    #[test]
    fn whoever_stands_in_the_queue_of_a_rwsem_waits_for_it_whatever_its_frames_tell() {
        let (lock, tail) = lock_and("hu_rwsem_w", "rw_semaphore", "osq.tail");
        let nodes = demo().symbols().address("osq_node").unwrap();
        let node = |cpu: u32| {
            let demo = demo();
            demo.cpus().iter().find(|it| it.number == cpu).unwrap().per_cpu(nodes).0
        };
        let mut stage = Stage::with(|memory| {
            memory.put64(node(2) + 8, 0);
            memory.put(tail, &3_u32.to_le_bytes());
        });
        let spins = stage.run("mm-holder", 2, &["osq_lock", "f"]);
        let sleeps = stage.enter("rws2-writer1", &["schedule", "rwsem_down_write_slowpath"]);
        let sleeper = Queued {
            spinning: false,
            in_interrupt: false,
            ..queued(sleeps, Mode::Write, Confidence::Certain, Why::default())
        };
        let rwsem = Found::new(LockKind::Rwsem, VirtAddr(lock));
        let mut waits = Waits::default();
        waits.found.push(Found { queue: vec![sleeper], ..rwsem });
        find(&stage.scene(), &Code::new(&stage.session), &mut waits);
        let queue = waits.found[0].queue.iter().map(|it| (it.task, it.spinning, it.position));
        assert_eq!(queue.collect::<Vec<_>>(), [(spins, true, Some(1)), (sleeps, false, None)]);
    }

    #[test]
    fn whoever_spins_for_a_lock_that_nothing_names_is_not_tied() {
        let mut stage = Stage::new();
        stage.run("mm-holder", 2, &["mutex_spin_on_owner", "__mutex_lock.constprop.0", "f"]);
        let mut waits = Waits::default();
        find(&stage.scene(), &Code::new(&stage.session), &mut waits);
        assert!(waits.found.is_empty());
        let says = "it spins in mutex_spin_on_owner, and neither its registers nor its stack tell for which mutex";
        assert_eq!(waits.untied[0].why, says);
    }

    #[test]
    fn until_3_15_the_tail_of_a_queue_is_a_pointer_to_the_last_node() {
        let types = TypeTable::new()
            .with("optimistic_spin_queue", 24, &[("next", 0, 8), ("prev", 8, 8), ("locked", 16, 4)])
            .with("mutex", 40, &[("count", 0, 4), ("osq*: optimistic_spin_queue", 8, 0)])
            .types();
        let nodes = (0..4).map(|cpu| (cpu, VirtAddr(node(cpu)))).collect();
        let osq = Osq::probe(&types, nodes).unwrap();
        let mut memory = queue_of(&[2, 0]);
        assert_eq!(line(&osq, &memory, LockKind::Mutex), Some(Vec::new()));
        memory.put_u64(LOCK + 8, node(0));
        assert_eq!(line(&osq, &memory, LockKind::Mutex), Some(vec![2, 0]));
        memory.put_u64(LOCK + 8, LOCK);
        assert_eq!(line(&osq, &memory, LockKind::Mutex), None);
    }
}
