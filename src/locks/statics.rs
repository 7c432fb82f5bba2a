//! Locks in static memory that somebody holds, found from the data side.
//!
//! A lock that nobody waits for stands on nobody's stack. But most locks that matter have a symbol,
//! and a lock that records its owner can be recognised: a word in the data of the kernel or a
//! module that is the address of a live task, in the place of `owner` of a mutex or a write-held
//! rwsem that begins at a symbol and whose list of waiters is a proper list. So `rtnl_mutex` is
//! named with its holder even when the hang is elsewhere. Locks inside larger variables are left
//! out: a rwsem from its second word on has the shape of a mutex, and without the types of
//! variables nothing tells which it is.

use super::layout::{Head, Queue};
use super::scene::Scene;
use super::{LockKind, decode};
use crate::debuginfo::Types;
use crate::dump::{PAGE_SIZE, VirtAddr};
use rayon::prelude::*;
use std::ops::Range;

/// More static data than any kernel has: a range beyond it is damage.
const DATA_LIMIT: u64 = 1 << 30;
/// Low bits of an owner that are flags.
const FLAGS: u64 = 7;

/// The locks in static memory that record a live task as their owner.
pub(super) fn held(scene: &Scene<'_>, queues: &[Queue]) -> Vec<(LockKind, VirtAddr)> {
    let types = scene.session.types();
    let shapes: Vec<(&Queue, u64)> =
        queues.iter().filter_map(|queue| Some((queue, owner_offset(types, queue.kind)?))).collect();
    let pages: Vec<VirtAddr> = ranges(scene).iter().flat_map(pages_of).collect();
    let mut found: Vec<(LockKind, VirtAddr)> = pages
        .par_iter()
        .flat_map_iter(|page| owners_in(scene, *page))
        .flat_map_iter(|owner| {
            shapes.iter().filter_map(move |(queue, offset)| {
                let at = owner.minus(*offset);
                is_held(scene, queue, at).then_some((queue.kind, at))
            })
        })
        .collect();
    found.sort_unstable();
    found.dedup();
    found
}

/// Where the kernel and its modules keep their variables.
fn ranges(scene: &Scene<'_>) -> Vec<Range<VirtAddr>> {
    let symbols = scene.session.symbols();
    let kernel = [("_sdata", "_edata"), ("__bss_start", "__bss_stop")]
        .into_iter()
        .filter_map(|(start, end)| Some(symbols.address(start)?..symbols.address(end)?));
    let modules = scene.session.modules().iter().flat_map(|module| module.regions.clone());
    kernel
        .chain(modules)
        .filter(|range| range.end.offset_from(range.start).is_some_and(|len| len < DATA_LIMIT))
        .collect()
}

fn pages_of(range: &Range<VirtAddr>) -> impl Iterator<Item = VirtAddr> + use<> {
    let first = range.start.0 & !(PAGE_SIZE - 1);
    (first..range.end.0).step_by(usize::try_from(PAGE_SIZE).unwrap_or(4096)).map(VirtAddr)
}

/// The words of a page that are a live task's address, flags aside.
fn owners_in(scene: &Scene<'_>, page: VirtAddr) -> Vec<VirtAddr> {
    let Ok(bytes) = scene.session.memory().read_vec(page, 4096) else { return Vec::new() };
    let (words, _) = bytes.as_chunks();
    words
        .iter()
        .zip((0..).step_by(8))
        .filter(|(word, _)| {
            let task = u64::from_le_bytes(**word) & !FLAGS;
            task >> 47 != 0 && scene.index_of(VirtAddr(task)).is_some()
        })
        .map(|(_, offset)| page.plus(offset))
        .collect()
}

fn owner_offset(types: &Types, kind: LockKind) -> Option<u64> {
    let name = match kind {
        LockKind::Mutex => "mutex",
        LockKind::Rwsem => "rw_semaphore",
        _ => return None,
    };
    types.structure(name).ok()?.offset_of("owner").ok()
}

/// Whether a lock of this kind lies at `at` that a live task owns. Its list of waiters, empty or
/// not, is what tells a lock from a variable that happens to point to a task.
fn is_held(scene: &Scene<'_>, queue: &Queue, at: VirtAddr) -> bool {
    let memory = scene.session.memory();
    let named = scene.session.symbolize(at);
    if !named.is_some_and(|found| found.offset == 0 && !found.symbol.is_text()) {
        return false;
    }
    // Without a head in the lock there is nothing to tell it by.
    let Head::List(offset) = queue.head else { return false };
    let head = at.plus(offset);
    let proper = || {
        let next = memory.read_ptr(head)?;
        let prev = memory.read_ptr(head.plus(8))?;
        let back = memory.read_ptr(next.plus(8))?;
        let forth = memory.read_ptr(prev)?;
        Ok::<bool, crate::dump::Fault>(back == head && forth == head)
    };
    if !proper().unwrap_or(false) {
        return false;
    }
    let decoded = decode::decode(scene.session, queue.kind, at, false);
    decoded.is_ok_and(|decoded| {
        decoded.holders.iter().any(|holder| {
            holder.confidence == super::Confidence::Certain && scene.index_of(holder.task).is_some()
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::locks::testing::{Stage, demo, memory::Memory};
    use LockKind::{Mutex, Rwsem};

    /// The static locks that are held where only these tasks live, once memory has been changed.
    fn found(tasks: &[&str], change: impl FnOnce(&mut Memory<'_>)) -> Vec<(LockKind, String)> {
        let mut stage = Stage::with(change);
        for task in tasks {
            stage.enter(task, &[]);
        }
        let types = stage.session.types();
        let queues: Vec<Queue> =
            Queue::probe_all(types).into_iter().filter_map(Result::ok).collect();
        let held = held(&stage.scene(), &queues).into_iter();
        let mut held: Vec<_> = held
            .map(|(kind, at)| (kind, stage.session.symbolize(at).unwrap().to_string()))
            .collect();
        held.sort();
        held
    }

    #[test]
    fn a_static_lock_is_held_by_the_live_task_that_it_names_whatever_its_flags() {
        let all = found(&["chain-0", "chain-1", "abba-1", "rws1-holder", "rws2-holder"], |_| {});
        // Inside an array nothing tells a lock from other data; and readers are not recorded.
        let held = [(Mutex, "hu_abba_a"), (Mutex, "hu_chain"), (Rwsem, "hu_rwsem_w")];
        assert_eq!(all, held.map(|(kind, name)| (kind, name.to_owned())));
        assert_eq!(found(&["chain-2"], |_| {}), []);
    }

    #[test]
    fn a_word_that_names_a_task_is_no_lock_without_a_proper_list_behind_it() {
        let types = demo();
        let mutex = types.types().structure("mutex").unwrap();
        let lock = types.symbols().address("hu_chain").unwrap();
        let list = lock.plus(mutex.offset_of("wait_list").unwrap()).0;
        let task = crate::locks::testing::task(&types, "chain-0").at.0;
        // Into nothing, into a page of zeroes, and to itself one way only.
        for (next, prev) in [(8, list), (list, 8), (task, task), (list, task)] {
            let broken = found(&["chain-0"], |memory| {
                memory.put64(list, next);
                memory.put64(list + 8, prev);
            });
            assert_eq!(broken, [], "{next:x} {prev:x}");
        }
    }
}
