//! The command line: prints what the floors below say.
//!
//! Results go to standard output and messages to standard error. The exit status is 0 when all is
//! done, 1 when the dump or a command could not be read or was wrong, 2 when the command line was
//! wrong. A reader that goes away (`| head`) ends the program quietly.

mod arguments;
mod doctor;
mod exec;
mod info;
mod json;
mod manual;
mod output;
mod report;
mod source;
mod trim;

use crate::tui;
use arguments::{Action, Arguments, Part, Source};
use clap::Parser;
use output::Failure;
use std::process::ExitCode;

/// Runs the program: parses the command line, opens the dump, hands over.
#[must_use]
pub fn run() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            // Help and the version are no errors; a closed pipe is none of ours.
            _ = error.print();
            return ExitCode::from(if error.use_stderr() { 2 } else { 0 });
        }
    };
    match act(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure::ReaderGone) => ExitCode::SUCCESS,
        Err(Failure::Told) => ExitCode::from(1),
        Err(Failure::Dump(message)) => {
            output::message(&message);
            ExitCode::from(1)
        }
        Err(Failure::Usage(message)) => {
            output::message(&message);
            ExitCode::from(2)
        }
    }
}

fn act(arguments: &Arguments) -> Result<(), Failure> {
    let style = output::Style::of(&arguments.look);
    match &arguments.action {
        None => explore(arguments),
        Some(Action::Exec(exec)) => exec::run(exec),
        Some(Action::Report(report)) => report::run(report, style),
        Some(Action::Info(info)) => info::run(info),
        Some(Action::Trim(trim)) => trim::run(trim),
        Some(Action::Doctor(doctor)) => doctor::run(doctor, style),
        Some(Action::Completions { shell }) => manual::completions(*shell),
        Some(Action::Man) => manual::man(),
    }
}

/// Hands over to the explorer, or takes a picture of it.
fn explore(arguments: &Arguments) -> Result<(), Failure> {
    match arguments.generate {
        Some(Part::Keys) => return manual::print(tui::keys_markdown().as_bytes()),
        Some(Part::Commands) => return manual::commands(),
        None => {}
    }
    let Source { dumps, debug } = arguments.source.clone();
    source::check(&dumps, &debug)?;
    let options = tui::Options {
        name: dumps
            .first()
            .and_then(|path| path.file_name())
            .map(|name| crate::dump::scrub(name.as_encoded_bytes()))
            .unwrap_or_else(|| source::name(&[], &debug).replace("--", "")),
        open: Box::new(move || {
            let dump = source::dump(&dumps, &debug).map_err(|failure| failure.to_string())?;
            source::session(dump, &dumps, &debug).map_err(|failure| failure.to_string())
        }),
        look: tui::Look {
            // Both a terminal and a picture can show them.
            colour: output::Style::may_colour(&arguments.look, true),
            ascii: arguments.look.ascii,
            mouse: false,
        },
    };
    let done = match (&arguments.screenshot, &arguments.out) {
        (Some(keys), Some(out)) => {
            let size = arguments.size()?;
            let mut picture = Vec::new();
            tui::screenshot(options, keys, size, &mut picture).and_then(|()| {
                let named = |error| std::io::Error::other(format!("{}: {error}", out.display()));
                std::fs::write(out, picture).map_err(|error| tui::Error::Io(named(error)))
            })
        }
        _ => tui::run(options),
    };
    done.map_err(|error| match error {
        tui::Error::NoTerminal | tui::Error::Keys(_) => Failure::Usage(error.to_string()),
        tui::Error::Open(_) | tui::Error::Io(_) => Failure::Dump(error.to_string()),
    })
}
