//! `struct new_utsname` (include/uapi/linux/utsname.h): six texts of 65 bytes.

use super::text::scrub;

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
    pub(super) fn parse(bytes: &[u8]) -> Utsname {
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
