//! The machine: what the published figures say of it, exactly, and the rest as it may well have been.
//!
//! Taken liberties: the NMI that stopped the CPUs is caught in its handler (the registers in the notes are those
//! of `crash_nmi_callback`, with all of the NMI stack to be unwound); threads have the leader of their process for a
//! parent, so that `ps` shows the numbers that the figures show; `down_write`, and but for page faults `down_read`, are part
//! of their callers, so that the frames are those of the figures.

use super::cast::{Chain, Mode, Process, Task, cast};
use super::kernel::Kernel;
use super::memory::{DIRECT, Memory, note, physical};
use super::stack::{Run, STACK};
use iced_x86::Register::{R8, R12, R13, R14, R15, RAX, RBP, RBX, RCX, RDI, RDX, RSI};
use std::collections::{BTreeMap, HashMap};

/// What stands in the dump's own words for what it is.
pub(crate) const SYNTHETIC: &str =
    "a replay of a published case, built by hangscope's own tests; no machine's memory";
/// `zone->lru_lock` of the zone at ZONE: ticket 66cc is served, 66d4 is the next one to be given out.
const LRU_LOCK: u64 = 0xffff_8800_0002_b2c0;
const ZONE: u64 = 0xffff_8800_0002_2e80;
const NODE: u64 = 0xffff_8800_0001_2000;
const TICKETS: u32 = 0x66d4_66cc;
const SERVED: u64 = 0x66cc;
/// 41 days and a few hours.
const UPTIME: u64 = 3_556_907;
const CRASH_TIME: u64 = 1_552_556_907;
const HZ: u64 = 1000;
const CPUS: u32 = 32;
/// 130 GiB, the hole below 4 GiB among them.
const MAX_PFN: u64 = 0x208_0000;
/// Of a CPU's per-CPU area.
const NMI_STACK_TOP: u64 = 0x8000;

/// Which of the two dumps.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Variant {
    /// Nothing shows who holds the spinlock.
    Unknown,
    /// kswapd0 on CPU 4 has taken it and not given it back.
    Found,
}

/// Where a CPU's per-CPU area lies: CPUs 0 to 7 and 16 to 23 are of node 0.
fn per_cpu(cpu: u32) -> u64 {
    let place = u64::from(cpu % 8 + cpu / 16 * 8);
    let second = matches!(cpu, 8..16 | 24..32);
    let start = if second { 0xffff_8810_7880_0000 } else { 0xffff_8800_2820_0000 };
    start + 0x2_0000 * place
}

struct Machine<'k> {
    kernel: &'k Kernel,
    memory: Memory,
    /// Of each CPU.
    notes: Vec<Vec<u8>>,
    /// Where each waiting task has its rwsem_waiter.
    waiters: HashMap<u32, u64>,
}

/// The dump as an ELF core.
pub(crate) fn build(kernel: &Kernel, variant: Variant) -> Vec<u8> {
    let mut machine = Machine {
        kernel,
        memory: Memory::default(),
        notes: vec![Vec::new(); CPUS as usize],
        waiters: HashMap::new(),
    };
    let (processes, tasks) = cast(kernel.symbol("init_task"));
    machine.image();
    machine.page_tables();
    for process in &processes {
        machine.address_space(process);
    }
    for task in &tasks {
        machine.task(task, &processes, variant);
    }
    machine.lists(&tasks);
    machine.semaphores(&processes, &tasks);
    machine.zone();
    machine.cpus(&tasks);
    machine.system();
    machine.log();
    let mut notes: Vec<u8> = machine.notes.concat();
    notes.extend(note("VMCOREINFO", 0, machine.vmcoreinfo().as_bytes()));
    machine.memory.core(&notes)
}

