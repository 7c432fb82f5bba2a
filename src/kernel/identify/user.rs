//! User addresses: which `struct vm_area_struct` of a process holds one, and the file that it maps.
//!
//! The areas are in the maple tree `mm_mt` (6.1); before that on the list `mmap`.

use crate::dump::{VirtAddr, scrub};
use crate::kernel::fields::{Field, StructBytes, span_of};
use crate::kernel::{Kernel, Known, Task, Unknown, walk};
use crate::object::Object;
use foldhash::HashSet;

/// `sysctl_max_map_count` may be raised, but not beyond this.
const MAX_AREAS: usize = 1 << 22;
/// Directories of one path.
const MAX_DEPTH: usize = 256;
/// Bytes of a name: `NAME_MAX`.
const MAX_NAME: u64 = 255;
/// Names of the bits of `vm_flags`, as /proc/PID/maps has them.
const LETTERS: [(u64, char); 3] = [(1, 'r'), (2, 'w'), (4, 'x')];

/// A mapping of a process.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct UserArea {
    /// The task in whose address space it was looked for, with its label.
    pub task: VirtAddr,
    /// Its label.
    pub label: Box<str>,
    /// Its `struct vm_area_struct`.
    pub at: VirtAddr,
    /// First address.
    pub start: VirtAddr,
    /// The address after its last.
    pub end: VirtAddr,
    /// `rwxp`, as in /proc/PID/maps.
    pub access: Box<str>,
    /// The path of the file; `None` for anonymous memory.
    pub file: Option<Known<Box<str>>>,
    /// Where in the file the address is, in bytes.
    pub file_offset: Option<u64>,
}

/// The area of a task's process that holds an address.
///
/// # Errors
/// [`Unknown`] for a kernel thread, for an address that is not mapped, and when the areas cannot be
/// read.
pub(super) fn area(kernel: Kernel<'_>, task: &Task, at: VirtAddr) -> Known<UserArea> {
    let none = || Unknown::because(format!("{} has no address space of its own", task.label()));
    let mm = task.mm.ok_or_else(none)?;
    let ty = kernel.structure("vm_area_struct")?;
    let field = |paths: &[&str]| Field::first_of(ty, paths);
    let (start, end) = (field(&["vm_start"])?, field(&["vm_end"])?);
    let (flags, file, pgoff) = (field(&["vm_flags"])?, field(&["vm_file"])?, field(&["vm_pgoff"])?);
    let span = span_of([start, end, flags, file, pgoff]);
    let not_mapped = || Unknown::because(format!("not mapped in the process of {}", task.label()));
    let (found, cut) = candidates(kernel, mm, at)?;
    let mut damage = cut;
    for area in found {
        let bytes = match StructBytes::read(kernel.memory, area, span.clone()) {
            Ok(bytes) => bytes,
            Err(fault) => {
                damage = damage.or(Some(fault.into()));
                continue;
            }
        };
        let (from, to) = (bytes.ptr(start), bytes.ptr(end));
        if !(from..to).contains(&at) {
            continue;
        }
        let bits = bytes.get(flags);
        let letter = |(bit, letter): (u64, char)| if bits & bit == 0 { '-' } else { letter };
        let mut access: String = LETTERS.into_iter().map(letter).collect();
        access.push(if bits & 8 == 0 { 'p' } else { 's' });
        let of = bytes.ptr(file);
        let mapped = !of.is_null();
        return Ok(UserArea {
            task: task.at,
            label: task.label().into(),
            at: area,
            start: from,
            end: to,
            access: access.into(),
            file: mapped.then(|| path_of(kernel, of)),
            file_offset: mapped.then(|| {
                let page = bytes.get(pgoff).wrapping_mul(crate::dump::PAGE_SIZE);
                page.wrapping_add(at.0.wrapping_sub(from.0))
            }),
        });
    }
    Err(damage.map_or_else(not_mapped, |cut| {
        Unknown::because(format!("the mappings of {} are damaged: {cut}", task.label()))
    }))
}

type Areas = (Vec<VirtAddr>, Option<Unknown>);

