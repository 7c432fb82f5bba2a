//! DWARF that the C compiler of this machine writes, in every version that it knows.

use super::compiled::Compiled;
use crate::debuginfo::{Kind, Tag, Type, TypeSource, Types};

/// One of everything that C has.
const EVERYTHING: &str = "
    typedef unsigned char u8;
    struct list_head { struct list_head *next, *prev; };
    enum level { LOW = -1, HIGH = 7 };
    enum large { ONE = 1, LARGE = 0xfedcba9876543210 };
    enum flags { NONE, MOST = 0xfffffff0 };
    struct outside;
    struct task {
        struct list_head tasks;
        unsigned long flags : 3, more : 37;
        int pid : 9;
        _Bool dead : 1;
        u8 comm[16], grid[2][3][4];
        union { long l; double d; } ;
        const char * restrict where;
        int (*wake)(struct task *who, enum level, ...);
        struct outside *outside;
        enum level level; enum large large; enum flags some;
        float f; long double ld; short s; signed char sc; __int128 i;
        void *any; const void *anything;
        void (*nothing)(void);
        long flexible[];
    };
    struct task *current_task;
    extern int array[];
    int array[5] = {1};
    static struct list_head runqueues[3];
    int try_to_wake_up(struct task *who, unsigned state) {
        struct task local[state];
        return who == local ? (int)sizeof local : runqueues[1].next != 0;
    }
";
const OUTSIDE: &str = "
    struct outside { int inside; } x;
    struct task { int other; } y;
    struct list_head;
    struct list_head *z;
    _Atomic int counter;
";
/// The versions, and those that know units of types (`.debug_types` in 4) with them, too.
const VERSIONS: [&[&str]; 6] = [
    &["-gdwarf-2"],
    &["-gdwarf-3"],
    &["-gdwarf-4"],
    &["-gdwarf-5"],
    &["-gdwarf-4", "-fdebug-types-section"],
    &["-gdwarf-5", "-fdebug-types-section"],
];

fn each_version(check: impl Fn(&str, &Types)) {
    for version in VERSIONS {
        let options = [&["-g", "-gstrict-dwarf"], version].concat();
        let compiled = Compiled::new(&[EVERYTHING, OUTSIDE], &options);
        check(&version.join(" "), &compiled.types());
    }
}

fn task(types: &Types) -> Type<'_> {
    types.structure("task").unwrap()
}

#[test]
fn every_version_tells_offsets_and_declarations_alike() {
    each_version(|version, types| {
        let members: Vec<String> = task(types)
            .members()
            .map(|(name, member)| {
                let bits = member.bit_size.map_or(String::new(), |bits| format!(" : {bits}"));
                let name = name.unwrap_or("");
                format!("{} {}{bits}", member.bit_offset, member.ty.declare(name))
            })
            .collect();
        let wanted = [
            "0 struct list_head tasks",
            "128 unsigned long flags : 3",
            "131 unsigned long more : 37",
            "168 int pid : 9",
            "177 _Bool dead : 1",
            "184 u8 comm[16]",
            "312 u8 grid[2][3][4]",
            "512 union {...}",
            "576 const char * restrict where",
            "640 int (*wake)(struct task *, enum level, ...)",
            "704 struct outside *outside",
            "768 enum level level",
            "832 enum large large",
            "896 enum flags some",
            "928 float f",
            "1024 long double ld",
            "1152 short s",
            "1168 signed char sc",
            "1280 __int128 i",
            "1408 void *any",
            "1472 const void *anything",
            "1536 void (*nothing)(void)",
            "1600 long flexible[]",
        ];
        // DWARF 2 has no word for it.
        let restrict = if version == "-gdwarf-2" { "" } else { " restrict " };
        let wanted = wanted.map(|line| line.replace(" restrict ", restrict));
        assert_eq!(members, wanted, "{version}");
        assert_eq!(task(types).size(), Some(208), "{version}");
    });
}

