//! Assertions in Pomerium's form, and their key.

use anyhow::anyhow;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

/// Whom the assertions are for, and the host of every request.
pub(crate) const HOST: &str = "chat.example.com";

pub(crate) struct Signer {
    key: EcdsaKeyPair,
    random: SystemRandom,
    header: String,
}

impl Signer {
    /// Writes a fresh key and its JWKS.
    pub(crate) fn generate(folder: &Path) -> anyhow::Result<()> {
        let random = SystemRandom::new();
        let made = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random)?;
        let key = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, made.as_ref())?;
        // 0x04, X, Y.
        let point = key.public_key().as_ref();
        let (x, y) = (
            URL_SAFE_NO_PAD.encode(&point[1..33]),
            URL_SAFE_NO_PAD.encode(&point[33..65]),
        );
        std::fs::write(folder.join("key.pk8"), made.as_ref())?;
        let jwks = format!(
            r#"{{"keys":[{{"use":"sig","kty":"EC","kid":"load","crv":"P-256","alg":"ES256","x":"{x}","y":"{y}"}}]}}"#
        );
        Ok(std::fs::write(folder.join("jwks.json"), jwks)?)
    }

    pub(crate) fn load(folder: &Path) -> anyhow::Result<Self> {
        let made = std::fs::read(folder.join("key.pk8"))?;
        let key = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &made)
            .map_err(|e| anyhow!("key.pk8: {e}"))?;
        Ok(Self {
            key,
            random: SystemRandom::new(),
            header: URL_SAFE_NO_PAD.encode(r#"{"alg":"ES256","kid":"load","typ":"JWT"}"#),
        })
    }

    /// A fresh assertion about user `number` (see `seed.rs`), with ten groups, good for 300 s.
    pub(crate) fn assertion(&self, number: usize) -> anyhow::Result<String> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
        let mut jti = [0; 16];
        aws_lc_rs::rand::fill(&mut jti)?;
        let groups: Vec<String> = (0..10).map(|g| format!("team-group-{g:03}")).collect();
        let sub = format!("50b00000-0000-4000-8000-{number:012}");
        let claims = serde_json::json!({
            "iss": HOST, "aud": HOST, "iat": now, "exp": now + 300,
            "jti": URL_SAFE_NO_PAD.encode(jti),
            "sub": sub, "user": sub, "sid": format!("5e551d00-0000-4000-8000-{number:012}"),
            "email": format!("user{number:05}@example.com"),
            "name": format!("User Number {number:05}"),
            "groups": groups,
        });
        let mut token = format!("{}.", self.header);
        URL_SAFE_NO_PAD.encode_string(claims.to_string(), &mut token);
        let signature = self.key.sign(&self.random, token.as_bytes())?;
        token.push('.');
        URL_SAFE_NO_PAD.encode_string(signature, &mut token);
        Ok(token)
    }
}
