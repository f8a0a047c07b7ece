//! `auth-manager accounts`: whose account in an app is whose. Linking gives the bridge an
//! operator's word (`identity::orders`); whether the account may be adopted at all is decided where
//! all such decisions are made, at the person's next sign-in (`identity`, `apps`).

use super::out::{Table, count, json, print, record};
use super::stage::{Stage, on_store};
use super::{ConfigFile, person};
use crate::identity::orders::OrderError;
use crate::store::{Account, AccountFilter, AccountState, User};
use crate::types::{AppId, RemoteId};
use anyhow::{Context as _, anyhow, bail};
use std::collections::HashMap;
use std::collections::hash_map::Entry;

/// Rows a page.
const PAGE: u32 = 1000;

/// Whose account in an app is whose; resolves conflicts.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Accounts {
    /// All accounts that the bridge knows.
    List {
        /// Only in this app.
        #[arg(long)]
        app: Option<AppId>,
        /// Only of this person: id, sub, e-mail address or user name.
        #[arg(long, value_name = "PERSON")]
        user: Option<String>,
        /// Only in this state: intent, linked, conflict.
        #[arg(long, value_parser = state)]
        state: Option<AccountState>,
        /// As JSON; times are seconds since 1970.
        #[arg(long)]
        json: bool,
    },
    /// A person's account in an app.
    Show {
        /// Id, sub, e-mail address or user name.
        #[arg(value_name = "PERSON")]
        who: String,
        /// The app; not needed when there is one only.
        app: Option<AppId>,
        /// As JSON; times are seconds since 1970.
        #[arg(long)]
        json: bool,
    },
    /// Say that an existing account of the app is this person's: it is adopted at their next
    /// sign-in.
    Link {
        /// Id, sub, e-mail address or user name.
        #[arg(value_name = "PERSON")]
        who: String,
        /// The app.
        app: AppId,
        /// The account's id in the app (Mattermost: 26 characters, System Console > Users).
        #[arg(value_name = "REMOTE-ID")]
        remote: RemoteId,
        /// Only say what would be done.
        #[arg(long)]
        dry_run: bool,
    },
    /// Take an account from a person, and end their sessions at that app. The account itself stays
    /// as it is.
    Unlink {
        /// Id, sub, e-mail address or user name.
        #[arg(value_name = "PERSON")]
        who: String,
        /// The app.
        app: AppId,
        /// Only say what would be done.
        #[arg(long)]
        dry_run: bool,
    },
}

fn state(word: &str) -> Result<AccountState, String> {
    AccountState::from_word(word).ok_or_else(|| "must be intent, linked or conflict".into())
}

impl Accounts {
    pub(super) fn run(self, file: &ConfigFile) -> anyhow::Result<u8> {
        on_store(file, async |stage| match self {
            Self::List {
                app,
                user,
                state,
                json,
            } => list(stage, app, user, state, json).await,
            Self::Show { who, app, json } => show(stage, &who, app, json).await,
            Self::Link {
                who,
                app,
                remote,
                dry_run,
            } => link(stage, &who, &app, remote, dry_run).await,
            Self::Unlink { who, app, dry_run } => unlink(stage, &who, &app, dry_run).await,
        })
    }
}

/// Adds all accounts of a filter to `all`, page by page.
pub(super) async fn every(
    stage: &Stage,
    filter: &mut AccountFilter,
    all: &mut Vec<Account>,
) -> anyhow::Result<()> {
    filter.limit = PAGE;
    loop {
        let page = stage.store.accounts(filter).await?;
        let Some(last) = page.last() else {
            return Ok(());
        };
        filter.after = Some(last.id);
        all.extend(page);
    }
}

async fn list(
    stage: &Stage,
    app: Option<AppId>,
    user: Option<String>,
    state: Option<AccountState>,
    as_json: bool,
) -> anyhow::Result<()> {
    let user = match user {
        Some(who) => Some(person::find(stage, &who).await?.id),
        None => None,
    };
    let mut filter = AccountFilter {
        app,
        user,
        state,
        ..AccountFilter::default()
    };
    let mut accounts = Vec::new();
    every(stage, &mut filter, &mut accounts).await?;
    if as_json {
        return json(&accounts);
    }
    let mut names = HashMap::new();
    let mut table = Table::new(&[
        "APP",
        "STATE",
        "PERSON",
        "APP'S ID",
        "APP'S USER NAME",
        "DETAIL",
    ]);
    for account in &accounts {
        if let Entry::Vacant(unknown) = names.entry(account.user) {
            let user = stage.store.user(account.user).await?;
            unknown.insert(user.as_ref().map(person::name).unwrap_or_default());
        }
        table.row([
            account.app.to_string(),
            account.state.to_string(),
            names.get(&account.user).cloned().unwrap_or_default(),
            account
                .remote
                .as_ref()
                .map(ToString::to_string)
                .unwrap_or_default(),
            account.username.clone().unwrap_or_default(),
            account.detail.clone(),
        ]);
    }
    print(table.text("None."))
}

