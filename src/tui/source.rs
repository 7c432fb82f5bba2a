//! Where the screens' data comes from: an opened dump, or a test's made-up one.

use super::model::{
    CodeView, Inspection, LogLine, MemoryView, Output, Overview, Place, SourceView, Standing,
    Subject, Suggestion, TraceView,
};
use crate::debuginfo::Position;
use crate::dump::VirtAddr;
use crate::kernel::{Progress, Task};
use crate::locks::LockGraph;
use std::collections::BTreeSet;
use std::sync::Arc;

/// The functions, files and lines of each frame of a backtrace.
pub(crate) type Lines = Vec<Arc<[Position]>>;

/// An answer, or the sentence that says why there is none.
pub(crate) type Answer<T> = Result<T, String>;

/// What screens ask. Each method runs on a worker thread and may take its time.
pub(crate) trait Source: Send + Sync {
    /// What was opened.
    fn overview(&self) -> Answer<Overview>;
    /// Every task.
    fn tasks(&self) -> Answer<Vec<Task>>;
    /// Who waits for whom.
    fn locks(&self, progress: &Progress) -> Answer<LockGraph>;
    /// The backtrace of the task whose `task_struct` lies there.
    fn trace(&self, task: VirtAddr) -> Answer<TraceView>;
    /// The functions, files and lines of each of its frames, as far as there is debug information.
    fn lines(&self, task: VirtAddr) -> Answer<Lines>;
    /// An object, expanded at these paths.
    fn inspect(&self, subject: &Subject, open: &BTreeSet<String>) -> Answer<Inspection>;
    /// The kernel log.
    fn log(&self) -> Answer<Vec<LogLine>>;
    /// `rows` rows of memory from `at` on, which is a multiple of their size.
    fn memory(&self, at: VirtAddr, rows: u64) -> Answer<MemoryView>;
    /// What an address is, in a sentence; one of user space is looked for in the process of `task`.
    fn identify(&self, at: VirtAddr, task: Option<VirtAddr>) -> Answer<String>;
    /// The machine code around an address.
    fn code(&self, at: VirtAddr) -> Answer<CodeView>;
    /// The source of the functions at an address.
    fn text(&self, at: VirtAddr) -> Answer<SourceView>;
    /// Where a text typed at the jump prompt leads.
    fn resolve(&self, text: &str, standing: Standing) -> Answer<Place>;
    /// What could be meant by a text typed at the jump prompt.
    fn suggest(&self, text: &str) -> Answer<Vec<Suggestion>>;
    /// Runs a crash-style command.
    fn command(&self, text: &str, standing: Standing, progress: &Arc<Progress>) -> Answer<Output>;
    /// The commands: name and what it does.
    fn commands(&self) -> Vec<(&'static str, &'static str)>;
}

/// Opens a source, telling what it is busy with.
pub(crate) type Opener = Box<dyn FnOnce(&dyn Fn(&'static str)) -> Answer<Arc<dyn Source>> + Send>;
