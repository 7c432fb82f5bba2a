//! Waiters on a lock's own list: mutexes, rwsems, semaphores, completions.
//!
//! A task that sleeps in a lock function has put a waiter on its stack, with its own
//! `task_struct *` in it, into the lock's ring. So its stack is searched for a word that is itself,
//! and the word's surroundings are believed only if they are a node of a ring whose every other
//! node is a waiter on its own task's stack, but one: the head, which lies in the lock. Nothing
//! depends on which register or stack slot a compiler chose, and a damaged ring is seen as such.

use super::api::waits_for;
use super::layout::{Head, Queue};
use super::records::Records;
use super::ring::Ring;
use super::scene::Scene;
use super::stack::Code;
use super::waiting::{Found, Queued, Untied};
use super::{Confidence, LockKind, Mode, Spot, Why, asked};
use crate::dump::VirtAddr;
use crate::memory::VirtualMemory;
use foldhash::fast::RandomState;
use foldhash::{HashMap, HashSet};
use rayon::prelude::*;
use std::rc::Rc;

/// So few waiters are not worth spreading over threads.
const FEW: usize = 1024;

/// A node of a ring that is a waiter on its own task's stack.
#[derive(Clone, Copy, Debug)]
struct Member {
    /// Index of the task.
    task: usize,
    waiter: VirtAddr,
}

/// A task that sleeps in a lock function: which kind, and the part of its stack where the waiter is.
struct Sleeper<'s> {
    task: usize,
    kind: LockKind,
    function: &'s str,
    from: VirtAddr,
    to: VirtAddr,
}

/// Finds every lock on whose own list a task waits.
pub(super) fn find(
    scene: &Scene<'_>,
    code: &Code<'_>,
    queues: &[Queue],
) -> (Vec<Found>, Vec<Untied>) {
    scene.progress.begin("sleepers", scene.tasks.len());
    let sleepers: Vec<Sleeper<'_>> = (0..scene.tasks.len())
        .into_par_iter()
        .filter(|_| scene.progress.step())
        .filter_map(|task| sleeper(scene, task))
        .collect();
    let records = Records::probe(scene.session.types());
    let mut search = Search {
        scene,
        records,
        queued: HashSet::with_capacity_and_hasher(sleepers.len(), RandomState::default()),
        lost: HashMap::default(),
        locks: HashMap::default(),
    };
    let mut untied = Vec::new();
    scene.progress.begin("waits", sleepers.len());
    for sleeper in sleepers.iter().take_while(|_| scene.progress.step()) {
        let Some(queue) = queues.iter().find(|queue| queue.kind == sleeper.kind) else {
            continue;
        };
        let Err(why) = search.tie(sleeper, queue) else { continue };
        if !search.tie_otherwise(code, sleeper, &why) {
            untied.push(Untied { task: sleeper.task, why });
        }
    }
    let mut found: Vec<Found> =
        search.locks.into_par_iter().map(|(_, lock)| lock.found(scene)).collect();
    found.sort_by_key(|lock| (lock.at, lock.kind));
    (found, untied)
}

/// The outermost lock function of a sleeping task's trace, if there is one above the scheduler.
fn sleeper<'s>(scene: &Scene<'s>, index: usize) -> Option<Sleeper<'s>> {
    let task = scene.tasks.get(index)?;
    if task.active {
        return None;
    }
    let functions = scene.functions(index);
    let innermost = functions.iter().position(|name| waits_for(name).is_some())?;
    let kind = waits_for(functions.get(innermost)?)?;
    let outermost = innermost
        + functions.iter().skip(innermost).take_while(|name| waits_for(name) == Some(kind)).count()
        - 1;
    let frames = &scene.traces.get(index)?.frames;
    let from = frames.first()?.sp;
    // A frame's locals lie between its stack pointer and its caller's.
    let to = frames.get(outermost + 1).map_or(from, |frame| frame.sp);
    let function = functions.get(innermost)?;
    Some(Sleeper { task: index, kind, function, from, to })
}

