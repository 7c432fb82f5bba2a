//! `exec`: crash-style commands, one after the other.

use super::arguments::Exec;
use super::json::Json;
use super::output::{self, Failure};
use super::source;
use crate::command::{Answer, CommandError, Console};
use crate::debuginfo::Position;
use crate::kernel::Session;
use crate::object::{Content, Value};
use crate::present::{
    Cell, Document, Line, LocalRow, LocalValue, Printed, Stack, StackFrame, Table,
};
use rayon::iter::{IntoParallelIterator, ParallelIterator};
use std::io::{self, BufRead, Write};

pub(super) fn run(exec: &Exec) -> Result<(), Failure> {
    let commands = commands(&exec.command)?;
    let session = source::open(&exec.source)?;
    let mut console = Console::new(&session);
    let errors = if exec.json {
        write_json(&mut console, &session, &commands)?
    } else {
        write_text(&mut console, &commands)?
    };
    // Nothing is said twice.
    let told = |note: &String| errors.iter().any(|error| error.contains(note));
    for note in session.file_notes().iter().filter(|note| !told(note)) {
        output::message(note);
    }
    if errors.is_empty() { Ok(()) } else { Err(Failure::Told) }
}

/// Runs the commands and prints their answers as JSON; gives what went wrong.
fn write_json(
    console: &mut Console<'_>,
    session: &Session,
    commands: &[String],
) -> io::Result<Vec<String>> {
    let mut errors = Vec::new();
    let mut json = Json::new(output::stdout());
    json.list(commands, |json, command| {
        let mut answer = console.run(command);
        // JSON has them always.
        if let Ok(Answer { document: Document::Stacks(stacks), .. }) = &mut answer {
            let all = std::mem::take(stacks).into_par_iter();
            *stacks = all.map(|stack| stack.with_positions(session)).collect();
        }
        json.object(|json| {
            json.key("command")?.text(command)?;
            match &answer {
                Ok(answer) => write_answer(json, answer),
                Err(error) => {
                    errors.push(in_line(error));
                    json.key("error")?.text(&in_line(error))
                }
            }
        })
    })?;
    json.finish()?;
    Ok(errors)
}

/// Runs the commands and prints their answers as text; gives what went wrong.
fn write_text(console: &mut Console<'_>, commands: &[String]) -> io::Result<Vec<String>> {
    let mut errors = Vec::new();
    let mut out = output::stdout();
    for command in commands {
        match console.run(command) {
            Ok(answer) => {
                for warning in &answer.warnings {
                    writeln!(out, "warning: {warning}")?;
                }
                for line in answer.document.text() {
                    out.write_all(line.text.as_bytes())?;
                    out.write_all(b"\n")?;
                }
                if !answer.notes.is_empty() {
                    out.flush()?;
                }
                for note in &answer.notes {
                    output::message(&format!("{command}: note: {note}"));
                }
            }
            Err(error) => {
                errors.push(in_line(&error));
                out.flush()?;
                output::message(&format!("{command}: {}", in_line(&error)));
                point_at(command, &error);
            }
        }
    }
    out.flush()?;
    Ok(errors)
}

/// The command lines: those given, and those on standard input where `-` stands.
fn commands(given: &[String]) -> Result<Vec<String>, Failure> {
    let mut commands = Vec::new();
    for command in given {
        if command != "-" {
            commands.push(command.clone());
            continue;
        }
        for line in io::stdin().lock().lines() {
            let line = line.map_err(|e| Failure::Dump(format!("standard input: {e}")))?;
            let line = line.trim();
            if !line.is_empty() && !line.starts_with('#') {
                commands.push(line.to_owned());
            }
        }
    }
    Ok(commands)
}

fn in_line(error: &CommandError) -> String {
    match error.column {
        Some(column) => format!("column {}: {error}", column + 1),
        None => error.to_string(),
    }
}

/// The command with a mark under what is wrong in it.
fn point_at(command: &str, error: &CommandError) {
    if let Some(column) = error.column {
        _ = writeln!(io::stderr(), "  {command}\n  {:column$}^", "");
    }
}

