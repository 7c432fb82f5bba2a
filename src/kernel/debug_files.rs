//! The files with debug information of a session's kernel: found when first asked for, and kept.
//!
//! The kernel's ELF file is only looked for when the dump lacks something; that it has DWARF costs
//! nothing until something is asked that only DWARF knows. With BTF at hand these are the types of
//! variables and functions: every type that has a name is in BTF, and one that is not found there is
//! not looked for in a second place. Without BTF, or with `--no-btf`, DWARF has all types. So it is
//! with each module.

use super::module::Module;
use super::module_sections::{SectionFields, loaded_build_id};
use super::{Kernel, Known, Options, Unknown};
use crate::debuginfo::{
    Advice, Btf, Dwarf, DwarfError, ElfFile, Found, Identity, ModuleFiles, ModuleIdentity, Places,
    Refused, Symbols, Tag, TypeDef, TypeId, TypeSource, Types, module_of_file,
};
use crate::dump::{VirtAddr, VmcoreInfo, scrub};
use crate::memory::VirtualMemory;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread;

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
    memory: Arc<dyn VirtualMemory>,
    /// Modules' files that the user named.
    module_files: Vec<PathBuf>,
    listed: OnceLock<ModuleFiles>,
    modules: OnceLock<Vec<ModuleFile>>,
    all_found: OnceLock<()>,
    /// The kernel's BTF, if it has any.
    btf: OnceLock<Option<Arc<Btf>>>,
    /// Where a module's sections are written down. Looked up late: DWARF has that in a late unit.
    section_fields: OnceLock<Known<SectionFields>>,
}

/// The debug file of one module.
struct ModuleFile {
    name: Box<str>,
    /// Its `struct module`.
    at: VirtAddr,
    /// The number of its source of types.
    source: u16,
    file: OnceLock<Known<Found>>,
    dwarf: OnceLock<Known<Dwarf>>,
}

