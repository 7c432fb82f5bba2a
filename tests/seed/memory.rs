//! The memory of the machine, and the ELF core that holds it.

use super::kernel::IMAGE;
use std::collections::BTreeMap;

/// Where 2.6.32 maps all memory.
pub(crate) const DIRECT: u64 = 0xffff_8800_0000_0000;
const PAGE: u64 = 4096;
/// A run of zeroes as long as this is left to the reader of the core to fill in.
const BLOCK: usize = 256;

/// Pages by their number. What is read as zero may or may not have a page.
#[derive(Clone, Default)]
pub(crate) struct Memory {
    pages: BTreeMap<u64, Vec<u8>>,
}

pub(crate) fn physical(at: u64) -> u64 {
    if at >= IMAGE {
        at - IMAGE
    } else {
        at.checked_sub(DIRECT).unwrap_or_else(|| panic!("{at:x} is not the kernel's"))
    }
}

impl Memory {
    pub(crate) fn put(&mut self, at: u64, bytes: &[u8]) {
        let (mut at, mut rest) = (physical(at), bytes);
        while !rest.is_empty() {
            let page = self.pages.entry(at / PAGE).or_insert_with(|| vec![0; 4096]);
            let start = usize::try_from(at % PAGE).unwrap();
            let (now, later) = rest.split_at(rest.len().min(4096 - start));
            page[start..start + now.len()].copy_from_slice(now);
            at += now.len() as u64;
            rest = later;
        }
    }

    pub(crate) fn put32(&mut self, at: u64, value: u32) {
        self.put(at, &value.to_le_bytes());
    }

    pub(crate) fn put64(&mut self, at: u64, value: u64) {
        self.put(at, &value.to_le_bytes());
    }

    /// Makes the pages of a range part of the dump, be they zero.
    pub(crate) fn touch(&mut self, at: u64, len: u64) {
        for number in physical(at) / PAGE..(physical(at) + len).div_ceil(PAGE) {
            self.pages.entry(number).or_insert_with(|| vec![0; 4096]);
        }
    }

    /// Links list heads into a circle, in this order.
    pub(crate) fn link(&mut self, nodes: &[u64]) {
        for (node, next) in nodes.iter().zip(nodes.iter().cycle().skip(1)) {
            self.put64(*node, *next);
            self.put64(next + 8, *node);
        }
    }

    /// As an ELF core. Of each page only the blocks that are not zero are in the file.
    pub(crate) fn core(&self, notes: &[u8]) -> Vec<u8> {
        let mut pieces: Vec<Piece> = Vec::new();
        for (number, page) in &self.pages {
            for (block, bytes) in (0u64..).zip(page.chunks(BLOCK)) {
                let at = number * PAGE + block * BLOCK as u64;
                let zero = bytes.iter().all(|byte| *byte == 0);
                match pieces.last_mut() {
                    Some(last) if last.at + last.len == at && zero => last.len += BLOCK as u64,
                    Some(last)
                        if last.at + last.len == at && last.len == last.data.len() as u64 =>
                    {
                        last.data.extend(bytes);
                        last.len += BLOCK as u64;
                    }
                    _ => {
                        let data = if zero { Vec::new() } else { bytes.to_vec() };
                        pieces.push(Piece { at, len: BLOCK as u64, data });
                    }
                }
            }
        }
        let count = u16::try_from(pieces.len() + 1).unwrap();
        let mut core = b"\x7fELF\x02\x01\x01".to_vec();
        core.resize(16, 0);
        for half in [4u16, 62] {
            core.extend(half.to_le_bytes());
        }
        core.extend(1u32.to_le_bytes());
        for word in [0u64, 64, 0] {
            core.extend(word.to_le_bytes());
        }
        core.extend(0u32.to_le_bytes());
        for half in [64u16, 56, count, 0, 0, 0] {
            core.extend(half.to_le_bytes());
        }
        let mut offset = 64 + 56 * u64::from(count);
        let mut header = |kind: u32, at: u64, virt: u64, file: u64, len: u64| {
            core.extend(kind.to_le_bytes());
            core.extend(7u32.to_le_bytes());
            for word in [offset, virt, at, file, len, 0] {
                core.extend(word.to_le_bytes());
            }
            offset += file;
        };
        header(4, 0, 0, notes.len() as u64, 0);
        for piece in &pieces {
            // The image's own mapping tells where it was loaded.
            let code = physical(0xffff_ffff_8100_0000)..physical(0xffff_ffff_8200_0000);
            let base = if code.contains(&piece.at) { IMAGE } else { DIRECT };
            header(1, piece.at, piece.at + base, piece.data.len() as u64, piece.len);
        }
        core.extend(notes);
        for piece in &pieces {
            core.extend(&piece.data);
        }
        core
    }
}

/// Memory that begins with what is in the file and goes on with zeroes.
struct Piece {
    at: u64,
    len: u64,
    data: Vec<u8>,
}

/// An ELF note.
pub(crate) fn note(owner: &str, kind: u32, data: &[u8]) -> Vec<u8> {
    let mut note = Vec::new();
    for word in [u32::try_from(owner.len() + 1).unwrap(), u32::try_from(data.len()).unwrap(), kind]
    {
        note.extend(word.to_le_bytes());
    }
    note.extend(owner.as_bytes());
    note.push(0);
    note.resize(note.len().next_multiple_of(4), 0);
    note.extend(data);
    note.resize(note.len().next_multiple_of(4), 0);
    note
}
