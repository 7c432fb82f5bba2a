//! The lockless ring buffer, since 5.10 (kernel/printk/printk_ringbuffer.h).
//!
//! Descriptors and infos are rings of the same length, indexed by a running id. A descriptor's
//! `state_var` holds the id that it belongs to and, in its two top bits, its state. The text is in
//! a third ring: from `begin` to `next` (running positions, taken modulo its size), after 8 bytes
//! that repeat the id. A text that would run over the ring's end lies at its start instead. Odd
//! positions mean that there is no text.

use super::super::fields::{Field, StructBytes, span_of};
use super::super::{Known, Unknown};
use super::{Caller, Log, LogRecord, Source, message};
use crate::dump::VirtAddr;
use crate::memory::VirtualMemory;
use std::time::Duration;

/// Messages in the ring: `CONFIG_LOG_BUF_SHIFT` is at most 25, and a message takes 32 bytes.
const MAX_COUNT_BITS: u64 = 24;
/// Bytes of text.
const MAX_SIZE_BITS: u64 = 31;
/// `text_len` has 16 bits.
const MAX_TEXT: u64 = 1 << 16;
/// The two top bits of `state_var`.
const STATE_SHIFT: u32 = 62;
const ID_MASK: u64 = (1 << STATE_SHIFT) - 1;
/// `desc_committed` and `desc_finalized`
const WRITTEN: [u64; 2] = [1, 2];
/// Each block of text begins with the id that it belongs to.
const BLOCK_ID: u64 = 8;

/// The ring and where things are in its parts.
struct Ring<'m> {
    memory: &'m dyn VirtualMemory,
    count: u64,
    descs: VirtAddr,
    desc_size: u64,
    state: Field,
    begin: Field,
    next: Field,
    infos: VirtAddr,
    info_size: u64,
    seq: Field,
    time: Field,
    text_len: Field,
    level: Known<Field>,
    caller: Known<Field>,
    text: VirtAddr,
    text_size: u64,
}

pub(super) fn read(source: &Source<'_>) -> Known<Log> {
    let memory = source.kernel.memory;
    let at = VirtAddr(source.value("prb")?);
    let descs = source.field("printk_ringbuffer", "desc_ring", 8)?.offset;
    let texts = source.field("printk_ringbuffer", "text_data_ring", 8)?.offset;
    let of_descs = |member, size| -> Known<u64> {
        Ok(source.field("prb_desc_ring", member, size)?.read(memory, at.plus(descs))?)
    };
    let of_texts = |member, size| -> Known<u64> {
        Ok(source.field("prb_data_ring", member, size)?.read(memory, at.plus(texts))?)
    };
    let block = source.field("prb_desc", "text_blk_lpos", 8)?.offset;
    let in_block = |member| -> Known<Field> {
        Ok(Field::at(block + source.field("prb_data_blk_lpos", member, 8)?.offset, 8))
    };
    let ring = Ring {
        memory,
        count: power(of_descs("count_bits", 4)?, MAX_COUNT_BITS, "descriptors")?,
        descs: VirtAddr(of_descs("descs", 8)?),
        desc_size: source.size("prb_desc")?,
        state: source.field("prb_desc", "state_var", 8)?,
        begin: in_block("begin")?,
        next: in_block("next")?,
        infos: VirtAddr(of_descs("infos", 8)?),
        info_size: source.size("printk_info")?,
        seq: source.field("printk_info", "seq", 8)?,
        time: source.field("printk_info", "ts_nsec", 8)?,
        text_len: source.field("printk_info", "text_len", 2)?,
        level: source.field("printk_info", "level", 1),
        caller: source.field("printk_info", "caller_id", 4),
        text: VirtAddr(of_texts("data", 8)?),
        text_size: power(of_texts("size_bits", 4)?, MAX_SIZE_BITS, "text")?,
    };
    let (head, tail) = (of_descs("head_id", 8)? & ID_MASK, of_descs("tail_id", 8)? & ID_MASK);
    let pending = head.wrapping_sub(tail) & ID_MASK;
    if pending >= ring.count {
        return Err(Unknown::because("its head and its tail are further apart than it is long"));
    }
    let mut log = Log::default();
    for i in 0..=pending {
        let id = tail.wrapping_add(i) & ID_MASK;
        match ring.record(id) {
            Ok(record) => log.records.extend(record),
            Err(unknown) => log.notes.push(format!("message {id:#x} of the log: {unknown}")),
        }
    }
    Ok(log)
}

