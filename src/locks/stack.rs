//! The registers of every frame of a stack, and what values meant in it.
//!
//! Unwinding restores the stack pointer alone. Here each function of a trace is followed to its
//! frame ([`crate::unwind::flow`]), which tells where it saved its caller's rbx, rbp and r12 to
//! r15; so frame by frame the registers become known, and with them the symbolic values that the
//! code computed. A frame where code and unwind tables disagree about the stack is left out.

use super::calls::{Cache, Calls};
use crate::dump::VirtAddr;
use crate::kernel::Session;
use crate::unwind::flow::{Base, Effect, Effects, Function, Passage, State, Value};
use crate::unwind::{Frame, FrameKind, Register, Registers, Trace};
use std::sync::Arc;

/// Registers that a function gives back to its caller as they were.
const CALLEE_SAVED: [Register; 6] =
    [Register::Rbx, Register::Rbp, Register::R12, Register::R13, Register::R14, Register::R15];

/// Values that lead to values are followed this deep.
const DEEP: u32 = 6;

/// The code of the dump, followed as far as anybody asked.
pub(super) struct Code<'s> {
    session: &'s Session,
    calls: Calls<'s>,
    /// Where the per-CPU area keeps the current task.
    current: Option<VirtAddr>,
    passages: Cache<(VirtAddr, bool), Option<Arc<Passage>>>,
}

impl<'s> Code<'s> {
    pub(super) fn new(session: &'s Session) -> Code<'s> {
        // `current_task`, but from 6.2 to 6.14, where it was the first member of `pcpu_hot`.
        let symbols = session.symbols();
        let current = symbols.address("pcpu_hot").or_else(|| symbols.address("current_task"));
        Code { session, calls: Calls::new(session), current, passages: Cache::new() }
    }

    /// What a call of the function at `target` means.
    pub(super) fn effect(&self, target: VirtAddr) -> Effect {
        self.calls.of_call(target)
    }

    /// The function that covers `at`, decoded.
    pub(super) fn function(&self, at: VirtAddr) -> Option<Arc<Function>> {
        self.calls.function(at)
    }

    /// Where the call is that a frame is in.
    pub(super) fn call_before(&self, frame: &Frame) -> Option<u64> {
        if frame.kind != FrameKind::Call {
            return None;
        }
        self.function(frame.lookup_pc())?.instruction_before(frame.pc)
    }

    /// What is known at a frame.
    fn passage(&self, frame: &Frame) -> Option<Arc<Passage>> {
        let after_call = frame.kind == FrameKind::Call;
        self.passages.get((frame.pc, after_call), || {
            let function = self.function(frame.lookup_pc())?;
            function.at(frame.pc, after_call, &self.calls).map(Arc::new)
        })
    }
}

/// One frame whose code was followed.
pub(super) struct Known {
    pub(super) passage: Arc<Passage>,
    /// What the registers hold in it.
    registers: Registers,
    /// The stack pointer at its function's entry.
    entry_sp: VirtAddr,
}

/// The frames of a trace, as far as they could be followed.
pub(super) struct Stack<'c, 's> {
    code: &'c Code<'s>,
    /// Whose stack it is.
    task: VirtAddr,
    frames: Vec<Option<Known>>,
    /// Of each frame the address to look its function up by, and the program counter.
    pcs: Vec<(VirtAddr, VirtAddr)>,
}

/// A symbolic value made concrete.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Concrete {
    pub(super) value: u64,
    /// Whether memory was read for it that may have changed since the code read it.
    pub(super) reread: bool,
}

impl<'c, 's> Stack<'c, 's> {
    /// Follows the first `depth` frames of a task's trace.
    pub(super) fn follow(
        code: &'c Code<'s>,
        task: VirtAddr,
        trace: &Trace,
        depth: usize,
    ) -> Stack<'c, 's> {
        let memory = code.session.memory();
        let mut frames = Vec::new();
        let mut carried = Registers::default();
        for (index, frame) in trace.frames.iter().enumerate().take(depth) {
            let mut registers = std::mem::take(&mut carried);
            for (register, value) in frame.registers.iter() {
                registers.set(register, Some(value));
            }
            let caller = trace.frames.get(index + 1);
            let known = caller.filter(|_| frame.reliable).and_then(|caller| {
                let passage = code.passage(frame)?;
                // The entry's stack pointer is where the return address lies; an interrupted
                // frame was entered by nobody's call, and its own function's entry is unknown.
                let entry_sp = caller.sp.checked_sub(8)?;
                agrees(&passage.after, &registers, entry_sp, frame.sp)
                    .then_some((passage, entry_sp))
            });
            let Some((passage, entry_sp)) = known else {
                frames.push(None);
                continue;
            };
            for register in CALLEE_SAVED {
                carried
                    .set(register, saved(&passage.after, &registers, entry_sp, memory, register));
            }
            frames.push(Some(Known { passage, registers, entry_sp }));
        }
        let pcs =
            trace.frames.iter().take(depth).map(|frame| (frame.lookup_pc(), frame.pc)).collect();
        Stack { code, task, frames, pcs }
    }

