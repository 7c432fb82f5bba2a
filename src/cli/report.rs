//! `report`: why the machine hangs, as text for a ticket, as JSON, as a graph.

use super::arguments::Report;
use super::json::Json;
use super::output::{self, Failure, Style};
use super::source;
use crate::dump::VirtAddr;
use crate::kernel::Session;
use crate::locks::{
    self, Confidence, Cycle, Holder, Lock, LockGraph, Mode, Spot, StateValue, TaskRef, Undecided,
    Waiter, Why,
};
use crate::present::span;
use std::collections::{HashMap, HashSet};
use std::io::{self, Write};

/// Waiters of one lock that the text names, and tasks at either end of a deadlock; the rest are
/// counted.
const NAMED: usize = 12;

pub(super) fn run(report: &Report, style: Style) -> Result<(), Failure> {
    let session = source::open(&report.source)?;
    if session.tasks().is_empty() {
        let name = source::name(&report.source.dumps, &report.source.debug);
        let notes = session.notes();
        let reason = notes.first().map_or("the dump has none", String::as_str);
        return Err(Failure::Dump(format!("{name}: no tasks can be read: {reason}")));
    }
    let graph = locks::analyse(&session);
    let facts = Facts::of(&session);
    let mut out = output::stdout();
    if report.json {
        let mut json = Json::new(out);
        write_json(&mut json, &graph, &facts)?;
        json.finish()?;
        return Ok(());
    }
    if report.dot {
        write_dot(&mut out, &graph)?;
    } else {
        write_text(&mut out, &graph, &facts, style)?;
    }
    out.flush()?;
    Ok(())
}

/// What stands around the locks.
struct Facts {
    release: Option<String>,
    panic: Option<String>,
    counts: Vec<(String, usize)>,
    notes: Vec<String>,
}

impl Facts {
    fn of(session: &Session) -> Facts {
        let tasks = session.tasks();
        let counts = tasks.counts();
        Facts {
            release: session.dump().vmcoreinfo().release().map(str::to_owned),
            panic: session.system().panic.clone(),
            counts: counts.into_iter().map(|(state, n)| (state.to_string(), n)).collect(),
            notes: session.notes(),
        }
    }
}

fn write_json<W: Write>(json: &mut Json<W>, graph: &LockGraph, facts: &Facts) -> io::Result<()> {
    json.object(|json| {
        json.key("verdict")?.text(&graph.verdict)?;
        json.key("release")?.maybe(facts.release.as_deref(), Json::text)?;
        json.key("panic")?.maybe(facts.panic.as_deref(), Json::text)?;
        json.key("counts")?.object(|json| {
            facts.counts.iter().try_for_each(|(state, n)| json.key(state)?.plain(n))
        })?;
        json.key("locks")?.list(&graph.locks, write_lock)?;
        json.key("cycles")?.list(&graph.cycles, |json, cycle: &Cycle| {
            json.object(|json| {
                json.key("tasks")?.list(&cycle.tasks, |json, task| json.plain(task.pid))?;
                json.key("locks")?.list(&cycle.locks, |json, at| json.address(*at))
            })
        })?;
        json.key("roots")?.list(&graph.roots, |json, root| {
            json.object(|json| {
                write_task(json, &root.task)?;
                json.key("blocks")?.plain(root.blocks)?;
                json.key("doing")?.text(&root.doing)
            })
        })?;
        json.key("others")?.list(&graph.others, |json, other| {
            json.object(|json| {
                write_task(json, &other.task)?;
                json.key("on")?.text(&other.on)?;
                let since = other.since.map(|since| since.as_millis());
                json.key("since_ms")?.maybe(since, |json, ms| json.plain(ms))
            })
        })?;
        let notes = graph.notes.iter().chain(&facts.notes);
        json.key("notes")?.list(notes, |json, note| json.text(note))
    })
}

