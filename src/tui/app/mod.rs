//! Everything the screen shows, and what follows from it.
//!
//! [`App`] holds where the user is ([`Location`]), what was asked and answered (the slots), and
//! lists made from both. [`App::receive`] takes an answer. [`App::settle`] is called after every
//! event: it remakes the lists whose ingredients changed, brings cursors into range, and says which
//! questions the present location raises ([`App::demand`]). So going somewhere is only an
//! assignment, and so is going back.

mod demand;
mod receive;
mod settle;

use super::code::{self, CodeRow, Jumps};
use super::history::{History, Location, Screen};
use super::job::{Request, Slot};
use super::key::Key;
use super::keymap::Context;
use super::layout::{Frames, layout};
use super::locktree::{Component, LockNode, LockRow};
use super::model::{
    CodeView, Inspection, LogLine, MemoryView, Order, Output, Overview, Place, ROW, SourceView,
    Standing, States, Subject, Suggestion, TraceView,
};
use super::prompt::Overlay;
use super::source::Lines;
use super::theme::{Role, Theme};
use super::ties::Ties;
use super::told::ToldRow;
use super::trace::TraceRow;
use super::why::Why;
use super::widget::lines::Line;
use super::widget::window::Window;
use crate::debuginfo::Position;
use crate::dump::VirtAddr;
use crate::kernel::Task;
use crate::locks::LockGraph;
use crate::present::TaskRow;
use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

/// What the loop has to do besides drawing.
#[derive(Clone, PartialEq, Debug)]
pub(crate) enum Effect {
    /// Ask a question of that generation.
    Start(u64, Request),
    /// Stop the jobs that run.
    Stop,
    /// Put text on the clipboard.
    Copy(String),
    /// Switch the mouse on or off.
    Mouse(bool),
    /// Clear the terminal before the next frame.
    Clear,
    /// Stop, as Ctrl-z does.
    Suspend,
    /// End.
    Quit,
}

/// What the list of tasks was made from.
type ListKey = (States, String, Order, u64);

/// What the lines about a task's wait were made from: task, columns, what is unfolded, tasks.
type WhyKey = (VirtAddr, usize, BTreeSet<VirtAddr>, u64);

/// The application.
pub(crate) struct App {
    pub(crate) here: Location,
    pub(crate) history: History,
    pub(crate) theme: Theme,
    /// Columns and rows of the terminal.
    pub(crate) size: (u16, u16),
    /// What is being opened, until it is open and says so itself.
    pub(crate) file: String,
    pub(crate) overlay: Option<Overlay>,
    /// Keys of a sequence that is not complete.
    pub(crate) typed: Vec<Key>,
    /// The number typed before a key that moves.
    pub(crate) count: Option<usize>,
    /// Keys typed ahead of an answer that they depend on.
    pub(crate) held: VecDeque<Key>,
    /// A line for the footer, until the next key.
    pub(crate) message: Option<(Role, String)>,
    /// Whether inspector and code show numbers in hexadecimal.
    pub(crate) hex: bool,
    /// Whether source lines stand between the instructions.
    pub(crate) source_lines: bool,
    pub(crate) mouse: bool,
    /// How far the analysis of the locks is, and the command, in words.
    pub(crate) locks_so_far: Option<String>,
    pub(crate) command_so_far: Option<String>,
    /// Counts ticks, for the sign that something is going on.
    pub(crate) ticks: usize,

    pub(crate) open: Slot<(), Vec<(&'static str, &'static str)>>,
    /// What the opening is busy with.
    pub(crate) stage: &'static str,
    pub(crate) overview: Slot<(), Overview>,
    pub(crate) tasks: Slot<(), Vec<Task>>,
    pub(crate) locks: Slot<(), LockGraph>,
    pub(crate) trace: Slot<VirtAddr, TraceView>,
    pub(crate) lines: Slot<VirtAddr, Lines>,
    pub(crate) inspection: Slot<(Subject, BTreeSet<String>), Inspection>,
    pub(crate) log: Slot<(), Vec<LogLine>>,
    pub(crate) memory: Slot<(VirtAddr, u64), MemoryView>,
    pub(crate) code: Slot<VirtAddr, CodeView>,
    pub(crate) source: Slot<VirtAddr, SourceView>,
    /// What the address is that the cursor rests on.
    pub(crate) identity: Slot<(VirtAddr, Option<VirtAddr>), String>,
    pub(crate) output: Slot<(String, Standing), Output>,
    pub(crate) resolve: Slot<String, Place>,
    pub(crate) suggest: Slot<String, Vec<Suggestion>>,

