//! The compiled kernel of the test: where its symbols are, how its types are laid out, what its code does to a stack.

use hangscope::debuginfo::{Dwarf, ElfFile, Symbols, Types};
use iced_x86::{Decoder, DecoderOptions, Instruction, Mnemonic, OpKind, Register};
use std::cell::RefCell;
use std::collections::HashMap;
use std::path::Path;

/// Where the kernel's code and data are linked to, and so far above their physical address (`phys_base` is 0).
pub(crate) const IMAGE: u64 = 0xffff_ffff_8000_0000;

pub(crate) struct Kernel {
    symbols: Symbols,
    types: Types,
    /// Start of `.text`, and its bytes.
    text: (u64, Vec<u8>),
    rodata: (u64, Vec<u8>),
    /// What was once worked out.
    returns: RefCell<HashMap<(String, String), u64>>,
    prologues: RefCell<HashMap<String, Vec<Step>>>,
}

impl Kernel {
    pub(crate) fn open(path: &Path) -> Kernel {
        let vmlinux = ElfFile::open(path).unwrap();
        let section = |name: &str| {
            let section = vmlinux.section(name).unwrap();
            (section.at.0, section.bytes.to_vec())
        };
        let (text, rodata) = (section(".text"), section(".rodata"));
        let symbols = Symbols::new(vmlinux.symbols(0).unwrap(), Vec::new());
        let mut types = Types::new();
        types.add(Box::new(Dwarf::new(&vmlinux, 0, 0).unwrap()));
        Kernel {
            symbols,
            types,
            text,
            rodata,
            returns: RefCell::default(),
            prologues: RefCell::default(),
        }
    }

    pub(crate) fn symbol(&self, name: &str) -> u64 {
        self.symbols.address(name).unwrap_or_else(|| panic!("no symbol {name}")).0
    }

    /// Bytes from the start of `struct NAME` to the member at `path`.
    pub(crate) fn offset(&self, name: &str, path: &str) -> u64 {
        self.types.structure(name).unwrap().offset_of(path).unwrap()
    }

    pub(crate) fn size(&self, name: &str) -> u64 {
        self.types.structure(name).unwrap().size().unwrap()
    }

    /// What the image holds that is not zero: (address, bytes).
    pub(crate) fn contents(&self) -> [&(u64, Vec<u8>); 2] {
        [&self.text, &self.rodata]
    }

    /// The function's instructions, up to the next function.
    fn instructions(&self, function: &str) -> Vec<Instruction> {
        let start = self.symbol(function);
        let names: Vec<u64> = self
            .symbols
            .tables()
            .next()
            .unwrap()
            .iter()
            .filter(|symbol| {
                symbol.is_text()
                    && !["thread_return", "system_call_fastpath"].contains(&symbol.name)
            })
            .map(|symbol| symbol.at.0)
            .collect();
        let end = names.into_iter().filter(|at| *at > start).min().unwrap();
        let range = |at: u64| usize::try_from(at - self.text.0).unwrap();
        let code = &self.text.1[range(start)..range(end)];
        Decoder::with_ip(64, code, start, DecoderOptions::NONE).into_iter().collect()
    }

    /// Where a function goes on after it called another: by its name, or else through a pointer.
    pub(crate) fn return_address(&self, caller: &str, callee: &str) -> u64 {
        let key = (caller.to_owned(), callee.to_owned());
        let mut known = self.returns.borrow_mut();
        *known.entry(key).or_insert_with(|| self.find_return_address(caller, callee))
    }

    fn find_return_address(&self, caller: &str, callee: &str) -> u64 {
        let target = self.symbol(callee);
        let code = self.instructions(caller);
        let direct = code.iter().find(|i| i.is_call_near() && i.near_branch_target() == target);
        let indirect = || code.iter().find(|i| i.is_call_near_indirect());
        let call =
            direct.or_else(indirect).unwrap_or_else(|| panic!("{caller} does not call {callee}"));
        call.next_ip()
    }

    /// The instructions with which a function makes its frame.
    pub(crate) fn prologue(&self, function: &str) -> Vec<Step> {
        let mut known = self.prologues.borrow_mut();
        known.entry(function.to_owned()).or_insert_with(|| self.find_prologue(function)).clone()
    }

    fn find_prologue(&self, function: &str) -> Vec<Step> {
        let mut steps = Vec::new();
        for code in self.instructions(function) {
            let step = match (code.mnemonic(), code.op0_register()) {
                (Mnemonic::Push, register) if code.op0_kind() == OpKind::Register => {
                    Step::Push(register)
                }
                (Mnemonic::Mov, Register::RBP) if code.op1_register() == Register::RSP => {
                    Step::Frame
                }
                (Mnemonic::Sub, Register::RSP) => Step::Room(code.immediate(1)),
                _ => break,
            };
            steps.push(step);
        }
        steps
    }
}

/// An instruction at the start of a function.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Step {
    Push(Register),
    /// `mov %rsp, %rbp`
    Frame,
    /// `sub $N, %rsp`
    Room(u64),
}
