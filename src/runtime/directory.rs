//! What directories say, while the bridge runs: the way in, and the terms it goes by.

use crate::audit::Audit;
use crate::config::{AppConfig, Config, ProvisionWhen};
use crate::directory::{AppTerms, Intake, Terms};
use crate::proxy::Bridge;
use crate::store::Store;
use crate::types::Clock;
use arc_swap::ArcSwap;
use std::sync::Arc;

/// What taking words in depends on.
#[must_use]
pub fn terms_of(config: &Config) -> Terms {
    Terms {
        rules: config.directory,
        apps: config.apps.iter().map(terms_of_app).collect(),
    }
}

/// What directories must know of an app.
pub(super) fn terms_of_app(app: &AppConfig) -> AppTerms {
    AppTerms {
        id: app.id.clone(),
        issuer: app.issuer.clone(),
        access: app.access.clone(),
        ahead: app.provision.when == ProvisionWhen::OnAssignment,
    }
}

/// The way in for a command, which runs beside the bridge and goes by the file as it is now.
#[must_use]
pub fn intake_of(
    config: &Config,
    store: Arc<dyn Store>,
    audit: Arc<Audit>,
    clock: Arc<dyn Clock>,
) -> Intake {
    let terms = Arc::new(ArcSwap::from_pointee(terms_of(config)));
    Intake::new(store, audit, clock, terms)
}

/// The way in of the running bridge.
#[derive(Clone)]
pub struct Directory {
    /// Takes words in.
    pub intake: Arc<Intake>,
    terms: Arc<ArcSwap<Terms>>,
}

impl Directory {
    /// By the configuration that the bridge starts with.
    #[must_use]
    pub fn of(config: &Config, bridge: &Bridge) -> Self {
        let terms = Arc::new(ArcSwap::from_pointee(terms_of(config)));
        let (store, audit) = (bridge.store.clone(), bridge.audit.clone());
        let intake = Intake::new(store, audit, bridge.clock.clone(), terms.clone());
        Self {
            intake: Arc::new(intake),
            terms,
        }
    }

    /// Goes by another configuration from now on.
    pub fn reload(&self, config: &Config) {
        self.terms.store(Arc::new(terms_of(config)));
    }
}
