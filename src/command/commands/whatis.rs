//! `whatis`: the type of a name or an expression.

use super::expression::failed;
use super::{Answer, Call, Command, CommandError, Console};
use crate::debuginfo::{Kind, Tag};
use crate::object::Outcome;
use crate::present::{Line, Offsets, definition, member_definition};

pub(super) const WHATIS: Command = Command {
    name: "whatis",
    usage: "whatis [-o] TYPE[.MEMBER] | VARIABLE | FUNCTION | EXPRESSION",
    summary: "what a name is: the definition of a type, the declaration of a variable or function",
    details: "-o  with the offset of each member",
    run,
};

fn run(console: &mut Console<'_>, call: &Call<'_>) -> Result<Answer, CommandError> {
    let (mut text, mut column, mut offsets) = (call.text, call.column, Offsets::None);
    if let Some(rest) = text.strip_prefix("-o ") {
        let rest = rest.trim_start();
        column += text.chars().count() - rest.chars().count();
        (text, offsets) = (rest, Offsets::Bytes);
    }
    if text.is_empty() {
        return Err(CommandError::new("whatis wants a name"));
    }
    let context = console.context();
    let scope = context.scope();
    let symbol = scope.symbols.find(text);
    if let Some(symbol) = symbol {
        return Ok(match scope.variable_type(text) {
            Some(ty) => vec![Line::from(format!("{};", ty.declare(text)))].into(),
            None if symbol.is_text() => {
                vec![Line::from(format!("<a function of unknown type> {text};"))].into()
            }
            None => vec![Line::from(format!("<a variable of unknown type> {text};"))].into(),
        });
    }
    // A type with or without its keyword, perhaps one of its members.
    let tags = [
        ("struct ", Tag::Struct),
        ("union ", Tag::Union),
        ("enum ", Tag::Enum),
        ("", Tag::Typedef),
    ];
    for (keyword, tag) in tags {
        let Some(name) =
            text.strip_prefix(keyword).or_else(|| Some(text).filter(|t| !t.contains(' ')))
        else {
            continue;
        };
        let (name, member) = name.split_once('.').map_or((name, None), |(n, m)| (n, Some(m)));
        let Ok(ty) = console.session.types().find(tag, name.trim()) else { continue };
        return Ok(match member {
            Some(member) => member_definition(ty, member, &ty.member(member)?, offsets).into(),
            None => definition(ty, offsets).into(),
        });
    }
    if let Ok((ty, value)) = console.session.types().enumerator(text) {
        return Ok(vec![Line::from(format!("{} = {value}", ty.name()))].into());
    }
    if let Ok(ty) = scope.type_of(text) {
        return Ok(definition(ty, offsets).into());
    }
    let outcome = scope.evaluate(text).map_err(failed(column))?;
    let unknown = || CommandError::at(column, "its type is not known");
    let ty = match &outcome {
        Outcome::Text(text) => format!("char [{}]", text.len() + 1),
        outcome => scope.outcome_type(outcome).ok_or_else(unknown)?.name(),
    };
    let function = matches!(&outcome, Outcome::Place(place) if matches!(place.ty().kind(), Kind::Function { .. }));
    Ok(vec![Line::from(if function { format!("{ty};") } else { ty })].into())
}
