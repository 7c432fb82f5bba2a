//! What a command answered.

use super::log::choosing;
use super::position;
use crate::tui::app::App;
use crate::tui::model::Place;
use crate::tui::theme::Role;
use crate::tui::widget::frame::{Title, empty, frame};
use crate::tui::widget::lines::Line;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

pub(super) fn draw_output(app: &App, buf: &mut Buffer, area: Rect) {
    let window = app.here.windows.output;
    let len = app.output.ready().map_or(0, |output| output.lines.len());
    let mut about = Line::of(app.here.command.clone(), Role::Key);
    if !app.here.search.is_empty() {
        about.push(format!("  /{}", app.here.search), Role::Match);
    }
    let title = Title { name: "Command", about, right: position(window, len) };
    let inside = frame(buf, area, &title, true, app.theme);
    let Some(output) = app.output.ready().filter(|_| !app.output.loading) else {
        let (text, role) = match app.output.error() {
            Some(error) if !app.output.loading => (error, Role::Fault),
            _ => (app.command_so_far.as_deref().unwrap_or("running"), Role::Wait),
        };
        return empty(buf, inside, text, role, app.theme);
    };
    if output.lines.is_empty() {
        return empty(buf, inside, "no output", Role::Dim, app.theme);
    }
    super::rows(app, buf, inside, window, len, true, |n| {
        let Some((text, place)) = output.lines.get(n) else { return Line::default() };
        let sign = if place.is_some() { app.theme.glyphs.closed } else { " " };
        let chosen = app.word(text, place.as_ref().and_then(Place::address));
        let chosen = chosen.filter(|_| n == window.cursor).map(|(place, _)| place);
        let line = choosing(Line::of(sign, Role::Key), text, chosen, Role::Text);
        line.marking(&app.here.search)
    });
}
