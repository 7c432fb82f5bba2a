//! Writing a small dump: some pages of another, as a kdump-compressed file.
//!
//! Header version 6 with zstd pages, laid out as makedumpfile lays it out, so that crash and drgn
//! open the result too. What the original says about the machine is kept: the notes, VMCOREINFO,
//! `utsname`, which pages are RAM. Pages that are left out look excluded.

use super::addr::{PAGE_SIZE, PhysAddr};
use super::bytes::{slice, slice_mut};
use super::kdump::{DESCRIPTOR_LEN, HEADER_LEN, SIGNATURE, SUB_HEADER_LEN};
use super::notes;
use super::open::{Dump, Source};
use super::record::PageSet;
use super::utsname;
use rayon::prelude::*;
use std::io::{self, BufWriter, Seek, SeekFrom, Write};

/// zstd's strongest level that needs no more memory to decompress.
const LEVEL: i32 = 19;
/// Pages compressed at a time, to bound the memory that waits to be written.
const BATCH: usize = 2048;
/// `DUMP_DH_COMPRESSED_ZSTD`, in the header's status and in descriptors.
const ZSTD: u32 = 0x20;
/// All that makedumpfile can leave out.
const DUMP_LEVEL: u32 = 31;
/// 256 TiB, four times what Linux runs on with 46 bits of physical address; bounds the bitmaps.
const MAX_MAPNR: u64 = 1 << 36;
/// Bytes of a bitmap that one block holds; each byte is eight pages.
const BITMAP_BLOCK: u64 = PAGE_SIZE;

/// What was written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Trimmed {
    /// Pages in the new dump.
    pub pages: u64,
    /// Bytes in the new dump.
    pub bytes: u64,
}

/// Writes those `pages` of `dump` that it has.
///
/// # Errors
/// When `out` cannot be written, or the machine's memory is larger than any that exists.
pub fn write(dump: &Dump, pages: &PageSet, out: impl Write + Seek) -> io::Result<Trimmed> {
    let mut out = BufWriter::with_capacity(1 << 20, out);
    let memory = dump.memory();
    let kept: Vec<u64> = pages
        .iter()
        .filter(|pfn| memory.read(PhysAddr(pfn * PAGE_SIZE), &mut [0]).is_ok())
        .collect();
    let facts = Facts::of(dump)?;

    let notes = notes_with_vmcoreinfo(dump);
    let sub_blocks = (SUB_HEADER_LEN as u64 + notes.len() as u64).div_ceil(PAGE_SIZE);
    let bitmap_blocks = facts.max_mapnr.div_ceil(8 * BITMAP_BLOCK);
    out.write_all(&facts.header(sub_blocks, bitmap_blocks))?;
    out.write_all(&facts.sub_header(&notes))?;
    out.write_all(&notes)?;

    let bitmaps = PAGE_SIZE * (1 + sub_blocks);
    write_bitmap(&mut out, bitmaps, bitmap_blocks, |first, block| facts.ram(first, block))?;
    let kept_set: PageSet = kept.iter().copied().collect();
    let second = bitmaps + bitmap_blocks * BITMAP_BLOCK;
    write_bitmap(&mut out, second, bitmap_blocks, |first, block| {
        for (n, bytes) in (0u64..).zip(block.chunks_exact_mut(512)) {
            bytes.copy_from_slice(&kept_set.bitmap(first * 8 + n * 4096));
        }
    })?;

    let descriptors_at = second + bitmap_blocks * BITMAP_BLOCK;
    let data_at = descriptors_at + kept.len() as u64 * DESCRIPTOR_LEN;
    out.seek(SeekFrom::Start(data_at))?;
    let (descriptors, end) = write_pages(&mut out, dump, &kept, data_at)?;
    out.seek(SeekFrom::Start(descriptors_at))?;
    out.write_all(&descriptors)?;
    out.flush()?;
    Ok(Trimmed { pages: kept.len() as u64, bytes: end })
}

