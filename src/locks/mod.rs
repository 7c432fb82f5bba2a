//! Who holds what, who waits for it, and how we know.
//!
//! [`LockGraph`] is plain data: locks with their holders and waiters, each claim with its
//! confidence and the evidence for it; the deadlock cycles; the root blockers. It borrows nothing,
//! so that screens and printers can keep it.

mod analysis;
mod api;
mod asked;
mod asleep;
mod calls;
mod chain;
mod clock;
mod complaints;
mod decode;
mod doing;
mod elimination;
mod evidence;
mod futex;
mod graph;
mod layout;
mod listed;
mod name;
mod older;
mod osq;
mod parts;
mod pi;
mod records;
mod ring;
mod scene;
mod slots;
mod spinning;
mod stack;
mod statics;
mod steps;
#[cfg(test)]
mod testing;
mod ticket;
mod undecided;
mod verdict;
mod wait_queue;
mod waiting;
mod wanted;
mod whole;
mod why;

pub use analysis::{analyse, analyse_watched};
pub use undecided::{Case, Undecided};
pub use why::{Evidence, Spot, Why};

use crate::dump::VirtAddr;
use std::time::Duration;

/// What kind of lock it is, by the name of its kernel API. On PREEMPT_RT a mutex stays a mutex,
/// though an rt_mutex does its work.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum LockKind {
    /// `struct mutex`
    Mutex,
    /// `struct rw_semaphore`
    Rwsem,
    /// `struct semaphore`
    Semaphore,
    /// `struct completion`: nobody holds it; somebody has to complete it.
    Completion,
    /// `struct rt_mutex`, with priority inheritance.
    RtMutex,
    /// `struct percpu_rw_semaphore`
    PercpuRwsem,
    /// `struct wait_queue_head`: nobody holds it; somebody has to wake it up.
    Waitqueue,
    /// A bit in a word (`wait_on_bit`), known by the word.
    Bit,
    /// A folio or page lock or another of its bits, known by its `struct page`.
    Folio,
    /// `spinlock_t` or `raw_spinlock_t`
    Spinlock,
    /// `rwlock_t`
    Rwlock,
    /// A futex, known by its address in user space.
    Futex,
}

impl LockKind {
    /// Its name in reports and JSON.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            LockKind::Mutex => "mutex",
            LockKind::Rwsem => "rwsem",
            LockKind::Semaphore => "semaphore",
            LockKind::Completion => "completion",
            LockKind::RtMutex => "rt_mutex",
            LockKind::PercpuRwsem => "percpu_rwsem",
            LockKind::Waitqueue => "waitqueue",
            LockKind::Bit => "bit",
            LockKind::Folio => "folio",
            LockKind::Spinlock => "spinlock",
            LockKind::Rwlock => "rwlock",
            LockKind::Futex => "futex",
        }
    }

    /// The C type of what lies at its address.
    #[must_use]
    pub const fn ty(self) -> &'static str {
        match self {
            LockKind::Mutex => "struct mutex",
            LockKind::Rwsem => "struct rw_semaphore",
            LockKind::Semaphore => "struct semaphore",
            LockKind::Completion => "struct completion",
            LockKind::RtMutex => "struct rt_mutex",
            LockKind::PercpuRwsem => "struct percpu_rw_semaphore",
            LockKind::Waitqueue => "struct wait_queue_head",
            LockKind::Bit => "unsigned long",
            LockKind::Folio => "struct page",
            LockKind::Spinlock => "spinlock_t",
            LockKind::Rwlock => "rwlock_t",
            LockKind::Futex => "u32",
        }
    }

    /// Whether it is a condition that somebody has to bring about, rather than a lock that
    /// somebody holds.
    #[must_use]
    pub const fn is_condition(self) -> bool {
        matches!(self, LockKind::Completion | LockKind::Waitqueue | LockKind::Bit)
    }
}

