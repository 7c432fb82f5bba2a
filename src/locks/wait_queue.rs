//! Waiters on wait queues: percpu_rwsems, folios, bits, and plain wait queues.
//!
//! All of them sleep with a `struct wait_queue_entry` on their stack whose `private` is the task.
//! What they wait for is told by the function that wakes them up:
//!
//! - `percpu_rwsem_wake_function`: the head of the ring lies in a `struct percpu_rw_semaphore`;
//! - `wake_bit_function`, `var_wake_function`: the entry is the end of a `struct
//!   wait_bit_queue_entry` (`wait_bit_queue`), whose key names the word and the bit, or a variable;
//! - `wake_page_function`: the entry is the end of a `struct wait_page_queue`, which names the folio;
//!   until 4.12 a page was waited for by the bits of its flags;
//! - any other: the queue itself is what is known.
//!
//! Sources: `include/linux/wait.h`, `kernel/sched/wait_bit.c`, `mm/filemap.c`,
//! `kernel/locking/percpu-rwsem.c`.

use super::ring::Ring;
use super::scene::Scene;
use super::stack::Code;
use super::waiting::{Found, Queued, Untied, Waits};
use super::whole::Flags;
use super::{Confidence, LockKind, Mode, Spot, Why, api, asked, whole};
use crate::debuginfo::{TypeError, Types};
use crate::dump::VirtAddr;
use crate::memory::VirtualMemory;
use foldhash::{HashMap, HashSet};

/// `WQ_FLAG_EXCLUSIVE | WQ_FLAG_WOKEN`. Readers in `percpu_rwsem_wait` set `WQ_FLAG_CUSTOM` too, which
/// has been 4, 8 and 16; no other flag is set there.
const FLAGS_OF_WRITERS: u32 = 3;
/// Low bits of a key's offset and other small numbers stay below this: no bit of a word is higher.
const BITS: i32 = 64;

/// Where things are.
struct Layout {
    /// In `struct wait_queue_entry` (until 4.12 `__wait_queue`).
    private: u64,
    func: u64,
    entry: u64,
    /// From the start of a `struct wait_queue_head` to its list.
    head: u64,
    /// In `struct percpu_rw_semaphore`: its wait queue.
    percpu: Option<u64>,
    /// In `struct wait_bit_queue_entry`: the entry's node, the word, the bit.
    bit: Option<[u64; 3]>,
    /// In `struct wait_page_queue`: the entry's node, the folio, the bit.
    page: Option<[u64; 3]>,
}

/// What an entry of a wait queue is part of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Entry {
    /// Nothing more is known of it.
    Plain,
    /// Of a reader or writer of a percpu_rwsem.
    Percpu,
    /// `struct wait_bit_queue_entry`
    Bit,
    /// `struct wait_page_queue`
    Page,
}

impl Entry {
    /// By the function that wakes its task up.
    fn of(func: &str) -> Entry {
        match api::base_name(func) {
            "wake_bit_function" | "var_wake_function" | "wake_atomic_t_function" => Entry::Bit,
            "wake_page_function" => Entry::Page,
            "percpu_rwsem_wake_function" => Entry::Percpu,
            _ => Entry::Plain,
        }
    }
}

impl Layout {
    fn probe(types: &Types) -> Result<Layout, TypeError> {
        let old = types.structure("wait_queue_entry").is_err();
        let (entry, node, head, list) = if old {
            ("__wait_queue", "task_list", "__wait_queue_head", "task_list")
        } else {
            ("wait_queue_entry", "entry", "wait_queue_head", "head")
        };
        let [private, func, entry] = offsets(types, entry, ["private", "func", node])?;
        let bit = if old {
            offsets(types, "wait_bit_queue", ["wait.task_list", "key.flags", "key.bit_nr"])
        } else {
            let members = ["wq_entry.entry", "key.flags", "key.bit_nr"];
            offsets(types, "wait_bit_queue_entry", members)
        };
        let page = ["folio", "page"]
            .into_iter()
            .find_map(|of| offsets(types, "wait_page_queue", ["wait.entry", of, "bit_nr"]).ok());
        let sem = types.structure("percpu_rw_semaphore");
        Ok(Layout {
            private,
            func,
            entry,
            head: types.structure(head)?.offset_of(list)?,
            percpu: sem.and_then(|sem| sem.offset_of("waiters.head")).ok(),
            bit: bit.ok(),
            page,
        })
    }

