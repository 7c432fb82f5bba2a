//! How we know: the pieces of evidence that a claim rests on, each with the place to look at.
//!
//! A reason is a sentence made of pieces, so that a screen can open each of them and a report can
//! print the whole; the words are put together here and nowhere else. `its frame #2 hu_write+594`
//! leads to the frame, `called down_read at hu_write+469 with this lock` to the call, and `and has
//! not released it on any path since` to no one place.

use crate::dump::VirtAddr;
use std::fmt;

/// What a piece of evidence can be seen at.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Spot {
    /// A frame of a task's backtrace, with its registers and stack words.
    Frame {
        /// The `task_struct`.
        task: VirtAddr,
        /// 0 is the innermost; inline frames are not counted.
        number: usize,
    },
    /// An instruction.
    Code(VirtAddr),
    /// A value of a C type: a waiter on a stack.
    Object {
        /// `rwsem_waiter`
        ty: &'static str,
        /// Where it lies.
        at: VirtAddr,
    },
    /// A member of the lock that the claim is about.
    Member(VirtAddr),
    /// A word of memory.
    Word(VirtAddr),
    /// A register in a frame of a task's backtrace.
    Register {
        /// The `task_struct`.
        task: VirtAddr,
        /// The frame's number, as in [`Spot::Frame`].
        number: usize,
        /// Its name: `RBX`.
        name: &'static str,
    },
    /// A message of the kernel's log, by its number among the records.
    Log(usize),
}

/// One piece.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Evidence {
    /// What it says: part of a sentence.
    pub says: String,
    /// Where to look, if it is at one place.
    pub spot: Option<Spot>,
    /// Whether it says something of its own, rather than going on with the piece before it.
    pub begins: bool,
}

/// How a claim is known: pieces that make up a sentence.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Why(Vec<Evidence>);

impl Why {
    /// A reason that begins with these words.
    #[must_use]
    pub fn new(says: impl Into<String>) -> Why {
        // With room for one: most have no more, and there are many.
        Why(vec![Evidence { says: says.into(), spot: None, begins: true }])
    }

    /// The last words can be checked there.
    #[must_use]
    pub fn at(mut self, spot: Spot) -> Why {
        if let Some(last) = self.0.last_mut() {
            last.spot = Some(spot);
        }
        self
    }

    /// Goes on in the same sentence.
    #[must_use]
    pub fn and(mut self, says: impl Into<String>) -> Why {
        self.0.push(Evidence { says: says.into(), spot: None, begins: false });
        self
    }

    /// Says something else.
    #[must_use]
    pub fn then(mut self, says: impl Into<String>) -> Why {
        self.0.push(Evidence { says: says.into(), spot: None, begins: true });
        self
    }

    /// Says what another reason says too.
    #[must_use]
    pub fn join(mut self, other: Why) -> Why {
        self.0.extend(other.0);
        self
    }

    /// The pieces, in their order.
    #[must_use]
    pub fn evidence(&self) -> &[Evidence] {
        &self.0
    }
}

impl From<String> for Why {
    fn from(says: String) -> Why {
        Why::new(says)
    }
}

impl From<&str> for Why {
    fn from(says: &str) -> Why {
        Why::new(says)
    }
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, piece) in self.0.iter().enumerate() {
            f.write_str(match (number, piece.begins) {
                (0, _) => "",
                (_, true) => "; ",
                (_, false) => " ",
            })?;
            f.write_str(&piece.says)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_make_a_sentence_and_keep_their_places() {
        let frame = Spot::Frame { task: VirtAddr(0x1000), number: 2 };
        let call = Spot::Code(VirtAddr(0x2000));
        let why = Why::new("its frame #2 f+7")
            .at(frame.clone())
            .and("called down_read at f+2")
            .at(call.clone())
            .join(Why::new("owner is this task"));
        assert_eq!(why.to_string(), "its frame #2 f+7 called down_read at f+2; owner is this task");
        let spots: Vec<_> = why.evidence().iter().map(|piece| piece.spot.clone()).collect();
        assert_eq!(spots, [Some(frame), Some(call), None]);
        assert_eq!(Why::default().to_string(), "");
    }
}
