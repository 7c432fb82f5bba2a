//! Locks that are parts of what every machine has: address spaces, inodes of open files, superblocks.
//!
//! They are found from the data side, whether or not anybody waits for them: each process's
//! `mmap_lock`, the `i_rwsem` (until 4.6 `i_mutex`) of each open file's inode, each superblock's
//! `s_umount`. One word tells whether a lock is free; only those that are not are looked at further,
//! and all of them get their names from this. Sources: `include/linux/{mm_types,fs}.h`.

use super::{LockKind, whole};
use crate::debuginfo::{Type, Types};
use crate::dump::VirtAddr;
use crate::kernel::{OpenFile, Session, Task, open_files, path_of, walk};
use crate::memory::VirtualMemory;
use foldhash::{HashMap, HashSet};

/// More superblocks than any machine has mounted.
const MAX_SUPERBLOCKS: usize = 1 << 16;
/// `READER_BIAS` of an RT rwsem that nobody holds.
const RT_FREE: u64 = 1 << 31;

/// What a lock is part of.
#[derive(Clone, Copy, Debug)]
enum Whole {
    /// The inode of this `struct file`.
    Inode(VirtAddr),
    /// A `struct super_block`.
    Superblock(VirtAddr),
}

/// The word of a lock that tells whether it is free.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Word {
    offset: u64,
    size: u64,
    /// Its value when nobody holds the lock.
    free: u64,
}

impl Word {
    fn of_rwsem(types: &Types) -> Option<Word> {
        let ty = types.structure("rw_semaphore").ok()?;
        // PREEMPT_RT; all others; those of architectures without atomics.
        [("rwbase.readers", RT_FREE), ("count", 0), ("activity", 0)]
            .into_iter()
            .find_map(|(member, free)| Word::of(ty, member, free))
    }

    fn of_mutex(types: &Types) -> Option<Word> {
        let ty = types.structure("mutex").ok()?;
        // PREEMPT_RT; until 4.9; since 4.10.
        [("rtmutex.owner", 0), ("count", 1), ("owner", 0)]
            .into_iter()
            .find_map(|(member, free)| Word::of(ty, member, free))
    }

    fn of(ty: Type<'_>, member: &str, free: u64) -> Option<Word> {
        let member = ty.member(member).ok()?;
        let size = member.ty.size().filter(|size| matches!(size, 4 | 8))?;
        Some(Word { offset: member.offset(), size, free })
    }

    /// Whether the lock at `at` can be read and is not free.
    fn is_busy(self, memory: &dyn VirtualMemory, at: VirtAddr) -> bool {
        let at = at.plus(self.offset);
        let value = match self.size {
            4 => memory.read_u32(at).map(u64::from),
            _ => memory.read_u64(at),
        };
        value.is_ok_and(|value| value != self.free)
    }
}

/// The locks of inodes and superblocks, and which of all are not free.
#[derive(Default)]
pub(super) struct Parts {
    wholes: HashMap<VirtAddr, (&'static str, Whole)>,
    /// Those that are held or waited for, in order.
    pub(super) busy: Vec<(LockKind, VirtAddr)>,
}

impl Parts {
    /// Looks at every lock; `mmap_locks` are those of address spaces.
    pub(super) fn find(
        session: &Session,
        tasks: &[Task],
        mmap_locks: impl Iterator<Item = VirtAddr>,
    ) -> Parts {
        let tables = tasks.iter().filter_map(|task| task.files.as_ref().ok().copied());
        let files = open_files(session.kernel(), tables).unwrap_or_default();
        let superblocks = superblocks(session).unwrap_or_default();
        Parts::of(session.memory(), session.types(), mmap_locks, &files, &superblocks)
    }

    fn of(
        memory: &dyn VirtualMemory,
        types: &Types,
        mmap_locks: impl Iterator<Item = VirtAddr>,
        files: &[OpenFile],
        superblocks: &[VirtAddr],
    ) -> Parts {
        let mut parts = Parts::default();
        let rwsem = Word::of_rwsem(types).map(|word| (LockKind::Rwsem, word));
        let mutex = Word::of_mutex(types).map(|word| (LockKind::Mutex, word));
        parts.add(memory, rwsem, mmap_locks);
        let offset = |name: &str, member| types.structure(name).ok()?.offset_of(member).ok();
        for (member, how) in [("i_rwsem", rwsem), ("i_mutex", mutex)] {
            let Some(offset) = offset("inode", member) else { continue };
            let locks = files.iter().map(|open| (open.inode.plus(offset), Whole::Inode(open.file)));
            parts.wholes.extend(locks.clone().map(|(at, whole)| (at, (member, whole))));
            parts.add(memory, how, locks.map(|(at, _)| at));
        }
        if let Some(offset) = offset("super_block", "s_umount") {
            let locks = superblocks.iter().map(|at| (at.plus(offset), Whole::Superblock(*at)));
            parts.wholes.extend(locks.clone().map(|(at, whole)| (at, ("s_umount", whole))));
            parts.add(memory, rwsem, locks.map(|(at, _)| at));
        }
        parts.busy.sort_unstable();
        parts.busy.dedup();
        parts
    }

