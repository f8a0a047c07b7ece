//! What the app has, page by page, beside what it should: first the accounts, then each place that
//! somebody should be in, or is in by the bridge's doing.

use super::expected::{Expectations, Expected, Given, Want};
use super::{AppSide, Care, Difference, Drifted, LookError, NAMED, Read, Report, Whose};
use crate::apps::{AppError, Attribute, Place, RemoteKind, Target};
use crate::store::{AccountState, DeactivatedFor, DeactivationStage};
use crate::types::{MembershipKind, UserId};
use std::collections::{BTreeMap, HashMap, HashSet};

/// Pages of a list that are read before it is believed to have no end.
const MOST_PAGES: u32 = 10_000;

/// How the app has an account: deactivated at this time (milliseconds), or active.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Seen {
    Not,
    Active,
    Deactivated(i64),
}

/// Everybody's account and roles, as the app has them; by number.
struct Accounts {
    seen: Vec<Seen>,
    /// Of those few who have any.
    roles: HashMap<usize, Vec<String>>,
    /// What of them is not called as it should be, of those few.
    strays: BTreeMap<usize, Vec<Attribute>>,
}

/// Gives whose accounts are active and are not wanted any more once their grace is over.
pub(super) async fn compare(
    side: &AppSide,
    all: Expectations,
    report: &mut Report,
    tell: Read<'_>,
) -> Result<Vec<UserId>, LookError> {
    let accounts = accounts(side, &all, report, tell).await?;
    let both = all.people.iter().zip(&accounts.seen);
    let leaving = both.filter(|(own, seen)| own.want == Want::Leaving && **seen == Seen::Active);
    let leaving = leaving.map(|(own, _)| own.user).collect();
    for (person, seen) in all.people.iter().zip(&accounts.seen) {
        if let Some((what, whose, care)) = of_account(side, person, *seen) {
            report
                .differences
                .push(difference(person, what, None, whose, care));
        }
    }
    for (number, attributes) in &accounts.strays {
        if let Some(person) = all.people.get(*number) {
            let told = person.called.as_ref().is_some_and(|own| own.is_told());
            let whose = if told { Whose::App } else { Whose::Bridge };
            let strays = difference(person, Drifted::Profile, None, whose, Care::Mend);
            report.differences.push(Difference {
                attributes: attributes.clone(),
                ..strays
            });
        }
    }
    let Expectations {
        people,
        by_remote,
        places,
        mut given,
    } = all;
    let stands = |number: usize| {
        let person = people.get(number);
        person.is_some_and(|person| person.want == Want::Present)
            && accounts.seen.get(number) == Some(&Seen::Active)
    };
    let mut unknown = HashSet::new();
    for (place, wanting) in places {
        let target = match side.provisioner.resolve(&place).await {
            Ok(target) => target,
            Err(error) if error.is_transient() => return Err(error.into()),
            Err(error) => {
                report.problems.push(format!("{place}: {error}"));
                unknown.insert((place.kind, place.name));
                continue;
            }
        };
        let members = match target.kind {
            MembershipKind::SystemRole => (0..people.len())
                .map(|number| {
                    let roles = accounts.roles.get(&number);
                    roles.is_some_and(|roles| roles.contains(&target.id))
                })
                .collect(),
            _ => members(side, &target, &by_remote, people.len()).await?,
        };
        let ours = given.remove(&target);
        let ours = ours.map(|given| given.to).unwrap_or_default();
        let is_member = |number: usize| members.get(number) == Some(&true);
        for number in wanting.iter().copied() {
            if !stands(number) || is_member(number) {
                continue;
            }
            let whose = match ours.contains(&(number, true)) {
                true => Whose::App,
                false => Whose::Bridge,
            };
            if let Some(person) = people.get(number) {
                let lacks = Some(place.clone());
                report.differences.push(difference(
                    person,
                    Drifted::Lacks,
                    lacks,
                    whose,
                    Care::Mend,
                ));
            }
        }
        let wanting: HashSet<usize> = wanting.into_iter().collect();
        let left = ours
            .into_iter()
            .map(|(number, _)| number)
            .filter(|number| !wanting.contains(number) && stands(*number) && is_member(*number));
        keeps(side, &people, &place, left, report);
    }
    others(side, &people, given, &unknown, stands, report);
    Ok(leaving)
}

/// What the bridge gave in places that nobody should be in any more. The job looks itself whether it
/// is still there.
fn others(
    side: &AppSide,
    people: &[Expected],
    given: BTreeMap<Target, Given>,
    unknown: &HashSet<(MembershipKind, String)>,
    stands: impl Fn(usize) -> bool,
    report: &mut Report,
) {
    for (target, given) in given {
        // A team that can't be read now must cost nobody their place in it.
        let place = Place {
            kind: target.kind,
            name: given.name,
        };
        if unknown.contains(&(place.kind, place.name.clone())) {
            continue;
        }
        let left = given.to.into_iter().map(|(number, _)| number);
        keeps(side, people, &place, left.filter(|n| stands(*n)), report);
    }
}

fn keeps(
    side: &AppSide,
    people: &[Expected],
    place: &Place,
    left: impl Iterator<Item = usize>,
    report: &mut Report,
) {
    if !side.policy.withdraw {
        return;
    }
    for person in left.filter_map(|number| people.get(number)) {
        let place = Some(place.clone());
        let keeps = difference(person, Drifted::Keeps, place, Whose::Bridge, Care::Mend);
        report.differences.push(keeps);
    }
}

