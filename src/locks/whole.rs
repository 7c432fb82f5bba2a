//! What a word or a lock is part of, in words: a page of a file, a buffer of a device, an inode, an
//! object of a slab cache.
//!
//! Those who wait for a bit name the word that it is in; what the word belongs to is told by the
//! function that they sleep in. Sources: `include/linux/{fs,buffer_head,page-flags,mm_types}.h`,
//! `fs/{buffer,inode,fs-writeback}.c`, `mm/filemap.c`.

use super::api;
use super::layout::enumerator_value;
use crate::debuginfo::{Tag, Type, Types};
use crate::dump::{VirtAddr, scrub};
use crate::kernel::identify::{SlabObject, What};
use crate::kernel::{Kernel, Session, dentry_path};

/// `__I_NEW`, `__I_SYNC`, `__I_DIO_WAKEUP`: bits of `i_state`, an enum only since 6.12.
const INODE_BITS: [(&str, i64); 3] = [("__I_NEW", 3), ("__I_SYNC", 7), ("__I_DIO_WAKEUP", 9)];
/// `MINORBITS`
const MINOR_BITS: u32 = 20;
/// `PAGE_MAPPING_ANON` and the bit beside it, in `mapping`.
const MAPPING_FLAGS: u64 = 3;
/// Bytes of a file system's or disk's name, and of `s_id`.
const MAX_NAME: usize = 32;
/// Structs in structs are followed this deep.
const DEEP: usize = 8;

/// What a word with flags is a member of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Flags {
    /// `page.flags`
    Page,
    /// `buffer_head.b_state`
    Buffer,
    /// `inode.i_state`
    Inode,
}

impl Flags {
    /// By the functions that a task sleeps in.
    pub(super) fn of(functions: &[&str]) -> Option<Flags> {
        functions.iter().map(|name| api::base_name(name)).find_map(|name| match name {
            "wait_on_page_bit"
            | "wait_on_page_bit_killable"
            | "__lock_page"
            | "__lock_page_killable"
            | "__lock_page_or_retry" => Some(Flags::Page),
            "__wait_on_buffer" | "__lock_buffer" => Some(Flags::Buffer),
            "inode_wait_for_writeback"
            | "__inode_wait_for_writeback"
            | "__wait_on_freeing_inode"
            | "inode_dio_wait"
            | "__inode_dio_wait"
            | "iget_locked"
            | "iget5_locked"
            | "ilookup"
            | "ilookup5"
            | "find_inode"
            | "find_inode_fast"
            | "insert_inode_locked"
            | "insert_inode_locked4" => Some(Flags::Inode),
            _ => None,
        })
    }

    /// The name of one of its bits: `PG_locked`, `BH_Lock`, `__I_SYNC`.
    pub(super) fn bit(self, types: &Types, bit: i64) -> Option<String> {
        let of = |name: &str| types.find(Tag::Enum, name).ok()?.enumerator(bit);
        match self {
            Flags::Page => of("pageflags").map(str::to_owned),
            Flags::Buffer => of("bh_state_bits").map(str::to_owned),
            Flags::Inode => {
                let named = INODE_BITS.into_iter().find(|(_, number)| *number == bit);
                let named = named.map(|(name, _)| name);
                of("inode_state_bits").or(named).map(str::to_owned)
            }
        }
    }

    /// What the word at `word` is part of.
    pub(super) fn whole(self, kernel: Kernel<'_>, word: VirtAddr) -> Option<String> {
        let start = |ty: &str, member: &str| {
            let field = kernel.field(ty, member).ok()?;
            word.checked_sub(field.offset)
        };
        match self {
            Flags::Page => folio(kernel, word),
            Flags::Buffer => buffer(kernel, start("buffer_head", "b_state")?),
            Flags::Inode => inode(kernel, start("inode", "i_state")?),
        }
    }
}

/// The number of a bit of `page.flags`.
pub(super) fn page_bit(types: &Types, name: &str) -> Option<i64> {
    enumerator_value(types.find(Tag::Enum, "pageflags").ok()?, name)
}

