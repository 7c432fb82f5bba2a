//! Why a task is blocked, and whom it blocks.

use super::locks::UNWINDING;
use super::position;
use crate::tui::app::App;
use crate::tui::theme::Role;
use crate::tui::widget::frame::{Title, empty, frame};
use crate::tui::widget::lines::Line;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

pub(super) fn draw_why(app: &App, buf: &mut Buffer, area: Rect) {
    let window = app.here.windows.why;
    let mut about = Line::default();
    if let Some(row) = app.selected() {
        about.push(row.task.label(), Role::Task);
    }
    if !app.here.search.is_empty() {
        about.push(format!("  /{}", app.here.search), Role::Match);
    }
    let rows = &app.why.rows;
    let title = Title { name: "Why and whom", about, right: position(window, rows.len()) };
    let inside = frame(buf, area, &title, true, app.theme);
    if app.locks.ready().is_none() || app.here.task.is_none() {
        let (text, role) = match (app.locks.error(), app.here.task) {
            (Some(error), _) => (error, Role::Fault),
            (None, None) => ("no task is selected", Role::Dim),
            (None, Some(_)) => (app.locks_so_far.as_deref().unwrap_or(UNWINDING), Role::Wait),
        };
        return empty(buf, inside, text, role, app.theme);
    }
    super::rows(app, buf, inside, window, rows.len(), true, |n| {
        rows.get(n).map(|row| row.line.clone()).unwrap_or_default().marking(&app.here.search)
    });
}
