//! Who should have what in an app, by the records alone: the app is not asked. Kept small, since all
//! of it is in memory while the app is read page by page.

use super::AppSide;
use crate::apps::{Place, Target};
use crate::directory::{Standings, WantedState, wanted};
use crate::identity::Called;
use crate::identity::converge::{InGroup, wanted_places};
use crate::store::{
    Account, AccountFilter, AccountState, Deactivation, MembershipState, Store, StoreError, User,
    UserFilter, UserState,
};
use crate::types::{AppId, RemoteId, Timestamp, UserId};
use std::collections::{BTreeMap, HashMap};

/// Records read at once.
const PAGE: u32 = 500;

/// What should become of an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Want {
    Present,
    Absent,
    /// A directory has turned them away: absent, once their grace is over.
    Leaving,
    /// Nothing says anything: it is as it is.
    Leave,
}

/// An account on record.
pub(super) struct Own {
    pub(super) state: AccountState,
    /// Of one that is linked.
    pub(super) remote: Option<RemoteId>,
    pub(super) deactivated: Option<Deactivation>,
}

/// One person.
pub(super) struct Expected {
    pub(super) user: UserId,
    pub(super) own: Option<Own>,
    pub(super) want: Want,
    /// What an account that is theirs, and wanted, is to be called.
    pub(super) called: Option<Box<Called>>,
}

/// Everybody who should have something in the app, or has.
#[derive(Default)]
pub(super) struct Expectations {
    pub(super) people: Vec<Expected>,
    /// Numbers of people, by account.
    pub(super) by_remote: HashMap<RemoteId, usize>,
    /// Who should be where: numbers of people.
    pub(super) places: BTreeMap<Place, Vec<usize>>,
    /// What the bridge gave, by what it is in the app.
    pub(super) given: BTreeMap<Target, Given>,
}

/// A place in which people are by the bridge's doing.
pub(super) struct Given {
    /// What it was called when it was given.
    pub(super) name: String,
    /// Numbers of people, and whether the app had given it when last heard.
    pub(super) to: Vec<(usize, bool)>,
}

pub(super) async fn read(
    side: &AppSide,
    store: &dyn Store,
    now: Timestamp,
) -> Result<Expectations, StoreError> {
    let standings = Standings::default();
    standings.load(store).await?;
    let mut accounts = accounts(store, &side.terms.id).await?;
    let mut all = Expectations::default();
    let mut by_user = HashMap::new();
    let mut filter = UserFilter {
        limit: PAGE,
        ..UserFilter::default()
    };
    loop {
        let page = store.users(&filter).await?;
        let Some(last) = page.last() else { break };
        filter.after = Some(last.id);
        for user in page.iter().filter(|u| u.issuer == side.terms.issuer) {
            let account = accounts.remove(&user.id);
            let own = account.as_ref().map(Own::of);
            let (want, groups) = want(side, &standings, user, now);
            // Nothing to compare: they have nothing, and nothing is made before they come.
            if own.is_none() && !(want == Want::Present && side.terms.ahead) {
                continue;
            }
            let number = all.people.len();
            by_user.insert(user.id, number);
            if let Some(remote) = own.as_ref().and_then(|own| own.remote.clone()) {
                all.by_remote.insert(remote, number);
            }
            for place in wanted_places(&side.policy, &groups) {
                all.places.entry(place).or_default().push(number);
            }
            let called = account
                .filter(|own| want == Want::Present && own.state == AccountState::Linked)
                .map(|own| Box::new(Called::of(user, &own)));
            all.people.push(Expected {
                user: user.id,
                own,
                want,
                called,
            });
        }
    }
    given(&mut all, &by_user, store, &side.terms.id).await?;
    Ok(all)
}

impl Own {
    fn of(account: &Account) -> Self {
        let linked = account.state == AccountState::Linked;
        Self {
            state: account.state,
            remote: account.remote.clone().filter(|_| linked),
            deactivated: account.deactivated,
        }
    }
}

async fn accounts(store: &dyn Store, app: &AppId) -> Result<HashMap<UserId, Account>, StoreError> {
    let mut all = HashMap::new();
    let mut filter = AccountFilter {
        app: Some(app.clone()),
        limit: PAGE,
        ..AccountFilter::default()
    };
    loop {
        let page = store.accounts(&filter).await?;
        let Some(last) = page.last() else { break };
        filter.after = Some(last.id);
        all.extend(page.into_iter().map(|account| (account.user, account)));
    }
    Ok(all)
}

/// As the job that would make it so decides (`runtime::provision`).
fn want(
    side: &AppSide,
    standings: &Standings,
    user: &User,
    now: Timestamp,
) -> (Want, Vec<InGroup>) {
    let found = standings.ask(&user.issuer, &user.subject, |view| {
        wanted(&side.terms, Some(user), view, &side.rules, now)
    });
    let want = match found.account {
        WantedState::Present => Want::Present,
        WantedState::Absent { .. } => Want::Absent,
        WantedState::Leave { .. } if user.state == UserState::Suspended => Want::Leaving,
        WantedState::Leave { .. } => Want::Leave,
    };
    let groups = found.groups.into_iter().map(|group| InGroup {
        id: group.id,
        name: group.name,
        for_power: group.for_power,
    });
    (want, groups.collect())
}

async fn given(
    all: &mut Expectations,
    by_user: &HashMap<UserId, usize>,
    store: &dyn Store,
    app: &AppId,
) -> Result<(), StoreError> {
    let mut after = None;
    loop {
        let page = store.memberships_of(app, after.as_ref(), PAGE).await?;
        let Some(last) = page.last() else {
            return Ok(());
        };
        after = Some(last.clone());
        for of in page {
            let Some(number) = by_user.get(&of.user).copied() else {
                continue;
            };
            // Of an account that is no longer theirs it says nothing.
            if all.by_remote.get(&of.remote) != Some(&number) {
                continue;
            }
            let target = Target {
                kind: of.kind,
                id: of.target,
            };
            let given = all.given.entry(target).or_insert_with(|| Given {
                name: of.name,
                to: Vec::new(),
            });
            given
                .to
                .push((number, of.state == MembershipState::Granted));
        }
    }
}
