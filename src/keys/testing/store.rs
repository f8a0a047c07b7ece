//! A store that only knows keys and secrets, for the tests of this folder.

use crate::store::*;
use crate::types::{
    AppId, BotName, IssuerId, KeyId, RemoteId, SessionId, Sid, SourceId, Subject, Timestamp,
    TokenId, UserId,
};
use async_trait::async_trait;
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use uuid::Uuid;

#[derive(Default)]
pub(in crate::keys) struct KeyStore {
    pub(in crate::keys) keys: Mutex<Vec<StoredKey>>,
    pub(in crate::keys) secrets: Mutex<BTreeMap<String, Vec<u8>>>,
    /// What happens between a page of sealed records and their replacement.
    pub(in crate::keys) before_reseal: Mutex<Option<Meddler>>,
    turn: Arc<tokio::sync::Mutex<()>>,
}

type Meddler = Box<dyn Fn(&mut BTreeMap<String, Vec<u8>>) + Send>;

impl KeyStore {
    fn all_sealed(&self) -> Vec<Sealed> {
        let (keys, secrets) = (self.keys.lock(), self.secrets.lock());
        let keys = keys.iter().map(|key| Sealed {
            at: SealedAt::SigningKey(key.kind, key.id.clone(), key.state),
            bytes: key.sealed.clone(),
        });
        let secrets = secrets.iter().map(|(name, bytes)| Sealed {
            at: SealedAt::Secret(name.clone()),
            bytes: bytes.clone(),
        });
        let all = keys.chain(secrets);
        all.filter(|sealed| !sealed.bytes.is_empty()).collect()
    }

    pub(in crate::keys) fn state(&self, kid: &KeyId) -> KeyState {
        let keys = self.keys.lock();
        keys.iter().find(|key| key.id == *kid).unwrap().state
    }
}

fn kind(at: &SealedAt) -> SealedKind {
    match at {
        SealedAt::SigningKey(..) => SealedKind::SigningKey,
        SealedAt::Secret(_) => SealedKind::Secret,
        SealedAt::Session(..) => SealedKind::Session,
        SealedAt::Bot(..) => SealedKind::Bot,
    }
}

pub(super) fn not_ours<T>() -> T {
    unreachable!("keys never ask for this")
}

#[async_trait]
impl DirectoryStore for KeyStore {
    async fn put_person(&self, _: &Person, _: Timestamp, _: &By) -> Result<Put> {
        not_ours()
    }

    async fn person(&self, _: &SourceId, _: &str) -> Result<Option<Person>> {
        not_ours()
    }

    async fn person_by_alias(&self, _: &SourceId, _: &str) -> Result<Option<Person>> {
        not_ours()
    }

    async fn said_of(&self, _: &[(IssuerId, Subject)]) -> Result<Vec<SaidOf>> {
        not_ours()
    }

    async fn settle(&self, _: &[Word]) -> Result<()> {
        not_ours()
    }

    async fn words(&self, _: &PersonFilter) -> Result<Vec<Word>> {
        not_ours()
    }

    async fn forget_person(&self, _: &SourceId, _: &str, _: Timestamp, _: &By) -> Result<()> {
        not_ours()
    }

    async fn put_group(
        &self,
        _: &DirectoryGroup,
        _: Timestamp,
    ) -> Result<Option<Option<DirectoryGroup>>> {
        not_ours()
    }

    async fn groups(&self, _: &SourceId) -> Result<Vec<DirectoryGroup>> {
        not_ours()
    }

    async fn all_groups(&self) -> Result<Vec<DirectoryGroup>> {
        not_ours()
    }

    async fn source_state(&self, _: &SourceId) -> Result<SourceState> {
        not_ours()
    }

    async fn source_states(&self) -> Result<Vec<(SourceId, SourceState)>> {
        not_ours()
    }

    async fn put_source_state(&self, _: &SourceId, _: &SourceState) -> Result<()> {
        not_ours()
    }

    async fn heard(&self, _: &SourceId, _: Timestamp, _: bool) -> Result<()> {
        not_ours()
    }
}

#[async_trait]
impl JobStore for KeyStore {
    async fn enqueue(&self, _: &[NewJob], _: Timestamp) -> Result<Vec<Enqueued>> {
        not_ours()
    }

    async fn claim_jobs(&self, _: &JobClaim, _: Timestamp) -> Result<Vec<Job>> {
        not_ours()
    }

    async fn extend_job(&self, _: Uuid, _: &str, _: Timestamp, _: Timestamp) -> Result<bool> {
        not_ours()
    }

