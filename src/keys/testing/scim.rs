//! Keys never ask for SCIM resources.

use super::store::{KeyStore, not_ours};
use crate::store::*;
use crate::types::{SourceId, Timestamp};
use async_trait::async_trait;

#[async_trait]
impl ScimStore for KeyStore {
    async fn scim_create(
        &self,
        _: ScimAt<'_>,
        _: &ScimDraft,
        _: &[String],
        _: Timestamp,
        _: &By,
    ) -> Result<ScimResource> {
        not_ours()
    }

    async fn scim_update(
        &self,
        _: &ScimResource,
        _: &ScimDraft,
        _: &ScimMembers,
        _: Timestamp,
        _: &By,
    ) -> Result<ScimResource> {
        not_ours()
    }

    async fn scim_delete(&self, _: &ScimResource, _: Timestamp, _: &By) -> Result<()> {
        not_ours()
    }

    async fn scim_resource(
        &self,
        _: &SourceId,
        _: ScimKind,
        _: &str,
    ) -> Result<Option<ScimResource>> {
        not_ours()
    }

    async fn scim_members(&self, _: &SourceId, _: &[String]) -> Result<Vec<ScimMember>> {
        not_ours()
    }

    async fn scim_groups_of(&self, _: &SourceId, _: &[String]) -> Result<Vec<ScimGroupOf>> {
        not_ours()
    }

    async fn scim_search(&self, _: &SourceId, _: &ScimSearch) -> Result<ScimFound> {
        not_ours()
    }

    async fn scim_due(&self, _: &SourceId, _: u32) -> Result<Vec<ScimResource>> {
        not_ours()
    }

    async fn scim_to_tell(&self, _: &SourceId, _: &str) -> Result<Option<ScimResource>> {
        not_ours()
    }

    async fn scim_told(&self, _: &str, _: i64) -> Result<()> {
        not_ours()
    }

    async fn scim_count(&self, _: &SourceId, _: Timestamp) -> Result<ScimCount> {
        not_ours()
    }
}
