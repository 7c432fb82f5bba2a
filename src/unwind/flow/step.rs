//! One instruction: what it does to the state.

use super::state::{ERRORS, Given, State, Taken, When};
use super::value::{Base, Slot, Value};
use super::{Effect, Effects, Of, Writes};
use crate::dump::VirtAddr;
use crate::unwind::Register;
use iced_x86::{
    FlowControl, Instruction, InstructionInfoFactory, Mnemonic, OpAccess, OpKind, Register as Iced,
    RflagsBits,
};
use std::sync::Arc;

/// Registers that a call may change.
const CALLER_SAVED: [Register; 9] = [
    Register::Rax,
    Register::Rcx,
    Register::Rdx,
    Register::Rsi,
    Register::Rdi,
    Register::R8,
    Register::R9,
    Register::R10,
    Register::R11,
];

/// Registers that hold the arguments of a call.
const ARGUMENTS: [Register; 6] =
    [Register::Rdi, Register::Rsi, Register::Rdx, Register::Rcx, Register::R8, Register::R9];

/// Whether it is a jump, with or without a condition, to a fixed target.
pub(super) fn jumps(instruction: &Instruction) -> bool {
    matches!(
        instruction.flow_control(),
        FlowControl::UnconditionalBranch | FlowControl::ConditionalBranch
    ) && instruction.op0_kind() == OpKind::NearBranch64
}

/// Whether it is a call.
pub(super) fn calls(instruction: &Instruction) -> bool {
    matches!(instruction.flow_control(), FlowControl::Call | FlowControl::IndirectCall)
}

/// The states where a jump is taken and where it is not, of the state before it; `None` for a way
/// that it cannot go.
pub(super) fn branches(instruction: &Instruction, state: &State) -> (Option<State>, Option<State>) {
    if state.carry.is_some() {
        match instruction.mnemonic() {
            Mnemonic::Jb => return (Some(state.given_carry(true)), Some(state.given_carry(false))),
            Mnemonic::Jae => {
                return (Some(state.given_carry(false)), Some(state.given_carry(true)));
            }
            _ => {}
        }
    }
    match instruction.mnemonic() {
        Mnemonic::Jmp => (Some(state.clone()), None),
        Mnemonic::Je => (state.given_that(true), state.given_that(false)),
        Mnemonic::Jne => (state.given_that(false), state.given_that(true)),
        Mnemonic::Js | Mnemonic::Jl => (negative(state), state.given_error(false, 0)),
        Mnemonic::Jns | Mnemonic::Jge => (state.given_error(false, 0), negative(state)),
        // `IS_ERR`: above -4096, or not below -4095, taken as numbers without a sign.
        Mnemonic::Ja => (state.given_error(true, 1 - ERRORS), state.given_error(false, 1 - ERRORS)),
        Mnemonic::Jbe => {
            (state.given_error(false, 1 - ERRORS), state.given_error(true, 1 - ERRORS))
        }
        Mnemonic::Jae => (state.given_error(true, -ERRORS), state.given_error(false, -ERRORS)),
        Mnemonic::Jb => (state.given_error(false, -ERRORS), state.given_error(true, -ERRORS)),
        _ => (Some(state.clone()), Some(state.clone())),
    }
}

/// The state where a value that was tested is negative, which is not zero either.
fn negative(state: &State) -> Option<State> {
    state.given_error(true, 0)?.given_that(false)
}

/// Whether it puts one of two values somewhere, depending on a test.
pub(super) fn chooses(instruction: &Instruction) -> bool {
    matches!(
        instruction.mnemonic(),
        Mnemonic::Cmove | Mnemonic::Cmovne | Mnemonic::Cmovs | Mnemonic::Cmovns
    ) || sets(instruction)
}

/// Whether it puts a 1 somewhere or a 0, depending on a test.
fn sets(instruction: &Instruction) -> bool {
    use Mnemonic::{Setae, Setb, Sete, Setne};
    matches!(instruction.mnemonic(), Sete | Setne | Setb | Setae)
}

