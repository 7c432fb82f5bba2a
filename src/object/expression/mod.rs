//! C expressions over dump memory: `p ((struct task_struct *)0xffff…)->mm->mmap_lock`.
//!
//! Text becomes [`token`]s, these a tree whose every node knows its column ([`Expression::parse`]);
//! [`Expression::evaluate`] walks it in a [`Scope`] of memory, types, symbols and a task. Numbers
//! are C's, with its conversions and its wrap-around ([`number`]). Beside C's own operators there
//! are `typeof`, `offsetof`, `container_of`, `per_cpu` and `per_cpu_ptr` as the kernel has them,
//! `$rsp` and the other registers, `VARIABLE:CPU` as crash has it, `OBJECT@COUNT` and
//! `{TYPE} ADDRESS` as gdb has them. What is wrong is said with its place.

mod evaluate;
mod names;
mod number;
mod operate;
mod parse;
mod token;
mod type_name;

pub use evaluate::{Outcome, Scope};
pub use parse::Expression;

use crate::debuginfo::TypeId;
use crate::dump::VirtAddr;

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

/// Where an expression finds what neither memory nor types tell.
pub trait Context {
    /// The register of that name (lower case, without `$`) of the task that is looked at.
    ///
    /// # Errors
    /// In words: there is no such register, or the dump does not have it.
    fn register(&self, name: &str) -> Result<u64, String>;

    /// What is added to the address of a per-CPU variable to get this CPU's.
    ///
    /// # Errors
    /// In words: there is no such CPU.
    fn per_cpu_offset(&self, cpu: u32) -> Result<u64, String>;

    /// The parameter or variable of that name in the function that is looked at: its type, and
    /// where it lies in the scope's memory. `None` when there is no such one.
    ///
    /// # Errors
    /// In words: the compiler keeps it nowhere here, or it cannot be read.
    fn variable(&self, _name: &str) -> Option<Result<(TypeId, VirtAddr), String>> {
        None
    }

    /// Whether what the scope's memory has there is in a register, and so has no address.
    fn in_register(&self, _at: VirtAddr) -> bool {
        false
    }
}
