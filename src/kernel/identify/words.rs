//! What an address is, in words: one sentence without its full stop.

use super::{
    FrameAt, Identity, Page, PerCpuPlace, SlabObject, StackOwner, StackPlace, SymbolPlace, Use,
    UserArea, What,
};
use std::fmt;

impl fmt::Display for SymbolPlace {
    /// `name+0x2a [module]`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        plus(f, self.offset)?;
        match &self.module {
            Some(module) => write!(f, " [{module}]"),
            None => Ok(()),
        }
    }
}

fn plus(f: &mut fmt::Formatter<'_>, offset: u64) -> fmt::Result {
    match offset {
        0 => Ok(()),
        offset => write!(f, "+{offset:#x}"),
    }
}

impl fmt::Display for StackPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.owner {
            StackOwner::Task(_, label) => write!(f, "the stack of {label}")?,
            StackOwner::Irq(cpu) => write!(f, "the interrupt stack of CPU {cpu}")?,
            StackOwner::Exception(cpu, name) => write!(f, "the {name} of CPU {cpu}")?,
        }
        match &self.frame {
            Some(FrameAt { n, function: Some(function) }) => write!(f, ", frame #{n} {function}"),
            Some(FrameAt { n, function: None }) => write!(f, ", frame #{n}"),
            None if self.dead => f.write_str(", below its stack pointer: left over"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for PerCpuPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.variable, &self.module) {
            (Some((name, offset)), _) => {
                write!(f, "the per-CPU variable {name}")?;
                plus(f, *offset)?;
            }
            (None, Some(module)) => write!(f, "a per-CPU variable of the module {module}")?,
            (None, None) => f.write_str("allocated per-CPU memory")?,
        }
        write!(f, " of CPU {}", self.cpu)
    }
}

impl fmt::Display for SlabObject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.start.is_none() {
            return write!(f, "between the objects of a slab of {}", self.cache_name);
        }
        let state = match self.usage {
            Ok(Use::Allocated) => "an allocated",
            Ok(Use::Free) => "a free",
            Err(_) => "an",
        };
        write!(f, "{state} object of {}", self.cache_name)?;
        if let Some(ty) = self.ty.filter(|ty| **ty != *self.cache_name) {
            write!(f, " ({ty})")?;
        }
        plus(f, self.offset)?;
        match &self.usage {
            Err(unknown) => write!(f, " (allocated or free is not known: {unknown})"),
            Ok(_) => Ok(()),
        }
    }
}

impl fmt::Display for Identity {
    /// One sentence without its full stop: "the task_struct of `java[30413]`+0x10".
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.what {
            What::Symbol(place) if place.code => write!(f, "code: {place}"),
            What::Symbol(place) => write!(f, "data: {place}"),
            What::Task { label, offset, .. } => {
                write!(f, "the task_struct of {label}")?;
                plus(f, *offset)
            }
            What::Stack(place) => place.fmt(f),
            What::PerCpu(place) => place.fmt(f),
            What::Object => match &self.object {
                Some(object) => object.fmt(f),
                None => f.write_str("a slab object"),
            },
            What::Slab(unknown) => write!(f, "in a slab: {unknown}"),
            What::PageStruct(pfn, offset) => {
                write!(f, "the struct page of page frame {pfn:#x}")?;
                plus(f, *offset)
            }
            What::Module(name) => write!(f, "in the memory of the module {name}"),
            What::Vmalloc => f.write_str("in the vmalloc space"),
            What::Direct => match &self.page {
                Ok(page) => page.fmt(f),
                Err(unknown) => write!(f, "a page of the direct map: {unknown}"),
            },
            What::User(area) => area.fmt(f),
            What::Mapped => f.write_str("mapped, and not known as anything"),
            What::Nothing(unknown) => write!(f, "nothing: {unknown}"),
        }
    }
}

impl fmt::Display for UserArea {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.file {
            Some(Ok(path)) => write!(f, "{path}")?,
            Some(Err(unknown)) => write!(f, "a file ({unknown})")?,
            None => f.write_str("anonymous memory")?,
        }
        if let Some(offset) = self.file_offset {
            plus(f, offset)?;
        }
        write!(f, ", {} mapping {:x}-{:x} of {}", self.access, self.start, self.end, self.label)
    }
}

impl fmt::Display for Page {
    /// What the page is used for.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        /// `PAGE_MAPPING_ANON`
        const ANON: u64 = 1;
        /// `PAGE_MAPPING_MOVABLE`
        const FLAGS: u64 = 3;
        let has = |name: &str| self.flag_names.iter().any(|its| &**its == name);
        match (self.kind.as_deref(), self.mapping) {
            (Some("buddy"), _) => f.write_str("a free page"),
            (Some(kind), _) => write!(f, "a page of kind {kind}"),
            (None, _) if has("reserved") => f.write_str("a reserved page"),
            (None, Some(mapping)) if mapping & ANON != 0 => {
                f.write_str("a page of anonymous memory")
            }
            (None, Some(mapping)) if mapping & FLAGS == 0 && mapping != 0 => {
                write!(f, "a page of the page cache, of the address_space {mapping:#x}")
            }
            (None, _) if self.refcount == Some(0) => f.write_str("a page that nobody holds"),
            (None, _) => f.write_str("a page that the kernel has allocated"),
        }?;
        write!(f, ", page frame {:#x}", self.pfn)
    }
}
