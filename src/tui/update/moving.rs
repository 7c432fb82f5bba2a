//! Moving the cursor: by rows, to a match, by the mouse.

use crate::dump::VirtAddr;
use crate::tui::action::Action;
use crate::tui::app::{App, Effect};
use crate::tui::history::Screen;
use crate::tui::keymap::{Pane, When};
use crate::tui::layout::Frames;
use crate::tui::screen::locks::{line as lock_line, lock_areas};
use crate::tui::screen::source::functions_height;
use crate::tui::theme::Role;
use crate::tui::widget::window::Window;
use ratatui::layout::Rect;

/// The rows of a page where the cursor is.
pub(super) fn page(app: &App) -> isize {
    let frames = app.frames();
    let area = match app.here.screen {
        Screen::Overview => frames.pane(app.here.pane).unwrap_or(frames.body),
        Screen::Locks => {
            let areas = lock_areas(app, frames.body);
            let tree = Rect { height: areas.tree.height + 1, ..areas.tree };
            if app.here.weighing { areas.evidence } else { tree }
        }
        _ => frames.body,
    };
    isize::try_from(Frames::rows(area).saturating_sub(1).max(1)).unwrap_or(1)
}

pub(super) fn step(app: &mut App, rows: isize) {
    app.touch();
    app.here.word = None;
    let windows = &mut app.here.windows;
    match app.here.screen {
        Screen::Log => windows.log.step(rows, app.log.ready().map_or(0, Vec::len)),
        Screen::Output => {
            windows.output.step(rows, app.output.ready().map_or(0, |output| output.lines.len()));
        }
        Screen::Memory => step_memory(app, rows),
        Screen::Code => windows.code.step(rows, app.code_rows.len()),
        Screen::Source => {
            let mut window = windows.source;
            window.step(rows, app.source_lines().len());
            app.here.windows.source = window;
        }
        Screen::Why => windows.why.step(rows, app.why.rows.len()),
        Screen::Locks if app.here.weighing => windows.evidence.step(rows, app.evidence.len()),
        Screen::Locks => {
            windows.evidence = Window::default();
            windows.locks.step(rows, app.lock_rows.len());
        }
        Screen::Overview => match app.here.pane {
            Pane::Tasks => {
                windows.tasks.step(rows, app.listed.len());
                let row = app.listed.get(windows.tasks.cursor).and_then(|n| app.rows.get(*n));
                if let Some(task) = row.map(|row| row.task.at)
                    && Some(task) != app.here.task
                {
                    app.here.show_task(task);
                }
            }
            Pane::Backtrace => windows.trace.step(rows, app.trace_rows.len()),
            Pane::Locks => windows.locks.step(rows, app.lock_rows.len()),
            Pane::Inspector => {
                let nodes = app.inspection.ready().map_or(0, |inspection| inspection.nodes.len());
                windows.nodes.step(rows, nodes);
            }
        },
    }
}

/// Moves as a key does that has a number before it; whether that key is one that moves.
pub(super) fn times(app: &mut App, action: Action, count: usize) -> bool {
    let rows = isize::try_from(count).unwrap_or(isize::MAX / 2);
    match action {
        Action::Up => step(app, -rows),
        Action::Down => step(app, rows),
        Action::PageUp => step(app, -rows.saturating_mul(page(app))),
        Action::PageDown => step(app, rows.saturating_mul(page(app))),
        // Rows of memory have no numbers.
        Action::First | Action::Last if app.here.screen != Screen::Memory => {
            step(app, isize::MIN / 2);
            step(app, rows.saturating_sub(1));
        }
        Action::NextComponent => component(app, rows),
        Action::PreviousComponent => component(app, -rows),
        Action::SearchNext | Action::SearchPrevious => {
            // Going round more than once leads nowhere new.
            for _ in 0..count.min(1000) {
                search(app, action == Action::SearchNext, false);
            }
        }
        _ => return false,
    }
    true
}

/// So many components of the lock graph on.
pub(super) fn component(app: &mut App, by: isize) {
    app.touch();
    let last = app.components.len().saturating_sub(1);
    let to = match app.component() {
        Some(now) => now.saturating_add_signed(by).min(last),
        None => 0,
    };
    if let Some(component) = app.components.get(to) {
        // The head stands near the top, and what belongs to it below.
        let row = component.row;
        app.here.windows.locks = Window { cursor: row, top: row.saturating_sub(1) };
        app.here.windows.evidence = Window::default();
    }
}

/// Memory has no first and no last row that anybody wants; the cursor's row moves over the screen
/// first, then the memory under it.
fn step_memory(app: &mut App, rows: isize) {
    let height = Frames::rows(app.frames().body);
    let bytes = i64::try_from(rows).unwrap_or(0).saturating_mul(16);
    if bytes.unsigned_abs() > 1 << 32 {
        return;
    }
    app.here.memory = VirtAddr(app.here.memory.0.saturating_add_signed(bytes));
    app.here.windows.memory.step(rows, height);
}

