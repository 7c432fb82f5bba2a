//! What speaks for the selected line of the lock graph: each claim, piece by piece, and the lock's
//! state; every line opens what it rests on.

use super::app::App;
use super::locktree::LockNode;
use super::model::Place;
use super::theme::Role;
use super::ties::holds_it;
use super::told::{Go, Told, ToldRow, object};
use super::widget::lines::Line;
use crate::dump::VirtAddr;
use crate::locks::{Lock, LockGraph, StateValue, TaskRef};
use crate::present::lock_state;

/// The lines about `node`, of at most `columns` cells.
pub(crate) fn rows(graph: &LockGraph, node: &LockNode, columns: usize) -> Vec<ToldRow> {
    let mut weighed = Weighed { graph, told: Told { columns, rows: Vec::new() } };
    weighed.node(node);
    let of = node.lock().or(match node {
        LockNode::Waiter { lock, .. } | LockNode::Candidate { lock, .. } => Some(*lock),
        _ => None,
    });
    if let Some(lock) = of.and_then(|lock| graph.locks.get(lock)) {
        weighed.lock(lock);
    }
    weighed.told.rows
}

impl App {
    /// The lines of evidence for the selected line of the lock graph.
    pub(super) fn weigh(&mut self, columns: usize) {
        let (Some(graph), Some(row)) =
            (self.locks.ready(), self.lock_rows.get(self.here.windows.locks.cursor))
        else {
            self.evidence.clear();
            self.evidence_key = None;
            return;
        };
        let key = (row.node.clone(), columns);
        if self.evidence_key.as_ref() != Some(&key) {
            self.evidence = rows(graph, &row.node, columns);
            self.evidence_key = Some(key);
        }
    }
}

struct Weighed<'g> {
    graph: &'g LockGraph,
    told: Told,
}

fn named(task: &TaskRef) -> String {
    format!("{}[{}]", task.comm, task.pid)
}

fn to(place: Place) -> Option<Go> {
    Some(Go::Place(place))
}

