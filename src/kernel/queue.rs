//! The tasks that wait for a CPU: what is queued on a `struct rq`, besides the task that runs.
//!
//! Fair tasks stand in a red-black tree (`rq->cfs.tasks_timeline`, since 2.6.24), real-time ones in
//! a list for each priority (`rq->rt.active`). A control group stands in its parent's queue as one
//! entity with a queue of its own (`my_q`). Sources: `kernel/sched/sched.h`, `include/linux/sched.h`.

use super::fields::Field;
use super::walk::{list, rbtree};
use super::{Kernel, Known};
use crate::dump::VirtAddr;

/// Entities of one queue; the kernel's own limit is the number of tasks.
const MAX_ENTITIES: usize = 1 << 16;
/// Groups inside groups.
const MAX_DEPTH: u32 = 64;
/// `MAX_RT_PRIO`
const RT_PRIORITIES: u64 = 100;

/// What waits on a runqueue.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Queued {
    /// Real-time tasks by their `task_struct`, each with its priority: 0 goes first.
    pub real_time: Vec<(u64, VirtAddr)>,
    /// Fair tasks, in the order of the tree.
    pub fair: Vec<VirtAddr>,
    /// How many deadline tasks there are, which are not listed.
    pub deadline: u64,
    /// What could not be followed to its end.
    pub notes: Vec<String>,
}

/// Where things are.
struct Layout {
    fair_queue: Field,
    timeline: Field,
    run_node: Field,
    fair_entity: Field,
    /// Without `CONFIG_FAIR_GROUP_SCHED` there are no groups.
    fair_group: Option<Field>,
    rt_queue: Field,
    rt_active: Field,
    rt_lists: Field,
    run_list: Field,
    rt_entity: Field,
    rt_group: Option<Field>,
    deadline: Option<Field>,
}

impl Layout {
    fn probe(kernel: Kernel<'_>) -> Known<Layout> {
        Ok(Layout {
            fair_queue: kernel.field("rq", "cfs")?,
            timeline: kernel.field("cfs_rq", "tasks_timeline")?,
            run_node: kernel.field("sched_entity", "run_node")?,
            fair_entity: kernel.field("task_struct", "se")?,
            fair_group: kernel.field("sched_entity", "my_q").ok(),
            rt_queue: kernel.field("rq", "rt")?,
            rt_active: kernel.field("rt_rq", "active")?,
            rt_lists: kernel.field("rt_prio_array", "queue")?,
            run_list: kernel.field("sched_rt_entity", "run_list")?,
            rt_entity: kernel.field("task_struct", "rt")?,
            rt_group: kernel.field("sched_rt_entity", "my_q").ok(),
            deadline: kernel.field("rq", "dl.dl_nr_running").ok(),
        })
    }
}

/// Where the real-time array and the fair tree of a runqueue lie, as crash names them.
///
/// # Errors
/// [`super::Unknown`] when the types do not tell.
pub fn queues(kernel: Kernel<'_>, runqueue: VirtAddr) -> Known<(VirtAddr, VirtAddr)> {
    let layout = Layout::probe(kernel)?;
    let rt = runqueue.plus(layout.rt_queue.offset + layout.rt_active.offset);
    Ok((rt, runqueue.plus(layout.fair_queue.offset + layout.timeline.offset)))
}

/// The tasks that wait on a `struct rq`.
///
/// # Errors
/// [`super::Unknown`] when the types do not tell how queues are built.
pub fn queued(kernel: Kernel<'_>, runqueue: VirtAddr) -> Known<Queued> {
    let layout = Layout::probe(kernel)?;
    let mut found = Queued::default();
    real_time(kernel, &layout, runqueue.plus(layout.rt_queue.offset), MAX_DEPTH, &mut found);
    fair(kernel, &layout, runqueue.plus(layout.fair_queue.offset), MAX_DEPTH, &mut found);
    if let Some(Ok(count)) = layout.deadline.map(|field| field.read(kernel.memory, runqueue)) {
        found.deadline = count;
    }
    Ok(found)
}

/// The queue of a group, if an entity is one.
fn group(kernel: Kernel<'_>, field: Option<Field>, entity: VirtAddr) -> Option<VirtAddr> {
    let queue = field?.read(kernel.memory, entity).ok().map(VirtAddr);
    queue.filter(|queue| !queue.is_null())
}

fn fair(kernel: Kernel<'_>, layout: &Layout, queue: VirtAddr, depth: u32, found: &mut Queued) {
    let walked = rbtree(kernel.memory, queue.plus(layout.timeline.offset), MAX_ENTITIES);
    found.notes.extend(walked.cut.map(|error| format!("fair tasks: {error}")));
    for node in walked.found {
        let entity = node.minus(layout.run_node.offset);
        match group(kernel, layout.fair_group, entity) {
            _ if found.fair.len() >= MAX_ENTITIES => return,
            Some(queue) if depth > 0 => fair(kernel, layout, queue, depth - 1, found),
            Some(_) => found.notes.push("groups are nested too deep".to_owned()),
            None => found.fair.push(entity.minus(layout.fair_entity.offset)),
        }
    }
}

