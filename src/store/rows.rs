//! How a row becomes a record: the same on both engines, since both name their columns alike.
//!
//! Each list of columns stands above the function that reads it, and each engine teaches its row
//! type the six kinds of value ([`Columns`]). Lists of texts are JSON arrays on both engines.

use super::{
    Account, AccountState, Admission, DeactivatedFor, Deactivation, DeactivationStage,
    DirectoryGroup, EndReason, Job, JobCount, JobKind, JobState, KeptAnswer, KeyKind, KeyState,
    MarkKind, Membership, MembershipState, Person, PlanState, Priority, Result, Revocation,
    Revoked, SealCount, Sealed, SealedAt, SealedKind, SeatCount, Session, SourceState, StateBy,
    StoreError, StoredBot, StoredKey, StoredLook, StoredPlan, Tombstone, TrailHead, TrailMark,
    TrailRecord, User, UserState, Word, claims, trail,
};
use super::{ScimCount, ScimGroupOf, ScimKind, ScimMember, ScimResource};
use crate::types::{
    AccountId, AppId, BotName, GroupName, InvalidId, IssuerId, MembershipKind, RemoteId, SessionId,
    Sid, SourceId, Subject, Timestamp, UserId,
};
use uuid::Uuid;

/// A row, by the number of the column.
pub(super) trait Columns {
    fn text(&self, at: usize) -> Result<String>;
    fn text_or_null(&self, at: usize) -> Result<Option<String>>;
    fn int(&self, at: usize) -> Result<i64>;
    fn int_or_null(&self, at: usize) -> Result<Option<i64>>;
    fn flag(&self, at: usize) -> Result<bool>;
    fn bytes(&self, at: usize) -> Result<Vec<u8>>;
    fn bytes_or_null(&self, at: usize) -> Result<Option<Vec<u8>>>;
    fn uuid(&self, at: usize) -> Result<Uuid>;
    fn uuid_or_null(&self, at: usize) -> Result<Option<Uuid>>;
}

pub(super) const USER: &str = "id, issuer, subject, email, email_verified, name, username, locale, \
     group_names, state, state_reason, state_by, state_since, created_at, updated_at, epoch";

/// The column behind [`USER`] that holds when the newest assertion came.
pub(super) const USER_SEEN_AT: usize = 16;

pub(super) fn user(row: &impl Columns) -> Result<User> {
    Ok(User {
        id: UserId(row.uuid(0)?),
        issuer: id(row.text(1)?, IssuerId::new)?,
        subject: id(row.text(2)?, Subject::new)?,
        email: row.text(3)?,
        email_verified: row.flag(4)?,
        name: row.text(5)?,
        username: row.text_or_null(6)?,
        locale: row.text_or_null(7)?,
        groups: list(&row.text(8)?, GroupName::new)?,
        state: word("user state", &row.text(9)?, UserState::from_word)?,
        state_reason: row.text(10)?,
        state_by: state_by(&row.text(11)?)?,
        state_since: Timestamp(row.int(12)?),
        created_at: Timestamp(row.int(13)?),
        updated_at: Timestamp(row.int(14)?),
        epoch: row.int(15)?,
    })
}

/// Who set a state, from its text.
pub(super) fn state_by(text: &str) -> Result<StateBy> {
    StateBy::from_text(text).ok_or_else(|| unknown("setter of a state", text))
}

pub(super) const WORD: &str = "source, id, aliases, issuer, subject, username, name, email, \
     email_verified, locale, active, human, group_ids, read_at, gone_at, denied_since, number, \
     settled";