    /// What is known of a frame.
    pub(super) fn frame(&self, index: usize) -> Option<&Known> {
        self.frames.get(index)?.as_ref()
    }

    /// What a value of frame `index` is in figures, in the state before its call.
    pub(super) fn concrete(&self, index: usize, value: &Value) -> Option<Concrete> {
        self.concrete_within(index, value, DEEP)
    }

    fn concrete_within(&self, index: usize, value: &Value, depth: u32) -> Option<Concrete> {
        let depth = depth.checked_sub(1)?;
        let known = self.frame(index)?;
        let memory = self.code.session.memory();
        let sure = |value: u64| Concrete { value, reread: false };
        if value.base == Base::Zero {
            return Some(sure(value.offset.cast_unsigned()));
        }
        if let Some(offset) = value.on_stack() {
            return known.entry_sp.0.checked_add_signed(offset).map(sure);
        }
        let state = &known.passage.after;
        // Whatever still holds something counted from the same base tells it.
        for register in Register::ALL {
            let (Some(holds), Some(figure)) =
                (state.register(register), known.registers.get(register))
            else {
                continue;
            };
            if holds.base == value.base {
                return Some(sure(distance(figure, holds, value)));
            }
        }
        for (offset, holds) in state.stack() {
            if holds.base != value.base {
                continue;
            }
            let at = VirtAddr(known.entry_sp.0.checked_add_signed(offset)?);
            if let Ok(figure) = memory.read_u64(at) {
                return Some(sure(distance(figure, holds, value)));
            }
        }
        match &value.base {
            Base::Entry(register) => {
                let found = self.argument(index, *register, depth)?;
                let value = found.value.wrapping_add_signed(value.offset);
                Some(Concrete { value, ..found })
            }
            Base::Loaded { from, .. } if self.is_current(from) => {
                Some(sure(self.task.0.wrapping_add_signed(value.offset)))
            }
            Base::Loaded { from, .. } => {
                let from = self.concrete_within(index, from, depth)?;
                let figure = memory.read_u64(VirtAddr(from.value)).ok()?;
                Some(Concrete { value: figure.wrapping_add_signed(value.offset), reread: true })
            }
            _ => None,
        }
    }

    /// Whether the address is that of the per-CPU `current`, which for this task's code is itself.
    fn is_current(&self, from: &Value) -> bool {
        let at = self.code.current.map(|at| at.0.cast_signed());
        from.base == Base::PerCpu && Some(from.offset) == at
    }

    /// What `register` held when the function of frame `index` was called: its caller says, if it
    /// called that very function and not one that went on to it.
    fn argument(&self, index: usize, register: Register, depth: u32) -> Option<Concrete> {
        let caller = index.checked_add(1)?;
        let (callee, caller_pc) = (self.pcs.get(index)?, self.pcs.get(caller)?);
        let (entry, _) = self.code.session.symbols().bounds(callee.0)?;
        let target = self.code.function(caller_pc.0)?.call_before(caller_pc.1)?;
        if target != entry {
            return None;
        }
        let value = self.frame(caller)?.passage.before.register(register)?.clone();
        self.concrete_within(caller, &value, depth)
    }
}

/// Whether the code and the unwind tables agree about the frame: the stack pointer that the code
/// says is the frame's. A function that aligns its stack has lost count of it, but not of rbp.
fn agrees(state: &State, registers: &Registers, entry_sp: VirtAddr, sp: VirtAddr) -> bool {
    let counted = |register| {
        let offset = state.register(register).and_then(Value::on_stack)?;
        entry_sp.0.checked_add_signed(offset)
    };
    match counted(Register::Rsp) {
        Some(counted) => counted == sp.0,
        None => counted(Register::Rbp)
            .is_some_and(|counted| registers.get(Register::Rbp) == Some(counted)),
    }
}

/// `value`, given that something that holds `holds` is `figure`.
fn distance(figure: u64, holds: &Value, value: &Value) -> u64 {
    figure.wrapping_add_signed(value.offset.wrapping_sub(holds.offset))
}

/// Where a function keeps its caller's `register`, and what is there.
fn saved(
    state: &State,
    registers: &Registers,
    entry_sp: VirtAddr,
    memory: &dyn crate::memory::VirtualMemory,
    register: Register,
) -> Option<u64> {
    let wanted = Value::entry(register);
    if state.register(register) == Some(&wanted) {
        return registers.get(register);
    }
    let (offset, _) = state.stack().find(|(_, value)| **value == wanted)?;
    memory.read_u64(VirtAddr(entry_sp.0.checked_add_signed(offset)?)).ok()
}
