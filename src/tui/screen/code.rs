//! Machine code, with the arrows of its jumps and the frames that are in it.

use super::position;
use crate::present::{InstructionRow, Origin, Radix};
use crate::tui::app::App;
use crate::tui::code::{CodeRow, Lanes};
use crate::tui::model::CodeView;
use crate::tui::theme::{Glyphs, Role};
use crate::tui::widget::frame::{Title, empty, frame};
use crate::tui::widget::lines::Line;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

/// From this width on, addresses and all lanes are shown.
const WIDE: u16 = 100;
/// How many lanes are shown in less.
const FEW_LANES: usize = 4;

pub(super) fn draw_code(app: &App, buf: &mut Buffer, area: Rect) {
    let window = app.here.windows.code;
    let view = app.code.ready().filter(|_| !app.code.loading);
    let mut about = Line::default();
    if let Some(view) = view {
        about.push(view.title.clone(), Role::Symbol);
    }
    if !app.here.search.is_empty() {
        about.push(format!("  /{}", app.here.search), Role::Match);
    }
    let title = Title { name: "Code", about, right: position(window, app.code_rows.len()) };
    let inside = frame(buf, area, &title, true, app.theme);
    let Some(view) = view else {
        let (text, role) = match app.code.error() {
            Some(error) if !app.code.loading => (error, Role::Fault),
            _ => ("decoding", Role::Wait),
        };
        return empty(buf, inside, text, role, app.theme);
    };
    let wide = area.width >= WIDE;
    let most = if wide { app.jumps.width() } else { app.jumps.width().min(FEW_LANES) };
    let selected = match app.code_rows.get(window.cursor) {
        Some(CodeRow::Instruction(n)) => Some(*n),
        _ => None,
    };
    super::rows(app, buf, inside, window, app.code_rows.len(), true, |n| {
        let line = match app.code_rows.get(n) {
            Some(CodeRow::Instruction(n)) => {
                let Some(row) = view.disassembly.rows.get(*n) else { return Line::default() };
                let mut line = frame_mark(app, row);
                if wide {
                    line.push(format!("{:016x} ", row.at), Role::Dim);
                }
                line.push(format!("{:>7} ", distance(app, view, row)), Role::Address);
                let hot = selected.map_or(0, |selected| app.jumps.shared(*n, selected));
                arrows(&mut line, app.jumps.beside(*n), hot, most, app.theme.glyphs);
                words(line, row, app)
            }
            Some(CodeRow::Source(n)) => match view.disassembly.starts(*n) {
                Some(origin) => {
                    let line = Line::of("      ", Role::Text);
                    let mut line = line.pad(if wide { 31 } else { 14 });
                    // Arrows pass by.
                    let up = app.jumps.beside(*n).up;
                    let lanes = Lanes { up, down: up, ..Lanes::default() };
                    let hot = selected.map_or(0, |selected| app.jumps.shared(*n, selected));
                    arrows(&mut line, lanes, hot, most, app.theme.glyphs);
                    source(line, origin, wide)
                }
                None => Line::default(),
            },
            Some(CodeRow::Cut) => {
                let why = view.cut.as_deref().unwrap_or_default();
                Line::of(format!("    {} cut: {why}", app.theme.glyphs.more), Role::Fault)
            }
            None => Line::default(),
        };
        line.marking(&app.here.search)
    });
}

/// The frame of the selected task that is at this instruction: `#3 ▶`.
fn frame_mark(app: &App, row: &InstructionRow) -> Line {
    let trace = app.trace.ready().filter(|_| !app.trace.loading);
    let frames = trace.into_iter().flat_map(|trace| &trace.frames).enumerate();
    let mut here = frames.filter(|(_, frame)| row.covers(frame.lookup()));
    match here.next() {
        Some((n, _)) => {
            Line::of(format!("{:>3} {} ", format!("#{n}"), app.theme.glyphs.selected), Role::Bad)
        }
        None => Line::of("      ", Role::Text),
    }
}

