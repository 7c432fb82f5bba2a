//! Brings everything in line after an event: the lists whose ingredients changed are made anew, each
//! cursor is brought into its list.

use super::{App, Effect};
use crate::tui::code::{self, Jumps};
use crate::tui::history::Screen;
use crate::tui::keymap::Pane;
use crate::tui::layout::Frames;
use crate::tui::locktree;
use crate::tui::screen::locks::lock_areas;
use crate::tui::screen::source::functions_height;
use crate::tui::tasklist;
use crate::tui::ties::Ties;
use crate::tui::trace;
use crate::tui::verdict;
use crate::tui::why;
use crate::tui::widget::window::Window;

impl App {
    /// Brings everything in line after an event; gives the questions that the location raises.
    pub(crate) fn settle(&mut self) -> Vec<Effect> {
        self.list_tasks();
        self.list_locks();
        self.tell_why();
        self.weigh_evidence();
        self.list_trace();
        self.verdict = verdict::lines(self);
        let mut effects = self.demand();
        self.list_code();
        self.list_source();
        self.aim_at_message();
        if self.pointing && !self.inspection.loading {
            self.point_at_opened();
        }
        self.fit();
        effects.extend(self.ask_identity());
        effects
    }

    pub(super) fn list_trace(&mut self) {
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
            let graph = self.locks.ready();
            if self.lock_rows_key.is_none() {
                self.ties = graph.map(Ties::of).unwrap_or_default();
            }
            self.lock_rows = graph
                .map(|graph| locktree::rows(graph, &self.ties, &self.here.unfolded))
                .unwrap_or_default();
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

    /// What speaks for the selected line, where that is on the screen.
    fn weigh_evidence(&mut self) {
        if self.here.screen == Screen::Locks {
            let area = lock_areas(self, self.frames().body).evidence;
            // One stays free: the space that a line was broken at.
            self.weigh(usize::from(area.width).saturating_sub(1));
        }
    }

    /// The cursor on the message that was gone to.
    fn aim_at_message(&mut self) {
        let Some(log) = self.log.ready() else { return };
        if let Some(record) = self.aim_log.take()
            && let Some(line) = log.iter().position(|line| line.record == record)
        {
            self.here.windows.log = Window { cursor: line, top: line.saturating_sub(8) };
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

    /// After a jump to a member, the cursor stands on it.
    fn point_at_opened(&mut self) {
        self.pointing = false;
        let aim = self.aim_member.take();
        let Some(inspection) = self.inspection.ready() else { return };
        if let Some(at) = aim {
            // The member that begins there, or the one that it is in.
            let nodes = inspection.nodes.iter().enumerate();
            let before =
                nodes.filter_map(|(row, node)| Some((node.at.filter(|its| *its <= at)?, row)));
            if let Some((_, row)) = before.max() {
                self.here.windows.nodes = Window { cursor: row, top: row.saturating_sub(2) };
            }
            return;
        }
        if let Some(path) = self.here.open.last()
            && let Some(row) = inspection.nodes.iter().position(|node| node.path == *path)
        {
            // Near the top: what the jump expanded stands below it.
            self.here.windows.nodes = Window { cursor: row, top: row.saturating_sub(2) };
        }
    }

    /// Brings every cursor into its list.
    fn fit(&mut self) {
        let warned = self.inspection.ready().is_some_and(|shown| shown.warning.is_some());
        let frames = self.frames();
        let height = |pane| frames.pane(pane).map_or(1, Frames::rows);
        let body = Frames::rows(frames.body);
        let nodes = self.inspection.ready().map_or(0, |inspection| inspection.nodes.len());
        let areas = lock_areas(self, frames.body);
        let lock_height = match self.here.screen {
            Screen::Locks => usize::from(areas.tree.height),
            _ => height(Pane::Locks),
        };
        let evidence_height = Frames::rows(areas.evidence);
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
        windows.evidence.fit(self.evidence.len(), evidence_height);
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
}
