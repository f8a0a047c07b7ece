//! Whether the access rule still admits the sign-in of a session, as its newest assertions had it. An
//! assertion takes nothing away (design §5): the session stays, but what hangs from it (its tokens,
//! its cookie at introspection) is good for nobody meanwhile (T10), on any replica.
//!
//! Two times that only grow, by the assertions' own `iat`: whatever order replicas say them in, the
//! same is left.

use crate::types::{AppId, IssuerId, SessionId, Sid, Subject, Timestamp};
use serde::Serialize;

/// What the access rule last said of a session's sign-in.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Admission {
    /// When the assertion was issued that it turned away; 0: it never did.
    pub refused_at: Timestamp,
    /// When the assertion was issued that it admitted after that; 0: none yet.
    pub readmitted_at: Timestamp,
}

impl Admission {
    /// Whether its person stands turned away. Of one second the refusal counts.
    #[must_use]
    pub fn is_refused(self) -> bool {
        self.refused_at.0 > 0 && self.refused_at >= self.readmitted_at
    }

    /// After the rule turned away an assertion of that time; `None`: nothing changes by it.
    #[must_use]
    pub fn refused_by(self, issued: Timestamp) -> Option<Self> {
        let changes = !self.is_refused() && issued.0 > 0 && issued >= self.readmitted_at;
        changes.then_some(Self {
            refused_at: issued,
            ..self
        })
    }

    /// After the rule admitted an assertion of that time; `None`: nothing changes by it.
    #[must_use]
    pub fn admitted_by(self, issued: Timestamp) -> Option<Self> {
        let changes = self.is_refused() && issued > self.refused_at;
        changes.then_some(Self {
            readmitted_at: issued,
            ..self
        })
    }

    /// What both know.
    #[must_use]
    pub fn with(self, other: Self) -> Self {
        Self {
            refused_at: self.refused_at.max(other.refused_at),
            readmitted_at: self.readmitted_at.max(other.readmitted_at),
        }
    }
}

/// What the access rule said of an assertion.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It turned away this sign-in, which may have a session.
    Refused(AppId, IssuerId, Subject, Sid),
    /// It admitted the person of this session.
    Admitted(SessionId),
}

impl Verdict {
    /// What it makes of what stood before; `None`: nothing changes.
    pub(super) fn of(&self, before: Admission, issued: Timestamp) -> Option<Admission> {
        match self {
            Self::Refused(..) => before.refused_by(issued),
            Self::Admitted(_) => before.admitted_by(issued),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NEVER: Admission = Admission {
        refused_at: Timestamp(0),
        readmitted_at: Timestamp(0),
    };

    #[test]
    fn a_refusal_stands_until_a_newer_assertion_is_admitted() {
        assert!(!NEVER.is_refused());
        assert_eq!(NEVER.admitted_by(Timestamp(9)), None);
        let refused = NEVER.refused_by(Timestamp(10)).unwrap();
        assert!(refused.is_refused());
        assert_eq!(refused.refused_by(Timestamp(20)), None, "it is already");
        // An older assertion, or one of the same second, says nothing newer.
        assert_eq!(refused.admitted_by(Timestamp(9)), None);
        assert_eq!(refused.admitted_by(Timestamp(10)), None);
        let back = refused.admitted_by(Timestamp(11)).unwrap();
        assert!(!back.is_refused());
        assert_eq!(back.refused_by(Timestamp(10)), None);
        // Of one second the refusal counts.
        assert!(back.refused_by(Timestamp(11)).unwrap().is_refused());
    }

    #[test]
    fn replicas_that_heard_it_in_another_order_know_the_same() {
        let at = |refused, readmitted| Admission {
            refused_at: Timestamp(refused),
            readmitted_at: Timestamp(readmitted),
        };
        for (one, other) in [(at(10, 0), at(10, 11)), (at(12, 11), at(10, 11))] {
            assert_eq!(one.with(other), other.with(one));
        }
        assert!(!at(10, 0).with(at(10, 11)).is_refused());
        assert!(at(12, 11).with(at(10, 11)).is_refused());
    }
}
