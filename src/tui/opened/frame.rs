//! A frame as a tree for the inspector: parameters and variables, registers, words of its stack.

use super::Opened;
use super::inspect::{Builder, Spot};
use crate::debuginfo::LocalPlace;
use crate::dump::{Fault, VirtAddr};
use crate::memory::VirtualMemory;
use crate::object::Object;
use crate::tui::model::{Inspection, Node, Value};
use crate::tui::source::Answer;
use crate::unwind::Trace;
use std::collections::BTreeSet;

/// Words of a frame's stack that are shown.
const MOST_WORDS: u64 = 256;

impl Builder<'_> {
    /// A frame: the parameters and variables of its functions, the registers that are known in it,
    /// and its words up to the frame that called it.
    pub(super) fn frame(mut self, task: VirtAddr, n: usize) -> Answer<Inspection> {
        let session = &self.opened.session;
        let task = self.opened.task(task)?;
        let trace = session.with_saved_registers(session.trace(task));
        self.nodes.extend(locals(self.opened, self.open, &trace, n));
        let frame = trace.frames.get(n).ok_or("the backtrace has no such frame")?;
        let symbol = session.symbolize(frame.lookup_pc());
        let name =
            symbol.map_or_else(|| frame.pc.to_string(), |found| found.symbol.name.to_owned());
        for (register, value) in frame.registers.iter() {
            let spot = Spot {
                depth: 0,
                path: register.name(),
                member_of: None,
                name: register.name(),
                offset: None,
            };
            self.word(&spot, None, value);
        }
        let next = trace.frames.get(n + 1).map(|next| next.sp).filter(|next| *next > frame.sp);
        let bytes = next.and_then(|next| next.offset_from(frame.sp)).unwrap_or(64);
        let words = (bytes / 8).min(MOST_WORDS);
        for word in 0..words {
            let at = frame.sp.plus(word * 8);
            let name = format!("{at:x}");
            let spot = Spot {
                depth: 0,
                path: &name,
                member_of: None,
                name: &name,
                offset: Some(word * 8),
            };
            match session.memory().read_u64(at) {
                Ok(value) => self.word(&spot, Some(at), value),
                Err(fault) => {
                    _ = self.push(&spot, String::new(), Some(at), Value::Fault(fault.to_string()))
                }
            }
        }
        let title = format!("frame {n} of {}: {name}", task.label());
        Ok(Inspection { title, warning: None, nodes: self.nodes })
    }

    fn word(&mut self, spot: &Spot<'_>, at: Option<VirtAddr>, value: u64) {
        let kernel = value >> 47 == 0x1_ffff;
        let place = kernel.then(|| self.opened.place_at(VirtAddr(value)));
        let value = match self.opened.named(value) {
            None if !kernel => Value::Number { value: value.into(), bits: value },
            symbol => Value::Pointer { to: VirtAddr(value), symbol },
        };
        self.push(spot, String::new(), at, value).place = place;
    }
}

/// The dump's memory, and beside it values that lie in none: each on a page of its own where no
/// address of the CPU is.
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

    /// Whether something lies there that has no address.
    fn holds(&self, at: VirtAddr) -> bool {
        self.value(at).is_some()
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

/// The parameters and variables of the functions in a frame: under a line for each function where
/// some are inlined. Nothing without debug information.
fn locals(opened: &Opened, open: &BTreeSet<String>, trace: &Trace, n: usize) -> Vec<Node> {
    let session = &opened.session;
    let locals = session.locals(trace, n).unwrap_or_default();
    let Some(frame) = trace.frames.get(n) else { return Vec::new() };
    let positions = session.positions(frame.lookup_pc());
    let mut memory = Beside { memory: session.memory(), values: Vec::new() };
    let places: Vec<Result<VirtAddr, String>> = locals
        .iter()
        .map(|local| match &local.place {
            LocalPlace::Address(at) => Ok(*at),
            LocalPlace::Bytes(bytes) => Ok(memory.put(bytes.clone())),
            LocalPlace::OptimizedOut => Err("optimized out".to_owned()),
            LocalPlace::Unreadable(why) => Err(why.clone()),
        })
        .collect();
    let mut builder = Builder::new(opened, open);
    for (number, (local, place)) in locals.iter().zip(places).enumerate() {
        let ty = session.types().get(local.ty);
        let function = positions.get(local.position).filter(|position| position.inlined);
        let function = function.and_then(|position| position.function.as_deref());
        let name = match function {
            Some(function) => format!("{function}: {}", local.name),
            None => local.name.to_string(),
        };
        // Blocks within each other may have variables of one name.
        let path = format!("local {number} {}", local.name);
        let spot = Spot { depth: 0, path: &path, member_of: None, name: &name, offset: None };
        match place {
            Ok(at) => builder.node(&Object::new(&memory, ty, at), &spot),
            Err(why) => _ = builder.push(&spot, ty.name(), None, Value::Fault(why)),
        }
    }
    let mut nodes = builder.nodes;
    for node in &mut nodes {
        node.at = node.at.filter(|at| !memory.holds(*at));
    }
    nodes
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
        assert!(memory.holds(second) && !memory.holds(VirtAddr(0x1000)));
    }
}
