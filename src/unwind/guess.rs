//! Where no unwind table helps: generated code (BPF, trampolines), functions that the kernel's build
//! leaves out (`__crash_kexec`, in which every kdump begins), kernels without ORC.
//!
//! Three ways, the surest first:
//! - rbp, in code that keeps a frame pointer: generated code does, other code shows it by its first
//!   instructions;
//! - the stack is searched for the address behind a call to the very function that we are in;
//! - it is searched for an address behind any call.
//!
//! What is found may be left over from an earlier call, so such frames are marked unreliable. From
//! there on the tables may help again.

use super::stack::Stack;
use super::{Frame, FrameKind, Register, Registers};
use crate::debuginfo::Symbols;
use crate::dump::VirtAddr;
use std::ops::Range;

/// How far a stack of unknown bounds goes: the usual `THREAD_SIZE`.
pub(super) const REACH: u64 = 16 << 10;
/// Below is no code of the kernel: from here on lie its image (`__START_KERNEL_map`) and, after it,
/// modules and generated code.
const KERNEL_TEXT: u64 = 0xffff_ffff_8000_0000;

/// How far into a function its frame pointer is set up at the latest.
const PROLOGUE: usize = 24;

/// Whether code of the kernel can lie there.
pub(super) fn may_be_code(at: VirtAddr) -> bool {
    at.0 >= KERNEL_TEXT
}

/// The frame that probably follows.
pub(super) fn next(
    stack: &mut Stack<'_>,
    symbols: &Symbols,
    frame: &Frame,
    task_stack: Option<&Range<VirtAddr>>,
) -> Option<Frame> {
    let end = match task_stack {
        Some(bounds) if bounds.contains(&frame.sp) => bounds.end,
        _ => frame.sp.plus(REACH),
    };
    let function = symbols.resolve(frame.lookup_pc()).filter(|found| found.symbol.is_text());
    let function = function.map(|found| found.symbol.at);
    let by_bp = match function {
        Some(start) if !keeps_frame_pointer(stack, start) => None,
        _ => by_frame_pointer(stack, frame, end),
    };
    let called_at = |stack: &mut Stack<'_>| {
        let start = function?;
        by_scan(stack, frame.sp, end, |_, call| call == Call::To(start))
    };
    let called = |stack: &mut Stack<'_>| {
        by_scan(stack, frame.sp, end, |pc, _| {
            symbols.resolve(pc.minus(1)).is_some_and(|found| found.symbol.is_text())
        })
    };
    by_bp.or_else(|| called_at(stack)).or_else(|| called(stack))
}

/// Whether a function begins with `push %rbp; mov %rsp,%rbp`, after what is there for tracing.
fn keeps_frame_pointer(stack: &mut Stack<'_>, start: VirtAddr) -> bool {
    let mut code = [0; PROLOGUE];
    stack.read(start, &mut code).is_ok()
        && code.windows(4).any(|window| window == [0x55, 0x48, 0x89, 0xe5])
}

fn by_frame_pointer(stack: &mut Stack<'_>, frame: &Frame, end: VirtAddr) -> Option<Frame> {
    let bp = VirtAddr(frame.registers.get(Register::Rbp)?);
    if bp < frame.sp || bp.plus(16) > end || !bp.0.is_multiple_of(8) {
        return None;
    }
    let callers_bp = stack.word(bp).ok()?;
    let pc = VirtAddr(stack.word(bp.plus(8)).ok()?);
    call_before(stack, pc).map(|_| guessed(pc, bp.plus(16), Some(callers_bp)))
}

/// The first word of the stack that is behind a call that `wanted` accepts.
fn by_scan(
    stack: &mut Stack<'_>,
    start: VirtAddr,
    end: VirtAddr,
    wanted: impl Fn(VirtAddr, Call) -> bool,
) -> Option<Frame> {
    let mut slot = VirtAddr(start.0.checked_next_multiple_of(8)?);
    while slot < end {
        let pc = VirtAddr(stack.word(slot).ok()?);
        if call_before(stack, pc).is_some_and(|call| wanted(pc, call)) {
            return Some(guessed(pc, slot.plus(8), None));
        }
        slot = slot.plus(8);
    }
    None
}