    /// What the entry with this node is for: where its key lies, the word or folio that the key
    /// names, and the number of the bit; -1 for a variable that is to change.
    fn key(
        &self,
        memory: &dyn VirtualMemory,
        entry: Entry,
        node: VirtAddr,
    ) -> Option<(VirtAddr, VirtAddr, i32)> {
        let offsets = if entry == Entry::Page { self.page } else { self.bit };
        let [entry, word, bit] = offsets?;
        let key = node.checked_sub(entry)?;
        let word = memory.read_ptr(key.plus(word)).ok()?;
        let bit = memory.read_u32(key.plus(bit)).ok()?.cast_signed();
        (!word.is_null() && (-1..BITS).contains(&bit)).then_some((key, word, bit))
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
    let layout = match Layout::probe(scene.session.types()) {
        Ok(layout) => layout,
        Err(error) => {
            waits.notes.push(format!("wait queues are not decoded: {error}"));
            return;
        }
    };
    let mut found: HashMap<(LockKind, VirtAddr), Found> = HashMap::default();
    let mut seen: HashSet<usize> = HashSet::default();
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
        let (rings, broken) = rings(scene, &layout, index);
        let ring = rings.into_iter().find_map(|mut ring| {
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
            } else if let Some((entry, damage)) = broken {
                let why = format!(
                    "the queue of its wait_queue_entry at {entry}, on its own stack, could not be \
                     followed: {damage}"
                );
                waits.untied.push(Untied { task: index, why });
            }
            continue;
        };
        let members: Vec<(usize, VirtAddr)> =
            ring.iter().filter_map(|node| Some((member(scene, &layout, *node)?, *node))).collect();
        for Awaited { kind, at, queued, what } in sort(scene, &layout, head, &members) {
            seen.insert(queued.task);
            let lock = found.entry((kind, at)).or_insert_with(|| Found::new(kind, at));
            lock.queue.push(queued);
            lock.what = lock.what.take().or(what);
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
        Queued {
            task: index,
            mode: Mode::Write,
            position,
            spinning: false,
            in_interrupt: false,
            confidence,
            why,
        },
    ))
}

/// The closed rings that entries on a task's live stack are in; and the first of its entries whose ring
/// is damaged, with the damage.
fn rings(
    scene: &Scene<'_>,
    layout: &Layout,
    index: usize,
) -> (Vec<Vec<VirtAddr>>, Option<(VirtAddr, String)>) {
    let memory = scene.session.memory();
    let (mut closed, mut broken) = (Vec::new(), None);
    let (Some(task), Some(slots)) = (scene.tasks.get(index), scene.own_slots(index)) else {
        return (closed, broken);
    };
    let nodes = slots.map(|slot| slot.minus(layout.private).plus(layout.entry));
    for node in nodes.filter(|node| scene.on_stack(task, *node)) {
        let ring = Ring::walk(memory, node, 2 * scene.tasks.len() + 1024);
        match ring.damage {
            None if ring.nodes.len() > 1 => closed.push(ring.nodes),
            Some(damage) if broken.is_none() && is_entry(scene, layout, node) => {
                broken = Some((node.minus(layout.entry), damage));
            }
            _ => {}
        }
    }
    (closed, broken)
}

/// Whether a function that wakes up stands before a node.
fn is_entry(scene: &Scene<'_>, layout: &Layout, node: VirtAddr) -> bool {
    let func = scene.session.memory().read_ptr(node.minus(layout.entry).plus(layout.func));
    let symbol = func.ok().and_then(|at| scene.session.symbolize(at));
    symbol.is_some_and(|found| found.offset == 0 && found.symbol.is_text())
}

