//! Damaged dumps: small ones of every format, cut off and with bytes changed where it hurts. Each
//! must open and answer, or say one clear error; none may panic, hang or take memory.

use super::recipe::{ElfRecipe, KdumpRecipe, Load, Page, flatten};
use super::{Compression, Dump, PhysAddr, trim};

/// A stream of numbers that is the same in every run (xorshift64*).
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % end.max(1) as u64).unwrap()
    }
}

/// Values that break arithmetic.
const NASTY: [u64; 10] = [
    0,
    1,
    0x7f,
    0x7fff_ffff,
    0xffff_ffff,
    0x1_0000_0000,
    1 << 47,
    i64::MAX as u64,
    u64::MAX - 7,
    u64::MAX,
];

/// Damages a file: where from `start` on is what the caller wants to hurt.
fn damage(file: &mut Vec<u8>, start: usize, numbers: &mut Numbers) {
    let region = file.len() - start;
    match numbers.below(8) {
        0 => file.truncate(start + numbers.below(region)),
        1..4 => {
            for _ in 0..=numbers.below(4) {
                let at = start + numbers.below(region);
                file[at] ^= 1 << numbers.below(8);
            }
        }
        4..7 => {
            let width = if numbers.below(2) == 0 { 4 } else { 8 };
            let at = (start + numbers.below(region)) / width * width;
            let value = NASTY[numbers.below(NASTY.len())].to_le_bytes();
            let end = (at + width).min(file.len());
            file[at..end].copy_from_slice(&value[..end - at]);
        }
        _ => {
            let at = start + numbers.below(region);
            let end = (at + numbers.below(5000)).min(file.len());
            let byte = numbers.next().to_le_bytes()[0];
            file[at..end].fill(byte);
        }
    }
}

/// Asks a dump everything, as far as it opens; tells whether it did.
fn exercise(file: Vec<u8>, numbers: &mut Numbers) -> bool {
    let dump = match Dump::from_bytes(vec![file]) {
        Ok(dump) => dump,
        Err(why) => {
            assert!(!why.to_string().is_empty());
            return false;
        }
    };
    let info = dump.info();
    assert!(info.ram.len() <= 1024 && info.format.len() < 100);
    _ = (dump.cpus().len(), dump.vmcoreinfo().release());
    let (dump, recorder) = dump.recording();
    let memory = dump.memory();
    let mut buf = vec![0; 5000];
    for pfn in 0..70 {
        _ = memory.read(PhysAddr(pfn * 4096 + 8), &mut buf);
    }
    for _ in 0..20 {
        let at = numbers.next() >> numbers.below(64);
        _ = memory.read(PhysAddr(at), &mut buf[..100]);
    }
    _ = memory.read(PhysAddr(u64::MAX - 50), &mut buf);
    // Bitmaps of a machine that cannot be are long to write, so only of small ones.
    if info.max_mapnr < 1 << 24 && numbers.below(16) == 0 {
        let mut out = std::io::Cursor::new(Vec::new());
        if trim::write(&dump, &recorder.pages(), &mut out).is_ok() {
            let trimmed = Dump::from_bytes(vec![out.into_inner()]).unwrap();
            assert!(trimmed.info().pages <= recorder.pages().len());
        }
    }
    true
}

fn pages() -> Vec<Page> {
    let kinds = [
        Page::Dumped(Compression::Zstd),
        Page::Dumped(Compression::Zlib),
        Page::Excluded,
        Page::Dumped(Compression::Lzo),
        Page::Dumped(Compression::Snappy),
        Page::Hole,
        Page::Dumped(Compression::Raw),
    ];
    (0..60).map(|pfn| kinds[pfn % kinds.len()]).collect()
}

/// Damages `file` 240 times, evenly in its first bytes, up to `headers`, and in all of it.
fn survives(file: &[u8], headers: usize, seed: u64) {
    let mut numbers = Numbers(seed);
    let mut opened = 0;
    for round in 0..240 {
        let mut damaged = file.to_vec();
        if round % 2 == 0 {
            let tail = damaged.split_off(headers);
            damage(&mut damaged, 0, &mut numbers);
            if damaged.len() == headers {
                damaged.extend(tail);
            }
        } else {
            damage(&mut damaged, 0, &mut numbers);
        }
        opened += usize::from(exercise(damaged, &mut numbers));
    }
    // Otherwise the damage never gets past the first check, and this tests nothing.
    assert!(opened > 60, "only {opened} opened");
    assert!(peak_memory_kib() < 1 << 20);
}

/// The most memory that this process has used so far.
fn peak_memory_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[test]
fn damaged_kdump_files_answer_or_say_why() {
    for version in [1, 6] {
        let file = KdumpRecipe::new(version, pages()).build();
        // Header, sub-header, bitmaps and descriptors.
        survives(&file, 4 * 4096 + 60 * 24, u64::from(version) + 1);
    }
    let mut part = KdumpRecipe::new(6, pages());
    part.part = Some((10, 50));
    survives(&part.build(), 4 * 4096 + 40 * 24, 3);
}

#[test]
fn damaged_flattened_files_answer_or_say_why() {
    let file = flatten(&KdumpRecipe::new(6, pages()).build(), 700);
    survives(&file[..], 4096 + 16 + 464 + 16, 5);
    survives(&flatten(&ElfRecipe::new(vec![Load::pages(3, 9, 4)]).build(), 700), 5000, 6);
}

#[test]
fn damaged_elf_files_answer_or_say_why() {
    let loads = vec![Load::pages(20, 5, 3), Load::pages(0, 9, 0), Load::pages(8, 3, 0)];
    let mut recipe = ElfRecipe::new(loads);
    survives(&recipe.build(), 64 + 4 * 56 + 600, 7);
    recipe.is_qemu = true;
    recipe.is_xnum = true;
    survives(&recipe.build(), 192 + 4 * 56 + 600, 8);
}