pub(super) fn word_of(row: &impl Columns) -> Result<Word> {
    Ok(Word {
        person: Person {
            source: id(row.text(0)?, SourceId::new)?,
            id: row.text(1)?,
            aliases: texts(&row.text(2)?)?,
            issuer: id(row.text(3)?, IssuerId::new)?,
            subject: row
                .text_or_null(4)?
                .map(|t| id(t, Subject::new))
                .transpose()?,
            username: row.text(5)?,
            name: row.text(6)?,
            email: row.text(7)?,
            email_verified: row.flag(8)?,
            locale: row.text_or_null(9)?,
            active: row.flag(10)?,
            human: row.flag(11)?,
            groups: texts(&row.text(12)?)?,
            read_at: Timestamp(row.int(13)?),
            gone_at: row.int_or_null(14)?.map(Timestamp),
        },
        denied_since: row.int_or_null(15)?.map(Timestamp),
        number: row.int(16)?,
        settled: row.flag(17)?,
    })
}

/// What a word is found by, and its number.
pub(super) fn word_key(word: &Word) -> (String, String, i64) {
    let person = &word.person;
    (person.source.to_string(), person.id.clone(), word.number)
}

/// Whom a change of a word concerns: who it is about now, and who it was about.
pub(super) fn subjects<'a>(
    before: Option<&'a Person>,
    after: Option<&'a Person>,
) -> impl Iterator<Item = (&'a IssuerId, &'a Subject)> {
    let whom = |person: &'a Person| Some((&person.issuer, person.subject.as_ref()?));
    let (now, then) = (after.and_then(whom), before.and_then(whom));
    now.into_iter().chain(then.filter(move |t| now != Some(*t)))
}

/// A source's state as it is stored.
pub(super) fn source_text(state: &SourceState) -> String {
    serde_json::to_string(state).unwrap_or_default()
}

pub(super) const GROUP: &str = "source, id, name, parents, read_at, gone_at";

pub(super) fn group(row: &impl Columns) -> Result<DirectoryGroup> {
    Ok(DirectoryGroup {
        source: id(row.text(0)?, SourceId::new)?,
        id: row.text(1)?,
        name: row.text(2)?,
        parents: texts(&row.text(3)?)?,
        read_at: Timestamp(row.int(4)?),
        gone_at: row.int_or_null(5)?.map(Timestamp),
    })
}

pub(super) fn source_state(row: &impl Columns) -> Result<(SourceId, SourceState)> {
    let state = serde_json::from_str(&row.text(1)?)
        .map_err(|_| StoreError::Inconsistent("a source's state is no JSON of ours".into()))?;
    Ok((id(row.text(0)?, SourceId::new)?, state))
}

pub(super) const ACCOUNT: &str = "id, app, user_id, state, remote, username, detail, \
     password_version, memo, settled, created_at, updated_at, version, deactivated_for, \
     deactivated_at, deactivated_mark, bots";

pub(super) fn account(row: &impl Columns) -> Result<Account> {
    Ok(Account {
        id: AccountId(row.uuid(0)?),
        app: id(row.text(1)?, AppId::new)?,
        user: UserId(row.uuid(2)?),
        state: word("account state", &row.text(3)?, AccountState::from_word)?,
        remote: row
            .text_or_null(4)?
            .map(|t| id(t, RemoteId::new))
            .transpose()?,
        username: row.text_or_null(5)?,
        detail: row.text(6)?,
        password_version: row.int(7)?,
        memo: row.text(8)?,
        settled: row.flag(9)?,
        created_at: Timestamp(row.int(10)?),
        updated_at: Timestamp(row.int(11)?),
        version: row.int(12)?,
        deactivated: deactivation(row)?,
        bots: list(&row.text(16)?, RemoteId::new)?,
    })
}

fn deactivation(row: &impl Columns) -> Result<Option<Deactivation>> {
    let Some(why) = row.text_or_null(13)? else {
        return Ok(None);
    };
    Ok(Some(Deactivation {
        why: word("deactivation", &why, DeactivatedFor::from_word)?,
        at: Timestamp(row.int(14)?),
        stage: match row.int_or_null(15)? {
            None => DeactivationStage::Planned,
            Some(0) => DeactivationStage::Asked,
            Some(at) => DeactivationStage::Done(at),
        },
    }))
}

/// How far a deactivation is, as it is kept.
pub(super) fn stage(of: Option<Deactivation>) -> Option<i64> {
    match of?.stage {
        DeactivationStage::Planned => None,
        DeactivationStage::Asked => Some(0),
        DeactivationStage::Done(at) => Some(at),
    }
}

