//! The endpoints before a road of our own, so that every way to say no can be had.

use crate::api::bearer::Bearers;
use crate::api::state::Apps;
use crate::api::testing::{self, NoRoad, Road};
use crate::api::{Api, Clients, router};
use crate::audit::{Audit, Settings};
use crate::config::{ApiListener, AudienceConfig, ClientConfig, SubjectKind};
use crate::identity::Visitor;
use crate::keys::pairwise::PairwiseKey;
use crate::keys::session_token::{self, NewToken};
use crate::keys::{PasswordRoot, master::MasterKey, random, rotation};
use crate::store::{Epoch, SeenUser, SqliteStore, Store, TokenQuestion};
use crate::telemetry::metrics::Metrics;
use crate::tls::{Peer, PeerName};
use crate::types::{
    AppId, ClientId, Clock, HostName, IssuerId, ManualClock, SessionId, Subject, Timestamp,
};
use arc_swap::ArcSwap;
use axum::Router;
use axum::body::Body;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use http::{Request, header};
use http_body_util::BodyExt;
use serde_json::Value;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;
use tower::ServiceExt;

const NOW: Timestamp = Timestamp(1_790_000_000);
const FILES: &str = "https://files.internal";
const HIDDEN: &str = "https://hidden.internal";
const EXCHANGE: &str = "/api/v1/oauth/exchange";
const INTROSPECT: &str = "/oauth2/introspect";
const REVOKE: &str = "/oauth2/revoke";
const SESSION: SessionId = SessionId([9; 32]);

struct Bed {
    api: Arc<Api>,
    road: Arc<Road>,
    clock: Arc<ManualClock>,
    router: Router,
}

struct NoApps;

impl Apps for NoApps {
    fn context(&self, _: &AppId, _: crate::audit::Witness) -> Option<crate::identity::Context> {
        None
    }
}

struct Answer {
    status: u16,
    kind: String,
    text: String,
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|e| panic!("{e}: {}", self.text))
    }
}

fn host() -> HostName {
    HostName::new("chat.example.com").unwrap()
}

fn client(id: &str, scopes: &[&str], hosts: &[HostName], audiences: &[&str]) -> ClientConfig {
    ClientConfig {
        id: ClientId::new(id).unwrap(),
        dns_names: vec![format!("{id}.internal")],
        uri_names: Vec::new(),
        spki_sha256: Vec::new(),
        bearer: None,
        static_bearer_sha256: Vec::new(),
        scopes: scopes.iter().map(|s| s.parse().unwrap()).collect(),
        hosts: hosts.to_vec(),
        audiences: audiences.iter().map(|a| (*a).to_owned()).collect(),
    }
}

fn audience(id: &str, subject: SubjectKind) -> AudienceConfig {
    AudienceConfig {
        id: id.into(),
        scopes: vec!["read".into(), "write".into()],
        lifetime: Duration::from_secs(300),
        subject,
        claims: Vec::new(),
        groups: Vec::new(),
    }
}

