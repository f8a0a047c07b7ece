//! Derived app passwords: computed from a random root and what never changes about a person and
//! an app, never stored (design §4). Whoever has the root has every derived password: it lies in
//! the store, sealed under the master key, and rotating the master key changes no password.

use super::master::MasterKey;
use super::push_part;
use super::random::{self, NoRandomness};
use super::seal::{OpenError, Purpose, SealError};
use crate::store::{Store, StoreError};
use crate::types::{AppId, IssuerId, Subject};
use aws_lc_rs::hmac;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use secrecy::{ExposeSecret, SecretBox, SecretString};
use std::fmt;
use zeroize::{Zeroize, Zeroizing};

/// Why there is no password root.
#[derive(Debug, thiserror::Error)]
pub enum PasswordRootError {
    /// The stored root does not open: passwords derived from another root would lock everybody
    /// out of their account, so nothing is done instead.
    #[error("the password root in the store does not open: it {0}")]
    Open(#[from] OpenError),
    /// It opened, but is not 32 bytes.
    #[error("the password root in the store is not 32 bytes long")]
    Length,
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A new root could not be sealed.
    #[error(transparent)]
    Seal(#[from] SealError),
    /// No random bytes for a new root.
    #[error(transparent)]
    Random(#[from] NoRandomness),
}

/// The secret that all derived app passwords hang from.
pub struct PasswordRoot(SecretBox<[u8; 32]>);

impl PasswordRoot {
    /// The name of the sealed root in the store.
    pub const STORED_AS: &'static str = "password-root";

    /// The root in the store; makes one at first start. Two replicas that start at once agree on
    /// the one that was written first.
    ///
    /// # Errors
    /// When the store does not answer or holds a root that does not open.
    pub async fn load(store: &dyn Store, master: &MasterKey) -> Result<Self, PasswordRootError> {
        let sealed = match store.secret(Self::STORED_AS).await? {
            Some(sealed) => sealed,
            None => {
                let fresh = Zeroizing::new(random::bytes::<32>()?);
                let fresh = master.seal(Purpose::PasswordRoot, &fresh[..])?;
                store.secret_or_insert(Self::STORED_AS, &fresh).await?
            }
        };
        let plain = master.open(Purpose::PasswordRoot, &sealed)?;
        let mut root: [u8; 32] = plain[..]
            .try_into()
            .map_err(|_| PasswordRootError::Length)?;
        let kept = Self::from_bytes(root);
        root.zeroize();
        Ok(kept)
    }

    /// A root from its bytes.
    #[must_use]
    pub fn from_bytes(root: [u8; 32]) -> Self {
        Self(SecretBox::new(Box::new(root)))
    }

    /// The password of a subject's account in an app: 72 characters (the longest that bcrypt and
    /// Mattermost take, and so not shorter than any minimum an administrator may set) with all
    /// four character classes. `version` is kept per account and raised to change the password.
    ///
    /// HMAC-SHA256 over the length-prefixed parts, two blocks of it for the length.
    #[must_use]
    pub fn password(
        &self,
        app: &AppId,
        issuer: &IssuerId,
        subject: &Subject,
        version: u32,
    ) -> SecretString {
        let key = hmac::Key::new(hmac::HMAC_SHA256, self.0.expose_secret());
        let mut parts = Vec::with_capacity(400);
        push_part(&mut parts, b"auth-manager app password v1");
        push_part(&mut parts, app.as_str().as_bytes());
        push_part(&mut parts, issuer.as_str().as_bytes());
        push_part(&mut parts, subject.as_str().as_bytes());
        push_part(&mut parts, &version.to_be_bytes());

        let mut bytes = Zeroizing::new([0; 64]);
        for (block, to) in (0_u8..).zip(bytes.chunks_exact_mut(32)) {
            let mut context = hmac::Context::with_key(&key);
            context.update(&parts);
            context.update(&[block]);
            to.copy_from_slice(context.sign().as_ref());
        }
        // 51 bytes are 68 characters without a rest.
        let mut text = String::with_capacity(LENGTH);
        URL_SAFE_NO_PAD.encode_string(&bytes[..51], &mut text);
        text.push_str(CLASSES);
        text.into()
    }
}

impl PasswordRoot {
    /// A key for another purpose, which says nothing about the root nor about any password: HKDF
    /// (RFC 5869) in its one-block form.
    pub(super) fn subkey(&self, purpose: &[u8]) -> Zeroizing<[u8; 32]> {
        let extract = hmac::Key::new(hmac::HMAC_SHA256, b"auth-manager subkey");
        let secret = hmac::sign(&extract, self.0.expose_secret());
        let expand = hmac::Key::new(hmac::HMAC_SHA256, secret.as_ref());
        let mut context = hmac::Context::with_key(&expand);
        context.update(purpose);
        context.update(&[1]);
        let mut key = Zeroizing::new([0; 32]);
        key.copy_from_slice(context.sign().as_ref());
        key
    }
}

impl fmt::Debug for PasswordRoot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[password root]")
    }
}

/// Upper case, lower case, digit and symbol, whatever the letters before happen to be.
const CLASSES: &str = "Aa1!";
const LENGTH: usize = 72;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::testing::{self, KeyStore};
    use proptest::prelude::*;

