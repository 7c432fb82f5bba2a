//! Files with debug information, told as stories over the dump that is part of the program: those
//! that belong to it, those that do not, damaged ones, and modules'. A C compiler makes them.

#![cfg(all(target_os = "linux", target_arch = "x86_64"))]

use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// The build id of the demo's kernel, and of its module `holdup`.
const KERNEL: &str = "bb603a9147d3efe4744bf83c83eee397c591cc20";
/// What to install for it.
const ADVICE: &str = "On Debian, install linux-image-6.1.0-50-cloud-amd64-dbg: \
    apt install linux-image-6.1.0-50-cloud-amd64-dbg=6.1.176-1; \
    or with debuginfod: debuginfod-find debuginfo bb603a9147d3efe4744bf83c83eee397c591cc20";

const SOURCE: &str = "struct mine { int first; struct mine *next; };
struct mine mine;
int mine_function(struct mine *of) { return of->first; }
";

/// A directory for one test, gone when the test is.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Scratch {
        let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("debug-files-{name}"));
        _ = fs::remove_dir_all(&dir);
        fs::create_dir_all(&dir).unwrap();
        Scratch(dir)
    }

    fn path(&self, name: &str) -> String {
        self.0.join(name).to_str().unwrap().to_owned()
    }

    fn run(&self, program: &str, arguments: &[&str]) {
        let ran = Command::new(program).current_dir(&self.0).args(arguments).output().unwrap();
        assert!(ran.status.success(), "{program}: {}", String::from_utf8_lossy(&ran.stderr));
    }

    /// A file that calls itself a kernel with that build id.
    fn kernel(&self, name: &str, build_id: &str) -> String {
        fs::write(self.path("kernel.c"), SOURCE).unwrap();
        let id = format!("-Wl,-Ttext=0xffffffff81000000,-e,0,--build-id=0x{build_id}");
        let options = ["-g", "-O2", "-ffreestanding", "-fno-pie", "-no-pie", "-nostdlib"];
        let more = ["-static", "-mcmodel=kernel", &id, "kernel.c", "-o", name];
        self.run("cc", &[&options[..], &more].concat());
        self.path(name)
    }

    /// A module's file.
    fn module(&self, name: &str, source: &str, build_id: &str) -> String {
        let (c, o) = (self.path("module.c"), self.path("module.o"));
        fs::write(&c, source).unwrap();
        let options = ["-c", "-g", "-O1", "-fno-pic", "-mcmodel=kernel", "-ffreestanding"];
        self.run("cc", &[&options[..], &["module.c", "-o", "module.o"]].concat());
        self.run("ld", &["-r", &format!("--build-id=0x{build_id}"), &o, "-o", name]);
        self.path(name)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        _ = fs::remove_dir_all(&self.0);
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// What commands about the demo print, with more options. Nothing of the machine's own is looked at.
fn exec(options: &[&str], commands: &[&str]) -> Output {
    let mut call = Command::new(env!("CARGO_BIN_EXE_hangscope"));
    call.args(["exec", "--demo"]).args(options);
    call.args(commands.iter().flat_map(|command| ["-c", command]));
    call.env("DEBUGINFOD_CACHE_PATH", "/nonexistent").stdin(Stdio::null()).output().unwrap()
}

/// The messages about a file with which everything that the dump itself knows goes on.
fn complaint(file: &str) -> String {
    let output = exec(&["-s", file], &["ps | wc -l"]);
    assert_eq!(text(&output.stdout), "109\n", "{file}");
    assert!(output.status.success(), "{file}");
    let message = text(&output.stderr);
    assert_eq!(message.lines().count(), 1, "{message}");
    let start = format!("hangscope: {file}: ");
    message.strip_prefix(&start).unwrap_or_else(|| panic!("{message}")).trim_end().to_owned()
}

#[test]
fn a_vmlinux_of_another_kernel_is_refused_with_both_ids_unless_forced() {
    let scratch = Scratch::new("other");
    let other = scratch.kernel("other", "1234");
    assert_eq!(
        complaint(&other),
        format!(
            "it is of another kernel: its build id is 1234, the dump's is {KERNEL}; \
             no vmlinux of this kernel found. {ADVICE}"
        )
    );
    let output = exec(&["--no-btf", "-s", &other, "--force-debuginfo"], &["struct mine"]);
    assert!(text(&output.stdout).ends_with("SIZE: 16\n"), "{}", text(&output.stdout));
    let message = text(&output.stderr);
    assert!(message.contains("its build id is 1234, the dump's is bb603a91"), "{message}");
    assert_eq!(message.lines().count(), 1, "{message}");
}

#[test]
fn a_vmlinux_that_belongs_to_the_dump_answers_without_a_word() {
    let scratch = Scratch::new("good");
    let good = scratch.kernel("good", KERNEL);
    let output = exec(&["--no-btf", "-s", &good], &["struct mine", "sym -q nothing_of_it"]);
    assert!(text(&output.stdout).starts_with("struct mine {\n    int first;\n"));
    let debug_dir = scratch.path("");
    fs::create_dir_all(scratch.path("usr/lib/debug/boot")).unwrap();
    fs::rename(&good, scratch.path("usr/lib/debug/boot/vmlinux-6.1.0-50-cloud-amd64")).unwrap();
    let output = exec(&["--no-btf", "--debug-dir", &debug_dir], &["struct mine"]);
    assert!(text(&output.stdout).ends_with("SIZE: 16\n"));
    assert_eq!(text(&output.stderr), "");
}

#[test]
fn every_damaged_vmlinux_gets_one_clear_line_and_the_dump_s_own_goes_on() {
    let scratch = Scratch::new("damaged");
    let good = scratch.kernel("good", KERNEL);
    let whole = fs::read(&good).unwrap();
    let made = |name: &str, bytes: &[u8]| {
        fs::write(scratch.path(name), bytes).unwrap();
        complaint(&scratch.path(name))
    };
    let rest = format!("; no vmlinux of this kernel found. {ADVICE}");
    let refused = |message: String| message.strip_suffix(&rest).unwrap_or(&message).to_owned();

    assert_eq!(refused(made("cut", &whole[..600])), "damaged ELF file: its section headers");
    let mut arm = whole.clone();
    arm[18] = 183;
    assert_eq!(refused(made("arm", &arm)), "an ELF file of another machine than x86-64");
    assert_eq!(
        refused(made("vmlinuz", b"MZ and more")),
        "not an ELF file (vmlinux, not vmlinuz, is wanted)"
    );
    assert_eq!(refused(made("gz", b"\x1f\x8b\x08\0")), "it is packed: unpack it first (gzip -d)");
    assert_eq!(refused(made("empty", b"")), "not an ELF file (vmlinux, not vmlinuz, is wanted)");
    assert_eq!(
        refused(complaint(&scratch.path("missing"))),
        "No such file or directory (os error 2)"
    );
    let folder = scratch.path("");
    assert_eq!(refused(complaint(&folder)), "not an ELF file (vmlinux, not vmlinuz, is wanted)");

    scratch.run("strip", &["-s", &good, "-o", "stripped"]);
    let stripped = scratch.path("stripped");
    assert_eq!(complaint(&stripped), "it has no debug information (.debug_info)");
    scratch.run("objcopy", &["--strip-debug", &good, "no-debug"]);
    let no_debug = scratch.path("no-debug");
    assert_eq!(complaint(&no_debug), "it has no debug information (.debug_info)");

    // What is wrong with its contents shows when they are read.
    let read = |name: &str, section: &str, damage: &dyn Fn(&mut [u8])| {
        let elf = goblin::elf::Elf::parse(&whole).unwrap();
        let found = elf
            .section_headers
            .iter()
            .find(|header| elf.shdr_strtab.get_at(header.sh_name) == Some(section));
        let mut bytes = whole.clone();
        damage(&mut bytes[usize::try_from(found.unwrap().sh_offset).unwrap()..]);
        let path = scratch.path(name);
        fs::write(&path, bytes).unwrap();
        let output = exec(&["--no-btf", "-s", &path], &["struct mine", "sym schedule"]);
        assert!(text(&output.stdout).ends_with("(T) schedule\n"));
        let message = text(&output.stderr);
        let about = format!("hangscope: {path}: ");
        let about: Vec<&str> = message.lines().filter_map(|l| l.strip_prefix(&about)).collect();
        about.iter().map(|line| (*line).to_owned()).collect::<Vec<_>>()
    };
    let notes = read("corrupt", ".debug_info", &|bytes| bytes[4] = 77);
    assert!(notes[0].starts_with(".debug_info is damaged ("), "{notes:?}");
    let notes = read("abbreviations", ".debug_abbrev", &|bytes| bytes[..16].fill(0xff));
    assert!(notes[0].starts_with("the unit at 0x0 of .debug_info is damaged: "), "{notes:?}");
}

#[test]
fn without_types_the_package_is_named_once_and_symbols_go_on() {
    let output = exec(&["--no-btf"], &["ps", "sym schedule"]);
    assert!(text(&output.stdout).contains("(T) schedule"));
    let message = text(&output.stderr);
    assert_eq!(message.matches(ADVICE).count(), 1, "{message}");
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn info_names_the_package_in_text_and_json() {
    let info = |more: &[&str]| {
        let mut call = Command::new(env!("CARGO_BIN_EXE_hangscope"));
        call.args(["info", "--demo"]).args(more).env("DEBUGINFOD_CACHE_PATH", "/nonexistent");
        text(&call.output().unwrap().stdout)
    };
    assert!(info(&[]).contains(ADVICE), "{}", info(&[]));
    let json: Value = serde_json::from_str(&info(&["--json"])).unwrap();
    assert_eq!(json["advice"], ADVICE);
}

/// The address of the demo's module, a place in its code.
const INSIDE: &str = "ffffffffc05474c2";

#[test]
fn a_module_s_file_is_used_plain_packed_or_split_and_refused_with_the_reason() {
    let scratch = Scratch::new("module");
    // Long enough to hold the place where the module's code is in the dump.
    let source = "struct of_module { long a, b, c; };
struct of_module of_module;
int of_module_function(struct of_module *of) { asm volatile(\".skip 0x4000, 0x90\"); return of->a; }
";
    let of_holdup = |options: &[&str]| -> Value {
        let output = exec(&[options, &["--json"]].concat(), &["mod"]);
        let all: Value = serde_json::from_str(&text(&output.stdout)).unwrap();
        let rows = all[0]["rows"].as_array().unwrap();
        rows.iter().find(|row| row["name"] == "holdup").unwrap().clone()
    };
    let none = of_holdup(&[]);
    assert_eq!(none["object_file"], Value::Null);
    assert_eq!(none["object_file_why"], "no debug file of module holdup found");

    let wrong = scratch.module("holdup.ko", source, "12345678");
    let refused = of_holdup(&["-s", &wrong]);
    assert_eq!(refused["object_file"], Value::Null);
    let why = refused["object_file_why"].as_str().unwrap();
    let (start, id) = why.split_once(", the dump's is ").unwrap();
    assert_eq!(
        start,
        format!(
            "no debug file of module holdup found; {wrong}: \
             it is another build of the module: its build id is 12345678"
        )
    );
    assert_eq!(id.len(), 40, "{why}");
    // It is said even where the module was not asked for.
    let told = exec(&["-s", &wrong], &["sym schedule"]);
    assert_eq!(text(&told.stderr), format!("hangscope: {why}\n"));
    let other = scratch.module("not-there.ko", source, "12345678");
    let told = exec(&["-s", &other], &["sym schedule"]);
    assert_eq!(text(&told.stderr), format!("hangscope: {other}: no module not_there is loaded\n"));

    let good = scratch.module("holdup.ko", source, id);
    let used = |file: &str| {
        let row = of_holdup(&["-s", file]);
        assert_eq!(row["object_file"], *file);
        assert_eq!(row["object_file_why"], Value::Null);
        let output = exec(&["-s", file], &["whatis of_module", &format!("dis -s {INSIDE} 1")]);
        let printed = text(&output.stdout);
        assert!(printed.starts_with("struct of_module {\n"), "{printed}{}", text(&output.stderr));
        assert!(printed.contains("module.c"), "{printed}");
    };
    used(&good);
    let bytes = fs::read(&good).unwrap();
    let packed = scratch.path("holdup.ko.zst");
    fs::write(&packed, zstd::encode_all(bytes.as_slice(), 3).unwrap()).unwrap();
    used(&packed);
    scratch.run("objcopy", &["--only-keep-debug", &good, "holdup.ko.debug"]);
    let split = scratch.path("holdup.ko.debug");
    used(&split);
    fs::write(scratch.path("holdup.ko.gz"), b"\x1f\x8b\x08\0and no more").unwrap();
    let damaged = of_holdup(&["-s", &scratch.path("holdup.ko.gz")]);
    let why = damaged["object_file_why"].as_str().unwrap();
    assert!(why.ends_with("holdup.ko.gz: damaged ELF file: it cannot be unpacked"), "{why}");
}

#[test]
fn a_missing_supplementary_file_is_named_with_its_package_and_the_rest_goes_on() {
    let scratch = Scratch::new("supplement");
    let put = |name: &str, packed: &[u8]| {
        fs::write(scratch.path(name), zstd::decode_all(packed).unwrap()).unwrap();
        scratch.path(name)
    };
    let file = put("vmlinux", include_bytes!("dwz/split-5.zst"));
    let options = ["--no-btf", "--force-debuginfo", "-s", &file];
    let output = exec(&options, &["struct pair", "struct list", "sym schedule"]);
    assert!(text(&output.stdout).contains("SIZE: 16\n"), "{}", text(&output.stderr));
    assert!(text(&output.stdout).contains("(T) schedule"));
    let message = text(&output.stderr);
    let start = format!("hangscope: {file}: its supplementary file shared.debug (build id ");
    let told: Vec<&str> = message.lines().filter(|line| line.starts_with(&start)).collect();
    assert_eq!(told.len(), 1, "{message}");
    assert!(told[0].ends_with("it comes with linux-image-6.1.0-50-cloud-amd64-dbg"), "{message}");

    put("shared.debug", include_bytes!("dwz/shared-5.zst"));
    let output = exec(&options, &["struct list"]);
    assert!(text(&output.stdout).ends_with("SIZE: 16\n"));
    assert!(!text(&output.stderr).contains("supplementary"), "{}", text(&output.stderr));
}
