//! The payload of a caller's token, read strictly: any name twice is an error (T6), and so is a
//! claim of another JSON type than its specification gives it.

use crate::jwks::members::{Extras, Text, once, seconds, text};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::de::{Deserialize, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use std::borrow::Cow;
use std::fmt;

/// Most audiences.
const MAX_AUDIENCES: usize = 16;

/// The claims we read; the rest is checked for repetition and dropped.
#[derive(Debug, Default)]
pub(super) struct Claims<'a> {
    pub(super) iss: Option<Cow<'a, str>>,
    pub(super) aud: Option<Audiences<'a>>,
    pub(super) sub: Option<Cow<'a, str>>,
    pub(super) jti: Option<Cow<'a, str>>,
    pub(super) scope: Option<Cow<'a, str>>,
    pub(super) cnf: Option<Confirmation>,
    pub(super) iat: Option<i64>,
    pub(super) exp: Option<i64>,
    pub(super) nbf: Option<i64>,
}

/// Parses a decoded payload; trailing bytes are an error.
pub(super) fn read(json: &[u8]) -> Result<Claims<'_>, serde_json::Error> {
    serde_json::from_slice(json)
}

impl<'de> Deserialize<'de> for Claims<'de> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Read;
        impl<'de> Visitor<'de> for Read {
            type Value = Claims<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a claims set")
            }

            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Self::Value, M::Error> {
                let mut claims = Claims::default();
                let mut extras = Extras::default();
                while let Some(Text(name)) = map.next_key()? {
                    match name.as_ref() {
                        "iss" => text(&mut claims.iss, &mut map)?,
                        "aud" => once(&mut claims.aud, map.next_value()?)?,
                        "sub" => text(&mut claims.sub, &mut map)?,
                        "jti" => text(&mut claims.jti, &mut map)?,
                        "scope" => text(&mut claims.scope, &mut map)?,
                        "cnf" => once(&mut claims.cnf, map.next_value()?)?,
                        "iat" => seconds(&mut claims.iat, &mut map)?,
                        "exp" => seconds(&mut claims.exp, &mut map)?,
                        "nbf" => seconds(&mut claims.nbf, &mut map)?,
                        _ => extras.pass_over(name, &mut map)?,
                    }
                }
                Ok(claims)
            }
        }
        from.deserialize_map(Read)
    }
}

/// `aud`: one string or a list of them (RFC 7519 §4.1.3).
#[derive(Debug)]
pub(super) struct Audiences<'a>(pub(super) Vec<Cow<'a, str>>);

impl<'de> Deserialize<'de> for Audiences<'de> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Read;
        impl<'de> Visitor<'de> for Read {
            type Value = Audiences<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an audience, or at most 16 of them")
            }

            fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Audiences(vec![Cow::Borrowed(text)]))
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Audiences(vec![Cow::Owned(text.to_owned())]))
            }

            fn visit_seq<S: SeqAccess<'de>>(self, mut seq: S) -> Result<Self::Value, S::Error> {
                let mut all = Vec::new();
                while let Some(Text(one)) = seq.next_element()? {
                    if all.len() == MAX_AUDIENCES {
                        return Err(S::Error::invalid_length(MAX_AUDIENCES + 1, &self));
                    }
                    all.push(one);
                }
                Ok(Audiences(all))
            }
        }
        from.deserialize_any(Read)
    }
}

/// `cnf` (RFC 7800): what the token is bound to. Whatever we can't check refuses the token.
#[derive(Debug, Clone, Copy)]
pub(super) enum Confirmation {
    /// A certificate (RFC 8705 §3.1).
    Certificate([u8; 32]),
    /// Something else, or several things.
    Other,
}

impl<'de> Deserialize<'de> for Confirmation {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Read;
        impl<'de> Visitor<'de> for Read {
            type Value = Confirmation;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a confirmation method")
            }

            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Self::Value, M::Error> {
                let mut found = None;
                while let Some(Text(name)) = map.next_key()? {
                    if name != "x5t#S256" {
                        map.next_value::<IgnoredAny>()?;
                        once(&mut found, Confirmation::Other)?;
                        continue;
                    }
                    let Text(value) = map.next_value()?;
                    let mut hash = [0; 32];
                    let whole = URL_SAFE_NO_PAD.decode_slice(value.as_bytes(), &mut hash);
                    let method = match whole {
                        Ok(32) => Confirmation::Certificate(hash),
                        _ => return Err(M::Error::custom("x5t#S256 is no SHA-256")),
                    };
                    once(&mut found, method)?;
                }
                Ok(found.unwrap_or(Confirmation::Other))
            }
        }
        from.deserialize_map(Read)
    }
}
