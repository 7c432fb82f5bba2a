//! `tree`: red-black trees, xarrays and radix trees, maple trees.

use super::entries::{Entry, Shown, answer};
use super::words::Words;
use super::{Answer, Call, Command, CommandError, Console, structure};
use crate::command::select;
use crate::dump::VirtAddr;
use crate::kernel::walk::{self, Walked};
use crate::present::Radix;

pub(super) const TREE: Command = Command {
    name: "tree",
    usage: "tree [-t rbtree | radix | xarray | maple] [-o OFFSET] [-r OFFSET] [-s TYPE[.MEMBER,...]] [-p] [-x] START",
    summary: "the entries of a tree, in order",
    details: "START is the rb_root, xarray, radix_tree_root or maple_tree\n-t          the kind of tree; rbtree without it\n-o OFFSET   where the rb_node is in each entry: bytes, or TYPE.MEMBER\n-r OFFSET   where the root is in START\n-s          what to show of each entry\n-p          with the index or range of each entry (not of red-black trees)\n-x, -d      numbers in hex, in decimal",
    run,
};

/// Larger trees are cut off.
const MOST: usize = 1_000_000;

/// The two low bits that mark what an xarray holds beside pointers.
const MARK: u64 = 3;

fn run(console: &mut Console<'_>, call: &Call<'_>) -> Result<Answer, CommandError> {
    let (mut kind, mut offset, mut root_offset, mut indices) = ("rbtree", 0, 0, false);
    let mut radix = Radix::Decimal;
    let mut shown = Vec::new();
    let mut rest: Vec<&str> = Vec::new();
    let whole = select::rejoined(call.words);
    let mut words = Words::of(&whole);
    while let Some(word) = words.next() {
        match word {
            "-t" => kind = words.value("a kind of tree")?,
            "-o" => offset = structure::offset(console, words.value("an offset")?)?,
            "-r" => root_offset = structure::offset(console, words.value("an offset")?)?,
            "-s" | "-S" => shown.push(Shown::parse(console, words.value("a type")?)?),
            "-p" => indices = true,
            // They come in order anyway.
            "-l" => {}
            "-x" => radix = Radix::Hex,
            "-d" => radix = Radix::Decimal,
            option if option.starts_with('-') => return Err(TREE.unknown(option)),
            word => rest.push(word),
        }
    }
    let start = match rest.as_slice() {
        [start] => console.place(start, call.column)?,
        [] => return Err(CommandError::new("tree wants the address of a root")),
        [_, word, ..] => return Err(TREE.unknown(word)),
    };
    let root = start.plus(root_offset);
    let (memory, types) = (console.session.memory(), console.session.types());
    let remarked =
        |at: VirtAddr, remark: String| Entry { remark: indices.then_some(remark), ..Entry::at(at) };
    let (entries, cut): (Vec<Entry>, _) = match kind {
        "rbtree" | "rb" => {
            let Walked { found, cut } = walk::rbtree(memory, root, MOST);
            let entry = |node: VirtAddr| Entry::at(VirtAddr(node.0.wrapping_sub(offset)));
            (found.into_iter().map(entry).collect(), cut)
        }
        "xarray" | "x" | "radix" | "ra" => {
            let Walked { found, cut } = walk::xarray(memory, types, root, MOST);
            let entry = |found: walk::XArrayEntry| {
                remarked(VirtAddr(found.entry), format!("index {}", found.index))
            };
            // What is marked is a number, or internal, and no object.
            let entries =
                found.into_iter().filter(|found| shown.is_empty() || found.entry & MARK == 0);
            (entries.map(entry).collect(), cut)
        }
        "maple" | "m" => {
            let Walked { found, cut } = walk::maple_tree(memory, types, root, MOST);
            let entry = |range: walk::MapleRange| {
                remarked(VirtAddr(range.entry), format!("{:x}-{:x}", range.first, range.last))
            };
            (found.into_iter().filter(|range| range.entry != 0).map(entry).collect(), cut)
        }
        other => {
            return Err(CommandError::new(format!(
                "no tree of the kind {other}: rbtree, radix, xarray, maple"
            )));
        }
    };
    let notes = cut.into_iter().map(|cut| format!("not all of it: {cut}")).collect();
    Ok(answer(console, entries, &shown, radix, notes))
}
