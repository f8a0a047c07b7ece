//! Sealing: AES-256-GCM-SIV (RFC 8452: a repeated nonce only reveals that two texts are equal)
//! under the master key, bound to what is sealed and where it belongs, so that a sealed text that
//! is moved to another row does not open there.
//!
//! The form: version (1 byte, 1) · master key id (8) · nonce (12) · ciphertext · tag (16).

use super::master::{MasterKey, MasterKeyId};
use super::push_part;
use crate::store::{KeyKind, SealHead};
use crate::types::{AppId, BotName, KeyId, SessionId};
use aws_lc_rs::aead::{Aad, Nonce};
use zeroize::Zeroizing;

/// What is sealed, and where it belongs: the associated data.
#[derive(Debug, Clone, Copy)]
pub enum Purpose<'a> {
    /// The app's token and CSRF values of a session.
    Session(&'a SessionId, &'a AppId),
    /// The private half of a signing key of some kind.
    SigningKey(KeyKind, &'a KeyId),
    /// The public half of a signing key that signs no more: proves that the key was ours after
    /// its private half is gone.
    RetiredKey(KeyKind, &'a KeyId),
    /// The root of the derived app passwords.
    PasswordRoot,
    /// The seed of the audit trail's keys.
    AuditSeed,
    /// The token of the bot that provisions an app.
    BotToken(&'a AppId),
    /// The token of a bot that a service calls an app as.
    ServiceBot(&'a AppId, &'a BotName),
}

impl Purpose<'_> {
    /// Every list of parts gives its own bytes; the header is part of them.
    fn associated_data(&self, header: &[u8]) -> Vec<u8> {
        let mut to = Vec::with_capacity(160);
        push_part(&mut to, header);
        match self {
            Self::Session(id, app) => {
                push_part(&mut to, b"session");
                push_part(&mut to, &id.0);
                push_part(&mut to, app.as_str().as_bytes());
            }
            Self::SigningKey(kind, id) => {
                push_part(&mut to, b"signing-key");
                push_part(&mut to, id.as_str().as_bytes());
                push_kind(&mut to, *kind);
            }
            Self::RetiredKey(kind, id) => {
                push_part(&mut to, b"retired-key");
                push_part(&mut to, id.as_str().as_bytes());
                push_kind(&mut to, *kind);
            }
            Self::PasswordRoot => push_part(&mut to, b"password-root"),
            Self::AuditSeed => push_part(&mut to, b"audit-seed"),
            Self::BotToken(app) => {
                push_part(&mut to, b"bot-token");
                push_part(&mut to, app.as_str().as_bytes());
            }
            Self::ServiceBot(app, name) => {
                push_part(&mut to, b"service-bot");
                push_part(&mut to, app.as_str().as_bytes());
                push_part(&mut to, name.as_str().as_bytes());
            }
        }
        to
    }
}

/// Keys of sessions were sealed before there were kinds: theirs goes without saying.
fn push_kind(to: &mut Vec<u8>, kind: KeyKind) {
    if kind != KeyKind::Session {
        push_part(to, kind.as_str().as_bytes());
    }
}

/// Sealing failed in the crypto library (no random bytes, most likely).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("sealing failed in the crypto library")]
pub struct SealError;

/// Why something sealed does not open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// Sealed under a master key that is not at hand.
    #[error(
        "sealed under master key {0}, which is not configured: the master key changed; name the former one in keys.former_master_keys"
    )]
    UnknownKey(MasterKeyId),
    /// Changed, or belongs elsewhere.
    #[error("was changed after it was sealed, or belongs to another record")]
    Tampered,
    /// Not a sealed text of ours.
    #[error("is no sealed text of a known version")]
    Malformed,
}

