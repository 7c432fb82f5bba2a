//! Waiters on wait queues: percpu_rwsems, folios, bits, and plain wait queues.
//!
//! All of them sleep with a `struct wait_queue_entry` on their stack whose `private` is the task.
//! What they wait for is told by where the head of its ring lies and by what the entry is part of:
//!
//! - in a `struct percpu_rw_semaphore`, when the task sleeps in `percpu_rwsem_wait`;
//! - in the hashed table `bit_wait_table`: the entry is the end of a `struct wait_bit_queue_entry`,
//!   whose key names the word and the bit;
//! - in `folio_wait_table` (`page_wait_table` until 5.17): the entry is the end of a
//!   `struct wait_page_queue`, which names the folio;
//! - anywhere else: the queue itself is what is known.
//!
//! Sources: `include/linux/wait.h`, `kernel/sched/wait_bit.c`, `mm/filemap.c`,
//! `kernel/locking/percpu-rwsem.c`.

use super::ring::Ring;
use super::scene::Scene;
use super::stack::Code;
use super::waiting::{Found, Queued, Waits};
use super::{Confidence, LockKind, Mode, Spot, Why, api, asked};
use crate::debuginfo::{TypeError, Types};
use crate::dump::VirtAddr;
use std::collections::{HashMap, HashSet};
use std::ops::Range;

/// `WQ_FLAG_EXCLUSIVE | WQ_FLAG_WOKEN`. Readers in `percpu_rwsem_wait` set `WQ_FLAG_CUSTOM` too, which
/// has been 4, 8 and 16; no other flag is set there.
const FLAGS_OF_WRITERS: u32 = 3;
/// Low bits of a key's offset and other small numbers stay below this: no bit of a word is higher.
const BITS: i64 = 64;

/// Where things are.
struct Layout {
    /// In `struct wait_queue_entry`.
    private: u64,
    func: u64,
    entry: u64,
    /// From the start of a `struct wait_queue_head` to its list.
    head: u64,
    /// In `struct percpu_rw_semaphore`: its wait queue.
    percpu: Option<u64>,
    /// `bit_wait_table`, and in `struct wait_bit_queue_entry`: the entry, the word, the bit.
    bits: Option<(Range<VirtAddr>, [u64; 3])>,
    /// `folio_wait_table`, and in `struct wait_page_queue`: the entry, the folio, the bit.
    folios: Option<(Range<VirtAddr>, [u64; 3])>,
}

impl Layout {
    fn probe(scene: &Scene<'_>) -> Result<Layout, TypeError> {
        let types = scene.session.types();
        let entry = types.structure("wait_queue_entry")?;
        let head = types.structure("wait_queue_head")?;
        let table = |name: &str| {
            let (start, end) =
                scene.session.symbols().bounds(scene.session.symbols().address(name)?)?;
            Some(start..end)
        };
        Ok(Layout {
            private: entry.offset_of("private")?,
            func: entry.offset_of("func")?,
            entry: entry.offset_of("entry")?,
            head: head.offset_of("head")?,
            percpu: types
                .structure("percpu_rw_semaphore")
                .and_then(|sem| sem.offset_of("waiters.head"))
                .ok(),
            bits: table("bit_wait_table").zip(
                offsets(
                    types,
                    "wait_bit_queue_entry",
                    ["wq_entry.entry", "key.flags", "key.bit_nr"],
                )
                .ok(),
            ),
            folios: table("folio_wait_table").or_else(|| table("page_wait_table")).zip(
                offsets(types, "wait_page_queue", ["wait.entry", "folio", "bit_nr"])
                    .or_else(|_| {
                        offsets(types, "wait_page_queue", ["wait.entry", "page", "bit_nr"])
                    })
                    .ok(),
            ),
        })
    }
}

fn offsets<const N: usize>(
    types: &Types,
    name: &str,
    members: [&str; N],
) -> Result<[u64; N], TypeError> {
    let ty = types.structure(name)?;
    let mut found = [0; N];
    for (offset, member) in found.iter_mut().zip(members) {
        *offset = ty.offset_of(member)?;
    }
    Ok(found)
}

