//! [`Caller`]: the proof of who calls, made here alone, from what the connection and the request
//! show.
//!
//! The rule: **every credential that is shown must be good, and all must name the same client.** A
//! bad bearer beside a good certificate is not ignored: whoever sends it is wrong about something.
//!
//! A visitor's assertion (`X-Pomerium-Jwt-Assertion`) is not looked at: it says for whom a service
//! speaks, never who the service is.
//!
//! ```compile_fail
//! // Outsiders can't make one: there is no constructor, and the field is private.
//! let forged = auth_manager::api::Caller(todo!());
//! ```

use super::bearer::{OneUse, Wrong};
use super::problem::Problem;
use super::registry::{Client, Clients, Holder};
use super::state::Api;
use crate::error::Code;
use crate::store::{Claim, Claimed};
use crate::telemetry::RequestId;
use crate::tls::Peer;
use crate::types::{ClientId, HostName, Scope, SourceId};
use aws_lc_rs::digest::{SHA256, digest};
use axum::extract::FromRequestParts;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::header::{AUTHORIZATION, HeaderMap};
use http::request::Parts;
use http::{Extensions, HeaderValue};
use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// Longest bearer in bytes.
const LONGEST: usize = 8192;

/// Who calls, and how that is known.
#[derive(Clone)]
pub struct Caller(Arc<Facts>);

/// The trust by which a connection was let in: certificates, authorities, revocation lists. A layer
/// below puts it beside each of its requests.
#[derive(Debug, Clone)]
pub struct Trust(pub CancellationToken);

struct Facts {
    client: Arc<Client>,
    trust: Option<Trust>,
    certificate: Option<Arc<Peer>>,
    bearer: Option<Bearer>,
    scopes: BTreeSet<Scope>,
    request: Option<RequestId>,
}

/// Which kind of bearer a caller brought.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bearer {
    /// A token of an authorization server.
    Token,
    /// A token that the client signed itself, for this request alone.
    Assertion,
    /// A fixed text whose hash is configured.
    Static,
}

impl Caller {
    /// Which client.
    #[must_use]
    pub fn id(&self) -> &ClientId {
        &self.0.client.config.id
    }

    /// The directory whose webhooks these are, if they are.
    #[must_use]
    pub fn directory(&self) -> Option<&SourceId> {
        self.0.client.directory.as_ref()
    }

    /// What it may do now: its configured scopes, less what its bearer does not carry.
    #[must_use]
    pub fn scopes(&self) -> &BTreeSet<Scope> {
        &self.0.scopes
    }

    /// The certificate it showed, if any; its thumbprint is what tokens are bound to (RFC 8705).
    #[must_use]
    pub fn certificate(&self) -> Option<&Peer> {
        self.0.certificate.as_deref()
    }

    /// The bearer it showed, if any.
    #[must_use]
    pub fn bearer(&self) -> Option<Bearer> {
        self.0.bearer
    }

    /// Whether it may pass on assertions of visitors of this host.
    #[must_use]
    pub fn may_speak_for(&self, host: &HostName) -> bool {
        self.0.client.config.hosts.contains(host)
    }

    /// The hosts whose visitors' assertions and cookies it may pass on.
    #[must_use]
    pub fn hosts(&self) -> &[HostName] {
        &self.0.client.config.hosts
    }

    /// The audiences it may exchange tokens for, and ask about the tokens of.
    #[must_use]
    pub fn audiences(&self) -> &[String] {
        &self.0.client.config.audiences
    }

    /// Whether it brought a certificate and a token, which changes of scope `admin` may demand.
    #[must_use]
    pub fn brought_both(&self) -> bool {
        self.0.certificate.is_some() && self.0.bearer.is_some_and(|b| b != Bearer::Static)
    }

    /// Whether what let it in still holds: the client as it is configured, and the trust in its
    /// connection. Asked by whoever outlives the request.
    pub(super) fn stands(&self) -> bool {
        let over = |trust: &Trust| trust.0.is_cancelled();
        self.0.client.stands() && !self.0.trust.as_ref().is_some_and(over)
    }

    /// The id of the request.
    pub(super) fn request_id(&self) -> Option<&RequestId> {
        self.0.request.as_ref()
    }

    /// Takes one request's worth of its allowance.
    pub(super) fn take_turn(&self, now: Instant) -> Result<(), Duration> {
        self.0.client.bucket.take(now)
    }
}

/// Who and how, never a secret (T34).
impl fmt::Debug for Caller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Caller")
            .field("id", self.id())
            .field("certificate", &self.0.certificate.is_some())
            .field("bearer", &self.0.bearer)
            .finish_non_exhaustive()
    }
}

/// For endpoints that ask for their scope by hand. Without `admit` there is no caller.
impl FromRequestParts<Arc<Api>> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &Arc<Api>) -> Result<Self, Problem> {
        let caller = parts.extensions.get::<Self>().cloned();
        caller.ok_or_else(|| Problem::new(Code::ApiUnauthenticated, "a route without `admit`"))
    }
}

