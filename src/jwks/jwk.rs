//! One key of a set, parsed once: JWK in, something that verifies out.

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ED25519, ParsedPublicKey,
    RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_2048_8192_SHA384, RSA_PKCS1_2048_8192_SHA512,
    RSA_PSS_2048_8192_SHA256, RSA_PSS_2048_8192_SHA384, RSA_PSS_2048_8192_SHA512, RsaParameters,
    RsaPublicKeyComponents, VerificationAlgorithm,
};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::Algorithm;
use jsonwebtoken::jwk::{
    AlgorithmParameters, EllipticCurve, Jwk, KeyAlgorithm, KeyOperations, PublicKeyUse,
};

/// Bytes of a 2048-bit and of an 8192-bit modulus.
const MODULUS: std::ops::RangeInclusive<usize> = 256..=1024;

/// Every algorithm of an RSA key, as JWKs name it and as the library verifies it.
const RSA: [(Algorithm, KeyAlgorithm, &RsaParameters); 6] = [
    (
        Algorithm::RS256,
        KeyAlgorithm::RS256,
        &RSA_PKCS1_2048_8192_SHA256,
    ),
    (
        Algorithm::RS384,
        KeyAlgorithm::RS384,
        &RSA_PKCS1_2048_8192_SHA384,
    ),
    (
        Algorithm::RS512,
        KeyAlgorithm::RS512,
        &RSA_PKCS1_2048_8192_SHA512,
    ),
    (
        Algorithm::PS256,
        KeyAlgorithm::PS256,
        &RSA_PSS_2048_8192_SHA256,
    ),
    (
        Algorithm::PS384,
        KeyAlgorithm::PS384,
        &RSA_PSS_2048_8192_SHA384,
    ),
    (
        Algorithm::PS512,
        KeyAlgorithm::PS512,
        &RSA_PSS_2048_8192_SHA512,
    ),
];

/// A public key and the one algorithm it is for.
pub(super) struct PublicKey {
    pub(super) algorithm: Algorithm,
    key: ParsedPublicKey,
}

impl PublicKey {
    /// Parses a JWK, once for each of its algorithms that is `accepted`; `Err` says why there is
    /// none.
    pub(super) fn from_jwk(jwk: &Jwk, accepted: &[Algorithm]) -> Result<Vec<Self>, &'static str> {
        let common = &jwk.common;
        if !matches!(common.public_key_use, None | Some(PublicKeyUse::Signature)) {
            return Err("use is not sig");
        }
        if let Some(operations) = &common.key_operations
            && !operations.contains(&KeyOperations::Verify)
        {
            return Err("key_ops lacks verify");
        }
        let named = common.key_algorithm;
        let one = |algorithm, its_name, key: ParsedPublicKey| match named {
            Some(name) if name != its_name => Err("alg does not fit kty"),
            _ if !accepted.contains(&algorithm) => Err("its algorithm is not taken here"),
            _ => Ok(vec![Self { algorithm, key }]),
        };
        match &jwk.algorithm {
            // Pomerium labels a P-384 key ES256 too (recordings/pomerium/08c): the curve decides.
            AlgorithmParameters::EllipticCurve(ec) => match ec.curve {
                EllipticCurve::P256 => {
                    let key = point(&ec.x, &ec.y, 32, &ECDSA_P256_SHA256_FIXED)?;
                    one(Algorithm::ES256, KeyAlgorithm::ES256, key)
                }
                EllipticCurve::P384 if accepted.contains(&Algorithm::ES384) => {
                    let key = point(&ec.x, &ec.y, 48, &ECDSA_P384_SHA384_FIXED)?;
                    one(Algorithm::ES384, KeyAlgorithm::ES384, key)
                }
                _ => Err("its curve is not taken here"),
            },
            AlgorithmParameters::OctetKeyPair(pair) if pair.curve == EllipticCurve::Ed25519 => {
                let key = edwards(&pair.x)?;
                one(Algorithm::EdDSA, KeyAlgorithm::EdDSA, key)
            }
            AlgorithmParameters::RSA(key) => {
                let fits = |name: KeyAlgorithm| named.is_none_or(|named| named == name);
                let found = RSA
                    .iter()
                    .filter(|(algorithm, name, _)| fits(*name) && accepted.contains(algorithm));
                let found = found
                    .map(|(algorithm, _, parameters)| {
                        let key = rsa(&key.n, &key.e, parameters)?;
                        Ok::<_, &'static str>(Self {
                            algorithm: *algorithm,
                            key,
                        })
                    })
                    .collect::<Result<Vec<_>, _>>()?;
                match found.is_empty() {
                    true => Err("alg does not fit kty, or is not taken here"),
                    false => Ok(found),
                }
            }
            _ => Err("kty is neither EC, RSA nor OKP"),
        }
    }

    /// Whether `signature` over `message` is of this key.
    pub(super) fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        self.key.verify_sig(message, signature).is_ok()
    }
}

fn point(
    x: &str,
    y: &str,
    length: usize,
    algorithm: &'static dyn VerificationAlgorithm,
) -> Result<ParsedPublicKey, &'static str> {
    const WRONG: &str = "x and y are no point of its curve";
    // SEC 1 §2.3.3: an uncompressed point.
    let mut point = vec![4];
    for coordinate in [x, y] {
        let bytes = URL_SAFE_NO_PAD.decode(coordinate).map_err(|_| WRONG)?;
        if bytes.len() != length {
            return Err(WRONG);
        }
        point.extend_from_slice(&bytes);
    }
    ParsedPublicKey::new(algorithm, point).map_err(|_| WRONG)
}

fn edwards(x: &str) -> Result<ParsedPublicKey, &'static str> {
    const WRONG: &str = "x is no Ed25519 key";
    let bytes = URL_SAFE_NO_PAD.decode(x).map_err(|_| WRONG)?;
    if bytes.len() != 32 {
        return Err(WRONG);
    }
    ParsedPublicKey::new(&ED25519, bytes).map_err(|_| WRONG)
}

fn rsa(
    n: &str,
    e: &str,
    parameters: &'static RsaParameters,
) -> Result<ParsedPublicKey, &'static str> {
    const WRONG: &str = "n and e are no RSA key of 2048 to 8192 bits";
    let n = URL_SAFE_NO_PAD.decode(n).map_err(|_| WRONG)?;
    let e = URL_SAFE_NO_PAD.decode(e).map_err(|_| WRONG)?;
    // The top bit counts: a shorter number in as many bytes is a smaller key.
    if !MODULUS.contains(&n.len()) || n.first().is_none_or(|top| top & 0x80 == 0) {
        return Err(WRONG);
    }
    RsaPublicKeyComponents { n, e }
        .to_parsed_public_key(parameters)
        .map_err(|_| WRONG)
}
