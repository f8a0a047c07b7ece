//! What is counted and traced of a service's call, from the proof of who calls to the head of the
//! answer. Its log line is the api's own.

use crate::api::apps::{AppCaller, Streamed};
use crate::error::Refusal;
use crate::proxy::bridge::Bridge;
use crate::proxy::route::Site;
use crate::telemetry::RequestId;
use crate::telemetry::traces::{Ended, Station, Trace};
use crate::types::ClientId;
use http::{Method, Request, Response, Uri};
use std::sync::Arc;
use std::time::Instant;

/// A call that is under way.
pub(super) struct Watch {
    started: Instant,
    /// None of an app that is no longer configured: what a caller writes becomes no label.
    site: Option<Arc<Site>>,
    client: ClientId,
    method: Method,
    /// Of which only the path is told: a query may hold what should not be.
    uri: Uri,
    /// Only of a call that is traced.
    trace: Option<Box<Trace>>,
    pub(super) request_id: RequestId,
    /// The rule that let it through.
    pub(super) rule: Option<String>,
}

impl Watch {
    pub(super) fn begin(bridge: &Bridge, who: &AppCaller, request: &Request<Streamed>) -> Self {
        Self {
            started: Instant::now(),
            site: bridge.site(who.app()),
            client: who.client().clone(),
            method: request.method().clone(),
            uri: request.uri().clone(),
            trace: bridge.traces.begin(request.headers()),
            request_id: match request.extensions().get::<RequestId>() {
                Some(id) => id.clone(),
                None => RequestId::accept_or_generate(None),
            },
            rule: None,
        }
    }

    pub(super) fn enter(&mut self, station: Station) {
        if let Some(trace) = &mut self.trace {
            trace.enter(station);
        }
    }

    /// The call is answered; gives the rule that let it through.
    pub(super) fn end(self, answer: &Result<Response<Streamed>, Refusal>) -> Option<String> {
        let (refused, status) = match answer {
            Ok(answer) => (None, answer.status()),
            Err(refusal) => (Some(refusal.code), refusal.code.status()),
        };
        if let Some(site) = &self.site {
            (site.metrics).call(refused, status, self.started.elapsed());
        }
        if let Some(trace) = self.trace {
            trace.end(&Ended {
                method: &self.method,
                path: self.uri.path(),
                app: self
                    .site
                    .as_ref()
                    .map_or("", |site| site.config.id.as_str()),
                client: self.client.as_str(),
                code: refused.map_or("ok", |code| code.as_str()),
                status,
                request_id: self.request_id.as_str(),
            });
        }
        self.rule
    }
}
