//! Which lock each blocked task waits for.
//!
//! A task that sleeps in a lock function has put a waiter on its stack, with its own
//! `task_struct *` in it, into the lock's ring. So its stack is searched for a word that is itself,
//! and the word's surroundings are believed only if they are a node of a ring whose every other
//! node is a waiter on its own task's stack, but one: the head, which lies in the lock. Nothing
//! depends on which register or stack slot a compiler chose, and a damaged ring is seen as such.

use super::LockKind;
use super::api::waits_for;
use super::layout::{Head, Queue};
use super::ring::Ring;
use super::scene::Scene;
use crate::dump::VirtAddr;
use rayon::prelude::*;
use std::collections::{HashMap, HashSet};

/// A task in a ring of waiters.
#[derive(Clone, Copy, Debug)]
pub(super) struct Queued {
    /// Index of the task.
    pub(super) task: usize,
    /// Where its waiter lies.
    pub(super) waiter: VirtAddr,
}

/// A lock that tasks were found to wait for.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) kind: LockKind,
    pub(super) at: VirtAddr,
    /// In the order of its ring.
    pub(super) queue: Vec<Queued>,
    /// What is wrong with the ring.
    pub(super) damage: Option<String>,
}

/// A task in a lock function that could not be tied to a lock.
#[derive(Debug)]
pub(super) struct Untied {
    pub(super) task: usize,
    pub(super) why: String,
}

/// A task that sleeps in a lock function: which kind, and the part of its stack where the waiter is.
struct Sleeper {
    task: usize,
    kind: LockKind,
    function: String,
    from: VirtAddr,
    to: VirtAddr,
}

/// Finds every lock that a task waits for.
pub(super) fn find(scene: &Scene<'_>, queues: &[Queue]) -> (Vec<Found>, Vec<Untied>) {
    let sleepers: Vec<Sleeper> =
        (0..scene.tasks.len()).into_par_iter().filter_map(|task| sleeper(scene, task)).collect();
    let mut search = Search { scene, queued: HashSet::new(), locks: HashMap::new() };
    let mut untied = Vec::new();
    for sleeper in &sleepers {
        let Some(queue) = queues.iter().find(|queue| queue.kind == sleeper.kind) else {
            continue;
        };
        if let Err(why) = search.tie(sleeper, queue) {
            untied.push(Untied { task: sleeper.task, why });
        }
    }
    let mut found: Vec<Found> = search.locks.into_values().collect();
    found.sort_by_key(|lock| (lock.at, lock.kind));
    (found, untied)
}

/// The outermost lock function of a sleeping task's trace, if there is one above the scheduler.
fn sleeper(scene: &Scene<'_>, index: usize) -> Option<Sleeper> {
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
    let function = (*functions.get(innermost)?).to_owned();
    Some(Sleeper { task: index, kind, function, from, to })
}

struct Search<'a, 's> {
    scene: &'a Scene<'s>,
    /// Waiters already found to be in some lock's ring.
    queued: HashSet<VirtAddr>,
    locks: HashMap<(LockKind, VirtAddr), Found>,
}

impl Search<'_, '_> {
    /// Ties a sleeper to its lock, along with everybody in the same ring.
    fn tie(&mut self, sleeper: &Sleeper, queue: &Queue) -> Result<(), String> {
        let scene = self.scene;
        let memory = scene.session.memory();
        let Some(task) = scene.tasks.get(sleeper.task) else { return Ok(()) };
        let words = stack_words(scene, sleeper)?;
        let mut damage = None;
        for (slot, word) in &words {
            if *word != task.at.0 {
                continue;
            }
            let waiter = slot.minus(queue.task);
            if self.queued.contains(&waiter) {
                return Ok(());
            }
            let node = waiter.plus(queue.node);
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
                    lock_of_headless(scene, sleeper, &words, offset, &members)
                }
                Head::First(_) => None,
            };
            let Some(lock) = lock else {
                if ring.nodes.len() > 1 || ring.damage.is_some() {
                    damage = ring.damage.or_else(|| {
                        Some(format!("{} nodes of its list are no waiters", heads.len()))
                    });
                }
                continue;
            };
            self.queued.extend(members.iter().map(|member| member.waiter));
            let head = heads.first().copied();
            let members = in_order(scene, queue, lock, &ring.nodes, head, members);
            self.locks.insert(
                (sleeper.kind, lock),
                Found { kind: sleeper.kind, at: lock, queue: members, damage: ring.damage },
            );
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

    /// Tells the waiters of a ring, each on the stack of the task that it names, from other nodes.
    fn sort_nodes(&self, nodes: &[VirtAddr], queue: &Queue) -> (Vec<Queued>, Vec<VirtAddr>) {
        let scene = self.scene;
        let memory = scene.session.memory();
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
                Some(task) => members.push(Queued { task, waiter }),
                None => heads.push(node),
            }
        }
        (members, heads)
    }
}

/// The aligned words of the part of a stack where a sleeper's waiter lies.
fn stack_words(scene: &Scene<'_>, sleeper: &Sleeper) -> Result<Vec<(VirtAddr, u64)>, String> {
    let len = sleeper.to.offset_from(sleeper.from).unwrap_or(0).min(16 * 1024);
    let len = usize::try_from(len).unwrap_or(0) & !7;
    let bytes = scene
        .session
        .memory()
        .read_vec(sleeper.from, len)
        .map_err(|fault| format!("its stack cannot be read: {fault}"))?;
    Ok(bytes
        .chunks_exact(8)
        .zip((0..).step_by(8))
        .map(|(word, offset)| {
            let word = word.try_into().map(u64::from_le_bytes).unwrap_or(0);
            (sleeper.from.plus(offset), word)
        })
        .collect())
}

/// A ring without a head: the lock is whatever the stack or the registers point to that points to
/// a waiter of the ring as its first.
fn lock_of_headless(
    scene: &Scene<'_>,
    sleeper: &Sleeper,
    words: &[(VirtAddr, u64)],
    first: u64,
    members: &[Queued],
) -> Option<VirtAddr> {
    let memory = scene.session.memory();
    let waiters: HashSet<VirtAddr> = members.iter().map(|member| member.waiter).collect();
    let frames = &scene.traces.get(sleeper.task)?.frames;
    let registers = frames.iter().flat_map(|frame| frame.registers.iter()).map(|(_, value)| value);
    words
        .iter()
        .map(|(_, word)| *word)
        .chain(registers)
        .map(VirtAddr)
        .filter(|lock| lock.0 % 8 == 0 && lock.0 >> 47 != 0)
        .find(|lock| {
            memory.read_ptr(lock.plus(first)).is_ok_and(|waiter| waiters.contains(&waiter))
        })
}

/// Turns the ring so that the queue starts behind its head, or with the lock's first waiter.
fn in_order(
    scene: &Scene<'_>,
    queue: &Queue,
    lock: VirtAddr,
    nodes: &[VirtAddr],
    head: Option<VirtAddr>,
    mut members: Vec<Queued>,
) -> Vec<Queued> {
    let before = match queue.head {
        // All nodes but the head are members, in the same order.
        Head::List(_) => nodes.iter().position(|node| Some(*node) == head),
        Head::First(offset) => {
            let first = scene.session.memory().read_ptr(lock.plus(offset)).ok();
            members.iter().position(|member| Some(member.waiter) == first)
        }
    };
    let before = before.unwrap_or(0).min(members.len());
    members.rotate_left(before);
    members
}
