//! C expressions over dump memory: `p ((struct task_struct *)0xffff…)->mm->mmap_lock`.
//!
//! [`Expression::parse`] makes a tree whose every node knows its column; [`Expression::evaluate`]
//! walks it in a [`Scope`] of memory, types and symbols. Both say what is wrong and where.

mod evaluate;
mod parse;

pub use evaluate::{Outcome, Scope};
pub use parse::Expression;

/// What is wrong with an expression, and where.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{message}")]
pub struct ExpressionError {
    /// Characters from the start of the expression.
    pub column: usize,
    /// What is wrong.
    pub message: String,
}

impl ExpressionError {
    fn new(column: usize, message: impl Into<String>) -> ExpressionError {
        ExpressionError { column, message: message.into() }
    }
}
