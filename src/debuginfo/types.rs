//! One model of C types, whether they came from BTF or from DWARF.
//!
//! A [`TypeSource`] holds the types of one compiled object (the kernel, a module) and hands out
//! [`TypeDef`]s by index, decoding each on first use. [`Types`] is all the sources of a session;
//! [`Type`] is a cheap handle (two words) to one type in it, and what the floors above work with.
//!
//! Offsets are in **bits** in [`MemberDef`] and [`Member`], because bit-fields need it; the byte
//! forms are methods. Members of anonymous structs and unions are found as C finds them: under
//! the name of the enclosing type.

use super::made::{self, Made};
use std::fmt;
use std::sync::Arc;

/// Nesting of typedefs, qualifiers or anonymous members that is still followed. Deeper nesting
/// only occurs in damaged debug information.
const MAX_DEPTH: u32 = 64;
/// How many types one question may look at. Types that contain themselves twice would double the
/// work at every level of nesting.
const MAX_VISITS: u32 = 4096;

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

/// A handle to one type.
#[derive(Clone, Copy)]
pub struct Type<'t> {
    types: &'t Types,
    id: TypeId,
}

/// A member, with its offset in the struct that it was asked of.
#[derive(Clone, Copy, Debug)]
pub struct Member<'t> {
    /// Its type.
    pub ty: Type<'t>,
    /// From the start of the struct that was asked, in bits.
    pub bit_offset: u64,
    /// For a bit-field its width.
    pub bit_size: Option<u32>,
}

impl Member<'_> {
    /// From the start of the struct, in whole bytes.
    #[must_use]
    pub const fn offset(&self) -> u64 {
        self.bit_offset / 8
    }
}

impl PartialEq for Type<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.id == other.id && std::ptr::eq(self.types, other.types)
    }
}
impl Eq for Type<'_> {}

impl fmt::Debug for Type<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Type({})", self.name())
    }
}

impl<'t> Type<'t> {
    /// Which type it is.
    #[must_use]
    pub const fn id(self) -> TypeId {
        self.id
    }

