//! Header names that imitate protected ones.
//!
//! Upstreams fold names: CGI and its children read `X_Forwarded_User` and `X-Forwarded-User` as
//! one, PHP reads `X.Forwarded.User` so too (T1). Pomerium 0.31 lets `X_Pomerium_Jwt_Assertion`
//! pass beside the genuine one (recordings/pomerium, difference 36), so that refusing here is
//! needed, not belt and braces.

use crate::error::{Code, Refusal};
use http::request::Parts;
use http::{HeaderMap, HeaderName};

/// Families of names that only Pomerium, Envoy, we or the app itself write.
const FAMILIES: [&str; 5] = [
    "x-pomerium-",
    "x-envoy-",
    "x-forwarded-",
    "x-mm-",
    "x-remotecluster-",
];

/// Single names that mean identity, framing or origin to us or to an app.
const PROTECTED: [&str; 44] = [
    "authorization",
    "connection",
    "content-length",
    "content-type",
    "cookie",
    "expect",
    "forwarded",
    "host",
    "keep-alive",
    "mattermost-user-id",
    "origin",
    "proxy-authorization",
    "proxy-connection",
    "referer",
    "sec-fetch-dest",
    "sec-fetch-mode",
    "sec-fetch-site",
    "sec-fetch-user",
    "sec-websocket-extensions",
    "sec-websocket-key",
    "sec-websocket-protocol",
    "sec-websocket-version",
    "te",
    "token",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "x-client-ip",
    "x-cloud-token",
    "x-cluster-client-ip",
    "x-csrf-token",
    "x-forwarded",
    "x-host",
    "x-http-method",
    "x-http-method-override",
    "x-method-override",
    "x-original-uri",
    "x-original-url",
    "x-real-ip",
    "x-request-id",
    "x-requested-with",
    "x-rewrite-url",
    "x-scheme",
    "true-client-ip",
];

/// Names found on the way that have to go.
pub(super) struct Seen {
    pub(super) remove: Vec<HeaderName>,
}

/// Looks at every line once: the head's size, imitations, and names to remove.
pub(super) fn survey(parts: &Parts, limit: usize) -> Result<Seen, Refusal> {
    let mut remove = Vec::with_capacity(12);
    let mut size = parts.method.as_str().len() + parts.uri.path().len() + 12;
    size += parts.uri.query().map_or(0, |q| q.len() + 1);
    for (name, value) in &parts.headers {
        let text = name.as_str();
        size += text.len() + value.len() + 4;
        if !is_plain(text) {
            if imitates(text) {
                return Err(Refusal::new(
                    Code::RequestHeader,
                    "a header name folds to a protected one",
                ));
            }
            remove.push(name.clone());
        } else if super::strip::goes(text) {
            remove.push(name.clone());
        }
    }
    if size > limit {
        return Err(Refusal::new(
            Code::RequestTooLarge,
            "the request head is larger than limits.head",
        ));
    }
    Ok(Seen { remove })
}

/// Whether a name is written with nothing but letters, digits and dashes.
fn is_plain(name: &str) -> bool {
    name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
}

/// Whether an odd name is read as a protected one by an upstream that folds.
pub(super) fn imitates(name: &str) -> bool {
    let folded = fold(name);
    PROTECTED.contains(&folded.as_str()) || in_family(&folded)
}

/// Whether a plain name belongs to a family that only the trusted side writes.
pub(super) fn in_family(name: &str) -> bool {
    FAMILIES.iter().any(|family| name.starts_with(family))
}

/// Whether a name is one that nothing in a request may take away (see `hop_by_hop`).
pub(super) fn is_protected(name: &str) -> bool {
    PROTECTED.contains(&name) || in_family(name)
}

/// Lower case; every separator that a name may hold is a dash.
fn fold(name: &str) -> String {
    name.chars()
        .map(|c| {
            if c.is_ascii_alphanumeric() {
                c.to_ascii_lowercase()
            } else {
                '-'
            }
        })
        .collect()
}

/// Removes the names found.
pub(super) fn drop_all(headers: &mut HeaderMap, names: &[HeaderName]) {
    for name in names {
        headers.remove(name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn t01_every_spelling_of_a_protected_name_is_found(
            index in 0..PROTECTED.len(),
            marks in proptest::collection::vec("[_.!~^]", 1..6),
        ) {
            // Names without a dash have no separator to respell.
            let name = PROTECTED[index];
            prop_assume!(name.contains('-'));
            let mut marks = marks.iter().cycle();
            let spelt: String = name
                .split('-')
                .collect::<Vec<_>>()
                .join(marks.next().unwrap());
            prop_assert!(!is_plain(&spelt));
            prop_assert!(imitates(&spelt));
        }

        #[test]
        fn t01_families_are_found_in_any_spelling(rest in "[a-z_.-]{1,20}", mark in "[_.]") {
            for family in FAMILIES {
                let spelt = format!("{}{rest}", family.replace('-', &mark));
                prop_assert!(imitates(&spelt));
            }
        }
    }

    #[test]
    fn ordinary_names_imitate_nothing() {
        for name in ["accept", "x_foo", "x.y", "x-mobile-app", "user-agent"] {
            assert!(!imitates(name), "{name}");
        }
    }
}
