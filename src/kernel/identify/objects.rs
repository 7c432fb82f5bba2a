//! Which objects of a slab are free.
//!
//! SLUB (mm/slub.c) has no mark in an object: a free one is on the free list of its slab, on that of
//! the CPU whose current slab it is in, or (6.18) in a sheaf, an array of free objects that a CPU or a
//! node keeps. Free lists are threaded through the objects themselves; with
//! `CONFIG_SLAB_FREELIST_HARDENED` a link is mixed with the cache's `random` and with its own
//! address, byte-swapped since 5.7. No type tells which of the two, but only one of them leads to an
//! object of the same slab.

use super::caches::{Cache, SheafFields, Slub};
use super::map::PhysicalMap;
use crate::dump::VirtAddr;
use crate::kernel::fields::{Field, StructBytes, span_of};
use crate::kernel::{Cpus, Kernel, Known, Unknown, walk};
use foldhash::HashSet;

/// Objects in one slab: `objects` has 15 bits.
const MAX_OBJECTS: u64 = 1 << 15;
/// Objects in one sheaf: today at most 60.
const MAX_SHEAF: u64 = 1 << 12;
/// Sheaves of one node: today at most 10.
const MAX_SHEAVES: usize = 1 << 12;

/// Whether an object is in use.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Use {
    /// It is.
    Allocated,
    /// It is free.
    Free,
}

/// A slab: pages that are cut into the objects of one cache.
pub(super) struct SlabPages {
    /// Its `struct slab` or `struct page`.
    pub(super) at: VirtAddr,
    /// Its first address.
    pub(super) start: VirtAddr,
    /// The first of its free objects.
    pub(super) free: VirtAddr,
    /// Objects that are not on that list.
    pub(super) in_use: u64,
    /// Objects that it has.
    pub(super) objects: u64,
}

/// Free objects that CPUs and nodes keep for themselves.
pub(super) struct FreeOnCpus {
    pub(super) objects: HashSet<VirtAddr>,
    /// Why some may be missing.
    pub(super) cut: Option<Unknown>,
}

/// A free list as far as it goes.
struct FreeList {
    objects: Vec<VirtAddr>,
    cut: Option<Unknown>,
}

impl Slub {
    /// What the slab at `at` says.
    pub(super) fn pages(
        &self,
        kernel: Kernel<'_>,
        map: &PhysicalMap,
        at: VirtAddr,
    ) -> Known<(VirtAddr, SlabPages)> {
        let fields = &self.slab;
        let span = span_of([fields.cache, fields.free, fields.in_use, fields.objects]);
        let bytes = StructBytes::read(kernel.memory, at, span)?;
        let start = map
            .start_of(at)
            .ok_or_else(|| Unknown::because(format!("the memory of the slab {at} is not known")))?;
        let pages = SlabPages {
            at,
            start,
            free: bytes.ptr(fields.free),
            in_use: bytes.get(fields.in_use),
            objects: bytes.get(fields.objects),
        };
        Ok((bytes.ptr(fields.cache), pages))
    }

    /// Whether the object at `object` is in use.
    ///
    /// # Errors
    /// [`Unknown`] when a free list that could name it is damaged or not in the dump.
    pub(super) fn usage(
        &self,
        kernel: Kernel<'_>,
        cache: &Cache,
        pages: &SlabPages,
        on_cpus: &FreeOnCpus,
        object: VirtAddr,
    ) -> Known<Use> {
        let list = free_list(kernel, cache, pages, pages.free);
        if list.objects.contains(&object) || on_cpus.objects.contains(&object) {
            return Ok(Use::Free);
        }
        if let Some(cut) = list.cut.or_else(|| on_cpus.cut.clone()) {
            return Err(cut);
        }
        let free = u64::try_from(list.objects.len()).unwrap_or(u64::MAX);
        if pages.in_use.checked_add(free) != Some(pages.objects) {
            return Err(Unknown::because(format!(
                "its slab counts {} of {} objects in use, and {free} are on its free list",
                pages.in_use, pages.objects
            )));
        }
        Ok(Use::Allocated)
    }

