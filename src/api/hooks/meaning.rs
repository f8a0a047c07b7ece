//! What the bridge makes of a body, for operators and for tests: the same reading as over the wire,
//! without anything coming of it.

use super::notice::{Notice, read};
use super::worth::{Worth, weigh};
use crate::jobs::wish::ToRead;
use serde::Serialize;
use std::fmt;

/// What a body is to the bridge.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "is", rename_all = "snake_case")]
pub enum Meaning {
    /// The transport test.
    Test,
    /// A reason to ask.
    Read {
        /// About whom.
        about: ToRead,
    },
    /// Of no consequence.
    Nothing,
    /// Of a kind that this version does not know, and of no consequence.
    Unknown,
    /// No JSON object: refused.
    Garbage,
}

/// Reads a body.
#[must_use]
pub fn meaning(body: &[u8]) -> Meaning {
    let event = match read(body) {
        Notice::Test => return Meaning::Test,
        Notice::Garbage => return Meaning::Garbage,
        Notice::Sentence => return Meaning::Nothing,
        Notice::Unknown => {
            return Meaning::Read {
                about: ToRead::Recent,
            };
        }
        Notice::Event(event) => event,
    };
    match weigh(&event) {
        Worth::Read(about, _) | Worth::Seldom(about, _) => Meaning::Read { about },
        Worth::Nothing => Meaning::Nothing,
        Worth::Unknown => Meaning::Unknown,
    }
}

/// In a word: `person/6`, `group/…`, `groups`, `recent`, `test`, `garbage`, `-`.
impl fmt::Display for Meaning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Test => f.write_str("test"),
            Self::Garbage => f.write_str("garbage"),
            Self::Nothing | Self::Unknown => f.write_str("-"),
            Self::Read { about } => match about {
                ToRead::Person { id } => write!(f, "person/{id}"),
                ToRead::Group { id } => write!(f, "group/{id}"),
                ToRead::Groups => f.write_str("groups"),
                ToRead::Recent => f.write_str("recent"),
            },
        }
    }
}
