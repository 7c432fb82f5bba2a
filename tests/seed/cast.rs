//! Who is on the machine. Tasks, addresses and CPUs of the figures are literal; the others fill the machine up to the
//! numbers of the figures: 94 in UN, 43 in RU, 2,468 in IN.

use std::collections::HashMap;

/// What a task is doing, and so what is on its stack.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Chain {
    /// A process asleep in a system call: its number, and the functions after `system_call`.
    Calls(u64, &'static [&'static str]),
    /// As [`Chain::Calls`], but it may run and is not on a CPU.
    Runnable(u64, &'static [&'static str]),
    /// A kernel thread asleep in these functions.
    Thread(&'static [&'static str]),
    Kthreadd,
    /// Waits for mmap_sem: to write, in `mprotect`; to read, in a page fault, for `/proc/PID/maps`, for the command line.
    Mprotect,
    Fault,
    Maps,
    Cmdline,
    /// Spins for lru_lock with this ticket: in a page fault, in a workqueue.
    FaultSpin(u64),
    WorkSpin(u64),
    /// kswapd on a CPU.
    Reclaim,
    UserMode,
    Idle,
    Panic,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Mode {
    Read,
    Write,
}

impl Mode {
    pub(crate) fn slow_path(self) -> &'static [&'static str] {
        match self {
            Mode::Read => &["rwsem_down_read_failed"],
            Mode::Write => &["rwsem_down_write_failed"],
        }
    }
}

impl Chain {
    pub(crate) fn state(&self) -> &'static str {
        match self {
            Chain::Calls(..) | Chain::Thread(_) | Chain::Kthreadd => "IN",
            Chain::Mprotect | Chain::Fault | Chain::Maps | Chain::Cmdline => "UN",
            _ => "RU",
        }
    }

    /// Whether it is the current task of its CPU, and not the idle one.
    pub(crate) fn on_cpu(&self) -> bool {
        matches!(
            self,
            Chain::FaultSpin(_)
                | Chain::WorkSpin(_)
                | Chain::Reclaim
                | Chain::UserMode
                | Chain::Panic
        )
    }
}

const FUTEX: Chain =
    Chain::Calls(202, &["sys_futex", "do_futex", "futex_wait", "futex_wait_queue_me"]);
const EPOLL: Chain = Chain::Calls(232, &["sys_epoll_wait", "ep_poll", "schedule_hrtimeout_range"]);
const NAP: Chain = Chain::Calls(35, &["sys_nanosleep", "hrtimer_nanosleep", "do_nanosleep"]);
const WAIT: Chain = Chain::Calls(61, &["sys_wait4", "do_wait"]);
const PIPE: Chain =
    Chain::Calls(0, &["sys_read", "vfs_read", "do_sync_read", "pipe_read", "pipe_wait"]);
const WORKER: Chain = Chain::Thread(&["worker_thread"]);

#[derive(Clone, Debug)]
pub(crate) struct Task {
    pub(crate) pid: u32,
    pub(crate) tgid: u32,
    pub(crate) comm: String,
    pub(crate) cpu: u32,
    pub(crate) at: u64,
    pub(crate) stack: u64,
    /// Its parent and the leader of its process.
    pub(crate) parent: u64,
    pub(crate) leader: u64,
    /// Position in the list of processes; none for kernel threads.
    pub(crate) process: Option<usize>,
    pub(crate) chain: Chain,
    /// The `mm_struct` whose mmap_sem it waits for.
    pub(crate) waits_for: Option<u64>,
    /// When it last ran, before the dump.
    pub(crate) slept_ms: u64,
    /// A word that an earlier call left on its stack.
    pub(crate) left_over: Option<u64>,
    /// Whether an NMI stopped it on its CPU.
    pub(crate) stopped: bool,
    pub(crate) user_rip: u64,
    pub(crate) user_rsp: u64,
    ppid: u32,
}

impl Task {
    /// Idle tasks but for the first are on no list.
    pub(crate) fn on_list(&self) -> bool {
        self.pid != 0 || self.cpu == 0
    }

    pub(crate) fn mode(&self) -> Mode {
        if self.chain == Chain::Mprotect { Mode::Write } else { Mode::Read }
    }
}

/// A process's memory.
#[derive(Clone, Debug)]
pub(crate) struct Process {
    pub(crate) tgid: u32,
    pub(crate) mm: u64,
    /// Its leader's task_struct.
    pub(crate) leader: u64,
    pub(crate) threads: u32,
    pub(crate) vsz_kib: u64,
    pub(crate) rss_kib: u64,
    /// How many have its mmap_sem for reading.
    pub(crate) readers: u64,
    /// `mmap_sem.wait_lock.slock`: free.
    pub(crate) wait_lock: u32,
    /// `page_table_lock.slock`: free.
    pub(crate) page_table_lock: u32,
}

