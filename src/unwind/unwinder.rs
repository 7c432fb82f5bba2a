//! From a frame to its caller, until there is none.

use super::cfi;
use super::guess;
use super::orc::{Base, Entry, Kind, Orc};
use super::saved::{IRET_SIZE, InactiveTaskFrame, PT_REGS_SIZE, from_pt_regs};
use super::stack::Stack;
use super::{End, Frame, FrameKind, Register, Registers, Trace};
use crate::debuginfo::{DwarfOf, Symbols};
use crate::dump::VirtAddr;
use crate::memory::VirtualMemory;
use std::ops::Range;

/// More frames than any kernel stack holds, exceptions within exceptions included.
const MAX_FRAMES: usize = 512;
/// The highest address of a process, with five levels of page tables. Above is the kernel.
const USER_END: u64 = 0x0100_0000_0000_0000;

/// What unwinding needs of a dump.
#[derive(Clone, Copy)]
pub struct Unwinder<'d> {
    orc: &'d Orc,
    symbols: &'d Symbols,
    memory: &'d dyn VirtualMemory,
    dwarf_of: Option<&'d DwarfOf<'d>>,
    without_orc: bool,
}

/// A frame, and how to look up what it is in.
struct At {
    frame: Frame,
    /// `pc` is the instruction itself, not one after a call.
    exact: bool,
}

impl<'d> Unwinder<'d> {
    /// With these tables, symbols and this (kernel) memory.
    #[must_use]
    pub fn new(orc: &'d Orc, symbols: &'d Symbols, memory: &'d dyn VirtualMemory) -> Self {
        Unwinder { orc, symbols, memory, dwarf_of: None, without_orc: false }
    }

    /// With debug information for code that the tables do not know.
    #[must_use]
    pub fn with_dwarf(self, dwarf_of: &'d DwarfOf<'d>) -> Self {
        Unwinder { dwarf_of: Some(dwarf_of), ..self }
    }

    /// By debug information alone.
    #[must_use]
    pub fn without_orc(self) -> Self {
        Unwinder { without_orc: true, ..self }
    }

    /// The frames of a task that is not running. `sp` is its `thread.sp`, `stack` its kernel stack.
    #[must_use]
    pub fn sleeping(
        &self,
        sp: VirtAddr,
        layout: &InactiveTaskFrame,
        stack: Option<Range<VirtAddr>>,
    ) -> Trace {
        let size = usize::try_from(layout.size).unwrap_or(0);
        let saved = match self.memory.read_vec(sp, size) {
            Ok(saved) => saved,
            Err(fault) => {
                let reason = format!("the registers saved at thread.sp cannot be read: {fault}");
                return Trace { frames: Vec::new(), end: End::Cut(reason) };
            }
        };
        let mut registers = layout.registers(&saved);
        registers.set(Register::Rsp, Some(sp.plus(layout.size).0));
        let pc = VirtAddr(registers.get(Register::Rip).unwrap_or(0));
        // A task that has never run returns to the start of ret_from_fork, which called nothing.
        let starts = || self.symbols.resolve(pc).is_some_and(|at| at.offset == 0);
        let exact = layout.goes_on.is_none() && starts();
        let kind = if exact { FrameKind::Exception } else { FrameKind::Call };
        self.trace(At { frame: Frame::with(kind, registers, None), exact }, stack)
    }

    /// The frames of a task that ran when these registers were saved. `stack` is its kernel stack;
    /// the frames may well begin on another.
    #[must_use]
    pub fn running(&self, registers: Registers, stack: Option<Range<VirtAddr>>) -> Trace {
        let kind = if is_user(&registers) { FrameKind::User } else { FrameKind::Exception };
        self.trace(At { frame: Frame::with(kind, registers, None), exact: true }, stack)
    }

    fn trace(&self, first: At, task_stack: Option<Range<VirtAddr>>) -> Trace {
        let mut stack = Stack::new(self.memory);
        let mut frames = Vec::new();
        let mut at = first;
        let end = loop {
            if at.frame.kind == FrameKind::User {
                frames.push(at.frame);
                break End::Complete;
            }
            let again = |old: &Frame| (old.pc, old.sp) == (at.frame.pc, at.frame.sp);
            if frames.iter().any(again) {
                break End::Cut(format!("the stack leads back to {}", self.place(&at)));
            }
            let step = self.step(&mut stack, &at).or_else(|problem| {
                guess::next(&mut stack, self.symbols, &at.frame, task_stack.as_ref())
                    .map(|frame| Some(At { frame, exact: false }))
                    .ok_or_else(|| format!("in {}: {problem}", self.place(&at)))
            });
            frames.push(at.frame);
            match step {
                Ok(Some(_)) if frames.len() >= MAX_FRAMES => {
                    break End::Cut(format!("more than {MAX_FRAMES} frames"));
                }
                Ok(Some(next)) => at = next,
                Ok(None) => break End::Complete,
                Err(problem) => break End::Cut(problem),
            }
        };
        Trace { frames, end }
    }

