//! Locks as kernels kept them before: told by their members, never by a version.
//!
//! - `struct mutex` until 4.9: `count` is 1 when free, 0 when taken, less when tasks wait; `owner` is
//!   the task, until 2.6.39 its `thread_info`; both are there for spinning and debugging only.
//! - `struct rw_semaphore` until 5.2: the low half of `count` counts who holds it, the high half
//!   goes down by one for a writer, and by one for each waiter (2.6.32) or for having any (2.6.36);
//!   the list of waiters tells which. `owner` (3.15) is a writer's; since 4.20 its low bits say that
//!   it was a reader's. The generic form has `activity` instead: -1 for a writer.
//! - `rwlock_t` before qrwlock (3.16): `lock` starts at a bias; a reader takes 1, a writer all of it.
//!
//! Sources: `include/linux/{mutex,rwsem,rwsem-spinlock}.h`, `arch/x86/include/asm/{rwsem,rwlock,
//! spinlock_types}.h`, `lib/rwsem.c`, `kernel/locking/rwsem-xadd.c`.

use super::decode::{Decoded, Recorded};
use super::{Confidence, Mode, Spot, StateValue, Why};
use crate::debuginfo::Kind;
use crate::dump::VirtAddr;
use crate::object::{Object, ObjectError};

/// `RWSEM_ACTIVE_MASK` of 64 bits: who holds it.
const ACTIVE: i64 = 0xffff_ffff;
/// `RWSEM_READER_OWNED` and `RWSEM_ANONYMOUSLY_OWNED` in `owner`, 4.20 to 5.2.
const OWNER_FLAGS: u64 = 3;
const READER_OWNED: u64 = 1;
/// No more tasks than these hold or wait for one lock.
const TASKS_LIMIT: i64 = 1 << 22;
/// `RW_LOCK_BIAS`, and what it became in 3.2.
const RW_BIASES: [i64; 2] = [0x0010_0000, 0x0100_0000];

/// A mutex whose owner, if it has one, is a pointer.
pub(super) fn mutex(lock: &Object<'_>) -> Result<Decoded, ObjectError> {
    let count = signed32(lock.member("count")?.u64()?);
    let mut decoded = Decoded {
        state: vec![("count", StateValue::Number(count))],
        words: match count {
            1 => "not owned",
            0 => "owned",
            n if n < 0 => "owned, with waiters",
            _ => "impossible count",
        }
        .to_owned(),
        readers: (count == 1).then_some(0),
        ..Decoded::default()
    };
    if !(-TASKS_LIMIT..=1).contains(&count) {
        decoded.doubts.push(format!("count {count} is none of a mutex: damaged, or no mutex"));
        return Ok(decoded);
    }
    let Ok(member) = lock.member("owner") else { return Ok(decoded) };
    let owner = member.pointer()?;
    decoded.state.push(("owner", StateValue::Bits(owner.0)));
    if owner.is_null() || count == 1 {
        return Ok(decoded);
    }
    // Until 2.6.39 it is the `thread_info`, which leads to the task.
    let by_thread_info = is_pointer_to(&member, "thread_info");
    let task = if by_thread_info { member.deref()?.member("task")?.pointer()? } else { owner };
    let of = if by_thread_info { "the thread_info of this task" } else { "this task" };
    let why = Why::new(format!("mutex.owner = {owner} is {of}")).at(Spot::Member(member.at()));
    decoded.holders.push(Recorded { task, mode: Mode::Excl, confidence: Confidence::Certain, why });
    Ok(decoded)
}

