//! What `y` copies, and how it gets onto the clipboard.
//!
//! OSC 52 asks the terminal to set its clipboard. Unlike a local tool it reaches the machine that
//! the user sits at, also through SSH.

use super::app::App;
use super::code;
use super::history::Screen;
use super::keymap::Pane;
use super::locktree::LockNode;
use super::trace::{TraceRow, file_and_line};
use crate::present::Radix;

/// The selected line as text.
pub(crate) fn selected(app: &App) -> Option<String> {
    let windows = &app.here.windows;
    match app.here.screen {
        Screen::Log => Some(app.log.ready()?.get(windows.log.cursor)?.text.clone()),
        Screen::Code => {
            let row = windows.code.cursor;
            let instruction = code::instruction(app.code.ready()?, &app.code_rows, row)?;
            Some(instruction.line(Radix::Decimal).text)
        }
        Screen::Source => Some(app.source_lines().get(windows.source.cursor)?.trim().to_owned()),
        Screen::Output => Some(app.output.ready()?.lines.get(windows.output.cursor)?.0.clone()),
        Screen::Why => Some(app.why.rows.get(windows.why.cursor)?.line.text().trim().to_owned()),
        Screen::Memory => Some(app.here.memory.to_string()),
        Screen::Locks if app.here.weighing => Some(app.told_row()?.line.text().trim().to_owned()),
        Screen::Locks => lock(app),
        Screen::Overview => match app.here.pane {
            Pane::Tasks => {
                app.selected().map(|row| format!("{} {}", row.task.label(), row.task.at))
            }
            Pane::Backtrace => match app.trace_rows.get(windows.trace.cursor)? {
                TraceRow::Frame(n) => {
                    let frame = app.trace.ready()?.frames.get(*n)?;
                    let symbol = frame.symbol.as_deref().unwrap_or("?");
                    Some(format!("{symbol}+{:#x} {}", frame.offset, frame.pc))
                }
                TraceRow::Inline { frame, position } => {
                    let position = app.trace_lines().get(*frame)?.get(*position)?;
                    let function = position.function.as_deref().unwrap_or("?");
                    Some(format!("{function} {}", file_and_line(position)?))
                }
                _ => None,
            },
            Pane::Inspector => {
                let node = app.inspection.ready()?.nodes.get(windows.nodes.cursor)?;
                Some(format!("{} {}", node.path, node.at?))
            }
            Pane::Locks => lock(app),
        },
    }
}

fn lock(app: &App) -> Option<String> {
    let graph = app.locks.ready()?;
    let node: &LockNode = &app.lock_rows.get(app.here.windows.locks.cursor)?.node;
    if let Some(task) = node.task(graph) {
        let label = app.row_of(task).map_or_else(String::new, |row| row.task.label());
        return Some(format!("{label} {task}"));
    }
    let lock = graph.locks.get(node.lock()?)?;
    Some(format!("{} {} {}", lock.ty, lock.name, lock.at))
}

/// The escape sequence that puts text on the terminal's clipboard.
pub(crate) fn osc52(text: &str) -> String {
    format!("\x1b]52;c;{}\x07", base64(text.as_bytes()))
}

/// RFC 4648, with padding.
fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let byte = |n: usize| u32::from(chunk.get(n).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for n in 0..4 {
            let letter = LETTERS.get((bits >> (18 - 6 * n) & 63) as usize);
            text.extend(letter.filter(|_| n <= chunk.len()).map(|letter| char::from(*letter)));
        }
        for _ in chunk.len()..3 {
            text.push('=');
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_encoded_as_the_rfc_says() {
        let encoded =
            ["", "f", "fo", "foo", "foob", "fooba", "foobar"].map(|t| base64(t.as_bytes()));
        assert_eq!(encoded, ["", "Zg==", "Zm8=", "Zm9v", "Zm9vYg==", "Zm9vYmE=", "Zm9vYmFy"]);
    }
}
