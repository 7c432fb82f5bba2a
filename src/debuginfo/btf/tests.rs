//! BTF written byte by byte, with one of every kind, and damaged.

use super::*;
use crate::debuginfo::{Enumerator, Types};

/// BTF as a compiler would write it.
#[derive(Default)]
struct Writer {
    types: Vec<u8>,
    strings: Vec<u8>,
    /// What the base has of each.
    first_string: u32,
    layout: Vec<u8>,
}

impl Writer {
    fn new() -> Writer {
        Writer { strings: vec![0], ..Writer::default() }
    }

    fn string(&mut self, text: &str) -> u32 {
        if text.is_empty() {
            return 0;
        }
        let at = self.first_string + u32::try_from(self.strings.len()).unwrap();
        self.strings.extend(text.as_bytes());
        self.strings.push(0);
        at
    }

    fn add(&mut self, kind: u8, flag: bool, name: &str, value: u32, count: u32, rest: &[u32]) {
        let name = self.string(name);
        let info = u32::from(flag) << 31 | u32::from(kind) << 24 | count;
        for number in [name, info, value].iter().chain(rest) {
            self.types.extend(number.to_le_bytes());
        }
    }

    fn bytes(&self) -> Vec<u8> {
        let len = |part: &[u8]| u32::try_from(part.len()).unwrap();
        let (types, layout, strings) = (len(&self.types), len(&self.layout), len(&self.strings));
        let mut bytes = vec![0x9f, 0xeb, 1, 0];
        for number in [32, 0, types, types + layout, strings, types, layout] {
            bytes.extend(number.to_le_bytes());
        }
        [&bytes, &self.types, &self.layout, &self.strings].into_iter().flatten().copied().collect()
    }
}

/// 1 int, 2 unsigned char, 3 struct list_head, 4 its pointer, 5 struct task, 6 array, 7 enum,
/// 8 function type, 9 function, 10 variable, 11 const, 12 tag, 13 typedef, 14 enum64, 15 declared
/// union
fn kernel() -> Writer {
    let mut w = Writer::new();
    w.add(record::INT, false, "int", 4, 0, &[1 << 24 | 32]);
    w.add(record::INT, false, "unsigned char", 1, 0, &[8]);
    let (next, prev) = (w.string("next"), w.string("prev"));
    w.add(record::STRUCT, false, "list_head", 16, 2, &[next, 4, 0, prev, 4, 64]);
    w.add(record::PTR, false, "", 3, 0, &[]);
    let (pid, flags, comm) = (w.string("pid"), w.string("flags"), w.string("comm"));
    let members = [pid, 1, 0, flags, 1, 3 << 24 | 37, comm, 6, 64];
    w.add(record::STRUCT, true, "task", 24, 3, &members);
    w.add(record::ARRAY, false, "", 0, 0, &[2, 1, 16]);
    let (low, high) = (w.string("LOW"), w.string("HIGH"));
    w.add(record::ENUM, true, "level", 4, 2, &[low, u32::MAX, high, 7]);
    let argument = w.string("t");
    w.add(record::FUNC_PROTO, false, "", 1, 2, &[argument, 4, 0, 0]);
    w.add(record::FUNC, false, "wake", 8, 1, &[]);
    w.add(record::VAR, false, "runqueues", 5, 0, &[1]);
    w.add(record::CONST, false, "", 12, 0, &[]);
    w.add(record::TYPE_TAG, false, "user", 2, 0, &[]);
    w.add(record::TYPEDEF, false, "u8", 2, 0, &[]);
    let big = w.string("BIG");
    w.add(record::ENUM64, false, "wide", 8, 1, &[big, 1, 1]);
    w.add(record::FWD, true, "later", 0, 0, &[]);
    w
}

fn types() -> Types {
    let mut types = Types::new();
    types.add(Box::new(Btf::new(kernel().bytes(), 0).unwrap()));
    types
}

