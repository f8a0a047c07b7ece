//! Keys: randomness, the master key, sealing, deriving, signing.
//!
//! - [`random`]: the only place that asks for random bytes of secrets.
//! - [`master`]: the one key that wraps everything at rest, and its predecessors.
//! - [`seal`]: authenticated encryption, bound to what is sealed and where it belongs.
//! - [`stream`]: long texts, sealed piece by piece: backups.
//! - [`mod@derive`]: app passwords that are computed, never stored.
//! - [`phc`]: a password hash in the text form that Mattermost stores.
//! - [`rewrap`]: how a new master key takes over what a former one sealed.
//! - [`ring`]: our own signing keys of every kind, a snapshot; [`rotation`]: how they change in the
//!   store, and [`schedule`]: when.
//! - [`session_token`]: the bridge cookie; [`access_token`]: exchanged tokens, whose subjects may be
//!   [`pairwise`]; [`answer`]: signed answers about both. `compact`: how all of them are written.
//! - [`audit`]: what signs the audit trail's checkpoints.
//!
//! What does not live here: keys of others (`jwks`), certificates
//! (`tls`), files of secrets that are not keys (`config`).
//!
//! Invariant: a secret leaves this module only as a `secrecy` or `zeroize` type, and no key is
//! used for two purposes (subkeys are derived with HKDF, RFC 5869).

pub mod access_token;
pub mod answer;
pub mod audit;
mod compact;
pub mod derive;
pub mod master;
pub mod pairwise;
pub mod phc;
pub mod random;
pub mod rewrap;
pub mod ring;
pub mod rotation;
pub mod schedule;
pub mod seal;
pub mod session_token;
pub mod stream;
#[cfg(test)]
mod testing;

pub use audit::{AuditKey, AuditKeyError, AuditPublicKey, Statement, StatementError};
pub use derive::{PasswordRoot, PasswordRootError};
pub use master::{FileAccess, MasterKey, MasterKeyError, MasterKeyId};
pub use random::NoRandomness;
pub use ring::{Ring, RingError};
pub use seal::{OpenError, Purpose, SealError};
pub use session_token::{SessionClaims, TokenError};

/// Appends `part` behind its length, so that no two lists of parts give the same bytes
/// (`["ab", "c"]` and `["a", "bc"]` differ).
fn push_part(to: &mut Vec<u8>, part: &[u8]) {
    to.extend_from_slice(&(part.len() as u64).to_be_bytes());
    to.extend_from_slice(part);
}
