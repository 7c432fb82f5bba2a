//! `foreach`: a command for many tasks.

use super::{Answer, Call, Command, CommandError, Console, bt, set};
use crate::command::select;
use crate::kernel::Task;
use crate::present::{Document, Line, Stack, ps_table};

pub(super) const FOREACH: Command = Command {
    name: "foreach",
    usage: "foreach [STATE | user | kernel | active | PID | TASK | COMM ...] bt [-flsxtTV] | ps | set",
    summary: "the same for every task that is in one of the states and one of the others named",
    details: "STATE is RU, IN, UN, ID, ZO, ST, TR, DE, NE, PA or WA",
    run,
};

/// The states that tasks are chosen by.
pub(super) const STATES: [&str; 11] =
    ["RU", "IN", "UN", "ID", "ZO", "ST", "TR", "DE", "NE", "PA", "WA"];

fn run(console: &mut Console<'_>, call: &Call<'_>) -> Result<Answer, CommandError> {
    let is_command = |word: &String| matches!(word.as_str(), "bt" | "ps" | "set");
    let split = call.words.iter().position(is_command).map(|at| call.words.split_at(at));
    let Some((selectors, [command, arguments @ ..])) = split else {
        return Err(CommandError::new("foreach wants bt, ps or set after the tasks"));
    };
    let mut tasks: Vec<&Task> = console.tasks()?.iter().collect();
    let mut states: Vec<&str> = Vec::new();
    let mut named: Option<Vec<&Task>> = None;
    for word in selectors {
        match word.as_str() {
            "user" => tasks.retain(|task| !task.kernel_thread),
            "kernel" => tasks.retain(|task| task.kernel_thread),
            "active" => tasks.retain(|task| task.active),
            state if STATES.contains(&state) => states.push(state),
            word => named.get_or_insert_default().extend(select::tasks(console.tasks()?, word)?),
        }
    }
    if !states.is_empty() {
        tasks.retain(|task| {
            task.state.as_ref().is_ok_and(|state| states.contains(&state.letters()))
        });
    }
    if let Some(named) = named {
        tasks.retain(|task| named.iter().any(|wanted| wanted.at == task.at));
    }
    match (command.as_str(), arguments) {
        ("bt", options) => {
            let mut shown = bt::Shown::default();
            for option in options {
                shown = shown.with(option).ok_or_else(|| FOREACH.unknown(option))?;
            }
            bt::stacks(console, tasks, shown)
        }
        ("ps", []) => Ok(Document::Table(ps_table(tasks)).into()),
        ("set", []) => {
            let mut lines = Vec::new();
            for task in tasks {
                lines.push(Stack::heading_of(task));
                lines.extend(set::lines(task));
                lines.push(Line::default());
            }
            Ok(lines.into())
        }
        (_, [word, ..]) => Err(FOREACH.unknown(word)),
        _ => Err(FOREACH.unknown(command)),
    }
}
