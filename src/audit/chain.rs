//! The chain: signed statements about it, and the walk along it that finds the first record which is
//! not what it was. The hash itself is the store's ([`crate::store::link`]), since it is made in the
//! transaction that appends.

use crate::keys::{AuditKey, AuditPublicKey, Statement, StatementError};
use crate::store::{GENESIS, RecordHash, TrailHead, TrailRecord, link};
use crate::types::Timestamp;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;

/// What is wrong with a trail: the first thing that is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// Its hash is not that of what it says.
    #[error("record {0} was changed")]
    Changed(i64),
    /// There is another behind it.
    #[error("record {0} was removed")]
    Removed(i64),
    /// It stands elsewhere, or twice.
    #[error("record {0} was moved, or stands twice")]
    Moved(i64),
    /// The trail does not begin where it should.
    #[error(
        "the trail begins with record {first}, and no signed anchor says that the bridge removed what was before"
    )]
    Beginning {
        /// The first that is there.
        first: i64,
    },
    /// The end is missing.
    #[error(
        "the end was cut off: the last record is {last}, but {witness} knows of record {known}"
    )]
    Truncated {
        /// The last that is there.
        last: i64,
        /// What there must have been.
        known: i64,
        /// Who says so.
        witness: String,
    },
    /// A checkpoint that is ours says otherwise.
    #[error(
        "record {number} is not the one that {witness} was signed for: the trail was written anew"
    )]
    Contradicted {
        /// Which record.
        number: i64,
        /// Which checkpoint.
        witness: String,
    },
    /// A statement that the audit key did not sign.
    #[error("{what} {why}: it is not the bridge's")]
    Foreign {
        /// Which statement.
        what: String,
        /// Why it is not believed.
        why: StatementError,
    },
    /// There are records that were never appended.
    #[error("record {0} was never appended: it stands outside the trail")]
    Surplus(i64),
    /// A line of an export is none.
    #[error("line {line} {why}")]
    Line {
        /// Which, from 1.
        line: u64,
        /// What is wrong with it.
        why: &'static str,
    },
}

/// A hash as hex.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Hex(pub RecordHash);

impl fmt::Display for Hex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Hex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Hex {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Hex {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        unhex(&text)
            .map(Self)
            .ok_or_else(|| serde::de::Error::custom("a hash must be 64 hex digits, lower case"))
    }
}

/// Lower case only: one text for some bytes.
fn unhex(text: &str) -> Option<RecordHash> {
    let digit = |b: u8| match b {
        b'0'..=b'9' => Some(b - b'0'),
        b'a'..=b'f' => Some(b - b'a' + 10),
        _ => None,
    };
    let mut out = GENESIS;
    let bytes = text.as_bytes();
    if bytes.len() != out.len() * 2 {
        return None;
    }
    for (to, pair) in out.iter_mut().zip(bytes.chunks_exact(2)) {
        let [high, low] = pair else { return None };
        *to = digit(*high)? << 4 | digit(*low)?;
    }
    Some(out)
}

/// "Record `number` had this hash": a checkpoint, or the anchor of a trail whose beginning was
/// removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mark {
    /// Which record.
    pub number: i64,
    /// Its hash.
    pub hash: Hex,
    /// When it was signed.
    pub time: Timestamp,
}

impl Mark {
    /// About the trail's end.
    #[must_use]
    pub fn of(head: TrailHead, time: Timestamp) -> Self {
        Self {
            number: head.number,
            hash: Hex(head.hash),
            time,
        }
    }

    /// Signs it.
    #[must_use]
    pub fn sign(&self, key: &AuditKey, what: Statement) -> String {
        // Numbers and hex: nothing that JSON can't hold.
        key.sign(what, &serde_json::to_vec(self).unwrap_or_default())
    }

    /// Reads a signed one. `name` is what a fault calls it.
    ///
    /// # Errors
    /// [`Fault::Foreign`] when the audit key did not sign it for this use.
    pub fn read(
        key: &AuditPublicKey,
        what: Statement,
        token: &str,
        name: impl FnOnce() -> String,
    ) -> Result<Self, Fault> {
        let read = key.verify(what, token).and_then(|payload| {
            serde_json::from_slice(&payload).map_err(|_| StatementError::Malformed)
        });
        read.map_err(|why| Fault::Foreign { what: name(), why })
    }

    /// Where the trail was then.
    #[must_use]
    pub fn head(&self) -> TrailHead {
        TrailHead {
            number: self.number,
            hash: self.hash.0,
        }
    }
}

/// What the walk looks at of a record.
#[derive(Debug, Clone, Copy)]
pub struct Linked<'a> {
    /// Its number.
    pub number: i64,
    /// The hash before it, as it says.
    pub previous: &'a RecordHash,
    /// Its own, as it says.
    pub hash: &'a RecordHash,
    /// What it says.
    pub body: &'a str,
}

impl<'a> From<&'a TrailRecord> for Linked<'a> {
    fn from(record: &'a TrailRecord) -> Self {
        Self {
            number: record.number,
            previous: &record.previous,
            hash: &record.hash,
            body: &record.body,
        }
    }
}

/// A walk along the chain: knows where it is, and what the next record must be.
#[derive(Debug, Clone, Copy)]
pub struct Walk {
    at: TrailHead,
}

impl Walk {
    /// From the very beginning.
    #[must_use]
    pub fn from_genesis() -> Self {
        Self::behind(TrailHead {
            number: 0,
            hash: GENESIS,
        })
    }

    /// From behind a record that something signed vouches for.
    #[must_use]
    pub fn behind(at: TrailHead) -> Self {
        Self { at }
    }

    /// Where it is: the last record that is as it was.
    #[must_use]
    pub fn at(&self) -> TrailHead {
        self.at
    }

    /// One step. A number that is too large says [`Fault::Removed`]: whether what is missing turns up
    /// later only the caller can see.
    ///
    /// # Errors
    /// What is wrong, and with which record.
    pub fn step(&mut self, record: Linked<'_>) -> Result<(), Fault> {
        let expected = self.at.number + 1;
        if record.number > expected {
            return Err(Fault::Removed(expected));
        }
        if record.number < expected {
            return Err(Fault::Moved(record.number));
        }
        let hash = link(record.number, record.previous, record.body);
        if hash != *record.hash {
            return Err(Fault::Changed(record.number));
        }
        if *record.previous != self.at.hash {
            // It is whole in itself, but linked to something else: what stands before it was
            // replaced, hash and all.
            return Err(Fault::Changed(self.at.number.max(1)));
        }
        self.at = TrailHead {
            number: record.number,
            hash,
        };
        Ok(())
    }
}