    /// The types that it belongs to.
    #[must_use]
    pub const fn types(self) -> &'t Types {
        self.types
    }

    /// Its definition; `void` where the debug information is damaged.
    #[must_use]
    pub fn def(self) -> &'t TypeDef {
        static VOID: TypeDef = TypeDef { name: None, kind: Kind::Void };
        self.types.def(self.id).unwrap_or(&VOID)
    }

    /// The kind as declared, typedefs and qualifiers included.
    #[must_use]
    pub fn kind(self) -> &'t Kind {
        &self.def().kind
    }

    /// The type behind typedefs and qualifiers.
    #[must_use]
    pub fn resolved(self) -> Type<'t> {
        let mut ty = self;
        for _ in 0..MAX_DEPTH {
            match ty.kind() {
                Kind::Typedef { to } | Kind::Qualified { to, .. } => ty = self.types.get(*to),
                // A declaration stands for its definition in another source, if there is one.
                Kind::Forward { union } => {
                    let tag = if *union { Tag::Union } else { Tag::Struct };
                    let Some(name) = ty.def().name.as_deref() else { return ty };
                    // Its own source knows best, and may be one that is not asked otherwise.
                    let own = self.types.sources.get(usize::from(ty.id.source));
                    let own = own.and_then(|own| own.find(tag, name)).filter(|id| *id != ty.id);
                    let own = own.map(|id| self.types.get(id)).filter(|own| !own.is_declared());
                    match own.or_else(|| self.types.find_at_hand(tag, name)) {
                        Some(defined) if defined != ty => ty = defined,
                        _ => return ty,
                    }
                }
                _ => return ty,
            }
        }
        ty
    }

    /// Whether it is only declared here.
    fn is_declared(self) -> bool {
        matches!(self.kind(), Kind::Forward { .. })
    }

    /// `sizeof`, in bytes; `None` for void, functions and declarations.
    #[must_use]
    pub fn size(self) -> Option<u64> {
        self.size_within(MAX_DEPTH)
    }

    fn size_within(self, depth: u32) -> Option<u64> {
        match self.resolved().kind() {
            Kind::Int { size, .. } | Kind::Float { size } | Kind::Enum { size, .. } => Some(*size),
            Kind::Pointer { .. } => Some(8),
            Kind::Struct(body) | Kind::Union(body) => Some(body.size),
            Kind::Array { of, count } => {
                let element = self.types.get(*of).size_within(depth.checked_sub(1)?)?;
                element.checked_mul(*count)
            }
            _ => None,
        }
    }

    /// What a pointer points to, or what an array holds.
    #[must_use]
    pub fn target(self) -> Option<Type<'t>> {
        match self.resolved().kind() {
            Kind::Pointer { to } | Kind::Array { of: to, .. } => Some(self.types.get(*to)),
            _ => None,
        }
    }

    /// The type of a pointer to it; `None` when too many types have been made.
    #[must_use]
    pub fn pointer(self) -> Option<Type<'t>> {
        self.types.make(None, Kind::Pointer { to: self.id })
    }

    /// The type of so many of it in a row; `None` when too many types have been made.
    #[must_use]
    pub fn array(self, count: u64) -> Option<Type<'t>> {
        self.types.make(None, Kind::Array { of: self.id, count })
    }

    /// The body of a struct or union.
    #[must_use]
    pub fn compound(self) -> Option<&'t Compound> {
        match self.resolved().kind() {
            Kind::Struct(body) | Kind::Union(body) => Some(body),
            _ => None,
        }
    }

    /// The direct members with their types, anonymous ones included, in order.
    pub fn members(self) -> impl Iterator<Item = (Option<&'t str>, Member<'t>)> {
        self.compound().into_iter().flat_map(|body| &body.members).map(move |member| {
            (
                member.name.as_deref(),
                Member {
                    ty: self.types.get(member.ty),
                    bit_offset: member.bit_offset,
                    bit_size: member.bit_size,
                },
            )
        })
    }

    /// The member at a path like `thread.sp` or `wait_list.next`; those of anonymous structs and
    /// unions are found too. An element of an array is `name[3]`.
    ///
    /// # Errors
    /// [`TypeError::NoMember`] with the whole path, [`TypeError::Not`] when it is no struct.
    pub fn member(self, path: &str) -> Result<Member<'t>, TypeError> {
        let missing = || TypeError::NoMember { ty: self.name(), member: path.to_owned() };
        let mut at = Member { ty: self, bit_offset: 0, bit_size: None };
        for step in path.split('.') {
            let (name, index) = match step.split_once('[') {
                Some((name, rest)) => {
                    let index = rest.strip_suffix(']').and_then(|n| n.parse::<u64>().ok());
                    (name, Some(index.ok_or_else(missing)?))
                }
                None => (step, None),
            };
            if at.ty.compound().is_none() {
                return Err(TypeError::Not { ty: at.ty.name(), wanted: "a struct or union" });
            }
            let found = at.ty.direct(name, MAX_DEPTH, &mut { MAX_VISITS }).ok_or_else(missing)?;
            at = Member { bit_offset: at.bit_offset.saturating_add(found.bit_offset), ..found };
            if let Some(index) = index {
                let element = at.ty.target().ok_or_else(missing)?;
                let bits = element.size().unwrap_or(0).saturating_mul(8).saturating_mul(index);
                at = Member {
                    ty: element,
                    bit_offset: at.bit_offset.saturating_add(bits),
                    bit_size: None,
                };
            }
        }
        Ok(at)
    }

    fn direct(self, name: &str, depth: u32, visits: &mut u32) -> Option<Member<'t>> {
        let depth = depth.checked_sub(1)?;
        *visits = visits.checked_sub(1)?;
        self.members().find_map(|(its_name, member)| match its_name {
            Some(its_name) => (its_name == name).then_some(member),
            None => member.ty.direct(name, depth, visits).map(|inner| Member {
                bit_offset: inner.bit_offset.saturating_add(member.bit_offset),
                ..inner
            }),
        })
    }

    /// The offset of [`Type::member`], in bytes.
    ///
    /// # Errors
    /// As [`Type::member`].
    pub fn offset_of(self, path: &str) -> Result<u64, TypeError> {
        self.member(path).map(|member| member.offset())
    }

    /// Whether there is such a member.
    #[must_use]
    pub fn has(self, path: &str) -> bool {
        self.member(path).is_ok()
    }

    /// The name of an enum's value.
    #[must_use]
    pub fn enumerator(self, value: i64) -> Option<&'t str> {
        match self.resolved().kind() {
            Kind::Enum { values, .. } => {
                values.iter().find(|named| named.value == value).map(|named| &*named.name)
            }
            _ => None,
        }
    }

    /// Its C name: `struct task_struct *`, `unsigned long [4]`, `atomic_t`.
    #[must_use]
    pub fn name(self) -> String {
        self.declare("")
    }

    /// A C declaration of `what` with this type: `int (*fn)(void *)`, `char comm[16]`.
    #[must_use]
    pub fn declare(self, what: &str) -> String {
        self.declare_within(what.to_owned(), MAX_DEPTH, &mut { MAX_VISITS })
    }

    fn declare_within(self, what: String, depth: u32, visits: &mut u32) -> String {
        let (Some(depth), Some(left)) = (depth.checked_sub(1), visits.checked_sub(1)) else {
            return format!("… {what}");
        };
        *visits = left;
        let def = self.def();
        let named = |keyword: &str| {
            let name = def.name.as_deref().map_or("{...}", as_written);
            let space = if what.is_empty() { "" } else { " " };
            format!("{keyword}{name}{space}{what}")
        };
        match &def.kind {
            Kind::Void => format!("void{}{what}", if what.is_empty() { "" } else { " " }),
            Kind::Int { .. } | Kind::Float { .. } | Kind::Typedef { .. } => named(""),
            Kind::Struct(_) | Kind::Forward { union: false } => named("struct "),
            Kind::Union(_) | Kind::Forward { union: true } => named("union "),
            Kind::Enum { .. } => named("enum "),
            Kind::Pointer { to } => {
                let to = self.types.get(*to);
                let what = match to.kind() {
                    Kind::Array { .. } | Kind::Function { .. } => format!("(*{what})"),
                    _ => format!("*{what}"),
                };
                to.declare_within(what, depth, visits)
            }
            Kind::Array { of, count } => {
                let count = if *count == 0 { String::new() } else { count.to_string() };
                self.types.get(*of).declare_within(format!("{what}[{count}]"), depth, visits)
            }
            Kind::Qualified { keyword, to } => {
                let to = self.types.get(*to);
                if keyword.is_empty() {
                    to.declare_within(what, depth, visits)
                } else if matches!(to.kind(), Kind::Pointer { .. }) {
                    // `* const name`, as gdb writes it.
                    let space = if what.is_empty() { "" } else { " " };
                    to.declare_within(format!(" {keyword}{space}{what}"), depth, visits)
                } else {
                    format!("{keyword} {}", to.declare_within(what, depth, visits))
                }
            }
            Kind::Function { returns, parameters, variadic } => {
                let mut list: Vec<String> = parameters
                    .iter()
                    .map(|(name, ty)| {
                        let name = name.as_deref().unwrap_or("").to_owned();
                        self.types.get(*ty).declare_within(name, depth, visits)
                    })
                    .collect();
                if *variadic {
                    list.push("...".to_owned());
                }
                let list = if list.is_empty() { "void".to_owned() } else { list.join(", ") };
                self.types.get(*returns).declare_within(format!("{what}({list})"), depth, visits)
            }
        }
    }
}

/// The name of a basic type as people write it: compilers put `unsigned long` down as
/// `long unsigned int`.
fn as_written(name: &str) -> &str {
    match name {
        "short int" => "short",
        "short unsigned int" => "unsigned short",
        "long int" => "long",
        "long unsigned int" => "unsigned long",
        "long long int" => "long long",
        "long long unsigned int" => "unsigned long long",
        name => name,
    }
}
