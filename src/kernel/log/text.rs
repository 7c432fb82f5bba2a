//! The plain text buffer, before 3.5 (kernel/printk.c): `log_end` characters have been written since
//! boot, round and round in `log_buf`; the last `logged_chars` of them are there. A line is
//! `<6>[    1.234567] text`, where the kernel was told to print the time.

use super::super::{Known, Unknown};
use super::{Log, LogRecord, Source, message};
use crate::dump::VirtAddr;
use std::time::Duration;

const MAX_BUFFER: u32 = 1 << 27;

pub(super) fn read(source: &Source<'_>) -> Known<Log> {
    let memory = source.kernel.memory;
    let buffer = VirtAddr(source.value("log_buf")?);
    let size = source.value_u32("log_buf_len")?;
    let end = source.value_u32("log_end")?;
    if size == 0 || size > MAX_BUFFER {
        return Err(Unknown::because(format!("a buffer of {size} bytes is impossible")));
    }
    let logged = source.value_u32("logged_chars").unwrap_or(end).min(size);
    let bytes = memory.read_vec(buffer, usize::try_from(size).unwrap_or(0))?;
    let split = usize::try_from(end.wrapping_sub(logged) % size).unwrap_or(0);
    let (wrapped, oldest) = bytes.split_at_checked(split).unwrap_or((&[], &bytes));
    let logged = usize::try_from(logged).unwrap_or(0);
    let text: Vec<u8> = oldest.iter().chain(wrapped).copied().take(logged).collect();
    let lines = text.strip_suffix(b"\n").unwrap_or(&text).split(|byte| *byte == b'\n');
    let records = lines.map(record).collect();
    Ok(Log { records, notes: Vec::new() })
}

fn record(line: &[u8]) -> LogRecord {
    let (level, line) = match line {
        [b'<', level @ b'0'..=b'7', b'>', rest @ ..] => (Some(level - b'0'), rest),
        line => (None, line),
    };
    let (at, text) = match stamp(line) {
        Some((at, text)) => (Some(at), text),
        None => (None, line),
    };
    LogRecord { seq: None, at, level, caller: None, text: message(text) }
}

/// `[    1.234567] `
fn stamp(line: &[u8]) -> Option<(Duration, &[u8])> {
    let end = line.iter().position(|byte| *byte == b']')?;
    let inner = std::str::from_utf8(line.get(1..end)?).ok()?;
    let (seconds, micros) = inner.trim_start().split_once('.')?;
    let rest = line.strip_prefix(b"[")?.get(end..)?;
    let at = Duration::from_secs(seconds.parse().ok()?)
        .checked_add(Duration::from_micros(micros.parse().ok()?))?;
    Some((at, rest.strip_prefix(b" ").unwrap_or(rest)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::debuginfo::{SymbolTable, Symbols, Types};
    use crate::dump::VmcoreInfo;
    use crate::kernel::Kernel;
    use crate::kernel::testing::Image;

    fn read_all(text: &[u8], end: u64, logged: u64) -> Log {
        let mut image = Image::default();
        image.put(0x1000, text);
        let size = u64::try_from(text.len()).unwrap();
        let mut table = SymbolTable::new(None);
        let values = [
            ("log_buf", 0x1000),
            ("log_buf_len", size),
            ("log_end", end),
            ("logged_chars", logged),
        ];
        for (at, (name, value)) in (0x100..).step_by(8).zip(values) {
            table.push(name, VirtAddr(at), 'd');
            image.put_u64(at, value);
        }
        let symbols = Symbols::new(table.finish(VirtAddr(0x200)), Vec::new());
        let kernel = Kernel { memory: &image, types: &Types::new(), symbols: &symbols };
        Log::read(kernel, &VmcoreInfo::default())
    }

    #[test]
    fn lines_have_their_level_and_time() {
        let log = read_all(b"<6>[    1.500000] one\n<4>two\n......", 29, 29);
        let [one, two] = log.records.as_slice() else { panic!("{log:?}") };
        assert_eq!((one.level, one.at), (Some(6), Some(Duration::from_millis(1500))));
        assert_eq!((&*one.text, &*two.text), ("one", "two"));
        assert_eq!((two.level, two.at), (Some(4), None));
    }

    #[test]
    fn the_oldest_characters_follow_the_newest() {
        let log = read_all(b"new\nolder\n", 14, 10);
        let texts: Vec<_> = log.records.iter().map(|record| &*record.text).collect();
        assert_eq!(texts, ["older", "new"]);
    }
}
