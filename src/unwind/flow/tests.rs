use super::*;
use crate::unwind::Register;
use iced_x86::code_asm::*;

const ENTRY: u64 = 0xffff_ffff_8100_0000;
const LOCK: u64 = ENTRY + 0x1000;
const UNLOCK: u64 = ENTRY + 0x1010;
const TRYLOCK: u64 = ENTRY + 0x1020;
const LOCK_KILLABLE: u64 = ENTRY + 0x1030;
const SLEEP: u64 = ENTRY + 0x1040;
const CLASS: u16 = 7;

struct Locks;

impl Effects for Locks {
    fn of_call(&self, target: VirtAddr) -> Effect {
        let take = |when| Effect::Take { class: CLASS, when, by_store: true };
        match target.0 {
            LOCK => take(When::Always),
            TRYLOCK => take(When::NonZero),
            LOCK_KILLABLE => take(When::Zero),
            UNLOCK => Effect::Give { class: CLASS },
            _ => Effect::Nothing,
        }
    }
}

/// Assembles `build` and follows it to the return address of its call of `SLEEP`.
fn asleep(build: impl FnOnce(&mut CodeAssembler) -> Result<(), IcedError>) -> Passage {
    let mut a = CodeAssembler::new(64).unwrap();
    build(&mut a).unwrap();
    let code = a.assemble(ENTRY).unwrap();
    let function = Function::decode(&code, VirtAddr(ENTRY));
    let call = function
        .instructions()
        .iter()
        .find(|instruction| step::calls(instruction) && instruction.near_branch_target() == SLEEP)
        .unwrap();
    function.at(VirtAddr(call.next_ip()), true, &Locks).unwrap()
}

#[test]
fn saved_registers_are_found_on_the_stack() {
    let passage = asleep(|a| {
        a.push(rbp)?;
        a.push(rbx)?;
        a.sub(rsp, 0x20)?;
        a.mov(rbx, rdi)?;
        a.call(SLEEP)?;
        a.ret()
    });
    let stack: Vec<_> = passage.after.stack().collect();
    assert_eq!(stack, [(-16, &Value::entry(Register::Rbx)), (-8, &Value::entry(Register::Rbp))]);
    assert_eq!(passage.after.register(Register::Rbx), Some(&Value::entry(Register::Rdi)));
    assert_eq!(passage.after.register(Register::R12), Some(&Value::entry(Register::R12)));
    let depth = passage.after.register(Register::Rsp).and_then(Value::on_stack);
    assert_eq!(depth, Some(-0x30));
    // The call destroyed the argument, before it it was there.
    assert_eq!(passage.before.register(Register::Rdi), Some(&Value::entry(Register::Rdi)));
    assert_ne!(passage.after.register(Register::Rdi), Some(&Value::entry(Register::Rdi)));
}

#[test]
fn a_lock_taken_before_the_sleep_is_held_in_it() {
    let passage = asleep(|a| {
        a.push(r12)?;
        a.lea(r12, rdi + 0x18)?;
        a.mov(rdi, r12)?;
        a.call(LOCK)?;
        a.call(SLEEP)?;
        a.mov(rdi, r12)?;
        a.call(UNLOCK)?;
        a.ret()
    });
    let [taken] = passage.after.taken.as_slice() else { panic!("{:?}", passage.after.taken) };
    assert_eq!(taken.argument.as_ref(), passage.after.register(Register::R12));
    assert!(taken.always && taken.pending.is_none());
    assert_eq!(taken.class, CLASS);
}

#[test]
fn a_lock_given_back_before_the_sleep_is_not_held() {
    let passage = asleep(|a| {
        a.push(rbx)?;
        a.mov(rbx, rdi)?;
        a.call(LOCK)?;
        a.mov(rdi, rbx)?;
        a.call(UNLOCK)?;
        a.call(SLEEP)?;
        a.ret()
    });
    assert_eq!(passage.after.taken, []);
}

#[test]
fn an_unlock_inlined_as_a_store_counts() {
    let passage = asleep(|a| {
        a.push(rbx)?;
        a.mov(rbx, rdi)?;
        a.call(LOCK)?;
        a.mov(byte_ptr(rbx), 0)?;
        a.call(SLEEP)?;
        a.ret()
    });
    assert_eq!(passage.after.taken, []);
}

