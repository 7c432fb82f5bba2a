//! CPUs: which there are, where their per-CPU variables lie, what each runs, its registers.
//!
//! The masks are kernel/cpu.c's, `__per_cpu_offset` arch/x86/kernel/setup_percpu.c's, `struct rq` that
//! of kernel/sched/sched.h. Registers are not in the kernel's memory but in the dump's notes.

use super::fields::{Field, StructBytes, span_of};
use super::image::Kernel;
use super::{Known, Unknown};
use crate::dump::{CpuNote, CpuNoteSource, VirtAddr};
use crate::unwind::{Register, Registers};
use std::time::Duration;

/// `CONFIG_NR_CPUS` is at most 8192 on x86-64.
const MAX_CPUS: u32 = 8192;

/// One CPU that the kernel counts as possible.
#[derive(Clone, Debug)]
pub struct Cpu {
    /// Its number.
    pub number: u32,
    /// Whether it was online.
    pub online: bool,
    /// Whether it was there at all.
    pub present: bool,
    /// What is added to a per-CPU symbol to get this CPU's copy (`__per_cpu_offset[number]`).
    pub per_cpu_offset: u64,
    /// Its `struct rq`.
    pub runqueue: Known<VirtAddr>,
    /// The task that it runs (`rq->curr`).
    pub current: Known<VirtAddr>,
    /// Its idle task (`rq->idle`).
    pub idle: Known<VirtAddr>,
    /// `rq->clock`: what its scheduler last took for now, since boot.
    pub clock: Known<Duration>,
    /// How many tasks run or wait to run on it (`rq->nr_running`).
    pub running: Known<u64>,
    /// Its registers when it was stopped.
    pub registers: Known<Registers>,
    /// Who saved them: the kernel as it crashed, or the hypervisor.
    pub registers_from: Option<CpuNoteSource>,
}

impl Cpu {
    /// This CPU's copy of a per-CPU variable. Up to 6.14 the symbol of one is a distance from the
    /// start of the per-CPU section, since then its address there; either way the sum may wrap.
    #[must_use]
    pub const fn per_cpu(&self, symbol: VirtAddr) -> VirtAddr {
        VirtAddr(symbol.0.wrapping_add(self.per_cpu_offset))
    }
}

/// All CPUs.
#[derive(Clone, Default, Debug)]
pub struct Cpus {
    cpus: Vec<Cpu>,
    /// What could not be found out.
    pub notes: Vec<String>,
}

impl Cpus {
    /// Reads them; `saved` are the registers that the dump carries.
    #[must_use]
    pub fn read(kernel: Kernel<'_>, saved: &[CpuNote]) -> Cpus {
        let mut notes = Vec::new();
        let mut note = |unknown: Unknown| notes.push(unknown.to_string());
        let possible = mask(kernel, "possible").unwrap_or_else(|unknown| {
            note(unknown);
            vec![0]
        });
        let online = mask(kernel, "online").unwrap_or_else(|unknown| {
            note(unknown);
            possible.clone()
        });
        let present = mask(kernel, "present").unwrap_or_else(|_| possible.clone());
        let runqueues = Runqueues::probe(kernel);
        let mut cpus = Vec::with_capacity(possible.len());
        for &number in &possible {
            // A kernel without SMP has no such table, and its variables where their symbols are.
            let per_cpu_offset = match kernel.symbols.address("__per_cpu_offset") {
                Some(table) => match kernel.memory.read_u64(table.plus(8 * u64::from(number))) {
                    Ok(offset) => offset,
                    Err(fault) => {
                        note(Unknown::because(format!("__per_cpu_offset[{number}]: {fault}")));
                        continue;
                    }
                },
                None => 0,
            };
            let mut cpu = Cpu {
                number,
                online: online.contains(&number),
                present: present.contains(&number),
                per_cpu_offset,
                runqueue: runqueues.symbol.clone(),
                current: Err(Unknown::because("its runqueue is not known")),
                idle: Err(Unknown::because("its runqueue is not known")),
                clock: Err(Unknown::because("its runqueue is not known")),
                running: Err(Unknown::because("its runqueue is not known")),
                registers: Err(Unknown::because("the dump has no registers of this CPU")),
                registers_from: None,
            };
            cpu.runqueue = runqueues.symbol.clone().map(|symbol| cpu.per_cpu(symbol));
            runqueues.read(kernel, &mut cpu);
            cpus.push(cpu);
        }
        give_registers(&mut cpus, saved);
        Cpus { cpus, notes }
    }

