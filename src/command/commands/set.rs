//! `set`: the current task.

use super::{Answer, Call, Command, CommandError, Console};
use crate::command::select;
use crate::kernel::Task;
use crate::present::{Line, Link};

pub(super) const SET: Command = Command {
    name: "set",
    usage: "set [PID | TASK | COMM]",
    summary: "shows or chooses the current task, which bt takes without arguments",
    details: "",
    run,
};

fn run(console: &mut Console<'_>, call: &Call<'_>) -> Result<Answer, CommandError> {
    match call.words {
        [] => {}
        [word] => {
            let found = select::tasks(console.tasks()?, word)?;
            if let Some(task) = found.first() {
                console.choose(task);
            }
        }
        [_, word, ..] => return Err(SET.unknown(word)),
    }
    Ok(lines(console.current()?).into())
}

/// What there is to say about a task in a few lines.
pub(super) fn lines(task: &Task) -> Vec<Line> {
    let cpu = task.cpu.as_ref().map_or_else(|_| "–".to_owned(), ToString::to_string);
    let state = task.state.as_ref().map_or("–", |state| state.letters());
    let active = if task.active { " (on its CPU)" } else { "" };
    [
        format!("    PID: {}", task.pid),
        format!("COMMAND: \"{}\"", task.comm),
        format!("   TASK: {:x}", task.at),
        format!("    CPU: {cpu}"),
        format!("  STATE: {state}{active}"),
    ]
    .map(|text| Line::to(Link::Task(task.at), text))
    .into()
}
