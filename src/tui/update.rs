//! What each event does to the application.

use super::action::Action;
use super::app::{App, Effect};
use super::event::{Event, Input};
use super::history::{Location, Screen};
use super::key::Key;
use super::keymap::{Meaning, Pane, resolve};
use super::layout::Frames;
use super::locktree::LockNode;
use super::model::{Order, Place, ROW, States, Subject};
use super::prompt::{Does, Overlay, Prompt, Purpose, help_lines};
use super::tasklist;
use super::theme::Role;
use super::trace::TraceRow;
use super::widget::window::Window;
use super::{copy, verdict};
use crate::dump::VirtAddr;
use ratatui::crossterm::event::KeyCode;
use std::collections::BTreeSet;

/// Keys that are held at most.
const TYPED_AHEAD: usize = 256;

/// Applies an event; gives what the loop has to do about it.
pub(crate) fn update(app: &mut App, event: Event) -> Vec<Effect> {
    let mut effects = match event {
        Event::Input(Input::Key(key)) => receive_key(app, key),
        Event::Input(Input::Click(x, y)) => click(app, x, y),
        Event::Input(Input::Wheel(x, y, rows)) => wheel(app, x, y, rows),
        Event::Resize(columns, rows) => {
            app.size = (columns, rows);
            Vec::new()
        }
        Event::Job(generation, message) => {
            app.receive(generation, message);
            Vec::new()
        }
        Event::Tick => {
            app.ticks = app.ticks.wrapping_add(1);
            Vec::new()
        }
        Event::End(_) => vec![Effect::Quit],
    };
    effects.extend(app.settle());
    while let Some(key) = app.held.front().copied().filter(|key| !must_wait(app, *key)) {
        app.held.pop_front();
        effects.extend(press(app, key));
        effects.extend(app.settle());
    }
    // Without a dump there is nothing to explore: the reason is for the command line to print.
    if app.open.error().is_some() {
        effects.push(Effect::Quit);
    }
    effects
}

/// Presses a key, or holds it until the answer is there that it depends on: who types ahead means
/// the frames of the task that was just selected, not those still on the screen.
fn receive_key(app: &mut App, key: Key) -> Vec<Effect> {
    let ends = key.ctrl && matches!(key.code, KeyCode::Char('c' | 'z'));
    let urgent = ends || key.code == KeyCode::Esc;
    if urgent {
        app.held.clear();
    } else if !app.held.is_empty() || must_wait(app, key) {
        if app.held.len() < TYPED_AHEAD {
            app.held.push_back(key);
        }
        return Vec::new();
    }
    press(app, key)
}

/// Whether a key depends on an answer that is still to come.
fn must_wait(app: &App, key: Key) -> bool {
    if app.overlay.is_some() || app.here.screen != Screen::Overview {
        return app.resolve.loading;
    }
    let loading = match app.here.pane {
        Pane::Backtrace => app.trace.loading,
        Pane::Inspector => app.inspection.loading,
        Pane::Tasks | Pane::Locks => false,
    };
    let depends = matches!(
        resolve(&[key], app.context()),
        Meaning::Action(
            Action::Up
                | Action::Down
                | Action::PageUp
                | Action::PageDown
                | Action::First
                | Action::Last
                | Action::Enter
                | Action::Expand
                | Action::Collapse
                | Action::Memory
                | Action::Copy
        )
    );
    loading && depends && app.typed.is_empty()
}

fn press(app: &mut App, key: Key) -> Vec<Effect> {
    app.message = None;
    // These two work whatever lies over the screen.
    if key.ctrl && matches!(key.code, KeyCode::Char('c' | 'z')) {
        let quit = key.code == KeyCode::Char('c');
        return vec![if quit { Effect::Quit } else { Effect::Suspend }];
    }
    if let Some(overlay) = app.overlay.take() {
        return match overlay {
            Overlay::Prompt(prompt) => type_on(app, prompt, key),
            Overlay::Help { filter, window } => {
                help(app, filter, window, key);
                Vec::new()
            }
            Overlay::Verdict(window) => {
                read_verdict(app, window, key);
                Vec::new()
            }
        };
    }
    app.typed.push(key);
    match resolve(&app.typed, app.context()) {
        Meaning::Prefix => Vec::new(),
        Meaning::Nothing => {
            app.typed.clear();
            Vec::new()
        }
        Meaning::Action(action) => {
            app.typed.clear();
            act(app, action)
        }
    }
}

