//! Crash-style commands: text in, a document out.
//!
//! A [`Console`] runs lines one after the other and remembers what lasts between them: the current
//! task and the number of the next value. The commands stand in one table, [`COMMANDS`], from which
//! help, completions, the manual page and the explorer's palette are made. Nothing here starts a
//! shell: what may stand behind a `|` is in [`FILTERS`].

mod commands;
mod console;
mod date;
mod filter;
mod line;
mod select;

pub use commands::{COMMANDS, Command};
pub use console::{Answer, Console, Lasting};
pub use filter::FILTERS;

/// Why a command gave no answer.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{message}")]
pub struct CommandError {
    /// The reason.
    pub message: String,
    /// Where in the line, in characters, if it is about one place in it.
    pub column: Option<usize>,
}

impl CommandError {
    fn new(message: impl Into<String>) -> CommandError {
        CommandError { message: message.into(), column: None }
    }

    fn at(column: usize, message: impl Into<String>) -> CommandError {
        CommandError { message: message.into(), column: Some(column) }
    }
}

impl From<crate::debuginfo::TypeError> for CommandError {
    fn from(error: crate::debuginfo::TypeError) -> CommandError {
        CommandError::new(error.to_string())
    }
}

impl From<crate::object::ObjectError> for CommandError {
    fn from(error: crate::object::ObjectError) -> CommandError {
        CommandError::new(error.to_string())
    }
}

impl From<crate::dump::Fault> for CommandError {
    fn from(error: crate::dump::Fault) -> CommandError {
        CommandError::new(error.to_string())
    }
}

impl From<crate::kernel::Unknown> for CommandError {
    fn from(error: crate::kernel::Unknown) -> CommandError {
        CommandError::new(error.to_string())
    }
}
