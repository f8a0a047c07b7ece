//! `[listen.api]`, `[[api_issuers]]`: what their keys are, their defaults, bounds and cross checks.
//! The clients are in `clients.rs`.

use super::reader::{Table, shown};
use super::sections::{address, hours, is_loopback, jwks, seconds};
use super::{
    ApiIssuerConfig, ApiIssuerProfile, ApiListener, ApiTls, AppConfig, BearerAlgorithm,
    IssuerConfig, JwksSource, TokenTyp,
};
use crate::types::IssuerId;
use url::Url;

/// `[listen.api]`; `None` when it is not served.
pub(super) fn api(table: &Table<'_>) -> Option<ApiListener> {
    let served = !matches!(table.text("address"), Some("off"));
    let address = served.then(|| address(table, "address")).flatten();
    let plain_allowed = table.insecure("insecure_plain_http");
    let tls_table = table.table("tls");
    let tls = tls(&tls_table);
    let issuer = issuer(table);
    let audience = table.text("audience").map(str::to_owned);
    let body = table.size("body", 1 << 20, 1024..=64 << 20);
    let timeout = table.duration("timeout", seconds(30), seconds(1)..=seconds(600));
    let connections = table.count("connections", 1000, 4..=100_000);
    let rate = table.count("rate", 50, 1..=100_000);
    let burst = table.count("burst", 200, 1..=1_000_000);
    let require_both = table.flag("require_both", false);
    if !served || !table.is_present() {
        return None;
    }
    table.require(
        "address",
        "Say where services reach the bridge, for example address = \"127.0.0.1:8444\", or \"off\".",
    );
    table.require(
        "issuer",
        "Write the address under which services know the bridge: \"https://auth-manager.internal\".",
    );
    if audience.as_deref().is_some_and(|text| !is_audience(text)) {
        table.complain(
            "audience",
            "It is empty, too long, or holds a blank.",
            "Write what `aud` of callers' tokens says, or remove it: the default is the issuer.",
        );
    }
    let open = address.is_some_and(|address| !address.ip().is_loopback());
    if !tls_table.is_present() && !plain_allowed && open {
        table.complain(
            "address",
            "Plain HTTP beyond loopback: bearers would cross the network in clear, and no client \
             could show a certificate.",
            "Add [listen.api.tls], or listen on 127.0.0.1, or set insecure_plain_http = true.",
        );
    }
    let issuer = issuer?;
    Some(ApiListener {
        address: address?,
        audience: audience.unwrap_or_else(|| issuer.clone()),
        issuer,
        tls,
        body,
        timeout,
        connections,
        rate: u32::try_from(rate).unwrap_or(u32::MAX),
        burst: u32::try_from(burst).unwrap_or(u32::MAX),
        require_both,
    })
}

/// An audience, as tokens write it: a URI or a plain name (RFC 7519 §2 `StringOrURI`).
pub(super) fn is_audience(text: &str) -> bool {
    !text.is_empty() && text.len() <= 255 && text.bytes().all(|b| b.is_ascii_graphic())
}

/// An origin: well-known addresses and endpoints are made of it (RFC 8414 §3).
fn issuer(table: &Table<'_>) -> Option<String> {
    let remedy = "Write scheme and host, and the port if it is unusual: \
                  \"https://auth-manager.internal\".";
    let text = table.text("issuer")?;
    let url = table.parsed("issuer", Url::parse, remedy)?;
    let origin = url.origin().ascii_serialization();
    if origin != text {
        table.complain(
            "issuer",
            format!(
                "{} is more than an origin, or spelled unlike one.",
                shown(text)
            ),
            remedy,
        );
    } else if url.scheme() != "https" && !is_loopback(&url) {
        table.complain(
            "issuer",
            "Services would fetch the bridge's keys over plain HTTP.",
            "Use https://.",
        );
    }
    Some(origin)
}

/// A visitor's assertion has an app's host as audience: it must never fit here (T7).
pub(super) fn not_an_app(table: &Table<'_>, api: &ApiListener, apps: &[AppConfig]) {
    let audience = api.audience.as_str();
    let bare = audience.strip_prefix("https://").unwrap_or(audience);
    if apps
        .iter()
        .any(|app| app.host.matches(bare) || app.origin == audience)
    {
        let key = if table.has("audience") {
            "audience"
        } else {
            "issuer"
        };
        table.complain(
            key,
            "It names an app: an assertion for its visitors would fit the api as well.",
            "Give the api a name of its own, like \"https://auth-manager.internal\".",
        );
    }
}

