//! `log`: the kernel's messages.

use super::{Answer, Call, Command, CommandError, Console};
use crate::command::date;
use crate::kernel::{Caller, LogRecord};
use crate::present::{Cell, Document, Heading, Line, Table};

pub(super) const LOG: Command = Command {
    name: "log",
    usage: "log [-t | -T] [-m]",
    summary: "the kernel's messages (dmesg)",
    details: "-t  without times\n-T  with dates (UTC) for times\n-m  with the level of each message",
    run,
};

fn run(console: &mut Console<'_>, call: &Call<'_>) -> Result<Answer, CommandError> {
    let (mut bare, mut dates, mut levels) = (false, false, false);
    for word in call.words {
        match word.as_str() {
            "-t" => bare = true,
            "-T" => dates = true,
            "-m" => levels = true,
            other => return Err(LOG.unknown(other)),
        }
    }
    let boot = if dates {
        let system = console.session.system();
        let (time, uptime) = (system.time.clone()?, system.uptime.clone()?);
        Some(time.saturating_sub(uptime.as_secs()))
    } else {
        None
    };
    let log = console.session.log();
    let mut table = Table {
        columns: vec![
            Heading::right("seq", "SEQ"),
            Heading::right("time_us", "TIME"),
            Heading::right("level", "LEVEL"),
            Heading::left("caller", "CALLER"),
            Heading::left("text", "TEXT"),
        ],
        ..Table::default()
    };
    let mut lines = Vec::new();
    for record in &log.records {
        table.rows.push(row(record));
        let level = match record.level.filter(|_| levels) {
            Some(level) => format!("<{level}>"),
            None => String::new(),
        };
        let text = match (bare, boot, record.at) {
            (true, ..) => record.text.to_string(),
            (_, Some(boot), Some(at)) => {
                format!("[{}] {}", date::date(boot.saturating_add(at.as_secs())), record.text)
            }
            _ => record.to_string(),
        };
        lines.extend(format!("{level}{text}").split('\n').map(Line::from));
    }
    table.lines = Some(lines);
    let notes = log.notes.clone();
    if log.records.is_empty() && !notes.is_empty() {
        return Err(CommandError::new(notes.join("; ")));
    }
    let mut answer = Answer::from(Document::Table(table));
    answer.notes = notes;
    Ok(answer)
}

fn row(record: &LogRecord) -> Vec<Cell> {
    let int = |number: u64| Cell::Int(i64::try_from(number).unwrap_or(i64::MAX));
    vec![
        record.seq.map_or(Cell::Empty, int),
        record.at.map_or(Cell::Empty, |at| int(at.as_micros().try_into().unwrap_or(u64::MAX))),
        record.level.map_or(Cell::Empty, |level| Cell::Int(level.into())),
        match record.caller {
            Some(Caller::Task(pid)) => Cell::Text(format!("T{pid}")),
            Some(Caller::Cpu(cpu)) => Cell::Text(format!("C{cpu}")),
            None => Cell::Empty,
        },
        Cell::Text(record.text.to_string()),
    ]
}
