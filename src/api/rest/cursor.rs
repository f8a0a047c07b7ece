//! Where a list goes on: opaque to callers, strictly read. A cursor is of one list and one filter;
//! it says after which entry, not at which number, so that what is added or removed meanwhile
//! shifts nothing. It grants nothing: a forged one is only another place to begin.

use crate::api::problem::Problem;
use crate::directory::writer::InvitationId;
use crate::error::Code;
use crate::types::{AccountId, SessionId, Timestamp, UserId};
use aws_lc_rs::digest::{SHA256, digest};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use uuid::Uuid;

/// Longest that any cursor is, in characters.
const LONGEST: usize = 128;
/// Bytes of the filter's mark.
const MARK: usize = 8;

/// An entry's place in its list.
pub(in crate::api) trait Place: Sized {
    /// Which list.
    const LIST: u8;
    /// As bytes.
    fn bytes(&self) -> Vec<u8>;
    /// From them.
    fn from_bytes(bytes: &[u8]) -> Option<Self>;
}

/// A cursor behind `place`, in the list of `filter`.
pub(in crate::api) fn behind<P: Place>(place: &P, filter: &str) -> String {
    let mut bytes = vec![P::LIST];
    bytes.extend(mark(filter));
    bytes.extend(place.bytes());
    URL_SAFE_NO_PAD.encode(bytes)
}

/// The place behind which a list goes on; `None` without a cursor: it begins.
///
/// # Errors
/// When the cursor is none, or of another list or filter.
pub(in crate::api) fn after<P: Place>(
    cursor: Option<&str>,
    filter: &str,
) -> Result<Option<P>, Problem> {
    cursor.map(|cursor| place(cursor, filter)).transpose()
}

/// The place that a cursor names.
fn place<P: Place>(cursor: &str, filter: &str) -> Result<P, Problem> {
    let read = || {
        let bytes = URL_SAFE_NO_PAD
            .decode(cursor.get(..LONGEST).unwrap_or(cursor))
            .ok()?;
        let (list, rest) = bytes.split_first()?;
        let (marked, place) = rest.split_at_checked(MARK)?;
        let ours = *list == P::LIST && marked == mark(filter);
        ours.then(|| P::from_bytes(place))?
    };
    read().ok_or_else(|| Code::ApiCursor.into())
}

fn mark(filter: &str) -> [u8; MARK] {
    let mut mark = [0; MARK];
    let hash = digest(&SHA256, filter.as_bytes());
    mark.iter_mut()
        .zip(hash.as_ref())
        .for_each(|(to, from)| *to = *from);
    mark
}

impl Place for UserId {
    const LIST: u8 = 1;
    fn bytes(&self) -> Vec<u8> {
        self.0.as_bytes().to_vec()
    }
    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        Uuid::from_slice(bytes).ok().map(Self)
    }
}

impl Place for AccountId {
    const LIST: u8 = 2;
    fn bytes(&self) -> Vec<u8> {
        self.0.as_bytes().to_vec()
    }
    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        Uuid::from_slice(bytes).ok().map(Self)
    }
}

impl Place for (Timestamp, SessionId) {
    const LIST: u8 = 3;
    fn bytes(&self) -> Vec<u8> {
        [&self.0.0.to_be_bytes()[..], &self.1.0].concat()
    }
    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (born, id) = bytes.split_first_chunk::<8>()?;
        let id = id.try_into().ok()?;
        Some((Timestamp(i64::from_be_bytes(*born)), SessionId(id)))
    }
}

/// A record's number in the audit trail.
impl Place for i64 {
    const LIST: u8 = 4;
    fn bytes(&self) -> Vec<u8> {
        self.to_be_bytes().to_vec()
    }
    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self::from_be_bytes)
    }
}

/// A job's id.
impl Place for Uuid {
    const LIST: u8 = 5;
    fn bytes(&self) -> Vec<u8> {
        self.as_bytes().to_vec()
    }
    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        Self::from_slice(bytes).ok()
    }
}

impl Place for InvitationId {
    const LIST: u8 = 6;
    fn bytes(&self) -> Vec<u8> {
        self.0.as_bytes().to_vec()
    }
    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        Uuid::from_slice(bytes).ok().map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_comes_back_to_its_place_in_its_own_list_only() {
        let id = UserId::generate();
        let cursor = behind(&id, "state=active");
        assert_eq!(place::<UserId>(&cursor, "state=active").ok(), Some(id));
        assert!(place::<UserId>(&cursor, "").is_err());
        assert!(place::<AccountId>(&cursor, "state=active").is_err());
        let born = (Timestamp(-7), SessionId([9; 32]));
        let cursor = behind(&born, "");
        assert_eq!(place(&cursor, "").ok(), Some(born));
        assert!(cursor.len() < LONGEST);
    }

    #[test]
    fn t31_what_is_no_cursor_is_refused_whatever_it_is() {
        let good = behind(&UserId::generate(), "");
        for bad in [
            "".to_owned(),
            "a".into(),
            "!!!".into(),
            "=".repeat(50),
            good.clone() + "A",
            good[..good.len() - 2].to_owned(),
            "A".repeat(1_000_000),
            "é".repeat(200),
        ] {
            let refused = place::<UserId>(&bad, "").unwrap_err();
            assert_eq!(refused.code(), Code::ApiCursor);
        }
    }
}
