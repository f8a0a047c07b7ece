//! PBKDF2 hashes in the PHC text form that Mattermost 11 stores
//! (`$pbkdf2$f=SHA256,w=600000,l=32$<salt>$<hash>`, unpadded standard base64, salt of 16 bytes:
//! recordings 01 and 03; its `channels/app/password/hashers`), so that a password can be set with
//! `already_hashed`: the app pays for no second hash, and skips its policy check, its mail and the
//! end of all sessions.
//!
//! One hash keeps a core busy for about 0.15 s: call it in `tokio::task::spawn_blocking`, behind a
//! semaphore, never on a runtime thread.

use super::random::{self, NoRandomness};
use aws_lc_rs::pbkdf2;
use base64::{Engine, engine::general_purpose::STANDARD_NO_PAD};
use secrecy::{ExposeSecret, SecretString};
use std::num::NonZeroU32;

/// Rounds that Mattermost 11 uses; any other number makes the first sign-in hash again.
pub const ROUNDS: u32 = 600_000;

/// Hashes `password` under a random salt. Blocks: see the module.
///
/// # Errors
/// When the system has no random bytes for the salt.
pub fn hash(password: &SecretString) -> Result<SecretString, NoRandomness> {
    Ok(with_salt(password, &random::bytes()?, rounds(ROUNDS)))
}

/// Whether `password` is the one that `phc` was made of. Blocks: see the module. Texts of another
/// form, or with more rounds than 16 times ours, are of no password.
#[must_use]
pub fn verify(password: &SecretString, phc: &str) -> bool {
    let Some((work, salt, hash)) = parse(phc) else {
        return false;
    };
    pbkdf2::verify(
        pbkdf2::PBKDF2_HMAC_SHA256,
        work,
        &salt,
        password.expose_secret().as_bytes(),
        &hash,
    )
    .is_ok()
}

fn with_salt(password: &SecretString, salt: &[u8; 16], work: NonZeroU32) -> SecretString {
    let mut hash = [0; 32];
    pbkdf2::derive(
        pbkdf2::PBKDF2_HMAC_SHA256,
        work,
        salt,
        password.expose_secret().as_bytes(),
        &mut hash,
    );
    format!(
        "$pbkdf2$f=SHA256,w={work},l=32${}${}",
        STANDARD_NO_PAD.encode(salt),
        STANDARD_NO_PAD.encode(hash)
    )
    .into()
}

fn parse(phc: &str) -> Option<(NonZeroU32, Vec<u8>, Vec<u8>)> {
    let rest = phc.strip_prefix("$pbkdf2$f=SHA256,w=")?;
    let (work, rest) = rest.split_once(",l=32$")?;
    let (salt, hash) = rest.split_once('$')?;
    let work: NonZeroU32 = work.parse().ok()?;
    let hash = STANDARD_NO_PAD.decode(hash).ok()?;
    (work.get() <= ROUNDS * 16 && hash.len() == 32).then_some((
        work,
        STANDARD_NO_PAD.decode(salt).ok()?,
        hash,
    ))
}

const fn rounds(number: u32) -> NonZeroU32 {
    match NonZeroU32::new(number) {
        Some(number) => number,
        None => NonZeroU32::MIN,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SALT: &[u8; 16] = b"0123456789abcdef";

    /// Expected text made with Python's `hashlib.pbkdf2_hmac`.
    #[test]
    fn the_text_is_what_another_implementation_makes() {
        let text = with_salt(&"correct horse".into(), SALT, rounds(ROUNDS));
        assert_eq!(text.expose_secret(), EXPECTED);
        assert_eq!(text.expose_secret().len(), 97);
    }

    #[test]
    fn the_recorded_hash_is_made_again() {
        // recordings/mattermost, 03-lock-out: this hash was set, then "carl-pw" logged in.
        let recorded = "$pbkdf2$f=SHA256,w=600000,l=32$IZM4T7Ze/SYlM9XTlLYl1Q$znXcOBjEcw9zH08detA+HyUM5hx/nWmQD409UrhRIz8";
        let mut salt = [0; 16];
        STANDARD_NO_PAD
            .decode_slice("IZM4T7Ze/SYlM9XTlLYl1Q", &mut salt)
            .unwrap();
        let made = with_salt(&"carl-pw".into(), &salt, rounds(ROUNDS));
        assert_eq!(made.expose_secret(), recorded);
    }

    #[test]
    fn every_hash_has_its_own_salt_and_fits_the_column() {
        let (one, two) = (hash(&"x".into()).unwrap(), hash(&"x".into()).unwrap());
        assert_ne!(one.expose_secret(), two.expose_secret());
        assert!(one.expose_secret().len() <= 128);
    }

    #[test]
    fn a_hash_verifies_its_password_only() {
        let text = with_salt(&"one".into(), SALT, rounds(10));
        assert!(verify(&"one".into(), text.expose_secret()));
        assert!(!verify(&"two".into(), text.expose_secret()));
        for bad in [
            "",
            "$2a$10$x",
            "$pbkdf2$f=SHA256,w=0,l=32$MDEy$MDEy",
            "$pbkdf2$f=SHA256,w=4294967295,l=32$MDEyMw$MDEy",
        ] {
            assert!(!verify(&"one".into(), bad), "{bad}");
        }
    }

    const EXPECTED: &str = "$pbkdf2$f=SHA256,w=600000,l=32$MDEyMzQ1Njc4OWFiY2RlZg$kYKAg/dg7WC7VQ4k8+iaopu8snxCGdA0xMTwPC5tudk";
}
