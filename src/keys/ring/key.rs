//! One key of the ring, and how it is taken out of its record.

use super::RingError;
use super::scheme::{PrivateKey, PublicKey, Scheme};
use crate::keys::master::MasterKey;
use crate::keys::seal::Purpose;
use crate::store::{KeyKind, KeyState, StoredKey};
use crate::types::{KeyId, Timestamp};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::crypto::JwtVerifier;
use jsonwebtoken::signature::Signer as _;

/// One key that verifies, and signs if it has its private half.
pub struct RingKey {
    id: KeyId,
    kind: KeyKind,
    state: KeyState,
    state_since: Timestamp,
    /// The JWS header of what this key signs, encoded: the only one that is accepted.
    header: String,
    jwk: String,
    public: PublicKey,
    private: Option<PrivateKey>,
}

impl RingKey {
    /// Parses a key and checks that the master key vouches for it.
    ///
    /// # Errors
    /// `Open` and `Inconsistent`.
    pub(in crate::keys) fn open(stored: &StoredKey, master: &MasterKey) -> Result<Self, RingError> {
        let inconsistent = |why| RingError::Inconsistent {
            kid: stored.id.clone(),
            why,
        };
        let scheme = Scheme::of(stored.kind);
        if scheme.thumbprint(&stored.public).as_deref() != Some(stored.id.as_str()) {
            return Err(inconsistent(
                "its id is not the thumbprint of its public key",
            ));
        }
        let retired = stored.state == KeyState::Retired;
        let purpose = match retired {
            true => Purpose::RetiredKey(stored.kind, &stored.id),
            false => Purpose::SigningKey(stored.kind, &stored.id),
        };
        let plain = master
            .open(purpose, &stored.sealed)
            .map_err(|source| RingError::Open {
                kid: stored.id.clone(),
                source,
            })?;
        let private = match retired {
            true => None,
            false => Some(
                scheme
                    .private(&plain)
                    .map_err(|_| inconsistent("its private key can't be read"))?,
            ),
        };
        let vouched_for = private.as_ref().map_or(&plain[..], PrivateKey::public);
        if vouched_for != stored.public {
            return Err(inconsistent(
                "its sealed part belongs to another public key",
            ));
        }
        let unreadable = || inconsistent("its public key can't be read");
        Ok(Self {
            id: stored.id.clone(),
            kind: stored.kind,
            state: stored.state,
            state_since: stored.state_since,
            header: header(stored.kind, &stored.id),
            jwk: (scheme.jwk(&stored.public, &stored.id)).ok_or_else(unreadable)?,
            public: scheme.public(&stored.public).map_err(|_| unreadable())?,
            private,
        })
    }

    /// RFC 7638 thumbprint of the public key.
    #[must_use]
    pub fn id(&self) -> &KeyId {
        &self.id
    }

    /// What it is for.
    #[must_use]
    pub fn kind(&self) -> KeyKind {
        self.kind
    }

    /// Where it is in its life.
    #[must_use]
    pub fn state(&self) -> KeyState {
        self.state
    }

    /// Since when.
    #[must_use]
    pub fn state_since(&self) -> Timestamp {
        self.state_since
    }

    /// Verifies with this key.
    #[must_use]
    pub fn verifier(&self) -> &impl JwtVerifier {
        &self.public
    }

    pub(in crate::keys) fn header(&self) -> &str {
        &self.header
    }

    pub(super) fn jwk(&self) -> &str {
        &self.jwk
    }

    pub(in crate::keys) fn sign(&self, bytes: &[u8]) -> Result<Vec<u8>, RingError> {
        let private = self.private.as_ref();
        private
            .and_then(|private| private.try_sign(bytes).ok())
            .ok_or(RingError::Crypto)
    }
}

/// The encoded header of what a key of this kind signs. Written by hand, since the order of its
/// members must never change: it is compared as a text.
fn header(kind: KeyKind, kid: &KeyId) -> String {
    let alg = Scheme::of(kind).alg();
    let typ = match kind {
        KeyKind::Session => "session+jwt",
        // RFC 9068 §2.1.
        KeyKind::AccessToken => "at+jwt",
        // RFC 9701 §5.
        KeyKind::Introspection => "token-introspection+jwt",
    };
    // The id is base64url: nothing needs escaping.
    URL_SAFE_NO_PAD.encode(format!(r#"{{"alg":"{alg}","typ":"{typ}","kid":"{kid}"}}"#))
}
