//! `l`, and `dis -s`: source lines.

use super::dis::place;
use super::words::count;
use super::{Answer, Call, Command, CommandError, Console};
use crate::debuginfo::{Position, SourceFile};
use crate::dump::VirtAddr;
use crate::kernel::Session;
use crate::present::{Line, no_lines, no_source};
use std::ops::RangeInclusive;

pub(super) const L: Command = Command {
    name: "l",
    usage: "l FILE:LINE [COUNT]\nl ADDR | SYMBOL | (EXPRESSION) [COUNT]",
    summary: "the source around a line, or of a place in the code",
    details: "The files are looked for where --source says. COUNT lines, ten without it, the one that was\nasked for among them and marked with *.",
    run,
};

/// Lines that are shown, and how many of them stand before the one that was asked for.
const LINES: u32 = 10;
const BEFORE: u32 = 5;
/// Lines that are shown at most.
const MOST: u32 = 100_000;

fn run(console: &mut Console<'_>, call: &Call<'_>) -> Result<Answer, CommandError> {
    let words: Vec<&str> = call.words.iter().map(String::as_str).collect();
    let session = console.session;
    let named = words.first().and_then(|word| file_and_line(word));
    let (file, line, count, asked) = match named {
        Some((file, line)) => {
            let count = words.get(1).map(|word| count(word)).transpose()?;
            if let Some(word) = words.get(2) {
                return Err(L.unknown(word));
            }
            (file.to_owned(), line, count, true)
        }
        None => {
            let (at, _, count) = place(console, &L, &words)?;
            let (file, line) = line_of(session, at)?;
            (file, line, count, false)
        }
    };
    let trees = session.source_trees();
    let searched = || if asked { trees.search(&file) } else { None };
    let Some(source) = trees.read(&file).or_else(searched) else {
        if asked {
            return Err(CommandError::new(no_source(session, &file)));
        }
        let lines = vec![Line::from(format!("{file}:{line}"))];
        return Ok(Answer { notes: vec![no_source(session, &file)], ..Answer::from(lines) });
    };
    let count = count.map_or(LINES, |count| u32::try_from(count).unwrap_or(MOST)).min(MOST);
    let before = BEFORE.min(count / 2);
    let first = line.saturating_sub(before).max(1);
    let lines = listing(&source, line, first..=first.saturating_add(count.saturating_sub(1)));
    if lines.is_empty() {
        let most = source.lines.len();
        let path = source.path.display();
        return Err(CommandError::new(format!("{path} has {most} lines, not {line}")));
    }
    Ok(lines.into())
}

/// `FILE:LINE`.
fn file_and_line(word: &str) -> Option<(&str, u32)> {
    let (file, line) = word.rsplit_once(':')?;
    Some((file, line.parse().ok().filter(|_| !file.is_empty())?))
}

/// `dis -s`: the source of the function that covers `at`, from a few lines before it on.
pub(super) fn function(
    session: &Session,
    at: VirtAddr,
    count: Option<usize>,
) -> Result<Answer, CommandError> {
    let (file, line) = line_of(session, at)?;
    let head = ["FILE: ".to_owned() + &file, format!("LINE: {line}"), String::new()];
    let mut lines: Vec<Line> = head.into_iter().map(Line::from).collect();
    let Some(source) = session.source_trees().read(&file) else {
        return Ok(Answer { notes: vec![no_source(session, &file)], ..Answer::from(lines) });
    };
    let last = match count {
        Some(count) => line.saturating_add(u32::try_from(count).unwrap_or(MOST).min(MOST)),
        None => last_line(session, at, &file).unwrap_or(0).max(line),
    };
    let first = line.saturating_sub(BEFORE).max(1);
    lines.extend(listing(&source, line, first..=last.min(first.saturating_add(MOST))));
    Ok(lines.into())
}

/// The last line of the function that covers `at`, as far as that is in `file`.
fn last_line(session: &Session, at: VirtAddr, file: &str) -> Option<u32> {
    let code = session.function(at).ok()?;
    let lines = code.instructions().iter().filter_map(|instruction| {
        let positions = session.positions(VirtAddr(instruction.ip()));
        let Position { file: its, line, .. } = positions.last()?;
        line.filter(|_| its.as_deref() == Some(file))
    });
    lines.max()
}

/// The innermost file and line of an address.
fn line_of(session: &Session, at: VirtAddr) -> Result<(String, u32), CommandError> {
    let positions = session.positions(at);
    let known = positions.first().and_then(|p| Some((p.file.as_deref()?.to_owned(), p.line?)));
    known.ok_or_else(|| CommandError::new(no_lines(session, at)))
}

/// Lines with their numbers; the one that was asked for has a mark.
fn listing(source: &SourceFile, asked: u32, range: RangeInclusive<u32>) -> Vec<Line> {
    let numbered = |number: u32| {
        let mark = if number == asked { '*' } else { ' ' };
        source.line(number).map(|text| Line::from(format!("{mark} {number:<5} {text}").trim_end()))
    };
    range.map_while(numbered).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listing_marks_the_line_and_ends_with_the_file() {
        let lines = ["one", "", "three"].map(str::to_owned).to_vec();
        let source = SourceFile { path: "a.c".into(), lines };
        let text: Vec<String> =
            listing(&source, 3, 2..=9).into_iter().map(|line| line.text).collect();
        assert_eq!(text, ["  2", "* 3     three"]);
        assert!(listing(&source, 9, 4..=14).is_empty());
    }

    #[test]
    fn a_file_and_its_line_are_told_from_an_address() {
        assert_eq!(file_and_line("kernel/fork.c:12"), Some(("kernel/fork.c", 12)));
        for other in ["mutex_lock", "runqueues:x", ":3", "0x10"] {
            assert_eq!(file_and_line(other), None, "{other}");
        }
    }
}
