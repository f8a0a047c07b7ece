//! Who an event is by: made where something is done, handed to the store, which asks it for the
//! records of what it changed.

use super::Settings;
use super::event::{Actor, Event, Kind};
use crate::store::{
    Account, AccountState, By, Change, Draft, Job, KeyState, Membership, MembershipEnd,
    MembershipState, Person, Scribe, Session, StateBy, StoredKey, UserState,
};
use crate::types::{ClientId, Timestamp, UserId};
use std::net::IpAddr;
use std::sync::Arc;

/// Who does something, and what is known of how they came to it.
#[derive(Debug, Clone)]
pub struct Witness {
    actor: Actor,
    at: Timestamp,
    settings: Arc<Settings>,
    request: Option<String>,
    client: Option<IpAddr>,
    email: Option<String>,
    reason: Option<String>,
    introducer: Option<ClientId>,
    made: bool,
}

impl Witness {
    pub(super) fn new(actor: Actor, at: Timestamp, settings: Arc<Settings>) -> Self {
        Self {
            actor,
            at,
            settings,
            request: None,
            client: None,
            email: None,
            reason: None,
            introducer: None,
            made: false,
        }
    }

    /// With the id of the request that asked for it.
    #[must_use]
    pub fn request(mut self, id: &str) -> Self {
        self.request = Some(id.to_owned());
        self
    }

    /// From where; recorded only if the configuration says so.
    #[must_use]
    pub fn client(mut self, address: Option<IpAddr>) -> Self {
        self.client = address;
        self
    }

    /// The e-mail address of the person it concerns; recorded only if the configuration says so.
    #[must_use]
    pub fn email(mut self, email: &str) -> Self {
        self.email = Some(email.to_owned());
        self
    }

    /// Why, in somebody's words.
    #[must_use]
    pub fn reason(mut self, reason: &str) -> Self {
        self.reason = Some(reason.to_owned());
        self
    }

    /// A service introduced whoever does it, and so had it done.
    #[must_use]
    pub fn introduced_by(mut self, client: Option<&ClientId>) -> Self {
        self.introducer = client.cloned();
        self
    }

    /// The account that is about to be linked was made by us, not found.
    #[must_use]
    pub fn made_account(mut self, made: bool) -> Self {
        self.made = made;
        self
    }

    /// For the store.
    #[must_use]
    pub fn by(self) -> By {
        Arc::new(self)
    }

    /// An event of this one's, for [`super::Audit::record`].
    #[must_use]
    pub fn event(&self, kind: Kind) -> Event {
        let event = Event::new(kind, self.at, self.actor.clone(), self.settings.clone())
            .request(self.request.as_deref())
            .client(self.client)
            .email(self.email.as_deref().unwrap_or_default())
            .reason(self.reason.as_deref().unwrap_or_default());
        match &self.introducer {
            Some(client) => event.detail("introduced_by", client.as_str()),
            None => event,
        }
    }

    fn of_session(&self, kind: Kind, session: &Session) -> Event {
        self.event(kind)
            .user(session.user)
            .app(&session.app)
            .session(session.id)
            .detail("remote", session.remote.as_str())
    }
}

impl Scribe for Witness {
    fn records(&self, change: &Change<'_>) -> Vec<Draft> {
        let event = match *change {
            Change::Born(session) => Some(self.of_session(Kind::SessionStarted, session)),
            Change::Ended(session) => {
                let why = session.end_reason.map_or("", |reason| reason.as_str());
                Some(self.of_session(Kind::SessionEnded, session).code(why))
            }
            Change::Buried(app, user, reason) => {
                let event = self.event(Kind::SignInEnded).app(app).code(reason.as_str());
                Some(match user {
                    Some(user) => event.user(user),
                    None => event,
                })
            }
            Change::EndedAll(sessions, reason) => Some(
                self.event(Kind::EveryoneEnded)
                    .code(reason.as_str())
                    .detail("sessions", sessions),
            ),
            Change::State(user) => {
                let kind = match user.state {
                    UserState::Suspended => Kind::UserSuspended,
                    UserState::Disabled => Kind::UserDisabled,
                    UserState::Tombstoned => Kind::UserTombstoned,
                    UserState::Active | UserState::Pending => Kind::UserEnabled,
                };
                let event = self.event(kind).user(user.id).email(&user.email);
                let event = match &user.state_by {
                    StateBy::Directory(source) => event.detail("source", source.as_str()),
                    StateBy::Nobody | StateBy::Operator => event,
                };
                Some(event.reason(&user.state_reason))
            }
            Change::Word(before, after, user) => self.word(before, after, user),
            Change::Account(before, after) => self.account(before, after),
            Change::Membership(of, end) => membership(self, of, end),
            Change::Key(before, after) => Some(self.key(before, after)),
            Change::JobRetried(job) => Some(self.job(Kind::JobRetried, job)),
            Change::JobCancelled(job) => Some(self.job(Kind::JobCancelled, job)),
            Change::Scim(change) => Some(
                self.event(Kind::ScimChanged)
                    .code(change.what.as_str())
                    .detail("connection", change.connection.as_str())
                    .detail("resource", change.kind.as_str())
                    .detail("id", change.id)
                    .detail("joined", change.members.0)
                    .detail("left", change.members.1),
            ),
            Change::Pruned(number) => Some(self.event(Kind::AuditPruned).detail("up_to", number)),
        };
        event.iter().map(Event::draft).collect()
    }
}

