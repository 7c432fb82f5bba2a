//! Files that dwz went through (tests/dwz/make.sh made them): with partial units, and with a
//! supplementary file.

use super::testing::{Compiled, SHIFT};
use super::*;
use crate::debuginfo::find::Places;
use crate::debuginfo::{Tag, TypeId, Types};
use crate::memory::FlatMemory;
use std::fs;

const SINGLE: [&[u8]; 2] = [
    include_bytes!("../../../tests/dwz/single-4.zst"),
    include_bytes!("../../../tests/dwz/single-5.zst"),
];

/// A program and what it shares with another.
const SPLIT: [(&[u8], &[u8]); 3] = [
    (
        include_bytes!("../../../tests/dwz/split-4.zst"),
        include_bytes!("../../../tests/dwz/shared-4.zst"),
    ),
    (
        include_bytes!("../../../tests/dwz/split-5.zst"),
        include_bytes!("../../../tests/dwz/shared-5.zst"),
    ),
    (
        include_bytes!("../../../tests/dwz/split-5s.zst"),
        include_bytes!("../../../tests/dwz/shared-5s.zst"),
    ),
];

/// A directory that is gone at the end of the test.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Folder {
        let name = format!("hangscope-{}-dwz-{name}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        fs::create_dir_all(&folder).unwrap();
        Folder(folder)
    }

    /// Unpacks a file to there.
    fn put(&self, path: &str, packed: &[u8]) -> PathBuf {
        let path = self.0.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, zstd::decode_all(packed).unwrap()).unwrap();
        path
    }

    /// Where this is the root directory.
    fn places(&self) -> Places {
        Places { root: self.0.clone(), ..Places::default() }
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        _ = fs::remove_dir_all(&self.0);
    }
}

fn opened(places: &Places, path: &Path) -> Compiled {
    let file = ElfFile::open(path).unwrap();
    let mut dwarf = Dwarf::new(&file, SHIFT, 0).unwrap();
    if let Some(supplement) = places.supplement(&file, path).unwrap() {
        dwarf = dwarf.with_supplement(supplement);
    }
    Compiled { symbols: file.symbols(SHIFT).unwrap(), dwarf }
}

/// All kinds of answers.
fn check(compiled: Compiled) {
    let behind = compiled.at("behind");
    let positions = compiled.dwarf.positions(behind.minus(1)).unwrap();
    let told: Vec<_> = positions
        .iter()
        .map(|at| (at.function.as_deref().unwrap(), at.inlined, at.file.as_deref().unwrap()))
        .collect();
    let inlined = [("innermost", true, "shared.h"), ("middle", true, "shared.h")];
    assert_eq!(told[..2], inlined.map(|(name, is, file)| (name, is, file)));
    assert_eq!(told[2], ("told", false, "one.c"));
    assert_eq!(positions.iter().map(|at| at.line.unwrap()).collect::<Vec<_>>()[1..], [30, 12]);

    let frame = FrameRegisters { at: behind.minus(1), pc: behind, values: [Some(7); 17] };
    let frames = [frame];
    let memory = FlatMemory::new();
    let dwarf_of = |_| Some(&compiled.dwarf);
    let activation = Activation::new(&frames, &memory, &dwarf_of).unwrap();
    let locals = compiled.dwarf.locals(&activation).unwrap();
    let locals: Vec<(String, TypeId, usize)> =
        locals.iter().map(|local| (local.name.to_string(), local.ty, local.position)).collect();

    let notes = compiled.dwarf.notes();
    assert!(notes.is_empty(), "{notes:?}");
    let mut types = Types::new();
    types.add(Box::new(compiled.dwarf));
    let locals: Vec<String> = locals
        .iter()
        .map(|(name, ty, position)| format!("{position} {name}: {}", types.get(*ty).name()))
        .collect();
    for wanted in [
        "0 twice: int",
        "0 count: int",
        "0 of: struct shared *",
        "1 count: int",
        "2 with: word_t",
        "2 of: struct shared *",
        "2 result: int",
    ] {
        assert!(locals.iter().any(|local| local == wanted), "{wanted}: {locals:?}");
    }

    let shared = types.structure("shared").unwrap();
    assert_eq!(shared.size(), Some(48));
    let member = |path| {
        let member = shared.member(path).unwrap();
        (member.ty.name(), member.bit_offset, member.bit_size)
    };
    assert_eq!(member("list.prev"), ("struct list *".to_owned(), 64, None));
    assert_eq!(member("value.bytes"), ("char [8]".to_owned(), 128, None));
    assert_eq!(member("high"), ("unsigned int".to_owned(), 227, Some(5)));
    assert_eq!(member("call").0, "int (*)(struct shared *, word_t)");
    assert_eq!(types.enumerator("GREEN").unwrap().1, 7);
    assert_eq!(types.find(Tag::Typedef, "word_t").unwrap().size(), Some(8));
    let own = types.structure("own").unwrap().member("shared.value.word");
    assert!(own.is_err(), "a pointer is not followed by its name");
    assert_eq!(types.structure("own").unwrap().member("count").unwrap().ty.name(), "word_t");
    assert_eq!(types.structure("pair").unwrap().size(), Some(16));
    // Declared in the header, defined in one file.
    assert_eq!(types.variable("global").unwrap().name(), "struct shared");
    assert_eq!(types.variable("pair").unwrap().name(), "struct pair");
    assert_eq!(types.function("told").unwrap().name(), "int (struct shared *of, word_t with)");
    let structs = types.names(Tag::Struct);
    assert_eq!(structs, ["list", "own", "pair", "shared"]);
}