    /// Tasks joined with the locks.
    pub(crate) rows: Vec<TaskRow>,
    /// Changes whenever `rows` does.
    rows_version: u64,
    /// The listed ones, as positions in `rows`.
    pub(crate) listed: Vec<usize>,
    listed_key: Option<ListKey>,
    pub(crate) trace_rows: Vec<TraceRow>,
    pub(crate) lock_rows: Vec<LockRow>,
    /// Of the graph, made once when it comes.
    ties: Ties,
    lock_rows_key: Option<BTreeSet<VirtAddr>>,
    pub(crate) components: Vec<Component>,
    /// What speaks for the selected line of the lock graph, on its screen.
    pub(crate) evidence: Vec<ToldRow>,
    pub(super) evidence_key: Option<(LockNode, usize)>,
    /// Why the selected task is blocked, and whom it blocks.
    pub(crate) why: Why,
    why_key: Option<WhyKey>,
    /// Whether the cursor goes to whom it blocks, once that is there.
    pub(crate) ask_whom: bool,
    pub(crate) code_rows: Vec<CodeRow>,
    pub(crate) jumps: Jumps,
    /// What `code_rows` were made from.
    code_rows_key: Option<(VirtAddr, bool)>,
    /// The instruction that the cursor goes to, once it is there.
    aim: Option<VirtAddr>,
    /// The message of the log that the cursor goes to, once that is there.
    aim_log: Option<usize>,
    /// The member of the inspected object that the cursor goes to, once that is there.
    aim_member: Option<VirtAddr>,
    /// Whether the cursor goes to the line of the source that was gone to, once that is there.
    pub(super) aim_source: bool,
    /// The verdict, broken into lines of the terminal's width.
    pub(crate) verdict: Vec<Line>,
    /// Whether the cursor goes to what a jump expanded, once that is there.
    pointing: bool,
    /// Whether the user has moved, so that nothing is selected for them any more.
    moved: bool,
    /// The task whose lines the cursor of the lock pane was last brought to.
    followed: Option<VirtAddr>,
}

impl App {
    /// Before anything is open.
    pub(crate) fn new(file: String, theme: Theme, size: (u16, u16)) -> App {
        App {
            here: Location::default(),
            history: History::default(),
            theme,
            size,
            file,
            overlay: None,
            typed: Vec::new(),
            count: None,
            held: VecDeque::new(),
            message: None,
            hex: true,
            source_lines: true,
            mouse: false,
            ticks: 0,
            locks_so_far: None,
            command_so_far: None,
            open: Slot::default(),
            stage: "opening",
            overview: Slot::default(),
            tasks: Slot::default(),
            locks: Slot::default(),
            trace: Slot::default(),
            lines: Slot::default(),
            inspection: Slot::default(),
            log: Slot::default(),
            memory: Slot::default(),
            code: Slot::default(),
            source: Slot::default(),
            identity: Slot::default(),
            output: Slot::default(),
            resolve: Slot::default(),
            suggest: Slot::default(),
            rows: Vec::new(),
            rows_version: 0,
            listed: Vec::new(),
            listed_key: None,
            trace_rows: Vec::new(),
            lock_rows: Vec::new(),
            ties: Ties::default(),
            components: Vec::new(),
            evidence: Vec::new(),
            evidence_key: None,
            lock_rows_key: None,
            why: Why::default(),
            why_key: None,
            ask_whom: false,
            code_rows: Vec::new(),
            jumps: Jumps::default(),
            code_rows_key: None,
            aim: None,
            aim_log: None,
            aim_member: None,
            aim_source: false,
            verdict: Vec::new(),
            pointing: false,
            moved: false,
            followed: None,
        }
    }

    /// What the keymap is asked about.
    pub(crate) fn context(&self) -> Context {
        Context { screen: self.here.screen, pane: self.here.pane }
    }

    /// Where everything stands now.
    pub(crate) fn frames(&self) -> Frames {
        let verdict = u16::try_from(self.verdict.len()).unwrap_or(u16::MAX);
        layout(self.size.0, self.size.1, &self.here, verdict)
    }

    /// Whether any answer is still to come.
    pub(crate) fn loading(&self) -> bool {
        self.open.loading
            || self.overview.loading
            || self.tasks.loading
            || self.locks.loading
            || self.trace.loading
            || self.lines.loading
            || self.inspection.loading
            || self.log.loading
            || self.memory.loading
            || self.code.loading
            || self.source.loading
            || self.output.loading
            || self.resolve.loading
            || self.suggest.loading
    }

