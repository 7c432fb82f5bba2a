//! ORC: the kernel's own unwind tables (arch/x86/kernel/unwind_orc.c, since 4.14).
//!
//! Two tables side by side. `.orc_unwind_ip` has for each entry the first address it is for, as a
//! 32-bit distance from the table's own slot, sorted; `.orc_unwind` has six bytes for each
//! (`struct orc_entry`, arch/x86/include/asm/orc_types.h): how to find the caller's stack pointer and
//! rbp, and whether what lies there is a return address or saved registers. A kernel has half a
//! million of them; they are read where they lie, by binary search, and what was found is kept.
//!
//! # Which layout
//!
//! The last two bytes changed their meaning three times:
//!
//! | since | bits 0–3 | 4–7 | 8 … 11 |
//! | --- | --- | --- | --- |
//! | 4.14 | `sp_reg` | `bp_reg` | `type:2` (call 0, regs 1, regs partial 2), `end` |
//! | 6.3 | | | `type:2`, `signal`, `end` |
//! | 6.4 | | | `type:3` (undefined 0, end 1, call 2, regs 3, regs partial 4), `signal` |
//! | 7.1 | other numbers | other numbers | as 6.4 |
//!
//! Distributions carry these over to older releases, so the entries themselves are asked
//! ([`Format::detect`]). Nearly all are for code that was called and finds the stack by `rsp`: the
//! type and the register that most entries have are "call" and "rsp". The layouts of 4.14 and 6.3
//! differ in the bit of `end`, which is set where kernel threads begin (`ret_from_fork`).

use super::Register;
use crate::debuginfo::Symbols;
use crate::dump::{Fault, VirtAddr};
use crate::memory::VirtualMemory;
use foldhash::HashMap;
use std::ops::Range;
use std::sync::RwLock;

/// Bytes of a `struct orc_entry`.
const ENTRY_SIZE: u64 = 6;
/// More entries than any kernel has.
const MAX_ENTRIES: u64 = 1 << 24;

/// Addresses whose entry is kept; real dumps have some thousand.
const MAX_FOUND: usize = 1 << 16;

/// How to step from one frame to its caller.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Entry {
    pub(super) sp: Base,
    pub(super) sp_offset: i16,
    pub(super) bp: Base,
    pub(super) bp_offset: i16,
    pub(super) kind: Kind,
    /// The address found by this entry is the interrupted instruction, not one after a call.
    pub(super) signal: bool,
}

/// What an offset counts from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Base {
    /// As a base for rbp: it has not changed.
    Undefined,
    /// The caller's stack pointer, already found.
    PrevSp,
    /// The value of a register.
    Is(Register),
    /// The stack pointer is where rbp plus the offset points to.
    BpIndirect,
    /// The stack pointer is what rsp points to, plus the offset: another stack's.
    SpIndirect,
    /// A number without a meaning.
    Unknown(u8),
}

/// What lies where the stack pointer of the caller was found.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    /// Nothing is known here.
    Undefined,
    /// This is the outermost frame.
    EndOfStack,
    /// The return address lies just below.
    Call,
    /// A `struct pt_regs`.
    Regs,
    /// What the CPU pushes by itself: the last five words of a `struct pt_regs`.
    RegsPartial,
    /// A number without a meaning.
    Unknown(u8),
}

/// How the type of an entry is coded.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum TypeBits {
    /// 4.14: two bits, then `end`.
    End,
    /// 6.3: two bits, then `signal` and `end`.
    SignalEnd,
    /// 6.4: three bits, then `signal`.
    Signal,
}

/// The layout of a `struct orc_entry`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Format {
    types: TypeBits,
    /// The register numbers of 7.1.
    renumbered: bool,
}

impl Format {
    /// The layout of these entries, which must be many. `outermost` are entries of code that has no
    /// caller.
    fn detect(entries: &[[u8; 6]], outermost: &[[u8; 6]]) -> Format {
        let flags = |entry: &[u8; 6]| {
            let [.., low, high] = *entry;
            u16::from_le_bytes([low, high])
        };
        let count =
            |wanted: &dyn Fn(u16) -> bool| entries.iter().filter(|e| wanted(flags(e))).count();
        // Entries that know the stack pointer; only those have a type to count in the old layouts.
        let call_is = |call: u16| count(&|f| f & 0xf != 0 && (f >> 8) & 7 == call);
        let sp_is = |sp: u16| count(&|f| f & 0xf == sp);
        let types = if call_is(2) > call_is(0) {
            TypeBits::Signal
        } else if outermost.iter().any(|e| flags(e) & 0x80f == 0x800) {
            TypeBits::SignalEnd
        } else {
            TypeBits::End
        };
        Format { types, renumbered: sp_is(3) > sp_is(5) }
    }

