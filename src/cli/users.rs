//! `auth-manager users`: who has come by, and who may not come in.

use super::by_hand::validate::Validate;
use super::out::{Table, count, json, print, record};
use super::person_data::{self, Erase};
use super::stage::{Stage, on_store};
use super::{ConfigFile, accounts, explain, person, sessions};
use crate::identity::orders::OrderError;
use crate::identity::orders::people::StateOrder;
use crate::store::{AccountFilter, SessionFilter, StateBy, UserFilter, UserState};
use crate::types::{AppId, SourceId};
use anyhow::bail;
use serde_json::json;

/// People: disabling refuses the next request and ends their sessions.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Users {
    /// Everybody who has come by.
    List {
        /// Only those in this state: pending, active, suspended, disabled, tombstoned.
        #[arg(long, value_parser = state)]
        state: Option<UserState>,
        /// Only whose e-mail address, name, user name or sub contains this.
        #[arg(long, value_name = "TEXT")]
        search: Option<String>,
        /// As JSON; times are seconds since 1970.
        #[arg(long)]
        json: bool,
    },
    /// One person, with accounts and live sessions.
    Show {
        /// Id, sub, e-mail address or user name.
        #[arg(value_name = "PERSON")]
        who: String,
        /// As JSON; times are seconds since 1970.
        #[arg(long)]
        json: bool,
    },
    /// Turn a person away everywhere, and end their sessions.
    Disable(Change),
    /// Let a person in again. Whom a directory turns away is not: enable them there, or say
    /// --against-directory.
    Enable {
        #[command(flatten)]
        change: Change,
        /// Overrule what directories say of them until now. A newer word of theirs counts again.
        #[arg(long)]
        against_directory: bool,
    },
    /// Why a person may or may not use an app: each gate, which source says what and how old it is,
    /// which rule decides, and what the app should have of them.
    Explain {
        /// Id, sub, e-mail address or user name.
        #[arg(value_name = "PERSON")]
        who: String,
        /// Only this app.
        #[arg(value_name = "APP")]
        app: Option<AppId>,
        /// As JSON; times are seconds since 1970, ages seconds.
        #[arg(long)]
        json: bool,
    },
    /// Put a person into the directory's groups that are listed for it, and have them read again, so
    /// that their accounts are there before they first come.
    Validate(Validate),
    /// Forget what a directory said about one of its ids: the next word is the first again. For an id
    /// that changed hands, or a person who is gone and has come back under it.
    ForgetWord {
        /// The directory.
        #[arg(value_name = "DIRECTORY")]
        source: SourceId,
        /// The directory's own id of the person.
        #[arg(value_name = "ID")]
        id: String,
        /// Only say what would be done.
        #[arg(long)]
        dry_run: bool,
    },
    /// All that the bridge knows of a person, as JSON; times are seconds since 1970.
    Export {
        /// Id, sub, e-mail address or user name.
        #[arg(value_name = "PERSON")]
        who: String,
    },
    /// Forget a person: end their sessions and erase their data.
    Erase(Erase),
}

/// A change of somebody's state.
#[derive(Debug, clap::Args)]
pub(super) struct Change {
    /// Id, sub, e-mail address or user name.
    #[arg(value_name = "PERSON")]
    who: String,
    /// Why, for whoever looks next.
    #[arg(long, value_name = "TEXT", default_value = "by an operator")]
    reason: String,
    /// Only say what would be done.
    #[arg(long)]
    dry_run: bool,
}

fn state(word: &str) -> Result<UserState, String> {
    UserState::from_word(word).ok_or_else(|| {
        let words: Vec<_> = UserState::ALL.iter().map(|state| state.as_str()).collect();
        format!("must be one of {}", words.join(", "))
    })
}

impl Users {
    pub(super) fn run(self, file: &ConfigFile) -> anyhow::Result<u8> {
        on_store(file, async |stage| match self {
            Self::List {
                state,
                search,
                json,
            } => list(stage, state, search, json).await,
            Self::Show { who, json } => show(stage, &who, json).await,
            Self::Disable(change) => set(stage, &change, UserState::Disabled, false).await,
            Self::Enable {
                change,
                against_directory,
            } => set(stage, &change, UserState::Active, against_directory).await,
            Self::Explain { who, app, json } => explain::run(stage, &who, app, json).await,
            Self::ForgetWord {
                source,
                id,
                dry_run,
            } => explain::forget(stage, &source, &id, dry_run).await,
            Self::Validate(validate) => validate.run(stage).await,
            Self::Export { who } => person_data::export(stage, &who).await,
            Self::Erase(erase) => erase.run(stage).await,
        })
    }
}

