//! Waiters on futexes: a `struct futex_q` on their stack, queued in a hash bucket.
//!
//! The queue entry carries the key of the futex: for a private one the address space and the
//! address in it, for one in shared memory the inode (until 5.4 by its address, since then by a number
//! of its own) and the page in it. With priority inheritance the kernel keeps the owner in `pi_state`;
//! of a plain futex it knows nothing, the owner is in user memory in whatever form the program chose.
//! Two forms are known: a word with the owner's number and `FUTEX_WAITERS` (robust mutexes, musl), and
//! glibc's `pthread_mutex_t`, whose word is 2 and which has the owner's number behind it.
//! Sources: `kernel/futex/futex.h` (`kernel/futex.c` until 5.15), `include/linux/futex.h`, glibc's
//! `sysdeps/nptl/bits/struct_mutex.h`.

use super::decode::{RT_MUTEX_FLAGS, Recorded};
use super::ring::Ring;
use super::scene::Scene;
use super::waiting::{Found, Queued, Waits};
use super::{Confidence, LockKind, Mode, Spot, StateValue, Why, api};
use crate::debuginfo::{TypeError, Types};
use crate::dump::VirtAddr;
use crate::kernel::identify::What;
use crate::kernel::{Session, Task};
use crate::memory::VirtualMemory;
use crate::unwind::{FrameKind, Register};
use foldhash::HashMap;
use std::sync::Arc;

/// `FUT_OFF_INODE | FUT_OFF_MMSHARED`: bits of a key's offset that say what kind of key it is.
const OFFSET_FLAGS: u32 = 3;
/// `FUT_OFF_INODE`: the key is an inode and a page, not an address.
const INODE: u32 = 1;
/// `FUTEX_WAITERS`, `FUTEX_OWNER_DIED` and `FUTEX_TID_MASK` of a word that names its owner.
const FUTEX_WAITERS: u32 = 1 << 31;
const FUTEX_OWNER_DIED: u32 = 1 << 30;
const FUTEX_TID_MASK: u32 = FUTEX_OWNER_DIED - 1;
/// What glibc's mutex without an owner's number in it is while others wait.
const CONTENDED: u32 = 2;
/// `__owner`, `__nusers` and `__kind` of a `pthread_mutex_t`, in bytes behind its word.
const OWNER: u64 = 8;
const USERS: u64 = 12;
const KIND: u64 = 16;
/// The bits of `__kind` that are in use.
const KINDS: u32 = 0x7ff;

/// What a futex is known by.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
enum Key {
    /// An address space and an address in it.
    Private(VirtAddr, VirtAddr),
    /// An inode (by number or address), a page of it, and the offset in that.
    Shared(u64, u64, u32),
}

/// Where things are in `struct futex_q`, in bytes.
struct Layout {
    task: u64,
    /// The node in the bucket's list.
    node: u64,
    mm: u64,
    address: u64,
    offset: u64,
    /// The inode and the page of a shared key.
    shared: Option<(u64, u64)>,
    /// `pi_state`, and in that the owner of its rt_mutex.
    pi_owner: Option<(u64, u64)>,
}

impl Layout {
    fn probe(types: &Types) -> Result<Layout, TypeError> {
        let queue = types.structure("futex_q")?;
        let shared = ["key.shared.i_seq", "key.shared.inode"];
        let shared = shared.into_iter().find_map(|path| queue.offset_of(path).ok());
        Ok(Layout {
            task: queue.offset_of("task")?,
            // Until 2.6.38 a plist_node had a plist_head inside.
            node: queue
                .offset_of("list.node_list")
                .or_else(|_| queue.offset_of("list.plist.node_list"))?,
            mm: queue.offset_of("key.private.mm")?,
            address: queue.offset_of("key.private.address")?,
            offset: queue.offset_of("key.private.offset")?,
            shared: shared.zip(queue.offset_of("key.shared.pgoff").ok()),
            pi_owner: queue.offset_of("pi_state").ok().zip(pi_owner(types).ok()),
        })
    }

