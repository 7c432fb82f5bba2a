//! Waiters that the kernel itself records: `task_struct.pi_blocked_on`.
//!
//! A task that waits for an rt_mutex says so in its `task_struct`: the `struct rt_mutex_waiter`
//! there names the lock, and the lock keeps its waiters in a tree by priority. On PREEMPT_RT
//! mutexes, rwsems, spinlocks and rwlocks are built on rt_mutexes; which of them it is, the function
//! that the task sleeps in tells. Sources: `kernel/locking/rtmutex_common.h`,
//! `include/linux/rwbase_rt.h`.

use super::scene::Scene;
use super::stack::Code;
use super::waiting::{Found, Queued, Waits};
use super::{Confidence, LockKind, Mode, Spot, Why, api, asked};
use crate::debuginfo::{TypeError, Types};
use crate::dump::VirtAddr;
use crate::kernel::walk;
use std::collections::{HashMap, HashSet};

/// Where things are. Offsets in bytes.
struct Layout {
    /// In `task_struct`: the waiter.
    pi_blocked_on: u64,
    /// In `struct rt_mutex_waiter`.
    task: u64,
    lock: u64,
    tree: u64,
    /// In `struct rt_mutex_base` (`struct rt_mutex` until 5.14): the tree of waiters.
    waiters: u64,
}

impl Layout {
    fn probe(types: &Types) -> Result<Layout, TypeError> {
        let waiter = types.structure("rt_mutex_waiter")?;
        // Since 6.3 the node stands in a struct of its own, at its start.
        let tree = waiter.offset_of("tree").or_else(|_| waiter.offset_of("tree_entry"))?;
        let base = types.structure("rt_mutex_base").or_else(|_| types.structure("rt_mutex"))?;
        Ok(Layout {
            pi_blocked_on: types.structure("task_struct")?.offset_of("pi_blocked_on")?,
            task: waiter.offset_of("task")?,
            lock: waiter.offset_of("lock")?,
            tree,
            waiters: base.offset_of("waiters")?,
        })
    }
}

/// How far inside a lock of this kind its rt_mutex lies; 0 where it is one itself.
pub(super) fn inside(types: &Types, kind: LockKind) -> Option<u64> {
    let (ty, member) = match kind {
        LockKind::Mutex => ("mutex", "rtmutex"),
        LockKind::Rwsem => ("rw_semaphore", "rwbase.rtmutex"),
        LockKind::Spinlock => ("spinlock", "lock"),
        LockKind::RtMutex => return Some(0),
        LockKind::Rwlock => {
            let rwlock = types.find(crate::debuginfo::Tag::Typedef, "rwlock_t").ok()?;
            return rwlock.offset_of("rwbase.rtmutex").ok();
        }
        _ => return None,
    };
    types.structure(ty).ok()?.offset_of(member).ok()
}

/// Finds the tasks that wait for an rt_mutex or for a lock that is built on one.
pub(super) fn find(scene: &Scene<'_>, code: &Code<'_>, waits: &mut Waits) {
    let layout = match Layout::probe(scene.session.types()) {
        Ok(layout) => layout,
        Err(error) => {
            waits.notes.push(format!("rt_mutex: waiters are not decoded: {error}"));
            return;
        }
    };
    let memory = scene.session.memory();
    let mut found: HashMap<(LockKind, VirtAddr), Found> = HashMap::new();
    for (index, task) in scene.tasks.iter().enumerate() {
        let Ok(waiter) = memory.read_ptr(task.at.plus(layout.pi_blocked_on)) else { continue };
        if waiter.is_null() {
            continue;
        }
        let names_task = memory.read_ptr(waiter.plus(layout.task)).is_ok_and(|at| at == task.at);
        let Ok(base) = memory.read_ptr(waiter.plus(layout.lock)) else { continue };
        let Some((kind, mode)) = kind_of(&scene.functions(index)) else { continue };
        let Some(offset) = inside(scene.session.types(), kind) else { continue };
        let at = base.minus(offset);
        let entry = found.entry((kind, at)).or_insert_with(|| Found::new(kind, at));
        if !names_task {
            entry
                .doubts
                .push(format!("the waiter at {waiter} of {} names another task", task.label()));
        }
        let order = walk::rbtree(memory, base.plus(layout.waiters), scene.tasks.len());
        let place = order.found.iter().position(|node| *node == waiter.plus(layout.tree));
        entry.queue.push(Queued {
            task: index,
            mode,
            position: place.and_then(|place| u32::try_from(place + 1).ok()),
            spinning: false,
            confidence: Confidence::Certain,
            why: Why::new(format!(
                "its pi_blocked_on is the rt_mutex_waiter at {waiter} for this lock"
            ))
            .at(Spot::Object { ty: "rt_mutex_waiter", at: waiter }),
        });
    }
    if inside(scene.session.types(), LockKind::Rwsem).is_some() {
        writers(scene, code, &mut found);
    }
    for mut lock in found.into_values() {
        lock.queue.sort_by_key(|queued| queued.position);
        waits.found.push(lock);
    }
}

