//! The parameters and variables of the functions at an address, and where they are.

use super::functions::Entry;
use super::location::{Activation, Evaluated, Function, Place, Setting};
use super::units::Unit;
use super::{Dwarf, DwarfError, Reader};
use crate::debuginfo::TypeId;
use crate::dump::VirtAddr;
use gimli::AttributeValue;

/// Variables of one frame; a generated function may have hundreds.
const MAX_LOCALS: usize = 4096;
/// Bytes of a value that lies in several places.
const MAX_SIZE: usize = 1 << 16;

/// A parameter or variable in a frame.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Local {
    /// Its name, scrubbed.
    pub name: Box<str>,
    /// Its type.
    pub ty: TypeId,
    /// Whether the function was given it.
    pub parameter: bool,
    /// Whose it is: the number of its function in [`Dwarf::positions`].
    pub position: usize,
    /// Where its value is.
    pub place: LocalPlace,
}

/// Where a variable's value is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum LocalPlace {
    /// In memory.
    Address(VirtAddr),
    /// In registers or nowhere: these bytes begin with the value.
    Bytes(Vec<u8>),
    /// The compiler keeps it nowhere here.
    OptimizedOut,
    /// It is somewhere, but not to be had; why.
    Unreadable(String),
}

impl Dwarf {
    /// The parameters and variables of the functions at a frame's place, the innermost inlined
    /// function's first, and in each function the outermost block's.
    ///
    /// # Errors
    /// [`DwarfError`] when the unit of the code cannot be read.
    pub fn locals(&self, frame: &Activation<'_>) -> Result<Vec<Local>, DwarfError> {
        let at = self.linked(frame.at());
        let Some(offset) = self.unit_of(at) else { return Ok(Vec::new()) };
        let dwarf = self.gimli();
        let unit = self.unit(&dwarf, offset)?;
        let scopes = self.scopes(&dwarf, &unit, at);
        let Some(outermost) = scopes.first() else { return Ok(Vec::new()) };
        let function = Function { dwarf: &dwarf, unit: &unit, entry: outermost };
        let is_inlined = |scope: &&Entry<'_>| scope.tag() == gimli::DW_TAG_inlined_subroutine;
        let mut position = scopes.iter().filter(is_inlined).count();
        let mut locals = Vec::new();
        for scope in &scopes {
            position -= usize::from(is_inlined(&scope));
            for entry in variables(&unit, scope) {
                if locals.len() >= MAX_LOCALS {
                    break;
                }
                locals.extend(self.local(function, &entry, position, frame));
            }
        }
        locals.sort_by_key(|local| local.position);
        Ok(locals)
    }

    fn local<'d>(
        &self,
        function: Function<'_, 'd>,
        entry: &Entry<'d>,
        position: usize,
        frame: &Activation<'_>,
    ) -> Option<Local> {
        let Function { dwarf, unit, .. } = function;
        // Declared here, defined elsewhere: not the frame's.
        if entry.attr(gimli::DW_AT_declaration).is_some() {
            return None;
        }
        let name = self.name_of(dwarf, unit, entry)?;
        let ty = self.attribute(dwarf, unit, entry, gimli::DW_AT_type, |unit, value| {
            u32::try_from(self.referred_to(unit.start, &value)?).ok()
        });
        let place = match self.place(function, entry, frame) {
            Ok(place) => place,
            Err(reason) => LocalPlace::Unreadable(reason),
        };
        Some(Local {
            name,
            ty: self.id(ty.unwrap_or(0)),
            parameter: entry.tag() == gimli::DW_TAG_formal_parameter,
            position,
            place,
        })
    }

    fn place<'d>(
        &self,
        function: Function<'_, 'd>,
        entry: &Entry<'d>,
        frame: &Activation<'_>,
    ) -> Result<LocalPlace, String> {
        let Function { dwarf, unit, .. } = function;
        let constant = |_: &Unit<'d>, value| Some(value);
        if let Some(value) = self.attribute(dwarf, unit, entry, gimli::DW_AT_const_value, constant)
        {
            return Ok(LocalPlace::Bytes(constant_bytes(&value)?));
        }
        // Without a location the compiler kept it nowhere; a list of them that leaves this place
        // out says the same of it.
        let location = entry.attr_value(gimli::DW_AT_location);
        let expression = location.and_then(|value| self.expression_at(function, value, frame.at()));
        let Some(expression) = expression.filter(|expression| !expression.0.is_empty()) else {
            return Ok(LocalPlace::OptimizedOut);
        };
        let parts = self.evaluate(expression, Setting::of(function, frame))?;
        gathered(parts, frame)
    }
}

