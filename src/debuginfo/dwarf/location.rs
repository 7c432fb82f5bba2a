//! Expressions: where a variable lies, what an argument was.
//!
//! gimli computes; what it asks for on the way (registers, memory, the frame's base, what the
//! caller passed) is answered here out of an [`Activation`]. Expressions are bounded in steps and
//! in how deep they lead to others.

use super::functions::Entry;
use super::units::Unit;
use super::{Dwarf, Reader};
use crate::dump::VirtAddr;
use crate::memory::VirtualMemory;
use gimli::{AttributeValue, EvaluationResult, Expression, Location, Piece, Value, ValueType};

/// Operations of one expression.
const MAX_STEPS: u32 = 10_000;
/// Expressions that lead to others: a frame's base, a caller's argument, its caller's.
const MAX_DEPTH: u32 = 8;
/// The kernel's half of the address space.
const KERNEL_HALF: u64 = 1 << 63;

/// A frame's place in the code and its registers.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FrameRegisters {
    /// The address to look up: within the call for a frame that has called another.
    pub at: VirtAddr,
    /// The return address into it, or the interrupted instruction.
    pub pc: VirtAddr,
    /// The values of those registers that are known, by DWARF's numbers.
    pub values: [Option<u64>; 17],
}

/// Where debug information comes from: that of the kernel or the module that an address is in. It
/// is only asked when it is needed, since finding and opening it takes time.
pub type DwarfOf<'d> = dyn Fn(VirtAddr) -> Option<&'d Dwarf> + Sync + 'd;

/// A frame on a stack, as expressions see it.
#[derive(Clone, Copy)]
pub struct Activation<'f> {
    frame: &'f FrameRegisters,
    callers: &'f [FrameRegisters],
    memory: &'f dyn VirtualMemory,
    dwarf_of: &'f DwarfOf<'f>,
}

impl<'f> Activation<'f> {
    /// The first of these frames, whose callers are the others; `None` without any.
    #[must_use]
    pub fn new(
        frames: &'f [FrameRegisters],
        memory: &'f dyn VirtualMemory,
        dwarf_of: &'f DwarfOf<'f>,
    ) -> Option<Activation<'f>> {
        let (frame, callers) = frames.split_first()?;
        Some(Activation { frame, callers, memory, dwarf_of })
    }

    fn caller(&self) -> Option<Activation<'f>> {
        Activation::new(self.callers, self.memory, self.dwarf_of)
    }

    /// The address to look up.
    #[must_use]
    pub fn at(&self) -> VirtAddr {
        self.frame.at
    }

    /// What lies in memory.
    pub(super) fn read(&self, at: VirtAddr, buf: &mut [u8]) -> Result<(), String> {
        self.memory.read(at, buf).map_err(|fault| fault.to_string())
    }

    pub(super) fn word(&self, at: VirtAddr) -> Result<u64, String> {
        let mut bytes = [0; 8];
        self.read(at, &mut bytes)?;
        Ok(u64::from_le_bytes(bytes))
    }

    pub(super) fn register(&self, number: u16) -> Result<u64, String> {
        let value = self.frame.values.get(usize::from(number)).copied().flatten();
        let name = || match gimli::X86_64::register_name(gimli::Register(number)) {
            Some(name) => name.to_owned(),
            None => number.to_string(),
        };
        value.ok_or_else(|| format!("register {} is not known in this frame", name()))
    }
}

/// The function that an expression is of.
#[derive(Clone, Copy)]
pub(super) struct Function<'u, 'd> {
    pub(super) dwarf: &'u gimli::Dwarf<Reader<'d>>,
    pub(super) unit: &'u Unit<'d>,
    /// Its entry.
    pub(super) entry: &'u Entry<'d>,
}

/// What an expression is computed in.
#[derive(Clone, Copy)]
pub(super) struct Setting<'u, 'd, 'f> {
    encoding: gimli::Encoding,
    /// None for those of call frame information.
    function: Option<Function<'u, 'd>>,
    frame: Activation<'f>,
    /// What is on the stack of values at first.
    first: Option<u64>,
    /// How many expressions led to it.
    depth: u32,
}

