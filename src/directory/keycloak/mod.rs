//! Keycloak, read over its Admin REST API (26.x).
//!
//! Tried with a real one (26.7), as its stand-in is held to recordings of it (`demo::keycloak`). What it
//! needs: a confidential client with a service account that has the role `view-users` of
//! `realm-management`. With less, Keycloak answers some questions with 403 and others with an empty
//! list, so what is listed is held against what is counted.
//!
//! People are named by their `id`, which is `sub` of Keycloak's tokens. A member of a subgroup is
//! taken as a member of the groups above it, as Keycloak itself does with roles; its roles are not
//! read, nor are the groups of its organisations.
//!
//! It notifies nobody, so a hint that says nothing leads to a sweep. A realm may be told to keep its
//! admin events, which name each user, group and membership that changed; with `view-events` these
//! could be hints ([`super::source::Source::recent`]), and are not used yet. Back-channel logout could
//! not: nothing is sent when somebody is disabled or deleted.
//!
//! `api` asks, `people` and `groups` are the questions, `source` puts them behind
//! [`super::source::Source`].

mod api;
mod groups;
mod people;
mod source;
#[cfg(test)]
mod tests;

use super::http::Http;
use super::secret::HotSecret;
use super::source::SourceError;
use crate::config::{DirectoryConfig, KeycloakConfig};
use crate::types::{Clock, SecretText};
use arc_swap::ArcSwap;
use std::sync::Arc;
use tokio::time::Instant;

/// A reader of one realm.
pub struct Keycloak {
    config: DirectoryConfig,
    own: KeycloakConfig,
    http: Http,
    secret: HotSecret,
    clock: Arc<dyn Clock>,
    /// The access token, and until when it is used.
    access: tokio::sync::Mutex<Option<(Arc<SecretText>, Instant)>>,
    /// Who is in which group, as read at the beginning of a list of people.
    members: tokio::sync::Mutex<Option<Arc<people::Members>>>,
}

impl Keycloak {
    /// A reader; nothing is asked yet. `tls` believes the configured authorities at the time of each
    /// question.
    ///
    /// # Errors
    /// When no client can be made.
    pub fn new(
        config: &DirectoryConfig,
        own: &KeycloakConfig,
        tls: Arc<ArcSwap<rustls::ClientConfig>>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, SourceError> {
        Ok(Self {
            http: Http::new(&config.url, config.reads, config.timeout, tls)?,
            secret: HotSecret::new(own.client_secret.clone()),
            config: config.clone(),
            own: own.clone(),
            clock,
            access: tokio::sync::Mutex::default(),
            members: tokio::sync::Mutex::default(),
        })
    }
}
