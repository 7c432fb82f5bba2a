//! Unwind tables as each format has them, and tables that contradict themselves.

use super::*;
use crate::debuginfo::SymbolTable;
use crate::memory::FlatMemory;

const OLD: Format = Format { types: TypeBits::End, renumbered: false };
const V6_3: Format = Format { types: TypeBits::SignalEnd, renumbered: false };
const V6_4: Format = Format { types: TypeBits::Signal, renumbered: false };
const V7_1: Format = Format { types: TypeBits::Signal, renumbered: true };

pub(crate) const fn raw(sp_offset: i16, bp_offset: i16, flags: u16) -> [u8; 6] {
    let [a, b] = sp_offset.to_le_bytes();
    let [c, d] = bp_offset.to_le_bytes();
    let [e, f] = flags.to_le_bytes();
    [a, b, c, d, e, f]
}

/// Puts tables with these entries into memory, and their symbols.
pub(crate) fn put_tables(
    memory: &mut FlatMemory,
    symbols: &mut SymbolTable,
    entries: &[(u64, [u8; 6])],
) {
    const IP: u64 = 0xffff_ffff_8200_0000;
    const ENTRIES: u64 = 0xffff_ffff_8300_0000;
    for (index, (at, entry)) in (0..).zip(entries) {
        let slot = IP + 4 * index;
        let distance = i32::try_from(at.wrapping_sub(slot).cast_signed()).unwrap();
        memory.put(slot, &distance.to_le_bytes());
        memory.put(ENTRIES + 6 * index, entry);
    }
    let count = u64::try_from(entries.len()).unwrap();
    symbols.push("__start_orc_unwind_ip", VirtAddr(IP), 'R');
    symbols.push("__stop_orc_unwind_ip", VirtAddr(IP + 4 * count), 'R');
    symbols.push("__start_orc_unwind", VirtAddr(ENTRIES), 'R');
    symbols.push("__stop_orc_unwind", VirtAddr(ENTRIES + 6 * count), 'R');
}

#[test]
fn each_release_codes_the_same_entries_in_its_own_way() {
    // rsp+16, rbp saved at -16: a called function.
    for (format, flags) in [(OLD, 0x015), (V6_3, 0x015), (V6_4, 0x215), (V7_1, 0x283)] {
        let entry = format.decode(raw(16, -16, flags));
        assert_eq!(entry.sp, Base::Is(Register::Rsp));
        assert_eq!((entry.sp_offset, entry.bp_offset), (16, -16));
        assert_eq!(entry.bp, Base::PrevSp);
        assert_eq!((entry.kind, entry.signal), (Kind::Call, false));
    }
    // Registers on the stack, by an interrupt.
    for (format, flags) in [(OLD, 0x105), (V6_3, 0x505), (V6_4, 0xb05), (V7_1, 0xb03)] {
        let entry = format.decode(raw(0, 0, flags));
        assert_eq!((entry.sp, entry.kind), (Base::Is(Register::Rsp), Kind::Regs));
        assert!(entry.signal);
    }
    for (format, flags) in [(OLD, 0x205), (V6_3, 0x205), (V6_4, 0x405)] {
        assert_eq!(format.decode(raw(0, 0, flags)).kind, Kind::RegsPartial);
    }
    for (format, end) in [(OLD, 0x400), (V6_3, 0x800), (V6_4, 0x100), (V7_1, 0x100)] {
        assert_eq!(format.decode(raw(0, 0, end)).kind, Kind::EndOfStack);
        assert_eq!(format.decode(raw(0, 0, 0)).kind, Kind::Undefined);
    }
}

#[test]
fn the_numbers_of_7_1_name_other_registers() {
    let bases = |format: Format| (1..12).map(|n| format.base(n)).collect::<Vec<_>>();
    use Base::{BpIndirect, Is, PrevSp, SpIndirect, Unknown};
    use Register::{R10, R13, Rax, Rbp, Rdi, Rdx, Rsp};
    assert_eq!(
        bases(V6_4),
        [PrevSp, Is(Rdx), Is(Rdi), Is(Rbp), Is(Rsp), Is(R10), Is(R13), BpIndirect, SpIndirect]
            .into_iter()
            .chain([Unknown(10), Unknown(11)])
            .collect::<Vec<_>>()
    );
    assert_eq!(
        bases(V7_1),
        [Is(Rax), Is(Rdx), Is(Rsp), Is(Rbp), Is(Rdi), Is(R10), Is(R13), PrevSp, SpIndirect]
            .into_iter()
            .chain([BpIndirect, Unknown(11)])
            .collect::<Vec<_>>()
    );
}

