//! The kernel's own nouns as Rust: tasks, CPUs, modules, the log, lists and trees.
//!
//! Each noun probes the types once ("does `task_struct` have `__state` or `state`?") and then reads
//! whole structs, picking members from the bytes. What a kernel lacks makes one field
//! [`Unknown`], with the reason, never the noun.

mod code;
mod cpu;
mod debug_files;
pub mod fields;
mod files;
pub mod identify;
mod image;
mod log;
mod memory_totals;
mod memory_use;
mod module;
mod module_sections;
mod pids;
mod progress;
mod queue;
mod session;
mod sources;
mod state;
mod system;
mod task;
mod task_context;
mod task_fields;
mod task_search;
mod tasks;
#[cfg(test)]
pub(crate) mod testing;
mod variables;
pub mod walk;

pub use code::Code;
pub use cpu::{Cpu, Cpus};
pub use files::{OpenFile, open_files};
pub use identify::{dentry_path, path_of};
pub use image::Kernel;
pub use log::{Caller, Log, LogRecord};
pub use memory_totals::MemoryTotals;
pub use module::Module;
pub use progress::Progress;
pub use queue::{Queued, queued, queues};
pub use session::{OpenError, Options, Session};
pub use state::State;
pub(crate) use system::ticks;
pub use system::{System, taint_letters};
pub use task::Task;
pub use task_context::TaskContext;
pub use tasks::Tasks;
pub use variables::{StackFunction, Variable, Variables, stack_functions};

use crate::object::ObjectError;

/// A value, or the reason why it is not known: what stands behind every "–" on the screen.
pub type Known<T> = Result<T, Unknown>;

/// The reason why something is not known, as a sentence without its full stop.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{0}")]
pub struct Unknown(pub Box<str>);

impl Unknown {
    /// With this reason.
    #[must_use]
    pub fn because(reason: impl Into<Box<str>>) -> Unknown {
        Unknown(reason.into())
    }
}

impl From<ObjectError> for Unknown {
    fn from(error: ObjectError) -> Unknown {
        Unknown(error.to_string().into())
    }
}

impl From<crate::dump::Fault> for Unknown {
    fn from(error: crate::dump::Fault) -> Unknown {
        Unknown(error.to_string().into())
    }
}

impl From<crate::debuginfo::TypeError> for Unknown {
    fn from(error: crate::debuginfo::TypeError) -> Unknown {
        Unknown(error.to_string().into())
    }
}
