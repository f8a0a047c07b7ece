//! What is kept: one realm with one client.

use super::{CLIENT, StandIn};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// Done once, after a question was answered.
pub(super) type Act = Box<dyn FnOnce(&StandIn) + Send>;

pub(super) struct Inner {
    /// As they are shown when asked for one by one, but for `access`.
    pub(super) users: BTreeMap<String, Value>,
    /// Those of them that are service accounts.
    pub(super) machines: BTreeSet<String>,
    pub(super) groups: BTreeMap<String, Group>,
    /// Groups of organisations, which this API refuses to show.
    pub(super) organisational: BTreeSet<String>,
    /// Group, then member.
    pub(super) members: BTreeSet<(String, String)>,
    pub(super) client: Client,
    pub(super) realm_enabled: bool,
    pub(super) https_demanded: bool,
    /// Token, and whether the client's scope left it its roles.
    pub(super) tokens: BTreeMap<String, bool>,
    pub(super) granted: usize,
    /// What every question is answered with instead.
    pub(super) broken: Option<u16>,
    /// No list holds more at once.
    pub(super) longest_page: Option<usize>,
    /// What is done after a question whose address has this in it.
    pub(super) after: Vec<(String, Act)>,
}

pub(super) struct Group {
    pub(super) name: String,
    pub(super) above: Option<String>,
}

pub(super) struct Client {
    pub(super) secret: String,
    pub(super) enabled: bool,
    pub(super) public: bool,
    pub(super) service_accounts: bool,
    /// Whether its tokens have all roles of the account.
    pub(super) full_scope: bool,
    /// Whether the service account may sign in.
    pub(super) account_enabled: bool,
    /// The account's roles of `realm-management`.
    pub(super) roles: BTreeSet<String>,
}

impl Default for Inner {
    fn default() -> Self {
        Self {
            users: BTreeMap::new(),
            machines: BTreeSet::new(),
            groups: BTreeMap::new(),
            organisational: BTreeSet::new(),
            members: BTreeSet::new(),
            client: Client {
                secret: CLIENT.1.to_owned(),
                enabled: true,
                public: false,
                service_accounts: true,
                full_scope: true,
                account_enabled: true,
                roles: BTreeSet::from(["view-users".to_owned()]),
            },
            realm_enabled: true,
            https_demanded: false,
            tokens: BTreeMap::new(),
            granted: 0,
            broken: None,
            longest_page: None,
            after: Vec::new(),
        }
    }
}

impl Client {
    /// Sees users and groups, with who is in them.
    pub(super) fn views(&self) -> bool {
        self.roles.contains("view-users")
    }

    /// May ask for users; `view-users` is made of this and the next.
    pub(super) fn queries_users(&self) -> bool {
        self.views() || self.roles.contains("query-users")
    }

    /// May ask for groups.
    pub(super) fn queries_groups(&self) -> bool {
        self.views() || self.roles.contains("query-groups")
    }
}

impl Inner {
    /// `/everybody/staff/sales`.
    pub(super) fn path(&self, group: &Group) -> String {
        let above = group.above.as_ref().and_then(|id| self.groups.get(id));
        let above = above.map_or_else(String::new, |above| self.path(above));
        format!("{above}/{}", group.name)
    }
}
