//! Lines that each lead somewhere: what is told of locks, and what it rests on.

use super::model::{Place, Subject};
use super::theme::Role;
use super::widget::lines::Line;
use crate::dump::VirtAddr;
use crate::locks::{Case, Confidence, Lock, Spot, Why};
use std::collections::BTreeSet;

/// One line.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct ToldRow {
    pub(crate) line: Line,
    /// Where Enter goes.
    pub(crate) go: Option<Go>,
    /// The task that it is about.
    pub(crate) task: Option<VirtAddr>,
}

/// Where a line leads.
#[derive(Clone, PartialEq, Debug)]
pub(crate) enum Go {
    /// There.
    Place(Place),
    /// Shows, or folds, all who share that lock.
    Unfold(VirtAddr),
}

impl ToldRow {
    /// The address that it leads to, or its task.
    pub(crate) fn leads_to(&self) -> Option<VirtAddr> {
        match &self.go {
            Some(Go::Place(place)) => place.address().or(self.task),
            _ => self.task,
        }
    }
}

/// Lines of at most so many cells.
pub(crate) struct Told {
    pub(crate) columns: usize,
    pub(crate) rows: Vec<ToldRow>,
}

impl Told {
    /// A line, broken where it is too long; all of it leads to the same place.
    pub(crate) fn say(&mut self, indent: usize, line: Line, go: Option<Go>) {
        let task = match &go {
            Some(Go::Place(Place::Task(task))) => Some(*task),
            _ => None,
        };
        let mut whole = Line::of(" ".repeat(indent + 1), Role::Text);
        whole.0.extend(line.0);
        for line in whole.wrapped(self.columns, indent + 3) {
            self.rows.push(ToldRow { line, go: go.clone(), task });
        }
    }

    /// How sure a claim is and how we know, piece by piece; each opens what it can be seen at.
    pub(crate) fn claim(&mut self, sure: Confidence, why: &Why, lock: &Lock, indent: usize) {
        let role = if sure == Confidence::Certain { Role::Good } else { Role::Fault };
        let mut line = Line::of(format!("{}: ", sure.name()), role);
        let (begun, mut indent) = (indent, indent);
        let mut pieces = why.evidence().iter().peekable();
        while let Some(piece) = pieces.next() {
            let (place, role) = match &piece.spot {
                Some(spot) => (seen_at(spot, lock), Role::Symbol),
                None => (object(lock), Role::Text),
            };
            line.push(piece.says.clone(), role);
            // What can be seen nowhere else goes on in the same line.
            while let Some(next) = pieces.next_if(|next| next.spot.is_none() && !next.begins) {
                line.push(format!(" {}", next.says), Role::Text);
            }
            self.say(indent, std::mem::take(&mut line), Some(Go::Place(place)));
            indent = begun + 2;
        }
    }

    /// Where a holder that nothing names can be, and what would decide it.
    pub(crate) fn undecided(&mut self, lock: &Lock, indent: usize) {
        let Some(undecided) = &lock.undecided else { return };
        let line = |lead: &str, says: &str, role| {
            Line::of(format!("{lead}: "), role).with(says.to_owned(), Role::Text)
        };
        for case in &undecided.cases {
            let to = Some(Go::Place(of_case(case, lock)));
            self.say(indent, line(case.place, &case.says, Role::Fault), to);
        }
        let wanted = undecided.wanted_in_words();
        if !wanted.is_empty() {
            let to = Some(Go::Place(object(lock)));
            self.say(indent, line("to decide it", &wanted, Role::Key), to);
        }
    }
}

pub(crate) fn object(lock: &Lock) -> Place {
    Place::object(lock.ty, lock.at)
}

/// What speaks for a case: a message, or the first of its candidates.
fn of_case(case: &Case, lock: &Lock) -> Place {
    match (case.log, case.tasks.first()) {
        (Some(record), _) => Place::Log(record),
        (None, Some(task)) => Place::Task(task.at),
        (None, None) => object(lock),
    }
}

/// Where a piece of evidence about `lock` is shown.
fn seen_at(spot: &Spot, lock: &Lock) -> Place {
    let frame = |task: &VirtAddr, n: &usize, open| {
        let subject = Subject::Frame { task: *task, n: *n };
        Place::Object { subject, open }
    };
    match spot {
        Spot::Frame { task, number } => frame(task, number, BTreeSet::new()),
        Spot::Register { task, number, name } => {
            frame(task, number, BTreeSet::from([(*name).to_owned()]))
        }
        Spot::Code(at) => Place::Code(*at),
        Spot::Object { ty, at } => Place::object(*ty, *at),
        Spot::Member(at) => Place::Member { ty: lock.ty.to_owned(), of: lock.at, at: *at },
        Spot::Word(at) => Place::Memory(*at),
        Spot::Log(record) => Place::Log(*record),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tui::fixture;

    /// Where the lines of a claim lead that rests on this.
    fn leads_to(spot: Spot) -> Place {
        let graph = fixture::locks();
        let mut told = Told { columns: 80, rows: Vec::new() };
        told.claim(Confidence::Likely, &Why::new("it").at(spot), &graph.locks[0], 0);
        match told.rows.remove(0).go {
            Some(Go::Place(place)) => place,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn every_piece_of_evidence_opens_where_it_can_be_seen() {
        let (task, at) = (VirtAddr(0x1000), VirtAddr(0x2000));
        let lock = &fixture::locks().locks[0];
        let frame = |open: &[&str]| Place::Object {
            subject: Subject::Frame { task, n: 2 },
            open: open.iter().map(|path| (*path).to_owned()).collect(),
        };
        assert_eq!(leads_to(Spot::Frame { task, number: 2 }), frame(&[]));
        assert_eq!(leads_to(Spot::Register { task, number: 2, name: "RBX" }), frame(&["RBX"]));
        assert_eq!(leads_to(Spot::Code(at)), Place::Code(at));
        assert_eq!(leads_to(Spot::Word(at)), Place::Memory(at));
        assert_eq!(leads_to(Spot::Log(7)), Place::Log(7));
        let object = Spot::Object { ty: "rwsem_waiter", at };
        assert_eq!(leads_to(object), Place::object("rwsem_waiter", at));
        let member = Place::Member { ty: lock.ty.to_owned(), of: lock.at, at };
        assert_eq!(leads_to(Spot::Member(at)), member);
    }
}
