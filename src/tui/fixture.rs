//! A made-up machine for the tests of the screens: small, and with one of everything.

use super::job::Jobs;
use super::model::{
    CodeView, FrameRow, Inspection, LogLine, MemoryRow, MemoryView, Node, Output, Overview, Place,
    ROW, SourceOf, SourceView, Standing, Subject, Suggestion, TraceView, Value,
};
use super::source::{Answer, Lines, Source};
use super::trace::file_and_line;
use crate::debuginfo::{Position, SourceFile, SymbolTable, Symbols};
use crate::dump::VirtAddr;
use crate::kernel::{Code, Progress, State, Task, Unknown};
use crate::locks::{
    Blocked, Confidence, Cycle, Holder, Lock, LockGraph, LockKind, Mode, Root, Spot, StateValue,
    TaskRef, Waiter, Why,
};
use crate::present::{Disassembly, InstructionRow, Origin};
use crate::unwind::FrameKind;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::time::Duration;

/// Where the task of a number lies.
pub(crate) fn address(pid: u32) -> VirtAddr {
    VirtAddr(0xffff_8880_0000_0000 + u64::from(pid) * 0x1800)
}

fn task(pid: u32, comm: &str, state: State, wait: u64) -> Task {
    let active = state == State::Running;
    Task {
        at: address(pid),
        pid,
        tgid: pid,
        ppid: if pid == 150 { Err(Unknown::because("real_parent: page excluded")) } else { Ok(1) },
        cpu: Ok(pid % 4),
        state: Ok(state),
        active,
        comm: comm.into(),
        kernel_thread: comm.starts_with("kworker"),
        mm: None,
        files: Ok(VirtAddr(0)),
        stack: VirtAddr(0xffff_c900_0000_0000 + u64::from(pid) * 0x4000),
        sp: Ok(VirtAddr(0xffff_c900_0000_3d58 + u64::from(pid) * 0x4000)),
        vsz_kib: Ok(9216),
        rss_kib: Ok(1020),
        mem_percent: Ok(0.7),
        started: Ok(Duration::ZERO),
        pi_blocked_on: Ok(VirtAddr(0)),
        since_ran: Ok(Duration::from_secs(wait)),
    }
}

/// The tasks.
pub(crate) fn tasks() -> Vec<Task> {
    use State::{Idle, Interruptible, Running, Uninterruptible};
    let mut tasks = vec![
        task(1, "init", Interruptible, 44),
        task(9, "kworker/0:1", Idle, 2),
        task(111, "abba-1", Uninterruptible, 35),
        task(112, "abba-2", Uninterruptible, 35),
        task(113, "abba-bystander", Uninterruptible, 34),
        task(123, "chain-6", Uninterruptible, 33),
        task(124, "chain-7", Uninterruptible, 33),
        task(142, "mm-holder", Running, 0),
        task(160, "evil\\x1b]52;c", Interruptible, 7200),
    ];
    tasks.extend([143, 144, 145, 146, 148, 150].map(|pid| task(pid, "java", Uninterruptible, 31)));
    tasks
}

fn name(pid: u32) -> TaskRef {
    let tasks = tasks();
    let task = tasks.iter().find(|task| task.pid == pid);
    TaskRef { pid, at: address(pid), comm: task.map_or("?".into(), |task| task.comm.clone()) }
}

fn waiter(pid: u32, mode: Mode, position: u32) -> Waiter {
    Waiter {
        task: name(pid),
        mode,
        position: Some(position),
        spinning: false,
        in_interrupt: false,
        since: Some(Duration::from_secs(31)),
        confidence: Confidence::Certain,
        why: format!("its waiter stands on the wait list, place {position}").into(),
    }
}

