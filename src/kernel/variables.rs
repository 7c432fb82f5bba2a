//! The functions on a stack, and their parameters and variables as objects.
//!
//! A frame's code may be part of several functions: those that the compiler put into others count
//! as frames of their own here, as in gdb and drgn. A variable may lie in memory or, at least now,
//! in registers only; so that both are objects alike, values without an address lie on pages
//! beside the dump's memory, where no address of the CPU is.

use super::{Known, Session, Unknown};
use crate::debuginfo::{Local, LocalPlace, Position, TypeId};
use crate::dump::{Fault, VirtAddr};
use crate::memory::VirtualMemory;
use crate::unwind::{FrameKind, Trace};

/// A function on a stack.
#[derive(Clone, PartialEq, Debug)]
pub struct StackFunction {
    /// The frame that it is part of.
    pub frame: usize,
    /// Which function of those that are there it is: the innermost inlined one is the first.
    pub function: usize,
    /// Its name, file and line, as far as there is debug information.
    pub position: Option<Position>,
}

/// The functions of a trace from the innermost on, inlined ones included.
#[must_use]
pub fn stack_functions(session: &Session, trace: &Trace) -> Vec<StackFunction> {
    let mut functions = Vec::new();
    for (number, frame) in trace.frames.iter().enumerate() {
        let positions = match frame.kind {
            FrameKind::User => None,
            _ => Some(session.positions(frame.lookup_pc())),
        };
        let positions = positions.as_deref().unwrap_or_default();
        let known = positions.iter().enumerate().map(|(function, position)| StackFunction {
            frame: number,
            function,
            position: Some(position.clone()),
        });
        functions.extend(known);
        // The frame itself counts, whatever is known of it.
        if positions.last().is_none_or(|last| last.inlined) {
            let function = positions.len();
            functions.push(StackFunction { frame: number, function, position: None });
        }
    }
    functions
}

/// The parameters and variables of the functions in a frame.
pub struct Variables<'s> {
    memory: Beside<'s>,
    all: Vec<Variable>,
}

/// One of them.
#[derive(Clone, PartialEq, Debug)]
pub struct Variable {
    /// Its name, scrubbed.
    pub name: Box<str>,
    /// Its type.
    pub ty: TypeId,
    /// Which function of the frame it belongs to.
    pub function: usize,
    /// Where it lies in [`Variables::memory`], or why it is not to be had.
    pub at: Result<VirtAddr, String>,
}

impl<'s> Variables<'s> {
    /// Those of a frame of a trace, which must have its saved registers.
    ///
    /// # Errors
    /// [`Unknown`] without debug information, and when there is no such frame.
    pub fn of_frame(session: &'s Session, trace: &Trace, frame: usize) -> Known<Variables<'s>> {
        let mut memory = Beside { memory: session.memory(), values: Vec::new() };
        let locals = session.locals(trace, frame)?;
        let variable = |local: Local| Variable {
            name: local.name,
            ty: local.ty,
            function: local.position,
            at: match local.place {
                LocalPlace::Address(at) => Ok(at),
                LocalPlace::Bytes(bytes) => Ok(memory.put(bytes)),
                LocalPlace::OptimizedOut => Err("optimized out".to_owned()),
                LocalPlace::Unreadable(why) => Err(why),
            },
        };
        let all = locals.into_iter().map(variable).collect();
        Ok(Variables { memory, all })
    }

    /// All of them, the innermost function's first and in each the outermost block's.
    pub fn iter(&self) -> impl Iterator<Item = &Variable> {
        self.all.iter()
    }

    /// The one that a name stands for in a function: of blocks within each other the innermost's.
    #[must_use]
    pub fn find(&self, function: usize, name: &str) -> Option<&Variable> {
        let its = |variable: &&Variable| variable.function == function && *variable.name == *name;
        self.all.iter().rev().find(its)
    }

    /// The dump's memory and, beside it, the values without an address.
    #[must_use]
    pub fn memory(&self) -> &dyn VirtualMemory {
        &self.memory
    }

    /// Whether what lies there has no address: it is in registers.
    #[must_use]
    pub fn in_registers(&self, at: VirtAddr) -> bool {
        self.memory.value(at).is_some()
    }
}

/// The dump's memory, and beside it values that lie in none.
struct Beside<'m> {
    memory: &'m dyn VirtualMemory,
    values: Vec<Vec<u8>>,
}

