//! Waiters that the kernel itself records: `task_struct.pi_blocked_on`.
//!
//! A task that waits for an rt_mutex says so in its `task_struct`: the `struct rt_mutex_waiter`
//! there names the lock, and the lock keeps its waiters by priority, in a
//! tree or (until 3.13) in a list. On PREEMPT_RT
//! mutexes, rwsems, spinlocks and rwlocks are built on rt_mutexes; which of them it is, the function
//! that the task sleeps in tells. Sources: `kernel/locking/rtmutex_common.h`,
//! `include/linux/rwbase_rt.h`.

use super::decode::RT_MUTEX_FLAGS;
use super::scene::Scene;
use super::stack::Code;
use super::waiting::{Found, Queued, Waits};
use super::{Confidence, LockKind, Mode, Spot, Why, api, asked};
use crate::debuginfo::{TypeError, Types};
use crate::dump::VirtAddr;
use crate::kernel::walk::{self, WalkError};
use crate::memory::VirtualMemory;
use foldhash::{HashMap, HashSet};

/// Where things are. Offsets in bytes.
struct Layout {
    /// In `struct rt_mutex_waiter`.
    task: u64,
    lock: u64,
    order: Order,
}

/// How a lock keeps its waiters in order: where their node is, and in `struct rt_mutex_base` (`struct
/// rt_mutex` until 5.14) what it hangs in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Order {
    /// A tree, since 3.14.
    Tree { node: u64, root: u64 },
    /// A list sorted by priority.
    List { node: u64, head: u64 },
}

impl Order {
    fn probe(types: &Types) -> Result<Order, TypeError> {
        let waiter = types.structure("rt_mutex_waiter")?;
        let base = types.structure("rt_mutex_base").or_else(|_| types.structure("rt_mutex"))?;
        // Until 2.6.38 a plist_node had a plist_head inside.
        let listed = ["list_entry.node_list", "list_entry.plist.node_list"];
        if let Some(node) = listed.into_iter().find_map(|path| waiter.offset_of(path).ok()) {
            return Ok(Order::List { node, head: base.offset_of("wait_list.node_list")? });
        }
        // Since 6.3 the node stands in a struct of its own, at its start.
        let node = waiter.offset_of("tree").or_else(|_| waiter.offset_of("tree_entry"))?;
        Ok(Order::Tree { node, root: base.offset_of("waiters")? })
    }

    /// Those who wait for the lock at `base`.
    fn walk(self, memory: &dyn VirtualMemory, base: VirtAddr, limit: usize) -> Line {
        let walked = match self {
            Order::Tree { root, .. } => walk::rbtree(memory, base.plus(root), limit),
            Order::List { head, .. } => walk::list(memory, base.plus(head), limit),
        };
        let mut places = HashMap::default();
        for (place, node) in (1..).zip(walked.found) {
            places.entry(node).or_insert(place);
        }
        Line { places, cut: walked.cut }
    }

    /// The place of the waiter at `waiter` among these, from 1.
    fn place(self, line: &Line, waiter: VirtAddr) -> Option<u32> {
        let (Order::Tree { node, .. } | Order::List { node, .. }) = self;
        line.places.get(&waiter.plus(node)).copied()
    }
}

/// Those who wait for a lock, in its order.
struct Line {
    /// Their places, from 1, by their nodes.
    places: HashMap<VirtAddr, u32>,
    /// Why there are no more.
    cut: Option<WalkError>,
}

