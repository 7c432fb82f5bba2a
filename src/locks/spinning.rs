//! Tasks that spin: which spinlock or rwlock they want, and in which order they will get it.
//!
//! A spinner is on its CPU, inside a slow path, so its registers and its code tell the lock. A
//! qspinlock's word says whether it is locked, whether somebody spins on the word itself
//! (`pending`), and which CPU is last in the queue (`tail`); the rest of the queue are the per-CPU
//! MCS nodes, each of which points to the next. They are put in order from the tail backwards. A
//! qrwlock has such a queue inside, whose first spins on the word. Sources:
//! `include/asm-generic/qspinlock_types.h`, `kernel/locking/{qspinlock,qrwlock,mcs_spinlock}`.

use super::decode::{QSPIN_PENDING, QSPIN_TAIL_CPU_SHIFT};
use super::scene::Scene;
use super::stack::Code;
use super::ticket::Tickets;
use super::waiting::{Found, Queued, Waits};
use super::{LockKind, Mode, api, asked};
use crate::dump::VirtAddr;
use crate::memory::VirtualMemory;
use crate::unwind::{Frame, FrameKind};
use foldhash::HashMap;
use std::ops::Range;

/// MCS nodes of one CPU: task, soft interrupt, interrupt, NMI.
const NODES: u64 = 4;
/// `_Q_TAIL_IDX_OFFSET`
const TAIL_INDEX_SHIFT: u32 = 16;

/// At most so many tickets that nobody has are listed.
const MISSING: u32 = 64;

/// A task that spins.
struct Spinner {
    queued: Queued,
    cpu: Option<u32>,
    /// Whether it spins on the lock's word, rather than in the queue inside a rwlock.
    on_word: bool,
    /// Its ticket, of a ticket lock.
    ticket: Option<u32>,
}

/// Finds the tasks that spin for a lock.
pub(super) fn find(scene: &Scene<'_>, code: &Code<'_>, waits: &mut Waits) {
    let mut found: HashMap<(LockKind, VirtAddr), Vec<Spinner>> = HashMap::default();
    let tickets = Tickets::probe(scene.session.types());
    for (index, task) in scene.tasks.iter().enumerate().filter(|(_, task)| task.active) {
        let functions = scene.functions(index);
        // An interrupt may spin on top of what spins itself.
        for context in contexts(scene, index) {
            let of_context = functions.get(context.frames.clone()).unwrap_or_default();
            let Some((kind, mode, on_word)) = spins_for(of_context, tickets.is_some()) else {
                continue;
            };
            let from = context.frames.start;
            let asked = asked::argument_from(scene, code, index, from, api::is_spinning);
            let Some(asked) = asked else {
                let function =
                    of_context.iter().find(|name| api::is_spinning(api::base_name(name)));
                waits.untied.push(super::waiting::Untied {
                    task: index,
                    why: format!(
                        "it spins in {}, and neither its registers nor its caller's code tell for which lock",
                        function.copied().unwrap_or("a lock's slow path")
                    ),
                });
                continue;
            };
            let queued = Queued {
                task: index,
                mode,
                position: None,
                spinning: true,
                in_interrupt: context.is_interrupt,
                confidence: asked.confidence(),
                why: asked.why.and("and spins"),
            };
            let cpu = task.cpu.as_ref().ok().copied();
            let ticket = tickets.and_then(|tickets| ticket(scene, code, tickets, index, from));
            found.entry((kind, VirtAddr(asked.value))).or_default().push(Spinner {
                queued,
                cpu,
                on_word,
                ticket,
            });
        }
    }
    let nodes = Nodes::find(scene);
    for ((kind, at), spinners) in found {
        waits.found.push(match tickets.filter(|_| kind == LockKind::Spinlock) {
            Some(tickets) => {
                let word = scene.session.memory().read_u32(at).ok();
                by_ticket(tickets, word, at, spinners)
            }
            None => in_order(scene, nodes.as_ref(), kind, at, spinners),
        });
    }
}

/// What a CPU does at one level: the task itself, or an interrupt.
struct Context {
    /// Its frames.
    frames: Range<usize>,
    is_interrupt: bool,
}

/// The levels of what the CPU of a running task does, an interrupt before what it interrupted.
fn contexts(scene: &Scene<'_>, index: usize) -> Vec<Context> {
    let frames = scene.traces.get(index).map_or(&[][..], |trace| &trace.frames);
    let is_interrupted = |frame: &Frame| matches!(frame.kind, FrameKind::Irq | FrameKind::Nmi);
    let later = frames.iter().enumerate().skip(1).filter(|(_, frame)| is_interrupted(frame));
    let starts: Vec<usize> = std::iter::once(0).chain(later.map(|(number, _)| number)).collect();
    let ends = starts.iter().skip(1).copied().chain([frames.len()]);
    let last = starts.len() - 1;
    let context =
        |(number, (start, end))| Context { frames: start..end, is_interrupt: number < last };
    starts.iter().copied().zip(ends).enumerate().map(context).collect()
}

