//! Sources that change, fail and come back (T8, T9).

use super::super::fuzz::config;
use super::super::{ALGORITHMS, RawAssertion, Verifier};
use super::Issuer;
use crate::config::{IssuerConfig, JwksSource};
use crate::error::Code;
use crate::jwks::{FetchError, KeySetError, KeySource, SourceError};
use crate::types::{Clock, HostName, ManualClock, Timestamp};
use arc_swap::ArcSwap;
use http::StatusCode;
use parking_lot::Mutex;
use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use url::Url;

const NOW: Timestamp = Timestamp(1_795_247_678);

fn tls() -> rustls::ClientConfig {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(rustls::RootCertStore::empty())
        .with_no_client_auth()
}

/// A JWKS endpoint that gives prepared answers, the last one forever.
#[derive(Default)]
struct Endpoint {
    answers: Mutex<VecDeque<String>>,
    heads: Mutex<Vec<String>>,
    /// When set, an answer waits for it.
    gate: Mutex<Option<Arc<Notify>>>,
}

impl Endpoint {
    async fn start(answers: &[String]) -> (Arc<Self>, Url) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/jwks.json", listener.local_addr().unwrap());
        let endpoint = Arc::new(Self::default());
        endpoint.answers.lock().extend(answers.iter().cloned());
        let server = endpoint.clone();
        tokio::spawn(async move {
            while let Ok((mut io, _)) = listener.accept().await {
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") {
                    head.push(io.read_u8().await.unwrap());
                }
                server.heads.lock().push(String::from_utf8(head).unwrap());
                let gate = server.gate.lock().clone();
                if let Some(gate) = gate {
                    gate.notified().await;
                }
                let answer = {
                    let mut answers = server.answers.lock();
                    match answers.len() {
                        1 => answers[0].clone(),
                        _ => answers.pop_front().unwrap(),
                    }
                };
                let _ = io.write_all(answer.as_bytes()).await;
            }
        });
        (endpoint, url.parse().unwrap())
    }

    fn count(&self) -> usize {
        self.heads.lock().len()
    }
}

fn ok(body: &str) -> String {
    answer("200 OK", "", body)
}

fn answer(status: &str, extra: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "HTTP/1.1 {status}\r\ncontent-length: {length}\r\nconnection: close\r\n{extra}\r\n{body}"
    )
}

fn source(jwks: JwksSource) -> (Arc<KeySource>, Arc<ManualClock>) {
    let clock = Arc::new(ManualClock::at(NOW));
    let config = IssuerConfig {
        jwks,
        ..config().unwrap()
    };
    let source = KeySource::new(
        &config,
        ALGORITHMS,
        Some(Arc::new(ArcSwap::from_pointee(tls()))),
        clock.clone(),
    )
    .unwrap();
    (source, clock)
}

fn at_url(url: Url) -> (Arc<KeySource>, Arc<ManualClock>) {
    source(JwksSource::Url { url, ca: None })
}

fn kids(source: &KeySource) -> Vec<String> {
    let set = source.current(NOW).unwrap();
    set.kids().map(str::to_owned).collect()
}

fn verifier(source: &Arc<KeySource>, clock: &Arc<ManualClock>) -> Verifier {
    Verifier::new(&config().unwrap(), source.clone(), clock.clone(), 65_536)
}

fn raw(issuer: &Issuer) -> RawAssertion {
    RawAssertion::from_text(&issuer.token(serde_json::json!({}))).unwrap()
}

fn host() -> HostName {
    HostName::new("chat.example.com").unwrap()
}

