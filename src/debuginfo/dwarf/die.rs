//! One DIE: the unit that it is in, its attributes, its children, its name.

use super::units::Start;
use super::{Dwarf, Reader};
use foldhash::HashMap;
use gimli::{
    Abbreviations, AttributeValue, DebugStrOffset, DebugStrOffsetsBase, DebugStrOffsetsIndex,
    DebugTypeSignature, DebuggingInformationEntry, EndianSlice, Section, UnitHeader, UnitOffset,
    UnitType,
};
use std::ops::ControlFlow;
use std::sync::{Arc, OnceLock};

/// More names, members and values than any type has: the rest of it is damage.
const MAX_CHILDREN: usize = 1 << 16;
/// Bytes of the longest name.
const MAX_NAME: usize = 1024;

pub(super) type Entry<'d> = DebuggingInformationEntry<Reader<'d>>;

/// A unit as far as names and types need it: gimli's own also reads the head of the line table.
pub(super) struct TypeUnit<'d> {
    pub(super) header: UnitHeader<Reader<'d>>,
    pub(super) own: Arc<Own>,
    /// Its number.
    pub(super) start: Start,
    /// Whether it is in the supplementary file.
    shared: bool,
}

/// What a unit keeps outside of `.debug_info`.
pub(super) struct Own {
    pub(super) abbreviations: Abbreviations,
    /// Where its part of `.debug_str_offsets` begins.
    strings: DebugStrOffsetsBase<usize>,
}

/// What units keep outside of `.debug_info`, by the number of the unit: reading a type should not
/// read the unit's abbreviations again.
pub(super) type OwnOfUnits = OnceLock<Vec<OnceLock<Option<Arc<Own>>>>>;

/// The types that have units of their own (`-fdebug-types-section`), by their signature.
pub(super) type Signatures = OnceLock<HashMap<DebugTypeSignature, usize>>;

/// A name.
pub(super) enum Name<'d> {
    /// Where it is in `.debug_str`; in that of the supplementary file, which is laid behind it.
    At(usize),
    /// Itself.
    Text(&'d [u8]),
}

impl<'d> TypeUnit<'d> {
    /// The place in the unit that an attribute refers to.
    pub(super) fn local(&self, value: &AttributeValue<Reader<'d>>) -> Option<UnitOffset> {
        match value {
            AttributeValue::UnitRef(at) => Some(*at),
            _ => None,
        }
    }

    /// The number of the type that is there: its place in `.debug_info`.
    pub(super) fn index(&self, at: UnitOffset) -> Option<u32> {
        u32::try_from(self.start.0.checked_add(at.0)?).ok()
    }

    /// The place in the unit of the type of that number.
    pub(super) fn offset(&self, index: u32) -> Option<UnitOffset> {
        Some(UnitOffset(usize::try_from(index).ok()?.checked_sub(self.start.0)?))
    }

    /// The DIE that is there.
    pub(super) fn entry(&self, at: UnitOffset) -> Result<Entry<'d>, gimli::Error> {
        self.header.entry(&self.own.abbreviations, at)
    }

    /// The DIE that is there and then each of its children, until `each` breaks. Those below the
    /// children are passed over.
    pub(super) fn each_child(
        &self,
        parent: UnitOffset,
        mut each: impl FnMut(&Entry<'d>) -> ControlFlow<()>,
    ) -> Result<(), gimli::Error> {
        let abbreviations = &self.own.abbreviations;
        let mut entries = self.header.entries_raw(abbreviations, Some(parent))?;
        let mut entry = Entry::null();
        entries.read_entry(&mut entry)?;
        let mut top = entries.next_depth();
        if top == 0 {
            return Ok(());
        }
        let mut left = MAX_CHILDREN;
        while !entries.is_empty() && entries.next_depth() >= top {
            let depth = entries.next_depth();
            if !entries.read_entry(&mut entry)? || depth > top {
                continue;
            }
            left -= 1;
            if left == 0 || each(&entry).is_break() {
                break;
            }
            let sibling = entry.attr_value_raw(gimli::DW_AT_sibling);
            let sibling = sibling.and_then(|value| self.local(&value));
            if entry.has_children()
                && let Some(sibling) = sibling.filter(|at| *at > entries.next_offset())
            {
                entries = self.header.entries_raw(abbreviations, Some(sibling))?;
                top = 0;
            }
        }
        Ok(())
    }

    /// The name that an attribute is.
    pub(super) fn name(
        &self,
        dwarf: &gimli::Dwarf<Reader<'d>>,
        value: &AttributeValue<Reader<'d>>,
    ) -> Option<Name<'d>> {
        Some(match *value {
            AttributeValue::DebugStrRef(at) => Name::At(self.string(dwarf, at.0)?),
            AttributeValue::DebugStrOffsetsIndex(index) => {
                Name::At(self.string(dwarf, self.listed(dwarf, index)?)?)
            }
            AttributeValue::String(text) => Name::Text(text.slice()),
            AttributeValue::DebugLineStrRef(at) => {
                Name::Text(self.home(dwarf).debug_line_str.get_str(at).ok()?.slice())
            }
            AttributeValue::DebugStrRefSup(at) if dwarf.sup().is_some() => {
                Name::At(dwarf.debug_str.reader().len().checked_add(at.0)?)
            }
            // Not at hand: it has a name all the same.
            AttributeValue::DebugStrRefSup(_) => Name::Text(b"?"),
            _ => return None,
        })
    }

    /// The text of such a name; `None` for an empty one.
    pub(super) fn text(
        &self,
        dwarf: &gimli::Dwarf<Reader<'d>>,
        value: &AttributeValue<Reader<'d>>,
    ) -> Option<&'d [u8]> {
        let text = match self.name(dwarf, value)? {
            Name::At(at) => string(dwarf, at)?,
            Name::Text(text) => text,
        };
        let text = text.get(..text.len().min(MAX_NAME))?;
        (!text.is_empty()).then_some(text)
    }

    fn home<'g>(&self, dwarf: &'g gimli::Dwarf<Reader<'d>>) -> &'g gimli::Dwarf<Reader<'d>> {
        if self.shared { dwarf.sup().unwrap_or(dwarf) } else { dwarf }
    }

    /// The place of a string of the unit's file, with those of the supplementary file laid behind.
    fn string(&self, dwarf: &gimli::Dwarf<Reader<'d>>, at: usize) -> Option<usize> {
        if self.shared { dwarf.debug_str.reader().len().checked_add(at) } else { Some(at) }
    }

    /// The place in `.debug_str` that stands in `.debug_str_offsets`.
    fn listed(
        &self,
        dwarf: &gimli::Dwarf<Reader<'d>>,
        index: DebugStrOffsetsIndex<usize>,
    ) -> Option<usize> {
        let format = self.header.format();
        let at = self.home(dwarf).debug_str_offsets.get_str_offset(format, self.own.strings, index);
        at.ok().map(|at| at.0)
    }
}

