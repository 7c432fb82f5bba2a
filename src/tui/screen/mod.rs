//! What is drawn: each screen and pane, from the application alone.

pub(crate) mod backtrace;
mod code;
mod footer;
mod header;
mod help;
pub(crate) mod inspector;
pub(crate) mod locks;
mod log;
mod memory;
mod output;
mod overlay;
pub(crate) mod source;
pub(crate) mod tasks;
mod why;

use super::app::App;
use super::history::Screen;
use super::keymap::Pane;
use super::layout::Frames;
use super::theme::Role;
use super::widget::lines::{Line, Mark, draw};
use ratatui::Frame;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

/// Draws the application.
pub(crate) fn render(app: &App, frame: &mut Frame) {
    let area = frame.area();
    // The terminal may be of another size than the last event said; then the next event says so.
    if (area.width, area.height) == app.size {
        paint(app, frame.buffer_mut());
    }
}

/// Draws the application into a buffer of its size.
pub(crate) fn paint(app: &App, buf: &mut Buffer) {
    let frames = app.frames();
    header::draw_header(app, buf, frames.header);
    for (line, y) in app.verdict.iter().zip(frames.verdict.top()..frames.verdict.bottom()) {
        draw(buf, Rect { y, height: 1, ..frames.verdict }, line, app.theme, Mark::None);
    }
    match app.here.screen {
        Screen::Overview => {
            gutter(app, buf, &frames);
            for (pane, area) in &frames.panes {
                let focus = *pane == app.here.pane;
                match pane {
                    Pane::Tasks => tasks::draw_tasks(app, buf, *area, focus),
                    Pane::Backtrace => backtrace::draw_backtrace(app, buf, *area, focus),
                    Pane::Inspector => inspector::draw_inspector(app, buf, *area, focus),
                    Pane::Locks => locks::draw_locks(app, buf, *area, focus),
                }
            }
        }
        Screen::Locks => locks::draw_screen(app, buf, frames.body),
        Screen::Why => why::draw_why(app, buf, frames.body),
        Screen::Log => log::draw_log(app, buf, frames.body),
        Screen::Memory => memory::draw_memory(app, buf, frames.body),
        Screen::Code => code::draw_code(app, buf, frames.body),
        Screen::Source => source::draw_source(app, buf, frames.body),
        Screen::Output => output::draw_output(app, buf, frames.body),
    }
    footer::draw_footer(app, buf, frames.footer);
    overlay::draw_overlay(app, buf, &frames);
}

/// The line between panes side by side, joined to the rules that meet it.
fn gutter(app: &App, buf: &mut Buffer, frames: &Frames) {
    let [.., down] = app.theme.glyphs.frame;
    let [cross, left, right, top] = app.theme.glyphs.joints;
    let area = frames.gutter;
    let rule = |x: u16, y: u16| {
        frames.panes.iter().any(|(_, pane)| pane.y == y && (pane.x..pane.right()).contains(&x))
    };
    for y in area.top()..area.bottom() {
        let sides = (rule(area.x.saturating_sub(1), y), rule(area.x + 1, y));
        let joint = match sides {
            (true, true) if y == area.top() => top,
            (true, true) => cross,
            (true, false) => left,
            (false, true) => right,
            (false, false) => down,
        };
        let line = Line::of(joint.to_string(), Role::Border);
        draw(buf, Rect { y, height: 1, ..area }, &line, app.theme, Mark::None);
    }
}

/// The rows of a list: draws `row(n)` for each visible `n`.
fn rows(
    app: &App,
    buf: &mut Buffer,
    area: Rect,
    window: super::widget::window::Window,
    len: usize,
    focus: bool,
    row: impl Fn(usize) -> Line,
) {
    let visible = window.visible(len, usize::from(area.height));
    for (n, y) in visible.zip(area.top()..area.bottom()) {
        let mark = Mark::of(n == window.cursor, focus);
        draw(buf, Rect { y, height: 1, ..area }, &row(n), app.theme, mark);
    }
}

/// Where the cursor stands: `12/148`.
fn position(window: super::widget::window::Window, len: usize) -> String {
    if len == 0 { String::new() } else { format!("{}/{len}", window.cursor + 1) }
}
