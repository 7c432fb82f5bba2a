//! How a [`Cell`] reads, and which of two comes first.

use super::Cell;
use std::cmp::Ordering;
use std::fmt;
use std::time::Duration;

/// Stands where something should be known and is not.
pub const UNKNOWN: &str = "–";

impl fmt::Display for Cell {
    /// As a table shows it: addresses bare, as crash prints them, spans of time by [`span`].
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Cell::Text(text) => f.write_str(text),
            Cell::Int(number) => write!(f, "{number}"),
            Cell::Float(number, digits) => write!(f, "{number:.digits$}"),
            Cell::Bool(value) => f.write_str(if *value { "yes" } else { "no" }),
            Cell::Address(at) => write!(f, "{at:x}"),
            Cell::Duration(time) => f.write_str(&span(*time)),
            Cell::Empty => Ok(()),
            Cell::Unknown(_) => f.write_str(UNKNOWN),
        }
    }
}

impl Cell {
    /// Which comes first in an ascending sort. What is empty or unknown comes last.
    #[must_use]
    pub fn order(&self, other: &Cell) -> Ordering {
        match (self, other) {
            (Cell::Text(a), Cell::Text(b)) => a.cmp(b),
            (Cell::Int(a), Cell::Int(b)) => a.cmp(b),
            (Cell::Float(a, _), Cell::Float(b, _)) => a.total_cmp(b),
            (Cell::Bool(a), Cell::Bool(b)) => a.cmp(b),
            (Cell::Address(a), Cell::Address(b)) => a.cmp(b),
            (Cell::Duration(a), Cell::Duration(b)) => a.cmp(b),
            _ => self.rank().cmp(&other.rank()),
        }
    }

    /// Whether it has a value to show.
    #[must_use]
    pub fn is_known(&self) -> bool {
        !matches!(self, Cell::Empty | Cell::Unknown(_))
    }

    fn rank(&self) -> u8 {
        match self {
            Cell::Empty => 1,
            Cell::Unknown(_) => 2,
            _ => 0,
        }
    }
}

/// A span of time in at most five characters: `3.2s`, `412s`, `87m`, `31h`, `41d`.
#[must_use]
pub fn span(time: Duration) -> String {
    let seconds = time.as_secs();
    match seconds {
        0..10 => format!("{seconds}.{}s", time.subsec_millis() / 100),
        10..1000 => format!("{seconds}s"),
        1000..6000 => format!("{}m", seconds / 60),
        6000..172_800 => format!("{}h", seconds / 3600),
        _ => format!("{}d", seconds / 86400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dump::VirtAddr;

    #[test]
    fn a_span_of_time_keeps_its_unit_short() {
        let texts = [0, 3_290, 59_900, 999_000, 1_000_000, 7_200_000, 200_000_000]
            .map(|ms| span(Duration::from_millis(ms)));
        assert_eq!(texts, ["0.0s", "3.2s", "59s", "999s", "16m", "2h", "2d"]);
    }

    #[test]
    fn what_is_not_known_is_never_a_zero_and_sorts_last() {
        let unknown = Cell::Unknown("no such member".into());
        assert_eq!(unknown.to_string(), "–");
        assert_eq!(Cell::Int(i64::MAX).order(&unknown), Ordering::Less);
        assert_eq!(Cell::Empty.order(&Cell::Text(String::new())), Ordering::Greater);
        assert_eq!(Cell::Int(2).order(&Cell::Int(10)), Ordering::Less);
        assert_eq!(Cell::Address(VirtAddr(0xffff)).to_string(), "ffff");
    }
}
