//! What the code before an instruction did, found by following it.
//!
//! ORC tells where a frame begins and nothing of what is in it. But the machine code is in the
//! dump: following a function from its entry to the program counter of a frame, path by path,
//! tells where it put the registers that its caller wants back (so the caller's registers are
//! known too), what each register holds in terms of the function's arguments, and which calls on
//! the way took something (a lock) that no call since gave back.
//!
//! It is an abstract interpretation: values are symbolic ([`Value`]), states of paths that meet are
//! joined, loops run until nothing changes. What cannot be followed (an indirect jump into the
//! function) makes the answer `None`; what is not the same on all paths is marked as such.
//!
//! Calling convention: System V x86-64, as the kernel uses it. rbx, rbp, r12 to r15 survive a
//! call, the first argument is in rdi, the result in rax.

mod state;
mod step;
mod value;

pub use state::{State, Taken, When};
pub use value::{Base, Slot, Value};

use crate::dump::VirtAddr;
use iced_x86::{Code, Decoder, DecoderOptions, FlowControl, Instruction, OpKind};
use std::collections::{BTreeMap, BTreeSet};

/// Functions longer than this are not followed: no kernel function is.
pub const FUNCTION_LIMIT: usize = 256 * 1024;
/// Runs of straight code before it is given up: loops settle long before.
const RUNS_LIMIT: u32 = 20_000;

/// What a call means to whoever asks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Effect {
    /// It takes something, named by its first argument.
    Take {
        /// What, in the caller's own numbers.
        class: u16,
        /// What it returns if it took it.
        when: When,
        /// Whether compilers inline the giving back, as a store to the argument's address.
        by_store: bool,
    },
    /// It gives back what a call with the same first argument took.
    Give {
        /// What, in the caller's own numbers.
        class: u16,
    },
    /// It never returns.
    NoReturn,
    /// It means nothing.
    Nothing,
}

/// Tells what the functions called mean.
pub trait Effects: Sync {
    /// The meaning of a call of the function at `target`.
    fn of_call(&self, target: VirtAddr) -> Effect;
}

/// A caller to whom calls mean nothing.
pub struct NoEffects;

impl Effects for NoEffects {
    fn of_call(&self, _: VirtAddr) -> Effect {
        Effect::Nothing
    }
}

/// The machine code of one function, decoded.
pub struct Function {
    instructions: Vec<Instruction>,
    /// Where straight runs begin: the entry and every target of a jump.
    leaders: BTreeSet<u64>,
    entry: u64,
}

/// The instructions in `code`, which lies at `at`. Bytes that are none become invalid instructions.
#[must_use]
pub fn decode(code: &[u8], at: VirtAddr) -> Vec<Instruction> {
    Decoder::with_ip(64, code, at.0, DecoderOptions::NONE).into_iter().collect()
}

/// Before or after an instruction.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Moment {
    Before,
    After,
}

/// What is known at a frame's program counter.
#[derive(Clone, Debug)]
pub struct Passage {
    /// Just before the instruction at which the frame is: the call it made, with its arguments,
    /// or the interrupted instruction.
    pub before: State,
    /// Just after the call, as the function would go on; the same as `before` where there is none.
    pub after: State,
}

impl Function {
    /// Decodes the function whose code, `code`, lies at `entry`.
    #[must_use]
    pub fn decode(code: &[u8], entry: VirtAddr) -> Function {
        let instructions = decode(code, entry);
        let end = entry.0.saturating_add(u64::try_from(code.len()).unwrap_or(u64::MAX));
        let mut leaders = BTreeSet::from([entry.0]);
        for instruction in &instructions {
            if step::jumps(instruction)
                && (entry.0..end).contains(&instruction.near_branch_target())
            {
                leaders.insert(instruction.near_branch_target());
            }
        }
        Function { instructions, leaders, entry: entry.0 }
    }

    /// The instructions, in order of their addresses.
    #[must_use]
    pub fn instructions(&self) -> &[Instruction] {
        &self.instructions
    }

    /// The functions that it calls directly.
    pub fn calls(&self) -> impl Iterator<Item = VirtAddr> {
        self.instructions
            .iter()
            .filter(|instruction| {
                step::calls(instruction) && instruction.op0_kind() == OpKind::NearBranch64
            })
            .map(|instruction| VirtAddr(instruction.near_branch_target()))
    }

    fn before(&self, pc: VirtAddr) -> Option<&Instruction> {
        let after = self.instructions.partition_point(|instruction| instruction.ip() < pc.0);
        self.instructions.get(after.checked_sub(1)?)
    }

