//! The kernel's lock functions: which take what, which give it back, and which a task sleeps in.
//!
//! Known by name, since that is what both kallsyms and an ELF have; the suffixes that compilers add
//! to copies (`.constprop.0`) do not matter. Sources: `include/linux/{mutex,rwsem,semaphore,
//! rtmutex,percpu-rwsem,spinlock_api_smp,rwlock_api_smp,spinlock_rt}.h`, `kernel/locking/`,
//! `kernel/sched/completion.c`.

use super::{LockKind, Mode};
use crate::unwind::Register;
use crate::unwind::flow::{Effect, When};

/// What a function does with the lock that is its first argument.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Use {
    /// Takes it, if it returns as said.
    Take(LockKind, Mode, When),
    /// Gives it back.
    Give(LockKind, Mode),
    /// Turns a lock held in the first mode into one held in the second.
    Turn(LockKind, Mode, Mode),
}

const TABLE: &[(&str, Use)] = {
    use LockKind::{Folio, Mutex, PercpuRwsem, RtMutex, Rwlock, Rwsem, Semaphore, Spinlock};
    use Mode::{Excl, Read, Write};
    use Use::{Give, Take, Turn};
    use When::{Always, Asked, NonZero, Zero};
    &[
        ("mutex_lock", Take(Mutex, Excl, Always)),
        ("mutex_lock_nested", Take(Mutex, Excl, Always)),
        ("mutex_lock_io", Take(Mutex, Excl, Always)),
        ("mutex_lock_io_nested", Take(Mutex, Excl, Always)),
        ("mutex_lock_killable", Take(Mutex, Excl, Zero)),
        ("mutex_lock_killable_nested", Take(Mutex, Excl, Zero)),
        ("mutex_lock_interruptible", Take(Mutex, Excl, Zero)),
        ("mutex_lock_interruptible_nested", Take(Mutex, Excl, Zero)),
        ("mutex_trylock", Take(Mutex, Excl, NonZero)),
        ("atomic_dec_and_mutex_lock", Take(Mutex, Excl, NonZero)),
        ("ww_mutex_lock", Take(Mutex, Excl, Zero)),
        ("ww_mutex_lock_interruptible", Take(Mutex, Excl, Zero)),
        ("ww_mutex_trylock", Take(Mutex, Excl, NonZero)),
        ("mutex_unlock", Give(Mutex, Excl)),
        ("ww_mutex_unlock", Give(Mutex, Excl)),
        ("down_read", Take(Rwsem, Read, Always)),
        ("down_read_nested", Take(Rwsem, Read, Always)),
        ("down_read_killable", Take(Rwsem, Read, Zero)),
        ("down_read_killable_nested", Take(Rwsem, Read, Zero)),
        ("down_read_interruptible", Take(Rwsem, Read, Zero)),
        ("down_read_trylock", Take(Rwsem, Read, NonZero)),
        ("up_read", Give(Rwsem, Read)),
        ("up_read_non_owner", Give(Rwsem, Read)),
        // Where taking a rwsem is inlined (until 5.2), the part that sleeps.
        ("call_rwsem_down_read_failed", Take(Rwsem, Read, Always)),
        ("call_rwsem_down_write_failed", Take(Rwsem, Write, Always)),
        ("down_write", Take(Rwsem, Write, Always)),
        ("down_write_nested", Take(Rwsem, Write, Always)),
        ("down_write_killable", Take(Rwsem, Write, Zero)),
        ("down_write_killable_nested", Take(Rwsem, Write, Zero)),
        ("down_write_trylock", Take(Rwsem, Write, NonZero)),
        ("up_write", Give(Rwsem, Write)),
        ("downgrade_write", Turn(Rwsem, Write, Read)),
        ("down", Take(Semaphore, Excl, Always)),
        ("down_interruptible", Take(Semaphore, Excl, Zero)),
        ("down_killable", Take(Semaphore, Excl, Zero)),
        ("down_timeout", Take(Semaphore, Excl, Zero)),
        // Unlike all other trylocks it returns 0 when it took it.
        ("down_trylock", Take(Semaphore, Excl, Zero)),
        ("up", Give(Semaphore, Excl)),
        ("rt_mutex_lock", Take(RtMutex, Excl, Always)),
        ("rt_mutex_lock_nested", Take(RtMutex, Excl, Always)),
        ("rt_mutex_lock_interruptible", Take(RtMutex, Excl, Zero)),
        ("rt_mutex_lock_killable", Take(RtMutex, Excl, Zero)),
        ("rt_mutex_trylock", Take(RtMutex, Excl, NonZero)),
        ("rt_mutex_unlock", Give(RtMutex, Excl)),
        ("percpu_down_read", Take(PercpuRwsem, Read, Always)),
        // The part of it that is not inlined, and which also tries if told so.
        ("__percpu_down_read", Take(PercpuRwsem, Read, Asked)),
        ("percpu_down_read_trylock", Take(PercpuRwsem, Read, NonZero)),
        ("percpu_up_read", Give(PercpuRwsem, Read)),
        ("percpu_down_write", Take(PercpuRwsem, Write, Always)),
        ("percpu_up_write", Give(PercpuRwsem, Write)),
        ("folio_lock", Take(Folio, Excl, Always)),
        ("folio_lock_killable", Take(Folio, Excl, Zero)),
        ("folio_trylock", Take(Folio, Excl, NonZero)),
        ("lock_page", Take(Folio, Excl, Always)),
        ("lock_page_killable", Take(Folio, Excl, Zero)),
        ("trylock_page", Take(Folio, Excl, NonZero)),
        // What sleeps where the bit of an unlocked page is set by inlined code (lock_page until 5.15).
        ("__folio_lock", Take(Folio, Excl, Always)),
        ("__folio_lock_killable", Take(Folio, Excl, Zero)),
        ("__lock_page", Take(Folio, Excl, Always)),
        ("__lock_page_killable", Take(Folio, Excl, Zero)),
        ("folio_unlock", Give(Folio, Excl)),
        ("folio_end_read", Give(Folio, Excl)),
        ("unlock_page", Give(Folio, Excl)),
        ("_raw_spin_lock", Take(Spinlock, Excl, Always)),
        ("_raw_spin_lock_bh", Take(Spinlock, Excl, Always)),
        ("_raw_spin_lock_irq", Take(Spinlock, Excl, Always)),
        ("_raw_spin_lock_irqsave", Take(Spinlock, Excl, Always)),
        ("_raw_spin_lock_nested", Take(Spinlock, Excl, Always)),
        ("_raw_spin_lock_irqsave_nested", Take(Spinlock, Excl, Always)),
        ("_raw_spin_trylock", Take(Spinlock, Excl, NonZero)),
        ("_raw_spin_trylock_bh", Take(Spinlock, Excl, NonZero)),
        ("rt_spin_lock", Take(Spinlock, Excl, Always)),
        ("rt_spin_lock_nested", Take(Spinlock, Excl, Always)),
        ("rt_spin_trylock", Take(Spinlock, Excl, NonZero)),
        ("_raw_spin_unlock", Give(Spinlock, Excl)),
        ("_raw_spin_unlock_bh", Give(Spinlock, Excl)),
        ("_raw_spin_unlock_irq", Give(Spinlock, Excl)),
        ("_raw_spin_unlock_irqrestore", Give(Spinlock, Excl)),
        ("queued_spin_unlock", Give(Spinlock, Excl)),
        ("native_queued_spin_unlock", Give(Spinlock, Excl)),
        ("__raw_callee_save___native_queued_spin_unlock", Give(Spinlock, Excl)),
        ("__raw_callee_save___pv_queued_spin_unlock", Give(Spinlock, Excl)),
        ("rt_spin_unlock", Give(Spinlock, Excl)),
        ("_raw_read_lock", Take(Rwlock, Read, Always)),
        ("_raw_read_lock_bh", Take(Rwlock, Read, Always)),
        ("_raw_read_lock_irq", Take(Rwlock, Read, Always)),
        ("_raw_read_lock_irqsave", Take(Rwlock, Read, Always)),
        ("_raw_read_trylock", Take(Rwlock, Read, NonZero)),
        ("rt_read_lock", Take(Rwlock, Read, Always)),
        ("rt_read_trylock", Take(Rwlock, Read, NonZero)),
        ("_raw_read_unlock", Give(Rwlock, Read)),
        ("_raw_read_unlock_bh", Give(Rwlock, Read)),
        ("_raw_read_unlock_irq", Give(Rwlock, Read)),
        ("_raw_read_unlock_irqrestore", Give(Rwlock, Read)),
        ("rt_read_unlock", Give(Rwlock, Read)),
        ("_raw_write_lock", Take(Rwlock, Write, Always)),
        ("_raw_write_lock_nested", Take(Rwlock, Write, Always)),
        ("_raw_write_lock_bh", Take(Rwlock, Write, Always)),
        ("_raw_write_lock_irq", Take(Rwlock, Write, Always)),
        ("_raw_write_lock_irqsave", Take(Rwlock, Write, Always)),
        ("_raw_write_trylock", Take(Rwlock, Write, NonZero)),
        ("rt_write_lock", Take(Rwlock, Write, Always)),
        ("rt_write_trylock", Take(Rwlock, Write, NonZero)),
        ("_raw_write_unlock", Give(Rwlock, Write)),
        ("_raw_write_unlock_bh", Give(Rwlock, Write)),
        ("_raw_write_unlock_irq", Give(Rwlock, Write)),
        ("_raw_write_unlock_irqrestore", Give(Rwlock, Write)),
        ("rt_write_unlock", Give(Rwlock, Write)),
    ]
};

