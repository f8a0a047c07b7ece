//! A captured assertion: would the bridge accept it, and what would follow. The verifier is the
//! road's own; only its clock is set back for one that has expired since.

use super::ask;
use super::capture::Capture;
use super::explain::{self, Around, Said};
use super::peers;
use super::report::Report;
use crate::cli::out::count;
use crate::config::{AppConfig, Config, IssuerConfig, JwksSource};
use crate::directory::Standings;
use crate::error::{Code, Refusal};
use crate::jwks::{KeySet, KeySource};
use crate::proxy::access::{self, Denied};
use crate::proxy::assertion::{ALGORITHMS, Assertion, RawAssertion, Verified, Verifier};
use crate::runtime;
use crate::types::{AppId, Clock, ManualClock};
use arc_swap::Guard;
use std::io::Read as _;
use std::sync::Arc;
use std::time::Duration;

const ABOUT: &str = "assertion";

/// Judges what was captured.
pub(super) async fn judge(
    report: &mut Report,
    config: &Config,
    app: Option<&AppId>,
    text: &str,
    clock: &Arc<dyn Clock>,
) {
    let capture = Capture::of(text);
    for name in &capture.lookalikes {
        report.warning(
            ABOUT,
            format!("the header {name} resembles Pomerium's"),
            "Somebody tried, or a proxy rewrites names: the bridge refuses such requests.",
        );
    }
    let token = match capture.assertions.as_slice() {
        [] => {
            return report.error(
                ABOUT,
                "it is missing: the request has no X-Pomerium-Jwt-Assertion",
                "Set pass_identity_headers: true on the route; Pomerium only logs a key that it does not know, so look for a slip. Or the request came around Pomerium.",
            );
        }
        [token] if token.contains(',') => return several(report),
        [token] => token,
        _ => return several(report),
    };
    if token.is_empty() {
        return report.error(
            ABOUT,
            "it is empty",
            "Pomerium could not sign it: signing_key_file must hold one EC P-256 key (or RSA); P-384 and Ed25519 end so.",
        );
    }
    let said = Said::of(token);
    let Some(app) = app_of(report, config, app, &capture, &said) else {
        return;
    };
    let Some(issuer) = config.issuers.iter().find(|issuer| issuer.id == app.issuer) else {
        return report.error(ABOUT, format!("there is no issuer {}", app.issuer), "");
    };
    let Some(body) = key_set(issuer, &**clock).await else {
        // Asked once more as the bridge asks, which names the cause.
        peers::issuer(report, issuer, clock).await;
        return report.error(
            ABOUT,
            "it was not judged: the issuer's keys could not be had",
            "Try again once they can.",
        );
    };
    let Ok(raw) = RawAssertion::from_text(token) else {
        return report.error(
            ABOUT,
            "it holds what no header may hold",
            "Capture it anew.",
        );
    };
    let trial = Trial {
        config,
        app,
        issuer,
        body: &body,
        raw,
        said: &said,
    };
    let Some(verified) = trial.run(report, clock) else {
        return;
    };
    report.ok(
        ABOUT,
        format!(
            "the bridge takes its word for {}, issuer {}",
            app.host, issuer.id
        ),
    );
    person(report, &verified);
    stored(report, config, &verified).await;
    let groups = verified.groups().len();
    // By the rule and the assertion alone: what directories say is in `users explain`.
    let (denied, standings) = (Denied::default(), Standings::default());
    let facts = access::Facts {
        denied: &denied,
        standings: &standings,
        rules: Guard::from_inner(Arc::new(config.directory.clone())),
        now: clock.now(),
    };
    match access::decide(&app.access, &facts, verified) {
        Ok(_) => report.ok("access", format!("{} admits this person", app.id)),
        Err(refusal) => report.error(
            "access",
            format!(
                "{}: {} ({}; the assertion names {})",
                app.id,
                refusal.code.title(),
                refusal.code.as_str(),
                count(groups, "group")
            ),
            "Compare [apps.access] with the groups above, letter by letter; a group that was just granted comes with Pomerium's next token refresh.",
        ),
    }
}

fn several(report: &mut Report) {
    report.error(
        ABOUT,
        "there is more than one",
        "Through Pomerium that can't happen: somebody came around it, or another proxy stands between.",
    );
}

/// Which app it was for: as named, else by the request's host, else by the audience, else the only
/// one.
fn app_of<'a>(
    report: &mut Report,
    config: &'a Config,
    named: Option<&AppId>,
    capture: &Capture,
    said: &Said,
) -> Option<&'a AppConfig> {
    let apps = &config.apps;
    if let Some(named) = named {
        let found = apps.iter().find(|app| app.id == *named);
        if found.is_none() {
            let ids: Vec<_> = apps.iter().map(|app| app.id.as_str()).collect();
            report.error(
                ABOUT,
                format!("there is no app {named}"),
                format!("Configured: {}.", ids.join(", ")),
            );
        }
        return found;
    }
    if let Some(host) = &capture.host {
        let found = apps.iter().find(|app| app.host.matches(host));
        if found.is_some() {
            return found;
        }
        let hosts: Vec<_> = apps.iter().map(|app| app.host.as_str()).collect();
        report.error(
            "host",
            format!("the request is for {host}; no app has that host, configured: {}", hosts.join(", ")),
            "Set preserve_host_header: true on the route, else Pomerium sends the host of `to:`; or add the app.",
        );
    }
    let by_audience = |app: &&AppConfig| said.audience().is_some_and(|aud| app.host.matches(aud));
    match (apps.iter().find(by_audience), apps.as_slice()) {
        (Some(app), _) => Some(app),
        (None, [only]) => Some(only),
        (None, _) => {
            report.error(
                ABOUT,
                "which app it was for can't be told",
                "Name it: --app ID.",
            );
            None
        }
    }
}

