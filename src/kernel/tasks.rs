//! All tasks of the dump.
//!
//! `task_search` finds their `task_struct`s; here follows what takes more than a task's own: its
//! parent, its memory, its CPU and when it last ran.

use super::cpu::Cpus;
use super::image::Kernel;
use super::memory_use::{MemoryFields, MemoryUse};
use super::task_fields::{TaskFields, TaskRead, tgid_at};
use super::{Known, State, Task, Unknown, task_search};
use crate::dump::VirtAddr;
use foldhash::HashMap;
use rayon::prelude::*;
use std::time::Duration;

/// Every task, in crash's order: by pid, the idle tasks first and by CPU.
#[derive(Clone, Default, Debug)]
pub struct Tasks {
    tasks: Vec<Task>,
    by_address: HashMap<VirtAddr, usize>,
    /// What could not be read, or contradicts itself.
    pub notes: Vec<String>,
}

impl Tasks {
    /// Finds and reads them.
    #[must_use]
    pub fn read(kernel: Kernel<'_>, cpus: &Cpus) -> Tasks {
        let fields = match TaskFields::probe(kernel) {
            Ok(fields) => fields,
            Err(unknown) => {
                let notes = vec![format!("tasks cannot be read: {unknown}")];
                return Tasks { notes, ..Tasks::default() };
            }
        };
        let (found, notes) = task_search::search(kernel, cpus, &fields);
        let found = finish(kernel, cpus, &fields, found);
        Tasks::new(found, notes)
    }

    /// Puts tasks in order.
    #[must_use]
    pub fn new(mut tasks: Vec<Task>, notes: Vec<String>) -> Tasks {
        tasks.sort_by_key(|task| {
            let cpu = if task.pid == 0 { task.cpu.clone().unwrap_or(u32::MAX) } else { 0 };
            (task.pid, cpu, task.at)
        });
        let by_address = tasks.iter().enumerate().map(|(i, task)| (task.at, i)).collect();
        Tasks { tasks, by_address, notes }
    }

    /// All of them, in order.
    #[must_use]
    pub fn all(&self) -> &[Task] {
        &self.tasks
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.tasks.len()
    }

    /// Whether none was found.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.tasks.is_empty()
    }

    /// All of them, in order.
    pub fn iter(&self) -> std::slice::Iter<'_, Task> {
        self.tasks.iter()
    }

    /// The task whose `task_struct` is at `at`.
    #[must_use]
    pub fn at(&self, at: VirtAddr) -> Option<&Task> {
        self.tasks.get(*self.by_address.get(&at)?)
    }

    /// The task of that number; of the idle tasks the first.
    #[must_use]
    pub fn by_pid(&self, pid: u32) -> Option<&Task> {
        let first = self.tasks.partition_point(|task| task.pid < pid);
        self.tasks.get(first).filter(|task| task.pid == pid)
    }

    /// The threads of the process `tgid`, by pid.
    pub fn threads(&self, tgid: u32) -> impl Iterator<Item = &Task> {
        self.tasks.iter().filter(move |task| task.tgid == tgid)
    }

    /// How many tasks are in each state, the rarest letters last.
    #[must_use]
    pub fn counts(&self) -> Vec<(State, usize)> {
        let mut counts: HashMap<State, usize> = HashMap::default();
        for state in self.tasks.iter().flat_map(|task| task.state.as_ref().ok()) {
            *counts.entry(*state).or_default() += 1;
        }
        let mut counts: Vec<_> = counts.into_iter().collect();
        counts.sort_by_key(|(state, count)| (std::cmp::Reverse(*count), *state));
        counts
    }
}

