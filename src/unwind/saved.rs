//! Registers that lie in memory: `struct pt_regs` and `struct inactive_task_frame`.

use super::{Register, Registers};
use crate::debuginfo::Types;

/// Bytes of a `struct pt_regs`.
pub(super) const PT_REGS_SIZE: usize = 21 * 8;

/// The last five words, which the CPU pushes when it takes an interrupt: from `ip` on.
pub(super) const IRET_SIZE: usize = 5 * 8;

/// The words of a `struct pt_regs` (arch/x86/include/asm/ptrace.h; an ABI, so the same always).
const PT_REGS: [Register; 21] = [
    Register::R15,
    Register::R14,
    Register::R13,
    Register::R12,
    Register::Rbp,
    Register::Rbx,
    Register::R11,
    Register::R10,
    Register::R9,
    Register::R8,
    Register::Rax,
    Register::Rcx,
    Register::Rdx,
    Register::Rsi,
    Register::Rdi,
    Register::OrigRax,
    Register::Rip,
    Register::Cs,
    Register::Rflags,
    Register::Rsp,
    Register::Ss,
];

/// The registers of a `struct pt_regs`, or of its last words.
pub(super) fn from_pt_regs(bytes: &[u8]) -> Registers {
    let mut registers = Registers::default();
    let (words, _) = bytes.as_chunks();
    // From the end, so that the last words alone are understood too.
    for (register, word) in PT_REGS.iter().rev().zip(words.iter().rev()) {
        let value = u64::from_le_bytes(*word);
        let value = match register {
            // Only 16 bits are the selector; above, FRED stores what kind of event it was.
            Register::Cs | Register::Ss => value & 0xffff,
            _ => value,
        };
        registers.set(*register, Some(value));
    }
    registers
}

/// Where a task that is not running has its registers, from `thread.sp` on:
/// `struct inactive_task_frame` (arch/x86/include/asm/switch_to.h, since 4.9).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct InactiveTaskFrame {
    /// Register and offset. The return address is rip's.
    members: Vec<(Register, u64)>,
    /// In bytes.
    pub(super) size: u64,
}

impl InactiveTaskFrame {
    const NAMES: [(&'static str, Register); 7] = [
        ("r15", Register::R15),
        ("r14", Register::R14),
        ("r13", Register::R13),
        ("r12", Register::R12),
        ("bx", Register::Rbx),
        ("bp", Register::Rbp),
        ("ret_addr", Register::Rip),
    ];

    /// As the types have it, or as it has mostly been where they do not know it.
    #[must_use]
    pub fn new(types: &Types) -> InactiveTaskFrame {
        InactiveTaskFrame::of(types).unwrap_or_else(|| InactiveTaskFrame {
            members: (0..).map(|n| n * 8).zip(Self::NAMES).map(|(at, (_, r))| (r, at)).collect(),
            size: 7 * 8,
        })
    }

    fn of(types: &Types) -> Option<InactiveTaskFrame> {
        let ty = types.structure("inactive_task_frame").ok()?;
        let offset = |name| ty.offset_of(name).ok();
        // Without these two there is nothing to unwind from.
        offset("bp").and(offset("ret_addr"))?;
        let members =
            Self::NAMES.iter().filter_map(|(name, r)| Some((*r, offset(name)?))).collect();
        Some(InactiveTaskFrame { members, size: ty.size().filter(|size| *size <= 256)? })
    }

    /// The registers in the bytes of one.
    pub(super) fn registers(&self, bytes: &[u8]) -> Registers {
        let mut registers = Registers::default();
        for &(register, offset) in &self.members {
            let word = usize::try_from(offset).ok().and_then(|at| bytes.get(at..)?.first_chunk());
            registers.set(register, word.map(|word| u64::from_le_bytes(*word)));
        }
        registers
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pt_regs_are_read_whole_or_their_end_alone() {
        let bytes: Vec<u8> = (0..21_u64).flat_map(|n| (n | 0xabcd_0000).to_le_bytes()).collect();
        let whole = from_pt_regs(&bytes);
        assert_eq!(whole.get(Register::R15), Some(0xabcd_0000));
        assert_eq!(whole.get(Register::Rbp), Some(0xabcd_0004));
        assert_eq!(whole.get(Register::Rip), Some(0xabcd_0010));
        assert_eq!(whole.get(Register::Cs), Some(0x11));
        let end = from_pt_regs(&bytes[PT_REGS_SIZE - IRET_SIZE..]);
        assert_eq!(end.get(Register::Rip), Some(0xabcd_0010));
        assert_eq!(end.get(Register::Rsp), Some(0xabcd_0013));
        assert_eq!(end.get(Register::Rbp), None);
    }

    #[test]
    fn a_sleeping_task_keeps_what_its_caller_owns() {
        let frame = InactiveTaskFrame::new(&Types::new());
        let bytes: Vec<u8> = (1..=7_u64).flat_map(u64::to_le_bytes).collect();
        let registers = frame.registers(&bytes);
        assert_eq!(registers.get(Register::R15), Some(1));
        assert_eq!(registers.get(Register::Rbp), Some(6));
        assert_eq!(registers.get(Register::Rip), Some(7));
        assert_eq!(registers.get(Register::Rax), None);
    }
}
