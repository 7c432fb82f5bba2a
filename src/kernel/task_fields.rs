//! Where the members of `struct task_struct` are in this kernel, and one task read by them.
//!
//! All members that every task is asked for are found by one read of the span that holds them. A
//! member that kernels renamed or moved is probed under each of its names, here and nowhere else.

use super::fields::{Field, StructBytes, span_of};
use super::image::Kernel;
use super::state::StateBits;
use super::{Known, State, Task, Unknown};
use crate::dump::{Fault, VirtAddr, scrub};
use std::ops::Range;
use std::time::Duration;

/// `PF_KTHREAD` (include/linux/sched.h), since 2.6.27.
const PF_KTHREAD: u64 = 0x0020_0000;
/// `PF_EXITING`
const PF_EXITING: u64 = 0x4;
/// `TASK_COMM_LEN`
const COMM: u64 = 16;
/// `list_head::prev` follows `next`.
const PREV: u64 = 8;
/// `PID_MAX_LIMIT` (include/linux/threads.h).
const MAX_PID: u64 = 4 << 20;

/// Where things are in `struct task_struct` (include/linux/sched.h).
pub(super) struct TaskFields {
    span: Range<u64>,
    pid: Field,
    tgid: Field,
    state: Field,
    exit_state: Known<Field>,
    state_bits: StateBits,
    flags: Known<Field>,
    stack: Field,
    comm: Field,
    mm: Field,
    files: Known<Field>,
    parent: Known<Field>,
    leader: Known<Field>,
    tasks: Field,
    threads: Known<Threads>,
    cpu: Known<CpuField>,
    last_arrival: Known<Field>,
    exec_start: Known<Field>,
    /// In nanoseconds (3.17), or a `struct timespec`: seconds, and nanoseconds behind them.
    start_time: Known<Field>,
    start_seconds: Option<Field>,
    pi_blocked_on: Known<Field>,
    sp: Known<Field>,
    /// `rss_stat.count`: counters that have not been added to those of the `mm_struct` yet.
    pub(super) rss_counts: Option<RssCounts>,
}

/// A task's own counters of pages (`SPLIT_RSS_COUNTING`, 2.6.34 to 6.1): an `int` for each kind.
#[derive(Clone, Copy)]
pub(super) struct RssCounts {
    pub(super) offset: u64,
    pub(super) kinds: u64,
}

/// How the threads of a process are linked.
struct Threads {
    node: Field,
    /// The list's head is at this offset in `*task->signal` (3.14); before that it has no head of
    /// its own.
    head: Option<(Field, u64)>,
}

/// Where the number of a task's CPU is.
#[derive(Clone, Copy)]
enum CpuField {
    /// In the `task_struct` (4.9).
    Task(Field),
    /// In the `thread_info` at the low end of the stack.
    Stack(Field),
}

/// A task as read, with what leads on to others.
pub(super) struct TaskRead {
    pub(super) task: Task,
    pub(super) parent: Known<VirtAddr>,
    /// Its neighbours on the list of all processes and on that of its process's threads.
    pub(super) linked: [Option<VirtAddr>; 4],
    /// Its parent and the leader of its process: a way round a damaged list.
    pub(super) kin: [Option<VirtAddr>; 2],
    /// What its own page counters hold, where it has them.
    pub(super) rss_pages: i64,
}

