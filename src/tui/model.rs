//! What the screens show, as plain values: filled by jobs, kept by the application, drawn by the
//! screens. Nothing here borrows from a dump.

use crate::debuginfo::{Position, SourceFile};
use crate::dump::VirtAddr;
use crate::kernel::State;
use crate::present::Disassembly;
use crate::unwind::FrameKind;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

/// The head of the screen: what was opened.
#[derive(Clone, PartialEq, Default, Debug)]
pub(crate) struct Overview {
    /// The dump's file name.
    pub(crate) file: String,
    /// Its format: `kdump zstd`.
    pub(crate) format: String,
    /// `uname -r`.
    pub(crate) release: String,
    /// How many CPUs.
    pub(crate) cpus: Option<usize>,
    /// How long the machine had been up.
    pub(crate) uptime: Option<Duration>,
    /// Why it was dumped.
    pub(crate) panic: Option<String>,
}

/// Which states of tasks are shown; none chosen shows all.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(crate) struct States {
    /// `UN`
    pub(crate) blocked: bool,
    /// `RU`
    pub(crate) running: bool,
    /// `IN`
    pub(crate) sleeping: bool,
    /// All the others.
    pub(crate) others: bool,
}

impl States {
    /// Whether a task in this state is shown; one whose state is not known always is.
    pub(crate) fn shows(self, state: Option<State>) -> bool {
        if self == States::default() {
            return true;
        }
        match state {
            Some(State::Uninterruptible) => self.blocked,
            Some(State::Running) => self.running,
            Some(State::Interruptible) => self.sleeping,
            Some(_) => self.others,
            None => true,
        }
    }

    /// The chosen ones by their letters.
    pub(crate) fn letters(self) -> String {
        let chosen = [
            (self.blocked, "UN"),
            (self.running, "RU"),
            (self.sleeping, "IN"),
            (self.others, "others"),
        ];
        chosen.iter().filter(|(on, _)| *on).map(|(_, name)| *name).collect::<Vec<_>>().join(" ")
    }
}

/// How tasks are sorted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Order {
    /// Blocked tasks first, the longest wait first, and those that spin; then what else runs; then
    /// the rest by number.
    Hang,
    /// By the column of that id.
    Column {
        /// Its id.
        id: &'static str,
        /// Highest first.
        descending: bool,
    },
}

/// One frame of a backtrace.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct FrameRow {
    pub(crate) kind: FrameKind,
    /// The function's name, if a symbol covers it.
    pub(crate) symbol: Option<String>,
    /// Bytes from the symbol to the program counter.
    pub(crate) offset: u64,
    pub(crate) module: Option<String>,
    pub(crate) pc: VirtAddr,
    pub(crate) sp: VirtAddr,
    pub(crate) reliable: bool,
}

impl FrameRow {
    /// An address inside the instruction at which the frame is: the call before a return address.
    pub(crate) fn lookup(&self) -> VirtAddr {
        match self.kind {
            FrameKind::Call => self.pc.minus(1),
            _ => self.pc,
        }
    }
}

/// A backtrace.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct TraceView {
    pub(crate) frames: Vec<FrameRow>,
    /// Why there are no more frames; `None` for a complete trace.
    pub(crate) cut: Option<String>,
}

/// What the inspector shows.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Subject {
    /// A value of a C type at an address.
    Object {
        /// `struct mutex`, `task_struct`, `atomic_t`.
        ty: String,
        /// Where it lies.
        at: VirtAddr,
    },
    /// A stack frame: its registers and its words.
    Frame {
        /// Whose stack.
        task: VirtAddr,
        /// Which frame, from 0.
        n: usize,
    },
}

/// Somewhere that Enter can go.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Place {
    /// A task, by its `task_struct`.
    Task(VirtAddr),
    /// An object, expanded at these paths.
    Object {
        /// What to inspect.
        subject: Subject,
        /// What is expanded in it.
        open: BTreeSet<String>,
    },
    /// Raw memory.
    Memory(VirtAddr),
    /// Machine code, at the instruction that covers the address.
    Code(VirtAddr),
    /// A message of the log, by its number among the records.
    Log(usize),
    /// A member of an object, in the inspector.
    Member {
        /// The object's type.
        ty: String,
        /// The object.
        of: VirtAddr,
        /// The member.
        at: VirtAddr,
    },
}

impl Place {
    /// Where it lies; a frame lies at no one address.
    pub(crate) fn address(&self) -> Option<VirtAddr> {
        match self {
            Place::Task(at) | Place::Memory(at) | Place::Code(at) => Some(*at),
            Place::Member { at, .. } => Some(*at),
            Place::Object { subject: Subject::Object { at, .. }, .. } => Some(*at),
            Place::Object { .. } | Place::Log(_) => None,
        }
    }