    /// The CPUs, by number.
    pub fn iter(&self) -> std::slice::Iter<'_, Cpu> {
        self.cpus.iter()
    }

    /// How many are online.
    #[must_use]
    pub fn online(&self) -> usize {
        self.cpus.iter().filter(|cpu| cpu.online).count()
    }

    /// The CPU of that number.
    #[must_use]
    pub fn get(&self, number: u32) -> Option<&Cpu> {
        self.cpus.iter().find(|cpu| cpu.number == number)
    }

    /// The CPU that runs the task at `task`.
    #[must_use]
    pub fn running(&self, task: VirtAddr) -> Option<&Cpu> {
        self.cpus.iter().find(|cpu| cpu.online && cpu.current == Ok(task))
    }

    /// The latest clock of any runqueue: the nearest to the time of the dump that the scheduler
    /// has. (That of an idle CPU stands still.)
    #[must_use]
    pub fn clock(&self) -> Option<Duration> {
        self.cpus.iter().filter_map(|cpu| cpu.clock.clone().ok()).max()
    }
}

impl<'a> IntoIterator for &'a Cpus {
    type Item = &'a Cpu;
    type IntoIter = std::slice::Iter<'a, Cpu>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

/// The numbers in `__cpu_WHICH_mask` (since 4.5; before that `cpu_WHICH_bits`).
fn mask(kernel: Kernel<'_>, which: &str) -> Known<Vec<u32>> {
    let names = [format!("__cpu_{which}_mask"), format!("cpu_{which}_bits")];
    let [new, old] = &names;
    let at = match kernel.first_symbol(&[new, old]) {
        Ok(at) => at,
        // Without SMP there is no mask, and one CPU.
        Err(_)
            if kernel.symbols.address("__per_cpu_offset").is_none()
                && kernel.symbols.address("init_task").is_some() =>
        {
            return Ok(vec![0]);
        }
        Err(unknown) => return Err(unknown),
    };
    let bytes = kernel.structure("cpumask").ok().and_then(|ty| ty.size());
    let bytes = bytes.unwrap_or(8).clamp(1, u64::from(MAX_CPUS / 8));
    let bytes = kernel.memory.read_vec(at, usize::try_from(bytes).unwrap_or(8))?;
    Ok((0..)
        .zip(&bytes)
        .flat_map(|(i, byte)| {
            (0..8).filter(move |bit| byte >> bit & 1 == 1).map(move |bit| i * 8 + bit)
        })
        .collect())
}

/// Where things are in `struct rq` (kernel/sched/sched.h).
struct Runqueues {
    symbol: Known<VirtAddr>,
    current: Known<Field>,
    idle: Known<Field>,
    clock: Known<Field>,
    running: Known<Field>,
}

impl Runqueues {
    fn probe(kernel: Kernel<'_>) -> Runqueues {
        Runqueues {
            symbol: kernel.first_symbol(&["runqueues", "per_cpu__runqueues"]),
            current: kernel.field("rq", "curr"),
            idle: kernel.field("rq", "idle"),
            clock: kernel.field("rq", "clock"),
            running: kernel.field("rq", "nr_running"),
        }
    }

