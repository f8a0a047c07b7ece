//! What every station may use: the bridge's shared state, made once by `runtime`.

use super::access::{self, Admitted, Facts};
use super::assertion::ReplayTable;
use super::forward::{Cut, Tunnels};
use super::route::{Site, Sites};
use super::service::BotTokens;
use super::session::Sessions;
use crate::apps::AppSession;
use crate::audit::{Audit, Witness};
use crate::bots;
use crate::config::{BotSource, DirectoryRules, Limits, PortalConfig};
use crate::directory::Standings;
use crate::identity;
use crate::keys::derive::PasswordRoot;
use crate::keys::master::MasterKey;
use crate::keys::pairwise::PairwiseKey;
use crate::keys::ring::Ring;
use crate::keys::seal::SealError;
use crate::keys::session_token;
use crate::store::{Store, StoreError};
use crate::telemetry::metrics::Metrics;
use crate::telemetry::traces::Traces;
use crate::types::{AppId, Clock, Timestamp};
use arc_swap::ArcSwap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::sync::Notify;
use tokio_util::task::TaskTracker;

/// What a bridge is made of.
pub struct Parts {
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// What is remembered.
    pub store: Arc<dyn Store>,
    /// The apps.
    pub sites: Sites,
    /// Our signing keys.
    pub ring: Ring,
    /// Wraps everything at rest.
    pub master: Arc<MasterKey>,
    /// What app passwords derive from.
    pub root: Arc<PasswordRoot>,
    /// What pages say.
    pub portal: PortalConfig,
    /// How what directories say is weighed.
    pub directory: DirectoryRules,
    /// Limits of the road.
    pub limits: Limits,
    /// Counters.
    pub metrics: Metrics,
    /// Who did what.
    pub audit: Arc<Audit>,
    /// Where a request's time went.
    pub traces: Traces,
}

/// The shared state.
pub struct Bridge {
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// What is remembered.
    pub store: Arc<dyn Store>,
    /// The apps.
    pub sites: ArcSwap<Sites>,
    /// Our signing keys; the api publishes them, too.
    pub ring: Arc<ArcSwap<Ring>>,
    /// Wraps everything at rest; a reload may bring another.
    pub master: Arc<ArcSwap<MasterKey>>,
    /// What pages say.
    pub portal: ArcSwap<PortalConfig>,
    /// How what directories say is weighed; a reload may bring other rules.
    pub directory: ArcSwap<DirectoryRules>,
    /// What directories say of everybody.
    pub standings: Standings,
    /// Limits of the road.
    pub limits: Limits,
    /// Counters.
    pub metrics: Metrics,
    /// Who did what.
    pub audit: Arc<Audit>,
    /// Where a request's time went.
    pub traces: Traces,
    /// Live sessions.
    pub sessions: Sessions,
    /// Tokens of bots that services are.
    pub bots: BotTokens,
    /// Open sockets.
    pub tunnels: Arc<Tunnels>,
    /// Work beside requests: waited for at the end.
    pub tasks: TaskTracker,
    /// Assertions that clients passed on.
    pub(super) passed_on: ReplayTable,
    root: Arc<PasswordRoot>,
    keeper: Notify,
    leaving: AtomicBool,
}

impl Bridge {
    /// A bridge of these parts.
    #[must_use]
    pub fn new(parts: Parts) -> Arc<Self> {
        Arc::new(Self {
            clock: parts.clock,
            store: parts.store,
            sites: ArcSwap::from_pointee(parts.sites),
            ring: Arc::new(ArcSwap::from_pointee(parts.ring)),
            master: Arc::new(ArcSwap::new(parts.master)),
            portal: ArcSwap::from_pointee(parts.portal),
            directory: ArcSwap::from_pointee(parts.directory),
            standings: Standings::default(),
            limits: parts.limits,
            metrics: parts.metrics,
            audit: parts.audit,
            traces: parts.traces,
            sessions: Sessions::default(),
            bots: BotTokens::default(),
            tunnels: Arc::new(Tunnels::default()),
            tasks: TaskTracker::new(),
            passed_on: super::vouch::passed_on(),
            root: parts.root,
            keeper: Notify::new(),
            leaving: AtomicBool::new(false),
        })
    }

    /// Says on the health path from now on that other replicas should be asked.
    pub fn leave(&self) {
        self.leaving.store(true, Ordering::Relaxed);
    }

    /// Whether this bridge was told to end.
    pub fn is_leaving(&self) -> bool {
        self.leaving.load(Ordering::Relaxed)
    }