/// The states after an instruction that chooses, of the state before it, if what it chooses by is
/// the result of a call that may have taken something: apart, so that it stays known which value
/// goes with what was taken.
pub(super) fn chosen(instruction: &Instruction, state: &State) -> Option<[Option<State>; 2]> {
    let by_carry = matches!(instruction.mnemonic(), Mnemonic::Setb | Mnemonic::Setae);
    let asks = if by_carry { state.carry.is_some() } else { state.asks_for_taken() };
    if !chooses(instruction) || !asks {
        return None;
    }
    let to = general_register(instruction.op0_register())?;
    let with = |state: Option<State>, value: Option<Value>| {
        let mut state = state?;
        if let Some(value) = value {
            state.set(to, value);
        }
        Some(state)
    };
    let number = |number| Some(Value::number(number));
    let (yes, no) = match instruction.mnemonic() {
        Mnemonic::Cmove | Mnemonic::Sete => (state.given_that(true), state.given_that(false)),
        Mnemonic::Cmovne | Mnemonic::Setne => (state.given_that(false), state.given_that(true)),
        Mnemonic::Setb => (Some(state.given_carry(true)), Some(state.given_carry(false))),
        Mnemonic::Setae => (Some(state.given_carry(false)), Some(state.given_carry(true))),
        Mnemonic::Cmovs => (negative(state), state.given_error(false, 0)),
        _ => (state.given_error(false, 0), negative(state)),
    };
    if sets(instruction) {
        return Some([with(yes, number(1)), with(no, number(0))]);
    }
    let made = || Value::made(instruction.ip(), Slot::Register(to));
    let moved = |state: &State| {
        let value = source(instruction, 1, state, Slot::Register(to));
        value.filter(|it| !narrow_result(instruction.op0_register()) || is_small(it))
    };
    let moved = yes.as_ref().map(|state| moved(state).unwrap_or_else(made));
    Some([with(yes, moved), with(no, None)])
}

