//! Lines of text with roles, and how they are drawn.

use crate::tui::theme::{Role, Theme};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::{Modifier, Style};
use ratatui::text::Span;

/// Cells that a text takes.
pub(crate) fn width(text: &str) -> usize {
    Span::raw(text).width()
}

/// A line: pieces of text, each with its role.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub(crate) struct Line(pub(crate) Vec<(String, Role)>);

impl Line {
    /// A line of one piece.
    pub(crate) fn of(text: impl Into<String>, role: Role) -> Line {
        Line(vec![(text.into(), role)])
    }

    /// With another piece at its end.
    #[must_use]
    pub(crate) fn with(mut self, text: impl Into<String>, role: Role) -> Line {
        self.push(text, role);
        self
    }

    /// Adds a piece.
    pub(crate) fn push(&mut self, text: impl Into<String>, role: Role) {
        self.0.push((text.into(), role));
    }

    /// Cells that it takes.
    pub(crate) fn width(&self) -> usize {
        self.0.iter().map(|(text, _)| width(text)).sum()
    }

    /// Fills with spaces up to a column.
    #[must_use]
    pub(crate) fn pad(mut self, column: usize) -> Line {
        let width = self.width();
        if width < column {
            self.push(" ".repeat(column - width), Role::Text);
        }
        self
    }

    /// Broken into lines of at most `columns` cells at its spaces; all but the first begin with
    /// `hang` spaces.
    pub(crate) fn wrapped(&self, columns: usize, hang: usize) -> Vec<Line> {
        let mut lines = vec![Line::default()];
        let mut used = 0;
        // What has no width but that of its words so far.
        let mut fresh = true;
        for (text, role) in &self.0 {
            for word in text.split_inclusive(' ') {
                let cells = width(word.trim_end_matches(' '));
                if !fresh && used + cells > columns {
                    lines.push(Line::of(" ".repeat(hang), Role::Text));
                    used = hang;
                    fresh = true;
                }
                if let Some(line) = lines.last_mut() {
                    line.push(word, *role);
                }
                used += width(word);
                fresh &= word.trim().is_empty();
            }
        }
        lines
    }

    /// The same with what is searched for marked, also where it crosses pieces.
    #[must_use]
    pub(crate) fn marking(self, needle: &str) -> Line {
        let needle = needle.to_ascii_lowercase();
        let whole: String = self.0.iter().map(|(text, _)| text.to_ascii_lowercase()).collect();
        if needle.is_empty() || !whole.contains(&needle) {
            return self;
        }
        let found: Vec<_> =
            whole.match_indices(&needle).map(|(at, _)| at..at + needle.len()).collect();
        let mut line = Line::default();
        let mut from = 0;
        for (text, role) in self.0 {
            // The byte offsets inside this piece at which a match begins or ends.
            let inside = |at: usize| at.checked_sub(from).filter(|at| *at < text.len());
            let mut cuts: Vec<usize> =
                found.iter().flat_map(|m| [m.start, m.end]).filter_map(inside).collect();
            cuts.push(text.len());
            let mut start = 0;
            for cut in cuts {
                let part = text.get(start..cut).unwrap_or_default();
                let hit = found.iter().any(|found| found.contains(&(from + start)));
                if !part.is_empty() {
                    line.push(part, if hit { Role::Match } else { role });
                }
                start = cut;
            }
            from += text.len();
        }
        line
    }

    /// Its text without roles.
    pub(crate) fn text(&self) -> String {
        self.0.iter().map(|(text, _)| text.as_str()).collect()
    }
}

/// A row that is selected, or not.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Mark {
    /// Not selected.
    None,
    /// Selected in a pane without the keys.
    Marked,
    /// Selected in the pane with the keys.
    Selected,
}

impl Mark {
    /// The mark of a row of a list.
    pub(crate) const fn of(selected: bool, focus: bool) -> Mark {
        match (selected, focus) {
            (false, _) => Mark::None,
            (true, false) => Mark::Marked,
            (true, true) => Mark::Selected,
        }
    }
}

