//! Which lock each blocked task waits for: what the several ways of finding out have in common.
//!
//! Each kind of lock is looked for where the kernel keeps its record of those who wait: a list in
//! the lock ([`super::listed`]), a wait queue ([`super::wait_queue`]), the task's own
//! `pi_blocked_on` ([`super::pi`]), a futex queue ([`super::futex`]), or, for those who spin, the
//! argument of the function that they spin in ([`super::spinning`]), or the queue of those who spin
//! for a lock that sleeps ([`super::osq`]).

use super::decode::Recorded;
use super::scene::Scene;
use super::stack::Code;
use super::{
    Confidence, LockKind, Mode, StateValue, Why, futex, listed, osq, pi, spinning, wait_queue,
};
use crate::dump::VirtAddr;
use foldhash::HashSet;

/// A task that waits for a lock.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Queued {
    /// Index of the task.
    pub(super) task: usize,
    pub(super) mode: Mode,
    pub(super) position: Option<u32>,
    pub(super) spinning: bool,
    /// Whether it is an interrupt on its CPU that spins.
    pub(super) in_interrupt: bool,
    pub(super) confidence: Confidence,
    pub(super) why: Why,
}

/// A lock that tasks were found to wait for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Found {
    pub(super) kind: LockKind,
    pub(super) at: VirtAddr,
    /// Next in line first, where there is an order.
    pub(super) queue: Vec<Queued>,
    /// Holders that a record outside the lock names, a futex's `pi_state` for example.
    pub(super) recorded: Vec<Recorded>,
    /// What it is part of, in words.
    pub(super) what: Option<String>,
    /// Fields of its state that lie elsewhere than the lock itself.
    pub(super) state: Vec<(&'static str, StateValue)>,
    /// What is wrong with its record.
    pub(super) doubts: Vec<String>,
}

impl Found {
    /// A lock that nobody has been found to wait for yet.
    pub(super) fn new(kind: LockKind, at: VirtAddr) -> Found {
        Found {
            kind,
            at,
            queue: Vec::new(),
            recorded: Vec::new(),
            what: None,
            state: Vec::new(),
            doubts: Vec::new(),
        }
    }
}

/// A task in a lock function that could not be tied to a lock.
#[derive(Debug)]
pub(super) struct Untied {
    pub(super) task: usize,
    pub(super) why: String,
}

/// Everything that tasks were found to wait for.
#[derive(Default)]
pub(super) struct Waits {
    pub(super) found: Vec<Found>,
    pub(super) untied: Vec<Untied>,
    /// Kinds of locks that cannot be decoded in this dump, and why.
    pub(super) notes: Vec<String>,
}

impl Waits {
    /// The tasks tied to a lock.
    pub(super) fn tied(&self) -> HashSet<usize> {
        self.found.iter().flat_map(|found| &found.queue).map(|queued| queued.task).collect()
    }
}

/// Looks everywhere.
pub(super) fn find(scene: &Scene<'_>, code: &Code<'_>, queues: &[super::layout::Queue]) -> Waits {
    let mut waits = Waits::default();
    (waits.found, waits.untied) = listed::find(scene, code, queues);
    let others: [fn(&Scene<'_>, &Code<'_>, &mut Waits); 4] =
        [pi::find, |scene, _, waits| futex::find(scene, waits), spinning::find, osq::find];
    for find in others {
        if !scene.progress.stopped() {
            find(scene, code, &mut waits);
        }
    }
    let tied = waits.tied();
    if !scene.progress.stopped() {
        wait_queue::find(scene, code, &tied, &mut waits);
    }
    let tied = waits.tied();
    waits.untied.retain(|untied| !tied.contains(&untied.task));
    waits
}
