//! The command line, told as stories over the dump that is part of the program.

use serde_json::Value;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

fn hangscope(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_hangscope"))
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// What a call that must succeed prints.
fn printed(arguments: &[&str]) -> String {
    let output = hangscope(arguments);
    assert!(output.status.success(), "{arguments:?}: {}", text(&output.stderr));
    text(&output.stdout)
}

/// What one command prints about the demo.
fn exec(command: &str) -> String {
    printed(&["exec", "--demo", "-c", command])
}

fn exec_json(command: &str) -> Value {
    let all: Value =
        serde_json::from_str(&printed(&["exec", "--demo", "--json", "-c", command])).unwrap();
    all[0].clone()
}

/// A directory for one test, gone when the test is.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Scratch {
        let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        _ = std::fs::remove_dir_all(&dir);
        std::fs::create_dir_all(&dir).unwrap();
        Scratch(dir)
    }

    fn path(&self, name: &str) -> String {
        self.0.join(name).to_str().unwrap().to_owned()
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        _ = std::fs::remove_dir_all(&self.0);
    }
}

#[test]
fn ps_lists_every_task_as_crash_does() {
    let ps = exec("ps");
    assert_eq!(ps.lines().count(), 1 + 108);
    let line = ">     142       1   2  ffff88ca4132b000  RU   0.6     1576     1536  mm-holder";
    assert!(ps.lines().any(|l| l == line), "{ps}");
    assert_eq!(exec("ps | grep UN | wc -l"), "35\n");
    assert_eq!(exec("ps -S"), "  RU: 9\n  IN: 22\n  ID: 42\n  UN: 35\n");
    assert_eq!(exec("ps -A | grep -v PID | wc -l"), "4\n");

    assert_eq!(exec("ps UN | wc -l"), "36\n");
    let parents = exec("ps -p 142");
    let pids: Vec<&str> = parents.lines().map(|l| l.split_whitespace().nth(1).unwrap()).collect();
    assert_eq!(pids, ["0", "1", "142"], "{parents}");
    assert_eq!(exec("ps -g 142 | grep -c mm-"), "6\n");

    let rows = exec_json("ps");
    let holder = rows["rows"].as_array().unwrap().iter().find(|row| row["pid"] == 142).unwrap();
    assert_eq!(holder["task"], "0xffff88ca4132b000");
    assert_eq!(holder["state"], "RU");
    assert_eq!(holder["active"], true);
    assert_eq!(holder["ppid"], 1);
    assert_eq!(holder["comm"], "mm-holder");
}

#[test]
fn a_running_task_is_traced_down_to_its_user_registers() {
    let bt = exec("bt 142");
    let lines: Vec<&str> = bt.lines().collect();
    assert_eq!(lines[0], "PID: 142      TASK: ffff88ca4132b000  CPU: 2    COMMAND: \"mm-holder\"");
    assert_eq!(lines[1], "    [exception RIP: native_queued_spin_lock_slowpath+105]");
    assert!(lines.contains(&" #1 [ffffd082c043bb80] hu_write at ffffffffc05474c2 [holdup]"));
    assert_eq!(lines.last(), Some(&"    ORIG_RAX: 0000000000000012  CS: 0033  SS: 002b"));
    assert!(exec("bt -a").contains("\n--- <IRQ stack> ---\n"));
}

#[test]
fn every_trace_is_complete_and_says_so() {
    let answer = exec_json("foreach bt");
    let rows = answer["rows"].as_array().unwrap();
    assert_eq!(rows.len(), 108);
    for row in rows {
        assert_eq!(row["end"], "complete", "{row}");
        for frame in row["frames"].as_array().unwrap() {
            assert!(frame["pc"].as_str().unwrap().starts_with("0x"));
            assert!(frame["kind"] == "user" || frame["symbol"].is_string(), "{frame}");
        }
    }
    let init = rows.iter().find(|row| row["pid"] == 1).unwrap();
    let frame = &init["frames"][0];
    assert_eq!(
        (&frame["n"], &frame["kind"], &frame["sp"], &frame["pc"]),
        (&0.into(), &"call".into(), &"0xffffd082c00139c8".into(), &"0xffffffff97c06a3d".into())
    );
}

