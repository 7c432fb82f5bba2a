//! `help`: the table of commands, read aloud.

use super::{Answer, COMMANDS, Call, Command, CommandError, Console, find};
use crate::command::FILTERS;
use crate::present::Line;

pub(super) const HELP: Command = Command {
    name: "help",
    usage: "help [COMMAND]",
    summary: "the commands, or one of them in detail",
    details: "",
    run,
};

fn run(_: &mut Console<'_>, call: &Call<'_>) -> Result<Answer, CommandError> {
    let mut lines: Vec<Line> = Vec::new();
    match call.words {
        [] => {
            let command = |c: &Command| Line::from(format!("{:<8} {}", c.name, c.summary));
            lines.extend(COMMANDS.iter().map(command));
            lines.push("".into());
            lines.push("TYPE ADDR   what lies at ADDR, as struct TYPE ADDR has it".into());
            lines.push("".into());
            lines.push("Behind a | may stand:".into());
            let filter = |(usage, doc): &(&str, &str)| Line::from(format!("{usage:<52} {doc}"));
            lines.extend(FILTERS.iter().map(filter));
        }
        [name] => {
            let none = || CommandError::new(format!("no command {name}; help lists them"));
            let command = find(name).ok_or_else(none)?;
            lines.push(format!("{}: {}", command.name, command.summary).into());
            lines.push("".into());
            lines.extend(command.usage.lines().map(|line| Line::from(format!("  {line}"))));
            if !command.details.is_empty() {
                lines.push("".into());
                lines.extend(command.details.lines().map(|line| Line::from(format!("  {line}"))));
            }
        }
        [_, word, ..] => return Err(HELP.unknown(word)),
    }
    Ok(lines.into())
}
