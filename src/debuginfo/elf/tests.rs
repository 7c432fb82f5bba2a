//! ELF files made by hand.

use super::*;
use goblin::elf::section_header::{
    SHF_ALLOC, SHF_EXECINSTR, SHF_WRITE, SHT_PROGBITS, SHT_STRTAB, SHT_SYMTAB,
};

const TEXT: u64 = 0xffff_ffff_8100_0000;
const RODATA: u64 = 0xffff_ffff_8200_0000;

/// Name, type, flags, address, link and contents.
pub(in crate::debuginfo) type Part<'p> = (&'p str, u32, u32, u64, u32, &'p [u8]);

/// An ELF file of sections.
pub(in crate::debuginfo) fn file(sections: &[Part]) -> Vec<u8> {
    let mut names = vec![0];
    let mut headers = vec![0; 64];
    let mut contents = vec![0; 64];
    for (name, kind, flags, at, link, bytes) in sections {
        let name_at = u32::try_from(names.len()).unwrap();
        names.extend(name.bytes().chain([0]));
        headers.extend(name_at.to_le_bytes());
        headers.extend(kind.to_le_bytes());
        headers.extend(u64::from(*flags).to_le_bytes());
        headers.extend(at.to_le_bytes());
        headers.extend(u64::try_from(contents.len()).unwrap().to_le_bytes());
        headers.extend(u64::try_from(bytes.len()).unwrap().to_le_bytes());
        headers.extend(link.to_le_bytes());
        headers.extend([0; 20]);
        contents.extend(*bytes);
    }
    let name_table = contents.len();
    contents.extend(&names);
    headers.extend([0, 0, 0, 0, 3, 0, 0, 0]);
    headers.extend([0; 16]);
    headers.extend(u64::try_from(name_table).unwrap().to_le_bytes());
    headers.extend(u64::try_from(names.len()).unwrap().to_le_bytes());
    headers.extend([0; 24]);
    let table_at = u64::try_from(contents.len()).unwrap();
    let count = u16::try_from(sections.len() + 2).unwrap();
    contents.extend(&headers);
    let mut start = b"\x7fELF\x02\x01\x01".to_vec();
    start.resize(16, 0);
    start.extend([2, 0, 62, 0, 1, 0, 0, 0]);
    start.extend([0; 16]);
    start.extend(table_at.to_le_bytes());
    start.extend([0, 0, 0, 0, 64, 0, 56, 0, 0, 0, 64, 0]);
    start.extend(count.to_le_bytes());
    start.extend((count - 1).to_le_bytes());
    contents[..64].copy_from_slice(&start);
    contents
}

/// `Elf64_Sym`s after the empty one, and the names: name, `st_info`, section, value.
fn symbols(symbols: &[(&str, u8, u16, u64)]) -> (Vec<u8>, Vec<u8>) {
    let (mut table, mut names) = (vec![0; 24], vec![0]);
    for (name, info, section, value) in symbols {
        table.extend(u32::try_from(names.len()).unwrap().to_le_bytes());
        table.extend([*info, 0]);
        table.extend(section.to_le_bytes());
        table.extend(value.to_le_bytes());
        table.extend([0; 8]);
        names.extend(name.bytes().chain([0]));
    }
    (table, names)
}

