//! The registers of every frame of a stack, and what values meant in it.
//!
//! Unwinding restores the stack pointer alone. Here each function of a trace is followed to its
//! frame ([`crate::unwind::flow`]), which tells where it saved its caller's rbx, rbp and r12 to
//! r15; so frame by frame the registers become known, and with them the symbolic values that the
//! code computed. A frame where code and unwind tables disagree about the stack is left out.
//!
//! A function whose last act is a call jumps there, and its frame is gone: the caller called another
//! function than the one that the stack shows. Such functions are followed to that jump, and have a
//! [`Place`] between the frames.

use super::api;
use super::calls::{Cache, Calls, Pointed};
use super::steps::{Step, Steps};
use crate::dump::VirtAddr;
use crate::kernel::{Session, Task};
use crate::unwind::flow::{Base, Effect, Effects, Function, Passage, State, Value};
use crate::unwind::{Frame, FrameKind, Register, Registers, Trace};
use foldhash::HashMap;
use std::sync::Arc;

/// Registers that a function gives back to its caller as they were.
const CALLEE_SAVED: [Register; 6] =
    [Register::Rbx, Register::Rbp, Register::R12, Register::R13, Register::R14, Register::R15];

/// Registers in which a function is given its arguments.
const PASSED: [Register; 6] =
    [Register::Rdi, Register::Rsi, Register::Rdx, Register::Rcx, Register::R8, Register::R9];

/// Values that lead to values are followed this deep.
const DEEP: u32 = 6;

/// The code of the dump, followed as far as anybody asked.
pub(super) struct Code<'s> {
    session: &'s Session,
    calls: Calls<'s>,
    /// Where the per-CPU area keeps the current task.
    current: Option<VirtAddr>,
    passages: Cache<(VirtAddr, bool), Option<Arc<Passage>>>,
    jumps: Cache<(VirtAddr, VirtAddr), Arc<[Jump]>>,
    pointers: Cache<VirtAddr, Arc<[(u64, Value)]>>,
    /// The same as `passages` where calls through pointers lead to these functions.
    pointed: Cache<(VirtAddr, Targets), Option<Arc<Passage>>>,
}

/// Where calls through pointers lead, by where they are.
type Targets = Box<[(u64, VirtAddr)]>;

/// Functions jump to others that jump to others this often.
const JUMPS: u32 = 3;

/// A function that went on in another for good.
#[derive(Clone)]
pub(super) struct Jump {
    /// Where it begins.
    pub(super) function: VirtAddr,
    passage: Arc<Passage>,
}

impl<'s> Code<'s> {
    pub(super) fn new(session: &'s Session) -> Code<'s> {
        // `current_task`, but from 6.2 to 6.14, where it was the first member of `pcpu_hot`.
        let symbols = session.symbols();
        let current = symbols.address("pcpu_hot").or_else(|| symbols.address("current_task"));
        Code {
            session,
            calls: Calls::new(session),
            current,
            passages: Cache::new(),
            jumps: Cache::new(),
            pointers: Cache::new(),
            pointed: Cache::new(),
        }
    }

    /// What a call of the function at `target` means.
    pub(super) fn effect(&self, target: VirtAddr) -> Effect {
        self.calls.of_call(target)
    }

    /// The name of the function that covers `at`; "" where none is known.
    pub(super) fn name(&self, at: VirtAddr) -> &'s str {
        self.session.symbolize(at).map_or("", |found| found.symbol.name)
    }

    /// The function that covers `at`, decoded.
    pub(super) fn function(&self, at: VirtAddr) -> Option<Arc<Function>> {
        self.calls.function(at)
    }

    /// Where the function begins that covers `at`.
    pub(super) fn entry(&self, at: VirtAddr) -> Option<VirtAddr> {
        let followed = self.function(at).map(|function| function.entry());
        followed.or_else(|| Some(self.session.symbols().bounds(at)?.0))
    }

    /// Where the call is that a frame is in.
    pub(super) fn call_before(&self, frame: &Frame) -> Option<u64> {
        if frame.kind != FrameKind::Call {
            return None;
        }
        self.function(frame.lookup_pc())?.instruction_before(frame.pc)
    }

