//! The steps against an app that fails at each of them.

use super::*;
use crate::apps::{BotAccount, IssuedToken, TokenRecord};
use crate::keys::random;
use crate::store::{SqliteStore, StoredBot};
use crate::types::{AppToken, RemoteId};
use async_trait::async_trait;
use parking_lot::Mutex;

/// An app with one bot.
#[derive(Default)]
struct App {
    /// Whose the user name is.
    whose: Mutex<Option<RemoteId>>,
    tokens: Mutex<Vec<(String, String)>>,
    made: Mutex<u32>,
    /// It does not accept what it makes.
    refuses: Mutex<bool>,
    /// It does not answer when it is asked to revoke.
    keeps: Mutex<bool>,
}

fn remote() -> RemoteId {
    RemoteId::new("r").unwrap()
}

#[async_trait]
impl Bots for App {
    async fn find_bot(&self, username: &str) -> Result<Option<BotAccount>, AppError> {
        Ok(Some(BotAccount {
            remote: self.whose.lock().clone().unwrap_or_else(remote),
            username: username.into(),
            is_bot: true,
            active: true,
            ordinary: true,
            own: false,
        }))
    }

    async fn issue_token(&self, _: &RemoteId, mark: &str) -> Result<IssuedToken, AppError> {
        let mut made = self.made.lock();
        *made += 1;
        let id = format!("id{made}");
        self.tokens.lock().push((id.clone(), mark.to_owned()));
        Ok(IssuedToken {
            token: AppToken::new(format!("token-{id}")),
            id,
        })
    }

    async fn tokens(&self, _: &RemoteId) -> Result<Vec<TokenRecord>, AppError> {
        let all = self.tokens.lock();
        let shown = all.iter().map(|(id, mark)| TokenRecord {
            id: id.clone(),
            description: mark.clone(),
        });
        Ok(shown.collect())
    }

    async fn revoke_token(&self, id: &str) -> Result<(), AppError> {
        if *self.keeps.lock() {
            return Err(AppError::Unavailable("away".into()));
        }
        self.tokens.lock().retain(|(known, _)| known != id);
        Ok(())
    }

    async fn account_of(&self, _: &AppToken) -> Result<Option<BotAccount>, AppError> {
        self.find_bot("reports").await
    }

    async fn is_accepted(&self, token: &AppToken, _: &RemoteId) -> Result<bool, AppError> {
        let lives =
            (self.tokens.lock().iter()).any(|(id, _)| token.expose() == format!("token-{id}"));
        Ok(lives && !*self.refuses.lock())
    }
}

impl App {
    fn ids(&self) -> Vec<String> {
        self.tokens
            .lock()
            .iter()
            .map(|(id, _)| id.clone())
            .collect()
    }
}

struct Bed {
    store: SqliteStore,
    master: MasterKey,
    app: AppId,
    bots: App,
}

impl Bed {
    fn new() -> Self {
        Self {
            store: SqliteStore::in_memory().unwrap(),
            master: MasterKey::from_bytes(&random::bytes::<32>().unwrap()).unwrap(),
            app: AppId::new("chat").unwrap(),
            bots: App::default(),
        }
    }

    fn desk(&self) -> Desk<'_> {
        Desk {
            store: &self.store,
            master: &self.master,
            app: &self.app,
            bots: &self.bots,
            now: Timestamp(1000),
        }
    }

    async fn stored(&self) -> StoredBot {
        self.store.bot(&self.app, &name()).await.unwrap().unwrap()
    }

    /// What the bridge would call with.
    async fn in_use(&self) -> Vec<String> {
        let held = held(&self.store, &self.master).await.unwrap();
        held.iter().map(|h| h.token.expose().to_owned()).collect()
    }
}

fn name() -> BotName {
    BotName::new("reports").unwrap()
}

#[tokio::test]
async fn a_new_token_that_is_not_accepted_takes_nobodys_place() {
    let bed = Bed::new();
    add(&bed.desk(), &name(), "reports", false).await.unwrap();
    assert_eq!(bed.in_use().await, ["token-id1"]);
    *bed.bots.refuses.lock() = true;
    let failed = rotate(&bed.desk(), &name(), Duration::ZERO).await;
    assert!(matches!(failed, Err(BotError::NotAccepted)), "{failed:?}");
    assert_eq!(bed.in_use().await, ["token-id1"]);
    // What was made in vain is found again.
    *bed.bots.refuses.lock() = false;
    assert_eq!(bed.bots.ids(), ["id1", "id2"]);
    assert!(settle(&bed.desk(), &name()).await.unwrap());
    assert_eq!(bed.bots.ids(), ["id1"]);
    assert!(!settle(&bed.desk(), &name()).await.unwrap(), "once");
}

