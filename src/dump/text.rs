//! Text out of a dump, made safe to show.
//!
//! A task can call itself `\x1b]52;c;…`; a log line can hold bidirectional overrides. Every string
//! passes through [`scrub`] once, where it enters the model, so that no screen, pipe, clipboard or
//! window title above has to care. What is scrubbed stays visible, as an escape.

use std::fmt::Write;

/// `bytes` as text in which nothing can move a cursor or reorder a line: control characters, bytes
/// that are no UTF-8 and invisible formatting characters become `\x1b` or `\u{202e}`.
#[must_use]
pub fn scrub(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            match c {
                c if c.is_ascii_control() => _ = write!(text, "\\x{:02x}", u32::from(c)),
                c if c.is_control() || is_invisible(c) => {
                    _ = write!(text, "\\u{{{:x}}}", u32::from(c));
                }
                c => text.push(c),
            }
        }
        for byte in chunk.invalid() {
            _ = write!(text, "\\x{byte:02x}");
        }
    }
    text
}

/// Characters without a glyph that change how others are shown: zero width, bidirectional controls,
/// line and paragraph separators, variation selectors, tags.
fn is_invisible(c: char) -> bool {
    matches!(u32::from(c),
        0xad | 0x61c | 0x180e | 0x200b..=0x200f | 0x2028..=0x202e | 0x2060..=0x206f
        | 0xfe00..=0xfe0f | 0xfeff | 0xfff9..=0xfffb | 0xe0000..=0xe0fff)
}

#[cfg(test)]
mod tests {
    use super::scrub;

    #[test]
    fn text_stays_text() {
        assert_eq!(scrub("kworker/u8:0-événements".as_bytes()), "kworker/u8:0-événements");
    }

    #[test]
    fn nothing_reaches_the_terminal_as_a_command() {
        assert_eq!(scrub(b"\x1b]52;c;aGk=\x07"), "\\x1b]52;c;aGk=\\x07");
        assert_eq!(scrub("a\u{202e}b\u{9b}2J".as_bytes()), "a\\u{202e}b\\u{9b}2J");
        assert_eq!(scrub(b"\xff\xfeok"), "\\xff\\xfeok");
    }
}
