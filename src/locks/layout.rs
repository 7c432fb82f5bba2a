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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::testing::TypeTable;

    fn types() -> TypeTable {
        TypeTable::new().with("list_head", 16, &[("next", 0, 8), ("prev", 8, 8)])
    }

    #[test]
    fn a_lock_has_the_head_of_its_list_or_since_7_1_a_pointer_to_the_first_waiter() {
        let waiter = [("list: list_head", 0, 0), ("task", 16, 8)];
        let with = |member| {
            let types = types()
                .with("mutex_waiter", 64, &waiter)
                .with("mutex", 32, &[("owner", 0, 8), (member, 16, 8)])
                .types();
            Queue::mutex(&types).unwrap()
        };
        assert_eq!(with("wait_list: list_head").head, Head::List(16));
        let first = with("first_waiter");
        assert_eq!((first.head, first.node, first.task), (Head::First(16), 0, 16));
        // PREEMPT_RT
        let types = types().with("mutex_waiter", 64, &waiter).with("mutex", 32, &[]).types();
        let missing = Queue::mutex(&types).unwrap_err();
        assert!(missing.to_string().contains("wait_list"), "{missing}");
    }

    #[test]
    fn a_semaphores_waiters_and_those_of_rwsems_before_3_9_have_members_of_their_own() {
        let types = types()
            .with("semaphore_waiter", 32, &[("list: list_head", 0, 0), ("task", 16, 8)])
            .with("semaphore", 24, &[("count", 4, 4), ("wait_list: list_head", 8, 0)])
            .with(
                "rwsem_waiter",
                32,
                &[("list: list_head", 0, 0), ("task", 16, 8), ("flags", 24, 4)],
            )
            .with("rw_semaphore", 32, &[("count", 0, 8), ("wait_list: list_head", 16, 0)])
            .types();
        let semaphore = Queue::semaphore(&types).unwrap();
        assert_eq!((semaphore.head, semaphore.task), (Head::List(8), 16));
        let rwsem = Queue::rwsem(&types).unwrap();
        assert_eq!((rwsem.head, rwsem.reads), (Head::List(16), Some((24, 1))));
    }

    #[test]
    fn a_completion_had_three_kinds_of_queues() {
        let swait = types()
            .with("swait_queue_head", 24, &[("lock", 0, 4), ("task_list: list_head", 8, 0)])
            .with("swait_queue", 24, &[("task", 0, 8), ("task_list: list_head", 8, 0)])
            .with("completion", 32, &[("done", 0, 4), ("wait: swait_queue_head", 8, 0)]);
        let wait = types()
            .with("wait_queue_head", 24, &[("lock", 0, 4), ("head: list_head", 8, 0)])
            .with("wait_queue_entry", 40, &[("private", 8, 8), ("entry: list_head", 24, 0)])
            .with("completion", 32, &[("done", 0, 4), ("wait: wait_queue_head", 8, 0)]);
        let old = types()
            .with("__wait_queue_head", 24, &[("lock", 0, 4), ("task_list: list_head", 8, 0)])
            .with("__wait_queue", 40, &[("private", 8, 8), ("task_list: list_head", 24, 0)])
            .with("completion", 32, &[("done", 0, 4), ("wait: __wait_queue_head", 8, 0)]);
        let found = [swait, wait, old].map(|types| {
            let queue = Queue::completion(&types.types()).unwrap();
            assert_eq!(queue.head, Head::List(16));
            (queue.waiter_ty, queue.node, queue.task)
        });
        let plain = (24, 8);
        assert_eq!(
            found,
            [
                ("swait_queue", 8, 0),
                ("wait_queue_entry", plain.0, plain.1),
                ("__wait_queue", plain.0, plain.1)
            ]
        );
    }
}