impl Bed {
    async fn new() -> Self {
        let store = SqliteStore::in_memory().unwrap();
        let master = MasterKey::from_bytes(&random::bytes::<32>().unwrap()).unwrap();
        let audit = Arc::new(Audit::new(
            Arc::new(ManualClock::at(NOW)),
            Settings::default(),
        ));
        let ring = rotation::ensure(&store, &master, NOW, &audit.bridge())
            .await
            .unwrap();
        let listener = ApiListener {
            address: ([127, 0, 0, 1], 0).into(),
            issuer: "https://api.internal".into(),
            audience: "https://api.internal".into(),
            tls: None,
            body: 1 << 20,
            timeout: Duration::from_secs(5),
            connections: 10,
            rate: 1000,
            burst: 1000,
            require_both: false,
        };
        let both = [FILES, HIDDEN];
        let clients = [
            client("trader", &["exchange", "introspect"], &[host()], &both),
            client("files", &["introspect"], &[], &[FILES]),
            client("asker", &["introspect"], &[host()], &[]),
            client("reader", &["introspect", "users:read"], &[host()], &[]),
            client("stranger", &["introspect", "exchange"], &[], &[]),
            client("warden", &["sessions"], &[host()], &[]),
        ];
        let user = SeenUser {
            issuer: IssuerId::new("pomerium").unwrap(),
            subject: Subject::new("alice").unwrap(),
            email: "alice@example.com".into(),
            email_verified: true,
            name: "Alice".into(),
            username: Some("alice".into()),
            locale: None,
            groups: Vec::new(),
            at: NOW,
        };
        let road = Arc::new(Road::default());
        *road.visitor.lock() = Some(Visitor {
            user: store.saw_user(&user).await.unwrap(),
            app: AppId::new("chat").unwrap(),
            host: host(),
            session: Some(SESSION),
            until: NOW + Duration::from_secs(3600),
            epoch: Epoch { user: 3, global: 1 },
        });
        let clock = Arc::new(ManualClock::at(NOW));
        let store: Arc<dyn crate::store::Store> = Arc::new(store);
        let api = Arc::new(Api {
            strangers: Default::default(),
            clock: clock.clone(),
            store: store.clone(),
            ring: Arc::new(ArcSwap::from_pointee(ring)),
            master: Arc::new(ArcSwap::from_pointee(master)),
            road: Arc::new(NoRoad),
            clients: ArcSwap::from_pointee(Clients::new(&clients, &[], &listener)),
            bearers: Bearers::new(Vec::new(), listener.audience.clone(), clock.clone()),
            scim: ArcSwap::default(),
            hearing: Arc::new(crate::api::testing::NobodyHears),
            scim_behind: Arc::default(),
            terms: ArcSwap::default(),
            directory: Arc::default(),
            apps: Arc::new(NoApps),
            audiences: ArcSwap::from_pointee(vec![
                audience(FILES, SubjectKind::Shared),
                audience(HIDDEN, SubjectKind::Pairwise),
            ]),
            visitors: road.clone(),
            pairwise: PairwiseKey::of(&PasswordRoot::from_bytes([1; 32])).unwrap(),
            listener,
            jwks_age: Duration::from_secs(300),
            metrics: Metrics::new(Default::default()),
            hooks: testing::no_hooks(),
            hand: testing::no_hand(store, audit.clone()),
            audit,
        });
        let router = router(api.clone());
        Self {
            api,
            road,
            clock,
            router,
        }
    }

    async fn send(&self, client: &str, path: &str, accept: &str, body: String) -> Answer {
        let mut request = Request::post(path)
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .header(header::ACCEPT, accept)
            .body(Body::from(body))
            .unwrap();
        request.extensions_mut().insert(Arc::new(Peer {
            names: vec![PeerName::Dns(format!("{client}.internal"))],
            thumbprint: [7; 32],
        }));
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        assert_eq!(parts.headers[header::CACHE_CONTROL], "no-store", "{path}");
        let body = body.collect().await.unwrap().to_bytes();
        let kind = parts.headers.get(header::CONTENT_TYPE);
        Answer {
            status: parts.status.as_u16(),
            kind: kind.map_or(String::new(), |v| v.to_str().unwrap().to_owned()),
            text: String::from_utf8(body.to_vec()).unwrap(),
        }
    }

    async fn post(&self, client: &str, path: &str, form: &[(&str, &str)]) -> Answer {
        self.send(client, path, "application/json", encode(form))
            .await
    }

    fn cookie(&self, host: &HostName, ends: Timestamp) -> String {
        let visitor = self.road.visitor.lock().clone().unwrap();
        let new = NewToken {
            issuer: session_token::ISSUER,
            audience: host,
            session: SESSION,
            user: visitor.user.id,
            issued_at: NOW,
            expires_at: ends,
        };
        session_token::mint(&self.api.ring.load(), &new).unwrap()
    }

    async fn trade(&self, audience: &str) -> String {
        let cookie = self.cookie(&host(), NOW + Duration::from_secs(3600));
        let answer = self
            .post("trader", EXCHANGE, &form(&cookie, audience))
            .await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        answer.json()["access_token"].as_str().unwrap().to_owned()
    }

    async fn inspect(&self, client: &str, token: &str) -> Value {
        let answer = self.post(client, INTROSPECT, &[("token", token)]).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        answer.json()
    }
}

fn encode(form: &[(&str, &str)]) -> String {
    url::form_urlencoded::Serializer::new(String::new())
        .extend_pairs(form)
        .finish()
}

