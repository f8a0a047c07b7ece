//! What SCIM connections have put here, as the store keeps it: resources as JSON, an index of the
//! simple values in them, and memberships. What lives here: the records and the trait that both
//! engines implement ([`condition`]: what a search asks; [`sql`]: how both engines ask it). What does
//! not: SCIM itself (`api::scim`), and what follows for people (`directory`).
//!
//! A resource belongs to one **connection**, and no method finds another's.
//!
//! What the directory is told of a resource is its **word**. Whatever may change it raises `word` in
//! the same transaction, and `told` follows when it has been told: a crash in between leaves a
//! resource that is *due*, and loses nothing.

mod condition;
pub(super) mod sql;

pub use condition::{
    ScimCompare, ScimCondition, ScimElement, ScimOrder, ScimPlace, ScimSort, ScimTime, ordered,
};

use super::{By, Result};
use crate::types::{IssuerId, SourceId, Subject, Timestamp};
use async_trait::async_trait;
use serde::{Deserialize, Serialize};

stored_words! {
    /// What a resource is.
    ScimKind {
        /// A person.
        User = "user",
        /// A group of people and groups.
        Group = "group",
    }
}

impl ScimKind {
    /// Every kind.
    pub const ALL: [Self; 2] = [Self::User, Self::Group];
}

/// A resource, as stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScimResource {
    /// Its id: a UUID of ours, never given twice.
    pub id: String,
    /// Whose it is.
    pub connection: SourceId,
    /// What it is.
    pub kind: ScimKind,
    /// What the client said, as a JSON object, without what is ours to say.
    pub body: String,
    /// The client's own id of it.
    pub external_id: Option<String>,
    /// Whom assertions name, by the connection's subject rule.
    pub subject: Option<Subject>,
    /// Whether they may sign in; a group always is.
    pub active: bool,
    /// Raised by each change.
    pub version: i64,
    /// Raised by whatever may change what the directory is told.
    pub word: i64,
    /// The word that it has been told.
    pub told: i64,
    /// When.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
    /// Since when it has been deleted.
    pub deleted_at: Option<Timestamp>,
}

impl ScimResource {
    /// Whether the directory has not been told the newest of it.
    #[must_use]
    pub const fn is_due(&self) -> bool {
        self.word > self.told
    }
}

/// Where a resource is, or is to be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ScimAt<'a> {
    /// Whose.
    pub connection: &'a SourceId,
    /// What.
    pub kind: ScimKind,
    /// Its id.
    pub id: &'a str,
}

/// A resource as it is to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScimDraft {
    /// What the client said, as JSON.
    pub body: String,
    /// `userName` or `displayName` as it is compared: of one connection and kind no two are the
    /// same. `None`: it need not be unique.
    pub name: Option<String>,
    /// The client's own id of it: of one connection and kind no two are the same.
    pub external_id: Option<String>,
    /// Who vouches for the subject.
    pub issuer: IssuerId,
    /// Whom assertions name.
    pub subject: Option<Subject>,
    /// Whether they may sign in.
    pub active: bool,
    /// The simple values that stand in it.
    pub values: Vec<ScimValue>,
}

/// A simple value of a resource.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScimValue {
    /// The attribute, lower case; of an extension with its URN and a colon before it.
    pub attr: String,
    /// Which of several values of the attribute.
    pub element: i64,
    /// The sub-attribute, lower case; empty for the attribute itself.
    pub sub: String,
    /// Whether it is in the primary value.
    pub main: bool,
    /// The value.
    pub value: ScimScalar,
}

/// What a simple value is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ScimScalar {
    /// A text, folded where case does not count.
    Text(String),
    /// A number, as [`ordered`] says.
    Number(i64),
    /// A flag.
    Flag(bool),
}

/// Who joins a group and who leaves it: ids.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ScimMembers {
    /// These are members from now on.
    pub add: Vec<String>,
    /// These no more.
    pub remove: Vec<String>,
}

impl ScimMembers {
    /// Whether nothing changes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.add.is_empty() && self.remove.is_empty()
    }
}

/// A membership.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScimMember {
    /// The group's id.
    pub group: String,
    /// The member's id, of a user, a group, or of nothing that is known.
    pub member: String,
    /// What the member is, when it is known.
    pub kind: Option<ScimKind>,
}

/// A group that a member is in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScimGroupOf {
    /// Whose.
    pub member: String,
    /// The group's id.
    pub group: String,
    /// The client's own id of the group.
    pub external_id: Option<String>,
    /// Whether they are in it themselves, not only by a group in it.
    pub direct: bool,
    /// The group's `body`.
    pub body: String,
}

