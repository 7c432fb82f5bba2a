//! Where the user is, as a value, and where they came from.
//!
//! A [`Location`] holds all that decides what is on the screen: screen and pane, selected task,
//! filter, inspected object, addresses. Going back assigns an old one; the data that it wants is
//! then asked for again. No widget is ever stored.

use super::keymap::Pane;
use super::model::{Order, Place, Standing, States, Subject};
use super::widget::window::Window;
use crate::dump::VirtAddr;
use std::collections::BTreeSet;

/// Which screen fills the terminal.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Screen {
    /// The four panes.
    Overview,
    /// The lock graph alone, with the evidence.
    Locks,
    /// Why a task is blocked, and whom it blocks.
    Why,
    /// The kernel log.
    Log,
    /// Raw memory.
    Memory,
    /// Machine code.
    Code,
    /// Source code.
    Source,
    /// What a command answered.
    Output,
}

/// A place to be, and to come back to.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Location {
    /// Which screen.
    pub(crate) screen: Screen,
    /// Which pane of the overview has the keys.
    pub(crate) pane: Pane,
    /// Whether that pane fills the overview.
    pub(crate) zoom: bool,
    /// The selected task's `task_struct`.
    pub(crate) task: Option<VirtAddr>,
    /// Fuzzy filter over the tasks.
    pub(crate) filter: String,
    /// Which states of tasks are shown.
    pub(crate) states: States,
    /// How tasks are sorted.
    pub(crate) order: Order,
    /// What the inspector shows; `None` follows the selected task.
    pub(crate) subject: Option<Subject>,
    /// Paths of the inspector's expanded members.
    pub(crate) open: BTreeSet<String>,
    /// Whether the evidence on the lock screen has the keys.
    pub(crate) weighing: bool,
    /// Locks whose waiters are unfolded.
    pub(crate) unfolded: BTreeSet<VirtAddr>,
    /// Where the memory screen looks.
    pub(crate) memory: VirtAddr,
    /// Where the code screen looks.
    pub(crate) code: VirtAddr,
    /// Where the source screen looks.
    pub(crate) source: Spot,
    /// The command of the output screen.
    pub(crate) command: String,
    /// What it takes for the current task and frame.
    pub(crate) standing: Standing,
    /// Which of the addresses in the line under the cursor is chosen, in log and output.
    pub(crate) word: Option<usize>,
    /// What `n` and `N` look for in log, code, source and output.
    pub(crate) search: String,
    /// Cursor and scroll position of each list.
    pub(crate) windows: Windows,
}

/// A place in the code, as a reader of its source has it.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(crate) struct Spot {
    /// An address inside the instruction.
    pub(crate) at: VirtAddr,
    /// Which of the functions that are there, the innermost inlined one first.
    pub(crate) function: usize,
    /// Which frame of the selected task's stack it is, if it is one.
    pub(crate) frame: Option<usize>,
}

/// Cursor and scroll position of each list.
#[derive(Clone, Copy, PartialEq, Default, Debug)]
pub(crate) struct Windows {
    pub(crate) tasks: Window,
    pub(crate) trace: Window,
    pub(crate) nodes: Window,
    pub(crate) locks: Window,
    pub(crate) evidence: Window,
    pub(crate) why: Window,
    pub(crate) log: Window,
    pub(crate) output: Window,
    pub(crate) memory: Window,
    pub(crate) code: Window,
    pub(crate) source: Window,
}

impl Default for Location {
    fn default() -> Location {
        Location {
            screen: Screen::Overview,
            pane: Pane::Tasks,
            zoom: false,
            task: None,
            filter: String::new(),
            states: States::default(),
            order: Order::Hang,
            subject: None,
            open: BTreeSet::new(),
            weighing: false,
            unfolded: BTreeSet::new(),
            memory: VirtAddr(0),
            code: VirtAddr(0),
            source: Spot::default(),
            command: String::new(),
            standing: Standing::default(),
            word: None,
            search: String::new(),
            windows: Windows::default(),
        }
    }
}

