//! Small stacks, made by hand, for each way of stepping.

use super::super::orc::tests::{put_tables, raw};
use super::*;
use crate::debuginfo::SymbolTable;
use crate::memory::FlatMemory;

const TEXT: u64 = 0xffff_ffff_8100_0000;
const STACK: u64 = 0xffff_c900_0000_4000;
const IRQ_STACK: u64 = 0xffff_c900_0100_0000;

/// Functions of 256 bytes each with one ORC entry (the 6.4 layout) for all of it.
const FUNCTIONS: [(&str, i16, i16, u16); 12] = [
    ("__schedule", 16, -16, 0x215), // call, sp+16, rbp saved
    ("schedule", 24, 0, 0x205),     // call, sp+24
    ("with_bp", 16, -16, 0x214),    // call, bp+16
    ("ret_from_fork", 0, 0, 0x100), // end of stack
    ("entry_SYSCALL_64", 0, 0, 0x305),
    ("asm_sysvec_timer", 0, 0, 0xb05),
    ("asm_exc_nmi", 8, 0, 0xc05),  // partial registers
    ("on_irq_stack", 0, 0, 0x209), // call, stack pointer in memory
    ("realigned", -8, -16, 0x218), // call, bp indirect
    ("by_r10", 0, 0, 0x206),
    ("nothing", 0, 0, 0),
    ("leaf", 8, 0, 0x205),
];

fn code(function: &str) -> u64 {
    let index = FUNCTIONS.iter().position(|(name, ..)| *name == function).unwrap();
    TEXT + 256 * u64::try_from(index).unwrap()
}

struct Machine {
    memory: FlatMemory,
    symbols: Symbols,
}

impl Machine {
    fn new() -> Machine {
        let mut memory = FlatMemory::new();
        let mut symbols = SymbolTable::new(None);
        let mut entries = Vec::new();
        for (name, sp, bp, flags) in FUNCTIONS {
            symbols.push(name, VirtAddr(code(name)), 'T');
            entries.push((code(name), raw(sp, bp, flags)));
            // Full of calls, so that every address follows one.
            memory.put(code(name), &[0xe8; 256]);
        }
        let end = TEXT + 256 * u64::try_from(FUNCTIONS.len()).unwrap();
        entries.push((end, raw(0, 0, 0)));
        put_tables(&mut memory, &mut symbols, &entries);
        // No guessing past the kernel's text.
        symbols.push("_etext", VirtAddr(end), 'D');
        let symbols = Symbols::new(symbols.finish(VirtAddr(u64::MAX)), Vec::new());
        Machine { memory, symbols }
    }

    /// Puts words on a stack from an address up.
    fn push(&mut self, at: u64, words: &[u64]) -> &mut Machine {
        for (slot, word) in (at..).step_by(8).zip(words) {
            self.memory.put_u64(slot, *word);
        }
        self
    }

    fn pt_regs(&mut self, at: u64, pc: u64, sp: u64, user: bool) -> &mut Machine {
        let mut words: Vec<u64> = (100..121).collect();
        words[16] = pc;
        words[17] = if user { 0x33 } else { 0x10 };
        words[19] = sp;
        self.push(at, &words)
    }

    fn running(&self, pc: u64, sp: u64, others: &[(Register, u64)]) -> Trace {
        let mut registers = Registers::default();
        for (register, value) in [(Register::Rip, pc), (Register::Rsp, sp)].iter().chain(others) {
            registers.set(*register, Some(*value));
        }
        let orc = Orc::new(&self.memory, &self.symbols, Vec::new());
        Unwinder::new(&orc, &self.symbols, &self.memory).running(registers, None)
    }

    fn sleeping(&self, sp: u64) -> Trace {
        let orc = Orc::new(&self.memory, &self.symbols, Vec::new());
        let layout = InactiveTaskFrame::usual();
        Unwinder::new(&orc, &self.symbols, &self.memory).sleeping(VirtAddr(sp), &layout, None)
    }
}

fn places(trace: &Trace) -> Vec<(u64, u64)> {
    trace.frames.iter().map(|frame| (frame.pc.0, frame.sp.0)).collect()
}

fn kinds(trace: &Trace) -> Vec<FrameKind> {
    trace.frames.iter().map(|frame| frame.kind).collect()
}

