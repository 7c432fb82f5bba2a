//! Names, types and lines, from whatever there is.
//!
//! Every source ends in the same two models: [`Types`] (BTF or DWARF) and
//! [`Symbols`] (kallsyms out of the dump, an ELF symbol table). Nothing above this floor knows
//! which of them answered.

mod advice;
pub mod btf;
mod dwarf;
mod elf;
mod find;
pub mod kallsyms;
mod made;
mod module_files;
mod names;
mod relocate;
mod source;
mod supplement;
mod symbols;
mod types;

pub use advice::Advice;
pub use btf::{Btf, BtfError};
pub use dwarf::{
    Activation, Caller, Dwarf, DwarfError, DwarfOf, FrameRegisters, Local, LocalPlace, Position,
    Supplement,
};
pub use elf::{ElfError, ElfFile, Section, build_id};
pub use find::{Found, Identity, NotFound, Places, Refused};
pub use kallsyms::{KallsymsAddresses, KallsymsError};
pub use module_files::{ModuleFiles, ModuleIdentity, module_of_file};
pub use source::{SourceFile, SourceTree, SourceTrees};
pub use supplement::MissingSupplement;
pub use symbols::{Symbol, SymbolRef, SymbolTable, Symbols};
pub use types::{
    Compound, Enumerator, Kind, Member, MemberDef, Tag, Type, TypeDef, TypeError, TypeId,
    TypeSource, Types,
};