impl TaskFields {
    pub(super) fn probe(kernel: Kernel<'_>) -> Known<TaskFields> {
        let ty = kernel.structure("task_struct")?;
        let of = |path| Field::of(ty, path);
        let known = |path| of(path).map_err(Unknown::from);
        let mut fields = TaskFields {
            span: 0..0,
            pid: of("pid")?,
            tgid: of("tgid")?,
            state: Field::first_of(ty, &["__state", "state"])?,
            exit_state: known("exit_state"),
            state_bits: StateBits::probe(kernel),
            flags: known("flags"),
            stack: Field::first_of(ty, &["stack", "thread_info"])?,
            comm: Field::at(of("comm")?.offset, COMM),
            mm: of("mm")?,
            files: known("files"),
            parent: known("real_parent").or_else(|_| known("parent")),
            leader: known("group_leader"),
            tasks: Field::at(of("tasks")?.offset, 2 * PREV),
            threads: threads(kernel),
            cpu: Field::first_of(ty, &["thread_info.cpu", "cpu"])
                .map(CpuField::Task)
                .map_err(Unknown::from)
                .or_else(|_| kernel.field("thread_info", "cpu").map(CpuField::Stack)),
            last_arrival: known("sched_info.last_arrival"),
            exec_start: known("se.exec_start"),
            start_time: known("start_time.tv_nsec").or_else(|_| known("start_time")),
            start_seconds: of("start_time.tv_sec").ok(),
            pi_blocked_on: known("pi_blocked_on"),
            sp: known("thread.sp"),
            rss_counts: ty.member("rss_stat.count").ok().and_then(|member| {
                let kinds = member.ty.size()? / 4;
                Some(RssCounts { offset: member.offset(), kinds })
            }),
        };
        // All but the saved stack pointer, which lies pages away at the end.
        let always = [
            fields.pid,
            fields.tgid,
            fields.state,
            fields.stack,
            fields.comm,
            fields.mm,
            fields.tasks,
        ];
        let maybe = [
            &fields.exit_state,
            &fields.flags,
            &fields.files,
            &fields.parent,
            &fields.leader,
            &fields.last_arrival,
            &fields.exec_start,
            &fields.start_time,
            &fields.pi_blocked_on,
        ];
        let threads = fields.threads.as_ref().ok().map(|threads| threads.node);
        let signal = fields.threads.as_ref().ok().and_then(|threads| Some(threads.head?.0));
        let cpu = match fields.cpu {
            Ok(CpuField::Task(field)) => Some(field),
            _ => None,
        };
        let counts = fields.rss_counts.map(|counts| Field::at(counts.offset, 4 * counts.kinds));
        fields.span = span_of(
            always
                .into_iter()
                .chain(maybe.into_iter().flatten().copied())
                .chain(threads)
                .chain(signal)
                .chain(fields.start_seconds)
                .chain(cpu)
                .chain(counts),
        );
        Ok(fields)
    }

    /// The task at `at`.
    ///
    /// # Errors
    /// [`Unknown`] when it is not in the dump, or what is there is no task.
    pub(super) fn read(&self, kernel: Kernel<'_>, at: VirtAddr) -> Known<TaskRead> {
        let bytes = StructBytes::read(kernel.memory, at, self.span.clone())?;
        let maybe = |field: &Known<Field>| field.clone().map(|field| bytes.get(field));
        let (pid, tgid) = (bytes.get(self.pid), bytes.get(self.tgid));
        let (Ok(pid), Ok(tgid)) = (u32::try_from(pid), u32::try_from(tgid)) else {
            return Err(not_a_task(at));
        };
        let parent = maybe(&self.parent).map(VirtAddr);
        let stack = bytes.ptr(self.stack);
        if u64::from(pid.max(tgid)) > MAX_PID
            || !(stack.is_null() || is_kernel(stack))
            || parent.as_ref().is_ok_and(|parent| !is_kernel(*parent))
        {
            return Err(not_a_task(at));
        }
        let exit_state = maybe(&self.exit_state).unwrap_or(0);
        let state = self.state_bits.decode(bytes.get(self.state), exit_state);
        let flags = maybe(&self.flags);
        let mm = Some(bytes.ptr(self.mm)).filter(|mm| !mm.is_null());
        let gone = matches!(state, State::Zombie | State::Dead)
            || flags.as_ref().is_ok_and(|flags| flags & PF_EXITING != 0);
        let kernel_thread = match &flags {
            Ok(flags) => flags & PF_KTHREAD != 0,
            Err(_) => pid == 0 || (mm.is_none() && !gone),
        };
        let comm = bytes.bytes(self.comm.offset, COMM).unwrap_or_default();
        let comm = comm.split(|byte| *byte == 0).next().unwrap_or_default();
        let task = Task {
            at,
            pid,
            tgid,
            ppid: Err(Unknown::because("its parent has not been looked up")),
            cpu: self.cpu(kernel, &bytes, stack),
            state: Ok(state),
            active: false,
            comm: scrub(comm).into(),
            kernel_thread,
            mm,
            files: maybe(&self.files).map(VirtAddr),
            stack,
            sp: self.sp.clone().and_then(|sp| Ok(VirtAddr(sp.read(kernel.memory, at)?))),
            vsz_kib: Ok(0),
            rss_kib: Ok(0),
            mem_percent: Ok(0.0),
            started: self.started(&bytes),
            pi_blocked_on: maybe(&self.pi_blocked_on).map(VirtAddr),
            since_ran: self.last_ran(&bytes),
        };
        Ok(TaskRead {
            linked: self.linked(&task, &bytes),
            rss_pages: self.rss_pages(&bytes),
            kin: [parent.clone().ok(), maybe(&self.leader).ok().map(VirtAddr)],
            parent,
            task,
        })
    }

