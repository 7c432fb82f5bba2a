//! Roles to styles, and the glyphs.
//!
//! Two themes: the sixteen colours that every terminal has, in the terminal's own palette; and
//! none at all, where modifiers alone carry the difference. A colour never says anything that a
//! letter or a glyph beside it does not say too.

use ratatui::style::{Color, Modifier, Style};

/// What a piece of text is.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Role {
    /// Nothing special.
    Text,
    /// Less important than what stands around it.
    Dim,
    /// The title of a pane, a heading of a column.
    Title,
    /// The border of a pane.
    Border,
    /// The border of the pane that has the keys.
    Focus,
    /// The first line of the screen.
    Header,
    /// A key in footer and help.
    Key,
    /// An address.
    Address,
    /// A function, a symbol.
    Symbol,
    /// A C type.
    Type,
    /// A lock's name.
    Lock,
    /// A task's name.
    Task,
    /// A reason why something is not known; a doubt.
    Fault,
    /// A deadlock, a blocked task.
    Bad,
    /// A running task; a step that is done.
    Good,
    /// A wait.
    Wait,
    /// The selected row, in the pane that has the keys.
    Selected,
    /// The selected row of another pane.
    Marked,
    /// What a filter or a search found.
    Match,
    /// The address in the selected row that keys are about.
    Chosen,
}

/// Styles for roles, and glyphs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Theme {
    /// Whether colours may be used.
    pub(crate) colour: bool,
    /// The glyphs.
    pub(crate) glyphs: &'static Glyphs,
}

/// The characters beyond ASCII that are drawn, and what stands for them.
#[derive(PartialEq, Eq, Debug)]
pub(crate) struct Glyphs {
    /// Corners and lines of a box: ┌ ┐ └ ┘ ─ │
    pub(crate) frame: [char; 6],
    /// Where a rule meets the line between panes: from both sides, the left, the right; at the top.
    pub(crate) joints: [char; 4],
    /// The last child of a tree.
    pub(crate) last: &'static str,
    /// A child that has younger siblings.
    pub(crate) child: &'static str,
    /// The top of a closed spine.
    pub(crate) spine_top: &'static str,
    /// A line that passes by.
    pub(crate) pass: &'static str,
    pub(crate) closed: &'static str,
    pub(crate) open: &'static str,
    pub(crate) task: &'static str,
    /// The selected task, wherever it is named.
    pub(crate) selected: &'static str,
    pub(crate) lock: &'static str,
    pub(crate) wait: &'static str,
    pub(crate) cycle: &'static str,
    pub(crate) deadlock: &'static str,
    pub(crate) verdict: &'static str,
    pub(crate) dot: &'static str,
    pub(crate) more: &'static str,
    pub(crate) done: &'static str,
    pub(crate) down: &'static str,
    pub(crate) up: &'static str,
    pub(crate) to: &'static str,
    pub(crate) from: &'static str,
    /// The steps of the sign that something is going on.
    pub(crate) busy: &'static [&'static str],
}

/// Box drawing and a few arrows: each one cell wide in every font that was tried.
pub(crate) const UNICODE: Glyphs = Glyphs {
    frame: ['┌', '┐', '└', '┘', '─', '│'],
    joints: ['┼', '┤', '├', '┬'],
    last: "└─",
    child: "├─",
    spine_top: "┌─",
    pass: "│ ",
    closed: "▸",
    open: "▾",
    task: "●",
    selected: "▶",
    lock: "◆",
    wait: "◷",
    cycle: "↻",
    deadlock: "✖",
    verdict: "▌",
    dot: "·",
    more: "…",
    done: "✓",
    down: "▼",
    up: "▲",
    to: "→",
    from: "←",
    busy: &["◐", "◓", "◑", "◒"],
};

/// For terminals and fonts without them.
pub(crate) const ASCII: Glyphs = Glyphs {
    frame: ['+', '+', '+', '+', '-', '|'],
    joints: ['+', '+', '+', '+'],
    last: "`-",
    child: "|-",
    spine_top: ",-",
    pass: "| ",
    closed: "+",
    open: "-",
    task: "*",
    selected: ">",
    lock: "#",
    wait: "~",
    cycle: "@",
    deadlock: "X",
    verdict: "|",
    dot: "-",
    more: ">",
    done: "x",
    down: "v",
    up: "^",
    to: "->",
    from: "<-",
    busy: &["|", "/", "-", "\\"],
};

impl Theme {
    /// The theme for a terminal.
    pub(crate) const fn new(colour: bool, ascii: bool) -> Theme {
        Theme { colour, glyphs: if ascii { &ASCII } else { &UNICODE } }
    }

    /// The style of a role.
    pub(crate) fn style(self, role: Role) -> Style {
        if self.colour { coloured(role) } else { plain(role) }
    }
}

fn coloured(role: Role) -> Style {
    let style = Style::new();
    let dim = style.fg(Color::DarkGray);
    match role {
        Role::Text => style,
        Role::Dim | Role::Border => dim,
        Role::Title => style.add_modifier(Modifier::BOLD),
        Role::Focus | Role::Key => style.fg(Color::Cyan).add_modifier(Modifier::BOLD),
        Role::Header => style.fg(Color::Cyan).add_modifier(Modifier::BOLD),
        Role::Address => style.fg(Color::Blue),
        Role::Symbol => style.fg(Color::Green),
        Role::Type => style.fg(Color::Cyan),
        Role::Lock => style.fg(Color::Magenta),
        Role::Task => style.add_modifier(Modifier::BOLD),
        Role::Fault | Role::Wait => style.fg(Color::Yellow),
        Role::Bad => style.fg(Color::Red).add_modifier(Modifier::BOLD),
        Role::Good => style.fg(Color::Green),
        Role::Selected => style.add_modifier(Modifier::REVERSED),
        Role::Marked => style.add_modifier(Modifier::BOLD),
        Role::Match => style.fg(Color::Yellow).add_modifier(Modifier::UNDERLINED),
        Role::Chosen => style.add_modifier(Modifier::BOLD | Modifier::UNDERLINED),
    }
}

fn plain(role: Role) -> Style {
    let style = Style::new();
    match role {
        Role::Text
        | Role::Address
        | Role::Symbol
        | Role::Type
        | Role::Lock
        | Role::Good
        | Role::Wait => style,
        Role::Dim | Role::Border => style.add_modifier(Modifier::DIM),
        Role::Title | Role::Task | Role::Key | Role::Focus | Role::Header | Role::Marked => {
            style.add_modifier(Modifier::BOLD)
        }
        Role::Fault => style.add_modifier(Modifier::ITALIC),
        Role::Bad => style.add_modifier(Modifier::BOLD | Modifier::UNDERLINED),
        Role::Selected => style.add_modifier(Modifier::REVERSED),
        Role::Match => style.add_modifier(Modifier::UNDERLINED),
        Role::Chosen => style.add_modifier(Modifier::BOLD | Modifier::UNDERLINED),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ratatui::style::Color;

    #[test]
    fn without_colour_there_is_no_colour() {
        for role in [Role::Bad, Role::Selected, Role::Key, Role::Address, Role::Border] {
            let style = Theme::new(false, false).style(role);
            assert_eq!((style.fg, style.bg), (None::<Color>, None), "{role:?}");
        }
    }
}
