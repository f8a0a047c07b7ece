//! The tokens of managed bots, in memory: read from the store at start and whenever the log says
//! that one changed.

use crate::bots::Held;
use crate::types::{AppId, AppToken, BotName};
use arc_swap::ArcSwap;
use std::collections::HashMap;
use std::sync::Arc;

type ByName = HashMap<(AppId, BotName), (AppToken, i64)>;

/// See the module.
#[derive(Default)]
pub struct BotTokens(ArcSwap<ByName>);

impl BotTokens {
    /// A bot's token, and its number.
    pub(super) fn get(&self, app: &AppId, name: &BotName) -> Option<(AppToken, i64)> {
        self.0.load().get(&(app.clone(), name.clone())).cloned()
    }

    /// Takes what the store holds; gives the bots whose token is another one than before, or gone.
    pub(in crate::proxy) fn take(&self, held: Vec<Held>) -> Vec<(AppId, BotName)> {
        let now: ByName = (held.into_iter())
            .map(|held| ((held.app, held.name), (held.token, held.number)))
            .collect();
        let now = Arc::new(now);
        let before = self.0.swap(now.clone());
        let number = |map: &ByName, key: &(AppId, BotName)| map.get(key).map(|(_, number)| *number);
        before
            .keys()
            .filter(|key| number(&before, key) != number(&now, key))
            .cloned()
            .collect()
    }
}