#[tokio::test]
async fn t08_a_flood_of_unknown_kids_makes_one_fetch() {
    let (known, stranger) = (Issuer::new("known"), Issuer::new("stranger"));
    let (endpoint, url) = Endpoint::start(&[ok(&known.jwks())]).await;
    let (source, clock) = at_url(url);
    source.refresh().await.unwrap();
    let verifier = Arc::new(verifier(&source, &clock));
    let flood: Vec<_> = (0..50)
        .map(|_| {
            let (verifier, raw) = (verifier.clone(), raw(&stranger));
            tokio::spawn(async move { verifier.verify_refetching(&raw, &host()).await.err() })
        })
        .collect();
    for one in flood {
        assert_eq!(one.await.unwrap().unwrap().code, Code::AssertionUnknownKey);
    }
    assert_eq!(endpoint.count(), 2);
    // Nor does one that comes when the fetch has long ended.
    let late = verifier.verify_refetching(&raw(&stranger), &host()).await;
    assert_eq!(late.unwrap_err().code, Code::AssertionUnknownKey);
    assert_eq!(endpoint.count(), 2);
    assert!(
        verifier
            .verify_refetching(&raw(&known), &host())
            .await
            .is_ok()
    );
    assert_eq!(endpoint.count(), 2);
}

#[tokio::test]
async fn t09_a_rotated_key_is_known_at_its_first_token_and_all_who_wait_share_it() {
    let (old, new) = (Issuer::new("old"), Issuer::new("new"));
    let both = serde_json::json!({ "keys": [new.jwk(), old.jwk()] }).to_string();
    let (endpoint, url) = Endpoint::start(&[ok(&old.jwks()), ok(&both)]).await;
    let (source, clock) = at_url(url);
    source.refresh().await.unwrap();
    let verifier = Arc::new(verifier(&source, &clock));
    let gate = Arc::new(Notify::new());
    *endpoint.gate.lock() = Some(gate.clone());
    let waiting: Vec<_> = (0..10)
        .map(|_| {
            let (verifier, raw) = (verifier.clone(), raw(&new));
            tokio::spawn(async move { verifier.verify_refetching(&raw, &host()).await.is_ok() })
        })
        .collect();
    // The first visitor leaves while the fetch is under way: the others get their keys all the same.
    let leaver = waiting.first().unwrap();
    tokio::task::yield_now().await;
    leaver.abort();
    gate.notify_one();
    for one in waiting.into_iter().skip(1) {
        assert!(one.await.unwrap());
    }
    assert_eq!(endpoint.count(), 2);
    assert!(verifier.verify(&raw(&old), &host()).is_ok());
}

#[tokio::test]
async fn t08_removed_keys_die() {
    let (old, new) = (Issuer::new("old"), Issuer::new("new"));
    let (_, url) = Endpoint::start(&[ok(&old.jwks()), ok(&new.jwks())]).await;
    let (source, clock) = at_url(url);
    source.refresh().await.unwrap();
    source.refresh().await.unwrap();
    assert_eq!(kids(&source), ["new"]);
    let refusal = verifier(&source, &clock)
        .verify(&raw(&old), &host())
        .unwrap_err();
    assert_eq!(refusal.code, Code::AssertionUnknownKey);
}

