//! The router as a whole, without a network: who is let in, and what everybody else is told.

use super::testing::{self, NoRoad};
use super::*;
use crate::audit::{Audit, Settings};
use crate::config::{
    ApiIssuerConfig, ApiIssuerProfile, ApiListener, BearerAlgorithm, BearerSubject, ClientConfig,
    JwksSource, TokenTyp,
};
use crate::demo::door::Minter;
use crate::jwks::{KeySet, KeySource};
use crate::keys::pairwise::PairwiseKey;
use crate::keys::{PasswordRoot, master::MasterKey, random, rotation};
use crate::store::SqliteStore;
use crate::telemetry::metrics::Metrics;
use crate::tls::{Peer, PeerName};
use crate::types::{ClientId, Clock, IssuerId, Scope, Subject, SystemClock};
use arc_swap::ArcSwap;
use aws_lc_rs::digest::{SHA256, digest};
use axum::body::{Body, Bytes};
use axum::routing::{get, post};
use http::{Request, StatusCode, header};
use http_body_util::BodyExt;
use std::time::Duration;
use tower::ServiceExt;

const SECRET: &str = "amb_not-so-secret";

fn client(id: &str, scopes: &[&str]) -> ClientConfig {
    ClientConfig {
        id: ClientId::new(id).unwrap(),
        dns_names: vec![format!("{id}.internal")],
        uri_names: Vec::new(),
        spki_sha256: Vec::new(),
        bearer: None,
        static_bearer_sha256: Vec::new(),
        scopes: scopes.iter().map(|s| s.parse().unwrap()).collect(),
        hosts: Vec::new(),
        audiences: Vec::new(),
    }
}

/// Whoever signs access tokens.
fn issuer(minter: &Minter) -> Arc<BearerIssuer> {
    let config = ApiIssuerConfig {
        id: IssuerId::new("services").unwrap(),
        issuer: "https://id.internal".into(),
        profile: ApiIssuerProfile::AccessToken,
        typ: TokenTyp::AccessToken,
        jwks: JwksSource::File("none".into()),
        algorithms: vec![BearerAlgorithm::ES256],
        refresh: Duration::from_secs(300),
        cooldown: Duration::from_secs(10),
        stale_limit: Duration::from_secs(60),
        leeway: Duration::from_secs(30),
        max_lifetime: Duration::from_secs(3600),
        jti_entries: 1024,
    };
    let accepted = BearerIssuer::algorithms(&config);
    let set = KeySet::parse(minter.jwks().as_bytes(), &accepted).unwrap();
    let keys = KeySource::fixed(config.id.clone(), set, Arc::new(SystemClock));
    BearerIssuer::new(config, keys)
}

struct Bed {
    api: Arc<Api>,
    router: Router,
    minter: Minter,
    _folder: tempfile::TempDir,
}

impl Bed {
    async fn new() -> Self {
        Self::with(|_| {}).await
    }

