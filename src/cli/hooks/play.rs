//! Events and bodies as Authentik writes them: the default body with Python's `repr` in it, and that
//! of the shipped mapping. Held to the recordings by a test.

use serde::Serialize;
use serde_json::{Value, json};
use std::fmt::Write as _;
use uuid::Uuid;

/// Which body.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Form {
    /// Of the shipped mapping.
    Custom,
    /// Without a mapping.
    Default,
}

/// What an event is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum About {
    User(u32),
    Group(Uuid),
    /// A row of another model.
    Other(&'static str),
    Nothing,
    /// A sentence instead of an action, in the default body.
    Sentence(&'static str),
}

/// An event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Event {
    pub(super) id: Uuid,
    pub(super) action: String,
    pub(super) about: About,
    /// RFC 3339.
    pub(super) created: String,
    /// Whose doing it is.
    pub(super) actor: u32,
}

/// The transport test, under a name that `send` takes.
pub(super) const TEST: &str = "test";

/// Every action and model that Authentik was seen to send, and one that it was not.
pub(super) const ALL: [&str; 24] = [
    TEST,
    "model_created:user",
    "model_updated:user",
    "model_deleted:user",
    "model_created:group",
    "model_updated:group",
    "model_deleted:group",
    "model_deleted:groupparentagenode",
    "model_created:token",
    "model_updated:application",
    "model_created:invitation",
    "login",
    "login_failed",
    "logout",
    "user_write",
    "password_set",
    "invitation_used",
    "authorize_application",
    "secret_view",
    "secret_rotate",
    "suspicious_request",
    "configuration_warning",
    "system_task_exception",
    "something_of_a_later_version",
];

impl Event {
    /// An event of one of [`ALL`], or of any other action.
    pub(super) fn new(word: &str, user: u32, group: Uuid, created: &str) -> Self {
        let (action, model) = word.split_once(':').unwrap_or((word, ""));
        let about = match (model, action) {
            ("user", _) => About::User(user),
            ("group", _) => About::Group(group),
            ("groupparentagenode", _) => About::Other("groupparentagenode"),
            ("token", _) => About::Other("token"),
            ("application", _) => About::Other("application"),
            ("invitation", _) => About::Other("invitation"),
            (_, "suspicious_request") => About::Sentence("Revoked refresh token was used"),
            (_, "secret_rotate") => About::Sentence("Token lab's secret was rotated."),
            (_, "system_task_exception") => About::Sentence("Task lab encountered an error"),
            _ if action.starts_with("model_") => About::User(user),
            _ => About::Nothing,
        };
        Self {
            id: Uuid::new_v4(),
            action: action.to_owned(),
            about,
            created: created.to_owned(),
            actor: user,
        }
    }

    /// As it is delivered.
    pub(super) fn body(&self, form: Form) -> String {
        match form {
            Form::Custom => ascii(&self.custom().to_string()),
            Form::Default => ascii(&serde_json::to_string(&self.default()).unwrap_or_default()),
        }
    }

    fn custom(&self) -> Value {
        let action = match self.action.as_str() {
            TEST => "custom_notification_test",
            action => action,
        };
        let person = match (&self.about, action) {
            (About::Nothing, "login" | "user_write") => json!({ "pk": self.actor }),
            _ => Value::Null,
        };
        json!({
            "v": 1,
            "event_id": self.id,
            "action": action,
            "created": self.created,
            "model": self.model().map(|(app, name, key)| json!({ "pk": key, "app": app, "model_name": name })),
            "user": person,
        })
    }

    /// App, model and key.
    fn model(&self) -> Option<(&'static str, &'static str, Value)> {
        Some(match &self.about {
            About::User(pk) => ("authentik_core", "user", json!(pk)),
            About::Group(id) => ("authentik_core", "group", json!(id.simple().to_string())),
            About::Other("invitation") => (
                "authentik_stages_invitation",
                "invitation",
                json!(self.id.simple().to_string()),
            ),
            About::Other(name) => ("authentik_core", name, json!(self.id.simple().to_string())),
            About::Nothing | About::Sentence(_) => return None,
        })
    }

    fn default(&self) -> Default {
        let text = match (&self.about, self.action.as_str()) {
            (_, TEST) => "Test Notification from transport auth-manager-webhook".to_owned(),
            (About::Sentence(text), _) => (*text).to_owned(),
            _ => self.summary(),
        };
        let actor = self.action != TEST;
        Default {
            body: text,
            severity: "notice",
            user_email: "",
            user_username: "auth-manager-webhook-recipient",
            event_user_email: actor.then_some("admin@example.test"),
            event_user_username: actor.then_some("akadmin"),
        }
    }

