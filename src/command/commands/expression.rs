//! `p`, `px`, `pd` and `eval`: C expressions.

use super::words::number;
use super::{Answer, Call, Command, CommandError, Console};
use crate::command::select;
use crate::dump::VirtAddr;
use crate::kernel::Cpu;
use crate::object::{ExpressionError, Object, Outcome, Scope, Value};
use crate::present::{Document, Line, Link, Printed, Radix};

pub(super) const DETAILS: &str = "EXPRESSION is C: p init_task.comm, p ((struct task_struct *)0xffff…)->mm->mmap_lock,\np *(struct mutex *)0xffff…, p sizeof(struct page), with casts, all operators, typeof, offsetof,\ncontainer_of, the values of enums. $rsp is a register of the current task (set). A per-CPU\nvariable is runqueues:2 or per_cpu(runqueues, 2); alone, runqueues:0,2-3 or runqueues:a, several copies.\nOBJECT@COUNT is so many in a row. Nothing is called and nothing is changed.";

pub(super) const P: Command = Command {
    name: "p",
    usage: "p [-x | -d] EXPRESSION\np [-x | -d] VARIABLE:CPUS",
    summary: "the value of a C expression",
    details: DETAILS,
    run: |console, call| run(console, &P, call, Radix::Decimal),
};

pub(super) const PX: Command = Command {
    name: "px",
    usage: "px EXPRESSION\npx VARIABLE:CPUS",
    summary: "the value of a C expression, in hex",
    run: |console, call| run(console, &PX, call, Radix::Hex),
    ..P
};

pub(super) const PD: Command = Command {
    name: "pd",
    usage: "pd EXPRESSION\npd VARIABLE:CPUS",
    summary: "the value of a C expression, in decimal",
    run: |console, call| run(console, &PD, call, Radix::Decimal),
    ..P
};

pub(super) const EVAL: Command = Command {
    name: "eval",
    usage: "eval [-b] EXPRESSION",
    summary: "a number in hex, decimal, octal and binary",
    details: "-b  with the numbers of the bits that are set\nA number may end in k, m or g, as crash has it: eval 4g",
    run: eval,
};

/// An error of an expression that starts at `column`.
pub(super) fn failed(column: usize) -> impl Fn(ExpressionError) -> CommandError {
    move |error| CommandError::at(column + error.column, error.message)
}

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
    let cpus = text.strip_prefix(name).and_then(|rest| rest.strip_prefix(':'));
    // One copy's member is an expression; several copies are not.
    let is_list = |cpus: &&str| !cpus.contains(|c: char| !c.is_alphanumeric() && !",-".contains(c));
    if let Some(cpus) = cpus.filter(is_list).filter(|_| !name.is_empty()) {
        return per_cpu(console, name, cpus, radix);
    }
    if name == text
        && let Some(lines) = per_cpu_addresses(console, name)
    {
        return Ok(lines.into());
    }
    let context = console.context();
    let scope = context.scope();
    let outcome = scope.evaluate(text).map_err(failed(column))?;
    let value = scope.value(&outcome).map_err(|message| CommandError::at(column, message))?;
    let warnings = match &outcome {
        Outcome::Place(object) => console.session.doubt(object.at(), object.ty()),
        _ => None,
    };
    let mut before = console.next_value();
    if name == text && !name.starts_with(|c: char| c.is_ascii_digit()) {
        before = format!("{name} = {before}");
    }
    let printed = Printed { heading: Vec::new(), before, value, radix, members_only: false };
    let mut answer = Answer::from(Document::Values(vec![printed]));
    answer.warnings.extend(warnings);
    Ok(answer)
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
    let mut values = Vec::new();
    for cpu in console.cpus(cpus)? {
        let at = session.per_cpu(name, cpu)?;
        let object = Object::new(session.memory(), ty, at);
        let value = Value::read(&object, Some(session.symbols()))?;
        let before = format!("per_cpu({name}, {cpu}) = {}", console.next_value());
        values.push(Printed { heading: Vec::new(), before, value, radix, members_only: false });
    }
    Ok(Document::Values(values).into())
}

