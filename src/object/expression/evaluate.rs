//! The tree into its [`Outcome`]: a place in memory, a value that has none, or a text.
//!
//! As in C an array or a member stays a place until its value is wanted, so that `&`, `sizeof` and
//! `typeof` of something that cannot be read work nevertheless.

use super::number::{Integer, wrap};
use super::operate::{self, Scalar, address};
use super::parse::{Expression, Node};
use super::{Context, ExpressionError};
use crate::debuginfo::{Kind, Symbols, Tag, Type, Types};
use crate::dump::{Fault, VirtAddr};
use crate::memory::VirtualMemory;
use crate::object::{Content, Object, Value};

/// Where expressions are evaluated.
#[derive(Clone, Copy)]
pub struct Scope<'s> {
    /// The memory behind pointers.
    pub memory: &'s dyn VirtualMemory,
    /// Types for casts and variables.
    pub types: &'s Types,
    /// The addresses of variables and functions.
    pub symbols: &'s Symbols,
    /// Registers and CPUs.
    pub context: &'s dyn Context,
    /// Whether numbers are as wide as the machine's, as crash's `eval` has them, rather than C's.
    pub wide: bool,
}

/// What an expression comes to.
#[derive(Clone)]
pub enum Outcome<'s> {
    /// Something in memory.
    Place(Object<'s>),
    /// A number or pointer that was computed, in the range of its type.
    Value(Type<'s>, i128),
    /// A text that was written in the expression.
    Text(Vec<u8>),
    /// A variable or function of unknown type.
    Untyped(VirtAddr),
}

/// Memory for questions that are only about types, all zero: `sizeof *task->mm` needs no mm.
struct Zero;

impl VirtualMemory for Zero {
    fn read(&self, _: VirtAddr, buf: &mut [u8]) -> Result<(), Fault> {
        buf.fill(0);
        Ok(())
    }
}

impl Expression {
    /// Evaluates the expression.
    ///
    /// # Errors
    /// With the column of the operation that failed: a name that is not known, an operation that
    /// does not fit its operands, memory that is not there.
    pub fn evaluate<'s>(&self, scope: &Scope<'s>) -> Result<Outcome<'s>, ExpressionError> {
        let at = |message: String| ExpressionError::new(self.column, message);
        match &self.node {
            Node::Number(number, ty) => {
                let ty = if scope.wide { ty.common(Integer::Long) } else { *ty };
                scope.number(ty, i128::from(*number)).map_err(at)
            }
            Node::Char(char) => {
                // A byte by its bits: 'a' is a signed char on x86.
                let ty = scope.basic("char", 1, true).map_err(at)?;
                Ok(Outcome::Value(ty, wrap(i128::from(*char), 1, true)))
            }
            Node::Text(text) => Ok(Outcome::Text(text.clone())),
            Node::Name(name) => scope.name(name).map_err(at),
            Node::Register(name) => {
                let value = scope.context.register(name).map_err(at)?;
                scope.register(name, value).map_err(at)
            }
            Node::SizeOfType(ty) => {
                let ty = scope.find_type(ty)?;
                scope.size_of(ty).map_err(at)
            }
            Node::SizeOf(operand) => match operand.evaluate(&scope.without_memory())? {
                Outcome::Place(object) if object.is_bit_field() => {
                    Err(at("a bit-field has no size in bytes".to_owned()))
                }
                Outcome::Place(object) => scope.size_of(object.ty()).map_err(at),
                Outcome::Value(ty, _) => scope.size_of(ty).map_err(at),
                Outcome::Text(text) => {
                    let size = i128::try_from(text.len() + 1).unwrap_or(i128::MAX);
                    scope.number(Integer::UnsignedLong, size).map_err(at)
                }
                Outcome::Untyped(_) => Err(at("its type is not known".to_owned())),
            },
            Node::Cast(ty, operand) => {
                let ty = scope.find_type(ty)?;
                let operand = operand.evaluate(scope)?;
                scope.cast(ty, operand).map_err(at)
            }
            Node::Null(_) => self.offset(scope).map(Outcome::Place),
            Node::OffsetOf(member) => {
                let object = member.offset(scope)?;
                let offset = i128::from(object.at().0);
                scope.number(Integer::UnsignedLong, offset).map_err(at)
            }
            Node::ContainerOf(pointer, ty, member) => {
                let (ty, member) = (scope.find_type(ty)?, member.offset(scope)?);
                let pointer = pointer.evaluate(scope)?;
                scope.container(pointer, ty, &member).map_err(at)
            }
            Node::PerCpu(of, cpu) => {
                let (of, cpu) = (of.evaluate(scope)?, cpu.evaluate(scope)?);
                let offset = scope.per_cpu_offset(cpu).map_err(at)?;
                let moved = |at: VirtAddr| VirtAddr(at.0.wrapping_add(offset));
                match of {
                    Outcome::Place(object) => {
                        Ok(Outcome::Place(Object { at: moved(object.at), ..object }))
                    }
                    Outcome::Untyped(at) => Ok(Outcome::Untyped(moved(at))),
                    _ => Err(at("not a variable".to_owned())),
                }
            }
            Node::PerCpuPointer(of, cpu) => {
                let (of, cpu) = (of.evaluate(scope)?, cpu.evaluate(scope)?);
                let offset = scope.per_cpu_offset(cpu).map_err(at)?;
                match operate::scalar(scope, &of).map_err(at)? {
                    Scalar::Pointer(to, at_cpu) => {
                        scope.pointer(to, VirtAddr(at_cpu.0.wrapping_add(offset))).map_err(at)
                    }
                    Scalar::Number(..) => Err(at("not a pointer".to_owned())),
                }
            }
            Node::Member(of, name, arrow) => {
                let of = of.evaluate(scope)?;
                scope.member(of, name, *arrow).map_err(at)
            }
            Node::Index(of, index) => {
                let (of, index) = (of.evaluate(scope)?, index.evaluate(scope)?);
                let element = operate::binary(scope, "+", of, index).map_err(at)?;
                scope.follow(&element).map_err(at)
            }
            Node::Unary(sign, operand) => {
                let operand = operand.evaluate(scope)?;
                if let ("&", Outcome::Place(object)) = (*sign, &operand)
                    && scope.context.in_register(object.at())
                {
                    return Err(at("it is in a register and has no address".to_owned()));
                }
                operate::unary(scope, sign, operand).map_err(at)
            }
            Node::Binary(sign @ ("&&" | "||"), left, right) => {
                let left = operate::truth(scope, &left.evaluate(scope)?).map_err(at)?;
                // As in C, the right side is not looked at when the left one decides.
                let truth = if left == (*sign == "||") {
                    left
                } else {
                    operate::truth(scope, &right.evaluate(scope)?).map_err(at)?
                };
                scope.truth(truth).map_err(at)
            }
            Node::Binary(sign, left, right) => {
                let (left, right) = (left.evaluate(scope)?, right.evaluate(scope)?);
                operate::binary(scope, sign, left, right).map_err(at)
            }
            Node::Conditional(condition, yes, no) => {
                let truth = operate::truth(scope, &condition.evaluate(scope)?).map_err(at)?;
                let (chosen, other) = if truth { (yes, no) } else { (no, yes) };
                let chosen = chosen.evaluate(scope)?;
                // The other one is there for its type alone.
                match other.evaluate(&scope.without_memory()) {
                    Ok(other) => operate::converted(scope, chosen, &other).map_err(at),
                    Err(_) => Ok(chosen),
                }
            }
        }
    }

    /// The member that this is, of an object at address 0. Pointers are not followed: what is
    /// behind them is no part of the object.
    fn offset<'s>(&self, scope: &Scope<'s>) -> Result<Object<'s>, ExpressionError> {
        let at = |message: String| ExpressionError::new(self.column, message);
        match &self.node {
            Node::Member(of, name, _) => {
                let object = of.offset(scope)?.member(name).map_err(|e| at(text(e)))?;
                if object.is_bit_field() {
                    return Err(at("a bit-field has no offset in bytes".to_owned()));
                }
                Ok(object)
            }
            Node::Index(of, index) => {
                let array = of.offset(scope)?;
                let Kind::Array { of, .. } = array.ty().resolved().kind() else {
                    return Err(at(format!("{} is not an array", array.ty().name())));
                };
                let of = scope.types.get(*of);
                let Scalar::Number(_, index) =
                    operate::scalar(scope, &index.evaluate(scope)?).map_err(at)?
                else {
                    return Err(at("a pointer is no index".to_owned()));
                };
                let size = i128::from(of.size().unwrap_or(0));
                let offset = i128::from(array.at().0).wrapping_add(index.wrapping_mul(size));
                Ok(Object::new(scope.memory, of, address(offset)))
            }
            Node::Null(ty) => Ok(Object::new(scope.memory, scope.find_type(ty)?, VirtAddr(0))),
            _ => Err(at("not a member".to_owned())),
        }
    }
}

