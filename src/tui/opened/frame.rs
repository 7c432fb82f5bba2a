//! A frame as a tree for the inspector: parameters and variables, registers, words of its stack.

use super::Opened;
use super::inspect::{Builder, Spot};
use crate::dump::VirtAddr;
use crate::kernel::Variables;
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
            self.word(&Spot::top(register.name(), register.name()), None, value);
        }
        let next = trace.frames.get(n + 1).map(|next| next.sp).filter(|next| *next > frame.sp);
        let bytes = next.and_then(|next| next.offset_from(frame.sp)).unwrap_or(64);
        let words = (bytes / 8).min(MOST_WORDS);
        for word in 0..words {
            let at = frame.sp.plus(word * 8);
            let name = format!("{at:x}");
            let mut spot = Spot::top(&name, &name);
            spot.offset = Some(word * 8);
            match session.memory().read_u64(at) {
                Ok(value) => self.word(&spot, Some(at), value),
                Err(fault) => {
                    let value = Value::Fault(fault.to_string());
                    self.nodes.push(spot.node(String::new(), Some(at), value));
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
        self.nodes.push(Node { place, ..spot.node(String::new(), at, value) });
    }
}

/// The parameters and variables of the functions in a frame: under a line for each function where
/// some are inlined. Without debug information one line that says what to install.
fn locals(opened: &Opened, open: &BTreeSet<String>, trace: &Trace, n: usize) -> Vec<Node> {
    let session = &opened.session;
    let Some(frame) = trace.frames.get(n) else { return Vec::new() };
    let variables = match Variables::of_frame(session, trace, n) {
        Ok(variables) => variables,
        Err(why) => {
            let spot = Spot::top("variables", "variables");
            return vec![spot.node(String::new(), None, Value::Fault(why.to_string()))];
        }
    };
    let positions = session.positions(frame.lookup_pc());
    let mut builder = Builder::new(opened, open);
    for (number, variable) in variables.iter().enumerate() {
        let ty = session.types().get(variable.ty);
        let function = positions.get(variable.function).filter(|position| position.inlined);
        let function = function.and_then(|position| position.function.as_deref());
        let name = match function {
            Some(function) => format!("{function}: {}", variable.name),
            None => variable.name.to_string(),
        };
        // Blocks within each other may have variables of one name.
        let path = format!("local {number} {}", variable.name);
        let spot = Spot::top(&path, &name);
        match &variable.at {
            Ok(at) => builder.node(&Object::new(variables.memory(), ty, *at), &spot),
            Err(why) => builder.nodes.push(spot.node(ty.name(), None, Value::Fault(why.clone()))),
        }
    }
    let mut nodes = builder.nodes;
    for node in &mut nodes {
        node.at = node.at.filter(|at| !variables.in_registers(*at));
    }
    nodes
}
