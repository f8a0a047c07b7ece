//! The target: one host, one canonical path.
//!
//! Pomerium's CVE-2023-33189 was a policy that judged another path than was routed (T14). Here
//! nothing is normalised: a path that could be read in two ways is refused, and what passes is
//! judged and forwarded as the same bytes. In particular an unreserved character must stand for
//! itself (`%61` is `a`, RFC 3986 §6.2.2.2), so that a rule that names `/api/v4/` means every
//! spelling an upstream would decode to it. Rules must therefore be written in unreserved
//! characters and `/`; other characters may arrive plain or encoded.
//!
//! A fragment can't be refused here: the `http` crate cuts it off while parsing, so that it is
//! neither judged nor forwarded (Pomerium answers it with 400, difference 20).

use super::query::hex;
use crate::error::{Code, Refusal};
use crate::types::HostName;
use http::header::HOST;
use http::request::Parts;
use http::uri::Authority;

/// Longest path, in bytes.
const MAX_PATH: usize = 8 * 1024;

/// The host that the request names, wherever it names it.
///
/// HTTP/1.1 has exactly one Host line (RFC 9112 §3.2); with an absolute-form target, which
/// overrides it, both must agree. HTTP/2 has `:authority`, and a Host that agrees if any.
pub(super) fn host(parts: &Parts) -> Result<HostName, Refusal> {
    let mut lines = parts.headers.get_all(HOST).iter();
    let line = match (lines.next(), lines.next()) {
        (_, Some(_)) => return malformed("more than one Host"),
        (line, None) => line,
    };
    let written = match line.map(|line| line.to_str()) {
        None => None,
        Some(Ok(text)) => Some(text),
        Some(Err(_)) => return malformed("Host is not ASCII"),
    };
    let authority = parts.uri.authority().map(Authority::as_str);
    let name = match (written, authority) {
        (Some(host), Some(target)) if !host.eq_ignore_ascii_case(target) => {
            return malformed("Host and the target's authority differ");
        }
        (None, _) if parts.version != http::Version::HTTP_2 => return malformed("no Host"),
        (Some(host), _) => host,
        (None, Some(target)) => target,
        (None, None) => return malformed("no authority"),
    };
    let name = without_port(name)
        .ok_or_else(|| Refusal::new(Code::RequestMalformed, "Host has a port that is no number"))?;
    HostName::new(name).map_err(|_| Refusal::new(Code::RequestMalformed, "Host is no host name"))
}

fn without_port(authority: &str) -> Option<&str> {
    // A colon inside brackets belongs to an IPv6 literal.
    let start = authority.rfind(']').map_or(0, |end| end + 1);
    match authority.get(start..)?.find(':') {
        None => Some(authority),
        Some(colon) => {
            let (name, port) = authority.split_at(start + colon);
            let digits = port.get(1..)?;
            let ok = (1..=5).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit());
            ok.then_some(name)
        }
    }
}

/// Checks that `path` is its own canonical form.
pub(super) fn check_path(path: &str) -> Result<(), Refusal> {
    if path.len() > MAX_PATH {
        return refuse("the path is longer than 8 KiB");
    }
    if !path.starts_with('/') {
        return refuse("the path does not start with a slash");
    }
    let mut escaped = false;
    let mut previous = 0;
    for byte in path.bytes() {
        match byte {
            b'/' if previous == b'/' => return refuse("an empty segment"),
            b'\\' => return refuse("a backslash"),
            b';' => return refuse("a path parameter"),
            b'#' => return refuse("a fragment"),
            b'%' => escaped = true,
            0..=0x20 | 0x7f.. => return refuse("a control, blank or non-ASCII character"),
            _ => {}
        }
        previous = byte;
    }
    if path
        .split('/')
        .any(|segment| segment == "." || segment == "..")
    {
        return refuse("a dot segment");
    }
    if escaped {
        check_escapes(path)?;
    }
    Ok(())
}

