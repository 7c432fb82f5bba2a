//! Where no unwind table helps: generated code (BPF, trampolines), kernels without ORC.
//!
//! First rbp: generated code keeps frame pointers. Then the words of the stack: the next that points
//! behind a call instruction into known code is taken for the return address. It may be one left
//! over from an earlier call, so such frames are marked unreliable; from there on the tables may
//! help again.

use super::stack::Stack;
use super::{Frame, FrameKind, Register, Registers};
use crate::debuginfo::Symbols;
use crate::dump::VirtAddr;
use std::ops::Range;

/// How much of a stack of unknown bounds is searched: the usual `THREAD_SIZE`.
const REACH: u64 = 16 << 10;
/// The kernel's half of the addresses.
const KERNEL: u64 = 0xff00_0000_0000_0000;

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
    by_frame_pointer(stack, frame, end).or_else(|| by_scan(stack, symbols, frame.sp, end))
}

fn by_frame_pointer(stack: &mut Stack<'_>, frame: &Frame, end: VirtAddr) -> Option<Frame> {
    let bp = VirtAddr(frame.registers.get(Register::Rbp)?);
    if bp < frame.sp || bp.plus(16) > end || !bp.0.is_multiple_of(8) {
        return None;
    }
    let callers_bp = stack.word(bp).ok()?;
    let pc = VirtAddr(stack.word(bp.plus(8)).ok()?);
    follows_call(stack, pc).then(|| guessed(pc, bp.plus(16), Some(callers_bp)))
}

fn by_scan(
    stack: &mut Stack<'_>,
    symbols: &Symbols,
    start: VirtAddr,
    end: VirtAddr,
) -> Option<Frame> {
    let mut slot = VirtAddr(start.0.checked_next_multiple_of(8)?);
    while slot < end {
        let pc = VirtAddr(stack.word(slot).ok()?);
        let is_text = pc.0 >= KERNEL
            && symbols.resolve(pc.minus(1)).is_some_and(|found| found.symbol.is_text());
        if is_text && follows_call(stack, pc) {
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

/// Whether the instruction before an address is a call: `e8` with a 32-bit distance, or `ff /2` in
/// one of the lengths that a register or memory operand gives it.
fn follows_call(stack: &mut Stack<'_>, pc: VirtAddr) -> bool {
    let mut code = [0; 7];
    if pc.0 < KERNEL || stack.read(pc.minus(7), &mut code).is_err() {
        return false;
    }
    let [_, _, near, ..] = code;
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
    near == 0xe8 || [2, 3, 4, 6, 7].into_iter().any(indirect)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::FlatMemory;

    const CODE: u64 = 0xffff_ffff_8100_0000;

    fn behind(code: &[u8]) -> bool {
        let mut memory = FlatMemory::new();
        memory.put(CODE, &[0x90; 16]).put(CODE + 16, code);
        let end = VirtAddr(CODE + 16 + u64::try_from(code.len()).unwrap());
        follows_call(&mut Stack::new(&memory), end)
    }

    #[test]
    fn calls_of_every_form_are_recognised() {
        assert!(behind(&[0xe8, 1, 2, 3, 4])); // call near
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
        assert!(!follows_call(&mut Stack::new(&FlatMemory::new()), VirtAddr(CODE)));
    }
}
