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
use std::sync::Arc;

/// The connections, by their clients; replaced on a reload.
#[derive(Debug, Default)]
pub struct Connections {
    all: Vec<Arc<ScimConfig>>,
    by_client: HashMap<ClientId, Arc<ScimConfig>>,
}

impl Connections {
    /// Those of a configuration.
    #[must_use]
    pub fn new(configs: &[ScimConfig]) -> Self {
        let mut connections = Self::default();
        for config in configs {
            let config = Arc::new(config.clone());
            for client in &config.clients {
                connections.by_client.insert(client.clone(), config.clone());
            }
            connections.all.push(config);
        }
        connections
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<ScimConfig>> {
        self.all.iter()
    }
}

/// A request of a connection's client.
pub(super) struct Connected {
    /// The connection.
    pub(super) connection: Arc<ScimConfig>,
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
        Ok(Self {
            connection: connection.clone(),
            caller,
        })
    }
}

/// Where the SCIM service is, as clients see it.
pub(super) fn base(api: &Api) -> String {
    format!("{}{}", api.listener.issuer.trim_end_matches('/'), super::PATH)
}
