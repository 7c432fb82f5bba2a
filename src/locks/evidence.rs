//! Who holds a lock that does not say so itself.
//!
//! The kernel records the owner of a mutex and of a rwsem held for writing, and nothing of readers
//! and semaphores. But a holder that is still there has called the function that takes the lock
//! from one of its live frames, and has not yet come to the one that gives it back. So the code of
//! each frame is followed to its program counter: a call that takes a lock, no call since that
//! gives it back, and the argument of the call, put in figures, is the address of the lock.
//!
//! A task that has given the lock back, or only still has its address lying about, does not pass
//! this test. A holder that took the lock in a function that has since returned does not pass it
//! either: then nothing on its stack tells.

use super::scene::Scene;
use super::stack::{Code, Stack};
use super::{LockKind, Mode, api};
use crate::dump::VirtAddr;
use crate::kernel::Session;
use crate::unwind::flow::{Effect, Effects, Taken};
use rayon::prelude::*;
use std::collections::HashMap;
use std::sync::{PoisonError, RwLock};

/// A lock that a task's live code took and has not given back.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Held {
    /// Index of the task.
    pub(super) task: usize,
    pub(super) kind: LockKind,
    pub(super) mode: Mode,
    pub(super) at: VirtAddr,
    /// Whether it is so on every path to where the task is, and no memory was read for it that
    /// may have changed.
    pub(super) sure: bool,
    /// How we know, in words.
    pub(super) why: String,
}

/// The meaning of calls, by the names of their targets.
pub(super) struct ByName<'s> {
    session: &'s Session,
    known: RwLock<HashMap<VirtAddr, Effect>>,
}

impl<'s> ByName<'s> {
    pub(super) fn new(session: &'s Session) -> ByName<'s> {
        ByName { session, known: RwLock::new(HashMap::new()) }
    }
}

impl Effects for ByName<'_> {
    fn of_call(&self, target: VirtAddr) -> Effect {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(effect) = known.get(&target) {
            return *effect;
        }
        drop(known);
        let found = self.session.symbolize(target).filter(|found| found.offset == 0);
        let effect = found.map_or(Effect::Nothing, |found| api::effect(found.symbol.name));
        self.known.write().unwrap_or_else(PoisonError::into_inner).insert(target, effect);
        effect
    }
}

/// Every lock that some task's live code took and has not given back.
pub(super) fn held(scene: &Scene<'_>, code: &Code<'_>) -> Vec<Held> {
    (0..scene.tasks.len())
        .into_par_iter()
        .flat_map_iter(|task| held_by(scene, code, task))
        .collect()
}

fn held_by(scene: &Scene<'_>, code: &Code<'_>, task: usize) -> Vec<Held> {
    let (Some(trace), Some(at)) =
        (scene.traces.get(task), scene.tasks.get(task).map(|task| task.at))
    else {
        return Vec::new();
    };
    // Most functions take no lock: only those that do are worth following.
    let taking: Vec<usize> = (0..trace.frames.len())
        .filter(|&index| {
            let frame = trace.frames.get(index);
            frame.and_then(|frame| code.function(frame.lookup_pc())).is_some_and(|function| {
                function.calls().any(|target| matches!(code.effect(target), Effect::Take { .. }))
            })
        })
        .collect();
    let Some(outermost) = taking.last() else { return Vec::new() };
    // One frame more: it may know an argument that the outermost has lost.
    let stack = Stack::follow(code, at, trace, outermost + 2);
    let mut found = Vec::new();
    for index in taking {
        let Some(known) = stack.frame(index) else { continue };
        for taken in &known.passage.before.taken {
            // A loop may lead back to the call that the frame is in: it has not returned yet.
            let pending = trace.frames.get(index).and_then(|frame| code.call_before(frame));
            if pending == Some(taken.call) {
                continue;
            }
            let Some(argument) = &taken.argument else { continue };
            let Some(lock) = stack.concrete(index, argument) else { continue };
            let Some((kind, mode)) = api::of_class(taken.class) else { continue };
            let sure = taken.certain() && !lock.reread;
            let why = words(scene, task, index, taken, lock.reread);
            found.push(Held { task, kind, mode, at: VirtAddr(lock.value), sure, why });
        }
    }
    found
}

fn words(scene: &Scene<'_>, task: usize, index: usize, taken: &Taken, reread: bool) -> String {
    let frame = scene.traces.get(task).and_then(|trace| trace.frames.get(index));
    let place = |at: VirtAddr| {
        let found = scene.session.symbolize(at);
        found.map_or_else(|| at.to_string(), |found| found.to_string())
    };
    let here = frame.map_or_else(String::new, |frame| place(frame.pc));
    let function =
        scene.session.symbolize(taken.target).map_or("a lock function", |found| found.symbol.name);
    let mut why = format!(
        "its frame #{index} {here} called {function} at {} with this lock",
        place(VirtAddr(taken.call))
    );
    why.push_str(if taken.certain() {
        " and has not released it on any path since"
    } else {
        " on some paths, and may have released it since"
    });
    if reread {
        why.push_str("; the lock's address was read anew from memory that may have changed");
    }
    why
}
