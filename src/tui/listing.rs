//! The source screen: which function's file it shows, and the way along the stack.
//!
//! An instruction belongs to a function, and where the compiler inlined others into that, to those
//! too. With the frames of a stack that makes one chain from the innermost function outwards,
//! which `}` and `{` go along. The place on the chain is also where a command's names are looked up.

use super::app::App;
use super::history::{Screen, Spot};
use super::keymap::Pane;
use super::model::{FrameRow, SourceOf, Standing, Subject};
use super::trace::TraceRow;
use super::widget::window::Window;
use crate::dump::VirtAddr;
use crate::unwind::FrameKind;

impl App {
    /// The function whose source is shown.
    pub(crate) fn source_of(&self) -> Option<&SourceOf> {
        let view = self.source.ready().filter(|_| !self.source.loading)?;
        view.functions.get(self.here.source.function)
    }

    /// The lines of its file; none where there is no file.
    pub(crate) fn source_lines(&self) -> &[String] {
        let file = self.source_of().and_then(|of| of.text.as_ref().ok());
        file.map_or(&[], |file| file.lines.as_slice())
    }

    /// Shows the source of a place in the code.
    pub(crate) fn show_source(&mut self, spot: Spot) {
        self.here.source = spot;
        self.here.windows.source = Window::default();
        self.aim_source = true;
    }

    /// Brings the function into the range of those that are there, and the cursor to its line if
    /// the place is new.
    pub(super) fn list_source(&mut self) {
        let Some(view) = self.source.ready().filter(|_| !self.source.loading) else { return };
        let last = view.functions.len().saturating_sub(1);
        self.here.source.function = self.here.source.function.min(last);
        if std::mem::take(&mut self.aim_source)
            && let Some(line) = self.source_of().and_then(|of| of.position.line)
        {
            // More of what comes before it than a glance wants would waste the room.
            let above = usize::from(self.frames().body.height / 3);
            let cursor = usize::try_from(line).unwrap_or(usize::MAX).saturating_sub(1);
            self.here.windows.source = Window { cursor, top: cursor.saturating_sub(above) };
        }
    }

    /// The place as one of the selected task's stack, if one of its frames is there.
    pub(crate) fn spot(&self, at: VirtAddr, covers: impl Fn(VirtAddr) -> bool) -> Spot {
        let trace = self.trace.ready().filter(|_| !self.trace.loading);
        let frames = trace.map_or(&[][..], |trace| trace.frames.as_slice());
        let frame = frames.iter().position(|frame| covers(frame.lookup()));
        Spot { at, function: 0, frame }
    }

    /// The next function outwards: the one that this one is inlined into or called from. `None` at
    /// the end of what is known.
    pub(crate) fn caller(&self) -> Option<Spot> {
        let here = self.here.source;
        let functions = self.source.ready().map_or(0, |view| view.functions.len());
        if here.function + 1 < functions {
            return Some(Spot { function: here.function + 1, ..here });
        }
        let n = here.frame? + 1;
        Some(Spot { at: self.code_of(n)?, function: 0, frame: Some(n) })
    }

    /// The next function inwards: the one that is inlined here, or that was called.
    pub(crate) fn callee(&self) -> Option<Spot> {
        let here = self.here.source;
        if let Some(function) = here.function.checked_sub(1) {
            return Some(Spot { function, ..here });
        }
        let n = here.frame?.checked_sub(1)?;
        // The outermost of those that are there: how many that are is known when it is read.
        Some(Spot { at: self.code_of(n)?, function: usize::MAX, frame: Some(n) })
    }

    /// What a command takes for the current task, and the frame where the user looks at one.
    pub(crate) fn standing(&self) -> Standing {
        let task = self.here.task;
        let row = || self.trace_rows.get(self.here.windows.trace.cursor).copied();
        let chosen = match (self.here.screen, &self.here.subject) {
            (Screen::Source, _) => Some((self.here.source.frame, self.here.source.function)),
            (_, Some(Subject::Frame { task: its, n })) if Some(*its) == task => {
                Some((Some(*n), usize::MAX))
            }
            _ if self.here.pane == Pane::Backtrace => match row() {
                Some(TraceRow::Inline { frame, position }) => Some((Some(frame), position)),
                Some(TraceRow::Frame(frame)) => Some((Some(frame), usize::MAX)),
                _ => None,
            },
            _ => None,
        };
        let frame = chosen.and_then(|(frame, function)| {
            let frame = frame?;
            // Each frame counts, and with it what is inlined there.
            let functions = |n: usize| self.trace_lines().get(n).map_or(1, |all| all.len().max(1));
            let before: usize = (0..frame).map(functions).sum();
            Some(before + function.min(functions(frame) - 1))
        });
        Standing { task, frame }
    }

    fn code_of(&self, frame: usize) -> Option<VirtAddr> {
        let frame = self.trace.ready()?.frames.get(frame)?;
        (frame.kind != FrameKind::User).then(|| FrameRow::lookup(frame))
    }

    /// The frames of the selected task's stack whose functions are at a line of the file that is
    /// shown.
    pub(crate) fn frames_at(&self, line: u32) -> impl Iterator<Item = usize> {
        let file = self.source_of().and_then(|of| of.position.file.as_deref());
        let frames = self.trace_lines().iter().enumerate();
        let there = move |(n, functions): (usize, &std::sync::Arc<[_]>)| {
            let mut functions = functions.iter();
            let its = |position: &crate::debuginfo::Position| {
                position.line == Some(line) && position.file.as_deref() == file
            };
            functions.any(its).then_some(n)
        };
        frames.filter_map(there)
    }
}
