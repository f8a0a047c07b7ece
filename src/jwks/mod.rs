//! Keys of others, and what they signed: the JWKS of issuers, fetched and kept fresh, and the
//! compact JWS, read strictly. Shared by the road, which verifies visitors' assertions, and the
//! api, which verifies services' tokens; which algorithms, claims and types count is theirs.
//!
//! - [`fetch`]: [`KeySource`] keeps an issuer's keys fresh, from a file or a fixed URL.
//! - [`keys`]: [`KeySet`], the keys of one answer.
//! - `jwk`: one key, parsed once.
//! - [`compact`]: a token taken apart, and its JOSE header.
//! - [`members`]: the members of its objects, each once and of its type.
//!
//! What does not live here: our own keys (`keys`).

pub mod compact;
pub mod fetch;
mod jwk;
pub mod keys;
pub mod members;

pub use fetch::{FetchError, KeySource, KeyStatus, KeysUnavailable, SourceError, Upkeep};
pub use jsonwebtoken::Algorithm;
pub use keys::{Key, KeySet, KeySetError};
