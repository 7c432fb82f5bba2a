//! What a call of a function comes to: which things it returns with, and which it gave back.

use super::state::{Given, State, Taken, stands_for_error};
use super::value::{Base, Slot, Value};
use super::{Effect, Effects, Function, Moment, NoEffects, Of, Summary, Take, When, step};
use crate::dump::VirtAddr;
use crate::unwind::Register;
use iced_x86::{FlowControl, Instruction, Mnemonic, OpKind};
use std::sync::Arc;

/// More stores than this are not those of a function that only gives something back.
const STORES: usize = 32;

impl Function {
    /// What it has taken and given back when it returns; `None` when it cannot be followed or does
    /// not return.
    #[must_use]
    pub fn summary(&self, effects: &dyn Effects) -> Option<Summary> {
        self.summary_with(&[], effects)
    }

    /// The same where some arguments are these numbers.
    #[must_use]
    pub fn summary_with(
        &self,
        numbers: &[(Register, i64)],
        effects: &dyn Effects,
    ) -> Option<Summary> {
        let mut entry = State::entry();
        for (register, number) in numbers {
            entry.set(*register, Value::number(*number));
        }
        let ends = self.ends(entry, effects)?;
        if ends.is_empty() {
            return None;
        }
        let mut summary = Summary::default();
        for taken in ends.iter().flat_map(|end| &end.taken) {
            let Some(of) = name(&ends, taken, false) else { continue };
            let (when, always) = condition(&ends, taken, matches!(of, Of::Returned(_)));
            // Who asks what was returned has that at hand.
            let at_hand = (when != When::Always).then(|| name(&ends, taken, true)).flatten();
            let of = at_hand.unwrap_or(of);
            if summary.takes.iter().any(|take| take.class == taken.class && take.of == of) {
                continue;
            }
            summary.takes.push(Take {
                class: taken.class,
                of,
                when,
                always,
                by_store: taken.by_store,
            });
        }
        for given in ends.iter().flat_map(|end| &end.given) {
            let always = ends.iter().all(|end| {
                let mut same = end.given.iter().filter(|other| {
                    (other.class, &other.argument) == (given.class, &given.argument)
                });
                same.any(|other| other.always)
            });
            let argument = given.argument.clone().filter(is_callers);
            let given = Given { class: given.class, argument, always };
            if !summary.gives.contains(&given) {
                summary.gives.push(given);
            }
        }
        let writes = ends.iter().map(|end| end.writes.clone());
        summary.writes = writes
            .reduce(|a, b| a.join(&b, |a, b| (a == b).then(|| a.clone())))
            .unwrap_or_default();
        summary.writes.keep(is_callers);
        let asked = summary.takes.iter().any(|take| take.when != When::Always);
        let mut results = ends.iter().map(|end| end.register(Register::Rax));
        let result = results.next().flatten().filter(|it| !asked && is_entry(it));
        let same = result.is_some() && results.all(|other| other == result);
        summary.returns = result.filter(|_| same).cloned();
        Some(summary)
    }

    /// The states in which it returns to its caller; where its last act is to go on in another
    /// function, those in which that returns.
    fn ends(&self, entry: State, effects: &dyn Effects) -> Option<Vec<State>> {
        let mut ends = Vec::new();
        for (leader, variants) in self.settle_from(entry, effects)? {
            for state in variants {
                self.run(leader, state, effects, &mut |instruction, moment, state| {
                    if moment == Moment::After {
                        return;
                    }
                    if instruction.flow_control() == FlowControl::Return {
                        ends.push(state.clone());
                    } else if self.leaves(instruction) {
                        let mut state = state.clone();
                        let target = VirtAddr(instruction.near_branch_target());
                        if effects.of_call(target) == Effect::Return
                            || step::called(instruction.ip(), Some(target), &mut state, effects)
                        {
                            ends.push(state);
                        }
                    }
                });
            }
        }
        Some(ends)
    }

