//! The x86-64 registers as far as they are known.

/// A register, numbered as DWARF numbers them on x86-64 (System V ABI, figure 3.36); the rest
/// follows.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[allow(missing_docs, reason = "the names say it")]
pub enum Register {
    Rax = 0,
    Rdx = 1,
    Rcx = 2,
    Rbx = 3,
    Rsi = 4,
    Rdi = 5,
    Rbp = 6,
    Rsp = 7,
    R8 = 8,
    R9 = 9,
    R10 = 10,
    R11 = 11,
    R12 = 12,
    R13 = 13,
    R14 = 14,
    R15 = 15,
    Rip = 16,
    Rflags = 17,
    Cs = 18,
    Ss = 19,
    OrigRax = 20,
}

impl Register {
    /// All of them, in number order.
    pub const ALL: [Register; 21] = [
        Register::Rax,
        Register::Rdx,
        Register::Rcx,
        Register::Rbx,
        Register::Rsi,
        Register::Rdi,
        Register::Rbp,
        Register::Rsp,
        Register::R8,
        Register::R9,
        Register::R10,
        Register::R11,
        Register::R12,
        Register::R13,
        Register::R14,
        Register::R15,
        Register::Rip,
        Register::Rflags,
        Register::Cs,
        Register::Ss,
        Register::OrigRax,
    ];

    /// Whether a function gives it back to its caller as it was (System V ABI).
    #[must_use]
    pub const fn is_callee_saved(self) -> bool {
        use Register::{R12, R13, R14, R15, Rbp, Rbx};
        matches!(self, Rbx | Rbp | R12 | R13 | R14 | R15)
    }

    /// Its name, as crash prints it: `RAX`, `R8`, `ORIG_RAX`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Register::Rax => "RAX",
            Register::Rdx => "RDX",
            Register::Rcx => "RCX",
            Register::Rbx => "RBX",
            Register::Rsi => "RSI",
            Register::Rdi => "RDI",
            Register::Rbp => "RBP",
            Register::Rsp => "RSP",
            Register::R8 => "R8",
            Register::R9 => "R9",
            Register::R10 => "R10",
            Register::R11 => "R11",
            Register::R12 => "R12",
            Register::R13 => "R13",
            Register::R14 => "R14",
            Register::R15 => "R15",
            Register::Rip => "RIP",
            Register::Rflags => "RFLAGS",
            Register::Cs => "CS",
            Register::Ss => "SS",
            Register::OrigRax => "ORIG_RAX",
        }
    }
}

/// The values of those registers that are known.
///
/// Of most frames these are rip, rsp and rbp, and many frames are kept: those three have a place, all
/// others together one elsewhere, when it is wanted.
#[derive(Clone, Default, Debug)]
pub struct Registers {
    /// rip, rsp and rbp; what is there of those that are not known means nothing.
    usual: [u64; 3],
    /// All others, by their numbers.
    others: Option<Box<[u64; 21]>>,
    /// A bit for each register that is known.
    known: u32,
}

impl Registers {
    /// The value of a register, if it is known.
    #[must_use]
    pub fn get(&self, register: Register) -> Option<u64> {
        if self.known & (1 << register as u32) == 0 {
            return None;
        }
        match register {
            Register::Rip => Some(self.usual[0]),
            Register::Rsp => Some(self.usual[1]),
            Register::Rbp => Some(self.usual[2]),
            _ => self.others.as_ref()?.get(register as usize).copied(),
        }
    }

    /// Sets or forgets a register.
    pub fn set(&mut self, register: Register, value: Option<u64>) {
        let bit = 1 << register as u32;
        let Some(value) = value else {
            self.known &= !bit;
            return;
        };
        self.known |= bit;
        match register {
            Register::Rip => self.usual[0] = value,
            Register::Rsp => self.usual[1] = value,
            Register::Rbp => self.usual[2] = value,
            _ => {
                let others = self.others.get_or_insert_default();
                if let Some(slot) = others.get_mut(register as usize) {
                    *slot = value;
                }
            }
        }
    }

    /// The known ones with their values, in number order.
    pub fn iter(&self) -> impl Iterator<Item = (Register, u64)> {
        Register::ALL.into_iter().filter_map(|register| Some((register, self.get(register)?)))
    }
}

impl PartialEq for Registers {
    fn eq(&self, other: &Registers) -> bool {
        self.known == other.known && self.iter().eq(other.iter())
    }
}

impl Eq for Registers {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_forgotten_register_leaves_no_trace() {
        let mut registers = Registers::default();
        for register in Register::ALL {
            registers.set(register, Some(register as u64 + 1));
        }
        let all: Vec<u64> = registers.iter().map(|(_, value)| value).collect();
        assert_eq!(all, (1..=21).collect::<Vec<u64>>());
        for register in Register::ALL {
            registers.set(register, None);
        }
        assert_eq!(registers, Registers::default());
        registers.set(Register::Rbp, Some(7));
        assert_ne!(registers, Registers::default());
    }

    #[test]
    fn only_known_registers_are_listed() {
        let mut registers = Registers::default();
        registers.set(Register::Rip, Some(7));
        registers.set(Register::Rbx, Some(3));
        registers.set(Register::Rbx, None);
        assert_eq!(registers.get(Register::Rbx), None);
        assert_eq!(registers.iter().collect::<Vec<_>>(), [(Register::Rip, 7)]);
    }

    #[test]
    fn numbers_are_positions() {
        for (position, register) in Register::ALL.into_iter().enumerate() {
            assert_eq!(position, register as usize);
        }
    }
}
