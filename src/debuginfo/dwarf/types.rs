//! DIEs as types of the model.
//!
//! The number of a type is that of its DIE ([`super::units`]); 0, where no DIE can be, is void.
//! A DIE becomes a [`TypeDef`] when it is first asked for, and each unit has its own `list_head`:
//! what is the same in C may have many numbers here. A `struct NAME` that is only declared in its
//! unit is a [`Kind::Forward`], which the model looks up by its name.
//!
//! An array of several dimensions is one DIE with a child for each of them, in the model an array of
//! arrays: the inner ones have the numbers of the children.

use super::die::{Entry, TypeUnit};
use super::index::Space;
use super::units::Start;
use super::{Dwarf, Reader};
use crate::debuginfo::types::{
    Compound, Enumerator, Kind, MemberDef, Tag, TypeDef, TypeId, TypeSource,
};
use crate::dump::scrub;
use gimli::{AttributeValue, UnitOffset};
use std::ops::ControlFlow;
use std::sync::OnceLock;

/// Typedefs and qualifiers that are followed to learn a size.
const MAX_DEPTH: u32 = 32;
/// The name of a type that is in a supplementary file that is not at hand.
const MISSING: &str = "(missing)";
/// Chains of the table of definitions; a session that prints hundreds of types has some ten
/// thousand.
const CHAINS: u32 = 1 << 12;

/// The unit that a DIE is in, and the strings that it points to.
#[derive(Clone, Copy)]
struct Within<'u, 'd> {
    dwarf: &'u gimli::Dwarf<Reader<'d>>,
    unit: &'u TypeUnit<'d>,
}

impl<'d> Within<'_, 'd> {
    fn name(self, entry: &Entry<'d>) -> Option<Box<str>> {
        let name = entry.attr_value_raw(gimli::DW_AT_name)?;
        self.unit.text(self.dwarf, &name).map(|text| scrub(text).into())
    }
}

impl TypeSource for Dwarf {
    fn def(&self, index: u32) -> Option<&TypeDef> {
        static VOID: TypeDef = TypeDef { name: None, kind: Kind::Void };
        if index == 0 {
            return Some(&VOID);
        }
        self.definitions
            .get(index)
            .or_else(|| {
                let def = self.decode(index);
                self.definitions.put(index, def)
            })?
            .as_ref()
    }

    fn find(&self, tag: Tag, name: &str) -> Option<TypeId> {
        self.named(Space::Tag(tag), name).map(|index| self.id(index))
    }

    fn variable(&self, name: &str) -> Option<TypeId> {
        let index = self.named(Space::Variable, name)?;
        let dwarf = self.gimli();
        let unit = self.type_unit(&dwarf, index)?;
        let entry = unit.entry(unit.offset(index)?).ok()?;
        if entry.has_attr(gimli::DW_AT_type) {
            return Some(self.target(&unit, &entry));
        }
        let (unit, declared) = self.declaration(&dwarf, &unit, &entry)?;
        Some(self.target(&unit, &declared))
    }

    fn function(&self, name: &str) -> Option<TypeId> {
        self.named(Space::Function, name).map(|index| self.id(index))
    }

    fn names(&self, tag: Tag) -> Vec<String> {
        self.all_named(tag)
    }
}

impl Dwarf {
    /// The type whose DIE has that number; 0 is void.
    pub(super) const fn id(&self, index: u32) -> TypeId {
        TypeId { source: self.source, index }
    }

    /// The type (`DW_AT_type`) of a DIE in `unit`; void where it has none.
    fn type_of(&self, unit: Start, entry: &Entry<'_>) -> TypeId {
        let value = entry.attr_value_raw(gimli::DW_AT_type);
        let index = value.and_then(|value| self.referred_to(unit, &value));
        self.id(index.and_then(|index| u32::try_from(index).ok()).unwrap_or(0))
    }

    fn target(&self, unit: &TypeUnit<'_>, entry: &Entry<'_>) -> TypeId {
        self.type_of(unit.start, entry)
    }

