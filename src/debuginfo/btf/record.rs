//! One record of BTF: twelve bytes, and what its kind puts behind them.

use super::Btf;
use crate::debuginfo::types::{Compound, Enumerator, Kind, MemberDef, Tag, TypeDef, TypeId};

// BTF_KIND_*
pub(super) const INT: u8 = 1;
pub(super) const PTR: u8 = 2;
pub(super) const ARRAY: u8 = 3;
pub(super) const STRUCT: u8 = 4;
pub(super) const UNION: u8 = 5;
pub(super) const ENUM: u8 = 6;
pub(super) const FWD: u8 = 7;
pub(super) const TYPEDEF: u8 = 8;
pub(super) const VOLATILE: u8 = 9;
pub(super) const CONST: u8 = 10;
pub(super) const RESTRICT: u8 = 11;
pub(super) const FUNC: u8 = 12;
pub(super) const FUNC_PROTO: u8 = 13;
pub(super) const VAR: u8 = 14;
pub(super) const DATASEC: u8 = 15;
pub(super) const FLOAT: u8 = 16;
pub(super) const DECL_TAG: u8 = 17;
pub(super) const TYPE_TAG: u8 = 18;
pub(super) const ENUM64: u8 = 19;
// Where inlined functions are and their parameters; nothing that a type needs.
const LOC_PARAM: u8 = 20;
const LOC_PROTO: u8 = 21;
const LOCSEC: u8 = 22;

/// `struct btf_type`, and the bytes from there on.
pub(super) struct Record<'b> {
    /// Offset of its name in the strings; 0 for none.
    pub(super) name: u32,
    pub(super) kind: u8,
    pub(super) kind_flag: bool,
    /// How many members, values or parameters follow. For a function it is its linkage.
    count: usize,
    /// `size` or `type`, as the kind has it.
    pub(super) value: u32,
    /// What follows the twelve bytes, this record's and all others'.
    rest: &'b [u8],
}

/// `struct btf_layout` by kind: how long records are, for kinds newer than this program.
#[derive(Default)]
pub(super) struct Layout(Vec<(u8, u8)>);

impl Layout {
    pub(super) fn new(bytes: &[u8]) -> Layout {
        Layout(bytes.as_chunks().0.iter().map(|&[info, each, _, _]| (info, each)).collect())
    }
}

impl<'b> Record<'b> {
    pub(super) fn new(bytes: &'b [u8]) -> Option<Record<'b>> {
        let [name, info, value] = numbers(bytes)?;
        Some(Record {
            name,
            // Until 7.1 the count had 16 bits and the kind 5, with unused zeroes above each.
            kind: u8::try_from(info >> 24 & 0x7f).ok()?,
            kind_flag: info >> 31 != 0,
            count: usize::try_from(info & 0xff_ffff).ok()?,
            value,
            rest: bytes.get(12..)?,
        })
    }

    /// The bytes of the whole record; `None` for an unknown kind.
    pub(super) fn size(&self, layout: &Layout) -> Option<usize> {
        let (info, each) = match self.kind {
            PTR | FWD | TYPEDEF | VOLATILE | CONST | RESTRICT | FUNC | FLOAT | TYPE_TAG => (0, 0),
            INT | VAR | DECL_TAG => (4, 0),
            ARRAY => (12, 0),
            STRUCT | UNION | DATASEC | ENUM64 | LOCSEC => (0, 12),
            ENUM | FUNC_PROTO => (0, 8),
            LOC_PARAM => (4, 4),
            LOC_PROTO => (0, 4),
            _ => *layout.0.get(usize::from(self.kind))?,
        };
        Some(12 + usize::from(info) + self.count * usize::from(each))
    }

    /// Whether it is looked for by its name (functions have their own list).
    pub(super) fn is_findable(&self) -> bool {
        self.kind == VAR || self.tag().is_some()
    }

    pub(super) fn tag(&self) -> Option<Tag> {
        match (self.kind, self.kind_flag) {
            (STRUCT, _) | (FWD, false) => Some(Tag::Struct),
            (UNION, _) | (FWD, true) => Some(Tag::Union),
            (ENUM | ENUM64, _) => Some(Tag::Enum),
            (TYPEDEF, _) => Some(Tag::Typedef),
            (INT | FLOAT, _) => Some(Tag::Base),
            _ => None,
        }
    }

    /// Whether it is an enum with a value whose name, an offset of a string, is looked for.
    pub(super) fn names_a_value(&self, is_wanted: impl Fn(u32) -> bool) -> bool {
        match self.kind {
            ENUM => self.groups().is_some_and(|mut all| all.any(|[name, _]| is_wanted(name))),
            ENUM64 => {
                self.groups().is_some_and(|mut all| all.any(|[name, ..]: [u32; 3]| is_wanted(name)))
            }
            _ => false,
        }
    }

    /// What follows, as so many groups of `N` numbers.
    fn groups<const N: usize>(&self) -> Option<impl ExactSizeIterator<Item = [u32; N]>> {
        let bytes = self.rest.get(..self.count.checked_mul(N * 4)?)?;
        Some(bytes.chunks_exact(N * 4).map(|group| numbers(group).unwrap_or([0; N])))
    }
}

/// The first `N` numbers.
fn numbers<const N: usize>(bytes: &[u8]) -> Option<[u32; N]> {
    bytes.as_chunks().0.first_chunk::<N>().map(|fours| fours.map(u32::from_le_bytes))
}

impl Btf {
    /// The definition that a record holds; `None` for what is no type.
    pub(super) fn decode(&self, record: &Record) -> Option<TypeDef> {
        let size = u64::from(record.value);
        let to = self.id(record.value);
        let qualified = |keyword| Kind::Qualified { keyword, to };
        let mut name = self.name(record.name);
        let kind = match record.kind {
            INT => {
                let [encoding] = numbers(record.rest)?;
                // pahole tells `char` from other small integers by its name alone.
                let char = encoding >> 24 & 2 != 0
                    || name.as_deref().is_some_and(|name| name.ends_with("char"));
                Kind::Int {
                    size,
                    signed: encoding >> 24 & 1 != 0,
                    char,
                    bool: encoding >> 24 & 4 != 0,
                }
            }
            FLOAT => Kind::Float { size },
            PTR => Kind::Pointer { to },
            ARRAY => {
                let [of, _index_type, count] = numbers(record.rest)?;
                Kind::Array { of: self.id(of), count: u64::from(count) }
            }
            STRUCT => Kind::Struct(self.compound(record)?),
            UNION => Kind::Union(self.compound(record)?),
            ENUM | ENUM64 => self.enumeration(record)?,
            FWD => Kind::Forward { union: record.kind_flag },
            TYPEDEF => Kind::Typedef { to },
            VOLATILE => qualified("volatile"),
            CONST => qualified("const"),
            RESTRICT => qualified("restrict"),
            TYPE_TAG => {
                // Its name is the tag's text.
                name = None;
                qualified("")
            }
            FUNC_PROTO => {
                let mut parameters: Vec<(Option<Box<str>>, TypeId)> =
                    record.groups()?.map(|[name, ty]| (self.name(name), self.id(ty))).collect();
                // `...` is a last parameter without name and type.
                let variadic = parameters.pop_if(|(name, ty)| name.is_none() && ty.index == 0);
                Kind::Function { returns: to, parameters, variadic: variadic.is_some() }
            }
            _ => return None,
        };
        Some(TypeDef { name, kind })
    }

