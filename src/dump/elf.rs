//! ELF dumps: `/proc/vmcore` copied, makedumpfile `-E`, and QEMU's dump-guest-memory.
//!
//! Each PT_LOAD is a range of physical memory (`p_paddr`), of which the first `p_filesz` bytes are
//! in the file. The ranges come in any order and may overlap: the kernel's text has one of its own
//! in `/proc/vmcore`, beside the RAM that it lies in. With 65,535 program headers or more their
//! number stands in section 0.
//!
//! What makedumpfile leaves out is a `p_memsz` beyond `p_filesz`, be it pages of zeroes or pages
//! that are excluded: this format cannot tell them apart. They read as zeroes, as in crash and
//! drgn, since of the kernel's own pages only those of zeroes are left out; how much memory that
//! is stands in [`super::DumpInfo::zero_filled`].

use super::PhysicalMemory;
use super::addr::{PAGE_SIZE, PhysAddr};
use super::bytes::slice_mut;
use super::error::WhyNot;
use super::fault::{Fault, Why};
use super::image::Image;
use super::notes::{AUXV, notes};
use goblin::container::{Container, Ctx, Endian};
use goblin::elf::Elf;
use goblin::elf::header::{EI_CLASS, EI_DATA, ELFCLASS64, ELFDATA2LSB, EM_X86_64, Header};
use goblin::elf::header::{ET_CORE, ET_DYN, ET_EXEC, ET_REL, machine_to_str};
use goblin::elf::program_header::{PT_LOAD, PT_NOTE, ProgramHeader};
use std::ops::Range;

/// Bytes in an ELF64 header and a program header.
const HEADER_LEN: usize = 64;
const PROGRAM_HEADER_LEN: u64 = 56;
/// Where `sh_info` stands in a section header.
const SH_INFO: u64 = 44;
/// In `e_phnum`: too many for the field (include/uapi/linux/elf.h).
const PN_XNUM: u16 = 0xffff;
/// In `e_flags`: makedumpfile ran out of space (`DUMP_ELF_INCOMPLETE`).
const INCOMPLETE: u32 = 1;
/// Where the kernel's text is mapped, before KASLR (`__START_KERNEL_map`).
const START_KERNEL_MAP: u64 = 0xffff_ffff_8000_0000;
/// Notes are a few hundred bytes a CPU.
const MAX_NOTES: usize = 64 << 20;

const X86_64: Ctx = Ctx { container: Container::Big, le: Endian::Little };

/// An ELF dump.
pub(super) struct ElfDump {
    image: Image,
    /// The memory in the file, sorted, without overlaps.
    stored: Vec<Stored>,
    /// The machine's RAM, sorted and merged.
    ram: Vec<Range<u64>>,
    /// All notes, one after the other.
    pub(super) notes: Vec<u8>,
    /// As [`super::DumpInfo::phys_base`], from where the kernel's text is mapped.
    pub(super) phys_base: Option<i64>,
    is_cut_off: bool,
}

/// Memory in the file.
struct Stored {
    /// Its first byte's address, and one more than its last's.
    start: u64,
    end: u64,
    /// Where it starts in the file.
    offset: u64,
}

impl ElfDump {
    /// Reads the headers.
    pub(super) fn open(image: Image) -> Result<ElfDump, WhyNot> {
        let header = Elf::parse_header(&image.header::<HEADER_LEN>(0))
            .map_err(|_| WhyNot::Damaged("its ELF header cannot be read"))?;
        check(&header)?;
        let (headers, is_table_cut) = program_headers(&image, &header)?;
        let mut notes = Vec::new();
        for note in headers.iter().filter(|header| header.p_type == PT_NOTE) {
            let bytes = image.get_available(note.p_offset, note.p_filesz.min(MAX_NOTES as u64));
            if notes.len() + bytes.len() <= MAX_NOTES {
                notes.extend_from_slice(&bytes);
            }
        }
        if is_process(&notes) {
            return Err(WhyNot::Mistaken("a core dump of a process, not of a kernel"));
        }
        let loads: Vec<&ProgramHeader> =
            headers.iter().filter(|header| header.p_type == PT_LOAD).collect();
        let is_short = |load: &&ProgramHeader| {
            load.p_filesz != 0 && load.p_offset.saturating_add(load.p_filesz) > image.len()
        };
        let is_cut_off = is_table_cut
            || image.is_cut_off()
            || header.e_flags & INCOMPLETE != 0
            || loads.iter().any(is_short);
        Ok(ElfDump {
            stored: stored(&loads),
            ram: ram(&loads),
            phys_base: phys_base(&loads),
            notes,
            is_cut_off,
            image,
        })
    }

