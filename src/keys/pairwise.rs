//! Pairwise subjects: a person, and their session, under another name for each audience (OpenID Connect Core §8.1, its
//! second way), so that two services can't join what they know. The name is the id under
//! AES-256-GCM-SIV, so that we, and nobody else, find the person again.
//!
//! The nonce is always the same: what RFC 8452 §9 says is then revealed, that two texts are equal,
//! is what a name is for; and audience and user together never stand for another text.

use super::derive::PasswordRoot;
use super::seal::SealError;
use crate::types::{SessionId, UserId};
use aws_lc_rs::aead::{AES_256_GCM_SIV, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use std::fmt;
use uuid::Uuid;

/// What pairwise subjects are made with.
pub struct PairwiseKey(LessSafeKey);

impl PairwiseKey {
    /// The key of this bridge, which is the same for as long as its root is.
    ///
    /// # Errors
    /// When the crypto library refuses.
    pub fn of(root: &PasswordRoot) -> Result<Self, SealError> {
        let key = root.subkey(b"auth-manager pairwise subjects v1");
        let key = UnboundKey::new(&AES_256_GCM_SIV, &key[..]).map_err(|_| SealError)?;
        Ok(Self(LessSafeKey::new(key)))
    }

    /// What this audience calls this person.
    ///
    /// # Errors
    /// When the crypto library refuses.
    pub fn subject(&self, audience: &str, user: UserId) -> Result<String, SealError> {
        self.seal(audience, user.0.as_bytes())
    }

    /// What this audience calls this session.
    ///
    /// # Errors
    /// When the crypto library refuses.
    pub fn hide(&self, audience: &str, session: SessionId) -> Result<String, SealError> {
        self.seal(audience, &session.0)
    }

    /// Whom this audience calls so; `None` when nobody.
    #[must_use]
    pub fn user(&self, audience: &str, subject: &str) -> Option<UserId> {
        let plain = self.open(audience, subject)?;
        Uuid::from_slice(&plain).ok().map(UserId)
    }

    /// Which session this audience calls so; `None` when none.
    #[must_use]
    pub fn session(&self, audience: &str, name: &str) -> Option<SessionId> {
        let plain = self.open(audience, name)?;
        <[u8; 32]>::try_from(plain).ok().map(SessionId)
    }

    /// Ids of persons and sessions differ in length, so neither passes for the other.
    fn seal(&self, audience: &str, id: &[u8]) -> Result<String, SealError> {
        let mut text = id.to_vec();
        self.0
            .seal_in_place_append_tag(nonce(), Aad::from(audience.as_bytes()), &mut text)
            .map_err(|_| SealError)?;
        Ok(URL_SAFE_NO_PAD.encode(text))
    }

    fn open(&self, audience: &str, name: &str) -> Option<Vec<u8>> {
        let mut text = URL_SAFE_NO_PAD.decode(name).ok()?;
        let plain = self
            .0
            .open_in_place(nonce(), Aad::from(audience.as_bytes()), &mut text)
            .ok()?;
        Some(plain.to_vec())
    }
}

impl fmt::Debug for PairwiseKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[pairwise key]")
    }
}

fn nonce() -> Nonce {
    Nonce::assume_unique_for_key([0; NONCE_LEN])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_for_one_audience_and_found_again() {
        let key = PairwiseKey::of(&PasswordRoot::from_bytes([1; 32])).unwrap();
        let other = PairwiseKey::of(&PasswordRoot::from_bytes([2; 32])).unwrap();
        let (alice, bob) = (UserId::generate(), UserId::generate());
        let name = key.subject("https://a", alice).unwrap();
        assert_eq!(name, key.subject("https://a", alice).unwrap());
        assert_eq!(key.user("https://a", &name), Some(alice));
        for different in [
            key.subject("https://b", alice).unwrap(),
            key.subject("https://a", bob).unwrap(),
            other.subject("https://a", alice).unwrap(),
        ] {
            assert_ne!(name, different);
        }
        assert_eq!(key.user("https://b", &name), None);
        assert_eq!(other.user("https://a", &name), None);
        let session = SessionId([3; 32]);
        let hidden = key.hide("https://a", session).unwrap();
        assert_eq!(hidden.len(), 64);
        assert_eq!(key.session("https://a", &hidden), Some(session));
        assert_eq!(key.session("https://b", &hidden), None);
        assert_eq!(key.session("https://a", &name), None);
        assert_eq!(key.user("https://a", &hidden), None);
        for odd in ["", "AAAA", &alice.to_string(), &format!("{name}A")] {
            assert_eq!(key.user("https://a", odd), None, "{odd}");
        }
    }

    /// A change here gives everybody another name at every service.
    #[test]
    fn names_never_change() {
        let key = PairwiseKey::of(&PasswordRoot::from_bytes([7; 32])).unwrap();
        let user = UserId(Uuid::from_u128(7));
        assert_eq!(
            key.subject("https://a", user).unwrap(),
            "BiH241FVig1Iy1nPig8TEDp-bBiA5PiOh96gT4--ZpU"
        );
    }
}
