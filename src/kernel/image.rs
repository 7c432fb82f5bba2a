//! What the nouns are read from: the kernel's memory, types and symbols.

use super::fields::Field;
use super::{Known, Unknown};
use crate::debuginfo::{Symbols, Type, Types};
use crate::dump::VirtAddr;
use crate::memory::VirtualMemory;
use crate::object::Object;

/// The kernel in the dump, as far as it is known.
#[derive(Clone, Copy)]
pub struct Kernel<'s> {
    /// Its address space.
    pub memory: &'s dyn VirtualMemory,
    /// Its types.
    pub types: &'s Types,
    /// Its symbols.
    pub symbols: &'s Symbols,
}

impl<'s> Kernel<'s> {
    /// The address of a symbol.
    ///
    /// # Errors
    /// [`Unknown`] when the kernel has none of that name.
    pub fn symbol(&self, name: &str) -> Known<VirtAddr> {
        self.symbols
            .address(name)
            .ok_or_else(|| Unknown::because(format!("the kernel has no symbol {name}")))
    }

    /// The address of the first of several symbols that the kernel has: they were renamed.
    ///
    /// # Errors
    /// [`Unknown`] about the first name, when it has none of them.
    pub fn first_symbol(&self, names: &[&str]) -> Known<VirtAddr> {
        let found = names.iter().find_map(|name| self.symbols.address(name));
        found.map_or_else(|| self.symbol(names.first().copied().unwrap_or("")), Ok)
    }

    /// `struct NAME`.
    ///
    /// # Errors
    /// [`Unknown`] when no source of types has it.
    pub fn structure(&self, name: &str) -> Known<Type<'s>> {
        Ok(self.types.structure(name)?)
    }

    /// A member of `struct NAME`.
    ///
    /// # Errors
    /// [`Unknown`] when there is no such struct or member.
    pub fn field(&self, name: &str, path: &str) -> Known<Field> {
        Ok(Field::of(self.types.structure(name)?, path)?)
    }

    /// The `struct NAME` at `at`.
    ///
    /// # Errors
    /// [`Unknown`] when no source of types has it.
    pub fn object(&self, name: &str, at: VirtAddr) -> Known<Object<'s>> {
        Ok(Object::new(self.memory, self.structure(name)?, at))
    }

    /// The variable `symbol`, a `struct NAME`.
    ///
    /// # Errors
    /// [`Unknown`] when there is no such symbol or type.
    pub fn variable(&self, symbol: &str, name: &str) -> Known<Object<'s>> {
        self.object(name, self.symbol(symbol)?)
    }
}
