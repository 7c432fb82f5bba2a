//! The cast guard: whether an address can be what it is read as.
//!
//! It speaks only of what is known for sure. An object of a cache that holds one kind alone, a task
//! and a variable have a type, and what is read must be that or a member at that very offset. Of
//! other memory only this is known: that it is code, free, or too small; and that a few structs live
//! nowhere but in their own cache. So a right cast never gets a warning.

use super::objects::Use;
use super::{Cache, Identity, SlabObject, What};
use crate::debuginfo::{Kind, Type, Types};
use crate::dump::VirtAddr;
use crate::kernel::Session;

/// Caches and the struct that each holds, where it is for one kind alone.
const KINDS: &[(&str, &str)] = &[
    ("task_struct", "task_struct"),
    ("mm_struct", "mm_struct"),
    ("signal_cache", "signal_struct"),
    ("sighand_cache", "sighand_struct"),
    ("files_cache", "files_struct"),
    ("fs_cache", "fs_struct"),
    ("filp", "file"),
    ("dentry", "dentry"),
    ("dentry_cache", "dentry"),
    ("inode_cache", "inode"),
    ("shmem_inode_cache", "shmem_inode_info"),
    ("proc_inode_cache", "proc_inode"),
    ("sock_inode_cache", "socket_alloc"),
    ("hugetlbfs_inode_cache", "hugetlbfs_inode_info"),
    ("mqueue_inode_cache", "mqueue_inode_info"),
    ("bdev_cache", "bdev_inode"),
    ("ext4_inode_cache", "ext4_inode_info"),
    ("ext3_inode_cache", "ext3_inode_info"),
    ("xfs_inode", "xfs_inode"),
    ("btrfs_inode", "btrfs_inode"),
    ("nfs_inode_cache", "nfs_inode"),
    ("fuse_inode", "fuse_inode"),
    ("ovl_inode", "ovl_inode"),
    ("vm_area_struct", "vm_area_struct"),
    ("anon_vma", "anon_vma"),
    ("anon_vma_chain", "anon_vma_chain"),
    ("cred_jar", "cred"),
    ("mnt_cache", "mount"),
    ("kernfs_node_cache", "kernfs_node"),
    ("radix_tree_node", "xa_node"),
    ("maple_node", "maple_node"),
    ("vmap_area", "vmap_area"),
    ("task_group", "task_group"),
    ("uid_cache", "user_struct"),
    ("sigqueue", "sigqueue"),
    ("buffer_head", "buffer_head"),
    ("jbd2_journal_head", "journal_head"),
    ("file_lock_cache", "file_lock"),
    ("eventpoll_epi", "epitem"),
    ("pool_workqueue", "pool_workqueue"),
    ("posix_timers_cache", "k_itimer"),
    ("key_jar", "key"),
    ("proc_dir_entry", "proc_dir_entry"),
    ("kmem_cache_node", "kmem_cache_node"),
    ("net_namespace", "net"),
    ("TCP", "tcp_sock"),
    ("UNIX", "unix_sock"),
];

/// Structs that are embedded in no other and allocated from nowhere but their own cache, if they
/// are not variables.
const NOWHERE_ELSE: &[&str] = &[
    "task_struct",
    "mm_struct",
    "signal_struct",
    "sighand_struct",
    "files_struct",
    "fs_struct",
    "dentry",
    "anon_vma",
];

/// Nesting of types that is followed, and how many are looked at.
const MAX_DEPTH: u32 = 32;
const MAX_VISITS: u32 = 4096;

/// The struct that a cache holds, where it is for one kind alone.
pub(super) fn type_of(cache: &Cache) -> Option<&'static str> {
    // Merged caches hold the objects of several.
    let alone = cache.users == 1;
    let kind = KINDS.iter().find(|(name, _)| **name == *cache.name);
    kind.filter(|_| alone).map(|(_, ty)| *ty)
}

