//! Stacks of real dumps against what drgn and crash make of them.
//!
//! `HANGSCOPE_DUMPS` names a folder of dumps, each with `vmcore` and `golden/drgn.jsonl`. Run with
//! `cargo test --release --test unwind_golden -- --ignored --nocapture`.

use hangscope::debuginfo::{Btf, KallsymsAddresses, Symbols, Types, kallsyms};
use hangscope::dump::{CpuNote, Dump, VirtAddr};
use hangscope::memory::{KernelSpace, PageTableClues, VirtualMemory};
use hangscope::unwind::{
    End, FrameKind, InactiveTaskFrame, Orc, OrcTable, Register, Registers, Trace, Unwinder,
};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::time::Instant;

struct Opened {
    dump: Dump,
    space: KernelSpace,
    types: Types,
    symbols: Symbols,
    orc: Orc,
}

fn open(folder: &Path) -> Opened {
    let dump = Dump::open(&[folder.join("vmcore")]).unwrap();
    let info = dump.vmcoreinfo();
    let clues = PageTableClues {
        swapper_pg_dir: info.symbol("swapper_pg_dir").or(info.symbol("init_top_pgt")),
        phys_base: info.number("phys_base"),
        five_levels: info.number("pgtable_l5_enabled") == Some(1),
        sme_mask: info.number("sme_mask").unwrap_or(0).cast_unsigned(),
        in_image: ["_stext", "init_uts_ns"].iter().filter_map(|name| info.symbol(name)).collect(),
        cr3: Vec::new(),
    };
    let space = KernelSpace::new(&dump.memory(), &clues).unwrap();
    let memory: &dyn VirtualMemory = &space;
    let at = KallsymsAddresses::locate(|name| info.symbol(name)).unwrap();
    let table = kallsyms::read(memory, &at).unwrap();
    let symbols = Symbols::new(table, Vec::new());
    let mut types = Types::new();
    let btf = |name| symbols.address(name).unwrap();
    types.add(Box::new(Btf::read(memory, btf("__start_BTF"), btf("__stop_BTF"), 0).unwrap()));
    let modules = modules(memory, &symbols, &types);
    let started = Instant::now();
    let orc = Orc::new(memory, &symbols, modules);
    println!("  orc {:?}", started.elapsed());
    assert_eq!(orc.problem(), None);
    Opened { symbols, dump, space, types, orc }
}

fn modules(memory: &dyn VirtualMemory, symbols: &Symbols, types: &Types) -> Vec<OrcTable> {
    let module = types.structure("module").unwrap();
    let offset = |path: &str| module.offset_of(path).ok();
    let list = offset("list").unwrap();
    let head = symbols.address("modules").unwrap();
    let mut tables = Vec::new();
    let mut node = memory.read_ptr(head).unwrap();
    while node != head {
        let at = node.minus(list);
        let word = |path: &str| memory.read_u64(at.plus(offset(path).unwrap())).unwrap();
        let half = |path: &str| memory.read_u32(at.plus(offset(path).unwrap())).unwrap();
        let (base, size) = match offset("mem") {
            Some(_) => (word("mem[0].base"), half("mem[0].size")),
            None => (word("core_layout.base"), half("core_layout.text_size")),
        };
        tables.push(OrcTable {
            ip: VirtAddr(word("arch.orc_unwind_ip")),
            entries: VirtAddr(word("arch.orc_unwind")),
            count: half("arch.num_orcs").into(),
            text: VirtAddr(base)..VirtAddr(base).plus(size.into()),
        });
        node = memory.read_ptr(node).unwrap();
    }
    tables
}

fn registers(note: &CpuNote) -> Registers {
    let mut registers = Registers::default();
    for (register, value) in Register::ALL.into_iter().zip(note.registers) {
        registers.set(register, Some(value));
    }
    registers
}

fn number(value: &Value) -> u64 {
    u64::from_str_radix(value.as_str().unwrap().trim_start_matches("0x"), 16).unwrap()
}

fn places(trace: &Trace) -> Vec<(u64, u64)> {
    trace.frames.iter().map(|frame| (frame.pc.0, frame.sp.0)).collect()
}

/// How many tasks differ.
fn compare(folder: &Path) -> usize {
    let golden = folder.join("golden/drgn.jsonl");
    let golden = std::fs::read_to_string(golden).unwrap();
    println!("{}", folder.display());
    let opened = open(folder);
    let memory: &dyn VirtualMemory = &opened.space;
    let unwinder = Unwinder::new(&opened.orc, &opened.symbols, memory);
    let layout = InactiveTaskFrame::new(&opened.types);
    let task_struct = opened.types.structure("task_struct").unwrap();
    let thread_sp = task_struct.offset_of("thread.sp").unwrap();
    let stack = task_struct.offset_of("stack").unwrap();
    let tasks: Vec<Value> =
        golden.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let started = Instant::now();
    let traces: Vec<Trace> = tasks
        .iter()
        .map(|task| {
            let at = VirtAddr(number(&task["task"]));
            let bottom = memory.read_ptr(at.plus(stack)).unwrap();
            let bounds = Some(bottom..bottom.plus(16 << 10));
            if task["frames"][0]["interrupted"] == true {
                let cpu = usize::try_from(task["cpu"].as_u64().unwrap()).unwrap();
                unwinder.running(registers(&opened.dump.cpus()[cpu]), bounds)
            } else {
                unwinder.sleeping(memory.read_ptr(at.plus(thread_sp)).unwrap(), &layout, bounds)
            }
        })
        .collect();
    println!("  {} tasks in {:?}", tasks.len(), started.elapsed());
    let mut differing = 0;
    for (task, trace) in tasks.iter().zip(&traces) {
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
        println!("{}", folder.display());
        let opened = open(&folder);
        let unwinder = Unwinder::new(&opened.orc, &opened.symbols, &opened.space);
        for (cpu, note) in opened.dump.cpus().iter().enumerate() {
            let trace = unwinder.running(registers(note), None);
            println!(" CPU {cpu}: {:?}", trace.end);
            for frame in &trace.frames {
                let name = opened.symbols.resolve(frame.lookup_pc());
                let name = name.map_or("?", |found| found.symbol.name);
                let Some(slot) = frame.sp.0.checked_sub(8) else { continue };
                println!("  [{slot:016x}] {name} at {} {:?}", frame.pc, frame.kind);
            }
            assert_eq!(trace.end, End::Complete);
            let last = trace.frames.last().unwrap();
            assert!(last.kind == FrameKind::User || last.kind == FrameKind::Call);
        }
    }
}
