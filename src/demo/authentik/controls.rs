//! The handle, and what tests and the demo may do behind the API's back. What an administrator would
//! do in Authentik (`disable`, `join` …) makes the same events, webhooks and SCIM requests as there.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use std::time::Duration;

use parking_lot::{Mutex, MutexGuard};
use serde_json::{Value, json};

use super::faults::{Fault, Faults};
use super::hooks::{Hook, Hooks};
use super::ids::{new_key, new_uuid, now, uuid_of};
use super::journal::{Journal, Seen, Sent};
use super::options::Options;
use super::render;
use super::scim::{Change, Scim};
use super::seed::insert_group;
use super::state::{Flow, Role, State, Token};
use super::user_changes::blank;

/// A stand-in for Authentik. Clones are handles of the same one.
#[derive(Clone)]
pub struct StandIn {
    inner: Arc<Inner>,
}

struct Inner {
    options: Options,
    state: Mutex<State>,
    faults: Faults,
    seen: Journal<Seen>,
    sent: Journal<Sent>,
    hooks: Hooks,
    scim: Mutex<Option<Scim>>,
}

/// A person to be made.
#[derive(Clone, Debug, Default)]
pub struct NewPerson {
    /// User name.
    pub username: String,
    /// Display name.
    pub name: String,
    /// E-mail address; may be empty.
    pub email: String,
    /// Names or ids of groups.
    pub groups: Vec<String>,
    /// `type`; empty: `internal`.
    pub kind: String,
    /// `path`; empty: `users`.
    pub path: String,
}

impl NewPerson {
    /// A person with a name and an address after it.
    #[must_use]
    pub fn named(username: &str) -> Self {
        Self {
            username: username.to_owned(),
            name: username.to_owned(),
            email: format!("{username}@example.test"),
            ..Self::default()
        }
    }
}

/// The number that its first administrator has (recorded).
const ADMIN: i64 = 3;

impl StandIn {
    /// An Authentik with its first administrator `akadmin`, whose token is `lab-admin-token`, and the
    /// group `authentik Admins`; nothing of that when `options.empty`.
    #[must_use]
    pub fn new(options: Options) -> Self {
        let app = Self {
            inner: Arc::new(Inner {
                seen: Journal::new(options.journal_capacity),
                sent: Journal::new(options.journal_capacity),
                hooks: Hooks::new(options.workers),
                faults: Faults::default(),
                state: Mutex::default(),
                scim: Mutex::default(),
                options,
            }),
        };
        if !app.options().empty {
            let mut state = app.state();
            state.next_pk = ADMIN;
            let mut admin = blank(&state, &app.options().install_id, "akadmin");
            admin.name = "authentik Default Admin".into();
            admin.email = "admin@lab.example".into();
            state.insert_user(admin);
            let group = insert_group(&mut state, "authentik Admins");
            if let Some(group) = state.groups.get_mut(&group) {
                group.is_superuser = true;
            }
            state.join(ADMIN, &group);
            drop(state);
            app.give_token(ADMIN, "admin", "lab-admin-token");
        }
        app
    }

    // -- who reads -------------------------------------------------------------------------

    /// A service account with a role that has these permissions everywhere, and an API token of it
    /// that does not expire; the account's number and the token.
    pub fn reader(&self, name: &str, permissions: &[&str]) -> (i64, String) {
        let pk = {
            let mut state = self.state();
            let mut user = blank(&state, &self.options().install_id, name);
            user.name = name.to_owned();
            user.kind = "service_account".into();
            user.path = "goauthentik.io/service-accounts".into();
            let pk = user.pk;
            state.insert_user(user);
            pk
        };
        self.set_permissions(pk, permissions, &[]);
        let key = new_key();
        self.give_token(pk, &format!("{name}-api"), &key);
        (pk, key)
    }