#[tokio::test]
async fn a_former_token_is_revoked_only_when_the_new_one_is_in_the_store() {
    let bed = Bed::new();
    let first = add(&bed.desk(), &name(), "reports", false).await.unwrap();
    *bed.bots.keeps.lock() = true;
    let failed = rotate(&bed.desk(), &name(), Duration::ZERO).await;
    assert!(matches!(failed, Err(BotError::App(_))), "{failed:?}");
    assert_eq!(bed.in_use().await, ["token-id2"]);
    let stored = bed.stored().await;
    assert!(!stored.settled && stored.number > first.number);
    *bed.bots.keeps.lock() = false;
    let last = rotate(&bed.desk(), &name(), Duration::ZERO).await.unwrap();
    assert_eq!(
        (bed.bots.ids(), last.settled),
        (vec!["id3".to_owned()], true)
    );
}

#[tokio::test]
async fn a_bot_without_its_first_token_gets_it_by_the_same_call() {
    let bed = Bed::new();
    *bed.bots.refuses.lock() = true;
    assert!(add(&bed.desk(), &name(), "reports", false).await.is_err());
    assert!(bed.in_use().await.is_empty() && !bed.stored().await.settled);
    *bed.bots.refuses.lock() = false;
    // Under another user name it would be another bot.
    let other = add(&bed.desk(), &name(), "other", false).await;
    assert!(matches!(other, Err(BotError::Taken(..))));
    add(&bed.desk(), &name(), "reports", false).await.unwrap();
    assert_eq!(bed.bots.ids(), ["id2"]);
    let again = add(&bed.desk(), &name(), "reports", false).await;
    assert!(matches!(again, Err(BotError::Taken(..))));
}

#[tokio::test]
async fn tokens_of_another_mark_are_nobodys_here() {
    let bed = Bed::new();
    bed.bots
        .tokens
        .lock()
        .push(("byhand".into(), "auth-manager reports".into()));
    add(&bed.desk(), &name(), "reports", false).await.unwrap();
    rotate(&bed.desk(), &name(), Duration::ZERO).await.unwrap();
    assert_eq!(bed.bots.ids(), ["byhand", "id2"]);
    remove(&bed.desk(), &name()).await.unwrap();
    assert_eq!(bed.bots.ids(), ["byhand"]);
    assert!(bed.store.bots().await.unwrap().is_empty());
    let before = rotate(&bed.desk(), &name(), Duration::ZERO).await;
    assert!(matches!(before, Err(BotError::Unknown(_))));
}

#[tokio::test]
async fn a_bot_that_is_made_again_in_the_same_second_has_other_numbers() {
    let bed = Bed::new();
    let mut numbers = std::collections::BTreeSet::new();
    for _ in 0..3 {
        let made = add(&bed.desk(), &name(), "reports", false).await.unwrap();
        let rotated = rotate(&bed.desk(), &name(), Duration::ZERO).await.unwrap();
        assert!(rotated.number > made.number && made.number > 0);
        numbers.extend([made.number, rotated.number]);
        remove(&bed.desk(), &name()).await.unwrap();
    }
    // Nobody takes one's token for the other's.
    assert_eq!(numbers.len(), 6);
}

#[tokio::test]
async fn t33_a_user_name_that_changed_hands_gets_the_former_account_no_token() {
    let bed = Bed::new();
    // Begun, and no token yet.
    *bed.bots.refuses.lock() = true;
    assert!(add(&bed.desk(), &name(), "reports", false).await.is_err());
    *bed.bots.refuses.lock() = false;
    let made = *bed.bots.made.lock();
    // The user name is another account's, and only that one is judged.
    *bed.bots.whose.lock() = Some(RemoteId::new("another").unwrap());
    let refused = add(&bed.desk(), &name(), "reports", false).await;
    assert!(matches!(refused, Err(BotError::Unfit(_))), "{refused:?}");
    assert_eq!(*bed.bots.made.lock(), made, "no token for anybody");
    assert!(bed.in_use().await.is_empty());
}

#[tokio::test]
async fn a_token_opens_for_its_own_app_and_name_only() {
    let bed = Bed::new();
    let bot = add(&bed.desk(), &name(), "reports", false).await.unwrap();
    let moved = StoredBot {
        name: BotName::new("alerts").unwrap(),
        remote: RemoteId::new("other").unwrap(),
        ..bot
    };
    bed.store.begin_bot(&moved).await.unwrap();
    assert_eq!(
        bed.in_use().await,
        ["token-id1"],
        "the moved one is left out"
    );
}
