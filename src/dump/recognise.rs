//! What a file is, by how it starts.

use super::error::WhyNot;
use super::image::Image;
use super::kdump;
use super::text::scrub;

/// A format that can be read.
pub(super) enum Format {
    Kdump,
    Elf,
}

/// Formats of crash dumps that cannot be read, by their first bytes: the constants are those of
/// crash's and libkdumpfile's readers.
const UNSUPPORTED: &[(&[u8], &str)] = &[
    (b"\xed\x23\x8f\x61\x73\x01\x19\xa8", "an LKCD dump"),
    (b"\xcd\x23\x8f\x61\x73\x01\x19\xa8", "an LKCD dump of a live system"),
    (b"\xa8\x19\x01\x73\x61\x8f\x23\xed", "a big-endian LKCD dump"),
    (b"\xa8\x19\x01\x73\x61\x8f\x23\xfd", "an s390 stand-alone dump"),
    (b"\xd0\xbe\xd0\xbe", "a VMware suspend file (vmss)"),
    (b"\xd1\xbe\xd1\xbe", "a VMware suspend file (vmss)"),
    (b"\xd2\xbe\xd2\xbe", "a VMware suspend file (vmss)"),
    (b"\xd3\xbe\xd3\xbe", "a VMware suspend file (vmss)"),
    (b"QEVM", "a saved QEMU machine (savevm)"),
    (b"LibvirtQemudSave", "a machine saved by libvirt"),
    (b"LibvirtQemudPart", "a machine saved by libvirt, incompletely"),
    (b"sadump\0\0", "an sadump dump"),
    (b"LinuxGuestRecord", "a machine saved by Xen"),
    (b"EMiL", "a LiME memory image"),
    (b"AVML", "an AVML memory image"),
    (b"PAGEDU64", "a Windows crash dump"),
    (b"PAGEDUMP", "a Windows crash dump"),
    (b"MDMP", "a Windows minidump"),
];

/// What people hand over by mistake.
const MISTAKEN: &[(&[u8], &str)] = &[
    (b"\x1f\x8b", "compressed as a whole with gzip; decompress it first"),
    (b"\x28\xb5\x2f\xfd", "compressed as a whole with zstd; decompress it first"),
    (b"\xfd7zXZ", "compressed as a whole with xz; decompress it first"),
    (b"BZh", "compressed as a whole with bzip2; decompress it first"),
    (b"\x04\x22\x4d\x18", "compressed as a whole with lz4; decompress it first"),
    (b"PK\x03\x04", "a zip archive; unpack it first"),
    (b"OSRELEASE=", "the text of VMCOREINFO, not a crash dump"),
];

/// Which format the file has.
pub(super) fn recognise(image: &Image) -> Result<Format, WhyNot> {
    let start = image.header::<16>(0);
    if start.starts_with(kdump::SIGNATURE) || start.starts_with(kdump::OLD_SIGNATURE) {
        return Ok(Format::Kdump);
    }
    if start.starts_with(b"\x7fELF") {
        return Ok(Format::Elf);
    }
    if let Some((_, name)) = UNSUPPORTED.iter().find(|(magic, _)| start.starts_with(magic)) {
        return Err(WhyNot::Unsupported((*name).into()));
    }
    if let Some((_, what)) = MISTAKEN.iter().find(|(magic, _)| start.starts_with(magic)) {
        return Err(WhyNot::Mistaken(what));
    }
    if &image.header::<4>(0x202) == b"HdrS" {
        return Err(WhyNot::Mistaken("a kernel image (bzImage), not a crash dump"));
    }
    if &image.header::<5>(257) == b"ustar" {
        return Err(WhyNot::Mistaken("a tar archive; unpack it first"));
    }
    if image.len() == 0 {
        return Err(WhyNot::Damaged("a flattened dump that ends after its header"));
    }
    let shown = usize::try_from(image.len()).unwrap_or(start.len()).min(start.len());
    let shown = scrub(start.get(..shown).unwrap_or_default());
    Err(WhyNot::NotADump(format!("\"{shown}\"")))
}
