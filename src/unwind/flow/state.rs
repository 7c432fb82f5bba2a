//! What is known between two instructions.

use super::value::{Base, Slot, Value};
use crate::dump::VirtAddr;
use crate::unwind::Register;
use std::collections::BTreeMap;

/// The sixteen general registers, in number order.
pub(super) const GENERAL: usize = 16;

/// What the caller of [`super::Function::at`] cares about: something that a call took and that no
/// later call gave back, such as a lock.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Taken {
    /// Address of the call.
    pub call: u64,
    /// The function called.
    pub target: VirtAddr,
    /// What was taken, in the numbers of [`super::Effects`].
    pub class: u16,
    /// The first argument of the call; `None` when it was of an earlier turn of a loop and no name
    /// for it is left.
    pub argument: Option<Value>,
    /// Whether it is so on every path that leads here.
    pub always: bool,
    /// The call only took it if what it returned is as said, which has not been tested yet.
    pub(super) pending: Option<When>,
    /// A plain store to the argument's address gives it back.
    pub(super) by_store: bool,
}

impl Taken {
    /// Whether it was taken on every path that leads here, and every test of the call's result
    /// that was needed has been made.
    #[must_use]
    pub fn certain(&self) -> bool {
        self.always && self.pending.is_none()
    }
}

/// What a call that took something returns.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum When {
    /// It does not matter: it always takes it.
    Always,
    /// Zero (`mutex_lock_killable`).
    Zero,
    /// Anything but zero (`mutex_trylock`).
    NonZero,
}

/// Registers, stack slots and things taken.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct State {
    registers: Vec<Value>,
    stack: BTreeMap<i64, Value>,
    /// The value that the flags compare with zero.
    pub(super) tested: Option<Value>,
    /// What has been taken and not given back.
    pub taken: Vec<Taken>,
}

impl State {
    /// The state at the entry of a function.
    pub(super) fn entry() -> State {
        let registers = Register::ALL.into_iter().take(GENERAL).map(Value::entry).collect();
        State { registers, stack: BTreeMap::new(), tested: None, taken: Vec::new() }
    }

    /// What a general register holds; `None` for the others.
    #[must_use]
    pub fn register(&self, register: Register) -> Option<&Value> {
        self.registers.get(register as usize)
    }

    pub(super) fn set(&mut self, register: Register, value: Value) {
        if let Some(slot) = self.registers.get_mut(register as usize) {
            *slot = value;
        }
    }

    /// The known slots of the stack, by their distance from the stack pointer at the entry.
    pub fn stack(&self) -> impl Iterator<Item = (i64, &Value)> {
        self.stack.iter().map(|(offset, value)| (*offset, value))
    }

    pub(super) fn stack_slot(&self, offset: i64) -> Option<&Value> {
        self.stack.get(&offset)
    }

    pub(super) fn set_stack(&mut self, offset: i64, value: Value) {
        self.forget_stack(offset, 8);
        self.stack.insert(offset, value);
    }

    /// `size` bytes of the stack were overwritten with something unknown.
    pub(super) fn forget_stack(&mut self, offset: i64, size: i64) {
        let gone: Vec<i64> = self
            .stack
            .range(offset.saturating_sub(7)..offset.saturating_add(size))
            .map(|(at, _)| *at)
            .collect();
        for at in gone {
            self.stack.remove(&at);
        }
    }

    /// Something stored to an address that is not on the stack: an inlined unlock, perhaps.
    pub(super) fn stored_to(&mut self, address: &Value) {
        self.taken.retain(|taken| !(taken.by_store && taken.argument.as_ref() == Some(address)));
    }

    /// The instruction at `ip` is about to make new values. What it made in an earlier turn of a
    /// loop and is still somewhere is another value now, and gets another name.
    pub(super) fn forget_made_by(&mut self, ip: u64) {
        self.rename(
            ip,
            |base| match base {
                Base::Made { ip: by, .. } | Base::Loaded { ip: by, .. } => *by == ip,
                _ => false,
            },
            Value::made,
        );
    }

    /// Gives every value that mentions what `is` holds of the name of the slot that it is in.
    fn rename(&mut self, ip: u64, is: impl Fn(&Base) -> bool, name: fn(u64, Slot) -> Value) {
        for (value, register) in self.registers.iter_mut().zip(Register::ALL) {
            if value.mentions(&is) {
                *value = name(ip, Slot::Register(register));
            }
        }
        for (offset, value) in &mut self.stack {
            if value.mentions(&is) {
                *value = name(ip, Slot::Stack(*offset));
            }
        }
        for taken in &mut self.taken {
            taken.argument = taken.argument.take().filter(|value| !value.mentions(&is));
        }
        self.tested = self.tested.take().filter(|value| !value.mentions(&is));
    }

    /// A path comes back to `ip`, where values of several paths were joined. Slots that changed on
    /// the way are about to be joined anew; copies of what they held before are other values.
    fn coming_back_to(&self, ip: u64) -> State {
        let holds = |slot: Slot| match slot {
            Slot::Register(register) => self.register(register),
            Slot::Stack(offset) => self.stack.get(&offset),
        };
        let changed = |base: &Base| match base {
            Base::Joined { ip: at, slot } if *at == ip => {
                holds(*slot).is_none_or(|value| *value != Value::joined(ip, *slot))
            }
            _ => false,
        };
        let mut state = self.clone();
        state.rename(ip, changed, Value::joined);
        state
    }

    /// What is known where this path and another meet at `ip`.
    pub(super) fn join(&self, other: &State, ip: u64) -> State {
        let other = &other.coming_back_to(ip);
        let meet = |a: &Value, b: &Value, slot: Slot| {
            let same = Base::Joined { ip, slot };
            if a == b || a.base == same { a.clone() } else { Value::joined(ip, slot) }
        };
        let registers = self
            .registers
            .iter()
            .zip(&other.registers)
            .zip(Register::ALL)
            .map(|((a, b), register)| meet(a, b, Slot::Register(register)))
            .collect();
        let stack = self
            .stack
            .iter()
            .filter_map(|(&offset, a)| {
                Some((offset, meet(a, other.stack.get(&offset)?, Slot::Stack(offset))))
            })
            .collect();
        let tested = if self.tested == other.tested { self.tested.clone() } else { None };
        let mut taken = Vec::new();
        for a in &self.taken {
            match other.taken.iter().find(|b| b.call == a.call) {
                Some(b) => taken.push(Taken {
                    argument: if a.argument == b.argument { a.argument.clone() } else { None },
                    always: a.always && b.always,
                    pending: if a.pending == b.pending { a.pending } else { None },
                    ..a.clone()
                }),
                None => taken.push(Taken { always: false, ..a.clone() }),
            }
        }
        for b in &other.taken {
            if !self.taken.iter().any(|a| a.call == b.call) {
                taken.push(Taken { always: false, ..b.clone() });
            }
        }
        taken.sort_by_key(|taken| taken.call);
        State { registers, stack, tested, taken }
    }

    /// The state on a branch on which the tested value is zero, or is not.
    pub(super) fn given(&self, zero: bool) -> State {
        let mut state = self.clone();
        let Some(Value { base: Base::Made { ip, slot: Slot::Register(Register::Rax) }, offset: 0 }) =
            &self.tested
        else {
            return state;
        };
        state.taken.retain_mut(|taken| match taken.pending {
            Some(when) if taken.call == *ip => {
                taken.pending = None;
                (when == When::Zero) == zero
            }
            _ => true,
        });
        state
    }
}
