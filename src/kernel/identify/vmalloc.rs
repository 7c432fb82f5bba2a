//! The areas of the kernel's vmalloc space: `struct vmap_area` and, behind most, `struct vm_struct`
//! (include/linux/vmalloc.h).
//!
//! They stand on the list `vmap_area_list` (2.6.28 to 6.8), later on one list for each `vmap_node`
//! (6.9). Thread stacks, modules, per-CPU chunks and device registers live there.

use crate::dump::{PhysAddr, VirtAddr};
use crate::kernel::fields::{Field, StructBytes, span_of};
use crate::kernel::{Kernel, Known, Unknown, walk};

/// More areas than any machine has.
const MAX_AREAS: usize = 1 << 20;
/// `nr_vmap_nodes` is at most 128.
const MAX_NODES: u64 = 1024;

/// One area.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct VmallocArea {
    /// Its `struct vmap_area`.
    pub at: VirtAddr,
    /// Its first address.
    pub start: VirtAddr,
    /// The address after its last, the guard page included.
    pub end: VirtAddr,
    /// Its `struct vm_struct`; none for what `vm_map_ram` maps.
    pub vm: Option<VmStruct>,
}

/// A `struct vm_struct`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct VmStruct {
    /// Where it lies.
    pub at: VirtAddr,
    /// Bytes, the guard page included.
    pub size: u64,
    /// `VM_…` flags.
    pub flags: u64,
    /// The code that asked for it.
    pub caller: VirtAddr,
    /// How many pages it holds.
    pub pages: u64,
    /// The memory that an `ioremap` maps.
    pub phys: PhysAddr,
}

impl VmStruct {
    /// The names of its flags.
    #[must_use]
    pub fn flag_names(&self) -> Vec<&'static str> {
        const NAMES: [(u64, &str); 5] =
            [(1, "ioremap"), (2, "vmalloc"), (4, "vmap"), (8, "user"), (0x10, "dma-coherent")];
        NAMES.iter().filter(|(bit, _)| self.flags & bit != 0).map(|(_, name)| *name).collect()
    }
}

/// All areas, by address.
pub(super) struct VmallocAreas {
    pub(super) areas: Vec<VmallocArea>,
    /// Why some may be missing.
    pub(super) cut: Option<Unknown>,
}

impl VmallocAreas {
    pub(super) fn read(kernel: Kernel<'_>) -> VmallocAreas {
        match read(kernel) {
            Ok(found) => found,
            Err(unknown) => VmallocAreas { areas: Vec::new(), cut: Some(unknown) },
        }
    }

    /// The area that holds an address.
    pub(super) fn at(&self, at: VirtAddr) -> Option<&VmallocArea> {
        let after = self.areas.partition_point(|area| area.start <= at);
        self.areas.get(after.checked_sub(1)?).filter(|area| at < area.end)
    }
}

fn read(kernel: Kernel<'_>) -> Known<VmallocAreas> {
    let area = kernel.structure("vmap_area")?;
    let (start, end) = (Field::of(area, "va_start")?, Field::of(area, "va_end")?);
    let list = Field::of(area, "list")?;
    let vm = Field::first_of(area, &["vm", "private"])?;
    let span = span_of([start, end, vm]);
    let structs = VmFields::probe(kernel)?;
    let mut cut = None;
    let mut areas = Vec::new();
    for head in heads(kernel)? {
        let walked = walk::list(kernel.memory, head, MAX_AREAS);
        cut = cut.or(walked.cut.map(|cut| Unknown::because(cut.to_string())));
        for at in walked.found.into_iter().map(|node| node.minus(list.offset)) {
            match StructBytes::read(kernel.memory, at, span.clone()) {
                Ok(bytes) => areas.push(VmallocArea {
                    at,
                    start: bytes.ptr(start),
                    end: bytes.ptr(end),
                    vm: structs.read(kernel, bytes.ptr(vm), bytes.ptr(start)),
                }),
                Err(fault) => cut = cut.or(Some(fault.into())),
            }
        }
    }
    areas.sort_unstable_by_key(|area| area.start);
    Ok(VmallocAreas { areas, cut })
}