impl<'s> Scope<'s> {
    /// Parses and evaluates.
    ///
    /// # Errors
    /// As [`Expression::parse`] and [`Expression::evaluate`].
    pub fn evaluate(&self, text: &str) -> Result<Outcome<'s>, ExpressionError> {
        Expression::parse(text, &|name| self.is_type(name))?.evaluate(self)
    }

    /// The type of that name, as C writes it in a cast: `struct page *`, `pid_t`, `int [4]`.
    ///
    /// # Errors
    /// As [`Scope::evaluate`].
    pub fn type_of(&self, text: &str) -> Result<Type<'s>, ExpressionError> {
        self.find_type(&Expression::parse_type(text, &|name| self.is_type(name))?)
    }

    /// The type that an expression has, whatever is in memory; `None` where it has none.
    #[must_use]
    pub fn expression_type(&self, text: &str) -> Option<Type<'s>> {
        let scope = self.without_memory();
        self.outcome_type(&scope.evaluate(text).ok()?)
    }

    /// The type of an outcome; `None` for a text and where it is not known.
    #[must_use]
    pub fn outcome_type(&self, outcome: &Outcome<'s>) -> Option<Type<'s>> {
        match outcome {
            Outcome::Place(object) => Some(object.ty()),
            Outcome::Value(ty, _) => Some(*ty),
            Outcome::Text(_) | Outcome::Untyped(_) => None,
        }
    }

    /// The value of an outcome, read from memory if it lies there.
    ///
    /// # Errors
    /// In words, when the memory is not there or the type is not known.
    pub fn value(&self, outcome: &Outcome<'s>) -> Result<Value, String> {
        match outcome {
            Outcome::Place(object) => {
                let mut value = Value::read(object, Some(self.symbols)).map_err(text)?;
                value.at = value.at.filter(|at| !self.context.in_register(*at));
                Ok(value)
            }
            Outcome::Value(ty, number) => {
                Value::computed(*ty, *number, self.memory, Some(self.symbols))
                    .ok_or_else(|| format!("{} has no values", ty.name()))
            }
            Outcome::Text(text) => {
                let mut bytes = text.clone();
                bytes.push(0);
                let ty = format!("char [{}]", bytes.len());
                Ok(Value { ty, at: None, content: Content::Text { bytes, char: true } })
            }
            Outcome::Untyped(at) => {
                Err(format!("its type is not known: cast it, as in *(struct list_head *){at}"))
            }
        }
    }

    /// An outcome as an address: where a pointer points, where an object of no number lies, a
    /// number itself.
    ///
    /// # Errors
    /// In words, when it has none.
    pub fn address(&self, outcome: &Outcome<'s>) -> Result<VirtAddr, String> {
        match outcome {
            Outcome::Untyped(at) => Ok(*at),
            Outcome::Place(object) if object.ty().compound().is_some() => {
                match self.context.in_register(object.at()) {
                    true => Err("it is in a register and has no address".to_owned()),
                    false => Ok(object.at()),
                }
            }
            outcome => match operate::scalar(self, outcome)? {
                Scalar::Pointer(_, at) => Ok(at),
                Scalar::Number(_, number) => Ok(address(number)),
            },
        }
    }

    /// The same for questions that are only about types.
    pub(super) fn without_memory(&self) -> Scope<'s> {
        Scope { memory: &Zero, ..*self }
    }

    pub(super) fn is_type(&self, name: &str) -> bool {
        self.types.find(Tag::Typedef, name).is_ok()
            && self.symbols.address(name).is_none()
            && self.context.variable(name).is_none()
    }

    fn size_of(&self, ty: Type<'s>) -> Result<Outcome<'s>, String> {
        let size = ty.size().ok_or_else(|| format!("the size of {} is not known", ty.name()))?;
        self.number(Integer::UnsignedLong, size.into())
    }

    fn per_cpu_offset(&self, cpu: Outcome<'s>) -> Result<u64, String> {
        let Scalar::Number(_, number) = operate::scalar(self, &cpu)? else {
            return Err("a pointer is no number of a CPU".to_owned());
        };
        let cpu = u32::try_from(number).map_err(|_| format!("no CPU {number}"))?;
        self.context.per_cpu_offset(cpu)
    }

    fn cast(&self, ty: Type<'s>, operand: Outcome<'s>) -> Result<Outcome<'s>, String> {
        // As gdb has it: a variable of unknown type is one of this type.
        if let (Outcome::Untyped(at), Some(_)) = (&operand, ty.size())
            && !self.symbols.resolve(*at).is_some_and(|found| found.symbol.is_text())
        {
            return Ok(Outcome::Place(Object::new(self.memory, ty, *at)));
        }
        if let Outcome::Untyped(at) = operand {
            let to = self.void()?;
            return self.cast(ty, self.pointer(to, at)?);
        }
        let (size, signed) = match ty.resolved().kind() {
            Kind::Int { bool: true, .. } => {
                let truth = operate::truth(self, &operand)?;
                return Ok(Outcome::Value(ty, truth.into()));
            }
            Kind::Int { size, signed, .. } | Kind::Enum { size, signed, .. } => (*size, *signed),
            Kind::Pointer { .. } => (8, false),
            Kind::Struct(_) | Kind::Union(_) => match operand {
                Outcome::Place(object) if object.ty().resolved() == ty.resolved() => {
                    return Ok(Outcome::Place(Object { ty, ..object }));
                }
                _ => return Err(format!("a value cannot become a {}; a pointer can", ty.name())),
            },
            _ => return Err(format!("a value cannot become {}", ty.name())),
        };
        let number = match operate::scalar(self, &operand)? {
            Scalar::Number(_, number) => number,
            Scalar::Pointer(_, at) => at.0.into(),
        };
        Ok(Outcome::Value(ty, wrap(number, size, signed)))
    }

    fn member(&self, of: Outcome<'s>, name: &str, arrow: bool) -> Result<Outcome<'s>, String> {
        let object = match (of, arrow) {
            (Outcome::Place(object), false) if object.ty().compound().is_some() => object,
            // As gdb and crash do, `.` also follows a pointer.
            (of, _) => match self.follow(&of)? {
                Outcome::Place(object) => object,
                _ => return Err("not a struct or union".to_owned()),
            },
        };
        object.member(name).map(Outcome::Place).map_err(text)
    }

    /// What a pointer points to.
    pub(super) fn follow(&self, pointer: &Outcome<'s>) -> Result<Outcome<'s>, String> {
        if let Outcome::Untyped(_) = pointer {
            return Err("its type is not known: cast it".to_owned());
        }
        if let Outcome::Place(object) = pointer
            && object.ty().compound().is_some()
        {
            return Err(format!("{} is not a pointer", object.ty().name()));
        }
        match operate::scalar(self, pointer)? {
            Scalar::Pointer(to, _) if matches!(to.resolved().kind(), Kind::Void) => {
                Err("a pointer to void: cast it to what it points to".to_owned())
            }
            Scalar::Pointer(to, at) => Ok(Outcome::Place(Object::new(self.memory, to, at))),
            Scalar::Number(..) => {
                Err("a number: cast it, as in *(struct list_head *)0x…".to_owned())
            }
        }
    }

    /// The object whose member a pointer points to.
    fn container(
        &self,
        pointer: Outcome<'s>,
        ty: Type<'s>,
        member: &Object<'s>,
    ) -> Result<Outcome<'s>, String> {
        let at = match operate::scalar(self, &pointer)? {
            Scalar::Pointer(to, at) => {
                let (to, wanted) = (to.resolved(), member.ty().resolved());
                let free = |ty: Type<'_>| matches!(ty.kind(), Kind::Void) || ty.size() == Some(1);
                // As the kernel has it: what points to something else is a mistake.
                if !free(to) && to != wanted && to.name() != wanted.name() {
                    let (to, wanted) = (to.name(), wanted.name());
                    return Err(format!("it points to {to}, and the member is {wanted}"));
                }
                at
            }
            Scalar::Number(_, number) => address(number),
        };
        self.pointer(ty, VirtAddr(at.0.wrapping_sub(member.at().0)))
    }
}

pub(super) fn text(error: impl ToString) -> String {
    error.to_string()
}

#[cfg(test)]
#[path = "evaluate_tests.rs"]
mod tests;
