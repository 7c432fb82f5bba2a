//! The lock graph: as a pane, and alone with the evidence for the selected line.

use super::backtrace::asked;
use super::position;
use crate::kernel::State;
use crate::locks::{Confidence, LockGraph, LockKind, StateValue, TaskRef};
use crate::present::{lock_state, more_like_these, span};
use crate::tui::app::App;
use crate::tui::history::Screen;
use crate::tui::locktree::{self, LockNode, LockRow, Trail};
use crate::tui::theme::Role;
use crate::tui::why::undecided;
use crate::tui::widget::frame::{Title, empty, frame};
use crate::tui::widget::lines::{Line, Mark, draw, wrap};
use crate::tui::widget::window::Window;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use std::time::Duration;

/// What is shown before the analysis says how far it is.
pub(super) const UNWINDING: &str = "unwinding every stack, following every lock";

/// The components that the list of them shows at most.
const LISTED: usize = 8;
/// Tasks of a deadlock that its line in the list names: more fill no screen.
const NAMED: usize = 32;

/// Lines of evidence under the tree of the pane.
const BESIDE: u16 = 2;

pub(super) fn draw_locks(app: &App, buf: &mut Buffer, area: Rect, focus: bool) {
    let Some((graph, inside)) = begin(app, buf, area, focus) else { return };
    tree(app, buf, inside, graph, focus);
}

/// The tree above or beside the evidence.
pub(super) fn draw_screen(app: &App, buf: &mut Buffer, area: Rect) {
    let Some((graph, inside)) = begin(app, buf, area, true) else { return };
    let above = components_height(app, area.height);
    components(app, buf, Rect { height: above, ..inside }, graph);
    let inside = Rect { y: inside.y + above, height: inside.height - above, ..inside };
    let (left, right) = if inside.width >= 120 {
        let width = inside.width * 60 / 100;
        let right = Rect { x: inside.x + width + 2, width: inside.width - width - 2, ..inside };
        (Rect { width, ..inside }, right)
    } else {
        let height = (inside.height / 3).max(BESIDE).min(inside.height);
        let upper = inside.height - height;
        let lower = Rect { y: inside.y + upper, height, ..inside };
        (Rect { height: upper, ..inside }, lower)
    };
    tree(app, buf, left, graph, true);
    let title = Title { name: "How we know", ..Title::default() };
    let below = frame(buf, right, &title, false, app.theme);
    let room = usize::from(below.width).saturating_sub(2);
    for (line, y) in evidence(app, graph, room).iter().zip(below.top()..below.bottom()) {
        let row = Rect { x: below.x + 1, y, width: below.width.saturating_sub(1), height: 1 };
        draw(buf, row, line, app.theme, Mark::None);
    }
}

/// The rows that the list of components takes on a screen of this height.
pub(crate) fn components_height(app: &App, height: u16) -> u16 {
    let room = usize::from(height.saturating_sub(1) / 5).min(LISTED);
    let rows = app.components.len().min(room);
    // One alone is the whole tree; and one row would be for the title.
    if rows < 2 { 0 } else { u16::try_from(rows + 1).unwrap_or(0) }
}

/// What holds tasks up, most tasks first; the one that the cursor is in is marked.
fn components(app: &App, buf: &mut Buffer, area: Rect, graph: &LockGraph) {
    if area.height == 0 {
        return;
    }
    let mut window = Window { cursor: app.component().unwrap_or(0), top: 0 };
    let rows = usize::from(area.height - 1);
    window.fit(app.components.len(), rows);
    let right = position(window, app.components.len());
    let title = Title { name: "By blocked tasks", right, ..Title::default() };
    let mut inside = frame(buf, area, &title, false, app.theme);
    inside.height = area.height - 1;
    super::rows(app, buf, inside, window, app.components.len(), false, |n| {
        let Some(component) = app.components.get(n) else { return Line::default() };
        let current = n == window.cursor;
        let sign = if current { app.theme.glyphs.selected } else { " " };
        let mut line =
            Line::of(sign, Role::Key).with(format!("{:>6} ", component.blocked), Role::Bad);
        match app.lock_rows.get(component.row).map(|row| &row.node) {
            Some(LockNode::Cycle(cycle)) => {
                let tasks = graph.cycles.get(*cycle).map_or(&[][..], |cycle| &cycle.tasks);
                line.push(format!("{} deadlock: ", app.theme.glyphs.deadlock), Role::Bad);
                for (n, task) in tasks.iter().enumerate().take(NAMED) {
                    if n > 0 {
                        line.push(format!(" {} ", app.theme.glyphs.to), Role::Dim);
                    }
                    line.push(format!("{}[{}]", task.comm, task.pid), Role::Task);
                }
            }
            Some(node) => describe(app, graph, node, &mut line),
            None => {}
        }
        line
    });
}

