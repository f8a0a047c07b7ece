//! Sections of the bridge as a whole: what their keys are, their defaults, bounds and cross checks.

use super::reader::{Table, shown};
use super::secret::SecretError;
use super::units::format_duration;
use super::{
    AuditConfig, IssuerConfig, IssuerProfile, JwksSource, KeysConfig, Limits, OpsListener,
    PortalConfig, ProxyListener, ProxyTls, ReplayMode, StoreConfig, TracesConfig,
};
use crate::types::IssuerId;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;
use url::{Host, Url};

/// A duration in seconds.
pub(super) const fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

/// A duration in hours.
pub(super) const fn hours(count: u64) -> Duration {
    Duration::from_secs(count * 3600)
}

/// Where `init` and the examples keep state.
pub(super) const DEFAULT_STORE: &str = "/var/lib/auth-manager/auth-manager.db";

/// `[listen.proxy]`.
pub(super) fn proxy(table: &Table<'_>) -> Option<ProxyListener> {
    table.require(
        "address",
        "Say where Pomerium reaches the bridge, for example address = \"127.0.0.1:8443\".",
    );
    let address = address(table, "address");
    let http2 = table.flag("http2", false);
    let health = table.text("health_path").unwrap_or("/.auth-manager/health");
    let own = health.strip_prefix("/.auth-manager/").is_some_and(|name| {
        let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        !name.is_empty() && name.len() <= 60 && name.bytes().all(plain)
    });
    if !own {
        table.complain(
            "health_path",
            format!("{} is not a path of the bridge's own.", shown(health)),
            "Put it below /.auth-manager/, like \"/.auth-manager/health\": elsewhere it would hide \
             a path of the app, or Pomerium would answer it itself.",
        );
    }
    let plain_allowed = table.insecure("insecure_plain_http");
    let tls_table = table.table("tls");
    let tls = proxy_tls(&tls_table);
    if !tls_table.is_present()
        && !plain_allowed
        && address.is_some_and(|address| !address.ip().is_loopback())
    {
        table.complain(
            "address",
            "Plain HTTP beyond loopback: anyone on the network could pose as Pomerium.",
            "Add [listen.proxy.tls] (`auth-manager init` prepares it), or listen on 127.0.0.1, or \
             set insecure_plain_http = true.",
        );
    }
    Some(ProxyListener {
        address: address?,
        tls,
        health_path: health.to_owned(),
        http2,
    })
}

fn proxy_tls(table: &Table<'_>) -> Option<ProxyTls> {
    let certificate = table.file("certificate");
    let key = table.private_file("key");
    let client_ca = table.file("client_ca");
    let names = table.texts("client_names");
    let open = table.insecure("insecure_no_client_certificate");
    if !table.is_present() {
        return None;
    }
    table.require(
        "certificate",
        "Name the PEM file of the bridge's certificate chain.",
    );
    table.require("key", "Name the PEM file of the certificate's key.");
    if !table.has("client_ca") && !open {
        table.complain(
            "client_ca",
            "It is missing: any client could pose as Pomerium.",
            "Name the PEM file of the authority that signs Pomerium's client certificate (or set \
             insecure_no_client_certificate = true).",
        );
    }
    let has_name = names.iter().any(|name| !name.trim().is_empty());
    if table.has("client_ca") && (!has_name || names.iter().any(|name| name.trim().is_empty())) {
        table.complain(
            "client_names",
            "It names nobody: any certificate of client_ca could pose as Pomerium.",
            "List the DNS or URI name in Pomerium's client certificate, for example \
             client_names = [\"pomerium.internal\"].",
        );
    }
    Some(ProxyTls {
        certificate: certificate?,
        key: key?,
        client_ca,
        client_names: names.into_iter().map(str::to_owned).collect(),
    })
}

pub(super) fn address(table: &Table<'_>, key: &'static str) -> Option<SocketAddr> {
    table.parsed(
        key,
        str::parse,
        "Write an IP address and a port: \"127.0.0.1:8443\" or \"[::1]:8443\".",
    )
}

/// `[listen.ops]`.
pub(super) fn ops(table: &Table<'_>) -> OpsListener {
    let default = SocketAddr::from(([127, 0, 0, 1], 9464));
    let address = match table.text("address") {
        Some("off") => None,
        Some(_) => address(table, "address").or(Some(default)),
        None => Some(default),
    };
    OpsListener { address }
}

