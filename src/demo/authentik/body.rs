//! What a webhook says: Authentik's own six keys, or what the shipped mapping makes (recorded: 02,
//! 03). Made at the time of each delivery, so that a retry has the state of then.

use serde_json::Value;

use super::hooks::{BodyKind, Hook};
use super::ids::iso;
use super::python::Py;
use super::state::{Event, State, User};

/// Who gets notifications: a member of the rule's group, not the one whom an event is about.
pub(super) const RECIPIENT: &str = "bridge-webhook-recipient";

/// The body of one delivery.
pub(super) fn of_event(state: &State, hook: &Hook, event: &Event, recipient: &str) -> String {
    match hook.body {
        BodyKind::Default => default_body(state, hook, event, recipient),
        BodyKind::Mapped => mapped(state, event),
    }
}

fn default_body(state: &State, hook: &Hook, event: &Event, recipient: &str) -> String {
    // A message has no action in front of it (recorded: difference 11).
    let summary = match event.context.get("message").and_then(Value::as_str) {
        Some(message) => message.to_owned(),
        None => format!("{}: {}", event.action, Py::jsonb(&event.context).repr()),
    };
    let email = state
        .user_by_name(recipient)
        .map_or("", |user| user.email.as_str());
    let mut pairs = vec![
        ("body".to_owned(), Py::Str(summary)),
        ("severity".to_owned(), Py::text(hook.severity.as_str())),
        ("user_email".to_owned(), Py::text(email)),
        ("user_username".to_owned(), Py::text(recipient)),
    ];
    let of = |key: &str| event.user.get(key).and_then(Value::as_str);
    if let Some(username) = of("username") {
        let email = of("email").unwrap_or_default();
        pairs.push(("event_user_email".to_owned(), Py::text(email)));
        pairs.push(("event_user_username".to_owned(), Py::text(username)));
    }
    Py::Dict(pairs).dumps()
}

/// What the test call sends before there is an event: to the one who calls.
pub(super) fn of_test(hook: &Hook, caller: &User, event: &Event) -> String {
    match hook.body {
        BodyKind::Default => Py::dict([
            (
                "body",
                Py::Str(format!("Test Notification from transport {}", hook.name)),
            ),
            ("severity", Py::text("notice")),
            ("user_email", Py::text(caller.email.as_str())),
            ("user_username", Py::text(caller.username.as_str())),
        ])
        .dumps(),
        BodyKind::Mapped => mapping(event, Py::None, None),
    }
}

fn mapped(state: &State, event: &Event) -> String {
    let model = event.context.get("model").filter(|model| !model.is_null());
    let of = |key: &str| {
        model
            .and_then(|model| model.get(key))
            .and_then(Value::as_str)
    };
    let pk = match (of("app"), of("model_name")) {
        (Some("authentik_core"), Some("user")) => model.and_then(|model| model.get("pk")),
        _ if model.is_none() => event.user.get("pk"),
        _ => None,
    };
    let user = pk
        .and_then(Value::as_i64)
        .and_then(|pk| state.users.get(&pk));
    let shown = user.map_or(Py::None, |user| person(state, user));
    mapping(event, shown, model)
}

fn mapping(event: &Event, user: Py, model: Option<&Value>) -> String {
    let context = |key: &str| event.context.get(key).map_or(Py::None, Py::jsonb);
    Py::dict([
        ("v", Py::Int(1)),
        ("event_id", Py::text(event.pk.as_str())),
        ("action", Py::text(event.action.as_str())),
        ("created", Py::Str(iso(event.created))),
        ("model", model.map_or(Py::None, Py::jsonb)),
        ("actor", Py::jsonb(&event.user)),
        ("diff", context("diff")),
        ("user_created", context("created")),
        ("user", user),
    ])
    .dumps()
}

fn person(state: &State, user: &User) -> Py {
    let groups = state.all_groups(user);
    let groups = groups.iter().filter_map(|pk| state.groups.get(pk));
    let groups = groups.map(|group| {
        Py::dict([
            ("pk", Py::text(group.pk.as_str())),
            ("name", Py::text(group.name.as_str())),
        ])
    });
    Py::dict([
        ("pk", Py::Int(user.pk)),
        ("uid", Py::text(user.uid.as_str())),
        ("uuid", Py::text(user.uuid.as_str())),
        ("username", Py::text(user.username.as_str())),
        ("email", Py::text(user.email.as_str())),
        ("name", Py::text(user.name.as_str())),
        ("is_active", Py::Bool(user.is_active)),
        ("type", Py::text(user.kind.as_str())),
        ("groups", Py::List(groups.collect())),
    ])
}
