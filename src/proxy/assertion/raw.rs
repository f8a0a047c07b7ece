//! [`RawAssertion`]: a header line that nobody has believed yet.

use crate::error::{Code, Refusal};
use http::HeaderMap;
use http::header::{HeaderName, HeaderValue, InvalidHeaderValue};
use std::fmt;

/// Pomerium's header: one compact JWS, no `Bearer` (recordings/pomerium/01-logged-in-get.json).
pub(super) const HEADER: HeaderName = HeaderName::from_static("x-pomerium-jwt-assertion");

/// An assertion as it came, unverified: another type than [`super::Assertion`], so that the two
/// can't be mistaken (T20).
#[derive(Clone)]
pub struct RawAssertion(HeaderValue);

impl RawAssertion {
    /// A captured assertion, for `check` and tests.
    ///
    /// # Errors
    /// When the text could not be a header's value.
    pub fn from_text(text: &str) -> Result<Self, InvalidHeaderValue> {
        HeaderValue::from_str(text).map(Self)
    }

    /// Takes the assertion out of a request's headers.
    ///
    /// # Errors
    /// When there are two, as lines or as a list: through Pomerium that can't happen (facts §6), so
    /// that somebody came around it (T3). None is picked.
    pub(crate) fn take_from(headers: &mut HeaderMap) -> Result<Option<Self>, Refusal> {
        if headers.get_all(HEADER).iter().nth(1).is_some() {
            return Err(Refusal::new(
                Code::AssertionDuplicate,
                "several X-Pomerium-Jwt-Assertion lines",
            ));
        }
        let Some(mut line) = headers.remove(HEADER) else {
            return Ok(None);
        };
        if line.as_bytes().contains(&b',') {
            return Err(Refusal::new(
                Code::AssertionDuplicate,
                "a list in X-Pomerium-Jwt-Assertion",
            ));
        }
        line.set_sensitive(true);
        Ok(Some(Self(line)))
    }

    /// Whether the line is there but empty: Pomerium's signing key is unusable (recordings,
    /// difference 9).
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

/// Its length only: whoever reads the text can use it (T34).
impl fmt::Debug for RawAssertion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[assertion of {} bytes]", self.0.len())
    }
}
