//! Operators on what was evaluated.

use super::evaluate::{Outcome, Scope, text};
use super::number::{self, Integer, wrap};
use crate::debuginfo::{Kind, Type};
use crate::dump::VirtAddr;
use crate::object::Object;

/// The most objects that `@` puts in a row.
const MAX_ROW: i128 = 1 << 20;

/// A value that C computes with.
#[derive(Clone, Copy)]
pub(super) enum Scalar<'s> {
    /// A number, promoted.
    Number(Integer, i128),
    /// A pointer to this type.
    Pointer(Type<'s>, VirtAddr),
}

/// The low 64 bits, as an address.
pub(super) fn address(number: i128) -> VirtAddr {
    VirtAddr(wrap(number, 8, false).try_into().unwrap_or(u64::MAX))
}

/// What C makes of a value before it computes: arrays become pointers to their first element, small
/// integers `int`. A struct around one number (`atomic_t`, `kuid_t`) is taken for that number.
pub(super) fn scalar<'s>(scope: &Scope<'s>, outcome: &Outcome<'s>) -> Result<Scalar<'s>, String> {
    match outcome {
        Outcome::Value(ty, number) => match ty.target() {
            Some(to) => Ok(Scalar::Pointer(to, address(*number))),
            None => promoted(*ty, None, *number),
        },
        Outcome::Place(object) => of_place(object),
        Outcome::Text(_) => Err("a text has no address in the dump".to_owned()),
        Outcome::Untyped(at) => {
            let function = scope.symbols.resolve(*at).is_some_and(|found| found.symbol.is_text());
            if function {
                return Ok(Scalar::Pointer(scope.void()?, *at));
            }
            Err("its type is not known: cast it, or take its address with &".to_owned())
        }
    }
}

fn of_place<'s>(object: &Object<'s>) -> Result<Scalar<'s>, String> {
    let mut object = *object;
    let whole = object;
    // Bounded by the size of the type: each step goes into a part of the whole.
    for _ in 0..64 {
        let ty = object.ty().resolved();
        match ty.kind() {
            Kind::Array { of, .. } => return Ok(Scalar::Pointer(ty.types().get(*of), object.at())),
            Kind::Function { .. } => return Ok(Scalar::Pointer(object.ty(), object.at())),
            Kind::Pointer { to } => {
                let at = object.pointer().map_err(text)?;
                return Ok(Scalar::Pointer(ty.types().get(*to), at));
            }
            Kind::Int { .. } | Kind::Enum { .. } => {
                let number = object.integer().map_err(text)?;
                return promoted(ty, object.bits.map(|(_, width)| width), number);
            }
            _ => {}
        }
        let mut members = ty.members();
        let (Some((_, only)), None) = (members.next(), members.next()) else { break };
        let bits =
            only.bit_size.map(|size| (u32::try_from(only.bit_offset % 8).unwrap_or(0), size));
        object = Object { ty: only.ty, at: object.at.plus(only.offset()), bits, ..object };
    }
    Err(format!("{} is not a number", whole.ty().name()))
}

fn promoted<'s>(ty: Type<'s>, width: Option<u32>, number: i128) -> Result<Scalar<'s>, String> {
    let resolved = ty.resolved();
    let (size, signed) = match resolved.kind() {
        Kind::Int { size, signed, .. } | Kind::Enum { size, signed, .. } => (*size, *signed),
        _ => return Err(format!("{} is not a number", ty.name())),
    };
    let long_long = resolved.def().name.as_deref().is_some_and(|name| name.contains("long long"));
    let promoted = Integer::promoted(size, signed, long_long, width);
    let promoted = promoted.ok_or_else(|| format!("{} is too wide to compute with", ty.name()))?;
    Ok(Scalar::Number(promoted, promoted.wrap(number)))
}

/// Whether a value counts as true.
pub(super) fn truth<'s>(scope: &Scope<'s>, outcome: &Outcome<'s>) -> Result<bool, String> {
    Ok(match scalar(scope, outcome)? {
        Scalar::Number(_, number) => number != 0,
        Scalar::Pointer(_, at) => !at.is_null(),
    })
}

pub(super) fn unary<'s>(
    scope: &Scope<'s>,
    sign: &str,
    operand: Outcome<'s>,
) -> Result<Outcome<'s>, String> {
    match sign {
        "*" => return scope.follow(&operand),
        "!" => return scope.truth(!truth(scope, &operand)?),
        "&" => {
            return match operand {
                Outcome::Place(object) if object.is_bit_field() => {
                    Err("a bit-field has no address".to_owned())
                }
                Outcome::Place(object) => scope.pointer(object.ty(), object.at()),
                Outcome::Untyped(at) => scope.pointer(scope.void()?, at),
                Outcome::Text(_) => Err("a text has no address in the dump".to_owned()),
                Outcome::Value(..) => Err("a computed value has no address".to_owned()),
            };
        }
        _ => {}
    }
    let Scalar::Number(ty, value) = scalar(scope, &operand)? else {
        return Err(format!("{sign} does not fit a pointer"));
    };
    let value = match sign {
        "-" => value.wrapping_neg(),
        "~" => !value,
        _ => value,
    };
    scope.number(ty, ty.wrap(value))
}

