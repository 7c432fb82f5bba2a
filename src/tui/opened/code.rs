//! Machine code around an address.

use super::Opened;
use crate::dump::VirtAddr;
use crate::kernel::Code;
use crate::present::{Disassembly, InstructionRow};
use crate::tui::model::{CodeView, Place};
use crate::tui::source::Answer;

/// Instructions that are shown where no function is known.
const SOME: usize = 256;

/// The function that covers `at`, otherwise what lies from there on.
pub(super) fn view(opened: &Opened, at: VirtAddr) -> Answer<CodeView> {
    let session = &opened.session;
    let (code, title) = match session.symbolize(at).filter(|_| opened.is_code(at)) {
        Some(found) => {
            let module = found.symbol.module.map(|module| format!(" [{module}]"));
            let title = format!("{}{}", found.symbol.name, module.unwrap_or_default());
            (session.function(at).map_err(|unknown| unknown.to_string())?, title)
        }
        None => {
            let code = Code::some(session.memory(), at, SOME);
            let title = session.doubt_code(at).unwrap_or_else(|| at.to_string());
            (code.map_err(|fault| fault.to_string())?, title)
        }
    };
    let disassembly = Disassembly::of(&code, session.symbols()).with_origins(session);
    let place = |row: &InstructionRow| {
        let target = row.target.as_ref()?;
        match target.branch {
            true => Some(Place::Code(target.at)),
            // A distance into per-CPU memory is no place.
            false => (target.at.0 >> 63 == 1).then(|| opened.place_at(target.at)),
        }
    };
    let places = disassembly.rows.iter().map(place).collect();
    Ok(CodeView { title, disassembly, places, cut: code.cut.map(|fault| fault.to_string()) })
}
