//! Small kernels, compiled when a test runs.

use super::Dwarf;
use crate::debuginfo::{ElfFile, SymbolTable};
use crate::dump::VirtAddr;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

/// How far above where they were linked to they run.
pub(in crate::debuginfo) const SHIFT: u64 = 0x1f40_0000;

/// A program that was linked to the kernel's addresses.
pub(in crate::debuginfo) struct Compiled {
    pub(in crate::debuginfo) dwarf: Dwarf,
    pub(in crate::debuginfo) symbols: SymbolTable,
}

/// Compiles C that lies in `kernel/test.c`, as a kernel is.
pub(in crate::debuginfo) fn compile(source: &str, flags: &[&str]) -> Compiled {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let folder = format!("hangscope-dwarf-{}-{number}", std::process::id());
    let folder = std::env::temp_dir().join(folder);
    std::fs::create_dir_all(folder.join("kernel")).unwrap();
    std::fs::write(folder.join("kernel/test.c"), source).unwrap();
    let mut cc = Command::new("cc");
    cc.current_dir(&folder).args(["-O2", "-ffreestanding", "-fno-pie", "-no-pie", "-nostdlib"]);
    cc.args(["-static", "-mcmodel=kernel", "-mno-red-zone", "-fno-stack-protector"]);
    cc.args(["-fcf-protection=none", "-fno-asynchronous-unwind-tables"]);
    cc.args(["-Wl,-Ttext=0xffffffff81000000", "-Wl,--entry=0xffffffff81000000"]);
    let ended = cc.args(flags).args(["kernel/test.c", "-o", "vmlinux"]).output().unwrap();
    assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
    let file = ElfFile::open(&folder.join("vmlinux")).unwrap();
    let symbols = file.symbols(SHIFT).unwrap();
    let dwarf = Dwarf::new(&file, SHIFT, 0).unwrap();
    std::fs::remove_dir_all(&folder).unwrap();
    Compiled { dwarf, symbols }
}

impl Compiled {
    /// Where a symbol lies in the running kernel.
    pub(in crate::debuginfo) fn at(&self, name: &str) -> VirtAddr {
        self.symbols.find_all(name).next().unwrap().at
    }
}