#[test]
fn structs_have_their_members_and_bit_fields() {
    let types = types();
    let task = types.structure("task").unwrap();
    assert_eq!(task.size(), Some(24));
    assert_eq!(task.offset_of("comm"), Ok(8));
    assert_eq!(task.member("comm").unwrap().ty.declare("comm"), "unsigned char comm[16]");
    let flags = task.member("flags").unwrap();
    assert_eq!((flags.bit_offset, flags.bit_size), (37, Some(3)));
    assert_eq!(types.structure("list_head").unwrap().offset_of("prev"), Ok(8));
    assert!(types.structure("u8").is_err());
}

#[test]
fn bit_fields_without_the_flag_are_told_by_their_type() {
    let mut w = Writer::new();
    w.add(record::INT, false, "unsigned int", 4, 0, &[32]);
    w.add(record::INT, false, "unsigned int", 4, 0, &[5 << 16 | 3]);
    let (whole, part) = (w.string("whole"), w.string("part"));
    w.add(record::STRUCT, false, "old", 8, 2, &[whole, 1, 0, part, 2, 32]);
    let mut types = Types::new();
    types.add(Box::new(Btf::new(w.bytes(), 0).unwrap()));
    let old = types.structure("old").unwrap();
    let [whole, part] = ["whole", "part"].map(|name| old.member(name).unwrap());
    assert_eq!((whole.bit_offset, whole.bit_size), (0, None));
    assert_eq!((part.bit_offset, part.bit_size), (37, Some(3)));
}

#[test]
fn the_values_of_enums_are_found_by_name() {
    let types = types();
    let found = |name| types.enumerator(name).map(|(ty, value)| (ty.name(), value));
    assert_eq!(found("LOW"), Ok(("enum level".to_owned(), -1)));
    assert_eq!(found("BIG"), Ok(("enum wide".to_owned(), 0x1_0000_0001)));
    assert!(found("level").is_err());
}

#[test]
fn every_kind_keeps_its_meaning() {
    let types = types();
    let kind = |index| types.get(TypeId { source: 0, index }).kind();
    assert_eq!(*kind(0), Kind::Void);
    assert_eq!(*kind(1), Kind::Int { size: 4, signed: true, char: false, bool: false });
    assert_eq!(*kind(2), Kind::Int { size: 1, signed: false, char: true, bool: false });
    assert_eq!(types.variable("runqueues").unwrap().name(), "struct task");
    assert_eq!(
        types.function("wake").unwrap().declare("wake"),
        "int wake(struct list_head *t, ...)"
    );
    assert_eq!(types.get(TypeId { source: 0, index: 11 }).name(), "const unsigned char");
    assert_eq!(types.find(Tag::Typedef, "u8").unwrap().size(), Some(1));
    assert_eq!(types.find(Tag::Union, "later").unwrap().kind(), &Kind::Forward { union: true });
    assert_eq!(types.names(Tag::Struct), ["list_head", "task"]);
}

#[test]
fn enums_have_their_values() {
    let types = types();
    let level = types.find(Tag::Enum, "level").unwrap();
    assert_eq!((level.enumerator(-1), level.enumerator(7)), (Some("LOW"), Some("HIGH")));
    let wide = types.find(Tag::Enum, "wide").unwrap();
    let values = vec![Enumerator { name: "BIG".into(), value: 0x1_0000_0001 }];
    assert_eq!(wide.kind(), &Kind::Enum { size: 8, signed: false, values });
}

#[test]
fn enums_of_old_kernels_are_signed_when_a_value_is() {
    let mut w = Writer::new();
    let (low, high) = (w.string("LOW"), w.string("HIGH"));
    w.add(record::ENUM, false, "old", 4, 2, &[low, u32::MAX, high, 7]);
    w.add(record::ENUM, false, "plain", 4, 1, &[high, 7]);
    let mut types = Types::new();
    types.add(Box::new(Btf::new(w.bytes(), 0).unwrap()));
    assert_eq!(types.find(Tag::Enum, "old").unwrap().enumerator(-1), Some("LOW"));
    let plain = types.find(Tag::Enum, "plain").unwrap();
    assert!(matches!(plain.kind(), Kind::Enum { signed: false, .. }));
}

