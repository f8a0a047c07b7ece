//! Who is signed in at the door: cookie handle → person and session id. Memory only, as in
//! Pomerium's default storage: a restart signs everybody out.

use super::mint::MintError;
use super::people::Person;
use aws_lc_rs::rand;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use parking_lot::Mutex;
use std::collections::HashMap;
use uuid::Uuid;

/// Sessions at once; the demo has one visitor, tests have some hundred. Above it all are signed out.
const MOST: usize = 100_000;

/// One sign-in.
#[derive(Clone, Debug)]
pub(super) struct SignedIn {
    pub(super) person: Person,
    /// Pomerium's session id: one per sign-in, the same until sign-out.
    pub(super) sid: String,
}

#[derive(Default)]
pub(super) struct Sessions(Mutex<HashMap<String, SignedIn>>);

impl Sessions {
    /// Signs `person` in and gives the cookie's value.
    pub(super) fn open(&self, person: Person) -> Result<String, MintError> {
        let mut bytes = [0; 32];
        rand::fill(&mut bytes).map_err(|_| MintError::Crypto)?;
        let handle = URL_SAFE_NO_PAD.encode(bytes);
        let mut sessions = self.0.lock();
        if sessions.len() >= MOST {
            sessions.clear();
        }
        let sid = Uuid::new_v4().to_string();
        sessions.insert(handle.clone(), SignedIn { person, sid });
        Ok(handle)
    }

    pub(super) fn find(&self, handle: &str) -> Option<SignedIn> {
        self.0.lock().get(handle).cloned()
    }

    pub(super) fn close(&self, handle: &str) {
        self.0.lock().remove(handle);
    }
}
