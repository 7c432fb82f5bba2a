//! What a dump file is: its format, how much of the machine it holds, what its headers say.

use super::addr::{PAGE_SIZE, PhysAddr};
use super::elf::ElfDump;
use super::kdump::Kdump;
use super::open::Source;
use super::packed::Compression;
use super::pages::Pages;
use super::utsname::Utsname;
use std::ops::Range;

/// Ranges of RAM listed at most. Real machines have a dozen.
const MAX_RANGES: usize = 1024;

/// What a dump file is and what it holds.
#[derive(Clone, Debug)]
pub struct DumpInfo {
    /// Such as `kdump-compressed v6, flattened` or `ELF`.
    pub format: String,
    /// How its pages are compressed; several when the file mixes them.
    pub compressions: Vec<Compression>,
    /// Bytes on disk, all files together.
    pub file_size: u64,
    /// How many files it consists of.
    pub files: usize,
    /// Whether all is there that the headers announce; if not, pages are lost.
    pub complete: bool,
    /// makedumpfile's `-d`: 1 zero pages, 2 cache, 4 private cache, 8 user data, 16 free pages.
    pub dump_level: Option<u32>,
    /// Bytes in a page.
    pub page_size: u64,
    /// One more than the highest page number of the machine.
    pub max_mapnr: u64,
    /// Pages in the dump, or that should be.
    pub pages: u64,
    /// Bytes that read as zeroes because the file, an ELF, does not tell pages of zeroes from
    /// excluded ones.
    pub zero_filled: u64,
    /// The machine's RAM in bytes, as far as the dump knows.
    pub ram_size: u64,
    /// Where its RAM is; the first 1,024 ranges.
    pub ram: Vec<Range<PhysAddr>>,
    /// `uname` as the dump's header has it; ELF has none.
    pub utsname: Option<Utsname>,
    /// The header's time, in seconds since 1970.
    pub timestamp: Option<u64>,
    /// CPUs, as the header counts them.
    pub nr_cpus: Option<u32>,
    /// How far the kernel image lies from the physical address that it was linked for, in bytes,
    /// as the header has it.
    pub phys_base: Option<i64>,
}

impl DumpInfo {
    pub(super) fn of(source: &Source) -> DumpInfo {
        match source {
            Source::Kdump(pages) => DumpInfo::of_kdump(pages),
            Source::Elf(elf) => DumpInfo::of_elf(elf),
        }
    }

    fn of_kdump(pages: &Pages) -> DumpInfo {
        let header = &pages.first().header;
        let mut format = format!("kdump-compressed v{}", header.version);
        if header.part.is_some() {
            format += ", split";
        }
        if pages.parts().any(Kdump::is_flattened) {
            format += ", flattened";
        }
        let mut compressions: Vec<_> = pages.parts().flat_map(Kdump::compressions).collect();
        compressions.sort_unstable();
        compressions.dedup();
        let (ram_pages, ranges) = pages.first().ram().ones(header.max_mapnr, MAX_RANGES);
        let at = |pfn: u64| PhysAddr(pfn.saturating_mul(header.block_size));
        DumpInfo {
            format,
            compressions,
            file_size: pages.parts().map(Kdump::file_len).sum(),
            files: pages.parts().count(),
            complete: !pages.parts().any(Kdump::is_cut_off) && covers_all(pages),
            dump_level: header.dump_level,
            page_size: header.block_size,
            max_mapnr: header.max_mapnr,
            pages: pages.parts().map(Kdump::page_count).sum(),
            zero_filled: 0,
            ram_size: ram_pages.saturating_mul(header.block_size),
            ram: ranges.iter().map(|range| at(range.start)..at(range.end)).collect(),
            utsname: Some(header.utsname.clone()),
            timestamp: Some(header.timestamp).filter(|&time| time != 0),
            nr_cpus: Some(header.nr_cpus).filter(|&cpus| cpus != 0),
            phys_base: header.phys_base,
        }
    }

    fn of_elf(elf: &ElfDump) -> DumpInfo {
        let size = |range: &Range<u64>| range.end - range.start;
        let ranges = elf.ram().iter().take(MAX_RANGES);
        let ram_size = elf.ram().iter().map(size).fold(0, u64::saturating_add);
        DumpInfo {
            format: if elf.is_flattened() { "ELF, flattened" } else { "ELF" }.into(),
            compressions: vec![Compression::Raw],
            file_size: elf.file_len(),
            files: 1,
            complete: !elf.is_cut_off(),
            dump_level: None,
            page_size: PAGE_SIZE,
            max_mapnr: elf.max_mapnr(),
            pages: elf.stored_len() / PAGE_SIZE,
            zero_filled: ram_size.saturating_sub(elf.stored_len()),
            ram_size,
            ram: ranges.map(|range| PhysAddr(range.start)..PhysAddr(range.end)).collect(),
            utsname: None,
            timestamp: None,
            nr_cpus: None,
            phys_base: elf.phys_base,
        }
    }
}

/// Whether the parts of a split dump follow each other from the first page to the last.
fn covers_all(pages: &Pages) -> bool {
    let mut next = 0;
    for part in pages.parts() {
        let Some((first, end)) = part.header.part else { return true };
        if first > next {
            return false;
        }
        next = next.max(end);
    }
    next >= pages.first().header.max_mapnr
}
