//! A thousand damaged copies of a real dump: each ends with an answer or one clear error.

use hangscope::dump::Dump;
use hangscope::kernel::{Options, Session};
use hangscope::locks;
use rayon::prelude::*;
use std::fs;
use std::panic::catch_unwind;
use std::path::Path;

static WHOLE: &[u8] = include_bytes!("../assets/demo.vmcore");

/// Where a kdump-compressed file has what, roughly: the damage need not be exact.
const HEADERS: usize = 8 * 1024;
const BITMAPS: usize = 32 * 1024;
const DESCRIPTORS: usize = 170 * 1024;

/// Numbers that look random and are the same each time (xorshift64).
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % u64::try_from(end).unwrap()).unwrap()
    }
}

/// The `number`th copy, and what was done to it.
fn damaged(number: u64) -> (Vec<u8>, &'static str) {
    let mut numbers = Numbers(number.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    let mut copy = WHOLE.to_vec();
    let (what, bytes, area) = match number % 6 {
        0 => {
            copy.truncate(numbers.below(WHOLE.len()));
            return (copy, "cut off");
        }
        1 => ("headers", 8, 0..HEADERS),
        2 => ("bitmaps", 8, HEADERS..BITMAPS),
        3 => ("descriptors", 8, BITMAPS..DESCRIPTORS),
        4 => ("pages", 20, DESCRIPTORS..WHOLE.len()),
        _ => ("everything but the headers", 2000, HEADERS..WHOLE.len()),
    };
    for _ in 0..=numbers.below(bytes) {
        let at = area.start + numbers.below(area.len());
        copy[at] = u8::try_from(numbers.below(256)).unwrap();
    }
    (copy, what)
}

/// Everything that a user would ask of a dump; whether it could be opened.
fn look_at(file: &Path) -> bool {
    let Ok(dump) = Dump::open(&[file.to_owned()]) else { return false };
    let options = Options { no_debuginfo: true, ..Options::default() };
    let Ok(session) = Session::from_dump(dump, &options) else { return false };
    for task in session.tasks().iter() {
        let _ = session.trace(task);
    }
    let _ = (session.log(), session.modules(), session.system());
    let _ = locks::analyse(&session);
    true
}

#[test]
fn a_thousand_damaged_copies_end_with_an_answer_or_an_error() {
    let folder = std::env::temp_dir().join(format!("hangscope-damaged-{}", std::process::id()));
    fs::create_dir(&folder).unwrap();
    let opened: usize = (0..1000_u64)
        .into_par_iter()
        .map(|number| {
            let (copy, what) = damaged(number);
            let file = folder.join(number.to_string());
            fs::write(&file, copy).unwrap();
            let looked = catch_unwind(|| look_at(&file));
            fs::remove_file(&file).unwrap();
            match looked {
                Ok(opened) => usize::from(opened),
                Err(_) => panic!("copy {number}, damaged in {what}, made the program panic"),
            }
        })
        .sum();
    fs::remove_dir(&folder).unwrap();
    // Most damage leaves something to see: else this would test the opening alone.
    assert!(opened > 500, "only {opened} of 1,000 copies could be opened at all");
    #[cfg(target_os = "linux")]
    assert!(peak_mib() < 1024, "{} MiB of memory at the peak", peak_mib());
}

/// The most memory that this process has had, in MiB (`VmHWM`).
#[cfg(target_os = "linux")]
fn peak_mib() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() / 1024
}
