//! The key of the audit trail: signs checkpoints, anchors and exports, and nothing else. Ed25519
//! (RFC 8032) in a compact JWS (RFC 7515) whose `typ` says which of the three it is, so that none
//! stands in for another, nor for a token of the session ring.
//!
//! Its seed lies in the store, sealed under the master key: whoever can write to the store but lacks
//! the master key can't sign a trail of their own. HKDF makes two keys of the seed, the one that
//! signs and one for pseudonyms (no key is used for two purposes).

use super::master::MasterKey;
use super::push_part;
use super::random::{self, NoRandomness};
use super::ring::Scheme;
use super::seal::{OpenError, Purpose, SealError};
use crate::store::{Store, StoreError};
use crate::types::{IssuerId, KeyId, Subject};
use aws_lc_rs::hkdf::{HKDF_SHA256, KeyType, Salt};
use aws_lc_rs::hmac;
use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair, ParsedPublicKey};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::Deserialize;
use std::fmt;
use zeroize::Zeroizing;

/// Why there is no audit key.
#[derive(Debug, thiserror::Error)]
pub enum AuditKeyError {
    /// The stored seed does not open. Another one would make every checkpoint look foreign.
    #[error("the audit seed in the store does not open: it {0}")]
    Open(#[from] OpenError),
    /// It opened, but is not 32 bytes.
    #[error("the audit seed in the store is not 32 bytes long")]
    Length,
    /// The crypto library refuses.
    #[error("the crypto library could not make the audit key")]
    Crypto,
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A new seed could not be sealed.
    #[error(transparent)]
    Seal(#[from] SealError),
    /// No random bytes for a new seed.
    #[error(transparent)]
    Random(#[from] NoRandomness),
}

/// What a signature of the audit key is for: the JWS' `typ`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Statement {
    /// "This record had this hash."
    Checkpoint,
    /// "What came up to this record was removed by the bridge."
    Anchor,
    /// "This export runs from here to there."
    Export,
    /// "The store was restored: after this record the trail is another one from now on."
    Restored,
}

impl Statement {
    const fn typ(self) -> &'static str {
        match self {
            Self::Checkpoint => "audit-checkpoint+jwt",
            Self::Anchor => "audit-anchor+jwt",
            Self::Export => "audit-export+jwt",
            Self::Restored => "audit-restored+jwt",
        }
    }
}

/// Why a signed statement is not believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum StatementError {
    /// Not three parts of canonical base64url.
    #[error("is no statement of the bridge's")]
    Malformed,
    /// Signed under another key, or for another use.
    #[error("is signed under another key or for another use")]
    Header,
    /// The signature is wrong.
    #[error("has a wrong signature")]
    Signature,
}

/// The key that signs, with the one that makes pseudonyms.
pub struct AuditKey {
    pair: Ed25519KeyPair,
    pseudonyms: hmac::Key,
    public: AuditPublicKey,
}

impl AuditKey {
    /// The name of the sealed seed in the store.
    pub const STORED_AS: &'static str = "audit-seed";

    /// The key in the store; makes one at first start. Replicas that start at once agree on the one
    /// that was written first.
    ///
    /// # Errors
    /// When the store does not answer or holds a seed that does not open.
    pub async fn load(store: &dyn Store, master: &MasterKey) -> Result<Self, AuditKeyError> {
        let sealed = match store.secret(Self::STORED_AS).await? {
            Some(sealed) => sealed,
            None => {
                let fresh = Zeroizing::new(random::bytes::<32>()?);
                let fresh = master.seal(Purpose::AuditSeed, &fresh[..])?;
                store.secret_or_insert(Self::STORED_AS, &fresh).await?
            }
        };
        let seed = master.open(Purpose::AuditSeed, &sealed)?;
        if seed.len() != 32 {
            return Err(AuditKeyError::Length);
        }
        Self::from_seed(&seed)
    }

