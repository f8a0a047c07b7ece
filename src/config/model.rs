//! The checked form of the configuration; that of the api listener is in
//! `api_model.rs`, that of directories in `directories_model.rs`, that of provisioning in
//! `provision_model.rs`.

use super::ScimConfig;
use super::{
    ApiIssuerConfig, ApiListener, AudienceConfig, ClientConfig, DirectoryConfig, JobsConfig,
    MailConfig, ProvisionConfig,
};
use crate::types::{AppId, BotName, ClientId, GroupName, HostName, IssuerId, SecretText, SourceId};
use http::Method;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use url::Url;

/// All of it.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where Pomerium reaches us.
    pub proxy: ProxyListener,
    /// Where services reach us; `None`: not served.
    pub api: Option<ApiListener>,
    /// Health and metrics.
    pub ops: OpsListener,
    /// Where state lives.
    pub store: StoreConfig,
    /// Keys of our own.
    pub keys: KeysConfig,
    /// Sources of assertions; never empty.
    pub issuers: Vec<IssuerConfig>,
    /// Who is asked about people and groups; ids are unique.
    pub directories: Vec<DirectoryConfig>,
    /// SCIM clients that provision people and groups. Empty by default.
    pub scim: Vec<ScimConfig>,
    /// Apps; never empty; hosts are unique.
    pub apps: Vec<AppConfig>,
    /// Who signs the tokens of services.
    pub api_issuers: Vec<ApiIssuerConfig>,
    /// Services; no two share a credential.
    pub clients: Vec<ClientConfig>,
    /// Whom tokens are exchanged for; ids are unique.
    pub audiences: Vec<AudienceConfig>,
    /// How what directories say is weighed.
    pub directory: DirectoryRules,
    /// What visitors' pages say.
    pub portal: PortalConfig,
    /// How durable work is carried out.
    pub jobs: JobsConfig,
    /// The audit trail.
    pub audit: AuditConfig,
    /// Where traces go; `None`: none are made.
    pub traces: Option<TracesConfig>,
    /// Where letters to people go; `None`: none are sent.
    pub mail: Option<MailConfig>,
    /// Limits of the bridge as a whole.
    pub limits: Limits,
    /// What the files said, as hashes: for the audit trail.
    pub fingerprint: Fingerprint,
    /// Active `insecure_…` settings, as key paths: listed at start and in `/readyz`.
    pub insecure: Vec<String>,
}

impl Config {
    /// Whether secrets in files that others may read are accepted (`insecure_secret_permissions`).
    #[must_use]
    pub fn allows_shared_secrets(&self) -> bool {
        self.insecure
            .iter()
            .any(|key| key == "insecure_secret_permissions")
    }
}

/// `[listen.proxy]`.
#[derive(Debug, Clone)]
pub struct ProxyListener {
    /// Address to bind; ignored under socket activation.
    pub address: SocketAddr,
    /// TLS; `None` only on loopback or with `insecure_plain_http = true`.
    pub tls: Option<ProxyTls>,
    /// Path answered 200 without identity, for Pomerium's health checks. Default
    /// `/.auth-manager/health`.
    pub health_path: String,
    /// Serve HTTP/2 too: by ALPN with TLS, by prior knowledge without. Default false: a Pomerium
    /// route with WebSockets speaks HTTP/1.1.
    pub http2: bool,
}

/// TLS of the proxy listener.
#[derive(Debug, Clone)]
pub struct ProxyTls {
    /// PEM chain.
    pub certificate: PathBuf,
    /// PEM key.
    pub key: PathBuf,
    /// Authorities of Pomerium's client certificate (PEM). `None` only with
    /// `insecure_no_client_certificate = true`.
    pub client_ca: Option<PathBuf>,
    /// Names (SAN DNS or URI) one of which the client certificate must have; never empty when
    /// `client_ca` is set.
    pub client_names: Vec<String>,
}

/// `[listen.ops]`.
#[derive(Debug, Clone)]
pub struct OpsListener {
    /// Address to bind; loopback by default (`127.0.0.1:9464`). `None` (`"off"`): not served.
    pub address: Option<SocketAddr>,
}

/// `[store]`.
#[derive(Debug, Clone)]
pub enum StoreConfig {
    /// Embedded, the default: a file.
    Sqlite {
        /// The database file; its folder must exist. Default
        /// `/var/lib/auth-manager/auth-manager.db`.
        path: PathBuf,
    },
    /// Shared by several replicas.
    Postgres {
        /// `postgres://…`, from a file or credential: it holds a password.
        url: SecretText,
        /// Connections of the pool. Default 8.
        max_connections: usize,
        /// Whether the connection must be TLS: `sslmode` of the URL demands it, or `ca` is set. The
        /// server's name is verified then.
        tls: bool,
        /// Authorities of the server's certificate; `None`: public ones.
        ca: Option<PathBuf>,
    },
}

