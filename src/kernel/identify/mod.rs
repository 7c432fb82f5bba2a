//! "What is at this address?": one answer for any number.
//!
//! Each kind of answer has its own file. What takes a walk over the whole machine (stacks, slab
//! caches, vmalloc areas, per-CPU units) is read once, when it is first asked for, and kept in the
//! session; after that an answer takes microseconds, but for the backtrace of a stack's task.
//! Every part is known, or has the reason why not.

mod caches;
mod guard;
mod identity;
mod map;
mod objects;
mod percpu;
mod stacks;
mod user;
mod vmalloc;
mod words;

pub use caches::Cache;
pub use identity::{Identity, SlabObject, SymbolPlace, What};
pub use map::Page;
pub use objects::{CacheUse, Use};
pub use percpu::PerCpuPlace;
pub use stacks::{FrameAt, StackOwner, StackPlace};
pub use user::{UserArea, dentry_path, path_of};
pub use vmalloc::{VmStruct, VmallocArea};

use super::{Known, Session, Task, Unknown};
use crate::dump::{PhysAddr, VirtAddr};
use caches::{Allocator, Caches};
use map::PhysicalMap;
use objects::FreeOnCpus;
use percpu::PerCpu;
use stacks::Stacks;
use std::sync::OnceLock;
use vmalloc::VmallocAreas;

/// The highest address of a process, with five levels of page tables. Above is the kernel.
const USER_END: VirtAddr = VirtAddr(0x0100_0000_0000_0000);
/// Kernel image, modules and what is above them.
const IMAGE: VirtAddr = VirtAddr(0xffff_ffff_8000_0000);

/// What answers stand on, each read when it is first asked for.
#[derive(Default)]
pub(super) struct Index {
    map: OnceLock<PhysicalMap>,
    caches: OnceLock<Caches>,
    areas: OnceLock<VmallocAreas>,
    per_cpu: OnceLock<Known<PerCpu>>,
    stacks: OnceLock<Stacks>,
}

impl Session {
    fn map(&self) -> &PhysicalMap {
        let find = || PhysicalMap::find(self.kernel(), self.space(), self.dump().vmcoreinfo());
        self.index().map.get_or_init(find)
    }

    fn caches(&self) -> &Caches {
        self.index().caches.get_or_init(|| Caches::read(self.kernel()))
    }

    fn areas(&self) -> &VmallocAreas {
        self.index().areas.get_or_init(|| VmallocAreas::read(self.kernel()))
    }

    /// The areas of the vmalloc space, by address, and why some may be missing.
    #[must_use]
    pub fn vmalloc_areas(&self) -> (&[VmallocArea], Option<&Unknown>) {
        let areas = self.areas();
        (&areas.areas, areas.cut.as_ref())
    }

    /// Every slab cache in the kernel's order, and why some may be missing.
    #[must_use]
    pub fn slab_caches(&self) -> (&[Cache], Option<&Unknown>) {
        let caches = self.caches();
        (&caches.all, caches.cut.as_ref())
    }

    /// How much of a cache is in use.
    ///
    /// # Errors
    /// [`Unknown`] where the allocator does not count, or its lists are damaged.
    pub fn cache_use(&self, cache: &Cache) -> Known<CacheUse> {
        match &self.caches().allocator {
            Ok(Allocator::Slub(slub)) => {
                let on_cpus = self.on_cpus(slub, cache);
                slub.count(self.kernel(), self.cpus(), cache, on_cpus?)
            }
            Ok(Allocator::Slab(_)) => Err(Unknown::because("the objects of SLAB are not counted")),
            Err(unknown) => Err(unknown.clone()),
        }
    }

    fn on_cpus(&self, slub: &caches::Slub, cache: &Cache) -> Known<&FreeOnCpus> {
        let (cache, found) =
            self.caches().at(cache.at).ok_or_else(|| Unknown::because("no such cache"))?;
        Ok(found.get_or_init(|| slub.on_cpus(self.kernel(), self.map(), self.cpus(), cache)))
    }

    /// The page that holds a physical address.
    ///
    /// # Errors
    /// [`Unknown`] when there is no such page or its `struct page` cannot be read.
    pub fn page(&self, at: PhysAddr) -> Known<Page> {
        self.map().page(self.kernel(), at.page())
    }

    /// Where the kernel's direct map has a physical address.
    #[must_use]
    pub fn direct(&self, at: PhysAddr) -> Option<VirtAddr> {
        self.map().virt(at)
    }

    /// What an address is. One of user space is looked for in the process of `task`.
    #[must_use]
    pub fn identify(&self, at: VirtAddr, task: Option<&Task>) -> Identity {
        if at < USER_END {
            return self.identify_user(at, task);
        }
        let physical = self.space().translate(at);
        let page = match &physical {
            Ok(physical) => self.page(*physical),
            Err(fault) => Err((*fault).into()),
        };
        let readable = self.memory().read_u8(at).map(|_| ());
        let mut found = Identity {
            at,
            what: What::Mapped,
            object: None,
            area: self.areas().at(at).cloned(),
            physical,
            page,
            readable,
        };
        found.what = self.what(&mut found);
        if let What::PageStruct(pfn, _) = found.what {
            found.page = self.map().page(self.kernel(), pfn);
        }
        found
    }

