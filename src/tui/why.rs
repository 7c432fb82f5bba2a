//! Why a task is blocked, and whom it blocks: the lock graph from one task on, in words.
//!
//! Upwards there is mostly one way: the lock that the task waits for, its holder, the lock that
//! this one waits for, to a task that waits for nobody, or back to one that was there before.
//! Downwards it is a tree: the locks that the task holds, who waits for each, what those hold.
//! Every line leads somewhere: to the task, to the lock, or to what a claim rests on.

use super::app::App;
use super::model::Place;
use super::screen::backtrace::asked;
use super::theme::{Glyphs, Role};
use super::ties::{Ties, holds_it};
use super::told::{Go, Told, ToldRow, object};
use super::widget::lines::Line;
use crate::dump::VirtAddr;
use crate::kernel::State;
use crate::locks::{Confidence, Holder, Lock, LockGraph, LockKind, Mode, Waiter};
use crate::present::{TaskRow, lock_state, more_like_these, span};
use foldhash::{HashMap, HashSet};
use std::collections::BTreeSet;

/// The lines, and which of them begins the part about whom the task blocks.
#[derive(Clone, PartialEq, Default, Debug)]
pub(crate) struct Why {
    pub(crate) rows: Vec<ToldRow>,
    pub(crate) whom: usize,
}

/// Of tasks that are alike so many are shown; of more, one fewer and how many there are.
const SHOWN: usize = 4;
/// So far in branches go; what lies deeper is found from the tasks there.
const DEEPEST: usize = 40;

/// Why `task` is blocked, and whom it blocks, in lines of `columns` cells.
pub(crate) fn why(app: &App, graph: &LockGraph, task: VirtAddr, columns: usize) -> Why {
    let mut story = Story {
        graph,
        ties: Ties::of(graph),
        tasks: app.rows.iter().map(|row| (row.task.at, row)).collect(),
        unfolded: &app.here.unfolded,
        glyphs: app.theme.glyphs,
        subject: task,
        told: Told { columns, rows: Vec::new() },
    };
    story.say(0, Line::of("Why is it blocked?", Role::Title), None);
    story.upwards(task, 0, &mut Vec::new(), &mut HashSet::default());
    story.say(0, Line::default(), None);
    let whom = story.told.rows.len();
    story.downwards(task);
    Why { rows: story.told.rows, whom }
}

struct Story<'a> {
    graph: &'a LockGraph,
    ties: Ties,
    tasks: HashMap<VirtAddr, &'a TaskRow>,
    unfolded: &'a BTreeSet<VirtAddr>,
    glyphs: &'static Glyphs,
    subject: VirtAddr,
    told: Told,
}

