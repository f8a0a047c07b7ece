//! Teams, channels and roles by the mapping of groups. What the bridge gave is on record; nothing else
//! is ever taken away: not what was there before, not what somebody gave by hand.

use super::{Failure, Ground, InGroup};
use crate::apps::{AppError, Place, Target};
use crate::config::ProvisionConfig;
use crate::store::{Membership, MembershipEnd, MembershipState, User};
use crate::types::{MembershipKind, RemoteId, Timestamp};
use std::collections::BTreeSet;

/// A place that is wanted, with what it is in the app; `None` while it can't be found there.
struct Wish {
    place: Place,
    target: Option<Target>,
}

/// Takes away what is no longer wanted, then gives what is. Gives what stood in the way of single
/// memberships; the others are in place all the same.
pub(super) async fn follow(
    ground: &Ground,
    user: &User,
    remote: &RemoteId,
    groups: &[InGroup],
    now: Timestamp,
) -> Result<Vec<AppError>, Failure> {
    let mut problems = Vec::new();
    let mut wishes = Vec::new();
    for place in wanted_places(&ground.policy, groups) {
        let target = match ground.context.provisioner.resolve(&place).await {
            Ok(target) => Some(target),
            Err(error) if error.is_transient() => return Err(error.into()),
            Err(error) => {
                problems.push(error);
                None
            }
        };
        wishes.push(Wish { place, target });
    }
    let ours = of_account(ground, user, remote).await?;
    if ground.policy.withdraw {
        // What rests on others goes before them.
        for of in ours
            .iter()
            .rev()
            .filter(|of| !wishes.iter().any(|wish| wish.is(of)))
        {
            withdraw(ground, remote, of, &mut problems).await?;
        }
    }
    for wish in &wishes {
        let Some(target) = &wish.target else {
            continue;
        };
        match give(ground, user, remote, &wish.place, target, &ours, now).await {
            Ok(()) => {}
            Err(Failure::App(error))
                if !error.is_transient() && !matches!(error, AppError::Gone) =>
            {
                tracing::warn!(app = %ground.context.app, user = %user.id, place = %wish.place, %error, "a membership could not be given");
                problems.push(error);
            }
            Err(error) => return Err(error),
        }
    }
    Ok(problems)
}

/// What the groups give, with what it rests on; that first.
#[must_use]
pub fn wanted_places(policy: &ProvisionConfig, groups: &[InGroup]) -> BTreeSet<Place> {
    let mut places = BTreeSet::new();
    for mapping in &policy.groups {
        let of = |group: &&InGroup| mapping.group.is(&group.id, &group.name);
        let mine: Vec<&InGroup> = groups.iter().filter(of).collect();
        for (kind, name) in mapping.gives.iter().filter(|_| !mine.is_empty()) {
            // Power fails closed: an old word does not give it, and then it is taken back.
            if *kind == MembershipKind::SystemRole && !mine.iter().any(|group| group.for_power) {
                continue;
            }
            let place = Place {
                kind: *kind,
                name: name.clone(),
            };
            places.extend(place.rests_on());
            places.insert(place);
        }
    }
    places
}

impl Wish {
    /// Whether this is what a membership is for. One that can't be found in the app now is known by
    /// its name: a team that can't be read must cost nobody their place in it.
    fn is(&self, of: &Membership) -> bool {
        match &self.target {
            Some(target) => target.kind == of.kind && target.id == of.target,
            None => self.place.kind == of.kind && self.place.name == of.name,
        }
    }
}