/// Areas among which the one of an address is, if there is one.
fn candidates(kernel: Kernel<'_>, mm: VirtAddr, at: VirtAddr) -> Known<Areas> {
    if let Ok(tree) = kernel.field("mm_struct", "mm_mt") {
        let tree = mm.plus(tree.offset);
        let walked = walk::maple_tree(kernel.memory, kernel.types, tree, MAX_AREAS);
        let holds = |range: &walk::MapleRange| (range.first..=range.last).contains(&at.0);
        let found = walked.found.iter().filter(|range| holds(range));
        let found = found.map(|range| VirtAddr(range.entry)).collect();
        return Ok((found, walked.cut.map(|cut| Unknown::because(cut.to_string()))));
    }
    let next = kernel.field("vm_area_struct", "vm_next")?;
    let mut area = VirtAddr(kernel.field("mm_struct", "mmap")?.read(kernel.memory, mm)?);
    let (mut found, mut seen) = (Vec::new(), HashSet::default());
    while !area.is_null() {
        if !seen.insert(area) || found.len() >= MAX_AREAS {
            return Ok((found, Some(Unknown::because("the list of its mappings is a circle"))));
        }
        found.push(area);
        match next.read(kernel.memory, area) {
            Ok(at) => area = VirtAddr(at),
            Err(fault) => return Ok((found, Some(fault.into()))),
        }
    }
    Ok((found, None))
}

/// The path of a `struct file`, across mounts, as its own mount namespace has it.
///
/// # Errors
/// [`Unknown`] when a part of it cannot be read.
pub fn path_of(kernel: Kernel<'_>, file: VirtAddr) -> Known<Box<str>> {
    let file = kernel.object("file", file)?;
    let mut dentry = file.member("f_path.dentry")?.deref()?;
    let mount = kernel.field("mount", "mnt");
    let mut mount: Option<Object<'_>> = match mount {
        Ok(inside) => {
            let at = file.member("f_path.mnt")?.pointer()?;
            kernel.object("mount", at.minus(inside.offset)).ok()
        }
        // Before 3.3 the two structs were one, without the members that are wanted here.
        Err(_) => None,
    };
    let mut names: Vec<String> = Vec::new();
    for _ in 0..MAX_DEPTH {
        let parent = dentry.member("d_parent")?.deref()?;
        let root = match &mount {
            Some(mount) => mount.member("mnt.mnt_root")?.pointer()? == dentry.at(),
            None => parent.at() == dentry.at(),
        };
        if !root && parent.at() != dentry.at() {
            names.push(name(&dentry)?);
            dentry = parent;
            continue;
        }
        let Some(at) = &mount else { break };
        let above = at.member("mnt_parent")?.deref()?;
        if !root || above.at() == at.at() {
            // The root of all, or a tree that is mounted nowhere: memfd, pipes, deleted mounts.
            if names.is_empty() || !root {
                names.push(name(&dentry)?);
            }
            break;
        }
        dentry = at.member("mnt_mountpoint")?.deref()?;
        mount = Some(above);
    }
    names.reverse();
    let path = names.join("/");
    Ok(if path.starts_with('/') { path.into() } else { format!("/{path}").into() })
}

/// The path of a `struct dentry` inside its file system, without a slash before it; empty for the root.
///
/// # Errors
/// [`Unknown`] when a part of it cannot be read.
pub fn dentry_path(kernel: Kernel<'_>, dentry: VirtAddr) -> Known<Box<str>> {
    let mut dentry = kernel.object("dentry", dentry)?;
    let mut names: Vec<String> = Vec::new();
    for _ in 0..MAX_DEPTH {
        let parent = dentry.member("d_parent")?.deref()?;
        if parent.at() == dentry.at() {
            break;
        }
        names.push(name(&dentry)?);
        dentry = parent;
    }
    names.reverse();
    Ok(names.join("/").into())
}

fn name(dentry: &Object<'_>) -> Known<String> {
    let len = dentry.member("d_name.len")?.u64()?.min(MAX_NAME);
    let at = dentry.member("d_name.name")?.pointer()?;
    let bytes = dentry.memory().read_vec(at, usize::try_from(len).unwrap_or(0))?;
    Ok(scrub(&bytes))
}
