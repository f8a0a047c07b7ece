//! Changes of resources: made, told to the directory, and only then answered, so that whoever lost
//! access has lost it when the client reads its 200.
//!
//! A change is made on what was read. Without `If-Match` somebody else's change in between is no
//! matter: it is made again on what is there then, so that two clients who add a member each lose
//! neither.

use super::connection::{Connected, base};
use super::error::{ScimError, ScimType};
use super::patch::{self, Patch};
use super::resource::{Said, draft, show};
use super::tell;
use crate::api::state::Api;
use crate::config::ScimConfig;
use crate::error::Code;
use crate::store::{By, ScimAt, ScimKind, ScimMembers, ScimResource, StoreError};
use serde_json::Value;
use std::collections::HashSet;
use uuid::Uuid;

/// How often a change is made again on what somebody else wrote in between.
const TRIES: usize = 20;

/// What `If-Match` demands.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) enum Matches {
    /// Nothing.
    #[default]
    Anything,
    /// One of these versions.
    Versions(Vec<String>),
}

impl Matches {
    /// # Errors
    /// 412.
    fn judge(&self, resource: &ScimResource) -> Result<(), ScimError> {
        match self {
            Self::Anything => Ok(()),
            Self::Versions(tags) => {
                let tag = show::tag(resource);
                let opaque = tag.strip_prefix("W/").unwrap_or(&tag);
                // Weak comparison: a version of ours is never anything but weak.
                let same = |known: &String| known.strip_prefix("W/").unwrap_or(known) == opaque;
                match tags.iter().any(same) {
                    true => Ok(()),
                    false => Err(ScimError::changed()),
                }
            }
        }
    }
}

/// Where changes are made.
pub(super) struct Desk<'a> {
    pub(super) api: &'a Api,
    pub(super) connection: &'a ScimConfig,
    by: By,
}

impl<'a> Desk<'a> {
    pub(super) fn new(api: &'a Api, connected: &'a Connected) -> Self {
        Self {
            api,
            connection: &connected.connection,
            by: connected.by(api),
        }
    }

    /// One resource.
    ///
    /// # Errors
    /// 404.
    pub(super) async fn read(&self, kind: ScimKind, id: &str) -> Result<ScimResource, ScimError> {
        let found = self.api.store.scim_resource(&self.connection.id, kind, id);
        found
            .await?
            .ok_or_else(|| ScimError::not_found(kind.as_str()))
    }

    /// Where a resource is.
    pub(super) fn location(&self, resource: &ScimResource) -> String {
        show::location(&base(self.api), resource.kind, &resource.id)
    }

    /// Makes a resource.
    pub(super) async fn create(
        &self,
        kind: ScimKind,
        body: Value,
    ) -> Result<ScimResource, ScimError> {
        let mut said = Said::read(kind, body, self.connection.strict)?;
        if kind == ScimKind::User {
            // Clients compare: what holds is said.
            said.body.entry("active").or_insert(Value::Bool(true));
        }
        // UUIDv7: lists come as resources were made, and no id is ever given twice.
        let id = Uuid::now_v7().to_string();
        let members = said.members.take().unwrap_or_default();
        self.members_are_known(&members).await?;
        let draft = draft(&said, &id, self.connection);
        let now = self.api.clock.now();
        let at = ScimAt {
            connection: &self.connection.id,
            kind,
            id: &id,
        };
        let store = &self.api.store;
        let made = store
            .scim_create(at, &draft, &members, now, &self.by)
            .await?;
        self.tell(&made).await?;
        Ok(made)
    }

    /// Makes a resource what the client says it is.
    pub(super) async fn replace(
        &self,
        kind: ScimKind,
        id: &str,
        matches: &Matches,
        body: Value,
    ) -> Result<ScimResource, ScimError> {
        let said = Said::read(kind, body, self.connection.strict)?;
        if said.id.as_deref().is_some_and(|said| said != id) {
            return Err(mutability("The id in the body is another resource's."));
        }
        self.change(kind, id, matches, |read, _| {
            let mut said = said.clone();
            if kind == ScimKind::User {
                // Nobody comes back by being left unmentioned.
                said.body
                    .entry("active")
                    .or_insert(Value::Bool(read.active));
            }
            // What was left out is cleared (RFC 7644 §3.5.1).
            said.members.get_or_insert_default();
            Ok(said)
        })
        .await
    }

