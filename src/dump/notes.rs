//! ELF notes: in an ELF dump's PT_NOTE, and copied into the sub-header of a kdump-compressed file.
//!
//! Each is an `Elf64_Nhdr` (three 32-bit words: the lengths of owner and data, and the type), then
//! owner and data.

use super::bytes::{slice, u32_at};

/// `NT_PRSTATUS`, of owner `CORE`: the registers of a CPU.
pub(super) const PRSTATUS: u32 = 1;
/// `NT_AUXV`, of owner `CORE`: only a process has one.
pub(super) const AUXV: u32 = 6;

/// One note.
pub(super) struct Note<'a> {
    /// Who defines the type, without the NUL.
    pub(super) owner: &'a [u8],
    pub(super) kind: u32,
    pub(super) data: &'a [u8],
    /// Where `data` starts, in bytes from the first note.
    pub(super) at: u64,
}

/// The notes in `bytes`, to the end or to the first that is damaged. Owner and data are padded to
/// four bytes each.
pub(super) fn notes(bytes: &[u8]) -> impl Iterator<Item = Note<'_>> {
    let mut at: u64 = 0;
    std::iter::from_fn(move || {
        let header = slice(bytes, at, 12)?;
        let owner_len = u64::from(u32_at(header, 0));
        let data_len = u64::from(u32_at(header, 4));
        let owner = slice(bytes, at + 12, owner_len)?;
        let data_at = at + 12 + owner_len.next_multiple_of(4);
        let data = slice(bytes, data_at, data_len)?;
        at = data_at + data_len.next_multiple_of(4);
        let end = owner.iter().position(|&byte| byte == 0).unwrap_or(owner.len());
        Some(Note { owner: owner.get(..end)?, kind: u32_at(header, 8), data, at: data_at })
    })
}

/// The VMCOREINFO note.
pub(super) fn vmcoreinfo(bytes: &[u8]) -> Option<Note<'_>> {
    notes(bytes).find(|note| note.owner == b"VMCOREINFO")
}

/// A note as it stands in a file.
pub(super) fn build(owner: &[u8], kind: u32, data: &[u8]) -> Vec<u8> {
    let len = |bytes: usize| u32::try_from(bytes).unwrap_or(u32::MAX).to_le_bytes();
    let mut note = [len(owner.len() + 1), len(data.len()), kind.to_le_bytes()].concat();
    note.extend(owner);
    note.push(0);
    note.resize(note.len().next_multiple_of(4), 0);
    note.extend(data);
    note.resize(note.len().next_multiple_of(4), 0);
    note
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notes_end_where_one_is_damaged() {
        let mut bytes = Vec::new();
        bytes.extend([5, 0, 0, 0, 3, 0, 0, 0, 1, 0, 0, 0]);
        bytes.extend(b"CORE\0\0\0\0abc\0");
        bytes.extend([5, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 1, 0, 0, 0]);
        let found: Vec<_> = notes(&bytes).map(|note| (note.owner, note.kind, note.data)).collect();
        assert_eq!(found, [(&b"CORE"[..], 1, &b"abc"[..])]);
    }
}