#[test]
fn basic_types_and_enums_have_their_signs() {
    each_version(|version, types| {
        let kind = |path: &str| task(types).member(path).unwrap().ty.resolved().kind().clone();
        let int = |size, signed, char, bool| Kind::Int { size, signed, char, bool };
        assert_eq!(kind("comm[0]"), int(1, false, true, false), "{version}");
        assert_eq!(kind("sc"), int(1, true, true, false));
        assert_eq!(kind("dead"), int(1, false, false, true));
        assert_eq!(kind("s"), int(2, true, false, false));
        assert_eq!(kind("d"), Kind::Float { size: 8 });
        let values = |path: &str| match kind(path) {
            Kind::Enum { size, signed, values } => {
                (size, signed, values.iter().map(|value| value.value).collect::<Vec<_>>())
            }
            other => panic!("{other:?}"),
        };
        assert_eq!(values("level"), (4, true, vec![-1, 7]), "{version}");
        let large = 0xfedc_ba98_7654_3210_u64.cast_signed();
        assert_eq!(values("large"), (8, false, vec![1, large]), "{version}");
        assert_eq!(values("some"), (4, false, vec![0, 0xffff_fff0]), "{version}");
    });
}

#[test]
fn variables_and_functions_have_their_types() {
    each_version(|version, types| {
        let variable = |name: &str| types.variable(name).map(|ty| ty.declare(name));
        assert_eq!(variable("current_task").unwrap(), "struct task *current_task", "{version}");
        assert_eq!(variable("runqueues").unwrap(), "struct list_head runqueues[3]");
        // The declaration does not know how long it is.
        assert_eq!(variable("array").unwrap(), "int array[5]", "{version}");
        let function = types.function("try_to_wake_up").unwrap().declare("try_to_wake_up");
        assert_eq!(function, "int try_to_wake_up(struct task *who, unsigned int state)");
        assert!(types.variable("try_to_wake_up").is_err());
        assert!(types.function("no_such_function").is_err());
    });
}

#[test]
fn the_first_definition_wins_and_declarations_stand_for_it() {
    each_version(|version, types| {
        assert_eq!(task(types).size(), Some(208), "{version}: that of the first file");
        let outside = task(types).member("outside.inside");
        assert!(outside.is_err(), "a pointer is no struct");
        let outside = task(types).member("outside").unwrap().ty.target().unwrap();
        assert!(matches!(outside.kind(), Kind::Forward { union: false }));
        assert_eq!(outside.member("inside").unwrap().offset(), 0);
        // In the second file it is only declared.
        let head = types.variable("z").unwrap().target().unwrap();
        assert_eq!(head.size(), Some(16));
        let mut structs = types.names(Tag::Struct);
        structs.retain(|name| !name.starts_with("__va_list"));
        assert_eq!(structs, ["list_head", "outside", "task"]);
        assert!(types.names(Tag::Base).contains(&"long unsigned int".to_owned()));
    });
}

#[test]
fn atomic_types_are_told() {
    let five = Compiled::new(&[EVERYTHING, OUTSIDE], &["-gdwarf-5"]).types();
    assert_eq!(five.variable("counter").unwrap().declare("counter"), "_Atomic int counter");
}

#[test]
fn a_name_that_is_something_else_is_not_found() {
    let compiled = Compiled::new(&[EVERYTHING], &["-g"]);
    let dwarf = compiled.dwarf();
    assert_eq!(dwarf.find(Tag::Union, "list_head"), None);
    assert_eq!(dwarf.find(Tag::Struct, "pid"), None);
    assert_eq!(dwarf.find(Tag::Struct, "absent_everywhere"), None);
    assert_eq!(dwarf.find(Tag::Struct, ""), None);
    assert_eq!(dwarf.find(Tag::Struct, "ta\0sk"), None);
}

#[test]
fn packed_sections_hold_the_same_types() {
    for packed in ["-gz=zlib", "-gz=none"] {
        let types = Compiled::new(&[EVERYTHING], &["-g", packed]).types();
        assert_eq!(task(&types).size(), Some(208), "{packed}");
    }
}

/// Asks for everything that damage could break.
fn ask_everything(types: &Types) {
    for tag in [Tag::Struct, Tag::Union, Tag::Enum, Tag::Typedef, Tag::Base] {
        for name in types.names(tag) {
            let Ok(ty) = types.find(tag, &name) else { continue };
            _ = (ty.size(), ty.declare("x"), ty.member("tasks.next"));
            for (_, member) in ty.members() {
                _ = (member.ty.declare("y"), member.ty.size());
            }
        }
    }
    _ = types.variable("array").map(Type::size);
    _ = types.function("try_to_wake_up").map(|ty| ty.declare("f"));
}

