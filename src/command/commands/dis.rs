//! `dis`: machine code.

use super::words::{count, number};
use super::{Answer, Call, Command, CommandError, Console};
use crate::dump::VirtAddr;
use crate::kernel::Code;
use crate::present::{Disassembly, Document, Radix, no_lines};

pub(super) const DIS: Command = Command {
    name: "dis",
    usage: "dis [-r | -f] [-l] [-x | -d] [-u] ADDR | SYMBOL | (EXPRESSION) [COUNT]\ndis -s ADDR | SYMBOL | (EXPRESSION) [COUNT]",
    summary: "machine code as it lies in the dump",
    details: "Of a symbol the whole function, of an address one instruction, unless COUNT says how many.\n-r  from the start of the function up to the address\n-f  from the address to the end of the function\n-l  with file and line, and the source line where its file is at hand (--source)\n-s  the source of the function instead, or COUNT lines of it\n-x  distances in hex; -d in decimal\n-u  ADDR is in the address space of the current task",
    run,
};

/// Instructions that are decoded in one call.
const MOST: usize = 1 << 16;

/// What the options say.
#[derive(Default)]
struct Wanted {
    reverse: bool,
    forward: bool,
    user: bool,
    lines: bool,
    source: bool,
    radix: Radix,
}

fn run(console: &mut Console<'_>, call: &Call<'_>) -> Result<Answer, CommandError> {
    let mut wanted = Wanted::default();
    let mut rest = Vec::new();
    for word in call.words {
        let letters = word.strip_prefix('-').filter(|letters| !letters.is_empty());
        let Some(letters) = letters else {
            rest.push(word.as_str());
            continue;
        };
        for letter in letters.chars() {
            match letter {
                'r' => wanted.reverse = true,
                'f' => wanted.forward = true,
                'l' => wanted.lines = true,
                's' => wanted.source = true,
                'u' => wanted.user = true,
                'x' => wanted.radix = Radix::Hex,
                'd' => wanted.radix = Radix::Decimal,
                _ => return Err(DIS.unknown(word)),
            }
        }
    }
    if wanted.reverse && wanted.forward {
        return Err(CommandError::new("-r and -f exclude each other"));
    }
    let (at, symbol, count) = place(console, &DIS, &rest)?;
    if wanted.source {
        return super::source::function(console.session, at, count);
    }
    let code = code(console, at, symbol, count, &wanted)?;
    let disassembly = Disassembly::of(&code, console.session.symbols());
    let mut notes = Vec::new();
    let disassembly = match wanted.lines && !wanted.user {
        true => disassembly.with_origins(console.session),
        false => disassembly,
    };
    if wanted.lines && disassembly.rows.iter().all(|row| row.origin.is_none()) {
        notes.push(no_lines(console.session, at));
    }
    let lines = disassembly.lines(wanted.radix);
    let mut answer = Answer { notes, ..Document::Table(disassembly.table(lines)).into() };
    answer.warnings.extend(console.session.doubt_code(at).filter(|_| !wanted.user));
    if let Some(fault) = &code.cut {
        answer.notes.push(format!("nothing more: {fault}"));
    }
    Ok(answer)
}

/// Where, whether that is the whole of a symbol, and how many instructions.
pub(super) fn place(
    console: &Console<'_>,
    command: &Command,
    words: &[&str],
) -> Result<(VirtAddr, bool, Option<usize>), CommandError> {
    let (count, place) = match words {
        [] => {
            let name = command.name;
            return Err(CommandError::new(format!("{name} wants an address or a symbol")));
        }
        // An expression may have blanks in it.
        [place @ .., last] if !place.is_empty() && !last.ends_with(')') => {
            let count = Some(count(last)?).filter(|count| (1..=MOST).contains(count));
            let bad = || CommandError::new(format!("{last} is no count from 1 to {MOST}"));
            (Some(count.ok_or_else(bad)?), place.join(" "))
        }
        words => (None, words.join(" ")),
    };
    if let Some(at) = console.session.symbols().address(&place) {
        return Ok((at, true, count));
    }
    if let Some((name, offset)) = place.split_once('+')
        && let Some(at) = console.session.symbols().address(name.trim().trim_start_matches('('))
        && let Some(offset) = number(offset.trim().trim_end_matches(')'))
    {
        return Ok((at.plus(offset), false, count));
    }
    let at = console.place(&place, 0).map_err(|error| CommandError::new(error.message))?;
    Ok((at, false, count))
}

fn code(
    console: &Console<'_>,
    at: VirtAddr,
    symbol: bool,
    count: Option<usize>,
    wanted: &Wanted,
) -> Result<Code, CommandError> {
    let session = console.session;
    if wanted.user {
        let memory = session.user_memory(console.current()?)?;
        return Ok(Code::some(&memory, at, count.unwrap_or(1))?);
    }
    if wanted.reverse || wanted.forward || (symbol && count.is_none()) {
        let function = session.function(at)?;
        let here = function.position(at);
        let here = here.ok_or_else(|| CommandError::new(format!("no instruction at {at}")))?;
        let len = function.instructions().len();
        let count = count.unwrap_or(MOST);
        return Ok(match wanted.reverse {
            true => function.only((here + 1).saturating_sub(count)..here + 1),
            false => function.only(here..here.saturating_add(count).min(len)),
        });
    }
    Ok(Code::some(session.memory(), at, count.unwrap_or(1))?)
}