/// What the function of that name does.
pub(super) fn use_of(function: &str) -> Option<Use> {
    let name = base_name(function);
    // Until 2.6.32 those of spinlocks and rwlocks had one word less: `_spin_lock`.
    let is = |known: &str| known == name || known.strip_prefix("_raw") == Some(name);
    TABLE.iter().find(|(known, _)| is(known)).map(|(_, what)| *what)
}

/// The function of which one is the part that is seldom run, put elsewhere: `f.cold`, `f.cold.3`.
pub(super) fn whole_of(function: &str) -> Option<&str> {
    let (whole, number) = function.rsplit_once(".cold")?;
    let number = number.strip_prefix('.').unwrap_or(number);
    number.bytes().all(|byte| byte.is_ascii_digit()).then_some(whole)
}

/// A function's name without what the compiler added to a copy of it.
pub(super) fn base_name(function: &str) -> &str {
    function.split('.').next().unwrap_or(function)
}

/// The number by which [`crate::unwind::flow`] knows a kind of lock in a mode.
pub(super) fn class(kind: LockKind, mode: Mode) -> u16 {
    (kind as u16) << 8 | mode as u16
}

/// The kind and the mode of such a number.
pub(super) fn of_class(number: u16) -> Option<(LockKind, Mode)> {
    TABLE.iter().find_map(|(_, what)| match what {
        Use::Take(kind, mode, _) if class(*kind, *mode) == number => Some((*kind, *mode)),
        _ => None,
    })
}

