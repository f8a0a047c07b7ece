//! The demo's identity provider: a simulation of Authentik with the invented people, what its
//! administrator may do to them, and what has become of that at the door and in the app.

use crate::config::Config;
use crate::demo::authentik::{Hook, Options, StandIn};
use crate::demo::door::{self, GROUP_ADMINS, GROUP_MEMBERS, GROUP_VALIDATED, Person};
use crate::demo::mattermost::StandIn as App;
use crate::directory::{Looked, gate};
use crate::runtime;
use crate::store::{Store, TrailFilter, UserState};
use crate::types::{Clock as _, GroupName, IssuerId, Subject, SystemClock};
use anyhow::Context as _;
use serde_json::{Value, json};
use std::sync::Arc;

/// The group that gives a team, beside those that open the app.
pub(super) const GROUP_SALES: &str = "sales";
/// The groups that somebody may be put into and taken out of.
pub(super) const GROUPS: [&str; 3] = [GROUP_VALIDATED, GROUP_MEMBERS, GROUP_SALES];

/// What the bridge may read there.
const PERMISSIONS: [&str; 3] = [
    "authentik_core.view_user",
    "authentik_core.view_group",
    "authentik_events.view_event",
];
/// Numbers of the invented people begin here.
const FIRST: i64 = 101;
/// How much of what happened lately is shown.
const LATELY: u32 = 8;

/// An Authentik whose people are those of the door.
pub(super) struct Provider {
    pub(super) authentik: StandIn,
    /// The token that the bridge reads with.
    pub(super) token: String,
}

impl Provider {
    pub(super) fn new() -> Self {
        let authentik = StandIn::new(Options::default());
        for (at, name) in [GROUP_VALIDATED, GROUP_MEMBERS, GROUP_ADMINS, GROUP_SALES]
            .into_iter()
            .enumerate()
        {
            // The same at each start: the bridge remembers them.
            let pk = uuid::Uuid::from_u128(0xde30_0000_0000_4000_8000_0000_0000_0000 + at as u128);
            authentik.import_group(&json!({ "pk": pk.to_string(), "name": name }));
        }
        for (person, pk) in door::invented_people().iter().zip(FIRST..) {
            let groups: Vec<_> = person
                .groups
                .iter()
                .map(|g| authentik.group_id(g))
                .collect();
            authentik.import_user(&json!({
                "pk": pk, "username": username(person), "name": person.name, "email": person.email,
                "uid": person.sub, "uuid": person.sub, "is_active": true, "attributes": {},
                "path": "users", "type": "internal", "groups": groups, "roles": [],
            }));
        }
        let (_, token) = authentik.reader("auth-manager", &PERMISSIONS);
        Self { authentik, token }
    }
}

fn username(person: &Person) -> &str {
    person.username.as_deref().unwrap_or_default()
}

