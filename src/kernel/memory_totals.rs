//! What the machine's memory is used for, from the counters that the kernel keeps itself.
//!
//! All are pages. The kernel's counters of zones and nodes (`vm_zone_stat`, `vm_node_stat`; one
//! `vm_stat` until 4.7; `mm/vmstat.c`) lack what each CPU has not added yet, as crash shows them.

use super::walk::{Walked, list};
use super::{Kernel, Known, Unknown};
use crate::dump::VirtAddr;

/// Superblocks have one inode a block device.
const MAX_BLOCK_DEVICES: usize = 1 << 16;
/// `HUGE_MAX_HSTATE` is 2 on x86-64.
const MAX_HUGE_SIZES: u64 = 8;
/// What a machine overcommits by default, in percent (`mm/util.c`).
const OVERCOMMIT_RATIO: u64 = 50;

/// Pages, by what they are used for.
#[derive(Clone, Debug)]
pub struct MemoryTotals {
    /// All that the kernel may hand out (`totalram_pages`).
    pub total: Known<u64>,
    /// Handed out to nobody.
    pub free: Known<u64>,
    /// Caches of block devices.
    pub buffers: Known<u64>,
    /// Caches of files, without swap and buffers.
    pub cached: Known<u64>,
    /// The slab allocator's.
    pub slab: Known<u64>,
    /// Set aside as huge pages, all sizes.
    pub huge_total: Known<u64>,
    /// Of those, free ones.
    pub huge_free: Known<u64>,
    /// Swap space.
    pub swap_total: Known<u64>,
    /// Of that, free.
    pub swap_free: Known<u64>,
    /// What may be promised where overcommitting is limited.
    pub commit_limit: Known<u64>,
    /// What was promised.
    pub committed: Known<u64>,
}

impl MemoryTotals {
    /// Reads the counters.
    #[must_use]
    pub fn read(kernel: Kernel<'_>) -> MemoryTotals {
        let total = number(kernel, &["_totalram_pages", "totalram_pages"]);
        let buffers = block_device_pages(kernel);
        let file = counter(kernel, "NR_FILE_PAGES").and_then(|pages| {
            let swapped = counter(kernel, "NR_SWAPCACHE").unwrap_or(0);
            Ok(pages.saturating_sub(swapped).saturating_sub(buffers.clone()?))
        });
        let slab = counter(kernel, "NR_SLAB_RECLAIMABLE_B")
            .or_else(|_| counter(kernel, "NR_SLAB_RECLAIMABLE"))
            .and_then(|reclaimable| {
                let other = counter(kernel, "NR_SLAB_UNRECLAIMABLE_B")
                    .or_else(|_| counter(kernel, "NR_SLAB_UNRECLAIMABLE"))?;
                Ok(reclaimable.saturating_add(other))
            })
            .or_else(|unknown| counter(kernel, "NR_SLAB").map_err(|_| unknown));
        let huge = huge_pages(kernel);
        let swap_total = number(kernel, &["total_swap_pages"]);
        let commit_limit = commit_limit(kernel, &total, &huge, &swap_total);
        MemoryTotals {
            total,
            free: counter(kernel, "NR_FREE_PAGES"),
            buffers,
            cached: file,
            slab,
            huge_total: huge.clone().map(|(total, _)| total),
            huge_free: huge.map(|(_, free)| free),
            swap_total,
            swap_free: number(kernel, &["nr_swap_pages"]),
            commit_limit,
            committed: committed(kernel),
        }
    }
}

/// The first of several variables that the kernel has; each is 64 bits wide, counters of an
/// `atomic_long_t` too. Below zero counts as none.
fn number(kernel: Kernel<'_>, names: &[&str]) -> Known<u64> {
    let value = kernel.memory.read_u64(kernel.first_symbol(names)?)?;
    Ok(u64::try_from(value.cast_signed()).unwrap_or(0))
}

/// The counter of that name among those of zones, of nodes, or of both.
fn counter(kernel: Kernel<'_>, name: &str) -> Known<u64> {
    let (of, index) = kernel.types.enumerator(name)?;
    let array = if of.name() == "enum node_stat_item" { "vm_node_stat" } else { "vm_zone_stat" };
    let array = kernel.first_symbol(&[array, "vm_stat"])?;
    let index = u64::try_from(index)
        .ok()
        .filter(|&index| index < 1024)
        .ok_or_else(|| Unknown::because(format!("{name} is no index")))?;
    let value = kernel.memory.read_u64(array.plus(8 * index))?;
    Ok(u64::try_from(value.cast_signed()).unwrap_or(0))
}

