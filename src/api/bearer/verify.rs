//! [`BearerIssuer`]: the checks in their order, for one issuer.

use super::claims::{Claims, Confirmation};
use super::used::Used;
use super::{OneUse, Token, Wrong};
use crate::config::{ApiIssuerConfig, ApiIssuerProfile, BearerAlgorithm, TokenTyp};
use crate::jwks::compact::{self, Header, Parts};
use crate::jwks::{Algorithm, KeySource};
use crate::types::{Scope, Subject, Timestamp};
use aws_lc_rs::digest::{SHA256, digest};
use std::collections::BTreeSet;
use std::sync::Arc;

/// Longest `jti` in bytes.
const MAX_JTI: usize = 255;

/// One of `[[api_issuers]]`, with its keys.
pub struct BearerIssuer {
    config: ApiIssuerConfig,
    keys: Arc<KeySource>,
    used: Used,
}

/// What is wrong, for the log.
fn wrong<T>(reason: &'static str) -> Result<T, Wrong> {
    Err(Wrong::Token(reason))
}

/// As the key set names it.
fn jose(algorithm: BearerAlgorithm) -> Algorithm {
    match algorithm {
        BearerAlgorithm::RS256 => Algorithm::RS256,
        BearerAlgorithm::RS384 => Algorithm::RS384,
        BearerAlgorithm::RS512 => Algorithm::RS512,
        BearerAlgorithm::PS256 => Algorithm::PS256,
        BearerAlgorithm::PS384 => Algorithm::PS384,
        BearerAlgorithm::PS512 => Algorithm::PS512,
        BearerAlgorithm::ES256 => Algorithm::ES256,
        BearerAlgorithm::ES384 => Algorithm::ES384,
        BearerAlgorithm::EdDSA => Algorithm::EdDSA,
    }
}

impl BearerIssuer {
    /// An issuer. `keys` must be for the configured algorithms ([`BearerIssuer::algorithms`]).
    #[must_use]
    pub fn new(config: ApiIssuerConfig, keys: Arc<KeySource>) -> Arc<Self> {
        Arc::new(Self {
            used: Used::new(config.jti_entries),
            config,
            keys,
        })
    }

    /// The algorithms that a configuration allows.
    #[must_use]
    pub fn algorithms(config: &ApiIssuerConfig) -> Vec<Algorithm> {
        config.algorithms.iter().copied().map(jose).collect()
    }

    /// As configured.
    #[must_use]
    pub fn config(&self) -> &ApiIssuerConfig {
        &self.config
    }

    /// Its keys.
    #[must_use]
    pub fn keys(&self) -> &Arc<KeySource> {
        &self.keys
    }

    /// Whether a token says that it is of this issuer. Proves nothing.
    pub(super) fn is(&self, claims: &Claims<'_>) -> bool {
        claims.iss.as_deref() == Some(self.config.issuer.as_str())
    }

    /// Everything that must hold. The last step uses a client assertion up.
    pub(super) fn check(
        &self,
        parts: &Parts<'_>,
        claims: &Claims<'_>,
        audience: &str,
        now: Timestamp,
    ) -> Result<Token, Wrong> {
        let header = compact::header(parts.header).map_err(|e| Wrong::Token(e.0))?;
        self.check_signature(&header, parts, now)?;
        self.check_typ(&header)?;
        self.check_audience(claims, audience)?;
        let expires = self.check_times(claims, now)?;
        let sub = claims.sub.as_deref().unwrap_or_default();
        let sub = Subject::new(sub).map_err(|_| Wrong::Token("sub is missing or unfit"))?;
        let thumbprint = match claims.cnf {
            None => None,
            Some(Confirmation::Certificate(hash)) => Some(hash),
            Some(Confirmation::Other) => {
                return wrong("cnf binds it to something that can't be checked here");
            }
        };
        let assertion = match self.config.profile {
            ApiIssuerProfile::AccessToken => None,
            ApiIssuerProfile::ClientAssertion => Some(self.use_up(claims, expires, now)?),
        };
        Ok(Token {
            issuer: self.config.id.clone(),
            sub,
            assertion,
            scopes: claims.scope.as_deref().map(scopes),
            thumbprint,
        })
    }

