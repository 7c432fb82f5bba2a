//! The functions of a unit, and what is inlined at an address of one.

use super::units::Unit;
use super::{Dwarf, Reader, ranges};
use crate::dump::scrub;
use gimli::{AttributeValue, DebuggingInformationEntry, UnitOffset};
use std::ops::Range;

/// `DW_AT_abstract_origin` and `DW_AT_specification` lead from a function's code to its name in one
/// or two steps.
const MAX_ORIGINS: usize = 8;
/// Functions inlined into each other at one place: gcc's own limits are far below.
const MAX_INLINED: usize = 256;

/// An entry of the debug information, to read attributes from.
pub(super) type Entry<'d> = DebuggingInformationEntry<Reader<'d>>;

/// The code of a unit's functions, in order of the beginnings of its parts.
#[derive(Default)]
pub(super) struct Functions {
    parts: Vec<(Range<u64>, UnitOffset)>,
}

impl Functions {
    /// All those of a unit; where it is damaged, those before, and what is wrong.
    pub(super) fn read<'d>(
        dwarf: &gimli::Dwarf<Reader<'d>>,
        unit: &Unit<'d>,
    ) -> (Functions, Option<gimli::Error>) {
        let mut functions = Functions::default();
        let damage = functions.add_all(dwarf, unit).err();
        functions.parts.sort_by_key(|(range, offset)| (range.start, offset.0));
        (functions, damage)
    }

    fn add_all<'d>(
        &mut self,
        dwarf: &gimli::Dwarf<Reader<'d>>,
        unit: &Unit<'d>,
    ) -> Result<(), gimli::Error> {
        let mut entries = unit.entries_raw(None)?;
        let mut entry = Entry::null();
        while !entries.is_empty() {
            let (offset, depth) = (entries.next_offset(), entries.next_depth());
            let Some(abbreviation) = entries.read_abbreviation()? else { continue };
            if abbreviation.tag() != gimli::DW_TAG_subprogram {
                entries.skip_attributes(abbreviation.attributes())?;
                continue;
            }
            (entry.tag, entry.offset, entry.depth) = (abbreviation.tag(), offset, depth);
            entries.read_attributes(abbreviation.attributes(), &mut entry.attrs)?;
            let ranges = ranges::of_entry(dwarf, unit, &entry);
            self.parts.extend(ranges.into_iter().map(|range| (range, offset)));
        }
        Ok(())
    }

    /// The entry of the function that an address (as linked) is in.
    pub(super) fn at(&self, at: u64) -> Option<UnitOffset> {
        let after = self.parts.partition_point(|(range, _)| range.start <= at);
        let (range, offset) = self.parts.get(after.checked_sub(1)?)?;
        range.contains(&at).then_some(*offset)
    }
}

/// The entries of a function that cover an address: the function itself, then what is inlined in
/// it and the blocks (`DW_TAG_lexical_block`) there, from the outermost to the innermost.
pub(super) fn covering<'d>(
    dwarf: &gimli::Dwarf<Reader<'d>>,
    unit: &Unit<'d>,
    function: UnitOffset,
    at: u64,
) -> Vec<Entry<'d>> {
    let mut path: Vec<Entry<'d>> = Vec::new();
    let Ok(mut entries) = unit.entries_raw(Some(function)) else { return path };
    // Children of an entry are of interest when it covers the address: those at this depth.
    let mut wanted = 0;
    let mut entry = Entry::null();
    while !entries.is_empty() && path.len() < MAX_INLINED {
        let depth = entries.next_depth();
        if depth < wanted {
            break;
        }
        let (offset, Ok(abbreviation)) = (entries.next_offset(), entries.read_abbreviation())
        else {
            break;
        };
        let Some(abbreviation) = abbreviation else { continue };
        let holds_code = matches!(
            abbreviation.tag(),
            gimli::DW_TAG_subprogram
                | gimli::DW_TAG_inlined_subroutine
                | gimli::DW_TAG_lexical_block
        );
        if depth > wanted || !holds_code {
            if entries.skip_attributes(abbreviation.attributes()).is_err() {
                break;
            }
            continue;
        }
        (entry.tag, entry.offset, entry.depth) = (abbreviation.tag(), offset, depth);
        entry.has_children = abbreviation.has_children();
        if entries.read_attributes(abbreviation.attributes(), &mut entry.attrs).is_err() {
            break;
        }
        // The first is the function that was asked for: one of its parts holds the address.
        let covers = path.is_empty()
            || ranges::of_entry(dwarf, unit, &entry).iter().any(|range| range.contains(&at));
        if covers {
            let children = entry.has_children;
            path.push(std::mem::replace(&mut entry, Entry::null()));
            if !children {
                break;
            }
            wanted += 1;
        }
    }
    path
}