    async fn be_here(&self, _: &str) -> Result<LockGuard> {
        not_ours()
    }

    async fn absent_holders(&self) -> Result<Vec<String>> {
        not_ours()
    }

    fn absence(&self) -> Duration {
        not_ours()
    }

    async fn relieve(&self, _: &str, _: Timestamp) -> Result<u64> {
        not_ours()
    }

    async fn outranked_jobs(&self, _: &str, _: Timestamp) -> Result<Vec<Uuid>> {
        not_ours()
    }

    async fn finish_job(&self, _: Uuid, _: &str, _: &JobEnd, _: Timestamp) -> Result<bool> {
        not_ours()
    }

    async fn job(&self, _: Uuid) -> Result<Option<Job>> {
        not_ours()
    }

    async fn jobs(&self, _: &JobFilter) -> Result<Vec<Job>> {
        not_ours()
    }

    async fn retry_job(&self, _: Uuid, _: Timestamp, _: &By) -> Result<Option<Job>> {
        not_ours()
    }

    async fn cancel_job(&self, _: Uuid, _: Timestamp, _: &By) -> Result<Option<Job>> {
        not_ours()
    }

    async fn count_jobs(&self) -> Result<Vec<JobCount>> {
        not_ours()
    }

    async fn forget_jobs(&self, _: Timestamp) -> Result<u64> {
        not_ours()
    }

    async fn wait_for_job(&self, _: Duration) {
        not_ours()
    }
}

#[async_trait]
impl LookStore for KeyStore {
    async fn put_look(&self, _: &StoredLook) -> Result<()> {
        not_ours()
    }

    async fn looks(&self) -> Result<Vec<(AppId, Timestamp)>> {
        not_ours()
    }

    async fn last_look(&self, _: &AppId) -> Result<Option<StoredLook>> {
        not_ours()
    }
}

#[async_trait]
impl PlanStore for KeyStore {
    async fn hold_plan(&self, _: &StoredPlan) -> Result<StoredPlan> {
        not_ours()
    }

    async fn propose_plan(&self, _: &StoredPlan) -> Result<()> {
        not_ours()
    }

    async fn supersede_plans(&self, _: &SourceId, _: Option<&AppId>, _: Timestamp) -> Result<()> {
        not_ours()
    }

    async fn held_plans(&self) -> Result<Vec<(SourceId, i64)>> {
        not_ours()
    }

    async fn plan(&self, _: Uuid) -> Result<Option<StoredPlan>> {
        not_ours()
    }

    async fn plans(&self, _: &PlanFilter) -> Result<Vec<StoredPlan>> {
        not_ours()
    }

    async fn end_plan(&self, _: Uuid, _: PlanState, _: &str, _: Timestamp) -> Result<bool> {
        not_ours()
    }
}

#[async_trait]
impl Store for KeyStore {
    async fn told_of_user(&self, _: &SeenUser, _: bool) -> Result<Option<User>> {
        not_ours()
    }

    async fn directory_sets_state(
        &self,
        _: UserId,
        _: &SourceId,
        _: UserState,
        _: &str,
        _: Timestamp,
        _: &By,
    ) -> Result<Option<(User, Vec<Session>)>> {
        not_ours()
    }

    async fn signing_keys(&self) -> Result<Vec<StoredKey>> {
        // Lets others in between, as a real store does.
        tokio::task::yield_now().await;
        Ok(self.keys.lock().clone())
    }

    async fn put_signing_key(&self, key: &StoredKey, _: Timestamp, _: &By) -> Result<()> {
        let mut keys = self.keys.lock();
        match keys.iter_mut().find(|stored| stored.id == key.id) {
            Some(stored) => *stored = key.clone(),
            None => keys.push(key.clone()),
        }
        Ok(())
    }

    async fn note_verdict(&self, _: &Verdict, _: Timestamp, _: Timestamp) -> Result<bool> {
        not_ours()
    }

    async fn bots(&self) -> Result<Vec<StoredBot>> {
        not_ours()
    }

    async fn bot(&self, _: &AppId, _: &BotName) -> Result<Option<StoredBot>> {
        not_ours()
    }

    async fn begin_bot(&self, _: &StoredBot) -> Result<StoredBot> {
        not_ours()
    }

    async fn save_bot(&self, _: &StoredBot, _: Timestamp) -> Result<StoredBot> {
        not_ours()
    }

    async fn remove_bot(&self, _: &StoredBot, _: Timestamp) -> Result<()> {
        not_ours()
    }

