//! How values become text in a line. Whatever a value holds, a line stays one line and a JSON
//! object stays one object: control characters are escaped in both forms.

use std::fmt::{self, Write};

/// Appends a JSON string, quotes included.
pub(super) fn json_string(to: &mut Vec<u8>, text: &str) {
    to.push(b'"');
    json_escaped(to, text);
    to.push(b'"');
}

/// Appends the inside of a JSON string (RFC 8259 §7).
pub(super) fn json_escaped(to: &mut Vec<u8>, text: &str) {
    let bytes = text.as_bytes();
    let mut plain = 0;
    for (at, byte) in bytes.iter().enumerate() {
        // DEL is allowed in JSON, but moves terminals that are shown the line.
        if *byte >= b' ' && !matches!(byte, b'"' | b'\\' | 0x7f) {
            continue;
        }
        to.extend_from_slice(&bytes[plain..at]);
        plain = at + 1;
        match byte {
            b'"' => to.extend_from_slice(b"\\\""),
            b'\\' => to.extend_from_slice(b"\\\\"),
            b'\n' => to.extend_from_slice(b"\\n"),
            b'\r' => to.extend_from_slice(b"\\r"),
            b'\t' => to.extend_from_slice(b"\\t"),
            _ => {
                to.extend_from_slice(b"\\u00");
                to.push(HEX[usize::from(byte >> 4)]);
                to.push(HEX[usize::from(byte & 15)]);
            }
        }
    }
    to.extend_from_slice(&bytes[plain..]);
}

/// Appends text for people: control characters escaped, C1 included (they move terminals too).
pub(super) fn human_escaped(to: &mut Vec<u8>, text: &str) {
    if text.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
        return to.extend_from_slice(text.as_bytes());
    }
    for c in text.chars() {
        if c.is_control() {
            let _ = write!(Raw(to), "{}", c.escape_default());
        } else {
            to.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
        }
    }
}

/// Writes formatted text as it is: for numbers.
pub(super) struct Raw<'a>(pub(super) &'a mut Vec<u8>);

impl Write for Raw<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.extend_from_slice(text.as_bytes());
        Ok(())
    }
}

/// Writes formatted text escaped for JSON.
pub(super) struct Json<'a>(pub(super) &'a mut Vec<u8>);

impl Write for Json<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        json_escaped(self.0, text);
        Ok(())
    }
}

/// Writes formatted text escaped for people.
pub(super) struct Human<'a>(pub(super) &'a mut Vec<u8>);

impl Write for Human<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        human_escaped(self.0, text);
        Ok(())
    }
}

const HEX: &[u8; 16] = b"0123456789abcdef";

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn any_text_survives_as_json_and_stays_on_its_line(text in any::<String>()) {
            let mut line = Vec::new();
            json_string(&mut line, &text);
            prop_assert!(!line.iter().any(|b| *b < b' ' || *b == 0x7f));
            prop_assert_eq!(serde_json::from_slice::<String>(&line).unwrap(), text.clone());
            line.clear();
            human_escaped(&mut line, &text);
            let shown = String::from_utf8(line).unwrap();
            prop_assert!(!shown.chars().any(char::is_control));
        }
    }
}
