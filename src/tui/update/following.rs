//! Going where a line leads, opening and closing it, and going one step up.

use crate::dump::VirtAddr;
use crate::tui::app::{App, Effect};
use crate::tui::code::{self, CodeRow};
use crate::tui::history::{Screen, Spot};
use crate::tui::job::Request;
use crate::tui::keymap::Pane;
use crate::tui::locktree::{LockNode, LockRow};
use crate::tui::model::{FrameRow, Place, ROW, States, Subject, Value};
use crate::tui::prompt::Overlay;
use crate::tui::theme::Role;
use crate::tui::told::Go;
use crate::tui::trace::TraceRow;
use crate::tui::widget::window::Window;
use std::collections::BTreeSet;

pub(super) fn enter(app: &mut App) -> Vec<Effect> {
    match app.here.screen {
        Screen::Why => return enter_told(app),
        Screen::Overview => match app.here.pane {
            Pane::Tasks => {
                if app.here.task.is_some() {
                    app.leave();
                    app.here.pane = Pane::Backtrace;
                }
            }
            Pane::Backtrace => enter_trace(app),
            Pane::Inspector => enter_node(app),
            Pane::Locks => enter_lock(app),
        },
        Screen::Locks if app.here.weighing => return enter_told(app),
        Screen::Locks => enter_lock(app),
        Screen::Memory => {
            let at = app.here.memory.0 & !(ROW - 1);
            let row = app.memory.ready().and_then(|view| view.rows.iter().find(|r| r.at.0 == at));
            if let Some(Ok(bytes)) = row.map(|row| &row.bytes) {
                let mut word = [0; 8];
                word.copy_from_slice(bytes.first_chunk::<8>().unwrap_or(&[0; 8]));
                app.go(&Place::Memory(VirtAddr(u64::from_le_bytes(word))));
            }
        }
        Screen::Code => {
            let row = app.here.windows.code.cursor;
            let place = app.code.ready().and_then(|view| code::place(view, &app.code_rows, row));
            if let Some(place) = place.cloned() {
                app.go(&place);
                return Vec::new();
            }
            if matches!(app.code_rows.get(row), Some(CodeRow::Source(_))) {
                source(app);
            }
        }
        Screen::Source => code(app),
        Screen::Log => return enter_word(app),
        Screen::Output => {
            let row = app.here.windows.output.cursor;
            let line = app.output.ready().and_then(|output| output.lines.get(row));
            let chosen = app.here.word.is_some();
            match line.and_then(|(_, place)| place.clone()).filter(|_| !chosen) {
                Some(place) => app.go(&place),
                None => return enter_word(app),
            }
        }
    }
    Vec::new()
}

/// Goes to what lies at the address in the line under the cursor.
fn enter_word(app: &mut App) -> Vec<Effect> {
    let Some(at) = app.pointed() else { return Vec::new() };
    let (words, standing) = (format!("{:#x}", at.0), app.standing());
    app.resolve.forget();
    let generation = app.resolve.want(words.clone());
    let start = |n| Effect::Start(n, Request::Resolve(words, standing));
    generation.map(start).into_iter().collect()
}

fn enter_told(app: &mut App) -> Vec<Effect> {
    match app.told_row().and_then(|row| row.go.clone()) {
        Some(Go::Place(place)) => app.go(&place),
        Some(Go::Unfold(lock)) => fold(app, lock),
        None => {}
    }
    Vec::new()
}

/// Why the task under the cursor is blocked, or whom it blocks.
pub(super) fn tell(app: &mut App, whom: bool) {
    let Some(task) = task_here(app) else {
        app.message = Some((Role::Fault, "this line is about no task".to_owned()));
        return;
    };
    if (app.here.screen, app.here.task) != (Screen::Why, Some(task)) {
        app.leave();
        app.here.screen = Screen::Why;
        app.here.windows.why = Window::default();
    }
    if app.here.task != Some(task) {
        app.here.show_task(task);
        app.reveal(task);
    }
    app.ask_whom = whom;
    if !whom {
        app.here.windows.why = Window::default();
    }
}

