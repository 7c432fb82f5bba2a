//! The pane of tasks.

use super::position;
use crate::kernel::State;
use crate::present::{Align, Cell, Column, TASK_COLUMNS, TaskRow, task_column};
use crate::tui::app::App;
use crate::tui::layout::Frames;
use crate::tui::model::Order;
use crate::tui::theme::Role;
use crate::tui::widget::frame::{Title, empty, frame};
use crate::tui::widget::lines::{Line, Mark, draw, width};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

/// The columns in the order in which they find room, and how much; a column named again gets more.
const WANTED: &[(&str, usize)] = &[
    ("comm", 17),
    ("pid", 6),
    ("state", 2),
    ("blocked_on", 16),
    ("since_ran", 5),
    ("cpu", 3),
    ("blocked_on", 12),
    ("task", 16),
    ("blocked_on", 8),
    ("rss_kib", 8),
    ("ppid", 6),
    ("mem_percent", 4),
    ("vsz_kib", 10),
];

/// The columns that fit into so many cells, in the order of the table, each with its width. What
/// is left goes to the one that says what a task waits for.
pub(crate) fn columns(room: usize) -> Vec<(&'static Column<TaskRow>, usize)> {
    let mut left = room.saturating_sub(1);
    let mut chosen: Vec<(&str, usize)> = Vec::new();
    for &(id, cells) in WANTED {
        let again = chosen.iter_mut().find(|(its, _)| *its == id);
        if let Some((_, more)) = again {
            let cells = cells.min(left);
            left -= cells;
            *more += cells;
        } else if cells < left {
            left -= cells + 1;
            chosen.push((id, cells));
        } else if chosen.is_empty() {
            chosen.push((id, left));
            break;
        } else {
            break;
        }
    }
    let widest = chosen.iter().any(|(id, _)| *id == "blocked_on").then_some("blocked_on");
    let cells = |id: &str| {
        let extra = if widest == Some(id) { left } else { 0 };
        chosen.iter().find(|(its, _)| *its == id).map(|(_, cells)| cells + extra)
    };
    TASK_COLUMNS.iter().filter_map(|column| Some((column, cells(column.id)?))).collect()
}

pub(super) fn draw_tasks(app: &App, buf: &mut Buffer, area: Rect, focus: bool) {
    let mut about = Line::default();
    if !app.here.filter.is_empty() {
        about.push(format!("/{} ", app.here.filter), Role::Match);
    }
    let states = app.here.states.letters();
    if !states.is_empty() {
        about.push(format!("{states} "), Role::Wait);
    }
    match app.here.order {
        Order::Hang => about.push("blocked first", Role::Dim),
        Order::Column { id, descending } => {
            let arrow = if descending { app.theme.glyphs.down } else { app.theme.glyphs.up };
            let title = task_column(id).map_or(id, |column| column.title);
            about.push(format!("by {title}{arrow}"), Role::Dim);
        }
    }
    let window = app.here.windows.tasks;
    let mut right = position(window, app.listed.len());
    if app.listed.len() < app.rows.len() {
        right = format!("{right} of {}", app.rows.len());
    }
    let title = Title { name: "Tasks", about, right };
    let inside = frame(buf, area, &title, focus, app.theme);
    if app.listed.is_empty() {
        let (text, role) = match (app.tasks.error(), app.tasks.ready()) {
            (Some(error), _) => (error, Role::Fault),
            (None, None) => ("reading the tasks", Role::Wait),
            (None, Some(_)) => ("no task fits the filter; Esc shows all", Role::Dim),
        };
        return empty(buf, inside, text, role, app.theme);
    }
    let columns = columns(usize::from(inside.width));
    draw(buf, inside, &heading(&columns, app), app.theme, Mark::None);
    let below = Rect { y: inside.y + 1, height: inside.height.saturating_sub(1), ..inside };
    debug_assert!(usize::from(below.height) + 1 >= Frames::rows(area));
    super::rows(app, buf, below, window, app.listed.len(), focus, |n| {
        let row = app.listed.get(n).and_then(|n| app.rows.get(*n));
        row.map(|row| line(row, &columns, app)).unwrap_or_default()
    });
}

fn heading(columns: &[(&'static Column<TaskRow>, usize)], app: &App) -> Line {
    let mut line = Line::default();
    for (column, cells) in columns {
        let sorted = matches!(app.here.order, Order::Column { id, .. } if id == column.id);
        let role = if sorted { Role::Key } else { Role::Dim };
        line.push(aligned(column.title, column.align, *cells) + " ", role);
    }
    line.0.insert(0, (" ".to_owned(), Role::Text));
    line
}

fn line(row: &TaskRow, columns: &[(&'static Column<TaskRow>, usize)], app: &App) -> Line {
    // The selected task of a pane without the keys has a mark of its own, for eyes without colour.
    let selected = app.here.task == Some(row.task.at);
    let mut line = Line::of(if selected { app.theme.glyphs.selected } else { " " }, Role::Key);
    for (column, cells) in columns {
        let cell = (column.get)(row);
        let text = aligned(&shorten(&cell.to_string(), *cells, app), column.align, *cells) + " ";
        line.push(text, role(column.id, &cell, row));
    }
    line
}

fn role(id: &str, cell: &Cell, row: &TaskRow) -> Role {
    match (id, cell) {
        (_, Cell::Unknown(_)) => Role::Fault,
        ("state", _) => match row.task.state {
            Ok(State::Uninterruptible) => Role::Bad,
            Ok(State::Running) => Role::Good,
            _ => Role::Text,
        },
        ("comm", _) if row.task.kernel_thread => Role::Text,
        ("comm", _) => Role::Task,
        ("blocked_on", _) => Role::Lock,
        ("since_ran", _) if row.task.state == Ok(State::Uninterruptible) => Role::Wait,
        ("task", _) => Role::Address,
        ("pid", _) => Role::Text,
        _ => Role::Dim,
    }
}

fn shorten(text: &str, cells: usize, app: &App) -> String {
    if width(text) <= cells {
        return text.to_owned();
    }
    let kept: String = text.chars().take(cells.saturating_sub(1)).collect();
    kept + app.theme.glyphs.more
}

fn aligned(text: &str, align: Align, cells: usize) -> String {
    let gap = " ".repeat(cells.saturating_sub(width(text)));
    match align {
        Align::Left => format!("{text}{gap}"),
        Align::Right => format!("{gap}{text}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_fill_the_room_and_never_more() {
        for room in 0..200 {
            let chosen = columns(room);
            let cells: usize = chosen.iter().map(|(_, cells)| cells + 1).sum();
            assert!(cells <= room.max(2), "{room}: {cells}");
        }
        let ids = |room| columns(room).iter().map(|(column, _)| column.id).collect::<Vec<_>>();
        assert_eq!(ids(56), ["pid", "cpu", "state", "since_ran", "comm", "blocked_on"]);
        assert_eq!(ids(27), ["pid", "comm"]);
        assert_eq!(ids(180).len(), WANTED.len() - 2);
    }
}
