//! Groups: a tree, whose branches are asked for one by one.

use super::Keycloak;
use crate::directory::source::SourceError;
use crate::store::DirectoryGroup;
use serde::Deserialize;
use serde::de::DeserializeOwned;

/// Deeper trees are not followed: then the count does not fit, and nothing is believed.
const DEEPEST: usize = 32;
/// How often a list that changes while it is read is read from its beginning.
const ATTEMPTS: usize = 3;

/// What is listed, page after page.
pub(super) trait Listed: DeserializeOwned {
    /// Its id.
    fn id(&self) -> &str;
}

/// A group.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Group {
    pub(super) id: String,
    pub(super) name: String,
    #[serde(default)]
    pub(super) parent_id: Option<String>,
    #[serde(default)]
    pub(super) sub_group_count: Option<i64>,
}

/// Somebody in it.
#[derive(Debug, Deserialize)]
pub(super) struct Member {
    pub(super) id: String,
}

/// How many groups there are, at all depths; those of organisations are not among them.
#[derive(Deserialize)]
struct Count {
    count: usize,
}

impl Listed for Group {
    fn id(&self) -> &str {
        &self.id
    }
}

impl Listed for Member {
    fn id(&self) -> &str {
        &self.id
    }
}

impl Keycloak {
    /// All groups, each with the one above it. Whoever may ask for groups and not see them is shown
    /// an empty list: as many as there are must have been shown.
    pub(super) async fn all_groups(&self) -> Result<Vec<DirectoryGroup>, SourceError> {
        let (mut shown, mut there) = (0, 0);
        for _ in 0..ATTEMPTS {
            let counted = self.get::<Count>(&["groups", "count"], &[]).await?;
            let Some(Count { count }) = counted else {
                return Err(SourceError::Unavailable(
                    "it does not count its groups".into(),
                ));
            };
            let found = self.tree().await?;
            if found.len() >= count {
                return Ok(found);
            }
            // One may have gone in between.
            (shown, there) = (found.len(), count);
        }
        Err(SourceError::Permission(format!(
            "it shows {shown} of its {there} groups: the client's service account lacks view-users \
             of realm-management"
        )))
    }

    async fn tree(&self) -> Result<Vec<DirectoryGroup>, SourceError> {
        let read_at = self.clock.now();
        let mut found = Vec::new();
        let mut left: Vec<(Option<String>, usize)> = vec![(None, 0)];
        while let Some((above, depth)) = left.pop() {
            let path: Vec<&str> = match &above {
                None => vec!["groups"],
                Some(id) => vec!["groups", id, "children"],
            };
            // A group that went meanwhile has nothing below it.
            for group in self.whole_list::<Group>(&path).await?.unwrap_or_default() {
                if group.sub_group_count != Some(0) && depth < DEEPEST {
                    left.push((Some(group.id.clone()), depth + 1));
                }
                found.push(DirectoryGroup {
                    source: self.config.id.clone(),
                    id: group.id,
                    name: group.name,
                    parents: above.iter().cloned().collect(),
                    read_at,
                    gone_at: None,
                });
            }
        }
        found.sort_by(|a, b| a.id.cmp(&b.id));
        found.dedup_by(|a, b| a.id == b.id);
        Ok(found)
    }

    /// One group.
    pub(super) async fn one_group(&self, id: &str) -> Result<Option<DirectoryGroup>, SourceError> {
        for again in [true, false] {
            let read_at = self.clock.now();
            if let Some(group) = self.get::<Group>(&["groups", checked(id)?], &[]).await? {
                return Ok(Some(DirectoryGroup {
                    source: self.config.id.clone(),
                    id: group.id,
                    name: group.name,
                    parents: group
                        .parent_id
                        .into_iter()
                        .filter(|id| !id.is_empty())
                        .collect(),
                    read_at,
                    gone_at: None,
                }));
            }
            if again {
                self.sees_everybody().await?;
            }
        }
        Ok(None)
    }

    /// Who is in a group directly.
    pub(super) async fn members_of(&self, id: &str) -> Result<Vec<String>, SourceError> {
        let members = self
            .whole_list::<Member>(&["groups", checked(id)?, "members"])
            .await?;
        let members = members.unwrap_or_default();
        Ok(members.into_iter().map(|member| member.id).collect())
    }

    /// A list, page after page; `None` when there is no such thing.
    ///
    /// Each page begins with the last entry of the one before: were that not there, somebody before it
    /// went meanwhile, and somebody behind it would be missed. The end is where nothing follows, never
    /// a page that is shorter than asked for.
    pub(super) async fn whole_list<T: Listed>(
        &self,
        path: &[&str],
    ) -> Result<Option<Vec<T>>, SourceError> {
        for _ in 0..ATTEMPTS {
            match self.list_once(path).await? {
                Read::Whole(all) => return Ok(Some(all)),
                Read::Nothing => return Ok(None),
                Read::Moved => {}
            }
        }
        Err(SourceError::Unavailable(
            "a list changed each time that it was read".into(),
        ))
    }

    async fn list_once<T: Listed>(&self, path: &[&str]) -> Result<Read<T>, SourceError> {
        let mut all: Vec<T> = Vec::new();
        loop {
            let first = all.len().saturating_sub(1).to_string();
            let max = (self.config.page_size + usize::from(!all.is_empty())).to_string();
            let query = [
                ("first", first.as_str()),
                ("max", max.as_str()),
                ("briefRepresentation", "true"),
            ];
            let Some(page) = self.get::<Vec<T>>(path, &query).await? else {
                return Ok(Read::Nothing);
            };
            let mut page = page.into_iter();
            if let Some(last) = all.last()
                && page.next().is_none_or(|again| again.id() != last.id())
            {
                return Ok(Read::Moved);
            }
            let before = all.len();
            all.extend(page);
            if all.len() == before {
                return Ok(Read::Whole(all));
            }
        }
    }
}

enum Read<T> {
    Whole(Vec<T>),
    Nothing,
    /// It changed while it was read.
    Moved,
}

/// Ids go into paths.
pub(super) fn checked(id: &str) -> Result<&str, SourceError> {
    // Those of people who are kept elsewhere have the name there in them: `f:…:alice@example.com`.
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-_:.@+".contains(&b);
    if id.trim_matches('.').is_empty() || id.len() > 255 || !id.bytes().all(plain) {
        return Err(SourceError::Refused("that is no id of its".into()));
    }
    Ok(id)
}
