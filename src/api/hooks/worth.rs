//! Which events are worth asking Authentik again, and about whom. The reasons are in the table of
//! `mod.rs`; the recorded bodies are held to it by a test.

use super::notice::{About, Event, Model};
use crate::jobs::wish::ToRead;
use crate::store::Priority;
use uuid::Uuid;

/// What an event is worth.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Worth {
    /// A read.
    Read(ToRead, Priority),
    /// A read, unless the same person's sign-in had one lately.
    Seldom(ToRead, Priority),
    /// Nothing: it changes nothing about who may do what, or another event says it better.
    Nothing,
    /// Nothing, and this version does not know what it is.
    Unknown,
}

/// Actions of Authentik's that change nothing about a person, or are told by another event.
const NOTHING: [&str; 28] = [
    "authorize_application",
    "configuration_error",
    "configuration_warning",
    "email_sent",
    "export_ready",
    "flow_execution",
    "impersonation_ended",
    "impersonation_started",
    "invitation_used",
    "login_failed",
    "logout",
    "password_set",
    "policy_exception",
    "policy_execution",
    "property_mapping_exception",
    "review_attested",
    "review_completed",
    "review_initiated",
    "review_overdue",
    "secret_rotate",
    "secret_view",
    "source_linked",
    "suspicious_request",
    "system_exception",
    "system_task_exception",
    "system_task_execution",
    "update_available",
    "access_request_created",
];

/// Weighs an event.
pub(super) fn weigh(event: &Event) -> Worth {
    let action = event.action.as_str();
    let priority = match action {
        // Somebody waits for an account; everything else may take access away.
        "model_created" | "login" | "user_write" => Priority::Grant,
        _ => Priority::Deny,
    };
    match (&event.about, action) {
        (About::Model(model), _) => match read(model) {
            Some(Some(what)) => Worth::Read(what, priority),
            Some(None) => Worth::Read(ToRead::Recent, priority),
            None => Worth::Nothing,
        },
        (About::Person(pk), "login") => Worth::Seldom(person(pk), priority),
        (About::Person(pk), "user_write") => Worth::Read(person(pk), priority),
        // Somebody's change, and nobody knows whose.
        (About::Unclear, _)
        | (_, "model_created" | "model_updated" | "model_deleted" | "user_offboarded") => {
            Worth::Read(ToRead::Recent, priority)
        }
        _ if NOTHING.contains(&action)
            || ["login", "user_write"].contains(&action)
            || action.starts_with("custom_") =>
        {
            Worth::Nothing
        }
        _ => Worth::Unknown,
    }
}

/// What of a row is read; `Some(None)`: its key is none that such a row has.
fn read(model: &Model) -> Option<Option<ToRead>> {
    if model.app != "authentik_core" {
        return None;
    }
    match model.name.as_str() {
        "user" => {
            // Spelt in one way, so that there is one job.
            let pk = model.key.parse::<u32>().ok();
            Some(pk.map(|pk| person(&pk.to_string())))
        }
        "group" => {
            let id = Uuid::parse_str(&model.key).ok();
            Some(id.map(|id| ToRead::Group { id: id.to_string() }))
        }
        // It names neither of the two groups in a way that could be trusted.
        "groupparentagenode" => Some(Some(ToRead::Groups)),
        _ => None,
    }
}

fn person(pk: &str) -> ToRead {
    ToRead::Person { id: pk.to_owned() }
}
