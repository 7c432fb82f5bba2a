//! The kernel log.

use super::position;
use crate::tui::app::App;
use crate::tui::model::LogLine;
use crate::tui::theme::Role;
use crate::tui::widget::frame::{Title, empty, frame};
use crate::tui::widget::lines::Line;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use std::ops::Range;

pub(super) fn draw_log(app: &App, buf: &mut Buffer, area: Rect) {
    let window = app.here.windows.log;
    let len = app.log.ready().map_or(0, Vec::len);
    let mut about = Line::default();
    if !app.here.search.is_empty() {
        about.push(format!("/{}", app.here.search), Role::Match);
    }
    let title = Title { name: "Log", about, right: position(window, len) };
    let inside = frame(buf, area, &title, true, app.theme);
    let Some(log) = app.log.ready().filter(|log| !log.is_empty()) else {
        let (text, role) = match app.log.error() {
            Some(error) => (error, Role::Fault),
            None if app.log.loading => ("reading the log", Role::Wait),
            None => ("the log is empty", Role::Dim),
        };
        return empty(buf, inside, text, role, app.theme);
    };
    super::rows(app, buf, inside, window, len, true, |n| {
        let chosen = |line: &LogLine| app.word(&line.text, None).filter(|_| n == window.cursor);
        let line = log.get(n).map(|line| styled(line, chosen(line).map(|(place, _)| place)));
        line.unwrap_or_default().marking(&app.here.search)
    });
}

fn styled(line: &LogLine, chosen: Option<Range<usize>>) -> Line {
    let role = match line.level {
        Some(0..=3) => Role::Bad,
        Some(4) => Role::Wait,
        _ => Role::Text,
    };
    choosing(Line::of(format!("{} ", line.stamp), Role::Dim), &line.text, chosen, role)
}

/// Adds text to a line, the chosen address in it marked.
pub(super) fn choosing(
    mut line: Line,
    text: &str,
    chosen: Option<Range<usize>>,
    role: Role,
) -> Line {
    let chosen = chosen.unwrap_or(0..0);
    line.push(text.get(..chosen.start).unwrap_or_default(), role);
    line.push(text.get(chosen.clone()).unwrap_or_default(), Role::Chosen);
    line.with(text.get(chosen.end..).unwrap_or_default(), role)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_chosen_address_is_marked_and_no_letter_lost() {
        let line = choosing(Line::default(), "RSP: ffff", Some(5..9), Role::Text);
        assert_eq!(line.text(), "RSP: ffff");
        assert_eq!(line.0[1], ("ffff".to_owned(), Role::Chosen));
    }
}
