//! `auth-manager bots`: the bots that services call an app as. Their tokens are made by the bridge's
//! own bot, sealed in the store, and shown to nobody.

use super::ConfigFile;
use super::out::{Table, clean, json, print};
use super::stage::{Stage, on_store};
use crate::apps::Bots as _;
use crate::audit::Kind;
use crate::bots::{self, Desk};
use crate::config::{AppConfig, BotSource};
use crate::keys::master::MasterKey;
use crate::runtime;
use crate::store::StoredBot;
use crate::types::{AppId, BotName, SystemClock};
use anyhow::Context as _;
use serde_json::json;
use std::sync::Arc;

/// The bots that services call an app as.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Bots {
    /// All bots on record, and which services they are.
    List {
        /// Ask the app whether it accepts each token.
        #[arg(long)]
        check: bool,
        /// As JSON; times are seconds since 1970.
        #[arg(long)]
        json: bool,
    },
    /// Take a bot that the app has, and give it a token.
    Add {
        /// The app.
        app: AppId,
        /// What the configuration calls it: bot = "…" of [[apps.services]].
        name: BotName,
        /// Its user name in the app; the same as the name when nothing else is said.
        #[arg(long)]
        username: Option<String>,
        /// Take it although it has a role beyond everybody's.
        #[arg(long)]
        administrator: bool,
        /// Only say what would be done.
        #[arg(long)]
        dry_run: bool,
        /// As JSON.
        #[arg(long)]
        json: bool,
    },
    /// Give a bot another token. The former one is revoked once the new one works and running
    /// bridges have taken it.
    Rotate {
        /// The app.
        app: AppId,
        /// Which bot.
        name: BotName,
        /// Only say what would be done.
        #[arg(long)]
        dry_run: bool,
        /// As JSON.
        #[arg(long)]
        json: bool,
    },
    /// Revoke a bot's tokens and forget it; its account stays in the app.
    Remove {
        /// The app.
        app: AppId,
        /// Which bot.
        name: BotName,
        /// Only say what would be done.
        #[arg(long)]
        dry_run: bool,
    },
}

impl Bots {
    pub(super) fn run(self, file: &ConfigFile) -> anyhow::Result<u8> {
        on_store(file, async |stage| match self {
            Self::List { check, json } => list(stage, check, json).await,
            Self::Add {
                app,
                name,
                username,
                administrator,
                dry_run,
                json,
            } => {
                let username = username.unwrap_or_else(|| name.to_string());
                let at = At::find(stage, &app)?;
                add(stage, &at, &name, &username, administrator, dry_run, json).await
            }
            Self::Rotate {
                app,
                name,
                dry_run,
                json,
            } => rotate(stage, &At::find(stage, &app)?, &name, dry_run, json).await,
            Self::Remove { app, name, dry_run } => {
                remove(stage, &At::find(stage, &app)?, &name, dry_run).await
            }
        })
    }
}

/// An app, and who works on its bots.
struct At<'a> {
    config: &'a AppConfig,
    driver: Arc<crate::apps::mattermost::Mattermost>,
    master: MasterKey,
}

impl<'a> At<'a> {
    fn find(stage: &'a Stage, app: &AppId) -> anyhow::Result<Self> {
        let config = stage.app(app)?;
        Ok(Self {
            driver: runtime::driver_of(config, Arc::new(SystemClock))?,
            master: stage.master()?,
            config,
        })
    }

    fn desk(&self, stage: &'a Stage) -> Desk<'_> {
        Desk {
            store: &*stage.store,
            master: &self.master,
            app: &self.config.id,
            bots: &*self.driver,
            now: stage.now,
        }
    }
}

/// The clients that are this bot.
fn services<'s>(stage: &'s Stage, bot: &StoredBot) -> Vec<&'s str> {
    let app = stage.config.apps.iter().find(|app| app.id == bot.app);
    let services = app.into_iter().flat_map(|app| &app.services);
    services
        .filter(|service| service.bot == BotSource::Managed(bot.name.clone()))
        .map(|service| service.client.as_str())
        .collect()
}

fn shown(stage: &Stage, bot: &StoredBot) -> serde_json::Value {
    json!({
        "app": bot.app,
        "name": bot.name,
        "username": bot.username,
        "remote": bot.remote,
        "token_id": bot.token_id,
        "settled": bot.settled,
        "created_at": bot.created_at,
        "rotated_at": bot.rotated_at,
        "services": services(stage, bot),
    })
}

