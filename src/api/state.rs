//! What endpoints share; made once by `runtime`.

use super::bearer::Bearers;
use super::registry::Clients;
use crate::config::{ApiListener, AudienceConfig};
use crate::identity;
use crate::identity::Visitors;
use crate::identity::orders::{Desk, Terms};
use crate::keys::master::MasterKey;
use crate::keys::pairwise::PairwiseKey;
use crate::keys::ring::Ring;
use crate::store::Store;
use crate::telemetry::metrics::Metrics;
use crate::types::{AppId, Clock};
use arc_swap::ArcSwap;
use std::sync::Arc;
use std::time::Duration;

/// The shared state.
pub struct Api {
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// What is remembered.
    pub store: Arc<dyn Store>,
    /// Our signing keys: the bridge's own ring, replaced when they change.
    pub ring: Arc<ArcSwap<Ring>>,
    /// Wraps everything at rest.
    pub master: Arc<ArcSwap<MasterKey>>,
    /// Who may call; replaced on a reload.
    pub clients: ArcSwap<Clients>,
    /// Whom tokens are exchanged for; replaced on a reload.
    pub audiences: ArcSwap<Vec<AudienceConfig>>,
    /// What the road knows of visitors.
    pub visitors: Arc<dyn Visitors>,
    /// What pairwise subjects are made with.
    pub pairwise: PairwiseKey,
    /// Who signs callers' tokens.
    pub bearers: Bearers,
    /// What orders depend on; replaced on a reload.
    pub terms: ArcSwap<Terms>,
    /// The apps that are served now.
    pub apps: Arc<dyn Apps>,
    /// The listener's own settings.
    pub listener: ApiListener,
    /// How long others may keep our public keys: less than a new one is announced.
    pub jwks_age: Duration,
    /// Counters.
    pub metrics: Metrics,
}

/// The apps that are served now.
pub trait Apps: Send + Sync {
    /// What provisioning an account of this app needs; `None`: it is not configured.
    fn context(&self, app: &AppId) -> Option<identity::Context>;
}

impl Api {
    /// Where orders are taken.
    pub(super) fn desk<'a>(&'a self, terms: &'a Terms) -> Desk<'a> {
        Desk {
            store: &*self.store,
            terms,
            now: self.clock.now(),
        }
    }
}