    /// One more than the number of the last page of RAM.
    pub(super) fn max_mapnr(&self) -> u64 {
        self.ram.last().map_or(0, |range| range.end.div_ceil(PAGE_SIZE))
    }

    /// The machine's RAM, sorted and merged, in bytes.
    pub(super) fn ram(&self) -> &[Range<u64>] {
        &self.ram
    }

    /// Bytes of memory in the file.
    pub(super) fn stored_len(&self) -> u64 {
        self.stored.iter().fold(0, |sum, stored| sum.saturating_add(stored.end - stored.start))
    }

    /// Whether memory is missing that the headers announce.
    pub(super) fn is_cut_off(&self) -> bool {
        self.is_cut_off
    }

    /// Whether the file is flattened.
    pub(super) fn is_flattened(&self) -> bool {
        self.image.is_flattened()
    }

    /// Bytes in the file.
    pub(super) fn file_len(&self) -> u64 {
        self.image.file_len()
    }

    /// Bytes from `at`, which no stored range holds, to the next that one does or to the end of
    /// the RAM.
    fn left_out(&self, at: u64, next: Option<&Stored>) -> Result<u64, Why> {
        match self.ram.get(self.ram.partition_point(|range| range.end <= at)) {
            Some(range) if range.start <= at => {
                Ok(next.map_or(range.end, |next| range.end.min(next.start)) - at)
            }
            Some(_) => Err(Why::NotRam),
            None => Err(Why::Beyond),
        }
    }

    /// Copies as much of `to` as one range holds, and says how much that was.
    fn copy(&self, at: u64, to: &mut [u8]) -> Result<u64, Fault> {
        let fault = |at, why| Fault::phys(PhysAddr(at), why);
        let next = self.stored.get(self.stored.partition_point(|stored| stored.end <= at));
        let Some(stored) = next.filter(|stored| stored.start <= at) else {
            let left_out = self.left_out(at, next).map_err(|why| fault(at, why))?;
            let len = left_out.min(to.len() as u64);
            slice_mut(to, 0, len).unwrap_or_default().fill(0);
            return Ok(len);
        };
        let len = (stored.end - at).min(to.len() as u64);
        let offset = stored.offset.saturating_add(at - stored.start);
        let there = self.image.len().saturating_sub(offset);
        if there < len {
            return Err(fault(at + there, Why::Lost));
        }
        match (self.image.get(offset, len), slice_mut(to, 0, len)) {
            (Some(from), Some(to)) => to.copy_from_slice(&from),
            _ => return Err(fault(at, Why::Lost)),
        }
        Ok(len)
    }
}

impl PhysicalMemory for ElfDump {
    fn read(&self, at: PhysAddr, buf: &mut [u8]) -> Result<(), Fault> {
        let mut at = at.0;
        let mut rest = buf;
        while !rest.is_empty() {
            let copied = self.copy(at, rest)?;
            at = at.saturating_add(copied);
            rest =
                rest.get_mut(usize::try_from(copied).unwrap_or(usize::MAX)..).unwrap_or_default();
        }
        Ok(())
    }
}