/// Finds what the tasks in uninterruptible sleep wait for that wait for nothing else known.
pub(super) fn find(scene: &Scene<'_>, code: &Code<'_>, tied: &HashSet<usize>, waits: &mut Waits) {
    let layout = match Layout::probe(scene) {
        Ok(layout) => layout,
        Err(error) => {
            waits.notes.push(format!("wait queues are not decoded: {error}"));
            return;
        }
    };
    let mut found: HashMap<(LockKind, VirtAddr), Found> = HashMap::new();
    let mut seen: HashSet<usize> = HashSet::new();
    for (index, task) in scene.tasks.iter().enumerate() {
        if tied.contains(&index) || seen.contains(&index) || task.active {
            continue;
        }
        let percpu = scene
            .functions(index)
            .iter()
            .any(|name| matches!(api::base_name(name), "percpu_rwsem_wait" | "percpu_down_write"));
        if !percpu && !scene.uninterruptible(task) {
            continue;
        }
        // The first proper ring is the wait: there is one at a time.
        let ring = rings(scene, &layout, index).into_iter().find_map(|mut ring| {
            let head = head_of(scene, &layout, &ring)?;
            let at = ring.iter().position(|node| *node == head)?;
            ring.rotate_left(at);
            Some((head, ring))
        });
        let Some((head, ring)) = ring else {
            if let Some((at, writer)) = percpu.then(|| percpu_writer(scene, code, index)).flatten()
            {
                let kind = LockKind::PercpuRwsem;
                found
                    .entry((kind, at))
                    .or_insert_with(|| Found::new(kind, at))
                    .queue
                    .insert(0, writer);
                seen.insert(index);
            }
            continue;
        };
        let members: Vec<(usize, VirtAddr)> =
            ring.iter().filter_map(|node| Some((member(scene, &layout, *node)?, *node))).collect();
        for (kind, at, queue) in sort(scene, &layout, percpu, head, &members) {
            seen.extend(queue.iter().map(|queued| queued.task));
            found.entry((kind, at)).or_insert_with(|| Found::new(kind, at)).queue.extend(queue);
        }
    }
    for mut lock in found.into_values() {
        // A writer that waits for the readers to leave stands before the queue.
        for (number, queued) in (1..).zip(&mut lock.queue) {
            queued.position = queued.position.map(|_| number);
        }
        waits.found.push(lock);
    }
    waits.found.sort_by_key(|found| (found.at, found.kind));
}

/// A writer that has closed a percpu_rwsem and waits for the readers to leave is in no queue: the
/// semaphore's `writer` names it, and the call that it sleeps in names the semaphore.
fn percpu_writer(scene: &Scene<'_>, code: &Code<'_>, index: usize) -> Option<(VirtAddr, Queued)> {
    let asked = asked::argument(scene, code, index, |name| name == "percpu_down_write")?;
    let at = VirtAddr(asked.value);
    let sem = scene.session.types().structure("percpu_rw_semaphore").ok()?;
    let writer = sem.offset_of("writer.task").ok()?;
    let named = scene.session.memory().read_ptr(at.plus(writer)).ok();
    let task = scene.tasks.get(index)?;
    let mut confidence = asked.confidence();
    let mut why = asked.why;
    if named == Some(task.at) {
        confidence = Confidence::Certain;
        why = why.then("the semaphore's writer is this task").at(Spot::Member(at.plus(writer)));
    }
    let why = why.then("it waits for the readers to leave");
    let position = Some(1);
    Some((
        at,
        Queued { task: index, mode: Mode::Write, position, spinning: false, confidence, why },
    ))
}

/// The closed rings that entries on a task's live stack are in.
fn rings(scene: &Scene<'_>, layout: &Layout, index: usize) -> Vec<Vec<VirtAddr>> {
    let memory = scene.session.memory();
    let (Some(task), Some(words)) = (scene.tasks.get(index), scene.live_words(index)) else {
        return Vec::new();
    };
    words
        .iter()
        .filter(|(_, word)| *word == task.at.0)
        .map(|(slot, _)| slot.minus(layout.private).plus(layout.entry))
        .filter(|node| scene.on_stack(task, *node))
        .filter_map(|node| {
            let ring = Ring::walk(memory, node, 2 * scene.tasks.len() + 1024);
            (ring.damage.is_none() && ring.nodes.len() > 1).then_some(ring.nodes)
        })
        .collect()
}

