//! What a function writes through the pointers that it is given.
//!
//! A caller that lends a struct on its stack to a function (`begin(&context)`, `get(&object)`) goes
//! on with what that left there. Only what is certain to lie within the struct is told: stores at
//! fixed distances from an argument. A pointer that the function itself hands on, or keeps, is lent:
//! then anything may have been written there.

use super::state::State;
use super::value::{Base, Value};
use crate::unwind::Register;
use std::collections::{BTreeMap, BTreeSet};

/// More places than this behind one function's arguments are not told apart.
const PLACES: usize = 24;

/// What was written behind the arguments of a function.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Writes {
    /// By the register that held the pointer and the distance from it.
    places: BTreeMap<(Register, i64), Written>,
    /// The registers whose pointers went to others, who may have written anything.
    lent: BTreeSet<Register>,
}

/// What was written to one place.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Written {
    size: i64,
    /// `None` where it is not known, or was not written on every path.
    value: Option<Value>,
}

/// The register that held the pointer from which an address is counted, and the distance.
fn place(at: &Value) -> Option<(Register, i64)> {
    match at.base {
        Base::Entry(register) if register != Register::Rsp => Some((register, at.offset)),
        _ => None,
    }
}

impl Writes {
    /// `size` bytes were written to `at`; `value` if they are eight that have a name.
    pub(super) fn write(&mut self, at: &Value, size: i64, value: Option<Value>) {
        let Some((register, offset)) = place(at) else { return };
        for ((other, from), written) in &mut self.places {
            let apart =
                offset.saturating_add(size) <= *from || from.saturating_add(written.size) <= offset;
            if *other == register && !apart {
                written.value = None;
            }
        }
        let known = self.places.get(&(register, offset)).map_or(0, |known| known.size);
        let written = Written { size: size.max(known), value };
        self.places.insert((register, offset), written);
        if self.places.len() > PLACES {
            self.places.remove(&(register, offset));
            self.lend(at);
        }
    }

    /// Somebody else got this pointer, or one into the same thing.
    pub(super) fn lend(&mut self, pointer: &Value) {
        if let Some((register, _)) = place(pointer) {
            self.lent.insert(register);
        }
    }

    /// Whether everything that was written behind the pointer in `register` is known.
    pub(super) fn tells_of(&self, register: Register) -> bool {
        !self.lent.contains(&register)
    }

    /// What was written behind the pointer in `register`: the distance, the size and what it is.
    pub(super) fn behind(
        &self,
        register: Register,
    ) -> impl Iterator<Item = (i64, i64, Option<&Value>)> {
        let of = self.places.range((register, i64::MIN)..=(register, i64::MAX));
        of.map(|((_, offset), written)| (*offset, written.size, written.value.as_ref()))
    }

    /// What was written to a place, if that is known.
    pub(super) fn value_at(&self, at: &Value) -> Option<&Value> {
        self.places.get(&place(at)?)?.value.as_ref()
    }

    /// Where something was written that is counted from the same as `value`: the address, and how far
    /// `value` is from what is there.
    pub(super) fn place_of(&self, value: &Value) -> Option<(Value, i64)> {
        self.places.iter().find_map(|((register, offset), written)| {
            let there = written.value.as_ref().filter(|there| there.base == value.base)?;
            let distance = value.offset.wrapping_sub(there.offset);
            Some((Value::entry(*register).plus(*offset), distance))
        })
    }

    /// The same for somebody who knows of values only what `keep` leaves.
    pub(super) fn keep(&mut self, keep: impl Fn(&Value) -> bool) {
        for written in self.places.values_mut() {
            written.value = written.value.take().filter(&keep);
        }
    }

    /// Every value by another name, or none.
    pub(super) fn rename(&mut self, name: impl Fn(Value) -> Option<Value>) {
        for written in self.places.values_mut() {
            written.value = written.value.take().and_then(&name);
        }
    }

    /// What is known where two paths meet; `common` names what is one thing under two names.
    pub(super) fn join(
        &self,
        other: &Writes,
        common: impl Fn(&Value, &Value) -> Option<Value>,
    ) -> Writes {
        let mut places = BTreeMap::new();
        for key in self.places.keys().chain(other.places.keys()) {
            let (a, b) = (self.places.get(key), other.places.get(key));
            let size = a.into_iter().chain(b).map(|written| written.size).max().unwrap_or(0);
            let values = a.zip(b).and_then(|(a, b)| a.value.as_ref().zip(b.value.as_ref()));
            let value = values.and_then(|(a, b)| common(a, b));
            places.insert(*key, Written { size, value });
        }
        Writes { places, lent: self.lent.union(&other.lent).copied().collect() }
    }

    /// A function that writes this is called with what `before` says in its registers: what this one
    /// has written by that.
    pub(super) fn add_called(&mut self, called: &Writes, register: Register, before: &State) {
        let Some(pointer) = before.register(register).cloned() else { return };
        if !called.tells_of(register) {
            self.lend(&pointer);
            return;
        }
        for (offset, size, value) in called.behind(register) {
            let value = value.and_then(|value| before.translate(value));
            self.write(&pointer.plus(offset), size, value);
        }
    }
}
