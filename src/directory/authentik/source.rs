//! Authentik behind the interface that all directories have.

use super::Authentik;
use crate::directory::source::{Page, Recent, Remark, Source, SourceError};
use crate::store::{DirectoryGroup, Person};
use crate::types::{SourceId, Timestamp};
use async_trait::async_trait;

#[async_trait]
impl Source for Authentik {
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
        self.people_page(page(from)?).await
    }

    async fn group(&self, id: &str) -> Result<Option<DirectoryGroup>, SourceError> {
        let found = self.one_group(id).await?;
        // What is asked about a group is asked since something about it changed.
        self.fresh_tree().await?;
        Ok(found.map(|(group, _)| group))
    }

    async fn groups(&self, from: Option<&str>) -> Result<Page<DirectoryGroup>, SourceError> {
        let from = page(from)?;
        // Whoever lists groups reads people next, and must not compute with an older tree.
        if from == 1 {
            *self.tree.lock().await = None;
        }
        self.groups_page(from).await.map(|(page, _)| page)
    }

    async fn members(&self, group: &str) -> Result<Vec<String>, SourceError> {
        let found = self.one_group(group).await?;
        Ok(found.map(|(_, members)| members).unwrap_or_default())
    }

    async fn recent(&self, mark: Option<&str>) -> Result<Recent, SourceError> {
        self.changed_since(mark).await
    }

    async fn look(&self) -> Result<Vec<Remark>, SourceError> {
        self.remarks().await
    }

    async fn newest_change(&self) -> Result<Option<Timestamp>, SourceError> {
        self.newest_event().await
    }
}

fn page(from: Option<&str>) -> Result<usize, SourceError> {
    match from.map(str::parse) {
        None => Ok(1),
        Some(Ok(page)) if page >= 1 => Ok(page),
        Some(_) => Err(SourceError::Refused("that is no page of its".into())),
    }
}
