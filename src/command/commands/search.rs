//! `search`: where a value lies in memory.

use super::words::Words;
use super::{Answer, Call, Command, CommandError, Console};
use crate::dump::{PAGE_SIZE, PhysAddr, VirtAddr};
use crate::kernel::{Session, Task};
use crate::present::{Cell, Document, Heading, Line, Link, Table};
use rayon::prelude::*;

pub(super) const SEARCH: Command = Command {
    name: "search",
    usage: "search [-t | -k] [-m MASK] VALUE | SYMBOL ...",
    summary: "where a value lies: on task stacks, or in all of memory",
    details: "-t  on the stacks of all tasks; so without -k\n-k  in all memory that the dump has, by the kernel's direct map\n-m  bits that do not matter\nOnly whole words of eight bytes are compared.",
    run,
};

/// Matches that are told.
const MAX_FOUND: usize = 10_000;
/// More pages than any machine has: 64 TiB.
const MAX_PAGES: u64 = 1 << 34;
/// Pages that one worker takes at a time.
const CHUNK: u64 = 256;

/// Where a value was found.
struct Match {
    at: VirtAddr,
    value: u64,
}

fn run(console: &mut Console<'_>, call: &Call<'_>) -> Result<Answer, CommandError> {
    let (mut everywhere, mut mask, mut values) = (false, 0, Vec::new());
    let mut words = Words::of(call.words);
    while let Some(word) = words.next() {
        match word {
            "-t" => everywhere = false,
            "-k" => everywhere = true,
            "-m" => mask = console.address(words.value("a mask")?)?.0,
            option if option.starts_with('-') => return Err(SEARCH.unknown(option)),
            word => values.push(console.address(word)?.0),
        }
    }
    if values.is_empty() {
        return Err(CommandError::new("search wants a value"));
    }
    let session = console.session;
    let wanted = |word: u64| values.iter().any(|value| (value | mask) == (word | mask));
    if everywhere {
        return memory(session, &wanted);
    }
    let found: Vec<(&Task, Vec<Match>)> = console
        .tasks()?
        .all()
        .par_iter()
        .filter_map(|task| {
            let stack = session.stack(task)?;
            let len = stack.end.offset_from(stack.start)?;
            let found = words_at(session, stack.start, len, &wanted);
            (!found.is_empty()).then_some((task, found))
        })
        .collect();
    Ok(stacks(&found))
}

/// The words of a range that are wanted; pages that are not there have none.
fn words_at(
    session: &Session,
    start: VirtAddr,
    len: u64,
    wanted: &(dyn Fn(u64) -> bool + Sync),
) -> Vec<Match> {
    let mut found = Vec::new();
    let mut page = [0; 4096];
    for page_start in (0..len.div_ceil(PAGE_SIZE)).map(|n| start.plus(n * PAGE_SIZE)) {
        if session.memory().read(page_start, &mut page).is_ok() {
            found.extend(matches(page_start, &page, wanted));
        }
    }
    found
}

fn matches<'a>(
    start: VirtAddr,
    bytes: &'a [u8],
    wanted: &'a dyn Fn(u64) -> bool,
) -> impl Iterator<Item = Match> + 'a {
    (0_u64..).zip(bytes.chunks_exact(8)).filter_map(move |(index, word)| {
        let value = u64::from_le_bytes(word.first_chunk().copied()?);
        wanted(value).then(|| Match { at: start.plus(8 * index), value })
    })
}

fn stacks(found: &[(&Task, Vec<Match>)]) -> Answer {
    let mut table = Table {
        columns: vec![
            Heading::right("pid", "PID"),
            Heading::left("comm", "COMM"),
            Heading::left("task", "TASK"),
            Heading::left("address", "ADDRESS"),
            Heading::left("value", "VALUE"),
        ],
        ..Table::default()
    };
    let mut lines = Vec::new();
    for (task, matches) in found {
        if !lines.is_empty() {
            lines.push(Line::default());
        }
        let cpu = task.cpu.as_ref().map_or_else(|_| "–".to_owned(), u32::to_string);
        let heading = format!(
            "PID: {:<7}  TASK: {:x}  CPU: {cpu:<2}  COMMAND: \"{}\"",
            task.pid, task.at, task.comm
        );
        lines.push(Line::to(Link::Task(task.at), heading));
        for Match { at, value } in matches {
            lines.push(Line::to(Link::Memory(*at), format!("{at:x}: {value:x}")));
            table.rows.push(vec![
                Cell::Int(task.pid.into()),
                Cell::Text(task.comm.to_string()),
                Cell::Address(task.at),
                Cell::Address(*at),
                Cell::Address(VirtAddr(*value)),
            ]);
        }
    }
    table.lines = Some(lines);
    Document::Table(table).into()
}

/// Every page of the dump, by its address in the direct map.
fn memory(
    session: &Session,
    wanted: &(dyn Fn(u64) -> bool + Sync),
) -> Result<Answer, CommandError> {
    let none = || CommandError::new("where the kernel maps all memory is not known");
    session.direct(PhysAddr(0)).ok_or_else(none)?;
    let physical = session.dump().memory();
    let pages = session.dump().info().max_mapnr.min(MAX_PAGES);
    let found: Vec<Match> = (0..pages.div_ceil(CHUNK))
        .into_par_iter()
        .flat_map_iter(|chunk| {
            let physical = &physical;
            let first = chunk * CHUNK;
            (first..(first + CHUNK).min(pages)).flat_map(move |pfn| {
                let mut page = [0; 4096];
                let at = PhysAddr(pfn * PAGE_SIZE);
                let read = physical.read(at, &mut page).ok().and_then(|()| session.direct(at));
                let found = read.map(|at| matches(at, &page, wanted).collect::<Vec<_>>());
                found.into_iter().flatten()
            })
        })
        .collect();
    let mut table = Table {
        columns: vec![
            Heading::left("address", "ADDRESS"),
            Heading::left("value", "VALUE"),
            Heading::left("what", "WHAT IT IS"),
        ],
        ..Table::default()
    };
    let mut lines = Vec::new();
    for Match { at, value } in found.iter().take(MAX_FOUND) {
        let what = session.identify(*at, None).to_string();
        lines.push(Line::to(Link::Memory(*at), format!("{at:x}: {value:x}  {what}")));
        let value = Cell::Address(VirtAddr(*value));
        table.rows.push(vec![Cell::Address(*at), value, Cell::Text(what)]);
    }
    table.lines = Some(lines);
    let mut answer = Answer::from(Document::Table(table));
    if found.len() > MAX_FOUND {
        answer.notes.push(format!("{} places, of which {MAX_FOUND} are told", found.len()));
    }
    Ok(answer)
}