/// A lock on whose list tasks were found.
struct Tied<'q> {
    /// With those who are on no ring: their records alone led here.
    lock: Found,
    /// The rings that led here, one unless something is wrong, in the order of the queue.
    rings: Vec<(&'q Queue, Vec<Member>)>,
}

impl<'q> Tied<'q> {
    fn new(kind: LockKind, at: VirtAddr) -> Tied<'q> {
        Tied { lock: Found::new(kind, at), rings: Vec::new() }
    }

    /// The lock with those on the rings before all others.
    fn found(self, scene: &Scene<'_>) -> Found {
        let mut lock = self.lock;
        for (queue, members) in self.rings {
            let mut ring = queued(scene, queue, &members);
            if !lock.queue.is_empty() {
                let again: HashSet<usize> = ring.iter().map(|new| new.task).collect();
                lock.queue.retain(|old| !again.contains(&old.task));
            }
            ring.append(&mut lock.queue);
            lock.queue = ring;
        }
        lock
    }
}

struct Search<'a, 's> {
    scene: &'a Scene<'s>,
    records: Records,
    /// Waiters already found to be in some lock's ring.
    queued: HashSet<VirtAddr>,
    /// Nodes of rings that led to no lock, and why not.
    lost: HashMap<VirtAddr, Rc<str>>,
    locks: HashMap<(LockKind, VirtAddr), Tied<'a>>,
}