    fn add(
        &mut self,
        memory: &dyn VirtualMemory,
        how: Option<(LockKind, Word)>,
        locks: impl Iterator<Item = VirtAddr>,
    ) {
        let Some((kind, word)) = how else { return };
        let locks: HashSet<VirtAddr> = locks.collect();
        let busy = locks.into_iter().filter(|at| word.is_busy(memory, *at));
        self.busy.extend(busy.map(|at| (kind, at)));
    }

    /// What people call the lock at `at`: `i_rwsem of /var/log/messages`.
    pub(super) fn name(&self, session: &Session, at: VirtAddr) -> Option<String> {
        let (member, whole) = self.wholes.get(&at)?;
        Some(match whole {
            Whole::Inode(file) => match path_of(session.kernel(), *file) {
                Ok(path) => format!("{member} of {path}"),
                Err(_) => format!("{member} of the inode of file {file}"),
            },
            Whole::Superblock(superblock) => {
                format!("{member} of {}", whole::superblock(session.kernel(), *superblock))
            }
        })
    }
}

/// The superblocks on the kernel's list of them.
fn superblocks(session: &Session) -> Option<Vec<VirtAddr>> {
    let node = session.types().structure("super_block").ok()?.offset_of("s_list").ok()?;
    let head = session.symbols().address("super_blocks")?;
    let walked = walk::list(session.memory(), head, MAX_SUPERBLOCKS);
    Some(walked.found.into_iter().map(|at| at.minus(node)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::testing::{Image, TypeTable};

    const MM: u64 = 0xffff_8880_0001_0000;
    const INODE: u64 = 0xffff_8880_0002_0000;
    const SUPER: u64 = 0xffff_8880_0003_0000;

    /// Which locks are busy when the word of the first is `first`, and of all others `others`.
    fn busy(types: TypeTable, offset: u64, first: u64, others: u64) -> Vec<(LockKind, u64)> {
        let types = types
            .with("inode", 600, &[("i_rwsem: rw_semaphore", 0x80, 0)])
            .with("super_block", 600, &[("s_umount: rw_semaphore", 0x40, 0)])
            .types();
        let mut memory = Image::default();
        for (at, value) in [(MM, first), (INODE + 0x80, others), (SUPER + 0x40, others)] {
            memory.put_u64(at + offset, value);
        }
        let files = [OpenFile { inode: VirtAddr(INODE), file: VirtAddr(1) }];
        let mm = [VirtAddr(MM)].into_iter();
        let parts = Parts::of(&memory, &types, mm, &files, &[VirtAddr(SUPER)]);
        parts.busy.into_iter().map(|(kind, at)| (kind, at.0)).collect()
    }

    #[test]
    fn a_lock_is_busy_when_its_word_is_not_that_of_a_free_one() {
        let rwsem = || TypeTable::new().with("rw_semaphore", 40, &[("count", 8, 8)]);
        assert_eq!(busy(rwsem(), 8, 0x100, 0), [(LockKind::Rwsem, MM)]);
        let all = [MM, INODE + 0x80, SUPER + 0x40].map(|at| (LockKind::Rwsem, at));
        assert_eq!(busy(rwsem(), 8, 1, 1), all);
    }

    #[test]
    fn on_preempt_rt_a_free_rwsem_has_the_bias_of_readers() {
        let types = TypeTable::new().with("rwbase_rt", 40, &[("readers", 0, 4)]).with(
            "rw_semaphore",
            40,
            &[("rwbase: rwbase_rt", 0, 0)],
        );
        assert_eq!(busy(types, 0, 0x8000_0001, 0x8000_0000), [(LockKind::Rwsem, MM)]);
    }

    #[test]
    fn inodes_had_mutexes_that_count_down_from_one() {
        let types = TypeTable::new()
            .with("mutex", 32, &[("count", 0, 4), ("owner", 24, 8)])
            .with("inode", 600, &[("i_mutex: mutex", 0x80, 0)])
            .types();
        let mut memory = Image::default();
        memory.put_u64(INODE + 0x80, 1);
        memory.put_u64(INODE + 0x1080, 0);
        let files =
            [0, 0x1000].map(|more| OpenFile { inode: VirtAddr(INODE + more), file: VirtAddr(1) });
        let parts = Parts::of(&memory, &types, std::iter::empty(), &files, &[]);
        assert_eq!(parts.busy, [(LockKind::Mutex, VirtAddr(INODE + 0x1080))]);
    }
}
