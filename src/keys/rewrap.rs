//! A new master key takes over: everything that a former one sealed is sealed anew, in batches,
//! while the bridge runs. Whoever writes meanwhile wins, since a text is replaced only if it is
//! still the one that was read; what is done needs no note, since it says itself who sealed it. So
//! it may be stopped anywhere and go on anywhere, also on several replicas at once.
//!
//! What lies in backups and what replicas with the former key still seal is not seen here: look at
//! the [`Census`] again before a former key is taken out.

use super::audit::AuditKey;
use super::derive::PasswordRoot;
use super::master::{MasterKey, MasterKeyId};
use super::seal::{OpenError, Purpose, RewrapError, SealError};
use crate::store::{
    KeyState, Resealed, SealCount, Sealed, SealedAt, SealedKind, Store, StoreError,
};
use crate::types::AppId;
use std::collections::BTreeMap;
use std::fmt;

/// Records a batch: as many as one short transaction takes.
const BATCH: u32 = 200;
/// Failures that are told one by one; the rest is only counted.
const TOLD: usize = 20;

/// A bot's token is the secret of this name, followed by its app.
pub const BOT_TOKEN: &str = "bot-token/";

/// Why it could not go on.
#[derive(Debug, thiserror::Error)]
pub enum Failed {
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The crypto library.
    #[error(transparent)]
    Seal(#[from] SealError),
}

/// How far it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Progress {
    /// Sealed anew.
    pub done: u64,
    /// Somebody else wrote meanwhile: nothing to do any more, or next time.
    pub overtaken: u64,
    /// Do not open: each is still as it was.
    pub refused: u64,
    /// The first of those, for people.
    pub refusals: Vec<String>,
}

/// Seals anew whatever is not under the current master key. `tell` hears of every batch.
///
/// # Errors
/// When the store does not answer or the crypto library refuses. What is done is done. A record
/// that does not open is no error: it is counted, named, and left as it is.
pub async fn rewrap(
    store: &dyn Store,
    master: &MasterKey,
    tell: &mut (dyn FnMut(&Progress) + Send),
) -> Result<Progress, Failed> {
    let mut progress = Progress::default();
    for kind in SealedKind::ALL {
        let mut after = None;
        loop {
            let page = store
                .sealed_otherwise(kind, master.head(), after.as_ref(), BATCH)
                .await?;
            let Some(last) = page.last() else { break };
            after = Some(last.at.clone());
            let mut records = Vec::with_capacity(page.len());
            for read in page {
                match anew(master, &read) {
                    Ok(Some(anew)) => records.push(Resealed { read, anew }),
                    Ok(None) => {}
                    Err(Refused::Seal(error)) => return Err(error.into()),
                    Err(refused) => {
                        progress.refused += 1;
                        if progress.refusals.len() < TOLD {
                            progress
                                .refusals
                                .push(format!("{}: {refused}", Named(&read.at)));
                        }
                    }
                }
            }
            let asked = records.len() as u64;
            let written = store.reseal(&records).await?;
            progress.done += written;
            progress.overtaken += asked - written.min(asked);
            tell(&progress);
        }
    }
    Ok(progress)
}

#[derive(Debug, thiserror::Error)]
enum Refused {
    #[error("it {0}")]
    Open(OpenError),
    #[error(transparent)]
    Seal(SealError),
    #[error("this version does not know what it is")]
    Unknown,
}

impl From<RewrapError> for Refused {
    fn from(error: RewrapError) -> Self {
        match error {
            RewrapError::Open(error) => Self::Open(error),
            RewrapError::Seal(error) => Self::Seal(error),
        }
    }
}

/// One text sealed anew. Every kind of purpose has its line here.
fn anew(master: &MasterKey, sealed: &Sealed) -> Result<Option<Vec<u8>>, Refused> {
    let app;
    let purpose = match &sealed.at {
        SealedAt::Session(id, app) => Purpose::Session(id, app),
        SealedAt::Bot(app, name) => Purpose::ServiceBot(app, name),
        SealedAt::SigningKey(kind, id, KeyState::Announced | KeyState::Signing) => {
            Purpose::SigningKey(*kind, id)
        }
        SealedAt::SigningKey(kind, id, KeyState::Retired | KeyState::Revoked) => {
            Purpose::RetiredKey(*kind, id)
        }
        SealedAt::Secret(name) if name == PasswordRoot::STORED_AS => Purpose::PasswordRoot,
        SealedAt::Secret(name) if name == AuditKey::STORED_AS => Purpose::AuditSeed,
        SealedAt::Secret(name) => {
            let of = name.strip_prefix(BOT_TOKEN).ok_or(Refused::Unknown)?;
            app = AppId::new(of).map_err(|_| Refused::Unknown)?;
            Purpose::BotToken(&app)
        }
    };
    Ok(master.rewrap(purpose, &sealed.bytes)?)
}

