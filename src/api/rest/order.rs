//! A POST that acts: what it says, and that it acts once.
//!
//! `?dry_run=true` looks, decides, and writes nothing. `Idempotency-Key`
//! (draft-ietf-httpapi-idempotency-key-header) names the request, so that it can be sent again when
//! the answer got lost: it acts once, and whoever repeats it gets the first answer. A request that
//! was refused has done nothing, and leaves its key free.
//!
//! What is kept of an answer names nobody but by our ids: no person's data lies in it.

use super::answer::Done;
use super::ask::{self, Read};
use super::precondition::Precondition;
use crate::api::caller::Caller;
use crate::api::problem::Problem;
use crate::api::state::Api;
use crate::error::Code;
use crate::store::{Claim, Claimed};
use aws_lc_rs::digest::{Context, SHA256};
use axum::body::Bytes;
use axum::extract::{FromRequest, Request};
use axum::response::{IntoResponse, Response};
use http::header::{HeaderName, HeaderValue, IF_MATCH, IF_NONE_MATCH};
use http::request::Parts;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use std::sync::Arc;
use std::time::Duration;
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// On an answer that is given again.
const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

/// Longest idempotency key in bytes.
const LONGEST: usize = 128;
/// How long an answer is kept.
const KEEP: Duration = Duration::from_secs(24 * 3600);
/// Answers kept of one client: the newest.
const MOST: u32 = 10_000;

/// Whether it is only tried.
pub(in crate::api) trait Tried {
    /// Whether it is.
    fn dry_run(&self) -> bool;
}

/// The query of most orders.
#[derive(Debug, Clone, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(in crate::api) struct DryRun {
    /// Only say what would be done.
    #[serde(default)]
    #[param(default = false)]
    dry_run: bool,
}

impl Tried for DryRun {
    fn dry_run(&self) -> bool {
        self.dry_run
    }
}

/// The body of an order that says no more than where it is sent.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::api) struct Nothing {}

/// The headers of an order, for the documentation.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
#[expect(dead_code, reason = "read by hand: see `Order`")]
pub(in crate::api) struct OneOrder {
    /// Names the request, so that it acts once however often it is sent: 1 to 128 visible ASCII
    /// characters, never used again for another request. Kept for a day.
    #[param(
        rename = "Idempotency-Key",
        nullable = false,
        min_length = 1,
        max_length = 128,
        pattern = "^[!-~]+$"
    )]
    key: Option<String>,
    /// Only if the resource is still as it was read: its `ETag`, or `*`.
    #[param(rename = "If-Match", nullable = false)]
    if_match: Option<String>,
}

/// What a POST asks to be done.
pub(in crate::api) struct Order<B, Q = DryRun> {
    /// What it says in its body.
    pub(in crate::api) body: B,
    /// What it says in its query.
    pub(in crate::api) query: Q,
    /// What it demands of what it changes.
    pub(in crate::api) precondition: Precondition,
    key: Option<String>,
    fingerprint: [u8; 32],
}

impl<B: DeserializeOwned + Send, Q: DeserializeOwned + Send> FromRequest<Arc<Api>> for Order<B, Q> {
    type Rejection = Problem;

    async fn from_request(request: Request, api: &Arc<Api>) -> Result<Self, Problem> {
        let (parts, body) = request.into_parts();
        let (key, query) = (key(&parts)?, ask::query(&parts)?);
        let precondition = Precondition::of(&parts.headers)?;
        let whole = Request::from_parts(parts.clone(), body);
        let read: Read = Bytes::from_request(whole, api).await;
        let bytes = read.map_err(|rejection| ask::unread(&rejection))?;
        Ok(Self {
            body: ask::body(&parts.headers, &bytes)?,
            query,
            precondition,
            key,
            fingerprint: fingerprint(&parts, &bytes),
        })
    }
}

