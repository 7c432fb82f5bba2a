//! Functions that get a struct of their caller's stack, constants, or parts of their own elsewhere: as
//! compilers made them of C.

use super::tests::{CLASS, ENTRY, LOCK, Locks, SLEEP, UNLOCK, asleep_with, assembled, summary};
use super::*;
use crate::unwind::Register;
use iced_x86::code_asm::*;

const BEGIN: u64 = ENTRY + 0x1300;
const END: u64 = ENTRY + 0x1310;
const STEP: u64 = ENTRY + 0x1320;

/// As [`Locks`], with functions that come to this; `STEP` writes what is said.
#[derive(Default)]
struct Helpers {
    begin: Summary,
    end: Summary,
    step: Option<Writes>,
}

impl Effects for Helpers {
    fn of_call(&self, target: VirtAddr) -> Effect {
        match target.0 {
            BEGIN => Effect::Several(Arc::new(self.begin.clone())),
            END => Effect::Several(Arc::new(self.end.clone())),
            _ => Locks.of_call(target),
        }
    }

    fn writes_of(&self, target: VirtAddr) -> Option<Arc<Writes>> {
        self.step.clone().filter(|_| target.0 == STEP).map(Arc::new)
    }
}

/// `int get(o, struct obj **out) { if (!o) return -ENODEV; lock(&o->lock); *out = o; return 0; }`
fn get() -> Summary {
    summary(|a| {
        let mut none = a.create_label();
        a.test(rdi, rdi)?;
        a.je(none)?;
        a.push(rbp)?;
        a.mov(rbp, rsi)?;
        a.push(rbx)?;
        a.mov(rbx, rdi)?;
        a.lea(rdi, rdi + 8)?;
        a.call(LOCK)?;
        a.mov(qword_ptr(rbp), rbx)?;
        a.xor(eax, eax)?;
        a.pop(rbx)?;
        a.pop(rbp)?;
        a.ret()?;
        a.set_label(&mut none)?;
        a.mov(eax, -19)?;
        a.ret()
    })
}

#[test]
fn an_object_that_is_returned_locked_through_a_pointer_is_known_by_where_that_points() {
    let [take] = &get().takes[..] else { panic!("{:?}", get()) };
    let of = Of::Written(Value::entry(Register::Rsi), 8);
    assert_eq!((&take.of, take.when, take.always), (&of, When::Zero, true));
    for unlock in [false, true] {
        let passage = asleep_with(&Helpers { begin: get(), ..Helpers::default() }, |a| {
            let mut out = a.create_label();
            a.push(rbp)?;
            a.sub(rsp, 0x10)?;
            a.mov(rdi, qword_ptr(rdi + 8))?;
            a.mov(rsi, rsp)?;
            a.call(BEGIN)?;
            a.test(eax, eax)?;
            a.jne(out)?;
            a.mov(rbp, qword_ptr(rsp))?;
            if unlock {
                a.lea(rdi, rbp + 8)?;
                a.call(UNLOCK)?;
            }
            a.mov(rdi, rbp)?;
            a.call(SLEEP)?;
            a.set_label(&mut out)?;
            a.add(rsp, 0x10)?;
            a.pop(rbp)?;
            a.ret()
        });
        let object = passage.after.register(Register::Rbp).unwrap();
        let held: Vec<_> = passage.before.taken.iter().map(|it| it.argument.clone()).collect();
        let expected = [Some(object.plus(8))];
        assert_eq!(held, if unlock { &[][..] } else { &expected[..] });
        assert!(passage.before.taken.iter().all(Taken::certain));
    }
}

/// `void begin(c, o) { c->o = o; c->n = 3; lock(&o->lock); }`; `keep` gives the context to others.
fn begin(keep: bool) -> Summary {
    summary(|a| {
        a.push(rbx)?;
        a.mov(qword_ptr(rdi), rsi)?;
        a.mov(dword_ptr(rdi + 8), 3)?;
        a.lea(rbx, rsi + 0x20)?;
        a.xor(esi, esi)?;
        if keep {
            a.call(ENTRY + 0x2000)?;
        }
        a.mov(rdi, rbx)?;
        a.call(LOCK)?;
        a.pop(rbx)?;
        a.ret()
    })
}

/// `void end(c) { unlock(&c->o->lock); }`
fn end() -> Summary {
    summary(|a| {
        a.mov(rdi, qword_ptr(rdi))?;
        a.add(rdi, 0x20)?;
        a.jmp(UNLOCK)
    })
}