    /// The calls through pointers that lie on the way to a frame, with the pointers.
    pub(super) fn pointers(&self, frame: &Frame) -> Arc<[(u64, Value)]> {
        self.pointers.get(frame.pc, || {
            let function = self.function(frame.lookup_pc());
            let by_pointer =
                function.filter(|_| frame.kind == FrameKind::Call && self.may_point(frame));
            by_pointer.map_or_else(
                || Arc::new([]) as Arc<[(u64, Value)]>,
                |function| function.pointers(frame.pc, &self.calls).into(),
            )
        })
    }

    fn may_point(&self, frame: &Frame) -> bool {
        let through = |at| self.calls.goes_through_pointer(at);
        let function = self.function(frame.lookup_pc());
        function.is_some_and(|function| function.calls_by_pointer(through))
    }

    /// Whether calls through pointers lie on the way to a frame.
    pub(super) fn may_take_by_pointer(&self, frame: &Frame) -> bool {
        !self.pointers(frame).is_empty()
    }

    /// The functions that a call in frame `outer` went through by jumps before it came to that of
    /// `inner`, the last first.
    pub(super) fn jumps(&self, inner: &Frame, outer: &Frame) -> Arc<[Jump]> {
        if outer.kind != FrameKind::Call {
            return Arc::new([]);
        }
        self.jumps.get((inner.lookup_pc(), outer.pc), || {
            let called = self.function(outer.lookup_pc()).and_then(|it| it.call_before(outer.pc));
            let entry = self.entry(inner.lookup_pc());
            let mut found = Vec::new();
            if let Some((called, entry)) = called.zip(entry)
                && called != entry
            {
                self.find_jumps(called, entry, JUMPS, &mut found);
            }
            found.into()
        })
    }

    /// Whether the function that begins at `from` comes to `to` by at most `deep` jumps: those.
    fn find_jumps(&self, from: VirtAddr, to: VirtAddr, deep: u32, found: &mut Vec<Jump>) -> bool {
        let Some(deep) = deep.checked_sub(1) else { return false };
        let Some(function) = self.function(from).filter(|it| it.begins_at(from)) else {
            return false;
        };
        let mut next: Vec<VirtAddr> = function.tail_calls().collect();
        next.sort_by_key(|target| (*target != to, *target));
        next.dedup();
        for target in next {
            if target != to && !self.find_jumps(target, to, deep, found) {
                continue;
            }
            let Some(state) = function.going_on(target, &self.calls) else { return false };
            let passage = Arc::new(Passage { before: state.clone(), after: state });
            found.push(Jump { function: from, passage });
            return true;
        }
        false
    }

    /// What is known at a frame.
    pub(super) fn passage(&self, frame: &Frame) -> Option<Arc<Passage>> {
        let after_call = frame.kind == FrameKind::Call;
        self.passages.get((frame.pc, after_call), || {
            let function = self.function(frame.lookup_pc())?;
            function.at(frame.pc, after_call, &self.calls).map(Arc::new)
        })
    }

    /// The same where calls through pointers lead to these functions.
    fn pointed(&self, frame: &Frame, targets: HashMap<u64, VirtAddr>) -> Option<Arc<Passage>> {
        let mut key: Targets = targets.iter().map(|(ip, target)| (*ip, *target)).collect();
        key.sort_unstable();
        // Only calls leave pointers, so how the frame came to be is part of no key.
        self.pointed.get((frame.pc, key), || {
            let effects = Pointed { calls: &self.calls, targets };
            let function = self.function(frame.lookup_pc())?;
            let after_call = frame.kind == FrameKind::Call;
            function.at(frame.pc, after_call, &effects).map(Arc::new)
        })
    }
}

/// Whether the locks that a function took are still those of its task: one that was switched off
/// keeps none of those with which it was.
pub(super) fn may_hold(code: &Code<'_>, at: VirtAddr, active: bool) -> bool {
    active || !api::is_switching(code.name(at))
}

/// One frame whose code was followed.
pub(super) struct Known {
    pub(super) passage: Arc<Passage>,
    /// What the registers hold in it.
    registers: Registers,
    /// The stack pointer at its function's entry.
    entry_sp: VirtAddr,
}

