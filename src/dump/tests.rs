//! Dumps built from recipes, read back.

use super::open::Dump;
use super::recipe::{
    ElfRecipe, KdumpRecipe, Load, Page, VMCOREINFO, compress, content, flatten, note, prstatus,
};
use super::trim;
use super::{Compression, PhysAddr, Why};

const ALL: [Compression; 5] =
    [Compression::Raw, Compression::Zlib, Compression::Lzo, Compression::Snappy, Compression::Zstd];

fn open(parts: Vec<Vec<u8>>) -> Result<Dump, super::WhyNot> {
    Dump::from_bytes(parts)
}

/// Every compression, every kind of absence, over more than one counting step.
fn mixed() -> Vec<Page> {
    let mut pages: Vec<Page> = (0..700)
        .map(|pfn| match pfn % 11 {
            0..5 => Page::Dumped(ALL[pfn % 5]),
            5 | 6 => Page::Excluded,
            7 => Page::Hole,
            8 => Page::Lost,
            _ => Page::Dumped(Compression::Zstd),
        })
        .collect();
    pages.extend([Page::Hole; 40000]);
    pages.extend([Page::Dumped(Compression::Lzo); 3]);
    pages
}

fn assert_reads_back(dump: &Dump, pages: &[Page]) {
    let memory = dump.memory();
    let mut buf = vec![0; 4096];
    for (pfn, page) in (0u64..).zip(pages) {
        let read = memory.read(PhysAddr(pfn * 4096), &mut buf).map_err(|fault| fault.why);
        match page {
            Page::Dumped(method) => {
                assert_eq!(read, Ok(()), "page {pfn}");
                assert!(buf == content(pfn), "page {pfn} differs ({})", method.name());
            }
            Page::Excluded => assert_eq!(read, Err(Why::Excluded), "page {pfn}"),
            Page::Hole => assert_eq!(read, Err(Why::NotRam), "page {pfn}"),
            Page::Lost => assert_eq!(read, Err(Why::Lost), "page {pfn}"),
        }
    }
    let beyond = memory.read(PhysAddr(pages.len() as u64 * 4096), &mut buf);
    assert_eq!(beyond.unwrap_err().why, Why::Beyond);
}

#[test]
fn every_header_version_reads_back() {
    for version in 1..=6 {
        let dump = open(vec![KdumpRecipe::new(version, mixed()).build()]).unwrap();
        assert_reads_back(&dump, &mixed());
        assert_eq!(dump.vmcoreinfo().release(), (version >= 3).then_some("6.1.0-test"));
        assert_eq!(dump.cpus().len(), usize::from(version >= 4));
        assert_eq!(dump.info().dump_level, Some(31));
        assert!(dump.info().complete);
    }
}

#[test]
fn a_flattened_dump_reads_as_the_plain_one() {
    let plain = KdumpRecipe::new(6, mixed()).build();
    for size in [100, 4096, 70000] {
        let dump = open(vec![flatten(&plain, size)]).unwrap();
        assert_reads_back(&dump, &mixed());
        assert!(dump.info().complete);
        assert_eq!(dump.info().format, "kdump-compressed v6, flattened");
    }
}

#[test]
fn the_parts_of_a_split_dump_make_one_whatever_their_order() {
    let part = |first, end| {
        let mut recipe = KdumpRecipe::new(6, mixed());
        recipe.part = Some((first, end));
        recipe.build()
    };
    let parts = [part(0, 301), part(301, 640), part(640, 40703)];
    let all = open(vec![parts[2].clone(), parts[0].clone(), parts[1].clone()]).unwrap();
    assert_reads_back(&all, &mixed());
    assert!(all.info().complete);

    let one = open(vec![parts[1].clone()]).unwrap();
    let mut buf = [0; 8];
    assert_eq!(one.memory().read(PhysAddr(0), &mut buf).unwrap_err().why, Why::Lost);
    assert!(!one.info().complete);
}

#[test]
fn a_dump_with_one_bitmap_holds_all_that_it_names() {
    let pages: Vec<Page> = (0..32768)
        .map(|pfn| if pfn % 3 == 0 { Page::Dumped(Compression::Zlib) } else { Page::Hole })
        .collect();
    let mut recipe = KdumpRecipe::new(6, pages.clone());
    recipe.one_bitmap = true;
    assert_reads_back(&open(vec![recipe.build()]).unwrap(), &pages);
}

