//! The live sessions of this replica, found without an allocation.

use super::live::Live;
use crate::types::{AppId, IssuerId, SessionId, Sid, Subject, UserId};
use parking_lot::RwLock;
use std::collections::HashMap;
use std::sync::Arc;

/// Sessions by sign-in and by id.
#[derive(Debug, Default)]
pub struct Table {
    /// A sid alone names nobody (two people may share one: recordings/pomerium, difference 11), so
    /// each has a short list that is compared in full.
    inner: RwLock<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    by_sid: HashMap<Box<str>, Vec<Arc<Live>>>,
    by_id: HashMap<SessionId, Arc<Live>>,
}

impl Table {
    /// The session of a sign-in, current or former sid.
    pub fn find(
        &self,
        app: &AppId,
        issuer: &IssuerId,
        subject: &Subject,
        sid: &Sid,
    ) -> Option<Arc<Live>> {
        let inner = self.inner.read();
        let candidates = inner.by_sid.get(sid.as_str())?;
        candidates
            .iter()
            .find(|l| l.app == *app && l.belongs_to(issuer, subject) && l.ended().is_none())
            .cloned()
    }

    /// A session by id.
    pub fn get(&self, id: &SessionId) -> Option<Arc<Live>> {
        self.inner.read().by_id.get(id).cloned()
    }

    /// Adds a session, or gives the one of its id that is there already.
    pub fn insert(&self, live: Arc<Live>) -> Arc<Live> {
        let mut inner = self.inner.write();
        if let Some(there) = inner.by_id.get(&live.id) {
            return there.clone();
        }
        let standing = live.standing();
        for sid in standing.former.iter().chain([&standing.sid]) {
            inner
                .by_sid
                .entry(sid.as_str().into())
                .or_default()
                .push(live.clone());
        }
        drop(standing);
        inner.by_id.insert(live.id, live.clone());
        live
    }

    /// Makes a session findable by one more sid.
    pub fn add_sid(&self, live: &Arc<Live>, sid: &Sid) {
        let mut inner = self.inner.write();
        if !inner.by_id.contains_key(&live.id) {
            return;
        }
        let list = inner.by_sid.entry(sid.as_str().into()).or_default();
        if !list.iter().any(|l| l.id == live.id) {
            list.push(live.clone());
        }
    }

    /// Takes a session out.
    pub fn remove(&self, id: &SessionId) -> Option<Arc<Live>> {
        let mut inner = self.inner.write();
        let live = inner.by_id.remove(id)?;
        let standing = live.standing();
        for sid in standing.former.iter().chain([&standing.sid]) {
            if let Some(list) = inner.by_sid.get_mut(sid.as_str()) {
                list.retain(|l| l.id != *id);
                if list.is_empty() {
                    inner.by_sid.remove(sid.as_str());
                }
            }
        }
        drop(standing);
        Some(live)
    }

    /// All of a user.
    pub fn of_user(&self, user: UserId) -> Vec<Arc<Live>> {
        self.inner
            .read()
            .by_id
            .values()
            .filter(|l| l.user == user)
            .cloned()
            .collect()
    }

    /// All of them.
    pub fn all(&self) -> Vec<Arc<Live>> {
        self.inner.read().by_id.values().cloned().collect()
    }

    /// How many of an app.
    pub fn count_of(&self, app: &AppId) -> usize {
        let inner = self.inner.read();
        inner.by_id.values().filter(|live| live.app == *app).count()
    }

    /// How many.
    pub fn count(&self) -> usize {
        self.inner.read().by_id.len()
    }
}