/// A frame of a trace, or a function that is between it and its caller without a frame.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(super) struct Place {
    /// Index of the frame.
    pub(super) frame: usize,
    /// 0 for the frame's own function, 1 for the one that jumped there, and so on.
    pub(super) jump: usize,
}

/// The frames of a trace, as far as they could be followed.
pub(super) struct Stack<'c, 's> {
    code: &'c Code<'s>,
    /// Whose stack it is.
    task: VirtAddr,
    frames: Vec<Option<Known>>,
    /// Of each frame the functions that jumped to its function, the last first.
    jumped: Vec<Vec<(VirtAddr, Known)>>,
    /// What their code says, whatever the task.
    steps: Vec<&'c Step>,
}

/// A symbolic value made concrete.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Concrete {
    pub(super) value: u64,
    /// Whether memory was read for it that may have changed since the code read it.
    pub(super) reread: bool,
}

impl<'c, 's> Stack<'c, 's> {
    /// Follows the first `depth` frames of a task's trace, whose steps these are.
    pub(super) fn follow(
        code: &'c Code<'s>,
        task: &Task,
        trace: &Trace,
        steps: &'c Steps,
        depth: usize,
    ) -> Stack<'c, 's> {
        let memory = code.session.memory();
        let depth = depth.min(trace.frames.len());
        let steps: Vec<&Step> =
            (0..depth).map_while(|index| steps.get(code, trace, index)).collect();
        let mut frames = Vec::with_capacity(depth);
        let mut carried = Registers::default();
        for (index, (frame, step)) in trace.frames.iter().zip(&steps).enumerate() {
            let mut registers = std::mem::take(&mut carried);
            for (register, value) in frame.registers.iter() {
                registers.set(register, Some(value));
            }
            let caller = trace.frames.get(index + 1);
            let known = caller.filter(|_| frame.reliable).and_then(|caller| {
                let passage = step.passage(code, frame)?;
                // The entry's stack pointer is where the return address lies; an interrupted
                // frame was entered by nobody's call, and its own function's entry is unknown.
                let entry_sp = caller.sp.checked_sub(8)?;
                agrees(&passage.after, &registers, entry_sp, frame.sp)
                    .then(|| (Arc::clone(passage), entry_sp))
            });
            let Some((passage, entry_sp)) = known else {
                frames.push(None);
                continue;
            };
            for register in CALLEE_SAVED {
                carried
                    .set(register, saved(&passage.after, &registers, entry_sp, memory, register));
            }
            frames.push(Some(Known { passage, registers, entry_sp }));
        }
        let jumped = (0..frames.len())
            .map(|index| {
                let Some((step, outer)) = steps.get(index).zip(trace.frames.get(index + 1)) else {
                    return Vec::new();
                };
                let Some(entry_sp) = outer.sp.checked_sub(8) else { return Vec::new() };
                // What the caller's registers held, they held when the jump was made.
                let kept = |register| {
                    let caller: &Known = frames.get(index + 1)?.as_ref()?;
                    caller.registers.get(register)
                };
                let known = |jump: &Jump| {
                    let mut registers = Registers::default();
                    for register in CALLEE_SAVED {
                        registers.set(register, kept(register));
                    }
                    let passage = Arc::clone(&jump.passage);
                    (jump.function, Known { passage, registers, entry_sp })
                };
                step.jumps.iter().map(known).collect()
            })
            .collect();
        let mut stack = Stack { code, task: task.at, frames, jumped, steps };
        stack.follow_pointers(trace, task.active);
        stack
    }

    /// Follows the frames anew that called functions which matter through pointers: where these lead
    /// is seen once the registers are known.
    fn follow_pointers(&mut self, trace: &Trace, active: bool) {
        let steps = self.steps.clone();
        for (index, (frame, step)) in trace.frames.iter().zip(steps).enumerate() {
            let pointers = &step.pointers;
            if pointers.is_empty() || self.frame(index).is_none() || step.switches && !active {
                continue;
            }
            let mut targets = HashMap::default();
            let mut matters = false;
            for (ip, pointer) in pointers.iter() {
                let Some(found) = self.concrete(index, pointer) else { continue };
                let target = VirtAddr(found.value);
                matters |= !matches!(self.code.effect(target), Effect::Nothing);
                if targets.insert(*ip, target).is_some_and(|other| other != target) {
                    // It led to different functions.
                    matters = false;
                    break;
                }
            }
            let all = pointers.iter().all(|(ip, _)| targets.contains_key(ip));
            if !matters || !all {
                continue;
            }
            let passage = self.code.pointed(frame, targets);
            if let (Some(passage), Some(Some(known))) = (passage, self.frames.get_mut(index)) {
                known.passage = passage;
            }
        }
    }

