//! A buffer as text and as a map of its styles, so that tests see colours too.

use super::theme::{Role, Theme};
use ratatui::buffer::Buffer;
use ratatui::style::Style;

/// Roles by a letter; of roles with the same style the first one names it.
const LETTERS: &[(Role, char)] = &[
    (Role::Text, '.'),
    (Role::Dim, '-'),
    (Role::Title, 'T'),
    (Role::Focus, 'F'),
    (Role::Address, 'A'),
    (Role::Symbol, 'S'),
    (Role::Type, 'Y'),
    (Role::Lock, 'L'),
    (Role::Wait, 'W'),
    (Role::Bad, 'B'),
    (Role::Selected, '#'),
    (Role::Match, 'M'),
    (Role::Chosen, 'C'),
];

/// The letters on the screen, row by row, then the style of each by a letter.
pub(crate) fn legend(buf: &Buffer, theme: Theme) -> (String, String) {
    let mut text = String::new();
    let mut styles = String::new();
    for row in buf.content.chunks(usize::from(buf.area.width).max(1)) {
        let letters: String = row.iter().map(|cell| cell.symbol()).collect();
        text.push_str(letters.trim_end());
        text.push('\n');
        for cell in row {
            let blank = cell.symbol() == " ";
            let named = LETTERS.iter().find(|(role, _)| {
                Style::reset().patch(theme.style(*role)).add_modifier == cell.modifier
                    && theme.style(*role).fg.unwrap_or_default() == cell.fg
            });
            styles.push(match named {
                Some((Role::Text, _)) if blank => ' ',
                Some((_, letter)) => *letter,
                None => '?',
            });
        }
        styles.truncate(styles.trim_end_matches(' ').len());
        styles.push('\n');
    }
    (text, styles)
}
