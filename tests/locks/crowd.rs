//! Very many blocked tasks: copies of blocked tasks of the demo, each with its `task_struct` and its stack, that wait for
//! locks of their own.
//!
//! A copy's words that point into the original's `task_struct`, stack, `signal_struct` or lock point into its own.
//! `CROWD_WRITE=FILE CROWD=100000:1000 cargo test --test locks write` writes such a dump for tests/bench/crowd.sh.

use super::memory::{Memory, demo};
use hangscope::dump::VirtAddr;
use hangscope::kernel::Session;
use hangscope::locks::{Confidence, LockGraph, LockKind, Mode, analyse};
use std::collections::HashMap;
use std::ops::Range;

/// Where the copies lie in physical memory, and how far apart: a `task_struct` with a `signal_struct` behind it, then a
/// stack, of which only the last page is in use.
const TASKS: u64 = 4 << 30;
const APART: u64 = 32 << 10;
const STACK: u64 = 16 << 10;
/// Room for a lock.
const LOCK: u64 = 128;
/// Where the numbers begin that the demo's top node of the PID IDR does not reach.
const FIRST_PID: u32 = 64 * 64;

/// What one lock of the crowd is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Kind {
    Mutex,
    /// Held for writing.
    Rwsem,
    Semaphore,
}

/// Who waits for what, and who holds it.
struct Plan {
    kinds: Vec<Kind>,
    /// Of each task its lock.
    waits: Vec<usize>,
    /// Of each lock the task that holds it; else a task of the demo does, which waits for nothing.
    holders: Vec<Option<usize>>,
}

impl Plan {
    /// As many tasks wait for as many locks. Behind each lock's first waiter eight other locks are held up.
    fn tree(tasks: usize, locks: usize) -> Plan {
        let kinds = [Kind::Mutex, Kind::Mutex, Kind::Rwsem, Kind::Mutex, Kind::Semaphore];
        Plan {
            kinds: (0..locks).map(|lock| kinds[lock % kinds.len()]).collect(),
            waits: (0..tasks).map(|task| task % locks).collect(),
            holders: (0..locks).map(|lock| Some(lock.checked_sub(1)? / 8)).collect(),
        }
    }

    /// Each task waits for a lock that the next one holds.
    fn chain(tasks: usize) -> Plan {
        Plan {
            kinds: vec![Kind::Mutex; tasks],
            waits: (0..tasks).collect(),
            holders: (1..=tasks).map(|next| (next < tasks).then_some(next)).collect(),
        }
    }

    /// The same, and the last one's is held by the first.
    fn ring(tasks: usize) -> Plan {
        let mut plan = Plan::chain(tasks);
        plan.holders[tasks - 1] = Some(0);
        plan
    }

    /// `TASKS:LOCKS`, `chain:TASKS` or `ring:TASKS`.
    fn named(name: &str) -> Plan {
        let (first, second) = name.split_once(':').unwrap();
        let second = second.parse().unwrap();
        match first {
            "chain" => Plan::chain(second),
            "ring" => Plan::ring(second),
            tasks => Plan::tree(tasks.parse().unwrap(), second),
        }
    }

    /// Of each lock those who wait for it, in the order of its list.
    fn queues(&self) -> Vec<Vec<usize>> {
        let mut queues = vec![Vec::new(); self.kinds.len()];
        for (task, lock) in self.waits.iter().enumerate() {
            queues[*lock].push(task);
        }
        queues
    }
}

/// Bytes of the demo and where they lay.
struct Piece {
    at: Range<u64>,
    bytes: Vec<u8>,
}

impl Piece {
    fn of(session: &Session, at: u64, len: u64) -> Piece {
        // Of pages that the demo does without, nothing is read.
        let word = |at| session.memory().read_u64(VirtAddr(at)).unwrap_or(0).to_le_bytes();
        let bytes = (at..at + len.next_multiple_of(8)).step_by(8).flat_map(word).collect();
        Piece { at: at..at + len, bytes }
    }
}

/// A blocked task of the demo, to be copied.
struct Model {
    task: Piece,
    stack: Piece,
    signal: Piece,
    lock: Piece,
    /// Where the waiter's `list_head` lies, and that of the lock.
    node: u64,
    list: u64,
}

