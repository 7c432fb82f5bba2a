//! Call frame information: from the registers in a function to those in its caller.
//!
//! A kernel's compiler writes it to `.debug_frame`; some have an `.eh_frame`. Code written in
//! assembly has mostly none.

use super::location::{Activation, Setting};
use super::{Contents, Dwarf, DwarfError, Reader, sections};
use crate::debuginfo::elf::ElfFile;
use crate::dump::VirtAddr;
use gimli::{
    BaseAddresses, CfaRule, CieOrFde, DebugFrame, EhFrame, EndianSlice, LittleEndian, RegisterRule,
    UnwindContext, UnwindSection,
};
use std::sync::OnceLock;

/// The registers that a function gives back as it found them (System V ABI), by DWARF's numbers:
/// rbx, rbp, r12 to r15.
const CALLEE_SAVED: [u16; 6] = [3, 6, 12, 13, 14, 15];
/// rsp
const STACK_POINTER: u16 = 7;
/// Its number for the return address.
const RETURN_ADDRESS: u16 = 16;
/// How far behind the return address a CPU that takes an interrupt pushes the stack pointer.
const STACK_IN_FRAME: i64 = 24;
/// Registers that are told: the general ones and the return address.
const REGISTERS: u16 = 17;
/// Entries of one section; a kernel has some 60,000.
const MAX_ENTRIES: usize = 1 << 22;

/// The sections of call frame information, and where in them which function is.
pub(super) struct Frames {
    debug: Contents,
    eh: Contents,
    /// Where `.eh_frame` was linked to: its pointers are relative to themselves.
    eh_at: u64,
    debug_index: OnceLock<Vec<Described>>,
    eh_index: OnceLock<Vec<Described>>,
}

/// Code that has an entry.
#[derive(Clone, Copy)]
struct Described {
    start: u64,
    end: u64,
    offset: usize,
}

/// What a function's caller had in its registers.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Caller {
    /// The canonical frame address: the caller's stack pointer at the call.
    pub cfa: u64,
    /// The registers that are known, by DWARF's numbers; 16 is the return address.
    pub registers: Vec<(u16, u64)>,
    /// Whether it was interrupted, and did not call.
    pub signal: bool,
    /// Whether there is none: the return address is said to be undefined.
    pub outermost: bool,
    /// Where the CPU pushed what an interrupted caller goes on with: five words from the return
    /// address to SS, its stack pointer the fourth of them.
    pub interrupt_frame: Option<u64>,
}

impl Frames {
    pub(super) fn load(file: &ElfFile) -> Result<Frames, DwarfError> {
        Ok(Frames {
            debug: sections::load(file, ".debug_frame")?,
            eh: sections::load(file, ".eh_frame")?,
            eh_at: file.section(".eh_frame").map_or(0, |section| section.at.0),
            debug_index: OnceLock::new(),
            eh_index: OnceLock::new(),
        })
    }

    fn bases(&self) -> BaseAddresses {
        BaseAddresses::default().set_eh_frame(self.eh_at)
    }
}

impl Dwarf {
    /// The registers of the caller of a frame; `None` where nothing describes its code.
    ///
    /// # Errors
    /// Why it cannot be told, in words.
    pub fn caller(&self, frame: &Activation<'_>) -> Result<Option<Caller>, String> {
        let debug: DebugFrame<_> = EndianSlice::new(&self.frames.debug, LittleEndian).into();
        if let Some(caller) = self.caller_by(&debug, &self.frames.debug_index, frame)? {
            return Ok(Some(caller));
        }
        let eh: EhFrame<_> = EndianSlice::new(&self.frames.eh, LittleEndian).into();
        self.caller_by(&eh, &self.frames.eh_index, frame)
    }

