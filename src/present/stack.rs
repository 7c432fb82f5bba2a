//! A backtrace as plain data, and its text as crash prints it.

use super::{Cell, Line, Link, LocalRow, Radix};
use crate::debuginfo::Position;
use crate::dump::VirtAddr;
use crate::kernel::{Session, Task, Unknown};
use crate::memory::VirtualMemory;
use crate::unwind::{End, FrameKind, Register, Registers, Trace};
use std::ops::Range;
use std::sync::Arc;

/// Words of one frame that are printed, and the frames further apart than this lie on different
/// stacks: `THREAD_SIZE` is no larger.
const MAX_WORDS: u64 = 4096;

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
    /// Whether the text has the distance of each frame from the start of its function, and how.
    pub offsets: Option<Radix>,
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
    /// Whether it lies on the task's own stack, not on one for interrupts or exceptions.
    pub on_task_stack: bool,
    /// The words from `sp` up to the return address into the next frame, where they were asked for.
    pub words: Vec<u64>,
    /// The functions, files and lines of it, where they were asked for and there is debug
    /// information: its own last, before it those that were inlined there.
    pub positions: Arc<[Position]>,
    /// The parameters and variables of its functions, where they were asked for.
    pub locals: Vec<LocalRow>,
}

impl StackFrame {
    /// The functions that were inlined at its place, the innermost first.
    pub fn inlined(&self) -> impl Iterator<Item = &Position> {
        self.positions.iter().filter(|position| position.inlined)
    }

    /// Where the frame's own function stands.
    #[must_use]
    pub fn position(&self) -> Option<&Position> {
        self.positions.last().filter(|position| !position.inlined)
    }

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
    /// A trace with names.
    #[must_use]
    pub fn of(session: &Session, task: &Task, trace: &Trace) -> Stack {
        let symbols = session.symbols();
        let own: Option<Range<VirtAddr>> = session.stack(task);
        let mut frames: Vec<StackFrame> = Vec::with_capacity(trace.frames.len());
        for frame in &trace.frames {
            let found =
                symbols.resolve(frame.lookup_pc()).filter(|_| frame.kind != FrameKind::User);
            // The distance is that of the return address, though the name is of the call.
            let offset = |found: &crate::debuginfo::SymbolRef<'_>| {
                frame.pc.offset_from(found.symbol.at).unwrap_or(found.offset)
            };
            let mut registers = match frame.kind {
                FrameKind::Call => Registers::default(),
                _ => frame.registers.clone(),
            };
            // Only an entry into the kernel saves it.
            if frame.pt_regs.is_none() && frame.kind != FrameKind::User {
                registers.set(Register::OrigRax, None);
            }
            frames.push(StackFrame {
                kind: frame.kind,
                pc: frame.pc,
                sp: frame.sp,
                reliable: frame.reliable,
                module: found.and_then(|found| found.symbol.module).map(str::to_owned),
                symbol: found.map(|found| (found.symbol.name.to_owned(), offset(&found))),
                registers,
                on_task_stack: own.as_ref().is_none_or(|own| own.contains(&frame.sp)),
                words: Vec::new(),
                positions: Arc::default(),
                locals: Vec::new(),
            });
        }
        let cut = match &trace.end {
            End::Complete => None,
            End::Cut(reason) => Some(reason.clone()),
        };
        Stack { frames, cut, ..Stack::without_frames(task) }
    }

    fn without_frames(task: &Task) -> Stack {
        let cpu = match &task.cpu {
            Ok(cpu) => Cell::Int((*cpu).into()),
            Err(Unknown(reason)) => Cell::Unknown(reason.clone()),
        };
        let comm = task.comm.clone();
        Stack {
            pid: task.pid,
            task: task.at,
            cpu,
            comm,
            frames: Vec::new(),
            cut: None,
            offsets: None,
        }
    }

    /// The line that crash starts a task with.
    #[must_use]
    pub fn heading_of(task: &Task) -> Line {
        Stack::without_frames(task).heading()
    }

    /// With the words on the stack after each frame, up to the next one. What cannot be read is
    /// left out.
    #[must_use]
    pub fn with_words(mut self, memory: &dyn VirtualMemory) -> Stack {
        let next: Vec<VirtAddr> = self.frames.iter().skip(1).map(|frame| frame.sp).collect();
        for (frame, next) in self.frames.iter_mut().zip(next) {
            let words = next.offset_from(frame.sp).unwrap_or(0) / 8;
            if words > MAX_WORDS {
                continue;
            }
            let len = usize::try_from(words * 8).unwrap_or(0);
            let bytes = memory.read_vec(frame.sp, len).unwrap_or_default();
            let word = |bytes: &[u8]| bytes.first_chunk().map_or(0, |b| u64::from_le_bytes(*b));
            frame.words = bytes.chunks_exact(8).map(word).collect();
        }
        self
    }

    /// With files, lines and inlined functions, where there is debug information.
    #[must_use]
    pub fn with_positions(mut self, session: &Session) -> Stack {
        for frame in &mut self.frames {
            frame.positions = match frame.kind {
                FrameKind::User => continue,
                FrameKind::Call => session.positions(frame.pc.minus(1)),
                _ => session.positions(frame.pc),
            };
        }
        self
    }

    /// With the parameters and variables of each frame of the trace that this is, where there is
    /// debug information.
    #[must_use]
    pub fn with_locals(mut self, session: &Session, trace: Trace) -> Stack {
        let trace = session.with_saved_registers(trace);
        for (number, frame) in self.frames.iter_mut().enumerate() {
            if frame.kind != FrameKind::User {
                frame.locals = LocalRow::of_frame(session, &trace, number).unwrap_or_default();
            }
        }
        self
    }

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
        let mut foreign = false;
        for (index, frame) in self.frames.iter().enumerate() {
            let switched = foreign && frame.on_task_stack;
            if switched {
                let interrupted = |frame: &&StackFrame| frame.kind != FrameKind::Call;
                let name = match self.frames.iter().skip(index).find(interrupted) {
                    Some(StackFrame { kind: FrameKind::Irq, .. }) => "IRQ",
                    Some(StackFrame { kind: FrameKind::Nmi, .. }) => "NMI exception",
                    _ => "exception",
                };
                lines.push(format!("--- <{name} stack> ---").into());
            }
            foreign = !frame.on_task_stack && frame.kind != FrameKind::User;
            match frame.kind {
                FrameKind::Call => {
                    lines.push(frame.call(number, switched, self.offsets));
                    number += 1;
                }
                FrameKind::User => lines.extend(registers(&frame.registers).map(Line::from)),
                FrameKind::Exception | FrameKind::Irq | FrameKind::Nmi => {
                    let text = format!("    [exception RIP: {}]", frame.name("+"));
                    lines.push(Line::to(Link::Code(frame.pc), text));
                    lines.extend(registers(&frame.registers).map(Line::from));
                }
            }
            lines.extend(frame.position_lines());
            lines.extend(frame.word_lines());
        }
        if let Some(reason) = &self.cut {
            lines.push(format!("    (the trace ends here: {reason})").into());
        }
        lines
    }
}

