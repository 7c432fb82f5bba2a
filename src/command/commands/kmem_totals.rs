//! `kmem -i`: what the memory of the machine is used for.

use super::Answer;
use super::sys::memory;
use crate::dump::PAGE_SIZE;
use crate::kernel::{Known, MemoryTotals, Session, Unknown};
use crate::present::{Cell, Document, Heading, Line, Table};

/// One line: what is counted, and what it is a share of.
struct Row {
    id: &'static str,
    label: &'static str,
    pages: Known<u64>,
    share: Option<(&'static str, Known<u64>)>,
}

/// The table as crash prints it.
pub(super) fn answer(session: &Session) -> Answer {
    let totals = MemoryTotals::read(session.kernel());
    let mut table = Table {
        columns: vec![
            Heading::left("use", "USE"),
            Heading::right("pages", "PAGES"),
            Heading::right("kib", "KIB"),
            Heading::right("percent", "PERCENT"),
        ],
        ..Table::default()
    };
    let mut lines = vec![Line::from("                 PAGES        TOTAL      PERCENTAGE")];
    let mut notes = Vec::new();
    for group in groups(&totals) {
        if table.rows.len() > 1 {
            lines.push(Line::default());
        }
        for row in group {
            lines.push(row.text().into());
            let number = |value: Known<u64>| match value {
                Ok(value) => Cell::Int(i64::try_from(value).unwrap_or(i64::MAX)),
                Err(Unknown(why)) => Cell::Unknown(why),
            };
            if let Err(unknown) = &row.pages {
                notes.push(format!("{}: {unknown}", row.label));
            }
            let percent = row.percent().map_or(Cell::Empty, number);
            let kib = row.pages.clone().map(|pages| pages.saturating_mul(PAGE_SIZE / 1024));
            table.rows.push(vec![
                Cell::Text(row.id.to_owned()),
                number(row.pages),
                number(kib),
                percent,
            ]);
        }
    }
    table.lines = Some(lines);
    let mut answer = Answer::from(Document::Table(table));
    answer.notes.extend(notes);
    answer
}

fn groups(totals: &MemoryTotals) -> [Vec<Row>; 4] {
    let MemoryTotals { total, huge_total, swap_total, commit_limit, .. } = totals;
    let whole =
        |id, label, pages: &Known<u64>| Row { id, label, pages: pages.clone(), share: None };
    let part = |id, label, pages: Known<u64>, of, whole: &Known<u64>| Row {
        id,
        label,
        pages,
        share: Some((of, whole.clone())),
    };
    let less =
        |whole: &Known<u64>, part: &Known<u64>| Ok(whole.clone()?.saturating_sub(part.clone()?));
    let of_all = |id, label, pages| part(id, label, pages, "TOTAL MEM", total);
    [
        vec![
            whole("total", "TOTAL MEM", total),
            of_all("free", "FREE", totals.free.clone()),
            of_all("used", "USED", less(total, &totals.free)),
            of_all("buffers", "BUFFERS", totals.buffers.clone()),
            of_all("cached", "CACHED", totals.cached.clone()),
            of_all("slab", "SLAB", totals.slab.clone()),
        ],
        vec![
            whole("huge_total", "TOTAL HUGE", huge_total),
            part("huge_free", "HUGE FREE", totals.huge_free.clone(), "TOTAL HUGE", huge_total),
        ],
        vec![
            whole("swap_total", "TOTAL SWAP", swap_total),
            part(
                "swap_used",
                "SWAP USED",
                less(swap_total, &totals.swap_free),
                "TOTAL SWAP",
                swap_total,
            ),
            part("swap_free", "SWAP FREE", totals.swap_free.clone(), "TOTAL SWAP", swap_total),
        ],
        vec![
            whole("commit_limit", "COMMIT LIMIT", commit_limit),
            part("committed", "COMMITTED", totals.committed.clone(), "TOTAL LIMIT", commit_limit),
        ],
    ]
}

impl Row {
    fn percent(&self) -> Option<Known<u64>> {
        let (_, whole) = self.share.as_ref()?;
        Some(whole.clone().and_then(|whole| {
            let pages = self.pages.clone()?;
            Ok(pages.saturating_mul(100).checked_div(whole).unwrap_or(0))
        }))
    }

    fn text(&self) -> String {
        let label = self.label;
        let Ok(pages) = self.pages else { return format!("{label:>13}        –") };
        let size = memory(pages.saturating_mul(PAGE_SIZE));
        let start = format!("{label:>13}  {pages:7}  {size:>11}");
        match (&self.share, self.percent()) {
            (Some((of, _)), Some(Ok(percent))) => format!("{start}  {percent:3}% of {of}"),
            _ => format!("{start}         ----"),
        }
    }
}