/// The task that a node's entry is of, if the entry lies on its stack.
fn member(scene: &Scene<'_>, layout: &Layout, node: VirtAddr) -> Option<usize> {
    let private = node.minus(layout.entry).plus(layout.private);
    let index = scene.index_of(scene.session.memory().read_ptr(private).ok()?)?;
    scene.on_stack(scene.tasks.get(index)?, node).then_some(index)
}

/// The one node of a ring that is the head: no entry with a wake-up function before it.
fn head_of(scene: &Scene<'_>, layout: &Layout, ring: &[VirtAddr]) -> Option<VirtAddr> {
    let mut heads = ring.iter().copied().filter(|node| !is_entry(scene, layout, *node));
    let head = heads.next()?;
    heads.next().is_none().then_some(head)
}

/// What the flags of an entry in a percpu_rwsem's queue say.
fn percpu_mode(flags: u32) -> Mode {
    if flags & !FLAGS_OF_WRITERS == 0 { Mode::Write } else { Mode::Read }
}

/// What one member of a ring waits for.
struct Awaited {
    kind: LockKind,
    at: VirtAddr,
    queued: Queued,
    /// What the lock or word is part of.
    what: Option<String>,
}

/// What the members of a ring wait for, in its order.
fn sort(
    scene: &Scene<'_>,
    layout: &Layout,
    head: VirtAddr,
    members: &[(usize, VirtAddr)],
) -> Vec<Awaited> {
    let memory = scene.session.memory();
    let in_queue = |says: &str, node: VirtAddr| {
        let at = node.minus(layout.entry);
        Why::new(format!("its wait_queue_entry at {at}, on its own stack, is {says}"))
            .at(Spot::Object { ty: "wait_queue_entry", at })
    };
    let queued = |task, mode, position, why| {
        let confidence = Confidence::Certain;
        Queued { task, mode, position, spinning: false, in_interrupt: false, confidence, why }
    };
    let mut found = Vec::new();
    for (position, &(task, node)) in (1..).zip(members) {
        let func = memory.read_ptr(node.minus(layout.entry).plus(layout.func)).ok();
        let func = func.and_then(|at| scene.session.symbolize(at));
        let entry = func.map_or(Entry::Plain, |found| Entry::of(found.symbol.name));
        found.push(match (entry, layout.percpu) {
            (Entry::Bit | Entry::Page, _) => match layout.key(memory, entry, node) {
                Some((key, word, bit)) => bit_waiter(scene, entry, task, key, word, bit),
                None => continue,
            },
            (Entry::Percpu, Some(offset)) => {
                let flags = memory.read_u32(node.minus(layout.entry)).unwrap_or(0);
                let why = in_queue(&format!("number {position} in the semaphore's queue"), node);
                Awaited {
                    kind: LockKind::PercpuRwsem,
                    at: head.minus(offset),
                    queued: queued(task, percpu_mode(flags), Some(position), why),
                    what: None,
                }
            }
            _ => Awaited {
                kind: LockKind::Waitqueue,
                at: head.minus(layout.head),
                queued: queued(task, Mode::None, None, in_queue("in the queue", node)),
                what: None,
            },
        });
    }
    found
}

