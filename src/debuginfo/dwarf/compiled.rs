//! C as a compiler makes it into DWARF, for tests.

use super::Dwarf;
use crate::debuginfo::{ElfFile, Types};
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// A directory with sources and what became of them, gone at the end of the test.
pub(super) struct Compiled(pub(super) PathBuf);

impl Compiled {
    /// Compiles each source by itself and links them, as a kernel is linked: without any library.
    pub(super) fn new(sources: &[&str], options: &[&str]) -> Compiled {
        static NUMBER: AtomicUsize = AtomicUsize::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("hangscope-{}-dwarf-{number}", std::process::id());
        let dir = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&dir).unwrap();
        let mut compile = Command::new(std::env::var_os("CC").unwrap_or_else(|| "cc".into()));
        compile.current_dir(&dir).args([
            "-nostdlib",
            "-static",
            "-no-pie",
            "-Wl,-e,0",
            "-o",
            "out",
        ]);
        compile.args(["-ffreestanding", "-fno-pic", "-fno-stack-protector"]).args(options);
        for (number, source) in sources.iter().enumerate() {
            let name = format!("{number}.c");
            std::fs::write(dir.join(&name), source).unwrap();
            compile.arg(name);
        }
        let output = compile.output().expect("a C compiler");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        Compiled(dir)
    }

    /// The linked file.
    pub(super) fn bytes(&self) -> Vec<u8> {
        std::fs::read(self.0.join("out")).unwrap()
    }

    pub(super) fn dwarf(&self) -> Dwarf {
        Dwarf::new(&ElfFile::open(&self.0.join("out")).unwrap(), 0, 0).unwrap()
    }

    /// Its types, the only ones.
    pub(super) fn types(&self) -> Types {
        let mut types = Types::new();
        types.add(Box::new(Arc::new(self.dwarf())));
        types
    }
}

impl Drop for Compiled {
    fn drop(&mut self) {
        _ = std::fs::remove_dir_all(&self.0);
    }
}
