//! Values as Python and PostgreSQL write them: `repr`, `json.dumps` with its blanks and escapes, and
//! the key order of JSONB (short keys first). Webhook bodies are made of these, byte for byte.

use serde_json::Value;
use std::fmt::Write as _;

/// A value whose keys have an order.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Py {
    None,
    Bool(bool),
    Int(i64),
    Str(String),
    List(Vec<Py>),
    Dict(Vec<(String, Py)>),
}

impl Py {
    pub(super) fn dict<const N: usize>(pairs: [(&str, Self); N]) -> Self {
        Self::Dict(pairs.map(|(key, value)| (key.to_owned(), value)).to_vec())
    }

    pub(super) fn text(text: impl Into<String>) -> Self {
        Self::Str(text.into())
    }

    /// A value out of a JSONB column: keys by length, then by bytes.
    pub(super) fn jsonb(value: &Value) -> Self {
        match value {
            Value::Null => Self::None,
            Value::Bool(flag) => Self::Bool(*flag),
            Value::Number(number) => Self::Int(number.as_i64().unwrap_or_default()),
            Value::String(text) => Self::Str(text.clone()),
            Value::Array(items) => Self::List(items.iter().map(Self::jsonb).collect()),
            Value::Object(fields) => {
                let mut pairs: Vec<_> = fields
                    .iter()
                    .map(|(key, value)| (key.clone(), Self::jsonb(value)))
                    .collect();
                pairs.sort_by(|(a, _), (b, _)| (a.len(), a).cmp(&(b.len(), b)));
                Self::Dict(pairs)
            }
        }
    }

    /// `repr(value)`.
    pub(super) fn repr(&self) -> String {
        let mut text = String::new();
        self.write_repr(&mut text);
        text
    }

    fn write_repr(&self, to: &mut String) {
        match self {
            Self::None => to.push_str("None"),
            Self::Bool(true) => to.push_str("True"),
            Self::Bool(false) => to.push_str("False"),
            Self::Int(number) => {
                let _ = write!(to, "{number}");
            }
            Self::Str(text) => repr_text(text, to),
            Self::List(items) => {
                to.push('[');
                for (index, item) in items.iter().enumerate() {
                    to.push_str(if index == 0 { "" } else { ", " });
                    item.write_repr(to);
                }
                to.push(']');
            }
            Self::Dict(pairs) => {
                to.push('{');
                for (index, (key, value)) in pairs.iter().enumerate() {
                    to.push_str(if index == 0 { "" } else { ", " });
                    repr_text(key, to);
                    to.push_str(": ");
                    value.write_repr(to);
                }
                to.push('}');
            }
        }
    }

    /// `json.dumps(value)`: ASCII, with a blank after each comma and colon.
    pub(super) fn dumps(&self) -> String {
        let mut text = String::new();
        self.write_dumps(&mut text);
        text
    }

    fn write_dumps(&self, to: &mut String) {
        match self {
            Self::None => to.push_str("null"),
            Self::Bool(flag) => to.push_str(if *flag { "true" } else { "false" }),
            Self::Int(number) => {
                let _ = write!(to, "{number}");
            }
            Self::Str(text) => dump_text(text, to),
            Self::List(items) => {
                to.push('[');
                for (index, item) in items.iter().enumerate() {
                    to.push_str(if index == 0 { "" } else { ", " });
                    item.write_dumps(to);
                }
                to.push(']');
            }
            Self::Dict(pairs) => {
                to.push('{');
                for (index, (key, value)) in pairs.iter().enumerate() {
                    to.push_str(if index == 0 { "" } else { ", " });
                    dump_text(key, to);
                    to.push_str(": ");
                    value.write_dumps(to);
                }
                to.push('}');
            }
        }
    }
}

/// Single quotes, unless the text has such and no double ones.
fn repr_text(text: &str, to: &mut String) {
    let quote = if text.contains('\'') && !text.contains('"') {
        '"'
    } else {
        '\''
    };
    to.push(quote);
    for c in text.chars() {
        match c {
            '\\' => to.push_str("\\\\"),
            '\n' => to.push_str("\\n"),
            '\r' => to.push_str("\\r"),
            '\t' => to.push_str("\\t"),
            c if c == quote => {
                to.push('\\');
                to.push(c);
            }
            c if c.is_control() => {
                let _ = write!(to, "\\x{:02x}", u32::from(c));
            }
            c => to.push(c),
        }
    }
    to.push(quote);
}

fn dump_text(text: &str, to: &mut String) {
    to.push('"');
    for c in text.chars() {
        match c {
            '"' => to.push_str("\\\""),
            '\\' => to.push_str("\\\\"),
            '\n' => to.push_str("\\n"),
            '\r' => to.push_str("\\r"),
            '\t' => to.push_str("\\t"),
            ' '..='~' => to.push(c),
            c => {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    let _ = write!(to, "\\u{unit:04x}");
                }
            }
        }
    }
    to.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn values_are_written_as_python_writes_them() {
        let value = Py::jsonb(&json!({
            "model": {"name": "Alice O'Brien \"Quote\" é", "pk": 6}, "b": [null, true, "it's"],
        }));
        assert_eq!(
            value.repr(),
            r#"{'b': [None, True, "it's"], 'model': {'pk': 6, 'name': 'Alice O\'Brien "Quote" é'}}"#
        );
        assert_eq!(Py::text("é\"\n😀").dumps(), r#""\u00e9\"\n\ud83d\ude00""#);
    }
}