/// Applies an instruction; whether execution goes on behind it.
pub(super) fn step(instruction: &Instruction, state: &mut State, effects: &dyn Effects) -> bool {
    let ip = instruction.ip();
    let operands = [instruction.op0_register(), instruction.op1_register(), Iced::RAX];
    let written = operands.map(|register| general_register(register).unwrap_or(Register::Rax));
    state.forget_made_by(ip, &written);
    match instruction.flow_control() {
        FlowControl::Next => {}
        FlowControl::ConditionalBranch => return true,
        FlowControl::Call | FlowControl::IndirectCall => return call(instruction, state, effects),
        FlowControl::UnconditionalBranch
        | FlowControl::IndirectBranch
        | FlowControl::Return
        | FlowControl::Exception => return false,
        FlowControl::Interrupt | FlowControl::XbeginXabortXend => {
            forget_written(instruction, state);
            return true;
        }
    }
    if instruction.rflags_modified() & RflagsBits::CF != 0 {
        state.carry = None;
    }
    let (first, second) = (instruction.op0_register(), instruction.op1_register());
    match instruction.mnemonic() {
        Mnemonic::Nop | Mnemonic::Endbr64 => {}
        Mnemonic::Mov if instruction.op0_kind() == OpKind::Register => {
            match (general_register(first), narrow_result(first)) {
                (Some(to), narrow) => {
                    let slot = Slot::Register(to);
                    let value = match source(instruction, 1, state, slot) {
                        // The upper half of an address is lost in a 32-bit move; a result of a
                        // call (an int) and a number are not changed by it.
                        Some(value) if !narrow || is_small(&value) => value,
                        _ => Value::made(ip, slot),
                    };
                    state.set(to, value);
                }
                (None, _) => forget_written(instruction, state),
            }
        }
        Mnemonic::Mov if instruction.op0_kind() == OpKind::Memory => store(instruction, state),
        Mnemonic::Lea => match general_register(first) {
            Some(to) if !narrow_result(first) => {
                let value = address(instruction, state);
                state.set(to, value.unwrap_or_else(|| Value::made(ip, Slot::Register(to))));
            }
            _ => forget_written(instruction, state),
        },
        Mnemonic::Push => {
            let value = source(instruction, 0, state, Slot::Stack(0));
            push(state, ip, value);
        }
        Mnemonic::Pop if general_register(first).is_some() => {
            if let Some(to) = general_register(first) {
                let popped = state
                    .register(Register::Rsp)
                    .and_then(Value::on_stack)
                    .and_then(|offset| state.stack_slot(offset))
                    .cloned();
                let at = state.register(Register::Rsp).cloned();
                let slot = Slot::Register(to);
                let value = popped.or_else(|| at.map(|at| at.load(ip, slot)));
                adjust_sp(state, 8);
                state.set(to, value.unwrap_or_else(|| Value::made(ip, slot)));
            }
        }
        Mnemonic::Add | Mnemonic::Sub if immediate(instruction).is_some() => {
            let bytes = immediate(instruction).unwrap_or(0);
            let bytes =
                if instruction.mnemonic() == Mnemonic::Sub { bytes.wrapping_neg() } else { bytes };
            match general_register(first) {
                Some(to) if instruction.op0_kind() == OpKind::Register && !narrow_result(first) => {
                    if let Some(value) = state.register(to).map(|value| value.plus(bytes)) {
                        state.set(to, value);
                    }
                }
                _ => forget_written(instruction, state),
            }
            state.tested = None;
        }
        Mnemonic::Xor | Mnemonic::Sub if first == second && general_register(first).is_some() => {
            if let Some(to) = general_register(first) {
                state.set(to, Value::number(0));
            }
            state.tested = None;
        }
        Mnemonic::Test | Mnemonic::And if bits_of_number(instruction, state).is_some() => {
            let (to, bits) = bits_of_number(instruction, state).unwrap_or((Register::Rax, 0));
            if instruction.mnemonic() == Mnemonic::And {
                state.set(to, Value::number(bits));
            }
            state.tested = Some(Value::number(bits));
        }
        Mnemonic::Test if instruction.op0_kind() == OpKind::Register && first == second => {
            state.tested =
                general_register(first).and_then(|register| state.register(register)).cloned();
        }
        Mnemonic::Cmp if instruction.op0_kind() == OpKind::Register => {
            let number = immediate(instruction);
            let value = general_register(first).and_then(|register| state.register(register));
            state.tested =
                number.zip(value).map(|(number, value)| value.plus(number.wrapping_neg()));
        }
        // As good as the value that was tested: zero if it is. A byte is what `bool` is returned in.
        Mnemonic::Setne if general_register(first).is_some() && state.tested.is_some() => {
            if let (Some(to), Some(tested)) = (general_register(first), state.tested.clone()) {
                state.set(to, tested);
            }
        }
        Mnemonic::Movzx
            if instruction.op1_kind() == OpKind::Register
                && general_register(first).is_some()
                && general_register(second)
                    .and_then(|from| state.register(from))
                    .is_some_and(is_small) =>
        {
            let value = general_register(second).and_then(|from| state.register(from)).cloned();
            if let Some((to, value)) = general_register(first).zip(value) {
                state.set(to, value);
            }
        }
        Mnemonic::Inc | Mnemonic::Dec | Mnemonic::Add | Mnemonic::Sub
            if instruction.op0_kind() == OpKind::Memory
                && instruction.memory_segment() == Iced::GS =>
        {
            count(instruction, state, effects);
            state.tested = None;
        }
        Mnemonic::Bts if instruction.has_lock_prefix() => {
            state.tested = None;
            state.carry = set_bit(instruction, state, effects).then_some(ip);
        }
        Mnemonic::Leave => {
            if let Some(rbp) = state.register(Register::Rbp).cloned() {
                let saved = rbp.on_stack().and_then(|offset| state.stack_slot(offset)).cloned();
                let slot = Slot::Register(Register::Rbp);
                state.set(Register::Rbp, saved.unwrap_or_else(|| rbp.load(ip, slot)));
                state.set(Register::Rsp, rbp.plus(8));
            }
        }
        _ => {
            forget_written(instruction, state);
            if instruction.rflags_modified() != 0 {
                state.tested = None;
            }
        }
    }
    true
}

/// Which bits of a number in a register an immediate leaves, and the register.
fn bits_of_number(instruction: &Instruction, state: &State) -> Option<(Register, i64)> {
    if instruction.op0_kind() != OpKind::Register {
        return None;
    }
    let first = instruction.op0_register();
    let mask = match first.size() {
        _ if matches!(first, Iced::AH | Iced::BH | Iced::CH | Iced::DH) => return None,
        1 => immediate(instruction)? & 0xff,
        2 => immediate(instruction)? & 0xffff,
        4 => immediate(instruction)? & 0xffff_ffff,
        _ => immediate(instruction)?,
    };
    let register = general_register(first)?;
    let value = state.register(register).filter(|value| value.base == Base::Zero)?;
    Some((register, value.offset & mask))
}

