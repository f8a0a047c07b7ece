//! Who calls, and what they see. `Authorization: Bearer` with a token of intent `api`, or with an
//! OAuth access token of the API's scope; nothing else (recorded: 41, 48).

use std::collections::BTreeSet;

use http::HeaderMap;

use super::answer::Refusal;
use super::ids::now;
use super::state::State;

/// Who calls.
#[derive(Clone, Debug)]
pub(super) struct Caller {
    pub(super) user: i64,
    superuser: bool,
    global: BTreeSet<String>,
    objects: BTreeSet<(String, String)>,
}

/// Which objects a caller sees.
pub(super) enum Sees {
    All,
    Only(BTreeSet<String>),
}

impl Sees {
    pub(super) fn shows(&self, id: &str) -> bool {
        match self {
            Self::All => true,
            Self::Only(ids) => ids.contains(id),
        }
    }
}

impl Caller {
    /// What of a model they see. A permission on single objects makes a list partial, and the others
    /// look as if they did not exist (recorded: 43); none at all is 403.
    pub(super) fn sees(&self, permission: &str) -> Result<Sees, Refusal> {
        if self.may(permission) {
            return Ok(Sees::All);
        }
        let ids: BTreeSet<_> = self
            .objects
            .iter()
            .filter(|(name, _)| name == permission)
            .map(|(_, id)| id.clone())
            .collect();
        if ids.is_empty() {
            Err(Refusal::no_permission())
        } else {
            Ok(Sees::Only(ids))
        }
    }

    /// Whether they have a permission everywhere.
    pub(super) fn may(&self, permission: &str) -> bool {
        self.superuser || self.global.contains(permission)
    }

    /// Refuses those who have it neither everywhere nor on this object (from its source, as its own
    /// tests have it).
    pub(super) fn must_on(&self, permission: &str, id: &str) -> Result<(), Refusal> {
        match self.sees(permission)?.shows(id) {
            true => Ok(()),
            false => Err(Refusal::no_permission()),
        }
    }

    /// Refuses those who have it not.
    pub(super) fn must(&self, permission: &str) -> Result<(), Refusal> {
        if self.may(permission) {
            Ok(())
        } else {
            Err(Refusal::no_permission())
        }
    }
}

/// Finds out who calls. An expired token that is used is deleted by that (recorded: 56).
pub(super) fn check(state: &mut State, headers: &HeaderMap) -> Result<Caller, Refusal> {
    let line = headers
        .get("authorization")
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let key = match line.split_once(' ') {
        Some((scheme, key)) if scheme.eq_ignore_ascii_case("bearer") && !key.is_empty() => key,
        _ => return Err(Refusal::no_credential()),
    };
    let user = whose(state, key).ok_or_else(Refusal::bad_token)?;
    caller(state, user).ok_or_else(Refusal::bad_token)
}

/// Somebody with their permissions; nobody who is disabled.
pub(super) fn caller(state: &State, pk: i64) -> Option<Caller> {
    let user = state.users.get(&pk).filter(|user| user.is_active)?;
    let mut caller = Caller {
        user: pk,
        superuser: state.is_superuser(user),
        global: BTreeSet::new(),
        objects: BTreeSet::new(),
    };
    let groups = state.all_groups(user);
    let of_groups = groups.iter().filter_map(|pk| state.groups.get(pk));
    let roles = of_groups.flat_map(|group| &group.roles).chain(&user.roles);
    for role in roles.filter_map(|role| state.roles.get(role)) {
        caller.global.extend(role.global.iter().cloned());
        caller.objects.extend(role.objects.iter().cloned());
    }
    Some(caller)
}

fn whose(state: &mut State, key: &str) -> Option<i64> {
    if let Some((user, api)) = state.access_tokens.get(key) {
        return api.then_some(*user);
    }
    let token = state.tokens.values().find(|token| token.key == key)?;
    if token.expiring && token.expires <= now() {
        let identifier = token.identifier.clone();
        state.tokens.remove(&identifier);
        return None;
    }
    (token.intent == "api").then_some(token.user)
}

impl Caller {
    /// Nobody, who may nothing.
    pub(super) fn nobody() -> Self {
        Self {
            user: 0,
            superuser: false,
            global: BTreeSet::new(),
            objects: BTreeSet::new(),
        }
    }
}