fn guessed(pc: VirtAddr, sp: VirtAddr, bp: Option<u64>) -> Frame {
    let mut registers = Registers::default();
    registers.set(Register::Rip, Some(pc.0));
    registers.set(Register::Rsp, Some(sp.0));
    registers.set(Register::Rbp, bp);
    Frame { reliable: false, ..Frame::with(FrameKind::Call, registers, None) }
}

/// What a call instruction calls.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Call {
    /// This address.
    To(VirtAddr),
    /// What a register or memory holds.
    Indirect,
}

/// The call instruction that an address follows: `e8` with a 32-bit distance, or `ff /2` in one of
/// the lengths that its operand gives it.
fn call_before(stack: &mut Stack<'_>, pc: VirtAddr) -> Option<Call> {
    // Most words of a stack are ruled out by this, without a read.
    if pc.0 < KERNEL_TEXT {
        return None;
    }
    let mut code = [0; 7];
    stack.read(pc.minus(7), &mut code).ok()?;
    if let [_, _, 0xe8, distance @ ..] = code {
        let distance = i64::from(i32::from_le_bytes(distance));
        return Some(Call::To(VirtAddr(pc.0.wrapping_add_signed(distance))));
    }
    // The operand's kind (mod and r/m) for each length: [reg], [reg+disp8], [disp32], …
    let indirect = |length: usize| {
        let Some([0xff, operand, ..]) = code.len().checked_sub(length).and_then(|n| code.get(n..))
        else {
            return false;
        };
        let (kind, register, memory) = (operand >> 6, (operand >> 3) & 7, operand & 7);
        register == 2
            && match length {
                2 => kind == 3 || (kind == 0 && memory != 4 && memory != 5),
                3 => (kind == 1 && memory != 4) || (kind == 0 && memory == 4),
                4 => kind == 1 && memory == 4,
                6 => (kind == 2 && memory != 4) || (kind == 0 && memory == 5),
                _ => (kind == 2 || kind == 0) && memory == 4,
            }
    };
    [2, 3, 4, 6, 7].into_iter().any(indirect).then_some(Call::Indirect)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::FlatMemory;

    const CODE: u64 = 0xffff_ffff_8100_0000;

    fn call(code: &[u8]) -> Option<Call> {
        let mut memory = FlatMemory::new();
        memory.put(CODE, &[0x90; 16]).put(CODE + 16, code);
        let end = VirtAddr(CODE + 16 + u64::try_from(code.len()).unwrap());
        call_before(&mut Stack::new(&memory), end)
    }

    fn behind(code: &[u8]) -> bool {
        call(code).is_some()
    }

    #[test]
    fn calls_of_every_form_are_recognised() {
        let near = call(&[0xe8, 0xfb, 0xff, 0xff, 0xff]); // call to itself
        assert_eq!(near, Some(Call::To(VirtAddr(CODE + 16))));
        assert!(behind(&[0xff, 0xd0])); // call *%rax
        assert!(behind(&[0x41, 0xff, 0xd3])); // call *%r11
        assert!(behind(&[0xff, 0x13])); // call *(%rbx)
        assert!(behind(&[0xff, 0x50, 0x18])); // call *0x18(%rax)
        assert!(behind(&[0xff, 0x14, 0xc3])); // call *(%rbx,%rax,8)
        assert!(behind(&[0xff, 0x54, 0x24, 0x08])); // call *8(%rsp)
        assert!(behind(&[0xff, 0x90, 0, 1, 0, 0])); // call *0x100(%rax)
        assert!(behind(&[0xff, 0x15, 0, 1, 0, 0])); // call *0x100(%rip)
        assert!(behind(&[0xff, 0x14, 0xc5, 0, 1, 0, 0])); // call *0x100(,%rax,8)
    }

    #[test]
    fn other_instructions_are_not_calls() {
        assert!(!behind(&[0x90; 8]));
        assert!(!behind(&[0xff, 0xe0])); // jmp *%rax
        assert!(!behind(&[0xe9, 1, 2, 3, 4])); // jmp near
        assert!(!behind(&[0xff, 0x30])); // push (%rax)
        assert_eq!(call_before(&mut Stack::new(&FlatMemory::new()), VirtAddr(CODE)), None);
    }
}
