//! The negative facts of this replica: who is disabled, whatever an assertion says. Read from the
//! store at start, kept current by the revocation log.

use crate::types::{IssuerId, Subject};
use parking_lot::RwLock;
use std::collections::{HashMap, HashSet};

/// Subjects that are turned away.
#[derive(Debug, Default)]
pub struct Denied(RwLock<HashMap<IssuerId, HashSet<Subject>>>);

impl Denied {
    /// Whether this subject is turned away. Called on every request: no allocation.
    pub fn contains(&self, issuer: &IssuerId, subject: &Subject) -> bool {
        self.0
            .read()
            .get(issuer)
            .is_some_and(|subjects| subjects.contains(subject))
    }

    /// Turns a subject away, or lets them in again.
    pub fn set(&self, issuer: &IssuerId, subject: &Subject, denied: bool) {
        let mut all = self.0.write();
        if denied {
            all.entry(issuer.clone())
                .or_default()
                .insert(subject.clone());
        } else if let Some(subjects) = all.get_mut(issuer) {
            subjects.remove(subject);
        }
    }

    /// Replaces everything, for a replica that reads the store from the start.
    pub fn replace(&self, with: impl IntoIterator<Item = (IssuerId, Subject)>) {
        let mut fresh: HashMap<IssuerId, HashSet<Subject>> = HashMap::new();
        for (issuer, subject) in with {
            fresh.entry(issuer).or_default().insert(subject);
        }
        *self.0.write() = fresh;
    }
}
