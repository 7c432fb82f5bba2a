//! Stretches of memory, row by row.

use super::{IMAGE, Opened};
use crate::dump::VirtAddr;
use crate::tui::model::{MemoryRow, MemoryView, ROW};

/// `rows` rows from `at` on. Rows that cannot be read say why.
pub(super) fn view(opened: &Opened, at: VirtAddr, rows: u64) -> MemoryView {
    let rows = (0..rows).map_while(|row| at.checked_add(row * ROW)).map(|at| row(opened, at));
    MemoryView { rows: rows.collect() }
}

fn row(opened: &Opened, at: VirtAddr) -> MemoryRow {
    let mut bytes = [0; 16];
    let read = opened.session.memory().read(at, &mut bytes);
    let points = match read {
        Ok(()) => {
            let (words, _) = bytes.as_chunks::<8>();
            let mut named = words.iter().map(|word| opened.named(u64::from_le_bytes(*word)));
            [named.next().flatten(), named.next().flatten()]
        }
        Err(_) => [None, None],
    };
    // The address stands at the start of the row already.
    let bytes = read.map(|()| bytes).map_err(|fault| fault.why.to_string());
    let symbol = (at.0 >= IMAGE).then(|| opened.named(at.0)).flatten();
    MemoryRow { at, symbol, bytes, points }
}
