//! The bytes of a section of debug information, unpacked where the file has them compressed.
//!
//! Two ways of compression are about: ELF's own (`SHF_COMPRESSED`, an `Elf64_Chdr` of type, size
//! and alignment before the data) and GNU's older one (a section named `.zdebug_…` that begins
//! with `ZLIB` and the size, big endian). In a module's file addresses are still to be filled in.

use super::DwarfError;
use crate::debuginfo::elf::{ElfFile, Stored};
use std::io::Read;
use std::ops::Deref;

/// No section of any kernel's debug information is larger when unpacked; one that says so lies.
const MAX_UNPACKED: u64 = 4 << 30;
/// `ELFCOMPRESS_ZLIB`
const ZLIB: u32 = 1;
/// `ELFCOMPRESS_ZSTD`
const ZSTD: u32 = 2;
/// Bytes of an `Elf64_Chdr`.
const CHDR: usize = 24;

/// A section's bytes.
pub(super) enum Contents {
    /// As they are in the file.
    InFile(Stored),
    /// Unpacked; empty where the file has no such section.
    Own(Vec<u8>),
}

impl Deref for Contents {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Contents::InFile(stored) => stored,
            Contents::Own(bytes) => bytes,
        }
    }
}

/// The section `name` (`.debug_info`), unpacked; nothing where the file has none.
///
/// # Errors
/// [`DwarfError::Section`] when it cannot be unpacked.
pub(super) fn load(file: &ElfFile, name: &str) -> Result<Contents, DwarfError> {
    let contents = as_stored(file, name)?;
    if !file.has_holes(name) {
        return Ok(contents);
    }
    let mut own = match contents {
        Contents::InFile(stored) => stored.to_vec(),
        Contents::Own(bytes) => bytes,
    };
    file.relocate(name, &mut own);
    Ok(Contents::Own(own))
}

fn as_stored(file: &ElfFile, name: &str) -> Result<Contents, DwarfError> {
    let damaged = |why: String| DwarfError::Section { section: name.to_owned(), why };
    if let Some(stored) = file.stored(name) {
        if !stored.compressed {
            return Ok(Contents::InFile(stored));
        }
        return unpack_elf(&stored).map(Contents::Own).map_err(damaged);
    }
    let older = name.strip_prefix(".debug_").map(|rest| format!(".zdebug_{rest}"));
    match older.and_then(|older| file.stored(&older)) {
        Some(stored) => unpack_gnu(&stored).map(Contents::Own).map_err(damaged),
        None => Ok(Contents::Own(Vec::new())),
    }
}

/// A section with an `Elf64_Chdr`.
fn unpack_elf(bytes: &[u8]) -> Result<Vec<u8>, String> {
    const SHORT: &str = "it is shorter than its own header";
    let (header, packed) = bytes.split_at_checked(CHDR).ok_or(SHORT)?;
    let kind = header.first_chunk().map_or(0, |four| u32::from_le_bytes(*four));
    let size = header.get(8..).and_then(|rest| rest.first_chunk());
    let size = size.map_or(0, |eight| u64::from_le_bytes(*eight));
    match kind {
        ZLIB => take(flate2::bufread::ZlibDecoder::new(packed), size),
        ZSTD => {
            let decoder = zstd::stream::read::Decoder::with_buffer(packed);
            take(decoder.map_err(|error| error.to_string())?, size)
        }
        other => Err(format!("it is compressed in an unknown way ({other})")),
    }
}

/// A section that begins with `ZLIB`.
fn unpack_gnu(bytes: &[u8]) -> Result<Vec<u8>, String> {
    let rest = bytes.strip_prefix(b"ZLIB").ok_or("it does not begin with ZLIB")?;
    let (size, packed) = rest.split_first_chunk().ok_or("it is shorter than its own header")?;
    take(flate2::bufread::ZlibDecoder::new(packed), u64::from_be_bytes(*size))
}

/// Exactly `size` bytes.
fn take(from: impl Read, size: u64) -> Result<Vec<u8>, String> {
    if size > MAX_UNPACKED {
        return Err(format!("it claims to unpack to {size} bytes"));
    }
    // Grows as bytes come: the size is only believed when they are there.
    let mut bytes = Vec::new();
    from.take(size).read_to_end(&mut bytes).map_err(|error| error.to_string())?;
    if u64::try_from(bytes.len()) != Ok(size) {
        return Err(format!("it unpacks to {} bytes and not {size}", bytes.len()));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::debuginfo::elf::tests::{file, open};
    use flate2::Compression;
    use flate2::write::ZlibEncoder;
    use goblin::elf::section_header::{SHF_COMPRESSED, SHT_PROGBITS};
    use std::io::Write;

    const TEXT: &[u8] = b"the same the same the same the same the same";

    fn zlib() -> Vec<u8> {
        let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(TEXT).unwrap();
        encoder.finish().unwrap()
    }

    fn chdr(kind: u32, size: usize, packed: &[u8]) -> Vec<u8> {
        let mut bytes = kind.to_le_bytes().to_vec();
        bytes.extend([0; 4]);
        bytes.extend(u64::try_from(size).unwrap().to_le_bytes());
        bytes.extend(1_u64.to_le_bytes());
        bytes.extend(packed);
        bytes
    }

    fn section(name: &str, flags: u32, bytes: &[u8]) -> Result<Vec<u8>, String> {
        let elf = open(file(&[(name, SHT_PROGBITS, flags, 0, 0, bytes)])).unwrap();
        load(&elf, ".debug_str").map(|contents| contents.to_vec()).map_err(|e| e.to_string())
    }

    #[test]
    fn sections_are_read_plain_or_compressed_in_any_way() {
        assert_eq!(section(".debug_str", 0, TEXT).unwrap(), TEXT);
        let packed = chdr(ZLIB, TEXT.len(), &zlib());
        assert_eq!(section(".debug_str", SHF_COMPRESSED, &packed).unwrap(), TEXT);
        let packed = chdr(ZSTD, TEXT.len(), &zstd::encode_all(TEXT, 3).unwrap());
        assert_eq!(section(".debug_str", SHF_COMPRESSED, &packed).unwrap(), TEXT);
        let mut packed = b"ZLIB".to_vec();
        packed.extend(u64::try_from(TEXT.len()).unwrap().to_be_bytes());
        packed.extend(zlib());
        assert_eq!(section(".zdebug_str", 0, &packed).unwrap(), TEXT);
        assert_eq!(section(".other", 0, TEXT).unwrap(), b"");
    }

    #[test]
    fn a_section_that_cannot_be_unpacked_says_why() {
        let error = |bytes: &[u8]| section(".debug_str", SHF_COMPRESSED, bytes).unwrap_err();
        assert!(error(&[1, 2, 3]).ends_with("it is shorter than its own header"));
        assert!(error(&chdr(9, 4, b"")).ends_with("it is compressed in an unknown way (9)"));
        let long = error(&chdr(ZLIB, 1000, &zlib()));
        assert_eq!(long, "its section .debug_str is damaged: it unpacks to 44 bytes and not 1000");
        let lie = error(&chdr(ZLIB, usize::MAX, &zlib()));
        assert!(lie.contains("claims to unpack to"), "{lie}");
        assert!(section(".zdebug_str", 0, b"ZLIB").is_err());
    }
}
