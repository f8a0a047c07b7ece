//! The ring of our own signing keys: an unchanging snapshot of what the store holds, parsed once.
//! Whoever needs it live keeps it in an `ArcSwap` and loads it anew when the revocation log says
//! `Keys`. How keys change is in [`super::rotation`].
//!
//! Ed25519 (RFC 8032, RFC 8037), through aws-lc-rs, behind jsonwebtoken's own traits.
//!
//! The store is not trusted with who we are: a key counts only if its `kid` is the thumbprint of
//! its public key and its sealed part, opened under the master key, says the same. Whoever can
//! write to the store but lacks the master key can't add a key of their own.

use super::master::MasterKey;
use super::random::NoRandomness;
use super::seal::{OpenError, Purpose, RewrapError, SealError};
use super::session_token;
use crate::store::{KeyState, Store, StoreError, StoredKey};
use crate::types::{KeyId, Timestamp};
use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair, ParsedPublicKey};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::Algorithm;
use jsonwebtoken::crypto::{JwtSigner, JwtVerifier};
use jsonwebtoken::signature::{Error as SignatureError, Signer, Verifier};
use std::fmt;
use std::sync::Arc;

/// Why a ring can't be had or changed.
#[derive(Debug, thiserror::Error)]
pub enum RingError {
    /// The sealed part of a key does not open.
    #[error("signing key {kid} does not open: it {source}")]
    Open {
        /// Which key.
        kid: KeyId,
        /// Why.
        source: OpenError,
    },
    /// A key is not what its record says.
    #[error("signing key {kid} is not what its record says: {why}")]
    Inconsistent {
        /// Which key.
        kid: KeyId,
        /// What does not fit.
        why: &'static str,
    },
    /// No key signs: `ensure` was never called.
    #[error("no key signs; start the bridge once, or run `auth-manager keys rotate`")]
    NoSigningKey,
    /// There is no such key.
    #[error("there is no signing key {0}")]
    Unknown(KeyId),
    /// The key's state does not allow what was asked.
    #[error("signing key {kid} is {state}: {why}")]
    State {
        /// Which key.
        kid: KeyId,
        /// Its state.
        state: KeyState,
        /// What to do instead.
        why: &'static str,
    },
    /// The crypto library refuses.
    #[error("the crypto library could not make a signing key")]
    Crypto,
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A key could not be sealed.
    #[error(transparent)]
    Seal(#[from] SealError),
    /// A key could not be sealed anew.
    #[error(transparent)]
    Rewrap(#[from] RewrapError),
    /// No random bytes.
    #[error(transparent)]
    Random(#[from] NoRandomness),
}

/// One key that verifies, and signs if it has its private half.
pub struct RingKey {
    id: KeyId,
    state: KeyState,
    state_since: Timestamp,
    public: [u8; 32],
    /// The JWS header of what this key signs, encoded: the only one that is accepted.
    header: String,
    verifier: Ed25519Verifier,
    signer: Option<Ed25519Signer>,
}

impl RingKey {
    /// RFC 7638 thumbprint of the public key.
    #[must_use]
    pub fn id(&self) -> &KeyId {
        &self.id
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

    pub(super) fn header(&self) -> &str {
        &self.header
    }

    /// Verifies with this key.
    #[must_use]
    pub fn verifier(&self) -> &impl JwtVerifier {
        &self.verifier
    }
}

/// The signing keys at one moment. Revoked keys are not in it.
pub struct Ring {
    epoch: u64,
    /// Oldest first.
    keys: Vec<RingKey>,
    /// Which of them signs.
    signing: usize,
    jwks: Arc<str>,
}

impl Ring {
    /// Reads the ring from the store.
    ///
    /// # Errors
    /// When the store does not answer, a key does not open, is not what its record says, or none
    /// signs ([`super::rotation::ensure`] makes the first).
    pub async fn load(store: &dyn Store, master: &MasterKey) -> Result<Self, RingError> {
        Self::new(&store.signing_keys().await?, master)
    }

    /// The ring of these records.
    ///
    /// # Errors
    /// As [`Ring::load`], but for the store.
    pub fn new(stored: &[StoredKey], master: &MasterKey) -> Result<Self, RingError> {
        let keys = stored
            .iter()
            .filter(|key| key.state != KeyState::Revoked)
            .map(|key| open(key, master))
            .collect::<Result<Vec<_>, _>>()?;
        // Two keys can be `signing` when a promotion was cut short: the newer one signs.
        let signing = (keys.iter().enumerate())
            .filter(|(_, key)| key.state == KeyState::Signing)
            .max_by_key(|(at, key)| (key.state_since, *at))
            .map(|(at, _)| at)
            .ok_or(RingError::NoSigningKey)?;
        Ok(Self {
            epoch: epoch(stored),
            jwks: jwks(&keys).into(),
            keys,
            signing,
        })
    }

    /// Changes whenever the keys or their states change, and is the same on every replica: a
    /// cached signature result is good only under the epoch it was made in (T17).
    #[must_use]
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// The key that signs.
    #[must_use]
    pub fn signing(&self) -> &RingKey {
        &self.keys[self.signing]
    }

    /// Signs with the current key.
    ///
    /// # Errors
    /// When the crypto library refuses.
    pub fn sign(&self, bytes: &[u8]) -> Result<Vec<u8>, RingError> {
        let signer = self.signing().signer.as_ref();
        signer
            .and_then(|signer| signer.try_sign(bytes).ok())
            .ok_or(RingError::Crypto)
    }

    /// The key whose header this is, byte for byte.
    pub(super) fn key_by_header(&self, header: &str) -> Option<&RingKey> {
        self.keys.iter().find(|key| key.header == header)
    }

    /// A key that verifies: announced (another replica may sign with it already), signing or
    /// retired; never a revoked one.
    #[must_use]
    pub fn key(&self, kid: &str) -> Option<&RingKey> {
        self.keys.iter().find(|key| key.id.as_str() == kid)
    }

    /// Whether `signature` over `bytes` is of the key `kid`, which must be in the ring.
    #[must_use]
    pub fn verify(&self, kid: &str, bytes: &[u8], signature: &[u8]) -> bool {
        self.key(kid)
            .is_some_and(|key| key.verifier.0.verify_sig(bytes, signature).is_ok())
    }

    /// The keys, oldest first.
    #[must_use]
    pub fn keys(&self) -> &[RingKey] {
        &self.keys
    }

    /// Our public keys as a JWK set (RFC 7517, RFC 8037), announced ones included.
    #[must_use]
    pub fn jwks(&self) -> Arc<str> {
        Arc::clone(&self.jwks)
    }
}

impl fmt::Debug for Ring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ring")
            .field("epoch", &self.epoch)
            .field("keys", &self.keys.len())
            .field("signing", &self.signing().id)
            .finish()
    }
}

/// Signs JWS with a key pair that was parsed once.
struct Ed25519Signer(Ed25519KeyPair);

impl Signer<Vec<u8>> for Ed25519Signer {
    fn try_sign(&self, message: &[u8]) -> Result<Vec<u8>, SignatureError> {
        self.0
            .try_sign(message)
            .map(|signature| signature.as_ref().to_vec())
            .map_err(|_| SignatureError::new())
    }
}

impl JwtSigner for Ed25519Signer {
    fn algorithm(&self) -> Algorithm {
        Algorithm::EdDSA
    }
}

/// Verifies JWS with a public key that was parsed once.
struct Ed25519Verifier(ParsedPublicKey);

impl Verifier<Vec<u8>> for Ed25519Verifier {
    fn verify(&self, message: &[u8], signature: &Vec<u8>) -> Result<(), SignatureError> {
        self.0
            .verify_sig(message, signature)
            .map_err(|_| SignatureError::new())
    }
}

impl JwtVerifier for Ed25519Verifier {
    fn algorithm(&self) -> Algorithm {
        Algorithm::EdDSA
    }
}

/// Parses a key and checks that the master key vouches for it.
pub(super) fn open(stored: &StoredKey, master: &MasterKey) -> Result<RingKey, RingError> {
    let inconsistent = |why| RingError::Inconsistent {
        kid: stored.id.clone(),
        why,
    };
    let public: [u8; 32] = stored.public[..]
        .try_into()
        .map_err(|_| inconsistent("its public key is not 32 bytes long"))?;
    if thumbprint(&public) != stored.id.as_str() {
        return Err(inconsistent(
            "its id is not the thumbprint of its public key",
        ));
    }
    let retired = stored.state == KeyState::Retired;
    let purpose = if retired {
        Purpose::RetiredKey(&stored.id)
    } else {
        Purpose::SigningKey(&stored.id)
    };
    let plain = master
        .open(purpose, &stored.sealed)
        .map_err(|source| RingError::Open {
            kid: stored.id.clone(),
            source,
        })?;
    let (vouched, signer) = if retired {
        (plain[..] == public, None)
    } else {
        let pair = Ed25519KeyPair::from_pkcs8(&plain)
            .map_err(|_| inconsistent("its private key can't be read"))?;
        (
            pair.public_key().as_ref() == public,
            Some(Ed25519Signer(pair)),
        )
    };
    if !vouched {
        return Err(inconsistent(
            "its sealed part belongs to another public key",
        ));
    }
    let verifier = ParsedPublicKey::new(&ED25519, public)
        .map_err(|_| inconsistent("its public key can't be read"))?;
    Ok(RingKey {
        id: stored.id.clone(),
        state: stored.state,
        state_since: stored.state_since,
        public,
        header: session_token::header(&stored.id),
        verifier: Ed25519Verifier(verifier),
        signer,
    })
}

/// RFC 7638 §3 with the members RFC 8037 §2 requires, in lexicographic order.
pub(in crate::keys) fn thumbprint(public: &[u8; 32]) -> String {
    let x = URL_SAFE_NO_PAD.encode(public);
    let json = format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{x}"}}"#);
    URL_SAFE_NO_PAD.encode(digest(&SHA256, json.as_bytes()))
}

/// Everything in it is base64url, so nothing needs escaping.
fn jwks(keys: &[RingKey]) -> String {
    let keys: Vec<_> = keys
        .iter()
        .map(|key| {
            let (x, kid) = (URL_SAFE_NO_PAD.encode(key.public), &key.id);
            format!(
                r#"{{"kty":"OKP","crv":"Ed25519","x":"{x}","kid":"{kid}","use":"sig","alg":"EdDSA"}}"#
            )
        })
        .collect();
    format!(r#"{{"keys":[{}]}}"#, keys.join(","))
}

/// The first 8 bytes of a hash over every key and its state.
fn epoch(stored: &[StoredKey]) -> u64 {
    let mut text = Vec::new();
    for key in stored {
        super::push_part(&mut text, key.id.as_str().as_bytes());
        super::push_part(&mut text, key.state.as_str().as_bytes());
    }
    let hash = digest(&SHA256, &text);
    hash.as_ref()
        .first_chunk()
        .map_or(0, |first| u64::from_be_bytes(*first))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::testing::{master, ring_of, stored};

    /// RFC 8037 appendix A.2 and A.3.
    #[test]
    fn the_thumbprint_is_that_of_the_rfc() {
        let x = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";
        let public: [u8; 32] = URL_SAFE_NO_PAD.decode(x).unwrap().try_into().unwrap();
        assert_eq!(
            thumbprint(&public),
            "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"
        );
    }

    #[test]
    fn what_is_signed_verifies_under_its_key_only() {
        use KeyState::{Announced, Signing};
        let ring = ring_of(&master(), &[Announced, Signing]);
        let signature = ring.sign(b"text").unwrap();
        let (other, own) = (ring.keys()[0].id().as_str(), ring.signing().id().as_str());
        assert!(ring.verify(own, b"text", &signature));
        assert!(!ring.verify(own, b"Text", &signature));
        assert!(!ring.verify(other, b"text", &signature));
        assert!(!ring.verify("none", b"text", &signature));
        assert!(!ring.verify(own, b"text", &signature[..63]));
        assert_eq!(ring.signing().verifier().algorithm(), Algorithm::EdDSA);
    }

    #[test]
    fn the_jwk_set_holds_public_keys_and_nothing_else() {
        use KeyState::{Announced, Retired, Revoked, Signing};
        let ring = ring_of(&master(), &[Retired, Revoked, Signing, Announced]);
        let set: jsonwebtoken::jwk::JwkSet = serde_json::from_str(&ring.jwks()).unwrap();
        assert_eq!(set.keys.len(), 3);
        for key in &set.keys {
            let kid = key.common.key_id.as_deref().unwrap();
            assert!(ring.key(kid).is_some());
        }
        assert!(!ring.jwks().contains("\"d\""));
    }

    #[test]
    fn the_newest_of_two_signing_keys_signs() {
        use KeyState::Signing;
        let ring = ring_of(&master(), &[Signing, Signing]);
        assert_eq!(ring.signing().id(), ring.keys()[1].id());
    }

    #[test]
    fn the_epoch_follows_keys_and_states() {
        let master = master();
        let (mut one, two) = (
            stored(&master, KeyState::Announced, 1).0,
            stored(&master, KeyState::Signing, 1).0,
        );
        let epoch = |keys: &[StoredKey]| Ring::new(keys, &master).unwrap().epoch();
        let before = epoch(&[one.clone(), two.clone()]);
        assert_eq!(before, epoch(&[one.clone(), two.clone()]));
        assert_ne!(before, epoch(std::slice::from_ref(&two)));
        one.state = KeyState::Revoked;
        assert_ne!(before, epoch(&[one, two]));
    }

    #[test]
    fn a_key_that_the_master_key_does_not_vouch_for_is_refused() {
        let (master, stranger) = (master(), master());
        for state in [KeyState::Announced, KeyState::Signing, KeyState::Retired] {
            let good = stored(&master, KeyState::Signing, 1).0;
            let ring = |key: StoredKey| Ring::new(&[good.clone(), key], &master).map(drop);
            let own = stored(&master, state, 2).0;
            ring(own.clone()).unwrap();
            let foreign = stored(&stranger, state, 2).0;
            assert!(matches!(ring(foreign.clone()), Err(RingError::Open { .. })));

            // Another public key, with and without the id that fits it.
            let mut planted = own.clone();
            planted.public.clone_from(&foreign.public);
            assert!(matches!(
                ring(planted.clone()),
                Err(RingError::Inconsistent { .. })
            ));
            planted.id = foreign.id;
            assert!(matches!(ring(planted), Err(RingError::Open { .. })));

            // A revoked key can't be brought back: nothing vouches for it.
            let mut revived = own;
            revived.sealed.clear();
            assert!(matches!(ring(revived), Err(RingError::Open { .. })));
        }
    }
}
