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

use arguments::{Action, Arguments};
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

fn explore(arguments: &Arguments) -> Result<(), Failure> {
    if let Some(what) = arguments.generate {
        return manual::generate(what);
    }
    let _session = source::open(&arguments.source)?;
    Err(Failure::Usage("the explorer is not built yet".to_owned()))
}