fn write_lock<W: Write>(json: &mut Json<W>, lock: &Lock) -> io::Result<()> {
    json.object(|json| {
        json.key("address")?.address(lock.at)?;
        json.key("kind")?.text(lock.kind.name())?;
        json.key("symbol")?.maybe(lock.symbol.as_deref(), Json::text)?;
        json.key("place")?.maybe(lock.place.as_deref(), Json::text)?;
        json.key("type")?.text(lock.ty)?;
        json.key("name")?.text(&lock.name)?;
        json.key("state")?.object(|json| {
            lock.state.iter().try_for_each(|(name, value)| {
                let json = json.key(name)?;
                match value {
                    StateValue::Number(number) => json.plain(number),
                    StateValue::Flag(set) => json.plain(set),
                    StateValue::Bits(bits) => json.address(VirtAddr(*bits)),
                    StateValue::Text(text) => json.text(text),
                }
            })
        })?;
        json.key("words")?.text(&lock.words)?;
        json.key("blocks")?.plain(lock.blocks)?;
        json.key("readers")?.maybe(lock.readers, |json, n| json.plain(n))?;
        json.key("holders")?.list(&lock.holders, write_holder)?;
        json.key("waiters")?.list(&lock.waiters, write_waiter)?;
        json.key("undecided")?.maybe(lock.undecided.as_ref(), write_undecided_json)?;
        json.key("doubts")?.list(&lock.doubts, |json, doubt| json.text(doubt))
    })
}

fn write_undecided_json<W: Write>(json: &mut Json<W>, undecided: &Undecided) -> io::Result<()> {
    json.object(|json| {
        json.key("cases")?.list(&undecided.cases, |json, case| {
            json.object(|json| {
                json.key("place")?.text(case.place)?;
                json.key("pids")?.list(&case.tasks, |json, task| json.plain(task.pid))?;
                json.key("says")?.text(&case.says)
            })
        })?;
        json.key("wanted")?.list(&undecided.wanted, |json, wanted| json.text(wanted))
    })
}

fn write_holder<W: Write>(json: &mut Json<W>, holder: &Holder) -> io::Result<()> {
    json.object(|json| {
        write_task(json, &holder.task)?;
        json.key("mode")?.text(holder.mode.name())?;
        json.key("confidence")?.text(holder.confidence.name())?;
        write_why(json, &holder.why)
    })
}

fn write_waiter<W: Write>(json: &mut Json<W>, waiter: &Waiter) -> io::Result<()> {
    json.object(|json| {
        write_task(json, &waiter.task)?;
        json.key("mode")?.text(waiter.mode.name())?;
        json.key("position")?.maybe(waiter.position, |json, n| json.plain(n))?;
        json.key("spinning")?.plain(waiter.spinning)?;
        let since = waiter.since.map(|since| since.as_millis());
        json.key("since_ms")?.maybe(since, |json, ms| json.plain(ms))?;
        json.key("confidence")?.text(waiter.confidence.name())?;
        write_why(json, &waiter.why)
    })
}

/// The reason as a sentence, and piece by piece with where each can be seen.
fn write_why<W: Write>(json: &mut Json<W>, why: &Why) -> io::Result<()> {
    json.key("why")?.text(&why.to_string())?;
    json.key("evidence")?.list(why.evidence(), |json, piece| {
        json.object(|json| {
            json.key("says")?.text(&piece.says)?;
            let (place, at) = match &piece.spot {
                None => return json.key("place")?.null(),
                Some(Spot::Frame { task, number }) => {
                    json.key("place")?.text("frame")?;
                    json.key("task")?.address(*task)?;
                    return json.key("frame")?.plain(number);
                }
                Some(Spot::Object { ty, at }) => {
                    json.key("type")?.text(ty)?;
                    ("object", at)
                }
                Some(Spot::Code(at)) => ("code", at),
                Some(Spot::Member(at)) => ("member", at),
                Some(Spot::Word(at)) => ("word", at),
            };
            json.key("place")?.text(place)?;
            json.key("address")?.address(*at)
        })
    })
}

fn write_task<W: Write>(json: &mut Json<W>, task: &TaskRef) -> io::Result<()> {
    json.key("pid")?.plain(task.pid)?;
    json.key("task")?.address(task.at)?;
    json.key("comm")?.text(&task.comm)
}

fn label(task: &TaskRef) -> String {
    format!("{}[{}]", task.comm, task.pid)
}

