//! A struct in one read, its members by offsets that were probed once.
//!
//! A noun that is read thousands of times (tasks) asks the types once for the [`Field`]s that it
//! wants, reads the span that holds them all, and picks the members from the bytes.

use crate::debuginfo::{Type, TypeError};
use crate::dump::{Fault, VirtAddr};
use crate::memory::VirtualMemory;
use std::ops::Range;

/// Longest span that is read at once: more than any struct of the kernel that is read so.
const MAX_SPAN: u64 = 64 * 1024;

/// A number in a struct: where, and how wide.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Field {
    /// Bytes from the start of the struct.
    pub offset: u64,
    /// Bytes that it is wide: 1 to 8; wider members are read by their first 8.
    pub size: u64,
    /// For a bit-field the bits from `offset` on, and how many there are.
    bits: Option<(u32, u32)>,
}

impl Field {
    /// The member of `ty` at `path` (see [`Type::member`]).
    ///
    /// # Errors
    /// [`TypeError`] when there is none.
    pub fn of(ty: Type<'_>, path: &str) -> Result<Field, TypeError> {
        let member = ty.member(path)?;
        let size = member.ty.size().unwrap_or(0).clamp(1, 8);
        let shift = u32::try_from(member.bit_offset % 8).unwrap_or(0);
        let bits = member.bit_size.map(|width| (shift, width));
        Ok(Field { offset: member.offset(), size, bits })
    }

    /// The first of several members that `ty` has: kernels renamed it.
    ///
    /// # Errors
    /// [`TypeError`] about the first path, when `ty` has none of them.
    pub fn first_of(ty: Type<'_>, paths: &[&str]) -> Result<Field, TypeError> {
        let mut error = None;
        for path in paths {
            match Field::of(ty, path) {
                Ok(field) => return Ok(field),
                Err(missing) => error = error.or(Some(missing)),
            }
        }
        Err(error.unwrap_or(TypeError::NoMember { ty: ty.name(), member: String::new() }))
    }

    /// A member that is not described by a type: from VMCOREINFO, or known to follow another.
    #[must_use]
    pub const fn at(offset: u64, size: u64) -> Field {
        Field { offset, size, bits: None }
    }

    /// The bytes that it occupies.
    #[must_use]
    pub const fn span(self) -> Range<u64> {
        self.offset..self.offset.saturating_add(self.size)
    }

    /// Its value in the struct at `at`, read alone.
    ///
    /// # Errors
    /// As [`VirtualMemory::read`].
    pub fn read(self, memory: &dyn VirtualMemory, at: VirtAddr) -> Result<u64, Fault> {
        let mut bytes = [0; 8];
        let size = usize::try_from(self.size).unwrap_or(8).min(8);
        memory.read(at.plus(self.offset), bytes.get_mut(..size).unwrap_or_default())?;
        Ok(self.cut(u64::from_le_bytes(bytes)))
    }

    fn cut(self, value: u64) -> u64 {
        match self.bits {
            Some((shift, width)) if width < 64 => (value >> (shift % 64)) & ((1 << width) - 1),
            _ => value,
        }
    }
}

/// A part of a struct, as it lay in the dump.
pub struct StructBytes {
    start: u64,
    bytes: Vec<u8>,
}

impl StructBytes {
    /// Reads the bytes `span` of the struct at `at`; of a span beyond reason only the first 64 KiB.
    ///
    /// # Errors
    /// As [`VirtualMemory::read`].
    pub fn read(
        memory: &dyn VirtualMemory,
        at: VirtAddr,
        span: Range<u64>,
    ) -> Result<StructBytes, Fault> {
        let len = span.end.saturating_sub(span.start).min(MAX_SPAN);
        let bytes = memory.read_vec(at.plus(span.start), usize::try_from(len).unwrap_or(0))?;
        Ok(StructBytes { start: span.start, bytes })
    }

    /// The bytes at `offset` of the struct, if they were read.
    #[must_use]
    pub fn bytes(&self, offset: u64, len: u64) -> Option<&[u8]> {
        let from = usize::try_from(offset.checked_sub(self.start)?).ok()?;
        self.bytes.get(from..from.checked_add(usize::try_from(len).ok()?)?)
    }

    /// The value of a field, zero-extended; 0 for one outside of what was read.
    #[must_use]
    pub fn get(&self, field: Field) -> u64 {
        let mut value = [0; 8];
        if let Some(bytes) = self.bytes(field.offset, field.size)
            && let Some(window) = value.get_mut(..bytes.len())
        {
            window.copy_from_slice(bytes);
        }
        field.cut(u64::from_le_bytes(value))
    }

    /// The value of a field, sign-extended from its width.
    #[must_use]
    pub fn signed(&self, field: Field) -> i64 {
        let shift = 64 - u32::try_from(field.size.clamp(1, 8) * 8).unwrap_or(64);
        self.get(field).cast_signed().wrapping_shl(shift).wrapping_shr(shift)
    }

    /// The value of a field as an address.
    #[must_use]
    pub fn ptr(&self, field: Field) -> VirtAddr {
        VirtAddr(self.get(field))
    }
}

/// The smallest span that holds all of them.
#[must_use]
pub fn span_of(fields: impl IntoIterator<Item = Field>) -> Range<u64> {
    fields
        .into_iter()
        .map(Field::span)
        .reduce(|a, b| a.start.min(b.start)..a.end.max(b.end))
        .unwrap_or(0..0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::testing::{Image, TypeTable};

    #[test]
    fn members_are_picked_from_one_read() {
        let mut image = Image::default();
        image.put(0x1000, &[0xff; 4]);
        image.put(0x1004, &7u32.to_le_bytes());
        image.put(0x1008, &0xffff_8880_0000_1000u64.to_le_bytes());
        let (a, b, c) = (Field::at(0, 4), Field::at(4, 4), Field::at(8, 8));
        let bytes = StructBytes::read(&image, VirtAddr(0x1000), span_of([a, b, c])).unwrap();
        assert_eq!(bytes.get(a), 0xffff_ffff);
        assert_eq!(bytes.signed(a), -1);
        assert_eq!(bytes.get(b), 7);
        assert_eq!(bytes.ptr(c), VirtAddr(0xffff_8880_0000_1000));
        assert_eq!(bytes.get(Field::at(64, 8)), 0, "outside of what was read");
        assert_eq!(b.read(&image, VirtAddr(0x1000)).unwrap(), 7);
    }

    #[test]
    fn the_first_name_that_the_kernel_has_is_taken() {
        let types = TypeTable::new().with("task", 64, &[("__state", 24, 4)]).types();
        let ty = types.structure("task").unwrap();
        assert_eq!(Field::first_of(ty, &["state", "__state"]), Ok(Field::at(24, 4)));
        let error = Field::first_of(ty, &["cpu", "ti.cpu"]).unwrap_err();
        assert_eq!(error.to_string(), "struct task has no member cpu");
    }
}