impl Witness {
    /// What of a directory's word is worth a record: what decides about access. Names and addresses
    /// are not, nor a first word that lets somebody in who has not come yet.
    fn word(
        &self,
        before: Option<&Person>,
        after: Option<&Person>,
        user: Option<UserId>,
    ) -> Option<Event> {
        let of = after.or(before)?;
        let denied = before.is_some_and(Person::denies);
        let nobody = Vec::new();
        let groups = before.map_or(&nobody, |person| &person.groups);
        let event = match after {
            None => self.event(Kind::DirectoryForgotten),
            Some(now)
                if before.is_some_and(|b| b.subject.is_some() && b.subject != now.subject) =>
            {
                self.event(Kind::DirectoryMoved)
            }
            Some(now) if now.denies() && !denied => {
                let code = if now.gone_at.is_some() {
                    "gone"
                } else {
                    "inactive"
                };
                self.event(Kind::DirectoryDenied).code(code)
            }
            Some(now) if now.denies() => {
                // Inactive, then gone: told, since it is another state.
                if before.is_none_or(|b| b.gone_at.is_some() == now.gone_at.is_some()) {
                    return None;
                }
                let code = if now.gone_at.is_some() {
                    "gone"
                } else {
                    "inactive"
                };
                self.event(Kind::DirectoryDenied).code(code)
            }
            Some(_) if denied => self.event(Kind::DirectoryLifted),
            Some(now) if before.is_some() && now.groups != *groups => {
                let added = now.groups.iter().filter(|id| !groups.contains(id)).count();
                let removed = groups.iter().filter(|id| !now.groups.contains(id)).count();
                self.event(Kind::DirectoryGroups)
                    .detail("added", added)
                    .detail("removed", removed)
            }
            Some(_) => return None,
        };
        let event = event
            .detail("source", of.source.as_str())
            .detail("id", of.id.as_str());
        Some(match user {
            Some(user) => event.user(user),
            None => event,
        })
    }

    /// What of an account is worth a record: whose it is and whether the app was written to. A step
    /// that failed, or a membership that is in place, is not.
    fn account(&self, before: &Account, after: &Account) -> Option<Event> {
        use AccountState::{Conflict, Intent, Linked};
        if let Some(event) = self.deactivation(before, after) {
            return Some(event);
        }
        let kind = match (before.state, after.state) {
            (Linked, Linked) if before.remote != after.remote => Kind::AccountLinked,
            (Linked, Linked) if before.memo == after.memo => return None,
            (Linked, Linked) => Kind::AccountUpdated,
            (_, Linked) if self.made => Kind::AccountCreated,
            (_, Linked) => Kind::AccountLinked,
            _ if before.remote.is_some() && after.remote.is_none() => Kind::AccountUnlinked,
            (_, Intent) if after.remote.is_some() && before.remote != after.remote => {
                Kind::AccountOrdered
            }
            // Found again at each try: told once.
            (Conflict, Conflict) if before.detail == after.detail => return None,
            (_, Conflict) => Kind::AccountConflict,
            (_, Intent) => return None,
        };
        let event = self.event(kind).user(after.user).app(&after.app);
        // Of a lost account the id it had; never the user name, which is what a person is called.
        let remote = after.remote.as_ref().or(before.remote.as_ref());
        Some(match remote {
            Some(remote) => event.detail("remote", remote.as_str()),
            None => event,
        })
    }

    /// Deactivated when the app wrote it down, not when it was meant; reactivated when that is taken
    /// back.
    fn deactivation(&self, before: &Account, after: &Account) -> Option<Event> {
        let mark = |account: &Account| {
            let known = account.deactivated?;
            known.done_at().map(|_| known.why)
        };
        let (kind, why) = match (mark(before), mark(after)) {
            (None, Some(why)) => (Kind::AccountDeactivated, why),
            (Some(why), None) => (Kind::AccountReactivated, why),
            _ => return None,
        };
        let event = self.event(kind).user(after.user).app(&after.app);
        let event = event.detail("for", why.as_str());
        let remote = after.remote.as_ref().or(before.remote.as_ref());
        Some(match remote {
            Some(remote) => event.detail("remote", remote.as_str()),
            None => event,
        })
    }

    /// Its key stays out: it may hold what a directory calls a person.
    fn job(&self, kind: Kind, job: &Job) -> Event {
        let mut event = self
            .event(kind)
            .detail("job", job.id.to_string())
            .detail("does", job.kind.as_str())
            .detail("was", job.state.as_str());
        if let Some(user) = job.user {
            event = event.user(user);
        }
        if let Some(app) = &job.app {
            event = event.app(app);
        }
        match &job.source {
            Some(source) => event.detail("source", source.as_str()),
            None => event,
        }
    }

    fn key(&self, before: Option<&StoredKey>, after: &StoredKey) -> Event {
        let kind = match after.state {
            state if before.is_some_and(|key| key.state == state) => Kind::KeyRewrapped,
            KeyState::Announced => Kind::KeyAnnounced,
            KeyState::Signing => Kind::KeySigns,
            KeyState::Retired => Kind::KeyRetired,
            KeyState::Revoked => Kind::KeyRevoked,
        };
        self.event(kind)
            .detail("kid", after.id.as_str())
            .detail("for", after.kind.as_str())
    }
}

/// A membership given or taken away; one that is only forgotten was nobody's doing here, and an intent
/// that came to nothing is none either.
fn membership(by: &Witness, of: &Membership, end: Option<MembershipEnd>) -> Option<Event> {
    let kind = match end {
        None => Kind::MembershipGranted,
        Some(MembershipEnd::Withdrawn) if of.state == MembershipState::Granted => {
            Kind::MembershipWithdrawn
        }
        Some(_) => return None,
    };
    let event = by.event(kind).user(of.user).app(&of.app);
    Some(
        event
            .detail("remote", of.remote.as_str())
            .detail("kind", of.kind.as_str())
            .detail("target", of.target.as_str())
            .detail("name", of.name.as_str()),
    )
}
