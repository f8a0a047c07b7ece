//! The neighbours: issuers' keys and apps.

use super::ask;
use super::report::{Level, Report};
use crate::api::BearerIssuer;
use crate::apps::{AppError, Connector as _, Severity};
use crate::cli::out::{count, roughly};
use crate::config::{ApiIssuerConfig, AppConfig, Config, IssuerConfig, JwksSource};
use crate::jwks::{Algorithm, FetchError, KeySetError, KeySource, Upkeep};
use crate::proxy::assertion::ALGORITHMS;
use crate::runtime;
use crate::tls::ClientFiles;
use crate::types::Clock;
use arc_swap::ArcSwap;
use std::sync::Arc;

/// Clocks that differ by more seconds are worth a word.
const APART: i64 = 5;

/// An issuer's keys, fetched as the bridge fetches them.
pub(super) async fn issuer(report: &mut Report, issuer: &IssuerConfig, clock: &Arc<dyn Clock>) {
    let about = format!("issuer {}", issuer.id);
    if !keys(report, &about, issuer.into(), ALGORITHMS, clock).await {
        return;
    }
    if let JwksSource::Url { url, ca } = &issuer.jwks {
        let answer = ask::get(url, None, ca.as_ref(), &**clock).await;
        let leeway = i64::try_from(issuer.leeway.as_secs()).unwrap_or(i64::MAX);
        if let Some(ahead) = answer.and_then(|answer| answer.ahead)
            && ahead.abs() > APART
        {
            let text = differs(ahead);
            let level = if ahead.abs() > leeway {
                Level::Error
            } else {
                Level::Warning
            };
            report.add(
                level,
                about,
                format!("{text}; leeway is {leeway} s"),
                "Let both machines keep time by NTP: assertions live 5 minutes, and none is taken from the future.",
            );
        }
    }
}

/// The keys of who signs services' tokens.
pub(super) async fn api_issuer(
    report: &mut Report,
    issuer: &ApiIssuerConfig,
    clock: &Arc<dyn Clock>,
) {
    let about = format!("api issuer {}", issuer.id);
    let algorithms = BearerIssuer::algorithms(issuer);
    keys(report, &about, issuer.into(), &algorithms, clock).await;
}

/// Whether there are usable keys.
async fn keys(
    report: &mut Report,
    about: &str,
    upkeep: Upkeep<'_>,
    algorithms: &[Algorithm],
    clock: &Arc<dyn Clock>,
) -> bool {
    let (tls, place) = match upkeep.jwks {
        JwksSource::File(path) => (None, path.display().to_string()),
        JwksSource::Url { url, ca } => {
            let files = ClientFiles {
                ca: ca.clone(),
                identity: None,
                h2: false,
            };
            match files.load() {
                Ok(tls) => (Some(Arc::new(ArcSwap::from_pointee(tls))), url.to_string()),
                Err(error) => {
                    report.error(about, error.to_string(), "Look at `ca` of its jwks.");
                    return false;
                }
            }
        }
    };
    let source = match KeySource::new(upkeep, algorithms, tls, clock.clone()) {
        Ok(source) => source,
        Err(error) => {
            report.error(about, error.to_string(), "");
            return false;
        }
    };
    if let Err(error) = source.refresh().await {
        let remedy = remedy(&error);
        report.error(about, format!("{place}: {error}"), remedy);
        return false;
    }
    let status = source.status();
    let skipped = match status.skipped {
        0 => String::new(),
        n => format!(" ({n} of another kind skipped)"),
    };
    report.ok(
        about,
        format!("{place}: {}{skipped}", count(status.keys, "key")),
    );
    true
}

fn differs(ahead: i64) -> String {
    let way = if ahead > 0 { "ahead of" } else { "behind" };
    format!("its clock is {} {way} ours", roughly(ahead))
}

