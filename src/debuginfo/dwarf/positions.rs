//! From an address to functions, files and lines.
//!
//! Of all the debug information only the unit of the address is read: once for where its functions
//! and lines are, which is kept, and then for each address only the function that it is in.
//! Backtraces of thousands of tasks have few distinct addresses: what was found is kept too.

use super::functions::{Entry, Functions, covering};
use super::lines::{Lines, file_name};
use super::units::{Start, Unit};
use super::{Dwarf, DwarfError, Reader};
use crate::dump::VirtAddr;
use foldhash::HashMap;
use gimli::AttributeValue;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

/// Line rows of all units that are kept: 16 bytes each.
const MAX_KEPT_ROWS: usize = 1 << 22;
/// Units that are kept.
const MAX_KEPT_UNITS: usize = 1 << 10;
/// Addresses whose positions are kept.
const MAX_KEPT_POSITIONS: usize = 1 << 16;

/// Where an instruction comes from: one function that it is part of, and the line there.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Position {
    /// The function's name, scrubbed; assembly code may have none.
    pub function: Option<Box<str>>,
    /// Whether the compiler put it into the one after it.
    pub inlined: bool,
    /// The file as the kernel's build names it: `kernel/sched/core.c`.
    pub file: Option<Box<str>>,
    /// The line in it: the call's for all but the innermost function.
    pub line: Option<u32>,
}

/// What was found so far.
#[derive(Default)]
pub(super) struct Places {
    units: Mutex<Units>,
    positions: Mutex<HashMap<u64, Arc<[Position]>>>,
}

#[derive(Default)]
struct Units {
    code: HashMap<Start, Arc<OnceLock<Code>>>,
    rows: usize,
}

/// Where the code of a unit is.
#[derive(Default)]
struct Code {
    functions: Functions,
    lines: Lines,
}

impl Dwarf {
    /// The function that holds an address of the running kernel comes last; before it those that
    /// the compiler put there, the innermost first. Nothing where the address is of no unit.
    ///
    /// # Errors
    /// [`DwarfError`] when the address's unit cannot be read.
    pub fn positions(&self, at: VirtAddr) -> Result<Arc<[Position]>, DwarfError> {
        let at = self.linked(at);
        let kept = self.places.positions.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(positions) = kept.get(&at) {
            return Ok(Arc::clone(positions));
        }
        drop(kept);
        let positions: Arc<[Position]> = self.find_positions(at)?.into();
        let mut kept = self.places.positions.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() >= MAX_KEPT_POSITIONS {
            kept.clear();
        }
        kept.insert(at, Arc::clone(&positions));
        Ok(positions)
    }

    fn find_positions(&self, at: u64) -> Result<Vec<Position>, DwarfError> {
        let Some(offset) = self.unit_of(at) else { return Ok(Vec::new()) };
        let dwarf = self.gimli();
        let unit = self.unit(&dwarf, offset)?;
        let code = self.code_of(&dwarf, &unit);
        let mut line = code.get().and_then(|code| code.lines.at(at));
        let mut positions = Vec::new();
        for entry in self.scopes(&dwarf, &unit, at).iter().rev() {
            if entry.tag() == gimli::DW_TAG_lexical_block {
                continue;
            }
            let inlined = entry.tag() == gimli::DW_TAG_inlined_subroutine;
            positions.push(Position {
                function: self.name_of(&dwarf, &unit, entry),
                inlined,
                file: line.and_then(|(file, _)| file_name(&dwarf, &unit, file)),
                line: line.and_then(|(_, line)| line),
            });
            line = if inlined { call_site(entry) } else { None };
        }
        if let (true, Some((file, line))) = (positions.is_empty(), line) {
            let file = file_name(&dwarf, &unit, file);
            positions.push(Position { function: None, inlined: false, file, line });
        }
        Ok(positions)
    }

