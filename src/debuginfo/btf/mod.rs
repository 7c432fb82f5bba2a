//! Types out of BTF, the compact type information that kernels since 4.18 carry in their memory.
//!
//! The format is `include/uapi/linux/btf.h`: a header, records numbered from 1 in the order in
//! which they stand, and a table of strings. A module's BTF is *split*: its numbers and string
//! offsets go on where those of the kernel's end. Opening only walks over the records to learn
//! where each one is; a record becomes a [`TypeDef`] when it is first asked for.

mod record;

use super::names::NameIndex;
use super::types::{Kind, Tag, TypeDef, TypeId, TypeSource};
use crate::dump::{Fault, VirtAddr, scrub};
use crate::memory::VirtualMemory;
use record::{Layout, Record};
use std::borrow::Cow;
use std::ffi::CStr;
use std::ops::Range;
use std::sync::{Arc, OnceLock};

/// The kernel's own BTF has 5 MB; with the locations of inlined functions, a few times that.
const MAX_SIZE: u64 = 256 << 20;

/// Why there are no types from some BTF.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum BtfError {
    /// It could not be read from the dump.
    #[error("BTF: {0}")]
    Unreadable(#[from] Fault),
    /// It does not begin as BTF does.
    #[error("not BTF: it begins with {0:#06x}")]
    NotBtf(u16),
    /// It is of a big-endian machine.
    #[error("BTF of a big-endian kernel is not supported")]
    BigEndian,
    /// A version of the format that is not known.
    #[error("BTF version {0} is not supported")]
    Version(u8),
    /// It has records of a kind that is not known, and does not tell how long they are.
    #[error("BTF has a record of the unknown kind {0}")]
    UnknownKind(u8),
    /// It contradicts itself.
    #[error("BTF is damaged: {0}")]
    Damaged(&'static str),
}

/// The types of the kernel or of one module.
pub struct Btf {
    bytes: Cow<'static, [u8]>,
    strings: Range<usize>,
    /// Where each record begins; the first one is that of `first_id`.
    records: Vec<u32>,
    first_id: u32,
    /// What the kernel's strings take up, for a module's.
    first_string: u32,
    base: Option<Arc<Btf>>,
    /// The number of this source among the session's.
    source: u16,
    /// Whether enums say if they are signed. They do if any says that it is; before 6.0 none did.
    enums_tell_sign: bool,
    defs: Vec<OnceLock<Option<Box<TypeDef>>>>,
    /// Types and variables that have a name, and functions.
    types: Names,
    functions: Names,
}

/// Records by name.
#[derive(Default)]
struct Names {
    records: Vec<u32>,
    index: OnceLock<NameIndex>,
}

impl Btf {
    /// The kernel's BTF. `source` is the number that it will have in its [`super::Types`].
    ///
    /// # Errors
    /// [`BtfError`].
    pub fn new(bytes: impl Into<Cow<'static, [u8]>>, source: u16) -> Result<Btf, BtfError> {
        Btf::open(bytes.into(), None, source)
    }

    /// A module's BTF, which goes on where the kernel's ends.
    ///
    /// # Errors
    /// [`BtfError`].
    pub fn split(
        base: &Arc<Btf>,
        bytes: impl Into<Cow<'static, [u8]>>,
        source: u16,
    ) -> Result<Btf, BtfError> {
        Btf::open(bytes.into(), Some(Arc::clone(base)), source)
    }

    /// The kernel's BTF out of its memory, from `__start_BTF` to `__stop_BTF`.
    ///
    /// # Errors
    /// [`BtfError`], also when a part of it is not in the dump.
    pub fn read(
        memory: &dyn VirtualMemory,
        start: VirtAddr,
        stop: VirtAddr,
        source: u16,
    ) -> Result<Btf, BtfError> {
        let len = stop.offset_from(start).filter(|&len| len <= MAX_SIZE);
        let len = len.and_then(|len| usize::try_from(len).ok());
        let len = len.ok_or(BtfError::Damaged("its size is impossible"))?;
        Btf::new(memory.read_vec(start, len)?, source)
    }

    fn open(
        bytes: Cow<'static, [u8]>,
        base: Option<Arc<Btf>>,
        source: u16,
    ) -> Result<Btf, BtfError> {
        let header = Header::read(&bytes)?;
        let first_id = base.as_ref().map_or(Some(1), |base| {
            base.first_id.checked_add(u32::try_from(base.records.len()).ok()?)
        });
        let first_string = base.as_ref().map_or(Some(0), |base| {
            base.first_string.checked_add(u32::try_from(base.strings.len()).ok()?)
        });
        let (Some(first_id), Some(first_string)) = (first_id, first_string) else {
            return Err(BtfError::Damaged("it has too many types"));
        };
        let mut btf = Btf {
            strings: header.strings,
            records: Vec::with_capacity(header.types.len() / 24),
            first_id,
            first_string,
            enums_tell_sign: base.as_ref().is_some_and(|base| base.enums_tell_sign),
            base,
            source,
            defs: Vec::new(),
            types: Names::default(),
            functions: Names::default(),
            bytes: Cow::Borrowed(&[]),
        };
        btf.index(&bytes, header.types, &header.layout)?;
        btf.bytes = bytes;
        btf.defs.resize_with(btf.records.len(), OnceLock::new);
        Ok(btf)
    }

    /// Notes where each record is, and which of them have names to find them by.
    fn index(
        &mut self,
        bytes: &[u8],
        types: Range<usize>,
        layout: &Layout,
    ) -> Result<(), BtfError> {
        let types_end = types.end;
        let mut at = types.start;
        while at < types_end {
            let record = bytes.get(at..types_end).and_then(Record::new);
            let record = record.ok_or(BtfError::Damaged("a record is cut off"))?;
            let size = record.size(layout).ok_or(BtfError::UnknownKind(record.kind))?;
            let (Ok(start), Ok(local)) = (u32::try_from(at), u32::try_from(self.records.len()))
            else {
                return Err(BtfError::Damaged("it has too many types"));
            };
            if size > types_end - at {
                return Err(BtfError::Damaged("a record is cut off"));
            }
            match record.kind {
                record::FUNC => self.functions.records.push(local),
                _ if record.name != 0 && record.is_findable() => self.types.records.push(local),
                _ => {}
            }
            self.enums_tell_sign |=
                record.kind == record::ENUM64 || (record.kind == record::ENUM && record.kind_flag);
            self.records.push(start);
            at += size;
        }
        Ok(())
    }

    /// How many types it has of its own, without `void` and its base's.
    #[must_use]
    pub fn len(&self) -> usize {
        self.records.len()
    }

    /// Whether it has no types.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    fn record(&self, local: usize) -> Option<Record<'_>> {
        let start = usize::try_from(*self.records.get(local)?).ok()?;
        Record::new(self.bytes.get(start..)?)
    }

    /// The bytes of a string, which may be the base's.
    fn string(&self, offset: u32) -> Option<&[u8]> {
        let Some(own) = offset.checked_sub(self.first_string) else {
            return self.base.as_ref()?.string(offset);
        };
        let strings = self.bytes.get(self.strings.clone())?;
        let rest = strings.get(usize::try_from(own).ok()?..)?;
        CStr::from_bytes_until_nul(rest).ok().map(CStr::to_bytes)
    }

    /// A name for the model; `None` for an anonymous one.
    fn name(&self, offset: u32) -> Option<Box<str>> {
        let name = self.string(offset).filter(|name| !name.is_empty())?;
        Some(scrub(name).into_boxed_str())
    }

    /// The type of that number, here or in the base.
    fn id(&self, index: u32) -> TypeId {
        match &self.base {
            Some(base) if index < self.first_id => base.id(index),
            _ => TypeId { source: self.source, index },
        }
    }

    fn local(&self, index: u32) -> Option<usize> {
        usize::try_from(index.checked_sub(self.first_id)?).ok()
    }

    /// The records of that name, in order, with their numbers.
    fn named<'b>(
        &'b self,
        names: &'b Names,
        name: &str,
    ) -> impl Iterator<Item = (u32, Record<'b>)> {
        let index = names.index.get_or_init(|| {
            NameIndex::new(names.records.iter().map(|&local| {
                let record = self.record(usize::try_from(local).ok()?)?;
                self.string(record.name)
            }))
        });
        index
            .candidates(name.as_bytes())
            .filter_map(move |position| {
                let local = *names.records.get(position)?;
                let record = self.record(usize::try_from(local).ok()?)?;
                Some((self.first_id.checked_add(local)?, record))
            })
            .filter(move |(_, record)| self.string(record.name) == Some(name.as_bytes()))
    }
}

