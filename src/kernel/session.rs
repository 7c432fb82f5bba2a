//! An opened dump with everything found for it.
//!
//! Opening maps the file, reads its headers and finds the kernel's address space. All else is found
//! when it is first asked for, by whichever thread asks, and kept: names and types first, on which
//! everything stands, then CPUs, tasks, the log. A session never changes after that, and what it
//! lacks has a reason in [`Session::notes`].

use super::cpu::{Cpu, Cpus};
use super::debug_files::DebugFiles;
use super::identify::Index;
use super::sources::Sources;
use super::{Kernel, Known, Log, Module, System, Task, Tasks, Unknown};
use crate::debuginfo::{
    Activation, Dwarf, DwarfOf, Found, FrameRegisters, Identity, Local, Position, SourceTrees,
    SymbolRef, Symbols, Tag, Type, Types,
};
use crate::dump::{self, Dump, VirtAddr, VmcoreInfo};
use crate::memory::{KernelSpace, PageTableClues, SpaceError, UserSpace, VirtualMemory};
use crate::object::Object;
use crate::unwind::{
    End, Frame, InactiveTaskFrame, Orc, OrcTable, Register, Registers, Trace, Unwinder,
};
use std::ops::Range;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

/// What to open, and where to look for what the dump lacks.
#[derive(Clone, Default, Debug)]
pub struct Options {
    /// The dump; several files when it is split.
    pub dumps: Vec<PathBuf>,
    /// The kernel's ELF file with its symbols and types.
    pub vmlinux: Option<PathBuf>,
    /// Gives the kernel's ELF file where it is part of the program, as that of a demo is.
    pub built_in: Option<fn() -> Vec<u8>>,
    /// Modules' files with their debug information.
    pub module_files: Vec<PathBuf>,
    /// Where else to look for debug information.
    pub debug_dirs: Vec<PathBuf>,
    /// Look nowhere: use only what the dump carries.
    pub no_debuginfo: bool,
    /// Take a kernel's ELF file that does not belong to the dump, too.
    pub force_debuginfo: bool,
    /// Do without BTF: all types come from DWARF.
    pub no_btf: bool,
    /// Unwind stacks by debug information alone, even where the kernel has ORC.
    pub unwind_by_dwarf: bool,
    /// Where source files lie.
    pub sources: SourceTrees,
}