/// The heads of the lists that areas are on.
fn heads(kernel: Kernel<'_>) -> Known<Vec<VirtAddr>> {
    if let Some(list) = kernel.symbols.address("vmap_area_list") {
        return Ok(vec![list]);
    }
    let node = kernel.structure("vmap_node")?;
    let (head, size) = (node.offset_of("busy.head")?, node.size().unwrap_or(0));
    let nodes = kernel.memory.read_ptr(kernel.symbol("vmap_nodes")?)?;
    let count = match kernel.symbols.address("nr_vmap_nodes") {
        Some(at) => u64::from(kernel.memory.read_u32(at)?),
        None => 1,
    };
    let at = |index: u64| nodes.plus(index.saturating_mul(size)).plus(head);
    Ok((0..count.min(MAX_NODES)).map(at).collect())
}

/// Where things are in `struct vm_struct`.
struct VmFields {
    addr: Field,
    size: Field,
    flags: Field,
    caller: Field,
    pages: Field,
    phys: Field,
}

impl VmFields {
    fn probe(kernel: Kernel<'_>) -> Known<VmFields> {
        let ty = kernel.structure("vm_struct")?;
        let of = |path| Field::of(ty, path);
        Ok(VmFields {
            addr: of("addr")?,
            size: of("size")?,
            flags: of("flags")?,
            caller: of("caller")?,
            pages: of("nr_pages")?,
            phys: of("phys_addr")?,
        })
    }

    /// The one at `at`, unless it is about another area: the member that points to it is shared
    /// with other uses.
    fn read(&self, kernel: Kernel<'_>, at: VirtAddr, start: VirtAddr) -> Option<VmStruct> {
        let fields = [self.addr, self.size, self.flags, self.caller, self.pages, self.phys];
        let bytes = StructBytes::read(kernel.memory, at, span_of(fields)).ok()?;
        (bytes.ptr(self.addr) == start).then(|| VmStruct {
            at,
            size: bytes.get(self.size),
            flags: bytes.get(self.flags),
            caller: bytes.ptr(self.caller),
            pages: bytes.get(self.pages),
            phys: PhysAddr(bytes.get(self.phys)),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::debuginfo::{SymbolTable, Symbols};
    use crate::kernel::testing::{Image, TypeTable};

    #[test]
    fn an_area_is_found_by_any_address_in_it_and_damage_is_told() {
        let types = TypeTable::new()
            .with(
                "vmap_area",
                56,
                &[("va_start", 0, 8), ("va_end", 8, 8), ("list", 16, 16), ("vm", 32, 8)],
            )
            .with(
                "vm_struct",
                64,
                &[
                    ("addr", 8, 8),
                    ("size", 16, 8),
                    ("flags", 24, 8),
                    ("nr_pages", 32, 4),
                    ("phys_addr", 40, 8),
                    ("caller", 48, 8),
                ],
            )
            .types();
        let mut table = SymbolTable::new(None);
        table.push("vmap_area_list", VirtAddr(0x100), 'd');
        let symbols = Symbols::new(table.finish(VirtAddr(0x200)), Vec::new());
        let mut image = Image::default();
        // The second area's list goes on to nowhere.
        for (at, start, vm, next) in
            [(0x1000, 0x9000, 0x3000, 0x2010), (0x2000, 0x5000, 0x3000, 0x7777_0000)]
        {
            image.put_u64(at, start);
            image.put_u64(at + 8, start + 0x2000);
            image.put_u64(at + 16, next);
            image.put_u64(at + 24, 0);
            image.put_u64(at + 32, vm);
        }
        image.put_u64(0x100, 0x1010);
        image.put(0x3000, &[0; 64]);
        image.put_u64(0x3008, 0x9000);
        image.put_u64(0x3018, 2);
        image.put_u64(0x3030, 0xffff_ffff_8100_0000);
        let areas = VmallocAreas::read(Kernel { memory: &image, types: &types, symbols: &symbols });
        let found = areas.at(VirtAddr(0x9abc)).unwrap();
        assert_eq!((found.start, found.end), (VirtAddr(0x9000), VirtAddr(0xb000)));
        assert_eq!(found.vm.as_ref().unwrap().flag_names(), ["vmalloc"]);
        // This one points to the vm_struct of the other: it has none.
        assert_eq!(areas.at(VirtAddr(0x5000)).unwrap().vm, None);
        assert_eq!(areas.at(VirtAddr(0x7000)), None);
        assert!(areas.cut.unwrap().to_string().contains("0x77770000"));
    }
}
