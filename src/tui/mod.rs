//! The full-screen explorer: draws what the floors below say.
//!
//! One thread owns the screen. It takes one `event` after the other from one channel (keys,
//! sizes, answers of jobs, ticks), changes the application, and draws it; drawing changes nothing.
//! All that reads the dump runs on worker threads, one question of a kind at a time, the newest
//! first; so the first frame does not wait for the dump, and no key waits for an analysis.
//!
//! | part | idea |
//! | --- | --- |
//! | `keymap` | every key with its condition and its line of help, as a table |
//! | `history` | a place is a value; going back is an assignment |
//! | `app`, `update` | what is shown, what was asked and answered; what each event does to it |
//! | `pointed` | the address under the cursor |
//! | `job`, `source` | questions and answers; where answers come from |
//! | `screen`, `widget`, `theme`, `layout` | drawing |
//! | `drive`, `terminal` | the loop; taking the terminal and giving it back |

mod action;
mod app;
mod code;
mod copy;
mod drive;
mod event;
mod evidence;
#[cfg(test)]
mod fixture;
mod history;
mod job;
mod key;
mod keymap;
mod layout;
#[cfg(test)]
mod legend;
mod listing;
mod locktree;
mod model;
mod opened;
mod pointed;
mod prompt;
mod screen;
mod source;
mod svg;
mod tasklist;
mod terminal;
#[cfg(test)]
mod tests;
mod theme;
mod ties;
mod told;
mod trace;
mod update;
mod verdict;
mod why;
mod widget;
mod words;

pub use keymap::keys_markdown;

use crate::kernel::Session;
use app::{App, Effect};
use drive::Driver;
use event::Event;
use job::Jobs;
use key::Key;
use opened::Opened;
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::crossterm::execute;
use ratatui::crossterm::terminal::{BeginSynchronizedUpdate, EndSynchronizedUpdate, size};
use source::Opener;
use std::io::{self, IsTerminal, Write};
use std::sync::Arc;
use std::sync::mpsc::channel;
use terminal::Screen;
use theme::Theme;

/// What to explore, and how it looks.
pub struct Options {
    /// What the dump is called, for the first line.
    pub name: String,
    /// Opens the dump; called on a worker thread, after the first frame.
    pub open: Box<dyn FnOnce() -> Result<Session, String> + Send>,
    /// How it looks.
    pub look: Look,
}

impl Options {
    fn opener(self) -> (String, Opener, Look) {
        let Options { name, open, look } = self;
        let called = name.clone();
        let opener: Opener = Box::new(move |progress| {
            progress("opening");
            let session = open()?;
            progress("symbols and types");
            _ = session.types();
            Ok(Arc::new(Opened::new(called, session)))
        });
        (name, opener, look)
    }
}

/// Runs the explorer until its user quits. Whatever happens, the terminal is given back.
///
/// # Errors
/// [`Error::NoTerminal`] when standard input or output is none, [`Error::Open`] when the dump cannot
/// be opened, [`Error::Io`] when the terminal fails.
pub fn run(options: Options) -> Result<(), Error> {
    let (name, opener, look) = options.opener();
    explore(name, opener, look)
}

/// Runs the explorer without a terminal: presses `keys` one after the other, each when everything
/// that the one before asked for is there, and writes the last screen of `size` (columns, rows) as
/// SVG. In `keys` letters stand for themselves, other keys in angle brackets: `<enter>`, `<esc>`,
/// `<tab>`, `<down>`, `<c-o>`, `<lt>`.
///
/// # Errors
/// [`Error::Keys`] when a key does not exist, [`Error::Open`] when the dump cannot be opened, [`Error::Io`] when `out` fails.
pub fn screenshot(
    options: Options,
    keys: &str,
    size: (u16, u16),
    out: &mut dyn Write,
) -> Result<(), Error> {
    let (name, opener, look) = options.opener();
    photograph(name, opener, look, keys, size, out)
}

