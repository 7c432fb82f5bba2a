//! Source files for the reader: the file, or what is missing to show it.

use crate::debuginfo::SourceFile;
use crate::dump::VirtAddr;
use crate::kernel::Session;

/// The file that a path of the debug information names.
///
/// # Errors
/// In words, what would be needed.
pub fn source_file(session: &Session, file: &str) -> Result<SourceFile, String> {
    session.source_trees().read(file).ok_or_else(|| no_source(session, file))
}

/// Why a file is not at hand.
#[must_use]
pub fn no_source(session: &Session, file: &str) -> String {
    let how = match session.source_trees().is_empty() {
        true => "say where the kernel's source is with --source DIR",
        false => "no --source has it",
    };
    format!("{file} is not at hand: {how}")
}

/// Why no line of an address is known.
#[must_use]
pub fn no_lines(session: &Session, at: VirtAddr) -> String {
    match session.dwarf_of(at) {
        Ok(dwarf) => match dwarf.positions(at) {
            Ok(_) => format!("the debug information has no line for {at}"),
            Err(damage) => format!("the line of {at} is not known: {damage}"),
        },
        // The kernel's package has its modules' files, too.
        Err(unknown) => {
            format!("lines are not known: {}", session.dwarf().err().unwrap_or(unknown))
        }
    }
}
