//! What endpoints share; made once by `runtime`.

use super::registry::Clients;
use crate::config::{ApiListener, AudienceConfig};
use crate::identity::Visitors;
use crate::keys::master::MasterKey;
use crate::keys::pairwise::PairwiseKey;
use crate::keys::ring::Ring;
use crate::store::Store;
use crate::telemetry::metrics::Metrics;
use crate::types::Clock;
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
    /// The listener's own settings.
    pub listener: ApiListener,
    /// How long others may keep our public keys: less than a new one is announced.
    pub jwks_age: Duration,
    /// Counters.
    pub metrics: Metrics,
}