const TYPES: &str = "urn:ietf:params:oauth:token-type:";

fn form<'a>(cookie: &'a str, audience: &'a str) -> Vec<(&'a str, &'a str)> {
    vec![
        ("grant_type", super::GRANT),
        ("subject_token", cookie),
        (
            "subject_token_type",
            "urn:ietf:params:oauth:token-type:access_token",
        ),
        ("audience", audience),
    ]
}

fn payload(token: &str) -> Value {
    let payload = token.split('.').nth(1).unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).unwrap()).unwrap()
}

#[tokio::test]
async fn a_session_is_traded_for_a_token_of_one_audience() {
    let bed = Bed::new().await;
    let token = bed.trade(FILES).await;
    let claims = payload(&token);
    let user = bed.road.visitor.lock().clone().unwrap().user.id;
    assert_eq!(claims["iss"], "https://api.internal");
    assert_eq!(claims["aud"], FILES);
    assert_eq!(claims["sub"], user.to_string());
    assert_eq!(claims["client_id"], "trader");
    assert_eq!(claims["act"]["sub"], "trader");
    assert_eq!(claims["scope"], "read write");
    assert_eq!(claims["exp"], NOW.0 + 300);
    assert_eq!(claims["sid"], SESSION.to_string());
    assert_eq!(claims["cnf"]["x5t#S256"], URL_SAFE_NO_PAD.encode([7; 32]));
    assert!(claims.get("email").is_none() && claims.get("name").is_none());

    // Never longer than what it came from.
    bed.road.visitor.lock().as_mut().unwrap().until = NOW + Duration::from_secs(60);
    assert_eq!(payload(&bed.trade(FILES).await)["exp"], NOW.0 + 60);
    bed.road.visitor.lock().as_mut().unwrap().until = NOW;
    let cookie = bed.cookie(&host(), NOW + Duration::from_secs(3600));
    let answer = bed.post("trader", EXCHANGE, &form(&cookie, FILES)).await;
    assert_eq!(
        (answer.status, answer.json()["error"].as_str()),
        (400, Some("invalid_request"))
    );
}

#[tokio::test]
async fn a_pairwise_token_names_nobody_and_is_found_again() {
    let bed = Bed::new().await;
    let claims = payload(&bed.trade(HIDDEN).await);
    let user = bed.road.visitor.lock().clone().unwrap().user.id;
    let text = claims.to_string();
    assert!(!text.contains(&user.to_string()) && !text.contains(&SESSION.to_string()));
    bed.road.asked.lock().clear();
    let token = bed.trade(HIDDEN).await;
    assert_eq!(bed.inspect("trader", &token).await["active"], true);
    let asked = bed.road.asked.lock().last().cloned().unwrap();
    let TokenQuestion {
        user: who, session, ..
    } = asked.question;
    assert_eq!((who, session), (user, Some(SESSION)));
}

#[tokio::test]
async fn a_sign_in_without_a_session_hangs_from_the_log() {
    let bed = Bed::new().await;
    bed.road.visitor.lock().as_mut().unwrap().session = None;
    let jwt = format!("{TYPES}jwt");
    let mut form = form("assertion", FILES);
    form[2].1 = &jwt;
    let answer = bed.post("trader", EXCHANGE, &form).await;
    let token = answer.json()["access_token"].as_str().unwrap().to_owned();
    assert!(payload(&token).get("sid").is_none());
    let answer = bed.inspect("files", &token).await;
    assert_eq!(
        (&answer["active"], answer.get("am_origin")),
        (&true.into(), None)
    );
    let asked = bed.road.asked.lock().last().cloned().unwrap();
    let (app, epoch) = asked.sign_in.unwrap();
    assert_eq!(
        (app.as_str(), epoch),
        ("chat", Epoch { user: 3, global: 1 })
    );
    // An assertion of a host that is not the client's is worth nothing.
    let answer = bed.post("stranger", EXCHANGE, &form).await;
    assert_eq!(answer.json()["error"], "invalid_target");
}

