//! The audit trail: who did what to whom, when, from where and why; append-only, each record linked
//! to the one before it by a hash, the whole now and then signed. Whoever changes, removes or
//! reorders a record later is found by `audit verify`, with the store or without it.
//!
//! - [`event`]: what is recorded, a closed list, and what a record says.
//! - [`witness`]: who an event is by; writes the records of a change of the store, in its transaction.
//! - [`denials`]: refusals, counted together, off the road.
//! - [`chain`]: signed statements about the chain (checkpoint, anchor, export), and the walk along it.
//! - [`verify`]: judging the trail in the store; [`export`]: writing and judging the one in a file.
//! - [`checkpoints`]: signed checkpoints as files, for keeping elsewhere.
//! - [`keeper`]: writes denials, signs checkpoints, removes what is too old.
//!
//! Two kinds of record:
//!
//! - **Of a change in the store** (session, account, person, key): appended by the very transaction
//!   that makes the change (`store`'s trail). What can't be recorded does not happen: a sign-in is
//!   refused, an operator's command fails. There is no moment in between that a crash could use.
//! - **Of what changes nothing in the store**: a loaded configuration and a write through the API are
//!   recorded before they take effect, and don't when that fails. Denials are written behind, at most
//!   [`keeper::FLUSH`] later, since what was denied stays denied: a crash may lose the last of them,
//!   and each is in the log as well. What had to be dropped is counted, in a metric and in a record.
//!
//! A request that has its session does nothing here. No record holds a secret; people are shadow user
//! ids, unless `[audit] email` says otherwise.
//!
//! What does not live here: the tables (`store`), the key (`keys::audit`), the command (`cli/audit`).

pub mod chain;
pub mod checkpoints;
pub mod denials;
pub mod event;
pub mod export;
pub mod keeper;
#[cfg(test)]
mod tests;
pub mod verify;
pub mod witness;

pub use denials::Denied;
pub use event::{Actor, Event, Kind};
pub use witness::Witness;

use crate::store::{By, Result, Store, TrailHead};
use crate::types::Clock;
use denials::Denials;
use std::sync::Arc;

/// What records say beyond what must be said.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// E-mail addresses beside shadow user ids.
    pub email: bool,
    /// Addresses of clients.
    pub client_address: bool,
    /// Which replica this is.
    pub replica: String,
}

/// Where everything that must be accounted for begins: who does it.
pub struct Audit {
    clock: Arc<dyn Clock>,
    settings: Arc<Settings>,
    /// Refusals that are not written yet.
    denials: Denials,
}

impl Audit {
    /// With these settings.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>, settings: Settings) -> Self {
        Self {
            clock,
            settings: Arc::new(settings),
            denials: Denials::default(),
        }
    }

    /// What happens now is by this one.
    #[must_use]
    pub fn by(&self, actor: Actor) -> Witness {
        Witness::new(actor, self.clock.now(), self.settings.clone())
    }

    /// What happens now is by the bridge itself: what expires, rotates, is found dead.
    #[must_use]
    pub fn bridge(&self) -> By {
        self.by(Actor::Bridge).by()
    }

    /// Records what is no change in the store, before it takes effect.
    ///
    /// # Errors
    /// When the store can't append it: then it must not take effect.
    pub async fn record(&self, store: &dyn Store, event: Event) -> Result<TrailHead> {
        store.append_trail(&[event.draft()]).await
    }

    /// A request was refused. Counted here, written later; takes no more than a short lock.
    pub fn denied(&self, denied: Denied) {
        self.denials.count(denied, self.clock.now());
    }
}
