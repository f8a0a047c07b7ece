//! `auth-manager users export` and `users erase`: what the bridge knows of a person, and forgetting
//! it.

use super::out::{Table, count, json, print};
use super::person;
use super::stage::Stage;
use crate::audit::Kind;
use crate::runtime;
use crate::store::archive::{Cell, Erasure, PersonRows, Place};
use crate::store::{EndReason, SessionFilter, StoreError, User, Which};
use anyhow::bail;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Map, Value, json};
use std::time::{Duration, Instant};

/// How long a running bridge has to end the app's own sessions.
const CLOSING: Duration = Duration::from_secs(20);
/// How often it is looked whether it has.
const LOOK: Duration = Duration::from_millis(200);

/// Forget a person: end their sessions and erase their data.
#[derive(Debug, clap::Args)]
pub(super) struct Erase {
    /// Id, sub, e-mail address or user name.
    #[arg(value_name = "PERSON")]
    who: String,
    /// Even if the app could not be told to end its sessions: they live there until they expire.
    #[arg(long)]
    force: bool,
    /// Only say what would be done.
    #[arg(long)]
    dry_run: bool,
}

/// Prints all rows about somebody.
pub(super) async fn export(stage: &Stage, who: &str) -> anyhow::Result<()> {
    let user = person::find(stage, who).await?;
    let rows = place(stage)?.person(user.id).await?;
    let tables: Map<_, _> = rows
        .iter()
        .map(|of| (of.table.to_owned(), objects(of)))
        .collect();
    let stays: Map<_, _> = rows
        .iter()
        .filter_map(|of| match of.erasure {
            Erasure::Keeps(why) => Some((of.table.to_owned(), why.into())),
            Erasure::Deletes | Erasure::Nobodys => None,
        })
        .collect();
    json(&json!({
        "made_at": stage.now,
        "person": { "id": user.id, "issuer": user.issuer, "subject": user.subject },
        "tables": tables,
        "stays_after_erasure": stays,
        "elsewhere": ELSEWHERE,
    }))
}

/// What no export of the bridge can show.
const ELSEWHERE: [&str; 4] = [
    "the account in each app, and what was written there",
    "the identity provider and Pomerium",
    "the bridge's log on standard output, which names people by id",
    "backups of the store",
];

fn objects(of: &PersonRows) -> Value {
    let object = |row: &Vec<Cell>| {
        let named = of.columns.iter().zip(row);
        let object: Map<_, _> = named
            .map(|(name, cell)| (name.clone(), value(cell)))
            .collect();
        Value::Object(object)
    };
    of.rows.iter().map(object).collect()
}

fn value(cell: &Cell) -> Value {
    match cell {
        Cell::Null => Value::Null,
        Cell::Int(number) => (*number).into(),
        Cell::Text(text) => text.as_str().into(),
        // As the bridge writes ids of sessions.
        Cell::Bytes(bytes) => URL_SAFE_NO_PAD.encode(bytes).into(),
    }
}

fn place(stage: &Stage) -> anyhow::Result<Place> {
    Ok(runtime::place_of(&stage.config.store)?)
}

impl Erase {
    pub(super) async fn run(self, stage: &Stage) -> anyhow::Result<()> {
        let user = person::find(stage, &self.who).await?;
        let place = place(stage)?;
        let rows = place.person(user.id).await?;
        if self.dry_run {
            return self.plan(stage, &user, &rows).await;
        }
        stage.as_owner()?;
        let which = Which::User(user.id, None);
        let until = stage.now + stage.longest_tombstone();
        let ended = stage
            .store
            .end_sessions(&which, EndReason::Revoked, until, stage.now, &stage.by())
            .await?;
        if !self.force {
            closed(stage, &user).await?;
        }
        // What there is now: ending sessions leaves tombstones.
        let rows = place.person(user.id).await?;
        // On record first: what an erasure takes away must not be the word of it, too.
        let event = stage.witness().event(Kind::UserErased).user(user.id);
        stage.record(event).await?;
        let erased = match place.erase(user.id, self.force, stage.now).await {
            Err(StoreError::Changed) => {
                bail!("the person has signed in meanwhile: run this again, or disable them first")
            }
            other => other?,
        };
        let Some(erased) = erased else {
            bail!("the person is gone meanwhile");
        };
        let gone: Vec<_> = erased
            .removed
            .iter()
            .map(|of| format!("{} {}", of.rows, of.table))
            .collect();
        print(format!(
            "{} erased: {}; {} ended",
            user.id,
            gone.join(", "),
            count(ended.len(), "session")
        ))?;
        if erased.stays_disabled {
            print("they stay disabled: id and sub are kept for that, and nothing else of them")?;
        }
        print(remains(&rows))
    }

    async fn plan(&self, stage: &Stage, user: &User, rows: &[PersonRows]) -> anyhow::Result<()> {
        let live = SessionFilter {
            user: Some(user.id),
            live: true,
            ..SessionFilter::default()
        };
        let live = stage.desk().every(live).await?.len();
        let mut table = Table::new(&["TABLE", "ROWS", "WOULD"]);
        for of in rows {
            let would = match of.erasure {
                Erasure::Keeps(why) => format!("stay: {why}"),
                Erasure::Deletes | Erasure::Nobodys => "go".into(),
            };
            table.row([of.table.into(), of.rows.len().to_string(), would]);
        }
        print(format!(
            "{} would be erased; {} would end\n\n{}\n",
            person::name(user),
            count(live, "session"),
            table.text("")
        ))?;
        print(remains(rows))
    }
}

/// Waits until the running bridge has ended the app's own sessions.
async fn closed(stage: &Stage, user: &User) -> anyhow::Result<()> {
    let began = Instant::now();
    loop {
        let all = SessionFilter {
            user: Some(user.id),
            ..SessionFilter::default()
        };
        let sessions = stage.desk().every(all).await?;
        let open = sessions.iter().filter(|session| !session.sealed.is_empty());
        match open.count() {
            0 => return Ok(()),
            n if began.elapsed() > CLOSING => bail!(
                "their sessions are over here, but {} not ended in the app yet, and nothing was erased. The running bridge does that: is it running, and does the app answer? Run this again; --force erases all the same",
                match n {
                    1 => "1 is".to_owned(),
                    n => format!("{n} are"),
                }
            ),
            _ => tokio::time::sleep(LOOK).await,
        }
    }
}

/// What an erasure leaves, and what it can't reach.
fn remains(rows: &[PersonRows]) -> String {
    let mut lines = vec!["what stays:".to_owned()];
    for of in rows {
        if let (Erasure::Keeps(why), false) = (of.erasure, of.rows.is_empty()) {
            lines.push(format!("  {} in {}: {why}", of.rows.len(), of.table));
        }
    }
    let accounts = rows.iter().filter(|of| of.table == "accounts");
    for of in accounts {
        let at = |name: &str| of.columns.iter().position(|column| column == name);
        let (Some(app), Some(remote)) = (at("app"), at("remote")) else {
            continue;
        };
        for row in &of.rows {
            if let (Some(Cell::Text(app)), Some(Cell::Text(remote))) =
                (row.get(app), row.get(remote))
            {
                lines.push(format!("  the account {remote} in {app}: delete it there"));
            }
        }
    }
    lines.extend(ELSEWHERE[1..].iter().map(|where_| format!("  {where_}")));
    lines.join("\n")
}