/// `void step(c) { c->error = 1; }`, or one that hands `c` on.
fn step(hands_on: bool) -> Writes {
    let step = summary(|a| {
        a.mov(dword_ptr(rdi + 0x0c), 1)?;
        if hands_on {
            a.call(ENTRY + 0x2000)?;
        }
        a.ret()
    });
    step.writes
}

/// `struct context c; begin(&c, o); step(&c); end(&c); sleep();`, or without the `end`.
fn context(helpers: &Helpers, ends: bool) -> Passage {
    asleep_with(helpers, |a| {
        a.push(rbx)?;
        a.mov(rsi, rdi)?;
        a.sub(rsp, 0x20)?;
        a.mov(rdi, rsp)?;
        a.call(BEGIN)?;
        a.mov(rdi, rsp)?;
        a.call(STEP)?;
        if ends {
            a.mov(rdi, rsp)?;
            a.call(END)?;
        }
        a.call(SLEEP)?;
        a.add(rsp, 0x20)?;
        a.pop(rbx)?;
        a.ret()
    })
}

#[test]
fn what_a_function_left_in_a_struct_on_its_callers_stack_is_found_there_by_another() {
    let helpers = Helpers { begin: begin(false), end: end(), step: Some(step(false)) };
    let passage = context(&helpers, false);
    let [taken] = &passage.before.taken[..] else { panic!("{:?}", passage.before.taken) };
    assert!(taken.certain());
    assert_eq!(taken.argument, Some(Value::entry(Register::Rdi).plus(0x20)));
    // It is still on the stack, where its figure is read.
    let object = Value::entry(Register::Rdi);
    assert!(passage.after.stack().any(|(_, value)| *value == object));
    // And whoever gave it back by the struct does not hold it.
    assert_eq!(context(&helpers, true).before.taken, []);
}

#[test]
fn a_struct_that_went_to_others_may_have_changed() {
    let kept = Helpers { begin: begin(true), end: end(), step: Some(step(false)) };
    let handed_on = Helpers { begin: begin(false), end: end(), step: Some(step(true)) };
    let unknown = Helpers { begin: begin(false), end: end(), step: None };
    for helpers in [kept, handed_on, unknown] {
        let passage = context(&helpers, true);
        let [taken] = &passage.before.taken[..] else { panic!("{:?}", passage.before.taken) };
        // It may be given back: the address that lies there decides.
        let [given] = &taken.maybe_given[..] else { panic!("{taken:?}") };
        let Some(Base::Loaded { from, .. }) = given.argument.as_ref().map(|it| &it.base) else {
            panic!("{given:?}")
        };
        assert_eq!(from.on_stack(), Some(-0x28));
    }
}

#[test]
fn an_element_written_at_an_unknown_place_of_a_struct_leaves_nothing_known_of_it() {
    let writes = summary(|a| {
        a.mov(qword_ptr(rdi), rsi)?;
        a.mov(qword_ptr(rdi + rdx * 8), rcx)?;
        a.ret()
    });
    assert!(!writes.writes.tells_of(Register::Rdi));
    let plain = summary(|a| {
        a.mov(qword_ptr(rdi), rsi)?;
        a.ret()
    });
    let known: Vec<_> = plain.writes.behind(Register::Rdi).collect();
    assert_eq!(known, [(0, 8, Some(&Value::entry(Register::Rsi)))]);
    assert!(plain.writes.tells_of(Register::Rdi) && !plain.writes.tells_of(Register::Rsi));
}

/// `void lock_by(o, how) { if (how & 4) lock(o); if (how & 2) lock(o + 8); }`
fn by_flags() -> Function {
    assembled(|a| {
        let (mut second, mut out) = (a.create_label(), a.create_label());
        a.push(rbp)?;
        a.push(rbx)?;
        a.mov(rbp, rdi)?;
        a.mov(ebx, esi)?;
        a.test(sil, 4)?;
        a.je(second)?;
        a.call(LOCK)?;
        a.set_label(&mut second)?;
        a.and(ebx, 2)?;
        a.je(out)?;
        a.lea(rdi, rbp + 8)?;
        a.call(LOCK)?;
        a.set_label(&mut out)?;
        a.pop(rbx)?;
        a.pop(rbp)?;
        a.ret()
    })
}

