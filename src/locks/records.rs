//! The lock that a sleeping task's own `task_struct` names.
//!
//! - `blocker` (6.16; `blocker_mutex` in 6.15): what the hung-task detector shows, the lock's address
//!   with its kind in the two low bits;
//! - `blocked_on`: the mutex (6.17), or with debugging of mutexes the `mutex_waiter`, which tells no
//!   more than the waiter on the stack.
//!
//! Sources: `include/linux/{hung_task,sched}.h`.

use super::{LockKind, Mode};
use crate::debuginfo::{Kind, Types};
use crate::dump::{VirtAddr, Why};
use crate::memory::VirtualMemory;

/// `BLOCKER_TYPE_MASK`
const BLOCKER_KIND: u64 = 3;

/// Where a `task_struct` has them, in bytes.
#[derive(Clone, Copy, Default, Debug)]
pub(super) struct Records {
    blocker: Option<u64>,
    blocker_mutex: Option<u64>,
    blocked_on: Option<u64>,
}

/// What a task's own record says that it waits for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Named {
    pub(super) kind: LockKind,
    pub(super) mode: Mode,
    pub(super) at: VirtAddr,
    /// The member that names it, and where that lies.
    pub(super) member: (&'static str, VirtAddr),
}

impl Records {
    pub(super) fn probe(types: &Types) -> Records {
        let Ok(task) = types.structure("task_struct") else { return Records::default() };
        let blocked_on = task.member("blocked_on").ok().filter(|member| {
            let is_pointer = matches!(member.ty.resolved().kind(), Kind::Pointer { .. });
            is_pointer && member.ty.resolved().name() == "struct mutex *"
        });
        Records {
            blocker: task.offset_of("blocker").ok(),
            blocker_mutex: task.offset_of("blocker_mutex").ok(),
            blocked_on: blocked_on.map(|member| member.offset()),
        }
    }

    /// The lock that the task at `task` says it waits for.
    pub(super) fn of(self, memory: &dyn VirtualMemory, task: VirtAddr) -> Option<Named> {
        let read = |offset: Option<u64>| {
            let at = task.checked_add(offset?)?;
            let value = memory.read_u64(at).ok().filter(|value| value >> 47 != 0)?;
            may_be_there(memory, VirtAddr(value & !BLOCKER_KIND)).then_some((value, at))
        };
        if let Some((value, place)) = read(self.blocker) {
            let (kind, mode) = match value & BLOCKER_KIND {
                0 => (LockKind::Mutex, Mode::Excl),
                1 => (LockKind::Semaphore, Mode::Excl),
                2 => (LockKind::Rwsem, Mode::Read),
                _ => (LockKind::Rwsem, Mode::Write),
            };
            let at = VirtAddr(value & !BLOCKER_KIND);
            return Some(Named { kind, mode, at, member: ("blocker", place) });
        }
        let members = [("blocker_mutex", self.blocker_mutex), ("blocked_on", self.blocked_on)];
        members.into_iter().find_map(|(member, offset)| {
            let (value, place) = read(offset)?;
            let member = (member, place);
            Some(Named { kind: LockKind::Mutex, mode: Mode::Excl, at: VirtAddr(value), member })
        })
    }
}

/// Whether the kernel may have something at `at`, in the dump or not: no lock lies where nothing is mapped.
fn may_be_there(memory: &dyn VirtualMemory, at: VirtAddr) -> bool {
    match memory.read_u64(at) {
        Ok(_) => true,
        Err(fault) => matches!(fault.why, Why::Excluded | Why::Lost | Why::Corrupt(_)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dump::{Fault, Level};
    use crate::kernel::testing::{Image, TypeTable};

    const TASK: u64 = 0xffff_8880_0001_0000;
    const LOCK: u64 = 0xffff_8880_0002_0040;

    fn named(member: &str, value: u64) -> Option<(LockKind, Mode, u64, &'static str)> {
        let types = TypeTable::new().with("task_struct", 64, &[(member, 16, 8)]).types();
        let mut memory = Image::default();
        memory.put_u64(TASK + 16, value);
        memory.put_u64(LOCK, 0);
        let named = Records::probe(&types).of(&memory, VirtAddr(TASK))?;
        assert_eq!(named.member.1, VirtAddr(TASK + 16));
        Some((named.kind, named.mode, named.at.0, named.member.0))
    }

    #[test]
    fn the_low_bits_of_blocker_tell_the_kind_of_lock() {
        let of = |bits| named("blocker", LOCK | bits);
        assert_eq!(of(0), Some((LockKind::Mutex, Mode::Excl, LOCK, "blocker")));
        assert_eq!(of(1), Some((LockKind::Semaphore, Mode::Excl, LOCK, "blocker")));
        assert_eq!(of(2), Some((LockKind::Rwsem, Mode::Read, LOCK, "blocker")));
        assert_eq!(of(3), Some((LockKind::Rwsem, Mode::Write, LOCK, "blocker")));
    }

    #[test]
    fn no_record_and_an_impossible_one_name_nothing() {
        assert_eq!(named("blocker", 0), None);
        assert_eq!(named("blocker", 0x1234), None);
        // Kernel addresses at which there is nothing.
        assert_eq!(named("blocker", 0xdead_0000_0000_0100), None);
        assert_eq!(named("blocker_mutex", LOCK + 0x10_0000), None);
        assert_eq!(named("comm", LOCK), None);
        let mutex = Some((LockKind::Mutex, Mode::Excl, LOCK, "blocker_mutex"));
        assert_eq!(named("blocker_mutex", LOCK), mutex);
        // Without its type it may as well be a waiter.
        assert_eq!(named("blocked_on", LOCK), None);
    }

    /// Memory of which nothing can be read for this reason.
    struct Without(Why);

    impl VirtualMemory for Without {
        fn read(&self, at: VirtAddr, _: &mut [u8]) -> Result<(), Fault> {
            Err(Fault::virt(at, self.0))
        }
    }

    #[test]
    fn a_lock_may_be_where_the_dump_lacks_memory_and_not_where_there_is_none() {
        let there = |why| may_be_there(&Without(why), VirtAddr(LOCK));
        assert!(there(Why::Excluded) && there(Why::Lost));
        assert!(!there(Why::NotCanonical) && !there(Why::NotPresent { level: Level::Pte }));
    }
}
