//! One line of the lock graph's tree.

use crate::kernel::State;
use crate::locks::{Confidence, Cycle, Lock, LockGraph, LockKind, TaskRef, Waiter};
use crate::present::{more_like_these, span};
use crate::tui::app::App;
use crate::tui::locktree::{self, LockNode, LockRow, Trail};
use crate::tui::screen::backtrace::asked;
use crate::tui::theme::Role;
use crate::tui::widget::lines::Line;
use std::time::Duration;

/// The line with the branches of the tree before it.
pub(crate) fn line(app: &App, graph: &LockGraph, row: &LockRow) -> Line {
    let glyphs = app.theme.glyphs;
    let mut line = Line::of(" ", Role::Text);
    for trail in &row.trail {
        let (text, role) = match trail {
            Trail::Pass => (glyphs.pass, Role::Dim),
            Trail::Gap => ("  ", Role::Dim),
            Trail::Child => (glyphs.child, Role::Dim),
            Trail::Last => (glyphs.last, Role::Dim),
            Trail::SpineTop => (glyphs.spine_top, Role::Bad),
            Trail::Spine => (glyphs.pass, Role::Bad),
            Trail::SpineEnd => (glyphs.last, Role::Bad),
        };
        line.push(text, role);
    }
    if !row.trail.is_empty() {
        line.push(" ", Role::Text);
    }
    describe(app, graph, &row.node, &mut line);
    line
}

/// What the line is about.
pub(super) fn describe(app: &App, graph: &LockGraph, node: &LockNode, line: &mut Line) {
    let glyphs = app.theme.glyphs;
    match node {
        LockNode::Cycle(cycle) => {
            let tasks = tasks_of(graph, *cycle).len();
            line.push(format!("{} deadlock of {tasks}", glyphs.deadlock), Role::Bad);
            let behind = locktree::blocked(graph, node).saturating_sub(tasks);
            if behind > 0 {
                line.push(format!(" holds up {behind} more"), Role::Bad);
            }
            line.push(": each waits for the next one's lock", Role::Dim);
        }
        LockNode::Member { cycle, at } => {
            if let Some(task) = tasks_of(graph, *cycle).get(*at) {
                name(app, task, line);
                since(waited(app, task), line);
            }
        }
        LockNode::Edge { cycle, at, lock } => {
            line.push(format!("{} waits for ", glyphs.wait), Role::Wait);
            lock_name(graph, *lock, line);
            let tasks = tasks_of(graph, *cycle);
            if let Some(holder) = tasks.get(at + 1).or(tasks.first()) {
                line.push(", held by ", Role::Dim);
                line.push(holder.label(), Role::Task);
            }
            crowd(graph, *lock, line);
        }
        LockNode::Close(cycle) => {
            line.push(format!("{} back to ", glyphs.cycle), Role::Bad);
            if let Some(first) = tasks_of(graph, *cycle).first() {
                line.push(first.label(), Role::Task);
            }
        }
        LockNode::Root(root) => {
            if let Some(root) = graph.roots.get(*root) {
                name(app, &root.task, line);
                line.push(format!(" holds up {}", root.blocks), Role::Bad);
                line.push(format!(": {}", root.doing), Role::Text);
            }
        }
        LockNode::Held { lock, holder } => {
            line.push(format!("{} holds ", glyphs.lock), Role::Lock);
            lock_name(graph, *lock, line);
            if let Some(holder) = graph.locks.get(*lock).and_then(|it| it.holders.get(*holder)) {
                line.push(format!(" ({})", holder.mode.name()), Role::Text);
                doubt(holder.confidence, line);
            }
            crowd(graph, *lock, line);
        }
        LockNode::Orphan(lock) => {
            line.push(format!("{} ", glyphs.lock), Role::Lock);
            lock_name(graph, *lock, line);
            if let Some(lock) = graph.locks.get(*lock) {
                whose(app, lock, line);
            }
            crowd(graph, *lock, line);
        }
        LockNode::Candidate { lock, holder } => {
            if let Some(holder) = graph.locks.get(*lock).and_then(|it| it.holders.get(*holder)) {
                line.push("? held by ", Role::Fault);
                name(app, &holder.task, line);
                line.push(format!(" ({})", holder.mode.name()), Role::Text);
                doubt(holder.confidence, line);
            }
        }
        LockNode::Waiter { lock, waiter, again } => {
            if let Some(waiter) = graph.locks.get(*lock).and_then(|it| it.waiters.get(*waiter)) {
                waits(app, waiter, line);
            }
            if *again {
                line.push(format!(" {} shown above", glyphs.cycle), Role::Dim);
            }
        }
        LockNode::Fold { lock, hidden } => {
            let waiters = graph.locks.get(*lock).map_or(&[][..], |lock| &lock.waiters);
            let modes = hidden.iter().filter_map(|n| waiters.get(*n)).map(|waiter| waiter.mode);
            line.push(format!("{} {}", glyphs.closed, more_like_these(modes)), Role::Key);
        }
        LockNode::Deeper => line.push(format!("{} goes deeper", glyphs.more), Role::Fault),
        LockNode::OthersHeading => {
            let count = graph.others.len();
            let text = format!("{} blocked outside the known locks: {count}", glyphs.wait);
            line.push(text, Role::Wait);
        }
        LockNode::Other(other) => {
            if let Some(other) = graph.others.get(*other) {
                name(app, &other.task, line);
                line.push(format!(" {}", other.on), Role::Text);
                since(other.since, line);
            }
        }
        LockNode::IdleHeading => {
            let count = graph.locks.iter().filter(|lock| lock.is_idle()).count();
            line.push(format!("futexes without a known holder: {count}"), Role::Title);
            line.push(" (waiting for work is waiting too)", Role::Dim);
        }
        LockNode::NotesHeading => line.push("not decided", Role::Fault),
        LockNode::Note(note) => {
            line.push(graph.notes.get(*note).map_or("", String::as_str), Role::Text);
        }
    }
}

