//! The checked form of `[[directories]]`. What depends on them and is somebody else's concern
//! (webhooks, reconciling, writing) has a table and a file of its own.

use super::ReconcileConfig;
use super::SecretSource;
use super::WriteConfig;
use crate::types::{IssuerId, SourceId};
use std::path::PathBuf;
use std::time::Duration;
use url::Url;

/// `[[directories]]`: an identity provider that is asked about people and groups.
#[derive(Debug, Clone)]
pub struct DirectoryConfig {
    /// Never change it: what the directory said is kept under it.
    pub id: SourceId,
    /// Who vouches for the subjects that it names.
    pub issuer: IssuerId,
    /// Where it is: scheme, host, port, and the path below which its API lives.
    pub url: Url,
    /// Authorities of an `https://` directory; `None`: public ones.
    pub ca: Option<PathBuf>,
    /// People or groups in one answer. Default 100, which is Authentik's most.
    pub page_size: usize,
    /// How long one question may take, the first byte to the last. Default 20 s.
    pub timeout: Duration,
    /// Questions at once. Default 4.
    pub reads: usize,
    /// How old the known tree of groups may be when inherited membership is computed; a hint about
    /// a group reads it anew in any case. Default 60 s.
    pub groups_max_age: Duration,
    /// A token that ends sooner is warned of. Default 14 days.
    pub expiry_warning: Duration,
    /// How its webhooks prove themselves; `None`: it sends none.
    pub hooks: Option<HooksConfig>,
    /// How often it is read whole, and when what follows waits.
    pub reconcile: ReconcileConfig,
    /// What may be done in it by hand or by a CI job; `None`: nothing.
    pub write: Option<WriteConfig>,
    /// What kind it is, and what only that kind has.
    pub kind: DirectoryKind,
}

/// `[directories.hooks]`.
#[derive(Debug, Clone)]
pub struct HooksConfig {
    /// One, or two while it is changed. Never empty.
    pub secrets: Vec<HookSecret>,
    /// Silence of so long is an alarm where the directory's event log can't be asked. Default 7 days.
    pub silent_after: Duration,
}

/// What a webhook proves itself by. The text itself is kept nowhere.
#[derive(Debug, Clone)]
pub struct HookSecret {
    /// Its SHA-256.
    pub sha256: [u8; 32],
    /// Where it is; `None`: only its hash is known here.
    pub source: Option<SecretSource>,
}

/// Which kind of directory.
#[derive(Debug, Clone)]
pub enum DirectoryKind {
    /// Authentik, by its REST API (v3).
    Authentik(AuthentikConfig),
    /// Keycloak, by its Admin REST API.
    Keycloak(KeycloakConfig),
}

/// What only Authentik has.
#[derive(Debug, Clone)]
pub struct AuthentikConfig {
    /// An API token (intent `api`) of a service account; read anew when its file changes.
    pub token: SecretSource,
    /// What Authentik calls that token: whoever says it is warned before it ends.
    pub token_identifier: Option<String>,
    /// Which of a user's immutable ids assertions name.
    pub subject: AuthentikSubject,
    /// Types of users who are people. Default internal and external.
    pub types: Vec<AuthentikType>,
    /// Users at or below these paths are no people. Default `goauthentik.io`, Authentik's own.
    pub ignore: Vec<String>,
}

/// `subject` of Authentik: the subject mode of the OIDC provider that visitors sign in with. Names
/// and addresses are not among them: they change, and may be somebody else's tomorrow (T33).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AuthentikSubject {
    /// *Based on the User's hashed ID*, Authentik's default: `uid`.
    Uid,
    /// *Based on the User's UUID*.
    Uuid,
    /// *Based on the User's ID*: `pk`.
    Pk,
}

/// `type` of a user in Authentik.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AuthentikType {
    /// Of the organisation.
    Internal,
    /// A guest.
    External,
}

impl AuthentikType {
    /// As Authentik writes it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Internal => "internal",
            Self::External => "external",
        }
    }
}

/// What only Keycloak has. Subjects are the user's `id`, which is `sub` of its tokens.
#[derive(Debug, Clone)]
pub struct KeycloakConfig {
    /// The realm.
    pub realm: String,
    /// A confidential client with a service account.
    pub client_id: String,
    /// Its secret; read anew when its file changes.
    pub client_secret: SecretSource,
}

#[cfg(test)]
impl DirectoryConfig {
    /// One at this address, with the defaults.
    pub(crate) fn at(id: &str, url: &Url, kind: DirectoryKind) -> Self {
        Self {
            id: SourceId::new(id).expect("a word"),
            issuer: IssuerId::new("pomerium").expect("a word"),
            url: url.clone(),
            ca: None,
            page_size: 100,
            timeout: Duration::from_secs(5),
            reads: 4,
            groups_max_age: Duration::from_secs(60),
            expiry_warning: Duration::from_secs(14 * 86_400),
            reconcile: ReconcileConfig {
                every: Duration::from_secs(900),
                brake: super::Brake::default(),
            },
            hooks: None,
            write: None,
            kind,
        }
    }
}
