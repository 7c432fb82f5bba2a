//! Machine code as it lies in the dump: with alternatives, jump labels, ftrace and live patches
//! as they were when the machine stopped, which no file on disk has.

use super::{Known, Session, Unknown};
use crate::dump::{Fault, PAGE_SIZE, VirtAddr};
use crate::memory::VirtualMemory;
use crate::unwind::flow::{FUNCTION_LIMIT, decode};
use iced_x86::{FlowControl, Instruction, Mnemonic};
use std::ops::Range;

/// Bytes of the longest instruction.
const LONGEST: usize = 15;
/// A return that was a jump to a return thunk takes as many bytes as that jump did.
const RETURN_JUMP: u64 = 5;

/// A stretch of machine code.
#[derive(Clone, PartialEq, Debug)]
pub struct Code {
    at: VirtAddr,
    bytes: Vec<u8>,
    instructions: Vec<Instruction>,
    /// Why there is no more of it, when it ends before its time.
    pub cut: Option<Fault>,
}

impl Code {
    /// The code in `bytes`, which lie at `at`.
    #[must_use]
    pub fn decode(at: VirtAddr, bytes: Vec<u8>) -> Code {
        let instructions = decode(&bytes, at);
        Code { at, bytes, instructions, cut: None }
    }

    /// The code from `at` up to `end`, at most 256 KiB of it.
    ///
    /// # Errors
    /// The [`Fault`] when not even the first page of it can be read.
    pub fn between(memory: &dyn VirtualMemory, at: VirtAddr, end: VirtAddr) -> Result<Code, Fault> {
        let len = usize::try_from(end.offset_from(at).unwrap_or(0)).unwrap_or(usize::MAX);
        let (bytes, cut) = read(memory, at, len.min(FUNCTION_LIMIT))?;
        Ok(Code { cut, ..Code::decode(at, bytes) })
    }

    /// `count` instructions from `at` on.
    ///
    /// # Errors
    /// The [`Fault`] when the first of them cannot be read.
    pub fn some(memory: &dyn VirtualMemory, at: VirtAddr, count: usize) -> Result<Code, Fault> {
        let wanted = count.saturating_mul(LONGEST).min(FUNCTION_LIMIT);
        let (bytes, cut) = read(memory, at, wanted)?;
        let mut code = Code { cut, ..Code::decode(at, bytes) };
        if code.instructions.len() > count {
            code.instructions.truncate(count);
            code.cut = None;
        }
        Ok(code)
    }

    /// The instructions, in order of their addresses. What is none is invalid.
    #[must_use]
    pub fn instructions(&self) -> &[Instruction] {
        &self.instructions
    }

    /// The bytes of one of the instructions.
    #[must_use]
    pub fn bytes_of(&self, instruction: &Instruction) -> &[u8] {
        let start = VirtAddr(instruction.ip()).offset_from(self.at);
        let start = start.and_then(|start| usize::try_from(start).ok()).unwrap_or(usize::MAX);
        self.bytes.get(start..start.saturating_add(instruction.len())).unwrap_or_default()
    }

    /// The position of the instruction that covers an address.
    #[must_use]
    pub fn position(&self, at: VirtAddr) -> Option<usize> {
        let after = self.instructions.partition_point(|instruction| instruction.ip() <= at.0);
        let position = after.checked_sub(1)?;
        (at.0 < self.instructions.get(position)?.next_ip()).then_some(position)
    }

    /// Only the instructions at these positions.
    #[must_use]
    pub fn only(mut self, positions: Range<usize>) -> Code {
        self.cut = self.cut.filter(|_| positions.end >= self.instructions.len());
        self.instructions =
            self.instructions.get(positions).map(<[Instruction]>::to_vec).unwrap_or_default();
        self
    }

    /// Without what fills the space up to the next function: it is never run. Behind a return
    /// stays what may be the rest of a jump to a return thunk.
    fn without_padding(mut self) -> Code {
        let fills = |instruction: &Instruction| {
            instruction.mnemonic() == Mnemonic::Int3 || instruction.mnemonic() == Mnemonic::Nop
        };
        let last = self.instructions.iter().rposition(|instruction| !fills(instruction));
        if self.cut.is_none()
            && let Some(last) = last
            && let Some(end) = self.instructions.get(last)
        {
            let kept = match end.flow_control() {
                FlowControl::Return => end.ip().saturating_add(RETURN_JUMP),
                _ => end.next_ip(),
            };
            let rest = self.instructions.iter().skip(last + 1);
            let rest = rest.take_while(|i| i.mnemonic() == Mnemonic::Int3 && i.ip() < kept).count();
            self.instructions.truncate(last + 1 + rest);
        }
        self
    }
}

