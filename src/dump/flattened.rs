//! Flattened dumps: what `makedumpfile -F` writes to a pipe.
//!
//! A 4 KiB header (signature `makedumpfile`, type and version 1), then pieces: a 16-byte header
//! with the offset and the size in the real dump, and the data. All numbers are big endian. Pieces
//! come in any order, and a later one replaces an earlier one where they overlap; offset -1 ends
//! the file. The layout is makedumpfile.h's `makedumpfile_header` and `makedumpfile_data_header`.

use std::collections::BTreeMap;

/// The signature, padded to 16 bytes in the file.
pub(super) const SIGNATURE: &[u8] = b"makedumpfile\0\0\0\0";
/// Where the first piece starts.
const FIRST_PIECE: u64 = 4096;

/// Where in the file a run of the contents lies.
#[derive(Clone, Copy)]
struct Piece {
    /// In the contents.
    offset: u64,
    len: u64,
    /// In the file.
    at: u64,
}

impl Piece {
    fn end(&self) -> u64 {
        self.offset.saturating_add(self.len)
    }
}

/// The index of a flattened file: its pieces by their offset in the contents, without overlaps.
pub(super) struct Pieces {
    sorted: Vec<Piece>,
    /// Whether the end mark was found; without it the file is cut off.
    pub(super) ended: bool,
}

impl Pieces {
    /// Reads the headers of all pieces, if the file is flattened.
    pub(super) fn find(file: &[u8]) -> Option<Pieces> {
        if !file.starts_with(SIGNATURE) {
            return None;
        }
        let mut found = Found::default();
        let mut at = FIRST_PIECE;
        let mut ended = false;
        while let Some((offset, len)) = piece_header(file, at) {
            if offset == u64::MAX {
                ended = true;
                break;
            }
            let data = at.saturating_add(16);
            let there = len.min((file.len() as u64).saturating_sub(data));
            if there > 0 && offset.checked_add(len).is_some() {
                found.insert(Piece { offset, len: there, at: data });
            }
            at = data.saturating_add(len);
        }
        Some(Pieces { sorted: found.into_sorted(), ended })
    }

    /// One more than the highest offset.
    pub(super) fn len(&self) -> u64 {
        self.sorted.last().map_or(0, Piece::end)
    }

    /// Pieces from the one that holds `offset` or follows it.
    fn from(&self, offset: u64) -> &[Piece] {
        let first = self.sorted.partition_point(|piece| piece.end() <= offset);
        self.sorted.get(first..).unwrap_or_default()
    }

    /// Where in the file a range lies, if it lies in one piece.
    pub(super) fn contiguous(&self, offset: u64, len: u64) -> Option<u64> {
        let piece = self.from(offset).first()?;
        let skip = offset.checked_sub(piece.offset)?;
        (skip.checked_add(len)? <= piece.len).then(|| piece.at + skip)
    }

    /// Copies a range together; gaps are zero. Tells whether all of it is there: gaps are part of
    /// a file that was written to its end, as they are in a sparse file, and losses in one that
    /// was not.
    pub(super) fn gather(&self, file: &[u8], offset: u64, to: &mut [u8]) -> bool {
        let wanted = to.len() as u64;
        let end = offset.saturating_add(wanted);
        let mut copied = 0;
        for piece in self.from(offset).iter().take_while(|piece| piece.offset < end) {
            let start = piece.offset.max(offset);
            let len = piece.end().min(end) - start;
            let from = super::bytes::slice(file, piece.at + (start - piece.offset), len);
            let into = super::bytes::slice_mut(to, start - offset, len);
            if let (Some(from), Some(into)) = (from, into) {
                into.copy_from_slice(from);
                copied += len;
            }
        }
        copied == wanted || (self.ended && end <= self.len())
    }
}

/// Offset and size of the piece whose header lies at `at`.
fn piece_header(file: &[u8], at: u64) -> Option<(u64, u64)> {
    let header = super::bytes::slice(file, at, 16)?;
    let (offset, len) = header.split_at_checked(8)?;
    Some((u64::from_be_bytes(offset.try_into().ok()?), u64::from_be_bytes(len.try_into().ok()?)))
}

/// Pieces while they are found, by offset; the last one wins where they overlap.
#[derive(Default)]
struct Found(BTreeMap<u64, Piece>);

impl Found {
    fn insert(&mut self, new: Piece) {
        // What reaches into the new piece from below is cut; its rest above comes back.
        if let Some((_, below)) = self.0.range_mut(..new.offset).next_back() {
            let old = *below;
            if old.end() > new.offset {
                below.len = new.offset - old.offset;
                self.keep_above(old, new.end());
            }
        }
        while let Some((&offset, &old)) = self.0.range(new.offset..new.end()).next() {
            self.0.remove(&offset);
            self.keep_above(old, new.end());
        }
        self.0.insert(new.offset, new);
    }

    /// Keeps the part of `old` from `end` on.
    fn keep_above(&mut self, old: Piece, end: u64) {
        if old.end() > end {
            let skip = end - old.offset;
            self.0.insert(end, Piece { offset: end, len: old.len - skip, at: old.at + skip });
        }
    }

    fn into_sorted(self) -> Vec<Piece> {
        let mut sorted: Vec<Piece> = Vec::new();
        for piece in self.0.into_values() {
            match sorted.last_mut() {
                Some(last) if last.end() == piece.offset && last.at + last.len == piece.at => {
                    last.len += piece.len;
                }
                _ => sorted.push(piece),
            }
        }
        sorted
    }
}
