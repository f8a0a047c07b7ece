//! The open sockets, so that they can be cut: by session, by service, by age, all at once.

use crate::types::{AppId, ClientId, KeyId, SessionId, Timestamp};
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, AtomicUsize, Ordering};
use tokio::sync::Notify;

/// Why a socket is cut; decides the close code (RFC 6455 §7.4.1) that the page sees. The real web
/// app comes back after either (tried-for-real, 16), and is then told the truth by HTTP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cut {
    /// The session ended: logout, revocation, disablement.
    SessionEnded,
    /// The app session under it was renewed: the page resumes with the new one.
    Renewed,
    /// It is as old as a socket may get.
    MaxAge,
    /// No assertion came for too long.
    Stale,
    /// The bridge is about to stop, or can't tell what was revoked.
    Restart,
    /// The browser said what the app's rules refuse.
    Refused,
    /// The key that signed its cookie was revoked.
    KeyRevoked,
}

impl Cut {
    /// Close code and reason.
    pub const fn close(self) -> (u16, &'static str) {
        match self {
            Self::SessionEnded => (1008, "session ended"),
            Self::Refused => (1008, "message refused"),
            Self::KeyRevoked => (1008, "key revoked"),
            Self::Renewed => (1012, "session renewed"),
            Self::MaxAge => (1012, "reconnect"),
            Self::Stale => (1012, "no sign of life"),
            Self::Restart => (1012, "restart"),
        }
    }

    /// The metric label.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::SessionEnded => "session_ended",
            Self::Refused => "refused",
            Self::KeyRevoked => "key_revoked",
            Self::Renewed => "renewed",
            Self::MaxAge => "max_age",
            Self::Stale => "stale",
            Self::Restart => "restart",
        }
    }

    const ALL: [Self; 7] = [
        Self::SessionEnded,
        Self::Renewed,
        Self::MaxAge,
        Self::Stale,
        Self::Restart,
        Self::Refused,
        Self::KeyRevoked,
    ];
}

/// Whose a socket is.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Holder {
    /// A session's, and the key that signed the cookie it was opened with.
    Session(SessionId, KeyId),
    /// A service's: the app, and the client of the api listener.
    Service(AppId, ClientId),
}

/// The cord of one socket.
#[derive(Debug)]
pub struct Cord {
    holder: Holder,
    /// When it must come back.
    until: Timestamp,
    /// 0: not cut; else 1 + index into `Cut::ALL`.
    cut: AtomicU16,
    wake: Notify,
}

impl Cord {
    fn new(holder: Holder, until: Timestamp) -> Arc<Self> {
        Arc::new(Self {
            holder,
            until,
            cut: AtomicU16::new(0),
            wake: Notify::new(),
        })
    }

    /// Cuts the socket; the first reason stands.
    pub fn cut(&self, why: Cut) {
        let word = 1 + Cut::ALL.iter().position(|c| *c == why).unwrap_or(0) as u16;
        if self
            .cut
            .compare_exchange(0, word, Ordering::AcqRel, Ordering::Acquire)
            .is_ok()
        {
            self.wake.notify_one();
        }
    }

    /// Waits for the cut.
    pub async fn wait(&self) -> Cut {
        loop {
            if let Some(why) = self.reason() {
                return why;
            }
            self.wake.notified().await;
        }
    }

    fn reason(&self) -> Option<Cut> {
        let word = self.cut.load(Ordering::Acquire);
        Cut::ALL.get(usize::from(word).wrapping_sub(1)).copied()
    }
}

/// All open sockets of this replica.
#[derive(Debug, Default)]
pub struct Tunnels {
    by_session: Mutex<HashMap<SessionId, Vec<Arc<Cord>>>>,
    /// Few: a service has one or two.
    of_services: Mutex<Vec<Arc<Cord>>>,
    open: AtomicUsize,
}

/// Keeps a socket registered while it lives.
#[derive(Debug)]
pub struct Registration {
    tunnels: Arc<Tunnels>,
    /// The socket's cord.
    pub cord: Arc<Cord>,
}

