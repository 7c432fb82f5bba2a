//! One model of C types, whether they came from BTF or from DWARF.
//!
//! A [`TypeSource`] holds the types of one compiled object (the kernel, a module) and hands out
//! [`TypeDef`]s by index, decoding each on first use. [`Types`] is all the sources of a session;
//! [`Type`] is a cheap handle (two words) to one type in it, and what the floors above work with.
//!
//! Offsets are in **bits** in [`MemberDef`] and [`Member`], because bit-fields need it; the byte
//! forms are methods. Members of anonymous structs and unions are found as C finds them: under
//! the name of the enclosing type.

mod declare;
mod definition;
mod handle;
mod source;

pub use definition::{Compound, Enumerator, Kind, MemberDef, Tag, TypeDef, TypeId};
pub use handle::{Member, Type};
pub use source::TypeSource;

use super::made::{self, Made};
use std::fmt;

/// Why a type or member could not be had. The reason behind every "–" that comes from types.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum TypeError {
    /// No source knows a type of that name.
    #[error("no type {0} in the debug information at hand")]
    NoType(String),
    /// The type has no such member (in this kernel).
    #[error("{ty} has no member {member}")]
    NoMember {
        /// The C name of the type.
        ty: String,
        /// The member or path that was asked for.
        member: String,
    },
    /// The operation does not fit the type: a member of an integer, the target of a struct.
    #[error("{ty} is not {wanted}")]
    Not {
        /// The C name of the type.
        ty: String,
        /// What was wanted, with its article: "a pointer".
        wanted: &'static str,
    },
}

/// All types of a session, from every source.
#[derive(Default)]
pub struct Types {
    sources: Vec<Box<dyn TypeSource>>,
    /// How many of them are at hand; the others open a file when they are asked.
    at_hand: usize,
    made: Made,
}

impl fmt::Debug for Types {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Types({} sources)", self.sources.len())
    }
}

impl Types {
    /// No types at all.
    #[must_use]
    pub fn new() -> Types {
        Types::default()
    }

    /// The number that the next source to be added gets: sources put it into their [`TypeId`]s.
    #[must_use]
    pub fn next_source(&self) -> u16 {
        u16::try_from(self.sources.len()).unwrap_or(u16::MAX)
    }

    /// Adds a source; earlier ones win when both know a name.
    pub fn add(&mut self, source: Box<dyn TypeSource>) {
        self.sources.push(source);
        self.at_hand = self.sources.len();
    }

    /// Adds a source that opens a file when it is asked, after all others. Only [`Types::find`] looks
    /// for types there: the program itself asks for many that a kernel may not have.
    pub fn add_file(&mut self, source: Box<dyn TypeSource>) {
        self.sources.push(source);
    }

    /// Whether no source was found.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.sources.is_empty()
    }

    fn def(&self, id: TypeId) -> Option<&TypeDef> {
        if id.source == made::SOURCE {
            return self.made.def(id.index);
        }
        self.sources.get(usize::from(id.source))?.def(id.index)
    }

    /// The handle of a type.
    #[must_use]
    pub fn get(&self, id: TypeId) -> Type<'_> {
        Type { types: self, id }
    }

    /// The type of that name.
    ///
    /// # Errors
    /// [`TypeError::NoType`].
    pub fn find(&self, tag: Tag, name: &str) -> Result<Type<'_>, TypeError> {
        self.first(|source| source.find(tag, name))
            .ok_or_else(|| TypeError::NoType(format!("{}{name}", tag.keyword())))
    }

    /// `struct NAME` of the kernel, or of a module whose types are in the dump.
    ///
    /// # Errors
    /// [`TypeError::NoType`].
    pub fn structure(&self, name: &str) -> Result<Type<'_>, TypeError> {
        self.find_at_hand(Tag::Struct, name)
            .ok_or_else(|| TypeError::NoType(format!("struct {name}")))
    }

    fn find_at_hand(&self, tag: Tag, name: &str) -> Option<Type<'_>> {
        let mut sources = self.sources.iter().take(self.at_hand);
        sources.find_map(|source| source.find(tag, name)).map(|id| self.get(id))
    }

    /// The type of a variable, where some source knows it.
    ///
    /// # Errors
    /// [`TypeError::NoType`].
    pub fn variable(&self, name: &str) -> Result<Type<'_>, TypeError> {
        self.first(|source| source.variable(name))
            .ok_or_else(|| TypeError::NoType(format!("of variable {name}")))
    }

    /// The type of a function, where some source knows it.
    ///
    /// # Errors
    /// [`TypeError::NoType`].
    pub fn function(&self, name: &str) -> Result<Type<'_>, TypeError> {
        self.first(|source| source.function(name))
            .ok_or_else(|| TypeError::NoType(format!("of function {name}")))
    }

    /// Every name in `tag`, sorted, once each.
    #[must_use]
    pub fn names(&self, tag: Tag) -> Vec<String> {
        let mut names: Vec<String> = self.sources.iter().flat_map(|s| s.names(tag)).collect();
        names.sort_unstable();
        names.dedup();
        names
    }

    /// The value of an enum by its name, with its enum.
    ///
    /// # Errors
    /// [`TypeError::NoType`].
    pub fn enumerator(&self, name: &str) -> Result<(Type<'_>, i64), TypeError> {
        let found = self.sources.iter().find_map(|source| source.enumerator(name));
        found
            .map(|(id, value)| (self.get(id), value))
            .ok_or_else(|| TypeError::NoType(format!("of the value {name}")))
    }

    /// The integer type of that name: the sources', otherwise one made here. `None` when too many
    /// types have been made.
    #[must_use]
    pub fn integer(&self, name: &str, size: u64, signed: bool) -> Option<Type<'_>> {
        let kind = Kind::Int { size, signed, char: name.ends_with("char"), bool: name == "_Bool" };
        self.find(Tag::Base, name).ok().or_else(|| self.make(Some(name), kind))
    }

    /// `void`; `None` when too many types have been made.
    #[must_use]
    pub fn void(&self) -> Option<Type<'_>> {
        self.make(None, Kind::Void)
    }

    /// A type that no source spells out, of this kind. `None` when too many have been made.
    #[must_use]
    pub fn make(&self, name: Option<&str>, kind: Kind) -> Option<Type<'_>> {
        self.made.id(TypeDef { name: name.map(Into::into), kind }).map(|id| self.get(id))
    }

    fn first(&self, ask: impl Fn(&dyn TypeSource) -> Option<TypeId>) -> Option<Type<'_>> {
        self.sources.iter().find_map(|source| ask(source.as_ref())).map(|id| self.get(id))
    }
}
