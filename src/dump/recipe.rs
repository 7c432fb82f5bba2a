//! Small dumps for tests, built in memory from a recipe: which pages, how compressed, in which
//! format and version. Written after the format descriptions, apart from the code that reads.

use super::packed::Compression;
use std::io::Write;

/// What becomes of a page of the machine.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Page {
    /// In the dump, so compressed; filled by [`content`].
    Dumped(Compression),
    /// RAM that is not in the dump.
    Excluded,
    /// No RAM.
    Hole,
    /// In the bitmap, without data: the descriptor's offset is 0.
    Lost,
}

/// The bytes of page `pfn`: different in each page, and compressible.
pub(super) fn content(pfn: u64) -> Vec<u8> {
    (0..4096u64).map(|at| ((at / 64).wrapping_mul(pfn + 7) & 0xff) as u8).collect()
}

pub(super) fn compress(method: Compression, page: &[u8]) -> Vec<u8> {
    match method {
        Compression::Raw => page.to_vec(),
        Compression::Zlib => {
            let mut out = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
            out.write_all(page).unwrap();
            out.finish().unwrap()
        }
        Compression::Lzo => lzokay::compress::compress(page).unwrap(),
        Compression::Snappy => snap::raw::Encoder::new().compress_vec(page).unwrap(),
        Compression::Zstd => zstd::bulk::compress(page, 1).unwrap(),
    }
}

fn flag(method: Compression) -> u32 {
    match method {
        Compression::Raw => 0,
        Compression::Zlib => 1,
        Compression::Lzo => 2,
        Compression::Snappy => 4,
        Compression::Zstd => 0x20,
    }
}

/// A note, padded.
pub(super) fn note(owner: &str, kind: u32, data: &[u8]) -> Vec<u8> {
    let mut note = Vec::new();
    note.extend(u32::try_from(owner.len() + 1).unwrap().to_le_bytes());
    note.extend(u32::try_from(data.len()).unwrap().to_le_bytes());
    note.extend(kind.to_le_bytes());
    note.extend(owner.as_bytes());
    note.push(0);
    note.resize(note.len().next_multiple_of(4), 0);
    note.extend(data);
    note.resize(note.len().next_multiple_of(4), 0);
    note
}

/// An `NT_PRSTATUS` whose register in slot `n` of `pr_reg` is `base + n`.
pub(super) fn prstatus(pid: u32, base: u64) -> Vec<u8> {
    let mut data = vec![0; 336];
    data[32..36].copy_from_slice(&pid.to_le_bytes());
    for slot in 0..27 {
        let at = 112 + slot * 8;
        data[at..at + 8].copy_from_slice(&(base + slot as u64).to_le_bytes());
    }
    note("CORE", 1, &data)
}

pub(super) const VMCOREINFO: &[u8] =
    b"OSRELEASE=6.1.0-test\nPAGESIZE=4096\nSYMBOL(init_uts_ns)=ffffffff82000000\nNUMBER(phys_base)=0\n";

/// A kdump-compressed file.
pub(super) struct KdumpRecipe {
    pub(super) version: u32,
    pub(super) pages: Vec<Page>,
    pub(super) notes: Vec<u8>,
    /// The range of pages of a part of a split dump.
    pub(super) part: Option<(u64, u64)>,
    pub(super) status: u32,
    /// One bitmap instead of two.
    pub(super) one_bitmap: bool,
}

impl KdumpRecipe {
    pub(super) fn new(version: u32, pages: Vec<Page>) -> KdumpRecipe {
        let notes = [prstatus(42, 0x1000), note("VMCOREINFO", 0, VMCOREINFO)].concat();
        KdumpRecipe { version, pages, notes, part: None, status: 0, one_bitmap: false }
    }