    fn base(self, number: u16) -> Base {
        match (number, self.renumbered) {
            (0, _) => Base::Undefined,
            (1, false) | (8, true) => Base::PrevSp,
            (1, true) => Base::Is(Register::Rax),
            (2, _) => Base::Is(Register::Rdx),
            (3, false) | (5, true) => Base::Is(Register::Rdi),
            (4, _) => Base::Is(Register::Rbp),
            (5, false) | (3, true) => Base::Is(Register::Rsp),
            (6, _) => Base::Is(Register::R10),
            (7, _) => Base::Is(Register::R13),
            (8, false) | (10, true) => Base::BpIndirect,
            (9, _) => Base::SpIndirect,
            (other, _) => Base::Unknown(u8::try_from(other).unwrap_or(u8::MAX)),
        }
    }

    fn decode(self, bytes: [u8; 6]) -> Entry {
        let [s0, s1, b0, b1, f0, f1] = bytes;
        let flags = u16::from_le_bytes([f0, f1]);
        let sp = self.base(flags & 0xf);
        let two_bits = |end: bool| match ((flags >> 8) & 3, sp) {
            (_, Base::Undefined) if end => Kind::EndOfStack,
            (_, Base::Undefined) => Kind::Undefined,
            (0, _) => Kind::Call,
            (1, _) => Kind::Regs,
            (2, _) => Kind::RegsPartial,
            _ => Kind::Unknown(3),
        };
        let bit = |number: u32| flags & (1 << number) != 0;
        let (kind, signal) = match self.types {
            TypeBits::End => {
                let kind = two_bits(bit(10));
                (kind, matches!(kind, Kind::Regs | Kind::RegsPartial))
            }
            TypeBits::SignalEnd => (two_bits(bit(11)), bit(10)),
            TypeBits::Signal => {
                let kind = match (flags >> 8) & 7 {
                    0 => Kind::Undefined,
                    1 => Kind::EndOfStack,
                    2 => Kind::Call,
                    3 => Kind::Regs,
                    4 => Kind::RegsPartial,
                    other => Kind::Unknown(u8::try_from(other).unwrap_or(u8::MAX)),
                };
                (kind, bit(11))
            }
        };
        Entry {
            sp,
            sp_offset: i16::from_le_bytes([s0, s1]),
            bp: self.base((flags >> 4) & 0xf),
            bp_offset: i16::from_le_bytes([b0, b1]),
            kind,
            signal,
        }
    }
}

/// Where the tables of the kernel or a module lie.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct OrcTable {
    /// `.orc_unwind_ip`: `mod->arch.orc_unwind_ip`.
    pub ip: VirtAddr,
    /// `.orc_unwind`: `mod->arch.orc_unwind`.
    pub entries: VirtAddr,
    /// How many entries: `mod->arch.num_orcs`.
    pub count: u64,
    /// The code that they are for: a module's text without its init text, whose entries outlive it.
    pub text: Range<VirtAddr>,
}

impl OrcTable {
    /// The kernel's own.
    fn of_kernel(memory: &dyn VirtualMemory, symbols: &Symbols) -> Result<OrcTable, String> {
        let address = |name: &str| {
            symbols.address(name).ok_or_else(|| format!("the kernel has no symbol {name}"))
        };
        let ip = address("__start_orc_unwind_ip")?;
        let entries = address("__start_orc_unwind")?;
        let size = |start: VirtAddr, stop: &str| {
            let size = address(stop)?.offset_from(start);
            size.filter(|size| *size > 0).ok_or_else(|| format!("{stop} is not after its start"))
        };
        let count = size(ip, "__stop_orc_unwind_ip")? / 4;
        let same = size(entries, "__stop_orc_unwind")? / ENTRY_SIZE;
        if count != same || count > MAX_ENTRIES {
            return Err(format!("its two tables have {count} and {same} entries"));
        }
        let mut table = OrcTable { ip, entries, count, text: VirtAddr(0)..VirtAddr(0) };
        let edge = |index| table.ip_at(memory, index).map_err(|fault| fault.to_string());
        // The last entry marks the end.
        table.text = edge(0)?..edge(count.saturating_sub(1))?;
        Ok(table)
    }

    fn slot(&self, index: u64) -> VirtAddr {
        self.ip.plus(index.saturating_mul(4))
    }

    /// The first address that an entry is for.
    fn ip_at(&self, memory: &dyn VirtualMemory, index: u64) -> Result<VirtAddr, Fault> {
        let slot = self.slot(index);
        Ok(self.target(slot, memory.read_u32(slot)?))
    }