/// How the explorer looks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Look {
    /// Whether colours may be used; otherwise bold, underlined and reversed text say it all.
    pub colour: bool,
    /// Whether to draw with ASCII characters only.
    pub ascii: bool,
    /// Whether the mouse is on from the start. It takes the terminal's own selection away.
    pub mouse: bool,
}

/// Why the explorer could not run.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Standard output or input is no terminal.
    #[error("the explorer needs a terminal; for text use `hangscope report` or `hangscope exec`")]
    NoTerminal,
    /// The dump cannot be opened.
    #[error("{0}")]
    Open(String),
    /// The terminal or a file failed.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// A script of keys names a key that is none.
    #[error("{0}")]
    Keys(String),
}

/// The application and its workers.
fn driver(
    file: String,
    opener: Opener,
    look: Look,
    size: (u16, u16),
) -> (Driver, std::sync::mpsc::Sender<Event>) {
    let (events, inbox) = channel();
    let jobs = Jobs::new(opener, events.clone());
    let mut app = App::new(file, Theme::new(look.colour, look.ascii), size);
    app.mouse = look.mouse;
    (Driver { app, jobs, inbox }, events)
}

fn explore(file: String, opener: Opener, look: Look) -> Result<(), Error> {
    if !io::stdout().is_terminal() || !io::stdin().is_terminal() {
        return Err(Error::NoTerminal);
    }
    let (mut driver, events) = driver(file, opener, look, size()?);
    let mut screen = Screen::take(events, look.mouse)?;
    // The first frame stands before the first byte of the dump is read.
    paint(&driver.app, &mut screen)?;
    let (columns, rows) = driver.app.size;
    driver.apply(Event::Resize(columns, rows));
    loop {
        let mut event = driver.next();
        // Everything that has come in is applied before the next frame is drawn.
        loop {
            let signal = if let Event::End(signal) = &event { *signal } else { None };
            for effect in driver.apply(event) {
                match effect {
                    Effect::Quit => {
                        drop(screen);
                        if let Some(signal) = signal {
                            terminal::end_by(signal);
                        }
                        return opened(&driver.app);
                    }
                    Effect::Suspend => screen.suspend()?,
                    Effect::Clear => screen.terminal.clear()?,
                    Effect::Mouse(on) => screen.set_mouse(on)?,
                    Effect::Copy(text) => screen.copy(&text)?,
                    Effect::Start(..) | Effect::Stop => {}
                }
            }
            match driver.inbox.try_recv() {
                Ok(next) => event = next,
                Err(_) => break,
            }
        }
        paint(&driver.app, &mut screen)?;
    }
}

/// That the dump could be opened, as far as that has been tried.
fn opened(app: &App) -> Result<(), Error> {
    app.open.error().map_or(Ok(()), |why| Err(Error::Open(why.to_owned())))
}

fn paint(app: &App, screen: &mut Screen) -> io::Result<()> {
    execute!(io::stdout(), BeginSynchronizedUpdate)?;
    screen.terminal.draw(|frame| self::screen::render(app, frame))?;
    execute!(io::stdout(), EndSynchronizedUpdate)
}

/// Drives the same loop by a script of keys and writes the last screen as SVG.
fn photograph(
    file: String,
    opener: Opener,
    look: Look,
    keys: &str,
    size: (u16, u16),
    out: &mut dyn Write,
) -> Result<(), Error> {
    let keys = Key::script(keys).map_err(Error::Keys)?;
    let (mut driver, _events) = driver(file, opener, look, size);
    let mut going = driver.rest();
    for key in keys {
        going = going && driver.press(key);
    }
    opened(&driver.app)?;
    let mut terminal =
        Terminal::new(TestBackend::new(size.0, size.1)).unwrap_or_else(|never| match never {});
    let drawn = terminal.draw(|frame| screen::render(&driver.app, frame));
    match drawn {
        Ok(frame) => out.write_all(svg::svg(frame.buffer).as_bytes())?,
        Err(never) => match never {},
    }
    Ok(())
}
