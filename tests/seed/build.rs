//! Builds the dumps and finds those equal that are part of the program.

use super::kernel::Kernel;
use super::machine::{self, Variant};
use std::path::{Path, PathBuf};
use std::process::Command;

fn asset(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("assets").join(name)
}

fn unpacked(name: &str) -> Vec<u8> {
    zstd::stream::decode_all(std::fs::File::open(asset(name)).unwrap()).unwrap()
}

fn pack(name: &str, bytes: &[u8]) {
    let mut packer = zstd::stream::Encoder::new(Vec::new(), 19).unwrap();
    packer.long_distance_matching(true).unwrap();
    std::io::Write::write_all(&mut packer, bytes).unwrap();
    std::fs::write(asset(name), packer.finish().unwrap()).unwrap();
}

/// A directory that goes with the test.
struct Dir(PathBuf);

impl Dir {
    fn new(name: &str) -> Dir {
        let dir =
            std::env::temp_dir().join(format!("hangscope-seed-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        Dir(dir)
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        _ = std::fs::remove_dir_all(&self.0);
    }
}

const VARIANTS: [(Variant, &str); 2] =
    [(Variant::Unknown, "seed.vmcore.zst"), (Variant::Found, "seed-found.vmcore.zst")];

/// Compiles the kernel. The compiler's version shows in its debug information, not in its layouts.
fn compile(to: &Path) {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/seed/build.sh");
    let done =
        Command::new("bash").arg(script).arg(to).output().expect("bash, gcc and ld are needed");
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
}

#[test]
fn the_dumps_of_the_program_are_those_that_the_figures_give() {
    let dir = Dir::new("dumps");
    let vmlinux = dir.0.join("vmlinux");
    if std::env::var_os("SEED_WRITE").is_some() {
        compile(&vmlinux);
        pack("seed.vmlinux.zst", &std::fs::read(&vmlinux).unwrap());
    }
    std::fs::write(&vmlinux, unpacked("seed.vmlinux.zst")).unwrap();
    let kernel = Kernel::open(&vmlinux);
    for (variant, name) in VARIANTS {
        let built = machine::build(&kernel, variant);
        if std::env::var_os("SEED_WRITE").is_some() {
            pack(name, &built);
        }
        assert!(
            built == unpacked(name),
            "{name} is not what tests/seed builds: SEED_WRITE=1 cargo test --test seed"
        );
    }
}

#[test]
fn the_kernel_compiled_here_gives_the_same_dumps() {
    if std::env::var_os("SEED_WRITE").is_some() {
        return;
    }
    let dir = Dir::new("kernel");
    let vmlinux = dir.0.join("vmlinux");
    compile(&vmlinux);
    let kernel = Kernel::open(&vmlinux);
    for (variant, name) in VARIANTS {
        assert!(machine::build(&kernel, variant) == unpacked(name), "{name}");
    }
}
