//! Python's `repr` of an event's context, which the default body carries as text. What lives here:
//! reading it, strictly, as a value. What does not: what it means (`notice`).
//!
//! A context comes out of PostgreSQL's JSONB, so that it holds what JSON has and nothing else: dicts,
//! lists, texts in either quote style, numbers, `True`, `False`, `None`. Anything more, or less, is
//! unreadable as a whole. A display name may hold whatever a context may: read as a text, it is one.

/// Deepest nesting that is read. Authentik's contexts have five levels.
const DEEPEST: usize = 32;

/// The text is no `repr` of such a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Unreadable;

/// What a `repr` says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Value {
    /// A dict; its keys are texts, in their order.
    Dict(Vec<(String, Self)>),
    /// A text.
    Text(String),
    /// A whole number that is not negative.
    Whole(u64),
    /// Anything else.
    Other,
}

/// Reads a text that is a value and nothing beside it.
pub(super) fn read(text: &str) -> Result<Value, Unreadable> {
    let mut reader = Reader { rest: text };
    let value = reader.value(0)?;
    match reader.rest {
        "" => Ok(value),
        _ => Err(Unreadable),
    }
}

impl Value {
    /// The value of a key that a dict has exactly once: of two nobody knows which is meant.
    pub(super) fn get(&self, key: &str) -> Option<&Self> {
        let Self::Dict(entries) = self else {
            return None;
        };
        let mut found = entries.iter().filter(|(name, _)| name == key);
        match (found.next(), found.next()) {
            (Some((_, value)), None) => Some(value),
            _ => None,
        }
    }
}

struct Reader<'a> {
    rest: &'a str,
}

impl Reader<'_> {
    fn value(&mut self, depth: usize) -> Result<Value, Unreadable> {
        if depth > DEEPEST {
            return Err(Unreadable);
        }
        match self.rest.chars().next() {
            Some('{') => self.dict(depth),
            Some('[') => self.list(depth),
            Some('\'' | '"') => self.text().map(Value::Text),
            _ => self.word(),
        }
    }

    fn dict(&mut self, depth: usize) -> Result<Value, Unreadable> {
        self.take("{")?;
        let mut entries = Vec::new();
        if self.take("}").is_ok() {
            return Ok(Value::Dict(entries));
        }
        loop {
            let key = self.text()?;
            self.take(": ")?;
            entries.push((key, self.value(depth + 1)?));
            if self.take("}").is_ok() {
                return Ok(Value::Dict(entries));
            }
            self.take(", ")?;
        }
    }

    fn list(&mut self, depth: usize) -> Result<Value, Unreadable> {
        self.take("[")?;
        if self.take("]").is_ok() {
            return Ok(Value::Other);
        }
        loop {
            self.value(depth + 1)?;
            if self.take("]").is_ok() {
                return Ok(Value::Other);
            }
            self.take(", ")?;
        }
    }

    fn text(&mut self) -> Result<String, Unreadable> {
        let mut chars = self.rest.chars();
        let quote = match chars.next() {
            Some(quote @ ('\'' | '"')) => quote,
            _ => return Err(Unreadable),
        };
        let mut text = String::new();
        loop {
            let c = chars.next().ok_or(Unreadable)?;
            match c {
                _ if c == quote => break,
                '\\' => text.push(escaped(&mut chars)?),
                // Those are always escaped: this is no `repr`.
                _ if c.is_control() => return Err(Unreadable),
                _ => text.push(c),
            }
        }
        self.rest = chars.as_str();
        Ok(text)
    }

    /// A number or a constant.
    fn word(&mut self) -> Result<Value, Unreadable> {
        let end = self.rest.find([',', ']', '}']).unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(end);
        let plain = |b: u8| b.is_ascii_digit() || b"+-.e".contains(&b);
        let number = word.bytes().all(plain) && word.bytes().any(|b| b.is_ascii_digit());
        let value = match word {
            "True" | "False" | "None" | "inf" | "-inf" | "nan" => Value::Other,
            _ if !number => return Err(Unreadable),
            _ => word.parse().map_or(Value::Other, Value::Whole),
        };
        self.rest = rest;
        Ok(value)
    }

    fn take(&mut self, expected: &str) -> Result<(), Unreadable> {
        self.rest = self.rest.strip_prefix(expected).ok_or(Unreadable)?;
        Ok(())
    }
}

/// What follows a backslash (Python's language reference, §2.4.1.1), as `repr` writes it.
fn escaped(chars: &mut std::str::Chars<'_>) -> Result<char, Unreadable> {
    let digits = match chars.next().ok_or(Unreadable)? {
        same @ ('\\' | '\'' | '"') => return Ok(same),
        'n' => return Ok('\n'),
        'r' => return Ok('\r'),
        't' => return Ok('\t'),
        'x' => 2,
        'u' => 4,
        'U' => 8,
        _ => return Err(Unreadable),
    };
    let mut code = 0;
    for _ in 0..digits {
        let digit = chars.next().and_then(|c| c.to_digit(16));
        code = code * 16 + digit.ok_or(Unreadable)?;
    }
    // Half of a pair is no character; nothing that is compared with anything has one.
    Ok(char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_context_is_read_as_python_writes_it() {
        let text = r#"{'pk': 6, 'name': 'Alice O\'Brien "Quote" é', "it's": None, 'list': [1, None, True, {}], 'n': -1.5e-07, 'model': {'pk': 'ab', 'x': {}}}"#;
        let value = read(text).unwrap();
        assert_eq!(value.get("pk"), Some(&Value::Whole(6)));
        let name = Value::Text("Alice O'Brien \"Quote\" é".into());
        assert_eq!(value.get("name"), Some(&name));
        assert_eq!(value.get("it's"), Some(&Value::Other));
        assert_eq!(value.get("n"), Some(&Value::Other));
        let model = value.get("model").unwrap();
        assert_eq!(model.get("pk"), Some(&Value::Text("ab".into())));
        let escaped = read(r"'\x7f\u2028\U0001f600\n\\\''").unwrap();
        assert_eq!(escaped, Value::Text("\u{7f}\u{2028}😀\n\\'".into()));
    }

    #[test]
    fn what_is_none_is_unreadable_and_deep_nesting_does_no_harm() {
        let deep = "[".repeat(100_000);
        let nested = format!("{}{}", "{'a': ".repeat(40), "1");
        for text in [
            "",
            "{",
            "{'a'}",
            "{'a': }",
            "{'a': 1",
            "{'a': 1} ",
            "{a: 1}",
            "'a",
            r"'\q'",
            r"'\x4",
            "<User: x>",
            "UUID('x')",
            "{'a': 1, }",
            "[1,2]",
            "'a\nb'",
            "yes",
            "-",
            &deep,
            &nested,
        ] {
            assert_eq!(read(text), Err(Unreadable), "{text:.20}");
        }
    }

    #[test]
    fn a_key_that_is_there_twice_is_none() {
        let value = read("{'model': {'pk': 1}, 'model': {'pk': 2}}").unwrap();
        assert_eq!(value.get("model"), None);
    }
}