    /// The key of the queue entry at `queue`.
    fn key(&self, memory: &dyn VirtualMemory, queue: VirtAddr) -> Option<Key> {
        let offset = memory.read_u32(queue.plus(self.offset)).ok()?;
        let rest = offset & !OFFSET_FLAGS;
        if offset & INODE != 0 {
            let (inode, page) = self.shared?;
            let inode = memory.read_u64(queue.plus(inode)).ok()?;
            return Some(Key::Shared(inode, memory.read_u64(queue.plus(page)).ok()?, rest));
        }
        let mm = memory.read_ptr(queue.plus(self.mm)).ok()?;
        let page = memory.read_ptr(queue.plus(self.address)).ok()?;
        Some(Key::Private(mm, page.checked_add(rest.into())?))
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
    let mut found: HashMap<Key, Found> = HashMap::default();
    let mut chains = Chains { scene, of: HashMap::default() };
    for (index, task) in scene.tasks.iter().enumerate() {
        if task.active || task.mm.is_none() {
            continue;
        }
        let Some(pi) = sleeps_in_futex(scene.functions(index)) else { continue };
        let Some((queue, key, damage)) = queue_of(&mut chains, &layout, index) else { continue };
        let at = match key {
            Key::Private(_, at) => Some(at),
            // Each process has it elsewhere: where the first one has it.
            Key::Shared(_, _, offset) => {
                let at = found.get(&key).map(|lock| lock.at);
                at.or_else(|| asked_for(scene, index, offset))
            }
        };
        let Some(at) = at else { continue };
        let lock = found.entry(key).or_insert_with(|| {
            let mut lock = Found::new(LockKind::Futex, at);
            describe(scene, task, matches!(key, Key::Shared(..)), &mut lock);
            lock
        });
        let mut confidence = Confidence::Certain;
        if let Some(damage) = damage {
            confidence = Confidence::Likely;
            let says = "the chain that its futex_q is in could not be followed";
            lock.doubts.push(format!("{}: {says}: {damage}", task.label()));
        }
        let owner = owner_of(scene.memory(), &layout, queue);
        let pi = pi || owner.is_some();
        if let Some(owner) = owner
            && !lock.recorded.iter().any(|known| known.confidence == Confidence::Certain)
        {
            // The kernel's own record is better than the word in user memory.
            lock.recorded = vec![owner];
        }
        let how = if pi { ", with priority inheritance" } else { "" };
        lock.queue.push(Queued {
            task: index,
            // What somebody owns is a mutex.
            mode: if pi || !lock.recorded.is_empty() { Mode::Excl } else { Mode::None },
            position: None,
            spinning: false,
            in_interrupt: false,
            confidence,
            why: Why::new(format!(
                "its futex_q at {queue}, on its own stack, is queued for this address{how}"
            ))
            .at(Spot::Object { ty: "futex_q", at: queue }),
        });
    }
    waits.found.extend(found.into_values());
}

/// The address that a task passed to the futex call, if it can be that of a futex with this offset in
/// its page.
fn asked_for(scene: &Scene<'_>, index: usize, offset: u32) -> Option<VirtAddr> {
    let user = scene.traces.get(index)?.frames.last()?;
    let at = user.registers.get(Register::Rdi)?;
    (user.kind == FrameKind::User && at % crate::dump::PAGE_SIZE == u64::from(offset))
        .then_some(VirtAddr(at))
}

/// Whose futex it is, what its word in user memory is, and who holds it if that tells.
fn describe(scene: &Scene<'_>, task: &Task, shared: bool, lock: &mut Found) {
    let session = scene.session;
    lock.what = Some(match shared {
        true => format!("shared, {}", mapped(session, task, lock.at)),
        false => {
            let leader = session.tasks().by_pid(task.tgid).unwrap_or(task);
            format!("in {}[{}]", leader.comm, task.tgid)
        }
    });
    let memory = match session.user_memory(task) {
        Ok(memory) => memory,
        Err(unknown) => {
            lock.doubts.push(format!("the word in user memory cannot be read: {unknown}"));
            return;
        }
    };
    let memory: &dyn VirtualMemory = &memory;
    let word = match memory.read_u32(lock.at) {
        Ok(word) => word,
        Err(fault) => {
            lock.doubts
                .push(format!("its word in user memory, which may tell who holds it: {fault}"));
            return;
        }
    };
    lock.state.push(("word", StateValue::Bits(word.into())));
    tell_owner(memory, task, shared, word, |pid| session.tasks().by_pid(pid), lock);
}

/// What a futex's word in user memory tells of its owner.
fn tell_owner<'t>(
    memory: &dyn VirtualMemory,
    task: &Task,
    shared: bool,
    word: u32,
    by_pid: impl Fn(u32) -> Option<&'t Task>,
    lock: &mut Found,
) {
    if word & FUTEX_OWNER_DIED != 0 && word & FUTEX_WAITERS != 0 {
        lock.doubts.push(format!("its word {word:#x} says that its owner died"));
    }
    let Some((owner, how)) = user_owner(memory, lock.at, word) else { return };
    // A number of another name space would be no thread of this process.
    let owner = by_pid(owner).filter(|owner| shared || owner.tgid == task.tgid);
    lock.recorded.extend(owner.map(|owner| Recorded {
        task: owner.at,
        mode: Mode::Excl,
        confidence: Confidence::Likely,
        why: Why::new(how),
    }));
}