    pub(super) fn build(&self) -> Vec<u8> {
        let max_mapnr = self.pages.len();
        let mut header = vec![0; 4096];
        header[..8].copy_from_slice(b"KDUMP   ");
        put32(&mut header, 8, self.version);
        for (index, text) in
            ["Linux", "node", "6.1.0-test", "#1 SMP", "x86_64", "(none)"].iter().enumerate()
        {
            header[12 + index * 65..][..text.len()].copy_from_slice(text.as_bytes());
        }
        put32(&mut header, 424, self.status);
        put32(&mut header, 428, 4096);
        let sub_blocks = (104 + self.notes.len()).div_ceil(4096);
        put32(&mut header, 432, sub_blocks as u32);
        let half_blocks = max_mapnr.div_ceil(8 * 4096);
        let bitmap_blocks = if self.one_bitmap { half_blocks } else { 2 * half_blocks };
        put32(&mut header, 436, bitmap_blocks as u32);
        put32(&mut header, 440, if self.version >= 6 { 0 } else { max_mapnr as u32 });
        put32(&mut header, 460, 1);

        let mut sub = vec![0; sub_blocks * 4096];
        put64(&mut sub, 0, 0x100_0000);
        if self.version >= 1 {
            put32(&mut sub, 8, 31);
        }
        if let Some((first, end)) = self.part {
            put32(&mut sub, 12, 1);
            let numbers = if self.version >= 6 { 80 } else { 16 };
            put64(&mut sub, numbers, first);
            put64(&mut sub, numbers + 8, end);
        }
        if self.version >= 3 {
            let at = self.notes.len() - VMCOREINFO.len().next_multiple_of(4);
            put64(&mut sub, 32, (4096 + 104 + at) as u64);
            put64(&mut sub, 40, VMCOREINFO.len() as u64);
        }
        if self.version >= 4 {
            put64(&mut sub, 48, 4096 + 104);
            put64(&mut sub, 56, self.notes.len() as u64);
        }
        if self.version >= 6 {
            put64(&mut sub, 96, max_mapnr as u64);
        }
        sub[104..][..self.notes.len()].copy_from_slice(&self.notes);

        let mut ram = vec![0; half_blocks * 4096];
        let mut dumped = ram.clone();
        for (pfn, page) in self.pages.iter().enumerate() {
            if *page != Page::Hole {
                ram[pfn / 8] |= 1 << (pfn % 8);
            }
            if matches!(page, Page::Dumped(_) | Page::Lost) {
                dumped[pfn / 8] |= 1 << (pfn % 8);
            }
        }

        let mut file = [header, sub].concat();
        if !self.one_bitmap {
            file.extend(&ram);
        }
        file.extend(&dumped);
        let (first, end) = self.part.unwrap_or((0, u64::MAX));
        let here: Vec<(u64, Page)> = (0u64..)
            .zip(self.pages.iter().copied())
            .filter(|(pfn, page)| {
                (first..end).contains(pfn) && matches!(page, Page::Dumped(_) | Page::Lost)
            })
            .collect();
        let mut data = Vec::new();
        let data_at = file.len() + here.len() * 24;
        for (pfn, page) in here {
            let mut descriptor = vec![0; 24];
            if let Page::Dumped(method) = page {
                let packed = compress(method, &content(pfn));
                put64(&mut descriptor, 0, (data_at + data.len()) as u64);
                put32(&mut descriptor, 8, packed.len() as u32);
                put32(&mut descriptor, 12, flag(method));
                data.extend(packed);
            }
            file.extend(descriptor);
        }
        file.extend(data);
        file
    }
}

/// An ELF dump.
pub(super) struct ElfRecipe {
    pub(super) loads: Vec<Load>,
    pub(super) notes: Vec<u8>,
    /// The header as QEMU writes it: `e_ehsize` 8, section headers before the program headers.
    pub(super) is_qemu: bool,
    /// The number of program headers in section 0 rather than in the header.
    pub(super) is_xnum: bool,
}

/// A PT_LOAD.
#[derive(Clone)]
pub(super) struct Load {
    pub(super) paddr: u64,
    pub(super) vaddr: u64,
    pub(super) data: Vec<u8>,
    pub(super) memsz: u64,
}