    /// What is known of a frame.
    fn frame(&self, index: usize) -> Option<&Known> {
        self.known(Place { frame: index, jump: 0 })
    }

    /// All places up to that of frame `last` and those that jumped to it, innermost first.
    pub(super) fn places(&self, last: usize) -> impl Iterator<Item = Place> {
        let jumps = |frame| self.jumped.get(frame).map_or(0, Vec::len);
        (0..=last).flat_map(move |frame| (0..=jumps(frame)).map(move |jump| Place { frame, jump }))
    }

    /// What is known of a place.
    pub(super) fn known(&self, place: Place) -> Option<&Known> {
        match place.jump.checked_sub(1) {
            None => self.frames.get(place.frame)?.as_ref(),
            Some(jump) => self.jumped.get(place.frame)?.get(jump).map(|(_, known)| known),
        }
    }

    /// Where the function of a place begins.
    pub(super) fn entry(&self, place: Place) -> Option<VirtAddr> {
        match place.jump.checked_sub(1) {
            None => self.steps.get(place.frame)?.entry,
            Some(jump) => self.jumped.get(place.frame)?.get(jump).map(|(entry, _)| *entry),
        }
    }

    /// Who called the function of a place, if it called that very function, or jumped there.
    fn caller(&self, place: Place) -> Option<Place> {
        if place.jump < self.jumped.get(place.frame)?.len() {
            return Some(Place { jump: place.jump + 1, ..place });
        }
        let caller = Place { frame: place.frame.checked_add(1)?, jump: 0 };
        let target = self.steps.get(caller.frame)?.called?;
        (Some(target) == self.entry(place)).then_some(caller)
    }

    /// Where the call is that a place is in; what has jumped on is in none.
    pub(super) fn pending(&self, place: Place) -> Option<u64> {
        self.steps.get(place.frame).filter(|_| place.jump == 0)?.pending
    }

    /// Whether the locks that the function of a place took are still those of its task.
    pub(super) fn may_hold(&self, place: Place, active: bool) -> bool {
        match place.jump {
            0 => self
                .steps
                .get(place.frame)
                .is_some_and(|step| step.entry.is_some() && (active || !step.switches)),
            _ => self.entry(place).is_some_and(|entry| may_hold(self.code, entry, active)),
        }
    }

    /// What a value of frame `index` is in figures, in the state before its call.
    pub(super) fn concrete(&self, index: usize, value: &Value) -> Option<Concrete> {
        self.concrete_at(Place { frame: index, jump: 0 }, value)
    }

    /// The same for any place.
    pub(super) fn concrete_at(&self, place: Place, value: &Value) -> Option<Concrete> {
        self.concrete_within(place, value, DEEP)
    }

    fn concrete_within(&self, place: Place, value: &Value, depth: u32) -> Option<Concrete> {
        let depth = depth.checked_sub(1)?;
        let known = self.known(place)?;
        let memory = self.code.session.memory();
        let sure = |value: u64| Concrete { value, reread: false };
        if value.base == Base::Zero {
            return Some(sure(value.offset.cast_unsigned()));
        }
        if let Some(offset) = value.on_stack() {
            return known.entry_sp.0.checked_add_signed(offset).map(sure);
        }
        if let Some(figure) =
            self.held(place, value).or_else(|| passed_on(self, place, value, DEEP))
        {
            return Some(sure(figure));
        }
        match &value.base {
            Base::Entry(register) => {
                let found = self.argument(place, *register, depth)?;
                let value = found.value.wrapping_add_signed(value.offset);
                Some(Concrete { value, ..found })
            }
            Base::Loaded { from, .. } if self.is_current(from) => {
                Some(sure(self.task.0.wrapping_add_signed(value.offset)))
            }
            Base::Loaded { from, .. } => {
                let from = self.concrete_within(place, from, depth)?;
                let figure = memory.read_u64(VirtAddr(from.value)).ok()?;
                Some(Concrete { value: figure.wrapping_add_signed(value.offset), reread: true })
            }
            _ => None,
        }
    }