/// Pages in the caches of block devices: the inodes of their file system, since 5.11 through its
/// superblock, before that through the list of all devices (`fs/block_dev.c`, `block/bdev.c`).
fn block_device_pages(kernel: Kernel<'_>) -> Known<u64> {
    let pages_of_mapping = kernel.field("address_space", "nrpages")?;
    let mut sum = 0_u64;
    let mut add = |inode: VirtAddr| -> Known<()> {
        let mapping = kernel.field("inode", "i_mapping")?.read(kernel.memory, inode)?;
        let pages = pages_of_mapping.read(kernel.memory, VirtAddr(mapping))?;
        sum = sum.saturating_add(pages);
        Ok(())
    };
    let whole = |walked: Walked| match walked.cut {
        None => Ok(walked.found),
        Some(why) => Err(Unknown::because(format!("the list of block devices: {why}"))),
    };
    if let Ok(superblock) = kernel.symbol("blockdev_superblock") {
        let superblock = kernel.memory.read_ptr(superblock)?;
        let head = superblock.plus(kernel.field("super_block", "s_inodes")?.offset);
        let node = kernel.field("inode", "i_sb_list")?.offset;
        for inode in whole(list(kernel.memory, head, MAX_BLOCK_DEVICES))? {
            add(inode.minus(node))?;
        }
    } else {
        let node = kernel.field("block_device", "bd_list")?.offset;
        let inode = kernel.field("block_device", "bd_inode")?;
        let head = kernel.symbol("all_bdevs")?;
        for device in whole(list(kernel.memory, head, MAX_BLOCK_DEVICES))? {
            add(VirtAddr(inode.read(kernel.memory, device.minus(node))?))?;
        }
    }
    Ok(sum)
}

/// Huge pages of all sizes, and the free ones, in pages of 4 KiB (`mm/hugetlb.c`).
fn huge_pages(kernel: Kernel<'_>) -> Known<(u64, u64)> {
    // A kernel without huge pages has none.
    let Ok(states) = kernel.symbol("hstates") else { return Ok((0, 0)) };
    let size = kernel.structure("hstate")?.size().unwrap_or(0);
    let order = kernel.field("hstate", "order")?;
    let all = kernel.field("hstate", "nr_huge_pages")?;
    let free = kernel.field("hstate", "free_huge_pages")?;
    let count = kernel.memory.read_u32(kernel.symbol("hugetlb_max_hstate")?)?;
    let (mut total, mut unused) = (0_u64, 0_u64);
    for n in 0..u64::from(count).min(MAX_HUGE_SIZES) {
        let at = states.plus(n.saturating_mul(size));
        let order = u32::try_from(order.read(kernel.memory, at)?).unwrap_or(u32::MAX);
        let pages = |count: u64| 1_u64.checked_shl(order).unwrap_or(0).saturating_mul(count);
        total = total.saturating_add(pages(all.read(kernel.memory, at)?));
        unused = unused.saturating_add(pages(free.read(kernel.memory, at)?));
    }
    Ok((total, unused))
}

/// `vm_commit_limit()` in `mm/util.c`.
fn commit_limit(
    kernel: Kernel<'_>,
    total: &Known<u64>,
    huge: &Known<(u64, u64)>,
    swap: &Known<u64>,
) -> Known<u64> {
    let setting = |name: &str| kernel.symbol(name);
    let kib = setting("sysctl_overcommit_kbytes").and_then(|at| Ok(kernel.memory.read_u64(at)?));
    let allowed = match kib {
        Ok(kib) if kib != 0 => kib / 4,
        _ => {
            let ratio = setting("sysctl_overcommit_ratio")
                .and_then(|at| Ok(u64::from(kernel.memory.read_u32(at)?)))
                .unwrap_or(OVERCOMMIT_RATIO);
            let small = total.clone()?.saturating_sub(huge.clone()?.0);
            small.saturating_mul(ratio) / 100
        }
    };
    Ok(allowed.saturating_add(swap.clone()?))
}

/// `vm_committed_as`: a `percpu_counter`, without what each CPU has not added yet.
fn committed(kernel: Kernel<'_>) -> Known<u64> {
    let count = kernel.field("percpu_counter", "count")?;
    let value = count.read(kernel.memory, kernel.symbol("vm_committed_as")?)?;
    Ok(u64::try_from(value.cast_signed()).unwrap_or(0))
}
