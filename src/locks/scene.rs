//! What the analysis looks at: all tasks with their stacks.

use super::clock::Clock;
use crate::dump::{Fault, VirtAddr};
use crate::kernel::{Progress, Session, State, Task};
use crate::memory::VirtualMemory;
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
    own_slots: Vec<Option<Box<[Slot]>>>,
    by_address: HashMap<VirtAddr, usize>,
    /// The tasks by where their stacks begin.
    by_stack: Vec<(VirtAddr, usize)>,
    /// The functions of all frames, by the address to look up.
    functions: HashMap<VirtAddr, &'s str>,
}

/// A word of a stack that is the address of the task whose stack it is.
struct Slot {
    at: VirtAddr,
    /// The words around it, from [`BEFORE`] on, if all of them are in the live part: many a record of
    /// one who waits is a list's node and the task behind it, and reading it again would be dear.
    around: Option<[u64; 4]>,
}

/// Bytes of [`Slot::around`] before the slot.
const BEFORE: u64 = 16;

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
        Scene::of(session, progress, tasks, traces, own_slots)
    }

    fn of(
        session: &'s Session,
        progress: &'s Progress,
        tasks: &'s [Task],
        traces: Vec<Trace>,
        own_slots: Vec<Option<Box<[Slot]>>>,
    ) -> Scene<'s> {
        let by_address = tasks.iter().enumerate().map(|(index, task)| (task.at, index)).collect();
        let mut by_stack: Vec<_> =
            tasks.iter().enumerate().map(|(index, task)| (task.stack, index)).collect();
        by_stack.sort_unstable();
        let clock = Clock::new(session, tasks);
        let functions = functions(session, &traces);
        Scene {
            session,
            progress,
            tasks,
            traces,
            clock,
            own_slots,
            by_address,
            by_stack,
            functions,
        }
    }

    /// The kernel's memory, of which the words around [`Scene::own_slots`] are at hand.
    pub(super) fn memory(&self) -> &dyn VirtualMemory {
        self
    }

    /// The bytes of a stack at `at`, if they are at hand.
    fn near(&self, at: VirtAddr, buf: &mut [u8]) -> Option<()> {
        let after = self.by_stack.partition_point(|(stack, _)| *stack <= at);
        let (_, index) = self.by_stack.get(after.checked_sub(1)?)?;
        self.own_slots.get(*index)?.as_ref()?.iter().find_map(|slot| {
            let skip = usize::try_from(at.offset_from(slot.at.checked_sub(BEFORE)?)?).ok()?;
            let bytes = slot.around?.map(u64::to_le_bytes);
            let wanted = bytes.as_flattened().get(skip..skip.checked_add(buf.len())?)?;
            buf.copy_from_slice(wanted);
            Some(())
        })
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
        let name = |at| self.functions.get(&at).copied().unwrap_or("");
        frames.iter().map(|frame| name(frame.lookup_pc())).collect()
    }

    /// Where a sleeping task's own address stands in the live part of its stack, so perhaps in what
    /// it queued itself with; `None` when that cannot be read or the task is not asleep.
    pub(super) fn own_slots(&self, index: usize) -> Option<impl Iterator<Item = VirtAddr>> {
        Some(self.own_slots.get(index)?.as_ref()?.iter().map(|slot| slot.at))
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

fn own_slots(session: &Session, task: &Task, trace: &Trace) -> Option<Box<[Slot]>> {
    let from = trace.frames.first()?.sp;
    let stack = session.stack(task).filter(|stack| stack.contains(&from))?;
    let words = words(session, from, stack.end).ok()?;
    let own = words.iter().enumerate().filter(|(_, (_, word))| *word == task.at.0);
    let slot = |(number, (at, _)): (usize, &(VirtAddr, u64))| {
        let around = || words.get(number.checked_sub(2)?..)?.first_chunk();
        Slot { at: *at, around: around().map(|around| around.map(|(_, word)| word)) }
    };
    Some(own.map(slot).collect())
}

/// The names of the functions that the frames are in: they are many, and these few.
fn functions<'s>(session: &'s Session, traces: &[Trace]) -> HashMap<VirtAddr, &'s str> {
    let mut functions = HashMap::new();
    for frame in traces.iter().flat_map(|trace| &trace.frames) {
        functions
            .entry(frame.lookup_pc())
            .or_insert_with_key(|at| session.symbolize(*at).map_or("", |found| found.symbol.name));
    }
    functions
}

impl VirtualMemory for Scene<'_> {
    fn read(&self, at: VirtAddr, buf: &mut [u8]) -> Result<(), Fault> {
        match self.near(at, buf) {
            Some(()) => Ok(()),
            None => self.session.memory().read(at, buf),
        }
    }
}

#[cfg(test)]
impl<'s> Scene<'s> {
    /// These tasks with these traces, in the memory of a session that may have others; the functions at
    /// made-up addresses have these names.
    pub(super) fn staged(
        session: &'s Session,
        progress: &'s Progress,
        tasks: &'s [Task],
        traces: Vec<Trace>,
        made_up: &'s HashMap<VirtAddr, String>,
    ) -> Scene<'s> {
        let both = tasks.iter().zip(&traces);
        let own_slots = both.map(|(task, trace)| own_slots(session, task, trace)).collect();
        let mut scene = Scene::of(session, progress, tasks, traces, own_slots);
        scene.functions.extend(made_up.iter().map(|(at, name)| (*at, name.as_str())));
        scene
    }
}
