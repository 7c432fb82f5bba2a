//! What would decide what the dump leaves open, named so that it can be got: a debug file by its
//! name, build id and package, or another level of makedumpfile.

use super::scene::Scene;
use crate::debuginfo::Advice;
use crate::dump::VirtAddr;
use crate::kernel::Session;

/// What makedumpfile's level leaves out (`man makedumpfile`): the pages of programs, and those of
/// files and shared memory.
const USER: u32 = 8;
const CACHE: u32 = 2 | 4;
/// The level that is used most: everything that can be left out is.
const ALL: u32 = 31;

/// The debug file of the code at an address, unless it is at hand: `vmlinux with debug information
/// (build id 1f…, in linux-image-6.1.0-50-cloud-amd64-dbg)`.
pub(super) fn debug_file(session: &Session, at: VirtAddr) -> Option<String> {
    if session.dwarf_of(at).is_ok() {
        return None;
    }
    let kernel = session.identity();
    let package = Advice::new(&kernel).package;
    let module = session.modules().iter().enumerate().find(|(_, module)| module.contains(at));
    Some(match module {
        Some((number, module)) => {
            // What was not built with the kernel is in no package of it.
            let outside = module.taints.as_ref().is_ok_and(|taints| taints & TAINT_OOT != 0);
            let id = session.module_build_id(number);
            file(&format!("{}.ko", module.name), id, package.filter(|_| !outside))
        }
        None => file("vmlinux", kernel.build_id, package),
    })
}

/// `TAINT_OOT_MODULE`: the module was not built with the kernel.
const TAINT_OOT: u64 = 1 << 12;

fn file(name: &str, build_id: Option<String>, package: Option<String>) -> String {
    let id = build_id.map(|id| format!("build id {id}"));
    let package = package.map(|package| format!("in {package}"));
    let about: Vec<String> = id.into_iter().chain(package).collect();
    match about.as_slice() {
        [] => format!("{name} with debug information"),
        about => format!("{name} with debug information ({})", about.join(", ")),
    }
}

/// The debug files of the code that a task is in, innermost frame first, that are not at hand.
pub(super) fn of_stack(scene: &Scene<'_>, task: usize) -> Vec<String> {
    let mut files = Vec::new();
    for frame in scene.traces.get(task).map(|trace| trace.frames.as_slice()).unwrap_or_default() {
        if let Some(file) = debug_file(scene.session, frame.lookup_pc())
            && !files.contains(&file)
        {
            files.push(file);
        }
    }
    files
}

/// A dump that has the words of futexes, of which some lie in `shared` memory, where this one was
/// written with `level`.
pub(super) fn user_pages(level: Option<u32>, shared: bool) -> String {
    let level = level.unwrap_or(ALL);
    let private = format!("makedumpfile -d {}", level & !USER);
    match shared {
        false => format!("a dump with the pages of programs ({private})"),
        true => format!(
            "a dump with the pages of programs ({private}; -d {} for futexes in shared memory)",
            level & !USER & !CACHE
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_debug_file_is_named_with_what_finds_it() {
        let package = Some("linux-image-6.1-dbg".to_owned());
        assert_eq!(
            file("vmlinux", Some("1f".to_owned()), package),
            "vmlinux with debug information (build id 1f, in linux-image-6.1-dbg)"
        );
        assert_eq!(file("a.ko", None, None), "a.ko with debug information");
    }

    #[test]
    fn the_level_that_keeps_a_programs_pages_goes_on_from_that_of_the_dump() {
        assert_eq!(
            user_pages(None, false),
            "a dump with the pages of programs (makedumpfile -d 23)"
        );
        assert_eq!(
            user_pages(Some(29), true),
            "a dump with the pages of programs (makedumpfile -d 21; -d 17 for futexes in shared \
             memory)"
        );
    }
}
