//! Where definitions come from: BTF, DWARF, or a test's table.

use super::{Kind, Tag, TypeDef, TypeId};
use std::sync::Arc;

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