fn remedy(error: &FetchError) -> &'static str {
    match error {
        FetchError::File(_) => {
            "Put Pomerium's key set there, or name its address: jwks = { url = … }."
        }
        FetchError::Timeout => {
            "Can this machine reach Pomerium's public address? If not, give the keys as a file: jwks = { file = … }."
        }
        FetchError::Unreachable(why) if why.to_ascii_lowercase().contains("certificate") => {
            "Its certificate is not of a public authority, or for another name: name its authority, jwks = { url = …, ca = … }."
        }
        FetchError::Unreachable(_) => {
            "Is the address right, and Pomerium up? If this machine can't reach it, give the keys as a file: jwks = { file = … }."
        }
        FetchError::Status(status) if status.is_redirection() => {
            "That is not Pomerium's own page: it answers on each host it serves, at /.well-known/pomerium/jwks.json."
        }
        FetchError::Status(_) => {
            "Pomerium has it on each host it serves: https://<host of a route>/.well-known/pomerium/jwks.json."
        }
        FetchError::Keys(KeySetError::Empty | KeySetError::NoneUsable(_)) => {
            "Pomerium has no usable signing key: signing_key_file must hold one EC P-256 key (or RSA)."
        }
        FetchError::Keys(_) => "That is no key set: is it Pomerium's address?",
    }
}

/// An app: its answers, its bot, its settings, and what Pomerium must do for it.
pub(super) async fn app(
    report: &mut Report,
    config: &Config,
    app: &AppConfig,
    clock: &Arc<dyn Clock>,
) {
    let about = format!("app {}", app.id);
    let driver = match runtime::driver_of(app, clock.clone()) {
        Ok(driver) => driver,
        Err(error) => return report.error(about, error.why, "Look at bot_token and upstream_ca."),
    };
    match driver.facts().await {
        Err(error) => {
            let remedy = match &error {
                AppError::Unavailable(_) | AppError::Timeout(_) => {
                    "Is it running, and is `upstream` its address, without a path?"
                }
                AppError::RateLimited(_) => {
                    "Set RateLimitSettings.Enable to false: all calls come from the bridge's address."
                }
                _ => "Look at the app's log.",
            };
            report.error(about.as_str(), format!("{}: {error}", app.upstream), remedy);
        }
        Ok(facts) => {
            let refused = facts
                .findings
                .iter()
                .any(|f| f.about == "bot" && f.severity == Severity::Error);
            let mut text = format!("{}: version {}", app.upstream, facts.version);
            if facts.version.is_empty() {
                text = format!("{}: answers", app.upstream);
            }
            if !refused {
                text.push_str(", the bot's token is accepted");
            }
            if let Some((used, most)) = facts.seats {
                text.push_str(&format!(", {used} of {most} seats taken"));
            }
            report.ok(about.as_str(), text);
            for finding in facts.findings {
                let level = match finding.severity {
                    Severity::Note => Level::Note,
                    Severity::Warning => Level::Warning,
                    Severity::Error => Level::Error,
                };
                let remedy = match (finding.about.as_str(), finding.severity) {
                    ("bot", Severity::Error) => {
                        "Make a bot as README.md says, and put its token (26 characters) into the file of bot_token."
                    }
                    _ => "",
                };
                report.add(
                    level,
                    format!("{about}: {}", finding.about),
                    finding.text,
                    remedy,
                );
            }
            clocks(report, &about, app, &**clock).await;
        }
    }
    route(report, &about, config, app);
}

async fn clocks(report: &mut Report, about: &str, app: &AppConfig, clock: &dyn Clock) {
    let mut url = app.upstream.clone();
    url.set_path(&app.base_path);
    let host = app.origin.split_once("://").map(|(_, authority)| authority);
    let answer = ask::get(&url, host, app.upstream_ca.as_ref(), clock).await;
    if let Some(ahead) = answer.and_then(|answer| answer.ahead)
        && ahead.abs() > APART
    {
        report.warning(
            about,
            differs(ahead),
            "Let both machines keep time by NTP: sessions would end early, or late.",
        );
    }
}

/// What can't be asked, since Pomerium does not tell.
fn route(report: &mut Report, about: &str, config: &Config, app: &AppConfig) {
    let scheme = if config.proxy.tls.is_some() {
        "https"
    } else {
        "http"
    };
    report.note(
        about,
        format!(
            "Pomerium's route must say: from {}, to {scheme}://…:{}, pass_identity_headers, preserve_host_header and allow_websockets true (config/pomerium.yaml)",
            app.origin,
            config.proxy.address.port()
        ),
    );
    if app.access.everyone && app.access.validated.is_none() {
        report.note(
            about,
            "[apps.access] lets in everyone whom Pomerium signs in",
        );
    }
}
