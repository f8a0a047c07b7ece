//! Groups: a tree, whose branches are asked for one by one.

use super::Keycloak;
use crate::directory::source::SourceError;
use crate::store::DirectoryGroup;
use serde::Deserialize;

/// Deeper trees are not followed.
const DEEPEST: usize = 32;

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

impl Keycloak {
    /// All groups, each with the one above it.
    pub(super) async fn all_groups(&self) -> Result<Vec<DirectoryGroup>, SourceError> {
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
    pub(super) async fn whole_list<T: serde::de::DeserializeOwned>(
        &self,
        path: &[&str],
    ) -> Result<Option<Vec<T>>, SourceError> {
        let mut all = Vec::new();
        let size = self.config.page_size;
        loop {
            let (first, max) = (all.len().to_string(), size.to_string());
            let query = [
                ("first", first.as_str()),
                ("max", max.as_str()),
                ("briefRepresentation", "true"),
            ];
            let Some(page) = self.get::<Vec<T>>(path, &query).await? else {
                return Ok(None);
            };
            let whole = page.len() < size;
            all.extend(page);
            if whole {
                return Ok(Some(all));
            }
        }
    }
}

/// Ids go into paths.
pub(super) fn checked(id: &str) -> Result<&str, SourceError> {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-_:".contains(&b);
    if id.is_empty() || id.len() > 255 || !id.bytes().all(plain) {
        return Err(SourceError::Refused("that is no id of its".into()));
    }
    Ok(id)
}