#[test]
fn a_function_that_locks_by_flags_is_known_where_these_are_constants() {
    let with = |flags: Option<i64>| {
        let numbers: Vec<_> = flags.map(|flags| (Register::Rsi, flags)).into_iter().collect();
        let summary = by_flags().summary_with(&numbers, &Locks).unwrap();
        let lock = |take: &Take| match &take.of {
            Of::Callers(value) => (value.offset, take.always),
            other => panic!("{other:?}"),
        };
        let mut locks: Vec<_> = summary.takes.iter().map(lock).collect();
        locks.sort_unstable();
        locks
    };
    assert_eq!(with(Some(4)), [(0, true)]);
    assert_eq!(with(Some(2)), [(8, true)]);
    assert_eq!(with(Some(6)), [(0, true), (8, true)]);
    assert_eq!(with(Some(1)), []);
    assert_eq!(with(None), [(0, false), (8, false)]);
}

#[test]
fn a_lock_taken_before_the_part_of_a_function_that_is_seldom_run_is_held_there() {
    const COLD: u64 = ENTRY + 0x3000;
    let hot = |unlock: bool| {
        assembled(move |a| {
            a.push(rbx)?;
            a.mov(rbx, rdi)?;
            a.call(LOCK)?;
            if unlock {
                a.mov(rdi, rbx)?;
                a.call(UNLOCK)?;
            }
            a.test(byte_ptr(rbx + 0x40), 4)?;
            a.jne(COLD)?;
            a.pop(rbx)?;
            a.ret()
        })
    };
    let mut a = CodeAssembler::new(64).unwrap();
    a.call(SLEEP).unwrap();
    a.ret().unwrap();
    let cold = a.assemble(COLD).unwrap();
    for unlock in [false, true] {
        assert_eq!(hot(unlock).jumps_out().collect::<Vec<_>>(), [VirtAddr(COLD)]);
        let whole = hot(unlock).with_part(&cold, VirtAddr(COLD));
        assert!(whole.covers(VirtAddr(COLD)) && !hot(unlock).covers(VirtAddr(COLD)));
        let before = whole.at(VirtAddr(COLD + 5), true, &Locks).unwrap().before;
        let classes: Vec<_> = before.taken.iter().map(|taken| taken.class).collect();
        assert_eq!(classes, if unlock { &[][..] } else { &[CLASS][..] });
        assert!(before.taken.iter().all(Taken::certain));
    }
    // By itself it is entered by nobody whose registers are known, but it holds nothing either.
    let alone = Function::decode(&cold, VirtAddr(COLD));
    assert_eq!(alone.at(VirtAddr(COLD + 5), true, &Locks).unwrap().before.taken, []);
}

#[test]
fn a_getter_that_returns_what_it_was_given_locked_or_nothing_is_told_by_its_result() {
    // if (o) lock(&o->lock); return o;
    let get = summary(|a| {
        let mut out = a.create_label();
        a.push(rbx)?;
        a.mov(rbx, rdi)?;
        a.test(rdi, rdi)?;
        a.je(out)?;
        a.lea(rdi, rdi + 0x20)?;
        a.call(LOCK)?;
        a.set_label(&mut out)?;
        a.mov(rax, rbx)?;
        a.pop(rbx)?;
        a.ret()
    });
    let [take] = &get.takes[..] else { panic!("{get:?}") };
    assert_eq!((&take.of, take.when, take.always), (&Of::Returned(0x20), When::NonZero, true));
}

#[test]
fn a_function_that_returns_its_argument_gives_it_no_new_name() {
    // lock(&o->lock); return o;
    let get = summary(|a| {
        a.push(rbx)?;
        a.mov(rbx, rdi)?;
        a.call(LOCK)?;
        a.mov(rax, rbx)?;
        a.pop(rbx)?;
        a.ret()
    });
    assert_eq!(get.returns, Some(Value::entry(Register::Rdi)));
    let passage = asleep_with(&Helpers { begin: get, ..Helpers::default() }, |a| {
        a.push(rbx)?;
        a.call(BEGIN)?;
        a.mov(rbx, rax)?;
        a.call(SLEEP)?;
        a.ret()
    });
    let [taken] = &passage.before.taken[..] else { panic!() };
    assert_eq!(taken.argument.as_ref(), passage.after.register(Register::Rbx));
}
