//! Stacks: of tasks, and those that CPUs switch to for interrupts and exceptions.
//!
//! Interrupts have a stack of 16 KiB for each CPU, whose top `hardirq_stack_ptr` points to (in
//! `pcpu_hot` from 6.2 to 6.14; before 5.2 it is the per-CPU `irq_stack_union`, found as a variable).
//! Exceptions have theirs in the CPU's entry area (arch/x86/include/asm/cpu_entry_area.h, 4.14),
//! whose place in the list of areas is `_cea_offset` (6.2) or the CPU's number.

use crate::debuginfo::Type;
use crate::dump::{PAGE_SIZE, VirtAddr};
use crate::kernel::{Cpus, Kernel, Session};
use std::ops::Range;

/// `CPU_ENTRY_AREA_BASE`, and `CPU_ENTRY_AREA_PER_CPU` one page above.
const ENTRY_AREAS: VirtAddr = VirtAddr(0xffff_fe00_0000_1000);
/// `IRQ_STACK_SIZE`
const IRQ_STACK: u64 = 16 * 1024;

/// Whose stack it is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum StackOwner {
    /// A task's, with its label.
    Task(VirtAddr, Box<str>),
    /// A CPU's, for interrupts.
    Irq(u32),
    /// A CPU's, for an exception: `NMI_stack`, `DF_stack` …
    Exception(u32, Box<str>),
}

/// A frame of a backtrace.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FrameAt {
    /// Its number among the frames that are no inlined ones.
    pub n: usize,
    /// The symbol of its function.
    pub function: Option<Box<str>>,
}

/// A place on a stack.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StackPlace {
    /// Whose.
    pub owner: StackOwner,
    /// All of it.
    pub range: Range<VirtAddr>,
    /// The frame that the address is in; none below the stack pointer, where nothing is live, and
    /// above the outermost frame.
    pub frame: Option<FrameAt>,
    /// Whether it is below the stack pointer: what lies there is left over.
    pub dead: bool,
}

/// All stacks.
pub(super) struct Stacks {
    /// Of tasks, by address.
    tasks: Vec<(Range<VirtAddr>, VirtAddr)>,
    /// Of CPUs.
    cpus: Vec<(Range<VirtAddr>, StackOwner)>,
}

impl Stacks {
    pub(super) fn find(session: &Session) -> Stacks {
        let of = |task: &crate::kernel::Task| Some((session.stack(task)?, task.at));
        let mut tasks: Vec<_> = session.tasks().iter().filter_map(of).collect();
        tasks.sort_unstable_by_key(|(range, _)| range.start);
        let kernel = session.kernel();
        let mut cpus = irq_stacks(kernel, session.cpus());
        cpus.extend(exception_stacks(kernel, session.cpus()));
        Stacks { tasks, cpus }
    }

    pub(super) fn at(&self, session: &Session, at: VirtAddr) -> Option<StackPlace> {
        let after = self.tasks.partition_point(|(range, _)| range.start <= at);
        let of_task = after.checked_sub(1).and_then(|last| self.tasks.get(last));
        if let Some((range, task)) = of_task.filter(|(range, _)| range.contains(&at)) {
            let task = session.tasks().at(*task)?;
            let frames = session.trace(task).frames;
            let here = frames.iter().filter(|frame| range.contains(&frame.sp));
            let dead = here.map(|frame| frame.sp).min().is_some_and(|lowest| at < lowest);
            let frame = covering(session, &frames, range, at);
            let owner = StackOwner::Task(task.at, task.label().into());
            return Some(StackPlace { owner, range: range.clone(), frame, dead });
        }
        let (range, owner) = self.cpus.iter().find(|(range, _)| range.contains(&at))?;
        let (StackOwner::Irq(cpu) | StackOwner::Exception(cpu, _)) = owner else { return None };
        // What runs on such a stack is the first part of the trace of the CPU's task.
        let current = session.cpus().get(*cpu).and_then(|cpu| cpu.current.clone().ok());
        let task = current.and_then(|task| session.tasks().at(task));
        let frames = task.map(|task| session.trace(task).frames).unwrap_or_default();
        let frame = covering(session, &frames, range, at);
        let dead = frame.is_none();
        Some(StackPlace { owner: owner.clone(), range: range.clone(), frame, dead })
    }
}

/// The frame that reaches from its stack pointer over an address: of those on this stack the one
/// that begins nearest below it.
fn covering(
    session: &Session,
    frames: &[crate::unwind::Frame],
    stack: &Range<VirtAddr>,
    at: VirtAddr,
) -> Option<FrameAt> {
    let mut here: Vec<_> =
        frames.iter().enumerate().filter(|(_, frame)| stack.contains(&frame.sp)).collect();
    here.sort_by_key(|(_, frame)| frame.sp);
    let (n, frame) = here.into_iter().rev().find(|(_, frame)| frame.sp <= at)?;
    let function = session.symbolize(frame.lookup_pc()).map(|found| found.symbol.name.into());
    Some(FrameAt { n, function })
}

fn irq_stacks(kernel: Kernel<'_>, cpus: &Cpus) -> Vec<(Range<VirtAddr>, StackOwner)> {
    let hot = || {
        let field = kernel.field("pcpu_hot", "hardirq_stack_ptr").ok()?;
        Some(kernel.symbols.address("pcpu_hot")?.plus(field.offset))
    };
    let Some(top) = kernel.symbols.address("hardirq_stack_ptr").or_else(hot) else {
        return Vec::new();
    };
    let of = |cpu: &crate::kernel::Cpu| {
        let top = kernel.memory.read_ptr(cpu.per_cpu(top)).ok().filter(|top| top.0 >> 63 == 1)?;
        // It points to the topmost word, or past it.
        let end =
            VirtAddr(top.plus(8).0 & !(PAGE_SIZE - 1)).max(VirtAddr(top.0 & !(PAGE_SIZE - 1)));
        Some((end.minus(IRQ_STACK)..end, StackOwner::Irq(cpu.number)))
    };
    cpus.iter().filter_map(of).collect()
}

fn exception_stacks(kernel: Kernel<'_>, cpus: &Cpus) -> Vec<(Range<VirtAddr>, StackOwner)> {
    let Ok(area) = kernel.structure("cpu_entry_area") else { return Vec::new() };
    let Some(size) = area.size() else { return Vec::new() };
    let slot = kernel.symbols.address("_cea_offset");
    let mut found = Vec::new();
    for cpu in cpus {
        let index = match slot {
            Some(slot) => kernel.memory.read_u32(cpu.per_cpu(slot)).ok().map(u64::from),
            None => Some(u64::from(cpu.number)),
        };
        let Some(offset) = index.and_then(|index| index.checked_mul(size)) else { continue };
        let Some(start) = ENTRY_AREAS.checked_add(offset) else { continue };
        let member = |path: &str| {
            let member = area.member(path).ok()?;
            Some((start.plus(member.offset()), member.ty))
        };
        let mut push = |name: &str, from: VirtAddr, ty: Type<'_>| {
            let range = from..from.plus(ty.size().unwrap_or(0));
            found.push((range, StackOwner::Exception(cpu.number, name.into())));
        };
        if let Some((from, ty)) = member("entry_stack_page") {
            push("entry_stack", from, ty);
        }
        if let Some((from, stacks)) = member("estacks") {
            for (name, stack) in stacks.members() {
                if let Some(name) = name.filter(|name| name.ends_with("_stack")) {
                    push(name, from.plus(stack.offset()), stack.ty);
                }
            }
        } else if let Some((from, ty)) = member("exception_stacks") {
            push("exception_stacks", from, ty);
        }
    }
    found
}
