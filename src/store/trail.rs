//! The audit trail as the store keeps it: which changes are recorded, what a record is before and
//! after it is appended, and how one is linked to the next. What a record says is `audit`'s matter:
//! here its body is a text.
//!
//! A change that must be accounted for and its records are one transaction: a method that takes a
//! [`By`] asks it what to write once it knows what it really changed, and fails as a whole when that
//! can't be appended. There is nothing in between that a crash could lose.

use super::{
    Account, EndReason, Job, Membership, MembershipEnd, Person, ScimChange, Session, StoreError,
    StoredKey, User,
};
use crate::types::{AppId, Timestamp, UserId};
use aws_lc_rs::digest::{Context, SHA256};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// SHA-256 of a record and all that came before it.
pub type RecordHash = [u8; 32];

/// What the first record is linked to.
pub const GENESIS: RecordHash = [0; 32];

/// What a transaction changed.
#[derive(Clone, Copy)]
pub enum Change<'a> {
    /// A session was born.
    Born(&'a Session),
    /// A session ended; `ended_at` and `end_reason` are set.
    Ended(&'a Session),
    /// A sign-in without a session was tombstoned: its app, whose it is, and why.
    Buried(&'a AppId, Option<UserId>, EndReason),
    /// So many sessions, all there were, ended at once.
    EndedAll(usize, EndReason),
    /// A person's state changed: as they are now.
    State(&'a User),
    /// What a directory says of a person: before, after, and their shadow user if there is one.
    Word(Option<&'a Person>, Option<&'a Person>, Option<UserId>),
    /// An account was written: before and after.
    Account(&'a Account, &'a Account),
    /// A membership in an app was given, or ended.
    Membership(&'a Membership, Option<MembershipEnd>),
    /// A signing key was added or written: before, if it was there, and after.
    Key(Option<&'a StoredKey>, &'a StoredKey),
    /// A job that was dead or waited was made due: before.
    JobRetried(&'a Job),
    /// A job was taken out: before.
    JobCancelled(&'a Job),
    /// A SCIM resource was made, changed or deleted.
    Scim(&'a ScimChange<'a>),
    /// The trail lost its beginning, up to and with this number.
    Pruned(i64),
}

/// Who a change is by: what the trail says of it.
pub trait Scribe: Send + Sync {
    /// The records of a change, in order; none when it is not worth one.
    fn records(&self, change: &Change<'_>) -> Vec<Draft>;
}

/// Shared, since the embedded store hands it to its thread.
pub type By = Arc<dyn Scribe>;

/// A record that is not in the trail yet. What stands beside its body is there to be searched by,
/// and said in the body too.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Draft {
    /// When.
    pub at: Timestamp,
    /// What happened, one word.
    pub kind: &'static str,
    /// Whom it concerns.
    pub user: Option<UserId>,
    /// Which app it concerns.
    pub app: Option<AppId>,
    /// All it says, in the one form that is hashed.
    pub body: String,
}

/// A record of the trail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrailRecord {
    /// Its number: 1, 2, 3 … in commit order, without gaps.
    pub number: i64,
    /// When.
    pub at: Timestamp,
    /// What happened, one word.
    pub kind: String,
    /// Whom it concerns.
    pub user: Option<UserId>,
    /// Which app it concerns.
    pub app: Option<AppId>,
    /// All it says.
    pub body: String,
    /// The hash of the record before it.
    pub previous: RecordHash,
    /// Its own: [`link`].
    pub hash: RecordHash,
}

/// Where the trail ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TrailHead {
    /// The newest number; 0 when nothing was ever appended.
    pub number: i64,
    /// Its hash.
    pub hash: RecordHash,
}

/// A page of the trail, in order of numbers.
#[derive(Debug, Clone, Default)]
pub struct TrailFilter {
    /// Only about this person.
    pub user: Option<UserId>,
    /// Only about this app.
    pub app: Option<AppId>,
    /// Only of these kinds (when not empty).
    pub kinds: Vec<String>,
    /// Not before.
    pub since: Option<Timestamp>,
    /// Only earlier than this.
    pub until: Option<Timestamp>,
    /// Only with this outcome: the body's `code`, a word of letters, digits, `.`, `_` and `-`.
    pub code: Option<String>,
    /// After this number.
    pub after: i64,
    /// Before this number, newest first: for reading backwards.
    pub before: Option<i64>,
    /// At most so many; 0 means 100.
    pub limit: u32,
}

stored_words! {
    /// What a signed statement about the trail is for.
    MarkKind {
        /// "Record `number` had this hash": any time later it must have it still.
        Checkpoint = "checkpoint",
        /// "What came up to `number` was removed by the bridge": where the trail begins now.
        Anchor = "anchor",
    }
}

/// A signed statement about one number of the trail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrailMark {
    /// What for.
    pub kind: MarkKind,
    /// About which record.
    pub number: i64,
    /// The statement, a compact JWS.
    pub token: String,
}

/// How a body says its outcome. A quote within a text stands escaped in JSON, so that only the member
/// itself reads like this.
pub(super) fn code_member(code: &str) -> String {
    format!("\"code\":{}", serde_json::Value::from(code))
}

/// The hash of a record: of everything that it is and of the hash before it.
///
/// The lengths of all parts but the last are fixed, so that no two lists of parts give the same
/// bytes.
#[must_use]
pub fn link(number: i64, previous: &RecordHash, body: &str) -> RecordHash {
    let mut hash = Context::new(&SHA256);
    hash.update(b"auth-manager audit record v1\0");
    hash.update(&number.to_be_bytes());
    hash.update(previous);
    hash.update(body.as_bytes());
    let mut out = [0; 32];
    out.copy_from_slice(hash.finish().as_ref());
    out
}

/// Links drafts to the head they are appended to.
pub(super) fn linked(head: TrailHead, drafts: &[Draft]) -> Vec<TrailRecord> {
    let mut head = head;
    drafts
        .iter()
        .map(|draft| {
            let number = head.number + 1;
            let body = super::rules::plain(&draft.body).into_owned();
            let record = TrailRecord {
                number,
                at: draft.at,
                kind: draft.kind.to_owned(),
                user: draft.user,
                app: draft.app.clone(),
                hash: link(number, &head.hash, &body),
                body,
                previous: head.hash,
            };
            head = TrailHead {
                number,
                hash: record.hash,
            };
            record
        })
        .collect()
}

/// A hash from its bytes.
pub(super) fn hash(bytes: Vec<u8>) -> super::Result<RecordHash> {
    RecordHash::try_from(bytes)
        .map_err(|_| StoreError::Inconsistent("a hash of the audit trail is not 32 bytes".into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Expected text made with Python's `hashlib`: a change here makes every trail that exists look forged.
    #[test]
    fn the_link_never_changes() {
        let hash = link(1, &GENESIS, "{}");
        let hex: String = hash.iter().map(|b| format!("{b:02x}")).collect();
        assert_eq!(
            hex,
            "b2e1d1b7703f462485fe2733610f578038d0d7421c9635e055c596179d3d094d"
        );
    }

    #[test]
    fn every_part_counts() {
        let base = link(1, &GENESIS, "a");
        assert_ne!(base, link(2, &GENESIS, "a"));
        assert_ne!(base, link(1, &[1; 32], "a"));
        assert_ne!(base, link(1, &GENESIS, "b"));
        assert_eq!(base, link(1, &GENESIS, "a"));
    }
}
