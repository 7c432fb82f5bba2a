//! Symbol tables in memory as kernels of several releases have them, and damaged ones.

use super::*;
use crate::dump::Why;

/// Pieces of memory at their addresses.
#[derive(Clone, Default)]
struct Pieces(Vec<(u64, Vec<u8>)>);

impl VirtualMemory for Pieces {
    fn read(&self, at: VirtAddr, buf: &mut [u8]) -> Result<(), Fault> {
        for (start, bytes) in &self.0 {
            let from = usize::try_from(at.0.wrapping_sub(*start)).unwrap();
            if let Some(found) = bytes.get(from..from.saturating_add(buf.len())) {
                buf.copy_from_slice(found);
                return Ok(());
            }
        }
        Err(Fault::virt(at, Why::Excluded))
    }
}

const TEXT: u64 = 0xffff_ffff_8100_0000;
const NAMES: u64 = 0xffff_ffff_8200_0000;
const MARKERS_END: u64 = 0x10_0000;
const TOKENS: u64 = NAMES + MARKERS_END;
const INDEX: u64 = TOKENS + 0x1000;
const COUNT: u64 = INDEX + 0x1000;
const BASE: u64 = COUNT + 0x1000;
const OFFSETS: u64 = BASE + 0x1000;

/// `_stext` and 600 functions; number 300 has a name of 140 characters, more than one byte of
/// length has bits for since 6.1.
fn symbols() -> Vec<(String, u64)> {
    let mut symbols = vec![("T_stext".to_owned(), TEXT)];
    symbols.extend((0..600).map(|n| {
        let name = if n == 300 { "x".repeat(140) } else { format!("function_{n}") };
        (format!("t{name}"), TEXT + 16 * n)
    }));
    symbols
}

/// Names, markers, tokens and their index. Token 0xff stands for "function_", the rest for
/// themselves.
fn parts(symbols: &[(String, u64)], lengths: Lengths) -> [Vec<u8>; 4] {
    let mut names = Vec::new();
    let mut markers = Vec::new();
    for (index, (name, _)) in symbols.iter().enumerate() {
        if index % 256 == 0 {
            markers.extend(u32::try_from(names.len()).unwrap().to_le_bytes());
        }
        let name = name.replace("function_", "\0").into_bytes();
        let len = u8::try_from(name.len()).unwrap();
        if len > 0x7f && lengths == Lengths::Uleb {
            names.extend([len | 0x80, len >> 7]);
        } else {
            names.push(len);
        }
        names.extend(name.iter().map(|&byte| if byte == 0 { 0xff } else { byte }));
    }
    names.resize(names.len().next_multiple_of(8), 0);
    let mut table = Vec::new();
    let mut index = Vec::new();
    for token in 0..=u8::MAX {
        index.extend(u16::try_from(table.len()).unwrap().to_le_bytes());
        match token {
            0xff => table.extend(b"function_"),
            0x20..0x7f => table.push(token),
            _ => {}
        }
        table.push(0);
    }
    [names, markers, table, index]
}

/// The parts, apart from each other.
fn memory(symbols: &[(String, u64)], lengths: Lengths) -> Pieces {
    let [mut names, markers, table, index] = parts(symbols, lengths);
    names.extend(markers);
    names.resize(usize::try_from(MARKERS_END).unwrap(), 0);
    let count = u32::try_from(symbols.len()).unwrap().to_le_bytes().to_vec();
    Pieces(vec![
        (NAMES, names),
        (TOKENS, [table, vec![0; 0x800]].concat()),
        (INDEX, index),
        (COUNT, count),
    ])
}

fn offsets(symbols: &[(String, u64)], offset: impl Fn(u64, u64) -> u64) -> Vec<u8> {
    let each = |(index, (_, at)): (usize, &(String, u64))| {
        let offset = offset(u64::try_from(index).unwrap(), *at);
        offset.to_le_bytes()[..4].to_vec()
    };
    symbols.iter().enumerate().flat_map(each).collect()
}

fn locate(base: bool) -> KallsymsAddresses {
    let at = |name: &str| match name {
        "kallsyms_names" => Some(NAMES),
        "kallsyms_num_syms" => Some(COUNT),
        "kallsyms_token_table" => Some(TOKENS),
        "kallsyms_token_index" => Some(INDEX),
        "kallsyms_offsets" => Some(OFFSETS),
        "kallsyms_relative_base" => base.then_some(BASE),
        "_stext" => Some(TEXT),
        _ => None,
    };
    KallsymsAddresses::locate(|name| at(name).map(VirtAddr)).unwrap()
}

fn check(memory: &Pieces, at: &KallsymsAddresses, symbols: &[(String, u64)]) {
    let table = read(memory, at).unwrap();
    let found: Vec<(String, u64)> =
        table.iter().map(|s| (format!("{}{}", s.letter, s.name), s.at.0)).collect();
    let mut wanted = symbols.to_vec();
    wanted.sort_by_key(|(_, at)| *at);
    assert_eq!(found, wanted);
}

#[test]
fn offsets_count_from_the_base() {
    let symbols = symbols();
    let mut memory = memory(&symbols, Lengths::Uleb);
    memory.0.push((BASE, (TEXT - 0x1000).to_le_bytes().to_vec()));
    memory.0.push((OFFSETS, offsets(&symbols, |_, at| at - (TEXT - 0x1000))));
    check(&memory, &locate(true), &symbols);
}

#[test]
fn offsets_that_are_not_negative_are_percpu_addresses() {
    let mut symbols = symbols();
    symbols.push(("Acurrent_task".to_owned(), 0x1_5d00));
    let mut memory = memory(&symbols, Lengths::Uleb);
    memory.0.push((BASE, TEXT.to_le_bytes().to_vec()));
    let offset = |_, at| if at < TEXT { at } else { TEXT.wrapping_sub(at).wrapping_sub(1) };
    memory.0.push((OFFSETS, offsets(&symbols, offset)));
    check(&memory, &locate(true), &symbols);
}

