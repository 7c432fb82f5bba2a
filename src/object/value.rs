//! A typed value, read whole: what a struct holds, member by member, as plain data.
//!
//! The memory of the object is read once; a pointer is annotated with the symbol that it points to
//! and, for `char *`, with its text. Nothing is followed further.

use super::{Object, ObjectError, extract};
use crate::debuginfo::{Compound, Kind, Symbols, Type, TypeError};
use crate::dump::VirtAddr;
use crate::memory::VirtualMemory;

/// The largest object that is read as one value, in bytes.
const MAX_BYTES: u64 = 4 << 20;
/// The most members and elements of one value; more come only from damaged debug information.
const MAX_PARTS: u32 = 1 << 20;
/// Nesting that is still followed.
const MAX_DEPTH: u32 = 64;
/// How much of the text behind a `char *` is read.
const MAX_TEXT: usize = 200;
/// Kernel image and modules lie above this on x86-64: below it no pointer is named by a symbol
/// (the symbols down there are offsets of per-CPU variables).
const IMAGE: u64 = 0xffff_ffff_8000_0000;

/// A value with its type.
#[derive(Clone, PartialEq, Debug)]
pub struct Value {
    /// Its C type.
    pub ty: String,
    /// Where it lies; `None` for one that was computed.
    pub at: Option<VirtAddr>,
    /// What it is.
    pub content: Content,
}

/// What a value is.
#[derive(Clone, PartialEq, Debug)]
pub enum Content {
    /// An integer and its size in bytes.
    Int(i128, u64),
    /// An integer of one byte, which C also prints as a character.
    Char(i128),
    /// `true`, `false`; other bytes are `Int`.
    Bool(bool),
    /// A number with a fraction.
    Float(f64),
    /// An enum: its value and its name, or the names of the flags in it.
    Enum(i128, Option<String>),
    /// A pointer.
    Pointer {
        /// Where it points.
        to: VirtAddr,
        /// The symbol there, as `name+offset`.
        symbol: Option<String>,
        /// The text there, for a `char *`.
        text: Option<Vec<u8>>,
    },
    /// An array of one-byte integers.
    Text {
        /// All of them.
        bytes: Vec<u8>,
        /// Whether they are declared as `char`: text rather than numbers.
        char: bool,
    },
    /// Any other array.
    Array(Vec<Content>),
    /// The members of a struct or union, anonymous ones without a name.
    Members(Vec<(Option<String>, Content)>),
    /// Code: the function at this address, or memory of no known size.
    Place(VirtAddr, Option<String>),
}

impl Value {
    /// Reads an object. Pointers are named after `symbols`.
    ///
    /// # Errors
    /// When its memory is not there, its type has no size, or it is too large to be one value.
    pub fn read(object: &Object<'_>, symbols: Option<&Symbols>) -> Result<Value, ObjectError> {
        let ty = object.ty();
        let mut reader = Reader { memory: object.memory(), symbols, parts: MAX_PARTS };
        let place = || Content::Place(object.at(), name(symbols, object.at()));
        let content = match ty.resolved().kind() {
            Kind::Function { .. } => place(),
            // An array without end is printed as gdb does: where it is, and its text.
            Kind::Array { of, count: 0 } => {
                let of = ty.types().get(*of).resolved();
                let char = matches!(of.kind(), Kind::Int { size: 1, bool: false, .. });
                let text = char.then(|| object.memory().read_cstr(object.at(), MAX_TEXT).ok());
                let symbol = name(symbols, object.at());
                match text.flatten() {
                    text @ Some(_) => Content::Pointer { to: object.at(), symbol, text },
                    None => place(),
                }
            }
            _ => {
                let not = |wanted| TypeError::Not { ty: ty.name(), wanted };
                let size = ty.size().ok_or_else(|| not("a type of known size"))?;
                let size = Some(size).filter(|size| *size <= MAX_BYTES);
                let size = size.and_then(|size| usize::try_from(size).ok());
                let size = size.ok_or_else(|| not("small enough to be read whole"))?;
                let bytes = object.memory().read_vec(object.at(), size)?;
                let bits = object.bits;
                let damaged = || not("consistent: its members do not fit into it");
                reader.decode(ty, object.at(), &bytes, bits, MAX_DEPTH).ok_or_else(damaged)?
            }
        };
        Ok(Value { ty: ty.name(), at: Some(object.at()), content })
    }

