//! One DIE: the unit that it is in, its attributes, its children, its name.

use super::{Dwarf, Reader};
use gimli::{
    Abbreviations, AttributeValue, DebugInfoOffset, DebugStrOffsetsBase, DebugStrOffsetsIndex,
    DebugTypeSignature, DebuggingInformationEntry, EndianSlice, UnitHeader, UnitOffset, UnitType,
};
use std::collections::HashMap;
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
    /// Where it begins.
    pub(super) start: DebugInfoOffset,
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
pub(super) type Signatures = OnceLock<HashMap<DebugTypeSignature, u32>>;

/// A name.
pub(super) enum Name<'d> {
    /// Where it is in `.debug_str`.
    At(usize),
    /// Itself.
    Text(&'d [u8]),
}

impl<'d> TypeUnit<'d> {
    /// The unit that begins there.
    pub(super) fn new(
        dwarf: &gimli::Dwarf<Reader<'d>>,
        at: DebugInfoOffset,
    ) -> Result<TypeUnit<'d>, gimli::Error> {
        let header = dwarf.debug_info.header_from_offset(at)?;
        let own = Arc::new(Own::new(dwarf, &header)?);
        Ok(TypeUnit { header, own, start: at })
    }

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
            AttributeValue::DebugStrRef(at) => Name::At(at.0),
            AttributeValue::DebugStrOffsetsIndex(index) => Name::At(self.listed(dwarf, index)?),
            AttributeValue::String(text) => Name::Text(text.slice()),
            AttributeValue::DebugLineStrRef(at) => {
                Name::Text(dwarf.debug_line_str.get_str(at).ok()?.slice())
            }
            AttributeValue::DebugStrRefSup(at) => {
                Name::Text(dwarf.sup()?.debug_str.get_str(at).ok()?.slice())
            }
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
            Name::At(at) => dwarf.debug_str.get_str(gimli::DebugStrOffset(at)).ok()?.slice(),
            Name::Text(text) => text,
        };
        let text = text.get(..text.len().min(MAX_NAME))?;
        (!text.is_empty()).then_some(text)
    }

    /// The place in `.debug_str` that stands in `.debug_str_offsets`.
    fn listed(
        &self,
        dwarf: &gimli::Dwarf<Reader<'d>>,
        index: DebugStrOffsetsIndex<usize>,
    ) -> Option<usize> {
        let format = self.header.format();
        let at = dwarf.debug_str_offsets.get_str_offset(format, self.own.strings, index);
        at.ok().map(|at| at.0)
    }
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
    /// The unit that holds the type of that number.
    pub(super) fn type_unit<'d>(
        &self,
        dwarf: &gimli::Dwarf<Reader<'d>>,
        index: u32,
    ) -> Option<TypeUnit<'d>> {
        let index = usize::try_from(index).ok()?;
        let units = self.units();
        let number = units.partition_point(|unit| unit.0 <= index).checked_sub(1)?;
        let at = *units.get(number)?;
        let header = dwarf.debug_info.header_from_offset(at).ok()?;
        let own = self.own.get_or_init(|| units.iter().map(|_| OnceLock::new()).collect());
        let own = own.get(number)?;
        let own = own.get_or_init(|| Own::new(dwarf, &header).ok().map(Arc::new)).clone()?;
        Some(TypeUnit { header, own, start: at })
    }

    /// The number of the type that has its own unit. DWARF 4 keeps those in a section of their own,
    /// which is not read: no kernel is built so.
    pub(super) fn signed(&self, signature: DebugTypeSignature) -> Option<u32> {
        let signatures = self.signatures.get_or_init(|| {
            let dwarf = self.gimli();
            let mut found = HashMap::new();
            for &at in self.units() {
                if let Ok(header) = dwarf.debug_info.header_from_offset(at)
                    && let UnitType::Type { type_signature, type_offset } = header.type_()
                    && let Some(index) = at.0.checked_add(type_offset.0)
                    && let Ok(index) = u32::try_from(index)
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
        let name = entry.attr_value_raw(gimli::DW_AT_name).or_else(|| {
            let declared = unit.local(&entry.attr_value_raw(gimli::DW_AT_specification)?)?;
            unit.entry(declared).ok()?.attr_value_raw(gimli::DW_AT_name)
        })?;
        unit.text(&dwarf, &name)
    }
}
