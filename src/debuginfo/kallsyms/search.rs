//! kallsyms of kernels before 6.0, whose VMCOREINFO does not say where it is.
//!
//! One part of it looks the same in every kernel: among the tokens are the ten digits, each on its
//! own and in order. From there the index of the tokens follows, and backwards lie the markers, the
//! names, the number of symbols and the addresses, as `write_src()` in `scripts/kallsyms.c` put
//! them out until 6.1. Each step is checked by what the part must contain, and the addresses at the
//! end by those of VMCOREINFO.

use super::{ANCHORS, KallsymsAddresses, KallsymsError, MAX_SYMBOLS, Place, name_spans, read};
use crate::debuginfo::SymbolTable;
use crate::dump::{PAGE_SIZE, VirtAddr};
use crate::memory::VirtualMemory;
use rayon::prelude::*;

/// How far from the start of the kernel's code its read-only data ends at most.
const MAX_IMAGE: u64 = 256 << 20;
/// How much of it is looked at in one go.
const BLOCK: u64 = 256 << 10;
/// How many blocks are looked at side by side before what was found is tried.
const BLOCKS: usize = 16;
/// Bytes of all tokens; in practice under one thousand.
const MAX_TOKENS: u64 = 16 << 10;
/// The digits among the tokens.
const DIGITS: &[u8; 20] = b"0\x001\x002\x003\x004\x005\x006\x007\x008\x009\0";
/// 256 names with their lengths, which end at `KSYM_NAME_LEN` (128).
const MAX_STRIDE: u64 = 256 * 130;
/// Bytes of the markers of as many symbols as there may be.
const MAX_MARKERS: u64 = 128 << 10;

/// Finds and reads the table of the kernel whose symbols VMCOREINFO gives these addresses;
/// `_stext` must be among them, with it the search begins.
///
/// # Errors
/// [`KallsymsError::NotFound`] when there is nothing that looks like it, otherwise what is wrong
/// with what was found.
pub fn search(
    memory: &dyn VirtualMemory,
    symbol: impl Fn(&str) -> Option<VirtAddr>,
) -> Result<SymbolTable, KallsymsError> {
    let stext = symbol("_stext").ok_or(KallsymsError::NotNamed("_stext"))?;
    let anchors: Vec<_> = ANCHORS.iter().filter_map(|&name| Some((name, symbol(name)?))).collect();
    let blocks: Vec<VirtAddr> = (0..MAX_IMAGE / BLOCK).map(|n| stext.plus(n * BLOCK)).collect();
    let mut failed = KallsymsError::NotFound;
    for blocks in blocks.chunks(BLOCKS) {
        let found: Vec<VirtAddr> =
            blocks.par_iter().flat_map_iter(|&block| digits_in(memory, block)).collect();
        for digits in found {
            let Some(tokens) = tokens_around(memory, digits) else { continue };
            let Some(names) = names_before(memory, &tokens) else { continue };
            match read_found(memory, &tokens, &names, &anchors) {
                Ok(table) => return Ok(table),
                Err(error) => failed = error,
            }
        }
    }
    Err(failed)
}

