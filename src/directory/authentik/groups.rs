//! Groups: the tree that inherited membership is computed from, and single ones.

use super::Authentik;
use super::api::Said;
use super::shapes::Group;
use crate::directory::source::{Page, SourceError};
use crate::directory::tree::Tree;
use crate::store::DirectoryGroup;
use crate::types::Timestamp;
use std::sync::Arc;
use tokio::time::Instant;
use uuid::Uuid;

/// More groups than this are not believed: pages would go on for ever.
const MOST_PAGES: usize = 10_000;

impl Authentik {
    /// The tree, not older than the configuration allows.
    pub(super) async fn tree(&self) -> Result<Arc<Tree>, SourceError> {
        let mut kept = self.tree.lock().await;
        if let Some(tree) = &*kept
            && tree.read.elapsed() <= self.config.groups_max_age
        {
            return Ok(Arc::clone(tree));
        }
        self.read_tree(&mut kept).await
    }

    /// The tree as it is after this call began.
    pub(super) async fn fresh_tree(&self) -> Result<Arc<Tree>, SourceError> {
        let asked = Instant::now();
        let mut kept = self.tree.lock().await;
        // Somebody else began to read it while we waited for our turn.
        if let Some(tree) = &*kept
            && tree.read >= asked
        {
            return Ok(Arc::clone(tree));
        }
        self.read_tree(&mut kept).await
    }

    async fn read_tree(&self, kept: &mut Option<Arc<Tree>>) -> Result<Arc<Tree>, SourceError> {
        // What can't be read any more is not known any more.
        *kept = None;
        let began = Instant::now();
        let mut all = Vec::new();
        let mut page = Some(1);
        while let Some(number) = page {
            let (groups, next) = self.groups_page(number).await?;
            all.extend(groups.items);
            page = next.filter(|next| *next <= MOST_PAGES);
        }
        let tree = Arc::new(Tree::new(all, began));
        *kept = Some(Arc::clone(&tree));
        Ok(tree)
    }

    /// A page of groups.
    pub(super) async fn groups_page(
        &self,
        page: usize,
    ) -> Result<(Page<DirectoryGroup>, Option<usize>), SourceError> {
        let asked_at = self.clock.now();
        let query = [("ordering", "pk"), ("include_users", "false")];
        let (list, next) = self
            .list::<Group>(&["core", "groups"], &query, page)
            .await?;
        let total = list.total();
        let items = list
            .results
            .into_iter()
            .map(|group| self.taken(group, asked_at));
        let page = Page {
            items: items.collect(),
            next: next.map(|next| next.to_string()),
            total,
        };
        Ok((page, next))
    }

    /// One group, and who is in it directly; a 404 is believed as that of a person is.
    pub(super) async fn one_group(
        &self,
        id: &str,
    ) -> Result<Option<(DirectoryGroup, Vec<String>)>, SourceError> {
        let id = group_id(id)?;
        for again in [true, false] {
            let asked_at = self.clock.now();
            let path = ["core", "groups", id.as_str()];
            let asked = self
                .get::<Group>(&path, &[("include_users", "false")])
                .await?;
            if let Said::Found(mut group) = asked {
                let members = std::mem::take(&mut group.users);
                let members = members.iter().map(ToString::to_string).collect();
                return Ok(Some((self.taken(group, asked_at), members)));
            }
            if again {
                self.sees_every_group().await?;
            }
        }
        Ok(None)
    }

    fn taken(&self, group: Group, read_at: Timestamp) -> DirectoryGroup {
        DirectoryGroup {
            source: self.config.id.clone(),
            id: group.pk,
            name: group.name,
            parents: group.parents,
            read_at,
            gone_at: None,
        }
    }
}

/// Events write ids without dashes, the API takes both (difference 34): kept with dashes.
pub(super) fn group_id(id: &str) -> Result<String, SourceError> {
    let id = Uuid::parse_str(id)
        .map_err(|_| SourceError::Refused("the id of a group is a UUID".into()))?;
    Ok(id.to_string())
}
