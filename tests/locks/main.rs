//! Locks in whole dumps: very many of them, and damaged ones.
//!
//! Both stand on the demo that is part of the program, a real dump of a real kernel: its tasks are copied, or the
//! memory of its locks is damaged, and the program opens the result.

#[path = "memory.rs"]
mod memory;

mod crowd;
mod damaged;