    fn what(&self, found: &mut Identity) -> What {
        let at = found.at;
        if at >= IMAGE
            && let Some(symbol) = self.symbolize(at)
        {
            // The first idle task and its stack are variables.
            if let Some(task) = self.tasks().at(symbol.symbol.at) {
                let offset = symbol.offset;
                return What::Task { task: task.at, label: task.label().into(), offset };
            }
            if !symbol.symbol.is_text()
                && let Some(place) = self.stacks().at(self, at)
            {
                return What::Stack(place);
            }
            return What::Symbol(SymbolPlace {
                name: symbol.symbol.name.into(),
                offset: symbol.offset,
                module: symbol.symbol.module.map(Into::into),
                code: symbol.symbol.is_text(),
            });
        }
        let slab = found.page.as_ref().ok().filter(|page| page.is_slab()).cloned();
        let in_direct_map = self.map().phys(at).is_some();
        if let Some(page) = slab.filter(|_| in_direct_map) {
            match self.object_in(&page, at) {
                Ok(object) => found.object = Some(object),
                Err(unknown) => return What::Slab(unknown),
            }
        }
        if let Some(task) = self.task_at(found.object.as_ref(), at) {
            let offset = at.offset_from(task.at).unwrap_or(0);
            return What::Task { task: task.at, label: task.label().into(), offset };
        }
        if let Some(place) = self.stacks().at(self, at) {
            return What::Stack(place);
        }
        if found.object.is_some() {
            return What::Object;
        }
        let per_cpu = self.per_cpu_index().as_ref().ok();
        if let Some(place) = per_cpu.and_then(|index| index.at(at)) {
            return What::PerCpu(place);
        }
        if let Some((pfn, offset)) = self.map().described(at) {
            return What::PageStruct(pfn, offset);
        }
        if let Some(module) = self.modules().iter().find(|module| module.contains(at)) {
            return What::Module(module.name.clone());
        }
        if found.area.is_some() {
            return What::Vmalloc;
        }
        match &found.physical {
            Ok(_) if in_direct_map => What::Direct,
            Ok(_) => What::Mapped,
            Err(fault) => What::Nothing(Unknown::because(fault.why.to_string())),
        }
    }

    fn per_cpu_index(&self) -> &Known<PerCpu> {
        let read = || PerCpu::read(self.kernel(), self.cpus(), self.modules());
        self.index().per_cpu.get_or_init(read)
    }

    fn stacks(&self) -> &Stacks {
        self.index().stacks.get_or_init(|| Stacks::find(self))
    }

    /// The task in whose `task_struct` an address is: by its slab object, or exactly.
    fn task_at(&self, object: Option<&SlabObject>, at: VirtAddr) -> Option<&Task> {
        let start = object.and_then(|object| object.start);
        self.tasks().at(at).or_else(|| self.tasks().at(start?))
    }

    fn identify_user(&self, at: VirtAddr, task: Option<&Task>) -> Identity {
        let space = match task {
            Some(task) => self.user_memory(task),
            None => Err(Unknown::because("a user address, of no task in particular")),
        };
        let physical = match &space {
            Ok(space) => space.translate(at),
            Err(_) => self.space().translate(at),
        };
        let readable = match (&space, &physical) {
            (Ok(space), Ok(_)) => crate::memory::VirtualMemory::read(space, at, &mut [0]),
            (_, Err(fault)) => Err(*fault),
            (Err(_), Ok(_)) => self.memory().read_u8(at).map(|_| ()),
        };
        let what = match task.map(|task| user::area(self.kernel(), task, at)) {
            Some(Ok(area)) => What::User(area),
            Some(Err(unknown)) => What::Nothing(unknown),
            None => What::Nothing(Unknown::because("a user address, of no task in particular")),
        };
        let page = match &physical {
            Ok(physical) => self.page(*physical),
            Err(fault) => Err((*fault).into()),
        };
        Identity { at, what, object: None, area: None, physical, page, readable }
    }

    /// The object of a slab page that holds an address of the direct map.
    fn object_in(&self, page: &Page, at: VirtAddr) -> Known<SlabObject> {
        let kernel = self.kernel();
        let caches = self.caches();
        let allocator = caches.allocator.as_ref().map_err(Unknown::clone)?;
        let known = |cache: VirtAddr| {
            let unlisted = || {
                Unknown::because(format!(
                    "the cache {cache} of its slab is not on the list of caches"
                ))
            };
            caches.at(cache).map(|(cache, _)| cache).ok_or_else(unlisted)
        };
        match allocator {
            Allocator::Slub(slub) => {
                let (cache, pages) = slub.pages(kernel, self.map(), page.head)?;
                let cache = known(cache)?;
                let object = cache.object_at(pages.start, pages.objects, at);
                let usage = match object {
                    Some((start, _)) => self
                        .on_cpus(slub, cache)
                        .and_then(|on_cpus| slub.usage(kernel, cache, &pages, on_cpus, start)),
                    None => Err(Unknown::because("it is in no object of its slab")),
                };
                Ok(SlabObject::of(cache, page.head, object, usage))
            }
            Allocator::Slab(slab) => {
                let cache = known(VirtAddr(slab.of_page.read(kernel.memory, page.head)?))?;
                let first = slab.first.ok_or_else(|| {
                    Unknown::because(format!(
                        "an object of {} of SLAB: its pages do not say where objects begin",
                        cache.name
                    ))
                })?;
                let first = VirtAddr(first.read(kernel.memory, page.head)?);
                let object = cache.object_at(first, u64::from(u16::MAX), at);
                let usage = Err(Unknown::because("the free lists of SLAB are not read"));
                Ok(SlabObject::of(cache, page.head, object, usage))
            }
        }
    }
}
