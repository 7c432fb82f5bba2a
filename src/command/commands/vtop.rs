//! `vtop`: the way through the page tables.

use super::{Answer, Call, Command, CommandError, Console};
use crate::dump::{PhysAddr, VirtAddr};
use crate::memory::Walk;
use crate::present::{Cell, Document, Heading, Line, Link, Table};

pub(super) const VTOP: Command = Command {
    name: "vtop",
    usage: "vtop [-u | -k] ADDR | SYMBOL ...",
    summary: "the physical address behind a virtual one, entry by entry",
    details: "-u  ADDR is in the address space of the current task\n-k  ADDR is the kernel's\nWithout either, low addresses are the current task's.",
    run,
};

/// The lowest address that is none of a process's, with five levels of page tables.
const USER_END: VirtAddr = VirtAddr(0x0100_0000_0000_0000);

/// Bits of an entry: arch/x86/include/asm/pgtable_types.h.
const BITS: [(u64, &str); 9] = [
    (1 << 0, "PRESENT"),
    (1 << 1, "RW"),
    (1 << 2, "USER"),
    (1 << 3, "PWT"),
    (1 << 4, "PCD"),
    (1 << 5, "ACCESSED"),
    (1 << 6, "DIRTY"),
    (1 << 8, "GLOBAL"),
    (1 << 63, "NX"),
];

fn run(console: &mut Console<'_>, call: &Call<'_>) -> Result<Answer, CommandError> {
    let (mut user, mut words) = (None, Vec::new());
    for word in call.words {
        match word.as_str() {
            "-u" => user = Some(true),
            "-k" => user = Some(false),
            option if option.starts_with('-') => return Err(VTOP.unknown(option)),
            word => words.push(word),
        }
    }
    if words.is_empty() {
        return Err(CommandError::new("vtop wants an address"));
    }
    let mut table = Table {
        columns: vec![
            Heading::left("virtual", "VIRTUAL"),
            Heading::left("physical", "PHYSICAL"),
            Heading::left("entries", "ENTRIES"),
        ],
        ..Table::default()
    };
    let mut lines = Vec::new();
    for word in words {
        let at = console.address(word)?;
        let walk = if user.unwrap_or(at < USER_END) {
            console.session.user_memory(console.current()?)?.walk(at)
        } else {
            console.session.space().walk(at)
        };
        if !lines.is_empty() {
            lines.push(Line::default());
        }
        lines.extend(text(console, at, &walk));
        let entries: Vec<String> =
            walk.steps.iter().map(|step| format!("{} {:x}", step.level, step.entry)).collect();
        let physical = match &walk.end {
            Ok(at) => Cell::Address(VirtAddr(at.0)),
            Err(fault) => Cell::Unknown(fault.to_string().into()),
        };
        table.rows.push(vec![Cell::Address(at), physical, Cell::Text(entries.join(", "))]);
    }
    table.lines = Some(lines);
    Ok(Document::Table(table).into())
}

fn text(console: &Console<'_>, at: VirtAddr, walk: &Walk) -> Vec<Line> {
    let physical = match &walk.end {
        Ok(at) => format!("{at:x}"),
        Err(fault) => format!("({})", fault.why),
    };
    let mut lines = vec![
        Line::from("VIRTUAL           PHYSICAL"),
        Line::to(Link::Memory(at), format!("{:<16}  {physical}", format!("{at:x}"))),
        Line::default(),
    ];
    for step in &walk.steps {
        let names = BITS.iter().filter(|(bit, _)| step.entry & bit != 0).map(|(_, name)| *name);
        let names: Vec<&str> = names.collect();
        let level = step.level.to_string().to_uppercase();
        lines.push(
            format!("{level:>5}: {:x} => {:x}  ({})", step.at, step.entry, names.join("|")).into(),
        );
    }
    if let Ok(end) = walk.end
        && let Some(line) = page(console, end)
    {
        lines.push(Line::default());
        lines.push(line);
    }
    lines
}

fn page(console: &Console<'_>, at: PhysAddr) -> Option<Line> {
    let page = console.session.page(at).ok()?;
    let link = Link::Object("struct page".to_owned(), page.at);
    let names = page.flag_names.join(",");
    Some(Line::to(link, format!(" PAGE: {:x}  {page}  {names}", page.at)))
}
