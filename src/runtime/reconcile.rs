//! Reading directories whole, in a running bridge and for a command beside it.

use super::directory::{self, Directory, terms_of_app};
use super::wire::{StartError, driver_of};
use crate::audit::Audit;
use crate::config::{Config, DirectoryRules};
use crate::directory::source::Source;
use crate::proxy::Bridge;
use crate::proxy::route::Site;
use crate::reconcile::drift::{AppSide, Apps};
use crate::reconcile::handler::{Settings, Sweeper};
use crate::reconcile::judge::ByRules;
use crate::store::Store;
use crate::telemetry::metrics::Metrics;
use crate::types::Clock;
use arc_swap::ArcSwap;
use prometheus_client::metrics::counter::Counter;
use std::sync::Arc;

fn settings_of(config: &Config) -> Settings {
    let one = |own: &crate::config::DirectoryConfig| (own.id.clone(), own.reconcile);
    let scim = |own: &crate::config::ScimConfig| (own.id.clone(), own.brake);
    Settings {
        directories: config.directories.iter().map(one).collect(),
        scim: config.scim.iter().map(scim).collect(),
    }
}

/// The apps of a running bridge.
struct Sites(Arc<Bridge>);

impl Apps for Sites {
    fn all(&self) -> Vec<AppSide> {
        let rules = DirectoryRules::clone(&self.0.directory.load());
        let sites = self.0.sites.load_full();
        let side = |site: &Arc<Site>| AppSide {
            terms: terms_of_app(&site.config),
            policy: site.config.provision.clone(),
            rules: rules.clone(),
            provisioner: site.provisioner.clone(),
        };
        sites.iter().map(side).collect()
    }
}

/// The apps of a command, by the file as it is now.
struct Drivers(Vec<AppSide>);

impl Apps for Drivers {
    fn all(&self) -> Vec<AppSide> {
        self.0.clone()
    }
}

/// What sweeps of the running bridge go by.
pub(super) fn sweeper(
    directory: &Directory,
    bridge: &Arc<Bridge>,
    config: &Config,
) -> Arc<Sweeper> {
    Arc::new(Sweeper {
        sources: directory.sources.clone(),
        store: bridge.store.clone(),
        judge: Arc::new(ByRules(directory.terms())),
        to: directory.intake.clone(),
        apps: Arc::new(Sites(bridge.clone())),
        settings: Arc::new(ArcSwap::from_pointee(settings_of(config))),
        clock: bridge.clock.clone(),
        audit: bridge.audit.clone(),
        metrics: bridge.metrics.clone(),
    })
}

/// Goes by another configuration from now on.
pub(super) fn reload(sweeper: &Sweeper, config: &Config) {
    sweeper.settings.store(Arc::new(settings_of(config)));
}

/// What a command needs to do the same, by the file as it is now.
///
/// # Errors
/// When a directory or an app can't be used as it is configured.
pub fn sweeper_of(
    config: &Config,
    store: Arc<dyn Store>,
    audit: Arc<Audit>,
    clock: Arc<dyn Clock>,
) -> Result<(Sweeper, Vec<Arc<dyn Source>>), StartError> {
    let sources = directory::sources_of(config, &clock)?;
    let terms = Arc::new(ArcSwap::from_pointee(directory::terms_of(config)));
    let intake = directory::intake_of(config, store.clone(), audit.clone(), clock.clone());
    let mut apps = Vec::new();
    for app in &config.apps {
        apps.push(AppSide {
            terms: terms_of_app(app),
            policy: app.provision.clone(),
            rules: config.directory.clone(),
            provisioner: driver_of(app, clock.clone())?,
        });
    }
    let sweeper = Sweeper {
        sources: Arc::new(crate::directory::sources::Sources::new(sources.clone())),
        store,
        judge: Arc::new(ByRules(terms)),
        to: Arc::new(intake),
        apps: Arc::new(Drivers(apps)),
        settings: Arc::new(ArcSwap::from_pointee(settings_of(config))),
        clock,
        audit,
        // Nobody reads a command's.
        metrics: Metrics::new(Counter::default()),
    };
    Ok((sweeper, sources))
}