    /// Gives a user a role of their own with these permissions: everywhere, and on single objects
    /// (permission, id). What they had by it before is gone.
    pub fn set_permissions(&self, user: i64, global: &[&str], objects: &[(&str, &str)]) {
        let mut state = self.state();
        let id =
            uuid::Uuid::from_u128(0x7065_726d << 64 | u128::from(user.unsigned_abs())).to_string();
        let role = Role {
            name: format!("role-{user}"),
            global: global.iter().map(|name| (*name).to_owned()).collect(),
            objects: objects
                .iter()
                .map(|(name, id)| ((*name).to_owned(), (*id).to_owned()))
                .collect(),
        };
        state.roles.insert(id.clone(), role);
        if let Some(user) = state.users.get_mut(&user) {
            user.roles.insert(id);
        }
    }

    /// A role under this id and name, with permissions everywhere and on single objects.
    pub fn set_role(&self, id: &str, name: &str, global: &[&str], objects: &[(&str, &str)]) {
        let owned = |text: &&str| (*text).to_owned();
        let role = Role {
            name: name.to_owned(),
            global: global.iter().map(owned).collect(),
            objects: objects.iter().map(|(a, b)| (owned(a), owned(b))).collect(),
        };
        self.state().roles.insert(id.to_owned(), role);
    }

    /// An API token of somebody, under this identifier, with this key.
    pub fn give_token(&self, user: i64, identifier: &str, key: &str) {
        self.give(user, identifier, key, "api");
    }

    /// An app password, which the API does not take.
    pub fn give_app_password(&self, user: i64, identifier: &str, key: &str) {
        self.give(user, identifier, key, "app_password");
    }

    fn give(&self, user: i64, identifier: &str, key: &str, intent: &str) {
        let token = Token {
            pk: new_uuid(),
            identifier: identifier.to_owned(),
            intent: intent.to_owned(),
            user,
            key: key.to_owned(),
            description: String::new(),
            expires: now() + 30 * 60 * 1_000_000,
            expiring: false,
        };
        self.state().tokens.insert(token.identifier.clone(), token);
    }

    /// Lets a token expire so many seconds from now; less than none: it has expired.
    pub fn expire_token(&self, identifier: &str, seconds: i64) {
        if let Some(token) = self.state().tokens.get_mut(identifier) {
            token.expiring = true;
            token.expires = now() + seconds * 1_000_000;
        }
    }

    /// Takes a token back.
    pub fn revoke_token(&self, identifier: &str) {
        self.state().tokens.remove(identifier);
    }

    // -- people and groups -----------------------------------------------------------------

    /// Makes a person as an administrator would; their number.
    ///
    /// # Panics
    /// When the name is taken: a mistake in the test.
    pub fn create(&self, new: &NewPerson) -> i64 {
        let (pk, groups) = {
            let mut state = self.state();
            let groups: Vec<String> = new
                .groups
                .iter()
                .filter_map(|named| state.group(named).map(|group| group.pk.clone()))
                .collect();
            let mut user = blank(&state, &self.options().install_id, &new.username);
            user.name.clone_from(&new.name);
            user.email.clone_from(&new.email);
            let set = |field: &mut String, text: &String| {
                if !text.is_empty() {
                    field.clone_from(text);
                }
            };
            set(&mut user.kind, &new.kind);
            set(&mut user.path, &new.path);
            let pk = user.pk;
            assert!(state.insert_user(user), "{} is taken", new.username);
            for group in &groups {
                state.join(pk, group);
            }
            (pk, groups)
        };
        self.told("model_created", pk);
        self.told("model_updated", pk);
        self.changed(Change::User(pk));
        for group in groups {
            self.changed(Change::Joined(group, vec![pk]));
        }
        pk
    }

    /// Makes a group; its id.
    pub fn create_group(&self, name: &str) -> String {
        let pk = insert_group(&mut self.state(), name);
        self.told_group("model_created", &pk);
        self.changed(Change::Group(pk.clone()));
        pk
    }

