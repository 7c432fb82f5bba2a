//! `struct`, `union` and their short form: definitions, and what lies at an address.

use super::{Answer, Call, Command, CommandError, Console};
use crate::debuginfo::{Tag, Type};
use crate::dump::VirtAddr;
use crate::object::{Content, Object, Value};
use crate::present::{Document, Line, Offsets, Printed, Radix, definition, member_definition};

const USAGE_DETAILS: &str = "-o  the offset of each member; with ADDR its address\n-x  numbers in hex\n-d  numbers in decimal\nThe word struct may be left out: task_struct.pid,comm ADDR";

pub(super) const STRUCT: Command = Command {
    name: "struct",
    usage: "struct TYPE[.MEMBER[,MEMBER...]] [-o] [-x | -d] [ADDR | SYMBOL] [COUNT]",
    summary: "the definition of a struct, or what lies at an address",
    details: USAGE_DETAILS,
    run: |console, call| {
        run(console, &STRUCT, &[Tag::Struct, Tag::Union, Tag::Typedef, Tag::Enum], call)
    },
};

pub(super) const UNION: Command = Command {
    name: "union",
    usage: "union TYPE[.MEMBER[,MEMBER...]] [-o] [-x | -d] [ADDR | SYMBOL] [COUNT]",
    summary: "the definition of a union, or what lies at an address",
    details: USAGE_DETAILS,
    run: |console, call| run(console, &UNION, &[Tag::Union], call),
};

/// More objects than anybody reads in a row.
const MAX_COUNT: u64 = 100_000;

/// The short form: the name of a type instead of a command.
pub(in crate::command) fn short(
    console: &mut Console<'_>,
    name: &str,
    call: &Call<'_>,
) -> Result<Answer, CommandError> {
    if name == "enum" {
        return run(console, &STRUCT, &[Tag::Enum], call);
    }
    let (ty, _) = name.split_once('.').unwrap_or((name, ""));
    let known = |tag: &Tag| console.session.types().find(*tag, ty).is_ok();
    if ![Tag::Struct, Tag::Union, Tag::Typedef, Tag::Enum].iter().any(known) {
        return Err(CommandError::new(format!(
            "no command and no type {ty}; help lists the commands"
        )));
    }
    let mut words = vec![name.to_owned()];
    words.extend_from_slice(call.words);
    (STRUCT.run)(console, &Call { words: &words, text: call.text, column: call.column })
}

fn run(
    console: &mut Console<'_>,
    command: &Command,
    tags: &[Tag],
    call: &Call<'_>,
) -> Result<Answer, CommandError> {
    let (mut offsets, mut radix) = (false, Radix::Decimal);
    let mut words = Vec::new();
    for word in call.words {
        match word.as_str() {
            "-o" => offsets = true,
            "-x" => radix = Radix::Hex,
            "-d" => radix = Radix::Decimal,
            option if option.starts_with('-') => return Err(command.unknown(option)),
            word => words.push(word),
        }
    }
    let Some((what, rest)) = words.split_first() else {
        return Err(CommandError::new(format!("{} wants a type", command.name)));
    };
    let (name, members) = match what.split_once('.') {
        Some((name, members)) => (name, members.split(',').collect()),
        None => (*what, Vec::new()),
    };
    let found = tags.iter().find_map(|tag| console.session.types().find(*tag, name).ok());
    let missing = || console.session.types().find(tags[0], name).map(|_| ());
    let ty = match found {
        Some(ty) => ty,
        None => return Err(missing().err().map_or_else(|| command.unknown(name), Into::into)),
    };
    let (at, count) = match rest {
        [] => return define(ty, &members, offsets.then_some(Offsets::Bytes)),
        [at] => (console.address(at)?, 1),
        [at, count] => {
            let bad = || CommandError::new(format!("{count} is no count of up to {MAX_COUNT}"));
            let count = count.parse().ok().filter(|count| *count <= MAX_COUNT);
            (console.address(at)?, count.ok_or_else(bad)?)
        }
        [_, _, word, ..] => return Err(command.unknown(word)),
    };
    if offsets {
        return define(ty, &members, Some(Offsets::From(at)));
    }
    let mut answer = Answer::from(Document::Values(Vec::new()));
    answer.notes.extend(console.doubt(at, name));
    let mut values = Vec::new();
    let size = ty.size().unwrap_or(0);
    for index in 0..count {
        let at = at.plus(size.saturating_mul(index));
        values.push(if members.is_empty() {
            whole(console, ty, at, radix)?
        } else {
            some(console, ty, at, &members, radix)?
        });
    }
    answer.document = Document::Values(values);
    Ok(answer)
}

fn define(
    ty: Type<'_>,
    members: &[&str],
    offsets: Option<Offsets>,
) -> Result<Answer, CommandError> {
    let offsets = offsets.unwrap_or(Offsets::None);
    if members.is_empty() {
        return Ok(definition(ty, offsets).into());
    }
    let mut lines: Vec<Line> = Vec::new();
    for name in members {
        lines.extend(member_definition(ty, name, &ty.member(name)?, offsets));
    }
    Ok(lines.into())
}

fn whole(
    console: &Console<'_>,
    ty: Type<'_>,
    at: VirtAddr,
    radix: Radix,
) -> Result<Printed, CommandError> {
    let object = Object::new(console.session.memory(), ty, at);
    let value = Value::read(&object, Some(console.session.symbols()))?;
    let before = match value.content {
        // A typedef of a struct without a name stands for it.
        Content::Members(_) => match ty.resolved().name() {
            name if name.ends_with("{...}") => format!("{} ", name.replace("{...}", &ty.name())),
            name => format!("{name} "),
        },
        _ => String::new(),
    };
    Ok(Printed { before, value, radix, members_only: false })
}

fn some(
    console: &Console<'_>,
    ty: Type<'_>,
    at: VirtAddr,
    members: &[&str],
    radix: Radix,
) -> Result<Printed, CommandError> {
    let object = Object::new(console.session.memory(), ty, at);
    let mut content = Vec::new();
    for name in members {
        let value = Value::read(&object.member(name)?, Some(console.session.symbols()))?;
        content.push((Some((*name).to_owned()), value.content));
    }
    let value = Value { ty: ty.name(), at: Some(at), content: Content::Members(content) };
    Ok(Printed { before: String::new(), value, radix, members_only: true })
}
