//! An upgrade of a service's: authenticated by header, as the bot; the socket itself never sees a
//! token, and what the app's rules refuse a browser to say on it is refused here too. Registered
//! under app and client, so that it can be cut.

use super::call::{Trip, refused};
use super::entitle::Entitled;
use crate::api::apps::Streamed;
use crate::error::{Code, Refusal};
use crate::proxy::body::UpstreamBody;
use crate::proxy::edge::CleanRequest;
use crate::proxy::filter;
use crate::proxy::forward::UpstreamResponse;
use crate::proxy::forward::upgrade::{self, Upgrade};
use crate::proxy::swap::{Head, Permit};
use http::header::SEC_WEBSOCKET_KEY;
use http::{Response, StatusCode, Version};
use http_body_util::BodyExt;

impl Trip<'_> {
    pub(super) async fn socket(
        &self,
        request: CleanRequest,
        mut entitled: Entitled,
    ) -> Result<Response<Streamed>, Refusal> {
        if request.version() != Version::HTTP_11 {
            return Err(Refusal::new(
                Code::RequestMethod,
                "an upgrade needs HTTP/1.1",
            ));
        }
        let key = request.headers().get(SEC_WEBSOCKET_KEY).cloned();
        let key =
            key.ok_or_else(|| Refusal::new(Code::RequestMalformed, "no Sec-WebSocket-Key"))?;
        let id = self.request_id.header();
        let mut head = Head::new(self.site, request, &Permit::Service(&entitled), id, true);
        let caller = head.take_upgrade();
        let again = head.clone();
        let (upstream, _) = head.request(UpstreamBody::Empty);
        let mut sent = upgrade::send(&self.site.pool, upstream.into_http(), &key).await?;
        if is_refusal(&sent) {
            entitled = self.renewed(entitled).await?;
            let (upstream, _) = again.with_bot(&entitled).request(UpstreamBody::Empty);
            sent = upgrade::send(&self.site.pool, upstream.into_http(), &key).await?;
        }
        let now = self.bridge.clock.now();
        match sent {
            Upgrade::Answered(response) => match response.status() {
                StatusCode::UNAUTHORIZED => Err(refused()),
                StatusCode::SWITCHING_PROTOCOLS => Err(Code::AppBadAnswer.into()),
                _ => Ok(self.release(UpstreamResponse::streamed(response, None))),
            },
            Upgrade::Switched(response, carry) => {
                let longest = self.site.config.session.socket_max_age;
                let registration = self.bridge.tunnels.register_service(
                    &self.site.config.id,
                    entitled.client(),
                    now + longest,
                );
                if !entitled.still_stands(self.bridge, self.site) {
                    return Err(Code::ServiceBotRenewed.into());
                }
                let (metrics, rules) = (self.site.metrics.clone(), self.site.rules.clone());
                self.bridge.tasks.spawn(async move {
                    let _counted = metrics.websocket();
                    if let Some(cut) = carry.run(caller, registration, rules).await {
                        metrics.websocket_cut(cut.as_str());
                    }
                });
                let mut released = filter::release_switch(self.site, None, now, response);
                released.headers_mut().remove(http::header::SET_COOKIE);
                Ok(released.map(|body| body.map_err(Into::into).boxed_unsync()))
            }
        }
    }
}

fn is_refusal(sent: &Upgrade) -> bool {
    matches!(sent, Upgrade::Answered(response) if response.status() == StatusCode::UNAUTHORIZED)
}
