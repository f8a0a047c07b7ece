//! An entry point for fuzzing: a pure function from bytes that asserts what must hold.

use super::{read, verify};
use crate::keys::master::MasterKey;
use crate::keys::ring::Ring;
use crate::types::Timestamp;

/// Any bytes as a token and as a payload: no panic; nothing that no key of ours signed is a token;
/// and what is read as a payload says the same when it is written again.
pub fn fuzz_access_token(data: &[u8]) {
    if let Some(claims) = read(data) {
        let again = serde_json::to_vec(&claims.claims).ok();
        let again = again.as_deref().and_then(read);
        assert_eq!(again.as_ref(), Some(&claims));
        assert!(!claims.members().contains_key("am_origin"));
    }
    let (Ok(master), Ok(token)) = (MasterKey::from_bytes(&[7; 32]), std::str::from_utf8(data))
    else {
        return;
    };
    // No key signs here, so whatever is accepted is a forgery.
    let Ok(ring) = Ring::new(&[], &master) else {
        return;
    };
    assert!(verify(&ring, token, "https://bridge.example.com", Timestamp(0)).is_err());
}
