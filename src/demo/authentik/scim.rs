//! The SCIM client: what it sends for each change, in its default mode (recorded: 10). The whole
//! comparison is in `scim_sync`.

use std::collections::HashMap;
use std::time::Duration;

use http::Method;
use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::controls::StandIn;
use super::hooks::Open;
use super::python::Py;
use super::state::{Group, User};
use super::wire::{Incoming, Outgoing};

/// Waits before the second to sixth attempt, in seconds (recorded: difference 26).
const WAITS: [u64; 5] = [175, 85, 100, 115, 425];
const SCIM: &str = "application/scim+json";
const USER: &str = "urn:ietf:params:scim:schemas:core:2.0:User";
const GROUP: &str = "urn:ietf:params:scim:schemas:core:2.0:Group";
const PATCH: &str = "urn:ietf:params:scim:api:messages:2.0:PatchOp";

/// Where people and groups are pushed to.
#[derive(Clone, Debug)]
pub struct ScimTarget {
    /// Base URL without a slash at the end.
    pub url: String,
    /// The bearer.
    pub token: String,
    /// Leaves service accounts out.
    pub exclude_service_accounts: bool,
    /// Each new user is pushed by two tasks, as with several threads: two identical `POST /Users`
    /// within milliseconds (recorded: difference 24).
    pub twice: bool,
}

/// A change that is pushed.
#[derive(Clone, Debug)]
pub(super) enum Change {
    User(i64),
    UserGone(i64),
    Group(String),
    GroupGone(String),
    Joined(String, Vec<i64>),
    Left(String, Vec<i64>),
}

/// An object that the peer has: its id there, and what the peer answered last.
#[derive(Clone, Debug)]
pub(super) struct Linked {
    pub(super) id: String,
    pub(super) stored: Value,
}

/// What the peer says it can do; nothing of it when that could not be read.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Abilities {
    pub(super) patch: bool,
    pub(super) filter: bool,
    pub(super) operations: usize,
}

/// A connection.
pub(super) struct Scim {
    pub(super) target: ScimTarget,
    pub(super) abilities: Option<Abilities>,
    pub(super) users: HashMap<i64, Linked>,
    pub(super) groups: HashMap<String, Linked>,
    queue: mpsc::UnboundedSender<(Change, Open)>,
}

/// Why a push did not end well.
#[derive(Debug)]
pub(super) enum Trouble {
    /// The task is tried again.
    Again,
    /// It is given up at once.
    Stop,
}

type Pushed = Result<(), Trouble>;

impl StandIn {
    /// Connects a peer and pushes everything to it once.
    pub async fn scim_connect(&self, target: ScimTarget) {
        let (queue, mut changes) = mpsc::unbounded_channel::<(Change, Open)>();
        *self.scim().lock() = Some(Scim {
            target,
            abilities: None,
            users: HashMap::new(),
            groups: HashMap::new(),
            queue,
        });
        let weak = self.downgrade();
        tokio::spawn(async move {
            while let Some((change, open)) = changes.recv().await {
                let Some(app) = weak.upgrade() else { return };
                app.push(&change).await;
                drop(open);
            }
        });
        self.scim_sync().await;
    }

    /// Takes note of a change, for the peer.
    pub(super) fn changed(&self, change: Change) {
        let scim = self.scim().lock();
        let Some(scim) = &*scim else { return };
        let new = matches!(&change, Change::User(pk) if !scim.users.contains_key(pk));
        let tasks = if new && scim.target.twice { 2 } else { 1 };
        if tasks == 2 {
            let (app, change) = (self.clone(), change.clone());
            let open = Open::new(self);
            tokio::spawn(async move {
                app.push(&change).await;
                drop(open);
            });
        }
        let _ = scim.queue.send((change, Open::new(self)));
    }

    async fn push(&self, change: &Change) {
        for (attempt, wait) in [0].into_iter().chain(WAITS).enumerate() {
            self.wait(Duration::from_secs(wait)).await;
            let Ok(turn) = self.hooks().threads.acquire().await else {
                return;
            };
            let attempt = u32::try_from(attempt + 1).unwrap_or(u32::MAX);
            let pushed = match change {
                Change::User(pk) => self.push_user(*pk, attempt).await,
                Change::UserGone(pk) => self.push_user_gone(*pk, attempt).await,
                Change::Group(pk) => self.push_group(pk, attempt).await,
                Change::GroupGone(pk) => self.push_group_gone(pk, attempt).await,
                Change::Joined(pk, users) => self.push_members(pk, users, "add", attempt).await,
                Change::Left(pk, users) => self.push_members(pk, users, "remove", attempt).await,
            };
            drop(turn);
            if !matches!(pushed, Err(Trouble::Again)) {
                return;
            }
        }
    }

