//! Raw memory: words, characters, and what the words point to.

use crate::tui::app::App;
use crate::tui::model::{MemoryRow, ROW};
use crate::tui::theme::Role;
use crate::tui::widget::frame::{Title, empty, frame};
use crate::tui::widget::lines::{Line, Mark, draw};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

pub(super) fn draw_memory(app: &App, buf: &mut Buffer, area: Rect) {
    let mut about = Line::of(app.here.memory.to_string(), Role::Address);
    let view = app.memory.ready();
    let at = app.here.memory.0 & !(ROW - 1);
    let here = view.and_then(|view| view.rows.iter().find(|row| row.at.0 == at));
    if let Some(symbol) = here.and_then(|row| row.symbol.as_ref()) {
        about.push(format!("  {symbol}"), Role::Symbol);
    }
    let title = Title { name: "Memory", about, right: String::new() };
    let inside = frame(buf, area, &title, true, app.theme);
    let Some(view) = view else {
        let (text, role) = match app.memory.error() {
            Some(error) => (error, Role::Fault),
            None => ("reading", Role::Wait),
        };
        return empty(buf, inside, text, role, app.theme);
    };
    let top = app.memory_top();
    let skip = view.rows.partition_point(|row| row.at < top);
    for (row, y) in view.rows.iter().skip(skip).zip(inside.top()..inside.bottom()) {
        let mark = Mark::of(row.at.0 == at, true);
        draw(buf, Rect { y, height: 1, ..inside }, &line(row), app.theme, mark);
    }
}

fn line(row: &MemoryRow) -> Line {
    let mut line = Line::of(format!(" {:016x}: ", row.at), Role::Address);
    let bytes = match &row.bytes {
        Ok(bytes) => bytes,
        Err(why) => return line.with(format!(" ? {why}"), Role::Fault),
    };
    for half in bytes.as_chunks::<8>().0 {
        line.push(format!(" {:016x}", u64::from_le_bytes(*half)), Role::Text);
    }
    let shown = |byte: &u8| if (0x20..0x7f).contains(byte) { char::from(*byte) } else { '.' };
    line.push(format!("  {}", bytes.iter().map(shown).collect::<String>()), Role::Dim);
    for symbol in row.points.iter().flatten() {
        line.push(format!("  {symbol}"), Role::Symbol);
    }
    line
}