/// The app's ids of an account's bots, as they are kept.
pub(super) fn bots_text(bots: &[RemoteId]) -> String {
    let ids: Vec<&str> = bots.iter().map(RemoteId::as_str).collect();
    serde_json::to_string(&ids).unwrap_or_else(|_| "[]".to_owned())
}

pub(super) const MEMBERSHIP: &str = "app, user_id, remote, kind, target, name, state, since";

pub(super) fn membership(row: &impl Columns) -> Result<Membership> {
    Ok(Membership {
        app: id(row.text(0)?, AppId::new)?,
        user: UserId(row.uuid(1)?),
        remote: id(row.text(2)?, RemoteId::new)?,
        kind: word("membership", &row.text(3)?, MembershipKind::from_word)?,
        target: row.text(4)?,
        name: row.text(5)?,
        state: word("membership", &row.text(6)?, MembershipState::from_word)?,
        since: Timestamp(row.int(7)?),
    })
}

/// The key of a membership: the parts hold no line feed.
pub(super) fn membership_id(of: &Membership) -> String {
    format!("{}\n{}\n{}\n{}", of.app, of.remote, of.kind, of.target)
}

/// The key of a day's count.
pub(super) fn seat_count_id(app: &AppId, day: i64) -> String {
    format!("{app}/{day}")
}

pub(super) fn seat_count(row: &impl Columns) -> Result<SeatCount> {
    Ok(SeatCount {
        day: row.int(0)?,
        used: row.int(1)?,
        total: row.int_or_null(2)?,
    })
}

pub(super) const SESSION: &str = "id, app, issuer, subject, user_id, account_id, remote, sid, \
     former_sids, sealed, app_session, app_expires_at, generation, created_at, sid_since, \
     expires_at, last_seen, ended_at, end_reason, agent, \
     refused_at, readmitted_at";

pub(super) fn session(row: &impl Columns) -> Result<Session> {
    Ok(Session {
        id: session_id(row.bytes(0)?)?,
        app: id(row.text(1)?, AppId::new)?,
        issuer: id(row.text(2)?, IssuerId::new)?,
        subject: id(row.text(3)?, Subject::new)?,
        user: UserId(row.uuid(4)?),
        account: AccountId(row.uuid(5)?),
        remote: id(row.text(6)?, RemoteId::new)?,
        sid: id(row.text(7)?, Sid::new)?,
        former_sids: list(&row.text(8)?, Sid::new)?,
        sealed: row.bytes(9)?,
        app_session: row.text_or_null(10)?,
        app_expires_at: Timestamp(row.int(11)?),
        generation: row.int(12)?,
        created_at: Timestamp(row.int(13)?),
        sid_since: Timestamp(row.int(14)?),
        expires_at: Timestamp(row.int(15)?),
        last_seen: Timestamp(row.int(16)?),
        ended_at: row.int_or_null(17)?.map(Timestamp),
        end_reason: row.text_or_null(18)?.map(|t| end_reason(&t)).transpose()?,
        agent: row.text(19)?,
        admission: admission(row, 20)?,
    })
}

/// What the access rule last said, from the column `at` and the next.
pub(super) fn admission(row: &impl Columns, at: usize) -> Result<Admission> {
    Ok(Admission {
        refused_at: Timestamp(row.int(at)?),
        readmitted_at: Timestamp(row.int(at + 1)?),
    })
}

pub(super) const PLAN: &str =
    "id, source, app, state, digest, why, body, made_at, state_since, ended_by";

pub(super) fn plan(row: &impl Columns) -> Result<StoredPlan> {
    Ok(StoredPlan {
        id: row.uuid(0)?,
        source: id(row.text(1)?, SourceId::new)?,
        app: match row.text(2)? {
            none if none.is_empty() => None,
            app => Some(id(app, AppId::new)?),
        },
        state: word("plan state", &row.text(3)?, PlanState::from_word)?,
        digest: row.text(4)?,
        why: row.text(5)?,
        body: row.text(6)?,
        made_at: Timestamp(row.int(7)?),
        state_since: Timestamp(row.int(8)?),
        by: row.text(9)?,
    })
}