/// What the original says about the machine.
struct Facts<'a> {
    dump: &'a Dump,
    utsname: Vec<u8>,
    timestamp: u64,
    nr_cpus: u32,
    max_mapnr: u64,
    phys_base: i64,
}

impl Facts<'_> {
    fn of(dump: &Dump) -> io::Result<Facts<'_>> {
        let info = dump.info();
        if info.page_size != PAGE_SIZE || info.max_mapnr > MAX_MAPNR {
            let why = "the dump's pages are too large or too many to be written";
            return Err(io::Error::new(io::ErrorKind::Unsupported, why));
        }
        let notes = u32::try_from(dump.cpus().len()).unwrap_or(u32::MAX);
        let crash_time = dump.vmcoreinfo().crash_time();
        let phys_base = dump.vmcoreinfo().number("phys_base").or(info.phys_base).unwrap_or(0);
        Ok(Facts {
            dump,
            utsname: utsname::find(dump, phys_base),
            timestamp: info.timestamp.or(crash_time).unwrap_or(0),
            nr_cpus: info.nr_cpus.unwrap_or(notes).max(1),
            max_mapnr: info.max_mapnr,
            phys_base,
        })
    }

    fn header(&self, sub_blocks: u64, bitmap_blocks: u64) -> Vec<u8> {
        let mut header = vec![0; 4096];
        put(&mut header, 0, SIGNATURE);
        put32(&mut header, 8, 6);
        put(&mut header, 12, &self.utsname);
        put64(&mut header, 408, self.timestamp);
        put32(&mut header, 424, u64::from(ZSTD));
        put32(&mut header, 428, PAGE_SIZE);
        put32(&mut header, 432, sub_blocks);
        put32(&mut header, 436, 2 * bitmap_blocks);
        put32(&mut header, 440, self.max_mapnr);
        put32(&mut header, HEADER_LEN as u64 - 4, u64::from(self.nr_cpus));
        header
    }

    fn sub_header(&self, notes: &[u8]) -> Vec<u8> {
        let notes_at = PAGE_SIZE + SUB_HEADER_LEN as u64;
        let mut sub = vec![0; SUB_HEADER_LEN];
        put64(&mut sub, 0, self.phys_base.cast_unsigned());
        put32(&mut sub, 8, u64::from(DUMP_LEVEL));
        if let Some(note) = notes::vmcoreinfo(notes) {
            put64(&mut sub, 32, notes_at + note.at);
            put64(&mut sub, 40, note.data.len() as u64);
        }
        if !notes.is_empty() {
            put64(&mut sub, 48, notes_at);
            put64(&mut sub, 56, notes.len() as u64);
        }
        put64(&mut sub, 96, self.max_mapnr);
        sub
    }

    /// Fills `block` with the bitmap of the machine's RAM, from its byte `first` on.
    fn ram(&self, first: u64, block: &mut [u8]) {
        match self.dump.source() {
            Source::Kdump(pages) => pages.first().ram().copy(first, block),
            Source::Elf(elf) => {
                let pages = first * 8..(first + block.len() as u64) * 8;
                for range in elf.ram() {
                    let start = (range.start / PAGE_SIZE).max(pages.start);
                    let end = range.end.div_ceil(PAGE_SIZE).min(pages.end);
                    for page in start..end {
                        let bit = page - pages.start;
                        if let Some([byte]) = slice_mut(block, bit / 8, 1) {
                            *byte |= 1 << (bit % 8);
                        }
                    }
                }
            }
        }
    }
}

/// The notes, and VMCOREINFO among them.
fn notes_with_vmcoreinfo(dump: &Dump) -> Vec<u8> {
    let mut notes = dump.notes().to_vec();
    let text = dump.vmcoreinfo().raw();
    if notes::vmcoreinfo(&notes).is_none() && !text.is_empty() {
        notes.extend(notes::build(b"VMCOREINFO", 0, text));
    }
    notes
}