/// `page 3 of var/log/messages (inode 12 of ext4 sda1)`, for the `struct page` of a folio's head.
pub(super) fn folio(kernel: Kernel<'_>, page: VirtAddr) -> Option<String> {
    let read = |paths: &[(&str, &str)]| {
        let field = paths.iter().find_map(|(ty, path)| kernel.field(ty, path).ok())?;
        field.read(kernel.memory, page).ok()
    };
    let mapping = read(&[("folio", "mapping"), ("page", "mapping")])?;
    let index = read(&[("folio", "index"), ("page", "index"), ("page", "__folio_index")])?;
    if mapping == 0 {
        return Some("a page of no file".to_owned());
    }
    if mapping & MAPPING_FLAGS != 0 {
        return Some("a page of anonymous memory".to_owned());
    }
    let host = kernel.field("address_space", "host").ok()?;
    let host = VirtAddr(host.read(kernel.memory, VirtAddr(mapping)).ok()?);
    Some(format!("page {index} of {}", inode(kernel, host)?))
}

/// `block 8193 of sda (8:1)`, for a `struct buffer_head`.
pub(super) fn buffer(kernel: Kernel<'_>, at: VirtAddr) -> Option<String> {
    let read = |path| kernel.field("buffer_head", path).ok()?.read(kernel.memory, at).ok();
    let block = read("b_blocknr")?;
    Some(format!("block {block} of {}", device(kernel, VirtAddr(read("b_bdev")?))?))
}

/// `sda (8:1)`: the disk and the number of a `struct block_device`.
pub(super) fn device(kernel: Kernel<'_>, at: VirtAddr) -> Option<String> {
    let read = |path| kernel.field("block_device", path).ok()?.read(kernel.memory, at).ok();
    let number = read("bd_dev")?;
    let number = format!("{}:{}", number >> MINOR_BITS, number & ((1 << MINOR_BITS) - 1));
    Some(match read("bd_disk").and_then(|at| disk(kernel, VirtAddr(at))) {
        Some(disk) => format!("{disk} ({number})"),
        None => format!("device {number}"),
    })
}

/// The name of a `struct gendisk`.
pub(super) fn disk(kernel: Kernel<'_>, at: VirtAddr) -> Option<String> {
    let name = kernel.field("gendisk", "disk_name").ok()?;
    text(kernel, at.checked_add(name.offset)?)
}

/// `var/log/messages (inode 12 of ext4 sda1)`, for a `struct inode`.
pub(super) fn inode(kernel: Kernel<'_>, at: VirtAddr) -> Option<String> {
    let field = |path: &str| kernel.field("inode", path).ok()?.read(kernel.memory, at).ok();
    let number = field("i_ino")?;
    let of = superblock(kernel, VirtAddr(field("i_sb")?));
    Some(match alias(kernel, at) {
        Some(path) => format!("{path} (inode {number} of {of})"),
        None => format!("inode {number} of {of}"),
    })
}

/// The path of one of an inode's names inside its file system.
fn alias(kernel: Kernel<'_>, inode: VirtAddr) -> Option<String> {
    let first = kernel.field("inode", "i_dentry.first").ok()?.read(kernel.memory, inode).ok()?;
    let node = ["d_u.d_alias", "d_alias"];
    let node = node.into_iter().find_map(|path| kernel.field("dentry", path).ok())?;
    let dentry = Some(VirtAddr(first)).filter(|at| !at.is_null())?.checked_sub(node.offset)?;
    let path = dentry_path(kernel, dentry).ok()?;
    (!path.is_empty()).then(|| path.into())
}

/// `ext4 sda1`: a superblock's type and `s_id`.
pub(super) fn superblock(kernel: Kernel<'_>, at: VirtAddr) -> String {
    let name = || {
        let kind = kernel.field("super_block", "s_type").ok()?.read(kernel.memory, at).ok()?;
        let name = kernel.field("file_system_type", "name").ok()?;
        let kind = text(kernel, VirtAddr(name.read(kernel.memory, VirtAddr(kind)).ok()?))?;
        let id = kernel.field("super_block", "s_id").ok()?;
        let id = text(kernel, at.checked_add(id.offset)?).filter(|id| *id != kind);
        Some(id.map_or_else(|| kind.clone(), |id| format!("{kind} {id}")))
    };
    name().unwrap_or_else(|| format!("superblock {at}"))
}

fn text(kernel: Kernel<'_>, at: VirtAddr) -> Option<String> {
    let text = kernel.memory.read_cstr(at, MAX_NAME).ok()?;
    Some(scrub(&text)).filter(|text| !text.is_empty())
}

/// Which member of which object lies at an address with no name: `wait_chldexit of signal_struct 0x…`.
pub(super) fn member(session: &Session, at: VirtAddr, ty: &str) -> Option<String> {
    member_of(session.types(), session.identify(at, None).object.as_ref()?, ty)
}

