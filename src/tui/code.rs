//! The code screen's lines, and the arrows beside them.
//!
//! All jumps to one instruction inside the function share one arrow. Arrows run in lanes left of
//! the instructions, the shortest next to them, so that those of a loop stay inside those around
//! it; what finds no lane has no arrow.

use super::model::{CodeView, Place};
use crate::dump::VirtAddr;
use crate::present::{Disassembly, InstructionRow, Radix};
use std::borrow::Cow;
use std::collections::BTreeMap;

/// One line.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum CodeRow {
    /// The source line that starts with the instruction of that position.
    Source(usize),
    /// The instruction of that position.
    Instruction(usize),
    /// The code ends early.
    Cut,
}

impl CodeRow {
    /// What a search looks at.
    pub(crate) fn text(self, view: &CodeView) -> Cow<'_, str> {
        match self {
            CodeRow::Instruction(n) => {
                let row = view.disassembly.rows.get(n);
                row.map_or_else(Cow::default, |row| row.line(Radix::Hex).text.into())
            }
            CodeRow::Source(n) => view.disassembly.starts(n).map_or_else(Cow::default, |origin| {
                let text = origin.text.as_deref().unwrap_or_default();
                format!("{}:{} {text}", origin.file, origin.line).into()
            }),
            CodeRow::Cut => view.cut.as_deref().unwrap_or_default().into(),
        }
    }
}

/// The lines of the code, with those of its source or without.
pub(crate) fn rows(view: &CodeView, source_lines: bool) -> Vec<CodeRow> {
    let mut rows = Vec::new();
    for n in 0..view.disassembly.rows.len() {
        if source_lines && view.disassembly.starts(n).is_some() {
            rows.push(CodeRow::Source(n));
        }
        rows.push(CodeRow::Instruction(n));
    }
    rows.extend(view.cut.as_ref().map(|_| CodeRow::Cut));
    rows
}

/// The instruction of a line, or the first one of a source line.
pub(crate) fn instruction<'v>(
    view: &'v CodeView,
    rows: &[CodeRow],
    row: usize,
) -> Option<&'v InstructionRow> {
    match rows.get(row)? {
        CodeRow::Instruction(n) | CodeRow::Source(n) => view.disassembly.rows.get(*n),
        CodeRow::Cut => None,
    }
}

/// Where Enter goes on a line.
pub(crate) fn place<'v>(view: &'v CodeView, rows: &[CodeRow], row: usize) -> Option<&'v Place> {
    match rows.get(row)? {
        CodeRow::Instruction(n) => view.places.get(*n)?.as_ref(),
        CodeRow::Source(_) | CodeRow::Cut => None,
    }
}

/// The line of the instruction that covers an address.
pub(crate) fn row_of(view: &CodeView, rows: &[CodeRow], at: VirtAddr) -> Option<usize> {
    let position = view.disassembly.position(at)?;
    rows.iter().position(|row| *row == CodeRow::Instruction(position))
}

/// How many arrows may run beside each other.
pub(crate) const LANES: usize = 8;

/// One arrow: from all the instructions that jump to one.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Arrow {
    lane: usize,
    first: usize,
    last: usize,
}

/// What stands in the lanes beside an instruction; a bit a lane, the lowest next to it.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(crate) struct Lanes {
    /// Those that go on above.
    pub(crate) up: u8,
    /// Those that go on below.
    pub(crate) down: u8,
    /// Those that end or start here.
    pub(crate) ends: u8,
    /// Those that lead here.
    pub(crate) heads: u8,
}

/// The arrows of a function.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub(crate) struct Jumps {
    arrows: Vec<Arrow>,
    /// Beside each instruction.
    lanes: Vec<Lanes>,
}