impl Layout {
    fn probe(types: &Types) -> Result<Layout, TypeError> {
        let waiter = types.structure("rt_mutex_waiter")?;
        Ok(Layout {
            task: waiter.offset_of("task")?,
            lock: waiter.offset_of("lock")?,
            order: Order::probe(types)?,
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
    let mut found: HashMap<(LockKind, VirtAddr), Found> = HashMap::default();
    let mut lines: HashMap<VirtAddr, Line> = HashMap::default();
    for (index, task) in scene.tasks.iter().enumerate() {
        let Ok(waiter) = task.pi_blocked_on else { continue };
        if waiter.is_null() {
            continue;
        }
        let names_task = memory.read_ptr(waiter.plus(layout.task)).is_ok_and(|at| at == task.at);
        let Ok(base) = memory.read_ptr(waiter.plus(layout.lock)) else { continue };
        let Some((kind, mode)) = kind_of(scene.functions(index)) else { continue };
        let Some(offset) = inside(scene.session.types(), kind) else { continue };
        let at = base.minus(offset);
        let entry = found.entry((kind, at)).or_insert_with(|| Found::new(kind, at));
        if !names_task {
            entry
                .doubts
                .push(format!("the waiter at {waiter} of {} names another task", task.label()));
        }
        let line = lines
            .entry(base)
            .or_insert_with(|| layout.order.walk(memory, base, scene.tasks.len() + 1));
        if let Some(cut) = &line.cut {
            let says = format!("its waiters could not all be followed: {cut}");
            if !entry.doubts.contains(&says) {
                entry.doubts.push(says);
            }
        }
        entry.queue.push(Queued {
            task: index,
            mode,
            position: layout.order.place(line, waiter),
            spinning: false,
            in_interrupt: false,
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
            && owns(scene.session.memory(), owner, task.at)
        {
            confidence = Confidence::Certain;
            why = why.then("the rt_mutex in it is this task's").at(Spot::Member(owner));
        }
        lock.queue.push(Queued {
            task: index,
            mode: Mode::Write,
            position: Some(0),
            spinning: false,
            in_interrupt: false,
            confidence,
            why: why.then("it waits for the readers to leave"),
        });
    }
    for lock in found.values_mut() {
        number(&mut lock.queue);
    }
}

/// Numbers a queue from 1: before those who wait for the rt_mutex is, as 0, whoever has it and waits
/// for the readers.
fn number(queue: &mut [Queued]) {
    if queue.iter().any(|queued| queued.position == Some(0)) {
        for queued in queue {
            queued.position = queued.position.map(|position| position + 1);
        }
    }
}

/// Whether the owner of an rt_mutex, a word with flags, is this task.
fn owns(memory: &dyn VirtualMemory, owner: VirtAddr, task: VirtAddr) -> bool {
    memory.read_u64(owner).is_ok_and(|owner| owner & !RT_MUTEX_FLAGS == task.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::testing::{Image, TypeTable};

    const LOCK: u64 = 0xffff_8880_0001_0000;
    const WAITERS: [u64; 3] = [0xffff_c900_0001_3d00, 0xffff_c900_0002_3d00, 0xffff_c900_0003_3d00];

    fn types() -> TypeTable {
        TypeTable::new()
            .with("list_head", 16, &[("next", 0, 8), ("prev", 8, 8)])
            .with("rb_node", 24, &[("parent", 0, 8), ("right", 8, 8), ("left", 16, 8)])
            .with("rb_root", 8, &[("rb_node", 0, 8)])
    }

    #[test]
    fn waiters_are_kept_in_a_list_or_in_a_tree_whose_node_has_had_two_names() {
        let inside = types()
            .with("plist_inner", 32, &[("prio_list", 0, 16), ("node_list: list_head", 16, 0)])
            .with("plist_head", 16, &[("node_list: list_head", 0, 0)])
            .with("plist_node", 40, &[("prio", 0, 4), ("plist: plist_inner", 8, 0)])
            .with("rt_mutex", 40, &[("wait_list: plist_head", 8, 0), ("owner", 24, 8)])
            .with("rt_mutex_waiter", 96, &[("list_entry: plist_node", 0, 0)]);
        let order = Order::probe(&inside.types()).unwrap();
        assert_eq!(order, Order::List { node: 24, head: 8 });
        for (member, base) in
            [("tree_entry: rb_node", "rt_mutex"), ("tree: rb_node", "rt_mutex_base")]
        {
            let tree = types()
                .with(base, 40, &[("waiters: rb_root", 8, 0), ("owner", 24, 8)])
                .with("rt_mutex_waiter", 96, &[(member, 0, 0)]);
            assert_eq!(Order::probe(&tree.types()).unwrap(), Order::Tree { node: 0, root: 8 });
        }
    }

    #[test]
    fn the_place_in_a_list_counts_from_its_head() {
        let order = Order::List { node: 24, head: 8 };
        let mut memory = Image::default();
        let mut ring = vec![LOCK + 8];
        ring.extend(WAITERS.iter().map(|waiter| waiter + 24));
        for (number, node) in ring.iter().enumerate() {
            memory.put_u64(*node, ring[(number + 1) % ring.len()]);
        }
        let place =
            |waiter| order.place(&order.walk(&memory, VirtAddr(LOCK), 10), VirtAddr(waiter));
        assert_eq!(WAITERS.map(place), [Some(1), Some(2), Some(3)]);
        assert_eq!(place(0xffff_c900_0004_3d00), None);
    }

    #[test]
    fn the_place_in_a_tree_is_that_of_its_order() {
        let order = Order::Tree { node: 0, root: 8 };
        let mut memory = Image::default();
        let [first, second, third] = WAITERS;
        memory.put_u64(LOCK + 8, second);
        for (node, right, left) in [(second, third, first), (first, 0, 0), (third, 0, 0)] {
            memory.put_u64(node, 0);
            memory.put_u64(node + 8, right);
            memory.put_u64(node + 16, left);
        }
        let place =
            |waiter| order.place(&order.walk(&memory, VirtAddr(LOCK), 10), VirtAddr(waiter));
        assert_eq!(WAITERS.map(place), [Some(1), Some(2), Some(3)]);
    }

    #[test]
    fn a_writer_that_waits_for_readers_to_leave_is_before_all_others() {
        let numbers = |places: &[Option<u32>]| {
            let queued = |position: &Option<u32>| Queued {
                task: 0,
                mode: Mode::Write,
                position: *position,
                spinning: false,
                in_interrupt: false,
                confidence: Confidence::Certain,
                why: Why::default(),
            };
            let mut queue: Vec<Queued> = places.iter().map(queued).collect();
            number(&mut queue);
            queue.iter().map(|queued| queued.position).collect::<Vec<_>>()
        };
        assert_eq!(numbers(&[Some(1), None, Some(0)]), [Some(2), None, Some(1)]);
        assert_eq!(numbers(&[Some(1), Some(2)]), [Some(1), Some(2)]);
    }

    #[test]
    fn a_tree_of_waiters_that_loops_ends_and_still_places_those_before() {
        let order = Order::Tree { node: 0, root: 8 };
        let mut memory = Image::default();
        let [first, second, third] = WAITERS;
        memory.put_u64(LOCK + 8, second);
        for (node, right, left) in [(second, third, first), (first, 0, 0), (third, second, 0)] {
            memory.put_u64(node, 0);
            memory.put_u64(node + 8, right);
            memory.put_u64(node + 16, left);
        }
        let place =
            |waiter| order.place(&order.walk(&memory, VirtAddr(LOCK), 10), VirtAddr(waiter));
        assert_eq!([first, second].map(place), [Some(1), Some(2)]);
        assert_eq!(place(0xffff_c900_0004_3d00), None);
    }

    #[test]
    fn the_functions_slept_in_tell_what_an_rt_mutex_is_part_of() {
        let kind = |functions: &[&str]| kind_of(functions);
        let rtlock = ["schedule_rtlock", "rtlock_slowlock_locked", "rt_spin_lock"];
        assert_eq!(kind(&rtlock), Some((LockKind::Spinlock, Mode::Excl)));
        let read = ["schedule", "rt_mutex_slowlock_block", "__rwbase_read_lock", "down_read"];
        assert_eq!(kind(&read), Some((LockKind::Rwsem, Mode::Read)));
        let rwlock = ["schedule_rtlock", "rtlock_slowlock_locked", "rt_write_lock"];
        assert_eq!(kind(&rwlock), Some((LockKind::Rwlock, Mode::Write)));
        assert_eq!(kind(&["rt_mutex_slowlock", "futex_lock_pi"]), None);
        let mutex = ["schedule", "__mutex_lock.constprop.0", "mutex_lock"];
        assert_eq!(kind(&mutex), Some((LockKind::Mutex, Mode::Excl)));
        let reader = ["schedule_rtlock", "rtlock_slowlock_locked", "rt_read_lock"];
        assert_eq!(kind(&reader), Some((LockKind::Rwlock, Mode::Read)));
        let writer = ["schedule", "rwbase_write_lock", "down_write"];
        assert_eq!(kind(&writer), Some((LockKind::Rwsem, Mode::Write)));
        let plain = ["schedule", "rt_mutex_slowlock_block", "rt_mutex_slowlock"];
        assert_eq!(kind(&plain), Some((LockKind::RtMutex, Mode::Excl)));
    }

    #[test]
    fn an_owner_is_the_task_whatever_its_flags() {
        let mut memory = Image::default();
        memory.put_u64(LOCK, WAITERS[0] | 1);
        assert!(owns(&memory, VirtAddr(LOCK), VirtAddr(WAITERS[0])));
        assert!(!owns(&memory, VirtAddr(LOCK), VirtAddr(WAITERS[1])));
        assert!(!owns(&memory, VirtAddr(LOCK + 0x1000), VirtAddr(WAITERS[0])));
    }

    use crate::locks::testing::{Stage, demo, task};

    /// The rt_mutexes found where a sleeping task's `pi_blocked_on` leads to a waiter that names this task and
    /// this lock, whose tree of waiters begins at the waiter's node or at this address.
    fn found(named: &str, lock: u64, top: Option<u64>) -> Vec<Found> {
        let demo = demo();
        let sleeps = task(&demo, "chain-7");
        let waiter = sleeps.stack.plus(0x100);
        let offset = |ty, path| demo.types().structure(ty).unwrap().offset_of(path).unwrap();
        let member = |path| waiter.0 + offset("rt_mutex_waiter", path);
        let node = member("tree");
        let mut stage = Stage::with(|memory| {
            memory.put64(member("task"), task(&demo, named).at.0);
            memory.put64(member("lock"), lock);
            memory.put64(lock + offset("rt_mutex_base", "waiters"), top.unwrap_or(node));
            // Leaf or, with a top of its own, a node that is its own right child.
            memory
                .put64(node + offset("rb_node", "rb_right"), if top.is_some() { node } else { 0 });
            memory.put64(node + offset("rb_node", "rb_left"), 0);
        });
        let index =
            stage.enter("chain-7", &["schedule", "rt_mutex_slowlock_block", "rt_mutex_lock"]);
        stage.tasks[index].pi_blocked_on = Ok(waiter);
        let mut waits = Waits::default();
        find(&stage.scene(), &Code::new(&stage.session), &mut waits);
        waits.found
    }

    #[test]
    fn waiters_that_loop_or_lead_nowhere_leave_the_lock_listed_with_a_doubt() {
        let lock = demo().symbols().address("hu_sem").unwrap().0;
        let node = task(&demo(), "chain-7").stack.0 + 0x100;
        let looping = found("chain-7", lock, Some(node));
        assert_eq!(looping[0].queue[0].position, Some(1));
        assert!(
            looping[0].doubts[0].contains("could not all be followed"),
            "{:?}",
            looping[0].doubts
        );
        let wild = found("chain-7", lock, Some(0xdead_0000_0000_0100));
        assert_eq!(wild[0].queue[0].position, None);
        assert_eq!(wild[0].doubts.len(), 1);
    }

    #[test]
    fn a_waiter_that_names_another_task_is_doubtful() {
        let lock = demo().symbols().address("hu_sem").unwrap().0;
        let own = found("chain-7", lock, None);
        assert_eq!((own[0].kind, own[0].at.0, own[0].queue.len()), (LockKind::RtMutex, lock, 1));
        assert_eq!(own[0].queue[0].position, Some(1));
        assert_eq!(own[0].doubts, [""; 0]);
        let other = found("chain-6", lock, None);
        assert_eq!(other[0].queue.len(), 1);
        assert!(
            other[0].doubts[0].ends_with("of chain-7[124] names another task"),
            "{:?}",
            other[0].doubts
        );
    }

    #[test]
    fn a_lock_of_preempt_rt_has_its_rt_mutex_inside_and_others_have_none() {
        let types = types()
            .with("rt_mutex_base", 32, &[("owner", 24, 8)])
            .with("mutex", 48, &[("owner", 0, 8), ("rtmutex: rt_mutex_base", 8, 0)])
            .types();
        assert_eq!(inside(&types, LockKind::Mutex), Some(8));
        assert_eq!(inside(&types, LockKind::RtMutex), Some(0));
        assert_eq!(inside(&types, LockKind::Spinlock), None);
        assert_eq!(inside(&types, LockKind::Semaphore), None);
    }
}
