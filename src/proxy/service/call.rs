//! Stations 7 to 9 for a service: both bodies stream, whatever their size.

use super::entitle::Entitled;
use crate::api::apps::Streamed;
use crate::audit::{Actor, Kind};
use crate::error::{Code, Refusal};
use crate::proxy::body::{Kept, UpstreamBody};
use crate::proxy::bridge::Bridge;
use crate::proxy::edge::CleanRequest;
use crate::proxy::filter;
use crate::proxy::forward::{self, UpstreamResponse};
use crate::proxy::route::Site;
use crate::proxy::session;
use crate::proxy::swap::{Head, Permit};
use crate::telemetry::RequestId;
use http::{Response, StatusCode};
use http_body::Body as _;
use http_body_util::BodyExt;
use std::sync::Arc;

/// A request that knows its app.
pub(super) struct Trip<'a> {
    pub(super) bridge: &'a Arc<Bridge>,
    pub(super) site: &'a Arc<Site>,
    pub(super) request_id: RequestId,
}

impl Trip<'_> {
    pub(super) async fn call(
        &self,
        request: CleanRequest,
        body: Streamed,
        entitled: Entitled,
    ) -> Result<Response<Streamed>, Refusal> {
        let kept = Kept::new(self.site.config.session.replay_body);
        let empty = body.is_end_stream();
        let body = match empty {
            true => UpstreamBody::Empty,
            false => UpstreamBody::streamed(body, kept.clone()),
        };
        let id = self.request_id.header();
        let head = Head::new(self.site, request, &Permit::Service(&entitled), id, false);
        let again = head.clone();
        let (upstream, _) = head.request(body);
        let answer = forward::send(&self.site.pool, upstream).await?;
        if answer.head.status != StatusCode::UNAUTHORIZED {
            return Ok(self.release(answer));
        }
        // The app refused the bot, not the caller, whose credential was good: never a 401.
        drop(answer);
        let renewed = self.renewed(entitled).await?;
        let body = match empty {
            true => UpstreamBody::Empty,
            false => match kept.whole() {
                Some(bytes) => UpstreamBody::Whole(Some(bytes)),
                None => return Err(Code::ServiceBotRenewed.into()),
            },
        };
        // What was answered 401 was not executed, so it may be sent again.
        let (upstream, _) = again.with_bot(&renewed).request(body);
        let answer = forward::send(&self.site.pool, upstream).await?;
        if answer.head.status == StatusCode::UNAUTHORIZED {
            return Err(refused());
        }
        Ok(self.release(answer))
    }

    /// The same call with the token that a rotation, here or elsewhere, has put in place.
    pub(super) async fn renewed(&self, entitled: Entitled) -> Result<Entitled, Refusal> {
        if let Err(error) = self.bridge.reload_bots().await {
            return Err(Refusal::new(Code::StoreUnavailable, error.to_string()));
        }
        entitled
            .renewed(self.bridge, self.site)?
            .ok_or_else(refused)
    }

    pub(super) fn release(&self, answer: UpstreamResponse) -> Response<Streamed> {
        let now = self.bridge.clock.now();
        let mut released = filter::release(self.site, None, now, answer);
        // A service keeps no cookies: the credential is ours.
        released.headers_mut().remove(http::header::SET_COOKIE);
        released.map(|body| body.map_err(Into::into).boxed_unsync())
    }

    /// Leaves word of the call in the audit trail, before it takes effect.
    pub(super) async fn account(
        &self,
        entitled: &Entitled,
        request: &CleanRequest,
    ) -> Result<(), Refusal> {
        if !entitled.is_audited() {
            return Ok(());
        }
        let bridge = self.bridge;
        let called = (bridge.audit)
            .by(Actor::Client(entitled.client().clone()))
            .request(self.request_id.as_str())
            .event(Kind::ServiceCalled)
            .app(&self.site.config.id)
            .detail("rule", entitled.rule())
            .detail("method", request.method().as_str())
            .detail("path", request.path());
        let written = bridge.audit.record(&*bridge.store, called).await;
        written.map(drop).map_err(session::store_refusal)
    }
}

pub(super) fn refused() -> Refusal {
    Refusal::new(
        Code::ServiceBotRefused,
        "the bot's token is wrong, revoked or rotated elsewhere, or the bot is disabled: \
         `auth-manager bots list --check`, `auth-manager bots rotate`",
    )
}
