//! A task as the place where expressions are evaluated: its registers, and the CPUs.

use super::{Session, Task};
use crate::object::{Context, Scope};
use crate::unwind::Register;

/// Where an expression about a task is evaluated.
pub struct TaskContext<'s> {
    session: &'s Session,
    task: Option<&'s Task>,
}

impl<'s> TaskContext<'s> {
    /// That of this task; without one there are no registers.
    #[must_use]
    pub fn new(session: &'s Session, task: Option<&'s Task>) -> TaskContext<'s> {
        TaskContext { session, task }
    }

    /// The scope to evaluate in.
    #[must_use]
    pub fn scope(&self) -> Scope<'_> {
        let session = self.session;
        Scope {
            memory: session.memory(),
            types: session.types(),
            symbols: session.symbols(),
            context: self,
            wide: false,
        }
    }
}

impl Context for TaskContext<'_> {
    /// A running task's are its CPU's, a sleeping one's those that its first frame left on the stack.
    fn register(&self, name: &str) -> Result<u64, String> {
        let name = match name {
            "pc" => "rip",
            "sp" => "rsp",
            "fp" => "rbp",
            "eflags" => "rflags",
            name => name,
        };
        let register = Register::ALL
            .into_iter()
            .find(|register| register.name().eq_ignore_ascii_case(name))
            .ok_or_else(|| format!("no register {name}"))?;
        let task = self.task.ok_or("without a current task there are no registers")?;
        let trace = self.session.trace(task);
        let frame = trace.frames.first().ok_or_else(|| format!("no frames of {}", task.label()))?;
        let known = frame.registers.get(register).or(match register {
            Register::Rip => Some(frame.pc.0),
            Register::Rsp => Some(frame.sp.0),
            _ => None,
        });
        known.ok_or_else(|| format!("{} of {} is not saved", register.name(), task.label()))
    }

    fn per_cpu_offset(&self, cpu: u32) -> Result<u64, String> {
        let cpu = self.session.cpus().get(cpu).ok_or_else(|| format!("no CPU {cpu}"))?;
        Ok(cpu.per_cpu_offset)
    }
}
