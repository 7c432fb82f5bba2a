//! What packagers want: completions, the manual page, and the tables of the README.

use super::arguments::Arguments;
use super::output::{self, Failure};
use crate::command::{COMMANDS, FILTERS};
use clap::CommandFactory;
use std::io::Write;

pub(super) fn completions(shell: clap_complete::Shell) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Arguments::command(), "hangscope", &mut script);
    print(&script)
}

/// One page: the options, each subcommand with its own, and the commands of `exec`.
pub(super) fn man() -> Result<(), Failure> {
    let mut page = Vec::new();
    let command = Arguments::command();
    let man = clap_mangen::Man::new(command.clone());
    man.render(&mut page)?;
    for sub in command.get_subcommands().filter(|sub| sub.get_name() != "help") {
        writeln!(page, ".SH HANGSCOPE {}", sub.get_name().to_uppercase())?;
        let sub = clap_mangen::Man::new(sub.clone());
        sub.render_description_section(&mut page)?;
        sub.render_options_section(&mut page)?;
    }
    writeln!(page, ".SH COMMANDS OF EXEC")?;
    for command in COMMANDS {
        writeln!(page, ".TP")?;
        let usage: Vec<&str> = command.usage.lines().collect();
        writeln!(page, "\\fB{}\\fR", roff(&usage.join(", ")))?;
        writeln!(page, "{}", roff(command.summary))?;
        for line in command.details.lines() {
            writeln!(page, ".br\n{}", roff(line))?;
        }
    }
    writeln!(page, ".SH FILTERS BEHIND |")?;
    for (usage, doc) in FILTERS {
        writeln!(page, ".TP\n\\fB{}\\fR\n{}", roff(usage), roff(doc))?;
    }
    print(&page)
}

/// Text in which roff sees no commands of its own.
fn roff(text: &str) -> String {
    let text = text.replace('\\', "\\e").replace('-', "\\-");
    if text.starts_with(['.', '\'']) { format!("\\&{text}") } else { text }
}

/// The table of commands, as Markdown for the README.
pub(super) fn commands() -> Result<(), Failure> {
    let mut text = Vec::new();
    writeln!(text, "| command | answer |\n| --- | --- |")?;
    for command in COMMANDS {
        let usage: Vec<String> =
            command.usage.lines().map(|line| format!("`{}`", line.replace('|', "\\|"))).collect();
        writeln!(text, "| {} | {} |", usage.join("<br>"), command.summary)?;
    }
    print(&text)
}

/// Prints a text and is done.
pub(super) fn print(text: &[u8]) -> Result<(), Failure> {
    let mut out = output::stdout();
    out.write_all(text)?;
    out.flush()?;
    Ok(())
}