    /// Whether the address is that of the per-CPU `current`, which for this task's code is itself.
    fn is_current(&self, from: &Value) -> bool {
        let at = self.code.current.map(|at| at.0.cast_signed());
        from.base == Base::PerCpu && Some(from.offset) == at
    }

    /// What `register` held when the function of a place was entered: its caller says.
    fn argument(&self, place: Place, register: Register, depth: u32) -> Option<Concrete> {
        let caller = self.caller(place)?;
        let value = self.known(caller)?.passage.before.register(register)?.clone();
        self.concrete_within(caller, &value, depth)
    }
}

/// Functions of which each called the next, as far as their values are known.
trait Called {
    /// Whom the function of a place called or jumped to.
    fn callee(&self, place: Place) -> Option<Place>;

    /// What is known before the call that a place is in.
    fn before(&self, place: Place) -> Option<&State>;

    /// What a value is by whatever still holds something counted from the same base.
    fn held(&self, place: Place, value: &Value) -> Option<u64>;
}

impl Called for Stack<'_, '_> {
    fn callee(&self, place: Place) -> Option<Place> {
        let callee = match place.jump.checked_sub(1) {
            Some(jump) => Place { jump, ..place },
            None => {
                let frame = place.frame.checked_sub(1)?;
                Place { frame, jump: self.jumped.get(frame)?.len() }
            }
        };
        (self.caller(callee) == Some(place)).then_some(callee)
    }

    fn before(&self, place: Place) -> Option<&State> {
        Some(&self.known(place)?.passage.before)
    }

    fn held(&self, place: Place, value: &Value) -> Option<u64> {
        let known = self.known(place)?;
        let state = &known.passage.after;
        for register in Register::ALL {
            let (Some(holds), Some(figure)) =
                (state.register(register), known.registers.get(register))
            else {
                continue;
            };
            if holds.base == value.base {
                return Some(distance(figure, holds, value));
            }
        }
        for (offset, holds) in state.stack() {
            if holds.base != value.base {
                continue;
            }
            let at = VirtAddr(known.entry_sp.0.checked_add_signed(offset)?);
            if let Ok(figure) = self.code.session.memory().read_u64(at) {
                return Some(distance(figure, holds, value));
            }
        }
        None
    }
}

/// What a value is by what the function was given that this one called, and has kept or passed on
/// itself.
fn passed_on(of: &impl Called, place: Place, value: &Value, depth: u32) -> Option<u64> {
    let depth = depth.checked_sub(1)?;
    let callee = of.callee(place)?;
    let before = of.before(place)?;
    PASSED.into_iter().find_map(|register| {
        let passed = before.register(register).filter(|it| it.base == value.base)?;
        let given = Value::entry(register);
        let figure = of.held(callee, &given);
        let figure = figure.or_else(|| passed_on(of, callee, &given, depth))?;
        Some(distance(figure, passed, value))
    })
}

/// Whether the code and the unwind tables agree about the frame: the stack pointer that the code
/// says is the frame's. A function that aligns its stack has lost count of it, but not of rbp.
fn agrees(state: &State, registers: &Registers, entry_sp: VirtAddr, sp: VirtAddr) -> bool {
    let counted = |register| {
        let offset = state.register(register).and_then(Value::on_stack)?;
        entry_sp.0.checked_add_signed(offset)
    };
    match counted(Register::Rsp) {
        Some(counted) => counted == sp.0,
        None => counted(Register::Rbp)
            .is_some_and(|counted| registers.get(Register::Rbp) == Some(counted)),
    }
}

/// `value`, given that something that holds `holds` is `figure`.
fn distance(figure: u64, holds: &Value, value: &Value) -> u64 {
    figure.wrapping_add_signed(value.offset.wrapping_sub(holds.offset))
}

