//! What each event does to the application.

mod following;
mod moving;
mod typing;

use super::action::Action;
use super::app::{App, Effect};
use super::copy;
use super::event::{Event, Input};
use super::history::{Location, Screen};
use super::key::Key;
use super::keymap::{Meaning, Pane, resolve};
use super::model::{Order, Place, States};
use super::prompt::{Overlay, Purpose};
use super::tasklist;
use super::theme::Role;
use super::widget::window::Window;
use following::{cancel, code, collapse, enter, expand, memory, source, tell, walk, what};
use moving::{click, component, page, search, step, wheel};
use ratatui::crossterm::event::KeyCode;
use typing::{help, prompt, read_verdict, type_on};

/// The highest number before a key.
const COUNTED: usize = 99_999_999;

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
        let loading = match app.here.screen {
            Screen::Code => app.code.loading,
            Screen::Source => app.source.loading,
            Screen::Why => app.locks.loading,
            _ => false,
        };
        return app.resolve.loading || (app.overlay.is_none() && loading && depends(app, key));
    }
    let loading = match app.here.pane {
        // Lines bring rows of inlined functions in between.
        Pane::Backtrace => app.trace.loading || app.lines.loading,
        Pane::Inspector => app.inspection.loading,
        Pane::Tasks | Pane::Locks => false,
    };
    loading && depends(app, key)
}

/// Whether a key does something with the list that the cursor is in.
fn depends(app: &App, key: Key) -> bool {
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
                | Action::What
                | Action::Code
                | Action::Source
                | Action::Caller
                | Action::Callee
                | Action::Search
                | Action::SearchNext
                | Action::SearchPrevious
                | Action::Copy
        )
    );
    depends && app.typed.is_empty()
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
    if app.typed.is_empty() && count(app, key) {
        return Vec::new();
    }
    app.typed.push(key);
    match resolve(&app.typed, app.context()) {
        Meaning::Prefix => Vec::new(),
        Meaning::Nothing => {
            app.typed.clear();
            app.count = None;
            Vec::new()
        }
        Meaning::Action(action) => {
            app.typed.clear();
            match app.count.take() {
                Some(_) if action == Action::Cancel => Vec::new(),
                Some(count) if moving::times(app, action, count) => Vec::new(),
                _ => act(app, action),
            }
        }
    }
}

/// Takes a digit of the number before a key that moves: `5j`, `12G`.
fn count(app: &mut App, key: Key) -> bool {
    let digit = key.letter().and_then(|letter| letter.to_digit(10));
    let Some(digit) = digit.filter(|digit| *digit > 0 || app.count.is_some()) else { return false };
    let digit = usize::try_from(digit).unwrap_or(0);
    let count = (app.count.unwrap_or(0) * 10 + digit).min(COUNTED);
    app.count = Some(count);
    app.message = Some((Role::Key, format!("{count}{}", app.theme.glyphs.more)));
    true
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
        Action::Why => tell(app, false),
        Action::Whom => tell(app, true),
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
        Action::Enter => return enter(app),
        Action::NextWord => app.next_word(true),
        Action::PreviousWord => app.next_word(false),
        Action::Expand => expand(app),
        Action::Collapse => collapse(app),
        Action::Cancel => return cancel(app),
        Action::Back => travel(app, |app| app.history.back(&app.here)),
        Action::Forward => travel(app, |app| app.history.forward(&app.here)),
        Action::Toggle => travel(app, |app| app.history.toggle(&app.here)),
        Action::NextComponent => component(app, 1),
        Action::PreviousComponent => component(app, -1),
        Action::NextPane => pane(app, 1),
        Action::PreviousPane => pane(app, Pane::ALL.len() - 1),
        Action::Zoom => app.here.zoom = !app.here.zoom,
        Action::Overview => screen(app, Screen::Overview),
        Action::Locks => screen(app, Screen::Locks),
        Action::Log => screen(app, Screen::Log),
        Action::Memory => memory(app),
        Action::What => what(app),
        Action::Code => code(app),
        Action::Source => source(app),
        Action::Caller => walk(app, App::caller, "no caller of this is known"),
        Action::Callee => walk(app, App::callee, "nothing further in is known"),
        Action::SourceLines => app.toggle_source_lines(),
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

fn states(app: &mut App, change: impl Fn(&mut States)) {
    app.touch();
    change(&mut app.here.states);
    app.here.windows.tasks = Window::default();
}

fn pane(app: &mut App, by: usize) {
    if app.here.screen == Screen::Locks {
        app.here.weighing = !app.here.weighing;
        return;
    }
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
