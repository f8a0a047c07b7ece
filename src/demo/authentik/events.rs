//! The event log: how entries come into being, and how it is read. Each entry is offered to the
//! webhooks.

use serde_json::{Value, json};

use super::answer::{Answer, Refusal, Reply};
use super::call::Call;
use super::controls::StandIn;
use super::ids::{hex, new_uuid, now};
use super::state::Event;
use super::{autocomplete, page, render};

/// How long an entry is kept.
const KEPT: i64 = 365 * 86_400 * 1_000_000;
const MIDDLEWARE: &str = "authentik.events.middleware";
const BRAND: &str = "06834df029ce418cb7477fe9c96d1c28";

/// `GET /events/events/`, newest first.
pub(super) async fn list(call: Call) -> Answer {
    let state = call.app.state();
    let sees = call.caller.sees("authentik_events.view_event")?;
    let at = |event: &Event, name: &str| event.context.pointer(&format!("/model/{name}")).cloned();
    let is = |event: &Event, name: &str, wanted: &str| {
        at(event, name).is_some_and(|value| match value {
            Value::String(text) => text == wanted || text == wanted.replace('-', ""),
            Value::Number(number) => number.to_string() == wanted,
            _ => false,
        })
    };
    let actions: Vec<&str> = call
        .params("actions")
        .chain(call.params("action"))
        .collect();
    let mut found: Vec<&Event> = state
        .events
        .iter()
        .filter(|event| sees.shows(&event.pk))
        .filter(|event| actions.is_empty() || actions.contains(&event.action.as_str()))
        .filter(|event| {
            call.param("username")
                .is_none_or(|name| event.user.get("username").and_then(Value::as_str) == Some(name))
        })
        .filter(|event| {
            ["app", "model_name", "pk"].iter().all(|name| {
                let parameter = match *name {
                    "model_name" => "context_model_name".to_owned(),
                    other => format!("context_model_{other}"),
                };
                call.param(&parameter)
                    .is_none_or(|wanted| is(event, name, wanted))
            })
        })
        .collect();
    if call.param("ordering") != Some("created") {
        found.reverse();
    }
    page::page(&call, &found, autocomplete::events(), |event| {
        render::event(event)
    })
}

/// `GET /events/events/{uuid}/`.
pub(super) async fn get(call: Call) -> Answer {
    let state = call.app.state();
    let sees = call.caller.sees("authentik_events.view_event")?;
    let found = state
        .events
        .iter()
        .find(|event| event.pk == call.segment(2));
    let found = found.filter(|event| sees.shows(&event.pk));
    let found = found.ok_or_else(|| Refusal::no_match("Event"))?;
    Ok(Reply::ok(render::event(found)))
}

/// `POST /events/events/`: whoever has `add_event` may claim anything (recorded: difference 17).
pub(super) async fn create(mut call: Call) -> Answer {
    call.caller.must("authentik_events.add_event")?;
    let body = call.json().await?;
    let text = |key: &str| {
        body.get(key)
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned()
    };
    let (action, app) = (text("action"), text("app"));
    if action.is_empty() {
        return Err(Refusal::field("action", "This field is required."));
    }
    let event = Event {
        pk: new_uuid(),
        user: body.get("user").cloned().unwrap_or_else(|| json!({})),
        action,
        app,
        context: body.get("context").cloned().unwrap_or_else(|| json!({})),
        client_ip: None,
        created: now(),
        expires: now() + KEPT,
        brand: brand(),
    };
    let shown = render::event(&event);
    call.app.note(event);
    Ok(Reply::json(201, shown))
}

fn brand() -> Value {
    json!({ "pk": BRAND, "app": "authentik_brands", "name": "Default brand", "model_name": "brand" })
}

impl Call {
    /// What the caller did, in an event of its own kind.
    pub(super) fn event(&self, action: &str, app: &str, context: Value) {
        self.event_by(self.caller.user, action, app, context);
    }

    /// The same, with another user as the one who did it.
    pub(super) fn event_by(&self, user: i64, action: &str, app: &str, mut context: Value) {
        if let Value::Object(fields) = &mut context {
            fields.insert("http_request".into(), self.http_request());
        }
        let actor = self.app.state().users.get(&user).map(render::actor);
        self.app.event(actor, action, app, context);
    }

    /// What happened to an object.
    pub(super) fn event_of_model(&self, action: &str, model: Value) {
        self.event(action, MIDDLEWARE, json!({ "model": model }));
    }

    /// What happened to a user; their display name is what it says, never the user name.
    pub(super) fn event_of_user(&self, action: &str, pk: i64) {
        let name = {
            let state = self.app.state();
            state.users.get(&pk).map(|user| user.name.clone())
        };
        let model = render::model(
            "authentik_core",
            "user",
            json!(pk),
            &name.unwrap_or_default(),
        );
        self.event_of_model(action, model);
    }

    /// What happened to a group.
    pub(super) fn event_of_group(&self, action: &str, pk: &str) {
        let name = {
            let state = self.app.state();
            state.groups.get(pk).map(|group| group.name.clone())
        };
        let model = render::model(
            "authentik_core",
            "group",
            json!(pk),
            &name.unwrap_or_default(),
        );
        self.event_of_model(action, model);
    }

    fn http_request(&self) -> Value {
        json!({
            "args": {}, "path": self.path, "method": self.method.as_str(),
            "request_id": hex(&self.request_id), "user_agent": self.user_agent(),
        })
    }
}

impl StandIn {
    /// Puts an event on record and offers it to the webhooks.
    pub(super) fn event(&self, actor: Option<Value>, action: &str, app: &str, context: Value) {
        self.note(Event {
            pk: new_uuid(),
            user: actor.unwrap_or_else(|| json!({})),
            action: action.to_owned(),
            app: app.to_owned(),
            context,
            client_ip: Some("127.0.0.1".into()),
            created: now(),
            expires: now() + KEPT,
            brand: brand(),
        });
    }

    fn note(&self, event: Event) {
        self.state().events.push(event.clone());
        self.offer(&event);
    }

    /// As [`Self::event`], of a change that no HTTP request made (recorded: 57).
    pub(super) fn event_from_shell(&self, action: &str, model: Value) {
        let actor = json!({ "pk": 0, "email": "", "username": "authentik-shell" });
        self.event(Some(actor), action, MIDDLEWARE, json!({ "model": model }));
    }
}