/// Reads what was found, the addresses in whichever way the kernel keeps them.
fn read_found(
    memory: &dyn VirtualMemory,
    tokens: &Tokens,
    names: &Names,
    anchors: &[(&'static str, VirtAddr)],
) -> Result<SymbolTable, KallsymsError> {
    // Offsets came with 4.6. Each part is aligned to 8 bytes.
    let base = names.num_syms.minus(8);
    let offsets = base.minus((4 * names.count).next_multiple_of(8));
    let ways = [
        Place::Offsets { offsets, base: Some(base) },
        Place::Addresses(names.num_syms.minus(8 * names.count)),
    ];
    let read = |addressing| {
        let at = KallsymsAddresses {
            names: names.at,
            num_syms: names.num_syms,
            token_table: tokens.table,
            token_index: tokens.index,
            addressing,
            anchors: anchors.to_vec(),
        };
        read(memory, &at)
    };
    let [offsets, addresses] = ways;
    read(offsets).or_else(|_| read(addresses))
}

/// Memory of which parts may be missing: they read as zeroes. `None` when nothing is there.
fn readable(memory: &dyn VirtualMemory, start: VirtAddr, len: u64) -> Option<Vec<u8>> {
    let mut bytes = vec![0; usize::try_from(len).ok()?];
    if memory.read(start, &mut bytes).is_ok() {
        return Some(bytes);
    }
    let mut any = false;
    let mut at = start;
    let mut rest = bytes.as_mut_slice();
    while !rest.is_empty() {
        let room = usize::try_from(PAGE_SIZE - at.in_page()).ok()?;
        let (page, after) = rest.split_at_mut(room.min(rest.len()));
        match memory.read(at, page) {
            Ok(()) => any = true,
            Err(_) => page.fill(0),
        }
        at = VirtAddr(at.page() * PAGE_SIZE).plus(PAGE_SIZE);
        rest = after;
    }
    any.then_some(bytes)
}

/// Every place in a block where the digits stand as they do among tokens.
fn digits_in(memory: &dyn VirtualMemory, block: VirtAddr) -> Vec<VirtAddr> {
    // Into the next block, so that nothing is missed between two.
    let bytes = readable(memory, block, BLOCK + 20).unwrap_or_default();
    let windows = bytes.windows(DIGITS.len()).zip(0..);
    let found = windows.filter(|(window, _)| window.first() == Some(&b'0') && window == DIGITS);
    found.map(|(_, at)| block.plus(at)).collect()
}

/// Where the tokens and their index are.
struct Tokens {
    table: VirtAddr,
    index: VirtAddr,
}

/// The table of tokens that the digits belong to, if the index behind it says so too.
fn tokens_around(memory: &dyn VirtualMemory, digits: VirtAddr) -> Option<Tokens> {
    let after = readable(memory, digits, MAX_TOKENS)?;
    // The digit 0 is token 48; 207 come after it.
    let ends = after.iter().zip(1..).filter(|(byte, _)| **byte == 0).map(|(_, end)| end);
    let end = digits.plus(ends.take(208).nth(207)?);
    [8, 4].into_iter().find_map(|align| {
        let index = VirtAddr(end.0.checked_next_multiple_of(align)?);
        let bytes = memory.read_vec(index, 512).ok()?;
        let starts: Vec<u16> = bytes.as_chunks().0.iter().map(|&b| u16::from_le_bytes(b)).collect();
        let table = digits.minus(u64::from(*starts.get(usize::from(b'0'))?));
        let len = end.offset_from(table).filter(|&len| len <= MAX_TOKENS)?;
        let tokens = memory.read_vec(table, usize::try_from(len).ok()?).ok()?;
        // Each token begins where the one before it ends.
        let ends = tokens.iter().zip(1..).filter(|(byte, _)| **byte == 0).map(|(_, end)| end);
        let begin: Vec<u16> = std::iter::once(0).chain(ends).take(256).collect();
        (begin == starts).then_some(Tokens { table, index })
    })
}

/// Where the names and their number are.
struct Names {
    at: VirtAddr,
    num_syms: VirtAddr,
    count: u64,
}

/// The names that end, with their markers, where the tokens begin.
fn names_before(memory: &dyn VirtualMemory, tokens: &Tokens) -> Option<Names> {
    let before = readable(memory, tokens.table.minus(MAX_MARKERS), MAX_MARKERS)?;
    // 32 bits wide since 4.20, then maybe with as many behind them for the tokens' alignment.
    let (_, fours) = before.as_rchunks::<4>();
    let (_, eights) = before.as_rchunks::<8>();
    let narrow = || fours.iter().rev().map(|&b| u64::from(u32::from_le_bytes(b)));
    let wide = eights.iter().rev().map(|&b| u64::from_le_bytes(b));
    let markers = markers_backwards(narrow())
        .map(|(count, last)| (count, last, 4 * count))
        .or_else(|| markers_backwards(narrow().skip(1)).map(|(n, last)| (n, last, 4 * n + 4)))
        .or_else(|| markers_backwards(wide).map(|(count, last)| (count, last, 8 * count)));
    let (count, last, size) = markers?;
    let markers = tokens.table.minus(size);

    // The names begin so far before the markers that the last of these fits; before the names
    // stands how many there are.
    let most = last + MAX_STRIDE + 16;
    let start = markers.minus(most);
    let bytes = readable(memory, start, most + size)?;
    let many = (256 * (count - 1) + 1)..=256 * count;
    let first = start.0.next_multiple_of(8) - start.0;
    (first..MAX_STRIDE + 16).step_by(8).find_map(|at| {
        let rest = bytes.get(usize::try_from(at).ok()?..)?;
        let (number, names) = rest.split_first_chunk::<8>()?;
        let number = u64::from_le_bytes(*number);
        let symbols = usize::try_from(number).ok().filter(|&count| count <= MAX_SYMBOLS)?;
        if !many.contains(&number) || name_spans(names, symbols).is_err() {
            return None;
        }
        let num_syms = start.plus(at);
        Some(Names { at: num_syms.plus(8), num_syms, count: number })
    })
}

/// How many markers there are and the last one, from numbers that begin with that: each is smaller
/// than the one before, by as much as 256 names take, down to zero.
fn markers_backwards(numbers: impl Iterator<Item = u64>) -> Option<(u64, u64)> {
    let mut last = None;
    let mut before: Option<u64> = None;
    for (number, count) in numbers.zip(1..) {
        if let Some(before) = before {
            let stride = before.checked_sub(number)?;
            // A name has at least its length and its letter.
            if !(512..=MAX_STRIDE).contains(&stride) {
                return None;
            }
            if number == 0 {
                return Some((count, last?));
            }
        }
        last = last.or(Some(number));
        before = Some(number);
    }
    None
}
