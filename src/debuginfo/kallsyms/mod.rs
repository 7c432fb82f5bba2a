//! The kernel's own symbol table, kallsyms, out of dump memory.
//!
//! `scripts/kallsyms.c` lays it out at build time, `kernel/kallsyms.c` reads it at run time. The
//! parts, wherever the kernel put them:
//!
//! - `kallsyms_names`: for each symbol a length and that many bytes, each of which stands for a
//!   token. The expansion begins with `nm`'s letter.
//! - `kallsyms_token_table`, `kallsyms_token_index`: 256 texts, and where each begins.
//! - `kallsyms_markers`: where in the names every 256th symbol begins; follows the names.
//! - the addresses, in the same order.
//!
//! Two things changed over time and are told apart by what is in memory, never by the release:
//!
//! - **Lengths** are one byte before 6.1; since then a byte with its high bit set is followed by a
//!   second one (`73bbb94466fd`). The markers tell which reading is right.
//! - **Addresses** are a table of pointers (until 6.11), or 32-bit offsets: from
//!   `kallsyms_relative_base` (4.6), the same but with absolute per-CPU symbols (x86 from 4.6 to
//!   6.15), or from the place of the offset itself (7.0, `a081b5789255`, no base any more). Some
//!   symbols have their address in VMCOREINFO too: the reading that gets those right is right.

mod search;

pub use search::search;

use super::symbols::{Entry, SymbolTable};
use crate::dump::{Fault, VirtAddr, scrub};
use crate::memory::VirtualMemory;

/// A kernel with every driver built in has about a million symbols.
const MAX_SYMBOLS: usize = 1 << 22;
/// Bytes of compressed names; 150,000 symbols take 2 MB.
const MAX_NAMES: u64 = 64 << 20;
/// Bytes of all names together after expansion.
const MAX_TEXT: usize = 256 << 20;
/// A token is part of a name, and names end at `KSYM_NAME_LEN` (512).
const MAX_NAME: usize = 1024;

/// Symbols that VMCOREINFO and kallsyms both hold, so that one can be checked by the other.
const ANCHORS: [&str; 6] =
    ["_stext", "init_top_pgt", "init_uts_ns", "swapper_pg_dir", "node_online_map", "init_mm"];

