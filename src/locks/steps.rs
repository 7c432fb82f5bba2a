//! What the code of a stack's frames says, whatever the task.
//!
//! Very many tasks sleep at the same calls in the same functions. What their code says there is put
//! together once for all of them, frame by frame as it is asked for; of each task only the figures
//! are left to be found.

use super::api;
use super::stack::{Code, Jump};
use crate::dump::VirtAddr;
use crate::unwind::flow::{Passage, Value};
use crate::unwind::{Frame, Trace};
use std::sync::{Arc, OnceLock};

/// One frame's.
pub(super) struct Step {
    passage: OnceLock<Option<Arc<Passage>>>,
    /// The functions that jumped to its function, the last first.
    pub(super) jumps: Arc<[Jump]>,
    /// The calls through pointers that lie on the way to it, with the pointers.
    pub(super) pointers: Arc<[(u64, Value)]>,
    /// Where its function begins.
    pub(super) entry: Option<VirtAddr>,
    /// Where the call is that it is in.
    pub(super) pending: Option<u64>,
    /// The function that this call names.
    pub(super) called: Option<VirtAddr>,
    /// Whether its function switches tasks.
    pub(super) switches: bool,
}

impl Step {
    fn of(code: &Code<'_>, trace: &Trace, index: usize) -> Option<Step> {
        let frame = trace.frames.get(index)?;
        let lookup = frame.lookup_pc();
        let function = code.function(lookup);
        let entry = code.entry(lookup);
        let outer = trace.frames.get(index.checked_add(1)?);
        Some(Step {
            passage: OnceLock::new(),
            jumps: outer.map_or_else(|| Arc::from([]), |outer| code.jumps(frame, outer)),
            pointers: code.pointers(frame),
            entry,
            pending: code.call_before(frame),
            called: function.and_then(|function| function.call_before(frame.pc)),
            switches: api::is_switching(code.name(entry.unwrap_or(lookup))),
        })
    }

    /// What is known at it.
    pub(super) fn passage(&self, code: &Code<'_>, frame: &Frame) -> Option<&Arc<Passage>> {
        self.passage.get_or_init(|| code.passage(frame)).as_ref()
    }
}

/// Those of all frames, innermost first.
pub(super) struct Steps(Box<[OnceLock<Option<Step>>]>);

impl Steps {
    /// Of a stack with so many frames.
    pub(super) fn new(frames: usize) -> Steps {
        Steps((0..frames).map(|_| OnceLock::new()).collect())
    }

    /// Of one frame of a trace, which must be at the same places as any other that this is asked for.
    pub(super) fn get(&self, code: &Code<'_>, trace: &Trace, index: usize) -> Option<&Step> {
        self.0.get(index)?.get_or_init(|| Step::of(code, trace, index)).as_ref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::locks::testing::Stage;

    #[test]
    fn a_frame_is_looked_at_once_and_its_function_is_known_with_what_it_calls() {
        let mut stage = Stage::new();
        let task = stage.enter("chain-7", &["schedule", "msleep", "vfs_read"]);
        let code = Code::new(&stage.session);
        let symbol = |name: &str| stage.session.symbols().address(name).unwrap();
        let sleeps = code.function(symbol("msleep")).unwrap();
        let call = sleeps.calls().next().unwrap();
        // Behind that call.
        let after = (1..64).map(|offset| symbol("msleep").plus(offset));
        let frame = &mut stage.traces[task].frames[1];
        frame.pc = after.into_iter().find(|pc| sleeps.call_before(*pc) == Some(call)).unwrap();
        let pending = sleeps.instruction_before(frame.pc);
        let (trace, steps) = (&stage.traces[task], Steps::new(3));
        let step = |index| steps.get(&code, trace, index).unwrap();
        assert_eq!([0, 1].map(|index| step(index).switches), [true, false]);
        assert_eq!(step(1).entry, Some(symbol("msleep")));
        assert_eq!((step(1).called, step(1).pending), (Some(call), pending));
        assert!(pending.is_some());
        assert!(std::ptr::eq(step(1), step(1)));
        assert!(steps.get(&code, trace, 3).is_none());
    }
}
