//! Which process numbers are in use: the initial PID namespace's IDR (`kernel/pid.c`, 4.15).
//!
//! Each entry is a `struct pid`, whose `tasks[PIDTYPE_PID]` heads the list with the one task of that
//! number. The IDR and the task list are kept apart by the kernel, so each can stand in for a damaged
//! other.

use super::Known;
use super::fields::Field;
use super::image::Kernel;
use super::walk::{self, WalkError};
use crate::dump::VirtAddr;
use rayon::prelude::*;

/// More tasks than `PID_MAX_LIMIT` allows cannot be.
pub(super) const MAX_TASKS: usize = 4 << 20;

/// So few reads are not worth spreading over threads.
const FEW: usize = 64;

/// The tasks that the IDR knows, each with what was read of it, and what is wrong with the IDR.
pub(super) struct Pids<T> {
    pub(super) tasks: Vec<(VirtAddr, T)>,
    pub(super) cut: Option<WalkError>,
}

/// Reads the IDR, and by `task` each task that it leads to, side by side.
///
/// # Errors
/// [`super::Unknown`] when this kernel has none: before 4.15 it has a hash table.
pub(super) fn read<T: Send>(
    kernel: Kernel<'_>,
    task: impl Fn(VirtAddr) -> T + Sync,
) -> Known<Pids<T>> {
    let namespace = kernel.symbol("init_pid_ns")?;
    let idr = kernel.field("pid_namespace", "idr.idr_rt")?;
    let first = kernel.field("pid", "tasks")?;
    let link = Field::first_of(kernel.structure("task_struct")?, &["pid_links", "pids"])?;
    let walked = walk::xarray(kernel.memory, kernel.types, namespace.plus(idr.offset), MAX_TASKS);
    let mut cut = walked.cut;
    let mut tasks = Vec::with_capacity(walked.found.len());
    let read = |pid: VirtAddr| match kernel.memory.read_ptr(pid.plus(first.offset)) {
        // Nobody has this number any more; a process group or a session is still called by it.
        Ok(none) if none.is_null() => Ok(None),
        Ok(node) => {
            let at = node.minus(link.offset);
            Ok(Some((at, task(at))))
        }
        Err(fault) => Err(WalkError::Fault { node: pid, fault }),
    };
    let read: Vec<_> =
        walked.found.par_iter().with_min_len(FEW).map(|pid| read(VirtAddr(pid.entry))).collect();
    for result in read {
        match result {
            Ok(found) => tasks.extend(found),
            Err(error) => cut = cut.or(Some(error)),
        }
    }
    Ok(Pids { tasks, cut })
}
