//! What a task is doing: the bits of `task_struct::__state` and `exit_state`.
//!
//! The bits have moved (`include/linux/sched.h`: `EXIT_DEAD` and `EXIT_ZOMBIE` changed places in
//! 3.14, `TASK_PARKED` went from 0x200 to 0x40 in 4.14, everything above it with it). The kernel
//! has a table of their names for `/proc/PID/status`, `task_state_array` in `fs/proc/array.c`, and
//! that is asked.

use super::image::Kernel;
use std::fmt;

/// The state of a task, by the two letters that crash prints.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum State {
    /// `RU`: running or runnable.
    Running,
    /// `IN`: interruptible sleep.
    Interruptible,
    /// `UN`: uninterruptible sleep.
    Uninterruptible,
    /// `ID`: idle kernel thread (`TASK_IDLE`).
    Idle,
    /// `ST`: stopped.
    Stopped,
    /// `TR`: stopped by a tracer.
    Traced,
    /// `ZO`: exited, not yet waited for.
    Zombie,
    /// `DE`: dead.
    Dead,
    /// `NE`: new.
    New,
    /// `PA`: parked.
    Parked,
    /// `WA`: waking.
    Waking,
    /// A combination of bits that has no letters.
    Other(u64),
}

impl State {
    /// The two letters; `??` for a value without any.
    #[must_use]
    pub const fn letters(self) -> &'static str {
        match self {
            State::Running => "RU",
            State::Interruptible => "IN",
            State::Uninterruptible => "UN",
            State::Idle => "ID",
            State::Stopped => "ST",
            State::Traced => "TR",
            State::Zombie => "ZO",
            State::Dead => "DE",
            State::New => "NE",
            State::Parked => "PA",
            State::Waking => "WA",
            State::Other(_) => "??",
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.letters())
    }
}

/// Which bit means what in this kernel. 0 for what it does not have.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct StateBits {
    interruptible: u64,
    uninterruptible: u64,
    stopped: u64,
    traced: u64,
    zombie: u64,
    dead: u64,
    parked: u64,
    waking: u64,
    noload: u64,
    new: u64,
    /// States that the kernel itself reports as uninterruptible: `TASK_RTLOCK_WAIT`, `TASK_FROZEN`.
    like_uninterruptible: u64,
    /// Says how a sleeper may be woken, not that it sleeps: `TASK_FREEZABLE`.
    modifiers: u64,
}

/// Entries of `task_state_array`: no kernel has more than 12.
const MAX_NAMES: u64 = 16;

impl StateBits {
    /// As since 4.14.
    const TODAY: StateBits = StateBits {
        interruptible: 1,
        uninterruptible: 2,
        stopped: 4,
        traced: 8,
        dead: 0x10 | 0x80,
        zombie: 0x20,
        parked: 0x40,
        waking: 0x200,
        noload: 0x400,
        new: 0x800,
        like_uninterruptible: 0x1000 | 0x8000,
        modifiers: 0x2000 | 0x4000,
    };

    /// Those of the kernel in the dump; today's where its table cannot be read.
    pub(super) fn probe(kernel: Kernel<'_>) -> StateBits {
        StateBits::from_names(&names(kernel)).unwrap_or(StateBits::TODAY)
    }

    fn from_names(names: &[String]) -> Option<StateBits> {
        let bit = |word: &str| {
            names
                .iter()
                .zip(0u32..)
                .filter(|(name, _)| name.contains(word))
                .fold(0, |bits, (_, i)| bits | if i == 0 { 0 } else { 1 << (i - 1) })
        };
        let parked = bit("(parked)");
        let bits = StateBits {
            interruptible: bit("(sleeping)"),
            uninterruptible: bit("(disk sleep)"),
            stopped: bit("(stopped)"),
            traced: bit("(tracing stop)"),
            zombie: bit("(zombie)"),
            dead: bit("(dead)"),
            parked,
            ..StateBits::TODAY
        };
        if bits.interruptible == 0 || bits.uninterruptible == 0 || bits.zombie == 0 {
            return None;
        }
        Some(if parked == StateBits::TODAY.parked {
            StateBits { dead: bits.dead | 0x80, ..bits }
        } else {
            // Up to 4.13: TASK_DEAD 0x40, TASK_WAKEKILL 0x80, TASK_WAKING 0x100, TASK_PARKED 0x200,
            // TASK_NOLOAD 0x400, TASK_NEW 0x800.
            StateBits {
                dead: bits.dead | 0x40,
                waking: 0x100,
                parked: 0x200,
                like_uninterruptible: 0,
                modifiers: 0,
                ..bits
            }
        })
    }