    fn decode(&self, index: u32) -> Option<TypeDef> {
        if usize::try_from(index).is_ok_and(|index| index >= self.numbering.end()) {
            // In a supplementary file that is not at hand.
            let kind = Kind::Forward { union: false };
            return Some(TypeDef { name: Some(MISSING.into()), kind });
        }
        let dwarf = self.gimli();
        let unit = self.type_unit(&dwarf, index)?;
        let at = unit.offset(index)?;
        let entry = unit.entry(at).ok()?;
        let within = Within { dwarf: &dwarf, unit: &unit };
        let to = self.target(&unit, &entry);
        let qualified = |keyword| Kind::Qualified { keyword, to };
        let size = number(&entry, gimli::DW_AT_byte_size).unwrap_or(0);
        let declared = entry.has_attr(gimli::DW_AT_declaration);
        // Where the definition is a unit of its own, this one only refers to it.
        let signature = entry.attr_value_raw(gimli::DW_AT_signature).filter(|_| declared);
        let elsewhere = signature.and_then(|value| self.referred_to(unit.start, &value));
        let elsewhere = elsewhere.and_then(|at| u32::try_from(at).ok()).filter(|at| *at != index);
        if let Some(to) = elsewhere {
            let kind = Kind::Qualified { keyword: "", to: self.id(to) };
            return Some(TypeDef { name: None, kind });
        }
        let kind = match entry.tag() {
            gimli::DW_TAG_base_type => base(&entry, size),
            gimli::DW_TAG_pointer_type
            | gimli::DW_TAG_reference_type
            | gimli::DW_TAG_rvalue_reference_type => Kind::Pointer { to },
            gimli::DW_TAG_structure_type | gimli::DW_TAG_class_type if declared => {
                Kind::Forward { union: false }
            }
            gimli::DW_TAG_union_type if declared => Kind::Forward { union: true },
            gimli::DW_TAG_structure_type | gimli::DW_TAG_class_type => {
                Kind::Struct(Compound { size, members: self.members(within, at) })
            }
            gimli::DW_TAG_union_type => {
                Kind::Union(Compound { size, members: self.members(within, at) })
            }
            gimli::DW_TAG_enumeration_type => {
                let defined = || self.find(Tag::Enum, &within.name(&entry)?);
                match defined().filter(|id| declared && id.index != index) {
                    Some(to) => Kind::Qualified { keyword: "", to },
                    None => enumeration(within, at, size),
                }
            }
            gimli::DW_TAG_typedef => Kind::Typedef { to },
            gimli::DW_TAG_const_type => qualified("const"),
            gimli::DW_TAG_volatile_type => qualified("volatile"),
            gimli::DW_TAG_restrict_type => qualified("restrict"),
            gimli::DW_TAG_atomic_type => qualified("_Atomic"),
            gimli::DW_TAG_array_type => self.array(&unit, at, to),
            gimli::DW_TAG_subroutine_type | gimli::DW_TAG_subprogram => {
                let (mut parameters, mut variadic) = (Vec::new(), false);
                _ = unit.each_child(at, |child| {
                    match child.tag() {
                        gimli::DW_TAG_formal_parameter => {
                            parameters.push((within.name(child), self.target(&unit, child)));
                        }
                        gimli::DW_TAG_unspecified_parameters => variadic = true,
                        _ => {}
                    }
                    ControlFlow::Continue(())
                });
                // The function's own name is none of its type's.
                let kind = Kind::Function { returns: to, parameters, variadic };
                return Some(TypeDef { name: None, kind });
            }
            gimli::DW_TAG_unspecified_type => Kind::Void,
            _ => return None,
        };
        let name = match kind {
            Kind::Qualified { .. } | Kind::Pointer { .. } | Kind::Array { .. } => None,
            _ => within.name(&entry),
        };
        Some(TypeDef { name, kind })
    }

