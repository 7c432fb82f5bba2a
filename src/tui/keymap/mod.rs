//! The keys, as a table: where they hold, what they do, and the line that explains them.
//!
//! The first binding whose condition holds wins. Help, footer, the popup after a prefix, the
//! palette and the key table of the README are all made from [`BINDINGS`]; there is no second list.

mod bindings;

use super::action::Action;
use super::history::Screen;
use super::key::Key;
use bindings::BINDINGS;
use std::fmt::Write;
use std::iter;

/// A pane of the overview.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Pane {
    Tasks,
    Backtrace,
    Inspector,
    Locks,
}

impl Pane {
    /// In the order of Tab.
    pub(crate) const ALL: [Pane; 4] = [Pane::Tasks, Pane::Backtrace, Pane::Inspector, Pane::Locks];

    /// Its title.
    pub(crate) const fn title(self) -> &'static str {
        match self {
            Pane::Tasks => "Tasks",
            Pane::Backtrace => "Backtrace",
            Pane::Inspector => "Inspector",
            Pane::Locks => "Locks",
        }
    }
}

/// What a condition is asked about.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Context {
    pub(crate) screen: Screen,
    pub(crate) pane: Pane,
}

/// Where a binding holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum When {
    /// In a pane of the overview.
    Pane(Pane),
    /// Where locks are listed: the pane and the screen.
    Locks,
    /// Where a task's wait is told.
    Why,
    /// On the memory screen.
    Memory,
    /// On the code screen.
    Code,
    /// On the source screen.
    Source,
    /// Where there is a long text: log and command output.
    Text,
    /// Everywhere.
    Always,
}

impl When {
    pub(crate) fn holds(self, context: Context) -> bool {
        match self {
            When::Pane(pane) => context.screen == Screen::Overview && context.pane == pane,
            When::Locks => {
                context.screen == Screen::Locks
                    || (context.screen == Screen::Overview && context.pane == Pane::Locks)
            }
            When::Why => context.screen == Screen::Why,
            When::Memory => context.screen == Screen::Memory,
            When::Code => context.screen == Screen::Code,
            When::Source => context.screen == Screen::Source,
            When::Text => matches!(context.screen, Screen::Log | Screen::Output),
            When::Always => true,
        }
    }

    /// Its heading in help and README.
    pub(crate) const fn title(self) -> &'static str {
        match self {
            When::Pane(pane) => pane.title(),
            When::Locks => "Locks",
            When::Why => "Why and whom",
            When::Memory => "Memory",
            When::Code => "Code",
            When::Source => "Source",
            When::Text => "Log and command output",
            When::Always => "Everywhere",
        }
    }
}

/// One row of the table.
pub(crate) struct Binding {
    /// Alternatives, separated by spaces; each a script as [`Key::script`] reads it.
    pub(crate) keys: &'static str,
    pub(crate) action: Action,
    /// What the footer says; "" keeps it out of the footer.
    pub(crate) hint: &'static str,
    /// What help and palette say.
    pub(crate) doc: &'static str,
}

impl Binding {
    /// Its alternatives, each a sequence of keys.
    pub(crate) fn sequences(&self) -> impl Iterator<Item = Vec<Key>> {
        self.keys.split(' ').filter_map(|keys| Key::script(keys).ok())
    }

    /// Its first alternative, as the footer shows it.
    pub(crate) fn first_keys(&self) -> String {
        self.sequences().next().map(|keys| shown(&keys)).unwrap_or_default()
    }

    /// All alternatives, as help shows them.
    pub(crate) fn all_keys(&self) -> String {
        self.sequences().map(|keys| shown(&keys)).collect::<Vec<_>>().join(", ")
    }
}

fn shown(keys: &[Key]) -> String {
    let separator = if keys.iter().all(|key| key.letter().is_some()) { "" } else { " " };
    keys.iter().map(Key::to_string).collect::<Vec<_>>().join(separator)
}

/// What a sequence of keys means.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Meaning {
    /// It does this.
    Action(Action),
    /// More keys have to follow.
    Prefix,
    /// Nothing.
    Nothing,
}