fn tls(table: &Table<'_>) -> Option<ApiTls> {
    let certificate = table.file("certificate");
    let key = table.private_file("key");
    let client_ca = table.file("client_ca");
    let client_crl = table.file("client_crl");
    if !table.is_present() {
        return None;
    }
    table.require(
        "certificate",
        "Name the PEM file of the listener's certificate chain.",
    );
    table.require("key", "Name the PEM file of the certificate's key.");
    if table.has("client_crl") && !table.has("client_ca") {
        table.complain(
            "client_crl",
            "There is no authority whose certificates it could revoke.",
            "Add client_ca, or remove it.",
        );
    }
    Some(ApiTls {
        certificate: certificate?,
        key: key?,
        client_ca,
        client_crl,
    })
}

/// One of `[[api_issuers]]`. `people` are those of `[[issuers]]`.
pub(super) fn api_issuer(table: &Table<'_>, people: &[IssuerConfig]) -> Option<ApiIssuerConfig> {
    table.require("id", "Write id = \"authentik\": what [[clients]] call it.");
    let id = table.parsed("id", IssuerId::new, "Use a short word.");
    table.require("issuer", "Write the exact `iss` of its tokens.");
    let issuer = table.text("issuer");
    if issuer.is_some_and(|text| !is_audience(text)) {
        table.complain(
            "issuer",
            "It is empty, too long, or holds a blank.",
            "Write the exact `iss` of its tokens, trailing slash included.",
        );
    }
    let profile = table.choice(
        "profile",
        ApiIssuerProfile::AccessToken,
        &[
            ("access-token", ApiIssuerProfile::AccessToken),
            ("client-assertion", ApiIssuerProfile::ClientAssertion),
        ],
    );
    let typ = table.choice(
        "typ",
        TokenTyp::AccessToken,
        &[("at+jwt", TokenTyp::AccessToken), ("JWT", TokenTyp::Jwt)],
    );
    if table.has("typ") && profile == ApiIssuerProfile::ClientAssertion {
        table.complain(
            "typ",
            "Client assertions have the typ JWT.",
            "Remove it: it is for access tokens.",
        );
    }
    let jwks = jwks(table);
    if let Some(ours) = &jwks
        && (pomeriums(ours) || people.iter().any(|issuer| same_keys(&issuer.jwks, ours)))
    {
        table.complain(
            "jwks",
            "These are Pomerium's keys, or those of one of [[issuers]]: what vouches for people \
             never speaks for services.",
            "Name the keys of whoever signs services' tokens.",
        );
    }
    let algorithms = algorithms(table);
    // A used assertion is remembered for its whole life: that of one request is short.
    let lifetime = match profile {
        ApiIssuerProfile::AccessToken => hours(1),
        ApiIssuerProfile::ClientAssertion => seconds(300),
    };
    Some(ApiIssuerConfig {
        id: id?,
        issuer: issuer?.to_owned(),
        profile,
        typ,
        jwks: jwks?,
        algorithms,
        refresh: table.duration("refresh", seconds(300), seconds(10)..=hours(24)),
        cooldown: table.duration("cooldown", seconds(10), seconds(1)..=hours(1)),
        stale_limit: table.duration("stale_limit", hours(24), seconds(0)..=hours(30 * 24)),
        leeway: table.duration("leeway", seconds(30), seconds(0)..=seconds(60)),
        max_lifetime: table.duration("max_lifetime", lifetime, seconds(10)..=hours(1)),
        jti_entries: table.count("jti_entries", 65_536, 1024..=16_777_216),
    })
}

/// Pomerium serves its one key under every host.
fn pomeriums(jwks: &JwksSource) -> bool {
    matches!(jwks, JwksSource::Url { url, .. } if url.path().starts_with("/.well-known/pomerium/"))
}

fn same_keys(a: &JwksSource, b: &JwksSource) -> bool {
    match (a, b) {
        (JwksSource::File(a), JwksSource::File(b)) => a == b,
        (JwksSource::Url { url: a, .. }, JwksSource::Url { url: b, .. }) => a == b,
        _ => false,
    }
}

fn algorithms(table: &Table<'_>) -> Vec<BearerAlgorithm> {
    if !table.has("algorithms") {
        return BearerAlgorithm::ALL.to_vec();
    }
    let mut found = Vec::new();
    let names = BearerAlgorithm::ALL.map(BearerAlgorithm::as_str).join(", ");
    let words = table.texts("algorithms");
    for word in &words {
        match BearerAlgorithm::ALL.iter().find(|a| a.as_str() == *word) {
            Some(algorithm) => found.push(*algorithm),
            None => table.complain(
                "algorithms",
                format!("{} is not taken.", shown(word)),
                format!("Choose among: {names}."),
            ),
        }
    }
    if words.is_empty() {
        table.complain(
            "algorithms",
            "No token could be verified.",
            format!("Choose among: {names}; or remove it for all of them."),
        );
    }
    found
}
