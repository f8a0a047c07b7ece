//! Claims: who carries out a request that must not act twice (draft-ietf-httpapi-idempotency-key-header).
//!
//! A client names a request by a key. The first request with the key claims it, acts, and leaves its
//! answer; the same request again is given that answer, another request under the same key is told
//! so. What acts under a claim must bear being carried out again: a crash between the act and its
//! answer leaves a claim that is taken over once its lease is over.

use crate::types::{ClientId, Timestamp};
use std::time::Duration;
use uuid::Uuid;

/// A request under its idempotency key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// Whose key it is: the same key of another client is another key.
    pub client: ClientId,
    /// As the client sent it.
    pub key: String,
    /// SHA-256 of what was asked.
    pub fingerprint: [u8; 32],
    /// Who carries it out: a new one for each arrival.
    pub holder: Uuid,
    /// How long a holder may take.
    pub lease: Duration,
    /// How long an answer is kept.
    pub keep: Duration,
    /// Answers kept of one client.
    pub most: u32,
}

/// What came of a claim.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Claimed {
    /// It is ours to carry out.
    Ours,
    /// It was carried out: this was the answer.
    Answered(KeptAnswer),
    /// Somebody is at it.
    UnderWay,
    /// The key stands for another request.
    Other,
}

/// An answer, to be given again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptAnswer {
    /// The status.
    pub status: u16,
    /// The `ETag`, if it had one.
    pub etag: Option<String>,
    /// The body.
    pub body: String,
}

/// An entry as stored.
pub(super) struct Entry {
    pub(super) fingerprint: Vec<u8>,
    pub(super) claimed_at: Timestamp,
    pub(super) stands_until: Timestamp,
    pub(super) answer: Option<KeptAnswer>,
}

/// What an entry means to a claim; `None`: nothing, the claim takes its place.
pub(super) fn judge(entry: Entry, claim: &Claim, now: Timestamp) -> Option<Claimed> {
    if entry.stands_until < now {
        return None;
    }
    if entry.fingerprint != claim.fingerprint {
        return Some(Claimed::Other);
    }
    match entry.answer {
        Some(answer) => Some(Claimed::Answered(answer)),
        None if now.since(entry.claimed_at) < claim.lease => Some(Claimed::UnderWay),
        None => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_means_what_its_age_and_fingerprint_say() {
        let claim = Claim {
            client: ClientId::new("c").unwrap(),
            key: "k".into(),
            fingerprint: [1; 32],
            holder: Uuid::now_v7(),
            lease: Duration::from_secs(60),
            keep: Duration::from_secs(3600),
            most: 10,
        };
        let answer = KeptAnswer {
            status: 200,
            etag: None,
            body: "{}".into(),
        };
        let at = Timestamp(1000);
        let judged = |fingerprint: u8, answered: bool, after: i64| {
            let entry = Entry {
                fingerprint: vec![fingerprint; 32],
                claimed_at: at,
                stands_until: at + claim.keep,
                answer: answered.then(|| answer.clone()),
            };
            judge(entry, &claim, Timestamp(at.0 + after))
        };
        assert_eq!(
            judged(1, true, 3600),
            Some(Claimed::Answered(answer.clone()))
        );
        assert_eq!(judged(1, true, 3601), None);
        assert_eq!(judged(2, true, 5), Some(Claimed::Other));
        assert_eq!(judged(2, false, 5), Some(Claimed::Other));
        assert_eq!(judged(1, false, 59), Some(Claimed::UnderWay));
        assert_eq!(judged(1, false, 60), None);
    }
}