/// Checks each `%XX`, and that the decoded path is UTF-8.
fn check_escapes(path: &str) -> Result<(), Refusal> {
    let mut decoded = Vec::with_capacity(path.len());
    let mut bytes = path.bytes();
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            decoded.push(byte);
            continue;
        }
        let (Some(high), Some(low)) = (bytes.next().and_then(hex), bytes.next().and_then(hex))
        else {
            return refuse("an incomplete escape");
        };
        let byte = high << 4 | low;
        match byte {
            b'/' | b'\\' => return refuse("an escaped slash or backslash"),
            b';' | b'?' | b'#' => return refuse("an escaped delimiter"),
            b'-' | b'.' | b'_' | b'~' => return refuse("an escaped unreserved character"),
            _ if byte.is_ascii_alphanumeric() => {
                return refuse("an escaped unreserved character");
            }
            // `%25` followed by two digits: an upstream that decodes twice reads another path.
            b'%' => {
                let mut ahead = bytes.clone();
                let twice =
                    ahead.next().and_then(hex).is_some() && ahead.next().and_then(hex).is_some();
                if twice {
                    return refuse("a doubly escaped character");
                }
            }
            0..=0x1f | 0x7f => return refuse("an escaped control character"),
            _ => {}
        }
        decoded.push(byte);
    }
    if std::str::from_utf8(&decoded).is_err() {
        return refuse("escapes that are no UTF-8");
    }
    Ok(())
}

fn refuse(reason: &'static str) -> Result<(), Refusal> {
    Err(Refusal::new(Code::RequestPath, reason))
}

fn malformed<T>(reason: &'static str) -> Result<T, Refusal> {
    Err(Refusal::new(Code::RequestMalformed, reason))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn t14_paths_with_two_readings_are_refused() {
        for path in [
            "",
            "*",
            "a",
            "//",
            "/a//b",
            "/a/",
            "/./a",
            "/a/.",
            "/a/..",
            "/a/../b",
            "/..",
            "/a\\b",
            "/a;x=1",
            "/a%2fb",
            "/a%2Fb",
            "/a%5cb",
            "/a%5Cb",
            "/%2e%2e/a",
            "/%2E/a",
            "/.%2e/a",
            "/a%00",
            "/a%0d%0ab",
            "/a%7f",
            "/a%",
            "/a%4",
            "/a%zz",
            "/a%3b",
            "/a%23b",
            "/a%3Fb",
            "/%61pi",
            "/client%5Fperf",
            "/a%252e",
            "/a%c0%ae",
            "/a%ff",
            "/é",
            "/a b",
            "/a#b",
        ] {
            let ok = path == "/a/";
            assert_eq!(check_path(path).is_ok(), ok, "{path:?}");
        }
        assert!(check_path(&format!("/{}", "a".repeat(MAX_PATH))).is_err());
    }

    #[test]
    fn real_paths_pass_unchanged() {
        for path in [
            "/",
            "/api/v4/users/me",
            "/api/v4/users/email/alice%40example.com",
            "/api/v4/files/x/caf%C3%A9%20menu.pdf",
            "/team/channels/town-square",
            "/team/messages/@alice",
            "/.auth-manager/health",
            "/a/...",
            "/~user/x:y",
            "/static/main.3f2a.js",
            "/100%25",
            "/%E6%97%A5",
        ] {
            assert!(check_path(path).is_ok(), "{path}");
        }
    }

    proptest! {
        #[test]
        fn arbitrary_text_never_panics(path in "\\PC{0,60}") {
            let _ = check_path(&path);
        }

        /// No path that passes decodes to one that a slash- or dot-aware upstream reads otherwise.
        #[test]
        fn t14_what_passes_has_one_reading(path in "/[a-c./%25eEfF\\\\;~_-]{0,16}") {
            if check_path(&path).is_ok() {
                let once = decode(path.as_bytes());
                // The same segments, none of them special, and nothing left to decode.
                let slashes = |text: &[u8]| text.iter().filter(|b| **b == b'/').count();
                prop_assert_eq!(slashes(&once), slashes(path.as_bytes()));
                prop_assert!(!once.contains(&b'\\') && !once.windows(2).any(|w| w == b"//"));
                prop_assert!(once.split(|b| *b == b'/').all(|s| s != b"." && s != b".."));
                prop_assert_eq!(decode(&once), once);
            }
        }
    }

    /// Decodes every `%XX` once, as an upstream does.
    fn decode(text: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        let mut rest = text;
        while let [first, tail @ ..] = rest {
            rest = tail;
            let pair = tail
                .first()
                .copied()
                .and_then(hex)
                .zip(tail.get(1).copied().and_then(hex));
            match (first, pair) {
                (b'%', Some((high, low))) => {
                    out.push(high << 4 | low);
                    rest = &tail[2..];
                }
                _ => out.push(*first),
            }
        }
        out
    }
}