    /// Changes parts of a resource.
    pub(super) async fn modify(
        &self,
        kind: ScimKind,
        id: &str,
        matches: &Matches,
        patch: &Patch,
    ) -> Result<ScimResource, ScimError> {
        let strict = self.connection.strict;
        self.change(kind, id, matches, |read, members| {
            let said = Said {
                kind,
                body: show::body(read),
                members: Some(members.to_vec()),
                id: Some(id.to_owned()),
            };
            patch::apply(patch, said, strict)
        })
        .await
    }

    /// Deletes a resource.
    pub(super) async fn delete(
        &self,
        kind: ScimKind,
        id: &str,
        matches: &Matches,
    ) -> Result<(), ScimError> {
        for _ in 0..TRIES {
            let read = self.read(kind, id).await?;
            matches.judge(&read)?;
            let now = self.api.clock.now();
            match self.api.store.scim_delete(&read, now, &self.by).await {
                Ok(()) => return self.tell(&read).await,
                Err(StoreError::Changed) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(ScimError::new(
            Code::Busy,
            None,
            "Too many change it at once.",
        ))
    }

    async fn change(
        &self,
        kind: ScimKind,
        id: &str,
        matches: &Matches,
        make: impl Fn(&ScimResource, &[String]) -> Result<Said, ScimError>,
    ) -> Result<ScimResource, ScimError> {
        for _ in 0..TRIES {
            let read = self.read(kind, id).await?;
            matches.judge(&read)?;
            let before = self.members(&read).await?;
            let said = make(&read, &before)?;
            let draft = draft(&said, id, self.connection);
            let members = difference(&before, said.members.as_deref());
            self.members_are_known(&members.add).await?;
            let same = draft.body == read.body
                && (draft.active, &draft.subject) == (read.active, &read.subject);
            if same && members.is_empty() {
                // Nothing new: but the directory may not have been told yet.
                self.tell(&read).await?;
                return Ok(read);
            }
            let now = self.api.clock.now();
            let store = &self.api.store;
            match store
                .scim_update(&read, &draft, &members, now, &self.by)
                .await
            {
                Ok(written) => {
                    self.tell(&written).await?;
                    return Ok(written);
                }
                Err(StoreError::Changed) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(ScimError::new(
            Code::Busy,
            None,
            "Too many change it at once.",
        ))
    }

    async fn members(&self, resource: &ScimResource) -> Result<Vec<String>, ScimError> {
        if resource.kind != ScimKind::Group {
            return Ok(Vec::new());
        }
        let id = std::slice::from_ref(&resource.id);
        let edges = self.api.store.scim_members(&self.connection.id, id).await?;
        Ok(edges.into_iter().map(|edge| edge.member).collect())
    }

    /// In strict mode a member must be somebody. Otherwise an id of nobody is kept, since a client
    /// that has lost track would send it for ever; it is never given to anybody.
    async fn members_are_known(&self, ids: &[String]) -> Result<(), ScimError> {
        if !self.connection.strict {
            return Ok(());
        }
        for id in ids {
            let found = self.api.store.scim_to_tell(&self.connection.id, id).await?;
            if found.is_none_or(|found| found.deleted_at.is_some()) {
                return Err(ScimError::bad(
                    ScimType::InvalidValue,
                    "A member is no resource that is known.",
                ));
            }
        }
        Ok(())
    }

    async fn tell(&self, changed: &ScimResource) -> Result<(), ScimError> {
        tell::after(self.api, self.connection, changed, &self.by).await
    }
}

/// Who joins and who leaves.
fn difference(before: &[String], after: Option<&[String]>) -> ScimMembers {
    let Some(after) = after else {
        return ScimMembers::default();
    };
    let (were, are): (HashSet<_>, HashSet<_>) = (before.iter().collect(), after.iter().collect());
    ScimMembers {
        add: after
            .iter()
            .filter(|id| !were.contains(id))
            .cloned()
            .collect(),
        remove: before
            .iter()
            .filter(|id| !are.contains(id))
            .cloned()
            .collect(),
    }
}

pub(super) fn mutability(detail: &'static str) -> ScimError {
    ScimError::bad(ScimType::Mutability, detail)
}