    /// Says what a group is in, by names or ids.
    pub fn set_parents(&self, group: &str, parents: &[&str]) {
        let pk = {
            let mut state = self.state();
            let parents = parents
                .iter()
                .filter_map(|named| state.group(named).map(|group| group.pk.clone()))
                .collect();
            let pk = state
                .group(group)
                .map(|group| group.pk.clone())
                .unwrap_or_default();
            if let Some(group) = state.groups.get_mut(&pk) {
                group.parents = parents;
            }
            pk
        };
        self.told_group("model_updated", &pk);
    }

    /// Another name for a group.
    pub fn rename_group(&self, group: &str, name: &str) {
        let pk = {
            let mut state = self.state();
            let pk = state
                .group(group)
                .map(|group| group.pk.clone())
                .unwrap_or_default();
            let former = state
                .groups
                .get_mut(&pk)
                .map(|group| std::mem::replace(&mut group.name, name.to_owned()));
            state.group_names.remove(&former.unwrap_or_default());
            state.group_names.insert(name.to_owned(), pk.clone());
            pk
        };
        self.told_group("model_updated", &pk);
        self.changed(Change::Group(pk));
    }

    /// Whether a group's members may do everything, by name or id.
    pub fn set_superusers(&self, group: &str, superusers: bool) {
        let pk = self.group_id(group);
        if let Some(group) = self.state().groups.get_mut(&pk) {
            group.is_superuser = superusers;
        }
        self.told_group("model_updated", &pk);
    }

    /// Gives a group's members a role, by the group's name or id.
    pub fn give_role(&self, group: &str, role: &str) {
        let pk = self.group_id(group);
        if let Some(group) = self.state().groups.get_mut(&pk) {
            group.roles.insert(role.to_owned());
        }
        self.told_group("model_updated", &pk);
    }

    // -- invitations -----------------------------------------------------------------------

    /// Makes a flow with this slug, for `enrollment`, `authentication` …; its id.
    pub fn create_flow(&self, slug: &str, designation: &str) -> String {
        let flow = Flow {
            pk: new_uuid(),
            designation: designation.to_owned(),
        };
        let pk = flow.pk.clone();
        self.state().flows.insert(slug.to_owned(), flow);
        pk
    }

    /// Invitations as the API shows them.
    pub fn invitations(&self) -> Vec<Value> {
        let state = self.state();
        let all = state.invitations.values();
        all.map(|one| render::invitation(&state, one)).collect()
    }

    /// Deletes a group, by name or id.
    pub fn delete_group(&self, group: &str) {
        let removed = {
            let mut state = self.state();
            let pk = state
                .group(group)
                .map(|group| group.pk.clone())
                .unwrap_or_default();
            state.remove_group(&pk)
        };
        if let Some(group) = removed {
            let model = render::model("authentik_core", "group", json!(group.pk), &group.name);
            self.by_admin("model_deleted", model);
            self.changed(Change::GroupGone(group.pk));
        }
    }

    /// Puts somebody into a group, by name or id.
    pub fn join(&self, user: i64, group: &str) {
        let group = self.group_id(group);
        if self.state().join(user, &group) {
            self.told_group("model_updated", &group);
            self.changed(Change::Joined(group, vec![user]));
        }
    }

    /// Takes somebody out of a group, by name or id.
    pub fn leave(&self, user: i64, group: &str) {
        let group = self.group_id(group);
        if self.state().leave(user, &group) {
            self.told_group("model_updated", &group);
            self.changed(Change::Left(group, vec![user]));
        }
    }

    /// Disables or enables somebody.
    pub fn set_active(&self, user: i64, active: bool) {
        if let Some(user) = self.state().users.get_mut(&user) {
            user.is_active = active;
            user.last_updated = now();
        }
        self.told("model_updated", user);
        self.changed(Change::User(user));
    }

    /// Another display name, address or type for somebody; empty texts change nothing.
    pub fn set_profile(&self, user: i64, name: &str, email: &str, kind: &str) {
        if let Some(user) = self.state().users.get_mut(&user) {
            for (field, text) in [
                (&mut user.name, name),
                (&mut user.email, email),
                (&mut user.kind, kind),
            ] {
                if !text.is_empty() {
                    text.clone_into(field);
                }
            }
            user.last_updated = now();
        }
        self.told("model_updated", user);
        self.changed(Change::User(user));
    }

