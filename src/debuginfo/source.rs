//! Source files that debug information names, found in trees on this machine.
//!
//! A compiler writes down paths of the machine that it ran on. A tree says where files of that
//! kernel lie here: either its root, under which the longest tail of a path that is there counts
//! (`/build/linux-6.1/kernel/fork.c`, then `build/…`, … `kernel/fork.c`), or what the beginning of
//! a path is to be replaced with. No file outside the trees is ever opened.

use crate::dump::scrub;
use std::collections::VecDeque;
use std::fs;
use std::path::{Path, PathBuf};

/// Bytes of a file that is read: ten times the kernel's largest.
const MAX_FILE: u64 = 64 << 20;
/// Files and folders that are looked at for a name; a kernel has some 100,000.
const MAX_LOOKED_AT: usize = 400_000;
/// Columns from one tab stop to the next.
const TAB: usize = 8;

/// Where source files lie.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum SourceTree {
    /// The root of a tree of them.
    Root(PathBuf),
    /// Paths that start with `from` lie under `to`.
    Mapped {
        /// As the debug information has it.
        from: String,
        /// The folder here.
        to: PathBuf,
    },
}

impl SourceTree {
    /// `DIR` or `FROM=TO`.
    #[must_use]
    pub fn parse(text: &str) -> SourceTree {
        match text.split_once('=') {
            Some((from, to)) if !from.is_empty() && !to.is_empty() => {
                SourceTree::Mapped { from: from.to_owned(), to: PathBuf::from(to) }
            }
            _ => SourceTree::Root(PathBuf::from(text)),
        }
    }

    /// Where a path with so many of its parts left off at the front would lie.
    fn candidate(&self, file: &str, parts: &[&str], skipped: usize) -> Option<PathBuf> {
        match self {
            SourceTree::Root(root) => Some(joined(root, parts.get(skipped..)?)),
            SourceTree::Mapped { from, to } if skipped == 0 => {
                let rest = file.strip_prefix(from.as_str())?;
                let whole = from.ends_with('/') || rest.is_empty() || rest.starts_with('/');
                whole.then(|| joined(to, &parts_of(rest)))
            }
            SourceTree::Mapped { .. } => None,
        }
    }
}

/// The lines of a source file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SourceFile {
    /// Where it lies.
    pub path: PathBuf,
    /// Scrubbed, tabs expanded.
    pub lines: Vec<String>,
}

impl SourceFile {
    /// A line by its number, from 1.
    #[must_use]
    pub fn line(&self, number: u32) -> Option<&str> {
        let index = usize::try_from(number).ok()?.checked_sub(1)?;
        self.lines.get(index).map(String::as_str)
    }
}

/// All the trees that were named.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct SourceTrees(Vec<SourceTree>);

