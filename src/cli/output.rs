//! Standard output and standard error.

use super::arguments::{Color, Look};
use std::io::{self, BufWriter, IsTerminal, StdoutLock, Write};

/// Why a call failed.
#[derive(Debug)]
pub(super) enum Failure {
    /// The dump, or what was asked of it; the message says which and why.
    Dump(String),
    /// The command line.
    Usage(String),
    /// Messages about it have been printed.
    Told,
    /// Nobody reads the output any more.
    ReaderGone,
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Failure::Dump(message) | Failure::Usage(message) => f.write_str(message),
            Failure::Told | Failure::ReaderGone => Ok(()),
        }
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Failure {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Failure::ReaderGone,
            _ => Failure::Dump(format!("standard output: {error}")),
        }
    }
}

/// Standard output, in large pieces.
pub(super) fn stdout() -> BufWriter<StdoutLock<'static>> {
    BufWriter::with_capacity(1 << 16, io::stdout().lock())
}

/// A message on standard error. It stays one line, whatever is in it.
pub(super) fn message(text: &str) {
    let text: String = text.chars().map(|c| if c == '\n' { ' ' } else { c }).collect();
    _ = writeln!(io::stderr(), "hangscope: {text}");
}

/// How text looks.
#[derive(Clone, Copy, Debug)]
pub(super) struct Style {
    color: bool,
    ascii: bool,
}

impl Style {
    pub(super) fn of(look: &Look) -> Style {
        let color = Style::may_colour(look, io::stdout().is_terminal());
        Style { color, ascii: look.ascii }
    }

    /// Whether colours may be used, on something that can show them or cannot.
    pub(super) fn may_colour(look: &Look, capable: bool) -> bool {
        match look.color {
            Color::Always => true,
            Color::Never => false,
            Color::Auto => capable && std::env::var_os("NO_COLOR").is_none(),
        }
    }

    /// As people paste it: no colours.
    #[cfg(test)]
    pub(super) const fn plain() -> Style {
        Style { color: false, ascii: false }
    }

    pub(super) fn bold(self, text: &str) -> String {
        self.paint("1", text)
    }

    pub(super) fn good(self, text: &str) -> String {
        self.paint("32", text)
    }

    pub(super) fn bad(self, text: &str) -> String {
        self.paint("31", text)
    }

    pub(super) fn faint(self, text: &str) -> String {
        self.paint("2", text)
    }

    fn paint(self, code: &str, text: &str) -> String {
        if self.color { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }

    /// One of two drawings.
    pub(super) const fn pick(self, unicode: &'static str, ascii: &'static str) -> &'static str {
        if self.ascii { ascii } else { unicode }
    }
}