#[test]
fn the_report_names_the_deadlocks_and_who_holds_the_rest_up() {
    let report: Value = serde_json::from_str(&printed(&["report", "--demo", "--json"])).unwrap();
    let mut cycles: Vec<Vec<u64>> = report["cycles"]
        .as_array()
        .unwrap()
        .iter()
        .map(|cycle| {
            let pids = cycle["tasks"].as_array().unwrap().iter();
            let mut pids: Vec<u64> = pids.map(|pid| pid.as_u64().unwrap()).collect();
            pids.sort_unstable();
            pids
        })
        .collect();
    cycles.sort_unstable();
    assert_eq!(cycles, [vec![111, 112], vec![114, 115, 116], vec![125, 126]]);
    assert_eq!(report["release"], "6.1.0-50-cloud-amd64");
    assert_eq!(report["counts"]["UN"], 35);
    let locks = report["locks"].as_array().unwrap();
    let mmap_lock =
        locks.iter().find(|lock| lock["address"] == "0xffff88ca410616f0").expect("mmap_lock");
    assert_eq!(mmap_lock["kind"], "rwsem");
    assert_eq!(mmap_lock["holders"][0]["pid"], 142);
    assert_eq!(mmap_lock["waiters"].as_array().unwrap().len(), 6);
    // The sentence is made of pieces that say where to look.
    let holder = &mmap_lock["holders"][0];
    let evidence = holder["evidence"].as_array().unwrap();
    let why = holder["why"].as_str().unwrap();
    assert!(evidence.iter().all(|piece| why.contains(piece["says"].as_str().unwrap())), "{why}");
    assert_eq!((&evidence[0]["place"], &evidence[0]["task"]), (&"frame".into(), &holder["task"]));
    assert_eq!(evidence[1]["place"], "code");
    let waiter = &mmap_lock["waiters"][0]["evidence"][0];
    assert_eq!(waiter["place"], "object");
    assert_eq!(waiter["type"], "rwsem_waiter");
    // Where nothing names a holder it is said where it can be, and what would decide it.
    assert!(mmap_lock["undecided"].is_null());
    let named = |name: &str| locks.iter().find(|lock| lock["symbol"] == name).expect("a lock");
    let case = &named("hu_rwsem_r")["undecided"]["cases"][0];
    assert_eq!(
        (&case["place"], &case["pids"][0]),
        (&"in uninterruptible sleep".into(), &127.into())
    );
    let semaphore = &named("hu_sem")["undecided"];
    assert_eq!(semaphore["cases"][0]["place"], "exited");
    assert!(semaphore["wanted"][0].as_str().unwrap().contains("CONFIG_DETECT_HUNG_TASK_BLOCKER"));
    assert!(named("hu_never")["undecided"].is_null(), "a completion has no holder");

    // The first sentence is the cause, and what is no deadlock is not called one.
    let verdict = report["verdict"].as_str().unwrap();
    assert!(verdict.starts_with("Deadlock of 2 tasks: abba-1[111] waits for"), "{verdict}");
    let behind =
        "mm-holder[142] spins for it and holds mmap_lock of mm-main[140], for which 6 wait.";
    assert!(verdict.contains(behind), "{verdict}");

    let text = printed(&["report", "--demo"]);
    assert!(text.contains("Deadlock 3 of 3"), "{text}");
    assert!(!text.contains('\x1b'), "no colours into a pipe");
    let dot = printed(&["report", "--demo", "--dot"]);
    assert!(dot.starts_with("digraph") && dot.contains("color=red") && dot.ends_with("}\n"));
}

