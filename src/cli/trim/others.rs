//! What other readers of dumps (crash, drgn) go through before they answer anything, and where a
//! person looks next: the kernel's variables, its page tables, its stacks, the code on them.

use crate::dump::{Level, PAGE_SIZE, PageSet, PhysAddr, VirtAddr};
use crate::kernel::{Known, Session, walk};
use crate::object::Object;
use std::collections::BTreeSet;
use std::ops::Range;

/// No kernel image is larger, in bytes.
const MAX_RANGE: u64 = 1 << 30;
/// Page tables that are gone through: those of 2 TiB in pages of 4 KiB.
const MAX_TABLES: u32 = 1 << 20;
/// Slab caches of one kernel.
const MAX_CACHES: usize = 1 << 16;
/// Memory blocks of one machine.
const MAX_BLOCKS: usize = 1 << 16;
/// No function is longer, in bytes.
const MAX_CODE: u64 = 1 << 20;
/// Sections, or notes, of one module.
const MAX_SECTIONS: u64 = 4096;

/// Reads all that. What a kernel or a dump lacks stays out.
pub(super) fn read_for_others(session: &Session) {
    read_variables(session);
    read_page_tables(session);
    read_memory_map(session);
    read_stacks(session);
    // Kernels that cannot add memory while they run have no blocks of it, …
    _ = read_memory_blocks(session);
    for module in session.modules() {
        // … and modules may be built without notes.
        _ = read_sections(session, module.at);
        _ = read_notes(session, module.at);
    }
}

/// The kernel image without its code.
const IMAGE: [(&str, &str); 6] = [
    ("__start_rodata", "__end_rodata"),
    ("_sdata", "_edata"),
    ("__start_orc_unwind_ip", "__stop_orc_unwind_ip"),
    ("__start_orc_unwind", "__stop_orc_unwind"),
    ("orc_lookup", "orc_lookup_end"),
    ("__bss_start", "_end"),
];

/// Reads the kernel's own variables, and each CPU's copy of those that every CPU has.
fn read_variables(session: &Session) {
    let symbols = session.symbols();
    let range = |start, end| Some(symbols.address(start)?..symbols.address(end)?);
    for (start, end) in IMAGE {
        read_all(session, range(start, end));
    }
    let per_cpu = range("__per_cpu_start", "__per_cpu_end");
    for cpu in session.cpus().iter() {
        read_all(session, per_cpu.clone().map(|r| cpu.per_cpu(r.start)..cpu.per_cpu(r.end)));
    }
}

/// Reads a range page by page, as far as it is there.
fn read_all(session: &Session, range: Option<Range<VirtAddr>>) {
    let Some(Range { start, end }) = range else { return };
    let bytes = end.offset_from(start).filter(|bytes| *bytes <= MAX_RANGE).unwrap_or(0);
    let mut at = start;
    while at < start.plus(bytes) {
        // What the dump lacks stays out.
        _ = session.memory().read(at, &mut [0]);
        at = at.plus(PAGE_SIZE - at.in_page());
    }
}

/// Goes through the kernel's page tables, so that every address that was mapped can still be
/// translated, also from the tops that the CPUs were using.
fn read_page_tables(session: &Session) {
    let memory = session.dump().memory();
    for cr3 in session.dump().cpus().iter().filter_map(|cpu| cpu.cr3) {
        let top = cr3 & 0x000f_ffff_ffff_f000;
        // With page table isolation the other half of the pair differs in bit 12.
        for top in [top, top ^ PAGE_SIZE] {
            _ = memory.read(PhysAddr(top), &mut [0]);
        }
    }
    let space = session.space();
    let (top, mut at) = match space.five_levels() {
        true => (1 << 48, 0xff00_0000_0000_0000),
        false => (1 << 39, 0xffff_8000_0000_0000_u64),
    };
    for _ in 0..MAX_TABLES {
        let walk = space.walk(VirtAddr(at));
        // Where the entry that ended the walk ends: of the lowest tables one look is enough.
        let size = match walk.steps.last().map(|step| step.level) {
            Some(Level::Pte | Level::Pmd) => 1 << 21,
            Some(Level::Pud) => 1 << 30,
            Some(Level::P4d) => 1 << 39,
            Some(Level::Pgd) | None => top,
        };
        match (at & !(size - 1)).checked_add(size) {
            Some(next) => at = next,
            None => break,
        }
    }
}

