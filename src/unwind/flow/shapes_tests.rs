//! Machine code of the shapes in which drivers and file systems hold locks, as Debian's compilers made
//! it of C. The calls, which the kernel's module loader fills in, lead to what is said of them.

use super::tests::{
    ENTRY, LOCK as LOCK_ALWAYS, LOCK_KILLABLE, LOCK_TRY_ZERO, Locks, SLEEP, THUNK, UNLOCK,
};
use super::*;
use crate::unwind::Register;

/// Code with the calls and jumps at these offsets led to these functions.
fn linked(code: &str, calls: &[(u64, u64)]) -> Function {
    let digits = code.as_bytes().chunks(2).map(|pair| std::str::from_utf8(pair).unwrap());
    let mut code: Vec<u8> = digits.map(|pair| u8::from_str_radix(pair, 16).unwrap()).collect();
    // The call of `__fentry__` is a nop once the kernel has booted.
    code[..5].copy_from_slice(&[0x0f, 0x1f, 0x44, 0, 0]);
    for (at, target) in calls {
        let place = usize::try_from(*at).unwrap() + 1;
        let distance = i32::try_from(target.wrapping_sub(ENTRY + at + 5).cast_signed()).unwrap();
        code[place..place + 4].copy_from_slice(&distance.to_le_bytes());
    }
    Function::decode(&code, VirtAddr(ENTRY))
}

/// What is known at the return address of the call of `SLEEP`.
fn asleep(function: &Function, effects: &dyn Effects) -> Passage {
    let to_sleep =
        |it: &&iced_x86::Instruction| step::calls(it) && it.near_branch_target() == SLEEP;
    let call = function.instructions().iter().find(to_sleep).unwrap();
    function.at(VirtAddr(call.next_ip()), true, effects).unwrap()
}

/// A function whose calls of what lies at `SELF` are of one that comes to this.
struct Calling(Summary);

const GET: u64 = ENTRY + 0x1100;

impl Effects for Calling {
    fn of_call(&self, target: VirtAddr) -> Effect {
        match target.0 {
            GET => Effect::Several(Arc::new(self.0.clone())),
            _ => Locks.of_call(target),
        }
    }
}

fn certain(passage: &Passage) -> Vec<bool> {
    passage.before.taken.iter().map(Taken::certain).collect()
}

#[test]
fn a_lock_is_held_where_its_result_is_not_negative() {
    // int r = down_timeout(&o->sem, 1000); if (r < 0) return r; r = work(o, 3); up(&o->sem);
    let code = "e80000000041544c8d6708bee8030000554889fd4c89e753e80000000089c385c078174889efbe03000000\
                e8000000004c89e789c3e80000000089d85b5d415ce900000000";
    let calls = [(0x18, LOCK_KILLABLE), (0x2b, SLEEP), (0x35, UNLOCK), (0x40, THUNK)];
    let passage = asleep(&linked(code, &calls), &Locks);
    assert_eq!(certain(&passage), [true]);
}

#[test]
fn a_search_that_returns_a_locked_object_or_an_error_is_told_by_its_result() {
    // list_for_each_entry(…) if (o->id == id) { if (down_killable(&o->sem)) return ERR_PTR(-EINTR);
    // return o; } return ERR_PTR(-ENOENT);
    let find = "e800000000488b050000000053483d000000007436488d5880eb13488b8380000000488d5880483d00000000\
                741d48393b75e8488d7b08e80000000085c048c7c0fcffffff480f45d8eb0748c7c3feffffff4889d85b\
                e900000000";
    let find = linked(find, &[(55, LOCK_KILLABLE), (86, THUNK)]).summary(&Locks).unwrap();
    let [take] = &find.takes[..] else { panic!("{find:?}") };
    assert_eq!((&take.of, take.when, take.always), (&Of::Returned(8), When::NoError, true));
    // o = find(id); if (IS_ERR(o)) return PTR_ERR(o); r = work(o, 4); up(&o->sem);
    let code = "e8000000005553e8000000004889c389c5483d00f0ffff77184889c7be04000000e800000000488d7b0889c5\
                e80000000089e85b5de900000000";
    let calls = [(7, GET), (33, SLEEP), (44, UNLOCK), (53, THUNK)];
    let passage = asleep(&linked(code, &calls), &Calling(find));
    assert_eq!(certain(&passage), [true]);
    let held = passage.before.taken[0].argument.as_ref().unwrap();
    assert_eq!(*held, passage.after.register(Register::Rbx).unwrap().plus(8));
}

