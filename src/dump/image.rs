//! The contents of a dump file, by the offsets that its format speaks of.
//!
//! For most files that is the file itself. A flattened file (`makedumpfile -F`) holds the same
//! contents as numbered pieces; [`Image`] hides the difference, so that the formats need not know.

use super::flattened::Pieces;
use super::mapping::Bytes;
use std::borrow::Cow;
use std::sync::atomic::{AtomicU64, Ordering};

/// After so many bytes read the memory that holds them is given back: all of a large dump's tasks
/// and stacks need not be there at once.
const RESIDENT: u64 = 32 << 20;

/// A dump file's contents, seen unflattened.
pub(super) struct Image {
    bytes: Bytes,
    pieces: Option<Pieces>,
    /// Bytes read since memory was last given back.
    read: AtomicU64,
}

impl Image {
    pub(super) fn new(bytes: Bytes) -> Image {
        let pieces = Pieces::find(&bytes);
        Image { bytes, pieces, read: AtomicU64::new(0) }
    }

    /// Whether the file is flattened.
    pub(super) fn is_flattened(&self) -> bool {
        self.pieces.is_some()
    }

    /// Whether a flattened file lacks its end mark.
    pub(super) fn is_cut_off(&self) -> bool {
        self.pieces.as_ref().is_some_and(|pieces| !pieces.ended)
    }

    /// Bytes in the file on disk.
    pub(super) fn file_len(&self) -> u64 {
        self.bytes.len() as u64
    }

    /// Bytes in the contents: one more than the highest offset.
    pub(super) fn len(&self) -> u64 {
        self.pieces.as_ref().map_or(self.file_len(), Pieces::len)
    }

    /// `len` bytes from `offset` on, if all of them are there. Borrowed from the file unless they
    /// lie in several pieces. Never allocates more than the file is long.
    pub(super) fn get(&self, offset: u64, len: u64) -> Option<Cow<'_, [u8]>> {
        if self.read.fetch_add(len, Ordering::Relaxed) > RESIDENT {
            self.read.store(0, Ordering::Relaxed);
            self.bytes.give_back();
        }
        self.look(offset, len)
    }

    /// As [`Image::get`], of something that is looked at again and again and of which little is read
    /// each time.
    pub(super) fn look(&self, offset: u64, len: u64) -> Option<Cow<'_, [u8]>> {
        let Some(pieces) = &self.pieces else {
            return plain(&self.bytes, offset, len).map(Cow::Borrowed);
        };
        if let Some(at) = pieces.contiguous(offset, len) {
            return plain(&self.bytes, at, len).map(Cow::Borrowed);
        }
        if len > self.file_len() {
            return None;
        }
        let mut gathered = vec![0; usize::try_from(len).ok()?];
        pieces.gather(&self.bytes, offset, &mut gathered).then_some(Cow::Owned(gathered))
    }

    /// As [`Image::get`], into an array.
    pub(super) fn array<const N: usize>(&self, offset: u64) -> Option<[u8; N]> {
        self.get(offset, N as u64)?.as_ref().try_into().ok()
    }

    /// Up to `len` bytes from `offset` on: fewer where the file ends early.
    pub(super) fn get_available(&self, offset: u64, len: u64) -> Cow<'_, [u8]> {
        let available = self.len().saturating_sub(offset).min(len).min(self.file_len());
        self.get(offset, available).unwrap_or_default()
    }

    /// A header of up to `N` bytes; what the file lacks of it is zero.
    pub(super) fn header<const N: usize>(&self, offset: u64) -> [u8; N] {
        let mut header = [0; N];
        match &self.pieces {
            Some(pieces) => _ = pieces.gather(&self.bytes, offset, &mut header),
            None => {
                for (to, from) in header.iter_mut().zip(&*self.get_available(offset, N as u64)) {
                    *to = *from;
                }
            }
        }
        header
    }
}

fn plain(bytes: &[u8], offset: u64, len: u64) -> Option<&[u8]> {
    let start = usize::try_from(offset).ok()?;
    let end = start.checked_add(usize::try_from(len).ok()?)?;
    bytes.get(start..end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_read_once_counts_as_read() {
        let image = Image::new(Bytes::Owned(vec![7; 100]));
        let before = image.read.load(Ordering::Relaxed);
        assert_eq!(image.look(10, 50).as_deref(), Some(&[7; 50][..]));
        assert_eq!(image.read.load(Ordering::Relaxed), before);
        assert_eq!(image.get(10, 50).as_deref(), Some(&[7; 50][..]));
        assert_eq!(image.read.load(Ordering::Relaxed), before + 50);
    }
}
