//! What could be meant at the jump prompt: symbols and types.

use crate::debuginfo::Tag;
use crate::kernel::Session;
use crate::tui::model::Suggestion;

/// How many of each are offered.
const MOST: usize = 6;

/// Names that start with the text, then names that contain it.
pub(super) fn suggest(session: &Session, text: &str) -> Vec<Suggestion> {
    let text = text.strip_prefix("struct ").unwrap_or(text);
    // After an address there is nothing to complete.
    if text.contains(' ') || text.starts_with("0x") {
        return Vec::new();
    }
    let mut types: Vec<String> = session.types().names(Tag::Struct);
    types.retain(|name| name.starts_with(text));
    types.sort_by_key(String::len);
    let types = types.into_iter().take(MOST / 2).map(|name| Suggestion {
        text: format!("{name} "),
        note: "struct, with an address".to_owned(),
    });
    let symbols = session.symbols().tables().flat_map(|table| table.iter());
    let (mut first, mut others) = (Vec::new(), Vec::new());
    for symbol in symbols {
        let into = match symbol.name.find(text) {
            Some(0) => &mut first,
            Some(_) => &mut others,
            None => continue,
        };
        if into.len() < 200 {
            into.push(symbol);
        }
    }
    first.sort_by_key(|symbol| symbol.name.len());
    let symbols = first.into_iter().chain(others).take(MOST).map(|symbol| Suggestion {
        text: symbol.name.to_owned(),
        note: match symbol.module {
            Some(module) => format!("symbol {:x} [{module}]", symbol.at),
            None => format!("symbol {:x}", symbol.at),
        },
    });
    symbols.chain(types).collect()
}
