//! `list`: linked lists, and whether they are what they are taken for.

use super::chain::{Chain, Links, MOST, chain};
use super::entries::{Entry, Shown, answer};
use super::words::Words;
use super::{Answer, Call, Command, CommandError, Console, structure};
use crate::command::select;
use crate::debuginfo::Tag;
use crate::dump::VirtAddr;
use crate::kernel::{Session, Task};
use crate::locks;
use crate::present::Radix;
use std::collections::BTreeMap;

pub(super) const LIST: Command = Command {
    name: "list",
    usage: "list [[-o] OFFSET] [-e END] [-s TYPE[.MEMBER,...]] [-l OFFSET] [-r] [-x] [-h | -H] START",
    summary: "the entries of a linked list, checked",
    details: "START is the first object; the next one is where the pointer at OFFSET in it leads\n-H          START is the list_head that the list hangs on, which is no entry itself\n-h          START is an object with a list_head at OFFSET in it, an entry like the others\n-O OFFSET   with -h: where the head is in START, which is then no entry\n-o OFFSET   where the link is in each entry: bytes, or TYPE.MEMBER\n-s, -S      what to show of each entry: list -H ADDR -o rwsem_waiter.list -s rwsem_waiter.task\n-l OFFSET   with -s: the addresses are those of the links, this far into the objects\n-e END      the address to stop at\n-r          the other way round, by prev\n-x, -d      numbers in hex, in decimal\nLinks that do not lead back, entries that lie elsewhere than the others and pointers to tasks that\nare none are said: a list that is entered at one of its entries shows its head as an entry.",
    run,
};

/// What was asked for.
#[derive(Default)]
struct Wanted {
    offset: Option<u64>,
    inside: u64,
    head_offset: Option<u64>,
    end: Option<VirtAddr>,
    radix: Radix,
    backwards: bool,
    head: bool,
    embedded: bool,
}

fn run(console: &mut Console<'_>, call: &Call<'_>) -> Result<Answer, CommandError> {
    let mut wanted = Wanted::default();
    let mut shown = Vec::new();
    let mut rest: Vec<&str> = Vec::new();
    let whole = select::rejoined(call.words);
    let mut words = Words::of(&whole);
    while let Some(word) = words.next() {
        let mut offset = || structure::offset(console, words.value("an offset")?);
        match word {
            "-o" => wanted.offset = Some(offset()?),
            "-l" => wanted.inside = offset()?,
            "-O" => wanted.head_offset = Some(offset()?),
            "-e" => wanted.end = Some(console.place(words.value("an address")?, call.column)?),
            "-s" | "-S" => shown.push(Shown::parse(console, words.value("a type")?)?),
            "-H" => wanted.head = true,
            "-h" => wanted.embedded = true,
            "-r" => wanted.backwards = true,
            // Another way to find loops, which are always found here.
            "-B" => {}
            "-x" => wanted.radix = Radix::Hex,
            "-d" => wanted.radix = Radix::Decimal,
            option if option.starts_with('-') => return Err(LIST.unknown(option)),
            word => rest.push(word),
        }
    }
    let start = match rest.as_slice() {
        [] => return Err(CommandError::new("list wants an address to start from")),
        [start] => start,
        [offset, start] if wanted.offset.is_none() => {
            // crash takes the offset in either place.
            let (offset, start) = match structure::offset(console, offset) {
                Ok(offset) => (offset, start),
                Err(error) => match structure::offset(console, start) {
                    Ok(found) if start.contains('.') => (found, offset),
                    _ => return Err(error),
                },
            };
            wanted.offset = Some(offset);
            start
        }
        [_, word, ..] => return Err(LIST.unknown(word)),
    };
    let start = console.place(start, call.column)?;
    Ok(walk(console, start, &wanted, &shown))
}

