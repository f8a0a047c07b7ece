//! The compact JWS and its JOSE header (RFC 7515 §4, §7.1), read strictly.
//!
//! RFC 8725 §3: what we do not understand is refused, not ignored. No member may bring a key or an
//! address of one.

use crate::error::{Code, Refusal};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::Algorithm;
use serde::de::{Deserialize, Deserializer, Error, MapAccess, Visitor};
use std::borrow::Cow;
use std::fmt;

/// Longest JOSE header, decoded, in bytes. Pomerium's has 101.
const MAX_HEADER: usize = 1024;

/// Longest `kid`, in bytes. Pomerium's have 64.
pub(super) const MAX_KID: usize = 255;

/// The three parts of a compact JWS, still encoded.
#[derive(Debug, Clone, Copy)]
pub(super) struct Parts<'a> {
    pub(super) header: &'a [u8],
    pub(super) payload: &'a [u8],
    pub(super) signature: &'a [u8],
    /// Header and payload with the dot between them.
    pub(super) signed: &'a [u8],
}

/// Splits a token into exactly three parts, none of them empty.
pub(super) fn split(token: &[u8]) -> Result<Parts<'_>, Refusal> {
    let mut dots = token
        .iter()
        .enumerate()
        .filter_map(|(at, byte)| (*byte == b'.').then_some(at));
    let (Some(first), Some(second), None) = (dots.next(), dots.next(), dots.next()) else {
        return malformed("not three parts");
    };
    let (signed, signature) = token.split_at(second);
    let (header, payload) = signed.split_at(first);
    let parts = Parts {
        header,
        payload: payload.get(1..).unwrap_or_default(),
        signature: signature.get(1..).unwrap_or_default(),
        signed,
    };
    if parts.header.is_empty() || parts.payload.is_empty() || parts.signature.is_empty() {
        return malformed("an empty part");
    }
    Ok(parts)
}

/// What a header says: which algorithm and which key.
#[derive(Debug)]
pub(super) struct Header<'a> {
    pub(super) algorithm: Algorithm,
    pub(super) kid: Cow<'a, str>,
}

/// Decodes and reads a header.
pub(super) fn read(encoded: &[u8]) -> Result<Header<'static>, Refusal> {
    if encoded.len() > MAX_HEADER * 4 / 3 {
        return malformed("the JOSE header is too long");
    }
    let Ok(json) = URL_SAFE_NO_PAD.decode(encoded) else {
        return malformed("the JOSE header is no canonical base64url");
    };
    let members: Members<'_> = match serde_json::from_slice(&json) {
        Ok(members) => members,
        Err(_) => return malformed("the JOSE header is not as it must be"),
    };
    let algorithm = match members.alg.as_ref() {
        "ES256" => Algorithm::ES256,
        "RS256" => Algorithm::RS256,
        _ => {
            return Err(Refusal::new(
                Code::AssertionAlgorithm,
                "alg is neither ES256 nor RS256",
            ));
        }
    };
    if members.typ.is_some_and(|typ| typ != "JWT") {
        return malformed("typ is not JWT");
    }
    if members.kid.is_empty() || members.kid.len() > MAX_KID {
        return malformed("kid is empty or too long");
    }
    Ok(Header {
        algorithm,
        kid: Cow::Owned(members.kid.into_owned()),
    })
}

/// The members a header may have; any other, and any twice, is an error. That refuses `crit`,
/// `jku`, `jwk`, `x5u`, `x5c`, `b64`, `zip` and `cty` at once.
struct Members<'a> {
    alg: Cow<'a, str>,
    kid: Cow<'a, str>,
    typ: Option<Cow<'a, str>>,
}

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Read;
        impl<'de> Visitor<'de> for Read {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JOSE header")
            }

            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Self::Value, M::Error> {
                let (mut alg, mut kid, mut typ) = (None, None, None);
                while let Some(Text(name)) = map.next_key()? {
                    let slot = match name.as_ref() {
                        "alg" => &mut alg,
                        "kid" => &mut kid,
                        "typ" => &mut typ,
                        _ => return Err(M::Error::custom("an unknown member")),
                    };
                    let Text(value) = map.next_value()?;
                    if slot.replace(value).is_some() {
                        return Err(M::Error::custom("a member twice"));
                    }
                }
                Ok(Members {
                    alg: alg.ok_or_else(|| M::Error::missing_field("alg"))?,
                    kid: kid.ok_or_else(|| M::Error::missing_field("kid"))?,
                    typ,
                })
            }
        }
        from.deserialize_map(Read)
    }
}

/// A JSON string, borrowed from the input where it holds no escapes.
#[derive(Debug)]
pub(super) struct Text<'a>(pub(super) Cow<'a, str>);

impl<'de> Deserialize<'de> for Text<'de> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Read;
        impl<'de> Visitor<'de> for Read {
            type Value = Text<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }

            fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Text(Cow::Borrowed(text)))
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Text(Cow::Owned(text.to_owned())))
            }
        }
        from.deserialize_str(Read)
    }
}

pub(super) fn malformed<T>(reason: &'static str) -> Result<T, Refusal> {
    Err(Refusal::new(Code::AssertionMalformed, reason))
}
