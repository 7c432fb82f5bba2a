//! Everything the screen shows, and what follows from it.
//!
//! [`App`] holds where the user is ([`Location`]), what was asked and answered (the slots), and
//! lists made from both. [`App::settle`] is called after every event: it remakes the lists whose
//! ingredients changed, brings cursors into range, and says which questions the present location
//! raises. So going somewhere is only an assignment, and so is going back.

use super::code::{self, CodeRow, Jumps};
use super::history::{History, Location, Screen};
use super::job::{Message, Reply, Request, Slot};
use super::key::Key;
use super::keymap::{Context, Pane};
use super::layout::{Frames, layout};
use super::locktree::{self, Component, LockRow};
use super::model::{
    CodeView, Inspection, LogLine, MemoryView, Order, Output, Overview, Place, ROW, SourceView,
    Standing, States, Subject, Suggestion, TraceView,
};
use super::prompt::Overlay;
use super::screen::source::functions_height;
use super::source::Lines;
use super::tasklist;
use super::theme::{Role, Theme};
use super::trace::{self, TraceRow};
use super::verdict;
use super::why::{self, Why};
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
    lock_rows_key: Option<BTreeSet<VirtAddr>>,
    pub(crate) components: Vec<Component>,
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
            components: Vec::new(),
            lock_rows_key: None,
            why: Why::default(),
            why_key: None,
            ask_whom: false,
            code_rows: Vec::new(),
            jumps: Jumps::default(),
            code_rows_key: None,
            aim: None,
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
        if let Place::Code(at) = place {
            self.aim = Some(*at);
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

    /// Takes what a job said. Answers to old questions are dropped.
    pub(crate) fn receive(&mut self, generation: u64, message: Message) {
        let reply = match message {
            Message::Progress(stage) => {
                self.stage = stage;
                return;
            }
            Message::Done(reply) => reply,
        };
        match reply {
            Reply::Open(answer) => _ = self.open.receive(generation, answer),
            Reply::Overview(answer) => _ = self.overview.receive(generation, answer),
            Reply::Tasks(answer) => {
                if self.tasks.receive(generation, answer) {
                    self.join();
                }
            }
            Reply::Locks(answer) => {
                if self.locks.receive(generation, answer) {
                    self.lock_rows_key = None;
                    self.join();
                    self.select_culprit();
                }
            }
            Reply::Trace(answer) => _ = self.trace.receive(generation, answer),
            Reply::Lines(answer) => {
                // Rows come in between: the selection stays on its row.
                let selected = self.trace_rows.get(self.here.windows.trace.cursor).copied();
                if self.lines.receive(generation, answer) {
                    self.list_trace();
                    let row = self.trace_rows.iter().position(|row| Some(*row) == selected);
                    if let Some(row) = row.filter(|_| selected != Some(TraceRow::Frame(0))) {
                        self.here.windows.trace.cursor = row;
                    }
                }
            }
            Reply::Inspect(answer) => _ = self.inspection.receive(generation, answer),
            Reply::Log(answer) => {
                if self.log.receive(generation, answer) {
                    // The end of the log is where it happened.
                    self.here.windows.log.cursor = usize::MAX;
                }
            }
            Reply::Memory(answer) => _ = self.memory.receive(generation, answer),
            Reply::Code(answer) => {
                if self.code.receive(generation, answer) {
                    self.code_rows_key = None;
                }
            }
            Reply::Source(answer) => _ = self.source.receive(generation, answer),
            Reply::Identify(answer) => _ = self.identity.receive(generation, answer),
            Reply::Command(answer) => _ = self.output.receive(generation, answer),
            Reply::Suggest(answer) => _ = self.suggest.receive(generation, answer),
            Reply::Resolve(answer) => {
                if self.resolve.receive(generation, answer) {
                    self.resolved();
                }
            }
        }
    }

    fn resolved(&mut self) {
        match self.resolve.value.take() {
            Some(Ok(place)) => {
                self.overlay = None;
                self.go(&place);
            }
            Some(Err(why)) => match &mut self.overlay {
                Some(Overlay::Prompt(prompt)) => prompt.error = Some(why),
                _ => self.message = Some((Role::Fault, why)),
            },
            None => {}
        }
        self.resolve.forget();
    }

    fn join(&mut self) {
        let tasks = self.tasks.ready().map_or(&[][..], |tasks| tasks);
        self.rows = TaskRow::join(tasks, self.locks.ready());
        self.rows_version += 1;
    }

    /// Until the user moves, the selected task is one that is to blame: of the first deadlock, or
    /// the first root blocker.
    fn select_culprit(&mut self) {
        let Some(graph) = self.locks.ready().filter(|_| !self.moved) else { return };
        let cycle = graph.cycles.first().and_then(|cycle| cycle.tasks.first());
        let culprit = cycle.or_else(|| graph.roots.first().map(|root| &root.task));
        if let Some(task) = culprit.map(|task| task.at) {
            self.here.show_task(task);
        }
    }

    /// After a jump to a member, the cursor stands on it.
    fn point_at_opened(&mut self) {
        self.pointing = false;
        let Some(inspection) = self.inspection.ready() else { return };
        if let Some(path) = self.here.open.last()
            && let Some(row) = inspection.nodes.iter().position(|node| node.path == *path)
        {
            // Near the top: what the jump expanded stands below it.
            self.here.windows.nodes = Window { cursor: row, top: row.saturating_sub(2) };
        }
    }

    /// The files and lines of each frame of the trace on the screen, if they are known.
    pub(crate) fn trace_lines(&self) -> &[Arc<[Position]>] {
        let lines = self.lines.ready().filter(|_| self.lines.key() == self.trace.key());
        lines.map_or(&[], Vec::as_slice)
    }

    fn list_trace(&mut self) {
        self.trace_rows = match (self.trace.key(), self.trace.ready()) {
            (Some(task), Some(trace)) if !self.trace.loading => {
                trace::rows(*task, trace, self.trace_lines(), self.locks.ready())
            }
            _ => std::mem::take(&mut self.trace_rows),
        };
        if self.trace.error().is_some() {
            self.trace_rows.clear();
        }
    }

    /// Brings everything in line after an event; gives the questions that the location raises.
    pub(crate) fn settle(&mut self) -> Vec<Effect> {
        self.list_tasks();
        self.list_locks();
        self.tell_why();
        self.list_trace();
        self.verdict = verdict::lines(self);
        let mut effects = self.demand();
        self.list_code();
        self.list_source();
        if self.pointing && !self.inspection.loading {
            self.point_at_opened();
        }
        self.fit();
        effects.extend(self.ask_identity());
        effects
    }

    fn list_tasks(&mut self) {
        let key = (self.here.states, self.here.filter.clone(), self.here.order, self.rows_version);
        let window = &mut self.here.windows.tasks;
        if self.listed_key.as_ref() != Some(&key) {
            self.listed = tasklist::list(&self.rows, key.0, &key.1, key.2);
            self.listed_key = Some(key);
        }
        let at = |n: usize| self.rows.get(n).map(|row| row.task.at);
        let row = |row: usize| self.listed.get(row).copied().and_then(at);
        if row(window.cursor) != self.here.task || self.here.task.is_none() {
            match self.listed.iter().position(|n| at(*n) == self.here.task) {
                Some(position) => window.cursor = position,
                // The filter hides it: select what stands in its place.
                None => {
                    window.cursor = window.cursor.min(self.listed.len().saturating_sub(1));
                    if let Some(task) = row(window.cursor) {
                        self.here.show_task(task);
                    }
                }
            }
        }
    }

    fn list_locks(&mut self) {
        if self.lock_rows_key.as_ref() != Some(&self.here.unfolded) {
            self.lock_rows = self
                .locks
                .ready()
                .map(|graph| locktree::rows(graph, &self.here.unfolded))
                .unwrap_or_default();
            let graph = self.locks.ready();
            self.components =
                graph.map(|graph| locktree::components(graph, &self.lock_rows)).unwrap_or_default();
            self.lock_rows_key = Some(self.here.unfolded.clone());
            self.followed = None;
        }
        // The lock pane follows the selected task, while its own cursor is not in use.
        let in_use = self.here.pane == Pane::Locks || self.here.screen == Screen::Locks;
        if self.followed != self.here.task && self.locks.ready().is_some() {
            self.followed = self.here.task;
            if !in_use && let Some(row) = self.lock_row_of(self.here.task) {
                self.here.windows.locks.cursor = row;
            }
        }
    }

    /// Why the selected task is blocked, where that is on the screen.
    fn tell_why(&mut self) {
        let (Some(task), Some(graph)) = (self.here.task, self.locks.ready()) else { return };
        if self.here.screen != Screen::Why {
            return;
        }
        // One stays free: the space that a line was broken at.
        let columns = usize::from(self.size.0).saturating_sub(1);
        let key = (task, columns, self.here.unfolded.clone(), self.rows_version);
        if self.why_key.as_ref() != Some(&key) {
            self.why = why::why(self, graph, task, columns);
            self.why_key = Some(key);
        }
        if std::mem::take(&mut self.ask_whom) {
            self.here.windows.why = Window { cursor: self.why.whom, top: self.why.whom };
        }
    }

    /// The lines of the code screen, and the cursor on the one that was gone to.
    fn list_code(&mut self) {
        let Some(view) = self.code.ready().filter(|_| !self.code.loading) else { return };
        let key = Some((self.here.code, self.source_lines));
        if self.code_rows_key != key {
            self.code_rows = code::rows(view, self.source_lines);
            self.jumps = Jumps::of(&view.disassembly);
            self.code_rows_key = key;
        }
        if let Some(at) = self.aim.take()
            && let Some(row) = code::row_of(view, &self.code_rows, at)
        {
            self.here.windows.code = Window { cursor: row, top: row.saturating_sub(8) };
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

    /// Brings every cursor into its list.
    fn fit(&mut self) {
        let warned = self.inspection.ready().is_some_and(|shown| shown.warning.is_some());
        let frames = self.frames();
        let height = |pane| frames.pane(pane).map_or(1, Frames::rows);
        let body = Frames::rows(frames.body);
        let nodes = self.inspection.ready().map_or(0, |inspection| inspection.nodes.len());
        let lock_height = match self.here.screen {
            Screen::Locks => body,
            _ => height(Pane::Locks),
        };
        // One more row of each list of tasks is its heading.
        let task_height = height(Pane::Tasks).saturating_sub(1);
        let source = self.source_lines().len();
        let head = usize::from(functions_height(self, frames.body.height));
        let source_height = body.saturating_sub(head);
        let log = self.log.ready().map_or(0, Vec::len);
        let output = self.output.ready().map_or(0, |output| output.lines.len());
        let windows = &mut self.here.windows;
        windows.tasks.fit(self.listed.len(), task_height);
        windows.trace.fit(self.trace_rows.len(), height(Pane::Backtrace));
        // A warning takes the first row.
        let node_height = height(Pane::Inspector).saturating_sub(usize::from(warned));
        windows.nodes.fit(nodes, node_height.max(1));
        windows.locks.fit(self.lock_rows.len(), lock_height);
        if self.log.ready().is_some() {
            windows.log.fit(log, body);
        }
        windows.why.fit(self.why.rows.len(), body);
        windows.code.fit(self.code_rows.len(), body);
        windows.output.fit(output, body);
        if !self.source.loading {
            windows.source.fit(source, source_height);
        }
        windows.memory.cursor = windows.memory.cursor.min(body.saturating_sub(1));
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
