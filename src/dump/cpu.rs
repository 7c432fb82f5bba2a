//! The registers of each CPU, as the notes of a dump hold them.
//!
//! The crashing kernel writes `NT_PRSTATUS` for each CPU that answered (`struct elf_prstatus`,
//! include/linux/elfcore.h). QEMU writes one for each virtual CPU, and after them its own notes of
//! owner `QEMU` (`struct QEMUCPUState`, target/i386/arch_dump.c) with segments and control registers.

use super::bytes::{u32_at, u64_at};
use super::notes::{PRSTATUS, notes};

/// Which note the registers are from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum CpuNoteSource {
    /// `NT_PRSTATUS`, written by the crashed kernel.
    Kernel,
    /// QEMU, which stopped the machine from outside.
    Qemu,
}

/// The registers of one CPU when it was stopped.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CpuNote {
    /// In DWARF's order: rax rdx rcx rbx rsi rdi rbp rsp r8 to r15 rip rflags cs ss orig_rax.
    pub registers: [u64; 21],
    /// The pid of the task that ran, if the crashed kernel wrote the note.
    pub pid: Option<u32>,
    /// The page tables in use, if QEMU wrote the note.
    pub cr3: Option<u64>,
    /// CR4, if QEMU wrote the note.
    pub cr4: Option<u64>,
    /// The kernel's GS base: where the CPU's per-CPU area lies.
    pub kernel_gs: Option<u64>,
    /// Who wrote it.
    pub source: CpuNoteSource,
}

/// Where each register of [`CpuNote::registers`] stands in `pr_reg` (struct user_regs_struct,
/// arch/x86/include/asm/user_64.h), which starts at byte 112.
const PR_REG: usize = 112;
const IN_PR_REG: [usize; 21] =
    [10, 12, 11, 5, 13, 14, 4, 19, 9, 8, 7, 6, 3, 2, 1, 0, 16, 18, 17, 20, 15];
const PR_PID: usize = 32;
const PR_GS_BASE: usize = 22;
/// Bytes that must be there: up to gs_base.
const PRSTATUS_LEN: usize = PR_REG + 23 * 8;

/// The first 18 of [`CpuNote::registers`] in QEMUCPUState, which starts with rax rbx rcx rdx rsi
/// rdi rsp rbp r8 to r15 rip rflags after two 32-bit numbers.
const IN_QEMU: [usize; 18] = [0, 3, 2, 1, 4, 5, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17];
/// Segments: selector, limit, flags and padding of 32 bits each, a base of 64.
const QEMU_CS: usize = 152;
const QEMU_GS: usize = QEMU_CS + 4 * 24;
const QEMU_SS: usize = QEMU_CS + 5 * 24;
const QEMU_CR: usize = QEMU_CS + 10 * 24;
/// Since QEMU 3.0.
const QEMU_KERNEL_GS: usize = QEMU_CR + 5 * 8;

/// All CPUs, in the order of the notes.
pub(super) fn cpus(bytes: &[u8]) -> Vec<CpuNote> {
    let mut cpus: Vec<CpuNote> = notes(bytes)
        .filter(|note| note.owner == b"CORE" && note.kind == PRSTATUS)
        .filter_map(|note| prstatus(note.data))
        .collect();
    let qemu: Vec<CpuNote> = notes(bytes)
        .filter(|note| note.owner == b"QEMU" && note.kind == 0)
        .filter_map(|note| qemu_state(note.data))
        .collect();
    if cpus.len() == qemu.len() {
        for (cpu, qemu) in cpus.iter_mut().zip(qemu) {
            // QEMU numbers CPUs where a pid should be.
            *cpu = CpuNote { registers: cpu.registers, ..qemu };
        }
    } else if cpus.is_empty() {
        cpus = qemu;
    }
    cpus
}

fn prstatus(data: &[u8]) -> Option<CpuNote> {
    data.get(..PRSTATUS_LEN)?;
    let field = |index: usize| u64_at(data, PR_REG + index * 8);
    Some(CpuNote {
        registers: IN_PR_REG.map(field),
        pid: Some(u32_at(data, PR_PID)),
        cr3: None,
        cr4: None,
        kernel_gs: Some(field(PR_GS_BASE)).filter(|&base| is_kernel(base)),
        source: CpuNoteSource::Kernel,
    })
}

fn qemu_state(data: &[u8]) -> Option<CpuNote> {
    data.get(..QEMU_KERNEL_GS)?;
    let mut registers = [0; 21];
    for (register, index) in registers.iter_mut().zip(IN_QEMU) {
        *register = u64_at(data, 8 + index * 8);
    }
    let [.., cs, ss, _] = &mut registers;
    *cs = u64::from(u32_at(data, QEMU_CS));
    *ss = u64::from(u32_at(data, QEMU_SS));
    // SWAPGS exchanges the two: the kernel's is the active one while the kernel runs.
    let bases = [u64_at(data, QEMU_GS + 16), u64_at(data, QEMU_KERNEL_GS)];
    Some(CpuNote {
        registers,
        pid: None,
        cr3: Some(u64_at(data, QEMU_CR + 3 * 8)),
        cr4: Some(u64_at(data, QEMU_CR + 4 * 8)),
        kernel_gs: bases.into_iter().find(|&base| is_kernel(base)),
        source: CpuNoteSource::Qemu,
    })
}

/// Whether an address lies in the kernel's half.
fn is_kernel(address: u64) -> bool {
    address >> 63 == 1
}