    /// The address of the instruction before `pc`.
    #[must_use]
    pub fn instruction_before(&self, pc: VirtAddr) -> Option<u64> {
        self.before(pc).map(Instruction::ip)
    }

    /// The target of the direct call that returns to `pc`.
    #[must_use]
    pub fn call_before(&self, pc: VirtAddr) -> Option<VirtAddr> {
        let call = self.before(pc)?;
        let direct = step::calls(call) && call.op0_kind() == OpKind::NearBranch64;
        (direct && call.next_ip() == pc.0).then(|| VirtAddr(call.near_branch_target()))
    }

    /// What is known at `pc`: a return address when `after_call`, else the very instruction.
    /// `None` when no path that can be followed leads there.
    #[must_use]
    pub fn at(&self, pc: VirtAddr, after_call: bool, effects: &dyn Effects) -> Option<Passage> {
        let mut states = self.settle(effects)?;
        for (leader, state) in &mut states {
            let (mut before, mut after) = (None, None);
            self.run(*leader, state.clone(), effects, &mut |instruction, moment, state| {
                let here = if after_call {
                    instruction.next_ip() == pc.0 && step::calls(instruction)
                } else {
                    instruction.ip() == pc.0
                };
                match moment {
                    Moment::Before if here => before = Some(state.clone()),
                    Moment::After if here && after_call => after = Some(state.clone()),
                    _ => {}
                }
            });
            if let Some(before) = before {
                let after = after.unwrap_or_else(|| before.clone());
                return Some(Passage { before, after });
            }
        }
        None
    }

    /// What has been taken when the function returns, joined over all its returns; `None` when it
    /// does not return or cannot be followed.
    #[must_use]
    pub fn at_return(&self, effects: &dyn Effects) -> Option<State> {
        let states = self.settle(effects)?;
        let mut end: Option<State> = None;
        for (leader, state) in states {
            self.run(leader, state, effects, &mut |instruction, moment, state| {
                if moment == Moment::Before && instruction.flow_control() == FlowControl::Return {
                    end = Some(match &end {
                        None => state.clone(),
                        Some(other) => other.join(state, self.entry),
                    });
                }
            });
        }
        end
    }

    /// The state at every leader, once nothing changes any more.
    fn settle(&self, effects: &dyn Effects) -> Option<BTreeMap<u64, State>> {
        let mut states = BTreeMap::from([(self.entry, State::entry())]);
        let mut todo = BTreeSet::from([self.entry]);
        let mut runs = 0;
        while let Some(leader) = todo.pop_first() {
            runs += 1;
            if runs > RUNS_LIMIT {
                return None;
            }
            let state = states.get(&leader)?.clone();
            for (target, state) in self.run(leader, state, effects, &mut |_, _, _| {}) {
                let joined = match states.get(&target) {
                    Some(known) => known.join(&state, target),
                    None => state,
                };
                if states.get(&target) != Some(&joined) {
                    states.insert(target, joined);
                    todo.insert(target);
                }
            }
        }
        Some(states)
    }

    /// Follows straight code from a leader to its end, showing the state before and after every
    /// instruction; gives the leaders that it leads to and the state on the way there.
    fn run(
        &self,
        leader: u64,
        mut state: State,
        effects: &dyn Effects,
        see: &mut dyn FnMut(&Instruction, Moment, &State),
    ) -> Vec<(u64, State)> {
        let first = self.instructions.partition_point(|instruction| instruction.ip() < leader);
        let mut onward = Vec::new();
        for instruction in self.instructions.get(first..).unwrap_or_default() {
            let ip = instruction.ip();
            if ip != leader && self.leaders.contains(&ip) {
                onward.push((ip, state));
                return onward;
            }
            see(instruction, Moment::Before, &state);
            let goes_on = step::step(instruction, &mut state, effects);
            see(instruction, Moment::After, &state);
            if step::jumps(instruction) {
                let target = instruction.near_branch_target();
                let (taken, not_taken) = step::branches(instruction, &state);
                if self.leaders.contains(&target) {
                    onward.push((target, taken));
                }
                state = not_taken;
            }
            if !goes_on {
                return onward;
            }
        }
        onward
    }
}

/// Whether bytes before a return address are a call: what a scan for return addresses asks.
#[must_use]
pub fn ends_in_call(code: &[u8], at: VirtAddr) -> bool {
    let mut decoder = Decoder::with_ip(64, code, at.0, DecoderOptions::NONE);
    let end = at.0.saturating_add(u64::try_from(code.len()).unwrap_or(0));
    let instruction = decoder.decode();
    instruction.code() != Code::INVALID && instruction.next_ip() == end && step::calls(&instruction)
}

#[cfg(test)]
mod tests;