impl<'u, 'd, 'f> Setting<'u, 'd, 'f> {
    /// That of the expressions of a function.
    pub(super) fn of(function: Function<'u, 'd>, frame: &Activation<'f>) -> Self {
        let encoding = function.unit.encoding();
        Setting { encoding, function: Some(function), frame: *frame, first: None, depth: 0 }
    }

    /// That of call frame information.
    pub(super) fn of_frame(
        encoding: gimli::Encoding,
        frame: &Activation<'f>,
        first: Option<u64>,
    ) -> Self {
        Setting { encoding, function: None, frame: *frame, first, depth: 0 }
    }

    /// One step further from the first expression.
    fn deeper(self, than: u32) -> Self {
        Setting { depth: than + 1, ..self }
    }
}

/// A part of a value, and where it is.
pub(super) struct Evaluated {
    /// In bytes; `None` for the whole.
    pub(super) size: Option<usize>,
    pub(super) place: Place,
}

/// Where a part of a value is.
pub(super) enum Place {
    /// In memory.
    Address(VirtAddr),
    /// Nowhere; these bytes are it.
    Bytes(Vec<u8>),
    /// The compiler kept it nowhere.
    Nowhere,
    /// It points to a value that lies nowhere.
    Implicit,
}

impl Dwarf {
    /// The parts that an expression leads to; the whole thing mostly.
    pub(super) fn evaluate<'d>(
        &self,
        expression: Expression<Reader<'d>>,
        setting: Setting<'_, 'd, '_>,
    ) -> Result<Vec<Evaluated>, String> {
        let Setting { encoding, function, frame, first, depth } = setting;
        let damaged = |error: gimli::Error| format!("a damaged expression: {error}");
        if depth > MAX_DEPTH {
            return Err("expressions that lead to each other".to_owned());
        }
        let mut evaluation = expression.evaluation(encoding);
        evaluation.set_max_iterations(MAX_STEPS);
        if let Some(first) = first {
            evaluation.set_initial_value(first);
        }
        let mut state = evaluation.evaluate().map_err(damaged)?;
        loop {
            let next = match state {
                EvaluationResult::Complete => break,
                EvaluationResult::RequiresMemory { address, size, base_type, .. } => {
                    let mut bytes = [0; 8];
                    let room = bytes.get_mut(..usize::from(size).min(8)).unwrap_or_default();
                    frame.read(VirtAddr(address), room)?;
                    let value = typed(u64::from_le_bytes(bytes), function, base_type)?;
                    evaluation.resume_with_memory(value)
                }
                EvaluationResult::RequiresRegister { register, base_type } => {
                    let value = typed(frame.register(register.0)?, function, base_type)?;
                    evaluation.resume_with_register(value)
                }
                EvaluationResult::RequiresFrameBase => {
                    evaluation.resume_with_frame_base(self.frame_base(setting)?)
                }
                EvaluationResult::RequiresCallFrameCfa => {
                    evaluation.resume_with_call_frame_cfa(self.cfa(&frame)?)
                }
                EvaluationResult::RequiresEntryValue(asked) => {
                    let value = self.entry_value(asked, setting)?;
                    evaluation.resume_with_entry_value(Value::Generic(value))
                }
                EvaluationResult::RequiresRelocatedAddress(linked) => {
                    evaluation.resume_with_relocated_address(self.moved(linked))
                }
                EvaluationResult::RequiresIndexedAddress { index, relocate } => {
                    let function = function.ok_or("an address by number without a unit")?;
                    let at = function.dwarf.address(function.unit, index).map_err(damaged)?;
                    evaluation.resume_with_indexed_address(if relocate {
                        self.moved(at)
                    } else {
                        at
                    })
                }
                EvaluationResult::RequiresBaseType(offset) => {
                    evaluation.resume_with_base_type(base_type(function, offset)?)
                }
                EvaluationResult::RequiresTls(_) => {
                    return Err("a variable of a user thread".to_owned());
                }
                EvaluationResult::RequiresParameterRef(_) => {
                    return Err("it is an argument that was not passed".to_owned());
                }
                EvaluationResult::RequiresAtLocation(_) => {
                    return Err("an expression that refers to another variable's".to_owned());
                }
                _ => return Err("an expression of another machine".to_owned()),
            };
            state = next.map_err(damaged)?;
        }
        evaluation.result().iter().map(|piece| part(piece, &frame)).collect()
    }

    /// The one number that an expression computes.
    pub(super) fn number<'d>(
        &self,
        expression: Expression<Reader<'d>>,
        setting: Setting<'_, 'd, '_>,
    ) -> Result<u64, String> {
        let parts = self.evaluate(expression, setting)?;
        match parts.as_slice() {
            [Evaluated { place: Place::Address(at), .. }] => Ok(at.0),
            [Evaluated { place: Place::Bytes(bytes), .. }] => Ok(little_endian(bytes)),
            _ => Err("an expression without a value".to_owned()),
        }
    }

    fn cfa(&self, frame: &Activation<'_>) -> Result<u64, String> {
        let caller = self.caller(frame)?;
        Ok(caller.ok_or("nothing describes how its frame is found")?.cfa)
    }

    fn frame_base(&self, setting: Setting<'_, '_, '_>) -> Result<u64, String> {
        let Setting { function, frame, depth, .. } = setting;
        let function = function.ok_or("a frame's base outside of a function")?;
        let base = function.entry.attr_value(gimli::DW_AT_frame_base);
        let found = base.and_then(|base| self.expression_at(function, base, frame.at()));
        let expression = found.ok_or("its function has no frame base")?;
        self.number(expression, Setting::of(function, &frame).deeper(depth))
    }

    /// The expression that an attribute has for an address, directly or in a list.
    pub(super) fn expression_at<'d>(
        &self,
        function: Function<'_, 'd>,
        value: AttributeValue<Reader<'d>>,
        at: VirtAddr,
    ) -> Option<Expression<Reader<'d>>> {
        if let AttributeValue::Exprloc(expression) = value {
            return Some(expression);
        }
        let at = self.linked(at);
        let mut list = function.dwarf.attr_locations(function.unit, value).ok()??;
        while let Ok(Some(entry)) = list.next() {
            if (entry.range.begin..entry.range.end).contains(&at) {
                return Some(entry.data);
            }
        }
        None
    }

    /// What a register or a place held when the function was entered, as its caller's debug
    /// information says.
    fn entry_value<'d>(
        &self,
        asked: Expression<Reader<'d>>,
        setting: Setting<'_, 'd, '_>,
    ) -> Result<u64, String> {
        let Setting { function, frame, depth, .. } = setting;
        const UNKNOWN: &str = "what its caller passed is not known";
        let caller = frame.caller().ok_or(format!("{UNKNOWN}: there is no caller"))?;
        let none = || format!("{UNKNOWN}: no debug information of the caller");
        let its = (caller.dwarf_of)(caller.at()).ok_or_else(none)?;
        let at = its.linked(caller.at());
        let offset = its.unit_of(at).ok_or_else(none)?;
        let dwarf = its.gimli();
        let unit = its.unit(&dwarf, offset).map_err(|error| error.to_string())?;
        let scopes = its.scopes(&dwarf, &unit, at);
        let site = Function { dwarf: &dwarf, unit: &unit, entry: scopes.first().ok_or_else(none)? };
        let called = function
            .and_then(|function| self.name_of(function.dwarf, function.unit, function.entry));
        let return_to = its.linked(caller.frame.pc);
        let value = its.argument(site, return_to, asked.0.slice(), called.as_deref());
        let value = value.ok_or("its caller does not say what it passed")?;
        its.number(value, Setting::of(site, &caller).deeper(depth))
    }

    /// The expression for an argument (by the expression for where the ABI passes it) of the call
    /// that returns to an address.
    fn argument<'d>(
        &self,
        site: Function<'_, 'd>,
        return_to: u64,
        asked: &[u8],
        called: Option<&str>,
    ) -> Option<Expression<Reader<'d>>> {
        let mut entries = site.unit.entries_raw(Some(site.entry.offset())).ok()?;
        let mut entry = Entry::null();
        entries.read_entry(&mut entry).ok()?;
        // The depth of the call's own entry: its arguments are its children.
        let mut within: Option<isize> = None;
        while !entries.is_empty() && entries.next_depth() > 0 {
            if !entries.read_entry(&mut entry).ok()? {
                continue;
            }
            if within.is_some_and(|site| entry.depth() <= site) {
                return None;
            }
            match entry.tag() {
                gimli::DW_TAG_call_site | gimli::DW_TAG_GNU_call_site => {
                    let either = |new, old| entry.attr_value(new).or_else(|| entry.attr_value(old));
                    let at = either(gimli::DW_AT_call_return_pc, gimli::DW_AT_low_pc);
                    let at = site.dwarf.attr_address(site.unit, at?).ok().flatten();
                    if at != Some(return_to) {
                        continue;
                    }
                    // By a jump at its end (a tail call) another function may have been entered
                    // than the one that is called here.
                    let target = either(gimli::DW_AT_call_origin, gimli::DW_AT_abstract_origin);
                    if let Some(target) = target {
                        let target = self.named_by(site.dwarf, site.unit, target);
                        called.filter(|called| target.as_deref() == Some(called))?;
                    }
                    within = Some(entry.depth());
                }
                gimli::DW_TAG_call_site_parameter | gimli::DW_TAG_GNU_call_site_parameter
                    if within.is_some() =>
                {
                    let place = entry.attr_value(gimli::DW_AT_location);
                    let place = place.and_then(|place| place.exprloc_value());
                    if place.is_some_and(|place| place.0.slice() == asked) {
                        let value = entry
                            .attr_value(gimli::DW_AT_call_value)
                            .or_else(|| entry.attr_value(gimli::DW_AT_GNU_call_site_value));
                        return value.and_then(|value| value.exprloc_value());
                    }
                }
                _ => {}
            }
        }
        None
    }

    /// From an address in the file to that in the running kernel. Those of per-CPU variables are
    /// distances, which nothing moves.
    fn moved(&self, linked: u64) -> u64 {
        if linked >= KERNEL_HALF { linked.wrapping_add(self.shift) } else { linked }
    }
}

