//! The answer: what an address is, with the memory behind it. In words it is told by `words`.

use super::{Cache, Page, PerCpuPlace, StackPlace, Use, UserArea, VmallocArea, guard};
use crate::dump::{Fault, PhysAddr, VirtAddr};
use crate::kernel::{Known, Unknown};

/// What an address is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Identity {
    /// The address.
    pub at: VirtAddr,
    /// What it is, first of all.
    pub what: What,
    /// The slab object that it is in, be it a task or anything else.
    pub object: Option<SlabObject>,
    /// The vmalloc area that it is in.
    pub area: Option<VmallocArea>,
    /// The memory behind it.
    pub physical: Result<PhysAddr, Fault>,
    /// The page of that memory; of a `struct page` the page that it describes.
    pub page: Known<Page>,
    /// Whether the dump has the memory; why not, if it has not.
    pub readable: Result<(), Fault>,
}

/// What an address is, first of all.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum What {
    /// Code or data of the kernel or a module, by name.
    Symbol(SymbolPlace),
    /// In the `task_struct` of a task on the list of tasks.
    Task {
        /// Its `task_struct`.
        task: VirtAddr,
        /// `comm[pid]`
        label: Box<str>,
        /// Bytes from its start.
        offset: u64,
    },
    /// On a stack.
    Stack(StackPlace),
    /// A CPU's copy of a per-CPU variable.
    PerCpu(PerCpuPlace),
    /// An object of a slab cache; the details are in [`Identity::object`].
    Object,
    /// In a page of the slab allocator, whose object cannot be told.
    Slab(Unknown),
    /// The `struct page` of this page frame, and the offset in it.
    PageStruct(u64, u64),
    /// In the memory of a module, where it has no symbol.
    Module(Box<str>),
    /// In an area of the vmalloc space; the details are in [`Identity::area`].
    Vmalloc,
    /// A page of memory in the direct map; the details are in [`Identity::page`].
    Direct,
    /// In a mapping of a process.
    User(UserArea),
    /// Mapped, and nothing more is known of it.
    Mapped,
    /// Nothing, for this reason.
    Nothing(Unknown),
}

/// A symbol and an offset.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SymbolPlace {
    /// Its name.
    pub name: Box<str>,
    /// Bytes from its start.
    pub offset: u64,
    /// The module that it is of.
    pub module: Option<Box<str>>,
    /// Whether it is code.
    pub code: bool,
}

/// An object of a slab cache.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SlabObject {
    /// Its `struct kmem_cache`.
    pub cache: VirtAddr,
    /// The cache's name.
    pub cache_name: Box<str>,
    /// Its slab: a `struct slab`, or the first `struct page` of it.
    pub slab: VirtAddr,
    /// Where it begins; `None` for an address between objects.
    pub start: Option<VirtAddr>,
    /// Bytes from there to the address.
    pub offset: u64,
    /// Its size in bytes.
    pub size: u64,
    /// Whether it is in use.
    pub usage: Known<Use>,
    /// The struct that this cache holds, where it is for one kind alone.
    pub ty: Option<&'static str>,
}

impl SlabObject {
    /// The object of a slab: where it begins and how far in the address is, if it is in one.
    pub(super) fn of(
        cache: &Cache,
        slab: VirtAddr,
        object: Option<(VirtAddr, u64)>,
        usage: Known<Use>,
    ) -> SlabObject {
        SlabObject {
            cache: cache.at,
            cache_name: cache.name.clone(),
            slab,
            start: object.map(|(start, _)| start),
            offset: object.map_or(0, |(_, offset)| offset),
            size: cache.object_size,
            usage,
            ty: guard::type_of(cache),
        }
    }
}