async fn list(stage: &Stage, check: bool, as_json: bool) -> anyhow::Result<()> {
    let all = stage.store.bots().await?;
    let mut states = Vec::with_capacity(all.len());
    let held = match check {
        true => bots::held(&*stage.store, &stage.master()?).await?,
        false => Vec::new(),
    };
    for bot in &all {
        let token = held.iter().find(|h| h.app == bot.app && h.name == bot.name);
        states.push(match (bot.token_id.is_some(), token) {
            (false, _) => "no token yet".to_owned(),
            (true, None) if check => "the sealed token does not open".to_owned(),
            (true, None) => String::new(),
            (true, Some(held)) => {
                let asked = match At::find(stage, &bot.app) {
                    Ok(at) => at.driver.is_accepted(&held.token, &bot.remote).await,
                    Err(error) => {
                        states.push(error.to_string());
                        continue;
                    }
                };
                match asked {
                    Ok(true) => "accepted".to_owned(),
                    Ok(false) => "not accepted: rotate it".to_owned(),
                    Err(error) => error.to_string(),
                }
            }
        });
    }
    if as_json {
        let rows = all.iter().zip(&states).map(|(bot, state)| {
            let mut row = shown(stage, bot);
            row["note"] = state.as_str().into();
            row
        });
        return json(&rows.collect::<Vec<_>>());
    }
    let mut table = Table::new(&[
        "APP",
        "NAME",
        "USER NAME",
        "TOKEN SINCE",
        "SERVICES",
        "NOTE",
    ]);
    for (bot, state) in all.iter().zip(&states) {
        let unsettled = match bot.settled || !state.is_empty() {
            true => "",
            false => "a former token may live yet: the running bridge revokes it",
        };
        table.row([
            bot.app.to_string(),
            bot.name.to_string(),
            clean(&bot.username),
            bot.rotated_at.map(|at| at.to_string()).unwrap_or_default(),
            services(stage, bot).join(", "),
            format!("{}{unsettled}", clean(state)),
        ]);
    }
    print(table.text("None yet: `auth-manager bots add` makes one."))
}

/// Leaves word in the audit trail of what was ordered, before it is tried.
async fn ordered(
    stage: &Stage,
    at: &At<'_>,
    name: &BotName,
    what: &'static str,
) -> anyhow::Result<()> {
    let event = (stage.witness().event(Kind::BotOrdered))
        .app(&at.config.id)
        .detail("bot", name.as_str())
        .detail("order", what);
    stage.record(event).await
}

async fn add(
    stage: &Stage,
    at: &At<'_>,
    name: &BotName,
    username: &str,
    administrator: bool,
    dry_run: bool,
    as_json: bool,
) -> anyhow::Result<()> {
    let desk = at.desk(stage);
    if dry_run {
        let known = stage.store.bot(&at.config.id, name).await?;
        if let Some(known) = known.filter(|bot| bot.token_id.is_some()) {
            return print(format!("{name} is {} already", clean(&known.username)));
        }
        let found = at.driver.find_bot(username).await?;
        let account =
            found.with_context(|| bots::BotError::Missing(username.into()).to_string())?;
        // Judged as it would be: what is only tried must not promise more.
        bots::fit(&account, administrator)
            .with_context(|| format!("bot {name} of {}", at.config.id))?;
        return print(format!(
            "the bot {username} would be taken as {name}, and given a token"
        ));
    }
    stage.as_owner()?;
    ordered(stage, at, name, "add").await?;
    let bot = bots::add(&desk, name, username, administrator)
        .await
        .with_context(|| format!("bot {name} of {}", at.config.id))?;
    if as_json {
        return json(&shown(stage, &bot));
    }
    print(format!(
        "the bot {username} is {name} from now on, and has a token. What its services may do is what \
         it may do: add it to its teams and channels"
    ))
}

async fn rotate(
    stage: &Stage,
    at: &At<'_>,
    name: &BotName,
    dry_run: bool,
    as_json: bool,
) -> anyhow::Result<()> {
    if dry_run {
        let known = stage.store.bot(&at.config.id, name).await?;
        let bot = known.with_context(|| bots::BotError::Unknown(name.clone()).to_string())?;
        return print(format!(
            "{name} ({}) would get another token, and the one since {} would be revoked; its services \
             go on, their sockets come back",
            clean(&bot.username),
            bot.rotated_at.unwrap_or(bot.created_at)
        ));
    }
    stage.as_owner()?;
    ordered(stage, at, name, "rotate").await?;
    let bot = bots::rotate(&at.desk(stage), name, bots::MOMENT)
        .await
        .with_context(|| format!("bot {name} of {}", at.config.id))?;
    if as_json {
        return json(&shown(stage, &bot));
    }
    print(format!(
        "{name} has another token; the former one is revoked"
    ))
}

async fn remove(stage: &Stage, at: &At<'_>, name: &BotName, dry_run: bool) -> anyhow::Result<()> {
    let known = stage.store.bot(&at.config.id, name).await?;
    let bot = known.with_context(|| bots::BotError::Unknown(name.clone()).to_string())?;
    let services = services(stage, &bot);
    let then = match services.as_slice() {
        [] => String::new(),
        some => format!("; {} can no longer call the app", some.join(", ")),
    };
    if dry_run {
        return print(format!(
            "the tokens of {name} ({}) would be revoked{then}",
            clean(&bot.username)
        ));
    }
    stage.as_owner()?;
    ordered(stage, at, name, "remove").await?;
    bots::remove(&at.desk(stage), name)
        .await
        .with_context(|| format!("bot {name} of {}", at.config.id))?;
    print(format!(
        "the tokens of {name} are revoked, and it is forgotten{then}"
    ))
}