fn lock(
    at: u64,
    kind: LockKind,
    name: &str,
    holders: &[(u32, Mode)],
    waiters: Vec<Waiter>,
) -> Lock {
    Lock {
        at: VirtAddr(at),
        kind,
        ty: match kind {
            LockKind::Mutex => "struct mutex",
            LockKind::Completion => "struct completion",
            _ => "struct rw_semaphore",
        },
        symbol: name.starts_with("hu").then(|| name.to_owned()),
        name: name.to_owned(),
        state: vec![("waiters", StateValue::Flag(!waiters.is_empty()))],
        words: format!("{} waiting", waiters.len()),
        holders: holders
            .iter()
            .map(|&(pid, mode)| Holder {
                task: self::name(pid),
                mode,
                confidence: if mode == Mode::Read {
                    Confidence::Likely
                } else {
                    Confidence::Certain
                },
                why: if mode == Mode::Read {
                    Why::new("its frame #3 hu_abba+68")
                        .at(Spot::Frame { task: address(pid), number: 3 })
                        .and("called down_read at schedule+22 with this lock")
                        .at(Spot::Code(VirtAddr(START + 22)))
                        .and("and has not released it on any path since")
                } else {
                    "the owner field names it".into()
                },
            })
            .collect(),
        blocks: waiters.len(),
        waiters,
        readers: None,
        orphaned: false,
        place: None,
        undecided: None,
        doubts: Vec::new(),
    }
}

/// The lock with nothing sure about its holders.
fn possible(mut lock: Lock) -> Lock {
    for holder in &mut lock.holders {
        holder.confidence = Confidence::Possible;
    }
    lock
}

/// The lock graph: ABBA with a bystander, an mmap_lock behind a spinning reader, a chain into a
/// completion, one task that is not understood.
pub(crate) fn locks() -> LockGraph {
    use LockKind::{Completion, Mutex, Rwsem, Semaphore};
    use Mode::{Excl, Read, Write};
    let (a, b) = (0xffff_ffff_c054_dc20, 0xffff_ffff_c054_dc00);
    let queue = [(143, Write), (144, Write), (145, Write), (146, Read), (148, Read), (150, Read)];
    let queue =
        queue.iter().zip(1..).map(|(&(pid, mode), place)| waiter(pid, mode, place)).collect();
    LockGraph {
        locks: vec![
            lock(0xffff_88ca_4106_16f0, Rwsem, "mmap_lock of java[140]", &[(142, Read)], queue),
            lock(a, Mutex, "hu_abba_a", &[(111, Excl)], vec![waiter(112, Excl, 1), waiter(113, Excl, 2)]),
            lock(b, Mutex, "hu_abba_b", &[(112, Excl)], vec![waiter(111, Excl, 1)]),
            possible(lock(0xffff_ffff_c054_e0c0, Semaphore, "hu_sem", &[(160, Excl)], vec![waiter(9, Excl, 1)])),
            lock(0xffff_ffff_c054_db00, Completion, "hu_never", &[], vec![waiter(124, Mode::None, 1)]),
            lock(0xffff_ffff_c054_e1c0, Mutex, "hu_chain+224", &[(124, Excl)], vec![waiter(123, Excl, 1)]),
        ],
        cycles: vec![Cycle {
            tasks: vec![name(111), name(112)],
            locks: vec![VirtAddr(b), VirtAddr(a)],
        }],
        roots: vec![
            Root { task: name(142), blocks: 6, doing: "runs on CPU 2: spins on hu_mm_spin".to_owned(), log: vec![1] },
            Root { task: name(124), blocks: 1, doing: "waits for completion hu_never".to_owned(), log: Vec::new() },
        ],
        others: vec![Blocked {
            task: name(1),
            on: "do_wait".to_owned(),
            since: Some(Duration::from_secs(44)),
        }],
        notes: vec!["the holder of hu_sem left no trace".to_owned()],
        verdict: "Deadlock: abba-1[111] and abba-2[112] wait for each other (hu_abba_a, hu_abba_b). \
                  6 tasks wait for mmap_lock of java[140], held for reading by mm-holder[142] on CPU 2, \
                  which spins on hu_mm_spin."
            .to_owned(),
    }
}

/// Where the only function of the made-up machine lies: its call is where the frame is.
const START: u64 = 0xffff_ffff_8152_7900;

