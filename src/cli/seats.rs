//! `auth-manager seats`: who takes an app's seats, how long they last, and taking back those that
//! nobody uses. The reckoning is `identity::seats`'s.

use super::out::{Table, count, json, print, record};
use super::stage::{Stage, on_store};
use super::{ConfigFile, person};
use crate::apps::Provisioner;
use crate::config::AppConfig;
use crate::identity::seats::{self, Desk, Holder, Ledger};
use crate::jobs::wish;
use crate::runtime;
use crate::store::{Priority, User};
use crate::types::{AppId, SystemClock, Timestamp};
use anyhow::bail;
use std::sync::Arc;

/// Who takes an app's seats; takes back those that nobody uses.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Seats {
    /// How many are taken, by whom, and how long the rest will last.
    Status {
        #[command(flatten)]
        at: At,
    },
    /// Everybody who takes one.
    List {
        #[command(flatten)]
        at: At,
    },
    /// Who has not been seen at work for as long as `idle_after` says.
    Idle {
        #[command(flatten)]
        at: At,
    },
    /// Take seats back: after the grace the accounts are deactivated, unless their people sign in
    /// before. Nothing is lost; `seats restore` gives one back.
    Reclaim {
        /// Whose: id, sub, e-mail address or user name.
        #[arg(value_name = "PERSON", required_unless_present = "idle")]
        who: Vec<String>,
        /// Of everybody whom `seats idle` lists.
        #[arg(long, conflicts_with = "who")]
        idle: bool,
        /// Only say what would be done.
        #[arg(long)]
        dry_run: bool,
        #[command(flatten)]
        at: At,
    },
    /// Give a reclaimed seat back: the same account, as it was.
    Restore {
        /// Whose: id, sub, e-mail address or user name.
        #[arg(value_name = "PERSON")]
        who: String,
        /// Only say what would be done.
        #[arg(long)]
        dry_run: bool,
        #[command(flatten)]
        at: At,
    },
}

/// Where, and how it is shown.
#[derive(Debug, clap::Args)]
pub(super) struct At {
    /// The app; not needed when there is one only.
    #[arg(long)]
    app: Option<AppId>,
    /// As JSON; times are seconds since 1970.
    #[arg(long)]
    json: bool,
}

impl Seats {
    pub(super) fn run(self, file: &ConfigFile) -> anyhow::Result<u8> {
        on_store(file, async |stage| match self {
            Self::Status { at } => status(stage, &at).await,
            Self::List { at } => list(stage, &at, false).await,
            Self::Idle { at } => list(stage, &at, true).await,
            Self::Reclaim {
                who,
                idle,
                dry_run,
                at,
            } => reclaim(stage, &at, &who, idle, dry_run).await,
            Self::Restore { who, dry_run, at } => restore(stage, &at, &who, dry_run).await,
        })
    }
}

fn app<'s>(stage: &'s Stage, at: &At) -> anyhow::Result<&'s AppConfig> {
    match (&at.app, stage.config.apps.as_slice()) {
        (Some(id), _) => stage.app(id),
        (None, [only]) => Ok(only),
        (None, _) => bail!("there are several apps: name one with --app"),
    }
}

async fn ledger(stage: &Stage, app: &AppConfig) -> anyhow::Result<Ledger> {
    let driver = runtime::driver_of(app, Arc::new(SystemClock))?;
    let policy = &app.provision.seats;
    Ok(seats::read(&*stage.store, &app.id, &*driver, policy, stage.now).await?)
}

async fn status(stage: &Stage, at: &At) -> anyhow::Result<()> {
    let app = app(stage, at)?;
    let ledger = ledger(stage, app).await?;
    let idle = ledger.holders.iter().filter(|holder| holder.idle).count();
    if at.json {
        return json(&serde_json::json!({
            "app": app.id, "used": ledger.used, "limit": ledger.limit, "ours": ledger.ours,
            "others": ledger.others, "idle": idle, "warning": ledger.warning,
            "forecast": ledger.forecast,
        }));
    }
    let taken = match ledger.limit {
        Some(limit) => format!("{} of {limit}", ledger.used),
        None => format!("{}, without a limit", ledger.used),
    };
    let pace = ledger.forecast.map(|forecast| {
        let pace = format!("{:+} a day", forecast.per_day);
        match forecast.full_in_days {
            Some(days) => format!("{pace}: none is left in {}", count(days as usize, "day")),
            None => pace,
        }
    });
    print(record(&[
        ("app", app.id.to_string()),
        ("taken", taken),
        ("by the bridge's people", ledger.ours.to_string()),
        ("by others", ledger.others.to_string()),
        ("idle", idle.to_string()),
        ("pace", pace.unwrap_or_else(|| "not known yet".into())),
    ]))?;
    if ledger.warning {
        print(format!(
            "\n{} per cent or more are taken (provision.seats.warn_at): see `auth-manager seats idle`.",
            app.provision.seats.warn_at
        ))?;
    }
    Ok(())
}

