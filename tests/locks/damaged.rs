//! Damaged locks: each is listed with what is wrong with it, and nothing else of the report changes.

use super::memory::{Memory, demo};
use hangscope::dump::VirtAddr;
use hangscope::kernel::Session;
use hangscope::locks::{Lock, LockGraph, Mode, analyse};

/// `LIST_POISON1`: where a removed entry's `next` points.
const POISON: u64 = 0xdead_0000_0000_0100;
const USER: u64 = 0x7f12_3456_7000;

/// The demo with one lock in it that comes to harm.
struct Story {
    session: Session,
    before: LockGraph,
    lock: Lock,
}

/// What became of the lock.
struct After {
    lock: Lock,
    graph: LockGraph,
}

impl Story {
    fn of(symbol: &str) -> Story {
        let session = demo();
        let before = analyse(&session);
        let lock = before.locks.iter().find(|lock| lock.symbol.as_deref() == Some(symbol));
        let lock = lock.unwrap().clone();
        assert_eq!(lock.doubts, Vec::<String>::new());
        Story { lock, before, session }
    }

    /// Where a member of the lock is.
    fn member(&self, path: &str) -> u64 {
        let types = self.session.types();
        let ty = types.structure(self.lock.ty.strip_prefix("struct ").unwrap()).unwrap();
        self.lock.at.0 + ty.offset_of(path).unwrap()
    }

    /// The nodes of its list: its head, then its waiters.
    fn list(&self, path: &str) -> Vec<u64> {
        let next = |at: &u64| Some(self.session.memory().read_ptr(VirtAddr(*at)).unwrap().0);
        let head = self.member(path);
        let rest = std::iter::successors(next(&head), next).take_while(|node| *node != head);
        [head].into_iter().chain(rest).collect()
    }

    /// Damages the memory, and holds everything but the lock against the report before.
    fn damaged(&self, damage: impl FnOnce(&mut Memory<'_>)) -> After {
        let mut memory = Memory::of(&self.session);
        damage(&mut memory);
        let session = memory.open();
        let graph = analyse(&session);
        let others = |graph: &LockGraph| -> Vec<Lock> {
            let mut locks = graph.locks.clone();
            locks.retain(|lock| lock.at != self.lock.at);
            // A stack that is missing may hide the holder of any lock, which each of them says.
            for undecided in locks.iter_mut().filter_map(|lock| lock.undecided.as_mut()) {
                undecided.wanted.retain(|wanted| !wanted.starts_with("the rest of the stack of "));
            }
            locks.sort_by_key(|lock| lock.at);
            locks
        };
        assert_eq!(others(&graph), others(&self.before), "other locks have changed");
        assert_eq!(graph.cycles, self.before.cycles);
        let lock = graph.locks.iter().find(|lock| lock.at == self.lock.at);
        let lock = lock.expect("the damaged lock is listed").clone();
        After { lock, graph }
    }
}

impl After {
    fn waiters(&self) -> Vec<&str> {
        self.lock.waiters.iter().map(|waiter| waiter.task.comm.as_ref()).collect()
    }