    /// What is known where it goes on in the function at `target` for good: nothing of its own is on
    /// the stack any more. `None` where no path that can be followed leads there.
    #[must_use]
    pub fn going_on(&self, target: VirtAddr, effects: &dyn Effects) -> Option<State> {
        let mut found: Option<State> = None;
        for (leader, variants) in self.settle(effects)? {
            for state in variants {
                self.run(leader, state, effects, &mut |instruction, moment, state| {
                    if moment == Moment::Before
                        && self.leaves(instruction)
                        && instruction.near_branch_target() == target.0
                    {
                        let known = found.take();
                        found = Some(match known {
                            None => state.clone(),
                            Some(known) => known.join(state, self.entry),
                        });
                    }
                });
            }
        }
        found.map(State::unwound)
    }

    /// Whether an instruction goes on in another function for good.
    fn leaves(&self, instruction: &Instruction) -> bool {
        instruction.flow_control() == FlowControl::UnconditionalBranch
            && instruction.op0_kind() == OpKind::NearBranch64
            && !self.leaders.contains(&instruction.near_branch_target())
    }

    /// Where it goes on for good in other functions.
    pub fn tail_calls(&self) -> impl Iterator<Item = VirtAddr> {
        let leaving = self.instructions.iter().filter(|instruction| self.leaves(instruction));
        leaving.map(|instruction| VirtAddr(instruction.near_branch_target()))
    }

    /// The addresses, in terms of its arguments, to which it stores in a way that gives back a
    /// lock: a byte of zero, or an addition.
    #[must_use]
    pub fn releasing_stores(&self) -> Arc<[Value]> {
        let mut stores = Vec::new();
        if !self.instructions.iter().any(may_release) {
            return Arc::new([]);
        }
        for (leader, variants) in self.settle(&NoEffects).unwrap_or_default() {
            for state in variants {
                self.run(leader, state, &NoEffects, &mut |instruction, moment, state| {
                    if moment == Moment::Before
                        && may_release(instruction)
                        && let Some(at) = step::address(instruction, state).filter(is_callers)
                        && stores.len() < STORES
                        && !stores.contains(&at)
                    {
                        stores.push(at);
                    }
                });
            }
        }
        stores.into()
    }
}

/// Whether it is of the shape in which unlocking is inlined: `mov byte [lock], 0`,
/// `lock xadd [lock], r`, `lock sub [lock], n`, `inc word [lock]`.
fn may_release(instruction: &Instruction) -> bool {
    if instruction.op0_kind() != OpKind::Memory || step::address_is_special(instruction) {
        return false;
    }
    match instruction.mnemonic() {
        Mnemonic::Mov => {
            instruction.memory_size().size() == 1
                && instruction.try_immediate(1).is_ok_and(|it| it == 0)
        }
        Mnemonic::Xadd | Mnemonic::Sub | Mnemonic::Add | Mnemonic::Inc | Mnemonic::Dec => {
            instruction.has_lock_prefix() || instruction.memory_size().size() <= 2
        }
        _ => false,
    }
}

/// What a thing taken is called by somebody who only knows what was passed to a function, what it
/// returned and what it left where it was told to; `result` asks for a name by the last two.
fn name(ends: &[State], taken: &Taken, result: bool) -> Option<Of> {
    let callers = || {
        let argument = taken.argument.clone().filter(is_callers);
        argument.filter(|_| !result).map(Of::Callers)
    };
    if taken.argument.as_ref().is_some_and(is_entry)
        && let Some(of) = callers()
    {
        return Some(of);
    }
    // What was read from memory may have changed there: what was returned of it has not.
    let same = |end: &&State| end.taken.iter().any(|other| is_same(other, taken));
    let returns = || ends.iter().filter(same).map(|end| returned(end, taken));
    let first = returns().find_map(|of| of);
    let always = first.is_some() && returns().all(|of| of == first);
    let written = || ends.iter().find_map(|end| written(end, taken));
    first.clone().filter(|_| always).or_else(written).or_else(callers).or(first)
}