    async fn with(change: impl FnOnce(&mut ApiListener)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = SqliteStore::open(folder.path().join("x.db")).await.unwrap();
        let master = MasterKey::from_bytes(&random::bytes::<32>().unwrap()).unwrap();
        let audit = Arc::new(Audit::new(Arc::new(SystemClock), Settings::default()));
        let ring = rotation::ensure(&store, &master, SystemClock.now(), &audit.bridge())
            .await
            .unwrap();
        let mut listener = ApiListener {
            address: ([127, 0, 0, 1], 0).into(),
            issuer: "https://api.internal".into(),
            audience: "https://api.internal".into(),
            tls: None,
            body: 1024,
            timeout: Duration::from_secs(5),
            connections: 10,
            rate: 1000,
            burst: 1000,
            require_both: false,
        };
        change(&mut listener);
        let mut hook = client("hook", &["hooks", "introspect"]);
        let hash = digest(&SHA256, SECRET.as_bytes());
        hook.static_bearer_sha256 = vec![hash.as_ref().try_into().unwrap()];
        let mut admin = client("admin", &["admin"]);
        admin.bearer = Some(BearerSubject {
            issuer: IssuerId::new("services").unwrap(),
            sub: Subject::new("admin").unwrap(),
        });
        let clients = [
            client("reader", &["users:read"]),
            client("asker", &["introspect"]),
            client("caller", &["proxy:chat", "bridge"]),
            client("porter", &["bridge", "bridge:cookies"]),
            admin,
            hook,
        ];
        let minter = Minter::generate().unwrap();
        let store: Arc<dyn crate::store::Store> = Arc::new(store);
        let api = Arc::new(Api {
            strangers: Default::default(),
            clock: Arc::new(SystemClock),
            store: store.clone(),
            ring: Arc::new(ArcSwap::from_pointee(ring)),
            master: Arc::new(ArcSwap::from_pointee(master)),
            road: Arc::new(NoRoad),
            clients: ArcSwap::from_pointee(Clients::new(&clients, &[], &listener)),
            bearers: Bearers::new(
                vec![issuer(&minter)],
                listener.audience.clone(),
                Arc::new(SystemClock),
            ),
            audiences: ArcSwap::default(),
            visitors: Arc::new(testing::Road::default()),
            pairwise: PairwiseKey::of(&PasswordRoot::from_bytes([1; 32])).unwrap(),
            scim: ArcSwap::default(),
            hearing: Arc::new(testing::NobodyHears),
            scim_behind: Arc::default(),
            terms: ArcSwap::default(),
            directory: Arc::default(),
            apps: Arc::new(NoApps),
            listener,
            jwks_age: Duration::from_secs(300),
            metrics: Metrics::new(Default::default()),
            hooks: testing::no_hooks(),
            hand: testing::no_hand(store, audit.clone()),
            audit,
        });
        let more = Router::new()
            .route("/panic", get(panics))
            .route(
                "/echo",
                post(async |_: Granted<granted::ReadUsers>, body: Bytes| body),
            )
            .route("/hook", post(async |_: Granted<granted::Hooks>| "ok"))
            .route("/admin", post(async |_: Granted<granted::WriteAdmin>| "ok"))
            .route(
                "/slow",
                post(async || tokio::time::sleep(Duration::from_secs(60)).await),
            )
            .route("/proxy/{app}", get(by_hand));
        let verbatim = async || {
            (
                StatusCode::NOT_FOUND,
                axum::Extension(Verbatim),
                "the app's own",
            )
        };
        let streams = streams().route("/stream", get(verbatim));
        let router = assemble(api.clone(), resources().merge(more), streams);
        Self {
            api,
            router,
            minter,
            _folder: folder,
        }
    }

    /// An access token of `sub`.
    fn token(&self, sub: &str) -> String {
        let now = SystemClock.now().0;
        let header =
            serde_json::json!({ "alg": "ES256", "kid": self.minter.kid(), "typ": "at+jwt" });
        let claims = serde_json::json!({
            "iss": "https://id.internal", "aud": "https://api.internal", "sub": sub,
            "iat": now, "exp": now + 60,
        });
        let claims = claims.to_string();
        self.minter
            .sign(&header.to_string(), claims.as_bytes())
            .unwrap()
    }

    async fn ask(&self, request: Request<Body>) -> Answer {
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        Answer {
            status: parts.status.as_u16(),
            headers: parts.headers,
            text: String::from_utf8(body.to_vec()).unwrap(),
        }
    }
}

struct NoApps;

impl state::Apps for NoApps {
    fn context(
        &self,
        _: &crate::types::AppId,
        _: crate::audit::Witness,
    ) -> Option<crate::identity::Context> {
        None
    }
}

async fn panics() -> &'static str {
    panic!("on purpose")
}

async fn by_hand(
    caller: Caller,
    axum::extract::Path(app): axum::extract::Path<String>,
) -> Result<&'static str, Problem> {
    let scope: Scope = format!("proxy:{app}").parse().unwrap();
    let _granted = caller.require(&scope)?;
    Ok("ok")
}

struct Answer {
    status: u16,
    headers: http::HeaderMap,
    text: String,
}

impl Answer {
    fn header(&self, name: header::HeaderName) -> &str {
        self.headers.get(name).map_or("", |v| v.to_str().unwrap())
    }

    fn code(&self) -> String {
        assert_eq!(
            self.header(header::CONTENT_TYPE),
            "application/problem+json"
        );
        let document: serde_json::Value = serde_json::from_str(&self.text).unwrap();
        assert_eq!(document["status"], self.status);
        let id = self.headers["x-request-id"].to_str().unwrap();
        assert_eq!(document["instance"], format!("urn:request:{id}"));
        document["code"].as_str().unwrap().to_owned()
    }
}

