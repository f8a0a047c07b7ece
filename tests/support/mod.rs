//! What the integration tests share. A test binary takes it in with
//! `#[path = "../support/mod.rs"] mod support;`.
//!
//! Everything here treats the bridge as a black box: the real binary, real sockets, its command
//! line. What it stands between is played by `auth_manager::demo` (assertions and Mattermost), by
//! real Chromium and by real Envoy. A missing tool is a failed test that says what to install.
//!
//! - `world`: one bridge, one stand-in Mattermost, one signing key; the usual start of a story
//! - `bridge`: the binary in a folder of its own: configuration, start, kill, restart, commands
//! - `client`: a browser's HTTP behaviour by hand, behind a Pomerium that mints for it
//! - `wire`: HTTP/1.1 as bytes
//! - `socket`: a WebSocket client that is not ours
//! - `taint`: every byte that left the bridge, and what must not be among them
//! - `browser`: headless Chromium by WebDriver
//! - `demo`: the `demo` command
//! - `front`: what stands before the stand-in and plays an app that misbehaves
//! - `envoy`: real Envoy with Pomerium's connection settings
//! - `caller`: a service that calls an app through the bridge, by hand
//! - `company`: an identity provider that tells the bridge of its people, bridge and app
//! - `collector`: a collector of traces
//! - `certs`: an authority, a server's and a client's certificate
//! - `tls`: TLS in front of something that has none, and a client's side of it
//! - `pg`: a PostgreSQL of the run's own
//! - `relay`: the way to it, which can be closed, or keep notifications back
//! - `services`: services that call the api listener; `stock`: one in Python, with its libraries
//! - `unit`: what systemd is for a service: its socket, and who listens to what it says
//! - `process`: children that are read line by line and never outlive their test
#![allow(dead_code, reason = "each test binary uses a part")]
#![allow(missing_docs, unreachable_pub, reason = "not a library")]

pub mod bridge;
pub mod browser;
pub mod caller;
pub mod certs;
pub mod client;
pub mod collector;
pub mod company;
pub mod demo;
pub mod envoy;
pub mod front;
pub mod pg;
pub mod process;
pub mod relay;
pub mod services;
pub mod socket;
pub mod stock;
pub mod taint;
pub mod tls;
pub mod unit;
pub mod wire;
pub mod world;

use std::time::Duration;

/// How long anything may take before a test gives up: generous, since two cores carry Chromium,
/// Envoy and a debug build; nothing waits so long when all is well.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Asks again and again until `probe` has an answer, and gives it.
pub async fn eventually<T, F>(what: &str, mut probe: impl FnMut() -> F) -> T
where
    F: Future<Output = Option<T>>,
{
    let started = std::time::Instant::now();
    loop {
        if let Some(found) = probe().await {
            return found;
        }
        assert!(started.elapsed() < PATIENCE, "gave up waiting: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