impl Model {
    /// The task of that name, and what it waits for.
    fn of(session: &Session, graph: &LockGraph, comm: &str) -> Model {
        let types = session.types();
        let size = |name: &str| types.structure(name).unwrap().size().unwrap();
        let offset =
            |name: &str, path: &str| types.structure(name).unwrap().offset_of(path).unwrap();
        let task = session.tasks().iter().find(|task| &*task.comm == comm).unwrap();
        let waits =
            |lock: &&hangscope::locks::Lock| lock.waiters.iter().any(|it| it.task.at == task.at);
        let lock = graph.locks.iter().find(waits).unwrap();
        let name = lock.ty.strip_prefix("struct ").unwrap();
        let signal = session.memory().read_ptr(task.at.plus(offset("task_struct", "signal")));
        // The last page of the stack, in which all of it must be.
        let stack = task.stack.0 + STACK - 4096;
        assert!(task.sp.clone().unwrap().0 > stack);
        let list = lock.at.0 + offset(name, "wait_list");
        let mut node = list;
        while !(stack..stack + 4096).contains(&node) {
            node = session.memory().read_ptr(VirtAddr(node)).unwrap().0;
            assert_ne!(node, list);
        }
        Model {
            task: Piece::of(session, task.at.0, size("task_struct")),
            stack: Piece::of(session, stack, 4096),
            signal: Piece::of(session, signal.unwrap().0, size("signal_struct")),
            lock: Piece::of(session, lock.at.0, size(name)),
            node,
            list,
        }
    }
}

fn size_of(session: &Session, name: &str) -> u64 {
    session.types().structure(name).unwrap().size().unwrap()
}

/// The copies' part of the PID IDR: nodes of 64 slots, in three levels, above those of the demo.
struct Idr<'s> {
    session: &'s Session,
    at: u64,
    /// Where a copy's `struct pid` lies behind its `task_struct`.
    pid_place: u64,
}

impl Idr<'_> {
    fn node(&self, number: usize) -> u64 {
        // The two low bits mark a node.
        (self.at + size_of(self.session, "xa_node") * number as u64) | 2
    }

    /// The word that leads to the top node.
    fn head(&self) -> u64 {
        let types = self.session.types();
        let path = types.structure("pid_namespace").unwrap().offset_of("idr.idr_rt.xa_head");
        self.session.symbols().address("init_pid_ns").unwrap().0 + path.unwrap()
    }

    fn nodes(&self, tasks: usize, task_at: impl Fn(usize) -> u64) -> Vec<u8> {
        let node = self.session.types().structure("xa_node").unwrap();
        let (shift, slots) = (node.offset_of("shift").unwrap(), node.offset_of("slots").unwrap());
        let size = node.size().unwrap() as usize;
        let leaves = tasks.div_ceil(64);
        let middle = leaves.div_ceil(64);
        let mut bytes = vec![0; size * (1 + middle + leaves)];
        let mut put = |number: usize, level: u8, slot: usize, entry: u64| {
            let at = size * number;
            bytes[at + shift as usize] = 6 * level;
            let slot = at + slots as usize + 8 * slot;
            bytes[slot..slot + 8].copy_from_slice(&entry.to_le_bytes());
        };
        let old = self.session.memory().read_u64(VirtAddr(self.head())).unwrap();
        put(0, 2, 0, old);
        (0..middle).for_each(|number| put(0, 2, 1 + number, self.node(1 + number)));
        for leaf in 0..leaves {
            put(1 + leaf / 64, 1, leaf % 64, self.node(1 + middle + leaf));
        }
        for task in 0..tasks {
            put(1 + middle + task / 64, 0, task % 64, task_at(task) + self.pid_place);
        }
        bytes
    }

    fn hang(&self, memory: &mut Memory<'_>) {
        memory.put64(self.head(), self.node(0));
    }
}

