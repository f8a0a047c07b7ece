//! Keycloak behind the interface that all directories have.

use super::Keycloak;
use crate::directory::source::{Page, Remark, Source, SourceError};
use crate::store::{DirectoryGroup, Person};
use crate::types::SourceId;
use async_trait::async_trait;

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
        for (about, asked) in [
            ("permission", self.sees_everybody().await),
            ("permission", self.all_groups().await.map(drop)),
        ] {
            match asked {
                Ok(()) => {}
                Err(error) if error.is_transient() => return Err(error),
                Err(error @ SourceError::Credential(_)) => {
                    found.push(Remark {
                        serious: true,
                        about: "token",
                        text: error.to_string(),
                    });
                    break;
                }
                Err(error) => found.push(Remark {
                    serious: true,
                    about,
                    text: error.to_string(),
                }),
            }
        }
        Ok(found)
    }
}