/// How a lock is held or asked for.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Mode {
    /// By one task at a time.
    Excl,
    /// Shared.
    Read,
    /// Exclusively, of a lock that can be shared.
    Write,
    /// Not held at all: a condition waited for.
    None,
}

impl Mode {
    /// Its name in reports and JSON.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Mode::Excl => "excl",
            Mode::Read => "read",
            Mode::Write => "write",
            Mode::None => "none",
        }
    }
}

/// How sure a claim is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Confidence {
    /// The kernel's own record says so.
    Certain,
    /// Evidence says so, named in the claim's `why`.
    Likely,
    /// Not excluded.
    Possible,
}

impl Confidence {
    /// Its name in reports and JSON.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Confidence::Certain => "certain",
            Confidence::Likely => "likely",
            Confidence::Possible => "possible",
        }
    }
}

/// A task as the lock graph names it.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct TaskRef {
    /// Its number.
    pub pid: u32,
    /// Its `task_struct`.
    pub at: VirtAddr,
    /// Its name, scrubbed.
    pub comm: Box<str>,
}

impl TaskRef {
    /// `java[30413]`
    #[must_use]
    pub fn label(&self) -> String {
        format!("{}[{}]", self.comm, self.pid)
    }
}

/// The claim that a task holds a lock.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Holder {
    /// Who.
    pub task: TaskRef,
    /// How.
    pub mode: Mode,
    /// How sure it is.
    pub confidence: Confidence,
    /// How we know.
    pub why: Why,
}

/// The claim that a task waits for a lock.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Waiter {
    /// Who.
    pub task: TaskRef,
    /// What it asks for.
    pub mode: Mode,
    /// 1 is next in line; `None` where the lock keeps no order.
    pub position: Option<u32>,
    /// Whether it burns a CPU while it waits.
    pub spinning: bool,
    /// Whether it is an interrupt on its CPU that waits, and the task itself was interrupted.
    pub in_interrupt: bool,
    /// How long it has been off the CPU, where that is known.
    pub since: Option<Duration>,
    /// How sure it is.
    pub confidence: Confidence,
    /// How we know.
    pub why: Why,
}

/// A decoded field of a lock's state.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum StateValue {
    /// A number: a count of readers, of permits.
    Number(i64),
    /// Set or not.
    Flag(bool),
    /// Raw bits or an address.
    Bits(u64),
    /// Text.
    Text(String),
}

/// One lock, with everybody who holds it or waits for it.
#[derive(Clone, PartialEq, Debug)]
pub struct Lock {
    /// Where it lies.
    pub at: VirtAddr,
    /// Its kind.
    pub kind: LockKind,
    /// Its C type: `struct mutex`.
    pub ty: &'static str,
    /// The symbol that it lies at, if it is a static one: `hu_abba_a`, `hu_ring+32`.
    pub symbol: Option<String>,
    /// What people call it: the symbol, `mmap_lock of java[30364]`, or `mutex 0x…`.
    pub name: String,
    /// Where it lies, if its name is but its address: `in an object of kmalloc-64, at +0x20`.
    pub place: Option<String>,
    /// Its decoded state, field by field, in the order to show them.
    pub state: Vec<(&'static str, StateValue)>,
    /// Its state in words: `1 reader, 3 waiting`.
    pub words: String,
    /// Who holds it.
    pub holders: Vec<Holder>,
    /// Who waits for it, next in line first.
    pub waiters: Vec<Waiter>,
    /// How many tasks hold it, where it says so and does not say who: its readers, or 0.
    pub readers: Option<u64>,
    /// Whether the task that held it has exited without releasing it.
    pub orphaned: bool,
    /// Where its holder can be, when nothing names one.
    pub undecided: Option<Undecided>,
    /// What is wrong with its memory, or could not be decided.
    pub doubts: Vec<String>,
    /// How many tasks wait for it, directly or behind those who wait for it.
    pub blocks: usize,
}

impl Lock {
    /// Whether it is a futex that tasks may well sleep on all day: waiting for work is waiting too.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.kind == LockKind::Futex && self.holders.is_empty()
    }
}

