//! The keys, as a table: where they hold, what they do, and the line that explains them.
//!
//! The first binding whose condition holds wins. Help, footer, the popup after a prefix, the
//! palette and the key table of the README are all made from [`BINDINGS`]; there is no second list.

use super::action::Action;
use super::history::Screen;
use super::key::Key;
use std::fmt::Write;

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
    /// All of them, as help lists them.
    const ALL: [When; 10] = [
        When::Always,
        When::Pane(Pane::Tasks),
        When::Pane(Pane::Backtrace),
        When::Pane(Pane::Inspector),
        When::Locks,
        When::Why,
        When::Memory,
        When::Code,
        When::Source,
        When::Text,
    ];

    fn holds(self, context: Context) -> bool {
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
    pub(crate) when: When,
    /// Alternatives, separated by spaces; each a script as [`Key::script`] reads it.
    pub(crate) keys: &'static str,
    pub(crate) action: Action,
    /// What the footer says; "" keeps it out of the footer.
    pub(crate) hint: &'static str,
    /// What help and palette say.
    pub(crate) doc: &'static str,
}

const fn bind(
    when: When,
    keys: &'static str,
    action: Action,
    hint: &'static str,
    doc: &'static str,
) -> Binding {
    Binding { when, keys, action, hint, doc }
}

use Pane::{Backtrace, Inspector, Tasks};
use When::{Always, Code, Locks, Memory, Pane as In, Source, Text, Why};

/// Every key. Footer hints stand in this order.
pub(crate) const BINDINGS: &[Binding] = &[
    bind(In(Tasks), "<enter>", Action::Enter, "open", "open the task's backtrace"),
    bind(
        In(Backtrace),
        "<enter>",
        Action::Enter,
        "frame",
        "frame: its registers and stack words; wait: its lock",
    ),
    bind(
        In(Inspector),
        "<enter>",
        Action::Enter,
        "follow",
        "follow the pointer, or expand the member",
    ),
    bind(Locks, "<enter>", Action::Enter, "open", "go to the task, inspect the lock, or unfold"),
    bind(
        Why,
        "<enter>",
        Action::Enter,
        "open",
        "go to the task or the lock; on a claim, to what it rests on; or unfold",
    ),
    bind(
        Memory,
        "<enter>",
        Action::Enter,
        "follow",
        "follow the first word of the row as a pointer",
    ),
    bind(
        Code,
        "<enter>",
        Action::Enter,
        "follow",
        "go where the instruction jumps, calls or points; a source line opens its file",
    ),
    bind(Source, "<enter>", Action::Code, "code", "the machine code of the place"),
    bind(
        Source,
        "} l <right>",
        Action::Caller,
        "caller",
        "the function that this one is inlined into or called from",
    ),
    bind(
        Source,
        "{ h <left>",
        Action::Callee,
        "callee",
        "the function that is inlined here, or that was called",
    ),
    bind(Source, "/", Action::Search, "search", "search"),
    bind(Source, "n", Action::SearchNext, "next", "next match"),
    bind(Source, "N", Action::SearchPrevious, "", "previous match"),
    bind(
        Text,
        "<enter>",
        Action::Enter,
        "follow",
        "go where the line leads, or to what lies at the address in it",
    ),
    bind(Text, "l <right>", Action::NextWord, "", "the next address in the line"),
    bind(Text, "h <left>", Action::PreviousWord, "", "the address before it"),
    bind(
        In(Tasks),
        "/",
        Action::Filter,
        "filter",
        "filter the tasks, fuzzy, by pid, name, state and lock",
    ),
    bind(In(Tasks), "su", Action::StateBlocked, "", "show or hide blocked tasks (UN)"),
    bind(In(Tasks), "sr", Action::StateRunning, "", "show or hide running tasks (RU)"),
    bind(In(Tasks), "si", Action::StateSleeping, "", "show or hide sleeping tasks (IN)"),
    bind(In(Tasks), "so", Action::StateOthers, "", "show or hide tasks in other states"),
    bind(In(Tasks), "sa", Action::StateAll, "", "show tasks in every state"),
    bind(In(Tasks), "u", Action::StateBlocked, "UN", "show or hide blocked tasks (UN)"),
    bind(In(Tasks), "r", Action::StateRunning, "RU", "show or hide running tasks (RU)"),
    bind(In(Tasks), "i", Action::StateSleeping, "IN", "show or hide sleeping tasks (IN)"),
    bind(In(Tasks), ">", Action::SortRight, "sort", "sort by the next column"),
    bind(In(Tasks), "<lt>", Action::SortLeft, "", "sort by the previous column"),
    bind(In(Tasks), "R", Action::SortReverse, "", "reverse the order"),
    bind(
        In(Tasks),
        "H",
        Action::SortHang,
        "",
        "sort for a hang: blocked longest first, then what runs",
    ),
    bind(
        In(Inspector),
        "<space> l <right>",
        Action::Expand,
        "expand",
        "expand or collapse the member; a pointer shows what it points to",
    ),
    bind(
        In(Inspector),
        "h <left>",
        Action::Collapse,
        "",
        "collapse the member, or go to the one around it",
    ),
    bind(In(Inspector), "x", Action::Radix, "hex/dec", "numbers in hexadecimal or decimal"),
    bind(
        Locks,
        "<space> l <right>",
        Action::Expand,
        "unfold",
        "show or fold the waiters of the lock",
    ),
    bind(Why, "<space> l <right>", Action::Expand, "", "show or fold those who are alike"),
    bind(Locks, "}", Action::NextComponent, "next", "the next deadlock or root blocker"),
    bind(Locks, "{", Action::PreviousComponent, "", "the one before"),
    bind(Locks, "h <left>", Action::Collapse, "", "go to the line above that this one hangs on"),
    bind(Code, "/", Action::Search, "search", "search"),
    bind(Code, "n", Action::SearchNext, "next", "next match"),
    bind(Code, "N", Action::SearchPrevious, "", "previous match"),
    bind(Code, "s", Action::SourceLines, "lines", "show or hide the source lines"),
    bind(Code, "x", Action::Radix, "hex/dec", "distances in hexadecimal or decimal"),
    bind(Text, "/", Action::Search, "search", "search"),
    bind(Text, "n", Action::SearchNext, "next", "next match"),
    bind(Text, "N", Action::SearchPrevious, "", "previous match"),
    bind(
        Always,
        "g",
        Action::Jump,
        "jump",
        "jump to a pid, symbol, address, `task_struct.mm ADDR`, `mutex SYMBOL`",
    ),
    bind(
        Always,
        "o <c-o> <backspace>",
        Action::Back,
        "back",
        "back to the place before the last jump",
    ),
    bind(Always, "O <a-right>", Action::Forward, "", "forward again"),
    bind(Always, "-", Action::Toggle, "", "swap this place and the last one"),
    bind(Always, "<tab>", Action::NextPane, "pane", "next pane"),
    bind(Always, "<s-tab>", Action::PreviousPane, "", "previous pane"),
    bind(Always, "+ z", Action::Zoom, "zoom", "the pane alone, or all panes"),
    bind(Always, "L", Action::Locks, "locks", "the lock graph, with the evidence for each line"),
    bind(
        Always,
        "b",
        Action::Why,
        "why",
        "why the task is blocked: what it waits for, who holds that, up to the root",
    ),
    bind(
        Always,
        "B",
        Action::Whom,
        "whom",
        "whom the task blocks: who waits for what it holds, and who waits behind those",
    ),
    bind(Always, "P", Action::Overview, "", "the panes"),
    bind(Always, "D", Action::Log, "log", "the kernel log (dmesg)"),
    bind(Always, "m", Action::Memory, "memory", "memory at the selected thing"),
    bind(Always, "w", Action::What, "what", "what is at this address: all that is known of it"),
    bind(
        Always,
        "d",
        Action::Code,
        "code",
        "the machine code of the selected frame, symbol or address",
    ),
    bind(
        Always,
        "S",
        Action::Source,
        "source",
        "the source of the selected frame, inlined function or instruction",
    ),
    bind(
        Always,
        "v",
        Action::Verdict,
        "verdict",
        "the whole verdict, and what could not be decided",
    ),
    bind(Always, "t", Action::TaskStruct, "", "the selected task's task_struct in the inspector"),
    bind(Always, ":", Action::Palette, "command", "run an action or a crash command"),
    bind(Always, "?", Action::Help, "keys", "every key; type to filter"),
    bind(Always, "q <c-c>", Action::Quit, "quit", "quit"),
    bind(Always, "k <up>", Action::Up, "", "one row up; `5k` five"),
    bind(Always, "j <down>", Action::Down, "", "one row down; `5j` five"),
    bind(Always, "<c-u> <c-b> <pgup>", Action::PageUp, "", "one page up"),
    bind(Always, "<c-d> <c-f> <pgdn>", Action::PageDown, "", "one page down"),
    bind(Always, "<home>", Action::First, "", "first row"),
    bind(Always, "G <end>", Action::Last, "", "last row; `12G` the twelfth"),
    bind(
        Always,
        "<esc>",
        Action::Cancel,
        "",
        "one step up: close, stop loading, drop the filter, leave the screen",
    ),
    bind(Always, "y", Action::Copy, "", "copy the selected line (OSC 52)"),
    bind(Always, "M", Action::Mouse, "", "mouse on or off: click selects, wheel scrolls"),
    bind(Always, "<c-l>", Action::Redraw, "", "draw the screen anew"),
    bind(Always, "<c-z>", Action::Suspend, "", "back to the shell; `fg` returns"),
];

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
    BINDINGS.iter().filter(move |binding| binding.when.holds(context))
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