async fn show(stage: &Stage, who: &str, app: Option<AppId>, as_json: bool) -> anyhow::Result<()> {
    let user = person::find(stage, who).await?;
    let app = match (app, stage.config.apps.as_slice()) {
        (Some(app), _) => app,
        (None, [only]) => only.id.clone(),
        (None, _) => bail!("there are several apps: name one behind the person"),
    };
    let account = theirs(stage, &app, &user).await?;
    if as_json {
        return json(&account);
    }
    print(record(&[
        ("id", account.id.to_string()),
        ("app", account.app.to_string()),
        ("person", person::name(&user)),
        ("state", account.state.to_string()),
        ("detail", account.detail.clone()),
        (
            "app's id",
            account
                .remote
                .as_ref()
                .map(ToString::to_string)
                .unwrap_or_default(),
        ),
        (
            "app's user name",
            account.username.clone().unwrap_or_default(),
        ),
        (
            "memberships",
            if account.settled {
                "in place"
            } else {
                "not yet"
            }
            .into(),
        ),
        ("password version", account.password_version.to_string()),
        ("first recorded", account.created_at.to_string()),
        ("last written", account.updated_at.to_string()),
    ]))
}

async fn theirs(stage: &Stage, app: &AppId, user: &User) -> anyhow::Result<Account> {
    let found = stage.store.account(app, user.id).await?;
    found.with_context(|| format!("{} has no account in {app}", person::name(user)))
}

async fn link(
    stage: &Stage,
    who: &str,
    app: &AppId,
    remote: RemoteId,
    dry_run: bool,
) -> anyhow::Result<()> {
    stage.app(app)?;
    let user = person::find(stage, who).await?;
    let name = person::name(&user);
    let known = stage.store.account(app, user.id).await?;
    let linked = stage.desk().link(&user, app, &remote, known, dry_run).await;
    let linked = match linked {
        Err(error) => return Err(remedy(stage, error, &name).await?),
        Ok(linked) => linked,
    };
    print(match (linked.changed, dry_run) {
        (false, _) => format!("{name} has that account already"),
        (true, true) => {
            format!("{name} would be given the account {remote} of {app} at their next sign-in")
        }
        (true, false) => {
            format!("{name} is given the account {remote} of {app} at their next sign-in")
        }
    })
}

async fn unlink(stage: &Stage, who: &str, app: &AppId, dry_run: bool) -> anyhow::Result<()> {
    let user = person::find(stage, who).await?;
    let name = person::name(&user);
    let account = theirs(stage, app, &user).await?;
    let unlinked = match stage.desk().unlink(account, dry_run).await {
        Err(error) => return Err(remedy(stage, error, &name).await?),
        Ok(unlinked) => unlinked,
    };
    let ended = count(unlinked.ended, "session");
    print(match (unlinked.former, dry_run) {
        (None, _) => format!("{name} is linked to no account of {app}"),
        (Some(remote), true) => {
            format!("{name} would lose the account {remote} of {app}; {ended} would end")
        }
        (Some(remote), false) => {
            format!("{name} has lost the account {remote} of {app}; {ended} ended")
        }
    })
}

/// What the operator can do about it.
async fn remedy(stage: &Stage, error: OrderError, name: &str) -> anyhow::Result<anyhow::Error> {
    Ok(match error {
        OrderError::AdoptsNone(app) => anyhow!(
            "[apps.mattermost] of {app} says link = \"never\", so that no account is ever adopted: set link = \"operator\", reload the bridge, and link again"
        ),
        OrderError::Held(holder) => {
            let other = stage.store.user(holder).await?;
            anyhow!(
                "the account belongs to {} already: `auth-manager accounts unlink` first",
                other
                    .as_ref()
                    .map_or_else(|| holder.to_string(), person::name)
            )
        }
        OrderError::HasAnother(app) => {
            anyhow!("{name} has another account in {app}: `auth-manager accounts unlink` first")
        }
        OrderError::Changed => {
            anyhow!("the bridge wrote the account meanwhile: look at it and try again")
        }
        other => other.into(),
    })
}
