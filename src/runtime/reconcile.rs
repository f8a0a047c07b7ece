//! Reading directories whole, in a running bridge and for a command beside it.

use super::directory::{self, Directory};
use super::wire::StartError;
use crate::audit::Audit;
use crate::config::Config;
use crate::directory::source::Source;
use crate::proxy::Bridge;
use crate::reconcile::handler::{Settings, Sweeper};
use crate::reconcile::judge::ByRules;
use crate::store::Store;
use crate::types::Clock;
use arc_swap::ArcSwap;
use std::sync::Arc;

fn settings_of(config: &Config) -> Settings {
    let one = |own: &crate::config::DirectoryConfig| (own.id.clone(), own.reconcile);
    config.directories.iter().map(one).collect()
}

/// What sweeps of the running bridge go by.
pub(super) fn sweeper(directory: &Directory, bridge: &Bridge, config: &Config) -> Arc<Sweeper> {
    Arc::new(Sweeper {
        sources: directory.sources.clone(),
        store: bridge.store.clone(),
        judge: Arc::new(ByRules(directory.terms())),
        to: directory.intake.clone(),
        settings: Arc::new(ArcSwap::from_pointee(settings_of(config))),
        clock: bridge.clock.clone(),
    })
}

/// Goes by another configuration from now on.
pub(super) fn reload(sweeper: &Sweeper, config: &Config) {
    sweeper.settings.store(Arc::new(settings_of(config)));
}

/// What a command needs to do the same, by the file as it is now.
///
/// # Errors
/// When a directory can't be used as it is configured.
pub fn sweeper_of(
    config: &Config,
    store: Arc<dyn Store>,
    audit: Arc<Audit>,
    clock: Arc<dyn Clock>,
) -> Result<(Sweeper, Vec<Arc<dyn Source>>), StartError> {
    let sources = directory::sources_of(config, &clock)?;
    let terms = Arc::new(ArcSwap::from_pointee(directory::terms_of(config)));
    let intake = directory::intake_of(config, store.clone(), audit, clock.clone());
    let sweeper = Sweeper {
        sources: Arc::new(crate::directory::sources::Sources::new(sources.clone())),
        store,
        judge: Arc::new(ByRules(terms)),
        to: Arc::new(intake),
        settings: Arc::new(ArcSwap::from_pointee(settings_of(config))),
        clock,
    };
    Ok((sweeper, sources))
}