#[test]
fn a_read_crosses_pages_and_names_the_first_byte_that_is_missing() {
    let pages =
        vec![Page::Dumped(Compression::Zstd), Page::Dumped(Compression::Raw), Page::Excluded];
    let dump = open(vec![KdumpRecipe::new(6, pages).build()]).unwrap();
    let mut buf = [0; 200];
    dump.memory().read(PhysAddr(4000), &mut buf).unwrap();
    assert_eq!(buf[..96], content(0)[4000..]);
    assert_eq!(buf[96..], content(1)[..104]);
    let fault = dump.memory().read(PhysAddr(8100), &mut buf).unwrap_err();
    assert_eq!(fault, super::Fault::phys(PhysAddr(8192), Why::Excluded));
}

/// Unsorted, zero-length and overlapping ranges, pages left out, and a range that starts and ends
/// inside pages.
fn loads() -> Vec<Load> {
    let text = Load { vaddr: 0xffff_ffff_8100_0000, ..Load::pages(12, 2, 0) };
    let odd = Load { paddr: 40 * 4096 + 100, vaddr: 0, data: vec![7; 5000], memsz: 5000 };
    vec![Load::pages(30, 2, 3), text, Load::pages(0, 0, 0), odd, Load::pages(10, 8, 0)]
}

fn loads_as_pages() -> Vec<Page> {
    (0..40)
        .map(|pfn| match pfn {
            10..18 | 30 | 31 => Page::Dumped(Compression::Raw),
            32..35 => Page::Excluded,
            _ => Page::Hole,
        })
        .collect()
}

fn assert_elf_reads_back(dump: &Dump) {
    let memory = dump.memory();
    let mut buf = vec![0; 4096];
    for (pfn, page) in (0u64..).zip(loads_as_pages()) {
        let read = memory.read(PhysAddr(pfn * 4096), &mut buf).map_err(|fault| fault.why);
        match page {
            Page::Excluded => assert!(read.is_ok() && buf == [0; 4096], "page {pfn}: {read:?}"),
            Page::Hole => assert_eq!(read, Err(Why::NotRam), "page {pfn}"),
            _ => assert!(read.is_ok() && buf == content(pfn), "page {pfn}: {read:?}"),
        }
    }
    let odd = PhysAddr(40 * 4096 + 100);
    memory.read(odd, &mut buf).unwrap();
    assert_eq!(memory.read(odd.minus(1), &mut buf).unwrap_err().why, Why::NotRam);
    let fault = memory.read(odd.plus(4990), &mut buf[..20]).unwrap_err();
    assert_eq!(fault, super::Fault::phys(odd.plus(5000), Why::Beyond));
    assert_eq!(dump.vmcoreinfo().release(), Some("6.1.0-test"));
    assert_eq!(dump.cpus().len(), 1);
    assert_eq!(dump.info().phys_base, Some(12 * 4096 - 0x100_0000));
    assert!(dump.info().complete);
    assert_eq!(dump.info().zero_filled, 3 * 4096);
}

#[test]
fn elf_reads_back_with_either_header_and_flattened() {
    let mut recipe = ElfRecipe::new(loads());
    assert_elf_reads_back(&open(vec![recipe.build()]).unwrap());
    assert_elf_reads_back(&open(vec![flatten(&recipe.build(), 1000)]).unwrap());
    recipe.is_qemu = true;
    assert_elf_reads_back(&open(vec![recipe.build()]).unwrap());
    recipe.is_xnum = true;
    assert_elf_reads_back(&open(vec![recipe.build()]).unwrap());
}

#[test]
fn elf_with_more_ranges_than_its_header_can_count_reads_back() {
    let pages = 66_000;
    let word =
        |pfn: u64| Load { paddr: pfn * 4096, vaddr: 0, data: pfn.to_le_bytes().to_vec(), memsz: 8 };
    let mut recipe = ElfRecipe::new((0..pages).rev().map(word).collect());
    recipe.is_xnum = true;
    let dump = open(vec![recipe.build()]).unwrap();
    for pfn in [0, 1, 40_000, pages - 1] {
        let mut buf = [0; 8];
        dump.memory().read(PhysAddr(pfn * 4096), &mut buf).unwrap();
        assert_eq!(u64::from_le_bytes(buf), pfn);
    }
}