    /// `"<action>: <context>"`.
    fn summary(&self) -> String {
        let mut text = format!("{}: {{", self.action);
        if let Some((app, name, key)) = self.model() {
            let key = match key {
                Value::String(key) => repr(&key),
                key => key.to_string(),
            };
            let shown = repr("O'Brien \"é\" {'pk': 1}");
            let _ = write!(
                text,
                "'model': {{'pk': {key}, 'app': {}, 'name': {shown}, 'model_name': {}}}, ",
                repr(app),
                repr(name)
            );
        }
        text.push_str(
            "'http_request': {'args': {}, 'path': '/api/v3/', 'method': 'POST', \
             'request_id': 'auth-manager hooks send', 'user_agent': 'auth-manager'}}",
        );
        text
    }
}

/// The default body, its keys in Authentik's order.
#[derive(Serialize)]
struct Default {
    body: String,
    severity: &'static str,
    user_email: &'static str,
    user_username: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    event_user_email: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    event_user_username: Option<&'static str>,
}

/// `repr()` of a text without control characters.
fn repr(text: &str) -> String {
    let quote = match text.contains('\'') && !text.contains('"') {
        true => '"',
        false => '\'',
    };
    let mut out = String::from(quote);
    for c in text.chars() {
        if c == quote || c == '\\' {
            out.push('\\');
        }
        out.push(c);
    }
    out.push(quote);
    out
}

/// JSON in ASCII alone, as Python writes it.
fn ascii(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_ascii() {
            out.push(c);
            continue;
        }
        for unit in c.encode_utf16(&mut [0; 2]) {
            let _ = write!(out, "\\u{unit:04x}");
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::hooks::meaning;
    use std::collections::BTreeSet;

    const AT: &str = "2026-11-21T08:00:01.809983+00:00";

    fn recorded(file: &str) -> Vec<Value> {
        let folder = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/tests/data/recordings/authentik"
        );
        let text = std::fs::read_to_string(format!("{folder}/{file}.json")).unwrap();
        let recording: Value = serde_json::from_str(&text).unwrap();
        let exchanges = recording["exchanges"].as_array().unwrap().clone();
        let body = |e: &Value| e["request"]["body"].clone();
        exchanges.iter().map(body).collect()
    }

    fn keys(value: &Value) -> BTreeSet<String> {
        value.as_object().unwrap().keys().cloned().collect()
    }

    #[test]
    fn bodies_have_the_recorded_form() {
        let event = |word: &str| Event::new(word, 6, Uuid::from_u128(7), AT);
        let of = |word: &str, form| serde_json::from_str::<Value>(&event(word).body(form)).unwrap();
        let lifecycle = recorded("02-lifecycle-default-body");
        let default = of("model_updated:user", Form::Default);
        assert_eq!(keys(&default), keys(&lifecycle[0]));
        let text = default["body"].as_str().unwrap();
        assert!(
            text.starts_with(
                "model_updated: {'model': {'pk': 6, 'app': 'authentik_core', 'name': "
            )
        );
        assert!(event("model_updated:user").body(Form::Default).is_ascii());
        let test = of(TEST, Form::Default);
        assert_eq!(keys(&test), keys(&recorded("01-transport-test")[0]));
        // Of the custom body we send less than was recorded, and nothing else.
        let mapped = recorded("03-lifecycle-blueprint-body");
        let custom = of("model_updated:group", Form::Custom);
        assert!(keys(&custom).is_subset(&keys(&mapped[0])));
        assert!(keys(&custom["model"]).is_subset(&keys(&mapped[0]["model"])));
    }

    #[test]
    fn each_word_means_the_same_in_both_forms_where_both_can_say_it() {
        let group = Uuid::from_u128(7);
        for word in ALL {
            let event = Event::new(word, 6, group, AT);
            let meanings = [Form::Custom, Form::Default].map(|form| {
                let body = event.body(form);
                meaning(body.as_bytes()).to_string()
            });
            let expected = match word {
                TEST => ["test", "test"],
                "model_deleted:groupparentagenode" => ["groups", "groups"],
                // The default body does not say who.
                "login" | "user_write" => ["person/6", "-"],
                _ if word.ends_with(":user") => ["person/6", "person/6"],
                _ if word.ends_with(":group") => [
                    "group/00000000-0000-0000-0000-000000000007",
                    "group/00000000-0000-0000-0000-000000000007",
                ],
                _ => ["-", "-"],
            };
            assert_eq!(meanings, expected, "{word}");
        }
    }
}