/// Whether it changes a number of the CPU's own that a register points to.
pub(super) fn counts(instruction: &Instruction) -> bool {
    matches!(instruction.mnemonic(), Mnemonic::Inc | Mnemonic::Dec | Mnemonic::Add | Mnemonic::Sub)
        && instruction.memory_segment() == Iced::GS
        && !matches!(instruction.memory_base(), Iced::None | Iced::RIP)
        && instruction.memory_index() == Iced::None
        && instruction.memory_displacement64() == 0
}

/// A counter of the CPU's own, found through a pointer in memory, goes up or down: so are readers
/// counted in code without a call.
fn count(instruction: &Instruction, state: &mut State, effects: &dyn Effects) {
    let by = match (instruction.mnemonic(), immediate(instruction)) {
        (Mnemonic::Inc, _) | (Mnemonic::Add, Some(1)) | (Mnemonic::Sub, Some(-1)) => 1,
        (Mnemonic::Dec, _) | (Mnemonic::Sub, Some(1)) | (Mnemonic::Add, Some(-1)) => -1,
        _ => return,
    };
    let counter = general_register(instruction.memory_base())
        .filter(|_| counts(instruction))
        .and_then(|register| state.register(register));
    let Some(Value { base: Base::Loaded { from, .. }, offset: 0 }) = counter else { return };
    let Some((class, argument)) = effects.of_count(from) else { return };
    if by < 0 {
        state.give(Given { class, argument: Some(argument), always: true });
        return;
    }
    let ip = instruction.ip();
    state.take(Taken {
        call: ip,
        target: VirtAddr(ip),
        class,
        argument: Some(argument),
        always: true,
        maybe_given: Vec::new(),
        nth: 0,
        pending: None,
        by_store: false,
    });
}

/// A bit is set in memory, and the carry flag tells whether it was set before: so are locks taken that
/// are one bit. Whether that is of any meaning.
fn set_bit(instruction: &Instruction, state: &mut State, effects: &dyn Effects) -> bool {
    let bit = instruction.try_immediate(1).ok();
    let at = address(instruction, state).filter(|at| at.on_stack().is_none());
    let Some(class) = bit.zip(at.as_ref()).and_then(|(bit, _)| effects.of_bit(bit)) else {
        return false;
    };
    let ip = instruction.ip();
    state.take(Taken {
        call: ip,
        target: VirtAddr(ip),
        class,
        argument: at,
        always: true,
        maybe_given: Vec::new(),
        nth: 0,
        pending: Some(When::NonZero),
        by_store: false,
    });
    true
}

fn call(instruction: &Instruction, state: &mut State, effects: &dyn Effects) -> bool {
    let ip = instruction.ip();
    let target = match pointer(instruction, state, effects) {
        Some(pointer) => effects.of_pointer(ip, &pointer),
        None => (instruction.op0_kind() == OpKind::NearBranch64)
            .then(|| VirtAddr(instruction.near_branch_target())),
    };
    called(ip, target, state, effects)
}

/// The pointer through which an instruction calls, if it is a call through one that has a name.
pub(super) fn pointer(
    instruction: &Instruction,
    state: &State,
    effects: &dyn Effects,
) -> Option<Value> {
    if !calls(instruction) {
        return None;
    }
    if instruction.op0_kind() != OpKind::NearBranch64 {
        return source(instruction, 0, state, Slot::Register(Register::Rip));
    }
    match effects.of_call(VirtAddr(instruction.near_branch_target())) {
        Effect::Through(register) => state.register(register).cloned(),
        _ => None,
    }
}