/// Whether this is an x86-64 core file at all.
fn check(header: &Header) -> Result<(), WhyNot> {
    let class = header.e_ident.get(EI_CLASS);
    let data = header.e_ident.get(EI_DATA);
    match header.e_type {
        ET_CORE => {}
        ET_EXEC | ET_DYN => {
            return Err(WhyNot::Mistaken(
                "an executable, not a crash dump; a vmlinux goes with --vmlinux, beside the dump",
            ));
        }
        ET_REL => {
            return Err(WhyNot::Mistaken("an object file or kernel module, not a crash dump"));
        }
        _ => return Err(WhyNot::Mistaken("an ELF file, but not a crash dump")),
    }
    if class != Some(&ELFCLASS64) {
        return Err(WhyNot::Unsupported("a 32-bit ELF dump".into()));
    }
    if data != Some(&ELFDATA2LSB) || header.e_machine != EM_X86_64 {
        let machine = machine_to_str(header.e_machine);
        return Err(WhyNot::Unsupported(format!("an ELF dump of another machine ({machine})")));
    }
    Ok(())
}

/// The program headers that the file holds, and whether it ends before the last one.
fn program_headers(image: &Image, header: &Header) -> Result<(Vec<ProgramHeader>, bool), WhyNot> {
    let mut count = u64::from(header.e_phnum);
    if header.e_phnum == PN_XNUM {
        let info = header.e_shoff.saturating_add(SH_INFO);
        count = image.array(info).map_or(count, |info| u64::from(u32::from_le_bytes(info)));
    }
    if count == 0 {
        return Err(WhyNot::Damaged("it has no program headers"));
    }
    if u64::from(header.e_phentsize) != PROGRAM_HEADER_LEN {
        return Err(WhyNot::Damaged("its program headers have an impossible size"));
    }
    let table = image.get_available(header.e_phoff, count * PROGRAM_HEADER_LEN);
    let whole = table.len() as u64 / PROGRAM_HEADER_LEN;
    let headers = usize::try_from(whole)
        .ok()
        .and_then(|whole| ProgramHeader::parse(&table, 0, whole, X86_64).ok())
        .filter(|headers| !headers.is_empty())
        .ok_or(WhyNot::Damaged("the file ends before its program headers"))?;
    Ok((headers, whole < count))
}

/// Only a process has an auxiliary vector, and only a kernel VMCOREINFO.
fn is_process(bytes: &[u8]) -> bool {
    let has =
        |owner: &[u8], kind| notes(bytes).any(|note| note.owner == owner && kind == note.kind);
    has(b"CORE", AUXV) && !has(b"VMCOREINFO", 0)
}

fn stored(loads: &[&ProgramHeader]) -> Vec<Stored> {
    let mut sorted: Vec<Stored> = loads
        .iter()
        .map(|load| Stored {
            start: load.p_paddr,
            end: load.p_paddr.saturating_add(load.p_filesz),
            offset: load.p_offset,
        })
        .collect();
    sorted.sort_by_key(|stored| (stored.start, stored.end));
    let mut last_end = 0;
    sorted.retain_mut(|stored| {
        let skip = stored.start.max(last_end) - stored.start;
        stored.start += skip;
        stored.offset = stored.offset.saturating_add(skip);
        last_end = last_end.max(stored.end);
        stored.start < stored.end
    });
    sorted
}

fn ram(loads: &[&ProgramHeader]) -> Vec<Range<u64>> {
    let mut ranges: Vec<Range<u64>> = loads
        .iter()
        .map(|load| load.p_paddr..load.p_paddr.saturating_add(load.p_memsz.max(load.p_filesz)))
        .filter(|range| !range.is_empty())
        .collect();
    ranges.sort_by_key(|range| range.start);
    ranges.dedup_by(|next, last| {
        let merges = next.start <= last.end;
        if merges {
            last.end = last.end.max(next.end);
        }
        merges
    });
    ranges
}

fn phys_base(loads: &[&ProgramHeader]) -> Option<i64> {
    let text = loads.iter().find(|load| load.p_vaddr >= START_KERNEL_MAP)?;
    Some(text.p_paddr.wrapping_sub(text.p_vaddr - START_KERNEL_MAP).cast_signed())
}
