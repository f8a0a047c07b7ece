//! Which connection a request is meant for: its client's. The path never says, and no request can
//! name another (T31).

use super::error::ScimError;
use crate::api::caller::Caller;
use crate::api::granted::{Granted, Scim};
use crate::api::state::Api;
use crate::config::ScimConfig;
use crate::error::Code;
use crate::store::By;
use crate::types::ClientId;
use axum::extract::FromRequestParts;
use http::request::Parts;
use std::collections::HashMap;
use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

/// That a client was heard of is put on record so often at most, in seconds.
const HEARD: i64 = 10;

/// A connection.
#[derive(Debug)]
pub struct Room {
    config: ScimConfig,
    /// When it was last put on record that its client was heard of.
    heard: AtomicI64,
}

impl Deref for Room {
    type Target = ScimConfig;
    fn deref(&self) -> &ScimConfig {
        &self.config
    }
}

/// The connections, by their clients; replaced on a reload.
#[derive(Debug, Default)]
pub struct Connections {
    all: Vec<Arc<Room>>,
    by_client: HashMap<ClientId, Arc<Room>>,
}

impl Connections {
    /// Those of a configuration.
    #[must_use]
    pub fn new(configs: &[ScimConfig]) -> Self {
        let mut connections = Self::default();
        for config in configs {
            let room = Arc::new(Room {
                config: config.clone(),
                heard: AtomicI64::new(i64::MIN),
            });
            for client in &config.clients {
                connections.by_client.insert(client.clone(), room.clone());
            }
            connections.all.push(room);
        }
        connections
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Room>> {
        self.all.iter()
    }
}

/// A request of a connection's client.
pub(super) struct Connected {
    /// The connection.
    pub(super) connection: Arc<Room>,
    caller: Granted<Scim>,
}

impl Connected {
    /// Who changes something.
    pub(super) fn by(&self, api: &Api) -> By {
        let caller: &Caller = &self.caller;
        api.witness(caller).by()
    }
}

impl FromRequestParts<Arc<Api>> for Connected {
    type Rejection = ScimError;

    async fn from_request_parts(parts: &mut Parts, api: &Arc<Api>) -> Result<Self, ScimError> {
        let caller = Granted::<Scim>::from_request_parts(parts, api).await?;
        let connections = api.scim.load();
        let Some(connection) = connections.by_client.get(caller.id()) else {
            let detail = "The client has no connection: name it in the clients of one of [[scim]].";
            return Err(ScimError::new(Code::ApiScope, None, detail));
        };
        let connection = connection.clone();
        drop(connections);
        heard(api, &connection).await;
        Ok(Self { connection, caller })
    }
}

/// Puts on record that a client was heard of, for whoever wonders why nothing arrives.
async fn heard(api: &Api, room: &Room) {
    let now = api.clock.now();
    let last = room.heard.load(Ordering::Relaxed);
    if now.0.saturating_sub(last) < HEARD {
        return;
    }
    room.heard.store(now.0, Ordering::Relaxed);
    if let Err(error) = api.store.heard(&room.id, now, false).await {
        tracing::warn!(connection = room.id.as_str(), %error, "it is not on record that a client was heard of");
    }
}

/// Where the SCIM service is, as clients see it.
pub(super) fn base(api: &Api) -> String {
    format!(
        "{}{}",
        api.listener.issuer.trim_end_matches('/'),
        super::PATH
    )
}