/// Moves a window by a key, if it is one that moves.
fn scroll(window: &mut Window, key: Key, len: usize, page: usize) -> bool {
    let page = isize::try_from(page.max(1)).unwrap_or(1);
    let rows = match key.code {
        KeyCode::Up => -1,
        KeyCode::Down => 1,
        KeyCode::PageUp => -page,
        KeyCode::PageDown => page,
        _ => return false,
    };
    window.step(rows, len);
    true
}

fn help(app: &mut App, mut filter: String, mut window: Window, key: Key) {
    let page = usize::from(app.size.1);
    if !scroll(&mut window, key, help_lines(&filter).len(), page / 2) {
        match key.letter() {
            // An empty filter leaves `?` and `q` to close the help.
            Some('?' | 'q') if filter.is_empty() => return,
            Some(letter) => {
                filter.push(letter);
                window = Window::default();
            }
            None if key.code == KeyCode::Backspace => _ = filter.pop(),
            None if key.code == KeyCode::Esc && !filter.is_empty() => filter.clear(),
            None => return,
        }
    }
    window.fit(help_lines(&filter).len(), page.saturating_sub(6));
    app.overlay = Some(Overlay::Help { filter, window });
}

fn read_verdict(app: &mut App, mut window: Window, key: Key) {
    let lines = verdict::full(app).len();
    let key = match key.letter() {
        Some('j') => Key::plain(KeyCode::Down),
        Some('k') => Key::plain(KeyCode::Up),
        _ => key,
    };
    let page = usize::from(app.size.1) / 2;
    if scroll(&mut window, key, lines, page) {
        app.overlay = Some(Overlay::Verdict(window));
    }
}

/// A key on a prompt.
fn type_on(app: &mut App, mut prompt: Prompt, key: Key) -> Vec<Effect> {
    match key.code {
        KeyCode::Esc => {
            if prompt.purpose == Purpose::Filter {
                app.here.filter.clear();
            }
            app.resolve.cancel();
            return Vec::new();
        }
        KeyCode::Enter => return enter_prompt(app, prompt),
        KeyCode::Up | KeyCode::Down | KeyCode::BackTab => {
            pick(app, &mut prompt, key.code == KeyCode::Down);
        }
        KeyCode::Tab => {
            let choices = prompt.choices(app);
            match choices.get(prompt.picked.unwrap_or(0)).map(|choice| &choice.does) {
                Some(Does::Take(text) | Does::Complete(text)) => prompt.text.clone_from(text),
                _ => pick(app, &mut prompt, true),
            }
        }
        KeyCode::Backspace if prompt.text.is_empty() => return Vec::new(),
        KeyCode::Backspace => {
            prompt.text.pop();
            prompt.picked = None;
        }
        KeyCode::Char('u') if key.ctrl => prompt.text.clear(),
        KeyCode::Char('w') if key.ctrl => {
            let end = prompt.text.trim_end().rfind(' ').map_or(0, |space| space + 1);
            prompt.text.truncate(end);
        }
        _ => {
            if let Some(letter) = key.letter() {
                prompt.text.push(letter);
                prompt.picked = None;
                prompt.error = None;
            }
        }
    }
    if prompt.purpose == Purpose::Filter {
        app.touch();
        app.here.filter.clone_from(&prompt.text);
    }
    app.overlay = Some(Overlay::Prompt(prompt));
    Vec::new()
}

fn pick(app: &App, prompt: &mut Prompt, down: bool) {
    let count = prompt.choices(app).len();
    prompt.picked = match (prompt.picked, down) {
        _ if count == 0 => None,
        (None, true) => Some(0),
        (None, false) => Some(count - 1),
        (Some(now), true) => (now + 1 < count).then_some(now + 1),
        (Some(now), false) => now.checked_sub(1),
    };
}

fn enter_prompt(app: &mut App, mut prompt: Prompt) -> Vec<Effect> {
    let text = prompt.text.trim().to_owned();
    match prompt.purpose {
        Purpose::Filter => {}
        Purpose::Search => {
            app.here.search = text;
            search(app, true, true);
        }
        Purpose::Jump => {
            let choices = prompt.choices(app);
            let picked = prompt.picked.and_then(|n| choices.into_iter().nth(n));
            let text = match picked.map(|choice| choice.does) {
                Some(Does::Take(taken)) => taken,
                _ => text,
            };
            if !text.is_empty() {
                app.resolve.forget();
                let generation = app.resolve.want(text.clone());
                prompt.error = None;
                app.overlay = Some(Overlay::Prompt(prompt));
                let start = |n| Effect::Start(n, super::job::Request::Resolve(text));
                return generation.map(start).into_iter().collect();
            }
        }
        Purpose::Palette => return run_palette(app, prompt, text),
    }
    Vec::new()
}

