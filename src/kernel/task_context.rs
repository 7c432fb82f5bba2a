//! A task as the place where expressions are evaluated: its registers, the variables of a function
//! on its stack, and the CPUs.

use super::variables::FunctionContext;
use super::{Known, Session, Task};
use crate::debuginfo::TypeId;
use crate::dump::VirtAddr;
use crate::object::{Context, Scope};
use crate::unwind::{Frame, Register};

/// Where an expression about a task is evaluated.
pub struct TaskContext<'s> {
    session: &'s Session,
    task: Option<&'s Task>,
    function: Option<FunctionContext<'s>>,
}

impl<'s> TaskContext<'s> {
    /// That of this task; without one there are no registers.
    #[must_use]
    pub fn new(session: &'s Session, task: Option<&'s Task>) -> TaskContext<'s> {
        TaskContext { session, task, function: None }
    }

    /// That of a function on the task's stack, whose variables have names here: of the one with
    /// this number in [`super::stack_functions`].
    ///
    /// # Errors
    /// [`super::Unknown`] when the stack has no such frame.
    pub fn in_function(session: &'s Session, task: &'s Task, n: usize) -> Known<TaskContext<'s>> {
        let function = FunctionContext::new(session, session.trace(task), n)?;
        Ok(TaskContext { session, task: Some(task), function: Some(function) })
    }

    /// The scope to evaluate in.
    #[must_use]
    pub fn scope(&self) -> Scope<'_> {
        let session = self.session;
        let variables = self.function.as_ref().and_then(|f| f.variables.as_ref().ok());
        Scope {
            memory: variables.map_or(session.memory(), |variables| variables.memory()),
            types: session.types(),
            symbols: session.symbols(),
            context: self,
            wide: false,
        }
    }

    /// A register as the frame has it.
    fn saved(&self, register: Register, frame: Option<&Frame>) -> Result<u64, String> {
        let task = self.task.ok_or("without a current task there are no registers")?;
        let frame = frame.ok_or_else(|| format!("no frames of {}", task.label()))?;
        let known = frame.registers.get(register).or(match register {
            Register::Rip => Some(frame.pc.0),
            Register::Rsp => Some(frame.sp.0),
            _ => None,
        });
        known.ok_or_else(|| format!("{} of {} is not saved", register.name(), task.label()))
    }
}

impl Context for TaskContext<'_> {
    /// Those of the chosen frame. Without one, a running task's are its CPU's, a sleeping one's
    /// those that its first frame left on the stack.
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
        match (&self.function, self.task) {
            (Some(function), _) => {
                self.saved(register, function.trace.frames.get(function.at.frame))
            }
            (None, Some(task)) => self.saved(register, self.session.trace(task).frames.first()),
            (None, None) => self.saved(register, None),
        }
    }

    fn per_cpu_offset(&self, cpu: u32) -> Result<u64, String> {
        let cpu = self.session.cpus().get(cpu).ok_or_else(|| format!("no CPU {cpu}"))?;
        Ok(cpu.per_cpu_offset)
    }

    fn variable(&self, name: &str) -> Option<Result<(TypeId, VirtAddr), String>> {
        let function = self.function.as_ref()?;
        let variables = function.variables.as_ref().ok()?;
        let found = variables.find(function.at.function, name)?;
        let lost = |why: &String| match why.as_str() {
            "optimized out" => format!("{name} is optimized out here"),
            why => format!("{name} is not to be had: {why}"),
        };
        Some(found.at.as_ref().map(|at| (found.ty, *at)).map_err(lost))
    }

    fn in_register(&self, at: VirtAddr) -> bool {
        let variables = self.function.as_ref().and_then(|f| f.variables.as_ref().ok());
        variables.is_some_and(|variables| variables.in_registers(at))
    }
}