impl Drop for Registration {
    fn drop(&mut self) {
        let others = |c: &Arc<Cord>| !Arc::ptr_eq(c, &self.cord);
        match &self.cord.holder {
            Holder::Service(..) => self.tunnels.of_services.lock().retain(others),
            Holder::Session(session, _) => {
                let mut all = self.tunnels.by_session.lock();
                if let Some(cords) = all.get_mut(session) {
                    cords.retain(others);
                    if cords.is_empty() {
                        all.remove(session);
                    }
                }
            }
        }
        self.tunnels.open.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Tunnels {
    /// Registers a socket before its first byte is copied.
    pub fn register(
        self: &Arc<Self>,
        session: SessionId,
        key: KeyId,
        until: Timestamp,
    ) -> Registration {
        let cord = Cord::new(Holder::Session(session, key), until);
        self.by_session
            .lock()
            .entry(session)
            .or_default()
            .push(cord.clone());
        self.registered(cord)
    }

    /// Registers a service's socket before its first byte is copied.
    pub fn register_service(
        self: &Arc<Self>,
        app: &AppId,
        client: &ClientId,
        until: Timestamp,
    ) -> Registration {
        let cord = Cord::new(Holder::Service(app.clone(), client.clone()), until);
        self.of_services.lock().push(cord.clone());
        self.registered(cord)
    }

    fn registered(self: &Arc<Self>, cord: Arc<Cord>) -> Registration {
        self.open.fetch_add(1, Ordering::Relaxed);
        Registration {
            tunnels: self.clone(),
            cord,
        }
    }

    /// Cuts a service's sockets at an app; gives their number.
    pub fn cut_service(&self, app: &AppId, client: &ClientId, why: Cut) -> usize {
        let ours = |c: &Cord| matches!(&c.holder, Holder::Service(a, b) if a == app && b == client);
        cut(self.of_services.lock().iter(), why, ours)
    }

    /// Cuts the sockets of a session; gives their number.
    pub fn cut_session(&self, session: &SessionId, why: Cut) -> usize {
        let all = self.by_session.lock();
        let cords = all.get(session).map_or(&[][..], |c| c);
        cords.iter().for_each(|c| c.cut(why));
        cords.len()
    }

    /// Cuts the sockets of all services.
    pub fn cut_services(&self, why: Cut) -> usize {
        cut(self.of_services.lock().iter(), why, |_| true)
    }

    /// Cuts those whose time has come.
    pub fn cut_aged(&self, now: Timestamp) -> usize {
        self.cut_where(Cut::MaxAge, |c| c.until <= now)
    }

    /// Cuts those whose cookie was signed by a key that is not `known`.
    pub fn cut_unproven(&self, known: impl Fn(&str) -> bool) -> usize {
        self.cut_where(Cut::KeyRevoked, |c| match &c.holder {
            Holder::Session(_, key) => !known(key.as_str()),
            Holder::Service(..) => false,
        })
    }

    /// Cuts all.
    pub fn cut_all(&self, why: Cut) -> usize {
        self.cut_where(why, |_| true)
    }

    fn cut_where(&self, why: Cut, which: impl Fn(&Cord) -> bool) -> usize {
        cut(self.by_session.lock().values().flatten(), why, &which)
            + cut(self.of_services.lock().iter(), why, &which)
    }

    /// Sessions with open sockets.
    pub fn sessions(&self) -> Vec<SessionId> {
        self.by_session.lock().keys().copied().collect()
    }

    /// Open sockets.
    pub fn open(&self) -> usize {
        self.open.load(Ordering::Relaxed)
    }
}

/// Cuts those that are not cut yet; gives their number.
fn cut<'c>(
    cords: impl Iterator<Item = &'c Arc<Cord>>,
    why: Cut,
    which: impl Fn(&Cord) -> bool,
) -> usize {
    let due = cords.filter(|c| c.reason().is_none() && which(c));
    due.map(|cord| cord.cut(why)).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_cut_reaches_a_socket_that_waits_and_one_that_will() {
        let tunnels = Arc::new(Tunnels::default());
        let id = SessionId([1; 32]);
        let key = |kid: &str| KeyId::new(kid).unwrap();
        let a = tunnels.register(id, key("old"), Timestamp(100));
        let b = tunnels.register(SessionId([2; 32]), key("new"), Timestamp(50));
        let c = tunnels.register(id, key("old"), Timestamp(100));
        assert_eq!(tunnels.cut_unproven(|kid| kid == "old"), 1, "b only");
        assert_eq!(b.cord.wait().await, Cut::KeyRevoked);
        drop(b);
        drop(c);
        let b = tunnels.register(SessionId([2; 32]), key("new"), Timestamp(50));
        assert_eq!(tunnels.cut_session(&id, Cut::SessionEnded), 1);
        assert_eq!(a.cord.wait().await, Cut::SessionEnded);
        assert_eq!(tunnels.cut_aged(Timestamp(60)), 1);
        assert_eq!(b.cord.wait().await, Cut::MaxAge);
        // The first reason stands.
        a.cord.cut(Cut::Restart);
        assert_eq!(a.cord.wait().await, Cut::SessionEnded);
        drop((a, b));
        assert_eq!(tunnels.open(), 0);
        assert!(tunnels.sessions().is_empty());
    }

    #[tokio::test]
    async fn a_services_sockets_are_cut_by_app_and_client() {
        let tunnels = Arc::new(Tunnels::default());
        let (app, other) = (AppId::new("chat").unwrap(), AppId::new("notes").unwrap());
        let (client, else_) = (ClientId::new("a").unwrap(), ClientId::new("b").unwrap());
        let cut = tunnels.register_service(&app, &client, Timestamp(100));
        let kept = [
            tunnels.register_service(&app, &else_, Timestamp(100)),
            tunnels.register_service(&other, &client, Timestamp(100)),
        ];
        assert!(
            tunnels.sessions().is_empty(),
            "the stale rule is for visitors"
        );
        assert_eq!(tunnels.cut_unproven(|_| false), 0, "no cookie opened them");
        assert_eq!(tunnels.cut_service(&app, &client, Cut::SessionEnded), 1);
        assert_eq!(cut.cord.wait().await, Cut::SessionEnded);
        assert!(kept.iter().all(|k| k.cord.reason().is_none()));
        drop(cut);
        assert_eq!(tunnels.cut_all(Cut::Restart), 2);
        drop(kept);
        assert_eq!(tunnels.open(), 0);
        assert!(tunnels.of_services.lock().is_empty());
    }
}