/// Reads what describes the machine's memory: sections, nodes and slab caches. crash does not start
/// without them.
fn read_memory_map(session: &Session) {
    let kernel = session.kernel();
    let read = |at: VirtAddr, len: u64| {
        read_all(session, Some(at..at.plus(len)));
    };
    let size = |name: &str| kernel.structure(name).ok().and_then(|ty| ty.size()).unwrap_or(0);
    let pointers = |at: VirtAddr, count: u64| {
        let at = (0..count.min(1 << 16)).map(move |index| at.plus(8 * index));
        at.map_while(|at| session.memory().read_ptr(at).ok()).filter(|at| !at.is_null())
    };
    let info = session.dump().vmcoreinfo();
    if let Ok(sections) = kernel.symbol("mem_section")
        && let Ok(roots) = session.memory().read_ptr(sections)
    {
        let count = info.length("mem_section").unwrap_or(0);
        pointers(roots, count).for_each(|root| read(root, 4096));
    }
    if let Ok(nodes) = kernel.symbol("node_data") {
        let count = info.length("node_data").unwrap_or(1);
        pointers(nodes, count).for_each(|node| read(node, size("pglist_data")));
    }
    if let (Ok(caches), Ok(list)) =
        (kernel.symbol("slab_caches"), kernel.field("kmem_cache", "list"))
    {
        for node in walk::list(session.memory(), caches, MAX_CACHES).found {
            let cache = node.minus(list.offset);
            read(cache, size("kmem_cache"));
            let name = kernel.field("kmem_cache", "name");
            if let Ok(Ok(name)) = name.map(|name| name.read(session.memory(), cache)) {
                read(VirtAddr(name), 1);
            }
        }
    }
}

/// Reads the blocks that memory is added and removed in (`struct memory_block`), by way of the bus
/// that they are devices of.
fn read_memory_blocks(session: &Session) -> Known<()> {
    let kernel = session.kernel();
    let bus = kernel.object("bus_type", kernel.symbol("memory_subsys")?)?;
    let private = bus.member("p")?.deref()?;
    let devices = private.member("klist_devices.k_list")?.at();
    let node = kernel.field("device_private", "knode_bus.n_node")?;
    let in_block = kernel.field("memory_block", "dev")?;
    let size = kernel.structure("memory_block")?.size().unwrap_or(0);
    for found in walk::list(session.memory(), devices, MAX_BLOCKS).found {
        let private = kernel.object("device_private", found.minus(node.offset))?;
        let block = private.member("device")?.pointer()?.minus(in_block.offset);
        read_all(session, Some(block..block.plus(size)));
    }
    Ok(())
}

/// Reads the stacks, whole, and the code of every function that is on one: what one wants to look
/// through and to disassemble, and where crash looks for the size of frames.
fn read_stacks(session: &Session) {
    let symbols = session.symbols();
    // crash looks for the return of a switched task in so much of what follows `schedule`.
    if let Some(schedule) = symbols.address("schedule") {
        read_all(session, Some(schedule..schedule.plus(2 * PAGE_SIZE)));
    }
    let mut starts: BTreeSet<VirtAddr> = symbols.address("ret_from_fork").into_iter().collect();
    for task in session.tasks().iter() {
        read_all(session, session.stack(task));
        let frames = session.trace(task).frames;
        let found = frames.iter().filter_map(|frame| symbols.resolve(frame.lookup_pc()));
        starts.extend(found.map(|found| found.symbol.at));
    }
    for start in starts {
        let end = symbols.tables().find_map(|table| table.resolve(start).and(table.end_of(start)));
        read_all(session, end.map(|end| start..end.min(start.plus(MAX_CODE))));
    }
}

/// Reads what tells of every page that is kept what it is, and of the objects that one asks about
/// first whether they are in use.
pub(super) fn read_identities(session: &Session, kept: &PageSet) {
    for pfn in kept.iter() {
        _ = session.page(PhysAddr(pfn.saturating_mul(PAGE_SIZE)));
    }
    for task in session.tasks().iter() {
        for at in [Some(task.at), task.mm, Some(task.stack)].into_iter().flatten() {
            _ = session.identify(at, None);
        }
    }
}

/// Reads where a module's sections are: by that drgn knows a module's ELF file from another's.
fn read_sections(session: &Session, module: VirtAddr) -> Known<()> {
    let sections = attributes(session, module, "sect_attrs")?;
    read_all(session, whole(&sections));
    let count = sections.member("nsections")?.u64()?.min(MAX_SECTIONS);
    for index in 0..count {
        let section = sections.member(&format!("attrs[{index}]"))?;
        read_all(session, whole(&section));
        let name = section.member("battr.attr.name").or_else(|_| section.member("attr.name"))?;
        let name = name.pointer()?;
        read_all(session, Some(name..name.plus(1)));
    }
    Ok(())
}

/// Reads a module's notes, with its build id.
fn read_notes(session: &Session, module: VirtAddr) -> Known<()> {
    let notes = attributes(session, module, "notes_attrs")?;
    read_all(session, whole(&notes));
    let count = notes.member("notes")?.u64()?.min(MAX_SECTIONS);
    for index in 0..count {
        let note = notes.member(&format!("attrs[{index}]"))?;
        read_all(session, whole(&note));
        let name = note.member("attr.name")?.pointer()?;
        read_all(session, Some(name..name.plus(1)));
        let (at, size) = (note.member("private")?.pointer()?, note.member("size")?.u64()?);
        read_all(session, Some(at..at.plus(size.min(MAX_CODE))));
    }
    Ok(())
}

fn attributes<'s>(session: &'s Session, module: VirtAddr, name: &str) -> Known<Object<'s>> {
    Ok(session.kernel().object("module", module)?.member(name)?.deref()?)
}

fn whole(object: &Object<'_>) -> Option<Range<VirtAddr>> {
    Some(object.at()..object.at().plus(object.ty().size()?))
}
