//! The last line: a prompt, a message, or the keys that matter here.

use crate::tui::app::App;
use crate::tui::keymap::bindings_in;
use crate::tui::prompt::{Overlay, Prompt};
use crate::tui::theme::Role;
use crate::tui::widget::lines::{Line, Mark, draw, width};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::{Modifier, Style};

pub(super) fn draw_footer(app: &App, buf: &mut Buffer, area: Rect) {
    if let Some(Overlay::Prompt(prompt)) = &app.overlay {
        return draw_prompt(app, buf, area, prompt);
    }
    let line = match &app.message {
        Some((role, text)) => Line::of(format!(" {text}"), *role),
        None => {
            let said = identity(app, usize::from(area.width));
            let mut line = keys(app, usize::from(area.width).saturating_sub(said.width()));
            let room = usize::from(area.width).saturating_sub(line.width() + said.width());
            if said.width() > 0 {
                line.push(" ".repeat(room), Role::Text);
                line.0.extend(said.0);
            }
            line
        }
    };
    draw(buf, area, &line, app.theme, Mark::None);
}

/// What the address is that the cursor rests on, in at most half of the room.
fn identity(app: &App, room: usize) -> Line {
    let Some(text) = app.identity.ready().filter(|_| !app.identity.loading) else {
        return Line::default();
    };
    let most = (room / 2).saturating_sub(1);
    let mut shown: String = text.chars().take(most).collect();
    if width(text) > most {
        shown.pop();
        shown.push_str(app.theme.glyphs.more);
    }
    Line::of(shown, Role::Type).with(" ", Role::Text)
}

/// The hints that hold here, as many as there is room for; help and quit always.
fn keys(app: &App, room: usize) -> Line {
    let shown: Vec<_> = bindings_in(app.context()).filter(|b| !b.hint.is_empty()).collect();
    let cells = |n: usize| shown.get(n).map_or(0, |b| width(&b.first_keys()) + width(b.hint) + 3);
    // The last two are help and quit: they keep their place when others go.
    let fixed = shown.len().saturating_sub(2);
    let mut left = room.saturating_sub(1 + cells(fixed) + cells(fixed + 1));
    let mut line = Line::of(" ", Role::Text);
    for (n, binding) in shown.iter().enumerate() {
        if n < fixed {
            if cells(n) > left {
                continue;
            }
            left -= cells(n);
        }
        line.push(binding.first_keys(), Role::Key);
        line.push(format!(" {}  ", binding.hint), Role::Dim);
    }
    line
}

fn draw_prompt(app: &App, buf: &mut Buffer, area: Rect, prompt: &Prompt) {
    let sign = prompt.purpose.sign();
    let mut line = Line::of(format!(" {sign}"), Role::Key).with(prompt.text.clone(), Role::Text);
    let cursor = line.width();
    if let Some(error) = &prompt.error {
        line.push(format!("   {error}"), Role::Fault);
    } else if app.resolve.loading {
        line.push(format!("  {}", app.theme.glyphs.more), Role::Wait);
    } else if prompt.text.is_empty() {
        line.push(format!(" {}", prompt.purpose.hint()), Role::Dim);
    }
    draw(buf, area, &line, app.theme, Mark::None);
    // A cursor of our own: the terminal's stays hidden.
    let x = area.x.saturating_add(u16::try_from(cursor).unwrap_or(u16::MAX));
    let cell = Rect { x, width: 1, ..area }.intersection(area);
    buf.set_style(cell, Style::new().add_modifier(Modifier::REVERSED));
}