#[test]
fn a_result_turned_into_its_opposite_is_followed() {
    // return !down_trylock(&o->sem), which returns 0 when it took it
    let code = "e8000000004883c708e80000000085c00f94c0e900000000";
    let tried = linked(code, &[(9, LOCK_TRY_ZERO), (19, THUNK)]).summary(&Locks).unwrap();
    assert_eq!((tried.takes[0].when, tried.takes[0].always), (When::NonZero, true));
}

#[test]
fn a_helper_that_returns_a_number_or_an_error_took_it_where_there_is_none() {
    // if (o->flags) return -EIO; r = down_interruptible(&o->sem); if (r) return -ERESTARTSYS;
    // return ++o->users;
    let code = "e8000000008b875001000085c07526534889fb488d7f08e80000000085c0751f8b834c01000083c00189834c\
                0100005be900000000b8fbffffffe900000000b800feffff5be900000000";
    let calls = [(23, LOCK_KILLABLE), (48, THUNK), (58, THUNK), (69, THUNK)];
    let get = linked(code, &calls).summary(&Locks).unwrap();
    assert_eq!((get.takes[0].when, get.takes[0].always), (When::NoError, true));
}

#[test]
fn what_was_taken_before_going_on_in_another_function_is_known_there() {
    // down(&o->sem); o->users++; return rest(o);
    let code = "e800000000534889fb488d7f08e80000000083834c010000014889df5be900000000";
    let function = linked(code, &[(13, LOCK_ALWAYS), (29, SLEEP)]);
    let state = function.going_on(VirtAddr(SLEEP), &Locks).unwrap();
    let [taken] = &state.taken[..] else { panic!("{:?}", state.taken) };
    assert!(taken.certain());
    assert_eq!(taken.argument, Some(Value::entry(Register::Rdi).plus(8)));
    assert_eq!(state.register(Register::Rdi), Some(&Value::entry(Register::Rdi)));
    assert_eq!(state.register(Register::Rbx), Some(&Value::entry(Register::Rbx)));
    assert_eq!(state.stack().count(), 0, "its frame is gone");
    assert!(function.going_on(VirtAddr(UNLOCK), &Locks).is_none());
}

const THROUGH_RAX: u64 = ENTRY + 0x1200;

