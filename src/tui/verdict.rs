//! The verdict in words, or how far the analysis has got.

use super::app::App;
use super::layout::verdict_lines;
use super::theme::Role;
use super::widget::lines::{Line, wrap};
use crate::locks::TaskRef;

/// The lines under the header: the verdict, as much of it as there is room for.
pub(crate) fn lines(app: &App) -> Vec<Line> {
    let room = usize::from(verdict_lines(app.size.1));
    let columns = usize::from(app.size.0).saturating_sub(3);
    let Some(text) = text(app) else {
        return vec![stages(app)];
    };
    let mut lines = wrap(&text.0, columns);
    let cut = lines.len() > room;
    lines.truncate(room);
    if cut && let Some(last) = lines.last_mut() {
        let more = format!(" {} v", app.theme.glyphs.more);
        let keep: String =
            last.chars().take(columns.saturating_sub(more.chars().count())).collect();
        *last = keep + &more;
    }
    let bar = app.theme.glyphs.verdict;
    let line = |line| Line::of(format!(" {bar}"), Role::Bad).with(line, text.1);
    lines.into_iter().map(line).collect()
}

/// What is known to say, and how it is meant.
fn text(app: &App) -> Option<(String, Role)> {
    let error = app.open.error().or(app.tasks.error()).or(app.locks.error());
    if let Some(error) = error {
        return Some((error.to_owned(), Role::Fault));
    }
    let graph = app.locks.ready()?;
    Some((graph.verdict.clone(), Role::Title))
}

/// The steps of the analysis, each done, going on or still to come.
fn stages(app: &App) -> Line {
    let glyphs = app.theme.glyphs;
    let busy = glyphs.busy.get(app.ticks % glyphs.busy.len()).copied().unwrap_or("");
    let open = app.open.ready().is_some();
    let opening = if open { "open" } else { app.stage };
    let tasks = app.tasks.ready().is_some();
    let locks = app.locks_so_far.as_deref().unwrap_or("traces and locks");
    let mut line = Line::default();
    for (name, done, begun) in
        [(opening, open, true), ("tasks", tasks, open), (locks, false, tasks)]
    {
        let (sign, role) = match (done, begun) {
            (true, _) => (glyphs.done, Role::Good),
            (false, true) => (busy, Role::Wait),
            (false, false) => (glyphs.dot, Role::Dim),
        };
        line.push(format!(" {sign} "), role);
        line.push(format!("{name}  "), if begun { Role::Text } else { Role::Dim });
    }
    line
}

/// The whole verdict, the deadlocks, the root blockers and what could not be decided.
pub(crate) fn full(app: &App) -> Vec<Line> {
    let columns = usize::from(app.size.0).clamp(20, 100) - 8;
    let mut lines = Vec::new();
    let Some(graph) = app.locks.ready() else {
        let (text, role) =
            text(app).unwrap_or(("the locks are not analysed yet".into(), Role::Wait));
        return wrap(&text, columns).into_iter().map(|line| Line::of(line, role)).collect();
    };
    let mut paragraph = |heading: &str, items: Vec<String>| {
        if items.is_empty() {
            return;
        }
        if !lines.is_empty() {
            lines.push(Line::default());
        }
        if !heading.is_empty() {
            lines.push(Line::of(heading, Role::Title));
        }
        for item in items {
            let indent = if heading.is_empty() { "" } else { "  " };
            for (n, line) in wrap(&item, columns - 2).into_iter().enumerate() {
                let lead = if heading.is_empty() || n > 0 { indent } else { "- " };
                lines.push(Line::of(format!("{lead}{line}"), Role::Text));
            }
        }
    };
    paragraph("", vec![graph.verdict.clone()]);
    let cycles = graph.cycles.iter().map(|cycle| {
        let mut names: Vec<String> = cycle.tasks.iter().map(TaskRef::label).collect();
        names.extend(names.first().cloned());
        names.join(&format!(" {} ", app.theme.glyphs.to))
    });
    paragraph("Deadlocks (each waits for the next)", cycles.collect());
    let roots = graph
        .roots
        .iter()
        .map(|root| format!("{} holds up {}: {}", root.task.label(), root.blocks, root.doing));
    paragraph("Root blockers", roots.collect());
    paragraph("Not decided", graph.notes.clone());
    lines
}
