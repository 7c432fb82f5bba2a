//! The search for every `task_struct`.
//!
//! Tasks are found twice: by the PID IDR, and by the list of processes and each process's list of
//! threads. The IDR's come first, since they can be read side by side, each along with its number; from every task that is read
//! the lists lead to its neighbours, in both directions, until nothing new turns up. So a list or
//! an IDR that is damaged somewhere hides no task that the other still knows, and what one knows and
//! the other does not is noted. Idle tasks are on neither; each runqueue names its own.

use super::cpu::Cpus;
use super::image::Kernel;
use super::task_fields::{TaskFields, TaskRead};
use super::{Known, Unknown, pids};
use crate::dump::VirtAddr;
use foldhash::{HashMap, HashSet};
use rayon::prelude::*;
use std::collections::BTreeMap;

/// So few reads are not worth spreading over threads.
const FEW: usize = 64;

/// Every task by its address, and what could not be read or contradicts itself.
pub(super) fn search(
    kernel: Kernel<'_>,
    cpus: &Cpus,
    fields: &TaskFields,
) -> (HashMap<VirtAddr, Box<TaskRead>>, Vec<String>) {
    let mut search = Search::new(kernel, fields);
    search.run(cpus);
    let Search { found, refused, mut notes, .. } = search;
    for (from, (count, first)) in refused {
        notes.push(match count {
            1 => format!("{from} leads to a task that cannot be read: {first}"),
            _ => format!("{from} leads to {count} tasks that cannot be read, the first: {first}"),
        });
    }
    (found, notes)
}

/// The search for tasks from what is known to what it leads to.
struct Search<'a, 's> {
    kernel: Kernel<'s>,
    fields: &'a TaskFields,
    found: HashMap<VirtAddr, Box<TaskRead>>,
    unreadable: HashSet<VirtAddr>,
    /// How many could not be read, and why the first, by what led there.
    refused: BTreeMap<&'static str, (usize, Unknown)>,
    notes: Vec<String>,
}

impl<'a, 's> Search<'a, 's> {
    fn new(kernel: Kernel<'s>, fields: &'a TaskFields) -> Search<'a, 's> {
        Search {
            kernel,
            fields,
            found: HashMap::default(),
            unreadable: HashSet::default(),
            refused: BTreeMap::new(),
            notes: Vec::new(),
        }
    }

    fn run(&mut self, cpus: &Cpus) {
        let idle: Vec<VirtAddr> = cpus.iter().filter_map(|cpu| cpu.idle.clone().ok()).collect();
        let init = self.kernel.symbol("init_task");
        // Without runqueues the first CPU's idle task is still known.
        let first = if idle.is_empty() { init.clone().ok() } else { None };
        self.read(idle.into_iter().chain(first), "a runqueue");
        let (kernel, fields) = (self.kernel, self.fields);
        let pids = pids::read(kernel, |at| fields.read(kernel, at).map(Box::new));
        let has_pids = pids.is_ok();
        let mut numbered = HashSet::default();
        if let Ok(mut pids) = pids {
            pids.tasks.par_sort_by_key(|(at, _)| *at);
            numbered.extend(pids.tasks.iter().map(|(at, _)| *at));
            self.keep(pids.tasks, "the PID IDR");
            if let Some(cut) = &pids.cut {
                self.notes.push(format!("the PID IDR is damaged: {cut}"));
            }
        }
        let mut listed = HashSet::default();
        listed.reserve(numbered.len());
        let mut next: Vec<VirtAddr> = numbered.iter().copied().collect();
        match init {
            Ok(init) => next.push(init),
            Err(unknown) => self.notes.push(format!("the list of tasks has no head: {unknown}")),
        }
        let mut from = "the PID IDR";
        while !next.is_empty() && self.found.len() < pids::MAX_TASKS {
            let new = self.read(next.drain(..), from);
            from = "the list of tasks";
            let is_new =
                |at: &VirtAddr| !self.found.contains_key(at) && !self.unreadable.contains(at);
            for task in &new {
                // The idle tasks of other CPUs are copies; only that of the first is on the list.
                if let Some(read) = self.found.get(task)
                    && (read.task.pid != 0 || self.kernel.symbol("init_task") == Ok(*task))
                {
                    let linked = read.linked.iter().flatten().copied();
                    next.extend(linked.filter(|at| listed.insert(*at) && is_new(at)));
                    next.extend(read.kin.iter().flatten().copied().filter(is_new));
                }
            }
        }
        if has_pids {
            self.compare(&numbered, &listed);
        }
    }

    /// Reads those that are new and gives back which were read.
    fn read(
        &mut self,
        at: impl IntoIterator<Item = VirtAddr>,
        from: &'static str,
    ) -> Vec<VirtAddr> {
        let mut at: Vec<VirtAddr> =
            at.into_iter().filter(|at| !self.unreadable.contains(at)).collect();
        at.sort_unstable();
        at.dedup();
        let (kernel, fields) = (self.kernel, self.fields);
        let missing: Vec<VirtAddr> =
            at.iter().copied().filter(|at| !self.found.contains_key(at)).collect();
        let read = |at: &VirtAddr| (*at, fields.read(kernel, *at).map(Box::new));
        let results: Vec<_> = if missing.len() < FEW {
            missing.iter().map(read).collect()
        } else {
            missing.par_iter().map(read).collect()
        };
        self.keep(results, from);
        at.retain(|at| self.found.contains_key(at));
        at
    }

    /// Keeps what was read, or that it could not be.
    fn keep(&mut self, results: Vec<(VirtAddr, Known<Box<TaskRead>>)>, from: &'static str) {
        self.found.reserve(results.len());
        for (at, result) in results {
            match result {
                Ok(task) => _ = self.found.insert(at, task),
                Err(unknown) => {
                    if self.unreadable.insert(at) {
                        self.refused.entry(from).or_insert((0, unknown)).0 += 1;
                    }
                }
            }
        }
    }

    fn compare(&mut self, numbered: &HashSet<VirtAddr>, listed: &HashSet<VirtAddr>) {
        let mut odd = |what: &str, known: &HashSet<VirtAddr>| {
            let mut labels: Vec<(u32, String)> = self
                .found
                .iter()
                .filter(|(at, read)| !known.contains(at) && read.task.pid != 0)
                .map(|(_, read)| (read.task.pid, read.task.label()))
                .collect();
            labels.sort_unstable();
            if let Some((_, first)) = labels.first() {
                let others = match labels.len() - 1 {
                    0 => String::new(),
                    more => format!(" and {more} more"),
                };
                self.notes.push(format!("{first}{others}: {what}"));
            }
        };
        odd("on the list of tasks, but not in the PID IDR", numbered);
        odd("in the PID IDR, but not on the list of tasks", listed);
    }
}
