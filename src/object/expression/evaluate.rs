//! The tree into a value.

use super::parse::{Expression, Node, TypeName};
use super::{ExpressionError, parse};
use crate::debuginfo::{Kind, Symbols, Tag, Type, Types};
use crate::dump::VirtAddr;
use crate::memory::VirtualMemory;
use crate::object::{Object, Value};

/// Where expressions are evaluated.
#[derive(Clone, Copy)]
pub struct Scope<'s> {
    /// The memory behind pointers.
    pub memory: &'s dyn VirtualMemory,
    /// Types for casts and variables.
    pub types: &'s Types,
    /// The addresses of variables and functions.
    pub symbols: &'s Symbols,
}

/// What an expression comes to.
#[derive(Clone, Copy)]
pub enum Outcome<'s> {
    /// Something in memory.
    Place(Object<'s>),
    /// A pointer that was computed; `None` for one to nothing of a known type.
    Pointer(Option<Type<'s>>, VirtAddr),
    /// A number that was computed.
    Number(i128),
    /// A variable or function of unknown type.
    Untyped(VirtAddr),
}

/// Types of variables that BTF does not describe (it holds per-CPU variables only) and that people
/// ask for.
const VARIABLES: [(&str, Tag, &str); 16] = [
    ("init_task", Tag::Struct, "task_struct"),
    ("init_mm", Tag::Struct, "mm_struct"),
    ("init_pid_ns", Tag::Struct, "pid_namespace"),
    ("init_uts_ns", Tag::Struct, "uts_namespace"),
    ("init_nsproxy", Tag::Struct, "nsproxy"),
    ("init_cred", Tag::Struct, "cred"),
    ("init_net", Tag::Struct, "net"),
    ("init_user_ns", Tag::Struct, "user_namespace"),
    ("jiffies", Tag::Base, "long unsigned int"),
    ("jiffies_64", Tag::Base, "long unsigned int"),
    ("modules", Tag::Struct, "list_head"),
    ("nr_cpu_ids", Tag::Base, "unsigned int"),
    ("nr_threads", Tag::Base, "int"),
    ("panic_on_oops", Tag::Base, "int"),
    ("sysctl_hung_task_timeout_secs", Tag::Base, "long unsigned int"),
    ("system_state", Tag::Enum, "system_states"),
];

impl Expression {
    /// Evaluates the expression.
    ///
    /// # Errors
    /// With the column of the operation that failed: a name that is not known, an operation that
    /// does not fit its operands, memory that is not there.
    pub fn evaluate<'s>(&self, scope: &Scope<'s>) -> Result<Outcome<'s>, ExpressionError> {
        let at = |message: String| ExpressionError::new(self.column, message);
        match &self.node {
            Node::Number(number) => Ok(Outcome::Number(*number)),
            Node::Name(name) => scope.name(name).map_err(at),
            Node::SizeOf(ty) => {
                let (ty, pointers) = scope.find_type(ty).map_err(at)?;
                let size = if pointers > 0 { Some(8) } else { ty.and_then(Type::size) };
                size.map(|size| Outcome::Number(size.into()))
                    .ok_or_else(|| at("a type of unknown size".to_owned()))
            }
            Node::Cast(ty, operand) => {
                let operand = operand.evaluate(scope)?;
                scope.cast(ty, operand).map_err(at)
            }
            Node::Member(of, name, arrow) => {
                let of = of.evaluate(scope)?;
                scope.member(of, name, *arrow).map_err(at)
            }
            Node::Index(of, index) => {
                let (of, index) = (of.evaluate(scope)?, index.evaluate(scope)?);
                let index = number(index).map_err(at)?;
                let moved = scope.step(of, index).map_err(at)?;
                scope.follow(moved).map_err(at)
            }
            Node::Unary(sign, operand) => {
                let operand = operand.evaluate(scope)?;
                unary(scope, sign, operand).map_err(at)
            }
            Node::Binary(sign, left, right) => {
                let (left, right) = (left.evaluate(scope)?, right.evaluate(scope)?);
                binary(scope, sign, left, right).map_err(at)
            }
        }
    }
}

