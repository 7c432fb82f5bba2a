//! Stacks into frames: ORC first, then DWARF's call frame information, frame pointers and a scan as
//! marked last resorts.
//!
//! A [`Trace`] is what a stack says and why it says no more. Frames that no unwind table vouches
//! for are marked unreliable. Inline frames, names and lines are not this floor's affair: a frame
//! is a program counter, a stack pointer and the registers that are known in it.

mod cfi;
pub mod flow;
mod guess;
mod orc;
mod registers;
mod saved;
mod stack;
mod unwinder;

pub use orc::{Orc, OrcTable};
pub use registers::{Register, Registers};
pub use saved::InactiveTaskFrame;
pub use unwinder::Unwinder;

use crate::dump::VirtAddr;

/// How a frame came to be on the stack.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum FrameKind {
    /// It called the frame before it: `pc` is a return address.
    Call,
    /// It was interrupted by an exception, or its registers were saved when the CPU was stopped:
    /// `pc` is the very instruction.
    Exception,
    /// As [`FrameKind::Exception`], by an interrupt.
    Irq,
    /// As [`FrameKind::Exception`], by a non-maskable interrupt.
    Nmi,
    /// User space: the trace ends here.
    User,
}

/// One frame.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Frame {
    /// How it came to be here.
    pub kind: FrameKind,
    /// The return address into it, or the interrupted instruction.
    pub pc: VirtAddr,
    /// The stack pointer in it, as drgn gives it. The slot of the return address that crash
    /// prints in brackets is `sp - 8`, save for a frame whose callee runs on another stack: its
    /// return address lies there, and crash prints `sp`.
    pub sp: VirtAddr,
    /// Whether unwind information led here; `false` for a frame that was guessed, by a frame
    /// pointer or a return address on the stack. Frames after it may be reliable again.
    pub reliable: bool,
    /// The registers known in this frame: all for one that was interrupted, otherwise those that
    /// its callees saved.
    pub registers: Registers,
    /// Where `struct pt_regs` lies, for a frame whose registers were saved on the stack.
    pub pt_regs: Option<VirtAddr>,
}

impl Frame {
    /// The address to look up for name and line: inside the call instruction for callers,
    /// since a call may be a function's last instruction.
    #[must_use]
    pub fn lookup_pc(&self) -> VirtAddr {
        match self.kind {
            FrameKind::Call => self.pc.minus(1),
            _ => self.pc,
        }
    }
}

/// Why a trace ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum End {
    /// At user space, or at the first frame of a kernel thread.
    Complete,
    /// Earlier, for this reason.
    Cut(String),
}

/// The frames of one stack, innermost first.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Trace {
    /// Innermost first.
    pub frames: Vec<Frame>,
    /// Why there are no more.
    pub end: End,
}