/// Who sends a request, from the connection's certificate and the `Authorization` line.
///
/// # Errors
/// One answer for everything that can be wrong; the reason is in the log.
pub(super) async fn authenticate(
    api: &Api,
    headers: &HeaderMap,
    extensions: &Extensions,
) -> Result<Caller, Problem> {
    let clients = api.clients.load_full();
    let token = bearer_of(headers)?;
    let shown = token.is_some();
    let mut client: Option<Arc<Client>> = None;

    let certificate = extensions.get::<Arc<Peer>>().cloned();
    if let Some(peer) = &certificate {
        match clients.of_certificate(peer) {
            Holder::One(found) => client = Some(found),
            Holder::Nobody => return refused(shown, "the certificate is no client's"),
            Holder::Several => {
                return refused(shown, "the certificate has names of several clients");
            }
        }
    }

    let mut shown_bearer = None;
    if let Some(token) = token {
        let found = holder_of(api, &clients, token).await?;
        if client
            .as_ref()
            .is_some_and(|other| !Arc::ptr_eq(other, &found.client))
        {
            return refused(shown, "certificate and bearer are of different clients");
        }
        let bound = found.thumbprint;
        if bound.is_some() && bound != certificate.as_ref().map(|peer| peer.thumbprint) {
            return refused(shown, "the token is bound to another certificate");
        }
        client = Some(found.client.clone());
        shown_bearer = Some(found);
    }

    let Some(client) = client else {
        return refused(shown, "neither a certificate nor a bearer");
    };
    let mut scopes = client.config.scopes.clone();
    let mut bearer = None;
    if let Some(shown) = shown_bearer {
        if shown.kind == Bearer::Static {
            // `config` has refused others already: twice is better than once too few.
            scopes.retain(Scope::allows_static_bearer);
        }
        if let Some(said) = &shown.scopes {
            scopes.retain(|scope| said.contains(scope));
        }
        bearer = Some(shown.kind);
    }
    Ok(Caller(Arc::new(Facts {
        client,
        trust: extensions.get::<Trust>().cloned(),
        certificate,
        bearer,
        scopes,
        request: extensions.get::<RequestId>().cloned(),
    })))
}

/// A bearer that is a client's.
struct Held {
    client: Arc<Client>,
    kind: Bearer,
    /// What it is good for, if it says so.
    scopes: Option<BTreeSet<Scope>>,
    /// The certificate it is bound to.
    thumbprint: Option<[u8; 32]>,
}

async fn holder_of(api: &Api, clients: &Clients, token: &[u8]) -> Result<Held, Problem> {
    let mut hash = [0; 32];
    hash.copy_from_slice(digest(&SHA256, token).as_ref());
    if let Some(client) = clients.of_static(&hash) {
        return Ok(Held {
            client,
            kind: Bearer::Static,
            scopes: None,
            thumbprint: None,
        });
    }
    let token = match api.bearers.verify(token).await {
        Ok(token) => token,
        Err(Wrong::Token(reason)) => return refused(true, reason),
        Err(Wrong::UnknownKey) => return refused(true, "no key of its issuer has its kid"),
        Err(Wrong::NoKeys(reason)) => {
            return Err(Problem::new(Code::AssertionKeysUnavailable, reason));
        }
    };
    let Some(client) = clients.of_subject(token.issuer, token.sub) else {
        return refused(true, "its issuer and sub are no client's");
    };
    if let Some(one) = &token.assertion {
        use_up(api, &client, one).await?;
    }
    Ok(Held {
        client,
        kind: match token.assertion {
            Some(_) => Bearer::Assertion,
            None => Bearer::Token,
        },
        scopes: token.scopes,
        thumbprint: token.thumbprint,
    })
}

/// A client assertion is good once, on whichever replica (T18): the first to claim it has it.
async fn use_up(api: &Api, client: &Client, one: &OneUse) -> Result<(), Problem> {
    let now = api.clock.now();
    let life = one.dies.since(now);
    let holder = Uuid::now_v7();
    let mut fingerprint = [0; 32];
    fingerprint.copy_from_slice(digest(&SHA256, holder.as_bytes()).as_ref());
    let claim = Claim {
        client: client.config.id.clone(),
        key: format!("jti:{}", URL_SAFE_NO_PAD.encode(one.jti)),
        // No two are the same: a claim that stands is always another's.
        fingerprint,
        holder,
        lease: life,
        keep: life,
        // It has no answer that could be too many.
        most: u32::MAX,
    };
    match api.store.claim(&claim, now).await? {
        Claimed::Ours => Ok(()),
        _ => refused(true, "its jti was used before"),
    }
}

/// The one bearer of a request (RFC 6750 §2.1); never from its query or body.
fn bearer_of(headers: &HeaderMap) -> Result<Option<&[u8]>, Problem> {
    let mut lines = headers.get_all(AUTHORIZATION).iter();
    let (line, more) = (lines.next(), lines.next());
    if more.is_some() {
        return refused(true, "several Authorization lines");
    }
    let Some(line) = line.map(HeaderValue::as_bytes) else {
        return Ok(None);
    };
    let token = match line.split_at_checked("bearer ".len()) {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case(b"bearer ") => token,
        _ => return refused(true, "Authorization is of another scheme than Bearer"),
    };
    // b68token of RFC 6750 §2.1.
    let plain = |b: &u8| b.is_ascii_alphanumeric() || b"-._~+/=".contains(b);
    if token.is_empty() || token.len() > LONGEST || !token.iter().all(plain) {
        return refused(
            true,
            "the bearer is empty, too long or of characters that none has",
        );
    }
    Ok(Some(token))
}

/// The same body for every reason; `error` only where a bearer was shown (RFC 6750 §3.1).
fn refused<T>(shown: bool, reason: &'static str) -> Result<T, Problem> {
    let challenge = match shown {
        true => "Bearer realm=\"auth-manager\", error=\"invalid_token\"",
        false => "Bearer realm=\"auth-manager\"",
    };
    Err(Problem::new(Code::ApiUnauthenticated, reason).challenge(challenge))
}