/// Draws a line into the first row of `area`; what does not fit ends in an ellipsis.
pub(crate) fn draw(buf: &mut Buffer, area: Rect, line: &Line, theme: Theme, mark: Mark) {
    let area = area.intersection(buf.area);
    if area.is_empty() {
        return;
    }
    let over = match mark {
        Mark::None => Style::new(),
        Mark::Marked => theme.style(Role::Marked),
        Mark::Selected => theme.style(Role::Selected),
    };
    let room = usize::from(area.width);
    let cut = line.width() > room;
    let end = area.x + area.width - u16::from(cut);
    let mut x = area.x;
    for (text, role) in &line.0 {
        let left = usize::from(end.saturating_sub(x));
        let style = match mark {
            // Reversed colours of their own would make a patchwork of the selected row.
            Mark::Selected if *role == Role::Chosen => {
                over.add_modifier(Modifier::UNDERLINED | Modifier::BOLD)
            }
            Mark::Selected => over,
            _ => theme.style(*role).patch(over),
        };
        // What was drawn here before must not shine through.
        let style = Style::reset().patch(style);
        (x, _) = buf.set_stringn(x, area.y, text, left, style);
    }
    if cut {
        let style = Style::reset().patch(theme.style(Role::Dim)).patch(over);
        buf.set_stringn(end, area.y, theme.glyphs.more, 1, style);
    }
    if mark == Mark::Selected {
        buf.set_style(Rect { height: 1, ..area }, over.add_modifier(Modifier::REVERSED));
    }
}

/// Breaks text into lines of at most `columns` cells, at spaces where there are any.
pub(crate) fn wrap(text: &str, columns: usize) -> Vec<String> {
    let columns = columns.max(1);
    let mut lines = Vec::new();
    let mut line = String::new();
    for word in text.split_whitespace() {
        if !line.is_empty() && width(&line) + 1 + width(word) > columns {
            lines.push(std::mem::take(&mut line));
        }
        if !line.is_empty() {
            line.push(' ');
        }
        for letter in word.chars() {
            if width(&line) >= columns {
                lines.push(std::mem::take(&mut line));
            }
            line.push(letter);
        }
    }
    if !line.is_empty() {
        lines.push(line);
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_breaks_at_spaces_and_only_then_inside_words() {
        assert_eq!(wrap("one two  three", 7), ["one two", "three"]);
        assert_eq!(wrap("mutex_lock_slowpath", 8), ["mutex_lo", "ck_slowp", "ath"]);
        assert!(wrap("", 10).is_empty());
        assert_eq!(wrap("ab", 0), ["a", "b"]);
    }

    #[test]
    fn a_line_of_pieces_breaks_at_spaces_and_keeps_its_roles() {
        let line = Line::of("  held by ", Role::Dim).with("java[1]", Role::Task);
        let lines = line.with(" and more", Role::Text).wrapped(18, 4);
        let texts: Vec<String> = lines.iter().map(Line::text).collect();
        assert_eq!(texts, ["  held by java[1] ", "    and more"]);
        assert!(lines[0].0.contains(&("java[1]".to_owned(), Role::Task)));
        assert_eq!(Line::of("abcdefgh", Role::Text).wrapped(3, 1).len(), 1);
    }

    #[test]
    fn a_match_is_marked_across_pieces() {
        let line =
            Line::of("call   ", Role::Type).with("Mutex", Role::Symbol).with("_lock", Role::Dim);
        let marked = line.clone().marking("x_l");
        assert_eq!(marked.text(), line.text());
        let hits = marked.0.iter().filter(|(_, role)| *role == Role::Match);
        assert_eq!(hits.map(|(text, _)| text.as_str()).collect::<String>(), "x_l");
        assert_eq!(line.clone().marking("nothing"), line);
        assert_eq!(line.clone().marking(""), line);
    }

    #[test]
    fn a_line_that_does_not_fit_says_so() {
        let theme = Theme::new(false, false);
        let area = Rect::new(0, 0, 6, 1);
        let mut buf = Buffer::empty(area);
        let line = Line::of("abc", Role::Text).with("defgh", Role::Lock);
        draw(&mut buf, area, &line, theme, Mark::None);
        let text: String = buf.content.iter().map(|cell| cell.symbol()).collect();
        assert_eq!(text, "abcde…");
    }
}
