//! `mod`: the modules that were loaded.

use super::{Answer, Call, Command, CommandError, Console};
use crate::present::{Align, Cell, Document, Heading, Table};

pub(super) const MOD: Command = Command {
    name: "mod",
    usage: "mod",
    summary: "the modules that were loaded: struct module, name, base, size, file with debug information",
    details: "",
    run,
};

fn run(console: &mut Console<'_>, call: &Call<'_>) -> Result<Answer, CommandError> {
    if let Some(word) = call.words.first() {
        return Err(MOD.unknown(word));
    }
    let heading = |id, title, align| Heading { id, title, align };
    let mut table = Table {
        columns: vec![
            heading("module", "MODULE", Align::Left),
            heading("name", "NAME", Align::Left),
            heading("base", "BASE", Align::Left),
            heading("size", "SIZE", Align::Right),
            heading("object_file", "OBJECT FILE", Align::Left),
        ],
        ..Table::default()
    };
    let session = console.session;
    let mut modules: Vec<_> = session.modules().iter().enumerate().collect();
    modules.sort_by_key(|(_, module)| module.at);
    let mut reasons = Vec::new();
    for (number, module) in modules {
        let file = session.module_file(number);
        reasons.push(file.as_ref().err().map_or(Cell::Empty, |why| Cell::Text(why.0.to_string())));
        let unknown = |unknown: &crate::kernel::Unknown| Cell::Unknown(unknown.0.clone());
        table.rows.push(vec![
            Cell::Address(module.at),
            Cell::Text(module.name.to_string()),
            module.base.as_ref().map_or_else(unknown, |base| Cell::Address(*base)),
            module
                .size
                .as_ref()
                .map_or_else(unknown, |size| Cell::Int(i64::try_from(*size).unwrap_or(i64::MAX))),
            file.as_ref().map_or_else(unknown, |found| {
                Cell::Text(crate::dump::scrub(found.path.as_os_str().as_encoded_bytes()))
            }),
        ]);
    }
    // Why there is none is too long for a column of text.
    table.lines = Some(table.text());
    table.columns.push(heading("object_file_why", "WHY", Align::Left));
    for (row, reason) in table.rows.iter_mut().zip(reasons) {
        row.push(reason);
    }
    Ok(Document::Table(table).into())
}