impl Story<'_> {
    fn say(&mut self, indent: usize, line: Line, go: Option<Go>) {
        self.told.say(indent, line, go);
    }

    /// From a task that waits to whoever ends the chain. `path` are those on the way here, `seen`
    /// those that have their lines.
    fn upwards(
        &mut self,
        task: VirtAddr,
        indent: usize,
        path: &mut Vec<VirtAddr>,
        seen: &mut HashSet<VirtAddr>,
    ) {
        let graph = self.graph;
        let begun = path.len();
        let mut task = task;
        loop {
            if let Some(at) = path.iter().position(|before| *before == task) {
                self.closed(task, path.len() - at, indent);
                break;
            }
            if !seen.insert(task) {
                let line = Line::of(format!("{} ", self.glyphs.cycle), Role::Dim);
                let line = self.named(line, task).with(": see above", Role::Dim);
                self.say(indent, line, Some(Go::Place(Place::Task(task))));
                break;
            }
            path.push(task);
            let waits = self.ties.waits.get(&task).and_then(|&(lock, waiter)| {
                let lock = graph.locks.get(lock)?;
                Some((lock, lock.waiters.get(waiter)?))
            });
            let Some((lock, waiter)) = waits else {
                self.root(task, indent);
                break;
            };
            self.wait(lock, waiter, indent);
            let sure: Vec<&Holder> = lock.holders.iter().filter(|h| holds_it(h)).collect();
            match sure.as_slice() {
                [] => {
                    self.unheld(lock, indent);
                    break;
                }
                [holder] => {
                    self.holder(lock, holder, indent);
                    task = holder.task.at;
                }
                several => {
                    self.branches(lock, several, indent, path, seen);
                    break;
                }
            }
        }
        path.truncate(begun);
    }

    /// Who holds a lock together, each with what it waits for in turn.
    fn branches(
        &mut self,
        lock: &Lock,
        holders: &[&Holder],
        indent: usize,
        path: &mut Vec<VirtAddr>,
        seen: &mut HashSet<VirtAddr>,
    ) {
        if indent >= DEEPEST {
            let line = Line::of(format!("{} goes deeper", self.glyphs.more), Role::Fault);
            return self.say(indent, line, None);
        }
        let shown = self.shown(lock, holders.len());
        for holder in holders.iter().take(shown) {
            self.holder(lock, holder, indent);
            self.upwards(holder.task.at, indent + 4, path, seen);
        }
        if let Some(rest) = holders.get(shown..).filter(|rest| !rest.is_empty()) {
            self.fold(lock, rest.iter().map(|holder| holder.mode), indent);
        }
    }

    /// How many of those who share a lock are shown.
    fn shown(&self, lock: &Lock, len: usize) -> usize {
        if len <= SHOWN || self.unfolded.contains(&lock.at) { len } else { SHOWN - 1 }
    }

    fn fold(&mut self, lock: &Lock, of: impl Iterator<Item = Mode> + Clone, indent: usize) {
        let line = Line::of(format!("{} {}", self.glyphs.closed, more_like_these(of)), Role::Key);
        self.say(indent, line, Some(Go::Unfold(lock.at)));
    }

    /// `java[30413] UN CPU 3`, with a mark.
    fn named(&self, mut line: Line, task: VirtAddr) -> Line {
        let Some(row) = self.tasks.get(&task) else {
            return line.with(format!("task at {task}"), Role::Fault);
        };
        line.push(row.task.label(), Role::Task);
        if let Ok(state) = &row.task.state {
            let role = match state {
                State::Uninterruptible => Role::Bad,
                State::Running => Role::Good,
                _ => Role::Text,
            };
            line.push(format!(" {state}"), role);
        }
        if row.task.active
            && let Ok(cpu) = &row.task.cpu
        {
            line.push(format!(" CPU {cpu}"), Role::Good);
        }
        line
    }

    fn sign(&self, task: VirtAddr) -> Line {
        if task == self.subject {
            Line::of(format!("{} ", self.glyphs.selected), Role::Key)
        } else {
            Line::of(format!("{} ", self.glyphs.task), Role::Text)
        }
    }

    /// A task's wait: for what, how, since when; how we know; in which state the lock is.
    fn wait(&mut self, lock: &Lock, waiter: &Waiter, indent: usize) {
        let at = waiter.task.at;
        let mut line = self.named(self.sign(at), at);
        line.push(if waiter.spinning { " spins" } else { " waits" }, Role::Wait);
        if let Some(since) = waiter.since {
            line.push(format!(" {}", span(since)), Role::Wait);
        }
        line.push(" for ", Role::Wait);
        line.push(lock.name.clone(), Role::Lock);
        let asked = asked(waiter);
        let asked = asked.strip_prefix("spins, ").unwrap_or(&asked);
        if !asked.is_empty() {
            line.push(format!(" ({asked})"), Role::Text);
        }
        self.say(indent, line, Some(Go::Place(Place::Task(at))));
        self.told.claim(waiter.confidence, &waiter.why, lock, indent + 4);
        self.state(lock, indent);
    }

    /// What a lock says of itself, and what is wrong with it.
    fn state(&mut self, lock: &Lock, indent: usize) {
        let line = Line::of(format!("{} ", self.glyphs.lock), Role::Lock)
            .with(lock.name.clone(), Role::Lock)
            .with(format!(" at {}: ", lock.at), Role::Dim)
            .with(lock_state(lock), Role::Text);
        self.say(indent, line, Some(Go::Place(object(lock))));
        for doubt in &lock.doubts {
            let line = Line::of(format!("? {doubt}"), Role::Fault);
            self.say(indent + 4, line, Some(Go::Place(object(lock))));
        }
    }

    fn holder(&mut self, lock: &Lock, holder: &Holder, indent: usize) {
        let sure = holds_it(holder);
        let mut line = Line::of(format!("{} ", self.glyphs.last), Role::Dim);
        line.push(
            if sure { "held" } else { "perhaps held" },
            if sure { Role::Bad } else { Role::Fault },
        );
        line.push(format!(" ({}) by ", holder.mode.name()), Role::Text);
        let line = self.named(line, holder.task.at);
        self.say(indent, line, Some(Go::Place(Place::Task(holder.task.at))));
        self.told.claim(holder.confidence, &holder.why, lock, indent + 4);
    }

    /// The chain ends at a lock that no task is known to hold.
    fn unheld(&mut self, lock: &Lock, indent: usize) {
        let words = match lock.kind {
            LockKind::Completion => "nobody holds it: it ends when somebody completes it",
            kind if kind.is_condition() => "nobody holds it: it ends when somebody wakes it up",
            _ if lock.orphaned => "the task that held it has exited without releasing it",
            _ if lock.holders.is_empty() => "who holds it is not known: its holder left no trace",
            _ => "who holds it is not known for sure",
        };
        let line = Line::of(format!("{} ", self.glyphs.last), Role::Dim).with(words, Role::Fault);
        self.say(indent, line, Some(Go::Place(object(lock))));
        self.told.undecided(lock, indent + 4);
        let shown = self.shown(lock, lock.holders.len());
        for candidate in lock.holders.iter().take(shown) {
            self.holder(lock, candidate, indent + 4);
        }
        if let Some(rest) = lock.holders.get(shown..).filter(|rest| !rest.is_empty()) {
            self.fold(lock, rest.iter().map(|holder| holder.mode), indent + 4);
        }
    }

    /// The chain ends at a task that waits for no lock.
    fn root(&mut self, task: VirtAddr, indent: usize) {
        let root = self.graph.roots.iter().find(|root| root.task.at == task);
        let other = self.graph.others.iter().find(|other| other.task.at == task);
        let mut line = self.named(self.sign(task), task);
        match (root, other) {
            (Some(root), _) => {
                line.push(format!(" holds up {}", root.blocks), Role::Bad);
                line.push(" and waits for no lock: ", Role::Text);
                line.push(root.doing.clone(), Role::Wait);
                self.say(indent, line, Some(Go::Place(Place::Task(task))));
                for record in &root.log {
                    let line = Line::of("what the log says of it", Role::Symbol);
                    self.say(indent + 4, line, Some(Go::Place(Place::Log(*record))));
                }
                return;
            }
            (None, Some(other)) => {
                line.push(" is blocked outside the known locks: ", Role::Text);
                line.push(other.on.clone(), Role::Wait);
                if let Some(since) = other.since {
                    line.push(format!(", {}", span(since)), Role::Wait);
                }
            }
            (None, None) => line.push(" waits for no lock that is known", Role::Text),
        }
        self.say(indent, line, Some(Go::Place(Place::Task(task))));
    }

    /// The chain has come back to where it was.
    fn closed(&mut self, task: VirtAddr, tasks: usize, indent: usize) {
        let line = Line::of(format!("{} back to ", self.glyphs.cycle), Role::Bad);
        let mut line = self.named(line, task);
        let words = match tasks {
            1 => "it waits for what it holds itself".to_owned(),
            many => format!("a deadlock of {many}"),
        };
        line.push(format!(": {words}"), Role::Bad);
        self.say(indent, line, Some(Go::Place(Place::Task(task))));
    }

    fn downwards(&mut self, task: VirtAddr) {
        let graph = self.graph;
        let (direct, all) = self.ties.blocked_by(graph, task);
        let mut line = Line::of("Whom does it block?", Role::Title);
        match (direct, all) {
            (0, _) => line.push(" Nobody that is known.", Role::Text),
            (direct, all) if direct == all => line.push(format!(" {all}"), Role::Bad),
            (direct, all) => {
                line.push(format!(" {all}"), Role::Bad);
                line.push(
                    format!(": {direct} directly, {} behind those", all - direct),
                    Role::Text,
                );
            }
        }
        self.say(0, line, None);
        let held = self.ties.held(task).to_vec();
        let mut seen = HashSet::default();
        for (number, holder) in held {
            let Some(lock) = graph.locks.get(number) else { continue };
            let Some(holder) = lock.holders.get(holder) else { continue };
            self.held(lock, holder, 0);
            self.told.claim(holder.confidence, &holder.why, lock, 4);
            self.waiters(number, 2, &mut seen);
        }
        for (number, holder) in self.ties.perhaps_held(task).to_vec() {
            let Some(lock) = graph.locks.get(number) else { continue };
            let Some(holder) = lock.holders.get(holder) else { continue };
            self.held(lock, holder, 0);
            self.told.claim(holder.confidence, &holder.why, lock, 4);
        }
    }

    /// A lock that a task holds.
    fn held(&mut self, lock: &Lock, holder: &Holder, indent: usize) {
        let sure = holds_it(holder);
        let (verb, role) = if sure { ("holds", Role::Lock) } else { ("may hold", Role::Fault) };
        let line = Line::of(format!("{} {verb} ", self.glyphs.lock), role)
            .with(lock.name.clone(), Role::Lock)
            .with(format!(" ({}): {}", holder.mode.name(), lock_state(lock)), Role::Text);
        self.say(indent, line, Some(Go::Place(object(lock))));
    }

    /// Who waits for a lock, each with the locks that it holds in turn.
    fn waiters(&mut self, number: usize, indent: usize, seen: &mut HashSet<usize>) {
        let graph = self.graph;
        let Some(lock) = graph.locks.get(number) else { return };
        if !seen.insert(number) {
            let line = Line::of(format!("{} its waiters: see above", self.glyphs.cycle), Role::Dim);
            return self.say(indent, line, Some(Go::Place(object(lock))));
        }
        if indent >= DEEPEST {
            let line = Line::of(format!("{} goes deeper", self.glyphs.more), Role::Fault);
            return self.say(indent, line, None);
        }
        // Those who hold up others come with their queues; of the rest a few stand for all.
        let (busy, idle): (Vec<&Waiter>, Vec<&Waiter>) =
            lock.waiters.iter().partition(|waiter| !self.ties.held(waiter.task.at).is_empty());
        let shown = self.shown(lock, idle.len());
        let mut listed: Vec<&Waiter> = busy;
        listed.extend(idle.iter().take(shown));
        listed.sort_by_key(|waiter| waiter.position.unwrap_or(u32::MAX));
        for waiter in listed {
            let at = waiter.task.at;
            let mut line = self.named(self.sign(at), at);
            let asked = asked(waiter);
            if !asked.is_empty() {
                line.push(format!(" {asked}"), Role::Text);
            }
            if let Some(since) = waiter.since {
                line.push(format!(" {}", span(since)), Role::Wait);
            }
            if waiter.confidence != Confidence::Certain {
                line.push(format!(" [{}]", waiter.confidence.name()), Role::Fault);
            }
            if at == self.subject {
                line.push(format!(" {} itself", self.glyphs.cycle), Role::Bad);
            }
            self.say(indent, line, Some(Go::Place(Place::Task(at))));
            if at == self.subject {
                continue;
            }
            for (number, holder) in self.ties.held(at).to_vec() {
                let Some(lock) = graph.locks.get(number) else { continue };
                let Some(holder) = lock.holders.get(holder) else { continue };
                self.held(lock, holder, indent + 4);
                self.waiters(number, indent + 6, seen);
            }
        }
        if let Some(rest) = idle.get(shown..).filter(|rest| !rest.is_empty()) {
            self.fold(lock, rest.iter().map(|waiter| waiter.mode), indent);
        }
    }
}