impl Jumps {
    /// The arrows of all jumps inside the function.
    pub(crate) fn of(disassembly: &Disassembly) -> Jumps {
        let mut to: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        for (from, row) in disassembly.rows.iter().enumerate() {
            // A call of the function by itself is no jump.
            let target = row.target.as_ref().filter(|target| target.branch && !row.is_call());
            let target = target.and_then(|target| disassembly.position(target.at));
            if let Some(target) = target {
                to.entry(target).or_default().push(from);
            }
        }
        let mut all: Vec<(usize, usize, usize)> = to
            .iter()
            .map(|(target, from)| {
                let ends = || from.iter().chain([target]);
                let first = ends().min().copied().unwrap_or(*target);
                (first, ends().max().copied().unwrap_or(*target), *target)
            })
            .collect();
        all.sort_by_key(|(first, last, _)| (last - first, *first));
        let mut lanes = vec![Lanes::default(); disassembly.rows.len()];
        let mut arrows = Vec::new();
        // The arrows that each lane has, by their first instruction.
        let mut taken: [BTreeMap<usize, usize>; LANES] = Default::default();
        for (first, last, target) in all {
            let free = |taken: &BTreeMap<usize, usize>| {
                taken.range(..=last).next_back().is_none_or(|(_, end)| *end < first)
            };
            let Some(lane) = taken.iter().position(free) else { continue };
            if let Some(taken) = taken.get_mut(lane) {
                taken.insert(first, last);
            }
            arrows.push(Arrow { lane, first, last });
            let bit = 1 << lane;
            for (n, here) in lanes.iter_mut().enumerate().take(last + 1).skip(first) {
                here.up |= if n > first { bit } else { 0 };
                here.down |= if n < last { bit } else { 0 };
            }
            for end in to.get(&target).into_iter().flatten().chain([&target]) {
                if let Some(here) = lanes.get_mut(*end) {
                    here.ends |= bit;
                }
            }
            if let Some(here) = lanes.get_mut(target) {
                here.heads |= bit;
            }
        }
        Jumps { arrows, lanes }
    }

    /// What stands beside an instruction.
    pub(crate) fn beside(&self, instruction: usize) -> Lanes {
        self.lanes.get(instruction).copied().unwrap_or_default()
    }

    /// The lanes beside `instruction` whose arrow starts or ends at `other`.
    pub(crate) fn shared(&self, instruction: usize, other: usize) -> u8 {
        let ends = self.beside(other).ends;
        if ends == 0 {
            return 0;
        }
        let both = |arrow: &&Arrow| {
            let covers = |n| (arrow.first..=arrow.last).contains(&n);
            ends & 1 << arrow.lane != 0 && covers(other) && covers(instruction)
        };
        self.arrows.iter().filter(both).fold(0, |bits, arrow| bits | 1 << arrow.lane)
    }

    /// How many lanes are in use.
    pub(crate) fn width(&self) -> usize {
        self.arrows.iter().map(|arrow| arrow.lane + 1).max().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::debuginfo::Symbols;
    use crate::kernel::Code;

    fn jumps(bytes: &[u8]) -> Jumps {
        let code = Code::decode(VirtAddr(0xffff_ffff_8100_0000), bytes.to_vec());
        Jumps::of(&Disassembly::of(&code, &Symbols::default()))
    }

    #[test]
    fn a_loop_stays_inside_the_one_around_it() {
        // 0: nop; 1: nop; 2: jmp 1; 3: jmp 0
        let jumps = jumps(&[0x90, 0x90, 0xeb, 0xfd, 0xeb, 0xfa]);
        assert_eq!(jumps.width(), 2);
        assert_eq!(jumps.beside(1), Lanes { up: 2, down: 3, ends: 1, heads: 1 });
        assert_eq!(jumps.beside(2), Lanes { up: 3, down: 2, ends: 1, heads: 0 });
        assert_eq!(jumps.beside(3), Lanes { up: 2, down: 0, ends: 2, heads: 0 });
        // Beside the inner jump runs the outer arrow, which is that of the last line.
        assert_eq!((jumps.shared(2, 3), jumps.shared(0, 3), jumps.shared(2, 2)), (2, 2, 1));
    }

    #[test]
    fn jumps_to_one_place_share_an_arrow_and_lanes_are_used_again() {
        // 0: jmp 2; 1: jmp 2; 2: nop; 3: jmp 4; 4: nop
        let jumps = jumps(&[0xeb, 0x02, 0xeb, 0x00, 0x90, 0xeb, 0x00, 0x90]);
        assert_eq!(jumps.width(), 1);
        assert_eq!(jumps.beside(1), Lanes { up: 1, down: 1, ends: 1, heads: 0 });
        assert_eq!(jumps.beside(4).heads, 1);
    }

    #[test]
    fn calls_and_jumps_out_of_the_function_have_no_arrow() {
        assert_eq!(jumps(&[0x90, 0xe8, 0xfa, 0xff, 0xff, 0xff, 0xeb, 0x40]).width(), 0);
    }

    #[test]
    fn what_finds_no_lane_has_no_arrow() {
        // Sixteen jumps inside each other.
        let mut bytes = Vec::new();
        bytes.extend((0..16_u8).flat_map(|n| [0xeb, 2 * (31 - n) - 2 * n - 2]));
        bytes.extend([0x66, 0x90].repeat(16));
        assert_eq!(jumps(&bytes).width(), LANES);
    }
}
