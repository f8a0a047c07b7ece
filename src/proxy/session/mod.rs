//! Stations 5 and 6, session and CSRF: from an admitted person to the session of their sign-in.
//!
//! By (app, issuer, sub, sid): memory, then the store, else carried over from the bridge cookie's
//! session (same subject, live, no tombstone), else a new one, made under single flight. The bridge
//! cookie must belong to the session: a page is repaired by a redirect, anything else gets 401, the
//! one status on which the web app reloads itself (tried-for-real, 6).
//!
//! What lives here: live sessions (`live`, `table`), their making (`establish`, `flight`), cookies,
//! CSRF, renewal (`heal`), ending (`end`), the revocation log (`log`), what the access
//! rule said on its way to the other replicas (`verdicts`), and the sweeps (`keeper`).
//! What does not: accounts (`identity/`), the app's API (`apps/`).

mod cookie;
pub mod csrf;
mod end;
mod establish;
mod flight;
pub mod heal;
mod keeper;
mod live;
mod log;
mod orphans;
mod table;
mod verdicts;

pub use cookie::signing_key;
pub(in crate::proxy) use cookie::texts as cookies;
pub(in crate::proxy) use end::revoke;
pub use end::{log_out, look_for_ended};
pub(in crate::proxy) use establish::seen;
pub use keeper::keep;
pub use live::{Grant, Live};
pub use log::{LogState, follow};
pub use table::Table;
pub use verdicts::{Verdicts, tell};

use super::access::{self, Admitted, Denied};
use super::bridge::Bridge;
use super::edge::CleanRequest;
use super::refuse::Halt;
use super::route::Site;
use crate::audit::Actor;
use crate::error::{Code, Refusal};
use crate::proxy::forward::{Cut, Tunnels};
use crate::store::{EndReason, Tombstone};
use crate::telemetry::RequestId;
use crate::types::{AppId, ClientId, IssuerId, Sid, Subject, Timestamp};
use cookie::Held;
use establish::Browser;
pub(in crate::proxy) use establish::Denial;
use parking_lot::Mutex;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// Everything about sessions that this replica holds.
#[derive(Default)]
pub struct Sessions {
    /// The live ones.
    pub table: Table,
    /// Who is turned away.
    pub denied: Denied,
    /// How far the revocation log was read.
    pub log: LogState,
    /// What the access rule said, on its way into the store.
    pub verdicts: Verdicts,
    /// Sessions being made.
    flights: flight::Flights,
    /// Early deaths of app sessions lately: the brake of design §4.
    deaths: heal::Deaths,
    /// Sign-ins that were sent to Pomerium's sign-out: once each.
    sent_out: Mutex<HashMap<Box<str>, Timestamp>>,
}

impl Sessions {
    /// Cuts the sockets of a sign-in whose assertion, issued at `issued`, was refused, and has the
    /// other replicas told.
    pub fn mute(
        &self,
        site: &Site,
        subject: &Subject,
        sid: &Sid,
        issued: Timestamp,
        tunnels: &Tunnels,
    ) {
        let (app, issuer) = (&site.config.id, &site.config.issuer);
        let live = self.table.find(app, issuer, subject, sid);
        if let Some(live) = &live {
            let news = live.refused_by(issued);
            tunnels.cut_session(&live.id, Cut::SessionEnded);
            if !news {
                return;
            }
        }
        // A session that only other replicas hold is marked all the same.
        self.verdicts
            .refused((app, issuer, subject, sid), issued, live.is_some());
    }

    /// Cuts the sockets of everybody to whom directories shut an app, of these people or of all: the
    /// sessions themselves are ended by whoever took the word in.
    pub fn mute_shut_out(
        &self,
        bridge: &Bridge,
        of: Option<&HashSet<(IssuerId, Subject)>>,
    ) -> usize {
        let facts = bridge.facts(bridge.clock.now());
        let sites = bridge.sites.load();
        let mut muted = 0;
        for live in self.table.all() {
            let meant = |of: &HashSet<(IssuerId, Subject)>| {
                of.contains(&(live.issuer.clone(), live.subject.clone()))
            };
            if !of.is_none_or(meant) {
                continue;
            }
            let site = sites.iter().find(|site| site.config.id == live.app);
            let shut = site.is_none_or(|site| {
                access::is_shut(&site.config.access, &facts, &live.issuer, &live.subject)
            });
            if shut {
                bridge.tunnels.cut_session(&live.id, Cut::SessionEnded);
                muted += 1;
            }
        }
        muted
    }

    /// Cuts every socket of an app whose access rule changed: pages come back and are judged anew.
    pub fn judge_anew(&self, app: &AppId, tunnels: &Tunnels) {
        for live in self.table.all().iter().filter(|l| l.app == *app) {
            tunnels.cut_session(&live.id, Cut::Restart);
        }
    }
}

