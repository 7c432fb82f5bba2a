//! The first line: what was opened, and how many tasks block, run and sleep.

use crate::kernel::State;
use crate::present::span;
use crate::tui::app::App;
use crate::tui::theme::Role;
use crate::tui::widget::lines::{Line, Mark, draw};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

pub(super) fn draw_header(app: &App, buf: &mut Buffer, area: Rect) {
    let counts = counts(app);
    let room = usize::from(area.width);
    let left = described(app, room.saturating_sub(counts.width() + 1));
    draw(buf, area, &left, app.theme, Mark::None);
    let width = u16::try_from(counts.width()).unwrap_or(u16::MAX);
    if width > 0 && width + 12 < area.width {
        let right = Rect { x: area.right() - width, width, ..area };
        draw(buf, right, &counts, app.theme, Mark::None);
    }
}

/// As many facts as there is room for, the most useful ones first.
fn described(app: &App, room: usize) -> Line {
    let dot = app.theme.glyphs.dot;
    let mut line = Line::of(" hangscope ", Role::Header);
    let Some(overview) = app.overview.ready() else {
        return line.with(format!(" {}", app.file), Role::Text);
    };
    let file = match overview.format.is_empty() {
        true => overview.file.clone(),
        false => format!("{} ({})", overview.file, overview.format),
    };
    let cpus = overview.cpus.map(|cpus| format!("{cpus} CPUs"));
    let uptime = overview.uptime.map(|time| format!("up {}", span(time)));
    let panic = overview.panic.as_ref().map(|panic| format!("panic: {panic}"));
    // In the order of the line, and the order in which they find room.
    let facts =
        [(1, Some(file)), (0, Some(overview.release.clone())), (3, cpus), (4, uptime), (2, panic)];
    let mut by_rank: Vec<_> = facts.iter().collect();
    by_rank.sort_by_key(|(rank, _)| *rank);
    let mut left = room.saturating_sub(line.width());
    let mut kept = Vec::new();
    for (rank, fact) in by_rank {
        let cells = fact.as_ref().map_or(0, |fact| crate::tui::widget::lines::width(fact) + 3);
        if cells <= left {
            left -= cells;
            kept.push(*rank);
        } else if *rank == 0 {
            break;
        }
    }
    let mut first = true;
    for (rank, fact) in facts {
        if let Some(fact) = fact.filter(|fact| kept.contains(&rank) && !fact.is_empty()) {
            line.push(if first { " ".to_owned() } else { format!(" {dot} ") }, Role::Dim);
            line.push(fact, if rank == 2 { Role::Bad } else { Role::Text });
            first = false;
        }
    }
    line
}

fn counts(app: &App) -> Line {
    let mut line = Line::default();
    if app.tasks.ready().is_none() {
        return line;
    }
    let count = |state| app.rows.iter().filter(|row| row.task.state == Ok(state)).count();
    for (state, role) in [
        (State::Uninterruptible, Role::Bad),
        (State::Running, Role::Good),
        (State::Interruptible, Role::Text),
    ] {
        line.push(format!(" {} ", state.letters()), Role::Dim);
        line.push(count(state).to_string(), role);
    }
    line.with(" ", Role::Text)
}