    /// That one of the doubts says this.
    fn doubts(&self, words: &str) {
        let said = self.lock.doubts.iter().any(|doubt| doubt.contains(words));
        assert!(said, "{words:?} is not in {:#?}", self.lock.doubts);
    }
}

const WAITERS: [&str; 4] = ["rws2-reader1", "rws2-writer1", "rws2-reader2", "rws2-writer2"];

#[test]
fn a_list_that_loops_back_to_its_first_waiter_still_shows_all_of_them() {
    let story = Story::of("hu_rwsem_w");
    let list = story.list("wait_list");
    let after = story.damaged(|memory| memory.put64(list[2], list[1]));
    let mut waiters = after.waiters();
    waiters.sort_unstable();
    assert_eq!(waiters, ["rws2-reader1", "rws2-reader2", "rws2-writer1", "rws2-writer2"]);
    after.doubts("leads back to");
}

#[test]
fn a_next_pointer_into_nothing_leaves_the_list_to_be_read_from_its_other_end() {
    let story = Story::of("hu_rwsem_w");
    let list = story.list("wait_list");
    for wild in [POISON, USER, 0] {
        let after = story.damaged(|memory| memory.put64(list[2], wild));
        assert_eq!(after.waiters(), WAITERS, "{wild:x}");
        after.doubts("which cannot be read");
    }
    let after = story.damaged(|memory| memory.put64(list[2], memory.excluded()));
    assert_eq!(after.waiters(), WAITERS);
    after.doubts("which cannot be read");
}

#[test]
fn a_waiter_whose_links_are_both_lost_is_tied_by_what_its_function_was_called_with() {
    let story = Story::of("hu_rwsem_w");
    let list = story.list("wait_list");
    for (node, name, mode) in
        [(list[1], "rws2-reader1", Mode::Read), (list[2], "rws2-writer1", Mode::Write)]
    {
        let after = story.damaged(|memory| {
            memory.put64(node, POISON);
            memory.put64(node + 8, POISON);
        });
        let mut waiters = after.waiters();
        assert_eq!(waiters.pop(), Some(name));
        assert_eq!(waiters.len(), 3);
        let lost = after.lock.waiters.last().unwrap();
        assert_eq!((lost.position, lost.mode), (None, mode));
        after.doubts("does not point back");
        after.doubts(&format!("{}: it sleeps in", lost.task.label()));
    }
}

#[test]
fn a_stack_that_is_missing_in_the_middle_of_the_list_costs_that_waiter() {
    let story = Story::of("hu_rwsem_w");
    let list = story.list("wait_list");
    let after = story.damaged(|memory| memory.exclude(list[3]));
    assert_eq!(after.waiters(), ["rws2-reader1", "rws2-writer1", "rws2-writer2"]);
    after.doubts("which cannot be read");
    assert!(after.graph.others.iter().any(|other| other.task.comm.as_ref() == "rws2-reader2"));
}

#[test]
fn an_entry_that_is_no_waiter_does_not_hide_those_who_are() {
    let story = Story::of("hu_rwsem_w");
    let list = story.list("wait_list");
    let after = story.damaged(|memory| {
        // A proper node, but nobody's: on a page of its own.
        let alien = memory.excluded();
        memory.put64(list[2], alien);
        memory.put64(list[3] + 8, alien);
        memory.put64(alien, list[3]);
        memory.put64(alien + 8, list[2]);
    });
    assert_eq!(after.lock.waiters.len(), 4);
    after.doubts("2 nodes of its list are no waiters");
}

#[test]
fn a_completion_whose_list_is_empty_though_somebody_waits_is_listed() {
    let story = Story::of("hu_never");
    let list = story.list("wait.task_list");
    let after = story.damaged(|memory| {
        memory.put64(list[0], list[0]);
        memory.put64(list[0] + 8, list[0]);
    });
    assert_eq!(after.waiters(), ["chain-7"]);
    after.doubts("chain-7[124]: it sleeps in");
    after.doubts("does not point back");
}

#[test]
fn an_impossible_count_is_named_and_no_reader_is_made_of_it() {
    let story = Story::of("hu_rwsem_w");
    let count = story.member("count");
    let after = story.damaged(|memory| memory.put64(count, 0x7fff_ffff_ffff_ff00));
    assert_eq!(after.waiters(), WAITERS);
    assert_eq!((after.lock.readers, after.lock.holders.len()), (None, 0));
    assert!(after.lock.words.starts_with("impossible count"));
    after.doubts("count 0x7fffffffffffff00 would mean");
}

#[test]
fn an_owner_that_is_no_task_is_no_holder() {
    let story = Story::of("hu_rwsem_w");
    let owner = story.member("owner");
    for wrong in [story.lock.at.0 & !0xff, POISON & !7, 0x1_0000] {
        let after = story.damaged(|memory| memory.put64(owner, wrong));
        assert_eq!(after.lock.holders, []);
        assert!(after.lock.orphaned);
        after.doubts("no task lives at");
    }
}

#[test]
fn an_owner_that_was_started_after_the_wait_began_is_no_holder() {
    let story = Story::of("hu_rwsem_w");
    let owner = story.member("owner");
    let late = story.session.tasks().iter().find(|task| &*task.comm == "mm-writer3").unwrap().at.0;
    let after = story.damaged(|memory| memory.put64(owner, late));
    assert_eq!(after.lock.holders, []);
    after.doubts("was started");
    after.doubts("its task_struct was used again");
}

#[test]
fn the_lock_inside_a_lock_may_hold_anything() {
    let story = Story::of("hu_rwsem_w");
    let wait_lock = story.member("wait_lock");
    let after = story.damaged(|memory| memory.put(wait_lock, &0xdead_beef_u32.to_le_bytes()));
    assert_eq!(after.lock, story.lock);
    assert_eq!(after.graph.verdict, story.before.verdict);
}

#[test]
fn a_last_in_line_beyond_the_machine_is_named() {
    let story = Story::of("hu_mm_spin");
    let at = story.lock.at.0;
    let after = story.damaged(|memory| {
        let kept = memory.get64(at & !7);
        let shift = 8 * (at & 7);
        let word: u64 = 1 | 4001 << 18;
        memory.put64(at & !7, kept & !(0xffff_ffff << shift) | word << shift);
    });
    assert_eq!(after.waiters(), ["mm-holder"]);
    after.doubts("CPU 4000, which the machine does not have");
}

#[test]
fn a_last_in_line_where_nobody_spins_is_named() {
    let story = Story::of("hu_mm_spin");
    let at = story.lock.at.0;
    // The third node of CPU 3, which is idle.
    let after = story.damaged(|memory| memory.put(at, &(1_u32 | 4 << 18 | 2 << 16).to_le_bytes()));
    assert_eq!(after.waiters(), ["mm-holder"]);
    assert_eq!(after.lock.holders, story.lock.holders);
    after.doubts("should be CPU 3, and nobody was found there who spins for it");
}

#[test]
fn an_osq_that_ends_at_no_cpu_is_named() {
    let story = Story::of("hu_abba_a");
    let tail = story.member("osq.tail");
    let after = story.damaged(|memory| memory.put(tail, &700_u32.to_le_bytes()));
    assert_eq!(after.waiters(), ["abba-2", "abba-bystander"]);
    assert_eq!(after.lock.holders, story.lock.holders);
    after.doubts("the end of its osq is the osq_node of no CPU");
}

#[test]
fn an_osq_that_leads_to_an_idle_cpu_makes_nobody_wait_there() {
    let story = Story::of("hu_abba_a");
    let tail = story.member("osq.tail");
    let nodes = story.session.symbols().address("osq_node").unwrap();
    let node = story.session.cpus().iter().next().unwrap().per_cpu(nodes).0;
    let after = story.damaged(|memory| {
        memory.put(tail, &1_u32.to_le_bytes());
        memory.put64(node + 8, POISON);
    });
    assert_eq!(after.waiters(), ["abba-2", "abba-bystander"]);
    after.doubts("CPU 0 stands in its osq, and is idle");
}

#[test]
fn permits_that_cannot_be_are_named() {
    let story = Story::of("hu_sem");
    let count = story.member("count");
    let after = story.damaged(|memory| memory.put(count, &0xffff_fff0_u32.to_le_bytes()));
    assert_eq!(after.waiters(), ["sem-waiter1", "sem-waiter2"]);
    assert!(after.lock.words.starts_with("impossible count"), "{}", after.lock.words);
    after.doubts("would mean as many permits");
}

#[test]
fn a_record_of_a_wait_that_leads_nowhere_changes_nothing() {
    let story = Story::of("hu_abba_a");
    let task = story.session.tasks().iter().find(|task| &*task.comm == "abba-2").unwrap().at.0;
    let member = story.session.types().structure("task_struct").unwrap();
    let record = task + member.offset_of("pi_blocked_on").unwrap();
    for wild in [POISON, USER, 8] {
        let after = story.damaged(|memory| memory.put64(record, wild));
        assert_eq!(after.lock, story.lock);
        assert_eq!(after.graph.verdict, story.before.verdict);
    }
}

#[test]
fn an_entry_that_names_a_task_on_whose_stack_it_is_not_is_no_waiter() {
    let story = Story::of("hu_rwsem_w");
    let list = story.list("wait_list");
    let task = story.session.tasks().iter().find(|task| &*task.comm == "chain-7").unwrap().at.0;
    let ty = story.session.types().structure("rwsem_waiter").unwrap();
    let (node, of) = (ty.offset_of("list").unwrap(), ty.offset_of("task").unwrap());
    let after = story.damaged(|memory| {
        let alien = memory.excluded() + node;
        memory.put64(list[2], alien);
        memory.put64(list[3] + 8, alien);
        memory.put64(alien, list[3]);
        memory.put64(alien + 8, list[2]);
        memory.put64(alien - node + of, task);
    });
    assert_eq!(after.lock.waiters.len(), 4);
    after.doubts("2 nodes of its list are no waiters");
}
