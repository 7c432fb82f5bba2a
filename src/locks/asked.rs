//! What a task asked of a lock function: the argument of a call on its stack.
//!
//! The function's own frame may still hold it, in a register or on the stack; if not, the caller's
//! code says what it passed. Where neither does, or only with memory that may have changed since, the
//! debug information of the function may tell where its first parameter is.

use super::scene::Scene;
use super::stack::{Code, Stack};
use super::{Confidence, Spot, Why, api};
use crate::debuginfo::{Local, LocalPlace};
use crate::memory::VirtualMemory;
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
    argument_from(scene, code, index, 0, is)
}

/// The same of the first such frames that are not inside of frame `from`.
pub(super) fn argument_from(
    scene: &Scene<'_>,
    code: &Code<'_>,
    index: usize,
    from: usize,
    is: impl Fn(&str) -> bool,
) -> Option<Asked> {
    let functions = scene.functions(index);
    let outside = functions.get(from..)?;
    let innermost = from + outside.iter().position(|name| is(api::base_name(name)))?;
    let count =
        functions.iter().skip(innermost).take_while(|name| is(api::base_name(name))).count();
    let task = scene.tasks.get(index)?;
    let trace = scene.traces.get(index)?;
    let stack = Stack::follow(code, task, trace, scene.steps(index)?, innermost + count + 2);
    // From the outside in: inner helpers may have been given something else.
    let frames = || (innermost..innermost + count).rev();
    let by_code = frames().find_map(|frame| {
        let found = stack.concrete(frame, &Value::entry(Register::Rdi))?;
        let function = functions.get(frame)?;
        let says = format!("its frame #{frame} {function} was called with {:#x}", found.value);
        let why = Why::new(says).at(Spot::Frame { task: task.at, number: frame });
        Some(Asked { value: found.value, reread: found.reread, why })
    });
    let by_debug_information = || {
        frames().find_map(|frame| {
            let (name, value) = parameter(scene, index, frame)?;
            let function = functions.get(frame)?;
            let says =
                format!("in its frame #{frame} {function} the parameter {name} is {value:#x}");
            let why = Why::new(says).at(Spot::Frame { task: task.at, number: frame });
            Some(Asked { value, reread: false, why })
        })
    };
    surer(by_code, by_debug_information)
}

/// What the code tells, unless it read memory for it that may have changed and the debug information
/// tells too.
fn surer(
    by_code: Option<Asked>,
    by_debug_information: impl Fn() -> Option<Asked>,
) -> Option<Asked> {
    match by_code {
        Some(asked) if !asked.reread => Some(asked),
        by_code => by_debug_information().or(by_code),
    }
}

/// The first parameter of the function of a frame, where its debug information is at hand.
fn parameter(scene: &Scene<'_>, index: usize, frame: usize) -> Option<(Box<str>, u64)> {
    let session = scene.session;
    let trace = scene.traces.get(index)?;
    session.dwarf_of(trace.frames.get(frame)?.lookup_pc()).ok()?;
    let trace = session.with_saved_registers(trace.clone());
    first_parameter(session.memory(), &session.locals(&trace, frame).ok()?)
}

/// The first parameter of the outermost of the functions that variables are of: those further in are
/// part of its code.
fn first_parameter(memory: &dyn VirtualMemory, locals: &[Local]) -> Option<(Box<str>, u64)> {
    let outermost = locals.iter().map(|local| local.position).max()?;
    let first = locals.iter().find(|local| local.position == outermost && local.parameter)?;
    let value = match &first.place {
        LocalPlace::Address(at) => memory.read_u64(*at).ok()?,
        LocalPlace::Bytes(bytes) => u64::from_le_bytes(*bytes.first_chunk()?),
        LocalPlace::OptimizedOut | LocalPlace::Unreadable(_) => return None,
    };
    Some((first.name.clone(), value))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::debuginfo::TypeId;
    use crate::dump::VirtAddr;
    use crate::kernel::testing::Image;

    fn local(name: &str, parameter: bool, position: usize, place: LocalPlace) -> Local {
        let ty = TypeId { source: 0, index: 8 };
        Local { name: name.into(), ty, parameter, position, place }
    }

    #[test]
    fn the_first_parameter_is_that_of_the_function_and_not_of_those_inlined_in_it() {
        let mut memory = Image::default();
        memory.put_u64(0x1000, 0xffff_8880_0001_0000);
        let here = LocalPlace::Address(VirtAddr(0x1000));
        let locals = [
            local("owner", true, 0, LocalPlace::Bytes(vec![1; 8])),
            local("waiter", false, 1, LocalPlace::Bytes(vec![2; 8])),
            local("lock", true, 1, here),
            local("state", true, 1, LocalPlace::Bytes(vec![3; 8])),
        ];
        let found = first_parameter(&memory, &locals);
        assert_eq!(found, Some(("lock".into(), 0xffff_8880_0001_0000)));
        let lost = [local("lock", true, 0, LocalPlace::OptimizedOut), locals[3].clone()];
        assert_eq!(first_parameter(&memory, &lost[..1]), None);
        let short = [local("lock", true, 0, LocalPlace::Bytes(vec![1; 4]))];
        assert_eq!(first_parameter(&memory, &short), None);
    }

    #[test]
    fn debug_information_is_asked_where_the_code_leaves_a_doubt_or_tells_nothing() {
        let asked = |value, reread| Some(Asked { value, reread, why: Why::default() });
        let chosen = |by_code, by_debug_information: Option<Asked>| {
            surer(by_code, || by_debug_information.clone()).map(|asked| asked.value)
        };
        assert_eq!(chosen(asked(1, false), asked(2, false)), Some(1));
        assert_eq!(chosen(asked(1, true), asked(2, false)), Some(2));
        assert_eq!(chosen(asked(1, true), None), Some(1));
        assert_eq!(chosen(None, asked(2, false)), Some(2));
        assert_eq!(chosen(None, None), None);
    }

    #[test]
    fn what_was_read_from_memory_that_may_have_changed_is_only_possible() {
        let asked = |reread| Asked { value: 1, reread, why: Why::default() }.confidence();
        assert_eq!((asked(false), asked(true)), (Confidence::Likely, Confidence::Possible));
    }
}
