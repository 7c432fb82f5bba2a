//! What a command answers, as plain data.

use super::{Stack, Table};
use crate::dump::VirtAddr;
use crate::object::Value;

/// Where a line or a cell leads.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Link {
    /// To a task, by its `task_struct`.
    Task(VirtAddr),
    /// To raw memory.
    Memory(VirtAddr),
    /// To code.
    Code(VirtAddr),
    /// To an object, with its C type: `struct mutex`.
    Object(String, VirtAddr),
}

/// A line of text and where it leads.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Line {
    /// Without its newline.
    pub text: String,
    /// What Enter opens on it.
    pub link: Option<Link>,
}

impl<T: Into<String>> From<T> for Line {
    fn from(text: T) -> Line {
        Line { text: text.into(), link: None }
    }
}

impl Line {
    /// A line that leads somewhere.
    #[must_use]
    pub fn to(link: Link, text: impl Into<String>) -> Line {
        Line { text: text.into(), link: Some(link) }
    }
}

/// What a command answers.
#[derive(Clone, PartialEq, Debug)]
pub enum Document {
    /// Rows under headings.
    Table(Table),
    /// Typed values, each with the text that stands before it: `struct list_head `, `$1 = `.
    Values(Vec<(String, Value)>),
    /// Backtraces.
    Stacks(Vec<Stack>),
    /// Text.
    Lines(Vec<Line>),
}
