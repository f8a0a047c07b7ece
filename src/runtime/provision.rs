//! What `converge` jobs stand on in a running bridge: the apps as they are configured now, and what
//! directories say of people now.

use super::directory::terms_of_app;
use crate::audit::Actor;
use crate::directory::{AppTerms, WantedState, wanted};
use crate::identity::converge::{Converge, Ground, Grounds, InGroup, Wanted, WantedAccount, Words};
use crate::jobs::Handler;
use crate::proxy::Bridge;
use crate::reconcile::drift;
use crate::store::{StoreError, User};
use crate::types::{AppId, RemoteId, Timestamp};
use async_trait::async_trait;
use std::sync::Arc;

/// Who carries out `converge` jobs; `letters`: whether there is a mail server.
#[must_use]
pub fn converging(bridge: &Arc<Bridge>, letters: bool) -> Arc<dyn Handler> {
    let apps = Arc::new(Apps(bridge.clone(), letters));
    Arc::new(Converge::new(apps, bridge.clock.clone()))
}

/// The apps of a running bridge, and whether letters are sent.
struct Apps(Arc<Bridge>, bool);

#[async_trait]
impl Grounds for Apps {
    async fn ground(&self, app: &AppId) -> Result<Option<Ground>, StoreError> {
        let bridge = &self.0;
        let Some(site) = bridge.site(app) else {
            return Ok(None);
        };
        let bots = bridge.store.bots().await?;
        let kept_bots: Vec<RemoteId> = bots
            .into_iter()
            .filter(|bot| bot.app == *app)
            .map(|bot| bot.remote)
            .collect();
        let mut context = bridge.identity(&site, bridge.audit.by(Actor::Bridge));
        // The job itself looks which memberships are theirs.
        context.mapped = false;
        Ok(Some(Ground {
            context,
            policy: site.config.provision.clone(),
            words: Arc::new(Directories {
                bridge: bridge.clone(),
                terms: terms_of_app(&site.config),
            }),
            kept_bots,
            kept_tokens: site.bot_tokens.values().cloned().collect(),
            bots: site.bots.clone(),
            letters: self.1,
        }))
    }
}

/// What directories say, as it is on record now.
struct Directories {
    bridge: Arc<Bridge>,
    terms: AppTerms,
}

#[async_trait]
impl Words for Directories {
    async fn wanted(&self, _: &AppId, user: &User, now: Timestamp) -> Result<Wanted, StoreError> {
        let bridge = &self.bridge;
        let whom = (user.issuer.clone(), user.subject.clone());
        // The road may be a second behind what another replica took in: a job may not.
        let (standings, store) = (&bridge.standings, &*bridge.store);
        standings.refresh_groups(store).await?;
        standings
            .refresh(store, std::slice::from_ref(&whom))
            .await?;
        let rules = bridge.directory.load();
        let found = standings.ask(&whom.0, &whom.1, |view| {
            wanted(&self.terms, Some(user), view, &rules, now)
        });
        let groups = found.groups.into_iter().map(|group| InGroup {
            id: group.id,
            name: group.name,
            for_power: group.for_power,
        });
        let absent = matches!(found.account, WantedState::Absent { .. });
        let held = match absent {
            true => drift::held_by(user, &self.terms.id, store).await?,
            false => None,
        };
        Ok(Wanted {
            account: match found.account {
                WantedState::Present => WantedAccount::Present,
                WantedState::Absent { why, since } => match held {
                    Some(plan) => WantedAccount::Held {
                        why: format!("{why}, and the plan {plan} waits for a word"),
                    },
                    None => WantedAccount::Absent { why, since },
                },
                WantedState::Leave { why } => WantedAccount::Leave { why },
            },
            groups: groups.collect(),
        })
    }
}