/// The same without what it says, which may be long.
pub(super) const PLAN_HEAD: &str =
    "id, source, app, state, digest, why, '' AS body, made_at, state_since, ended_by";

pub(super) const LOOK: &str = "app, looked_at, body";

pub(super) fn look(row: &impl Columns) -> Result<StoredLook> {
    Ok(StoredLook {
        app: id(row.text(0)?, AppId::new)?,
        looked_at: Timestamp(row.int(1)?),
        body: row.text(2)?,
    })
}

/// An app, and when it was looked at.
pub(super) fn looked(row: &impl Columns) -> Result<(AppId, Timestamp)> {
    Ok((id(row.text(0)?, AppId::new)?, Timestamp(row.int(1)?)))
}

/// A directory and a number.
pub(super) fn counted(row: &impl Columns) -> Result<(SourceId, i64)> {
    Ok((id(row.text(0)?, SourceId::new)?, row.int(1)?))
}

pub(super) const TOMBSTONE: &str = "reason, set_at, stands_until";

pub(super) fn tombstone(row: &impl Columns) -> Result<Tombstone> {
    Ok(Tombstone {
        reason: end_reason(&row.text(0)?)?,
        at: Timestamp(row.int(1)?),
        until: Timestamp(row.int(2)?),
    })
}

pub(super) const REVOCATION: &str =
    "number, appended_at, what, session_id, user_id, app, issuer, subject, sid, reason";

pub(super) fn revocation(row: &impl Columns) -> Result<Revocation> {
    let what = match row.text(2)?.as_str() {
        "session" => Revoked::Session(session_id(some(row.bytes_or_null(3)?)?)?),
        "user" => Revoked::User(UserId(some(row.uuid_or_null(4)?)?)),
        "sid" => Revoked::Sid(
            id(some(row.text_or_null(5)?)?, AppId::new)?,
            id(some(row.text_or_null(6)?)?, IssuerId::new)?,
            id(some(row.text_or_null(7)?)?, Subject::new)?,
            id(some(row.text_or_null(8)?)?, Sid::new)?,
        ),
        "all" => Revoked::All,
        "keys" => Revoked::Keys,
        "bots" => Revoked::Bots,
        "admission" => Revoked::Admission(session_id(some(row.bytes_or_null(3)?)?)?),
        "person" => Revoked::Person(
            id(some(row.text_or_null(6)?)?, IssuerId::new)?,
            id(some(row.text_or_null(7)?)?, Subject::new)?,
        ),
        "groups" => Revoked::Groups,
        other => return Err(unknown("revocation", other)),
    };
    Ok(Revocation {
        number: row.int(0)?,
        at: Timestamp(row.int(1)?),
        what,
        reason: row.text_or_null(9)?.map(|t| end_reason(&t)).transpose()?,
    })
}

/// An entry of the log as its columns, in the order of [`REVOCATION`] from `what` to `sid`.
pub(super) struct Entry<'a> {
    pub(super) what: &'static str,
    pub(super) session: Option<&'a [u8]>,
    pub(super) user: Option<Uuid>,
    pub(super) app: Option<&'a str>,
    pub(super) issuer: Option<&'a str>,
    pub(super) subject: Option<&'a str>,
    pub(super) sid: Option<&'a str>,
}