    fn caller_by<'d, S>(
        &self,
        section: &S,
        index: &OnceLock<Vec<Described>>,
        frame: &Activation<'_>,
    ) -> Result<Option<Caller>, String>
    where
        S: UnwindSection<Reader<'d>>,
    {
        let damaged = |error: gimli::Error| format!("damaged call frame information: {error}");
        let at = self.linked(frame.at());
        let bases = self.frames.bases();
        let index = index.get_or_init(|| described(section, &bases));
        let after = index.partition_point(|code| code.start <= at);
        let Some(code) = after.checked_sub(1).and_then(|n| index.get(n)) else { return Ok(None) };
        if at >= code.end {
            return Ok(None);
        }
        let offset = S::Offset::from(code.offset);
        let fde = section.fde_from_offset(&bases, offset, S::cie_from_offset).map_err(damaged)?;
        let mut context = UnwindContext::new();
        let row = fde.unwind_info_for_address(section, &bases, &mut context, at);
        let row = row.map_err(damaged)?;
        let encoding = fde.cie().encoding();
        let cfa = match row.cfa() {
            CfaRule::RegisterAndOffset { register, offset } => {
                let base = frame.register(register.0)?;
                base.wrapping_add_signed(*offset)
            }
            CfaRule::Expression(expression) => {
                let expression = expression.get(section).map_err(damaged)?;
                self.number(expression, Setting::of_frame(encoding, frame, None))?
            }
        };
        let word = |at: u64| frame.word(VirtAddr(at));
        let computed = |expression: gimli::UnwindExpression<usize>| {
            let expression = expression.get(section).map_err(damaged)?;
            self.number(expression, Setting::of_frame(encoding, frame, Some(cfa)))
        };
        let mut registers = Vec::new();
        for number in 0..REGISTERS {
            let value = match row.register(gimli::Register(number)) {
                // What is not said: the ABI says it.
                None if number == STACK_POINTER => Some(cfa),
                None if CALLEE_SAVED.contains(&number) => frame.register(number).ok(),
                None | Some(RegisterRule::Undefined | RegisterRule::Architectural) => None,
                Some(RegisterRule::SameValue) => frame.register(number).ok(),
                Some(RegisterRule::Offset(offset)) => word(cfa.wrapping_add_signed(offset)).ok(),
                Some(RegisterRule::ValOffset(offset)) => Some(cfa.wrapping_add_signed(offset)),
                Some(RegisterRule::Register(other)) => frame.register(other.0).ok(),
                Some(RegisterRule::Expression(at)) => computed(at).and_then(word).ok(),
                Some(RegisterRule::ValExpression(value)) => computed(value).ok(),
                Some(RegisterRule::Constant(value)) => Some(value),
            };
            registers.extend(value.map(|value| (number, value)));
        }
        let signal = fde.is_signal_trampoline();
        let rule = |number| row.register(gimli::Register(number));
        let interrupt_frame = match (rule(RETURN_ADDRESS), rule(STACK_POINTER)) {
            (Some(RegisterRule::Offset(code)), Some(RegisterRule::Offset(stack)))
                if signal && stack.checked_sub(code) == Some(STACK_IN_FRAME) =>
            {
                Some(cfa.wrapping_add_signed(code))
            }
            _ => None,
        };
        let outermost = matches!(rule(RETURN_ADDRESS), Some(RegisterRule::Undefined));
        Ok(Some(Caller { cfa, registers, signal, outermost, interrupt_frame }))
    }
}

/// All code that a section describes, in order.
fn described<'d, S>(section: &S, bases: &BaseAddresses) -> Vec<Described>
where
    S: UnwindSection<Reader<'d>>,
{
    let mut all = Vec::new();
    let mut entries = section.entries(bases);
    while all.len() < MAX_ENTRIES
        && let Ok(Some(entry)) = entries.next()
    {
        let CieOrFde::Fde(partial) = entry else { continue };
        if let Ok(fde) = partial.parse(S::cie_from_offset)
            && fde.initial_address() < fde.end_address()
        {
            all.push(Described {
                start: fde.initial_address(),
                end: fde.end_address(),
                offset: fde.offset(),
            });
        }
    }
    all.sort_by_key(|code| code.start);
    all
}

#[cfg(test)]
mod tests {
    use super::super::location::FrameRegisters;
    use super::super::testing::compile;
    use super::*;
    use crate::memory::FlatMemory;

    const SOURCE: &str = r#"void _start(void) {
	asm volatile(".globl inside\ninside: nop");
}
asm(".text\n.globl bare\nbare: nop\nret");
"#;

    #[test]
    fn a_callers_registers_come_from_the_stack_and_from_what_calls_preserve() {
        let sections = [
            vec!["-g", "-O0", "-fno-omit-frame-pointer"],
            vec!["-g", "-O0", "-fno-omit-frame-pointer", "-fasynchronous-unwind-tables"],
        ];
        for flags in sections {
            let compiled = compile(SOURCE, &flags);
            let mut memory = FlatMemory::new();
            memory.put_u64(0x7000, 0xaaaa).put_u64(0x7008, 0xbbbb);
            let mut values = [None; 17];
            (values[0], values[3], values[6], values[7]) =
                (Some(1), Some(3), Some(0x7000), Some(0x6ff0));
            let caller = |name: &str| {
                let at = compiled.at(name);
                let frames = [FrameRegisters { at, pc: at, values }];
                let dwarf_of = |_| None;
                let frame = Activation::new(&frames, &memory, &dwarf_of).unwrap();
                compiled.dwarf.caller(&frame).unwrap()
            };
            assert_eq!(
                caller("inside"),
                Some(Caller {
                    cfa: 0x7010,
                    // rbx, rbp, rsp and the return address; rax is lost.
                    registers: vec![(3, 3), (6, 0xaaaa), (7, 0x7010), (16, 0xbbbb)],
                    signal: false,
                    outermost: false,
                    interrupt_frame: None,
                }),
                "{flags:?}"
            );
            assert_eq!(caller("bare"), None);
        }
    }
}
