//! Answers out of an opened dump.

mod code;
mod frame;
mod inspect;
mod memory;
mod resolve;
mod source;
mod suggest;

use super::model::{
    CodeView, FrameRow, Inspection, LogLine, MemoryView, Output, Overview, Place, SourceView,
    Standing, Subject, Suggestion, TraceView,
};
use super::source::{Answer, Lines, Source};
use crate::command::{COMMANDS, CommandError, Console, Lasting};
use crate::dump::VirtAddr;
use crate::kernel::{LogRecord, Progress, Session, Task};
use crate::locks::{self, LockGraph};
use crate::present::Link;
use crate::unwind::{End, FrameKind};
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

/// Kernel image and modules lie above this on x86-64; below it no word is named by a symbol.
const IMAGE: u64 = 0xffff_ffff_8000_0000;

/// An opened dump, and what was found out about its locks.
pub(super) struct Opened {
    name: String,
    session: Session,
    locks: OnceLock<LockGraph>,
    /// What one command leaves to the next, the task that `set` chose and the frame; and where the
    /// user stood then.
    lasting: Mutex<(Lasting, Standing)>,
}

impl Opened {
    /// What is opened under this name.
    pub(super) fn new(name: String, session: Session) -> Opened {
        Opened { name, session, locks: OnceLock::new(), lasting: Mutex::default() }
    }

    fn task(&self, at: VirtAddr) -> Answer<&Task> {
        let none = || format!("no task has its task_struct at {at}");
        self.session.tasks().at(at).ok_or_else(none)
    }

    /// The console as the last command left it. Where the user has gone to another task or frame
    /// since then, that is the current one.
    fn console(&self, standing: Standing) -> Console<'_> {
        let (lasting, before) = *self.lasting.lock().unwrap_or_else(PoisonError::into_inner);
        let mut console = Console::resume(&self.session, lasting);
        let task = standing.task.and_then(|task| self.session.tasks().at(task));
        if let Some(task) = task.filter(|_| standing != before) {
            console.choose(task);
            if let Some(frame) = standing.frame {
                console.choose_frame(frame);
            }
        }
        console
    }

    /// Keeps what a command leaves to the next.
    fn keep(&self, lasting: Lasting, standing: Standing) {
        *self.lasting.lock().unwrap_or_else(PoisonError::into_inner) = (lasting, standing);
    }

    /// What a word points to, if it can be named: a symbol, or a task (whose lowest bits a lock
    /// may have taken for flags).
    fn named(&self, word: u64) -> Option<String> {
        if word >= IMAGE {
            return self.session.symbolize(VirtAddr(word)).map(|found| found.to_string());
        }
        self.session.tasks().at(VirtAddr(word & !7)).map(Task::label)
    }
}

impl Source for Opened {
    fn overview(&self) -> Answer<Overview> {
        let dump = self.session.dump();
        let info = dump.info();
        // The version of its headers is for `info` to tell.
        let words =
            info.format.split(' ').filter(|word| !word.trim_end_matches(',').starts_with('v'));
        let container = words.collect::<Vec<_>>().join(" ").replace("-compressed", "");
        let packed = info.compressions.iter().map(|packed| packed.name());
        let packed: Vec<&str> = packed.filter(|name| *name != "raw").collect();
        let system = self.session.system();
        let release = system.utsname.as_ref().map(|name| name.release.clone());
        Ok(Overview {
            file: self.name.clone(),
            format: format!("{container} {}", packed.join("+")).trim().to_owned(),
            // With what always finds room.
            release: match self.session.synthetic() {
                Some(_) => format!("SYNTHETIC {}", release.unwrap_or_default()),
                None => release.unwrap_or_default(),
            },
            cpus: Some(self.session.cpus().online()),
            uptime: system.uptime.clone().ok(),
            panic: system.panic.clone(),
        })
    }

    fn tasks(&self) -> Answer<Vec<Task>> {
        let tasks = self.session.tasks();
        if tasks.is_empty() {
            let notes = self.session.notes().join("; ");
            return Err(format!("no task was found: {notes}"));
        }
        Ok(tasks.all().to_vec())
    }

    fn locks(&self, progress: &Progress) -> Answer<LockGraph> {
        if self.locks.get().is_none() {
            let graph = locks::analyse_watched(&self.session, progress).ok_or("stopped")?;
            _ = self.locks.set(graph);
        }
        self.locks.get().cloned().ok_or_else(|| "not analysed".to_owned())
    }

    fn trace(&self, task: VirtAddr) -> Answer<TraceView> {
        let trace = self.session.trace(self.task(task)?);
        let frames = trace.frames.iter().map(|frame| {
            let found = self.session.symbolize(frame.lookup_pc());
            FrameRow {
                kind: frame.kind,
                symbol: found.map(|found| found.symbol.name.to_owned()),
                offset: found.and_then(|found| frame.pc.offset_from(found.symbol.at)).unwrap_or(0),
                module: found.and_then(|found| found.symbol.module.map(str::to_owned)),
                pc: frame.pc,
                sp: frame.sp,
                reliable: frame.reliable,
            }
        });
        let frames = frames.collect();
        let cut = match trace.end {
            End::Complete => None,
            End::Cut(why) => Some(why),
        };
        Ok(TraceView { frames, cut })
    }