fn walk(console: &Console<'_>, start: VirtAddr, wanted: &Wanted, shown: &[Shown<'_>]) -> Answer {
    let memory = console.session.memory();
    let (offset, radix) = (wanted.offset.unwrap_or(0), wanted.radix);
    let object = |at: VirtAddr| Entry {
        object: VirtAddr(at.0.wrapping_sub(wanted.inside)),
        ..Entry::at(at)
    };
    if !wanted.head && !wanted.embedded {
        // Objects linked to each other. With nothing in between they are list_heads.
        let double = wanted.backwards;
        let links = Links { next: offset, backwards: wanted.backwards, double };
        let Chain { mut nodes, doubts } = chain(memory, start, links, wanted.end, MOST);
        nodes.insert(0, start);
        return answer(console, nodes.into_iter().map(object).collect(), shown, radix, doubts);
    }
    let head = match (wanted.head, wanted.head_offset) {
        (true, _) => start,
        (false, head) => start.plus(head.unwrap_or(offset)),
    };
    let links = Links { next: 0, backwards: wanted.backwards, double: true };
    let end = wanted.end.map(|end| end.plus(offset));
    let Chain { nodes, doubts } = chain(memory, head, links, end, MOST);
    let mut notes = doubts;
    // From the address of a link to that of the object around it.
    let entry = |link: VirtAddr| object(VirtAddr(link.0.wrapping_sub(offset)));
    let mut entries: Vec<Entry> = nodes.iter().map(|node| entry(*node)).collect();
    if wanted.embedded && wanted.head_offset.is_none() {
        entries.insert(0, entry(head));
    } else if let Some((position, mut reason)) = misplaced_head(console.session, head, &nodes) {
        let at = nodes.get(position).copied().unwrap_or(head);
        if let Some(lock) = lock_around(console.session, at) {
            reason = format!("{reason}, the wait list of {lock}");
        }
        notes.push(reason);
        if let Some(entry) = entries.get_mut(position) {
            entry.remark = Some(format!("doubtful: no entry but the list's head, {at}"));
        }
    }
    answer(console, entries, shown, radix, notes)
}

/// Whether the list was entered at one of its entries: then one of `nodes` is its head. That one
/// lies elsewhere than all the others: not on a stack, or in the kernel's image.
fn misplaced_head(
    session: &Session,
    start: VirtAddr,
    nodes: &[VirtAddr],
) -> Option<(usize, String)> {
    let stacks: BTreeMap<VirtAddr, (VirtAddr, &Task)> = session
        .tasks()
        .iter()
        .filter_map(|task| session.stack(task).map(|stack| (stack.start, (stack.end, task))))
        .collect();
    let on_stack = |at: VirtAddr| {
        let (_, (end, task)) = stacks.range(..=at).next_back()?;
        (at < *end).then_some(*task)
    };
    let elsewhere = |is_home: &dyn Fn(VirtAddr) -> bool| {
        let mut found = (0..).zip(nodes).filter(|(_, node)| !is_home(**node));
        match (found.next(), found.next()) {
            (Some((position, node)), None) => Some((position, *node)),
            _ => None,
        }
    };
    if let Some(task) = on_stack(start) {
        let (position, node) = elsewhere(&|at| on_stack(at).is_some())?;
        return Some((
            position,
            format!(
                "{start} lies on the stack of {}: it is an entry and not the head, which is {node}",
                task.label()
            ),
        ));
    }
    let in_image = |at: VirtAddr| session.symbolize(at).filter(|found| !found.symbol.is_text());
    if in_image(start).is_none() && nodes.len() > 1 {
        let (position, node) = elsewhere(&|at| in_image(at).is_none())?;
        let symbol = in_image(node)?;
        return Some((
            position,
            format!("{start} is an entry and not the head, which is {node} <{symbol}>"),
        ));
    }
    None
}

/// The name of the lock that holds this address, if somebody waits for it.
fn lock_around(session: &Session, at: VirtAddr) -> Option<String> {
    locks::analyse(session).locks.into_iter().find_map(|lock| {
        let bare = lock.ty.strip_prefix("struct ")?;
        let size = session.types().find(Tag::Struct, bare).ok()?.size()?;
        (lock.at..lock.at.plus(size)).contains(&at).then_some(lock.name)
    })
}
