//! Who holds a lock that does not say so itself.
//!
//! The kernel records the owner of a mutex and of a rwsem held for writing, and nothing of readers
//! and semaphores. But a holder that is still there has called the function that takes the lock
//! from one of its live frames, and has not yet come to the one that gives it back. So the code of
//! each frame is followed to its program counter: a call that takes a lock, no call since that
//! gives it back, and the argument of the call, put in figures, is the address of the lock.
//!
//! A task that has given the lock back, or only still has its address lying about, does not pass
//! this test. A holder that took the lock in a function that has since returned does not pass it
//! either: then nothing on its stack tells.

use super::scene::Scene;
use super::stack::{Code, Concrete, Place, Stack, may_hold};
use super::steps::Steps;
use super::{LockKind, Mode, Spot, Why, api};
use crate::dump::VirtAddr;
use crate::kernel::Task;
use crate::unwind::flow::{Effect, Function, Given, Value};
use crate::unwind::{FrameKind, Trace};

/// A lock that a task's live code took and has not given back.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Held {
    /// Index of the task.
    pub(super) task: usize,
    pub(super) kind: LockKind,
    pub(super) mode: Mode,
    /// `None` where the code took a lock whose address is lost.
    pub(super) at: Option<VirtAddr>,
    /// Whether it is so on every path to where the task is, and no memory was read for it that
    /// may have changed.
    pub(super) sure: bool,
    /// Whether an interrupt came upon the code that took it, and runs.
    pub(super) interrupted: bool,
    /// How we know.
    pub(super) how: How,
}

/// How a task was seen to take a lock: few of those that are seen are ever told of.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(super) struct How {
    /// Whose code took it.
    place: Place,
    /// Where it did so, by a call of which function.
    call: VirtAddr,
    target: VirtAddr,
    /// Whether it did so on every path.
    certain: bool,
    /// Whether the lock's address was read from memory that may have changed.
    reread: bool,
}

/// The outermost frame of a trace that is worth following.
pub(super) fn outermost(code: &Code<'_>, trace: &Trace, active: bool) -> Option<usize> {
    // Most functions take no lock: only those that do are worth following.
    let takes_at = |at| code.function(at).is_some_and(|function| takes(code, &function));
    (0..trace.frames.len()).rfind(|&index| {
        let Some(frame) = trace.frames.get(index) else { return false };
        may_hold(code, frame.lookup_pc(), active)
            && (takes_at(frame.lookup_pc()) || code.may_take_by_pointer(frame))
            || trace.frames.get(index + 1).is_some_and(|outer| {
                code.jumps(frame, outer).iter().any(|jump| takes_at(jump.function))
            })
    })
}

/// Every lock that the live code of the task number `index` took, up to the frame `outermost`, and has
/// not given back.
pub(super) fn held(
    code: &Code<'_>,
    index: usize,
    task: &Task,
    trace: &Trace,
    steps: &Steps,
    outermost: usize,
) -> Vec<Held> {
    let active = task.active;
    // One frame more: it may know an argument that the outermost has lost.
    let stack = Stack::follow(code, task, trace, steps, outermost + 2);
    let mut found = Vec::new();
    // What frames further in gave back for those further out.
    let mut given: Vec<Returned> = Vec::new();
    let mut interrupted = false;
    for place in stack.places(outermost) {
        let frame = trace.frames.get(place.frame);
        // An interrupt does not release the locks of what it interrupted.
        if place.jump == 0 && frame.is_some_and(|frame| frame.kind != FrameKind::Call) {
            given.clear();
            interrupted |= place.frame > 0;
        }
        let Some(known) = stack.known(place) else { continue };
        // A loop may lead back to the call that the frame is in: it has not returned yet.
        let pending = stack.pending(place);
        let looks = || stack.may_hold(place, active);
        let taken = known.passage.before.taken.iter();
        for taken in taken.filter(|taken| pending != Some(taken.call) && looks()) {
            let Some((kind, mode)) = api::of_class(taken.class) else { continue };
            let lock = taken.argument.as_ref().and_then(|it| stack.concrete_at(place, it));
            let inner = || given.iter().filter(|given| given.class == taken.class);
            let how = How {
                place,
                call: VirtAddr(taken.call),
                target: taken.target,
                certain: taken.certain(),
                reread: lock.is_some_and(|lock| lock.reread),
            };
            let Some(lock) = lock else {
                // Nobody asks for some lock or other that was perhaps given back.
                if how.certain && taken.maybe_given.is_empty() && inner().next().is_none() {
                    found.push(Held {
                        task: index,
                        kind,
                        mode,
                        at: None,
                        sure: true,
                        interrupted,
                        how,
                    });
                }
                continue;
            };
            let others = taken.maybe_given.iter().map(|other| {
                let argument = other.argument.as_ref();
                (argument.and_then(|it| stack.concrete_at(place, it)), other.always)
            });
            let inner = inner().map(|given| (given.at, given.always));
            let Some(doubtful) = kept(lock, others, inner) else { continue };
            let sure = how.certain && !doubtful;
            let at = Some(VirtAddr(lock.value));
            found.push(Held { task: index, kind, mode, at, sure, interrupted, how });
        }
        given.extend(given_in(&stack, place));
    }
    found
}