/// The ticket that a spinning task has drawn, in the frames that are not inside of `from`.
fn ticket(
    scene: &Scene<'_>,
    code: &Code<'_>,
    tickets: Tickets,
    index: usize,
    from: usize,
) -> Option<u32> {
    let frames = scene.traces.get(index)?.frames.get(from..)?;
    let frame = frames.iter().find(|frame| {
        let name = scene.session.symbolize(frame.lookup_pc());
        name.is_some_and(|found| api::is_spin_loop(api::base_name(found.symbol.name)))
    })?;
    tickets.own(code.function(frame.lookup_pc())?.as_ref(), &frame.registers)
}

/// Puts spinners in the order of their tickets, and names those that none of them has.
fn by_ticket(
    tickets: Tickets,
    word: Option<u32>,
    at: VirtAddr,
    mut spinners: Vec<Spinner>,
) -> Found {
    let mut doubts = Vec::new();
    if let Some(word) = word {
        for spinner in &mut spinners {
            let Some(ticket) = spinner.ticket else { continue };
            let behind = tickets.behind(word, ticket);
            if behind < tickets.out(word) {
                spinner.queued.position = Some(behind.max(1));
                let why = std::mem::take(&mut spinner.queued.why);
                spinner.queued.why = why.and(format!("with ticket {ticket:#x}"));
            } else {
                doubts.push(format!("a ticket {ticket:#x} is not among those that are out"));
            }
        }
        let missing: Vec<String> = (0..tickets.out(word).min(MISSING))
            .map(|behind| tickets.number(word, behind))
            .filter(|number| !spinners.iter().any(|spinner| spinner.ticket == Some(*number)))
            .map(|number| format!("{number:#x}"))
            .collect();
        if let Some((served, others)) = missing.split_first() {
            let served_is_missing = *served == format!("{:#x}", tickets.number(word, 0));
            let of = |list: &[String]| list.join(", ");
            if served_is_missing {
                doubts.push(format!("ticket {served}, which is served, is the holder's"));
                if !others.is_empty() {
                    doubts.push(format!("nobody was found who spins with {}", of(others)));
                }
            } else {
                doubts.push(format!("nobody was found who spins with {}", of(&missing)));
            }
        }
    }
    spinners.sort_by_key(|spinner| (spinner.queued.position.is_none(), spinner.queued.position));
    Found {
        queue: spinners.into_iter().map(|spinner| spinner.queued).collect(),
        doubts,
        ..Found::new(LockKind::Spinlock, at)
    }
}

/// What a task with these functions, innermost first, spins for, and whether on the lock's word.
/// With ticket locks whoever is in a function that takes one spins.
fn spins_for(functions: &[&str], tickets: bool) -> Option<(LockKind, Mode, bool)> {
    let names = || functions.iter().map(|name| api::base_name(name));
    let slow =
        names().position(|name| api::is_slow_path(name) || tickets && api::is_spin_loop(name))?;
    let mut outermost = None;
    for name in names().skip(slow).take_while(|name| api::is_spinning(name)) {
        outermost = api::spin_kind(name).or(outermost);
    }
    let (kind, mode) = outermost?;
    let in_queue = kind == LockKind::Rwlock
        && names().nth(slow).is_some_and(|name| name.contains("spin_lock"));
    Some((kind, mode, !in_queue))
}

