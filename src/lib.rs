//! hangscope: why does this machine hang, and who holds it up?
//!
//! A library that reads Linux kernel crash dumps (vmcores), and the explorer and command line that
//! stand on it. The floors, each using only those above it in this list:
//!
//! | floor | idea |
//! | --- | --- |
//! | [`dump`] | a file becomes physical memory |
//! | [`memory`] | virtual addresses: page tables, KASLR, address spaces |
//! | [`debuginfo`] | names, types, lines, from whatever there is |
//! | [`object`] | typed values in dump memory |
//! | [`unwind`] | stacks into frames |
//! | [`kernel`] | the kernel's nouns: tasks, CPUs, modules, the log; and the `Session` of an opened dump |
//! | [`locks`] | who holds what, who waits for it, how we know |
//! | [`present`] | one description of each table, for the screen, text and JSON |
//! | [`command`] | crash-style commands: text in, a document out |
//! | [`cli`], [`tui`] | print it, draw it; neither knows the other |
//!
//! What holds everywhere:
//!
//! - **The dump is hostile.** Walks are bounded, lengths are checked before they size anything,
//!   text is scrubbed where it enters the model. The lints below forbid what could panic on file data.
//! - **Ask the types, not the version.** No kernel version stands in a condition.
//! - **Every doubtful value says why**: a [`dump::Fault`] below, [`kernel::Unknown`] above.
//! - **One truth, many faces**: screen, text and JSON show the same rows from the same columns.

#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::panic,
        clippy::cast_possible_truncation
    )
)]

// Tests of this crate share what stands under tests/ with those outside of it.
#[cfg(test)]
extern crate self as hangscope;

pub mod cli;
pub mod command;
pub mod debuginfo;
pub mod dump;
pub mod kernel;
pub mod locks;
pub mod memory;
pub mod object;
pub mod present;
pub mod tui;
pub mod unwind;
