//! A service's call to an app: the road from the api listener. Its caller was authenticated there;
//! what is the same as for a visitor is the same code: station 1's hygiene, 7 swap, 8 forward, 9
//! filter. In the middle, in place of identity, access and session, stands `entitle`: which bot the
//! client is at this app, and whether that bot may call this.
//!
//! - `entitle` gives [`Entitled`], which the swap's fourth permit asks for;
//! - `call` sends it, `socket` upgrades it;
//! - `tokens` holds the tokens of managed bots;
//! - `watch` counts and traces it;
//! - `introduce` is the other thing a service may ask of the road: what an app is to a visitor.
//!
//! A service has no cookies, no CSRF value and no `Origin` (tried-for-real, 20): whoever shows one of
//! the last two's kind is a browser, and is refused. Nothing of the caller's own credentials gets
//! past hygiene; nothing of the app's gets past the filter.

mod call;
mod entitle;
mod introduce;
mod socket;
mod tokens;
mod watch;

pub use entitle::Entitled;
pub use introduce::look_by_themselves;
pub use tokens::BotTokens;

use super::bridge::Bridge;
use super::edge;
use crate::api::apps::{AppCaller, Called, Road, Streamed};
use crate::api::visitors::{Introduced, Introducer, Introduction};
use crate::error::{Code, Refusal};
use crate::telemetry::traces::Station;
use async_trait::async_trait;
use http::header::ORIGIN;
use http::{HeaderMap, Request, Response};
use std::sync::Arc;
use watch::Watch;

/// The road, for the api.
pub struct ServiceRoad(Arc<Bridge>);

impl ServiceRoad {
    /// Over this bridge.
    #[must_use]
    pub fn new(bridge: Arc<Bridge>) -> Self {
        Self(bridge)
    }
}

#[async_trait]
impl Road for ServiceRoad {
    async fn call(&self, who: AppCaller, request: Request<Streamed>) -> Called {
        let mut watch = Watch::begin(&self.0, &who, &request);
        let answer = road(&self.0, who, request, &mut watch).await;
        let rule = watch.end(&answer);
        Called { rule, answer }
    }

    async fn introduce(
        &self,
        who: Introducer,
        visitor: Introduction,
    ) -> Result<Introduced, Refusal> {
        introduce::introduce(&self.0, &who, visitor).await
    }
}

async fn road(
    bridge: &Arc<Bridge>,
    who: AppCaller,
    request: Request<Streamed>,
    watch: &mut Watch,
) -> Result<Response<Streamed>, Refusal> {
    // 1 hygiene
    watch.enter(Station::Edge);
    let (parts, body) = request.into_parts();
    no_browser(&parts.headers)?;
    let request = edge::clean(parts, &bridge.limits)?;

    // Which app: the one that the proof is about.
    watch.enter(Station::Route);
    let site = bridge.site(who.app()).ok_or(Code::ApiNotFound)?;
    let request = request.mounted(&format!("/apps/{}", who.app()), &site.config.base_path)?;

    watch.enter(Station::Access);
    // Who is revoked must be known, here as on the other listener (T11).
    bridge.sessions.log.must_be_fresh(bridge.clock.now())?;
    let entitled = entitle::entitle(bridge, &site, who, &request)?;
    watch.rule = Some(entitled.rule().to_owned());

    // 7 to 9
    watch.enter(Station::App);
    let trip = call::Trip {
        bridge,
        site: &site,
        request_id: watch.request_id.clone(),
    };
    trip.account(&entitled, &request).await?;
    if request.is_upgrade() {
        return Box::pin(trip.socket(request, entitled)).await;
    }
    trip.call(request, body, entitled).await
}

/// Headers that browsers alone write, and no script can (the Fetch standard's forbidden names).
fn no_browser(headers: &HeaderMap) -> Result<(), Refusal> {
    let fetch = |name: &http::HeaderName| name.as_str().starts_with("sec-fetch-");
    if headers.contains_key(ORIGIN) || headers.keys().any(fetch) {
        return Err(Refusal::new(
            Code::ServiceBrowser,
            "Origin or Sec-Fetch-…: a browser, which must not act as a bot",
        ));
    }
    Ok(())
}