impl<'s> Scope<'s> {
    /// Parses and evaluates.
    ///
    /// # Errors
    /// As [`Expression::parse`] and [`Expression::evaluate`].
    pub fn evaluate(&self, text: &str) -> Result<Outcome<'s>, ExpressionError> {
        let is_type = |name: &str| {
            self.types.find(Tag::Typedef, name).is_ok() && self.symbols.address(name).is_none()
        };
        parse::Expression::parse(text, &is_type)?.evaluate(self)
    }

    /// The value of an outcome, read from memory if it lies there.
    ///
    /// # Errors
    /// In words, when the memory is not there or the type is not known.
    pub fn value(&self, outcome: Outcome<'s>) -> Result<Value, String> {
        match outcome {
            Outcome::Place(object) => Value::read(&object, Some(self.symbols)).map_err(text),
            Outcome::Pointer(to, at) => {
                let ty = to.map_or("void *".to_owned(), |to| pointer_name(to));
                Ok(Value::pointer(ty, at, Some(self.symbols)))
            }
            Outcome::Number(number) => Ok(Value::number(number)),
            Outcome::Untyped(at) => {
                Err(format!("its type is not known: cast it, as in *(struct list_head *){at}"))
            }
        }
    }

    fn name(&self, name: &str) -> Result<Outcome<'s>, String> {
        let Some(at) = self.symbols.address(name) else {
            let digits = name.chars().all(|c| c.is_ascii_hexdigit());
            let hint = if digits {
                format!("; a number in hex starts with 0x: 0x{name}")
            } else {
                String::new()
            };
            return Err(format!("no symbol {name}{hint}"));
        };
        let listed = || {
            let (_, tag, ty) = VARIABLES.into_iter().find(|(known, ..)| *known == name)?;
            self.types.find(tag, ty).ok()
        };
        let function = || self.types.function(name).ok();
        let ty = self.types.variable(name).ok().or_else(listed).or_else(function);
        Ok(match ty {
            Some(ty) => Outcome::Place(Object::new(self.memory, ty, at)),
            None => Outcome::Untyped(at),
        })
    }

    /// The named type and how many pointers stand before it; `void` has none.
    fn find_type(&self, name: &TypeName) -> Result<(Option<Type<'s>>, u32), String> {
        let TypeName { tag, name, pointers } = name;
        if tag.is_none() && name == "void" {
            return Ok((None, *pointers));
        }
        let ty = match tag {
            Some(tag) => self.types.find(*tag, name),
            None => {
                let typedef = self.types.find(Tag::Typedef, name);
                typedef.or_else(|_| self.types.find(Tag::Base, name))
            }
        };
        ty.map(|ty| (Some(ty), *pointers)).map_err(text)
    }

    fn cast(&self, name: &TypeName, operand: Outcome<'s>) -> Result<Outcome<'s>, String> {
        let (ty, pointers) = self.find_type(name)?;
        match (ty, pointers) {
            (Some(ty), 0) if ty.compound().is_some() => match operand {
                Outcome::Untyped(at) => Ok(Outcome::Place(Object::new(self.memory, ty, at))),
                _ => Err(format!("a value cannot become a {}; a pointer can", ty.name())),
            },
            (Some(ty), 0) => {
                if let Outcome::Untyped(at) = operand {
                    return Ok(Outcome::Place(Object::new(self.memory, ty, at)));
                }
                let (size, signed) = match ty.resolved().kind() {
                    Kind::Int { size, signed, .. } | Kind::Enum { size, signed, .. } => {
                        (*size, *signed)
                    }
                    Kind::Pointer { .. } => {
                        let to = ty.target();
                        return Ok(Outcome::Pointer(to, address(number(operand)?)));
                    }
                    _ => return Err(format!("a value cannot become a {}", ty.name())),
                };
                Ok(Outcome::Number(narrow(number(operand)?, size, signed)))
            }
            (None, 0) => Err("a value cannot become void".to_owned()),
            (ty, pointers) => {
                let at = match operand {
                    // Of a symbol of unknown type people mean its address.
                    Outcome::Untyped(at) => at,
                    operand => address(number(operand)?),
                };
                if pointers == 1 {
                    return Ok(Outcome::Pointer(ty, at));
                }
                // A pointer to a pointer: found among the pointers of the types, if there is one.
                Ok(Outcome::Pointer(None, at))
            }
        }
    }

    fn member(&self, of: Outcome<'s>, name: &str, arrow: bool) -> Result<Outcome<'s>, String> {
        let object = match (of, arrow) {
            (Outcome::Place(object), false) if object.ty().compound().is_some() => object,
            // As gdb and crash do, `.` also follows a pointer.
            (of, _) => match self.follow(of)? {
                Outcome::Place(object) => object,
                _ => return Err("not a struct or union".to_owned()),
            },
        };
        object.member(name).map(Outcome::Place).map_err(text)
    }

    /// What a pointer points to.
    fn follow(&self, pointer: Outcome<'s>) -> Result<Outcome<'s>, String> {
        match decay(pointer)? {
            Outcome::Pointer(Some(to), at) => Ok(Outcome::Place(Object::new(self.memory, to, at))),
            Outcome::Pointer(None, _) => {
                Err("a pointer to void: cast it to what it points to".to_owned())
            }
            Outcome::Number(_) => {
                Err("a number: cast it, as in *(struct list_head *)0x…".to_owned())
            }
            Outcome::Untyped(_) => Err("its type is not known: cast it".to_owned()),
            Outcome::Place(object) => Err(format!("{} is not a pointer", object.ty().name())),
        }
    }

    /// A pointer moved by so many elements.
    fn step(&self, pointer: Outcome<'s>, by: i128) -> Result<Outcome<'s>, String> {
        match decay(pointer)? {
            Outcome::Pointer(to, at) => {
                let size = i128::from(to.map_or(1, |to| to.size().unwrap_or(1)));
                let bytes = by.checked_mul(size).ok_or("out of range")?;
                Ok(Outcome::Pointer(to, address(i128::from(at.0).saturating_add(bytes))))
            }
            _ => Err("not an array or pointer".to_owned()),
        }
    }
}

/// The C name of a pointer to `to`.
fn pointer_name(to: Type<'_>) -> String {
    match to.kind() {
        Kind::Array { .. } | Kind::Function { .. } => to.declare("(*)"),
        _ => to.declare("*"),
    }
}

fn text(error: impl ToString) -> String {
    error.to_string()
}

/// The low 64 bits, as an address.
fn address(number: i128) -> VirtAddr {
    VirtAddr(narrow(number, 8, false).try_into().unwrap_or(u64::MAX))
}

fn narrow(number: i128, size: u64, signed: bool) -> i128 {
    let width = u32::try_from(size.saturating_mul(8)).unwrap_or(128);
    crate::object::extract(u128::from_ne_bytes(number.to_ne_bytes()), 0, width, signed)
}

/// Arrays become pointers to their first element, places with a pointer in them that pointer.
fn decay(outcome: Outcome<'_>) -> Result<Outcome<'_>, String> {
    let Outcome::Place(object) = outcome else { return Ok(outcome) };
    let ty = object.ty();
    Ok(match ty.resolved().kind() {
        Kind::Array { .. } => Outcome::Pointer(ty.target(), object.at()),
        Kind::Function { .. } => Outcome::Pointer(Some(ty), object.at()),
        Kind::Pointer { to } => {
            let to = ty.types().get(*to);
            let to = Some(to).filter(|to| !matches!(to.resolved().kind(), Kind::Void));
            Outcome::Pointer(to, object.pointer().map_err(text)?)
        }
        _ => outcome,
    })
}

/// A value as a number.
fn number(outcome: Outcome<'_>) -> Result<i128, String> {
    match decay(outcome)? {
        Outcome::Place(object) => object.integer().map_err(text),
        Outcome::Pointer(_, at) => Ok(at.0.into()),
        Outcome::Number(number) => Ok(number),
        Outcome::Untyped(_) => {
            Err("its type is not known: cast it, or take its address with &".to_owned())
        }
    }
}

fn unary<'s>(scope: &Scope<'s>, sign: &str, operand: Outcome<'s>) -> Result<Outcome<'s>, String> {
    Ok(match sign {
        "*" => return scope.follow(operand),
        "&" => match operand {
            Outcome::Place(object) if object.is_bit_field() => {
                return Err("a bit-field has no address".to_owned());
            }
            Outcome::Place(object) => Outcome::Pointer(Some(object.ty()), object.at()),
            Outcome::Untyped(at) => Outcome::Pointer(None, at),
            _ => return Err("a computed value has no address".to_owned()),
        },
        "-" => Outcome::Number(number(operand)?.saturating_neg()),
        "~" => Outcome::Number(!number(operand)?),
        "!" => Outcome::Number((number(operand)? == 0).into()),
        _ => Outcome::Number(number(operand)?),
    })
}

fn binary<'s>(
    scope: &Scope<'s>,
    sign: &str,
    left: Outcome<'s>,
    right: Outcome<'s>,
) -> Result<Outcome<'s>, String> {
    let (left, right) = (decay(left)?, decay(right)?);
    // Pointer arithmetic counts elements.
    match (sign, left, right) {
        ("+", Outcome::Pointer(..), by) => return scope.step(left, number(by)?),
        ("+", by, Outcome::Pointer(..)) => return scope.step(right, number(by)?),
        ("-", Outcome::Pointer(to, a), Outcome::Pointer(_, b)) => {
            let size = to.and_then(Type::size).filter(|size| *size > 0).unwrap_or(1);
            let bytes = i128::from(a.0) - i128::from(b.0);
            return Ok(Outcome::Number(bytes / i128::from(size)));
        }
        ("-", Outcome::Pointer(..), by) => {
            return scope.step(left, number(by)?.saturating_neg());
        }
        _ => {}
    }
    let (a, b) = (number(left)?, number(right)?);
    let shift = || u32::try_from(b).ok().filter(|b| *b < 64).ok_or("shifted out of range");
    let range = "out of range";
    let result = match sign {
        "+" => a.checked_add(b).ok_or(range)?,
        "-" => a.checked_sub(b).ok_or(range)?,
        "*" => a.checked_mul(b).ok_or(range)?,
        "/" => a.checked_div(b).ok_or("division by zero")?,
        "%" => a.checked_rem(b).ok_or("division by zero")?,
        "<<" => narrow(a, 8, a < 0) << shift()?,
        ">>" => a >> shift()?,
        "&" => a & b,
        "|" => a | b,
        "^" => a ^ b,
        "&&" => (a != 0 && b != 0).into(),
        "||" => (a != 0 || b != 0).into(),
        "==" => (a == b).into(),
        "!=" => (a != b).into(),
        "<" => (a < b).into(),
        ">" => (a > b).into(),
        "<=" => (a <= b).into(),
        _ => (a >= b).into(),
    };
    // As wide as C's widest: what does not fit is cut off.
    Ok(Outcome::Number(if i64::try_from(result).is_ok() {
        result
    } else {
        narrow(result, 8, false)
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::object::Content;
    use crate::object::testing::{World, world};

    fn value(world: &World, text: &str) -> Result<Value, String> {
        let scope = world.scope();
        let outcome = scope.evaluate(text).map_err(|e| format!("{}: {}", e.column, e.message))?;
        scope.value(outcome)
    }

    #[test]
    fn members_pointers_and_numbers_are_found() {
        let world = world();
        for (text, ty, content) in [
            ("((struct node *)0x1000)->pid", "int", Content::Int(-7, 4)),
            ("(*(struct node *)0x1000).parent->pid", "int", Content::Int(42, 4)),
            ("first.pid", "int", Content::Int(-7, 4)),
            ("((struct node *)0x1000)[1].pid", "int", Content::Int(42, 4)),
            ("((struct node *)0x1000 + 1)->pid * 2", "int", Content::Int(84, 4)),
            ("sizeof(struct node) == 64", "int", Content::Int(1, 4)),
            ("first.comm[1]", "char", Content::Char(b'a'.into())),
            ("first.high", "unsigned int", Content::Int(5, 4)),
            ("(unsigned int)-1 / 0x10", "long", Content::Int(0x0fff_ffff, 4)),
        ] {
            let found = value(&world, text).expect(text);
            let content = match content {
                Content::Int(number, _) if ty == "long" => Content::Int(number, 4),
                content => content,
            };
            assert_eq!(found.content, content, "{text}");
        }
    }

    #[test]
    fn an_address_keeps_its_type() {
        let world = world();
        let found = value(&world, "&((struct node *)0x1000)->list").unwrap();
        assert_eq!(found.ty, "struct list_head *");
        assert!(matches!(found.content, Content::Pointer { to: VirtAddr(0x1008), .. }));
    }

    #[test]
    fn a_failure_names_its_column_and_reason() {
        let world = world();
        for (text, error) in [
            ("first.nothing", "5: struct node has no member nothing"),
            ("1 + first", "2: struct node is not a number"),
            ("missing", "0: no symbol missing"),
            ("ffff8880", "0: no symbol ffff8880; a number in hex starts with 0x: 0xffff8880"),
            ("*5", "0: a number: cast it, as in *(struct list_head *)0x…"),
            ("(struct nothing *)1", "0: no type struct nothing in the debug information at hand"),
            ("first.parent->parent->parent->pid", "28: 0x28: not mapped (no pte entry)"),
            ("&first.high", "0: a bit-field has no address"),
            ("1 / 0", "2: division by zero"),
        ] {
            assert_eq!(value(&world, text).unwrap_err(), error, "{text}");
        }
    }
}
