//! The one place with `unsafe`: a file mapped into memory.

use std::fs::File;
use std::io;
use std::ops::Deref;

/// The bytes of a dump, a vmlinux or a module: a mapped file, or bytes compiled into the program.
pub(crate) enum Bytes {
    /// A mapped file.
    Mapped(memmap2::Mmap),
    /// Part of the program.
    Static(&'static [u8]),
    /// Unpacked, or made up by a test.
    Owned(Vec<u8>),
}

impl Bytes {
    /// Maps a whole file, read only.
    #[expect(unsafe_code, reason = "mapping a file is unsafe by nature")]
    pub(crate) fn map(file: &File) -> io::Result<Bytes> {
        // SAFETY: the mapping is private and read only, and nothing in this program writes the
        // file. Another process may: its changes show up as changed bytes, which every reader here
        // treats as hostile anyway and copies out before it trusts them, and a file that is cut
        // off while it is open ends the program with SIGBUS, as `Dump` documents.
        let mapped = unsafe { memmap2::Mmap::map(file) }?;
        Ok(Bytes::Mapped(mapped))
    }
}

impl Deref for Bytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Bytes::Mapped(mapped) => mapped,
            Bytes::Static(bytes) => bytes,
            Bytes::Owned(bytes) => bytes,
        }
    }
}