/// The parameters and variables that stand directly in a function or block.
fn variables<'d>(unit: &Unit<'d>, scope: &Entry<'d>) -> Vec<Entry<'d>> {
    let mut found = Vec::new();
    let Ok(mut entries) = unit.entries_raw(Some(scope.offset())) else { return found };
    let mut entry = Entry::null();
    if entries.read_entry(&mut entry).is_err() {
        return found;
    }
    while !entries.is_empty() && entries.next_depth() > 0 && found.len() < MAX_LOCALS {
        match entries.read_entry(&mut entry) {
            Ok(true) if entry.depth() == 1 => {
                let wanted = [gimli::DW_TAG_formal_parameter, gimli::DW_TAG_variable];
                if wanted.contains(&entry.tag()) {
                    found.push(entry.clone());
                }
            }
            Ok(_) => {}
            Err(_) => break,
        }
    }
    found
}

/// A constant as the bytes of a value.
fn constant_bytes(value: &AttributeValue<Reader<'_>>) -> Result<Vec<u8>, String> {
    if let AttributeValue::Block(bytes) = value {
        return Ok(bytes.slice().to_vec());
    }
    let number = value.sdata_value().map(i64::cast_unsigned).or_else(|| value.udata_value());
    let number = number.ok_or("a constant of an unknown form")?;
    Ok(number.to_le_bytes().to_vec())
}

/// The parts of a value as one.
fn gathered(parts: Vec<Evaluated>, frame: &Activation<'_>) -> Result<LocalPlace, String> {
    const IMPLICIT: &str = "it points to a value that the compiler keeps nowhere as a whole";
    let mut parts = parts;
    if let [Evaluated { size: None, .. }] = parts.as_slice() {
        return match parts.pop().map(|part| part.place) {
            Some(Place::Address(at)) => Ok(LocalPlace::Address(at)),
            Some(Place::Bytes(bytes)) => Ok(LocalPlace::Bytes(bytes)),
            Some(Place::Implicit) => Err(IMPLICIT.to_owned()),
            Some(Place::Nowhere) | None => Ok(LocalPlace::OptimizedOut),
        };
    }
    if parts.iter().all(|part| matches!(part.place, Place::Nowhere)) {
        return Ok(LocalPlace::OptimizedOut);
    }
    let mut bytes = Vec::new();
    for part in parts {
        let len = part.size.unwrap_or(0);
        if bytes.len().saturating_add(len) > MAX_SIZE {
            return Err("it is too large for a value in several places".to_owned());
        }
        match part.place {
            Place::Address(at) => {
                let start = bytes.len();
                bytes.resize(start + len, 0);
                frame.read(at, bytes.get_mut(start..).unwrap_or_default())?;
            }
            Place::Bytes(mut part) => {
                part.resize(len, 0);
                bytes.extend(part);
            }
            Place::Nowhere => return Err("a part of it is optimized out".to_owned()),
            Place::Implicit => return Err(IMPLICIT.to_owned()),
        }
    }
    Ok(LocalPlace::Bytes(bytes))
}

#[cfg(test)]
mod tests {
    use super::super::location::FrameRegisters;
    use super::super::testing::{Compiled, compile};
    use super::*;
    use crate::memory::FlatMemory;

