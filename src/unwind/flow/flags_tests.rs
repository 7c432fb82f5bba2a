//! What the flags tell of what was taken, for how long; and where a stack pointer and half an address lead.

use super::tests::{ENTRY, SLEEP, TRYLOCK, asleep};
use super::*;
use crate::unwind::Register;
use iced_x86::code_asm::*;

#[test]
fn a_comparison_after_a_bit_was_taken_tells_nothing_of_the_bit() {
    for below in [false, true] {
        let passage = asleep(|a| {
            let mut out = a.create_label();
            a.push(rbx)?;
            a.mov(rbx, rdi)?;
            a.lock().bts(qword_ptr(rbx), 0)?;
            a.jb(out)?;
            a.cmp(esi, 5)?;
            if below {
                a.jb(out)?
            } else {
                a.jae(out)?
            }
            a.call(SLEEP)?;
            a.set_label(&mut out)?;
            a.pop(rbx)?;
            a.ret()
        });
        let [taken] = &passage.before.taken[..] else { panic!("{below} {passage:?}") };
        assert!(taken.certain(), "{below}");
    }
}

/// Whether the one thing that was taken before the sleep is so for certain; `None` where nothing was.
fn held(build: impl FnOnce(&mut CodeAssembler) -> Result<(), IcedError>) -> Option<bool> {
    let passage = asleep(build);
    assert!(passage.before.taken.len() < 2, "{passage:?}");
    passage.before.taken.first().map(Taken::certain)
}

#[test]
fn flags_that_something_else_has_set_since_tell_nothing_of_a_result() {
    let tested = |between: &dyn Fn(&mut CodeAssembler) -> Result<(), IcedError>| {
        held(|a| {
            let mut out = a.create_label();
            a.call(TRYLOCK)?;
            a.test(eax, eax)?;
            between(a)?;
            a.je(out)?;
            a.call(SLEEP)?;
            a.set_label(&mut out)?;
            a.ret()
        })
    };
    assert_eq!(tested(&|a| a.mov(ecx, 1)), Some(true));
    assert_eq!(tested(&|a| a.add(rcx, 1)), Some(false));
    assert_eq!(tested(&|a| a.xor(ecx, ecx)), Some(false));
    assert_eq!(tested(&|a| a.call(ENTRY + 0x2000)), Some(false));
}

#[test]
fn a_bit_is_a_lock_where_it_was_not_set_in_memory_that_others_see() {
    let after = |jumps: bool, calls: bool, on_stack: bool| {
        held(|a| {
            let (mut was_set, mut out) = (a.create_label(), a.create_label());
            a.sub(rsp, 8)?;
            a.lock().bts(qword_ptr(if on_stack { rsp } else { rdi }), 0)?;
            if calls {
                a.call(ENTRY + 0x2000)?;
            }
            a.jb(was_set)?;
            if jumps {
                a.jmp(out)?;
                a.set_label(&mut was_set)?;
            }
            a.call(SLEEP)?;
            if !jumps {
                a.set_label(&mut was_set)?;
                a.nop()?;
            }
            a.set_label(&mut out)?;
            a.add(rsp, 8)?;
            a.ret()
        })
    };
    assert_eq!(after(false, false, false), Some(true));
    assert_eq!(after(true, false, false), None);
    assert_eq!(after(false, true, false), Some(false));
    assert_eq!(after(false, false, true), None);
}

#[test]
fn half_of_an_address_is_another_value() {
    let passage = asleep(|a| {
        a.mov(ebx, edi)?;
        a.lea(r12d, ptr(rdi + 8))?;
        a.lea(r13, ptr(rdi + 8))?;
        a.call(SLEEP)?;
        a.ret()
    });
    let argument = Value::entry(Register::Rdi);
    let holds = |register| passage.after.register(register).unwrap().clone();
    assert_ne!(holds(Register::Rbx), argument);
    assert_ne!(holds(Register::R12), argument.plus(8));
    assert_eq!(holds(Register::R13), argument.plus(8));
}

#[test]
fn what_was_popped_or_left_has_given_its_place_on_the_stack_back() {
    for leave in [false, true] {
        let passage = asleep(|a| {
            a.push(rbp)?;
            if leave {
                a.mov(rbp, rsp)?;
                a.sub(rsp, 0x20)?;
                a.leave()?;
            } else {
                a.pop(rbp)?;
            }
            a.call(SLEEP)?;
            a.ret()
        });
        let top = passage.after.register(Register::Rsp).unwrap();
        assert_eq!(top.on_stack(), Some(0), "{leave}");
        let saved = passage.after.register(Register::Rbp).unwrap();
        assert_eq!(*saved, Value::entry(Register::Rbp), "{leave}");
    }
}