/// Its code: two loops inside each other, a way out, a call, a variable.
const CODE: [u8; 38] = [
    0x0f, 0x1f, 0x44, 0x00, 0x00, // nopl
    0x53, // push   %rbx
    0x48, 0x8b, 0x1d, 0xf3, 0x0f, 0x00, 0x00, // mov    init_task(%rip),%rbx
    0x48, 0x85, 0xdb, // test   %rbx,%rbx
    0x74, 0x10, // je     to the end
    0x48, 0xff, 0xcb, // dec    %rbx
    0x75, 0xfb, // jne    to dec
    0xe8, 0xe4, 0x00, 0x00, 0x00, // call   __schedule
    0x85, 0xc0, // test   %eax,%eax
    0x75, 0xf2, // jne    to dec
    0xeb, 0xeb, // jmp    to the first test
    0x5b, 0xc3, // pop    %rbx; ret
    0xcc, 0x06, // int3; none
];

/// The made-up machine.
pub(crate) struct Fixture;

impl Source for Fixture {
    fn overview(&self) -> Answer<Overview> {
        Ok(Overview {
            file: "vmcore".to_owned(),
            format: "kdump zstd".to_owned(),
            release: "6.1.0-50-cloud-amd64".to_owned(),
            cpus: Some(4),
            uptime: Some(Duration::from_secs(47)),
            panic: Some("sysrq triggered crash".to_owned()),
        })
    }

    fn tasks(&self) -> Answer<Vec<Task>> {
        Ok(tasks())
    }

    fn locks(&self, _: &Progress) -> Answer<LockGraph> {
        Ok(locks())
    }

    fn lines(&self, _: VirtAddr) -> Answer<Lines> {
        let position = |function: &str, inlined, file: &str, line| Position {
            function: Some(function.into()),
            inlined,
            file: Some(file.into()),
            line: Some(line),
        };
        let core = "kernel/sched/core.c";
        let mutex = "kernel/locking/mutex.c";
        Ok(vec![
            [
                position("context_switch", true, core, 5245),
                position("__schedule", false, core, 6562),
            ]
            .into(),
            [position("schedule", false, core, 6638)].into(),
            [
                position("__mutex_lock_common", true, mutex, 679),
                position("__mutex_lock", false, mutex, 747),
            ]
            .into(),
            [].into(),
            [position("kthread", false, "kernel/kthread.c", 376)].into(),
        ])
    }

    fn trace(&self, task: VirtAddr) -> Answer<TraceView> {
        let frame = |symbol: &str, offset, module: Option<&str>, kind, reliable| FrameRow {
            kind,
            symbol: Some(symbol.to_owned()),
            offset,
            module: module.map(str::to_owned),
            pc: VirtAddr(0xffff_ffff_8152_78c2 + offset),
            sp: VirtAddr(0xffff_c900_0006_bd58),
            reliable,
        };
        Ok(TraceView {
            frames: vec![
                frame("__schedule", 0x34d, None, FrameKind::Call, true),
                frame("schedule", 0x5a, None, FrameKind::Call, true),
                frame("__mutex_lock.constprop.0", 0x2f1, None, FrameKind::Call, true),
                frame("hu_abba", 0x44, Some("holdup"), FrameKind::Call, true),
                frame("kthread", 0xd7, None, FrameKind::Call, false),
                frame("asm_exc_page_fault", 0x22, None, FrameKind::Exception, true),
            ],
            cut: (task == address(113)).then(|| "the stack is not in the dump".to_owned()),
        })
    }

