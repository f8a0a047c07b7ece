//! The request id: taken from `x-request-id` (Pomerium's Envoy sets one) if it is harmless, made
//! otherwise.

use std::fmt;
use uuid::Uuid;

/// Ties the lines of a request together, across Pomerium, us and the app. Not a secret and no
/// proof of anything.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct RequestId(Box<str>);

impl RequestId {
    /// The id that came in, if it is 1 to 64 of `A-Z a-z 0-9 . _ -`; a new one otherwise.
    #[must_use]
    pub fn accept_or_generate(inbound: Option<&[u8]>) -> Self {
        inbound
            .and_then(Self::accept)
            .unwrap_or_else(Self::generate)
    }

    /// The id that came in, if it is harmless in a log line and a header.
    #[must_use]
    pub fn accept(inbound: &[u8]) -> Option<Self> {
        let plain = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
        if inbound.is_empty() || inbound.len() > 64 || !inbound.iter().all(plain) {
            return None;
        }
        std::str::from_utf8(inbound)
            .ok()
            .map(|text| Self(text.into()))
    }

    /// A new id: 32 hex digits of a random UUID.
    #[must_use]
    pub fn generate() -> Self {
        let mut text = [0; uuid::fmt::Simple::LENGTH];
        Self((&*Uuid::new_v4().simple().encode_lower(&mut text)).into())
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RequestId({})", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_harmless_id_is_kept_and_any_other_replaced() {
        let good = b"8f6e0b1c-0000-4000-8000-1d2a.B_9";
        let kept = RequestId::accept_or_generate(Some(good));
        assert_eq!(kept.as_str().as_bytes(), good);
        for bad in [&b""[..], b"a b", b"a\r\nb", b"a\"b", b"\xff", &[b'a'; 65]] {
            assert_eq!(RequestId::accept(bad), None, "{bad:?}");
            assert_eq!(RequestId::accept_or_generate(Some(bad)).as_str().len(), 32);
        }
        assert_ne!(RequestId::generate(), RequestId::generate());
    }
}