    /// The free objects that CPUs and nodes keep.
    pub(super) fn on_cpus(
        &self,
        kernel: Kernel<'_>,
        map: &PhysicalMap,
        cpus: &Cpus,
        cache: &Cache,
    ) -> FreeOnCpus {
        let mut found = FreeOnCpus { objects: HashSet::default(), cut: None };
        for cpu in cpus {
            let list = self.cpu_list(kernel, map, cache, |at| cpu.per_cpu(at));
            found.add(list, &format!("the free list of CPU {}", cpu.number));
            if let (Some(fields), Some(sheaves)) = (&self.sheaves, cache.cpu_sheaves) {
                let at = cpu.per_cpu(sheaves);
                for sheaf in [fields.main, fields.spare] {
                    let list = fields.objects(kernel, sheaf.read(kernel.memory, at).map(VirtAddr));
                    found.add(list, &format!("a sheaf of CPU {}", cpu.number));
                }
            }
        }
        if let (Some(sheaves), Some(nodes)) = (&self.sheaves, &self.nodes) {
            let barns = nodes.of(kernel, cache.at);
            let barns = barns.map(|nodes| nodes.into_iter().filter_map(|(_, barn)| barn));
            match barns {
                Ok(barns) => barns.for_each(|barn| sheaves.full(kernel, barn, &mut found)),
                Err(unknown) => found.cut = found.cut.or(Some(unknown)),
            }
        }
        found
    }

    /// The free list of one CPU's current slab.
    fn cpu_list(
        &self,
        kernel: Kernel<'_>,
        map: &PhysicalMap,
        cache: &Cache,
        of_cpu: impl Fn(VirtAddr) -> VirtAddr,
    ) -> Known<Vec<VirtAddr>> {
        let (Some(fields), Some(at)) = (&self.cpu, cache.cpu_slab) else { return Ok(Vec::new()) };
        let bytes =
            StructBytes::read(kernel.memory, of_cpu(at), span_of([fields.free, fields.slab]))?;
        let slab = bytes.ptr(fields.slab);
        if slab.is_null() || bytes.ptr(fields.free).is_null() {
            return Ok(Vec::new());
        }
        let (its, pages) = self.pages(kernel, map, slab)?;
        if its != cache.at {
            return Err(Unknown::because(format!("the slab {slab} is not of this cache")));
        }
        let list = free_list(kernel, cache, &pages, bytes.ptr(fields.free));
        match list.cut {
            Some(cut) => Err(cut),
            None => Ok(list.objects),
        }
    }
}

impl FreeOnCpus {
    fn add(&mut self, objects: Known<Vec<VirtAddr>>, from: &str) {
        match objects {
            Ok(objects) => self.objects.extend(objects),
            Err(unknown) if self.cut.is_none() => {
                self.cut = Some(Unknown::because(format!("{from}: {unknown}")));
            }
            Err(_) => {}
        }
    }
}

impl SheafFields {
    /// The objects of one sheaf.
    fn objects(
        &self,
        kernel: Kernel<'_>,
        at: Result<VirtAddr, crate::dump::Fault>,
    ) -> Known<Vec<VirtAddr>> {
        let at = at?;
        if at.is_null() {
            return Ok(Vec::new());
        }
        let count = self.count.read(kernel.memory, at)?;
        if count > MAX_SHEAF {
            return Err(Unknown::because(format!("the sheaf {at} has an impossible size")));
        }
        let bytes = usize::try_from(count * 8).unwrap_or(0);
        let bytes = kernel.memory.read_vec(at.plus(self.objects), bytes)?;
        let word = |bytes: &[u8]| bytes.first_chunk().map(|b| VirtAddr(u64::from_le_bytes(*b)));
        Ok(bytes.chunks_exact(8).filter_map(word).collect())
    }

    /// The objects of the full sheaves of one node.
    fn full(&self, kernel: Kernel<'_>, barn: VirtAddr, found: &mut FreeOnCpus) {
        let walked = walk::list(kernel.memory, barn.plus(self.full), MAX_SHEAVES);
        let cut = walked.cut.map(|cut| Err(Unknown::because(cut.to_string())));
        let sheaves =
            walked.found.iter().map(|node| self.objects(kernel, Ok(node.minus(self.on_barn))));
        for objects in sheaves.chain(cut) {
            found.add(objects, "the full sheaves of a node");
        }
    }
}

impl Cache {
    /// The object that holds an address of a slab, and the offset in it; `None` between objects.
    pub(super) fn object_at(
        &self,
        start: VirtAddr,
        objects: u64,
        at: VirtAddr,
    ) -> Option<(VirtAddr, u64)> {
        let first = start.checked_add(self.pad)?;
        let inside = at.offset_from(first)?;
        let index = inside.checked_div(self.size).filter(|index| *index < objects)?;
        let offset = inside.checked_rem(self.size)?;
        Some((first.plus(index.checked_mul(self.size)?), offset))
    }

