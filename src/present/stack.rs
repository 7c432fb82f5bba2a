//! A backtrace as plain data, and its text as crash prints it.

use super::{Cell, Line, Link};
use crate::dump::VirtAddr;
use crate::unwind::{FrameKind, Register, Registers};

/// The backtrace of one task.
#[derive(Clone, PartialEq, Debug)]
pub struct Stack {
    /// Its number.
    pub pid: u32,
    /// Its `task_struct`.
    pub task: VirtAddr,
    /// The CPU that it runs on or last ran on.
    pub cpu: Cell,
    /// Its name, scrubbed.
    pub comm: Box<str>,
    /// Innermost first.
    pub frames: Vec<StackFrame>,
    /// Why the trace stopped early; `None` for a complete one.
    pub cut: Option<String>,
}

/// One frame with its name.
#[derive(Clone, PartialEq, Debug)]
pub struct StackFrame {
    /// How it came to be on the stack.
    pub kind: FrameKind,
    /// The return address into it, or the interrupted instruction.
    pub pc: VirtAddr,
    /// The stack pointer in it.
    pub sp: VirtAddr,
    /// Whether unwind information led here.
    pub reliable: bool,
    /// The function and the distance from its start.
    pub symbol: Option<(String, u64)>,
    /// The module that the function is of.
    pub module: Option<String>,
    /// The registers of a frame that was interrupted.
    pub registers: Registers,
    /// Which stack it lies on.
    pub stack: Option<&'static str>,
}

impl StackFrame {
    /// Its name in JSON.
    #[must_use]
    pub const fn kind_name(&self) -> &'static str {
        match self.kind {
            FrameKind::Call => "call",
            FrameKind::Exception => "exception",
            FrameKind::Irq => "irq",
            FrameKind::Nmi => "nmi",
            FrameKind::User => "user",
        }
    }
}

impl Stack {
    /// The line that crash starts a task with.
    #[must_use]
    pub fn heading(&self) -> Line {
        let Stack { pid, task, comm, .. } = self;
        let cpu = self.cpu.to_string();
        let text = format!("PID: {pid:<7}  TASK: {task:016x}  CPU: {cpu:<3}  COMMAND: \"{comm}\"");
        Line::to(Link::Task(*task), text)
    }

    /// The text of the frames, without the heading.
    pub fn lines(&self) -> Vec<Line> {
        let mut lines = Vec::with_capacity(self.frames.len() + 2);
        let mut number = 0;
        let mut on = self.frames.first().and_then(|frame| frame.stack);
        for frame in &self.frames {
            if frame.stack != on && frame.kind != FrameKind::User {
                if let Some(left) = on.filter(|name| *name != "task") {
                    lines.push(format!("--- <{left} stack> ---").into());
                }
                on = frame.stack;
            }
            match frame.kind {
                FrameKind::Call => {
                    lines.push(frame.call(number));
                    number += 1;
                }
                FrameKind::User => lines.extend(registers(&frame.registers).map(Line::from)),
                FrameKind::Exception | FrameKind::Irq | FrameKind::Nmi => {
                    let text = format!("    [exception RIP: {}]", frame.name("+"));
                    lines.push(Line::to(Link::Code(frame.pc), text));
                    lines.extend(registers(&frame.registers).map(Line::from));
                }
            }
        }
        if let Some(reason) = &self.cut {
            lines.push(format!("    (the trace ends here: {reason})").into());
        }
        lines
    }
}

impl StackFrame {
    /// `function+12`, or `unknown or invalid address` as crash says.
    fn name(&self, plus: &str) -> String {
        match &self.symbol {
            Some((name, offset)) => format!("{name}{plus}{offset}"),
            None => "unknown or invalid address".to_owned(),
        }
    }

    fn call(&self, number: usize) -> Line {
        let name = self.symbol.as_ref().map_or("(unknown)", |(name, _)| name);
        let mut text = format!(
            "{:>3} [{:016x}] {name} at {:016x}",
            format!("#{number}"),
            self.sp.minus(8),
            self.pc
        );
        if let Some(module) = &self.module {
            text += &format!(" [{module}]");
        }
        if !self.reliable {
            text.push_str(" ?");
        }
        Line::to(Link::Code(self.pc), text)
    }
}

