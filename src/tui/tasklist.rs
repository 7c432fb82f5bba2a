//! Which tasks are listed, and in which order.

use super::model::{Order, States};
use crate::kernel::State;
use crate::present::{BlockedOn, TASK_COLUMNS, TaskRow, task_column};
use fuzzy_matcher::FuzzyMatcher;
use fuzzy_matcher::skim::SkimMatcherV2;
use rayon::prelude::*;
use std::cmp::{Ordering, Reverse};
use std::time::Duration;

/// Positions in `rows` of the tasks to list, in order. Of a filter's matches the best come first
/// when tasks are otherwise in the order of a hang; a column's order stands above the filter's.
pub(crate) fn list(rows: &[TaskRow], states: States, filter: &str, order: Order) -> Vec<usize> {
    // Whoever types a filter should not wait for 100,000 tasks, one after the other.
    let matcher = SkimMatcherV2::default().ignore_case();
    let state = |row: &TaskRow| row.task.state.as_ref().ok().copied();
    let mut listed: Vec<(usize, i64)> = rows
        .par_iter()
        .enumerate()
        .filter(|(_, row)| states.shows(state(row)))
        .filter_map(|(n, row)| Some((n, score(&matcher, row, filter)?)))
        .collect();
    let row = |n: &usize| rows.get(*n);
    let compare = |(a, _): &(usize, i64), (b, _): &(usize, i64)| match (row(a), row(b)) {
        (Some(a), Some(b)) => compare(a, b, order),
        _ => Ordering::Equal,
    };
    listed.par_sort_by(compare);
    if order == Order::Hang && !filter.is_empty() {
        listed.sort_by_key(|(_, score)| Reverse(*score));
    }
    listed.into_iter().map(|(n, _)| n).collect()
}

/// What the filter looks at, and how well it fits: every word has to be found somewhere.
fn score(matcher: &SkimMatcherV2, row: &TaskRow, filter: &str) -> Option<i64> {
    let mut total = 0;
    for word in filter.split_whitespace() {
        let ids = ["pid", "comm", "state", "blocked_on"];
        let best = ids
            .iter()
            .filter_map(|id| task_column(id))
            .filter_map(|column| matcher.fuzzy_match(&(column.get)(row).to_string(), word))
            .max();
        total += best?;
    }
    Some(total)
}

fn compare(a: &TaskRow, b: &TaskRow, order: Order) -> Ordering {
    match order {
        Order::Hang => hang(a).cmp(&hang(b)).then(a.task.pid.cmp(&b.task.pid)),
        Order::Column { id, descending } => {
            let Some(column) = task_column(id) else { return Ordering::Equal };
            let (a_cell, b_cell) = ((column.get)(a), (column.get)(b));
            // What is not known stays at the end, whichever way the rest is turned.
            let turned = descending && a_cell.is_known() && b_cell.is_known();
            let order = a_cell.order(&b_cell);
            if turned { order.reverse() } else { order }
        }
    }
}

/// Blocked tasks first, the longest wait first, and those that spin; then what else runs; idle tasks
/// after everything.
fn hang(row: &TaskRow) -> (u8, Reverse<Duration>) {
    let waited = row.task.since_ran.as_ref().copied().unwrap_or_default();
    match row.task.state {
        _ if row.task.pid == 0 => (5, Reverse(Duration::ZERO)),
        Ok(State::Uninterruptible) => (0, Reverse(waited)),
        Ok(State::Running) if matches!(row.blocked_on, BlockedOn::This(_)) => {
            (1, Reverse(Duration::ZERO))
        }
        Ok(State::Running) => (2, Reverse(Duration::ZERO)),
        Ok(State::Interruptible | State::Idle) => (4, Reverse(Duration::ZERO)),
        _ => (3, Reverse(Duration::ZERO)),
    }
}

/// The column to sort by beside the one that is sorted by now; past the ends comes the order of a
/// hang.
pub(crate) fn neighbour(order: Order, right: bool) -> Order {
    let now = match order {
        Order::Hang => None,
        Order::Column { id, .. } => TASK_COLUMNS.iter().position(|column| column.id == id),
    };
    let next = match (now, right) {
        (None, true) => Some(0),
        (None, false) => TASK_COLUMNS.len().checked_sub(1),
        (Some(now), true) => Some(now + 1),
        (Some(now), false) => now.checked_sub(1),
    };
    next.and_then(|n| TASK_COLUMNS.get(n))
        .map_or(Order::Hang, |column| Order::Column { id: column.id, descending: false })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tui::fixture;

    fn pids(states: States, filter: &str, order: Order) -> Vec<u32> {
        let rows = TaskRow::join(&fixture::tasks(), Some(&fixture::locks()));
        list(&rows, states, filter, order).into_iter().map(|n| rows[n].task.pid).collect()
    }

    #[test]
    fn a_hang_shows_the_longest_blocked_first_and_the_idle_last() {
        let pids = pids(States::default(), "", Order::Hang);
        assert_eq!(pids[..3], [111, 112, 113]);
        assert_eq!(pids[pids.len() - 4..], [142, 1, 9, 160]);
    }

    #[test]
    fn a_task_that_spins_is_listed_before_what_else_runs() {
        let mut rows = TaskRow::join(&fixture::tasks(), Some(&fixture::locks()));
        let runs = |row: &&mut TaskRow| row.task.state == Ok(State::Running) && row.task.pid != 0;
        let spinner = rows.iter_mut().find(runs).unwrap();
        spinner.blocked_on = BlockedOn::This("spinlock".into());
        let mut other = spinner.clone();
        (other.task.pid, other.blocked_on) = (1, BlockedOn::Nothing);
        let spinner = spinner.task.pid;
        let rows = [other, rows.into_iter().find(|row| row.task.pid == spinner).unwrap()];
        let listed = list(&rows, States::default(), "", Order::Hang);
        assert_eq!(listed, [1, 0]);
    }

    #[test]
    fn every_word_of_the_filter_counts_in_every_field() {
        let all = States::default();
        assert_eq!(pids(all, "UN abba", Order::Hang).len(), 3);
        assert_eq!(pids(all, "mmap java", Order::Hang).len(), 6);
        assert_eq!(pids(all, "nothing like it", Order::Hang), [0; 0]);
        let running = States { running: true, ..States::default() };
        assert_eq!(pids(running, "", Order::Hang), [142]);
    }

    #[test]
    fn what_is_not_known_is_last_in_both_directions() {
        for descending in [false, true] {
            let order = Order::Column { id: "ppid", descending };
            assert_eq!(pids(States::default(), "", order).last(), Some(&150));
        }
        let order = Order::Column { id: "pid", descending: true };
        assert_eq!(pids(States::default(), "", order)[0], 160);
    }

    #[test]
    fn sorting_walks_through_all_columns_and_comes_back() {
        let mut order = Order::Hang;
        for _ in 0..=TASK_COLUMNS.len() {
            order = neighbour(order, true);
        }
        assert_eq!(order, Order::Hang);
        assert_eq!(neighbour(neighbour(order, false), true), Order::Hang);
    }
}
