//! The tokens of managed bots, in memory: read from the store at start, whenever the log says that
//! one changed, and when the app refuses one.

use crate::bots::Held;
use crate::types::{AppId, AppToken, BotName};
use arc_swap::ArcSwap;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::sync::Mutex;

type ByName = HashMap<(AppId, BotName), (AppToken, i64)>;

/// See the module.
#[derive(Default)]
pub struct BotTokens {
    held: ArcSwap<ByName>,
    /// How many readings have begun.
    begun: AtomicU64,
    /// Whoever reads holds it; which reading was the last to succeed.
    reading: Mutex<u64>,
}

impl BotTokens {
    /// A bot's token, and its number.
    pub(super) fn get(&self, app: &AppId, name: &BotName) -> Option<(AppToken, i64)> {
        let key = (app.clone(), name.clone());
        self.held.load().get(&key).cloned()
    }

    /// Reads what the store holds, by `read`, and takes it; gives the bots whose token is another
    /// one than before, or gone.
    ///
    /// One reading at a time: an older one must not take the place of a newer one, which would put a
    /// token back that is revoked. And whoever waits while another reads, which began after they
    /// asked, has what they asked for: an app that refuses a thousand calls at once costs the store
    /// two reads.
    ///
    /// # Errors
    /// Those of `read`: what is at hand stays.
    pub(in crate::proxy) async fn refresh<E>(
        &self,
        read: impl AsyncFnOnce() -> Result<Vec<Held>, E>,
    ) -> Result<Vec<(AppId, BotName)>, E> {
        let asked = self.begun.load(Ordering::SeqCst);
        let mut last_good = self.reading.lock().await;
        if *last_good > asked {
            return Ok(Vec::new());
        }
        let number = self.begun.fetch_add(1, Ordering::SeqCst) + 1;
        let changed = self.take(read().await?);
        *last_good = number;
        Ok(changed)
    }

    fn take(&self, held: Vec<Held>) -> Vec<(AppId, BotName)> {
        let now: ByName = (held.into_iter())
            .map(|held| ((held.app, held.name), (held.token, held.number)))
            .collect();
        let now = Arc::new(now);
        let before = self.held.swap(now.clone());
        let number = |map: &ByName, key: &(AppId, BotName)| map.get(key).map(|(_, number)| *number);
        before
            .keys()
            .filter(|key| number(&before, key) != number(&now, key))
            .cloned()
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::convert::Infallible;
    use std::sync::atomic::AtomicU32;
    use tokio::sync::Notify;
    use tokio::task::yield_now;

    fn held(number: i64) -> Vec<Held> {
        vec![Held {
            app: AppId::new("chat").unwrap(),
            name: BotName::new("reports").unwrap(),
            token: AppToken::new(format!("token-{number}")),
            number,
        }]
    }

    fn number(tokens: &BotTokens) -> Option<i64> {
        let of = tokens.get(
            &AppId::new("chat").unwrap(),
            &BotName::new("reports").unwrap(),
        );
        of.map(|(_, number)| number)
    }

    #[tokio::test]
    async fn an_older_reading_never_takes_a_newer_ones_place() {
        let (tokens, answer) = (Arc::new(BotTokens::default()), Arc::new(Notify::new()));
        let (of, slow) = (tokens.clone(), answer.clone());
        let first = tokio::spawn(async move {
            let read = async || {
                let before = held(1);
                slow.notified().await;
                Ok::<_, Infallible>(before)
            };
            of.refresh(read).await.unwrap()
        });
        yield_now().await;
        // The bot is rotated, and another one reads.
        let of = tokens.clone();
        let second =
            tokio::spawn(async move { of.refresh(async || Ok::<_, Infallible>(held(2))).await });
        yield_now().await;
        answer.notify_one();
        first.await.unwrap();
        second.await.unwrap().unwrap();
        assert_eq!(number(&tokens), Some(2));
    }

    #[tokio::test]
    async fn many_who_ask_at_once_share_a_reading_that_began_after_they_asked() {
        let (tokens, reads) = (Arc::new(BotTokens::default()), Arc::new(AtomicU32::new(0)));
        let all: Vec<_> = (0..100)
            .map(|_| {
                let (tokens, reads) = (tokens.clone(), reads.clone());
                tokio::spawn(async move {
                    let read = async || {
                        let nth = reads.fetch_add(1, Ordering::SeqCst);
                        yield_now().await;
                        // One that fails is nobody's answer.
                        if nth == 0 { Err(()) } else { Ok(held(7)) }
                    };
                    tokens.refresh(read).await
                })
            })
            .collect();
        let mut failed = 0;
        for one in all {
            failed += u32::from(one.await.unwrap().is_err());
        }
        assert_eq!((failed, number(&tokens)), (1, Some(7)));
        assert!(reads.load(Ordering::SeqCst) <= 3, "{reads:?}");
    }
}
