//! What the analysis looks at: all tasks with their stacks.

use crate::dump::VirtAddr;
use crate::kernel::{Session, State, Task};
use crate::unwind::Trace;
use rayon::prelude::*;
use std::collections::HashMap;

/// The tasks of a dump with their backtraces, by number and by address.
pub(super) struct Scene<'s> {
    pub(super) session: &'s Session,
    pub(super) tasks: &'s [Task],
    pub(super) traces: Vec<Trace>,
    by_address: HashMap<VirtAddr, usize>,
}

impl<'s> Scene<'s> {
    pub(super) fn new(session: &'s Session) -> Scene<'s> {
        let tasks = session.tasks().all();
        // The symbols are wanted by every trace: make them once, before many threads ask.
        let _ = session.symbols();
        let traces = tasks.par_iter().map(|task| session.trace(task)).collect();
        let by_address = tasks.iter().enumerate().map(|(index, task)| (task.at, index)).collect();
        Scene { session, tasks, traces, by_address }
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

    /// Whether a task sleeps so that only a wake-up brings it back.
    pub(super) fn uninterruptible(&self, task: &Task) -> bool {
        matches!(task.state, Ok(State::Uninterruptible))
    }
}
