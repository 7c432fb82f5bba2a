//! `sym`: names of addresses and addresses of names.

use super::{Answer, Call, Command, CommandError, Console};
use crate::command::select;
use crate::debuginfo::Symbol;
use crate::present::{Cell, Document, Heading, Line, Link, Table};

pub(super) const SYM: Command = Command {
    name: "sym",
    usage: "sym ADDR | NAME ...\nsym -q TEXT\nsym -p | -n ADDR | NAME\nsym -l\nsym -m MODULE\nsym -M",
    summary: "the symbol of an address, the address of a symbol",
    details: "-p  and the symbol before it\n-n  and the symbol after it\n-q  all symbols whose name holds TEXT\n-l  all symbols of the kernel and its modules\n-m  those of a module\n-M  those of all modules",
    run,
};

fn run(console: &mut Console<'_>, call: &Call<'_>) -> Result<Answer, CommandError> {
    let symbols = console.session.symbols();
    let mut found: Vec<(Symbol<'_>, u64)> = Vec::new();
    let words: Vec<&str> = call.words.iter().map(String::as_str).collect();
    let all = || symbols.tables().flat_map(|table| table.iter());
    match words.as_slice() {
        [] => return Err(CommandError::new("sym wants an address or a name")),
        ["-l"] => found.extend(all().map(|symbol| (symbol, 0))),
        ["-M"] => found.extend(all().filter(|s| s.module.is_some()).map(|symbol| (symbol, 0))),
        ["-m", module] => {
            found.extend(all().filter(|s| s.module == Some(module)).map(|symbol| (symbol, 0)));
            if found.is_empty() {
                return Err(CommandError::new(format!("no module {module}, or it has no symbols")));
            }
        }
        ["-q", text] => {
            found.extend(all().filter(|s| s.name.contains(text)).map(|symbol| (symbol, 0)));
            if found.is_empty() {
                return Err(CommandError::new(format!("no symbol holds {text}")));
            }
        }
        [option @ ("-p" | "-n"), word] => {
            let at = console.address(word)?;
            let covering = symbols.resolve(at);
            let missing = || CommandError::new(format!("no symbol covers {at}"));
            let covering = covering.ok_or_else(missing)?;
            let (symbol, offset) = (covering.symbol, covering.offset);
            let mut neighbours: Vec<Symbol<'_>> =
                all().filter(|other| other.module == symbol.module).collect();
            neighbours.sort_by_key(|other| other.at);
            if *option == "-p" {
                let before = neighbours.iter().rev().find(|other| other.at < symbol.at);
                found.extend(before.map(|before| (*before, 0)));
                found.push((symbol, offset));
            } else {
                found.push((symbol, offset));
                let after = neighbours.iter().find(|other| other.at > symbol.at);
                found.extend(after.map(|after| (*after, 0)));
            }
        }
        [option, ..] if option.starts_with('-') => return Err(SYM.unknown(option)),
        words => {
            for word in words {
                let before = found.len();
                let named = symbols.tables().flat_map(|table| table.find_all(word));
                found.extend(named.map(|symbol| (symbol, 0)));
                if found.len() > before {
                    continue;
                }
                let resolved = select::hex(word).map(|at| (at, symbols.resolve(at)));
                match resolved {
                    Some((_, Some(found_at))) => found.push((found_at.symbol, found_at.offset)),
                    Some((at, None)) if word.starts_with("0x") || word.len() > 8 => {
                        return Err(CommandError::new(format!("no symbol covers {at}")));
                    }
                    _ => return Err(CommandError::new(format!("no symbol {word}"))),
                }
            }
        }
    }
    Ok(Document::Table(table(&found)).into())
}

fn table(found: &[(Symbol<'_>, u64)]) -> Table {
    let mut table = Table {
        columns: vec![
            Heading::left("address", "ADDRESS"),
            Heading::left("type", "TYPE"),
            Heading::left("name", "NAME"),
            Heading::right("offset", "OFFSET"),
            Heading::left("module", "MODULE"),
        ],
        ..Table::default()
    };
    let mut lines = Vec::new();
    for (symbol, offset) in found {
        let at = symbol.at.plus(*offset);
        let mut text = format!("{at:x} ({}) {}", symbol.letter, symbol.name);
        if *offset > 0 {
            text += &format!("+{offset}");
        }
        if let Some(module) = symbol.module {
            text += &format!(" [{module}]");
        }
        let link = if symbol.is_text() { Link::Code(at) } else { Link::Memory(at) };
        lines.push(Line::to(link, text));
        table.rows.push(vec![
            Cell::Address(at),
            Cell::Text(symbol.letter.to_string()),
            Cell::Text(symbol.name.to_owned()),
            Cell::Int(i64::try_from(*offset).unwrap_or(i64::MAX)),
            symbol.module.map_or(Cell::Empty, |module| Cell::Text(module.to_owned())),
        ]);
    }
    table.lines = Some(lines);
    table
}