/// What is searched.
#[derive(Debug, Clone, Default)]
pub struct ScimSearch {
    /// Of these kinds.
    pub kinds: Vec<ScimKind>,
    /// Only what passes this.
    pub condition: Option<ScimCondition>,
    /// In which order; `None`: as they came.
    pub sort: Option<ScimSort>,
    /// So many are left out at the beginning.
    pub offset: i64,
    /// At most so many; 0 for the total alone.
    pub limit: u32,
}

/// What was found.
#[derive(Debug, Clone, Default)]
pub struct ScimFound {
    /// How many pass in all.
    pub total: i64,
    /// The page of them.
    pub resources: Vec<ScimResource>,
}

/// How a connection is doing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ScimCount {
    /// Users who may sign in.
    pub active: i64,
    /// Users who may not.
    pub inactive: i64,
    /// Groups.
    pub groups: i64,
    /// Resources that the directory must still be told of.
    pub due: i64,
    /// Users who were deactivated or deleted since the asked-for time, and are so still.
    pub ended: i64,
}

/// A change, for the audit trail.
#[derive(Debug, Clone, Copy)]
pub struct ScimChange<'a> {
    /// Whose.
    pub connection: &'a SourceId,
    /// Of what.
    pub kind: ScimKind,
    /// Which.
    pub id: &'a str,
    /// What happened.
    pub what: ScimWhat,
    /// How many joined and left.
    pub members: (usize, usize),
}

/// What happened to a resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ScimWhat {
    /// It was made.
    Created,
    /// It was changed.
    Changed,
    /// They may sign in again.
    Activated,
    /// They may sign in no more.
    Deactivated,
    /// It was deleted.
    Deleted,
}

impl ScimWhat {
    /// In one word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Changed => "changed",
            Self::Activated => "activated",
            Self::Deactivated => "deactivated",
            Self::Deleted => "deleted",
        }
    }

    /// What a change from `before` to `after` is.
    pub(super) const fn of(before: bool, after: bool) -> Self {
        match (before, after) {
            (true, false) => Self::Deactivated,
            (false, true) => Self::Activated,
            _ => Self::Changed,
        }
    }
}

/// What a unique value is called in [`super::StoreError::Taken`].
pub const SCIM_NAME: &str = "the SCIM name";
/// The same.
pub const SCIM_EXTERNAL_ID: &str = "the SCIM externalId";

/// What SCIM connections have put here.
#[async_trait]
pub trait ScimStore: Send + Sync {
    /// Makes a resource. `StoreError::Taken` of [`SCIM_NAME`] or [`SCIM_EXTERNAL_ID`]
    /// when another of the connection and kind has it: of many at once one is made.
    async fn scim_create(
        &self,
        at: ScimAt<'_>,
        draft: &ScimDraft,
        members: &[String],
        now: Timestamp,
        by: &By,
    ) -> Result<ScimResource>;

    /// Writes a resource that is as it was read; `StoreError::Changed` otherwise, and `Taken` as
    /// above. Whoever joins or leaves a group, directly or below, is due.
    async fn scim_update(
        &self,
        read: &ScimResource,
        draft: &ScimDraft,
        members: &ScimMembers,
        now: Timestamp,
        by: &By,
    ) -> Result<ScimResource>;

    /// Deletes a resource that is as it was read; `StoreError::Changed` otherwise. Its memberships
    /// and its members' are gone with it, its name is free, its id is never given again.
    async fn scim_delete(&self, read: &ScimResource, now: Timestamp, by: &By) -> Result<()>;

    /// One resource that is not deleted.
    async fn scim_resource(
        &self,
        connection: &SourceId,
        kind: ScimKind,
        id: &str,
    ) -> Result<Option<ScimResource>>;

    /// The members of some groups, by group and member.
    async fn scim_members(
        &self,
        connection: &SourceId,
        groups: &[String],
    ) -> Result<Vec<ScimMember>>;

    /// The groups that some users are in, inherited ones included.
    async fn scim_groups_of(
        &self,
        connection: &SourceId,
        members: &[String],
    ) -> Result<Vec<ScimGroupOf>>;

    /// A page of what passes.
    async fn scim_search(&self, connection: &SourceId, search: &ScimSearch) -> Result<ScimFound>;

    /// What the directory must still be told, deleted ones included, who lost access first.
    async fn scim_due(&self, connection: &SourceId, limit: u32) -> Result<Vec<ScimResource>>;

    /// One resource whether it is deleted or not, for telling.
    async fn scim_to_tell(&self, connection: &SourceId, id: &str) -> Result<Option<ScimResource>>;

    /// The directory has been told this word of a resource.
    async fn scim_told(&self, id: &str, word: i64) -> Result<()>;

    /// How a connection is doing.
    async fn scim_count(&self, connection: &SourceId, since: Timestamp) -> Result<ScimCount>;
}
