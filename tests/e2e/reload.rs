//! SIGHUP and changed files: what can change without a restart changes, no connection is dropped,
//! and a mistake changes nothing.

use crate::support::bridge::Settings;
use crate::support::certs::{BRIDGE, Certs};
use crate::support::client::Client;
use crate::support::socket::End;
use crate::support::wire;
use crate::support::world::World;
use auth_manager::demo::door::{alice, nora};
use auth_manager::demo::mattermost::Options;
use rustls::RootCertStore;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use std::sync::Arc;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// Rewrites the configuration and has it read; waits for what the log then says.
async fn reloaded(world: &mut World, change: impl Fn(&str) -> String, says: &str) {
    let path = world.bridge.config();
    let text = std::fs::read_to_string(&path).expect("our own file");
    std::fs::write(&path, change(&text)).expect("our own file");
    let lines = |world: &World| world.bridge.output().matches(says).count();
    let before = lines(world);
    world.bridge.hang_up();
    crate::support::eventually(says, || {
        let now = lines(world);
        async move { (now > before).then_some(()) }
    })
    .await;
}

/// One request on a connection that stays.
async fn on(stream: &mut TcpStream, visitor: &Client, path: &str) -> u16 {
    let bytes = visitor.bytes(&visitor.api("GET", path));
    stream.write_all(&bytes).await.expect("the bridge reads");
    let answer = wire::read_response(stream, false).await;
    answer.expect("an answer").status
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_rule_and_a_new_contact_hold_at_once_on_open_connections() {
    let mut world = World::start().await;
    let visitor = world.signed_in(alice()).await;
    let mut socket = visitor.socket().await.expect("a socket");
    socket.event("hello").await;
    let mut stranger = world.client(nora());
    assert_eq!(stranger.open("/").await.status, 403);
    let mut stream = TcpStream::connect(world.bridge.proxy)
        .await
        .expect("the bridge listens");
    assert_eq!(on(&mut stream, &visitor, "/api/v4/users/me").await, 200);

    let change = |text: &str| {
        text.replace("help@example.test", "desk@example.test")
            .replace("\"mattermost-users\"", "\"only-these\"")
    };
    reloaded(&mut world, change, "configuration read again").await;
    // T26: a rule that changed judges open sockets anew, too.
    assert_eq!(socket.ended().await, End::Closed(Some(1012)));
    assert_eq!(on(&mut stream, &visitor, "/api/v4/users/me").await, 403);
    assert!(visitor.socket().await.is_err());
    let page = stranger.open("/").await;
    assert!(page.text().contains("desk@example.test"), "{}", page.text());

    let change = |text: &str| text.replace("\"only-these\"", "\"mattermost-users\"");
    reloaded(&mut world, change, "configuration read again").await;
    assert_eq!(on(&mut stream, &visitor, "/api/v4/users/me").await, 200);
    let mut socket = visitor.socket().await.expect("a socket again");
    socket.event("hello").await;
    assert_eq!(world.mattermost.logins_performed(), 1);
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_of_pages_alone_leaves_sockets_open() {
    let mut world = World::start().await;
    let visitor = world.signed_in(alice()).await;
    let mut socket = visitor.socket().await.expect("a socket");
    socket.event("hello").await;
    let change = |text: &str| text.replace("help@example.test", "desk@example.test");
    reloaded(&mut world, change, "configuration read again").await;
    world
        .mattermost
        .post_as("admin", &world.town_square(), "the socket never noticed");
    socket.event("posted").await;
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mistake_in_the_file_changes_nothing_and_is_named() {
    let mut world = World::start().await;
    let mut visitor = world.signed_in(alice()).await;
    let change = |text: &str| {
        text.replace("any_of", "any_off")
            .replace("help@example.test", "desk@example.test")
    };
    reloaded(&mut world, change, "nothing changed").await;
    assert!(world.bridge.output().contains("any_off"), "names the key");
    visitor.me().await;
    let page = world.client(nora()).open("/").await;
    assert!(page.text().contains("help@example.test"), "{}", page.text());

    // A secret that can't be read is a mistake, too.
    let change = |text: &str| {
        text.replace("any_off", "any_of")
            .replace("bot.token", "no.token")
    };
    reloaded(&mut world, change, "nothing changed").await;
    visitor.me().await;
    let change = |text: &str| text.replace("no.token", "bot.token");
    reloaded(&mut world, change, "configuration read again").await;
    visitor.me().await;
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_assertion_is_not_good_again_after_a_reload() {
    let mut world = World::start().await;
    let mut visitor = world.signed_in(alice()).await;
    let token = world.minter.mint(&visitor.claims()).expect("a working key");
    let used = |path: &str| visitor.api("GET", path).assertions(&[&token]);
    let (first, other) = (used("/api/v4/users/me"), used("/api/v4/users/me/teams"));
    assert_eq!(visitor.send(first).await.status, 200);
    reloaded(&mut world, str::to_owned, "configuration read again").await;
    assert_eq!(visitor.send(other).await.status, 401);
    world.finish().await;
}

/// A connection as Pomerium makes it, by the certificates at hand.
async fn by_tls(world: &World, trusted: &std::path::Path, client: &Certs) -> TlsStream<TcpStream> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(trusted).expect("a file") {
        roots.add(certificate.expect("PEM")).expect("an authority");
    }
    let chain = CertificateDer::pem_file_iter(&client.client).expect("a file");
    let chain = chain.map(|c| c.expect("PEM")).collect();
    let key = PrivateKeyDer::from_pem_file(&client.client_key).expect("a key");
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("known versions")
        .with_root_certificates(roots)
        .with_client_auth_cert(chain, key)
        .expect("a pair");
    let stream = TcpStream::connect(world.bridge.proxy)
        .await
        .expect("the bridge listens");
    let name = ServerName::try_from(BRIDGE).expect("a name");
    TlsConnector::from(Arc::new(config))
        .connect(name, stream)
        .await
        .expect("TLS")
}

async fn status_by(stream: &mut TlsStream<TcpStream>, visitor: &Client) -> u16 {
    let bytes = visitor.bytes(&visitor.page("/"));
    stream.write_all(&bytes).await.expect("the bridge reads");
    let answer = wire::read_response(stream, false).await;
    answer.expect("an answer").status
}

fn served(stream: &TlsStream<TcpStream>) -> Vec<u8> {
    let chain = stream.get_ref().1.peer_certificates().expect("a chain");
    chain[0].to_vec()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn new_certificates_are_taken_up_and_open_connections_stay() {
    let settings = Settings {
        tls: true,
        ..Settings::default()
    };
    let mut world = World::with(settings, Options::default()).await;
    let visitor = world.client(alice());
    let folder = world.bridge.folder().to_owned();
    let certs = world.bridge.certs.take().expect("made with tls");
    let mut stream = by_tls(&world, &certs.ca, &certs).await;
    let before = served(&stream);
    assert_eq!(status_by(&mut stream, &visitor).await, 302);

    // Half a change: a certificate without its key changes nothing.
    let key = std::fs::read(&certs.server_key).expect("our own file");
    std::fs::write(&certs.server_key, "nonsense").expect("our own file");
    world.bridge.hang_up();
    world
        .bridge
        .line("that they can't be used", |line| {
            line.contains("the former ones stay").then_some(())
        })
        .await;
    assert_eq!(served(&by_tls(&world, &certs.ca, &certs).await), before);
    std::fs::write(&certs.server_key, key).expect("our own file");

    // The same names by another authority, in the same files; noticed without being told.
    let fresh = Certs::make(&folder);
    world
        .bridge
        .line("that they were read", |line| {
            line.contains("certificates read again").then_some(())
        })
        .await;
    let mut new = by_tls(&world, &fresh.ca, &fresh).await;
    assert_ne!(served(&new), before);
    assert_eq!(status_by(&mut new, &visitor).await, 302);
    assert_eq!(status_by(&mut stream, &visitor).await, 302);
    world.bridge.stop().await;
}