impl Dwarf {
    /// The name of an entry or of what it is an instance of, scrubbed.
    pub(super) fn name_of<'d>(
        &self,
        dwarf: &gimli::Dwarf<Reader<'d>>,
        unit: &Unit<'d>,
        entry: &Entry<'d>,
    ) -> Option<Box<str>> {
        let name = self.attribute(dwarf, unit, entry, gimli::DW_AT_name, |unit, value| {
            let home = self.home(dwarf, unit.start);
            home.attr_string(unit, value).ok().map(|name| scrub(name.slice()))
        });
        name.map(String::into_boxed_str)
    }

    /// The name of the entry that an attribute refers to.
    pub(super) fn named_by<'d>(
        &self,
        dwarf: &gimli::Dwarf<Reader<'d>>,
        unit: &Unit<'d>,
        reference: AttributeValue<Reader<'d>>,
    ) -> Option<Box<str>> {
        let (elsewhere, entry) = self.referred(dwarf, unit, reference)?;
        self.name_of(dwarf, elsewhere.as_ref().unwrap_or(unit), &entry)
    }

    /// The entry that an attribute refers to, and its unit where that is another.
    pub(super) fn referred<'d>(
        &self,
        dwarf: &gimli::Dwarf<Reader<'d>>,
        unit: &Unit<'d>,
        reference: AttributeValue<Reader<'d>>,
    ) -> Option<(Option<Unit<'d>>, Entry<'d>)> {
        match reference {
            AttributeValue::UnitRef(offset) => Some((None, unit.entry(offset).ok()?)),
            value => {
                let number = self.referred_to(unit.start, &value)?;
                let (_, start) = self.unit_holding(number)?;
                let other = self.unit(dwarf, start).ok()?;
                let entry = other.entry(UnitOffset(number.checked_sub(start.0)?)).ok()?;
                Some((Some(other), entry))
            }
        }
    }

    /// What `take` makes of an attribute of an entry, or of what it is an instance of. It is given
    /// the unit that the attribute was found in.
    pub(super) fn attribute<'d, T>(
        &self,
        dwarf: &gimli::Dwarf<Reader<'d>>,
        unit: &Unit<'d>,
        entry: &Entry<'d>,
        name: gimli::DwAt,
        take: impl Fn(&Unit<'d>, AttributeValue<Reader<'d>>) -> Option<T>,
    ) -> Option<T> {
        let mut elsewhere: Option<Unit<'d>> = None;
        let mut entry = entry.clone();
        for _ in 0..MAX_ORIGINS {
            let here = elsewhere.as_ref().unwrap_or(unit);
            if let Some(value) = entry.attr_value(name) {
                return take(here, value);
            }
            let origin = entry
                .attr_value(gimli::DW_AT_abstract_origin)
                .or_else(|| entry.attr_value(gimli::DW_AT_specification))?;
            let (other, its) = self.referred(dwarf, here, origin)?;
            entry = its;
            elsewhere = other.or(elsewhere);
        }
        None
    }
}
