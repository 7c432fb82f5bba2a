//! The memory of the program's own demo, as something to write to, and as a dump again.
//!
//! The demo is a real dump of real deadlocks (assets/README.md). Here its pages are taken out, changed by virtual
//! address, and put into a file again: the types, symbols, code and stacks stay those of a real kernel.

use hangscope::dump::{Dump, Level, PhysAddr, VirtAddr};
use hangscope::kernel::{Options, Session};
use std::collections::BTreeMap;

static DEMO: &[u8] = include_bytes!("../../assets/demo.vmcore");
const PAGE: u64 = 4096;
/// `DUMP_DH_COMPRESSED_ZSTD`
const ZSTD: u32 = 0x20;
/// Of the entry of a page table: present, writable, accessed, dirty, large, as the direct mapping has it.
const LARGE: u64 = 0x1e3;

/// The demo itself.
pub(crate) fn demo() -> Session {
    Session::from_dump(Dump::from_static(DEMO, "demo").unwrap(), &Options::default()).unwrap()
}

/// A page, as it is or as it goes into the file.
#[derive(Clone)]
enum Page {
    Open(Box<[u8; 4096]>),
    Packed(Box<[u8]>),
}

/// Pages by their number.
#[derive(Clone)]
pub(crate) struct Memory<'s> {
    session: &'s Session,
    pages: BTreeMap<u64, Page>,
    /// Where the direct mapping of physical memory begins.
    direct: u64,
}

impl<'s> Memory<'s> {
    /// All pages of the demo.
    pub(crate) fn of(session: &'s Session) -> Memory<'s> {
        let physical = session.dump().memory();
        let pages = (0..session.dump().info().max_mapnr).filter_map(|number| {
            let mut page = Box::new([0; 4096]);
            physical.read(PhysAddr(number * PAGE), &mut page[..]).ok()?;
            Some((number, Page::Open(page)))
        });
        // Every task_struct lies in the direct mapping, but for that of the first.
        let task = session.tasks().by_pid(1).unwrap().at;
        let direct = task.0 - session.space().translate(task).unwrap().0;
        Memory { session, pages: pages.collect(), direct }
    }

    /// Where a physical address lies in the direct mapping.
    pub(crate) fn direct(&self, physical: u64) -> u64 {
        self.direct + physical
    }

    fn physical(&self, at: u64) -> u64 {
        match self.session.space().translate(VirtAddr(at)) {
            Ok(found) => found.0,
            Err(_) => at - self.direct,
        }
    }

    pub(crate) fn put(&mut self, at: u64, bytes: &[u8]) {
        for (at, byte) in (at..).zip(bytes) {
            let physical = self.physical(at);
            let new = || Page::Open(Box::new([0; 4096]));
            let Page::Open(page) = self.pages.entry(physical / PAGE).or_insert_with(new) else {
                panic!("{at:x} has been written already");
            };
            page[usize::try_from(physical % PAGE).unwrap()] = *byte;
        }
    }

    pub(crate) fn put64(&mut self, at: u64, value: u64) {
        self.put(at, &value.to_le_bytes());
    }

    pub(crate) fn get64(&self, at: u64) -> u64 {
        let physical = self.physical(at);
        let Some(Page::Open(page)) = self.pages.get(&(physical / PAGE)) else {
            panic!("{at:x} is not there");
        };
        let start = usize::try_from(physical % PAGE).unwrap();
        u64::from_le_bytes(page[start..start + 8].try_into().unwrap())
    }

    /// Takes the page of an address out of the dump.
    pub(crate) fn exclude(&mut self, at: u64) {
        self.pages.remove(&(self.physical(at) / PAGE));
    }

    /// An address in the direct mapping whose page is not in the dump.
    pub(crate) fn excluded(&self) -> u64 {
        let missing = (0x1000..).find(|number| !self.pages.contains_key(number)).unwrap();
        self.direct(missing * PAGE)
    }

    /// Puts whole pages at a physical address, for good.
    pub(crate) fn add(&mut self, physical: u64, bytes: &[u8]) {
        for (number, page) in (physical / PAGE..).zip(bytes.chunks(4096)) {
            let mut whole = [0; 4096];
            whole[..page.len()].copy_from_slice(page);
            let packed = zstd::bulk::compress(&whole, 1).unwrap();
            self.pages.insert(number, Page::Packed(packed.into()));
        }
    }

    /// Lets the direct mapping reach as far as this physical address.
    pub(crate) fn map_up_to(&mut self, physical: u64) {
        let known = self.direct(self.physical(self.session.tasks().by_pid(1).unwrap().at.0));
        // The entry of its 1 GiB; those of the following ones stand behind it.
        let walk = self.session.space().walk(VirtAddr(known));
        let entry = walk.steps.iter().find(|step| step.level == Level::Pud).unwrap().at.0;
        let first = (known - self.direct) >> 30;
        for gib in first + 1..=physical >> 30 {
            self.put64(self.direct(entry) + 8 * (gib - first), gib << 30 | LARGE);
        }
    }

    /// A kdump-compressed file of it: the demo's headers and notes, then other bitmaps and other pages.
    pub(crate) fn kdump(&self) -> Vec<u8> {
        let blocks = u32::from_le_bytes(DEMO[432..436].try_into().unwrap());
        let mut file = DEMO[..4096 * (1 + blocks as usize)].to_vec();
        let max_mapnr = self.pages.keys().next_back().unwrap() + 1;
        let bitmap = max_mapnr.div_ceil(8 * PAGE) as usize * 4096;
        let bitmap_blocks = u32::try_from(2 * bitmap / 4096).unwrap();
        file[436..440].copy_from_slice(&bitmap_blocks.to_le_bytes());
        file[4096 + 96..4096 + 104].copy_from_slice(&max_mapnr.to_le_bytes());
        // All of it is RAM.
        file.resize(file.len() + bitmap, 0xff);
        let dumped = file.len();
        file.resize(dumped + bitmap, 0);
        for number in self.pages.keys() {
            file[dumped + (number / 8) as usize] |= 1 << (number % 8);
        }
        let mut at = (file.len() + 24 * self.pages.len()) as u64;
        let mut data: Vec<u8> = Vec::new();
        for page in self.pages.values() {
            let (bytes, flags) = match page {
                Page::Open(page) => (&page[..], 0),
                Page::Packed(page) => (&page[..], ZSTD),
            };
            file.extend(at.to_le_bytes());
            file.extend(u32::try_from(bytes.len()).unwrap().to_le_bytes());
            file.extend(flags.to_le_bytes());
            file.extend([0; 8]);
            data.extend(bytes);
            at += bytes.len() as u64;
        }
        file.extend(data);
        file
    }

    /// What the program makes of it.
    pub(crate) fn open(&self) -> Session {
        let dump = Dump::from_vec(self.kdump(), "changed demo").unwrap();
        Session::from_dump(dump, &Options::default()).unwrap()
    }
}