#[test]
fn structs_and_expressions_are_printed_as_crash_prints_them() {
    assert_eq!(
        exec("struct -o list_head"),
        "struct list_head {\n   [0] struct list_head *next;\n   [8] struct list_head *prev;\n}\nSIZE: 16\n"
    );
    assert_eq!(
        exec("task_struct.pid,comm ffff88ca4132b000"),
        "  pid = 142,\n  comm = \"mm-holder\\000\\000\\000\\000\\000\\000\",\n"
    );
    assert_eq!(
        exec("p &((struct task_struct *)0xffff88ca4132b000)->mm->mmap_lock"),
        "$1 = (struct rw_semaphore *) 0xffff88ca410616f0\n"
    );
    let lock = exec_json("struct rw_semaphore ffff88ca410616f0");
    assert_eq!(lock["type"], "struct rw_semaphore");
    assert_eq!(lock["address"], "0xffff88ca410616f0");
    assert!(lock["members"]["wait_list"]["next"].as_str().unwrap().starts_with("0xffff"));
    assert_eq!(
        exec("rd init_task 2"),
        "ffffffff98c1aa40:  0000000000004000 0000000000000000   .@..............\n"
    );
    assert_eq!(exec("sym hu_write"), "ffffffffc0547270 (t) hu_write [holdup]\n");
}

#[test]
fn reading_an_object_as_something_else_is_warned_of() {
    let command = "mm_struct.mmap_lock ffff88ca4132b000";
    let warning = "0xffff88ca4132b000 is the task_struct of mm-holder[142], not a mm_struct";
    let printed = exec(command);
    assert!(printed.starts_with(&format!("warning: {warning}\n  mmap_lock = {{\n")), "{printed}");
    assert_eq!(exec_json(command)["warnings"], serde_json::json!([warning]));
    let member = exec("p ((struct mm_struct *)0xffff88ca4132b000)->mmap_lock");
    assert!(member.contains("bytes into the task_struct of mm-holder[142], where there is no"));
    // The same task as what it is, and the lock in its mm as what it is.
    for right in [
        "task_struct.mm ffff88ca4132b000",
        "p ((struct task_struct *)0xffff88ca4132b000)->mm->mmap_lock",
        "struct rw_semaphore ffff88ca410616f0",
    ] {
        assert!(!exec(right).contains("warning"), "{right}");
    }
}

#[test]
fn data_shown_as_machine_code_is_called_data() {
    let data = exec("dis ffff88ca4132b000");
    let warning = "warning: 0xffff88ca4132b000 is the task_struct of mm-holder[142], no code\n";
    assert!(data.starts_with(warning), "{data}");
    assert!(exec("dis init_task").starts_with("warning: "));
    for code in ["dis mutex_lock", "dis actor_fn 3", "dis asm_exc_page_fault 2"] {
        assert!(!exec(code).contains("warning"), "{code}");
    }
}

#[test]
fn any_address_is_told_what_it_is() {
    let told = exec_json("kmem ffff88ca4132b010 schedule ffff88ca410616f0");
    let rows = told["rows"].as_array().unwrap();
    assert_eq!(rows[0]["kind"], "task");
    assert_eq!(rows[0]["text"], "the task_struct of mm-holder[142]+0x10");
    assert_eq!(rows[1]["kind"], "code");
    assert_eq!(rows[1]["symbol"], "schedule");
    assert_eq!(rows[2]["kind"], "slab");
    assert_eq!(rows[2]["cache_name"], "mm_struct");
    assert_eq!(rows[2]["type"], "mm_struct");
    assert!(exec("kmem 0xffffc00000000000").contains("nothing: not mapped"));
    let walked = exec("vtop init_task");
    assert!(walked.contains("PGD:") && walked.contains("PRESENT"), "{walked}");
}

#[test]
fn the_use_of_memory_is_told_as_crash_tells_it() {
    let told = exec("kmem -i");
    for line in [
        "    TOTAL MEM    55726     217.7 MB         ----\n",
        "         FREE    48197     188.3 MB   86% of TOTAL MEM\n",
        "         SLAB     4215      16.5 MB    7% of TOTAL MEM\n",
    ] {
        assert!(told.contains(line), "{told}");
    }
    assert_eq!(exec_json("kmem -i")["rows"][1]["pages"], 48197);
}

