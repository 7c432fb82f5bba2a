//! Machine code as plain data, and its text as crash prints it.

use super::assembly::{Spelled, Speller};
use super::{Cell, Heading, Line, Link, Radix, Table};
use crate::debuginfo::{Position, SourceFile, Symbols};
use crate::dump::VirtAddr;
use crate::kernel::{Code, Session};
use foldhash::HashMap;
use std::sync::Arc;

/// What ftrace patches a call into, and out of again: `nopl 0x0(%rax,%rax,1)`.
const FTRACE_NOP: [u8; 5] = [0x0f, 0x1f, 0x44, 0x00, 0x00];
/// `endbr64`, which may stand before it.
const ENDBR64_LEN: u64 = 4;
/// The lowest address of the kernel's half; what lies below is a distance into per-CPU memory.
const KERNEL: u64 = 1 << 63;

/// A stretch of machine code, instruction by instruction.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Disassembly {
    /// In order of their addresses.
    pub rows: Vec<InstructionRow>,
    /// Whether their lines were asked for.
    pub with_lines: bool,
}

/// One instruction.
#[derive(Clone, PartialEq, Debug)]
pub struct InstructionRow {
    /// Where it lies.
    pub at: VirtAddr,
    /// The symbol that covers it and the distance from its start.
    pub symbol: Option<(String, u64)>,
    /// The module that the symbol is of.
    pub module: Option<String>,
    /// Its bytes.
    pub bytes: Box<[u8]>,
    /// With its prefixes: `lock cmpxchg`.
    pub mnemonic: String,
    /// Its operands; empty when there are none.
    pub operands: String,
    /// What it refers to by an address of its own.
    pub target: Option<Target>,
    /// Whether ftrace patches it.
    pub ftrace: bool,
    /// The line that it comes from, where that is known.
    pub origin: Option<Arc<Origin>>,
    text: String,
}

/// A line that instructions come from.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Origin {
    /// The file as the debug information names it.
    pub file: Box<str>,
    /// The line in it.
    pub line: u32,
    /// The function that the line is of.
    pub function: Option<Box<str>>,
    /// Whether that function was inlined into the one that is looked at.
    pub inlined: bool,
    /// The line itself, where its file is at hand.
    pub text: Option<String>,
}

/// What an instruction refers to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Target {
    /// Its address.
    pub at: VirtAddr,
    /// The symbol that covers it and the distance from its start.
    pub symbol: Option<(String, u64)>,
    /// Whether it is code that is jumped to or called, rather than data beside `%rip`.
    pub branch: bool,
}

impl Disassembly {
    /// The code with names.
    #[must_use]
    pub fn of(code: &Code, symbols: &Symbols) -> Disassembly {
        let mut speller = Speller::new();
        let named = |at: VirtAddr| {
            let found = symbols.resolve(at)?;
            Some((found.symbol.name.to_owned(), found.offset))
        };
        let row = |instruction| {
            let bytes = code.bytes_of(instruction);
            let spelled: Spelled = speller.spell(instruction, bytes);
            let at = VirtAddr(instruction.ip());
            let found = symbols.resolve(at);
            let offset = found.map(|found| found.offset);
            let target = spelled.branch.or(spelled.relative).map(|to| Target {
                at: to,
                symbol: named(to),
                branch: spelled.branch.is_some(),
            });
            InstructionRow {
                at,
                symbol: found.map(|found| (found.symbol.name.to_owned(), found.offset)),
                module: found.and_then(|found| found.symbol.module).map(str::to_owned),
                origin: None,
                ftrace: bytes == FTRACE_NOP && matches!(offset, Some(0 | ENDBR64_LEN)),
                bytes: bytes.into(),
                text: spelled.text(),
                mnemonic: spelled.mnemonic,
                operands: spelled.operands,
                target,
            }
        };
        Disassembly { rows: code.instructions().iter().map(row).collect(), with_lines: false }
    }

    /// With the line that each instruction comes from, as far as debug information tells.
    #[must_use]
    pub fn with_origins(mut self, session: &Session) -> Disassembly {
        let mut files: HashMap<Box<str>, Option<SourceFile>> = HashMap::default();
        let mut last: Option<Arc<Origin>> = None;
        self.with_lines = true;
        for row in &mut self.rows {
            let positions = session.positions(row.at);
            let Some(Position { function, inlined, file: Some(file), line: Some(line) }) =
                positions.first()
            else {
                continue;
            };
            let known = last.as_ref().filter(|last| {
                last.line == *line && last.file == *file && last.function == *function
            });
            let origin = match known {
                Some(origin) => Arc::clone(origin),
                None => {
                    let trees = session.source_trees();
                    let source = files.entry(file.clone()).or_insert_with(|| trees.read(file));
                    let text = source.as_ref().and_then(|source| source.line(*line));
                    Arc::new(Origin {
                        file: file.clone(),
                        line: *line,
                        function: function.clone(),
                        inlined: *inlined,
                        text: text.map(str::to_owned),
                    })
                }
            };
            last = Some(Arc::clone(&origin));
            row.origin = Some(origin);
        }
        self
    }

