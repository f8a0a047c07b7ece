//! The checked form of what the api listener needs: `[listen.api]`, `[[clients]]`,
//! `[[api_issuers]]`.

use super::JwksSource;
use crate::types::{ClientId, GroupName, HostName, IssuerId, Scope, Subject};
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// `[listen.api]`.
#[derive(Debug, Clone)]
pub struct ApiListener {
    /// Address to bind.
    pub address: SocketAddr,
    /// Who we are to services: the `iss` of tokens and metadata (RFC 8414 §2). An origin, without
    /// a slash at its end.
    pub issuer: String,
    /// What `aud` of a caller's token must say. Default: the issuer.
    pub audience: String,
    /// TLS; `None` only on loopback or with `insecure_plain_http = true`.
    pub tls: Option<ApiTls>,
    /// Longest request body in bytes. Default 1048576.
    pub body: usize,
    /// How long a request may take, body included. Default 30 s.
    pub timeout: Duration,
    /// Connections at once. Default 1000.
    pub connections: usize,
    /// Requests a second that a client may make for long. Default 50.
    pub rate: u32,
    /// Requests that a client may make at once after a rest. Default 200.
    pub burst: u32,
    /// Whether changes of scope `admin` need a certificate *and* a bearer. Default false.
    pub require_both: bool,
}

/// TLS of the api listener.
#[derive(Debug, Clone)]
pub struct ApiTls {
    /// PEM chain.
    pub certificate: PathBuf,
    /// PEM key.
    pub key: PathBuf,
    /// Authorities of client certificates (PEM); `None`: none is asked for.
    pub client_ca: Option<PathBuf>,
    /// Their revocation lists (PEM, one for each authority that signs); `None`: none is looked at.
    pub client_crl: Option<PathBuf>,
}

/// `[[clients]]`: a service, how it proves who it is, and what it may do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientConfig {
    /// Never change it: tokens and audit records name it.
    pub id: ClientId,
    /// DNS names of its certificates, lower case.
    pub dns_names: Vec<String>,
    /// URI names of its certificates.
    pub uri_names: Vec<String>,
    /// SHA-256 of its public keys (RFC 7469 §2.4).
    pub spki_sha256: Vec<[u8; 32]>,
    /// Whose tokens are its own.
    pub bearer: Option<BearerSubject>,
    /// SHA-256 of its static bearers; only ever with the scopes `hooks` and `scim`.
    pub static_bearer_sha256: Vec<[u8; 32]>,
    /// What it may do; never empty.
    pub scopes: BTreeSet<Scope>,
    /// Hosts of apps whose visitors' assertions it may pass on. Empty: none.
    pub hosts: Vec<HostName>,
    /// Of `[[audiences]]`: those it may exchange tokens for (`exchange`), and ask about the tokens
    /// of (`introspect`). Empty: none.
    pub audiences: Vec<String>,
}

/// `[[audiences]]`: a service that tokens are exchanged for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AudienceConfig {
    /// The `aud` of its tokens.
    pub id: String,
    /// What its tokens may allow; empty: tokens without a scope.
    pub scopes: Vec<String>,
    /// How long a token lives, at most 10 min. Default 5 min.
    pub lifetime: Duration,
    /// What its tokens call a person.
    pub subject: SubjectKind,
    /// What else its tokens say about a person. Default: nothing.
    pub claims: Vec<AudienceClaim>,
    /// Groups that its tokens name, if the person is in them. Default: none.
    pub groups: Vec<GroupName>,
}

/// What a token calls a person.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SubjectKind {
    /// The shadow user's id, the same at every audience.
    Shared,
    /// A name of this audience's own (OpenID Connect Core §8.1).
    Pairwise,
}

/// What a token may say about a person.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AudienceClaim {
    /// `email` and `email_verified`.
    Email,
    /// `name`.
    Name,
    /// `preferred_username`.
    Username,
}

impl AudienceClaim {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Email, Self::Name, Self::Username];

    /// Its word in the configuration.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Email => "email",
            Self::Name => "name",
            Self::Username => "username",
        }
    }
}

/// Whose bearer token a client's is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BearerSubject {
    /// One of `[[api_issuers]]`.
    pub issuer: IssuerId,
    /// The token's `sub`.
    pub sub: Subject,
}

/// What kind of token an issuer signs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ApiIssuerProfile {
    /// Access tokens of an authorization server (RFC 9068): good until they expire.
    AccessToken,
    /// Assertions that a client signs itself (RFC 7523 §3): good once (T18).
    ClientAssertion,
}

/// How `typ` of an access token is spelled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenTyp {
    /// `at+jwt` (RFC 9068 §2.1).
    AccessToken,
    /// `JWT`, or none: what most identity providers still write.
    Jwt,
}

/// Signature algorithms that a caller's token may have (RFC 7518 §3.1, RFC 8037).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "the names are the registry's")]
pub enum BearerAlgorithm {
    RS256,
    RS384,
    RS512,
    PS256,
    PS384,
    PS512,
    ES256,
    ES384,
    EdDSA,
}

impl BearerAlgorithm {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::RS256,
        Self::RS384,
        Self::RS512,
        Self::PS256,
        Self::PS384,
        Self::PS512,
        Self::ES256,
        Self::ES384,
        Self::EdDSA,
    ];

    /// As `alg` writes it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::RS256 => "RS256",
            Self::RS384 => "RS384",
            Self::RS512 => "RS512",
            Self::PS256 => "PS256",
            Self::PS384 => "PS384",
            Self::PS512 => "PS512",
            Self::ES256 => "ES256",
            Self::ES384 => "ES384",
            Self::EdDSA => "EdDSA",
        }
    }
}

/// `[[api_issuers]]`: who signs callers' tokens.
#[derive(Debug, Clone)]
pub struct ApiIssuerConfig {
    /// What `[[clients]]` call it.
    pub id: IssuerId,
    /// The exact `iss` of its tokens.
    pub issuer: String,
    /// What kind of tokens it signs.
    pub profile: ApiIssuerProfile,
    /// How `typ` of its access tokens is spelled.
    pub typ: TokenTyp,
    /// Where its keys come from.
    pub jwks: JwksSource,
    /// Algorithms that are taken; never empty.
    pub algorithms: Vec<BearerAlgorithm>,
    /// Refresh after so long. Default 5 min.
    pub refresh: Duration,
    /// At most one fetch for unknown keys in so long. Default 10 s.
    pub cooldown: Duration,
    /// The last good keys are used for so long while the source fails. Default 24 h.
    pub stale_limit: Duration,
    /// Clock leeway, at most 60 s. Default 30 s.
    pub leeway: Duration,
    /// Longest `exp - iat`, at most 1 h. Default: that; 5 min for client assertions.
    pub max_lifetime: Duration,
    /// Client assertions remembered as used. Default 65536.
    pub jti_entries: usize,
}
