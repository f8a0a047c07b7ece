//! People: one, or a page of all.

use super::Authentik;
use super::api::Said;
use super::shapes::User;
use super::whole::groups_hidden;
use crate::config::AuthentikSubject;
use crate::directory::source::{Page, SourceError};
use crate::directory::tree::Tree;
use crate::store::Person;
use crate::types::{Subject, Timestamp};

const BRIEF: [(&str, &str); 2] = [("include_groups", "false"), ("include_roles", "false")];

impl Authentik {
    /// One person by number.
    pub(super) async fn one_person(&self, id: &str) -> Result<Option<Person>, SourceError> {
        if id.is_empty() || id.len() > 18 || !id.bytes().all(|b| b.is_ascii_digit()) {
            return Err(SourceError::Refused("the id of a user is a number".into()));
        }
        // A 404 is believed when the token sees everybody, and when it comes again after that.
        for again in [true, false] {
            let asked_at = self.clock.now();
            let asked = self.get::<User>(&["core", "users", id], &BRIEF).await?;
            if let Said::Found(user) = asked {
                if user.pk.to_string() != id {
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
        for again in [true, false] {
            let asked_at = self.clock.now();
            let mut query = BRIEF.to_vec();
            query.push(("username", username));
            let (list, _) = self.list::<User>(&["core", "users"], &query, 1).await?;
            let mut found = list
                .results
                .into_iter()
                .filter(|user| user.username == username);
            if let Some(user) = found.next() {
                return self.with_groups(user, asked_at).await.map(Some);
            }
            if again {
                self.sees_everybody().await?;
            }
        }
        Ok(None)
    }

    /// A page of all people. Not one moment's picture: whoever is missing is asked for by themselves.
    pub(super) async fn people_page(&self, page: usize) -> Result<Page<Person>, SourceError> {
        let mut query = BRIEF.to_vec();
        query.push(("ordering", "pk"));
        let asked_at = self.clock.now();
        let (list, next) = self.list::<User>(&["core", "users"], &query, page).await?;
        let total = list.total();
        let mut tree = self.tree().await?;
        let known = |tree: &Tree| {
            let groups = list.results.iter().flat_map(|user| &user.groups);
            groups.into_iter().all(|id| tree.holds(id))
        };
        if !known(&tree) {
            tree = self.fresh_tree().await?;
        }
        let mut items = Vec::with_capacity(list.results.len());
        for user in list.results {
            let all = tree.with_parents(user.groups.iter().map(String::as_str));
            items.push(match all {
                Ok(groups) => self.taken_person(user, groups, asked_at),
                // A group of theirs went, or came, between the two answers.
                Err(_) => self.with_groups(user, asked_at).await?,
            });
        }
        Ok(Page {
            items,
            next: next.map(|next| next.to_string()),
            total,
        })
    }

    /// The person with the groups that they inherit. Who is in a group that is not shown is asked for
    /// again; if they still are, the token does not see all groups, and nothing is said of them.
    async fn with_groups(
        &self,
        mut user: User,
        mut asked_at: Timestamp,
    ) -> Result<Person, SourceError> {
        let mut tree = self.tree().await?;
        for _ in 0..3 {
            let all = tree.with_parents(user.groups.iter().map(String::as_str));
            if let Ok(groups) = all {
                return Ok(self.taken_person(user, groups, asked_at));
            }
            tree = self.fresh_tree().await?;
            let all = tree.with_parents(user.groups.iter().map(String::as_str));
            if let Ok(groups) = all {
                return Ok(self.taken_person(user, groups, asked_at));
            }
            let id = user.pk.to_string();
            asked_at = self.clock.now();
            match self.get::<User>(&["core", "users", &id], &BRIEF).await? {
                Said::Found(again) => user = again,
                Said::None => break,
            }
        }
        Err(groups_hidden())
    }

    pub(super) fn taken_person(
        &self,
        user: User,
        groups: Vec<String>,
        read_at: Timestamp,
    ) -> Person {
        let subject = match self.own.subject {
            AuthentikSubject::Uid => user.uid.clone(),
            AuthentikSubject::Uuid => user.uuid.clone(),
            AuthentikSubject::Pk => user.pk.to_string(),
        };
        let locale = user
            .attributes
            .get("settings")
            .and_then(|all| all.get("locale"));
        let locale = locale
            .and_then(|text| text.as_str())
            .filter(|text| !text.is_empty());
        let human = self.own.types.iter().any(|kind| kind.as_str() == user.kind)
            && !self
                .own
                .ignore
                .iter()
                .any(|path| is_at_or_below(&user.path, path));
        Person {
            source: self.config.id.clone(),
            id: user.pk.to_string(),
            aliases: vec![format!("uid:{}", user.uid), format!("uuid:{}", user.uuid)],
            issuer: self.config.issuer.clone(),
            subject: Subject::new(subject).ok(),
            locale: locale.map(str::to_owned),
            username: user.username,
            name: user.name,
            email: user.email,
            // It vouches for no address.
            email_verified: false,
            active: user.is_active,
            human,
            groups,
            read_at,
            gone_at: None,
        }
    }
}

fn is_at_or_below(path: &str, top: &str) -> bool {
    let rest = path.strip_prefix(top);
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}
