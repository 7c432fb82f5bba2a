//! What the loop waits for: everything that happens comes through one channel.

use super::job::Message;
use ratatui::crossterm::event::{Event as Terminal, KeyEventKind, MouseButton, MouseEventKind};

use super::key::Key;

/// Something that happened.
pub(crate) enum Event {
    /// The user did something.
    Input(Input),
    /// The terminal has a new size: columns, rows.
    Resize(u16, u16),
    /// The job for a question of that generation said something.
    Job(u64, Message),
    /// Time passed while something is going on.
    Tick,
    /// The terminal was taken away, or a signal asks to end: which one.
    End(Option<i32>),
}

/// What a user does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Input {
    /// A key.
    Key(Key),
    /// A click at a column and row.
    Click(u16, u16),
    /// The wheel at a column and row, by rows.
    Wheel(u16, u16, isize),
}

impl Event {
    /// What a terminal's event means here, if anything.
    pub(crate) fn from_terminal(event: &Terminal) -> Option<Event> {
        match event {
            Terminal::Key(key) if key.kind != KeyEventKind::Release => {
                Some(Event::Input(Input::Key(Key::from_event(*key))))
            }
            Terminal::Resize(columns, rows) => Some(Event::Resize(*columns, *rows)),
            Terminal::Mouse(mouse) => {
                let (x, y) = (mouse.column, mouse.row);
                match mouse.kind {
                    MouseEventKind::Down(MouseButton::Left) => Some(Input::Click(x, y)),
                    MouseEventKind::ScrollUp => Some(Input::Wheel(x, y, -3)),
                    MouseEventKind::ScrollDown => Some(Input::Wheel(x, y, 3)),
                    _ => None,
                }
                .map(Event::Input)
            }
            _ => None,
        }
    }
}
