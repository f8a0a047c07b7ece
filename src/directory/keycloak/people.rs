//! People: one, or a page of all.

use super::Keycloak;
use super::groups::{Group, Member, checked};
use crate::directory::source::{Page, SourceError};
use crate::directory::tree::Tree;
use crate::store::{DirectoryGroup, Person};
use crate::types::{Subject, Timestamp};
use serde::Deserialize;
use std::collections::HashMap;
use std::sync::Arc;
use tokio::time::Instant;

/// What names of service accounts begin with. Nothing else tells them from people: they are shown like
/// them to whoever asks by id or name, and only lists leave them out. Their names can't be changed.
const SERVICE_ACCOUNT: &str = "service-account-";

/// A user.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct User {
    id: String,
    username: String,
    /// Required: a missing word is no permission.
    enabled: bool,
    #[serde(default)]
    first_name: Option<String>,
    #[serde(default)]
    last_name: Option<String>,
    #[serde(default)]
    email: Option<String>,
    #[serde(default)]
    email_verified: bool,
    #[serde(default)]
    attributes: HashMap<String, Vec<String>>,
}

/// Who is in which groups, inherited ones included, at one time.
pub(super) struct Members {
    groups: HashMap<String, Vec<String>>,
    read_at: Timestamp,
}

impl Keycloak {
    /// Fails unless the client sees all users: with less than *view-users* they are counted, and the
    /// list of them is empty.
    pub(super) async fn sees_everybody(&self) -> Result<(), SourceError> {
        let there = self.get::<u64>(&["users", "count"], &[]).await?;
        let query = [
            ("first", "0"),
            ("max", "1"),
            ("briefRepresentation", "true"),
        ];
        let shown: Option<Vec<Member>> = self.get(&["users"], &query).await?;
        match (there, shown) {
            (Some(0), Some(_)) => Ok(()),
            (Some(_), Some(shown)) if !shown.is_empty() => Ok(()),
            (Some(there), Some(_)) => Err(SourceError::Permission(format!(
                "it counts {there} users and shows none: the client's service account lacks \
                 view-users of realm-management"
            ))),
            _ => Err(SourceError::Unavailable(
                "it does not count its users".into(),
            )),
        }
    }

    /// One person by id.
    pub(super) async fn one_person(&self, id: &str) -> Result<Option<Person>, SourceError> {
        let id = checked(id)?;
        for again in [true, false] {
            let asked_at = self.clock.now();
            if let Some(user) = self.get::<User>(&["users", id], &[]).await? {
                if user.id != id {
                    return Err(SourceError::Unavailable(
                        "it answers about somebody else".into(),
                    ));
                }
                return self.with_groups(user, asked_at).await.map(Some);
            }
            if again {
                self.sees_everybody().await?;
            }
        }
        Ok(None)
    }

    /// One person by user name.
    pub(super) async fn one_named(&self, username: &str) -> Result<Option<Person>, SourceError> {
        let asked_at = self.clock.now();
        let query = [("username", username), ("exact", "true")];
        let found: Vec<User> = self.get(&["users"], &query).await?.unwrap_or_default();
        // Names are kept in small letters.
        let name = username.to_lowercase();
        let found = found.into_iter().find(|user| user.username == name);
        match found {
            Some(user) => self.with_groups(user, asked_at).await.map(Some),
            None => self.sees_everybody().await.map(|()| None),
        }
    }

    async fn with_groups(&self, user: User, asked_at: Timestamp) -> Result<Person, SourceError> {
        // What goes while it is being read must not look like somebody without groups.
        let changed = || SourceError::Unavailable("it changed while it was being read".into());
        // Whole in one answer unless a page is asked for, and by names, which two of them may share.
        let direct: Option<Vec<Group>> = self.get(&["users", &user.id, "groups"], &[]).await?;
        let direct = direct.ok_or_else(changed)?;
        let mut all: Vec<String> = Vec::new();
        for group in direct {
            let mut next = Some(group.id);
            // Upwards until there is nothing above, or what was seen already.
            while let Some(id) = next.take() {
                if all.contains(&id) {
                    break;
                }
                let group = self.get::<Group>(&["groups", checked(&id)?], &[]).await?;
                let group = group.ok_or_else(changed)?;
                next = group.parent_id.filter(|id| !id.is_empty());
                all.push(id);
            }
        }
        all.sort();
        Ok(self.taken(user, all, asked_at))
    }

    /// A page of all people. Their groups are those of the list's beginning, and so is its time: a
    /// newer word about somebody is not undone.
    pub(super) async fn people_page(&self, first: usize) -> Result<Page<Person>, SourceError> {
        let members = self.members(first == 0).await?;
        let total = self.get::<u64>(&["users", "count"], &[]).await?;
        let (from, max) = (first.to_string(), self.config.page_size.to_string());
        let query = [
            ("first", from.as_str()),
            ("max", max.as_str()),
            ("briefRepresentation", "false"),
        ];
        let users: Vec<User> = self.get(&["users"], &query).await?.unwrap_or_default();
        // A page that is shorter than asked for is the last only if nobody is left.
        let read = first + users.len();
        let left = total.is_some_and(|total| u64::try_from(read).is_ok_and(|read| read < total));
        let more = !users.is_empty() && (left || users.len() >= self.config.page_size);
        let next = more.then_some(read);
        if next.is_none() {
            *self.members.lock().await = None;
        }
        let items = users.into_iter().map(|user| {
            let groups = members.groups.get(&user.id).cloned().unwrap_or_default();
            self.taken(user, groups, members.read_at)
        });
        Ok(Page {
            items: items.collect(),
            next: next.map(|next| next.to_string()),
            total,
        })
    }

    async fn members(&self, anew: bool) -> Result<Arc<Members>, SourceError> {
        let mut kept = self.members.lock().await;
        if let (false, Some(members)) = (anew, &*kept) {
            return Ok(Arc::clone(members));
        }
        *kept = None;
        let read_at = self.clock.now();
        let all: Vec<DirectoryGroup> = self.all_groups().await?;
        let tree = Tree::new(all.clone(), Instant::now());
        let mut groups: HashMap<String, Vec<String>> = HashMap::new();
        for group in &all {
            let above = tree.with_parents([group.id.as_str()]);
            let above = above.map_err(|_| SourceError::Unavailable("its groups changed".into()))?;
            for member in self.members_of(&group.id).await? {
                groups
                    .entry(member)
                    .or_default()
                    .extend(above.iter().cloned());
            }
        }
        for of_one in groups.values_mut() {
            of_one.sort();
            of_one.dedup();
        }
        let members = Arc::new(Members { groups, read_at });
        *kept = Some(Arc::clone(&members));
        Ok(members)
    }

    fn taken(&self, user: User, groups: Vec<String>, read_at: Timestamp) -> Person {
        let names = [user.first_name, user.last_name];
        let names: Vec<String> = names
            .into_iter()
            .flatten()
            .filter(|name| !name.is_empty())
            .collect();
        let locale = user.attributes.get("locale").and_then(|all| all.first());
        let human = !user.username.starts_with(SERVICE_ACCOUNT);
        Person {
            source: self.config.id.clone(),
            aliases: Vec::new(),
            issuer: self.config.issuer.clone(),
            subject: Subject::new(user.id.clone()).ok(),
            id: user.id,
            username: user.username,
            name: names.join(" "),
            email: user.email.unwrap_or_default(),
            email_verified: user.email_verified,
            locale: locale.filter(|text| !text.is_empty()).cloned(),
            active: user.enabled,
            human,
            groups,
            read_at,
            gone_at: None,
        }
    }
}