impl Load {
    /// Whole pages in the file, then pages that were left out.
    pub(super) fn pages(first: u64, dumped: u64, excluded: u64) -> Load {
        let data: Vec<u8> = (first..first + dumped).flat_map(content).collect();
        let memsz = (dumped + excluded) * 4096;
        Load { paddr: first * 4096, vaddr: first * 4096, data, memsz }
    }
}

impl ElfRecipe {
    pub(super) fn new(loads: Vec<Load>) -> ElfRecipe {
        let notes = [prstatus(42, 0x1000), note("VMCOREINFO", 0, VMCOREINFO)].concat();
        ElfRecipe { loads, notes, is_qemu: false, is_xnum: false }
    }

    pub(super) fn build(&self) -> Vec<u8> {
        let count = self.loads.len() + 1;
        let sections = if self.is_qemu { 2 } else { usize::from(self.is_xnum) };
        let table = 64 + sections * 64;
        let mut file = vec![0; table];
        file[..16].copy_from_slice(b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0");
        put32(&mut file, 16, 4 | 62 << 16);
        put32(&mut file, 20, 1);
        put64(&mut file, 32, table as u64);
        put64(&mut file, 40, if sections > 0 { 64 } else { 0 });
        put32(&mut file, 52, if self.is_qemu { 8 } else { 64 } | 56 << 16);
        let phnum = if self.is_xnum { 0xffff } else { count as u32 };
        put32(&mut file, 56, phnum | if sections > 0 { 64 << 16 } else { 0 });
        put32(&mut file, 60, sections as u32);
        if self.is_xnum {
            put32(&mut file, 64 + 44, count as u32);
        }
        let mut data_at = table + count * 56;
        let mut header = |kind: u32, paddr, vaddr, filesz: usize, memsz| {
            let mut bytes = vec![0; 56];
            put32(&mut bytes, 0, kind);
            put64(&mut bytes, 8, data_at as u64);
            put64(&mut bytes, 16, vaddr);
            put64(&mut bytes, 24, paddr);
            put64(&mut bytes, 32, filesz as u64);
            put64(&mut bytes, 40, memsz);
            data_at += filesz;
            bytes
        };
        file.extend(header(4, 0, 0, self.notes.len(), 0));
        for load in &self.loads {
            file.extend(header(1, load.paddr, load.vaddr, load.data.len(), load.memsz));
        }
        file.extend(&self.notes);
        self.loads.iter().for_each(|load| file.extend(&load.data));
        file
    }
}

/// The file in pieces of `size` bytes, in an order that is anything but straight.
pub(super) fn flatten(file: &[u8], size: usize) -> Vec<u8> {
    let mut out = b"makedumpfile\0\0\0\0".to_vec();
    out.extend(1u64.to_be_bytes());
    out.extend(1u64.to_be_bytes());
    out.resize(4096, 0);
    // The header comes first, wrong, and again at the end, as makedumpfile rewrites it.
    let mut pieces: Vec<(usize, Vec<u8>)> = vec![(0, vec![0xee; 464])];
    let count = file.len().div_ceil(size);
    for index in (0..count).step_by(2).chain((1..count).step_by(2)).rev() {
        let at = index * size;
        pieces.push((at, file[at..(at + size).min(file.len())].to_vec()));
    }
    pieces.push((0, file[..464].to_vec()));
    for (offset, piece) in pieces {
        out.extend((offset as u64).to_be_bytes());
        out.extend((piece.len() as u64).to_be_bytes());
        out.extend(piece);
    }
    out.extend([0xff; 8]);
    out.extend([0xff; 8]);
    out
}

fn put32(bytes: &mut [u8], at: usize, value: u32) {
    bytes[at..at + 4].copy_from_slice(&value.to_le_bytes());
}

fn put64(bytes: &mut [u8], at: usize, value: u64) {
    bytes[at..at + 8].copy_from_slice(&value.to_le_bytes());
}
