//! What is known between two instructions.

use super::value::{Base, Slot, Value};
use super::writes::Writes;
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
    /// Things of the same class that were given back since under other names, which may be this
    /// one: their addresses decide.
    pub maybe_given: Vec<Given>,
    /// Which of several things that one call took.
    pub(super) nth: u8,
    /// The call only took it if what it returned is as said, which has not been tested yet.
    pub(super) pending: Option<When>,
    /// A plain store to the argument's address gives it back.
    pub(super) by_store: bool,
}

/// Something that was given back, and not known to have been taken before by the same code.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Given {
    /// What, in the numbers of [`super::Effects`].
    pub class: u16,
    /// Which one, if it has a name.
    pub argument: Option<Value>,
    /// Whether it is so on every path.
    pub always: bool,
}

impl Given {
    fn names(&self, other: &Given) -> bool {
        self.class == other.class && self.argument == other.argument
    }
}

/// What was given back on two paths, where they meet.
fn met_given(a: &[Given], b: &[Given]) -> Vec<Given> {
    let on_both = |given: &Given, others: &[Given]| Given {
        always: given.always && others.iter().any(|other| other.names(given) && other.always),
        ..given.clone()
    };
    let of_a = a.iter().map(|given| on_both(given, b));
    let of_b = b.iter().filter(|given| !a.iter().any(|other| other.names(given)));
    of_a.chain(of_b.map(|given| on_both(given, a))).collect()
}

/// More things given back under other names than this are not remembered one by one.
const MAYBE_GIVEN: usize = 8;
/// Marks what a call took in an earlier turn of a loop.
const EARLIER: u8 = 0x80;
/// At most this many things given back are remembered.
const GIVEN: usize = 8;
/// The least of the numbers that stand for errors (`-MAX_ERRNO`).
pub(super) const ERRORS: i64 = -4095;
/// Whether a value is known to stand for an error.
pub(super) fn stands_for_error(value: &Value) -> bool {
    match value.base {
        Base::Error => value.offset == 0,
        Base::Zero => is_error(value.offset),
        _ => false,
    }
}

/// Whether a number that a function returns, in 32 or 64 bits, stands for an error.
fn is_error(number: i64) -> bool {
    let narrow = u32::try_from(number).map(u32::cast_signed);
    (ERRORS..0).contains(&narrow.map_or(number, i64::from))
}

/// At most this many values are remembered to be zero, and not to be.
const NONZERO: usize = 8;

impl Taken {
    /// Whether it was taken on every path that leads here, and every test of the call's result
    /// that was needed has been made.
    #[must_use]
    pub fn certain(&self) -> bool {
        self.always && self.pending.is_none()
    }

    /// Whether two paths took the same thing: by the same call, or by two calls with the same
    /// argument.
    fn is(&self, other: &Taken) -> bool {
        (self.call, self.nth) == (other.call, other.nth) || self.is_same_thing(other)
    }

    fn is_same_thing(&self, other: &Taken) -> bool {
        self.class == other.class && self.argument.is_some() && self.argument == other.argument
    }

    /// The names under which it may have been given back.
    fn maybe_names(&self) -> impl Iterator<Item = &Value> {
        self.maybe_given.iter().filter_map(|given| given.argument.as_ref())
    }

    /// Whether it lies in what the call at `ip` returned.
    fn is_made_by(&self, ip: u64) -> bool {
        let returned = Slot::Register(Register::Rax);
        let made = Base::Made { ip, slot: returned };
        self.argument.as_ref().is_some_and(|argument| argument.base == made)
    }

    /// Something of its class was given back that has another name, or none.
    fn doubt(&mut self, given: &Given) {
        match (&given.argument, &self.argument) {
            // The same base and another distance is another thing.
            (Some(given), Some(argument)) if given.base == argument.base => {}
            (Some(_), _) => {
                let known = self.maybe_given.iter_mut().find(|known| known.names(given));
                if let Some(known) = known {
                    known.always |= given.always;
                } else if self.maybe_given.len() < MAYBE_GIVEN {
                    self.maybe_given.push(given.clone());
                } else {
                    self.always = false;
                }
            }
            (None, _) => self.always = false,
        }
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
    /// Anything but a negative error number, which is what it returns otherwise: an object that it
    /// took, or how many there are.
    NoError,
    /// It depends on its second argument: anything but zero if that is not zero, else it does not
    /// matter (`__percpu_down_read`).
    Asked,
}

/// Registers, stack slots and things taken.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct State {
    registers: Vec<Value>,
    stack: BTreeMap<i64, Value>,
    /// The value that the flags compare with zero.
    pub(super) tested: Option<Value>,
    /// The instruction that set a bit and left in the carry flag whether it was set before.
    pub(super) carry: Option<u64>,
    /// Values that a test found not to be zero.
    nonzero: Vec<Value>,
    /// Values that a test found to be zero, and that keep their names.
    zero: Vec<Value>,
    /// What was written through the pointers that the function was given.
    pub(super) writes: Writes,
    /// What was given back without having been taken here.
    pub(super) given: Vec<Given>,
    /// What has been taken and not given back.
    pub taken: Vec<Taken>,
}

