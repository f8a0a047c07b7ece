//! The configured directories: one reader each, by id. A reload replaces them all at once; a question
//! that is under way ends with the reader it began with.

use super::authentik::Authentik;
use super::keycloak::Keycloak;
use super::source::{Source, SourceError};
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