/// The task that the line under the cursor is about; the selected one where there are none.
fn task_here(app: &App) -> Option<VirtAddr> {
    let windows = &app.here.windows;
    let known = |task: &VirtAddr| app.row_of(*task).is_some();
    match (app.here.screen, app.here.pane) {
        (Screen::Why, _) => {
            let task = app.why.rows.get(windows.why.cursor).and_then(|row| row.task);
            task.filter(known).or(app.here.task)
        }
        (Screen::Locks, _) | (Screen::Overview, Pane::Locks) => {
            let told = app.told_row().and_then(|row| row.task).filter(known);
            if told.is_some() {
                return told;
            }
            let graph = app.locks.ready()?;
            let mut row = app.lock_rows.get(windows.locks.cursor);
            // A lock's line hangs on the one of the task that holds it or waits for it.
            while let Some(line) = row {
                if let Some(task) = line.node.task(graph) {
                    return Some(task).filter(known);
                }
                row = line.parent.and_then(|parent| app.lock_rows.get(parent));
            }
            None
        }
        (Screen::Overview, Pane::Inspector) => match app.subject() {
            Some(Subject::Frame { task, .. }) => Some(task),
            Some(Subject::Object { at, .. }) => Some(at).filter(known).or(app.here.task),
            _ => app.here.task,
        },
        _ => app.here.task,
    }
}

fn enter_trace(app: &mut App) {
    let Some(row) = app.trace_rows.get(app.here.windows.trace.cursor).copied() else { return };
    match row {
        TraceRow::Frame(n) | TraceRow::Inline { frame: n, .. } => {
            if let Some(task) = app.here.task {
                let subject = Subject::Frame { task, n };
                app.go(&Place::Object { subject, open: BTreeSet::new() });
            }
        }
        TraceRow::Wait { lock, .. } | TraceRow::Holds { lock, .. } => {
            let wanted = |row: &LockRow| match row.node {
                LockNode::Edge { lock: its, .. }
                | LockNode::Held { lock: its, .. }
                | LockNode::Orphan(its) => its == lock,
                _ => false,
            };
            if let Some(row) = app.lock_rows.iter().position(wanted) {
                app.leave();
                app.here.pane = Pane::Locks;
                app.here.windows.locks.cursor = row;
            }
        }
        TraceRow::Other(_) | TraceRow::Cut => {}
    }
}

fn enter_node(app: &mut App) {
    let row = app.here.windows.nodes.cursor;
    let node = app.inspection.ready().and_then(|inspection| inspection.nodes.get(row));
    match node.map(|node| node.place.clone()) {
        Some(Some(place)) => app.go(&place),
        Some(None) => expand(app),
        None => {}
    }
}

fn enter_lock(app: &mut App) {
    let Some(graph) = app.locks.ready() else { return };
    let Some(row) = app.lock_rows.get(app.here.windows.locks.cursor) else { return };
    if let LockNode::Fold { .. } = row.node {
        unfold(app);
    } else if let Some(task) = row.node.task(graph) {
        app.go(&Place::Task(task));
    } else if let Some(lock) = row.node.lock().and_then(|lock| graph.locks.get(lock)) {
        app.go(&Place::object(lock.ty, lock.at));
    } else if matches!(row.node, LockNode::Note(_) | LockNode::NotesHeading) {
        app.overlay = Some(Overlay::Verdict(Window::default()));
    }
}

/// Shows or folds the waiters of the lock under the cursor.
fn unfold(app: &mut App) {
    let Some(graph) = app.locks.ready() else { return };
    let lock = app.lock_rows.get(app.here.windows.locks.cursor).and_then(|row| row.node.lock());
    if let Some(at) = lock.and_then(|lock| graph.locks.get(lock)).map(|lock| lock.at) {
        fold(app, at);
    }
}

