//! What an address is, as a sheet of lines and as one row.

use super::{Cell, Heading, Line, Link, Table};
use crate::dump::VirtAddr;
use crate::kernel::Known;
use crate::kernel::identify::{
    Identity, Page, SlabObject, StackOwner, StackPlace, Use, VmallocArea, What,
};

/// The columns of the row; what an address is not leaves its cells empty.
const COLUMNS: [Heading; 33] = [
    Heading::left("address", "ADDRESS"),
    Heading::left("kind", "KIND"),
    Heading::left("text", "WHAT IT IS"),
    Heading::left("symbol", "SYMBOL"),
    Heading::right("symbol_offset", "OFFSET"),
    Heading::left("module", "MODULE"),
    Heading::left("task", "TASK"),
    Heading::left("cpu", "CPU"),
    Heading::left("stack_start", "STACK"),
    Heading::left("stack_end", "END"),
    Heading::right("frame", "FRAME"),
    Heading::left("function", "FUNCTION"),
    Heading::left("cache", "CACHE"),
    Heading::left("cache_name", "CACHE NAME"),
    Heading::left("slab", "SLAB"),
    Heading::left("object", "OBJECT"),
    Heading::right("object_offset", "OFFSET"),
    Heading::right("object_size", "SIZE"),
    Heading::left("allocated", "ALLOCATED"),
    Heading::left("type", "TYPE"),
    Heading::left("area_start", "AREA"),
    Heading::left("area_end", "END"),
    Heading::left("area_caller", "CALLER"),
    Heading::left("physical", "PHYSICAL"),
    Heading::left("page", "PAGE"),
    Heading::right("pfn", "PFN"),
    Heading::left("flags", "FLAGS"),
    Heading::left("mapping", "MAPPING"),
    Heading::right("refcount", "COUNT"),
    Heading::left("vma", "VMA"),
    Heading::left("vma_start", "START"),
    Heading::left("vma_end", "END"),
    Heading::left("file", "FILE"),
];

/// The names of code, by address.
pub type Names<'n> = &'n dyn Fn(VirtAddr) -> Option<String>;

/// The row of an address.
#[must_use]
pub fn identity_table(found: &[Identity], name: Names<'_>) -> Table {
    let lines = found.iter().enumerate().flat_map(|(index, found)| {
        let blank = (index > 0).then(Line::default);
        blank.into_iter().chain(identity_lines(found, name))
    });
    Table {
        columns: COLUMNS.to_vec(),
        rows: found.iter().map(|found| row(found, name)).collect(),
        lines: Some(lines.collect()),
    }
}

/// The kind of an answer, in one word.
const fn kind(what: &What) -> &'static str {
    match what {
        What::Symbol(place) if place.code => "code",
        What::Symbol(_) => "data",
        What::Task { .. } => "task",
        What::Stack(_) => "stack",
        What::PerCpu(_) => "per-cpu",
        What::Object | What::Slab(_) => "slab",
        What::PageStruct(..) => "struct page",
        What::Module(_) => "module",
        What::Vmalloc => "vmalloc",
        What::Direct => "page",
        What::User(_) => "user",
        What::Mapped => "mapped",
        What::Nothing(_) => "nothing",
    }
}

fn text(text: impl Into<String>) -> Cell {
    Cell::Text(text.into())
}

fn number(number: u64) -> Cell {
    i64::try_from(number).map_or_else(|_| text(number.to_string()), Cell::Int)
}

fn known<T>(value: &Known<T>, cell: impl Fn(&T) -> Cell) -> Cell {
    match value {
        Ok(value) => cell(value),
        Err(unknown) => Cell::Unknown(unknown.0.clone()),
    }
}