/// Writes a bitmap at `at`, block by block; blocks of zeroes, but for the last, stay holes in the
/// file.
fn write_bitmap(
    out: &mut (impl Write + Seek),
    at: u64,
    blocks: u64,
    fill: impl Fn(u64, &mut [u8]),
) -> io::Result<()> {
    let mut block = vec![0; 4096];
    for number in 0..blocks {
        block.fill(0);
        fill(number * BITMAP_BLOCK, &mut block);
        if block.iter().any(|&byte| byte != 0) || number + 1 == blocks {
            out.seek(SeekFrom::Start(at + number * BITMAP_BLOCK))?;
            out.write_all(&block)?;
        }
    }
    Ok(())
}

/// Writes the pages from `at` on; gives their descriptors and where they end.
fn write_pages(
    out: &mut impl Write,
    dump: &Dump,
    pages: &[u64],
    at: u64,
) -> io::Result<(Vec<u8>, u64)> {
    let mut descriptors = Vec::new();
    let mut end = at;
    // Pages of zeroes are many, and one is enough.
    let mut zeroes = None;
    for batch in pages.chunks(BATCH) {
        let packed: Vec<Packed> = batch
            .par_iter()
            .map_init(|| zstd::bulk::Compressor::new(LEVEL), |zstd, &pfn| pack(dump, pfn, zstd))
            .collect();
        for page in packed {
            let offset = match zeroes {
                Some(offset) if page.is_zero => offset,
                _ => {
                    out.write_all(&page.data)?;
                    let offset = end;
                    end += page.data.len() as u64;
                    if page.is_zero {
                        zeroes = Some(offset);
                    }
                    offset
                }
            };
            let mut descriptor = [0; 24];
            put64(&mut descriptor, 0, offset);
            put32(&mut descriptor, 8, page.data.len() as u64);
            put32(&mut descriptor, 12, u64::from(page.flags));
            descriptors.extend(descriptor);
        }
    }
    Ok((descriptors, end))
}

/// A page ready to be written.
struct Packed {
    data: Vec<u8>,
    flags: u32,
    is_zero: bool,
}

fn pack(dump: &Dump, pfn: u64, zstd: &mut io::Result<zstd::bulk::Compressor<'static>>) -> Packed {
    let page = read_page(dump, pfn);
    let is_zero = page.iter().all(|&byte| byte == 0);
    let packed = zstd.as_mut().ok().and_then(|zstd| zstd.compress(&page).ok());
    match packed.filter(|packed| packed.len() < page.len()) {
        Some(data) => Packed { data, flags: ZSTD, is_zero },
        None => Packed { data: page, flags: 0, is_zero },
    }
}

/// A page; zero where an ELF dump holds only a part of it.
fn read_page(dump: &Dump, pfn: u64) -> Vec<u8> {
    let memory = dump.memory();
    let at = PhysAddr(pfn * PAGE_SIZE);
    let mut page = vec![0; 4096];
    if memory.read(at, &mut page).is_err() {
        page.fill(0);
        for (at, word) in (at.0..).step_by(8).zip(page.chunks_mut(8)) {
            if memory.read(PhysAddr(at), word).is_err() {
                word.fill(0);
            }
        }
    }
    page
}

fn put(bytes: &mut [u8], at: u64, value: &[u8]) {
    if let Some(to) = slice_mut(bytes, at, value.len() as u64) {
        to.copy_from_slice(value);
    }
}

/// Writes the lower 32 bits.
fn put32(bytes: &mut [u8], at: u64, value: u64) {
    put(bytes, at, slice(&value.to_le_bytes(), 0, 4).unwrap_or_default());
}

fn put64(bytes: &mut [u8], at: u64, value: u64) {
    put(bytes, at, &value.to_le_bytes());
}