/// Puts spinners in the order in which they will get the lock.
fn in_order(
    scene: &Scene<'_>,
    nodes: Option<&Nodes>,
    kind: LockKind,
    at: VirtAddr,
    mut spinners: Vec<Spinner>,
) -> Found {
    // The queue of a rwlock is the spinlock in its second word.
    let word = if kind == LockKind::Rwlock { at.plus(4) } else { at };
    let value = scene.session.memory().read_u32(word);
    let mut doubts = Vec::new();
    let tail = value.as_ref().ok().and_then(|value| (value >> QSPIN_TAIL_CPU_SHIFT).checked_sub(1));
    if let Some(cpu) = tail {
        let is_last = format!("its last in line should be CPU {cpu}");
        if !scene.session.cpus().iter().any(|known| known.number == cpu) {
            doubts.push(format!("{is_last}, which the machine does not have"));
        } else if !spinners.iter().any(|spinner| spinner.cpu == Some(cpu)) {
            doubts.push(format!("{is_last}, and nobody was found there who spins for it"));
        }
    }
    let value = value.ok();
    let line = value.zip(nodes).map_or_else(Vec::new, |(value, nodes)| {
        let cpus: Vec<u32> = spinners.iter().filter_map(|spinner| spinner.cpu).collect();
        nodes.line(scene.session.memory(), value, &cpus)
    });
    number(kind, value, &line, &mut spinners);
    if spinners.iter().any(|spinner| spinner.queued.position.is_none()) && spinners.len() > 1 {
        doubts.push("the order of some of those who spin for it could not be told".to_owned());
    }
    Found {
        queue: spinners.into_iter().map(|spinner| spinner.queued).collect(),
        doubts,
        ..Found::new(kind, at)
    }
}

/// Numbers spinners from 1, by their queue's word and the CPUs in it, the first in line first.
fn number(kind: LockKind, value: Option<u32>, line: &[u32], spinners: &mut [Spinner]) {
    let place = |spinner: &Spinner| {
        let queue = spinner.cpu.and_then(|cpu| line.iter().position(|other| *other == cpu));
        match (queue, value) {
            // Whoever is not in the queue spins on the word, before all others.
            (None, Some(value))
                if kind == LockKind::Rwlock && spinner.on_word || value & QSPIN_PENDING != 0 =>
            {
                Some(0)
            }
            (Some(place), _) => u32::try_from(place + 1).ok(),
            _ => None,
        }
    };
    for spinner in &mut *spinners {
        spinner.queued.position = place(spinner);
    }
    spinners.sort_by_key(|spinner| (spinner.queued.position.is_none(), spinner.queued.position));
    for (number, spinner) in (1..).zip(spinners) {
        spinner.queued.position = spinner.queued.position.map(|_| number);
    }
}

/// The per-CPU MCS nodes.
struct Nodes {
    /// Of each CPU its number and the first of its nodes.
    first: Vec<(u32, VirtAddr)>,
    /// Bytes of one: a `struct qnode` is larger than the `struct mcs_spinlock` in it.
    stride: u64,
    /// Offset of `next`.
    next: u64,
}

impl Nodes {
    fn find(scene: &Scene<'_>) -> Option<Nodes> {
        let (symbols, types) = (scene.session.symbols(), scene.session.types());
        let mcs = types.structure("mcs_spinlock").ok()?;
        let stride = types.structure("qnode").ok().and_then(|node| node.size()).or(mcs.size())?;
        // `mcs_nodes` until 4.19.
        let symbol = symbols.address("qnodes").or_else(|| symbols.address("mcs_nodes"))?;
        let cpus = scene.session.cpus().iter();
        let first = cpus.map(|cpu| (cpu.number, cpu.per_cpu(symbol))).collect();
        Some(Nodes { first, stride, next: mcs.offset_of("next").ok()? })
    }

    fn of_cpu(&self, cpu: u32, index: u64) -> Option<VirtAddr> {
        let (_, first) = self.first.iter().find(|(other, _)| *other == cpu)?;
        Some(first.plus(index * self.stride))
    }

