//! The pane of the selected task's stack.

use super::position;
use crate::debuginfo::Position;
use crate::locks::{Confidence, Mode, Waiter};
use crate::present::span;
use crate::tui::app::App;
use crate::tui::model::FrameRow;
use crate::tui::theme::Role;
use crate::tui::trace::{TraceRow, file_and_line};
use crate::tui::widget::frame::{Title, empty, frame};
use crate::tui::widget::lines::Line;
use crate::unwind::FrameKind;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

pub(super) fn draw_backtrace(app: &App, buf: &mut Buffer, area: Rect, focus: bool) {
    let mut about = Line::default();
    if let Some(row) = app.selected() {
        let state = row.task.state.as_ref().map_or("??", |state| state.letters());
        about.push(row.task.label(), Role::Task);
        about.push(format!(" {state}"), Role::Text);
        if let Ok(cpu) = &row.task.cpu {
            about.push(format!(" CPU {cpu}"), Role::Text);
        }
    }
    let window = app.here.windows.trace;
    let title = Title { name: "Backtrace", about, right: position(window, app.trace_rows.len()) };
    let inside = frame(buf, area, &title, focus, app.theme);
    let Some(trace) = app.trace.ready().filter(|_| !app.trace_rows.is_empty()) else {
        let (text, role) = match app.trace.error() {
            Some(error) => (error, Role::Fault),
            None if app.trace.loading => ("unwinding the stack", Role::Wait),
            None => ("no task is selected", Role::Dim),
        };
        return empty(buf, inside, text, role, app.theme);
    };
    let room = usize::from(inside.width);
    super::rows(app, buf, inside, window, app.trace_rows.len(), focus, |n| {
        match app.trace_rows.get(n) {
            Some(TraceRow::Frame(n)) => {
                let own = app.trace_lines().get(*n).and_then(|positions| positions.last());
                let own = own.filter(|position| !position.inlined);
                let frame = trace.frames.get(*n);
                frame.map(|frame| frame_line(*n, frame, own, room)).unwrap_or_default()
            }
            Some(TraceRow::Inline { frame, position }) => {
                let position = app.trace_lines().get(*frame).and_then(|all| all.get(*position));
                position.map(|position| inline_line(position, room)).unwrap_or_default()
            }
            Some(TraceRow::Wait { lock, waiter }) => wait_line(app, *lock, *waiter),
            Some(TraceRow::Other(other)) => other_line(app, *other),
            Some(TraceRow::Holds { lock, holder }) => holds_line(app, *lock, *holder),
            Some(TraceRow::Cut) => {
                let why = trace.cut.as_deref().unwrap_or_default();
                Line::of(format!("    {} cut: {why}", app.theme.glyphs.more), Role::Fault)
            }
            None => Line::default(),
        }
    });
}

fn frame_line(n: usize, frame: &FrameRow, position: Option<&Position>, room: usize) -> Line {
    // crash's marks: what interrupted stands in brackets, what nothing vouches for has a `?`.
    let mark = if frame.reliable { " " } else { "?" };
    let mut line =
        Line::of(format!("{n:>3}{mark}"), if frame.reliable { Role::Dim } else { Role::Fault });
    let kind = match frame.kind {
        FrameKind::Call => "",
        FrameKind::Exception => "[exception] ",
        FrameKind::Irq => "[irq] ",
        FrameKind::Nmi => "[nmi] ",
        FrameKind::User => "[user] ",
    };
    line.push(kind, Role::Wait);
    match &frame.symbol {
        Some(symbol) => {
            line.push(symbol.clone(), Role::Symbol);
            line.push(format!("+{:#x}", frame.offset), Role::Dim);
        }
        None if frame.kind == FrameKind::User => line.push("user space", Role::Text),
        None => line.push("?", Role::Fault),
    }
    if let Some(module) = &frame.module {
        line.push(format!(" [{module}]"), Role::Type);
    }
    let pc = format!("{:016x}", frame.pc);
    // Where a line is known, it says more than the stack pointer, or the address.
    let wide = room >= 84;
    let left = if wide { room - pc.len() - 1 } else { room };
    if let Some(place) = position.and_then(|position| place(position, line.width(), left)) {
        line = line.pad(left - place.len() - 1).with(place, Role::Text);
        return if wide { line.with(" ", Role::Text).with(pc, Role::Address) } else { line };
    }
    let sp = format!("{:016x}", frame.sp);
    if line.width() + 2 + pc.len() + 1 + sp.len() < room && wide {
        line = line.pad(room - pc.len() - sp.len() - 2).with(sp, Role::Dim).with(" ", Role::Text);
        line.push(pc, Role::Address);
    } else if line.width() + 2 + pc.len() < room {
        line = line.pad(room - pc.len() - 1).with(pc, Role::Address);
    }
    line
}

