//! `rd`: memory as it lies.

use super::words::{Words, count};
use super::{Answer, Call, Command, CommandError, Console};
use crate::dump::{Fault, PhysAddr, PhysicalMemory, VirtAddr};
use crate::memory::VirtualMemory;
use crate::present::{Cell, Document, Heading, Line, Link, Table};
use std::sync::Arc;

pub(super) const RD: Command = Command {
    name: "rd",
    usage: "rd [-8 | -16 | -32 | -64] [-s] [-p | -u] [-e END] ADDR | SYMBOL [COUNT]",
    summary: "memory as it lies, in words and as text",
    details: "-8 … -64  the width of a word in bits; 64 without any\n-s  with the symbol that a word points to in its place\n-p  ADDR is physical\n-u  ADDR is in the address space of the current task\n-e  up to there",
    run,
};

/// Memory that is read in one call, in bytes.
const MAX_BYTES: u64 = 64 << 20;

fn run(console: &mut Console<'_>, call: &Call<'_>) -> Result<Answer, CommandError> {
    let (mut width, mut symbols, mut physical, mut user) = (8_u64, false, false, false);
    let mut end = None;
    let mut rest = Vec::new();
    let mut words = Words::of(call.words);
    while let Some(word) = words.next() {
        match word {
            "-8" => width = 1,
            "-16" => width = 2,
            "-32" => width = 4,
            "-64" => width = 8,
            "-s" => symbols = true,
            "-p" => physical = true,
            "-u" => user = true,
            "-e" => end = Some(console.address(words.value("an address")?)?),
            option if option.starts_with('-') => return Err(RD.unknown(option)),
            word => rest.push(word),
        }
    }
    let (at, count) = match rest.as_slice() {
        [] => return Err(CommandError::new("rd wants an address")),
        [at] => (console.address(at)?, None),
        [at, words] => {
            (console.address(at)?, Some(u64::try_from(count(words)?).unwrap_or(u64::MAX)))
        }
        [_, _, word, ..] => return Err(RD.unknown(word)),
    };
    let to_end = end.map(|end| end.offset_from(at).unwrap_or(0).div_ceil(width));
    let count = count.or(to_end).unwrap_or(1);
    let bytes = count.checked_mul(width).filter(|bytes| *bytes <= MAX_BYTES);
    let bytes = bytes.and_then(|bytes| usize::try_from(bytes).ok());
    let bytes = bytes.ok_or_else(|| {
        CommandError::new(format!("{count} words are more than {} MiB", MAX_BYTES >> 20))
    })?;
    let session = console.session;
    let user_space;
    let physical_space;
    let memory: &dyn VirtualMemory = if physical {
        physical_space = Physical(session.dump().memory());
        &physical_space
    } else if user {
        user_space = session.user_memory(console.current()?)?;
        &user_space
    } else {
        session.memory()
    };
    let (data, fault) = read(memory, at, bytes);
    let name = |value: u64| {
        let found = session.symbols().resolve(VirtAddr(value)).filter(|_| symbols)?;
        (value >= 0xffff_ffff_8000_0000).then(|| found.to_string())
    };
    let mut answer = Answer::from(Document::Table(table(at, &data, width, symbols, &name)));
    match fault {
        // What was read before the fault is worth showing; nothing at all is an error.
        Some(fault) if data.is_empty() => return Err(fault.into()),
        Some(fault) => answer.notes.push(format!("nothing more: {fault}")),
        None => {}
    }
    Ok(answer)
}

/// Memory in words of 64 bits.
pub(super) fn dump(
    memory: &dyn VirtualMemory,
    at: VirtAddr,
    bytes: u64,
) -> Result<Table, CommandError> {
    let len = Some(bytes).filter(|bytes| *bytes <= MAX_BYTES);
    let len = len.and_then(|bytes| usize::try_from(bytes).ok());
    let len = len.ok_or_else(|| {
        CommandError::new(format!("{bytes} bytes at {at} are more than {} MiB", MAX_BYTES >> 20))
    })?;
    Ok(table(at, &memory.read_vec(at, len)?, 8, false, &|_| None))
}