fn begin<'a>(
    app: &'a App,
    buf: &mut Buffer,
    area: Rect,
    focus: bool,
) -> Option<(&'a LockGraph, Rect)> {
    let mut about = Line::default();
    let graph = app.locks.ready();
    if let Some(graph) = graph {
        let cycles = graph.cycles.len();
        if cycles > 0 {
            let noun = if cycles == 1 { "deadlock" } else { "deadlocks" };
            about.push(format!("{} {cycles} {noun} ", app.theme.glyphs.deadlock), Role::Bad);
        }
        let (locks, roots) = (graph.locks.len(), graph.roots.len());
        let count = |n: usize, noun: &str| format!("{n} {noun}{}", if n == 1 { "" } else { "s" });
        let counts = format!("{}, {}", count(locks, "lock"), count(roots, "root blocker"));
        about.push(counts, Role::Dim);
    }
    let right = position(app.here.windows.locks, app.lock_rows.len());
    let inside = frame(buf, area, &Title { name: "Locks", about, right }, focus, app.theme);
    if graph.is_none_or(|_| app.lock_rows.is_empty()) {
        let (text, role) = match (app.locks.error(), graph) {
            (Some(error), _) => (error, Role::Fault),
            (None, Some(_)) => ("no task waits for a lock", Role::Dim),
            (None, None) => (app.locks_so_far.as_deref().unwrap_or(UNWINDING), Role::Wait),
        };
        empty(buf, inside, text, role, app.theme);
        return None;
    }
    Some((graph?, inside))
}

fn tree(app: &App, buf: &mut Buffer, area: Rect, graph: &LockGraph, focus: bool) {
    // On the screen of its own the window was fitted to the whole body; here it is fitted again
    // to what the evidence leaves.
    let mut window = app.here.windows.locks;
    if app.here.screen == Screen::Locks {
        window.fit(app.lock_rows.len(), usize::from(area.height));
    }
    super::rows(app, buf, area, window, app.lock_rows.len(), focus, |n| {
        app.lock_rows.get(n).map(|row| line(app, graph, row)).unwrap_or_default()
    });
}

