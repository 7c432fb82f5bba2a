//! Open files: what is in the tables of descriptors of all processes.
//!
//! `task->files->fdt` is a `struct fdtable` with `max_fds` pointers to `struct file`. Threads share a
//! table, forked processes share files: each file is told once. Sources: `include/linux/{fdtable,fs}.h`.

use super::fields::Field;
use super::{Kernel, Known};
use crate::dump::VirtAddr;
use foldhash::HashSet;
use rayon::prelude::*;

/// `sysctl_nr_open` may be raised, but a table beyond this is damage.
const MAX_DESCRIPTORS: u64 = 1 << 20;
/// Bytes of a table that are read at once.
const CHUNK: u64 = 4096;

/// A `struct file` and the inode that it is of.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct OpenFile {
    /// Its `struct inode`.
    pub inode: VirtAddr,
    /// The `struct file`.
    pub file: VirtAddr,
}

/// Where things are.
struct Layout {
    fdt: Field,
    max: Field,
    fd: Field,
    /// In `struct file`: the inode (3.9), or before that the dentry and in it the inode.
    inode: Field,
    by_dentry: Option<Field>,
}

impl Layout {
    fn probe(kernel: Kernel<'_>) -> Known<Layout> {
        let by_inode = kernel.field("file", "f_inode");
        let by_dentry = match by_inode {
            Ok(_) => None,
            Err(_) => Some(kernel.field("dentry", "d_inode")?),
        };
        Ok(Layout {
            fdt: kernel.field("files_struct", "fdt")?,
            max: kernel.field("fdtable", "max_fds")?,
            fd: kernel.field("fdtable", "fd")?,
            inode: by_inode.or_else(|_| kernel.field("file", "f_path.dentry"))?,
            by_dentry,
        })
    }
}

/// Every open file of these `struct files_struct`s, once, in order of inodes. What cannot be read is
/// left out.
///
/// # Errors
/// [`super::Unknown`] when the types do not tell where the tables are.
pub fn open_files(
    kernel: Kernel<'_>,
    tables: impl Iterator<Item = VirtAddr>,
) -> Known<Vec<OpenFile>> {
    let layout = Layout::probe(kernel)?;
    let pointer = |field: Field, at: VirtAddr| {
        let value = field.read(kernel.memory, at).ok().map(VirtAddr);
        value.filter(|value| !value.is_null())
    };
    let tables: HashSet<VirtAddr> = tables.filter(|files| !files.is_null()).collect();
    let files: HashSet<VirtAddr> = tables
        .into_par_iter()
        .filter_map(|files| pointer(layout.fdt, files))
        .flat_map_iter(|table| descriptors(kernel, &layout, table))
        .collect();
    let mut found: Vec<OpenFile> = files
        .into_par_iter()
        .filter_map(|file| {
            let named = pointer(layout.inode, file)?;
            let inode = match layout.by_dentry {
                Some(field) => pointer(field, named)?,
                None => named,
            };
            Some(OpenFile { inode, file })
        })
        .collect();
    found.sort_unstable();
    Ok(found)
}

/// The files of one table.
fn descriptors(kernel: Kernel<'_>, layout: &Layout, table: VirtAddr) -> Vec<VirtAddr> {
    let mut found = Vec::new();
    let read = |field: Field| field.read(kernel.memory, table).unwrap_or(0);
    let (count, first) = (read(layout.max).min(MAX_DESCRIPTORS), VirtAddr(read(layout.fd)));
    for start in (0..count * 8).step_by(usize::try_from(CHUNK).unwrap_or(4096)) {
        let len = usize::try_from(CHUNK.min(count * 8 - start)).unwrap_or(0);
        let Some(at) = first.checked_add(start) else { break };
        let Ok(bytes) = kernel.memory.read_vec(at, len) else { break };
        let (words, _) = bytes.as_chunks();
        let files = words.iter().map(|word| VirtAddr(u64::from_le_bytes(*word)));
        found.extend(files.filter(|file| !file.is_null()));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::debuginfo::Symbols;
    use crate::kernel::testing::{Image, TypeTable};

    const FILES: u64 = 0xffff_8880_0002_0000;
    const TABLE: u64 = 0xffff_8880_0003_0000;
    const DESCRIPTORS: u64 = 0xffff_8880_0004_0000;
    const FILE: u64 = 0xffff_8880_0005_0000;

    fn types() -> TypeTable {
        TypeTable::new()
            .with("files_struct", 64, &[("fdt", 32, 8)])
            .with("fdtable", 64, &[("max_fds", 0, 4), ("fd", 8, 8)])
            .with("path", 16, &[("mnt", 0, 8), ("dentry", 8, 8)])
    }

    fn memory(max: u64) -> Image {
        let mut memory = Image::default();
        memory.put_u64(FILES + 32, TABLE);
        memory.put_u64(TABLE, max);
        memory.put_u64(TABLE + 8, DESCRIPTORS);
        for (slot, file) in [FILE, 0, FILE + 0x100, FILE].into_iter().enumerate() {
            memory.put_u64(DESCRIPTORS + 8 * slot as u64, file);
        }
        memory
    }

    fn found(types: TypeTable, memory: &Image) -> Vec<(u64, u64)> {
        let (types, symbols) = (types.types(), Symbols::default());
        let kernel = Kernel { memory, types: &types, symbols: &symbols };
        // Of two threads, and of one that has exited.
        let tables = [VirtAddr(FILES), VirtAddr(FILES), VirtAddr(0)];
        let files = open_files(kernel, tables.into_iter()).unwrap();
        files.into_iter().map(|file| (file.inode.0, file.file.0)).collect()
    }

    #[test]
    fn each_file_is_told_once_with_its_inode() {
        let types = types().with("file", 64, &[("f_inode", 24, 8)]);
        let mut memory = memory(4);
        memory.put_u64(FILE + 24, 0x9000);
        memory.put_u64(FILE + 0x100 + 24, 0x8000);
        assert_eq!(found(types, &memory), [(0x8000, FILE + 0x100), (0x9000, FILE)]);
    }

    #[test]
    fn before_3_9_the_dentry_leads_to_the_inode() {
        let types = types().with("file", 64, &[("f_path: path", 16, 0)]).with(
            "dentry",
            64,
            &[("d_inode", 48, 8)],
        );
        let mut memory = memory(4);
        memory.put_u64(FILE + 24, 0x7000);
        memory.put_u64(0x7000 + 48, 0x9000);
        assert_eq!(found(types, &memory), [(0x9000, FILE)]);
    }

    #[test]
    fn a_table_of_impossible_length_ends_where_it_cannot_be_read() {
        let types = types().with("file", 64, &[("f_inode", 24, 8)]);
        let memory = memory(0xffff_ffff);
        assert_eq!(found(types, &memory), []);
    }
}