/// Proof that the request has a session, that its browser holds that session's cookie, and that the
/// person is admitted. Made only here; the swap asks for it (T20):
///
/// ```compile_fail,E0451
/// use auth_manager::proxy::{access::Admitted, session::{Bound, Live}};
/// fn forge(live: std::sync::Arc<Live>, admitted: Admitted) {
///     let _ = Bound { live, admitted };
/// }
/// ```
pub struct Bound {
    live: Arc<Live>,
    admitted: Admitted,
}

impl Bound {
    /// The session.
    pub fn live(&self) -> &Arc<Live> {
        &self.live
    }

    /// Who.
    pub fn admitted(&self) -> &Admitted {
        &self.admitted
    }
}

/// Cookies that came back wrong right after they were set, so many times in a row, are not kept
/// either.
const WRONG_AGAIN: u32 = 3;

/// Binds an admitted request to its session.
///
/// # Errors
/// A refusal, or an answer of the bridge's own: the redirect that sets cookies, the way out of a
/// signed-out sign-in.
pub async fn bind(
    bridge: &Arc<Bridge>,
    site: &Arc<Site>,
    request: &CleanRequest,
    admitted: Admitted,
    request_id: &RequestId,
) -> Result<Bound, Halt> {
    let now = bridge.clock.now();
    bridge.sessions.log.must_be_fresh(now)?;
    let page = crate::proxy::visit::is_page(request);
    let held = cookie::read(site, request);

    let who = admitted.assertion();
    let found = bridge
        .sessions
        .table
        .find(&site.config.id, who.issuer(), who.subject(), who.sid());
    let live = match found {
        Some(live) if live.is_current(site.config.session.idle, now) => live,
        expired => {
            // Boxed, here and below: a request that has its session does not carry the room for
            // making one.
            if let Some(live) = expired {
                // Out of memory only: another replica may have carried it over; the row decides.
                end::forget(bridge, &live.id, EndReason::Expired);
            }
            let proven = cookie::proven_session(bridge, site, request, now);
            if let Some(id) = proven {
                Box::pin(drop_if_foreign(bridge, site, who, id, now, request_id)).await?;
            }
            let obtained = establish::obtain(
                bridge,
                site,
                Browser::of(request),
                &admitted,
                proven,
                page,
                request_id,
            );
            match Box::pin(obtained).await {
                Ok(live) => {
                    Box::pin(still_welcome(bridge, site, &live, &admitted)).await?;
                    live
                }
                Err(Denial::Refused(refusal)) => return Err(refusal.into()),
                Err(Denial::SignedOut(tombstone)) => {
                    return Err(signed_out(bridge, site, who, &tombstone, page, now));
                }
            }
        }
    };
    live.seen(now);
    if live.admitted_by(who.issued()) {
        bridge.sessions.verdicts.admitted(live.id, who.issued());
    }

    let state = held.judge(bridge, &live, now);
    if let Held::Foreign(id) = state {
        Box::pin(drop_if_foreign(bridge, site, who, id, now, request_id)).await?;
    }
    if page {
        page_has_its_cookies(bridge, site, request, &live, state, now)?;
    } else if !matches!(state, Held::Good | Held::Renewable) {
        return Err(Code::SessionRequired.into());
    }
    establish::refresh_attributes(bridge, site, &live, who);
    Ok(Bound { live, admitted })
}

/// The session of a visitor whom a service introduces, as their own first page would get it: found,
/// or made under the same single flight. There is no browser, so nothing is carried over and nobody's
/// agent is remembered; the records name the service.
pub(in crate::proxy) async fn open(
    bridge: &Arc<Bridge>,
    site: &Arc<Site>,
    admitted: &Admitted,
    introducer: &ClientId,
    request_id: &RequestId,
) -> Result<Arc<Live>, Denial> {
    let now = bridge.clock.now();
    bridge.sessions.log.must_be_fresh(now)?;
    let who = admitted.assertion();
    let found = bridge
        .sessions
        .table
        .find(&site.config.id, who.issuer(), who.subject(), who.sid());
    let live = match found {
        Some(live) if live.is_current(site.config.session.idle, now) => live,
        expired => {
            if let Some(live) = expired {
                end::forget(bridge, &live.id, EndReason::Expired);
            }
            {
                let made = establish::obtain(
                    bridge,
                    site,
                    Browser::spoken_for(introducer),
                    admitted,
                    None,
                    true,
                    request_id,
                );
                let live = Box::pin(made).await?;
                still_welcome(bridge, site, &live, admitted).await?;
                live
            }
        }
    };
    live.seen(now);
    Ok(live)
}