#[test]
fn a_sleeping_kernel_thread_is_unwound_to_where_it_began() {
    let mut machine = Machine::new();
    let (s0, s1, s2) = (code("__schedule") + 9, code("schedule") + 9, code("ret_from_fork") + 9);
    machine
        .push(STACK, &[15, 14, 13, 12, 3, 6, s0])
        .push(STACK + 56, &[0xbb, s1])
        .push(STACK + 72, &[0, 0, s2]);
    let trace = machine.sleeping(STACK);
    assert_eq!(places(&trace), [(s0, STACK + 56), (s1, STACK + 72), (s2, STACK + 96)]);
    assert_eq!(trace.end, End::Complete);
    // Only what is known: all saved registers at first, then what __schedule had saved.
    let known = |n: usize| trace.frames[n].registers.iter().collect::<Vec<_>>();
    use Register::{R12, R13, R14, R15, Rbp, Rbx, Rip, Rsp};
    assert_eq!(
        known(0),
        [
            (Rbx, 3),
            (Rbp, 6),
            (Rsp, STACK + 56),
            (R12, 12),
            (R13, 13),
            (R14, 14),
            (R15, 15),
            (Rip, s0)
        ]
    );
    assert_eq!(known(1), [(Rbp, 0xbb), (Rsp, STACK + 72), (Rip, s1)]);
    assert_eq!(known(2), [(Rbp, 0xbb), (Rsp, STACK + 96), (Rip, s2)]);
}

#[test]
fn a_task_that_never_ran_is_at_the_start_of_its_first_function() {
    let mut machine = Machine::new();
    machine.push(STACK, &[0, 0, 0, 0, 0, 0, code("ret_from_fork")]);
    let trace = machine.sleeping(STACK);
    assert_eq!(places(&trace), [(code("ret_from_fork"), STACK + 56)]);
    assert_eq!(trace.frames[0].lookup_pc(), VirtAddr(code("ret_from_fork")));
    assert_eq!(trace.end, End::Complete);
}

#[test]
fn a_system_call_ends_in_user_space() {
    let mut machine = Machine::new();
    let entry = code("entry_SYSCALL_64") + 9;
    machine.push(STACK, &[entry]).pt_regs(STACK + 8, 0x46_0a63, 0x7ffd_0000, true);
    let trace = machine.running(code("leaf") + 4, STACK, &[]);
    assert_eq!(
        places(&trace),
        [(code("leaf") + 4, STACK), (entry, STACK + 8), (0x46_0a63, 0x7ffd_0000)]
    );
    assert_eq!(kinds(&trace), [FrameKind::Exception, FrameKind::Call, FrameKind::User]);
    assert_eq!(trace.frames[2].pt_regs, Some(VirtAddr(STACK + 8)));
    assert_eq!(trace.frames[2].registers.get(Register::R15), Some(100));
    assert_eq!(trace.end, End::Complete);
}

#[test]
fn an_interrupt_leads_from_its_stack_to_what_it_interrupted() {
    let mut machine = Machine::new();
    let (switch, entry) = (code("on_irq_stack") + 9, code("asm_sysvec_timer") + 9);
    // The handler, on the interrupt stack; its caller put the task's stack pointer on top.
    machine
        .push(IRQ_STACK, &[switch])
        .push(IRQ_STACK + 8, &[STACK + 8])
        .push(STACK, &[entry])
        .pt_regs(STACK + 8, code("leaf"), STACK + 0x800, false)
        .push(STACK + 0x800, &[code("ret_from_fork") + 9]);
    let trace = machine.running(code("leaf") + 4, IRQ_STACK, &[]);
    assert_eq!(
        places(&trace),
        [
            (code("leaf") + 4, IRQ_STACK),
            (switch, IRQ_STACK + 8),
            (entry, STACK + 8),
            // At the very start of a function: its entry is used, not that of the one before.
            (code("leaf"), STACK + 0x800),
            (code("ret_from_fork") + 9, STACK + 0x808),
        ]
    );
    assert_eq!(trace.frames[3].kind, FrameKind::Irq);
    assert_eq!(trace.frames[3].pt_regs, Some(VirtAddr(STACK + 8)));
    assert_eq!(trace.frames[3].registers.get(Register::Rbx), Some(105));
    assert_eq!(trace.end, End::Complete);
}

#[test]
fn an_interrupt_stack_is_left_by_rbp_wherever_the_task_s_stack_lies() {
    for task in [IRQ_STACK - 0x10000, IRQ_STACK + 0x10000] {
        let mut machine = Machine::new();
        let (called, last) = (code("with_bp") + 9, code("ret_from_fork") + 9);
        machine.push(IRQ_STACK, &[called]).push(task, &[0, last]);
        let trace = machine.running(code("leaf") + 4, IRQ_STACK, &[(Register::Rbp, task)]);
        assert_eq!(
            places(&trace),
            [(code("leaf") + 4, IRQ_STACK), (called, IRQ_STACK + 8), (last, task + 16)]
        );
        assert_eq!(trace.end, End::Complete);
    }
    // On one stack the caller is above.
    let mut machine = Machine::new();
    machine.push(IRQ_STACK, &[code("with_bp") + 9]).push(IRQ_STACK - 0x100, &[0, code("leaf")]);
    let below = [(Register::Rbp, IRQ_STACK - 0x100)];
    let trace = machine.running(code("leaf") + 4, IRQ_STACK, &below);
    assert!(matches!(&trace.end, End::Cut(why) if why.contains("is not above its own")));
}

