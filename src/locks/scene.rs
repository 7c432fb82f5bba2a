//! What the analysis looks at: all tasks with their stacks, and what their code shows them to hold.

use super::calls::Cache;
use super::clock::Clock;
use super::evidence::{self, Held};
use super::slots::{Slot, Slots};
use super::stack::Code;
use super::steps::Steps;
use crate::dump::{Fault, VirtAddr};
use crate::kernel::{Progress, Session, State, Task};
use crate::memory::VirtualMemory;
use crate::unwind::{End, FrameKind, Trace};
use foldhash::HashMap;
use rayon::prelude::*;
use std::sync::{Arc, OnceLock};

/// No kernel stack is larger (`THREAD_SIZE` with KASAN is 32 KiB).
const STACK_LIMIT: u64 = 64 * 1024;

/// Of so many tasks the stacks are no longer in the cache of pages when it is known whether anybody
/// asks for what their code holds: then it is followed at once.
const MANY: usize = 8192;

/// The tasks of a dump with their backtraces, by number and by address.
pub(super) struct Scene<'s> {
    pub(super) session: &'s Session,
    /// How far the analysis is.
    pub(super) progress: &'s Progress,
    pub(super) tasks: &'s [Task],
    pub(super) traces: Vec<Trace>,
    pub(super) clock: Clock,
    /// Every lock that the live code of some task took and has not given back, once it is known.
    held: OnceLock<Vec<Held>>,
    /// The first sleeping task whose backtrace ends early, if there is one, and how many more there are.
    cut: OnceLock<Option<(usize, usize)>>,
    /// Where tasks' own addresses stand on their stacks.
    slots: Slots,
    by_address: HashMap<VirtAddr, usize>,
    /// Of each task what its stack has in common with others.
    shapes: Vec<Arc<Shape<'s>>>,
}

/// What stacks in the same functions, at the same calls, have in common: many tasks sleep at one place.
struct Shape<'s> {
    /// The function of each frame, innermost first; "" where none is known.
    functions: Box<[&'s str]>,
    /// What the code of each frame says.
    steps: Steps,
    /// The outermost frame whose code is worth following for the locks that it holds.
    takes: OnceLock<Option<usize>>,
}

/// Shapes by whether the tasks are running and by where their frames are.
type Shapes<'s> = Cache<(bool, Box<[(FrameKind, VirtAddr)]>), Arc<Shape<'s>>>;

/// What is seen of a task in one go: its trace, its slots, its shape, and what its code holds.
type Looked<'s> = (Trace, Option<Box<[Slot]>>, Arc<Shape<'s>>, Vec<Held>);

impl<'s> Shape<'s> {
    fn of(trace: &Trace, name: impl Fn(VirtAddr) -> &'s str) -> Shape<'s> {
        let functions = trace.frames.iter().map(|frame| name(frame.lookup_pc())).collect();
        Shape { functions, steps: Steps::new(trace.frames.len()), takes: OnceLock::new() }
    }

    /// The locks that the live code of the task number `index`, which has this shape, took and has not
    /// given back.
    fn held(&self, code: &Code<'s>, index: usize, task: &Task, trace: &Trace) -> Vec<Held> {
        let takes = self.takes.get_or_init(|| evidence::outermost(code, trace, task.active));
        takes.map_or_else(Vec::new, |takes| {
            evidence::held(code, index, task, trace, &self.steps, takes)
        })
    }
}

impl<'s> Scene<'s> {
    pub(super) fn new(session: &'s Session, code: &Code<'s>, progress: &'s Progress) -> Scene<'s> {
        let tasks = session.tasks().all();
        // The symbols are wanted by every trace: make them once, before many threads ask.
        let _ = session.symbols();
        progress.begin("stacks", tasks.len());
        let shapes = Shapes::new();
        let shape = |task: &Task, trace: &Trace| {
            let frames = trace.frames.iter().map(|frame| (frame.kind, frame.pc)).collect();
            shapes.get((task.active, frames), || Arc::new(Shape::of(trace, |at| code.name(at))))
        };
        // What is wanted of a stack is read in one go: no cache holds the stacks of many tasks.
        let many = tasks.len() > MANY;
        let look = |(index, task)| {
            let mut trace = if progress.step() {
                session.trace(task)
            } else {
                Trace { frames: Vec::new(), end: End::Cut("stopped before its turn".to_owned()) }
            };
            trace.frames.shrink_to_fit();
            let slots = own_slots(session, task, &trace);
            let shape = shape(task, &trace);
            let held = if many { shape.held(code, index, task, &trace) } else { Vec::new() };
            (trace, slots, shape, held)
        };
        let looked = tasks.par_iter().enumerate().map(look).collect();
        Scene::of(session, progress, tasks, looked, many)
    }

    /// Of each task what was seen of it; `followed` says whether that is all that its code holds.
    fn of(
        session: &'s Session,
        progress: &'s Progress,
        tasks: &'s [Task],
        looked: Vec<Looked<'s>>,
        followed: bool,
    ) -> Scene<'s> {
        let taken_apart = || {
            let mut traces = Vec::with_capacity(tasks.len());
            let mut slots = Vec::with_capacity(tasks.len());
            let mut shapes = Vec::with_capacity(tasks.len());
            let mut held = Vec::new();
            for (task, (trace, own_slots, shape, held_by_it)) in tasks.iter().zip(looked) {
                traces.push(trace);
                slots.push((task.stack, own_slots));
                shapes.push(shape);
                held.extend(held_by_it);
            }
            (traces, Slots::new(slots.into_iter()), shapes, held)
        };
        let by_address = || tasks.iter().zip(0..).map(|(task, index)| (task.at, index)).collect();
        let (taken_apart, (by_address, clock)) =
            rayon::join(taken_apart, || (by_address(), Clock::new(session, tasks)));
        let (traces, slots, shapes, held) = taken_apart;
        let held = if followed { OnceLock::from(held) } else { OnceLock::new() };
        let cut = OnceLock::new();
        Scene { session, progress, tasks, traces, clock, held, cut, slots, by_address, shapes }
    }

