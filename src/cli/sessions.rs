//! `auth-manager sessions`: who is signed in, and ending it.

use super::out::{Table, count, json, print, record};
use super::stage::{Stage, on_store};
use super::{ConfigFile, person};
use crate::store::{Session, SessionFilter, Which};
use crate::types::{AppId, SessionId, Timestamp};
use anyhow::{Context as _, bail};
use std::collections::HashMap;
use std::collections::hash_map::Entry;

/// Sessions: revoking one cuts it within a second, on every replica, and the running bridge then
/// ends it in the app.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Sessions {
    /// Who is signed in, newest first.
    List {
        /// Only of this person: id, sub, e-mail address or user name.
        #[arg(long, value_name = "PERSON")]
        user: Option<String>,
        /// Only at this app.
        #[arg(long)]
        app: Option<AppId>,
        /// Only live ones, as without this.
        #[arg(long, conflicts_with = "all")]
        live: bool,
        /// Ended ones too, as long as they are remembered.
        #[arg(long)]
        all: bool,
        /// As JSON; times are seconds since 1970.
        #[arg(long)]
        json: bool,
    },
    /// One session.
    Show {
        /// Its id.
        #[arg(allow_hyphen_values = true)]
        id: SessionId,
        /// As JSON; times are seconds since 1970.
        #[arg(long)]
        json: bool,
    },
    /// End sessions; their sign-ins don't come back without a new one at Pomerium.
    #[command(group = clap::ArgGroup::new("which").required(true))]
    Revoke {
        /// This session.
        #[arg(group = "which", allow_hyphen_values = true)]
        id: Option<SessionId>,
        /// All of this person: id, sub, e-mail address or user name.
        #[arg(long, group = "which", value_name = "PERSON")]
        user: Option<String>,
        /// Everybody's.
        #[arg(long, group = "which")]
        all: bool,
        /// With --user: only at this app.
        #[arg(long, requires = "user")]
        app: Option<AppId>,
        /// Only say what would be done.
        #[arg(long)]
        dry_run: bool,
    },
}

impl Sessions {
    pub(super) fn run(self, file: &ConfigFile) -> anyhow::Result<u8> {
        on_store(file, async |stage| match self {
            Self::List {
                user,
                app,
                all,
                json: as_json,
                ..
            } => {
                let user = match user {
                    Some(who) => Some(person::find(stage, &who).await?.id),
                    None => None,
                };
                let filter = SessionFilter {
                    app,
                    user,
                    live: !all,
                    ..SessionFilter::default()
                };
                let sessions = stage.desk().every(filter).await?;
                if as_json {
                    return json(&sessions);
                }
                print(table(stage, &sessions).await?.text("None."))
            }
            Self::Show { id, json } => show(stage, id, json).await,
            Self::Revoke {
                id,
                user,
                app,
                dry_run,
                ..
            } => revoke(stage, id, user, app, dry_run).await,
        })
    }
}

fn state(session: &Session, now: Timestamp) -> String {
    match (session.ended_at, session.end_reason) {
        (Some(_), Some(reason)) => reason.to_string(),
        (Some(_), None) => "ended".into(),
        (None, _) if session.expires_at <= now => "past its time".into(),
        (None, _) => "live".into(),
    }
}

/// A table of sessions, with people by name.
pub(super) async fn table(stage: &Stage, sessions: &[Session]) -> anyhow::Result<Table> {
    let mut names = HashMap::new();
    let mut table = Table::new(&[
        "ID",
        "APP",
        "PERSON",
        "STATE",
        "SINCE",
        "LAST SEEN",
        "BROWSER",
    ]);
    for session in sessions {
        if let Entry::Vacant(unknown) = names.entry(session.user) {
            let user = stage.store.user(session.user).await?;
            let name = user.map_or_else(
                || session.user.to_string(),
                |user| match user.username {
                    Some(name) if !name.is_empty() => name,
                    _ => user.email,
                },
            );
            unknown.insert(name);
        }
        table.row([
            session.id.to_string(),
            session.app.to_string(),
            names.get(&session.user).cloned().unwrap_or_default(),
            state(session, stage.now),
            session.created_at.to_string(),
            session.last_seen.to_string(),
            session.agent.clone(),
        ]);
    }
    Ok(table)
}

async fn show(stage: &Stage, id: SessionId, as_json: bool) -> anyhow::Result<()> {
    let session = known(stage, id).await?;
    if as_json {
        return json(&session);
    }
    let user = stage.store.user(session.user).await?;
    print(record(&[
        ("id", session.id.to_string()),
        ("state", state(&session, stage.now)),
        ("app", session.app.to_string()),
        (
            "person",
            user.as_ref().map(person::name).unwrap_or_default(),
        ),
        ("issuer", session.issuer.to_string()),
        ("sub", session.subject.to_string()),
        ("sid", session.sid.to_string()),
        ("former sids", count(session.former_sids.len(), "sid")),
        ("app's account", session.remote.to_string()),
        (
            "app's session",
            session.app_session.clone().unwrap_or_default(),
        ),
        ("app's session until", session.app_expires_at.to_string()),
        ("renewals", session.generation.to_string()),
        ("since", session.created_at.to_string()),
        ("last seen", session.last_seen.to_string()),
        ("until", session.expires_at.to_string()),
        (
            "ended",
            session
                .ended_at
                .map(|at| at.to_string())
                .unwrap_or_default(),
        ),
        ("browser", session.agent.clone()),
    ]))
}

async fn known(stage: &Stage, id: SessionId) -> anyhow::Result<Session> {
    let found = stage.store.session(id).await?;
    found.with_context(|| {
        format!("there is no session {id}: `auth-manager sessions list` shows them")
    })
}

async fn revoke(
    stage: &Stage,
    id: Option<SessionId>,
    user: Option<String>,
    app: Option<AppId>,
    dry_run: bool,
) -> anyhow::Result<()> {
    let which = if let Some(id) = id {
        let session = known(stage, id).await?;
        if session.ended_at.is_some() {
            bail!(
                "the session has ended already: {}",
                state(&session, stage.now)
            );
        }
        Which::Session(id)
    } else if let Some(who) = user {
        let user = person::find(stage, &who).await?;
        if let Some(app) = &app {
            stage.app(app)?;
        }
        Which::User(user.id, app)
    } else {
        Which::All
    };
    let ended = count(stage.desk().revoke(&which, dry_run).await?, "session");
    print(match dry_run {
        true => format!("{ended} would end"),
        false => format!("{ended} ended"),
    })
}