#[test]
fn the_layout_is_told_by_the_entries() {
    let many = |call: u16, rare: &[u16]| -> Vec<[u8; 6]> {
        let calls = std::iter::repeat_n(call, 20);
        calls.chain(rare.iter().copied()).map(|flags| raw(8, 0, flags)).collect()
    };
    let detect = |entries: Vec<[u8; 6]>, end: u16| Format::detect(&entries, &[raw(0, 0, end)]);
    assert_eq!(detect(many(0x005, &[0x014, 0x105, 0x003, 0]), 0x400), OLD);
    assert_eq!(detect(many(0x005, &[0x014, 0x505, 0x003, 0]), 0x800), V6_3);
    assert_eq!(detect(many(0x205, &[0x214, 0xb05, 0x203, 0]), 0x100), V6_4);
    assert_eq!(detect(many(0x203, &[0x284, 0xb03, 0x205, 0]), 0x100), V7_1);
    assert_eq!(Format::detect(&many(0x205, &[]), &[]), V6_4);
}

#[test]
fn an_address_has_the_last_entry_that_starts_before_it() {
    const TEXT: u64 = 0xffff_ffff_8100_0000;
    let mut memory = FlatMemory::new();
    let mut symbols = SymbolTable::new(None);
    let count: u16 = 2000;
    let mut entries: Vec<_> =
        (0..count).map(|n| (TEXT + u64::from(n) * 16, raw(n.cast_signed(), 0, 0x205))).collect();
    entries.push((TEXT + u64::from(count) * 16, raw(0, 0, 0)));
    put_tables(&mut memory, &mut symbols, &entries);
    let symbols = Symbols::new(symbols.finish(VirtAddr(u64::MAX)), Vec::new());
    let orc = Orc::new(&memory, &symbols, Vec::new());
    assert_eq!(orc.problem(), None);
    let offset = |at| orc.find(&memory, VirtAddr(at)).map(|entry| entry.sp_offset);
    for n in [0, 1, 255, 256, 257, 1000, 1999] {
        assert_eq!(offset(TEXT + n * 16), Ok(i16::try_from(n).unwrap()));
        assert_eq!(offset(TEXT + n * 16 + 15), Ok(i16::try_from(n).unwrap()));
    }
    for outside in [TEXT - 1, TEXT + 2000 * 16] {
        assert_eq!(offset(outside), Err("no unwind table is for it".to_owned()));
    }
    let empty = FlatMemory::new();
    let missing = orc.find(&empty, VirtAddr(TEXT + 5000)).unwrap_err();
    assert!(missing.starts_with("its unwind table cannot be read: 0x"), "{missing}");
}

#[test]
fn a_kernel_without_tables_says_so() {
    let symbols = Symbols::default();
    let orc = Orc::new(&FlatMemory::new(), &symbols, Vec::new());
    assert_eq!(orc.problem(), Some("the kernel has no symbol __start_orc_unwind_ip"));
    let why = "no unwind tables: the kernel has no symbol __start_orc_unwind_ip";
    assert_eq!(orc.find(&FlatMemory::new(), VirtAddr(1)), Err(why.to_owned()));
}

#[test]
fn tables_that_contradict_each_other_are_not_used() {
    let mut symbols = SymbolTable::new(None);
    for (name, at) in [
        ("__start_orc_unwind_ip", 0x1000),
        ("__stop_orc_unwind_ip", 0x1040),
        ("__start_orc_unwind", 0x2000),
        ("__stop_orc_unwind", 0x2006),
    ] {
        symbols.push(name, VirtAddr(at), 'R');
    }
    let symbols = Symbols::new(symbols.finish(VirtAddr(u64::MAX)), Vec::new());
    let orc = Orc::new(&FlatMemory::new(), &symbols, Vec::new());
    assert_eq!(orc.problem(), Some("its two tables have 16 and 1 entries"));
}
