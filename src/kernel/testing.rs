//! Made-up memory and types for the tests of this floor.

use crate::debuginfo::{Compound, Kind, MemberDef, Tag, TypeDef, TypeId, TypeSource, Types};
use crate::dump::{Fault, Level, VirtAddr, Why};
use crate::memory::VirtualMemory;
use std::collections::BTreeMap;

/// Memory of single bytes; what was not put there is not mapped.
#[derive(Default)]
pub(crate) struct Image(BTreeMap<u64, u8>);

impl Image {
    pub(crate) fn put(&mut self, at: u64, bytes: &[u8]) {
        for (offset, byte) in (0..).zip(bytes) {
            self.0.insert(at + offset, *byte);
        }
    }

    pub(crate) fn put_u64(&mut self, at: u64, value: u64) {
        self.put(at, &value.to_le_bytes());
    }
}

impl VirtualMemory for Image {
    fn read(&self, at: VirtAddr, buf: &mut [u8]) -> Result<(), Fault> {
        for (offset, byte) in (0..).zip(buf) {
            let at = at.plus(offset);
            let none = Fault::virt(at, Why::NotPresent { level: Level::Pte });
            *byte = *self.0.get(&at.0).ok_or(none)?;
        }
        Ok(())
    }
}

/// Structs described by name, size and (member, offset, size of an unsigned integer). A member
/// `name: of` is a struct `of` described before, `name[]: of` an array of them, `name*: of` a pointer to one.
#[derive(Default)]
pub(crate) struct TypeTable {
    defs: Vec<TypeDef>,
}

impl TypeTable {
    pub(crate) fn new() -> TypeTable {
        let int = |size| TypeDef {
            name: Some(format!("u{}", size * 8).into()),
            kind: Kind::Int { size, signed: false, char: false, bool: false },
        };
        // The index of an integer is its size.
        TypeTable { defs: (0..=8).map(int).collect() }
    }

    pub(crate) fn with(mut self, name: &str, size: u64, members: &[(&str, u64, u32)]) -> TypeTable {
        // Its members may point to it.
        let place = self.defs.len();
        let kind = Kind::Struct(Compound { size, members: Vec::new() });
        self.defs.push(TypeDef { name: Some(name.into()), kind });
        let members = members
            .iter()
            .map(|(name, offset, size)| {
                let (name, ty) = match name.split_once(": ") {
                    Some((name, of)) => {
                        let of = self.find(Tag::Struct, of).unwrap();
                        match name.strip_suffix("[]") {
                            Some(name) => (name, self.array(of, 0)),
                            None => match name.strip_suffix('*') {
                                Some(name) => (name, self.pointer(of)),
                                None => (name, of),
                            },
                        }
                    }
                    None => (*name, self.member_type(*size)),
                };
                MemberDef { name: Some(name.into()), ty, bit_offset: offset * 8, bit_size: None }
            })
            .collect();
        self.defs[place].kind = Kind::Struct(Compound { size, members });
        self
    }

    /// An integer of 1 to 8 bytes, or an array of bytes.
    fn member_type(&mut self, size: u32) -> TypeId {
        if size <= 8 {
            return TypeId { source: 0, index: size };
        }
        self.array(TypeId { source: 0, index: 1 }, size.into())
    }

    fn array(&mut self, of: TypeId, count: u64) -> TypeId {
        self.nameless(Kind::Array { of, count })
    }

    fn pointer(&mut self, to: TypeId) -> TypeId {
        self.nameless(Kind::Pointer { to })
    }

    fn nameless(&mut self, kind: Kind) -> TypeId {
        self.defs.push(TypeDef { name: None, kind });
        TypeId { source: 0, index: u32::try_from(self.defs.len() - 1).unwrap() }
    }

    pub(crate) fn types(self) -> Types {
        let mut types = Types::new();
        types.add(Box::new(self));
        types
    }
}

impl TypeSource for TypeTable {
    fn def(&self, index: u32) -> Option<&TypeDef> {
        self.defs.get(usize::try_from(index).ok()?)
    }

    fn find(&self, tag: Tag, name: &str) -> Option<TypeId> {
        let found = self.defs.iter().position(|def| {
            def.name.as_deref() == Some(name)
                && matches!((tag, &def.kind), (Tag::Struct, Kind::Struct(_)))
        })?;
        Some(TypeId { source: 0, index: u32::try_from(found).ok()? })
    }

    fn variable(&self, _: &str) -> Option<TypeId> {
        None
    }

    fn function(&self, _: &str) -> Option<TypeId> {
        None
    }

    fn names(&self, _: Tag) -> Vec<String> {
        Vec::new()
    }
}