async fn accounts(
    side: &AppSide,
    all: &Expectations,
    report: &mut Report,
    tell: Read<'_>,
) -> Result<Accounts, LookError> {
    let mut found = Accounts {
        seen: vec![Seen::Not; all.people.len()],
        roles: HashMap::new(),
        strays: BTreeMap::new(),
    };
    for page in 0..MOST_PAGES {
        let part = side.provisioner.accounts(page).await?;
        for account in part.items {
            report.accounts += 1;
            let Some(number) = all.by_remote.get(&account.remote).copied() else {
                let foreign = matches!(account.kind, RemoteKind::Foreign(_));
                if !foreign && account.deactivated_at.is_none() {
                    report.strangers += 1;
                    if report.some_strangers.len() < NAMED {
                        report.some_strangers.push(account.profile.username);
                    }
                }
                continue;
            };
            let Some(seen) = found.seen.get_mut(number) else {
                continue;
            };
            let first = *seen == Seen::Not;
            *seen = match account.deactivated_at {
                Some(at) => Seen::Deactivated(at),
                None => Seen::Active,
            };
            if first && *seen == Seen::Active {
                report.present += 1;
            }
            let called = all.people.get(number).and_then(|own| own.called.as_ref());
            let strays = called.map(|called| called.strays(&*side.provisioner, &account));
            // Somebody who is named twice was changed while the list was read: what was said last.
            match strays.filter(|strays| !strays.is_empty()) {
                Some(strays) => found.strays.insert(number, strays),
                None => found.strays.remove(&number),
            };
            if !account.roles.is_empty() {
                found.roles.insert(number, account.roles);
            }
        }
        tell(report.accounts);
        if part.last {
            return Ok(found);
        }
    }
    Err(endless("accounts"))
}

async fn members(
    side: &AppSide,
    target: &Target,
    by_remote: &HashMap<crate::types::RemoteId, usize>,
    people: usize,
) -> Result<Vec<bool>, LookError> {
    let mut there = vec![false; people];
    for page in 0..MOST_PAGES {
        let part = side.provisioner.members(target, page).await?;
        for remote in &part.items {
            let number = by_remote.get(remote).copied();
            if let Some(is_there) = number.and_then(|number| there.get_mut(number)) {
                *is_there = true;
            }
        }
        if part.last {
            return Ok(there);
        }
    }
    Err(endless("members"))
}

fn endless(what: &str) -> LookError {
    AppError::Unavailable(format!(
        "its list of {what} has no end after {MOST_PAGES} pages"
    ))
    .into()
}

/// What is wrong with an account, whose doing it is, and whether it is to be mended.
fn of_account(side: &AppSide, person: &Expected, seen: Seen) -> Option<(Drifted, Whose, Care)> {
    let Some(own) = &person.own else {
        return Some((Drifted::Missing, Whose::Bridge, Care::Mend));
    };
    let known = own.deactivated;
    let ours = known.map(|known| known.stage);
    if own.remote.is_none() {
        return match (person.want, own.state) {
            (Want::Present, AccountState::Conflict) => {
                Some((Drifted::Conflict, Whose::App, Care::Left))
            }
            (Want::Present, _) if side.terms.ahead => {
                Some((Drifted::Missing, Whose::Bridge, Care::Mend))
            }
            _ => None,
        };
    }
    match (person.want, seen) {
        (Want::Leave | Want::Leaving, _) | (Want::Absent, Seen::Not | Seen::Deactivated(_)) => None,
        (Want::Absent, Seen::Active) => match ours {
            Some(DeactivationStage::Done(_)) => Some((Drifted::Active, Whose::App, Care::Mend)),
            _ => Some((Drifted::Active, Whose::Bridge, Care::Mend)),
        },
        (Want::Present, Seen::Not) => Some((Drifted::Missing, Whose::App, Care::Mend)),
        (Want::Present, Seen::Active) => match ours {
            Some(DeactivationStage::Done(_)) => {
                Some((Drifted::ActivatedByHand, Whose::App, Care::Mend))
            }
            // Planned, or under way: its job says.
            _ => None,
        },
        (Want::Present, Seen::Deactivated(at)) => match known {
            None => Some((Drifted::DeactivatedByHand, Whose::App, Care::Left)),
            Some(known) if known.stage == DeactivationStage::Done(at) => match known.why {
                // Their seat was reclaimed: they come back by signing in.
                DeactivatedFor::Idle => None,
                DeactivatedFor::Absent => Some((Drifted::Inactive, Whose::Bridge, Care::Mend)),
            },
            // Another deactivation than ours: the record is to say so.
            Some(_) => Some((Drifted::DeactivatedByHand, Whose::App, Care::Mend)),
        },
    }
}

fn difference(
    person: &Expected,
    what: Drifted,
    place: Option<Place>,
    whose: Whose,
    care: Care,
) -> Difference {
    Difference {
        user: person.user,
        remote: person.own.as_ref().and_then(|own| own.remote.clone()),
        what,
        place,
        attributes: Vec::new(),
        whose,
        care,
    }
}
