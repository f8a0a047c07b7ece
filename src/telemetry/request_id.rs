//! The request id: taken from `x-request-id` (Pomerium's Envoy sets one) if it is harmless, made
//! otherwise.

use http::HeaderValue;
use std::fmt;
use uuid::Uuid;

/// Ties the lines of a request together, across Pomerium, us and the app. Not a secret and no
/// proof of anything. Kept as the header's value that it comes and goes as: a reference count.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct RequestId(HeaderValue);

impl RequestId {
    /// The id that came in, if it is 1 to 64 of `A-Z a-z 0-9 . _ -`; a new one otherwise.
    #[must_use]
    pub fn accept_or_generate(inbound: Option<&HeaderValue>) -> Self {
        inbound
            .and_then(Self::accept)
            .unwrap_or_else(Self::generate)
    }

    /// The id that came in, if it is harmless in a log line and a header.
    #[must_use]
    pub fn accept(inbound: &HeaderValue) -> Option<Self> {
        let plain = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
        let text = inbound.as_bytes();
        let ok = !text.is_empty() && text.len() <= 64 && text.iter().all(plain);
        ok.then(|| Self(inbound.clone()))
    }

    /// A new id: 32 hex digits of a random UUID.
    #[must_use]
    pub fn generate() -> Self {
        let mut text = [0; uuid::fmt::Simple::LENGTH];
        let text = Uuid::new_v4().simple().encode_lower(&mut text);
        // Hex digits are always a header value.
        Self(HeaderValue::from_str(text).unwrap_or_else(|_| HeaderValue::from_static("-")))
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        // Letters, digits and three signs: always a text.
        self.0.to_str().unwrap_or_default()
    }

    /// As a header's value.
    #[must_use]
    pub fn header(&self) -> &HeaderValue {
        &self.0
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RequestId({})", self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_harmless_id_is_kept_and_any_other_replaced() {
        let good = b"8f6e0b1c-0000-4000-8000-1d2a.B_9";
        let line = |text: &[u8]| HeaderValue::from_bytes(text).unwrap();
        let kept = RequestId::accept_or_generate(Some(&line(good)));
        assert_eq!(kept.as_str().as_bytes(), good);
        for bad in [&b""[..], b"a b", b"a\tb", b"a\"b", b"\xff", &[b'a'; 65]] {
            let bad = line(bad);
            assert_eq!(RequestId::accept(&bad), None, "{bad:?}");
            assert_eq!(RequestId::accept_or_generate(Some(&bad)).as_str().len(), 32);
        }
        assert_ne!(RequestId::generate(), RequestId::generate());
    }
}