/// `[store]`.
pub(super) fn store(table: &Table<'_>) -> Option<StoreConfig> {
    let sqlite = table.path("sqlite");
    let postgres = table.table("postgres");
    let url = postgres.secret("url");
    let max_connections = postgres.count("max_connections", 8, 1..=1000);
    let ca = postgres.file("ca");
    if !postgres.is_present() {
        let path = sqlite.unwrap_or_else(|| PathBuf::from(DEFAULT_STORE));
        let folder = path.parent().unwrap_or(&path);
        if !folder.is_dir() {
            table.complain(
                "sqlite",
                format!("The folder {} does not exist.", folder.display()),
                format!("Run `mkdir -p {}`, or name another file.", folder.display()),
            );
        }
        return Some(StoreConfig::Sqlite { path });
    }
    if sqlite.is_some() {
        table.complain(
            "sqlite",
            "There are two stores: sqlite and postgres.",
            "Keep one: sqlite for one replica, postgres for several.",
        );
    }
    postgres.require(
        "url",
        "Write url = { file = \"…\" }: the URL holds a password.",
    );
    let url = match url?.read() {
        Ok(url) => url,
        // Said already: the file or the credential itself is not to be had.
        Err(
            SecretError::Read { .. } | SecretError::NotAFile(_) | SecretError::NoCredentials(_),
        ) => {
            return None;
        }
        Err(error) => {
            postgres.complain(
                "url",
                format!("{error}."),
                "Write a postgres://… URL into it.",
            );
            return None;
        }
    };
    let url = match super::postgres::read(&url) {
        Ok(url) => url,
        Err(wrong) => {
            postgres.complain("url", wrong.problem, wrong.remedy);
            return None;
        }
    };
    Some(StoreConfig::Postgres {
        url: url.url,
        tls: url.tls || ca.is_some(),
        max_connections,
        ca,
    })
}

/// `[keys]`.
pub(super) fn keys(table: &Table<'_>) -> Option<KeysConfig> {
    table.require(
        "master_key",
        "Write master_key = { file = \"…\" }; `auth-manager init` makes the key.",
    );
    let master = table.secret("master_key");
    let former_masters = table.secrets("former_master_keys");
    let next_master = table.secret("next_master_key");
    // Nobody may meet a signature of a key that they have not seen. The JWK set is kept for half of
    // it (`jwks_max_age`). A replica reads the ring anew within a second, and refuses
    // when it could not for 15 s: below that, one that was cut off for a moment may send some
    // visitors round once more. So the bound is low, and the default is not.
    let announce = table.duration("announce", seconds(600), seconds(1)..=hours(7 * 24));
    let given = table.entry("rotate_every");
    let rotate_every = match given.and_then(|(_, value)| value.get_ref().as_str()) {
        Some("off") => None,
        _ => Some(table.duration(
            "rotate_every",
            hours(90 * 24),
            seconds(2)..=hours(3650 * 24),
        )),
    };
    if rotate_every.is_some_and(|every| every < announce * 2) {
        table.complain(
            "rotate_every",
            format!(
                "A key would hardly sign: the next one is announced for {} before it does.",
                format_duration(announce)
            ),
            "Write at least twice keys.announce, or \"off\".",
        );
    }
    Some(KeysConfig {
        master: master?,
        former_masters,
        next_master,
        announce,
        rotate_every,
    })
}

/// One of `[[issuers]]`.
pub(super) fn issuer(table: &Table<'_>) -> Option<IssuerConfig> {
    table.require("id", "Write id = \"pomerium\", and never change it.");
    let id = table.parsed(
        "id",
        IssuerId::new,
        "Use a short word, and never change it: it is half of every person's key.",
    );
    let profile = table.choice(
        "profile",
        IssuerProfile::Pomerium,
        &[("pomerium", IssuerProfile::Pomerium)],
    );
    let jwks = jwks(table);
    let refresh = table.duration("refresh", seconds(60), seconds(10)..=hours(24));
    let cooldown = table.duration("cooldown", seconds(10), seconds(1)..=hours(1));
    let stale_limit = table.duration("stale_limit", hours(24), seconds(0)..=hours(30 * 24));
    let leeway = table.duration("leeway", seconds(30), seconds(0)..=seconds(60));
    let max_lifetime = table.duration("max_lifetime", seconds(600), seconds(60)..=hours(1));
    let replay = table.choice(
        "replay",
        ReplayMode::Enforce,
        &[
            ("enforce", ReplayMode::Enforce),
            ("count", ReplayMode::Count),
            ("off", ReplayMode::Off),
        ],
    );
    let replay_entries = table.count("replay_entries", 262_144, 1024..=16_777_216);
    Some(IssuerConfig {
        id: id?,
        profile,
        jwks: jwks?,
        refresh,
        cooldown,
        stale_limit,
        leeway,
        max_lifetime,
        replay,
        replay_entries,
    })
}

/// `jwks`: where an issuer's keys come from.
pub(super) fn jwks(issuer: &Table<'_>) -> Option<JwksSource> {
    let http_allowed = issuer.insecure("insecure_http_jwks");
    issuer.require(
        "jwks",
        "Write jwks = { url = \"https://chat.example.com/.well-known/pomerium/jwks.json\" }.",
    );
    let table = issuer.table("jwks");
    let file = table.file("file");
    let ca = table.file("ca");
    let url = table.parsed("url", Url::parse, "Write a full https:// URL.");
    if table.has("file") == table.has("url") {
        if table.is_present() {
            issuer.complain(
                "jwks",
                "It must name one source of keys.",
                "Write { url = \"https://…\" } or { file = \"…\" }.",
            );
        }
        return None;
    }
    if let Some(path) = file {
        if table.has("ca") {
            table.complain("ca", "A file needs no authority.", "Remove it.");
        }
        return Some(JwksSource::File(path));
    }
    let url = url?;
    let secure = match url.scheme() {
        "https" => true,
        "http" => http_allowed || is_loopback(&url),
        _ => false,
    };
    if !secure {
        table.complain(
            "url",
            "Keys must come over https://: whoever changes them on the way can sign in as anyone.",
            "Use https:// (with `ca` for an authority of your own), or http:// on loopback, or set \
             insecure_http_jwks = true.",
        );
    }
    if !url.username().is_empty() || url.password().is_some() || url.fragment().is_some() {
        table.complain(
            "url",
            "It holds a user name, a password or a #.",
            "Remove them.",
        );
    }
    Some(JwksSource::Url { url, ca })
}