    /// The `iss` of the bridge cookie.
    pub fn token_issuer(&self) -> &'static str {
        session_token::ISSUER
    }

    /// What this replica knows of people, as of now.
    pub fn facts(&self, now: Timestamp) -> Facts<'_> {
        Facts {
            denied: &self.sessions.denied,
            standings: &self.standings,
            rules: self.directory.load(),
            now,
        }
    }

    /// The app of this id.
    pub fn site(&self, app: &AppId) -> Option<Arc<Site>> {
        self.sites
            .load()
            .iter()
            .find(|s| s.config.id == *app)
            .cloned()
    }

    /// The key of pairwise subjects.
    ///
    /// # Errors
    /// When the crypto library refuses.
    pub fn pairwise(&self) -> Result<PairwiseKey, SealError> {
        PairwiseKey::of(&self.root)
    }

    /// What ensuring an account of this app needs, for whoever it is done for.
    pub fn identity(&self, site: &Site, witness: Witness) -> identity::Context {
        identity::Context {
            store: self.store.clone(),
            app: site.config.id.clone(),
            host: site.config.host.clone(),
            connector: site.connector.clone(),
            provisioner: site.provisioner.clone(),
            strategy: site.strategy.clone(),
            mapped: !site.config.provision.groups.is_empty(),
            root: self.root.clone(),
            metrics: site.metrics.clone(),
            witness,
        }
    }

    /// Ends an app session that nobody will use, beside the request.
    pub fn close_app_session(&self, site: &Arc<Site>, session: AppSession) {
        let site = site.clone();
        self.tasks.spawn(async move {
            if let Err(error) = site.strategy.sign_out(&session).await {
                tracing::warn!(app = %site.config.id, %error, "an unused app session could not be ended");
            }
        });
    }

    /// Reads the key ring anew.
    ///
    /// # Errors
    /// When the store does not answer. A ring that can't be read is an error in the log; the one at
    /// hand stays.
    pub async fn reload_ring(&self) -> Result<(), StoreError> {
        match Ring::load(&*self.store, &self.master.load()).await {
            Ok(ring) => {
                self.ring.store(Arc::new(ring));
                self.cut_unproven();
            }
            Err(error) => {
                tracing::error!(%error, "the key ring can't be read; the one at hand stays")
            }
        }
        Ok(())
    }

    /// Cuts the sockets whose cookie was signed by a key that is no longer in the ring: revoking a
    /// key ends what it signed. The page comes back and is given another cookie.
    fn cut_unproven(&self) {
        let ring = self.ring.load();
        let cut = self.tunnels.cut_unproven(|kid| ring.key(kid).is_some());
        if cut > 0 {
            tracing::warn!(sockets = cut, "sockets of a revoked key were cut");
        }
    }

    /// Whether what a request was judged by still holds at the end of a long wait: the app's rule,
    /// what is known of the person, and the key of its cookie. Whoever registers what outlives the
    /// request asks *afterwards*: a change is either seen here, or sees what was registered.
    pub fn still_admits(&self, site: &Site, kid: &str, admitted: &Admitted) -> bool {
        let facts = self.facts(self.clock.now());
        if access::again(&site.config.access, &facts, admitted).is_err() {
            return false;
        }
        let sites = self.sites.load();
        let now = sites.by_host(&site.config.host);
        now.is_some_and(|now| {
            now.config.id == site.config.id && now.config.access == site.config.access
        }) && self.ring.load().key(kid).is_some()
    }

    /// Reads the tokens of managed bots anew; cuts the sockets of services whose bot has another
    /// one than before.
    ///
    /// # Errors
    /// When the store does not answer; those at hand stay.
    pub async fn reload_bots(&self) -> Result<(), StoreError> {
        let read = async || bots::held(&*self.store, &self.master.load()).await;
        let changed = self.bots.refresh(read).await?;
        for site in self.sites.load().iter() {
            for service in &site.config.services {
                let BotSource::Managed(name) = &service.bot else {
                    continue;
                };
                let id = &site.config.id;
                if changed.iter().any(|(app, bot)| app == id && bot == name) {
                    self.tunnels.cut_service(id, &service.client, Cut::Renewed);
                }
            }
        }
        Ok(())
    }

    /// Asks the keeper to look at once.
    pub fn wake_keeper(&self) {
        self.keeper.notify_one();
    }

    /// Waits until someone asks.
    pub async fn keeper_woken(&self) {
        self.keeper.notified().await;
    }
}