pub(super) fn binary<'s>(
    scope: &Scope<'s>,
    sign: &str,
    left: Outcome<'s>,
    right: Outcome<'s>,
) -> Result<Outcome<'s>, String> {
    if sign == "@" {
        return row(scope, left, &right);
    }
    let (left, right) = (scalar(scope, &left)?, scalar(scope, &right)?);
    match (sign, left, right) {
        // Pointer arithmetic counts elements.
        ("+", Scalar::Pointer(to, at), Scalar::Number(_, by))
        | ("+", Scalar::Number(_, by), Scalar::Pointer(to, at)) => step(scope, to, at, by),
        ("-", Scalar::Pointer(to, at), Scalar::Number(_, by)) => {
            step(scope, to, at, by.wrapping_neg())
        }
        ("-", Scalar::Pointer(to, a), Scalar::Pointer(other, b)) => {
            let size = element_size(to)?;
            if size != element_size(other)? {
                let (a, b) = (to.name(), other.name());
                return Err(format!(
                    "between a pointer to {a} and one to {b} there is no distance"
                ));
            }
            let bytes = wrap(i128::from(a.0) - i128::from(b.0), 8, true);
            scope.number(Integer::Long, bytes / size)
        }
        ("<<" | ">>", Scalar::Number(ty, a), Scalar::Number(_, by)) => {
            scope.number(ty, ty.shift(sign == "<<", a, by)?)
        }
        // Of pointers, that is of addresses, bits may be asked for, and which comes first.
        (_, left, right) => {
            let ((a_type, a), (b_type, b)) = (plain(left), plain(right));
            let ty = a_type.common(b_type);
            match ty.compute(sign, ty.wrap(a), ty.wrap(b))? {
                number::Outcome::Number(value) => scope.number(ty, value),
                number::Outcome::Truth(truth) => scope.truth(truth),
            }
        }
    }
}

/// A value as a number, a pointer as its address.
fn plain(scalar: Scalar<'_>) -> (Integer, i128) {
    match scalar {
        Scalar::Number(ty, number) => (ty, number),
        Scalar::Pointer(_, at) => (Integer::UnsignedLong, at.0.into()),
    }
}

/// The bytes from one element to the next; as gcc has it, 1 for `void` and functions.
fn element_size(to: Type<'_>) -> Result<i128, String> {
    match to.resolved().kind() {
        Kind::Void | Kind::Function { .. } => Ok(1),
        _ => match to.size() {
            Some(size) if size > 0 => Ok(size.into()),
            _ => Err(format!("the size of {} is not known", to.name())),
        },
    }
}

fn step<'s>(
    scope: &Scope<'s>,
    to: Type<'s>,
    at: VirtAddr,
    by: i128,
) -> Result<Outcome<'s>, String> {
    // What is no array has one element, also where its size is not known.
    let size = if by == 0 { 1 } else { element_size(to)? };
    scope.pointer(to, address(i128::from(at.0).wrapping_add(by.wrapping_mul(size))))
}

/// `object@count`: so many objects from this one on.
fn row<'s>(
    scope: &Scope<'s>,
    first: Outcome<'s>,
    count: &Outcome<'s>,
) -> Result<Outcome<'s>, String> {
    let Outcome::Place(object) = first else {
        return Err("only what lies in memory has something behind it".to_owned());
    };
    let Scalar::Number(_, count) = scalar(scope, count)? else {
        return Err("a pointer is no count".to_owned());
    };
    let count = Some(count).filter(|count| (1..=MAX_ROW).contains(count));
    let count = count.and_then(|count| u64::try_from(count).ok());
    let count = count.ok_or_else(|| format!("the count has to be from 1 to {MAX_ROW}"))?;
    let ty = object.ty().array(count).ok_or("too many types have been built")?;
    Ok(Outcome::Place(Object::new(scope.memory, ty, object.at())))
}

/// `chosen` of `condition ? … : …`, in the type that both branches have together.
pub(super) fn converted<'s>(
    scope: &Scope<'s>,
    chosen: Outcome<'s>,
    other: &Outcome<'s>,
) -> Result<Outcome<'s>, String> {
    // Structs, and what has no value, stay what they are.
    let (Ok(ours), Ok(theirs)) = (scalar(scope, &chosen), scalar(scope, other)) else {
        return Ok(chosen);
    };
    match (ours, theirs) {
        (Scalar::Number(a, value), Scalar::Number(b, _)) => {
            // Two values of the same enum stay that.
            let types = (scope.outcome_type(&chosen), scope.outcome_type(other));
            if let (Some(a), Some(b)) = types
                && a == b
                && matches!(a.resolved().kind(), Kind::Enum { .. })
            {
                return Ok(chosen);
            }
            let ty = a.common(b);
            scope.number(ty, ty.wrap(value))
        }
        (Scalar::Number(_, 0), Scalar::Pointer(to, _)) => scope.pointer(to, VirtAddr(0)),
        (Scalar::Pointer(to, at), _) => scope.pointer(to, at),
        (Scalar::Number(..), Scalar::Pointer(..)) => Ok(chosen),
    }
}