    /// A number or pointer that was computed, as this type has it; `None` where it has none.
    /// `memory` is for the text behind a `char *`.
    #[must_use]
    pub fn computed(
        ty: Type<'_>,
        number: i128,
        memory: &dyn VirtualMemory,
        symbols: Option<&Symbols>,
    ) -> Option<Value> {
        let size = usize::try_from(ty.size()?).ok().filter(|size| *size <= 16)?;
        let bytes = number.to_le_bytes();
        let mut reader = Reader { memory, symbols, parts: MAX_PARTS };
        let content = reader.decode(ty, VirtAddr(0), bytes.get(..size)?, None, MAX_DEPTH)?;
        Some(Value { ty: ty.name(), at: None, content })
    }

    /// A value that lies in no memory: these bytes, or the first of them. `memory` is for the text
    /// behind a `char *`.
    ///
    /// # Errors
    /// [`TypeError`] when the type has no size, or a larger one.
    pub fn of_bytes(
        ty: Type<'_>,
        bytes: &[u8],
        memory: &dyn VirtualMemory,
        symbols: Option<&Symbols>,
    ) -> Result<Value, TypeError> {
        let mut reader = Reader { memory, symbols, parts: MAX_PARTS };
        let size = ty.size().and_then(|size| usize::try_from(size).ok());
        let bytes = size.and_then(|size| bytes.get(..size));
        let content =
            bytes.and_then(|bytes| reader.decode(ty, VirtAddr(0), bytes, None, MAX_DEPTH));
        let wanted = "of the size that its value has";
        let content = content.ok_or_else(|| TypeError::Not { ty: ty.name(), wanted })?;
        Ok(Value { ty: ty.name(), at: None, content })
    }
}

struct Reader<'s> {
    memory: &'s dyn VirtualMemory,
    symbols: Option<&'s Symbols>,
    parts: u32,
}

fn name(symbols: Option<&Symbols>, at: VirtAddr) -> Option<String> {
    let found = symbols.filter(|_| at.0 >= IMAGE)?.resolve(at)?;
    Some(found.to_string())
}

impl Reader<'_> {
    /// `None` when parts do not lie inside `bytes` or there are too many.
    fn decode(
        &mut self,
        ty: Type<'_>,
        at: VirtAddr,
        bytes: &[u8],
        bits: Option<(u32, u32)>,
        depth: u32,
    ) -> Option<Content> {
        let depth = depth.checked_sub(1)?;
        self.parts = self.parts.checked_sub(1)?;
        let ty = ty.resolved();
        let number = |size: u64, signed| number(bytes, size, bits, signed);
        Some(match ty.kind() {
            Kind::Int { size, bool: true, .. } => match number(*size, false)? {
                0 => Content::Bool(false),
                1 => Content::Bool(true),
                other => Content::Int(other, *size),
            },
            Kind::Int { size, signed, .. } => match number(*size, *signed)? {
                value if *size == 1 => Content::Char(value),
                value => Content::Int(value, *size),
            },
            Kind::Enum { size, signed, values } => {
                let value = number(*size, *signed)?;
                let known = values.iter().find(|v| i128::from(v.value) == value);
                let name = known.map(|known| known.name.to_string());
                Content::Enum(value, name.or_else(|| flags(ty, value)))
            }
            Kind::Float { size: 4 } => {
                Content::Float(f32::from_le_bytes(bytes.first_chunk().copied()?).into())
            }
            Kind::Float { .. } => Content::Float(f64::from_le_bytes(bytes.first_chunk().copied()?)),
            Kind::Pointer { to } => {
                let to_type = ty.types().get(*to).resolved();
                let to = VirtAddr(u64::from_le_bytes(bytes.first_chunk().copied()?));
                let text = matches!(to_type.kind(), Kind::Int { size: 1, bool: false, .. });
                let text = text && !to.is_null();
                let text = text.then(|| self.memory.read_cstr(to, MAX_TEXT).ok()).flatten();
                Content::Pointer { to, symbol: name(self.symbols, to), text }
            }
            Kind::Array { of, count } => {
                self.array(ty.types().get(*of), *count, at, bytes, depth)?
            }
            Kind::Struct(body) | Kind::Union(body) => {
                Content::Members(self.members(ty, body, at, bytes, depth)?)
            }
            _ => Content::Place(at, None),
        })
    }

    fn array(
        &mut self,
        of: Type<'_>,
        count: u64,
        at: VirtAddr,
        bytes: &[u8],
        depth: u32,
    ) -> Option<Content> {
        if count == 0 {
            return Some(Content::Place(at, None));
        }
        let size = usize::try_from(of.size().unwrap_or(0)).ok()?;
        let len = size.checked_mul(usize::try_from(count).ok()?)?;
        let bytes = bytes.get(..len)?;
        if matches!(of.resolved().kind(), Kind::Int { size: 1, bool: false, .. }) {
            let char = of.resolved().def().name.as_deref() == Some("char");
            return Some(Content::Text { bytes: bytes.to_vec(), char });
        }
        if size == 0 {
            return Some(Content::Array(Vec::new()));
        }
        let mut elements = Vec::new();
        for (index, bytes) in (0u64..).zip(bytes.chunks_exact(size)) {
            let at = at.plus(index.saturating_mul(of.size().unwrap_or(0)));
            elements.push(self.decode(of, at, bytes, None, depth)?);
        }
        Some(Content::Array(elements))
    }

    fn members(
        &mut self,
        ty: Type<'_>,
        body: &Compound,
        at: VirtAddr,
        bytes: &[u8],
        depth: u32,
    ) -> Option<Vec<(Option<String>, Content)>> {
        let mut members = Vec::with_capacity(body.members.len());
        for member in &body.members {
            let its_type = ty.types().get(member.ty);
            let start = usize::try_from(member.bit_offset / 8).ok()?;
            let rest = bytes.get(start..)?;
            let bits = member
                .bit_size
                .map(|width| (u32::try_from(member.bit_offset % 8).unwrap_or(0), width));
            // A bit-field may start in the last bytes of its unit: it has what is there.
            let window = match its_type.size().and_then(|size| usize::try_from(size).ok()) {
                Some(size) if bits.is_none() => rest.get(..size)?,
                _ => rest,
            };
            let at = at.plus(member.bit_offset / 8);
            let content = self.decode(its_type, at, window, bits, depth)?;
            members.push((member.name.as_deref().map(str::to_owned), content));
        }
        Some(members)
    }
}