/// Something that a frame gave back and had not taken.
struct Returned {
    class: u16,
    /// `None` where its address is lost.
    at: Option<u64>,
    /// Whether it did so on every path.
    always: bool,
}

/// Whether it is doubtful that a lock has been kept, by what of its class was given back since, in
/// its frame under other names and by frames further in, on every path or on some; `None` where it
/// was given back itself.
fn kept(
    lock: Concrete,
    others: impl Iterator<Item = (Option<Concrete>, bool)>,
    inner: impl Iterator<Item = (Option<u64>, bool)>,
) -> Option<bool> {
    let mut doubtful = lock.reread;
    for (other, always) in others {
        match other {
            Some(other) if other.value == lock.value && always => return None,
            Some(other) if other.value != lock.value && !other.reread => {}
            _ => doubtful = true,
        }
    }
    for (at, always) in inner {
        match at {
            Some(at) if at == lock.value && always => return None,
            Some(at) if at != lock.value => {}
            _ => doubtful = true,
        }
    }
    Some(doubtful)
}

/// What the code of a frame gave back that it had not taken, up to the call that it is in.
fn given_in(stack: &Stack<'_, '_>, place: Place) -> Vec<Returned> {
    let given = stack.known(place).map(|known| known.passage.before.given()).unwrap_or_default();
    let address = |value: &Value| stack.concrete_at(place, value).map(|found| found.value);
    let returned = |given: &Given| Returned {
        class: given.class,
        at: given.argument.as_ref().and_then(address),
        always: given.always,
    };
    given.iter().map(returned).collect()
}

/// Whether a function calls one that takes a lock.
fn takes(code: &Code<'_>, function: &Function) -> bool {
    let takes = |target| match code.effect(target) {
        Effect::Take { .. } | Effect::Turn { .. } => true,
        Effect::Several(summary) => !summary.takes.is_empty(),
        _ => false,
    };
    function.counts() || function.sets_bits() || function.calls().any(takes)
}