    /// The caller of a frame, or what it interrupted, by the unwind tables; `None` if it is the
    /// outermost. The error is what the tables lack.
    fn step(&self, stack: &mut Stack<'_>, at: &At) -> Result<Option<At>, String> {
        let lookup = if at.exact { at.frame.pc } else { at.frame.pc.minus(1) };
        let entry = if at.frame.pc.is_null() {
            // A call through a null pointer: nothing but the return address has been pushed.
            Ok(NULL_CALL)
        } else if self.without_orc {
            Err("nothing describes its frame".to_owned())
        } else {
            self.orc.find(self.memory, lookup)
        };
        let entry = match entry {
            Ok(entry) => entry,
            Err(problem) => return self.step_by_dwarf(stack, at, lookup, problem),
        };
        match entry.kind {
            Kind::EndOfStack => return Ok(None),
            // Before 4.18 the outermost frames are not marked.
            Kind::Undefined if self.is_outermost(lookup) => return Ok(None),
            Kind::Undefined => return Err("the unwind table has nothing for it".to_owned()),
            Kind::Unknown(number) => return Err(format!("unwind entry of unknown type {number}")),
            Kind::Call | Kind::Regs | Kind::RegsPartial => {}
        }
        let sp = caller_sp(stack, &at.frame, &entry)?;
        let bp = caller_bp(stack, &at.frame, &entry, sp);
        let frame = match entry.kind {
            Kind::Regs | Kind::RegsPartial => {
                self.interrupted(stack, at, entry.kind == Kind::Regs, sp, bp)?
            }
            _ => {
                let pc = stack
                    .word(sp.minus(8))
                    .map_err(|fault| format!("the return address cannot be read: {fault}"))?;
                let switches = matches!(entry.sp, Base::SpIndirect | Base::BpIndirect);
                if !switches {
                    goes_up(at.frame.sp, sp)?;
                }
                let mut registers = Registers::default();
                registers.set(Register::Rip, Some(pc));
                registers.set(Register::Rsp, Some(sp.0));
                registers.set(Register::Rbp, bp);
                Frame::with(FrameKind::Call, registers, None)
            }
        };
        Ok(Some(At { frame, exact: entry.signal }))
    }

    /// The caller of a frame, or what it interrupted, by debug information. `problem` is why it was
    /// not found otherwise.
    fn step_by_dwarf(
        &self,
        stack: &mut Stack<'_>,
        at: &At,
        lookup: VirtAddr,
        problem: String,
    ) -> Result<Option<At>, String> {
        let Some(dwarf_of) = self.dwarf_of else { return Err(problem) };
        let Some(caller) = cfi::caller(&at.frame, lookup, dwarf_of, self.memory)? else {
            // The kernel's entry code, which is written in assembly, keeps the registers of what
            // it interrupted on top of the stack while it has called something.
            if at.frame.kind == FrameKind::Call && has_pt_regs(stack, at.frame.sp, self.symbols) {
                let frame = self.interrupted(stack, at, true, at.frame.sp, None)?;
                return Ok(Some(At { frame, exact: true }));
            }
            return if self.is_outermost(lookup) { Ok(None) } else { Err(problem) };
        };
        let mut registers = Registers::default();
        for (number, value) in caller.registers {
            let register = Register::ALL.get(usize::from(number)).copied();
            if let Some(register) = register {
                registers.set(register, Some(value));
            }
        }
        if caller.outermost {
            return Ok(None);
        }
        if registers.get(Register::Rip).is_none() {
            return Err("the return address cannot be read".to_owned());
        }
        let code = registers.get(Register::Rip).map(VirtAddr);
        if !caller.signal && code.is_some_and(|code| !guess::may_be_code(code)) {
            return Err("its return address is none".to_owned());
        }
        let sp = VirtAddr(caller.cfa);
        goes_up(at.frame.sp, sp)?;
        let mut pt_regs = None;
        if let Some(frame) = caller.interrupt_frame.map(VirtAddr) {
            // DWARF has no say over these.
            for (register, at) in [
                (Register::OrigRax, frame.minus(8)),
                (Register::Cs, frame.plus(8)),
                (Register::Rflags, frame.plus(16)),
                (Register::Ss, frame.plus(32)),
            ] {
                registers.set(register, stack.word(at).ok());
            }
            let size = u64::try_from(PT_REGS_SIZE - IRET_SIZE).unwrap_or(0);
            pt_regs = Some(frame.minus(size));
        }
        let kind = match caller.signal {
            _ if is_user(&registers) => FrameKind::User,
            true => {
                let entry = self.symbols.resolve(lookup);
                entry.map_or(FrameKind::Exception, |entry| kind_of_entry(entry.symbol.name))
            }
            false => FrameKind::Call,
        };
        Ok(Some(At { frame: Frame::with(kind, registers, pt_regs), exact: caller.signal }))
    }

