//! A file becomes physical memory.
//!
//! [`Dump::open`] recognises the format, maps the file and reads its headers, nothing more; pages
//! are found and decompressed when they are asked for. Above this floor there are no file formats,
//! only [`PhysicalMemory`] and the notes that the crashed kernel left.

mod addr;
mod bitmap;
mod bytes;
mod cache;
mod cpu;
#[cfg(test)]
mod damage;
mod elf;
mod error;
mod fault;
mod flattened;
mod image;
mod info;
mod kdump;
mod mapping;
mod notes;
mod open;
mod packed;
mod pages;
#[cfg(test)]
mod recipe;
mod recognise;
mod record;
#[cfg(test)]
mod tests;
mod text;
pub mod trim;
mod utsname;
mod vmcoreinfo;

pub use addr::{PAGE_SIZE, PhysAddr, VirtAddr};
pub use cpu::{CpuNote, CpuNoteSource};
pub use error::{OpenError, WhyNot};
pub use fault::{At, Fault, Level, Why};
pub use info::DumpInfo;
pub(crate) use mapping::Bytes;
pub use open::Dump;
pub use packed::Compression;
pub use record::{PageSet, Recorder};
pub use text::scrub;
pub use utsname::Utsname;
pub use vmcoreinfo::VmcoreInfo;

/// The memory of the machine that crashed.
///
/// One small trait under every format and over every test double.
pub trait PhysicalMemory: Send + Sync {
    /// Fills `buf` from `at` on. A read may cross pages.
    ///
    /// # Errors
    /// A [`Fault`] that names the first byte which is not there and why; `buf` is then undefined.
    fn read(&self, at: PhysAddr, buf: &mut [u8]) -> Result<(), Fault>;
}