#[tokio::test]
async fn t37_every_no_is_the_same_bytes_and_asks_the_same() {
    let bed = Bed::new().await;
    let later = NOW + Duration::from_secs(3600);
    let good = bed.trade(FILES).await;
    let other = HostName::new("notes.example.com").unwrap();
    let mut changed = good.clone();
    changed.pop();
    let texts = [
        ("garbage", "files", "x".to_owned()),
        ("empty parts", "files", "..".to_owned()),
        ("long", "files", "A".repeat(20_000)),
        ("a changed one", "files", changed),
        ("another audience's", "files", bed.trade(HIDDEN).await),
        ("a token, but of no audience of its", "asker", good.clone()),
        (
            "a cookie of another host",
            "asker",
            bed.cookie(&other, later),
        ),
        (
            "a cookie for who has no host",
            "files",
            bed.cookie(&host(), later),
        ),
        ("an old cookie", "asker", bed.cookie(&host(), NOW)),
    ];
    let mut answers = BTreeSet::new();
    let mut signed = BTreeSet::new();
    let signing = "application/token-introspection+jwt";
    for (what, client, text) in &texts {
        bed.road.asked.lock().clear();
        let answer = bed.post(client, INTROSPECT, &[("token", text)]).await;
        assert_eq!(answer.status, 200, "{what}: {}", answer.text);
        assert_eq!(bed.road.asked.lock().len(), 1, "{what}");
        answers.insert((answer.kind, answer.text));
        let body = encode(&[("token", text)]);
        let answer = bed.send(client, INTROSPECT, signing, body).await;
        assert_eq!(answer.kind, signing);
        assert_eq!(
            payload(&answer.text)["token_introspection"]["active"],
            false
        );
        assert_eq!(payload(&answer.text)["aud"], *client);
        signed.insert(answer.text.len());
    }
    // Whatever the road says no to, be it revoked, ended, disabled or not granted.
    *bed.road.visitor.lock() = None;
    let answer = bed.post("files", INTROSPECT, &[("token", &good)]).await;
    answers.insert((answer.kind, answer.text));
    bed.clock.set(NOW + Duration::from_secs(300));
    let answer = bed.post("files", INTROSPECT, &[("token", &good)]).await;
    answers.insert((answer.kind, answer.text));
    let one = (
        "application/json".to_owned(),
        r#"{"active":false}"#.to_owned(),
    );
    assert_eq!(answers, BTreeSet::from([one]));
    // "files" and "asker" are equally long.
    assert_eq!(signed.len(), 1, "{signed:?}");
}

#[tokio::test]
async fn what_is_good_is_said_to_whom_it_is_for() {
    let bed = Bed::new().await;
    let token = bed.trade(FILES).await;
    let answer = bed.inspect("files", &token).await;
    let mut claims = payload(&token);
    claims["active"] = true.into();
    claims["token_type"] = "Bearer".into();
    assert_eq!(answer, claims);

    let cookie = bed.cookie(&host(), NOW + Duration::from_secs(7200));
    let answer = bed.inspect("asker", &cookie).await;
    assert_eq!(answer["active"], true);
    assert_eq!(answer["aud"], "chat.example.com");
    assert_eq!(answer["exp"], NOW.0 + 3600);
    assert!(answer.get("email").is_none());
    let answer = bed.inspect("reader", &cookie).await;
    assert_eq!(
        (&answer["email"], &answer["username"]),
        (&"alice@example.com".into(), &"alice".into())
    );
}

#[tokio::test]
async fn not_knowing_is_not_a_no() {
    let bed = Bed::new().await;
    let token = bed.trade(FILES).await;
    *bed.road.away.lock() = true;
    let answer = bed.post("files", INTROSPECT, &[("token", &token)]).await;
    assert_eq!(
        (answer.status, answer.kind.as_str()),
        (503, "application/problem+json")
    );
    let cookie = bed.cookie(&host(), NOW + Duration::from_secs(3600));
    let answer = bed.post("trader", EXCHANGE, &form(&cookie, FILES)).await;
    assert_eq!(answer.status, 503);
}

