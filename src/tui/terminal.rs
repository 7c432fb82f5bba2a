//! The terminal: taken for the explorer, and given back whatever happens.
//!
//! It is given back at the end, on an error, on a panic (by a hook, before the message is printed),
//! and on SIGTERM, SIGHUP and SIGINT. Ctrl-z gives it back until `fg`.

use super::event::{Event, Input};
use super::key::Key;
use ratatui::Terminal;
use ratatui::backend::CrosstermBackend;
use ratatui::crossterm::cursor::{Hide, Show};
use ratatui::crossterm::event::{self, DisableMouseCapture, EnableMouseCapture, KeyCode};
use ratatui::crossterm::execute;
use ratatui::crossterm::style::force_color_output;
use ratatui::crossterm::terminal::{
    EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode,
};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGTSTP};
use signal_hook::iterator::Signals;
use signal_hook::low_level::emulate_default_handler;
use std::io::{self, Stdout, Write};
use std::panic;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Sender;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// Whether the terminal is in our hands; giving it back twice would leave the shell's screen.
static TAKEN: AtomicBool = AtomicBool::new(false);

/// How long the input thread waits before it looks whether it should stop.
const PATIENCE: Duration = Duration::from_millis(50);

/// The terminal while it is ours.
pub(super) struct Screen {
    pub(super) terminal: Terminal<CrosstermBackend<Stdout>>,
    input: Option<InputThread>,
    events: Sender<Event>,
    mouse: bool,
}

struct InputThread {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

impl Screen {
    /// Takes the terminal. Input and signals come to `events` from then on.
    pub(super) fn take(events: Sender<Event>, mouse: bool) -> io::Result<Screen> {
        // Colours are the theme's decision. Without this, crossterm answers NO_COLOR by printing a
        // bare reset in place of each colour, which wipes out reverse video too.
        force_color_output(true);
        give_back_on_panic();
        on_signals(events.clone())?;
        enter(mouse)?;
        let terminal = Terminal::new(CrosstermBackend::new(io::stdout()))?;
        let input = Some(InputThread::start(events.clone())?);
        Ok(Screen { terminal, input, events, mouse })
    }

    /// Switches the mouse on or off. While it is on, the terminal's own selection is off.
    pub(super) fn set_mouse(&mut self, on: bool) -> io::Result<()> {
        self.mouse = on;
        if on {
            execute!(io::stdout(), EnableMouseCapture)
        } else {
            execute!(io::stdout(), DisableMouseCapture)
        }
    }

    /// Puts text on the clipboard of the terminal.
    pub(super) fn copy(&self, text: &str) -> io::Result<()> {
        let mut out = io::stdout();
        out.write_all(super::copy::osc52(text).as_bytes())?;
        out.flush()
    }

    /// Gives the terminal back and stops; takes it again when continued.
    pub(super) fn suspend(&mut self) -> io::Result<()> {
        if let Some(input) = self.input.take() {
            input.stop();
        }
        give_back();
        emulate_default_handler(SIGTSTP)?;
        enter(self.mouse)?;
        self.terminal.clear()?;
        let (columns, rows) = ratatui::crossterm::terminal::size()?;
        _ = self.events.send(Event::Resize(columns, rows));
        self.input = Some(InputThread::start(self.events.clone())?);
        Ok(())
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        if let Some(input) = self.input.take() {
            input.stop();
        }
        give_back();
    }
}

impl InputThread {
    fn start(events: Sender<Event>) -> io::Result<InputThread> {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = thread::Builder::new().name("input".to_owned()).spawn(move || {
            while !stopped.load(Ordering::Relaxed) {
                let read = match event::poll(PATIENCE) {
                    Ok(true) => event::read(),
                    Ok(false) => continue,
                    Err(error) => Err(error),
                };
                let sent = match read {
                    Ok(event) => {
                        Event::from_terminal(&event).is_none_or(|event| events.send(event).is_ok())
                    }
                    // The terminal is gone.
                    Err(_) => {
                        _ = events.send(Event::End(None));
                        false
                    }
                };
                if !sent {
                    return;
                }
            }
        })?;
        Ok(InputThread { stop, thread })
    }