    /// The frame whose registers lie at `sp`.
    fn interrupted(
        &self,
        stack: &mut Stack<'_>,
        at: &At,
        whole: bool,
        sp: VirtAddr,
        bp: Option<u64>,
    ) -> Result<Frame, String> {
        let size = if whole { PT_REGS_SIZE } else { IRET_SIZE };
        let mut bytes = [0; PT_REGS_SIZE];
        let bytes = bytes.get_mut(..size).unwrap_or_default();
        stack
            .read(sp, bytes)
            .map_err(|fault| format!("the registers saved at {sp} cannot be read: {fault}"))?;
        let mut registers = from_pt_regs(bytes);
        if !whole {
            registers.set(Register::Rbp, bp);
            // The entry code has changed no other register yet, and the kernel's unwinder relies
            // on that for those that a table may refer to.
            for register in [Register::R10, Register::R13, Register::Rdi, Register::Rdx] {
                registers.set(register, at.frame.registers.get(register));
            }
        }
        let kind = if is_user(&registers) {
            FrameKind::User
        } else {
            let entry = self.symbols.resolve(at.frame.lookup_pc());
            entry.map_or(FrameKind::Exception, |entry| kind_of_entry(entry.symbol.name))
        };
        // The frame that the CPU pushed is the end of a pt_regs that is not filled in yet.
        Ok(Frame::with(kind, registers, whole.then_some(sp)))
    }

    /// Whether an address is in code that a thread starts with.
    fn is_outermost(&self, at: VirtAddr) -> bool {
        const STARTS: [&str; 2] = ["ret_from_fork", "secondary_startup_64"];
        let name = self.symbols.resolve(at).map_or("", |at| at.symbol.name);
        STARTS.iter().any(|start| name.starts_with(start))
    }

    /// `schedule+42 (0xffffffff81000000)`.
    fn place(&self, at: &At) -> String {
        match self.symbols.resolve(at.frame.lookup_pc()) {
            Some(found) => {
                let offset = at.frame.pc.offset_from(found.symbol.at).unwrap_or(0);
                format!("{}+{offset} ({})", found.symbol.name, at.frame.pc)
            }
            None => at.frame.pc.to_string(),
        }
    }
}

impl Frame {
    /// A frame of these registers, which name at least `pc` and `sp`.
    pub(super) fn with(kind: FrameKind, registers: Registers, pt_regs: Option<VirtAddr>) -> Frame {
        Frame {
            kind,
            pc: VirtAddr(registers.get(Register::Rip).unwrap_or(0)),
            sp: VirtAddr(registers.get(Register::Rsp).unwrap_or(0)),
            reliable: true,
            registers,
            pt_regs,
        }
    }
}

/// Refuses a caller that is below its callee on one stack. Another stack may lie anywhere: from 5.8
/// to 5.11 `asm_call_irq_on_stack` keeps the way back to the task's stack in rbp
/// (`arch/x86/entry/entry_64.S`).
fn goes_up(own: VirtAddr, caller: VirtAddr) -> Result<(), String> {
    let below = own.offset_from(caller);
    if below.is_some_and(|below| below < guess::REACH) {
        return Err(format!("its caller's stack pointer {caller} is not above its own"));
    }
    Ok(())
}

/// For pc 0: the return address is on top of the stack.
const NULL_CALL: Entry = Entry {
    sp: Base::Is(Register::Rsp),
    sp_offset: 8,
    bp: Base::Undefined,
    bp_offset: 0,
    kind: Kind::Call,
    signal: false,
};