impl Weighed<'_> {
    fn node(&mut self, node: &LockNode) {
        let graph = self.graph;
        match node {
            LockNode::Root(root) => {
                let Some(root) = graph.roots.get(*root) else { return };
                let line = Line::of(format!("{} {}", named(&root.task), root.doing), Role::Text);
                self.told.say(0, line, to(Place::Task(root.task.at)));
                for record in &root.log {
                    let line = Line::of("what the log says of it", Role::Symbol);
                    self.told.say(2, line, to(Place::Log(*record)));
                }
                self.holds(root.task.at);
            }
            LockNode::Waiter { lock, waiter, .. } => {
                let Some(lock) = graph.locks.get(*lock) else { return };
                let Some(waiter) = lock.waiters.get(*waiter) else { return };
                self.told.claim(waiter.confidence, &waiter.why, lock, 0);
            }
            LockNode::Member { cycle, at } => {
                let task = graph.cycles.get(*cycle).and_then(|cycle| cycle.tasks.get(*at));
                if let Some(task) = task {
                    self.waits(task.at);
                    self.holds(task.at);
                }
            }
            LockNode::Cycle(cycle) | LockNode::Close(cycle) => {
                let tasks = graph.cycles.get(*cycle).map_or(&[][..], |cycle| &cycle.tasks);
                for task in tasks {
                    self.waits(task.at);
                    self.holds(task.at);
                }
            }
            LockNode::NotesHeading => {
                for note in &graph.notes {
                    self.told.say(0, Line::of(format!("- {note}"), Role::Text), None);
                }
            }
            LockNode::Note(note) => {
                let note = graph.notes.get(*note).cloned().unwrap_or_default();
                self.told.say(0, Line::of(note, Role::Text), None);
            }
            LockNode::Other(other) => {
                let Some(other) = graph.others.get(*other) else { return };
                let line = Line::of(other.on.clone(), Role::Text);
                self.told.say(0, line, to(Place::Task(other.task.at)));
            }
            _ => {}
        }
    }

    /// What a task waits for, and how we know.
    fn waits(&mut self, task: VirtAddr) {
        for lock in &self.graph.locks {
            for waiter in lock.waiters.iter().filter(|waiter| waiter.task.at == task) {
                let line = Line::of(named(&waiter.task), Role::Task)
                    .with(" waits for ", Role::Wait)
                    .with(lock.name.clone(), Role::Lock);
                self.told.say(0, line, to(Place::Task(task)));
                self.told.claim(waiter.confidence, &waiter.why, lock, 2);
            }
        }
    }

    /// What a task holds and somebody waits for, and how we know.
    fn holds(&mut self, task: VirtAddr) {
        for lock in self.graph.locks.iter().filter(|lock| !lock.waiters.is_empty()) {
            for holder in lock.holders.iter().filter(|holder| holder.task.at == task) {
                let line = Line::of(named(&holder.task), Role::Task)
                    .with(if holds_it(holder) { " holds " } else { " may hold " }, Role::Bad)
                    .with(lock.name.clone(), Role::Lock)
                    .with(format!(" ({})", holder.mode.name()), Role::Text);
                self.told.say(0, line, to(Place::Task(task)));
                self.told.claim(holder.confidence, &holder.why, lock, 2);
            }
        }
    }

    /// A lock: its state in words and field by field, who holds it, where its holder can be.
    fn lock(&mut self, lock: &Lock) {
        let title = match lock.name.contains(&lock.at.to_string()) {
            true => format!("{}, {}", lock.name, lock.ty),
            false => format!("{} {} at {}", lock.ty, lock.name, lock.at),
        };
        self.told.say(0, Line::of(title, Role::Lock), to(object(lock)));
        if let Some(place) = &lock.place {
            self.told.say(2, Line::of(place.clone(), Role::Dim), to(object(lock)));
        }
        self.told.say(2, Line::of(lock_state(lock), Role::Text), to(object(lock)));
        for (field, value) in &lock.state {
            let line = Line::of(format!("{field} = {}", state_value(value)), Role::Dim);
            self.told.say(2, line, to(object(lock)));
        }
        for holder in &lock.holders {
            let perhaps = if holds_it(holder) { "" } else { "perhaps " };
            let line = Line::of(format!("{perhaps}held ({}) by ", holder.mode.name()), Role::Bad)
                .with(named(&holder.task), Role::Task);
            self.told.say(0, line, to(Place::Task(holder.task.at)));
            self.told.claim(holder.confidence, &holder.why, lock, 2);
        }
        self.told.undecided(lock, 0);
        for doubt in &lock.doubts {
            self.told.say(0, Line::of(format!("? {doubt}"), Role::Fault), to(object(lock)));
        }
    }
}

fn state_value(value: &StateValue) -> String {
    match value {
        StateValue::Number(number) => number.to_string(),
        StateValue::Flag(set) => if *set { "yes" } else { "no" }.to_owned(),
        StateValue::Bits(bits) => format!("{bits:#x}"),
        StateValue::Text(text) => text.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tui::fixture;

    #[test]
    fn both_sides_of_each_wait_of_a_deadlock_are_shown_and_every_line_leads_somewhere() {
        let graph = fixture::locks();
        let rows = rows(&graph, &LockNode::Cycle(0), 60);
        let text: Vec<String> = rows.iter().map(|row| row.line.text()).collect();
        for task in &graph.cycles[0].tasks {
            for does in ["waits for", "holds"] {
                let line = format!(" {} {does} ", named(task));
                assert!(text.iter().any(|text| text.starts_with(&line)), "{line} {text:?}");
            }
        }
        assert!(rows.iter().all(|row| row.go.is_some()), "{text:?}");
        assert!(rows.iter().all(|row| row.line.width() <= 60), "{text:?}");
    }

    #[test]
    fn whoever_only_may_hold_a_lock_is_not_said_to_hold_it() {
        let graph = fixture::locks();
        let lock = graph.locks.iter().position(|lock| lock.name == "hu_sem").unwrap();
        let rows = rows(&graph, &LockNode::Orphan(lock), 80);
        let held = rows.iter().map(|row| row.line.text()).find(|text| text.contains("held ("));
        assert!(held.unwrap().starts_with(" perhaps held (excl) by "));
    }

    #[test]
    fn a_root_blocker_leads_to_what_the_log_says_of_it() {
        let graph = fixture::locks();
        let rows = rows(&graph, &LockNode::Root(0), 80);
        let log = rows.iter().find(|row| row.line.text().contains("what the log says"));
        assert_eq!(log.unwrap().go, Some(Go::Place(Place::Log(1))));
    }
}