#[test]
fn a_cut_off_file_opens_with_what_it_has() {
    let whole = ElfRecipe::new(vec![Load::pages(0, 4, 0)]).build();
    let dump = open(vec![whole[..whole.len() - 5000].to_vec()]).unwrap();
    let mut buf = vec![0; 4096];
    dump.memory().read(PhysAddr(4096), &mut buf).unwrap();
    let fault = dump.memory().read(PhysAddr(8192), &mut buf).unwrap_err();
    assert_eq!(fault, super::Fault::phys(PhysAddr(4 * 4096 - 5000), Why::Lost));
    assert!(!dump.info().complete);

    let pages = vec![Page::Dumped(Compression::Raw); 100];
    let whole = KdumpRecipe::new(6, pages).build();
    let dump = open(vec![whole[..whole.len() - 50 * 4096].to_vec()]).unwrap();
    dump.memory().read(PhysAddr(49 * 4096), &mut buf).unwrap();
    assert_eq!(dump.memory().read(PhysAddr(50 * 4096), &mut buf).unwrap_err().why, Why::Lost);
    assert!(!dump.info().complete);
    // In the middle of the second bitmap, and of the first.
    for end in [4096 * 3 + 6, 4096 * 2 + 6] {
        let dump = open(vec![whole[..end].to_vec()]).unwrap();
        assert_eq!(dump.memory().read(PhysAddr(0), &mut buf).unwrap_err().why, Why::Lost);
        assert!(!dump.info().complete);
    }
}

#[test]
fn a_damaged_page_says_so() {
    for method in ALL {
        let mut whole = KdumpRecipe::new(6, vec![Page::Dumped(method)]).build();
        let len = compress(method, &content(0)).len();
        let at = whole.len() - len;
        whole[at..].fill(0xff);
        let read = open(vec![whole]).unwrap().memory().read(PhysAddr(0), &mut [0; 8]);
        match method {
            Compression::Raw => assert_eq!(read, Ok(())),
            _ => assert!(matches!(read.unwrap_err().why, Why::Corrupt(_)), "{method:?}"),
        }
    }
}

#[test]
fn what_is_no_dump_is_named() {
    let said = |bytes: &[u8]| open(vec![bytes.to_vec()]).err().unwrap().to_string();
    assert_eq!(said(b"hello\x1b[2J\n"), "not a crash dump: starts with \"hello\\x1b[2J\\x0a\"");
    assert_eq!(said(b"QEVM\0\0\0\x03"), "a saved QEMU machine (savevm) is not supported");
    assert!(said(b"\x1f\x8b\x08\0").contains("gzip"));
    let mut vmlinux = ElfRecipe::new(vec![]).build();
    vmlinux[16] = 2;
    assert!(said(&vmlinux).contains("--vmlinux"));
    vmlinux[16] = 4;
    vmlinux[18] = 183;
    assert!(said(&vmlinux).contains("another machine (AARCH64)"), "{}", said(&vmlinux));
    let mut process = ElfRecipe::new(vec![Load::pages(0, 1, 0)]);
    process.notes = [prstatus(1, 0), note("CORE", 6, &[0; 16])].concat();
    assert_eq!(said(&process.build()), "a core dump of a process, not of a kernel");

    let open = |path: &str| Dump::open(&[path.into()]).err().unwrap().to_string();
    assert_eq!(open("/"), "/: is a directory, not a crash dump");
    assert!(open("/no/such\nfile").starts_with("/no/such\\x0afile: No such file"));
    assert!(open("/dev/null").contains("not a regular file"));
    assert!(Dump::open(&[]).is_err());
}

#[test]
fn files_that_do_not_belong_together_are_refused() {
    let plain = KdumpRecipe::new(6, mixed()).build();
    let elf = ElfRecipe::new(loads()).build();
    assert!(open(vec![plain.clone(), plain.clone()]).is_err());
    assert!(open(vec![plain, elf.clone()]).is_err());
    assert!(open(vec![elf.clone(), elf]).is_err());
}

#[test]
fn registers_come_from_the_kernels_note_and_from_qemus() {
    let mut recipe = KdumpRecipe::new(6, vec![Page::Hole]);
    let dump = open(vec![recipe.build()]).unwrap();
    let cpu = &dump.cpus()[0];
    assert_eq!((cpu.pid, cpu.cr3, cpu.source), (Some(42), None, super::CpuNoteSource::Kernel));
    // rax, rdx, rbx, rbp, rsp, r8, r15, rip, rflags, cs, ss, orig_rax by their slots in pr_reg.
    let slots = [0, 1, 3, 6, 7, 8, 15, 16, 17, 18, 19, 20].map(|n| cpu.registers[n] - 0x1000);
    assert_eq!(slots, [10, 12, 5, 4, 19, 9, 0, 16, 18, 17, 20, 15]);

    let mut state = vec![0; 440];
    state[..4].copy_from_slice(&1u32.to_le_bytes());
    state[8 + 16 * 8..][..8].copy_from_slice(&0xffff_ffff_8100_0000u64.to_le_bytes());
    state[152 + 4 * 24 + 16..][..8].copy_from_slice(&0x7f00_0000_1000u64.to_le_bytes());
    state[392 + 24..][..8].copy_from_slice(&0x1234_5000u64.to_le_bytes());
    state[432..].copy_from_slice(&0xffff_8880_0000_0000u64.to_le_bytes());
    recipe.notes = [note("QEMU", 0, &state), note("VMCOREINFO", 0, VMCOREINFO)].concat();
    let dump = open(vec![recipe.build()]).unwrap();
    let cpu = &dump.cpus()[0];
    assert_eq!(cpu.registers[16], 0xffff_ffff_8100_0000);
    assert_eq!((cpu.pid, cpu.cr3), (None, Some(0x1234_5000)));
    assert_eq!(cpu.kernel_gs, Some(0xffff_8880_0000_0000));
}