    /// The CPUs in the queue of a lock whose word is `value`, first in line first. `spinning` are
    /// the CPUs known to spin for it: a node that one of them does not use may hold an old `next`.
    fn line(&self, memory: &dyn VirtualMemory, value: u32, spinning: &[u32]) -> Vec<u32> {
        let Some(tail) = (value >> QSPIN_TAIL_CPU_SHIFT).checked_sub(1) else { return Vec::new() };
        let index = u64::from(value >> TAIL_INDEX_SHIFT) % NODES;
        let Some(mut node) = self.of_cpu(tail, index) else { return Vec::new() };
        let mut line = vec![tail];
        loop {
            let before = spinning.iter().filter(|cpu| !line.contains(cpu)).find_map(|&cpu| {
                (0..NODES).find_map(|index| {
                    let at = self.of_cpu(cpu, index)?;
                    let next = memory.read_ptr(at.plus(self.next)).ok()?;
                    (next == node).then_some((cpu, at))
                })
            });
            let Some((cpu, at)) = before else { break };
            line.push(cpu);
            node = at;
        }
        line.reverse();
        line
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ticket_is_waited_for_in_the_function_that_draws_it_and_a_queued_lock_in_its_slow_path() {
        let seed = ["_spin_lock_irq", "____pagevec_lru_deactivate", "lru_add_drain"];
        assert_eq!(spins_for(&seed, true), Some((LockKind::Spinlock, Mode::Excl, true)));
        assert_eq!(spins_for(&["_raw_spin_lock", "x"], false), None);
        let queued = ["native_queued_spin_lock_slowpath", "queued_write_lock_slowpath", "f"];
        assert_eq!(spins_for(&queued, false), Some((LockKind::Rwlock, Mode::Write, false)));
    }

    use crate::kernel::testing::{Image, TypeTable};
    use crate::locks::{Confidence, Why};

    const FIRST: u64 = 0xffff_8880_0001_0000;

    /// A CPU and which of its nodes.
    type Place = (u64, u64);

    /// Four CPUs with four nodes each, of which these (CPU, index) point to those.
    fn nodes(links: &[(Place, Place)]) -> (Nodes, Image) {
        let node = |(cpu, index): Place| FIRST + cpu * 0x1000 + index * 0x20;
        let mut memory = Image::default();
        for at in (0..4).flat_map(|cpu| (0..4).map(move |index| (cpu, index))) {
            memory.put_u64(node(at), 0);
        }
        links.iter().for_each(|(from, to)| memory.put_u64(node(*from), node(*to)));
        let first = (0..4).zip((0..4).map(|cpu| VirtAddr(node((cpu, 0))))).collect();
        (Nodes { first, stride: 0x20, next: 0 }, memory)
    }

    /// The word of a locked spinlock whose last in line is this node.
    fn tail(cpu: u32, index: u32) -> u32 {
        1 | (cpu + 1) << QSPIN_TAIL_CPU_SHIFT | index << TAIL_INDEX_SHIFT
    }

    #[test]
    fn the_queue_of_a_spinlock_is_told_from_its_tail_through_nodes_of_interrupts_too() {
        // CPU 3 queued first, then CPU 0 in an interrupt (its second node), then CPU 1.
        let (nodes, memory) = nodes(&[((3, 0), (0, 1)), ((0, 1), (1, 2))]);
        assert_eq!(nodes.line(&memory, tail(1, 2), &[0, 1, 2, 3]), [3, 0, 1]);
        // A CPU that does not spin for it may have an old pointer in its node.
        assert_eq!(nodes.line(&memory, tail(1, 2), &[0, 1]), [0, 1]);
        // Nobody points to CPU 1's first node.
        assert_eq!(nodes.line(&memory, tail(1, 0), &[0, 1, 2, 3]), [1]);
        assert_eq!(nodes.line(&memory, 1, &[0, 1, 2, 3]), [0_u32; 0]);
        assert_eq!(nodes.line(&memory, tail(9, 0), &[0, 1, 2, 3]), [0_u32; 0]);
    }

    #[test]
    fn nodes_that_point_to_each_other_in_a_ring_are_each_in_line_once() {
        let (nodes, memory) = nodes(&[((0, 0), (1, 0)), ((1, 0), (0, 0))]);
        assert_eq!(nodes.line(&memory, tail(1, 0), &[0, 1, 2, 3]), [0, 1]);
    }

    fn spinner(cpu: u32, on_word: bool, ticket: Option<u32>) -> Spinner {
        let queued = Queued {
            task: usize::try_from(cpu).unwrap(),
            mode: Mode::Excl,
            position: None,
            spinning: true,
            in_interrupt: false,
            confidence: Confidence::Likely,
            why: Why::new("it spins"),
        };
        Spinner { queued, cpu: Some(cpu), on_word, ticket }
    }

    #[test]
    fn whoever_spins_on_the_word_is_before_the_queue_and_who_is_in_neither_has_no_place() {
        let order = |kind, value, line: &[u32]| {
            let mut spinners = [2, 1, 0].map(|cpu| spinner(cpu, cpu == 0, None));
            number(kind, Some(value), line, &mut spinners);
            spinners.map(|spinner| (spinner.queued.task, spinner.queued.position))
        };
        let all = [(0, Some(1)), (1, Some(2)), (2, Some(3))];
        assert_eq!(order(LockKind::Spinlock, 1 | QSPIN_PENDING, &[1, 2]), all);
        assert_eq!(order(LockKind::Rwlock, 1, &[1, 2]), all);
        let lost = [(1, Some(1)), (2, Some(2)), (0, None)];
        assert_eq!(order(LockKind::Spinlock, 1, &[1, 2]), lost);
    }

    #[test]
    fn spinners_of_a_ticket_lock_are_in_the_order_of_their_tickets_and_gaps_are_named() {
        let types = TypeTable::new().with("raw_spinlock", 4, &[("slock", 0, 4)]).types();
        let tickets = Tickets::probe(&types).unwrap();
        let told = |of: &[(u32, u32)]| {
            let spinners = of.iter().map(|(cpu, ticket)| spinner(*cpu, true, Some(*ticket)));
            // 5 is served, 9 is the next to be drawn.
            let found = by_ticket(tickets, Some(9 << 16 | 5), VirtAddr(0), spinners.collect());
            let places = found.queue.iter().map(|queued| (queued.task, queued.position));
            (places.collect::<Vec<_>>(), found.doubts)
        };
        let (places, doubts) = told(&[(0, 8), (1, 6), (2, 7)]);
        assert_eq!(places, [(1, Some(1)), (2, Some(2)), (0, Some(3))]);
        assert_eq!(doubts, ["ticket 0x5, which is served, is the holder's"]);
        let (places, doubts) = told(&[(0, 8), (1, 5), (2, 12)]);
        assert_eq!(places, [(1, Some(1)), (0, Some(3)), (2, None)]);
        assert_eq!(
            doubts,
            [
                "a ticket 0xc is not among those that are out",
                "nobody was found who spins with 0x6, 0x7"
            ]
        );
    }

    use crate::locks::testing::{Stage, demo};

    #[test]
    fn the_queue_of_a_rwlock_is_told_by_its_second_word() {
        let at = demo().symbols().address("hu_mm_spin").unwrap().0;
        let doubts = |kind, first: u32, second: u32| {
            let stage = Stage::with(|memory| {
                memory.put(at, &first.to_le_bytes());
                memory.put(at + 4, &second.to_le_bytes());
            });
            in_order(&stage.scene(), None, kind, VirtAddr(at), vec![spinner(0, true, None)]).doubts
        };
        let wild = "its last in line should be CPU 40, which the machine does not have";
        assert_eq!(doubts(LockKind::Rwlock, 0, tail(40, 0)), [wild]);
        assert_eq!(doubts(LockKind::Spinlock, 0, tail(40, 0)), [""; 0]);
        assert_eq!(doubts(LockKind::Spinlock, tail(40, 0), 0), [wild]);
    }

    #[test]
    fn an_order_that_is_not_known_is_doubtful_only_among_several() {
        let at = VirtAddr(demo().symbols().address("hu_mm_spin").unwrap().0);
        let doubts = |cpus: &[u32]| {
            let stage = Stage::with(|memory| memory.put(at.0, &(1 | QSPIN_PENDING).to_le_bytes()));
            let spinners = cpus.iter().map(|cpu| spinner(*cpu, true, None)).collect();
            in_order(&stage.scene(), None, LockKind::Spinlock, at, spinners).doubts
        };
        // Whoever is pending has a place.
        assert_eq!(doubts(&[0, 1]), [""; 0]);
        let unknown = |cpus: &[u32]| {
            let spinners = cpus.iter().map(|cpu| spinner(*cpu, true, None)).collect();
            let stage = Stage::with(|memory| memory.put(at.0, &1_u32.to_le_bytes()));
            in_order(&stage.scene(), None, LockKind::Spinlock, at, spinners).doubts
        };
        assert_eq!(unknown(&[0]), [""; 0]);
        assert_eq!(
            unknown(&[0, 1]),
            ["the order of some of those who spin for it could not be told"]
        );
    }

    /// For each level of what the CPU does: its functions, and whether it is an interrupt.
    fn levels(functions: &[&str]) -> Vec<(usize, bool)> {
        let mut stage = Stage::new();
        let index = stage.run("chain-7", 1, functions);
        let contexts = contexts(&stage.scene(), index);
        contexts.iter().map(|context| (context.frames.len(), context.is_interrupt)).collect()
    }

    #[test]
    fn an_interrupt_is_told_from_what_it_interrupted() {
        let slow = "native_queued_spin_lock_slowpath";
        assert_eq!(levels(&[slow, "_raw_spin_lock", "vfs_read"]), [(3, false)]);
        assert_eq!(
            levels(&["tick_sched_timer", "<IRQ> vfs_read", "ksys_read"]),
            [(1, true), (2, false)]
        );
        assert_eq!(levels(&["nmi_handle", "<NMI> vfs_read"]), [(1, true), (1, false)]);
        // A fault is the task's own doing.
        assert_eq!(levels(&["page_fault", "<EXC> vfs_read"]), [(2, false)]);
        let three = ["nmi_handle", "<NMI> tick_sched_timer", "<IRQ> vfs_read"];
        assert_eq!(levels(&three), [(1, true), (1, true), (1, false)]);
        assert_eq!(levels(&[]), [(0, false)]);
    }
}