/// Applies a call made at `ip`; whether it returns.
pub(super) fn called(
    ip: u64,
    target: Option<VirtAddr>,
    state: &mut State,
    effects: &dyn Effects,
) -> bool {
    let mut effect = target.map_or(Effect::Nothing, |target| effects.of_call(target));
    if let (Effect::Several(summary), Some(target)) = (&effect, target)
        && summary.depends()
    {
        let numbers = numbers(state);
        if !numbers.is_empty() {
            effect = effects.of_call_with(target, &numbers);
        }
    }
    let target = target.unwrap_or(VirtAddr(0));
    let argument = state.register(Register::Rdi).cloned();
    let taken = |class, argument, when, by_store, nth, always| Taken {
        call: ip,
        target,
        class,
        argument: Some(argument),
        always,
        maybe_given: Vec::new(),
        nth,
        pending: (when != When::Always).then_some(when),
        by_store,
    };
    match (&effect, argument) {
        (Effect::NoReturn | Effect::Return, _) => return false,
        (Effect::Take { class, when, by_store, by }, Some(_)) => {
            let argument = state.register(*by).cloned().unwrap_or(Value::entry(*by));
            let asks = state.register(Register::Rsi);
            let when = match when {
                When::Asked if asks == Some(&Value::number(0)) => When::Always,
                When::Asked => When::NonZero,
                when => *when,
            };
            state.take(taken(*class, argument, when, *by_store, 0, true));
        }
        (Effect::Give { class }, argument) => {
            state.give(Given { class: *class, argument, always: true });
        }
        (Effect::Turn { from, to }, Some(argument)) => {
            let given = Some(argument.clone());
            state.give(Given { class: *from, argument: given, always: true });
            state.take(taken(*to, argument, When::Always, false, 0, true));
        }
        (Effect::Several(summary), _) => {
            let before = state.clone();
            for given in &summary.gives {
                let argument = given.argument.as_ref();
                let argument = argument.and_then(|argument| before.translate(argument));
                state.give(Given { argument, ..given.clone() });
            }
            for (nth, take) in (0..).zip(&summary.takes) {
                let argument = match &take.of {
                    Of::Callers(value) => before.translate(value),
                    Of::Returned(offset) => {
                        Some(Value::made(ip, Slot::Register(Register::Rax)).plus(*offset))
                    }
                    Of::Written(place, offset) => before.translate(place).map(|at| {
                        let known = summary.writes.value_at(place);
                        let known = known.and_then(|value| before.translate(value));
                        let name = match at.on_stack() {
                            _ if known.is_some() => known.unwrap_or(at),
                            Some(slot) => Value::made(ip, Slot::Stack(slot)),
                            None => at.load(ip, Slot::Register(Register::Rax)),
                        };
                        name.plus(*offset)
                    }),
                };
                if let Some(argument) = argument {
                    let (when, always) = (take.when, take.always);
                    state.take(taken(take.class, argument, when, take.by_store, nth, always));
                }
            }
        }
        _ => {}
    }
    if state.awaits_store() && matches!(effect, Effect::Nothing | Effect::Several(_)) {
        for stored in effects.stores_of(target).iter() {
            if let Some(at) = state.translate(stored) {
                state.stored_to(&at);
            }
        }
    }
    let result = match &effect {
        Effect::Several(summary) => summary.returns.as_ref().and_then(|it| state.translate(it)),
        _ => None,
    };
    lend(ip, target, &effect, state, effects);
    for register in CALLER_SAVED {
        state.set(register, Value::made(ip, Slot::Register(register)));
    }
    if let Some(result) = result {
        state.set(Register::Rax, result);
    }
    state.tested = None;
    state.carry = None;
    true
}

/// The registers of arguments that hold numbers.
fn numbers(state: &State) -> Vec<(Register, i64)> {
    let number = |register| {
        let value = state.register(register)?;
        (value.base == Base::Zero).then_some((register, value.offset))
    };
    ARGUMENTS.into_iter().filter_map(number).collect()
}

