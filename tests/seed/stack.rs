//! Kernel stacks, made by running the prologues of the functions that are on them.

use super::kernel::{Kernel, Step};
use super::memory::Memory;
use iced_x86::Register::{self, R12, R13, R14, R15, RBP, RBX, RSP};

/// `THREAD_SIZE` of 2.6.32.
pub(crate) const STACK: u64 = 8192;
/// Of a process in user mode.
pub(crate) const USER_CS: u64 = 0x33;
pub(crate) const USER_SS: u64 = 0x2b;

/// The order of `struct pt_regs`.
const PT_REGS: [Register; 15] = [
    R15,
    R14,
    R13,
    R12,
    RBP,
    RBX,
    Register::R11,
    Register::R10,
    Register::R9,
    Register::R8,
    Register::RAX,
    Register::RCX,
    Register::RDX,
    Register::RSI,
    Register::RDI,
];

/// The registers of a CPU that runs kernel code, and where it is.
#[derive(Clone)]
pub(crate) struct Run<'k> {
    kernel: &'k Kernel,
    /// By `Register::number()`.
    registers: [u64; 16],
    pub(crate) rip: u64,
    pub(crate) rflags: u64,
    pub(crate) cs: u64,
    pub(crate) ss: u64,
    function: &'static str,
}

impl<'k> Run<'k> {
    /// In a process, just before it enters the kernel.
    pub(crate) fn user(kernel: &'k Kernel, rip: u64, rsp: u64, rflags: u64) -> Run<'k> {
        let mut run =
            Run { kernel, registers: [0; 16], rip, rflags, cs: USER_CS, ss: USER_SS, function: "" };
        run.set(RSP, rsp);
        run
    }

    /// A kernel thread or an idle task, at the top of its stack.
    pub(crate) fn kernel(kernel: &'k Kernel, top: u64, function: &'static str) -> Run<'k> {
        let mut run =
            Run { kernel, registers: [0; 16], rip: 0, rflags: 0x246, cs: 0x10, ss: 0x18, function };
        run.set(RSP, top);
        run
    }

    pub(crate) fn set(&mut self, register: Register, value: u64) {
        self.registers[register.number()] = value;
    }

    pub(crate) fn get(&self, register: Register) -> u64 {
        self.registers[register.number()]
    }

    fn push(&mut self, memory: &mut Memory, value: u64) {
        let sp = self.get(RSP) - 8;
        memory.put64(sp, value);
        self.set(RSP, sp);
    }

    /// SYSCALL: the kernel's stack, whose top is `top`, gets what `system_call` saves there.
    pub(crate) fn system_call(&mut self, memory: &mut Memory, top: u64, number: u64) {
        let (rip, rsp, rflags) = (self.rip, self.get(RSP), self.rflags);
        self.set(Register::RCX, rip);
        self.set(Register::R11, rflags);
        self.set(Register::RAX, number);
        self.set(RSP, top);
        for word in [self.ss, rsp, rflags, self.cs, rip, number] {
            self.push(memory, word);
        }
        for register in PT_REGS[6..].iter().rev() {
            self.push(memory, self.get(*register));
        }
        self.function = "system_call";
    }

    /// An exception or interrupt through the entry of that name, on the stack whose top is `top`.
    pub(crate) fn exception(
        &mut self,
        memory: &mut Memory,
        top: u64,
        entry: &'static str,
        error: u64,
    ) {
        let rsp = self.get(RSP);
        self.set(RSP, top);
        for word in [self.ss, rsp, self.rflags, self.cs, self.rip, error] {
            self.push(memory, word);
        }
        for register in PT_REGS.iter().rev() {
            self.push(memory, self.get(*register));
        }
        (self.cs, self.ss) = (0x10, 0x18);
        self.function = entry;
    }

    /// Calls a function and makes its frame.
    pub(crate) fn call(&mut self, memory: &mut Memory, callee: &'static str) -> &mut Run<'k> {
        let back = self.kernel.return_address(self.function, callee);
        self.push(memory, back);
        self.enter(memory, callee);
        self
    }

    /// The prologue alone: of a first function, which nobody called.
    pub(crate) fn enter(&mut self, memory: &mut Memory, function: &'static str) {
        for step in self.kernel.prologue(function) {
            match step {
                Step::Push(register) => self.push(memory, self.get(register)),
                Step::Frame => self.set(RBP, self.get(RSP)),
                Step::Room(bytes) => self.set(RSP, self.get(RSP) - bytes),
            }
        }
        self.function = function;
    }

    pub(crate) fn calls(&mut self, memory: &mut Memory, callees: &[&'static str]) -> &mut Run<'k> {
        for callee in callees {
            self.call(memory, callee);
        }
        self
    }

    /// A local variable of the current function.
    pub(crate) fn local(&self, memory: &mut Memory, below_rbp: u64, value: u64) {
        memory.put64(self.get(RBP) - below_rbp, value);
    }

    /// Stops at an instruction of the current function.
    pub(crate) fn at(&mut self, rip: u64) {
        self.rip = rip;
    }

    /// `schedule` and the switch to another task; gives `thread.sp`.
    pub(crate) fn sleep(&mut self, memory: &mut Memory) -> u64 {
        self.call(memory, "schedule");
        self.push(memory, 0x246);
        self.push(memory, self.get(RBP));
        // The call of __switch_to, on this stack when it is this task's turn again.
        self.get(RSP)
    }

    /// `struct elf_prstatus` of a CPU in this state.
    pub(crate) fn prstatus(&self, pid: u32) -> Vec<u8> {
        let mut data = vec![0; 336];
        data[32..36].copy_from_slice(&pid.to_le_bytes());
        let words: Vec<u64> = PT_REGS
            .iter()
            .map(|register| self.get(*register))
            .chain([u64::MAX, self.rip, self.cs, self.rflags, self.get(RSP), self.ss])
            .collect();
        for (slot, word) in words.iter().enumerate() {
            data[112 + 8 * slot..][..8].copy_from_slice(&word.to_le_bytes());
        }
        data
    }
}
