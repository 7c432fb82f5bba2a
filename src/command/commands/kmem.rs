//! `kmem`: what is at an address, and what the kernel's memory is used for.

use super::{Answer, Call, Command, CommandError, Console, kmem_totals};
use crate::command::select;
use crate::dump::{PhysAddr, VirtAddr};
use crate::kernel::identify::{Cache, VmallocArea};
use crate::kernel::{Session, Unknown};
use crate::present::{Cell, Document, Heading, Line, Link, Table, identity_table};

pub(super) const KMEM: Command = Command {
    name: "kmem",
    usage: "kmem ADDR | SYMBOL ...\nkmem -s [CACHE | ADDR ...]\nkmem -p ADDR ...\nkmem -v\nkmem -i",
    summary: "what is at an address, slab caches, vmalloc areas, memory in use",
    details: "-s  slab caches: all of them, the named one, or that of an address\n-p  ADDR is physical\n-v  the areas of the vmalloc space\n-i  what the memory of the machine is used for\nA user address is looked for in the process of the current task.",
    run,
};

fn run(console: &mut Console<'_>, call: &Call<'_>) -> Result<Answer, CommandError> {
    let words: Vec<&str> = call.words.iter().map(String::as_str).collect();
    let session = console.session;
    match words.as_slice() {
        [] => Err(CommandError::new("kmem wants an address, -s, -v or -i")),
        ["-s"] => caches(session, |_| true),
        ["-s", words @ ..] => of_words(console, words),
        ["-p"] => Err(CommandError::new("kmem -p wants a physical address")),
        ["-p", words @ ..] => {
            let mut found = Vec::new();
            for word in words {
                let bad = || CommandError::new(format!("{word} is no address"));
                let at = PhysAddr(select::hex(word).ok_or_else(bad)?.0);
                let none = || CommandError::new(format!("the direct map has no physical {at}"));
                found.push(session.direct(at).ok_or_else(none)?);
            }
            Ok(identify(console, &found))
        }
        ["-v"] => Ok(areas(session)),
        ["-i"] => Ok(kmem_totals::answer(session)),
        ["-v" | "-i", word, ..] => Err(KMEM.unknown(word)),
        [option, ..] if option.starts_with('-') => Err(KMEM.unknown(option)),
        words => {
            let found: Result<Vec<VirtAddr>, _> =
                words.iter().map(|word| console.address(word)).collect();
            Ok(identify(console, &found?))
        }
    }
}

fn identify(console: &Console<'_>, at: &[VirtAddr]) -> Answer {
    let session = console.session;
    let task = console.current().ok();
    let found: Vec<_> = at.iter().map(|at| session.identify(*at, task)).collect();
    let name = |at: VirtAddr| session.symbolize(at).map(|symbol| symbol.to_string());
    Document::Table(identity_table(&found, &name)).into()
}

/// Caches by name, or what addresses are in.
fn of_words(console: &Console<'_>, words: &[&str]) -> Result<Answer, CommandError> {
    let session = console.session;
    let (all, _) = session.slab_caches();
    if words.iter().all(|word| all.iter().any(|cache| *cache.name == **word)) {
        return caches(session, |cache| words.contains(&&*cache.name));
    }
    let mut found = Vec::new();
    for word in words {
        let at = console.address(word).map_err(|_| {
            CommandError::new(format!("{word} is no slab cache, no address and no symbol"))
        })?;
        // As crash has it, the address of a cache stands for the cache.
        if all.iter().any(|cache| cache.at == at) {
            return caches(session, |cache| cache.at == at);
        }
        let identity = session.identify(at, None);
        if identity.object.is_none() {
            return Err(CommandError::new(format!("{at} is in no slab: it is {identity}")));
        }
        found.push(at);
    }
    Ok(identify(console, &found))
}

