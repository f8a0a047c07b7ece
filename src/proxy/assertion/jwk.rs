//! One key of a set, parsed once: JWK in, something that verifies out.

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents,
};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::Algorithm;
use jsonwebtoken::crypto::JwtVerifier;
use jsonwebtoken::jwk::{
    AlgorithmParameters, EllipticCurve, Jwk, KeyAlgorithm, KeyOperations, PublicKeyUse,
};
use jsonwebtoken::signature::{Error, Verifier};

/// Bytes of a P-256 coordinate.
const COORDINATE: usize = 32;

/// Bytes of a 2048-bit and of an 8192-bit modulus.
const MODULUS: std::ops::RangeInclusive<usize> = 256..=1024;

/// A public key and the one algorithm it is for.
pub(super) struct PublicKey {
    algorithm: Algorithm,
    key: ParsedPublicKey,
}

impl PublicKey {
    /// Parses a JWK; `Err` says why it is no key for assertions.
    pub(super) fn from_jwk(jwk: &Jwk) -> Result<Self, &'static str> {
        let common = &jwk.common;
        if !matches!(common.public_key_use, None | Some(PublicKeyUse::Signature)) {
            return Err("use is not sig");
        }
        if let Some(operations) = &common.key_operations
            && !operations.contains(&KeyOperations::Verify)
        {
            return Err("key_ops lacks verify");
        }
        let (algorithm, named, key) = match &jwk.algorithm {
            // Pomerium labels a P-384 key ES256 too (recordings/pomerium/08c): the curve decides.
            AlgorithmParameters::EllipticCurve(ec) if ec.curve == EllipticCurve::P256 => {
                (Algorithm::ES256, KeyAlgorithm::ES256, p256(&ec.x, &ec.y)?)
            }
            AlgorithmParameters::EllipticCurve(_) => return Err("the curve is not P-256"),
            AlgorithmParameters::RSA(key) => {
                (Algorithm::RS256, KeyAlgorithm::RS256, rsa(&key.n, &key.e)?)
            }
            _ => return Err("kty is neither EC nor RSA"),
        };
        if common.key_algorithm.is_some_and(|alg| alg != named) {
            return Err("alg does not fit kty");
        }
        Ok(Self { algorithm, key })
    }
}

fn p256(x: &str, y: &str) -> Result<ParsedPublicKey, &'static str> {
    const WRONG: &str = "x and y are no point of P-256";
    // SEC 1 §2.3.3: an uncompressed point.
    let mut point = vec![4];
    for coordinate in [x, y] {
        let bytes = URL_SAFE_NO_PAD.decode(coordinate).map_err(|_| WRONG)?;
        if bytes.len() != COORDINATE {
            return Err(WRONG);
        }
        point.extend_from_slice(&bytes);
    }
    ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point).map_err(|_| WRONG)
}

fn rsa(n: &str, e: &str) -> Result<ParsedPublicKey, &'static str> {
    const WRONG: &str = "n and e are no RSA key of 2048 to 8192 bits";
    let n = URL_SAFE_NO_PAD.decode(n).map_err(|_| WRONG)?;
    let e = URL_SAFE_NO_PAD.decode(e).map_err(|_| WRONG)?;
    // The top bit counts: a shorter number in as many bytes is a smaller key.
    if !MODULUS.contains(&n.len()) || n.first().is_none_or(|top| top & 0x80 == 0) {
        return Err(WRONG);
    }
    RsaPublicKeyComponents { n, e }
        .to_parsed_public_key(&RSA_PKCS1_2048_8192_SHA256)
        .map_err(|_| WRONG)
}

impl Verifier<Vec<u8>> for PublicKey {
    fn verify(&self, message: &[u8], signature: &Vec<u8>) -> Result<(), Error> {
        self.key
            .verify_sig(message, signature)
            .map_err(|_| Error::new())
    }
}

impl JwtVerifier for PublicKey {
    fn algorithm(&self) -> Algorithm {
        self.algorithm
    }
}
