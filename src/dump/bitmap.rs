//! A bitmap with one bit a page, and how many bits are set before any of its pages.
//!
//! The descriptors of a kdump-compressed file stand in the order of the set bits, so finding a
//! page's descriptor means counting. The count up to every 512th bit is taken once, when the dump
//! is opened; from there at most 64 bytes remain to be counted.

use super::image::Image;
use rayon::prelude::*;
use std::borrow::Cow;
use std::ops::Range;
use std::sync::Arc;

/// Bytes of the bitmap between two counts.
const STEP: usize = 64;

/// A bitmap in a dump file: bit `pfn % 8` of byte `pfn / 8`.
pub(super) struct Bitmap {
    image: Arc<Image>,
    place: Place,
    /// Whether the file ends before the bitmap does.
    is_short: bool,
    /// Bits before every [`STEP`] bytes; empty unless counted.
    before: Vec<u64>,
}

enum Place {
    /// In one run of the file.
    File { offset: u64, len: u64 },
    /// Scattered over a flattened file, therefore copied.
    Copied(Vec<u8>),
}

impl Bitmap {
    /// The bitmap of `len` bytes at `offset`, or what the file has of it.
    pub(super) fn new(image: &Arc<Image>, offset: u64, len: u64) -> Bitmap {
        let bytes = image.get_available(offset, len);
        let is_short = (bytes.len() as u64) < len;
        let place = match bytes {
            Cow::Borrowed(bytes) => Place::File { offset, len: bytes.len() as u64 },
            Cow::Owned(bytes) => Place::Copied(bytes),
        };
        Bitmap { image: Arc::clone(image), place, is_short, before: Vec::new() }
    }

    /// The bitmap, ready for [`Bitmap::rank`].
    pub(super) fn counted(mut self) -> Bitmap {
        let bytes = self.bytes();
        // Below a MiB (32 GiB of RAM) threads cost more than they save.
        let mut before: Vec<u64> = match bytes.len() {
            ..0x10_0000 => bytes.chunks(STEP).map(count).collect(),
            _ => bytes.par_chunks(STEP).with_min_len(1024).map(count).collect(),
        };
        let mut sum = 0;
        for count in &mut before {
            sum += *count;
            *count = sum - *count;
        }
        before.push(sum);
        self.before = before;
        self
    }

    /// Whether the file ends before the bitmap does.
    pub(super) fn is_short(&self) -> bool {
        self.is_short
    }

    /// The bytes that the file has.
    pub(super) fn bytes(&self) -> Cow<'_, [u8]> {
        match &self.place {
            Place::File { offset, len } => self.image.look(*offset, *len).unwrap_or_default(),
            Place::Copied(bytes) => Cow::Borrowed(bytes),
        }
    }

    /// Whether the page's bit is set; `None` when the file ends before it.
    pub(super) fn get(&self, pfn: u64) -> Option<bool> {
        let byte = *self.bytes().get(usize::try_from(pfn / 8).ok()?)?;
        Some(byte >> (pfn % 8) & 1 == 1)
    }

    /// How many bits are set before the page's; `None` past the end of the file.
    pub(super) fn rank(&self, pfn: u64) -> Option<u64> {
        let byte = usize::try_from(pfn / 8).ok()?;
        let step = byte / STEP;
        let bytes = self.bytes();
        let counted = *self.before.get(step)?;
        let whole = count(bytes.get(step * STEP..byte)?);
        let rest = match pfn % 8 {
            0 => 0,
            bits => (bytes.get(byte)? & ((1 << bits) - 1)).count_ones(),
        };
        Some(counted + whole + u64::from(rest))
    }

    /// How many of the first `end` bits are set, and the ranges that they form, the first `max` of
    /// them.
    pub(super) fn ones(&self, end: u64, max: usize) -> (u64, Vec<Range<u64>>) {
        let mut count = 0;
        let mut ranges: Vec<Range<u64>> = Vec::new();
        let mut add = |range: Range<u64>| {
            count += range.end - range.start;
            let is_full = ranges.len() > max;
            match ranges.last_mut() {
                Some(last) if last.end == range.start => last.end = range.end,
                _ if is_full => {}
                _ => ranges.push(range),
            }
        };
        for (first, &byte) in (0..end).step_by(8).zip(&*self.bytes()) {
            let last = (first + 8).min(end);
            match byte {
                0 => {}
                0xff => add(first..last),
                _ => (first..last)
                    .filter(|pfn| byte >> (pfn % 8) & 1 == 1)
                    .for_each(|pfn| add(pfn..pfn + 1)),
            }
        }
        ranges.truncate(max);
        (count, ranges)
    }

    /// The bitmap from byte `from` on; zero where the file has ended.
    pub(super) fn copy(&self, from: u64, to: &mut [u8]) {
        to.fill(0);
        let bytes = self.bytes();
        let from = usize::try_from(from).ok().and_then(|from| bytes.get(from..));
        for (to, from) in to.iter_mut().zip(from.unwrap_or_default()) {
            *to = *from;
        }
    }

    /// How many bits are set in all that the file has.
    pub(super) fn total(&self) -> u64 {
        self.before.last().copied().unwrap_or(0)
    }
}

fn count(bytes: &[u8]) -> u64 {
    let mut words = bytes.chunks_exact(8);
    let whole: u32 = words
        .by_ref()
        .map(|word| word.try_into().map_or(0, |word| u64::from_ne_bytes(word).count_ones()))
        .sum();
    let rest: u32 = words.remainder().iter().map(|byte| byte.count_ones()).sum();
    u64::from(whole + rest)
}
