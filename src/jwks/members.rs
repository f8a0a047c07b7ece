//! Members of a JSON object, read strictly: any name once, each of the JSON type that its specification
//! gives it. RFC 7519 §4 lets a parser take the last of two equal names, and two parsers then see two
//! persons (T6). What the members mean does not live here.

use serde::de::{Deserialize, Deserializer, Error, IgnoredAny, MapAccess, Visitor};
use std::borrow::Cow;
use std::fmt;

/// Most members beyond the known ones.
const MAX_EXTRAS: usize = 64;

/// A JSON string, borrowed from the input where it holds no escapes.
#[derive(Debug, PartialEq, Eq)]
pub struct Text<'a>(pub Cow<'a, str>);

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

/// Whole seconds: `1.0`, `1e9` and `"1"` are none.
#[derive(Debug, Clone, Copy)]
struct Seconds(i64);

impl<'de> Deserialize<'de> for Seconds {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Read;
        impl Visitor<'_> for Read {
            type Value = Seconds;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("whole seconds")
            }

            fn visit_i64<E: Error>(self, value: i64) -> Result<Seconds, E> {
                Ok(Seconds(value))
            }

            fn visit_u64<E: Error>(self, value: u64) -> Result<Seconds, E> {
                i64::try_from(value)
                    .map(Seconds)
                    .map_err(|_| E::custom("more seconds than there are"))
            }
        }
        from.deserialize_i64(Read)
    }
}

/// Puts a member into its place, once.
///
/// # Errors
/// When it was there already (T6).
pub fn once<T, E: Error>(slot: &mut Option<T>, value: T) -> Result<(), E> {
    match slot.replace(value) {
        None => Ok(()),
        Some(_) => Err(E::custom("a claim twice")),
    }
}

/// Puts a string into its place, once.
///
/// # Errors
/// When it is none, or was there already.
pub fn text<'de, M: MapAccess<'de>>(
    slot: &mut Option<Cow<'de, str>>,
    map: &mut M,
) -> Result<(), M::Error> {
    let Text(value) = map.next_value()?;
    once(slot, value)
}

/// Puts whole seconds into their place, once.
///
/// # Errors
/// When they are none (`1.0`, `1e9` and `"1"` among them), or were there already.
pub fn seconds<'de, M: MapAccess<'de>>(
    slot: &mut Option<i64>,
    map: &mut M,
) -> Result<(), M::Error> {
    let Seconds(value) = map.next_value()?;
    once(slot, value)
}

/// The members that nobody reads: each once, and not many.
#[derive(Debug, Default)]
pub struct Extras<'a>(Vec<Cow<'a, str>>);

impl<'de> Extras<'de> {
    /// Passes over the value of a member that nobody reads.
    ///
    /// # Errors
    /// When its name was there already, or there are more than 64 of them.
    pub fn pass_over<M: MapAccess<'de>>(
        &mut self,
        name: Cow<'de, str>,
        map: &mut M,
    ) -> Result<(), M::Error> {
        if self.0.contains(&name) {
            return Err(M::Error::custom("a claim twice"));
        }
        if self.0.len() == MAX_EXTRAS {
            return Err(M::Error::custom("too many claims"));
        }
        self.0.push(name);
        map.next_value::<IgnoredAny>().map(|_| ())
    }
}
