//! Which messages of a browser may pass on the WebSocket. The web app never authenticates on it: the
//! upgrade's cookie did. An `authentication_challenge` would put another session, even another
//! person's, in its place (recordings, difference 19).

use serde::de::{Deserialize, Deserializer, Error, IgnoredAny, MapAccess, Visitor};
use std::fmt;

const CHALLENGE: &[u8] = b"authentication_challenge";

/// `false` for a message that carries the challenge, or whose reading by the app is uncertain. No
/// message of the web app holds a free text, so the word itself is enough: that covers msgpack (a
/// binary frame), where texts stand as they are.
pub(super) fn admits(message: &[u8]) -> bool {
    if message.windows(CHALLENGE.len()).any(|w| w == CHALLENGE) {
        return false;
    }
    // JSON may hide the word in escapes. `{` never begins a msgpack map.
    if message.trim_ascii_start().first() != Some(&b'{') {
        return true;
    }
    serde_json::from_slice::<Admitted>(message).is_ok()
}

struct Admitted;

impl<'de> Deserialize<'de> for Admitted {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_map(Fields)
    }
}

struct Fields;

impl<'de> Visitor<'de> for Fields {
    type Value = Admitted;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Admitted, A::Error> {
        while let Some(key) = map.next_key::<String>()? {
            if !key.eq_ignore_ascii_case("action") {
                map.next_value::<IgnoredAny>()?;
            } else if map.next_value::<String>()?.as_bytes() == CHALLENGE {
                return Err(A::Error::custom("a challenge"));
            }
        }
        Ok(Admitted)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_web_app_s_messages_pass() {
        for good in [
            &br#"{"action":"ping","seq":1}"#[..],
            br#"{"action":"user_typing","seq":2,"data":{"channel_id":"k55cuix5y3dd5q3emjr9s3dwmy","parent_id":""}}"#,
            br#"{"action":"presence","seq":3,"data":{"team_id":"x"}}"#,
            b"\x82\xa6action\xa4ping\xa3seq\x01",
            b"",
            b"nonsense",
        ] {
            assert!(admits(good), "{good:?}");
        }
    }

    #[test]
    fn no_spelling_of_the_challenge_passes() {
        for bad in [
            &br#"{"seq":1,"action":"authentication_challenge","data":{"token":"x"}}"#[..],
            br#"{"seq":1,"Action":"\u0061uthentication_challenge"}"#,
            br#" {"action":"ping","ACTION":"authentication\u005fchallenge"}"#,
            br#"{"action":"authentication\u005fchallenge","action":"ping"}"#,
            br#"{"action":"authentication\u005fchallenge"} trailing"#,
            b"{\"action\":\"authentication\\u005fchallenge\",\"data\":{\"token\":\"\xff\"}}",
            b"\x83\xa6action\xb8authentication_challenge\xa3seq\x01",
            br#"{"action":1}"#,
            br#"{"action":"#,
        ] {
            assert!(!admits(bad), "{}", String::from_utf8_lossy(bad));
        }
    }

    proptest! {
        #[test]
        fn escapes_hide_nothing(escape in any::<u32>(), upper in any::<u8>()) {
            let hide = |text: &str, mask: u32| -> String {
                text.chars().enumerate().map(|(i, c)| {
                    if mask >> i & 1 == 1 { format!("\\u{:04X}", c as u32) } else { c.to_string() }
                }).collect()
            };
            let key: String = "action".chars().enumerate()
                .map(|(i, c)| if upper >> i & 1 == 1 { c.to_ascii_uppercase() } else { c }).collect();
            let body = format!(
                "{{\"{}\":\"{}\"}}", hide(&key, escape >> 24), hide("authentication_challenge", escape)
            );
            prop_assert!(!admits(body.as_bytes()), "{}", body);
        }
    }
}