impl DebugFiles {
    pub(super) fn new(
        identity: Identity,
        info: &VmcoreInfo,
        options: &Options,
        memory: Arc<dyn VirtualMemory>,
    ) -> DebugFiles {
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
            memory,
            module_files: options.module_files.clone(),
            listed: OnceLock::new(),
            modules: OnceLock::new(),
            all_found: OnceLock::new(),
            btf: OnceLock::new(),
            section_fields: OnceLock::new(),
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
            let places = self.places()?;
            if let Some(give) = self.built_in {
                let file = ElfFile::from_vec(give());
                let file = file.map_err(|error| Unknown::because(error.to_string()))?;
                return Ok(Found { path: "(part of this program)".into(), file, warning: None });
            }
            places
                .find(&self.identity())
                .map_err(|missing| Unknown::because(missing.to_string().replace("\n", "; ")))
        });
        found.as_ref().map_err(Unknown::clone)
    }

    fn places(&self) -> Known<&Places> {
        self.places
            .as_ref()
            .ok_or_else(|| Unknown::because("debug information outside of the dump is not wanted"))
    }

    /// How far above where the file was linked to the kernel runs.
    pub(super) fn shift(&self, file: &ElfFile) -> u64 {
        let by_stext = || {
            let linked = file.symbols(0).ok()?.find_all("_stext").next()?.at;
            Some(self.stext?.0.wrapping_sub(linked.0))
        };
        self.kernel_offset.or_else(by_stext).unwrap_or(0)
    }

    /// The kernel's DWARF.
    pub(super) fn dwarf(&self) -> Known<&Dwarf> {
        let found = self.dwarf.get_or_init(|| {
            let found = self.vmlinux()?;
            self.open_dwarf(found, self.shift(&found.file), KERNEL_DWARF)
        });
        found.as_ref().map_err(Unknown::clone)
    }

    /// The DWARF of a file, and of the supplementary file that it may need.
    fn open_dwarf(&self, found: &Found, shift: u64, source: u16) -> Known<Dwarf> {
        let dwarf = Dwarf::new(&found.file, shift, source)
            .map_err(|why| Unknown::because(format!("{}: {why}", path(found))))?;
        let Ok(places) = self.places() else { return Ok(dwarf) };
        Ok(match places.supplement(&found.file, &found.path) {
            Ok(None) => dwarf,
            Ok(Some(supplement)) => dwarf.with_supplement(supplement),
            Err(missing) => {
                let package = Advice::new(&self.identity()).package;
                let package = package.map(|package| format!("; it comes with {package}"));
                dwarf.lacking(format!("{missing}{}", package.unwrap_or_default()))
            }
        })
    }

    /// What is wrong with the files that were opened so far, each a sentence.
    pub(super) fn notes(&self) -> Vec<String> {
        let mut notes = Vec::new();
        let mut add = |found: Option<&Known<Found>>, dwarf: &OnceLock<Known<Dwarf>>| {
            let Some(Ok(found)) = found else { return };
            let path = path(found);
            if let Some(warning) = &found.warning {
                notes.push(format!("{path}: {warning}"));
            }
            if !found.file.has_debug_info() {
                notes.push(format!("{path}: {}", DwarfError::None));
            }
            match dwarf.get() {
                Some(Ok(dwarf)) => {
                    notes.extend(dwarf.notes().iter().map(|note| format!("{path}: {note}")));
                }
                Some(Err(why)) => notes.push(why.to_string()),
                None => {}
            }
        };
        add(self.vmlinux.get(), &self.dwarf);
        for module in self.modules.get().into_iter().flatten() {
            add(module.file.get(), &module.dwarf);
        }
        notes
    }

    /// Why files that the user named for modules are not used, each a sentence.
    pub(super) fn refused_modules(self: &Arc<DebugFiles>) -> Vec<String> {
        let modules = self.modules.get().map(Vec::as_slice).unwrap_or_default();
        let why = |named: &PathBuf| {
            let name = module_of_file(named)?;
            let number = modules.iter().position(|module| module.name.replace('-', "_") == name);
            match number {
                Some(number) => self.module_file(number).err().map(|why| why.to_string()),
                None => {
                    let [named, name] = [named.as_os_str(), name.as_ref()]
                        .map(|text: &std::ffi::OsStr| scrub(text.as_encoded_bytes()));
                    Some(format!("{named}: no module {name} is loaded"))
                }
            }
        };
        self.module_files.iter().filter_map(why).collect()
    }

    /// Says which modules are loaded. `first` is the number of the first one's source of types, the
    /// others follow. `btf` is the kernel's.
    pub(super) fn set_modules(&self, modules: &[Module], btf: Option<&Arc<Btf>>, first: u16) {
        _ = self.btf.set(btf.cloned());
        let files = modules.iter().zip(first..).map(|(module, source)| ModuleFile {
            name: module.name.clone(),
            at: module.at,
            source,
            file: OnceLock::new(),
            dwarf: OnceLock::new(),
        });
        _ = self.modules.set(files.collect());
    }

    fn module(&self, number: usize) -> Known<&ModuleFile> {
        let modules = self.modules.get().map(Vec::as_slice).unwrap_or_default();
        modules.get(number).ok_or_else(|| Unknown::because("no such module"))
    }

    /// The debug file of a module.
    pub(super) fn module_file(self: &Arc<DebugFiles>, number: usize) -> Known<&Found> {
        let module = self.module(number)?;
        let found = module.file.get_or_init(|| self.find_module(module));
        found.as_ref().map_err(Unknown::clone)
    }

    /// Looks for the debug files of all modules, once. Packed ones take their time, so all CPUs do
    /// it; these threads are its own, since one of a pool that waits for a file may begin other work
    /// that asks for the same file.
    pub(super) fn find_all_modules(self: &Arc<DebugFiles>) {
        let count = self.modules.get().map_or(0, Vec::len);
        self.all_found.get_or_init(|| {
            let next = AtomicUsize::new(0);
            let work = || {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= count {
                        return;
                    }
                    _ = self.module_file(number);
                }
            };
            let threads = thread::available_parallelism().map_or(1, |n| n.get());
            thread::scope(|scope| {
                for _ in 1..threads.min(count) {
                    scope.spawn(work);
                }
                work();
            });
        });
    }

    /// The DWARF of a module.
    pub(super) fn module_dwarf(self: &Arc<DebugFiles>, number: usize) -> Known<&Dwarf> {
        let module = self.module(number)?;
        let dwarf = module.dwarf.get_or_init(|| {
            let found = self.module_file(number)?;
            // Relocated to where it was loaded, it has the addresses of the running kernel.
            self.open_dwarf(found, 0, module.source)
        });
        dwarf.as_ref().map_err(Unknown::clone)
    }

    fn section_fields(self: &Arc<DebugFiles>) -> Known<SectionFields> {
        let fields = self.section_fields.get_or_init(|| {
            let btf = self.btf.get().cloned().flatten();
            let (besides_btf, files) = (btf.is_some(), Arc::clone(self));
            let mut types = Types::new();
            types.add(Box::new(btf));
            types.add(Box::new(DwarfTypes { files, of: Of::Kernel, besides_btf }));
            let symbols = Symbols::default();
            SectionFields::probe(Kernel { memory: &*self.memory, types: &types, symbols: &symbols })
        });
        fields.clone()
    }

    /// Where the sections of a module were loaded, as far as the kernel tells.
    fn sections(self: &Arc<DebugFiles>, module: &ModuleFile) -> Vec<(String, VirtAddr)> {
        let fields = self.section_fields();
        fields.and_then(|fields| fields.read(&*self.memory, module.at)).unwrap_or_default()
    }

    /// The build id of a module, in hex.
    pub(super) fn module_build_id(self: &Arc<DebugFiles>, number: usize) -> Option<String> {
        loaded_build_id(&*self.memory, &self.sections(self.module(number).ok()?))
    }

    fn find_module(self: &Arc<DebugFiles>, module: &ModuleFile) -> Known<Found> {
        let places = self.places()?;
        let listed = || ModuleFiles::list(places, &self.identity(), &self.module_files);
        let files = self.listed.get_or_init(listed);
        // Without them the file still has types.
        let sections = self.sections(module);
        let build_id = loaded_build_id(&*self.memory, &sections);
        let name = &*module.name;
        let wanted = ModuleIdentity { name, build_id: build_id.as_deref(), sections: &sections };
        places.find_module(files, wanted).map_err(|refused| {
            let each = |(path, why): &(PathBuf, Refused)| format!("; {}: {why}", path.display());
            let refused: String = refused.iter().map(each).collect();
            Unknown::because(format!("no debug file of module {name} found{refused}"))
        })
    }
}

