//! Opening what the command line names.

use super::arguments::{Debug, Demo, Source, Unwind};
use super::output::Failure;
use crate::debuginfo::SourceTrees;
use crate::dump::Dump;
use crate::kernel::{Options, Session};
use std::path::{Path, PathBuf};

/// A real dump of a real deadlock; assets/README.md tells what it holds.
static DEADLOCK: &[u8] = include_bytes!("../../assets/demo.vmcore");
/// Synthetic dumps of a published case, and the kernel that they are of, packed with zstd;
/// tests/seed builds them.
static SEED: &[u8] = include_bytes!("../../assets/seed.vmcore.zst");
static SEED_FOUND: &[u8] = include_bytes!("../../assets/seed-found.vmcore.zst");
static SEED_KERNEL: &[u8] = include_bytes!("../../assets/seed.vmlinux.zst");

/// Opens the dump, without looking for anything in it yet.
pub(super) fn dump(dumps: &[PathBuf], debug: &Debug) -> Result<Dump, Failure> {
    let opened = match (debug.demo, dumps) {
        (Some(Demo::Deadlock), []) => Dump::from_static(DEADLOCK, "--demo"),
        (Some(Demo::Seed), []) => Dump::from_vec(unpacked(SEED), "--demo=seed"),
        (Some(Demo::SeedFound), []) => Dump::from_vec(unpacked(SEED_FOUND), "--demo=seed-found"),
        (Some(_), _) => return Err(Failure::Usage("either a DUMP or --demo, not both".to_owned())),
        (None, []) => {
            let message = "no dump given: hangscope DUMP, or hangscope --demo; --help tells more";
            return Err(Failure::Usage(message.to_owned()));
        }
        (None, paths) => Dump::open(paths),
    };
    opened.map_err(|error| Failure::Dump(error.to_string()))
}

/// What is part of the program is whole; of anything else there would be nothing to open.
fn unpacked(packed: &[u8]) -> Vec<u8> {
    zstd::stream::decode_all(packed).unwrap_or_default()
}

/// Whether what the command line names is there to be opened: what can be said at once.
pub(super) fn check(dumps: &[PathBuf], debug: &Debug) -> Result<(), Failure> {
    match (debug.demo, dumps) {
        (Some(_), _) | (None, []) => dump(dumps, debug).map(drop),
        (None, paths) => paths.iter().try_for_each(|path| {
            let called = crate::dump::scrub(path.as_os_str().as_encoded_bytes());
            std::fs::metadata(path).map(drop).map_err(|e| Failure::Dump(format!("{called}: {e}")))
        }),
    }
}

/// Where to look for what the dump lacks.
pub(super) fn options(dumps: &[PathBuf], debug: &Debug) -> Options {
    let (modules, kernels): (Vec<PathBuf>, Vec<PathBuf>) =
        debug.vmlinux.iter().cloned().partition(|path| is_module(path));
    Options {
        dumps: dumps.to_vec(),
        vmlinux: kernels.into_iter().next_back(),
        module_files: modules,
        built_in: match debug.demo {
            Some(Demo::Seed | Demo::SeedFound) => Some(|| unpacked(SEED_KERNEL)),
            Some(Demo::Deadlock) | None => None,
        },
        debug_dirs: debug.debug_dir.clone(),
        no_debuginfo: debug.no_debuginfo,
        force_debuginfo: debug.force_debuginfo,
        no_btf: debug.no_btf,
        unwind_by_dwarf: debug.unwind == Unwind::Dwarf,
        sources: SourceTrees::new(debug.source.clone()),
    }
}

/// Whether a file is a module's, as its name tells: `NAME.ko`, `NAME.ko.debug`, `NAME.ko.xz`.
fn is_module(path: &Path) -> bool {
    let name = path.file_name().map(|name| name.to_string_lossy());
    name.is_some_and(|name| name.ends_with(".ko") || name.contains(".ko."))
}

/// A session of an open dump.
pub(super) fn session(dump: Dump, dumps: &[PathBuf], debug: &Debug) -> Result<Session, Failure> {
    Session::from_dump(dump, &options(dumps, debug))
        .map_err(|error| Failure::Dump(format!("{}: {error}", name(dumps, debug))))
}

/// Opens the dump and makes a session of it.
pub(super) fn open(source: &Source) -> Result<Session, Failure> {
    let dump = dump(&source.dumps, &source.debug)?;
    session(dump, &source.dumps, &source.debug)
}

/// What messages call the dump.
pub(super) fn name(dumps: &[PathBuf], debug: &Debug) -> String {
    let name = dumps.first().map(|path| crate::dump::scrub(path.as_os_str().as_encoded_bytes()));
    let demo = match debug.demo {
        Some(Demo::Seed) => "--demo=seed",
        Some(Demo::SeedFound) => "--demo=seed-found",
        Some(Demo::Deadlock) | None => "--demo",
    };
    name.unwrap_or_else(|| demo.to_owned())
}