#[test]
fn a_trimmed_dump_holds_the_pages_that_were_read_and_says_the_same() {
    let sources = [
        KdumpRecipe::new(6, mixed()).build(),
        KdumpRecipe::new(3, mixed()).build(),
        flatten(&KdumpRecipe::new(6, mixed()).build(), 3000),
        ElfRecipe::new(loads()).build(),
    ];
    for source in sources {
        let original = open(vec![source]).unwrap();
        let (recording, recorder) = original.recording();
        let mut buf = vec![0; 4096];
        for pfn in (0..60).step_by(3).chain([40_701]) {
            _ = recording.memory().read(PhysAddr(pfn * 4096), &mut buf);
        }
        let mut out = std::io::Cursor::new(Vec::new());
        let written = trim::write(&original, &recorder.pages(), &mut out).unwrap();
        assert!(written.pages > 2);
        assert_eq!(written.bytes, out.get_ref().len() as u64);

        let trimmed = open(vec![out.into_inner()]).unwrap();
        let (before, after) = (original.info(), trimmed.info());
        assert_eq!(after.pages, written.pages);
        assert_eq!(after.max_mapnr, before.max_mapnr);
        assert_eq!(
            after.ram.first().map(|range| range.start.page()),
            before.ram.first().map(|range| range.start.page())
        );
        assert_eq!(after.utsname.unwrap().release, "6.1.0-test");
        assert!(after.complete);
        assert_eq!(trimmed.cpus(), original.cpus());
        assert_eq!(trimmed.vmcoreinfo().raw(), original.vmcoreinfo().raw());
        let mut again = vec![0; 4096];
        for pfn in 0..before.max_mapnr {
            let at = PhysAddr(pfn * 4096);
            let expected = original.memory().read(at, &mut buf).map_err(|fault| fault.why);
            let read = trimmed.memory().read(at, &mut again).map_err(|fault| fault.why);
            if recorder.pages().contains(pfn) {
                assert!(read.is_ok() && (expected.is_err() || buf == again), "page {pfn}");
            } else if expected.is_ok() {
                assert_eq!(read, Err(Why::Excluded), "page {pfn}");
            }
        }
    }
}

/// With `HANGSCOPE_DUMPS` naming a folder of folders with `vmcore*` in them, every page of each is
/// read; files in one folder are forms of one dump and must agree where both have a page.
#[test]
fn real_dumps_read_to_the_last_page_and_their_forms_agree() {
    let Some(folder) = std::env::var_os("HANGSCOPE_DUMPS") else { return };
    for entry in std::fs::read_dir(folder).unwrap() {
        let mut first: Option<Dump> = None;
        for file in std::fs::read_dir(entry.unwrap().path()).into_iter().flatten() {
            let path = file.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if !name.starts_with("vmcore") || name.ends_with(".gz") || name.contains("head") {
                continue;
            }
            let dump = Dump::open(std::slice::from_ref(&path)).unwrap();
            let info = dump.info();
            println!(
                "{} {} {:?} {} pages",
                path.display(),
                info.format,
                info.compressions,
                info.pages
            );
            let (mut page, mut other) = (vec![0; 4096], vec![0; 4096]);
            let mut read = 0;
            for at in (0..info.max_mapnr).map(|pfn| PhysAddr(pfn * 4096)) {
                match dump.memory().read(at, &mut page) {
                    Ok(()) => read += 1,
                    Err(fault) => {
                        assert!(matches!(fault.why, Why::Excluded | Why::NotRam), "{fault}")
                    }
                }
                let both = first.as_ref().is_some_and(|first| {
                    first.memory().read(at, &mut other).is_ok()
                        && dump.memory().read(at, &mut page).is_ok()
                });
                assert!(!both || page == other, "{} differs at {at}", path.display());
            }
            assert!(info.complete);
            assert_eq!(read, info.pages);
            assert!(dump.vmcoreinfo().symbol("swapper_pg_dir").is_some());
            assert!(!dump.cpus().is_empty());
            if let Some(first) = &first {
                assert_eq!(dump.cpus(), first.cpus());
                assert_eq!(dump.vmcoreinfo().raw(), first.vmcoreinfo().raw());
            }
            first.get_or_insert(dump);
        }
    }
}