/// How far it is from the start of its symbol; of one of another symbol, that.
fn distance(app: &App, view: &CodeView, row: &InstructionRow) -> String {
    let Some((name, offset)) = &row.symbol else { return String::new() };
    let title = view.title.split(' ').next().unwrap_or_default();
    match offset {
        0 if name != title => format!("{name}:"),
        offset if app.hex => format!("+{offset:#x}"),
        offset => format!("+{offset}"),
    }
}

/// The lanes of arrows, the outermost first; those of the selected instruction stand out.
fn arrows(line: &mut Line, lanes: Lanes, hot: u8, most: usize, glyphs: &Glyphs) {
    let [top, _, bottom, _, across, down] = glyphs.frame;
    let [cross, _, both, _] = glyphs.joints;
    let role = |hot| if hot { Role::Key } else { Role::Dim };
    // The outermost arrow that comes out of its lane here; all lanes inside it are crossed.
    let crossing = (0..most).rev().find(|lane| lanes.ends & 1 << lane != 0);
    let mut crossed = false;
    let mut crossed_hot = false;
    for lane in (0..most).rev() {
        let bit = 1 << lane;
        let (up, below) = (lanes.up & bit != 0, lanes.down & bit != 0);
        let glyph = match (lanes.ends & bit != 0, up, below) {
            (true, true, true) => both,
            (true, true, false) => bottom,
            (true, false, true) => top,
            // A jump to itself.
            (true, false, false) => across,
            (false, true, _) | (false, _, true) if crossed => cross,
            (false, true, _) | (false, _, true) => down,
            (false, false, false) if crossed => across,
            (false, false, false) => ' ',
        };
        let own = hot & bit != 0;
        line.push(glyph.to_string(), role(own || (crossed_hot && lanes.ends & bit == 0)));
        crossed |= crossing == Some(lane);
        crossed_hot |= own && lanes.ends & bit != 0;
    }
    if most > 0 {
        let shown = u8::try_from((1_u32 << most) - 1).unwrap_or(u8::MAX);
        let end = if lanes.heads & shown != 0 {
            glyphs.selected
        } else if crossing.is_some() {
            &across.to_string()
        } else {
            " "
        };
        line.push(format!("{end} "), role(lanes.ends & hot != 0));
    }
}

/// A source line, and of which inlined function it is.
fn source(mut line: Line, origin: &Origin, wide: bool) -> Line {
    // Where there is little room, the file's name alone.
    let file = if wide { &*origin.file } else { origin.file.rsplit('/').next().unwrap_or("") };
    line.push(format!("{file}:{}", origin.line), Role::Wait);
    if let Some(function) = origin.function.as_deref().filter(|_| origin.inlined) {
        line.push(format!(" {function}"), Role::Symbol);
    }
    match &origin.text {
        Some(text) => line.with(format!("  {}", text.trim()), Role::Task),
        None => line,
    }
}

/// The instruction, with the name of what it refers to in the place of an address.
fn words(mut line: Line, row: &InstructionRow, app: &App) -> Line {
    let radix = if app.hex { Radix::Hex } else { Radix::Decimal };
    let flow = row.target.as_ref().is_some_and(|target| target.branch);
    let role = match row.mnemonic.as_str() {
        "(bad)" => Role::Fault,
        "int3" | "nop" => Role::Dim,
        mnemonic if mnemonic.contains("nop") => Role::Dim,
        _ if flow || row.is_call() || row.mnemonic.starts_with('j') => Role::Type,
        mnemonic if mnemonic.ends_with("ret") => Role::Type,
        _ => Role::Text,
    };
    line.push(format!("{:<6} ", row.mnemonic), role);
    let name = row.target.as_ref().and_then(|target| target.name(radix));
    match (&row.target, name) {
        (Some(target), Some(name)) if target.branch => line.push(name, Role::Symbol),
        (Some(target), name) if !target.branch => {
            line.push(row.operands.clone(), Role::Text);
            line.push("  # ", Role::Dim);
            match name {
                Some(name) => line.push(name, Role::Symbol),
                None => line.push(target.at.to_string(), Role::Address),
            }
        }
        _ => line.push(row.operands.clone(), if role == Role::Dim { role } else { Role::Text }),
    }
    if row.ftrace {
        line.push("  [FTRACE NOP]", Role::Dim);
    }
    line
}
