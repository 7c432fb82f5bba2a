//! What the README says is what the program says.

use std::process::Command;

fn generated(part: &str) -> String {
    let output =
        Command::new(env!("CARGO_BIN_EXE_hangscope")).args(["--generate", part]).output().unwrap();
    assert!(output.status.success());
    String::from_utf8(output.stdout).unwrap()
}

/// The part of the README between the marks of `part`.
fn written(part: &str) -> String {
    let readme = include_str!("../README.md");
    let start = format!("<!-- {part}: made by `hangscope --generate {part}` -->\n");
    let end = format!("\n<!-- end of {part} -->");
    let from = readme.find(&start).unwrap() + start.len();
    let to = from + readme[from..].find(&end).unwrap();
    readme[from..to].to_owned()
}

#[test]
fn the_readme_lists_the_keys_that_there_are() {
    assert_eq!(written("keys").trim(), generated("keys").trim());
}

#[test]
fn the_readme_lists_the_commands_that_there_are() {
    assert_eq!(written("commands").trim(), generated("commands").trim());
}
