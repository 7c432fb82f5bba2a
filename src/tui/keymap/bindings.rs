//! The table of keys.

use super::{Binding, Pane, When};
use crate::tui::action::Action;

/// A row of the table.
const fn key(keys: &'static str, action: Action, hint: &'static str, doc: &'static str) -> Binding {
    Binding { keys, action, hint, doc }
}

/// Every key, by where it holds; what holds everywhere comes last. Footer hints stand in this order.
pub(super) const BINDINGS: &[(When, &[Binding])] = &[
    (When::Pane(Pane::Tasks), TASKS),
    (When::Pane(Pane::Backtrace), BACKTRACE),
    (When::Pane(Pane::Inspector), INSPECTOR),
    (When::Locks, LOCKS),
    (When::Why, WHY),
    (When::Memory, MEMORY),
    (When::Code, CODE),
    (When::Source, SOURCE),
    (When::Text, TEXT),
    (When::Always, ALWAYS),
];

const TASKS: &[Binding] = &[
    key("<enter>", Action::Enter, "open", "open the task's backtrace"),
    key("/", Action::Filter, "filter", "filter the tasks, fuzzy, by pid, name, state and lock"),
    key("su", Action::StateBlocked, "", "show or hide blocked tasks (UN)"),
    key("sr", Action::StateRunning, "", "show or hide running tasks (RU)"),
    key("si", Action::StateSleeping, "", "show or hide sleeping tasks (IN)"),
    key("so", Action::StateOthers, "", "show or hide tasks in other states"),
    key("sa", Action::StateAll, "", "show tasks in every state"),
    key("u", Action::StateBlocked, "UN", "show or hide blocked tasks (UN)"),
    key("r", Action::StateRunning, "RU", "show or hide running tasks (RU)"),
    key("i", Action::StateSleeping, "IN", "show or hide sleeping tasks (IN)"),
    key(">", Action::SortRight, "sort", "sort by the next column"),
    key("<lt>", Action::SortLeft, "", "sort by the previous column"),
    key("R", Action::SortReverse, "", "reverse the order"),
    key("H", Action::SortHang, "", "sort for a hang: blocked longest first, then what runs"),
];

const BACKTRACE: &[Binding] = &[key(
    "<enter>",
    Action::Enter,
    "frame",
    "frame: its registers and stack words; wait: its lock",
)];

const INSPECTOR: &[Binding] = &[
    key("<enter>", Action::Enter, "follow", "follow the pointer, or expand the member"),
    key(
        "<space> l <right>",
        Action::Expand,
        "expand",
        "expand or collapse the member; a pointer shows what it points to",
    ),
    key("h <left>", Action::Collapse, "", "collapse the member, or go to the one around it"),
    key("x", Action::Radix, "hex/dec", "numbers in hexadecimal or decimal"),
];

const LOCKS: &[Binding] = &[
    key(
        "<enter>",
        Action::Enter,
        "open",
        "go to the task, inspect the lock, or unfold; in the evidence, to what it rests on",
    ),
    key("<space> l <right>", Action::Expand, "unfold", "show or fold the waiters of the lock"),
    key("}", Action::NextComponent, "next", "the next deadlock or root blocker"),
    key("{", Action::PreviousComponent, "", "the one before"),
    key("h <left>", Action::Collapse, "", "go to the line above that this one hangs on"),
    SEARCH_UNFOLDED,
    NEXT_UNFOLDED,
    PREVIOUS_MATCH,
];

const WHY: &[Binding] = &[
    key(
        "<enter>",
        Action::Enter,
        "open",
        "go to the task or the lock; on a claim, to what it rests on; or unfold",
    ),
    key("<space> l <right>", Action::Expand, "", "show or fold those who are alike"),
    SEARCH_UNFOLDED,
    NEXT_UNFOLDED,
    PREVIOUS_MATCH,
];

const MEMORY: &[Binding] =
    &[key("<enter>", Action::Enter, "follow", "follow the first word of the row as a pointer")];

// No hints for these two: the footer is full.
const SEARCH_UNFOLDED: Binding = key("/", Action::Search, "", "search in what is unfolded");
const NEXT_UNFOLDED: Binding = key("n", Action::SearchNext, "", "next match");
const SEARCH: Binding = key("/", Action::Search, "search", "search");
const NEXT_MATCH: Binding = key("n", Action::SearchNext, "next", "next match");
const PREVIOUS_MATCH: Binding = key("N", Action::SearchPrevious, "", "previous match");

