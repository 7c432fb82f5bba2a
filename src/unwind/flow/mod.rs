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
//! A function that takes something and returns with it (a `get`) or gives back what its caller took
//! (a `put`) has its own [`Summary`], made in the same way. For that the paths on which a function
//! took different things are not joined: so it stays known which of its return values mean what.
//!
//! Calling convention: System V x86-64, as the kernel uses it. rbx, rbp, r12 to r15 survive a
//! call, the first argument is in rdi, the result in rax.

mod state;
mod step;
mod summary;
mod value;
mod writes;

pub use state::{Given, State, Taken, When};
pub use step::general_register;
pub use value::{Base, Slot, Value};
pub use writes::Writes;

use crate::dump::VirtAddr;
use crate::unwind::Register;
use iced_x86::{Code, Decoder, DecoderOptions, Instruction, Mnemonic, OpKind};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Functions longer than this are not followed: no kernel function is.
pub const FUNCTION_LIMIT: usize = 256 * 1024;
/// Runs of straight code before it is given up: what settles does so in 2,300 runs at most, in the
/// kernels looked at, and the one function that does not takes a third of a second for 20,000.
const RUNS_LIMIT: u32 = 5_000;
/// At most this many states of one place are kept apart by what was taken on the way.
const VARIANTS: usize = 6;

/// The states of a place, apart by what was taken on the way there.
type Variants = Vec<State>;

/// What a call means to whoever asks.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Effect {
    /// It takes something, named by an argument.
    Take {
        /// What, in the caller's own numbers.
        class: u16,
        /// What it returns if it took it.
        when: When,
        /// Whether compilers inline the giving back, as a store to the argument's address.
        by_store: bool,
        /// The register that names it: not the first argument's for code that inline assembly calls.
        by: Register,
    },
    /// It gives back what a call with the same first argument took.
    Give {
        /// What, in the caller's own numbers.
        class: u16,
    },
    /// It gives back one thing and takes another with the same argument (a writer that becomes a
    /// reader).
    Turn {
        /// What it gives back.
        from: u16,
        /// What it takes.
        to: u16,
    },
    /// It calls others that take and give back, and returns with this difference.
    Several(Arc<Summary>),
    /// It goes on where this register points to, and returns from there: how kernels call through
    /// pointers where the processor's own way is not safe.
    Through(Register),
    /// It is what some kernels return through, by a jump.
    Return,
    /// It never returns.
    NoReturn,
    /// It means nothing.
    Nothing,
}

/// What a function has taken and given back when it returns.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Summary {
    /// What it took.
    pub takes: Vec<Take>,
    /// What it gave back that it had not taken, named in terms of its own arguments, where that can
    /// be said.
    pub gives: Vec<Given>,
    /// What it wrote through the pointers that it was given.
    pub writes: Writes,
    /// What it returns, in terms of its arguments, if that is one thing on every path.
    pub returns: Option<Value>,
}

/// Something that a function returns with.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Take {
    /// What, in the caller's own numbers.
    pub class: u16,
    /// Which one.
    pub of: Of,
    /// What it returns if it took it.
    pub when: When,
    /// Whether it is certain then.
    pub always: bool,
    /// Whether a store gives it back.
    pub by_store: bool,
}

/// Which thing a function took.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Of {
    /// In terms of its arguments.
    Callers(Value),
    /// At this distance from what it returned.
    Returned(i64),
    /// At this distance from what it wrote to an address, in terms of its arguments.
    Written(Value, i64),
}

/// Tells what the functions called mean.
pub trait Effects: Sync {
    /// The meaning of a call of the function at `target`.
    fn of_call(&self, target: VirtAddr) -> Effect;

    /// The addresses, in terms of its arguments, to which the function at `target` stores in a way
    /// that may give something back.
    fn stores_of(&self, target: VirtAddr) -> Arc<[Value]> {
        let _ = target;
        Arc::new([])
    }

    /// What the function at `target` writes through the pointers that it is given, if that can be
    /// told.
    fn writes_of(&self, target: VirtAddr) -> Option<Arc<Writes>> {
        let _ = target;
        None
    }

    /// Whether it is asked what the code that is followed writes through its own arguments.
    fn sums_up(&self) -> bool {
        false
    }

    /// The same as `of_call`, where some arguments are known to be these numbers.
    fn of_call_with(&self, target: VirtAddr, numbers: &[(Register, i64)]) -> Effect {
        let _ = numbers;
        self.of_call(target)
    }

    /// Where the pointer leads through which the instruction at `ip` calls, if that is known.
    fn of_pointer(&self, ip: u64, pointer: &Value) -> Option<VirtAddr> {
        let _ = (ip, pointer);
        None
    }

