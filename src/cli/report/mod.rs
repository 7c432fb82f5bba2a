//! `report`: why the machine hangs, as text for a ticket, as JSON, as a graph.

mod dot;
mod json;
mod text;

use super::arguments::Report;
use super::json::Json;
use super::output::{self, Failure, Style};
use super::source;
use crate::kernel::Session;
use crate::locks;
use std::io::Write;

/// Waiters of one lock that text and graph name, and tasks at either end of a deadlock; the rest
/// are counted.
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
        json::write(&mut json, &graph, &facts)?;
        json.finish()?;
        return Ok(());
    }
    if report.dot {
        dot::write(&mut out, &graph)?;
    } else {
        text::write(&mut out, &graph, &facts, style)?;
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dump::VirtAddr;
    use crate::locks::{
        Confidence, Cycle, Holder, Lock, LockGraph, LockKind, Mode, Root, StateValue, TaskRef,
        Waiter,
    };
    use std::time::Duration;

    pub(super) fn task(pid: u32, comm: &str) -> TaskRef {
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

    pub(super) fn abba() -> LockGraph {
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
            roots: vec![Root { task: a, blocks: 1, doing: "sleeps".to_owned(), log: vec![3] }],
            others: Vec::new(),
            notes: vec!["who completes done is not recorded".to_owned()],
            verdict: "Two tasks wait for each other.".to_owned(),
        }
    }

    pub(super) fn facts() -> Facts {
        Facts {
            release: Some("6.1.0".to_owned()),
            panic: None,
            counts: vec![("UN".to_owned(), 2)],
            notes: Vec::new(),
        }
    }
}
