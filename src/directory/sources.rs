//! The configured directories: one reader and one writer each, by id. A reload replaces them all at
//! once; a question that is under way ends with the reader it began with.

use super::authentik::Authentik;
use super::authentik::write::AuthentikWriter;
use super::keycloak::Keycloak;
use super::source::{Source, SourceError};
use super::writer::{ReadOnly, Writer};
use crate::config::{DirectoryConfig, DirectoryKind};
use crate::types::{Clock, SourceId};
use arc_swap::ArcSwap;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Who can be asked.
#[derive(Default)]
pub struct Sources(ArcSwap<BTreeMap<SourceId, Arc<dyn Source>>>);

impl Sources {
    /// These.
    #[must_use]
    pub fn new(all: impl IntoIterator<Item = Arc<dyn Source>>) -> Self {
        let sources = Self::default();
        sources.replace(all);
        sources
    }

    /// From now on these, and no others.
    pub fn replace(&self, all: impl IntoIterator<Item = Arc<dyn Source>>) {
        let all = all.into_iter().map(|source| (source.id().clone(), source));
        self.0.store(Arc::new(all.collect()));
    }

    /// One of them; `None` when none is configured under this id.
    #[must_use]
    pub fn of(&self, id: &SourceId) -> Option<Arc<dyn Source>> {
        self.0.load().get(id).cloned()
    }

    /// All of them, by id.
    #[must_use]
    pub fn all(&self) -> Vec<Arc<dyn Source>> {
        self.0.load().values().cloned().collect()
    }
}

/// The reader of a configured directory; nothing is asked yet. `tls` believes its `ca` at the time of
/// each question.
///
/// # Errors
/// When no client can be made of it.
pub fn open(
    config: &DirectoryConfig,
    tls: Arc<ArcSwap<rustls::ClientConfig>>,
    clock: Arc<dyn Clock>,
) -> Result<Arc<dyn Source>, SourceError> {
    Ok(match &config.kind {
        DirectoryKind::Authentik(own) => Arc::new(Authentik::new(config, own, tls, clock)?),
        DirectoryKind::Keycloak(own) => Arc::new(Keycloak::new(config, own, tls, clock)?),
    })
}

/// In whom something may be done, by hand.
#[derive(Default)]
pub struct Writers(ArcSwap<BTreeMap<SourceId, Arc<dyn Writer>>>);

impl Writers {
    /// These.
    #[must_use]
    pub fn new(all: impl IntoIterator<Item = Arc<dyn Writer>>) -> Self {
        let writers = Self::default();
        writers.replace(all);
        writers
    }

    /// From now on these, and no others.
    pub fn replace(&self, all: impl IntoIterator<Item = Arc<dyn Writer>>) {
        let all = all.into_iter().map(|writer| (writer.id().clone(), writer));
        self.0.store(Arc::new(all.collect()));
    }

    /// One of them; `None` when none is configured under this id.
    #[must_use]
    pub fn of(&self, id: &SourceId) -> Option<Arc<dyn Writer>> {
        self.0.load().get(id).cloned()
    }
}

/// The writer of a configured directory; one that says why not, where nothing may be done. Nothing is
/// asked yet.
///
/// # Errors
/// When no client can be made of it.
pub fn open_writer(
    config: &DirectoryConfig,
    tls: Arc<ArcSwap<rustls::ClientConfig>>,
    clock: Arc<dyn Clock>,
) -> Result<Arc<dyn Writer>, SourceError> {
    Ok(match (&config.kind, &config.write) {
        (DirectoryKind::Authentik(own), Some(write)) => {
            Arc::new(AuthentikWriter::new(config, own, write, tls, clock)?)
        }
        (DirectoryKind::Authentik(_), None) => Arc::new(ReadOnly::new(
            &config.id,
            "nothing may be written there, [directories.write] is not configured",
        )),
        (DirectoryKind::Keycloak(_), _) => {
            Arc::new(ReadOnly::new(&config.id, "Keycloak is only read"))
        }
    })
}
