//! The units of all sections in one list, and all DIEs in one numbering.
//!
//! Units are in `.debug_info`, and in DWARF 4 those of types (`-fdebug-types-section`) in
//! `.debug_types`. dwz moves what several files have in common to a supplementary file, which has
//! these sections again. The number of a DIE is its place in the four of them, laid end to end; the
//! number of a unit is that of its first byte.

use super::{Dwarf, DwarfError, Reader};
use crate::dump::scrub;
use gimli::{
    AttributeValue, DebugInfoOffset, DebugTypes, DebuggingInformationEntry, Section, UnitHeader,
    UnitSectionOffset,
};
use std::ops::Deref;

/// The number of a unit.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(super) struct Start(pub(super) usize);

/// The sections that units are in, in the order of the numbering.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Part {
    Info,
    Types,
    SharedInfo,
    SharedTypes,
}

impl Part {
    const fn section(self) -> &'static str {
        match self {
            Part::Info => ".debug_info",
            Part::Types => ".debug_types",
            Part::SharedInfo => ".debug_info of its supplementary file",
            Part::SharedTypes => ".debug_types of its supplementary file",
        }
    }
}

const PARTS: [Part; 4] = [Part::Info, Part::Types, Part::SharedInfo, Part::SharedTypes];

/// Where the numbering of each section begins, and after the last one where it ends.
#[derive(Clone, Copy, Default, Debug)]
pub(super) struct Numbering([usize; 5]);

/// A unit with all that its code needs.
pub(super) struct Unit<'d> {
    unit: gimli::Unit<Reader<'d>>,
    /// Its number.
    pub(super) start: Start,
}

impl<'d> Deref for Unit<'d> {
    type Target = gimli::Unit<Reader<'d>>;

    fn deref(&self) -> &gimli::Unit<Reader<'d>> {
        &self.unit
    }
}

impl Numbering {
    pub(super) fn of(dwarf: &gimli::Dwarf<Reader<'_>>) -> Numbering {
        let mut starts = Numbering::default();
        let shared = |len: fn(&gimli::Dwarf<Reader<'_>>) -> usize| dwarf.sup().map_or(0, len);
        let lens = [
            dwarf.debug_info.reader().len(),
            dwarf.debug_types.reader().len(),
            shared(|shared| shared.debug_info.reader().len()),
            shared(|shared| shared.debug_types.reader().len()),
        ];
        let mut end = 0_usize;
        for (start, len) in starts.0.iter_mut().skip(1).zip(lens) {
            end = end.saturating_add(len);
            *start = end;
        }
        starts
    }

    fn start(&self, part: Part) -> usize {
        self.0.get(part as usize).copied().unwrap_or(usize::MAX)
    }

    /// The section of a number, and the place there.
    fn place(&self, number: usize) -> (Part, usize) {
        let part = PARTS.into_iter().rev().find(|part| self.start(*part) <= number);
        let part = part.unwrap_or(Part::Info);
        (part, number.saturating_sub(self.start(part)))
    }

    /// Where the supplementary file's begin.
    pub(super) fn shared(&self) -> usize {
        self.start(Part::SharedInfo)
    }

    /// Behind all of them.
    pub(super) fn end(&self) -> usize {
        self.0.last().copied().unwrap_or(0)
    }
}

impl Dwarf {
    /// Whether a unit is in the supplementary file.
    pub(super) fn is_shared(&self, unit: Start) -> bool {
        unit.0 >= self.numbering.shared()
    }

    /// Whether a unit may have code: not those of types, nor those of the supplementary file.
    pub(super) fn has_code(&self, unit: Start) -> bool {
        unit.0 < self.numbering.start(Part::Types)
    }

    /// The file that a unit is in, with the strings and tables that it refers to.
    pub(super) fn home<'g, 'd>(
        &self,
        dwarf: &'g gimli::Dwarf<Reader<'d>>,
        unit: Start,
    ) -> &'g gimli::Dwarf<Reader<'d>> {
        if self.is_shared(unit) { dwarf.sup().unwrap_or(dwarf) } else { dwarf }
    }

