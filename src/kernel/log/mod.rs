//! The kernel's log.
//!
//! Kept in three ways over the years: the lockless ring buffer `prb` (5.10), a buffer of records
//! of varying length (3.5), plain text (before). Everything needed for the first two stands in
//! VMCOREINFO too, so the log can be read even where there are neither symbols nor types.

mod records;
mod ring;
mod text;

use super::fields::Field;
use super::image::Kernel;
use super::{Known, Unknown};
use crate::dump::{VirtAddr, VmcoreInfo, scrub};
use std::fmt;
use std::time::Duration;

/// Who wrote a record.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Caller {
    /// The task of this number.
    Task(u32),
    /// This CPU, while it was in no task's context.
    Cpu(u32),
}

impl Caller {
    /// `caller_id`: bit 31 tells a CPU from a task (`printk_caller_id`, kernel/printk/printk.c).
    fn new(id: u32) -> Caller {
        const CPU: u32 = 1 << 31;
        if id & CPU == 0 { Caller::Task(id) } else { Caller::Cpu(id & !CPU) }
    }
}

/// One message.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LogRecord {
    /// Counts all messages since boot, where the kernel counts.
    pub seq: Option<u64>,
    /// Since boot, by the local clock of the CPU that wrote it.
    pub at: Option<Duration>,
    /// 0 emergency to 7 debug.
    pub level: Option<u8>,
    /// Who wrote it.
    pub caller: Option<Caller>,
    /// Scrubbed, apart from tabs; of several lines when it has `\n`s in it. Empty for an empty line.
    pub text: Box<str>,
}

impl LogRecord {
    /// `[    1.234567] `, as the console has it; empty where the time is not known.
    #[must_use]
    pub fn stamp(&self) -> String {
        match self.at {
            Some(at) => format!("[{:5}.{:06}] ", at.as_secs(), at.subsec_micros()),
            None => String::new(),
        }
    }
}

impl fmt::Display for LogRecord {
    /// As crash prints it: further lines are indented by the width of the stamp, and a message
    /// without text is an empty line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.text.is_empty() {
            return Ok(());
        }
        let stamp = self.stamp();
        f.write_str(&stamp)?;
        for (i, line) in self.text.split('\n').enumerate() {
            if i > 0 {
                write!(f, "\n{:width$}", "", width = stamp.len())?;
            }
            f.write_str(line)?;
        }
        Ok(())
    }
}

/// The kernel's log.
#[derive(Clone, Default, Debug)]
pub struct Log {
    /// Oldest first.
    pub records: Vec<LogRecord>,
    /// What could not be read.
    pub notes: Vec<String>,
}

impl Log {
    /// Reads it, in whichever way this kernel keeps it.
    #[must_use]
    pub fn read(kernel: Kernel<'_>, info: &VmcoreInfo) -> Log {
        let source = Source { kernel, info };
        let read = if source.symbol("prb").is_ok() {
            ring::read(&source)
        } else if source.symbol("log_first_idx").is_ok() {
            records::read(&source)
        } else {
            text::read(&source)
        };
        read.unwrap_or_else(|unknown| Log {
            records: Vec::new(),
            notes: vec![format!("the log cannot be read: {unknown}")],
        })
    }
}

/// Where the layout of the log is known from: types and symbols, or else VMCOREINFO.
struct Source<'a> {
    kernel: Kernel<'a>,
    info: &'a VmcoreInfo,
}

impl Source<'_> {
    fn symbol(&self, name: &str) -> Known<VirtAddr> {
        self.info.symbol(name).map_or_else(|| self.kernel.symbol(name), Ok)
    }

    /// The pointer or number in the variable `name`.
    fn value(&self, name: &str) -> Known<u64> {
        Ok(self.kernel.memory.read_u64(self.symbol(name)?)?)
    }

    fn value_u32(&self, name: &str) -> Known<u32> {
        Ok(self.kernel.memory.read_u32(self.symbol(name)?)?)
    }

    /// A member; VMCOREINFO does not say how wide it is.
    fn field(&self, name: &str, member: &str, size: u64) -> Known<Field> {
        self.kernel.field(name, member).or_else(|unknown| {
            let offset = self.info.offset(&format!("{name}.{member}"));
            offset.map(|offset| Field::at(offset, size)).ok_or(unknown)
        })
    }

    fn size(&self, name: &str) -> Known<u64> {
        let size = self.kernel.structure(name).ok().and_then(|ty| ty.size());
        size.or_else(|| self.info.size(name))
            .filter(|size| *size > 0)
            .ok_or_else(|| Unknown::because(format!("the size of struct {name} is not known")))
    }
}

/// Text of a message: its lines and tabs stay what they are.
fn message(bytes: &[u8]) -> Box<str> {
    let mut text = String::with_capacity(bytes.len());
    for piece in bytes.split_inclusive(|byte| matches!(byte, b'\n' | b'\t')) {
        match piece {
            [piece @ .., last @ (b'\n' | b'\t')] => {
                text.push_str(&scrub(piece));
                text.push(char::from(*last));
            }
            piece => text.push_str(&scrub(piece)),
        }
    }
    text.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(text: &str) -> LogRecord {
        let at = Some(Duration::from_nanos(12_345_678_901));
        LogRecord { seq: Some(1), at, level: Some(6), caller: None, text: text.into() }
    }

    #[test]
    fn a_message_prints_as_crash_prints_it() {
        assert_eq!(record("one").to_string(), "[   12.345678] one");
        assert_eq!(record("one\ntwo").to_string(), "[   12.345678] one\n               two");
        assert_eq!(record("").to_string(), "");
        let undated = LogRecord { at: None, ..record("one\ntwo") };
        assert_eq!(undated.to_string(), "one\ntwo");
    }

    #[test]
    fn lines_and_tabs_stay_and_escapes_do_not() {
        assert_eq!(&*message(b"a\tb\nc\x1b[2J"), "a\tb\nc\\x1b[2J");
        assert_eq!(&*message(b"end\n"), "end\n");
    }

    #[test]
    fn the_top_bit_of_a_caller_is_a_cpu() {
        assert_eq!(Caller::new(42), Caller::Task(42));
        assert_eq!(Caller::new(0x8000_0003), Caller::Cpu(3));
    }
}
