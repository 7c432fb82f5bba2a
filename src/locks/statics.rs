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
        decoded.doubts.is_empty()
            && decoded.holders.iter().any(|holder| {
                holder.confidence == super::Confidence::Certain
                    && scene.index_of(holder.task).is_some()
            })
    })
}