async fn list(stage: &Stage, at: &At, only_idle: bool) -> anyhow::Result<()> {
    let ledger = ledger(stage, app(stage, at)?).await?;
    let shown: Vec<&Holder> = ledger
        .holders
        .iter()
        .filter(|holder| holder.idle || !only_idle)
        .collect();
    if at.json {
        return json(&shown);
    }
    let mut table = Table::new(&["APP'S USER NAME", "WHOSE", "LAST SEEN", "NOTE"]);
    for holder in shown {
        let whose = match holder.user {
            Some(user) => match stage.store.user(user).await? {
                Some(user) => person::name(&user),
                None => user.to_string(),
            },
            None => String::new(),
        };
        let seen = holder.seat.active_at;
        table.row([
            holder.seat.username.clone(),
            whose,
            seen.map_or_else(|| "never".into(), |at| at.to_string()),
            note(holder),
        ]);
    }
    print(table.text("None."))
}

fn note(holder: &Holder) -> String {
    match holder {
        Holder {
            reclaimed_at: Some(at),
            ..
        } => format!("reclaimed at {at}"),
        holder if holder.seat.privileged => "administrator".into(),
        holder if holder.idle => "idle".into(),
        _ => String::new(),
    }
}

async fn reclaim(
    stage: &Stage,
    at: &At,
    who: &[String],
    idle: bool,
    dry_run: bool,
) -> anyhow::Result<()> {
    let app = app(stage, at)?;
    let people = if idle {
        idle_people(stage, app).await?
    } else {
        let mut people = Vec::new();
        for who in who {
            people.push(person::find(stage, who).await?);
        }
        people
    };
    let driver = runtime::driver_of(app, Arc::new(SystemClock))?;
    let desk = desk(stage, app, &*driver);
    let due = stage.now + app.provision.seats.grace;
    let mut done = Vec::new();
    for user in &people {
        if !dry_run {
            let account = seats::reclaim(&desk, user.id, due).await?;
            let due = account.deactivated.map_or(due, |plan| plan.at);
            wish_for(stage, app, user, due, "their seat is reclaimed").await?;
        }
        done.push(serde_json::json!({ "user": user.id, "at": due }));
    }
    if at.json {
        return json(&done);
    }
    let verb = if dry_run { "would be" } else { "are" };
    for user in &people {
        print(person::name(user))?;
    }
    print(format!(
        "{} {verb} reclaimed at {due}, unless the person signs in before.",
        count(people.len(), "seat")
    ))
}

/// Of those whom the bridge knows: others' accounts are the app's administrators' matter.
async fn idle_people(stage: &Stage, app: &AppConfig) -> anyhow::Result<Vec<User>> {
    let mut people = Vec::new();
    for holder in ledger(stage, app).await?.holders {
        if let Some(user) = holder.user.filter(|_| holder.idle) {
            people.extend(stage.store.user(user).await?);
        }
    }
    Ok(people)
}

async fn restore(stage: &Stage, at: &At, who: &str, dry_run: bool) -> anyhow::Result<()> {
    let app = app(stage, at)?;
    let user = person::find(stage, who).await?;
    if !dry_run {
        let driver = runtime::driver_of(app, Arc::new(SystemClock))?;
        seats::restore(&desk(stage, app, &*driver), user.id).await?;
        wish_for(stage, app, &user, stage.now, "their seat is given back").await?;
    }
    if at.json {
        return json(&serde_json::json!({ "user": user.id, "restored": !dry_run }));
    }
    let verb = if dry_run { "would have" } else { "has" };
    print(format!("{} {verb} their seat again.", person::name(&user)))
}

fn desk<'s>(stage: &'s Stage, app: &'s AppConfig, driver: &'s dyn Provisioner) -> Desk<'s> {
    Desk {
        store: &*stage.store,
        app: &app.id,
        provisioner: driver,
        witness: stage.witness(),
    }
}

async fn wish_for(
    stage: &Stage,
    app: &AppConfig,
    user: &User,
    due: Timestamp,
    why: &str,
) -> anyhow::Result<()> {
    let wish = wish::converge(&app.id, user.id, Priority::Background, due, why);
    stage.store.enqueue(&[wish], stage.now).await?;
    Ok(())
}