/// What the administrator does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Deed<'a> {
    Disable,
    Enable,
    Delete,
    Join(&'a str),
    Leave(&'a str),
}

impl<'a> Deed<'a> {
    /// As a form says it.
    pub(super) fn of(word: &str, group: &'a str) -> Option<Self> {
        let known = GROUPS.contains(&group);
        match word {
            "disable" => Some(Self::Disable),
            "enable" => Some(Self::Enable),
            "delete" => Some(Self::Delete),
            "join" if known => Some(Self::Join(group)),
            "leave" if known => Some(Self::Leave(group)),
            _ => None,
        }
    }
}

/// Somebody, as the page shows them.
pub(super) struct Row {
    pub(super) username: String,
    pub(super) name: String,
    /// Whether the directory still has them.
    pub(super) exists: bool,
    pub(super) active: bool,
    /// Each of [`GROUPS`], and whether they are in it.
    pub(super) groups: Vec<(&'static str, bool)>,
    /// What the bridge says when they knock.
    pub(super) door: String,
    /// What the app has of them.
    pub(super) app: String,
}

impl Row {
    /// The directory's own word, for the table.
    pub(super) fn directory(&self) -> String {
        if !self.exists {
            return "deleted".into();
        }
        let groups: Vec<_> = self
            .groups
            .iter()
            .filter(|(_, is_in)| *is_in)
            .map(|(name, _)| *name)
            .collect();
        let state = if self.active { "active" } else { "disabled" };
        format!("{state}; {}", groups.join(", "))
    }
}

/// See the module.
pub(super) struct Office {
    authentik: StandIn,
    /// The stand-in Mattermost; none when a real one is behind the bridge.
    app: Option<App>,
    config: Config,
    store: Arc<dyn Store>,
    people: Vec<Person>,
    lost: std::sync::atomic::AtomicBool,
}

impl Office {
    /// Of a bridge that runs by this configuration and hears webhooks at this address.
    pub(super) async fn open(
        authentik: StandIn,
        app: Option<App>,
        config: Config,
        hook: (&str, &str),
    ) -> anyhow::Result<Self> {
        let store = runtime::store_of(&config.store).await?;
        let (url, secret) = hook;
        authentik.add_hook(Hook::shipped(url, secret));
        Ok(Self {
            authentik,
            app,
            config,
            store,
            people: door::invented_people(),
            lost: false.into(),
        })
    }

    /// Does it, with the events and webhooks that Authentik would make of it; `false` when there is no
    /// such person.
    pub(super) fn act(&self, who: &str, deed: Deed<'_>) -> bool {
        let Some(pk) = self.authentik.user_id(who).filter(|pk| *pk >= FIRST) else {
            return false;
        };
        match deed {
            Deed::Disable => self.authentik.set_active(pk, false),
            Deed::Enable => self.authentik.set_active(pk, true),
            Deed::Delete => self.authentik.delete(pk),
            Deed::Join(group) => self.authentik.join(pk, group),
            Deed::Leave(group) => self.authentik.leave(pk, group),
        }
        true
    }

    /// Whether webhooks are lost from now on.
    pub(super) fn lose(&self, lost: bool) {
        self.authentik.lose_hooks(lost);
        self.lost.store(lost, std::sync::atomic::Ordering::SeqCst);
    }

    pub(super) fn loses(&self) -> bool {
        self.lost.load(std::sync::atomic::Ordering::SeqCst)
    }

    /// Everybody, as it is now.
    pub(super) async fn rows(&self) -> anyhow::Result<Vec<Row>> {
        let mut rows = Vec::new();
        for person in &self.people {
            let name = username(person);
            let there = self
                .authentik
                .user_id(name)
                .and_then(|pk| self.authentik.user(pk));
            let groups = GROUPS.map(|group| (group, is_in(&self.authentik, there.as_ref(), group)));
            rows.push(Row {
                username: name.to_owned(),
                name: person.name.clone(),
                exists: there.is_some(),
                active: there.is_some_and(|user| user["is_active"] == true),
                groups: groups.to_vec(),
                door: self.door(person).await?,
                app: self.in_app(name),
            });
        }
        Ok(rows)
    }

    /// What the bridge says when this person's assertion arrives: it names the groups that they had
    /// when the demo began, as a sign-in that has been open since then would.
    async fn door(&self, person: &Person) -> anyhow::Result<String> {
        let (issuer, subject) = (IssuerId::new("pomerium")?, Subject::new(&person.sub)?);
        let user = self.store.user_by_subject(&issuer, &subject).await?;
        if let Some(user) = user.filter(|user| user.state.denies()) {
            let state = match user.state {
                UserState::Tombstoned => "gone for good",
                _ => "disabled",
            };
            return Ok(format!("refused: {state}, by {}", user.state_by));
        }
        let app = self.config.apps.first().context("the demo has an app")?;
        let groups: Result<Vec<_>, _> = person.groups.iter().map(GroupName::new).collect();
        let looked = Looked::at(&*self.store, &issuer, &subject).await?;
        let (rules, now) = (&self.config.directory, SystemClock.now());
        Ok(
            match gate::judge(&app.access, &groups?, &looked.view(), rules, now) {
                Ok(()) => "comes in".into(),
                Err(code) => format!("refused: {}", code.as_str()),
            },
        )
    }

    fn in_app(&self, name: &str) -> String {
        let Some(app) = &self.app else {
            return "(look there)".into();
        };
        match app.user(name) {
            None => "no account".into(),
            Some(user) if !user.is_active() => "deactivated".into(),
            Some(user) => {
                let sessions = match app.sessions_of(name).len() {
                    0 => "not signed in".into(),
                    1 => "1 session".into(),
                    many => format!("{many} sessions"),
                };
                format!("account; teams: {}; {sessions}", user.teams.join(", "))
            }
        }
    }

    /// What the bridge did lately, by its audit trail, the newest first.
    pub(super) async fn lately(&self) -> anyhow::Result<Vec<(String, String)>> {
        let filter = TrailFilter {
            before: Some(i64::MAX),
            limit: LATELY,
            ..TrailFilter::default()
        };
        let records = self.store.trail(&filter).await?;
        let shown = records
            .into_iter()
            .map(|record| (record.at.to_string(), record.kind));
        Ok(shown.collect())
    }
}

fn is_in(authentik: &StandIn, user: Option<&Value>, group: &str) -> bool {
    let id = authentik.group_id(group);
    let groups = user.and_then(|user| user["groups"].as_array());
    groups.is_some_and(|groups| groups.iter().any(|one| *one == id.as_str()))
}
