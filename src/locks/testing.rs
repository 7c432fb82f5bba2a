//! Scenes made by hand for the tests of this floor.
//!
//! The memory, the types, the symbols and the code are those of the program's own demo, a dump of a real kernel, with
//! whatever a test changes in it; the tasks are copies of the demo's, in the functions that a test puts them in.

use super::scene::Scene;
use crate::dump::{Dump, VirtAddr};
use crate::kernel::{Options, Progress, Session, State, Task};
use crate::unwind::{End, Frame, FrameKind, Register, Registers, Trace};
use foldhash::HashMap;
use memory::Memory;
use std::sync::{Arc, OnceLock};

#[path = "../../tests/locks/memory.rs"]
#[expect(dead_code, reason = "the stories of whole dumps use more of it")]
pub(super) mod memory;

/// The demo as it is, opened once for all tests.
pub(super) fn demo() -> Arc<Session> {
    static DEMO: OnceLock<Arc<Session>> = OnceLock::new();
    Arc::clone(DEMO.get_or_init(|| Arc::new(memory::demo())))
}

/// Tasks in functions.
pub(super) struct Stage {
    pub(super) session: Arc<Session>,
    pub(super) tasks: Vec<Task>,
    pub(super) traces: Vec<Trace>,
    made_up: HashMap<VirtAddr, String>,
    progress: Progress,
}

impl Stage {
    /// An empty one, in the demo's memory.
    pub(super) fn new() -> Stage {
        Stage::of(demo())
    }

    /// An empty one, in memory that is not quite the demo's.
    pub(super) fn with(change: impl FnOnce(&mut Memory<'_>)) -> Stage {
        let demo = demo();
        let mut memory = Memory::of(&demo);
        change(&mut memory);
        let dump = Dump::from_vec(memory.kdump(), "changed demo").unwrap();
        Stage::of(Arc::new(Session::from_dump(dump, &Options::default()).unwrap()))
    }

    fn of(session: Arc<Session>) -> Stage {
        let (tasks, traces, made_up) = (Vec::new(), Vec::new(), HashMap::default());
        Stage { session, tasks, traces, made_up, progress: Progress::default() }
    }

    /// Puts the demo's task of that name into these functions, innermost first: `<IRQ> f` was interrupted
    /// in f (so do `<NMI>` and `<EXC>`), `<USER>` is user mode. Its index.
    pub(super) fn enter(&mut self, comm: &str, functions: &[&str]) -> usize {
        let task = task(&self.session, comm).clone();
        let bottom = task.sp.clone().unwrap_or(task.stack.plus(0x2000));
        let frames = (0..).zip(functions).map(|(number, function)| {
            let (kind, name) = match function.split_once(' ') {
                Some(("<IRQ>", name)) => (FrameKind::Irq, name),
                Some(("<NMI>", name)) => (FrameKind::Nmi, name),
                Some(("<EXC>", name)) => (FrameKind::Exception, name),
                _ if *function == "<USER>" => (FrameKind::User, ""),
                _ => (FrameKind::Call, *function),
            };
            let begins = self.session.symbols().address(name).unwrap_or_else(|| {
                let at = VirtAddr(0x40_0000 + 0x1000 * self.made_up.len() as u64);
                self.made_up.insert(at, name.to_owned());
                at
            });
            let pc = if kind == FrameKind::Call { begins.plus(1) } else { begins };
            let (sp, registers) = (bottom.plus(0x40 * number), Registers::default());
            Frame { kind, pc, sp, reliable: true, registers, pt_regs: None }
        });
        self.traces.push(Trace { frames: frames.collect(), end: End::Complete });
        self.tasks.push(task);
        self.tasks.len() - 1
    }

    /// The same with the task on a CPU.
    pub(super) fn run(&mut self, comm: &str, cpu: u32, functions: &[&str]) -> usize {
        let index = self.enter(comm, functions);
        let task = &mut self.tasks[index];
        (task.active, task.cpu, task.state) = (true, Ok(cpu), Ok(State::Running));
        index
    }

    /// Lets a frame of a task be at the first instruction of its function, which was given this.
    pub(super) fn give(&mut self, task: usize, frame: usize, first_argument: u64) {
        let frames = &mut self.traces[task].frames;
        let sp = frames[frame + 1].sp.minus(8);
        frames[frame].sp = sp;
        frames[frame].registers.set(Register::Rdi, Some(first_argument));
        assert_ne!(frames[frame].kind, FrameKind::Call, "a caller is behind a call");
    }

    pub(super) fn scene(&self) -> Scene<'_> {
        let traces = self.traces.clone();
        Scene::staged(&self.session, &self.progress, &self.tasks, traces, &self.made_up)
    }
}

/// The task of that name.
pub(super) fn task<'s>(session: &'s Session, comm: &str) -> &'s Task {
    session.tasks().iter().find(|task| &*task.comm == comm).unwrap()
}