/// A function that was inlined: no frame of its own, so it steps back.
fn inline_line(position: &Position, room: usize) -> Line {
    let function = position.function.as_deref().unwrap_or("?");
    let line = Line::of(format!("      {function} (inlined)"), Role::Dim);
    match place(position, line.width(), room) {
        Some(place) => line.pad(room - place.len() - 1).with(place, Role::Dim),
        None => line,
    }
}

/// File and line, without the folders where there is no room for them.
fn place(position: &Position, used: usize, room: usize) -> Option<String> {
    let whole = file_and_line(position)?;
    let short = whole.rsplit('/').next().unwrap_or(&whole).to_owned();
    // File names are the build's and may hold anything.
    [whole, short].into_iter().find(|place| place.is_ascii() && used + place.len() + 2 < room)
}

/// `write, 2nd in line`, `spins, 1st in line`.
pub(crate) fn asked(waiter: &Waiter) -> String {
    let mut words = Vec::new();
    if waiter.spinning {
        words.push("spins".to_owned());
    }
    if waiter.mode != Mode::None {
        words.push(waiter.mode.name().to_owned());
    }
    if let Some(position) = waiter.position {
        words.push(format!("{} in line", ordinal(position)));
    }
    words.join(", ")
}

/// `1st`, `2nd`, `11th`.
fn ordinal(n: u32) -> String {
    let suffix = match (n % 10, n % 100) {
        (1, rest) if rest != 11 => "st",
        (2, rest) if rest != 12 => "nd",
        (3, rest) if rest != 13 => "rd",
        _ => "th",
    };
    format!("{n}{suffix}")
}

fn wait_line(app: &App, lock: usize, waiter: usize) -> Line {
    let glyphs = app.theme.glyphs;
    let Some(lock) = app.locks.ready().and_then(|graph| graph.locks.get(lock)) else {
        return Line::default();
    };
    let Some(waiter) = lock.waiters.get(waiter) else { return Line::default() };
    let mut line = Line::of(format!("    {} waits", glyphs.wait), Role::Wait);
    if let Some(since) = waiter.since {
        line.push(format!(" {}", span(since)), Role::Wait);
    }
    line.push(" for ", Role::Wait);
    line.push(lock.name.clone(), Role::Lock);
    let asked = asked(waiter);
    if !asked.is_empty() {
        line.push(format!(" ({asked})"), Role::Text);
    }
    match lock.holders.first() {
        Some(holder) => {
            line.push(format!(" {} held by ", glyphs.from), Role::Dim);
            line.push(holder.task.label(), Role::Task);
            if lock.holders.len() > 1 {
                line.push(format!(" and {} more", lock.holders.len() - 1), Role::Text);
            }
        }
        None if lock.kind.is_condition() => {}
        None => line.push(", no known holder", Role::Fault),
    }
    line
}

fn other_line(app: &App, other: usize) -> Line {
    let other = app.locks.ready().and_then(|graph| graph.others.get(other));
    let on = other.map_or("", |other| other.on.as_str());
    Line::of(format!("    {} ", app.theme.glyphs.wait), Role::Wait).with(on, Role::Text)
}

fn holds_line(app: &App, lock: usize, holder: usize) -> Line {
    let Some(lock) = app.locks.ready().and_then(|graph| graph.locks.get(lock)) else {
        return Line::default();
    };
    let Some(holder) = lock.holders.get(holder) else { return Line::default() };
    let sure = holder.confidence != Confidence::Possible;
    let (verb, role) = if sure { ("holds", Role::Bad) } else { ("may hold", Role::Fault) };
    Line::of(format!("    {} {verb} ", app.theme.glyphs.lock), role)
        .with(lock.name.clone(), Role::Lock)
        .with(format!(" ({}, {})", holder.mode.name(), holder.confidence.name()), Role::Text)
        .with(format!(", {} waiting", lock.waiters.len()), Role::Wait)
}

#[cfg(test)]
mod tests {
    use super::ordinal;

    #[test]
    fn places_in_line_are_ordinals() {
        let words = [1, 2, 3, 4, 11, 12, 13, 21, 102, 111].map(ordinal);
        assert_eq!(
            words,
            ["1st", "2nd", "3rd", "4th", "11th", "12th", "13th", "21st", "102nd", "111th"]
        );
    }
}