#[test]
fn what_the_cpu_alone_pushed_is_understood() {
    let mut machine = Machine::new();
    let pushed = [code("leaf"), 0x10, 0x246, STACK + 0x800, 0x18];
    machine.push(STACK + 8, &pushed).push(STACK + 0x800, &[code("ret_from_fork") + 9]);
    let trace = machine.running(code("asm_exc_nmi"), STACK, &[(Register::Rbp, 6)]);
    assert_eq!(places(&trace)[1], (code("leaf"), STACK + 0x800));
    assert_eq!(kinds(&trace)[1], FrameKind::Nmi);
    assert_eq!(trace.frames[1].pt_regs, None);
    assert_eq!(trace.frames[1].registers.get(Register::Rbp), Some(6));
    assert_eq!(trace.frames[1].registers.get(Register::Rflags), Some(0x246));
    assert_eq!(trace.end, End::Complete);
}

#[test]
fn a_stack_is_found_by_rbp_and_through_it() {
    let mut machine = Machine::new();
    let (middle, last) = (code("realigned") + 9, code("ret_from_fork") + 9);
    // with_bp: rbp+16 is the caller's stack pointer. realigned: it lies at rbp-8.
    machine
        .push(STACK + 0x100, &[STACK + 0x200, middle])
        .push(STACK + 0x1f8, &[STACK + 0x310])
        .push(STACK + 0x300, &[77, last]);
    let trace = machine.running(code("with_bp"), STACK, &[(Register::Rbp, STACK + 0x100)]);
    assert_eq!(
        places(&trace),
        [(code("with_bp"), STACK), (middle, STACK + 0x110), (last, STACK + 0x310)]
    );
    assert_eq!(trace.frames[1].registers.get(Register::Rbp), Some(STACK + 0x200));
    assert_eq!(trace.frames[2].registers.get(Register::Rbp), Some(77));
    assert_eq!(trace.end, End::Complete);
}

#[test]
fn a_register_serves_only_where_it_is_known() {
    let mut machine = Machine::new();
    machine.push(STACK + 0x100, &[code("ret_from_fork") + 9]);
    let trace = machine.running(code("by_r10"), STACK, &[(Register::R10, STACK + 0x108)]);
    assert_eq!(places(&trace)[1], (code("ret_from_fork") + 9, STACK + 0x108));
    let trace = machine.running(code("by_r10"), STACK, &[]);
    assert_eq!(trace.frames.len(), 1);
    let reason = "its stack is found by R10, which is lost";
    assert!(matches!(&trace.end, End::Cut(why) if why.contains(reason)), "{:?}", trace.end);
}

#[test]
fn a_call_through_a_null_pointer_is_unwound_to_its_caller() {
    let mut machine = Machine::new();
    machine.push(STACK, &[code("leaf") + 4, code("ret_from_fork") + 9]);
    let trace = machine.running(0, STACK, &[(Register::Cs, 0x10)]);
    assert_eq!(
        places(&trace),
        [(0, STACK), (code("leaf") + 4, STACK + 8), (code("ret_from_fork") + 9, STACK + 16)]
    );
    assert!(trace.frames.iter().all(|frame| frame.reliable));
}

#[test]
fn registers_of_user_mode_are_the_whole_trace() {
    let trace = Machine::new().running(0x40_1000, 0x7ffd_0000, &[(Register::Cs, 0x33)]);
    assert_eq!(kinds(&trace), [FrameKind::User]);
    assert_eq!(trace.end, End::Complete);
}

#[test]
fn a_stack_that_cannot_be_read_cuts_the_trace_with_the_reason() {
    let trace = Machine::new().running(code("leaf") + 4, STACK, &[]);
    assert_eq!(places(&trace), [(code("leaf") + 4, STACK)]);
    let reason = format!("in leaf+4 ({:#x}): the return address cannot be read", code("leaf") + 4);
    assert!(matches!(&trace.end, End::Cut(why) if why.starts_with(&reason)), "{:?}", trace.end);
    let trace = Machine::new().sleeping(STACK);
    assert!(matches!(&trace.end, End::Cut(why) if why.contains("thread.sp")), "{:?}", trace.end);
}

