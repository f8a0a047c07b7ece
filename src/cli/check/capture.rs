//! What an operator captured: the token alone, its header line, or a whole request head.

use anyhow::{Context as _, bail};
use std::fs::File;
use std::io::Read;

/// Longest capture in bytes: a head has at most 192 KiB.
const LONGEST: u64 = 512 * 1024;
/// Pomerium's header.
const HEADER: &str = "x-pomerium-jwt-assertion";

/// A capture, read but not believed.
#[derive(Debug, Default, PartialEq, Eq)]
pub(in crate::cli) struct Capture {
    /// Values of the header, one a line of it; a bare token is one.
    pub(in crate::cli) assertions: Vec<String>,
    /// The request's `Host`, without a port.
    pub(in crate::cli) host: Option<String>,
    /// Headers whose names resemble Pomerium's without being it.
    pub(in crate::cli) lookalikes: Vec<String>,
}

/// Reads a file, or standard input for `-`.
pub(in crate::cli) fn read(from: &str) -> anyhow::Result<String> {
    let mut text = Vec::new();
    if from == "-" {
        std::io::stdin()
            .lock()
            .take(LONGEST + 1)
            .read_to_end(&mut text)?;
    } else {
        let file = File::open(from).with_context(|| format!("{from} can't be opened"))?;
        file.take(LONGEST + 1)
            .read_to_end(&mut text)
            .with_context(|| format!("{from} can't be read"))?;
    }
    if text.len() as u64 > LONGEST {
        bail!("{from} is longer than 512 KiB: an assertion has a few KiB");
    }
    String::from_utf8(text).with_context(|| format!("{from} is not text"))
}

impl Capture {
    /// Takes a capture apart.
    pub(in crate::cli) fn of(text: &str) -> Self {
        let mut capture = Self::default();
        let lines: Vec<_> = text.lines().map(str::trim_end).collect();
        let head = lines.iter().any(|line| header(line).is_some());
        if !head && !is_request_line(lines.first().copied().unwrap_or_default()) {
            // A token that was folded by a terminal is one token.
            let token: String = text.split_ascii_whitespace().collect();
            let token = token.strip_prefix("Bearer").unwrap_or(&token);
            capture.assertions.push(token.to_owned());
            return capture;
        }
        for line in lines {
            let Some((name, value)) = header(line) else {
                continue;
            };
            let folded = name.to_ascii_lowercase();
            if folded == HEADER {
                capture.assertions.push(value.to_owned());
            } else if folded.replace('_', "-") == HEADER {
                capture.lookalikes.push(name.to_owned());
            } else if matches!(folded.as_str(), "host" | ":authority") && capture.host.is_none() {
                capture.host = Some(without_port(value).to_owned());
            }
        }
        capture
    }
}

/// Name and value of a header line. HTTP/2 tools write `:authority: host`.
fn header(line: &str) -> Option<(&str, &str)> {
    // curl -v writes `> Name: value`.
    let line = line.trim_start_matches(['>', '<', '*', ' ', '\t']);
    let at = line.char_indices().skip(1).find(|(_, c)| *c == ':')?.0;
    let (name, value) = line.split_at(at);
    let token = |b: u8| b.is_ascii_alphanumeric() || b"-_:".contains(&b);
    let value = value.get(1..)?.trim();
    (name.bytes().all(token) && !name.is_empty()).then_some((name, value))
}

fn is_request_line(line: &str) -> bool {
    line.trim_start_matches(['>', ' '])
        .split(' ')
        .nth(2)
        .is_some_and(|version| version.starts_with("HTTP/"))
}

fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) => name,
        _ => host,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn assertions(of: &[&str]) -> Vec<String> {
        of.iter().map(|a| (*a).to_owned()).collect()
    }

    #[test]
    fn a_token_a_line_and_a_head_are_understood() {
        for text in [
            "a.b.c",
            "a.b.c\n",
            " a.b\n.c ",
            "Bearer a.b.c",
            "X-Pomerium-Jwt-Assertion: a.b.c",
        ] {
            assert_eq!(
                Capture::of(text).assertions,
                assertions(&["a.b.c"]),
                "{text:?}"
            );
        }
        let head = Capture::of(
            "GET /a:b HTTP/1.1\r\nHost: chat.example:8443\r\nx-pomerium-jwt-assertion: a.b.c\r\n\r\n",
        );
        assert_eq!(head.assertions, assertions(&["a.b.c"]));
        assert_eq!(head.host.as_deref(), Some("chat.example"));
    }

    #[test]
    fn what_is_missing_doubled_or_alike_is_seen() {
        let none = Capture::of("GET / HTTP/1.1\nHost: a\nAccept: */*\n");
        assert_eq!(none.assertions, assertions(&[]));
        let bare = Capture::of("GET / HTTP/1.1\n\n");
        assert_eq!(bare.assertions, assertions(&[]));
        let two =
            Capture::of("> Host: a\n> X-Pomerium-Jwt-Assertion: a\n> x-pomerium-jwt-assertion: b");
        assert_eq!(two.assertions, assertions(&["a", "b"]));
        let alike = Capture::of("Host: a\nX_Pomerium_Jwt_Assertion: a.b.c");
        assert_eq!(alike.lookalikes.len(), 1);
        assert_eq!(
            Capture::of("x-pomerium-jwt-assertion:\nhost: a").assertions,
            assertions(&[""])
        );
        assert_eq!(Capture::of("").assertions, assertions(&[""]));
    }
}
