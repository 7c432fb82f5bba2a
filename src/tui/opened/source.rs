//! The source around an address.

use super::Opened;
use crate::debuginfo::{Position, SourceFile};
use crate::dump::VirtAddr;
use crate::present::{no_lines, source_file};
use crate::tui::model::{SourceOf, SourceView};
use crate::tui::source::Answer;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The functions at an address, each with its file, which is read once.
pub(super) fn view(opened: &Opened, at: VirtAddr) -> Answer<SourceView> {
    let session = &opened.session;
    let positions = session.positions(at);
    if positions.is_empty() {
        let symbol = session.symbolize(at).map(|found| format!("{found}: "));
        return Err(symbol.unwrap_or_default() + &no_lines(session, at));
    }
    let mut files: BTreeMap<Box<str>, Result<Arc<SourceFile>, String>> = BTreeMap::new();
    let of = |position: &Position| {
        let text = match &position.file {
            None => Err("the debug information names no file for it".to_owned()),
            Some(file) => {
                let read = || source_file(session, file).map(Arc::new);
                files.entry(file.clone()).or_insert_with(read).clone()
            }
        };
        SourceOf { position: position.clone(), text }
    };
    Ok(SourceView { functions: positions.iter().map(of).collect() })
}