    fn members(&self, within: Within<'_, '_>, at: UnitOffset) -> Vec<MemberDef> {
        let mut members = Vec::new();
        _ = within.unit.each_child(at, |child| {
            // One that is declared only is a static one of C++, and no part of the struct.
            if child.tag() == gimli::DW_TAG_member && !child.has_attr(gimli::DW_AT_declaration) {
                let ty = self.target(within.unit, child);
                let bits = number(child, gimli::DW_AT_bit_size);
                members.push(MemberDef {
                    name: within.name(child),
                    ty,
                    bit_offset: self.bit_offset(child, ty, bits),
                    bit_size: bits.and_then(|bits| u32::try_from(bits).ok()),
                });
            }
            ControlFlow::Continue(())
        });
        members
    }

    /// Where a member begins. Until DWARF 4 a bit-field's place is told from the most significant
    /// bit of the unit of storage that it is in, which is the last on this machine.
    fn bit_offset(&self, member: &Entry<'_>, ty: TypeId, bits: Option<u64>) -> u64 {
        if let Some(offset) = number(member, gimli::DW_AT_data_bit_offset) {
            return offset;
        }
        let start = match member.attr_value_raw(gimli::DW_AT_data_member_location) {
            Some(
                AttributeValue::Exprloc(gimli::Expression(block)) | AttributeValue::Block(block),
            ) => constant_of(block.slice()),
            Some(_) => number(member, gimli::DW_AT_data_member_location),
            None => None,
        };
        let start = start.unwrap_or(0).saturating_mul(8);
        let from_top = member.attr_value_raw(gimli::DW_AT_bit_offset).as_ref().and_then(signed);
        let (Some(bits), Some(from_top)) = (bits, from_top) else { return start };
        let storage = number(member, gimli::DW_AT_byte_size).or_else(|| self.size_of(ty));
        let storage = storage.unwrap_or(0).saturating_mul(8);
        let below = storage.saturating_sub(bits).cast_signed().saturating_sub(from_top);
        start.saturating_add_signed(below)
    }

    /// The size of an integer or enum.
    fn size_of(&self, ty: TypeId) -> Option<u64> {
        let mut index = ty.index;
        for _ in 0..MAX_DEPTH {
            match &self.def(index)?.kind {
                Kind::Typedef { to } | Kind::Qualified { to, .. } => index = to.index,
                Kind::Int { size, .. } | Kind::Enum { size, .. } => return Some(*size),
                _ => return None,
            }
        }
        None
    }

    fn array(&self, unit: &TypeUnit<'_>, at: UnitOffset, of: TypeId) -> Kind {
        let mut dimensions = Vec::new();
        _ = unit.each_child(at, |child| {
            if child.tag() == gimli::DW_TAG_subrange_type
                && let Some(index) = unit.index(child.offset())
            {
                dimensions.push((index, count(child)));
            }
            ControlFlow::Continue(())
        });
        let mut of = of;
        while dimensions.len() > 1
            && let Some((index, count)) = dimensions.pop()
        {
            let inner = TypeDef { name: None, kind: Kind::Array { of, count } };
            self.definitions.put(index, Some(inner));
            of = self.id(index);
        }
        Kind::Array { of, count: dimensions.first().map_or(0, |(_, count)| *count) }
    }
}

/// A number that is written down as such, and not as an expression.
fn number(entry: &Entry<'_>, attribute: gimli::DwAt) -> Option<u64> {
    match entry.attr_value_raw(attribute)? {
        AttributeValue::Sdata(value) => u64::try_from(value).ok(),
        // DWARF 3 has places of members in a form that was for sections, too.
        AttributeValue::SecOffset(value) => u64::try_from(value).ok(),
        value => value.udata_value(),
    }
}

/// A number with its sign, where its form has one.
fn signed(value: &AttributeValue<Reader<'_>>) -> Option<i64> {
    match value {
        AttributeValue::Sdata(value) => Some(*value),
        value => value.udata_value().map(u64::cast_signed),
    }
}

/// The number that the expression `DW_OP_plus_uconst` (DWARF 2) adds.
fn constant_of(expression: &[u8]) -> Option<u64> {
    let (operation, rest) = expression.split_first()?;
    let mut rest = gimli::EndianSlice::new(rest, gimli::LittleEndian);
    let adds = gimli::DwOp(*operation) == gimli::DW_OP_plus_uconst;
    adds.then(|| gimli::leb128::read::unsigned(&mut rest).ok()).flatten()
}

