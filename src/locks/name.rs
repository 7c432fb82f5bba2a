//! What people call a lock: its symbol, or what it is part of.

use super::LockKind;
use crate::dump::VirtAddr;
use crate::kernel::{Session, Task};
use std::collections::HashMap;

/// Names for the locks of one dump.
pub(super) struct Names<'s> {
    session: &'s Session,
    /// `mmap_lock`s by address, with the process that they are of.
    mmap_locks: HashMap<VirtAddr, String>,
}

impl<'s> Names<'s> {
    /// Finds the `mmap_lock` (until 5.7 `mmap_sem`) of every process.
    pub(super) fn new(session: &'s Session, tasks: &[Task]) -> Names<'s> {
        let mut mmap_locks = HashMap::new();
        if let Ok(mm) = session.types().structure("mm_struct") {
            let member = ["mmap_lock", "mmap_sem"].into_iter().find(|name| mm.has(name));
            if let Some((member, Ok(offset))) = member.map(|name| (name, mm.offset_of(name))) {
                // The thread group leader gives the name, if it is there; else the first thread.
                for task in tasks {
                    let Some(mm) = task.mm else { continue };
                    let name = format!("{member} of {}[{}]", task.comm, task.tgid);
                    if task.pid == task.tgid {
                        mmap_locks.insert(mm.plus(offset), name);
                    } else {
                        mmap_locks.entry(mm.plus(offset)).or_insert(name);
                    }
                }
            }
        }
        Names { session, mmap_locks }
    }

    /// The symbol that a lock in static memory lies at: `hu_abba_a`, `hu_ring+32`.
    pub(super) fn symbol(&self, at: VirtAddr) -> Option<String> {
        let found = self.session.symbolize(at)?;
        (!found.symbol.is_text()).then(|| found.to_string())
    }

    /// The short name for sentences.
    pub(super) fn of(&self, kind: LockKind, at: VirtAddr) -> String {
        if kind == LockKind::Futex {
            return format!("futex {at}");
        }
        match (self.mmap_locks.get(&at), self.symbol(at)) {
            (Some(name), _) => name.clone(),
            (None, Some(symbol)) => format!("{} {symbol}", kind.name()),
            (None, None) => format!("{} {at}", kind.name()),
        }
    }
}
