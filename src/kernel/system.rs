//! The machine as a whole: what it is called, how long it ran, why it stopped.
//!
//! Each figure is a variable of the kernel's: `init_uts_ns` (init/version.c), `jiffies_64`, the
//! timekeeper (kernel/time/timekeeping.c), `avenrun` (kernel/sched/loadavg.c), the `pglist_data` of
//! each node (include/linux/mmzone.h), `panic_cpu` and `tainted_mask` (kernel/panic.c). Why it stopped
//! only the log says.

use super::cpu::Cpus;
use super::image::Kernel;
use super::log::Log;
use super::{Known, Unknown};
use crate::dump::{Dump, PAGE_SIZE, Utsname, VirtAddr};
use std::time::Duration;

/// `MAX_NUMNODES`: `CONFIG_NODES_SHIFT` is at most 10.
const MAX_NODES: u64 = 1024;
/// `jiffies` start so many seconds before they overflow 32 bits (`INITIAL_JIFFIES`).
const EARLY: u64 = 300;
/// `struct new_utsname`: six texts of 65 bytes.
const UTSNAME: usize = 6 * 65;

/// Messages that say why a kernel stopped, the surest first.
const PANICS: [&str; 16] = [
    "SysRq : Crash",
    "SysRq : Trigger a crash",
    "sysrq: Trigger a crash",
    "Kernel panic: ",
    "Kernel panic - ",
    "Kernel BUG at",
    "kernel BUG at",
    "Unable to handle kernel paging request",
    "Unable to handle kernel NULL pointer dereference",
    "BUG: unable to handle ",
    "general protection fault",
    "double fault: ",
    "divide error: ",
    "stack segment: ",
    "[Hardware Error]: ",
    "Oops: ",
];

/// The machine as a whole.
#[derive(Clone, Debug)]
pub struct System {
    /// Its name, its kernel's release and version.
    pub utsname: Known<Utsname>,
    /// How long it has been up, from `jiffies`.
    pub uptime: Known<Duration>,
    /// Seconds since 1970 when it was dumped.
    pub time: Known<u64>,
    /// Runnable and uninterruptible tasks, averaged over 1, 5 and 15 minutes, to hundredths.
    pub load: Known<[f64; 3]>,
    /// Bytes of memory, of all nodes together.
    pub memory: Known<u64>,
    /// Of the processors, in kHz (`cpu_khz`).
    pub cpu_khz: Known<u32>,
    /// The message of the log that says why the kernel stopped; `None` when it was only stopped
    /// from outside.
    pub panic: Option<String>,
    /// The CPU that panicked (`panic_cpu`, before 4.5 `crashing_cpu`).
    pub panic_cpu: Option<u32>,
    /// The task that this CPU was running.
    pub panic_task: Option<VirtAddr>,
    /// `tainted_mask`: bits of `TAINT_…`.
    pub tainted: Known<u64>,
}

impl System {
    pub(super) fn read(kernel: Kernel<'_>, dump: &Dump, cpus: &Cpus, log: &Log) -> System {
        let panic_cpu = panic_cpu(kernel);
        let current = |cpu| cpus.get(cpu)?.current.clone().ok();
        System {
            utsname: utsname(kernel, dump),
            uptime: uptime(kernel),
            time: time(kernel, dump),
            load: load(kernel),
            memory: memory(kernel),
            cpu_khz: kernel.symbol("cpu_khz").and_then(|at| Ok(kernel.memory.read_u32(at)?)),
            panic: panic_message(log),
            panic_cpu,
            panic_task: panic_cpu.and_then(current),
            tainted: kernel
                .first_symbol(&["tainted_mask", "tainted"])
                .and_then(|at| Ok(kernel.memory.read_u64(at)?)),
        }
    }
}

