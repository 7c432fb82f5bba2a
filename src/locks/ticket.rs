//! Ticket spinlocks (2.6.25 to 4.1): a number that is being served, and the next to be drawn.
//!
//! Whoever wants the lock draws a ticket with one `lock xadd` and spins until the number served is
//! its own, so it spins in the very function that takes the lock and keeps its ticket in a register:
//! the one that its loop compares with what it reads from the lock. So the queue is known in its
//! order, and so is the ticket that nobody who spins has: the holder's.
//! Sources: `arch/x86/include/asm/{spinlock,spinlock_types}.h`.

use super::StateValue;
use super::decode::Decoded;
use crate::debuginfo::{Tag, Types};
use crate::unwind::Registers;
use crate::unwind::flow::{Function, general_register};
use iced_x86::{Instruction, Mnemonic, OpKind, Register as Iced};

/// More tickets than this are not out at once: no machine has so many CPUs.
const TICKETS_LIMIT: u32 = 8192;

/// How a kernel's tickets are kept.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Tickets {
    /// Bits of a ticket: 8 with fewer than 256 CPUs, else 16. The number served lies lower.
    bits: u32,
    /// What a ticket counts: 2 where the lowest bit is a flag for hypervisors (3.12).
    step: u32,
}

impl Tickets {
    /// The layout; `None` when the types have no ticket locks.
    pub(super) fn probe(types: &Types) -> Option<Tickets> {
        if types.structure("qspinlock").is_ok() {
            return None;
        }
        let names = [
            (Tag::Struct, "arch_spinlock"),
            (Tag::Typedef, "arch_spinlock_t"),
            (Tag::Struct, "raw_spinlock"),
            (Tag::Typedef, "raw_spinlock_t"),
        ];
        let lock = names
            .into_iter()
            .filter_map(|(tag, name)| types.find(tag, name).ok())
            .find(|ty| ty.has("slock") || ty.offset_of("tickets.head").is_ok())?;
        let by_members = lock.member("tickets.head").ok().and_then(|head| head.ty.size());
        // Without a struct of tickets the number of CPUs that the kernel is built for decides.
        let cpus =
            types.structure("cpumask").ok().and_then(|mask| mask.size()).map(|size| size * 8);
        let bits = match (by_members, cpus) {
            (Some(1), _) => 8,
            (None, Some(cpus)) if cpus < 256 => 8,
            _ => 16,
        };
        let pv = types.structure("pv_lock_ops").is_ok_and(|ops| ops.has("unlock_kick"));
        Some(Tickets { bits, step: if pv { 2 } else { 1 } })
    }

    fn mask(self) -> u32 {
        (1 << self.bits) - self.step
    }

    /// The number served and the next to be drawn, of a lock's word.
    fn of(self, word: u32) -> (u32, u32) {
        (word & self.mask(), (word >> self.bits) & self.mask())
    }

    /// How many tickets behind the one served another is: 0 is the holder.
    pub(super) fn behind(self, word: u32, ticket: u32) -> u32 {
        (ticket.wrapping_sub(self.of(word).0) & self.mask()) / self.step
    }

    /// How many tickets are out, the holder's among them.
    pub(super) fn out(self, word: u32) -> u32 {
        self.behind(word, self.of(word).1)
    }

    /// The ticket that is `behind` the one served.
    pub(super) fn number(self, word: u32, behind: u32) -> u32 {
        self.of(word).0.wrapping_add(behind.wrapping_mul(self.step)) & self.mask()
    }

    /// The state of a lock with this word.
    pub(super) fn decode(self, word: u32) -> Decoded {
        let (serving, next) = self.of(word);
        let out = self.out(word);
        let mut decoded = Decoded {
            state: vec![
                ("slock", StateValue::Bits(u64::from(word))),
                ("locked", StateValue::Flag(out > 0)),
                ("serving", StateValue::Bits(u64::from(serving))),
                ("next", StateValue::Bits(u64::from(next))),
                ("tickets_out", StateValue::Number(i64::from(out))),
            ],
            words: match out {
                0 => "not locked".to_owned(),
                1 => format!("locked, ticket {serving:#x} is served, 1 ticket out"),
                n => format!("locked, ticket {serving:#x} is served, {n} tickets out"),
            },
            readers: (out == 0).then_some(0),
            ..Decoded::default()
        };
        if out > TICKETS_LIMIT {
            decoded.words = "impossible tickets".to_owned();
            decoded
                .doubts
                .push(format!("slock {word:#x}: {out} tickets out: damaged, or no spinlock"));
        }
        decoded
    }

