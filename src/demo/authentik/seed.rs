//! Many people at once, and single ones as the API shows them: for load tests, and for recordings
//! that begin in the middle.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::controls::StandIn;
use super::ids::{now, parse};
use super::state::{Event, Group, State, Token, User};
use super::user_changes::blank;

impl StandIn {
    /// Makes so many people (`person-00001` …, with an e-mail address) and groups (`group-001` …), and puts each
    /// person into three groups, without events. Ids of the people, in order.
    pub fn seed(&self, people: usize, groups: usize) -> Vec<i64> {
        let mut state = self.state();
        let pks: Vec<String> = (1..=groups)
            .map(|number| insert_group(&mut state, &format!("group-{number:03}")))
            .collect();
        let mut made = Vec::with_capacity(people);
        for number in 1..=people {
            let username = format!("person-{number:05}");
            let mut user = blank(&state, &self.options().install_id, &username);
            user.name = format!("Person {number}");
            user.email = format!("{username}@example.test");
            let pk = user.pk;
            if !state.insert_user(user) {
                continue;
            }
            for step in [0, 1, 7] {
                if let Some(group) = pks.get((number + step) % groups.max(1)) {
                    state.join(pk, group);
                }
            }
            made.push(pk);
        }
        made
    }

    /// A user exactly as the API shows one: number, ids and times are kept.
    ///
    /// # Panics
    /// When the name is taken: a mistake in the test.
    pub fn import_user(&self, shown: &Value) {
        let text = |key: &str| shown[key].as_str().unwrap_or_default().to_owned();
        let at = |key: &str| shown[key].as_str().and_then(parse);
        let texts = |key: &str| -> BTreeSet<String> {
            let all = shown[key].as_array().into_iter().flatten();
            all.filter_map(|item| item.as_str().map(str::to_owned))
                .collect()
        };
        let user = User {
            pk: shown["pk"].as_i64().unwrap_or_default(),
            username: text("username"),
            name: text("name"),
            email: text("email"),
            is_active: shown["is_active"].as_bool().unwrap_or(true),
            last_login: at("last_login"),
            date_joined: at("date_joined").unwrap_or_else(now),
            attributes: shown["attributes"].clone(),
            uid: text("uid"),
            uuid: text("uuid"),
            path: text("path"),
            kind: text("type"),
            password_change_date: at("password_change_date").unwrap_or_else(now),
            last_updated: at("last_updated").unwrap_or_else(now),
            groups: BTreeSet::new(),
            roles: texts("roles"),
            avatar: shown["avatar"].as_str().map(str::to_owned),
        };
        let (pk, mut state) = (user.pk, self.state());
        assert!(state.insert_user(user), "{shown}");
        for group in texts("groups") {
            state.join(pk, &group);
        }
    }

    /// A group exactly as the API shows one; who is in it comes with the users.
    ///
    /// # Panics
    /// When the name is taken: a mistake in the test.
    pub fn import_group(&self, shown: &Value) {
        let texts = |key: &str| -> BTreeSet<String> {
            let all = shown[key].as_array().into_iter().flatten();
            all.filter_map(|item| item.as_str().map(str::to_owned))
                .collect()
        };
        let group = Group {
            pk: shown["pk"].as_str().unwrap_or_default().to_owned(),
            name: shown["name"].as_str().unwrap_or_default().to_owned(),
            is_superuser: shown["is_superuser"].as_bool().unwrap_or(false),
            parents: texts("parents"),
            attributes: shown
                .get("attributes")
                .cloned()
                .unwrap_or_else(|| json!({})),
            roles: texts("roles"),
            users: BTreeSet::new(),
        };
        assert!(self.state().insert_group(group), "{shown}");
    }

    /// A token with a known key.
    pub fn import_token(&self, shown: &Value, key: &str) {
        let text = |name: &str| shown[name].as_str().unwrap_or_default().to_owned();
        let token = Token {
            pk: text("pk"),
            identifier: text("identifier"),
            intent: text("intent"),
            user: shown["user"].as_i64().unwrap_or_default(),
            key: key.to_owned(),
            description: text("description"),
            expires: shown["expires"]
                .as_str()
                .and_then(parse)
                .unwrap_or_else(now),
            expiring: shown["expiring"].as_bool().unwrap_or(false),
        };
        self.state().tokens.insert(token.identifier.clone(), token);
    }

    /// An event exactly as the API shows one; no webhook hears of it. Oldest first, please.
    pub fn import_event(&self, shown: &Value) {
        let text = |name: &str| shown[name].as_str().unwrap_or_default().to_owned();
        let at = |name: &str| shown[name].as_str().and_then(parse).unwrap_or_else(now);
        self.state().events.push(Event {
            pk: text("pk"),
            user: shown["user"].clone(),
            action: text("action"),
            app: text("app"),
            context: shown["context"].clone(),
            client_ip: shown["client_ip"].as_str().map(str::to_owned),
            created: at("created"),
            expires: at("expires"),
            brand: shown["brand"].clone(),
        });
    }
}

/// A group without a word; its id.
pub(super) fn insert_group(state: &mut State, name: &str) -> String {
    let pk = super::ids::new_uuid();
    let group = Group {
        pk: pk.clone(),
        name: name.to_owned(),
        is_superuser: false,
        parents: BTreeSet::new(),
        attributes: json!({}),
        roles: BTreeSet::new(),
        users: BTreeSet::new(),
    };
    state.insert_group(group);
    state.group_names.get(name).cloned().unwrap_or(pk)
}