    /// The line that starts with an instruction: that of the one before is another.
    #[must_use]
    pub fn starts(&self, position: usize) -> Option<&Origin> {
        let origin = self.rows.get(position)?.origin.as_deref()?;
        let before = position.checked_sub(1).and_then(|before| self.rows.get(before));
        let before = before.and_then(|before| before.origin.as_deref());
        (before.is_none_or(|b| (&b.file, b.line) != (&origin.file, origin.line))).then_some(origin)
    }

    /// The position of the instruction that covers an address.
    #[must_use]
    pub fn position(&self, at: VirtAddr) -> Option<usize> {
        let after = self.rows.partition_point(|row| row.at <= at);
        let position = after.checked_sub(1)?;
        self.rows.get(position)?.covers(at).then_some(position)
    }

    /// Its text, with distances from symbols in these numbers.
    #[must_use]
    pub fn lines(&self, radix: Radix) -> Vec<Line> {
        let mut lines = Vec::new();
        for (position, row) in self.rows.iter().enumerate() {
            if let Some(origin) = self.starts(position) {
                lines.push(format!("{}: {}", origin.file, origin.line).into());
                if let Some(text) = &origin.text {
                    lines.push(format!("{:>6}  {text}", origin.line).into());
                }
            }
            lines.push(row.line(radix));
        }
        lines
    }

    /// A row an instruction, which reads as `lines`.
    #[must_use]
    pub fn table(&self, lines: Vec<Line>) -> Table {
        let text = |text: &str| Cell::Text(text.to_owned());
        let maybe = |value: Option<&str>| value.map_or(Cell::Empty, text);
        let cells = |row: &InstructionRow| {
            let target = row.target.as_ref();
            let target_symbol = target.and_then(|target| named(&target.symbol, Radix::Decimal));
            let offset = row.symbol.as_ref().map(|(_, offset)| i64::try_from(*offset));
            let mut cells = vec![
                Cell::Address(row.at),
                maybe(row.symbol.as_ref().map(|(name, _)| name.as_str())),
                offset.and_then(Result::ok).map_or(Cell::Empty, Cell::Int),
                maybe(row.module.as_deref()),
                Cell::Text(row.bytes.iter().map(|byte| format!("{byte:02x}")).collect()),
                text(&row.mnemonic),
                text(&row.operands),
                target.map_or(Cell::Empty, |target| Cell::Address(target.at)),
                maybe(target_symbol.as_deref()),
            ];
            if self.with_lines {
                let origin = row.origin.as_deref();
                cells.extend([
                    maybe(origin.map(|origin| &*origin.file)),
                    origin.map_or(Cell::Empty, |origin| Cell::Int(origin.line.into())),
                    maybe(origin.and_then(|origin| origin.function.as_deref())),
                ]);
            }
            cells
        };
        let mut columns = vec![
            Heading::left("address", "ADDRESS"),
            Heading::left("symbol", "SYMBOL"),
            Heading::right("offset", "OFFSET"),
            Heading::left("module", "MODULE"),
            Heading::left("bytes", "BYTES"),
            Heading::left("mnemonic", "MNEMONIC"),
            Heading::left("operands", "OPERANDS"),
            Heading::left("target", "TARGET"),
            Heading::left("target_symbol", "TARGET SYMBOL"),
        ];
        if self.with_lines {
            columns.extend([
                Heading::left("file", "FILE"),
                Heading::right("line", "LINE"),
                Heading::left("function", "FUNCTION"),
            ]);
        }
        Table { columns, rows: self.rows.iter().map(cells).collect(), lines: Some(lines) }
    }
}

/// `name` or `name+12`.
fn named(symbol: &Option<(String, u64)>, radix: Radix) -> Option<String> {
    let (name, offset) = symbol.as_ref()?;
    Some(match (offset, radix) {
        (0, _) => name.clone(),
        (offset, Radix::Decimal) => format!("{name}+{offset}"),
        (offset, Radix::Hex) => format!("{name}+{offset:#x}"),
    })
}

impl Target {
    /// The symbol with the distance from it.
    #[must_use]
    pub fn name(&self, radix: Radix) -> Option<String> {
        named(&self.symbol, radix)
    }
}