    /// The key of a seed.
    ///
    /// # Errors
    /// When the crypto library refuses.
    pub fn from_seed(seed: &[u8]) -> Result<Self, AuditKeyError> {
        let signing = expand(seed, b"auth-manager audit signing key v1")?;
        let pseudonyms = expand(seed, b"auth-manager audit pseudonyms v1")?;
        let pair =
            Ed25519KeyPair::from_seed_unchecked(&signing[..]).map_err(|_| AuditKeyError::Crypto)?;
        let public = pair.public_key().as_ref().try_into();
        let public = public.map_err(|_| AuditKeyError::Crypto)?;
        Ok(Self {
            pair,
            pseudonyms: hmac::Key::new(hmac::HMAC_SHA256, &pseudonyms[..]),
            public: AuditPublicKey::new(public).ok_or(AuditKeyError::Crypto)?,
        })
    }

    /// Signs a payload.
    #[must_use]
    pub fn sign(&self, what: Statement, payload: &[u8]) -> String {
        let mut token = self.public.header(what);
        token.push('.');
        URL_SAFE_NO_PAD.encode_string(payload, &mut token);
        let signature = self.pair.sign(token.as_bytes());
        token.push('.');
        URL_SAFE_NO_PAD.encode_string(signature, &mut token);
        token
    }

    /// The public half.
    #[must_use]
    pub fn public(&self) -> &AuditPublicKey {
        &self.public
    }

    /// A name for a subject that has no shadow user: 128 bits, the same each time, and nobody without
    /// the key can tell whose.
    #[must_use]
    pub fn pseudonym(&self, issuer: &IssuerId, subject: &Subject) -> String {
        let mut parts = Vec::with_capacity(320);
        push_part(&mut parts, issuer.as_str().as_bytes());
        push_part(&mut parts, subject.as_str().as_bytes());
        let tag = hmac::sign(&self.pseudonyms, &parts);
        URL_SAFE_NO_PAD.encode(tag.as_ref().get(..16).unwrap_or_default())
    }
}

impl fmt::Debug for AuditKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AuditKey({})", self.public.id)
    }
}

/// The half that verifies, also where there is neither store nor master key.
pub struct AuditPublicKey {
    id: KeyId,
    public: [u8; 32],
    verifier: ParsedPublicKey,
}

impl AuditPublicKey {
    fn new(public: [u8; 32]) -> Option<Self> {
        Some(Self {
            id: KeyId::new(Scheme::Ed25519.thumbprint(&public)?).ok()?,
            verifier: ParsedPublicKey::new(&ED25519, public).ok()?,
            public,
        })
    }

    /// RFC 7638 thumbprint.
    #[must_use]
    pub fn id(&self) -> &KeyId {
        &self.id
    }

    /// As a JWK (RFC 8037).
    #[must_use]
    pub fn jwk(&self) -> String {
        let (x, kid) = (URL_SAFE_NO_PAD.encode(self.public), &self.id);
        format!(
            r#"{{"kty":"OKP","crv":"Ed25519","x":"{x}","kid":"{kid}","use":"sig","alg":"EdDSA"}}"#
        )
    }

    /// From a JWK. `None` when it is no Ed25519 key, or its `kid` is another's.
    #[must_use]
    pub fn from_jwk(text: &str) -> Option<Self> {
        #[derive(Deserialize)]
        struct Jwk {
            kty: String,
            crv: String,
            x: String,
            kid: Option<String>,
        }
        let jwk: Jwk = serde_json::from_str(text).ok()?;
        if jwk.kty != "OKP" || jwk.crv != "Ed25519" {
            return None;
        }
        let key = Self::new(URL_SAFE_NO_PAD.decode(jwk.x).ok()?.try_into().ok()?)?;
        let own = jwk.kid.is_none_or(|kid| kid == key.id.as_str());
        own.then_some(key)
    }

    /// The payload of a statement. Only one text is accepted for some bytes, and only the very
    /// header that [`AuditKey::sign`] writes.
    ///
    /// # Errors
    /// When it is not signed under this key for this use.
    pub fn verify(&self, what: Statement, token: &str) -> Result<Vec<u8>, StatementError> {
        let (signed, signature) = token.rsplit_once('.').ok_or(StatementError::Malformed)?;
        let (header, payload) = signed.split_once('.').ok_or(StatementError::Malformed)?;
        if header != self.header(what) {
            return Err(StatementError::Header);
        }
        // This engine refuses padding and set trailing bits.
        let decode = |text| URL_SAFE_NO_PAD.decode(text);
        let signature = decode(signature).map_err(|_| StatementError::Malformed)?;
        self.verifier
            .verify_sig(signed.as_bytes(), &signature)
            .map_err(|_| StatementError::Signature)?;
        decode(payload).map_err(|_| StatementError::Malformed)
    }

