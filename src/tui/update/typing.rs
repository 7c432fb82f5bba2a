//! Keys on what lies over the screen: prompts, help, the verdict.

use super::act;
use super::moving::search;
use crate::tui::app::{App, Effect};
use crate::tui::job::Request;
use crate::tui::key::Key;
use crate::tui::prompt::{Does, Overlay, Prompt, Purpose, help_lines};
use crate::tui::verdict;
use crate::tui::widget::window::Window;
use ratatui::crossterm::event::KeyCode;

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

pub(super) fn help(app: &mut App, mut filter: String, mut window: Window, key: Key) {
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

pub(super) fn read_verdict(app: &mut App, mut window: Window, key: Key) {
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
pub(super) fn type_on(app: &mut App, mut prompt: Prompt, key: Key) -> Vec<Effect> {
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
                let standing = app.standing();
                let start = |n| Effect::Start(n, Request::Resolve(text, standing));
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
        app.run(text);
    }
    Vec::new()
}

pub(super) fn prompt(app: &mut App, purpose: Purpose, text: String) {
    app.overlay = Some(Overlay::Prompt(Prompt::new(purpose, text)));
}
