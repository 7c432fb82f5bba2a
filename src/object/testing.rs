//! A small made-up world of types, symbols and memory for tests.

use super::{Context, Scope};
use crate::debuginfo::{
    Compound, Enumerator, Kind, MemberDef, SymbolTable, Symbols, Tag, TypeDef, TypeId, TypeSource,
    Types,
};
use crate::dump::{Fault, Level, VirtAddr, Why};
use crate::memory::VirtualMemory;

pub(crate) struct World {
    memory: Memory,
    types: Types,
    symbols: Symbols,
}

impl World {
    pub(crate) fn scope(&self) -> Scope<'_> {
        Scope {
            memory: &self.memory,
            types: &self.types,
            symbols: &self.symbols,
            context: self,
            wide: false,
        }
    }
}

/// `$rsp` points to the first node; the copies of CPU 1 lie 0x40 bytes further.
impl Context for World {
    fn register(&self, name: &str) -> Result<u64, String> {
        if name == "rsp" { Ok(0x1000) } else { Err(format!("no register {name}")) }
    }

    fn per_cpu_offset(&self, cpu: u32) -> Result<u64, String> {
        if cpu < 2 { Ok(u64::from(cpu) * 0x40) } else { Err(format!("no CPU {cpu}")) }
    }

    /// `it` is a pointer to the first node, in a register; `gone` is lost.
    fn variable(&self, name: &str) -> Option<Result<(TypeId, VirtAddr), String>> {
        match name {
            "it" => Some(Ok((id(6), VirtAddr(0x1000 + 40)))),
            "gone" => Some(Err("gone is optimized out here".to_owned())),
            _ => None,
        }
    }

    fn in_register(&self, at: VirtAddr) -> bool {
        at == VirtAddr(0x1000 + 40)
    }
}

struct Memory {
    start: u64,
    bytes: Vec<u8>,
}

impl VirtualMemory for Memory {
    fn read(&self, at: VirtAddr, buf: &mut [u8]) -> Result<(), Fault> {
        let found = at.0.checked_sub(self.start).and_then(|offset| {
            let offset = usize::try_from(offset).ok()?;
            self.bytes.get(offset..offset + buf.len())
        });
        let found = found.ok_or(Fault::virt(at, Why::NotPresent { level: Level::Pte }))?;
        buf.copy_from_slice(found);
        Ok(())
    }
}

struct Table(Vec<TypeDef>);

impl TypeSource for Table {
    fn def(&self, index: u32) -> Option<&TypeDef> {
        self.0.get(usize::try_from(index).unwrap())
    }

    fn find(&self, tag: Tag, name: &str) -> Option<TypeId> {
        let fits = |def: &TypeDef| {
            def.name.as_deref() == Some(name)
                && match tag {
                    Tag::Struct => matches!(def.kind, Kind::Struct(_)),
                    Tag::Union => matches!(def.kind, Kind::Union(_)),
                    Tag::Enum => matches!(def.kind, Kind::Enum { .. }),
                    Tag::Typedef => matches!(def.kind, Kind::Typedef { .. }),
                    Tag::Base => matches!(def.kind, Kind::Int { .. }),
                }
        };
        self.0.iter().position(fits).map(id)
    }

    fn variable(&self, name: &str) -> Option<TypeId> {
        (name == "first").then(|| self.find(Tag::Struct, "node")).flatten()
    }

    fn function(&self, _: &str) -> Option<TypeId> {
        None
    }

    fn names(&self, tag: Tag) -> Vec<String> {
        if tag == Tag::Enum { vec!["mode".to_owned()] } else { Vec::new() }
    }
}

fn id(index: usize) -> TypeId {
    TypeId { source: 0, index: index.try_into().unwrap() }
}

fn named(name: &str, kind: Kind) -> TypeDef {
    TypeDef { name: Some(name.into()), kind }
}