/// The number in the first `size` bytes, or in those bits from the first byte on.
fn number(bytes: &[u8], size: u64, bits: Option<(u32, u32)>, signed: bool) -> Option<i128> {
    let mut raw = [0; 16];
    let size = usize::try_from(size).ok().filter(|size| *size <= 16)?;
    let (shift, width) = bits.unwrap_or((0, u32::try_from(size).ok()?.checked_mul(8)?));
    let used = match bits {
        Some(_) => usize::try_from((shift.checked_add(width)?).div_ceil(8)).ok()?,
        None => size,
    };
    raw.get_mut(..used)?.copy_from_slice(bytes.get(..used)?);
    Some(extract(u128::from_le_bytes(raw), shift, width, signed))
}

/// The names of the flags in a value, where every name of the enum is one bit and one of them is
/// set: `(A | B)`, with what has no name after `unknown:`.
fn flags(ty: Type<'_>, value: i128) -> Option<String> {
    let Kind::Enum { values, .. } = ty.kind() else { return None };
    let bit = |value: i64| value == 0 || value.count_ones() == 1;
    if value <= 0 || values.is_empty() || !values.iter().all(|named| bit(named.value)) {
        return None;
    }
    let mut rest = value;
    let mut names = Vec::new();
    for named in values {
        let bit = i128::from(named.value);
        if bit != 0 && rest & bit == bit {
            rest &= !bit;
            names.push(named.name.to_string());
        }
    }
    if names.is_empty() {
        return None;
    }
    if rest != 0 {
        names.push(format!("unknown: {rest:#x}"));
    }
    Some(format!("({})", names.join(" | ")))
}

#[cfg(test)]
mod tests {
    use super::number;

    #[test]
    fn a_bit_field_needs_only_its_own_bytes() {
        assert_eq!(number(&[0b1010_0000], 4, Some((5, 2)), false), Some(0b01));
        assert_eq!(number(&[0xff], 4, Some((6, 4)), false), None);
        assert_eq!(number(&[0xfe, 0xff], 2, None, true), Some(-2));
        assert_eq!(number(&[0xfe], 2, None, true), None);
    }
}
