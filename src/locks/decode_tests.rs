//! Every layout of a lock's own words, in memory made by hand.

use super::*;
use crate::kernel::testing::{Image, TypeTable};

const LOCK: u64 = 0xffff_8880_0100_0000;
const TASK: u64 = 0xffff_8880_0200_0000;

/// Types with the atomics that most locks are made of.
fn types() -> TypeTable {
    TypeTable::new().with("atomic_long_t", 8, &[("counter", 0, 8)]).with(
        "atomic_t",
        4,
        &[("counter", 0, 4)],
    )
}

/// The lock `name`, decoded from 32-bit and 64-bit words at offsets.
fn decoded(
    types: TypeTable,
    name: &str,
    words: &[(u64, u64)],
    how: impl Fn(&Object<'_>) -> Result<Decoded, ObjectError>,
) -> Decoded {
    let types = types.types();
    let mut memory = Image::default();
    memory.put(LOCK, &[0; 128]);
    for (offset, value) in words {
        memory.put_u64(LOCK + offset, *value);
    }
    how(&Object::new(&memory, types.structure(name).unwrap(), VirtAddr(LOCK))).unwrap()
}

fn holders(decoded: &Decoded) -> Vec<(u64, Mode, Confidence)> {
    let holders = decoded.holders.iter();
    holders.map(|holder| (holder.task.0, holder.mode, holder.confidence)).collect()
}

fn state(decoded: &Decoded, field: &str) -> Option<StateValue> {
    decoded.state.iter().find(|(id, _)| *id == field).map(|(_, value)| value.clone())
}

fn mutex_with(owner: u64) -> Decoded {
    let types = types().with("mutex", 32, &[("owner: atomic_long_t", 0, 0)]);
    decoded(types, "mutex", &[(0, owner)], mutex)
}

#[test]
fn a_mutex_names_its_owner_beside_three_flags() {
    let held = mutex_with(TASK | 1);
    assert_eq!(holders(&held), [(TASK, Mode::Excl, Confidence::Certain)]);
    assert_eq!((held.words.as_str(), held.readers), ("owned", None));
    let handed = mutex_with(TASK | 2 | 4);
    assert_eq!(handed.words, "handed over");
    assert_eq!(holders(&handed), [(TASK, Mode::Excl, Confidence::Certain)]);
    assert_eq!(state(&handed, "pickup"), Some(StateValue::Flag(true)));
    let free = mutex_with(1);
    assert_eq!((free.words.as_str(), free.readers), ("not owned", Some(0)));
    assert!(holders(&free).is_empty());
}

fn rwsem_with(count: u64, owner: u64) -> Decoded {
    let members = [("count: atomic_long_t", 0, 0), ("owner: atomic_long_t", 8, 0)];
    let types = types().with("rw_semaphore", 40, &members);
    decoded(types, "rw_semaphore", &[(0, count), (8, owner)], rwsem)
}

#[test]
fn a_rwsem_held_for_writing_names_its_owner() {
    let held = rwsem_with(1 | 2, TASK);
    assert_eq!(holders(&held), [(TASK, Mode::Write, Confidence::Certain)]);
    assert_eq!((held.words.as_str(), held.readers), ("held by a writer", None));
    // RWSEM_NONSPINNABLE, and both such bits of 5.3 to 5.10.
    for bits in [2, 6] {
        assert_eq!(holders(&rwsem_with(1, TASK | bits)).len(), 1);
    }
    let changing = rwsem_with(1, TASK | 1);
    assert!(holders(&changing).is_empty() && changing.doubts.len() == 1);
}

#[test]
fn a_rwsem_held_for_reading_counts_and_knows_only_the_last_reader() {
    let held = rwsem_with(0x302, TASK | 1);
    assert_eq!((held.words.as_str(), held.readers), ("held by 3 readers", Some(3)));
    assert_eq!(holders(&held), [(TASK, Mode::Read, Confidence::Possible)]);
    let free = rwsem_with(2, TASK | 1);
    assert_eq!((free.words.as_str(), free.readers), ("not held", Some(0)));
    assert!(holders(&free).is_empty());
    // RWSEM_FLAG_READFAIL is no reader.
    assert_eq!(rwsem_with(1 << 63, 0).readers, Some(0));
}

#[test]
fn an_impossible_count_of_a_rwsem_is_named_and_nobody_holds_it() {
    let damaged = rwsem_with(0x6b6b_6b6b_6b6b_6b6a, TASK);
    assert_eq!((damaged.words.as_str(), damaged.readers), ("impossible count", None));
    assert!(holders(&damaged).is_empty() && damaged.doubts.len() == 1);
}

fn rt_types() -> TypeTable {
    types().with("rt_mutex_base", 40, &[("owner", 24, 8)]).with(
        "rwbase_rt",
        48,
        &[("readers: atomic_t", 0, 0), ("rtmutex: rt_mutex_base", 8, 0)],
    )
}

#[test]
fn an_rt_mutex_names_its_owner_beside_its_flags() {
    let with = |owner| decoded(rt_types(), "rt_mutex_base", &[(24, owner)], rt_mutex);
    assert_eq!(holders(&with(TASK | 1)), [(TASK, Mode::Excl, Confidence::Certain)]);
    // The flags of 2.6.39 and before.
    assert_eq!(holders(&with(TASK | 3)), [(TASK, Mode::Excl, Confidence::Certain)]);
    let free = with(1);
    assert_eq!((free.words.as_str(), free.readers), ("not owned", Some(0)));
}

#[test]
fn an_rt_rwlock_is_held_by_the_owner_of_its_mutex_or_by_readers_that_it_counts() {
    let with = |readers: u32, owner| {
        let words = [(0, readers.into()), (32, owner)];
        decoded(rt_types(), "rwbase_rt", &words, rt_rwlock)
    };
    let written = with(0x4000_0000, TASK | 1);
    assert_eq!(holders(&written), [(TASK, Mode::Write, Confidence::Certain)]);
    assert_eq!((written.words.as_str(), written.readers), ("held by a writer", None));
    // A writer has the mutex, took the bias off and waits for two readers.
    let closed = with(2, TASK | 1);
    assert_eq!((closed.words.as_str(), closed.readers), ("held by 2 readers", Some(2)));
    assert!(holders(&closed).is_empty());
    let open = with(0x8000_0001, 0);
    assert_eq!((open.words.as_str(), open.readers), ("held by 1 reader", Some(1)));
    assert_eq!(with(0x8000_0000, 0).words, "not held");
}

#[test]
fn a_semaphore_counts_permits_and_may_name_who_took_the_last() {
    let types = || types().with("semaphore", 40, &[("count", 4, 4), ("last_holder", 24, 8)]);
    let with = |count, last| decoded(types(), "semaphore", &[(4, count), (24, last)], semaphore);
    let taken = with(0, TASK);
    assert_eq!(taken.words, "no permit left");
    assert_eq!(holders(&taken), [(TASK, Mode::Excl, Confidence::Possible)]);
    assert_eq!(with(1, 0).words, "1 permit left");
    assert!(holders(&with(2, 0)).is_empty());
}

#[test]
fn a_completion_is_done_for_so_many_or_for_all() {
    let with = |done| {
        let types = types().with("completion", 32, &[("done", 0, 4)]);
        decoded(types, "completion", &[(0, done)], completion).words
    };
    assert_eq!(with(0), "not completed");
    assert_eq!(with(2), "completed 2 times, not yet consumed");
    assert_eq!(with(u64::from(u32::MAX)), "completed for all");
    assert_eq!(with(u64::from(u32::MAX / 2)), "completed for all");
}

fn percpu_with(block: u64, counts: [u32; 2], member: &str) -> Decoded {
    let types = types().with("rcuwait", 8, &[("task", 0, 8)]).with(
        "percpu_rw_semaphore",
        96,
        &[(member, 88, 4), ("writer: rcuwait", 56, 0)],
    );
    let words = [(88, block), (112, u64::from(counts[0]) | u64::from(counts[1]) << 32)];
    let counts = [VirtAddr(LOCK + 112), VirtAddr(LOCK + 116)];
    decoded(types, "percpu_rw_semaphore", &words, |lock| percpu_rwsem(lock, counts.into_iter()))
}

#[test]
fn a_percpu_rwsem_sums_the_readers_of_all_cpus_and_says_that_a_writer_closed_it() {
    for member in ["block", "readers_block"] {
        let held = percpu_with(1, [0, 0], member);
        assert_eq!((held.words.as_str(), held.readers), ("held by a writer", None));
        let free = percpu_with(0, [0, 0], member);
        assert_eq!((free.words.as_str(), free.readers), ("not held", Some(0)));
        // A reader came on one CPU and left on the other.
        let read = percpu_with(1, [3, u32::MAX], member);
        assert_eq!((read.words.as_str(), read.readers), ("held by 2 readers", Some(2)));
    }
}

#[test]
fn a_qspinlocks_word_has_a_byte_for_locked_a_bit_for_pending_and_the_last_cpu() {
    let word = 1 | 0x100 | (5 + 1) << 18;
    let held = qspinlock(word);
    assert_eq!((held.words.as_str(), held.readers), ("locked", None));
    assert_eq!(state(&held, "pending"), Some(StateValue::Flag(true)));
    assert_eq!(state(&held, "tail_cpu"), Some(StateValue::Number(5)));
    assert_eq!(qspinlock(0).readers, Some(0));
    assert_eq!(state(&qspinlock(1), "tail_cpu"), None);
}

#[test]
fn a_qrwlocks_count_is_a_writer_or_readers() {
    let written = qrwlock(0x1ff);
    assert_eq!((written.words.as_str(), written.readers), ("held by a writer", None));
    assert_eq!(state(&written, "waiting"), Some(StateValue::Flag(true)));
    let read = qrwlock(0x400);
    assert_eq!((read.words.as_str(), read.readers), ("held by 2 readers", Some(2)));
    assert_eq!(qrwlock(0).words, "not held");
}

#[test]
fn each_flag_of_a_mutex_is_no_part_of_its_owner() {
    for flags in 0..8 {
        let decoded = mutex_with(TASK | flags);
        assert_eq!(holders(&decoded), [(TASK, Mode::Excl, Confidence::Certain)], "{flags}");
        assert_eq!(state(&decoded, "handoff"), Some(StateValue::Flag(flags & 2 != 0)), "{flags}");
        assert_eq!(state(&decoded, "pickup"), Some(StateValue::Flag(flags & 4 != 0)), "{flags}");
        let why = decoded.holders[0].why.to_string();
        assert_eq!(why.contains("has not yet picked it up"), flags & 4 != 0, "{why}");
        assert_eq!(mutex_with(flags).words, "not owned");
    }
}

#[test]
fn no_reader_is_made_of_an_owner_that_is_none_or_no_readers() {
    assert!(holders(&rwsem_with(0x100, TASK)).is_empty());
    assert!(holders(&rwsem_with(0x100, RWSEM_READER_OWNED)).is_empty());
    let nobody = rwsem_with(RWSEM_WRITER, 0);
    assert!(holders(&nobody).is_empty() && nobody.doubts.len() == 1);
}

#[test]
fn as_many_readers_as_there_may_be_tasks_are_believed_and_one_more_is_not() {
    let most = READERS_LIMIT << RWSEM_READER_SHIFT;
    assert_eq!(rwsem_with(most, 0).readers, Some(READERS_LIMIT));
    assert_eq!(rwsem_with(most + 0x100, 0).words, "impossible count");
    let handed = rwsem_with(0x100 | RWSEM_HANDOFF, 0);
    assert_eq!(state(&handed, "handoff"), Some(StateValue::Flag(true)));
    assert_eq!(state(&handed, "waiters"), Some(StateValue::Flag(false)));
}

#[test]
fn a_qspinlock_is_free_while_it_is_only_asked_for() {
    // CPU 3 is the last, with its second node; the holder has just left.
    let asked = qspinlock((3 + 1) << 18 | 1 << 16 | 1 << 8);
    assert_eq!((asked.words.as_str(), asked.readers), ("not locked", Some(0)));
    assert_eq!(state(&asked, "tail_cpu"), Some(StateValue::Number(3)));
    // Half a writer's byte is no writer, and that somebody waits is no reader.
    assert_eq!(qrwlock(0x0f).words, "not held");
    assert_eq!((qrwlock(0x100).readers, qrwlock(0x300).readers), (Some(0), Some(1)));
}

#[test]
fn a_completion_that_was_completed_just_short_of_all_is_counted() {
    let types = types().with("completion", 32, &[("done", 0, 4)]);
    let done = u64::from(u32::MAX / 2) - 1;
    let words = decoded(types, "completion", &[(0, done)], completion).words;
    assert_eq!(words, format!("completed {done} times, not yet consumed"));
}

#[test]
fn the_bits_of_a_page_that_are_known_are_told_in_words() {
    use crate::locks::testing::{Stage, demo};
    let at = demo().symbols().address("hu_sem").unwrap();
    let bit = |name| crate::locks::whole::page_bit(demo().types(), name).unwrap();
    let (locked, writeback) = (1_u64 << bit("PG_locked"), 1_u64 << bit("PG_writeback"));
    let words = |flags: u64| {
        let stage = Stage::with(|memory| memory.put64(at.0, flags));
        decode(&stage.session, LockKind::Folio, at, false).unwrap().words
    };
    assert_eq!(words(0), "not locked");
    assert_eq!(words(locked), "locked");
    assert_eq!(words(writeback), "under writeback");
    assert_eq!(words(locked | writeback), "locked, under writeback");
}

#[test]
fn more_readers_or_permits_than_there_are_tasks_are_damage() {
    let impossible = |decoded: Decoded| {
        assert_eq!((decoded.words.as_str(), decoded.readers), ("impossible count", None));
        assert!(holders(&decoded).is_empty());
        decoded.doubts.join("; ")
    };
    let percpu = impossible(percpu_with(0, [0, u32::MAX], "block"));
    assert_eq!(percpu, "its CPUs' counts add up to 4294967295 readers: damaged, or no lock");
    assert!(impossible(qrwlock(0xffff_fe00)).starts_with("cnts 0xfffffe00 would mean 8388607"));
    let semaphore = |count| {
        let types = types().with("semaphore", 40, &[("count", 4, 4)]);
        decoded(types, "semaphore", &[(4, count)], semaphore)
    };
    assert!(impossible(semaphore(0xffff_fffe)).starts_with("count 4294967294 would mean"));
    let rt = |readers: u32| {
        let words = [(0, readers.into()), (32, TASK)];
        decoded(rt_types(), "rwbase_rt", &words, rt_rwlock)
    };
    assert_eq!(
        impossible(rt(0x2000_0000)),
        "readers 0x20000000 are no count: not a lock, or damaged"
    );
    // A writer that holds it has waited for all readers to leave.
    impossible(rt(0x4000_0001));
    // And has taken the readers' bias off.
    impossible(rt(0xc000_0000));
}

#[test]
fn who_only_asks_for_a_queued_lock_shows_in_its_word() {
    let flags = |decoded: Decoded, name| decoded.state.contains(&(name, StateValue::Flag(true)));
    assert!(flags(qspinlock(0x100), "pending") && !flags(qspinlock(0x100), "locked"));
    assert!(flags(qspinlock(1), "locked") && !flags(qspinlock(1), "pending"));
    assert!(flags(qrwlock(0x100), "waiting") && !flags(qrwlock(0xff), "waiting"));
}
