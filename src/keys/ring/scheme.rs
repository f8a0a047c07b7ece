//! The two ways our keys sign, through aws-lc-rs, behind jsonwebtoken's own traits: Ed25519
//! (RFC 8032, RFC 8037) for what only we verify, ES256 (RFC 7518 §3.4) for what any stock library
//! must.

use super::RingError;
use crate::store::KeyKind;
use crate::types::KeyId;
use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::error::KeyRejected;
use aws_lc_rs::pkcs8::Document;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, ED25519, EcdsaKeyPair,
    Ed25519KeyPair, KeyPair, ParsedPublicKey,
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::Algorithm;
use jsonwebtoken::crypto::{JwtSigner, JwtVerifier};
use jsonwebtoken::signature::{Error as SignatureError, Signer, Verifier};

/// How keys of a kind sign.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::keys) enum Scheme {
    /// Public keys are 32 bytes.
    Ed25519,
    /// On P-256; public keys are uncompressed points of 65 bytes (SEC 1 §2.3.3).
    Es256,
}

impl Scheme {
    /// The scheme of a kind. One kind, one scheme, for ever: a key's kind says how it is read.
    pub(in crate::keys) const fn of(kind: KeyKind) -> Self {
        match kind {
            KeyKind::Session => Self::Ed25519,
            KeyKind::AccessToken | KeyKind::Introspection => Self::Es256,
        }
    }