    /// The ticket of a CPU that spins in `function` with these registers.
    pub(super) fn own(self, function: &Function, registers: &Registers) -> Option<u32> {
        let after = |instruction: &&Instruction| instruction.mnemonic() == Mnemonic::Xadd;
        let start = function.instructions().iter().find(after)?.ip();
        let rest = || function.instructions().iter().filter(move |it| it.ip() > start);
        // What the loop reads from the lock, and what it compares that with.
        let read = rest().find(|it| {
            matches!(it.mnemonic(), Mnemonic::Mov | Mnemonic::Movzx)
                && it.op1_kind() == OpKind::Memory
                && it.memory_size().size() <= 4
        })?;
        let served = read.op0_register();
        let compare = rest().find(|it| {
            it.mnemonic() == Mnemonic::Cmp
                && it.op0_kind() == OpKind::Register
                && it.op1_kind() == OpKind::Register
                && (overlap(it.op0_register(), served) || overlap(it.op1_register(), served))
        })?;
        let (first, second) = (compare.op0_register(), compare.op1_register());
        let own = if overlap(first, served) { second } else { first };
        let value = registers.get(general_register(own)?)?;
        let value = if is_high_byte(own) { value >> 8 } else { value };
        u32::try_from(value & u64::from(self.mask())).ok()
    }
}

/// Whether two registers share bits: `al` and `ax` do, `al` and `ah` do not.
fn overlap(a: Iced, b: Iced) -> bool {
    let bytes = |register: Iced| (is_high_byte(register), register.size() == 1);
    a.full_register() == b.full_register()
        && !matches!((bytes(a), bytes(b)), ((true, _), (false, true)) | ((false, true), (true, _)))
}

