//! The article, command by command: what it shows of their output, and what it should have shown.

use std::process::Command;

/// What a command line prints: standard output and standard error.
fn hangscope(arguments: &[&str]) -> (String, String) {
    let done = Command::new(env!("CARGO_BIN_EXE_hangscope")).args(arguments).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    let (out, errors) = (text(done.stdout), text(done.stderr));
    assert!(done.status.success(), "{arguments:?}: {out}{errors}");
    (out, errors)
}

fn exec(command: &str) -> String {
    hangscope(&["exec", "--demo=seed", "-c", command]).0
}

/// Without what is only there to align columns.
fn words(line: &str) -> String {
    line.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The function and the addresses of each frame with a number.
fn frames(trace: &str) -> Vec<String> {
    let numbered = trace.lines().filter(|line| line.trim_start().starts_with('#'));
    numbered.map(|line| words(line.trim_start().split_once(' ').unwrap().1)).collect()
}

#[test]
fn as_many_tasks_are_in_each_state_as_in_the_article() {
    for (filter, lines) in [("UN", "94\n"), ("RU", "43\n"), ("IN", "2468\n")] {
        assert_eq!(exec(&format!("ps | grep {filter} | wc -l")), lines);
    }
}

#[test]
fn ps_shows_the_rows_of_the_article() {
    let rows = exec("ps -u | grep UN");
    let rows: Vec<String> = rows.lines().map(words).collect();
    assert_eq!(rows.len(), 94);
    for row in [
        "30413 30364 24 ffff88022e66cae0 UN 0.8 9333496 1128356 java",
        "30422 30364 23 ffff88022e7b6aa0 UN 0.8 9333496 1128356 java",
        "30608 30553 28 ffff88039e084040 UN 0.8 9334548 1036756 java",
        "31856 5427 19 ffff881b18d40040 UN 0.0 6604 3200 pidof",
        "31858 31857 26 ffff881c87c4e040 UN 0.0 108144 988 ps",
        "31908 31907 8 ffff882050d65540 UN 0.0 108152 1020 ps",
    ] {
        assert!(rows.iter().any(|have| have == row), "{row}");
    }
}

#[test]
fn the_first_waiter_is_where_the_article_saw_it() {
    let trace = exec("bt 30413");
    assert_eq!(
        frames(&trace),
        [
            "[ffff88031bdebd58] schedule at ffffffff815278c2",
            "[ffff88031bdebe20] rwsem_down_failed_common at ffffffff81529f85",
            "[ffff88031bdebe80] rwsem_down_write_failed at ffffffff8152a0e3",
            "[ffff88031bdebec0] call_rwsem_down_write_failed at ffffffff8128e883",
            "[ffff88031bdebf20] sys_mprotect at ffffffff81152386",
            "[ffff88031bdebf80] system_call_fastpath at ffffffff8100b072",
        ]
    );
    let trace = words(&trace);
    for shown in [
        "PID: 30413 TASK: ffff88022e66cae0 CPU: 24 COMMAND: \"java\"",
        "RIP: 000000303a8e5677 RSP: 00007fb3cd03d3d0 RFLAGS: 00010202",
        "ORIG_RAX: 000000000000000a CS: 0033 SS: 002b",
    ] {
        assert!(trace.contains(shown), "{trace}");
    }
}

#[test]
fn the_reader_spins_under_the_page_fault_that_took_mmap_sem() {
    let trace = exec("bt 30388");
    let functions: Vec<String> = frames(&trace)
        .iter()
        .filter_map(|frame| Some(frame.split(' ').nth(1)?.to_owned()))
        .collect();
    assert_eq!(
        functions.join(" "),
        "notifier_call_chain atomic_notifier_call_chain notify_die do_nmi nmi \
         ____pagevec_lru_deactivate lru_add_drain __pagevec_release invalidate_mapping_pages \
         shrink_icache_memory shrink_slab zone_reclaim get_page_from_freelist __alloc_pages_nodemask \
         alloc_pages_vma handle_pte_fault handle_mm_fault __do_page_fault do_page_fault page_fault"
    );
    assert!(trace.contains(" at ffffffff81136cc8\n"));
    let trace = words(&trace);
    for shown in [
        "CPU: 20 COMMAND: \"java\" [exception RIP: crash_nmi_callback",
        "--- <NMI exception stack> --- [exception RIP: _spin_lock_irq+40] \
         RIP: ffffffff8152a238 RSP: ffff88049d8b5638 RFLAGS: 00000093 \
         RAX: 00000000000066ce RBX: ffff880000022e80 RCX: 0000000000000004 \
         RDX: 00000000000066cc RSI: 000000000000000a RDI: ffff88000002b2c0",
        "R14: ffff8800283931c0",
    ] {
        assert!(trace.contains(shown), "{trace}");
    }
}

#[test]
fn every_stack_ends_where_it_should() {
    let traces = exec("foreach bt");
    assert!(!traces.contains("the trace ends here"), "a trace is cut");
    assert!(!traces.contains(" ?\n"), "a frame is guessed");
    for pid in [1514, 1468, 2210, 30590] {
        assert!(exec(&format!("bt {pid}")).contains("[exception RIP: _spin_lock_irq+40]"), "{pid}");
    }
    // `bt -a` shows what each of the 32 CPUs was doing.
    assert_eq!(exec("bt -a | grep PID: | wc -l"), "32\n");
    assert_eq!(exec("bt -a | grep _spin_lock_irq+40 | wc -l"), "7\n");
}

#[test]
fn the_semaphore_is_on_the_stacks_of_three_kinds_of_task() {
    let shown =
        exec("foreach bt -f | grep -e PID: -e ffff8805bdec27e8 | grep -B 1 ffff8805bdec27e8");
    let mut pids: Vec<&str> = shown
        .lines()
        .filter(|line| line.starts_with("PID:"))
        .filter_map(|line| line.split_whitespace().nth(1))
        .collect();
    pids.sort_unstable();
    assert_eq!(pids, ["30388", "30902", "31908"]);
    assert!(exec("bt 31908").contains("m_start"));
    assert!(exec("bt 30902").contains("futex_wait"));
}

#[test]
fn structs_and_expressions_give_the_numbers_of_the_article() {
    let semaphore = "&((struct task_struct *)0xffff88022e66cae0)->mm->mmap_sem";
    for command in ["p", "px"] {
        assert!(exec(&format!("{command} {semaphore}")).contains("0xffff8805bdec27e8"));
    }
    assert!(exec("task_struct.mm 0xffff88022e66cae0").contains("mm = 0xffff8805bdec2780"));
    let shown = exec("mm_struct.mmap_sem -x 0xffff8805bdec2780");
    for value in ["0xfffffffd00000001", "0x16b016b", "0xffff88031bdebe88", "0xffff88039aac7d60"] {
        assert!(shown.contains(value), "{shown}");
    }
    assert!(exec("mm_struct.owner 0xffff8805bdec2780").contains("owner = 0xffff88063f270080"));
    assert!(exec("spinlock_t ffff88000002b2c0").contains("slock = 1725195980"));
    assert!(exec("eval 1725195980").contains("66d466cc"));
}

#[test]
fn a_task_read_as_an_mm_struct_is_called_a_task() {
    let command = ["exec", "--demo=seed", "-c", "mm_struct.mmap_sem 0xffff88022e66cae0"];
    let (out, errors) = hangscope(&command);
    // The plausible count that misled the author, and what he was not told.
    assert!(out.contains("count = -131932026909888"), "{out}");
    let told = "0xffff88022e66cae0 is the task_struct of java[30413], not a mm_struct";
    assert!(format!("{out}{errors}").contains(told), "{out}{errors}");
}

#[test]
fn the_waiters_are_walked_from_the_head_of_their_list() {
    let list = |head: &str| {
        let command = format!("list -H {head} -o rwsem_waiter.list -s rwsem_waiter.task");
        let (out, errors) = hangscope(&["exec", "--demo=seed", "-c", &command]);
        (words(&out), errors)
    };
    let (right, notes) = list("0xffff8805bdec27f8");
    assert_eq!(
        right,
        "ffff88031bdebe88 task = 0xffff88022e66cae0, ffff881c8cb0dd80 task = 0xffff882050d65540, \
         ffff88039aac7d60 task = 0xffff88022e7b6aa0,"
    );
    assert_eq!(notes, "");
    let (wrong, notes) = list("0xffff88031bdebe88");
    assert!(wrong.contains("ffff8805bdec27f8 <-- doubtful"), "{wrong}");
    assert!(wrong.contains("task = 0xcce0cce"), "{wrong}");
    assert!(
        notes.contains("it is an entry and not the head, which is 0xffff8805bdec27f8"),
        "{notes}"
    );
}

#[test]
fn the_ticket_loop_disassembles() {
    let code = exec("dis _spin_lock_irq");
    for instruction in ["lock xadd", "pause", "movzwl (%rdi),%edx", "shr    $0x10,%eax"] {
        assert!(code.contains(instruction), "{code}");
    }
    let last = exec("dis -r ffffffff8152a238").lines().last().map(str::to_owned).unwrap();
    assert!(last.contains("<_spin_lock_irq+40>") && last.contains("jmp"), "{last}");
    assert!(exec("dis -r ffffffff81136cc8").contains("<_spin_lock_irq>"));
}

#[test]
fn machine_code_is_shown_with_the_lines_that_it_comes_from() {
    let header = "arch/x86/include/asm/spinlock.h: 70";
    let code = exec("dis -l _spin_lock_irq");
    let (entry, ticket_loop) = code.split_once(header).unwrap();
    assert!(entry.starts_with("kernel/spinlock.c: 70\n") && entry.contains("cli"), "{code}");
    assert!(ticket_loop.contains("lock xadd %eax,(%rdi)"), "{code}");
    let one = exec("dis -l ffffffff8152a238");
    assert!(one.starts_with(header) && one.lines().count() == 2, "{one}");
    let up_to = exec("dis -rl ffffffff8152a238");
    assert!(up_to.lines().last().unwrap().contains("<_spin_lock_irq+40>"), "{up_to}");
    // The source is not part of the program, and that is said.
    assert_eq!(exec("l _spin_lock_irq").trim(), "kernel/spinlock.c:70");
    let listed = Command::new(env!("CARGO_BIN_EXE_hangscope"))
        .args(["exec", "--demo=seed", "-c", "l kernel/sched.c:5678"])
        .output()
        .unwrap();
    let message = String::from_utf8(listed.stderr).unwrap();
    assert_eq!(listed.status.code(), Some(1));
    assert!(message.contains("kernel/sched.c is not at hand"), "{message}");
}

#[test]
fn sys_set_and_the_log_say_what_happened_and_that_it_is_synthetic() {
    let sys = words(&exec("sys"));
    for shown in
        ["CPUS: 32", "TASKS: 2605", "RELEASE: 2.6.32-431.el6.x86_64", "NODENAME: synthetic"]
    {
        assert!(sys.contains(shown), "{sys}");
    }
    assert!(sys.contains("Kernel panic - not syncing: hung_task: blocked tasks"), "{sys}");
    assert!(words(&exec("set")).contains("PID: 214 COMMAND: \"khungtaskd\""));
    assert!(words(&exec("set 30388")).contains("CPU: 20"));
    let log = exec("log");
    assert!(log.contains("INFO: task java:30413 blocked for more than 120 seconds."), "{log}");
    assert!(log.contains("this log is synthetic"), "{log}");
    for demo in ["--demo=seed", "--demo=seed-found"] {
        assert!(hangscope(&["info", demo]).0.contains("this dump is synthetic"));
        assert!(words(&hangscope(&["report", demo]).0).contains("This dump is synthetic"));
    }
}

#[test]
fn the_verdict_goes_on_where_the_author_stopped() {
    let chain = "java[30413] waits to write for mmap_sem of java[30364], first of 3 in line, likely \
                 held for reading by java[30388] on CPU 20, which spins for zone->lru_lock (zone Normal \
                 of node 0), third of eight tickets, ";
    let verdict = |demo| words(&hangscope(&["report", demo]).0);
    // Nothing shows the holder: nobody is invented, and who could be is named.
    let unknown = verdict("--demo=seed");
    assert!(
        unknown.contains(&format!("{chain}whose holder is not known for sure: possibly")),
        "{unknown}"
    );
    assert!(!unknown.contains("likely held by kswapd0"), "{unknown}");
    assert!(!unknown.contains("possibly java[3155]"), "a CPU in user mode holds no spinlock");
    // The five cases of the article, each with what speaks for and against it.
    for said in [
        "running on another CPU: kswapd0[215], which runs on CPU 4 in shrink_page_list",
        "not CPU 9 (panicked over a hung task, in code that takes none)",
        "not CPU 2, 11, 15, 19, 20, 27, 29 (spins for it)",
        "runnable but not on a CPU: unlikely: no stack of the 11 tasks there",
        "in uninterruptible sleep: unlikely, though this kernel does not notice it: no stack of the 94",
        "asleep otherwise: unlikely, though this kernel does not notice it: no stack of the 2468",
        "exited: not excluded",
        "to decide it: a kernel with CONFIG_DEBUG_SPINLOCK",
        "R15 of its frame",
    ] {
        assert!(unknown.contains(said), "{said}: {unknown}");
    }
    assert!(!unknown.contains("khungtaskd[214]"), "{unknown}");
    // Those who hold the other mmap_sems all spin for it: one cause, told once.
    let end = "7 tasks spin for zone->lru_lock (zone Normal of node 0), whose holder is not known";
    assert!(unknown.contains(end), "{unknown}");
    let behind = "behind those 94 more tasks wait: 40 behind java[1468] and java[1514], 31 behind";
    assert!(unknown.contains(behind), "{unknown}");
    assert!(!unknown.contains("40 tasks wait for mmap_sem"), "{unknown}");
    assert!(unknown.contains("94 tasks are in uninterruptible sleep"), "{unknown}");
    // kswapd0 took it and has not given it back.
    let found = verdict("--demo=seed-found");
    assert!(found.contains(&format!("{chain}likely held by kswapd0[215] on CPU 4.")), "{found}");
    let why =
        "called _spin_lock_irq at shrink_inactive_list+163 with this lock and has not released it";
    assert!(found.contains(why), "{found}");
    for (place, ticket, pid) in [(1, "0x66cd", 1514), (2, "0x66ce", 30388), (5, "0x66d1", 1468)] {
        let place = format!("{place}. java[{pid}] (excl, spinning)");
        let after = found.split(&place).nth(1).unwrap_or_default();
        assert!(after.split("with ticket ").nth(1).unwrap().starts_with(ticket), "{place}");
    }
}