#[test]
fn a_value_is_searched_for_on_every_stack() {
    let found = exec("search -t ffff88ca410616f0");
    assert!(
        found.contains("COMMAND: \"mm-holder\"") || found.contains("COMMAND: \"mm-"),
        "{found}"
    );
    assert!(found.contains(": ffff88ca410616f0"), "{found}");
}

#[test]
fn expressions_have_c_s_types_and_the_kernel_s_macros() {
    let task = "((struct task_struct *)0xffff88ca4132b000)";
    for (expression, printed) in [
        ("-1 > 0u", "1"),
        ("(unsigned char)300", "44 ','"),
        ("(enum pid_type)1", "PIDTYPE_TGID"),
        ("sizeof(struct list_head) * 2", "32"),
        (&format!("container_of(&{task}->tasks, struct task_struct, tasks)->pid"), "142"),
        (&format!("*&{task}->comm[3]@6"), "\"holder\""),
        (&format!("{task}->mm ? {task}->mm->owner->pid : 0"), "140"),
        (
            "&(*(struct task_struct **)&init_task.parent)->tasks",
            "(struct list_head *) 0xffffffff98c1b2d0 <init_task+2192>",
        ),
        ("runqueues:2.cpu", "2"),
        ("per_cpu(runqueues, 2).curr->pid", "142"),
    ] {
        assert_eq!(exec(&format!("p {expression}")), format!("$1 = {printed}\n"), "{expression}");
    }
    assert_eq!(exec("whatis schedule"), "void schedule(void);\n");
    assert_eq!(exec("whatis PIDTYPE_TGID"), "enum pid_type = 1\n");
    assert_eq!(exec("rq.cpu runqueues:1,3 | grep -v :"), "  cpu = 1,\n  cpu = 3,\n");
}

#[test]
fn a_frame_is_chosen_for_the_commands_after_it() {
    let run = |commands: &[&str]| {
        let mut arguments = vec!["exec", "--demo"];
        commands.iter().for_each(|command| arguments.extend(["-c", command]));
        printed(&arguments)
    };
    let text = run(&["set 1", "frame 1", "px $rip", "frame"]);
    let frame = |n: usize| text.lines().filter(|line| line.starts_with("#1 ")).nth(n).unwrap();
    assert_eq!(frame(0), frame(1), "{text}");
    let pc = frame(0).split_whitespace().nth(1).unwrap();
    assert!(text.contains(&format!(") {pc} <")), "{text}");
    // Another task has its own frames.
    let text = run(&["set 1", "frame 1", "set 2", "frame"]);
    assert!(text.contains("#0 ") && text.matches("#1 ").count() == 1, "{text}");
}

#[test]
fn members_of_tasks_are_printed_under_their_headings() {
    let text = printed(&["exec", "--demo", "-c", "task -R pid,comm,cpu 1 2"]);
    let lines: Vec<&str> = text.lines().collect();
    assert!(lines[0].starts_with("PID: 1 ") && lines[1] == "  pid = 1,", "{text}");
    assert!(lines.contains(&"  pid = 2,") && text.contains("  comm = \"init"), "{text}");
    let output = hangscope(&["exec", "--demo", "-c", "task -R pid,nothing 1"]);
    assert!(crate::text(&output.stderr).contains("column 13: nothing is no member"));
}

#[test]
fn runqueues_tell_what_runs_and_what_waits_to_run() {
    let rows = exec_json("runq");
    let rows = rows["rows"].as_array().unwrap();
    let current: Vec<_> = rows.iter().filter(|row| row["queue"] == "current").collect();
    assert_eq!(current.len(), 4, "one a CPU");
    assert!(rows.iter().any(|row| row["queue"] == "cfs" && row["pid"].is_number()));
    let text = exec("runq -c 0");
    assert!(text.starts_with("CPU 0 RUNQUEUE: ") && !text.contains("CPU 1"), "{text}");
}

