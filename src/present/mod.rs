//! One description of each table, drawn by the explorer and printed as text or JSON.
//!
//! A [`Column`] knows how to get its [`Cell`] out of a row; from the same columns come the panes,
//! their sort keys and filter fields, the text output, `--json` and the documentation. Nothing
//! here knows a terminal or a serialiser.

mod assembly;
mod cell;
mod definition;
mod disassembly;
mod document;
mod identity;
mod local;
mod lock_state;
mod ps;
mod source;
mod stack;
mod table;
mod task;
mod value;

pub use cell::{UNKNOWN, span};
pub use definition::{Offsets, definition, member_definition};
pub use disassembly::{Disassembly, InstructionRow, Origin, Target};
pub use document::{Document, Line, Link, Printed};
pub use identity::{Names, identity_lines, identity_table};
pub use local::{LocalRow, LocalValue};
pub use lock_state::{lock_state, more_like_these};
pub use ps::{PS_HEADING, ps_line, ps_table};
pub use source::{no_lines, no_source, source_file};
pub use stack::{Stack, StackFrame};
pub use table::{Heading, Table};
pub use task::{BlockedOn, TASK_COLUMNS, TaskRow, task_column};
pub use value::{Radix, value_lines};

use value::member_lines;

use crate::dump::VirtAddr;
use std::time::Duration;

/// One value of a table.
#[derive(Clone, PartialEq, Debug)]
pub enum Cell {
    /// Scrubbed text.
    Text(String),
    /// A whole number.
    Int(i64),
    /// A number with a fraction and how many digits of it are shown.
    Float(f64, usize),
    /// Yes or no.
    Bool(bool),
    /// An address, which can be followed.
    Address(VirtAddr),
    /// A span of time.
    Duration(Duration),
    /// Nothing to show: the row has no such thing.
    Empty,
    /// It should be there and is not known, for this reason.
    Unknown(Box<str>),
}

/// On which side a column's cells stand.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Align {
    /// Text.
    Left,
    /// Numbers.
    Right,
}

/// One column of a table of `T`s.
pub struct Column<T> {
    /// Its name in JSON, in filters and on the command line: lower case, `_`.
    pub id: &'static str,
    /// Its heading, as crash has it where crash has it.
    pub title: &'static str,
    /// What it says, for the help and the documentation: unit and source included.
    pub doc: &'static str,
    /// On which side its cells stand.
    pub align: Align,
    /// Its cell of a row.
    pub get: fn(&T) -> Cell,
}