/// Finds the next or previous line with the searched text; from the cursor's own line on if
/// `here`, going round at the end.
pub(super) fn search(app: &mut App, forward: bool, here: bool) {
    let needle = app.here.search.to_lowercase();
    if needle.is_empty() {
        return;
    }
    let Some(lines) = searched(app) else { return };
    let cursor = searching(app).cursor;
    let len = lines.len();
    let start = usize::from(!here);
    let found = (start..len + start)
        .map(|n| if forward { cursor + n } else { cursor + len - n } % len.max(1))
        .find(|n| lines.get(*n).is_some_and(|line| line.to_lowercase().contains(&needle)));
    match found {
        Some(line) => {
            app.touch();
            // The evidence is for the line that the cursor was on.
            if app.here.windows.locks.cursor != line && When::Locks.holds(app.context()) {
                app.here.windows.evidence = Window::default();
            }
            searching(app).cursor = line;
        }
        None => {
            let folds = When::Locks.holds(app.context()) || app.here.screen == Screen::Why;
            let folded = if folds { " in what is unfolded" } else { "" };
            let says = format!("not found{folded}: {}", app.here.search);
            app.message = Some((Role::Fault, says));
        }
    }
}

/// The lines that a search goes through.
fn searched(app: &App) -> Option<Vec<String>> {
    Some(match app.here.screen {
        Screen::Log => {
            app.log.ready().into_iter().flatten().map(|line| line.text.clone()).collect()
        }
        Screen::Output => {
            let lines = app.output.ready().into_iter().flat_map(|output| &output.lines);
            lines.map(|(line, _)| line.clone()).collect()
        }
        Screen::Code => {
            let view = app.code.ready()?;
            app.code_rows.iter().map(|row| row.text(view).into_owned()).collect()
        }
        Screen::Source => app.source_lines().to_vec(),
        Screen::Why => app.why.rows.iter().map(|row| row.line.text()).collect(),
        _ if When::Locks.holds(app.context()) => {
            let graph = app.locks.ready()?;
            app.lock_rows.iter().map(|row| lock_line(app, graph, row).text()).collect()
        }
        Screen::Locks | Screen::Overview | Screen::Memory => return None,
    })
}

/// What moves over them.
fn searching(app: &mut App) -> &mut Window {
    let windows = &mut app.here.windows;
    match app.here.screen {
        Screen::Log => &mut windows.log,
        Screen::Code => &mut windows.code,
        Screen::Source => &mut windows.source,
        Screen::Why => &mut windows.why,
        Screen::Locks | Screen::Overview => &mut windows.locks,
        Screen::Output | Screen::Memory => &mut windows.output,
    }
}

/// The pane or screen at a place on the terminal, and the row in it.
fn at(app: &App, x: u16, y: u16) -> Option<(Option<Pane>, usize)> {
    let frames = app.frames();
    let inside = |area: Rect| area.contains((x, y).into());
    if app.here.screen == Screen::Overview {
        let (pane, area) = frames.panes.iter().find(|(_, area)| inside(*area))?;
        return Some((Some(*pane), usize::from(y - area.y)));
    }
    inside(frames.body).then(|| (None, usize::from(y - frames.body.y)))
}

/// On the lock screen the part under the mouse has the keys.
fn weigh(app: &mut App, x: u16, y: u16) {
    if app.here.screen == Screen::Locks {
        let areas = lock_areas(app, app.frames().body);
        app.here.weighing = areas.evidence.contains((x, y).into());
    }
}

pub(super) fn click(app: &mut App, x: u16, y: u16) -> Vec<Effect> {
    let Some((pane, row)) = at(app, x, y) else { return Vec::new() };
    app.overlay = None;
    if let Some(pane) = pane {
        app.here.pane = pane;
    }
    weigh(app, x, y);
    let windows = &app.here.windows;
    // Above the rows stands the title, and in the list of tasks the headings too.
    let (window, head) = match (app.here.screen, app.here.pane) {
        (Screen::Overview, Pane::Tasks) => (windows.tasks, 2),
        (Screen::Overview, Pane::Backtrace) => (windows.trace, 1),
        // A warning stands above the members.
        (Screen::Overview, Pane::Inspector) => {
            let warned = app.inspection.ready().is_some_and(|shown| shown.warning.is_some());
            (windows.nodes, 1 + usize::from(warned))
        }
        (Screen::Overview, Pane::Locks) => (windows.locks, 1),
        (Screen::Locks, _) => {
            let body = app.frames().body;
            let areas = lock_areas(app, body);
            let part = if app.here.weighing { areas.evidence } else { areas.tree };
            let window = if app.here.weighing { windows.evidence } else { windows.locks };
            // The evidence has a title of its own.
            (window, usize::from(part.y - body.y) + usize::from(app.here.weighing))
        }
        (Screen::Log, _) => (windows.log, 1),
        (Screen::Code, _) => (windows.code, 1),
        (Screen::Source, _) => {
            (windows.source, 1 + usize::from(functions_height(app, app.frames().body.height)))
        }
        (Screen::Why, _) => (windows.why, 1),
        (Screen::Output, _) => (windows.output, 1),
        (Screen::Memory, _) => (windows.memory, 1),
    };
    if let Some(row) = row.checked_sub(head) {
        let from = isize::try_from(window.cursor).unwrap_or(0);
        let to = isize::try_from(window.top + row).unwrap_or(0);
        step(app, to - from);
    }
    Vec::new()
}

pub(super) fn wheel(app: &mut App, x: u16, y: u16, rows: isize) -> Vec<Effect> {
    if let Some((pane, _)) = at(app, x, y) {
        if let Some(pane) = pane {
            app.here.pane = pane;
        }
        weigh(app, x, y);
        step(app, rows);
    }
    Vec::new()
}
