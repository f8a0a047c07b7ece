//! What directories say, while the bridge runs: who is asked, the way in, the terms it goes by, and
//! what may be ordered by hand.

use super::certificates::Certificates;
use super::wire::StartError;
use crate::audit::Audit;
use crate::config::{AppConfig, Config, DirectoryConfig, MappedGroup, ProvisionWhen};
use crate::directory::read::Reader;
use crate::directory::source::{Source, SourceError};
use crate::directory::sources::{self, Sources, Writers};
use crate::directory::writer::Writer;
use crate::directory::{self, AppTerms, ByHand, Intake, Looked, Terms, Wanted};
use crate::proxy::Bridge;
use crate::store::{Store, StoreError, User};
use crate::tls::ClientFiles;
use crate::types::{AppId, Clock, Timestamp};
use arc_swap::ArcSwap;
use std::sync::Arc;

/// What taking words in depends on.
#[must_use]
pub fn terms_of(config: &Config) -> Terms {
    let of = |app: &'_ AppConfig| (app.id.clone(), app.provision.clone());
    let provision: Vec<_> = config.apps.iter().map(of).collect();
    Terms {
        rules: config.directory.clone(),
        apps: config.apps.iter().map(terms_of_app).collect(),
        mapping: format!("{provision:?}"),
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

/// Groups that give power over an app: nobody is put into them by hand.
fn power_of(config: &Config) -> Vec<MappedGroup> {
    let all = config.apps.iter().flat_map(|app| &app.provision.groups);
    all.filter(|mapped| mapped.gives_power())
        .map(|mapped| mapped.group.clone())
        .collect()
}

/// Orders by hand for a command, which runs beside the bridge and goes by the file as it is now.
///
/// # Errors
/// When a directory can't be used as it is configured.
pub fn by_hand_of(
    config: &Config,
    store: Arc<dyn Store>,
    audit: Arc<Audit>,
    clock: Arc<dyn Clock>,
) -> Result<ByHand, StartError> {
    let certificates = Certificates::default();
    let sources = readers(config, &certificates, &clock)?;
    let writers = writers(config, &certificates, &clock)?;
    Ok(ByHand {
        sources: Arc::new(Sources::new(sources)),
        writers: Arc::new(Writers::new(writers)),
        store,
        clock,
        audit,
        terms: Arc::new(ArcSwap::from_pointee(terms_of(config))),
        power: ArcSwap::from_pointee(power_of(config)),
    })
}

/// The directories of the running bridge, and the way in of what they say.
#[derive(Clone)]
pub struct Directory {
    /// Takes words in.
    pub intake: Arc<Intake>,
    /// Those that can be asked.
    pub sources: Arc<Sources>,
    /// What is ordered by hand.
    pub hand: Arc<ByHand>,
    terms: Arc<ArcSwap<Terms>>,
}

impl Directory {
    /// By the configuration that the bridge starts with. No directory is asked yet.
    pub(super) fn of(
        config: &Config,
        bridge: &Bridge,
        certificates: &Certificates,
    ) -> Result<Self, StartError> {
        let terms = Arc::new(ArcSwap::from_pointee(terms_of(config)));
        let (store, audit) = (bridge.store.clone(), bridge.audit.clone());
        let intake = Intake::new(store, audit, bridge.clock.clone(), terms.clone());
        let all = readers(config, certificates, &bridge.clock)?;
        let sources = Arc::new(Sources::new(all));
        let writers = writers(config, certificates, &bridge.clock)?;
        let hand = ByHand {
            sources: sources.clone(),
            writers: Arc::new(Writers::new(writers)),
            store: bridge.store.clone(),
            clock: bridge.clock.clone(),
            audit: bridge.audit.clone(),
            terms: terms.clone(),
            power: ArcSwap::from_pointee(power_of(config)),
        };
        Ok(Self {
            intake: Arc::new(intake),
            sources,
            hand: Arc::new(hand),
            terms,
        })
    }

    /// The terms it goes by, as a reload replaces them.
    #[must_use]
    pub fn terms(&self) -> Arc<ArcSwap<Terms>> {
        self.terms.clone()
    }

    /// Who carries out `read` jobs.
    #[must_use]
    pub fn reader(&self, bridge: &Bridge) -> Reader {
        Reader::new(
            self.sources.clone(),
            bridge.store.clone(),
            self.intake.clone(),
            bridge.clock.clone(),
            bridge.metrics.clone(),
        )
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

    /// Goes by another configuration from now on; a directory that can't be used as it is written
    /// there is told, and the former ones stay.
    pub(super) fn reload(
        &self,
        config: &Config,
        certificates: &Certificates,
        clock: &Arc<dyn Clock>,
    ) {
        // What may not be given any more first: orders are under way.
        self.hand.power.store(Arc::new(power_of(config)));
        self.terms.store(Arc::new(terms_of(config)));
        let read = readers(config, certificates, clock);
        let written = writers(config, certificates, clock);
        match read.and_then(|read| Ok((read, written?))) {
            Ok((readers, writers)) => {
                self.hand.writers.replace(writers);
                self.sources.replace(readers);
            }
            Err(error) => {
                tracing::error!(%error, "the directories of the new configuration can't be used: the former ones stay");
            }
        }
        let named = |id: &str| {
            config
                .directories
                .iter()
                .any(|known| known.id.as_str() == id)
        };
        certificates.retain(|about| about.strip_prefix(ABOUT).is_none_or(named));
    }
}

/// What the certificates of a directory are called, before its id.
const ABOUT: &str = "directory ";

/// The directories, for a command.
///
/// # Errors
/// When one can't be used as it is configured.
pub(super) fn sources_of(
    config: &Config,
    clock: &Arc<dyn Clock>,
) -> Result<Vec<Arc<dyn Source>>, StartError> {
    readers(config, &Certificates::default(), clock)
}

fn readers(
    config: &Config,
    certificates: &Certificates,
    clock: &Arc<dyn Clock>,
) -> Result<Vec<Arc<dyn Source>>, StartError> {
    each(config, certificates, |directory, tls| {
        sources::open(directory, tls, clock.clone())
    })
}

fn writers(
    config: &Config,
    certificates: &Certificates,
    clock: &Arc<dyn Clock>,
) -> Result<Vec<Arc<dyn Writer>>, StartError> {
    each(config, certificates, |directory, tls| {
        sources::open_writer(directory, tls, clock.clone())
    })
}

/// What is made of each directory and of whom it believes.
fn each<T>(
    config: &Config,
    certificates: &Certificates,
    make: impl Fn(&DirectoryConfig, Tls) -> Result<T, SourceError>,
) -> Result<Vec<T>, StartError> {
    let one = |directory: &DirectoryConfig| {
        let about = format!("{ABOUT}{}", directory.id);
        let files = ClientFiles {
            ca: directory.ca.clone(),
            ..ClientFiles::default()
        };
        let tls = certificates.client(&about, &files)?;
        make(directory, tls).map_err(|e| StartError::new(about, e))
    };
    config.directories.iter().map(one).collect()
}

type Tls = Arc<ArcSwap<rustls::ClientConfig>>;
