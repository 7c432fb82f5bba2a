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
use std::collections::HashMap;

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
    let mut found: HashMap<(LockKind, VirtAddr), Vec<Spinner>> = HashMap::new();
    let tickets = Tickets::probe(scene.session.types());
    for (index, task) in scene.tasks.iter().enumerate().filter(|(_, task)| task.active) {
        let functions = scene.functions(index);
        let Some((kind, mode, on_word)) = spins_for(&functions, tickets.is_some()) else {
            continue;
        };
        let Some(asked) = asked::argument(scene, code, index, api::is_spinning) else {
            let function = functions.iter().find(|name| api::is_spinning(api::base_name(name)));
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
            confidence: asked.confidence(),
            why: asked.why.and("and spins"),
        };
        let cpu = task.cpu.as_ref().ok().copied();
        let ticket = tickets.and_then(|tickets| ticket(scene, code, tickets, index));
        found.entry((kind, VirtAddr(asked.value))).or_default().push(Spinner {
            queued,
            cpu,
            on_word,
            ticket,
        });
    }
    let nodes = Nodes::find(scene);
    for ((kind, at), spinners) in found {
        waits.found.push(match tickets.filter(|_| kind == LockKind::Spinlock) {
            Some(tickets) => by_ticket(scene, tickets, at, spinners),
            None => in_order(scene, nodes.as_ref(), kind, at, spinners),
        });
    }
}

/// The ticket that a spinning task has drawn.
fn ticket(scene: &Scene<'_>, code: &Code<'_>, tickets: Tickets, index: usize) -> Option<u32> {
    let frames = &scene.traces.get(index)?.frames;
    let frame = frames.iter().find(|frame| {
        let name = scene.session.symbolize(frame.lookup_pc());
        name.is_some_and(|found| api::is_spin_loop(api::base_name(found.symbol.name)))
    })?;
    tickets.own(code.function(frame.lookup_pc())?.as_ref(), &frame.registers)
}

/// Puts spinners in the order of their tickets, and names those that none of them has.
fn by_ticket(
    scene: &Scene<'_>,
    tickets: Tickets,
    at: VirtAddr,
    mut spinners: Vec<Spinner>,
) -> Found {
    let mut doubts = Vec::new();
    if let Ok(word) = scene.session.memory().read_u32(at) {
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
    if let Some(cpu) = tail
        && !scene.session.cpus().iter().any(|known| known.number == cpu)
    {
        doubts
            .push(format!("its last in line should be CPU {cpu}, which the machine does not have"));
    }
    let line = match (&value, nodes) {
        (Ok(value), Some(nodes)) => {
            let cpus: Vec<u32> = spinners.iter().filter_map(|spinner| spinner.cpu).collect();
            nodes.line(scene, *value, &cpus)
        }
        _ => Vec::new(),
    };
    let place = |spinner: &Spinner| {
        let queue = spinner.cpu.and_then(|cpu| line.iter().position(|other| *other == cpu));
        match (queue, &value) {
            // Whoever is not in the queue spins on the word, before all others.
            (None, Ok(value))
                if kind == LockKind::Rwlock && spinner.on_word || value & QSPIN_PENDING != 0 =>
            {
                Some(0)
            }
            (Some(place), _) => u32::try_from(place + 1).ok(),
            _ => None,
        }
    };
    for spinner in &mut spinners {
        spinner.queued.position = place(spinner);
    }
    spinners.sort_by_key(|spinner| (spinner.queued.position.is_none(), spinner.queued.position));
    // Numbers from 1, whether or not somebody spins on the word.
    for (number, spinner) in (1..).zip(&mut spinners) {
        spinner.queued.position = spinner.queued.position.map(|_| number);
    }
    if spinners.iter().any(|spinner| spinner.queued.position.is_none()) && spinners.len() > 1 {
        doubts.push("the order of some of those who spin for it could not be told".to_owned());
    }
    Found {
        queue: spinners.into_iter().map(|spinner| spinner.queued).collect(),
        doubts,
        ..Found::new(kind, at)
    }
}

/// The per-CPU MCS nodes.
struct Nodes {
    /// `qnodes`; `mcs_nodes` until 4.19.
    symbol: VirtAddr,
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
        Some(Nodes {
            symbol: symbols.address("qnodes").or_else(|| symbols.address("mcs_nodes"))?,
            stride,
            next: mcs.offset_of("next").ok()?,
        })
    }

    fn of_cpu(&self, scene: &Scene<'_>, cpu: u32, index: u64) -> Option<VirtAddr> {
        let cpu = scene.session.cpus().iter().find(|other| other.number == cpu)?;
        Some(cpu.per_cpu(self.symbol).plus(index * self.stride))
    }

    /// The CPUs in the queue of a lock whose word is `value`, first in line first. `spinning` are
    /// the CPUs known to spin for it: a node that one of them does not use may hold an old `next`.
    fn line(&self, scene: &Scene<'_>, value: u32, spinning: &[u32]) -> Vec<u32> {
        let Some(tail) = (value >> QSPIN_TAIL_CPU_SHIFT).checked_sub(1) else { return Vec::new() };
        let index = u64::from(value >> TAIL_INDEX_SHIFT) % NODES;
        let Some(mut node) = self.of_cpu(scene, tail, index) else { return Vec::new() };
        let mut line = vec![tail];
        loop {
            let before = spinning.iter().filter(|cpu| !line.contains(cpu)).find_map(|&cpu| {
                (0..NODES).find_map(|index| {
                    let at = self.of_cpu(scene, cpu, index)?;
                    let next = scene.session.memory().read_ptr(at.plus(self.next)).ok()?;
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
}
