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
    pub(super) clock: Clock<'s>,
    by_address: HashMap<VirtAddr, usize>,
}

impl<'s> Scene<'s> {
    pub(super) fn new(session: &'s Session, progress: &'s Progress) -> Scene<'s> {
        let tasks = session.tasks().all();
        // The symbols are wanted by every trace: make them once, before many threads ask.
        let _ = session.symbols();
        progress.begin("stacks", tasks.len());
        let trace = |task| {
            if progress.step() {
                return session.trace(task);
            }
            Trace { frames: Vec::new(), end: End::Cut("stopped before its turn".to_owned()) }
        };
        let traces = tasks.par_iter().map(trace).collect();
        let by_address = tasks.iter().enumerate().map(|(index, task)| (task.at, index)).collect();
        Scene { session, progress, tasks, traces, clock: Clock::new(session, tasks), by_address }
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

    /// The aligned words of a sleeping task's live stack, with their addresses; `None` when it
    /// cannot be read or the task is not asleep.
    pub(super) fn live_words(&self, index: usize) -> Option<Vec<(VirtAddr, u64)>> {
        let task = self.tasks.get(index)?;
        let from = self.traces.get(index)?.frames.first()?.sp;
        let stack = self.session.stack(task).filter(|stack| stack.contains(&from))?;
        self.words(from, stack.end).ok()
    }

    /// The aligned words of a part of a stack, with their addresses.
    pub(super) fn words(
        &self,
        from: VirtAddr,
        to: VirtAddr,
    ) -> Result<Vec<(VirtAddr, u64)>, Fault> {
        let len = to.offset_from(from).unwrap_or(0).min(STACK_LIMIT);
        let bytes = self.session.memory().read_vec(from, usize::try_from(len).unwrap_or(0))?;
        let (words, _) = bytes.as_chunks();
        let words = words.iter().map(|word| u64::from_le_bytes(*word));
        Ok((0..).step_by(8).map(|offset| from.plus(offset)).zip(words).collect())
    }

    /// Whether a task sleeps so that only a wake-up brings it back.
    pub(super) fn uninterruptible(&self, task: &Task) -> bool {
        matches!(task.state, Ok(State::Uninterruptible))
    }
}