fn run_palette(app: &mut App, mut prompt: Prompt, text: String) -> Vec<Effect> {
    if !(prompt.picked.is_none() && prompt.is_command(app)) {
        let choices = prompt.choices(app);
        match choices.into_iter().nth(prompt.picked.unwrap_or(0)).map(|choice| choice.does) {
            Some(Does::Act(action)) if !text.is_empty() || prompt.picked.is_some() => {
                return act(app, action);
            }
            Some(Does::Complete(text)) if prompt.picked.is_some() => {
                prompt.text = text;
                prompt.picked = None;
                app.overlay = Some(Overlay::Prompt(prompt));
                return Vec::new();
            }
            _ => {}
        }
    }
    if !text.is_empty() {
        app.leave();
        app.here.screen = Screen::Output;
        app.here.command = text;
        app.here.windows.output = Window::default();
    }
    Vec::new()
}

/// Does what an action says.
pub(crate) fn act(app: &mut App, action: Action) -> Vec<Effect> {
    match action {
        Action::Quit => return vec![Effect::Quit],
        Action::Suspend => return vec![Effect::Suspend],
        Action::Redraw => {
            app.ask_again();
            return vec![Effect::Clear];
        }
        Action::Mouse => {
            app.mouse = !app.mouse;
            let what = if app.mouse { "on: click selects, wheel scrolls" } else { "off" };
            app.message = Some((Role::Text, format!("mouse {what}")));
            return vec![Effect::Mouse(app.mouse)];
        }
        Action::Copy => {
            let Some(text) = copy::selected(app) else { return Vec::new() };
            app.message = Some((Role::Good, format!("copied: {text}")));
            return vec![Effect::Copy(text)];
        }
        Action::Help => {
            let window = Window::default();
            app.overlay = Some(Overlay::Help { filter: String::new(), window });
        }
        Action::Verdict => app.overlay = Some(Overlay::Verdict(Window::default())),
        Action::Palette => prompt(app, Purpose::Palette, String::new()),
        Action::Jump => prompt(app, Purpose::Jump, String::new()),
        Action::Filter => prompt(app, Purpose::Filter, app.here.filter.clone()),
        Action::Search => prompt(app, Purpose::Search, String::new()),
        Action::SearchNext => search(app, true, false),
        Action::SearchPrevious => search(app, false, false),
        Action::Up => step(app, -1),
        Action::Down => step(app, 1),
        Action::PageUp => step(app, -page(app)),
        Action::PageDown => step(app, page(app)),
        Action::First => step(app, isize::MIN / 2),
        Action::Last => step(app, isize::MAX / 2),
        Action::Enter => enter(app),
        Action::Expand => expand(app),
        Action::Collapse => collapse(app),
        Action::Cancel => cancel(app),
        Action::Back => travel(app, |app| app.history.back(&app.here)),
        Action::Forward => travel(app, |app| app.history.forward(&app.here)),
        Action::Toggle => travel(app, |app| app.history.toggle(&app.here)),
        Action::NextPane => pane(app, 1),
        Action::PreviousPane => pane(app, Pane::ALL.len() - 1),
        Action::Zoom => app.here.zoom = !app.here.zoom,
        Action::Overview => screen(app, Screen::Overview),
        Action::Locks => screen(app, Screen::Locks),
        Action::Log => screen(app, Screen::Log),
        Action::Memory => memory(app),
        Action::StateBlocked => states(app, |states| states.blocked = !states.blocked),
        Action::StateRunning => states(app, |states| states.running = !states.running),
        Action::StateSleeping => states(app, |states| states.sleeping = !states.sleeping),
        Action::StateOthers => states(app, |states| states.others = !states.others),
        Action::StateAll => states(app, |states| *states = States::default()),
        Action::SortRight => app.here.order = tasklist::neighbour(app.here.order, true),
        Action::SortLeft => app.here.order = tasklist::neighbour(app.here.order, false),
        Action::SortHang => app.here.order = Order::Hang,
        Action::SortReverse => {
            if let Order::Column { descending, .. } = &mut app.here.order {
                *descending = !*descending;
            }
        }
        Action::Radix => app.hex = !app.hex,
        Action::TaskStruct => {
            if let Some(task) = app.here.task {
                app.go(&Place::object("task_struct", task));
            }
        }
    }
    Vec::new()
}