/// A certificate with these names.
fn peer(names: &[&str]) -> Arc<Peer> {
    let names = names.iter().map(|n| PeerName::Dns((*n).to_owned()));
    Arc::new(Peer {
        names: names.chain([PeerName::Spki([9; 32])]).collect(),
        thumbprint: [7; 32],
    })
}

fn ask(method: &str, path: &str, names: &[&str], bearer: &[&str]) -> Request<Body> {
    let mut request = Request::builder().method(method).uri(path);
    for bearer in bearer {
        request = request.header(header::AUTHORIZATION, *bearer);
    }
    let mut request = request.body(Body::empty()).unwrap();
    if !names.is_empty() {
        request.extensions_mut().insert(peer(names));
    }
    request
}

const CLIENTS: &str = "/api/v1/clients";

#[tokio::test]
async fn who_proves_nothing_gets_one_answer_whatever_is_wrong() {
    let bed = Bed::new().await;
    let hook = format!("Bearer {SECRET}");
    let mut bodies = std::collections::BTreeSet::new();
    for (names, bearer) in [
        (&[][..], &[][..]),
        (&["stranger.internal"], &[]),
        // Of two clients at once: it does not say which.
        (&["reader.internal", "admin.internal"], &[]),
        (&[], &["Bearer wrong"]),
        (&[], &["Basic dXNlcjpwYXNz"]),
        (&[], &["Bearer "]),
        (&[], &["Bearer a b"]),
        (&[], &[hook.as_str(), hook.as_str()]),
        // A bad credential beside a good one, and two that disagree.
        (&["reader.internal"], &["Bearer wrong"]),
        (&["stranger.internal"], &[hook.as_str()]),
        (&["reader.internal"], &[hook.as_str()]),
    ] {
        for path in [CLIENTS, "/api/v1/nothing", "/hook"] {
            let answer = bed.ask(ask("GET", path, names, bearer)).await;
            assert_eq!(answer.code(), "api.unauthenticated", "{names:?} {bearer:?}");
            let challenge = answer.header(header::WWW_AUTHENTICATE);
            let error = challenge.contains("error=\"invalid_token\"");
            assert!(challenge.starts_with("Bearer realm=") && error != bearer.is_empty());
            assert_eq!(answer.header(header::CACHE_CONTROL), "no-store");
            let id = answer.headers["x-request-id"].to_str().unwrap();
            bodies.insert(answer.text.replace(id, ""));
        }
    }
    assert_eq!(bodies.len(), 1, "{bodies:#?}");
}

#[tokio::test]
async fn a_visitors_assertion_authenticates_nobody() {
    let bed = Bed::new().await;
    let mut request = ask("GET", CLIENTS, &[], &[]);
    let assertion = "eyJhbGciOiJFUzI1NiJ9.e30.AAAA";
    let headers = request.headers_mut();
    headers.insert("x-pomerium-jwt-assertion", assertion.parse().unwrap());
    assert_eq!(bed.ask(request).await.status, 401);
    let bearer = format!("Bearer {assertion}");
    let answer = bed.ask(ask("GET", CLIENTS, &[], &[&bearer])).await;
    assert_eq!(answer.status, 401);
    let query = format!("{CLIENTS}?access_token={SECRET}");
    assert_eq!(bed.ask(ask("GET", &query, &[], &[])).await.status, 401);
}

#[tokio::test]
async fn scopes_decide_and_none_implies_another() {
    let bed = Bed::new().await;
    for (name, path, method, status) in [
        ("reader.internal", CLIENTS, "GET", 200),
        ("admin.internal", CLIENTS, "GET", 200),
        ("asker.internal", CLIENTS, "GET", 403),
        ("reader.internal", "/echo", "POST", 200),
        ("admin.internal", "/echo", "POST", 403),
        ("admin.internal", "/admin", "POST", 200),
        ("reader.internal", "/admin", "POST", 403),
        ("reader.internal", "/proxy/chat", "GET", 403),
    ] {
        let answer = bed.ask(ask(method, path, &[name], &[])).await;
        assert_eq!(answer.status, status, "{name} {path}: {}", answer.text);
        if status == 403 {
            assert_eq!(answer.code(), "api.scope");
        }
    }
}

