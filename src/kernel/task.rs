//! Tasks: every thread of every process, and the idle task of every CPU.

use super::{Known, State};
use crate::dump::VirtAddr;
use std::time::Duration;

/// One thread.
#[derive(Clone, Debug)]
pub struct Task {
    /// Its `struct task_struct`.
    pub at: VirtAddr,
    /// Its own number; 0 for idle tasks.
    pub pid: u32,
    /// The number of its process.
    pub tgid: u32,
    /// `tgid` of its `real_parent`.
    pub ppid: Known<u32>,
    /// The CPU that it runs on, or last ran on.
    pub cpu: Known<u32>,
    /// What it is doing.
    pub state: Known<State>,
    /// Whether it is the current task of its CPU.
    pub active: bool,
    /// Its name, scrubbed; without the brackets that crash puts round kernel threads.
    pub comm: Box<str>,
    /// Whether it is a kernel thread: no `mm`, or `PF_KTHREAD`.
    pub kernel_thread: bool,
    /// Its `struct mm_struct`; `None` for kernel threads and exited tasks.
    pub mm: Option<VirtAddr>,
    /// Its `struct files_struct`, null once it has exited: its table of open files.
    pub files: Known<VirtAddr>,
    /// The lowest address of its kernel stack.
    pub stack: VirtAddr,
    /// The kernel stack pointer that it slept with (`thread.sp`).
    pub sp: Known<VirtAddr>,
    /// Size of its address space in KiB; 0 without one.
    pub vsz_kib: Known<u64>,
    /// Resident memory in KiB; 0 without an address space.
    pub rss_kib: Known<u64>,
    /// Resident share of the machine's memory, in percent.
    pub mem_percent: Known<f64>,
    /// When it was started, since boot (`start_time`, by the monotonic clock).
    pub started: Known<Duration>,
    /// The `struct rt_mutex_waiter` with which it waits for an rt_mutex, null if it does not
    /// (`pi_blocked_on`).
    pub pi_blocked_on: Known<VirtAddr>,
    /// How long before the dump it last ran (or was put on or off a CPU).
    pub since_ran: Known<Duration>,
}

impl Task {
    /// `comm[pid]`, as messages name it.
    #[must_use]
    pub fn label(&self) -> String {
        format!("{}[{}]", self.comm, self.pid)
    }
}