/// What calling the function of that name means to whoever follows code.
pub(super) fn effect(function: &str) -> Effect {
    match use_of(function) {
        Some(Use::Take(kind, mode, when)) => {
            // Unlocking a spinlock or rwlock is one store or subtraction, which is often inlined.
            let by_store = matches!(kind, LockKind::Spinlock | LockKind::Rwlock);
            let by = if by_rax(function) { Register::Rax } else { Register::Rdi };
            Effect::Take { class: class(kind, mode), when, by_store, by }
        }
        Some(Use::Give(kind, mode)) => Effect::Give { class: class(kind, mode) },
        Some(Use::Turn(kind, from, to)) => {
            Effect::Turn { from: class(kind, from), to: class(kind, to) }
        }
        None if never_returns(function) => Effect::NoReturn,
        None if function.ends_with("return_thunk") => Effect::Return,
        None => through(function).map_or(Effect::Nothing, Effect::Through),
    }
}

/// The register where one of the kernel's stand-ins for a call through a pointer goes on:
/// `__x86_indirect_thunk_rax` (arch/x86/lib/retpoline.S).
fn through(function: &str) -> Option<Register> {
    // 7.2 names what the code of early startup shares a second time (arch/x86/boot/startup).
    let plain = function.strip_prefix("__pi_").unwrap_or(function);
    let (_, register) = plain.strip_prefix("__x86_indirect_")?.split_once("thunk_")?;
    Some(match register {
        // The first of them all, which begins where they do.
        "rax" | "array" => Register::Rax,
        "rbx" => Register::Rbx,
        "rcx" => Register::Rcx,
        "rdx" => Register::Rdx,
        "rsi" => Register::Rsi,
        "rdi" => Register::Rdi,
        "rbp" => Register::Rbp,
        "r8" => Register::R8,
        "r9" => Register::R9,
        "r10" => Register::R10,
        "r11" => Register::R11,
        "r12" => Register::R12,
        "r13" => Register::R13,
        "r14" => Register::R14,
        "r15" => Register::R15,
        _ => return None,
    })
}

