//! A table as plain data: what a list of rows becomes when it is asked for its columns.

use super::{Align, Cell, Column, Line};

/// The head of one column.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Heading {
    /// Its name in JSON.
    pub id: &'static str,
    /// Its title in text.
    pub title: &'static str,
    /// On which side its cells stand.
    pub align: Align,
}

impl Heading {
    /// A column of text.
    #[must_use]
    pub const fn left(id: &'static str, title: &'static str) -> Heading {
        Heading { id, title, align: Align::Left }
    }

    /// A column of numbers.
    #[must_use]
    pub const fn right(id: &'static str, title: &'static str) -> Heading {
        Heading { id, title, align: Align::Right }
    }
}

/// Rows of cells under their headings.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Table {
    /// The columns.
    pub columns: Vec<Heading>,
    /// The rows, each with one cell a column.
    pub rows: Vec<Vec<Cell>>,
    /// How it reads as text where that is not in aligned columns (`ps`, `log`).
    pub lines: Option<Vec<Line>>,
}

impl Table {
    /// The rows that `columns` make of `items`.
    #[must_use]
    pub fn of<'t, T: 't>(columns: &[Column<T>], items: impl IntoIterator<Item = &'t T>) -> Table {
        Table {
            columns: columns
                .iter()
                .map(|c| Heading { id: c.id, title: c.title, align: c.align })
                .collect(),
            rows: items
                .into_iter()
                .map(|item| columns.iter().map(|column| (column.get)(item)).collect())
                .collect(),
            lines: None,
        }
    }

    /// The text of the table, heading first.
    #[must_use]
    pub fn text(&self) -> Vec<Line> {
        self.lines.clone().unwrap_or_else(|| self.aligned())
    }

    fn aligned(&self) -> Vec<Line> {
        let cells: Vec<Vec<String>> =
            self.rows.iter().map(|row| row.iter().map(Cell::to_string).collect()).collect();
        let width = |column: usize, heading: &Heading| {
            let widest = cells.iter().filter_map(|row| row.get(column)).map(|c| c.chars().count());
            widest.max().unwrap_or(0).max(heading.title.chars().count())
        };
        let widths: Vec<usize> =
            self.columns.iter().enumerate().map(|(column, h)| width(column, h)).collect();
        let line = |row: &mut dyn Iterator<Item = &str>| {
            let mut text = String::new();
            for ((cell, heading), width) in row.zip(&self.columns).zip(&widths) {
                if !text.is_empty() {
                    text.push_str("  ");
                }
                text += &match heading.align {
                    Align::Left => format!("{cell:<width$}"),
                    Align::Right => format!("{cell:>width$}"),
                };
            }
            text.truncate(text.trim_end().len());
            Line::from(text)
        };
        let head = line(&mut self.columns.iter().map(|heading| heading.title));
        let rows = cells.iter().map(|row| line(&mut row.iter().map(String::as_str)));
        std::iter::once(head).chain(rows).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let table = Table {
            columns: vec![Heading::right("pid", "PID"), Heading::left("comm", "COMM")],
            rows: vec![
                vec![Cell::Int(7), Cell::Text("init".into())],
                vec![Cell::Int(30413), Cell::Text("java".into())],
            ],
            lines: None,
        };
        let text: Vec<String> = table.text().into_iter().map(|line| line.text).collect();
        assert_eq!(text, ["  PID  COMM", "    7  init", "30413  java"]);
    }
}