    const SOURCE: &str = r#"struct pair { long first, second; };
__attribute__((noipa)) void sleeps(void) { asm volatile("" ::: "memory"); }
static inline __attribute__((always_inline)) void middle(int twice)
{
	sleeps();
	asm volatile(".globl inside\ninside: nop" ::: "memory");
}
__attribute__((noipa)) int callee(int n, struct pair *pair, int *kept)
{
	static int calls asm("calls_of_callee");
	int gone;
	const int seven = 7;
	calls++;
	asm volatile("" : "=a"(gone));
	sleeps();
	asm volatile("" :: "r"(kept));
	middle(n * 2);
	asm volatile("" :: "r"(kept), "r"(seven));
	return 1;
}
__attribute__((noipa)) void caller(int *kept)
{
	struct pair pair = { 1, 2 };
	callee(42, &pair, kept);
	asm volatile(".globl back\nback: nop" ::: "memory");
}
void _start(void) { caller(0); }
"#;

    /// Both frames with registers of 0x1000 times their number, and rsp in memory.
    fn frames(compiled: &Compiled) -> [FrameRegisters; 2] {
        let registers = |base: u64| {
            let mut values = [None; 17];
            for (value, number) in values.iter_mut().zip(0..) {
                // Those that a call preserves.
                *value =
                    [3, 6, 7, 12, 13, 14, 15].contains(&number).then_some(base + 0x1000 * number);
            }
            values
        };
        let (inside, back) = (compiled.at("inside"), compiled.at("back"));
        [
            FrameRegisters { at: inside, pc: inside, values: registers(0) },
            FrameRegisters { at: back.minus(1), pc: back, values: registers(0x10_0000) },
        ]
    }

    fn of(compiled: &Compiled, frames: &[FrameRegisters]) -> Vec<Local> {
        let memory = FlatMemory::new();
        let dwarf_of = |_| Some(&compiled.dwarf);
        let activation = Activation::new(frames, &memory, &dwarf_of).unwrap();
        compiled.dwarf.locals(&activation).unwrap()
    }

