//! A cursor in a list and the part of the list that is on the screen.

/// Cursor and first visible row. Plain positions: what they count is the list's affair.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(crate) struct Window {
    /// The selected row.
    pub(crate) cursor: usize,
    /// The first visible row.
    pub(crate) top: usize,
}

impl Window {
    /// Brings cursor and top into a list of `len` rows seen `height` rows at a time, so that the
    /// cursor is visible and no space is wasted under the end.
    pub(crate) fn fit(&mut self, len: usize, height: usize) {
        let height = height.max(1);
        self.cursor = self.cursor.min(len.saturating_sub(1));
        let lowest = (self.cursor + 1).saturating_sub(height);
        self.top = self.top.clamp(lowest, self.cursor.max(lowest));
        self.top = self.top.min(len.saturating_sub(height));
    }

    /// Moves the cursor by `rows` inside `len` rows.
    pub(crate) fn step(&mut self, rows: isize, len: usize) {
        let last = len.saturating_sub(1);
        self.cursor = self.cursor.saturating_add_signed(rows).min(last);
    }

    /// The visible rows.
    pub(crate) fn visible(self, len: usize, height: usize) -> std::ops::Range<usize> {
        let start = self.top.min(len);
        start..(start + height).min(len)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cursor_stays_visible_and_the_window_full() {
        let mut window = Window { cursor: 50, top: 0 };
        window.fit(100, 10);
        assert_eq!(window, Window { cursor: 50, top: 41 });
        window.step(-5, 100);
        window.fit(100, 10);
        assert_eq!(window, Window { cursor: 45, top: 41 });
        window.fit(12, 10);
        assert_eq!(window, Window { cursor: 11, top: 2 });
        window.fit(0, 0);
        assert_eq!(window, Window::default());
        assert_eq!(window.visible(0, 10), 0..0);
    }

    #[test]
    fn steps_end_at_the_ends() {
        let mut window = Window { cursor: 3, top: 0 };
        window.step(-9, 10);
        assert_eq!(window.cursor, 0);
        window.step(isize::MAX, 10);
        assert_eq!(window.cursor, 9);
    }
}
