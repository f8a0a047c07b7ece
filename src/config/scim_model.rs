//! The checked form of `[[scim]]`.

use crate::types::{ClientId, IssuerId, SourceId};
use std::time::Duration;

/// `[[scim]]`: a SCIM client that provisions people and groups, with a room of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScimConfig {
    /// Never change it: what the client put here is kept under it.
    pub id: SourceId,
    /// Which of `[[clients]]` may use it; each uses one connection alone.
    pub clients: Vec<ClientId>,
    /// Whose subjects the client's users are.
    pub issuer: IssuerId,
    /// What of a user says whom assertions name.
    pub subject: ScimSubject,
    /// Whether only what the schemas say is taken. Default false.
    pub strict: bool,
    /// The directory that is asked again about whoever a change concerns; `None`: nobody is asked.
    pub reread: Option<SourceId>,
    /// What a PATCH is answered with.
    pub patch_answer: ScimPatchAnswer,
    /// Most resources of a page. Default 200.
    pub page: u32,
    /// Longest request body in bytes. Default 4 MiB.
    pub body: usize,
    /// Most operations of a PATCH. Default 1000.
    pub patch_operations: usize,
    /// Most operations of a bulk request. Default 100.
    pub bulk_operations: usize,
    /// When accounts are not deactivated any more.
    pub brake: ScimBrake,
}

/// What says whom assertions name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ScimSubject {
    /// `externalId`: Authentik's, with the provider's default subject mode. The default.
    ExternalId,
    /// An attribute, by its path.
    Attribute(String),
    /// Nothing: users here are no subjects' until something else says so.
    Nobody,
}

/// `patch_answer`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ScimPatchAnswer {
    /// 200 with the resource. The default.
    Resource,
    /// 204, unless attributes were asked for (RFC 7644 §3.5.2).
    Nothing,
}

/// More people than both of these, deactivated or deleted within the time, are taken for a mistake:
/// they are kept out all the same, but their accounts in apps stay as they are until an operator
/// says so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ScimBrake {
    /// So many people. Default 10.
    pub number: usize,
    /// So many of a hundred. Default 20.
    pub share: usize,
    /// Within so long. Default 1 h.
    pub window: Duration,
}

impl ScimBrake {
    /// Whether so many who went, beside so many who are there still, are too many.
    #[must_use]
    pub fn holds(&self, gone: i64, left: i64) -> bool {
        let gone = usize::try_from(gone).unwrap_or_default();
        let left = usize::try_from(left).unwrap_or_default();
        gone > self.number && gone.saturating_mul(100) > self.share.saturating_mul(gone + left)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_brake_holds_beyond_both_number_and_share() {
        let brake = ScimBrake {
            number: 10,
            share: 20,
            window: Duration::from_secs(3600),
        };
        assert!(!brake.holds(10, 0));
        assert!(brake.holds(11, 0));
        assert!(!brake.holds(11, 100));
        assert!(!brake.holds(20, 80));
        assert!(brake.holds(21, 79));
        assert!(!brake.holds(-1, -1));
    }
}
