//! `struct new_utsname` (include/uapi/linux/utsname.h): six texts of 65 bytes.

use super::addr::PhysAddr;
use super::open::{Dump, Source};
use super::text::scrub;

/// Bytes in the struct.
const LEN: usize = 6 * 65;
/// Where the kernel's image is mapped, before KASLR (`__START_KERNEL_map`).
const START_KERNEL_MAP: u64 = 0xffff_ffff_8000_0000;

/// What `uname -a` says. Texts are empty where the writer of the dump left them so.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Utsname {
    /// `Linux`.
    pub sysname: String,
    /// The machine's name.
    pub nodename: String,
    /// The kernel's release.
    pub release: String,
    /// When and how it was built.
    pub version: String,
    /// `x86_64`.
    pub machine: String,
    /// NIS domain.
    pub domainname: String,
}

impl Utsname {
    /// Reads the struct, as far as it is there.
    #[must_use]
    pub fn parse(bytes: &[u8]) -> Utsname {
        let mut fields = bytes.chunks(65).map(|field| {
            let end = field.iter().position(|&byte| byte == 0).unwrap_or(field.len());
            scrub(field.get(..end).unwrap_or_default())
        });
        let mut next = || fields.next().unwrap_or_default();
        Utsname {
            sysname: next(),
            nodename: next(),
            release: next(),
            version: next(),
            machine: next(),
            domainname: next(),
        }
    }
}

/// The struct's bytes: from the dump's header or, where that has none, out of the kernel's
/// `init_uts_ns`. What cannot be found is zero, the release taken from VMCOREINFO.
pub(super) fn find(dump: &Dump, phys_base: i64) -> Vec<u8> {
    let is_named = |raw: &[u8]| !Utsname::parse(raw).release.is_empty();
    if let Source::Kdump(pages) = dump.source() {
        let raw = pages.first().raw_utsname();
        if is_named(&raw) {
            return raw.to_vec();
        }
    }
    let mut raw = vec![0; LEN];
    let info = dump.vmcoreinfo();
    let name = info.symbol("init_uts_ns").and_then(|at| {
        let at = at.checked_add(info.offset("uts_namespace.name")?)?;
        at.0.checked_sub(START_KERNEL_MAP)?.checked_add_signed(phys_base)
    });
    let is_read = name.is_some_and(|at| dump.memory().read(PhysAddr(at), &mut raw).is_ok());
    if !is_read || !is_named(&raw) {
        raw.fill(0);
        for (field, text) in
            raw.chunks_mut(65).zip(["Linux", "", info.release().unwrap_or(""), "", "x86_64"])
        {
            field.iter_mut().take(64).zip(text.bytes()).for_each(|(to, byte)| *to = byte);
        }
    }
    raw
}