    fn place<'l>(locals: &'l [Local], name: &str) -> &'l LocalPlace {
        &locals.iter().find(|local| local.name.as_ref() == name).unwrap().place
    }

    #[test]
    fn values_come_from_registers_constants_memory_and_callers() {
        for version in ["-gdwarf-5", "-gdwarf-4"] {
            let compiled = compile(SOURCE, &[version]);
            let frames = frames(&compiled);
            let locals = of(&compiled, &frames);
            let number = |name: &str| match place(&locals, name) {
                LocalPlace::Bytes(bytes) => {
                    u64::from_le_bytes(*bytes.first_chunk().expect("eight bytes"))
                }
                other => panic!("{name}: {other:?}"),
            };
            // Passed in a register that is lost by now: the caller says what it was.
            assert_eq!(number("n"), 42, "{version}");
            assert_eq!(number("seven"), 7);
            // The compiler chose a register that calls preserve.
            assert!([0x3000, 0x6000, 0xc000].contains(&number("kept")), "{:x}", number("kept"));
            assert_eq!(place(&locals, "gone"), &LocalPlace::OptimizedOut);
            let calls = compiled.at("calls_of_callee");
            assert_eq!(place(&locals, "calls"), &LocalPlace::Address(calls));
            let twice = locals.iter().find(|local| local.name.as_ref() == "twice").unwrap();
            assert_eq!((twice.position, twice.parameter), (0, true));
            let n = locals.iter().find(|local| local.name.as_ref() == "n").unwrap();
            assert_eq!((n.position, n.parameter), (1, true));
        }
    }

    #[test]
    fn what_lies_on_the_callers_stack_is_found_by_its_stack_pointer() {
        let compiled = compile(SOURCE, &["-g"]);
        let frames = frames(&compiled);
        let caller = of(&compiled, &frames[1..]);
        let LocalPlace::Address(pair) = place(&caller, "pair") else { panic!("{caller:?}") };
        assert!((0x10_7000..0x10_7040).contains(&pair.0), "{pair}");
        // The argument that the caller passed is that place.
        let callee = of(&compiled, &frames);
        assert_eq!(place(&callee, "pair"), &LocalPlace::Bytes(pair.0.to_le_bytes().to_vec()));
    }

    #[test]
    fn a_register_that_is_lost_is_told_from_a_value_that_never_was() {
        let compiled = compile(SOURCE, &["-g"]);
        let mut frames = frames(&compiled);
        for frame in &mut frames {
            frame.values = [None; 17];
        }
        let locals = of(&compiled, &frames);
        let LocalPlace::Unreadable(why) = place(&locals, "kept") else { panic!("{locals:?}") };
        assert!(why.starts_with("register r"), "{why}");
        assert!(why.ends_with(" is not known in this frame"), "{why}");
        assert_eq!(place(&locals, "gone"), &LocalPlace::OptimizedOut);
        // Without the caller's frame nobody knows what it passed.
        let locals = of(&compiled, &frames[..1]);
        let LocalPlace::Unreadable(why) = place(&locals, "n") else { panic!("{locals:?}") };
        assert_eq!(why, "what its caller passed is not known: there is no caller");
    }

    #[test]
    fn parts_of_a_value_are_put_together() {
        let memory = {
            let mut memory = FlatMemory::new();
            memory.put(0x1000, &[3, 4]);
            memory
        };
        let frames = [FrameRegisters { at: VirtAddr(0), pc: VirtAddr(0), values: [None; 17] }];
        let dwarf_of = |_| None;
        let frame = Activation::new(&frames, &memory, &dwarf_of).unwrap();
        let part = |size, place| Evaluated { size: Some(size), place };
        let together = |parts| gathered(parts, &frame);
        assert_eq!(
            together(vec![
                part(2, Place::Bytes(vec![1, 2, 9, 9])),
                part(2, Place::Address(VirtAddr(0x1000))),
            ]),
            Ok(LocalPlace::Bytes(vec![1, 2, 3, 4]))
        );
        assert_eq!(together(vec![part(4, Place::Nowhere)]), Ok(LocalPlace::OptimizedOut));
        assert_eq!(
            together(vec![part(2, Place::Bytes(vec![1, 2])), part(2, Place::Nowhere)]),
            Err("a part of it is optimized out".to_owned())
        );
        assert!(together(vec![part(usize::MAX, Place::Address(VirtAddr(0)))]).is_err());
        assert!(together(vec![part(8, Place::Address(VirtAddr(0x2000)))]).is_err());
    }

    #[test]
    fn damaged_debug_information_neither_panics_nor_takes_forever() {
        use crate::debuginfo::elf::tests::open;
        let options = ["-O2", "-g", "-mcmodel=kernel", "-Wl,-Ttext=0xffffffff81000000"];
        let compiled = super::super::compiled::Compiled::new(&[SOURCE], &options);
        let whole = compiled.bytes();
        let file = open(whole.clone()).unwrap();
        let symbols = file.symbols(0).unwrap();
        let at = |name: &str| symbols.find_all(name).next().unwrap().at;
        let places = [at("inside"), at("back"), at("callee")];
        let memory = FlatMemory::new();
        let mut random = 0x9e37_79b9_7f4a_7c15_u64;
        let mut next = |below: usize| {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            usize::try_from(random >> 16).unwrap() % below
        };
        let mut told = 0;
        for _ in 0..300 {
            let mut bytes = whole.clone();
            // The debug information lies behind the code.
            for _ in 0..20 {
                let at = 0x1000 + next(bytes.len() - 0x1000);
                bytes[at] = u8::try_from(next(256)).unwrap();
            }
            let Ok(dwarf) = open(bytes).map(|file| Dwarf::new(&file, 0, 0)) else { continue };
            let Ok(dwarf) = dwarf else { continue };
            for pc in places {
                let frame = FrameRegisters { at: pc, pc, values: [Some(0x1000); 17] };
                let frames = [frame.clone(), frame];
                let dwarf_of = |_| Some(&dwarf);
                let activation = Activation::new(&frames, &memory, &dwarf_of).unwrap();
                told += dwarf.locals(&activation).map_or(0, |locals| locals.len());
                told += dwarf.positions(pc).map_or(0, |positions| positions.len());
                told += dwarf.caller(&activation).map_or(0, |caller| usize::from(caller.is_some()));
            }
        }
        assert!(told > 0, "all of them were too damaged to say anything");
    }
}
