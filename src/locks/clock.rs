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

use crate::kernel::{Session, Task};
use std::time::Duration;

/// The clocks are read this much apart at worst: more than the tick that `jiffies` count.
const MARGIN: Duration = Duration::from_millis(12);

/// When tasks were started, by the scheduler's clock.
#[derive(Clone, Copy)]
pub(super) struct Clock {
    now: Option<Duration>,
    /// The scheduler's clock minus the monotonic one, in nanoseconds.
    apart: Option<i128>,
}

impl Clock {
    pub(super) fn new(session: &Session, tasks: &[Task]) -> Clock {
        let uptime = session.system().uptime.as_ref().ok().copied();
        let asleep = tasks.iter().filter(|task| !task.active);
        let times = asleep.filter_map(|task| {
            Some((*task.since_ran.as_ref().ok()?, *task.started.as_ref().ok()?))
        });
        Clock::of(session.cpus().clock(), uptime, times)
    }

    /// Of the clocks' last values, and of when tasks last ran (before the dump) and were started.
    fn of(
        now: Option<Duration>,
        uptime: Option<Duration>,
        tasks: impl Iterator<Item = (Duration, Duration)>,
    ) -> Clock {
        let Some(at_end) = now else { return Clock { now, apart: None } };
        let last = uptime.map(|uptime| nanos(at_end) - nanos(uptime));
        let of_tasks = tasks.filter_map(|(ran_ago, started)| {
            Some(nanos(at_end.checked_sub(ran_ago)?) - nanos(started))
        });
        Clock { now, apart: last.into_iter().chain(of_tasks).min() }
    }

    /// How long after `ran_ago` before the dump a task was started, if it was; `started` since boot.
    pub(super) fn started_after(&self, started: Duration, ran_ago: Duration) -> Option<Duration> {
        let ran = nanos(self.now?.checked_sub(ran_ago)?);
        let started = nanos(started) + self.apart?;
        let after = u64::try_from(started - ran).ok().map(Duration::from_nanos)?;
        (after > MARGIN).then_some(after)
    }
}

fn nanos(time: Duration) -> i128 {
    i128::try_from(time.as_nanos()).unwrap_or(i128::MAX / 4)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// The scheduler's clock is at 100 s and the machine was up for 90: 10 s apart.
    fn clock(tasks: &[(Duration, Duration)]) -> Clock {
        Clock::of(Some(100 * SECOND), Some(90 * SECOND), tasks.iter().copied())
    }

    #[test]
    fn an_owner_that_was_started_after_the_wait_began_is_another_task() {
        // The first in line has slept for 20 s, so since 80 by the scheduler's clock, 70 by the other.
        let clock = clock(&[]);
        assert_eq!(clock.started_after(71 * SECOND, 20 * SECOND), Some(SECOND));
        assert_eq!(clock.started_after(70 * SECOND, 20 * SECOND), None);
        assert_eq!(clock.started_after(30 * SECOND, 20 * SECOND), None);
    }

    #[test]
    fn what_the_clocks_cannot_tell_apart_is_no_difference() {
        let clock = clock(&[]);
        let later = |millis| 70 * SECOND + Duration::from_millis(millis);
        assert_eq!(clock.started_after(later(12), 20 * SECOND), None);
        assert_eq!(clock.started_after(later(13), 20 * SECOND), Some(Duration::from_millis(13)));
    }

    #[test]
    fn a_task_that_ran_only_once_shows_better_how_far_the_clocks_are_apart() {
        // Started at 50, and off its CPU for good at 51: 1 s apart at most, whatever jiffies say.
        let clock = clock(&[(10 * SECOND, 5 * SECOND), (49 * SECOND, 50 * SECOND)]);
        assert_eq!(clock.started_after(81 * SECOND, 20 * SECOND), Some(2 * SECOND));
        assert_eq!(clock.started_after(79 * SECOND, 20 * SECOND), None);
    }

    #[test]
    fn without_a_clock_the_field_is_believed() {
        let none = Clock::of(None, Some(SECOND), std::iter::once((SECOND, SECOND)));
        assert_eq!(none.started_after(99 * SECOND, SECOND), None);
        let lone = Clock::of(Some(100 * SECOND), None, std::iter::empty());
        assert_eq!(lone.started_after(99 * SECOND, 50 * SECOND), None);
        // Longer ago than the clock counts: no time at all.
        assert_eq!(clock(&[]).started_after(99 * SECOND, 101 * SECOND), None);
    }
}