fn prompt(app: &mut App, purpose: Purpose, text: String) {
    app.overlay = Some(Overlay::Prompt(Prompt::new(purpose, text)));
}

fn states(app: &mut App, change: impl Fn(&mut States)) {
    app.touch();
    change(&mut app.here.states);
    app.here.windows.tasks = Window::default();
}

fn pane(app: &mut App, by: usize) {
    if app.here.screen != Screen::Overview {
        app.here.screen = Screen::Overview;
        return;
    }
    let now = Pane::ALL.iter().position(|pane| *pane == app.here.pane).unwrap_or(0);
    if let Some(next) = Pane::ALL.get((now + by) % Pane::ALL.len()) {
        app.here.pane = *next;
    }
}

fn screen(app: &mut App, screen: Screen) {
    if app.here.screen != screen {
        app.leave();
        app.here.screen = screen;
    }
}

fn travel(app: &mut App, to: impl Fn(&mut App) -> Option<Location>) {
    match to(app) {
        Some(location) => {
            app.touch();
            app.here = location;
        }
        None => app.message = Some((Role::Dim, "no place to go to".to_owned())),
    }
}

/// The rows of a page where the cursor is.
fn page(app: &App) -> isize {
    let frames = app.frames();
    let area = match app.here.screen {
        Screen::Overview => frames.pane(app.here.pane).unwrap_or(frames.body),
        _ => frames.body,
    };
    isize::try_from(Frames::rows(area).saturating_sub(1).max(1)).unwrap_or(1)
}

fn step(app: &mut App, rows: isize) {
    app.touch();
    let windows = &mut app.here.windows;
    match app.here.screen {
        Screen::Log => windows.log.step(rows, app.log.ready().map_or(0, Vec::len)),
        Screen::Output => {
            windows.output.step(rows, app.output.ready().map_or(0, |output| output.lines.len()));
        }
        Screen::Memory => step_memory(app, rows),
        Screen::Locks => windows.locks.step(rows, app.lock_rows.len()),
        Screen::Overview => match app.here.pane {
            Pane::Tasks => {
                windows.tasks.step(rows, app.listed.len());
                let row = app.listed.get(windows.tasks.cursor).and_then(|n| app.rows.get(*n));
                if let Some(task) = row.map(|row| row.task.at)
                    && Some(task) != app.here.task
                {
                    app.here.show_task(task);
                }
            }
            Pane::Backtrace => windows.trace.step(rows, app.trace_rows.len()),
            Pane::Locks => windows.locks.step(rows, app.lock_rows.len()),
            Pane::Inspector => {
                let nodes = app.inspection.ready().map_or(0, |inspection| inspection.nodes.len());
                windows.nodes.step(rows, nodes);
            }
        },
    }
}

/// Memory has no first and no last row that anybody wants; the cursor's row moves over the screen
/// first, then the memory under it.
fn step_memory(app: &mut App, rows: isize) {
    let height = Frames::rows(app.frames().body);
    let bytes = i64::try_from(rows).unwrap_or(0).saturating_mul(16);
    if bytes.unsigned_abs() > 1 << 32 {
        return;
    }
    app.here.memory = VirtAddr(app.here.memory.0.saturating_add_signed(bytes));
    app.here.windows.memory.step(rows, height);
}

fn enter(app: &mut App) {
    match app.here.screen {
        Screen::Overview => match app.here.pane {
            Pane::Tasks => {
                if app.here.task.is_some() {
                    app.leave();
                    app.here.pane = Pane::Backtrace;
                }
            }
            Pane::Backtrace => enter_trace(app),
            Pane::Inspector => enter_node(app),
            Pane::Locks => enter_lock(app),
        },
        Screen::Locks => enter_lock(app),
        Screen::Memory => {
            let at = app.here.memory.0 & !(ROW - 1);
            let row = app.memory.ready().and_then(|view| view.rows.iter().find(|r| r.at.0 == at));
            if let Some(Ok(bytes)) = row.map(|row| &row.bytes) {
                let mut word = [0; 8];
                word.copy_from_slice(bytes.first_chunk::<8>().unwrap_or(&[0; 8]));
                app.go(&Place::Memory(VirtAddr(u64::from_le_bytes(word))));
            }
        }
        Screen::Log => {}
        Screen::Output => {
            let row = app.here.windows.output.cursor;
            let place = app.output.ready().and_then(|output| output.lines.get(row)?.1.clone());
            if let Some(place) = place {
                app.go(&place);
            }
        }
    }
}