    fn cpu(&self, kernel: Kernel<'_>, bytes: &StructBytes, stack: VirtAddr) -> Known<u32> {
        let cpu = match self.cpu.clone()? {
            CpuField::Task(field) => bytes.get(field),
            CpuField::Stack(_) if stack.is_null() => {
                return Err(Unknown::because("it exited and its stack is gone"));
            }
            CpuField::Stack(field) => field.read(kernel.memory, stack)?,
        };
        u32::try_from(cpu).map_err(|_| Unknown::because("its CPU's number is impossible"))
    }

    /// When it was last put on a CPU or seen there, by the scheduler's clock since boot:
    /// `sched_info.last_arrival` is written at each switch to it (where the kernel keeps it), and
    /// `se.exec_start` each time that its run time is accounted.
    fn last_ran(&self, bytes: &StructBytes) -> Known<Duration> {
        let get = |field: &Known<Field>| field.clone().map(|field| bytes.get(field));
        let last = match (get(&self.last_arrival), get(&self.exec_start)) {
            (Ok(arrival), Ok(start)) => arrival.max(start),
            (Ok(one), Err(_)) | (Err(_), Ok(one)) => one,
            (Err(unknown), Err(_)) => return Err(unknown),
        };
        match last {
            0 => Err(Unknown::because("the scheduler has kept no time for it")),
            last => Ok(Duration::from_nanos(last)),
        }
    }

    fn started(&self, bytes: &StructBytes) -> Known<Duration> {
        let nanoseconds = bytes.get(self.start_time.clone()?);
        let Some(seconds) = self.start_seconds else {
            return Ok(Duration::from_nanos(nanoseconds));
        };
        match u32::try_from(nanoseconds).ok().filter(|nanoseconds| *nanoseconds < 1_000_000_000) {
            Some(nanoseconds) => Ok(Duration::new(bytes.get(seconds), nanoseconds)),
            None => Err(Unknown::because("its start_time is impossible")),
        }
    }

    fn linked(&self, task: &Task, bytes: &StructBytes) -> [Option<VirtAddr>; 4] {
        let both = |node: Field, head: Option<VirtAddr>| {
            [node.offset, node.offset + PREV].map(|at| {
                let neighbour = bytes.ptr(Field::at(at, 8));
                let is_task = Some(neighbour) != head && !neighbour.is_null();
                is_task.then(|| neighbour.minus(node.offset))
            })
        };
        let mut processes = [None; 2];
        let mut threads = [None; 2];
        // Only the leader of a process is on the list of processes; what others have there is
        // copied from whoever created them.
        let leads = match &self.leader {
            Ok(leader) => bytes.ptr(*leader) == task.at,
            Err(_) => task.pid == task.tgid,
        };
        if leads {
            processes = both(self.tasks, None);
        }
        if let Ok(fields) = &self.threads
            && task.pid != 0
        {
            let head = fields.head.map(|(signal, offset)| bytes.ptr(signal).plus(offset));
            // Without its signal_struct a dead task is on no list of threads any more.
            if fields.head.is_none_or(|(signal, _)| !bytes.ptr(signal).is_null()) {
                threads = both(fields.node, head);
            }
        }
        let ([next, previous], [next_thread, previous_thread]) = (processes, threads);
        [next, previous, next_thread, previous_thread]
    }

    fn rss_pages(&self, bytes: &StructBytes) -> i64 {
        let Some(counts) = self.rss_counts else { return 0 };
        super::memory_use::resident_kinds(counts.kinds)
            .map(|kind| bytes.signed(Field::at(counts.offset + 4 * kind, 4)).max(0))
            .sum()
    }
}

fn threads(kernel: Kernel<'_>) -> Known<Threads> {
    let with_head = || -> Known<Threads> {
        let node = kernel.field("task_struct", "thread_node")?.offset;
        let signal = kernel.field("task_struct", "signal")?;
        let head = kernel.field("signal_struct", "thread_head")?.offset;
        Ok(Threads { node: Field::at(node, 2 * PREV), head: Some((signal, head)) })
    };
    with_head().or_else(|unknown| {
        let node = kernel.field("task_struct", "thread_group").map_err(|_| unknown)?.offset;
        Ok(Threads { node: Field::at(node, 2 * PREV), head: None })
    })
}

fn is_kernel(at: VirtAddr) -> bool {
    at.0 >> 47 == 0x1_ffff || at.0 >> 56 == 0xff
}

fn not_a_task(at: VirtAddr) -> Unknown {
    Unknown::because(format!("no task_struct lies at {at}"))
}

/// The tgid of the task at `at`, where that task itself is not among those found.
pub(super) fn tgid_at(fields: &TaskFields, kernel: Kernel<'_>, at: VirtAddr) -> Result<u32, Fault> {
    let tgid = fields.tgid.read(kernel.memory, at)?;
    Ok(u32::try_from(tgid).unwrap_or(0))
}
