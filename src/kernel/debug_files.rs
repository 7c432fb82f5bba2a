//! The files with debug information of a session's kernel: found when first asked for, and kept.
//!
//! The kernel's ELF file is only looked for when the dump lacks something; that it has DWARF costs
//! nothing until something is asked that only DWARF knows. With BTF at hand these are the types of
//! variables and functions: every type that has a name is in BTF, and one that is not found there is
//! not looked for in a second place. Without BTF, or with `--no-btf`, DWARF has all types.

use super::{Known, Options, Unknown};
use crate::debuginfo::{Dwarf, Found, Identity, Places, Tag, TypeDef, TypeId, TypeSource, Vmlinux};
use crate::dump::{VirtAddr, VmcoreInfo};
use std::sync::{Arc, OnceLock};

/// The number of the kernel's DWARF among the sources of types; 0 is its BTF, if it has any.
pub(super) const KERNEL_DWARF: u16 = 1;

/// The files with debug information of one kernel.
pub(super) struct DebugFiles {
    identity: Identity,
    /// The build id that stands in the dump's memory, where VMCOREINFO has none.
    noted_build_id: OnceLock<String>,
    /// `None` when nothing outside of the dump is wanted.
    places: Option<Places>,
    /// Gives the file where it is part of the program, and another is not named.
    built_in: Option<fn() -> Vec<u8>>,
    kernel_offset: Option<u64>,
    stext: Option<VirtAddr>,
    vmlinux: OnceLock<Known<Found>>,
    dwarf: OnceLock<Known<Dwarf>>,
}

impl DebugFiles {
    pub(super) fn new(identity: Identity, info: &VmcoreInfo, options: &Options) -> DebugFiles {
        let places = Places {
            vmlinux: options.vmlinux.clone(),
            debug_dirs: options.debug_dirs.clone(),
            force: options.force_debuginfo,
            ..Places::of_this_machine()
        };
        DebugFiles {
            identity,
            noted_build_id: OnceLock::new(),
            places: (!options.no_debuginfo).then_some(places),
            built_in: options.built_in.filter(|_| options.vmlinux.is_none()),
            kernel_offset: info.kernel_offset(),
            stext: info.symbol("_stext"),
            vmlinux: OnceLock::new(),
            dwarf: OnceLock::new(),
        }
    }

    /// The build id in the dump's memory, for a kernel that has none in VMCOREINFO.
    pub(super) fn note_build_id(&self, id: impl FnOnce() -> Option<String>) {
        if self.identity.build_id.is_none()
            && let Some(id) = id()
        {
            _ = self.noted_build_id.set(id);
        }
    }

    /// Which kernel crashed.
    pub(super) fn identity(&self) -> Identity {
        let mut identity = self.identity.clone();
        identity.build_id = identity.build_id.or_else(|| self.noted_build_id.get().cloned());
        identity
    }

    /// The kernel's ELF file.
    pub(super) fn vmlinux(&self) -> Known<&Found> {
        let found = self.vmlinux.get_or_init(|| {
            let places = self.places.as_ref().ok_or_else(|| {
                Unknown::because("debug information outside of the dump is not wanted")
            })?;
            if let Some(give) = self.built_in {
                let vmlinux = Vmlinux::from_vec(give());
                let vmlinux = vmlinux.map_err(|error| Unknown::because(error.to_string()))?;
                return Ok(Found { path: "(part of this program)".into(), vmlinux, warning: None });
            }
            places
                .find(&self.identity())
                .map_err(|missing| Unknown::because(missing.to_string().replace("\n", "; ")))
        });
        found.as_ref().map_err(Unknown::clone)
    }

    /// How far above where the file was linked to the kernel runs.
    pub(super) fn shift(&self, vmlinux: &Vmlinux) -> u64 {
        let by_stext = || {
            let linked = vmlinux.symbols(0).ok()?.find_all("_stext").next()?.at;
            Some(self.stext?.0.wrapping_sub(linked.0))
        };
        self.kernel_offset.or_else(by_stext).unwrap_or(0)
    }

    /// The kernel's DWARF.
    pub(super) fn dwarf(&self) -> Known<&Dwarf> {
        let found = self.dwarf.get_or_init(|| {
            let found = self.vmlinux()?;
            Dwarf::new(&found.vmlinux, self.shift(&found.vmlinux), KERNEL_DWARF)
                .map_err(|why| Unknown::because(format!("{}: {why}", found.path.display())))
        });
        found.as_ref().map_err(Unknown::clone)
    }
}

/// The kernel's DWARF as a source of types.
pub(super) struct KernelTypes {
    pub(super) files: Arc<DebugFiles>,
    /// Whether the kernel's BTF has every type that has a name.
    pub(super) besides_btf: bool,
}

impl TypeSource for KernelTypes {
    fn def(&self, index: u32) -> Option<&TypeDef> {
        self.files.dwarf().ok()?.def(index)
    }

    fn find(&self, tag: Tag, name: &str) -> Option<TypeId> {
        if self.besides_btf { None } else { self.files.dwarf().ok()?.find(tag, name) }
    }

    fn variable(&self, name: &str) -> Option<TypeId> {
        self.files.dwarf().ok()?.variable(name)
    }

    fn function(&self, name: &str) -> Option<TypeId> {
        self.files.dwarf().ok()?.function(name)
    }

    fn names(&self, tag: Tag) -> Vec<String> {
        if self.besides_btf {
            return Vec::new();
        }
        self.files.dwarf().map(|dwarf| dwarf.names(tag)).unwrap_or_default()
    }
}
