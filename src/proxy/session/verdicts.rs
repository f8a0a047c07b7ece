//! What the access rule said of a session's person, on its way into the store, so that every replica
//! says the same of the session's tokens (T10) and cuts its sockets (T26).
//!
//! The road only leaves word, and only of news: that a session's person is turned away, or admitted
//! again. A request of somebody admitted, as they were before, does nothing here. Of a sign-in that
//! has no session on this replica it is not known what is news: it is asked about once in
//! [`AGAIN`], however often it comes.

use crate::proxy::bridge::Bridge;
use crate::store::Verdict;
use crate::types::{AppId, IssuerId, SessionId, Sid, Subject, Timestamp};
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// After so long word is left again of a sign-in that is refused still and has no session here.
const AGAIN: Duration = Duration::from_secs(2);
/// Word that waits, and sign-ins remembered for [`AGAIN`]: 4 MiB each. What is more is left out: this
/// replica refuses all the same, and the next refused request leaves word again.
const MOST: usize = 10_000;
/// Before a failing store is told again.
const PAUSE: Duration = Duration::from_millis(500);

/// A sign-in, borrowed.
type SignIn<'a> = (&'a AppId, &'a IssuerId, &'a Subject, &'a Sid);

/// Word that waits.
#[derive(Debug, Default)]
pub struct Verdicts {
    inner: Mutex<Inner>,
    news: Notify,
}

#[derive(Debug, Default)]
struct Inner {
    waiting: Vec<(Verdict, Timestamp)>,
    /// Sign-ins without a session here, and when word was left of them.
    asked: HashMap<Box<str>, Instant>,
}

impl Verdicts {
    /// An assertion of this sign-in was turned away; `known`: it is news of a session here.
    pub(super) fn refused(&self, of: SignIn<'_>, issued: Timestamp, known: bool) {
        let (app, issuer, subject, sid) = of;
        if !known && !self.is_due(of) {
            return;
        }
        let of = (app.clone(), issuer.clone(), subject.clone(), sid.clone());
        self.leave(Verdict::Refused(of.0, of.1, of.2, of.3), issued);
    }

    /// The person of a session that was turned away is admitted again.
    pub(super) fn admitted(&self, id: SessionId, issued: Timestamp) {
        self.leave(Verdict::Admitted(id), issued);
    }

    fn is_due(&self, (app, issuer, subject, sid): SignIn<'_>) -> bool {
        // None of them holds a line break.
        let key = format!("{app}\n{issuer}\n{subject}\n{sid}").into_boxed_str();
        let now = Instant::now();
        let mut inner = self.inner.lock();
        let lately = |at: &Instant| now.duration_since(*at) < AGAIN;
        if inner.asked.get(&key).is_some_and(lately) {
            return false;
        }
        if inner.asked.len() >= MOST {
            inner.asked.retain(|_, at| lately(at));
            if inner.asked.len() >= MOST {
                return false;
            }
        }
        inner.asked.insert(key, now);
        true
    }

    fn leave(&self, verdict: Verdict, issued: Timestamp) {
        let mut inner = self.inner.lock();
        if inner.waiting.len() >= MOST {
            return;
        }
        inner.waiting.push((verdict, issued));
        drop(inner);
        self.news.notify_one();
    }

    fn take(&self) -> Vec<(Verdict, Timestamp)> {
        std::mem::take(&mut self.inner.lock().waiting)
    }

    /// Puts back what could not be told, before what came meanwhile.
    fn put_back(&self, untold: &[(Verdict, Timestamp)]) {
        let mut inner = self.inner.lock();
        let newer = std::mem::replace(&mut inner.waiting, untold.to_vec());
        inner.waiting.extend(newer);
        inner.waiting.truncate(MOST);
    }
}

/// Tells the store, and by it every replica, until told to stop; then once more.
pub async fn tell(bridge: Arc<Bridge>, stop: CancellationToken) {
    let verdicts = &bridge.sessions.verdicts;
    loop {
        let told = all(&bridge).await;
        if stop.is_cancelled() {
            return;
        }
        let pause = async {
            match told {
                true => verdicts.news.notified().await,
                false => tokio::time::sleep(PAUSE).await,
            }
        };
        tokio::select! {
            () = stop.cancelled() => {}
            () = pause => {}
        }
    }
}

/// Whether all that waited is told.
async fn all(bridge: &Bridge) -> bool {
    let verdicts = &bridge.sessions.verdicts;
    let waiting = verdicts.take();
    for (at, (verdict, issued)) in waiting.iter().enumerate() {
        let now = bridge.clock.now();
        if let Err(error) = bridge.store.note_verdict(verdict, *issued, now).await {
            bridge.metrics.store_error(error.trouble());
            tracing::warn!(%error, "who is turned away could not be told to the other replicas; it is tried again");
            verdicts.put_back(waiting.get(at..).unwrap_or_default());
            return false;
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(n: usize) -> (AppId, IssuerId, Subject, Sid) {
        let app = AppId::new("chat").unwrap();
        let issuer = IssuerId::new("pomerium").unwrap();
        let subject = Subject::new(format!("s{n}")).unwrap();
        (app, issuer, subject, Sid::new("sid").unwrap())
    }

    #[tokio::test(start_paused = true)]
    async fn a_stranger_who_is_refused_a_thousand_times_is_asked_about_once_in_a_while() {
        let verdicts = Verdicts::default();
        let (app, issuer, subject, sid) = named(0);
        let of = (&app, &issuer, &subject, &sid);
        for _ in 0..1000 {
            verdicts.refused(of, Timestamp(10), false);
        }
        assert_eq!(verdicts.take().len(), 1);
        tokio::time::advance(AGAIN).await;
        verdicts.refused(of, Timestamp(12), false);
        assert_eq!(verdicts.take().len(), 1);
        // News of a session here waits for nothing.
        verdicts.refused(of, Timestamp(12), true);
        assert_eq!(verdicts.take().len(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn t40_word_that_waits_is_bounded() {
        let verdicts = Verdicts::default();
        for n in 0..MOST + 100 {
            let (app, issuer, subject, sid) = named(n);
            verdicts.refused((&app, &issuer, &subject, &sid), Timestamp(10), false);
            verdicts.admitted(SessionId([0; 32]), Timestamp(10));
        }
        let waiting = verdicts.take();
        assert_eq!(waiting.len(), MOST);
        assert_eq!(verdicts.inner.lock().asked.len(), MOST);
        verdicts.admitted(SessionId([1; 32]), Timestamp(11));
        verdicts.put_back(&waiting);
        assert_eq!(verdicts.take(), waiting);
    }
}
