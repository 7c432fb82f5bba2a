//! What a dump file is: its format, how much of the machine it holds, what its headers say.

use super::kdump::Kdump;
use super::packed::Compression;
use super::utsname::Utsname;

/// What a dump file is and what it holds.
#[derive(Clone, Debug)]
pub struct DumpInfo {
    /// Such as `kdump-compressed v6, flattened`.
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
    /// `uname` as the dump's header has it.
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
    pub(super) fn of_kdump(parts: &[Kdump]) -> DumpInfo {
        let header = parts.first().map(|part| &part.header);
        let version = header.map_or(0, |header| header.version);
        let mut format = format!("kdump-compressed v{version}");
        if parts.iter().any(|part| part.header.part.is_some()) {
            format += ", split";
        }
        if parts.iter().any(Kdump::is_flattened) {
            format += ", flattened";
        }
        let mut compressions: Vec<_> = parts.iter().flat_map(Kdump::compressions).collect();
        compressions.sort_unstable();
        compressions.dedup();
        DumpInfo {
            format,
            compressions,
            file_size: parts.iter().map(Kdump::file_len).sum(),
            files: parts.len(),
            complete: !parts.iter().any(Kdump::is_cut_off) && Self::covers_all(parts),
            dump_level: header.and_then(|header| header.dump_level),
            page_size: header.map_or(0, |header| header.block_size),
            max_mapnr: header.map_or(0, |header| header.max_mapnr),
            pages: parts.iter().map(Kdump::page_count).sum(),
            utsname: header.map(|header| header.utsname.clone()),
            timestamp: header.map(|header| header.timestamp).filter(|&time| time != 0),
            nr_cpus: header.map(|header| header.nr_cpus).filter(|&cpus| cpus != 0),
            phys_base: header.map(|header| header.phys_base.cast_signed()),
        }
    }

    /// Whether the parts of a split dump follow each other from the first page to the last.
    fn covers_all(parts: &[Kdump]) -> bool {
        let mut next = 0;
        for part in parts {
            let Some((first, end)) = part.header.part else { return true };
            if first > next {
                return false;
            }
            next = next.max(end);
        }
        parts.first().is_none_or(|part| next >= part.header.max_mapnr)
    }
}