impl Session {
    /// The function that covers `at`, from its symbol to the next one.
    ///
    /// # Errors
    /// [`Unknown`] when no symbol of code covers it, or its code cannot be read.
    pub fn function(&self, at: VirtAddr) -> Known<Code> {
        let bounds = self.symbols().bounds(at);
        let (start, end) =
            bounds.ok_or_else(|| Unknown::because(format!("no symbol covers {at}")))?;
        Ok(Code::between(self.memory(), start, end)?.without_padding())
    }
}

/// As much as can be read, page by page, and why no more.
fn read(
    memory: &dyn VirtualMemory,
    at: VirtAddr,
    len: usize,
) -> Result<(Vec<u8>, Option<Fault>), Fault> {
    let mut bytes = Vec::new();
    while bytes.len() < len {
        let at = at.plus(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
        let room = usize::try_from(PAGE_SIZE - at.in_page()).unwrap_or(1);
        match memory.read_vec(at, room.min(len - bytes.len())) {
            Ok(more) => bytes.extend(more),
            Err(fault) if bytes.is_empty() => return Err(fault),
            Err(fault) => return Ok((bytes, Some(fault))),
        }
    }
    Ok((bytes, None))
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT: VirtAddr = VirtAddr(0xffff_ffff_8100_0ff0);

    /// Memory that ends with its page.
    struct Page(Vec<u8>);

    impl VirtualMemory for Page {
        fn read(&self, at: VirtAddr, buf: &mut [u8]) -> Result<(), Fault> {
            let start = usize::try_from(at.0 - AT.0).unwrap();
            let bytes = self.0.get(start..start + buf.len());
            let missing =
                || Fault { at: crate::dump::At::Virt(at), why: crate::dump::Why::Excluded };
            buf.copy_from_slice(bytes.ok_or_else(missing)?);
            Ok(())
        }
    }

    #[test]
    fn code_is_cut_where_memory_ends_and_says_so() {
        // push %rbx; 13 nops; the first two bytes of a call.
        let mut bytes = vec![0x53];
        bytes.extend([0x90; 13]);
        bytes.extend([0xe8, 0x00]);
        let page = Page(bytes);
        let code = Code::between(&page, AT, AT.plus(64)).unwrap();
        assert_eq!(code.instructions().len(), 15);
        assert!(code.instructions()[14].is_invalid());
        assert!(code.cut.is_some());
        let code = Code::some(&page, AT, 2).unwrap();
        assert_eq!((code.instructions().len(), &code.cut), (2, &None));
        assert_eq!(code.bytes_of(&code.instructions()[0]), [0x53]);
        assert!(Code::between(&page, AT.plus(16), AT.plus(64)).is_err());
    }

    #[test]
    fn padding_behind_a_function_is_none_of_it() {
        let function = |bytes: &[u8]| Code::decode(AT, bytes.to_vec()).without_padding();
        // A return that was a jump, and three bytes more up to the next function.
        let code = function(&[0x5b, 0xc3, 0xcc, 0xcc, 0xcc, 0xcc, 0xcc, 0xcc, 0xcc]);
        assert_eq!(code.instructions().len(), 6);
        // A jump, and nops.
        let code = function(&[0xeb, 0xfe, 0x66, 0x90, 0x90]);
        assert_eq!(code.instructions().len(), 1);
        // Nothing but nops is still what lies there.
        assert_eq!(function(&[0x90, 0x90]).instructions().len(), 2);
    }

    #[test]
    fn an_address_inside_an_instruction_belongs_to_it() {
        let code = Code::decode(AT, vec![0x53, 0xe8, 0, 0, 0, 0, 0xc3]);
        let positions = [0, 1, 5, 6, 7].map(|n| code.position(AT.plus(n)));
        assert_eq!(positions, [Some(0), Some(1), Some(1), Some(2), None]);
        assert_eq!(code.position(AT.minus(1)), None);
        assert_eq!(code.only(1..2).instructions().len(), 1);
    }
}