/// Whether a URL's host is this machine by its very text: never by asking DNS.
pub(super) fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(Host::Ipv4(ip)) => IpAddr::V4(ip).is_loopback(),
        Some(Host::Ipv6(ip)) => IpAddr::V6(ip).is_loopback(),
        None => false,
    }
}

/// `[portal]`.
pub(super) fn portal(table: &Table<'_>) -> PortalConfig {
    let text = |key| {
        let text = table.text(key).unwrap_or_default();
        if text.chars().count() > 200 || text.contains(char::is_control) {
            table.complain(
                key,
                "It is too long for a page.",
                "One line, at most 200 characters.",
            );
        }
        text.to_owned()
    };
    PortalConfig {
        organisation: text("organisation"),
        contact: text("contact"),
    }
}

/// `[audit]`.
pub(super) fn audit(table: &Table<'_>) -> AuditConfig {
    let replica = table.text("replica").map(str::to_owned);
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if let Some(name) = &replica
        && (name.is_empty() || name.len() > 60 || !name.chars().all(plain))
    {
        table.complain(
            "replica",
            format!("{} is not a name for a replica.", shown(name)),
            "Use 1 to 60 of a-z, A-Z, 0-9, -, _ and the dot.",
        );
    }
    let checkpoints = table.path("checkpoints");
    if let Some(folder) = &checkpoints
        && !folder.is_dir()
    {
        table.complain(
            "checkpoints",
            format!("The folder {} does not exist.", folder.display()),
            format!(
                "Run `mkdir -p {}`, and let the bridge write there.",
                folder.display()
            ),
        );
    }
    AuditConfig {
        email: table.flag("email", false),
        client_address: table.flag("client_address", false),
        replica,
        checkpoint_records: table.count("checkpoint_records", 1_000, 1..=100_000),
        checkpoint_every: table.duration("checkpoint_every", seconds(600), seconds(10)..=hours(24)),
        checkpoints,
        keep: table.duration("keep", hours(400 * 24), hours(24)..=hours(3_660 * 24)),
    }
}

/// `[telemetry.traces]`.
pub(super) fn traces(table: &Table<'_>, listens: Option<SocketAddr>) -> Option<TracesConfig> {
    let plain_allowed = table.insecure("insecure_http_traces");
    let endpoint = table.parsed(
        "endpoint",
        Url::parse,
        "Write the collector's OTLP/HTTP address, like \"http://127.0.0.1:4318/v1/traces\".",
    );
    let ca = table.file("ca");
    let authorization = table.secret("authorization");
    let one_in = table.count("one_in", 1, 1..=1_000_000);
    let instance = table.text("instance").map(str::to_owned);
    if !table.is_present() {
        return None;
    }
    table.require("endpoint", "Name the collector, or take the section out.");
    let endpoint = endpoint?;
    let sound = match endpoint.scheme() {
        "https" => true,
        "http" => plain_allowed || is_loopback(&endpoint),
        _ => false,
    };
    if !sound {
        table.complain(
            "endpoint",
            "Traces must go over https://: they say who asks for what, when.",
            "Use https:// (with `ca` for an authority of your own), or a collector on loopback, or set \
             insecure_http_traces = true.",
        );
    }
    let default = || listens.map_or_else(String::new, |address| address.to_string());
    Some(TracesConfig {
        endpoint,
        ca,
        authorization,
        one_in: u64::try_from(one_in).unwrap_or(1),
        instance: instance.unwrap_or_else(default),
    })
}

/// `[limits]`.
pub(super) fn limits(table: &Table<'_>) -> Limits {
    let head = table.size("head", 196_608, 16_384..=1_048_576);
    let assertion = table.size("assertion", 65_536, 4_096..=524_288);
    if assertion >= head {
        table.complain(
            "assertion",
            "It must be smaller than limits.head: the assertion is a part of the head.",
            "Raise head, or lower assertion.",
        );
    }
    Limits {
        head,
        assertion,
        head_timeout: table.duration("head_timeout", seconds(30), seconds(1)..=seconds(600)),
        connections: table.count("connections", 20_000, 16..=1_000_000),
        drain: table.duration("drain", seconds(30), seconds(0)..=seconds(600)),
        notice: table.duration("notice", seconds(0), seconds(0)..=seconds(600)),
    }
}
