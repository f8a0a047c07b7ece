//! What tests may do behind the API's back.

use super::StandIn;
use super::state::Group;
use serde_json::{Value, json};

/// When everybody here was made, in milliseconds.
const CREATED: u64 = 1_795_613_332_834;

impl StandIn {
    /// Makes a user; their id.
    pub fn create(&self, username: &str) -> String {
        let id = uuid::Uuid::new_v4().to_string();
        self.import_user(&json!({
            "id": id, "username": username, "enabled": true, "firstName": username,
            "lastName": "Example", "email": format!("{username}@example.test"),
            "emailVerified": true, "attributes": { "locale": ["fr"] }, "createdTimestamp": CREATED,
            "totp": false, "disableableCredentialTypes": [], "requiredActions": [], "notBefore": 0,
        }));
        id
    }

    /// Makes the service account of a client; its id.
    pub fn create_service_account(&self, client: &str) -> String {
        let id = uuid::Uuid::new_v4().to_string();
        self.import_service_account(&json!({
            "id": id, "username": format!("service-account-{client}"), "enabled": true,
            "emailVerified": false, "createdTimestamp": CREATED, "totp": false,
            "disableableCredentialTypes": [], "requiredActions": [], "notBefore": 0,
        }));
        id
    }

    /// Takes over a user as a real one showed them.
    pub fn import_user(&self, user: &Value) {
        let mut user = user.clone();
        if let Some(members) = user.as_object_mut() {
            members.remove("access");
        }
        let id = text(&user, "id");
        self.0.lock().users.insert(id, user);
    }

    /// Takes over a service account, likewise.
    pub fn import_service_account(&self, user: &Value) {
        self.import_user(user);
        self.0.lock().machines.insert(text(user, "id"));
    }

    /// Takes over a group, likewise.
    pub fn import_group(&self, group: &Value) {
        let above = group.get("parentId").and_then(Value::as_str);
        let made = Group {
            name: text(group, "name"),
            above: above.map(str::to_owned),
        };
        self.0.lock().groups.insert(text(group, "id"), made);
    }

    /// Makes a group of an organisation.
    pub fn import_organisational_group(&self, id: &str) {
        self.0.lock().organisational.insert(id.to_owned());
    }

    /// Changes a member of a user.
    pub fn set(&self, user: &str, key: &str, value: Value) {
        if let Some(user) = self.0.lock().users.get_mut(user) {
            user[key] = value;
        }
    }

    /// Deletes a user.
    pub fn delete(&self, user: &str) {
        let mut inner = self.0.lock();
        inner.users.remove(user);
        inner.members.retain(|(_, member)| member != user);
    }

    /// Makes a group, below another if one is named; its id.
    pub fn create_group(&self, name: &str, above: Option<&str>) -> String {
        let id = uuid::Uuid::new_v4().to_string();
        self.import_group(&json!({ "id": id, "name": name, "parentId": above }));
        id
    }

    /// Gives a group another name.
    pub fn rename_group(&self, id: &str, name: &str) {
        if let Some(group) = self.0.lock().groups.get_mut(id) {
            name.clone_into(&mut group.name);
        }
    }

    /// Puts a group below another, or to the top.
    pub fn move_group(&self, id: &str, above: Option<&str>) {
        if let Some(group) = self.0.lock().groups.get_mut(id) {
            group.above = above.map(str::to_owned);
        }
    }

    /// Deletes a group without others below it.
    pub fn delete_group(&self, id: &str) {
        let mut inner = self.0.lock();
        inner.groups.remove(id);
        inner.members.retain(|(group, _)| group != id);
    }

    /// Puts somebody into a group.
    pub fn join(&self, user: &str, group: &str) {
        let member = (group.to_owned(), user.to_owned());
        self.0.lock().members.insert(member);
    }

    /// Takes somebody out of a group.
    pub fn leave(&self, user: &str, group: &str) {
        let member = (group.to_owned(), user.to_owned());
        self.0.lock().members.remove(&member);
    }

    /// Which roles of `realm-management` the client's service account has; `view-users` at first.
    pub fn set_roles(&self, roles: &[&str]) {
        self.0.lock().client.roles = roles.iter().map(|&role| role.to_owned()).collect();
    }

    /// Changes the client's secret.
    pub fn set_secret(&self, secret: &str) {
        secret.clone_into(&mut self.0.lock().client.secret);
    }

    /// Whether the client is enabled.
    pub fn set_client_enabled(&self, enabled: bool) {
        self.0.lock().client.enabled = enabled;
    }

    /// Whether the client is one that keeps no secret.
    pub fn set_public(&self, public: bool) {
        self.0.lock().client.public = public;
    }

    /// Whether the client has a service account.
    pub fn set_service_accounts(&self, on: bool) {
        self.0.lock().client.service_accounts = on;
    }

    /// Whether the service account may sign in.
    pub fn set_account_enabled(&self, enabled: bool) {
        self.0.lock().client.account_enabled = enabled;
    }

    /// Whether the client's tokens have all roles of its account.
    pub fn set_full_scope(&self, on: bool) {
        self.0.lock().client.full_scope = on;
    }

    /// Whether the realm is enabled.
    pub fn set_realm_enabled(&self, enabled: bool) {
        self.0.lock().realm_enabled = enabled;
    }

    /// Whether the realm demands HTTPS of everybody.
    pub fn demand_https(&self, demanded: bool) {
        self.0.lock().https_demanded = demanded;
    }

    /// Answers everything with this status; `None`: as it should.
    pub fn break_with(&self, status: Option<u16>) {
        self.0.lock().broken = status;
    }

    /// Gives no more than this at once, whatever is asked for.
    pub fn longest_page(&self, entries: Option<usize>) {
        self.0.lock().longest_page = entries;
    }

    /// Does this once, right after the next question whose address has `part` in it.
    pub fn after(&self, part: &str, act: impl FnOnce(&Self) + Send + 'static) {
        let act = (part.to_owned(), Box::new(act) as super::state::Act);
        self.0.lock().after.push(act);
    }

    /// Takes this for an access token of its own.
    pub fn give_token(&self, token: &str) {
        let mut inner = self.0.lock();
        let full = inner.client.full_scope;
        inner.tokens.insert(token.to_owned(), full);
    }

    /// Forgets all access tokens, as after a change of the realm's keys.
    pub fn forget_tokens(&self) {
        self.0.lock().tokens.clear();
    }

    /// How many access tokens were given.
    #[must_use]
    pub fn granted(&self) -> usize {
        self.0.lock().granted
    }
}

fn text(of: &Value, key: &str) -> String {
    of[key].as_str().unwrap_or_default().to_owned()
}
