//! What an assertion's JOSE header must say. How a token is taken apart is in `jwks::compact`.

use crate::error::{Code, Refusal};
use crate::jwks::Algorithm;
use crate::jwks::compact::{self, Malformed, Parts};

/// Algorithms of assertions: what Pomerium can sign with (facts §1).
pub const ALGORITHMS: &[Algorithm] = &[Algorithm::ES256, Algorithm::RS256];

/// What a header says: which algorithm and which key.
#[derive(Debug)]
pub(super) struct Header {
    pub(super) algorithm: Algorithm,
    pub(super) kid: String,
}

/// Splits a token into exactly three parts.
pub(super) fn split(token: &[u8]) -> Result<Parts<'_>, Refusal> {
    compact::split(token).map_err(unreadable)
}

/// Decodes and reads a header.
pub(super) fn read(encoded: &[u8]) -> Result<Header, Refusal> {
    let header = compact::header(encoded).map_err(unreadable)?;
    let algorithm = match header.alg.as_str() {
        "ES256" => Algorithm::ES256,
        "RS256" => Algorithm::RS256,
        _ => {
            return Err(Refusal::new(
                Code::AssertionAlgorithm,
                "alg is neither ES256 nor RS256",
            ));
        }
    };
    if header.typ.is_some_and(|typ| typ != "JWT") {
        return malformed("typ is not JWT");
    }
    Ok(Header {
        algorithm,
        kid: header.kid,
    })
}

pub(super) fn unreadable(error: Malformed) -> Refusal {
    Refusal::new(Code::AssertionMalformed, error.0)
}

pub(super) fn malformed<T>(reason: &'static str) -> Result<T, Refusal> {
    Err(unreadable(Malformed(reason)))
}
