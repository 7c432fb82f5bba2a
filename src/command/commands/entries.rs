//! The entries of a list or a tree: addresses, and what lies there if that was asked for.

use super::{Answer, Console, structure};
use crate::command::CommandError;
use crate::debuginfo::Type;
use crate::dump::VirtAddr;
use crate::object::Object;
use crate::present::{Cell, Document, Heading, Line, Link, Printed, Radix, Table};

/// One entry.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    /// The address to show.
    pub(super) shown: VirtAddr,
    /// Where the object starts.
    pub(super) object: VirtAddr,
    /// What is doubtful about it, or what else there is to say, behind its address.
    pub(super) remark: Option<String>,
}

impl Entry {
    pub(super) fn at(at: VirtAddr) -> Entry {
        Entry { shown: at, object: at, remark: None }
    }
}

/// What is shown of every entry: `-s TYPE[.MEMBER[,MEMBER...]]`.
pub(super) struct Shown<'s> {
    ty: Type<'s>,
    members: Vec<String>,
}

impl<'s> Shown<'s> {
    pub(super) fn parse(console: &Console<'s>, text: &str) -> Result<Shown<'s>, CommandError> {
        let (name, members) = text.split_once('.').map_or((text, None), |(n, m)| (n, Some(m)));
        let ty = structure::with_members(console, name)?;
        let members: Vec<String> =
            members.into_iter().flat_map(|list| list.split(',')).map(str::to_owned).collect();
        for member in &members {
            ty.member(member)?;
        }
        Ok(Shown { ty, members })
    }

    fn printed(
        &self,
        console: &Console<'s>,
        at: VirtAddr,
        radix: Radix,
    ) -> Result<Printed, CommandError> {
        let object = Object::new(console.session.memory(), self.ty, at);
        if self.members.is_empty() {
            return structure::whole(console, &object, radix);
        }
        let members: Vec<&str> = self.members.iter().map(String::as_str).collect();
        structure::some(console, &object, &members, radix)
    }

    /// What of the entry cannot be true: a pointer to a task that is no task.
    fn doubt(&self, console: &Console<'s>, at: VirtAddr) -> Option<String> {
        self.members.iter().find_map(|name| {
            let object = Object::new(console.session.memory(), self.ty, at).member(name).ok()?;
            let to = object.ty().target().filter(|_| !object.is_bit_field())?;
            if to.resolved().def().name.as_deref() != Some("task_struct") {
                return None;
            }
            let task = object.pointer().ok().filter(|task| !task.is_null())?;
            let unknown = console.session.tasks().at(task).is_none();
            unknown.then(|| format!("{name} points to {task}, where no task is"))
        })
    }
}

/// The entries as a document, with a note for every one that cannot be what it was taken for.
pub(super) fn answer(
    console: &Console<'_>,
    mut entries: Vec<Entry>,
    shown: &[Shown<'_>],
    radix: Radix,
    mut notes: Vec<String>,
) -> Answer {
    if shown.is_empty() {
        return noted(Document::Table(table(&entries)), notes);
    }
    let mut values = Vec::new();
    // The lines before the next value: addresses, and reasons where there is none.
    let mut heading = Vec::new();
    for entry in &mut entries {
        let doubt = shown.iter().find_map(|shown| shown.doubt(console, entry.object));
        if let Some(doubt) = doubt {
            notes.push(format!("{:x} is no such entry: {doubt}", entry.shown));
            entry.remark.get_or_insert_with(|| format!("doubtful: {doubt}"));
        }
        heading.push(line(entry));
        for shown in shown {
            match shown.printed(console, entry.object, radix) {
                Ok(mut printed) => {
                    printed.heading = std::mem::take(&mut heading);
                    values.push(printed);
                }
                // One that is not there does not hide the others.
                Err(error) => {
                    notes.push(format!("{:x}: {error}", entry.shown));
                    heading.push(format!("  ({error})"));
                }
            }
        }
    }
    if values.is_empty() {
        let lines = if entries.is_empty() { vec!["(empty)".to_owned()] } else { heading };
        return noted(Document::Lines(lines.into_iter().map(Line::from).collect()), notes);
    }
    noted(Document::Values(values), notes)
}

fn noted(document: Document, notes: Vec<String>) -> Answer {
    Answer { notes, ..Answer::from(document) }
}

fn line(entry: &Entry) -> String {
    match &entry.remark {
        Some(remark) => format!("{:x}  <-- {remark}", entry.shown),
        None => format!("{:x}", entry.shown),
    }
}

fn table(entries: &[Entry]) -> Table {
    let columns = vec![Heading::left("address", "ADDRESS"), Heading::left("remark", "REMARK")];
    let row = |entry: &Entry| {
        let remark = entry.remark.clone().map_or(Cell::Empty, Cell::Text);
        vec![Cell::Address(entry.shown), remark]
    };
    let rows = entries.iter().map(row).collect();
    let text = |entry: &Entry| Line::to(Link::Memory(entry.shown), line(entry));
    let lines = if entries.is_empty() {
        vec!["(empty)".into()]
    } else {
        entries.iter().map(text).collect()
    };
    Table { columns, rows, lines: Some(lines) }
}
