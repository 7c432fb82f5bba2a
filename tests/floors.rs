//! The house has floors, and arrows point down: a floor uses only those under it.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// From the ground up. `cli` and `tui` stand on one level and never import each other.
const FLOORS: [&str; 11] = [
    "dump",
    "memory",
    "debuginfo",
    "object",
    "unwind",
    "kernel",
    "locks",
    "present",
    "command",
    "cli",
    "tui",
];

fn sources(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|ext| ext == "rs") {
            found.push(path);
        }
    }
}

/// The floors that a source file names after `crate::`, in `use` lines and elsewhere; doc comments
/// may point anywhere.
fn floors_named(text: &str) -> BTreeSet<String> {
    let code: String = text
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"))
        .map(|line| format!("{line}\n"))
        .collect();
    let mut named = BTreeSet::new();
    for (at, matched) in code.match_indices("crate::") {
        let rest = &code[at + matched.len()..];
        let names: Vec<&str> = match rest.strip_prefix('{') {
            // use crate::{dump::Fault, memory::VirtualMemory}
            Some(list) => list.split('}').next().unwrap().split(',').collect(),
            None => vec![rest],
        };
        for name in names {
            let name = name.trim_start();
            let end = name.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(name.len());
            named.insert(name[..end].to_owned());
        }
    }
    named
}

#[test]
fn no_arrow_points_up() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut wrong = Vec::new();
    for (level, floor) in FLOORS.iter().enumerate() {
        let mut files = Vec::new();
        sources(&src.join(floor), &mut files);
        assert!(!files.is_empty(), "no sources in {floor}");
        for file in files {
            for named in floors_named(&fs::read_to_string(&file).unwrap()) {
                let Some(other) = FLOORS.iter().position(|floor| *floor == named) else { continue };
                // cli starts the explorer; that is the one arrow between the two.
                let siblings = *floor == "tui" && named == "cli";
                let starts = *floor == "cli" && named == "tui" && file.ends_with("cli/mod.rs");
                if (other > level && !starts) || siblings {
                    wrong.push(format!("{} uses {named}", file.display()));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "arrows that point up:\n{}", wrong.join("\n"));
}

#[test]
fn the_reader_of_floors_sees_every_form() {
    let text = "use crate::dump::Fault;\nuse crate::{memory::X, kernel::Y};\n//! crate::tui\nlet a = crate::locks::b();";
    let named: Vec<String> = floors_named(text).into_iter().collect();
    assert_eq!(named, ["dump", "kernel", "locks", "memory"]);
}
