//! Registers that lie in memory: `struct pt_regs` and `struct inactive_task_frame`.

use super::{Register, Registers};
use crate::debuginfo::{Symbols, Types};
use crate::dump::VirtAddr;
use crate::memory::VirtualMemory;

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

/// Code of `schedule` that is searched, in bytes: it has some 3,000.
const MAX_CODE: u64 = 16 << 10;

/// Where a task that is not running has its registers, from `thread.sp` on:
/// `struct inactive_task_frame` (arch/x86/include/asm/switch_to.h, since 4.9).
///
/// Before that `switch_to()` was a part of `schedule()`, which has pushed the flags and rbp (so rbp
/// lies at `thread.sp`), and goes on behind its call of `__switch_to`. Up to 2.6.3x this place has
/// a name, `thread_return`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct InactiveTaskFrame {
    /// Register and offset. The return address is rip's.
    members: Vec<(Register, u64)>,
    /// In bytes.
    pub(super) size: u64,
    /// Where every task goes on, in kernels in which that is the same for all.
    pub(super) goes_on: Option<VirtAddr>,
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

    /// As this kernel has it, or as it has mostly been where neither types nor code tell.
    #[must_use]
    pub fn find(types: &Types, symbols: &Symbols, memory: &dyn VirtualMemory) -> InactiveTaskFrame {
        InactiveTaskFrame::of(types)
            .or_else(|| InactiveTaskFrame::within_schedule(symbols, memory))
            .unwrap_or_else(InactiveTaskFrame::usual)
    }

    pub(super) fn usual() -> InactiveTaskFrame {
        InactiveTaskFrame {
            members: (0..).map(|n| n * 8).zip(Self::NAMES).map(|(at, (_, r))| (r, at)).collect(),
            size: 7 * 8,
            goes_on: None,
        }
    }

    fn within_schedule(symbols: &Symbols, memory: &dyn VirtualMemory) -> Option<InactiveTaskFrame> {
        let behind_call = || {
            let target = symbols.address("__switch_to")?;
            let functions = ["__schedule", "schedule", "context_switch"];
            functions.iter().find_map(|name| {
                let start = symbols.address(name)?;
                let end = symbols.tables().next()?.end_of(start)?;
                let len = end.offset_from(start)?.min(MAX_CODE);
                let code = memory.read_vec(start, usize::try_from(len).ok()?).ok()?;
                let ends =
                    code.windows(5).zip(5u64..).filter(|(window, _)| window.first() == Some(&0xe8));
                ends.map(|(window, end)| (window, start.plus(end))).find_map(|(window, next)| {
                    let distance = i32::from_le_bytes(*window.last_chunk()?);
                    let to = next.0.wrapping_add_signed(i64::from(distance));
                    (to == target.0).then_some(next)
                })
            })
        };
        let goes_on = symbols.address("thread_return").or_else(behind_call)?;
        Some(InactiveTaskFrame {
            members: vec![(Register::Rbp, 0)],
            size: 8,
            goes_on: Some(goes_on),
        })
    }

    fn of(types: &Types) -> Option<InactiveTaskFrame> {
        let ty = types.structure("inactive_task_frame").ok()?;
        let offset = |name| ty.offset_of(name).ok();
        // Without these two there is nothing to unwind from.
        offset("bp").and(offset("ret_addr"))?;
        let members =
            Self::NAMES.iter().filter_map(|(name, r)| Some((*r, offset(name)?))).collect();
        let size = ty.size().filter(|size| *size <= 256)?;
        Some(InactiveTaskFrame { members, size, goes_on: None })
    }

    /// The registers in the bytes of one.
    pub(super) fn registers(&self, bytes: &[u8]) -> Registers {
        let mut registers = Registers::default();
        for &(register, offset) in &self.members {
            let word = usize::try_from(offset).ok().and_then(|at| bytes.get(at..)?.first_chunk());
            registers.set(register, word.map(|word| u64::from_le_bytes(*word)));
        }
        if let Some(goes_on) = self.goes_on {
            registers.set(Register::Rip, Some(goes_on.0));
        }
        registers
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::debuginfo::SymbolTable;
    use crate::memory::FlatMemory;

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
        let frame = InactiveTaskFrame::usual();
        let bytes: Vec<u8> = (1..=7_u64).flat_map(u64::to_le_bytes).collect();
        let registers = frame.registers(&bytes);
        assert_eq!(registers.get(Register::R15), Some(1));
        assert_eq!(registers.get(Register::Rbp), Some(6));
        assert_eq!(registers.get(Register::Rip), Some(7));
        assert_eq!(registers.get(Register::Rax), None);
    }

    #[test]
    fn before_4_9_every_task_goes_on_behind_the_call_of_switch_to() {
        const START: u64 = 0xffff_ffff_8100_0000;
        let mut memory = FlatMemory::new();
        // nop; call START + 0x100; nops
        memory.put(START, &[0x90; 0x100]).put(START + 1, &[0xe8, 0xfa, 0, 0, 0]);
        let symbols = |extra: &[(&str, u64)]| {
            let mut table = SymbolTable::new(None);
            for (name, at) in [("__schedule", 0), ("__switch_to", 0x100)].iter().chain(extra) {
                table.push(name, VirtAddr(START + at), 'T');
            }
            Symbols::new(table.finish(VirtAddr(START + 0x200)), Vec::new())
        };
        let found = InactiveTaskFrame::find(&Types::new(), &symbols(&[]), &memory);
        let registers = found.registers(&0x1234_u64.to_le_bytes());
        assert_eq!(registers.get(Register::Rip), Some(START + 6));
        assert_eq!(registers.get(Register::Rbp), Some(0x1234));
        assert_eq!(registers.get(Register::Rbx), None);
        // Where the place has a name, that decides.
        let named = symbols(&[("thread_return", 0x40)]);
        let found = InactiveTaskFrame::find(&Types::new(), &named, &memory);
        assert_eq!(found.goes_on, Some(VirtAddr(START + 0x40)));
        let other = Symbols::default();
        let found = InactiveTaskFrame::find(&Types::new(), &other, &memory);
        assert_eq!(found, InactiveTaskFrame::usual());
    }
}
