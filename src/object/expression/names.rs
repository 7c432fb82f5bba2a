//! What names stand for: symbols, the values of enums, types.

use super::ExpressionError;
use super::evaluate::{Outcome, Scope, text};
use super::number::Integer;
use super::parse::Expression;
use super::type_name::{Base, Layer, TypeName};
use crate::debuginfo::{Kind, Tag, Type};
use crate::dump::VirtAddr;
use crate::object::Object;

/// Types of variables that BTF does not describe (it holds per-CPU variables only) and that people
/// ask for, as the kernel declares them.
const VARIABLES: [(&str, &str); 42] = [
    ("cgroup_mutex", "struct mutex"),
    ("console_sem", "struct semaphore"),
    ("cpu_hotplug_lock", "struct percpu_rw_semaphore"),
    ("event_mutex", "struct mutex"),
    ("high_memory", "void *"),
    ("init_cred", "struct cred"),
    ("init_files", "struct files_struct"),
    ("init_fs", "struct fs_struct"),
    ("init_mm", "struct mm_struct"),
    ("init_net", "struct net"),
    ("init_nsproxy", "struct nsproxy"),
    ("init_pid_ns", "struct pid_namespace"),
    ("init_sighand", "struct sighand_struct"),
    ("init_signals", "struct signal_struct"),
    ("init_task", "struct task_struct"),
    ("init_user_ns", "struct user_namespace"),
    ("init_uts_ns", "struct uts_namespace"),
    ("jiffies", "unsigned long"),
    ("jiffies_64", "unsigned long"),
    ("linux_banner", "char []"),
    ("log_buf", "char *"),
    ("module_mutex", "struct mutex"),
    ("modules", "struct list_head"),
    ("namespace_sem", "struct rw_semaphore"),
    ("net_namespace_list", "struct list_head"),
    ("nr_cpu_ids", "unsigned int"),
    ("nr_threads", "int"),
    ("panic_on_oops", "int"),
    ("panic_on_warn", "int"),
    ("panic_timeout", "int"),
    ("pernet_ops_rwsem", "struct rw_semaphore"),
    ("prb", "struct printk_ringbuffer *"),
    ("root_task_group", "struct task_group"),
    ("rtnl_mutex", "struct mutex"),
    ("saved_command_line", "char *"),
    ("slab_caches", "struct list_head"),
    ("slab_mutex", "struct mutex"),
    ("super_blocks", "struct list_head"),
    ("sysctl_hung_task_timeout_secs", "unsigned long"),
    ("system_state", "enum system_states"),
    ("tasklist_lock", "rwlock_t"),
    ("text_mutex", "struct mutex"),
];

/// Why no more types can be built.
const TOO_MANY: &str = "too many types have been built";