#[tokio::test]
async fn a_token_is_taken_back_by_its_client_and_a_session_by_who_may() {
    let bed = Bed::new().await;
    let token = bed.trade(FILES).await;
    let id = payload(&token)["jti"].as_str().unwrap().parse().unwrap();
    let user = bed.road.visitor.lock().clone().unwrap().user.id;
    let question = TokenQuestion {
        token: Some(id),
        user,
        session: None,
    };
    let revoked = async || bed.api.store.token_facts(&question).await.unwrap().revoked;
    let send = async |client: &str, token: &str| {
        let answer = bed.post(client, REVOKE, &[("token", token)]).await;
        (answer.status, answer.text)
    };
    // Another client's token is not its own to take back; what is none is taken back already.
    let (status, text) = send("files", &token).await;
    assert_eq!(status, 400);
    assert!(text.contains("unauthorized_client"), "{text}");
    assert_eq!(send("files", "garbage").await, (200, String::new()));
    assert!(!revoked().await);
    assert_eq!(send("trader", &token).await, (200, String::new()));
    assert!(revoked().await);
    assert_eq!(send("warden", &token).await.0, 200);

    let cookie = bed.cookie(&host(), NOW + Duration::from_secs(3600));
    assert_eq!(send("asker", &cookie).await.0, 400);
    assert!(bed.road.ended.lock().is_empty());
    assert_eq!(send("warden", &cookie).await, (200, String::new()));
    assert_eq!(*bed.road.ended.lock(), [SESSION]);
}

#[tokio::test]
async fn exchanges_are_refused_in_the_standards_words() {
    let bed = Bed::new().await;
    let cookie = bed.cookie(&host(), NOW + Duration::from_secs(3600));
    let token = bed.trade(FILES).await;
    let good = form(&cookie, FILES);
    let with = |name: &'static str, value: &str| {
        let mut form: Vec<(String, String)> = (good.iter())
            .map(|(n, v)| ((*n).to_owned(), (*v).to_owned()))
            .collect();
        match form.iter_mut().find(|(n, _)| n == name) {
            Some((_, there)) => value.clone_into(there),
            None => form.push((name.to_owned(), value.to_owned())),
        }
        form
    };
    for (what, form, error) in [
        (
            "grant",
            with("grant_type", "password"),
            "unsupported_grant_type",
        ),
        ("no grant", with("grant_type", ""), "invalid_request"),
        ("client", with("client_id", "files"), "invalid_request"),
        ("actor", with("actor_token", "x"), "invalid_request"),
        (
            "kind",
            with("requested_token_type", "urn:x"),
            "invalid_request",
        ),
        (
            "audience",
            with("audience", "https://other.internal"),
            "invalid_target",
        ),
        ("none", with("audience", ""), "invalid_target"),
        ("two", with("resource", HIDDEN), "invalid_target"),
        ("scope", with("scope", "admin"), "invalid_scope"),
        (
            "type",
            with("subject_token_type", "urn:x"),
            "invalid_request",
        ),
        ("garbage", with("subject_token", "x"), "invalid_request"),
        (
            "once more",
            with("subject_token", &token),
            "invalid_request",
        ),
    ] {
        let pairs: Vec<_> = form.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
        let answer = bed.post("trader", EXCHANGE, &pairs).await;
        assert_eq!(answer.status, 400, "{what}: {}", answer.text);
        assert_eq!(answer.json()["error"], error, "{what}");
        assert_eq!(answer.kind, "application/json", "{what}");
        assert!(!answer.text.contains(&cookie), "{what}");
    }
    let mut twice = good.clone();
    twice.push(("subject_token", &cookie));
    let answer = bed.post("trader", EXCHANGE, &twice).await;
    assert_eq!(answer.json()["error"], "invalid_request");
    let same = with("resource", FILES);
    let pairs: Vec<_> = same.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
    assert_eq!(bed.post("trader", EXCHANGE, &pairs).await.status, 200);

    // Scopes of callers.
    for (client, path, status) in [
        ("files", EXCHANGE, 403),
        ("warden", INTROSPECT, 403),
        ("nobody", INTROSPECT, 401),
    ] {
        let answer = bed.post(client, path, &good).await;
        assert_eq!(answer.status, status, "{client} {path}");
    }
    let json = Request::post(INTROSPECT)
        .header(header::CONTENT_TYPE, "application/json")
        .extension(Arc::new(Peer {
            names: vec![PeerName::Dns("asker.internal".into())],
            thumbprint: [7; 32],
        }))
        .body(Body::from("{}"))
        .unwrap();
    let answer = bed.router.clone().oneshot(json).await.unwrap();
    assert_eq!(answer.status(), 415);
    assert!(bed.clock.now() == NOW);
}