/// Where a section is in a file.
fn place(file: &[u8], name: &str) -> usize {
    let elf = goblin::elf::Elf::parse(file).unwrap();
    let found = elf
        .section_headers
        .iter()
        .find(|section| elf.shdr_strtab.get_at(section.sh_name) == Some(name));
    usize::try_from(found.unwrap().sh_offset).unwrap()
}

#[test]
fn what_is_damaged_is_noted_and_the_rest_goes_on() {
    let sources = ["int first(void) { return 1; }", "int second(void) { return 2; }"];
    for version in ["-gdwarf-4", "-gdwarf-5"] {
        let compiled = Compiled::new(&sources, &["-g", version]);
        let whole = compiled.bytes();
        let told = |damage: &dyn Fn(&mut [u8])| {
            let mut bytes = whole.clone();
            damage(&mut bytes);
            let file = crate::debuginfo::elf::tests::open(bytes).unwrap();
            let symbols = file.symbols(0).unwrap();
            let dwarf = super::Dwarf::new(&file, 0, 0).unwrap();
            let at = |name: &str| {
                let at = symbols.find_all(name).next().unwrap().at;
                let positions = dwarf.positions(at).unwrap_or_default();
                let first = positions.first();
                let function = first.and_then(|position| position.function.clone());
                (function.map(String::from), first.and_then(|position| position.line))
            };
            let at = [at("first"), at("second")];
            let types = [dwarf.function("first").is_some(), dwarf.function("second").is_some()];
            (at, types, dwarf.notes())
        };
        let function = |name: &str| Some(name.to_owned());
        let whole_second = (function("second"), Some(1));
        let (at, types, notes) = told(&|_| {});
        assert_eq!(at, [(function("first"), Some(1)), whole_second.clone()]);
        assert_eq!((types, notes.len()), ([true, true], 0), "{notes:?}");

        // The version of the first line table.
        let (line, info) = (place(&whole, ".debug_line"), place(&whole, ".debug_info"));
        let (at, types, notes) = told(&|bytes| bytes[line + 4] = 77);
        assert_eq!(at, [(function("first"), None), whole_second.clone()]);
        assert_eq!(types, [true, true]);
        assert_eq!(notes.len(), 1, "{notes:?}");
        assert!(notes[0].starts_with("the line table of 0.c is damaged: "), "{notes:?}");

        // The version of the first unit.
        let (at, types, notes) = told(&|bytes| bytes[info + 4] = 77);
        assert_eq!(at[0], (None, None));
        assert_eq!(types, [false, false], "where the next unit begins is not known");
        assert!(notes[0].starts_with("the unit at 0x0 of .debug_info"), "{notes:?}");
        assert!(notes.iter().any(|note| note.starts_with(".debug_info is damaged (")), "{notes:?}");
        assert_eq!(at[1], whole_second, "which unit has it says .debug_aranges");

        // The first abbreviation code below the unit's own.
        let len = whole[info..].first_chunk().map(|len| u32::from_le_bytes(*len)).unwrap();
        let end = info + 4 + usize::try_from(len).unwrap();
        let (at, types, notes) = told(&|bytes| bytes[info + 0x30..end].fill(0x7f));
        assert_eq!((&at[1], types), (&whole_second, [false, true]), "{notes:?}");
        assert!(notes.iter().any(|note| note.contains(" of .debug_info")), "{notes:?}");
    }
}

#[test]
fn damage_is_never_fatal() {
    let compiled = Compiled::new(&[EVERYTHING, OUTSIDE], &["-g", "-gdwarf-5"]);
    let whole = compiled.bytes();
    let path = compiled.0.join("damaged");
    let mut seed = 1_u64;
    let mut random = |below: usize| {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        usize::try_from(seed).unwrap() % below
    };
    let try_it = |bytes: &[u8]| {
        std::fs::write(&path, bytes).unwrap();
        let Ok(file) = crate::debuginfo::ElfFile::open(&path) else { return };
        let Ok(dwarf) = super::Dwarf::new(&file, 0, 0) else { return };
        _ = dwarf.summary();
        let mut types = Types::new();
        types.add(Box::new(dwarf));
        ask_everything(&types);
    };
    for _ in 0..60 {
        try_it(&whole[..random(whole.len())]);
    }
    for _ in 0..400 {
        let mut bytes = whole.clone();
        for _ in 0..=random(8) {
            let at = random(bytes.len());
            bytes[at] = u8::try_from(random(256)).unwrap();
        }
        try_it(&bytes);
    }
}
