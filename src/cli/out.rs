//! What commands print: aligned tables for people, JSON for programs.

use serde::Serialize;
use std::fmt::Display;
use std::io::{self, Write as _};

/// Writes to standard output. A reader that has seen enough (`| head`) is no failure.
pub(super) fn print(text: impl Display) -> anyhow::Result<()> {
    match writeln!(io::stdout().lock(), "{text}") {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        other => Ok(other?),
    }
}

/// Writes JSON; times in it are seconds since 1970.
pub(super) fn json(value: &impl Serialize) -> anyhow::Result<()> {
    print(serde_json::to_string_pretty(value)?)
}

/// A text of somebody else's, for a terminal: nothing that moves the cursor or turns the line
/// around (T39).
pub(super) fn clean(text: &str) -> String {
    let odd = |c: char| {
        c.is_control()
            || matches!(c, '\u{200e}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    text.chars()
        .map(|c| if odd(c) { '\u{fffd}' } else { c })
        .collect()
}

/// Rows below a head, columns aligned.
pub(super) struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    /// An empty table with these columns.
    pub(super) fn new(head: &[&str]) -> Self {
        Self {
            rows: vec![head.iter().map(|h| (*h).to_owned()).collect()],
        }
    }

    /// A row; an empty cell is shown as `-`.
    pub(super) fn row<const N: usize>(&mut self, cells: [String; N]) {
        let shown = |cell: String| match cell.is_empty() {
            true => "-".to_owned(),
            false => clean(&cell),
        };
        self.rows.push(cells.into_iter().map(shown).collect());
    }

    /// As text; `none` when there are no rows.
    pub(super) fn text(&self, none: &str) -> String {
        if self.rows.len() < 2 {
            return none.to_owned();
        }
        let columns = self.rows.first().map_or(0, Vec::len);
        let width = |at: usize| {
            let cells = self.rows.iter().filter_map(|row| row.get(at));
            cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
        };
        let widths: Vec<_> = (0..columns).map(width).collect();
        let line = |row: &Vec<String>| {
            let cells = row.iter().zip(&widths);
            let text: String = cells.map(|(cell, w)| format!("{cell:<w$}  ")).collect();
            text.trim_end().to_owned()
        };
        let lines: Vec<_> = self.rows.iter().map(line).collect();
        lines.join("\n")
    }
}

/// Names and values of one record, values aligned; empty values are left out.
pub(super) fn record(fields: &[(&str, String)]) -> String {
    let width = fields.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    let lines: Vec<_> = fields
        .iter()
        .filter(|(_, value)| !value.is_empty())
        .map(|(name, value)| format!("{name:<width$}  {}", clean(value)))
        .collect();
    lines.join("\n")
}

/// `1 session`, `2 sessions`.
pub(super) fn count(number: usize, what: &str) -> String {
    match number {
        1 => format!("1 {what}"),
        n => format!("{n} {what}s"),
    }
}

/// A length of time, roughly: what a person wants to know of it.
pub(super) fn roughly(seconds: i64) -> String {
    let s = seconds.unsigned_abs();
    match s {
        0..120 => format!("{s} s"),
        120..7_200 => format!("{} min", s / 60),
        7_200..172_800 => format!("{} h", s / 3_600),
        _ => format!("{} days", s / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned_and_empty_cells_shown() {
        let mut table = Table::new(&["NAME", "STATE"]);
        table.row(["é".into(), "active".into()]);
        table.row(["longer".into(), String::new()]);
        assert_eq!(
            table.text("none"),
            "NAME    STATE\né       active\nlonger  -"
        );
        assert_eq!(Table::new(&["A"]).text("none"), "none");
    }

    #[test]
    fn nothing_printed_moves_the_cursor() {
        assert_eq!(
            clean("a\u{1b}[2Jb\nc\u{202e}d"),
            "a\u{fffd}[2Jb\u{fffd}c\u{fffd}d"
        );
    }

    #[test]
    fn times_are_told_roughly() {
        for (seconds, text) in [
            (5, "5 s"),
            (-180, "3 min"),
            (7_200, "2 h"),
            (200_000, "2 days"),
        ] {
            assert_eq!(roughly(seconds), text);
        }
    }
}