/// A rwsem that counts with biases; `listed` tasks are on its list.
pub(super) fn rwsem(lock: &Object<'_>, listed: usize) -> Result<Decoded, ObjectError> {
    if let Ok(activity) = lock.member("activity") {
        return Ok(activity_of(signed32(activity.u64()?)));
    }
    let count = lock.member("count")?.u64()?.cast_signed();
    let active = count & ACTIVE;
    // How many times the bias of a writer or a waiter was taken off.
    let biases = (active.wrapping_sub(count)) >> 32;
    let owner_member = lock.member("owner").ok();
    let owner = owner_member.as_ref().map(|owner| owner.u64()).transpose()?;
    let owner_named = |says: String| {
        let why = Why::new(says);
        match &owner_member {
            Some(member) => why.at(Spot::Member(member.at())),
            None => why,
        }
    };
    let listed = i64::try_from(listed).unwrap_or(i64::MAX);
    let mut decoded = Decoded {
        state: vec![
            ("count", StateValue::Bits(count.cast_unsigned())),
            ("active", StateValue::Number(active)),
            ("waiting", StateValue::Number(listed)),
        ],
        ..Decoded::default()
    };
    if let Some(owner) = owner {
        decoded.state.push(("owner", StateValue::Bits(owner)));
    }
    if active > TASKS_LIMIT || !(0..=TASKS_LIMIT).contains(&biases) {
        decoded.words = "impossible count".to_owned();
        decoded.doubts.push(format!(
            "count {:#x} would mean {active} active: not a rwsem, or damaged",
            count.cast_unsigned()
        ));
        return Ok(decoded);
    }
    let any = i64::from(listed > 0);
    // One bias for each waiter, or one for all; and one more for a writer.
    let readers = biases == listed || biases == any;
    let writer = biases == listed + 1 || biases == any + 1;
    let named = owner.filter(|owner| owner & !OWNER_FLAGS != 0);
    let writer_named = named.is_some_and(|owner| owner & OWNER_FLAGS == 0);
    let writer = match (active, readers, writer) {
        (0, ..) => Some(false),
        (2.., ..) | (_, true, false) => Some(false),
        (1, false, true) => Some(true),
        // Two waiters and two biases: which way of counting it is, the owner tells if there is one.
        (_, true, true) if owner.is_some() => Some(writer_named),
        _ => None,
    };
    match writer {
        Some(true) => {
            decoded.words = "held by a writer".to_owned();
            decoded.state.insert(1, ("writer", StateValue::Flag(true)));
            if let Some(owner) = named.filter(|_| writer_named) {
                decoded.holders.push(Recorded {
                    task: VirtAddr(owner),
                    mode: Mode::Write,
                    confidence: Confidence::Certain,
                    why: owner_named(format!(
                        "count {:#x} says that a writer holds it, owner = {owner:#x} is this task",
                        count.cast_unsigned()
                    )),
                });
            }
        }
        Some(false) => {
            decoded.words = readers_in_words(active);
            decoded.readers = u64::try_from(active).ok();
            if let Some(owner) = named.filter(|owner| active > 0 && owner & READER_OWNED != 0) {
                decoded.holders.push(Recorded {
                    task: VirtAddr(owner & !OWNER_FLAGS),
                    mode: Mode::Read,
                    confidence: Confidence::Possible,
                    why: owner_named(format!(
                        "owner = {owner:#x} names the last task that took it for reading, which may have released it since"
                    )),
                });
            }
        }
        None => {
            decoded.words = format!("held by {active}, for reading or writing");
            decoded.doubts.push(format!(
                "count {:#x} with {listed} waiting does not tell a reader from a writer",
                count.cast_unsigned()
            ));
        }
    }
    Ok(decoded)
}

/// The generic rwsem: `activity` is the number of readers, or -1 for a writer.
fn activity_of(activity: i64) -> Decoded {
    let mut decoded =
        Decoded { state: vec![("activity", StateValue::Number(activity))], ..Decoded::default() };
    match activity {
        -1 => decoded.words = "held by a writer".to_owned(),
        0..=TASKS_LIMIT => {
            decoded.words = readers_in_words(activity);
            decoded.readers = u64::try_from(activity).ok();
        }
        _ => {
            decoded.words = "impossible count".to_owned();
            decoded.doubts.push(format!("activity {activity}: not a rwsem, or damaged"));
        }
    }
    decoded
}

/// A rwlock whose word starts at a bias.
pub(super) fn rwlock(word: u32) -> Decoded {
    let value = i64::from(word.cast_signed());
    let mut decoded =
        Decoded { state: vec![("lock", StateValue::Bits(u64::from(word)))], ..Decoded::default() };
    if value <= 0 {
        // Readers that try leave it below zero for a moment.
        decoded.words = "held by a writer".to_owned();
        decoded.state.push(("writer", StateValue::Flag(true)));
        return decoded;
    }
    let bias = RW_BIASES.into_iter().find(|bias| value <= *bias);
    match bias.map(|bias| bias - value).filter(|readers| *readers <= TASKS_LIMIT) {
        Some(readers) => {
            decoded.words = readers_in_words(readers);
            decoded.state.push(("readers", StateValue::Number(readers)));
            decoded.readers = u64::try_from(readers).ok();
        }
        None => {
            decoded.words = "impossible count".to_owned();
            decoded.doubts.push(format!("lock {word:#x}: not a rwlock, or damaged"));
        }
    }
    decoded
}