#[tokio::test]
async fn an_app_is_reached_by_who_has_its_own_scope_and_by_its_own_name() {
    let bed = Bed::new().await;
    for (name, path, status, text) in [
        (
            "caller",
            "/apps/chat/api/v4/posts",
            200,
            "caller chat /apps/chat/api/v4/posts",
        ),
        ("caller", "/apps/chat", 200, "caller chat /apps/chat"),
        ("caller", "/apps/chat/", 200, "caller chat /apps/chat/"),
        ("caller", "/apps/notes/x", 403, "api.scope"),
        ("admin", "/apps/chat/x", 403, "api.scope"),
        ("porter", "/apps/chat/x", 403, "api.scope"),
        // T14: what decodes to a name is none.
        ("caller", "/apps/%63hat/x", 404, "api.not_found"),
        ("caller", "/apps//chat/x", 404, "api.not_found"),
        ("caller", "/apps/chat;x/y", 404, "api.not_found"),
    ] {
        let name = format!("{name}.internal");
        let answer = bed.ask(ask("GET", path, &[&name], &[])).await;
        assert_eq!(answer.status, status, "{path}: {}", answer.text);
        match status {
            200 => assert_eq!(answer.text, text),
            _ => assert_eq!(answer.code(), text, "{path}"),
        }
    }
}

#[tokio::test]
async fn what_is_wrong_with_a_visitors_assertion_is_no_401_of_the_callers() {
    let bed = Bed::new().await;
    for (name, status, code) in [
        ("porter", 422, "api.assertion"),
        ("caller", 503, "assertion.keys_unavailable"),
        ("reader", 403, "api.scope"),
    ] {
        for method in ["GET", "POST"] {
            let name = format!("{name}.internal");
            let answer = bed.ask(ask(method, "/bridge/chat", &[&name], &[])).await;
            assert_eq!((answer.status, answer.code().as_str()), (status, code));
        }
    }
}

#[tokio::test]
async fn a_static_bearer_reaches_hooks_alone_even_if_more_is_configured() {
    let bed = Bed::new().await;
    let bearer = format!("bearer {SECRET}");
    let answer = bed.ask(ask("POST", "/hook", &[], &[&bearer])).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    // The same client has introspect by its certificate, and not by its bearer.
    let clients = bed.api.clients.load();
    let hook = clients
        .iter()
        .find(|c| c.config.id.as_str() == "hook")
        .unwrap();
    assert!(hook.config.scopes.contains(&Scope::Introspect));
    let headers = ask("POST", "/hook", &[], &[&bearer]);
    let caller = caller::authenticate(&bed.api, headers.headers(), &http::Extensions::new())
        .await
        .unwrap();
    assert_eq!(caller.scopes().iter().collect::<Vec<_>>(), [&Scope::Hooks]);
    assert!(!format!("{caller:?}").contains(SECRET));
}

#[tokio::test]
async fn changes_of_admin_may_need_both_credentials() {
    let bed = Bed::with(|listener| listener.require_both = true).await;
    let answer = bed
        .ask(ask("POST", "/admin", &["admin.internal"], &[]))
        .await;
    assert_eq!(
        (answer.status, answer.code().as_str()),
        (403, "api.both_needed")
    );
    let answer = bed.ask(ask("GET", CLIENTS, &["admin.internal"], &[])).await;
    assert_eq!(answer.status, 200);
    let token = format!("Bearer {}", bed.token("admin"));
    let answer = bed.ask(ask("POST", "/admin", &[], &[&token])).await;
    assert_eq!(
        (answer.status, answer.code().as_str()),
        (403, "api.both_needed")
    );
    let both = ask("POST", "/admin", &["admin.internal"], &[&token]);
    assert_eq!(bed.ask(both).await.status, 200);
    // Of two clients they are none.
    let other = ask("POST", "/admin", &["reader.internal"], &[&token]);
    assert_eq!(bed.ask(other).await.status, 401);
}