/// A dump in which the plan's tasks wait for its locks, beside the demo's own.
fn crowd<'s>(session: &'s Session, plan: &Plan) -> Memory<'s> {
    let graph = analyse(session);
    let mut memory = Memory::of(session);
    let models = ["abba-bystander", "rws2-writer1", "sem-waiter1"]
        .map(|comm| Model::of(session, &graph, comm));
    let model = |lock: usize| &models[plan.kinds[lock] as usize];
    let idle = session.tasks().iter().find(|task| task.pid == 2).unwrap().at.0;
    let offset =
        |name: &str, path: &str| session.types().structure(name).unwrap().offset_of(path).unwrap();
    let tasks = plan.waits.len();
    let locks_at = TASKS + APART * tasks as u64;
    let nodes_at = (locks_at + LOCK * plan.kinds.len() as u64).next_multiple_of(4096);
    memory.map_up_to(nodes_at + 1024 * tasks as u64);
    let direct = memory.direct(0);
    let task_at = |task: usize| direct + TASKS + APART * task as u64;
    let lock_at = |lock: usize| direct + locks_at + LOCK * lock as u64;
    let node_of = |task: usize| {
        let model = model(plan.waits[task]);
        task_at(task) + APART - (model.stack.at.end - model.node)
    };
    let list_of = |lock: usize| lock_at(lock) + (model(lock).list - model(lock).lock.at.start);

    let queues = plan.queues();
    let mut neighbours: Vec<(u64, u64)> = vec![(0, 0); tasks];
    let mut locks = vec![0; LOCK as usize * queues.len()];
    for (lock, queue) in queues.iter().enumerate() {
        let mut ring = vec![list_of(lock)];
        ring.extend(queue.iter().map(|task| node_of(*task)));
        let around =
            |at: usize| (ring[(at + 1) % ring.len()], ring[(at + ring.len() - 1) % ring.len()]);
        for (at, task) in (1..).zip(queue) {
            neighbours[*task] = around(at);
        }
        let model = model(lock);
        let mut bytes = model.lock.bytes.clone();
        let mut set = |at: u64, value: u64| {
            bytes[at as usize..at as usize + 8].copy_from_slice(&value.to_le_bytes());
        };
        let list = model.list - model.lock.at.start;
        set(list, around(0).0);
        set(list + 8, around(0).1);
        let holder = plan.holders[lock].map_or(idle, task_at);
        match plan.kinds[lock] {
            // With MUTEX_FLAG_WAITERS.
            Kind::Mutex => set(offset("mutex", "owner"), holder | 1),
            Kind::Rwsem => set(offset("rw_semaphore", "owner"), holder),
            Kind::Semaphore => {}
        }
        let at = LOCK as usize * lock;
        locks[at..at + bytes.len()].copy_from_slice(&bytes);
    }
    memory.add(locks_at, &locks);

    let pid_place = 12288 - size_of(session, "pid").next_multiple_of(8);
    let idr = Idr { session, at: direct + nodes_at, pid_place };
    memory.add(nodes_at, &idr.nodes(tasks, task_at));
    idr.hang(&mut memory);

    let linked = offset("task_struct", "tasks");
    let first = session.symbols().address("init_task").unwrap().0 + linked;
    let last = session.memory().read_ptr(VirtAddr(first + 8)).unwrap().0;
    for (task, (after, ahead)) in neighbours.iter().enumerate() {
        let lock = plan.waits[task];
        let model = model(lock);
        let at = task_at(task);
        let signal_at = at + model.task.bytes.len().next_multiple_of(64) as u64;
        let moves = [
            (&model.task.at, at),
            (&(model.stack.at.end - STACK..model.stack.at.end), at + APART - STACK),
            (&model.signal.at, signal_at),
            (&model.lock.at, lock_at(lock)),
        ];
        let moved = |piece: &Piece| {
            let mut bytes = piece.bytes.clone();
            for word in bytes.as_chunks_mut::<8>().0 {
                let value = u64::from_le_bytes(*word);
                if let Some((from, to)) = moves.iter().find(|(from, _)| from.contains(&value)) {
                    *word = (value - from.start + to).to_le_bytes();
                }
            }
            bytes
        };
        let mut page = vec![0; APART as usize];
        let mut put = |at_: u64, bytes: &[u8]| {
            let start = (at_ - at) as usize;
            page[start..start + bytes.len()].copy_from_slice(bytes);
        };
        put(at, &moved(&model.task));
        put(signal_at, &moved(&model.signal));
        assert!(signal_at + model.signal.bytes.len() as u64 <= at + pid_place);
        let number = at + offset("task_struct", "pid_links");
        put(at + pid_place + offset("pid", "tasks"), &number.to_le_bytes());
        put(at + APART - 4096, &moved(&model.stack));
        let node = node_of(task);
        put(node, &after.to_le_bytes());
        put(node + 8, &ahead.to_le_bytes());
        let pid = FIRST_PID + task as u32;
        put(at + offset("task_struct", "pid"), &pid.to_le_bytes());
        put(at + offset("task_struct", "tgid"), &pid.to_le_bytes());
        put(at + offset("task_struct", "comm"), &format!("crowd-{task:<9}").as_bytes()[..15]);
        // Who holds a lock was there before those who wait for it.
        put(at + offset("task_struct", "start_time"), &[0; 8]);
        let next = if task + 1 < tasks { task_at(task + 1) + linked } else { first };
        let before = if task > 0 { task_at(task - 1) + linked } else { last };
        put(at + linked, &next.to_le_bytes());
        put(at + linked + 8, &before.to_le_bytes());
        memory.add(at - direct, &page[..12288]);
        memory.add(at - direct + APART - 4096, &page[page.len() - 4096..]);
    }
    memory.put64(last, task_at(0) + linked);
    memory.put64(first + 8, task_at(tasks - 1) + linked);
    memory
}