impl InstructionRow {
    /// Whether an address is that of one of its bytes.
    #[must_use]
    pub fn covers(&self, at: VirtAddr) -> bool {
        let offset = at.offset_from(self.at).and_then(|offset| usize::try_from(offset).ok());
        offset.is_some_and(|offset| offset < self.bytes.len())
    }

    /// Whether it is a call.
    #[must_use]
    pub fn is_call(&self) -> bool {
        self.mnemonic.ends_with("call")
    }

    /// The instruction as binutils writes it, and what it refers to.
    #[must_use]
    pub fn text(&self, radix: Radix) -> String {
        let mut text = self.text.clone();
        if let Some(target) = &self.target {
            let name = named(&target.symbol, radix).map(|name| format!(" <{name}>"));
            let name = name.unwrap_or_default();
            text += &match target.branch {
                true => name,
                false => format!("        # {}{name}", target.at),
            };
        }
        if self.ftrace {
            text += " [FTRACE NOP]";
        }
        text
    }

    /// The line that crash prints.
    #[must_use]
    pub fn line(&self, radix: Radix) -> Line {
        let name = named(&self.symbol, radix).map(|name| format!(" <{name}>"));
        let text = format!("{}{}:\t{}", self.at, name.unwrap_or_default(), self.text(radix));
        // A distance into per-CPU memory is no place to go to.
        let target = self.target.as_ref().filter(|target| target.at.0 >= KERNEL);
        let link = match target {
            Some(Target { at, branch: true, .. }) => Link::Code(*at),
            Some(Target { at, branch: false, .. }) => Link::Memory(*at),
            None => Link::Code(self.at),
        };
        Line::to(link, text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::debuginfo::SymbolTable;

    const START: VirtAddr = VirtAddr(0xffff_ffff_8100_0000);

    fn disassembly(bytes: &[u8]) -> Disassembly {
        let mut table = SymbolTable::new(None);
        table.push("mutex_lock", START, 'T');
        table.push("slowpath", START.plus(0x20), 't');
        table.push("counter", START.plus(0x1000), 'd');
        let symbols = Symbols::new(table.finish(START.plus(0x2000)), Vec::new());
        Disassembly::of(&Code::decode(START, bytes.to_vec()), &symbols)
    }

    #[test]
    fn code_reads_as_crash_prints_it() {
        let mut bytes = FTRACE_NOP.to_vec();
        bytes.extend([0xeb, 0xfc]); // Into the middle of the nop.
        bytes.extend([0xe8, 0x14, 0, 0, 0]);
        bytes.extend([0x8b, 0x05, 0xf2, 0x0f, 0, 0]);
        bytes.extend([0x65, 0x8b, 0x05, 0x2d, 0, 0, 0x7f]);
        let disassembly = disassembly(&bytes);
        let lines = disassembly.lines(Radix::Hex);
        let text: Vec<&str> = lines.iter().map(|line| line.text.as_str()).collect();
        assert_eq!(
            text,
            [
                "0xffffffff81000000 <mutex_lock>:\tnopl   0x0(%rax,%rax,1) [FTRACE NOP]",
                "0xffffffff81000005 <mutex_lock+0x5>:\tjmp    0xffffffff81000003 <mutex_lock+0x3>",
                "0xffffffff81000007 <mutex_lock+0x7>:\tcall   0xffffffff81000020 <slowpath>",
                "0xffffffff8100000c <mutex_lock+0xc>:\tmov    0xff2(%rip),%eax        # 0xffffffff81001004 <counter+0x4>",
                "0xffffffff81000012 <mutex_lock+0x12>:\tmov    %gs:0x7f00002d(%rip),%eax        # 0x46",
            ]
        );
        let links: Vec<_> = lines.into_iter().map(|line| line.link.unwrap()).collect();
        assert_eq!(links[2], Link::Code(START.plus(0x20)));
        assert_eq!(links[3], Link::Memory(START.plus(0x1004)));
        // A place in per-CPU memory is none of this address space.
        assert_eq!(links[4], Link::Code(START.plus(0x12)));
    }

    #[test]
    fn a_row_tells_bytes_and_target() {
        let disassembly = disassembly(&[0xe8, 0x1f, 0, 0, 0]);
        let table = disassembly.table(disassembly.lines(Radix::Decimal));
        let row = &table.rows[0];
        assert_eq!(row[4], Cell::Text("e81f000000".to_owned()));
        assert_eq!(row[7], Cell::Address(START.plus(0x24)));
        assert_eq!(row[8], Cell::Text("slowpath+4".to_owned()));
    }
}
