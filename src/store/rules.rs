//! Decisions that are the same on every engine and need no SQL.

use super::{
    By, Change, Draft, EndReason, Epoch, SeenUser, Session, StateBy, User, UserState, Which,
};
use crate::types::{Sid, Timestamp, UserId};
use std::borrow::Cow;

/// Most sids a session remembers besides its current one.
const FORMER_SIDS: usize = 16;

/// Rows of one kind that one call of `purge` removes at most: about as long as a birth.
pub(super) const PURGE_AT_ONCE: i64 = 1_000;

/// What a page's limit of 0 means.
const PAGE: u32 = 100;

/// The largest page.
const LARGEST_PAGE: u32 = 10_000;

/// A page's limit as SQL takes it.
pub(super) fn limit(asked: u32) -> i64 {
    i64::from(if asked == 0 {
        PAGE
    } else {
        asked.min(LARGEST_PAGE)
    })
}

/// Text from outside as both engines can hold it: PostgreSQL has no NUL in a text.
pub(super) fn plain(text: &str) -> Cow<'_, str> {
    if text.contains('\0') {
        Cow::Owned(text.replace('\0', "\u{fffd}"))
    } else {
        Cow::Borrowed(text)
    }
}

/// What `saw_user` stores of an assertion.
pub(super) fn plain_user(seen: &SeenUser) -> SeenUser {
    let option = |text: &Option<String>| text.as_deref().map(|t| plain(t).into_owned());
    SeenUser {
        email: plain(&seen.email).into_owned(),
        name: plain(&seen.name).into_owned(),
        username: option(&seen.username),
        locale: option(&seen.locale),
        ..seen.clone()
    }
}

/// Whether an assertion changes nothing of a user whose newest assertion was at `seen_at`.
pub(super) fn nothing_new(user: &User, seen_at: Timestamp, seen: &SeenUser) -> bool {
    let same = user.email == seen.email
        && user.email_verified == seen.email_verified
        && user.name == seen.name
        && user.username == seen.username
        && user.locale == seen.locale
        && user.groups == seen.groups;
    // Whoever comes by in person is pending no more.
    user.state != UserState::Pending && (seen.at < seen_at || (seen.at == seen_at && same))
}

/// How hard a state denies.
const fn severity(state: UserState) -> u8 {
    match state {
        UserState::Pending | UserState::Active => 0,
        UserState::Suspended => 1,
        UserState::Disabled => 2,
        UserState::Tombstoned => 3,
    }
}

/// Whether `who` may bring a user from their state into `to`, and that changes anything.
///
/// An operator may do anything. A directory never touches what an operator denied, never lifts what
/// another directory denied, and never lifts a tombstone (T33).
pub(super) fn may_set(user: &User, to: UserState, who: &StateBy) -> bool {
    if user.state == to && (!to.denies() || user.state_by == *who) {
        return false;
    }
    let StateBy::Directory(_) = who else {
        return true;
    };
    if !user.state.denies() {
        return true;
    }
    let theirs = matches!(user.state_by, StateBy::Directory(_));
    if !theirs || user.state == UserState::Tombstoned {
        return false;
    }
    match to.denies() {
        true => severity(to) >= severity(user.state),
        false => user.state_by == *who,
    }
}

/// Whether a user is as they were read: but for the epoch, which says nothing about them.
pub(super) fn still_as(user: &User, read: &User) -> bool {
    let epoch = user.epoch;
    *user
        == User {
            epoch,
            ..read.clone()
        }
}

/// Every sid of a session, the current one first.
pub(super) fn sids(session: &Session) -> impl Iterator<Item = &Sid> {
    std::iter::once(&session.sid).chain(&session.former_sids)
}

/// The former sids once `session` has moved to `to`: newest last, the newest 16, none twice.
pub(super) fn former_after(session: &Session, to: &Sid) -> Vec<Sid> {
    let mut former: Vec<Sid> = session.former_sids.clone();
    former.retain(|sid| sid != to && *sid != session.sid);
    former.push(session.sid.clone());
    let surplus = former.len().saturating_sub(FORMER_SIDS);
    former.drain(..surplus);
    former
}

/// Whether a session may be written to: not ended, and within its time.
pub(super) fn lives(session: &Session, now: Timestamp) -> bool {
    session.ended_at.is_none() && session.expires_at > now
}

/// The state of a user under the lock that births and revocations share.
#[derive(Debug, Clone, Copy)]
pub(super) struct Standing {
    /// Now.
    pub(super) epoch: Epoch,
    /// A person who was disabled before the epoch was read would pass by it alone.
    pub(super) state: UserState,
}

impl Standing {
    /// Whether nothing was revoked since `read`.
    pub(super) fn is_still(&self, read: Epoch) -> bool {
        self.epoch == read && self.state == UserState::Active
    }
}

/// Whether `which` means this session (of an app and subject, or user, that were selected by it).
///
/// A sign-in means the session under it even after the session moved on: ending too much is the
/// safe side.
pub(super) fn is_meant(which: &Which, session: &Session) -> bool {
    match which {
        Which::Session(id) => session.id == *id,
        Which::User(user, app) => {
            session.user == *user && app.as_ref().is_none_or(|app| session.app == *app)
        }
        Which::App(app) => session.app == *app,
        Which::Sid(app, issuer, subject, sid) => {
            session.app == *app
                && session.issuer == *issuer
                && session.subject == *subject
                && sids(session).any(|s| s == sid)
        }
        Which::All => true,
    }
}

/// What the trail says of an ending: a record a session, one for a sign-in that had none, one for
/// everyone's. `whose` is the person of a sign-in, if they are known.
pub(super) fn records_of_end(
    which: &Which,
    ended: &[Session],
    whose: Option<UserId>,
    reason: EndReason,
    by: &By,
) -> Vec<Draft> {
    let mut records = match which {
        Which::All => by.records(&Change::EndedAll(ended.len(), reason)),
        Which::Sid(app, ..) if ended.is_empty() => by.records(&Change::Buried(app, whose, reason)),
        _ => Vec::new(),
    };
    records.extend(ended.iter().flat_map(|s| by.records(&Change::Ended(s))));
    records
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_has_a_limit_whatever_is_asked() {
        assert_eq!(limit(0), 100);
        assert_eq!(limit(7), 7);
        assert_eq!(limit(u32::MAX), 10_000);
    }

    #[test]
    fn nul_does_not_reach_a_text_column() {
        assert_eq!(plain("a\0b"), "a\u{fffd}b");
        assert_eq!(plain("ab"), "ab");
    }
}