    /// RFC 8725 §3.1: the configuration says which algorithms, the key which one; the token only
    /// agrees.
    fn check_signature(
        &self,
        header: &Header,
        parts: &Parts<'_>,
        now: Timestamp,
    ) -> Result<(), Wrong> {
        let mut allowed = self.config.algorithms.iter().copied();
        let Some(algorithm) = allowed.find(|a| a.as_str() == header.alg) else {
            return wrong("alg is not allowed for this issuer");
        };
        let signature = parts.signature().map_err(|e| Wrong::Token(e.0))?;
        let keys = self.keys.current(now).map_err(|e| Wrong::NoKeys(e.0))?;
        if keys.find(&header.kid).is_none() {
            return Err(Wrong::UnknownKey);
        }
        match keys.find_for(&header.kid, jose(algorithm)) {
            None => wrong("alg is not the key's"),
            Some(key) if !key.verifies(parts.signed, &signature) => {
                wrong("the key does not verify its signature")
            }
            Some(_) => Ok(()),
        }
    }

    /// RFC 8725 §3.11: what is one kind of token is never taken for another.
    fn check_typ(&self, header: &Header) -> Result<(), Wrong> {
        let typ = header.typ.as_deref().map(str::to_ascii_lowercase);
        let typ = typ
            .as_deref()
            .map(|t| t.strip_prefix("application/").unwrap_or(t));
        let fits = match (self.config.profile, self.config.typ) {
            (ApiIssuerProfile::AccessToken, TokenTyp::AccessToken) => typ == Some("at+jwt"),
            (ApiIssuerProfile::AccessToken, TokenTyp::Jwt) => matches!(typ, None | Some("jwt")),
            (ApiIssuerProfile::ClientAssertion, _) => {
                matches!(typ, None | Some("jwt" | "client-authentication+jwt"))
            }
        };
        match fits {
            true => Ok(()),
            false => wrong("typ is of another kind of token"),
        }
    }

    /// An access token may be for several; what a client signs for itself is for us alone.
    fn check_audience(&self, claims: &Claims<'_>, audience: &str) -> Result<(), Wrong> {
        let listed = claims.aud.as_ref().map_or(&[][..], |aud| &aud.0);
        let alone = self.config.profile == ApiIssuerProfile::ClientAssertion;
        if !listed.iter().any(|aud| aud == audience) || (alone && listed.len() > 1) {
            return wrong("aud is not the api");
        }
        Ok(())
    }

    /// When it expires.
    fn check_times(&self, claims: &Claims<'_>, now: Timestamp) -> Result<Timestamp, Wrong> {
        let (Some(iat), Some(exp)) = (claims.iat, claims.exp) else {
            return wrong("iat or exp is missing");
        };
        let (iat, exp) = (Timestamp(iat), Timestamp(exp));
        if exp <= iat || exp.since(iat) > self.config.max_lifetime {
            return wrong("exp - iat is not above zero and at most max_lifetime");
        }
        if exp + self.config.leeway <= now {
            return wrong("exp has passed");
        }
        let latest = now + self.config.leeway;
        if iat > latest || claims.nbf.is_some_and(|nbf| Timestamp(nbf) > latest) {
            return wrong("iat or nbf is in the future");
        }
        Ok(exp)
    }

    /// RFC 7523 §3: a client speaks for itself, once.
    fn use_up(
        &self,
        claims: &Claims<'_>,
        expires: Timestamp,
        now: Timestamp,
    ) -> Result<OneUse, Wrong> {
        if claims.sub != claims.iss {
            return wrong("iss and sub of a client assertion differ");
        }
        let jti = claims.jti.as_deref().unwrap_or_default();
        if jti.is_empty() || jti.len() > MAX_JTI {
            return wrong("jti is missing or too long");
        }
        let mut hash = [0; 32];
        hash.copy_from_slice(digest(&SHA256, jti.as_bytes()).as_ref());
        let dies = expires + self.config.leeway;
        self.used.take(hash, now, dies).map_err(Wrong::Token)?;
        Ok(OneUse { jti: hash, dies })
    }
}

/// The scopes of ours in a scope claim (RFC 9068 §2.2.3); words of others grant nothing.
fn scopes(claim: &str) -> BTreeSet<Scope> {
    claim
        .split(' ')
        .filter_map(|word| word.parse().ok())
        .collect()
}