fn row(found: &Identity, name: Names<'_>) -> Vec<Cell> {
    let mut cells: Vec<(&str, Cell)> = vec![
        ("address", Cell::Address(found.at)),
        ("kind", text(kind(&found.what))),
        ("text", text(found.to_string())),
    ];
    match &found.what {
        What::Symbol(place) => {
            cells.push(("symbol", text(&*place.name)));
            cells.push(("symbol_offset", number(place.offset)));
            cells.extend(place.module.iter().map(|module| ("module", text(&**module))));
        }
        What::Task { task, .. } => cells.push(("task", Cell::Address(*task))),
        What::Stack(place) => stack_cells(place, &mut cells),
        What::PerCpu(place) => {
            cells.push(("cpu", Cell::Int(place.cpu.into())));
            if let Some((name, offset)) = &place.variable {
                cells.push(("symbol", text(&**name)));
                cells.push(("symbol_offset", number(*offset)));
            }
            cells.extend(place.module.iter().map(|module| ("module", text(&**module))));
        }
        What::Module(module) => cells.push(("module", text(&**module))),
        What::User(area) => {
            cells.push(("task", Cell::Address(area.task)));
            cells.push(("vma", Cell::Address(area.at)));
            cells.push(("vma_start", Cell::Address(area.start)));
            cells.push(("vma_end", Cell::Address(area.end)));
            let file = area.file.as_ref();
            cells.extend(file.map(|file| ("file", known(file, |path| text(&**path)))));
        }
        _ => {}
    }
    if let Some(object) = &found.object {
        object_cells(object, &mut cells);
    }
    if let Some(area) = &found.area {
        cells.push(("area_start", Cell::Address(area.start)));
        cells.push(("area_end", Cell::Address(area.end)));
        let caller = area.vm.as_ref().and_then(|vm| name(vm.caller));
        cells.extend(caller.map(|caller| ("area_caller", text(caller))));
    }
    cells.push(match &found.physical {
        Ok(at) => ("physical", Cell::Address(VirtAddr(at.0))),
        Err(fault) => ("physical", Cell::Unknown(fault.to_string().into())),
    });
    cells.push(("page", known(&found.page, |page| Cell::Address(page.at))));
    if let Ok(page) = &found.page {
        cells.push(("pfn", number(page.pfn)));
        cells.push(("flags", text(page.flag_names.join(","))));
        cells.extend(page.mapping.map(|at| ("mapping", Cell::Address(VirtAddr(at)))));
        cells.extend(page.refcount.map(|count| ("refcount", Cell::Int(count))));
    }
    let of = |heading: &Heading| {
        let found = cells.iter().find(|(id, _)| *id == heading.id);
        found.map_or(Cell::Empty, |(_, cell)| cell.clone())
    };
    COLUMNS.iter().map(of).collect()
}

fn stack_cells(place: &StackPlace, cells: &mut Vec<(&str, Cell)>) {
    match &place.owner {
        StackOwner::Task(task, _) => cells.push(("task", Cell::Address(*task))),
        StackOwner::Irq(cpu) | StackOwner::Exception(cpu, _) => {
            cells.push(("cpu", Cell::Int((*cpu).into())));
        }
    }
    cells.push(("stack_start", Cell::Address(place.range.start)));
    cells.push(("stack_end", Cell::Address(place.range.end)));
    if let Some(frame) = &place.frame {
        cells.push(("frame", number(frame.n as u64)));
        cells.extend(frame.function.iter().map(|name| ("function", text(&**name))));
    }
}

fn object_cells(object: &SlabObject, cells: &mut Vec<(&str, Cell)>) {
    cells.push(("cache", Cell::Address(object.cache)));
    cells.push(("cache_name", text(&*object.cache_name)));
    cells.push(("slab", Cell::Address(object.slab)));
    if let Some(start) = object.start {
        cells.push(("object", Cell::Address(start)));
        cells.push(("object_offset", number(object.offset)));
    }
    cells.push(("object_size", number(object.size)));
    cells.push(("allocated", known(&object.usage, |usage| Cell::Bool(*usage == Use::Allocated))));
    cells.extend(object.ty.map(|ty| ("type", text(ty))));
}

