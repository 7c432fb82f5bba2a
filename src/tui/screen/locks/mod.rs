//! The lock graph: as a pane, and alone with the evidence for the selected line.

mod line;

use super::position;
use crate::locks::LockGraph;
use crate::tui::app::App;
use crate::tui::locktree::LockNode;
use crate::tui::theme::Role;
use crate::tui::widget::frame::{Title, empty, frame};
use crate::tui::widget::lines::Line;
use crate::tui::widget::window::Window;
use line::describe;
pub(crate) use line::line;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

/// What is shown before the analysis says how far it is.
pub(super) const UNWINDING: &str = "unwinding every stack, following every lock";

/// The components that the list of them shows at most.
const LISTED: usize = 8;
/// Tasks of a deadlock that its line in the list names: more fill no screen.
const NAMED: usize = 32;

/// Lines of evidence under the tree of the pane.
const BESIDE: u16 = 2;

pub(super) fn draw_locks(app: &App, buf: &mut Buffer, area: Rect, focus: bool) {
    let Some((graph, inside)) = begin(app, buf, area, focus) else { return };
    tree(app, buf, inside, graph, focus);
}

/// The tree above or beside the evidence.
pub(super) fn draw_screen(app: &App, buf: &mut Buffer, area: Rect) {
    let Some((graph, _)) = begin(app, buf, area, !app.here.weighing) else { return };
    let areas = lock_areas(app, area);
    components(app, buf, areas.components, graph);
    tree(app, buf, areas.tree, graph, !app.here.weighing);
    let window = app.here.windows.evidence;
    let right = position(window, app.evidence.len());
    let title = Title { name: "How we know", right, ..Title::default() };
    let below = frame(buf, areas.evidence, &title, app.here.weighing, app.theme);
    super::rows(app, buf, below, window, app.evidence.len(), app.here.weighing, |n| {
        app.evidence.get(n).map(|row| row.line.clone()).unwrap_or_default()
    });
}

/// Where the parts of the lock screen stand.
pub(crate) struct LockAreas {
    pub(crate) components: Rect,
    pub(crate) tree: Rect,
    /// With its title.
    pub(crate) evidence: Rect,
}

/// The parts of the lock screen in the body.
pub(crate) fn lock_areas(app: &App, body: Rect) -> LockAreas {
    let inside = Rect { y: body.y + 1, height: body.height.saturating_sub(1), ..body };
    let inside = inside.intersection(body);
    let above = components_height(app, body.height).min(inside.height);
    let components = Rect { height: above, ..inside };
    let inside = Rect { y: inside.y + above, height: inside.height - above, ..inside };
    let (tree, evidence) = if inside.width >= 120 {
        let width = inside.width * 60 / 100;
        let right = Rect { x: inside.x + width + 2, width: inside.width - width - 2, ..inside };
        (Rect { width, ..inside }, right)
    } else {
        // Whoever reads the evidence has the larger part.
        let third = inside.height / 3;
        let height = if app.here.weighing { inside.height - third } else { third };
        let height = height.max(BESIDE).min(inside.height);
        let upper = inside.height - height;
        let lower = Rect { y: inside.y + upper, height, ..inside };
        (Rect { height: upper, ..inside }, lower)
    };
    LockAreas { components, tree, evidence }
}

/// The rows that the list of components takes on a screen of this height.
pub(crate) fn components_height(app: &App, height: u16) -> u16 {
    let room = usize::from(height.saturating_sub(1) / 5).min(LISTED);
    let rows = app.components.len().min(room);
    // One alone is the whole tree; and one row would be for the title.
    if rows < 2 { 0 } else { u16::try_from(rows + 1).unwrap_or(0) }
}

/// What holds tasks up, most tasks first; the one that the cursor is in is marked.
fn components(app: &App, buf: &mut Buffer, area: Rect, graph: &LockGraph) {
    if area.height == 0 {
        return;
    }
    let mut window = Window { cursor: app.component().unwrap_or(0), top: 0 };
    let rows = usize::from(area.height - 1);
    window.fit(app.components.len(), rows);
    let right = position(window, app.components.len());
    let title = Title { name: "By blocked tasks", right, ..Title::default() };
    let mut inside = frame(buf, area, &title, false, app.theme);
    inside.height = area.height - 1;
    super::rows(app, buf, inside, window, app.components.len(), false, |n| {
        let Some(component) = app.components.get(n) else { return Line::default() };
        let current = n == window.cursor;
        let sign = if current { app.theme.glyphs.selected } else { " " };
        let mut line =
            Line::of(sign, Role::Key).with(format!("{:>6} ", component.blocked), Role::Bad);
        match app.lock_rows.get(component.row).map(|row| &row.node) {
            Some(LockNode::Cycle(cycle)) => {
                let tasks = graph.cycles.get(*cycle).map_or(&[][..], |cycle| &cycle.tasks);
                line.push(format!("{} deadlock: ", app.theme.glyphs.deadlock), Role::Bad);
                for (n, task) in tasks.iter().enumerate().take(NAMED) {
                    if n > 0 {
                        line.push(format!(" {} ", app.theme.glyphs.to), Role::Dim);
                    }
                    line.push(task.label(), Role::Task);
                }
            }
            Some(node) => describe(app, graph, node, &mut line),
            None => {}
        }
        line
    });
}

fn begin<'a>(
    app: &'a App,
    buf: &mut Buffer,
    area: Rect,
    focus: bool,
) -> Option<(&'a LockGraph, Rect)> {
    let mut about = Line::default();
    let graph = app.locks.ready();
    if let Some(graph) = graph {
        let cycles = graph.cycles.len();
        if cycles > 0 {
            let noun = if cycles == 1 { "deadlock" } else { "deadlocks" };
            about.push(format!("{} {cycles} {noun} ", app.theme.glyphs.deadlock), Role::Bad);
        }
        let (locks, roots) = (graph.locks.len(), graph.roots.len());
        let count = |n: usize, noun: &str| format!("{n} {noun}{}", if n == 1 { "" } else { "s" });
        let counts = format!("{}, {}", count(locks, "lock"), count(roots, "root blocker"));
        about.push(counts, Role::Dim);
    }
    if !app.here.search.is_empty() {
        about.push(format!("  /{}", app.here.search), Role::Match);
    }
    let right = position(app.here.windows.locks, app.lock_rows.len());
    let inside = frame(buf, area, &Title { name: "Locks", about, right }, focus, app.theme);
    if graph.is_none_or(|_| app.lock_rows.is_empty()) {
        let (text, role) = match (app.locks.error(), graph) {
            (Some(error), _) => (error, Role::Fault),
            (None, Some(_)) => ("no task waits for a lock", Role::Dim),
            (None, None) => (app.locks_so_far.as_deref().unwrap_or(UNWINDING), Role::Wait),
        };
        empty(buf, inside, text, role, app.theme);
        return None;
    }
    Some((graph?, inside))
}

fn tree(app: &App, buf: &mut Buffer, area: Rect, graph: &LockGraph, focus: bool) {
    let window = app.here.windows.locks;
    super::rows(app, buf, area, window, app.lock_rows.len(), focus, |n| {
        app.lock_rows
            .get(n)
            .map(|row| line(app, graph, row).marking(&app.here.search))
            .unwrap_or_default()
    });
}