/// The file that a task has mapped at an address of its own.
fn mapped(session: &Session, task: &Task, at: VirtAddr) -> String {
    match session.identify(at, Some(task)).what {
        What::User(area) => match area.file {
            Some(Ok(path)) => format!("in {path}"),
            _ => "in shared memory".to_owned(),
        },
        _ => "in memory that is not mapped".to_owned(),
    }
}

/// The number of the thread that a word in user memory and what is behind it name, and how.
fn user_owner(memory: &dyn VirtualMemory, at: VirtAddr, word: u32) -> Option<(u32, String)> {
    if word & FUTEX_WAITERS != 0 {
        let owner = word & FUTEX_TID_MASK;
        let how = format!(
            "the futex's word = {word:#x} in user memory is this thread's number with FUTEX_WAITERS"
        );
        return (owner != 0).then_some((owner, how));
    }
    if word != CONTENDED {
        return None;
    }
    let read = |offset| memory.read_u32(at.checked_add(offset)?).ok();
    let (owner, users, kind) = (read(OWNER)?, read(USERS)?, read(KIND)?);
    let mutex = users > 0 && users <= FUTEX_TID_MASK && kind & !KINDS == 0;
    let how = format!(
        "the futex's word is 2, and in the place of pthread_mutex_t.__owner behind it {owner} is this thread"
    );
    (mutex && owner != 0 && owner <= FUTEX_TID_MASK).then_some((owner, how))
}

/// The owner that the kernel keeps for a futex with priority inheritance.
fn owner_of(memory: &dyn VirtualMemory, layout: &Layout, queue: VirtAddr) -> Option<Recorded> {
    let (state, owner) = layout.pi_owner?;
    let state = memory.read_ptr(queue.plus(state)).ok().filter(|state| !state.is_null())?;
    let owner = memory.read_u64(state.plus(owner)).ok()?;
    let task = VirtAddr(owner & !RT_MUTEX_FLAGS);
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

/// The chain of a hash bucket that a node is in.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Chain {
    /// It is in none.
    None,
    Closed,
    /// Why it could not be followed.
    Damaged(Arc<str>),
}

/// The chains of hash buckets, each walked once.
struct Chains<'a, 's> {
    scene: &'a Scene<'s>,
    of: HashMap<VirtAddr, Chain>,
}

impl Chains<'_, '_> {
    fn of(&mut self, node: VirtAddr) -> Chain {
        if let Some(known) = self.of.get(&node) {
            return known.clone();
        }
        let memory = self.scene.session.memory();
        let ring = Ring::walk(memory, node, 2 * self.scene.tasks.len() + 1024);
        let chain = match ring.damage {
            Some(damage) => Chain::Damaged(damage.into()),
            None if ring.nodes.len() > 1 => Chain::Closed,
            None => Chain::None,
        };
        self.of.extend(ring.nodes.into_iter().map(|node| (node, chain.clone())));
        chain
    }
}

