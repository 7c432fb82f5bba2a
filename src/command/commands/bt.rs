//! `bt`: backtraces.

use super::words::Words;
use super::{Answer, Call, Command, CommandError, Console};
use crate::command::select;
use crate::dump::VirtAddr;
use crate::kernel::{Session, Task};
use crate::present::{Document, Line, Link, Radix, Stack};
use crate::unwind::FrameKind;
use rayon::iter::{IntoParallelIterator, ParallelIterator};

pub(super) const BT: Command = Command {
    name: "bt",
    usage: "bt [-flsxtTV] [PID | TASK | COMM ...]\nbt [-flsxtTV] -a\nbt [-flsxtTV] -c CPU[,CPU...]",
    summary: "the kernel stacks of tasks; without arguments that of the current one",
    details: "-a  the task that was on each CPU\n-c  the task that was on these CPUs\n-f  with the words on the stack after each frame\n-l  with the file and line of each frame, before it those of functions inlined there\n-s  with the distance from the start of each function; with -x in hex\n-t  all return addresses and functions named on the stack, from the stack pointer on\n-T  the same from the far end of the stack on\n-V  with the parameters and variables of each frame, and -l",
    run,
};

fn run(console: &mut Console<'_>, call: &Call<'_>) -> Result<Answer, CommandError> {
    let mut words = Words::of(call.words);
    let mut chosen: Option<Vec<&Task>> = None;
    let mut shown = Shown::default();
    while let Some(word) = words.next() {
        match word {
            "-a" => {
                chosen.get_or_insert_default().extend(running(console, &console.cpus("all")?)?);
            }
            "-c" => {
                let cpus = select::numbers(words.value("a CPU")?)?;
                chosen.get_or_insert_default().extend(running(console, &cpus)?);
            }
            option if option.starts_with('-') => {
                shown = shown.with(option).ok_or_else(|| BT.unknown(option))?;
            }
            word => chosen.get_or_insert_default().extend(select::tasks(console.tasks()?, word)?),
        }
    }
    let tasks = match chosen {
        Some(tasks) => tasks,
        None => vec![console.current()?],
    };
    stacks(console, tasks, shown)
}

/// What is printed of a frame besides its own line.
#[derive(Clone, Copy, Default)]
pub(super) struct Shown {
    words: bool,
    positions: bool,
    locals: bool,
    offsets: bool,
    hex: bool,
    /// Not the frames but all code that the words of the stack name; of the whole stack?
    code: Option<bool>,
}

impl Shown {
    /// With what an option asks for; several letters may stand together. `None` for others.
    pub(super) fn with(self, option: &str) -> Option<Shown> {
        let letters = option.strip_prefix('-').filter(|letters| !letters.is_empty())?;
        letters.chars().try_fold(self, |shown, letter| match letter {
            'f' => Some(Shown { words: true, ..shown }),
            'l' => Some(Shown { positions: true, ..shown }),
            's' => Some(Shown { offsets: true, ..shown }),
            'x' => Some(Shown { hex: true, ..shown }),
            't' => Some(Shown { code: Some(false), ..shown }),
            'T' => Some(Shown { code: Some(true), ..shown }),
            'V' => Some(Shown { positions: true, locals: true, ..shown }),
            _ => None,
        })
    }
}

/// The backtraces of these tasks, in their order.
///
/// # Errors
/// When it was stopped.
pub(super) fn stacks(
    console: &Console<'_>,
    tasks: Vec<&Task>,
    shown: Shown,
) -> Result<Answer, CommandError> {
    if let Some(whole) = shown.code {
        let lines = tasks.into_iter().map(|task| code_on_stack(console.session, task, whole));
        return Ok(lines.collect::<Vec<_>>().join(&Line::default()).into());
    }
    let (session, progress) = (console.session, &console.progress);
    progress.begin("stacks", tasks.len());
    let stack = |task: &Task| {
        let trace = session.trace(task);
        let mut stack = Stack::of(session, task, &trace);
        if shown.offsets {
            stack.offsets = Some(if shown.hex { Radix::Hex } else { Radix::Decimal });
        }
        if shown.words {
            stack = stack.with_words(session.memory());
        }
        if shown.positions {
            stack = stack.with_positions(session);
        }
        if shown.locals {
            stack = stack.with_locals(session, trace);
        }
        stack
    };
    let stacks = tasks.into_par_iter().map(|task| progress.step().then(|| stack(task)));
    let stacks = stacks.collect::<Option<Vec<_>>>().ok_or_else(|| CommandError::new("stopped"))?;
    let mut answer = Answer::from(Document::Stacks(stacks));
    if shown.positions {
        answer.notes.extend(session.dwarf().err().map(|missing| format!("no lines: {missing}")));
    }
    Ok(answer)
}

/// Every word of a task's stack that names code: from its stack pointer on, or of the whole stack.
fn code_on_stack(session: &Session, task: &Task, whole: bool) -> Vec<Line> {
    let mut lines = vec![Stack::heading_of(task)];
    let trace = session.trace(task);
    let first = trace.frames.first();
    let named = |at: VirtAddr| {
        let found = session.symbolize(at).filter(|found| found.symbol.is_text())?;
        let module = found.symbol.module.map(|module| format!(" [{module}]"));
        Some(format!("{} at {:x}{}", found.symbol.name, at, module.unwrap_or_default()))
    };
    let Some(stack) = session.stack(task) else {
        lines.push("    (it has exited and its stack is freed)".into());
        return lines;
    };
    let mut slot = stack.start;
    if !whole {
        match first {
            // A sleeping task's stack pointer is above the return address of its first frame.
            Some(frame) if frame.kind == FrameKind::Call => slot = frame.sp.minus(8),
            Some(frame) => slot = frame.sp,
            None => {}
        }
        let start = first.and_then(|frame| named(frame.pc));
        lines.extend(start.map(|start| Line::from(format!("              START: {start}"))));
    }
    if !stack.contains(&slot) {
        lines.push(format!("    (its stack pointer is elsewhere: {slot})").into());
        return lines;
    }
    let memory = session.memory();
    while slot < stack.end {
        let word = memory.read_u64(slot).map(VirtAddr).ok();
        if let Some((word, name)) = word.and_then(|word| Some((word, named(word)?))) {
            lines.push(Line::to(Link::Code(word), format!("  [{slot:x}] {name}")));
        }
        slot = slot.plus(8);
    }
    lines
}

/// The tasks that were on these CPUs.
fn running<'s>(console: &Console<'s>, cpus: &[u32]) -> Result<Vec<&'s Task>, CommandError> {
    let session = console.session;
    let mut tasks = Vec::new();
    for number in cpus {
        let cpu = console.cpu(*number)?;
        if !cpu.online {
            continue;
        }
        let on_it = |task: &&Task| session.cpu_of(task).is_some_and(|cpu| cpu.number == *number);
        let current = || session.tasks().at(*cpu.current.as_ref().ok()?);
        let task = session.tasks().iter().filter(|task| task.active).find(on_it);
        let missing = || CommandError::new(format!("the task on CPU {number} is not known"));
        tasks.push(task.or_else(current).ok_or_else(missing)?);
    }
    Ok(tasks)
}
