//! Whether a task can have taken a lock before others began to wait for it.
//!
//! A lock's owner field outlives its owner: when a task ends without unlocking, its `task_struct`
//! is soon another task's, and the field names an innocent. But the first in a lock's queue is woken
//! whenever the lock is released; as long as it has not run, the lock has not changed hands. So an
//! owner that was started after that is not the one.
//!
//! Two clocks tell the two times: `task_struct.start_time` counts like the monotonic clock, the
//! scheduler's `sched_info.last_arrival` by its own. How far they are apart is known in two ways,
//! both of which can only err upwards: from the two clocks' last values (`jiffies` may have stopped
//! before the machine did), and from those tasks that ran for the last time soon after they were
//! started. The smaller is nearer to the truth, and errs on the side of believing the field.

use crate::dump::VirtAddr;
use crate::kernel::{Session, Task};
use std::time::Duration;

/// The clocks are read this much apart at worst: more than the tick that `jiffies` count.
const MARGIN: Duration = Duration::from_millis(12);

/// When tasks were started, by the scheduler's clock.
pub(super) struct Clock<'s> {
    session: &'s Session,
    start: Option<Start>,
    now: Option<Duration>,
    /// The scheduler's clock minus the monotonic one.
    apart: Option<i128>,
}

/// Where a task keeps when it was started; offsets in bytes.
enum Start {
    /// `u64 start_time`, in nanoseconds (3.17).
    Nanoseconds(u64),
    /// `struct timespec start_time`: seconds and nanoseconds.
    Timespec(u64),
}

impl<'s> Clock<'s> {
    pub(super) fn new(session: &'s Session, tasks: &[Task]) -> Clock<'s> {
        let task = session.types().structure("task_struct").ok();
        let timespec =
            task.and_then(|task| task.offset_of("start_time.tv_sec").ok()).map(Start::Timespec);
        let nanoseconds =
            task.and_then(|task| task.offset_of("start_time").ok()).map(Start::Nanoseconds);
        let now = session.cpus().clock();
        let mut clock = Clock { session, start: timespec.or(nanoseconds), now, apart: None };
        let Some(now) = now else { return clock };
        let uptime = session.system().uptime.as_ref().ok();
        let last = uptime.map(|uptime| nanos(now) - nanos(*uptime));
        let of_tasks = tasks.iter().filter(|task| !task.active).filter_map(|task| {
            let ran = now.checked_sub(*task.since_ran.as_ref().ok()?)?;
            Some(nanos(ran) - nanos(clock.started(task.at)?))
        });
        clock.apart = last.into_iter().chain(of_tasks).min();
        clock
    }

    /// `start_time` of the task at `at`, by the monotonic clock.
    fn started(&self, at: VirtAddr) -> Option<Duration> {
        let memory = self.session.memory();
        match self.start.as_ref()? {
            Start::Nanoseconds(offset) => {
                memory.read_u64(at.plus(*offset)).ok().map(Duration::from_nanos)
            }
            Start::Timespec(offset) => {
                let seconds = memory.read_u64(at.plus(*offset)).ok()?;
                let rest = memory.read_u64(at.plus(offset + 8)).ok()?;
                Some(Duration::new(seconds, u32::try_from(rest).ok().filter(|n| *n < 1 << 30)?))
            }
        }
    }

    /// How long after `ran_ago` before the dump the task at `at` was started, if it was.
    pub(super) fn started_after(&self, at: VirtAddr, ran_ago: Duration) -> Option<Duration> {
        let ran = nanos(self.now?.checked_sub(ran_ago)?);
        let started = nanos(self.started(at)?) + self.apart?;
        let after = u64::try_from(started - ran).ok().map(Duration::from_nanos)?;
        (after > MARGIN).then_some(after)
    }
}

fn nanos(time: Duration) -> i128 {
    i128::try_from(time.as_nanos()).unwrap_or(i128::MAX / 4)
}
