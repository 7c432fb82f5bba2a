//! Where everything stands, for any size of terminal.
//!
//! A pane is a rule with its title and the rows under it; no boxes, so no row or column is lost to
//! a border. Panes side by side have one column between them. Every rectangle lies inside the
//! terminal, whatever its size: what does not fit has no area.

use super::history::{Location, Screen};
use super::keymap::Pane;
use ratatui::layout::Rect;

/// From this width on, panes stand side by side.
const WIDE: u16 = 110;
/// From this height on, two panes stand above each other.
const TALL: u16 = 16;
/// From this height on, four do, in two columns.
const FOUR: u16 = 22;

/// Where everything stands.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub(crate) struct Frames {
    /// What was opened.
    pub(crate) header: Rect,
    /// The verdict, or how far the opening got.
    pub(crate) verdict: Rect,
    /// The panes that are visible, with the rule of their title.
    pub(crate) panes: Vec<(Pane, Rect)>,
    /// All between verdict and footer: where a screen without panes stands.
    pub(crate) body: Rect,
    /// The column between panes side by side; no area where there is none.
    pub(crate) gutter: Rect,
    /// The keys.
    pub(crate) footer: Rect,
}

impl Frames {
    /// Where a pane stands, if it is visible.
    pub(crate) fn pane(&self, pane: Pane) -> Option<Rect> {
        self.panes.iter().find(|(its, _)| *its == pane).map(|(_, area)| *area)
    }

    /// How many rows a pane or screen of this area has under its title.
    pub(crate) fn rows(area: Rect) -> usize {
        usize::from(area.height.saturating_sub(1))
    }
}

/// How many lines of the verdict are shown in a terminal of this height.
pub(crate) fn verdict_lines(height: u16) -> u16 {
    match height {
        0..8 => 0,
        8..16 => 1,
        16..30 => 2,
        30..45 => 3,
        _ => 4,
    }
}

/// The layout for a location in a terminal of this size, with so many lines of verdict.
pub(crate) fn layout(columns: u16, rows: u16, here: &Location, verdict: u16) -> Frames {
    let strip = |y: u16, height: u16| {
        let y = y.min(rows);
        Rect::new(0, y, columns, height.min(rows - y))
    };
    let header = strip(0, u16::from(rows > 2));
    let footer = strip(rows.saturating_sub(1), u16::from(rows > 1));
    let verdict = strip(header.height, verdict.min(verdict_lines(rows)));
    let top = header.height + verdict.height;
    let body = strip(top, rows.saturating_sub(top + footer.height));
    let mut frames = Frames { header, verdict, body, footer, ..Frames::default() };
    if here.screen == Screen::Overview {
        panes(&mut frames, here);
    }
    frames
}

fn panes(frames: &mut Frames, here: &Location) {
    let body = frames.body;
    if here.zoom || body.height < TALL {
        frames.panes = vec![(here.pane, body)];
        return;
    }
    if body.width >= WIDE && body.height >= FOUR {
        let left_width = body.width * 47 / 100;
        let left = Rect { width: left_width, ..body };
        frames.gutter = Rect { x: left_width, width: 1, ..body };
        let right = Rect { x: left_width + 1, width: body.width - left_width - 1, ..body };
        let (tasks, inspector) = stack(left, body.height * 55 / 100);
        let (backtrace, locks) = stack(right, body.height * 45 / 100);
        frames.panes = vec![
            (Pane::Tasks, tasks),
            (Pane::Backtrace, backtrace),
            (Pane::Inspector, inspector),
            (Pane::Locks, locks),
        ];
        return;
    }
    // Two: the tasks, and the pane with the keys or what belongs to the tasks.
    let second = if here.pane == Pane::Tasks { Pane::Locks } else { here.pane };
    let (upper, lower) = stack(body, body.height / 2);
    frames.panes = vec![(Pane::Tasks, upper), (second, lower)];
}

fn stack(area: Rect, upper: u16) -> (Rect, Rect) {
    let upper = upper.min(area.height);
    (
        Rect { height: upper, ..area },
        Rect { y: area.y + upper, height: area.height - upper, ..area },
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn here(pane: Pane) -> Location {
        Location { pane, ..Location::default() }
    }

    #[test]
    fn every_rectangle_lies_inside_every_terminal() {
        for columns in (0..=300).step_by(7) {
            for rows in 0..=100 {
                let terminal = Rect::new(0, 0, columns, rows);
                let frames = layout(columns, rows, &here(Pane::Locks), 4);
                let mut all: Vec<Rect> = frames.panes.iter().map(|(_, area)| *area).collect();
                all.extend([frames.header, frames.verdict, frames.body, frames.footer]);
                for area in all {
                    assert_eq!(area.intersection(terminal).area(), area.area(), "{area:?}");
                }
            }
        }
    }

    #[test]
    fn the_pane_with_the_keys_is_always_visible() {
        for (columns, rows) in [(80, 24), (40, 12), (120, 40), (200, 50), (300, 20)] {
            for pane in Pane::ALL {
                let frames = layout(columns, rows, &here(pane), 2);
                assert!(frames.pane(pane).is_some(), "{pane:?} at {columns}x{rows}");
            }
        }
    }

    #[test]
    fn a_large_terminal_shows_four_panes_that_fill_it() {
        let frames = layout(120, 40, &here(Pane::Tasks), 2);
        let cells: u32 = frames.panes.iter().map(|(_, area)| area.area()).sum();
        assert_eq!(frames.panes.len(), 4);
        assert_eq!(cells + frames.gutter.area(), frames.body.area());
    }
}
