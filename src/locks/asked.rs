//! What a task asked of a lock function: the argument of a call on its stack.
//!
//! The function's own frame may still hold it, in a register or on the stack; if not, the caller's
//! code says what it passed.

use super::scene::Scene;
use super::stack::{Code, Stack};
use super::{Confidence, Spot, Why, api};
use crate::unwind::Register;
use crate::unwind::flow::Value;

/// The first argument of a call.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Asked {
    pub(super) value: u64,
    /// Whether memory was read for it that may have changed since.
    reread: bool,
    /// How we know.
    pub(super) why: Why,
}

impl Asked {
    /// How sure the claim is that the task waits for this: nothing but its own code says so.
    pub(super) fn confidence(&self) -> Confidence {
        if self.reread { Confidence::Possible } else { Confidence::Likely }
    }
}

/// The first argument of the outermost of the neighbouring frames whose functions `is` names.
pub(super) fn argument(
    scene: &Scene<'_>,
    code: &Code<'_>,
    index: usize,
    is: impl Fn(&str) -> bool,
) -> Option<Asked> {
    let functions = scene.functions(index);
    let innermost = functions.iter().position(|name| is(api::base_name(name)))?;
    let count =
        functions.iter().skip(innermost).take_while(|name| is(api::base_name(name))).count();
    let task = scene.tasks.get(index)?;
    let stack = Stack::follow(code, task.at, scene.traces.get(index)?, innermost + count + 2);
    // From the outside in: inner helpers may have been given something else.
    (innermost..innermost + count).rev().find_map(|frame| {
        let found = stack.concrete(frame, &Value::entry(Register::Rdi))?;
        let function = functions.get(frame)?;
        let says = format!("its frame #{frame} {function} was called with {:#x}", found.value);
        let why = Why::new(says).at(Spot::Frame { task: task.at, number: frame });
        Some(Asked { value: found.value, reread: found.reread, why })
    })
}
