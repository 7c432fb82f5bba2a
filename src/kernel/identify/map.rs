//! Where physical memory and its `struct page`s are mapped, and what a `struct page` says.
//!
//! The direct map begins at `page_offset_base` and the array of `struct page` at `vmemmap_base`
//! (variables since 4.8; before that, and where addresses are not randomised, constants of
//! arch/x86/include/asm/pgtable_64_types.h). A candidate counts when the page tables agree. What kind
//! of page it is stands in `flags` (`PG_slab` of `enum pageflags`) or, since 6.10, in `page_type`
//! (`enum pagetype`, include/linux/page-flags.h); the enums in the dump's own types decide.

use crate::debuginfo::{Kind, Tag, Type, Types};
use crate::dump::{PAGE_SIZE, PhysAddr, VirtAddr, VmcoreInfo};
use crate::kernel::fields::{Field, StructBytes};
use crate::kernel::{Kernel, Known, Unknown};
use crate::memory::KernelSpace;
use std::ops::Range;

/// `__PAGE_OFFSET_BASE` of 4.20 and later, and of 2.6.27 to 4.19.
const DIRECT_MAPS: [VirtAddr; 2] =
    [VirtAddr(0xffff_8880_0000_0000), VirtAddr(0xffff_8800_0000_0000)];
/// `__VMEMMAP_BASE`
const VMEMMAP: VirtAddr = VirtAddr(0xffff_ea00_0000_0000);
/// More pages than any machine has: 64 TiB.
const MAX_PAGES: u64 = 1 << 34;

/// Where physical memory and its pages' descriptions are mapped.
pub(super) struct PhysicalMap {
    /// The direct map.
    pub(super) direct: Known<Range<VirtAddr>>,
    /// The array of `struct page`.
    pub(super) pages: Known<Range<VirtAddr>>,
    layout: Known<PageLayout>,
}

/// Where things are in `struct page`.
struct PageLayout {
    size: u64,
    flags: Field,
    head: Option<Head>,
    mapping: Option<Field>,
    index: Option<Field>,
    count: Option<Field>,
    /// `page_type`, which older kernels call `_mapcount`.
    kind: Option<Field>,
    /// Names of bits in `flags`, once each.
    names: Vec<(u32, Box<str>)>,
    slab: Option<Mark>,
    buddy: Option<Mark>,
    /// Names of the values in the top byte of `page_type`.
    kinds: Vec<(i64, Box<str>)>,
}

/// How a page tells that it is of a kind.
enum Mark {
    /// This bit of `flags`.
    Flag(u32),
    /// This value in the top byte of `page_type` (6.12).
    TopByte(u64),
    /// These bits of `page_type` are zero, and the top ones are set (4.18 to 6.11).
    Cleared(u64),
    /// `page_type` or `_mapcount` is this number.
    Number(u64),
}

/// How a tail page leads to the head of its compound.
#[derive(Clone, Copy)]
enum Head {
    /// `compound_head`: with bit 0 set, the address of the head; `compound_info` (7.1), which may be a
    /// mask for the tail's own address instead.
    Tagged(Field),
    /// `first_page`, where this bit of `flags` is set (before 4.4).
    First(Field, u32),
}

/// What a `struct page` says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Page {
    /// Its number: the physical address divided by the page size.
    pub pfn: u64,
    /// Its `struct page`.
    pub at: VirtAddr,
    /// The `struct page` of the head of its compound; its own where it is in none.
    pub head: VirtAddr,
    /// `flags`, those of the head.
    pub flags: u64,
    /// The names of the bits that are set in them.
    pub flag_names: Vec<Box<str>>,
    /// What it is used for, where it says so: `slab`, `buddy` (free), `table` …
    pub kind: Option<Box<str>>,
    /// `mapping` of the head; bit 0 marks anonymous memory.
    pub mapping: Option<u64>,
    /// `index` in it.
    pub index: Option<u64>,
    /// `_refcount` of the head.
    pub refcount: Option<i64>,
}