    async fn secret(&self, name: &str) -> Result<Option<Vec<u8>>> {
        tokio::task::yield_now().await;
        Ok(self.secrets.lock().get(name).cloned())
    }

    async fn secret_or_insert(&self, name: &str, sealed: &[u8]) -> Result<Vec<u8>> {
        let mut secrets = self.secrets.lock();
        Ok(secrets
            .entry(name.to_owned())
            .or_insert(sealed.to_vec())
            .clone())
    }

    async fn seals(&self) -> Result<Vec<SealCount>> {
        let mut counts: BTreeMap<(SealedKind, Vec<u8>), u64> = BTreeMap::new();
        for (kind, bytes) in self.all_sealed().iter().map(|s| (kind(&s.at), &s.bytes)) {
            let head = bytes[..SealHead::LEN.min(bytes.len())].to_vec();
            *counts.entry((kind, head)).or_default() += 1;
        }
        let count = |((kind, head), count)| SealCount { kind, head, count };
        Ok(counts.into_iter().map(count).collect())
    }

    async fn sealed_otherwise(
        &self,
        of: SealedKind,
        head: SealHead,
        after: Option<&SealedAt>,
        _: u32,
    ) -> Result<Vec<Sealed>> {
        // One page holds all there is.
        if after.is_some() {
            return Ok(Vec::new());
        }
        let mut all = self.all_sealed();
        all.retain(|s| kind(&s.at) == of && !s.bytes.starts_with(&head.0));
        Ok(all)
    }

    async fn reseal(&self, records: &[Resealed]) -> Result<u64> {
        if let Some(meddle) = &*self.before_reseal.lock() {
            meddle(&mut self.secrets.lock());
        }
        let mut written = 0;
        for Resealed { read, anew } in records {
            let (mut keys, mut secrets) = (self.keys.lock(), self.secrets.lock());
            let place = match &read.at {
                SealedAt::SigningKey(_, id, _) => {
                    let key = keys.iter_mut().find(|key| key.id == *id);
                    key.map(|key| &mut key.sealed)
                }
                SealedAt::Secret(name) => secrets.get_mut(name),
                SealedAt::Session(..) | SealedAt::Bot(..) => not_ours(),
            };
            if let Some(place) = place.filter(|place| **place == read.bytes) {
                place.clone_from(anew);
                written += 1;
            }
        }
        Ok(written)
    }

    async fn lock(&self, _: &str, _: Duration) -> Result<LockGuard> {
        Ok(LockGuard::new(Arc::clone(&self.turn).lock_owned().await))
    }

    async fn saw_user(&self, _: &SeenUser) -> Result<User> {
        not_ours()
    }

    async fn user_by_subject(&self, _: &IssuerId, _: &Subject) -> Result<Option<User>> {
        not_ours()
    }

    async fn user(&self, _: UserId) -> Result<Option<User>> {
        not_ours()
    }

    async fn users(&self, _: &UserFilter) -> Result<Vec<User>> {
        not_ours()
    }

    async fn set_user_state(
        &self,
        _: UserId,
        _: UserState,
        _: &str,
        _: Timestamp,
        _: &By,
    ) -> Result<Option<(User, Vec<Session>)>> {
        not_ours()
    }

    async fn set_user_state_if(
        &self,
        _: &User,
        _: UserState,
        _: &str,
        _: Timestamp,
        _: &By,
    ) -> Result<(User, Vec<Session>)> {
        not_ours()
    }

    async fn claim(&self, _: &Claim, _: Timestamp) -> Result<Claimed> {
        not_ours()
    }

    async fn keep_answer(&self, _: &Claim, _: &KeptAnswer) -> Result<()> {
        not_ours()
    }

    async fn give_up_claim(&self, _: &Claim) -> Result<()> {
        not_ours()
    }

    async fn account(&self, _: &AppId, _: UserId) -> Result<Option<Account>> {
        not_ours()
    }

    async fn account_by_remote(&self, _: &AppId, _: &RemoteId) -> Result<Option<Account>> {
        not_ours()
    }

    async fn accounts(&self, _: &AccountFilter) -> Result<Vec<Account>> {
        not_ours()
    }

    async fn begin_account(&self, _: &AppId, _: UserId, _: Timestamp) -> Result<Account> {
        not_ours()
    }

    async fn save_account(&self, _: &Account, _: &By) -> Result<Account> {
        not_ours()
    }

    async fn epoch(&self, _: UserId) -> Result<Epoch> {
        not_ours()
    }