impl StackFrame {
    /// Its file and line, as crash prints them; before it those of inlined functions. Under each
    /// the parameters and variables of that function.
    fn position_lines(&self) -> Vec<Line> {
        let mut lines = Vec::new();
        for (number, position) in self.positions.iter().enumerate() {
            let mut text = format!("    {}", position.file.as_deref().unwrap_or("(unknown file)"));
            if let Some(line) = position.line {
                text += &format!(": {line}");
            }
            if position.inlined {
                text += &format!(" ({}, inlined)", position.function.as_deref().unwrap_or("?"));
            }
            lines.push(Line::to(Link::Code(self.pc), text));
            let its = self.locals.iter().filter(|local| local.position == number);
            lines.extend(its.flat_map(|local| local.lines("        ")));
        }
        lines
    }

    /// Its words, two a line.
    fn word_lines(&self) -> impl Iterator<Item = Line> {
        (0..).zip(self.words.chunks(2)).map(|(index, words)| {
            let at = self.sp.plus(index * 16);
            let words: Vec<String> = words.iter().map(|word| format!("{word:016x}")).collect();
            Line::to(Link::Memory(at), format!("    {at:016x}: {}", words.join(" ")))
        })
    }

    /// `function+12`, or `unknown or invalid address` as crash says.
    fn name(&self, plus: &str) -> String {
        match &self.symbol {
            Some((name, offset)) => format!("{name}{plus}{offset}"),
            None => "unknown or invalid address".to_owned(),
        }
    }

    /// In brackets stands the slot of the return address; where the callee `switched` to another
    /// stack it lies there, and crash prints the stack pointer.
    fn call(&self, number: usize, switched: bool, offsets: Option<Radix>) -> Line {
        let slot = if switched { self.sp } else { self.sp.minus(8) };
        let name = match (&self.symbol, offsets) {
            (None, _) => "(unknown)".to_owned(),
            (Some((name, _)), None) => name.clone(),
            (Some((name, offset)), Some(Radix::Decimal)) => format!("{name}+{offset}"),
            (Some((name, offset)), Some(Radix::Hex)) => format!("{name}+{offset:#x}"),
        };
        let mut text =
            format!("{:>3} [{:016x}] {name} at {:016x}", format!("#{number}"), slot, self.pc);
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
            on_task_stack: true,
            words: Vec::new(),
            positions: Arc::default(),
            locals: Vec::new(),
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
        handler.on_task_stack = false;
        let stack = Stack {
            pid: 142,
            task: VirtAddr(0xffff_88ca_4132_b000),
            cpu: Cell::Int(2),
            comm: "mm-holder".into(),
            frames: vec![handler, irq, user],
            cut: None,
            offsets: None,
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
    #[test]
    fn the_distance_from_the_function_s_start_is_told_where_it_is_asked_for() {
        let frame = frame(FrameKind::Call, 0xffff_ffff_a0e0_6a3d, 0x1008, "__schedule");
        let text = |offsets| frame.call(0, false, offsets).text;
        let line = |name: &str| format!(" #0 [0000000000001000] {name} at ffffffffa0e06a3d");
        assert_eq!(text(None), line("__schedule"));
        assert_eq!(text(Some(Radix::Decimal)), line("__schedule+11"));
        assert_eq!(text(Some(Radix::Hex)), line("__schedule+0xb"));
    }

    #[test]
    fn lines_stand_under_their_frame_and_inlined_functions_before_it() {
        let position = |function: &str, inlined, line| Position {
            function: Some(function.into()),
            inlined,
            file: Some("kernel/sched/core.c".into()),
            line: Some(line),
        };
        let mut frame = frame(FrameKind::Call, 0xffff_ffff_a0e0_6a3d, 0x1008, "__schedule");
        frame.positions =
            [position("context_switch", true, 5245), position("__schedule", false, 6562)].into();
        let text: Vec<String> = frame.position_lines().into_iter().map(|line| line.text).collect();
        assert_eq!(
            text,
            [
                "    kernel/sched/core.c: 5245 (context_switch, inlined)",
                "    kernel/sched/core.c: 6562",
            ]
        );
        assert_eq!(frame.inlined().count(), 1);
        assert_eq!(frame.position().and_then(|position| position.line), Some(6562));
    }
}