const CODE: &[Binding] = &[
    key(
        "<enter>",
        Action::Enter,
        "follow",
        "go where the instruction jumps, calls or points; a source line opens its file",
    ),
    SEARCH,
    NEXT_MATCH,
    PREVIOUS_MATCH,
    key("s", Action::SourceLines, "lines", "show or hide the source lines"),
    key("x", Action::Radix, "hex/dec", "distances in hexadecimal or decimal"),
];

const SOURCE: &[Binding] = &[
    key("<enter>", Action::Code, "code", "the machine code of the place"),
    key(
        "} l <right>",
        Action::Caller,
        "caller",
        "the function that this one is inlined into or called from",
    ),
    key(
        "{ h <left>",
        Action::Callee,
        "callee",
        "the function that is inlined here, or that was called",
    ),
    SEARCH,
    NEXT_MATCH,
    PREVIOUS_MATCH,
];

const TEXT: &[Binding] = &[
    key(
        "<enter>",
        Action::Enter,
        "follow",
        "go where the line leads, or to what lies at the address in it",
    ),
    key("l <right>", Action::NextWord, "", "the next address in the line"),
    key("h <left>", Action::PreviousWord, "", "the address before it"),
    SEARCH,
    NEXT_MATCH,
    PREVIOUS_MATCH,
];

const ALWAYS: &[Binding] = &[
    key(
        "g",
        Action::Jump,
        "jump",
        "jump to a pid, symbol, address, `task_struct.mm ADDR`, `mutex SYMBOL`",
    ),
    key("o <c-o> <backspace>", Action::Back, "back", "back to the place before the last jump"),
    key("O <a-right>", Action::Forward, "", "forward again"),
    key("-", Action::Toggle, "", "swap this place and the last one"),
    key(
        "<tab>",
        Action::NextPane,
        "pane",
        "next pane; on the lock screen the evidence, to open it",
    ),
    key("<s-tab>", Action::PreviousPane, "", "previous pane"),
    key("+ z", Action::Zoom, "zoom", "the pane alone, or all panes"),
    key("L", Action::Locks, "locks", "the lock graph, with the evidence for each line"),
    key(
        "b",
        Action::Why,
        "why",
        "why the task is blocked: what it waits for, who holds that, up to the root",
    ),
    key(
        "B",
        Action::Whom,
        "whom",
        "whom the task blocks: who waits for what it holds, and who waits behind those",
    ),
    key("P", Action::Overview, "", "the panes"),
    key("D", Action::Log, "log", "the kernel log (dmesg)"),
    key("m", Action::Memory, "memory", "memory at the selected thing"),
    key("w", Action::What, "what", "what is at this address: all that is known of it"),
    key("d", Action::Code, "code", "the machine code of the selected frame, symbol or address"),
    key(
        "S",
        Action::Source,
        "source",
        "the source of the selected frame, inlined function or instruction",
    ),
    key("v", Action::Verdict, "verdict", "the whole verdict, and what could not be decided"),
    key("t", Action::TaskStruct, "", "the selected task's task_struct in the inspector"),
    key(":", Action::Palette, "command", "run an action or a crash command"),
    key("?", Action::Help, "keys", "every key; type to filter"),
    key("q <c-c>", Action::Quit, "quit", "quit"),
    key("k <up>", Action::Up, "", "one row up; `5k` five"),
    key("j <down>", Action::Down, "", "one row down; `5j` five"),
    key("<c-u> <c-b> <pgup>", Action::PageUp, "", "one page up"),
    key("<c-d> <c-f> <pgdn>", Action::PageDown, "", "one page down"),
    key("<home>", Action::First, "", "first row"),
    key("G <end>", Action::Last, "", "last row; `12G` the twelfth"),
    key(
        "<esc>",
        Action::Cancel,
        "",
        "one step up: close, stop loading, drop the filter, leave the screen",
    ),
    key("y", Action::Copy, "", "copy the selected line (OSC 52)"),
    key("M", Action::Mouse, "", "mouse on or off: click selects, wheel scrolls"),
    key("<c-l>", Action::Redraw, "", "draw the screen anew"),
    key("<c-z>", Action::Suspend, "", "back to the shell; `fg` returns"),
];