    fn read(&self, kernel: Kernel<'_>, cpu: &mut Cpu) {
        let fields = [&self.current, &self.idle, &self.clock, &self.running];
        let span = span_of(fields.into_iter().flatten().copied());
        let bytes =
            cpu.runqueue.clone().and_then(|at| Ok(StructBytes::read(kernel.memory, at, span)?));
        let get = |field: &Known<Field>| match (&bytes, field) {
            (Ok(bytes), Ok(field)) => Ok(bytes.get(*field)),
            (Err(unknown), _) | (_, Err(unknown)) => Err(unknown.clone()),
        };
        let task = |field| {
            get(field).map(VirtAddr).and_then(|at| {
                if at.is_null() {
                    Err(Unknown::because("its runqueue names no task"))
                } else {
                    Ok(at)
                }
            })
        };
        cpu.current = task(&self.current);
        cpu.idle = task(&self.idle);
        cpu.clock = get(&self.clock).map(Duration::from_nanos);
        cpu.running = get(&self.running);
    }
}

/// Gives each CPU the registers that were saved for it. The saved GS base is the CPU's per-CPU
/// offset and tells whose they are; where it is missing the order does: the kernel writes a note
/// for every CPU that was online, a hypervisor for every CPU.
fn give_registers(cpus: &mut [Cpu], saved: &[CpuNote]) {
    let mut rest = Vec::new();
    for note in saved {
        let owner = note.kernel_gs.and_then(|base| {
            cpus.iter_mut().find(|cpu| cpu.per_cpu_offset == base && cpu.registers.is_err())
        });
        match owner {
            Some(cpu) => give(cpu, note),
            None => rest.push(note),
        }
    }
    let without = cpus.iter_mut().filter(|cpu| cpu.online && cpu.registers.is_err());
    for (cpu, note) in without.zip(rest) {
        give(cpu, note);
    }
}

fn give(cpu: &mut Cpu, note: &CpuNote) {
    let mut registers = Registers::default();
    for (register, value) in Register::ALL.into_iter().zip(note.registers) {
        registers.set(register, Some(value));
    }
    // The kernel saves none for a CPU that did not answer: all zero.
    if registers.get(Register::Rip).unwrap_or(0) != 0 {
        cpu.registers = Ok(registers);
        cpu.registers_from = Some(note.source);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::debuginfo::{SymbolTable, Symbols};
    use crate::kernel::testing::{Image, TypeTable};

    /// Two of four possible CPUs online: 0 and 2; runqueues at 0x1000 and 0x3000.
    fn image() -> (Image, Symbols) {
        let mut table = SymbolTable::new(None);
        table.push("runqueues", VirtAddr(0x40), 'A');
        for (at, name) in [
            (0x100, "__cpu_possible_mask"),
            (0x110, "__cpu_online_mask"),
            (0x200, "__per_cpu_offset"),
        ] {
            table.push(name, VirtAddr(at), 'D');
        }
        let mut image = Image::default();
        image.put_u64(0x100, 0b1111);
        image.put_u64(0x110, 0b0101);
        for cpu in 0..4 {
            let base = 0x1000 * (cpu + 1);
            image.put_u64(0x200 + 8 * cpu, base);
            image.put_u64(base + 0x40, cpu + 1);
            image.put_u64(base + 0x48, 0xa000 + cpu);
            image.put_u64(base + 0x50, 0xb000 + cpu);
            image.put_u64(base + 0x58, 1_000_000 * (cpu + 1));
        }
        (image, Symbols::new(table.finish(VirtAddr(0x300)), Vec::new()))
    }

    fn note(rip: u64, kernel_gs: Option<u64>) -> CpuNote {
        let mut registers = [0; 21];
        registers[Register::Rip as usize] = rip;
        let source = CpuNoteSource::Kernel;
        CpuNote { registers, pid: None, cr3: None, cr4: None, kernel_gs, source }
    }

    fn read(saved: &[CpuNote]) -> Cpus {
        let (image, symbols) = image();
        let types = TypeTable::new()
            .with("cpumask", 8, &[])
            .with(
                "rq",
                64,
                &[("nr_running", 0, 8), ("curr", 8, 8), ("idle", 16, 8), ("clock", 24, 8)],
            )
            .types();
        Cpus::read(Kernel { memory: &image, types: &types, symbols: &symbols }, saved)
    }

    #[test]
    fn each_cpu_has_its_own_runqueue() {
        let cpus = read(&[]);
        assert_eq!(cpus.iter().map(|cpu| cpu.number).collect::<Vec<_>>(), [0, 1, 2, 3]);
        assert_eq!(cpus.online(), 2);
        let third = cpus.get(2).unwrap();
        assert_eq!(third.current, Ok(VirtAddr(0xa002)));
        assert_eq!(third.idle, Ok(VirtAddr(0xb002)));
        assert_eq!(third.running, Ok(3));
        assert_eq!(third.runqueue, Ok(VirtAddr(0x3040)));
        assert_eq!(cpus.running(VirtAddr(0xa002)).unwrap().number, 2);
        assert_eq!(cpus.clock(), Some(Duration::from_millis(4)));
    }

    #[test]
    fn registers_go_to_the_cpu_whose_gs_base_they_hold() {
        let cpus = read(&[note(0x111, Some(0x3000)), note(0x222, Some(0x1000))]);
        let rip = |cpu: u32| cpus.get(cpu).unwrap().registers.clone().unwrap().get(Register::Rip);
        assert_eq!((rip(0), rip(2)), (Some(0x222), Some(0x111)));
        assert!(cpus.get(1).unwrap().registers.is_err());
    }

    #[test]
    fn registers_without_gs_base_go_to_the_online_cpus_in_order() {
        let cpus = read(&[note(0x111, None), note(0x222, None)]);
        let rip = |cpu: u32| cpus.get(cpu).unwrap().registers.clone().unwrap().get(Register::Rip);
        assert_eq!((rip(0), rip(2)), (Some(0x111), Some(0x222)));
        assert!(cpus.get(3).unwrap().registers.is_err());
    }
}