    /// Stops waiting for anything; whether there was anything.
    pub(crate) fn cancel(&mut self) -> bool {
        // All of them: `|` does not stop at the first.
        self.locks.cancel()
            | self.tasks.cancel()
            | self.trace.cancel()
            | self.lines.cancel()
            | self.inspection.cancel()
            | self.log.cancel()
            | self.memory.cancel()
            | self.code.cancel()
            | self.source.cancel()
            | self.output.cancel()
            | self.resolve.cancel()
    }

    /// Asks everything anew that was cancelled or failed.
    pub(crate) fn ask_again(&mut self) {
        macro_rules! again {
            ($($slot:ident)*) => {$(
                if self.$slot.error().is_some() {
                    self.$slot.forget();
                }
            )*};
        }
        again!(overview tasks locks trace lines inspection log memory code source output);
    }

    /// The row of a task.
    pub(crate) fn row_of(&self, task: VirtAddr) -> Option<&TaskRow> {
        self.rows.iter().find(|row| row.task.at == task)
    }

    /// The selected task's row.
    pub(crate) fn selected(&self) -> Option<&TaskRow> {
        self.row_of(self.here.task?)
    }

    /// The user moved: from now on nothing is selected for them.
    pub(crate) fn touch(&mut self) {
        self.moved = true;
    }

    /// Remembers this place, because the user is about to jump from it.
    pub(crate) fn leave(&mut self) {
        self.touch();
        self.history.leave(self.here.clone());
    }

    /// Jumps.
    pub(crate) fn go(&mut self, place: &Place) {
        self.leave();
        self.here.go(place);
        self.pointing = true;
        self.aim_member = None;
        match place {
            Place::Code(at) => self.aim = Some(*at),
            Place::Log(record) => self.aim_log = Some(*record),
            Place::Member { at, .. } => self.aim_member = Some(*at),
            _ => {}
        }
        // A task that the filter hides could not be the selected one.
        if let Place::Task(task) = place {
            self.reveal(*task);
        }
    }

    /// Shows what a command answers, run anew: what came before it may have changed its answer.
    pub(crate) fn run(&mut self, command: String) {
        self.leave();
        self.here.standing = self.standing();
        self.here.screen = Screen::Output;
        self.here.command = command;
        self.here.word = None;
        self.here.windows.output = Window::default();
        self.output.forget();
    }

    /// Drops filters that hide a task.
    pub(crate) fn reveal(&mut self, task: VirtAddr) {
        let hidden =
            !self.listed.iter().any(|n| self.rows.get(*n).is_some_and(|r| r.task.at == task));
        if hidden {
            self.here.filter.clear();
            self.here.states = States::default();
        }
    }

    /// Shows or hides the source lines; the cursor stays on its instruction.
    pub(crate) fn toggle_source_lines(&mut self) {
        let row = self.here.windows.code.cursor;
        let view = self.code.ready();
        self.aim =
            view.and_then(|view| code::instruction(view, &self.code_rows, row)).map(|i| i.at);
        self.source_lines = !self.source_lines;
    }

    /// The files and lines of each frame of the trace on the screen, if they are known.
    pub(crate) fn trace_lines(&self) -> &[Arc<[Position]>] {
        let lines = self.lines.ready().filter(|_| self.lines.key() == self.trace.key());
        lines.map_or(&[], Vec::as_slice)
    }

    /// The component that the cursor of the lock graph is in.
    pub(crate) fn component(&self) -> Option<usize> {
        let cursor = self.here.windows.locks.cursor;
        self.components.iter().rposition(|component| component.row <= cursor)
    }

    /// The first line about a task, preferably where it waits in a deadlock or holds others up.
    pub(crate) fn lock_row_of(&self, task: Option<VirtAddr>) -> Option<usize> {
        let graph = self.locks.ready()?;
        task?;
        self.lock_rows.iter().position(|row| row.node.task(graph) == task)
    }

    /// What the inspector shows.
    pub(crate) fn subject(&self) -> Option<Subject> {
        let follow = || Some(Subject::Object { ty: "task_struct".to_owned(), at: self.here.task? });
        self.here.subject.clone().or_else(follow)
    }

    /// The first row of the memory screen.
    pub(crate) fn memory_top(&self) -> VirtAddr {
        let rows = u64::try_from(self.here.windows.memory.cursor).unwrap_or(0);
        VirtAddr(self.here.memory.0 & !(ROW - 1)).minus(rows * ROW)
    }
}