/// A record, for people.
struct Named<'a>(&'a SealedAt);

impl fmt::Display for Named<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            SealedAt::SigningKey(kind, id, state) => {
                write!(f, "signing key {id} ({kind}, {state})")
            }
            SealedAt::Secret(name) => write!(f, "secret {name}"),
            SealedAt::Session(id, app) => write!(f, "session {id} of {app}"),
            SealedAt::Bot(app, name) => write!(f, "bot {name} of {app}"),
        }
    }
}

/// How much hangs on which master key.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Census {
    keys: BTreeMap<MasterKeyId, BTreeMap<SealedKind, u64>>,
    /// Records whose sealed text is of no form of ours.
    pub malformed: u64,
}

impl Census {
    /// Counts. Reads the store's tables whole.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn take(store: &dyn Store) -> Result<Self, StoreError> {
        Ok(Self::of(&store.seals().await?))
    }

    fn of(counts: &[SealCount]) -> Self {
        let mut census = Self::default();
        for SealCount { kind, head, count } in counts {
            match MasterKeyId::of_head(head) {
                Some(id) => {
                    *census.keys.entry(id).or_default().entry(*kind).or_default() += count;
                }
                None => census.malformed += count,
            }
        }
        census
    }

    /// How much is under a key, by kind; nothing: it may be taken out.
    #[must_use]
    pub fn under(&self, id: MasterKeyId) -> Hanging {
        Hanging(self.keys.get(&id).cloned().unwrap_or_default())
    }

    /// Records of a kind that are under a former key.
    #[must_use]
    pub fn left(&self, master: &MasterKey, kind: SealedKind) -> u64 {
        let kinds = master.former().filter_map(|id| self.keys.get(&id));
        kinds.filter_map(|kinds| kinds.get(&kind)).sum()
    }

    /// Keys that something hangs on and that are not at hand: what they sealed does not open.
    pub fn missing<'a>(
        &'a self,
        master: &'a MasterKey,
    ) -> impl Iterator<Item = (MasterKeyId, Hanging)> + 'a {
        let missing = self.keys.iter().filter(|(id, _)| !master.opens(**id));
        missing.map(|(id, kinds)| (*id, Hanging(kinds.clone())))
    }

    /// Every key that something hangs on must be at hand, before anything is served or sealed.
    ///
    /// # Errors
    /// The first that is not, and what hangs on it.
    pub fn must_open(&self, master: &MasterKey) -> Result<(), Missing> {
        match self.missing(master).next() {
            None => Ok(()),
            Some((id, hanging)) => Err(Missing { id, hanging }),
        }
    }
}

/// A master key that is needed and not at hand.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{id} is not configured, and {hanging} still sealed under it; put that key back into keys.former_master_keys until `auth-manager keys status` says that nothing hangs on it (if it is lost for good: `auth-manager keys rewrap --forget {id}`)"
)]
pub struct Missing {
    /// Which.
    pub id: MasterKeyId,
    /// What needs it.
    pub hanging: Hanging,
}

/// What hangs on a key, by kind.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Hanging(BTreeMap<SealedKind, u64>);

impl Hanging {
    /// All kinds together.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.0.values().sum()
    }

    /// By kind.
    pub fn kinds(&self) -> impl Iterator<Item = (SealedKind, u64)> + '_ {
        self.0.iter().map(|(kind, count)| (*kind, *count))
    }
}