impl PhysicalMap {
    pub(super) fn find(kernel: Kernel<'_>, space: &KernelSpace, info: &VmcoreInfo) -> PhysicalMap {
        let variable = |name: &str| {
            let at = kernel.symbols.address(name)?;
            kernel.memory.read_ptr(at).ok().filter(|base| base.0 >> 63 == 1)
        };
        let count = kernel.symbol("max_pfn").and_then(|at| Ok(kernel.memory.read_u64(at)?));
        let count = count.ok().filter(|count| (1..=MAX_PAGES).contains(count));
        let pages = count.unwrap_or(MAX_PAGES);
        // The top page table lies in memory: the direct map must lead to it.
        let root = space.root();
        let leads = |base: &VirtAddr| {
            let there = base.checked_add(root.0).map(|at| space.translate(at));
            there.is_some_and(|found| found == Ok(root))
        };
        let direct = match variable("page_offset_base") {
            Some(base) => Some(base).filter(leads),
            None => DIRECT_MAPS.into_iter().find(leads),
        };
        let direct = direct
            .map(|base| base..base.plus(pages.saturating_mul(PAGE_SIZE)))
            .ok_or_else(|| Unknown::because("where the kernel maps all memory is not known"));
        let layout = PageLayout::probe(kernel, info);
        let base = variable("vmemmap_base").unwrap_or(VMEMMAP);
        let pages = layout.as_ref().map_err(Unknown::clone).and_then(|layout| {
            let of = base.plus(root.page().saturating_mul(layout.size));
            match space.translate(of) {
                Ok(_) => Ok(base..base.plus(pages.saturating_mul(layout.size))),
                Err(fault) => Err(Unknown::because(format!(
                    "the kernel's array of struct page is not where it should be: {fault}"
                ))),
            }
        });
        PhysicalMap { direct, pages, layout }
    }

    /// Where the direct map has a physical address.
    pub(super) fn virt(&self, at: PhysAddr) -> Option<VirtAddr> {
        let direct = self.direct.as_ref().ok()?;
        direct.start.checked_add(at.0).filter(|at| *at < direct.end)
    }

    /// The physical address behind one of the direct map.
    pub(super) fn phys(&self, at: VirtAddr) -> Option<PhysAddr> {
        let direct = self.direct.as_ref().ok().filter(|direct| direct.contains(&at))?;
        at.offset_from(direct.start).map(PhysAddr)
    }

    /// The page that the `struct page` at `at` describes, and the offset in the struct.
    pub(super) fn described(&self, at: VirtAddr) -> Option<(u64, u64)> {
        let pages = self.pages.as_ref().ok().filter(|pages| pages.contains(&at))?;
        let size = self.layout.as_ref().ok()?.size;
        let offset = at.offset_from(pages.start)?;
        Some((offset.checked_div(size)?, offset.checked_rem(size)?))
    }

    /// The first address of the page that the `struct page` at `at` describes.
    pub(super) fn start_of(&self, at: VirtAddr) -> Option<VirtAddr> {
        let (pfn, offset) = self.described(at)?;
        (offset == 0).then(|| self.virt(PhysAddr(pfn.checked_mul(PAGE_SIZE)?)))?
    }

    /// What is said about a page.
    pub(super) fn page(&self, kernel: Kernel<'_>, pfn: u64) -> Known<Page> {
        let layout = self.layout.as_ref().map_err(Unknown::clone)?;
        let pages = self.pages.as_ref().map_err(Unknown::clone)?;
        let at = pages.start.plus(pfn.saturating_mul(layout.size));
        if !pages.contains(&at) {
            return Err(Unknown::because("there is no such page"));
        }
        let read = |at| StructBytes::read(kernel.memory, at, 0..layout.size);
        let bytes = read(at)?;
        let head = layout.head_of(at, &bytes);
        let bytes = match head {
            head if head == at => bytes,
            head if pages.contains(&head) => read(head)?,
            _ => return Err(Unknown::because("the head of its compound is no page")),
        };
        let flags = bytes.get(layout.flags);
        let set = |(bit, name): &(u32, Box<str>)| (flags >> bit & 1 == 1).then(|| name.clone());
        let signed = |field: Field| bytes.signed(field);
        Ok(Page {
            pfn,
            at,
            head,
            flags,
            flag_names: layout.names.iter().filter_map(set).collect(),
            kind: layout.kind_of(flags, &bytes),
            mapping: layout.mapping.map(|field| bytes.get(field)),
            index: layout.index.map(|field| bytes.get(field)),
            refcount: layout.count.map(signed),
        })
    }
}

impl Page {
    /// Its physical address.
    #[must_use]
    pub const fn physical(&self) -> PhysAddr {
        PhysAddr(self.pfn.saturating_mul(PAGE_SIZE))
    }

    /// Whether the slab allocator has it.
    #[must_use]
    pub fn is_slab(&self) -> bool {
        self.kind.as_deref() == Some("slab")
    }

    /// Whether it is free, in the buddy allocator.
    #[must_use]
    pub fn is_free(&self) -> bool {
        self.kind.as_deref() == Some("buddy")
    }
}

