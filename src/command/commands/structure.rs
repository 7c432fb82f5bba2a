//! `struct`, `union` and their short forms: definitions, and what lies at an address.

use super::words::{Words, number};
use super::{Answer, Call, Command, CommandError, Console, rd};
use crate::command::select;
use crate::debuginfo::{Kind, Tag, Type, TypeError};
use crate::dump::VirtAddr;
use crate::memory::VirtualMemory;
use crate::object::{Content, Object, Value};
use crate::present::{
    Document, Line, Offsets, Printed, Radix, definition, member_definition, value_lines,
};

const DETAILS: &str = "-o          the offset of each member; with ADDR its address\n-l OFFSET   ADDR is that of this member: bytes, or TYPE.MEMBER\n-p          with what members point to\n-r          the memory as it lies\n-u          ADDR is in the address space of the current task\n-x, -d      numbers in hex, in decimal\n-c COUNT    so many; a negative number counts backwards\nADDR is in hex, a symbol or an expression; VARIABLE:CPUS takes CPUs 0,2-3, a (all) or none\n(the current task's). The word struct may be left out, a star may stand for it:\ntask_struct.pid,comm ADDR, *mm_struct.owner ADDR, spinlock_t ADDR";

pub(super) const STRUCT: Command = Command {
    name: "struct",
    usage: "struct TYPE[.MEMBER[,MEMBER...]] [-o] [-l OFFSET] [-prux] [-d] [ADDR | SYMBOL[:CPUS]] [COUNT]",
    summary: "the definition of a struct, or what lies at an address",
    details: DETAILS,
    run: |console, call| {
        run(console, &STRUCT, &[Tag::Struct, Tag::Union, Tag::Typedef, Tag::Enum], call)
    },
};

pub(super) const UNION: Command = Command {
    name: "union",
    usage: "union TYPE[.MEMBER[,MEMBER...]] [-o] [-l OFFSET] [-prux] [-d] [ADDR | SYMBOL[:CPUS]] [COUNT]",
    summary: "the definition of a union, or what lies at an address",
    details: DETAILS,
    run: |console, call| run(console, &UNION, &[Tag::Union], call),
};

/// More objects than anybody reads in a row.
const MAX_COUNT: i64 = 100_000;

/// The short form: the name of a type instead of a command, perhaps with a star before it.
pub(in crate::command) fn short(
    console: &mut Console<'_>,
    name: &str,
    call: &Call<'_>,
) -> Result<Answer, CommandError> {
    if name == "enum" {
        return run(console, &STRUCT, &[Tag::Enum], call);
    }
    let mut words = call.words.to_vec();
    match name.strip_prefix('*') {
        Some("") => {}
        Some(name) => words.insert(0, name.to_owned()),
        None => words.insert(0, name.to_owned()),
    }
    let what = words.first().map_or("", String::as_str);
    let (ty, _) = what.split_once('.').unwrap_or((what, ""));
    let known = |tag: &Tag| console.session.types().find(*tag, ty).is_ok();
    if ![Tag::Struct, Tag::Union, Tag::Typedef, Tag::Enum].iter().any(known) {
        return Err(CommandError::new(format!(
            "no command and no type {ty}; help lists the commands"
        )));
    }
    (STRUCT.run)(console, &Call { words: &words, text: call.text, column: call.column })
}

/// What was asked for beside the type.
#[derive(Default)]
struct Wanted {
    offsets: bool,
    hex: bool,
    follow: bool,
    raw: bool,
    user: bool,
    /// How far into the object the address points.
    into: u64,
    count: Option<i64>,
}

