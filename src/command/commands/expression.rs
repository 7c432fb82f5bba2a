//! `p`, `px`, `pd` and `eval`: C expressions.

use super::{Answer, Call, Command, CommandError, Console};
use crate::command::select;
use crate::object::{Content, Object, Outcome, Value};
use crate::present::{Document, Printed, Radix};

const DETAILS: &str = "EXPRESSION is C: p init_task.comm, p ((struct task_struct *)0xffff…)->mm->mmap_lock,\np *(struct mutex *)0xffff…, p sizeof(struct page). Of a per-CPU variable one copy: p runqueues:2";

pub(super) const P: Command = Command {
    name: "p",
    usage: "p [-x | -d] EXPRESSION",
    summary: "the value of a C expression",
    details: DETAILS,
    run: |console, call| run(console, &P, call, Radix::Decimal),
};

pub(super) const PX: Command = Command {
    name: "px",
    usage: "px EXPRESSION",
    summary: "the value of a C expression, in hex",
    details: DETAILS,
    run: |console, call| run(console, &PX, call, Radix::Hex),
};

pub(super) const PD: Command = Command {
    name: "pd",
    usage: "pd EXPRESSION",
    summary: "the value of a C expression, in decimal",
    details: DETAILS,
    run: |console, call| run(console, &PD, call, Radix::Decimal),
};

pub(super) const EVAL: Command = Command {
    name: "eval",
    usage: "eval EXPRESSION",
    summary: "a number in hex, decimal, octal and binary",
    details: "",
    run: eval,
};

fn run(
    console: &mut Console<'_>,
    command: &Command,
    call: &Call<'_>,
    mut radix: Radix,
) -> Result<Answer, CommandError> {
    let (mut text, mut column) = (call.text, call.column);
    for (option, wanted) in [("-x ", Radix::Hex), ("-d ", Radix::Decimal)] {
        if let Some(rest) = text.strip_prefix(option) {
            let rest = rest.trim_start();
            column += text.chars().count() - rest.chars().count();
            (text, radix) = (rest, wanted);
        }
    }
    if text.is_empty() {
        return Err(CommandError::new(format!("{} wants an expression", command.name)));
    }
    let name = text.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap_or(text);
    if let Some(cpus) = text.strip_prefix(name).and_then(|rest| rest.strip_prefix(':')) {
        return per_cpu(console, name, cpus, radix);
    }
    let scope = console.scope();
    let failed = |error: crate::object::ExpressionError| {
        CommandError::at(column + error.column, error.message)
    };
    let outcome = scope.evaluate(text).map_err(failed)?;
    let value = scope.value(outcome).map_err(|message| CommandError::at(column, message))?;
    let notes = match outcome {
        Outcome::Place(object) => {
            let ty = object.ty().resolved();
            let name = ty.def().name.as_deref().filter(|_| ty.compound().is_some());
            name.and_then(|name| console.doubt(object.at(), name)).into_iter().collect()
        }
        _ => Vec::new(),
    };
    let mut before = console.next_value();
    if name == text {
        before = format!("{name} = {before}");
    }
    let printed = Printed { before, value, radix, members_only: false };
    Ok(Answer { document: Document::Values(vec![printed]), notes })
}

/// `NAME:CPUS`: copies of a per-CPU variable.
fn per_cpu(
    console: &mut Console<'_>,
    name: &str,
    cpus: &str,
    radix: Radix,
) -> Result<Answer, CommandError> {
    let session = console.session;
    let ty = session.types().variable(name)?;
    let cpus = match cpus {
        "a" | "all" => session.cpus().iter().map(|cpu| cpu.number).collect(),
        list => select::numbers(list)?,
    };
    let mut values = Vec::new();
    for cpu in cpus {
        let at = session.per_cpu(name, cpu)?;
        let object = Object::new(session.memory(), ty, at);
        let value = Value::read(&object, Some(session.symbols()))?;
        let before = format!("per_cpu({name}, {cpu}) = {}", console.next_value());
        values.push(Printed { before, value, radix, members_only: false });
    }
    Ok(Document::Values(values).into())
}

fn eval(console: &mut Console<'_>, call: &Call<'_>) -> Result<Answer, CommandError> {
    if call.text.is_empty() {
        return Err(CommandError::new("eval wants an expression"));
    }
    let scope = console.scope();
    let outcome = scope
        .evaluate(call.text)
        .map_err(|error| CommandError::at(call.column + error.column, error.message))?;
    let Value { content, .. } =
        scope.value(outcome).map_err(|message| CommandError::at(call.column, message))?;
    let number = match content {
        Content::Int(number, _) | Content::Char(number) | Content::Enum(number, _) => number,
        Content::Bool(yes) => yes.into(),
        Content::Pointer { to, .. } => to.0.into(),
        _ => return Err(CommandError::at(call.column, "this is not a number")),
    };
    let bytes: [u8; 16] = number.to_le_bytes();
    let low: [u8; 8] = bytes.first_chunk().copied().unwrap_or_default();
    let bits = u64::from_le_bytes(low);
    let decimal = match i64::from_le_bytes(low) {
        signed if signed < 0 => format!("{bits}  ({signed})"),
        _ => bits.to_string(),
    };
    Ok([
        format!("hexadecimal: {bits:x}"),
        format!("    decimal: {decimal}"),
        format!("      octal: {bits:o}"),
        format!("     binary: {bits:064b}"),
    ]
    .map(Into::into)
    .to_vec()
    .into())
}