#[test]
fn partial_units_of_one_file_are_read() {
    let folder = Folder::new("single");
    for (number, packed) in SINGLE.iter().enumerate() {
        let path = folder.put(&format!("{number}"), packed);
        check(opened(&folder.places(), &path));
    }
}

#[test]
fn what_was_moved_to_another_file_is_read_from_there() {
    for (number, (split, shared)) in SPLIT.iter().enumerate() {
        let folder = Folder::new(&format!("split-{number}"));
        let path = folder.put("usr/lib/debug/boot/vmlinux-6.1", split);
        folder.put("usr/lib/debug/boot/shared.debug", shared);
        let compiled = opened(&folder.places(), &path);
        let summary = compiled.dwarf.summary().unwrap();
        assert!(summary.contains(" units, and "), "{summary}");
        assert!(summary.ends_with("/usr/lib/debug/boot/shared.debug"), "{summary}");
        check(compiled);
    }
}

#[test]
fn the_supplementary_file_is_found_wherever_distributions_put_it() {
    let (split, shared) = SPLIT[1];
    let folder = Folder::new("places");
    let path = folder.put("root/usr/lib/debug/lib/modules/6.1/vmlinux", split);
    let root = folder.0.join("root");
    let places = |debug_dirs: Vec<PathBuf>| Places {
        root: root.clone(),
        debug_dirs,
        debuginfod_caches: vec![folder.0.join("cache")],
        ..Places::default()
    };
    let missing = |places: &Places| {
        let file = ElfFile::open(&path).unwrap();
        places.supplement(&file, &path).map(drop).unwrap_err().to_string()
    };
    let text = missing(&places(Vec::new()));
    let id = text.split(['(', ')']).nth(1).unwrap().strip_prefix("build id ").unwrap().to_owned();
    assert_eq!(
        text,
        format!(
            "its supplementary file shared.debug (build id {id}) was not found; \
             types, functions and names that dwz moved there are unknown"
        )
    );
    let by_id = format!(".build-id/{}/{}.debug", &id[..2], &id[2..]);
    for place in [
        "root/usr/lib/debug/lib/modules/6.1/shared.debug".to_owned(),
        "root/usr/lib/debug/lib/modules/6.1/.dwz/shared.debug".to_owned(),
        "root/usr/lib/debug/.dwz/shared.debug".to_owned(),
        format!("root/usr/lib/debug/{by_id}"),
        format!("cache/{id}/debuginfo"),
        "given/shared.debug".to_owned(),
        "given/.dwz/shared.debug".to_owned(),
        format!("given/{by_id}"),
        "given/usr/lib/debug/.dwz/shared.debug".to_owned(),
        format!("given/usr/lib/debug/{by_id}"),
    ] {
        let put = folder.put(&place, shared);
        let compiled = opened(&places(vec![folder.0.join("given")]), &path);
        assert!(compiled.dwarf.summary().unwrap().contains("and"), "{place}");
        fs::remove_file(put).unwrap();
    }
    // Another one of that name is told, and not taken.
    folder.put("given/shared.debug", SPLIT[0].1);
    let text = missing(&places(vec![folder.0.join("given")]));
    assert!(text.contains("/given/shared.debug: its build id is "), "{text}");
    fs::write(folder.0.join("given/shared.debug"), b"no ELF").unwrap();
    let text = missing(&places(vec![folder.0.join("given")]));
    assert!(text.contains("/given/shared.debug: not an ELF file"), "{text}");
}

#[test]
fn without_the_supplementary_file_the_rest_goes_on() {
    let folder = Folder::new("without");
    let path = folder.put("vmlinux", SPLIT[1].0);
    let file = ElfFile::open(&path).unwrap();
    let dwarf = Dwarf::new(&file, SHIFT, 0).unwrap();
    let symbols = file.symbols(SHIFT).unwrap();
    let compiled = Compiled { dwarf, symbols };
    let positions = compiled.dwarf.positions(compiled.at("behind").minus(1)).unwrap();
    // Where it is called is known, but not what.
    assert_eq!(positions.len(), 3);
    assert_eq!(positions[2].file.as_deref(), Some("one.c"));
    let mut types = Types::new();
    types.add(Box::new(compiled.dwarf));
    let own = types.structure("pair").unwrap();
    assert_eq!(own.size(), Some(16));
    assert_eq!(types.get(own.id()).member("first").unwrap().offset(), 0);
    assert!(types.structure("list").is_err());
}
