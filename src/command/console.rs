//! Runs command lines: finds the command, hands it its words, sends the answer through the filters,
//! and keeps what lasts until the next line.

use super::commands::{COMMANDS, find, structure};
use super::filter::Filter;
use super::line::pieces;
use super::{CommandError, select};
use crate::dump::VirtAddr;
use crate::kernel::{Progress, Session, Task, TaskContext, Tasks};
use crate::present::{Document, Line};
use std::sync::Arc;

/// What a command answers.
#[derive(Clone, PartialEq, Debug)]
pub struct Answer {
    /// The answer.
    pub document: Document,
    /// What the reader should know about it: what is doubtful, what was left out.
    pub notes: Vec<String>,
    /// What stands before the answer, since it puts it in question: that something is read as a
    /// type that it is not.
    pub warnings: Vec<String>,
}

impl From<Document> for Answer {
    fn from(document: Document) -> Answer {
        Answer { document, notes: Vec::new(), warnings: Vec::new() }
    }
}

impl From<Vec<Line>> for Answer {
    fn from(lines: Vec<Line>) -> Answer {
        Document::Lines(lines).into()
    }
}

/// One command with its arguments.
pub(super) struct Call<'l> {
    /// The words after the command's name.
    pub(super) words: &'l [String],
    /// The text after the command's name, as it was written.
    pub(super) text: &'l str,
    /// Where that text starts in the line, in characters.
    pub(super) column: usize,
}

/// What lasts from one line to the next.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Lasting {
    /// The `task_struct` of the task that was chosen.
    current: Option<VirtAddr>,
    /// The function on its stack that was chosen, inlined ones counted.
    frame: Option<usize>,
    /// How many values have been printed.
    values: u32,
}

/// Runs command lines over one session.
pub struct Console<'s> {
    pub(super) session: &'s Session,
    lasting: Lasting,
    /// How far a long command is.
    pub(super) progress: Arc<Progress>,
}

impl<'s> Console<'s> {
    /// A console whose current task is not chosen yet.
    #[must_use]
    pub fn new(session: &'s Session) -> Console<'s> {
        Console::resume(session, Lasting::default())
    }

    /// A console that goes on where another one ended.
    #[must_use]
    pub fn resume(session: &'s Session, lasting: Lasting) -> Console<'s> {
        Console { session, lasting, progress: Arc::default() }
    }

    /// The same console, which tells how far it is and can be stopped.
    #[must_use]
    pub fn watched(self, progress: Arc<Progress>) -> Console<'s> {
        Console { progress, ..self }
    }

    /// What another console needs to go on here.
    #[must_use]
    pub fn lasting(&self) -> Lasting {
        self.lasting
    }

    /// Runs a line: a command and its filters.
    ///
    /// # Errors
    /// With the reason, and the column where there is one, when the line is wrong or its answer
    /// cannot be had.
    pub fn run(&mut self, line: &str) -> Result<Answer, CommandError> {
        let pieces = pieces(line)?;
        let Some((command, filters)) = pieces.split_first() else {
            return Err(CommandError::new("an empty line"));
        };
        // What is wrong with a filter is said before the command has taken its time.
        let mut wanted = Vec::new();
        for piece in filters {
            wanted.push(Filter::parse(&piece.words).map_err(|error| CommandError {
                column: Some(error.column.unwrap_or(piece.column)),
                ..error
            })?);
        }
        let Some((name, words)) = command.words.split_first() else {
            return Err(CommandError::new("an empty line"));
        };
        let rest = command.text.get(name.len()..).unwrap_or_default();
        let blank = rest.chars().take_while(|c| c.is_whitespace()).count();
        let column = command.column + name.chars().count() + blank;
        let call = Call { words, text: rest.trim_start(), column };
        let mut answer = match find(name) {
            Some(command) => (command.run)(self, &call)?,
            None => structure::short(self, name, &call)?,
        };
        if !wanted.is_empty() {
            let lines = answer.document.text();
            let filtered = wanted.iter().fold(lines, |lines, filter| filter.run(lines));
            answer.document = Document::Lines(filtered);
        }
        Ok(answer)
    }

    /// The names that a line which starts so may go on with: commands, then types.
    #[must_use]
    pub fn complete(&self, start: &str) -> Vec<&'static str> {
        COMMANDS.iter().map(|c| c.name).filter(|name| name.starts_with(start)).collect()
    }

    /// Where expressions are evaluated: at the current task, in the chosen frame.
    #[must_use]
    pub fn context(&self) -> TaskContext<'s> {
        let task = self.current().ok();
        let chosen = task.zip(self.lasting.frame);
        let inside =
            chosen.and_then(|(task, n)| TaskContext::in_function(self.session, task, n).ok());
        inside.unwrap_or_else(|| TaskContext::new(self.session, task))
    }

    /// Every task.
    ///
    /// # Errors
    /// When there are none to be found, with the reason: an empty list would look like an answer.
    pub(super) fn tasks(&self) -> Result<&'s Tasks, CommandError> {
        let tasks = self.session.tasks();
        if tasks.is_empty() {
            let notes = self.session.notes();
            let reason = notes.first().map_or("the dump has none", String::as_str);
            return Err(CommandError::new(format!("no tasks can be read: {reason}")));
        }
        Ok(tasks)
    }

    /// The current task: the chosen one, otherwise the one that panicked, otherwise the first that
    /// was on a CPU.
    pub(super) fn current(&self) -> Result<&'s Task, CommandError> {
        let tasks = self.tasks()?;
        let chosen = self.lasting.current.and_then(|at| tasks.at(at));
        let panicked = || self.session.system().panic_task.and_then(|at| tasks.at(at));
        let active = || tasks.iter().find(|task| task.active);
        chosen
            .or_else(panicked)
            .or_else(active)
            .or_else(|| tasks.iter().next())
            .ok_or_else(|| CommandError::new("the dump has no tasks"))
    }

    /// The current task, if the dump has any.
    #[must_use]
    pub fn current_task(&self) -> Option<&'s Task> {
        self.current().ok()
    }

    /// Chooses the current task.
    pub fn choose(&mut self, task: &Task) {
        self.lasting.current = Some(task.at);
        self.lasting.frame = None;
    }

    /// The chosen frame of the current task's stack, inlined functions counted.
    pub(super) fn frame(&self) -> Option<usize> {
        self.lasting.frame
    }

    /// Chooses a frame of the current task's stack, inlined functions counted: its variables then
    /// have names in expressions. That there is one is not looked at.
    pub fn choose_frame(&mut self, frame: usize) {
        self.lasting.frame = Some(frame);
    }

    /// What stands before the next value: `$1 = `.
    pub(super) fn next_value(&mut self) -> String {
        self.lasting.values += 1;
        format!("${} = ", self.lasting.values)
    }

    /// The address that a word stands for: a symbol, or a number in hex, as crash takes it.
    pub(super) fn address(&self, word: &str) -> Result<VirtAddr, CommandError> {
        if let Some(at) = select::hex(word).filter(|_| word.starts_with("0x")) {
            return Ok(at);
        }
        let symbol = self.session.symbols().address(word);
        symbol
            .or_else(|| select::hex(word))
            .ok_or_else(|| CommandError::new(format!("{word} is no address and no symbol")))
    }
}
