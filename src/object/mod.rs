//! Typed values in dump memory.
//!
//! An [`Object`] is a type at an address: `task.member("mm")?.deref()?.member("mmap_lock")?`.
//! It reads nothing until a value is asked for. Code that reads many members of one struct reads
//! the struct once (`memory().read`) and picks from the bytes.

mod expression;
#[cfg(test)]
pub(crate) mod testing;
mod value;

pub use expression::{Context, Expression, ExpressionError, Outcome, Scope};
pub use value::{Content, Value};

use crate::debuginfo::{Type, TypeError};
use crate::dump::{Fault, VirtAddr};
use crate::memory::VirtualMemory;

/// Why an object could not be had: its memory or its type.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ObjectError {
    /// Its memory is not there.
    #[error(transparent)]
    Fault(#[from] Fault),
    /// Its type is not known or has no such member.
    #[error(transparent)]
    Type(#[from] TypeError),
}

/// A typed place in an address space.
#[derive(Clone, Copy)]
pub struct Object<'s> {
    memory: &'s dyn VirtualMemory,
    ty: Type<'s>,
    at: VirtAddr,
    /// Bits from `at`, and the width, for a bit-field.
    bits: Option<(u32, u32)>,
}

impl<'s> Object<'s> {
    /// What lies at `at`, read as `ty`.
    #[must_use]
    pub fn new(memory: &'s dyn VirtualMemory, ty: Type<'s>, at: VirtAddr) -> Object<'s> {
        Object { memory, ty, at, bits: None }
    }

    /// Its type.
    #[must_use]
    pub fn ty(&self) -> Type<'s> {
        self.ty
    }

    /// Its address.
    #[must_use]
    pub fn at(&self) -> VirtAddr {
        self.at
    }

    /// The address space that it lies in.
    #[must_use]
    pub fn memory(&self) -> &'s dyn VirtualMemory {
        self.memory
    }

    /// A member, by path (see [`Type::member`]). Pointers on the way are not followed.
    ///
    /// # Errors
    /// [`TypeError`] when there is none.
    pub fn member(&self, path: &str) -> Result<Object<'s>, TypeError> {
        let member = self.ty.member(path)?;
        let bits =
            member.bit_size.map(|size| (u32::try_from(member.bit_offset % 8).unwrap_or(0), size));
        Ok(Object { ty: member.ty, at: self.at.plus(member.offset()), bits, ..*self })
    }

    /// What a pointer points to.
    ///
    /// # Errors
    /// [`TypeError::Not`] when it is no pointer; a fault when the pointer cannot be read.
    pub fn deref(&self) -> Result<Object<'s>, ObjectError> {
        let not = || TypeError::Not { ty: self.ty.name(), wanted: "a pointer" };
        let to = self.ty.target().ok_or_else(not)?;
        Ok(Object::new(self.memory, to, self.pointer()?))
    }

    /// Whether it is a bit-field, which has no address of its own.
    #[must_use]
    pub fn is_bit_field(&self) -> bool {
        self.bits.is_some()
    }

    /// Its value as a pointer.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn pointer(&self) -> Result<VirtAddr, ObjectError> {
        Ok(self.memory.read_ptr(self.at)?)
    }

    /// Its value as a number, sign-extended where its type is signed.
    ///
    /// # Errors
    /// [`TypeError::Not`] when it is no integer, enum, pointer or one-member struct around one
    /// (`atomic_t`, `pid_t` typedefs …); a fault when it cannot be read.
    pub fn integer(&self) -> Result<i128, ObjectError> {
        let not = || TypeError::Not { ty: self.ty.name(), wanted: "a number" };
        let mut ty = self.ty.resolved();
        let mut at = self.at;
        // atomic_t, atomic_long_t, kuid_t …: a struct around one number is that number.
        while let Some(body) = ty.compound() {
            let [only] = body.members.as_slice() else {
                return Err(not().into());
            };
            at = at.plus(only.bit_offset / 8);
            ty = ty.types().get(only.ty).resolved();
        }
        let (size, signed) = match ty.kind() {
            crate::debuginfo::Kind::Int { size, signed, .. }
            | crate::debuginfo::Kind::Enum { size, signed, .. } => (*size, *signed),
            crate::debuginfo::Kind::Pointer { .. } => (8, false),
            _ => return Err(not().into()),
        };
        let size = usize::try_from(size).ok().filter(|size| *size <= 16).ok_or_else(not)?;
        let mut bytes = [0; 16];
        let window = bytes.get_mut(..size).ok_or_else(not)?;
        self.memory.read(at, window)?;
        let raw = u128::from_le_bytes(bytes);
        let (shift, width) = self.bits.unwrap_or((0, u32::try_from(size * 8).unwrap_or(128)));
        Ok(extract(raw, shift, width, signed))
    }

    /// Its value as an unsigned 64-bit number; a negative one by its bits.
    ///
    /// # Errors
    /// As [`Object::integer`].
    pub fn u64(&self) -> Result<u64, ObjectError> {
        let value = self.integer()?;
        let low = u128::from_ne_bytes(value.to_ne_bytes()) & u128::from(u64::MAX);
        Ok(u64::try_from(low).unwrap_or(u64::MAX))
    }
}

/// `width` bits of `raw` from bit `shift` on, as a number.
fn extract(raw: u128, shift: u32, width: u32, signed: bool) -> i128 {
    let width = width.clamp(1, 128);
    let value = raw.checked_shr(shift).unwrap_or(0);
    let mask = if width == 128 { u128::MAX } else { (1 << width) - 1 };
    let value = value & mask;
    let negative = signed && (value >> (width - 1)) & 1 == 1;
    let value = if negative { value | !mask } else { value };
    i128::from_ne_bytes(value.to_ne_bytes())
}

#[cfg(test)]
mod tests {
    use super::extract;

    #[test]
    fn bits_become_numbers() {
        assert_eq!(extract(0xff, 0, 8, true), -1);
        assert_eq!(extract(0xff, 0, 8, false), 255);
        assert_eq!(extract(0b1101_0000, 4, 3, false), 0b101);
        assert_eq!(extract(0b1101_0000, 4, 3, true), -3);
        assert_eq!(extract(u128::MAX, 0, 128, true), -1);
    }
}
