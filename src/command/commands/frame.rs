//! `frame`: the function on the current task's stack whose variables have names.

use super::{Answer, Call, Command, CommandError, Console};
use crate::kernel::stack_functions;
use crate::present::{Line, Link, LocalRow};

pub(super) const FRAME: Command = Command {
    name: "frame",
    usage: "frame [N]",
    summary: "shows or chooses a frame of the current task: p then knows its variables by name",
    details: "Frames are counted from 0 as gdb, drgn and bt --json do: a function that is inlined into\nanother counts too. The choice lasts until the next frame or set; registers are then those of\nthe frame: frame 3, p lock, p lock->owner, p *sem, p $rbx.",
    run,
};

fn run(console: &mut Console<'_>, call: &Call<'_>) -> Result<Answer, CommandError> {
    let chosen = match call.words {
        [] => console.frame().unwrap_or(0),
        [word] => {
            let bad = || CommandError::at(call.column, format!("{word} is no number of a frame"));
            word.parse().map_err(|_| bad())?
        }
        [_, word, ..] => return Err(FRAME.unknown(word)),
    };
    let session = console.session;
    let task = console.current()?;
    let trace = session.with_saved_registers(session.trace(task));
    let functions = stack_functions(session, &trace);
    let Some(here) = functions.get(chosen) else {
        let count = functions.len();
        return Err(CommandError::at(
            call.column,
            match count {
                0 => format!("the stack of {} has no frames", task.label()),
                _ => format!(
                    "no frame {chosen}: the stack of {} has 0 to {}, inlined functions counted",
                    task.label(),
                    count - 1
                ),
            },
        ));
    };
    console.choose_frame(chosen);
    let frame = trace.frames.get(here.frame);
    let pc = frame.map(|frame| frame.pc).unwrap_or_default();
    let symbol = frame.and_then(|frame| session.symbolize(frame.lookup_pc()));
    let position = here.position.as_ref();
    let name = position.and_then(|position| position.function.as_deref());
    let name = name.or(symbol.map(|found| found.symbol.name)).unwrap_or("(unknown)");
    let mut text = format!("{:<3} {pc} in {name}", format!("#{chosen}"));
    if let Some(module) = symbol.and_then(|found| found.symbol.module) {
        text += &format!(" [{module}]");
    }
    if let Some(position) = position {
        if let Some(file) = &position.file {
            text += &format!(" at {file}");
            text += &position.line.map(|line| format!(":{line}")).unwrap_or_default();
        }
        if position.inlined {
            text += " (inlined)";
        }
    }
    let mut lines = vec![Line::to(Link::Code(pc), text)];
    let mut notes = Vec::new();
    match LocalRow::of_frame(session, &trace, here.frame) {
        Ok(rows) => {
            let its = rows.iter().filter(|row| row.position == here.function);
            lines.extend(its.flat_map(|row| row.lines("    ")));
        }
        Err(unknown) => notes.push(format!("no variables: {unknown}")),
    }
    Ok(Answer { notes, ..Answer::from(lines) })
}