impl Session {
    /// A warning, a sentence without its full stop, when what lies at `at` is known to be no
    /// machine code of the kernel.
    #[must_use]
    pub fn doubt_code(&self, at: VirtAddr) -> Option<String> {
        if at < super::USER_END {
            return None;
        }
        let found = self.identify(at, None);
        let code = match &found.what {
            What::Symbol(_) => self.symbolize(at).is_some_and(|symbol| symbol.symbol.is_text()),
            // Trampolines and BPF programs lie in areas of their own.
            What::Module(_) | What::Vmalloc | What::Mapped | What::Nothing(_) | What::User(_) => {
                true
            }
            _ => false,
        };
        (!code).then(|| format!("{at} is {found}, no code"))
    }

    /// A warning, a sentence without its full stop, when what lies at `at` is known not to be a
    /// `ty`.
    #[must_use]
    pub fn doubt(&self, at: VirtAddr, ty: Type<'_>) -> Option<String> {
        let wanted = ty.resolved();
        // A number or a pointer may be looked at anywhere, and a struct without a name has no place.
        wanted.compound()?;
        let name = wanted.def().name.as_deref()?;
        if at < super::USER_END {
            return None;
        }
        let found = self.identify(at, None);
        self.contradiction(&found, wanted, name)
            .or_else(|| self.lives_elsewhere(&found, name))
            .or_else(|| no_longer(&found))
            .or_else(|| too_small(&found, wanted, name))
    }

    /// The type of what is there is known, and it is another.
    fn contradiction(&self, found: &Identity, wanted: Type<'_>, name: &str) -> Option<String> {
        let at = found.at;
        let (holder, offset, described) = match &found.what {
            What::Symbol(place) if place.code => {
                return Some(format!("{at} is code, {place}, not a {name}"));
            }
            What::Symbol(place) => {
                (self.variable_type(&place.name)?, place.offset, format!("the variable {place}"))
            }
            What::Task { label, offset, .. } => {
                let ty = self.types().structure("task_struct").ok()?;
                (ty, *offset, format!("the task_struct of {label}"))
            }
            What::PerCpu(place) => {
                let (name, offset) = place.variable.as_ref()?;
                (self.variable_type(name)?, *offset, place.to_string())
            }
            What::Object => {
                let object = found.object.as_ref()?;
                let ty = object.ty?;
                let described = format!("a {ty} (an object of the cache {})", object.cache_name);
                (type_named(self.types(), ty)?, object.offset, described)
            }
            _ => return None,
        };
        if fits(holder, offset, wanted) {
            return None;
        }
        Some(match offset {
            0 => format!("{at} is {described}, not a {name}"),
            offset => {
                format!("{at} is {offset:#x} bytes into {described}, where there is no {name}")
            }
        })
    }

    /// The type of a variable that alone has its name: of several with one name it is not known
    /// which of them the type is of.
    fn variable_type(&self, name: &str) -> Option<Type<'_>> {
        let ty = self.types().variable(name).ok()?;
        let count =
            self.symbols().tables().map(|table| table.find_all(name).count()).sum::<usize>();
        (count == 1).then_some(ty)
    }

    /// What is read lives in its own cache and nowhere else, and this is elsewhere.
    fn lives_elsewhere(&self, found: &Identity, name: &str) -> Option<String> {
        let elsewhere = match &found.what {
            What::Object => found.object.as_ref().is_some_and(|object| object.ty != Some(name)),
            What::Stack(_) | What::PerCpu(_) | What::PageStruct(..) | What::Vmalloc => true,
            What::Direct => found.page.as_ref().is_ok_and(|page| !page.is_slab()),
            _ => false,
        };
        if !elsewhere || !NOWHERE_ELSE.contains(&name) {
            return None;
        }
        let (caches, _) = self.slab_caches();
        let home = caches.iter().find(|cache| type_of(cache) == Some(name))?;
        Some(format!("{} is {found}, and a {name} lives only in the cache {}", found.at, home.name))
    }
}

