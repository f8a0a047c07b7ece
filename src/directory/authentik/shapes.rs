//! What is read of Authentik's answers. Everything else in them is ignored, so that a newer version
//! is read as well.

use serde::Deserialize;
use uuid::Uuid;

/// A page.
#[derive(Debug, Deserialize)]
pub(super) struct List<T> {
    pub(super) pagination: Pagination,
    pub(super) results: Vec<T>,
}

/// Where it is. Numbers may come as floats.
#[derive(Debug, Deserialize)]
pub(super) struct Pagination {
    /// 0: this was the last one.
    pub(super) next: f64,
    pub(super) current: f64,
    pub(super) count: f64,
}

/// A user.
#[derive(Debug, Deserialize)]
pub(super) struct User {
    pub(super) pk: i64,
    pub(super) username: String,
    #[serde(default)]
    pub(super) name: String,
    #[serde(default)]
    pub(super) email: String,
    /// Required: a missing word is no permission.
    pub(super) is_active: bool,
    /// Direct ones. Required: left out, it would look like none.
    pub(super) groups: Vec<String>,
    pub(super) uid: String,
    pub(super) uuid: String,
    #[serde(default)]
    pub(super) path: String,
    #[serde(rename = "type")]
    pub(super) kind: String,
    #[serde(default)]
    pub(super) attributes: serde_json::Map<String, serde_json::Value>,
    #[serde(default)]
    pub(super) last_updated: Option<String>,
}

/// A group.
#[derive(Debug, Deserialize)]
pub(super) struct Group {
    pub(super) pk: String,
    pub(super) name: String,
    /// Since 2025.12; before, there was one `parent`. Required: without it nothing is inherited.
    pub(super) parents: Vec<String>,
    /// Direct members.
    #[serde(default)]
    pub(super) users: Vec<i64>,
}

/// A group, as far as it gives power. All required: what is left out is not harmless.
#[derive(Debug, Deserialize)]
pub(super) struct PowerGroup {
    pub(super) pk: String,
    pub(super) name: String,
    /// Whether its members may do everything in Authentik.
    pub(super) is_superuser: bool,
    pub(super) parents: Vec<String>,
    /// Its members have these.
    pub(super) roles: Vec<String>,
}

/// A flow.
#[derive(Debug, Deserialize)]
pub(super) struct Flow {
    pub(super) pk: String,
    pub(super) slug: String,
    /// `enrollment` …
    pub(super) designation: String,
}

/// An invitation. Its `pk` is what its link holds, so it does not print.
#[derive(Deserialize)]
pub(super) struct Invitation {
    pub(super) pk: Uuid,
    pub(super) name: String,
    #[serde(default)]
    pub(super) expires: Option<String>,
    #[serde(default)]
    pub(super) fixed_data: Option<serde_json::Map<String, serde_json::Value>>,
    pub(super) single_use: bool,
    #[serde(default)]
    pub(super) flow: Option<String>,
}

/// Whoever asks.
#[derive(Debug, Deserialize)]
pub(super) struct Me {
    pub(super) user: MeUser,
}

/// Them.
#[derive(Debug, Deserialize)]
pub(super) struct MeUser {
    pub(super) pk: i64,
    pub(super) username: String,
    #[serde(default)]
    pub(super) is_superuser: bool,
    #[serde(rename = "type", default)]
    pub(super) kind: String,
}

/// A token.
#[derive(Debug, Deserialize)]
pub(super) struct Token {
    pub(super) identifier: String,
    #[serde(default)]
    pub(super) intent: String,
    #[serde(default)]
    pub(super) expires: Option<String>,
    #[serde(default)]
    pub(super) expiring: bool,
}

/// The version.
#[derive(Debug, Deserialize)]
pub(super) struct Version {
    pub(super) version_current: String,
}

/// An entry of the event log.
#[derive(Debug, Deserialize)]
pub(super) struct Event {
    #[serde(default)]
    pub(super) user: serde_json::Value,
    pub(super) action: String,
    #[serde(default)]
    pub(super) context: serde_json::Value,
    pub(super) created: String,
}

/// An error.
#[derive(Debug, Deserialize)]
pub(super) struct Detail {
    #[serde(default)]
    pub(super) detail: String,
}