    /// Whether an object begins there.
    fn begins(&self, pages: &SlabPages, at: VirtAddr) -> bool {
        let found = self.object_at(pages.start, pages.objects, at);
        found.is_some_and(|(_, offset)| offset == 0)
    }
}

/// Follows a free list from its first object. Every object on it must be one of the slab's.
fn free_list(kernel: Kernel<'_>, cache: &Cache, pages: &SlabPages, first: VirtAddr) -> FreeList {
    let mut list = FreeList { objects: Vec::new(), cut: None };
    let mut seen = HashSet::default();
    let damaged = |what: String| Some(Unknown::because(format!("the slab {}: {what}", pages.at)));
    let mut at = first;
    while !at.is_null() {
        if !cache.begins(pages, at) {
            list.cut = damaged(format!("its free list leads to {at}, where no object begins"));
            return list;
        }
        if !seen.insert(at) || list.objects.len() as u64 >= MAX_OBJECTS {
            list.cut = damaged(format!("its free list meets {at} twice"));
            return list;
        }
        list.objects.push(at);
        match next(kernel, cache, pages, at.plus(cache.link)) {
            Ok(next) => at = next,
            Err(fault) => {
                list.cut = damaged(format!("its free list cannot be followed: {fault}"));
                return list;
            }
        }
    }
    list
}

/// The link that lies at `at`.
fn next(
    kernel: Kernel<'_>,
    cache: &Cache,
    pages: &SlabPages,
    at: VirtAddr,
) -> Result<VirtAddr, crate::dump::Fault> {
    let raw = kernel.memory.read_u64(at)?;
    let Some(random) = cache.random else { return Ok(VirtAddr(raw)) };
    let swapped = VirtAddr(raw ^ random ^ at.0.swap_bytes());
    let plain = VirtAddr(raw ^ random ^ at.0);
    let fits = |next: &VirtAddr| next.is_null() || cache.begins(pages, *next);
    Ok([swapped, plain].into_iter().find(fits).unwrap_or(swapped))
}

/// How much of a cache is in use.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CacheUse {
    /// Objects in use.
    pub allocated: u64,
    /// Objects that its slabs have room for.
    pub total: u64,
    /// Slabs.
    pub slabs: u64,
}

impl Slub {
    /// Counts the objects of a cache.
    ///
    /// # Errors
    /// [`Unknown`] where the kernel keeps no counts (`CONFIG_SLUB_DEBUG` is off) or a list is
    /// damaged.
    pub(super) fn count(
        &self,
        kernel: Kernel<'_>,
        cpus: &Cpus,
        cache: &Cache,
        on_cpus: &FreeOnCpus,
    ) -> Known<CacheUse> {
        let unkept = || Unknown::because("the kernel does not count its slabs");
        let nodes = self.nodes.as_ref().ok_or_else(unkept)?;
        let (slabs, total) = (nodes.slabs.ok_or_else(unkept)?, nodes.total.ok_or_else(unkept)?);
        let list = self.slab.list.ok_or_else(unkept)?;
        if let Some(cut) = &on_cpus.cut {
            return Err(cut.clone());
        }
        let mut found = CacheUse { allocated: 0, total: 0, slabs: 0 };
        let mut free = u64::try_from(on_cpus.objects.len()).unwrap_or(u64::MAX);
        for (node, _) in nodes.of(kernel, cache.at)? {
            found.slabs = found.slabs.saturating_add(slabs.read(kernel.memory, node)?);
            found.total = found.total.saturating_add(total.read(kernel.memory, node)?);
            let walked = walk::list(kernel.memory, node.plus(nodes.partial), 1 << 22);
            if let Some(cut) = walked.cut {
                return Err(Unknown::because(format!("its partial slabs: {cut}")));
            }
            for slab in walked.found {
                free = free.saturating_add(self.room(kernel, slab.minus(list.offset))?);
            }
        }
        free = free.saturating_add(self.room_of_cpus(kernel, cpus, cache)?);
        found.allocated = found.total.checked_sub(free).ok_or_else(|| {
            Unknown::because(format!("{free} of its objects are free, and it has {}", found.total))
        })?;
        Ok(found)
    }

    /// Free objects on a slab's own list, by its counts.
    fn room(&self, kernel: Kernel<'_>, slab: VirtAddr) -> Known<u64> {
        let fields: [Field; 2] = [self.slab.in_use, self.slab.objects];
        let bytes = StructBytes::read(kernel.memory, slab, span_of(fields))?;
        Ok(bytes.get(self.slab.objects).saturating_sub(bytes.get(self.slab.in_use)))
    }