/// How we know that it is held, in words.
pub(super) fn why(scene: &Scene<'_>, held: &Held) -> Why {
    let Held { task, sure, how: How { place, call, target, certain, reread }, .. } = *held;
    let frame = scene.traces.get(task).and_then(|trace| trace.frames.get(place.frame));
    let named = |at: VirtAddr| {
        let found = scene.session.symbolize(at);
        found.map_or_else(|| at.to_string(), |found| found.to_string())
    };
    let here = frame.map_or_else(String::new, |frame| named(frame.pc));
    let name = scene.session.symbolize(target).map(|found| found.symbol.name);
    let called = named(call);
    let did = match name {
        _ if target == call => {
            format!("counted itself in as a reader of this lock at {called}")
        }
        Some(name) if api::use_of(name).is_none() => {
            format!("called {name} at {called}, which takes this lock and returns with it,")
        }
        name => format!("called {} at {called} with this lock", name.unwrap_or("a lock function")),
    };
    let since = if sure {
        "and has not released it on any path since"
    } else if certain {
        "and may have released it since"
    } else {
        "on some paths, and may have released it since"
    };
    let index = place.frame;
    let who = match place.jump {
        0 => format!("its frame #{index} {here}"),
        _ => format!("what jumped to the function of its frame #{index} {here}"),
    };
    let mut why = Why::new(who);
    if let Some(task) = scene.tasks.get(task) {
        why = why.at(Spot::Frame { task: task.at, number: index });
    }
    why = why.and(did).at(Spot::Code(call)).and(since);
    if reread {
        why = why.then("the lock's address was read anew from memory that may have changed");
    }
    why
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(value: u64) -> Concrete {
        Concrete { value, reread: false }
    }

    const fn reread(value: u64) -> Concrete {
        Concrete { value, reread: true }
    }

    #[test]
    fn a_lock_given_back_under_another_name_or_by_a_function_called_is_not_held() {
        let kept = |others: &[Option<Concrete>], inner: &[Option<u64>]| {
            let others = others.iter().map(|other| (*other, true));
            kept(at(5), others, inner.iter().map(|inner| (*inner, true)))
        };
        assert_eq!(kept(&[], &[]), Some(false));
        assert_eq!(kept(&[Some(at(5))], &[]), None);
        assert_eq!(kept(&[Some(reread(5))], &[]), None);
        assert_eq!(kept(&[], &[Some(6), Some(5)]), None);
        assert_eq!(kept(&[Some(at(6))], &[Some(6)]), Some(false));
    }

    #[test]
    fn a_lock_is_doubtful_where_one_without_a_known_address_was_given_back_since() {
        let kept = |lock, others: &[Option<Concrete>], inner: &[Option<u64>]| {
            let others = others.iter().map(|other| (*other, true));
            kept(lock, others, inner.iter().map(|inner| (*inner, true)))
        };
        assert_eq!(kept(at(5), &[None], &[]), Some(true));
        assert_eq!(kept(at(5), &[Some(reread(6))], &[]), Some(true));
        assert_eq!(kept(at(5), &[], &[None]), Some(true));
        // Where it was given back on some paths only.
        let sometimes = |other, inner| {
            let others = [(Some(at(other)), false)].into_iter();
            super::kept(at(5), others, [(Some(inner), false)].into_iter())
        };
        assert_eq!(sometimes(5, 6), Some(true));
        assert_eq!(sometimes(6, 5), Some(true));
        assert_eq!(sometimes(6, 6), Some(false));
        // And where its own address comes from memory that may have changed.
        assert_eq!(kept(reread(5), &[], &[]), Some(true));
    }

    use crate::locks::testing::Stage;

    #[test]
    fn the_words_tell_which_call_took_it_and_how_sure_it_is_that_it_was_kept() {
        let mut stage = Stage::new();
        let task = stage.enter("chain-7", &["schedule", "vfs_read"]);
        let symbols = stage.session.symbols();
        let at = |name| symbols.address(name).unwrap();
        let says = |call: VirtAddr, target: VirtAddr, certain, sure, jump| {
            let place = Place { frame: 1, jump };
            let how = How { place, call, target, certain, reread: false };
            let (kind, mode, at, interrupted) = (LockKind::Rwsem, Mode::Read, None, false);
            why(&stage.scene(), &Held { task, kind, mode, at, sure, interrupted, how }).to_string()
        };
        let call = at("vfs_read").plus(5);
        let who = "its frame #1 vfs_read+1";
        assert_eq!(
            says(call, at("down_read"), true, true, 0),
            format!(
                "{who} called down_read at vfs_read+5 with this lock and has not released it on any path since"
            )
        );
        assert_eq!(
            says(call, at("vfs_write"), true, false, 0),
            format!(
                "{who} called vfs_write at vfs_read+5, which takes this lock and returns with it, and may have released it since"
            )
        );
        assert!(
            says(call, call, true, true, 0).contains("counted itself in as a reader of this lock")
        );
        let some = says(call, at("down_read"), false, false, 1);
        assert!(some.starts_with("what jumped to the function of its frame #1"), "{some}");
        assert!(some.ends_with("on some paths, and may have released it since"), "{some}");
    }

    use crate::locks::testing::demo;
    use iced_x86::code_asm::{CodeAssembler, rbx, rdi};

    const LOCK: u64 = 0xffff_8880_0100_0000;

    /// What a task holds, surely or not, that is in a function which takes its argument with this one again and
    /// again, and sleeps: in the call that sleeps, or in the one that takes it. On CPU 1 or off the CPUs.
    fn held_in(function: &str, takes: &str, in_sleep: bool, runs: bool) -> Vec<(u64, bool)> {
        let symbol = |name: &str| demo().symbols().address(name).unwrap();
        let mut a = CodeAssembler::new(64).unwrap();
        let mut again = a.create_label();
        a.push(rbx).unwrap();
        a.mov(rbx, rdi).unwrap();
        a.set_label(&mut again).unwrap();
        a.mov(rdi, rbx).unwrap();
        a.call(symbol(takes).0).unwrap();
        a.call(symbol("msleep").0).unwrap();
        a.jmp(again).unwrap();
        let code = a.assemble(symbol(function).0).unwrap();
        let instructions = crate::unwind::flow::decode(&code, symbol(function));
        let pc = instructions[if in_sleep { 4 } else { 3 }].next_ip();
        let mut stage = Stage::with(|memory| memory.put(symbol(function).0, &code));
        let functions = ["schedule", function, "ksys_read"];
        let task = match runs {
            true => stage.run("chain-7", 1, &functions),
            false => stage.enter("chain-7", &functions),
        };
        let frames = &mut stage.traces[task].frames;
        frames[1].pc = VirtAddr(pc);
        frames[1].sp = frames[2].sp.minus(16);
        frames[1].registers.set(crate::unwind::Register::Rbx, Some(LOCK));
        let scene = stage.scene();
        let held = scene.held(&Code::new(&stage.session));
        held.iter().filter_map(|held| Some((held.at?.0, held.sure))).collect()
    }

    #[test]
    fn a_lock_is_held_once_the_call_that_takes_it_has_returned() {
        assert_eq!(held_in("vfs_read", "down_read", true, false), [(LOCK, true)]);
        // Back at the call it still waits for it, whatever an earlier turn has taken.
        assert_eq!(held_in("vfs_read", "down_read", false, false), []);
    }

    #[test]
    fn an_interrupt_gives_nothing_back_of_what_the_code_took_that_it_came_upon() {
        use iced_x86::IcedError;
        let symbol = |name: &str| demo().symbols().address(name).unwrap();
        // The code of a function, and where each of its instructions ends.
        let made = |at: &str, build: &dyn Fn(&mut CodeAssembler) -> Result<(), IcedError>| {
            let mut a = CodeAssembler::new(64).unwrap();
            a.push(rbx).unwrap();
            a.mov(rbx, rdi).unwrap();
            build(&mut a).unwrap();
            let code = a.assemble(symbol(at).0).unwrap();
            let ends = crate::unwind::flow::decode(&code, symbol(at));
            (code, ends.iter().map(|it| VirtAddr(it.next_ip())).collect::<Vec<_>>())
        };
        let (takes, ends) = made("vfs_read", &|a| {
            a.call(symbol("down_read").0)?;
            a.nop()?;
            a.call(symbol("up_read").0)
        });
        let (gives, given) = made("vfs_write", &|a| {
            a.call(symbol("up_read").0)?;
            a.call(symbol("msleep").0)
        });
        let mut stage = Stage::with(|memory| {
            memory.put(symbol("vfs_read").0, &takes);
            memory.put(symbol("vfs_write").0, &gives);
        });
        let functions = ["msleep", "vfs_write", "<IRQ> vfs_read", "ksys_read"];
        let task = stage.run("chain-7", 1, &functions);
        let frames = &mut stage.traces[task].frames;
        (frames[1].pc, frames[2].pc) = (given[3], ends[2]);
        frames[2].sp = frames[3].sp.minus(16);
        frames[1].sp = frames[2].sp.minus(16);
        frames[2].registers.set(crate::unwind::Register::Rbx, Some(LOCK));
        let scene = stage.scene();
        let held = scene.held(&Code::new(&stage.session));
        let held = held.iter().map(|it| (it.at, it.sure, it.interrupted)).collect::<Vec<_>>();
        assert_eq!(held, [(Some(VirtAddr(LOCK)), true, true)]);
    }

    #[test]
    fn a_task_that_was_switched_off_has_passed_its_runqueues_lock_on() {
        assert_eq!(held_in("__schedule", "_raw_spin_lock", true, false), []);
        assert_eq!(held_in("__schedule", "_raw_spin_lock", true, true), [(LOCK, true)]);
        assert_eq!(held_in("schedule", "_raw_spin_lock", true, false), []);
    }
}
