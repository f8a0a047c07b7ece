//! [`Clients`]: the configured clients, found by what proves them.

use super::rate::Bucket;
use crate::config::{ApiListener, ClientConfig, DirectoryConfig};
use crate::tls::{Peer, PeerName};
use crate::types::{ClientId, IssuerId, Scope, SourceId, Subject};
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use subtle::ConstantTimeEq;

/// A client, and how often it may still ask.
pub struct Client {
    /// As configured.
    pub config: ClientConfig,
    /// The directory that it is: its webhooks prove themselves as a client of the directory's name.
    pub directory: Option<SourceId>,
    pub(super) bucket: Bucket,
    /// Whether a newer configuration says something else of it, or nothing.
    gone: AtomicBool,
}

impl Client {
    /// Whether it is still configured as it was when its request was let in. What outlives the
    /// request asks: whoever came in by what is gone must not stay.
    pub(super) fn stands(&self) -> bool {
        !self.gone.load(Ordering::SeqCst)
    }
}

/// Webhooks of a directory: so many a second for long, and at once. Each costs little (`hooks`), and
/// what is turned away comes again and again.
const HOOKS: (u32, u32) = (200, 10_000);

/// All clients; no two share a credential (`config` sees to it).
#[derive(Default)]
pub struct Clients {
    all: Vec<Arc<Client>>,
    by_name: HashMap<PeerName, Arc<Client>>,
    by_subject: HashMap<(IssuerId, Subject), Arc<Client>>,
}

/// Whose a certificate is.
pub(super) enum Holder {
    /// One client's.
    One(Arc<Client>),
    /// No client's.
    Nobody,
    /// Names of several clients stand in it.
    Several,
}

/// Who a directory's webhooks are: known by its secrets, good for nothing else.
fn sender(directory: &DirectoryConfig) -> Option<Arc<Client>> {
    let hooks = directory.hooks.as_ref()?;
    let hashes = hooks.secrets.iter().map(|secret| secret.sha256);
    let config = ClientConfig {
        // Both are slugs; `config` sees to it that no client has the name.
        id: ClientId::new(directory.id.as_str()).ok()?,
        dns_names: Vec::new(),
        uri_names: Vec::new(),
        spki_sha256: Vec::new(),
        bearer: None,
        static_bearer_sha256: hashes.collect(),
        scopes: BTreeSet::from([Scope::Hooks]),
        hosts: Vec::new(),
        audiences: Vec::new(),
    };
    let (rate, burst) = HOOKS;
    Some(Arc::new(Client {
        config,
        directory: Some(directory.id.clone()),
        bucket: Bucket::new(rate, burst),
        gone: AtomicBool::new(false),
    }))
}

impl Clients {
    /// The clients of a configuration, its directories' webhooks among them.
    #[must_use]
    pub fn new(
        configs: &[ClientConfig],
        directories: &[DirectoryConfig],
        listener: &ApiListener,
    ) -> Self {
        let mut clients = Self::default();
        clients.all.extend(directories.iter().filter_map(sender));
        for config in configs {
            let client = Arc::new(Client {
                config: config.clone(),
                directory: None,
                bucket: Bucket::new(listener.rate, listener.burst),
                gone: AtomicBool::new(false),
            });
            let dns = config.dns_names.iter().cloned().map(PeerName::Dns);
            let uri = config.uri_names.iter().cloned().map(PeerName::Uri);
            let spki = config.spki_sha256.iter().copied().map(PeerName::Spki);
            for name in dns.chain(uri).chain(spki) {
                clients.by_name.insert(name, client.clone());
            }
            if let Some(bearer) = &config.bearer {
                let key = (bearer.issuer.clone(), bearer.sub.clone());
                clients.by_subject.insert(key, client.clone());
            }
            clients.all.push(client);
        }
        clients
    }

    /// Ends what those among these stand for that are not the same in `now`.
    pub fn give_way(&self, now: &Self) {
        for client in &self.all {
            if !now.iter().any(|other| other.config == client.config) {
                client.gone.store(true, Ordering::SeqCst);
            }
        }
    }

    /// The clients, in the configuration's order.
    pub fn iter(&self) -> impl Iterator<Item = &Client> {
        self.all.iter().map(Arc::as_ref)
    }

    /// Whose certificate it is: each name that is a client's must be the same client's.
    pub(super) fn of_certificate(&self, peer: &Peer) -> Holder {
        let mut found: Option<&Arc<Client>> = None;
        for client in peer.names.iter().filter_map(|name| self.by_name.get(name)) {
            match found {
                Some(other) if !Arc::ptr_eq(other, client) => return Holder::Several,
                _ => found = Some(client),
            }
        }
        found.map_or(Holder::Nobody, |client| Holder::One(client.clone()))
    }

    /// Whose token it is.
    pub(super) fn of_subject(&self, issuer: IssuerId, sub: Subject) -> Option<Arc<Client>> {
        self.by_subject.get(&(issuer, sub)).cloned()
    }

    /// Whose static bearer has this hash. Every hash is compared, each in constant time.
    pub(super) fn of_static(&self, hash: &[u8; 32]) -> Option<Arc<Client>> {
        let mut found = None;
        for client in &self.all {
            for known in &client.config.static_bearer_sha256 {
                if bool::from(known.ct_eq(hash)) {
                    found = Some(client.clone());
                }
            }
        }
        found
    }
}
