//! The wishes there are: one function a kind of work, so that keys, lanes and payloads are spelt in
//! one place.

use crate::store::{JobKind, NewJob, Priority};
use crate::types::{AppId, SourceId, Timestamp, UserId};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// What a `read` job reads again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "snake_case")]
pub enum ToRead {
    /// A person, by the source's own id.
    Person {
        /// The id.
        id: String,
    },
    /// A group: its name, its parents, and everybody who is or was in it.
    Group {
        /// The id.
        id: String,
    },
    /// All groups, then everybody who is in or below those that changed.
    Groups,
    /// Whatever changed lately: the hint did not say what.
    Recent,
}

/// Read something again. Of one thing there is one job: a burst of hints joins it.
#[must_use]
pub fn read(
    source: &SourceId,
    to_read: &ToRead,
    priority: Priority,
    due_at: Timestamp,
    why: &str,
) -> NewJob {
    let what = match to_read {
        ToRead::Person { id } => format!("person/{id}"),
        ToRead::Group { id } => format!("group/{id}"),
        ToRead::Groups => "groups".to_owned(),
        ToRead::Recent => "recent".to_owned(),
    };
    NewJob {
        kind: JobKind::Read,
        key: format!("read/{source}/{what}"),
        lane: format!("{source}/{what}"),
        app: None,
        source: Some(source.clone()),
        user: None,
        priority,
        due_at,
        payload: serde_json::to_string(to_read).unwrap_or_default(),
        why: why.to_owned(),
    }
}

/// Bring a person's account and memberships in an app to what they should be.
#[must_use]
pub fn converge(
    app: &AppId,
    user: UserId,
    priority: Priority,
    due_at: Timestamp,
    why: &str,
) -> NewJob {
    NewJob {
        kind: JobKind::Converge,
        key: format!("converge/{app}/{user}"),
        lane: format!("user/{user}"),
        app: Some(app.clone()),
        source: None,
        user: Some(user),
        priority,
        due_at,
        payload: "{}".to_owned(),
        why: why.to_owned(),
    }
}

/// Read all that a directory says, and compare.
#[must_use]
pub fn sweep(source: &SourceId, due_at: Timestamp, why: &str) -> NewJob {
    NewJob {
        kind: JobKind::Sweep,
        key: format!("sweep/{source}"),
        lane: format!("sweep/{source}"),
        app: None,
        source: Some(source.clone()),
        user: None,
        priority: Priority::Background,
        due_at,
        payload: "{}".to_owned(),
        why: why.to_owned(),
    }
}

/// Read all that an app has, and compare.
#[must_use]
pub fn look(app: &AppId, due_at: Timestamp, why: &str) -> NewJob {
    NewJob {
        kind: JobKind::Sweep,
        key: format!("sweep/app/{app}"),
        lane: format!("sweep/app/{app}"),
        app: Some(app.clone()),
        source: None,
        user: None,
        priority: Priority::Background,
        due_at,
        payload: "{}".to_owned(),
        why: why.to_owned(),
    }
}

/// What a `sweep` job does instead of reading everything and doing what follows.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ToCarryOut {
    /// Carry out this plan.
    pub plan: Option<Uuid>,
    /// Only read, and put on record what would follow: a plan that has the job's id.
    pub propose: bool,
    /// Who said so.
    pub by: String,
}

/// Read all that a directory says, and say what would follow. The plan has the job's id: whoever
/// joins the job is told of the same.
#[must_use]
pub fn propose(source: &SourceId, by: &str, due_at: Timestamp) -> NewJob {
    let what = ToCarryOut {
        propose: true,
        by: by.to_owned(),
        ..ToCarryOut::default()
    };
    NewJob {
        key: format!("sweep/proposal/{source}"),
        payload: serde_json::to_string(&what).unwrap_or_default(),
        ..sweep(source, due_at, &format!("{by} asked what a sweep would do"))
    }
}

/// Carry out a held plan, of a directory or SCIM client.
#[must_use]
pub fn carry_out(source: &SourceId, plan: Uuid, by: &str, due_at: Timestamp) -> NewJob {
    let what = ToCarryOut {
        plan: Some(plan),
        by: by.to_owned(),
        ..ToCarryOut::default()
    };
    NewJob {
        kind: JobKind::Sweep,
        key: format!("sweep/plan/{plan}"),
        // Never beside a sweep of the same directory.
        lane: format!("sweep/{source}"),
        app: None,
        source: Some(source.clone()),
        user: None,
        priority: Priority::Deny,
        due_at,
        payload: serde_json::to_string(&what).unwrap_or_default(),
        why: format!("{by} approved a plan"),
    }
}

/// Write to a person that an app is theirs: once, for the first of their apps.
#[must_use]
pub fn welcome(app: &AppId, user: UserId, due_at: Timestamp) -> NewJob {
    NewJob {
        kind: JobKind::Mail,
        key: format!("mail/access/{user}"),
        lane: format!("mail/{user}"),
        app: Some(app.clone()),
        source: None,
        user: Some(user),
        priority: Priority::Background,
        due_at,
        payload: "{}".to_owned(),
        why: "their first app is ready".to_owned(),
    }
}