impl<B, Q: Tried> Order<B, Q> {
    /// Whether it is only tried.
    pub(in crate::api) fn dry_run(&self) -> bool {
        self.query.dry_run()
    }

    /// Carries it out, once.
    ///
    /// # Errors
    /// What `act` refuses; 409 while the same request is under way, 422 when its key stands for
    /// another.
    pub(in crate::api) async fn once(
        self,
        api: &Api,
        caller: &Caller,
        act: impl AsyncFnOnce(Self) -> Result<Done, Problem>,
    ) -> Result<Response, Problem> {
        let key = self.key.clone().filter(|_| !self.dry_run());
        let Some(key) = key else {
            return Ok(act(self).await?.into_response());
        };
        let claim = Claim {
            client: caller.id().clone(),
            key,
            fingerprint: self.fingerprint,
            holder: Uuid::now_v7(),
            // Whoever took longer was ended long ago.
            lease: api.listener.timeout * 2,
            keep: KEEP,
            most: MOST,
        };
        match api.store.claim(&claim, api.clock.now()).await? {
            Claimed::Ours => {}
            Claimed::Answered(answer) => {
                let mut response = Done::from(answer).into_response();
                let headers = response.headers_mut();
                headers.insert(REPLAYED, HeaderValue::from_static("true"));
                return Ok(response);
            }
            Claimed::UnderWay => return Err(Code::ApiIdempotencyUnderWay.into()),
            Claimed::Other => return Err(Code::ApiIdempotencyReused.into()),
        }
        match act(self).await {
            Ok(done) => {
                // It was done: the caller must hear so even if nobody else ever will.
                if let Err(error) = api.store.keep_answer(&claim, &done.kept()).await {
                    tracing::warn!(%error, "an answer could not be kept for its idempotency key");
                }
                Ok(done.into_response())
            }
            Err(problem) => {
                if let Err(error) = api.store.give_up_claim(&claim).await {
                    tracing::warn!(%error, "an idempotency key stays taken until its lease is over");
                }
                Err(problem)
            }
        }
    }
}

/// The request's key: a string of the draft's (RFC 9651 §3.3.3), or bare.
fn key(parts: &Parts) -> Result<Option<String>, Problem> {
    let mut lines = parts.headers.get_all(IDEMPOTENCY_KEY).iter();
    let (line, more) = (lines.next(), lines.next());
    let Some(line) = line else {
        return Ok(None);
    };
    let text = line.to_str().unwrap_or_default().trim();
    let bare = text.strip_prefix('"').and_then(|t| t.strip_suffix('"'));
    let key = bare.unwrap_or(text);
    let plain = key.bytes().all(|b| b.is_ascii_graphic());
    if more.is_some() || key.is_empty() || key.len() > LONGEST || !plain {
        return Err(
            Problem::new(Code::ApiMalformed, "an idempotency key that is none").detail(format!(
                "Idempotency-Key is 1 to {LONGEST} visible ASCII characters."
            )),
        );
    }
    Ok(Some(key.to_owned()))
}

/// What makes a request this one: all that decides what it does. Each part with its length, so that
/// no two requests are one text.
fn fingerprint(parts: &Parts, body: &[u8]) -> [u8; 32] {
    let mut context = Context::new(&SHA256);
    let mut add = |part: &[u8]| {
        context.update(&(part.len() as u64).to_be_bytes());
        context.update(part);
    };
    add(parts.method.as_str().as_bytes());
    let target = parts.uri.path_and_query();
    add(target.map_or("", |target| target.as_str()).as_bytes());
    for name in [IF_MATCH, IF_NONE_MATCH] {
        let lines: Vec<_> = parts.headers.get_all(&name).iter().collect();
        add(&(lines.len() as u64).to_be_bytes());
        lines.into_iter().for_each(|line| add(line.as_bytes()));
    }
    add(body);
    let mut fingerprint = [0; 32];
    fingerprint.copy_from_slice(context.finish().as_ref());
    fingerprint
}