    // -- people ----------------------------------------------------------------------------

    pub(super) async fn push_user(&self, pk: i64, attempt: u32) -> Pushed {
        let Some(user) = self.state().users.get(&pk).cloned() else {
            return Ok(());
        };
        let (known, excluded) = {
            let scim = self.scim().lock();
            let Some(scim) = &*scim else { return Ok(()) };
            let service = user.kind.ends_with("service_account");
            (
                scim.users.get(&pk).cloned(),
                scim.target.exclude_service_accounts && service,
            )
        };
        if excluded {
            return Ok(());
        }
        let Some(known) = known else {
            return self.push_new_user(&user, attempt).await;
        };
        // Only what is new is pushed; a value that shrinks is not (recorded: difference 21).
        if !adds(&known.stored, &plain(&user_payload(&user, None))) {
            return Ok(());
        }
        let payload = user_payload(&user, Some(&known.id));
        let path = format!("/Users/{}", known.id);
        let answer = self
            .scim_call(Method::PUT, &path, Some(&payload), attempt)
            .await?;
        if answer.status == 404 {
            self.with_scim(|scim| scim.users.remove(&pk));
            return self.push_new_user(&user, attempt).await;
        }
        let stored = resource(&answer)?;
        let id = known.id;
        self.with_scim(|scim| scim.users.insert(pk, Linked { id, stored }));
        Ok(())
    }

    async fn push_new_user(&self, user: &User, attempt: u32) -> Pushed {
        let payload = user_payload(user, None);
        let answer = self
            .scim_call(Method::POST, "/Users", Some(&payload), attempt)
            .await?;
        let stored = match answer.status {
            409 => {
                self.find("Users", "userName", &user.username, attempt)
                    .await?
            }
            _ => resource(&answer)?,
        };
        self.link_user(user.pk, stored)
    }

    fn link_user(&self, pk: i64, stored: Value) -> Pushed {
        let id = id_of(&stored)?;
        self.with_scim(|scim| scim.users.insert(pk, Linked { id, stored }));
        Ok(())
    }

    async fn push_user_gone(&self, pk: i64, attempt: u32) -> Pushed {
        let known = self
            .with_scim(|scim| scim.users.get(&pk).cloned())
            .flatten();
        let Some(known) = known else { return Ok(()) };
        let path = format!("/Users/{}", known.id);
        let answer = self.scim_call(Method::DELETE, &path, None, attempt).await?;
        gone(&answer)?;
        self.with_scim(|scim| scim.users.remove(&pk));
        Ok(())
    }

    // -- groups ----------------------------------------------------------------------------

    pub(super) async fn push_group(&self, pk: &str, attempt: u32) -> Pushed {
        let Some(group) = self.state().groups.get(pk).cloned() else {
            return Ok(());
        };
        let known = self
            .with_scim(|scim| scim.groups.get(pk).cloned())
            .flatten();
        let Some(known) = known else {
            return self.push_new_group(&group, attempt).await;
        };
        let path = format!("/Groups/{}", known.id);
        // What was stored at creation is compared for ever (recorded: difference 20).
        if adds(&known.stored, &plain(&group_payload(&group, None))) {
            let value = group_payload(&group, Some(&known.id));
            let replace = Py::dict([("op", Py::text("replace")), ("value", value)]);
            let patch = Py::dict([("Operations", Py::List(vec![replace]))]);
            let answer = self
                .scim_call(Method::PATCH, &path, Some(&patch), attempt)
                .await?;
            fine(&answer)?;
        }
        self.heal_members(&group, &known.id, attempt).await
    }

    async fn push_new_group(&self, group: &Group, attempt: u32) -> Pushed {
        let payload = group_payload(group, None);
        let answer = self
            .scim_call(Method::POST, "/Groups", Some(&payload), attempt)
            .await?;
        let stored = match answer.status {
            409 => {
                self.find("Groups", "displayName", &group.name, attempt)
                    .await?
            }
            _ => resource(&answer)?,
        };
        let id = id_of(&stored)?;
        let pk = group.pk.clone();
        self.with_scim(|scim| scim.groups.insert(pk, Linked { id, stored }));
        let members: Vec<i64> = group.users.iter().copied().collect();
        self.push_members(&group.pk, &members, "add", attempt).await
    }

