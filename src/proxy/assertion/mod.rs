//! Station 3, authenticate: a raw assertion → [`Verified<Assertion>`].
//!
//! In the order a token is read: `raw` takes the one header line out of a request; `header` says
//! what its JOSE header must be; `verify` puts the checks in order; `claims` reads the payload
//! strictly; `issuer` holds what differs from profile to profile; `verified` is what is left; `replay` remembers what was used.
//! What does not live here: issuers' keys and the compact JWS (`jwks`), who may do what (`access/`),
//! accounts and sessions.
//!
//! Invariants: a [`Verified`] is made by [`Verifier::verify`] alone; every request is verified
//! anew, nothing about a token is cached but its key's usual header bytes (which were signed); no
//! expectation and no address is ever taken from a token (T7, T20).
//!
//! ```compile_fail
//! // Outsiders can't build one: the field is private and there is no constructor.
//! let forged = auth_manager::proxy::assertion::Verified { inner: "anything" };
//! ```
//!
//! ```compile_fail
//! // Nor can one be read from text.
//! use auth_manager::proxy::assertion::{Assertion, Verified};
//! let forged: Verified<Assertion> = serde_json::from_str("{}").unwrap();
//! ```
//!
//! ```compile_fail
//! // Nor appear from nothing.
//! use auth_manager::proxy::assertion::{Assertion, Verified};
//! let forged: Verified<Assertion> = Default::default();
//! ```
//!
//! ```compile_fail
//! // Nor be copied to outlive its request.
//! use auth_manager::proxy::assertion::{Assertion, Verified};
//! fn keep(proof: &Verified<Assertion>) -> Verified<Assertion> {
//!     proof.clone()
//! }
//! ```
//!
//! ```
//! // While this, the proof that the four above fail for their own reason, compiles.
//! use auth_manager::proxy::assertion::{Assertion, Verified};
//! fn read(proof: &Verified<Assertion>) -> &str {
//!     proof.subject().as_str()
//! }
//! ```

mod claims;
#[doc(hidden)]
pub mod fuzz;
mod header;
mod issuer;
mod raw;
mod replay;
mod verified;
mod verify;

pub use header::ALGORITHMS;
pub use raw::RawAssertion;
pub use replay::{ReplayStats, ReplayTable, ReplayVerdict};
pub use verified::Assertion;
#[cfg(test)]
pub(crate) use verified::AssertionForTest;
pub use verify::Verifier;

use std::ops::Deref;

/// Something whose signature and rules were checked; only this module makes one.
///
/// It can't be cloned: proof is carried from station to station, never kept.
#[derive(Debug)]
pub struct Verified<T> {
    inner: T,
}

impl<T> Deref for Verified<T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.inner
    }
}

#[cfg(test)]
mod tests;
