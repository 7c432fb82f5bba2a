//! DWARF's call frame information, as a second unwinder.
//!
//! Where a kernel has ORC, ORC leads: it knows assembly code and where interrupts were taken. Of the
//! registers it restores rbp alone; call frame information restores all that a function saves, so a
//! trace is completed with them where both agree on the stack pointer. On kernels without ORC
//! it is what traces are made by.

use super::{Frame, FrameKind, Register, Trace};
use crate::debuginfo::{Activation, Caller, DwarfOf, FrameRegisters};
use crate::dump::VirtAddr;
use crate::memory::VirtualMemory;

impl Frame {
    /// As expressions of the debug information see it.
    #[must_use]
    pub fn activation(&self) -> FrameRegisters {
        let mut values = [None; 17];
        for (value, register) in values.iter_mut().zip(Register::ALL) {
            *value = self.registers.get(register);
        }
        FrameRegisters { at: self.lookup_pc(), pc: self.pc, values }
    }
}

/// The registers of a frame's caller; `None` where nothing describes its code. `at` is the address
/// to look up.
pub(super) fn caller(
    frame: &Frame,
    at: VirtAddr,
    dwarf_of: &DwarfOf<'_>,
    memory: &dyn VirtualMemory,
) -> Result<Option<Caller>, String> {
    let Some(dwarf) = dwarf_of(at) else { return Ok(None) };
    let frames = [FrameRegisters { at, ..frame.activation() }];
    let dwarf_of: &DwarfOf<'_> = &|at| dwarf_of(at);
    match Activation::new(&frames, memory, dwarf_of) {
        Some(activation) => dwarf.caller(&activation),
        None => Ok(None),
    }
}

impl Trace {
    /// With the registers in each frame that its callees saved, as far as debug information tells.
    #[must_use]
    pub fn with_saved_registers(
        mut self,
        dwarf_of: &DwarfOf<'_>,
        memory: &dyn VirtualMemory,
    ) -> Trace {
        let mut frames = self.frames.iter_mut();
        let Some(mut inner) = frames.next() else { return self };
        for outer in frames {
            if outer.kind == FrameKind::Call
                && let Ok(Some(caller)) = caller(inner, inner.lookup_pc(), dwarf_of, memory)
                // Another opinion of where the frame lies would have other registers.
                && caller.cfa == outer.sp.0
            {
                for (number, value) in caller.registers {
                    let register = Register::ALL.get(usize::from(number)).copied();
                    let Some(register) = register else { continue };
                    if outer.registers.get(register).is_none() {
                        outer.registers.set(register, Some(value));
                    }
                }
            }
            inner = outer;
        }
        self
    }
}
