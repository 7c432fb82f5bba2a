//! kdump-compressed files, as makedumpfile and QEMU write them.
//!
//! In blocks of one page: the header (`struct disk_dump_header`), the sub-header (`struct
//! kdump_sub_header`) with the notes behind it, two bitmaps, one descriptor of 24 bytes for each
//! page in the file, the pages. The first bitmap says which pages are RAM, the second which of
//! them are in the file. The layouts are makedumpfile's diskdump_mod.h and IMPLEMENTATION; the
//! sub-header grew with each header version:
//!
//! | version | adds |
//! | --- | --- |
//! | 0 | physical base of the kernel |
//! | 1 | dump level |
//! | 2 | whether split, first and last page |
//! | 3 | where VMCOREINFO is |
//! | 4 | where the notes are |
//! | 5 | where the erase information is |
//! | 6 | 64-bit page numbers |

use super::bitmap::Bitmap;
use super::bytes::{u32_at, u64_at};
use super::error::WhyNot;
use super::fault::Why;
use super::image::Image;
use super::packed::Compression;
use super::utsname::Utsname;
use std::borrow::Cow;
use std::collections::BTreeSet;
use std::sync::Arc;

/// Signatures: kdump's, and that of diskdump, its forerunner, which differs in the sub-header.
pub(super) const SIGNATURE: &[u8] = b"KDUMP   ";
pub(super) const OLD_SIGNATURE: &[u8] = b"DISKDUMP";
/// Bytes in `struct disk_dump_header`.
pub(super) const HEADER_LEN: usize = 464;
/// Where `struct new_utsname` stands in it.
const UTSNAME: u64 = 12;
/// Bytes in `struct kdump_sub_header`.
pub(super) const SUB_HEADER_LEN: usize = 104;
/// Bytes in `struct page_desc`.
pub(super) const DESCRIPTOR_LEN: u64 = 24;
/// In the header's status: the dump could not be finished (`DUMP_DH_COMPRESSED_INCOMPLETE`).
const INCOMPLETE: u32 = 0x8;
/// Notes are a few hundred bytes a CPU.
const MAX_NOTES: u64 = 64 << 20;

/// What the header and the sub-header say.
#[derive(Clone, Debug)]
pub(super) struct Header {
    pub(super) version: u32,
    pub(super) utsname: Utsname,
    /// Seconds since 1970; makedumpfile leaves it 0.
    pub(super) timestamp: u64,
    pub(super) status: u32,
    pub(super) block_size: u64,
    pub(super) nr_cpus: u32,
    pub(super) max_mapnr: u64,
    /// `None` in an old diskdump file.
    pub(super) phys_base: Option<i64>,
    pub(super) dump_level: Option<u32>,
    /// First and last page (exclusive) of a part of a split dump.
    pub(super) part: Option<(u64, u64)>,
}

impl Header {
    /// Whether the writer ran out of space.
    pub(super) fn is_incomplete(&self) -> bool {
        self.status & INCOMPLETE != 0
    }

    /// Whether two parts of split dumps are parts of the same one.
    pub(super) fn is_of_one_dump_with(&self, other: &Header) -> bool {
        self.version == other.version
            && self.block_size == other.block_size
            && self.max_mapnr == other.max_mapnr
            && self.utsname == other.utsname
    }
}

/// One kdump-compressed file.
pub(super) struct Kdump {
    image: Arc<Image>,
    pub(super) header: Header,
    /// The notes, as they stand in the file.
    pub(super) notes: Vec<u8>,
    /// VMCOREINFO, where the sub-header names it.
    pub(super) vmcoreinfo: Option<Vec<u8>>,
    /// Which pages are RAM; `None` when there is only one bitmap.
    ram: Option<Bitmap>,
    dumped: Bitmap,
    /// Where the descriptors start.
    descriptors: u64,
    /// Descriptors that a split dump's earlier parts hold.
    earlier: u64,
}

/// A page as it lies in the file.
pub(super) struct Stored<'a> {
    pub(super) compression: Compression,
    pub(super) data: Cow<'a, [u8]>,
}