    /// The kernel's memory, of which the words around [`Scene::own_slots`] are at hand.
    pub(super) fn memory(&self) -> &dyn VirtualMemory {
        self
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

    /// Every lock that the live code of some task took and has not given back.
    pub(super) fn held(&self, code: &Code<'s>) -> &[Held] {
        self.held.get_or_init(|| {
            self.progress.begin("code of stacks", self.tasks.len());
            let tasks = self.tasks.par_iter().zip(&self.traces).zip(&self.shapes).enumerate();
            tasks
                .filter(|_| self.progress.step())
                .flat_map_iter(|(index, ((task, trace), shape))| {
                    shape.held(code, index, task, trace)
                })
                .collect()
        })
    }

    /// The first sleeping task whose backtrace ends early, if there is one, and how many more there are.
    pub(super) fn cut(&self) -> Option<(usize, usize)> {
        *self.cut.get_or_init(|| {
            let tasks = self.tasks.iter().zip(&self.traces).enumerate();
            let is_cut = |task: &Task, trace: &Trace| !task.active && trace.end != End::Complete;
            let mut cut = tasks.filter(|(_, (task, trace))| is_cut(task, trace));
            let (first, _) = cut.next()?;
            Some((first, cut.count()))
        })
    }

    /// The function of each frame of a task, innermost first; "" where none is known.
    pub(super) fn functions(&self, index: usize) -> &[&'s str] {
        self.shapes.get(index).map(|shape| &*shape.functions).unwrap_or_default()
    }

    /// What the code of each frame of a task says.
    pub(super) fn steps(&self, index: usize) -> Option<&Steps> {
        Some(&self.shapes.get(index)?.steps)
    }

    /// Where a sleeping task's own address stands in the live part of its stack, so perhaps in what
    /// it queued itself with; `None` when that cannot be read or the task is not asleep.
    pub(super) fn own_slots(&self, index: usize) -> Option<impl Iterator<Item = VirtAddr> + Clone> {
        self.slots.of(index)
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
    Some(Slot::find(task.at, &words))
}

impl VirtualMemory for Scene<'_> {
    fn read(&self, at: VirtAddr, buf: &mut [u8]) -> Result<(), Fault> {
        match self.slots.read(at, buf) {
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
        let known = |at| session.symbolize(at).map_or("", |found| found.symbol.name);
        let name = |at| made_up.get(&at).map_or_else(|| known(at), String::as_str);
        let looked = tasks.iter().zip(traces).map(|(task, trace)| {
            let slots = own_slots(session, task, &trace);
            let shape = Arc::new(Shape::of(&trace, name));
            (trace, slots, shape, Vec::new())
        });
        Scene::of(session, progress, tasks, looked.collect(), false)
    }
}
