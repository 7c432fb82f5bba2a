//! `ps`, as crash prints it.

use super::{BlockedOn, Cell, Column, Heading, Line, Link, Table, TaskRow, task_column};
use crate::kernel::{State, Task};

/// The columns of `ps --json`, in order.
const COLUMNS: [&str; 11] = [
    "pid",
    "tgid",
    "ppid",
    "cpu",
    "task",
    "state",
    "active",
    "comm",
    "vsz_kib",
    "rss_kib",
    "mem_percent",
];

/// Tasks as `ps` lists them, text and rows. In the rows names stand bare: what the brackets of the
/// text say is in `vsz_kib`.
#[must_use]
pub fn ps_table<'t>(tasks: impl IntoIterator<Item = &'t Task>) -> Table {
    let columns: Vec<_> = COLUMNS.iter().filter_map(|id| task_column(id)).collect();
    let mut table = Table {
        columns: columns
            .iter()
            .map(|column| Heading { id: column.id, title: column.title, align: column.align })
            .collect(),
        ..Table::default()
    };
    let mut lines = vec![Line::from(PS_HEADING)];
    for task in tasks {
        lines.push(Line::to(Link::Task(task.at), ps_line(task)));
        let row = TaskRow { task: task.clone(), blocked_on: BlockedOn::NotAnalysed };
        let cell = |column: &&Column<TaskRow>| match column.id {
            "comm" => Cell::Text(row.task.comm.to_string()),
            _ => (column.get)(&row),
        };
        table.rows.push(columns.iter().map(cell).collect());
    }
    table.lines = Some(lines);
    table
}

/// The heading of [`ps_line`].
pub const PS_HEADING: &str =
    "      PID    PPID  CPU       TASK        ST  %MEM      VSZ      RSS  COMM";

/// A task as crash's `ps` prints it: `>` before those that are on their CPU, kernel threads in
/// brackets.
#[must_use]
pub fn ps_line(task: &Task) -> String {
    let number = |value: &Result<u64, _>| match value {
        Ok(value) => value.to_string(),
        Err(_) => "–".to_owned(),
    };
    format!(
        "{}{:>8} {:>7} {:>3}  {:016x}  {:<2} {:>5} {:>8} {:>8}  {}",
        if task.active { '>' } else { ' ' },
        task.pid,
        number(&task.ppid.clone().map(u64::from)),
        number(&task.cpu.clone().map(u64::from)),
        task.at,
        task.state.as_ref().map_or("–", |state| State::letters(*state)),
        task.mem_percent.as_ref().map_or("–".to_owned(), |share| format!("{share:.1}")),
        number(&task.vsz_kib),
        number(&task.rss_kib),
        ps_name(task),
    )
}

/// Its name, in brackets for a kernel thread.
fn ps_name(task: &Task) -> String {
    if task.kernel_thread { format!("[{}]", task.comm) } else { task.comm.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dump::VirtAddr;
    use crate::kernel::Unknown;
    use std::time::Duration;

    fn task() -> Task {
        Task {
            at: VirtAddr(0xffff_88ca_4127_1800),
            pid: 0,
            tgid: 0,
            ppid: Ok(0),
            cpu: Ok(3),
            state: Ok(State::Running),
            active: true,
            comm: "swapper/3".into(),
            kernel_thread: true,
            mm: None,
            files: Ok(VirtAddr(0)),
            stack: VirtAddr(0),
            sp: Ok(VirtAddr(0)),
            vsz_kib: Ok(0),
            rss_kib: Ok(0),
            mem_percent: Ok(0.0),
            started: Ok(Duration::ZERO),
            pi_blocked_on: Ok(VirtAddr(0)),
            since_ran: Ok(Duration::from_secs(3)),
        }
    }

    #[test]
    fn a_task_reads_as_crash_prints_it() {
        let line =
            ">       0       0   3  ffff88ca41271800  RU   0.0        0        0  [swapper/3]";
        assert_eq!(ps_line(&task()), line);
        assert_eq!(
            PS_HEADING.split_whitespace().collect::<Vec<_>>(),
            ["PID", "PPID", "CPU", "TASK", "ST", "%MEM", "VSZ", "RSS", "COMM"]
        );
    }

    #[test]
    fn what_is_not_known_is_no_zero() {
        let task = Task { vsz_kib: Err(Unknown::because("no mm_struct")), ..task() };
        assert!(ps_line(&task).contains("   –        0  ["));
    }
}