impl Kdump {
    /// Reads the headers.
    pub(super) fn open(image: Arc<Image>) -> Result<Kdump, WhyNot> {
        let raw = image.header::<HEADER_LEN>(0);
        let kdump = raw.starts_with(SIGNATURE);
        let version = u32_at(&raw, 8);
        let block_size = u64::from(u32_at(&raw, 428));
        if version.swap_bytes() <= 6 && version > 6 {
            return Err(WhyNot::Unsupported("a dump of a big-endian machine".into()));
        }
        if version > 6 {
            return Err(WhyNot::Unsupported(format!("kdump-compressed version {version}")));
        }
        if !block_size.is_power_of_two() || !(4096..=65536).contains(&block_size) {
            return Err(WhyNot::Damaged("the header gives an impossible page size"));
        }
        let utsname = Utsname::parse(&image.header::<390>(UTSNAME));
        if !matches!(utsname.machine.as_str(), "" | "x86_64") {
            return Err(WhyNot::Unsupported(format!("a dump of {}", utsname.machine)));
        }
        let sub_header_blocks = u64::from(u32_at(&raw, 432));
        let bitmap_blocks = u64::from(u32_at(&raw, 436));
        let mut header = Header {
            version,
            utsname,
            timestamp: u64_at(&raw, 408),
            status: u32_at(&raw, 424),
            block_size,
            nr_cpus: u32_at(&raw, 460),
            max_mapnr: u64::from(u32_at(&raw, 440)),
            phys_base: None,
            dump_level: None,
            part: None,
        };
        let mut notes = Vec::new();
        let mut vmcoreinfo = None;
        if kdump {
            let sub = image.header::<SUB_HEADER_LEN>(block_size);
            header.read_sub_header(&sub);
            if version >= 3 {
                vmcoreinfo = area(&image, &sub, 32);
            }
            if version >= 4 {
                notes = area(&image, &sub, 48).unwrap_or_default();
            }
        }

        let bitmaps = block_size * (1 + sub_header_blocks);
        let bitmaps_len = block_size * bitmap_blocks;
        let half = bitmaps_len / 2;
        header.max_mapnr = header.max_mapnr.min(bitmaps_len * 8);
        // Two bitmaps where half the space holds a bit for each page, one otherwise.
        let (ram, dumped) = if header.max_mapnr <= half * 8 {
            let dumped = Bitmap::new(&image, bitmaps + half, half);
            (Some(Bitmap::new(&image, bitmaps, half)), dumped)
        } else {
            (None, Bitmap::new(&image, bitmaps, bitmaps_len))
        };
        let dumped = dumped.counted();
        let first = header.part.map_or(0, |(first, _)| first);
        let earlier = dumped.rank(first).unwrap_or(0);
        let descriptors = bitmaps + bitmaps_len;
        Ok(Kdump { image, header, notes, vmcoreinfo, ram, dumped, descriptors, earlier })
    }