/// Where a function keeps its caller's `register`, and what is there.
fn saved(
    state: &State,
    registers: &Registers,
    entry_sp: VirtAddr,
    memory: &dyn crate::memory::VirtualMemory,
    register: Register,
) -> Option<u64> {
    let wanted = Value::entry(register);
    if state.register(register) == Some(&wanted) {
        return registers.get(register);
    }
    let (offset, _) = state.stack().find(|(_, value)| **value == wanted)?;
    memory.read_u64(VirtAddr(entry_sp.0.checked_add_signed(offset)?)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::testing::Image;
    use crate::unwind::flow::NoEffects;
    use iced_x86::code_asm::*;

    const ENTRY: u64 = 0xffff_ffff_8100_0000;
    const TOP: u64 = 0xffff_c900_0001_3ff8;

    /// What is known before and after the call that ends this code.
    fn calling(build: impl FnOnce(&mut CodeAssembler) -> Result<(), IcedError>) -> Passage {
        let mut a = CodeAssembler::new(64).unwrap();
        build(&mut a).unwrap();
        a.call(ENTRY + 0x1000).unwrap();
        let code = a.assemble(ENTRY).unwrap();
        let function = Function::decode(&code, VirtAddr(ENTRY));
        let end = ENTRY + u64::try_from(code.len()).unwrap();
        function.at(VirtAddr(end), true, &NoEffects).unwrap()
    }

    /// Functions, the innermost first, of which that alone has kept something.
    struct Chain {
        before: Vec<State>,
        kept: (Value, u64),
    }

    impl Called for Chain {
        fn callee(&self, place: Place) -> Option<Place> {
            Some(Place { frame: place.frame.checked_sub(1)?, jump: 0 })
        }

        fn before(&self, place: Place) -> Option<&State> {
            self.before.get(place.frame)
        }

        fn held(&self, place: Place, value: &Value) -> Option<u64> {
            (place.frame == 0 && *value == self.kept.0).then_some(self.kept.1)
        }
    }

    #[test]
    fn an_argument_is_known_by_the_last_of_several_that_it_was_passed_on_to() {
        // outer(o) calls middle(o), that calls inner(…, o + 8), and only inner has kept its own.
        let states = [calling(|_| Ok(())), calling(|a| a.lea(rsi, rdi + 8)), calling(|_| Ok(()))];
        let before = states.into_iter().map(|passage| passage.before).collect();
        let chain = Chain { before, kept: (Value::entry(Register::Rsi), 0x1008) };
        let outer = Place { frame: 2, jump: 0 };
        let object = Value::entry(Register::Rdi);
        assert_eq!(passed_on(&chain, outer, &object, DEEP), Some(0x1000));
        assert_eq!(passed_on(&chain, outer, &object.plus(0x20), DEEP), Some(0x1020));
        // Nobody was passed what rbx held; and one call deep is not deep enough.
        assert_eq!(passed_on(&chain, outer, &Value::entry(Register::Rbx), DEEP), None);
        assert_eq!(passed_on(&chain, outer, &object, 1), None);
    }

    #[test]
    fn a_frame_whose_stack_pointer_is_not_what_its_code_makes_of_it_is_not_believed() {
        let passage = calling(|a| {
            a.push(rbx)?;
            a.sub(rsp, 0x10)
        });
        let agrees =
            |at| agrees(&passage.after, &Registers::default(), VirtAddr(TOP), VirtAddr(at));
        assert!(agrees(TOP - 0x18));
        assert!(!agrees(TOP - 0x10));
    }

    #[test]
    fn a_callers_register_is_read_where_the_function_saved_it_or_is_still_there() {
        let passage = calling(|a| {
            a.push(rbx)?;
            a.mov(rbx, rdi)
        });
        let mut memory = Image::default();
        memory.put_u64(TOP - 8, 0x1111);
        let mut registers = Registers::default();
        registers.set(Register::Rbx, Some(0x2222));
        registers.set(Register::R12, Some(0x3333));
        let saved = |register| saved(&passage.after, &registers, VirtAddr(TOP), &memory, register);
        assert_eq!(saved(Register::Rbx), Some(0x1111));
        assert_eq!(saved(Register::R12), Some(0x3333));
        assert_eq!(saved(Register::R13), None);
    }

    use crate::locks::testing::{Stage, demo};

    /// What vfs_write was given first, and vfs_read before it, by the frames of a task: vfs_read saves what it
    /// was given in rbx if that is known, and calls this function with what `passes` makes of it; then comes
    /// vfs_write, which saves what it was given in rbx likewise.
    fn given(
        outer: Option<u64>,
        inner: Option<u64>,
        calls: &str,
        passes: impl FnOnce(&mut CodeAssembler) -> Result<(), IcedError>,
    ) -> [Option<Concrete>; 2] {
        let symbol = |name: &str| demo().symbols().address(name).unwrap();
        let mut a = [(); 2].map(|()| CodeAssembler::new(64).unwrap());
        for (a, saves) in a.iter_mut().zip([inner, outer]) {
            a.push(rbx).unwrap();
            match saves {
                Some(_) => a.mov(rbx, rdi).unwrap(),
                None => a.xor(ebx, ebx).unwrap(),
            }
        }
        a[0].call(symbol("msleep").0).unwrap();
        passes(&mut a[1]).unwrap();
        a[1].call(symbol(calls).0).unwrap();
        let at = ["vfs_write", "vfs_read"].map(symbol);
        let code = [0, 1].map(|it: usize| a[it].assemble(at[it].0).unwrap());
        let mut stage = Stage::with(|memory| {
            for (at, code) in at.iter().zip(&code) {
                memory.put(at.0, code);
            }
        });
        let task = stage.enter("chain-7", &["msleep", "vfs_write", "vfs_read", "ksys_read"]);
        let frames = &mut stage.traces[task].frames;
        for (number, kept) in [(2, outer), (1, inner)] {
            frames[number].pc = at[number - 1].plus(code[number - 1].len() as u64);
            frames[number].sp = frames[number + 1].sp.minus(16);
            frames[number].registers.set(Register::Rbx, kept);
        }
        let code = Code::new(&stage.session);
        let (trace, steps) = (&stage.traces[task], Steps::new(4));
        let stack = Stack::follow(&code, &stage.tasks[task], trace, &steps, 4);
        [1, 2].map(|frame| {
            let argument = Value::entry(Register::Rdi);
            let found = stack.concrete(frame, &argument);
            // A member of it is as far from it.
            let member = stack.concrete(frame, &argument.plus(0x10));
            assert_eq!(member.map(|it| it.value - 0x10), found.map(|it| it.value));
            found
        })
    }

    const fn sure(value: u64) -> Option<Concrete> {
        Some(Concrete { value, reread: false })
    }

    const OBJECT: u64 = 0xffff_8880_0100_0000;

    #[test]
    fn an_argument_is_what_the_caller_passed_if_it_called_that_very_function() {
        let plus_8 = |a: &mut CodeAssembler| a.add(rdi, 8);
        let lost = given(Some(OBJECT), None, "vfs_write", plus_8);
        assert_eq!(lost, [sure(OBJECT + 8), sure(OBJECT)]);
        let other = given(Some(OBJECT), None, "ksys_write", plus_8);
        assert_eq!(other, [None, sure(OBJECT)]);
    }

    #[test]
    fn an_argument_is_told_by_the_callee_that_kept_it_if_that_very_function_was_called() {
        let plus_8 = |a: &mut CodeAssembler| a.add(rdi, 8);
        let kept = given(None, Some(OBJECT), "vfs_write", plus_8);
        assert_eq!(kept, [sure(OBJECT), sure(OBJECT - 8)]);
        let other = given(None, Some(OBJECT), "ksys_write", plus_8);
        assert_eq!(other, [sure(OBJECT), None]);
    }

    #[test]
    fn an_argument_that_was_read_from_memory_may_have_changed_there_since() {
        let demo = demo();
        let list = demo.symbols().address("hu_never").unwrap().plus(8);
        let value = demo.memory().read_u64(list).unwrap();
        let load = |a: &mut CodeAssembler| a.mov(rdi, qword_ptr(rdi));
        let [inner, _] = given(Some(list.0), None, "vfs_write", load);
        assert_eq!(inner, Some(Concrete { value, reread: true }));
    }
}
