//! What a sleeping task sleeps for, as far as its stack tells: until when, and on which device's I/O.
//!
//! Who sleeps with a timeout has its timer on its stack, known by the function that it runs: a
//! `process_timer` (until 4.14 a bare `timer_list`) or an `hrtimer_sleeper`. Who waits for I/O keeps
//! what it waits for in its frames: a request, a bio, a buffer, an inode. A word on a stack proves
//! nothing, so a pointer counts only if what it points to holds together: a disk's queue leads back to
//! the disk, an inode's mapping to the inode, and bios and buffers are objects of their caches.
//! Sources: `kernel/time/{timer,hrtimer}.c`, `include/linux/{blk_types,blkdev,buffer_head,fs}.h`.

use super::scene::Scene;
use super::whole;
use crate::dump::VirtAddr;
use crate::kernel::{Kernel, Session, ticks};
use std::time::Duration;

/// How much of a stack is looked through: timers and what is waited for are in the inner frames.
const INNER: u64 = 1024;
/// So many frames' registers are looked at.
const FRAMES: usize = 10;
/// `REQ_OP_MASK`, and the first operations of `enum req_op`.
const OPERATION: u64 = 0xff;
const OPERATIONS: [&str; 3] = ["read", "write", "flush"];
/// `CLOCK_MONOTONIC`
const MONOTONIC: u64 = 1;

/// Until when a task sleeps that asked for a timeout: `until 12.5 s after the dump`.
pub(super) fn until(scene: &Scene<'_>, index: usize) -> Option<String> {
    let functions = scene.functions(index);
    let asks = |name: &str| functions.iter().any(|function| function.starts_with(name));
    let task = scene.tasks.get(index)?;
    let kernel = scene.session.kernel();
    let words = inner_words(scene, index)?;
    if asks("schedule_hrtimeout") || asks("do_nanosleep") {
        let up = scene.session.system().uptime.as_ref().ok().copied()?;
        let left = hrtimer_expires(kernel, task.at, &words)?;
        return Some(in_words(left - i128::try_from(up.as_nanos()).ok()?));
    }
    if !asks("schedule_timeout") {
        return None;
    }
    let (now, hz) = ticks(kernel).ok()?;
    let run = kernel.symbol("process_timeout").ok()?;
    match timer_expires(kernel, task.at, &words, run) {
        Some(expires) => {
            let left = i128::from(expires.wrapping_sub(now).cast_signed());
            Some(in_words(left.saturating_mul(1_000_000_000) / i128::from(hz.max(1))))
        }
        // Without a timer nothing but a wake-up brings it back.
        None => Some("without a timeout".to_owned()),
    }
}

/// When the timer on a stack goes off, in jiffies; `run` is the function that wakes its task.
fn timer_expires(
    kernel: Kernel<'_>,
    task: VirtAddr,
    words: &[(VirtAddr, u64)],
    run: VirtAddr,
) -> Option<u64> {
    let function = kernel.field("timer_list", "function").ok()?;
    let expires = kernel.field("timer_list", "expires").ok()?;
    // Until 4.14 the timer itself had the task.
    let owner = [("process_timer", "task"), ("timer_list", "data")];
    let owner = owner.into_iter().find_map(|(ty, member)| kernel.field(ty, member).ok())?;
    words.iter().filter(|(_, word)| *word == run.0).find_map(|(at, _)| {
        let timer = at.checked_sub(function.offset)?;
        let of = owner.read(kernel.memory, timer).ok()?;
        (of == task.0).then(|| expires.read(kernel.memory, timer).ok()).flatten()
    })
}

