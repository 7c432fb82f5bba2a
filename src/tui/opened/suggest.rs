//! What could be meant at the jump prompt: symbols and types.

use super::inspect::find_type;
use crate::debuginfo::{Tag, Type};
use crate::kernel::{Session, TaskContext};
use crate::tui::model::Suggestion;

/// How many of each are offered.
const MOST: usize = 6;
/// Anonymous structs that are looked into for members, nested ones included; the stack bounds it.
const MOST_TYPES: u32 = 200;

/// Members, behind a type or an expression and its dot or arrow; otherwise names that start with
/// the text, then names that contain it.
pub(super) fn suggest(session: &Session, text: &str) -> Vec<Suggestion> {
    if let Some(found) = members(session, text) {
        return found;
    }
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

/// The members that go on with the text, shortest first, if it ends in the start of one.
fn members(session: &Session, text: &str) -> Option<Vec<Suggestion>> {
    let start = text.rfind(|c: char| !c.is_alphanumeric() && c != '_')? + 1;
    let (before, start) = text.split_at_checked(start)?;
    let base = before.strip_suffix('.').or_else(|| before.strip_suffix("->"))?;
    let context = TaskContext::new(session, None);
    let scope = context.scope();
    let ty = find_type(session.types(), base).ok().or_else(|| scope.expression_type(base))?;
    let ty = ty.target().filter(|_| ty.compound().is_none()).unwrap_or(ty);
    let mut found = Vec::new();
    named_members(ty, start, &mut { MOST_TYPES }, &mut found);
    found.sort_by_key(|(name, _)| name.len());
    let suggestion = |(name, declared): (&str, String)| Suggestion {
        text: format!("{before}{name}"),
        note: declared,
    };
    Some(found.into_iter().take(MOST).map(suggestion).collect())
}

/// Members with their declaration, those of anonymous structs among them. `visits` bounds how many
/// types are looked at: damaged ones may nest without end.
fn named_members<'t>(
    ty: Type<'t>,
    start: &str,
    visits: &mut u32,
    found: &mut Vec<(&'t str, String)>,
) {
    let Some(left) = visits.checked_sub(1) else { return };
    *visits = left;
    for (name, member) in ty.members() {
        match name {
            Some(name) if name.starts_with(start) => found.push((name, member.ty.declare(name))),
            None if left > 0 => named_members(member.ty, start, visits, found),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::object::testing::world;

    #[test]
    fn members_of_anonymous_unions_are_offered_too() {
        let world = world();
        let node = world.scope().types.structure("node").unwrap();
        let named = |start, visits: u32| {
            let mut found = Vec::new();
            named_members(node, start, &mut { visits }, &mut found);
            found.into_iter().map(|(name, _)| name).collect::<Vec<_>>()
        };
        assert_eq!(named("pa", 100), ["parent", "pair"]);
        assert_eq!(named("wa", 100), ["wake"]);
        assert!(named("wa", 1).is_empty());
    }
}