    fn lines(&self, task: VirtAddr) -> Answer<Lines> {
        let trace = self.session.trace(self.task(task)?);
        let lines = trace.frames.iter().map(|frame| match frame.kind {
            FrameKind::User => Arc::default(),
            _ => self.session.positions(frame.lookup_pc()),
        });
        Ok(lines.collect())
    }

    fn inspect(&self, subject: &Subject, open: &BTreeSet<String>) -> Answer<Inspection> {
        inspect::inspect(self, subject, open)
    }

    fn log(&self) -> Answer<Vec<LogLine>> {
        let log = self.session.log();
        // A record of several lines is as many here, stamped once.
        let lines = |(number, record): (usize, &LogRecord)| {
            let stamp = record.stamp();
            let level = record.level;
            let blank = " ".repeat(stamp.len());
            let line = move |(n, text): (usize, &str)| LogLine {
                stamp: if n == 0 { stamp.clone() } else { blank.clone() },
                level,
                text: text.to_owned(),
                record: number,
            };
            record.text.lines().enumerate().map(line).collect::<Vec<_>>()
        };
        if log.records.is_empty() && !log.notes.is_empty() {
            return Err(log.notes.join("; "));
        }
        Ok(log.records.iter().enumerate().flat_map(lines).collect())
    }

    fn memory(&self, at: VirtAddr, rows: u64) -> Answer<MemoryView> {
        Ok(memory::view(self, at, rows))
    }

    fn identify(&self, at: VirtAddr, task: Option<VirtAddr>) -> Answer<String> {
        let task = task.and_then(|task| self.session.tasks().at(task));
        Ok(self.session.identify(at, task).to_string())
    }

    fn code(&self, at: VirtAddr) -> Answer<CodeView> {
        code::view(self, at)
    }

    fn text(&self, at: VirtAddr) -> Answer<SourceView> {
        source::view(self, at)
    }

    fn resolve(&self, text: &str, standing: Standing) -> Answer<Place> {
        let console = self.console(standing);
        self.keep(console.lasting(), standing);
        resolve::resolve(self, text, &console)
    }

    fn suggest(&self, text: &str) -> Answer<Vec<Suggestion>> {
        Ok(suggest::suggest(&self.session, text))
    }

    fn command(&self, text: &str, standing: Standing, progress: &Arc<Progress>) -> Answer<Output> {
        let mut console = self.console(standing).watched(Arc::clone(progress));
        let answer = console.run(text);
        self.keep(console.lasting(), standing);
        let answer = match answer {
            Ok(answer) => answer,
            Err(error) => return pointed_at(text, &error),
        };
        let line = |line: crate::present::Line| (line.text, line.link.map(|link| self.place(link)));
        let warnings =
            answer.warnings.into_iter().map(|warning| format!("warning: {warning}").into());
        let mut lines: Vec<_> = warnings.chain(answer.document.text()).map(line).collect();
        lines.extend(answer.notes.into_iter().map(|note| (format!("note: {note}"), None)));
        Ok(Output { lines })
    }

    fn commands(&self) -> Vec<(&'static str, &'static str)> {
        COMMANDS.iter().map(|command| (command.name, command.summary)).collect()
    }
}

/// An error, with a mark under what it is about.
fn pointed_at(text: &str, error: &CommandError) -> Answer<Output> {
    let column = error.column.ok_or_else(|| error.to_string())?;
    let lines = [error.to_string(), text.to_owned(), format!("{:column$}^", "")];
    Ok(Output { lines: lines.map(|line| (line, None)).into() })
}

impl Opened {
    fn place(&self, link: Link) -> Place {
        match link {
            Link::Task(task) => Place::Task(task),
            Link::Object(ty, at) => Place::object(ty, at),
            Link::Memory(at) => self.place_at(at),
            Link::Code(at) => Place::Code(at),
        }
    }

    /// Where an address leads: to the task or the lock that lies there, to code, otherwise to its
    /// memory.
    fn place_at(&self, at: VirtAddr) -> Place {
        if self.session.tasks().at(at).is_some() {
            return Place::Task(at);
        }
        let locks = self.locks.get().into_iter().flat_map(|graph| &graph.locks);
        match locks.into_iter().find(|lock| lock.at == at) {
            Some(lock) => Place::object(lock.ty, at),
            None if self.is_code(at) => Place::Code(at),
            None => Place::Memory(at),
        }
    }

    /// Whether a symbol of code covers an address.
    fn is_code(&self, at: VirtAddr) -> bool {
        at.0 >= IMAGE && self.session.symbolize(at).is_some_and(|found| found.symbol.is_text())
    }
}
