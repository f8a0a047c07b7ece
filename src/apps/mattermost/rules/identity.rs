//! Whether a profile change touches what the identity provider owns.
//!
//! The web app sends the whole user object even when only the nickname was edited (tried for real,
//! 24), so fields are compared, not forbidden. The body is read as Go's `encoding/json` reads it:
//! keys match without regard to case (also `ſ` for `s` and `K` for `k`), the last of several wins,
//! and what follows the first value is ignored. What can't be read with certainty is refused: the app
//! might read it differently.

use crate::apps::Profile;
use crate::error::Code;
use serde::de::{Deserialize, Deserializer, Error, IgnoredAny, MapAccess, Visitor};
use std::fmt;

/// `Err` when the body would change user name, e-mail, first or last name.
///
/// A field that is absent is no opinion: a patch leaves it; `PUT /users/{id}` with a missing user name
/// or e-mail is refused by the app, and a name blanked that way comes back with the next update.
pub(super) fn judge(body: &[u8], known: &Profile) -> Result<(), Code> {
    if body.trim_ascii().is_empty() {
        return Ok(());
    }
    let Top(found) = serde_json::from_slice(body).map_err(|_| Code::IdentityField)?;
    let same = |field: &Option<String>, ours: &str, any_case: bool| {
        field.as_deref().is_none_or(|theirs| {
            theirs == ours || (any_case && theirs.to_lowercase() == ours.to_lowercase())
        })
    };
    let unchanged = same(&found.username, &known.username, true)
        && same(&found.email, &known.email, true)
        && same(&found.first_name, &known.first_name, false)
        && same(&found.last_name, &known.last_name, false);
    if unchanged {
        Ok(())
    } else {
        Err(Code::IdentityField)
    }
}

/// The four fields of the top-level object. A `null` counts as empty text: it means *no change* in a
/// patch but *empty* in a whole object.
#[derive(Default)]
struct Found {
    username: Option<String>,
    email: Option<String>,
    first_name: Option<String>,
    last_name: Option<String>,
}

/// Only an object is read at all.
struct Top(Found);

impl<'de> Deserialize<'de> for Top {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_map(Fields).map(Self)
    }
}

struct Fields;

impl<'de> Visitor<'de> for Fields {
    type Value = Found;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Found, A::Error> {
        let mut found = Found::default();
        while let Some(key) = map.next_key::<String>()? {
            let slot = match fold(&key).as_str() {
                "username" => &mut found.username,
                "email" => &mut found.email,
                "first_name" => &mut found.first_name,
                "last_name" => &mut found.last_name,
                _ => {
                    map.next_value::<IgnoredAny>()?;
                    continue;
                }
            };
            if slot.is_some() {
                return Err(A::Error::custom("a field is there twice"));
            }
            *slot = Some(map.next_value::<Option<String>>()?.unwrap_or_default());
        }
        Ok(found)
    }
}

/// Folds a key as Go does when it looks for a struct's field.
fn fold(key: &str) -> String {
    key.chars()
        .map(|c| match c {
            'ſ' => 's',
            '\u{212a}' => 'k',
            other => other.to_ascii_lowercase(),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn ann() -> Profile {
        Profile {
            username: "ann".into(),
            email: "ann@example.test".into(),
            first_name: "Ann".into(),
            last_name: "Lee".into(),
            locale: "en".into(),
        }
    }

    fn passes(body: &str) -> bool {
        judge(body.as_bytes(), &ann()).is_ok()
    }

    #[test]
    fn the_web_app_s_own_forms_pass() {
        // 28-web-app, scenario C: the time zone of the first load, shortened.
        assert!(passes(
            r#"{"id":"s7iesyh6kpyz8fggtygtd44u3e","delete_at":0,"username":"ann","auth_service":"","email":"ann@example.test","nickname":"","first_name":"Ann","last_name":"Lee","notify_props":{"first_name":"false","channel":"true"},"timezone":{"automaticTimezone":"Europe/Paris"}}"#
        ));
        assert!(passes(r#"{"nickname":"username"}"#));
        assert!(passes(r#"{"email":"Ann@Example.TEST","username":"ANN"}"#));
        assert!(passes("{}"));
        assert!(passes(""));
        assert!(passes(" \n"));
    }

    #[test]
    fn every_way_to_change_a_field_is_refused() {
        for bad in [
            r#"{"username":"admin"}"#,
            r#"{"Username":"admin"}"#,
            r#"{"uſername":"admin"}"#,
            r#"{"u\u017fername":"admin"}"#,
            r#"{"\u0075sername":"admin"}"#,
            r#"{"first_name":"ann"}"#,
            r#"{"laſt_name":"Root"}"#,
            r#"{"email":"other@example.test"}"#,
            r#"{"username":"ann","USERNAME":"admin"}"#,
            r#"{"username":"ann","username":"ann"}"#,
            r#"{"username":["ann"]}"#,
            r#"{"username":{"x":1}}"#,
            r#"{"username":1}"#,
            r#"{"username":true}"#,
            r#"{"username":null}"#,
            r#"{"first_name":""}"#,
            r#"{"first_name":"Ann "}"#,
            r#"{"username":"ann\u0000"}"#,
            // Read differently by the app than by us:
            r#"{"username":"admin"} trailing"#,
            r#"{"username":"ann"}{"username":"admin"}"#,
            "{\"username\":\"admin\",\"nickname\":\"\\ud800\"}",
            "{\"username\":",
        ] {
            assert!(!passes(bad), "{bad}");
        }
        let invalid_utf8 = b"{\"nickname\":\"\xff\",\"username\":\"admin\"}";
        assert!(judge(invalid_utf8, &ann()).is_err());
        let deep = format!(
            "{{\"props\":{}1{},\"username\":\"admin\"}}",
            "[".repeat(500),
            "]".repeat(500)
        );
        assert!(!passes(&deep));
    }

    #[test]
    fn what_is_not_known_yet_can_t_be_set() {
        assert!(judge(br#"{"username":"ann"}"#, &Profile::default()).is_err());
        assert!(judge(br#"{"nickname":"x"}"#, &Profile::default()).is_ok());
    }

    proptest! {
        #[test]
        fn no_spelling_of_a_key_slips_past(
            field in 0..4usize,
            upper in any::<u16>(),
            escape in any::<u16>(),
            before in "[a-z]{0,6}",
            value in "[a-z]{5,12}",
        ) {
            let name = ["username", "email", "first_name", "last_name"][field];
            let key: String = name.chars().enumerate().map(|(i, c)| {
                let c = if upper >> i & 1 == 1 { c.to_ascii_uppercase() } else { c };
                if escape >> i & 1 == 1 { format!("\\u{:04x}", c as u32) } else { c.to_string() }
            }).collect();
            let body = format!("{{\"{before}x\":{{\"{name}\":\"ok\"}},\"{key}\":\"{value}\"}}");
            prop_assert!(!passes(&body), "{}", body);
        }

        #[test]
        fn any_bytes_are_judged_without_a_panic(body in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = judge(&body, &ann());
        }
    }
}