impl<'a> From<&'a Revoked> for Entry<'a> {
    fn from(revoked: &'a Revoked) -> Self {
        let mut entry = Self {
            what: "",
            session: None,
            user: None,
            app: None,
            issuer: None,
            subject: None,
            sid: None,
        };
        entry.what = match revoked {
            Revoked::Session(id) => {
                entry.session = Some(&id.0);
                "session"
            }
            Revoked::User(id) => {
                entry.user = Some(id.0);
                "user"
            }
            Revoked::Sid(app, issuer, subject, sid) => {
                entry.app = Some(app.as_str());
                entry.issuer = Some(issuer.as_str());
                entry.subject = Some(subject.as_str());
                entry.sid = Some(sid.as_str());
                "sid"
            }
            Revoked::Person(issuer, subject) => {
                entry.issuer = Some(issuer.as_str());
                entry.subject = Some(subject.as_str());
                "person"
            }
            Revoked::Groups => "groups",
            Revoked::All => "all",
            Revoked::Keys => "keys",
            Revoked::Bots => "bots",
            Revoked::Admission(id) => {
                entry.session = Some(&id.0);
                "admission"
            }
        };
        entry
    }
}

pub(super) const TRAIL: &str = "number, at, kind, user_id, app, body, previous, hash";

pub(super) fn trail_record(row: &impl Columns) -> Result<TrailRecord> {
    Ok(TrailRecord {
        number: row.int(0)?,
        at: Timestamp(row.int(1)?),
        kind: row.text(2)?,
        user: row.uuid_or_null(3)?.map(UserId),
        app: row
            .text_or_null(4)?
            .map(|t| id(t, AppId::new))
            .transpose()?,
        body: row.text(5)?,
        previous: trail::hash(row.bytes(6)?)?,
        hash: trail::hash(row.bytes(7)?)?,
    })
}

pub(super) const MARK: &str = "kind, number, token";

pub(super) fn trail_mark(row: &impl Columns) -> Result<TrailMark> {
    Ok(TrailMark {
        kind: word("mark", &row.text(0)?, MarkKind::from_word)?,
        number: row.int(1)?,
        token: row.text(2)?,
    })
}

pub(super) fn trail_head(row: &impl Columns) -> Result<TrailHead> {
    Ok(TrailHead {
        number: row.int(0)?,
        hash: trail::hash(row.bytes(1)?)?,
    })
}

pub(super) const CLAIM: &str = "fingerprint, claimed_at, stands_until, status, etag, body";

pub(super) fn claim(row: &impl Columns) -> Result<claims::Entry> {
    let answer = match row.int_or_null(3)? {
        Some(status) => Some(KeptAnswer {
            status: u16::try_from(status)
                .map_err(|_| StoreError::Inconsistent("a status is none".into()))?,
            etag: row.text_or_null(4)?,
            body: row.text_or_null(5)?.unwrap_or_default(),
        }),
        None => None,
    };
    Ok(claims::Entry {
        fingerprint: row.bytes(0)?,
        claimed_at: Timestamp(row.int(1)?),
        stands_until: Timestamp(row.int(2)?),
        answer,
    })
}

pub(super) const KEY: &str = "id, kind, state, sealed, public, created_at, state_since";

pub(super) fn key(row: &impl Columns) -> Result<StoredKey> {
    Ok(StoredKey {
        id: id(row.text(0)?, crate::types::KeyId::new)?,
        kind: word("key kind", &row.text(1)?, KeyKind::from_word)?,
        state: word("key state", &row.text(2)?, KeyState::from_word)?,
        sealed: row.bytes(3)?,
        public: row.bytes(4)?,
        created_at: Timestamp(row.int(5)?),
        state_since: Timestamp(row.int(6)?),
    })
}

/// The table of a kind of sealed record, the column of its key, and those that say what else its
/// associated data is made of.
pub(super) const fn sealed_table(kind: SealedKind) -> (&'static str, &'static str, &'static str) {
    match kind {
        SealedKind::SigningKey => ("signing_keys", "id", "state, kind"),
        SealedKind::Secret => ("secrets", "name", "name"),
        SealedKind::Session => ("sessions", "id", "app"),
        SealedKind::Bot => ("bots", "id", "app, name"),
    }
}

pub(super) const fn sealed_kind(at: &SealedAt) -> SealedKind {
    match at {
        SealedAt::SigningKey(..) => SealedKind::SigningKey,
        SealedAt::Secret(_) => SealedKind::Secret,
        SealedAt::Session(..) => SealedKind::Session,
        SealedAt::Bot(..) => SealedKind::Bot,
    }
}