impl PageLayout {
    fn probe(kernel: Kernel<'_>, info: &VmcoreInfo) -> Known<PageLayout> {
        let ty = kernel.structure("page")?;
        let size = ty.size().filter(|size| (32..=256).contains(size));
        let size = size.ok_or_else(|| Unknown::because("struct page has an impossible size"))?;
        let field = |paths: &[&str]| Field::first_of(ty, paths).ok();
        let flags = enumerators(kernel.types, "pageflags");
        let flag = |name: &str| {
            let known = flags.iter().find(|(_, its)| &**its == name).map(|(bit, _)| *bit);
            let bit = known.or_else(|| info.number(name)).and_then(|bit| u32::try_from(bit).ok());
            bit.filter(|bit| *bit < 64)
        };
        let kind = field(&["page_type", "_mapcount"]);
        let kinds = enumerators(kernel.types, "pagetype");
        let mark = |name: &str, number: &str| {
            let upper = format!("PGTY_{name}");
            let cleared = format!("PG_{name}");
            let find = |name: &str| {
                let found = kinds.iter().find(|(_, its)| &**its == name);
                found.and_then(|(value, _)| u64::try_from(*value).ok())
            };
            let number = info.number(number).map(|n| n.cast_unsigned() & 0xffff_ffff);
            flag(&cleared)
                .map(Mark::Flag)
                .or_else(|| find(&upper).map(Mark::TopByte))
                .or_else(|| find(&cleared).map(Mark::Cleared))
                .or_else(|| number.map(Mark::Number))
        };
        let head = match (field(&["compound_head", "compound_info"]), field(&["first_page"])) {
            (Some(tagged), _) => Some(Head::Tagged(tagged)),
            (None, Some(first)) => flag("PG_tail").map(|tail| Head::First(first, tail)),
            (None, None) => None,
        };
        let mut names: Vec<(u32, Box<str>)> = Vec::new();
        // Bits have several names: the first is the general one, the others come after the count.
        for (bit, name) in flags.iter().take_while(|(_, name)| &**name != "__NR_PAGEFLAGS") {
            if let (Ok(bit), Some(name)) = (u32::try_from(*bit), name.strip_prefix("PG_"))
                && bit < 64
            {
                names.push((bit, name.into()));
            }
        }
        Ok(PageLayout {
            size,
            flags: Field::of(ty, "flags")?,
            head,
            mapping: field(&["mapping"]),
            index: field(&["index", "__folio_index"]),
            count: field(&["_refcount", "_count"]),
            kind,
            names,
            slab: mark("slab", "PAGE_SLAB_MAPCOUNT_VALUE"),
            buddy: mark("buddy", "PAGE_BUDDY_MAPCOUNT_VALUE"),
            kinds: kinds
                .into_iter()
                .filter_map(|(value, name)| Some((value, name.strip_prefix("PGTY_")?.into())))
                .collect(),
        })
    }

    fn head_of(&self, at: VirtAddr, bytes: &StructBytes) -> VirtAddr {
        /// A mask has all its upper bits set; the array of pages lies far below the top.
        const MASKS: u64 = 0xffff_ffff_0000_0000;
        match self.head {
            Some(Head::Tagged(field)) => match bytes.get(field) {
                info if info & 1 == 0 => at,
                info if info >= MASKS => VirtAddr(at.0 & info),
                info => VirtAddr(info - 1),
            },
            Some(Head::First(field, tail)) if bytes.get(self.flags) >> tail & 1 == 1 => {
                bytes.ptr(field)
            }
            _ => at,
        }
    }

    fn is(&self, mark: Option<&Mark>, flags: u64, bytes: &StructBytes) -> bool {
        /// `PAGE_TYPE_BASE`: set in a word that is a type rather than a count.
        const BASE: u64 = 0xf000_0000;
        let kind = self.kind.map_or(u64::from(u32::MAX), |field| bytes.get(field) & 0xffff_ffff);
        match mark {
            Some(Mark::Flag(bit)) => flags >> bit & 1 == 1,
            Some(Mark::TopByte(value)) => kind >> 24 == *value,
            Some(Mark::Cleared(bits)) => kind & BASE & !bits == BASE & !bits && kind & bits == 0,
            Some(Mark::Number(number)) => kind == *number,
            None => false,
        }
    }

    fn kind_of(&self, flags: u64, bytes: &StructBytes) -> Option<Box<str>> {
        if self.is(self.slab.as_ref(), flags, bytes) {
            return Some("slab".into());
        }
        if self.is(self.buddy.as_ref(), flags, bytes) {
            return Some("buddy".into());
        }
        let value = i64::try_from(bytes.get(self.kind?) >> 24 & 0xff).ok()?;
        let named = self.kinds.iter().find(|(its, _)| *its == value && value < 0xff);
        named.map(|(_, name)| name.clone())
    }
}

/// The values of an enum with their names, in order; none where the types lack it.
fn enumerators(types: &Types, name: &str) -> Vec<(i64, Box<str>)> {
    let ty: Option<Type<'_>> = types.find(Tag::Enum, name).ok();
    match ty.map(|ty| ty.resolved().kind()) {
        Some(Kind::Enum { values, .. }) => {
            values.iter().map(|named| (named.value, named.name.clone())).collect()
        }
        _ => Vec::new(),
    }
}