impl Machine<'_> {
    fn at(&self, name: &str, base: u64, path: &str) -> u64 {
        base + self.kernel.offset(name, path)
    }

    fn put64(&mut self, name: &str, base: u64, path: &str, value: u64) {
        self.memory.put64(self.at(name, base, path), value);
    }

    fn put32(&mut self, name: &str, base: u64, path: &str, value: u32) {
        self.memory.put32(self.at(name, base, path), value);
    }

    fn image(&mut self) {
        let start = self.kernel.symbol("linux_banner");
        let end = self.kernel.symbol("_end");
        self.memory.touch(start, end - start);
        for (at, bytes) in self.kernel.contents() {
            // Most of the text is room between functions.
            for (block, bytes) in (0u64..).zip(bytes.chunks(4096)) {
                if bytes.iter().any(|byte| *byte != 0) {
                    self.memory.put(at + 4096 * block, bytes);
                }
            }
        }
    }

    fn page_tables(&mut self) {
        let symbol = |name: &str| self.kernel.symbol(name);
        let top = symbol("init_level4_pgt");
        let (ident, kernel, image) =
            (symbol("level3_ident_pgt"), symbol("level3_kernel_pgt"), symbol("level2_kernel_pgt"));
        let entry = |table: u64| physical(table) | 0x67;
        self.memory.put64(top + 8 * 272, entry(ident));
        self.memory.put64(top + 8 * 511, entry(kernel));
        self.memory.put64(kernel + 8 * 510, entry(image));
        for gib in 0..MAX_PFN.div_ceil(1 << 18) {
            self.memory.put64(ident + 8 * gib, gib << 30 | 0xe3);
        }
        for piece in 0..32 {
            self.memory.put64(image + 8 * piece, piece << 21 | 0xe3);
        }
    }

    fn address_space(&mut self, process: &Process) {
        let mm = process.mm;
        self.memory.touch(mm, self.kernel.size("mm_struct"));
        let pgd = DIRECT + physical(self.kernel.symbol("init_level4_pgt"));
        self.put64("mm_struct", mm, "pgd", pgd);
        self.put32("mm_struct", mm, "mm_users", process.threads);
        self.put32("mm_struct", mm, "mm_count", 1);
        self.put64("mm_struct", mm, "total_vm", process.vsz_kib / 4);
        self.put64("mm_struct", mm, "_file_rss", 700);
        self.put64("mm_struct", mm, "_anon_rss", (process.rss_kib / 4).saturating_sub(700));
        if process.rss_kib / 4 < 700 {
            self.put64("mm_struct", mm, "_file_rss", process.rss_kib / 4);
        }
        self.put64("mm_struct", mm, "owner", process.leader);
        // The semaphore's list taken for a waiter has this for its task.
        self.put32("mm_struct", mm, "page_table_lock", process.page_table_lock);
        self.put64("mm_struct", mm, "task_size", 0x7fff_ffff_f000);
        let list =
            self.at("mm_struct", mm, "mmap_sem") + self.kernel.offset("rw_semaphore", "wait_list");
        self.memory.link(&[list]);
    }

    fn task(&mut self, task: &Task, processes: &[Process], variant: Variant) {
        let at = task.at;
        self.memory.touch(at, self.kernel.size("task_struct"));
        self.memory.touch(task.stack, STACK);
        let mm = task.process.map_or(0, |process| processes[process].mm);
        let sp = self.stack(task, mm, variant);
        let state = match task.chain.state() {
            "RU" => 0,
            "IN" => 1,
            _ => 2,
        };
        let kernel_thread = task.process.is_none();
        for (path, value) in [
            ("state", state),
            ("stack", task.stack),
            ("mm", mm),
            ("active_mm", mm),
            ("real_parent", task.parent),
            ("parent", task.parent),
            ("group_leader", task.leader),
            ("thread.sp", sp),
            ("thread.sp0", task.stack + STACK),
            ("se.exec_start", UPTIME * 1_000_000_000 - task.slept_ms * 1_000_000),
            (
                "sched_info.last_arrival",
                UPTIME * 1_000_000_000 - task.slept_ms * 1_000_000 - 40_000,
            ),
        ] {
            self.put64("task_struct", at, path, value);
        }
        for (path, value) in [
            ("usage", 2),
            ("flags", if kernel_thread { 0x0020_8040 } else { 0x0040_0040 }),
            ("prio", 120),
            ("static_prio", 120),
            ("normal_prio", 120),
            ("pid", task.pid),
            ("tgid", task.tgid),
        ] {
            self.put32("task_struct", at, path, value);
        }
        let node = self.at("task_struct", at, "se.group_node");
        self.memory.link(&[node]);
        let comm = self.at("task_struct", at, "comm");
        self.memory.put(comm, task.comm.as_bytes());
        self.put64("thread_info", task.stack, "task", at);
        self.put32("thread_info", task.stack, "cpu", task.cpu);
        self.put64(
            "thread_info",
            task.stack,
            "addr_limit",
            if kernel_thread { u64::MAX } else { 0x7fff_ffff_f000 },
        );
    }

    /// What is on the task's stack, and on those of its CPU if it runs; gives `thread.sp`.
    fn stack(&mut self, task: &Task, mm: u64, variant: Variant) -> u64 {
        let kernel = self.kernel;
        let memory = &mut self.memory;
        let top = task.stack + STACK;
        let semaphore = mm + kernel.offset("mm_struct", "mmap_sem");
        let mut user = Run::user(kernel, task.user_rip, task.user_rsp, 0x202);
        user.set(RBX, 0x7fb3_0000_0000 | u64::from(task.pid) << 8);
        user.set(RBP, task.user_rsp + 0x40);
        let thread = |memory: &mut Memory| {
            let mut run = Run::kernel(kernel, top - 0xb0, "child_rip");
            memory.put64(top - 0xb0, 0);
            run.set(R12, task.at);
            run.call(memory, "kthread");
            run
        };
        let waiters = &mut self.waiters;
        let mut waiter = |memory: &mut Memory, run: &mut Run<'_>, mode: Mode| {
            // What is kept over the call is not the semaphore, but its wait_lock.
            run.set(RAX, 0);
            run.calls(memory, mode.slow_path());
            let waiter = run.get(RBP) - 0x30;
            waiters.insert(task.pid, waiter);
            run.call(memory, "rwsem_down_failed_common");
            run.set(RBX, run_lock(task.waits_for.unwrap(), kernel));
            run.set(R12, waiter);
            run.set(R14, task.at);
            run.sleep(memory)
        };
        match &task.chain {
            Chain::Calls(number, functions) => {
                user.system_call(memory, top, *number);
                user.calls(memory, functions);
                if let Some(word) = task.left_over {
                    // In the frame of futex_wait, from an earlier call.
                    memory.put64(top - 0x240, word);
                }
                user.sleep(memory)
            }
            Chain::Runnable(number, functions) => {
                user.system_call(memory, top, *number);
                user.calls(memory, functions);
                user.sleep(memory)
            }
            Chain::Thread(functions) => {
                let mut run = thread(memory);
                run.calls(memory, functions);
                run.sleep(memory)
            }
            Chain::Kthreadd => {
                let mut run = Run::kernel(kernel, top - 0xb0, "child_rip");
                memory.put64(top - 0xb0, 0);
                run.call(memory, "kthreadd");
                run.sleep(memory)
            }
            Chain::Mprotect => {
                user.rflags = 0x1_0202;
                user.system_call(memory, top, 10);
                user.call(memory, "sys_mprotect");
                user.set(R12, 0x7fb3_d46a_5000);
                user.call(memory, "call_rwsem_down_write_failed");
                waiter(memory, &mut user, Mode::Write)
            }
            Chain::Fault => {
                user.exception(memory, top, "page_fault", 6);
                user.call(memory, "do_page_fault");
                user.set(RBX, top - 0xa8);
                user.call(memory, "__do_page_fault");
                user.set(RBX, mm);
                user.set(R13, top - 0xa8);
                user.set(R14, 6);
                user.set(R15, 0x7fb2_c000_1000);
                user.calls(memory, &["down_read", "call_rwsem_down_read_failed"]);
                waiter(memory, &mut user, Mode::Read)
            }
            Chain::Maps => {
                user.system_call(memory, top, 0);
                user.calls(memory, &["sys_read", "vfs_read", "seq_read", "m_start"]);
                let wanted = task.waits_for.unwrap();
                user.set(RBX, wanted);
                user.set(R12, wanted + kernel.offset("mm_struct", "mmap_sem"));
                user.call(memory, "call_rwsem_down_read_failed");
                waiter(memory, &mut user, Mode::Read)
            }
            Chain::Cmdline => {
                user.system_call(memory, top, 0);
                user.calls(
                    memory,
                    &[
                        "sys_read",
                        "vfs_read",
                        "proc_info_read",
                        "proc_pid_cmdline",
                        "access_process_vm",
                    ],
                );
                user.set(R13, task.waits_for.unwrap());
                user.call(memory, "call_rwsem_down_read_failed");
                waiter(memory, &mut user, Mode::Read)
            }
            Chain::FaultSpin(ticket) => {
                user.exception(memory, top, "page_fault", 6);
                user.call(memory, "do_page_fault");
                user.set(RBX, top - 0xa8);
                user.call(memory, "__do_page_fault");
                user.set(RBX, mm);
                user.set(R12, 0xffff_8805_1f30_a5c8);
                user.set(R13, top - 0xa8);
                user.set(R14, 6);
                user.set(R15, 0x7fb2_c000_1000);
                user.local(memory, 0xe8, semaphore);
                user.calls(
                    memory,
                    &[
                        "handle_mm_fault",
                        "handle_pte_fault",
                        "alloc_pages_vma",
                        "__alloc_pages_nodemask",
                    ],
                );
                user.call(memory, "get_page_from_freelist");
                user.set(RBX, ZONE);
                user.calls(
                    memory,
                    &[
                        "zone_reclaim",
                        "shrink_slab",
                        "shrink_icache_memory",
                        "invalidate_mapping_pages",
                    ],
                );
                user.calls(
                    memory,
                    &["__pagevec_release", "lru_add_drain", "____pagevec_lru_deactivate"],
                );
                self.spin(user, task, *ticket)
            }
            Chain::WorkSpin(ticket) => {
                let mut run = thread(memory);
                run.calls(memory, &["worker_thread", "lru_add_drain_per_cpu", "lru_add_drain"]);
                run.call(memory, "____pagevec_lru_deactivate");
                self.spin(run, task, *ticket)
            }
            Chain::Reclaim => {
                let mut run = thread(memory);
                run.calls(memory, &["kswapd", "balance_pgdat", "shrink_zone"]);
                run.set(RBX, ZONE);
                run.call(memory, "shrink_inactive_list");
                run.set(R12, ZONE);
                run.set(R13, 0x20);
                run.set(R15, LRU_LOCK);
                let (callee, rip) = match variant {
                    Variant::Unknown => ("shrink_page_list", 0xffff_ffff_8113_9440),
                    Variant::Found => ("isolate_pages_global", 0xffff_ffff_8113_9bf4),
                };
                run.call(memory, callee);
                run.set(R13, 0xffff_ea00_0a3b_1c28);
                run.at(rip);
                self.stop(run, task)
            }
            Chain::UserMode => self.stop(user, task),
            Chain::Idle => {
                let first = if task.cpu == 0 { "start_kernel" } else { "start_secondary" };
                let mut run = Run::kernel(kernel, top - 0x10, first);
                run.enter(memory, first);
                if task.cpu == 0 {
                    run.call(memory, "rest_init");
                }
                run.call(memory, "cpu_idle");
                if !task.stopped {
                    return run.sleep(memory);
                }
                run.calls(memory, &["cpuidle_idle_call", "intel_idle"]);
                run.at(0xffff_ffff_812e_09b1);
                self.stop(run, task)
            }
            Chain::Panic => {
                let mut run = thread(memory);
                run.calls(memory, &["watchdog", "panic", "crash_kexec"]);
                run.at(0xffff_ffff_810c_5ea0);
                self.notes[task.cpu as usize] = note("CORE", 1, &run.prstatus(task.pid));
                run.get(iced_x86::Register::RSP)
            }
        }
    }

    /// Waits for the ticket of that number, and is stopped there.
    fn spin(&mut self, mut run: Run<'_>, task: &Task, ticket: u64) -> u64 {
        run.set(RBX, ZONE);
        run.set(R12, 0);
        run.set(R13, ZONE);
        run.set(R14, per_cpu(task.cpu) + self.kernel.symbol("per_cpu__lru_deactivate_pvecs"));
        run.set(R15, 0);
        run.set(RDI, LRU_LOCK);
        run.call(&mut self.memory, "_spin_lock_irq");
        run.at(self.kernel.symbol("_spin_lock_irq") + 40);
        run.rflags = 0x93;
        for (register, value) in [(RAX, ticket), (RDX, SERVED), (RCX, 4), (RSI, 0xa), (R8, 0)] {
            run.set(register, value);
        }
        self.stop(run, task)
    }

    /// The NMI with which the panicking CPU stops all others.
    fn stop(&mut self, mut run: Run<'_>, task: &Task) -> u64 {
        let top = per_cpu(task.cpu) + NMI_STACK_TOP;
        let memory = &mut self.memory;
        let sp = run.get(iced_x86::Register::RSP);
        memory.touch(top - 4096, 4096);
        run.exception(memory, top, "nmi", u64::MAX);
        run.calls(
            memory,
            &["do_nmi", "notify_die", "atomic_notifier_call_chain", "notifier_call_chain"],
        );
        run.call(memory, "crash_nmi_callback");
        run.rflags = 0x46;
        run.at(0xffff_ffff_8103_0096);
        self.notes[task.cpu as usize] = note("CORE", 1, &run.prstatus(task.pid));
        sp
    }

    /// The list of processes, and each process's list of threads.
    fn lists(&mut self, tasks: &[Task]) {
        let processes: Vec<u64> = tasks
            .iter()
            .filter(|task| task.leader == task.at && task.on_list())
            .map(|task| task.at)
            .collect();
        let offset = self.kernel.offset("task_struct", "tasks");
        self.memory.link(&processes.iter().map(|at| at + offset).collect::<Vec<_>>());
        let offset = self.kernel.offset("task_struct", "thread_group");
        let mut threads: BTreeMap<u64, Vec<u64>> = BTreeMap::new();
        for task in tasks {
            threads.entry(task.leader).or_default().push(task.at + offset);
        }
        for threads in threads.values() {
            self.memory.link(threads);
        }
    }

    /// Each process's mmap_sem: how many have it, and who waits.
    fn semaphores(&mut self, processes: &[Process], tasks: &[Task]) {
        for process in processes {
            // Who came first waits longest.
            let mut waiters: Vec<&Task> =
                tasks.iter().filter(|task| task.waits_for == Some(process.mm)).collect();
            waiters.sort_by_key(|task| (std::cmp::Reverse(task.slept_ms), task.pid));
            let semaphore = self.at("mm_struct", process.mm, "mmap_sem");
            let list = self.at("rw_semaphore", semaphore, "wait_list");
            let mut nodes = vec![list];
            for task in &waiters {
                let waiter = self.waiters[&task.pid];
                nodes.push(waiter);
                self.put64("rwsem_waiter", waiter, "task", task.at);
                let flags = if task.mode() == Mode::Write { 2 } else { 1 };
                self.put32("rwsem_waiter", waiter, "flags", flags);
            }
            self.memory.link(&nodes);
            let count = process.readers.wrapping_sub((waiters.len() as u64) << 32);
            self.put64("rw_semaphore", semaphore, "count", count);
            self.put32("rw_semaphore", semaphore, "wait_lock", process.wait_lock);
        }
    }

    fn zone(&mut self) {
        let names = self.kernel.symbol("zone_names");
        for (number, name) in (0u64..).zip(["DMA", "DMA32", "Normal", "Movable"]) {
            let zone = NODE + self.kernel.size("zone") * number;
            let text = names + 16 * number;
            self.memory.put(text, name.as_bytes());
            self.put64("zone", zone, "name", text);
            self.put64("zone", zone, "zone_pgdat", NODE);
        }
        assert_eq!(NODE + 2 * self.kernel.size("zone"), ZONE);
        assert_eq!(self.at("zone", ZONE, "lru_lock"), LRU_LOCK);
        self.memory.put32(LRU_LOCK, TICKETS);
        self.put64("zone", ZONE, "present_pages", 16_547_840);
        self.put64("pglist_data", NODE, "node_present_pages", 33_554_432);
        self.put64("pglist_data", NODE, "node_start_pfn", 1);
        self.put32("pglist_data", NODE, "nr_zones", 3);
        let table = self.kernel.symbol("node_data");
        self.memory.put64(table, NODE);
    }

    fn cpus(&mut self, tasks: &[Task]) {
        for name in ["cpu_possible_bits", "cpu_online_bits", "cpu_present_bits", "cpu_active_bits"]
        {
            self.memory.put32(self.kernel.symbol(name), u32::MAX);
        }
        let (offsets, runqueues) =
            (self.kernel.symbol("__per_cpu_offset"), self.kernel.symbol("per_cpu__runqueues"));
        for cpu in 0..CPUS {
            let base = per_cpu(cpu);
            self.memory.put64(offsets + 8 * u64::from(cpu), base);
            let on = |task: &&Task| task.cpu == cpu;
            let idle =
                tasks.iter().filter(on).find(|task| matches!(task.chain, Chain::Idle)).unwrap();
            let current = tasks.iter().filter(on).find(|task| task.chain.on_cpu()).unwrap_or(idle);
            let running = tasks
                .iter()
                .filter(on)
                .filter(|task| task.pid != 0 && task.chain.state() == "RU")
                .count();
            let queue = base + runqueues;
            self.memory.touch(queue, self.kernel.size("rq"));
            self.put64("rq", queue, "curr", current.at);
            self.put64("rq", queue, "idle", idle.at);
            self.put64("rq", queue, "nr_running", running as u64);
            self.put64("rq", queue, "clock", UPTIME * 1_000_000_000);
            self.put32("rq", queue, "cpu", cpu);
            self.memory.put64(base + self.kernel.symbol("per_cpu__current_task"), current.at);
            let stack = current.stack + STACK - 0x28;
            self.memory.put64(base + self.kernel.symbol("per_cpu__kernel_stack"), stack);
        }
    }

    fn system(&mut self) {
        let symbol = |name: &str| self.kernel.symbol(name);
        let uts = self.at("uts_namespace", symbol("init_uts_ns"), "name");
        for (place, text) in
            (0u64..).zip(["Linux", "synthetic", RELEASE, VERSION, "x86_64", "(none)"])
        {
            self.memory.put(uts + 65 * place, text.as_bytes());
        }
        let jiffies = (1u64 << 32) - 300 * HZ + UPTIME * HZ;
        self.memory.put64(symbol("jiffies_64"), jiffies);
        let clock = symbol("clocksource_jiffies");
        self.put32("clocksource", clock, "mult", 1_000_000 << 8);
        self.put32("clocksource", clock, "shift", 8);
        self.memory.put64(symbol("xtime"), CRASH_TIME);
        for (place, load) in (0u64..).zip([101.24, 88.70, 52.31]) {
            self.memory.put64(symbol("avenrun") + 8 * place, (load * 2048.0) as u64);
        }
        self.memory.put64(symbol("max_pfn"), MAX_PFN);
        self.memory.put64(symbol("totalram_pages"), 32_998_144);
        self.memory.put32(symbol("cpu_khz"), 2_600_014);
        self.memory.put32(symbol("crashing_cpu"), 9);
        self.memory.link(&[symbol("modules")]);
        let buckets = symbol("futex_queues");
        for bucket in 0..256 {
            let bucket = buckets + bucket * self.kernel.size("futex_hash_bucket");
            for list in ["chain.prio_list", "chain.node_list"] {
                let list = self.at("futex_hash_bucket", bucket, list);
                self.memory.link(&[list]);
            }
        }
        let (array, names) = (symbol("task_state_array"), symbol("task_state_names"));
        let states = [
            "R (running)",
            "S (sleeping)",
            "D (disk sleep)",
            "T (stopped)",
            "t (tracing stop)",
            "Z (zombie)",
            "X (dead)",
            "x (dead)",
            "W (waking)",
        ];
        for (place, name) in (0u64..).zip(states) {
            self.memory.put(names + 32 * place, name.as_bytes());
            self.memory.put64(array + 8 * place, names + 32 * place);
        }
    }

    fn log(&mut self) {
        let mut text = Vec::new();
        for (level, ms, line) in log_lines() {
            let (seconds, micros) = (ms / 1000, ms % 1000 * 1000 + 417);
            text.extend(format!("<{level}>[{seconds:5}.{micros:06}] {line}\n").into_bytes());
        }
        let symbol = |name: &str| self.kernel.symbol(name);
        let (buffer, len) = (symbol("__log_buf"), u32::try_from(text.len()).unwrap());
        assert!(len < 0x1_0000);
        self.memory.put(buffer, &text);
        self.memory.put64(symbol("log_buf"), buffer);
        self.memory.put32(symbol("log_buf_len"), 0x1_0000);
        self.memory.put32(symbol("log_end"), len);
        self.memory.put32(symbol("logged_chars"), len);
    }

    /// As 2.6.32 writes it: no build id, no kallsyms, no KASLR.
    fn vmcoreinfo(&self) -> String {
        let mut text = format!("OSRELEASE={RELEASE}\nPAGESIZE=4096\n");
        for (name, symbol) in [
            ("init_uts_ns", "init_uts_ns"),
            ("swapper_pg_dir", "init_level4_pgt"),
            ("_stext", "_stext"),
            ("node_data", "node_data"),
            ("log_buf", "log_buf"),
            ("log_end", "log_end"),
            ("log_buf_len", "log_buf_len"),
            ("logged_chars", "logged_chars"),
        ] {
            text += &format!("SYMBOL({name})={:x}\n", self.kernel.symbol(symbol));
        }
        for name in ["list_head", "pglist_data", "zone", "free_area", "page"] {
            text += &format!("SIZE({name})={}\n", self.kernel.size(name));
        }
        text += &format!("CRASHTIME={CRASH_TIME}\nSYNTHETIC={SYNTHETIC}\n");
        text
    }
}