/// What is there has been given back.
fn no_longer(found: &Identity) -> Option<String> {
    let gone = match (&found.what, &found.object) {
        (What::Object | What::Task { .. }, Some(SlabObject { usage: Ok(Use::Free), .. })) => true,
        (What::Object, Some(object)) => object.start.is_none(),
        (What::Stack(place), _) => place.dead,
        (What::Direct, _) => found.page.as_ref().is_ok_and(super::Page::is_free),
        _ => false,
    };
    let tail = match found.what {
        What::Stack(_) => "",
        _ => ": what it holds is left over",
    };
    let object = found.object.as_ref().filter(|_| matches!(found.what, What::Task { .. }));
    let what = object.map_or_else(|| found.to_string(), ToString::to_string);
    gone.then(|| format!("{} is {what}{tail}", found.at))
}

/// What is read does not fit into what is there.
fn too_small(found: &Identity, wanted: Type<'_>, name: &str) -> Option<String> {
    let least = least(wanted, MAX_DEPTH);
    let (left, of) = match (&found.what, &found.object) {
        (What::Object, Some(object)) if object.ty.is_none() && object.start.is_some() => (
            object.size.saturating_sub(object.offset),
            format!("an object of {}", object.cache_name),
        ),
        (What::Stack(place), _) => (place.range.end.offset_from(found.at)?, "its stack".to_owned()),
        _ => return None,
    };
    (least > left).then(|| {
        format!(
            "{} is {found}: it is {left} bytes from the end of {of}, and a {name} takes {least}",
            found.at
        )
    })
}

/// `struct NAME`; what a cache of radix tree nodes holds was renamed (4.20).
fn type_named<'t>(types: &'t Types, name: &str) -> Option<Type<'t>> {
    let old = if name == "xa_node" { "radix_tree_node" } else { name };
    types.structure(name).or_else(|_| types.structure(old)).ok()
}

/// Whether a `wanted` may be read at `offset` of a `holder`: it is one, or has one there, or its
/// own struct begins with it, as a struct around another does.
fn fits(holder: Type<'_>, offset: u64, wanted: Type<'_>) -> bool {
    let around = || offset == 0 && has(wanted, 0, holder, MAX_DEPTH, &mut { MAX_VISITS });
    has(holder, offset, wanted, MAX_DEPTH, &mut { MAX_VISITS }) || around()
}

/// Whether a `holder` has a `wanted` at `offset`.
fn has(holder: Type<'_>, offset: u64, wanted: Type<'_>, depth: u32, visits: &mut u32) -> bool {
    let holder = holder.resolved();
    if offset == 0 && same(holder, wanted) {
        return true;
    }
    let (Some(depth), Some(left)) = (depth.checked_sub(1), visits.checked_sub(1)) else {
        // Too deep to know: no reason to doubt.
        return true;
    };
    *visits = left;
    let Some(size) = holder.size() else { return false };
    match holder.kind() {
        Kind::Array { count: 0, .. } => holder.target().is_some_and(|element| {
            let inside = element.size().and_then(|size| offset.checked_rem(size));
            inside.is_some_and(|inside| has(element, inside, wanted, depth, visits))
        }),
        Kind::Array { .. } if offset < size => holder.target().is_some_and(|element| {
            let inside = element.size().and_then(|size| offset.checked_rem(size));
            inside.is_some_and(|inside| has(element, inside, wanted, depth, visits))
        }),
        // What follows a struct's own members is room that its allocator asked for.
        Kind::Struct(_) if offset >= size => true,
        Kind::Struct(_) | Kind::Union(_) => holder.members().any(|(_, member)| {
            let Some(inside) = offset.checked_sub(member.offset()) else { return false };
            let open = matches!(member.ty.resolved().kind(), Kind::Array { count: 0, .. });
            let reaches = open || member.ty.size().is_some_and(|size| inside < size);
            member.bit_size.is_none() && reaches && has(member.ty, inside, wanted, depth, visits)
        }),
        _ => false,
    }
}