async fn list(
    stage: &Stage,
    state: Option<UserState>,
    search: Option<String>,
    as_json: bool,
) -> anyhow::Result<()> {
    let filter = UserFilter {
        state,
        search,
        ..UserFilter::default()
    };
    let users = person::every(&*stage.store, filter).await?;
    if as_json {
        return json(&users);
    }
    print(person::table(&users).text("Nobody."))
}

async fn show(stage: &Stage, who: &str, as_json: bool) -> anyhow::Result<()> {
    let user = person::find(stage, who).await?;
    let mut accounts = Vec::new();
    let mut filter = AccountFilter {
        user: Some(user.id),
        ..AccountFilter::default()
    };
    accounts::every(stage, &mut filter, &mut accounts).await?;
    let live = SessionFilter {
        user: Some(user.id),
        live: true,
        ..SessionFilter::default()
    };
    let sessions = stage.desk().every(live).await?;
    if as_json {
        return json(&json!({ "user": user, "accounts": accounts, "sessions": sessions }));
    }
    let groups: Vec<_> = user.groups.iter().map(|group| group.as_str()).collect();
    let by = match &user.state_by {
        StateBy::Nobody => String::new(),
        who => format!(" by {who}"),
    };
    let state = match user.state_reason.as_str() {
        "" => format!("{}{by} since {}", user.state, user.state_since),
        why => format!("{}{by} since {}: {why}", user.state, user.state_since),
    };
    let verified = if user.email_verified { "yes" } else { "no" };
    print(record(&[
        ("id", user.id.to_string()),
        ("state", state),
        ("issuer", user.issuer.to_string()),
        ("sub", user.subject.to_string()),
        ("user name", user.username.clone().unwrap_or_default()),
        ("e-mail", user.email.clone()),
        ("verified", verified.into()),
        ("name", user.name.clone()),
        ("locale", user.locale.clone().unwrap_or_default()),
        ("groups", groups.join(", ")),
        ("first seen", user.created_at.to_string()),
        ("changed", user.updated_at.to_string()),
    ]))?;
    let mut table = Table::new(&["APP", "STATE", "APP'S ID", "APP'S USER NAME", "DETAIL"]);
    for account in &accounts {
        table.row([
            account.app.to_string(),
            account.state.to_string(),
            account
                .remote
                .as_ref()
                .map(ToString::to_string)
                .unwrap_or_default(),
            account.username.clone().unwrap_or_default(),
            account.detail.clone(),
        ]);
    }
    print(format!("\naccounts\n{}", table.text("none")))?;
    let table = sessions::table(stage, &sessions).await?;
    print(format!("\nlive sessions\n{}", table.text("none")))
}

async fn set(
    stage: &Stage,
    change: &Change,
    state: UserState,
    against_directory: bool,
) -> anyhow::Result<()> {
    let user = person::find(stage, &change.who).await?;
    let name = person::name(&user);
    let desk = stage.desk();
    let order = StateOrder {
        state,
        reason: &change.reason,
        exactly: false,
        against_directory,
        dry_run: change.dry_run,
    };
    let set = match desk.set_state(&user, &order).await {
        Err(OrderError::Denied(by)) => bail!(
            "{name} is turned away by a directory ({by}). Enable them there; or say \
             --against-directory, and what it said until now does not count (it is on record that \
             you did)"
        ),
        other => other?,
    };
    if !change.dry_run {
        // Accounts follow, as they do a directory's word.
        let intake = stage.intake();
        let why = "an operator's order";
        intake.recheck(&user.issuer, &user.subject, why).await?;
    }
    let ended = count(set.ended, "session");
    print(match (set.changed, change.dry_run, state) {
        (false, _, _) => format!("{name} is {state} already"),
        (true, true, _) => format!("{name} would be {state}; {ended} would end"),
        (true, false, UserState::Active) => format!("{name} is active again"),
        (true, false, _) => format!("{name} is {state}; {ended} ended"),
    })
}
