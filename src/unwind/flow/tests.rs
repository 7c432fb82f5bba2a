use super::*;
use crate::unwind::Register;
use iced_x86::code_asm::*;

pub(super) const ENTRY: u64 = 0xffff_ffff_8100_0000;
pub(super) const LOCK: u64 = ENTRY + 0x1000;
pub(super) const UNLOCK: u64 = ENTRY + 0x1010;
pub(super) const TRYLOCK: u64 = ENTRY + 0x1020;
pub(super) const LOCK_KILLABLE: u64 = ENTRY + 0x1030;
pub(super) const SLEEP: u64 = ENTRY + 0x1040;
const DOWNGRADE: u64 = ENTRY + 0x1050;
const HELPER: u64 = ENTRY + 0x1060;
pub(super) const THUNK: u64 = ENTRY + 0x1070;
pub(super) const CLASS: u16 = 7;

/// As `LOCK_KILLABLE`.
pub(super) const LOCK_TRY_ZERO: u64 = ENTRY + 0x1080;

pub(super) struct Locks;

impl Effects for Locks {
    fn of_call(&self, target: VirtAddr) -> Effect {
        let take = |when| Effect::Take { class: CLASS, when, by_store: true, by: Register::Rdi };
        match target.0 {
            LOCK => take(When::Always),
            TRYLOCK => take(When::NonZero),
            LOCK_KILLABLE | LOCK_TRY_ZERO => take(When::Zero),
            UNLOCK => Effect::Give { class: CLASS },
            DOWNGRADE => Effect::Turn { from: CLASS, to: CLASS + 1 },
            THUNK => Effect::Return,
            _ => Effect::Nothing,
        }
    }

    fn of_bit(&self, bit: u64) -> Option<u16> {
        (bit == 0).then_some(CLASS + 3)
    }

    fn of_count(&self, from: &Value) -> Option<(u16, Value)> {
        Some((CLASS + 2, from.plus(-0x40)))
    }
}

/// As [`Locks`], and `HELPER` does what a function made by [`summary`] does.
struct WithHelper(Summary);

impl Effects for WithHelper {
    fn of_call(&self, target: VirtAddr) -> Effect {
        match target.0 {
            HELPER => Effect::Several(Arc::new(self.0.clone())),
            _ => Locks.of_call(target),
        }
    }
}

pub(super) fn assembled(
    build: impl FnOnce(&mut CodeAssembler) -> Result<(), IcedError>,
) -> Function {
    let mut a = CodeAssembler::new(64).unwrap();
    build(&mut a).unwrap();
    Function::decode(&a.assemble(ENTRY).unwrap(), VirtAddr(ENTRY))
}

/// What a function that ends in `ret` or in a jump to another comes to.
pub(super) fn summary(build: impl FnOnce(&mut CodeAssembler) -> Result<(), IcedError>) -> Summary {
    assembled(build).summary(&Locks).unwrap()
}

/// Assembles `build` and follows it to the return address of its call of `SLEEP`.
pub(super) fn asleep(build: impl FnOnce(&mut CodeAssembler) -> Result<(), IcedError>) -> Passage {
    asleep_with(&Locks, build)
}