fn write_text(
    out: &mut impl Write,
    graph: &LockGraph,
    facts: &Facts,
    style: Style,
) -> io::Result<()> {
    let states: Vec<String> =
        facts.counts.iter().map(|(state, n)| format!("{state} {n}")).collect();
    let release = facts.release.as_deref().unwrap_or("unknown kernel");
    writeln!(out, "{}", style.faint(&format!("{release}   tasks: {}", states.join(", "))))?;
    if let Some(panic) = &facts.panic {
        writeln!(out, "{}", style.faint(&format!("panic: {panic}")))?;
    }
    writeln!(out)?;
    for line in wrap(&graph.verdict, 96) {
        writeln!(out, "{}", style.bold(&line))?;
    }
    let named: HashMap<VirtAddr, &str> =
        graph.locks.iter().map(|lock| (lock.at, lock.name.as_str())).collect();
    for (index, cycle) in graph.cycles.iter().enumerate() {
        let title = format!("Deadlock {} of {}", index + 1, graph.cycles.len());
        writeln!(out, "\n{}", style.bold(&title))?;
        write_cycle(out, &named, cycle, style)?;
    }
    if !graph.roots.is_empty() {
        writeln!(out, "\n{}", style.bold("Who holds it up"))?;
        for root in &graph.roots {
            let tasks = if root.blocks == 1 { "task" } else { "tasks" };
            writeln!(
                out,
                "  {} blocks {} {tasks}: {}",
                label(&root.task),
                root.blocks,
                root.doing
            )?;
        }
    }
    if !graph.locks.is_empty() {
        writeln!(out, "\n{}", style.bold("Locks that are waited for"))?;
        for lock in &graph.locks {
            write_lock_text(out, lock, style)?;
        }
    }
    if !graph.others.is_empty() {
        writeln!(out, "\n{}", style.bold("Blocked on something else"))?;
        for other in &graph.others {
            let since = other.since.map(|since| format!(" ({})", span(since)));
            writeln!(out, "  {}{}: {}", label(&other.task), since.unwrap_or_default(), other.on)?;
        }
    }
    let notes: Vec<&String> = graph.notes.iter().chain(&facts.notes).collect();
    if !notes.is_empty() {
        writeln!(out, "\n{}", style.bold("Not decided"))?;
        for note in notes {
            for (index, line) in wrap(note, 94).into_iter().enumerate() {
                writeln!(out, "{}{line}", if index == 0 { "- " } else { "  " })?;
            }
        }
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
        let next = next.map(label).unwrap_or_default();
        let waits = named.get(lock).map_or_else(|| lock.to_string(), |name| (*name).to_owned());
        writeln!(out, "  {bar} {} waits for {waits}, held by {next}", style.bad(&label(task)))?;
    }
    Ok(())
}