/// What a task with an rt_mutex waiter waits for, by the functions on its stack, innermost first.
/// The kernel's API functions are often gone (tail calls), so that only what they call is left.
fn kind_of(functions: &[&str]) -> Option<(LockKind, Mode)> {
    let names = || functions.iter().map(|name| api::base_name(name));
    let any =
        |starts: &[&str]| names().any(|name| starts.iter().any(|start| name.starts_with(start)));
    // A futex with priority inheritance is known by its address in user space, not by this.
    if any(&["futex_lock_pi", "futex_wait_requeue_pi"]) {
        return None;
    }
    let rtlock = any(&["rtlock_slowlock", "rt_spin_lock", "rt_read_lock", "rt_write_lock"]);
    let read = any(&["__rwbase_read_lock", "rwbase_read_lock", "down_read", "rt_read_lock"]);
    let write = any(&["rwbase_write_lock", "down_write", "rt_write_lock"]);
    Some(match (rtlock, read, write) {
        (true, true, _) => (LockKind::Rwlock, Mode::Read),
        (true, _, true) => (LockKind::Rwlock, Mode::Write),
        (true, _, _) => (LockKind::Spinlock, Mode::Excl),
        (_, true, _) => (LockKind::Rwsem, Mode::Read),
        (_, _, true) => (LockKind::Rwsem, Mode::Write),
        _ if any(&["mutex_lock", "ww_mutex_lock", "__ww_rt_mutex_lock"]) => {
            (LockKind::Mutex, Mode::Excl)
        }
        _ if any(&["rt_mutex_", "__rt_mutex_"]) => (LockKind::RtMutex, Mode::Excl),
        _ => return None,
    })
}

/// Writers of an RT rwsem or rwlock that have its rt_mutex and wait for the readers to leave: they
/// wait for no rt_mutex, so nothing but the function that they sleep in tells.
fn writers(scene: &Scene<'_>, code: &Code<'_>, found: &mut HashMap<(LockKind, VirtAddr), Found>) {
    let tied: HashSet<usize> =
        found.values().flat_map(|lock| &lock.queue).map(|queued| queued.task).collect();
    let base = scene.session.types().structure("rt_mutex_base");
    let owner_in_base = base.and_then(|base| base.offset_of("owner")).ok();
    for (index, task) in scene.tasks.iter().enumerate() {
        if task.active || tied.contains(&index) {
            continue;
        }
        let functions = scene.functions(index);
        if !functions.iter().any(|name| api::base_name(name) == "rwbase_write_lock") {
            continue;
        }
        // It sleeps in schedule_rtlock() for a rwlock; `rwbase` begins either lock.
        let rtlock = functions.iter().any(|name| api::base_name(name) == "schedule_rtlock");
        let kind = if rtlock { LockKind::Rwlock } else { LockKind::Rwsem };
        let is = |name: &str| matches!(name, "rwbase_write_lock" | "down_write" | "rt_write_lock");
        let Some(asked) = asked::argument(scene, code, index, is) else { continue };
        let at = VirtAddr(asked.value);
        let lock = found.entry((kind, at)).or_insert_with(|| Found::new(kind, at));
        let mut confidence = asked.confidence();
        let mut why = asked.why;
        // No other writer can have the mutex inside meanwhile.
        let inner = inside(scene.session.types(), kind).and_then(|offset| at.checked_add(offset));
        let owner = inner.and_then(|inner| inner.checked_add(owner_in_base?));
        if let Some(owner) = owner
            && scene.session.memory().read_u64(owner).is_ok_and(|owner| owner & !1 == task.at.0)
        {
            confidence = Confidence::Certain;
            why = why.then("the rt_mutex in it is this task's").at(Spot::Member(owner));
        }
        lock.queue.push(Queued {
            task: index,
            mode: Mode::Write,
            position: Some(0),
            spinning: false,
            confidence,
            why: why.then("it waits for the readers to leave"),
        });
    }
    for lock in found.values_mut() {
        if lock.queue.iter().any(|queued| queued.position == Some(0)) {
            for queued in &mut lock.queue {
                queued.position = queued.position.map(|position| position + 1);
            }
        }
    }
}