impl<'a> IntoIterator for &'a Tasks {
    type Item = &'a Task;
    type IntoIter = std::slice::Iter<'a, Task>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

/// What takes more than a task's own struct: its parent, its memory, its time and CPU.
fn finish(
    kernel: Kernel<'_>,
    cpus: &Cpus,
    fields: &TaskFields,
    found: HashMap<VirtAddr, Box<TaskRead>>,
) -> Vec<Task> {
    let memory_fields = MemoryFields::probe(kernel);
    let uses = memory_uses(kernel, cpus, &memory_fields, &found);
    let mut own_pages: HashMap<u32, i64> = HashMap::default();
    for read in found.values() {
        *own_pages.entry(read.task.tgid).or_default() += read.rss_pages;
    }
    let now = cpus.clock();
    let tgids: HashMap<VirtAddr, u32> =
        found.iter().map(|(at, read)| (*at, read.task.tgid)).collect();
    // In their order, save for the idle tasks: then no task, which is large, moves again.
    let mut found: Vec<Box<TaskRead>> = found.into_values().collect();
    found.sort_by_cached_key(|read| (read.task.pid, read.task.at));
    found
        .into_par_iter()
        .map(|read| {
            let TaskRead { mut task, parent, .. } = *read;
            task.ppid = parent.and_then(|parent| match tgids.get(&parent) {
                // Idle tasks are nobody's children, whoever started their CPUs.
                _ if task.pid == 0 => Ok(0),
                Some(tgid) => Ok(*tgid),
                None => Ok(tgid_at(fields, kernel, parent)?),
            });
            let cpu = cpus.running(task.at);
            task.active = cpu.is_some();
            if task.pid == 0
                && let Some(cpu) = cpus.iter().find(|cpu| cpu.idle == Ok(task.at))
            {
                task.cpu = Ok(cpu.number);
            }
            let zombie = matches!(task.state, Ok(State::Zombie));
            if let Some(usage) = task.mm.filter(|_| !zombie).and_then(|mm| uses.get(&mm)) {
                task.vsz_kib = usage.vsz_kib.clone();
                let pages = usage.resident_pages.clone();
                let own = own_pages.get(&task.tgid).copied().unwrap_or(0);
                let resident = pages.map(|pages| memory_fields.resident(pages.saturating_add(own)));
                task.rss_kib = resident.clone().map(|(kib, _)| kib);
                task.mem_percent = resident.and_then(|(_, percent)| percent);
            }
            task.since_ran = since(now, task.since_ran, cpu.is_some());
            task
        })
        .collect()
}

fn memory_uses(
    kernel: Kernel<'_>,
    cpus: &Cpus,
    fields: &MemoryFields,
    found: &HashMap<VirtAddr, Box<TaskRead>>,
) -> HashMap<VirtAddr, MemoryUse> {
    let mut spaces: Vec<VirtAddr> = found.values().filter_map(|read| read.task.mm).collect();
    spaces.sort_unstable();
    spaces.dedup();
    spaces.into_par_iter().map(|mm| (mm, fields.read(kernel, cpus, mm))).collect()
}

/// How long ago `last` was. A task that is on a CPU has not stopped running.
fn since(now: Option<Duration>, last: Known<Duration>, on_cpu: bool) -> Known<Duration> {
    if on_cpu {
        return Ok(Duration::ZERO);
    }
    match now {
        Some(now) => Ok(now.saturating_sub(last?)),
        None => Err(Unknown::because("no runqueue's clock can be read")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::debuginfo::{SymbolTable, Symbols, Types};
    use crate::kernel::testing::{Image, TypeTable};

    /// Where the test's `task_struct` has its members.
    const STATE: u64 = 0;
    const PID: u64 = 4;
    const TGID: u64 = 8;
    const STACK: u64 = 16;
    const PARENT: u64 = 24;
    const LEADER: u64 = 32;
    const TASKS: u64 = 40;
    const THREADS: u64 = 56;
    const SIGNAL: u64 = 72;
    const PID_LINKS: u64 = 88;
    const COMM: u64 = 96;
    const SIZE: u64 = 128;
    const THREAD_HEAD: u64 = 16;

    const BASE: u64 = 0xffff_8880_0000_0000;
    const SIGNALS: u64 = BASE + 0x10_0000;
    const PIDS: u64 = BASE + 0x20_0000;
    const NODE: u64 = BASE + 0x30_0000;

    fn types() -> Types {
        TypeTable::new()
            .with("xarray", 16, &[("xa_head", 8, 8)])
            .with("xa_node", 576, &[("shift", 0, 1), ("slots", 64, 512)])
            .with("idr", 24, &[("idr_rt: xarray", 0, 0)])
            .with("pid_namespace", 64, &[("idr: idr", 0, 0)])
            .with("pid", 64, &[("tasks", 16, 32)])
            .with("signal_struct", 64, &[("thread_head", THREAD_HEAD, 16)])
            .with(
                "task_struct",
                SIZE,
                &[
                    ("__state", STATE, 4),
                    ("pid", PID, 4),
                    ("tgid", TGID, 4),
                    ("stack", STACK, 8),
                    ("real_parent", PARENT, 8),
                    ("group_leader", LEADER, 8),
                    ("tasks", TASKS, 16),
                    ("thread_node", THREADS, 16),
                    ("signal", SIGNAL, 8),
                    ("mm", 80, 8),
                    ("pid_links", PID_LINKS, 8),
                    ("comm", COMM, 16),
                ],
            )
            .types()
    }

    fn at(pid: u64) -> u64 {
        BASE + pid * SIZE
    }

    /// Links nodes into a circle.
    fn ring(image: &mut Image, nodes: &[u64]) {
        for (node, next) in nodes.iter().zip(nodes.iter().cycle().skip(1)) {
            image.put_u64(*node, *next);
            image.put_u64(next + 8, *node);
        }
    }

    /// init_task, the processes 1 and 2, and 3, a thread of 2; all in the IDR.
    fn machine() -> Image {
        let mut image = Image::default();
        image.put(SIGNALS, &[0; 256]);
        for (pid, tgid, parent) in [(0u64, 0, 0), (1, 1, 0), (2, 2, 1), (3, 2, 1)] {
            image.put(at(pid), &vec![0; usize::try_from(SIZE).unwrap()]);
            image.put(at(pid) + PID, &u32::try_from(pid).unwrap().to_le_bytes());
            image.put(at(pid) + TGID, &u32::try_from(tgid).unwrap().to_le_bytes());
            image.put_u64(at(pid) + STACK, BASE + 0x40_0000 + pid * 0x4000);
            image.put_u64(at(pid) + PARENT, at(parent));
            image.put_u64(at(pid) + LEADER, at(tgid));
            image.put_u64(at(pid) + SIGNAL, SIGNALS + 64 * tgid);
            image.put(at(pid) + COMM, format!("task{pid}").as_bytes());
        }
        ring(&mut image, &[at(0) + TASKS, at(1) + TASKS, at(2) + TASKS]);
        let head = |tgid: u64| SIGNALS + 64 * tgid + THREAD_HEAD;
        ring(&mut image, &[head(0), at(0) + THREADS]);
        ring(&mut image, &[head(1), at(1) + THREADS]);
        ring(&mut image, &[head(2), at(2) + THREADS, at(3) + THREADS]);
        image.put(PIDS - 16, &[0; 16]);
        image.put_u64(PIDS - 8, NODE | 2);
        image.put(NODE, &[0; 576]);
        for pid in 1..=3 {
            let slot = PIDS + 0x100 * pid;
            image.put_u64(NODE + 64 + 8 * pid, slot);
            image.put_u64(slot + 16, at(pid) + PID_LINKS);
        }
        image
    }

    fn read_with(image: &Image, types: &Types) -> Tasks {
        let mut table = SymbolTable::new(None);
        table.push("init_task", VirtAddr(at(0)), 'D');
        table.push("init_pid_ns", VirtAddr(PIDS - 16), 'D');
        let symbols = Symbols::new(table.finish(VirtAddr(u64::MAX)), Vec::new());
        Tasks::read(Kernel { memory: image, types, symbols: &symbols }, &Cpus::default())
    }

    fn read(image: &Image) -> Tasks {
        read_with(image, &types())
    }

    fn pids(tasks: &Tasks) -> Vec<u32> {
        tasks.iter().map(|task| task.pid).collect()
    }

    #[test]
    fn list_and_idr_that_agree_need_no_note() {
        let tasks = read(&machine());
        assert_eq!(pids(&tasks), [0, 1, 2, 3]);
        assert_eq!(tasks.notes, [""; 0]);
        let thread = tasks.by_pid(3).unwrap();
        assert_eq!((thread.tgid, thread.ppid.clone(), &*thread.comm), (2, Ok(1), "task3"));
        assert_eq!(tasks.at(VirtAddr(at(3))).map(|task| task.pid), Some(3));
        assert_eq!(tasks.threads(2).count(), 2);
        assert_eq!(tasks.counts(), [(State::Running, 4)]);
    }

    #[test]
    fn a_task_cut_out_of_the_list_is_found_by_the_idr_and_noted() {
        let mut image = machine();
        ring(&mut image, &[at(0) + TASKS, at(2) + TASKS]);
        ring(&mut image, &[at(1) + TASKS]);
        let head = SIGNALS + 64 + THREAD_HEAD;
        ring(&mut image, &[head]);
        image.put_u64(at(1) + THREADS, head);
        image.put_u64(at(1) + THREADS + 8, head);
        image.put_u64(at(1) + TASKS, at(0) + TASKS);
        image.put_u64(at(1) + TASKS + 8, at(0) + TASKS);
        let tasks = read(&image);
        assert_eq!(pids(&tasks), [0, 1, 2, 3]);
        assert_eq!(tasks.notes, ["task1[1]: in the PID IDR, but not on the list of tasks"]);
    }

    #[test]
    fn a_task_missing_in_the_idr_is_found_by_the_list_and_noted() {
        let mut image = machine();
        image.put_u64(NODE + 64 + 8 * 2, 0);
        image.put_u64(NODE + 64 + 8 * 3, 0);
        let tasks = read(&image);
        assert_eq!(pids(&tasks), [0, 1, 2, 3]);
        assert_eq!(
            tasks.notes,
            ["task2[2] and 1 more: on the list of tasks, but not in the PID IDR"]
        );
    }

    #[test]
    fn a_list_that_runs_into_nothing_hides_no_task_and_is_noted_once() {
        let mut image = machine();
        image.put_u64(at(1) + TASKS, BASE + 0x50_0000 + TASKS);
        image.put_u64(at(2) + TASKS, BASE + 0x60_0000 + TASKS);
        let tasks = read(&image);
        assert_eq!(pids(&tasks), [0, 1, 2, 3]);
        let [note] = tasks.notes.as_slice() else { panic!("{:?}", tasks.notes) };
        assert!(
            note.starts_with("the list of tasks leads to 2 tasks that cannot be read"),
            "{note}"
        );
    }

    #[test]
    fn what_is_no_task_is_not_taken_for_one() {
        let mut image = machine();
        let junk = BASE + 0x50_0000;
        image.put(junk, &vec![0x41; usize::try_from(SIZE).unwrap()]);
        image.put_u64(at(1) + TASKS, junk + TASKS);
        let tasks = read(&image);
        assert_eq!(pids(&tasks), [0, 1, 2, 3]);
        assert!(tasks.notes.iter().any(|note| note.contains("no task_struct lies at")));
    }

    #[test]
    fn without_types_there_is_a_reason_instead_of_tasks() {
        let tasks = read_with(&machine(), &Types::new());
        assert!(tasks.is_empty());
        assert_eq!(
            tasks.notes,
            ["tasks cannot be read: no type struct task_struct in the debug information at hand"]
        );
    }
}
