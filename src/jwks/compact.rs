//! The compact JWS and its JOSE header (RFC 7515 §4, §7.1), read strictly.
//!
//! RFC 8725 §3: what we do not understand is refused, not ignored. No member may bring a key or an
//! address of one.

use super::members::Text;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::de::{Deserialize, Deserializer, Error, MapAccess, Visitor};
use std::fmt;

/// Longest JOSE header, decoded, in bytes. Pomerium's has 101.
const MAX_HEADER: usize = 1024;

/// Longest `kid`, in bytes. Pomerium's have 64.
pub(super) const MAX_KID: usize = 255;

/// Longest signature, decoded, in bytes: RSA with 8192 bits.
const MAX_SIGNATURE: usize = 1024;

/// Why a text is no token that could be read: a reason for the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Malformed(pub &'static str);

/// The three parts of a compact JWS, still encoded.
#[derive(Debug, Clone, Copy)]
pub struct Parts<'a> {
    /// The JOSE header.
    pub header: &'a [u8],
    /// The payload.
    pub payload: &'a [u8],
    /// The signature.
    pub signature: &'a [u8],
    /// Header and payload with the dot between them.
    pub signed: &'a [u8],
}

/// Splits a token into exactly three parts, none of them empty.
///
/// # Errors
/// When there are more or fewer.
pub fn split(token: &[u8]) -> Result<Parts<'_>, Malformed> {
    let mut dots = token
        .iter()
        .enumerate()
        .filter_map(|(at, byte)| (*byte == b'.').then_some(at));
    let (Some(first), Some(second), None) = (dots.next(), dots.next(), dots.next()) else {
        return Err(Malformed("not three parts"));
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
        return Err(Malformed("an empty part"));
    }
    Ok(parts)
}

impl Parts<'_> {
    /// The signature's bytes.
    ///
    /// # Errors
    /// When it is too long or not canonical base64url.
    pub fn signature(&self) -> Result<Vec<u8>, Malformed> {
        if self.signature.len() > MAX_SIGNATURE * 4 / 3 + 1 {
            return Err(Malformed("the signature is too long"));
        }
        URL_SAFE_NO_PAD
            .decode(self.signature)
            .map_err(|_| Malformed("the signature is no canonical base64url"))
    }

    /// The payload's bytes: of use only once the signature was found good.
    ///
    /// # Errors
    /// When it is not canonical base64url.
    pub fn payload(&self) -> Result<Vec<u8>, Malformed> {
        URL_SAFE_NO_PAD
            .decode(self.payload)
            .map_err(|_| Malformed("the payload is no canonical base64url"))
    }
}

/// What a header says: which algorithm, which key, what kind of token.
#[derive(Debug)]
pub struct Header {
    /// `alg`, as written.
    pub alg: String,
    /// `kid`, never empty.
    pub kid: String,
    /// `typ`, if there is one.
    pub typ: Option<String>,
}

/// Decodes and reads a header.
///
/// # Errors
/// When it is not JSON, or has any member but `alg`, `kid` and `typ`, or one twice.
pub fn header(encoded: &[u8]) -> Result<Header, Malformed> {
    if encoded.len() > MAX_HEADER * 4 / 3 {
        return Err(Malformed("the JOSE header is too long"));
    }
    let json = URL_SAFE_NO_PAD
        .decode(encoded)
        .map_err(|_| Malformed("the JOSE header is no canonical base64url"))?;
    let header: Header = serde_json::from_slice(&json)
        .map_err(|_| Malformed("the JOSE header is not as it must be"))?;
    if header.kid.is_empty() || header.kid.len() > MAX_KID {
        return Err(Malformed("kid is empty or too long"));
    }
    Ok(header)
}

/// The members a header may have; any other, and any twice, is an error. That refuses `crit`,
/// `jku`, `jwk`, `x5u`, `x5c`, `b64`, `zip` and `cty` at once.
impl<'de> Deserialize<'de> for Header {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Read;
        impl<'de> Visitor<'de> for Read {
            type Value = Header;

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
                    if slot.replace(value.into_owned()).is_some() {
                        return Err(M::Error::custom("a member twice"));
                    }
                }
                Ok(Header {
                    alg: alg.ok_or_else(|| M::Error::missing_field("alg"))?,
                    kid: kid.ok_or_else(|| M::Error::missing_field("kid"))?,
                    typ,
                })
            }
        }
        from.deserialize_map(Read)
    }
}