fn enter_trace(app: &mut App) {
    let Some(row) = app.trace_rows.get(app.here.windows.trace.cursor).copied() else { return };
    match row {
        TraceRow::Frame(n) => {
            if let Some(task) = app.here.task {
                let subject = Subject::Frame { task, n };
                app.go(&Place::Object { subject, open: BTreeSet::new() });
            }
        }
        TraceRow::Wait { lock, .. } | TraceRow::Holds { lock, .. } => {
            let wanted = |row: &super::locktree::LockRow| match row.node {
                LockNode::Edge { lock: its, .. }
                | LockNode::Held { lock: its, .. }
                | LockNode::Orphan(its) => its == lock,
                _ => false,
            };
            if let Some(row) = app.lock_rows.iter().position(wanted) {
                app.leave();
                app.here.pane = Pane::Locks;
                app.here.windows.locks.cursor = row;
            }
        }
        TraceRow::Other(_) | TraceRow::Cut => {}
    }
}

fn enter_node(app: &mut App) {
    let row = app.here.windows.nodes.cursor;
    let node = app.inspection.ready().and_then(|inspection| inspection.nodes.get(row));
    match node.map(|node| node.place.clone()) {
        Some(Some(place)) => app.go(&place),
        Some(None) => expand(app),
        None => {}
    }
}

fn enter_lock(app: &mut App) {
    let Some(graph) = app.locks.ready() else { return };
    let Some(row) = app.lock_rows.get(app.here.windows.locks.cursor) else { return };
    if let LockNode::Fold { .. } = row.node {
        unfold(app);
    } else if let Some(task) = row.node.task(graph) {
        app.go(&Place::Task(task));
    } else if let Some(lock) = row.node.lock().and_then(|lock| graph.locks.get(lock)) {
        app.go(&Place::object(lock.ty, lock.at));
    } else if matches!(row.node, LockNode::Note(_) | LockNode::NotesHeading) {
        app.overlay = Some(Overlay::Verdict(Window::default()));
    }
}

/// Shows or folds the waiters of the lock under the cursor.
fn unfold(app: &mut App) {
    let Some(graph) = app.locks.ready() else { return };
    let lock = app.lock_rows.get(app.here.windows.locks.cursor).and_then(|row| row.node.lock());
    if let Some(at) = lock.and_then(|lock| graph.locks.get(lock)).map(|lock| lock.at)
        && !app.here.unfolded.remove(&at)
    {
        app.here.unfolded.insert(at);
    }
}

fn expand(app: &mut App) {
    if app.context().pane == Pane::Locks || app.here.screen == Screen::Locks {
        return unfold(app);
    }
    let row = app.here.windows.nodes.cursor;
    let Some(inspection) = app.inspection.ready() else { return };
    if let Some(node) = inspection.nodes.get(row)
        && node.open.is_some()
        && !app.here.open.remove(&node.path)
    {
        app.here.open.insert(node.path.clone());
    }
}

fn collapse(app: &mut App) {
    if app.context().pane == Pane::Locks || app.here.screen == Screen::Locks {
        let window = &mut app.here.windows.locks;
        if let Some(parent) = app.lock_rows.get(window.cursor).and_then(|row| row.parent) {
            window.cursor = parent;
        }
        return;
    }
    let window = &mut app.here.windows.nodes;
    let Some(inspection) = app.inspection.ready() else { return };
    let Some(node) = inspection.nodes.get(window.cursor) else { return };
    if node.open == Some(true) {
        app.here.open.remove(&node.path);
    } else if let Some(above) = inspection.nodes.get(..window.cursor) {
        window.cursor = above.iter().rposition(|n| n.depth < node.depth).unwrap_or(window.cursor);
    }
}

/// One step up.
fn cancel(app: &mut App) {
    if app.cancel() {
        app.message = Some((Role::Fault, "cancelled; Ctrl-l asks again".to_owned()));
    } else if app.here.screen != Screen::Overview {
        app.leave();
        app.here.screen = Screen::Overview;
    } else if app.here.zoom {
        app.here.zoom = false;
    } else if !app.here.filter.is_empty() || app.here.states != States::default() {
        app.here.filter.clear();
        app.here.states = States::default();
    } else if app.here.pane != Pane::Tasks {
        app.here.pane = Pane::Tasks;
    }
}