#[test]
fn unlocking_another_lock_changes_nothing() {
    let passage = asleep(|a| {
        a.push(rbx)?;
        a.mov(rbx, rdi)?;
        a.call(LOCK)?;
        a.lea(rdi, rbx + 8)?;
        a.call(UNLOCK)?;
        a.call(SLEEP)?;
        a.ret()
    });
    assert_eq!(passage.after.taken.len(), 1);
}

#[test]
fn a_trylock_holds_only_where_its_result_says_so() {
    let both = |held_when_zero: bool| {
        asleep(|a| {
            let mut out = a.create_label();
            a.push(rbx)?;
            a.mov(rbx, rdi)?;
            a.call(TRYLOCK)?;
            a.test(eax, eax)?;
            if held_when_zero {
                a.jne(out)?
            } else {
                a.je(out)?
            }
            a.call(SLEEP)?;
            a.set_label(&mut out)?;
            a.ret()
        })
    };
    let [taken] = &both(false).after.taken[..] else { panic!() };
    assert!(taken.always && taken.pending.is_none());
    assert_eq!(both(true).after.taken, []);
}

#[test]
fn a_killable_lock_is_held_when_it_returns_zero() {
    let passage = asleep(|a| {
        let mut out = a.create_label();
        a.push(rbx)?;
        a.mov(rbx, rdi)?;
        a.call(LOCK_KILLABLE)?;
        a.mov(ebp, eax)?;
        a.test(ebp, ebp)?;
        a.jne(out)?;
        a.call(SLEEP)?;
        a.set_label(&mut out)?;
        a.ret()
    });
    assert_eq!(passage.after.taken.len(), 1);
}

#[test]
fn a_lock_taken_on_one_path_only_is_not_always_held() {
    let passage = asleep(|a| {
        let mut skip = a.create_label();
        a.push(rbx)?;
        a.mov(rbx, rdi)?;
        a.test(rsi, rsi)?;
        a.je(skip)?;
        a.call(LOCK)?;
        a.set_label(&mut skip)?;
        a.call(SLEEP)?;
        a.ret()
    });
    let [taken] = passage.after.taken.as_slice() else { panic!() };
    assert!(!taken.always);
}

#[test]
fn a_loop_does_not_mistake_the_last_turns_lock_for_this_turns() {
    // prev = cur; cur = *cur; lock(cur); unlock(prev): hand over hand.
    let passage = asleep(|a| {
        let mut again = a.create_label();
        a.push(rbx)?;
        a.push(r12)?;
        a.mov(rbx, rdi)?;
        a.set_label(&mut again)?;
        a.mov(r12, rbx)?;
        a.mov(rbx, qword_ptr(rbx))?;
        a.mov(rdi, rbx)?;
        a.call(LOCK)?;
        a.mov(rdi, r12)?;
        a.call(UNLOCK)?;
        a.call(SLEEP)?;
        a.jmp(again)
    });
    let held: Vec<_> =
        passage.after.taken.iter().filter(|taken| taken.argument.is_some()).collect();
    let [taken] = held.as_slice() else { panic!("{held:?}") };
    assert_eq!(taken.argument.as_ref(), passage.after.register(Register::Rbx));
    assert_ne!(taken.argument.as_ref(), passage.after.register(Register::R12));
}

#[test]
fn what_a_call_returned_keeps_its_name_until_it_is_made_anew() {
    let passage = asleep(|a| {
        let mut again = a.create_label();
        a.push(rbx)?;
        a.push(r12)?;
        a.set_label(&mut again)?;
        a.mov(r12, rbx)?;
        a.call(ENTRY + 0x2000)?;
        a.mov(rbx, rax)?;
        a.call(SLEEP)?;
        a.jmp(again)
    });
    assert_ne!(passage.after.register(Register::Rbx), passage.after.register(Register::R12));
}

#[test]
fn bytes_before_a_return_address_are_a_call_or_not() {
    let call = [0xe8, 0, 0, 0, 0];
    assert!(ends_in_call(&call, VirtAddr(ENTRY)));
    assert!(!ends_in_call(&call[..4], VirtAddr(ENTRY)));
    assert!(!ends_in_call(&[0x90; 5], VirtAddr(ENTRY)));
}