    async fn birth(&self, _: &Session, _: Epoch, _: Timestamp, _: &By) -> Result<Birth> {
        not_ours()
    }

    async fn renew(
        &self,
        _: SessionId,
        _: i64,
        _: &Renewal,
        _: Epoch,
        _: Timestamp,
    ) -> Result<Birth> {
        not_ours()
    }

    async fn carry_over(
        &self,
        _: SessionId,
        _: &Sid,
        _: Timestamp,
        _: Epoch,
        _: Timestamp,
    ) -> Result<Birth> {
        not_ours()
    }

    async fn session(&self, _: SessionId) -> Result<Option<Session>> {
        not_ours()
    }

    async fn session_by_sid(
        &self,
        _: &AppId,
        _: &IssuerId,
        _: &Subject,
        _: &Sid,
    ) -> Result<Option<Session>> {
        not_ours()
    }

    async fn sessions(&self, _: &SessionFilter) -> Result<Vec<Session>> {
        not_ours()
    }

    async fn unclosed_sessions(&self, _: u32) -> Result<Vec<Session>> {
        not_ours()
    }

    async fn session_closed(&self, _: SessionId) -> Result<()> {
        not_ours()
    }

    async fn end_sessions(
        &self,
        _: &Which,
        _: EndReason,
        _: Timestamp,
        _: Timestamp,
        _: &By,
    ) -> Result<Vec<Session>> {
        not_ours()
    }

    async fn tombstone(
        &self,
        _: &AppId,
        _: &IssuerId,
        _: &Subject,
        _: &Sid,
        _: Timestamp,
    ) -> Result<Option<Tombstone>> {
        not_ours()
    }

    async fn touch(&self, _: &[(SessionId, Timestamp)]) -> Result<()> {
        not_ours()
    }

    async fn last_seen(&self, _: &[SessionId]) -> Result<Vec<(SessionId, Timestamp)>> {
        not_ours()
    }

    async fn token_facts(&self, _: &TokenQuestion) -> Result<TokenFacts> {
        not_ours()
    }

    async fn revoke_token(&self, _: TokenId, _: Timestamp) -> Result<()> {
        not_ours()
    }

    async fn revocations_after(&self, _: i64, _: u32) -> Result<Vec<Revocation>> {
        not_ours()
    }

    async fn newest_revocation(&self) -> Result<i64> {
        not_ours()
    }

    async fn wait_for_revocation(&self, _: Duration) {
        not_ours()
    }

    async fn append_trail(&self, _: &[Draft]) -> Result<TrailHead> {
        not_ours()
    }

    async fn trail_head(&self) -> Result<TrailHead> {
        not_ours()
    }

    async fn trail(&self, _: &TrailFilter) -> Result<Vec<TrailRecord>> {
        not_ours()
    }

    async fn put_checkpoint(&self, _: i64, _: &str) -> Result<()> {
        not_ours()
    }

    async fn trail_marks(&self, _: MarkKind, _: i64, _: u32) -> Result<Vec<TrailMark>> {
        not_ours()
    }

    async fn newest_trail_mark(&self, _: MarkKind) -> Result<Option<TrailMark>> {
        not_ours()
    }

    async fn prune_trail(&self, _: i64, _: &str, _: &By) -> Result<u64> {
        not_ours()
    }

    async fn purge(&self, _: Timestamp, _: Duration) -> Result<u64> {
        not_ours()
    }

    async fn ping(&self) -> Result<()> {
        not_ours()
    }
}

#[async_trait]
impl ProvisionStore for KeyStore {
    async fn memberships(&self, _: &AppId, _: UserId) -> Result<Vec<Membership>> {
        not_ours()
    }

    async fn memberships_of(
        &self,
        _: &AppId,
        _: Option<&Membership>,
        _: u32,
    ) -> Result<Vec<Membership>> {
        not_ours()
    }

    async fn intend_membership(&self, _: &Membership) -> Result<()> {
        not_ours()
    }

    async fn membership_granted(&self, _: &Membership, _: Timestamp, _: &By) -> Result<bool> {
        not_ours()
    }

    async fn end_membership(&self, _: &Membership, _: MembershipEnd, _: &By) -> Result<bool> {
        not_ours()
    }

    async fn put_seat_count(&self, _: &AppId, _: &SeatCount) -> Result<()> {
        not_ours()
    }

    async fn seat_counts(&self, _: &AppId, _: i64) -> Result<Vec<SeatCount>> {
        not_ours()
    }
}