    /// Everything in it is base64url or ours: nothing needs escaping.
    fn header(&self, what: Statement) -> String {
        let (typ, kid) = (what.typ(), &self.id);
        URL_SAFE_NO_PAD.encode(format!(r#"{{"alg":"EdDSA","typ":"{typ}","kid":"{kid}"}}"#))
    }
}

struct Length;

impl KeyType for Length {
    fn len(&self) -> usize {
        32
    }
}

/// HKDF-SHA256 without salt: the seed is uniformly random already (RFC 5869 §3.1).
fn expand(seed: &[u8], info: &[u8]) -> Result<Zeroizing<[u8; 32]>, AuditKeyError> {
    let mut key = Zeroizing::new([0; 32]);
    Salt::new(HKDF_SHA256, &[])
        .extract(seed)
        .expand(&[info], Length)
        .and_then(|okm| okm.fill(&mut key[..]))
        .map_err(|_| AuditKeyError::Crypto)?;
    Ok(key)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::testing::{self, KeyStore};

    fn key(seed: u8) -> AuditKey {
        AuditKey::from_seed(&[seed; 32]).unwrap()
    }

    #[test]
    fn a_statement_is_good_for_its_use_and_key_only() {
        use Statement::{Anchor, Checkpoint, Export};
        let key = key(1);
        for what in [Checkpoint, Anchor, Export] {
            let token = key.sign(what, b"payload");
            for asked in [Checkpoint, Anchor, Export] {
                let read = key.public().verify(asked, &token);
                match asked == what {
                    true => assert_eq!(read.unwrap(), b"payload"),
                    false => assert_eq!(read, Err(StatementError::Header)),
                }
            }
            let other = self::key(2);
            assert!(other.public().verify(what, &token).is_err());
        }
    }

    #[test]
    fn a_statement_changed_in_any_byte_is_none() {
        let key = key(1);
        let token = key.sign(Statement::Checkpoint, b"{\"number\":1}");
        for at in 0..token.len() {
            for bit in 0..7 {
                let mut bytes = token.clone().into_bytes();
                bytes[at] ^= 1 << bit;
                let changed = String::from_utf8(bytes).unwrap();
                let read = key.public().verify(Statement::Checkpoint, &changed);
                assert!(read.is_err(), "{at} {bit}");
            }
        }
    }

    #[test]
    fn the_public_half_survives_its_text_and_no_other_key_passes_for_it() {
        let key = key(1);
        let jwk = key.public().jwk();
        assert!(!jwk.contains("\"d\""));
        let read = AuditPublicKey::from_jwk(&jwk).unwrap();
        assert_eq!(read.id(), key.public().id());
        let other = self::key(2);
        let mixed = jwk.replace(key.public().id().as_str(), other.public().id().as_str());
        assert!(AuditPublicKey::from_jwk(&mixed).is_none());
        assert!(AuditPublicKey::from_jwk(&jwk.replace("Ed25519", "P-256")).is_none());
        assert!(AuditPublicKey::from_jwk("{}").is_none());
    }

    #[tokio::test]
    async fn the_seed_is_made_once_and_a_lost_master_key_is_named() {
        let (store, master) = (KeyStore::default(), testing::master());
        let load = || AuditKey::load(&store, &master);
        let (one, two) = tokio::join!(load(), load());
        let one = one.unwrap();
        assert_eq!(one.public().id(), two.unwrap().public().id());
        let lost = AuditKey::load(&store, &testing::master()).await;
        let lost = lost.unwrap_err().to_string();
        assert!(lost.contains("the master key changed"), "{lost}");

        let name = |issuer: &str, subject: &str| {
            one.pseudonym(
                &IssuerId::new(issuer).unwrap(),
                &Subject::new(subject).unwrap(),
            )
        };
        assert_eq!(name("a", "b"), name("a", "b"));
        assert_ne!(name("a", "bc"), name("ab", "c"));
        assert_eq!(name("a", "b").len(), 22);
    }
}