impl<'a> Search<'a, '_> {
    /// Ties a sleeper to its lock, along with everybody in the same ring.
    fn tie(&mut self, sleeper: &Sleeper<'_>, queue: &'a Queue) -> Result<(), String> {
        let scene = self.scene;
        let memory = scene.memory();
        let Some(task) = scene.tasks.get(sleeper.task) else { return Ok(()) };
        let slots = scene.own_slots(sleeper.task).ok_or("its stack cannot be read")?;
        let slots = slots.filter(|slot| (sleeper.from..sleeper.to).contains(slot));
        let waiters = || slots.clone().map(|slot| slot.minus(queue.task));
        // Somebody's who was tied before, mostly: then no other slot need be followed.
        if waiters().any(|waiter| self.queued.contains(&waiter)) {
            return Ok(());
        }
        let mut damage = None;
        for waiter in waiters() {
            let node = waiter.plus(queue.node);
            if let Some(why) = self.lost.get(&node) {
                damage = Some(Rc::clone(why));
                continue;
            }
            let ring = Ring::walk(memory, node, 2 * scene.tasks.len() + 16);
            let (members, heads) = self.sort_nodes(&ring.nodes, queue);
            let lock = match queue.head {
                Head::List(offset) => match heads.as_slice() {
                    // A ring has one head. If more nodes are no waiters, the ring is damaged or
                    // this is no ring of waiters at all.
                    [head] => Some(head.minus(offset)),
                    _ => None,
                },
                Head::First(offset) if heads.is_empty() => {
                    let named = self.records.of(memory, task.at).map(|named| named.at);
                    lock_of_headless(scene, sleeper, offset, &members, named)
                }
                Head::First(_) => None,
            };
            let Some(lock) = lock else {
                if ring.nodes.len() > 1 || ring.damage.is_some() {
                    let heads = || format!("{} nodes of its list are no waiters", heads.len());
                    let why: Rc<str> = ring.damage.unwrap_or_else(heads).into();
                    self.lost.extend(ring.nodes.iter().map(|node| (*node, Rc::clone(&why))));
                    damage = Some(why);
                }
                continue;
            };
            self.queued.extend(members.iter().map(|member| member.waiter));
            let head = heads.first().copied();
            let members = in_order(memory, queue, lock, &ring.nodes, head, members);
            let tied = self.locks.entry((sleeper.kind, lock));
            let tied = tied.or_insert_with(|| Tied::new(sleeper.kind, lock));
            tied.rings.push((queue, members));
            tied.lock.doubts.extend(ring.damage);
            return Ok(());
        }
        Err(match damage {
            Some(damage) => format!(
                "it sleeps in {}, and its {} could not be followed to the lock: {damage}",
                sleeper.function, queue.waiter_ty
            ),
            None => format!(
                "it sleeps in {}, and no queued {} lies on its stack between {} and {}",
                sleeper.function, queue.waiter_ty, sleeper.from, sleeper.to
            ),
        })
    }

    /// Ties a sleeper to the lock that its own `task_struct` names, or that it called the function
    /// with that it sleeps in, where for this reason the lock's list does not lead there.
    fn tie_otherwise(&mut self, code: &Code<'_>, sleeper: &Sleeper<'_>, why_not: &str) -> bool {
        let scene = self.scene;
        let Some(task) = scene.tasks.get(sleeper.task) else { return false };
        let named = self.records.of(scene.memory(), task.at);
        let named = named.filter(|named| named.kind == sleeper.kind).map(|named| {
            let (member, place) = named.member;
            let why = Why::new(format!("its {member} names this lock")).at(Spot::Word(place));
            (named.at, named.mode, Confidence::Certain, why)
        });
        let asked = || {
            let is = |name: &str| waits_for(name) == Some(sleeper.kind);
            let asked = asked::argument(scene, code, sleeper.task, is)?;
            let confidence = asked.confidence();
            let mode = match sleeper.kind {
                LockKind::Completion => Mode::None,
                LockKind::Rwsem if sleeper.function.contains("read") => Mode::Read,
                LockKind::Rwsem => Mode::Write,
                _ => Mode::Excl,
            };
            (asked.value >> 47 != 0).then_some((
                VirtAddr(asked.value),
                mode,
                confidence,
                asked.why.and("and sleeps there"),
            ))
        };
        let Some((at, mode, confidence, why)) = named.or_else(asked) else { return false };
        let key = (sleeper.kind, at);
        let tied = self.locks.entry(key).or_insert_with(|| Tied::new(sleeper.kind, at));
        let lock = &mut tied.lock;
        lock.doubts.push(format!("{}: {why_not}", task.label()));
        lock.queue.push(Queued {
            task: sleeper.task,
            mode,
            position: None,
            spinning: false,
            in_interrupt: false,
            confidence,
            why,
        });
        true
    }

    /// Tells the waiters of a ring, each on the stack of the task that it names, from other nodes.
    fn sort_nodes(&self, nodes: &[VirtAddr], queue: &Queue) -> (Vec<Member>, Vec<VirtAddr>) {
        let scene = self.scene;
        let memory = scene.memory();
        let mut members = Vec::new();
        let mut heads = Vec::new();
        for &node in nodes {
            let waiter = node.minus(queue.node);
            let task =
                memory.read_ptr(waiter.plus(queue.task)).ok().and_then(|at| scene.index_of(at));
            let on_its_stack = |index: &usize| {
                scene.tasks.get(*index).is_some_and(|task| scene.on_stack(task, waiter))
            };
            match task.filter(on_its_stack) {
                Some(task) => members.push(Member { task, waiter }),
                None => heads.push(node),
            }
        }
        (members, heads)
    }
}

/// A ring without a head: the lock is what the task itself names, or whatever the stack or the
/// registers point to, that points to a waiter of the ring as its first.
fn lock_of_headless(
    scene: &Scene<'_>,
    sleeper: &Sleeper<'_>,
    first: u64,
    members: &[Member],
    named: Option<VirtAddr>,
) -> Option<VirtAddr> {
    let memory = scene.memory();
    let waiters: HashSet<VirtAddr> = members.iter().map(|member| member.waiter).collect();
    let frames = &scene.traces.get(sleeper.task)?.frames;
    let registers = frames.iter().flat_map(|frame| frame.registers.iter()).map(|(_, value)| value);
    let words = scene.words(sleeper.from, sleeper.to).ok()?;
    let words = words.iter().map(|(_, word)| *word).chain(registers).map(VirtAddr);
    named.into_iter().chain(words).filter(|lock| lock.0 % 8 == 0 && lock.0 >> 47 != 0).find(
        |lock| memory.read_ptr(lock.plus(first)).is_ok_and(|waiter| waiters.contains(&waiter)),
    )
}

