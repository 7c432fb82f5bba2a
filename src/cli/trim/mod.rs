//! `trim`: the smallest dump that still answers everything.
//!
//! Everything is asked once, over memory that notes what is read; those pages are what the new
//! dump holds. It is written beside its final name and renamed when it is whole.

mod others;

use super::arguments::Trim;
use super::output::{self, Failure};
use super::source;
use crate::command::Console;
use crate::dump;
use crate::kernel::Session;
use crate::locks;
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

/// What the new dump must be able to answer.
const QUESTIONS: [&str; 9] =
    ["sys", "ps", "foreach bt -f", "log", "mod", "foreach set", "kmem -s", "kmem -v", "kmem -i"];

pub(super) fn run(trim: &Trim) -> Result<(), Failure> {
    let Some((out, dumps)) = trim.files.split_last() else {
        return Err(Failure::Usage("trim wants a DUMP and where the new one goes".to_owned()));
    };
    if dumps.is_empty() && trim.debug.demo.is_none() {
        let message = "trim wants two names: the DUMP, then the file to write";
        return Err(Failure::Usage(message.to_owned()));
    }
    for input in dumps {
        if same_file(input, out) {
            let name = source::name(std::slice::from_ref(out), &trim.debug);
            return Err(Failure::Dump(format!("{name}: would overwrite the dump that is read")));
        }
    }
    let original = source::dump(dumps, &trim.debug)?;
    let (recorded, recorder) = original.recording();
    let session = source::session(recorded, dumps, &trim.debug)?;
    ask_everything(&session);
    others::read_for_others(&session);
    others::read_identities(&session, &recorder.pages());
    let pages = recorder.pages();
    let written = replace(out, |file| dump::trim::write(&original, &pages, file));
    let name = source::name(std::slice::from_ref(out), &trim.debug);
    let written = written.map_err(|error| Failure::Dump(format!("{name}: {error}")))?;
    let mut stdout = output::stdout();
    writeln!(
        stdout,
        "{name}: {} pages, {:.1} MiB",
        written.pages,
        written.bytes as f64 / f64::from(1 << 20)
    )?;
    stdout.flush()?;
    Ok(())
}

/// Asks the session everything that a trimmed dump must still answer.
fn ask_everything(session: &Session) {
    let mut console = Console::new(session);
    for question in QUESTIONS {
        // What cannot be answered here cannot be answered there either.
        _ = console.run(question);
    }
    for task in session.tasks().iter() {
        _ = console.run(&format!("task_struct {:x}", task.at));
    }
    for lock in &locks::analyse(session).locks {
        _ = console.run(&format!("{} {:x}", lock.ty, lock.at));
    }
}

fn same_file(a: &Path, b: &Path) -> bool {
    match (fs::canonicalize(a), fs::canonicalize(b)) {
        (Ok(a), Ok(b)) => a == b,
        _ => false,
    }
}

/// Writes a file whole or not at all.
fn replace<T>(
    path: &Path,
    write: impl FnOnce(&mut File) -> std::io::Result<T>,
) -> std::io::Result<T> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}.part", std::process::id()));
    let part: PathBuf = path.with_file_name(name);
    let result = File::create_new(&part).and_then(|mut file| {
        let written = write(&mut file)?;
        file.sync_all()?;
        fs::rename(&part, path)?;
        Ok(written)
    });
    if result.is_err() {
        _ = fs::remove_file(&part);
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_replaced_whole_or_not_at_all() {
        let dir = std::env::temp_dir().join(format!("hangscope-trim-{}", std::process::id()));
        fs::create_dir_all(&dir).unwrap();
        let path = dir.join("out");
        fs::write(&path, "old").unwrap();
        let failed = replace(&path, |file| {
            file.write_all(b"half")?;
            Err::<(), _>(std::io::Error::other("no space"))
        });
        assert!(failed.is_err());
        assert_eq!(fs::read(&path).unwrap(), b"old");
        replace(&path, |file| file.write_all(b"new")).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
        assert_eq!(fs::read_dir(&dir).unwrap().count(), 1);
        fs::remove_dir_all(&dir).unwrap();
    }
}