    /// Free objects on the own lists of the slabs that CPUs keep.
    fn room_of_cpus(&self, kernel: Kernel<'_>, cpus: &Cpus, cache: &Cache) -> Known<u64> {
        let (Some(fields), Some(at)) = (&self.cpu, cache.cpu_slab) else { return Ok(0) };
        let mut free = 0_u64;
        for cpu in cpus {
            let at = cpu.per_cpu(at);
            let current = VirtAddr(fields.slab.read(kernel.memory, at)?);
            if !current.is_null() {
                free = free.saturating_add(self.room(kernel, current)?);
            }
            let (Some(partial), Some(next)) = (fields.partial, self.slab.next) else { continue };
            let mut seen = HashSet::default();
            let mut slab = VirtAddr(partial.read(kernel.memory, at)?);
            while !slab.is_null() {
                if !seen.insert(slab) {
                    return Err(Unknown::because("a CPU's list of partial slabs is a circle"));
                }
                free = free.saturating_add(self.room(kernel, slab)?);
                slab = VirtAddr(next.read(kernel.memory, slab)?);
            }
        }
        Ok(free)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::debuginfo::{Symbols, Types};
    use crate::kernel::testing::Image;

    const START: u64 = 0xffff_8880_0010_0000;
    const RANDOM: u64 = 0x1122_3344_5566_7788;

    fn cache(random: Option<u64>) -> Cache {
        Cache {
            at: VirtAddr(0x1000),
            name: "things".into(),
            object_size: 48,
            size: 64,
            users: 1,
            order: Some(0),
            pad: 0,
            link: 32,
            random,
            cpu_slab: None,
            cpu_sheaves: None,
        }
    }

    fn pages(free: u64, in_use: u64) -> SlabPages {
        SlabPages {
            at: VirtAddr(0x2000),
            start: VirtAddr(START),
            free: VirtAddr(free),
            in_use,
            objects: 64,
        }
    }

    fn object(index: u64) -> u64 {
        START + 64 * index
    }

    /// A slab whose objects 3, 9 and 5 are free, linked with this mixing.
    fn image(mix: impl Fn(u64, u64) -> u64) -> Image {
        let mut image = Image::default();
        image.put(START, &[0; 4096]);
        for (index, next) in [(3, object(9)), (9, object(5)), (5, 0)] {
            let at = object(index) + 32;
            image.put_u64(at, mix(next, at));
        }
        image
    }

    fn follow(image: &Image, random: Option<u64>, first: u64) -> FreeList {
        let kernel = Kernel { memory: image, types: &Types::new(), symbols: &Symbols::default() };
        free_list(kernel, &cache(random), &pages(first, 61), VirtAddr(first))
    }

    #[test]
    fn a_free_list_is_followed_however_its_links_are_mixed() {
        let expected = [3, 9, 5].map(|index| VirtAddr(object(index)));
        let swapped = |next: u64, at: u64| next ^ RANDOM ^ at.swap_bytes();
        let plain = |next: u64, at: u64| next ^ RANDOM ^ at;
        for (image, random) in [
            (image(|next, _| next), None),
            (image(swapped), Some(RANDOM)),
            (image(plain), Some(RANDOM)),
        ] {
            let list = follow(&image, random, object(3));
            assert_eq!(list.objects, expected);
            assert_eq!(list.cut, None);
        }
    }

    #[test]
    fn a_link_that_leads_between_objects_or_in_a_circle_is_told() {
        let mut broken = image(|next, _| next);
        broken.put_u64(object(9) + 32, object(5) + 8);
        let list = follow(&broken, None, object(3));
        assert_eq!(list.objects.len(), 2);
        assert!(list.cut.unwrap().to_string().contains("where no object begins"));
        broken.put_u64(object(9) + 32, object(3));
        let cut = follow(&broken, None, object(3)).cut.unwrap().to_string();
        assert!(cut.ends_with("twice"), "{cut}");
    }

    #[test]
    fn addresses_between_objects_belong_to_none() {
        let mut cache = cache(None);
        cache.pad = 16;
        let at = |at: u64| cache.object_at(VirtAddr(START), 2, VirtAddr(START + at));
        assert_eq!(at(8), None);
        assert_eq!(at(16), Some((VirtAddr(START + 16), 0)));
        assert_eq!(at(16 + 64 + 60), Some((VirtAddr(START + 80), 60)));
        assert_eq!(at(16 + 128), None);
        cache.size = 0;
        assert_eq!(cache.object_at(VirtAddr(START), 2, VirtAddr(START + 16)), None);
    }
}