/// Why a dump could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// A file is not there, or is no dump.
    #[error(transparent)]
    Dump(#[from] dump::OpenError),
    /// Its memory cannot be read as the kernel saw it.
    #[error(transparent)]
    Space(#[from] SpaceError),
}

/// An opened dump with everything found for it.
pub struct Session {
    dump: Dump,
    options: Options,
    space: Arc<KernelSpace>,
    files: Arc<DebugFiles>,
    sources: OnceLock<Sources>,
    cpus: OnceLock<Cpus>,
    tasks: OnceLock<Tasks>,
    log: OnceLock<Log>,
    system: OnceLock<System>,
    unwinding: OnceLock<Unwinding>,
    index: Index,
}

/// What unwinding stands on.
struct Unwinding {
    orc: Orc,
    saved: InactiveTaskFrame,
    /// `THREAD_SIZE`, in bytes.
    stack_size: u64,
}

impl Session {
    /// Opens the dump that the options name.
    ///
    /// # Errors
    /// [`OpenError`] when it cannot be read, or has no kernel in it.
    pub fn open(options: &Options) -> Result<Session, OpenError> {
        Session::from_dump(Dump::open(&options.dumps)?, options)
    }

    /// A session of a dump that is already open.
    ///
    /// # Errors
    /// [`OpenError::Space`] when the kernel's address space cannot be found in it.
    pub fn from_dump(dump: Dump, options: &Options) -> Result<Session, OpenError> {
        let space = Arc::new(KernelSpace::new(&dump.memory(), &clues(&dump))?);
        let memory: Arc<dyn VirtualMemory> = Arc::<KernelSpace>::clone(&space);
        let files = DebugFiles::new(identity(&dump), dump.vmcoreinfo(), options, memory);
        Ok(Session {
            dump,
            options: options.clone(),
            space,
            files: Arc::new(files),
            sources: OnceLock::new(),
            cpus: OnceLock::new(),
            tasks: OnceLock::new(),
            log: OnceLock::new(),
            system: OnceLock::new(),
            unwinding: OnceLock::new(),
            index: Index::default(),
        })
    }

    /// The file.
    #[must_use]
    pub fn dump(&self) -> &Dump {
        &self.dump
    }

    /// The kernel's address space.
    #[must_use]
    pub fn memory(&self) -> &dyn VirtualMemory {
        &*self.space
    }

    /// The kernel's address space, to translate addresses and walk its page tables.
    #[must_use]
    pub fn space(&self) -> &KernelSpace {
        &self.space
    }

    /// Memory, types and symbols together: what the kernel's nouns are read from.
    #[must_use]
    pub fn kernel(&self) -> Kernel<'_> {
        Kernel { memory: &*self.space, types: self.types(), symbols: self.symbols() }
    }

    fn sources(&self) -> &Sources {
        self.sources.get_or_init(|| {
            let info = self.dump.vmcoreinfo();
            Sources::find(&*self.space, info, &self.files, self.options.no_btf)
        })
    }

    /// The names of the kernel and its modules.
    #[must_use]
    pub fn symbols(&self) -> &Symbols {
        &self.sources().symbols
    }

    /// The types of the kernel and its modules.
    #[must_use]
    pub fn types(&self) -> &Types {
        &self.sources().types
    }

    /// Whether the kernel's types are those of its BTF, and DWARF only has what BTF lacks.
    #[must_use]
    pub fn has_btf(&self) -> bool {
        self.sources().has_btf
    }

    /// Which kernel crashed: what its debug information is looked for by.
    #[must_use]
    pub fn identity(&self) -> Identity {
        // Its build id may only stand in memory, where a symbol tells.
        self.sources();
        self.files.identity()
    }

    /// The kernel's ELF file: the one that was named, or one that this machine has. It is looked for
    /// when it is first asked for, which is only needed for what the dump itself does not hold.
    ///
    /// # Errors
    /// [`Unknown`], with what to install, when there is none of this kernel, or none is wanted.
    pub fn vmlinux(&self) -> Known<&Found> {
        self.sources();
        self.files.vmlinux()
    }

    /// What the compiler wrote down about the kernel itself, in its ELF file.
    ///
    /// # Errors
    /// [`Unknown`] as [`Session::vmlinux`], and when the file was stripped of it.
    pub fn dwarf(&self) -> Known<&Dwarf> {
        self.sources();
        self.files.dwarf()
    }

    /// The DWARF of the object that holds an address: the kernel, or a module.
    ///
    /// # Errors
    /// [`Unknown`] when there is none at hand.
    pub fn dwarf_of(&self, at: VirtAddr) -> Known<&Dwarf> {
        match self.modules().iter().position(|module| module.contains(at)) {
            Some(number) => self.files.module_dwarf(number),
            None => self.dwarf(),
        }
    }

    /// The functions, files and lines that an instruction comes from: the function that holds it
    /// last, before it those that were inlined there. Nothing without debug information.
    #[must_use]
    pub fn positions(&self, at: VirtAddr) -> Arc<[Position]> {
        let dwarf = self.dwarf_of(at).ok();
        dwarf.and_then(|dwarf| dwarf.positions(at).ok()).unwrap_or_default()
    }

    /// The source files that there are.
    #[must_use]
    pub fn source_trees(&self) -> &SourceTrees {
        &self.options.sources
    }

    /// The file with the debug information of a module, by its number in [`Session::modules`].
    ///
    /// # Errors
    /// [`Unknown`] when there is none at hand, with what was refused.
    pub fn module_file(&self, number: usize) -> Known<&Found> {
        self.sources();
        self.files.find_all_modules();
        self.files.module_file(number)
    }

    /// The build id of a loaded module, in hex, by its number in [`Session::modules`]: what its debug
    /// file is looked for by.
    #[must_use]
    pub fn module_build_id(&self, number: usize) -> Option<String> {
        self.sources();
        self.files.module_build_id(number)
    }

    /// The modules that are loaded.
    #[must_use]
    pub fn modules(&self) -> &[Module] {
        &self.sources().modules
    }

    /// The CPUs.
    #[must_use]
    pub fn cpus(&self) -> &Cpus {
        self.cpus.get_or_init(|| Cpus::read(self.kernel(), self.dump.cpus()))
    }

    /// Every task.
    #[must_use]
    pub fn tasks(&self) -> &Tasks {
        self.tasks.get_or_init(|| {
            let mut tasks = Tasks::read(self.kernel(), self.cpus());
            if tasks.is_empty() {
                // Why there are no types, and where to get them, is why there are no tasks.
                tasks.notes.extend(self.sources().notes.clone());
            }
            tasks
        })
    }

    /// The kernel's log.
    #[must_use]
    pub fn log(&self) -> &Log {
        self.log.get_or_init(|| Log::read(self.kernel(), self.dump.vmcoreinfo()))
    }

    /// The machine as a whole.
    #[must_use]
    pub fn system(&self) -> &System {
        self.system.get_or_init(|| System::read(self.kernel(), &self.dump, self.cpus(), self.log()))
    }

    /// That this is no machine's memory but made up, and what it is, in the dump's own words: the
    /// line `SYNTHETIC` that whoever made it wrote into VMCOREINFO.
    #[must_use]
    pub fn synthetic(&self) -> Option<&str> {
        self.dump.vmcoreinfo().get("SYNTHETIC")
    }

    /// What is wrong with the files with debug information that were named or opened so far, each a
    /// sentence.
    #[must_use]
    pub fn file_notes(&self) -> Vec<String> {
        // One that was named and does not fit is told even where it was not needed.
        let vmlinux = self.options.vmlinux.as_ref().and_then(|_| self.vmlinux().err());
        let refused = vmlinux.map(|why| why.to_string()).into_iter();
        self.sources(); // which modules the named files may be of
        refused.chain(self.files.refused_modules()).chain(self.files.notes()).collect()
    }

    /// What could not be found or read so far, each a sentence, once.
    #[must_use]
    pub fn notes(&self) -> Vec<String> {
        let synthetic = self.synthetic().map(|what| format!("this dump is synthetic: {what}"));
        let sources = self.sources().notes.iter();
        let cpus = self.cpus.get().into_iter().flat_map(|cpus| &cpus.notes);
        let tasks = self.tasks.get().into_iter().flat_map(|tasks| &tasks.notes);
        let log = self.log.get().into_iter().flat_map(|log| &log.notes);
        let mut notes: Vec<String> = Vec::new();
        let files = self.file_notes();
        let first = synthetic.iter().chain(&files);
        for note in first.chain(sources).chain(cpus).chain(tasks).chain(log) {
            if !notes.contains(note) {
                notes.push(note.clone());
            }
        }
        notes
    }

    /// The symbol that covers an address.
    #[must_use]
    pub fn symbolize(&self, at: VirtAddr) -> Option<SymbolRef<'_>> {
        self.symbols().resolve(at)
    }

    /// What lies at `at`, as `ty`.
    #[must_use]
    pub fn object<'s>(&'s self, ty: Type<'s>, at: VirtAddr) -> Object<'s> {
        Object::new(&*self.space, ty, at)
    }

    /// A CPU's copy of a per-CPU variable.
    ///
    /// # Errors
    /// [`Unknown`] when there is no such symbol or CPU.
    pub fn per_cpu(&self, symbol: &str, cpu: u32) -> Known<VirtAddr> {
        let symbol = self.kernel().symbol(symbol)?;
        let cpu = self.cpus().get(cpu).ok_or_else(|| Unknown::because(format!("no CPU {cpu}")))?;
        Ok(cpu.per_cpu(symbol))
    }

    /// What answers about addresses stand on.
    pub(super) fn index(&self) -> &Index {
        &self.index
    }

    fn unwinding(&self) -> &Unwinding {
        self.unwinding.get_or_init(|| {
            let tables = self.modules().iter().filter_map(|module| {
                let (ip, entries, count) = module.orc.clone().ok()?;
                let text = module.text.clone().ok()?;
                Some(OrcTable { ip, entries, count, text })
            });
            Unwinding {
                orc: Orc::new(&*self.space, self.symbols(), tables.collect()),
                saved: InactiveTaskFrame::find(self.types(), self.symbols(), &*self.space),
                stack_size: stack_size(self.types()),
            }
        })
    }

    /// The kernel stack of a task; `None` when it has exited and its stack is freed.
    #[must_use]
    pub fn stack(&self, task: &Task) -> Option<Range<VirtAddr>> {
        let end = task.stack.checked_add(self.unwinding().stack_size)?;
        (!task.stack.is_null()).then_some(task.stack..end)
    }

    /// The backtrace of a task: from its CPU's registers when it ran, otherwise from where it
    /// sleeps.
    #[must_use]
    pub fn trace(&self, task: &Task) -> Trace {
        let cut = |reason: String| Trace { frames: Vec::new(), end: End::Cut(reason) };
        let unwinding = self.unwinding();
        let dwarf_of: &DwarfOf<'_> = &|at| self.dwarf_of(at).ok();
        let unwinder = Unwinder::new(&unwinding.orc, self.symbols(), &*self.space);
        let unwinder = unwinder.with_dwarf(dwarf_of);
        let unwinder = if self.options.unwind_by_dwarf { unwinder.without_orc() } else { unwinder };
        let stack = self.stack(task);
        match self.cpu_of(task) {
            Some(Cpu { registers: Ok(registers), .. }) => {
                unwinder.running(registers.clone(), stack)
            }
            Some(cpu) => cut(format!(
                "it runs on CPU {}, and the dump has no registers of that CPU",
                cpu.number
            )),
            None if stack.is_none() => cut("it has exited and its stack is freed".to_owned()),
            None => match &task.sp {
                Ok(sp) => unwinder.sleeping(*sp, &unwinding.saved, stack),
                Err(unknown) => cut(unknown.to_string()),
            },
        }
    }

    /// A trace with the registers in each frame that its callees saved, as far as debug
    /// information tells.
    #[must_use]
    pub fn with_saved_registers(&self, trace: Trace) -> Trace {
        let dwarf_of: &DwarfOf<'_> = &|at| self.dwarf_of(at).ok();
        trace.with_saved_registers(dwarf_of, &*self.space)
    }

    /// The parameters and variables of the functions in a frame of a trace, which must have its
    /// saved registers.
    ///
    /// # Errors
    /// [`Unknown`] without debug information, and when there is no such frame.
    pub fn locals(&self, trace: &Trace, frame: usize) -> Known<Vec<Local>> {
        let frames = trace.frames.get(frame..).unwrap_or_default();
        let frames: Vec<FrameRegisters> = frames.iter().map(Frame::activation).collect();
        let dwarf_of: &DwarfOf<'_> = &|at| self.dwarf_of(at).ok();
        let activation = Activation::new(&frames, &*self.space, dwarf_of);
        let activation = activation.ok_or_else(|| Unknown::because("no such frame"))?;
        let locals = self.dwarf_of(activation.at())?.locals(&activation);
        locals.map_err(|error| Unknown::because(error.to_string()))
    }

    /// The CPU that was running a task. Its stack pointer decides: in the middle of a switch the
    /// runqueue already names the next task, while the CPU is still on the stack of the one before.
    #[must_use]
    pub fn cpu_of(&self, task: &Task) -> Option<&Cpu> {
        let holds =
            |task: &Task, sp: VirtAddr| self.stack(task).is_some_and(|stack| stack.contains(&sp));
        let on_it = self.cpus().iter().find(|cpu| sp(cpu).is_some_and(|sp| holds(task, sp)));
        on_it.or_else(|| {
            let cpu = self.cpus().running(task.at)?;
            let elsewhere = sp(cpu).is_some_and(|sp| {
                self.tasks().iter().any(|other| other.at != task.at && holds(other, sp))
            });
            (!elsewhere).then_some(cpu)
        })
    }

    /// The address space of a task's process.
    ///
    /// # Errors
    /// [`Unknown`] for a kernel thread, and when the process's page tables cannot be found.
    pub fn user_memory(&self, task: &Task) -> Known<UserSpace> {
        let mm = task.mm.ok_or_else(|| Unknown::because("it has no address space of its own"))?;
        let pgd = self.kernel().field("mm_struct", "pgd")?.read(&*self.space, mm)?;
        Ok(UserSpace::new(&self.space, VirtAddr(pgd))?)
    }
}

