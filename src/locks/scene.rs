//! What the analysis looks at: all tasks with their stacks.

use super::clock::Clock;
use crate::dump::{Fault, VirtAddr};
use crate::kernel::{Progress, Session, State, Task};
use crate::unwind::{End, Trace};
use rayon::prelude::*;
use std::collections::HashMap;

/// No kernel stack is larger (`THREAD_SIZE` with KASAN is 32 KiB).
const STACK_LIMIT: u64 = 64 * 1024;

/// The tasks of a dump with their backtraces, by number and by address.
pub(super) struct Scene<'s> {
    pub(super) session: &'s Session,
    /// How far the analysis is.
    pub(super) progress: &'s Progress,
    pub(super) tasks: &'s [Task],
    pub(super) traces: Vec<Trace>,
    pub(super) clock: Clock,
    /// Of each task where its own address stands in the live part of its stack; `None` when that
    /// cannot be read.
    own_slots: Vec<Option<Box<[VirtAddr]>>>,
    by_address: HashMap<VirtAddr, usize>,
}

impl<'s> Scene<'s> {
    pub(super) fn new(session: &'s Session, progress: &'s Progress) -> Scene<'s> {
        let tasks = session.tasks().all();
        // The symbols are wanted by every trace: make them once, before many threads ask.
        let _ = session.symbols();
        progress.begin("stacks", tasks.len());
        // What is wanted of a stack is read in one go: the stacks of many tasks fill no cache.
        let look = |task| {
            if !progress.step() {
                let end = End::Cut("stopped before its turn".to_owned());
                return (Trace { frames: Vec::new(), end }, None);
            }
            let mut trace = session.trace(task);
            trace.frames.shrink_to_fit();
            let slots = own_slots(session, task, &trace);
            (trace, slots)
        };
        let (traces, own_slots) = tasks.par_iter().map(look).unzip();
        let by_address = tasks.iter().enumerate().map(|(index, task)| (task.at, index)).collect();
        let clock = Clock::new(session, tasks);
        Scene { session, progress, tasks, traces, clock, own_slots, by_address }
    }

    /// The index of the task whose `task_struct` lies at `at`.
    pub(super) fn index_of(&self, at: VirtAddr) -> Option<usize> {
        self.by_address.get(&at).copied()
    }

    /// The task whose `task_struct` lies at `at`.
    pub(super) fn task_at(&self, at: VirtAddr) -> Option<&'s Task> {
        self.tasks.get(self.index_of(at)?)
    }

    /// Whether `at` lies on the kernel stack of `task`.
    pub(super) fn on_stack(&self, task: &Task, at: VirtAddr) -> bool {
        self.session.stack(task).is_some_and(|stack| stack.contains(&at))
    }

    /// The function of each frame of a task, innermost first; "" where none is known.
    pub(super) fn functions(&self, index: usize) -> Vec<&'s str> {
        let frames =
            self.traces.get(index).map(|trace| trace.frames.as_slice()).unwrap_or_default();
        frames
            .iter()
            .map(|frame| {
                let found = self.session.symbolize(frame.lookup_pc());
                found.map_or("", |found| found.symbol.name)
            })
            .collect()
    }

    /// Where a sleeping task's own address stands in the live part of its stack, so perhaps in what
    /// it queued itself with; `None` when that cannot be read or the task is not asleep.
    pub(super) fn own_slots(&self, index: usize) -> Option<&[VirtAddr]> {
        self.own_slots.get(index)?.as_deref()
    }

    /// The aligned words of a part of a stack, with their addresses.
    pub(super) fn words(
        &self,
        from: VirtAddr,
        to: VirtAddr,
    ) -> Result<Vec<(VirtAddr, u64)>, Fault> {
        words(self.session, from, to)
    }

    /// Whether a task sleeps so that only a wake-up brings it back.
    pub(super) fn uninterruptible(&self, task: &Task) -> bool {
        matches!(task.state, Ok(State::Uninterruptible))
    }
}

fn words(session: &Session, from: VirtAddr, to: VirtAddr) -> Result<Vec<(VirtAddr, u64)>, Fault> {
    let len = to.offset_from(from).unwrap_or(0).min(STACK_LIMIT);
    let bytes = session.memory().read_vec(from, usize::try_from(len).unwrap_or(0))?;
    let (words, _) = bytes.as_chunks();
    let words = words.iter().map(|word| u64::from_le_bytes(*word));
    Ok((0..).step_by(8).map(|offset| from.plus(offset)).zip(words).collect())
}

fn own_slots(session: &Session, task: &Task, trace: &Trace) -> Option<Box<[VirtAddr]>> {
    let from = trace.frames.first()?.sp;
    let stack = session.stack(task).filter(|stack| stack.contains(&from))?;
    let words = words(session, from, stack.end).ok()?;
    Some(words.iter().filter(|(_, word)| *word == task.at.0).map(|(slot, _)| *slot).collect())
}
