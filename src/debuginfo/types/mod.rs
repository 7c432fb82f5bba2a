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
mod handle;

pub use handle::{Member, Type};

use super::made::{self, Made};
use std::fmt;
use std::sync::Arc;

/// Which type: the source it is from, and its index there.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct TypeId {
    /// Position of the source in its [`Types`].
    pub source: u16,
    /// Index inside the source; what it counts is the source's own affair.
    pub index: u32,
}

/// The name spaces that C has for type names.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Tag {
    /// `struct NAME`
    Struct,
    /// `union NAME`
    Union,
    /// `enum NAME`
    Enum,
    /// A name from `typedef`
    Typedef,
    /// A basic type: `int`, `char`, `long unsigned int`, `float` …
    Base,
}

/// A member of a struct or union as its source describes it.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct MemberDef {
    /// `None` for an anonymous struct or union.
    pub name: Option<Box<str>>,
    /// Its type.
    pub ty: TypeId,
    /// From the start of the enclosing struct, in bits.
    pub bit_offset: u64,
    /// For a bit-field its width; otherwise `None`.
    pub bit_size: Option<u32>,
}

/// The body of a struct or union.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Compound {
    /// `sizeof`, in bytes.
    pub size: u64,
    /// In the order of their declaration.
    pub members: Vec<MemberDef>,
}

/// A named value of an enum.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Enumerator {
    /// Its name.
    pub name: Box<str>,
    /// Its value; an unsigned 64-bit one is stored by its bits.
    pub value: i64,
}

/// What kind of type it is, and what belongs to that kind.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Kind {
    /// `void`
    Void,
    /// An integer. `char` and `bool` are integers that print differently.
    Int {
        /// `sizeof`, in bytes.
        size: u64,
        /// Whether it is signed.
        signed: bool,
        /// Whether it holds characters.
        char: bool,
        /// Whether it is `_Bool`.
        bool: bool,
    },
    /// `float`, `double`
    Float {
        /// `sizeof`, in bytes.
        size: u64,
    },
    /// A pointer; 8 bytes.
    Pointer {
        /// What it points to.
        to: TypeId,
    },
    /// An array.
    Array {
        /// The type of its elements.
        of: TypeId,
        /// How many; 0 for a flexible array member.
        count: u64,
    },
    /// `struct`
    Struct(Compound),
    /// `union`
    Union(Compound),
    /// `enum`
    Enum {
        /// `sizeof`, in bytes.
        size: u64,
        /// Whether its values are signed.
        signed: bool,
        /// Its values in order of declaration.
        values: Vec<Enumerator>,
    },
    /// A name for another type.
    Typedef {
        /// What it names.
        to: TypeId,
    },
    /// `const`, `volatile`, `restrict`, `__attribute__((btf_type_tag))`: transparent here.
    Qualified {
        /// The keyword, "" for a tag.
        keyword: &'static str,
        /// What is qualified.
        to: TypeId,
    },
    /// A function's type.
    Function {
        /// What it returns.
        returns: TypeId,
        /// Names and types of its parameters.
        parameters: Vec<(Option<Box<str>>, TypeId)>,
        /// Whether it ends in `...`.
        variadic: bool,
    },
    /// A struct or union that is declared and not defined here.
    Forward {
        /// `union` rather than `struct`.
        union: bool,
    },
}

/// A type as its source describes it.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct TypeDef {
    /// `None` where it is anonymous or the kind has no name.
    pub name: Option<Box<str>>,
    /// All the rest.
    pub kind: Kind,
}

/// The types of one compiled object. Implementations decode lazily and remember.
pub trait TypeSource: Send + Sync {
    /// The definition of type `index`, or `None` when there is no such type or it is damaged.
    fn def(&self, index: u32) -> Option<&TypeDef>;

    /// The type of that name. Definitions win over declarations.
    fn find(&self, tag: Tag, name: &str) -> Option<TypeId>;

    /// The type of a variable, where the source knows it (`.data..percpu` in BTF, all in DWARF).
    fn variable(&self, name: &str) -> Option<TypeId>;

    /// The type ([`Kind::Function`]) of a function.
    fn function(&self, name: &str) -> Option<TypeId>;

    /// Every name in `tag`, in no particular order, for completion and search.
    fn names(&self, tag: Tag) -> Vec<String>;

    /// The enum (also one without a name) that has a value of that name, and the value.
    fn enumerator(&self, name: &str) -> Option<(TypeId, i64)> {
        self.names(Tag::Enum).into_iter().find_map(|of| {
            let id = self.find(Tag::Enum, &of)?;
            let Kind::Enum { values, .. } = &self.def(id.index)?.kind else { return None };
            let found = values.iter().find(|value| *value.name == *name)?;
            Some((id, found.value))
        })
    }
}

impl<S: TypeSource + ?Sized> TypeSource for Arc<S> {
    fn def(&self, index: u32) -> Option<&TypeDef> {
        (**self).def(index)
    }

    fn find(&self, tag: Tag, name: &str) -> Option<TypeId> {
        (**self).find(tag, name)
    }

    fn variable(&self, name: &str) -> Option<TypeId> {
        (**self).variable(name)
    }

    fn function(&self, name: &str) -> Option<TypeId> {
        (**self).function(name)
    }

    fn names(&self, tag: Tag) -> Vec<String> {
        (**self).names(tag)
    }

    fn enumerator(&self, name: &str) -> Option<(TypeId, i64)> {
        (**self).enumerator(name)
    }
}

/// A source that may be missing: it knows nothing then.
impl<S: TypeSource> TypeSource for Option<S> {
    fn def(&self, index: u32) -> Option<&TypeDef> {
        self.as_ref()?.def(index)
    }

    fn find(&self, tag: Tag, name: &str) -> Option<TypeId> {
        self.as_ref()?.find(tag, name)
    }

    fn variable(&self, name: &str) -> Option<TypeId> {
        self.as_ref()?.variable(name)
    }

    fn function(&self, name: &str) -> Option<TypeId> {
        self.as_ref()?.function(name)
    }

    fn names(&self, tag: Tag) -> Vec<String> {
        self.as_ref().map(|source| source.names(tag)).unwrap_or_default()
    }
}

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

impl Tag {
    /// The keyword with its space, as it stands before the name in C.
    #[must_use]
    pub const fn keyword(self) -> &'static str {
        match self {
            Tag::Struct => "struct ",
            Tag::Union => "union ",
            Tag::Enum => "enum ",
            Tag::Typedef | Tag::Base => "",
        }
    }
}