/// Where a secret comes from; the value is read at load and again on reload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SecretSource {
    /// A file; refused when others may read it.
    File(PathBuf),
    /// A systemd credential by name (`$CREDENTIALS_DIRECTORY`).
    Credential(String),
}

/// `[keys]`.
#[derive(Debug, Clone)]
pub struct KeysConfig {
    /// Wraps everything at rest.
    pub master: SecretSource,
    /// Former master keys: they still open, they no longer seal.
    pub former_masters: Vec<SecretSource>,
    /// The next master key: opens already what replicas seal that have changed over before.
    pub next_master: Option<SecretSource>,
    /// How long a new signing key is published before it signs. Default 10 min.
    pub announce: Duration,
    /// How long a key signs before the next one takes over; `None` (`"off"`): until somebody says
    /// so. Default 90 days.
    pub rotate_every: Option<Duration>,
}

/// How long others may keep our JWK set: half of how long a new key is announced, so that whoever
/// keeps it by the book has read the key before its first signature comes (T9); at most 5 minutes.
#[must_use]
pub fn jwks_max_age(announce: Duration) -> Duration {
    (announce / 2).min(Duration::from_secs(300))
}

/// How an issuer's assertions look; further profiles come here and in `proxy/assertion/`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IssuerProfile {
    /// `X-Pomerium-Jwt-Assertion` (facts: Pomerium mints one per request).
    Pomerium,
}

/// `[[issuers]]`.
#[derive(Debug, Clone)]
pub struct IssuerConfig {
    /// Half of every subject: never change it.
    pub id: IssuerId,
    /// How its assertions look.
    pub profile: IssuerProfile,
    /// Where its keys come from.
    pub jwks: JwksSource,
    /// Refresh after so long; the answer's `max-age` may lengthen or shorten it (floor 60 s).
    /// Default 60 s.
    pub refresh: Duration,
    /// At most one fetch for unknown keys in so long. Default 10 s.
    pub cooldown: Duration,
    /// The last good keys are used for so long while the source fails. Default 24 h.
    pub stale_limit: Duration,
    /// Clock leeway, at most 60 s. Default 30 s.
    pub leeway: Duration,
    /// Longest `exp - iat`. Default 10 min.
    pub max_lifetime: Duration,
    /// What happens to a repeated `jti`.
    pub replay: ReplayMode,
    /// Entries of the replay table, 32 bytes each. Default 262144 (8 MiB when full).
    pub replay_entries: usize,
}

/// Where keys come from.
#[derive(Debug, Clone)]
pub enum JwksSource {
    /// A JWKS file, read again when it changes.
    File(PathBuf),
    /// A fixed `https://` URL (`http://` on loopback or with `insecure_http_jwks`).
    Url {
        /// The address; never taken from a token.
        url: Url,
        /// Authorities of the server; `None`: public ones.
        ca: Option<PathBuf>,
    },
}

/// `replay`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReplayMode {
    /// Not looked at.
    Off,
    /// Counted in a metric.
    Count,
    /// Refused. The default for `pomerium`.
    Enforce,
}

/// Which kind of app.
#[derive(Debug, Clone)]
pub enum AppKind {
    /// Mattermost Team Edition.
    Mattermost(MattermostConfig),
}

/// `[[apps]]`.
#[derive(Debug, Clone)]
pub struct AppConfig {
    /// Never change it: passwords derive from it.
    pub id: AppId,
    /// What visitors call it. Default: the id.
    pub name: String,
    /// The external host; the audience of its assertions.
    pub host: HostName,
    /// The external origin visitors use, `https://chat.example.com` (port kept if unusual), as
    /// browsers spell it. Default: `https://` and the host. `http://` only on loopback or with
    /// `insecure_http_origin`.
    pub origin: String,
    /// Path below which the app lives (`/` or `/chat`), no trailing slash but for the root.
    pub base_path: String,
    /// Who vouches for its visitors.
    pub issuer: IssuerId,
    /// Where the app is: `http://` or `https://`, host and port only.
    pub upstream: Url,
    /// Authorities of an `https://` upstream; `None`: public ones.
    pub upstream_ca: Option<PathBuf>,
    /// Who may come in.
    pub access: AccessRule,
    /// Sessions.
    pub session: SessionConfig,
    /// Routes that leave without identity and never with a session. Empty by default.
    pub machine_routes: Vec<MachineRoute>,
    /// Which clients of the api listener call it, as which bots.
    pub services: Vec<ServiceConfig>,
    /// What kind it is, and what only that kind has.
    pub kind: AppKind,
    /// What becomes of accounts and memberships as the directory speaks.
    pub provision: ProvisionConfig,
    /// How long the app may take to answer with a head. Default 60 s. Bodies have no limit.
    pub response_timeout: Duration,
}

