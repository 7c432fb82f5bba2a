//! How each kind of lock keeps the tasks that wait for it, asked of the types.
//!
//! All four sleeping locks of this floor queue `struct X_waiter`s, which lie on the stacks of those
//! who wait, in a `list_head` ring. Until 7.0 the lock holds the head of the ring (`wait_list`);
//! since 7.1 mutex, rwsem and semaphore only point to the first waiter (`first_waiter`) and the
//! ring has no head. Sources: `include/linux/{mutex,rwsem,semaphore,completion,swait}.h`,
//! `kernel/locking/{rwsem,semaphore}.c`.

use super::LockKind;
use crate::debuginfo::{Kind, Type, TypeError, Types};

/// Where a lock keeps its ring of waiters.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Head {
    /// A `list_head` at this offset is part of the ring.
    List(u64),
    /// A pointer at this offset leads to the first waiter; the ring has no head.
    First(u64),
}

/// How one kind of lock queues its waiters. Offsets in bytes.
#[derive(Clone, Debug)]
pub(super) struct Queue {
    pub(super) kind: LockKind,
    /// Where in the lock the ring hangs.
    pub(super) head: Head,
    /// The waiter's type, for people.
    pub(super) waiter_ty: &'static str,
    /// Offset of the `list_head` in a waiter.
    pub(super) node: u64,
    /// Offset of the `task_struct *` in a waiter.
    pub(super) task: u64,
    /// For rwsems: offset of `type` in a waiter, and the value that means "read".
    pub(super) reads: Option<(u64, i64)>,
}

impl Queue {
    /// The layouts of all kinds, or why one of them is not known.
    pub(super) fn probe_all(types: &Types) -> Vec<Result<Queue, (LockKind, TypeError)>> {
        [
            (LockKind::Mutex, Queue::mutex(types)),
            (LockKind::Rwsem, Queue::rwsem(types)),
            (LockKind::Semaphore, Queue::semaphore(types)),
            (LockKind::Completion, Queue::completion(types)),
        ]
        .into_iter()
        .map(|(kind, queue)| queue.map_err(|error| (kind, error)))
        .collect()
    }

    fn mutex(types: &Types) -> Result<Queue, TypeError> {
        let waiter = types.structure("mutex_waiter")?;
        Ok(Queue {
            kind: LockKind::Mutex,
            head: head(types.structure("mutex")?)?,
            waiter_ty: "mutex_waiter",
            node: waiter.offset_of("list")?,
            task: waiter.offset_of("task")?,
            reads: None,
        })
    }

    fn rwsem(types: &Types) -> Result<Queue, TypeError> {
        let waiter = types.structure("rwsem_waiter")?;
        let reads = match waiter.member("type") {
            Ok(mode) => enumerator_value(mode.ty, "RWSEM_WAITING_FOR_READ")
                .map(|value| (mode.offset(), value)),
            // `RWSEM_WAITING_FOR_READ` was a macro until 3.9.
            Err(_) => Some((waiter.offset_of("flags")?, 1)),
        };
        Ok(Queue {
            kind: LockKind::Rwsem,
            head: head(types.structure("rw_semaphore")?)?,
            waiter_ty: "rwsem_waiter",
            node: waiter.offset_of("list")?,
            task: waiter.offset_of("task")?,
            reads,
        })
    }

    fn semaphore(types: &Types) -> Result<Queue, TypeError> {
        let waiter = types.structure("semaphore_waiter")?;
        Ok(Queue {
            kind: LockKind::Semaphore,
            head: head(types.structure("semaphore")?)?,
            waiter_ty: "semaphore_waiter",
            node: waiter.offset_of("list")?,
            task: waiter.offset_of("task")?,
            reads: None,
        })
    }

    /// Since 5.7 a simple wait queue (`swait`), before that a plain one (whose names changed in
    /// 4.13).
    fn completion(types: &Types) -> Result<Queue, TypeError> {
        let completion = types.structure("completion")?;
        let wait = completion.member("wait")?;
        let queue = |waiter_ty: &'static str, list: &str, node: &str, task: &str| {
            let waiter = types.structure(waiter_ty)?;
            Ok(Queue {
                kind: LockKind::Completion,
                head: Head::List(wait.offset() + wait.ty.offset_of(list)?),
                waiter_ty,
                node: waiter.offset_of(node)?,
                task: waiter.offset_of(task)?,
                reads: None,
            })
        };
        match wait.ty.name().as_str() {
            "struct swait_queue_head" => queue("swait_queue", "task_list", "task_list", "task"),
            _ if wait.ty.has("head") => queue("wait_queue_entry", "head", "entry", "private"),
            _ => queue("__wait_queue", "task_list", "task_list", "private"),
        }
    }
}

/// `wait_list`, or `first_waiter` since 7.1. A lock with neither (PREEMPT_RT builds them on
/// rt_mutexes) is an error that names what was looked for.
fn head(lock: Type<'_>) -> Result<Head, TypeError> {
    match lock.offset_of("first_waiter") {
        Ok(offset) => Ok(Head::First(offset)),
        Err(_) => lock.offset_of("wait_list").map(Head::List),
    }
}

/// The value of an enumerator of `ty`.
pub(super) fn enumerator_value(ty: Type<'_>, name: &str) -> Option<i64> {
    match ty.resolved().kind() {
        Kind::Enum { values, .. } => {
            values.iter().find(|value| &*value.name == name).map(|value| value.value)
        }
        _ => None,
    }
}