    /// Finds a page, by its number.
    pub(super) fn find(&self, pfn: u64) -> Result<Stored<'_>, Why> {
        if pfn >= self.header.max_mapnr {
            return Err(Why::Beyond);
        }
        match (self.dumped.get(pfn), self.is_ram(pfn)) {
            (Some(true), _) => {}
            (None, _) | (Some(false), None) => return Err(Why::Lost),
            (Some(false), Some(true)) => return Err(Why::Excluded),
            (Some(false), Some(false)) => return Err(Why::NotRam),
        }
        if self.header.part.is_some_and(|(first, end)| !(first..end).contains(&pfn)) {
            return Err(Why::Lost);
        }
        let rank = self.dumped.rank(pfn).ok_or(Why::Lost)?;
        self.stored(rank.checked_sub(self.earlier).ok_or(Why::Lost)?)
    }

    /// The page of the descriptor with this number.
    fn stored(&self, number: u64) -> Result<Stored<'_>, Why> {
        let at = number
            .checked_mul(DESCRIPTOR_LEN)
            .and_then(|skip| self.descriptors.checked_add(skip))
            .ok_or(Why::Lost)?;
        let descriptor = self.image.array::<24>(at).ok_or(Why::Lost)?;
        let offset = u64_at(&descriptor, 0);
        let size = u64::from(u32_at(&descriptor, 8));
        let compression = Compression::from_flags(u32_at(&descriptor, 12));
        if offset == 0 {
            return Err(Why::Lost);
        }
        let compression = compression.ok_or(Why::Corrupt("its compression is unknown"))?;
        let expected = match compression {
            Compression::Raw => size == self.header.block_size,
            _ => size != 0 && size <= 2 * self.header.block_size,
        };
        if !expected {
            return Err(Why::Corrupt("its descriptor gives an impossible size"));
        }
        let data = self.image.get(offset, size).ok_or(Why::Lost)?;
        Ok(Stored { compression, data })
    }

    /// Whether the page is RAM; `None` when the file ends before its bit.
    fn is_ram(&self, pfn: u64) -> Option<bool> {
        self.ram().get(pfn)
    }

    /// Which pages are RAM.
    pub(super) fn ram(&self) -> &Bitmap {
        self.ram.as_ref().unwrap_or(&self.dumped)
    }

    /// The compressions in use: what the header announces, and what a sample of the pages, spread
    /// evenly over the file, really uses.
    pub(super) fn compressions(&self) -> BTreeSet<Compression> {
        const SAMPLE: u64 = 256;
        let pages = self.page_count();
        let step = (pages / SAMPLE).max(1);
        let sampled = (0..SAMPLE).map(|n| n * step).take_while(|&number| number < pages);
        let mut found: BTreeSet<Compression> = sampled
            .filter_map(|number| self.stored(number).ok())
            .map(|stored| stored.compression)
            .collect();
        found.extend(Compression::from_flags(self.header.status & !(INCOMPLETE | 0x10)));
        if found.len() > 1 && self.header.status & 0x27 != 0 {
            // Raw pages beside compressed ones are those that would not shrink.
            found.remove(&Compression::Raw);
        }
        found
    }

    /// Whether the file ends before its last page does.
    pub(super) fn is_cut_off(&self) -> bool {
        let last = self.page_count().checked_sub(1);
        self.image.is_cut_off()
            || self.header.is_incomplete()
            || last.is_some_and(|last| matches!(self.stored(last), Err(Why::Lost)))
            || self.dumped.is_short()
    }

    /// `struct new_utsname`, as the header has it.
    pub(super) fn raw_utsname(&self) -> [u8; 390] {
        self.image.header(UTSNAME)
    }

    /// Whether the file is flattened.
    pub(super) fn is_flattened(&self) -> bool {
        self.image.is_flattened()
    }

    /// Bytes in the file.
    pub(super) fn file_len(&self) -> u64 {
        self.image.file_len()
    }

    /// Pages that this file holds, or should.
    pub(super) fn page_count(&self) -> u64 {
        let end = self.header.part.and_then(|(_, end)| self.dumped.rank(end));
        end.unwrap_or_else(|| self.dumped.total()).saturating_sub(self.earlier)
    }
}

impl Header {
    fn read_sub_header(&mut self, sub: &[u8]) {
        self.phys_base = Some(u64_at(sub, 0).cast_signed());
        if self.version >= 1 {
            self.dump_level = Some(u32_at(sub, 8));
        }
        let is_split = self.version >= 2 && u32_at(sub, 12) != 0;
        if is_split {
            let numbers = if self.version >= 6 { 80 } else { 16 };
            self.part = Some((u64_at(sub, numbers), u64_at(sub, numbers + 8)));
        }
        // The 32 bits in the header are too few for 16 TiB.
        if self.version >= 6 && u64_at(sub, 96) != 0 {
            self.max_mapnr = u64_at(sub, 96);
        }
    }
}

/// What an offset and a size in the sub-header point to.
fn area(image: &Image, sub: &[u8], at: usize) -> Option<Vec<u8>> {
    let (offset, len) = (u64_at(sub, at), u64_at(sub, at + 8));
    (offset != 0 && len != 0).then(|| image.get_available(offset, len.min(MAX_NOTES)).into_owned())
}
