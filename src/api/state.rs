//! What endpoints share; made once by `runtime`.

use super::apps::Road;
use super::bearer::Bearers;
use super::caller::Caller;
use super::hooks::Hooks;
use super::registry::Clients;
use super::scim;
use super::strangers::Strangers;
use crate::audit::{Actor, Audit, Witness};
use crate::config::{ApiListener, AudienceConfig};
use crate::directory;
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
use tokio::sync::Notify;

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
    /// The road, for services.
    pub road: Arc<dyn Road>,
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
    /// How what directories say is weighed; replaced on a reload.
    pub directory: Arc<ArcSwap<directory::Terms>>,
    /// The apps that are served now.
    pub apps: Arc<dyn Apps>,
    /// SCIM clients, each with a room of its own; replaced on a reload.
    pub scim: ArcSwap<scim::Connections>,
    /// Whoever takes in what SCIM says.
    pub hearing: Arc<dyn scim::Hearing>,
    /// Rung when more is due to be told than a request tells.
    pub scim_behind: Arc<Notify>,
    /// The listener's own settings.
    pub listener: ApiListener,
    /// How long others may keep our public keys: less than a new one is announced.
    pub jwks_age: Duration,
    /// Counters.
    pub metrics: Metrics,
    /// Where directories' webhooks go in.
    pub hooks: Arc<Hooks>,
    /// What is ordered of directories.
    pub hand: Arc<directory::ByHand>,
    /// Who was refused lately without being known.
    pub strangers: Strangers,
    /// Who did what: a write names its caller, `audit.by(Actor::Client(…))`.
    pub audit: Arc<Audit>,
}

/// The apps that are served now.
pub trait Apps: Send + Sync {
    /// What provisioning an account of this app needs, for whoever it is done for; `None`: it is not
    /// configured.
    fn context(&self, app: &AppId, witness: Witness) -> Option<identity::Context>;
}

impl Api {
    /// The way in of what directories say, for what follows from an order.
    pub(super) fn intake(&self) -> directory::Intake {
        directory::Intake::new(
            self.store.clone(),
            self.audit.clone(),
            self.clock.clone(),
            self.directory.clone(),
        )
    }

    /// Whom the audit trail says that a call's doings are by.
    pub(super) fn witness(&self, caller: &Caller) -> Witness {
        let witness = self.audit.by(Actor::Client(caller.id().clone()));
        match caller.request_id() {
            Some(id) => witness.request(id.as_str()),
            None => witness,
        }
    }

    /// Where a caller's orders are taken.
    pub(super) fn desk<'a>(&'a self, terms: &'a Terms, caller: &Caller) -> Desk<'a> {
        Desk {
            store: &*self.store,
            terms,
            now: self.clock.now(),
            by: self.witness(caller).by(),
        }
    }
}