/// Whoever was turned away while their session was being made is not let in by it, and it does not
/// stay: what ended their sessions came before there was this one.
async fn still_welcome(
    bridge: &Arc<Bridge>,
    site: &Arc<Site>,
    live: &Arc<Live>,
    admitted: &Admitted,
) -> Result<(), Refusal> {
    let now = bridge.clock.now();
    let facts = bridge.facts(now);
    let Err(refusal) = access::again(&site.config.access, &facts, admitted) else {
        return Ok(());
    };
    let reason = match refusal.code {
        Code::AccessDisabled => EndReason::UserDisabled,
        // By the assertion alone it could only be refused; by a directory's word it ends.
        _ if access::is_shut(&site.config.access, &facts, &live.issuer, &live.subject) => {
            EndReason::PolicyChanged
        }
        _ => return Err(refusal),
    };
    end::one(bridge, site, live.id, reason, now, &bridge.audit.bridge()).await?;
    Err(refusal)
}

/// The browser changed hands: the session that its cookie names is another person's, and ends
/// (T25).
async fn drop_if_foreign(
    bridge: &Arc<Bridge>,
    site: &Arc<Site>,
    who: &super::assertion::Assertion,
    id: crate::types::SessionId,
    now: Timestamp,
    request_id: &RequestId,
) -> Result<(), Refusal> {
    let stored = match bridge.sessions.table.get(&id) {
        Some(live) => (live.issuer.clone(), live.subject.clone()),
        None => match bridge.store.session(id).await.map_err(store_refusal)? {
            Some(s) if s.ended_at.is_none() => (s.issuer, s.subject),
            _ => return Ok(()),
        },
    };
    if stored != (who.issuer().clone(), who.subject().clone()) {
        let witness = bridge.audit.by(Actor::Bridge).request(request_id.as_str());
        end::one(
            bridge,
            site,
            id,
            EndReason::PersonChanged,
            now,
            &witness.by(),
        )
        .await?;
    }
    Ok(())
}

/// A page whose cookies are not all right goes through a redirect that sets them; the mark in the
/// address says that this was done already. Only a browser that then brings no bridge cookie at all
/// keeps none: two tabs that sign in at once overwrite each other's (tried-for-real, 1).
fn page_has_its_cookies(
    bridge: &Bridge,
    site: &Site,
    request: &CleanRequest,
    live: &Live,
    state: Held,
    now: Timestamp,
) -> Result<(), Halt> {
    let plain = cookie::unmarked(request.target().as_str());
    if state == Held::Good && cookie::companions_are_right(site, live, request) {
        live.unanswered.store(0, Ordering::Relaxed);
        return match plain {
            Some(plain) => Err(super::refuse::redirect(plain).into()),
            None => Ok(()),
        };
    }
    if plain.is_some() {
        let tries = live.unanswered.fetch_add(1, Ordering::Relaxed);
        if state == Held::Missing || tries >= WRONG_AGAIN {
            return Err(Code::SessionCookiesBlocked.into());
        }
    }
    Err(cookie::set(bridge, site, live, request, now)?.into())
}

/// What a visitor meets whose sign-in is tombstoned: after a logout, once, Pomerium's own sign-out;
/// else the *signed out* page; 401 for anything but a page.
fn signed_out(
    bridge: &Bridge,
    site: &Site,
    who: &super::assertion::Assertion,
    tombstone: &Tombstone,
    page: bool,
    now: Timestamp,
) -> Halt {
    let reason = format!("signed out at {} ({})", tombstone.at, tombstone.reason);
    let refusal = Refusal::new(Code::SessionSignedOut, reason);
    let by_pomerium = site.config.session.sign_out == crate::config::SignOut::Pomerium;
    if !page || tombstone.reason != EndReason::Logout || !by_pomerium {
        return refusal.into();
    }
    let key = format!("{}\n{}\n{}", site.config.id, who.subject(), who.sid());
    let mut sent = bridge.sessions.sent_out.lock();
    if sent.len() >= 10_000 {
        sent.retain(|_, at| now.0 - at.0 < 60);
    }
    // Once: a sign-out that does not end the sign-in would come straight back for ever.
    match sent.insert(key.into(), now) {
        Some(before) if now.0 - before.0 < 60 => refusal.into(),
        _ => super::refuse::redirect("/.pomerium/sign_out").into(),
    }
}

/// What a store that fails means to a visitor: nothing is decided without it.
pub(in crate::proxy) fn store_refusal(error: crate::store::StoreError) -> Refusal {
    Refusal::new(Code::StoreUnavailable, error.to_string())
}
