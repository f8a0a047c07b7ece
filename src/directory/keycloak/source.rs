//! Keycloak behind the interface that all directories have.

use super::Keycloak;
use crate::directory::source::{Page, Remark, Source, SourceError};
use crate::store::{DirectoryGroup, Person};
use crate::types::SourceId;
use async_trait::async_trait;
use std::collections::BTreeMap;

/// So many names are told at once.
const NAMED: usize = 5;

#[async_trait]
impl Source for Keycloak {
    fn id(&self) -> &SourceId {
        &self.config.id
    }

    async fn person(&self, id: &str) -> Result<Option<Person>, SourceError> {
        self.one_person(id).await
    }

    async fn person_by_username(&self, username: &str) -> Result<Option<Person>, SourceError> {
        self.one_named(username).await
    }

    async fn people(&self, from: Option<&str>) -> Result<Page<Person>, SourceError> {
        let first = from.map_or(Ok(0), str::parse);
        let first = first.map_err(|_| SourceError::Refused("that is no page of its".into()))?;
        self.people_page(first).await
    }

    async fn group(&self, id: &str) -> Result<Option<DirectoryGroup>, SourceError> {
        self.one_group(id).await
    }

    async fn groups(&self, _: Option<&str>) -> Result<Page<DirectoryGroup>, SourceError> {
        let items = self.all_groups().await?;
        Ok(Page {
            total: u64::try_from(items.len()).ok(),
            items,
            next: None,
        })
    }

    async fn members(&self, group: &str) -> Result<Vec<String>, SourceError> {
        self.members_of(group).await
    }

    async fn look(&self) -> Result<Vec<Remark>, SourceError> {
        let mut found = Vec::new();
        for asked in [
            self.sees_everybody().await.map(|()| Vec::new()),
            self.all_groups().await,
        ] {
            let error = match asked {
                Ok(groups) => {
                    found.extend(shared_names(&groups));
                    continue;
                }
                Err(error) if error.is_transient() => return Err(error),
                Err(error) => error,
            };
            let refused = matches!(error, SourceError::Credential(_));
            let remark = Remark {
                serious: true,
                about: if refused { "token" } else { "permission" },
                text: error.to_string(),
            };
            if !found.contains(&remark) {
                found.push(remark);
            }
            if refused {
                break;
            }
        }
        Ok(found)
    }
}

/// Groups that bear the same name, as they may at different places of the tree: an app's gate that is
/// bound to a name opens for either.
fn shared_names(groups: &[DirectoryGroup]) -> Option<Remark> {
    let mut times: BTreeMap<&str, usize> = BTreeMap::new();
    for group in groups {
        *times.entry(&group.name).or_default() += 1;
    }
    let shared = times.iter().filter(|(_, times)| **times > 1);
    let named: Vec<String> = shared.map(|(name, _)| format!("{name:?}")).collect();
    let some = named.get(..named.len().min(NAMED))?;
    let more = if named.len() > NAMED { " …" } else { "" };
    (!some.is_empty()).then(|| Remark {
        serious: false,
        about: "groups",
        text: format!(
            "several groups are called {}{more}: where an app names one of these, give its id as \
             well, or whoever is in any of them comes in",
            some.join(", ")
        ),
    })
}
