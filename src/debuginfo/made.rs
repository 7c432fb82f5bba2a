//! Types that no debug information spells out: `struct page **`, `char [16]`, what a cast names.
//!
//! Each is made once and kept as long as the types that it is made of, so that a handle to it is
//! like any other. There is room for a bounded number: an expression makes a few.

use super::types::{TypeDef, TypeId};
use foldhash::HashMap;
use std::sync::{Mutex, OnceLock, PoisonError};

/// How many are made at most.
const MOST: usize = 8192;

/// The source number in the [`TypeId`]s of these types.
pub(super) const SOURCE: u16 = u16::MAX;

/// The made types of one [`super::Types`].
#[derive(Default)]
pub(super) struct Made {
    /// Filled from the front; never moved, since handles lend from it.
    defs: OnceLock<Box<[OnceLock<TypeDef>]>>,
    index: Mutex<HashMap<TypeDef, u32>>,
}

impl Made {
    pub(super) fn def(&self, index: u32) -> Option<&TypeDef> {
        self.defs.get()?.get(usize::try_from(index).ok()?)?.get()
    }

    /// The type of this definition; `None` when there are too many.
    pub(super) fn id(&self, def: TypeDef) -> Option<TypeId> {
        let defs = self.defs.get_or_init(|| (0..MOST).map(|_| OnceLock::new()).collect());
        let mut index = self.index.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(&index) = index.get(&def) {
            return Some(TypeId { source: SOURCE, index });
        }
        let next = u32::try_from(index.len()).ok()?;
        defs.get(index.len())?.set(def.clone()).ok()?;
        index.insert(def, next);
        Some(TypeId { source: SOURCE, index: next })
    }
}

#[cfg(test)]
mod tests {
    use super::super::types::{Kind, Types};

    #[test]
    fn a_type_is_made_once_and_reads_like_any_other() {
        let types = Types::new();
        let int = types.integer("int", 4, true).unwrap();
        let pointer = int.pointer().unwrap();
        assert_eq!(pointer.name(), "int *");
        assert_eq!(pointer.pointer().unwrap().name(), "int **");
        assert_eq!(pointer.array(3).unwrap().name(), "int *[3]");
        assert_eq!(int.array(3).unwrap().pointer().unwrap().name(), "int (*)[3]");
        assert_eq!(int.array(3).unwrap().size(), Some(12));
        assert_eq!(pointer, int.pointer().unwrap());
        assert!(matches!(types.void().unwrap().kind(), Kind::Void));
    }

    #[test]
    fn there_is_room_for_many_and_an_end() {
        let types = Types::new();
        let int = types.integer("int", 4, true).unwrap();
        let made = (0..10_000).map_while(|count| int.array(count)).count();
        assert_eq!(made, super::MOST - 1);
        assert_eq!(int.array(5).unwrap().size(), Some(20), "what is there stays");
    }
}
