//! The backtrace pane's lines: frames, and between them what the lock analysis says.

use super::model::TraceView;
use crate::debuginfo::Position;
use crate::dump::VirtAddr;
use crate::locks::LockGraph;
use std::sync::Arc;

/// One line.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum TraceRow {
    /// A frame.
    Frame(usize),
    /// A function that was inlined at a frame's place, by its number among the frame's positions.
    Inline { frame: usize, position: usize },
    /// The task waits for a lock: which one, and as which of its waiters.
    Wait { lock: usize, waiter: usize },
    /// The task waits for something that is not understood.
    Other(usize),
    /// The task holds a lock that others wait for.
    Holds { lock: usize, holder: usize },
    /// The trace was cut.
    Cut,
}

/// `kernel/sched/core.c:6562`.
pub(crate) fn file_and_line(position: &Position) -> Option<String> {
    let file = position.file.as_deref()?;
    Some(position.line.map_or_else(|| file.to_owned(), |line| format!("{file}:{line}")))
}

/// The functions at the top of every sleeping stack, which say nothing about why it sleeps.
const SCHEDULER: &[&str] =
    &["__schedule", "schedule", "schedule_preempt_disabled", "schedule_timeout", "io_schedule"];

/// The lines of a task's backtrace. The wait stands under the first frame outside the scheduler.
/// `lines` are the positions of each frame, once they are known.
pub(crate) fn rows(
    task: VirtAddr,
    trace: &TraceView,
    lines: &[Arc<[Position]>],
    graph: Option<&LockGraph>,
) -> Vec<TraceRow> {
    let mut rows: Vec<TraceRow> = Vec::new();
    for frame in 0..trace.frames.len() {
        let positions = lines.get(frame).map(|positions| positions.iter()).unwrap_or_default();
        let inlined = positions.enumerate().filter(|(_, position)| position.inlined);
        rows.extend(inlined.map(|(position, _)| TraceRow::Inline { frame, position }));
        rows.push(TraceRow::Frame(frame));
    }
    if trace.cut.is_some() {
        rows.push(TraceRow::Cut);
    }
    let Some(graph) = graph else { return rows };
    let in_scheduler = |symbol: &Option<String>| {
        symbol.as_deref().is_some_and(|symbol| SCHEDULER.contains(&symbol))
    };
    let sleeping = trace.frames.iter().take_while(|frame| in_scheduler(&frame.symbol)).count();
    let frame = rows.iter().position(|row| *row == TraceRow::Frame(sleeping));
    let under = frame.map_or(rows.len(), |row| row + 1);
    let waits = graph.locks.iter().enumerate().flat_map(|(lock, entry)| {
        entry
            .waiters
            .iter()
            .enumerate()
            .filter(|(_, waiter)| waiter.task.at == task)
            .map(move |(waiter, _)| TraceRow::Wait { lock, waiter })
    });
    let others = graph.others.iter().enumerate();
    let others = others.filter(|(_, other)| other.task.at == task);
    let others = others.map(|(number, _)| TraceRow::Other(number));
    let said: Vec<TraceRow> = waits.chain(others).collect();
    rows.splice(under..under, said);
    let holds = graph.locks.iter().enumerate().flat_map(|(lock, entry)| {
        entry
            .holders
            .iter()
            .enumerate()
            .filter(|(_, holder)| holder.task.at == task)
            .map(move |(holder, _)| TraceRow::Holds { lock, holder })
    });
    rows.extend(holds);
    rows
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tui::fixture::{self, Fixture};
    use crate::tui::source::Source;

    #[test]
    fn the_wait_stands_under_the_frame_that_waits() {
        let task = fixture::address(111);
        let trace = Fixture.trace(task).unwrap();
        let rows = rows(task, &trace, &[], Some(&fixture::locks()));
        assert_eq!(rows[2..4], [TraceRow::Frame(2), TraceRow::Wait { lock: 2, waiter: 0 }]);
        assert_eq!(rows.last(), Some(&TraceRow::Holds { lock: 1, holder: 0 }));
    }

    #[test]
    fn without_locks_there_are_frames_and_the_end() {
        let task = fixture::address(113);
        let trace = Fixture.trace(task).unwrap();
        let rows = rows(task, &trace, &[], None);
        assert_eq!((rows.len(), rows[6]), (7, TraceRow::Cut));
    }

    #[test]
    fn inlined_functions_stand_before_their_frame_and_move_the_wait_along() {
        let task = fixture::address(111);
        let trace = Fixture.trace(task).unwrap();
        let lines = Fixture.lines(task).unwrap();
        let rows = rows(task, &trace, &lines, Some(&fixture::locks()));
        let inlined = |frame| TraceRow::Inline { frame, position: 0 };
        assert_eq!(rows[..3], [inlined(0), TraceRow::Frame(0), TraceRow::Frame(1)]);
        assert_eq!(
            rows[3..6],
            [inlined(2), TraceRow::Frame(2), TraceRow::Wait { lock: 2, waiter: 0 }]
        );
    }
}
