//! Entry points for fuzzing: pure functions from bytes that assert what must hold.

use super::{clean, query, target};
use crate::config::Limits;
use std::time::Duration;

/// Any bytes as a path and as a query.
pub fn fuzz_target(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    if target::check_path(text).is_ok() {
        assert!(text.starts_with('/') && !text.contains("//") && !text.contains('\\'));
    }
    let kept = query::cut(text);
    assert!(kept.len() <= text.len());
    // Cutting twice cuts nothing more.
    assert_eq!(query::cut(&kept), kept);
}

/// Any bytes as an HTTP/1.1 head: never a panic, and nothing protected survives.
pub fn fuzz_request(data: &[u8]) {
    let mut lines = [httparse::EMPTY_HEADER; 64];
    let mut head = httparse::Request::new(&mut lines);
    if !matches!(head.parse(data), Ok(httparse::Status::Complete(_))) {
        return;
    }
    let mut request = http::Request::builder()
        .method(head.method.unwrap_or("GET"))
        .uri(head.path.unwrap_or("/"))
        .version(http::Version::HTTP_11);
    for line in head.headers.iter() {
        request = request.header(line.name, line.value);
    }
    let Ok(request) = request.body(()) else {
        return;
    };
    let Ok(clean) = clean(request.into_parts().0, &LIMITS) else {
        return;
    };
    for name in clean.headers().keys() {
        let name = name.as_str();
        assert!(!name.contains('_') && !name.starts_with("x-pomerium-"));
        assert!(!["cookie", "authorization", "host", "forwarded"].contains(&name));
    }
    if let Some(cookie) = clean.forwardable_cookies(&["MMAUTHTOKEN"]) {
        let line = cookie.to_str().unwrap_or_default().to_ascii_uppercase();
        assert!(!line.contains("MMAUTHTOKEN=") || line.contains("XMMAUTHTOKEN="));
    }
}

/// The defaults of `[limits]`.
pub(crate) const LIMITS: Limits = Limits {
    head: 196_608,
    assertion: 65_536,
    head_timeout: Duration::from_secs(30),
    connections: 20_000,
    drain: Duration::from_secs(30),
    notice: Duration::ZERO,
};