const RELEASE: &str = "2.6.32-431.el6.x86_64";
const VERSION: &str = "#1 SMP (synthetic)";

/// What `rwsem_down_failed_common` keeps of the semaphore in the address space at `mm`: its wait_lock.
fn run_lock(mm: u64, kernel: &Kernel) -> u64 {
    mm + kernel.offset("mm_struct", "mmap_sem") + kernel.offset("rw_semaphore", "wait_lock")
}

/// The end of the log, with the message that ended it; level, milliseconds and text.
fn log_lines() -> Vec<(u8, u64, String)> {
    let end = UPTIME * 1000;
    let mut lines = vec![
        (5, 0, "Linux version 2.6.32-431.el6.x86_64 (synthetic) #1 SMP".to_owned()),
        (4, 0, format!("hangscope: this log is synthetic: {SYNTHETIC}")),
        (6, 0, "Kernel command line: ro root=/dev/sda2 crashkernel=auto quiet".to_owned()),
    ];
    let hung = [
        "INFO: task java:30413 blocked for more than 120 seconds.",
        "      Not tainted 2.6.32-431.el6.x86_64 #1",
        "\"echo 0 > /proc/sys/kernel/hung_task_timeout_secs\" disables this message.",
        "java          D 0000000000000018     0 30413  30364 0x00000080",
        "Call Trace:",
        " [<ffffffff81529f85>] rwsem_down_failed_common+0xa5/0x1b0",
        " [<ffffffff8152a0e3>] rwsem_down_write_failed+0x23/0x30",
        " [<ffffffff8128e883>] call_rwsem_down_write_failed+0x17/0x60",
        " [<ffffffff81152386>] sys_mprotect+0xa6/0x250",
        " [<ffffffff8100b072>] system_call_fastpath+0x13/0x20",
        "Kernel panic - not syncing: hung_task: blocked tasks",
        "Pid: 214, comm: khungtaskd Not tainted 2.6.32-431.el6.x86_64 #1",
        "Call Trace:",
        " [<ffffffff8152708b>] ? panic+0x8b/0x16f",
        " [<ffffffff810e7d5c>] ? watchdog+0x25c/0x2a0",
        " [<ffffffff8109aef6>] ? kthread+0x96/0xa0",
        " [<ffffffff8100c20a>] ? child_rip+0x2a/0x40",
    ];
    lines.extend(
        hung.iter()
            .map(|line| (if line.starts_with("Kernel") { 0 } else { 3 }, end, (*line).to_owned())),
    );
    lines
}