fn opened(plan: &Plan) -> LockGraph {
    let session = crowd(&demo(), plan).open();
    assert_eq!(session.tasks().len(), demo().tasks().len() + plan.waits.len());
    assert_eq!(session.tasks().notes, Vec::<String>::new());
    analyse(&session)
}

/// Holds every lock of the crowd against the plan.
fn check(plan: &Plan, graph: &LockGraph) {
    let mut by_first: HashMap<u32, &hangscope::locks::Lock> = HashMap::new();
    for lock in &graph.locks {
        for waiter in &lock.waiters {
            by_first.insert(waiter.task.pid, lock);
        }
    }
    let pid = |task: usize| FIRST_PID + task as u32;
    for (lock, queue) in plan.queues().iter().enumerate() {
        let found = by_first[&pid(queue[0])];
        let kind = match plan.kinds[lock] {
            Kind::Mutex => LockKind::Mutex,
            Kind::Rwsem => LockKind::Rwsem,
            Kind::Semaphore => LockKind::Semaphore,
        };
        let mode = if kind == LockKind::Rwsem { Mode::Write } else { Mode::Excl };
        assert_eq!(found.kind, kind);
        assert_eq!(found.doubts, Vec::<String>::new(), "{}", found.name);
        let waiters: Vec<_> =
            found.waiters.iter().map(|it| (it.task.pid, it.position, it.mode)).collect();
        let wanted: Vec<_> =
            (1..).zip(queue).map(|(position, task)| (pid(*task), Some(position), mode)).collect();
        assert_eq!(waiters, wanted, "{}", found.name);
        let holders: Vec<_> = found.holders.iter().map(|it| (it.task.pid, it.confidence)).collect();
        match (kind, plan.holders[lock]) {
            (LockKind::Semaphore, _) => assert_eq!(holders, [], "{}", found.name),
            (_, Some(task)) => assert_eq!(holders, [(pid(task), Confidence::Certain)]),
            (_, None) => assert_eq!(found.holders[0].task.comm.as_ref(), "kthreadd"),
        }
    }
}

#[test]
fn of_thousands_of_copied_tasks_each_waits_where_it_was_put() {
    let plan = Plan::tree(2000, 100);
    let graph = opened(&plan);
    check(&plan, &graph);
}

#[test]
fn a_chain_of_five_hundred_locks_is_one_chain() {
    let plan = Plan::chain(500);
    let graph = opened(&plan);
    check(&plan, &graph);
    let blocks: Vec<usize> = graph.locks.iter().map(|lock| lock.blocks).take(3).collect();
    assert_eq!(blocks, [500, 499, 498]);
}

#[test]
fn a_ring_of_five_hundred_locks_is_one_deadlock() {
    let plan = Plan::ring(500);
    let graph = opened(&plan);
    check(&plan, &graph);
    let mine = graph.cycles.iter().find(|cycle| cycle.tasks.len() == 500).unwrap();
    assert_eq!(mine.tasks[0].pid, FIRST_PID);
}

#[test]
fn write_a_dump_for_the_bench() {
    let (Ok(file), Ok(name)) = (std::env::var("CROWD_WRITE"), std::env::var("CROWD")) else {
        return;
    };
    std::fs::write(file, crowd(&demo(), &Plan::named(&name)).kdump()).unwrap();
}
