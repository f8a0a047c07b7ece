//! Station 1, hygiene: a request as hyper parsed it → [`CleanRequest`], or a [`Refusal`].
//!
//! What lives here: one file per kind of dirt. `framing` refuses heads that two parsers could read
//! differently (T21); `target` knows the one canonical path (T14); `names` finds headers that
//! imitate protected ones (T1); `hop_by_hop` and `strip` take away what ends here (T2, T4, T13,
//! T23); `cookies`, `query` and `forwarded` read the three places where clients hide things.
//! What does not: deciding about identity (`assertion/`), hosts (`route/`) or sessions.
//!
//! Invariants: the path judged is the path forwarded, byte for byte; the assertion is taken out
//! before anything a client wrote (`Connection`) can name it; of credentials only the captured
//! copies behind accessors remain, none of them in [`CleanRequest::headers`].
//!
//! hyper hides one thing from us: of `Content-Length` beside `Transfer-Encoding` it keeps the
//! latter alone, and of equal `Content-Length` lines one. What goes upstream is framed anew from
//! the body hyper read, so that it is one request there too.

mod clean;
mod cookies;
mod forwarded;
mod framing;
#[doc(hidden)]
pub mod fuzz;
mod hop_by_hop;
mod names;
mod patience;
mod place;
mod query;
mod strip;
mod target;

pub use clean::{CleanParts, CleanRequest};
pub use cookies::{CookieView, Cookies};
pub use forwarded::request_id;
pub use patience::{Patient, Turn};
pub use place::Place;

use crate::config::Limits;
use crate::error::{Code, Refusal};
use crate::proxy::assertion::RawAssertion;
use http::request::Parts;

/// Cleans one request head.
///
/// # Errors
/// When the head is ambiguous, imitates protected headers, is too large or asks for what is not
/// served. Nothing of such a request may be forwarded.
pub fn clean(mut parts: Parts, limits: &Limits) -> Result<CleanRequest, Refusal> {
    framing::check_method(&parts.method)?;
    framing::check_version(parts.version)?;
    let host = target::host(&parts)?;
    target::check_path(parts.uri.path())?;
    let upgrade = framing::check(&parts)?;
    let seen = names::survey(&parts, limits.head)?;

    let headers = &mut parts.headers;
    // Before anything else is edited: no `Connection` option can take it away (T2).
    let assertion = RawAssertion::take_from(headers)?;
    let captured = strip::capture(headers)?;
    hop_by_hop::remove(headers, upgrade)?;
    strip::remove(headers, &seen);
    let uri = query::without_credentials(&parts.uri)
        .map_err(|_| Refusal::new(Code::RequestPath, "the target can't be written again"))?;

    Ok(CleanRequest {
        method: parts.method,
        version: parts.version,
        target: uri,
        headers: parts.headers,
        extensions: parts.extensions,
        host,
        assertion,
        captured,
        upgrade,
    })
}

#[cfg(test)]
mod tests;
