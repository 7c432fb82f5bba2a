//! The article, command by command.

use std::process::Command;

/// What a command line prints on standard output.
fn hangscope(arguments: &[&str]) -> String {
    let done = Command::new(env!("CARGO_BIN_EXE_hangscope")).args(arguments).output().unwrap();
    let errors = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "{arguments:?}: {errors}");
    String::from_utf8(done.stdout).unwrap()
}

fn exec(command: &str) -> String {
    hangscope(&["exec", "--demo=seed", "-c", command])
}

#[test]
fn as_many_tasks_are_in_each_state_as_in_the_article() {
    for (filter, lines) in [("UN", "94\n"), ("RU", "43\n"), ("IN", "2468\n")] {
        assert_eq!(exec(&format!("ps | grep {filter} | wc -l")), lines);
    }
}
