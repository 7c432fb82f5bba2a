//! What people call a lock: its symbol, or what it is part of.

use super::parts::Parts;
use super::waiting::Found;
use super::{LockKind, whole};
use crate::dump::{VirtAddr, scrub};
use crate::kernel::{Session, Task};
use foldhash::HashMap;

/// Names for the locks of one dump.
pub(super) struct Names<'s> {
    session: &'s Session,
    /// What a `mm_struct` calls its lock.
    mmap_lock: &'static str,
    /// `mmap_lock`s by address, with a thread of the process that they are of.
    mmap_locks: HashMap<VirtAddr, &'s Task>,
    /// The spinlocks of memory zones.
    zone_locks: HashMap<VirtAddr, String>,
    /// The locks of inodes and superblocks.
    parts: Parts,
}

/// `MAX_NUMNODES`: `CONFIG_NODES_SHIFT` is at most 10.
const MAX_NODES: u64 = 1024;
/// `MAX_NR_ZONES`: no kernel has more than six.
const MAX_ZONES: u64 = 8;

/// The locks of the zones of every node (`pglist_data::node_zones`, include/linux/mmzone.h): the list
/// `node_data` has room for as many as there may be.
fn zone_locks(session: &Session) -> Option<HashMap<VirtAddr, String>> {
    let (types, symbols, memory) = (session.types(), session.symbols(), session.memory());
    let zones = types.structure("pglist_data").ok()?.member("node_zones").ok()?;
    let zone = zones.ty.target()?;
    let size = zone.size().filter(|size| *size > 0)?;
    let count = (zones.ty.size().unwrap_or(0) / size).min(MAX_ZONES);
    let table = symbols.address("node_data")?;
    let end = symbols.tables().next()?.end_of(table)?;
    let nodes = (end.offset_from(table)? / 8).min(MAX_NODES);
    let mut names = HashMap::default();
    for node in 0..nodes {
        let Ok(data) = memory.read_ptr(table.plus(8 * node)) else { break };
        // One that the machine does not have; there may be others behind it.
        if data.is_null() {
            continue;
        }
        for number in 0..count {
            let at = data.plus(zones.offset()).plus(number * size);
            let text = zone.offset_of("name").ok().and_then(|name| {
                let text = memory.read_cstr(memory.read_ptr(at.plus(name)).ok()?, 16).ok()?;
                Some(scrub(&text)).filter(|text| !text.is_empty())
            });
            let text = text.unwrap_or_else(|| number.to_string());
            for member in ["lru_lock", "lock"] {
                if let Ok(offset) = zone.offset_of(member) {
                    let name = format!("zone->{member} (zone {text} of node {node})");
                    names.insert(at.plus(offset), name);
                }
            }
        }
    }
    Some(names)
}