/// Where gimli's part of a value is.
fn part(piece: &Piece<Reader<'_>>, frame: &Activation<'_>) -> Result<Evaluated, String> {
    let place = match piece.location {
        Location::Empty => Place::Nowhere,
        Location::Address { address } => Place::Address(VirtAddr(address)),
        Location::Register { register } => {
            Place::Bytes(frame.register(register.0)?.to_le_bytes().to_vec())
        }
        Location::Value { value } => {
            let number = value.to_u64(u64::MAX).map_err(|error| error.to_string())?;
            Place::Bytes(number.to_le_bytes().to_vec())
        }
        Location::Bytes { value } => Place::Bytes(value.slice().to_vec()),
        Location::ImplicitPointer { .. } => Place::Implicit,
    };
    let odd = |bits: Option<u64>| bits.is_some_and(|bits| bits % 8 != 0);
    if odd(piece.size_in_bits) || piece.bit_offset.is_some_and(|offset| offset != 0) {
        return Err("it lies in single bits of several places".to_owned());
    }
    let size = piece.size_in_bits.map(|bits| usize::try_from(bits / 8).unwrap_or(usize::MAX));
    Ok(Evaluated { size, place })
}

/// Little endian bytes as a number: the first eight of them.
fn little_endian(bytes: &[u8]) -> u64 {
    bytes.iter().take(8).rev().fold(0, |number, byte| number << 8 | u64::from(*byte))
}

/// A value as one of the type that the expression names; 0 stands for none.
fn typed(
    value: u64,
    function: Option<Function<'_, '_>>,
    offset: gimli::UnitOffset,
) -> Result<Value, String> {
    let ty = if offset.0 == 0 { ValueType::Generic } else { base_type(function, offset)? };
    Value::from_u64(ty, value).map_err(|error| error.to_string())
}

fn base_type(
    function: Option<Function<'_, '_>>,
    offset: gimli::UnitOffset,
) -> Result<ValueType, String> {
    let ty = function.and_then(|function| {
        let entry = function.unit.entry(offset).ok()?;
        ValueType::from_entry(&entry).ok().flatten()
    });
    ty.ok_or_else(|| "an expression with a type that is none".to_owned())
}