const TOTAL: usize = 2605;
/// The address space of the figures.
pub(crate) const MM: u64 = 0xffff_8805_bdec_2780;
const SEMAPHORE: u64 = 0xffff_8805_bdec_27e8;

struct Cast {
    tasks: Vec<Task>,
    processes: Vec<Process>,
}

/// Everybody, by pid, and their processes. `init_task` is where the first idle task lies.
pub(crate) fn cast(init_task: u64) -> (Vec<Process>, Vec<Task>) {
    let mut cast = Cast { tasks: Vec::new(), processes: Vec::new() };
    cast.kernel_threads(init_task);
    cast.daemons();
    cast.hung();
    cast.fill();
    cast.figures();
    cast.relatives();
    cast.tasks.sort_by_key(|task| (task.pid, task.cpu));
    (cast.processes, cast.tasks)
}

impl Cast {
    fn add(&mut self, pid: u32, tgid: u32, ppid: u32, comm: &str, chain: Chain) -> &mut Task {
        let place = self.tasks.len() as u64;
        let noise = u64::from(pid).wrapping_mul(0x9e37_79b9) >> 7;
        let process = self.processes.iter().position(|process| process.tgid == tgid && pid != 0);
        if let Some(process) = process {
            self.processes[process].threads += 1;
        }
        self.tasks.push(Task {
            pid,
            tgid,
            ppid,
            comm: comm.to_owned(),
            cpu: pid % 32,
            // Slabs of three in two pages; stacks side by side.
            at: 0xffff_8807_0000_0000 + place / 3 * 0x2000 + place % 3 * 0xa60,
            stack: 0xffff_8808_0000_0000 + place * 0x2000,
            parent: 0,
            leader: 0,
            process,
            chain,
            waits_for: None,
            slept_ms: noise % 90_000,
            left_over: None,
            stopped: true,
            user_rip: 0x30_3a8d_b6f3,
            user_rsp: 0x7fb3_0000_0000 + u64::from(pid) * 0x10_0000 + 0xd3d0,
        });
        self.tasks.last_mut().unwrap()
    }

    fn process(&mut self, tgid: u32, vsz_kib: u64, rss_kib: u64) -> u64 {
        let mm = 0xffff_8806_8000_0000 + self.processes.len() as u64 * 0x580;
        let turns = (tgid.wrapping_mul(40_503) >> 4) & 0xfff;
        let wait_lock = turns << 16 | turns;
        self.processes.push(Process {
            tgid,
            mm,
            leader: 0,
            threads: 0,
            vsz_kib,
            rss_kib,
            readers: 0,
            wait_lock,
            page_table_lock: (3 * turns) << 16 | (3 * turns),
        });
        mm
    }

    /// A process of one thread.
    fn single(
        &mut self,
        pid: u32,
        ppid: u32,
        comm: &str,
        (vsz, rss): (u64, u64),
        chain: Chain,
    ) -> &mut Task {
        self.process(pid, vsz, rss);
        self.add(pid, pid, ppid, comm, chain)
    }

    fn kernel_threads(&mut self, init_task: u64) {
        for cpu in 0..32 {
            let task = self.add(0, 0, 0, "swapper", Chain::Idle);
            task.cpu = cpu;
            if cpu == 0 {
                task.at = init_task;
            }
        }
        self.single(1, 0, "init", (21_400, 1_560), EPOLL);
        self.add(2, 2, 0, "kthreadd", Chain::Kthreadd);
        let mut pid = 3;
        for name in ["events", "kblockd", "kintegrityd", "ata_sff", "aio", "crypto"] {
            for cpu in 0..32 {
                let comm = format!("{name}/{cpu}");
                let chain = match (name, cpu) {
                    ("events", 29) => Chain::WorkSpin(0x66d2),
                    ("events", 27) => Chain::WorkSpin(0x66d3),
                    _ => WORKER,
                };
                self.add(pid, pid, 2, &comm, chain).cpu = cpu;
                pid += 1;
            }
        }
        for name in [
            "cgroup",
            "khelper",
            "netns",
            "async/mgr",
            "pm",
            "kacpid",
            "kacpi_notify",
            "md/0",
            "ext4-dio-unwrit",
        ] {
            self.add(pid, pid, 2, name, WORKER);
            pid += 1;
        }
        self.add(214, 214, 2, "khungtaskd", Chain::Panic).cpu = 9;
        self.add(215, 215, 2, "kswapd0", Chain::Reclaim).cpu = 4;
        self.add(216, 216, 2, "kswapd1", Chain::Thread(&["kswapd"]));
    }

