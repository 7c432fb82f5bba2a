//! The table of tasks.

use super::{Align, Cell, Column};
use crate::kernel::{Known, Task};
use crate::locks::LockGraph;
use foldhash::HashMap;

/// A task, and what it waits for as far as the lock analysis has said.
#[derive(Clone, Debug)]
pub struct TaskRow {
    /// The task.
    pub task: Task,
    /// What it waits for.
    pub blocked_on: BlockedOn,
}

/// What a task waits for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum BlockedOn {
    /// The analysis has not run.
    NotAnalysed,
    /// Nothing that the analysis knows of.
    Nothing,
    /// A lock or another thing to wait for, by name.
    This(Box<str>),
}

impl TaskRow {
    /// The rows of `tasks`, joined with the lock graph if there is one already.
    #[must_use]
    pub fn join(tasks: &[Task], graph: Option<&LockGraph>) -> Vec<TaskRow> {
        let mut names = HashMap::default();
        if let Some(graph) = graph {
            let name = |lock: usize| graph.locks.get(lock).map_or("", |lock| lock.name.as_str());
            names.extend(graph.waits().into_iter().map(|(task, (lock, _))| (task, name(lock))));
        }
        for other in graph.iter().flat_map(|graph| &graph.others) {
            names.entry(other.task.at).or_insert(other.on.as_str());
        }
        let row = |task: &Task| TaskRow {
            task: task.clone(),
            blocked_on: match (graph, names.get(&task.at)) {
                (None, _) => BlockedOn::NotAnalysed,
                (Some(_), None) => BlockedOn::Nothing,
                (Some(_), Some(name)) => BlockedOn::This((*name).into()),
            },
        };
        tasks.iter().map(row).collect()
    }
}

fn known<T: Clone>(value: &Known<T>, cell: impl Fn(T) -> Cell) -> Cell {
    match value {
        Ok(value) => cell(value.clone()),
        Err(reason) => Cell::Unknown(reason.0.clone()),
    }
}

fn int(value: u64) -> Cell {
    Cell::Int(i64::try_from(value).unwrap_or(i64::MAX))
}

/// Every column of the table of tasks; each face chooses from them.
pub const TASK_COLUMNS: &[Column<TaskRow>] = &[
    Column {
        id: "pid",
        title: "PID",
        doc: "number of the thread; 0 for the idle task of a CPU",
        align: Align::Right,
        get: |row| int(row.task.pid.into()),
    },
    Column {
        id: "ppid",
        title: "PPID",
        doc: "number of the parent process (tgid of real_parent)",
        align: Align::Right,
        get: |row| known(&row.task.ppid, |pid| int(pid.into())),
    },
    Column {
        id: "cpu",
        title: "CPU",
        doc: "the CPU that it runs on or last ran on",
        align: Align::Right,
        get: |row| known(&row.task.cpu, |cpu| int(cpu.into())),
    },
    Column {
        id: "state",
        title: "ST",
        doc: "RU running, IN sleeping, UN blocked (D), ID idle, ZO zombie, ST stopped, TR traced",
        align: Align::Left,
        get: |row| known(&row.task.state, |state| Cell::Text(state.to_string())),
    },
    Column {
        id: "since_ran",
        title: "WAIT",
        doc: "how long before the dump it was last put on or off a CPU",
        align: Align::Right,
        get: |row| {
            if row.task.active { Cell::Empty } else { known(&row.task.since_ran, Cell::Duration) }
        },
    },
    Column {
        id: "comm",
        title: "COMM",
        doc: "its name; kernel threads in brackets",
        align: Align::Left,
        get: |row| {
            let comm = &row.task.comm;
            Cell::Text(if row.task.kernel_thread { format!("[{comm}]") } else { comm.to_string() })
        },
    },
    Column {
        id: "blocked_on",
        title: "BLOCKED ON",
        doc: "what it waits for: a lock by its name, or what the lock analysis makes of its stack",
        align: Align::Left,
        get: |row| match &row.blocked_on {
            BlockedOn::NotAnalysed => Cell::Unknown("the locks are not analysed yet".into()),
            BlockedOn::Nothing => Cell::Empty,
            BlockedOn::This(name) => Cell::Text(name.to_string()),
        },
    },
    Column {
        id: "active",
        title: ">",
        doc: "whether it is the current task of its CPU",
        align: Align::Left,
        get: |row| Cell::Bool(row.task.active),
    },
    Column {
        id: "mem_percent",
        title: "%MEM",
        doc: "resident share of the machine's memory",
        align: Align::Right,
        get: |row| known(&row.task.mem_percent, |percent| Cell::Float(percent, 1)),
    },
    Column {
        id: "rss_kib",
        title: "RSS",
        doc: "resident memory, KiB",
        align: Align::Right,
        get: |row| known(&row.task.rss_kib, int),
    },
    Column {
        id: "vsz_kib",
        title: "VSZ",
        doc: "size of the address space, KiB",
        align: Align::Right,
        get: |row| known(&row.task.vsz_kib, int),
    },
    Column {
        id: "task",
        title: "TASK",
        doc: "address of its task_struct",
        align: Align::Left,
        get: |row| Cell::Address(row.task.at),
    },
    Column {
        id: "tgid",
        title: "TGID",
        doc: "number of its process",
        align: Align::Right,
        get: |row| int(row.task.tgid.into()),
    },
];

/// The column of that id.
#[must_use]
pub fn task_column(id: &str) -> Option<&'static Column<TaskRow>> {
    TASK_COLUMNS.iter().find(|column| column.id == id)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_column_has_its_own_id_and_title() {
        let ids: BTreeSet<_> = TASK_COLUMNS.iter().map(|column| column.id).collect();
        let titles: BTreeSet<_> = TASK_COLUMNS.iter().map(|column| column.title).collect();
        assert_eq!((ids.len(), titles.len()), (TASK_COLUMNS.len(), TASK_COLUMNS.len()));
        assert!(task_column("comm").is_some() && task_column("nothing").is_none());
    }
}