impl<'s> Names<'s> {
    /// Finds the `mmap_lock` (until 5.7 `mmap_sem`) of every process.
    pub(super) fn new(session: &'s Session, tasks: &'s [Task]) -> Names<'s> {
        let mut mmap_locks = HashMap::default();
        let mut mmap_lock = "mmap_lock";
        if let Ok(mm) = session.types().structure("mm_struct") {
            let member = ["mmap_lock", "mmap_sem"].into_iter().find(|name| mm.has(name));
            if let Some((member, Ok(offset))) = member.map(|name| (name, mm.offset_of(name))) {
                mmap_lock = member;
                // The thread group leader gives the name, if it is there; else the first thread.
                for task in tasks {
                    let Some(mm) = task.mm else { continue };
                    if task.pid == task.tgid {
                        mmap_locks.insert(mm.plus(offset), task);
                    } else {
                        mmap_locks.entry(mm.plus(offset)).or_insert(task);
                    }
                }
            }
        }
        let zone_locks = zone_locks(session).unwrap_or_default();
        let parts = Parts::find(session, tasks, mmap_locks.keys().copied());
        Names { session, mmap_lock, mmap_locks, zone_locks, parts }
    }

    /// Those of the locks with names that are held or waited for.
    pub(super) fn busy(&self) -> &[(LockKind, VirtAddr)] {
        &self.parts.busy
    }

    /// The symbol that a lock in static memory lies at: `hu_abba_a`, `hu_ring+32`.
    pub(super) fn symbol(&self, at: VirtAddr) -> Option<String> {
        let found = self.session.symbolize(at)?;
        (!found.symbol.is_text()).then(|| found.to_string())
    }

    /// The short name for sentences.
    pub(super) fn of(&self, found: &Found) -> String {
        let (kind, at) = (found.kind, found.at);
        let plain = format!("{} {at}", kind.name());
        let within = |what: String| format!("{plain} ({what})");
        if let Some(what) = &found.what {
            return within(what.clone());
        }
        if kind == LockKind::Futex {
            return plain;
        }
        let of_process =
            |task: &&Task| format!("{} of {}[{}]", self.mmap_lock, task.comm, task.tgid);
        let owned = self.mmap_locks.get(&at).map(of_process);
        let owned = owned.or_else(|| self.zone_locks.get(&at).cloned());
        let symbol = || self.symbol(at).map(|symbol| format!("{} {symbol}", kind.name()));
        owned
            .or_else(symbol)
            .or_else(|| self.parts.name(self.session, at))
            .or_else(|| whole::member(self.session, at, kind.ty()).map(within))
            .unwrap_or(plain.clone())
    }

    /// Where a lock lies of which the name tells no more than its address.
    pub(super) fn place(&self, found: &Found, name: &str) -> Option<String> {
        let nameless = found.kind != LockKind::Futex && name.ends_with(&found.at.to_string());
        if nameless { whole::place(self.session, found.at) } else { None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::locks::testing::{Stage, demo, task};

    #[test]
    fn a_lock_is_called_by_its_symbol_or_by_what_it_is_part_of() {
        let stage = Stage::new();
        let names = Names::new(&stage.session, &stage.tasks);
        let at = demo().symbols().address("hu_abba_a").unwrap();
        assert_eq!(names.of(&Found::new(LockKind::Mutex, at)), "mutex hu_abba_a");
        assert_eq!(names.of(&Found::new(LockKind::Mutex, at.plus(4))), "mutex hu_abba_a+4");
        // An address in user space has no symbol of the kernel's.
        assert_eq!(names.of(&Found::new(LockKind::Futex, at)), format!("futex {at}"));
        let what = Some("in init[1]".to_owned());
        let futex = Found { what, ..Found::new(LockKind::Futex, at) };
        assert_eq!(names.of(&futex), format!("futex {at} (in init[1])"));
        assert_eq!(names.symbol(at).as_deref(), Some("hu_abba_a"));
        assert_eq!(names.symbol(demo().symbols().address("vfs_read").unwrap()), None);
    }

    #[test]
    fn an_mmap_lock_is_called_after_the_leader_of_its_threads_wherever_that_stands() {
        let demo = demo();
        let mm = task(&demo, "init").mm.unwrap();
        let offset = demo.types().structure("mm_struct").unwrap().offset_of("mmap_lock").unwrap();
        let named = |tasks: &[&str]| {
            let mut stage = Stage::new();
            for comm in tasks {
                let index = stage.enter(comm, &[]);
                let task = &mut stage.tasks[index];
                (task.mm, task.tgid) = (Some(mm), 1);
            }
            let names = Names::new(&stage.session, &stage.tasks);
            names.of(&Found::new(LockKind::Rwsem, mm.plus(offset)))
        };
        assert_eq!(named(&["init", "chain-7"]), "mmap_lock of init[1]");
        assert_eq!(named(&["chain-7", "init"]), "mmap_lock of init[1]");
        assert_eq!(named(&["chain-7", "chain-6"]), "mmap_lock of chain-7[1]");
    }

    #[test]
    fn where_a_lock_lies_is_said_only_of_one_without_a_name() {
        let stage = Stage::new();
        let names = Names::new(&stage.session, &stage.tasks);
        let place = |kind, at, name: &str| names.place(&Found::new(kind, at), name);
        let at = task(&stage.session, "chain-7").sp.clone().unwrap();
        let nameless = format!("mutex {at}");
        let said = place(LockKind::Mutex, at, &nameless).unwrap();
        assert!(said.starts_with("on the stack of chain-7[124]"), "{said}");
        assert_eq!(place(LockKind::Mutex, at, "mutex hu_abba_a"), None);
        assert_eq!(place(LockKind::Futex, at, &nameless), None);
    }

    #[test]
    fn the_zones_of_a_node_have_its_number_whichever_nodes_the_machine_lacks() {
        use crate::locks::testing::{Stage, demo};
        let demo = demo();
        let table = demo.symbols().address("node_data").unwrap();
        let node = demo.memory().read_u64(table).unwrap();
        let stage = Stage::with(|memory| {
            memory.put64(table.0, 0);
            memory.put64(table.0 + 8, node);
        });
        let names = zone_locks(&stage.session).unwrap();
        assert!(!names.is_empty());
        assert!(names.values().all(|name| name.ends_with("of node 1)")), "{names:?}");
    }
}