    /// To a peer that knows no PATCH: the group with everybody in it, then a look at it. Without
    /// `members` when there are none (recorded: 11; difference 6).
    async fn put_group(&self, pk: &str, id: &str, attempt: u32) -> Pushed {
        let Some(group) = self.state().groups.get(pk).cloned() else {
            return Ok(());
        };
        let members = self.with_scim(|scim| {
            let known = group.users.iter().filter_map(|pk| scim.users.get(pk));
            let one = |linked: &Linked| Py::dict([("value", Py::text(linked.id.as_str()))]);
            known.map(one).collect::<Vec<_>>()
        });
        let mut payload = group_payload(&group, Some(id));
        if let (Py::Dict(pairs), Some(members)) = (&mut payload, members)
            && !members.is_empty()
        {
            pairs.push(("members".to_owned(), Py::List(members)));
        }
        let path = format!("/Groups/{id}");
        let answer = self
            .scim_call(Method::PUT, &path, Some(&payload), attempt)
            .await?;
        fine(&answer)?;
        let answer = self.scim_call(Method::GET, &path, None, attempt).await?;
        fine(&answer)
    }

    async fn push_group_gone(&self, pk: &str, attempt: u32) -> Pushed {
        let known = self
            .with_scim(|scim| scim.groups.get(pk).cloned())
            .flatten();
        let Some(known) = known else { return Ok(()) };
        let path = format!("/Groups/{}", known.id);
        let answer = self.scim_call(Method::DELETE, &path, None, attempt).await?;
        gone(&answer)?;
        self.with_scim(|scim| scim.groups.remove(pk));
        Ok(())
    }

    /// One operation a member; whoever the peer does not know is left out.
    pub(super) async fn push_members(
        &self,
        pk: &str,
        users: &[i64],
        op: &str,
        attempt: u32,
    ) -> Pushed {
        let found = self.with_scim(|scim| {
            let group = scim.groups.get(pk)?.id.clone();
            let known = users.iter().filter_map(|pk| scim.users.get(pk));
            let members: Vec<String> = known.map(|linked| linked.id.clone()).collect();
            Some((
                group,
                members,
                scim.abilities.unwrap_or_default().operations,
            ))
        });
        let Some((group, members, most)) = found.flatten() else {
            return Ok(());
        };
        if self.with_scim(|scim| scim.abilities.unwrap_or_default().patch) != Some(true) {
            return self.put_group(pk, &group, attempt).await;
        }
        let path = format!("/Groups/{group}");
        let chunk = if most == 0 { usize::MAX } else { most };
        for members in members.chunks(chunk.min(members.len().max(1))) {
            let patch = member_patch(members, op);
            let answer = self
                .scim_call(Method::PATCH, &path, Some(&patch), attempt)
                .await?;
            fine(&answer)?;
        }
        Ok(())
    }

    // -- calls -----------------------------------------------------------------------------

    async fn find(&self, of: &str, by: &str, text: &str, attempt: u32) -> Result<Value, Trouble> {
        let able = self.with_scim(|scim| scim.abilities.unwrap_or_default().filter);
        if able != Some(true) {
            return Err(Trouble::Again);
        }
        let filter = format!("{by} eq \"{text}\"");
        let query = url::form_urlencoded::Serializer::new(String::new())
            .append_pair("filter", &filter)
            .finish();
        let path = format!("/{of}?{query}");
        let answer = self.scim_call(Method::GET, &path, None, attempt).await?;
        let found = resource(&answer)?;
        found.pointer("/Resources/0").cloned().ok_or(Trouble::Again)
    }

    pub(super) async fn scim_call(
        &self,
        method: Method,
        path: &str,
        body: Option<&Py>,
        attempt: u32,
    ) -> Result<Incoming, Trouble> {
        let target = self
            .with_scim(|scim| scim.target.clone())
            .ok_or(Trouble::Stop)?;
        let outgoing = Outgoing {
            method,
            url: format!("{}{path}", target.url),
            accept: SCIM,
            early: vec![("Content-Type".into(), SCIM.into())],
            late: vec![("Authorization".into(), format!("Bearer {}", target.token))],
            body: body.map(Py::dumps),
            user_agent: format!("authentik@{}", self.options().version),
        };
        self.send(&outgoing, attempt)
            .await
            .map_err(|_| Trouble::Again)
    }

    pub(super) fn with_scim<T>(&self, read: impl FnOnce(&mut Scim) -> T) -> Option<T> {
        self.scim().lock().as_mut().map(read)
    }
}

/// Whether a new value has what the stored one has not, both seen as unions.
fn adds(stored: &Value, new: &Value) -> bool {
    match (stored, new) {
        (Value::Object(stored), Value::Object(new)) => new
            .iter()
            .any(|(key, value)| stored.get(key).is_none_or(|stored| adds(stored, value))),
        (Value::Array(stored), Value::Array(new)) => new
            .iter()
            .any(|value| !stored.iter().any(|stored| !adds(stored, value))),
        (stored, new) => stored != new,
    }
}