    /// Every unit, in the order of their numbers. A damaged header ends its section: where the next
    /// one begins is not known.
    pub(super) fn units(&self) -> &[Start] {
        self.units.get_or_init(|| {
            let dwarf = self.gimli();
            let mut units = Vec::new();
            let damaged = |part: Part, after: usize, error: gimli::Error| {
                self.note(format!(
                    "{} is damaged ({error}) at {after:#x}: what comes behind is not used",
                    part.section()
                ));
            };
            for part in PARTS {
                let Some(home) = (match part {
                    Part::Info | Part::Types => Some(&dwarf),
                    Part::SharedInfo | Part::SharedTypes => dwarf.sup(),
                }) else {
                    continue;
                };
                let first = self.numbering.start(part);
                let mut after = 0;
                let mut add = |header: &UnitHeader<Reader<'_>>| {
                    let UnitSectionOffset(at) = header.offset();
                    units.push(Start(first.saturating_add(at)));
                    at.saturating_add(header.length_including_self())
                };
                let ended = match part {
                    Part::Info | Part::SharedInfo => home.debug_info.units().try_for_each(|unit| {
                        after = add(&unit?);
                        Ok(())
                    }),
                    Part::Types | Part::SharedTypes => {
                        home.debug_types.units().try_for_each(|unit| {
                            after = add(&unit?);
                            Ok(())
                        })
                    }
                };
                if let Err(error) = ended {
                    damaged(part, after, error);
                }
            }
            units
        })
    }

    /// The header of a unit.
    pub(super) fn header<'d>(
        &self,
        dwarf: &gimli::Dwarf<Reader<'d>>,
        at: Start,
    ) -> Result<UnitHeader<Reader<'d>>, gimli::Error> {
        let (part, offset) = self.numbering.place(at.0);
        let home = self.home(dwarf, at);
        match part {
            Part::Info | Part::SharedInfo => {
                home.debug_info.header_from_offset(DebugInfoOffset(offset))
            }
            Part::Types | Part::SharedTypes => {
                let mut rest = *home.debug_types.reader();
                gimli::Reader::skip(&mut rest, offset)?;
                DebugTypes::from(rest).units().next()?.ok_or(gimli::Error::MissingUnitDie)
            }
        }
    }

    /// The unit that has that number. Without its line table when only that is damaged.
    ///
    /// # Errors
    /// [`DwarfError`], which is noted too, when it cannot be read.
    pub(super) fn unit<'d>(
        &self,
        dwarf: &gimli::Dwarf<Reader<'d>>,
        at: Start,
    ) -> Result<Unit<'d>, DwarfError> {
        let home = self.home(dwarf, at);
        let read = || -> Result<Unit<'d>, gimli::Error> {
            let header = self.header(dwarf, at)?;
            let unit = gimli::Unit::new(home, header).or_else(|error| {
                let unit = without_lines(home, header)?;
                self.note_lines(unit.name, at, error);
                Ok::<_, gimli::Error>(unit)
            })?;
            Ok(Unit { unit, start: at })
        };
        read().map_err(|error| {
            self.note_unit(dwarf, at, error);
            error.into()
        })
    }

    /// Which unit a DIE is in.
    pub(super) fn unit_holding(&self, number: usize) -> Option<(usize, Start)> {
        let units = self.units();
        let position = units.partition_point(|unit| unit.0 <= number).checked_sub(1)?;
        Some((position, *units.get(position)?))
    }

    /// The number of the DIE that an attribute of a DIE in `unit` refers to. It is behind all
    /// others when it is in a supplementary file that is not at hand.
    pub(super) fn referred_to(
        &self,
        unit: Start,
        value: &AttributeValue<Reader<'_>>,
    ) -> Option<usize> {
        match *value {
            AttributeValue::UnitRef(at) => unit.0.checked_add(at.0),
            AttributeValue::DebugInfoRef(at) if self.is_shared(unit) => {
                self.numbering.shared().checked_add(at.0)
            }
            AttributeValue::DebugInfoRef(at) => Some(at.0),
            AttributeValue::DebugInfoRefSup(at) => self.numbering.shared().checked_add(at.0),
            AttributeValue::DebugTypesRef(signature) => self.signed(signature),
            _ => None,
        }
    }

    /// Notes that a unit cannot be read, or not to its end.
    pub(super) fn note_unit(
        &self,
        dwarf: &gimli::Dwarf<Reader<'_>>,
        at: Start,
        error: gimli::Error,
    ) {
        let name = || {
            let home = self.home(dwarf, at);
            let unit = without_lines(home, self.header(dwarf, at).ok()?).ok()?;
            unit.name
        };
        let (part, offset) = self.numbering.place(at.0);
        let name = name().map(|name| format!(" ({})", scrub(name.slice()))).unwrap_or_default();
        self.note(format!(
            "the unit at {offset:#x} of {}{name} is damaged: {error}",
            part.section()
        ));
    }

    /// Notes that the line table of a unit cannot be read, or not to its end.
    pub(super) fn note_lines(&self, name: Option<Reader<'_>>, at: Start, error: gimli::Error) {
        let name = name.map_or_else(
            || format!("the unit at {:#x}", self.numbering.place(at.0).1),
            |name| scrub(name.slice()),
        );
        self.note(format!("the line table of {name} is damaged: {error}"));
    }
}