/// Where the parts of kallsyms are, as VMCOREINFO names them since 6.0.
#[derive(Clone, Debug)]
pub struct KallsymsAddresses {
    names: VirtAddr,
    num_syms: VirtAddr,
    token_table: VirtAddr,
    token_index: VirtAddr,
    addressing: Place,
    anchors: Vec<(&'static str, VirtAddr)>,
}

/// Where the addresses of the symbols are.
#[derive(Clone, Copy, Debug)]
enum Place {
    /// `kallsyms_addresses`
    Addresses(VirtAddr),
    /// `kallsyms_offsets` and, before 7.0, `kallsyms_relative_base`
    Offsets { offsets: VirtAddr, base: Option<VirtAddr> },
}

/// Why the kernel's symbols could not be had from the dump.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum KallsymsError {
    /// VMCOREINFO does not say where the table is: kernels before 6.0.
    #[error("the dump's VMCOREINFO does not name {0}, so kallsyms cannot be found in it")]
    NotNamed(&'static str),
    /// Part of it is not in the dump.
    #[error("{part}: {fault}")]
    Unreadable {
        /// The kernel's name of that part.
        part: &'static str,
        /// What is the matter.
        fault: Fault,
    },
    /// It was searched for and nothing looks like it.
    #[error("nothing in the kernel's image looks like kallsyms")]
    NotFound,
    /// It is there and makes no sense.
    #[error("kallsyms is damaged: {0}")]
    Damaged(&'static str),
    /// No known way of reading the addresses gives those of VMCOREINFO.
    #[error("kallsyms has an unknown layout: it does not give _stext the address in VMCOREINFO")]
    UnknownLayout,
}

impl KallsymsAddresses {
    /// Asks for each part by its symbol: `symbol("kallsyms_names")` is the address that VMCOREINFO
    /// has as `SYMBOL(kallsyms_names)`.
    ///
    /// # Errors
    /// [`KallsymsError::NotNamed`] with the first part that is needed and has no address.
    pub fn locate(
        symbol: impl Fn(&str) -> Option<VirtAddr>,
    ) -> Result<KallsymsAddresses, KallsymsError> {
        let part = |name| symbol(name).ok_or(KallsymsError::NotNamed(name));
        Ok(KallsymsAddresses {
            names: part("kallsyms_names")?,
            num_syms: part("kallsyms_num_syms")?,
            token_table: part("kallsyms_token_table")?,
            token_index: part("kallsyms_token_index")?,
            addressing: match symbol("kallsyms_addresses") {
                Some(addresses) => Place::Addresses(addresses),
                None => Place::Offsets {
                    offsets: part("kallsyms_offsets")?,
                    base: symbol("kallsyms_relative_base"),
                },
            },
            anchors: ANCHORS.iter().filter_map(|&name| Some((name, symbol(name)?))).collect(),
        })
    }

    /// How many bytes to read of a part whose size nothing tells: up to the next part.
    fn room(&self, from: VirtAddr, most: u64) -> Option<u64> {
        let addresses = match self.addressing {
            Place::Addresses(at) | Place::Offsets { offsets: at, .. } => at,
        };
        [self.names, self.num_syms, self.token_table, self.token_index, addresses]
            .into_iter()
            .filter_map(|at| at.offset_from(from))
            .filter(|&room| room > 0)
            .min()
            .filter(|&room| room <= most)
    }
}

/// Reads and expands the whole table.
///
/// # Errors
/// [`KallsymsError`]; a table that is only partly readable is none.
pub fn read(
    memory: &dyn VirtualMemory,
    at: &KallsymsAddresses,
) -> Result<SymbolTable, KallsymsError> {
    let count = read_bytes(memory, "kallsyms_num_syms", at.num_syms, 4)?;
    let count = count.first_chunk().map_or(0, |&bytes| u32::from_le_bytes(bytes));
    let count = usize::try_from(count).unwrap_or(usize::MAX);
    if count == 0 || count > MAX_SYMBOLS {
        return Err(KallsymsError::Damaged("the number of symbols is impossible"));
    }
    let tokens = Tokens::read(memory, at)?;

    let room = at
        .room(at.names, MAX_NAMES)
        .ok_or(KallsymsError::Damaged("no other table follows the names"))?;
    let names = read_bytes(memory, "kallsyms_names", at.names, room)?;
    let spans = name_spans(&names, count)?;

    let (text, mut entries) = expand(&names, &spans, &tokens)?;
    give_addresses(memory, at, &text, &mut entries)?;
    // What the last symbol (`_end`) names is where the kernel ends.
    let end = entries.iter().map(|entry| entry.at).max().unwrap_or(0);
    Ok(SymbolTable::from_entries(None, text, entries).finish(VirtAddr(end).plus(1)))
}

fn read_bytes(
    memory: &dyn VirtualMemory,
    part: &'static str,
    at: VirtAddr,
    len: u64,
) -> Result<Vec<u8>, KallsymsError> {
    let len = usize::try_from(len).map_err(|_| KallsymsError::Damaged("a table is too long"))?;
    memory.read_vec(at, len).map_err(|fault| KallsymsError::Unreadable { part, fault })
}

/// The 256 texts that names are made of.
struct Tokens {
    texts: Vec<String>,
    /// The first bytes of each and how many it has: nearly all are shorter than this, and sixteen
    /// bytes are copied faster than a few.
    heads: Vec<([u8; 16], usize)>,
}

impl Tokens {
    fn read(memory: &dyn VirtualMemory, at: &KallsymsAddresses) -> Result<Tokens, KallsymsError> {
        let index = read_bytes(memory, "kallsyms_token_index", at.token_index, 512)?;
        let starts: Vec<u16> =
            index.as_chunks().0.iter().map(|&two| u16::from_le_bytes(two)).collect();
        let last = u64::from(starts.iter().copied().max().unwrap_or(0));
        let most = last + u64::try_from(MAX_NAME).unwrap_or(0);
        // The table ends one token after the last index; the next part is a nearer end.
        let room = at.room(at.token_table, most).unwrap_or(most);
        let table = read_bytes(memory, "kallsyms_token_table", at.token_table, room)?;
        let text = |start: u16| {
            let rest = table.get(usize::from(start)..)?;
            let end = rest.iter().position(|&byte| byte == 0)?;
            rest.get(..end).filter(|token| token.len() < MAX_NAME).map(scrub)
        };
        let texts: Option<Vec<String>> = starts.into_iter().map(text).collect();
        let texts = texts.ok_or(KallsymsError::Damaged("a token has no end"))?;
        let head = |text: &String| {
            let mut head = [0; 16];
            for (to, from) in head.iter_mut().zip(text.bytes()) {
                *to = from;
            }
            (head, text.len())
        };
        Ok(Tokens { heads: texts.iter().map(head).collect(), texts })
    }

    /// Writes a token at `at`, and maybe up to 16 bytes of rubbish behind it; its length.
    fn write(&self, token: u8, text: &mut Vec<u8>, at: usize) -> usize {
        let Some((head, len)) = self.heads.get(usize::from(token)) else {
            return 0;
        };
        if text.len() < at + len + head.len() {
            text.resize((text.len() * 2).max(at + len + head.len()), 0);
        }
        if let Some(place) = text.get_mut(at..at + head.len()) {
            place.copy_from_slice(head);
        }
        if *len > head.len()
            && let (Some(place), Some(whole)) =
                (text.get_mut(at..at + len), self.texts.get(usize::from(token)))
        {
            place.copy_from_slice(whole.as_bytes());
        }
        *len
    }
}

/// One compressed name: where it is in the names, its length bytes included and not.
#[derive(Clone, Copy)]
struct Span {
    /// Of the length.
    start: usize,
    /// Of the first token.
    tokens: usize,
    end: usize,
}

/// How the lengths in the names are written.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Lengths {
    /// Since 6.1: the high bit of the first byte says that there is a second one.
    Uleb,
    /// Before: one byte.
    Byte,
}

/// Splits the names, by whichever way of writing lengths agrees with the markers behind them.
fn name_spans(names: &[u8], count: usize) -> Result<Vec<Span>, KallsymsError> {
    let mut sound = [Lengths::Uleb, Lengths::Byte]
        .into_iter()
        .filter_map(|lengths| split(names, count, lengths))
        .filter(|spans| markers_agree(names, spans));
    sound.next().ok_or(KallsymsError::Damaged("its names do not agree with its markers"))
}

fn split(names: &[u8], count: usize, lengths: Lengths) -> Option<Vec<Span>> {
    let mut spans = Vec::with_capacity(count.min(names.len()));
    let mut start = 0;
    for _ in 0..count {
        let first = *names.get(start)?;
        let (len, tokens) = if first & 0x80 != 0 && lengths == Lengths::Uleb {
            let second = *names.get(start + 1)?;
            if second & 0x80 != 0 {
                return None;
            }
            (usize::from(first & 0x7f) | usize::from(second) << 7, start + 2)
        } else {
            (usize::from(first), start + 1)
        };
        let end = tokens + len;
        // A symbol has at least its letter.
        if len == 0 || end > names.len() {
            return None;
        }
        spans.push(Span { start, tokens, end });
        start = end;
    }
    Some(spans)
}

/// Whether the markers that follow the names say where every 256th name begins. They are aligned to
/// 4 or 8 bytes and, since 4.20, 32 bits wide.
fn markers_agree(names: &[u8], spans: &[Span]) -> bool {
    let Some(end) = spans.last().map(|span| span.end) else {
        return false;
    };
    let wanted = || spans.iter().step_by(256).map(|span| u64::try_from(span.start).ok());
    [4, 8].iter().any(|&align| {
        let after = names.get(end.next_multiple_of(align)..).unwrap_or_default();
        let narrow = after.as_chunks().0.iter().map(|&four| Some(u32::from_le_bytes(four).into()));
        let wide = after.as_chunks().0.iter().map(|&eight| Some(u64::from_le_bytes(eight)));
        let count = wanted().count();
        narrow.take(count).eq(wanted()) || wide.take(count).eq(wanted())
    })
}

/// The names as one text, and for each symbol where its name is and its letter. Addresses are still
/// zero.
fn expand(
    names: &[u8],
    spans: &[Span],
    tokens: &Tokens,
) -> Result<(String, Vec<Entry>), KallsymsError> {
    // Compression makes about half of it.
    let mut text = vec![0; names.len().saturating_mul(5) / 2];
    let mut end = 0;
    let mut entries = Vec::with_capacity(spans.len());
    for span in spans {
        let start = end;
        for &token in names.get(span.tokens..span.end).unwrap_or_default() {
            end += tokens.write(token, &mut text, end);
        }
        let letter = text.get(start..end).and_then(|name| name.first()).copied();
        let letter = letter.filter(u8::is_ascii);
        let letter = letter.ok_or(KallsymsError::Damaged("a symbol has no letter"))?;
        let name_len = end - start - 1;
        if name_len > MAX_NAME || end > MAX_TEXT {
            return Err(KallsymsError::Damaged("a name is longer than any can be"));
        }
        let (Ok(name_start), Ok(name_len)) = (u32::try_from(start + 1), u16::try_from(name_len))
        else {
            return Err(KallsymsError::Damaged("the names are longer than any can be"));
        };
        entries.push(Entry { at: 0, name_start, name_len, letter });
    }
    text.truncate(end);
    // Tokens were scrubbed, and so are text each.
    let text = String::from_utf8(text);
    text.map(|text| (text, entries)).map_err(|_| KallsymsError::Damaged("a name is no text"))
}

/// How an address is written.
#[derive(Clone, Copy)]
enum Addressing {
    /// Above a base.
    Relative(u64),
    /// Not negative: as it is, a per-CPU offset. Negative: below `base - 1`.
    AbsolutePercpu(u64),
    /// From the offset itself; the address of the first one.
    PlaceRelative(u64),
}

impl Addressing {
    fn address(self, index: usize, offset: u32) -> u64 {
        let signed = i64::from(offset.cast_signed());
        match self {
            Addressing::Relative(base) => base.wrapping_add(u64::from(offset)),
            Addressing::AbsolutePercpu(_) if signed >= 0 => u64::from(offset),
            Addressing::AbsolutePercpu(base) => base.wrapping_sub(1).wrapping_add_signed(-signed),
            Addressing::PlaceRelative(table) => {
                let place = table.wrapping_add(u64::try_from(index).unwrap_or(0) * 4);
                place.wrapping_add_signed(signed)
            }
        }
    }
}

fn give_addresses(
    memory: &dyn VirtualMemory,
    at: &KallsymsAddresses,
    text: &str,
    entries: &mut [Entry],
) -> Result<(), KallsymsError> {
    let count = u64::try_from(entries.len()).unwrap_or(u64::MAX);
    // Which symbols are anchors, and where each of them must be.
    let mut anchors = Vec::new();
    for (index, entry) in entries.iter().enumerate() {
        let name = entry.name(text);
        anchors.extend(at.anchors.iter().filter(|(its, _)| *its == name).map(|a| (index, *a)));
    }
    // A name may stand for several symbols; one of them is the anchor.
    let holds = |address: &dyn Fn(usize) -> Option<u64>| {
        !anchors.is_empty()
            && anchors.iter().all(|&(_, (name, wanted))| {
                let mut namesakes = anchors.iter().filter(|(_, (its, _))| *its == name);
                namesakes.any(|&(index, _)| address(index) == Some(wanted.0))
            })
    };

    match at.addressing {
        Place::Addresses(table) => {
            let bytes = read_bytes(memory, "kallsyms_addresses", table, count.saturating_mul(8))?;
            let addresses: &[[u8; 8]] = bytes.as_chunks().0;
            let address =
                |index: usize| addresses.get(index).map(|&eight| u64::from_le_bytes(eight));
            if !holds(&address) {
                return Err(KallsymsError::UnknownLayout);
            }
            for (entry, &eight) in entries.iter_mut().zip(addresses) {
                entry.at = u64::from_le_bytes(eight);
            }
        }
        Place::Offsets { offsets: table, base } => {
            let bytes = read_bytes(memory, "kallsyms_offsets", table, count.saturating_mul(4))?;
            let offsets: &[[u8; 4]] = bytes.as_chunks().0;
            let mut ways = vec![Addressing::PlaceRelative(table.0)];
            if let Some(base) = base {
                let base = read_bytes(memory, "kallsyms_relative_base", base, 8)?;
                let base = base.first_chunk().map_or(0, |&bytes| u64::from_le_bytes(bytes));
                ways.extend([Addressing::Relative(base), Addressing::AbsolutePercpu(base)]);
            }
            let right = ways.into_iter().find(|way| {
                holds(&|index| {
                    let &offset = offsets.get(index)?;
                    Some(way.address(index, u32::from_le_bytes(offset)))
                })
            });
            let way = right.ok_or(KallsymsError::UnknownLayout)?;
            for (index, (entry, &offset)) in entries.iter_mut().zip(offsets).enumerate() {
                entry.at = way.address(index, u32::from_le_bytes(offset));
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