fn plain(payload: &Py) -> Value {
    serde_json::from_str(&payload.dumps()).unwrap_or(Value::Null)
}

fn user_payload(user: &User, id: Option<&str>) -> Py {
    let (given, family, formatted) = match user.name.split_once(' ') {
        Some((given, family)) => (given, family, user.name.clone()),
        None => (user.name.as_str(), " ", format!("{} ", user.name)),
    };
    let mut pairs = vec![("userName", Py::text(user.username.as_str()))];
    pairs.extend(id.map(|id| ("id", Py::text(id))));
    pairs.push((
        "name",
        Py::dict([
            ("formatted", Py::Str(formatted)),
            ("familyName", Py::text(family)),
            ("givenName", Py::text(given)),
        ]),
    ));
    pairs.push(("displayName", Py::text(user.name.as_str())));
    let locale = user
        .attributes
        .pointer("/settings/locale")
        .and_then(Value::as_str);
    pairs.extend(
        locale
            .filter(|text| !text.is_empty())
            .map(|text| ("locale", Py::text(text))),
    );
    pairs.push(("active", Py::Bool(user.is_active)));
    let emails = match user.email.is_empty() {
        true => Vec::new(),
        false => vec![Py::dict([
            ("value", Py::text(user.email.as_str())),
            ("type", Py::text("other")),
            ("primary", Py::Bool(true)),
        ])],
    };
    pairs.push(("emails", Py::List(emails)));
    pairs.push(("schemas", Py::List(vec![Py::text(USER)])));
    pairs.push(("externalId", Py::text(user.uid.as_str())));
    Py::Dict(
        pairs
            .into_iter()
            .map(|(key, value)| (key.to_owned(), value))
            .collect(),
    )
}

fn group_payload(group: &Group, id: Option<&str>) -> Py {
    let mut pairs = Vec::new();
    pairs.extend(id.map(|id| ("id".to_owned(), Py::text(id))));
    pairs.push(("displayName".to_owned(), Py::text(group.name.as_str())));
    pairs.push(("schemas".to_owned(), Py::List(vec![Py::text(GROUP)])));
    pairs.push(("externalId".to_owned(), Py::text(group.pk.as_str())));
    Py::Dict(pairs)
}

fn member_patch(members: &[String], op: &str) -> Py {
    let one = |id: &String| {
        Py::dict([
            ("op", Py::text(op)),
            ("path", Py::text("members")),
            (
                "value",
                Py::List(vec![Py::dict([("value", Py::text(id.as_str()))])]),
            ),
        ])
    };
    Py::dict([
        ("Operations", Py::List(members.iter().map(one).collect())),
        ("schemas", Py::List(vec![Py::text(PATCH)])),
    ])
}

/// A good answer's body. Without a body the sync of that object stops (recorded: difference 25).
pub(super) fn resource(answer: &Incoming) -> Result<Value, Trouble> {
    fine(answer)?;
    match serde_json::from_str(&answer.body) {
        Ok(value @ Value::Object(_)) => Ok(value),
        _ => Err(Trouble::Stop),
    }
}

pub(super) fn fine(answer: &Incoming) -> Pushed {
    if (200..300).contains(&answer.status) {
        Ok(())
    } else {
        Err(Trouble::Again)
    }
}

/// 204, or not there; 200 without a body is a failure (recorded: difference 25).
fn gone(answer: &Incoming) -> Pushed {
    match answer.status {
        204 | 404 => Ok(()),
        _ => resource(answer).map(drop).map_err(|_| Trouble::Again),
    }
}

fn id_of(stored: &Value) -> Result<String, Trouble> {
    let id = stored.get("id").and_then(Value::as_str).unwrap_or_default();
    if id.is_empty() {
        return Err(Trouble::Stop);
    }
    Ok(id.to_owned())
}

/// The peer's abilities; whatever can't be read means none (recorded: 16, 17).
pub(super) fn abilities(answer: &Incoming) -> Abilities {
    let config = resource(answer).unwrap_or_else(|_| json!({}));
    let flag = |at: &str| config.pointer(at).and_then(Value::as_bool);
    let operations = config
        .pointer("/bulk/maxOperations")
        .and_then(Value::as_u64);
    match (
        flag("/patch/supported"),
        flag("/filter/supported"),
        operations,
    ) {
        (Some(patch), Some(filter), Some(most)) => Abilities {
            patch,
            filter,
            operations: usize::try_from(most).unwrap_or_default(),
        },
        _ => Abilities::default(),
    }
}