impl MasterKey {
    /// Seals `plain` for `purpose`, under the current key and a random nonce.
    ///
    /// # Errors
    /// When the crypto library refuses.
    pub fn seal(&self, purpose: Purpose<'_>, plain: &[u8]) -> Result<Vec<u8>, SealError> {
        let key = &self.current;
        // All room at once: a growing vector would leave the plain text behind.
        let mut sealed = Vec::with_capacity(HEAD + plain.len() + TAG);
        sealed.push(VERSION);
        sealed.extend_from_slice(&key.id.0);
        let aad = purpose.associated_data(&sealed);
        sealed.extend_from_slice(&[0; NONCE]);
        sealed.extend_from_slice(plain);
        let (_, text) = sealed.split_at_mut(HEAD);
        let (nonce, tag) = key
            .aead
            .seal_in_place_separate_tag(Aad::from(aad), text)
            .map_err(|_| SealError)?;
        sealed[HEAD - NONCE..HEAD].copy_from_slice(nonce.as_ref());
        sealed.extend_from_slice(tag.as_ref());
        Ok(sealed)
    }

    /// Opens what was sealed for the same purpose, under the current key or a former one.
    ///
    /// # Errors
    /// When it is not ours, was changed, belongs elsewhere, or its master key is not at hand.
    pub fn open(
        &self,
        purpose: Purpose<'_>,
        sealed: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, OpenError> {
        let (id, nonce, text) = parse(sealed)?;
        let key = self.by_id(id).ok_or(OpenError::UnknownKey(id))?;
        let aad = purpose.associated_data(&sealed[..HEAD - NONCE]);
        let mut plain = Zeroizing::new(text.to_vec());
        let length = key
            .aead
            .open_in_place(
                Nonce::assume_unique_for_key(nonce),
                Aad::from(aad),
                &mut plain,
            )
            .map_err(|_| OpenError::Tampered)?
            .len();
        plain.truncate(length);
        Ok(plain)
    }

    /// How everything begins that the current key seals.
    #[must_use]
    pub fn head(&self) -> SealHead {
        let mut head = [VERSION; SealHead::LEN];
        head[1..].copy_from_slice(&self.current.id.0);
        SealHead(head)
    }

    /// Whether `sealed` is under the current key, so that it needs no re-wrapping.
    #[must_use]
    pub fn is_current(&self, sealed: &[u8]) -> bool {
        parse(sealed).is_ok_and(|(id, ..)| id == self.current.id)
    }

    /// Seals anew what a former key sealed; `None` when it is under the current key already, or
    /// under the next one: replicas that change over one by one must not undo each other's work.
    ///
    /// # Errors
    /// When it does not open, or the crypto library refuses to seal.
    pub fn rewrap(
        &self,
        purpose: Purpose<'_>,
        sealed: &[u8],
    ) -> Result<Option<Vec<u8>>, RewrapError> {
        let by_next = || parse(sealed).is_ok_and(|(id, ..)| Some(id) == self.next_id());
        if self.is_current(sealed) || by_next() {
            return Ok(None);
        }
        let plain = self.open(purpose, sealed)?;
        Ok(Some(self.seal(purpose, &plain)?))
    }
}

/// Why something sealed could not be sealed anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RewrapError {
    /// It does not open.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// It does not seal.
    #[error(transparent)]
    Seal(#[from] SealError),
}

impl MasterKeyId {
    /// The key that sealed a text which begins so; `None` when no key of ours did.
    #[must_use]
    pub fn of_head(head: &[u8]) -> Option<Self> {
        let (version, id) = head.split_first()?;
        let id = id.first_chunk()?;
        (*version == VERSION).then_some(Self(*id))
    }
}

type Parts<'a> = (MasterKeyId, [u8; NONCE], &'a [u8]);

fn parse(sealed: &[u8]) -> Result<Parts<'_>, OpenError> {
    let (version, rest) = sealed.split_first().ok_or(OpenError::Malformed)?;
    let (id, rest) = rest.split_first_chunk().ok_or(OpenError::Malformed)?;
    let (nonce, text) = rest.split_first_chunk().ok_or(OpenError::Malformed)?;
    if *version != VERSION || text.len() < TAG {
        return Err(OpenError::Malformed);
    }
    Ok((MasterKeyId(*id), *nonce, text))
}

