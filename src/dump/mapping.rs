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

    /// Gives back the memory that holds what was read of a mapped file; it comes again when it is
    /// read again.
    #[expect(unsafe_code, reason = "only some advice to the kernel is safe by itself")]
    pub(crate) fn give_back(&self) {
        if let Bytes::Mapped(mapped) = self {
            // SAFETY: the mapping is private, read only, and of a file: its pages are dropped and
            // read from the file again, and nobody can have written to them.
            let advised = unsafe { mapped.unchecked_advise(memmap2::UncheckedAdvice::DontNeed) };
            // Without it the program only takes more room.
            drop(advised);
        }
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
