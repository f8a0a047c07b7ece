//! SCIM clients before the real binary.

mod access;
mod bounds;
mod command;
mod life;
mod replay;
mod tools;
mod vendors;

use crate::desk;
use crate::support::bridge::{BINARY, Settings};
use crate::support::services::{Peer, Reply, Services, Setup};
use reqwest::Method;
use serde_json::{Value, json};

pub(crate) const USER: &str = "urn:ietf:params:scim:schemas:core:2.0:User";
pub(crate) const GROUP: &str = "urn:ietf:params:scim:schemas:core:2.0:Group";
pub(crate) const PATCH: &str = "urn:ietf:params:scim:api:messages:2.0:PatchOp";
const JSON: &str = "application/scim+json";

/// A bridge with two SCIM connections: `idp`, of the client `hook`, and `other`.
pub(crate) struct Bed {
    pub(crate) services: Services,
    pub(crate) peer: Peer,
    pub(crate) other: String,
}

impl Bed {
    pub(crate) async fn start() -> Self {
        Self::with(desk::settings(), "").await
    }

    /// Whose clients may not ask often.
    pub(crate) async fn slow() -> Self {
        Self::listening("rate = 1\nburst = 5", desk::settings(), "").await
    }

    /// `idp`: further keys of the first connection.
    pub(crate) async fn with(settings: Settings, idp: &str) -> Self {
        Self::listening("rate = 10000\nburst = 10000", settings, idp).await
    }

    async fn listening(listen: &str, settings: Settings, idp: &str) -> Self {
        let made = std::process::Command::new(BINARY)
            .args(["clients", "new-bearer", "--json"])
            .output()
            .unwrap();
        let made: Value = serde_json::from_slice(&made.stdout).unwrap();
        let other = made["bearer"].as_str().unwrap().to_owned();
        let hash = made["sha256"].as_str().unwrap();
        let services = Services::with(Setup {
            clients: format!(
                "[[clients]]\nid = \"second\"\nscopes = [\"scim\"]\n\
                 static_bearer_sha256 = [\"{hash}\"]\n\
                 [[clients]]\nid = \"roomless\"\nscopes = [\"scim\"]\n\
                 certificate_names = [\"roomless.internal\"]\n\
                 [[scim]]\nid = \"idp\"\nclients = [\"hook\"]\n{idp}\n\
                 [[scim]]\nid = \"other\"\nclients = [\"second\"]\nstrict = true\n\
                 patch_answer = \"nothing\"\n"
            ),
            listen: listen.into(),
            settings,
            ..Setup::default()
        })
        .await;
        let peer = services.nobody();
        services.world.taint.private(&other);
        Self {
            services,
            peer,
            other,
        }
    }

    /// A request of the first connection's client.
    pub(crate) async fn ask(&self, method: &str, path: &str, body: Value) -> Reply {
        self.ask_with(method, path, &[], body).await
    }

    pub(crate) async fn ask_with(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: Value,
    ) -> Reply {
        let bearer = self.services.secret.clone();
        self.ask_as(&bearer, method, path, headers, body).await
    }

    pub(crate) async fn ask_as(
        &self,
        bearer: &str,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: Value,
    ) -> Reply {
        let bearer = format!("Bearer {bearer}");
        let mut all = vec![("authorization", bearer.as_str()), ("accept", JSON)];
        if !headers.iter().any(|(name, _)| *name == "content-type") {
            all.push(("content-type", JSON));
        }
        all.extend_from_slice(headers);
        let body = match body {
            Value::Null => String::new(),
            Value::String(raw) => raw,
            body => body.to_string(),
        };
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        let path = format!("/scim/v2{path}");
        let reply = self.peer.send(method, &path, &all, body).await;
        if !reply.text.is_empty() {
            assert_eq!(reply.header("content-type"), JSON, "{reply:?}");
        }
        if reply.status >= 400 {
            let error = reply.json();
            let schema = json!(["urn:ietf:params:scim:api:messages:2.0:Error"]);
            assert_eq!(error["schemas"], schema, "{reply:?}");
            assert_eq!(error["status"], reply.status.to_string(), "a text");
            assert!(error["detail"].is_string(), "{reply:?}");
        }
        reply
    }

    /// A request that must be answered so.
    pub(crate) async fn must(&self, status: u16, method: &str, path: &str, body: Value) -> Value {
        let reply = self.ask(method, path, body).await;
        assert_eq!(reply.status, status, "{method} {path}: {reply:?}");
        match reply.text.is_empty() {
            true => Value::Null,
            false => reply.json(),
        }
    }

    /// A new user; their id.
    pub(crate) async fn user(&self, name: &str) -> String {
        let body =
            json!({ "schemas": [USER], "userName": name, "externalId": format!("x-{name}") });
        id(&self.must(201, "POST", "/Users", body).await)
    }

    /// A new group; its id.
    pub(crate) async fn group(&self, name: &str, members: &[&str]) -> String {
        let members: Vec<_> = members.iter().map(|id| json!({ "value": id })).collect();
        let body = json!({ "schemas": [GROUP], "displayName": name, "members": members });
        id(&self.must(201, "POST", "/Groups", body).await)
    }

    /// Ids of a group's members.
    pub(crate) async fn members(&self, group: &str) -> Vec<String> {
        let group = self
            .must(200, "GET", &format!("/Groups/{group}"), Value::Null)
            .await;
        let members = group["members"].as_array().expect("a list, always");
        let mut ids: Vec<_> = (members.iter())
            .map(|one| one["value"].as_str().unwrap().to_owned())
            .collect();
        ids.sort();
        ids
    }

    pub(crate) async fn finish(self) {
        self.services.finish().await;
    }
}

pub(crate) fn id(resource: &Value) -> String {
    resource["id"].as_str().expect("an id").to_owned()
}

/// PATCH operations as a body.
pub(crate) fn patch(operations: Value) -> Value {
    json!({ "schemas": [PATCH], "Operations": operations })
}

/// What an error says: status and scimType.
pub(crate) fn refused(reply: &Reply) -> (u16, String) {
    let kind = reply.json()["scimType"]
        .as_str()
        .unwrap_or_default()
        .to_owned();
    (reply.status, kind)
}
