//! "How we know": everything that speaks for the selected line of the lock graph.

use super::line::tasks_of;
use crate::dump::VirtAddr;
use crate::locks::{Lock, LockGraph, StateValue};
use crate::present::lock_state;
use crate::tui::app::App;
use crate::tui::locktree::LockNode;
use crate::tui::theme::Role;
use crate::tui::why::undecided;
use crate::tui::widget::lines::{Line, wrap};

/// Lines that are at most `room` cells wide.
pub(super) fn evidence(app: &App, graph: &LockGraph, room: usize) -> Vec<Line> {
    let Some(row) = app.lock_rows.get(app.here.windows.locks.cursor) else { return Vec::new() };
    let mut evidence = Evidence { lines: Vec::new(), room };
    evidence.claims(graph, &row.node);
    let lock = row.node.lock().or(match &row.node {
        LockNode::Waiter { lock, .. } | LockNode::Candidate { lock, .. } => Some(*lock),
        _ => None,
    });
    if let Some(lock) = lock.and_then(|lock| graph.locks.get(lock)) {
        evidence.lock(lock);
    }
    evidence.lines
}

struct Evidence {
    lines: Vec<Line>,
    room: usize,
}

impl Evidence {
    /// A sentence behind a sign, broken into lines.
    fn say(&mut self, lead: &str, text: &str, role: Role) {
        for (n, part) in wrap(text, self.room.saturating_sub(2)).into_iter().enumerate() {
            let lead = if n == 0 { lead } else { "  " };
            self.lines.push(Line::of(lead, Role::Dim).with(part, role));
        }
    }

    fn tell(&mut self, text: &str) {
        self.say("", text, Role::Text);
    }

    /// What the line claims, and why.
    fn claims(&mut self, graph: &LockGraph, node: &LockNode) {
        match node {
            LockNode::Root(root) => {
                if let Some(root) = graph.roots.get(*root) {
                    self.tell(&format!("{} {}", root.task.label(), root.doing));
                }
            }
            LockNode::Waiter { lock, waiter, .. } => {
                let lock = graph.locks.get(*lock);
                if let Some(waiter) = lock.and_then(|lock| lock.waiters.get(*waiter)) {
                    self.tell(&format!("{}: {}", waiter.confidence.name(), waiter.why));
                }
            }
            LockNode::Member { cycle, at } => {
                if let Some(task) = tasks_of(graph, *cycle).get(*at) {
                    self.ties(graph, task.at);
                }
            }
            LockNode::Cycle(cycle) | LockNode::Close(cycle) => self.cycle(graph, *cycle),
            LockNode::NotesHeading => {
                graph.notes.iter().for_each(|note| self.say("- ", note, Role::Text));
            }
            LockNode::Note(note) => {
                self.tell(graph.notes.get(*note).map_or("", String::as_str));
            }
            LockNode::Other(other) => {
                self.tell(graph.others.get(*other).map_or("", |other| other.on.as_str()));
            }
            _ => {}
        }
    }

    /// What a task waits for and what it holds.
    fn ties(&mut self, graph: &LockGraph, task: VirtAddr) {
        let waits = graph.locks.iter().flat_map(|lock| &lock.waiters);
        for waiter in waits.filter(|waiter| waiter.task.at == task) {
            self.tell(&format!("waits, {}: {}", waiter.confidence.name(), waiter.why));
        }
        let holds = graph.locks.iter().flat_map(|lock| &lock.holders);
        for holder in holds.filter(|holder| holder.task.at == task) {
            self.tell(&format!("holds, {}: {}", holder.confidence.name(), holder.why));
        }
    }

    /// What each task of a deadlock waits for.
    fn cycle(&mut self, graph: &LockGraph, cycle: usize) {
        for task in tasks_of(graph, cycle) {
            let locks = graph.locks.iter();
            let waits = locks.flat_map(|lock| lock.waiters.iter().map(move |w| (lock, w)));
            for (lock, waiter) in waits.filter(|(_, waiter)| waiter.task.at == task.at) {
                let (who, sure) = (task.label(), waiter.confidence.name());
                self.tell(&format!("{who} waits for {}, {sure}: {}", lock.name, waiter.why));
            }
        }
    }

    /// What a lock says of itself, who holds it, and what is wrong with it.
    fn lock(&mut self, lock: &Lock) {
        let title = match lock.name.contains(&lock.at.to_string()) {
            true => format!("{}, {}", lock.name, lock.ty),
            false => format!("{} {} at {}", lock.ty, lock.name, lock.at),
        };
        self.say("", &title, Role::Lock);
        if let Some(place) = &lock.place {
            self.say("  ", place, Role::Dim);
        }
        self.say("  ", &lock_state(lock), Role::Text);
        for (field, value) in &lock.state {
            self.say("  ", &format!("{field} = {}", state_value(value)), Role::Dim);
        }
        for holder in &lock.holders {
            let (mode, who) = (holder.mode.name(), holder.task.label());
            let sure = holder.confidence.name();
            self.tell(&format!("held ({mode}) by {who}, {sure}: {}", holder.why));
        }
        for line in undecided(lock) {
            self.tell(&line.text());
        }
        for doubt in &lock.doubts {
            self.say("? ", doubt, Role::Fault);
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
