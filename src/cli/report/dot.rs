//! The lock graph for Graphviz: `hangscope report --dot DUMP | dot -Tsvg`.

use super::NAMED;
use crate::dump::VirtAddr;
use crate::locks::{Confidence, Lock, LockGraph, Mode, TaskRef, Waiter};
use foldhash::HashSet;
use std::io::{self, Write};

/// Tasks and locks as nodes; an arrow leads from who waits to what is waited for, and from a lock
/// to who holds it. Cycles are red.
pub(super) fn write(out: &mut impl Write, graph: &LockGraph) -> io::Result<()> {
    writeln!(out, "digraph hang {{")?;
    writeln!(out, "  rankdir=LR;\n  node [fontname=\"monospace\"];")?;
    let mut tasks: Vec<&TaskRef> = Vec::new();
    let holders: HashSet<VirtAddr> =
        graph.locks.iter().flat_map(|lock| &lock.holders).map(|holder| holder.task.at).collect();
    for lock in &graph.locks {
        let label = format!("{}\\n{}\\n{}", escape(&lock.name), lock.at, escape(&lock.words));
        writeln!(out, "  \"{}\" [shape=box label=\"{label}\"];", lock.at)?;
        tasks.extend(lock.holders.iter().map(|holder| &holder.task));
        tasks.extend(worth_drawing(&holders, lock).0.into_iter().map(|waiter| &waiter.task));
    }
    tasks.sort_by_key(|task| (task.pid, task.at));
    tasks.dedup_by_key(|task| task.at);
    let in_cycle: HashSet<VirtAddr> =
        graph.cycles.iter().flat_map(|cycle| &cycle.tasks).map(|task| task.at).collect();
    for task in tasks {
        let color = if in_cycle.contains(&task.at) { " color=red" } else { "" };
        writeln!(out, "  \"{}\" [label=\"{}\"{color}];", task.at, escape(&task.label()))?;
    }
    // The arrows of the cycles: from each task to its lock, and on to the next task.
    let arrows: HashSet<(VirtAddr, VirtAddr)> = graph
        .cycles
        .iter()
        .flat_map(|cycle| {
            let tasks = cycle.tasks.iter().map(|task| task.at);
            let next = tasks.clone().cycle().skip(1);
            let locks = cycle.locks.iter().copied();
            tasks.zip(locks.clone()).chain(locks.zip(next))
        })
        .collect();
    for lock in &graph.locks {
        let (shown, folded) = worth_drawing(&holders, lock);
        for waiter in shown {
            let red = arrows.contains(&(waiter.task.at, lock.at));
            let color = if red { " color=red" } else { "" };
            let place = waiter.position.map(|n| format!("{n}. ")).unwrap_or_default();
            let verb = if waiter.spinning { "spins" } else { "waits" };
            let mode = match waiter.mode {
                Mode::None => String::new(),
                mode => format!(" ({})", mode.name()),
            };
            writeln!(
                out,
                "  \"{}\" -> \"{}\" [label=\"{place}{verb}{mode}\"{color}];",
                waiter.task.at, lock.at
            )?;
        }
        if folded > 0 {
            let node = format!("{} more", lock.at);
            writeln!(out, "  \"{node}\" [shape=plaintext label=\"{folded} more\"];")?;
            writeln!(out, "  \"{node}\" -> \"{}\" [label=\"wait\"];", lock.at)?;
        }
        for holder in &lock.holders {
            let red = arrows.contains(&(lock.at, holder.task.at));
            let color = if red { " color=red" } else { "" };
            let (held, line) = match holder.confidence {
                Confidence::Certain => ("held", ""),
                Confidence::Likely => ("held, likely", " style=dashed"),
                Confidence::Possible => ("perhaps held", " style=dotted"),
            };
            writeln!(
                out,
                "  \"{}\" -> \"{}\" [label=\"{held} ({})\"{line}{color}];",
                lock.at,
                holder.task.at,
                holder.mode.name()
            )?;
        }
    }
    writeln!(out, "}}")
}

/// The waiters of a lock that are drawn: the first few, and whoever holds something; and how many
/// are left.
fn worth_drawing<'a>(holders: &HashSet<VirtAddr>, lock: &'a Lock) -> (Vec<&'a Waiter>, usize) {
    if lock.waiters.len() <= NAMED {
        return (lock.waiters.iter().collect(), 0);
    }
    let drawn =
        |(number, waiter): &(usize, &Waiter)| *number < NAMED || holders.contains(&waiter.task.at);
    let shown: Vec<&Waiter> =
        lock.waiters.iter().enumerate().filter(drawn).map(|(_, waiter)| waiter).collect();
    let folded = lock.waiters.len() - shown.len();
    (shown, folded)
}

fn escape(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::report::tests::{abba, task};

    #[test]
    fn the_graph_has_its_cycle_in_red() {
        let mut out = Vec::new();
        write(&mut out, &abba()).unwrap();
        let dot = String::from_utf8(out).unwrap();
        assert_eq!(dot.matches("color=red").count(), 6, "{dot}");
        assert!(dot.contains("[label=\"ab\\\"a[7]\" color=red]"), "{dot}");
    }

    #[test]
    fn a_long_queue_is_drawn_as_a_few_and_how_many_more() {
        let mut graph = abba();
        let first = graph.locks[0].waiters[0].clone();
        let more = (2..=20).map(|n| {
            // The last in line holds a lock itself: it is drawn wherever it stands.
            let task = if n == 20 { task(7, "ab\"a") } else { task(100 + n, "w") };
            Waiter { task, position: Some(n), ..first.clone() }
        });
        graph.locks[0].waiters.extend(more);
        let mut out = Vec::new();
        write(&mut out, &graph).unwrap();
        let dot = String::from_utf8(out).unwrap();
        assert!(dot.contains("label=\"7 more\""), "{dot}");
        assert!(dot.contains("label=\"12. waits (excl)\"") && dot.contains("20. waits"), "{dot}");
        assert!(!dot.contains("13. waits") && !dot.contains("w[113]"), "{dot}");
    }
}