fn fold(app: &mut App, lock: VirtAddr) {
    if !app.here.unfolded.remove(&lock) {
        app.here.unfolded.insert(lock);
    }
}

pub(super) fn expand(app: &mut App) {
    if app.here.screen == Screen::Why {
        let row = app.why.rows.get(app.here.windows.why.cursor);
        match row.and_then(|row| row.go.clone()) {
            Some(Go::Unfold(lock)) => fold(app, lock),
            Some(Go::Place(Place::Object { subject: Subject::Object { at, .. }, .. }))
                if app.here.unfolded.contains(&at) =>
            {
                fold(app, at);
            }
            _ => {}
        }
        return;
    }
    if app.context().pane == Pane::Locks || app.here.screen == Screen::Locks {
        return unfold(app);
    }
    let row = app.here.windows.nodes.cursor;
    let Some(inspection) = app.inspection.ready() else { return };
    if let Some(node) = inspection.nodes.get(row)
        && node.open.is_some()
        && !app.here.open.remove(&node.path)
    {
        app.here.open.insert(node.path.clone());
    }
}

pub(super) fn collapse(app: &mut App) {
    if app.here.screen == Screen::Locks && app.here.weighing {
        app.here.weighing = false;
        return;
    }
    if app.context().pane == Pane::Locks || app.here.screen == Screen::Locks {
        let window = &mut app.here.windows.locks;
        if let Some(parent) = app.lock_rows.get(window.cursor).and_then(|row| row.parent) {
            window.cursor = parent;
        }
        return;
    }
    let window = &mut app.here.windows.nodes;
    let Some(inspection) = app.inspection.ready() else { return };
    let Some(node) = inspection.nodes.get(window.cursor) else { return };
    if node.open == Some(true) {
        app.here.open.remove(&node.path);
    } else if let Some(above) = inspection.nodes.get(..window.cursor) {
        window.cursor = above.iter().rposition(|n| n.depth < node.depth).unwrap_or(window.cursor);
    }
}

/// One step up.
pub(super) fn cancel(app: &mut App) -> Vec<Effect> {
    if app.cancel() {
        app.message = Some((Role::Fault, "cancelled; Ctrl-l asks again".to_owned()));
        return vec![Effect::Stop];
    } else if app.here.screen == Screen::Locks && app.here.weighing {
        app.here.weighing = false;
    } else if app.here.screen != Screen::Overview {
        app.leave();
        app.here.screen = Screen::Overview;
    } else if app.here.zoom {
        app.here.zoom = false;
    } else if !app.here.filter.is_empty() || app.here.states != States::default() {
        app.here.filter.clear();
        app.here.states = States::default();
    } else if app.here.pane != Pane::Tasks {
        app.here.pane = Pane::Tasks;
    }
    Vec::new()
}

/// The memory screen, at what is selected.
pub(super) fn memory(app: &mut App) {
    let at = match app.here.pane {
        _ if app.here.screen != Screen::Overview => app.pointed(),
        Pane::Backtrace => app.trace.ready().and_then(|trace| {
            match app.trace_rows.get(app.here.windows.trace.cursor)? {
                TraceRow::Frame(n) | TraceRow::Inline { frame: n, .. } => {
                    Some(trace.frames.get(*n)?.sp)
                }
                _ => None,
            }
        }),
        Pane::Inspector => {
            let row = app.here.windows.nodes.cursor;
            app.inspection.ready().and_then(|inspection| inspection.nodes.get(row)?.at)
        }
        Pane::Locks => {
            let row = app.lock_rows.get(app.here.windows.locks.cursor);
            let lock = row.and_then(|row| row.node.lock());
            lock.and_then(|lock| Some(app.locks.ready()?.locks.get(lock)?.at))
        }
        Pane::Tasks => None,
    };
    if app.here.screen != Screen::Memory
        && let Some(at) = at.or(app.here.task)
    {
        app.go(&Place::Memory(at));
    }
}

