//! The password hash that Mattermost 11 stores: `$pbkdf2$f=SHA256,w=600000,l=32$<salt>$<hash>`, both
//! unpadded standard base64 (facts §1a, recordings 01). Sent with `already_hashed`, it skips the
//! server's policy check, its mail and the end of all sessions.

use crate::types::SecretText;
use aws_lc_rs::{pbkdf2, rand};
use base64::{Engine, engine::general_purpose::STANDARD_NO_PAD};
use secrecy::ExposeSecret;
use std::num::NonZeroU32;

/// The server's own number of rounds. Any other is re-hashed at the next login (recordings,
/// difference 4), and a lower one would rest in its database meanwhile.
const ROUNDS: NonZeroU32 = match NonZeroU32::new(600_000) {
    Some(rounds) => rounds,
    None => NonZeroU32::MAX,
};

/// Hashes with a fresh salt. About 0.2 s of one core: call it where that may block.
pub(super) fn hash(password: &SecretText) -> Result<String, aws_lc_rs::error::Unspecified> {
    let mut salt = [0; 16];
    rand::fill(&mut salt)?;
    Ok(hash_with(password.expose_secret().as_bytes(), &salt))
}

fn hash_with(password: &[u8], salt: &[u8; 16]) -> String {
    let mut out = [0; 32];
    pbkdf2::derive(pbkdf2::PBKDF2_HMAC_SHA256, ROUNDS, salt, password, &mut out);
    format!(
        "$pbkdf2$f=SHA256,w={ROUNDS},l=32${}${}",
        STANDARD_NO_PAD.encode(salt),
        STANDARD_NO_PAD.encode(out)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_recorded_hash_is_made_again() {
        // 03-lock-out: this hash was set and then the password "carl-pw" logged in.
        let recorded = "$pbkdf2$f=SHA256,w=600000,l=32$IZM4T7Ze/SYlM9XTlLYl1Q$znXcOBjEcw9zH08detA+HyUM5hx/nWmQD409UrhRIz8";
        let mut salt = [0; 16];
        STANDARD_NO_PAD
            .decode_slice("IZM4T7Ze/SYlM9XTlLYl1Q", &mut salt)
            .unwrap();
        assert_eq!(hash_with(b"carl-pw", &salt), recorded);
    }

    #[test]
    fn every_hash_has_its_own_salt_and_fits_the_column() {
        let (one, two) = {
            let x = "x".to_owned().into();
            (hash(&x).unwrap(), hash(&x).unwrap())
        };
        assert_ne!(one, two);
        assert!(one.len() <= 128);
    }
}