/// One who waits for a bit of a word or of a folio's flags, or for a variable to change.
fn bit_waiter(
    scene: &Scene<'_>,
    entry: Entry,
    task: usize,
    key: VirtAddr,
    word: VirtAddr,
    bit: i32,
) -> Awaited {
    let session = scene.session;
    let flags = match entry {
        Entry::Page => Some(Flags::Page),
        _ => Flags::of(scene.functions(task)),
    };
    let name = flags.and_then(|flags| flags.bit(session.types(), bit.into()));
    let is_folio = flags == Some(Flags::Page);
    let locks =
        || whole::page_bit(session.types(), "PG_locked").is_none_or(|pg| pg == i64::from(bit));
    let ty = if entry == Entry::Page { "wait_page_queue" } else { "wait_bit_queue_entry" };
    let what = match name {
        _ if bit < 0 => format!("for the variable at {word} to change"),
        Some(name) => format!("for bit {bit} ({name}) of {word}"),
        None => format!("for bit {bit} of {word}"),
    };
    let why = Why::new(format!("its {ty} at {key}, on its own stack, is queued {what}"))
        .at(Spot::Object { ty, at: key });
    Awaited {
        kind: if is_folio { LockKind::Folio } else { LockKind::Bit },
        at: word,
        queued: Queued {
            task,
            mode: if is_folio && locks() { Mode::Excl } else { Mode::None },
            position: None,
            spinning: false,
            in_interrupt: false,
            confidence: Confidence::Certain,
            why,
        },
        what: flags.and_then(|flags| flags.whole(session.kernel(), word)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::testing::{Image, TypeTable};

    const STACK: u64 = 0xffff_c900_0001_3d00;
    const WORD: u64 = 0xffff_8880_0001_0000;

    /// The layout of 4.13 and later, and of what was before it.
    fn layouts() -> [Layout; 2] {
        let today = TypeTable::new()
            .with("list_head", 16, &[("next", 0, 8), ("prev", 8, 8)])
            .with(
                "wait_queue_entry",
                40,
                &[("flags", 0, 4), ("private", 8, 8), ("func", 16, 8), ("entry: list_head", 24, 0)],
            )
            .with("wait_queue_head", 24, &[("lock", 0, 4), ("head: list_head", 8, 0)])
            .with("wait_bit_key", 24, &[("flags", 0, 8), ("bit_nr", 8, 4)])
            .with(
                "wait_bit_queue_entry",
                64,
                &[("key: wait_bit_key", 0, 0), ("wq_entry: wait_queue_entry", 24, 0)],
            )
            .with(
                "wait_page_queue",
                56,
                &[("folio", 0, 8), ("bit_nr", 8, 4), ("wait: wait_queue_entry", 16, 0)],
            );
        let before = TypeTable::new()
            .with("list_head", 16, &[("next", 0, 8), ("prev", 8, 8)])
            .with(
                "__wait_queue",
                40,
                &[
                    ("flags", 0, 4),
                    ("private", 8, 8),
                    ("func", 16, 8),
                    ("task_list: list_head", 24, 0),
                ],
            )
            .with("__wait_queue_head", 24, &[("lock", 0, 4), ("task_list: list_head", 8, 0)])
            .with("wait_bit_key", 16, &[("flags", 0, 8), ("bit_nr", 8, 4)])
            .with(
                "wait_bit_queue",
                56,
                &[("key: wait_bit_key", 0, 0), ("wait: __wait_queue", 16, 0)],
            );
        [today, before].map(|types| Layout::probe(&types.types()).unwrap())
    }

    #[test]
    fn a_bit_waiters_key_lies_before_its_entry_in_either_layout() {
        for (layout, entry_at) in layouts().into_iter().zip([24, 16]) {
            let mut memory = Image::default();
            memory.put_u64(STACK, WORD);
            memory.put_u64(STACK + 8, 7);
            let node = VirtAddr(STACK + entry_at + 24);
            let key = layout.key(&memory, Entry::Bit, node);
            assert_eq!(key, Some((VirtAddr(STACK), VirtAddr(WORD), 7)));
            memory.put_u64(STACK + 8, 0xffff_ffff);
            let key = layout.key(&memory, Entry::Bit, node);
            assert_eq!(key, Some((VirtAddr(STACK), VirtAddr(WORD), -1)));
            memory.put_u64(STACK + 8, 64);
            assert_eq!(layout.key(&memory, Entry::Bit, node), None);
            memory.put_u64(STACK + 8, 7);
            memory.put_u64(STACK, 0);
            assert_eq!(layout.key(&memory, Entry::Bit, node), None);
        }
    }

    #[test]
    fn a_page_waiters_key_names_the_folio_and_the_bit() {
        let [layout, before] = layouts();
        let mut memory = Image::default();
        memory.put_u64(STACK, WORD);
        memory.put_u64(STACK + 8, 15);
        let node = VirtAddr(STACK + 16 + 24);
        let key = layout.key(&memory, Entry::Page, node);
        assert_eq!(key, Some((VirtAddr(STACK), VirtAddr(WORD), 15)));
        assert_eq!(before.key(&memory, Entry::Page, node), None);
    }

    #[test]
    fn the_function_that_wakes_a_waiter_tells_what_its_entry_is_part_of() {
        assert_eq!(Entry::of("wake_bit_function"), Entry::Bit);
        assert_eq!(Entry::of("wake_page_function.cold"), Entry::Page);
        assert_eq!(Entry::of("percpu_rwsem_wake_function"), Entry::Percpu);
        assert_eq!(Entry::of("autoremove_wake_function"), Entry::Plain);
    }

    #[test]
    fn readers_of_a_percpu_rwsem_are_marked_whichever_number_their_kernels_flag_has() {
        assert_eq!(percpu_mode(1), Mode::Write);
        for custom in [4, 8, 16] {
            assert_eq!(percpu_mode(1 | custom), Mode::Read);
        }
    }

    use crate::locks::testing::{Stage, demo, task};

    const ENTRY: u64 = 0x40;

    /// Who waits for what where chain-7 sleeps with an entry on its stack that this function wakes up, in this
    /// state, in a queue with an entry of chain-6, once that has come to harm.
    fn queued(
        wakes: &str,
        state: crate::kernel::State,
        harm: impl FnOnce(&mut crate::locks::testing::memory::Memory<'_>, [u64; 3]),
    ) -> Waits {
        let demo = demo();
        let head = demo.symbols().address("hu_never").unwrap().0 + 8;
        let func = demo.symbols().address(wakes).unwrap().0;
        let entry = |comm| task(&demo, comm).sp.clone().unwrap().0 + ENTRY;
        let nodes = [head, entry("chain-7") + 24, entry("chain-6") + 24];
        let mut stage = Stage::with(|memory| {
            for comm in ["chain-7", "chain-6"] {
                memory.put64(entry(comm), 0);
                memory.put64(entry(comm) + 8, task(&demo, comm).at.0);
                memory.put64(entry(comm) + 16, func);
            }
            for (node, next) in nodes.iter().zip(nodes.iter().cycle().skip(1)) {
                memory.put64(*node, *next);
                memory.put64(next + 8, *node);
            }
            memory.put64(head - 8, 0);
            harm(memory, nodes);
        });
        for comm in ["chain-7", "chain-6"] {
            let index = stage.enter(comm, &["schedule", "vfs_read"]);
            stage.tasks[index].state = Ok(state);
        }
        let mut waits = Waits::default();
        find(&stage.scene(), &Code::new(&stage.session), &HashSet::default(), &mut waits);
        waits
    }

    use crate::kernel::State::{Interruptible, Uninterruptible};

    #[test]
    fn those_in_a_plain_queue_wait_for_it_unless_anything_may_wake_them_up() {
        let waits = queued("autoremove_wake_function", Uninterruptible, |_, _| {});
        let [lock] = &waits.found[..] else { panic!("{:?}", waits.found) };
        assert_eq!((lock.kind, lock.queue.len()), (LockKind::Waitqueue, 2));
        assert_eq!(lock.at, demo().symbols().address("hu_never").unwrap());
        assert!(waits.untied.is_empty());
        let waits = queued("autoremove_wake_function", Interruptible, |_, _| {});
        assert!(waits.found.is_empty() && waits.untied.is_empty());
    }

    #[test]
    fn a_queue_that_loops_is_said_of_those_who_sleep_in_it() {
        let waits = queued("autoremove_wake_function", Uninterruptible, |memory, nodes| {
            // The last entry leads back to the first and not to the head.
            memory.put64(nodes[2], nodes[1]);
        });
        assert!(waits.found.is_empty(), "{:?}", waits.found);
        let [first, second] = &waits.untied[..] else { panic!("{:?}", waits.untied) };
        let damage = "on its own stack, could not be followed: ";
        assert!(first.why.contains(damage) && first.why.contains("leads back to"), "{}", first.why);
        assert!(second.why.contains(damage), "{}", second.why);
    }

    #[test]
    fn a_ring_of_two_nodes_that_are_no_entries_is_no_queue() {
        let waits = queued("autoremove_wake_function", Uninterruptible, |memory, nodes| {
            memory.put64(nodes[2] - 8, 0);
        });
        assert!(waits.found.is_empty(), "{:?}", waits.found);
    }

    /// Who waits in the one queue that is found.
    fn members(waits: &Waits) -> Vec<usize> {
        let [lock] = &waits.found[..] else { panic!("{:?}", waits.found) };
        lock.queue.iter().map(|queued| queued.task).collect()
    }

    #[test]
    fn an_entry_that_names_another_task_than_that_on_whose_stack_it_is_is_nobodys() {
        let waits = queued("autoremove_wake_function", Uninterruptible, |memory, nodes| {
            memory.put64(nodes[2] - 16, task(&demo(), "chain-7").at.0);
        });
        assert_eq!(members(&waits), [0]);
    }

    #[test]
    fn a_list_head_on_a_stack_that_leads_only_to_itself_is_no_queue() {
        let waits = queued("autoremove_wake_function", Uninterruptible, |memory, nodes| {
            // Not chain-7's entry any more, but an empty list behind its own address.
            let [head, list, other] = nodes;
            memory.put64(list - 8, 0);
            for (from, to) in [(list, list), (head, other), (other, head)] {
                memory.put64(from, to);
                memory.put64(to + 8, from);
            }
        });
        assert_eq!(members(&waits), [1]);
    }

    #[test]
    fn what_a_bit_waiter_waits_for_is_told_by_its_word_and_bit() {
        let mut stage = Stage::new();
        let index = stage.enter("chain-7", &["schedule", "bit_wait", "__wait_on_buffer"]);
        let scene = stage.scene();
        let waits = |entry, bit| {
            let it = bit_waiter(&scene, entry, index, VirtAddr(STACK), VirtAddr(WORD), bit);
            let says = it.queued.why.to_string();
            (it.kind, it.queued.mode, says.split(" is queued ").nth(1).unwrap().to_owned())
        };
        let word = VirtAddr(WORD);
        let bit =
            |name| i32::try_from(whole::page_bit(stage.session.types(), name).unwrap()).unwrap();
        let (locked, writeback) = (bit("PG_locked"), bit("PG_writeback"));
        let says = format!("for bit {locked} (PG_locked) of {word}");
        assert_eq!(waits(Entry::Page, locked), (LockKind::Folio, Mode::Excl, says));
        let says = format!("for bit {writeback} (PG_writeback) of {word}");
        assert_eq!(waits(Entry::Page, writeback), (LockKind::Folio, Mode::None, says));
        let says = format!("for the variable at {word} to change");
        assert_eq!(waits(Entry::Bit, -1), (LockKind::Bit, Mode::None, says));
        assert_eq!(waits(Entry::Bit, 63).2, format!("for bit 63 of {word}"));
    }

    #[test]
    fn a_writer_that_waits_for_readers_is_certain_if_the_semaphore_names_it() {
        let demo = demo();
        let at = demo.symbols().address("hu_sem").unwrap();
        let ty = demo.types().structure("percpu_rw_semaphore").unwrap();
        let writer = ty.offset_of("writer.task").unwrap();
        let told = |named: &str| {
            let mut stage =
                Stage::with(|memory| memory.put64(at.plus(writer).0, task(&demo, named).at.0));
            let index =
                stage.enter("chain-7", &["schedule", "<EXC> percpu_down_write", "vfs_read"]);
            stage.give(index, 1, at.0);
            let mut waits = Waits::default();
            find(&stage.scene(), &Code::new(&stage.session), &HashSet::default(), &mut waits);
            let [lock] = &waits.found[..] else { panic!("{:?}", waits.found) };
            assert_eq!((lock.kind, lock.at), (LockKind::PercpuRwsem, at));
            (lock.queue[0].mode, lock.queue[0].position, lock.queue[0].confidence)
        };
        assert_eq!(told("chain-7"), (Mode::Write, Some(1), Confidence::Certain));
        assert_eq!(told("chain-6"), (Mode::Write, Some(1), Confidence::Likely));
    }
}