fn real_time(kernel: Kernel<'_>, layout: &Layout, queue: VirtAddr, depth: u32, found: &mut Queued) {
    let lists = queue.plus(layout.rt_active.offset + layout.rt_lists.offset);
    for priority in 0..RT_PRIORITIES {
        let walked = list(kernel.memory, lists.plus(priority * 16), MAX_ENTITIES);
        found.notes.extend(walked.cut.map(|error| format!("priority {priority}: {error}")));
        for node in walked.found {
            let entity = node.minus(layout.run_list.offset);
            match group(kernel, layout.rt_group, entity) {
                _ if found.real_time.len() >= MAX_ENTITIES => return,
                Some(queue) if depth > 0 => real_time(kernel, layout, queue, depth - 1, found),
                Some(_) => found.notes.push("groups are nested too deep".to_owned()),
                None => found.real_time.push((priority, entity.minus(layout.rt_entity.offset))),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::debuginfo::Symbols;
    use crate::kernel::testing::{Image, TypeTable};

    const RQ: u64 = 0xffff_8880_0001_0000;
    const CFS: u64 = RQ + 0x40;
    const RT: u64 = RQ + 0x80;
    const LISTS: u64 = RT + 0x20;
    const TASK: u64 = 0xffff_8880_0002_0000;
    const GROUP: u64 = 0xffff_8880_0003_0000;
    const QUEUE: u64 = 0xffff_8880_0004_0000;

    fn types() -> TypeTable {
        TypeTable::new()
            .with("cfs_rq", 0x40, &[("tasks_timeline", 0x10, 8)])
            .with("rt_prio_array", 0x800, &[("queue", 0x10, 8)])
            .with("rt_rq", 0x900, &[("active: rt_prio_array", 0x10, 8)])
            .with("dl_rq", 8, &[("dl_nr_running", 0, 8)])
            .with(
                "rq",
                0x1000,
                &[("cfs: cfs_rq", 0x40, 8), ("rt: rt_rq", 0x80, 8), ("dl: dl_rq", 0, 8)],
            )
            .with("sched_entity", 0x40, &[("run_node", 8, 8), ("my_q", 0x30, 8)])
            .with("sched_rt_entity", 0x20, &[("run_list", 0, 8)])
            .with(
                "task_struct",
                0x400,
                &[("se: sched_entity", 0x80, 8), ("rt: sched_rt_entity", 0xc0, 8)],
            )
    }

    /// A task on the tree, a group with a task of its own on its right, a real-time task of
    /// priority 3, and two deadline tasks.
    fn memory() -> Image {
        let mut memory = Image::default();
        memory.put_u64(RQ, 2);
        let node = |memory: &mut Image, entity: u64, right: u64, queue: u64| {
            [0, right, 0].iter().zip([8, 16, 24]).for_each(|(word, at)| {
                memory.put_u64(entity + at, *word);
            });
            memory.put_u64(entity + 0x30, queue);
        };
        memory.put_u64(CFS + 0x10, TASK + 0x80 + 8);
        node(&mut memory, TASK + 0x80, GROUP + 8, 0);
        node(&mut memory, GROUP, 0, QUEUE);
        memory.put_u64(QUEUE + 0x10, TASK + 0x400 + 0x80 + 8);
        node(&mut memory, TASK + 0x400 + 0x80, 0, 0);
        for priority in 0..100 {
            let head = LISTS + priority * 16;
            let entry = if priority == 3 { TASK + 0x800 + 0xc0 } else { head };
            memory.put_u64(head, entry);
            memory.put_u64(head + 8, entry);
        }
        memory.put_u64(TASK + 0x800 + 0xc0, LISTS + 48);
        memory.put_u64(TASK + 0x800 + 0xc8, LISTS + 48);
        memory
    }

    fn of(memory: &Image) -> Queued {
        let (types, symbols) = (types().types(), Symbols::default());
        queued(Kernel { memory, types: &types, symbols: &symbols }, VirtAddr(RQ)).unwrap()
    }

    #[test]
    fn tasks_of_groups_are_found_and_real_time_ones_by_priority() {
        let found = of(&memory());
        assert_eq!(found.fair, [VirtAddr(TASK), VirtAddr(TASK + 0x400)]);
        assert_eq!(found.real_time, [(3, VirtAddr(TASK + 0x800))]);
        assert_eq!((found.deadline, found.notes), (2, Vec::new()));
    }

    #[test]
    fn a_group_that_holds_itself_ends_and_says_so() {
        let mut memory = memory();
        memory.put_u64(QUEUE + 0x10, GROUP + 8);
        let found = of(&memory);
        assert_eq!(found.fair, [VirtAddr(TASK)]);
        assert_eq!(found.notes, ["groups are nested too deep"]);
    }
}