/// As much as can be read, page by page, and why no more.
fn read(memory: &dyn VirtualMemory, at: VirtAddr, len: usize) -> (Vec<u8>, Option<Fault>) {
    let mut data = Vec::new();
    while data.len() < len {
        let at = at.plus(u64::try_from(data.len()).unwrap_or(u64::MAX));
        let room = usize::try_from(crate::dump::PAGE_SIZE - at.in_page()).unwrap_or(1);
        match memory.read_vec(at, room.min(len - data.len())) {
            Ok(bytes) => data.extend(bytes),
            Err(fault) => return (data, Some(fault)),
        }
    }
    (data, None)
}

/// Sixteen bytes a line, as crash prints them.
fn table(
    at: VirtAddr,
    data: &[u8],
    width: u64,
    symbols: bool,
    name: &dyn Fn(u64) -> Option<String>,
) -> Table {
    let mut table = Table {
        columns: vec![
            Heading::left("address", "ADDRESS"),
            Heading::left("words", "WORDS"),
            Heading::left("text", "TEXT"),
        ],
        ..Table::default()
    };
    let mut lines = Vec::new();
    let width = usize::try_from(width).unwrap_or(8);
    for (index, bytes) in (0_u64..).zip(data.chunks(16)) {
        let at = at.plus(index * 16);
        let mut words = String::new();
        for word in bytes.chunks(width) {
            let mut raw = [0; 8];
            raw.iter_mut().zip(word).for_each(|(to, byte)| *to = *byte);
            let value = u64::from_le_bytes(raw);
            words += &match name(value) {
                Some(name) => format!("{name:<16} "),
                None => format!("{value:0digits$x} ", digits = width * 2),
            };
        }
        let printable = |byte: &u8| match byte {
            b' '..=b'~' => char::from(*byte),
            _ => '.',
        };
        let text: String = bytes.iter().map(printable).collect();
        let full = 16 / width * (width * 2 + 1);
        let line = match symbols {
            true => format!("{at:016x}:  {}", words.trim_end()),
            false => format!("{at:016x}:  {words:<full$}  {text}"),
        };
        lines.push(Line::to(Link::Memory(at), line));
        let words = words.trim_end().to_owned();
        table.rows.push(vec![Cell::Address(at), Cell::Text(words), Cell::Text(text)]);
    }
    table.lines = Some(lines);
    table
}

/// Physical memory, read as if it were an address space.
struct Physical(Arc<dyn PhysicalMemory>);

impl VirtualMemory for Physical {
    fn read(&self, at: VirtAddr, buf: &mut [u8]) -> Result<(), Fault> {
        self.0.read(PhysAddr(at.0), buf)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::FlatMemory;

    fn text(data: &[u8], width: u64, symbols: bool) -> Vec<String> {
        let name = |value: u64| (symbols && value == 0x6162_6364).then(|| "wake+4".to_owned());
        let at = VirtAddr(0xffff_88ca_4120_1800);
        let table = table(at, data, width, symbols, &name);
        table.text().into_iter().map(|line| line.text).collect()
    }

    #[test]
    fn a_size_that_no_object_has_is_refused_before_memory_is_taken_for_it() {
        let mut memory = FlatMemory::new();
        memory.put(0x1000, &[0x61; 16]);
        assert_eq!(dump(&memory, VirtAddr(0x1000), 16).unwrap().text().len(), 1);
        let refused = dump(&memory, VirtAddr(0x1000), u64::MAX).unwrap_err();
        assert!(refused.message.ends_with("at 0x1000 are more than 64 MiB"), "{refused}");
    }

    #[test]
    fn words_and_text_stand_in_columns() {
        let mut data = vec![0; 24];
        data[..4].copy_from_slice(b"dcba");
        assert_eq!(
            text(&data, 8, false),
            [
                "ffff88ca41201800:  0000000061626364 0000000000000000   dcba............",
                "ffff88ca41201810:  0000000000000000                    ........",
            ]
        );
        assert_eq!(
            text(&data[..6], 1, false),
            ["ffff88ca41201800:  64 63 62 61 00 00                                 dcba.."]
        );
        assert_eq!(
            text(&data[..16], 8, true),
            ["ffff88ca41201800:  wake+4           0000000000000000"]
        );
    }
}