impl AppConfig {
    /// How this client calls it, if it may.
    #[must_use]
    pub fn service(&self, client: &ClientId) -> Option<&ServiceConfig> {
        self.services
            .iter()
            .find(|service| service.client == *client)
    }
}

/// `[apps.access]`: deny by default, so that one of the two must be said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccessRule {
    /// Anyone whom the issuer vouches for and who is validated: `everyone = true`.
    pub everyone: bool,
    /// Without this group a person is *pending* (validation), not refused.
    pub validated: Option<Gate>,
    /// One of these is needed (when not empty).
    pub any_of: Vec<Gate>,
    /// All of these are needed.
    pub all_of: Vec<Gate>,
}

/// A group that an access rule asks for: `"chat"`, or `{ name = "chat", id = "…" }`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gate {
    /// As assertions name it.
    pub name: GroupName,
    /// The directory's own id of it: where a directory has a word, this group is meant and no other,
    /// whatever it is called.
    pub id: Option<Box<str>>,
}

/// `[directory]`: how what directories say is weighed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DirectoryRules {
    /// How old a directory's word may be and still open or shut a gate. A word that turns somebody
    /// away does not age. Default 24 h.
    pub max_age: Duration,
    /// The same, where a word gives power over an app. Default 1 h.
    pub admin_max_age: Duration,
    /// Whether a directory's word admits somebody whose assertion lacks the group. Default true.
    pub may_grant: bool,
    /// Whether it does so, too, when the assertion names no group at all, as those of Pomerium's
    /// service accounts never do: `insecure_grant_without_groups`. Default false.
    pub grant_to_empty: bool,
    /// How long accounts stand after a directory has turned somebody away, who is out at once.
    /// Default 0 s.
    pub grace: Duration,
    /// The SCIM connections, each with the directory that is asked about whomever it names
    /// (`[[scim]] reread`).
    pub connections: Arc<[(SourceId, Option<SourceId>)]>,
}

impl Default for DirectoryRules {
    fn default() -> Self {
        Self {
            max_age: Duration::from_secs(24 * 3600),
            admin_max_age: Duration::from_secs(3600),
            may_grant: true,
            grant_to_empty: false,
            grace: Duration::ZERO,
            connections: Arc::default(),
        }
    }
}

/// `[apps.session]`.
#[derive(Debug, Clone)]
pub struct SessionConfig {
    /// Absolute limit, counted from the first assertion of the current sid. Default 14 h, as
    /// Pomerium's.
    pub absolute: Duration,
    /// Overall limit from birth, whatever is carried over. Default 30 days.
    pub overall: Duration,
    /// A session that brings no assertion for so long ends. Default 12 h.
    pub idle: Duration,
    /// Sockets of a session that brings no assertion for so long are cut. Default 180 s.
    pub stale_after: Duration,
    /// Oldest age of a socket, jittered by a tenth. Default 1 h.
    pub socket_max_age: Duration,
    /// What an app session's early death means.
    pub external_revoke: ExternalRevoke,
    /// Where an app logout ends.
    pub sign_out: SignOut,
    /// How long a tombstone stands: longer than Pomerium's session. Default 25 h.
    pub tombstone: Duration,
    /// How long a browser's page waits before *preparing* is shown. Default 2 s.
    pub page_wait: Duration,
    /// How long other requests wait for a session that is being made. Default 30 s.
    pub other_wait: Duration,
    /// Request bodies up to so many bytes are kept for one replay after a renewal. Default 65536.
    pub replay_body: usize,
}

/// `external_revoke`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExternalRevoke {
    /// Whoever ended it in the app meant it. The default.
    SignOut,
    /// Renew it.
    Heal,
}

/// `sign_out`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SignOut {
    /// `/.pomerium/sign_out` on the same host: ends the sign-in itself. The default.
    Pomerium,
    /// The bridge's own *signed out* page: Pomerium's session lives on.
    Page,
}

/// One machine route: method and canonical path.
#[derive(Debug, Clone)]
pub struct MachineRoute {
    /// The method.
    pub method: Method,
    /// Exact path, or a prefix when it ends in `/*`.
    pub path: String,
    /// Whether `Authorization` passes; dropped by default. Cookies never pass.
    pub keep_authorization: bool,
}

