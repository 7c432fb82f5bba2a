//! A box over the screen, and lists in it.

use super::lines::{Line, Mark, draw};
use crate::tui::theme::{Role, Theme};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

/// Draws a box of at most this size, at the bottom of `over` or in its middle; gives its inside.
pub(crate) fn popup(
    buf: &mut Buffer,
    over: Rect,
    columns: usize,
    rows: usize,
    title: &str,
    bottom: bool,
    theme: Theme,
) -> Rect {
    let over = over.intersection(buf.area);
    let fit = |cells: usize, most: u16| u16::try_from(cells).unwrap_or(u16::MAX).min(most);
    let (width, height) =
        (fit(columns.saturating_add(4), over.width), fit(rows.saturating_add(2), over.height));
    let y = if bottom { over.height - height } else { (over.height - height) / 2 };
    let area = Rect { x: over.x + (over.width - width) / 2, y: over.y + y, width, height };
    if area.width < 5 || area.height < 3 {
        return Rect::default();
    }
    let [top_left, top_right, bottom_left, bottom_right, across, down] = theme.glyphs.frame;
    let inner = usize::from(area.width) - 2;
    for y in area.top()..area.bottom() {
        let (left, fill, right) = if y == area.y {
            (top_left, across, top_right)
        } else if y + 1 == area.bottom() {
            (bottom_left, across, bottom_right)
        } else {
            (down, ' ', down)
        };
        let text = format!("{left}{}{right}", fill.to_string().repeat(inner));
        let row = Rect { y, height: 1, ..area };
        draw(buf, row, &Line::of(text, Role::Focus), theme, Mark::None);
    }
    let label = Rect { x: area.x + 2, width: area.width - 4, height: 1, ..area };
    draw(buf, label, &Line::of(format!(" {title} "), Role::Title), theme, Mark::None);
    Rect { x: area.x + 2, y: area.y + 1, width: area.width - 4, height: area.height - 2 }
}

/// Draws lines into an area, the selected one marked.
pub(crate) fn list(
    buf: &mut Buffer,
    area: Rect,
    lines: impl IntoIterator<Item = Line>,
    selected: Option<usize>,
    theme: Theme,
) {
    for (n, (line, y)) in lines.into_iter().zip(area.top()..area.bottom()).enumerate() {
        let mark = Mark::of(selected == Some(n), true);
        draw(buf, Rect { y, height: 1, ..area }, &line, theme, mark);
    }
}