pub(super) fn sealed(kind: SealedKind, row: &impl Columns) -> Result<Sealed> {
    let at = match kind {
        SealedKind::SigningKey => SealedAt::SigningKey(
            word("key kind", &row.text(3)?, KeyKind::from_word)?,
            id(row.text(0)?, crate::types::KeyId::new)?,
            word("key state", &row.text(2)?, KeyState::from_word)?,
        ),
        SealedKind::Secret => SealedAt::Secret(row.text(0)?),
        SealedKind::Session => {
            SealedAt::Session(session_id(row.bytes(0)?)?, id(row.text(2)?, AppId::new)?)
        }
        SealedKind::Bot => SealedAt::Bot(
            id(row.text(2)?, AppId::new)?,
            id(row.text(3)?, BotName::new)?,
        ),
    };
    Ok(Sealed {
        at,
        bytes: row.bytes(1)?,
    })
}

pub(super) fn seal_count(kind: SealedKind, row: &impl Columns) -> Result<SealCount> {
    Ok(SealCount {
        kind,
        head: row.bytes(0)?,
        count: u64::try_from(row.int(1)?).unwrap_or_default(),
    })
}

pub(super) const BOT: &str = "app, name, remote, username, mark, token_id, sealed, number, \
     settled, created_at, rotated_at, version";

pub(super) fn bot(row: &impl Columns) -> Result<StoredBot> {
    Ok(StoredBot {
        app: id(row.text(0)?, AppId::new)?,
        name: id(row.text(1)?, BotName::new)?,
        remote: id(row.text(2)?, RemoteId::new)?,
        username: row.text(3)?,
        mark: row.text(4)?,
        token_id: row.text_or_null(5)?,
        sealed: row.bytes(6)?,
        number: row.int(7)?,
        settled: row.flag(8)?,
        created_at: Timestamp(row.int(9)?),
        rotated_at: row.int_or_null(10)?.map(Timestamp),
        version: row.int(11)?,
    })
}

/// A row of `scim::sql::RESOURCE`.
pub(super) fn scim_resource(row: &impl Columns) -> Result<ScimResource> {
    Ok(ScimResource {
        id: row.text(0)?,
        connection: id(row.text(1)?, SourceId::new)?,
        kind: word("SCIM kind", &row.text(2)?, ScimKind::from_word)?,
        body: row.text(3)?,
        external_id: row.text_or_null(4)?,
        subject: row
            .text_or_null(5)?
            .map(|t| id(t, Subject::new))
            .transpose()?,
        active: row.flag(6)?,
        version: row.int(7)?,
        word: row.int(8)?,
        told: row.int(9)?,
        created_at: Timestamp(row.int(10)?),
        updated_at: Timestamp(row.int(11)?),
        deleted_at: row.int_or_null(12)?.map(Timestamp),
    })
}

/// A row of a group, a member, the member's kind.
pub(super) fn scim_member(row: &impl Columns) -> Result<ScimMember> {
    Ok(ScimMember {
        group: row.text(0)?,
        member: row.text(1)?,
        kind: row
            .text_or_null(2)?
            .map(|t| word("SCIM kind", &t, ScimKind::from_word))
            .transpose()?,
    })
}

/// A row of a member, a group of theirs, its external id, whether they are in it themselves, its
/// body.
pub(super) fn scim_group_of(row: &impl Columns) -> Result<ScimGroupOf> {
    Ok(ScimGroupOf {
        member: row.text(0)?,
        group: row.text(1)?,
        external_id: row.text_or_null(2)?,
        direct: row.int(3)? == 1,
        body: row.text(4)?,
    })
}

/// A row of five counts.
pub(super) fn scim_count(row: &impl Columns) -> Result<ScimCount> {
    Ok(ScimCount {
        active: row.int(0)?,
        inactive: row.int(1)?,
        groups: row.int(2)?,
        due: row.int(3)?,
        ended: row.int(4)?,
    })
}