/// All that is known of the address under the cursor.
pub(super) fn what(app: &mut App) {
    let Some(at) = app.pointed().or(app.here.task) else {
        app.message = Some((Role::Fault, "no address is selected".to_owned()));
        return;
    };
    app.run(format!("kmem {:#x}", at.0));
}

/// The code screen, at what is selected.
pub(super) fn code(app: &mut App) {
    if app.here.screen == Screen::Code {
        return;
    }
    match code_at(app) {
        // What lies in the lower half is a program's, not the kernel's.
        Some(at) if at.0 >> 63 == 1 => app.go(&Place::Code(at)),
        Some(_) => app.message = Some((Role::Fault, "this is not in the kernel".to_owned())),
        None => app.message = Some((Role::Fault, "no code is selected".to_owned())),
    }
}

/// The source screen, at what is selected.
pub(super) fn source(app: &mut App) {
    if app.here.screen == Screen::Source {
        return;
    }
    match source_at(app) {
        Some(spot) if spot.at.0 >> 63 == 1 => {
            app.leave();
            app.here.screen = Screen::Source;
            app.show_source(spot);
        }
        Some(_) => app.message = Some((Role::Fault, "this is not in the kernel".to_owned())),
        None => app.message = Some((Role::Fault, "no code is selected".to_owned())),
    }
}

fn source_at(app: &App) -> Option<Spot> {
    let windows = &app.here.windows;
    match (app.here.screen, app.here.pane) {
        (Screen::Code, _) => {
            let row = windows.code.cursor;
            let instruction = code::instruction(app.code.ready()?, &app.code_rows, row)?;
            Some(app.spot(instruction.at, |at| instruction.covers(at)))
        }
        (Screen::Overview, Pane::Backtrace) => {
            let at = code_at(app)?;
            let above = app.trace_rows.get(..=windows.trace.cursor)?.iter().rev();
            // The function that the line is about; the outermost one is the frame's own.
            above.into_iter().find_map(|row| match *row {
                TraceRow::Frame(n) => Some(Spot { at, function: usize::MAX, frame: Some(n) }),
                TraceRow::Inline { frame, position } => {
                    Some(Spot { at, function: position, frame: Some(frame) })
                }
                _ => None,
            })
        }
        _ => {
            let at = code_at(app)?;
            Some(app.spot(at, |its| its == at))
        }
    }
}

/// Goes one function along the stack.
pub(super) fn walk(app: &mut App, to: impl Fn(&App) -> Option<Spot>, none: &str) {
    match to(app) {
        Some(spot) => app.show_source(spot),
        None => app.message = Some((Role::Dim, none.to_owned())),
    }
}

fn code_at(app: &App) -> Option<VirtAddr> {
    let windows = &app.here.windows;
    let row = match (app.here.screen, app.here.pane) {
        (Screen::Memory, _) => return Some(app.here.memory),
        (Screen::Why | Screen::Locks, _) => match app.told_row().and_then(|row| row.go.clone()) {
            Some(Go::Place(Place::Code(at))) => return Some(at),
            _ => 0,
        },
        (Screen::Source, _) => return Some(app.here.source.at),
        (Screen::Output, _) => match app.output.ready()?.lines.get(windows.output.cursor)?.1 {
            Some(Place::Code(at) | Place::Memory(at)) => return Some(at),
            _ => return None,
        },
        (Screen::Overview, Pane::Inspector) => {
            let node = app.inspection.ready()?.nodes.get(windows.nodes.cursor)?;
            return match node.value {
                Value::Pointer { to, .. } => Some(to),
                _ => node.at,
            };
        }
        (Screen::Overview, Pane::Backtrace) => windows.trace.cursor,
        _ => 0,
    };
    // What stands under a frame is about that frame.
    let above = app.trace_rows.get(..=row)?.iter().rev();
    let mut frames = above.filter_map(|row| match row {
        TraceRow::Frame(n) | TraceRow::Inline { frame: n, .. } => app.trace.ready()?.frames.get(*n),
        _ => None,
    });
    frames.next().map(FrameRow::lookup)
}
