//! One request on its way to a handler: who calls, what was asked, and the ways to read the body.

use std::collections::BTreeMap;

use axum::body::{Body, Bytes};
use http::{HeaderMap, Method};
use http_body_util::{BodyExt, Limited};
use hyper::upgrade::OnUpgrade;
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use super::answer::{CookieForm, Refusal};
use super::controls::StandIn;
use super::ids::is_id;
use super::state::Session;

/// A request that passed the checks common to all routes.
pub(super) struct Call {
    pub(super) app: StandIn,
    pub(super) method: Method,
    /// The decoded path.
    pub(super) path: String,
    /// Its segments, without `/api/v4` on routes of the API.
    pub(super) segments: Vec<String>,
    pub(super) query: Vec<(String, String)>,
    pub(super) headers: HeaderMap,
    pub(super) caller: Option<Session>,
    pub(super) body: Body,
    pub(super) upgrade: Option<OnUpgrade>,
    /// The server ends: sockets end with it.
    pub(super) shutdown: CancellationToken,
}

impl Call {
    /// The session, on routes that demand one.
    pub(super) fn caller(&self) -> Result<&Session, Refusal> {
        self.caller
            .as_ref()
            .ok_or_else(|| Refusal::session_expired(false))
    }

    /// Whether the caller is a system administrator.
    pub(super) fn is_admin(&self) -> bool {
        self.caller
            .as_ref()
            .is_some_and(|session| has_role(&session.roles, "system_admin"))
    }

    /// Refuses everyone but system administrators.
    pub(super) fn admin_only(&self) -> Result<(), Refusal> {
        if self.is_admin() {
            Ok(())
        } else {
            Err(Refusal::permissions())
        }
    }

    /// Refuses everyone but the user in question and system administrators.
    pub(super) fn self_or_admin(&self, user_id: &str) -> Result<(), Refusal> {
        if self.caller()?.user_id == user_id || self.is_admin() {
            Ok(())
        } else {
            Err(Refusal::permissions())
        }
    }

    pub(super) fn segment(&self, index: usize) -> &str {
        self.segments.get(index).map_or("", String::as_str)
    }

    /// The user id in this segment; `me` is the caller.
    pub(super) fn user_id(&self, index: usize) -> Result<String, Refusal> {
        match self.segment(index) {
            "me" => Ok(self.caller()?.user_id.clone()),
            id => self.id(index, "user_id").map(|_| id.to_owned()),
        }
    }

    /// The id in this segment.
    pub(super) fn id(&self, index: usize, name: &str) -> Result<String, Refusal> {
        let id = self.segment(index);
        if is_id(id) {
            Ok(id.to_owned())
        } else {
            Err(Refusal::url_param(name))
        }
    }

    pub(super) fn param(&self, name: &str) -> Option<&str> {
        self.query
            .iter()
            .find(|(have, _)| have == name)
            .map(|(_, value)| value.as_str())
    }

    /// How many entries a list leaves out, and how many it shows.
    pub(super) fn page(&self) -> (usize, usize) {
        let number = |name: &str, default: usize| {
            let given = self.param(name).and_then(|text| text.parse().ok());
            given.unwrap_or(default)
        };
        let size = number("per_page", 60).clamp(1, 200);
        (number("page", 0).saturating_mul(size), size)
    }

    pub(super) fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
    }

    /// The whole body, up to `limit` bytes.
    pub(super) async fn bytes(&mut self, limit: usize) -> Result<Bytes, Refusal> {
        let body = std::mem::take(&mut self.body);
        Limited::new(body, limit)
            .collect()
            .await
            .map(http_body_util::Collected::to_bytes)
            .map_err(|_| Refusal::body_too_large())
    }

    /// The body as JSON, `Null` when it is none.
    pub(super) async fn json(&mut self) -> Result<Value, Refusal> {
        let limit = self
            .app
            .number("ServiceSettings", "MaximumPayloadSizeBytes");
        let bytes = self
            .bytes(usize::try_from(limit).unwrap_or(300_000))
            .await?;
        Ok(serde_json::from_slice(&bytes).unwrap_or(Value::Null))
    }

    /// The body as Go's `map[string]string`: values that are not strings are dropped without a
    /// word (recorded, and the trap of `already_hashed`).
    pub(super) async fn strings(&mut self) -> Result<BTreeMap<String, String>, Refusal> {
        let Value::Object(fields) = self.json().await? else {
            return Ok(BTreeMap::new());
        };
        Ok(fields
            .into_iter()
            .filter_map(|(name, value)| match value {
                Value::String(text) => Some((name, text)),
                _ => None,
            })
            .collect())
    }

    /// How session cookies look in the answer to this request.
    pub(super) fn cookie_form(&self) -> CookieForm {
        CookieForm {
            secure: self.header("x-forwarded-proto") == "https",
            embedded: cookies(&self.headers).any(|(name, value)| name == "MMEMBED" && value == "1"),
            hours: self
                .app
                .number("ServiceSettings", "SessionLengthWebInHours"),
        }
    }

    /// The three cookies of a session, as a login and every extension sets them.
    pub(super) fn session_cookies(&self, session: &Session) -> Vec<String> {
        let form = self.cookie_form();
        vec![
            form.render("MMAUTHTOKEN", &session.token, true),
            form.render("MMUSERID", &session.user_id, false),
            form.render("MMCSRF", session.csrf(), false),
        ]
    }
}

/// All cookies of a request in order.
pub(super) fn cookies(headers: &HeaderMap) -> impl Iterator<Item = (&str, &str)> {
    headers
        .get_all("cookie")
        .iter()
        .filter_map(|line| line.to_str().ok())
        .flat_map(|line| line.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
}

/// Whether a blank-separated list of roles names this one.
pub(super) fn has_role(roles: &str, role: &str) -> bool {
    roles.split(' ').any(|have| have == role)
}
