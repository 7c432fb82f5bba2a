//! The seed case: a published analysis of a hung CentOS 6 machine, replayed.
//!
//! No public copy of that dump exists. These tests build one from the published figures: kernel.c and code.S are
//! compiled to a small vmlinux with the types and the code of that kernel, and `machine` lays out its memory by them.
//! The result is part of the program (`hangscope --demo=seed`), and says in its name, its log and its notes that it
//! is synthetic. `SEED_WRITE=1 cargo test --test seed` writes it again.

#[path = "cast.rs"]
mod cast;
#[path = "kernel.rs"]
mod kernel;
#[path = "machine.rs"]
mod machine;
#[path = "memory.rs"]
mod memory;
#[path = "stack.rs"]
mod stack;

mod build;
mod replay;