/// The string at that place in `.debug_str`, behind which lies that of the supplementary file.
pub(super) fn string<'d>(dwarf: &gimli::Dwarf<Reader<'d>>, at: usize) -> Option<&'d [u8]> {
    let text = match at.checked_sub(dwarf.debug_str.reader().len()) {
        Some(at) => dwarf.sup()?.debug_str.get_str(DebugStrOffset(at)),
        None => dwarf.debug_str.get_str(DebugStrOffset(at)),
    };
    text.ok().map(|text| text.slice())
}

impl Own {
    fn new(
        dwarf: &gimli::Dwarf<EndianSlice<'_, gimli::LittleEndian>>,
        header: &UnitHeader<Reader<'_>>,
    ) -> Result<Own, gimli::Error> {
        let abbreviations = header.abbreviations(&dwarf.debug_abbrev)?;
        let root = header.entry(&abbreviations, header.root_offset())?;
        let strings = match root.attr_value(gimli::DW_AT_str_offsets_base) {
            Some(AttributeValue::DebugStrOffsetsBase(base)) => base,
            _ => DebugStrOffsetsBase(0),
        };
        Ok(Own { abbreviations, strings })
    }
}

impl Dwarf {
    /// A unit to read names and types of, without keeping anything of it.
    pub(super) fn passing_unit<'d>(
        &self,
        dwarf: &gimli::Dwarf<Reader<'d>>,
        start: Start,
    ) -> Result<TypeUnit<'d>, gimli::Error> {
        let header = self.header(dwarf, start)?;
        let own = Arc::new(Own::new(self.home(dwarf, start), &header)?);
        Ok(TypeUnit { header, own, start, shared: self.is_shared(start) })
    }

    /// The unit that holds the DIE of that number.
    pub(super) fn type_unit<'d>(
        &self,
        dwarf: &gimli::Dwarf<Reader<'d>>,
        index: u32,
    ) -> Option<TypeUnit<'d>> {
        let (number, start) = self.unit_holding(usize::try_from(index).ok()?)?;
        let header = self.header(dwarf, start).ok()?;
        let own = self.own.get_or_init(|| self.units().iter().map(|_| OnceLock::new()).collect());
        let own = own.get(number)?.get_or_init(|| {
            let read = Own::new(self.home(dwarf, start), &header);
            read.inspect_err(|error| self.note_unit(dwarf, start, *error)).ok().map(Arc::new)
        });
        Some(TypeUnit { header, own: own.clone()?, start, shared: self.is_shared(start) })
    }

    /// The number of the type that has its own unit.
    pub(super) fn signed(&self, signature: DebugTypeSignature) -> Option<usize> {
        let signatures = self.signatures.get_or_init(|| {
            let dwarf = self.gimli();
            let mut found = HashMap::default();
            for &at in self.units() {
                if let Ok(header) = self.header(&dwarf, at)
                    && let UnitType::Type { type_signature, type_offset } = header.type_()
                    && let Some(index) = at.0.checked_add(type_offset.0)
                {
                    found.entry(type_signature).or_insert(index);
                }
            }
            found
        });
        signatures.get(&signature).copied()
    }

    /// The name of the DIE there; a variable may have it from its declaration.
    pub(super) fn die_name(&self, index: u32) -> Option<&[u8]> {
        let dwarf = self.gimli();
        let unit = self.type_unit(&dwarf, index)?;
        let entry = unit.entry(unit.offset(index)?).ok()?;
        if let Some(name) = entry.attr_value_raw(gimli::DW_AT_name) {
            return unit.text(&dwarf, &name);
        }
        let (unit, declared) = self.declaration(&dwarf, &unit, &entry)?;
        unit.text(&dwarf, &declared.attr_value_raw(gimli::DW_AT_name)?)
    }

    /// The declaration (`DW_AT_specification`) of what a DIE defines.
    pub(super) fn declaration<'d>(
        &self,
        dwarf: &gimli::Dwarf<Reader<'d>>,
        unit: &TypeUnit<'d>,
        entry: &Entry<'d>,
    ) -> Option<(TypeUnit<'d>, Entry<'d>)> {
        let specification = entry.attr_value_raw(gimli::DW_AT_specification)?;
        let at = u32::try_from(self.referred_to(unit.start, &specification)?).ok()?;
        let unit = self.type_unit(dwarf, at)?;
        let entry = unit.entry(unit.offset(at)?).ok()?;
        Some((unit, entry))
    }
}