/// `[[apps.services]]`: a client of the api listener that calls the app as a bot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceConfig {
    /// One of `[[clients]]`, with the scope `proxy:<app>`.
    pub client: ClientId,
    /// As whom it calls.
    pub bot: BotSource,
    /// What it may call. Routes that give power over accounts or the server are never meant.
    pub allow: Vec<CallRule>,
    /// What it may call of those as well: `insecure_allow`, listed at start. Empty by default.
    pub insecure_allow: Vec<CallRule>,
    /// Whether the audit trail has its GET and HEAD requests, too. Default true.
    pub audit_reads: bool,
}

/// Where a bot's token comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BotSource {
    /// Made, sealed and rotated by `auth-manager bots`.
    Managed(BotName),
    /// The operator's own.
    Token(SecretSource),
}

/// Method and path that a service may call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallRule {
    /// The method; `GET` means `HEAD` as well.
    pub method: Method,
    /// The path's segments; `None` stands for any one.
    pub(super) segments: Vec<Option<Box<str>>>,
    /// Whether everything below is meant, and only that.
    pub(super) below: bool,
}

/// What only Mattermost has.
#[derive(Debug, Clone)]
pub struct MattermostConfig {
    /// Token of the bridge's bot, which needs `system_admin`.
    pub bot_token: SecretSource,
    /// Whose existing account an e-mail address may claim.
    pub link: LinkPolicy,
    /// Team that everyone joins (its URL name); `None`: no membership is made.
    pub team: Option<String>,
    /// Whether the team is created when it is missing.
    pub create_team: bool,
    /// Logins at once. Default 2; the server serialises them anyway up to 11.8.
    pub logins: usize,
    /// How long a login may wait in the queue and run. Default 30 s.
    pub login_timeout: Duration,
}

/// `link`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LinkPolicy {
    /// An account with the person's e-mail is a conflict. The default.
    Never,
    /// It is theirs when the assertion says `email_verified: "true"` and the account is an ordinary
    /// person's.
    VerifiedEmail,
    /// An operator says so (`accounts link`): until then it is a conflict.
    Operator,
}

/// `[portal]`.
#[derive(Debug, Clone)]
pub struct PortalConfig {
    /// The organisation's name on pages. Default: none.
    pub organisation: String,
    /// Whom to ask: a text or an e-mail address. Default: none.
    pub contact: String,
}

/// `[audit]`.
#[derive(Debug, Clone)]
pub struct AuditConfig {
    /// Whether records name e-mail addresses. Default false: people are shadow user ids.
    pub email: bool,
    /// Whether records name the addresses of clients. Default false.
    pub client_address: bool,
    /// How this replica is called in records. Default: the machine's host name.
    pub replica: Option<String>,
    /// A checkpoint is signed after so many records. Default 1000.
    pub checkpoint_records: usize,
    /// And, when there is any new record, after so long. Default 10 min.
    pub checkpoint_every: Duration,
    /// Folder that checkpoints are written to as well; `None`: they are in the store only.
    pub checkpoints: Option<PathBuf>,
    /// How long records are kept. Default 400 days.
    pub keep: Duration,
}

/// What the configuration's files said, as SHA-256 in hex. They name no secret, only where one is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Fingerprint {
    /// Of all files, byte for byte.
    pub files: String,
    /// Of each top-level section and key, by name: comments and spelling don't count.
    pub sections: BTreeMap<String, String>,
}

/// `[telemetry.traces]`.
#[derive(Debug, Clone)]
pub struct TracesConfig {
    /// The collector's OTLP/HTTP address, path included.
    pub endpoint: Url,
    /// Authorities of an `https://` collector; `None`: public ones.
    pub ca: Option<PathBuf>,
    /// Value of the header `Authorization`, when the collector wants one.
    pub authorization: Option<SecretSource>,
    /// One of so many requests is traced. Default 1: each.
    pub one_in: u64,
    /// This replica's name among the others. Default: the proxy listener's address.
    pub instance: String,
}

/// `[limits]`.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Longest request head in bytes. Default 196608.
    pub head: usize,
    /// Longest assertion in bytes. Default 65536.
    pub assertion: usize,
    /// Time a client may take to send a request head. Default 30 s.
    pub head_timeout: Duration,
    /// Connections at once on the proxy listener. Default 20000.
    pub connections: usize,
    /// Time open requests and sockets have to end after SIGTERM. Default 30 s.
    pub drain: Duration,
    /// After SIGTERM, how long everything is still served while the health path answers 503, so that
    /// new requests go to other replicas. Default 0 s.
    pub notice: Duration,
}