fn plus(at: u64, offset: i16) -> VirtAddr {
    VirtAddr(at.wrapping_add_signed(i64::from(offset)))
}

/// The stack pointer of the caller, or where the saved registers lie.
fn caller_sp(stack: &mut Stack<'_>, frame: &Frame, entry: &Entry) -> Result<VirtAddr, String> {
    let known = |register: Register| {
        let value = frame.registers.get(register);
        value.ok_or_else(|| format!("its stack is found by {}, which is lost", register.name()))
    };
    let mut pointer = |at: VirtAddr| {
        stack.word(at).map_err(|fault| format!("the stack before it cannot be found: {fault}"))
    };
    match entry.sp {
        Base::Is(register @ (Register::Rsp | Register::Rbp)) => {
            Ok(plus(known(register)?, entry.sp_offset))
        }
        Base::Is(register) => known(register).map(VirtAddr),
        Base::BpIndirect => pointer(plus(known(Register::Rbp)?, entry.sp_offset)).map(VirtAddr),
        // Until 5.12 the offset was added before; it was zero then.
        Base::SpIndirect => pointer(frame.sp).map(|sp| plus(sp, entry.sp_offset)),
        Base::Undefined | Base::PrevSp | Base::Unknown(_) => {
            Err(format!("unwind entry with an impossible stack pointer ({:?})", entry.sp))
        }
    }
}

/// The rbp of the caller, if it can be told.
fn caller_bp(stack: &mut Stack<'_>, frame: &Frame, entry: &Entry, sp: VirtAddr) -> Option<u64> {
    let own = frame.registers.get(Register::Rbp);
    match entry.bp {
        Base::Undefined => own,
        Base::PrevSp => stack.word(plus(sp.0, entry.bp_offset)).ok(),
        Base::Is(Register::Rbp) => stack.word(plus(own?, entry.bp_offset)).ok(),
        _ => None,
    }
}

/// Whether what lies there can be a `struct pt_regs` of an interrupted CPU: with the segments that
/// Linux gives user space or the kernel (arch/x86/include/asm/segment.h), flags that the CPU can
/// have and, in the kernel, an address of code.
fn has_pt_regs(stack: &mut Stack<'_>, at: VirtAddr, symbols: &Symbols) -> bool {
    /// `__USER_CS`, `__USER32_CS` and `__USER_DS`; `__KERNEL_CS` and `__KERNEL_DS`.
    const USER: ([u64; 2], u64) = ([0x33, 0x23], 0x2b);
    const KERNEL: (u64, [u64; 2]) = (0x10, [0x18, 0]);
    /// The bit that is always set, and those that never are.
    const ALWAYS: u64 = 1 << 1;
    const NEVER: u64 = !0x3f_ffff;
    let mut bytes = [0; PT_REGS_SIZE];
    if stack.read(at, &mut bytes).is_err() {
        return false;
    }
    let registers = from_pt_regs(&bytes);
    let value = |register| registers.get(register).unwrap_or(0);
    let (cs, ss, flags) = (value(Register::Cs), value(Register::Ss), value(Register::Rflags));
    let code = VirtAddr(value(Register::Rip));
    let in_text = || symbols.resolve(code).is_some_and(|found| found.symbol.is_text());
    let whose = USER.0.contains(&cs) && ss == USER.1 && code.0 < USER_END
        || cs == KERNEL.0 && KERNEL.1.contains(&ss) && in_text();
    whose && flags & ALWAYS != 0 && flags & NEVER == 0
}

/// Whether a CPU with these registers was in user mode.
fn is_user(registers: &Registers) -> bool {
    match (registers.get(Register::Cs), registers.get(Register::Rip)) {
        (Some(cs), _) => cs & 3 == 3,
        (None, Some(pc)) => pc != 0 && pc < USER_END,
        (None, None) => false,
    }
}

/// What kind of event enters the kernel by the code of this name (arch/x86/entry/entry_64.S).
fn kind_of_entry(name: &str) -> FrameKind {
    if name.contains("nmi") {
        FrameKind::Nmi
    } else if ["interrupt", "sysvec", "irq", "intr"].iter().any(|part| name.contains(part)) {
        FrameKind::Irq
    } else {
        FrameKind::Exception
    }
}

#[cfg(test)]
#[path = "unwinder_tests.rs"]
mod tests;
