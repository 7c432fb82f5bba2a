//! VMCOREINFO: what the kernel tells about itself, as `NAME=value` lines
//! (kernel/vmcore_info.c, before 6.9 kernel/crash_core.c).

use super::addr::VirtAddr;
use super::text::scrub;
use foldhash::HashMap;

/// More than any kernel writes; it fills one page there.
const MAX_BYTES: usize = 1 << 20;

/// The lines of VMCOREINFO; empty when the dump has none.
#[derive(Clone, Default, Debug)]
pub struct VmcoreInfo {
    raw: Vec<u8>,
    lines: HashMap<String, String>,
}

impl VmcoreInfo {
    /// Reads the lines; what is no `NAME=value` is left out.
    #[must_use]
    pub fn parse(raw: &[u8]) -> VmcoreInfo {
        let raw = raw.get(..raw.len().min(MAX_BYTES)).unwrap_or_default();
        let end = raw.iter().position(|&byte| byte == 0).unwrap_or(raw.len());
        let raw = raw.get(..end).unwrap_or_default();
        let mut lines = HashMap::default();
        for line in raw.split(|&byte| byte == b'\n') {
            if let Some(equals) = line.iter().position(|&byte| byte == b'=') {
                let (name, value) = line.split_at(equals);
                lines.insert(scrub(name), scrub(value.get(1..).unwrap_or_default()));
            }
        }
        VmcoreInfo { raw: raw.to_vec(), lines }
    }

    /// Whether the dump has none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    /// The bytes as the kernel wrote them, not scrubbed.
    #[must_use]
    pub fn raw(&self) -> &[u8] {
        &self.raw
    }

    /// The value of a line by its full name, such as `OSRELEASE` or `SYMBOL(swapper_pg_dir)`.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.lines.get(name).map(String::as_str)
    }

    /// The kernel's release, such as `6.1.0-50-cloud-amd64`.
    #[must_use]
    pub fn release(&self) -> Option<&str> {
        self.get("OSRELEASE")
    }

    /// The build id of vmlinux in hex; some kernels write bytes that are none.
    #[must_use]
    pub fn build_id(&self) -> Option<&str> {
        self.get("BUILD-ID").filter(|id| {
            id.len() >= 8 && id.len() % 2 == 0 && id.bytes().all(|byte| byte.is_ascii_hexdigit())
        })
    }

    /// How far KASLR moved the kernel from its link address, in bytes.
    #[must_use]
    pub fn kernel_offset(&self) -> Option<u64> {
        hex(self.get("KERNELOFFSET")?)
    }

    /// When the kernel crashed, in seconds since 1970.
    #[must_use]
    pub fn crash_time(&self) -> Option<u64> {
        self.get("CRASHTIME")?.parse().ok()
    }

    /// `SYMBOL(name)`: where a symbol lies, KASLR included.
    #[must_use]
    pub fn symbol(&self, name: &str) -> Option<VirtAddr> {
        hex(self.get(&format!("SYMBOL({name})"))?).map(VirtAddr)
    }

    /// `NUMBER(name)`: a constant or variable. Decimal, where the kernel did not write `0x`; one
    /// above `i64::MAX` comes as its two's complement.
    #[must_use]
    pub fn number(&self, name: &str) -> Option<i64> {
        let text = self.get(&format!("NUMBER({name})"))?;
        if text.starts_with("0x") {
            return hex(text).map(u64::cast_signed);
        }
        text.parse().ok().or_else(|| text.parse().ok().map(u64::cast_signed))
    }

    /// `OFFSET(name)`: bytes from the start of a struct to a member, `task_struct.mm`.
    #[must_use]
    pub fn offset(&self, name: &str) -> Option<u64> {
        self.get(&format!("OFFSET({name})"))?.parse().ok()
    }

    /// `SIZE(name)`: bytes in a struct.
    #[must_use]
    pub fn size(&self, name: &str) -> Option<u64> {
        self.get(&format!("SIZE({name})"))?.parse().ok()
    }

    /// `LENGTH(name)`: elements in an array.
    #[must_use]
    pub fn length(&self, name: &str) -> Option<u64> {
        self.get(&format!("LENGTH({name})"))?.parse().ok()
    }
}

/// Hex, with or without `0x`.
fn hex(text: &str) -> Option<u64> {
    u64::from_str_radix(text.strip_prefix("0x").unwrap_or(text), 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINES: &[u8] = b"OSRELEASE=6.1\x1b[2J\nBUILD-ID=bb603a91\nSYMBOL(prb)=ffffffff98c62540\n\
        NUMBER(phys_base)=-257949696\nNUMBER(VA_BITS)=0x30\nOFFSET(list_head.prev)=8\n\
        SIZE(page)=64\nLENGTH(zone.free_area)=11\nKERNELOFFSET=16200000\nCRASHTIME=1783000000\n\
        no value\n\0trailing=1\n";

    #[test]
    fn each_kind_of_line_has_its_base() {
        let info = VmcoreInfo::parse(LINES);
        assert_eq!(info.symbol("prb"), Some(VirtAddr(0xffff_ffff_98c6_2540)));
        assert_eq!(info.number("phys_base"), Some(-257_949_696));
        assert_eq!(info.number("VA_BITS"), Some(48));
        assert_eq!(info.offset("list_head.prev"), Some(8));
        assert_eq!(info.size("page"), Some(64));
        assert_eq!(info.length("zone.free_area"), Some(11));
        assert_eq!(info.kernel_offset(), Some(0x1620_0000));
        assert_eq!(info.crash_time(), Some(1_783_000_000));
        assert_eq!(info.build_id(), Some("bb603a91"));
    }

    #[test]
    fn text_is_scrubbed_and_ends_at_the_first_nul() {
        let info = VmcoreInfo::parse(LINES);
        assert_eq!(info.release(), Some("6.1\\x1b[2J"));
        assert_eq!(info.get("trailing"), None);
        assert_eq!(info.get("no value"), None);
    }

    #[test]
    fn a_build_id_that_is_no_hex_is_none() {
        assert_eq!(VmcoreInfo::parse(b"BUILD-ID=\xd0\xff\x01garbage\n").build_id(), None);
    }
}