    /// `alg` (RFC 7518 §3.1, RFC 8037 §3.1).
    pub(super) const fn alg(self) -> &'static str {
        match self {
            Self::Ed25519 => "EdDSA",
            Self::Es256 => "ES256",
        }
    }

    const fn algorithm(self) -> Algorithm {
        match self {
            Self::Ed25519 => Algorithm::EdDSA,
            Self::Es256 => Algorithm::ES256,
        }
    }

    /// A new key: its private half as PKCS#8, and its public half.
    pub(in crate::keys) fn generate(self) -> Result<(Document, Vec<u8>), RingError> {
        let made = match self {
            Self::Ed25519 => Ed25519KeyPair::generate()
                .and_then(|pair| Ok((pair.to_pkcs8()?, pair.public_key().as_ref().to_vec()))),
            Self::Es256 => EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING)
                .and_then(|pair| Ok((pair.to_pkcs8v1()?, pair.public_key().as_ref().to_vec()))),
        };
        made.map_err(|_| RingError::Crypto)
    }

    /// Reads a private half.
    pub(super) fn private(self, pkcs8: &[u8]) -> Result<PrivateKey, KeyRejected> {
        Ok(match self {
            Self::Ed25519 => PrivateKey::Ed25519(Ed25519KeyPair::from_pkcs8(pkcs8)?),
            Self::Es256 => PrivateKey::Es256(
                EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8)?,
                SystemRandom::new(),
            ),
        })
    }

    /// Reads a public half.
    pub(super) fn public(self, public: &[u8]) -> Result<PublicKey, KeyRejected> {
        let parsed = match self {
            Self::Ed25519 => ParsedPublicKey::new(&ED25519, public)?,
            Self::Es256 => ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, public)?,
        };
        Ok(PublicKey(self, parsed))
    }

    /// RFC 7638 §3: the hash of the required members in lexicographic order (RFC 8037 §2, RFC 7518
    /// §6.2.1). `None` when it is no public key of this scheme.
    pub(in crate::keys) fn thumbprint(self, public: &[u8]) -> Option<String> {
        let json = match (self, self.coordinates(public)?) {
            (Self::Ed25519, (x, _)) => format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{x}"}}"#),
            (Self::Es256, (x, y)) => {
                format!(r#"{{"crv":"P-256","kty":"EC","x":"{x}","y":"{y}"}}"#)
            }
        };
        Some(URL_SAFE_NO_PAD.encode(digest(&SHA256, json.as_bytes())))
    }

    /// The public half as a JWK (RFC 7517). Everything in it is base64url, so nothing needs
    /// escaping.
    pub(super) fn jwk(self, public: &[u8], kid: &KeyId) -> Option<String> {
        let key = match (self, self.coordinates(public)?) {
            (Self::Ed25519, (x, _)) => format!(r#""kty":"OKP","crv":"Ed25519","x":"{x}""#),
            (Self::Es256, (x, y)) => format!(r#""kty":"EC","crv":"P-256","x":"{x}","y":"{y}""#),
        };
        let alg = self.alg();
        Some(format!(
            r#"{{{key},"kid":"{kid}","use":"sig","alg":"{alg}"}}"#
        ))
    }

    /// The coordinates, encoded; `y` is empty where there is none.
    fn coordinates(self, public: &[u8]) -> Option<(String, String)> {
        let encode = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        match self {
            Self::Ed25519 => (public.len() == 32).then(|| (encode(public), String::new())),
            Self::Es256 => {
                let point = public.strip_prefix(&[4])?;
                let (x, y) = point.split_at_checked(32)?;
                (y.len() == 32).then(|| (encode(x), encode(y)))
            }
        }
    }
}

/// A private half that was parsed once.
pub(super) enum PrivateKey {
    Ed25519(Ed25519KeyPair),
    Es256(EcdsaKeyPair, SystemRandom),
}

impl PrivateKey {
    pub(super) fn public(&self) -> &[u8] {
        match self {
            Self::Ed25519(pair) => pair.public_key().as_ref(),
            Self::Es256(pair, _) => pair.public_key().as_ref(),
        }
    }
}

impl Signer<Vec<u8>> for PrivateKey {
    fn try_sign(&self, message: &[u8]) -> Result<Vec<u8>, SignatureError> {
        let signature = match self {
            Self::Ed25519(pair) => pair.try_sign(message),
            Self::Es256(pair, random) => pair.sign(random, message),
        };
        signature
            .map(|signature| signature.as_ref().to_vec())
            .map_err(|_| SignatureError::new())
    }
}

impl JwtSigner for PrivateKey {
    fn algorithm(&self) -> Algorithm {
        match self {
            Self::Ed25519(_) => Scheme::Ed25519.algorithm(),
            Self::Es256(..) => Scheme::Es256.algorithm(),
        }
    }
}

/// A public half that was parsed once.
pub(super) struct PublicKey(Scheme, ParsedPublicKey);

impl Verifier<Vec<u8>> for PublicKey {
    fn verify(&self, message: &[u8], signature: &Vec<u8>) -> Result<(), SignatureError> {
        self.1
            .verify_sig(message, signature)
            .map_err(|_| SignatureError::new())
    }
}

impl JwtVerifier for PublicKey {
    fn algorithm(&self) -> Algorithm {
        self.0.algorithm()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(text: &str) -> Vec<u8> {
        URL_SAFE_NO_PAD.decode(text).unwrap()
    }

    /// RFC 8037 appendix A.2 and A.3.
    #[test]
    fn the_thumbprint_of_an_ed25519_key_is_that_of_the_rfc() {
        let public = bytes("11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo");
        assert_eq!(
            Scheme::Ed25519.thumbprint(&public).unwrap(),
            "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"
        );
    }

    /// The key of RFC 7517 appendix A.1, by the library that does JWKs for everybody else.
    #[test]
    fn the_thumbprint_of_a_p256_key_is_that_of_the_library() {
        let mut public = vec![4];
        public.extend(bytes("MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4"));
        public.extend(bytes("4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM"));
        let kid = KeyId::new("k").unwrap();
        let jwk = Scheme::Es256.jwk(&public, &kid).unwrap();
        let jwk: jsonwebtoken::jwk::Jwk = serde_json::from_str(&jwk).unwrap();
        assert_eq!(
            jwk.thumbprint(jsonwebtoken::jwk::ThumbprintHash::SHA256)
                .unwrap(),
            Scheme::Es256.thumbprint(&public).unwrap()
        );
    }

    #[test]
    fn a_public_key_of_the_other_scheme_is_none() {
        for (one, other) in [
            (Scheme::Ed25519, Scheme::Es256),
            (Scheme::Es256, Scheme::Ed25519),
        ] {
            let (pkcs8, public) = one.generate().unwrap();
            assert!(one.thumbprint(&public).is_some());
            assert!(other.thumbprint(&public).is_none());
            assert!(other.public(&public).is_err());
            assert!(other.private(pkcs8.as_ref()).is_err());
        }
        let mut compressed = Scheme::Es256.generate().unwrap().1;
        compressed[0] = 2;
        compressed.truncate(33);
        assert!(Scheme::Es256.thumbprint(&compressed).is_none());
    }

    #[test]
    fn what_is_signed_verifies_and_has_the_rfcs_form() {
        for scheme in [Scheme::Ed25519, Scheme::Es256] {
            let (pkcs8, public) = scheme.generate().unwrap();
            let private = scheme.private(pkcs8.as_ref()).unwrap();
            assert_eq!(private.public(), public);
            let signature = private.try_sign(b"text").unwrap();
            // RFC 7518 §3.4: r and s, 32 bytes each, not DER; RFC 8032: 64 bytes too.
            assert_eq!(signature.len(), 64);
            let key = scheme.public(&public).unwrap();
            assert!(key.verify(b"text", &signature).is_ok());
            assert!(key.verify(b"Text", &signature).is_err());
            assert_eq!(key.algorithm(), private.algorithm());
        }
    }
}