/// Whether two types are one: modules may carry their own copy of a struct.
fn same(a: Type<'_>, b: Type<'_>) -> bool {
    let name = |ty: Type<'_>| ty.def().name.clone();
    a == b || (name(a).is_some() && name(a) == name(b) && a.size() == b.size())
}

/// The fewest bytes that a struct takes: one that ends in an array may be allocated without it.
fn least(ty: Type<'_>, depth: u32) -> u64 {
    let ty = ty.resolved();
    let size = ty.size().unwrap_or(0);
    let Some(depth) = depth.checked_sub(1) else { return 0 };
    match ty.kind() {
        Kind::Array { .. } => 0,
        Kind::Struct(_) => {
            let members = ty.members().filter(|(_, member)| member.bit_size.is_none());
            let last = members.max_by_key(|(_, member)| member.bit_offset);
            match last {
                Some((_, last)) => match last.ty.resolved().kind() {
                    Kind::Array { .. } | Kind::Struct(_) | Kind::Union(_) => {
                        last.offset().saturating_add(least(last.ty, depth)).min(size)
                    }
                    _ => size,
                },
                None => size,
            }
        }
        Kind::Union(_) => {
            ty.members().map(|(_, member)| least(member.ty, depth)).min().unwrap_or(0)
        }
        _ => size,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::testing::TypeTable;

    fn types() -> Types {
        TypeTable::new()
            .with("list_head", 16, &[("next", 0, 8), ("prev", 8, 8)])
            .with("rw_semaphore", 24, &[("count", 0, 8), ("wait_list: list_head", 8, 0)])
            .with(
                "mm_struct",
                64,
                &[("pgd", 0, 8), ("mmap_lock: rw_semaphore", 16, 0), ("flags", 40, 8)],
            )
            .with("wrapped", 80, &[("mm: mm_struct", 0, 0), ("more", 64, 8)])
            .with("mask", 128, &[("head", 0, 8), ("bits", 8, 120)])
            .with("other", 64, &[("word", 0, 8)])
            .types()
    }

    #[test]
    fn a_member_fits_at_its_own_offset_and_nowhere_else() {
        let types = types();
        let ty = |name: &str| types.structure(name).unwrap();
        let mm = ty("mm_struct");
        assert!(fits(mm, 0, mm));
        assert!(fits(mm, 16, ty("rw_semaphore")));
        assert!(fits(mm, 24, ty("list_head")), "the list of the semaphore in it");
        assert!(!fits(mm, 16, ty("list_head")));
        assert!(!fits(mm, 0, ty("rw_semaphore")));
        assert!(!fits(mm, 16, mm));
        assert!(!fits(mm, 0, ty("other")));
        assert!(fits(mm, 64, ty("other")), "behind its members is room of the allocator");
        assert!(fits(mm, 0, ty("wrapped")), "a struct around it begins with it");
        assert!(!fits(mm, 16, ty("wrapped")));
    }

    #[test]
    fn an_array_at_the_end_may_be_shorter_than_declared() {
        let types = types();
        assert_eq!(least(types.structure("mask").unwrap(), 8), 8);
        assert_eq!(least(types.structure("mm_struct").unwrap(), 8), 64);
        assert_eq!(least(types.structure("other").unwrap(), 8), 64);
    }

    #[test]
    fn a_merged_cache_holds_no_kind_in_particular() {
        let mut cache = Cache {
            at: VirtAddr(0),
            name: "filp".into(),
            object_size: 232,
            size: 256,
            users: 1,
            order: None,
            pad: 0,
            link: 0,
            random: None,
            cpu_slab: None,
            cpu_sheaves: None,
        };
        assert_eq!(type_of(&cache), Some("file"));
        cache.users = 3;
        assert_eq!(type_of(&cache), None);
    }
}