/// The same in terms of what was returned.
fn returned(end: &State, taken: &Taken) -> Option<Of> {
    let argument = taken.argument.as_ref()?;
    let returned = end.register(Register::Rax)?;
    let has = end.taken.iter().any(|other| other.argument.as_ref() == Some(argument));
    (has && returned.base == argument.base && argument.base != Base::Zero)
        .then(|| Of::Returned(argument.offset.wrapping_sub(returned.offset)))
}

/// The same in terms of what was written.
fn written(end: &State, taken: &Taken) -> Option<Of> {
    let argument = taken.argument.as_ref()?;
    let has = end.taken.iter().any(|other| other.argument.as_ref() == Some(argument));
    let (at, distance) = end.writes.place_of(argument).filter(|_| has)?;
    Some(Of::Written(at, distance))
}

/// Whether it is counted from an argument.
fn is_entry(value: &Value) -> bool {
    matches!(value.base, Base::Entry(register) if register != Register::Rsp)
}

impl Summary {
    /// Whether anything of it depends on what is not known of its arguments.
    pub(super) fn depends(&self) -> bool {
        self.takes.iter().any(|take| !take.always) || self.gives.iter().any(|given| !given.always)
    }
}

/// Whether the caller can know a value too.
fn is_callers(value: &Value) -> bool {
    match &value.base {
        Base::Zero | Base::Error | Base::PerCpu => true,
        Base::Entry(register) => *register != Register::Rsp,
        Base::Loaded { from, .. } => is_callers(from),
        Base::Made { .. } | Base::Joined { .. } => false,
    }
}

/// Whether two ends have taken the same thing.
fn is_same(other: &Taken, taken: &Taken) -> bool {
    other.class == taken.class
        && ((other.call, other.nth) == (taken.call, taken.nth)
            || other.argument.is_some() && other.argument == taken.argument)
}

/// What is returned when something was taken, and whether it is certain then. `is_pointer` says
/// that it lies in what is returned.
fn condition(ends: &[State], taken: &Taken, is_pointer: bool) -> (When, bool) {
    let same = |other: &&Taken| is_same(other, taken);
    let mut always = true;
    let mut with = Vec::new();
    let mut without = Vec::new();
    // Whether all that is returned without it are error numbers (or no address), and none with it.
    let error = |end: &State| {
        let returned = end.register(Register::Rax);
        returned
            .is_some_and(|it| stands_for_error(it) || is_pointer && end.is_zero(it) == Some(true))
    };
    let told_by_error = ends.iter().all(|end| error(end) != end.taken.iter().any(|it| same(&it)));
    for end in ends {
        let zero = end.register(Register::Rax).and_then(|value| end.is_zero(value));
        match end.taken.iter().find(same) {
            Some(taken) => {
                always &= taken.always && taken.maybe_given.is_empty();
                // What the call returned has not been looked at: the caller may.
                let result = Value::made(taken.call, Slot::Register(Register::Rax));
                with.push(match taken.pending {
                    // What something lies in is somewhere.
                    None if is_pointer => Some(false),
                    None => zero,
                    Some(when) if end.register(Register::Rax) == Some(&result) => {
                        Some(when == When::Zero)
                    }
                    Some(_) => {
                        always = false;
                        None
                    }
                });
            }
            None => without.push(zero),
        }
    }
    let all = |of: &[Option<bool>], zero| of.iter().all(|known| *known == Some(zero));
    let pending = ends.iter().flat_map(|end| &end.taken).filter(same).any(|t| t.pending.is_some());
    if without.is_empty() && !pending {
        (When::Always, always)
    } else if all(&with, true) && all(&without, false) {
        (When::Zero, always)
    } else if all(&with, false) && all(&without, true) {
        (When::NonZero, always)
    } else if told_by_error && !pending {
        (When::NoError, always)
    } else {
        (When::Always, false)
    }
}
