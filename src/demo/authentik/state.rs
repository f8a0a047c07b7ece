//! What Authentik remembers. Plain data; rules live with the resource they belong to. Times are
//! microseconds since 1970.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde_json::Value;

/// A user.
#[derive(Clone, Debug)]
pub(super) struct User {
    pub(super) pk: i64,
    pub(super) username: String,
    pub(super) name: String,
    pub(super) email: String,
    pub(super) is_active: bool,
    pub(super) last_login: Option<i64>,
    pub(super) date_joined: i64,
    pub(super) attributes: Value,
    pub(super) uid: String,
    pub(super) uuid: String,
    pub(super) path: String,
    /// `internal`, `external`, `service_account`, `internal_service_account`.
    pub(super) kind: String,
    pub(super) password_change_date: i64,
    pub(super) last_updated: i64,
    /// Direct memberships; the group has the other end.
    pub(super) groups: BTreeSet<String>,
    pub(super) roles: BTreeSet<String>,
    /// As a data URI; `None`: the usual one.
    pub(super) avatar: Option<String>,
}

/// A group.
#[derive(Clone, Debug)]
pub(super) struct Group {
    pub(super) pk: String,
    pub(super) name: String,
    pub(super) is_superuser: bool,
    pub(super) parents: BTreeSet<String>,
    pub(super) attributes: Value,
    pub(super) roles: BTreeSet<String>,
    pub(super) users: BTreeSet<i64>,
}

/// What a role allows: everywhere, or on single objects.
#[derive(Clone, Debug, Default)]
pub(super) struct Role {
    pub(super) name: String,
    pub(super) global: BTreeSet<String>,
    /// Permission and the object's id.
    pub(super) objects: BTreeSet<(String, String)>,
}

/// A token, whatever it is for.
#[derive(Clone, Debug)]
pub(super) struct Token {
    pub(super) pk: String,
    pub(super) identifier: String,
    /// `api`, `app_password` …
    pub(super) intent: String,
    pub(super) user: i64,
    pub(super) key: String,
    pub(super) description: String,
    pub(super) expires: i64,
    pub(super) expiring: bool,
}

/// An entry of the event log.
#[derive(Clone, Debug)]
pub(super) struct Event {
    pub(super) pk: String,
    /// `{}` when nobody did it.
    pub(super) user: Value,
    pub(super) action: String,
    pub(super) app: String,
    pub(super) context: Value,
    pub(super) client_ip: Option<String>,
    pub(super) created: i64,
    pub(super) expires: i64,
    pub(super) brand: Value,
}

/// A flow.
#[derive(Clone, Debug)]
pub(super) struct Flow {
    pub(super) pk: String,
    /// `enrollment`, `authentication` …
    pub(super) designation: String,
}

/// An invitation.
#[derive(Clone, Debug)]
pub(super) struct Invitation {
    pub(super) pk: String,
    pub(super) name: String,
    pub(super) expires: Option<i64>,
    pub(super) fixed_data: Value,
    pub(super) single_use: bool,
    pub(super) flow: Option<String>,
    pub(super) created_by: i64,
}

/// All of it.
#[derive(Default)]
pub(super) struct State {
    pub(super) users: BTreeMap<i64, User>,
    pub(super) names: HashMap<String, i64>,
    pub(super) next_pk: i64,
    pub(super) groups: BTreeMap<String, Group>,
    pub(super) group_names: HashMap<String, String>,
    pub(super) roles: BTreeMap<String, Role>,
    pub(super) tokens: BTreeMap<String, Token>,
    /// Access tokens of OAuth clients: whose, and whether with the API's scope.
    pub(super) access_tokens: HashMap<String, (i64, bool)>,
    pub(super) events: Vec<Event>,
    pub(super) invitations: BTreeMap<String, Invitation>,
    /// By slug.
    pub(super) flows: BTreeMap<String, Flow>,
    /// Left out of lists, though they exist.
    pub(super) unlisted: BTreeSet<i64>,
    /// Cookies of browsers: left to `demo::door`; only whether somebody has one.
    pub(super) signed_in: BTreeSet<i64>,
}

impl State {
    pub(super) fn user_by_name(&self, name: &str) -> Option<&User> {
        self.users.get(self.names.get(name)?)
    }

    /// Whether a group of theirs makes them one who may everything, inherited ones included.
    pub(super) fn is_superuser(&self, user: &User) -> bool {
        self.all_groups(user)
            .iter()
            .any(|pk| self.groups.get(pk).is_some_and(|group| group.is_superuser))
    }

    /// Groups with those they are in, and so on; what is in itself ends it.
    pub(super) fn all_groups(&self, user: &User) -> BTreeSet<String> {
        let mut found = BTreeSet::new();
        let mut left: Vec<String> = user.groups.iter().cloned().collect();
        while let Some(pk) = left.pop() {
            if let Some(group) = self.groups.get(&pk)
                && found.insert(pk)
            {
                left.extend(group.parents.iter().cloned());
            }
        }
        found
    }

    /// Whoever is in the group directly; both ends are kept.
    pub(super) fn join(&mut self, pk: i64, group: &str) -> bool {
        let (Some(user), Some(group)) = (self.users.get_mut(&pk), self.groups.get_mut(group))
        else {
            return false;
        };
        user.groups.insert(group.pk.clone());
        group.users.insert(pk)
    }

    pub(super) fn leave(&mut self, pk: i64, group: &str) -> bool {
        let (Some(user), Some(group)) = (self.users.get_mut(&pk), self.groups.get_mut(group))
        else {
            return false;
        };
        user.groups.remove(&group.pk);
        group.users.remove(&pk)
    }

    /// Whether nobody else has the name; else nothing happens.
    pub(super) fn insert_user(&mut self, user: User) -> bool {
        if self.names.contains_key(&user.username) {
            return false;
        }
        self.next_pk = self.next_pk.max(user.pk + 1);
        self.names.insert(user.username.clone(), user.pk);
        self.users.insert(user.pk, user);
        true
    }

    pub(super) fn remove_user(&mut self, pk: i64) -> Option<User> {
        let user = self.users.remove(&pk)?;
        self.names.remove(&user.username);
        for group in &user.groups {
            if let Some(group) = self.groups.get_mut(group) {
                group.users.remove(&pk);
            }
        }
        self.tokens.retain(|_, token| token.user != pk);
        self.signed_in.remove(&pk);
        Some(user)
    }

    pub(super) fn insert_group(&mut self, group: Group) -> bool {
        if self.group_names.contains_key(&group.name) {
            return false;
        }
        self.group_names
            .insert(group.name.clone(), group.pk.clone());
        self.groups.insert(group.pk.clone(), group);
        true
    }

    pub(super) fn remove_group(&mut self, pk: &str) -> Option<Group> {
        let group = self.groups.remove(pk)?;
        self.group_names.remove(&group.name);
        for user in &group.users {
            if let Some(user) = self.users.get_mut(user) {
                user.groups.remove(pk);
            }
        }
        for other in self.groups.values_mut() {
            other.parents.remove(pk);
        }
        Some(group)
    }

    /// The group by id or name.
    pub(super) fn group(&self, named: &str) -> Option<&Group> {
        let pk = self.group_names.get(named).map_or(named, String::as_str);
        self.groups.get(pk)
    }
}