/// A unit as `gimli::Unit::new` makes it, without its line table.
fn without_lines<'d>(
    home: &gimli::Dwarf<Reader<'d>>,
    header: UnitHeader<Reader<'d>>,
) -> Result<gimli::Unit<Reader<'d>>, gimli::Error> {
    let (encoding, kind) = (header.encoding(), home.file_type);
    let abbreviations = home.abbreviations(&header)?;
    let root = header.entry(&abbreviations, header.root_offset())?;
    let mut unit = gimli::Unit {
        header,
        abbreviations,
        name: None,
        comp_dir: None,
        low_pc: 0,
        str_offsets_base: gimli::DebugStrOffsetsBase::default_for_encoding_and_file(encoding, kind),
        addr_base: gimli::DebugAddrBase(0),
        loclists_base: gimli::DebugLocListsBase::default_for_encoding_and_file(encoding, kind),
        rnglists_base: gimli::DebugRngListsBase::default_for_encoding_and_file(encoding, kind),
        line_program: None,
        dwo_id: None,
    };
    let value = |name| DebuggingInformationEntry::attr_value(&root, name);
    if let Some(AttributeValue::DebugStrOffsetsBase(base)) = value(gimli::DW_AT_str_offsets_base) {
        unit.str_offsets_base = base;
    }
    if let Some(AttributeValue::DebugAddrBase(base)) = value(gimli::DW_AT_addr_base) {
        unit.addr_base = base;
    }
    if let Some(AttributeValue::DebugLocListsBase(base)) = value(gimli::DW_AT_loclists_base) {
        unit.loclists_base = base;
    }
    if let Some(AttributeValue::DebugRngListsBase(base)) = value(gimli::DW_AT_rnglists_base) {
        unit.rnglists_base = base;
    }
    let text = |name| value(name).and_then(|value| home.attr_string(&unit, value).ok());
    let (name, comp_dir) = (text(gimli::DW_AT_name), text(gimli::DW_AT_comp_dir));
    let low = value(gimli::DW_AT_low_pc);
    let low = low.and_then(|value| home.attr_address(&unit, value).ok().flatten());
    (unit.name, unit.comp_dir, unit.low_pc) = (name, comp_dir, low.unwrap_or(0));
    Ok(unit)
}