fn line(app: &App, graph: &LockGraph, row: &LockRow) -> Line {
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

fn describe(app: &App, graph: &LockGraph, node: &LockNode, line: &mut Line) {
    let glyphs = app.theme.glyphs;
    match node {
        LockNode::Cycle(cycle) => {
            let tasks = graph.cycles.get(*cycle).map_or(0, |cycle| cycle.tasks.len());
            line.push(format!("{} deadlock of {tasks}", glyphs.deadlock), Role::Bad);
            let behind = locktree::blocked(graph, node).saturating_sub(tasks);
            if behind > 0 {
                line.push(format!(" holds up {behind} more"), Role::Bad);
            }
            line.push(": each waits for the next one's lock", Role::Dim);
        }
        LockNode::Member { cycle, at } => {
            let task = graph.cycles.get(*cycle).and_then(|cycle| cycle.tasks.get(*at));
            if let Some(task) = task {
                name(app, task, line);
                since(waited(app, task), line);
            }
        }
        LockNode::Edge { cycle, at, lock } => {
            line.push(format!("{} waits for ", glyphs.wait), Role::Wait);
            lock_name(graph, *lock, line);
            let cycle = graph.cycles.get(*cycle);
            let holder = cycle.and_then(|cycle| cycle.tasks.get((at + 1) % cycle.tasks.len()));
            if let Some(holder) = holder {
                line.push(", held by ", Role::Dim);
                line.push(format!("{}[{}]", holder.comm, holder.pid), Role::Task);
            }
            crowd(graph, *lock, line);
        }
        LockNode::Close(cycle) => {
            let first = graph.cycles.get(*cycle).and_then(|cycle| cycle.tasks.first());
            line.push(format!("{} back to ", glyphs.cycle), Role::Bad);
            if let Some(first) = first {
                line.push(format!("{}[{}]", first.comm, first.pid), Role::Task);
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
            let holder = graph.locks.get(*lock).and_then(|lock| lock.holders.get(*holder));
            line.push(format!("{} holds ", glyphs.lock), Role::Lock);
            lock_name(graph, *lock, line);
            if let Some(holder) = holder {
                line.push(format!(" ({})", holder.mode.name()), Role::Text);
                doubt(holder.confidence, line);
            }
            crowd(graph, *lock, line);
        }
        LockNode::Orphan(lock) => {
            line.push(format!("{} ", glyphs.lock), Role::Lock);
            lock_name(graph, *lock, line);
            if let Some(lock) = graph.locks.get(*lock) {
                let known = lock.holders.iter().find(|h| h.confidence != Confidence::Possible);
                let who = match (lock.kind, lock.holders.is_empty()) {
                    _ if known.is_some() => "",
                    (LockKind::Completion, _) => ": nobody has completed it",
                    (kind, _) if kind.is_condition() => ": nobody has woken it up",
                    (_, true) => ": its holder left no trace",
                    (_, false) => ": its holder is not known for sure",
                };
                line.push(who, Role::Fault);
                if let Some(holder) = known {
                    line.push(" held by ", Role::Text);
                    name(app, &holder.task, line);
                    doubt(holder.confidence, line);
                }
            }
            crowd(graph, *lock, line);
        }
        LockNode::Candidate { lock, holder } => {
            let holder = graph.locks.get(*lock).and_then(|lock| lock.holders.get(*holder));
            if let Some(holder) = holder {
                line.push("? held by ", Role::Fault);
                name(app, &holder.task, line);
                line.push(format!(" ({})", holder.mode.name()), Role::Text);
                doubt(holder.confidence, line);
            }
        }
        LockNode::Waiter { lock, waiter, again } => {
            let waiter = graph.locks.get(*lock).and_then(|lock| lock.waiters.get(*waiter));
            if let Some(waiter) = waiter {
                name(app, &waiter.task, line);
                let asked = asked(waiter);
                if !asked.is_empty() {
                    line.push(format!(" {asked}"), Role::Text);
                }
                since(waiter.since, line);
                doubt(waiter.confidence, line);
                if *again {
                    line.push(format!(" {} shown above", glyphs.cycle), Role::Dim);
                }
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
            line.push(
                format!("{} blocked outside the known locks: {count}", glyphs.wait),
                Role::Wait,
            );
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
            if let Some(note) = graph.notes.get(*note) {
                line.push(note.clone(), Role::Text);
            }
        }
    }
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
    line.push(format!("{}[{}]", task.comm, task.pid), Role::Task);
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

/// Everything that speaks for the selected line.
fn evidence(app: &App, graph: &LockGraph, room: usize) -> Vec<Line> {
    let mut lines = Vec::new();
    let Some(row) = app.lock_rows.get(app.here.windows.locks.cursor) else { return lines };
    let mut say = |lead: &str, text: &str, role: Role| {
        for (n, part) in wrap(text, room.saturating_sub(2)).into_iter().enumerate() {
            let lead = if n == 0 { lead } else { "  " };
            lines.push(Line::of(lead, Role::Dim).with(part, role));
        }
    };
    match &row.node {
        LockNode::Root(root) => {
            if let Some(root) = graph.roots.get(*root) {
                say(
                    "",
                    &format!("{}[{}] {}", root.task.comm, root.task.pid, root.doing),
                    Role::Text,
                );
            }
        }
        LockNode::Waiter { lock, waiter, .. } => {
            let waiter = graph.locks.get(*lock).and_then(|lock| lock.waiters.get(*waiter));
            if let Some(waiter) = waiter {
                say("", &format!("{}: {}", waiter.confidence.name(), waiter.why), Role::Text);
            }
        }
        LockNode::Member { cycle, at } => {
            let task = graph.cycles.get(*cycle).and_then(|cycle| cycle.tasks.get(*at));
            let waits = graph.locks.iter().flat_map(|lock| &lock.waiters);
            for waiter in waits.filter(|waiter| task.is_some_and(|t| t.at == waiter.task.at)) {
                say(
                    "",
                    &format!("waits, {}: {}", waiter.confidence.name(), waiter.why),
                    Role::Text,
                );
            }
            let holds = graph.locks.iter().flat_map(|lock| &lock.holders);
            for holder in holds.filter(|holder| task.is_some_and(|t| t.at == holder.task.at)) {
                say(
                    "",
                    &format!("holds, {}: {}", holder.confidence.name(), holder.why),
                    Role::Text,
                );
            }
        }
        LockNode::Cycle(cycle) | LockNode::Close(cycle) => {
            let tasks = graph.cycles.get(*cycle).map_or(&[][..], |cycle| &cycle.tasks);
            for task in tasks {
                let locks = graph.locks.iter();
                let waits = locks.flat_map(|lock| lock.waiters.iter().map(move |w| (lock, w)));
                for (lock, waiter) in waits.filter(|(_, waiter)| waiter.task.at == task.at) {
                    let who = format!("{}[{}] waits for {}", task.comm, task.pid, lock.name);
                    let how = format!("{who}, {}: {}", waiter.confidence.name(), waiter.why);
                    say("", &how, Role::Text);
                }
            }
        }
        LockNode::NotesHeading => {
            for note in &graph.notes {
                say("- ", note, Role::Text);
            }
        }
        LockNode::Note(note) => {
            say("", graph.notes.get(*note).map_or("", String::as_str), Role::Text)
        }
        LockNode::Other(other) => {
            say("", graph.others.get(*other).map_or("", |other| other.on.as_str()), Role::Text);
        }
        _ => {}
    }
    let lock = row.node.lock().or(match &row.node {
        LockNode::Waiter { lock, .. } | LockNode::Candidate { lock, .. } => Some(*lock),
        _ => None,
    });
    if let Some(lock) = lock.and_then(|lock| graph.locks.get(lock)) {
        let title = match lock.name.contains(&lock.at.to_string()) {
            true => format!("{}, {}", lock.name, lock.ty),
            false => format!("{} {} at {}", lock.ty, lock.name, lock.at),
        };
        say("", &title, Role::Lock);
        if let Some(place) = &lock.place {
            say("  ", place, Role::Dim);
        }
        say("  ", &lock_state(lock), Role::Text);
        for (field, value) in &lock.state {
            say("  ", &format!("{field} = {}", state_value(value)), Role::Dim);
        }
        for holder in &lock.holders {
            let text = format!(
                "held ({}) by {}[{}], {}: {}",
                holder.mode.name(),
                holder.task.comm,
                holder.task.pid,
                holder.confidence.name(),
                holder.why
            );
            say("", &text, Role::Text);
        }
        for line in undecided(lock) {
            say("", &line.text(), Role::Text);
        }
        for doubt in &lock.doubts {
            say("? ", doubt, Role::Fault);
        }
    }
    lines
}

fn state_value(value: &StateValue) -> String {
    match value {
        StateValue::Number(number) => number.to_string(),
        StateValue::Flag(set) => if *set { "yes" } else { "no" }.to_owned(),
        StateValue::Bits(bits) => format!("{bits:#x}"),
        StateValue::Text(text) => text.clone(),
    }
}
