//! The report as text, for a person and for a ticket.

use super::{Facts, NAMED};
use crate::cli::output::Style;
use crate::dump::VirtAddr;
use crate::locks::{Confidence, Cycle, Lock, LockGraph, TaskRef, Undecided};
use crate::present::span;
use foldhash::HashMap;
use std::io::{self, Write};

pub(super) fn write(
    out: &mut impl Write,
    graph: &LockGraph,
    facts: &Facts,
    style: Style,
) -> io::Result<()> {
    write_head(out, facts, style)?;
    for line in wrap(&graph.verdict, 96) {
        writeln!(out, "{}", style.bold(&line))?;
    }
    write_cycles(out, graph, style)?;
    write_roots(out, graph, style)?;
    if !graph.locks.is_empty() {
        writeln!(out, "\n{}", style.bold("Locks that are waited for"))?;
        graph.locks.iter().try_for_each(|lock| write_lock(out, lock, style))?;
    }
    write_others(out, graph, style)?;
    let notes: Vec<&String> = graph.notes.iter().chain(&facts.notes).collect();
    if !notes.is_empty() {
        writeln!(out, "\n{}", style.bold("Not decided"))?;
        notes.into_iter().try_for_each(|note| write_item(out, "", note, 94))?;
    }
    Ok(())
}

fn write_head(out: &mut impl Write, facts: &Facts, style: Style) -> io::Result<()> {
    let states: Vec<String> =
        facts.counts.iter().map(|(state, n)| format!("{state} {n}")).collect();
    let release = facts.release.as_deref().unwrap_or("unknown kernel");
    writeln!(out, "{}", style.faint(&format!("{release}   tasks: {}", states.join(", "))))?;
    if let Some(panic) = &facts.panic {
        writeln!(out, "{}", style.faint(&format!("panic: {panic}")))?;
    }
    writeln!(out)
}

fn write_cycles(out: &mut impl Write, graph: &LockGraph, style: Style) -> io::Result<()> {
    let named: HashMap<VirtAddr, &str> =
        graph.locks.iter().map(|lock| (lock.at, lock.name.as_str())).collect();
    for (index, cycle) in graph.cycles.iter().enumerate() {
        let title = format!("Deadlock {} of {}", index + 1, graph.cycles.len());
        writeln!(out, "\n{}", style.bold(&title))?;
        write_cycle(out, &named, cycle, style)?;
    }
    Ok(())
}

/// The ring, one task a line, closed at the end.
fn write_cycle(
    out: &mut impl Write,
    named: &HashMap<VirtAddr, &str>,
    cycle: &Cycle,
    style: Style,
) -> io::Result<()> {
    let last = cycle.tasks.len().saturating_sub(1);
    let middle = if cycle.tasks.len() > 2 * NAMED { NAMED..last + 1 - NAMED } else { 0..0 };
    for (index, (task, lock)) in cycle.tasks.iter().zip(&cycle.locks).enumerate() {
        if middle.contains(&index) {
            if index == middle.start {
                let bar = style.pick("│ ", "| ");
                writeln!(out, "  {bar} and so on, {} tasks more", middle.len())?;
            }
            continue;
        }
        let bar = match index {
            _ if last == 0 => style.pick("⟲", "@"),
            0 => style.pick("┌▶", "+>"),
            _ if index == last => style.pick("└─", "+-"),
            _ => style.pick("│ ", "| "),
        };
        let next = cycle.tasks.get(index + 1).or(cycle.tasks.first());
        let next = next.map(TaskRef::label).unwrap_or_default();
        let waits = named.get(lock).map_or_else(|| lock.to_string(), |name| (*name).to_owned());
        writeln!(out, "  {bar} {} waits for {waits}, held by {next}", style.bad(&task.label()))?;
    }
    Ok(())
}

fn write_roots(out: &mut impl Write, graph: &LockGraph, style: Style) -> io::Result<()> {
    if graph.roots.is_empty() {
        return Ok(());
    }
    writeln!(out, "\n{}", style.bold("Who holds it up"))?;
    for root in &graph.roots {
        let tasks = if root.blocks == 1 { "task" } else { "tasks" };
        writeln!(out, "  {} blocks {} {tasks}: {}", root.task.label(), root.blocks, root.doing)?;
    }
    Ok(())
}

fn write_lock(out: &mut impl Write, lock: &Lock, style: Style) -> io::Result<()> {
    let name = match (&lock.place, lock.name.contains(&lock.at.to_string())) {
        (Some(place), _) => format!("{} ({place})", lock.name),
        (None, true) => lock.name.clone(),
        (None, false) => format!("{} {}", lock.name, lock.at),
    };
    let blocks = match lock.blocks {
        1 => "1 task blocked".to_owned(),
        n => format!("{n} tasks blocked"),
    };
    writeln!(out, "\n  {}  {}; {blocks}", style.bold(&name), lock.words)?;
    write_holders(out, lock, style)?;
    if let Some(undecided) = &lock.undecided {
        write_undecided(out, undecided)?;
    }
    write_waiters(out, lock, style)?;
    for doubt in &lock.doubts {
        writeln!(out, "    ? {doubt}")?;
    }
    Ok(())
}

/// How doubtful a claim is, before its reason.
fn doubt(confidence: Confidence) -> String {
    match confidence {
        Confidence::Certain => String::new(),
        doubtful => format!("{}: ", doubtful.name()),
    }
}