#[test]
fn offsets_without_a_base_count_from_their_own_place() {
    let symbols = symbols();
    let mut memory = memory(&symbols, Lengths::Uleb);
    let offset = |index, at: u64| at.wrapping_sub(OFFSETS + 4 * index);
    memory.0.push((OFFSETS, offsets(&symbols, offset)));
    check(&memory, &locate(false), &symbols);
}

#[test]
fn a_table_of_addresses_needs_no_base() {
    let symbols = symbols();
    let mut memory = memory(&symbols, Lengths::Byte);
    let addresses = symbols.iter().flat_map(|(_, at)| at.to_le_bytes()).collect();
    memory.0.push((OFFSETS, addresses));
    let mut at = locate(false);
    at.addressing = Place::Addresses(VirtAddr(OFFSETS));
    check(&memory, &at, &symbols);
}

#[test]
fn the_markers_tell_how_long_names_are_written() {
    let symbols = symbols();
    for lengths in [Lengths::Uleb, Lengths::Byte] {
        let mut memory = memory(&symbols, lengths);
        memory.0.push((OFFSETS, offsets(&symbols, |i, at| at.wrapping_sub(OFFSETS + 4 * i))));
        check(&memory, &locate(false), &symbols);
    }
}

#[test]
fn addresses_that_disagree_with_vmcoreinfo_are_refused() {
    let symbols = symbols();
    let mut memory = memory(&symbols, Lengths::Uleb);
    memory.0.push((BASE, TEXT.to_le_bytes().to_vec()));
    memory.0.push((OFFSETS, offsets(&symbols, |_, at| at - TEXT + 8)));
    assert_eq!(read(&memory, &locate(true)).err(), Some(KallsymsError::UnknownLayout));
}

#[test]
fn what_is_missing_is_named() {
    let error = KallsymsAddresses::locate(|_| None).unwrap_err();
    assert_eq!(error, KallsymsError::NotNamed("kallsyms_names"));
    let memory = memory(&symbols(), Lengths::Uleb);
    let error = read(&memory, &locate(false)).err();
    let fault = Fault::virt(VirtAddr(OFFSETS), Why::Excluded);
    assert_eq!(error, Some(KallsymsError::Unreadable { part: "kallsyms_offsets", fault }));
}

#[test]
fn damaged_tables_are_refused_without_a_panic() {
    let symbols = symbols();
    let mut good = memory(&symbols, Lengths::Uleb);
    good.0.push((OFFSETS, offsets(&symbols, |i, at| at.wrapping_sub(OFFSETS + 4 * i))));
    for (piece, from, byte) in
        [(0, 0, 0), (0, 0, 0xff), (0, 700, 0x7f), (1, 0, b'x'), (2, 40, 0xff), (3, 3, 0xff)]
    {
        let mut memory = good.clone();
        for place in memory.0[piece].1.iter_mut().skip(from).step_by(2) {
            *place = byte;
        }
        assert!(read(&memory, &locate(false)).is_err(), "piece {piece} from {from}");
    }
}

/// A kernel's image as it was before 6.2, with these addresses somewhere in it.
fn image(addresses: Vec<u8>, base: Option<u64>) -> Pieces {
    let symbols = symbols();
    let [names, markers, table, index] = parts(&symbols, Lengths::Byte);
    let mut image = vec![0xcc; 0x5_1230];
    // What looks like the digits at first.
    image.extend(b"0\x001\x002\x003\x004\x005\x006\x007\x008\x009\0");
    let align = |image: &mut Vec<u8>| image.resize(image.len().next_multiple_of(8), 0);
    align(&mut image);
    image.extend(addresses);
    align(&mut image);
    image.extend(base.iter().flat_map(|base| base.to_le_bytes()));
    image.extend(symbols.len().to_le_bytes());
    for part in [names, markers, table, index] {
        image.extend(part);
        align(&mut image);
    }
    // The rest of the page, and of that block.
    image.resize(0xc_0000, 0);
    Pieces(vec![(TEXT, image)])
}

fn searched(memory: &Pieces) -> Result<SymbolTable, KallsymsError> {
    search(memory, |name| (name == "_stext").then_some(VirtAddr(TEXT)))
}

#[test]
fn a_table_that_nothing_points_to_is_found() {
    let symbols = symbols();
    let with_offsets = image(offsets(&symbols, |_, at| TEXT.wrapping_sub(at + 1)), Some(TEXT));
    let addresses = symbols.iter().flat_map(|(_, at)| at.to_le_bytes()).collect();
    let with_addresses = image(addresses, None);
    for memory in [with_offsets, with_addresses] {
        let table = searched(&memory).unwrap();
        assert_eq!(table.len(), symbols.len());
        for (name, at) in &symbols {
            assert_eq!(table.find_all(&name[1..]).next().map(|symbol| symbol.at.0), Some(*at));
        }
    }
}

#[test]
fn a_search_that_finds_nothing_right_says_so() {
    assert_eq!(searched(&Pieces::default()).err(), Some(KallsymsError::NotFound));
    let symbols = symbols();
    let wrong = image(offsets(&symbols, |_, at| at - TEXT + 3), Some(TEXT));
    assert_eq!(searched(&wrong).err(), Some(KallsymsError::UnknownLayout));
    let good = image(offsets(&symbols, |_, at| at - TEXT), Some(TEXT));
    for place in (0x5_1230..good.0[0].1.len()).step_by(4999) {
        let mut bad = good.clone();
        bad.0[0].1[place] ^= 0xff;
        _ = searched(&bad).is_ok();
    }
}