/// The issuer's key set as it is now.
async fn key_set(issuer: &IssuerConfig, clock: &dyn Clock) -> Option<Vec<u8>> {
    let body = match &issuer.jwks {
        JwksSource::File(path) => {
            let mut body = Vec::new();
            let file = std::fs::File::open(path).ok()?;
            file.take((1 << 20) + 1).read_to_end(&mut body).ok()?;
            body
        }
        JwksSource::Url { url, ca } => ask::get(url, None, ca.as_ref(), clock).await?.body,
    };
    KeySet::parse(&body, ALGORITHMS).is_ok().then_some(body)
}

/// One assertion before one verifier, at one time or another.
struct Trial<'a> {
    config: &'a Config,
    app: &'a AppConfig,
    issuer: &'a IssuerConfig,
    body: &'a [u8],
    raw: RawAssertion,
    said: &'a Said,
}

impl Trial<'_> {
    /// Verifies now; when only the time is wrong, says so and verifies as of then.
    fn run(&self, report: &mut Report, clock: &Arc<dyn Clock>) -> Option<Verified<Assertion>> {
        let refusal = match self.verify(clock) {
            Ok(verified) => return Some(verified),
            Err(refusal) => refusal,
        };
        let (text, remedy) = explain::refusal(&refusal, &self.around(&**clock));
        match refusal.code {
            Code::AssertionExpired => report.warning(ABOUT, text, remedy),
            Code::AssertionNotYetValid => report.error(ABOUT, text, remedy),
            _ => {
                report.error(ABOUT, text, remedy);
                return None;
            }
        }
        let then: Arc<dyn Clock> = Arc::new(ManualClock::at(
            self.said.issued()? + Duration::from_secs(1),
        ));
        match self.verify(&then) {
            Ok(verified) => Some(verified),
            Err(refusal) => {
                let (text, remedy) = explain::refusal(&refusal, &self.around(&*then));
                report.error(ABOUT, text, remedy);
                None
            }
        }
    }

    fn verify(&self, clock: &Arc<dyn Clock>) -> Result<Verified<Assertion>, Refusal> {
        let set = KeySet::parse(self.body, ALGORITHMS)
            .map_err(|error| Refusal::new(Code::AssertionKeysUnavailable, error.to_string()))?;
        let keys = KeySource::fixed(self.issuer.id.clone(), set, clock.clone());
        let limit = self.config.limits.assertion;
        Verifier::new(self.issuer, keys, clock.clone(), limit).verify(&self.raw, &self.app.host)
    }

    fn around(&self, clock: &dyn Clock) -> Around<'_> {
        let set = KeySet::parse(self.body, ALGORITHMS);
        let kids = set.map_or_else(
            |_| Vec::new(),
            |set| set.kids().map(str::to_owned).collect(),
        );
        Around {
            said: self.said,
            host: &self.app.host,
            kids,
            now: clock.now(),
        }
    }
}

/// Whom it vouches for, and what of them is missing.
fn person(report: &mut Report, verified: &Verified<Assertion>) {
    let groups: Vec<_> = verified.groups().iter().map(|g| g.as_str()).collect();
    report.ok(
        "person",
        format!("sub {}, sid {}", verified.subject(), verified.sid()),
    );
    let verified_text = if verified.email_verified() {
        "verified"
    } else {
        "not verified"
    };
    if verified.email().is_empty() {
        report.warning(
            "person",
            "no e-mail address",
            "The account gets a stand-in address: ask for the scope email, and put the address into the person's record.",
        );
    } else {
        report.ok(
            "person",
            format!("e-mail {} ({verified_text})", verified.email()),
        );
    }
    for (value, what, claim) in [
        (verified.username(), "user name", "preferred_username"),
        (verified.name(), "name", "name"),
    ] {
        if value.is_empty() {
            report.note(
                "person",
                format!("no {what}: add {claim} to jwt_claims_headers at Pomerium, or to the identity provider's profile"),
            );
        } else {
            report.ok("person", format!("{what} {value}"));
        }
    }
    if groups.is_empty() {
        report.warning(
            "groups",
            "none",
            "If the person has some: is there a `groups` claim in the identity provider's token or UserInfo, and does jwt_groups_filter let them pass?",
        );
    } else {
        report.ok("groups", groups.join(", "));
    }
    if verified.groups_dropped() > 0 {
        report.warning(
            "groups",
            format!(
                "{} can't be used",
                count(verified.groups_dropped(), "group")
            ),
            "Their names are empty, too long or hold control characters.",
        );
    }
}

/// What the bridge knows of the person, where it can be asked without changing anything.
async fn stored(report: &mut Report, config: &Config, verified: &Verified<Assertion>) {
    let known = match runtime::schema_of(&config.store).await {
        Ok(schema) => schema.found == Some(schema.known),
        Err(_) => false,
    };
    if !known {
        return;
    }
    let Ok(store) = runtime::store_of(&config.store).await else {
        return;
    };
    let found = store
        .user_by_subject(verified.issuer(), verified.subject())
        .await;
    if let Ok(Some(user)) = found {
        if user.state.denies() {
            report.error(
                "person",
                format!(
                    "disabled in the bridge since {}: {}",
                    user.state_since, user.state_reason
                ),
                format!("auth-manager users enable {}", user.id),
            );
        } else {
            report.ok("person", format!("known here as {}", user.id));
        }
    }
}