    fn daemons(&mut self) {
        for (pid, comm, size, chain) in [
            (511, "udevd", (11_100, 1_320), EPOLL),
            (1012, "auditd", (27_640, 860), EPOLL),
            (1040, "irqbalance", (18_200, 760), NAP),
            (1071, "dbus-daemon", (32_100, 1_240), EPOLL),
            (1120, "hald", (38_200, 3_980), EPOLL),
            (1188, "sshd", (66_600, 1_200), EPOLL),
            (1204, "ntpd", (30_700, 2_060), EPOLL),
            (1266, "master", (81_200, 3_400), EPOLL),
            (1271, "qmgr", (81_400, 3_420), EPOLL),
            (1290, "crond", (117_200, 1_360), NAP),
            (1311, "mingetty", (4_060, 580), PIPE),
            (1313, "mingetty", (4_060, 580), PIPE),
            (5427, "zabbix_agentd", (58_100, 1_480), PIPE),
        ] {
            self.single(pid, 1, comm, size, chain);
        }
        self.process(1033, 249_200, 1_900);
        for pid in [1033, 1034, 1035] {
            self.add(pid, 1033, 1, "rsyslogd", if pid == 1033 { EPOLL } else { FUTEX });
        }
        for pid in 5428..5434 {
            self.single(
                pid,
                5427,
                "zabbix_agentd",
                (58_100, 1_520),
                if pid % 2 == 0 { NAP } else { EPOLL },
            );
        }
    }

    /// The hung processes: in each one thread spins with mmap_sem held, and the others queue up behind a writer.
    fn hung(&mut self) {
        self.process(30364, 9_333_496, 1_128_356);
        let process = self.processes.last_mut().unwrap();
        (process.mm, process.readers) = (MM, 1);
        (process.wait_lock, process.page_table_lock) = (0x016b_016b, 0x0cce_0cce);
        self.java(
            30364,
            30364..30540,
            &[(30388, Chain::FaultSpin(0x66ce)), (30413, Chain::Mprotect), (30422, Chain::Fault)],
        );
        self.java(30364, 30900..30904, &[]);

        self.process(30553, 9_334_548, 1_036_756);
        self.processes.last_mut().unwrap().readers = 1;
        self.java(
            30553,
            30553..30760,
            &[(30590, Chain::FaultSpin(0x66cf)), (30601, Chain::Mprotect), (30608, Chain::Fault)],
        );
        self.faults(30553, 30620..30646);

        self.process(1402, 12_871_204, 4_250_020);
        self.processes.last_mut().unwrap().readers = 2;
        self.java(
            1402,
            1402..1690,
            &[
                (1514, Chain::FaultSpin(0x66cd)),
                (1468, Chain::FaultSpin(0x66d1)),
                (1530, Chain::Mprotect),
            ],
        );
        self.faults(1402, 1540..1576);

        self.process(2188, 7_402_116, 2_811_440);
        self.processes.last_mut().unwrap().readers = 1;
        self.java(2188, 2188..2390, &[(2210, Chain::FaultSpin(0x66d0)), (2230, Chain::Mprotect)]);
        self.faults(2188, 2240..2259);

        let mm = |cast: &Cast, tgid| {
            cast.processes.iter().find(|process| process.tgid == tgid).unwrap().mm
        };
        let (java, other) = (mm(self, 30553), mm(self, 1402));
        self.single(31840, 5427, "pidof", (6_604, 3_180), Chain::Cmdline).waits_for = Some(java);
        self.single(31856, 5427, "pidof", (6_604, 3_200), Chain::Cmdline).waits_for = Some(java);
        for (pid, mm) in [(31790, other), (31801, other), (31822, other), (31858, java)] {
            self.single(pid - 1, 1290, "sh", (106_060, 1_180), WAIT);
            self.single(pid, pid - 1, "ps", (108_144, 988), Chain::Cmdline).waits_for = Some(mm);
        }
        self.single(31907, 1290, "sh", (106_060, 1_180), WAIT);
        self.single(31908, 31907, "ps", (108_152, 1_020), Chain::Maps).waits_for = Some(MM);
    }

    /// Threads of a process; those that are named do something else than most.
    fn java(&mut self, tgid: u32, pids: std::ops::Range<u32>, named: &[(u32, Chain)]) {
        let mm = self.processes.iter().find(|process| process.tgid == tgid).unwrap().mm;
        for pid in pids {
            let usual = match pid % 11 {
                3 => EPOLL,
                7 => NAP,
                _ => FUTEX,
            };
            let chain = named
                .iter()
                .find(|(named, _)| *named == pid)
                .map_or(usual, |(_, chain)| chain.clone());
            let ppid = if pid == tgid { 1 } else { tgid };
            let waits = matches!(chain, Chain::Mprotect | Chain::Fault).then_some(mm);
            self.add(pid, tgid, ppid, "java", chain).waits_for = waits;
        }
    }