/// The memory screen, at what is selected.
fn memory(app: &mut App) {
    let at = match app.here.pane {
        Pane::Backtrace => app.trace.ready().and_then(|trace| {
            match app.trace_rows.get(app.here.windows.trace.cursor)? {
                TraceRow::Frame(n) => Some(trace.frames.get(*n)?.sp),
                _ => None,
            }
        }),
        Pane::Inspector => {
            let row = app.here.windows.nodes.cursor;
            app.inspection.ready().and_then(|inspection| inspection.nodes.get(row)?.at)
        }
        Pane::Locks => {
            let row = app.lock_rows.get(app.here.windows.locks.cursor);
            let lock = row.and_then(|row| row.node.lock());
            lock.and_then(|lock| Some(app.locks.ready()?.locks.get(lock)?.at))
        }
        Pane::Tasks => None,
    };
    if app.here.screen != Screen::Memory
        && let Some(at) = at.or(app.here.task)
    {
        app.go(&Place::Memory(at));
    }
}

/// Finds the next or previous line with the searched text; from the cursor's own line on if
/// `here`, going round at the end.
fn search(app: &mut App, forward: bool, here: bool) {
    let needle = app.here.search.to_lowercase();
    if needle.is_empty() {
        return;
    }
    let lines: Vec<&str> = match app.here.screen {
        Screen::Log => {
            app.log.ready().into_iter().flatten().map(|line| line.text.as_str()).collect()
        }
        Screen::Output => {
            let lines = app.output.ready().into_iter().flat_map(|output| &output.lines);
            lines.map(|(line, _)| line.as_str()).collect()
        }
        _ => return,
    };
    let window = match app.here.screen {
        Screen::Log => &mut app.here.windows.log,
        _ => &mut app.here.windows.output,
    };
    let len = lines.len();
    let start = usize::from(!here);
    let found = (start..len + start)
        .map(|n| if forward { window.cursor + n } else { window.cursor + len - n } % len.max(1))
        .find(|n| lines.get(*n).is_some_and(|line| line.to_lowercase().contains(&needle)));
    match found {
        Some(line) => window.cursor = line,
        None => app.message = Some((Role::Fault, format!("not found: {}", app.here.search))),
    }
}

/// The pane or screen at a place on the terminal, and the row in it.
fn at(app: &App, x: u16, y: u16) -> Option<(Option<Pane>, usize)> {
    let frames = app.frames();
    let inside = |area: ratatui::layout::Rect| area.contains((x, y).into());
    if app.here.screen == Screen::Overview {
        let (pane, area) = frames.panes.iter().find(|(_, area)| inside(*area))?;
        return Some((Some(*pane), usize::from(y - area.y)));
    }
    inside(frames.body).then(|| (None, usize::from(y - frames.body.y)))
}

fn click(app: &mut App, x: u16, y: u16) -> Vec<Effect> {
    let Some((pane, row)) = at(app, x, y) else { return Vec::new() };
    app.overlay = None;
    if let Some(pane) = pane {
        app.here.pane = pane;
    }
    let windows = &app.here.windows;
    // Above the rows stands the title, and in the list of tasks the headings too.
    let (window, head) = match (app.here.screen, app.here.pane) {
        (Screen::Overview, Pane::Tasks) => (windows.tasks, 2),
        (Screen::Overview, Pane::Backtrace) => (windows.trace, 1),
        (Screen::Overview, Pane::Inspector) => (windows.nodes, 1),
        (Screen::Overview, Pane::Locks) | (Screen::Locks, _) => (windows.locks, 1),
        (Screen::Log, _) => (windows.log, 1),
        (Screen::Output, _) => (windows.output, 1),
        (Screen::Memory, _) => (windows.memory, 1),
    };
    if let Some(row) = row.checked_sub(head) {
        let from = isize::try_from(window.cursor).unwrap_or(0);
        let to = isize::try_from(window.top + row).unwrap_or(0);
        step(app, to - from);
    }
    Vec::new()
}

fn wheel(app: &mut App, x: u16, y: u16, rows: isize) -> Vec<Effect> {
    if let Some((pane, _)) = at(app, x, y) {
        if let Some(pane) = pane {
            app.here.pane = pane;
        }
        step(app, rows);
    }
    Vec::new()
}
