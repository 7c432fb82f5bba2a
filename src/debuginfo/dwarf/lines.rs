//! The line program of a unit, run once: which line of which file an address comes from.

use super::Reader;
use crate::dump::scrub;
use gimli::{LineProgramHeader, Unit};
use std::ops::Range;

/// Rows of one unit. The largest of a kernel have some hundred thousand.
const MAX_ROWS: usize = 1 << 22;

/// The lines of a unit.
#[derive(Default)]
pub(super) struct Lines {
    /// In order of their beginnings.
    sequences: Vec<Sequence>,
    rows: usize,
}

/// Code that lies together.
struct Sequence {
    range: Range<u64>,
    /// In order of their addresses; of several at one address the last counts.
    rows: Vec<Row>,
}

#[derive(Clone, Copy)]
struct Row {
    at: u64,
    file: u32,
    /// 0 where there is none.
    line: u32,
}

impl Lines {
    /// Those of a unit; where its program is damaged, what comes before, and what is wrong.
    pub(super) fn read(unit: &Unit<Reader<'_>>) -> (Lines, Option<gimli::Error>) {
        let mut lines = Lines::default();
        let Some(program) = unit.line_program.clone() else { return (lines, None) };
        let mut program = program.rows();
        let mut rows: Vec<Row> = Vec::new();
        let mut damage = None;
        loop {
            let row = match program.next_row() {
                Ok(Some((_, row))) => row,
                Ok(None) => break,
                Err(error) => {
                    damage = Some(error);
                    break;
                }
            };
            if row.end_sequence() {
                lines.add(std::mem::take(&mut rows), row.address());
            } else {
                let line = row.line().and_then(|line| u32::try_from(line.get()).ok()).unwrap_or(0);
                let file = u32::try_from(row.file_index()).unwrap_or(u32::MAX);
                rows.push(Row { at: row.address(), file, line });
            }
            if lines.rows + rows.len() >= MAX_ROWS {
                break;
            }
        }
        lines.sequences.sort_by_key(|sequence| sequence.range.start);
        (lines, damage)
    }

    fn add(&mut self, mut rows: Vec<Row>, end: u64) {
        rows.sort_by_key(|row| row.at);
        let Some(first) = rows.first() else { return };
        if first.at < end {
            self.rows += rows.len();
            self.sequences.push(Sequence { range: first.at..end, rows });
        }
    }

    /// How many rows are kept.
    pub(super) fn len(&self) -> usize {
        self.rows
    }

    /// The number of the file and the line of an address (as linked).
    pub(super) fn at(&self, at: u64) -> Option<(u64, Option<u32>)> {
        let after = self.sequences.partition_point(|sequence| sequence.range.start <= at);
        let sequence = self.sequences.get(after.checked_sub(1)?)?;
        if !sequence.range.contains(&at) {
            return None;
        }
        let after = sequence.rows.partition_point(|row| row.at <= at);
        let row = sequence.rows.get(after.checked_sub(1)?)?;
        Some((row.file.into(), Some(row.line).filter(|line| *line != 0)))
    }
}

/// The name of a file of a unit, as the kernel's build names it: `kernel/sched/core.c`. Names are
/// relative to where the build ran; one in another place has its whole path.
pub(super) fn file_name<'d>(
    dwarf: &gimli::Dwarf<Reader<'d>>,
    unit: &Unit<Reader<'d>>,
    index: u64,
) -> Option<Box<str>> {
    let header: &LineProgramHeader<Reader<'_>> = unit.line_program.as_ref()?.header();
    let file = header.file(index)?;
    let text = |value| dwarf.attr_string(unit, value).ok().map(|text| scrub(text.slice()));
    let name = text(file.path_name())?;
    let build = unit.comp_dir.map(|dir| scrub(dir.slice())).unwrap_or_default();
    // Directory 0 is where the build ran.
    let folder = match file.directory_index() {
        0 => None,
        _ => file.directory(header).and_then(text),
    };
    let path = match folder {
        Some(folder) if !name.starts_with('/') => format!("{folder}/{name}"),
        _ => name,
    };
    Some(within(&build, &plain(&path)).into())
}

/// A path without `.`, `..` and doubled slashes.
fn plain(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." if parts.last().is_some_and(|last| *last != "..") => _ = parts.pop(),
            // Nothing lies above the root.
            ".." if path.starts_with('/') && parts.is_empty() => {}
            part => parts.push(part),
        }
    }
    let root = if path.starts_with('/') { "/" } else { "" };
    format!("{root}{}", parts.join("/"))
}

/// A path as seen from an absolute folder, where it lies in that.
fn within<'p>(folder: &str, path: &'p str) -> &'p str {
    let folder = plain(folder);
    if !folder.starts_with('/') || folder == "/" {
        return path;
    }
    path.strip_prefix(&folder).and_then(|rest| rest.strip_prefix('/')).unwrap_or(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_told_as_the_build_saw_them() {
        assert_eq!(plain("./kernel/./sched//core.c"), "kernel/sched/core.c");
        assert_eq!(plain("arch/x86/kernel/../xen/head.S"), "arch/x86/xen/head.S");
        assert_eq!(plain("../../kernel/fork.c"), "../../kernel/fork.c");
        assert_eq!(plain("/a/../../b.c"), "/b.c");
        assert_eq!(within("/usr/src/linux", "/usr/src/linux/mm/mmap.c"), "mm/mmap.c");
        assert_eq!(within("/usr/src/linux", "/usr/src/linux-6.1/mm.c"), "/usr/src/linux-6.1/mm.c");
        assert_eq!(within("debian/build", "mm/mmap.c"), "mm/mmap.c");
    }

    #[test]
    fn the_last_row_not_after_an_address_is_its_line() {
        let row = |at, line| Row { at, file: 1, line };
        let mut lines = Lines::default();
        lines.add(vec![row(0x30, 7), row(0x10, 3), row(0x10, 4), row(0x20, 0)], 0x40);
        lines.add(Vec::new(), 0x80);
        lines.add(vec![row(0x90, 1)], 0x80);
        assert_eq!(lines.at(0xf), None);
        assert_eq!(lines.at(0x1f), Some((1, Some(4))));
        assert_eq!(lines.at(0x2f), Some((1, None)));
        assert_eq!(lines.at(0x3f), Some((1, Some(7))));
        assert_eq!(lines.at(0x40), None);
        assert_eq!((lines.len(), lines.at(0x90)), (4, None));
    }
}
