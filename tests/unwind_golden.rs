//! Stacks of real dumps against what drgn and crash make of them.
//!
//! `HANGSCOPE_DUMPS` names a folder of dumps, each with `vmcore` and `golden/drgn.jsonl`, and with
//! `vmlinux` where the dump needs one. Run with
//! `cargo test --release --test unwind_golden -- --ignored --nocapture`.

use hangscope::dump::VirtAddr;
use hangscope::kernel::{Options, Session};
use hangscope::unwind::{End, FrameKind, Trace};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// `None` for a dump whose symbols are not in it and not beside it.
fn open(folder: &Path) -> Option<Session> {
    println!("{}", folder.display());
    let vmlinux = Some(folder.join("vmlinux")).filter(|vmlinux| vmlinux.exists());
    let given = vmlinux.is_some();
    let dumps = vec![folder.join("vmcore")];
    let session = Session::open(&Options { dumps, vmlinux, ..Options::default() }).unwrap();
    if !given && session.tasks().is_empty() {
        println!("  skipped: {:?}", session.notes());
        return None;
    }
    Some(session)
}

fn number(value: &Value) -> u64 {
    u64::from_str_radix(value.as_str().unwrap().trim_start_matches("0x"), 16).unwrap()
}

fn places(trace: &Trace) -> Vec<(u64, u64)> {
    trace.frames.iter().map(|frame| (frame.pc.0, frame.sp.0)).collect()
}

/// How many tasks differ.
fn compare(folder: &Path) -> usize {
    let golden = std::fs::read_to_string(folder.join("golden/drgn.jsonl")).unwrap();
    let golden: Vec<Value> =
        golden.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let Some(session) = open(folder) else { return 0 };
    let find = |at| session.tasks().iter().find(|task| task.at == at);
    let tasks: Vec<_> =
        golden.iter().map(|task| find(VirtAddr(number(&task["task"]))).unwrap()).collect();
    let started = Instant::now();
    let traces: Vec<Trace> = tasks.iter().map(|task| session.trace(task)).collect();
    println!("  {} tasks in {:?}", tasks.len(), started.elapsed());
    let mut differing = 0;
    for (task, trace) in golden.iter().zip(&traces) {
        let wanted: Vec<(u64, u64)> = task["frames"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|frame| frame["inline"] == false)
            .map(|frame| (number(&frame["pc"]), number(&frame["sp"])))
            .collect();
        // Not in kernel/kexec_core.c, which is built without unwind tables.
        let guesses = trace.frames.iter().filter(|frame| !frame.reliable).count();
        let reliable = guesses == 0 || task["frames"][0]["name"] == "crash_setup_regs";
        if places(trace) != wanted || trace.end != End::Complete || !reliable {
            differing += 1;
            println!("  {} {}: {:?}", task["pid"], task["comm"], trace.end);
            println!("    drgn {wanted:x?}\n    here {:x?}", places(trace));
        }
    }
    differing
}

fn folders() -> Vec<PathBuf> {
    let dumps = std::env::var_os("HANGSCOPE_DUMPS").expect("HANGSCOPE_DUMPS is not set");
    let mut folders: Vec<PathBuf> = std::fs::read_dir(dumps)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|folder| folder.join("golden/drgn.jsonl").exists())
        .collect();
    assert!(!folders.is_empty(), "no dumps with golden output in HANGSCOPE_DUMPS");
    folders.sort();
    folders
}

#[test]
#[ignore = "needs real dumps: HANGSCOPE_DUMPS"]
fn every_frame_of_every_task_is_where_drgn_sees_it() {
    let differing: usize = folders().iter().map(|folder| compare(folder)).sum();
    assert_eq!(differing, 0);
}

/// The CPUs as `crash> bt -a` prints them, to be read side by side with it.
#[test]
#[ignore = "needs real dumps: HANGSCOPE_DUMPS"]
fn running_tasks_are_unwound_to_their_end() {
    for folder in folders() {
        let Some(session) = open(&folder) else { continue };
        for cpu in session.cpus().iter() {
            let task = session.tasks().iter().find(|task| Ok(task.at) == cpu.current).unwrap();
            let trace = session.trace(task);
            println!(" CPU {} {}: {:?}", cpu.number, task.label(), trace.end);
            for frame in &trace.frames {
                let name = session.symbols().resolve(frame.lookup_pc());
                let name = name.map_or("?", |found| found.symbol.name);
                println!("  [{}] {name} at {} {:?}", frame.sp, frame.pc, frame.kind);
            }
            assert_eq!(trace.end, End::Complete);
            let last = trace.frames.last().unwrap();
            assert!(last.kind == FrameKind::User || last.kind == FrameKind::Call);
        }
    }
}
