//! Parameters and variables of frames, as plain data and as lines.

use super::{Line, Link, Radix, value_lines};
use crate::debuginfo::{Local, LocalPlace};
use crate::kernel::{Known, Session};
use crate::object::{Content, Object, Value};
use crate::unwind::Trace;

/// A parameter or variable of a function in a frame.
#[derive(Clone, PartialEq, Debug)]
pub struct LocalRow {
    /// Its name, scrubbed.
    pub name: Box<str>,
    /// Its C type.
    pub ty: String,
    /// Whether the function was given it.
    pub parameter: bool,
    /// Whose it is, among the positions of the frame.
    pub position: usize,
    /// Its value.
    pub value: LocalValue,
}

/// The value of a parameter or variable.
#[derive(Clone, PartialEq, Debug)]
pub enum LocalValue {
    /// It, with its place if it lies in memory.
    Known(Value),
    /// The compiler keeps it nowhere here.
    OptimizedOut,
    /// It is somewhere, but not to be had; why.
    Unreadable(String),
}

impl LocalRow {
    /// Those of a frame of a trace, which must have its saved registers.
    ///
    /// # Errors
    /// [`crate::kernel::Unknown`] without debug information.
    pub fn of_frame(session: &Session, trace: &Trace, frame: usize) -> Known<Vec<LocalRow>> {
        let locals = session.locals(trace, frame)?;
        Ok(locals.into_iter().map(|local| LocalRow::new(session, local)).collect())
    }

    fn new(session: &Session, local: Local) -> LocalRow {
        let ty = session.types().get(local.ty);
        let symbols = Some(session.symbols());
        let known = |value: Result<Value, String>| match value {
            Ok(value) => LocalValue::Known(value),
            Err(reason) => LocalValue::Unreadable(reason),
        };
        let value = match local.place {
            LocalPlace::Address(at) => {
                let value = Value::read(&Object::new(session.memory(), ty, at), symbols);
                known(value.map_err(|error| error.to_string()))
            }
            LocalPlace::Bytes(bytes) => {
                let value = Value::of_bytes(ty, &bytes, session.memory(), symbols);
                known(value.map_err(|error| error.to_string()))
            }
            LocalPlace::OptimizedOut => LocalValue::OptimizedOut,
            LocalPlace::Unreadable(reason) => LocalValue::Unreadable(reason),
        };
        let Local { name, parameter, position, .. } = local;
        LocalRow { name, ty: ty.name(), parameter, position, value }
    }

    /// It as gdb prints it: `lock = (struct mutex *) 0xffff888000001000`.
    #[must_use]
    pub fn lines(&self, indent: &str) -> Vec<Line> {
        let before = format!("{indent}{} = ", self.name);
        match &self.value {
            LocalValue::OptimizedOut => vec![format!("{before}<optimized out>").into()],
            LocalValue::Unreadable(reason) => vec![format!("{before}<{reason}>").into()],
            // As a whole it would hide the other lines: its place is where it can be looked at.
            LocalValue::Known(Value {
                ty,
                at: Some(at),
                content: Content::Members(_) | Content::Array(_),
            }) => {
                let text = format!("{before}{ty} at {at}");
                vec![Line::to(Link::Object(ty.clone(), *at), text)]
            }
            LocalValue::Known(value) => value_lines(&before, value, Radix::Decimal),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dump::VirtAddr;

    fn text(value: LocalValue) -> String {
        let (name, ty) = ("it".into(), "struct mutex".to_owned());
        let row = LocalRow { name, ty, parameter: false, position: 0, value };
        let lines: Vec<String> = row.lines("  ").into_iter().map(|line| line.text).collect();
        lines.join("\n")
    }

    #[test]
    fn what_is_lost_is_told_from_what_cannot_be_read() {
        assert_eq!(text(LocalValue::OptimizedOut), "  it = <optimized out>");
        let lost = LocalValue::Unreadable("register rbx is not known in this frame".to_owned());
        assert_eq!(text(lost), "  it = <register rbx is not known in this frame>");
    }

    #[test]
    fn a_struct_in_memory_says_where_it_is_and_a_number_what_it_is() {
        let at = Some(VirtAddr(0xffff_8880_0000_1000));
        let value = |ty: &str, at, content| LocalValue::Known(Value { ty: ty.into(), at, content });
        let whole = value("struct mutex", at, Content::Members(Vec::new()));
        assert_eq!(text(whole), "  it = struct mutex at 0xffff888000001000");
        assert_eq!(text(value("int", None, Content::Int(-3, 4))), "  it = -3");
    }
}