    fn target(&self, slot: VirtAddr, distance: u32) -> VirtAddr {
        VirtAddr(slot.0.wrapping_add_signed(i64::from(distance.cast_signed())))
    }

    /// The index of the last entry that starts at or before an address.
    fn search(&self, memory: &dyn VirtualMemory, at: VirtAddr) -> Result<Option<u64>, Fault> {
        /// The last steps are made in one piece of the table.
        const PIECE: u64 = 256;
        let (mut low, mut high) = (0, self.count.min(MAX_ENTRIES));
        while high - low > PIECE {
            let middle = low + (high - low) / 2;
            if self.ip_at(memory, middle)? <= at {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        let piece =
            memory.read_vec(self.slot(low), usize::try_from((high - low) * 4).unwrap_or(0))?;
        let (words, _) = piece.as_chunks::<4>();
        for (index, word) in (low..).zip(words) {
            if self.target(self.slot(index), u32::from_le_bytes(*word)) > at {
                break;
            }
            low = index + 1;
        }
        Ok(low.checked_sub(1))
    }

    fn raw(&self, memory: &dyn VirtualMemory, index: u64) -> Result<[u8; 6], Fault> {
        let mut bytes = [0; 6];
        memory.read(self.entries.plus(index.saturating_mul(ENTRY_SIZE)), &mut bytes)?;
        Ok(bytes)
    }

    /// The entry for an address.
    fn find(&self, memory: &dyn VirtualMemory, at: VirtAddr) -> Result<Option<[u8; 6]>, Fault> {
        self.search(memory, at)?.map(|index| self.raw(memory, index)).transpose()
    }

    /// Entries from several places of the table.
    fn sample(&self, memory: &dyn VirtualMemory) -> Vec<[u8; 6]> {
        const RUN: u64 = 512;
        let mut entries = Vec::new();
        for part in 1..4 {
            let first = self.count / 4 * part;
            let run = RUN.min(self.count - first);
            let at = self.entries.plus(first * ENTRY_SIZE);
            let len = usize::try_from(run * ENTRY_SIZE).unwrap_or(0);
            // A page that is not there has no vote.
            let bytes = memory.read_vec(at, len).unwrap_or_default();
            entries.extend_from_slice(bytes.as_chunks().0);
        }
        entries
    }
}

/// An entry, none because no table is for the address, or a part of the table that is not there.
type Found = Result<Option<Entry>, Fault>;

/// The unwind tables of a kernel and its modules.
pub struct Orc {
    kernel: Result<(OrcTable, Format), String>,
    modules: Vec<OrcTable>,
    /// What was found for an address; few are asked for, and those often.
    found: RwLock<HashMap<VirtAddr, Found>>,
}

impl Orc {
    /// The tables of this kernel, and of these modules. A kernel without any unwinds by guessing;
    /// [`Orc::problem`] says why.
    #[must_use]
    pub fn new(memory: &dyn VirtualMemory, symbols: &Symbols, modules: Vec<OrcTable>) -> Orc {
        let kernel = OrcTable::of_kernel(memory, symbols).map(|table| {
            let outermost = ["ret_from_fork", "ret_from_fork_asm", "secondary_startup_64"];
            let outermost: Vec<_> = outermost
                .iter()
                .filter_map(|name| table.find(memory, symbols.address(name)?).ok()?)
                .collect();
            let format = Format::detect(&table.sample(memory), &outermost);
            (table, format)
        });
        Orc { kernel, modules, found: RwLock::default() }
    }

    /// Why there are no tables.
    #[must_use]
    pub fn problem(&self) -> Option<&str> {
        self.kernel.as_ref().err().map(String::as_str)
    }

    /// The entry for an address; the error says why there is none.
    pub(super) fn find(&self, memory: &dyn VirtualMemory, at: VirtAddr) -> Result<Entry, String> {
        let (kernel, format) =
            self.kernel.as_ref().map_err(|problem| format!("no unwind tables: {problem}"))?;
        let known = self.found.read().ok().and_then(|found| found.get(&at).copied());
        let found = known.unwrap_or_else(|| {
            let mut tables = self.modules.iter().chain([kernel]);
            let table = tables.find(|table| table.text.contains(&at));
            let raw = table.map_or(Ok(None), |table| table.find(memory, at));
            let entry = raw.map(|raw| raw.map(|raw| format.decode(raw)));
            if let Ok(mut found) = self.found.write()
                && found.len() < MAX_FOUND
            {
                found.insert(at, entry);
            }
            entry
        });
        found
            .map_err(|fault| format!("its unwind table cannot be read: {fault}"))?
            .ok_or_else(|| "no unwind table is for it".to_owned())
    }
}

#[cfg(test)]
#[path = "orc_tests.rs"]
pub(super) mod tests;