    fn password(root: u8, app: &str, issuer: &str, subject: &str, version: u32) -> String {
        PasswordRoot::from_bytes([root; 32])
            .password(
                &AppId::new(app).unwrap(),
                &IssuerId::new(issuer).unwrap(),
                &Subject::new(subject).unwrap(),
                version,
            )
            .expose_secret()
            .to_owned()
    }

    /// Expected text made with Python's `hmac`: a change here locks everybody out.
    #[test]
    fn the_derivation_never_changes() {
        assert_eq!(
            password(7, "chat", "pomerium", "alice", 1),
            "UoGHwzV9ay8x057CRBwnZkYSo8bHPFg1g7jKKhkKIqkFHBIn8HZTit8OtoDyQQ9t2vgAAa1!"
        );
    }

    #[test]
    fn every_part_counts_and_none_runs_into_the_next() {
        let base = password(1, "ab", "cd", "ef", 1);
        assert_eq!(base, password(1, "ab", "cd", "ef", 1));
        for other in [
            password(2, "ab", "cd", "ef", 1),
            password(1, "abc", "d", "ef", 1),
            password(1, "a", "bcd", "ef", 1),
            password(1, "ab", "cde", "f", 1),
            password(1, "ab", "cd", "ef", 2),
        ] {
            assert_ne!(base, other);
        }
    }

    #[tokio::test]
    async fn the_root_is_made_once_and_a_lost_master_key_is_named() {
        let (store, master) = (KeyStore::default(), testing::master());
        let load = || PasswordRoot::load(&store, &master);
        let (one, two) = tokio::join!(load(), load());
        let (one, two) = (one.unwrap(), two.unwrap());
        assert_eq!(one.0.expose_secret(), two.0.expose_secret());
        let lost = PasswordRoot::load(&store, &testing::master()).await;
        let lost = lost.unwrap_err().to_string();
        assert!(lost.contains("the master key changed"), "{lost}");
    }

    proptest! {
        #[test]
        fn any_policy_of_an_app_is_met(subject in "[ -~]{1,255}", version: u32) {
            let text = password(1, "chat", "pomerium", &subject, version);
            prop_assert_eq!(text.len(), LENGTH);
            prop_assert!(text.bytes().any(|b| b.is_ascii_uppercase()));
            prop_assert!(text.bytes().any(|b| b.is_ascii_lowercase()));
            prop_assert!(text.bytes().any(|b| b.is_ascii_digit()));
            prop_assert!(text.bytes().any(|b| b.is_ascii_punctuation()));
            prop_assert!(text.bytes().all(|b| b.is_ascii_graphic()));
            prop_assert_ne!(&text, &password(1, "chat", "pomerium", &subject, version.wrapping_add(1)));
            prop_assert_ne!(&text, &password(1, "chat", "other", &subject, version));
        }
    }
}
