//! How one instruction is written: the AT&T syntax of binutils, which crash prints.

use crate::dump::VirtAddr;
use iced_x86::{Formatter, GasFormatter, Instruction, Mnemonic, OpKind, Register};

/// Where operands start at the earliest, in characters.
const OPERANDS: usize = 7;

/// An instruction in words.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Spelled {
    /// With its prefixes: `lock cmpxchg`.
    pub(super) mnemonic: String,
    /// As they stand behind it; empty when there are none.
    pub(super) operands: String,
    /// Where it jumps to or which it calls, when that stands in the instruction.
    pub(super) branch: Option<VirtAddr>,
    /// The address that a `%rip`-relative operand comes to, before any segment's base.
    pub(super) relative: Option<VirtAddr>,
}

/// Spells instructions.
pub(super) struct Speller(GasFormatter);

impl Speller {
    pub(super) fn new() -> Speller {
        let mut formatter = GasFormatter::new();
        let options = formatter.options_mut();
        options.set_uppercase_hex(false);
        options.set_hex_prefix("0x");
        options.set_small_hex_numbers_in_decimal(false);
        options.set_rip_relative_addresses(true);
        options.set_show_useless_prefixes(false);
        options.set_branch_leading_zeros(false);
        options.set_displacement_leading_zeros(false);
        Speller(formatter)
    }

    /// Spells an instruction that these bytes encode.
    pub(super) fn spell(&mut self, instruction: &Instruction, bytes: &[u8]) -> Spelled {
        // A displacement is shown where there is one in the code, be it zero.
        let displaced = instruction.memory_displ_size() != 0;
        let indexed = instruction.memory_index() != Register::None;
        self.0.options_mut().set_show_zero_displacements(displaced);
        self.0.options_mut().set_always_show_scale(indexed);
        // The segments of string instructions are always told.
        let string = instruction.op_kinds().any(of_string);
        self.0.options_mut().set_always_show_segment_register(string);
        let (mut mnemonic, mut operands) = (String::new(), String::new());
        self.0.format_mnemonic(instruction, &mut mnemonic);
        self.0.format_all_operands(instruction, &mut operands);
        adapt(instruction, bytes, &mut mnemonic, &mut operands);
        Spelled { mnemonic, operands, branch: branch(instruction), relative: relative(instruction) }
    }
}

impl Spelled {
    /// Both in a line, operands in their column.
    pub(super) fn text(&self) -> String {
        match self.operands.as_str() {
            "" => self.mnemonic.clone(),
            operands => format!("{:<1$}{operands}", format!("{} ", self.mnemonic), OPERANDS),
        }
    }
}

/// Where binutils and the formatter spell differently.
fn adapt(instruction: &Instruction, bytes: &[u8], mnemonic: &mut String, operands: &mut String) {
    use Mnemonic::{
        Imul, In, Insb, Insd, Insw, Monitor, Monitorx, Mwait, Mwaitx, Out, Outsb, Outsd, Outsw,
        Pop, Push, Ret, Retf,
    };
    match instruction.mnemonic() {
        _ if instruction.is_invalid() => "(bad)".clone_into(mnemonic),
        // Nothing else can be pushed in 64-bit mode.
        Push | Pop if mnemonic.ends_with('q') => _ = mnemonic.pop(),
        // All three operands of `imul $8,%rax,%rax`.
        Imul if instruction.op_count() == 3 && operands.matches(',').count() == 1 => {
            let last = operands.rsplit(',').next().unwrap_or_default().to_owned();
            *operands = format!("{operands},{last}");
        }
        In | Out | Insb | Insw | Insd | Outsb | Outsw | Outsd => {
            *operands = operands.replace("%dx", "(%dx)");
        }
        Monitor => "%rax,%ecx,%edx".clone_into(operands),
        Monitorx => "%rax,%ecx,%edx".clone_into(operands),
        Mwait => "%eax,%ecx".clone_into(operands),
        Mwaitx => "%eax,%ecx,%ebx".clone_into(operands),
        Ret if instruction.has_rep_prefix() => "repz ret".clone_into(mnemonic),
        Retf if mnemonic == "lretl" => "lret".clone_into(mnemonic),
        _ if mnemonic.starts_with("repe ") => mnemonic.replace_range(..4, "repz"),
        _ if mnemonic.starts_with("repne ") => mnemonic.replace_range(..5, "repnz"),
        _ => {}
    }
    // A shift by one has an encoding of its own, and a one without `0x`.
    if matches!(opcode(bytes), Some(0xd0 | 0xd1))
        && let Some(operand) = operands.strip_prefix("$0x1,")
    {
        *operands = format!("$1,{operand}");
    }
    let idle = idle_prefixes(instruction, bytes);
    if !idle.is_empty() && !instruction.op_kinds().any(of_string) {
        for segment in ["%es:", "%cs:", "%ss:", "%ds:"] {
            *operands = operands.replace(segment, "");
        }
    }
    mnemonic.insert_str(0, &idle);
}

/// The first byte that is no prefix.
fn opcode(bytes: &[u8]) -> Option<u8> {
    let prefix = |byte: &u8| matches!(byte, 0x26 | 0x2e | 0x36 | 0x3e | 0x40..=0x4f | 0x64..=0x67 | 0xf0 | 0xf2 | 0xf3);
    bytes.iter().copied().find(|byte| !prefix(byte))
}