fn write_answer<W: Write>(json: &mut Json<W>, answer: &Answer) -> io::Result<()> {
    match &answer.document {
        Document::Table(table) => write_table(json.key("rows")?, table)?,
        Document::Stacks(stacks) => json.key("rows")?.list(stacks, write_stack)?,
        Document::Values(values) => {
            // One value stands in the element itself, too.
            if let [only] = values.as_slice() {
                write_value(json, &only.value)?;
            }
            json.key("rows")?.list(values, |json, printed: &Printed| {
                json.object(|json| write_value(json, &printed.value))
            })?;
        }
        Document::Lines(lines) => {
            json.key("lines")?.list(lines, |json, line: &Line| json.text(&line.text))?;
        }
    }
    if !answer.warnings.is_empty() {
        json.key("warnings")?.list(&answer.warnings, |json, warning| json.text(warning))?;
    }
    if !answer.notes.is_empty() {
        json.key("notes")?.list(&answer.notes, |json, note| json.text(note))?;
    }
    Ok(())
}

fn write_table<W: Write>(json: &mut Json<W>, table: &Table) -> io::Result<()> {
    json.list(&table.rows, |json, row| {
        json.object(|json| {
            for (heading, cell) in table.columns.iter().zip(row) {
                write_cell(json.key(heading.id)?, cell)?;
            }
            Ok(())
        })
    })
}

fn write_cell<W: Write>(json: &mut Json<W>, cell: &Cell) -> io::Result<()> {
    match cell {
        Cell::Text(text) => json.text(text),
        Cell::Int(number) => json.plain(number),
        Cell::Float(number, digits) => {
            // As many digits as it has meaning.
            let scale = 10_f64.powi(i32::try_from(*digits).unwrap_or(0) + 2);
            json.float((number * scale).round() / scale)
        }
        Cell::Bool(yes) => json.plain(yes),
        Cell::Address(at) => json.address(*at),
        Cell::Duration(time) => json.plain(time.as_millis()),
        Cell::Empty | Cell::Unknown(_) => json.null(),
    }
}

fn write_stack<W: Write>(json: &mut Json<W>, stack: &Stack) -> io::Result<()> {
    json.object(|json| {
        json.key("pid")?.plain(stack.pid)?;
        json.key("task")?.address(stack.task)?;
        write_cell(json.key("cpu")?, &stack.cpu)?;
        json.key("comm")?.text(&stack.comm)?;
        // Inlined functions are frames too.
        let frames = stack.frames.iter().flat_map(|frame| {
            let inlined =
                (0..).zip(frame.inlined()).map(|(number, inlined)| (number, Some(inlined)));
            let own = (frame.positions.len().saturating_sub(1), None);
            inlined.chain([own]).map(move |(number, inlined)| (frame, number, inlined))
        });
        json.key("frames")?.list(frames.enumerate(), |json, (n, (frame, number, inlined))| {
            json.object(|json| {
                write_frame(json, n, frame, inlined)?;
                let mut its =
                    frame.locals.iter().filter(|local| local.position == number).peekable();
                if its.peek().is_some() {
                    json.key("locals")?
                        .list(its, |json, local| json.object(|json| write_local(json, local)))?;
                }
                Ok(())
            })
        })?;
        json.key("end")?.text(stack.cut.as_deref().unwrap_or("complete"))
    })
}

/// A frame, or a function that was inlined at its place.
fn write_frame<W: Write>(
    json: &mut Json<W>,
    n: usize,
    frame: &StackFrame,
    inlined: Option<&Position>,
) -> io::Result<()> {
    json.key("n")?.plain(n)?;
    json.key("kind")?.text(if inlined.is_some() { "inline" } else { frame.kind_name() })?;
    json.key("sp")?.address(frame.sp)?;
    json.key("pc")?.address(frame.pc)?;
    let symbol = frame.symbol.as_ref().filter(|_| inlined.is_none());
    let name = match inlined {
        Some(inlined) => inlined.function.as_deref(),
        None => symbol.map(|(name, _)| name.as_str()),
    };
    json.key("symbol")?.maybe(name, Json::text)?;
    json.key("offset")?.maybe(symbol, |json, (_, offset)| json.plain(offset))?;
    json.key("module")?.maybe(frame.module.as_deref(), Json::text)?;
    let position = inlined.or_else(|| frame.position());
    json.key("file")?.maybe(position.and_then(|at| at.file.as_deref()), Json::text)?;
    json.key("line")?.maybe(position.and_then(|at| at.line), Json::plain)?;
    json.key("reliable")?.plain(frame.reliable)?;
    if inlined.is_some() {
        return Ok(());
    }
    let registers: Vec<_> = frame.registers.iter().collect();
    if !registers.is_empty() {
        json.key("registers")?.object(|json| {
            for (register, value) in registers {
                json.key(&register.name().to_lowercase())?.address(crate::dump::VirtAddr(value))?;
            }
            Ok(())
        })?;
    }
    if !frame.words.is_empty() {
        json.key("words")?
            .list(&frame.words, |json, word| json.address(crate::dump::VirtAddr(*word)))?;
    }
    Ok(())
}