/// The key of a bot's row; neither part holds a slash.
pub(super) fn bot_id(app: &AppId, name: &BotName) -> String {
    format!("{app}/{name}")
}

pub(super) const JOB: &str = "id, kind, key, lane, app, source, user_id, priority, payload, why, \
     state, attempts, due_at, again, holder, leased_until, error, created_at, updated_at";

pub(super) fn job(row: &impl Columns) -> Result<Job> {
    Ok(Job {
        id: row.uuid(0)?,
        kind: word("job", &row.text(1)?, JobKind::from_word)?,
        key: row.text(2)?,
        lane: row.text(3)?,
        app: row
            .text_or_null(4)?
            .map(|t| id(t, AppId::new))
            .transpose()?,
        source: row
            .text_or_null(5)?
            .map(|t| id(t, SourceId::new))
            .transpose()?,
        user: row.uuid_or_null(6)?.map(UserId),
        priority: Priority::from_number(row.int(7)?)?,
        payload: row.text(8)?,
        why: row.text(9)?,
        state: word("job state", &row.text(10)?, JobState::from_word)?,
        attempts: row.int(11)?,
        due_at: Timestamp(row.int(12)?),
        again: row.flag(13)?,
        holder: row.text_or_null(14)?,
        leased_until: row.int_or_null(15)?.map(Timestamp),
        error: row.text(16)?,
        created_at: Timestamp(row.int(17)?),
        updated_at: Timestamp(row.int(18)?),
    })
}

pub(super) fn job_count(row: &impl Columns) -> Result<JobCount> {
    Ok(JobCount {
        kind: word("job", &row.text(0)?, JobKind::from_word)?,
        app: row
            .text_or_null(1)?
            .map(|t| id(t, AppId::new))
            .transpose()?,
        state: word("job state", &row.text(2)?, JobState::from_word)?,
        count: row.int(3)?,
        oldest_due: Timestamp(row.int(4)?),
    })
}

/// A user's state from its word.
pub(super) fn user_state(text: &str) -> Result<UserState> {
    word("user state", text, UserState::from_word)
}

/// A session's id from its bytes.
pub(super) fn session_id(bytes: Vec<u8>) -> Result<SessionId> {
    <[u8; 32]>::try_from(bytes)
        .map(SessionId)
        .map_err(|_| StoreError::Inconsistent("a session id is not 32 bytes".into()))
}

/// A list of texts as it is stored.
pub(super) fn json<T: AsRef<str>>(texts: impl IntoIterator<Item = T>) -> String {
    texts
        .into_iter()
        .map(|text| serde_json::Value::from(text.as_ref()))
        .collect::<serde_json::Value>()
        .to_string()
}

/// A text as it stands in a list that [`json`] made.
pub(super) fn json_text(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

fn texts(text: &str) -> Result<Vec<String>> {
    serde_json::from_str(text)
        .map_err(|_| StoreError::Inconsistent("a list is no JSON array of texts".into()))
}

fn list<T>(text: &str, make: fn(String) -> std::result::Result<T, InvalidId>) -> Result<Vec<T>> {
    texts(text)?
        .into_iter()
        .map(|text| id(text, make))
        .collect()
}

fn id<T>(text: String, make: fn(String) -> std::result::Result<T, InvalidId>) -> Result<T> {
    make(text).map_err(|error| StoreError::Inconsistent(error.to_string()))
}

fn end_reason(text: &str) -> Result<EndReason> {
    word("end reason", text, EndReason::from_word)
}

fn word<T>(what: &str, text: &str, from: fn(&str) -> Option<T>) -> Result<T> {
    from(text).ok_or_else(|| unknown(what, text))
}

fn some<T>(value: Option<T>) -> Result<T> {
    value.ok_or_else(|| StoreError::Inconsistent("a revocation names nothing".into()))
}

fn unknown(what: &str, text: &str) -> StoreError {
    let text: String = text.chars().take(40).collect();
    StoreError::Inconsistent(format!("{what} {text:?} is not known to this version"))
}