/// The meaning of the keys typed so far.
pub(crate) fn resolve(typed: &[Key], context: Context) -> Meaning {
    let mut meaning = Meaning::Nothing;
    for binding in bindings_in(context) {
        for keys in binding.sequences() {
            if keys == typed {
                return Meaning::Action(binding.action);
            }
            if keys.starts_with(typed) {
                meaning = Meaning::Prefix;
            }
        }
    }
    meaning
}

/// The bindings that hold here, first the special ones; of two with the same keys only the first
/// works.
pub(crate) fn bindings_in(context: Context) -> impl Iterator<Item = &'static Binding> {
    let here = BINDINGS.iter().filter(move |(when, _)| when.holds(context));
    here.flat_map(|(_, bindings)| *bindings)
}

/// What may follow a prefix: the keys still to type, and their line.
pub(crate) fn continuations(typed: &[Key], context: Context) -> Vec<(String, &'static str)> {
    let mut found = Vec::new();
    for binding in bindings_in(context) {
        for keys in binding.sequences() {
            if let Some(rest) = keys.strip_prefix(typed) {
                found.push((shown(rest), binding.doc));
            }
        }
    }
    found
}

/// Every heading with its bindings, first what holds everywhere.
pub(crate) fn sections() -> impl Iterator<Item = (When, &'static [Binding])> {
    let last = BINDINGS.split_last();
    last.into_iter().flat_map(|(always, special)| iter::once(always).chain(special)).copied()
}

/// The key tables as Markdown, for the README.
#[must_use]
pub fn keys_markdown() -> String {
    let mut text = String::new();
    for (when, bindings) in sections() {
        _ = writeln!(text, "**{}**\n\n| key | does |\n| --- | --- |", when.title());
        for binding in bindings {
            let keys: Vec<String> = binding
                .sequences()
                .map(|keys| format!("`{}`", shown(&keys).replace('|', "\\|")))
                .collect();
            _ = writeln!(text, "| {} | {} |", keys.join(" "), binding.doc);
        }
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use foldhash::HashSet;

    const TASKS: Context = Context { screen: Screen::Overview, pane: Pane::Tasks };

    fn meaning(keys: &str, context: Context) -> Meaning {
        resolve(&Key::script(keys).unwrap(), context)
    }

    #[test]
    fn every_key_of_the_table_is_a_key_and_stands_once_where_it_holds() {
        let mut seen = HashSet::default();
        for (when, bindings) in BINDINGS {
            for keys in bindings.iter().flat_map(|binding| binding.keys.split(' ')) {
                let script = Key::script(keys).expect(keys);
                assert!(seen.insert((when.title(), script)), "{keys} twice");
            }
        }
    }

    #[test]
    fn no_key_is_hidden_behind_a_prefix() {
        for (_, bindings) in BINDINGS {
            let all: Vec<Vec<Key>> = bindings.iter().flat_map(Binding::sequences).collect();
            for keys in &all {
                for longer in &all {
                    assert!(keys == longer || !longer.starts_with(keys), "{keys:?}");
                }
            }
        }
    }

    #[test]
    fn the_place_decides_what_a_key_does() {
        assert_eq!(meaning("/", TASKS), Meaning::Action(Action::Filter));
        let log = Context { screen: Screen::Log, ..TASKS };
        assert_eq!(meaning("/", log), Meaning::Action(Action::Search));
        assert_eq!(meaning("s", TASKS), Meaning::Prefix);
        assert_eq!(meaning("s", log), Meaning::Nothing);
        assert_eq!(meaning("su", TASKS), Meaning::Action(Action::StateBlocked));
        assert_eq!(continuations(&Key::script("s").unwrap(), TASKS).len(), 5);
    }

    #[test]
    fn the_markdown_lists_every_binding() {
        let text = keys_markdown();
        let mut bindings = BINDINGS.iter().flat_map(|(_, bindings)| *bindings);
        assert!(bindings.all(|binding| text.contains(binding.doc)));
        assert!(text.contains("| `o` `Ctrl-o` `Backspace` | back to the place before"));
    }
}