    fn inspect(&self, subject: &Subject, open: &BTreeSet<String>) -> Answer<Inspection> {
        let Subject::Object { ty, at } = subject else {
            return Err("no registers are known in this frame".to_owned());
        };
        let node = |depth, path: &str, offset: u64, ty: &str, value| Node {
            depth,
            path: path.to_owned(),
            offset: Some(offset),
            name: path.rsplit('.').next().unwrap_or(path).to_owned(),
            ty: ty.to_owned(),
            value,
            at: Some(at.plus(offset)),
            open: None,
            place: None,
        };
        let mut nodes = vec![
            node(0, "__state", 0x18, "unsigned int", Value::Number { value: 2, bits: 2 }),
            Node {
                open: Some(open.contains("mm")),
                place: Some(Place::object("struct mm_struct", VirtAddr(0xffff_88ca_4106_1680))),
                ..node(
                    0,
                    "mm",
                    0x40,
                    "struct mm_struct *",
                    Value::Pointer { to: VirtAddr(0xffff_88ca_4106_1680), symbol: None },
                )
            },
        ];
        if open.contains("mm") {
            nodes.push(node(1, "mm.map_count", 0x60, "int", Value::Number { value: 24, bits: 24 }));
        }
        nodes.push(node(0, "policy", 0x80, "enum policy", Value::Name("SCHED_NORMAL".into(), 0)));
        nodes.push(node(0, "comm", 0xb00, "char [16]", Value::Text("java".to_owned())));
        nodes.push(node(
            0,
            "files",
            0xb40,
            "struct files_struct *",
            Value::Fault("0x10: not mapped".into()),
        ));
        Ok(Inspection { title: format!("{ty} {at:x}"), warning: None, nodes })
    }

    fn log(&self) -> Answer<Vec<LogLine>> {
        let line = |record, stamp: &str, level, text: &str| LogLine {
            stamp: stamp.to_owned(),
            level: Some(level),
            text: text.to_owned(),
            record,
        };
        Ok(vec![
            line(0, "[    0.000000]", 5, "Linux version 6.1.0-50-cloud-amd64"),
            line(1, "[   35.020000]", 3, "INFO: task abba-1:111 blocked for more than 20 seconds."),
            line(1, "[   35.020001]", 6, "RSP: 0018:ffffc90000067d58 RBX: ffff88ca41061680"),
            line(2, "[   47.000000]", 0, "Kernel panic - not syncing: sysrq triggered crash"),
        ])
    }

    fn memory(&self, at: VirtAddr, rows: u64) -> Answer<MemoryView> {
        let row = |n: u64| MemoryRow {
            at: at.plus(n * ROW),
            symbol: (n < 4).then(|| "init_task+64".to_owned()),
            bytes: if n % 4 == 3 {
                Err("page excluded".to_owned())
            } else {
                Ok(*b"hangscope\0\x01\x02\x80\xff..")
            },
            points: [(n == 0).then(|| "schedule+0x5a".to_owned()), None],
        };
        Ok(MemoryView { rows: (0..rows).map(row).collect() })
    }

    fn identify(&self, at: VirtAddr, _: Option<VirtAddr>) -> Answer<String> {
        match at.0 {
            0xffff_88ca_4106_1680 => Ok("an allocated object of mm_struct".to_owned()),
            _ => Err("not known".to_owned()),
        }
    }

    fn code(&self, at: VirtAddr) -> Answer<CodeView> {
        if at.0 < START {
            return Err(format!("{at}: page excluded"));
        }
        let mut table = SymbolTable::new(None);
        table.push("schedule", VirtAddr(START), 'T');
        table.push("__schedule", VirtAddr(START + 0x100), 't');
        table.push("init_task", VirtAddr(START + 0x1000), 'D');
        let symbols = Symbols::new(table.finish(VirtAddr(START + 0x2000)), Vec::new());
        let code = Code::decode(VirtAddr(START), CODE.to_vec());
        let mut disassembly = Disassembly::of(&code, &symbols);
        // A loop of its own, the middle of it out of a header.
        for (n, row) in disassembly.rows.iter_mut().enumerate().take(12) {
            let (file, line, text) = match n {
                0..3 => ("kernel/sched/core.c", 6700, Some("void __sched schedule(void)")),
                5..7 => ("include/linux/sched.h", 2046, None),
                _ => ("kernel/sched/core.c", 6708, Some("\twhile (need_resched())")),
            };
            row.origin = Some(Arc::new(Origin {
                file: file.into(),
                line,
                function: Some(if text.is_some() { "schedule" } else { "need_resched" }.into()),
                inlined: text.is_none(),
                text: text.map(str::to_owned),
            }));
        }
        let place = |row: &InstructionRow| {
            let target = row.target.as_ref()?;
            Some(if target.branch { Place::Code(target.at) } else { Place::Memory(target.at) })
        };
        let places = disassembly.rows.iter().map(place).collect();
        let cut = Some("0xffffffff81528000: page excluded".to_owned());
        Ok(CodeView { title: "schedule".to_owned(), disassembly, places, cut })
    }

