//! The kernel log.

use super::position;
use crate::tui::app::App;
use crate::tui::model::LogLine;
use crate::tui::theme::Role;
use crate::tui::widget::frame::{Title, empty, frame};
use crate::tui::widget::lines::Line;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

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
        log.get(n).map(|line| styled(line, &app.here.search)).unwrap_or_default()
    });
}

fn styled(line: &LogLine, needle: &str) -> Line {
    let role = match line.level {
        Some(0..=3) => Role::Bad,
        Some(4) => Role::Wait,
        _ => Role::Text,
    };
    found(Line::of(format!("{} ", line.stamp), Role::Dim), &line.text, needle, role)
}

/// Adds text to a line, what was searched for marked.
pub(super) fn found(mut line: Line, text: &str, needle: &str, role: Role) -> Line {
    let lower = text.to_ascii_lowercase();
    let needle = needle.to_ascii_lowercase();
    let mut from = 0;
    while let Some(at) =
        lower.get(from..).filter(|_| !needle.is_empty()).and_then(|l| l.find(&needle))
    {
        let (start, end) = (from + at, from + at + needle.len());
        line.push(text.get(from..start).unwrap_or_default(), role);
        line.push(text.get(start..end).unwrap_or_default(), Role::Match);
        from = end;
    }
    line.with(text.get(from..).unwrap_or_default(), role)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_match_is_marked_and_no_letter_lost() {
        let line = found(Line::default(), "Mutex and mutex", "mutex", Role::Text);
        assert_eq!(line.text(), "Mutex and mutex");
        assert_eq!(line.0.iter().filter(|(_, role)| *role == Role::Match).count(), 2);
    }
}