    /// An object with nothing expanded.
    pub(crate) fn object(ty: impl Into<String>, at: VirtAddr) -> Place {
        Place::Object { subject: Subject::Object { ty: ty.into(), at }, open: BTreeSet::new() }
    }
}

/// The value of a node of the inspector.
#[derive(Clone, PartialEq, Debug)]
pub(crate) enum Value {
    /// A number: its value and, for the hexadecimal form, its bits.
    Number {
        /// With its sign.
        value: i128,
        /// Its bits alone.
        bits: u64,
    },
    /// A pointer, with the symbol that it points to.
    Pointer {
        /// Where it points.
        to: VirtAddr,
        /// The symbol there: `init_task`, `schedule+0x2a`.
        symbol: Option<String>,
    },
    /// The name of an enum's value or of a boolean, and the number behind it.
    Name(String, i128),
    /// Characters.
    Text(String),
    /// What it is in a few words: `struct`, `3 entries`, `empty`.
    Note(String),
    /// It could not be read, for this reason.
    Fault(String),
}

/// One visible line of the inspector's tree.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Node {
    /// How deep it is nested.
    pub(crate) depth: u16,
    /// Names from the root to here, joined by dots; unique.
    pub(crate) path: String,
    /// Bytes from the start of the enclosing object, for members.
    pub(crate) offset: Option<u64>,
    pub(crate) name: String,
    /// Its C type.
    pub(crate) ty: String,
    pub(crate) value: Value,
    /// Where it lies; `None` for registers.
    pub(crate) at: Option<VirtAddr>,
    /// Whether it is expanded; `None` when there is nothing to expand.
    pub(crate) open: Option<bool>,
    /// Where Enter goes.
    pub(crate) place: Option<Place>,
}

/// What the inspector shows, line by line.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Inspection {
    /// `task_struct ffff88022e66cae0`, `frame 3 of java[30413]`.
    pub(crate) title: String,
    /// That the type does not fit what is known about the address.
    pub(crate) warning: Option<String>,
    pub(crate) nodes: Vec<Node>,
}

/// One line of the kernel log.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct LogLine {
    /// When, and by whom: `[   35.020000]`.
    pub(crate) stamp: String,
    /// 0 emergency to 7 debug.
    pub(crate) level: Option<u8>,
    pub(crate) text: String,
    /// The number of the message that it is of, among the records.
    pub(crate) record: usize,
}

/// Bytes that are shown together in one row of memory.
pub(crate) const ROW: u64 = 16;

/// One row of memory.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct MemoryRow {
    pub(crate) at: VirtAddr,
    /// The symbol that it lies in.
    pub(crate) symbol: Option<String>,
    /// The bytes, or why they cannot be read.
    pub(crate) bytes: Result<[u8; 16], String>,
    /// What the two words in it point to.
    pub(crate) points: [Option<String>; 2],
}

/// A stretch of memory.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct MemoryView {
    pub(crate) rows: Vec<MemoryRow>,
}

/// Machine code around an address: a function, or a few instructions where there is none.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct CodeView {
    /// `mutex_lock`, `hu_read [holdup]`.
    pub(crate) title: String,
    pub(crate) disassembly: Disassembly,
    /// Where Enter goes on each instruction.
    pub(crate) places: Vec<Option<Place>>,
    /// Why there is no more of it, when it ends early.
    pub(crate) cut: Option<String>,
}

/// The source of the functions that are at an address: the innermost inlined one first.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct SourceView {
    pub(crate) functions: Vec<SourceOf>,
}

/// The source of one function.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct SourceOf {
    /// The function, and its place in a file as far as that is known.
    pub(crate) position: Position,
    /// The file, or what would be needed to show it.
    pub(crate) text: Result<Arc<SourceFile>, String>,
}

/// Where the user stands when a command runs: what it takes for the current task, and which function
/// on its stack, inlined ones counted, names the variables.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(crate) struct Standing {
    pub(crate) task: Option<VirtAddr>,
    pub(crate) frame: Option<usize>,
}

/// What a command answered.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Output {
    pub(crate) lines: Vec<(String, Option<Place>)>,
}

/// Something to choose while typing.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Suggestion {
    /// What it puts on the prompt's line.
    pub(crate) text: String,
    /// What it is.
    pub(crate) note: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_chosen_state_shows_every_state() {
        assert!(States::default().shows(Some(State::Zombie)));
        let blocked = States { blocked: true, ..States::default() };
        assert!(blocked.shows(Some(State::Uninterruptible)));
        assert!(!blocked.shows(Some(State::Running)));
        assert!(blocked.shows(None), "a task whose state is unknown is never hidden");
        assert_eq!(States { running: true, ..blocked }.letters(), "UN RU");
    }
}
