//! How much memory a process uses: `total_vm` and the resident pages of its `mm_struct`.
//!
//! Resident pages are counted by kind (`include/linux/mm_types_task.h`: 0 file, 1 anonymous, 2 swap
//! entries, 3 shared memory since 4.5); swapped ones are not resident. Where the counters are has
//! changed: `_file_rss` and `_anon_rss` (to 2.6.33), `rss_stat.count[]` with a few pages more in each
//! thread (to 6.1), `rss_stat[]` of `percpu_counter`s (6.2).

use super::cpu::Cpus;
use super::fields::{Field, StructBytes, span_of};
use super::image::Kernel;
use super::{Known, Unknown};
use crate::debuginfo::Type;
use crate::dump::{PAGE_SIZE, VirtAddr};

/// KiB in a page.
const PAGE_KIB: u64 = PAGE_SIZE / 1024;

/// The kinds of pages that are resident, of as many as the kernel counts.
pub(super) fn resident_kinds(kinds: u64) -> impl Iterator<Item = u64> {
    [0, 1, 3].into_iter().filter(move |kind| *kind < kinds)
}

/// Where the counters of a `struct mm_struct` are.
pub(super) struct MemoryFields {
    total_vm: Known<Field>,
    resident: Known<Resident>,
    /// Pages up to the end of the machine's memory (`max_pfn`), holes included: what crash takes
    /// shares of.
    machine_pages: Known<u64>,
}

enum Resident {
    /// Each a number of pages.
    Counters(Vec<Field>),
    /// Each a `struct percpu_counter`: a number and, per CPU, what is still to be added to it.
    PerCpu(Vec<(Field, Field)>),
}

/// What a process uses.
#[derive(Clone, Debug)]
pub(super) struct MemoryUse {
    pub(super) vsz_kib: Known<u64>,
    /// Without what its threads have counted for themselves.
    pub(super) resident_pages: Known<i64>,
}

impl MemoryFields {
    pub(super) fn probe(kernel: Kernel<'_>) -> MemoryFields {
        let machine_pages =
            kernel.symbol("max_pfn").and_then(|at| Ok(kernel.memory.read_u64(at)?));
        MemoryFields {
            total_vm: kernel.field("mm_struct", "total_vm"),
            resident: kernel.structure("mm_struct").and_then(resident),
            machine_pages,
        }
    }

    pub(super) fn read(&self, kernel: Kernel<'_>, cpus: &Cpus, mm: VirtAddr) -> MemoryUse {
        let resident = self.resident.as_ref().map_err(Unknown::clone);
        let counters: Vec<Field> = match resident {
            Ok(Resident::Counters(fields)) => fields.clone(),
            Ok(Resident::PerCpu(fields)) => fields.iter().flat_map(|(a, b)| [*a, *b]).collect(),
            Err(_) => Vec::new(),
        };
        let span = span_of(counters.into_iter().chain(self.total_vm.clone().ok()));
        let bytes = StructBytes::read(kernel.memory, mm, span).map_err(Unknown::from);
        let bytes = bytes.as_ref().map_err(Unknown::clone);
        MemoryUse {
            vsz_kib: bytes
                .clone()
                .and_then(|bytes| Ok(bytes.get(self.total_vm.clone()?).saturating_mul(PAGE_KIB))),
            resident_pages: bytes.and_then(|bytes| match resident? {
                // They are counted without a lock and may fall below zero.
                Resident::Counters(fields) => Ok(fields
                    .iter()
                    .map(|field| bytes.signed(*field).max(0))
                    .fold(0, i64::saturating_add)),
                Resident::PerCpu(fields) => fields
                    .iter()
                    .map(|(count, counters)| {
                        let mut sum = bytes.signed(*count);
                        for cpu in cpus {
                            let part = kernel.memory.read_u32(cpu.per_cpu(bytes.ptr(*counters)))?;
                            sum = sum.saturating_add(part.cast_signed().into());
                        }
                        Ok(sum.max(0))
                    })
                    .try_fold(0_i64, |all, one: Known<i64>| Ok(all.saturating_add(one?))),
            }),
        }
    }

    /// Resident pages as KiB, and as a share of the machine's memory in percent.
    pub(super) fn resident(&self, pages: i64) -> (u64, Known<f64>) {
        let pages = u64::try_from(pages).unwrap_or(0);
        let percent = match self.machine_pages {
            Ok(0) => Err(Unknown::because("the kernel's max_pfn is 0")),
            Ok(all) => Ok(exact(pages) * 100.0 / exact(all)),
            Err(ref unknown) => Err(unknown.clone()),
        };
        (pages.saturating_mul(PAGE_KIB), percent)
    }
}

/// Page counts are far below 2^53.
#[allow(clippy::cast_precision_loss, reason = "page counts are far below 2^53")]
const fn exact(pages: u64) -> f64 {
    pages as f64
}

fn resident(mm: Type<'_>) -> Known<Resident> {
    if let Ok(counts) = mm.member("rss_stat.count") {
        let kinds = counts.ty.size().unwrap_or(0) / 8;
        let at = |kind| Field::at(counts.offset() + 8 * kind, 8);
        return Ok(Resident::Counters(resident_kinds(kinds).map(at).collect()));
    }
    if let Ok(counters) = mm.member("rss_stat")
        && let Some(counter) = counters.ty.target()
    {
        let size = counter.size().filter(|size| *size > 0);
        let size = size.ok_or_else(|| Unknown::because("percpu_counter has no size"))?;
        let kinds = counters.ty.size().unwrap_or(0) / size;
        let (count, per_cpu) = (counter.offset_of("count")?, counter.offset_of("counters")?);
        let at = |kind| {
            let start = counters.offset() + size * kind;
            (Field::at(start + count, 8), Field::at(start + per_cpu, 8))
        };
        return Ok(Resident::PerCpu(resident_kinds(kinds).map(at).collect()));
    }
    Ok(Resident::Counters(vec![Field::of(mm, "_file_rss")?, Field::of(mm, "_anon_rss")?]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::debuginfo::Symbols;
    use crate::kernel::testing::{Image, TypeTable};

    #[test]
    fn swapped_pages_are_not_resident() {
        assert_eq!(resident_kinds(4).collect::<Vec<_>>(), [0, 1, 3]);
        assert_eq!(resident_kinds(3).collect::<Vec<_>>(), [0, 1], "before 4.5");
    }

    #[test]
    fn the_oldest_counters_are_added_up_and_negative_ones_left_out() {
        let mut image = Image::default();
        image.put_u64(0x1000, 2333);
        image.put_u64(0x1008, 100);
        image.put_u64(0x1010, (-3i64).cast_unsigned());
        let types = TypeTable::new()
            .with("mm_struct", 24, &[("total_vm", 0, 8), ("_file_rss", 8, 8), ("_anon_rss", 16, 8)])
            .types();
        let kernel = Kernel { memory: &image, types: &types, symbols: &Symbols::default() };
        let fields = MemoryFields::probe(kernel);
        let found = fields.read(kernel, &Cpus::default(), VirtAddr(0x1000));
        assert_eq!(found.vsz_kib, Ok(9332));
        assert_eq!(found.resident_pages, Ok(100));
        let (kib, percent) = fields.resident(100);
        assert_eq!(kib, 400);
        assert_eq!(percent.unwrap_err().to_string(), "the kernel has no symbol max_pfn");
        let gone = fields.read(kernel, &Cpus::default(), VirtAddr(0x2000));
        assert_eq!(gone.vsz_kib.unwrap_err().to_string(), "0x2000: not mapped (no pte entry)");
    }
}