    fn text(&self, at: VirtAddr) -> Answer<SourceView> {
        let file = Arc::new(SourceFile {
            path: "sched/core.c".into(),
            lines: (1..=7000).map(|n| format!("        line({n});")).collect(),
        });
        let frames = self.trace(address(111))?.frames;
        let frame = frames.iter().position(|frame| frame.lookup() == at);
        let lines = self.lines(address(111))?;
        let functions = frame.and_then(|n| lines.get(n)).map(|functions| functions.to_vec());
        let functions = functions.filter(|all| !all.is_empty());
        let functions = functions.ok_or_else(|| format!("no line is known for {at}"))?;
        let of = |position: Position| {
            let here = position.file.as_deref() == Some("kernel/sched/core.c");
            let missing = || format!("{} is not at hand", file_and_line(&position).unwrap());
            let text = if here { Ok(Arc::clone(&file)) } else { Err(missing()) };
            SourceOf { text, position }
        };
        Ok(SourceView { functions: functions.into_iter().map(of).collect() })
    }

    fn resolve(&self, text: &str, _: Standing) -> Answer<Place> {
        match text {
            "113" => Ok(Place::Task(address(113))),
            "schedule" => Ok(Place::Code(VirtAddr(START))),
            "0x1000" => Ok(Place::Memory(VirtAddr(0x1000))),
            "0xffff88ca41061680" => Ok(Place::Memory(VirtAddr(0xffff_88ca_4106_1680))),
            "task_struct.mm 111" => Ok(Place::Object {
                subject: Subject::Object { ty: "task_struct".to_owned(), at: address(111) },
                open: BTreeSet::from(["mm".to_owned()]),
            }),
            _ => Err(format!("{text}: no pid, symbol, address or TYPE ADDRESS")),
        }
    }

    fn suggest(&self, text: &str) -> Answer<Vec<Suggestion>> {
        let all = ["schedule", "schedule_timeout", "init_task"];
        let fits = all.iter().filter(|name| name.starts_with(text));
        Ok(fits
            .map(|name| Suggestion { text: (*name).to_owned(), note: "symbol".to_owned() })
            .collect())
    }

    fn command(&self, text: &str, standing: Standing, progress: &Arc<Progress>) -> Answer<Output> {
        if text == "bt forever" {
            progress.begin("stacks", 4059);
            (0..1200).for_each(|_| _ = progress.step());
            // Not really: a test that does not stop it fails, and ends.
            let patience = std::time::Instant::now() + Duration::from_secs(20);
            while !progress.stopped() && std::time::Instant::now() < patience {
                std::thread::sleep(Duration::from_millis(1));
            }
            return Err(if progress.stopped() { "stopped" } else { "never stopped" }.to_owned());
        }
        match text.split(' ').next() {
            Some("sys") => Ok(Output {
                lines: vec![
                    ("      KERNEL: 6.1.0-50-cloud-amd64".to_owned(), None),
                    ("       TASKS: 15".to_owned(), Some(Place::Task(address(111)))),
                ],
            }),
            Some("frame") => {
                let said = format!("task {:?} frame {:?}", standing.task, standing.frame);
                Ok(Output { lines: vec![(said, None)] })
            }
            _ => Err(format!("{text}: no such command")),
        }
    }

    fn commands(&self) -> Vec<(&'static str, &'static str)> {
        vec![("sys", "what system this was"), ("bt", "backtraces"), ("frame", "frames")]
    }
}

/// Workers on the made-up machine.
pub(crate) fn jobs(events: Sender<super::event::Event>) -> Jobs {
    Jobs::new(
        Box::new(|progress| {
            progress("symbols");
            Ok(Arc::new(Fixture))
        }),
        events,
    )
}