/// The prefixes that change nothing, each with a blank behind it: segments, which 64-bit mode
/// ignores, and operand sizes beyond the first.
fn idle_prefixes(instruction: &Instruction, bytes: &[u8]) -> String {
    let mut idle = String::new();
    let mut sized = false;
    for byte in bytes {
        let name = match byte {
            // On a conditional jump they are hints, on an indirect one they say `notrack`.
            0x2e | 0x3e if instruction.is_jcc_short_or_near() => continue,
            0x3e if instruction.is_jmp_near_indirect() || instruction.is_call_near_indirect() => {
                continue;
            }
            0x26 => "es ",
            0x2e => "cs ",
            0x36 => "ss ",
            0x3e => "ds ",
            0x66 if std::mem::replace(&mut sized, true) => "data16 ",
            0x64..=0x67 | 0xf0 | 0xf2 | 0xf3 => continue,
            _ => break,
        };
        idle += name;
    }
    idle
}

/// Whether an operand is the implied one of `movs`, `stos` and their like.
fn of_string(kind: OpKind) -> bool {
    use OpKind::{
        MemoryESDI, MemoryESEDI, MemoryESRDI, MemorySegDI, MemorySegEDI, MemorySegESI,
        MemorySegRDI, MemorySegRSI, MemorySegSI,
    };
    matches!(
        kind,
        MemoryESDI
            | MemoryESEDI
            | MemoryESRDI
            | MemorySegDI
            | MemorySegEDI
            | MemorySegESI
            | MemorySegRDI
            | MemorySegRSI
            | MemorySegSI
    )
}

fn branch(instruction: &Instruction) -> Option<VirtAddr> {
    let near = matches!(
        instruction.op0_kind(),
        OpKind::NearBranch16 | OpKind::NearBranch32 | OpKind::NearBranch64
    );
    near.then(|| VirtAddr(instruction.near_branch_target()))
}

fn relative(instruction: &Instruction) -> Option<VirtAddr> {
    let has = instruction.op_kinds().any(|kind| kind == OpKind::Memory);
    (has && instruction.memory_base() == Register::RIP)
        .then(|| VirtAddr(instruction.memory_displacement64()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::Code;

    fn spelled(bytes: &[u8]) -> String {
        let code = Code::decode(VirtAddr(0xffff_ffff_8100_0000), bytes.to_vec());
        let [instruction] = code.instructions() else { panic!("{bytes:x?} is not one") };
        Speller::new().spell(instruction, bytes).text()
    }

    #[test]
    fn instructions_read_as_binutils_writes_them() {
        // What objdump and crash print for these bytes.
        let expected: [(&[u8], &str); 26] = [
            (&[0x53], "push   %rbx"),
            (&[0xc3], "ret"),
            (&[0xf3, 0xc3], "repz ret"),
            (&[0x0f, 0x1f, 0x44, 0x00, 0x00], "nopl   0x0(%rax,%rax,1)"),
            (
                &[0x66, 0x66, 0x2e, 0x0f, 0x1f, 0x84, 0, 0, 0, 0, 0],
                "data16 cs nopw 0x0(%rax,%rax,1)",
            ),
            (&[0x2e, 0xe8, 0, 0, 0, 0], "cs call 0xffffffff81000006"),
            (&[0x2e, 0x2e, 0x2e, 0x31, 0xc0], "cs cs cs xor %eax,%eax"),
            (&[0x3e, 0x0f, 0xae, 0x38], "ds clflush (%rax)"),
            (&[0xf0, 0x48, 0x0f, 0xb1, 0x13], "lock cmpxchg %rdx,(%rbx)"),
            (&[0x65, 0x48, 0x8b, 0x14, 0x25, 0x80, 0xfb, 1, 0], "mov    %gs:0x1fb80,%rdx"),
            (&[0x65, 0xff, 0x05, 0x1d, 0x8a, 0x41, 0x68], "incl   %gs:0x68418a1d(%rip)"),
            (&[0xff, 0x74, 0x24, 0x28], "push   0x28(%rsp)"),
            (&[0x48, 0x69, 0xc0, 0xe8, 3, 0, 0], "imul   $0x3e8,%rax,%rax"),
            (&[0xd1, 0xe8], "shr    $1,%eax"),
            (&[0xc1, 0xe8, 0x01], "shr    $0x1,%eax"),
            (&[0x41, 0xd1, 0x66, 0x10], "shll   $1,0x10(%r14)"),
            (&[0xee], "out    %al,(%dx)"),
            (&[0x48, 0xc7, 0x04, 0x24, 0, 0, 0, 0], "movq   $0x0,(%rsp)"),
            (&[0x48, 0x8b, 0x45, 0x00], "mov    0x0(%rbp),%rax"),
            (&[0x48, 0x8b, 0x45, 0xf8], "mov    -0x8(%rbp),%rax"),
            (&[0x48, 0x8b, 0x04, 0xd8], "mov    (%rax,%rbx,8),%rax"),
            (&[0xf3, 0x48, 0xab], "rep stos %rax,%es:(%rdi)"),
            (&[0xf3, 0xa6], "repz cmpsb %es:(%rdi),%ds:(%rsi)"),
            (&[0x0f, 0x01, 0xc8], "monitor %rax,%ecx,%edx"),
            (&[0xff, 0xe0], "jmp    *%rax"),
            (&[0x06], "(bad)"),
        ];
        for (bytes, text) in expected {
            assert_eq!(spelled(bytes), text, "{bytes:x?}");
        }
    }
}
