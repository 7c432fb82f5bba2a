//! `mod`: the modules that were loaded.

use super::{Answer, Call, Command, CommandError, Console};
use crate::present::{Align, Cell, Document, Heading, Table};

pub(super) const MOD: Command = Command {
    name: "mod",
    usage: "mod",
    summary: "the modules that were loaded: struct module, name, base, size",
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
        ],
        ..Table::default()
    };
    let mut modules: Vec<_> = console.session.modules().iter().collect();
    modules.sort_by_key(|module| module.at);
    for module in modules {
        let unknown = |unknown: &crate::kernel::Unknown| Cell::Unknown(unknown.0.clone());
        table.rows.push(vec![
            Cell::Address(module.at),
            Cell::Text(module.name.to_string()),
            module.base.as_ref().map_or_else(unknown, |base| Cell::Address(*base)),
            module
                .size
                .as_ref()
                .map_or_else(unknown, |size| Cell::Int(i64::try_from(*size).unwrap_or(i64::MAX))),
        ]);
    }
    Ok(Document::Table(table).into())
}