impl State {
    /// The state at the entry of a function.
    pub(super) fn entry() -> State {
        let registers = Register::ALL.into_iter().take(GENERAL).map(Value::entry).collect();
        State {
            registers,
            stack: BTreeMap::new(),
            tested: None,
            carry: None,
            nonzero: Vec::new(),
            zero: Vec::new(),
            writes: Writes::default(),
            given: Vec::new(),
            taken: Vec::new(),
        }
    }

    /// What has been given back, on some path at least, without having been taken here.
    #[must_use]
    pub fn given(&self) -> &[Given] {
        &self.given
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

    fn holds(&self, slot: Slot) -> Option<&Value> {
        match slot {
            Slot::Register(register) => self.register(register),
            Slot::Stack(offset) => self.stack.get(&offset),
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

    /// The same when the function's own part of the stack has been left.
    pub(super) fn unwound(mut self) -> State {
        self.stack.retain(|offset, _| *offset >= 0);
        self
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

    /// Something was given back: what was taken under that name, or, if nothing was, perhaps
    /// something that was taken under another.
    pub(super) fn give(&mut self, given: Given) {
        let is = |taken: &Taken| {
            taken.class == given.class
                && taken.argument.is_some()
                && taken.argument == given.argument
        };
        if self.taken.iter().any(is) {
            if given.always {
                self.taken.retain(|taken| !is(taken));
            }
            for taken in self.taken.iter_mut().filter(|taken| is(taken)) {
                taken.always = false;
            }
            return;
        }
        for taken in self.taken.iter_mut().filter(|taken| taken.class == given.class) {
            taken.doubt(&given);
        }
        self.remember_given(given);
    }

    fn remember_given(&mut self, given: Given) {
        if let Some(known) = self.given.iter_mut().find(|known| known.names(&given)) {
            known.always |= given.always;
        } else if self.given.len() < GIVEN {
            self.given.push(given);
        } else {
            // That something of its class was given back must not be forgotten.
            let nameless = Given { argument: None, always: false, ..given };
            if !self.given.iter().any(|known| known.names(&nameless)) {
                self.given.push(nameless);
            }
        }
    }

    /// Something was taken. What the same call took in an earlier turn of a loop is kept beside it
    /// as long as it has a name: hand over hand, the next is locked before the last is unlocked.
    pub(super) fn take(&mut self, taken: Taken) {
        let before = (taken.call, taken.nth | EARLIER);
        self.taken.retain(|known| (known.call, known.nth) != before);
        for known in &mut self.taken {
            if (known.call, known.nth) == (taken.call, taken.nth) {
                known.nth |= EARLIER;
            }
        }
        self.taken.retain(|known| {
            (known.call, known.nth) != before
                || known.argument.is_some() && known.argument != taken.argument
        });
        self.taken.push(taken);
        self.taken.sort_by_key(|taken| (taken.call, taken.nth));
    }

    /// Whether a plain store may give back something that has been taken.
    pub(super) fn awaits_store(&self) -> bool {
        self.taken.iter().any(|taken| taken.by_store)
    }

    /// Whether a function that gets an address on the stack could change something there that names
    /// what has been taken.
    pub(super) fn may_lose(&self, offset: i64) -> bool {
        !self.taken.is_empty() && self.lendable(offset).next().is_some()
    }

    /// What lies on the stack from `offset` on up to the registers saved above.
    pub(super) fn lendable(&self, offset: i64) -> impl Iterator<Item = (i64, &Value)> {
        let saved = |value: &Value| matches!(value.base, Base::Entry(register) if value.offset == 0 && register.is_callee_saved());
        let above = self.stack.range(offset..).take_while(move |(_, value)| !saved(value));
        above.map(|(at, value)| (*at, value))
    }

    /// A function that was given an address on the stack may have written there: to all that lies
    /// between it and the registers saved above.
    pub(super) fn lend_stack(&mut self, offset: i64) {
        let gone: Vec<i64> = self.lendable(offset).map(|(at, _)| at).collect();
        for at in gone {
            self.stack.remove(&at);
        }
    }

    /// What a value of a function called from here is, in the names of this one; `self` is the
    /// state before the call. `None` for what the callee made itself.
    pub(super) fn translate(&self, value: &Value) -> Option<Value> {
        match &value.base {
            Base::Zero | Base::Error | Base::PerCpu => Some(value.clone()),
            Base::Entry(Register::Rsp) | Base::Made { .. } | Base::Joined { .. } => None,
            Base::Entry(register) => Some(self.register(*register)?.plus(value.offset)),
            Base::Loaded { ip, from } => {
                let from = self.translate(from)?;
                let known = from.on_stack().and_then(|offset| self.stack_slot(offset));
                Some(match known {
                    Some(known) => known.plus(value.offset),
                    // What lies there may have changed since: its address will tell.
                    None => from.load(*ip, Slot::Register(Register::Rax)).plus(value.offset),
                })
            }
        }
    }

    /// The instruction at `ip` is about to make new values, in the registers `written` and perhaps
    /// others. What it made in an earlier turn of a loop and is still somewhere is another value
    /// now, and gets another name.
    pub(super) fn forget_made_by(&mut self, ip: u64, written: &[Register]) {
        self.rename(
            ip,
            written,
            |base| match base {
                Base::Made { ip: by, .. } | Base::Loaded { ip: by, .. } => *by == ip,
                _ => false,
            },
            Value::made,
        );
    }

    /// Gives every value that mentions what `is` holds of the name of a slot that it is in: the
    /// same to all slots that hold the same, if one of them outlives the instruction.
    fn rename(
        &mut self,
        ip: u64,
        written: &[Register],
        is: impl Fn(&Base) -> bool,
        name: fn(u64, Slot) -> Value,
    ) {
        let held = || self.registers.iter().chain(self.stack.values());
        let remembered =
            || self.taken.iter().flat_map(|it| it.argument.iter().chain(it.maybe_names()));
        if !held().chain(remembered()).any(|value| value.mentions(&is)) {
            self.forget_given(&is);
            self.nonzero.retain(|value| !value.mentions(&is));
            self.writes.keep(|value| !value.mentions(&is));
            self.tested = self.tested.take().filter(|value| !value.mentions(&is));
            return;
        }
        let slots = self.slots();
        let renamed = |value: &Value| {
            let mut of_base = slots.iter().filter(|(_, holds)| holds.base == value.base);
            of_base
                .find(|(slot, _)| !written.iter().any(|it| *slot == Slot::Register(*it)))
                .map(|(slot, holds)| name(ip, *slot).plus(value.offset.wrapping_sub(holds.offset)))
        };
        let mut taken = std::mem::take(&mut self.taken);
        for taken in &mut taken {
            taken.argument = taken
                .argument
                .take()
                .and_then(|value| if value.mentions(&is) { renamed(&value) } else { Some(value) });
            for given in std::mem::take(&mut taken.maybe_given) {
                let name = |value: Value| {
                    if value.mentions(&is) { renamed(&value) } else { Some(value) }
                };
                match given.argument.and_then(name) {
                    Some(value) => {
                        taken.maybe_given.push(Given { argument: Some(value), ..given });
                    }
                    None => taken.always = false,
                }
            }
        }
        self.taken = taken;
        self.forget_given(&is);
        self.nonzero.retain(|value| !value.mentions(&is));
        self.writes.rename(|value| if value.mentions(&is) { renamed(&value) } else { Some(value) });
        for (value, register) in self.registers.iter_mut().zip(Register::ALL) {
            if value.mentions(&is) {
                *value = renamed(value).unwrap_or_else(|| name(ip, Slot::Register(register)));
            }
        }
        for (offset, value) in &mut self.stack {
            if value.mentions(&is) {
                *value = renamed(value).unwrap_or_else(|| name(ip, Slot::Stack(*offset)));
            }
        }
        self.tested = self.tested.take().filter(|value| !value.mentions(&is));
    }

    /// What was given back under a name that mentions what `is` holds of has no name any more.
    fn forget_given(&mut self, is: &impl Fn(&Base) -> bool) {
        for mut given in std::mem::take(&mut self.given) {
            given.argument = given.argument.filter(|value| !value.mentions(is));
            self.remember_given(given);
        }
    }

    /// All slots with what they hold, those first that calls do not change.
    fn slots(&self) -> Vec<(Slot, Value)> {
        let mut slots: Vec<(Slot, Value)> = Register::ALL
            .into_iter()
            .zip(&self.registers)
            .map(|(register, value)| (Slot::Register(register), value.clone()))
            .collect();
        slots.extend(self.stack.iter().map(|(at, value)| (Slot::Stack(*at), value.clone())));
        slots.sort_by_key(|(slot, _)| match slot {
            Slot::Register(register) => !register.is_callee_saved(),
            Slot::Stack(_) => false,
        });
        slots
    }

    /// A path comes back to `ip`, where values of several paths were joined. Slots that changed on
    /// the way are about to be joined anew; copies of what they held before are other values.
    fn coming_back_to(&self, ip: u64) -> State {
        let changed = |base: &Base| match base {
            Base::Joined { ip: at, slot } if *at == ip => {
                self.holds(*slot).is_none_or(|value| *value != Value::joined(ip, *slot))
            }
            _ => false,
        };
        let mut state = self.clone();
        state.rename(ip, &[], changed, Value::joined);
        state
    }

    /// What is known where this path and another meet at `ip`.
    pub(super) fn join(&self, other: &State, ip: u64) -> State {
        let other = &other.coming_back_to(ip);
        // Slots that hold the same on either path hold the same where they meet, so the first of
        // them names it for all.
        let mut met: Vec<(Value, Value, Value)> = Vec::new();
        let mut meet = |a: &Value, b: &Value, slot: Slot| {
            if a == b {
                return a.clone();
            }
            if stands_for_error(a) && stands_for_error(b) {
                return Value { base: Base::Error, offset: 0 };
            }
            for (known_a, known_b, name) in &met {
                let distance = a.offset.wrapping_sub(known_a.offset);
                if known_a.base == a.base
                    && known_b.base == b.base
                    && b.offset.wrapping_sub(known_b.offset) == distance
                {
                    return name.plus(distance);
                }
            }
            let same = Base::Joined { ip, slot };
            let name = if a.base == same { a.clone() } else { Value::joined(ip, slot) };
            met.push((a.clone(), b.clone(), name.clone()));
            name
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
        // Two names for one thing have one in common if a slot is as far from it on both paths.
        let common = |a: Option<&Value>, b: Option<&Value>| {
            let (a, b) = (a?, b?);
            if a == b {
                return Some(a.clone());
            }
            met.iter().find_map(|(in_a, in_b, name)| {
                let distance = a.offset.wrapping_sub(in_a.offset);
                let fits = in_a.base == a.base
                    && in_b.base == b.base
                    && b.offset.wrapping_sub(in_b.offset) == distance;
                fits.then(|| name.plus(distance))
            })
        };
        let mut taken = Vec::new();
        for a in &self.taken {
            match other.taken.iter().find(|b| a.is(b)) {
                Some(b) => {
                    let mut both = Taken {
                        argument: common(a.argument.as_ref(), b.argument.as_ref()),
                        always: a.always && b.always,
                        pending: a.pending.or(b.pending),
                        maybe_given: Vec::new(),
                        ..a.clone()
                    };
                    for given in met_given(&a.maybe_given, &b.maybe_given) {
                        both.doubt(&given);
                    }
                    taken.push(both);
                }
                None => taken.push(Taken { always: false, ..a.clone() }),
            }
        }
        for b in &other.taken {
            if !self.taken.iter().any(|a| a.is(b)) {
                taken.push(Taken { always: false, ..b.clone() });
            }
        }
        taken.sort_by_key(|taken| (taken.call, taken.nth));
        let nonzero =
            self.nonzero.iter().filter(|value| other.nonzero.contains(value)).cloned().collect();
        let zero = self.zero.iter().filter(|value| other.zero.contains(value)).cloned().collect();
        let writes = self.writes.join(&other.writes, |a, b| common(Some(a), Some(b)));
        let carry = self.carry.filter(|_| self.carry == other.carry);
        let given = Vec::new();
        let mut met =
            State { registers, stack, tested, carry, nonzero, zero, writes, given, taken };
        for given in met_given(&self.given, &other.given) {
            met.remember_given(given);
        }
        met
    }

    /// Whether two states have taken the same things: such are joined, others kept apart, so that
    /// what a function returns stays tied to what it took.
    pub(super) fn took_the_same(&self, other: &State) -> bool {
        let both = || self.taken.iter().zip(&other.taken);
        self.taken.len() == other.taken.len()
            && both().all(|(a, b)| a.pending == b.pending)
            && (both().all(|(a, b)| (a.call, a.nth) == (b.call, b.nth))
                || both().all(|(a, b)| a.is_same_thing(b)))
    }

    /// Whether a value is known to be zero (`true`), or not to be (`false`).
    pub(super) fn is_zero(&self, value: &Value) -> Option<bool> {
        match value.base {
            Base::Zero => Some(value.offset == 0),
            Base::Error if value.offset == 0 => Some(false),
            _ if self.nonzero.contains(value) => Some(false),
            _ => self.zero.contains(value).then_some(true),
        }
    }

    /// The state on a branch on which the tested value is zero, or is not; `None` where the value
    /// is known to be otherwise.
    pub(super) fn given_that(&self, zero: bool) -> Option<State> {
        let Some(value) = self.tested.clone() else { return Some(self.clone()) };
        if self.is_zero(&value).is_some_and(|known| known != zero) {
            return None;
        }
        let mut state = self.clone();
        if let Base::Made { ip, slot: Slot::Register(Register::Rax) } = value.base {
            state.returned(ip, value.offset, zero);
        }
        if zero {
            // What it is counted from is known now.
            let number = value.offset.wrapping_neg();
            let known = |held: &mut Value| {
                if held.base == value.base {
                    *held = Value::number(number.wrapping_add(held.offset));
                }
            };
            // Addresses on the stack and arguments keep their names: others are counted from them.
            if matches!(value.base, Base::Made { .. } | Base::Loaded { .. }) {
                state.registers.iter_mut().chain(state.stack.values_mut()).for_each(known);
            } else if state.zero.len() < NONZERO && !state.zero.contains(&value) {
                state.zero.push(value);
            }
        } else if state.nonzero.len() < NONZERO && !state.nonzero.contains(&value) {
            state.nonzero.push(value);
        }
        Some(state)
    }

    /// The state on a branch on which the tested value is a negative error number, or is not; `None`
    /// where the value is known to be otherwise. `counted` says how far from the value itself that
    /// is which the flags tell of.
    pub(super) fn given_error(&self, error: bool, counted: i64) -> Option<State> {
        let Some(value) = self.tested.as_ref().map(|tested| tested.plus(counted.wrapping_neg()))
        else {
            return Some(self.clone());
        };
        if stands_for_error(&value) && !error {
            return None;
        }
        // Of a number in 64 bits it is not known whether the flags tell of all of them.
        if value.base == Base::Zero
            && counted == 0
            && i32::try_from(value.offset).is_ok_and(|number| (number < 0) != error)
        {
            return None;
        }
        let mut state = self.clone();
        if let Base::Made { ip, slot: Slot::Register(Register::Rax) } = value.base
            && value.offset == 0
        {
            state.taken.retain_mut(|taken| match taken.pending {
                Some(When::Zero | When::NoError) if taken.call == ip => {
                    taken.pending = None;
                    !error
                }
                _ => true,
            });
        }
        Some(state)
    }

    /// The state on a branch on which the bit was set before (`carry`), so that it was not taken, or
    /// was not.
    pub(super) fn given_carry(&self, carry: bool) -> State {
        let mut state = self.clone();
        if let Some(ip) = self.carry {
            state.taken.retain_mut(|taken| {
                if taken.call == ip {
                    taken.pending = None;
                }
                taken.call != ip || !carry
            });
        }
        state
    }

    /// Whether the flags tell something of a call that may have taken something.
    pub(super) fn asks_for_taken(&self) -> bool {
        let Some(Base::Made { ip, .. }) = self.tested.as_ref().map(|tested| &tested.base) else {
            return false;
        };
        self.taken.iter().any(|taken| taken.pending.is_some() && taken.call == *ip)
    }

    /// What the call at `ip` returned has been compared with `-offset`, and found equal or not.
    fn returned(&mut self, ip: u64, offset: i64, equal: bool) {
        self.taken.retain_mut(|taken| match taken.pending {
            Some(when) if taken.call == ip => {
                let zero = match (offset, equal) {
                    (0, _) => equal,
                    // Equal to something else.
                    (_, true) => false,
                    // Not 1: of a function that returns 0 or 1 that is 0.
                    (-1, false) if when == When::NonZero => true,
                    (_, false) => return true,
                };
                // No error may be zero or not, but of an address it is not.
                if when == When::NoError && !zero {
                    return true;
                }
                taken.pending = None;
                match when {
                    When::NoError => !taken.is_made_by(ip),
                    when => (when == When::Zero) == zero,
                }
            }
            _ => true,
        });
    }
}