/// Turns the ring so that the queue starts behind its head, or with the lock's first waiter.
fn in_order(
    memory: &dyn VirtualMemory,
    queue: &Queue,
    lock: VirtAddr,
    nodes: &[VirtAddr],
    head: Option<VirtAddr>,
    mut members: Vec<Member>,
) -> Vec<Member> {
    let before = match queue.head {
        // All nodes but the head are members, in the same order.
        Head::List(_) => nodes.iter().position(|node| Some(*node) == head),
        Head::First(offset) => {
            let first = memory.read_ptr(lock.plus(offset)).ok();
            members.iter().position(|member| Some(member.waiter) == first)
        }
    };
    let before = before.unwrap_or(0).min(members.len());
    members.rotate_left(before);
    members
}

/// What the members of a ring are to the lock, in its order.
fn queued(scene: &Scene<'_>, queue: &Queue, members: &[Member]) -> Vec<Queued> {
    let queued = |(number, member): (usize, &Member)| {
        let position = number.saturating_add(1);
        let why = Why::new(format!(
            "its {} at {}, on its own stack, is number {position} in the lock's list",
            queue.waiter_ty, member.waiter
        ));
        Queued {
            task: member.task,
            mode: mode(scene.memory(), queue, member.waiter),
            position: u32::try_from(position).ok(),
            spinning: false,
            in_interrupt: false,
            confidence: Confidence::Certain,
            why: why.at(Spot::Object { ty: queue.waiter_ty, at: member.waiter }),
        }
    };
    members.par_iter().with_min_len(FEW).enumerate().map(queued).collect()
}