#[test]
fn all_code_that_a_stack_names_is_listed_from_its_start_on() {
    let text = exec("bt -t 1");
    let lines: Vec<&str> = text.lines().collect();
    assert!(lines[1].starts_with("              START: __schedule at "), "{text}");
    let frames = exec("bt 1").lines().filter(|line| line.contains("] ")).count();
    assert!(frames > 3 && lines.len() > frames, "{text}");
    assert!(exec("bt -sx 1").contains("] __schedule+0x34d at "));
}

#[test]
fn a_list_that_is_entered_at_an_entry_shows_its_head_as_doubtful() {
    let head = exec("list -H 0xffff88ca41061708 -o rwsem_waiter.list -s rwsem_waiter.task");
    assert_eq!(head.lines().count(), 12, "{head}");
    assert!(!head.contains("doubtful"), "{head}");
    let first = head.lines().next().unwrap();

    let list = format!("list -H {first} -o rwsem_waiter.list -s rwsem_waiter.task");
    let output = hangscope(&["exec", "--demo", "-c", &list]);
    let (told, noted) = (text(&output.stdout), text(&output.stderr));
    let doubtful =
        "ffff88ca41061708  <-- doubtful: no entry but the list's head, 0xffff88ca41061708";
    assert!(told.lines().any(|line| line == doubtful), "{told}");
    assert!(noted.contains("lies on the stack of"), "{noted}");
    assert!(noted.contains("the wait list of mmap_lock of mm-main[140]"), "{noted}");
}

#[test]
fn a_failing_command_is_pointed_at_and_the_next_one_runs() {
    let calls = ["exec", "--demo", "-c", "p init_task.com", "-c", "bt 4711", "-c", "eval 16"];
    let output = hangscope(&calls);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stdout).starts_with("hexadecimal: 10\n"));
    assert_eq!(
        text(&output.stderr),
        "hangscope: p init_task.com: column 12: struct task_struct has no member com\n  \
         p init_task.com\n             ^\n\
         hangscope: bt 4711: no task with pid 4711\n"
    );

    let output = hangscope(&["exec", "--demo", "--json", "-c", "nonsense", "-c", "eval 16"]);
    assert_eq!(output.status.code(), Some(1));
    let answers: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(answers[0]["error"].as_str().unwrap().starts_with("no command and no type nonsense"));
    assert!(answers[1]["lines"].is_array());
}

