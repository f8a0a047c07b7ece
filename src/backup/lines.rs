//! The lines of a backup: a manifest, then tables and rows, then how many rows there were.

use super::BackupError;
use crate::store::archive::{Cell, Piece};
use base64::{Engine as _, engine::general_purpose::STANDARD_NO_PAD};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The form of the lines.
const FORM: u32 = 1;

/// What a backup says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// The form of its lines.
    form: u32,
    /// The program that made it.
    pub program: String,
    /// When, in seconds since 1970.
    pub made_at: i64,
    /// Version of the tables.
    pub schema: i64,
}

impl Manifest {
    pub(super) fn new(made_at: i64, schema: i64) -> Self {
        Self {
            form: FORM,
            program: env!("CARGO_PKG_VERSION").into(),
            made_at,
            schema,
        }
    }
}

/// One line.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Line {
    Backup(Manifest),
    Table { name: String, columns: Vec<String> },
    Row(Vec<Value>),
    End { rows: u64 },
}

/// What a line means.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Said {
    Manifest(Manifest),
    Piece(Piece),
    /// The end, and how many rows came before it.
    End(u64),
}

pub(super) fn manifest(manifest: &Manifest) -> String {
    line(&Line::Backup(manifest.clone()))
}

pub(super) fn table(name: &str, columns: &[String]) -> String {
    line(&Line::Table {
        name: name.into(),
        columns: columns.to_vec(),
    })
}

pub(super) fn row(cells: &[Cell]) -> String {
    line(&Line::Row(cells.iter().map(value).collect()))
}

pub(super) fn end(rows: u64) -> String {
    line(&Line::End { rows })
}

fn line(line: &Line) -> String {
    let mut text = serde_json::json!(line).to_string();
    text.push('\n');
    text
}

fn value(cell: &Cell) -> Value {
    match cell {
        Cell::Null => Value::Null,
        Cell::Int(number) => (*number).into(),
        Cell::Text(text) => text.as_str().into(),
        // An array of one, which no text and no number is.
        Cell::Bytes(bytes) => vec![STANDARD_NO_PAD.encode(bytes)].into(),
    }
}

/// Reads a line without its end.
pub(super) fn read(bytes: &[u8]) -> Result<Said, BackupError> {
    let wrong = |what: &str| BackupError::Line(what.into());
    // The line may hold anything personal: it is not shown.
    let line = serde_json::from_slice(bytes).map_err(|_| wrong("a line is not of a known form"))?;
    Ok(match line {
        Line::Backup(manifest) if manifest.form != FORM => {
            return Err(wrong(&format!(
                "its lines are of form {}, this program knows {FORM}: use the program that made it ({})",
                manifest.form, manifest.program
            )));
        }
        Line::Backup(manifest) => Said::Manifest(manifest),
        Line::Table { name, columns } => Said::Piece(Piece::Table { name, columns }),
        Line::Row(values) => {
            let cells = values.into_iter().map(cell).collect::<Option<_>>();
            let cells = cells.ok_or_else(|| wrong("a value is not of a known form"))?;
            Said::Piece(Piece::Rows(vec![cells]))
        }
        Line::End { rows } => Said::End(rows),
    })
}

fn cell(value: Value) -> Option<Cell> {
    Some(match value {
        Value::Null => Cell::Null,
        Value::Number(number) => Cell::Int(number.as_i64()?),
        Value::String(text) => Cell::Text(text),
        Value::Array(one) => match one.as_slice() {
            [Value::String(text)] => Cell::Bytes(STANDARD_NO_PAD.decode(text).ok()?),
            _ => return None,
        },
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn any_cell() -> impl Strategy<Value = Cell> {
        prop_oneof![
            Just(Cell::Null),
            any::<i64>().prop_map(Cell::Int),
            any::<String>().prop_map(Cell::Text),
            proptest::collection::vec(any::<u8>(), 0..40).prop_map(Cell::Bytes),
        ]
    }

    proptest! {
        #[test]
        fn any_row_is_one_line_and_comes_back(cells in proptest::collection::vec(any_cell(), 0..8)) {
            let line = row(&cells);
            let bare = line.strip_suffix('\n').unwrap();
            prop_assert!(!bare.contains('\n'));
            prop_assert_eq!(read(bare.as_bytes()).unwrap(), Said::Piece(Piece::Rows(vec![cells])));
        }

        #[test]
        fn any_bytes_are_read_without_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
            let _ = read(&bytes);
        }
    }

    #[test]
    fn another_form_and_odd_values_are_refused() {
        let newer = r#"{"backup":{"form":2,"program":"9","made_at":1,"schema":1}}"#;
        let refused = read(newer.as_bytes()).unwrap_err().to_string();
        assert!(
            refused.contains("form 2") && refused.contains("(9)"),
            "{refused}"
        );
        for odd in [
            r#"{"row":[1.5]}"#,
            r#"{"row":[true]}"#,
            r#"{"row":[["a","b"]]}"#,
            r#"{"row":[["%"]]}"#,
            r#"{"row":[{}]}"#,
            "{}",
            "",
            "[]",
        ] {
            assert!(read(odd.as_bytes()).is_err(), "{odd}");
        }
    }
}
