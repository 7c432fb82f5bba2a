//! The buffer of records, 3.5 to 5.9 (kernel/printk/printk.c): `struct printk_log`, before 3.11
//! `struct log`, followed by its text. Each begins where the one before it ends; a length of 0 sends
//! the reader back to the start of the buffer.

use super::super::{Known, Unknown};
use super::{Caller, Log, LogRecord, Source, message};
use crate::dump::VirtAddr;
use std::time::Duration;

/// `CONFIG_LOG_BUF_SHIFT` and `log_buf_len=` allow up to 2 GiB; no log is that long.
const MAX_BUFFER: u32 = 1 << 27;

pub(super) fn read(source: &Source<'_>) -> Known<Log> {
    let memory = source.kernel.memory;
    let name = if source.size("printk_log").is_ok() { "printk_log" } else { "log" };
    let header = source.size(name)?;
    let time = source.field(name, "ts_nsec", 8)?;
    let record_len = source.field(name, "len", 2)?;
    let text_len = source.field(name, "text_len", 2)?;
    let level = source.field(name, "level", 1).ok();
    let caller = source.field(name, "caller_id", 4).ok();
    let buffer = VirtAddr(source.value("log_buf")?);
    let size = source.value_u32("log_buf_len")?;
    let (first, end) = (source.value_u32("log_first_idx")?, source.value_u32("log_next_idx")?);
    if size > MAX_BUFFER {
        return Err(Unknown::because(format!("a buffer of {size} bytes is impossible")));
    }
    let mut log = Log::default();
    let mut at = first;
    // Each step takes at least the length of a header, so no walk is longer than this.
    for _ in 0..=u64::from(size) / header.max(1) {
        if at == end {
            return Ok(log);
        }
        let place = buffer.plus(at.into());
        let len = record_len.read(memory, place)?;
        let Ok(step) = u32::try_from(len) else { break };
        if step == 0 {
            at = 0;
            continue;
        }
        let next = at.saturating_add(step);
        let text = text_len.read(memory, place)?;
        if len < header || text > len - header || next > size {
            log.notes.push(format!("the log is damaged at {place}: a length does not fit"));
            return Ok(log);
        }
        let text = memory.read_vec(place.plus(header), usize::try_from(text).unwrap_or(0))?;
        let get = |field: super::Field| field.read(memory, place).ok();
        log.records.push(LogRecord {
            seq: None,
            at: get(time).map(Duration::from_nanos),
            level: level.and_then(get).and_then(|level| u8::try_from(level & 7).ok()),
            caller: caller.and_then(get).and_then(|id| Some(Caller::new(u32::try_from(id).ok()?))),
            text: message(&text),
        });
        at = if next == size && end != size { 0 } else { next };
    }
    log.notes.push("the log is damaged: its records run in a circle".to_owned());
    Ok(log)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::debuginfo::{Symbols, Types};
    use crate::dump::VmcoreInfo;
    use crate::kernel::Kernel;
    use crate::kernel::testing::Image;

    const INFO: &[u8] = b"SYMBOL(log_buf)=100\nSYMBOL(log_buf_len)=108\n\
        SYMBOL(log_first_idx)=110\nSYMBOL(log_next_idx)=118\nSIZE(printk_log)=16\n\
        OFFSET(printk_log.ts_nsec)=0\nOFFSET(printk_log.len)=8\nOFFSET(printk_log.text_len)=10\n";

    fn buffer(first: u64, next: u64) -> Image {
        let mut image = Image::default();
        for (at, value) in [(0x100, 0x1000), (0x108, 128), (0x110, first), (0x118, next)] {
            image.put_u64(at, value);
        }
        image.put(0x1000, &[0; 128]);
        image
    }

    fn put(image: &mut Image, index: u64, len: u16, text: &str) {
        image.put_u64(0x1000 + index, 1_000_000_000);
        image.put(0x1000 + index + 8, &len.to_le_bytes());
        image.put(0x1000 + index + 10, &u16::try_from(text.len()).unwrap().to_le_bytes());
        image.put(0x1000 + index + 16, text.as_bytes());
    }

    fn read_all(image: &Image) -> Log {
        let (types, symbols) = (Types::new(), Symbols::default());
        let kernel = Kernel { memory: image, types: &types, symbols: &symbols };
        Log::read(kernel, &VmcoreInfo::parse(INFO))
    }

    #[test]
    fn records_go_on_at_the_start_after_a_length_of_zero() {
        let mut image = buffer(40, 24);
        put(&mut image, 40, 40, "first");
        put(&mut image, 0, 24, "second");
        let log = read_all(&image);
        let lines: Vec<_> = log.records.iter().map(ToString::to_string).collect();
        assert_eq!(lines, ["[    1.000000] first", "[    1.000000] second"]);
        assert_eq!(log.notes, [""; 0]);
    }

    #[test]
    fn a_text_longer_than_its_record_is_damage() {
        let mut image = buffer(0, 48);
        put(&mut image, 0, 24, "good");
        put(&mut image, 24, 24, "too long for that");
        let log = read_all(&image);
        assert_eq!(log.records.len(), 1);
        assert_eq!(log.notes, ["the log is damaged at 0x1018: a length does not fit"]);
    }

    #[test]
    fn records_that_never_reach_the_end_are_not_followed_for_ever() {
        let mut image = buffer(0, 100);
        put(&mut image, 0, 24, "once");
        let log = read_all(&image);
        assert_eq!(log.notes, ["the log is damaged: its records run in a circle"]);
    }
}