fn write_lock_text(out: &mut impl Write, lock: &Lock, style: Style) -> io::Result<()> {
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
    let sure = |confidence: Confidence| match confidence {
        Confidence::Certain => String::new(),
        doubtful => format!("{}: ", doubtful.name()),
    };
    for holder in &lock.holders {
        writeln!(
            out,
            "    {} {} ({}) {}",
            style.bad(match holder.confidence {
                Confidence::Possible => "perhaps held by",
                _ => "held by",
            }),
            label(&holder.task),
            holder.mode.name(),
            style.faint(&format!("{}{}", sure(holder.confidence), holder.why)),
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
    if let Some(undecided) = &lock.undecided {
        write_undecided(out, undecided)?;
    }
    for waiter in lock.waiters.iter().take(NAMED) {
        let position = waiter.position.map_or("  ".to_owned(), |n| format!("{n}."));
        let since = waiter.since.map(|since| format!(", {}", span(since))).unwrap_or_default();
        let how = if waiter.spinning { ", spinning" } else { "" };
        // That a task stands in the lock's own list needs no further word.
        let why = match waiter.confidence {
            Confidence::Certain => String::new(),
            doubtful => format!(" {}{}", sure(doubtful), waiter.why),
        };
        writeln!(
            out,
            "    {position:>3} {} ({}{since}{how}){}",
            label(&waiter.task),
            waiter.mode.name(),
            style.faint(&why),
        )?;
    }
    if lock.waiters.len() > NAMED {
        writeln!(out, "        and {} more", lock.waiters.len() - NAMED)?;
    }
    for doubt in &lock.doubts {
        writeln!(out, "    ? {doubt}")?;
    }
    Ok(())
}

/// Where a holder that nothing names can be, and what would decide it.
fn write_undecided(out: &mut impl Write, undecided: &Undecided) -> io::Result<()> {
    let cases = undecided.cases.iter().map(|case| (case.place, case.says.clone()));
    let wanted = Some(undecided.wanted_in_words()).filter(|wanted| !wanted.is_empty());
    for (lead, says) in cases.chain(wanted.map(|wanted| ("to decide it", wanted))) {
        for (index, line) in wrap(&format!("{lead}: {says}"), 88).into_iter().enumerate() {
            writeln!(out, "      {}{line}", if index == 0 { "- " } else { "  " })?;
        }
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

/// Tasks and locks as nodes; an arrow leads from who waits to what is waited for, and from a lock
/// to who holds it. Cycles are red.
fn write_dot(out: &mut impl Write, graph: &LockGraph) -> io::Result<()> {
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
        writeln!(out, "  \"{}\" [label=\"{}\"{color}];", task.at, escape(&label(task)))?;
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
    use crate::dump::VirtAddr;
    use crate::locks::{LockKind, Root};
    use std::time::Duration;

    fn task(pid: u32, comm: &str) -> TaskRef {
        TaskRef { pid, at: VirtAddr(0xffff_8880_0000_0000 + u64::from(pid)), comm: comm.into() }
    }

    fn lock(at: u64, name: &str, holder: TaskRef, waiter: TaskRef) -> Lock {
        Lock {
            at: VirtAddr(at),
            kind: LockKind::Mutex,
            ty: "struct mutex",
            symbol: Some(name.to_owned()),
            name: format!("mutex {name}"),
            state: vec![("owner", StateValue::Bits(7)), ("locked", StateValue::Flag(true))],
            words: "held, 1 waiting".to_owned(),
            holders: vec![Holder {
                task: holder,
                mode: Mode::Excl,
                confidence: Confidence::Certain,
                why: "its owner field".into(),
            }],
            waiters: vec![Waiter {
                task: waiter,
                mode: Mode::Excl,
                position: Some(1),
                spinning: false,
                in_interrupt: false,
                since: Some(Duration::from_secs(412)),
                confidence: Confidence::Certain,
                why: "on its wait_list".into(),
            }],
            doubts: Vec::new(),
            readers: None,
            orphaned: false,
            place: None,
            undecided: None,
            blocks: 2,
        }
    }

    fn abba() -> LockGraph {
        let (a, b) = (task(7, "ab\"a"), task(8, "abb"));
        LockGraph {
            locks: vec![
                lock(0x10, "lock_a", a.clone(), b.clone()),
                lock(0x20, "lock_b", b.clone(), a.clone()),
            ],
            cycles: vec![Cycle {
                tasks: vec![a.clone(), b],
                locks: vec![VirtAddr(0x20), VirtAddr(0x10)],
            }],
            roots: vec![Root { task: a, blocks: 1, doing: "sleeps".to_owned() }],
            others: Vec::new(),
            notes: vec!["who completes done is not recorded".to_owned()],
            verdict: "Two tasks wait for each other.".to_owned(),
        }
    }

    fn facts() -> Facts {
        Facts {
            release: Some("6.1.0".to_owned()),
            panic: None,
            counts: vec![("UN".to_owned(), 2)],
            notes: Vec::new(),
        }
    }

    #[test]
    fn the_report_reads_like_a_ticket() {
        let mut out = Vec::new();
        write_text(&mut out, &abba(), &facts(), Style::plain()).unwrap();
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
    fn the_json_is_what_scripts_rely_on() {
        let text = super::super::json::written(|json| write_json(json, &abba(), &facts()));
        let json: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(json["counts"]["UN"], 2);
        assert_eq!(json["panic"], serde_json::Value::Null);
        assert_eq!(json["cycles"][0]["tasks"], serde_json::json!([7, 8]));
        assert_eq!(json["cycles"][0]["locks"], serde_json::json!(["0x20", "0x10"]));
        let lock = &json["locks"][0];
        assert_eq!(lock["state"], serde_json::json!({"owner": "0x7", "locked": true}));
        assert_eq!(lock["holders"][0]["confidence"], "certain");
        assert_eq!(lock["waiters"][0]["since_ms"], 412_000);
        assert_eq!(json["roots"][0]["blocks"], 1);
    }

    #[test]
    fn the_graph_has_its_cycle_in_red() {
        let mut out = Vec::new();
        write_dot(&mut out, &abba()).unwrap();
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
        write_dot(&mut out, &graph).unwrap();
        let dot = String::from_utf8(out).unwrap();
        assert!(dot.contains("label=\"7 more\""), "{dot}");
        assert!(dot.contains("label=\"12. waits (excl)\"") && dot.contains("20. waits"), "{dot}");
        assert!(!dot.contains("13. waits") && !dot.contains("w[113]"), "{dot}");
    }

    #[test]
    fn a_lock_without_a_name_is_told_where_it_lies_once() {
        let mut graph = abba();
        graph.locks[0].name = "mutex 0x10".to_owned();
        graph.locks[0].place = Some("in an object of kmalloc-64, at +0x10".to_owned());
        let mut out = Vec::new();
        write_text(&mut out, &graph, &facts(), Style::plain()).unwrap();
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