/// Whether a function gets its argument in rax (arch/x86/lib/rwsem.S).
fn by_rax(function: &str) -> bool {
    base_name(function).starts_with("call_rwsem_")
}

fn never_returns(function: &str) -> bool {
    ["panic", "__stack_chk_fail", "do_exit", "make_task_dead", "kthread_exit", "do_group_exit"]
        .contains(&base_name(function))
}

/// Whether a function switches tasks: it takes its runqueue's lock in one task and gives it back in
/// the next, on the other side of the switch, and what it does before that for the sake of those who
/// watch sleepers (`sched_submit_work`) it has done.
pub(super) fn is_switching(function: &str) -> bool {
    matches!(
        base_name(function),
        "__schedule" | "schedule" | "schedule_tail" | "finish_task_switch"
    )
}

/// Whether a function is part of the locks themselves: what it does with the locks inside them is
/// no affair of its callers.
pub(super) fn is_inside_locks(function: &str) -> bool {
    waits_for(function).is_some() || is_spinning(base_name(function))
}

/// Whether a function is one in which CPUs spin for a lock. `name` is a [`base_name`].
pub(super) fn is_slow_path(name: &str) -> bool {
    name.ends_with("queued_spin_lock_slowpath")
        || matches!(name, "queued_read_lock_slowpath" | "queued_write_lock_slowpath")
}

/// Whether a function is part of taking a spinlock or rwlock. `name` is a [`base_name`].
pub(super) fn is_spinning(name: &str) -> bool {
    is_slow_path(name) || is_spin_loop(name)
}

/// Whether a function takes a spinlock or rwlock: with ticket locks it is itself where CPUs spin.
/// `name` is a [`base_name`].
pub(super) fn is_spin_loop(name: &str) -> bool {
    loop_kind(name).is_some()
}

fn loop_kind(name: &str) -> Option<(LockKind, Mode)> {
    // _raw_spin_lock_irq, _spin_lock_irq, __ticket_spin_lock, __read_lock_failed
    let plain = name.strip_prefix('_')?.trim_start_matches('_');
    let plain = plain.strip_prefix("raw_").unwrap_or(plain);
    let plain = plain.strip_prefix("ticket_").unwrap_or(plain);
    let (kind, how) = [
        ("spin_lock", (LockKind::Spinlock, Mode::Excl)),
        ("read_lock", (LockKind::Rwlock, Mode::Read)),
        ("write_lock", (LockKind::Rwlock, Mode::Write)),
    ]
    .into_iter()
    .find_map(|(start, kind)| Some((kind, plain.strip_prefix(start)?)))?;
    let known =
        ["", "_irq", "_irqsave", "_bh", "_nested", "_irqsave_nested", "_nest_lock", "_failed"];
    known.contains(&how).then_some(kind)
}

/// Which lock a function that spins wants.
pub(super) fn spin_kind(name: &str) -> Option<(LockKind, Mode)> {
    if name.ends_with("queued_spin_lock_slowpath") {
        Some((LockKind::Spinlock, Mode::Excl))
    } else if name == "queued_read_lock_slowpath" {
        Some((LockKind::Rwlock, Mode::Read))
    } else if name == "queued_write_lock_slowpath" {
        Some((LockKind::Rwlock, Mode::Write))
    } else {
        loop_kind(name)
    }
}

