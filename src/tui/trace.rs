//! The backtrace pane's lines: frames, and between them what the lock analysis says.

use super::model::TraceView;
use crate::dump::VirtAddr;
use crate::locks::LockGraph;

/// One line.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum TraceRow {
    /// A frame.
    Frame(usize),
    /// The task waits for a lock: which one, and as which of its waiters.
    Wait { lock: usize, waiter: usize },
    /// The task waits for something that is not understood.
    Other(usize),
    /// The task holds a lock that others wait for.
    Holds { lock: usize, holder: usize },
    /// The trace was cut.
    Cut,
}

/// The functions at the top of every sleeping stack, which say nothing about why it sleeps.
const SCHEDULER: &[&str] =
    &["__schedule", "schedule", "schedule_preempt_disabled", "schedule_timeout", "io_schedule"];

/// The lines of a task's backtrace. The wait stands under the first frame outside the scheduler.
pub(crate) fn rows(task: VirtAddr, trace: &TraceView, graph: Option<&LockGraph>) -> Vec<TraceRow> {
    let mut rows: Vec<TraceRow> = (0..trace.frames.len()).map(TraceRow::Frame).collect();
    if trace.cut.is_some() {
        rows.push(TraceRow::Cut);
    }
    let Some(graph) = graph else { return rows };
    let in_scheduler = |symbol: &Option<String>| {
        symbol.as_deref().is_some_and(|symbol| SCHEDULER.contains(&symbol))
    };
    let sleeping = trace.frames.iter().take_while(|frame| in_scheduler(&frame.symbol)).count();
    let under = (sleeping + 1).min(rows.len());
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
        let rows = rows(task, &trace, Some(&fixture::locks()));
        assert_eq!(rows[2..4], [TraceRow::Frame(2), TraceRow::Wait { lock: 2, waiter: 0 }]);
        assert_eq!(rows.last(), Some(&TraceRow::Holds { lock: 1, holder: 0 }));
    }

    #[test]
    fn without_locks_there_are_frames_and_the_end() {
        let task = fixture::address(113);
        let trace = Fixture.trace(task).unwrap();
        let rows = rows(task, &trace, None);
        assert_eq!((rows.len(), rows[6]), (7, TraceRow::Cut));
    }
}
