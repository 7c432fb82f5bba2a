//! Slab caches: every `struct kmem_cache`, and how this kernel's allocator lays them out.
//!
//! SLUB (mm/slub.c) and SLAB (mm/slab.c, to 6.7) have little in common but the name of the struct;
//! SLUB's has the member `oo`. SLOB keeps no caches worth the name.

use super::objects::FreeOnCpus;
use crate::debuginfo::Type;
use crate::dump::{VirtAddr, scrub};
use crate::kernel::fields::{Field, StructBytes, span_of};
use crate::kernel::{Kernel, Known, Unknown, walk};
use foldhash::HashMap;
use std::sync::OnceLock;

/// More caches than any kernel has.
const MAX_CACHES: usize = 1 << 16;
/// Longest name of a cache.
const MAX_NAME: usize = 128;
/// The largest stride of objects: more than any cache of either allocator has.
const MAX_OBJECT: u64 = 64 << 20;

/// One `struct kmem_cache`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Cache {
    /// Where it lies.
    pub at: VirtAddr,
    /// Its name, scrubbed.
    pub name: Box<str>,
    /// Bytes of one object.
    pub object_size: u64,
    /// Bytes from one object to the next.
    pub size: u64,
    /// How many caches it stands for; some of one size are merged. Negative for those of `kmalloc`
    /// itself.
    pub users: i64,
    /// Pages of one slab, as a power of two, where the allocator says it.
    pub order: Option<u32>,
    /// Objects start so far into a slab: room for a red zone.
    pub(super) pad: u64,
    /// Where a free object keeps the pointer to the next one.
    pub(super) link: u64,
    /// What that pointer is mixed with (`CONFIG_SLAB_FREELIST_HARDENED`).
    pub(super) random: Option<u64>,
    /// `cpu_slab`
    pub(super) cpu_slab: Option<VirtAddr>,
    /// `cpu_sheaves`
    pub(super) cpu_sheaves: Option<VirtAddr>,
}

/// Where SLUB has things.
pub(super) struct Slub {
    cache: SlubCache,
    /// In `struct slab` (5.17), or in `struct page` before.
    pub(super) slab: SlabFields,
    /// In `struct kmem_cache_cpu`, to 6.x.
    pub(super) cpu: Option<CpuFields>,
    pub(super) sheaves: Option<SheafFields>,
    /// The array of nodes in `struct kmem_cache`.
    pub(super) nodes: Option<NodeFields>,
}

struct SlubCache {
    size: Field,
    object_size: Field,
    link: Field,
    random: Option<Field>,
    pad: Option<Field>,
    order: Option<Field>,
    cpu_slab: Option<Field>,
    cpu_sheaves: Option<Field>,
}

/// Where a slab says what is in it.
pub(super) struct SlabFields {
    pub(super) cache: Field,
    pub(super) free: Field,
    pub(super) in_use: Field,
    pub(super) objects: Field,
    /// On a list of partial slabs.
    pub(super) list: Option<Field>,
    /// To the next of a CPU's partial slabs.
    pub(super) next: Option<Field>,
}

/// Where a `struct kmem_cache_cpu` has its slab.
pub(super) struct CpuFields {
    pub(super) free: Field,
    pub(super) slab: Field,
    pub(super) partial: Option<Field>,
}

/// Where sheaves of objects (6.18) are: `struct slub_percpu_sheaves`, `struct slab_sheaf`.
pub(super) struct SheafFields {
    pub(super) main: Field,
    pub(super) spare: Field,
    pub(super) count: Field,
    pub(super) objects: u64,
    pub(super) on_barn: u64,
    pub(super) full: u64,
}

/// Where a cache has what it keeps for each memory node.
pub(super) struct NodeFields {
    /// From the start of the cache, in bytes: the first node's entry.
    pub(super) first: u64,
    /// From one entry to the next.
    pub(super) stride: u64,
    /// In the entry, the pointer to `struct kmem_cache_node`.
    pub(super) node: u64,
    /// The pointer to `struct node_barn`: in the entry (7.1), or in `kmem_cache_node`.
    pub(super) barn: Option<(bool, Field)>,
    pub(super) partial: u64,
    pub(super) slabs: Option<Field>,
    pub(super) total: Option<Field>,
    /// `nr_node_ids`
    pub(super) count: u64,
}

/// Where SLAB has things.
pub(super) struct Slab {
    cache: [Field; 2],
    /// The cache of a page, …
    pub(super) of_page: Field,
    /// … and its first object, if the page itself says it.
    pub(super) first: Option<Field>,
}

/// The allocator of this kernel.
pub(super) enum Allocator {
    Slub(Box<Slub>),
    Slab(Slab),
}

