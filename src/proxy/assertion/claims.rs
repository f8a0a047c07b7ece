//! The payload, read strictly and without copies.
//!
//! RFC 7519 §4 lets a parser take the last of two equal names; two parsers then see two persons
//! (T6). Here any name twice is an error, and so is a claim of another JSON type than Pomerium's
//! (recordings/pomerium: times are integers, `aud` is one string, extras are strings).

use crate::jwks::members::{Extras, Text, once, seconds, text};
use serde::de::{Deserialize, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use std::borrow::Cow;
use std::fmt;

/// Most groups taken. Breakage above about 200 is reported for Pomerium itself (facts §1).
pub(super) const MAX_GROUPS: usize = 2000;

/// `aud` as written.
#[derive(Debug)]
pub(super) enum Audience<'a> {
    /// One string.
    One(Cow<'a, str>),
    /// Anything else, an array among them.
    Other,
}

/// The claims we read; the rest is checked for repetition and dropped.
#[derive(Debug, Default)]
pub(super) struct Claims<'a> {
    pub(super) iss: Option<Cow<'a, str>>,
    pub(super) aud: Option<Audience<'a>>,
    pub(super) sub: Option<Cow<'a, str>>,
    pub(super) user: Option<Cow<'a, str>>,
    pub(super) sid: Option<Cow<'a, str>>,
    pub(super) jti: Option<Cow<'a, str>>,
    pub(super) email: Option<Cow<'a, str>>,
    pub(super) email_verified: Option<Flag>,
    pub(super) name: Option<Cow<'a, str>>,
    pub(super) preferred_username: Option<Cow<'a, str>>,
    pub(super) locale: Option<Cow<'a, str>>,
    pub(super) groups: Option<Groups<'a>>,
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
                        "user" => text(&mut claims.user, &mut map)?,
                        "sid" => text(&mut claims.sid, &mut map)?,
                        "jti" => text(&mut claims.jti, &mut map)?,
                        "email" => text(&mut claims.email, &mut map)?,
                        "email_verified" => once(&mut claims.email_verified, map.next_value()?)?,
                        "name" => text(&mut claims.name, &mut map)?,
                        "preferred_username" => text(&mut claims.preferred_username, &mut map)?,
                        "locale" => text(&mut claims.locale, &mut map)?,
                        "groups" => once(&mut claims.groups, map.next_value()?)?,
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

/// `email_verified`: Pomerium writes the *string* `"true"`; OIDC a boolean. Anything else is no.
#[derive(Debug, Clone, Copy)]
pub(super) struct Flag(pub(super) bool);

impl<'de> Deserialize<'de> for Flag {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Read;
        impl Visitor<'_> for Read {
            type Value = Flag;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("true, false or one of them as a string")
            }

            fn visit_bool<E: Error>(self, value: bool) -> Result<Flag, E> {
                Ok(Flag(value))
            }

            fn visit_str<E: Error>(self, value: &str) -> Result<Flag, E> {
                Ok(Flag(value == "true"))
            }
        }
        from.deserialize_any(Read)
    }
}

impl<'de> Deserialize<'de> for Audience<'de> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Read;
        impl<'de> Visitor<'de> for Read {
            type Value = Audience<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an audience")
            }

            fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Audience::One(Cow::Borrowed(text)))
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Audience::One(Cow::Owned(text.to_owned())))
            }

            fn visit_seq<S: SeqAccess<'de>>(self, mut seq: S) -> Result<Self::Value, S::Error> {
                while seq.next_element::<IgnoredAny>()?.is_some() {}
                Ok(Audience::Other)
            }
        }
        from.deserialize_any(Read)
    }
}

/// `groups`: an array of strings, never null.
#[derive(Debug, Default)]
pub(super) struct Groups<'a>(pub(super) Vec<Cow<'a, str>>);

impl<'de> Deserialize<'de> for Groups<'de> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Read;
        impl<'de> Visitor<'de> for Read {
            type Value = Groups<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("at most 2000 group names")
            }

            fn visit_seq<S: SeqAccess<'de>>(self, mut seq: S) -> Result<Self::Value, S::Error> {
                let mut groups = Vec::with_capacity(16);
                while let Some(Text(group)) = seq.next_element()? {
                    // Leaving some out could hide the one that is needed: say no instead.
                    if groups.len() == MAX_GROUPS {
                        return Err(S::Error::invalid_length(MAX_GROUPS + 1, &self));
                    }
                    groups.push(group);
                }
                Ok(Groups(groups))
            }
        }
        from.deserialize_seq(Read)
    }
}