/// A parameter or variable: its value, or why there is none.
fn write_local<W: Write>(json: &mut Json<W>, local: &LocalRow) -> io::Result<()> {
    json.key("name")?.text(&local.name)?;
    json.key("type")?.text(&local.ty)?;
    json.key("parameter")?.plain(local.parameter)?;
    match &local.value {
        LocalValue::Known(value) => {
            json.key("address")?.maybe(value.at, Json::address)?;
            write_content(json.key("value")?, &value.content)
        }
        LocalValue::OptimizedOut => json.key("unknown")?.text("optimized out"),
        LocalValue::Unreadable(reason) => json.key("unknown")?.text(reason),
    }
}

fn write_value<W: Write>(json: &mut Json<W>, value: &Value) -> io::Result<()> {
    json.key("type")?.text(&value.ty)?;
    json.key("address")?.maybe(value.at, Json::address)?;
    let key = if matches!(value.content, Content::Members(_)) { "members" } else { "value" };
    write_content(json.key(key)?, &value.content)
}

fn write_content<W: Write>(json: &mut Json<W>, content: &Content) -> io::Result<()> {
    match content {
        Content::Int(value, _) | Content::Char(value) | Content::Enum(value, None) => {
            json.plain(value)
        }
        Content::Bool(value) => json.plain(value),
        Content::Float(value) => json.float(*value),
        Content::Enum(_, Some(name)) => json.text(name),
        Content::Pointer { to, .. } => json.address(*to),
        Content::Place(at, _) => json.address(*at),
        Content::Text { bytes, char: true } => {
            let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
            json.text(&crate::dump::scrub(bytes.get(..end).unwrap_or_default()))
        }
        Content::Text { bytes, char: false } => json.list(bytes, |json, byte| json.plain(byte)),
        Content::Array(elements) => json.list(elements, write_content),
        Content::Members(members) => json.object(|json| write_members(json, members)),
    }
}

/// Members of anonymous structs stand among those around them, as in C.
fn write_members<W: Write>(
    json: &mut Json<W>,
    members: &[(Option<String>, Content)],
) -> io::Result<()> {
    for (name, content) in members {
        match (name, content) {
            (Some(name), content) => write_content(json.key(name)?, content)?,
            (None, Content::Members(inner)) => write_members(json, inner)?,
            // Padding: a bit-field without a name.
            (None, _) => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::json::written;
    use super::*;
    use crate::object::testing::world;

    #[test]
    fn a_struct_is_an_object_of_its_members() {
        let world = world();
        let scope = world.scope();
        let value = scope.value(&scope.evaluate("first").unwrap()).unwrap();
        let text = written(|json| json.object(|json| write_value(json, &value)));
        assert_eq!(
            text,
            concat!(
                r#"{"type":"struct node","address":"0x1000","members":{"pid":-7,"low":2,"high":5,"#,
                r#""list":{"next":"0x1048","prev":"0x1048"},"comm":"java","parent":"0x1040","#,
                r#""wake":"0xffffffff81000010","mode":2164260880,"pair":[1,-1]}}"#
            )
        );
    }

    #[test]
    fn what_is_not_known_is_null() {
        let cells = [
            Cell::Unknown("excluded".into()),
            Cell::Empty,
            Cell::Float(0.123_456, 1),
            Cell::Duration(std::time::Duration::from_millis(1500)),
        ];
        let text = written(|json| json.list(&cells, write_cell));
        assert_eq!(text, "[null,null,0.123,1500]");
    }
}
