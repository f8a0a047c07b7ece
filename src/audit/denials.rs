//! Denials, counted together by person, app and code: the first is written soon, then one record
//! with a count for as long as they go on. However many come, memory and disk are bounded; what no
//! longer fits is counted too.

use super::event::{Event, Kind};
use super::{Actor, Audit};
use crate::error::Code;
use crate::keys::AuditKey;
use crate::store::{Draft, Result, Store};
use crate::types::{AppId, IssuerId, Subject, Timestamp, UserId};
use http::StatusCode;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::net::IpAddr;

/// Persons, apps and codes that are counted at once.
const MOST: usize = 4_096;
/// Records of denials written at once; the others wait for the next time.
const BATCH: usize = 512;
/// Between two records of the same denial.
const QUIET: i64 = 600;

/// A refused request.
#[derive(Debug, Clone)]
pub struct Denied {
    /// Who, once verified.
    pub who: Option<(IssuerId, Subject)>,
    /// Their shadow user, where it is known.
    pub user: Option<UserId>,
    /// At which app, once known.
    pub app: Option<AppId>,
    /// Why.
    pub code: Code,
    /// The request's id.
    pub request: String,
    /// Where it came from.
    pub client: Option<IpAddr>,
}

/// Whether a refusal denies somebody something, as opposed to a fault, a wait or a page that must
/// sign in again.
#[must_use]
pub fn is_denial(code: Code) -> bool {
    match code {
        // A page whose session has ended asks until it is loaded again.
        Code::SessionRequired => false,
        Code::RouteUnknownHost => true,
        code => {
            matches!(
                code.status(),
                StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN
            ) || code.as_str().starts_with("request.")
        }
    }
}

/// Which part of the house said no: the area of its code.
fn source(code: Code) -> &'static str {
    code.as_str().split_once('.').map_or("", |(area, _)| area)
}

type Key = (Option<(IssuerId, Subject)>, Option<AppId>, Code);

struct Tally {
    /// Since the last record.
    count: u64,
    first: Timestamp,
    last: Timestamp,
    user: Option<UserId>,
    /// Of the latest.
    request: String,
    client: Option<IpAddr>,
    /// When the last record was written.
    written: Option<Timestamp>,
}

#[derive(Default)]
struct Counted {
    tallies: HashMap<Key, Tally>,
    dropped: u64,
}

/// Refusals that are not written yet.
#[derive(Default)]
pub struct Denials(Mutex<Counted>);

impl Denials {
    pub(super) fn count(&self, denied: Denied, now: Timestamp) {
        if !is_denial(denied.code) {
            return;
        }
        let mut counted = self.0.lock();
        let key = (denied.who, denied.app, denied.code);
        if let Some(tally) = counted.tallies.get_mut(&key) {
            if tally.count == 0 {
                tally.first = now;
            }
            tally.count += 1;
            tally.last = now;
            tally.user = tally.user.or(denied.user);
            tally.request = denied.request;
            tally.client = denied.client;
        } else if counted.tallies.len() < MOST {
            let tally = Tally {
                count: 1,
                first: now,
                last: now,
                user: denied.user,
                request: denied.request,
                client: denied.client,
                written: None,
            };
            counted.tallies.insert(key, tally);
        } else {
            counted.dropped += 1;
        }
    }

    /// Takes what is due, and forgets what has been quiet; `all` at the end.
    fn due(&self, now: Timestamp, all: bool) -> (Vec<(Key, Tally)>, u64) {
        let mut counted = self.0.lock();
        let rested = |tally: &Tally| {
            tally
                .written
                .is_none_or(|at| now.0 - at.0 >= QUIET || now < at)
        };
        counted
            .tallies
            .retain(|_, tally| tally.count > 0 || !rested(tally));
        let mut due = Vec::new();
        for (key, tally) in &mut counted.tallies {
            if tally.count > 0 && (all || rested(tally)) && due.len() < BATCH {
                due.push((
                    key.clone(),
                    Tally {
                        request: tally.request.clone(),
                        ..*tally
                    },
                ));
                tally.count = 0;
                tally.written = Some(now);
            }
        }
        (due, std::mem::take(&mut counted.dropped))
    }

    /// What could not be written counts again.
    fn give_back(&self, due: Vec<(Key, Tally)>, dropped: u64) {
        let mut counted = self.0.lock();
        counted.dropped += dropped;
        for (key, tally) in due {
            match counted.tallies.get_mut(&key) {
                Some(since) => {
                    since.count += tally.count;
                    since.first = since.first.min(tally.first);
                    since.written = tally.written;
                }
                None => counted.dropped += tally.count,
            }
        }
    }
}

/// How a writing of denials went.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Flushed {
    /// Records written.
    pub records: usize,
    /// Denials that were dropped since the last time.
    pub dropped: u64,
}

