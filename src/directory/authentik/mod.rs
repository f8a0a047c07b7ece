//! Authentik, read over its REST API (v3; 2025.12 and later).
//!
//! What makes reading it delicate, and is answered here (recordings/authentik; numbers are those of
//! its differences):
//! - every failure of authentication is a 403, told apart by its text alone (32): `api`;
//! - a token that may see single objects only gets lists that are not whole, and 404 for everybody
//!   else (33): a 404 is believed only when the token is found to see everybody, and after asking
//!   once more: `whole`;
//! - memberships are direct ones; inherited ones come from the tree of groups: `groups`;
//! - pages have 100 entries at most, whatever was asked for (34);
//! - `last_updated` does not move when somebody joins a group (35): `recent` looks at the event log
//!   as well.
//!
//! `api` asks, `shapes` is what is read of an answer, `people`, `groups`, `whole`, `recent` and `look`
//! are the questions, `source` puts them behind [`super::source::Source`]. [`write`] is what may be
//! done there by hand, with a token of its own.

mod api;
mod groups;
mod look;
mod people;
mod recent;
mod shapes;
mod source;
#[cfg(test)]
mod tests;
mod whole;
pub mod write;

use super::http::Http;
use super::secret::HotSecret;
use super::source::SourceError;
use super::tree::Tree;
use crate::config::{AuthentikConfig, DirectoryConfig};
use crate::types::Clock;
use arc_swap::ArcSwap;
use std::sync::Arc;

/// A reader of one Authentik.
pub struct Authentik {
    config: DirectoryConfig,
    own: AuthentikConfig,
    http: Http,
    token: HotSecret,
    clock: Arc<dyn Clock>,
    /// The groups as last read; whoever reads them anew holds the lock, so that one does.
    tree: tokio::sync::Mutex<Option<Arc<Tree>>>,
}

impl Authentik {
    /// A reader; nothing is asked yet. `tls` believes the configured authorities at the time of each
    /// question.
    ///
    /// # Errors
    /// When no client can be made.
    pub fn new(
        config: &DirectoryConfig,
        own: &AuthentikConfig,
        tls: Arc<ArcSwap<rustls::ClientConfig>>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, SourceError> {
        Ok(Self {
            http: Http::new(&config.url, config.reads, config.timeout, tls)?,
            token: HotSecret::new(own.token.clone()),
            config: config.clone(),
            own: own.clone(),
            clock,
            tree: tokio::sync::Mutex::default(),
        })
    }
}
