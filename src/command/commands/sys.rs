//! `sys`: the machine as a whole.

use super::{Answer, Call, Command, CommandError, Console};
use crate::command::date;
use crate::kernel::{Known, Unknown, taint_letters};
use crate::present::{Cell, Document, Heading, Line, Table};
use std::time::Duration;

pub(super) const SYS: Command = Command {
    name: "sys",
    usage: "sys",
    summary: "the machine as a whole: kernel, CPUs, date, uptime, load, panic",
    details: "",
    run,
};

fn run(console: &mut Console<'_>, call: &Call<'_>) -> Result<Answer, CommandError> {
    if let Some(word) = call.words.first() {
        return Err(SYS.unknown(word));
    }
    let session = console.session;
    let system = session.system();
    let dump = session.dump().info();
    let release = system.utsname.as_ref().map(|uts| uts.release.clone());
    let uts = |part: fn(&crate::dump::Utsname) -> &String| match &system.utsname {
        Ok(uts) => Cell::Text(part(uts).clone()),
        Err(Unknown(reason)) => Cell::Unknown(reason.clone()),
    };
    let mut rows = Rows::default();
    let tainted = system.tainted.as_ref().copied().unwrap_or(0);
    let taint = if tainted == 0 { "" } else { "  [TAINTED]" };
    let kernel = release.as_deref().unwrap_or("unknown");
    rows.add("KERNEL", "kernel", Cell::Text(kernel.to_owned()), format!("{kernel}{taint}"));
    let partial = if dump.dump_level.unwrap_or(0) != 0 { "  [PARTIAL DUMP]" } else { "" };
    let cut = if dump.complete { "" } else { "  [INCOMPLETE]" };
    let format = Cell::Text(dump.format.clone());
    rows.add("DUMPFILE", "dumpfile", format, format!("{}{partial}{cut}", dump.format));
    let cpus = session.cpus().online();
    let count = |n: usize| Cell::Int(i64::try_from(n).unwrap_or(i64::MAX));
    rows.add("CPUS", "cpus", count(cpus), cpus.to_string());
    rows.known("DATE", "time", &system.time, |time| {
        (Cell::Int(i64::try_from(*time).unwrap_or(i64::MAX)), date::date(*time))
    });
    rows.known("UPTIME", "uptime_ms", &system.uptime, |up| (Cell::Duration(*up), uptime(*up)));
    rows.known("LOAD AVERAGE", "load", &system.load, |load| {
        let text = load.map(|load| format!("{load:.2}")).join(", ");
        (Cell::Text(text.clone()), text)
    });
    let tasks = session.tasks().len();
    rows.add("TASKS", "tasks", count(tasks), tasks.to_string());
    for (title, id, cell) in [
        ("NODENAME", "nodename", uts(|uts| &uts.nodename)),
        ("RELEASE", "release", uts(|uts| &uts.release)),
        ("VERSION", "version", uts(|uts| &uts.version)),
    ] {
        let text = cell.to_string();
        rows.add(title, id, cell, text);
    }
    let machine = uts(|uts| &uts.machine);
    let speed = match &system.cpu_khz {
        Ok(khz) => format!("  ({} Mhz)", khz / 1000),
        Err(_) => String::new(),
    };
    let text = format!("{machine}{speed}");
    rows.add("MACHINE", "machine", machine, text);
    rows.known("MEMORY", "memory_bytes", &system.memory, |bytes| {
        (Cell::Int(i64::try_from(*bytes).unwrap_or(i64::MAX)), memory(*bytes))
    });
    let panic = system.panic.clone();
    let text = format!("\"{}\"", panic.as_deref().unwrap_or(""));
    rows.add("PANIC", "panic", panic.map_or(Cell::Empty, Cell::Text), text);
    if let Some(task) = system.panic_task.and_then(|at| session.tasks().at(at)) {
        let cpu = system.panic_cpu.map(|cpu| format!(" on CPU {cpu}")).unwrap_or_default();
        let text = format!("{}{cpu}", task.label());
        rows.add("PANIC TASK", "panic_pid", Cell::Int(task.pid.into()), text);
    }
    if tainted != 0 {
        let letters = taint_letters(tainted);
        rows.add("TAINTED", "tainted", Cell::Text(letters.clone()), letters);
    }
    Ok(Document::Table(rows.table).into())
}

/// A table of one row, whose text is a list of names and values.
#[derive(Default)]
struct Rows {
    table: Table,
}

impl Rows {
    fn add(&mut self, title: &'static str, id: &'static str, cell: Cell, text: String) {
        self.table.columns.push(Heading::left(id, title));
        match self.table.rows.first_mut() {
            Some(row) => row.push(cell),
            None => self.table.rows.push(vec![cell]),
        }
        let line = Line::from(format!("{title:>12}: {text}"));
        self.table.lines.get_or_insert_default().push(line);
    }

    fn known<T>(
        &mut self,
        title: &'static str,
        id: &'static str,
        value: &Known<T>,
        show: impl FnOnce(&T) -> (Cell, String),
    ) {
        match value {
            Ok(value) => {
                let (cell, text) = show(value);
                self.add(title, id, cell, text);
            }
            Err(Unknown(reason)) => {
                self.add(title, id, Cell::Unknown(reason.clone()), format!("– ({reason})"));
            }
        }
    }
}

/// `41 days, 03:04:05`, as crash has it.
fn uptime(up: Duration) -> String {
    let seconds = up.as_secs();
    let days = match seconds / 86_400 {
        0 => String::new(),
        1 => "1 day, ".to_owned(),
        n => format!("{n} days, "),
    };
    format!("{days}{:02}:{:02}:{:02}", seconds / 3600 % 24, seconds / 60 % 60, seconds % 60)
}

/// An amount of memory as crash writes it: `255.5 MB`.
pub(super) fn memory(bytes: u64) -> String {
    if bytes < 1 << 20 {
        return if bytes == 0 { "0".to_owned() } else { format!("{} KB", bytes / 1024) };
    }
    let mib = bytes as f64 / f64::from(1 << 20);
    let (size, unit) = if mib >= 1024.0 { (mib / 1024.0, "GB") } else { (mib, "MB") };
    let text = format!("{size:.1}");
    format!("{} {unit}", text.strip_suffix(".0").unwrap_or(&text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_sizes_read_as_in_crash() {
        assert_eq!(uptime(Duration::from_secs(19)), "00:00:19");
        assert_eq!(uptime(Duration::from_secs(41 * 86_400 + 3661)), "41 days, 01:01:01");
        assert_eq!(memory(267_911_168), "255.5 MB");
        assert_eq!(memory(64 << 30), "64 GB");
        assert_eq!(memory(512 << 10), "512 KB");
        assert_eq!(memory(0), "0");
    }
}