/// The letters of `/proc/sys/kernel/tainted` (kernel/panic.c, `taint_flags`): `OE` for a module from
/// outside of the tree without a signature.
#[must_use]
pub fn taint_letters(tainted: u64) -> String {
    const LETTERS: &str = "PFSRMBUDAWCIOELKXTNJ";
    LETTERS.chars().enumerate().filter(|(bit, _)| tainted >> bit & 1 == 1).map(|(_, c)| c).collect()
}

fn utsname(kernel: Kernel<'_>, dump: &Dump) -> Known<Utsname> {
    let info = dump.vmcoreinfo();
    let read = || -> Known<Utsname> {
        let at = info.symbol("init_uts_ns").map_or_else(|| kernel.symbol("init_uts_ns"), Ok)?;
        let offset = match kernel.field("uts_namespace", "name") {
            Ok(name) => name.offset,
            Err(unknown) => info.offset("uts_namespace.name").ok_or(unknown)?,
        };
        Ok(Utsname::parse(&kernel.memory.read_vec(at.plus(offset), UTSNAME)?))
    };
    read().or_else(|unknown| {
        dump.info().utsname.filter(|name| !name.release.is_empty()).ok_or(unknown)
    })
}

/// Nanoseconds in a jiffy: what the clock source `jiffies` multiplies with.
fn jiffy(kernel: Kernel<'_>) -> Known<u64> {
    let source = kernel.variable("clocksource_jiffies", "clocksource")?;
    let (mult, shift) = (source.member("mult")?.u64()?, source.member("shift")?.u64()?);
    let nanos = u32::try_from(shift).ok().and_then(|shift| mult.checked_shr(shift));
    nanos
        .filter(|nanos| (100_000..=100_000_000).contains(nanos))
        .ok_or_else(|| Unknown::because("the length of a jiffy is not known"))
}

/// The last value of `jiffies`, and how many there are in a second.
pub(crate) fn ticks(kernel: Kernel<'_>) -> Known<(u64, u64)> {
    let jiffies = kernel.memory.read_u64(kernel.symbol("jiffies_64")?)?;
    let nanos = jiffy(kernel)?;
    // HZ is whole, a jiffy is not always.
    Ok((jiffies, 1_000_000_000_u64.saturating_add(nanos / 2) / nanos))
}

fn uptime(kernel: Kernel<'_>) -> Known<Duration> {
    let (jiffies, hz) = ticks(kernel)?;
    let start = (1_u64 << 32).saturating_sub(EARLY * hz);
    let up = jiffies.wrapping_sub(start);
    Ok(Duration::from_secs(up / hz) + Duration::from_millis(up % hz * 1000 / hz))
}

fn time(kernel: Kernel<'_>, dump: &Dump) -> Known<u64> {
    let now = || -> Known<u64> {
        let field = kernel.field("timekeeper", "xtime_sec")?;
        // `struct tk_data` is the timekeeper after its lock; that of old kernels has its lock inside.
        let at = match kernel.first_symbol(&["timekeeper_data", "tk_core"]) {
            Ok(at) => {
                let keeper = kernel.field("tk_data", "timekeeper").map(|field| field.offset);
                let lock = || kernel.structure("seqcount_raw_spinlock").ok()?.size();
                at.plus(keeper.unwrap_or_else(|_| lock().unwrap_or(8).next_multiple_of(8)))
            }
            Err(_) => kernel.symbol("timekeeper")?,
        };
        Ok(field.read(kernel.memory, at)?)
    };
    now().or_else(|unknown| {
        dump.vmcoreinfo().crash_time().or_else(|| dump.info().timestamp).ok_or(unknown)
    })
}

fn load(kernel: Kernel<'_>) -> Known<[f64; 3]> {
    /// `FSHIFT`: averages have this many binary digits behind the point.
    const SHIFT: u32 = 11;
    let at = kernel.symbol("avenrun")?;
    let get = |i: u64| -> Known<f64> {
        let value = kernel.memory.read_u64(at.plus(8 * i))?;
        // To hundredths, rounded as /proc/loadavg rounds.
        let hundredths = (value.saturating_add((1 << SHIFT) / 200).saturating_mul(100)) >> SHIFT;
        Ok(u32::try_from(hundredths).map_or(f64::INFINITY, f64::from) / 100.0)
    };
    Ok([get(0)?, get(1)?, get(2)?])
}