impl Location {
    /// Shows a task, in the backtrace pane.
    pub(crate) fn show_task(&mut self, task: VirtAddr) {
        self.task = Some(task);
        self.subject = None;
        self.open.clear();
        self.windows.trace = Window::default();
        self.windows.nodes = Window::default();
    }

    /// Shows an object in the inspector, expanded at `open`.
    pub(crate) fn show_object(&mut self, subject: Subject, open: BTreeSet<String>) {
        self.subject = Some(subject);
        self.open = open;
        self.windows.nodes = Window::default();
        self.screen = Screen::Overview;
        self.pane = Pane::Inspector;
    }

    /// Goes to a place.
    pub(crate) fn go(&mut self, place: &Place) {
        match place {
            Place::Task(task) => {
                self.show_task(*task);
                self.screen = Screen::Overview;
                self.pane = Pane::Backtrace;
            }
            Place::Object { subject, open } => self.show_object(subject.clone(), open.clone()),
            Place::Memory(at) => {
                self.memory = *at;
                self.windows.memory = Window::default();
                self.screen = Screen::Memory;
            }
            Place::Code(at) => {
                self.code = *at;
                self.windows.code = Window::default();
                self.screen = Screen::Code;
            }
            Place::Member { ty, of, .. } => {
                let subject = Subject::Object { ty: ty.clone(), at: *of };
                self.show_object(subject, BTreeSet::new());
            }
            Place::Log(_) => {
                self.word = None;
                self.screen = Screen::Log;
            }
        }
    }
}

/// Locations to go back and forward to.
#[derive(Default, Debug)]
pub(crate) struct History {
    back: Vec<Location>,
    forward: Vec<Location>,
}

/// How many places are remembered; the oldest are forgotten first.
const REMEMBERED: usize = 500;

impl History {
    /// Remembers where the user was before a jump. What lay forward is forgotten.
    pub(crate) fn leave(&mut self, from: Location) {
        self.forward.clear();
        if self.back.len() == REMEMBERED {
            self.back.remove(0);
        }
        self.back.push(from);
    }

    /// One place back; `from` can be returned to with [`History::forward`].
    pub(crate) fn back(&mut self, from: &Location) -> Option<Location> {
        let to = self.back.pop()?;
        self.forward.push(from.clone());
        Some(to)
    }

    /// One place forward again.
    pub(crate) fn forward(&mut self, from: &Location) -> Option<Location> {
        let to = self.forward.pop()?;
        self.back.push(from.clone());
        Some(to)
    }

    /// The last place and this one change roles.
    pub(crate) fn toggle(&mut self, from: &Location) -> Option<Location> {
        let last = self.back.last_mut()?;
        Some(std::mem::replace(last, from.clone()))
    }

    /// How many places lie back and forward.
    #[cfg(test)]
    pub(crate) fn depth(&self) -> (usize, usize) {
        (self.back.len(), self.forward.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(address: u64) -> Location {
        Location { memory: VirtAddr(address), ..Location::default() }
    }

    #[test]
    fn back_and_forward_walk_the_same_road() {
        let mut history = History::default();
        history.leave(at(1));
        history.leave(at(2));
        let two = history.back(&at(3)).unwrap();
        let one = history.back(&two).unwrap();
        assert_eq!((one.memory.0, two.memory.0), (1, 2));
        assert_eq!(history.back(&one), None);
        assert_eq!(history.forward(&one).unwrap().memory.0, 2);
        assert_eq!(history.depth(), (1, 1));
    }

    #[test]
    fn a_new_jump_forgets_what_lay_forward() {
        let mut history = History::default();
        history.leave(at(1));
        let one = history.back(&at(2)).unwrap();
        history.leave(one);
        assert_eq!(history.forward(&at(9)), None);
    }

    #[test]
    fn toggling_swaps_two_places_for_ever() {
        let mut history = History::default();
        history.leave(at(1));
        let mut here = at(2);
        for expected in [1, 2, 1, 2] {
            here = history.toggle(&here).unwrap();
            assert_eq!(here.memory.0, expected);
        }
    }
}