#[test]
fn a_module_goes_on_where_the_kernel_ends() {
    let base = kernel();
    let kernel = Arc::new(Btf::new(base.bytes(), 0).unwrap());
    let mut w =
        Writer { first_string: u32::try_from(base.strings.len()).unwrap(), ..Writer::new() };
    // Number 16, which is the module's first: a member of the kernel's type and of its own.
    let (pid, own) = (7, w.string("own"));
    assert_eq!(kernel.string(pid).map(|name| name[0]), Some(b's'));
    w.add(record::STRUCT, false, "device", 32, 2, &[own, 5, 0, own, 17, 192]);
    w.add(record::PTR, false, "", 16, 0, &[]);
    let module = Btf::split(&kernel, w.bytes(), 1).unwrap();
    let mut types = Types::new();
    types.add(Box::new(kernel));
    types.add(Box::new(module));
    let device = types.structure("device").unwrap();
    assert_eq!(device.id(), TypeId { source: 1, index: 16 });
    let names: Vec<String> = device.members().map(|(_, member)| member.ty.name()).collect();
    assert_eq!(names, ["struct task", "struct device *"]);
    assert_eq!(device.members().next().unwrap().0, Some("own"));
}

#[test]
fn kinds_of_the_future_are_skipped_when_their_length_is_told() {
    let mut w = Writer::new();
    w.add(30, false, "", 0, 2, &[1, 2, 3]);
    w.add(record::INT, false, "int", 4, 0, &[32]);
    assert_eq!(Btf::new(w.bytes(), 0).err(), Some(BtfError::UnknownKind(30)));
    w.layout = [[0; 4]; 30].concat();
    w.layout.extend([4, 4, 0, 0]);
    let btf = Btf::new(w.bytes(), 0).unwrap();
    assert_eq!(btf.find(Tag::Base, "int"), Some(TypeId { source: 0, index: 2 }));
    assert_eq!(btf.def(1), None);
}

#[test]
fn what_is_no_btf_is_refused() {
    let open = |bytes: &[u8]| Btf::new(bytes.to_vec(), 0).err();
    assert_eq!(open(&[]), Some(BtfError::Damaged("its header is cut off")));
    assert_eq!(open(&[0xeb, 0x9f, 1, 0]), Some(BtfError::BigEndian));
    assert_eq!(open(b"\x7fELF"), Some(BtfError::NotBtf(0x457f)));
    assert_eq!(open(&[0x9f, 0xeb, 2, 0]), Some(BtfError::Version(2)));
}

#[test]
fn damage_never_panics() {
    let good = kernel().bytes();
    for cut in 0..good.len() {
        drop(Btf::new(good[..cut].to_vec(), 0));
    }
    for place in 0..good.len() {
        for flip in [0x01, 0x80, 0xff] {
            let mut bad = good.clone();
            bad[place] ^= flip;
            let Ok(btf) = Btf::new(bad, 0) else { continue };
            let count = u32::try_from(btf.len()).unwrap();
            let mut types = Types::new();
            types.add(Box::new(btf));
            for index in 0..count + 2 {
                let ty = types.get(TypeId { source: 0, index });
                _ = (ty.name(), ty.size(), ty.member("next.prev").is_ok());
            }
        }
    }
}

#[test]
fn types_that_contain_themselves_come_to_an_end() {
    let mut w = Writer::new();
    // Two anonymous members of its own type, and a function of two parameters of its own type.
    w.add(record::STRUCT, false, "knot", 8, 2, &[0, 1, 0, 0, 1, 0]);
    w.add(record::FUNC_PROTO, false, "", 2, 2, &[0, 2, 0, 2]);
    w.add(record::ARRAY, false, "", 0, 0, &[3, 3, 4]);
    w.add(record::TYPEDEF, false, "round", 4, 0, &[]);
    let mut types = Types::new();
    types.add(Box::new(Btf::new(w.bytes(), 0).unwrap()));
    assert!(types.structure("knot").unwrap().member("missing").is_err());
    assert!(types.get(TypeId { source: 0, index: 2 }).name().len() < 1 << 20);
    assert_eq!(types.get(TypeId { source: 0, index: 3 }).size(), None);
    assert_eq!(types.find(Tag::Typedef, "round").unwrap().size(), None);
}