/// When the precise timer on a stack goes off, in nanoseconds since boot.
fn hrtimer_expires(kernel: Kernel<'_>, task: VirtAddr, words: &[(VirtAddr, u64)]) -> Option<i128> {
    let run = kernel.symbol("hrtimer_wakeup").ok()?;
    let function = kernel.field("hrtimer", "function").ok()?;
    let expires = kernel.field("hrtimer", "node.expires").ok()?;
    let base = kernel.field("hrtimer", "base").ok()?;
    let clock = kernel.field("hrtimer_clock_base", "clockid").ok()?;
    let owner = kernel.field("hrtimer_sleeper", "task").ok()?;
    let memory = kernel.memory;
    words.iter().filter(|(_, word)| *word == run.0).find_map(|(at, _)| {
        let timer = at.checked_sub(function.offset)?;
        let base = VirtAddr(base.read(memory, timer).ok()?);
        let is_ours = owner.read(memory, timer).ok()? == task.0
            && clock.read(memory, base).ok()? == MONOTONIC;
        is_ours.then(|| expires.read(memory, timer).ok().map(i128::from)).flatten()
    })
}

/// A time from the dump on, in nanoseconds.
fn in_words(left: i128) -> String {
    let time = u64::try_from(left.abs()).map_or(Duration::MAX, Duration::from_nanos);
    let seconds = time.as_secs_f64();
    if left < 0 {
        format!("whose timeout was over {seconds:.1} s before the dump")
    } else {
        format!("until {seconds:.1} s after the dump")
    }
}

/// The I/O that a task's inner frames lead to: `a request of vda (254:0), write at sector 2048`.
pub(super) fn io(scene: &Scene<'_>, index: usize) -> Option<String> {
    let task = scene.tasks.get(index)?;
    let words = inner_words(scene, index)?;
    let frames = &scene.traces.get(index)?.frames;
    let registers = frames.iter().take(FRAMES).flat_map(|frame| frame.registers.iter());
    let mut pointers: Vec<VirtAddr> = registers
        .map(|(_, value)| value)
        .chain(words.iter().map(|(_, word)| *word))
        .filter(|value| value >> 63 == 1 && value % 8 == 0)
        .map(VirtAddr)
        .collect();
    pointers.sort_unstable();
    pointers.dedup();
    let is_of = |cache: &str, at| is_of(scene.session, cache, at);
    let disks = Disks { kernel: scene.session.kernel(), is_of: &is_of };
    let found =
        |look: &dyn Fn(VirtAddr) -> Option<String>| pointers.iter().find_map(|at| look(*at));
    let own = |at: VirtAddr| scene.on_stack(task, at);
    // What is nearest to the device tells most.
    found(&|at| disks.request(at))
        .or_else(|| found(&|at| disks.bio(at, |at| is_of("bio", at))))
        .or_else(|| {
            words.iter().find_map(|(at, _)| disks.bio(*at, |at| disks.ends_at(at, task.at, own)))
        })
        .or_else(|| found(&|at| disks.buffer(at)))
        .or_else(|| found(&|at| disks.inode(at)))
        .or_else(|| found(&|at| disks.device(at)))
}

/// The words of the inner frames.
fn inner_words(scene: &Scene<'_>, index: usize) -> Option<Vec<(VirtAddr, u64)>> {
    let from = scene.traces.get(index)?.frames.first()?.sp;
    let end = scene.session.stack(scene.tasks.get(index)?)?.end;
    scene.words(from, end.min(from.checked_add(INNER)?)).ok()
}

/// What block devices are made of.
struct Disks<'s> {
    kernel: Kernel<'s>,
    /// Whether an address is the start of an object of a cache whose name begins so.
    is_of: &'s dyn Fn(&str, VirtAddr) -> bool,
}