    /// `attributes` of somebody.
    pub fn set_attributes(&self, user: i64, attributes: Value) {
        if let Some(user) = self.state().users.get_mut(&user) {
            user.attributes = attributes;
            user.last_updated = now();
        }
        self.told("model_updated", user);
        self.changed(Change::User(user));
    }

    /// Deletes somebody.
    pub fn delete(&self, user: i64) {
        let removed = {
            let mut state = self.state();
            let removed = state.remove_user(user);
            state
                .events
                .retain(|event| event.user.get("pk") != Some(&json!(user)));
            removed
        };
        if let Some(gone) = removed {
            let model = render::model("authentik_core", "user", json!(user), &gone.name);
            self.by_admin("model_deleted", model);
            self.changed(Change::UserGone(user));
        }
    }

    /// Disables somebody past everything: no event, no webhook, no SCIM request, no `last_updated`,
    /// as a bulk update in the shell does (recorded: 57).
    pub fn disable_silently(&self, user: i64) {
        if let Some(user) = self.state().users.get_mut(&user) {
            user.is_active = false;
        }
    }

    /// Deletes somebody past everything.
    pub fn delete_silently(&self, user: i64) {
        self.state().remove_user(user);
    }

    /// Leaves these out of lists, though each is there when asked for: a list that is not whole.
    pub fn unlist(&self, users: &[i64]) {
        self.state().unlisted = users.iter().copied().collect();
    }

    /// Somebody signs in.
    pub fn sign_in(&self, user: i64) {
        let actor = {
            let mut state = self.state();
            state.signed_in.insert(user);
            let user = state.users.get_mut(&user);
            user.map(|user| {
                user.last_login = Some(now());
                render::actor(user)
            })
        };
        let context =
            json!({ "auth_method": "password", "auth_method_args": { "known_device": false } });
        self.event(actor, "login", "authentik.events.signals", context);
    }

    /// A change that no request made: an event with nobody as actor (recorded: 57).
    pub fn save_from_shell(&self, user: i64) {
        let name = self.state().users.get(&user).map(|user| user.name.clone());
        let model = render::model(
            "authentik_core",
            "user",
            json!(user),
            &name.unwrap_or_default(),
        );
        self.event_from_shell("model_updated", model);
        self.changed(Change::User(user));
    }

    /// A user as the API shows one, by number.
    pub fn user(&self, pk: i64) -> Option<Value> {
        let state = self.state();
        let user = state.users.get(&pk)?;
        Some(render::user(&state, user, render::WHOLE))
    }

    /// A user's number.
    pub fn user_id(&self, username: &str) -> Option<i64> {
        self.state().names.get(username).copied()
    }

    /// A user's `uid`, the subject of their sign-ins; empty when there is no such user.
    pub fn uid(&self, pk: i64) -> String {
        self.state()
            .users
            .get(&pk)
            .map(|user| user.uid.clone())
            .unwrap_or_default()
    }

    /// A group's id, by name or id; empty when there is none.
    pub fn group_id(&self, named: &str) -> String {
        let state = self.state();
        let named = uuid_of(named).unwrap_or_else(|| named.to_owned());
        state
            .group(&named)
            .map(|group| group.pk.clone())
            .unwrap_or_default()
    }

    /// How many users there are.
    pub fn count(&self) -> usize {
        self.state().users.len()
    }

    fn told(&self, action: &str, user: i64) {
        let name = self.state().users.get(&user).map(|user| user.name.clone());
        let model = render::model(
            "authentik_core",
            "user",
            json!(user),
            &name.unwrap_or_default(),
        );
        self.by_admin(action, model);
    }

