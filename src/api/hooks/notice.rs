//! What a body says: the transport test, an event, or nothing that can be used. What lives here:
//! Authentik's default body and our own custom one, from bytes to [`Notice`]. What does not: whether
//! it is worth anything (`worth`).
//!
//! Of a body three things are read: which event (`event_id`), which action, and what it is about. A
//! subject comes from the *model part* alone. The default body's `user_*` is the **recipient** of
//! the notification and its `event_user_*` the **actor**: neither is ever a subject (T30). The custom
//! body's `user` may be the actor of an event about something else (recordings, difference 7): it
//! counts only when the event has no model.

use super::repr;
use serde_json::{Map, Value};
use uuid::Uuid;

/// Longest action that is one.
const LONGEST_ACTION: usize = 64;
/// What the default body of a transport test begins with; the rest is the transport's name.
const TEST: &str = "Test Notification from transport";
/// The action of a transport test, which runs through the rules as an event, too.
const TEST_ACTION: &str = "custom_notification_test";

/// What a body is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Notice {
    /// Somebody tests the transport.
    Test,
    /// Something happened.
    Event(Event),
    /// A sentence for people: events with a message have no action in the default body (difference
    /// 11), and none of them is about who may do what.
    Sentence,
    /// An object of another form: a newer version of a body, or a transport of another mode.
    Unknown,
    /// No JSON object.
    Garbage,
}

/// Something that happened at Authentik.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Event {
    /// Which; the custom body says, the default one doesn't.
    pub(super) id: Option<Uuid>,
    /// What happened.
    pub(super) action: String,
    /// To what.
    pub(super) about: About,
}

/// What an event is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum About {
    /// A row of Authentik's.
    Model(Model),
    /// No row, but a person whose own doing it is.
    Person(String),
    /// Nothing of ours.
    Nothing,
    /// It can't be read.
    Unclear,
}

/// Authentik's reference to a row; its `name` is whatever somebody typed, and left alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Model {
    pub(super) app: String,
    pub(super) name: String,
    pub(super) key: String,
}

/// Reads a body, whatever its content type was.
pub(super) fn read(body: &[u8]) -> Notice {
    let Ok(Value::Object(body)) = serde_json::from_slice(body) else {
        return Notice::Garbage;
    };
    match (body.get("v"), body.get("body")) {
        (Some(version), _) if version.as_u64() == Some(1) => custom(&body),
        (None, Some(Value::String(text))) => default(&body, text),
        _ => Notice::Unknown,
    }
}

/// `v: 1`, as the shipped mapping writes it.
fn custom(body: &Map<String, Value>) -> Notice {
    let action = match body.get("action") {
        Some(Value::String(action)) if is_action(action) => action.clone(),
        // Without an event the mapping has a sentence at most.
        Some(Value::Null) => return Notice::Sentence,
        _ => return Notice::Unknown,
    };
    if action == TEST_ACTION {
        return Notice::Test;
    }
    let id = body.get("event_id").and_then(Value::as_str);
    let about = match body.get("model") {
        Some(Value::Object(model)) => {
            let text = |key: &str| model.get(key).and_then(Value::as_str).map(str::to_owned);
            let key = match model.get("pk") {
                Some(Value::Number(number)) => number.as_u64().map(|n| n.to_string()),
                Some(Value::String(text)) => Some(text.clone()),
                _ => None,
            };
            about(text("app"), text("model_name"), key)
        }
        None | Some(Value::Null) => {
            let user = body.get("user").and_then(|user| user.get("pk"));
            user.and_then(Value::as_u64)
                .and_then(|pk| u32::try_from(pk).ok())
                .map_or(About::Nothing, |pk| About::Person(pk.to_string()))
        }
        Some(_) => About::Unclear,
    };
    Notice::Event(Event {
        id: id.and_then(|text| Uuid::parse_str(text).ok()),
        action,
        about,
    })
}

/// `"<action>: <context>"` as a text among five others.
fn default(body: &Map<String, Value>, text: &str) -> Notice {
    // Difference 8: four keys, no actor.
    if text.starts_with(TEST) && !body.contains_key("event_user_username") {
        return Notice::Test;
    }
    let Some((action, context)) = text.split_once(": ") else {
        return Notice::Sentence;
    };
    if !is_action(action) || !context.starts_with('{') {
        return Notice::Sentence;
    }
    if action == TEST_ACTION {
        return Notice::Test;
    }
    let about = match repr::read(context) {
        Err(repr::Unreadable) => About::Unclear,
        Ok(context) => match context.get("model") {
            Some(model) => {
                let text = |key: &str| match model.get(key) {
                    Some(repr::Value::Text(text)) => Some(text.clone()),
                    _ => None,
                };
                let key = match model.get("pk") {
                    Some(repr::Value::Whole(number)) => Some(number.to_string()),
                    _ => text("pk"),
                };
                self::about(text("app"), text("model_name"), key)
            }
            None => About::Nothing,
        },
    };
    Notice::Event(Event {
        id: None,
        action: action.to_owned(),
        about,
    })
}

fn about(app: Option<String>, name: Option<String>, key: Option<String>) -> About {
    match (app, name, key) {
        (Some(app), Some(name), Some(key)) => About::Model(Model { app, name, key }),
        _ => About::Unclear,
    }
}

fn is_action(text: &str) -> bool {
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_';
    !text.is_empty() && text.len() <= LONGEST_ACTION && text.bytes().all(plain)
}
