//! Per-CPU memory: which CPU's copy of which variable an address is in.
//!
//! The first chunk (mm/percpu.c) holds the kernel's own variables, then those of modules, then what
//! was allocated early: `pcpu_base_addr`, and for each CPU a unit at `pcpu_unit_offsets[cpu]`. Where
//! that is not known the CPU's offset and the section's size still bound the kernel's variables.

use crate::dump::VirtAddr;
use crate::kernel::{Cpus, Kernel, Known, Module};
use std::ops::Range;

/// A unit is far smaller, in bytes.
const MAX_UNIT: u64 = 1 << 30;

/// The per-CPU memory of all CPUs.
pub(super) struct PerCpu {
    /// The unit of each CPU in the first chunk.
    units: Vec<(u32, Range<VirtAddr>)>,
    /// What the kernel's linker put there, by symbol address: the start of the section, …
    start: VirtAddr,
    /// … its size, …
    size: u64,
    /// … and the variables in it, in order.
    variables: Vec<(VirtAddr, Box<str>)>,
    /// The sections of modules, as offsets from the section's start.
    modules: Vec<(Range<u64>, Box<str>)>,
}

/// A place in per-CPU memory.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PerCpuPlace {
    /// Whose copy.
    pub cpu: u32,
    /// The variable and the offset in it; none for what was allocated while the kernel ran.
    pub variable: Option<(Box<str>, u64)>,
    /// The module whose section it is in.
    pub module: Option<Box<str>>,
    /// Bytes from the start of the CPU's unit.
    pub offset: u64,
}

impl PerCpu {
    pub(super) fn read(kernel: Kernel<'_>, cpus: &Cpus, modules: &[Module]) -> Known<PerCpu> {
        let start = kernel.symbol("__per_cpu_start")?;
        let end = kernel.symbol("__per_cpu_end")?;
        let size = end.offset_from(start).filter(|size| *size <= MAX_UNIT).unwrap_or(0);
        let unit = kernel.symbol("pcpu_unit_size").and_then(|at| Ok(kernel.memory.read_u32(at)?));
        let unit = unit.map_or(size, u64::from).clamp(size, MAX_UNIT);
        let units = cpus
            .iter()
            .map(|cpu| {
                let first = cpu.per_cpu(start);
                (cpu.number, first..first.plus(unit))
            })
            // Without SMP the variables are where their symbols are.
            .filter(|(_, unit)| unit.start.0 >> 63 == 1)
            .collect();
        let mut variables: Vec<(VirtAddr, Box<str>)> = Vec::new();
        if let Some(table) = kernel.symbols.tables().next() {
            let inside = table.iter().filter(|symbol| (start..end).contains(&symbol.at));
            for symbol in inside.filter(|symbol| !symbol.name.starts_with("__per_cpu_")) {
                // Of several names of one place the first is the best known.
                if variables.last().is_none_or(|(last, _)| *last != symbol.at) {
                    let name = symbol.name;
                    let name = name.strip_prefix("per_cpu__").unwrap_or(name);
                    variables.push((symbol.at, name.into()));
                }
            }
        }
        Ok(PerCpu { units, start, size, variables, modules: sections(kernel, modules, start) })
    }

    pub(super) fn at(&self, at: VirtAddr) -> Option<PerCpuPlace> {
        let (cpu, unit) = self.units.iter().find(|(_, unit)| unit.contains(&at))?;
        let offset = at.offset_from(unit.start)?;
        let symbol = self.start.plus(offset);
        let after = self.variables.partition_point(|(start, _)| *start <= symbol);
        let variable = after
            .checked_sub(1)
            .and_then(|last| self.variables.get(last))
            .filter(|_| offset < self.size)
            .and_then(|(start, name)| Some((name.clone(), symbol.offset_from(*start)?)));
        let module = self.modules.iter().find(|(section, _)| section.contains(&offset));
        let module = module.map(|(_, name)| name.clone());
        Some(PerCpuPlace { cpu: *cpu, variable, module, offset })
    }
}

/// The sections of modules (`percpu` and `percpu_size` of `struct module`).
fn sections(
    kernel: Kernel<'_>,
    modules: &[Module],
    start: VirtAddr,
) -> Vec<(Range<u64>, Box<str>)> {
    let fields = (kernel.field("module", "percpu"), kernel.field("module", "percpu_size"));
    let (Ok(section), Ok(size)) = fields else { return Vec::new() };
    let range = |module: &Module| {
        let at = section.read(kernel.memory, module.at).ok().filter(|at| *at != 0)?;
        let size = size.read(kernel.memory, module.at).ok().filter(|size| *size <= MAX_UNIT)?;
        let first = at.checked_sub(start.0)?;
        Some((first..first.checked_add(size)?, module.name.clone()))
    };
    modules.iter().filter_map(range).collect()
}