impl Disks<'_> {
    fn read(&self, ty: &str, path: &str, at: VirtAddr) -> Option<u64> {
        self.kernel.field(ty, path).ok()?.read(self.kernel.memory, at).ok()
    }

    fn pointer(&self, ty: &str, path: &str, at: VirtAddr) -> Option<VirtAddr> {
        Some(VirtAddr(self.read(ty, path, at)?)).filter(|to| to.0 >> 63 == 1)
    }

    /// The name of the disk at `at`, if it is one: its first partition, the whole disk, is its own.
    fn disk(&self, at: VirtAddr) -> Option<String> {
        let back = match self.pointer("block_device", "bd_disk", self.part0(at)?) {
            Some(back) => back == at,
            None => false,
        };
        back.then(|| whole::disk(self.kernel, at)).flatten()
    }

    /// `gendisk.part0`: a block device since 5.11.
    fn part0(&self, disk: VirtAddr) -> Option<VirtAddr> {
        self.pointer("gendisk", "part0", disk)
    }

    /// A block device, with its number: `vda1 (254:1)`.
    fn device(&self, at: VirtAddr) -> Option<String> {
        let disk = self.pointer("block_device", "bd_disk", at)?;
        self.disk(disk)?;
        Some(format!("the device {}", whole::device(self.kernel, at)?))
    }

    fn request(&self, at: VirtAddr) -> Option<String> {
        let queue = self.pointer("request", "q", at)?;
        let disk = self.pointer("request_queue", "disk", queue)?;
        if self.pointer("gendisk", "queue", disk)? != queue {
            return None;
        }
        // Others point to a queue in that place too: a request also has a tag's hardware queue.
        let hardware = self.pointer("request", "mq_hctx", at)?;
        if self.pointer("blk_mq_hw_ctx", "queue", hardware)? != queue {
            return None;
        }
        let name = self.disk(disk)?;
        let does =
            self.does(self.read("request", "cmd_flags", at), self.read("request", "__sector", at));
        Some(format!("the request {at} of {name}{does}"))
    }

    fn bio(&self, at: VirtAddr, is_bio: impl Fn(VirtAddr) -> bool) -> Option<String> {
        let device = self.pointer("bio", "bi_bdev", at)?;
        self.disk(self.pointer("block_device", "bd_disk", device)?)?;
        // What looks like one is asked about last: that costs most.
        let name = Some(whole::device(self.kernel, device)?).filter(|_| is_bio(at))?;
        let does =
            self.does(self.read("bio", "bi_opf", at), self.read("bio", "bi_iter.bi_sector", at));
        Some(format!("the bio {at} of {name}{does}"))
    }

    /// Whether the address is that of a bio whose end wakes its task, on whose stack it lies.
    fn ends_at(&self, at: VirtAddr, task: VirtAddr, own: impl Fn(VirtAddr) -> bool) -> bool {
        let wakes = self.pointer("bio", "bi_private", at);
        wakes.is_some_and(|wakes| wakes == task || own(wakes))
    }

    fn buffer(&self, at: VirtAddr) -> Option<String> {
        let device = self.pointer("buffer_head", "b_bdev", at)?;
        self.disk(self.pointer("block_device", "bd_disk", device)?)?;
        let is = (self.is_of)("buffer_head", at);
        is.then(|| whole::buffer(self.kernel, at)).flatten()
    }

    fn inode(&self, at: VirtAddr) -> Option<String> {
        let mapping = self.pointer("inode", "i_mapping", at)?;
        let host = self.pointer("address_space", "host", mapping)?;
        let sb = self.pointer("inode", "i_sb", at)?;
        // Only what lies on a device waits for one.
        let device = self.pointer("super_block", "s_bdev", sb)?;
        self.disk(self.pointer("block_device", "bd_disk", device)?)?;
        (host == at).then(|| whole::inode(self.kernel, at)).flatten()
    }

    fn does(&self, flags: Option<u64>, sector: Option<u64>) -> String {
        let operation = flags.and_then(|flags| usize::try_from(flags & OPERATION).ok());
        let operation = operation.and_then(|number| OPERATIONS.get(number));
        match (operation, sector) {
            (Some(operation), Some(sector)) => format!(", {operation} at sector {sector}"),
            (None, Some(sector)) => format!(", at sector {sector}"),
            _ => String::new(),
        }
    }
}

