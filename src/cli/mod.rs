//! The command line: prints what the floors below say.

use std::process::ExitCode;

/// Runs the program: parses the command line, opens the dump, hands over.
#[must_use]
pub fn run() -> ExitCode {
    ExitCode::from(2)
}
