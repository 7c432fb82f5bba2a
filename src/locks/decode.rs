//! What a lock's own words say: who owns it, in which mode, how many wait.
//!
//! Nothing here looks at stacks: it is the kernel's record, read by the members that the types
//! name. Sources: `kernel/locking/mutex.h` (owner flags since 4.10), `kernel/locking/rwsem.c`
//! (counts since 5.3, owner bits), `kernel/locking/semaphore.c`, `include/linux/completion.h`.

use super::{Confidence, LockKind, Mode, StateValue};
use crate::debuginfo::{Kind, Type, TypeError, Types};
use crate::dump::VirtAddr;
use crate::memory::VirtualMemory;
use crate::object::{Object, ObjectError};

/// A holder as the lock itself records it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Recorded {
    /// The `task_struct`, not yet checked to be one.
    pub(super) task: VirtAddr,
    pub(super) mode: Mode,
    pub(super) confidence: Confidence,
    pub(super) why: String,
}

/// A lock's state.
#[derive(Clone, PartialEq, Debug, Default)]
pub(super) struct Decoded {
    /// Field by field.
    pub(super) state: Vec<(&'static str, StateValue)>,
    /// In words, without the waiters.
    pub(super) words: String,
    pub(super) holders: Vec<Recorded>,
    /// How many tasks hold it for reading, where the lock counts them.
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

/// Reads the lock of this kind at `at`.
pub(super) fn decode(
    kind: LockKind,
    memory: &dyn VirtualMemory,
    types: &Types,
    at: VirtAddr,
) -> Result<Decoded, ObjectError> {
    let object = |name: &str| Ok::<_, TypeError>(Object::new(memory, types.structure(name)?, at));
    match kind {
        LockKind::Mutex => mutex(&object("mutex")?),
        LockKind::Rwsem => rwsem(&object("rw_semaphore")?),
        LockKind::Semaphore => semaphore(&object("semaphore")?),
        LockKind::Completion => completion(&object("completion")?),
    }
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
        return Ok(decoded);
    }
    decoded.words = "owned".to_owned();
    let why = if owner & MUTEX_PICKUP != 0 {
        decoded.words = "handed over".to_owned();
        format!("mutex.owner = {owner:#x}: handed to this task, which has not yet picked it up")
    } else {
        format!("mutex.owner = {owner:#x} is this task")
    };
    decoded.holders.push(Recorded { task, mode: Mode::Excl, confidence: Confidence::Certain, why });
    Ok(decoded)
}

fn rwsem(lock: &Object<'_>) -> Result<Decoded, ObjectError> {
    let owner_member = lock.member("owner")?;
    // With the atomic owner came the present meaning of the count (5.3).
    if !is_atomic(owner_member.ty()) {
        let ty = owner_member.ty().name();
        return Err(
            TypeError::Not { ty, wanted: "an atomic_long_t (rwsem of 5.3 or later)" }.into()
        );
    }
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
        decoded.doubts.push(format!(
            "count {count:#x} would mean {readers} readers: not a rwsem, or damaged"
        ));
        decoded.words = "impossible count".to_owned();
        decoded.readers = None;
        return Ok(decoded);
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
                why: format!(
                    "count {count:#x} has the writer bit, owner = {owner:#x} is this task"
                ),
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
            why: format!(
                "owner = {owner:#x} names the last task that took it for reading, which may have released it since"
            ),
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
    // CONFIG_DETECT_HUNG_TASK_BLOCKER, since 6.16.
    if let Ok(last) = lock.member("last_holder") {
        let task = VirtAddr(last.u64()?);
        decoded.state.push(("last_holder", StateValue::Bits(task.0)));
        if !task.is_null() {
            decoded.holders.push(Recorded {
                task,
                mode: Mode::Excl,
                confidence: Confidence::Possible,
                why: "last_holder names the last task that took a permit, which may have given it back since".to_owned(),
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
