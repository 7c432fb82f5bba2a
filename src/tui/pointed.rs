//! The address under the cursor, whatever list the cursor is in.

use super::app::App;
use super::history::Screen;
use super::keymap::Pane;
use super::model::Value;
use super::trace::TraceRow;
use super::why::Go;
use crate::dump::VirtAddr;

impl App {
    /// The address that the cursor rests on, where what it is is not plain to see.
    pub(crate) fn pointed(&self) -> Option<VirtAddr> {
        let windows = &self.here.windows;
        let lock = || {
            let row = self.lock_rows.get(windows.locks.cursor)?;
            Some(self.locks.ready()?.locks.get(row.node.lock()?)?.at)
        };
        match (self.here.screen, self.here.pane) {
            (Screen::Memory, _) => Some(self.here.memory),
            (Screen::Output, _) => {
                self.output.ready()?.lines.get(windows.output.cursor)?.1.as_ref()?.address()
            }
            (Screen::Why, _) => match self.why.rows.get(windows.why.cursor)?.go.as_ref()? {
                Go::Place(place) => place.address(),
                Go::Unfold(_) => None,
            },
            (Screen::Locks, _) | (Screen::Overview, Pane::Locks) => lock(),
            (Screen::Overview, Pane::Inspector) => {
                let node = self.inspection.ready()?.nodes.get(windows.nodes.cursor)?;
                match node.value {
                    Value::Pointer { to, .. } if !to.is_null() => Some(to),
                    _ => node.at,
                }
            }
            (Screen::Overview, Pane::Backtrace) => {
                match self.trace_rows.get(windows.trace.cursor)? {
                    TraceRow::Frame(n) | TraceRow::Inline { frame: n, .. } => {
                        Some(self.trace.ready()?.frames.get(*n)?.sp)
                    }
                    TraceRow::Wait { lock, .. } | TraceRow::Holds { lock, .. } => {
                        Some(self.locks.ready()?.locks.get(*lock)?.at)
                    }
                    TraceRow::Other(_) | TraceRow::Cut => None,
                }
            }
            (Screen::Overview, Pane::Tasks) | (Screen::Log | Screen::Code | Screen::Source, _) => {
                None
            }
        }
    }
}
