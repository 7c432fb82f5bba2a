//! A C type as its source describes it: what BTF and DWARF are both turned into.
//!
//! Types refer to each other by [`TypeId`]; nothing here follows one.

/// Which type: the source it is from, and its index there.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct TypeId {
    /// Position of the source in its [`Types`](super::Types).
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