    /// Stops the thread, or leaves it behind: once the terminal has hung up, crossterm never comes
    /// back from reading it.
    fn stop(self) {
        self.stop.store(true, Ordering::Relaxed);
        let deadline = Instant::now() + 4 * PATIENCE;
        while !self.thread.is_finished() && Instant::now() < deadline {
            thread::sleep(PATIENCE / 10);
        }
    }
}

fn enter(mouse: bool) -> io::Result<()> {
    TAKEN.store(true, Ordering::SeqCst);
    enable_raw_mode()?;
    execute!(io::stdout(), EnterAlternateScreen, Hide)?;
    if mouse {
        execute!(io::stdout(), EnableMouseCapture)?;
    }
    Ok(())
}

/// Gives the terminal back, once. Failures are of no use to anybody here.
fn give_back() {
    if TAKEN.swap(false, Ordering::SeqCst) {
        _ = execute!(io::stdout(), DisableMouseCapture, LeaveAlternateScreen, Show);
        _ = disable_raw_mode();
    }
}

/// A panic of the screen's thread gives the terminal back before its message is printed. One of a
/// worker is answered as an error by [`super::job`] and must not write over the screen.
fn give_back_on_panic() {
    let screen = thread::current().id();
    let before = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        if thread::current().id() == screen {
            give_back();
        }
        if !TAKEN.load(Ordering::SeqCst) {
            before(info);
        }
    }));
}

fn on_signals(events: Sender<Event>) -> io::Result<()> {
    let mut signals = Signals::new([SIGTERM, SIGHUP, SIGINT, SIGTSTP])?;
    thread::Builder::new().name("signals".to_owned()).spawn(move || {
        let mut asked = false;
        for signal in signals.forever() {
            let event = match signal {
                SIGTSTP => {
                    let key = Key { code: KeyCode::Char('z'), ctrl: true, alt: false };
                    Event::Input(Input::Key(key))
                }
                // The loop does not answer: end without it.
                signal if asked => {
                    give_back();
                    _ = emulate_default_handler(signal);
                    return;
                }
                signal => {
                    asked = true;
                    Event::End(Some(signal))
                }
            };
            if events.send(event).is_err() {
                return;
            }
        }
    })?;
    Ok(())
}

/// Ends as the signal would have ended the program, so that its parent sees the truth.
pub(super) fn end_by(signal: i32) {
    _ = emulate_default_handler(signal);
}

#[cfg(test)]
mod tests {
    use super::*;
    use portable_pty::{CommandBuilder, PtySize, native_pty_system};
    use std::io::Read;
    use std::num::NonZeroU16;
    use std::sync::mpsc::channel;

    /// Not a test: what [`a_panic_gives_the_terminal_back`] runs in a pseudo-terminal.
    #[test]
    #[ignore = "run by a_panic_gives_the_terminal_back"]
    fn panics_on_the_explorers_screen() {
        let (events, _inbox) = channel();
        let mut screen = Screen::take(events, true).unwrap();
        screen.terminal.draw(|frame| frame.render_widget("the explorer", frame.area())).unwrap();
        panic!("a panic on purpose");
    }

    #[test]
    fn a_panic_gives_the_terminal_back() {
        let size = PtySize { rows: 24, cols: 80, pixel_width: 0, pixel_height: 0 };
        let pty = native_pty_system().openpty(size).unwrap();
        let mut command = CommandBuilder::new(std::env::current_exe().unwrap());
        command.args(["--ignored", "--nocapture", "panics_on_the_explorers_screen"]);
        command.env("TERM", "xterm-256color");
        command.env("RUST_BACKTRACE", "0");
        let mut child = pty.slave.spawn_command(command).unwrap();
        drop(pty.slave);
        let mut reader = pty.master.try_clone_reader().unwrap();
        let cells = |count| NonZeroU16::new(count).unwrap();
        let mut shown = vt100::Parser::new(cells(24), cells(80), 0);
        let mut entered = false;
        let mut bytes = [0; 4096];
        // A pseudo-terminal without a slave ends in an error or in nothing.
        while let Ok(n @ 1..) = reader.read(&mut bytes) {
            // Byte by byte: what is entered and left at once has been entered too.
            for byte in &bytes[..n] {
                shown.process(&[*byte]);
                entered |= shown.screen().alternate_screen() && shown.screen().hide_cursor();
            }
        }
        assert!(!child.wait().unwrap().success());
        let screen = shown.screen();
        assert!(entered, "the explorer's screen was never there:\n{}", screen.contents());
        assert!(!screen.alternate_screen() && !screen.hide_cursor());
        assert_eq!(screen.mouse_protocol_mode(), vt100::MouseProtocolMode::None);
        assert!(screen.contents().contains("a panic on purpose"), "{}", screen.contents());
    }
}