/// A kernel of release 6.1.0-test with the build id abcdef.
pub(in crate::debuginfo) fn vmlinux() -> Vec<u8> {
    let (table, names) = symbols(&[
        ("helper", 0x02, 1, TEXT),
        ("__alias", 0x12, 1, TEXT + 0x10),
        ("schedule", 0x12, 1, TEXT + 0x10),
        ("__weak", 0x22, 1, TEXT + 0x10),
        ("linux_banner", 0x11, 2, RODATA + 8),
        ("current_task", 0x11, 3, 0x40),
        ("__crc_x", 0x10, 0xfff1, 0x1234_5678),
        ("undefined", 0x10, 0, 0),
        ("debug", 0x00, 4, 0),
        (".L12", 0x00, 1, TEXT + 4),
        ("_end", 0x10, 2, RODATA + 0x100),
    ]);
    let mut note = Vec::new();
    for (kind, contents) in [(1_u32, [9_u8, 9, 9]), (3, [0xab, 0xcd, 0xef])] {
        note.extend([4, 0, 0, 0, 3, 0, 0, 0]);
        note.extend(kind.to_le_bytes());
        note.extend(b"GNU\0");
        note.extend(contents);
        note.push(0);
    }
    file(&[
        (".text", SHT_PROGBITS, SHF_ALLOC | SHF_EXECINSTR, TEXT, 0, &[0xc3; 0x20]),
        (
            ".rodata",
            SHT_PROGBITS,
            SHF_ALLOC,
            RODATA,
            0,
            b"........Linux version 6.1.0-test (me@here) #1\0",
        ),
        (".data..percpu", SHT_PROGBITS, SHF_ALLOC | SHF_WRITE, 0, 0, &[0; 8]),
        (".debug_info", SHT_PROGBITS, SHF_COMPRESSED, 0, 0, &[0; 8]),
        (".notes", SHT_NOTE, SHF_ALLOC, RODATA + 0x1000, 0, &note),
        (".symtab", SHT_SYMTAB, 0, 0, 7, &table),
        (".strtab", SHT_STRTAB, 0, 0, 0, &names),
    ])
}

pub(in crate::debuginfo) fn open(bytes: Vec<u8>) -> Result<ElfFile, ElfError> {
    ElfFile::new(Bytes::Owned(bytes))
}

#[test]
fn symbols_move_with_the_kernel_and_percpu_offsets_do_not() {
    let vmlinux = open(vmlinux()).unwrap();
    let table = vmlinux.symbols(0x100_0000).unwrap();
    let found: Vec<(&str, char, u64)> = table.iter().map(|s| (s.name, s.letter, s.at.0)).collect();
    assert_eq!(
        found,
        [
            ("current_task", 'A', 0x40),
            ("helper", 't', TEXT + 0x100_0000),
            ("schedule", 'T', TEXT + 0x100_0010),
            ("__alias", 'T', TEXT + 0x100_0010),
            ("__weak", 'W', TEXT + 0x100_0010),
            ("linux_banner", 'R', RODATA + 0x100_0008),
            ("_end", 'R', RODATA + 0x100_0100),
        ]
    );
    let resolved = table.resolve(VirtAddr(TEXT + 0x100_0018)).unwrap();
    assert_eq!((resolved.symbol.name, resolved.offset), ("schedule", 8));
}

#[test]
fn the_file_says_which_kernel_it_is() {
    let vmlinux = open(vmlinux()).unwrap();
    assert_eq!(vmlinux.build_id().as_deref(), Some("abcdef"));
    assert_eq!(vmlinux.release().as_deref(), Some("6.1.0-test"));
}

#[test]
fn only_sections_that_are_in_the_file_are_given() {
    let vmlinux = open(vmlinux()).unwrap();
    let text = vmlinux.section(".text").unwrap();
    assert_eq!((text.at, text.bytes.len()), (VirtAddr(TEXT), 0x20));
    assert_eq!(vmlinux.section(".debug_info"), None);
    assert_eq!(vmlinux.section(".BTF"), None);
}

#[test]
fn other_files_are_told_apart() {
    let error = |bytes| open(bytes).err().unwrap().to_string();
    assert_eq!(error(b"MZ vmlinuz".to_vec()), "not an ELF file (vmlinux, not vmlinuz, is wanted)");
    assert_eq!(error(b"\x1f\x8b\x08\0".to_vec()), "it is packed: unpack it first (gzip -d)");
    let mut other = vmlinux();
    other[18] = 183;
    assert_eq!(error(other), "an ELF file of another machine than x86-64");
    let stripped = open(file(&[])).unwrap();
    assert!(matches!(stripped.symbols(0), Err(ElfError::Stripped)));
}

#[test]
fn damage_never_panics() {
    let good = vmlinux();
    let use_all = |bytes: Vec<u8>| {
        let Ok(vmlinux) = open(bytes) else { return };
        _ = (vmlinux.build_id(), vmlinux.release(), vmlinux.section(".text").is_some());
        _ = vmlinux.symbols(0x1000).is_ok();
    };
    for cut in 0..good.len() {
        use_all(good[..cut].to_vec());
    }
    for place in 0..good.len() {
        for flip in [0x01, 0x80, 0xff] {
            let mut bad = good.clone();
            bad[place] ^= flip;
            use_all(bad);
        }
    }
}
