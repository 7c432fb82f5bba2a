//! Compressed pages: zlib, LZO, snappy and zstd, as makedumpfile and QEMU use them, one at a time.

use super::fault::Why;
use std::cell::RefCell;

/// How a page is compressed. A file may mix them: a page that would not shrink is stored as it is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Compression {
    /// Not compressed.
    Raw,
    /// zlib, makedumpfile `-c`.
    Zlib,
    /// LZO1X, makedumpfile `-l`.
    Lzo,
    /// snappy, makedumpfile `-p`.
    Snappy,
    /// zstd, makedumpfile `-z`.
    Zstd,
}

impl Compression {
    /// From the flags of a page descriptor, or of the header's status (diskdump_mod.h,
    /// `DUMP_DH_COMPRESSED_*`); `None` when they name none of these.
    pub(super) fn from_flags(flags: u32) -> Option<Compression> {
        match flags & 0x27 {
            0 if flags == 0 => Some(Compression::Raw),
            0x1 => Some(Compression::Zlib),
            0x2 => Some(Compression::Lzo),
            0x4 => Some(Compression::Snappy),
            0x20 => Some(Compression::Zstd),
            _ => None,
        }
    }

    /// Its name in lower case; `raw` for none.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Compression::Raw => "raw",
            Compression::Zlib => "zlib",
            Compression::Lzo => "lzo",
            Compression::Snappy => "snappy",
            Compression::Zstd => "zstd",
        }
    }
}

thread_local! {
    // Their tables are far larger than a page: made once a thread, not once a page.
    static ZSTD: RefCell<Option<zstd::bulk::Decompressor<'static>>> =
        RefCell::new(zstd::bulk::Decompressor::new().ok());
    static ZLIB: RefCell<flate2::Decompress> = RefCell::new(flate2::Decompress::new(true));
}

/// Fills `page` from `packed`, which must hold exactly one page.
pub(super) fn unpack(method: Compression, packed: &[u8], page: &mut [u8]) -> Result<(), Why> {
    let len = match method {
        Compression::Raw => {
            if packed.len() == page.len() {
                page.copy_from_slice(packed);
            }
            Some(packed.len())
        }
        Compression::Zlib => unpack_zlib(packed, page),
        Compression::Lzo => lzokay::decompress::decompress(packed, page).ok(),
        Compression::Snappy => match snap::raw::decompress_len(packed) {
            Ok(len) if len == page.len() => snap::raw::Decoder::new().decompress(packed, page).ok(),
            Ok(len) => Some(len),
            Err(_) => None,
        },
        Compression::Zstd => ZSTD.with_borrow_mut(|zstd| {
            zstd.as_mut().and_then(|zstd| zstd.decompress_to_buffer(packed, page).ok())
        }),
    };
    match len {
        Some(len) if len == page.len() => Ok(()),
        Some(_) => Err(Why::Corrupt("its data is not one page long")),
        None => Err(Why::Corrupt(match method {
            Compression::Raw => "it cannot be copied",
            Compression::Zlib => "it does not decompress (zlib)",
            Compression::Lzo => "it does not decompress (LZO)",
            Compression::Snappy => "it does not decompress (snappy)",
            Compression::Zstd => "it does not decompress (zstd)",
        })),
    }
}

fn unpack_zlib(packed: &[u8], page: &mut [u8]) -> Option<usize> {
    ZLIB.with_borrow_mut(|zlib| {
        zlib.reset(true);
        match zlib.decompress(packed, page, flate2::FlushDecompress::Finish) {
            Ok(flate2::Status::StreamEnd) => usize::try_from(zlib.total_out()).ok(),
            _ => None,
        }
    })
}
