//! What lies over the screen.

use super::help::{draw_help, draw_verdict};
use crate::tui::app::App;
use crate::tui::keymap::continuations;
use crate::tui::layout::Frames;
use crate::tui::prompt::{Overlay, Prompt, Purpose};
use crate::tui::theme::Role;
use crate::tui::widget::lines::Line;
use crate::tui::widget::popup::{list, popup};
use ratatui::buffer::Buffer;

pub(super) fn draw_overlay(app: &App, buf: &mut Buffer, frames: &Frames) {
    match &app.overlay {
        Some(Overlay::Prompt(prompt)) => draw_choices(app, buf, frames, prompt),
        Some(Overlay::Help { filter, window }) => {
            draw_help(app, buf, frames.body, filter, *window);
        }
        Some(Overlay::Verdict(window)) => draw_verdict(app, buf, frames.body, *window),
        None if !app.typed.is_empty() => draw_continuations(app, buf, frames),
        None => {}
    }
}

/// What a prompt offers.
fn draw_choices(app: &App, buf: &mut Buffer, frames: &Frames, prompt: &Prompt) {
    let choices = prompt.choices(app);
    if choices.is_empty() {
        return;
    }
    let columns = usize::from(frames.body.width).saturating_sub(4).min(96);
    let title = match prompt.purpose {
        Purpose::Palette => "Actions and commands",
        _ => "Go to",
    };
    let inside = popup(buf, frames.body, columns, choices.len(), title, true, app.theme);
    let room = usize::from(inside.width);
    let lines = choices.iter().map(|choice| {
        let line = Line::of(choice.text.clone(), Role::Text);
        let gap = room.saturating_sub(crate::tui::widget::lines::width(&choice.note));
        if line.width() + 2 > gap {
            return line.with("  ", Role::Text).with(choice.note.clone(), Role::Dim);
        }
        line.pad(gap).with(choice.note.clone(), Role::Dim)
    });
    list(buf, inside, lines, prompt.picked, app.theme);
}

/// What may follow the keys typed so far.
fn draw_continuations(app: &App, buf: &mut Buffer, frames: &Frames) {
    let typed: String = app.typed.iter().map(ToString::to_string).collect();
    let lines = continuations(&app.typed, app.context());
    let columns = lines.iter().map(|(keys, doc)| keys.len() + doc.len() + 3).max().unwrap_or(0);
    let inside = popup(
        buf,
        frames.body,
        columns,
        lines.len(),
        &format!("{typed} {}", app.theme.glyphs.more),
        true,
        app.theme,
    );
    let lines = lines
        .into_iter()
        .map(|(keys, doc)| Line::of(keys, Role::Key).with(format!("  {doc}"), Role::Text));
    list(buf, inside, lines, None, app.theme);
}