/// How a waiter wants its lock.
fn mode(memory: &dyn VirtualMemory, queue: &Queue, waiter: VirtAddr) -> Mode {
    match (queue.kind, queue.reads) {
        (LockKind::Completion, _) => Mode::None,
        (LockKind::Rwsem, Some((offset, reads))) => match memory.read_u32(waiter.plus(offset)) {
            Ok(kind) if i64::from(kind) == reads => Mode::Read,
            _ => Mode::Write,
        },
        (LockKind::Rwsem, None) => Mode::Write,
        _ => Mode::Excl,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::testing::Image;

    const LOCK: u64 = 0xffff_8880_0001_0000;
    const WAITERS: [u64; 3] = [0xffff_c900_0001_3d00, 0xffff_c900_0002_3d00, 0xffff_c900_0003_3d00];

    fn queue(kind: LockKind, head: Head, reads: Option<(u64, i64)>) -> Queue {
        Queue { kind, head, waiter_ty: "rwsem_waiter", node: 8, task: 24, reads }
    }

    #[test]
    fn the_queue_begins_behind_its_head_or_with_the_waiter_that_the_lock_points_to() {
        // The walk began at the second waiter.
        let [first, second, third] = WAITERS;
        let walked = [second, third, first];
        let members = || {
            let member = |(task, waiter): (usize, u64)| Member { task, waiter: VirtAddr(waiter) };
            (1..).zip(walked).map(member).collect::<Vec<_>>()
        };
        let order = |head, nodes: &[u64], at| {
            let mut memory = Image::default();
            memory.put_u64(LOCK + 16, first);
            let queue = queue(LockKind::Rwsem, head, None);
            let nodes: Vec<VirtAddr> = nodes.iter().copied().map(VirtAddr).collect();
            let sorted = in_order(&memory, &queue, VirtAddr(LOCK), &nodes, at, members());
            sorted.iter().map(|member| member.waiter.0).collect::<Vec<_>>()
        };
        let nodes = [second + 8, third + 8, LOCK + 16, first + 8];
        assert_eq!(order(Head::List(16), &nodes, Some(VirtAddr(LOCK + 16))), WAITERS);
        assert_eq!(order(Head::First(16), &walked.map(|at| at + 8), None), WAITERS);
    }

    #[test]
    fn who_is_on_a_ring_is_in_the_queue_once_and_before_whom_a_record_alone_led_here() {
        let mut stage = Stage::new();
        let [first, second] =
            ["chain-6", "chain-7"].map(|name| stage.enter(name, &["schedule", "mutex_lock"]));
        let by_record = |task| Queued {
            task,
            mode: Mode::Excl,
            position: None,
            spinning: false,
            in_interrupt: false,
            confidence: Confidence::Certain,
            why: Why::default(),
        };
        let ring = queue(LockKind::Mutex, Head::List(16), None);
        let mut tied = Tied::new(LockKind::Mutex, VirtAddr(LOCK));
        tied.lock.queue = vec![by_record(first), by_record(second)];
        tied.rings.push((&ring, vec![Member { task: second, waiter: VirtAddr(WAITERS[0]) }]));
        let queue = tied.found(&stage.scene()).queue;
        let places: Vec<_> = queue.iter().map(|queued| (queued.task, queued.position)).collect();
        assert_eq!(places, [(second, Some(1)), (first, None)]);
    }

    #[test]
    fn a_waiter_of_a_rwsem_says_whether_it_wants_to_read() {
        let mode_of = |kind, reads, word: u32| {
            let mut memory = Image::default();
            memory.put(WAITERS[0] + 32, &word.to_le_bytes());
            mode(&memory, &queue(kind, Head::List(16), reads), VirtAddr(WAITERS[0]))
        };
        assert_eq!(mode_of(LockKind::Rwsem, Some((32, 1)), 1), Mode::Read);
        assert_eq!(mode_of(LockKind::Rwsem, Some((32, 1)), 0), Mode::Write);
        assert_eq!(mode_of(LockKind::Rwsem, None, 1), Mode::Write);
        assert_eq!(mode_of(LockKind::Mutex, None, 0), Mode::Excl);
        assert_eq!(mode_of(LockKind::Completion, None, 0), Mode::None);
    }

    use crate::kernel::testing::TypeTable;
    use crate::locks::testing::{Stage, demo, memory::Memory, task};

    const NAMES: [&str; 2] = ["chain-7", "chain-6"];

    /// The address of one of the demo's mutexes.
    fn mutex(name: &str) -> u64 {
        demo().symbols().address(name).unwrap().0
    }

    /// Where these tasks' waiters lie on their stacks.
    fn waiters() -> [u64; 2] {
        NAMES.map(|comm| task(&demo(), comm).sp.clone().unwrap().0 + 0x80)
    }

    /// Who waits for what where two tasks sleep in mutex_lock, each with a waiter in its frames and with the
    /// addresses of two mutexes: the second leads to the first waiter, and the waiters to each other; once
    /// they have come to harm.
    fn headless(harm: impl FnOnce(&mut Memory<'_>)) -> (Vec<Found>, Vec<Untied>) {
        let mut stage = Stage::with(|memory| {
            let waiters = waiters();
            for (comm, waiter) in NAMES.iter().zip(waiters) {
                for at in (waiter - 0x80..waiter + 0x40).step_by(8) {
                    memory.put64(at, 0);
                }
                memory.put64(waiter - 0x40, mutex("hu_abba_b"));
                memory.put64(waiter - 0x38, mutex("hu_abba_a"));
                memory.put64(waiter + 24, task(&demo(), comm).at.0);
            }
            link(memory, &waiters.map(|waiter| waiter + 8));
            memory.put64(mutex("hu_abba_a") + 16, waiters[0]);
            harm(memory);
        });
        for comm in NAMES {
            stage.enter(comm, &["schedule", "__mutex_lock.constprop.0", "mutex_lock", "vfs_read"]);
        }
        let queues = [queue(LockKind::Mutex, Head::First(16), None)];
        find(&stage.scene(), &Code::new(&stage.session), &queues)
    }

    /// Makes a ring of these nodes.
    fn link(memory: &mut Memory<'_>, nodes: &[u64]) {
        for (node, next) in nodes.iter().zip(nodes.iter().cycle().skip(1)) {
            memory.put64(*node, *next);
            memory.put64(next + 8, *node);
        }
    }

    #[test]
    fn a_ring_without_a_head_is_that_of_the_lock_on_the_stack_that_points_to_a_waiter_of_it() {
        let (found, untied) = headless(|_| {});
        assert!(untied.is_empty(), "{}", untied[0].why);
        let [lock] = &found[..] else { panic!("{found:?}") };
        assert_eq!((lock.kind, lock.at.0), (LockKind::Mutex, mutex("hu_abba_a")));
        let queue = lock.queue.iter().map(|queued| (queued.task, queued.position));
        assert_eq!(queue.collect::<Vec<_>>(), [(0, Some(1)), (1, Some(2))]);
    }

    #[test]
    fn a_ring_without_a_head_and_with_a_node_that_is_no_waiter_leads_to_no_lock() {
        let (found, untied) = headless(|memory| {
            let [first, second] = waiters();
            link(memory, &[first + 8, mutex("hu_abba_b") + 16, second + 8]);
        });
        assert!(found.is_empty(), "{found:?}");
        assert_eq!(untied.len(), 2);
        let says = "could not be followed to the lock: 1 nodes of its list are no waiters";
        assert!(untied.iter().all(|it| it.why.ends_with(says)), "{}", untied[0].why);
    }

    #[test]
    fn what_a_lock_function_was_called_with_is_a_lock_only_in_the_kernels_own_memory() {
        let tied = |argument: u64| {
            let mut stage = Stage::with(|memory| {
                let [waiter, _] = waiters();
                for at in (waiter - 0x80..waiter + 0x40).step_by(8) {
                    memory.put64(at, 0);
                }
            });
            let index = stage.enter("chain-7", &["schedule", "<EXC> mutex_lock", "vfs_read"]);
            stage.give(index, 1, argument);
            let queues = [queue(LockKind::Mutex, Head::List(16), None)];
            let (found, untied) = find(&stage.scene(), &Code::new(&stage.session), &queues);
            let found = found.iter().map(|lock| (lock.at.0, lock.queue[0].confidence));
            (found.collect::<Vec<_>>(), untied.len())
        };
        let lock = mutex("hu_abba_a");
        assert_eq!(tied(lock), (vec![(lock, Confidence::Likely)], 0));
        assert_eq!(tied(0x7f12_3456_7000), (vec![], 1));
    }

    #[test]
    fn a_record_ties_its_task_to_a_lock_of_the_kind_that_it_sleeps_for() {
        let demo = demo();
        let place = demo.types().structure("task_struct").unwrap().offset_of("pi_blocked_on");
        let place = place.unwrap();
        // As if `blocker` were there, which this kernel does not have.
        let types = TypeTable::new().with("task_struct", 8192, &[("blocker", place, 8)]).types();
        let tied = |blocker: u64| {
            let mut stage =
                Stage::with(|memory| memory.put64(task(&demo, "chain-7").at.0 + place, blocker));
            let index = stage.enter("chain-7", &["schedule", "mutex_lock", "vfs_read"]);
            let scene = stage.scene();
            let records = Records::probe(&types);
            let (queued, lost) = (HashSet::default(), HashMap::default());
            let mut search =
                Search { scene: &scene, records, queued, lost, locks: HashMap::default() };
            let asleep = sleeper(&scene, index).unwrap();
            let told =
                search.tie_otherwise(&Code::new(&stage.session), &asleep, "its list is lost");
            let found = search.locks.into_values().map(|tied| tied.found(&scene));
            let found = found.map(|lock| (lock.kind, lock.at.0, lock.queue[0].confidence));
            assert_eq!(found.len(), usize::from(told));
            found.last()
        };
        let lock = mutex("hu_abba_a");
        assert_eq!(tied(lock), Some((LockKind::Mutex, lock, Confidence::Certain)));
        // A rwsem, a pointer that a list left behind, one of a user's.
        for wrong in [lock | 3, 0xdead_0000_0000_0100, 0x7f12_3456_7000] {
            assert_eq!(tied(wrong), None, "{wrong:#x}");
        }
    }
}
