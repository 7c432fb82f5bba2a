//! Every key, and the whole verdict, in boxes over the screen.

use crate::tui::app::App;
use crate::tui::prompt::help_lines;
use crate::tui::theme::Role;
use crate::tui::verdict;
use crate::tui::widget::lines::Line;
use crate::tui::widget::popup::{list, popup};
use crate::tui::widget::window::Window;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

/// Cells for the keys.
const KEYS: usize = 22;

pub(super) fn draw_help(app: &App, buf: &mut Buffer, area: Rect, filter: &str, window: Window) {
    let title = match filter {
        "" => "Keys: type to filter, Esc closes".to_owned(),
        filter => format!("Keys: {filter}"),
    };
    let lines = help_lines(filter);
    let inside = popup(buf, area, 90, lines.len().max(1), &title, false, app.theme);
    let visible = window.visible(lines.len(), usize::from(inside.height));
    let shown = lines.get(visible).unwrap_or_default().iter().map(|(keys, doc)| {
        if keys.is_empty() {
            return Line::of(doc.clone(), Role::Title);
        }
        Line::of(format!("  {keys}"), Role::Key)
            .pad(KEYS)
            .with(format!(" {}", doc.replace('`', "")), Role::Text)
    });
    list(buf, inside, shown, None, app.theme);
}

pub(super) fn draw_verdict(app: &App, buf: &mut Buffer, area: Rect, window: Window) {
    let lines = verdict::full(app);
    let columns = usize::from(app.size.0).clamp(20, 100) - 8;
    let inside = popup(buf, area, columns, lines.len(), "Verdict", false, app.theme);
    // A text has no cursor: it is the top line that moves.
    let height = usize::from(inside.height);
    let top = window.cursor.min(lines.len().saturating_sub(height));
    list(buf, inside, lines.into_iter().skip(top), None, app.theme);
}