#[test]
fn commands_come_from_standard_input_too() {
    let mut child = Command::new(env!("CARGO_BIN_EXE_hangscope"))
        .args(["exec", "--demo", "-c", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(b"# who\nset 1\n\nbt | head -1\n").unwrap();
    let output = child.wait_with_output().unwrap();
    let lines = text(&output.stdout);
    assert!(lines.starts_with("    PID: 1\nCOMMAND: \"init\"\n"), "{lines}");
    assert!(lines.ends_with("CPU: 0    COMMAND: \"init\"\n"), "bt takes the chosen task: {lines}");
}

#[test]
fn what_is_no_dump_gets_one_clear_line() {
    let scratch = Scratch::new("no-dump");
    let (empty, script) = (scratch.path("empty"), scratch.path("script"));
    std::fs::write(&empty, "").unwrap();
    std::fs::write(&script, "#!/bin/sh\n\x1b[2Jexit\n").unwrap();
    let missing = scratch.path("missing");
    let directory = scratch.path("");
    for file in [&empty, &script, &missing, &directory] {
        let output = hangscope(&["exec", file, "-c", "ps"]);
        assert_eq!(output.status.code(), Some(1), "{file}");
        let message = text(&output.stderr);
        assert!(message.starts_with(&format!("hangscope: {file}: ")), "{message}");
        assert_eq!(message.lines().count(), 1, "{message}");
        assert!(!message.contains('\x1b'));
        assert!(output.stdout.is_empty());
    }
}

#[test]
fn a_dump_that_is_cut_off_is_not_called_a_healthy_machine() {
    let scratch = Scratch::new("cut-off");
    let whole = include_bytes!("../assets/demo.vmcore");
    let file = scratch.path("vmcore");
    std::fs::write(&file, &whole[..5_000_000]).unwrap();
    let report: Value = serde_json::from_str(&printed(&["report", &file, "--json"])).unwrap();
    let verdict = report["verdict"].as_str().unwrap();
    assert!(verdict.starts_with("The list of tasks is doubtful ("), "{verdict}");
    assert!(verdict.contains("the dump file is cut off or incomplete"), "{verdict}");
}

#[test]
fn a_wrong_command_line_ends_with_two() {
    for wrong in [
        &["exec", "--demo"][..],
        &["--nonsense"],
        &["report"],
        &["exec", "--demo", "vmcore", "-c", "ps"],
        &["trim", "vmcore"],
        &["exec", "--demo=nothing", "-c", "ps"],
    ] {
        let output = hangscope(wrong);
        assert_eq!(output.status.code(), Some(2), "{wrong:?}: {}", text(&output.stderr));
        assert!(output.stdout.is_empty() && !output.stderr.is_empty(), "{wrong:?}");
    }
}

#[test]
fn a_reader_that_goes_away_ends_it_quietly() {
    let mut child = Command::new(env!("CARGO_BIN_EXE_hangscope"))
        .args(["exec", "--demo", "-c", "sym -l"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut first = [0; 100];
    child.stdout.take().unwrap().read_exact(&mut first).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    assert_eq!(text(&output.stderr), "");
}

#[test]
fn a_trimmed_dump_answers_the_same() {
    let scratch = Scratch::new("trim");
    let out = scratch.path("small");
    assert!(printed(&["trim", "--demo", &out]).contains("pages"));
    assert_eq!(std::fs::read_dir(&scratch.0).unwrap().count(), 1, "nothing else is left behind");
    let questions =
        ["ps", "foreach bt -f", "log", "mod", "task_struct ffff88ca4132b000", "struct task_struct"];
    for question in questions {
        assert_eq!(printed(&["exec", &out, "-c", question]), exec(question), "{question}");
    }
    assert_eq!(printed(&["report", &out, "--json"]), printed(&["report", "--demo", "--json"]));

    let before = std::fs::read(&out).unwrap();
    let output = hangscope(&["trim", &out, &out]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("would overwrite"));
    assert_eq!(std::fs::read(&out).unwrap(), before);
}

#[test]
fn the_file_is_described() {
    let info: Value = serde_json::from_str(&printed(&["info", "--demo", "--json"])).unwrap();
    assert_eq!(info["release"], "6.1.0-50-cloud-amd64");
    assert_eq!(info["compression"], serde_json::json!(["zstd"]));
    assert_eq!(info["cpus"], 4);
    assert!(info["symbols"].as_u64().unwrap() > 80_000);
    assert!(info["structs"].as_u64().unwrap() > 7_000);
    assert!(
        printed(&["info", "--demo"]).contains("build id: bb603a9147d3efe4744bf83c83eee397c591cc20")
    );
}

#[test]
fn every_command_is_in_help_and_in_the_manual() {
    let help = exec("help");
    let man = printed(&["man"]);
    for command in hangscope::command::COMMANDS {
        assert!(help.lines().any(|line| line.starts_with(command.name)), "{}", command.name);
        assert!(man.contains(&format!("\\fB{}", command.name)), "{}", command.name);
        assert!(exec(&format!("help {}", command.name)).contains(command.summary));
    }
    for shell in ["bash", "zsh", "fish"] {
        assert!(printed(&["completions", shell]).contains("hangscope"));
    }
}

#[test]
fn doctor_looks_and_changes_nothing() {
    let checks: Value = serde_json::from_str(&printed(&["doctor", "--json"])).unwrap();
    let names: Vec<&str> =
        checks.as_array().unwrap().iter().map(|check| check["check"].as_str().unwrap()).collect();
    assert!(names.contains(&"hung_task_panic") && names.contains(&"crashkernel="), "{names:?}");
}