#[test]
fn a_stack_that_leads_back_to_itself_ends() {
    let mut machine = Machine::new();
    // Two stacks, each of which says that it was switched to from the other.
    let switch = code("on_irq_stack") + 9;
    machine.push(STACK, &[switch, IRQ_STACK + 8]).push(IRQ_STACK, &[switch, STACK + 8]);
    let trace = machine.running(switch, STACK + 8, &[]);
    assert!(trace.frames.len() <= 3, "{trace:?}");
    assert!(matches!(&trace.end, End::Cut(why) if why.contains("leads back")), "{:?}", trace.end);
}

#[test]
fn generated_code_is_left_by_its_frame_pointer() {
    let mut machine = Machine::new();
    machine
        .push(STACK, &[code("leaf") + 9, 1, 2, 3])
        .push(STACK + 0x20, &[0, code("leaf") + 4])
        .push(STACK + 0x30, &[code("ret_from_fork") + 9]);
    let trace = machine.running(0xffff_ffff_c000_0100, STACK, &[(Register::Rbp, STACK + 0x20)]);
    assert_eq!(places(&trace)[1], (code("leaf") + 4, STACK + 0x30));
    let reliable: Vec<bool> = trace.frames.iter().map(|frame| frame.reliable).collect();
    assert_eq!(reliable, [true, false, true]);
    assert_eq!(trace.end, End::Complete);
}

#[test]
fn without_anything_better_the_stack_is_searched_for_return_addresses() {
    let mut machine = Machine::new();
    machine.push(STACK, &[1, TEXT - 0x1000, code("leaf") + 4, code("ret_from_fork") + 9]);
    let trace = machine.running(code("nothing") + 3, STACK, &[]);
    assert_eq!(places(&trace)[1], (code("leaf") + 4, STACK + 24));
    assert!(!trace.frames[1].reliable);
    assert_eq!(trace.end, End::Complete);
}

#[test]
fn a_call_to_the_function_itself_is_better_than_any_call() {
    let mut machine = Machine::new();
    let (stale, caller) = (code("leaf") + 4, code("leaf") + 0x80);
    let distance = i32::try_from(code("nothing").wrapping_sub(caller).cast_signed()).unwrap();
    machine.memory.put(caller - 4, &distance.to_le_bytes());
    machine.push(STACK, &[stale, 0, caller, code("ret_from_fork") + 9]);
    // rbp is another function's: this one does not begin with setting it up.
    machine.push(STACK + 0x100, &[0, stale]);
    let trace = machine.running(code("nothing") + 3, STACK, &[(Register::Rbp, STACK + 0x100)]);
    assert_eq!(places(&trace)[1], (caller, STACK + 24));
    // This one does.
    machine.memory.put(code("nothing") + 5, &[0x55, 0x48, 0x89, 0xe5]);
    let trace = machine.running(code("nothing") + 9, STACK, &[(Register::Rbp, STACK + 0x100)]);
    assert_eq!(places(&trace)[1], (stale, STACK + 0x110));
}

#[test]
fn the_search_stays_on_the_stack() {
    let mut machine = Machine::new();
    machine.push(STACK, &[0; 8]).push(STACK + 64, &[code("leaf") + 4]);
    let mut registers = Registers::default();
    registers.set(Register::Rip, Some(code("nothing") + 3));
    registers.set(Register::Rsp, Some(STACK));
    let orc = Orc::new(&machine.memory, &machine.symbols, Vec::new());
    let bounds = VirtAddr(STACK - 64)..VirtAddr(STACK + 64);
    let trace =
        Unwinder::new(&orc, &machine.symbols, &machine.memory).running(registers, Some(bounds));
    assert_eq!(trace.frames.len(), 1);
    assert!(matches!(trace.end, End::Cut(_)));
}

#[test]
fn whatever_lies_on_a_stack_its_trace_ends() {
    let mut state = 1_u64;
    let mut next = move |below: u64| {
        // Knuth's MMIX generator; its high bits are good enough to choose by.
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % below
    };
    let text = 256 * u64::try_from(FUNCTIONS.len()).unwrap();
    for _ in 0..100 {
        let mut machine = Machine::new();
        let words: Vec<u64> = (0..512)
            .map(|_| match next(6) {
                0 | 1 => STACK + next(512) * 8,
                2..=4 => TEXT + next(text),
                _ => next(u64::MAX >> 31) << 31,
            })
            .collect();
        machine.push(STACK, &words);
        let sp = STACK + next(512) * 8;
        let trace = machine.running(TEXT + next(text), sp, &[(Register::Rbp, STACK + next(4096))]);
        assert!((1..=MAX_FRAMES).contains(&trace.frames.len()));
        let user = trace.frames.iter().filter(|frame| frame.kind == FrameKind::User).count();
        assert!(user == 0 || trace.frames.last().unwrap().kind == FrameKind::User);
    }
}