impl TypeSource for Btf {
    fn def(&self, index: u32) -> Option<&TypeDef> {
        static VOID: TypeDef = TypeDef { name: None, kind: Kind::Void };
        if index == 0 {
            return Some(&VOID);
        }
        let Some(local) = self.local(index) else {
            return self.base.as_ref()?.def(index);
        };
        let def = self.defs.get(local)?;
        def.get_or_init(|| self.decode(&self.record(local)?).map(Box::new)).as_deref()
    }

    fn find(&self, tag: Tag, name: &str) -> Option<TypeId> {
        let mut declared = None;
        for (id, record) in self.named(&self.types, name) {
            if record.tag() != Some(tag) {
                continue;
            }
            if record.kind != record::FWD {
                return Some(self.id(id));
            }
            declared = declared.or(Some(self.id(id)));
        }
        declared
    }

    fn variable(&self, name: &str) -> Option<TypeId> {
        let mut found = self.named(&self.types, name);
        found
            .find(|(_, record)| record.kind == record::VAR)
            .map(|(_, record)| self.id(record.value))
    }

    fn function(&self, name: &str) -> Option<TypeId> {
        self.named(&self.functions, name).next().map(|(_, record)| self.id(record.value))
    }

    fn names(&self, tag: Tag) -> Vec<String> {
        let records = self.types.records.iter();
        records
            .filter_map(|&local| self.record(usize::try_from(local).ok()?))
            .filter(|record| record.tag() == Some(tag))
            .filter_map(|record| self.string(record.name).map(scrub))
            .collect()
    }

