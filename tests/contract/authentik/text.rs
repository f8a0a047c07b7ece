//! Texts without what no two servers share: ids, hashes and times are written as marks.

/// `<uuid>`, `<hex32>`, `<hex64>` and `<time>` in their places.
pub(crate) fn blank(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let alone = !out.ends_with(|before: char| before.is_ascii_alphanumeric());
        let found = alone.then(|| mark(rest)).flatten();
        match found {
            Some((length, mark)) => {
                out.push_str(mark);
                rest = &rest[length..];
            }
            None => {
                out.push(c);
                rest = &rest[c.len_utf8()..];
            }
        }
    }
    out
}

fn mark(text: &str) -> Option<(usize, &'static str)> {
    let hex = text
        .bytes()
        .take_while(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(b))
        .count();
    if hex == 64 {
        return Some((64, "<hex64>"));
    }
    if hex == 32 {
        return Some((32, "<hex32>"));
    }
    if hex == 8
        && text
            .get(..36)
            .is_some_and(|text| uuid::Uuid::parse_str(text).is_ok())
    {
        return Some((36, "<uuid>"));
    }
    let form = b"dddd-dd-ddTdd:dd:dd";
    let bytes = text.as_bytes();
    let fits = bytes.len() >= form.len()
        && form.iter().zip(bytes).all(|(want, have)| match want {
            b'd' => have.is_ascii_digit(),
            want => want == have,
        });
    if !fits {
        return None;
    }
    let more = bytes[form.len()..]
        .iter()
        .take_while(|b| b.is_ascii_digit() || b".+:Z".contains(b))
        .count();
    Some((form.len() + more, "<time>"))
}

#[test]
fn what_no_two_servers_share_is_blanked() {
    assert_eq!(
        blank("a 4e41e286-12c1-4bbe-8a39-98dbd1aeae02 '01da33a36f8f45e7a17cd6f65f3e55dd' 12 Z"),
        "a <uuid> '<hex32>' 12 Z"
    );
    assert_eq!(blank("\"2026-11-21T08:00:01.809983+00:00\""), "\"<time>\"");
    assert_eq!(blank("\"2027-01-01T00:00:00Z\","), "\"<time>\",");
    assert_eq!(blank(&"ab".repeat(32)), "<hex64>");
}
