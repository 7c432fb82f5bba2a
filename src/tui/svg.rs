//! A buffer as a picture: SVG on a fixed grid.
//!
//! Each run of cells of one style is one `<rect>`, and each word in it one `<text>` with its own
//! position, so that columns stand where they belong. The grid is that of DejaVu Sans Mono: a cell
//! is 0.602 em wide and 1.164 em high, its baseline 0.9 em under its top.

use ratatui::buffer::{Buffer, Cell};
use ratatui::style::{Color, Modifier};
use std::fmt::Write;

const EM: f64 = 15.0;
const WIDTH: f64 = 0.602 * EM;
const HEIGHT: f64 = 1.164 * EM;
const BASELINE: f64 = 0.9 * EM;
const MARGIN: f64 = 10.0;

const BACKGROUND: &str = "#16181d";
const FOREGROUND: &str = "#d5d9e0";
const DIM: &str = "#6b7382";

/// The sixteen colours, as the pictures show them.
fn colour(colour: Color, reset: &'static str) -> &'static str {
    match colour {
        Color::Black => "#2b2f38",
        Color::Red | Color::LightRed => "#f0616d",
        Color::Green | Color::LightGreen => "#8cc570",
        Color::Yellow | Color::LightYellow => "#e0b35f",
        Color::Blue | Color::LightBlue => "#6aa9f4",
        Color::Magenta | Color::LightMagenta => "#c98be8",
        Color::Cyan | Color::LightCyan => "#56b8c2",
        Color::Gray => "#d5d9e0",
        Color::DarkGray => DIM,
        Color::White => "#ffffff",
        _ => reset,
    }
}

/// What decides how a cell looks besides its letter.
#[derive(Clone, Copy, PartialEq)]
struct Look {
    fg: &'static str,
    bg: &'static str,
    modifier: Modifier,
}

impl Look {
    fn of(cell: &Cell) -> Look {
        let (fg, bg) = (colour(cell.fg, FOREGROUND), colour(cell.bg, BACKGROUND));
        let reversed = cell.modifier.contains(Modifier::REVERSED);
        let (fg, bg) = if reversed { (bg, fg) } else { (fg, bg) };
        let fg = if cell.modifier.contains(Modifier::DIM) { DIM } else { fg };
        Look { fg, bg, modifier: cell.modifier }
    }
}

/// The buffer as SVG.
pub(crate) fn svg(buf: &Buffer) -> String {
    let (columns, rows) = (f64::from(buf.area.width), f64::from(buf.area.height));
    let (width, height) = (columns * WIDTH + 2.0 * MARGIN, rows * HEIGHT + 2.0 * MARGIN);
    let mut out = String::new();
    _ = writeln!(
        out,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width:.1}\" height=\"{height:.1}\" \
         viewBox=\"0 0 {width:.1} {height:.1}\" font-family=\"'DejaVu Sans Mono',monospace\" \
         font-size=\"{EM}\" xml:space=\"preserve\">\n\
         <rect width=\"100%\" height=\"100%\" rx=\"6\" fill=\"{BACKGROUND}\"/>"
    );
    let columns = usize::from(buf.area.width).max(1);
    for (y, row) in buf.content.chunks(columns).enumerate() {
        let mut start = 0;
        while let Some(first) = row.get(start) {
            let look = Look::of(first);
            let run = row.iter().skip(start).take_while(|cell| Look::of(cell) == look).count();
            draw_run(&mut out, start, y, look, row.get(start..start + run).unwrap_or_default());
            start += run.max(1);
        }
    }
    out.push_str("</svg>\n");
    out
}

fn place(cells: usize, size: f64) -> f64 {
    MARGIN + f64::from(u32::try_from(cells).unwrap_or(0)) * size
}

fn draw_run(out: &mut String, x: usize, y: usize, look: Look, cells: &[Cell]) {
    let top = place(y, HEIGHT);
    if look.bg != BACKGROUND {
        let (left, right) = (place(x, WIDTH), place(x + cells.len(), WIDTH));
        _ = writeln!(
            out,
            "<rect x=\"{left:.2}\" y=\"{top:.2}\" width=\"{:.2}\" height=\"{HEIGHT:.2}\" fill=\"{}\"/>",
            right - left,
            look.bg
        );
    }
    let mut extra = String::new();
    if look.modifier.contains(Modifier::BOLD) {
        extra.push_str(" font-weight=\"bold\"");
    }
    if look.modifier.contains(Modifier::ITALIC) {
        extra.push_str(" font-style=\"italic\"");
    }
    if look.modifier.contains(Modifier::UNDERLINED) {
        extra.push_str(" text-decoration=\"underline\"");
    }
    // A text for each word, so that no renderer can make one drift further than its own length.
    let mut start = 0;
    for word in cells.split(|cell| cell.symbol().trim().is_empty()) {
        if !word.is_empty() {
            let text: String = word.iter().map(|cell| escape(cell.symbol())).collect();
            _ = writeln!(
                out,
                "<text x=\"{:.2}\" y=\"{:.2}\" fill=\"{}\"{extra}>{text}</text>",
                place(x + start, WIDTH),
                top + BASELINE,
                look.fg
            );
        }
        start += word.len() + 1;
    }
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;
    use ratatui::layout::Rect;
    use ratatui::style::Style;

    #[test]
    fn every_word_has_its_place_on_the_grid() {
        let mut buf = Buffer::empty(Rect::new(0, 0, 9, 1));
        buf.set_string(0, 0, "a<b cd", Style::new().fg(Color::Red));
        buf.set_string(8, 0, " ", Style::new().add_modifier(Modifier::REVERSED));
        let svg = svg(&buf);
        for expected in [
            "<text x=\"10.00\" y=\"23.50\" fill=\"#f0616d\">a&lt;b</text>",
            "<text x=\"46.12\" y=\"23.50\" fill=\"#f0616d\">cd</text>",
            "<rect x=\"82.24\" y=\"10.00\" width=\"9.03\"",
        ] {
            assert!(svg.contains(expected), "{expected}\n{svg}");
        }
    }
}