    /// These threads are in a page fault.
    fn faults(&mut self, tgid: u32, pids: std::ops::Range<u32>) {
        let mm = self.processes.iter().find(|process| process.tgid == tgid).unwrap().mm;
        for task in self.tasks.iter_mut().filter(|task| pids.contains(&task.pid)) {
            task.chain = Chain::Fault;
            task.waits_for = Some(mm);
        }
    }

    /// More of the same, up to the number of tasks.
    fn fill(&mut self) {
        for (tgid, end) in
            [(3101, 3420), (7200, 7480), (12011, 12290), (18500, 18790), (22040, 22400)]
        {
            self.process(tgid, 6_102_400 + u64::from(tgid), 1_440_000 + u64::from(tgid) * 4);
            let room = u32::try_from(TOTAL - self.tasks.len()).unwrap();
            self.java(tgid, tgid..end.min(tgid + room), &[]);
        }
        let runs =
            &["sys_read", "vfs_read", "do_sync_read", "generic_file_aio_read", "__cond_resched"];
        self.change(3140, 6, Chain::Runnable(0, runs));
        self.change(3155, 6, Chain::UserMode);
        assert_eq!(self.tasks.len(), TOTAL);
    }

    fn change(&mut self, pid: u32, cpu: u32, chain: Chain) {
        let task = self.by_pid(pid);
        (task.cpu, task.chain) = (cpu, chain);
    }

    fn by_pid(&mut self, pid: u32) -> &mut Task {
        self.tasks
            .iter_mut()
            .find(|task| task.pid == pid)
            .unwrap_or_else(|| panic!("no task {pid}"))
    }

    /// What the figures say of single tasks.
    fn figures(&mut self) {
        for (pid, cpu, at) in [
            (30364, 12, 0xffff_8806_3f27_0080),
            (30413, 24, 0xffff_8802_2e66_cae0),
            (30422, 23, 0xffff_8802_2e7b_6aa0),
            (30608, 28, 0xffff_8803_9e08_4040),
            (31856, 19, 0xffff_881b_18d4_0040),
            (31858, 26, 0xffff_881c_87c4_e040),
            (31908, 8, 0xffff_8820_50d6_5540),
            (30388, 20, 0xffff_8803_9e30_b500),
            (1514, 15, 0xffff_8806_6065_a040),
            (1468, 19, 0xffff_8805_d96c_6aa0),
        ] {
            let task = self.by_pid(pid);
            (task.cpu, task.at) = (cpu, at);
        }
        for (pid, stack) in [
            (30413, 0xffff_8803_1bde_a000),
            (30422, 0xffff_8803_9aac_6000),
            (31908, 0xffff_881c_8cb0_c000),
            (30388, 0xffff_8804_9d8b_4000),
        ] {
            self.by_pid(pid).stack = stack;
        }
        let waiter = self.by_pid(30413);
        (waiter.user_rip, waiter.user_rsp) = (0x30_3a8e_5677, 0x7fb3_cd03_d3d0);
        let unrelated = self.by_pid(30902);
        (unrelated.left_over, unrelated.chain) = (Some(SEMAPHORE), FUTEX);
        for (pid, cpu) in [(30590, 2), (2210, 11)] {
            self.by_pid(pid).cpu = cpu;
        }
        for (pid, slept_ms) in [(30413, 187_204), (31908, 171_660), (30422, 165_310)] {
            self.by_pid(pid).slept_ms = slept_ms;
        }
        for task in self.tasks.iter_mut().filter(|task| task.chain.state() == "UN") {
            let told = [30413, 31908, 30422].contains(&task.pid);
            if !told {
                // Nobody for longer than the one that was reported.
                task.slept_ms = 121_000 + task.slept_ms % 60_000;
            }
        }
        for task in
            self.tasks.iter_mut().filter(|task| task.chain == Chain::Mprotect && task.pid != 30413)
        {
            task.slept_ms = 183_000;
        }
        let busy: Vec<u32> =
            self.tasks.iter().filter(|task| task.chain.on_cpu()).map(|task| task.cpu).collect();
        for task in self.tasks.iter_mut().filter(|task| task.chain == Chain::Idle) {
            task.stopped = !busy.contains(&task.cpu);
        }
    }

    fn relatives(&mut self) {
        let by_pid: HashMap<u32, u64> =
            self.tasks.iter().rev().map(|task| (task.pid, task.at)).collect();
        let at = |pid: u32| by_pid.get(&pid).copied().unwrap_or(0);
        for task in &mut self.tasks {
            let leader = if task.pid == 0 { task.at } else { at(task.tgid) };
            (task.parent, task.leader) = (at(task.ppid), leader);
        }
        for process in &mut self.processes {
            process.leader = at(process.tgid);
        }
    }
}