fn is_of(session: &Session, cache: &str, at: VirtAddr) -> bool {
    let object = session.identify(at, None).object;
    object.is_some_and(|object| object.start == Some(at) && object.cache_name.starts_with(cache))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::debuginfo::{SymbolTable, Symbols, Types};
    use crate::kernel::testing::{Image, TypeTable};
    use crate::memory::VirtualMemory;

    const TASK: u64 = 0xffff_8880_0001_0000;
    const STACK: u64 = 0xffff_c900_0001_0000;
    const RUN: u64 = 0xffff_ffff_8100_0000;

    fn words(image: &Image) -> Vec<(VirtAddr, u64)> {
        let at = |n: u64| VirtAddr(STACK + 8 * n);
        let memory: &dyn VirtualMemory = image;
        let read = |at| memory.read_u64(at).unwrap();
        (0..8).map(|n| (at(n), read(at(n)))).collect()
    }

    #[test]
    fn a_timer_on_a_stack_tells_until_when_its_task_sleeps_if_it_is_its_own() {
        let timer = [("entry", 0, 16), ("expires", 16, 8), ("function", 24, 8), ("flags", 32, 4)];
        let new = TypeTable::new()
            .with("timer_list", 40, &timer)
            .with("process_timer", 48, &[("task", 40, 8)])
            .types();
        let data = [("expires", 16, 8), ("function", 24, 8), ("data", 40, 8)];
        let old = TypeTable::new().with("timer_list", 48, &data).types();
        let symbols = Symbols::new(SymbolTable::new(None).finish(VirtAddr(0)), Vec::new());
        let expires = |types: &Types, task| {
            let mut image = Image::default();
            for (n, word) in [0, 0, 0, 5000, RUN, 0, task, 0].into_iter().enumerate() {
                image.put_u64(STACK + 8 * u64::try_from(n).unwrap(), word);
            }
            let kernel = Kernel { memory: &image, types, symbols: &symbols };
            timer_expires(kernel, VirtAddr(TASK), &words(&image), VirtAddr(RUN))
        };
        assert_eq!((expires(&new, TASK), expires(&old, TASK)), (Some(5000), Some(5000)));
        assert_eq!((expires(&new, TASK + 64), expires(&old, 0)), (None, None));
    }

    #[test]
    fn a_precise_timer_counts_if_it_runs_by_the_monotonic_clock() {
        const BASE: u64 = 0xffff_8880_0009_0000;
        let types = TypeTable::new()
            .with("timerqueue_node", 32, &[("expires", 0, 8)])
            .with(
                "hrtimer",
                48,
                &[("node: timerqueue_node", 0, 0), ("function", 8, 8), ("base", 16, 8)],
            )
            .with("hrtimer_clock_base", 64, &[("clockid", 4, 4)])
            .with("hrtimer_sleeper", 56, &[("task", 24, 8)])
            .types();
        let mut table = SymbolTable::new(None);
        table.push("hrtimer_wakeup", VirtAddr(RUN), 't');
        let symbols = Symbols::new(table.finish(VirtAddr(RUN + 16)), Vec::new());
        let expires = |clock: u64| {
            let mut image = Image::default();
            for (n, word) in [0, 7_000_000_000, RUN, BASE, TASK, 0, 0, 0].into_iter().enumerate() {
                image.put_u64(STACK + 8 * u64::try_from(n).unwrap(), word);
            }
            image.put_u64(BASE, clock << 32);
            let kernel = Kernel { memory: &image, types: &types, symbols: &symbols };
            hrtimer_expires(kernel, VirtAddr(TASK), &words(&image))
        };
        assert_eq!((expires(1), expires(0)), (Some(7_000_000_000), None));
    }

    #[test]
    fn how_long_a_timeout_lasts_is_told_from_the_dump_on() {
        assert_eq!(in_words(12_520_000_000), "until 12.5 s after the dump");
        assert_eq!(in_words(-300_000_000), "whose timeout was over 0.3 s before the dump");
    }

    const DISK: u64 = 0xffff_8880_0002_0000;
    const DEVICE: u64 = 0xffff_8880_0003_0000;
    const QUEUE: u64 = 0xffff_8880_0004_0000;
    const HARDWARE: u64 = 0xffff_8880_0005_0000;
    const THING: u64 = 0xffff_8880_0006_0000;

    /// What `look` finds of the thing that has these words, beside a disk.
    fn found(words: &[(u64, u64)], look: impl Fn(&Disks<'_>) -> Option<String>) -> Option<String> {
        let types = TypeTable::new()
            .with("gendisk", 256, &[("part0", 0, 8), ("queue", 8, 8), ("disk_name", 16, 32)])
            .with("block_device", 64, &[("bd_disk", 0, 8), ("bd_dev", 8, 4)])
            .with("request_queue", 64, &[("disk", 0, 8)])
            .with("blk_mq_hw_ctx", 64, &[("queue", 8, 8)])
            .with("bvec_iter", 24, &[("bi_sector", 0, 8)])
            .with(
                "bio",
                136,
                &[
                    ("bi_bdev", 8, 8),
                    ("bi_opf", 16, 4),
                    ("bi_iter: bvec_iter", 32, 0),
                    ("bi_private", 64, 8),
                ],
            )
            .with(
                "request",
                256,
                &[("q", 0, 8), ("mq_hctx", 16, 8), ("cmd_flags", 24, 4), ("__sector", 48, 8)],
            )
            .with("buffer_head", 104, &[("b_blocknr", 24, 8), ("b_bdev", 48, 8)])
            .types();
        let symbols = Symbols::new(SymbolTable::new(None).finish(VirtAddr(0)), Vec::new());
        let mut image = Image::default();
        image.put_u64(DISK, DEVICE);
        image.put_u64(DISK + 8, QUEUE);
        image.put(DISK + 16, &[*b"vda\0", [0; 4]].concat());
        image.put(DISK + 24, &[0; 24]);
        image.put_u64(DEVICE, DISK);
        image.put_u64(DEVICE + 8, 254 << 20);
        image.put_u64(QUEUE, DISK);
        image.put_u64(HARDWARE + 8, QUEUE);
        words.iter().for_each(|(offset, word)| image.put_u64(THING + offset, *word));
        let kernel = Kernel { memory: &image, types: &types, symbols: &symbols };
        look(&Disks { kernel, is_of: &|cache, _| cache != "other" })
    }

    #[test]
    fn a_request_is_told_with_its_disk_if_its_queue_and_hardware_queue_agree() {
        let words = [(0, QUEUE), (16, HARDWARE), (24, 1), (48, 2048)];
        let request = |words: &[(u64, u64)]| found(words, |disks| disks.request(VirtAddr(THING)));
        assert_eq!(
            request(&words).unwrap(),
            format!("the request {THING:#x} of vda, write at sector 2048")
        );
        assert_eq!(request(&[(0, QUEUE), (16, DEVICE), words[2], words[3]]), None);
        assert_eq!(request(&[(0, DISK), words[1], words[2], words[3]]), None);
    }

    #[test]
    fn a_bio_is_told_with_its_device_if_it_is_one() {
        let words = [(8, DEVICE), (16, 0), (32, 8), (64, TASK)];
        let bio = |words: &[(u64, u64)], is: bool| {
            found(words, |disks| disks.bio(VirtAddr(THING), |_| is))
        };
        assert_eq!(
            bio(&words, true).unwrap(),
            format!("the bio {THING:#x} of vda (254:0), read at sector 8")
        );
        assert_eq!(bio(&words, false), None);
        // A disk whose whole device is another's is none.
        assert_eq!(bio(&[(8, QUEUE), words[1], words[2], words[3]], true), None);
        let ends = |private| {
            let words = [(64, private)];
            let own = |at: VirtAddr| at.0 == STACK;
            let ends = |disks: &Disks<'_>| disks.ends_at(VirtAddr(THING), VirtAddr(TASK), own);
            found(&words, |disks| ends(disks).then(String::new)).is_some()
        };
        assert!(ends(TASK) && ends(STACK) && !ends(QUEUE) && !ends(0));
    }

    #[test]
    fn a_buffer_and_a_device_are_told_by_the_disk() {
        let buffer = found(&[(24, 77), (48, DEVICE)], |disks| disks.buffer(VirtAddr(THING)));
        assert_eq!(buffer.unwrap(), "block 77 of vda (254:0)");
        assert_eq!(found(&[(24, 77), (48, DISK)], |disks| disks.buffer(VirtAddr(THING))), None);
        let device = found(&[], |disks| disks.device(VirtAddr(DEVICE)));
        assert_eq!(device.unwrap(), "the device vda (254:0)");
    }
}