fn member(name: &str, ty: usize, offset: u64) -> MemberDef {
    let name = Some(name).filter(|name| !name.is_empty()).map(Into::into);
    MemberDef { name, ty: id(ty), bit_offset: offset * 8, bit_size: None }
}

fn bits(name: &str, ty: usize, bit_offset: u64, width: u32) -> MemberDef {
    MemberDef { bit_offset, bit_size: Some(width), ..member(name, ty, 0) }
}

/// Two nodes at 0x1000 and 0x1040, `first` and its parent; `wake` is a function, `second` a
/// variable of unknown type.
pub(crate) fn world() -> World {
    let int = |size, signed| Kind::Int { size, signed, char: false, bool: false };
    let types = Table(vec![
        named("int", int(4, true)),
        named("char", int(1, true)),
        named("unsigned int", int(4, false)),
        named(
            "list_head",
            Kind::Struct(Compound {
                size: 16,
                members: vec![member("next", 4, 0), member("prev", 4, 8)],
            }),
        ),
        TypeDef { name: None, kind: Kind::Pointer { to: id(3) } },
        TypeDef { name: None, kind: Kind::Array { of: id(1), count: 16 } },
        TypeDef { name: None, kind: Kind::Pointer { to: id(7) } },
        named(
            "node",
            Kind::Struct(Compound {
                size: 64,
                members: vec![
                    member("pid", 0, 0),
                    bits("low", 2, 32, 3),
                    bits("high", 2, 35, 5),
                    member("list", 3, 8),
                    member("comm", 5, 24),
                    member("parent", 6, 40),
                    member("", 8, 48),
                    member("pair", 11, 56),
                ],
            }),
        ),
        TypeDef {
            name: None,
            kind: Kind::Union(Compound {
                size: 8,
                members: vec![member("wake", 9, 0), member("mode", 12, 0)],
            }),
        },
        TypeDef { name: None, kind: Kind::Pointer { to: id(10) } },
        TypeDef {
            name: None,
            kind: Kind::Function {
                returns: id(0),
                parameters: vec![(None, id(6))],
                variadic: false,
            },
        },
        TypeDef { name: None, kind: Kind::Array { of: id(0), count: 2 } },
        named(
            "mode",
            Kind::Enum {
                size: 4,
                signed: false,
                values: [("NONE", 0), ("READ", 1), ("WRITE", 2)]
                    .map(|(name, value)| Enumerator { name: name.into(), value })
                    .into(),
            },
        ),
        named("atomic_t", Kind::Typedef { to: id(0) }),
    ]);
    let mut node = Vec::new();
    for (pid, next, comm, parent, wake) in [
        (-7, 0x1048, b"java\0\0\0\0\0\0\0\0\0\0\0\0", 0x1040, 0xffff_ffff_8100_0010_u64),
        (42, 0x1008, b"\"a\\b\"\0\x1b[2Jxxxxxx", 0, 3),
    ] {
        node.extend_from_slice(&i32::to_le_bytes(pid));
        // low 2, high 5
        node.extend_from_slice(&[0b00_101_010, 0, 0, 0]);
        node.extend_from_slice(&u64::to_le_bytes(next));
        node.extend_from_slice(&u64::to_le_bytes(next));
        node.extend_from_slice(comm);
        node.extend_from_slice(&u64::to_le_bytes(parent));
        node.extend_from_slice(&wake.to_le_bytes());
        node.extend_from_slice(&[1, 0, 0, 0, 0xff, 0xff, 0xff, 0xff]);
    }
    let mut all = Types::new();
    all.add(Box::new(types));
    let mut kernel = SymbolTable::new(None);
    kernel.push("first", VirtAddr(0x1000), 'D');
    kernel.push("second", VirtAddr(0x1040), 'D');
    kernel.push("wake", VirtAddr(0xffff_ffff_8100_0010), 'T');
    World {
        memory: Memory { start: 0x1000, bytes: node },
        types: all,
        symbols: Symbols::new(kernel.finish(VirtAddr(0xffff_ffff_8200_0000)), Vec::new()),
    }
}
