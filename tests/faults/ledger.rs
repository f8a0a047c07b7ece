//! What must be true once the faults are over: the directory's truth beside the bridge's store and the
//! app's own records. Nothing lost: whoever may is there, whoever may not is not. Nothing twice: one
//! account a person, made once; one change a turn.

use crate::house::{BOTH, Hired, House, SALES};
use auth_manager::demo::mattermost::UserSnapshot;
use auth_manager::store::{AccountFilter, AccountState, JobKind, JobState, SessionFilter, User};
use auth_manager::types::{AppId, IssuerId, Subject};
use std::collections::{BTreeMap, BTreeSet};

/// What a person may, by the directory itself.
struct Truth {
    active: bool,
    inside: bool,
    sales: bool,
}

fn truth(house: &House, who: &Hired) -> Truth {
    let shown = house.authentik.user(who.pk);
    let active = shown.as_ref().is_some_and(|user| user["is_active"] == true);
    let groups = shown.map(|user| user["groups"].clone());
    let is_in = |group: &str| {
        let id = house.authentik.group_id(group);
        let all = groups.as_ref().and_then(|groups| groups.as_array());
        all.is_some_and(|all| all.iter().any(|own| own == id.as_str()))
    };
    let inside = active && BOTH.iter().all(|group| is_in(group));
    Truth {
        active,
        inside,
        sales: inside && is_in(SALES),
    }
}

fn chat() -> AppId {
    AppId::new("chat").expect("an id")
}

async fn user_of(house: &House, who: &Hired) -> Result<Option<User>, String> {
    let issuer = IssuerId::new("pomerium").expect("an id");
    let subject = Subject::new(who.person.sub.as_str()).expect("a subject");
    let found = house.store.user_by_subject(&issuer, &subject).await;
    found.map_err(|error| format!("the store: {error}"))
}

/// What is not (yet) as the directory says.
pub(crate) async fn gaps(house: &House) -> Vec<String> {
    let mut gaps = Vec::new();
    let accounts: BTreeMap<String, UserSnapshot> = house
        .mattermost()
        .users()
        .into_iter()
        .map(|account| (account.email.clone(), account))
        .collect();
    let people = house.people.lock().clone();
    for who in &people {
        let account = accounts.get(&who.person.email);
        if let Err(gap) = gap(house, who, account).await {
            gaps.push(format!("{}: {gap}", who.person.email));
        }
    }
    let open = [JobState::Pending, JobState::Running, JobState::Dead];
    for job in house.jobs(&open).await {
        let waits = job.kind != JobKind::Sweep || job.state == JobState::Dead;
        if waits {
            gaps.push(format!(
                "a {} job is {} after {} attempts: {} ({})",
                job.kind, job.state, job.attempts, job.error, job.why
            ));
        }
    }
    gaps
}

async fn gap(house: &House, who: &Hired, account: Option<&UserSnapshot>) -> Result<(), String> {
    let truth = truth(house, who);
    let store = |error: auth_manager::store::StoreError| format!("the store: {error}");
    // The app.
    match (truth.inside, account) {
        (true, None) => return Err("has no account".into()),
        (true, Some(account)) if !account.is_active() => {
            return Err("the account is deactivated".into());
        }
        (false, Some(account)) if account.is_active() => {
            return Err("the account is active".into());
        }
        _ => {}
    }
    if let (true, Some(account)) = (truth.inside, account) {
        let is_in = |team: &str| account.teams.iter().any(|own| own == team);
        if !is_in("demo") || is_in(SALES) != truth.sales {
            return Err(format!("is in {:?}", account.teams));
        }
    }
    // The bridge.
    let (source, id) = (house.source(), who.pk.to_string());
    let word = house.store.person(&source, &id).await.map_err(store)?;
    let Some(word) = word else {
        // Gone before anybody was told: nothing was lost.
        return match house.authentik.user(who.pk) {
            Some(_) => Err("was never heard of".into()),
            None => Ok(()),
        };
    };
    if (word.active && word.gone_at.is_none()) != truth.active {
        return Err("the directory's word is not known".into());
    }
    let user = user_of(house, who).await?;
    if truth.inside && user.is_none() {
        return Err("has no shadow user".into());
    }
    let Some(user) = user else { return Ok(()) };
    if user.state.denies() == truth.active {
        return Err(format!("is {:?}", user.state));
    }
    let own = house.store.account(&chat(), user.id).await.map_err(store)?;
    let remote = own
        .filter(|own| own.state == AccountState::Linked)
        .and_then(|own| own.remote);
    if account.is_some_and(|account| remote.as_ref().is_none_or(|r| r.as_str() != account.id)) {
        return Err("the account is not linked".into());
    }
    if !truth.inside {
        let live = SessionFilter {
            user: Some(user.id),
            live: true,
            ..SessionFilter::default()
        };
        if !house.store.sessions(&live).await.map_err(store)?.is_empty() {
            return Err("has a session".into());
        }
    }
    Ok(())
}

/// What was done twice, or to nobody.
pub(crate) async fn doubles(house: &House) -> Vec<String> {
    let mut twice = Vec::new();
    let app = house.mattermost();
    let people = house.people.lock().clone();
    let known: BTreeSet<&str> = people.iter().map(|who| who.person.email.as_str()).collect();
    let mut accounts = app.users();
    accounts.retain(|account| !account.is_bot && account.username != "admin");
    for account in &accounts {
        if !known.contains(account.email.as_str()) {
            twice.push(format!("{} is nobody's account", account.email));
        }
    }
    if app.users_created() != accounts.len() as u64 {
        let created = app.users_created();
        twice.push(format!(
            "{created} accounts made, {} are there",
            accounts.len()
        ));
    }
    // Each is linked once.
    let filter = AccountFilter {
        app: Some(chat()),
        limit: 100_000,
        ..AccountFilter::default()
    };
    let linked = house.store.accounts(&filter).await.expect("the store");
    let mut remotes = BTreeSet::new();
    for account in linked.iter().filter_map(|account| account.remote.as_ref()) {
        if !remotes.insert(account.as_str().to_owned()) {
            twice.push(format!("{account} is linked to two people"));
        }
    }
    // Each is switched off or on at most as often as its person's rights changed.
    let mut switched: BTreeMap<String, usize> = BTreeMap::new();
    for done in app.done() {
        let id = done.path.strip_prefix("/api/v4/users/");
        let id = id.and_then(|rest| rest.strip_suffix("/active"));
        if let Some(id) = id.filter(|_| done.method == "PUT" && done.is_ok()) {
            *switched.entry(id.to_owned()).or_default() += 1;
        }
    }
    for account in &accounts {
        let who = people.iter().find(|who| who.person.email == account.email);
        let Some(who) = who else { continue };
        // The first turn made them.
        let turns = house.turns.lock().get(&who.pk).copied().unwrap_or_default();
        let count = switched.get(&account.id).copied().unwrap_or_default();
        if count >= turns {
            twice.push(format!(
                "{} was switched {count} times in {turns} turns",
                account.email
            ));
        }
    }
    twice
}