/// The tasks of a deadlock.
fn tasks_of(graph: &LockGraph, cycle: usize) -> &[TaskRef] {
    graph.cycles.get(cycle).map_or(&[], |cycle: &Cycle| &cycle.tasks)
}

/// Who holds a lock that hangs on no task's line, or that nobody knows it.
fn whose(app: &App, lock: &Lock, line: &mut Line) {
    let known = lock.holders.iter().find(|holder| holder.confidence != Confidence::Possible);
    if let Some(holder) = known {
        line.push(" held by ", Role::Text);
        name(app, &holder.task, line);
        return doubt(holder.confidence, line);
    }
    let words = match lock.kind {
        LockKind::Completion => ": nobody has completed it",
        kind if kind.is_condition() => ": nobody has woken it up",
        _ if lock.holders.is_empty() => ": its holder left no trace",
        _ => ": its holder is not known for sure",
    };
    line.push(words, Role::Fault);
}

fn waits(app: &App, waiter: &Waiter, line: &mut Line) {
    name(app, &waiter.task, line);
    let asked = asked(waiter);
    if !asked.is_empty() {
        line.push(format!(" {asked}"), Role::Text);
    }
    since(waiter.since, line);
    doubt(waiter.confidence, line);
}

/// A task with its state and, when it runs, its CPU; the selected one has a mark.
fn name(app: &App, task: &TaskRef, line: &mut Line) {
    let selected = app.here.task == Some(task.at);
    let sign = if selected { app.theme.glyphs.selected } else { app.theme.glyphs.task };
    let row = app.row_of(task.at);
    let state = row.and_then(|row| row.task.state.as_ref().ok().copied());
    let role = match state {
        Some(State::Uninterruptible) => Role::Bad,
        Some(State::Running) => Role::Good,
        _ => Role::Text,
    };
    line.push(format!("{sign} "), if selected { Role::Key } else { role });
    line.push(task.label(), Role::Task);
    if let Some(state) = state {
        line.push(format!(" {state}"), role);
    }
    if let Some(row) = row.filter(|row| row.task.active)
        && let Ok(cpu) = &row.task.cpu
    {
        line.push(format!(" CPU {cpu}"), Role::Good);
    }
}

fn lock_name(graph: &LockGraph, lock: usize, line: &mut Line) {
    if let Some(lock) = graph.locks.get(lock) {
        line.push(lock.name.clone(), Role::Lock);
    }
}

/// How many wait for a lock, if it is more than the one that the line is about.
fn crowd(graph: &LockGraph, lock: usize, line: &mut Line) {
    let waiting = graph.locks.get(lock).map_or(0, |lock| lock.waiters.len());
    if waiting > 1 {
        line.push(format!(", {waiting} waiting"), Role::Wait);
    }
}

fn waited(app: &App, task: &TaskRef) -> Option<Duration> {
    app.row_of(task.at)?.task.since_ran.as_ref().ok().copied()
}

fn since(since: Option<Duration>, line: &mut Line) {
    if let Some(since) = since {
        line.push(format!(" {}", span(since)), Role::Wait);
    }
}

/// What is not certain says so.
fn doubt(confidence: Confidence, line: &mut Line) {
    if confidence != Confidence::Certain {
        line.push(format!(" [{}]", confidence.name()), Role::Fault);
    }
}