#[tokio::test]
async fn every_refusal_is_a_problem_document_and_an_apps_own_answer_is_not() {
    let bed = Bed::new().await;
    let reader = &["reader.internal"][..];
    let big = Body::from(vec![b'x'; 2000]);
    let mut large = ask("POST", "/echo", reader, &[]);
    *large.body_mut() = big;
    for (request, status, code) in [
        (
            ask("GET", "/api/v1/nothing", reader, &[]),
            404,
            "api.not_found",
        ),
        (ask("GET", "/", reader, &[]), 404, "api.not_found"),
        (ask("DELETE", CLIENTS, reader, &[]), 405, "api.method"),
        (
            ask("POST", "/.well-known/jwks.json", &[], &[]),
            405,
            "api.method",
        ),
        (ask("GET", "/panic", reader, &[]), 500, "bridge.internal"),
        (large, 413, "api.too_large"),
    ] {
        let path = request.uri().clone();
        let answer = bed.ask(request).await;
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (status, code),
            "{path}"
        );
        assert_eq!(answer.header(header::X_CONTENT_TYPE_OPTIONS), "nosniff");
        // The rest of a body that nobody reads is no next request.
        let ends = if status == 413 { "close" } else { "" };
        assert_eq!(answer.header(header::CONNECTION), ends, "{path}");
        if status == 405 {
            assert!(answer.header(header::ALLOW).contains("GET"));
        }
    }
    let answer = bed.ask(ask("GET", "/stream", reader, &[])).await;
    assert_eq!(
        (answer.status, answer.text.as_str()),
        (404, "the app's own")
    );
}

#[tokio::test]
async fn t40_who_asks_too_often_waits_and_others_do_not() {
    let bed = Bed::with(|listener| (listener.rate, listener.burst) = (1, 3)).await;
    for _ in 0..3 {
        let answer = bed
            .ask(ask("GET", CLIENTS, &["reader.internal"], &[]))
            .await;
        assert_eq!(answer.status, 200);
    }
    let answer = bed
        .ask(ask("GET", CLIENTS, &["reader.internal"], &[]))
        .await;
    assert_eq!((answer.status, answer.code().as_str()), (429, "api.rate"));
    assert_eq!(answer.header(header::RETRY_AFTER), "1");
    let answer = bed.ask(ask("GET", CLIENTS, &["admin.internal"], &[])).await;
    assert_eq!(answer.status, 200);
}

#[tokio::test]
async fn t40_a_request_that_takes_too_long_is_ended() {
    let bed = Bed::new().await;
    tokio::time::pause();
    let began = tokio::time::Instant::now();
    let answer = bed
        .ask(ask("POST", "/slow", &["reader.internal"], &[]))
        .await;
    assert_eq!(
        (answer.status, answer.code().as_str()),
        (408, "api.timeout")
    );
    assert_eq!(began.elapsed().as_secs(), 5);
}

#[tokio::test]
async fn our_keys_and_what_there_is_are_everybodys_to_read() {
    let bed = Bed::new().await;
    let keys = bed
        .ask(ask("GET", "/.well-known/jwks.json", &[], &[]))
        .await;
    let set: serde_json::Value = serde_json::from_str(&keys.text).unwrap();
    let set = set["keys"].as_array().unwrap();
    assert!(set.iter().any(|key| key["kty"] == "OKP"));
    assert!(set.iter().all(|key| key.get("d").is_none()));
    assert_eq!(keys.header(header::CACHE_CONTROL), "public, max-age=300");
    let path = "/.well-known/oauth-authorization-server";
    let metadata = bed.ask(ask("GET", path, &[], &[])).await;
    let document: serde_json::Value = serde_json::from_str(&metadata.text).unwrap();
    assert_eq!(document["issuer"], "https://api.internal");
    assert_eq!(
        document["jwks_uri"],
        "https://api.internal/.well-known/jwks.json"
    );
}

#[tokio::test]
async fn clients_are_listed_without_anything_secret() {
    let bed = Bed::new().await;
    let answer = bed.ask(ask("GET", CLIENTS, &["admin.internal"], &[])).await;
    let list: serde_json::Value = serde_json::from_str(&answer.text).unwrap();
    let items = list["items"].as_array().unwrap();
    let hook = items.iter().find(|item| item["id"] == "hook").unwrap();
    assert_eq!(hook["scopes"], serde_json::json!(["introspect", "hooks"]));
    assert_eq!(hook["static_bearers"], 1);
    let hash: String = digest(&SHA256, SECRET.as_bytes())
        .as_ref()
        .iter()
        .map(|b| format!("{b:02x}"))
        .collect();
    assert!(!answer.text.contains(&hash) && !answer.text.contains(SECRET));
}