/// Which kernel crashed, as the dump's headers tell.
fn identity(dump: &Dump) -> Identity {
    let info = dump.vmcoreinfo();
    let header = dump.info().utsname.unwrap_or_default();
    let known = |text: String| Some(text).filter(|text| !text.is_empty());
    Identity {
        release: info.release().map(str::to_owned).or_else(|| known(header.release)),
        version: known(header.version),
        build_id: info.build_id().map(str::to_owned),
    }
}

/// Where a CPU's stack pointer was.
fn sp(cpu: &Cpu) -> Option<VirtAddr> {
    let registers: &Registers = cpu.registers.as_ref().ok()?;
    registers.get(Register::Rsp).map(VirtAddr)
}

/// `THREAD_SIZE`: that of `union thread_union`; 16 KiB on x86-64 since 3.15.
fn stack_size(types: &Types) -> u64 {
    const TODAY: u64 = 16 * 1024;
    let union = types.find(Tag::Union, "thread_union").ok().and_then(|union| union.size());
    union.filter(|size| size.is_power_of_two() && (4096..=1 << 20).contains(size)).unwrap_or(TODAY)
}

/// What the dump says about its page tables.
fn clues(dump: &Dump) -> PageTableClues {
    let info = dump.vmcoreinfo();
    let either = |a, b| info.symbol(a).or_else(|| info.symbol(b));
    PageTableClues {
        swapper_pg_dir: either("swapper_pg_dir", "init_top_pgt"),
        phys_base: info.number("phys_base").or(dump.info().phys_base),
        five_levels: five_levels(info, dump),
        sme_mask: info.number("sme_mask").map_or(0, i64::cast_unsigned),
        in_image: ["_stext", "init_uts_ns"].iter().filter_map(|name| info.symbol(name)).collect(),
        cr3: dump.cpus().iter().filter_map(|cpu| cpu.cr3).collect(),
    }
}

fn five_levels(info: &VmcoreInfo, dump: &Dump) -> bool {
    /// `X86_CR4_LA57`
    const LA57: u64 = 1 << 12;
    match info.number("pgtable_l5_enabled") {
        Some(enabled) => enabled != 0,
        None => dump.cpus().iter().filter_map(|cpu| cpu.cr4).any(|cr4| cr4 & LA57 != 0),
    }
}
