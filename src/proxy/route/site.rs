//! An app as the road sees it: its configuration, its driver, its connections, and the header
//! values that are the same for every request, made once.

use crate::apps::{Bots, Connector, Provisioner, Rules, Strategy};
use crate::config::AppConfig;
use crate::proxy::assertion::{ReplayTable, Verifier};
use crate::proxy::forward::Pool;
use crate::telemetry::metrics::AppMetrics;
use crate::types::{AppToken, ClientId, HostName};
use arc_swap::ArcSwapOption;
use http::HeaderValue;
use std::collections::HashMap;
use std::sync::Arc;

/// An app behind the bridge.
pub struct Site {
    /// As configured.
    pub config: AppConfig,
    /// Manages its accounts.
    pub connector: Arc<dyn Connector>,
    /// Opens and ends its sessions.
    pub strategy: Arc<dyn Strategy>,
    /// What its requests and answers mean.
    pub rules: Arc<dyn Rules>,
    /// Who vouches for its visitors.
    pub verifier: Arc<Verifier>,
    /// Assertions used lately.
    pub replay: Arc<ReplayTable>,
    /// Assertions that services passed on lately: counted apart from those that visitors brought.
    pub passed_on: Arc<ReplayTable>,
    /// Deactivates its accounts, and gives and takes memberships.
    pub provisioner: Arc<dyn Provisioner>,
    /// Makes bots for services.
    pub bots: Arc<dyn Bots>,
    /// Tokens of bots that the operator manages, by client.
    pub bot_tokens: HashMap<ClientId, AppToken>,
    /// Its connections.
    pub pool: Arc<Pool>,
    /// The public host as the app must see it, port included when it is unusual.
    pub authority: HeaderValue,
    /// The scheme of the public origin.
    pub scheme: HeaderValue,
    /// Its counters, looked up once.
    pub metrics: AppMetrics,
    /// What the app last said of itself.
    pub facts: ArcSwapOption<crate::apps::Facts>,
}

impl std::fmt::Debug for Site {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Site({})", self.config.id)
    }
}

impl Site {
    /// The part of `path` that the app's rules judge: below its base path. `None` outside of it.
    pub fn below_base<'p>(&self, path: &'p str) -> Option<&'p str> {
        let base = self.config.base_path.as_str();
        if base == "/" {
            return Some(path);
        }
        match path.strip_prefix(base)? {
            "" => Some("/"),
            below if below.starts_with('/') => Some(below),
            _ => None,
        }
    }

    /// The app's root, as a browser asks for it.
    pub fn home(&self) -> String {
        if self.config.base_path == "/" {
            "/".into()
        } else {
            format!("{}/", self.config.base_path)
        }
    }
}

/// All apps by host.
pub struct Sites {
    /// Answered without identity.
    pub health_path: String,
    by_host: HashMap<HostName, Arc<Site>>,
}

impl Sites {
    /// The table of these apps.
    pub fn new(health_path: String, sites: impl IntoIterator<Item = Arc<Site>>) -> Self {
        let by_host = sites
            .into_iter()
            .map(|s| (s.config.host.clone(), s))
            .collect();
        Self {
            health_path,
            by_host,
        }
    }

    /// The app of a host.
    pub fn by_host(&self, host: &HostName) -> Option<&Arc<Site>> {
        self.by_host.get(host)
    }

    /// Every app.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Site>> {
        self.by_host.values()
    }
}