fn write_holders(out: &mut impl Write, lock: &Lock, style: Style) -> io::Result<()> {
    for holder in &lock.holders {
        writeln!(
            out,
            "    {} {} ({}) {}",
            style.bad(match holder.confidence {
                Confidence::Possible => "perhaps held by",
                _ => "held by",
            }),
            holder.task.label(),
            holder.mode.name(),
            style.faint(&format!("{}{}", doubt(holder.confidence), holder.why)),
        )?;
    }
    let known = u64::try_from(lock.holders.len()).unwrap_or(u64::MAX);
    match lock.readers {
        Some(readers) if readers > known => {
            let more = if known == 0 { "" } else { " more" };
            writeln!(out, "    {}{more} readers whose names are not known", readers - known)?;
        }
        _ if lock.orphaned => writeln!(out, "    the task that took it has exited")?,
        None if known == 0 && !lock.kind.is_condition() => {
            writeln!(out, "    who holds it is not known")?;
        }
        _ => {}
    }
    Ok(())
}

fn write_waiters(out: &mut impl Write, lock: &Lock, style: Style) -> io::Result<()> {
    for waiter in lock.waiters.iter().take(NAMED) {
        let position = waiter.position.map_or("  ".to_owned(), |n| format!("{n}."));
        let since = waiter.since.map(|since| format!(", {}", span(since))).unwrap_or_default();
        let how = if waiter.spinning { ", spinning" } else { "" };
        // That a task stands in the lock's own list needs no further word.
        let why = match waiter.confidence {
            Confidence::Certain => String::new(),
            doubtful => format!(" {}{}", doubt(doubtful), waiter.why),
        };
        writeln!(
            out,
            "    {position:>3} {} ({}{since}{how}){}",
            waiter.task.label(),
            waiter.mode.name(),
            style.faint(&why),
        )?;
    }
    if lock.waiters.len() > NAMED {
        writeln!(out, "        and {} more", lock.waiters.len() - NAMED)?;
    }
    Ok(())
}

/// Where a holder that nothing names can be, and what would decide it.
fn write_undecided(out: &mut impl Write, undecided: &Undecided) -> io::Result<()> {
    let cases = undecided.cases.iter().map(|case| (case.place, case.says.clone()));
    let wanted = Some(undecided.wanted_in_words()).filter(|wanted| !wanted.is_empty());
    for (lead, says) in cases.chain(wanted.map(|wanted| ("to decide it", wanted))) {
        write_item(out, "      ", &format!("{lead}: {says}"), 88)?;
    }
    Ok(())
}

fn write_others(out: &mut impl Write, graph: &LockGraph, style: Style) -> io::Result<()> {
    if graph.others.is_empty() {
        return Ok(());
    }
    writeln!(out, "\n{}", style.bold("Blocked on something else"))?;
    for other in &graph.others {
        let since = other.since.map(|since| format!(" ({})", span(since))).unwrap_or_default();
        writeln!(out, "  {}{since}: {}", other.task.label(), other.on)?;
    }
    Ok(())
}

/// An item of a list, broken into lines of at most `width` characters after the dash.
fn write_item(out: &mut impl Write, indent: &str, text: &str, width: usize) -> io::Result<()> {
    for (index, line) in wrap(text, width).into_iter().enumerate() {
        writeln!(out, "{indent}{}{line}", if index == 0 { "- " } else { "  " })?;
    }
    Ok(())
}

/// Lines of at most `width` characters, broken at spaces.
fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines = Vec::new();
    for paragraph in text.lines() {
        let mut line = String::new();
        for word in paragraph.split_whitespace() {
            if !line.is_empty() && line.chars().count() + 1 + word.chars().count() > width {
                lines.push(std::mem::take(&mut line));
            }
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
        lines.push(line);
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::report::tests::{abba, facts};

    #[test]
    fn the_report_reads_like_a_ticket() {
        let mut out = Vec::new();
        write(&mut out, &abba(), &facts(), Style::plain()).unwrap();
        assert_eq!(
            String::from_utf8(out).unwrap(),
            r#"6.1.0   tasks: UN 2

Two tasks wait for each other.

Deadlock 1 of 1
  ┌▶ ab"a[7] waits for mutex lock_b, held by abb[8]
  └─ abb[8] waits for mutex lock_a, held by ab"a[7]

Who holds it up
  ab"a[7] blocks 1 task: sleeps

Locks that are waited for

  mutex lock_a 0x10  held, 1 waiting; 2 tasks blocked
    held by ab"a[7] (excl) its owner field
     1. abb[8] (excl, 412s)

  mutex lock_b 0x20  held, 1 waiting; 2 tasks blocked
    held by abb[8] (excl) its owner field
     1. ab"a[7] (excl, 412s)

Not decided
- who completes done is not recorded
"#
        );
    }

    #[test]
    fn a_lock_without_a_name_is_told_where_it_lies_once() {
        let mut graph = abba();
        graph.locks[0].name = "mutex 0x10".to_owned();
        graph.locks[0].place = Some("in an object of kmalloc-64, at +0x10".to_owned());
        let mut out = Vec::new();
        write(&mut out, &graph, &facts(), Style::plain()).unwrap();
        let text = String::from_utf8(out).unwrap();
        assert!(
            text.contains("  mutex 0x10 (in an object of kmalloc-64, at +0x10)  held"),
            "{text}"
        );
        assert!(text.contains("abb[8] waits for mutex 0x10, held by"), "{text}");
    }

    #[test]
    fn text_is_broken_at_spaces() {
        assert_eq!(wrap("one two three", 7), ["one two", "three"]);
        assert_eq!(wrap("unbreakable", 3), ["unbreakable"]);
    }
}