async fn give(
    ground: &Ground,
    user: &User,
    remote: &RemoteId,
    place: &Place,
    target: &Target,
    ours: &[Membership],
    now: Timestamp,
) -> Result<(), Failure> {
    let store = &ground.context.store;
    let by = ground.context.witness.clone().by();
    let known = ours
        .iter()
        .find(|of| of.kind == target.kind && of.target == target.id);
    let there = ground.context.provisioner.has(remote, target).await?;
    match known {
        // It was there before we looked, or somebody gave it: not ours.
        None if there => return Ok(()),
        None => {
            let intent = Membership {
                app: ground.context.app.clone(),
                user: user.id,
                remote: remote.clone(),
                kind: target.kind,
                target: target.id.clone(),
                name: place.name.clone(),
                state: MembershipState::Intent,
                since: now,
            };
            store.intend_membership(&intent).await?;
            ground.context.provisioner.grant(remote, target).await?;
            store.membership_granted(&intent, now, &by).await?;
        }
        Some(of) => {
            // Somebody took it away by hand, or a crash came first: the directory says otherwise.
            if !there {
                ground.context.provisioner.grant(remote, target).await?;
            }
            store.membership_granted(of, now, &by).await?;
        }
    }
    Ok(())
}

async fn withdraw(
    ground: &Ground,
    remote: &RemoteId,
    of: &Membership,
    problems: &mut Vec<AppError>,
) -> Result<(), Failure> {
    let target = Target {
        kind: of.kind,
        id: of.target.clone(),
    };
    match ground.context.provisioner.withdraw(remote, &target).await {
        Ok(()) => ground.forget(of, MembershipEnd::Withdrawn).await,
        Err(error) if error.is_transient() => Err(error.into()),
        Err(AppError::Gone) => ground.forget(of, MembershipEnd::Forgotten).await,
        Err(error) => {
            tracing::warn!(app = %ground.context.app, user = %of.user, name = %of.name, %error, "a membership could not be taken away");
            problems.push(error);
            Ok(())
        }
    }
}

/// Takes away what the bridge gave, of some kinds.
pub(super) async fn withdraw_all(
    ground: &Ground,
    user: &User,
    remote: &RemoteId,
    of_kind: impl Fn(MembershipKind) -> bool,
) -> Result<(), Failure> {
    let mut problems = Vec::new();
    for of in of_account(ground, user, remote).await?.iter().rev() {
        if of_kind(of.kind) {
            withdraw(ground, remote, of, &mut problems).await?;
        }
    }
    match problems.into_iter().next() {
        Some(problem) => Err(problem.into()),
        None => Ok(()),
    }
}

/// The roles in the whole app that the bridge gave.
pub(super) async fn roles_of_ours(
    ground: &Ground,
    user: &User,
    remote: &RemoteId,
) -> Result<Vec<String>, Failure> {
    let ours = of_account(ground, user, remote).await?;
    let roles = ours
        .into_iter()
        .filter(|of| of.kind == MembershipKind::SystemRole);
    Ok(roles.map(|of| of.target).collect())
}

/// The account is gone, and they with it.
pub(super) async fn forget_all(ground: &Ground, user: &User) -> Result<(), Failure> {
    let app = &ground.context.app;
    for of in ground.context.store.memberships(app, user.id).await? {
        ground.forget(&of, MembershipEnd::Forgotten).await?;
    }
    Ok(())
}

/// Those of this account, what others rest on first. Those of an account that is no longer theirs are
/// forgotten: whoever has it now keeps them.
async fn of_account(
    ground: &Ground,
    user: &User,
    remote: &RemoteId,
) -> Result<Vec<Membership>, Failure> {
    let app = &ground.context.app;
    let mut ours = Vec::new();
    for of in ground.context.store.memberships(app, user.id).await? {
        if of.remote == *remote {
            ours.push(of);
        } else {
            ground.forget(&of, MembershipEnd::Forgotten).await?;
        }
    }
    ours.sort_by_key(|of| of.kind);
    Ok(ours)
}

impl Ground {
    async fn forget(&self, of: &Membership, end: MembershipEnd) -> Result<(), Failure> {
        let by = self.context.witness.clone().by();
        self.context.store.end_membership(of, end, &by).await?;
        Ok(())
    }
}
