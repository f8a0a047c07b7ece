//! Credentials in the query.
//!
//! Pomerium forwards `?pomerium_session=` in clear (recordings/pomerium, difference 19);
//! Mattermost reads `?access_token=` (T23). Their parameters are cut out of the text; every other
//! byte stays as the client wrote it, since re-encoding would change what was judged.

use http::Uri;
use http::uri::{InvalidUri, PathAndQuery};

const CREDENTIALS: [&[u8]; 3] = [b"pomerium_session", b"pomerium_jwt", b"access_token"];

/// Path and query without credential parameters.
pub(super) fn without_credentials(uri: &Uri) -> Result<PathAndQuery, InvalidUri> {
    let kept = match uri.query() {
        Some(query) if has_credential(query.as_bytes()) => cut(query),
        _ => {
            return Ok(uri
                .path_and_query()
                .cloned()
                .unwrap_or_else(|| PathAndQuery::from_static("/")));
        }
    };
    if kept.is_empty() {
        uri.path().parse()
    } else {
        format!("{}?{kept}", uri.path()).parse()
    }
}

fn has_credential(query: &[u8]) -> bool {
    query.split(is_separator).any(is_credential)
}

/// `;` separated parameters once (HTML 4), and still does in some upstreams.
fn is_separator(byte: &u8) -> bool {
    matches!(byte, b'&' | b';')
}

/// The query without credential parameters; the separators before kept ones stay.
pub(super) fn cut(query: &str) -> String {
    let mut kept = String::with_capacity(query.len());
    let mut rest = query;
    let mut separator = None;
    let mut first = true;
    loop {
        let end = rest.find(['&', ';']).unwrap_or(rest.len());
        let (part, tail) = rest.split_at(end);
        if !is_credential(part.as_bytes()) {
            if let (Some(mark), false) = (separator, first) {
                kept.push(mark);
            }
            kept.push_str(part);
            first = false;
        }
        let mut tail = tail.chars();
        separator = tail.next();
        if separator.is_none() {
            return kept;
        }
        rest = tail.as_str();
    }
}

/// Whether a parameter's name, percent-decoded once and in any case, is a credential's.
fn is_credential(part: &[u8]) -> bool {
    let name = part.split(|b| *b == b'=').next().unwrap_or(part);
    CREDENTIALS.iter().any(|known| spells(name, known))
}

/// Compares without decoding into a buffer; blanks around the name are ignored as some do.
fn spells(name: &[u8], known: &[u8]) -> bool {
    let mut bytes = name.iter().copied();
    let mut decoded = std::iter::from_fn(move || {
        let byte = bytes.next()?;
        if byte != b'%' {
            return Some(if byte == b'+' { b' ' } else { byte });
        }
        let mut ahead = bytes.clone();
        match (ahead.next().and_then(hex), ahead.next().and_then(hex)) {
            (Some(high), Some(low)) => {
                bytes = ahead;
                Some(high << 4 | low)
            }
            _ => Some(byte),
        }
    })
    .skip_while(|b| b.is_ascii_whitespace());
    known
        .iter()
        .all(|k| decoded.next().is_some_and(|b| b.eq_ignore_ascii_case(k)))
        && decoded.all(|b| b.is_ascii_whitespace() || b == 0)
}

/// The value of one hexadecimal digit.
pub(super) fn hex(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn clean(target: &str) -> String {
        without_credentials(&target.parse().unwrap())
            .unwrap()
            .to_string()
    }

    #[test]
    fn t23_credentials_go_in_every_spelling() {
        for (given, left) in [
            ("/a?access_token=x", "/a"),
            ("/a?b=1&access_token=x&c=%20d", "/a?b=1&c=%20d"),
            ("/a?access%5Ftoken=x&b", "/a?b"),
            ("/a?%61ccess_token=x&b=access_token", "/a?b=access_token"),
            ("/a?Access_Token=x", "/a"),
            ("/a?b=1;pomerium_session=y;c=2", "/a?b=1;c=2"),
            ("/a?pomerium_jwt=1&pomerium_session=2", "/a"),
            ("/a?+access_token=x&b", "/a?b"),
            ("/a?access_token", "/a"),
            (
                "/a?access_tokens=1&xaccess_token=2",
                "/a?access_tokens=1&xaccess_token=2",
            ),
        ] {
            assert_eq!(clean(given), left, "{given}");
        }
    }

    proptest! {
        #[test]
        fn the_rest_stays_byte_for_byte(
            before in "([a-z0-9%=+/.]{1,8}&){0,3}",
            after in "(&[a-z0-9%=+/.]{1,8}){0,3}",
        ) {
            let with = format!("{before}access_token=secret{after}");
            let without = format!("{}{}", before.trim_end_matches('&'), if before.is_empty() {
                after.trim_start_matches('&')
            } else {
                &after
            });
            prop_assert_eq!(cut(&with), without);
        }

        #[test]
        fn nothing_is_cut_where_nothing_is(query in "[a-zA-Z0-9%=&;+/._-]{0,60}") {
            prop_assume!(!has_credential(query.as_bytes()));
            prop_assert_eq!(cut(&query), query);
        }
    }
}
