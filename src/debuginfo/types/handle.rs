//! The handle to a type: its size, its members, what it points to.

use super::{Compound, Kind, Tag, TypeDef, TypeError, TypeId, Types};
use std::fmt;

/// Nesting of typedefs, qualifiers or anonymous members that is still followed. Deeper nesting
/// only occurs in damaged debug information.
pub(super) const MAX_DEPTH: u32 = 64;
/// How many types one question may look at. Types that contain themselves twice would double the
/// work at every level of nesting.
pub(super) const MAX_VISITS: u32 = 4096;

/// A handle to one type.
#[derive(Clone, Copy)]
pub struct Type<'t> {
    pub(super) types: &'t Types,
    pub(super) id: TypeId,
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
}
