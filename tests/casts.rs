//! The cast guard over whole dumps: what is read as what it is gets no warning, what is not does.

use hangscope::debuginfo::Type;
use hangscope::dump::VirtAddr;
use hangscope::kernel::{Options, Session};
use hangscope::object::Object;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// The pointers of a task that are followed, from member to member.
const REACHED: &[&[&str]] = &[
    &["mm"],
    &["signal"],
    &["sighand"],
    &["files"],
    &["fs"],
    &["cred"],
    &["nsproxy"],
    &["thread_pid"],
    &["mm", "exe_file"],
    &["mm", "exe_file", "f_inode"],
    &["mm", "exe_file", "f_path.dentry"],
    &["fs", "root.dentry"],
    &["fs", "pwd.dentry", "d_inode"],
];
/// Members that are read where they lie.
const EMBEDDED: &[&[&str]] = &[
    &["tasks"],
    &["se.run_node"],
    &["pi_lock"],
    &["mm", "mmap_lock"],
    &["mm", "mmap_lock.wait_list"],
    &["mm", "mm_mt"],
    &["signal", "cred_guard_mutex"],
    &["signal", "wait_chldexit"],
    &["files", "fdtab"],
    &["files", "file_lock"],
    &["fs", "root"],
];

/// What a path of pointers leads to; the last member of an embedded one is not followed.
fn follow<'s>(task: Object<'s>, path: &[&str], embedded: bool) -> Option<Object<'s>> {
    let mut at = task;
    for (n, member) in path.iter().enumerate() {
        let found = at.member(member).ok()?;
        let last = embedded && n + 1 == path.len();
        at = if last { found } else { found.deref().ok()? };
        if at.at().is_null() {
            return None;
        }
    }
    Some(at)
}

/// The open files of a task.
fn files<'s>(task: Object<'s>) -> Vec<Object<'s>> {
    let read = || -> Option<Vec<Object<'s>>> {
        let table = follow(task, &["files", "fdt"], false)?;
        let count = table.member("max_fds").ok()?.u64().ok()?.min(1024);
        let first = table.member("fd").ok()?.pointer().ok()?;
        let ty: Type<'s> = task.ty().types().structure("file").ok()?;
        let file = |n: u64| {
            let at = task.memory().read_ptr(first.plus(8 * n)).ok().filter(|at| !at.is_null())?;
            Some(Object::new(task.memory(), ty, at))
        };
        Some((0..count).filter_map(file).collect())
    };
    read().unwrap_or_default()
}

/// Looks at every task of a dump; gives how many right casts were made.
fn check(dump: &Path) -> usize {
    let options = Options { dumps: vec![dump.to_owned()], ..Options::default() };
    let session = Session::open(&options).unwrap();
    let types = session.types();
    let (task_struct, mm_struct) =
        (types.structure("task_struct").unwrap(), types.structure("mm_struct").unwrap());
    let mut right: Vec<(VirtAddr, Type<'_>)> = Vec::new();
    for task in session.tasks().iter() {
        let object = session.object(task_struct, task.at);
        right.push((task.at, task_struct));
        let reached = REACHED.iter().filter_map(|path| follow(object, path, false));
        let embedded = EMBEDDED.iter().filter_map(|path| follow(object, path, true));
        right.extend(reached.chain(embedded).map(|found| (found.at(), found.ty())));
        for file in files(object) {
            right.push((file.at(), file.ty()));
            for member in ["f_inode", "f_path.dentry"] {
                right.extend(follow(file, &[member], false).map(|found| (found.at(), found.ty())));
            }
        }
        let wrong = session.doubt(task.at, mm_struct).unwrap_or_default();
        assert!(wrong.contains(&format!("is the task_struct of {}", task.label())), "{wrong}");
        if let Some(mm) = task.mm {
            let wrong = session.doubt(mm, task_struct).unwrap_or_default();
            assert!(wrong.ends_with("not a task_struct"), "{wrong}");
        }
        let stack = session.doubt(task.stack.plus(64), mm_struct);
        assert!(task.stack.is_null() || stack.is_some(), "{}: {:?}", task.label(), task.stack);
    }
    let warnings: BTreeSet<String> =
        right.iter().filter_map(|(at, ty)| session.doubt(*at, *ty)).collect();
    assert!(warnings.is_empty(), "{} warnings: {warnings:#?}", warnings.len());
    right.len()
}

#[test]
fn right_casts_of_the_demo_are_not_warned_of_and_wrong_ones_are() {
    let demo = Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/demo.vmcore");
    assert!(check(&demo) > 1000);
}

/// With the folder of real dumps in HANGSCOPE_DUMPS.
#[test]
fn right_casts_of_real_dumps_are_not_warned_of_and_wrong_ones_are() {
    let Some(folder) = std::env::var_os("HANGSCOPE_DUMPS").map(PathBuf::from) else { return };
    for name in ["6.1-sleep", "6.1-many", "6.12-sleep", "6.1-kdump-hung"] {
        let dump = folder.join(name).join("vmcore");
        if dump.exists() {
            println!("{name}: {} casts", check(&dump));
        }
    }
}
