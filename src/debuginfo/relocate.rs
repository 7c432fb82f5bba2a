//! What is left for the kernel's loader in a module's file: its sections have no addresses yet, and
//! every address in its debug information is a hole with a note of what belongs there (`Elf64_Rela`:
//! offset, type and symbol, addend).
//!
//! Once it is known where the kernel put each section (`sect_attrs` of `struct module`), the holes
//! are filled as `apply_relocate_add()` does (arch/x86/kernel/module.c). Sections that are not loaded,
//! those of debug information among them, begin at 0: what points into them is an offset.

use super::elf::ElfError;
use crate::dump::Bytes;
use flate2::bufread::GzDecoder;
use std::io::{self, Read, Write};

// R_X86_64_*
const ABS_64: u32 = 1;
const PC_32: u32 = 2;
const ABS_32: u32 = 10;
const ABS_32_SIGNED: u32 = 11;
const PC_64: u32 = 24;
/// Bytes of an `Elf64_Rela`.
const RELA: usize = 24;
/// No module's file is larger when unpacked: the largest have 200 MB with their debug information.
const MAX_UNPACKED: u64 = 1 << 30;

/// Fills the holes of a section that lies at `at`. `value` is where a symbol is, by its number.
pub(super) fn apply(
    section: &mut [u8],
    at: u64,
    relocations: &[u8],
    value: impl Fn(usize) -> Option<u64>,
) {
    for relocation in relocations.chunks_exact(RELA) {
        let mut words = relocation.as_chunks().0.iter().map(|word| u64::from_le_bytes(*word));
        let (Some(offset), Some(info), Some(addend)) = (words.next(), words.next(), words.next())
        else {
            return;
        };
        let (kind, symbol) = (info & 0xffff_ffff, usize::try_from(info >> 32));
        let Ok(symbol) = symbol else { continue };
        let (Ok(kind), Some(value)) = (u32::try_from(kind), value(symbol)) else { continue };
        let result = value.wrapping_add(addend);
        let (result, wide) = match kind {
            ABS_64 => (result, true),
            ABS_32 | ABS_32_SIGNED => (result, false),
            PC_64 => (result.wrapping_sub(at.wrapping_add(offset)), true),
            PC_32 => (result.wrapping_sub(at.wrapping_add(offset)), false),
            _ => continue,
        };
        let Some(hole) = usize::try_from(offset).ok().and_then(|from| section.get_mut(from..))
        else {
            continue;
        };
        let bytes = result.to_le_bytes();
        let bytes = if wide { &bytes[..] } else { bytes.first_chunk::<4>().map_or(&[][..], |b| b) };
        if let Some(hole) = hole.get_mut(..bytes.len()) {
            hole.copy_from_slice(bytes);
        }
    }
}

/// A module's file unpacked: `.ko.xz`, `.ko.zst` and `.ko.gz` begin with what tells how.
pub(super) fn unpack(file: Bytes) -> Result<Bytes, ElfError> {
    let mut whole = Bounded(Vec::new());
    let copied = match file.get(..6) {
        Some([0x1f, 0x8b, ..]) => io::copy(&mut GzDecoder::new(&*file), &mut whole).map(drop),
        Some([0x28, 0xb5, 0x2f, 0xfd, ..]) => zstd::stream::copy_decode(&*file, &mut whole),
        Some([0xfd, b'7', b'z', b'X', b'Z', 0]) => {
            lzma_rs::xz_decompress(&mut file.take(u64::MAX), &mut whole)
                .map_err(|error| io::Error::other(format!("{error:?}")))
        }
        _ => return Ok(file),
    };
    copied.map_err(|_| ElfError::Damaged("it cannot be unpacked"))?;
    Ok(Bytes::Owned(whole.0))
}

/// Bytes, not more than a module's file has.
struct Bounded(Vec<u8>);

impl Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let size = u64::try_from(self.0.len() + bytes.len()).unwrap_or(u64::MAX);
        if size > MAX_UNPACKED {
            return Err(io::Error::other("it is too large"));
        }
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_hole_gets_what_belongs_there_and_none_outside() {
        let mut section = [0xee; 24];
        let relocations: Vec<u8> = [
            (0_u64, ABS_64, 1_u64, 0x10_u64),
            (8, ABS_32, 1, 1),
            (12, PC_32, 1, 0),
            (20, ABS_32, 9, 0),
            (22, ABS_32, 1, 0),
            (u64::MAX, ABS_64, 1, 0),
        ]
        .iter()
        .flat_map(|&(at, kind, symbol, addend)| [at, symbol << 32 | u64::from(kind), addend])
        .flat_map(u64::to_le_bytes)
        .collect();
        let value = |symbol| (symbol == 1).then_some(0xffff_ffff_c000_1000);
        apply(&mut section, 0xffff_ffff_c000_2000, &relocations, value);
        assert_eq!(section[..8], 0xffff_ffff_c000_1010_u64.to_le_bytes());
        assert_eq!(section[8..12], 0xc000_1001_u32.to_le_bytes());
        assert_eq!(section[12..16], (-0x100c_i32).to_le_bytes());
        assert_eq!(section[16..], [0xee; 8]);
    }

    #[test]
    fn packed_files_are_unpacked_and_damaged_ones_refused() {
        let text = b"\x7fELF and so on".repeat(100);
        let mut xz = Vec::new();
        lzma_rs::xz_compress(&mut text.as_slice(), &mut xz).unwrap();
        let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gz.write_all(&text).unwrap();
        for packed in [xz, gz.finish().unwrap(), zstd::encode_all(&*text, 3).unwrap()] {
            assert_eq!(*unpack(Bytes::Owned(packed.clone())).unwrap(), *text);
            let cut = packed[..packed.len() / 2].to_vec();
            assert!(unpack(Bytes::Owned(cut)).is_err());
        }
        assert_eq!(*unpack(Bytes::Owned(text.clone())).unwrap(), *text);
    }
}