impl Audit {
    /// Writes the denials that are due, `all` of them at the end.
    ///
    /// # Errors
    /// When the store does not answer: they are counted on, and written later.
    pub async fn write_denials(
        &self,
        store: &dyn Store,
        key: &AuditKey,
        all: bool,
    ) -> Result<Flushed> {
        let (due, dropped) = self.denials.due(self.clock.now(), all);
        if due.is_empty() && dropped == 0 {
            return Ok(Flushed::default());
        }
        let written = async {
            let mut drafts = Vec::with_capacity(due.len() + 1);
            for (what, tally) in &due {
                drafts.push(self.draft(store, key, what, tally).await?);
            }
            if dropped > 0 {
                let event = self.by(Actor::Bridge).event(Kind::AuditDropped);
                drafts.push(event.detail("count", dropped).draft());
            }
            store.append_trail(&drafts).await?;
            Ok(drafts.len())
        };
        match written.await {
            Ok(records) => Ok(Flushed { records, dropped }),
            Err(error) => {
                self.denials.give_back(due, dropped);
                Err(error)
            }
        }
    }

    async fn draft(
        &self,
        store: &dyn Store,
        key: &AuditKey,
        (who, app, code): &Key,
        tally: &Tally,
    ) -> Result<Draft> {
        let mut known = None;
        if let Some((issuer, subject)) = who {
            known = store.user_by_subject(issuer, subject).await?;
        }
        let user = tally.user.or(known.as_ref().map(|user| user.id));
        let actor = user.map_or(Actor::Stranger, Actor::Visitor);
        let mut event: Event = self
            .by(actor)
            .event(Kind::Denied)
            .code(code.as_str())
            .request(Some(&tally.request))
            .client(tally.client)
            .detail("source", source(*code))
            .detail("count", tally.count)
            .detail("first", tally.first.0)
            .detail("last", tally.last.0);
        if let Some(app) = app {
            event = event.app(app);
        }
        if let Some(user) = known {
            event = event.email(&user.email);
        }
        event = match (user, who) {
            (Some(user), _) => event.user(user),
            // Nobody of ours: told apart from others, and that is all.
            (None, Some((issuer, subject))) => {
                event.detail("stranger", key.pseudonym(issuer, subject))
            }
            (None, None) => event,
        };
        Ok(event.draft())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn denied(subject: &str, code: Code) -> Denied {
        Denied {
            who: Some((
                IssuerId::new("pomerium").unwrap(),
                Subject::new(subject).unwrap(),
            )),
            user: None,
            app: None,
            code,
            request: "r".into(),
            client: None,
        }
    }

    #[test]
    fn a_storm_of_one_denial_is_one_record_an_interval() {
        let denials = Denials::default();
        let mut records = 0;
        let mut counted = 0;
        for second in 0..3_600 {
            let now = Timestamp(second);
            for _ in 0..50 {
                denials.count(denied("alice", Code::AccessNotGranted), now);
            }
            if second % 10 == 9 {
                let (due, dropped) = denials.due(now, false);
                records += due.len();
                counted += due.iter().map(|(_, tally)| tally.count).sum::<u64>();
                assert_eq!(dropped, 0);
            }
        }
        assert_eq!(records, 6);
        let (rest, _) = denials.due(Timestamp(3_600), true);
        assert_eq!(counted + rest[0].1.count, 180_000);
    }

    #[test]
    fn a_storm_of_many_is_bounded_and_what_is_dropped_is_counted() {
        let denials = Denials::default();
        for n in 0..10_000 {
            denials.count(
                denied(&format!("s{n}"), Code::AccessNotGranted),
                Timestamp(0),
            );
        }
        assert_eq!(denials.0.lock().tallies.len(), MOST);
        let (due, dropped) = denials.due(Timestamp(10), false);
        assert_eq!(due.len(), BATCH);
        assert_eq!(dropped, 10_000 - MOST as u64);
        // Written later, when the store could not.
        denials.give_back(due, dropped);
        let mut seen = 0;
        loop {
            let (due, more) = denials.due(Timestamp(10 + QUIET), false);
            seen += more + due.iter().map(|(_, tally)| tally.count).sum::<u64>();
            if due.is_empty() {
                break;
            }
        }
        assert_eq!(seen, 10_000);
        // And then forgotten.
        denials.due(Timestamp(20 + 2 * QUIET), false);
        assert!(denials.0.lock().tallies.is_empty());
    }

    #[test]
    fn faults_and_waits_are_no_denials() {
        for code in Code::ALL
            .iter()
            .filter(|code| code.status().is_server_error())
        {
            assert!(!is_denial(*code), "{}", code.as_str());
        }
        assert!(!is_denial(Code::SessionRequired));
        for code in [
            Code::AssertionSignature,
            Code::AccessDisabled,
            Code::AccountConflict,
            Code::SessionSignedOut,
            Code::CsrfRefused,
            Code::RequestFraming,
            Code::RouteUnknownHost,
        ] {
            assert!(is_denial(code), "{}", code.as_str());
        }
    }
}