/// All caches.
pub(super) struct Caches {
    pub(super) allocator: Known<Allocator>,
    pub(super) all: Vec<Cache>,
    by_address: HashMap<VirtAddr, usize>,
    /// For each cache, what its CPUs hold for themselves; found when it is first asked for.
    on_cpus: Vec<OnceLock<FreeOnCpus>>,
    /// Why some may be missing.
    pub(super) cut: Option<Unknown>,
}

impl Caches {
    pub(super) fn read(kernel: Kernel<'_>) -> Caches {
        let allocator = Allocator::probe(kernel);
        let listed = match &allocator {
            Ok(allocator) => list(kernel, allocator),
            Err(unknown) => Err(unknown.clone()),
        };
        let (all, cut) = listed.unwrap_or_else(|unknown| (Vec::new(), Some(unknown)));
        let by_address = all.iter().enumerate().map(|(index, cache)| (cache.at, index)).collect();
        let on_cpus = all.iter().map(|_| OnceLock::new()).collect();
        Caches { allocator, all, by_address, on_cpus, cut }
    }

    /// The cache at an address, and the place for what its CPUs hold.
    pub(super) fn at(&self, at: VirtAddr) -> Option<(&Cache, &OnceLock<FreeOnCpus>)> {
        let index = *self.by_address.get(&at)?;
        Some((self.all.get(index)?, self.on_cpus.get(index)?))
    }
}

impl Allocator {
    fn probe(kernel: Kernel<'_>) -> Known<Allocator> {
        let cache = kernel.structure("kmem_cache")?;
        if cache.has("oo") {
            return Ok(Allocator::Slub(Box::new(Slub::probe(kernel, cache)?)));
        }
        if !cache.has("batchcount") {
            return Err(Unknown::because("its slab allocator is neither SLUB nor SLAB"));
        }
        let page = kernel.structure("page")?;
        Ok(Allocator::Slab(Slab {
            cache: [
                Field::first_of(cache, &["size", "buffer_size"])?,
                Field::first_of(cache, &["object_size", "obj_size", "size", "buffer_size"])?,
            ],
            // Up to 3.6 the list member of a slab's page points to its cache instead.
            of_page: match kernel.field("slab", "slab_cache") {
                Ok(field) => field,
                Err(_) => Field::first_of(page, &["slab_cache", "lru.next"])?,
            },
            first: kernel
                .field("slab", "slab_cache")
                .and_then(|_| kernel.field("slab", "s_mem"))
                .ok()
                .or_else(|| Field::of(page, "s_mem").ok()),
        }))
    }
}

impl Slub {
    fn probe(kernel: Kernel<'_>, ty: Type<'_>) -> Known<Slub> {
        let field = |path| Field::of(ty, path).ok();
        let page = kernel.structure("page")?;
        let slab = kernel.structure("slab").ok().filter(|slab| slab.has("slab_cache"));
        let slab = slab.unwrap_or(page);
        let cpu = kernel.structure("kmem_cache_cpu").ok().and_then(|ty| {
            Some(CpuFields {
                free: Field::of(ty, "freelist").ok()?,
                slab: Field::first_of(ty, &["slab", "page"]).ok()?,
                partial: Field::of(ty, "partial").ok(),
            })
        });
        Ok(Slub {
            cache: SlubCache {
                size: Field::of(ty, "size")?,
                object_size: Field::first_of(ty, &["object_size", "objsize"])?,
                link: Field::of(ty, "offset")?,
                random: field("random"),
                pad: field("red_left_pad"),
                order: field("oo"),
                cpu_slab: field("cpu_slab"),
                cpu_sheaves: field("cpu_sheaves"),
            },
            slab: SlabFields {
                cache: Field::first_of(slab, &["slab_cache", "slab"])?,
                free: Field::of(slab, "freelist")?,
                in_use: Field::of(slab, "inuse")?,
                objects: Field::of(slab, "objects")?,
                list: Field::first_of(slab, &["slab_list", "lru"]).ok(),
                next: Field::of(slab, "next").ok(),
            },
            cpu,
            sheaves: SheafFields::probe(kernel).ok(),
            nodes: NodeFields::probe(kernel, ty).ok(),
        })
    }
}

impl SheafFields {
    fn probe(kernel: Kernel<'_>) -> Known<SheafFields> {
        let sheaf = kernel.structure("slab_sheaf")?;
        Ok(SheafFields {
            main: kernel.field("slub_percpu_sheaves", "main")?,
            spare: kernel.field("slub_percpu_sheaves", "spare")?,
            count: Field::of(sheaf, "size")?,
            objects: sheaf.offset_of("objects")?,
            on_barn: sheaf.offset_of("barn_list")?,
            full: kernel.structure("node_barn")?.offset_of("sheaves_full")?,
        })
    }
}

