//! Source code: the functions at a place, and the file of one of them around its line.

use super::position;
use crate::debuginfo::Position;
use crate::tui::app::App;
use crate::tui::theme::Role;
use crate::tui::trace::file_and_line;
use crate::tui::widget::frame::{Title, empty, frame};
use crate::tui::widget::lines::{Line, Mark, draw};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

/// Functions that are listed over the file, at most: the rest of the room is the file's.
const MOST_FUNCTIONS: usize = 6;

/// The rows that the list of functions takes of a screen of this height.
pub(crate) fn functions_height(app: &App, height: u16) -> u16 {
    let functions = app.source.ready().map_or(0, |view| view.functions.len());
    // One alone stands in the title.
    let rows = if functions > 1 { functions.min(MOST_FUNCTIONS) + 1 } else { 0 };
    u16::try_from(rows).unwrap_or(u16::MAX).min(height / 3)
}

pub(super) fn draw_source(app: &App, buf: &mut Buffer, area: Rect) {
    let window = app.here.windows.source;
    let shown = app.source_of();
    let mut about = Line::default();
    if let Some(of) = shown {
        about.push(file_and_line(&of.position).unwrap_or_default(), Role::Wait);
        if let Some(function) = &of.position.function {
            about.push(format!("  {function}"), Role::Symbol);
        }
        if let Some(frame) = app.here.source.frame {
            let task = app.selected().map(|row| format!(" of {}", row.task.label()));
            about.push(format!("  frame {frame}{}", task.unwrap_or_default()), Role::Task);
        }
    }
    if !app.here.search.is_empty() {
        about.push(format!("  /{}", app.here.search), Role::Match);
    }
    let lines = app.source_lines();
    let title = Title { name: "Source", about, right: position(window, lines.len()) };
    let inside = frame(buf, area, &title, true, app.theme);
    let Some(of) = shown else {
        let (text, role) = match app.source.error() {
            Some(error) if !app.source.loading => (error, Role::Fault),
            _ => ("looking for the source", Role::Wait),
        };
        return empty(buf, inside, text, role, app.theme);
    };
    let head = functions_height(app, area.height);
    functions(app, buf, Rect { height: head, ..inside }.intersection(inside));
    let height = inside.height.saturating_sub(head);
    let below = Rect { y: inside.y + inside.height.min(head), height, ..inside };
    if let Err(why) = &of.text {
        return empty(buf, below, why, Role::Fault, app.theme);
    }
    if lines.is_empty() {
        return empty(buf, below, "the file is empty", Role::Dim, app.theme);
    }
    let current = of.position.line;
    super::rows(app, buf, below, window, lines.len(), true, |n| {
        let number = u32::try_from(n + 1).unwrap_or(u32::MAX);
        let mut line = match app.frames_at(number).next() {
            Some(frame) => Line::of(format!("{:>3} ", format!("#{frame}")), Role::Bad),
            None => Line::of("    ", Role::Text),
        };
        let here = current == Some(number);
        line.push(if here { app.theme.glyphs.selected } else { " " }, Role::Bad);
        line.push(format!("{number:>6}  "), if here { Role::Key } else { Role::Dim });
        let text = lines.get(n).map_or("", String::as_str);
        line.push(text, if here { Role::Task } else { Role::Text });
        line.marking(&app.here.search)
    });
}

/// The functions that are there, innermost first, with a rule under them.
fn functions(app: &App, buf: &mut Buffer, area: Rect) {
    let Some(view) = app.source.ready().filter(|_| area.height > 1) else { return };
    let chosen = app.here.source.function;
    let room = usize::from(area.height) - 1;
    let first = (chosen + 1).saturating_sub(room).min(view.functions.len().saturating_sub(room));
    let rows = (area.top()..area.bottom() - 1).zip(view.functions.iter().enumerate().skip(first));
    for (y, (n, of)) in rows {
        let mark = if n == chosen { app.theme.glyphs.selected } else { " " };
        let line = function_line(Line::of(format!("  {mark} "), Role::Key), &of.position);
        draw(buf, Rect { y, height: 1, ..area }, &line, app.theme, Mark::of(n == chosen, false));
    }
    let [.., rule, _] = app.theme.glyphs.frame;
    let rule = Line::of(rule.to_string().repeat(usize::from(area.width)), Role::Border);
    draw(buf, Rect { y: area.bottom() - 1, height: 1, ..area }, &rule, app.theme, Mark::None);
}

fn function_line(mut line: Line, position: &Position) -> Line {
    line.push(position.function.as_deref().unwrap_or("?"), Role::Symbol);
    if position.inlined {
        line.push(" inlined", Role::Dim);
    }
    let place = file_and_line(position).unwrap_or_else(|| "no line is known".to_owned());
    line.pad(36).with(format!(" {place}"), Role::Text)
}