fn path(found: &Found) -> String {
    scrub(found.path.as_os_str().as_encoded_bytes())
}

/// Whose DWARF a source of types is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Of {
    Kernel,
    /// The module of that number in the list.
    Module(usize),
}

/// DWARF as a source of types, opened when it is first asked.
pub(super) struct DwarfTypes {
    pub(super) files: Arc<DebugFiles>,
    pub(super) of: Of,
    /// Whether there is BTF of it too, with every type that has a name.
    pub(super) besides_btf: bool,
}

impl DwarfTypes {
    fn dwarf(&self) -> Option<&Dwarf> {
        match self.of {
            Of::Kernel => self.files.dwarf(),
            Of::Module(number) => self.files.module_dwarf(number),
        }
        .ok()
    }

    /// For looking up names, which goes through all modules.
    fn named(&self) -> Option<&Dwarf> {
        if let Of::Module(_) = self.of {
            self.files.find_all_modules();
        }
        self.dwarf()
    }

    fn types(&self) -> Option<&Dwarf> {
        if self.besides_btf { None } else { self.named() }
    }
}

impl TypeSource for DwarfTypes {
    fn def(&self, index: u32) -> Option<&TypeDef> {
        self.dwarf()?.def(index)
    }

    fn find(&self, tag: Tag, name: &str) -> Option<TypeId> {
        self.types()?.find(tag, name)
    }

    fn variable(&self, name: &str) -> Option<TypeId> {
        self.named()?.variable(name)
    }

    fn function(&self, name: &str) -> Option<TypeId> {
        self.named()?.function(name)
    }

    fn names(&self, tag: Tag) -> Vec<String> {
        self.types().map(|dwarf| dwarf.names(tag)).unwrap_or_default()
    }
}