/// The whole answer, a line for each part.
#[must_use]
pub fn identity_lines(found: &Identity, name: Names<'_>) -> Vec<Line> {
    let mut lines = vec![Line::from(format!("{:x} is {found}", found.at))];
    let mut add = |title: &str, text: String, link: Option<Link>| {
        lines.push(Line { text: format!("{title:>12}: {text}"), link });
    };
    match &found.what {
        What::Task { task, label, .. } => {
            add("TASK", format!("{task:x}  {label}"), Some(Link::Task(*task)));
        }
        What::Stack(place) => {
            let range = format!("{:x}-{:x}", place.range.start, place.range.end);
            match &place.owner {
                StackOwner::Task(task, label) => {
                    add("TASK", format!("{task:x}  {label}"), Some(Link::Task(*task)));
                }
                StackOwner::Irq(cpu) | StackOwner::Exception(cpu, _) => {
                    add("CPU", cpu.to_string(), None);
                }
            }
            add("STACK", range, None);
        }
        What::User(area) => {
            add("TASK", format!("{:x}  {}", area.task, area.label), Some(Link::Task(area.task)));
            let link = Link::Object("struct vm_area_struct".to_owned(), area.at);
            let range = format!("{:x}  {:x}-{:x} {}", area.at, area.start, area.end, area.access);
            add("VMA", range, Some(link));
        }
        _ => {}
    }
    if let Some(object) = &found.object {
        object_lines(object, &mut add);
    }
    if let Some(area) = &found.area {
        area_lines(area, name, &mut add);
    }
    match &found.physical {
        Ok(at) => add("PHYSICAL", format!("{at:x}"), None),
        Err(fault) => add("PHYSICAL", format!("– {fault}"), None),
    }
    match &found.page {
        Ok(page) => page_lines(page, &mut add),
        Err(unknown) if found.physical.is_ok() => add("PAGE", format!("– {unknown}"), None),
        Err(_) => {}
    }
    if let (Ok(_), Err(fault)) = (&found.physical, &found.readable) {
        add("MEMORY", format!("– {}", fault.why), None);
    }
    lines
}

type Add<'a> = &'a mut dyn FnMut(&str, String, Option<Link>);

fn object_lines(object: &SlabObject, add: Add<'_>) {
    if let Some(start) = object.start {
        let state = match &object.usage {
            Ok(Use::Allocated) => "allocated".to_owned(),
            Ok(Use::Free) => "free".to_owned(),
            Err(unknown) => format!("allocated or free: – {unknown}"),
        };
        let link = match object.ty {
            Some(ty) => Link::Object(format!("struct {ty}"), start),
            None => Link::Memory(start),
        };
        add("OBJECT", format!("{start:x}  {} bytes, {state}", object.size), Some(link));
    }
    let link = Link::Object("struct kmem_cache".to_owned(), object.cache);
    add("CACHE", format!("{:x}  {}", object.cache, object.cache_name), Some(link));
    add("SLAB", format!("{:x}", object.slab), Some(Link::Memory(object.slab)));
}

fn area_lines(area: &VmallocArea, name: Names<'_>, add: Add<'_>) {
    let link = Link::Object("struct vmap_area".to_owned(), area.at);
    let mut text = format!("{:x}  {:x}-{:x}", area.at, area.start, area.end);
    if let Some(vm) = &area.vm {
        text += &format!("  {}", vm.flag_names().join(","));
    }
    add("AREA", text, Some(link));
    if let Some(vm) = &area.vm {
        let caller = name(vm.caller).unwrap_or_else(|| format!("{:x}", vm.caller));
        add("CALLER", caller, Some(Link::Code(vm.caller)));
        if vm.phys.0 != 0 {
            add("MAPS", format!("physical {:x}", vm.phys), None);
        }
    }
}

fn page_lines(page: &Page, add: Add<'_>) {
    let link = Link::Object("struct page".to_owned(), page.at);
    add("PAGE", format!("{:x}  page frame {:#x}", page.at, page.pfn), Some(link));
    if page.head != page.at {
        let link = Link::Object("struct page".to_owned(), page.head);
        add("HEAD", format!("{:x}", page.head), Some(link));
    }
    let mut names = page.flag_names.join(",");
    if let Some(kind) = page.kind.as_ref().filter(|kind| !page.flag_names.contains(kind)) {
        names = if names.is_empty() { kind.to_string() } else { format!("{names},{kind}") };
    }
    add("FLAGS", format!("{:x}  {names}", page.flags), None);
    // Those of a slab are parts of its free list.
    if !page.is_slab() {
        if let Some(mapping) = page.mapping.filter(|at| *at != 0) {
            let index = page.index.map_or_else(String::new, |index| format!("  index {index:#x}"));
            add("MAPPING", format!("{mapping:x}{index}"), None);
        }
        if let Some(count) = page.refcount {
            add("REFCOUNT", count.to_string(), None);
        }
    }
}
