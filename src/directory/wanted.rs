//! What an app should have of a person, by what directories and operators say: an account or none,
//! and which groups. Pure; whoever brings the app there asks it each time, so that it may be asked
//! twice and in any order.
//!
//! Without a directory's fresh word nothing is given and nothing is taken. An assertion has no say
//! here at all.

use super::gate::{self, View};
use super::standing::Why;
use crate::config::{AccessRule, DirectoryRules};
use crate::error::Code;
use crate::store::{StateBy, User, UserState};
use crate::types::{AppId, IssuerId, SourceId, Timestamp};
use serde::Serialize;

/// What directories must know of an app.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AppTerms {
    /// Which.
    pub id: AppId,
    /// Whose subjects use it.
    pub issuer: IssuerId,
    /// Who may use it.
    pub access: AccessRule,
    /// Whether whoever may use it has an account before their first visit.
    pub ahead: bool,
}

/// What should become of an account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "account", rename_all = "snake_case")]
pub enum WantedState {
    /// They have one, and it is active.
    Present,
    /// They have none, or it is deactivated.
    Absent {
        /// Why.
        why: String,
        /// Since when, where it is known.
        since: Option<Timestamp>,
    },
    /// Whatever there is stays as it is.
    Leave {
        /// Why.
        why: String,
    },
}

/// A group that somebody is in by a directory's word.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct WantedGroup {
    /// By whose.
    pub source: SourceId,
    /// The source's own id of it.
    pub id: String,
    /// Its name now; empty when only the id was heard of.
    pub name: String,
    /// Whether the word is fresh enough to give power by (`admin_max_age`).
    pub for_power: bool,
}

/// What an app should have of a person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Wanted {
    /// The account.
    #[serde(flatten)]
    pub account: WantedState,
    /// Their groups, by fresh words only, when the account is wanted.
    pub groups: Vec<WantedGroup>,
}

fn leave(why: impl Into<String>) -> WantedState {
    WantedState::Leave { why: why.into() }
}

/// What the app should have of them. `user` is their shadow user, once there is one.
#[must_use]
pub fn wanted(
    app: &AppTerms,
    user: Option<&User>,
    view: &View<'_>,
    rules: &DirectoryRules,
    now: Timestamp,
) -> Wanted {
    let account = account(app, user, view, rules, now);
    let groups = match account {
        WantedState::Present => groups(view, rules, now),
        _ => Vec::new(),
    };
    Wanted { account, groups }
}

fn account(
    app: &AppTerms,
    user: Option<&User>,
    view: &View<'_>,
    rules: &DirectoryRules,
    now: Timestamp,
) -> WantedState {
    // Whose an account is must be said before anything is done to it, but for an operator's order.
    let ordered = user.is_some_and(|user| user.state_by == StateBy::Operator);
    if let Some(denial) = view.denial().filter(|d| d.why == Why::Moved && !ordered) {
        return leave(format!("{} ({})", denial.why.as_str(), denial.source));
    }
    if let Some(user) = user {
        let told = |why: &str| match user.state_reason.as_str() {
            "" => why.to_owned(),
            reason => format!("{why}: {reason}"),
        };
        let absent = |why: &str| WantedState::Absent {
            why: told(why),
            since: Some(user.state_since),
        };
        match user.state {
            UserState::Disabled => return absent("disabled"),
            UserState::Tombstoned => return absent("tombstoned"),
            UserState::Suspended if user.state_since.min(now) + rules.grace > now => {
                return leave(told("suspended"));
            }
            UserState::Suspended => return absent("suspended"),
            UserState::Pending | UserState::Active => {}
        }
    }
    if let Some(denial) = view.denial() {
        let why = format!("{} ({})", denial.why.as_str(), denial.source);
        return match denial.why {
            Why::Moved => leave(why),
            // A date ahead of a clock that was set back is no longer grace.
            _ if denial.since.min(now) + rules.grace > now => {
                leave(format!("{why}, within its grace"))
            }
            _ => WantedState::Absent {
                why,
                since: Some(denial.since),
            },
        };
    }
    match view.standing {
        None => return leave("no directory knows them"),
        Some(standing) if !standing.human => return leave("a directory says that it is no person"),
        Some(_) => {}
    }
    match gate::by_directories(&app.access, view, rules, now) {
        None => leave("no directory has a fresh word that decides"),
        Some(Ok(())) => WantedState::Present,
        Some(Err(Code::AccessPending)) => WantedState::Absent {
            why: "not validated".into(),
            since: None,
        },
        Some(Err(_)) => WantedState::Absent {
            why: "not in the app's groups".into(),
            since: None,
        },
    }
}

fn groups(view: &View<'_>, rules: &DirectoryRules, now: Timestamp) -> Vec<WantedGroup> {
    let mut all = Vec::new();
    for said in view.fresh(rules, now) {
        let for_power = now.since(said.confirmed_at(view.index)) <= rules.admin_max_age
            && !said.is_ahead(view.index, now);
        let Some(source) = view.index.known_source(said.source) else {
            continue;
        };
        let asked = view.asked_about(said, rules, now);
        for number in &said.groups {
            let Some(group) = view.index.group(*number).filter(|group| !group.gone) else {
                continue;
            };
            // A removal that got lost on its way: the directory itself knows better.
            if asked.is_some_and(|asked| view.is_out_of(asked, group)) {
                continue;
            }
            all.push(WantedGroup {
                source: source.id.clone(),
                id: group.id.to_string(),
                name: group.name.to_string(),
                for_power,
            });
        }
    }
    all
}
