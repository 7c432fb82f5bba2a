//! Keys as plain values, written as people write them: `j`, `G`, `<enter>`, `<c-o>`.

use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use std::fmt;

/// One key press.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Key {
    /// Which key; shifted letters are capital letters.
    pub(crate) code: KeyCode,
    /// With Control.
    pub(crate) ctrl: bool,
    /// With Alt.
    pub(crate) alt: bool,
}

/// The keys that have a name instead of a letter.
const NAMED: &[(&str, KeyCode)] = &[
    ("enter", KeyCode::Enter),
    ("esc", KeyCode::Esc),
    ("tab", KeyCode::Tab),
    ("s-tab", KeyCode::BackTab),
    ("backspace", KeyCode::Backspace),
    ("del", KeyCode::Delete),
    ("up", KeyCode::Up),
    ("down", KeyCode::Down),
    ("left", KeyCode::Left),
    ("right", KeyCode::Right),
    ("home", KeyCode::Home),
    ("end", KeyCode::End),
    ("pgup", KeyCode::PageUp),
    ("pgdn", KeyCode::PageDown),
    ("space", KeyCode::Char(' ')),
    ("lt", KeyCode::Char('<')),
];

impl Key {
    /// A key without modifiers.
    pub(crate) const fn plain(code: KeyCode) -> Key {
        Key { code, ctrl: false, alt: false }
    }

    /// What a terminal reported. Shift is part of the letter already, except for Tab.
    pub(crate) fn from_event(event: KeyEvent) -> Key {
        let shift_tab = event.code == KeyCode::Tab && event.modifiers.contains(KeyModifiers::SHIFT);
        Key {
            code: if shift_tab { KeyCode::BackTab } else { event.code },
            ctrl: event.modifiers.contains(KeyModifiers::CONTROL),
            alt: event.modifiers.contains(KeyModifiers::ALT),
        }
    }

    /// The letter that it types, if it types one.
    pub(crate) fn letter(self) -> Option<char> {
        match self {
            Key { code: KeyCode::Char(c), ctrl: false, alt: false } => Some(c),
            _ => None,
        }
    }

    /// Reads a script of keys: letters stand for themselves, named keys and `<c-x>` (Control),
    /// `<a-x>` (Alt) stand in angle brackets.
    ///
    /// # Errors
    /// The name in brackets that no key has.
    pub(crate) fn script(text: &str) -> Result<Vec<Key>, String> {
        let mut keys = Vec::new();
        let mut rest = text;
        while let Some(first) = rest.chars().next() {
            let named = rest.strip_prefix('<').and_then(|inner| inner.split_once('>'));
            if let Some((name, after)) = named {
                keys.push(Key::named(name).ok_or_else(|| format!("no key is called <{name}>"))?);
                rest = after;
            } else {
                keys.push(Key::plain(KeyCode::Char(first)));
                rest = rest.get(first.len_utf8()..).unwrap_or("");
            }
        }
        Ok(keys)
    }

    fn named(name: &str) -> Option<Key> {
        if let Some((_, code)) = NAMED.iter().find(|(known, _)| *known == name) {
            return Some(Key::plain(*code));
        }
        let (ctrl, letter) = match name.split_once('-')? {
            ("c", letter) => (true, letter),
            ("a", letter) => (false, letter),
            _ => return None,
        };
        let mut letters = letter.chars();
        let code = match (letters.next(), letters.next()) {
            (Some(letter), None) => KeyCode::Char(letter),
            _ => NAMED.iter().find(|(known, _)| *known == letter)?.1,
        };
        Some(Key { code, ctrl, alt: !ctrl })
    }
}

impl fmt::Display for Key {
    /// As help and footer show it: `j`, `Enter`, `Ctrl-o`, `←`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.ctrl {
            f.write_str("Ctrl-")?;
        }
        if self.alt {
            f.write_str("Alt-")?;
        }
        match self.code {
            KeyCode::Char(' ') => f.write_str("Space"),
            KeyCode::Char(c) => write!(f, "{c}"),
            KeyCode::Enter => f.write_str("Enter"),
            KeyCode::Esc => f.write_str("Esc"),
            KeyCode::Tab => f.write_str("Tab"),
            KeyCode::BackTab => f.write_str("Shift-Tab"),
            KeyCode::PageUp => f.write_str("PgUp"),
            KeyCode::PageDown => f.write_str("PgDn"),
            code => write!(f, "{code:?}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_names_letters_and_keys() {
        let keys = Key::script("gA<enter><c-o><lt>< ").unwrap();
        let shown: Vec<String> = keys.iter().map(Key::to_string).collect();
        assert_eq!(shown, ["g", "A", "Enter", "Ctrl-o", "<", "<", "Space"]);
        assert_eq!(Key::script("<nokey>").unwrap_err(), "no key is called <nokey>");
    }
}
