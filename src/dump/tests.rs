//! Dumps built from recipes, read back.

use super::mapping::Bytes;
use super::open::Dump;
use super::recipe::{KdumpRecipe, Page, content, flatten};
use super::{Compression, PhysAddr, Why};

const ALL: [Compression; 5] =
    [Compression::Raw, Compression::Zlib, Compression::Lzo, Compression::Snappy, Compression::Zstd];

fn open(parts: Vec<Vec<u8>>) -> Result<Dump, super::WhyNot> {
    Dump::from_bytes(parts.into_iter().map(Bytes::Owned).collect())
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

/// With `HANGSCOPE_DUMPS` naming a folder of `*/vmcore`, every page of each is read.
#[test]
fn real_dumps_open_and_every_page_reads() {
    let Some(folder) = std::env::var_os("HANGSCOPE_DUMPS") else { return };
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path().join("vmcore");
        if !path.exists() {
            continue;
        }
        let dump = Dump::open(std::slice::from_ref(&path)).unwrap();
        let info = dump.info();
        let mut page = vec![0; 4096];
        let mut read = 0;
        for pfn in 0..info.max_mapnr {
            match dump.memory().read(PhysAddr(pfn * 4096), &mut page) {
                Ok(()) => read += 1,
                Err(fault) => assert!(matches!(fault.why, Why::Excluded | Why::NotRam), "{fault}"),
            }
        }
        assert!(info.complete);
        assert_eq!(read, info.pages);
        assert!(dump.vmcoreinfo().symbol("swapper_pg_dir").is_some());
        assert!(!dump.cpus().is_empty());
    }
}