/// Every heading with its bindings.
pub(crate) fn sections() -> impl Iterator<Item = (When, Vec<&'static Binding>)> {
    When::ALL.into_iter().map(|when| {
        (when, BINDINGS.iter().filter(|binding| binding.when == when).collect::<Vec<_>>())
    })
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
    use std::collections::HashSet;

    const TASKS: Context = Context { screen: Screen::Overview, pane: Pane::Tasks };

    fn meaning(keys: &str, context: Context) -> Meaning {
        resolve(&Key::script(keys).unwrap(), context)
    }

    #[test]
    fn every_key_of_the_table_is_a_key_and_stands_once_where_it_holds() {
        let mut seen = HashSet::new();
        for binding in BINDINGS {
            for keys in binding.keys.split(' ') {
                let script = Key::script(keys).expect(keys);
                assert!(seen.insert((binding.when.title(), script)), "{keys} twice");
            }
        }
    }

    #[test]
    fn no_key_is_hidden_behind_a_prefix() {
        for binding in BINDINGS {
            for keys in binding.sequences() {
                for other in BINDINGS.iter().filter(|other| other.when == binding.when) {
                    for longer in other.sequences() {
                        assert!(keys == longer || !longer.starts_with(&keys), "{keys:?}");
                    }
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
        assert!(BINDINGS.iter().all(|binding| text.contains(binding.doc)));
        assert!(text.contains("| `o` `Ctrl-o` `Backspace` | back to the place before"));
    }
}