/// The queue entry on a task's stack, its key, and what is wrong with the chain that it is in. Where
/// the chain does not tell, the key must: it names the task's own address space.
fn queue_of(
    chains: &mut Chains<'_, '_>,
    layout: &Layout,
    index: usize,
) -> Option<(VirtAddr, Key, Option<Arc<str>>)> {
    let scene = chains.scene;
    let memory = scene.session.memory();
    let task = scene.tasks.get(index)?;
    let mut damaged = None;
    for slot in scene.own_slots(index)? {
        let queue = slot.minus(layout.task);
        let chain = chains.of(queue.plus(layout.node));
        let Some(key) = layout.key(memory, queue).filter(|_| chain != Chain::None) else {
            continue;
        };
        let own = matches!(key, Key::Private(mm, _) if Some(mm) == task.mm);
        match chain {
            Chain::Closed if own || matches!(key, Key::Shared(..)) => {
                return Some((queue, key, None));
            }
            Chain::Damaged(why) if own => damaged = damaged.or(Some((queue, key, Some(why)))),
            _ => {}
        }
    }
    damaged
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::testing::{Image, TypeTable};

    const QUEUE: u64 = 0xffff_c900_0001_3d00;
    const MM: u64 = 0xffff_8880_0001_0000;
    const AT: u64 = 0x4d_5380;

    /// `struct futex_q`, whose shared keys name the inode with this member and whose list node has
    /// this path.
    fn layout(inode: &str, old_node: bool) -> Layout {
        let types = TypeTable::new()
            .with("private", 24, &[("mm", 0, 8), ("address", 8, 8), ("offset", 16, 4)])
            .with("shared", 24, &[(inode, 0, 8), ("pgoff", 8, 8), ("offset", 16, 4)])
            .with("futex_key", 24, &[("private: private", 0, 0), ("shared: shared", 0, 0)])
            .with("plist_head", 32, &[("prio_list", 0, 16), ("node_list", 16, 16)]);
        let types = if old_node {
            types.with("plist_node", 40, &[("prio", 0, 4), ("plist: plist_head", 8, 0)])
        } else {
            types.with("plist_node", 40, &[("prio", 0, 4), ("node_list", 24, 16)])
        };
        let types = types
            .with(
                "futex_q",
                104,
                &[("list: plist_node", 0, 0), ("task", 40, 8), ("key: futex_key", 64, 0)],
            )
            .types();
        Layout::probe(&types).unwrap()
    }

    fn queue(first: u64, second: u64, offset: u32) -> Image {
        let mut memory = Image::default();
        memory.put_u64(QUEUE + 64, first);
        memory.put_u64(QUEUE + 72, second);
        memory.put(QUEUE + 80, &offset.to_le_bytes());
        memory
    }

    #[test]
    fn a_private_key_is_an_address_of_one_process_and_a_shared_one_a_place_in_a_file() {
        for layout in [layout("i_seq", false), layout("inode", true)] {
            assert_eq!(layout.node, 24);
            let key = |memory| layout.key(&memory, VirtAddr(QUEUE));
            let private = Key::Private(VirtAddr(MM), VirtAddr(AT));
            assert_eq!(key(queue(MM, AT & !0xfff, 0x380)), Some(private));
            // FUT_OFF_MMSHARED
            assert_eq!(key(queue(MM, AT & !0xfff, 0x382)), Some(private));
            assert_eq!(key(queue(77, 5, 0x381)), Some(Key::Shared(77, 5, 0x380)));
        }
    }

    fn mutex(words: [u32; 5]) -> Option<u32> {
        let mut memory = Image::default();
        let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        memory.put(AT, &bytes);
        user_owner(&memory, VirtAddr(AT), words[0]).map(|(owner, _)| owner)
    }

    #[test]
    fn the_owner_of_a_glibc_mutex_stands_behind_its_word() {
        assert_eq!(mutex([2, 0, 159, 1, 0]), Some(159));
        assert_eq!(mutex([1, 0, 159, 1, 0]), None, "nobody waits for it");
        assert_eq!(mutex([2, 0, 159, 0, 0]), None, "a mutex that is held has a user");
        assert_eq!(mutex([2, 0, 159, 1, 0x5555]), None, "no kind of mutex");
        assert_eq!(mutex([2, 0, 0, 1, 0]), None);
    }

    #[test]
    fn a_word_with_the_bit_for_waiters_is_its_owners_number() {
        assert_eq!(mutex([0x8000_009f, 0, 0, 0, 0]), Some(159));
        assert_eq!(mutex([0xc000_009f, 0, 0, 0, 0]), Some(159));
        assert_eq!(mutex([159, 0, 0, 0, 0]), None);
        assert_eq!(mutex([0x8000_0000, 0, 0, 0, 0]), None);
    }

    #[test]
    fn only_calls_that_wait_are_waits_and_locking_with_inheritance_is_told_apart() {
        assert_eq!(sleeps_in_futex(&["schedule", "__futex_wait", "futex_wait"]), Some(false));
        assert_eq!(sleeps_in_futex(&["schedule", "futex_lock_pi.isra.0"]), Some(true));
        assert_eq!(sleeps_in_futex(&["schedule", "do_wait"]), None);
    }

    #[test]
    fn the_owner_of_a_futex_with_priority_inheritance_is_certain_whatever_its_flags() {
        const STATE: u64 = 0xffff_8880_0002_0000;
        let layout = Layout { pi_owner: Some((88, 16)), ..layout("i_seq", false) };
        let owner = |state, owner| {
            let mut memory = queue(MM, AT, 0);
            memory.put_u64(QUEUE + 88, state);
            memory.put_u64(STATE + 16, owner);
            let found = owner_of(&memory, &layout, VirtAddr(QUEUE))?;
            Some((found.task.0, found.confidence))
        };
        // RT_MUTEX_HAS_WAITERS is set.
        assert_eq!(owner(STATE, MM | 1), Some((MM, Confidence::Certain)));
        assert_eq!(owner(STATE, 1), None);
        assert_eq!(owner(0, MM), None);
    }

    use crate::locks::testing::{Stage, demo, memory::Memory, task};

    /// The futexes found where `ps` and another task sleep in one, by futex_qs on their stacks in one chain
    /// with this key, once that has come to harm.
    fn found(key: (u64, u64, u32), harm: impl FnOnce(&mut Memory<'_>, [u64; 3])) -> Vec<Found> {
        let demo = demo();
        let layout = Layout::probe(demo.types()).unwrap();
        let sleeps = ["ps", "init"].map(|comm| task(&demo, comm));
        let queues = sleeps.map(|task| task.sp.clone().unwrap().0 + 0x40);
        let head = demo.symbols().address("hu_never").unwrap().0 + 8;
        let nodes = [head, queues[0] + layout.node, queues[1] + layout.node];
        let mut stage = Stage::with(|memory| {
            for (task, queue) in sleeps.iter().zip(queues) {
                memory.put(queue, &[0; 112]);
                memory.put64(queue + layout.task, task.at.0);
                memory.put64(queue + layout.mm, key.0);
                memory.put64(queue + layout.address, key.1);
                memory.put(queue + layout.offset, &key.2.to_le_bytes());
            }
            for (node, next) in nodes.iter().zip(nodes.iter().cycle().skip(1)) {
                memory.put64(*node, *next);
                memory.put64(next + 8, *node);
            }
            harm(memory, nodes);
        });
        for comm in ["ps", "init"] {
            let index =
                stage.enter(comm, &["schedule", "futex_wait_queue", "futex_wait", "<USER>"]);
            stage.tasks[index].mm = Some(VirtAddr(MM));
            let user = stage.traces[index].frames.last_mut().unwrap();
            user.registers.set(Register::Rdi, Some(AT));
        }
        let mut waits = Waits::default();
        find(&stage.scene(), &mut waits);
        waits.found
    }

    #[test]
    fn those_with_one_key_wait_for_one_futex() {
        let private = found((MM, AT & !0xfff, 0x380), |_, _| {});
        let [lock] = &private[..] else { panic!("{private:?}") };
        assert_eq!((lock.at.0, lock.queue.len()), (AT, 2));
        assert!(
            lock.queue
                .iter()
                .all(|it| (it.mode, it.confidence) == (Mode::None, Confidence::Certain))
        );
        // Of a shared one the address is what was passed to the call, if that can be.
        let shared = found((77, 5, 0x381), |_, _| {});
        assert_eq!((shared[0].at.0, shared[0].queue.len()), (AT, 2));
        assert_eq!(found((77, 5, 0x201), |_, _| {}), []);
        // A key of another address space is a leftover.
        assert_eq!(found((MM + 0x1000, AT & !0xfff, 0x380), |_, _| {}), []);
    }

    #[test]
    fn a_chain_that_loops_leaves_the_futex_listed_with_a_doubt() {
        let harm = |memory: &mut Memory<'_>, nodes: [u64; 3]| memory.put64(nodes[2], nodes[1]);
        let looping = found((MM, AT & !0xfff, 0x380), harm);
        let [lock] = &looping[..] else { panic!("{looping:?}") };
        assert_eq!((lock.at.0, lock.queue.len()), (AT, 2));
        assert!(lock.queue.iter().all(|it| it.confidence == Confidence::Likely));
        assert!(
            lock.doubts.iter().any(|it| it.contains("could not be followed: ")),
            "{:?}",
            lock.doubts
        );
        // Nothing but the chain vouches for a shared key.
        assert_eq!(found((77, 5, 0x381), harm), []);
    }

    #[test]
    fn whoever_waits_for_what_somebody_owns_waits_for_a_mutex() {
        let owned = found((MM, AT & !0xfff, 0x380), |memory, nodes| {
            let demo = demo();
            let layout = Layout::probe(demo.types()).unwrap();
            let (state, owner) = layout.pi_owner.unwrap();
            let at = demo.symbols().address("hu_sem").unwrap().0;
            memory.put64(at + owner, task(&demo, "chain-7").at.0 | 1);
            memory.put64(nodes[1] - layout.node + state, at);
        });
        assert_eq!(owned[0].recorded[0].confidence, Confidence::Certain);
        assert!(owned[0].queue[0].why.to_string().ends_with("with priority inheritance"));
        assert!(owned[0].queue.iter().all(|it| it.mode == Mode::Excl), "{:?}", owned[0].queue);
    }

    #[test]
    fn the_owner_in_user_memory_is_a_thread_of_the_process_or_it_is_shared() {
        let demo = demo();
        let waits = task(&demo, "ps");
        let other = task(&demo, "init");
        let told = |pid: u32, shared, bits| {
            let mut lock = Found::new(LockKind::Futex, VirtAddr(AT));
            let by_pid = |pid| demo.tasks().by_pid(pid);
            tell_owner(
                &Image::default(),
                waits,
                shared,
                FUTEX_WAITERS | bits | pid,
                by_pid,
                &mut lock,
            );
            let owner = lock.recorded.first();
            (owner.map(|it| (it.task, it.confidence)), lock.doubts.len())
        };
        let likely = |task: &Task| Some((task.at, Confidence::Likely));
        assert_eq!(told(waits.pid, false, 0), (likely(waits), 0));
        assert_eq!(told(other.pid, false, 0), (None, 0));
        assert_eq!(told(other.pid, true, 0), (likely(other), 0));
        assert_eq!(told(other.pid, true, FUTEX_OWNER_DIED), (likely(other), 1));
    }

    #[test]
    fn a_word_with_waiters_behind_which_no_thread_can_be_is_no_mutex_of_glibc() {
        let owner = |owner: u32, users: u32| {
            let mut memory = Image::default();
            for (offset, value) in [(OWNER, owner), (USERS, users), (KIND, 0)] {
                memory.put(0x7000 + offset, &value.to_le_bytes());
            }
            user_owner(&memory, VirtAddr(0x7000), CONTENDED).map(|(owner, _)| owner)
        };
        assert_eq!(owner(131, 2), Some(131));
        assert_eq!(owner(FUTEX_TID_MASK + 1, 2), None);
        assert_eq!(owner(131, FUTEX_TID_MASK + 1), None);
        assert_eq!(owner(0, 2), None);
    }
}