pub(super) fn asleep_with(
    effects: &dyn Effects,
    build: impl FnOnce(&mut CodeAssembler) -> Result<(), IcedError>,
) -> Passage {
    let function = assembled(build);
    let call = function
        .instructions()
        .iter()
        .find(|instruction| step::calls(instruction) && instruction.near_branch_target() == SLEEP)
        .unwrap();
    function.at(VirtAddr(call.next_ip()), true, effects).unwrap()
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

/// `int get(o) { if (o->x) return -22; lock(o + 8); return 0; }`
fn get() -> Summary {
    summary(|a| {
        let (mut bad, mut out) = (a.create_label(), a.create_label());
        a.push(rbx)?;
        a.mov(rbx, rdi)?;
        a.cmp(dword_ptr(rdi), 0)?;
        a.jne(bad)?;
        a.lea(rdi, rbx + 8)?;
        a.call(LOCK)?;
        a.xor(eax, eax)?;
        a.set_label(&mut out)?;
        a.pop(rbx)?;
        a.ret()?;
        a.set_label(&mut bad)?;
        a.mov(eax, -22)?;
        a.jmp(out)
    })
}

#[test]
fn a_function_that_returns_zero_with_a_lock_is_summed_up_so() {
    let [take] = &get().takes[..] else { panic!("{:?}", get()) };
    let of = Of::Callers(Value::entry(Register::Rdi).plus(8));
    let wanted = Take { class: CLASS, of, when: When::Zero, always: true, by_store: true };
    assert_eq!(*take, wanted);
    assert_eq!(get().gives, []);
}

#[test]
fn a_caller_holds_what_a_helper_took_for_it_where_its_result_says_so() {
    let both = |held_when_zero: bool| {
        asleep_with(&WithHelper(get()), |a| {
            let mut out = a.create_label();
            a.push(rbx)?;
            a.mov(rbx, rdi)?;
            a.call(HELPER)?;
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
    let [taken] = &both(true).after.taken[..] else { panic!() };
    assert!(taken.certain());
    assert_eq!(taken.argument, Some(Value::entry(Register::Rdi).plus(8)));
    assert_eq!(both(false).after.taken, []);
}

#[test]
fn a_helper_that_ends_by_jumping_to_the_unlock_gives_back() {
    let put = summary(|a| {
        a.lea(rdi, rdi + 8)?;
        a.jmp(UNLOCK)
    });
    assert_eq!(put.takes, []);
    let argument = Some(Value::entry(Register::Rdi).plus(8));
    assert_eq!(put.gives, [Given { class: CLASS, argument, always: true }]);
    let passage = asleep_with(&WithHelper(put), |a| {
        a.push(rbx)?;
        a.mov(rbx, rdi)?;
        a.lea(rdi, rbx + 8)?;
        a.call(LOCK)?;
        a.mov(rdi, rbx)?;
        a.call(HELPER)?;
        a.call(SLEEP)?;
        a.ret()
    });
    assert_eq!(passage.after.taken, []);
}

#[test]
fn a_search_that_returns_the_object_it_locked_is_summed_up_by_its_result() {
    let find = summary(|a| {
        let (mut again, mut none, mut out) = (a.create_label(), a.create_label(), a.create_label());
        a.push(rbx)?;
        a.mov(rbx, qword_ptr(rdi))?;
        a.set_label(&mut again)?;
        a.test(rbx, rbx)?;
        a.je(none)?;
        a.lea(rdi, rbx + 0x20)?;
        a.call(LOCK)?;
        a.mov(rax, rbx)?;
        a.cmp(dword_ptr(rbx), 5)?;
        a.je(out)?;
        a.lea(rdi, rbx + 0x20)?;
        a.call(UNLOCK)?;
        a.mov(rbx, qword_ptr(rbx + 8))?;
        a.jmp(again)?;
        a.set_label(&mut none)?;
        a.xor(eax, eax)?;
        a.set_label(&mut out)?;
        a.pop(rbx)?;
        a.jmp(THUNK)
    });
    let [take] = &find.takes[..] else { panic!("{find:?}") };
    assert_eq!((&take.of, take.when, take.always), (&Of::Returned(0x20), When::NonZero, true));
}

#[test]
fn a_trylock_handed_through_is_told_by_the_helpers_result() {
    let tried = summary(|a| a.jmp(TRYLOCK));
    assert_eq!((tried.takes[0].when, tried.takes[0].always), (When::NonZero, true));
    // return trylock(o) != 0
    let asked = summary(|a| {
        a.sub(rsp, 8)?;
        a.call(TRYLOCK)?;
        a.test(eax, eax)?;
        a.setne(al)?;
        a.movzx(eax, al)?;
        a.add(rsp, 8)?;
        a.ret()
    });
    assert_eq!((asked.takes[0].when, asked.takes[0].always), (When::NonZero, true));
}

#[test]
fn a_writer_that_became_a_reader_holds_as_a_reader() {
    let passage = asleep(|a| {
        a.push(rbx)?;
        a.mov(rbx, rdi)?;
        a.call(LOCK)?;
        a.mov(rdi, rbx)?;
        a.call(DOWNGRADE)?;
        a.call(SLEEP)?;
        a.ret()
    });
    let [taken] = &passage.after.taken[..] else { panic!() };
    assert_eq!((taken.class, taken.certain()), (CLASS + 1, true));
}

#[test]
fn readers_that_count_themselves_without_a_call_are_seen() {
    let at = |leave: bool| {
        asleep(|a| {
            a.push(rbx)?;
            a.mov(rbx, rdi)?;
            a.mov(rax, qword_ptr(rdi + 0x48))?;
            a.inc(dword_ptr(rax).gs())?;
            if leave {
                a.mov(rax, qword_ptr(rbx + 0x48))?;
                a.dec(dword_ptr(rax).gs())?;
            }
            a.call(SLEEP)?;
            a.ret()
        })
    };
    let [taken] = &at(false).after.taken[..] else { panic!() };
    assert_eq!(taken.argument, Some(Value::entry(Register::Rdi).plus(8)));
    assert_eq!(at(true).after.taken, []);
}

#[test]
fn two_ways_to_take_the_same_lock_are_one() {
    let passage = asleep(|a| {
        let (mut wait, mut go, mut out) = (a.create_label(), a.create_label(), a.create_label());
        a.push(rbx)?;
        a.mov(rbx, rdi)?;
        a.test(esi, esi)?;
        a.je(wait)?;
        a.call(TRYLOCK)?;
        a.test(eax, eax)?;
        a.jne(go)?;
        a.jmp(out)?;
        a.set_label(&mut wait)?;
        a.call(LOCK)?;
        a.set_label(&mut go)?;
        a.call(SLEEP)?;
        a.set_label(&mut out)?;
        a.ret()
    });
    let [taken] = &passage.after.taken[..] else { panic!("{:?}", passage.after.taken) };
    assert!(taken.certain());
}

#[test]
fn an_unlock_under_another_name_leaves_a_doubt() {
    let passage = asleep(|a| {
        a.push(rbx)?;
        a.push(rbp)?;
        a.mov(rbx, rdi)?;
        a.mov(rbp, qword_ptr(rdi))?;
        a.mov(rdi, rbp)?;
        a.call(LOCK)?;
        a.mov(rdi, qword_ptr(rbx))?;
        a.call(UNLOCK)?;
        a.call(SLEEP)?;
        a.ret()
    });
    let [taken] = &passage.after.taken[..] else { panic!() };
    assert_eq!(taken.maybe_given.len(), 1, "the same address read twice: {taken:?}");
    assert!(taken.maybe_given[0].always);
}

#[test]
fn what_a_callee_may_have_written_to_is_not_remembered() {
    let passage = asleep(|a| {
        a.push(rbx)?;
        a.sub(rsp, 0x10)?;
        a.mov(qword_ptr(rsp), 0)?;
        a.mov(rdi, rsp)?;
        a.call(ENTRY + 0x2000)?;
        a.call(SLEEP)?;
        a.ret()
    });
    assert_eq!(passage.after.stack().map(|(at, _)| at).collect::<Vec<_>>(), [-8]);
}

#[test]
fn a_helpers_inlined_unlock_is_found_in_its_stores() {
    let put = assembled(|a| {
        a.dec(dword_ptr(rdi + 4))?;
        a.mov(byte_ptr(rdi + 8), 0)?;
        a.ret()
    });
    assert_eq!(*put.releasing_stores(), [Value::entry(Register::Rdi).plus(8)]);
}

#[test]
fn only_what_unlocking_looks_like_is_a_releasing_store() {
    let stores = |build: &dyn Fn(&mut CodeAssembler) -> Result<(), IcedError>| {
        let put = assembled(|a| {
            build(a)?;
            a.ret()
        });
        put.releasing_stores().len()
    };
    assert_eq!(stores(&|a| a.mov(byte_ptr(rdi), 0)), 1);
    assert_eq!(stores(&|a| a.mov(byte_ptr(rdi), 1)), 0);
    assert_eq!(stores(&|a| a.mov(dword_ptr(rdi), 0)), 0);
    assert_eq!(stores(&|a| a.inc(word_ptr(rdi))), 1);
    assert_eq!(stores(&|a| a.sub(dword_ptr(rdi), 1)), 0);
    assert_eq!(stores(&|a| a.lock().sub(dword_ptr(rdi), 1)), 1);
    // The stack is no lock of a caller's.
    assert_eq!(stores(&|a| a.mov(byte_ptr(rsp - 8), 0)), 0);
}

#[test]
fn a_return_address_is_right_behind_its_call() {
    let function = assembled(|a| {
        a.call(LOCK)?;
        a.nop()?;
        a.ret()
    });
    let behind = function.instructions()[0].next_ip();
    assert_eq!(function.call_before(VirtAddr(behind)), Some(VirtAddr(LOCK)));
    assert_eq!(function.call_before(VirtAddr(behind - 1)), None);
    assert_eq!(function.call_before(VirtAddr(behind + 1)), None);
}

#[test]
fn a_bit_is_taken_only_by_setting_it_at_once_with_looking_at_it() {
    assert!(assembled(|a| a.lock().bts(qword_ptr(rdi), 0)).sets_bits());
    assert!(!assembled(|a| a.bts(qword_ptr(rdi), 0)).sets_bits());
    assert!(!assembled(|a| a.lock().or(qword_ptr(rdi), 1)).sets_bits());
}

#[test]
fn loads_from_loads_are_told_apart_only_so_deep() {
    let slot = Slot::Register(Register::Rax);
    let mut value = Value::entry(Register::Rdi);
    for ip in 0..4 {
        value = value.load(ip, slot);
        assert!(matches!(value.base, Base::Loaded { .. }));
    }
    assert_eq!(value.load(9, slot), Value::made(9, slot));
}

#[test]
fn a_trylock_whose_result_nobody_has_looked_at_is_not_certain() {
    let passage = asleep(|a| {
        a.call(TRYLOCK)?;
        a.call(SLEEP)?;
        a.ret()
    });
    let [taken] = &passage.before.taken[..] else { panic!() };
    assert!(!taken.certain());
}

/// Which of two paths takes a lock: the one that the test jumps over, the one that it jumps to, or the one
/// before it, so that the state with the lock is the first to arrive where the paths meet.
#[derive(Clone, Copy, Debug)]
enum Path {
    Skipped,
    JumpedTo,
    First,
}

/// Takes the lock that rdi names on one of two paths, by a test of its second argument.
fn on_one_path(path: Path) -> Passage {
    asleep(|a| {
        let (mut sleep, mut other) = (a.create_label(), a.create_label());
        a.push(rbx)?;
        a.test(esi, esi)?;
        match path {
            Path::Skipped => {
                a.je(sleep)?;
                a.call(LOCK)?;
            }
            Path::JumpedTo => a.jne(other)?,
            Path::First => {
                a.je(other)?;
                a.call(LOCK)?;
                a.jmp(sleep)?;
                a.set_label(&mut other)?;
                a.nop()?;
            }
        }
        a.set_label(&mut sleep)?;
        a.call(SLEEP)?;
        a.pop(rbx)?;
        a.ret()?;
        if let Path::JumpedTo = path {
            a.set_label(&mut other)?;
            a.call(LOCK)?;
            a.jmp(sleep)?;
        }
        Ok(())
    })
}

#[test]
fn a_lock_taken_on_one_path_is_not_certain_whichever_path_is_followed_first() {
    for path in [Path::Skipped, Path::JumpedTo, Path::First] {
        let [taken] = &on_one_path(path).before.taken[..] else { panic!("{path:?}") };
        assert!(!taken.certain(), "{path:?}");
    }
}

#[test]
fn a_trylock_whose_result_was_looked_at_on_one_path_only_is_not_certain() {
    let passage = asleep(|a| {
        let (mut sleep, mut out) = (a.create_label(), a.create_label());
        a.push(rbx)?;
        a.mov(ebx, esi)?;
        a.call(TRYLOCK)?;
        a.test(ebx, ebx)?;
        a.je(sleep)?;
        a.test(eax, eax)?;
        a.je(out)?;
        a.set_label(&mut sleep)?;
        a.call(SLEEP)?;
        a.set_label(&mut out)?;
        a.pop(rbx)?;
        a.ret()
    });
    let [taken] = &passage.before.taken[..] else { panic!("{passage:?}") };
    assert!(!taken.certain());
}

#[test]
fn a_path_on_which_a_result_cannot_be_negative_is_not_the_one_for_errors() {
    // What a function leaves in eax where it took the lock and where it did not, tested by its sign.
    let held = |taken: i32, not_taken: i32| {
        let passage = asleep(|a| {
            let (mut skip, mut test, mut out) =
                (a.create_label(), a.create_label(), a.create_label());
            a.push(rbx)?;
            a.test(esi, esi)?;
            a.je(skip)?;
            a.call(LOCK)?;
            a.mov(rax, i64::from(taken))?;
            a.jmp(test)?;
            a.set_label(&mut skip)?;
            a.mov(rax, i64::from(not_taken))?;
            a.set_label(&mut test)?;
            a.test(rax, rax)?;
            a.js(out)?;
            a.call(SLEEP)?;
            a.set_label(&mut out)?;
            a.pop(rbx)?;
            a.ret()
        });
        passage.before.taken.iter().map(Taken::certain).collect::<Vec<_>>()
    };
    assert_eq!(held(0, -19), [true]);
    // No error number, but negative all the same.
    assert_eq!(held(7, -5000), [true]);
    assert_eq!(held(-5000, 1), [false; 0]);
    assert_eq!(held(1, 0), [false]);
}

#[test]
fn an_unlock_in_an_earlier_turn_of_a_loop_whose_name_is_lost_leaves_a_doubt() {
    let passage = asleep(|a| {
        let mut again = a.create_label();
        a.push(rbx)?;
        a.mov(rbx, rdi)?;
        a.call(LOCK)?;
        a.set_label(&mut again)?;
        a.mov(rdi, qword_ptr(rbx))?;
        a.call(UNLOCK)?;
        a.call(SLEEP)?;
        a.jmp(again)
    });
    let [taken] = &passage.before.taken[..] else { panic!("{passage:?}") };
    // This turn's has a name, which will tell; the last turn's has none any more.
    assert_eq!(taken.maybe_given.len(), 1);
    assert!(!taken.always);
}

#[test]
fn a_helper_that_gives_back_nobody_knows_which_leaves_a_doubt_of_what_its_caller_holds() {
    let nobody_knows = Given { class: CLASS, argument: None, always: true };
    let put = Summary { gives: vec![nobody_knows], ..Summary::default() };
    for (always, before) in [(true, false), (false, false), (false, true)] {
        let passage = asleep_with(&WithHelper(put.clone()), |a| {
            let (mut put, mut sleep) = (a.create_label(), a.create_label());
            a.push(rbx)?;
            a.push(rbp)?;
            a.mov(rbx, rdi)?;
            a.mov(ebp, esi)?;
            a.call(LOCK)?;
            a.mov(rdi, rbx)?;
            a.test(ebp, ebp)?;
            match (always, before) {
                (true, _) => a.nop()?,
                (_, true) => a.jne(put)?,
                _ => a.je(sleep)?,
            }
            if before {
                a.jmp(sleep)?;
            }
            a.set_label(&mut put)?;
            a.call(HELPER)?;
            a.set_label(&mut sleep)?;
            a.call(SLEEP)?;
            a.ret()
        });
        let [taken] = &passage.before.taken[..] else { panic!("{always} {before}") };
        assert!(!taken.certain(), "{always} {before}");
    }
}

#[test]
fn a_helper_that_unlocked_what_may_be_the_same_lock_is_not_sure_to_return_with_it() {
    let get = summary(|a| {
        a.push(rbx)?;
        a.mov(rbx, rsi)?;
        a.call(LOCK)?;
        a.mov(rdi, qword_ptr(rbx))?;
        a.call(UNLOCK)?;
        a.pop(rbx)?;
        a.ret()
    });
    let [take] = &get.takes[..] else { panic!("{get:?}") };
    assert!(!take.always);
}

#[test]
fn an_unlock_under_another_name_on_one_path_leaves_a_doubt_on_all() {
    for skip_when_zero in [false, true] {
        let passage = asleep(|a| {
            let mut sleep = a.create_label();
            a.push(rbx)?;
            a.push(rbp)?;
            a.mov(rbx, rdi)?;
            a.mov(ebp, esi)?;
            a.call(LOCK)?;
            a.test(ebp, ebp)?;
            if skip_when_zero {
                a.je(sleep)?
            } else {
                a.jne(sleep)?
            }
            a.mov(rdi, qword_ptr(rbx))?;
            a.call(UNLOCK)?;
            a.set_label(&mut sleep)?;
            a.call(SLEEP)?;
            a.ret()
        });
        let [taken] = &passage.before.taken[..] else { panic!() };
        assert_eq!(taken.maybe_given.len(), 1, "{taken:?}");
        assert!(!taken.maybe_given[0].always);
    }
}

/// `void put(o, last) { if (last) unlock(o + 8); }`, or unlocks always.
fn put(sometimes: bool) -> Summary {
    summary(|a| {
        let mut out = a.create_label();
        a.test(esi, esi)?;
        if sometimes {
            a.je(out)?;
        } else {
            a.nop()?;
        }
        a.add(rdi, 8)?;
        a.call(UNLOCK)?;
        a.set_label(&mut out)?;
        a.ret()
    })
}

#[test]
fn a_helper_that_unlocks_on_one_path_only_leaves_its_caller_a_doubt() {
    for sometimes in [true, false] {
        let passage = asleep_with(&WithHelper(put(sometimes)), |a| {
            a.push(rbx)?;
            a.mov(rbx, rdi)?;
            a.lea(rdi, rbx + 8)?;
            a.call(LOCK)?;
            a.lea(rdi, rbx + 0x20)?;
            a.call(LOCK)?;
            a.mov(rdi, rbx)?;
            a.call(HELPER)?;
            a.call(SLEEP)?;
            a.ret()
        });
        let held = passage.before.taken.iter().map(|it| (it.argument.clone(), it.certain()));
        let lock = |at| Some(Value::entry(Register::Rdi).plus(at));
        let other = (lock(0x20), true);
        match sometimes {
            true => assert_eq!(held.collect::<Vec<_>>(), [(lock(8), false), other]),
            false => assert_eq!(held.collect::<Vec<_>>(), [other]),
        }
    }
}

#[test]
fn many_unlocks_are_not_forgotten_but_lose_their_names() {
    let put = summary(|a| {
        a.push(rbx)?;
        a.mov(rbx, rdi)?;
        for at in 0..12 {
            a.lea(rdi, rbx + 8 * at)?;
            a.call(UNLOCK)?;
        }
        a.pop(rbx)?;
        a.ret()
    });
    assert!(put.gives.len() < 12);
    assert!(put.gives.contains(&Given { class: CLASS, argument: None, always: false }));
}