impl fmt::Display for Hanging {
    /// `2 signing keys, 1 secret and 40 sessions are`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts: Vec<String> = (self.0.iter())
            .map(|(kind, count)| {
                let s = if *count == 1 { "" } else { "s" };
                format!("{count} {}{s}", kind.as_str().replace('_', " "))
            })
            .collect();
        match parts.split_last() {
            None => f.write_str("nothing is"),
            Some((last, [])) if self.total() == 1 => write!(f, "{last} is"),
            Some((last, [])) => write!(f, "{last} are"),
            Some((last, others)) => write!(f, "{} and {last} are", others.join(", ")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::ring::Ring;
    use crate::keys::rotation;
    use crate::keys::testing::{KeyStore, master, nobody};
    use crate::store::KeyKind;
    use crate::types::Timestamp;

    async fn filled(old: &MasterKey) -> KeyStore {
        let store = KeyStore::default();
        rotation::ensure(&store, old, Timestamp(0), &nobody())
            .await
            .unwrap();
        let by = nobody();
        let new = rotation::announce(&store, old, KeyKind::Session, Timestamp(1), &by);
        let new = new.await.unwrap();
        rotation::promote(&store, old, &new, Timestamp(2), &nobody())
            .await
            .unwrap();
        PasswordRoot::load(&store, old).await.unwrap();
        let app = AppId::new("chat").unwrap();
        let token = old.seal(Purpose::BotToken(&app), b"token").unwrap();
        let name = format!("{BOT_TOKEN}chat");
        store.secret_or_insert(&name, &token).await.unwrap();
        store
    }

    #[tokio::test]
    async fn a_new_master_key_takes_over_everything() {
        let old = master();
        let store = filled(&old).await;
        let fresh = master();
        let lost = Ring::load(&store, &fresh).await.unwrap_err().to_string();
        assert!(lost.contains("the master key changed"), "{lost}");

        let both = fresh.clone().with_previous(old.clone());
        let census = Census::take(&store).await.unwrap();
        assert_eq!(census.under(old.id()).total(), 6);
        census.must_open(&both).unwrap();
        let missing = census.must_open(&fresh).unwrap_err().to_string();
        assert!(
            missing.contains(&old.id().to_string())
                && missing.contains("4 signing keys and 2 secrets are"),
            "{missing}"
        );

        let mut told = 0;
        let progress = rewrap(&store, &both, &mut |_| told += 1).await.unwrap();
        assert_eq!((progress.done, progress.refused), (6, 0), "{progress:?}");
        assert_eq!(told, 2);
        let again = rewrap(&store, &both, &mut |_| {}).await.unwrap();
        assert_eq!(again, Progress::default());

        let census = Census::take(&store).await.unwrap();
        assert_eq!(census.under(old.id()).total(), 0);
        assert_eq!(census.left(&both, SealedKind::SigningKey), 0);
        census.must_open(&fresh).unwrap();
        Ring::load(&store, &fresh).await.unwrap();
        PasswordRoot::load(&store, &fresh).await.unwrap();
    }

    #[tokio::test]
    async fn what_does_not_open_is_named_and_left_as_it_is() {
        let old = master();
        let store = filled(&old).await;
        let before = {
            let mut secrets = store.secrets.lock();
            let root = secrets.get_mut(PasswordRoot::STORED_AS).unwrap();
            *root.last_mut().unwrap() ^= 1;
            let damaged = root.clone();
            secrets.insert("of-tomorrow".into(), damaged.clone());
            damaged
        };
        let both = master().with_previous(old);
        let progress = rewrap(&store, &both, &mut |_| {}).await.unwrap();
        assert_eq!((progress.done, progress.refused), (5, 2));
        let text = progress.refusals.join("\n");
        assert!(
            text.contains("secret password-root: it was changed"),
            "{text}"
        );
        assert!(text.contains("secret of-tomorrow"), "{text}");
        assert_eq!(store.secrets.lock()[PasswordRoot::STORED_AS], before);
    }

    #[tokio::test]
    async fn replicas_that_change_over_one_by_one_do_not_undo_each_others_work() {
        let old = master();
        let store = filled(&old).await;
        let new = master();
        let ahead = new.clone().with_previous(old.clone());
        let behind = old.clone().with_next(new.clone());
        let done = rewrap(&store, &ahead, &mut |_| {}).await.unwrap().done;
        assert_eq!(done, 6);
        let quiet = rewrap(&store, &behind, &mut |_| {}).await.unwrap();
        assert_eq!(quiet, Progress::default());
        // Each opens what the other sealed.
        let census = Census::take(&store).await.unwrap();
        census.must_open(&behind).unwrap();
        Ring::load(&store, &behind).await.unwrap();
        let fresh = behind.seal(Purpose::PasswordRoot, b"x").unwrap();
        ahead.open(Purpose::PasswordRoot, &fresh).unwrap();
        assert_eq!(census.left(&behind, SealedKind::Secret), 0);
    }

    #[tokio::test]
    async fn who_wrote_meanwhile_wins() {
        let old = master();
        let store = filled(&old).await;
        let both = master().with_previous(old.clone());
        // Another replica, which still seals with the former key, writes between read and write.
        store.before_reseal.lock().replace(Box::new(move |secrets| {
            let root = old.seal(Purpose::PasswordRoot, &[7; 32]).unwrap();
            secrets.insert(PasswordRoot::STORED_AS.into(), root);
        }));
        let progress = rewrap(&store, &both, &mut |_| {}).await.unwrap();
        assert_eq!((progress.done, progress.overtaken), (5, 1), "{progress:?}");
        store.before_reseal.lock().take();
        assert_eq!(rewrap(&store, &both, &mut |_| {}).await.unwrap().done, 1);
    }
}