fn readers_in_words(readers: i64) -> String {
    match readers {
        0 => "not held".to_owned(),
        1 => "held by 1 reader".to_owned(),
        many => format!("held by {many} readers"),
    }
}

/// The low 32 bits of a value, with their sign.
fn signed32(value: u64) -> i64 {
    (value << 32).cast_signed() >> 32
}

/// Whether an object is a pointer to a struct of this name.
fn is_pointer_to(object: &Object<'_>, name: &str) -> bool {
    let ty = object.ty().resolved();
    match ty.kind() {
        Kind::Pointer { .. } => ty.name().trim_end_matches(" *") == format!("struct {name}"),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::testing::{Image, TypeTable};

    const LOCK: u64 = 0xffff_8805_bdec_27e8;

    /// `struct rw_semaphore` of 2.6.32, or with an owner (3.15).
    fn rwsem_of(count: u64, listed: usize, owner: Option<u64>) -> Decoded {
        let mut members = vec![("count", 0, 8), ("wait_lock", 8, 4)];
        members.extend(owner.map(|_| ("owner", 16, 8)));
        let types = TypeTable::new().with("rw_semaphore", 40, &members).types();
        let mut memory = Image::default();
        memory.put_u64(LOCK, count);
        memory.put_u64(LOCK + 8, 0x16b_016b);
        memory.put_u64(LOCK + 16, owner.unwrap_or(0));
        let ty = types.structure("rw_semaphore").unwrap();
        rwsem(&Object::new(&memory, ty, VirtAddr(LOCK)), listed).unwrap()
    }

    #[test]
    fn a_rwsem_of_2_6_32_with_one_reader_and_three_waiters() {
        let decoded = rwsem_of(0xffff_fffd_0000_0001, 3, None);
        assert_eq!((decoded.words.as_str(), decoded.readers), ("held by 1 reader", Some(1)));
        assert!(decoded.doubts.is_empty() && decoded.holders.is_empty());
    }

    #[test]
    fn a_bias_more_than_there_are_waiters_is_a_writer() {
        for (count, listed) in [
            (0xffff_ffff_0000_0001, 0), // either way of counting
            (0xffff_fffc_0000_0001, 3), // one bias for each waiter
            (0xffff_fffe_0000_0001, 3), // one for all
        ] {
            let decoded = rwsem_of(count, listed, None);
            assert_eq!(decoded.words, "held by a writer", "{count:#x}");
            assert_eq!(decoded.readers, None);
        }
    }

    #[test]
    fn readers_are_counted_whichever_way_the_waiters_are() {
        assert_eq!(rwsem_of(0xffff_ffff_0000_0002, 3, None).readers, Some(2));
        assert_eq!(rwsem_of(5, 0, None).readers, Some(5));
        assert_eq!(rwsem_of(0, 0, None).words, "not held");
    }

    #[test]
    fn what_the_count_leaves_open_the_owner_tells_or_it_stays_open() {
        let count = 0xffff_fffe_0000_0001;
        assert_eq!(rwsem_of(count, 2, None).doubts.len(), 1);
        let decoded = rwsem_of(count, 2, Some(0xffff_8800_0000_1000));
        let [holder] = &decoded.holders[..] else { panic!("{decoded:?}") };
        assert_eq!((holder.task.0, holder.mode), (0xffff_8800_0000_1000, Mode::Write));
        assert_eq!(holder.confidence, Confidence::Certain);
    }

    #[test]
    fn an_owner_with_the_readers_bit_is_only_the_last_reader() {
        let decoded = rwsem_of(0xffff_ffff_0000_0001, 1, Some(0xffff_8800_0000_1001));
        let [holder] = &decoded.holders[..] else { panic!("{decoded:?}") };
        assert_eq!((holder.task.0, holder.mode), (0xffff_8800_0000_1000, Mode::Read));
        assert_eq!(holder.confidence, Confidence::Possible);
    }

    #[test]
    fn impossible_counts_are_named() {
        let decoded = rwsem_of(0x6b6b_6b6b_6b6b_6b6b, 0, Some(0xffff_8800_0000_1000));
        assert_eq!(decoded.words, "impossible count");
        assert!(decoded.holders.is_empty() && decoded.doubts.len() == 1);
        assert_eq!(rwlock(0x7fff_ffff).words, "impossible count");
        assert_eq!(activity_of(-7).words, "impossible count");
    }

    #[test]
    fn a_rwsem_without_atomics_has_activity() {
        assert_eq!(activity_of(-1).words, "held by a writer");
        assert_eq!(activity_of(2).readers, Some(2));
    }

    #[test]
    fn a_mutex_with_a_count_names_its_task_unless_it_is_free() {
        let of = |count: u64, owner: u64| {
            let members = [("count", 0, 4), ("owner", 24, 8)];
            let types = TypeTable::new().with("mutex", 32, &members).types();
            let mut memory = Image::default();
            memory.put_u64(LOCK, count & 0xffff_ffff);
            memory.put_u64(LOCK + 24, owner);
            let ty = types.structure("mutex").unwrap();
            mutex(&Object::new(&memory, ty, VirtAddr(LOCK))).unwrap()
        };
        let taken = of(u64::MAX, 0xffff_8800_0000_2000);
        assert_eq!((taken.words.as_str(), taken.holders.len()), ("owned, with waiters", 1));
        assert_eq!(taken.holders[0].task.0, 0xffff_8800_0000_2000);
        // Between the two stores of an unlock the owner may still be there.
        let free = of(1, 0xffff_8800_0000_2000);
        assert_eq!((free.readers, free.holders.len()), (Some(0), 0));
        assert_eq!(of(7, 0).doubts.len(), 1);
    }

    #[test]
    fn a_mutex_whose_owner_is_a_thread_info_names_the_task_of_that() {
        const INFO: u64 = 0xffff_8800_0000_4000;
        let types = TypeTable::new()
            .with("thread_info", 104, &[("task", 0, 8), ("flags", 16, 4)])
            .with("mutex", 32, &[("count", 0, 4), ("owner*: thread_info", 24, 0)])
            .types();
        let mut memory = Image::default();
        memory.put_u64(LOCK, 0);
        memory.put_u64(LOCK + 24, INFO);
        memory.put_u64(INFO, 0xffff_8800_0000_2000);
        let ty = types.structure("mutex").unwrap();
        let decoded = mutex(&Object::new(&memory, ty, VirtAddr(LOCK))).unwrap();
        let [holder] = &decoded.holders[..] else { panic!("{decoded:?}") };
        assert_eq!(holder.task.0, 0xffff_8800_0000_2000);
        assert!(holder.why.to_string().ends_with("is the thread_info of this task"));
    }

    #[test]
    fn an_old_rwlock_counts_down_from_its_bias() {
        assert_eq!(rwlock(0x0100_0000).words, "not held");
        assert_eq!(rwlock(0x00ff_fffe).readers, Some(2));
        assert_eq!(rwlock(0x0010_0000).words, "not held");
        assert_eq!(rwlock(0x000f_ffff).readers, Some(1));
        assert_eq!(rwlock(0).words, "held by a writer");
        assert_eq!(rwlock(u32::MAX).words, "held by a writer");
    }

    #[test]
    fn who_holds_a_rwsem_is_told_by_biases_and_owner_together() {
        const TASK: u64 = 0xffff_8800_0000_1000;
        let of = |count, listed, owner| {
            let decoded = rwsem_of(count, listed, owner);
            (decoded.readers, decoded.holders.len())
        };
        // One bias for three waiters.
        assert_eq!(of(0xffff_ffff_0000_0001, 3, None), (Some(1), 0));
        // What the count leaves open, an owner that was a reader's tells too.
        assert_eq!(of(0xffff_fffe_0000_0001, 2, Some(TASK | 1)), (Some(1), 1));
        // A reader's kernel may leave the last writer in `owner`; and nobody's lock has no holder.
        assert_eq!(of(0xffff_ffff_0000_0001, 1, Some(TASK)), (Some(1), 0));
        assert_eq!(of(0, 0, Some(TASK | 1)), (Some(0), 0));
        // A flag alone names nobody.
        assert_eq!(of(0xffff_ffff_0000_0001, 1, Some(1)), (Some(1), 0));
    }

    #[test]
    fn each_half_of_a_count_can_be_impossible() {
        for count in [0x0040_0001, 0x8000_0000_0000_0001, 0x7fff_ffff_0000_0001] {
            assert_eq!(rwsem_of(count, 0, None).words, "impossible count", "{count:#x}");
        }
        assert_eq!(rwlock(0x0010_0001).words, "impossible count");
        assert_eq!(activity_of(TASKS_LIMIT + 1).words, "impossible count");
    }
}