/// Where an address with no name lies: `in an object of kmalloc-64, at +0x20`, `on the stack of
/// java[30413], frame #5 down`.
pub(super) fn place(session: &Session, at: VirtAddr) -> Option<String> {
    let found = session.identify(at, None);
    match (&found.what, &found.object) {
        (What::Stack(place), _) => Some(format!("on {place}")),
        (What::PerCpu(place), _) => Some(format!("in {place}")),
        (_, Some(object)) => in_object(object),
        _ => None,
    }
}

fn member_of(types: &Types, found: &SlabObject, ty: &str) -> Option<String> {
    let (start, name) = (found.start?, found.ty?);
    let path = path_to(types.structure(name).ok()?, found.offset, ty)?;
    Some(format!("{path} of {name} {start}"))
}

fn in_object(found: &SlabObject) -> Option<String> {
    found.start?;
    Some(match found.offset {
        0 => format!("at the start of an object of {}", found.cache_name),
        offset => format!("in an object of {}, at +{offset:#x}", found.cache_name),
    })
}

/// The path to the member of type `wanted` at an offset of a struct.
fn path_to(ty: Type<'_>, offset: u64, wanted: &str) -> Option<String> {
    let (mut ty, mut offset, mut path) = (ty, offset, Vec::new());
    for _ in 0..DEEP {
        let (name, member) = ty.members().find(|(_, member)| {
            let size = member.ty.size().unwrap_or(0);
            (member.offset()..member.offset().saturating_add(size)).contains(&offset)
        })?;
        path.extend(name);
        offset -= member.offset();
        ty = member.ty.resolved();
        let is = ty.name();
        if offset == 0 && is == wanted {
            return Some(path.join("."));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::debuginfo::Symbols;
    use crate::kernel::testing::{Image, TypeTable};

    const PAGE: u64 = 0xffff_ea00_0001_0000;
    const MAPPING: u64 = 0xffff_8880_0001_0000;
    const INODE: u64 = 0xffff_8880_0002_0000;
    const SUPER: u64 = 0xffff_8880_0003_0000;
    const BUFFER: u64 = 0xffff_8880_0004_0000;
    const DEVICE: u64 = 0xffff_8880_0005_0000;

    fn types() -> TypeTable {
        TypeTable::new()
            .with("page", 64, &[("flags", 0, 8), ("mapping", 24, 8), ("index", 32, 8)])
            .with("address_space", 64, &[("host", 0, 8)])
            .with("hlist_head", 8, &[("first", 0, 8)])
            .with(
                "inode",
                600,
                &[
                    ("i_sb", 40, 8),
                    ("i_ino", 64, 8),
                    ("i_state", 0x98, 8),
                    ("i_dentry: hlist_head", 0x100, 0),
                ],
            )
            .with("super_block", 800, &[("s_type", 40, 8), ("s_id", 0x100, 32)])
            .with("file_system_type", 64, &[("name", 0, 8)])
            .with("buffer_head", 104, &[("b_state", 0, 8), ("b_blocknr", 24, 8), ("b_bdev", 48, 8)])
            .with("block_device", 64, &[("bd_dev", 8, 4)])
    }

    fn memory() -> Image {
        let mut memory = Image::default();
        memory.put_u64(PAGE + 24, MAPPING);
        memory.put_u64(PAGE + 32, 3);
        memory.put_u64(MAPPING, INODE);
        memory.put_u64(INODE + 40, SUPER);
        memory.put_u64(INODE + 64, 12);
        memory.put_u64(SUPER + 40, SUPER + 0x200);
        memory.put_u64(SUPER + 0x200, SUPER + 0x300);
        memory.put(SUPER + 0x300, &[b"ext4".as_slice(), &[0; 32]].concat());
        memory.put(SUPER + 0x100, &[b"sda1".as_slice(), &[0; 32]].concat());
        memory.put_u64(BUFFER + 24, 8193);
        memory.put_u64(BUFFER + 48, DEVICE);
        memory.put(DEVICE + 8, &((8 << 20) + 1_u32).to_le_bytes());
        memory
    }

    fn whole(memory: &Image, flags: Flags, word: u64) -> Option<String> {
        let (types, symbols) = (types().types(), Symbols::default());
        flags.whole(Kernel { memory, types: &types, symbols: &symbols }, VirtAddr(word))
    }

    #[test]
    fn a_page_is_told_by_its_file_and_place() {
        let told = whole(&memory(), Flags::Page, PAGE);
        assert_eq!(told.as_deref(), Some("page 3 of inode 12 of ext4 sda1"));
        let mut anonymous = memory();
        anonymous.put_u64(PAGE + 24, MAPPING + 1);
        let told = whole(&anonymous, Flags::Page, PAGE);
        assert_eq!(told.as_deref(), Some("a page of anonymous memory"));
    }

    #[test]
    fn a_buffer_is_told_by_its_block_and_device_and_an_inode_by_its_number() {
        let told = whole(&memory(), Flags::Buffer, BUFFER);
        assert_eq!(told.as_deref(), Some("block 8193 of device 8:1"));
        let told = whole(&memory(), Flags::Inode, INODE + 0x98);
        assert_eq!(told.as_deref(), Some("inode 12 of ext4 sda1"));
    }

    #[test]
    fn the_function_slept_in_tells_what_a_bit_belongs_to() {
        let buffer =
            ["schedule", "io_schedule", "bit_wait_io", "__wait_on_bit", "__wait_on_buffer"];
        assert_eq!(Flags::of(&buffer), Some(Flags::Buffer));
        assert_eq!(Flags::of(&["schedule", "sleep_on_page", "__lock_page"]), Some(Flags::Page));
        assert_eq!(Flags::of(&["schedule", "bit_wait", "f"]), None);
        assert_eq!(Flags::Inode.bit(&Types::new(), 7).as_deref(), Some("__I_SYNC"));
    }

    #[test]
    fn a_lock_in_an_object_of_one_kind_has_the_name_of_the_member() {
        let types = TypeTable::new()
            .with("wait_queue_head", 24, &[("lock", 0, 4)])
            .with("inner", 32, &[("wait: wait_queue_head", 8, 0)])
            .with("signal_struct", 400, &[("count", 0, 4), ("more: inner", 0x20, 0)])
            .types();
        let ty = types.structure("signal_struct").unwrap();
        assert_eq!(path_to(ty, 0x28, "struct wait_queue_head").as_deref(), Some("more.wait"));
        assert_eq!(path_to(ty, 0x20, "struct wait_queue_head"), None);
    }

    #[test]
    fn a_page_of_no_file_and_a_file_system_without_a_disk_are_told_as_such() {
        let mut none = memory();
        none.put_u64(PAGE + 24, 0);
        assert_eq!(whole(&none, Flags::Page, PAGE).as_deref(), Some("a page of no file"));
        let mut tmpfs = memory();
        for at in [SUPER + 0x300, SUPER + 0x100] {
            tmpfs.put(at, b"tmpfs\0");
        }
        let told = whole(&tmpfs, Flags::Page, PAGE);
        assert_eq!(told.as_deref(), Some("page 3 of inode 12 of tmpfs"));
    }

    #[test]
    fn an_inode_has_the_path_of_its_name_and_the_root_of_a_file_system_has_none() {
        const ROOT: u64 = 0xffff_8880_0006_0000;
        const ENTRY: u64 = 0xffff_8880_0006_1000;
        let types = types()
            .with("qstr", 16, &[("len", 4, 4), ("name", 8, 8)])
            .with(
                "dentry",
                192,
                &[("d_parent*: dentry", 24, 0), ("d_name: qstr", 32, 0), ("d_alias", 176, 8)],
            )
            .types();
        let told = |entry: u64| {
            let mut memory = memory();
            memory.put_u64(INODE + 0x100, entry + 176);
            for (at, name) in [(ROOT, "/"), (ENTRY, "log")] {
                memory.put_u64(at + 24, ROOT);
                memory.put(at + 36, &u32::try_from(name.len()).unwrap().to_le_bytes());
                memory.put_u64(at + 40, at + 0x100);
                memory.put(at + 0x100, name.as_bytes());
            }
            let kernel = Kernel { memory: &memory, types: &types, symbols: &Symbols::default() };
            Flags::Inode.whole(kernel, VirtAddr(INODE + 0x98)).unwrap()
        };
        assert_eq!(told(ENTRY), "log (inode 12 of ext4 sda1)");
        assert_eq!(told(ROOT), "inode 12 of ext4 sda1");
    }

    #[test]
    fn an_address_inside_a_lock_is_not_the_lock() {
        let types = TypeTable::new()
            .with("wait_queue_head", 24, &[("lock", 0, 4)])
            .with("outer", 32, &[("wait: wait_queue_head", 8, 0)])
            .types();
        let ty = types.structure("outer").unwrap();
        assert_eq!(path_to(ty, 8, "struct wait_queue_head").as_deref(), Some("wait"));
        assert_eq!(path_to(ty, 10, "struct wait_queue_head"), None);
    }
}
