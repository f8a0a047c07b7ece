//! Random bytes from aws-lc-rs (its DRBG, seeded by the operating system). The only place that
//! makes secrets out of nothing.

use crate::types::SessionId;
use aws_lc_rs::rand;

/// The operating system gives no randomness: nothing that needs a key can go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the system gives no random bytes")]
pub struct NoRandomness;

/// Fills `to` with random bytes.
///
/// # Errors
/// When the system has none; the caller must not go on with what `to` held before.
pub fn fill(to: &mut [u8]) -> Result<(), NoRandomness> {
    rand::fill(to).map_err(|_| NoRandomness)
}

/// `N` random bytes.
///
/// # Errors
/// When the system has none.
pub fn bytes<const N: usize>() -> Result<[u8; N], NoRandomness> {
    let mut bytes = [0; N];
    fill(&mut bytes)?;
    Ok(bytes)
}

/// A new session id: 256 random bits, never derived from time.
///
/// # Errors
/// When the system has no random bytes.
pub fn session_id() -> Result<SessionId, NoRandomness> {
    bytes().map(SessionId)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_draws_differ() {
        assert_ne!(bytes::<32>(), bytes::<32>());
        assert_ne!(session_id(), session_id());
    }
}
