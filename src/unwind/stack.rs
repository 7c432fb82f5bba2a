//! Stack memory, read a page at a time.
//!
//! Unwinding reads a few words here and there of a stack, a stack lies in a few pages: each is
//! fetched once, and 4,000 stacks cost 4,000 times two or three reads.

use crate::dump::{Fault, PAGE_SIZE, VirtAddr};
use crate::memory::VirtualMemory;

/// Pages kept; a trace over more stacks than that reads some again.
const MAX_PAGES: usize = 16;

type Page = Result<Vec<u8>, Fault>;

/// The pages of the stacks that a trace goes over.
pub(super) struct Stack<'m> {
    memory: &'m dyn VirtualMemory,
    pages: Vec<(u64, Page)>,
}

impl<'m> Stack<'m> {
    pub(super) const fn new(memory: &'m dyn VirtualMemory) -> Stack<'m> {
        Stack { memory, pages: Vec::new() }
    }

    fn page(&mut self, number: u64) -> Option<&Page> {
        if let Some(have) = self.pages.iter().position(|(have, _)| *have == number) {
            return self.pages.get(have).map(|(_, page)| page);
        }
        if self.pages.len() >= MAX_PAGES {
            drop(self.pages.remove(0));
        }
        let len = usize::try_from(PAGE_SIZE).unwrap_or(0);
        let start = VirtAddr(number.saturating_mul(PAGE_SIZE));
        self.pages.push((number, self.memory.read_vec(start, len)));
        self.pages.last().map(|(_, page)| page)
    }

    /// Fills `buf` from `at` on.
    pub(super) fn read(&mut self, at: VirtAddr, buf: &mut [u8]) -> Result<(), Fault> {
        let start = usize::try_from(at.in_page()).unwrap_or(0);
        if let Some(Ok(page)) = self.page(at.page())
            && let Some(bytes) = page.get(start..).and_then(|rest| rest.get(..buf.len()))
        {
            buf.copy_from_slice(bytes);
            return Ok(());
        }
        // Over the end of a page, or in one that is not there as a whole.
        self.memory.read(at, buf)
    }

    pub(super) fn word(&mut self, at: VirtAddr) -> Result<u64, Fault> {
        let mut bytes = [0; 8];
        self.read(at, &mut bytes)?;
        Ok(u64::from_le_bytes(bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::FlatMemory;

    #[test]
    fn words_are_read_within_and_across_pages_and_beside_holes() {
        let mut memory = FlatMemory::new();
        memory.put(0x1000, &[7; 0x1008]).put_u64(0x1ffc, 0x1122_3344_5566_7788);
        let mut stack = Stack::new(&memory);
        assert_eq!(stack.word(VirtAddr(0x1008)), Ok(0x0707_0707_0707_0707));
        assert_eq!(stack.word(VirtAddr(0x1ffc)), Ok(0x1122_3344_5566_7788));
        // The rest of this page is missing, the word is not.
        assert_eq!(stack.word(VirtAddr(0x2000)), Ok(0x0707_0707_1122_3344));
        assert!(stack.word(VirtAddr(0x2008)).is_err());
    }
}