/// A deadlock: `tasks[i]` waits for `locks[i]`, which is held by `tasks[i + 1]`, round to the start.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Cycle {
    /// The tasks, lowest pid first.
    pub tasks: Vec<TaskRef>,
    /// The locks between them.
    pub locks: Vec<VirtAddr>,
}

/// A task that others wait for and that itself waits for no task's lock.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Root {
    /// Who.
    pub task: TaskRef,
    /// How many tasks wait for it, directly or not.
    pub blocks: usize,
    /// What it is doing, in words.
    pub doing: String,
    /// The messages in the log about it, by their numbers among the records.
    pub log: Vec<usize>,
}

/// A blocked task that could not be tied to a lock.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Blocked {
    /// Who.
    pub task: TaskRef,
    /// Where it sleeps and what that says, in words.
    pub on: String,
    /// How long it has been off the CPU, where that is known.
    pub since: Option<Duration>,
}

/// Everything that is known about who waits for whom.
#[derive(Clone, Default, PartialEq, Debug)]
pub struct LockGraph {
    /// Every lock with a waiter, most blocked tasks first; then locks that are held and that nobody
    /// waits for: static ones, and those of address spaces, open files and superblocks.
    pub locks: Vec<Lock>,
    /// The deadlocks, one entry each.
    pub cycles: Vec<Cycle>,
    /// The root blockers, most blocked tasks first.
    pub roots: Vec<Root>,
    /// Tasks in uninterruptible sleep that wait for something not decoded.
    pub others: Vec<Blocked>,
    /// What could not be decided, and what it would take.
    pub notes: Vec<String>,
    /// The whole in one paragraph for a person.
    pub verdict: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_mode_and_confidence_has_the_name_of_reports_and_json() {
        use LockKind::{
            Bit, Completion, Folio, Futex, Mutex, PercpuRwsem, RtMutex, Rwlock, Rwsem, Semaphore,
            Spinlock, Waitqueue,
        };
        for (kind, name, ty) in [
            (Mutex, "mutex", "struct mutex"),
            (Rwsem, "rwsem", "struct rw_semaphore"),
            (Semaphore, "semaphore", "struct semaphore"),
            (Completion, "completion", "struct completion"),
            (RtMutex, "rt_mutex", "struct rt_mutex"),
            (PercpuRwsem, "percpu_rwsem", "struct percpu_rw_semaphore"),
            (Waitqueue, "waitqueue", "struct wait_queue_head"),
            (Bit, "bit", "unsigned long"),
            (Folio, "folio", "struct page"),
            (Spinlock, "spinlock", "spinlock_t"),
            (Rwlock, "rwlock", "rwlock_t"),
            (Futex, "futex", "u32"),
        ] {
            assert_eq!((kind.name(), kind.ty()), (name, ty));
            assert_eq!(kind.is_condition(), matches!(name, "completion" | "waitqueue" | "bit"));
        }
        let modes = [Mode::Excl, Mode::Read, Mode::Write, Mode::None].map(Mode::name);
        assert_eq!(modes, ["excl", "read", "write", "none"]);
        let sure = [Confidence::Certain, Confidence::Likely, Confidence::Possible];
        assert_eq!(sure.map(Confidence::name), ["certain", "likely", "possible"]);
    }

    #[test]
    fn a_futex_without_an_owner_may_be_idle_and_no_other_lock() {
        let lock = |kind, holders: &[u32]| verdict::tests::lock("l", kind, holders, &[2]);
        assert!(lock(LockKind::Futex, &[]).is_idle());
        assert!(!lock(LockKind::Futex, &[1]).is_idle());
        assert!(!lock(LockKind::Mutex, &[]).is_idle());
    }
}
