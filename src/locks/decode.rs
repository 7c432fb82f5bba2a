//! What a lock's own words say: who owns it, in which mode, how many wait.
//!
//! Nothing here looks at stacks: it is the kernel's record, read by the members that the types
//! name. Sources: `kernel/locking/mutex.h` (owner flags since 4.10), `kernel/locking/rwsem.c`
//! (counts since 5.3, owner bits), `kernel/locking/{semaphore,rtmutex,percpu-rwsem}.c`,
//! `include/linux/{completion,rwbase_rt}.h`, `include/asm-generic/{qspinlock_types,qrwlock}.h`.

use super::layout::enumerator_value;
use super::older;
use super::ring::Ring;
use super::ticket::Tickets;
use super::{Confidence, LockKind, Mode, Spot, StateValue, Why};
use crate::debuginfo::{Kind, Tag, Type, TypeError};
use crate::dump::VirtAddr;
use crate::kernel::Session;
use crate::object::{Object, ObjectError};

/// A holder as the lock itself records it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Recorded {
    /// The `task_struct`, not yet checked to be one.
    pub(super) task: VirtAddr,
    pub(super) mode: Mode,
    pub(super) confidence: Confidence,
    pub(super) why: Why,
}

/// A lock's state.
#[derive(Clone, PartialEq, Debug, Default)]
pub(super) struct Decoded {
    /// Field by field.
    pub(super) state: Vec<(&'static str, StateValue)>,
    /// In words, without the waiters.
    pub(super) words: String,
    pub(super) holders: Vec<Recorded>,
    /// How many tasks hold it, where the lock says so and not who: its readers, or 0.
    pub(super) readers: Option<u64>,
    pub(super) doubts: Vec<String>,
}

/// Low bits of `owner` that are flags, in mutexes (since 4.11) and rwsems.
const OWNER_FLAGS: u64 = 7;
/// `MUTEX_FLAG_PICKUP`: the lock was handed to the owner, which has not yet run to take it.
const MUTEX_PICKUP: u64 = 4;
/// `MUTEX_FLAG_HANDOFF`
const MUTEX_HANDOFF: u64 = 2;
/// `RWSEM_WRITER_LOCKED`
const RWSEM_WRITER: u64 = 1;
/// `RWSEM_FLAG_WAITERS`
const RWSEM_WAITERS: u64 = 2;
/// `RWSEM_FLAG_HANDOFF`
const RWSEM_HANDOFF: u64 = 4;
/// `RWSEM_READER_SHIFT`; bit 63 is `RWSEM_FLAG_READFAIL`.
const RWSEM_READER_SHIFT: u32 = 8;
/// `RWSEM_READER_OWNED` in `owner`.
const RWSEM_READER_OWNED: u64 = 1;
/// A count of readers beyond this is damage: there are not that many tasks.
const READERS_LIMIT: u64 = 1 << 22;

/// `_Q_PENDING_VAL` of a qspinlock's word.
pub(super) const QSPIN_PENDING: u32 = 1 << 8;
/// `_Q_TAIL_CPU_OFFSET`; the CPU's number plus one. x86 has at most 8192 CPUs, so the layout for
/// fewer than 16,384 holds.
pub(super) const QSPIN_TAIL_CPU_SHIFT: u32 = 18;
/// `_QW_LOCKED`, `_QW_WAITING`, `_QR_SHIFT` of a qrwlock's count.
const QRW_WRITER: u32 = 0xff;
const QRW_WAITING: u32 = 0x100;
const QRW_READER_SHIFT: u32 = 9;
/// `READER_BIAS`, `WRITER_BIAS` of an RT rwsem's count.
const RT_READER_BIAS: u32 = 1 << 31;
const RT_WRITER_BIAS: u32 = 1 << 30;
/// `RT_MUTEX_HAS_WAITERS`; until 2.6.39 that was bit 1, and bit 0 `RT_MUTEX_OWNER_PENDING`.
pub(super) const RT_MUTEX_FLAGS: u64 = 3;

/// Reads the lock of this kind at `at`. `spinning` says that tasks spin for it, which on PREEMPT_RT
/// tells a raw spinlock from one that sleeps.
pub(super) fn decode(
    session: &Session,
    kind: LockKind,
    at: VirtAddr,
    spinning: bool,
) -> Result<Decoded, ObjectError> {
    let (memory, types) = (session.memory(), session.types());
    let object = |name: &str| Ok::<_, TypeError>(Object::new(memory, types.structure(name)?, at));
    match kind {
        LockKind::Mutex => {
            let lock = object("mutex")?;
            match lock.member("rtmutex") {
                Ok(inner) => rt_mutex(&inner),
                Err(_) if lock.ty().has("count") => older::mutex(&lock),
                Err(_) => mutex(&lock),
            }
        }
        LockKind::Rwsem => {
            let lock = object("rw_semaphore")?;
            match lock.member("rwbase") {
                Ok(inner) => rt_rwlock(&inner),
                // With an atomic owner came the present meaning of the count (5.3).
                Err(_) if lock.member("owner").is_ok_and(|owner| is_atomic(owner.ty())) => {
                    rwsem(&lock)
                }
                Err(_) => older::rwsem(&lock, listed(session, &lock, at)?),
            }
        }
        LockKind::Semaphore => semaphore(&object("semaphore")?),
        LockKind::Completion => completion(&object("completion")?),
        LockKind::RtMutex => {
            let lock = object("rt_mutex")?;
            rt_mutex(&lock.member("rtmutex").unwrap_or(lock))
        }
        LockKind::PercpuRwsem => {
            let lock = object("percpu_rw_semaphore")?;
            let counts = lock.member("read_count")?.pointer()?;
            let cpus = session.cpus().iter().filter(|cpu| cpu.present);
            percpu_rwsem(&lock, cpus.map(|cpu| cpu.per_cpu(counts)))
        }
        LockKind::Spinlock => {
            let sleeping = object("spinlock").ok().and_then(|lock| lock.member("lock").ok());
            match (sleeping.filter(|_| !spinning), Tickets::probe(types)) {
                (Some(inner), _) => rt_mutex(&inner),
                (None, Some(tickets)) => Ok(tickets.decode(memory.read_u32(at)?)),
                (None, None) => Ok(qspinlock(memory.read_u32(at)?)),
            }
        }
        LockKind::Rwlock => {
            let ty = types.find(Tag::Typedef, "rwlock_t")?;
            match Object::new(memory, ty, at).member("rwbase") {
                Ok(inner) => rt_rwlock(&inner),
                Err(_) if types.structure("qrwlock").is_err() => {
                    Ok(older::rwlock(memory.read_u32(at)?))
                }
                Err(_) => Ok(qrwlock(memory.read_u32(at)?)),
            }
        }
        LockKind::Bit => {
            let value = memory.read_u64(at)?;
            let state = vec![("word", StateValue::Bits(value))];
            Ok(Decoded { state, words: format!("word {value:#x}"), ..Decoded::default() })
        }
        LockKind::Folio => folio(&object("page")?),
        LockKind::Waitqueue | LockKind::Futex => Ok(Decoded::default()),
    }
}

impl Decoded {
    /// What is left of a lock whose count cannot be.
    fn impossible(mut self, doubt: String) -> Decoded {
        self.words = "impossible count".to_owned();
        self.readers = None;
        self.doubts.push(doubt);
        self
    }
}

/// `struct rt_mutex_base`, of which a sleeping lock of PREEMPT_RT is made too.
fn rt_mutex(lock: &Object<'_>) -> Result<Decoded, ObjectError> {
    let owner = lock.member("owner")?.u64()?;
    let task = VirtAddr(owner & !RT_MUTEX_FLAGS);
    let mut decoded = Decoded {
        state: vec![("owner", StateValue::Bits(owner))],
        words: if task.is_null() { "not owned" } else { "owned" }.to_owned(),
        readers: task.is_null().then_some(0),
        ..Decoded::default()
    };
    if !task.is_null() {
        decoded.holders.push(Recorded {
            task,
            mode: Mode::Excl,
            confidence: Confidence::Certain,
            why: Why::new(format!("rt_mutex owner = {owner:#x} is this task"))
                .at(Spot::Member(lock.member("owner")?.at())),
        });
    }
    Ok(decoded)
}

/// `struct rwbase_rt`: an rt_mutex that a writer has for itself, and a count of readers.
fn rt_rwlock(lock: &Object<'_>) -> Result<Decoded, ObjectError> {
    let inner = rt_mutex(&lock.member("rtmutex")?)?;
    let raw = lock.member("readers")?.u64()?;
    let count = u32::try_from(raw & u64::from(u32::MAX)).unwrap_or(0);
    let readers = count & !(RT_READER_BIAS | RT_WRITER_BIAS);
    let writer = count & RT_WRITER_BIAS != 0;
    let mut decoded = Decoded {
        state: vec![
            ("readers_word", StateValue::Bits(u64::from(count))),
            ("writer", StateValue::Flag(writer)),
            ("readers", StateValue::Number(i64::from(readers))),
        ],
        ..Decoded::default()
    };
    decoded.state.extend(inner.state);
    if u64::from(readers) > READERS_LIMIT || writer && count != RT_WRITER_BIAS {
        let says = format!("readers {count:#x} are no count: not a lock, or damaged");
        return Ok(decoded.impossible(says));
    }
    if writer {
        decoded.words = "held by a writer".to_owned();
        decoded.holders = inner
            .holders
            .into_iter()
            .map(|holder| Recorded { mode: Mode::Write, ..holder })
            .collect();
    } else {
        decoded.readers = Some(u64::from(readers));
        decoded.words = match readers {
            0 => "not held".to_owned(),
            1 => "held by 1 reader".to_owned(),
            many => format!("held by {many} readers"),
        };
    }
    Ok(decoded)
}

/// `struct percpu_rw_semaphore`: `block` (until 5.6 `readers_block`) is set by a writer, readers count
/// per CPU, at `counts`. Whose writer it is, is recorded while it waits for the readers alone.
fn percpu_rwsem(
    lock: &Object<'_>,
    counts: impl Iterator<Item = VirtAddr>,
) -> Result<Decoded, ObjectError> {
    let block = lock.member("block").or_else(|_| lock.member("readers_block"))?.u64()?;
    let writer = lock.member("writer.task")?.pointer()?;
    // Sums wrap: a reader may leave on another CPU than it came.
    let mut readers: u32 = 0;
    for at in counts {
        readers = readers.wrapping_add(lock.memory().read_u32(at)?);
    }
    let words = match (block, readers) {
        (0, 0) => "not held".to_owned(),
        (_, 1) => "held by 1 reader".to_owned(),
        (_, 0) => "held by a writer".to_owned(),
        (_, many) => format!("held by {many} readers"),
    };
    let decoded = Decoded {
        state: vec![
            ("block", StateValue::Number(i64::try_from(block).unwrap_or(i64::MAX))),
            ("readers", StateValue::Number(i64::from(readers))),
            ("writer_waits", StateValue::Bits(writer.0)),
        ],
        words,
        readers: (readers > 0 || block == 0).then_some(u64::from(readers)),
        ..Decoded::default()
    };
    if u64::from(readers) > READERS_LIMIT {
        let says = format!("its CPUs' counts add up to {readers} readers: damaged, or no lock");
        return Ok(decoded.impossible(says));
    }
    Ok(decoded)
}

/// `struct qspinlock` (include/asm-generic/qspinlock_types.h).
fn qspinlock(value: u32) -> Decoded {
    let locked = value & 0xff != 0;
    let tail = (value >> QSPIN_TAIL_CPU_SHIFT).checked_sub(1);
    let mut state = vec![
        ("val", StateValue::Bits(u64::from(value))),
        ("locked", StateValue::Flag(locked)),
        ("pending", StateValue::Flag(value & QSPIN_PENDING != 0)),
    ];
    if let Some(cpu) = tail {
        state.push(("tail_cpu", StateValue::Number(i64::from(cpu))));
    }
    let words = if locked { "locked" } else { "not locked" }.to_owned();
    Decoded { state, words, readers: (!locked).then_some(0), ..Decoded::default() }
}

/// `struct qrwlock` (include/asm-generic/qrwlock.h).
fn qrwlock(count: u32) -> Decoded {
    let writer = count & QRW_WRITER == QRW_WRITER;
    let readers = count >> QRW_READER_SHIFT;
    let words = match (writer, readers) {
        (true, _) => "held by a writer".to_owned(),
        (false, 0) => "not held".to_owned(),
        (false, 1) => "held by 1 reader".to_owned(),
        (false, many) => format!("held by {many} readers"),
    };
    let decoded = Decoded {
        state: vec![
            ("cnts", StateValue::Bits(u64::from(count))),
            ("writer", StateValue::Flag(writer)),
            ("waiting", StateValue::Flag(count & QRW_WAITING != 0)),
            ("readers", StateValue::Number(i64::from(readers))),
        ],
        words,
        readers: (!writer).then_some(u64::from(readers)),
        ..Decoded::default()
    };
    if u64::from(readers) > READERS_LIMIT {
        let says =
            format!("cnts {count:#x} would mean {readers} readers: not a rwlock, or damaged");
        return decoded.impossible(says);
    }
    decoded
}

/// The flags of a folio, which are those of its first page.
fn folio(page: &Object<'_>) -> Result<Decoded, ObjectError> {
    // `flags` became a struct around the word in 6.18.
    let flags = page.member("flags")?.u64()?;
    let bit = |name: &str| {
        let types = page.ty().types();
        let bit =
            types.find(Tag::Enum, "pageflags").ok().and_then(|ty| enumerator_value(ty, name))?;
        Some(flags >> u32::try_from(bit).ok().filter(|bit| *bit < 64)? & 1 == 1)
    };
    let mut state = vec![("flags", StateValue::Bits(flags))];
    let mut words = Vec::new();
    for (id, name, word) in
        [("locked", "PG_locked", "locked"), ("writeback", "PG_writeback", "under writeback")]
    {
        if let Some(set) = bit(name) {
            state.push((id, StateValue::Flag(set)));
            words.extend(set.then_some(word));
        }
    }
    let words = if words.is_empty() { "not locked".to_owned() } else { words.join(", ") };
    Ok(Decoded { state, words, ..Decoded::default() })
}

/// How many waiters are on a rwsem's list.
fn listed(session: &Session, lock: &Object<'_>, at: VirtAddr) -> Result<usize, ObjectError> {
    let head = at.plus(lock.ty().offset_of("wait_list")?);
    let limit = 2 * session.tasks().len() + 16;
    Ok(Ring::walk(session.memory(), head, limit).nodes.len().saturating_sub(1))
}

fn mutex(lock: &Object<'_>) -> Result<Decoded, ObjectError> {
    let member = lock.member("owner")?;
    if !is_atomic(member.ty()) {
        return Err(TypeError::Not { ty: member.ty().name(), wanted: "an atomic_long_t" }.into());
    }
    let owner = member.u64()?;
    let task = VirtAddr(owner & !OWNER_FLAGS);
    let mut decoded = Decoded {
        state: vec![
            ("owner", StateValue::Bits(owner)),
            ("handoff", StateValue::Flag(owner & MUTEX_HANDOFF != 0)),
            ("pickup", StateValue::Flag(owner & MUTEX_PICKUP != 0)),
        ],
        ..Decoded::default()
    };
    if task.is_null() {
        decoded.words = "not owned".to_owned();
        decoded.readers = Some(0);
        return Ok(decoded);
    }
    decoded.words = "owned".to_owned();
    let why = if owner & MUTEX_PICKUP != 0 {
        decoded.words = "handed over".to_owned();
        format!("mutex.owner = {owner:#x}: handed to this task, which has not yet picked it up")
    } else {
        format!("mutex.owner = {owner:#x} is this task")
    };
    let why = Why::new(why).at(Spot::Member(member.at()));
    decoded.holders.push(Recorded { task, mode: Mode::Excl, confidence: Confidence::Certain, why });
    Ok(decoded)
}

fn rwsem(lock: &Object<'_>) -> Result<Decoded, ObjectError> {
    let owner_member = lock.member("owner")?;
    let count = lock.member("count")?.u64()?;
    let owner = owner_member.u64()?;
    let task = VirtAddr(owner & !OWNER_FLAGS);
    let writer = count & RWSEM_WRITER != 0;
    let readers = (count & !(1 << 63)) >> RWSEM_READER_SHIFT;
    let mut decoded = Decoded {
        state: vec![
            ("count", StateValue::Bits(count)),
            ("writer", StateValue::Flag(writer)),
            ("readers", StateValue::Number(i64::try_from(readers).unwrap_or(i64::MAX))),
            ("waiters", StateValue::Flag(count & RWSEM_WAITERS != 0)),
            ("handoff", StateValue::Flag(count & RWSEM_HANDOFF != 0)),
            ("owner", StateValue::Bits(owner)),
            ("reader_owned", StateValue::Flag(owner & RWSEM_READER_OWNED != 0)),
        ],
        readers: (!writer).then_some(readers),
        ..Decoded::default()
    };
    if readers > READERS_LIMIT {
        let says =
            format!("count {count:#x} would mean {readers} readers: not a rwsem, or damaged");
        return Ok(decoded.impossible(says));
    }
    if writer {
        decoded.words = "held by a writer".to_owned();
        if task.is_null() || owner & RWSEM_READER_OWNED != 0 {
            decoded.doubts.push(format!(
                "count {count:#x} says a writer holds it, owner {owner:#x} does not name one: caught while it changed hands"
            ));
        } else {
            decoded.holders.push(Recorded {
                task,
                mode: Mode::Write,
                confidence: Confidence::Certain,
                why: Why::new(format!(
                    "count {count:#x} has the writer bit, owner = {owner:#x} is this task"
                ))
                .at(Spot::Member(owner_member.at())),
            });
        }
        return Ok(decoded);
    }
    decoded.words = match readers {
        0 => "not held".to_owned(),
        1 => "held by 1 reader".to_owned(),
        many => format!("held by {many} readers"),
    };
    if readers > 0 && owner & RWSEM_READER_OWNED != 0 && !task.is_null() {
        decoded.holders.push(Recorded {
            task,
            mode: Mode::Read,
            confidence: Confidence::Possible,
            why: Why::new(format!(
                "owner = {owner:#x} names the last task that took it for reading, which may have released it since"
            ))
            .at(Spot::Member(owner_member.at())),
        });
    }
    Ok(decoded)
}

fn semaphore(lock: &Object<'_>) -> Result<Decoded, ObjectError> {
    let count = lock.member("count")?.integer()?;
    let count = i64::try_from(count).unwrap_or(i64::MAX);
    let mut decoded = Decoded {
        state: vec![("count", StateValue::Number(count))],
        words: match count {
            0 => "no permit left".to_owned(),
            1 => "1 permit left".to_owned(),
            many => format!("{many} permits left"),
        },
        ..Decoded::default()
    };
    if u64::try_from(count).is_ok_and(|count| count > READERS_LIMIT) {
        let says = format!("count {count} would mean as many permits: not a semaphore, or damaged");
        decoded = decoded.impossible(says);
    }
    // CONFIG_DETECT_HUNG_TASK_BLOCKER, since 6.16.
    if let Ok(last) = lock.member("last_holder") {
        let task = VirtAddr(last.u64()?);
        decoded.state.push(("last_holder", StateValue::Bits(task.0)));
        if !task.is_null() {
            decoded.holders.push(Recorded {
                task,
                mode: Mode::Excl,
                confidence: Confidence::Possible,
                why: Why::new("last_holder names the last task that took a permit, which may have given it back since")
                    .at(Spot::Member(last.at())),
            });
        }
    }
    Ok(decoded)
}

fn completion(lock: &Object<'_>) -> Result<Decoded, ObjectError> {
    let done = lock.member("done")?.u64()?;
    let words = match done {
        0 => "not completed".to_owned(),
        // complete_all() sets UINT_MAX, before 4.13 UINT_MAX/2.
        done if done >= u64::from(u32::MAX / 2) => "completed for all".to_owned(),
        done => format!("completed {done} times, not yet consumed"),
    };
    let state = vec![("done", StateValue::Number(i64::try_from(done).unwrap_or(i64::MAX)))];
    Ok(Decoded { state, words, ..Decoded::default() })
}

/// Whether it is an `atomic_long_t`, rather than a pointer.
fn is_atomic(ty: Type<'_>) -> bool {
    matches!(ty.resolved().kind(), Kind::Struct(_))
}

#[cfg(test)]
#[path = "decode_tests.rs"]
mod tests;