fn is_high_byte(register: Iced) -> bool {
    matches!(register, Iced::AH | Iced::BH | Iced::CH | Iced::DH)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dump::VirtAddr;
    use crate::kernel::testing::TypeTable;
    use crate::unwind::Register;
    use iced_x86::code_asm::*;

    const WIDE: Tickets = Tickets { bits: 16, step: 1 };

    #[test]
    fn the_lock_of_the_seed_case_has_eight_tickets_out() {
        let word = 0x66d4_66cc;
        assert_eq!(WIDE.out(word), 8);
        assert_eq!(WIDE.behind(word, 0x66ce), 2);
        assert_eq!(WIDE.number(word, 0), 0x66cc);
        let decoded = WIDE.decode(word);
        assert_eq!(decoded.words, "locked, ticket 0x66cc is served, 8 tickets out");
        assert_eq!(WIDE.decode(0x016b_016b).words, "not locked");
        assert_eq!(WIDE.decode(0x016b_016b).readers, Some(0));
    }

    #[test]
    fn tickets_wrap_and_impossible_ones_are_named() {
        assert_eq!(WIDE.out(0x0001_ffff), 2);
        assert_eq!(WIDE.number(0x0001_ffff, 1), 0);
        let narrow = Tickets { bits: 8, step: 1 };
        assert_eq!(narrow.out(0x0000_02ff), 3);
        let pv = Tickets { bits: 16, step: 2 };
        // The lowest bit is a flag.
        assert_eq!((pv.out(0x0007_0002), pv.number(0x0007_0002, 1)), (2, 4));
        assert_eq!(WIDE.decode(0x0000_0001).words, "impossible tickets");
        assert_eq!(WIDE.decode(0x0000_0001).doubts.len(), 1);
    }

    #[test]
    fn the_types_tell_how_wide_a_ticket_is() {
        let slock = |cpus: u64| {
            TypeTable::new()
                .with("raw_spinlock", 4, &[("slock", 0, 4)])
                .with("cpumask", cpus / 8, &[("bits", 0, 8)])
                .types()
        };
        assert_eq!(Tickets::probe(&slock(4096)), Some(WIDE));
        assert_eq!(Tickets::probe(&slock(64)), Some(Tickets { bits: 8, step: 1 }));
        let tickets = TypeTable::new()
            .with("__raw_tickets", 4, &[("head", 0, 2), ("tail", 2, 2)])
            .with("arch_spinlock", 4, &[("tickets: __raw_tickets", 0, 4)])
            .with("pv_lock_ops", 16, &[("lock_spinning", 0, 8), ("unlock_kick", 8, 8)])
            .types();
        assert_eq!(Tickets::probe(&tickets), Some(Tickets { bits: 16, step: 2 }));
        let queued = TypeTable::new().with("qspinlock", 4, &[("val", 0, 4)]).types();
        assert_eq!(Tickets::probe(&queued), None);
    }

    fn assembled(
        build: impl FnOnce(&mut CodeAssembler) -> Result<(), iced_x86::IcedError>,
    ) -> Function {
        let mut a = CodeAssembler::new(64).unwrap();
        build(&mut a).unwrap();
        let at = 0xffff_ffff_8152_a210;
        Function::decode(&a.assemble(at).unwrap(), VirtAddr(at))
    }

    #[test]
    fn a_spinners_ticket_is_in_the_register_that_its_loop_compares() {
        // _spin_lock_irq of 2.6.32 with 16-bit tickets.
        let wide = assembled(|a| {
            let (mut again, mut done) = (a.create_label(), a.create_label());
            a.cli()?;
            a.mov(eax, 0x1_0000)?;
            a.lock().xadd(dword_ptr(rdi), eax)?;
            a.movzx(edx, ax)?;
            a.shr(eax, 0x10)?;
            a.set_label(&mut again)?;
            a.cmp(eax, edx)?;
            a.je(done)?;
            a.pause()?;
            a.movzx(edx, word_ptr(rdi))?;
            a.jmp(again)?;
            a.set_label(&mut done)?;
            a.ret()
        });
        let mut registers = Registers::default();
        registers.set(Register::Rax, Some(0x66ce));
        registers.set(Register::Rdx, Some(0x66cc));
        assert_eq!(WIDE.own(&wide, &registers), Some(0x66ce));
        // With 8-bit tickets both are in ax.
        let narrow = assembled(|a| {
            let (mut again, mut done) = (a.create_label(), a.create_label());
            a.mov(eax, 0x100)?;
            a.lock().xadd(word_ptr(rdi), ax)?;
            a.set_label(&mut again)?;
            a.cmp(ah, al)?;
            a.je(done)?;
            a.pause()?;
            a.mov(al, byte_ptr(rdi))?;
            a.jmp(again)?;
            a.set_label(&mut done)?;
            a.ret()
        });
        registers.set(Register::Rax, Some(0x0503));
        let tickets = Tickets { bits: 8, step: 1 };
        assert_eq!(tickets.own(&narrow, &registers), Some(5));
    }

    #[test]
    fn a_lock_whose_ticket_is_served_is_locked_and_the_states_tell_both_ends() {
        let decoded = WIDE.decode(0x0002_0001);
        assert_eq!(decoded.words, "locked, ticket 0x1 is served, 1 ticket out");
        assert!(decoded.state.contains(&("locked", StateValue::Flag(true))));
        assert!(decoded.state.contains(&("next", StateValue::Bits(2))));
        // What lies above two narrow tickets is none of them.
        let narrow = Tickets { bits: 8, step: 1 }.decode(0xabcd_02ff);
        assert!(narrow.state.contains(&("next", StateValue::Bits(2))));
        // As many as there may be CPUs, and one more.
        assert_eq!(WIDE.decode(0x2000_0000).doubts, [""; 0]);
        assert_eq!(WIDE.decode(0x2001_0000).doubts.len(), 1);
        // The lowest bit is a flag there too.
        assert_eq!(Tickets { bits: 16, step: 2 }.number(0x0006_0003, 0), 2);
    }

    #[test]
    fn the_types_tell_of_narrow_tickets_and_of_hypervisors_that_are_not_asked() {
        let narrow = TypeTable::new()
            .with("__raw_tickets", 2, &[("head", 0, 1), ("tail", 1, 1)])
            .with("arch_spinlock", 2, &[("tickets: __raw_tickets", 0, 2)])
            .with("pv_lock_ops", 8, &[("spin_lock", 0, 8)])
            .types();
        assert_eq!(Tickets::probe(&narrow), Some(Tickets { bits: 8, step: 1 }));
        let slock = || TypeTable::new().with("raw_spinlock", 4, &[("slock", 0, 4)]);
        let cpus = slock().with("cpumask", 32, &[("bits", 0, 8)]).types();
        assert_eq!(Tickets::probe(&cpus), Some(WIDE));
        let queued = slock().with("qspinlock", 4, &[("val", 0, 4)]).types();
        assert_eq!(Tickets::probe(&queued), None);
    }

    #[test]
    fn only_what_the_loop_reads_from_the_lock_is_the_number_served() {
        let function = assembled(|a| {
            let (mut again, mut done) = (a.create_label(), a.create_label());
            a.mov(eax, dword_ptr(rsi))?;
            a.mov(eax, 0x1_0000)?;
            a.lock().xadd(dword_ptr(rdi), eax)?;
            a.mov(r8, qword_ptr(rsp))?;
            a.mov(edx, eax)?;
            a.shr(edx, 0x10)?;
            a.movzx(ecx, ax)?;
            a.cmp(ecx, 0x10)?;
            a.set_label(&mut again)?;
            a.cmp(cx, dx)?;
            a.je(done)?;
            a.pause()?;
            a.movzx(ecx, word_ptr(rdi))?;
            a.jmp(again)?;
            a.set_label(&mut done)?;
            a.ret()
        });
        let mut registers = Registers::default();
        registers.set(Register::Rcx, Some(0x66cc));
        registers.set(Register::Rdx, Some(0xabcd_66ce));
        assert_eq!(WIDE.own(&function, &registers), Some(0x66ce));
    }
}