fn power(bits: u64, most: u64, what: &str) -> Known<u64> {
    match u32::try_from(bits) {
        Ok(shift) if bits <= most => Ok(1 << shift),
        _ => Err(Unknown::because(format!("2^{bits} bytes of {what} are impossible"))),
    }
}

impl Ring<'_> {
    /// The message of that id; `None` when it was being written or has been overwritten.
    fn record(&self, id: u64) -> Known<Option<LogRecord>> {
        let slot = id % self.count;
        let desc = StructBytes::read(
            self.memory,
            self.descs.plus(slot * self.desc_size),
            span_of([self.state, self.begin, self.next]),
        )?;
        let state = desc.get(self.state);
        if state & ID_MASK != id || !WRITTEN.contains(&(state >> STATE_SHIFT)) {
            return Ok(None);
        }
        let info = StructBytes::read(
            self.memory,
            self.infos.plus(slot * self.info_size),
            0..self.info_size,
        )?;
        let len = info.get(self.text_len).min(MAX_TEXT);
        let text = self.text(desc.get(self.begin), desc.get(self.next), len)?;
        let level = self.level.as_ref().ok();
        let caller = self.caller.as_ref().ok();
        Ok(Some(LogRecord {
            seq: Some(info.get(self.seq)),
            at: Some(Duration::from_nanos(info.get(self.time))),
            level: level.and_then(|level| u8::try_from(info.get(*level)).ok()),
            caller: caller.and_then(|id| Some(Caller::new(u32::try_from(info.get(*id)).ok()?))),
            text: message(&text),
        }))
    }

    fn text(&self, begin: u64, next: u64, len: u64) -> Known<Vec<u8>> {
        if begin & 1 == 1 || next & 1 == 1 {
            return Ok(Vec::new());
        }
        let (begin, end) = match (begin % self.text_size, next % self.text_size) {
            (begin, 0) => (begin, self.text_size),
            (begin, end) if begin < end => (begin, end),
            (_, end) => (0, end),
        };
        let room = end.saturating_sub(begin).saturating_sub(BLOCK_ID);
        let len = usize::try_from(len.min(room)).unwrap_or(0);
        Ok(self.memory.read_vec(self.text.plus(begin + BLOCK_ID), len)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::debuginfo::{Symbols, Types};
    use crate::dump::VmcoreInfo;
    use crate::kernel::Kernel;
    use crate::kernel::testing::Image;

    const INFO: &[u8] = b"SYMBOL(prb)=100\n\
        OFFSET(printk_ringbuffer.desc_ring)=0\nOFFSET(printk_ringbuffer.text_data_ring)=48\n\
        OFFSET(prb_desc_ring.count_bits)=0\nOFFSET(prb_desc_ring.descs)=8\n\
        OFFSET(prb_desc_ring.infos)=16\nOFFSET(prb_desc_ring.head_id)=24\n\
        OFFSET(prb_desc_ring.tail_id)=32\nSIZE(prb_desc)=24\nOFFSET(prb_desc.state_var)=0\n\
        OFFSET(prb_desc.text_blk_lpos)=8\nOFFSET(prb_data_blk_lpos.begin)=0\n\
        OFFSET(prb_data_blk_lpos.next)=8\nSIZE(printk_info)=32\nOFFSET(printk_info.seq)=0\n\
        OFFSET(printk_info.ts_nsec)=8\nOFFSET(printk_info.text_len)=16\n\
        OFFSET(printk_info.caller_id)=20\nOFFSET(prb_data_ring.size_bits)=0\n\
        OFFSET(prb_data_ring.data)=8\n";
    const DESCS: u64 = 0x1000;
    const INFOS: u64 = 0x2000;
    const TEXT: u64 = 0x3000;

    /// A ring of 4 descriptors and 64 bytes of text.
    fn ring(tail: u64, head: u64) -> Image {
        let mut image = Image::default();
        image.put_u64(0x100, 0x200);
        for (at, value) in
            [(0, 2), (8, DESCS), (16, INFOS), (24, head), (32, tail), (48, 6), (56, TEXT)]
        {
            image.put_u64(0x200 + at, value);
        }
        image.put(DESCS, &[0; 4 * 24]);
        image.put(INFOS, &[0; 4 * 32]);
        image.put(TEXT, &[0; 64]);
        image
    }

    fn put(image: &mut Image, id: u64, state: u64, begin: u64, next: u64, text: &str) {
        let desc = DESCS + id % 4 * 24;
        image.put_u64(desc, id | state << 62);
        image.put_u64(desc + 8, begin);
        image.put_u64(desc + 16, next);
        let info = INFOS + id % 4 * 32;
        image.put_u64(info, id);
        image.put_u64(info + 8, id * 1_000_000);
        image.put(info + 16, &u16::try_from(text.len()).unwrap().to_le_bytes());
        image.put(info + 20, &7u32.to_le_bytes());
        let wraps = begin / 64 != next.wrapping_sub(1) / 64;
        let at = if wraps { 0 } else { begin % 64 };
        if begin & 1 == 0 {
            image.put(TEXT + at + 8, text.as_bytes());
        }
    }

    fn read_all(image: &Image) -> Log {
        let (types, symbols) = (Types::new(), Symbols::default());
        let kernel = Kernel { memory: image, types: &types, symbols: &symbols };
        Log::read(kernel, &VmcoreInfo::parse(INFO))
    }

    fn texts(log: &Log) -> Vec<&str> {
        log.records.iter().map(|record| &*record.text).collect()
    }

    #[test]
    fn messages_come_in_order_whatever_their_place_in_the_ring() {
        let mut image = ring(5, 8);
        put(&mut image, 5, 2, 0, 24, "first");
        put(&mut image, 6, 2, 24, 40, "second");
        put(&mut image, 7, 3, 1, 1, "");
        put(&mut image, 8, 1, 40, 64, "to the end");
        let log = read_all(&image);
        assert_eq!(texts(&log), ["first", "second", "to the end"]);
        assert_eq!(log.notes, [""; 0]);
        let last = log.records.last().unwrap();
        assert_eq!(last.to_string(), "[    0.008000] to the end");
        assert_eq!((last.seq, last.caller), (Some(8), Some(Caller::Task(7))));
    }

    #[test]
    fn a_text_that_runs_over_the_end_lies_at_the_start() {
        let mut image = ring(1, 1);
        put(&mut image, 1, 2, 48, 64 + 24, "wrapped");
        assert_eq!(texts(&read_all(&image)), ["wrapped"]);
    }

    #[test]
    fn messages_being_written_or_overwritten_are_passed_over_and_empty_ones_are_not() {
        let mut image = ring(1, 4);
        put(&mut image, 1, 0, 0, 16, "reserved");
        put(&mut image, 2 + 4, 2, 16, 32, "of another turn");
        put(&mut image, 3, 2, 3, 3, "");
        put(&mut image, 4, 2, 32, 48, "good");
        assert_eq!(texts(&read_all(&image)), ["", "good"]);
    }

    #[test]
    fn a_length_that_lies_ends_with_the_block() {
        let mut image = ring(1, 1);
        put(&mut image, 1, 2, 0, 16, "12345678");
        image.put(INFOS + 32 + 16, &0xffffu16.to_le_bytes());
        assert_eq!(texts(&read_all(&image)), ["12345678"]);
    }

    #[test]
    fn an_impossible_ring_is_refused_with_its_reason() {
        let log = read_all(&ring(1, 9));
        assert_eq!(
            log.notes,
            ["the log cannot be read: its head and its tail are further apart than it is long"]
        );
        let mut image = ring(1, 1);
        image.put_u64(0x200, 60);
        assert_eq!(
            read_all(&image).notes,
            ["the log cannot be read: 2^60 bytes of descriptors are impossible"]
        );
    }
}