impl<'s> Scope<'s> {
    /// A variable of the function that is looked at, a symbol, typed where its type is known, or
    /// the value of an enum.
    pub(super) fn name(&self, name: &str) -> Result<Outcome<'s>, String> {
        if let Some(variable) = self.context.variable(name) {
            let (ty, at) = variable?;
            return Ok(Outcome::Place(Object::new(self.memory, self.types.get(ty), at)));
        }
        let Some(at) = self.symbols.address(name) else {
            if let Ok((ty, value)) = self.types.enumerator(name) {
                return Ok(Outcome::Value(ty, value.into()));
            }
            let digits = name.chars().all(|c| c.is_ascii_hexdigit());
            let hint = if digits {
                format!("; a number in hex starts with 0x: 0x{name}")
            } else {
                String::new()
            };
            return Err(format!("no symbol {name}{hint}"));
        };
        Ok(match self.variable_type(name) {
            Some(ty) => Outcome::Place(Object::new(self.memory, ty, at)),
            None => Outcome::Untyped(at),
        })
    }

    /// The type of a variable or function, from the debug information or from the list above.
    #[must_use]
    pub fn variable_type(&self, name: &str) -> Option<Type<'s>> {
        let listed = || {
            let at = VARIABLES.binary_search_by_key(&name, |(name, _)| name).ok()?;
            self.type_of(VARIABLES.get(at)?.1).ok()
        };
        let function = || self.types.function(name).ok();
        self.types.variable(name).ok().or_else(listed).or_else(function)
    }

    /// The type that a name in a cast stands for.
    pub(super) fn find_type(&self, name: &TypeName) -> Result<Type<'s>, ExpressionError> {
        let failed = |message: String| ExpressionError::new(name.column, message);
        let mut ty = match &name.base {
            Base::Void => self.void().map_err(failed)?,
            Base::Same(ty) => self.find_type(ty)?,
            Base::TypeOf(of) => self.type_of_expression(of)?,
            Base::Named(tag, name) => self.named_type(*tag, name).map_err(failed)?,
        };
        for layer in &name.layers {
            let layered = match layer {
                Layer::Pointer => ty.pointer(),
                Layer::Array(count) => ty.array(*count),
                Layer::Function { parameters, variadic } => {
                    let mut list = Vec::new();
                    for parameter in parameters {
                        list.push((None, self.find_type(parameter)?.id()));
                    }
                    let (returns, variadic) = (ty.id(), *variadic);
                    self.types.make(None, Kind::Function { returns, parameters: list, variadic })
                }
            };
            ty = layered.ok_or_else(|| failed(TOO_MANY.to_owned()))?;
        }
        Ok(ty)
    }

    fn type_of_expression(&self, of: &Expression) -> Result<Type<'s>, ExpressionError> {
        let outcome = of.evaluate(&self.without_memory())?;
        let unknown = || ExpressionError::new(of.column, "its type is not known");
        self.outcome_type(&outcome).ok_or_else(unknown)
    }

    fn named_type(&self, tag: Option<Tag>, name: &str) -> Result<Type<'s>, String> {
        match tag {
            Some(Tag::Base) => {
                let (size, signed) = match name {
                    "char" | "signed char" => (1, true),
                    "unsigned char" | "_Bool" => (1, false),
                    "short int" => (2, true),
                    "short unsigned int" => (2, false),
                    "int" => (4, true),
                    "unsigned int" => (4, false),
                    "long int" | "long long int" => (8, true),
                    "long unsigned int" | "long long unsigned int" => (8, false),
                    _ => return self.types.find(Tag::Base, name).map_err(text),
                };
                self.basic(name, size, signed)
            }
            Some(tag) => self.types.find(tag, name).map_err(text),
            None => {
                let typedef = self.types.find(Tag::Typedef, name);
                typedef.or_else(|_| self.types.find(Tag::Base, name)).map_err(text)
            }
        }
    }

    /// A basic type by the name that debug information gives it.
    pub(super) fn basic(&self, name: &str, size: u64, signed: bool) -> Result<Type<'s>, String> {
        self.types.integer(name, size, signed).ok_or_else(|| TOO_MANY.to_owned())
    }

    pub(super) fn void(&self) -> Result<Type<'s>, String> {
        self.types.void().ok_or_else(|| TOO_MANY.to_owned())
    }

    /// A number that was computed in this type.
    pub(super) fn number(&self, ty: Integer, number: i128) -> Result<Outcome<'s>, String> {
        Ok(Outcome::Value(self.basic(ty.name(), ty.size(), ty.signed())?, number))
    }

    pub(super) fn truth(&self, truth: bool) -> Result<Outcome<'s>, String> {
        self.number(Integer::Int, truth.into())
    }

    /// The value of a register, in the type that gdb gives it.
    pub(super) fn register(&self, name: &str, value: u64) -> Result<Outcome<'s>, String> {
        match name {
            "rip" | "pc" => {
                let (returns, parameters) = (self.void()?.id(), Vec::new());
                let code = Kind::Function { returns, parameters, variadic: false };
                let code = self.types.make(None, code).ok_or(TOO_MANY)?;
                self.pointer(code, VirtAddr(value))
            }
            "rsp" | "sp" | "rbp" | "fp" => self.pointer(self.void()?, VirtAddr(value)),
            _ => self.number(Integer::Long, value.cast_signed().into()),
        }
    }

    /// A pointer that was computed.
    pub(super) fn pointer(&self, to: Type<'s>, at: VirtAddr) -> Result<Outcome<'s>, String> {
        let ty = to.pointer().ok_or_else(|| TOO_MANY.to_owned())?;
        Ok(Outcome::Value(ty, at.0.into()))
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_list_of_variables_is_in_order() {
        assert!(super::VARIABLES.is_sorted_by_key(|(name, _)| name));
    }
}
