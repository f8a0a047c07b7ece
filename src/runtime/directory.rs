//! What directories say, while the bridge runs: the way in, and the terms it goes by.

use crate::audit::Audit;
use crate::config::{AppConfig, Config};
use crate::directory::{self, AppTerms, Intake, Looked, Terms, Wanted};
use crate::proxy::Bridge;
use crate::store::{Store, StoreError, User};
use crate::types::{AppId, Clock, Timestamp};
use arc_swap::ArcSwap;
use std::sync::Arc;

/// What taking words in depends on.
#[must_use]
pub fn terms_of(config: &Config) -> Terms {
    let app = |app: &AppConfig| AppTerms {
        id: app.id.clone(),
        issuer: app.issuer.clone(),
        access: app.access.clone(),
        ahead: false,
    };
    Terms {
        rules: config.directory,
        apps: config.apps.iter().map(app).collect(),
        mapping: String::new(),
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

    /// What an app should have of a person, by what is on record now; `None` when no such app is
    /// configured.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn wanted(
        &self,
        store: &dyn Store,
        app: &AppId,
        user: &User,
        now: Timestamp,
    ) -> Result<Option<Wanted>, StoreError> {
        let terms = self.terms.load_full();
        let Some(app) = terms.apps.iter().find(|terms| terms.id == *app) else {
            return Ok(None);
        };
        let looked = Looked::at(store, &user.issuer, &user.subject).await?;
        let (view, rules) = (looked.view(), &terms.rules);
        Ok(Some(directory::wanted(app, Some(user), &view, rules, now)))
    }

    /// Goes by another configuration from now on.
    pub fn reload(&self, config: &Config) {
        self.terms.store(Arc::new(terms_of(config)));
    }
}