    fn told_group(&self, action: &str, group: &str) {
        let name = self
            .state()
            .groups
            .get(group)
            .map(|group| group.name.clone());
        let model = render::model(
            "authentik_core",
            "group",
            json!(group),
            &name.unwrap_or_default(),
        );
        self.by_admin(action, model);
    }

    fn by_admin(&self, action: &str, model: Value) {
        let actor = self.state().users.get(&ADMIN).map(render::actor);
        let pk = model["pk"].to_string();
        let context = json!({ "model": model, "http_request": {
            "args": {}, "path": format!("/api/v3/core/{}/", pk.trim_matches('"')), "method": "PATCH",
            "request_id": super::ids::hex(&new_uuid()), "user_agent": "stand-in",
        } });
        self.event(actor, action, "authentik.events.middleware", context);
    }

    // -- webhooks --------------------------------------------------------------------------

    /// Adds a webhook; its id.
    pub fn add_hook(&self, mut hook: Hook) -> String {
        hook.id = new_uuid();
        let id = hook.id.clone();
        self.hooks().all.lock().push(hook);
        id
    }

    /// Takes all webhooks away.
    pub fn clear_hooks(&self) {
        self.hooks().all.lock().clear();
    }

    /// Whether notifications are lost from now on; events are still on record.
    pub fn lose_hooks(&self, lost: bool) {
        self.hooks().lost.store(lost, Ordering::SeqCst);
    }

    /// Whether deliveries wait, as behind a busy worker; they say what is so when they go.
    pub fn hold_hooks(&self, held: bool) {
        self.hooks().held.send_replace(held);
    }

    /// Waits until every delivery and push has ended; `false` when that took longer.
    pub async fn idle(&self, at_most: Duration) -> bool {
        let wait = async {
            while self.hooks().open.load(Ordering::SeqCst) > 0 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(at_most, wait).await.is_ok()
    }

    // -- faults and journals ---------------------------------------------------------------

    /// What happens to requests whose path begins like this, so many times (`None`: always).
    pub fn set_fault(&self, fault: Fault, prefix: &str, times: Option<u32>) {
        self.inner.faults.set(fault, prefix, 0, times);
    }

    /// As [`Self::set_fault`], after so many good requests.
    pub fn set_fault_after(&self, spared: u32, fault: Fault, prefix: &str, times: Option<u32>) {
        self.inner.faults.set(fault, prefix, spared, times);
    }

    /// Nothing goes wrong on purpose any more.
    pub fn clear_faults(&self) {
        self.inner.faults.clear();
    }

    /// Requests that arrived, oldest first.
    pub fn requests(&self) -> Vec<Seen> {
        self.inner.seen.entries()
    }

    /// Webhooks and SCIM requests that were sent, oldest first.
    pub fn sent(&self) -> Vec<Sent> {
        self.inner.sent.entries()
    }

    /// Forgets both.
    pub fn forget(&self) {
        self.inner.seen.clear();
        self.inner.sent.clear();
    }

    // -- for the other files ---------------------------------------------------------------

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.inner.state.lock()
    }

    pub(super) fn options(&self) -> &Options {
        &self.inner.options
    }

    pub(super) fn faults(&self) -> &Faults {
        &self.inner.faults
    }

    pub(super) fn hooks(&self) -> &Hooks {
        &self.inner.hooks
    }

    pub(super) fn scim(&self) -> &Mutex<Option<Scim>> {
        &self.inner.scim
    }

    pub(super) fn seen_journal(&self) -> &Journal<Seen> {
        &self.inner.seen
    }

    pub(super) fn sent_journal(&self) -> &Journal<Sent> {
        &self.inner.sent
    }

    pub(super) fn downgrade(&self) -> Handle {
        Handle(Arc::downgrade(&self.inner))
    }
}

/// A handle that keeps nothing alive.
pub(super) struct Handle(Weak<Inner>);

impl Handle {
    pub(super) fn upgrade(&self) -> Option<StandIn> {
        self.0.upgrade().map(|inner| StandIn { inner })
    }
}