    fn enumerator(&self, name: &str) -> Option<(TypeId, i64)> {
        // Also those of enums without a name, so every record is looked at.
        (self.first_id..).zip(0..self.records.len()).find_map(|(id, local)| {
            let record = self.record(local)?;
            if !record.names_a_value(|offset| self.string(offset) == Some(name.as_bytes())) {
                return None;
            }
            let Kind::Enum { values, .. } = &self.def(id)?.kind else { return None };
            let found = values.iter().find(|value| *value.name == *name)?;
            Some((self.id(id), found.value))
        })
    }
}

/// Where the parts are in the bytes.
struct Header {
    types: Range<usize>,
    strings: Range<usize>,
    layout: Layout,
}

impl Header {
    fn read(bytes: &[u8]) -> Result<Header, BtfError> {
        const CUT: BtfError = BtfError::Damaged("its header is cut off");
        let &[a, b, version, _flags] = bytes.first_chunk().ok_or(CUT)?;
        match u16::from_le_bytes([a, b]) {
            0xeb9f => {}
            0x9feb => return Err(BtfError::BigEndian),
            other => return Err(BtfError::NotBtf(other)),
        }
        if version != 1 {
            return Err(BtfError::Version(version));
        }
        let field = |index: usize| {
            let four = bytes.as_chunks::<4>().0.get(index)?;
            usize::try_from(u32::from_le_bytes(*four)).ok()
        };
        let header_len = field(1).filter(|&len| len >= 24 && len % 4 == 0).ok_or(CUT)?;
        // Offsets count from the end of the header.
        let part = |index: usize| {
            let start = header_len.checked_add(field(index)?)?;
            let end = start.checked_add(field(index + 1)?)?;
            (end <= bytes.len()).then_some(start..end)
        };
        let types = part(2).ok_or(BtfError::Damaged("it is shorter than its header says"))?;
        let strings = part(4).ok_or(BtfError::Damaged("it is shorter than its header says"))?;
        // Since 7.1 it may tell how long the records of each kind are.
        let layout = if header_len >= 32 { part(6) } else { None };
        let layout = Layout::new(layout.and_then(|layout| bytes.get(layout)).unwrap_or_default());
        Ok(Header { types, strings, layout })
    }
}

#[cfg(test)]
mod tests;