    fn compound(&self, record: &Record) -> Option<Compound> {
        let member = |[name, ty, offset]: [u32; 3]| {
            // With the flag, the high byte is the width of a bit-field; without it a bit-field is
            // told by its type, an integer of fewer bits than its bytes have.
            let (bit_offset, bits) = if record.kind_flag {
                (u64::from(offset & 0xff_ffff), offset >> 24)
            } else {
                let (shift, bits) = self.narrow(ty).unwrap_or_default();
                (u64::from(offset) + u64::from(shift), bits)
            };
            MemberDef {
                name: self.name(name),
                ty: self.id(ty),
                bit_offset,
                bit_size: (bits != 0).then_some(bits),
            }
        };
        let members = record.groups()?.map(member).collect();
        Some(Compound { size: u64::from(record.value), members })
    }

    /// Of an integer that does not fill its bytes: from which bit on it lies in them, and its width.
    fn narrow(&self, ty: u32) -> Option<(u32, u32)> {
        if let (Some(base), true) = (&self.base, ty < self.first_id) {
            return base.narrow(ty);
        }
        let record = self.record(self.local(ty)?).filter(|record| record.kind == INT)?;
        let [encoding] = numbers(record.rest)?;
        let (shift, bits) = (encoding >> 16 & 0xff, encoding & 0xff);
        (shift != 0 || bits != record.value.saturating_mul(8)).then_some((shift, bits))
    }

    fn enumeration(&self, record: &Record) -> Option<Kind> {
        let signed = record.kind_flag || !self.enums_tell_sign;
        let values: Vec<Enumerator> = if record.kind == ENUM64 {
            let value = |[name, low, high]: [u32; 3]| Enumerator {
                name: self.name(name).unwrap_or_default(),
                value: (u64::from(high) << 32 | u64::from(low)).cast_signed(),
            };
            record.groups()?.map(value).collect()
        } else {
            let value = |[name, value]: [u32; 2]| Enumerator {
                name: self.name(name).unwrap_or_default(),
                value: if signed { i64::from(value.cast_signed()) } else { i64::from(value) },
            };
            record.groups()?.map(value).collect()
        };
        // Where enums do not tell, only a negative value does.
        let signed = record.kind_flag || signed && values.iter().any(|named| named.value < 0);
        Some(Kind::Enum { size: u64::from(record.value), signed, values })
    }
}