/// The function called at `ip` may have written to what its arguments point to.
fn lend(ip: u64, target: VirtAddr, effect: &Effect, state: &mut State, effects: &dyn Effects) {
    let pointers: Vec<(Register, Value)> = ARGUMENTS
        .into_iter()
        .filter_map(|register| Some((register, state.register(register)?.clone())))
        .filter(|(_, value)| matches!(value.base, Base::Entry(_)))
        .collect();
    let wanted = pointers.iter().any(|(_, value)| match value.on_stack() {
        Some(offset) => state.may_lose(offset),
        None => effects.sums_up(),
    });
    let asked = match effect {
        Effect::Several(summary) => Some(Arc::new(summary.writes.clone())),
        // Of locks only they themselves change.
        Effect::Take { .. } | Effect::Give { .. } | Effect::Turn { .. } => {
            Some(Arc::new(Writes::default()))
        }
        Effect::Nothing if wanted => effects.writes_of(target),
        _ => None,
    };
    let before = state.clone();
    for (register, pointer) in pointers {
        let known = asked.as_ref().filter(|writes| writes.tells_of(register));
        match (pointer.on_stack(), known) {
            (Some(offset), Some(writes)) => {
                for (at, size, value) in writes.behind(register) {
                    let Some(at) = offset.checked_add(at) else { continue };
                    state.forget_stack(at, size);
                    let value = value.and_then(|value| before.translate(value));
                    if size == 8 {
                        let value = value.unwrap_or_else(|| Value::made(ip, Slot::Stack(at)));
                        state.set_stack(at, value);
                    }
                }
            }
            (Some(offset), None) => {
                // What points to other things goes with it.
                for (_, value) in before.lendable(offset) {
                    state.writes.lend(value);
                }
                state.lend_stack(offset);
            }
            (None, Some(writes)) => state.writes.add_called(writes, register, &before),
            (None, None) => state.writes.lend(&pointer),
        }
    }
}

/// The 64-bit register that a register is part of, if it is one of the general ones.
#[must_use]
pub fn general_register(register: Iced) -> Option<Register> {
    Some(match register.full_register() {
        Iced::RAX => Register::Rax,
        Iced::RCX => Register::Rcx,
        Iced::RDX => Register::Rdx,
        Iced::RBX => Register::Rbx,
        Iced::RSP => Register::Rsp,
        Iced::RBP => Register::Rbp,
        Iced::RSI => Register::Rsi,
        Iced::RDI => Register::Rdi,
        Iced::R8 => Register::R8,
        Iced::R9 => Register::R9,
        Iced::R10 => Register::R10,
        Iced::R11 => Register::R11,
        Iced::R12 => Register::R12,
        Iced::R13 => Register::R13,
        Iced::R14 => Register::R14,
        Iced::R15 => Register::R15,
        _ => return None,
    })
}

/// Whether writing this register does not write 64 bits of a value.
fn narrow_result(register: Iced) -> bool {
    register.size() != 8
}

/// A number, or the result of a call.
fn is_small(value: &Value) -> bool {
    match value.base {
        Base::Zero | Base::Error => true,
        Base::Made { slot: Slot::Register(Register::Rax), .. } => value.offset == 0,
        _ => false,
    }
}

/// The second operand, if it is an immediate.
fn immediate(instruction: &Instruction) -> Option<i64> {
    match instruction.op1_kind() {
        OpKind::Immediate8
        | OpKind::Immediate16
        | OpKind::Immediate32
        | OpKind::Immediate64
        | OpKind::Immediate8to16
        | OpKind::Immediate8to32
        | OpKind::Immediate8to64
        | OpKind::Immediate32to64 => Some(instruction.immediate(1).cast_signed()),
        _ => None,
    }
}

/// The value of an operand that is read; `slot` is where it goes. `None` when it is not 64 bits
/// wide or cannot be named.
fn source(instruction: &Instruction, operand: u32, state: &State, slot: Slot) -> Option<Value> {
    match instruction.op_kind(operand) {
        OpKind::Register => {
            let register = instruction.op_register(operand);
            if register.size() < 4 {
                return None;
            }
            state.register(general_register(register)?).cloned()
        }
        OpKind::Memory => {
            if instruction.memory_size().size() != 8 {
                return None;
            }
            let at = address(instruction, state)?;
            match at.on_stack().and_then(|offset| state.stack_slot(offset)) {
                Some(value) => Some(value.clone()),
                None => Some(at.load(instruction.ip(), slot)),
            }
        }
        _ => Some(Value::number(instruction.try_immediate(operand).ok()?.cast_signed())),
    }
}