    /// Where the code of a unit is. Threads that want the same unit wait for the one that reads it.
    fn code_of<'d>(
        &self,
        dwarf: &gimli::Dwarf<Reader<'d>>,
        unit: &Unit<'d>,
    ) -> Arc<OnceLock<Code>> {
        let lock = || self.places.units.lock().unwrap_or_else(PoisonError::into_inner);
        let slot = Arc::clone(lock().code.entry(unit.start).or_default());
        let mut read = 0;
        slot.get_or_init(|| {
            let (functions, damage) = Functions::read(dwarf, unit);
            if let Some(error) = damage {
                self.note_unit(dwarf, unit.start, error);
            }
            let (lines, damage) = Lines::read(unit);
            if let Some(error) = damage {
                self.note_lines(unit.name, unit.start, error);
            }
            read = lines.len();
            Code { functions, lines }
        });
        if read > 0 {
            let mut units = lock();
            units.rows += read;
            if units.rows > MAX_KEPT_ROWS || units.code.len() > MAX_KEPT_UNITS {
                *units = Units::default();
            }
        }
        slot
    }

    /// The entries of the function at an address (as linked) that cover it, as [`covering`] has
    /// them.
    pub(super) fn scopes<'d>(
        &self,
        dwarf: &gimli::Dwarf<Reader<'d>>,
        unit: &Unit<'d>,
        at: u64,
    ) -> Vec<Entry<'d>> {
        let code = self.code_of(dwarf, unit);
        let function = code.get().and_then(|code| code.functions.at(at));
        function.map(|function| covering(dwarf, unit, function, at)).unwrap_or_default()
    }
}

/// The number of the file and the line where what is inlined is called.
fn call_site(entry: &Entry<'_>) -> Option<(u64, Option<u32>)> {
    let file = match entry.attr_value(gimli::DW_AT_call_file)? {
        AttributeValue::FileIndex(index) => index,
        other => other.udata_value()?,
    };
    let line = entry.attr_value(gimli::DW_AT_call_line).and_then(|line| line.udata_value());
    Some((file, line.and_then(|line| u32::try_from(line).ok()).filter(|line| *line != 0)))
}

#[cfg(test)]
mod tests {
    use super::super::ranges::UnitRanges;
    use super::super::testing::{Compiled, compile};
    use super::*;

    const SOURCE: &str = r#"extern volatile int sink;
volatile int sink;
static inline __attribute__((always_inline)) void innermost(int n)
{
	sink = n;
	asm volatile(".globl inside\ninside: nop");
}
static inline __attribute__((always_inline)) void middle(int n)
{
	if (n > 3) {
		int twice = n * 2;
		innermost(twice);
	}
}
__attribute__((noinline)) int outer(int n)
{
	middle(n);
	asm volatile(".globl after\nafter: nop");
	return n;
}
__attribute__((noinline, cold)) int other(int n)
{
	sink = n;
	asm volatile(".globl elsewhere\nelsewhere: nop");
	return n;
}
"#;

    fn told(compiled: &Compiled, symbol: &str) -> Vec<String> {
        let positions = compiled.dwarf.positions(compiled.at(symbol)).unwrap();
        let text = |position: &Position| {
            let inlined = if position.inlined { " inlined" } else { "" };
            let name = position.function.as_deref().unwrap_or("?");
            let file = position.file.as_deref().unwrap_or("?");
            format!("{name} {file}:{}{inlined}", position.line.unwrap_or(0))
        };
        positions.iter().map(text).collect()
    }

    #[test]
    fn an_address_has_its_function_its_inlined_functions_and_their_lines() {
        for version in ["-gdwarf-5", "-gdwarf-4", "-gdwarf-3"] {
            let compiled = compile(SOURCE, &[version]);
            let inside = [
                "innermost kernel/test.c:6 inlined",
                "middle kernel/test.c:12 inlined",
                "outer kernel/test.c:17",
            ];
            for _ in 0..2 {
                assert_eq!(told(&compiled, "inside"), inside, "{version}");
            }
            assert_eq!(told(&compiled, "after"), ["outer kernel/test.c:18"], "{version}");
            assert_eq!(told(&compiled, "elsewhere"), ["other kernel/test.c:24"], "{version}");
        }
    }

    #[test]
    fn units_that_aranges_do_not_name_are_found_by_their_own_ranges() {
        let compiled = compile(SOURCE, &["-g"]);
        let without_aranges = UnitRanges::naming_nothing();
        let dwarf = Dwarf { unit_ranges: without_aranges, ..compiled.dwarf };
        let compiled = Compiled { dwarf, ..compiled };
        assert_eq!(told(&compiled, "elsewhere"), ["other kernel/test.c:24"]);
    }

    #[test]
    fn an_address_outside_of_all_code_has_no_position() {
        let compiled = compile(SOURCE, &["-g"]);
        assert!(compiled.dwarf.positions(VirtAddr(0x1000)).unwrap().is_empty());
        assert!(compiled.dwarf.positions(VirtAddr(u64::MAX)).unwrap().is_empty());
    }
}