fn run(
    console: &mut Console<'_>,
    command: &Command,
    tags: &[Tag],
    call: &Call<'_>,
) -> Result<Answer, CommandError> {
    let mut wanted = Wanted::default();
    let mut rest: Vec<&str> = Vec::new();
    let whole = select::rejoined(call.words);
    let mut words = Words::of(&whole);
    while let Some(word) = words.next() {
        match word {
            "-l" => wanted.into = offset(console, words.value("an offset")?)?,
            "-c" => wanted.count = Some(count(words.value("a count")?)?),
            "-" => return Err(command.unknown(word)),
            option if option.starts_with('-') => {
                for letter in option.chars().skip(1) {
                    match letter {
                        'o' => wanted.offsets = true,
                        'x' => wanted.hex = true,
                        'd' => wanted.hex = false,
                        'p' => wanted.follow = true,
                        'r' => wanted.raw = true,
                        'u' => wanted.user = true,
                        _ => return Err(command.unknown(option)),
                    }
                }
            }
            word => rest.push(word),
        }
    }
    let Some((what, rest)) = rest.split_first() else {
        return Err(CommandError::new(format!("{} wants a type", command.name)));
    };
    let (name, members) = match what.split_once('.') {
        Some((name, members)) => (name, members.split(',').collect()),
        None => (*what, Vec::new()),
    };
    let find = |tag: &Tag| console.session.types().find(*tag, name);
    let Some(ty) = tags.iter().find_map(|tag| find(tag).ok()) else {
        let missing = tags.first().and_then(|tag| find(tag).err());
        return Err(missing.map_or_else(|| command.unknown(name), Into::into));
    };
    let address = match rest {
        [] => return define(ty, &members, wanted.offsets.then_some(Offsets::Bytes)),
        [address] => address,
        [address, times] => {
            wanted.count = Some(count(times)?);
            address
        }
        [_, _, word, ..] => return Err(command.unknown(word)),
    };
    let places = places(console, address, call.column)?;
    if wanted.offsets {
        let at = places.first().map_or(VirtAddr(0), |(_, at)| at.minus(wanted.into));
        return define(ty, &members, Some(Offsets::From(at)));
    }
    show(console, ty, &members, &places, &wanted)
}

/// A count, which may be negative.
fn count(word: &str) -> Result<i64, CommandError> {
    let bad = || CommandError::new(format!("{word} is no count of up to {MAX_COUNT}"));
    let count: i64 = word.parse().map_err(|_| bad())?;
    Some(count).filter(|count| count.abs() <= MAX_COUNT).ok_or_else(bad)
}

/// The struct, union or typedef of that name.
pub(super) fn with_members<'s>(console: &Console<'s>, name: &str) -> Result<Type<'s>, TypeError> {
    let types = console.session.types();
    let mut found = [Tag::Union, Tag::Typedef].iter().map(|tag| types.find(*tag, name));
    types.find(Tag::Struct, name).or_else(|missing| found.find_map(Result::ok).ok_or(missing))
}

/// An offset as a number of bytes or as `TYPE.MEMBER`.
pub(super) fn offset(console: &Console<'_>, word: &str) -> Result<u64, CommandError> {
    if let Some((ty, member)) = word.split_once('.') {
        return Ok(with_members(console, ty)?.offset_of(member)?);
    }
    let bad = || CommandError::new(format!("{word} is no number of bytes and no TYPE.MEMBER"));
    number(word).ok_or_else(bad)
}

/// Where to look: one address, or a per-CPU variable's (or pointer's) copies, with their CPUs.
fn places(
    console: &Console<'_>,
    address: &str,
    column: usize,
) -> Result<Vec<(Option<u32>, VirtAddr)>, CommandError> {
    let Some((base, cpus)) = address.rsplit_once(':').filter(|(base, _)| !base.contains('('))
    else {
        return Ok(vec![(None, console.place(address, column)?)]);
    };
    let base = console.place(base, column)?;
    let mut places = Vec::new();
    for number in console.cpus(cpus)? {
        places.push((Some(number), console.cpu(number)?.per_cpu(base)));
    }
    Ok(places)
}