    /// What setting this bit of a word takes, if it was not set before: its class. The word's address
    /// names it.
    fn of_bit(&self, bit: u64) -> Option<u16> {
        let _ = bit;
        None
    }

    /// What counting up through the per-CPU pointer at `from` takes: its class and argument.
    fn of_count(&self, from: &Value) -> Option<(u16, Value)> {
        let _ = from;
        None
    }
}

/// A caller to whom calls mean nothing.
pub struct NoEffects;

impl Effects for NoEffects {
    fn of_call(&self, _: VirtAddr) -> Effect {
        Effect::Nothing
    }
}

/// The machine code of one function, decoded.
#[derive(Clone)]
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
        Function::of(decode(code, entry), entry)
    }

    /// The same function with a part of it that compilers put elsewhere: what is seldom run.
    #[must_use]
    pub fn with_part(&self, code: &[u8], at: VirtAddr) -> Function {
        let mut instructions = self.instructions.clone();
        instructions.extend(decode(code, at));
        instructions.sort_by_key(Instruction::ip);
        Function::of(instructions, VirtAddr(self.entry))
    }

    fn of(instructions: Vec<Instruction>, entry: VirtAddr) -> Function {
        let mut leaders = BTreeSet::from([entry.0]);
        let places: BTreeSet<u64> = instructions.iter().map(Instruction::ip).collect();
        for instruction in &instructions {
            if step::jumps(instruction) && places.contains(&instruction.near_branch_target()) {
                leaders.insert(instruction.near_branch_target());
            }
            if step::chooses(instruction) {
                leaders.insert(instruction.next_ip());
            }
        }
        Function { instructions, leaders, entry: entry.0 }
    }

    /// The instructions, in order of their addresses.
    #[must_use]
    pub fn instructions(&self) -> &[Instruction] {
        &self.instructions
    }

    /// Where it begins.
    #[must_use]
    pub fn entry(&self) -> VirtAddr {
        VirtAddr(self.entry)
    }

    /// Whether the instruction at `at` is its own.
    #[must_use]
    pub fn covers(&self, at: VirtAddr) -> bool {
        self.instructions.binary_search_by_key(&at.0, Instruction::ip).is_ok()
    }

    /// Where it jumps to that is not its own code.
    pub fn jumps_out(&self) -> impl Iterator<Item = VirtAddr> {
        let targets = self.instructions.iter().filter(|it| step::jumps(it));
        let targets = targets.map(Instruction::near_branch_target);
        targets.filter(|target| !self.leaders.contains(target)).map(VirtAddr)
    }

    /// Whether `at` is its first instruction.
    #[must_use]
    pub fn begins_at(&self, at: VirtAddr) -> bool {
        self.entry == at.0
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

    /// Whether it calls anything but fixed addresses; `through` tells which fixed ones only go on
    /// where a register points to.
    pub fn calls_by_pointer(&self, through: impl Fn(VirtAddr) -> bool) -> bool {
        self.instructions.iter().any(|it| {
            step::calls(it)
                && (it.op0_kind() != OpKind::NearBranch64
                    || through(VirtAddr(it.near_branch_target())))
        })
    }

    /// The calls through pointers on the way to `pc`, a return address, but for the last: where they
    /// are, and the pointers.
    #[must_use]
    pub fn pointers(&self, pc: VirtAddr, effects: &dyn Effects) -> Vec<(u64, Value)> {
        let Some(here) = self.before(pc).map(Instruction::ip) else { return Vec::new() };
        let states = self.settle(effects).unwrap_or_default();
        let Some((&last, _)) = states.range(..=here).next_back() else { return Vec::new() };
        let mut found: Vec<(u64, u64, Value)> = Vec::new();
        let mut ways: Vec<(u64, u64)> = Vec::new();
        for (&leader, variants) in &states {
            for state in variants {
                let onward =
                    self.run(leader, state.clone(), effects, &mut |instruction, moment, state| {
                        let ip = instruction.ip();
                        if moment == Moment::Before
                            && ip != here
                            && let Some(pointer) = step::pointer(instruction, state, effects)
                        {
                            found.push((leader, ip, pointer));
                        }
                    });
                ways.extend(onward.into_iter().map(|(target, _)| (leader, target)));
            }
        }
        // From where `pc` can be reached.
        let mut before = BTreeSet::new();
        let mut todo = vec![last];
        while let Some(at) = todo.pop() {
            for (from, to) in &ways {
                if *to == at && before.insert(*from) {
                    todo.push(*from);
                }
            }
        }
        let mut pointers: Vec<(u64, Value)> = Vec::new();
        for (leader, ip, pointer) in found {
            let earlier = before.contains(&leader) || leader == last && ip < here;
            if earlier && !pointers.contains(&(ip, pointer.clone())) {
                pointers.push((ip, pointer));
            }
        }
        pointers
    }

    /// Whether it sets bits of memory at once with looking at them.
    #[must_use]
    pub fn sets_bits(&self) -> bool {
        let sets = |it: &Instruction| it.mnemonic() == Mnemonic::Bts && it.has_lock_prefix();
        self.instructions.iter().any(sets)
    }

    /// Whether it counts anything of its CPU's through a pointer.
    #[must_use]
    pub fn counts(&self) -> bool {
        self.instructions.iter().any(step::counts)
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
        let ip = if after_call { self.before(pc)?.ip() } else { pc.0 };
        let here = |instruction: &Instruction| {
            instruction.ip() == ip
                && (!after_call || instruction.next_ip() == pc.0 && step::calls(instruction))
        };
        let states = self.settle(effects)?;
        let (leader, variants) = states.range(..=ip).next_back()?;
        let mut found: Option<Passage> = None;
        for state in variants {
            let (mut before, mut after) = (None, None);
            self.run(
                *leader,
                state.clone(),
                effects,
                &mut |instruction, moment, state| match moment {
                    Moment::Before if here(instruction) => before = Some(state.clone()),
                    Moment::After if after_call && here(instruction) => after = Some(state.clone()),
                    _ => {}
                },
            );
            let Some(before) = before else { continue };
            let after = after.unwrap_or_else(|| before.clone());
            found = Some(match found {
                None => Passage { before, after },
                Some(known) => Passage {
                    before: known.before.join(&before, pc.0),
                    after: known.after.join(&after, pc.0),
                },
            });
        }
        found
    }

    /// The states at every leader, once nothing changes any more.
    fn settle(&self, effects: &dyn Effects) -> Option<BTreeMap<u64, Variants>> {
        self.settle_from(State::entry(), effects)
    }

    fn settle_from(&self, entry: State, effects: &dyn Effects) -> Option<BTreeMap<u64, Variants>> {
        let mut states = BTreeMap::from([(self.entry, vec![entry])]);
        let mut todo = BTreeSet::from([self.entry]);
        let mut runs = 0;
        while let Some(leader) = todo.pop_first() {
            for state in states.get(&leader).cloned().unwrap_or_default() {
                runs += 1;
                if runs > RUNS_LIMIT {
                    return None;
                }
                for (target, state) in self.run(leader, state, effects, &mut |_, _, _| {}) {
                    if arrive(states.entry(target).or_default(), &state, target) {
                        todo.insert(target);
                    }
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
        let mut next = leader;
        for instruction in self.instructions.get(first..).unwrap_or_default() {
            let ip = instruction.ip();
            // What lies behind a part of the function is another.
            if ip != next {
                return onward;
            }
            next = instruction.next_ip();
            if ip != leader && self.leaders.contains(&ip) {
                onward.push((ip, state));
                return onward;
            }
            see(instruction, Moment::Before, &state);
            if let Some(chosen) = step::chosen(instruction, &state) {
                let next = instruction.next_ip();
                onward.extend(chosen.into_iter().flatten().map(|state| (next, state)));
                return onward;
            }
            let goes_on = step::step(instruction, &mut state, effects);
            see(instruction, Moment::After, &state);
            if step::jumps(instruction) {
                let target = instruction.near_branch_target();
                let (taken, not_taken) = step::branches(instruction, &state);
                if let Some(taken) = taken.filter(|_| self.leaders.contains(&target)) {
                    onward.push((target, taken));
                }
                let Some(not_taken) = not_taken else { return onward };
                state = not_taken;
            }
            if !goes_on {
                return onward;
            }
        }
        onward
    }
}

/// A path arrives at `target`; whether that is new there.
fn arrive(variants: &mut Variants, state: &State, target: u64) -> bool {
    let like = variants.iter().position(|known| known.took_the_same(state));
    let place = match like {
        Some(place) => place,
        None if variants.len() < VARIANTS => {
            variants.push(state.clone());
            return true;
        }
        None => VARIANTS - 1,
    };
    let Some(known) = variants.get_mut(place) else { return false };
    let joined = known.join(state, target);
    let new = *known != joined;
    if new {
        *known = joined;
    }
    new
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
mod flags_tests;
#[cfg(test)]
mod lent_tests;
#[cfg(test)]
mod shapes_tests;
#[cfg(test)]
mod tests;
