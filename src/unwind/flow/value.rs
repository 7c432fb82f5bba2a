//! Symbolic values: where a register's content came from.

use crate::unwind::Register;
use std::sync::Arc;

/// A register or a slot of the stack.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Slot {
    /// One of the sixteen.
    Register(Register),
    /// Eight bytes at this distance from the stack pointer at the function's entry: the return
    /// address is at 0, what the function pushes lies below.
    Stack(i64),
}

/// What a value is counted from.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Base {
    /// Nothing: it is a plain number.
    Zero,
    /// A negative number that stands for an error; which one depends on the path.
    Error,
    /// What a register held when the function was entered.
    Entry(Register),
    /// The per-CPU area of the CPU that runs the code (the base of `gs`).
    PerCpu,
    /// What the instruction at `ip` left in `slot`, whatever that was.
    Made {
        /// The instruction.
        ip: u64,
        /// Where it put it.
        slot: Slot,
    },
    /// One of several values, depending on the path by which `ip` was reached.
    Joined {
        /// Where the paths meet.
        ip: u64,
        /// The slot whose values differ.
        slot: Slot,
    },
    /// Eight bytes that the instruction at `ip` read.
    Loaded {
        /// The instruction.
        ip: u64,
        /// The address that it read.
        from: Arc<Value>,
    },
}

/// A base and a distance from it.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Value {
    /// What it is counted from.
    pub base: Base,
    /// Added to the base.
    pub offset: i64,
}

/// Loads from loads deeper than this are no longer told apart.
const LOADS_DEEP: u32 = 4;

impl Value {
    /// A plain number.
    #[must_use]
    pub const fn number(offset: i64) -> Value {
        Value { base: Base::Zero, offset }
    }

    /// What `register` held at the entry.
    #[must_use]
    pub const fn entry(register: Register) -> Value {
        Value { base: Base::Entry(register), offset: 0 }
    }

    /// What the instruction at `ip` left in `slot`.
    #[must_use]
    pub const fn made(ip: u64, slot: Slot) -> Value {
        Value { base: Base::Made { ip, slot }, offset: 0 }
    }

    /// The value one of several that meet at `ip`.
    #[must_use]
    pub const fn joined(ip: u64, slot: Slot) -> Value {
        Value { base: Base::Joined { ip, slot }, offset: 0 }
    }

    /// `self + bytes`.
    #[must_use]
    pub fn plus(&self, bytes: i64) -> Value {
        Value { base: self.base.clone(), offset: self.offset.wrapping_add(bytes) }
    }

    /// What the instruction at `ip` reads at this address into `slot`.
    #[must_use]
    pub fn load(&self, ip: u64, slot: Slot) -> Value {
        if self.depth() >= LOADS_DEEP {
            return Value::made(ip, slot);
        }
        Value { base: Base::Loaded { ip, from: Arc::new(self.clone()) }, offset: 0 }
    }

    /// Whether it is, or was loaded from, a value of which `is` holds.
    pub(super) fn mentions(&self, is: &impl Fn(&Base) -> bool) -> bool {
        is(&self.base)
            || match &self.base {
                Base::Loaded { from, .. } => from.mentions(is),
                _ => false,
            }
    }

    fn depth(&self) -> u32 {
        match &self.base {
            Base::Loaded { from, .. } => 1 + from.depth(),
            _ => 0,
        }
    }

    /// The distance from the stack pointer at the entry, for an address on the stack.
    #[must_use]
    pub fn on_stack(&self) -> Option<i64> {
        matches!(self.base, Base::Entry(Register::Rsp)).then_some(self.offset)
    }
}
