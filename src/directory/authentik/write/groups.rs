//! Groups: what one gives power over, and putting somebody into it.

use super::super::api::Said;
use super::super::groups::group_id;
use super::super::shapes::PowerGroup;
use super::super::whole::groups_hidden;
use super::AuthentikWriter;
use crate::directory::source::SourceError;
use crate::directory::writer::{Ancestor, Lineage, WriteError};
use serde_json::json;
use std::collections::BTreeSet;

/// More groups above one than this are not believed.
const MOST: usize = 200;

impl AuthentikWriter {
    /// A group, and every group that it is in, as the reader sees them. One that is named and not
    /// shown may be anything, so there is no answer then.
    pub(super) async fn lineage_of(&self, group: &str) -> Result<Lineage, WriteError> {
        let own = group_id(group)?;
        let Some(first) = self.power_of(&own).await? else {
            return Err(WriteError::Missing(format!(
                "the directory has no group {own}, or does not show it"
            )));
        };
        let (mut seen, mut left) = (BTreeSet::from([own]), first.parents.clone());
        let mut above = Vec::new();
        while let Some(id) = left.pop() {
            if !seen.insert(id.clone()) {
                continue;
            }
            if seen.len() > MOST {
                let text = format!("more than {MOST} groups are above one");
                return Err(SourceError::Unavailable(text).into());
            }
            let of = self.power_of(&id).await?.ok_or_else(groups_hidden)?;
            left.extend(of.parents.iter().cloned());
            above.push(ancestor(of));
        }
        Ok(Lineage::new(ancestor(first), above))
    }

    async fn power_of(&self, id: &str) -> Result<Option<PowerGroup>, SourceError> {
        let path = ["core", "groups", id];
        let asked = self
            .reader
            .get::<PowerGroup>(&path, &[("include_users", "false")]);
        match asked.await? {
            Said::Found(group) if group.pk == id => Ok(Some(group)),
            Said::Found(_) => Err(SourceError::Unavailable(
                "it answers about another group".into(),
            )),
            Said::None => Ok(None),
        }
    }

    /// `POST /core/groups/{group}/add_user/`: the same, however often it is sent.
    pub(super) async fn add(&self, person: &str, group: &str) -> Result<(), WriteError> {
        let pk: i64 = (person.parse().ok())
            .filter(|pk| *pk > 0)
            .ok_or_else(|| SourceError::Refused("the id of a user is a number".into()))?;
        self.add_user(pk, group).await
    }

    pub(super) async fn add_user(&self, pk: i64, group: &str) -> Result<(), WriteError> {
        let path = ["core", "groups", group, "add_user"];
        let body = json!({ "pk": pk });
        self.change(http::Method::POST, &path, Some(&body)).await?;
        Ok(())
    }
}

fn ancestor(group: PowerGroup) -> Ancestor {
    let power = if group.is_superuser {
        Some("its members may do everything in the directory")
    } else if !group.roles.is_empty() {
        Some("its members have roles in the directory")
    } else {
        None
    };
    Ancestor {
        id: group.pk,
        name: group.name,
        power,
    }
}