#[tokio::test]
async fn t08_the_last_good_set_outlives_failures_until_the_stale_limit() {
    let issuer = Issuer::new("known");
    let p384 = r#"{"keys":[{"kty":"EC","crv":"P-384","kid":"x","alg":"ES256","x":"AA","y":"AA"}]}"#;
    let (_, url) = Endpoint::start(&[
        ok(&issuer.jwks()),
        ok(r#"{"keys":null}"#),
        ok(p384),
        answer("500 No", "", ""),
        answer("302 Found", "location: http://127.0.0.1:1/evil\r\n", ""),
        "garbage".to_owned(),
        answer("304 Not Modified", "", ""),
        ok(&format!("{}{}", issuer.jwks(), " ".repeat(1 << 20))),
        ok("<html>"),
    ])
    .await;
    let (source, clock) = at_url(url);
    let none = source.current(NOW).unwrap_err();
    assert_eq!(none.0, "no key set was read yet");
    source.refresh().await.unwrap();
    let expected = [
        FetchError::Keys(KeySetError::Empty),
        FetchError::Keys(KeySetError::NoneUsable("its curve is not taken here")),
        FetchError::Status(StatusCode::INTERNAL_SERVER_ERROR),
        FetchError::Status(StatusCode::FOUND),
    ];
    for error in expected {
        assert_eq!(source.refresh().await, Err(error));
        assert_eq!(kids(&source), ["known"]);
    }
    assert!(matches!(
        source.refresh().await,
        Err(FetchError::Unreachable(_))
    ));
    // No ETag was sent, so a 304 is no answer.
    assert_eq!(
        source.refresh().await,
        Err(FetchError::Status(StatusCode::NOT_MODIFIED))
    );
    assert_eq!(source.refresh().await, Err(KeySetError::TooLong.into()));
    assert_eq!(source.refresh().await, Err(KeySetError::NotJwks.into()));
    let status = source.status();
    assert_eq!((status.keys, status.fetches, status.failures), (1, 9, 8));
    assert_eq!(status.good_at, Some(NOW));
    assert!(status.last_error.is_some());
    let limit = NOW + Duration::from_secs(86_400);
    assert_eq!(status.good_until, Some(limit));
    assert!(source.current(limit).is_ok());
    clock.set(limit + Duration::from_secs(1));
    assert!(!source.is_ready());
    let stale = source.current(clock.now()).unwrap_err();
    assert_eq!(stale.0, "the key set is older than stale_limit");
}

#[tokio::test]
async fn an_unchanged_answer_by_etag_keeps_the_set_and_counts_as_good() {
    let issuer = Issuer::new("known");
    let (endpoint, url) = Endpoint::start(&[
        answer("200 OK", "etag: \"1\"\r\n", &issuer.jwks()),
        answer("304 Not Modified", "", ""),
    ])
    .await;
    let (source, clock) = at_url(url);
    source.refresh().await.unwrap();
    let before = source.current(NOW).unwrap();
    clock.set(NOW + Duration::from_secs(60));
    source.refresh().await.unwrap();
    assert!(Arc::ptr_eq(&before, &source.current(NOW).unwrap()));
    assert!(endpoint.heads.lock()[1].contains("if-none-match: \"1\""));
    assert_eq!(source.status().good_at, Some(clock.now()));
}

#[tokio::test]
async fn t09_a_file_is_read_again_when_it_changes() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("jwks.json");
    let (source, clock) = source(JwksSource::File(path.clone()));
    let missing = source.refresh().await;
    assert_eq!(missing, Err(FetchError::File(io::ErrorKind::NotFound)));
    let (old, new) = (Issuer::new("old"), Issuer::new("new"));
    std::fs::write(&path, old.jwks()).unwrap();
    source.refresh().await.unwrap();
    let before = source.current(NOW).unwrap();
    source.refresh().await.unwrap();
    assert!(Arc::ptr_eq(&before, &source.current(NOW).unwrap()));
    // Replaced by rename, as careful writers do.
    let beside = folder.path().join("new.json");
    std::fs::write(&beside, new.jwks()).unwrap();
    std::fs::rename(&beside, &path).unwrap();
    let verifier = verifier(&source, &clock);
    assert!(
        verifier
            .verify_refetching(&raw(&new), &host())
            .await
            .is_ok()
    );
    assert_eq!(kids(&source), ["new"]);
    std::fs::write(&path, "half a fi").unwrap();
    assert_eq!(source.refresh().await, Err(KeySetError::NotJwks.into()));
    assert_eq!(kids(&source), ["new"]);
}

#[tokio::test(start_paused = true)]
async fn the_background_task_loads_and_ends_when_told() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("jwks.json");
    std::fs::write(&path, Issuer::new("one").jwks()).unwrap();
    let (source, _) = source(JwksSource::File(path));
    let cancel = CancellationToken::new();
    let task = tokio::spawn(source.clone().run(cancel.clone()));
    while !source.is_ready() {
        tokio::task::yield_now().await;
    }
    cancel.cancel();
    task.await.unwrap();
}

#[test]
fn a_url_needs_a_tls_configuration() {
    let jwks = JwksSource::Url {
        url: "https://idp.example.com/jwks".parse().unwrap(),
        ca: None,
    };
    let config = IssuerConfig {
        jwks,
        ..config().unwrap()
    };
    let clock = Arc::new(ManualClock::at(NOW));
    assert!(matches!(
        KeySource::new(&config, ALGORITHMS, None, clock),
        Err(SourceError::NeedsTls)
    ));
}
