//! `runq`: what runs on each CPU, and what waits to run there.

use super::{Answer, Call, Command, CommandError, Console};
use crate::command::select;
use crate::dump::VirtAddr;
use crate::kernel::{Cpu, queued, queues};
use crate::present::{Cell, Document, Heading, Line, Link, Table};

pub(super) const RUNQ: Command = Command {
    name: "runq",
    usage: "runq [-c CPU[,CPU...]]",
    summary: "the task that runs on each CPU, and those that wait to run there",
    details: "-c  of these CPUs only\nReal-time tasks stand with their priority, fair ones in the order of their tree; tasks of control\ngroups among them.",
    run,
};

fn run(console: &mut Console<'_>, call: &Call<'_>) -> Result<Answer, CommandError> {
    let wanted = match call.words {
        [] => None,
        [option, list] if option == "-c" => Some(select::numbers(list)?),
        [option] if option == "-c" => return Err(CommandError::new("-c wants a CPU")),
        [.., word] => return Err(RUNQ.unknown(word)),
    };
    let session = console.session;
    for number in wanted.iter().flatten() {
        console.cpu(*number)?;
    }
    let asked = |cpu: &&Cpu| wanted.as_ref().map_or(cpu.online, |all| all.contains(&cpu.number));
    let mut answer = Answers::default();
    for cpu in session.cpus().iter().filter(asked) {
        answer.cpu(console, cpu);
    }
    let table = Table {
        columns: vec![
            Heading::right("cpu", "CPU"),
            Heading::left("runqueue", "RUNQUEUE"),
            Heading::left("queue", "QUEUE"),
            Heading::right("prio", "PRIO"),
            Heading::right("pid", "PID"),
            Heading::left("task", "TASK"),
            Heading::left("comm", "COMMAND"),
        ],
        rows: answer.rows,
        lines: Some(answer.lines),
    };
    Ok(Answer { notes: answer.notes, ..Answer::from(Document::Table(table)) })
}

/// What is said of the CPUs so far.
#[derive(Default)]
struct Answers {
    lines: Vec<Line>,
    rows: Vec<Vec<Cell>>,
    notes: Vec<String>,
}

impl Answers {
    fn cpu(&mut self, console: &Console<'_>, cpu: &Cpu) {
        let number = cpu.number;
        if !self.lines.is_empty() {
            self.lines.push(Line::default());
        }
        let runqueue = match &cpu.runqueue {
            Ok(runqueue) => *runqueue,
            Err(unknown) => {
                self.notes.push(format!("CPU {number}: {unknown}"));
                return;
            }
        };
        let link = Link::Object("struct rq".to_owned(), runqueue);
        self.lines.push(Line::to(link, format!("CPU {number} RUNQUEUE: {runqueue:x}")));
        match &cpu.current {
            Ok(task) => self.task(console, cpu, runqueue, ("current", None), *task),
            Err(unknown) => self.notes.push(format!("CPU {number}: {unknown}")),
        }
        let kernel = console.session.kernel();
        let found = queued(kernel, runqueue).and_then(|all| Ok((all, queues(kernel, runqueue)?)));
        let (waiting, (rt, fair)) = match found {
            Ok(found) => found,
            Err(unknown) => {
                self.notes.push(format!("CPU {number}: what waits is not known: {unknown}"));
                return;
            }
        };
        self.queue(format!("  RT PRIO_ARRAY: {rt:x}"), rt, waiting.real_time.is_empty());
        for (priority, task) in &waiting.real_time {
            self.task(console, cpu, runqueue, ("rt", Some(*priority)), *task);
        }
        self.queue(format!("  CFS RB_ROOT: {fair:x}"), fair, waiting.fair.is_empty());
        for task in &waiting.fair {
            let prio = kernel.field("task_struct", "prio").ok();
            let prio = prio.and_then(|field| field.read(kernel.memory, *task).ok());
            self.task(console, cpu, runqueue, ("cfs", prio), *task);
        }
        let said = waiting.notes.into_iter().map(|note| format!("CPU {number}: {note}"));
        self.notes.extend(said);
        if waiting.deadline > 0 {
            let count = waiting.deadline;
            self.notes.push(format!("CPU {number}: {count} deadline tasks are not listed"));
        }
    }

    fn queue(&mut self, heading: String, at: VirtAddr, empty: bool) {
        self.lines.push(Line::to(Link::Memory(at), heading));
        if empty {
            self.lines.push("     [no tasks queued]".into());
        }
    }

    fn task(
        &mut self,
        console: &Console<'_>,
        cpu: &Cpu,
        runqueue: VirtAddr,
        (queue, prio): (&str, Option<u64>),
        at: VirtAddr,
    ) {
        let task = console.session.tasks().at(at);
        let before = match prio {
            _ if queue == "current" => "  CURRENT: ".to_owned(),
            Some(prio) => format!("     [{prio:>3}] "),
            None => "     [  –] ".to_owned(),
        };
        let text = match task {
            Some(task) => {
                format!("PID: {:<5}  TASK: {at:x}  COMMAND: \"{}\"", task.pid, task.comm)
            }
            None => format!("TASK: {at:x}  (no task that is known)"),
        };
        self.lines.push(Line::to(Link::Task(at), before + &text));
        let number = |number: u64| Cell::Int(i64::try_from(number).unwrap_or(i64::MAX));
        let unknown = || Cell::Unknown("no task that is known".into());
        self.rows.push(vec![
            number(cpu.number.into()),
            Cell::Address(runqueue),
            Cell::Text(queue.to_owned()),
            prio.map_or(Cell::Empty, number),
            task.map_or_else(unknown, |task| number(task.pid.into())),
            Cell::Address(at),
            task.map_or_else(unknown, |task| Cell::Text(task.comm.to_string())),
        ]);
    }
}
