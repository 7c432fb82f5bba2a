//! Waiters on futexes: a `struct futex_q` on their stack, queued in a hash bucket.
//!
//! The queue entry carries the key of the futex: for a private one the address space and the
//! address in it. With priority inheritance the kernel keeps the owner in `pi_state`; of a plain
//! futex it knows nothing, the owner is in user memory in whatever form the program chose.
//! Sources: `kernel/futex/futex.h` (`kernel/futex.c` until 5.15), `include/linux/futex.h`.

use super::decode::Recorded;
use super::ring::Ring;
use super::scene::Scene;
use super::waiting::{Found, Queued, Waits};
use super::{Confidence, LockKind, Mode, Spot, Why, api};
use crate::debuginfo::{TypeError, Types};
use crate::dump::VirtAddr;
use std::collections::HashMap;

/// `FUT_OFF_INODE | FUT_OFF_MMSHARED`: bits of a key's offset that say what kind of key it is.
const OFFSET_FLAGS: u32 = 3;
/// `FUT_OFF_INODE`: the key is an inode and a page, not an address.
const INODE: u32 = 1;

/// Where things are in `struct futex_q`, in bytes.
struct Layout {
    task: u64,
    /// The node in the bucket's list.
    node: u64,
    mm: u64,
    address: u64,
    offset: u64,
    /// `pi_state`, and in that the owner of its rt_mutex.
    pi_owner: Option<(u64, u64)>,
}

impl Layout {
    fn probe(types: &Types) -> Result<Layout, TypeError> {
        let queue = types.structure("futex_q")?;
        Ok(Layout {
            task: queue.offset_of("task")?,
            node: queue.offset_of("list.node_list")?,
            mm: queue.offset_of("key.private.mm")?,
            address: queue.offset_of("key.private.address")?,
            offset: queue.offset_of("key.private.offset")?,
            pi_owner: queue.offset_of("pi_state").ok().zip(pi_owner(types).ok()),
        })
    }
}

fn pi_owner(types: &Types) -> Result<u64, TypeError> {
    let state = types.structure("futex_pi_state")?;
    // Before 5.15 the rt_mutex had no base inside.
    state.offset_of("pi_mutex.owner").or_else(|_| state.offset_of("pi_mutex.rtmutex.owner"))
}

/// Finds the tasks that sleep in a futex call.
pub(super) fn find(scene: &Scene<'_>, waits: &mut Waits) {
    let layout = match Layout::probe(scene.session.types()) {
        Ok(layout) => layout,
        Err(error) => {
            waits.notes.push(format!("futexes are not decoded: {error}"));
            return;
        }
    };
    let mut found: HashMap<(VirtAddr, VirtAddr), Found> = HashMap::new();
    for (index, task) in scene.tasks.iter().enumerate() {
        if task.active || task.mm.is_none() {
            continue;
        }
        let Some(pi) = sleeps_in_futex(&scene.functions(index)) else { continue };
        let Some((queue, mm, at)) = queue_of(scene, &layout, index) else { continue };
        let lock = found.entry((mm, at)).or_insert_with(|| Found::new(LockKind::Futex, at));
        if lock.recorded.is_empty() {
            lock.recorded.extend(owner_of(scene, &layout, queue));
        }
        let how = if pi { ", with priority inheritance" } else { "" };
        lock.queue.push(Queued {
            task: index,
            mode: if pi { Mode::Excl } else { Mode::None },
            position: None,
            spinning: false,
            confidence: Confidence::Certain,
            why: Why::new(format!(
                "its futex_q at {queue}, on its own stack, is queued for this address{how}"
            ))
            .at(Spot::Object { ty: "futex_q", at: queue }),
        });
    }
    waits.found.extend(found.into_values());
}

/// The owner that the kernel keeps for a futex with priority inheritance.
fn owner_of(scene: &Scene<'_>, layout: &Layout, queue: VirtAddr) -> Option<Recorded> {
    let memory = scene.session.memory();
    let (state, owner) = layout.pi_owner?;
    let state = memory.read_ptr(queue.plus(state)).ok().filter(|state| !state.is_null())?;
    let owner = memory.read_u64(state.plus(owner)).ok()?;
    // Bit 0 is RT_MUTEX_HAS_WAITERS.
    let task = VirtAddr(owner & !1);
    (!task.is_null()).then(|| Recorded {
        task,
        mode: Mode::Excl,
        confidence: Confidence::Certain,
        why: Why::new(format!(
            "the owner of the futex's pi_state at {state} = {owner:#x} is this task"
        ))
        .at(Spot::Object { ty: "futex_pi_state", at: state }),
    })
}

/// Whether one of these functions waits for a futex, and whether with priority inheritance.
fn sleeps_in_futex(functions: &[&str]) -> Option<bool> {
    functions.iter().map(|name| api::base_name(name)).find_map(|name| match name {
        "futex_lock_pi" => Some(true),
        "futex_wait"
        | "__futex_wait"
        | "futex_wait_queue"
        | "futex_wait_queue_me"
        | "futex_do_wait"
        | "futex_wait_requeue_pi" => Some(false),
        _ => None,
    })
}

/// The queue entry on a task's stack, its address space and the address that it waits for.
fn queue_of(
    scene: &Scene<'_>,
    layout: &Layout,
    index: usize,
) -> Option<(VirtAddr, VirtAddr, VirtAddr)> {
    let memory = scene.session.memory();
    let task = scene.tasks.get(index)?;
    scene.live_words(index)?.iter().filter(|(_, word)| *word == task.at.0).find_map(|(slot, _)| {
        let queue = slot.minus(layout.task);
        let ring = Ring::walk(memory, queue.plus(layout.node), 2 * scene.tasks.len() + 1024);
        if ring.damage.is_some() || ring.nodes.len() < 2 {
            return None;
        }
        let mm = memory.read_ptr(queue.plus(layout.mm)).ok()?;
        let offset = memory.read_u32(queue.plus(layout.offset)).ok()?;
        if offset & INODE != 0 || Some(mm) != task.mm {
            return None;
        }
        let page = memory.read_ptr(queue.plus(layout.address)).ok()?;
        Some((queue, mm, page.plus(u64::from(offset & !OFFSET_FLAGS))))
    })
}
