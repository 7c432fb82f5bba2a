//! The rule with a title that stands over a pane.

use super::lines::{Line, Mark, draw, width};
use crate::tui::theme::{Role, Theme};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

/// A pane's title: its name, what it shows, and a figure at the right end.
#[derive(Default)]
pub(crate) struct Title {
    pub(crate) name: &'static str,
    pub(crate) about: Line,
    pub(crate) right: String,
}

/// Draws the rule of a pane; gives the area under it.
pub(crate) fn frame(
    buf: &mut Buffer,
    area: Rect,
    title: &Title,
    focus: bool,
    theme: Theme,
) -> Rect {
    let area = area.intersection(buf.area);
    if area.is_empty() {
        return Rect::default();
    }
    let [_, _, _, _, rule, _] = theme.glyphs.frame;
    let role = if focus { Role::Focus } else { Role::Border };
    let row = Rect { height: 1, ..area };
    let rule = rule.to_string().repeat(usize::from(area.width));
    draw(buf, row, &Line::of(rule, role), theme, Mark::None);
    let room = usize::from(area.width);
    let name = format!(" {} ", title.name);
    // The focused pane's name is reversed, so that the difference shows without colour too.
    let mark = if focus { Mark::Selected } else { Mark::None };
    let shift = u16::from(room > width(&name) + 1);
    let label = Rect { x: area.x + shift, width: clamp(width(&name), area.width - shift), ..row };
    draw(buf, label, &Line::of(name, Role::Title), theme, mark);
    let after = label.right();
    let right = if title.right.is_empty() { String::new() } else { format!(" {} ", title.right) };
    let right_width = width(&right);
    let left = usize::from(area.right().saturating_sub(after));
    let mut about = title.about.clone();
    if !about.0.is_empty() && left > 3 {
        about.0.insert(0, (" ".to_owned(), Role::Text));
        about.push(" ", Role::Text);
        // The figure at the end gives way to what the pane is about.
        let spare = if left > about.width() + right_width { right_width + 1 } else { 0 };
        let about_area =
            Rect { x: after, width: clamp(about.width(), area.right() - after), ..row };
        let about_area =
            Rect { width: about_area.width.min(clamp(left - spare, u16::MAX)), ..about_area };
        draw(buf, about_area, &about, theme, Mark::None);
    }
    let used = usize::from(after - area.x) + about.width();
    if right_width > 0 && room > used + right_width {
        let x = area.right() - clamp(right_width, area.width) - 1;
        let at = Rect { x: x.max(area.x), width: clamp(right_width, area.width), ..row };
        draw(buf, at, &Line::of(right, Role::Dim), theme, Mark::None);
    }
    Rect { y: area.y + 1, height: area.height - 1, ..area }
}

/// A number of cells as a width of at most `most`.
fn clamp(cells: usize, most: u16) -> u16 {
    u16::try_from(cells).unwrap_or(u16::MAX).min(most)
}

/// Draws a text in the middle of an area that has nothing else to show.
pub(crate) fn empty(buf: &mut Buffer, area: Rect, text: &str, role: Role, theme: Theme) {
    let lines = super::lines::wrap(text, usize::from(area.width).saturating_sub(4));
    for (y, line) in (area.y + area.height.min(3) / 2..area.bottom()).zip(lines) {
        let row =
            Rect { x: area.x.saturating_add(2), y, width: area.width.saturating_sub(2), height: 1 };
        draw(buf, row, &Line::of(line, role), theme, Mark::None);
    }
}
