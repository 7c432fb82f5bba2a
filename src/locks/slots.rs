//! Where tasks' own addresses stand on their stacks, and the words around them.
//!
//! Whoever queues itself puts a record on its stack with its own `task_struct *` in it: often a list's
//! node with the task behind it. The stacks of very many tasks fit no cache, so these few words are
//! kept when a stack is read; a walk along a queue finds them here and reads no stack again.

use crate::dump::VirtAddr;

/// A word of a stack that is the address of the task whose stack it is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Slot {
    at: VirtAddr,
    /// The words around it, from [`BEFORE`] on, if all of them are in the live part.
    around: Option<[u64; 4]>,
}

/// Bytes of [`Slot::around`] before the slot.
const BEFORE: u64 = 16;

impl Slot {
    /// Those of the task at `task` among the words of the live part of its stack, with their addresses.
    pub(super) fn find(task: VirtAddr, words: &[(VirtAddr, u64)]) -> Box<[Slot]> {
        let own = words.iter().enumerate().filter(|(_, (_, word))| *word == task.0);
        let slot = |(number, (at, _)): (usize, &(VirtAddr, u64))| {
            let around = || words.get(number.checked_sub(2)?..)?.first_chunk();
            Slot { at: *at, around: around().map(|around| around.map(|(_, word)| word)) }
        };
        own.map(slot).collect()
    }

    /// The bytes at `at`, if all of them are of the words around it.
    fn read(&self, at: VirtAddr, buf: &mut [u8]) -> Option<()> {
        let skip = usize::try_from(at.offset_from(self.at.checked_sub(BEFORE)?)?).ok()?;
        let bytes = self.around?.map(u64::to_le_bytes);
        let wanted = bytes.as_flattened().get(skip..skip.checked_add(buf.len())?)?;
        buf.copy_from_slice(wanted);
        Some(())
    }
}

/// The slots of all tasks, by the numbers of the tasks.
pub(super) struct Slots {
    /// `None` where the stack cannot be read.
    of_task: Vec<Option<Box<[Slot]>>>,
    /// The tasks by where their stacks begin.
    by_stack: Vec<(VirtAddr, usize)>,
}

impl Slots {
    /// Of each task where its stack begins and its slots.
    pub(super) fn new(tasks: impl Iterator<Item = (VirtAddr, Option<Box<[Slot]>>)>) -> Slots {
        let (stacks, of_task): (Vec<VirtAddr>, Vec<_>) = tasks.unzip();
        let mut by_stack: Vec<_> = stacks.into_iter().zip(0..).collect();
        by_stack.sort_unstable();
        Slots { of_task, by_stack }
    }

    /// Where the slots of a task are; `None` where its stack cannot be read.
    pub(super) fn of(&self, task: usize) -> Option<impl Iterator<Item = VirtAddr> + Clone> {
        Some(self.of_task.get(task)?.as_ref()?.iter().map(|slot| slot.at))
    }

    /// The bytes of a stack at `at`, if they are at hand.
    pub(super) fn read(&self, at: VirtAddr, buf: &mut [u8]) -> Option<()> {
        let after = self.by_stack.partition_point(|(stack, _)| *stack <= at);
        let (_, task) = self.by_stack.get(after.checked_sub(1)?)?;
        self.of_task.get(*task)?.as_ref()?.iter().find_map(|slot| slot.read(at, buf))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TASK: u64 = 0xffff_8880_0001_0000;
    const STACK: u64 = 0xffff_c900_0001_0000;

    /// A stack at `stack` whose live part are these words.
    fn slots(stack: u64, words: &[u64]) -> (VirtAddr, Option<Box<[Slot]>>) {
        let live = (0..).map(|number| VirtAddr(stack + 0x100 + 8 * number));
        let words: Vec<_> = live.zip(words.iter().copied()).collect();
        (VirtAddr(stack), Some(Slot::find(VirtAddr(TASK), &words)))
    }

    fn read(slots: &Slots, at: u64, len: usize) -> Option<Vec<u8>> {
        let mut buf = vec![0; len];
        slots.read(VirtAddr(at), &mut buf).map(|()| buf)
    }

    fn words(words: &[u64]) -> Option<Vec<u8>> {
        Some(words.iter().flat_map(|word| word.to_le_bytes()).collect())
    }

    #[test]
    fn the_two_words_before_a_tasks_own_address_and_the_one_behind_are_at_hand() {
        let slots = Slots::new([slots(STACK, &[1, 2, 3, TASK, 5, 6])].into_iter());
        let at = STACK + 0x100;
        assert_eq!(slots.of(0).unwrap().collect::<Vec<_>>(), [VirtAddr(at + 24)]);
        assert_eq!(read(&slots, at + 8, 32), words(&[2, 3, TASK, 5]));
        assert_eq!(read(&slots, at + 32, 8), words(&[5]));
        assert_eq!(read(&slots, at + 20, 4), Some(vec![0; 4]));
        // Further words are not, nor what goes beyond.
        assert_eq!(read(&slots, at, 8), None);
        assert_eq!(read(&slots, at + 40, 8), None);
        assert_eq!(read(&slots, at + 32, 16), None);
        assert_eq!(read(&slots, at + 33, 8), None);
    }

    #[test]
    fn a_slot_at_the_edge_of_the_live_part_is_known_without_the_words_around_it() {
        let slots = Slots::new([slots(STACK, &[1, TASK, 3, 4, TASK])].into_iter());
        let at = STACK + 0x100;
        assert_eq!(slots.of(0).unwrap().collect::<Vec<_>>(), [at + 8, at + 32].map(VirtAddr));
        assert_eq!(read(&slots, at + 8, 8), None);
        assert_eq!(read(&slots, at + 32, 8), None);
    }

    #[test]
    fn each_stack_has_its_own_slots_whatever_the_order_of_the_tasks() {
        let further = STACK + 0x4000;
        let unread = (VirtAddr(STACK + 0x8000), None);
        let tasks = [slots(further, &[1, 2, TASK, 4]), unread, slots(STACK, &[5, 6, TASK, 8])];
        let slots = Slots::new(tasks.into_iter());
        assert_eq!(read(&slots, further + 0x100, 16), words(&[1, 2]));
        assert_eq!(read(&slots, STACK + 0x100, 16), words(&[5, 6]));
        assert_eq!(read(&slots, STACK + 0x8100, 8), None);
        assert_eq!(read(&slots, STACK - 8, 8), None);
        assert!(slots.of(1).is_none());
        assert!(slots.of(3).is_none());
    }
}