/// The task that a node's entry is of, if the entry lies on its stack.
fn member(scene: &Scene<'_>, layout: &Layout, node: VirtAddr) -> Option<usize> {
    let private = node.minus(layout.entry).plus(layout.private);
    let index = scene.index_of(scene.session.memory().read_ptr(private).ok()?)?;
    scene.on_stack(scene.tasks.get(index)?, node).then_some(index)
}

/// The one node of a ring that is the head: no entry with a wake-up function before it.
fn head_of(scene: &Scene<'_>, layout: &Layout, ring: &[VirtAddr]) -> Option<VirtAddr> {
    let is_entry = |node: VirtAddr| {
        let func = node.minus(layout.entry).plus(layout.func);
        let func = scene.session.memory().read_ptr(func).ok();
        let symbol = func.and_then(|at| scene.session.symbolize(at));
        symbol.is_some_and(|found| found.offset == 0 && found.symbol.is_text())
    };
    let mut heads = ring.iter().copied().filter(|node| !is_entry(*node));
    let head = heads.next()?;
    heads.next().is_none().then_some(head)
}

/// What the flags of an entry in a percpu_rwsem's queue say.
fn percpu_mode(flags: u32) -> Mode {
    if flags & !FLAGS_OF_WRITERS == 0 { Mode::Write } else { Mode::Read }
}

/// What the members of a ring wait for, those of the same thing together.
fn sort(
    scene: &Scene<'_>,
    layout: &Layout,
    percpu: bool,
    head: VirtAddr,
    members: &[(usize, VirtAddr)],
) -> Vec<(LockKind, VirtAddr, Vec<Queued>)> {
    let memory = scene.session.memory();
    let entry_is = |what: &str, node: &VirtAddr| {
        let at = node.minus(layout.entry);
        Why::new(format!("its wait_queue_entry at {at}, on its own stack, {what}"))
            .at(Spot::Object { ty: "wait_queue_entry", at })
    };
    for (kind, hashed) in [(LockKind::Bit, &layout.bits), (LockKind::Folio, &layout.folios)] {
        let Some((_, [entry, word, bit])) =
            hashed.as_ref().filter(|(table, _)| table.contains(&head))
        else {
            continue;
        };
        let ty = match kind {
            LockKind::Folio => "wait_page_queue",
            _ => "wait_bit_queue_entry",
        };
        let mut by_word: HashMap<VirtAddr, Vec<Queued>> = HashMap::new();
        for (task, node) in members {
            let key = node.minus(*entry);
            let (Ok(word), Ok(bit)) =
                (memory.read_ptr(key.plus(*word)), memory.read_u32(key.plus(*bit)))
            else {
                continue;
            };
            if word.is_null() || i64::from(bit) >= BITS {
                continue;
            }
            let queue = by_word.entry(word).or_default();
            queue.push(Queued {
                task: *task,
                mode: if kind == LockKind::Folio { Mode::Excl } else { Mode::None },
                position: None,
                spinning: false,
                confidence: Confidence::Certain,
                why: Why::new(format!(
                    "its {ty} at {key}, on its own stack, is queued for bit {bit} of {word}"
                ))
                .at(Spot::Object { ty, at: key }),
            });
        }
        return by_word.into_iter().map(|(word, queue)| (kind, word, queue)).collect();
    }
    if let (true, Some(offset)) = (percpu, layout.percpu) {
        let queue = (1..)
            .zip(members)
            .map(|(position, (task, node))| {
                let flags = memory.read_u32(node.minus(layout.entry)).unwrap_or(0);
                Queued {
                    task: *task,
                    mode: percpu_mode(flags),
                    position: Some(position),
                    spinning: false,
                    confidence: Confidence::Certain,
                    why: entry_is(&format!("is number {position} in the semaphore's queue"), node),
                }
            })
            .collect();
        return vec![(LockKind::PercpuRwsem, head.minus(offset), queue)];
    }
    let queue = members
        .iter()
        .map(|(task, node)| Queued {
            task: *task,
            mode: Mode::None,
            position: None,
            spinning: false,
            confidence: Confidence::Certain,
            why: entry_is("is in the queue", node),
        })
        .collect();
    vec![(LockKind::Waitqueue, head.minus(layout.head), queue)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn readers_of_a_percpu_rwsem_are_marked_whichever_number_their_kernels_flag_has() {
        assert_eq!(percpu_mode(1), Mode::Write);
        for custom in [4, 8, 16] {
            assert_eq!(percpu_mode(1 | custom), Mode::Read);
        }
    }
}
