//! What a command answers, as plain data.

use super::{Radix, Stack, Table, member_lines, value_lines};
use crate::dump::VirtAddr;
use crate::object::{Content, Value};

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

/// A value and how it is to be printed.
#[derive(Clone, PartialEq, Debug)]
pub struct Printed {
    /// Lines before it: `[0]: ffff8880…` of CPU 0, an empty one between elements of an array.
    pub heading: Vec<String>,
    /// What stands before it: `struct list_head `, `$1 = `.
    pub before: String,
    /// The value.
    pub value: Value,
    /// In which numbers.
    pub radix: Radix,
    /// Only its members, one after the other, as `struct TYPE.member` prints them.
    pub members_only: bool,
}

impl Printed {
    /// The text of it.
    #[must_use]
    pub fn text(&self) -> Vec<Line> {
        let mut lines: Vec<Line> = self.heading.iter().map(|line| line.as_str().into()).collect();
        match &self.value.content {
            Content::Members(members) if self.members_only => {
                for (name, content) in members {
                    let name = name.as_deref().unwrap_or("");
                    lines.extend(member_lines(name, content, self.radix));
                }
            }
            _ => lines.extend(value_lines(&self.before, &self.value, self.radix)),
        }
        lines
    }
}

/// What a command answers.
#[derive(Clone, PartialEq, Debug)]
pub enum Document {
    /// Rows under headings.
    Table(Table),
    /// Typed values.
    Values(Vec<Printed>),
    /// Backtraces.
    Stacks(Vec<Stack>),
    /// Text.
    Lines(Vec<Line>),
}

impl Document {
    /// It as lines of text, as crash prints it.
    #[must_use]
    pub fn text(&self) -> Vec<Line> {
        match self {
            Document::Table(table) => table.text(),
            Document::Values(values) => values.iter().flat_map(Printed::text).collect(),
            Document::Stacks(stacks) => {
                let mut lines = Vec::new();
                for (index, stack) in stacks.iter().enumerate() {
                    if index > 0 {
                        lines.push(Line::default());
                    }
                    lines.push(stack.heading());
                    lines.extend(stack.lines());
                }
                lines
            }
            Document::Lines(lines) => lines.clone(),
        }
    }
}