impl Beside<'_> {
    /// Above what five levels of page tables reach, below the kernel.
    const START: u64 = 0x4000_0000_0000_0000;
    const STEP: u64 = 1 << 32;

    fn put(&mut self, bytes: Vec<u8>) -> VirtAddr {
        let number = u64::try_from(self.values.len()).unwrap_or(0);
        self.values.push(bytes);
        VirtAddr(Self::START + number * Self::STEP)
    }

    /// The rest of the value from there on.
    fn value(&self, at: VirtAddr) -> Option<&[u8]> {
        let offset = at.0.checked_sub(Self::START)?;
        let bytes = self.values.get(usize::try_from(offset / Self::STEP).ok()?)?;
        bytes.get(usize::try_from(offset % Self::STEP).ok()?..)
    }
}

impl VirtualMemory for Beside<'_> {
    fn read(&self, at: VirtAddr, buf: &mut [u8]) -> Result<(), Fault> {
        match self.value(at).and_then(|bytes| bytes.get(..buf.len())) {
            Some(bytes) => {
                buf.copy_from_slice(bytes);
                Ok(())
            }
            None => self.memory.read(at, buf),
        }
    }
}

/// A function of a task's stack as the place where names are looked up.
pub(super) struct FunctionContext<'s> {
    pub(super) variables: Known<Variables<'s>>,
    pub(super) trace: Trace,
    pub(super) at: StackFunction,
}

impl<'s> FunctionContext<'s> {
    /// That of a number, inlined functions counted.
    pub(super) fn new(session: &'s Session, trace: Trace, n: usize) -> Known<FunctionContext<'s>> {
        let trace = session.with_saved_registers(trace);
        let functions = stack_functions(session, &trace);
        let missing = || match functions.len() {
            0 => Unknown::because("the stack has no frames"),
            count => Unknown::because(format!(
                "no frame {n}: the stack has 0 to {}, inlined functions counted",
                count - 1
            )),
        };
        let at = functions.get(n).cloned().ok_or_else(missing)?;
        let variables = Variables::of_frame(session, &trace, at.frame);
        Ok(FunctionContext { variables, trace, at })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::FlatMemory;

    #[test]
    fn values_without_a_place_are_read_beside_the_memory() {
        let mut dump = FlatMemory::new();
        dump.put_u64(0x1000, 7);
        let mut memory = Beside { memory: &dump, values: Vec::new() };
        memory.put(vec![1, 2, 3, 4]);
        let second = memory.put(9_u64.to_le_bytes().to_vec());
        let all: &dyn VirtualMemory = &memory;
        assert_eq!(all.read_u64(second), Ok(9));
        assert_eq!(all.read_u64(VirtAddr(0x1000)), Ok(7));
        // Not into what lies after it.
        assert!(all.read_u64(second.plus(1)).is_err());
        assert!(memory.value(second).is_some() && memory.value(VirtAddr(0x1000)).is_none());
    }

    #[test]
    fn the_innermost_block_of_the_function_itself_says_what_a_name_stands_for() {
        let dump = FlatMemory::new();
        let variable = |name: &str, function, at| Variable {
            name: name.into(),
            ty: TypeId { source: 0, index: 0 },
            function,
            at: Ok(VirtAddr(at)),
        };
        let all = vec![variable("lock", 0, 1), variable("lock", 1, 2), variable("lock", 1, 3)];
        let variables = Variables { memory: Beside { memory: &dump, values: Vec::new() }, all };
        let at = |function| variables.find(function, "lock").and_then(|v| v.at.clone().ok());
        assert_eq!((at(0), at(1), at(2)), (Some(VirtAddr(1)), Some(VirtAddr(3)), None));
    }
}
