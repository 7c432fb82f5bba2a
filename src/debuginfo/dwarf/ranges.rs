//! Which unit an address is of.
//!
//! `.debug_aranges` says it in a few hundred kilobytes. It is not complete: clang writes none, and
//! not every assembler does. So where it has no answer, the units that it does not name are asked
//! for their own ranges, once.

use super::units::Start;
use super::{Dwarf, Reader};
use foldhash::HashSet;
use gimli::{DebuggingInformationEntry, Unit};
use rayon::prelude::*;
use std::ops::Range;
use std::sync::OnceLock;

/// Ranges of one unit: one of the whole kernel (LTO) has some ten thousand.
const MAX_UNIT_RANGES: usize = 1 << 18;
/// Ranges of one entry within a unit: a function's parts, an inlined block's pieces.
const MAX_ENTRY_RANGES: usize = 1 << 12;

/// Addresses (as linked) and the unit that they are of, in order of their beginnings.
#[derive(Default)]
pub(super) struct UnitRanges {
    named: OnceLock<Vec<(Range<u64>, Start)>>,
    unnamed: OnceLock<Vec<(Range<u64>, Start)>>,
}

#[cfg(test)]
impl UnitRanges {
    /// As of a file without `.debug_aranges`.
    pub(super) fn naming_nothing() -> UnitRanges {
        UnitRanges { named: Vec::new().into(), unnamed: OnceLock::new() }
    }
}

impl Dwarf {
    /// The unit that an address (as linked) is of.
    pub(super) fn unit_of(&self, at: u64) -> Option<Start> {
        let ranges = &self.unit_ranges;
        find(ranges.named.get_or_init(|| self.named_ranges()), at)
            .or_else(|| find(ranges.unnamed.get_or_init(|| self.unnamed_ranges()), at))
    }

    /// What `.debug_aranges` says, as far as it can be read.
    fn named_ranges(&self) -> Vec<(Range<u64>, Start)> {
        let dwarf = self.gimli();
        let mut ranges = Vec::new();
        let mut headers = dwarf.debug_aranges.headers();
        while let Ok(Some(header)) = headers.next() {
            let mut entries = header.entries();
            while let Ok(Some(entry)) = entries.next() {
                let range = entry.range();
                ranges.push((range.begin..range.end, Start(header.debug_info_offset().0)));
            }
        }
        ordered(ranges)
    }

    /// What the units say that `.debug_aranges` does not name.
    fn unnamed_ranges(&self) -> Vec<(Range<u64>, Start)> {
        let named = self.unit_ranges.named.get().into_iter().flatten();
        let named: HashSet<Start> = named.map(|(_, unit)| *unit).collect();
        // No code is in type units, nor in the supplementary file.
        let unnamed = self.units().par_iter();
        let unnamed = unnamed.filter(|at| self.has_code(**at) && !named.contains(at));
        let ranges = unnamed.flat_map_iter(|at| {
            let dwarf = self.gimli();
            let ranges = self.unit(&dwarf, *at).ok().and_then(|unit| {
                let root = unit.entry(unit.header.root_offset()).ok()?;
                Some(collect(&dwarf, &unit, &root, MAX_UNIT_RANGES))
            });
            ranges.unwrap_or_default().into_iter().map(|range| (range, *at))
        });
        ordered(ranges.collect())
    }
}

fn ordered(mut ranges: Vec<(Range<u64>, Start)>) -> Vec<(Range<u64>, Start)> {
    ranges.sort_by_key(|(range, unit)| (range.start, unit.0));
    ranges
}

fn find(ranges: &[(Range<u64>, Start)], at: u64) -> Option<Start> {
    let after = ranges.partition_point(|(range, _)| range.start <= at);
    let (range, unit) = ranges.get(after.checked_sub(1)?)?;
    range.contains(&at).then_some(*unit)
}

/// The ranges of an entry, as far as they can be read.
pub(super) fn of_entry<'d>(
    dwarf: &gimli::Dwarf<Reader<'d>>,
    unit: &Unit<Reader<'d>>,
    entry: &DebuggingInformationEntry<Reader<'d>>,
) -> Vec<Range<u64>> {
    collect(dwarf, unit, entry, MAX_ENTRY_RANGES)
}

/// gimli's `die_ranges` adds the start and the length of an entry, whatever they are.
fn collect<'d>(
    dwarf: &gimli::Dwarf<Reader<'d>>,
    unit: &Unit<Reader<'d>>,
    entry: &DebuggingInformationEntry<Reader<'d>>,
    most: usize,
) -> Vec<Range<u64>> {
    let address = |value| dwarf.attr_address(unit, value).ok().flatten();
    let mut collected = Vec::new();
    if let Some(list) = entry.attr_value(gimli::DW_AT_ranges) {
        let Ok(Some(mut ranges)) = dwarf.attr_ranges(unit, list) else { return collected };
        while collected.len() < most
            && let Ok(Some(range)) = ranges.next()
        {
            collected.push(range.begin..range.end);
        }
        return collected;
    }
    let start = entry.attr_value(gimli::DW_AT_low_pc).and_then(address);
    let end = entry.attr_value(gimli::DW_AT_high_pc);
    if let (Some(start), Some(end)) = (start, end) {
        let length = end.udata_value().map(|length| start.checked_add(length));
        let end = length.unwrap_or_else(|| address(end));
        collected.extend(end.map(|end| start..end));
    }
    collected
}
