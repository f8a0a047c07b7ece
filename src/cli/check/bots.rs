//! The bots that services call an app as: a line each. Whether there is a token, whether the app
//! accepts it, and whether the account is still one that a service may be.

use super::local::Opened;
use super::report::{Level, Report};
use crate::apps::mattermost::Mattermost;
use crate::apps::{BotAccount, Bots as _};
use crate::bots::{self, Held};
use crate::cli::out::clean;
use crate::config::{AppConfig, BotSource, Config};
use crate::keys::master::MasterKey;
use crate::runtime;
use crate::store::{Store, StoreError, StoredBot};
use crate::types::{AppToken, BotName, Clock};
use std::sync::Arc;

/// What the store knows of managed bots.
struct Managed {
    all: Vec<StoredBot>,
    held: Vec<Held>,
}

/// Judges them all.
pub(super) async fn judge(
    report: &mut Report,
    config: &Config,
    opened: Option<&Opened>,
    clock: &Arc<dyn Clock>,
) {
    let managed = match opened.and_then(|o| Some((&*o.store, o.master.as_ref()?))) {
        None => None,
        Some((store, master)) => match managed(store, master).await {
            Ok(managed) => Some(managed),
            Err(error) => return report.error("bots", error.to_string(), ""),
        },
    };
    for app in config.apps.iter().filter(|app| !app.services.is_empty()) {
        let driver = match runtime::driver_of(app, clock.clone()) {
            Ok(driver) => driver,
            // Said of the app itself.
            Err(_) => continue,
        };
        let of = OfApp { app, driver };
        let mut seen: Vec<&BotSource> = Vec::new();
        for service in &app.services {
            if !seen.contains(&&service.bot) {
                seen.push(&service.bot);
                of.bot(report, &service.bot, managed.as_ref()).await;
            }
        }
    }
    let known = managed.iter().flat_map(|managed| &managed.all);
    for bot in known.filter(|bot| services(config, bot).is_empty()) {
        report.note(
            about(&bot.app, &bot.name),
            "is on record, and no service is it: `auth-manager bots remove` revokes its token",
        );
    }
}

async fn managed(store: &dyn Store, master: &MasterKey) -> Result<Managed, StoreError> {
    Ok(Managed {
        all: store.bots().await?,
        held: bots::held(store, master).await?,
    })
}

fn services<'c>(config: &'c Config, bot: &StoredBot) -> Vec<&'c str> {
    let app = config.apps.iter().find(|app| app.id == bot.app);
    app.map_or_else(Vec::new, |app| {
        clients(app, &BotSource::Managed(bot.name.clone()))
    })
}

/// The clients that are this bot.
fn clients<'a>(app: &'a AppConfig, bot: &BotSource) -> Vec<&'a str> {
    let theirs = app.services.iter().filter(|service| service.bot == *bot);
    theirs.map(|service| service.client.as_str()).collect()
}

fn about(app: impl std::fmt::Display, bot: impl std::fmt::Display) -> String {
    format!("app {app}: bot {bot}")
}

struct OfApp<'a> {
    app: &'a AppConfig,
    driver: Arc<Mattermost>,
}

impl OfApp<'_> {
    async fn bot(&self, report: &mut Report, bot: &BotSource, managed: Option<&Managed>) {
        let id = &self.app.id;
        let clients = clients(self.app, bot).join(", ");
        match bot {
            BotSource::Managed(name) => {
                let about = about(id, name);
                match managed {
                    None => report.note(
                        about,
                        format!("of {clients}: only the store knows whether it has a token"),
                    ),
                    Some(managed) => self.managed(report, about, name, managed, &clients).await,
                }
            }
            BotSource::Token(source) => {
                let about = about(id, format_args!("of {clients}"));
                match source.read() {
                    Ok(token) => {
                        self.token(report, about, &token.into(), None, &clients)
                            .await
                    }
                    Err(error) => {
                        report.error(about, error.to_string(), "Look at its bot_token.");
                    }
                }
            }
        }
    }

    async fn managed(
        &self,
        report: &mut Report,
        about: String,
        name: &BotName,
        managed: &Managed,
        clients: &str,
    ) {
        let id = &self.app.id;
        let ours = |app, bot| app == id && bot == name;
        let stored = managed.all.iter().find(|b| ours(&b.app, &b.name));
        let Some(stored) = stored.filter(|bot| bot.token_id.is_some()) else {
            return report.error(
                about,
                format!("has no token yet: {clients} can call nothing"),
                format!("`auth-manager bots add {id} {name}` gives it one."),
            );
        };
        let Some(held) = managed.held.iter().find(|b| ours(&b.app, &b.name)) else {
            return report.error(
                about,
                "its sealed token does not open",
                format!("`auth-manager bots rotate {id} {name}` gives it another."),
            );
        };
        if !stored.settled {
            report.note(
                about.as_str(),
                "a former token of it may live yet: the running bridge revokes it",
            );
        }
        let token = &held.token;
        self.token(report, about, token, Some(stored), clients)
            .await;
    }

    /// Asks the app about a token.
    async fn token(
        &self,
        report: &mut Report,
        about: String,
        token: &AppToken,
        stored: Option<&StoredBot>,
        clients: &str,
    ) {
        let id = &self.app.id;
        let another = stored.map_or_else(
            || "Put the token of a bot of its own into the file of its bot_token.".to_owned(),
            |bot| {
                format!(
                    "`auth-manager bots rotate {id} {}` gives it another.",
                    bot.name
                )
            },
        );
        let account = match self.driver.account_of(token).await {
            Ok(Some(account)) => account,
            Ok(None) => {
                let text =
                    "the app does not accept its token: it is revoked, or the bot is disabled";
                return report.error(about, text, another);
            }
            Err(error) => {
                return report.error(about, error.to_string(), "Look at what is said of the app.");
            }
        };
        if stored.is_some_and(|bot| bot.remote != account.remote) {
            return report.error(about, "its token is another account's", another);
        }
        let (level, remedy) = verdict(&account);
        let name = clean(&account.username);
        let text = match bots::fit(&account, false) {
            Ok(()) => format!("the app accepts it as {name}, for {clients}"),
            Err(why) => format!("{}; it is {clients}", clean(&why.to_string())),
        };
        report.add(level, about, text, remedy);
    }
}

/// How bad it is that a service is this account.
fn verdict(account: &BotAccount) -> (Level, &'static str) {
    match (bots::fit(account, false), bots::fit(account, true)) {
        (Ok(()), _) => (Level::Ok, ""),
        // The operator may have meant it: `bots add --administrator`.
        (Err(_), Ok(())) => (Level::Warning, ""),
        (Err(_), Err(_)) => (
            Level::Error,
            "Give the service a bot of its own: `auth-manager bots add`.",
        ),
    }
}