/// The kind of lock that a task sleeping in a function waits for on the lock's own list.
pub(super) fn waits_for(function: &str) -> Option<LockKind> {
    let name = base_name(function);
    let starts = |list: &[&str]| list.iter().any(|start| name.starts_with(start));
    if starts(&["__mutex_lock", "mutex_lock", "__ww_mutex_lock", "ww_mutex_lock"]) {
        Some(LockKind::Mutex)
    } else if starts(&[
        "rwsem_down_",
        "call_rwsem_down_",
        "__rwsem_down_",
        "down_read",
        "down_write",
        "__down_read",
        "__down_write",
    ]) {
        Some(LockKind::Rwsem)
    } else if [
        "down",
        "down_interruptible",
        "down_killable",
        "down_timeout",
        "__down",
        "__down_common",
        "___down_common",
        "__down_interruptible",
        "__down_killable",
        "__down_timeout",
    ]
    .contains(&name)
    {
        Some(LockKind::Semaphore)
    } else if starts(&[
        "wait_for_completion",
        "__wait_for_common",
        "wait_for_common",
        "do_wait_for_common",
    ]) {
        Some(LockKind::Completion)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn copies_of_a_function_are_that_function() {
        assert_eq!(waits_for("__mutex_lock.constprop.0"), Some(LockKind::Mutex));
        assert_eq!(waits_for("rwsem_down_write_slowpath"), Some(LockKind::Rwsem));
        assert_eq!(waits_for("__down_common"), Some(LockKind::Semaphore));
        assert_eq!(waits_for("wait_for_completion_killable"), Some(LockKind::Completion));
        assert_eq!(waits_for("downgrade_queue"), None);
        assert_eq!(use_of("up"), Some(Use::Give(LockKind::Semaphore, Mode::Excl)));
        assert_eq!(use_of("update_curr"), None);
    }

    #[test]
    fn the_names_of_spinlocks_before_2_6_33_are_known_too() {
        let (spin, read) = ((LockKind::Spinlock, Mode::Excl), (LockKind::Rwlock, Mode::Read));
        assert_eq!(spin_kind("_spin_lock_irq"), Some(spin));
        assert_eq!(spin_kind("__ticket_spin_lock"), Some(spin));
        assert_eq!(spin_kind("_read_lock"), Some(read));
        assert_eq!(spin_kind("_raw_spin_lock_irqsave"), Some(spin));
        assert_eq!(spin_kind("_raw_spin_unlock"), None);
        assert_eq!(spin_kind("spin_lock_init"), None);
        assert_eq!(use_of("_spin_unlock"), Some(Use::Give(LockKind::Spinlock, Mode::Excl)));
        assert_eq!(
            use_of("_spin_lock"),
            Some(Use::Take(LockKind::Spinlock, Mode::Excl, When::Always))
        );
    }

    #[test]
    fn a_call_through_a_register_by_way_of_a_thunk_is_known() {
        assert_eq!(effect("__x86_indirect_thunk_r12"), Effect::Through(Register::R12));
        assert_eq!(effect("__x86_indirect_call_thunk_rax"), Effect::Through(Register::Rax));
        assert_eq!(effect("__pi___x86_indirect_thunk_rbx"), Effect::Through(Register::Rbx));
        assert_eq!(effect("__x86_indirect_thunk_array"), Effect::Through(Register::Rax));
        assert_eq!(effect("__x86_return_thunk"), Effect::Return);
    }

    #[test]
    fn the_part_of_a_function_that_is_seldom_run_is_known_by_its_name() {
        assert_eq!(whole_of("open.cold"), Some("open"));
        assert_eq!(whole_of("open.constprop.0.cold.12"), Some("open.constprop.0"));
        assert_eq!(whole_of("open.constprop.0"), None);
        assert_eq!(whole_of("open.coldly"), None);
    }

    #[test]
    fn every_class_is_one_kind_and_mode() {
        for (name, what) in TABLE {
            let (Use::Take(kind, mode, _) | Use::Give(kind, mode) | Use::Turn(kind, _, mode)) =
                *what;
            assert_eq!(of_class(class(kind, mode)), Some((kind, mode)), "{name}");
        }
    }

    #[test]
    fn what_never_returns_and_what_inline_assembly_calls_is_known() {
        for name in ["panic", "do_exit", "__stack_chk_fail", "make_task_dead.cold"] {
            assert_eq!(effect(name), Effect::NoReturn);
        }
        let by = |name| match effect(name) {
            Effect::Take { by, .. } => by,
            other => panic!("{other:?}"),
        };
        assert_eq!(by("call_rwsem_down_read_failed"), Register::Rax);
        assert_eq!(by("down_read"), Register::Rdi);
    }

    #[test]
    fn not_everything_that_is_called_like_a_spinlock_is_one() {
        assert_eq!(spin_kind("_spin_lock_init"), None);
        assert_eq!(spin_kind("_raw_spin_lock_cleanup"), None);
        let write = (LockKind::Rwlock, Mode::Write);
        assert_eq!(spin_kind("_raw_write_lock_bh"), Some(write));
        assert_eq!(spin_kind("__write_lock_failed"), Some(write));
    }
}