/// Where the copies of a variable are, if it is per-CPU: it has no value of its own.
fn per_cpu_addresses(console: &Console<'_>, name: &str) -> Option<Vec<Line>> {
    let session = console.session;
    let symbols = session.symbols();
    let (start, end) = (symbols.address("__per_cpu_start")?, symbols.address("__per_cpu_end")?);
    let at = symbols.address(name).filter(|at| (start..end).contains(at))?;
    let ty = session.types().variable(name).ok();
    let declared = ty.map_or_else(|| format!("{name} of unknown type"), |ty| ty.declare(name));
    let mut lines: Vec<Line> =
        ["PER-CPU DATA TYPE:".into(), format!("  {declared};").into()].into();
    lines.push("PER-CPU ADDRESSES:".into());
    for cpu in session.cpus() {
        let at = cpu.per_cpu(at);
        let link = ty.map_or(Link::Memory(at), |ty| Link::Object(ty.name(), at));
        lines.push(Line::to(link, format!("  [{}]: {at:x}", cpu.number)));
    }
    Some(lines)
}

impl<'s> Console<'s> {
    /// The CPUs of a list behind a colon: all, those named, or that of the current task.
    pub(super) fn cpus(&self, list: &str) -> Result<Vec<u32>, CommandError> {
        match list {
            "a" | "all" => Ok(self.session.cpus().iter().map(|cpu| cpu.number).collect()),
            "" => Ok(vec![self.current()?.cpu.clone()?]),
            list => select::numbers(list),
        }
    }

    /// The CPU of that number.
    pub(super) fn cpu(&self, number: u32) -> Result<&'s Cpu, CommandError> {
        let cpu = self.session.cpus().get(number);
        cpu.ok_or_else(|| CommandError::new(format!("no CPU {number}")))
    }

    /// The address that an argument stands for: a symbol, a number in hex as crash takes it, or an
    /// expression. `column` is where the argument starts.
    pub(super) fn place(&self, text: &str, column: usize) -> Result<VirtAddr, CommandError> {
        match self.address(text) {
            Ok(at) => Ok(at),
            // What is no expression is rather a misspelt name.
            Err(error) if !text.contains(|c: char| "()&*>.[+$".contains(c)) => Err(error),
            Err(_) => {
                let context = self.context();
                let scope = context.scope();
                let outcome = scope.evaluate(text).map_err(failed(column))?;
                scope.address(&outcome).map_err(|message| CommandError::at(column, message))
            }
        }
    }
}

/// A number that ends in k, m or g.
fn with_unit(text: &str) -> Option<u64> {
    let (digits, shift) = match text.char_indices().next_back()? {
        (at, 'k' | 'K') => (text.get(..at)?, 10),
        (at, 'm' | 'M') => (text.get(..at)?, 20),
        (at, 'g' | 'G') => (text.get(..at)?, 30),
        _ => return None,
    };
    number(digits)?.checked_mul(1 << shift)
}

fn eval(console: &mut Console<'_>, call: &Call<'_>) -> Result<Answer, CommandError> {
    let (mut text, mut column, mut list_bits) = (call.text, call.column, false);
    if let Some(rest) = text.strip_prefix("-b ") {
        let rest = rest.trim_start();
        column += text.chars().count() - rest.chars().count();
        (text, list_bits) = (rest, true);
    }
    if text.is_empty() {
        return Err(CommandError::new("eval wants an expression"));
    }
    let bits = match with_unit(text) {
        Some(number) => number,
        None => {
            let context = console.context();
            // As crash has it, numbers are as wide as the machine's: 1 << 34 is no mistake.
            let scope = Scope { wide: true, ..context.scope() };
            let outcome = scope.evaluate(text).map_err(failed(column))?;
            scope.address(&outcome).map_err(|message| CommandError::at(column, message))?.0
        }
    };
    let decimal = match bits.cast_signed() {
        signed if signed < 0 => format!("{bits}  ({signed})"),
        _ => bits.to_string(),
    };
    let unit = match bits {
        0 => String::new(),
        bits if bits % (1 << 30) == 0 => format!("({}GB)", bits >> 30),
        bits if bits % (1 << 20) == 0 => format!("({}MB)", bits >> 20),
        bits if bits % (1 << 10) == 0 => format!("({}KB)", bits >> 10),
        _ => String::new(),
    };
    let mut lines = vec![
        format!("hexadecimal: {bits:x}  {unit}"),
        format!("    decimal: {decimal}"),
        format!("      octal: {bits:o}"),
        format!("     binary: {bits:064b}"),
    ];
    if list_bits {
        let set = (0..64_u32).rev().filter(|bit| bits >> bit & 1 == 1);
        lines
            .push(format!("   bits set: {}", set.map(|bit| format!("{bit} ")).collect::<String>()));
    }
    Ok(lines.iter().map(|line| line.trim_end().into()).collect::<Vec<Line>>().into())
}
