//! `auth-manager smoke`: the whole road against a running instance, as a browser walks it: the door,
//! the first page with its cookies, the app's API, what must be refused, the socket. A verdict a step.
//!
//! `visitor` is the browser · `socket` the WebSocket · `walk` the steps.

mod socket;
mod visitor;
mod walk;

use super::check::{capture, report::Report};
use super::stage::block_on;
use anyhow::Context as _;
use std::path::PathBuf;
use url::Url;
use visitor::Visitor;
use zeroize::Zeroizing;

use walk::{Steps, walk};

/// Walk the whole road of a running instance: door, session, API, socket, and what must be refused.
/// Signs in one real person, whose credential you give; changes nothing else.
#[derive(Debug, clap::Args)]
pub(super) struct Smoke {
    /// The app's address, as visitors use it: https://chat.example.com
    url: Url,
    /// A browser's cookies for it, as its `Cookie` header has them (`_pomerium=…`): a file, `-` for
    /// standard input.
    #[arg(long, value_name = "FILE", required_unless_present = "assertion")]
    cookie: Option<String>,
    /// A captured assertion instead, sent to the bridge itself; it is good for a few requests of one
    /// kind, so this shows the beginning of the road only.
    #[arg(
        long,
        value_name = "FILE",
        conflicts_with = "cookie",
        requires = "bridge"
    )]
    assertion: Option<String>,
    /// With --assertion: where the bridge listens, as in `to:` of Pomerium's route.
    #[arg(long, value_name = "URL")]
    bridge: Option<Url>,
    /// Authorities of the server's certificate, instead of the public ones.
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// With --bridge: Pomerium's client certificate.
    #[arg(long, value_name = "FILE", requires = "client_key")]
    client_certificate: Option<PathBuf>,
    /// Its key.
    #[arg(long, value_name = "FILE", requires = "client_certificate")]
    client_key: Option<PathBuf>,
    /// Log out at the end, and see that it ends.
    #[arg(long)]
    log_out: bool,
    /// As JSON.
    #[arg(long)]
    json: bool,
}

/// The whole road, logout included, as whoever holds these cookies.
pub(super) async fn signed_in(report: &mut Report, url: &Url, cookies: &str) -> anyhow::Result<()> {
    let tls = crate::tls::ClientFiles::default().load()?;
    let mut visitor = Visitor::new(url, None, tls)?;
    visitor.takes_cookies(cookies);
    let steps = Steps {
        door: true,
        all: true,
        log_out: true,
    };
    walk(report, &mut visitor, &steps).await;
    Ok(())
}

impl Smoke {
    pub(super) fn run(self) -> anyhow::Result<u8> {
        let mut report = Report::default();
        block_on(async {
            let tls = crate::tls::ClientFiles {
                ca: self.ca.clone(),
                identity: self.client_certificate.clone().zip(self.client_key.clone()),
                h2: false,
            };
            let tls = tls.load()?;
            let mut visitor = Visitor::new(&self.url, self.bridge.as_ref(), tls)?;
            if let Some(from) = &self.cookie {
                let line = Zeroizing::new(capture::read(from)?);
                visitor.takes_cookies(&line);
            }
            let mut steps = Steps {
                door: self.bridge.is_none(),
                all: true,
                log_out: self.log_out,
            };
            if let Some(from) = &self.assertion {
                let captured = capture::Capture::of(&capture::read(from)?);
                let assertion = captured.assertions.first();
                visitor.shows_assertion(assertion.context("there is no assertion in it")?)?;
                steps.all = false;
            }
            walk(&mut report, &mut visitor, &steps).await;
            anyhow::Ok(())
        })?;
        report.print(self.json)?;
        Ok(u8::from(report.has_errors()))
    }
}