/// The table of caches, as crash prints it.
fn caches(session: &Session, wanted: impl Fn(&Cache) -> bool) -> Result<Answer, CommandError> {
    let (all, cut) = session.slab_caches();
    if let (true, Some(unknown)) = (all.is_empty(), cut) {
        return Err(CommandError::new(format!("slab caches cannot be read: {unknown}")));
    }
    let mut table = Table {
        columns: vec![
            Heading::left("cache", "CACHE"),
            Heading::right("object_size", "OBJSIZE"),
            Heading::right("allocated", "ALLOCATED"),
            Heading::right("total", "TOTAL"),
            Heading::right("slabs", "SLABS"),
            Heading::right("slab_kib", "SSIZE"),
            Heading::left("name", "NAME"),
        ],
        ..Table::default()
    };
    let heading = "CACHE             OBJSIZE  ALLOCATED     TOTAL  SLABS  SSIZE  NAME";
    let mut lines = vec![Line::from(heading)];
    for cache in all.iter().filter(|cache| wanted(cache)) {
        let usage = session.cache_use(cache);
        let part = |part: fn(&crate::kernel::identify::CacheUse) -> u64| match &usage {
            Ok(usage) => int(part(usage)),
            Err(unknown) => Cell::Unknown(unknown.0.clone()),
        };
        let slab_kib = cache.order.map(|order| 4_u64.checked_shl(order).unwrap_or(0));
        let (allocated, total) = (part(|usage| usage.allocated), part(|usage| usage.total));
        let slabs = part(|usage| usage.slabs);
        let size = slab_kib.map_or_else(|| "–".to_owned(), |kib| format!("{kib}k"));
        let line = format!(
            "{:016x}  {:7}  {:>9}  {:>8}  {:>5}  {size:>5}  {}",
            cache.at,
            cache.object_size,
            allocated.to_string(),
            total.to_string(),
            slabs.to_string(),
            cache.name
        );
        lines.push(Line::to(Link::Object("struct kmem_cache".to_owned(), cache.at), line));
        table.rows.push(vec![
            Cell::Address(cache.at),
            int(cache.object_size),
            allocated,
            total,
            slabs,
            slab_kib.map_or(Cell::Empty, int),
            Cell::Text(cache.name.to_string()),
        ]);
    }
    table.lines = Some(lines);
    let mut answer = Answer::from(Document::Table(table));
    answer.notes.extend(cut.map(Unknown::to_string));
    Ok(answer)
}

fn int(number: u64) -> Cell {
    Cell::Int(i64::try_from(number).unwrap_or(i64::MAX))
}

/// The areas of the vmalloc space, as crash prints them, and who asked for them.
fn areas(session: &Session) -> Answer {
    let (areas, cut) = session.vmalloc_areas();
    let mut table = Table {
        columns: vec![
            Heading::left("vmap_area", "VMAP_AREA"),
            Heading::left("vm_struct", "VM_STRUCT"),
            Heading::left("start", "START"),
            Heading::left("end", "END"),
            Heading::right("size", "SIZE"),
            Heading::left("flags", "FLAGS"),
            Heading::left("caller", "CALLER"),
        ],
        ..Table::default()
    };
    let heading =
        "   VMAP_AREA         VM_STRUCT                 ADDRESS RANGE                SIZE  CALLER";
    let mut lines = vec![Line::from(heading)];
    for area in areas {
        let (cells, line) = area_row(session, area);
        table.rows.push(cells);
        lines.push(Line::to(Link::Object("struct vmap_area".to_owned(), area.at), line));
    }
    table.lines = Some(lines);
    let mut answer = Answer::from(Document::Table(table));
    answer.notes.extend(cut.map(Unknown::to_string));
    answer
}

fn area_row(session: &Session, area: &VmallocArea) -> (Vec<Cell>, String) {
    let size = area.end.offset_from(area.start).unwrap_or(0);
    let vm = area.vm.as_ref();
    let symbol = vm.and_then(|vm| session.symbolize(vm.caller)).map(|symbol| symbol.to_string());
    let line = format!(
        "{:016x}  {:016x}  {:016x} - {:016x}  {size:8}  {}",
        area.at,
        vm.map_or(VirtAddr(0), |vm| vm.at),
        area.start,
        area.end,
        symbol.as_deref().unwrap_or("")
    );
    let cells = vec![
        Cell::Address(area.at),
        vm.map_or(Cell::Empty, |vm| Cell::Address(vm.at)),
        Cell::Address(area.start),
        Cell::Address(area.end),
        int(size),
        vm.map_or(Cell::Empty, |vm| Cell::Text(vm.flag_names().join(","))),
        symbol.map_or(Cell::Empty, Cell::Text),
    ];
    (cells, line.trim_end().to_owned())
}