/// The address of the memory operand, if it is a base and a displacement.
pub(super) fn address(instruction: &Instruction, state: &State) -> Option<Value> {
    if instruction.memory_index() != Iced::None {
        return None;
    }
    // For a base of rip this is the address itself.
    let displacement = instruction.memory_displacement64().cast_signed();
    let absolute = matches!(instruction.memory_base(), Iced::RIP | Iced::None);
    match instruction.memory_segment() {
        Iced::GS if absolute => Some(Value { base: Base::PerCpu, offset: displacement }),
        Iced::GS | Iced::FS => None,
        _ if absolute => Some(Value::number(displacement)),
        _ => Some(state.register(general_register(instruction.memory_base())?)?.plus(displacement)),
    }
}

/// Whether a memory operand is not in the flat address space.
pub(super) fn address_is_special(instruction: &Instruction) -> bool {
    matches!(instruction.memory_segment(), Iced::GS | Iced::FS)
}

/// `mov [memory], …`
fn store(instruction: &Instruction, state: &mut State) {
    let size = instruction.memory_size().size();
    let stored = source(instruction, 1, state, Slot::Register(Register::Rax));
    let Some(at) = address(instruction, state) else {
        written_somewhere(instruction, state);
        return;
    };
    let Some(offset) = at.on_stack() else {
        state.stored_to(&at);
        if !address_is_special(instruction) {
            // Whoever finds the pointer there may write to what it points to.
            let stored = stored.filter(|_| size == 8);
            stored.iter().for_each(|pointer| state.writes.lend(pointer));
            state.writes.write(&at, i64::try_from(size).unwrap_or(64), stored);
        }
        return;
    };
    match source(instruction, 1, state, Slot::Stack(offset)) {
        Some(value) if size == 8 => state.set_stack(offset, value),
        _ => state.forget_stack(offset, i64::try_from(size).unwrap_or(64)),
    }
}

fn push(state: &mut State, ip: u64, value: Option<Value>) {
    adjust_sp(state, -8);
    if let Some(offset) = state.register(Register::Rsp).and_then(Value::on_stack) {
        let value = value.unwrap_or_else(|| Value::made(ip, Slot::Stack(offset)));
        state.set_stack(offset, value);
    }
}

fn adjust_sp(state: &mut State, bytes: i64) {
    if let Some(sp) = state.register(Register::Rsp).map(|sp| sp.plus(bytes)) {
        state.set(Register::Rsp, sp);
    }
}

/// Something was written at an address that cannot be named.
fn written_somewhere(instruction: &Instruction, state: &mut State) {
    for register in [instruction.memory_base(), instruction.memory_index()] {
        let pointer = general_register(register).and_then(|register| state.register(register));
        if let Some(pointer) = pointer.cloned() {
            state.writes.lend(&pointer);
            // An element of an array on the stack.
            if register != Iced::RSP
                && let Some(offset) = pointer.on_stack()
            {
                state.lend_stack(offset);
            }
        }
    }
}

/// Whatever the instruction writes holds something unknown from now on.
fn forget_written(instruction: &Instruction, state: &mut State) {
    let ip = instruction.ip();
    let writes = |access| {
        matches!(
            access,
            OpAccess::Write | OpAccess::CondWrite | OpAccess::ReadWrite | OpAccess::ReadCondWrite
        )
    };
    let mut factory = InstructionInfoFactory::new();
    let info = factory.info(instruction);
    let memory_written = info.used_memory().iter().any(|memory| writes(memory.access()));
    let size = i64::try_from(instruction.memory_size().size()).unwrap_or(64);
    if memory_written && instruction.is_string_instruction() {
        let to = state.register(Register::Rdi).cloned();
        if let Some(offset) = to.as_ref().and_then(Value::on_stack) {
            state.lend_stack(offset);
        }
        to.iter().for_each(|to| state.writes.lend(to));
    } else if memory_written {
        match address(instruction, state) {
            Some(at) => match at.on_stack() {
                Some(offset) => state.forget_stack(offset, size),
                None => {
                    state.stored_to(&at);
                    if !address_is_special(instruction) {
                        state.writes.write(&at, size, None);
                    }
                }
            },
            None => written_somewhere(instruction, state),
        }
    }
    for used in info.used_registers() {
        if let (true, Some(register)) = (writes(used.access()), general_register(used.register())) {
            state.set(register, Value::made(ip, Slot::Register(register)));
        }
    }
}