    /// The state behind `__state` and `exit_state`.
    ///
    /// Where several bits are set, crash's order decides: stopped and traced before zombie, that
    /// before asleep, dead last. States that crash gives no letters are told as `/proc` tells them.
    pub(super) const fn decode(self, state: u64, exit_state: u64) -> State {
        let all = state | exit_state;
        let bits = all & !self.modifiers;
        if bits == 0 {
            State::Running
        } else if bits & self.traced != 0 {
            State::Traced
        } else if bits & self.stopped != 0 {
            State::Stopped
        } else if bits & self.zombie != 0 {
            State::Zombie
        } else if bits & self.uninterruptible != 0 {
            if bits & self.noload != 0 { State::Idle } else { State::Uninterruptible }
        } else if bits & self.interruptible != 0 {
            State::Interruptible
        } else if bits & self.dead != 0 {
            State::Dead
        } else if bits & self.like_uninterruptible != 0 {
            State::Uninterruptible
        } else if bits == self.parked {
            State::Parked
        } else if bits == self.waking {
            State::Waking
        } else if bits == self.new {
            State::New
        } else {
            State::Other(all)
        }
    }
}

/// The texts of `task_state_array`: "R (running)", "S (sleeping)" …
fn names(kernel: Kernel<'_>) -> Vec<String> {
    let Some(array) = kernel.symbols.address("task_state_array") else {
        return Vec::new();
    };
    (0..MAX_NAMES)
        .map_while(|i| {
            let text = kernel.memory.read_ptr(array.plus(8 * i)).ok()?;
            let text = String::from_utf8(kernel.memory.read_cstr(text, 32).ok()?).ok()?;
            (text.get(1..3) == Some(" (") && text.ends_with(')')).then_some(text)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::debuginfo::{SymbolTable, Symbols, Types};
    use crate::dump::VirtAddr;
    use crate::kernel::testing::Image;

    fn texts(texts: &[&str]) -> Vec<String> {
        texts.iter().map(|text| (*text).to_owned()).collect()
    }

    #[test]
    fn the_letters_are_those_that_crash_prints() {
        let letters = |state, exit| StateBits::TODAY.decode(state, exit).letters();
        assert_eq!(letters(0, 0), "RU");
        assert_eq!(letters(1, 0), "IN");
        assert_eq!(letters(2, 0), "UN");
        assert_eq!(letters(0x402, 0), "ID");
        assert_eq!(letters(0x102, 0), "UN", "killable");
        assert_eq!(letters(0x104, 0), "ST");
        assert_eq!(letters(8, 0), "TR");
        assert_eq!(letters(0x80, 0x20), "ZO");
        assert_eq!(letters(0x80, 0x10), "DE");
        assert_eq!(letters(0x40, 0), "PA");
        assert_eq!(letters(0x200, 0), "WA");
        assert_eq!(letters(0x800, 0), "NE");
        assert_eq!(letters(0x2001, 0), "IN", "freezable");
        assert_eq!(letters(0x1000, 0), "UN", "waits for a sleeping spinlock");
        assert_eq!(letters(0x8000, 0), "UN", "frozen");
        assert_eq!(StateBits::TODAY.decode(0x1_0000, 0), State::Other(0x1_0000));
    }

    #[test]
    fn bits_that_moved_are_found_by_their_names() {
        // 3.10
        let old = StateBits::from_names(&texts(&[
            "R (running)",
            "S (sleeping)",
            "D (disk sleep)",
            "T (stopped)",
            "t (tracing stop)",
            "Z (zombie)",
            "X (dead)",
            "x (dead)",
            "K (wakekill)",
            "W (waking)",
            "P (parked)",
        ]))
        .unwrap();
        assert_eq!(old.decode(0x40, 0x10).letters(), "ZO");
        assert_eq!(old.decode(0x40, 0x20).letters(), "DE");
        assert_eq!(old.decode(0x200, 0).letters(), "PA");
        assert_eq!(old.decode(0x100, 0).letters(), "WA");
        // 6.1
        let new = StateBits::from_names(&texts(&[
            "R (running)",
            "S (sleeping)",
            "D (disk sleep)",
            "T (stopped)",
            "t (tracing stop)",
            "X (dead)",
            "Z (zombie)",
            "P (parked)",
            "I (idle)",
        ]));
        assert_eq!(new, Some(StateBits::TODAY));
        assert_eq!(StateBits::from_names(&texts(&["R (running)"])), None);
    }

    #[test]
    fn the_table_ends_where_its_texts_end() {
        let mut image = Image::default();
        for (slot, text) in (0u64..).zip(["R (running)", "S (sleeping)", "no state"]) {
            image.put_u64(0x100 + 8 * slot, 0x1000 + 64 * slot);
            image.put(0x1000 + 64 * slot, &[0; 64]);
            image.put(0x1000 + 64 * slot, text.as_bytes());
        }
        let mut table = SymbolTable::new(None);
        table.push("task_state_array", VirtAddr(0x100), 'd');
        let symbols = Symbols::new(table.finish(VirtAddr(0x200)), Vec::new());
        let kernel = Kernel { memory: &image, types: &Types::new(), symbols: &symbols };
        assert_eq!(names(kernel), ["R (running)", "S (sleeping)"]);
    }
}