impl SourceTrees {
    /// These trees, of which the first that has a file counts.
    #[must_use]
    pub fn new(trees: Vec<SourceTree>) -> SourceTrees {
        SourceTrees(trees)
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The file that a path of the debug information names.
    #[must_use]
    pub fn read(&self, file: &str) -> Option<SourceFile> {
        let parts = parts_of(file);
        for skipped in 0..parts.len() {
            let candidates = self.0.iter().filter_map(|t| t.candidate(file, &parts, skipped));
            if let Some(found) = candidates.into_iter().find_map(|path| read(&path)) {
                return Some(found);
            }
        }
        None
    }

    /// The file that a person calls so: by the end of its path, anywhere in the trees. Of several
    /// the one with the shortest path.
    #[must_use]
    pub fn search(&self, name: &str) -> Option<SourceFile> {
        let tail = joined(Path::new(""), &parts_of(name));
        if tail.as_os_str().is_empty() {
            return None;
        }
        let root = |tree: &SourceTree| match tree {
            SourceTree::Root(path) | SourceTree::Mapped { to: path, .. } => path.clone(),
        };
        let mut folders: VecDeque<PathBuf> = self.0.iter().map(root).collect();
        let mut looked_at = 0;
        // Breadth first: the first that is found has the shortest path.
        while let Some(folder) = folders.pop_front() {
            let Ok(entries) = fs::read_dir(&folder) else { continue };
            let mut entries: Vec<_> = entries.flatten().collect();
            entries.sort_by_key(fs::DirEntry::file_name);
            for entry in entries {
                looked_at += 1;
                if looked_at > MAX_LOOKED_AT {
                    return None;
                }
                // Links are not followed: they may lead in circles.
                match entry.file_type() {
                    Ok(kind) if kind.is_dir() => folders.push_back(entry.path()),
                    Ok(kind) if kind.is_file() && entry.path().ends_with(&tail) => {
                        if let Some(found) = read(&entry.path()) {
                            return Some(found);
                        }
                    }
                    _ => {}
                }
            }
        }
        None
    }
}

/// The parts of a path, with `.` and `..` resolved; what would lead out at the front is dropped.
fn parts_of(file: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    for part in file.split('/') {
        match part {
            "" | "." => {}
            ".." => _ = parts.pop(),
            part => parts.push(part),
        }
    }
    parts
}

fn joined(root: &Path, parts: &[&str]) -> PathBuf {
    parts.iter().fold(root.to_owned(), |path, part| path.join(part))
}

fn read(path: &Path) -> Option<SourceFile> {
    let about = fs::metadata(path).ok()?;
    if !about.is_file() || about.len() > MAX_FILE {
        return None;
    }
    let bytes = fs::read(path).ok()?;
    let mut lines: Vec<String> = bytes.split(|byte| *byte == b'\n').map(line).collect();
    if lines.last().is_some_and(String::is_empty) {
        lines.pop();
    }
    Some(SourceFile { path: path.to_owned(), lines })
}

fn line(bytes: &[u8]) -> String {
    let mut text = String::new();
    let mut pieces = bytes.strip_suffix(b"\r").unwrap_or(bytes).split(|byte| *byte == b'\t');
    text += &scrub(pieces.next().unwrap_or_default());
    for piece in pieces {
        let column = text.chars().count();
        text += &" ".repeat(TAB - column % TAB);
        text += &scrub(piece);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A folder of files of this test, removed at its end.
    struct Tree(PathBuf);

    impl Tree {
        fn with(name: &str, files: &[(&str, &str)]) -> Tree {
            let root =
                std::env::temp_dir().join(format!("hangscope-{name}-{}", std::process::id()));
            for (file, text) in files {
                let path = root.join(file);
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                fs::write(path, text).unwrap();
            }
            Tree(root)
        }

        fn root(&self) -> SourceTrees {
            SourceTrees::new(vec![SourceTree::Root(self.0.clone())])
        }
    }

    impl Drop for Tree {
        fn drop(&mut self) {
            _ = fs::remove_dir_all(&self.0);
        }
    }

    fn first(found: Option<SourceFile>) -> Option<String> {
        found.and_then(|file| file.line(1).map(str::to_owned))
    }

    #[test]
    fn the_longest_tail_of_a_path_counts() {
        let tree = Tree::with("tail", &[("kernel/fork.c", "right"), ("fork.c", "wrong")]);
        let trees = tree.root();
        assert_eq!(first(trees.read("/build/linux/kernel/fork.c")).unwrap(), "right");
        assert_eq!(first(trees.read("./kernel/../kernel/fork.c")).unwrap(), "right");
        assert_eq!(first(trees.read("/build/mm/fork.c")).unwrap(), "wrong");
        assert_eq!(trees.read("kernel/exit.c"), None);
        assert_eq!(trees.read("kernel"), None);
    }

    #[test]
    fn no_path_leads_out_of_the_tree() {
        let tree = Tree::with("out", &[("in/a.c", "in"), ("secret.c", "out")]);
        let trees = SourceTrees::new(vec![SourceTree::Root(tree.0.join("in"))]);
        assert_eq!(trees.read("../secret.c"), None);
        assert_eq!(trees.read("x/../../../secret.c"), None);
        assert_eq!(trees.read(tree.0.join("secret.c").to_str().unwrap()), None);
        assert_eq!(first(trees.read("../a.c")).unwrap(), "in");
    }

    #[test]
    fn a_mapped_beginning_is_replaced_at_a_slash_only() {
        let tree = Tree::with("map", &[("kernel/fork.c", "mapped")]);
        let map = format!("/build/linux={}", tree.0.display());
        let trees = SourceTrees::new(vec![SourceTree::parse(&map)]);
        assert_eq!(first(trees.read("/build/linux/kernel/fork.c")).unwrap(), "mapped");
        assert_eq!(trees.read("/build/linux-6.1/kernel/fork.c"), None);
        assert_eq!(trees.read("kernel/fork.c"), None);
        assert_eq!(SourceTree::parse("/usr/src"), SourceTree::Root("/usr/src".into()));
    }

    #[test]
    fn a_name_is_found_anywhere_in_the_tree() {
        let files = [("a/b/c/fork.c", "deep"), ("kernel/fork.c", "near"), ("kernel/xfork.c", "x")];
        let tree = Tree::with("name", &files);
        assert_eq!(first(tree.root().search("fork.c")).unwrap(), "near");
        assert_eq!(first(tree.root().search("c/fork.c")).unwrap(), "deep");
        assert_eq!(tree.root().search("nothing.c"), None);
    }

    #[test]
    fn lines_are_made_safe_to_show() {
        let tree = Tree::with("lines", &[("a.c", "\tif (x)\n ab\t{ \x1b[2J\r\n\nend\n")]);
        let file = tree.root().read("a.c").unwrap();
        assert_eq!(file.lines, ["        if (x)", " ab     { \\x1b[2J", "", "end"]);
        assert_eq!((file.line(0), file.line(4), file.line(5)), (None, Some("end"), None));
    }
}