/// As [`Locks`], and calls through pointers at these places lead to these functions.
struct Pointing(&'static [(u64, u64)]);

impl Effects for Pointing {
    fn of_call(&self, target: VirtAddr) -> Effect {
        match target.0 {
            THROUGH_RAX => Effect::Through(Register::Rax),
            _ => Locks.of_call(target),
        }
    }

    fn of_pointer(&self, ip: u64, _: &Value) -> Option<VirtAddr> {
        let found = self.0.iter().find(|(at, _)| ENTRY + at == ip);
        found.map(|(_, target)| VirtAddr(*target))
    }
}

#[test]
fn a_lock_taken_through_a_table_of_functions_is_held_once_the_pointer_is_known() {
    // e = o->ops->lock(o); if (e) return e; e = o->ops->run(o, 4); o->ops->unlock(o);
    let code = "e8000000005553488b87900000004889fb488b00e80000000089c585c0752d488b83900000004889dfbe040000\
                00488b4010e8000000004889df89c5488b8390000000488b4008e80000000089e85b5de900000000";
    let calls = [(20, THROUGH_RAX), (50, THROUGH_RAX), (71, THROUGH_RAX), (80, THUNK)];
    let function = linked(code, &calls);
    let in_run = VirtAddr(ENTRY + 55);
    let before = function.at(in_run, true, &Pointing(&[])).unwrap().before;
    assert_eq!(before.taken, []);
    // The pointer to `lock` is the only one on the way, and is o->ops->lock.
    let [(at, pointer)] = &function.pointers(in_run, &Pointing(&[]))[..] else { panic!() };
    assert_eq!(*at, ENTRY + 20);
    let Base::Loaded { from, .. } = &pointer.base else { panic!("{pointer:?}") };
    let Base::Loaded { from, .. } = &from.base else { panic!("{pointer:?}") };
    assert_eq!(**from, Value::entry(Register::Rdi).plus(0x90));
    let before = function.at(in_run, true, &Pointing(&[(20, LOCK_KILLABLE)])).unwrap().before;
    let [taken] = &before.taken[..] else { panic!("{:?}", before.taken) };
    assert!(taken.certain());
    assert_eq!(taken.argument, Some(Value::entry(Register::Rdi)));
    // After `unlock` it is not held any more.
    let all = Pointing(&[(20, LOCK_KILLABLE), (71, UNLOCK)]);
    let after = function.at(VirtAddr(ENTRY + 76), true, &all).unwrap().after;
    assert_eq!(after.taken, []);
    assert_eq!(function.pointers(VirtAddr(ENTRY + 76), &Pointing(&[])).len(), 2);
}

#[test]
fn a_lock_that_is_a_bit_is_taken_where_it_was_not_set_before() {
    // return !test_and_set_bit_lock(PG_locked, &folio->flags);
    let code = "f0480fba2f000f93c0c3";
    let digits = (0..code.len()).step_by(2).map(|at| u8::from_str_radix(&code[at..at + 2], 16));
    let code: Vec<u8> = digits.map(Result::unwrap).collect();
    let tried = Function::decode(&code, VirtAddr(ENTRY)).summary(&Locks).unwrap();
    let [take] = &tried.takes[..] else { panic!("{tried:?}") };
    let of = Of::Callers(Value::entry(Register::Rdi));
    assert_eq!((&take.of, take.when, take.always), (&of, When::NonZero, true));
}

#[test]
fn a_search_that_leaves_a_locked_object_where_it_is_told_is_followed_by_its_caller() {
    // list_for_each_entry(…) if (o->id == 44) { down_read(&o->rw); *out = o; return 0; } return -ENOENT;
    let find = "e800000000488b47504883c7504839c7743e554889f553488d5880eb10488b8380000000488d58804839c7741c\
                48833b2c75ea488d7b20e80000000048895d0031c05b5de900000000b8feffffffebf2b8feffffffe900000000";
    let find = linked(find, &[(0x37, LOCK_ALWAYS), (0x44, THUNK), (0x55, THUNK)]);
    let find = find.summary(&Locks).unwrap();
    let [take] = &find.takes[..] else { panic!("{find:?}") };
    let of = Of::Written(Value::entry(Register::Rsi), 0x20);
    assert_eq!((&take.of, take.when, take.always), (&of, When::Zero, true));
    // int r = find(d, 44, &o); if (r < 0) return r; r = work(o, n); up_read(&o->rw);
    let code = "e80000000055534883ec1065488b042528000000488944240831c04889e648c7042400000000e80000000089c3\
                85c0781c488b2c24be030000004889efe800000000488d7d2089c3e800000000488b44240865482b042528000000\
                750d4883c41089d85b5de900000000e800000000";
    let calls = [(0x26, GET), (0x3d, SLEEP), (0x48, UNLOCK), (0x65, THUNK), (0x6a, SLEEP + 0x2000)];
    let function = linked(code, &calls);
    let passage = asleep(&function, &Calling(find.clone()));
    assert_eq!(certain(&passage), [true]);
    let held = passage.before.taken[0].argument.as_ref().unwrap();
    assert_eq!(*held, passage.after.register(Register::Rbp).unwrap().plus(0x20));
    // Behind the unlock it is not held any more.
    let behind = function.at(VirtAddr(ENTRY + 0x4d), true, &Calling(find)).unwrap();
    assert_eq!(behind.after.taken, []);
}