/// Register dumps, three a line, as crash lays them out. Registers that are not known are left out.
fn registers(registers: &Registers) -> impl Iterator<Item = String> {
    use Register::{
        Cs, OrigRax, R8, R9, R10, R11, R12, R13, R14, R15, Rax, Rbp, Rbx, Rcx, Rdi, Rdx, Rflags,
        Rip, Rsi, Rsp, Ss,
    };
    const LINES: [&[Register]; 7] = [
        &[Rip, Rsp, Rflags],
        &[Rax, Rbx, Rcx],
        &[Rdx, Rsi, Rdi],
        &[Rbp, R8, R9],
        &[R10, R11, R12],
        &[R13, R14, R15],
        &[OrigRax, Cs, Ss],
    ];
    LINES.into_iter().filter_map(|line| {
        let mut text = String::new();
        for (column, register) in line.iter().enumerate() {
            let Some(value) = registers.get(*register) else { continue };
            let name = register.name();
            // Names are right-aligned in their column; the first one stands at the margin.
            let gap = match (text.is_empty(), column) {
                (true, _) => "    ",
                (false, _) if name.len() == 2 && name.starts_with('R') => "   ",
                (false, _) => "  ",
            };
            let digits = match register {
                Cs | Ss => 4,
                Rflags => 8,
                _ => 16,
            };
            text += &format!("{gap}{name}: {value:0digits$x}");
        }
        (!text.is_empty()).then_some(text)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(kind: FrameKind, pc: u64, sp: u64, name: &str) -> StackFrame {
        StackFrame {
            kind,
            pc: VirtAddr(pc),
            sp: VirtAddr(sp),
            reliable: true,
            symbol: Some((name.to_owned(), 11)),
            module: None,
            registers: Registers::default(),
            stack: Some("task"),
        }
    }

    #[test]
    fn a_backtrace_reads_as_crash_prints_it() {
        let mut user = frame(FrameKind::User, 0x43f027, 0x7f46_6282_d040, "");
        for (register, value) in [
            (Register::Rip, 0x43f027),
            (Register::Rsp, 0x7f46_6282_d040),
            (Register::Rflags, 0x293),
            (Register::Rbp, 0),
            (Register::R8, 0),
            (Register::R9, 0),
            (Register::OrigRax, 0x12),
            (Register::Cs, 0x33),
            (Register::Ss, 0x2b),
        ] {
            user.registers.set(register, Some(value));
        }
        let mut irq = frame(FrameKind::Irq, 0xffff_ffff_97c0_dfeb, 0xffff_ffff_98c0_3e90, "halt");
        irq.registers.set(Register::Rip, Some(irq.pc.0));
        let mut handler = frame(
            FrameKind::Call,
            0xffff_ffff_97bf_c2e1,
            0xffff_d082_c000_3ff8,
            "sysvec_apic_timer_interrupt",
        );
        handler.stack = Some("IRQ");
        let stack = Stack {
            pid: 142,
            task: VirtAddr(0xffff_88ca_4132_b000),
            cpu: Cell::Int(2),
            comm: "mm-holder".into(),
            frames: vec![handler, irq, user],
            cut: None,
        };
        assert_eq!(
            stack.heading().text,
            "PID: 142      TASK: ffff88ca4132b000  CPU: 2    COMMAND: \"mm-holder\""
        );
        let text: Vec<String> = stack.lines().into_iter().map(|line| line.text).collect();
        assert_eq!(
            text,
            [
                " #0 [ffffd082c0003ff0] sysvec_apic_timer_interrupt at ffffffff97bfc2e1",
                "--- <IRQ stack> ---",
                "    [exception RIP: halt+11]",
                "    RIP: ffffffff97c0dfeb",
                "    RIP: 000000000043f027  RSP: 00007f466282d040  RFLAGS: 00000293",
                "    RBP: 0000000000000000   R8: 0000000000000000   R9: 0000000000000000",
                "    ORIG_RAX: 0000000000000012  CS: 0033  SS: 002b",
            ]
        );
    }
}
