//! Every key and every certificate changes while people work, on two replicas with one PostgreSQL:
//! no request fails, nobody is signed out (T9). The same at 2,000 requests a second is
//! `tests/load/rotation`.

use crate::keys::{kid_of, signs_now};
use crate::replicas::Pair;
use crate::support::bridge::{Bridge, Settings};
use crate::support::certs::{BRIDGE, Certs};
use crate::support::client::Client;
use crate::support::{eventually, tls, wire};
use arc_swap::ArcSwap;
use auth_manager::demo::door::{Minter, alice, bob};
use base64::{Engine, engine::general_purpose::STANDARD};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio::io::AsyncWriteExt;
use tokio_util::sync::CancellationToken;

/// A connection carries so many requests: then another is made, with the certificates of now.
const A_CONNECTION: u64 = 10;

/// People who never stop, and what they met.
#[derive(Default)]
struct Load {
    requests: AtomicU64,
    connections: AtomicU64,
    failures: parking_lot::Mutex<Vec<String>>,
}

impl Load {
    fn failed(&self, what: String) {
        let mut failures = self.failures.lock();
        if failures.len() < 20 {
            failures.push(what);
        }
    }

    /// One person at one replica, over and over, until the end.
    async fn person(
        self: Arc<Self>,
        visitor: Client,
        minters: Arc<ArcSwap<Minter>>,
        certificates: Arc<ArcSwap<rustls::ClientConfig>>,
        end: CancellationToken,
    ) {
        while !end.is_cancelled() {
            let config = certificates.load_full();
            let mut stream = match tls::connect(visitor.address, BRIDGE, config).await {
                Ok(stream) => stream,
                Err(error) => {
                    self.failed(format!("no connection: {error}"));
                    continue;
                }
            };
            self.connections.fetch_add(1, Ordering::Relaxed);
            for n in 0..A_CONNECTION {
                let now = Client {
                    minter: minters.load_full(),
                    ..visitor.clone()
                };
                let request = match n % 5 {
                    4 => now.page("/"),
                    _ => now.api("GET", "/api/v4/users/me"),
                };
                if let Err(error) = stream.write_all(&now.bytes(&request)).await {
                    self.failed(format!("{}: not sent: {error}", request.target));
                    break;
                }
                let answer = wire::read_response(&mut stream, false).await;
                self.requests.fetch_add(1, Ordering::Relaxed);
                match answer {
                    Some(answer) if answer.status == 200 => {}
                    Some(answer) => self.failed(format!(
                        "{}: {} {}",
                        request.target,
                        answer.status,
                        answer.text()
                    )),
                    None => {
                        self.failed(format!("{}: no answer", request.target));
                        break;
                    }
                }
            }
        }
    }

    /// Waits until so many more requests were answered: everybody has met what was changed.
    async fn goes_on(&self) {
        let from = self.requests.load(Ordering::Relaxed);
        eventually("the load to go on", || async {
            (self.requests.load(Ordering::Relaxed) > from + 60).then_some(())
        })
        .await;
    }
}

fn private(path: &Path, text: &str) {
    let fresh = path.with_extension("fresh");
    std::fs::write(&fresh, text).expect("our own folder");
    std::fs::set_permissions(&fresh, PermissionsExt::from_mode(0o600)).expect("our own file");
    std::fs::rename(fresh, path).expect("one folder");
}

fn text(path: &Path) -> String {
    std::fs::read_to_string(path).expect("a file")
}

/// Rewrites files of both replicas, then has them read; waits until each says so.
async fn both(pair: &mut Pair, says: &str, change: impl Fn(&Path)) {
    for bridge in [&mut pair.world.bridge, &mut pair.other] {
        let before = bridge.output().matches(says).count();
        change(bridge.folder());
        bridge.hang_up();
        eventually(says, || {
            let now = bridge.output().matches(says).count();
            async move { (now > before).then_some(()) }
        })
        .await;
    }
}