const VERSION: u8 = 1;
const NONCE: usize = 12;
const TAG: usize = 16;
const HEAD: usize = 1 + MasterKeyId::LEN + NONCE;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::random;
    use proptest::prelude::*;

    fn master() -> MasterKey {
        MasterKey::from_bytes(&random::bytes::<32>().unwrap()).unwrap()
    }

    fn app(text: &str) -> AppId {
        AppId::new(text).unwrap()
    }

    proptest! {
        #[test]
        fn what_is_sealed_opens_again(plain in proptest::collection::vec(any::<u8>(), 0..200)) {
            let (key, id, app) = (master(), SessionId([1; 32]), app("chat"));
            let purpose = Purpose::Session(&id, &app);
            let sealed = key.seal(purpose, &plain).unwrap();
            prop_assert_eq!(&**key.open(purpose, &sealed).unwrap(), &plain[..]);
            prop_assert_ne!(key.seal(purpose, &plain).unwrap(), sealed);
        }
    }

    #[test]
    fn any_flipped_bit_and_any_cut_fails() {
        let key = master();
        let sealed = key.seal(Purpose::PasswordRoot, b"the root of all").unwrap();
        for bit in 0..sealed.len() * 8 {
            let mut changed = sealed.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            assert!(
                key.open(Purpose::PasswordRoot, &changed).is_err(),
                "bit {bit}"
            );
        }
        for length in 0..sealed.len() {
            assert!(key.open(Purpose::PasswordRoot, &sealed[..length]).is_err());
        }
        let mut longer = sealed;
        longer.push(0);
        assert_eq!(
            key.open(Purpose::PasswordRoot, &longer),
            Err(OpenError::Tampered)
        );
    }

    #[test]
    fn what_is_sealed_opens_only_where_it_belongs() {
        let key = master();
        let (one, two) = (SessionId([1; 32]), SessionId([2; 32]));
        let (chat, notes) = (app("chat"), app("notes"));
        let kid = KeyId::new("chat").unwrap();
        let purposes = [
            Purpose::Session(&one, &chat),
            Purpose::Session(&two, &chat),
            Purpose::Session(&one, &notes),
            Purpose::SigningKey(KeyKind::Session, &kid),
            Purpose::SigningKey(KeyKind::AccessToken, &kid),
            Purpose::SigningKey(KeyKind::Introspection, &kid),
            Purpose::RetiredKey(KeyKind::Session, &kid),
            Purpose::RetiredKey(KeyKind::AccessToken, &kid),
            Purpose::PasswordRoot,
            Purpose::AuditSeed,
            Purpose::BotToken(&chat),
            Purpose::BotToken(&notes),
        ];
        for (i, sealing) in purposes.iter().enumerate() {
            let sealed = key.seal(*sealing, b"x").unwrap();
            for (j, opening) in purposes.iter().enumerate() {
                assert_eq!(key.open(*opening, &sealed).is_ok(), i == j, "{i} {j}");
            }
        }
    }

    #[test]
    fn a_former_key_opens_and_is_rewrapped_and_a_lost_one_is_named() {
        let (old, new) = (master(), master());
        assert_eq!(old.id().to_string().parse(), Ok(old.id()));
        let sealed = old.seal(Purpose::PasswordRoot, b"x").unwrap();
        assert_eq!(
            new.open(Purpose::PasswordRoot, &sealed),
            Err(OpenError::UnknownKey(old.id()))
        );
        let both = new.clone().with_previous(old.clone());
        assert_eq!(&**both.open(Purpose::PasswordRoot, &sealed).unwrap(), b"x");
        let anew = both
            .rewrap(Purpose::PasswordRoot, &sealed)
            .unwrap()
            .unwrap();
        assert_eq!(&**new.open(Purpose::PasswordRoot, &anew).unwrap(), b"x");
        assert_eq!(both.rewrap(Purpose::PasswordRoot, &anew), Ok(None));
        assert!(old.open(Purpose::PasswordRoot, &anew).is_err());
        assert!(anew.starts_with(&both.head().0) && !sealed.starts_with(&both.head().0));
        assert_eq!(MasterKeyId::of_head(&sealed), Some(old.id()));
        assert_eq!(MasterKeyId::of_head(&sealed[..8]), None);
        assert_eq!(MasterKeyId::of_head(&[2; 9]), None);
        assert!(both.opens(old.id()) && !new.opens(old.id()));
    }
}