/// How many elements a dimension has; 0 where that is not known before the program runs.
fn count(dimension: &Entry<'_>) -> u64 {
    if let Some(count) = number(dimension, gimli::DW_AT_count) {
        return count;
    }
    match dimension.attr_value_raw(gimli::DW_AT_upper_bound) {
        // -1 in four bytes: old compilers for an array of no elements.
        Some(AttributeValue::Data4(u32::MAX)) | None => 0,
        Some(value) => signed(&value).map_or(0, |last| last.wrapping_add(1).max(0).cast_unsigned()),
    }
}

fn base(entry: &Entry<'_>, size: u64) -> Kind {
    let encoding = match entry.attr_value(gimli::DW_AT_encoding) {
        Some(AttributeValue::Encoding(encoding)) => encoding,
        _ => gimli::DW_ATE_unsigned,
    };
    match encoding {
        gimli::DW_ATE_float | gimli::DW_ATE_complex_float | gimli::DW_ATE_imaginary_float => {
            Kind::Float { size }
        }
        _ => Kind::Int {
            size,
            signed: matches!(encoding, gimli::DW_ATE_signed | gimli::DW_ATE_signed_char),
            char: matches!(encoding, gimli::DW_ATE_signed_char | gimli::DW_ATE_unsigned_char),
            bool: encoding == gimli::DW_ATE_boolean,
        },
    }
}

fn enumeration(within: Within<'_, '_>, at: UnitOffset, size: u64) -> Kind {
    let (mut values, mut negative) = (Vec::new(), false);
    _ = within.unit.each_child(at, |child| {
        if child.tag() == gimli::DW_TAG_enumerator
            && let Some(value) = child.attr_value_raw(gimli::DW_AT_const_value)
            && let Some(number) = signed(&value)
        {
            negative |= number < 0 && matches!(value, AttributeValue::Sdata(_));
            values.push(Enumerator { name: within.name(child).unwrap_or_default(), value: number });
        }
        ControlFlow::Continue(())
    });
    Kind::Enum { size, signed: negative, values }
}

/// Definitions by number: chains that only grow, so that what was handed out stays in its place.
pub(super) struct Definitions {
    chains: Vec<OnceLock<Box<Link>>>,
}

struct Link {
    index: u32,
    def: Option<TypeDef>,
    next: OnceLock<Box<Link>>,
}

impl Default for Definitions {
    fn default() -> Definitions {
        Definitions { chains: (0..CHAINS).map(|_| OnceLock::new()).collect() }
    }
}

impl Definitions {
    fn chain(&self, index: u32) -> Option<&OnceLock<Box<Link>>> {
        // Spreads numbers that are near each other.
        let chain = index.wrapping_mul(0x9e37_79b1) >> (u32::BITS - CHAINS.ilog2());
        self.chains.get(usize::try_from(chain).ok()?)
    }

    /// What is known of a number: that it is no type, too.
    fn get(&self, index: u32) -> Option<&Option<TypeDef>> {
        let mut next = self.chain(index)?.get();
        while let Some(link) = next {
            if link.index == index {
                return Some(&link.def);
            }
            next = link.next.get();
        }
        None
    }

    /// Keeps a definition, unless another thread was first.
    fn put(&self, index: u32, def: Option<TypeDef>) -> Option<&Option<TypeDef>> {
        let mut link = Box::new(Link { index, def, next: OnceLock::new() });
        let mut place = self.chain(index)?;
        while let Err(mine) = place.set(link) {
            let there = place.get()?;
            if there.index == index {
                return Some(&there.def);
            }
            (link, place) = (mine, &there.next);
        }
        place.get().map(|link| &link.def)
    }
}

impl Drop for Definitions {
    /// One after the other: a long chain would otherwise end in as many nested calls.
    fn drop(&mut self) {
        for chain in &mut self.chains {
            let mut next = chain.take();
            while let Some(mut link) = next {
                next = link.next.take();
            }
        }
    }
}