fn configured(folder: &Path, change: impl Fn(String) -> String) {
    let path = folder.join("auth-manager.toml");
    let changed = change(text(&path));
    std::fs::write(path, changed).expect("our own file");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t09_every_key_and_certificate_changes_under_load_and_no_request_fails() {
    // The app behind TLS of its own, whose authority is in a file of ours.
    let shared = tempfile::tempdir().expect("a folder");
    let app_certs = Certs::named(shared.path(), "localhost");
    let app_tls = Arc::new(ArcSwap::new(tls::server(&app_certs)));
    let (hook, plain) = tokio::sync::oneshot::channel();
    let front = tls::for_later(app_tls.clone(), plain).await;
    let app_ca = shared.path().join("app-ca.pem");
    std::fs::copy(&app_certs.ca, &app_ca).expect("one folder");
    let settings = Settings {
        tls: true,
        keys: "announce = \"2s\"".into(),
        upstream: format!("https://localhost:{}", front.port()),
        app: format!("upstream_ca = {app_ca:?}"),
        ..Settings::default()
    };
    let mut pair = Pair::with_app(settings, true, |app| {
        let _ = hook.send(app);
    })
    .await;

    // One client certificate for both replicas: what one authority signs is what both must take.
    let first = pair.world.bridge.certs.take().expect("made with tls");
    let second = pair.other.certs.take().expect("made with tls");
    let fresh_folder = tempfile::tempdir().expect("a folder");
    let fresh = Certs::make(fresh_folder.path());
    let all = [first.ca.clone(), second.ca.clone(), fresh.ca.clone()];
    let believed: Vec<String> = all.iter().map(|path| text(path)).collect();
    let known = shared.path().join("known.pem");
    std::fs::write(&known, believed.concat()).expect("our own folder");
    let mut of_replica = Vec::new();
    for certs in [&first, &second] {
        let shown = tls::client(&[&known], certs);
        of_replica.push(Arc::new(ArcSwap::new(shown)));
    }

    // Two people sign in, each at one replica.
    let minters = Arc::new(ArcSwap::new(pair.world.minter.clone()));
    let mut people = Vec::new();
    for (n, person) in [alice(), bob()].into_iter().enumerate() {
        let mut visitor = pair.world.client(person);
        visitor.address = [pair.world.bridge.proxy, pair.other.proxy][n];
        let mut stream = tls::connect(visitor.address, BRIDGE, of_replica[n].load_full())
            .await
            .expect("TLS");
        let started = Instant::now();
        let mut target = "/".to_owned();
        loop {
            let page = visitor.page(&target);
            stream.write_all(&visitor.bytes(&page)).await.expect("sent");
            let answer = wire::read_response(&mut stream, false)
                .await
                .expect("an answer");
            visitor.keeps(&answer);
            match answer.status {
                200 => break,
                302 => target = answer.header("location").expect("an address").to_owned(),
                _ => tokio::time::sleep(Duration::from_millis(200)).await,
            }
            assert!(
                started.elapsed() < crate::support::PATIENCE,
                "{}",
                answer.text()
            );
        }
        people.push(visitor);
    }
    let former = [kid_of(&people[0]), kid_of(&people[1])];

    let load = Arc::new(Load::default());
    let end = CancellationToken::new();
    let mut at_work = Vec::new();
    let replicas = [pair.world.bridge.proxy, pair.other.proxy];
    for person in &people {
        for (address, certificates) in replicas.into_iter().zip(&of_replica) {
            let visitor = Client {
                address,
                ..person.clone()
            };
            let one =
                load.clone()
                    .person(visitor, minters.clone(), certificates.clone(), end.clone());
            at_work.push(tokio::spawn(one));
        }
    }
    load.goes_on().await;

    // 1 Our signing keys, of every kind: announced, then signing, on demand.
    let before = signs_now(&pair.world.bridge).await;
    pair.world.run(&["keys", "rotate"]).await;
    eventually("the new key", || async {
        (signs_now(&pair.world.bridge).await != before).then_some(())
    })
    .await;
    load.goes_on().await;

    // 2 Pomerium's: a new key beside the old one, then alone.
    let new = Arc::new(Minter::generate().expect("randomness"));
    let old = minters.load_full();
    for bridge in [&pair.world.bridge, &pair.other] {
        bridge.set_jwks(&Minter::jwks_of(&[&old, &new]));
    }
    minters.store(new.clone());
    load.goes_on().await;
    // Whoever still has an assertion of the old key in hand has sent it by now.
    for bridge in [&pair.world.bridge, &pair.other] {
        bridge.set_jwks(&new.jwks());
    }

    // 3 The master key, replica by replica: the next one on both, then it seals, then the former one
    // is taken out once nothing hangs on it.
    let mut bytes = [0; 32];
    aws_lc_rs::rand::fill(&mut bytes).expect("randomness");
    let next = STANDARD.encode(bytes);
    let reloaded = "configuration read again";
    both(&mut pair, reloaded, |folder| {
        private(&folder.join("next.key"), &next);
        let line = format!(
            "[keys]\nnext_master_key = {{ file = {:?} }}",
            folder.join("next.key")
        );
        configured(folder, |text| text.replacen("[keys]", &line, 1));
    })
    .await;
    load.goes_on().await;
    both(&mut pair, reloaded, |folder| {
        configured(folder, |text| {
            let text = text.replacen("next_master_key", "#", 1);
            let (former, next) = (folder.join("master.key"), folder.join("next.key"));
            let now = format!(
                "master_key = {{ file = {next:?} }}\nformer_master_keys = [{{ file = {former:?} }}]"
            );
            text.replacen(&format!("master_key = {{ file = {former:?} }}"), &now, 1)
        });
    })
    .await;
    eventually("everything under the new master key", || async {
        let status = pair.world.run(&["keys", "status", "--json"]).await;
        let status: serde_json::Value = serde_json::from_str(&status).expect("JSON");
        (status["left"] == 0).then_some(())
    })
    .await;
    both(&mut pair, reloaded, |folder| {
        configured(folder, |text| text.replace("former_master_keys", "#former"));
        std::fs::remove_file(folder.join("master.key")).expect("our own file");
    })
    .await;
    load.goes_on().await;

    // 4 Certificates of both listeners and of Pomerium: the new authority beside the old one, the new
    // certificates, the new authority alone.
    let read = "certificates read again";
    both(&mut pair, read, |folder| {
        let ca = folder.join("ca.pem");
        std::fs::write(&ca, text(&ca) + &text(&fresh.ca)).expect("our own file");
    })
    .await;
    for certificates in &of_replica {
        certificates.store(tls::client(&[&known], &fresh));
    }
    load.goes_on().await;
    both(&mut pair, read, |folder| {
        private(&folder.join("server-key.pem"), &text(&fresh.server_key));
        private(&folder.join("server.pem"), &text(&fresh.server));
    })
    .await;
    both(&mut pair, read, |folder| {
        std::fs::copy(&fresh.ca, folder.join("ca.pem")).expect("our own file");
    })
    .await;
    load.goes_on().await;

    // 5 The app's: its new authority beside the old one (found without being told), its new
    // certificate, the new authority alone.
    let again_folder = tempfile::tempdir().expect("a folder");
    let again = Certs::named(again_folder.path(), "localhost");
    // Orders to read everything again have said so before: this is about one more time.
    let times = |bridge: &Bridge| {
        let output = bridge.output();
        let about_it = |line: &&str| line.contains(read) && line.contains("app chat");
        output.lines().filter(about_it).count()
    };
    let before = [&pair.world.bridge, &pair.other].map(times);
    std::fs::write(&app_ca, text(&app_ca) + &text(&again.ca)).expect("our own file");
    for (bridge, before) in [&pair.world.bridge, &pair.other].into_iter().zip(before) {
        eventually("the app's authorities", || {
            let again = times(bridge) > before;
            async move { again.then_some(()) }
        })
        .await;
    }
    app_tls.store(tls::server(&again));
    load.goes_on().await;
    both(&mut pair, read, |_| {
        std::fs::copy(&again.ca, &app_ca).expect("our own file");
    })
    .await;
    load.goes_on().await;

    end.cancel();
    for one in at_work {
        one.await.expect("no panic");
    }
    let failures = load.failures.lock().clone();
    let requests = load.requests.load(Ordering::Relaxed);
    assert!(
        failures.is_empty(),
        "of {requests} requests failed: {failures:#?}"
    );
    assert!(requests > 500, "{requests}");
    assert!(load.connections.load(Ordering::Relaxed) > 50);
    // Nobody was signed out, nobody signed in again, no cookie was needed.
    assert_eq!(pair.world.mattermost.logins_performed(), 2);
    assert_eq!(former, [kid_of(&people[0]), kid_of(&people[1])]);
    // What is left of the old: nothing that would be taken.
    for (address, old) in replicas.into_iter().zip([&first, &second]) {
        let config = tls::client(&[&known], old);
        let refused = match tls::connect(address, BRIDGE, config).await {
            Err(_) => true,
            // TLS 1.3 tells a client only when it reads.
            Ok(mut stream) => {
                let request = people[0].bytes(&people[0].page("/"));
                stream.write_all(&request).await.ok();
                wire::read_response(&mut stream, false).await.is_none()
            }
        };
        assert!(refused, "the former authority's client is still let in");
    }
    pair.other.stop().await;
    pair.world.bridge.stop().await;
}