impl NodeFields {
    fn probe(kernel: Kernel<'_>, cache: Type<'_>) -> Known<NodeFields> {
        let node = kernel.structure("kmem_cache_node")?;
        let entry = kernel.structure("kmem_cache_per_node_ptrs").ok();
        let entry = entry.filter(|_| cache.has("per_node"));
        let count = kernel.symbol("nr_node_ids").and_then(|at| Ok(kernel.memory.read_u32(at)?));
        Ok(NodeFields {
            first: cache.offset_of(if entry.is_some() { "per_node" } else { "node" })?,
            stride: entry.and_then(|entry| entry.size()).unwrap_or(8),
            node: match entry {
                Some(entry) => entry.offset_of("node")?,
                None => 0,
            },
            barn: match entry {
                Some(entry) => Some((true, Field::of(entry, "barn")?)),
                None => Field::of(node, "barn").ok().map(|barn| (false, barn)),
            },
            partial: node.offset_of("partial")?,
            slabs: Field::of(node, "nr_slabs").ok(),
            total: Field::of(node, "total_objects").ok(),
            count: count.map_or(1, |count| u64::from(count).clamp(1, 1024)),
        })
    }

    /// The entries of a cache: for each node its `struct kmem_cache_node` and `struct node_barn`.
    pub(super) fn of(
        &self,
        kernel: Kernel<'_>,
        cache: VirtAddr,
    ) -> Known<Vec<(VirtAddr, Option<VirtAddr>)>> {
        let mut found = Vec::new();
        for index in 0..self.count {
            let entry = cache.plus(self.first).plus(index.saturating_mul(self.stride));
            let node = kernel.memory.read_ptr(entry.plus(self.node))?;
            let barn = match self.barn {
                Some((true, field)) => Some(field.read(kernel.memory, entry)?),
                Some((false, field)) if !node.is_null() => Some(field.read(kernel.memory, node)?),
                _ => None,
            };
            if !node.is_null() {
                found.push((node, barn.filter(|barn| *barn != 0).map(VirtAddr)));
            }
        }
        Ok(found)
    }
}

/// Every cache on the kernel's list.
fn list(kernel: Kernel<'_>, allocator: &Allocator) -> Known<(Vec<Cache>, Option<Unknown>)> {
    let ty = kernel.structure("kmem_cache")?;
    let head = kernel.first_symbol(&["slab_caches", "cache_chain"])?;
    let link = Field::first_of(ty, &["list", "next"])?;
    let (name, users) = (Field::of(ty, "name")?, Field::of(ty, "refcount").ok());
    let (size, object_size) = match allocator {
        Allocator::Slub(slub) => (slub.cache.size, slub.cache.object_size),
        Allocator::Slab(slab) => (slab.cache[0], slab.cache[1]),
    };
    let slub = match allocator {
        Allocator::Slub(slub) => Some(&slub.cache),
        Allocator::Slab(_) => None,
    };
    let mut fields = vec![name, size, object_size];
    fields.extend(users);
    if let Some(slub) = slub {
        fields.push(slub.link);
        fields.extend(
            [slub.random, slub.pad, slub.order, slub.cpu_slab, slub.cpu_sheaves]
                .into_iter()
                .flatten(),
        );
    }
    let span = span_of(fields);
    let walked = walk::list(kernel.memory, head, MAX_CACHES);
    let mut cut = walked.cut.map(|cut| Unknown::because(format!("the list of slab caches: {cut}")));
    let mut found = Vec::new();
    for at in walked.found.into_iter().map(|node| node.minus(link.offset)) {
        let bytes = match StructBytes::read(kernel.memory, at, span.clone()) {
            Ok(bytes) => bytes,
            Err(fault) => {
                cut = cut.or(Some(fault.into()));
                continue;
            }
        };
        let text = kernel.memory.read_cstr(bytes.ptr(name), MAX_NAME);
        let get = |field: Option<Field>| field.map(|field| bytes.get(field));
        let pointer = |field: Option<Field>| get(field).filter(|at| *at != 0).map(VirtAddr);
        found.push(Cache {
            at,
            name: text.map_or_else(|_| "?".to_owned(), |text| scrub(&text)).into(),
            // The widths differ between kernels; the object's size is 32 bits in all of them.
            object_size: bytes.get(object_size) & 0xffff_ffff,
            size: (bytes.get(size) & 0xffff_ffff).min(MAX_OBJECT),
            users: users.map_or(1, |users| bytes.signed(users)),
            // `struct kmem_cache_order_objects`: the number of objects, and above it the order.
            order: get(slub.and_then(|slub| slub.order))
                .and_then(|oo| u32::try_from(oo >> 16 & 0xff).ok()),
            pad: get(slub.and_then(|slub| slub.pad)).unwrap_or(0) & 0xffff_ffff,
            link: get(slub.map(|slub| slub.link)).unwrap_or(0) & 0xffff_ffff,
            random: get(slub.and_then(|slub| slub.random)),
            cpu_slab: pointer(slub.and_then(|slub| slub.cpu_slab)),
            cpu_sheaves: pointer(slub.and_then(|slub| slub.cpu_sheaves)),
        });
    }
    Ok((found, cut))
}