fn memory(kernel: Kernel<'_>) -> Known<u64> {
    let present = kernel.field("pglist_data", "node_present_pages")?;
    let nodes = match kernel.symbol("node_data") {
        Ok(table) => {
            let end = kernel.symbols.tables().next().and_then(|table_| table_.end_of(table));
            let room = end.and_then(|end| end.offset_from(table)).unwrap_or(8);
            (0..(room / 8).clamp(1, MAX_NODES))
                .map(|node| kernel.memory.read_ptr(table.plus(8 * node)))
                .filter(|node| !matches!(node, Ok(VirtAddr(0))))
                .collect::<Result<Vec<_>, _>>()?
        }
        // Without NUMA there is one.
        Err(unknown) => vec![kernel.symbol("contig_page_data").map_err(|_| unknown)?],
    };
    let mut pages = 0_u64;
    for node in nodes {
        pages = pages.saturating_add(present.read(kernel.memory, node)?);
    }
    Ok(pages.saturating_mul(PAGE_SIZE))
}

fn panic_cpu(kernel: Kernel<'_>) -> Option<u32> {
    ["panic_cpu", "crashing_cpu"].iter().find_map(|name| {
        // -1 when none has panicked.
        let cpu = kernel.memory.read_u32(kernel.symbols.address(name)?).ok()?;
        (cpu < 8192).then_some(cpu)
    })
}

fn panic_message(log: &Log) -> Option<String> {
    PANICS.iter().find_map(|panic| {
        let lines = log.records.iter().flat_map(|record| record.text.lines());
        lines.map(str::trim).find(|line| line.contains(panic)).map(str::to_owned)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::debuginfo::{SymbolTable, Symbols};
    use crate::kernel::LogRecord;
    use crate::kernel::testing::{Image, TypeTable};

    #[test]
    fn taints_have_the_letters_that_the_kernel_prints() {
        assert_eq!(taint_letters(1 << 12 | 1 << 13), "OE");
        assert_eq!(taint_letters(0), "");
    }

    #[test]
    fn jiffies_begin_five_minutes_before_they_overflow() {
        let mut image = Image::default();
        image.put_u64(0x100, (1 << 32) - 300 * 250 + 250 * 20 + 125);
        image.put(0x208, &(4_000_000_u32 << 8).to_le_bytes());
        image.put(0x20c, &8_u32.to_le_bytes());
        let mut table = SymbolTable::new(None);
        table.push("jiffies_64", VirtAddr(0x100), 'D');
        table.push("clocksource_jiffies", VirtAddr(0x200), 'd');
        let symbols = Symbols::new(table.finish(VirtAddr(0x300)), Vec::new());
        let types =
            TypeTable::new().with("clocksource", 16, &[("mult", 8, 4), ("shift", 12, 4)]).types();
        let kernel = Kernel { memory: &image, types: &types, symbols: &symbols };
        assert_eq!(uptime(kernel), Ok(Duration::from_millis(20_500)));
    }

    #[test]
    fn the_surest_message_tells_the_panic() {
        let record = |text: &str| LogRecord {
            seq: None,
            at: None,
            level: None,
            caller: None,
            text: text.into(),
        };
        let mut log = Log::default();
        assert_eq!(panic_message(&log), None);
        log.records.push(record("Oops: 0002 [#1]"));
        log.records.push(record("Kernel panic - not syncing: hung_task: blocked tasks"));
        let panic = panic_message(&log).unwrap();
        assert_eq!(panic, "Kernel panic - not syncing: hung_task: blocked tasks");
    }
}
