//! The address under the cursor, whatever list the cursor is in.

use super::app::App;
use super::code;
use super::history::Screen;
use super::keymap::Pane;
use super::model::{Place, Value};
use super::told::ToldRow;
use super::trace::TraceRow;
use super::words::addresses;
use crate::dump::{PAGE_SIZE, VirtAddr};
use std::ops::Range;

/// From this width on, there is room for what the selected task is.
const WIDE: u16 = 100;

impl App {
    /// The line under the cursor, where lines lead somewhere: on the screen of why and whom, and in
    /// the evidence of the lock screen.
    pub(crate) fn told_row(&self) -> Option<&ToldRow> {
        let windows = &self.here.windows;
        match self.here.screen {
            Screen::Why => self.why.rows.get(windows.why.cursor),
            Screen::Locks if self.here.weighing => self.evidence.get(windows.evidence.cursor),
            _ => None,
        }
    }

    /// The address that the cursor rests on; what it is stands in the last line.
    pub(crate) fn pointed(&self) -> Option<VirtAddr> {
        let windows = &self.here.windows;
        match (self.here.screen, self.here.pane) {
            (Screen::Memory, _) => Some(self.here.memory),
            (Screen::Output, _) => {
                let (text, place) = self.output.ready()?.lines.get(windows.output.cursor)?;
                let led_to = place.as_ref().and_then(Place::address);
                let word = self.word(text, led_to).map(|(_, at)| at);
                led_to.filter(|_| self.here.word.is_none()).or(word)
            }
            (Screen::Log, _) => {
                let line = self.log.ready()?.get(windows.log.cursor)?;
                self.word(&line.text, None).map(|(_, at)| at)
            }
            (Screen::Locks, _) if self.here.weighing => self.told_row()?.leads_to(),
            (Screen::Why, _) => self.told_row()?.leads_to(),
            (Screen::Code, _) => {
                let row = windows.code.cursor;
                let instruction = code::instruction(self.code.ready()?, &self.code_rows, row)?;
                let target = instruction.target.as_ref().map(|target| target.at);
                // A distance into per-CPU memory is no address.
                let target = target.filter(|at| at.0 >> 63 == 1);
                let named = || addresses(&instruction.operands).first().map(|(_, at)| *at);
                target.or_else(named).or(Some(instruction.at))
            }
            (Screen::Source, _) => Some(self.here.source.at),
            (Screen::Locks, _) | (Screen::Overview, Pane::Locks) => {
                let node = &self.lock_rows.get(windows.locks.cursor)?.node;
                let graph = self.locks.ready()?;
                let lock = node.lock().and_then(|lock| graph.locks.get(lock));
                lock.map(|lock| lock.at).or_else(|| node.task(graph))
            }
            (Screen::Overview, Pane::Inspector) => {
                let node = self.inspection.ready()?.nodes.get(windows.nodes.cursor)?;
                match node.value {
                    Value::Pointer { to, .. } if !to.is_null() => Some(to),
                    // A register that holds an address of the program.
                    Value::Number { bits, .. } if node.at.is_none() && bits >= PAGE_SIZE => {
                        Some(VirtAddr(bits))
                    }
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
            // In a narrow terminal the keys need the room more.
            (Screen::Overview, Pane::Tasks) => self.here.task.filter(|_| self.size.0 >= WIDE),
        }
    }

    /// The address that is chosen among those of a line, and where it stands in it: if none was
    /// chosen, the one that the line leads to.
    pub(crate) fn word(
        &self,
        text: &str,
        led_to: Option<VirtAddr>,
    ) -> Option<(Range<usize>, VirtAddr)> {
        let mut all = addresses(text);
        let chosen = match (self.here.word, led_to) {
            (Some(word), _) => word.min(all.len().checked_sub(1)?),
            (None, Some(led_to)) => all.iter().position(|(_, at)| *at == led_to)?,
            (None, None) => 0,
        };
        (chosen < all.len()).then(|| all.swap_remove(chosen))
    }

    /// Chooses another address of the line under the cursor.
    pub(crate) fn next_word(&mut self, forward: bool) {
        let windows = &self.here.windows;
        let line = match self.here.screen {
            Screen::Log => {
                let line = self.log.ready().and_then(|log| log.get(windows.log.cursor));
                line.map(|line| (&line.text, None))
            }
            _ => {
                let output = self.output.ready();
                let line = output.and_then(|output| output.lines.get(windows.output.cursor));
                line.map(|(text, place)| (text, place.as_ref().and_then(Place::address)))
            }
        };
        let Some((text, led_to)) = line else { return };
        let all = addresses(text);
        let Some(last) = all.len().checked_sub(1) else { return };
        let now = self.word(text, led_to);
        let now = all.iter().position(|word| Some(word) == now.as_ref());
        self.here.word = Some(match (now, forward) {
            (Some(now), true) => (now + 1).min(last),
            (Some(now), false) => now.saturating_sub(1),
            (None, true) => 0,
            (None, false) => last,
        });
    }
}
