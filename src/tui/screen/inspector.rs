//! The pane of an object in memory: a tree of its members.

use super::position;
use crate::tui::app::App;
use crate::tui::model::{Node, Value};
use crate::tui::theme::Role;
use crate::tui::widget::frame::{Title, empty, frame};
use crate::tui::widget::lines::{Line, Mark, draw};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

pub(super) fn draw_inspector(app: &App, buf: &mut Buffer, area: Rect, focus: bool) {
    let window = app.here.windows.nodes;
    let inspection = app.inspection.ready();
    let mut about = Line::default();
    if let Some(inspection) = inspection {
        about.push(inspection.title.clone(), Role::Type);
    }
    let len = inspection.map_or(0, |inspection| inspection.nodes.len());
    let title = Title { name: "Inspector", about, right: position(window, len) };
    let inside = frame(buf, area, &title, focus, app.theme);
    let Some(inspection) = inspection else {
        let (text, role) = match app.inspection.error() {
            Some(error) => (error, Role::Fault),
            None if app.inspection.loading => ("reading", Role::Wait),
            None => ("nothing to inspect: g goes to an object", Role::Dim),
        };
        return empty(buf, inside, text, role, app.theme);
    };
    let mut inside = inside;
    if let Some(warning) = &inspection.warning
        && inside.height > 1
    {
        let line = Line::of(format!(" ! {warning}"), Role::Fault);
        draw(buf, Rect { height: 1, ..inside }, &line, app.theme, Mark::None);
        inside = Rect { y: inside.y + 1, height: inside.height - 1, ..inside };
    }
    super::rows(app, buf, inside, window, len, focus, |n| {
        inspection.nodes.get(n).map(|node| line(app, node)).unwrap_or_default()
    });
}

fn line(app: &App, node: &Node) -> Line {
    let glyphs = app.theme.glyphs;
    let mut line = match node.offset {
        Some(offset) => Line::of(format!("{offset:>5x} "), Role::Dim),
        None => Line::of("      ", Role::Dim),
    };
    line.push("  ".repeat(usize::from(node.depth.min(40))), Role::Text);
    let sign = match node.open {
        Some(true) => glyphs.open,
        Some(false) => glyphs.closed,
        None => " ",
    };
    line.push(format!("{sign} "), Role::Key);
    line.push(node.name.clone(), Role::Text);
    line.push(" = ", Role::Dim);
    value(&mut line, &node.value, app.hex);
    if !node.ty.is_empty() {
        line.push(format!("  {}", node.ty), Role::Type);
    }
    line
}

fn value(line: &mut Line, value: &Value, hex: bool) {
    match value {
        // Small numbers read the same either way.
        Value::Number { value, bits } if hex && !(0..10).contains(value) => {
            line.push(format!("{bits:#x}"), Role::Text);
        }
        Value::Number { value, .. } => line.push(value.to_string(), Role::Text),
        Value::Pointer { to, symbol } => {
            let text = if to.is_null() { "NULL".to_owned() } else { to.to_string() };
            line.push(text, Role::Address);
            if let Some(symbol) = symbol {
                line.push(format!(" <{symbol}>"), Role::Symbol);
            }
        }
        Value::Name(name, value) => {
            line.push(name.clone(), Role::Symbol);
            line.push(format!(" ({value})"), Role::Dim);
        }
        Value::Text(text) => line.push(format!("\"{text}\""), Role::Symbol),
        Value::Note(note) => line.push(note.clone(), Role::Dim),
        Value::Fault(why) => line.push(format!("? {why}"), Role::Fault),
    }
}