fn show(
    console: &mut Console<'_>,
    ty: Type<'_>,
    members: &[&str],
    places: &[(Option<u32>, VirtAddr)],
    wanted: &Wanted,
) -> Result<Answer, CommandError> {
    let session = console.session;
    let user_space;
    let memory: &dyn VirtualMemory = if wanted.user {
        user_space = session.user_memory(console.current()?)?;
        &user_space
    } else {
        session.memory()
    };
    let radix = if wanted.hex { Radix::Hex } else { Radix::Decimal };
    let size = ty.size().unwrap_or(0);
    let mut warnings = Vec::new();
    let mut values = Vec::new();
    let mut lines: Vec<Line> = Vec::new();
    let times = wanted.count.unwrap_or(1);
    for (cpu, at) in places {
        let at = VirtAddr(at.0.wrapping_sub(wanted.into));
        if !wanted.user {
            warnings.extend(session.doubt(at, ty));
        }
        // A negative count is of those up to this one.
        let back = if times < 0 { times.unsigned_abs() - 1 } else { 0 };
        let first = at.0.wrapping_sub(size.saturating_mul(back));
        for index in 0..times.unsigned_abs() {
            let at = VirtAddr(first.wrapping_add(size.saturating_mul(index)));
            let blank = (index > 0).then(String::new);
            let copy = cpu.map(|cpu| format!("[{cpu}]: {at:x}"));
            let heading: Vec<String> = blank.into_iter().chain(copy).collect();
            let object = Object::new(memory, ty, at);
            if wanted.raw {
                lines.extend(heading.into_iter().map(Line::from));
                lines.extend(rd::dump(memory, at, size)?.text());
            } else if wanted.follow && !members.is_empty() {
                lines.extend(heading.into_iter().map(Line::from));
                for name in members {
                    lines.extend(followed(console, &object.member(name)?, name, radix)?);
                }
            } else {
                let mut printed = if members.is_empty() {
                    whole(console, &object, radix)?
                } else {
                    some(console, &object, members, radix)?
                };
                printed.heading = heading;
                values.push(printed);
            }
        }
    }
    let document =
        if values.is_empty() { Document::Lines(lines) } else { Document::Values(values) };
    Ok(Answer { document, notes: Vec::new(), warnings })
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

/// An object as crash prints it, after the name of its type.
pub(super) fn whole(
    console: &Console<'_>,
    object: &Object<'_>,
    radix: Radix,
) -> Result<Printed, CommandError> {
    let value = Value::read(object, Some(console.session.symbols()))?;
    let before = match value.content {
        Content::Members(_) => {
            // A typedef keeps its name: struct spinlock_t.
            let resolved = object.ty().resolved();
            let keyword =
                if matches!(resolved.kind(), Kind::Union(_)) { "union" } else { "struct" };
            let name = object.ty().def().name.as_deref().unwrap_or("{...}");
            format!("{keyword} {name} ")
        }
        _ => String::new(),
    };
    Ok(Printed { heading: Vec::new(), before, value, radix, members_only: false })
}

/// Some members of an object, a line or more each.
pub(super) fn some(
    console: &Console<'_>,
    object: &Object<'_>,
    members: &[&str],
    radix: Radix,
) -> Result<Printed, CommandError> {
    let mut content = Vec::new();
    for name in members {
        let value = Value::read(&object.member(name)?, Some(console.session.symbols()))?;
        content.push((Some((*name).to_owned()), value.content));
    }
    let content = Content::Members(content);
    let value = Value { ty: object.ty().name(), at: Some(object.at()), content };
    let heading = Vec::new();
    Ok(Printed { heading, before: String::new(), value, radix, members_only: true })
}

/// A member with its type and, if it is a pointer, what it points to, as `struct -p` has it.
fn followed(
    console: &Console<'_>,
    member: &Object<'_>,
    name: &str,
    radix: Radix,
) -> Result<Vec<Line>, CommandError> {
    let symbols = console.session.symbols();
    let value = Value::read(member, Some(symbols))?;
    let (Content::Pointer { to, symbol, .. }, Some(target)) =
        (&value.content, member.ty().target())
    else {
        let content = Content::Members(vec![(Some(name.to_owned()), value.content)]);
        let value = Value { content, ..value };
        let printed = Printed {
            heading: Vec::new(),
            before: String::new(),
            value,
            radix,
            members_only: true,
        };
        return Ok(printed.text());
    };
    let declared = member.ty().declare(name);
    let mut lines = vec![Line::from(format!("  {declared} = {to}"))];
    if target.size().is_none() || to.is_null() {
        return Ok(lines);
    }
    let symbol = symbol.as_ref().map(|symbol| format!("<{symbol}> ")).unwrap_or_default();
    let target = Value::read(&Object::new(member.memory(), target, *to), Some(symbols))?;
    for (index, line) in value_lines(&symbol, &target, radix).into_iter().enumerate() {
        let indent = if index == 0 { "  -> " } else { "     " };
        lines.push(Line { text: format!("{indent}{}", line.text), link: line.link });
    }
    Ok(lines)
}
